//! Bodies of files that lie at Telegram: each is fetched once for all who ask for it, and to its end, whoever hangs up.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Semaphore, watch};
use tracing::Instrument as _;

use crate::instance::Refused;
use crate::instance::inner::Inner;

/// Files that are fetched at the same time.
const AT_ONCE: usize = 8;

type Told = watch::Receiver<Option<Result<(), Refused>>>;

/// What is being fetched, by the secrets of the files.
pub(crate) struct Fetching {
    under_way: Mutex<BTreeMap<String, Told>>,
    turns: Semaphore,
}

/// A file that is being fetched, until it is dropped.
struct UnderWay {
    inner: Arc<Inner>,
    secret: String,
}

impl Default for Fetching {
    fn default() -> Self {
        Self { under_way: Mutex::default(), turns: Semaphore::new(AT_ONCE) }
    }
}

impl Fetching {
    fn under_way(&self) -> MutexGuard<'_, BTreeMap<String, Told>> {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// Fetches a stored file's body from Telegram, or waits until somebody else has.
    pub(crate) async fn download(self: &Arc<Self>, secret: &str, remote: &str) -> Result<(), Refused> {
        let mut told = self.begin(secret, remote);
        match told.wait_for(Option::is_some).await.map(|done| done.clone()) {
            Ok(Some(done)) => done,
            Ok(None) | Err(_) => Err(Refused::Storage("the file was not fetched".to_owned())),
        }
    }

    fn begin(self: &Arc<Self>, secret: &str, remote: &str) -> Told {
        let mut under_way = self.fetching.under_way();
        if let Some(told) = under_way.get(secret) {
            return told.clone();
        }
        let (tell, told) = watch::channel(None);
        under_way.insert(secret.to_owned(), told.clone());
        let (mine, remote) =
            (UnderWay { inner: Arc::clone(self), secret: secret.to_owned() }, remote.to_owned());
        let fetch = async move {
            let done = mine.inner.fetch(&mine.secret, &remote).await;
            drop(mine);
            tell.send_replace(Some(done));
        };
        tokio::spawn(fetch.in_current_span());
        told
    }

    async fn fetch(&self, secret: &str, remote: &str) -> Result<(), Refused> {
        let _turn = self.fetching.turns.acquire().await;
        let part = self.files.part(secret);
        let done = async {
            self.files.check_space()?;
            self.messenger.download(remote, &part, crate::files::MOST_BYTES).await?;
            let size = tokio::fs::metadata(&part).await?.len();
            self.files.put(&part, secret).await?;
            self.store.file_is_here(secret, i64::try_from(size).unwrap_or(i64::MAX)).await?;
            self.files.holds(size);
            Ok(())
        };
        let done = done.await;
        if done.is_err() {
            tokio::fs::remove_file(&part).await.ok();
        }
        done
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.inner.fetching.under_way().remove(&self.secret);
    }
}
