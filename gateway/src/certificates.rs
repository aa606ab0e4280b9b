//! Certificates for the DTLS of calls, one for each, made ahead.
//!
//! One for the whole process would be cheaper by the making of a P-256 key pair, which is little beside two powers of key
//! agreement. But whoever is called by two lines of one gateway, or compares notes with somebody else, could tell by the
//! fingerprint that both are the same machine; and one that is valid for a year ends in a process that runs for longer.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tgcall::{Certificate, CertificateError};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::clock;
use crate::compute::Compute;

/// How many lie ready.
const READY: usize = 16;
/// How long one may lie there.
const LIFE: Duration = Duration::from_secs(24 * 3_600);
/// How soon it is tried again where none could be made.
const AGAIN: Duration = Duration::from_secs(10);

/// The certificates that lie ready. Nobody makes any more when the last clone of it is gone.
#[derive(Clone)]
pub(crate) struct Certificates(Arc<Shelf>);

struct Shelf {
    stock: Arc<Stock>,
    _maker: JoinSet<()>,
}

#[derive(Default)]
struct Stock {
    /// Until when each may be used, the oldest first.
    ready: Mutex<VecDeque<(Instant, Arc<Certificate>)>>,
    taken: Notify,
}

impl Certificates {
    /// Begins to make them. To be called on a runtime.
    pub(crate) fn start(compute: Compute) -> Self {
        let stock = Arc::<Stock>::default();
        let mut maker = JoinSet::new();
        maker.spawn(Arc::clone(&stock).keep_ready(compute));
        Self(Arc::new(Shelf { stock, _maker: maker }))
    }

    /// One that no other call has: made here and now where none lies ready.
    ///
    /// # Errors
    /// When the cryptographic library fails.
    pub(crate) fn take(&self) -> Result<Arc<Certificate>, CertificateError> {
        let ready = self.0.stock.take(clock::now());
        self.0.stock.taken.notify_one();
        ready.map_or_else(|| Certificate::generate().map(Arc::new), Ok)
    }
}

impl Stock {
    async fn keep_ready(self: Arc<Self>, compute: Compute) {
        loop {
            while self.ready().len() < READY {
                match compute.run_ahead(Certificate::generate).await {
                    Some(Ok(made)) => self.ready().push_back((clock::now() + LIFE, Arc::new(made))),
                    Some(Err(error)) => {
                        tracing::warn!(%error, "no certificate could be made ahead");
                        sleep(AGAIN).await;
                    }
                    None => return,
                }
            }
            self.taken.notified().await;
        }
    }

    fn take(&self, now: Instant) -> Option<Arc<Certificate>> {
        let mut ready = self.ready();
        while ready.pop_front_if(|(until, _)| *until <= now).is_some() {}
        ready.pop_front().map(|(_, certificate)| certificate)
    }

    fn ready(&self) -> MutexGuard<'_, VecDeque<(Instant, Arc<Certificate>)>> {
        self.ready.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn no_two_calls_have_the_same_one_however_many_begin() {
        let certificates = Certificates::start(Compute::start().unwrap());
        let mut prints: Vec<String> =
            (0..3 * READY).map(|_| certificates.take().unwrap().fingerprint().to_owned()).collect();
        prints.sort();
        prints.dedup();
        assert_eq!(prints.len(), 3 * READY);
        let ready = || certificates.0.stock.ready().len();
        while ready() < READY {
            sleep(Duration::from_millis(1)).await;
        }
        assert_eq!(ready(), READY);
    }

    #[test]
    fn what_lay_too_long_is_not_used() {
        let (stock, start) = (Stock::default(), clock::now());
        let made = Arc::new(Certificate::generate().unwrap());
        stock.ready().push_back((start + LIFE, made));
        assert!(stock.take(start + LIFE).is_none());
        assert!(stock.ready().is_empty());
    }
}
