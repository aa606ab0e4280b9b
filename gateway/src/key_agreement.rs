//! Diffie-Hellman of calls, off the threads that carry media: parameters are fetched once per account and
//! powers are computed on blocking threads.

use std::sync::Arc;

use tgcall::key::{self, CalleeExchange, CallerExchange, DhParameters, SharedKey};
use tgtrunk_telegram::{Account, InvokeError};
use tokio::sync::Mutex;
use tokio::task::spawn_blocking;

use crate::{clock, telegram};

/// Why no key came about.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AgreementError {
    #[error(transparent)]
    Invoke(#[from] InvokeError),
    #[error(transparent)]
    Key(#[from] key::KeyError),
    #[error("the server sent {0} bytes of randomness, 256 were asked for")]
    ServerRandom(usize),
    #[error("the server says that Diffie-Hellman parameters have not changed, but sent none before")]
    NoParameters,
    #[error("the key computation was stopped")]
    Stopped,
}

/// The server's Diffie-Hellman parameters, checked once.
#[derive(Debug, Default)]
pub(crate) struct DhCache(Mutex<Option<(i32, Arc<DhParameters>)>>);

impl DhCache {
    /// Parameters that hold now, and 256 fresh random bytes for the secret exponent.
    pub(crate) async fn fetch(
        &self,
        account: &Account,
    ) -> Result<(Arc<DhParameters>, [u8; 256]), AgreementError> {
        let known = self.0.lock().await.clone();
        let version = known.as_ref().map_or(0, |(version, _)| *version);
        let config = telegram::dh_config(account, version).await?;
        let parameters = match (config.parameters, known) {
            (Some((g, p, version)), _) => {
                let checked = spawn_blocking(move || DhParameters::new(g, &p))
                    .await
                    .map_err(|_| AgreementError::Stopped)??;
                let checked = Arc::new(checked);
                *self.0.lock().await = Some((version, Arc::clone(&checked)));
                checked
            }
            (None, Some((_, parameters))) => parameters,
            (None, None) => return Err(AgreementError::NoParameters),
        };
        let server =
            config.random.try_into().map_err(|random: Vec<u8>| AgreementError::ServerRandom(random.len()))?;
        Ok((parameters, key::mix(clock::random(), server)))
    }
}

/// The caller's half: a secret and the hash that commits to it.
pub(crate) async fn begin_as_caller(
    dh: &DhCache,
    account: &Account,
) -> Result<CallerExchange, AgreementError> {
    let (parameters, random) = dh.fetch(account).await?;
    blocking(move || CallerExchange::begin(&parameters, random)).await
}

/// The callee's half, bound to the caller's commitment.
pub(crate) async fn begin_as_callee(
    dh: &DhCache,
    account: &Account,
    g_a_hash: Vec<u8>,
) -> Result<CalleeExchange, AgreementError> {
    let (parameters, random) = dh.fetch(account).await?;
    blocking(move || CalleeExchange::begin(&parameters, random, &g_a_hash)).await
}

/// The caller's key, once the callee's public value is known; with it `g_a`, to be revealed now.
pub(crate) async fn finish_as_caller(
    exchange: CallerExchange,
    g_b: Vec<u8>,
) -> Result<(SharedKey, [u8; 256]), AgreementError> {
    blocking(move || exchange.finish(&g_b)).await
}

/// The callee's key, once the caller revealed `g_a`.
pub(crate) async fn finish_as_callee(
    exchange: CalleeExchange,
    g_a: Vec<u8>,
    key_fingerprint: i64,
) -> Result<SharedKey, AgreementError> {
    blocking(move || exchange.finish(&g_a, key_fingerprint)).await
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, key::KeyError> + Send + 'static,
) -> Result<T, AgreementError> {
    Ok(spawn_blocking(work).await.map_err(|_| AgreementError::Stopped)??)
}
