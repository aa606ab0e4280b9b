//! What a Telegram leg has done away from its call's task: requests of `phone.*` and the powers of key agreement.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tgcall::key::{CalleeExchange, CallerExchange, SharedKey};
use tgtrunk_bridge::Cause;
use tgtrunk_telegram::{Account, InvokeError, Person, Resolved, Stranger};
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use super::task::Said;
use super::telegram_leg::Shared;
use crate::key_agreement::{AgreementError, KeyAgreement};
use crate::line::Callee;
use crate::records::ROW_LIMIT;
use crate::telegram::{self, CallRef, Discard, Established, PhoneCall};
use crate::{cause, clock};

/// How long a goodbye is tried while Telegram does not answer, and the longest pause between two tries.
const GOODBYE_LIMIT: Duration = Duration::from_secs(30);
const GOODBYE_PAUSE: Duration = Duration::from_secs(2);

/// Whom the line is told of before they are called.
pub(crate) struct Announce {
    pub(crate) key: u64,
    pub(crate) said: mpsc::Sender<(u64, Said)>,
}

impl Announce {
    /// Returns when it is written down that this person is called, or that takes too long: after a kill nobody would know
    /// whose phone rings.
    async fn tell(&self, peer: &Resolved) {
        let (done, written) = oneshot::channel();
        let word = Said::Calls(Box::new(peer.clone()), done);
        if self.said.send((self.key, word)).await.is_ok() {
            timeout(ROW_LIMIT, written).await.ok();
        }
    }
}

/// Outcome of work done away from the call's task.
pub(crate) enum Step {
    Requested(Result<Requested, Unrequested>),
    Accepted(Result<(PhoneCall, CalleeExchange), Cause>),
    Confirmed(Result<(PhoneCall, SharedKey, [u8; 256]), Cause>),
    Agreed(Result<(SharedKey, Box<Established>), Cause>),
    SignalingRefused(Cause),
    /// Said what was to be said.
    Told,
}

/// Why a call was not placed, as far as we know.
pub(crate) struct Unrequested {
    pub(crate) cause: Cause,
    /// Nobody knows whether the server placed it: this callee may ring.
    pub(crate) doubtful: Option<i64>,
}

impl From<Cause> for Unrequested {
    fn from(cause: Cause) -> Self {
        Self { cause, doubtful: None }
    }
}

pub(crate) struct Requested {
    pub(crate) peer: Resolved,
    pub(crate) exchange: CallerExchange,
    pub(crate) answer: PhoneCall,
}

/// Finds the person and requests the call, both halves at once where they do not need each other.
/// `given_up` is looked at last: nobody's phone rings for a caller who is gone. Before each request it is asked whether
/// Telegram wants none: another call may have been told so meanwhile.
pub(crate) async fn request(
    shared: &Shared,
    callee: &Callee,
    announce: &Announce,
    given_up: &AtomicBool,
) -> Result<Requested, Unrequested> {
    let Shared { account, pause, .. } = shared;
    pause.check()?;
    let (peer, exchange) = tokio::join!(find(shared, callee.person.clone()), shared.keys.begin_as_caller());
    let mut peer = peer?;
    callee.judge(account, &peer)?;
    let exchange = match exchange {
        Ok(exchange) => exchange,
        Err(error) => return Err(pause.heard(of_agreement(&error)).await.into()),
    };
    let hash = exchange.g_a_hash();
    announce.tell(&peer).await;
    let mut is_first = true;
    loop {
        if given_up.load(Ordering::Relaxed) {
            return Err(Cause::GivenUp.into());
        }
        pause.check()?;
        let random_id = i32::from_le_bytes(clock::random());
        match telegram::request_call(account, &peer, random_id, &hash).await {
            Ok(answer) => return Ok(Requested { peer, exchange, answer }),
            Err(error) if is_first && cause::is_random_id_duplicate(&error) => {}
            Err(error) if is_first && cause::is_stale_peer(&error) => {
                pause.check()?;
                peer = match account.resolve_anew(callee.person.clone()).await {
                    Ok(peer) => peer,
                    Err(error) => return Err(pause.heard(cause::of_resolve(&error)).await.into()),
                };
                callee.judge(account, &peer)?;
            }
            Err(error) => {
                let doubtful = is_of_unknown_fate(&error).then_some(peer.id);
                return Err(Unrequested { cause: pause.heard(cause::of_invoke(&error)).await, doubtful });
            }
        }
        is_first = false;
    }
}

