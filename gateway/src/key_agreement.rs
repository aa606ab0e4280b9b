//! Diffie-Hellman of calls: parameters are fetched and checked once per account, powers are computed on threads of their
//! own, and own halves lie ready, so that neither a call that begins nor one that is taken waits for
//! `messages.getDhConfig` or for a power.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tgcall::key::{self, CalleeExchange, CallerExchange, DhParameters, KeyPair, SharedKey};
use tgtrunk_telegram::{Account, InvokeError, Status};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::{sleep, sleep_until};
use tracing::Instrument as _;

use crate::compute::Compute;
use crate::line::Pause;
use crate::{clock, telegram};

/// Own halves that lie ready after a call took one.
const READY: usize = 4;
/// The same where none did for a while: an idle line asks Telegram and computes once in [`LIFE`].
const READY_AT_IDLE: usize = 1;
/// How long one may lie there: whoever reads the program's memory learns of no calls later than this from a secret.
const LIFE: Duration = Duration::from_secs(600);
/// How soon it is tried again where none could be made.
const AGAIN: Duration = Duration::from_secs(30);

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

impl AgreementError {
    /// How long Telegram asked to wait.
    fn wait(&self) -> Duration {
        match self {
            Self::Invoke(InvokeError::Flood { seconds }) => Duration::from_secs(u64::from(*seconds) + 1),
            _ => Duration::ZERO,
        }
    }
}

/// Key agreement of one account's calls.
pub(crate) struct KeyAgreement {
    maker: Arc<Maker>,
    /// Makes own halves ahead; ends with this value.
    _ahead: JoinSet<()>,
}

struct Maker {
    account: Account,
    pause: Arc<Pause>,
    compute: Compute,
    stock: Mutex<Stock>,
    taken: Notify,
}

impl KeyAgreement {
    /// Begins to make own halves as soon as the account is connected. To be called on a runtime.
    pub(crate) fn new(account: Account, pause: Arc<Pause>, compute: Compute) -> Self {
        let (stock, taken) = (Mutex::default(), Notify::new());
        let maker = Arc::new(Maker { account, pause, compute, stock, taken });
        let mut ahead = JoinSet::new();
        ahead.spawn(Arc::clone(&maker).keep_ready().in_current_span());
        Self { maker, _ahead: ahead }
    }

    /// The caller's half: a secret and the hash that commits to it.
    pub(crate) async fn begin_as_caller(&self) -> Result<CallerExchange, AgreementError> {
        Ok(self.maker.take().await?.into_caller())
    }

    /// The callee's half, bound to the caller's commitment.
    pub(crate) async fn begin_as_callee(&self, g_a_hash: &[u8]) -> Result<CalleeExchange, AgreementError> {
        Ok(self.maker.take().await?.into_callee(g_a_hash)?)
    }

    /// The caller's key, once the callee's public value is known; with it `g_a`, to be revealed now.
    pub(crate) async fn finish_as_caller(
        &self,
        exchange: CallerExchange,
        g_b: Vec<u8>,
    ) -> Result<(SharedKey, [u8; 256]), AgreementError> {
        self.compute(move || exchange.finish(&g_b)).await
    }

    /// The callee's key, once the caller revealed `g_a`.
    pub(crate) async fn finish_as_callee(
        &self,
        exchange: CalleeExchange,
        g_a: Vec<u8>,
        key_fingerprint: i64,
    ) -> Result<SharedKey, AgreementError> {
        self.compute(move || exchange.finish(&g_a, key_fingerprint)).await
    }

    async fn compute<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, key::KeyError> + Send + 'static,
    ) -> Result<T, AgreementError> {
        Ok(self.maker.compute.run(work).await.ok_or(AgreementError::Stopped)??)
    }
}

impl Maker {
    /// One that lies ready, or one that is made now.
    async fn take(&self) -> Result<KeyPair, AgreementError> {
        let ready = self.stock().take(clock::now());
        self.taken.notify_one();
        if let Some(ready) = ready {
            return Ok(ready);
        }
        let (_, parameters, random) = self.fetch().await?;
        let made = self.compute.run(move || KeyPair::new(&parameters, random));
        Ok(made.await.ok_or(AgreementError::Stopped)??)
    }

    /// Keeps own halves ready as long as the account is connected: others are not asked for anything.
    async fn keep_ready(self: Arc<Self>) {
        let mut status = self.account.status();
        let mut wanted = READY_AT_IDLE;
        while status.wait_for(|status| matches!(status, Status::Green { .. })).await.is_ok() {
            while self.stock().ready(clock::now()) < wanted {
                // Nobody asks Telegram for anything that no call needs while it wants peace.
                if let Some(until) = self.pause.until(clock::now()) {
                    sleep_until(until.into()).await;
                    continue;
                }
                if let Err(error) = self.make_ahead().await {
                    tracing::debug!(%error, "no key could be made ahead");
                    sleep(error.wait().max(AGAIN)).await;
                    break;
                }
            }
            let oldest = self.stock().oldest_until();
            let until = oldest.unwrap_or_else(|| clock::now() + AGAIN);
            tokio::select! {
                () = self.taken.notified() => wanted = READY,
                () = sleep_until(until.into()) => wanted = READY_AT_IDLE,
            }
        }
    }

