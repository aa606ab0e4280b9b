//! What a Telegram leg has done away from its call's task: requests of `phone.*` and the powers of key agreement.

use tgcall::key::{CalleeExchange, CallerExchange, SharedKey};
use tgtrunk_bridge::Cause;
use tgtrunk_telegram::{Account, Person, Resolved};

use super::telegram_leg::Shared;
use crate::key_agreement::{self, AgreementError};
use crate::telegram::{self, CallRef, Established, PhoneCall};
use crate::{cause, clock};

/// Outcome of work done away from the call's task.
pub(crate) enum Step {
    Requested(Result<Requested, Cause>),
    Accepted(Result<(PhoneCall, CalleeExchange), Cause>),
    Confirmed(Result<(PhoneCall, SharedKey, [u8; 256]), Cause>),
    Agreed(Result<(SharedKey, Box<Established>), Cause>),
    SignalingRefused(Cause),
    Discarded,
    Told,
}

pub(crate) struct Requested {
    pub(crate) peer: Resolved,
    pub(crate) exchange: CallerExchange,
    pub(crate) answer: PhoneCall,
}

/// Finds the person and requests the call, both halves at once where they do not need each other.
pub(crate) async fn request(shared: &Shared, person: Person) -> Result<Requested, Cause> {
    let account = &shared.account;
    let (peer, exchange) =
        tokio::join!(account.resolve(person.clone()), key_agreement::begin_as_caller(&shared.dh, account));
    let mut peer = peer.map_err(|error| cause::of_resolve(&error))?;
    let exchange = exchange.map_err(|error| of_agreement(&error))?;
    let hash = exchange.g_a_hash();
    let mut is_first = true;
    loop {
        let random_id = i32::from_le_bytes(clock::random());
        match telegram::request_call(account, &peer, random_id, &hash).await {
            Ok(answer) => return Ok(Requested { peer, exchange, answer }),
            Err(error) if is_first && cause::is_random_id_duplicate(&error) => {}
            Err(error) if is_first && cause::is_stale_peer(&error) => {
                peer =
                    account.resolve_anew(person.clone()).await.map_err(|error| cause::of_resolve(&error))?;
            }
            Err(error) => return Err(cause::of_invoke(&error)),
        }
        is_first = false;
    }
}

/// Takes an offered call.
pub(crate) async fn accept(
    shared: &Shared,
    call: CallRef,
    g_a_hash: Vec<u8>,
) -> Result<(PhoneCall, CalleeExchange), Cause> {
    let exchange = key_agreement::begin_as_callee(&shared.dh, &shared.account, g_a_hash)
        .await
        .map_err(|error| of_agreement(&error))?;
    let answer = telegram::accept_call(&shared.account, call, &exchange.g_b())
        .await
        .map_err(|error| cause::of_invoke(&error))?;
    Ok((answer, exchange))
}

/// Reveals our half after the callee took the call.
pub(crate) async fn confirm(
    account: &Account,
    call: CallRef,
    exchange: CallerExchange,
    g_b: Vec<u8>,
) -> Result<(PhoneCall, SharedKey, [u8; 256]), Cause> {
    let (key, g_a) =
        key_agreement::finish_as_caller(exchange, g_b).await.map_err(|error| of_agreement(&error))?;
    let answer = telegram::confirm_call(account, call, &g_a, key.fingerprint())
        .await
        .map_err(|error| cause::of_invoke(&error))?;
    Ok((answer, key, g_a))
}

/// Finishes the key after the caller revealed its half.
pub(crate) async fn agree(
    exchange: CalleeExchange,
    established: Box<Established>,
) -> Result<(SharedKey, Box<Established>), Cause> {
    let key =
        key_agreement::finish_as_callee(exchange, established.g_a_or_b.clone(), established.key_fingerprint)
            .await
            .map_err(|error| of_agreement(&error))?;
    Ok((key, established))
}

fn of_agreement(error: &AgreementError) -> Cause {
    match error {
        AgreementError::Invoke(error) => cause::of_invoke(error),
        AgreementError::Key(_)
        | AgreementError::ServerRandom(_)
        | AgreementError::NoParameters
        | AgreementError::Stopped => {
            tracing::warn!(%error, "no key was agreed");
            Cause::Disconnected
        }
    }
}