/// Finds the person; a stranger only as long as the line may approach any today.
pub(crate) async fn find(shared: &Shared, person: Person) -> Result<Resolved, Cause> {
    let Shared { account, strangers, pause, .. } = shared;
    let counted = match strangers.judge(account, &person).await {
        // Telegram is not asked who has an id: it tells that of people the account knows, and of nobody else.
        Some(Stranger::Unknown(_)) if matches!(person, Person::Id(_)) => None,
        Some(Stranger::Unknown(who)) => {
            // Whoever is not looked up does not count.
            pause.check()?;
            strangers.admit(&who).await?;
            Some(who)
        }
        Some(Stranger::Known(_)) | None => None,
    };
    pause.check()?;
    let peer = match account.resolve(person).await {
        Ok(peer) => peer,
        Err(error) => return Err(pause.heard(cause::of_resolve(&error)).await),
    };
    let met = Person::Id(peer.id);
    if let Some(Stranger::Known(who) | Stranger::Unknown(who)) = strangers.judge(account, &met).await {
        match counted {
            Some(_) => strangers.also(&who).await,
            None => strangers.admit(&who).await?,
        }
    }
    Ok(peer)
}

/// Takes an offered call.
pub(crate) async fn accept(
    shared: &Shared,
    call: CallRef,
    g_a_hash: &[u8],
) -> Result<(PhoneCall, CalleeExchange), Cause> {
    let Shared { account, keys, pause, .. } = shared;
    let exchange = match keys.begin_as_callee(g_a_hash).await {
        Ok(exchange) => exchange,
        Err(error) => return Err(pause.heard(of_agreement(&error)).await),
    };
    match telegram::accept_call(account, call, &exchange.g_b()).await {
        Ok(answer) => Ok((answer, exchange)),
        Err(error) => Err(pause.heard(cause::of_invoke(&error)).await),
    }
}

/// Reveals our half after the callee took the call.
pub(crate) async fn confirm(
    shared: &Shared,
    call: CallRef,
    exchange: CallerExchange,
    g_b: Vec<u8>,
) -> Result<(PhoneCall, SharedKey, [u8; 256]), Cause> {
    let (key, g_a) =
        shared.keys.finish_as_caller(exchange, g_b).await.map_err(|error| of_agreement(&error))?;
    match telegram::confirm_call(&shared.account, call, &g_a, key.fingerprint()).await {
        Ok(answer) => Ok((answer, key, g_a)),
        Err(error) => Err(shared.pause.heard(cause::of_invoke(&error)).await),
    }
}

/// Finishes the key after the caller revealed its half.
pub(crate) async fn agree(
    keys: &KeyAgreement,
    exchange: CalleeExchange,
    established: Box<Established>,
) -> Result<(SharedKey, Box<Established>), Cause> {
    let key = keys
        .finish_as_callee(exchange, established.g_a_or_b.clone(), established.key_fingerprint)
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

/// Ends a call at the server, however long the way there is broken.
pub(crate) async fn discard(account: &Account, call: CallRef, reason: Discard, talked: Duration) {
    let duration_s = i32::try_from(talked.as_secs()).unwrap_or(i32::MAX);
    persist(|| telegram::discard_call(account, call, reason, duration_s)).await;
}

/// Tells the server that it rings here.
pub(crate) async fn tell_ringing(account: &Account, call: CallRef) {
    persist(|| telegram::received_call(account, call)).await;
}

/// Tries again while it is not known whether the server heard.
async fn persist<F: Future<Output = Result<(), InvokeError>>>(mut request: impl FnMut() -> F) {
    let until = clock::now() + GOODBYE_LIMIT;
    let mut pause = Duration::from_millis(100);
    while let Err(error) = request().await {
        if !is_of_unknown_fate(&error) || clock::now() >= until {
            tracing::debug!(%error, "the server did not take it");
            return;
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(GOODBYE_PAUSE);
    }
}

fn is_of_unknown_fate(error: &InvokeError) -> bool {
    matches!(
        error,
        InvokeError::Offline { .. }
            | InvokeError::Proxy { .. }
            | InvokeError::Timeout { .. }
            | InvokeError::Crowded { .. }
    )
}