    async fn make_ahead(&self) -> Result<(), AgreementError> {
        let (version, parameters, random) = self.fetch().await?;
        let made = self.compute.run_ahead(move || KeyPair::new(&parameters, random));
        let made = made.await.ok_or(AgreementError::Stopped)??;
        self.stock().put(clock::now(), version, made);
        Ok(())
    }

    /// Parameters that hold now, and 256 fresh random bytes for the secret exponent, of which the server gave its share.
    async fn fetch(&self) -> Result<(i32, DhParameters, [u8; 256]), AgreementError> {
        let known = self.stock().parameters.clone();
        let known_version = known.as_ref().map_or(0, |(version, _)| *version);
        let config = telegram::dh_config(&self.account, known_version).await?;
        let (version, parameters) = match (config.parameters, known) {
            (Some((g, p, version)), _) => {
                let checked = self.compute.run(move || DhParameters::new(g, &p)).await;
                let checked = checked.ok_or(AgreementError::Stopped)??;
                self.stock().renew(version, checked.clone());
                (version, checked)
            }
            (None, Some(known)) => known,
            (None, None) => return Err(AgreementError::NoParameters),
        };
        let server =
            config.random.try_into().map_err(|random: Vec<u8>| AgreementError::ServerRandom(random.len()))?;
        Ok((version, parameters, key::mix(clock::random(), server)))
    }

    fn stock(&self) -> MutexGuard<'_, Stock> {
        self.stock.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The parameters in use, and own halves for them that nobody has used yet.
#[derive(Default)]
struct Stock {
    parameters: Option<(i32, DhParameters)>,
    /// The oldest first, and until when each may be used.
    ready: VecDeque<(Instant, KeyPair)>,
}

impl Stock {
    /// Hands one out; it is nobody else's then.
    fn take(&mut self, now: Instant) -> Option<KeyPair> {
        self.drop_old(now);
        self.ready.pop_front().map(|(_, pair)| pair)
    }

    /// How many can be used.
    fn ready(&mut self, now: Instant) -> usize {
        self.drop_old(now);
        self.ready.len()
    }

    fn put(&mut self, now: Instant, version: i32, pair: KeyPair) {
        if self.parameters.as_ref().is_some_and(|(current, _)| *current == version) {
            self.ready.push_back((now + LIFE, pair));
        }
    }

    /// Other parameters end what was made for those before.
    fn renew(&mut self, version: i32, parameters: DhParameters) {
        self.ready.clear();
        self.parameters = Some((version, parameters));
    }

    fn oldest_until(&self) -> Option<Instant> {
        self.ready.front().map(|(until, _)| *until)
    }

    fn drop_old(&mut self, now: Instant) {
        while self.ready.pop_front_if(|(until, _)| *until <= now).is_some() {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The safe prime of RFC 3526 section 3.
    const MODP_2048: &str = include_str!("../tgcall/testdata/key/modp-2048.hex");

    fn parameters() -> DhParameters {
        let digits = MODP_2048.trim().as_bytes();
        let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
        DhParameters::new(2, &digits.chunks(2).map(byte).collect::<Vec<_>>()).unwrap()
    }

    fn stock() -> (Stock, impl Fn(u8) -> KeyPair) {
        let parameters = parameters();
        let mut stock = Stock::default();
        stock.renew(3, parameters.clone());
        (stock, move |seed| KeyPair::new(&parameters, [seed; 256]).unwrap())
    }

    #[test]
    fn each_is_handed_out_once_and_the_oldest_first() {
        let (mut stock, pair) = stock();
        let start = clock::now();
        let hashes = [pair(1), pair(2)].map(|pair| pair.into_caller().g_a_hash());
        for seed in [1, 2] {
            stock.put(start, 3, pair(seed));
        }
        let mut taken = std::iter::from_fn(|| stock.take(start)).map(|pair| pair.into_caller().g_a_hash());
        assert!(taken.by_ref().eq(hashes));
        assert!(stock.take(start).is_none());
    }

    #[test]
    fn what_lay_too_long_is_not_used() {
        let (mut stock, pair) = stock();
        let start = clock::now();
        stock.put(start, 3, pair(1));
        stock.put(start + LIFE / 2, 3, pair(2));
        assert_eq!(stock.oldest_until(), Some(start + LIFE));
        assert_eq!(stock.ready(start + LIFE - Duration::from_millis(1)), 2);
        assert_eq!(stock.ready(start + LIFE), 1);
        assert!(stock.take(start + LIFE * 2).is_none());
        assert_eq!(stock.oldest_until(), None);
    }

    #[test]
    fn other_parameters_end_what_was_made_for_those_before() {
        let (mut stock, pair) = stock();
        let now = clock::now();
        stock.put(now, 3, pair(1));
        stock.renew(4, parameters());
        assert_eq!(stock.ready(now), 0);
        stock.put(now, 3, pair(2));
        assert_eq!(stock.ready(now), 0, "it was begun before they came");
        stock.put(now, 4, pair(3));
        assert_eq!(stock.ready(now), 1);
    }
}
