//! What an account's tasks share.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tgtrunk_config::Proxy;
use tokio::sync::{Notify, mpsc, oneshot, watch};
use tracing::{info, warn};

use crate::database::Database;
use crate::invoke::InvokeError;
use crate::link::{Link, TelegramTime};
use crate::message::MessageNotice;
use crate::peers::Peers;
use crate::person::Turns;
use crate::pool::{Command, Keys};
use crate::seed::{self, SeedError};
use crate::session::{SessionError, Standing, StoredSession};
use crate::status::{Health, Red};

/// What an account is opened with that stays the same while it is open.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    /// Held for its lock.
    pub(crate) database: Database,
    pub(crate) seed: Option<PathBuf>,
    pub(crate) api_id: i32,
    pub(crate) api_hash: String,
    pub(crate) device_model: String,
    pub(crate) system_version: String,
    pub(crate) app_version: String,
    pub(crate) lang_code: String,
    pub(crate) proxy: Option<Proxy>,
    pub(crate) login_limit: Duration,
    pub(crate) ping_every: Duration,
    pub(crate) ping_limit: Duration,
    pub(crate) check_every: Duration,
    pub(crate) difference_limit: Duration,
    pub(crate) sync_every: Duration,
}

/// Shared by the account and its tasks.
#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) settings: Settings,
    pub(crate) session: Arc<StoredSession>,
    pub(crate) peers: Arc<Peers>,
    pub(crate) turns: Turns,
    pub(crate) health: Health,
    /// The running pool; `None` while it is being made.
    pub(crate) link: watch::Sender<Option<Link>>,
    /// Outlives every link, for the machine's clock may be wrong.
    pub(crate) time: Arc<TelegramTime>,
    pub(crate) commands: mpsc::Sender<Command>,
    /// Where news of messages goes, if the program wants them.
    pub(crate) messages: Option<mpsc::Sender<MessageNotice>>,
    /// Wakes the watchdog: something looks wrong, or a new pool is there.
    pub(crate) kick: Notify,
    /// Tells the tee that updates may have been missed.
    pub(crate) gap: Notify,
    /// Telegram says that a login token of this session was accepted.
    pub(crate) accepted: Notify,
    pub(crate) stop: watch::Sender<bool>,
}

/// Why a session could not begin anew.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AnewError {
    #[error(transparent)]
    Seed(#[from] SeedError),
    #[error(transparent)]
    Session(#[from] SessionError),
    #[error("the account is closed")]
    Closed,
}

impl Core {
    /// The running pool, once there is one.
    pub(crate) async fn link(&self) -> Link {
        let mut link = self.link.subscribe();
        let found = link.wait_for(Option::is_some).await.ok().and_then(|link| link.clone());
        match found {
            Some(link) => link,
            None => std::future::pending().await,
        }
    }

    /// Gives up the home connection; what waits for an answer on it fails, and missed updates are asked for.
    pub(crate) fn disconnect(&self) {
        if let Some(link) = &*self.link.borrow() {
            link.give_up(self.session.home_dc());
        }
        self.gap.notify_one();
    }

    /// Makes the pool anew.
    pub(crate) fn restart(&self) {
        // Requests wait for the new one from now on.
        self.link.send_replace(None);
        // A full queue means that the pool is about to be made anew anyway.
        let _ = self.commands.try_send(Command::Restart);
    }

    /// Telegram ended the session: red, for good until a login, also after a restart.
    pub(crate) async fn end(&self, reason: Red) {
        if !self.health.ended(reason.clone()) {
            return;
        }
        warn!(?reason, "the session is not authorized");
        if let Some(standing) = reason.standing()
            && self.session.standing() == Standing::Authorized
            && let Err(error) = self.session.set_standing(standing).await
        {
            warn!(%error, "could not note that the session ended");
        }
    }

    /// Puts the keys aside and starts over with fresh ones, on a new pool.
    pub(crate) async fn begin_anew(&self, reason: &'static str) -> Result<(), AnewError> {
        self.replace(Keys::Fresh(reason)).await
    }

    /// Puts the keys aside and goes on with others, on a new pool.
    pub(crate) async fn replace(&self, keys: Keys) -> Result<(), AnewError> {
        let (done, answer) = oneshot::channel();
        let command = Command::Replace { keys, done };
        self.commands.send(command).await.map_err(|_| AnewError::Closed)?;
        answer.await.map_err(|_| AnewError::Closed)?
    }

    /// The supervisor's half of [`Self::replace`], with no pool running.
    pub(crate) async fn replace_keys(&self, keys: Keys) -> Result<(), AnewError> {
        match keys {
            Keys::Fresh(reason) => {
                let seed = self.seed().await?;
                self.session.begin_anew(reason, seed.as_ref()).await?;
                self.health.ended(Red::NotLoggedIn);
                info!(reason, seeded = seed.is_some(), "the session begins anew");
            }
            Keys::Of(memory) => {
                if self.session.adopt(&memory, "login").await? {
                    self.peers.forget_all().await?;
                }
                // What the old session had under way is over, which red says.
                self.health.ended(Red::NotLoggedIn);
                self.health.logged_in();
                info!("a new session takes the place of the old one");
            }
        }
        Ok(())
    }

    /// One key per data centre from the seed file, if it is there.
    pub(crate) async fn seed(&self) -> Result<Option<seed::Seed>, SeedError> {
        take_seed(self.settings.seed.clone()).await
    }
}

/// Reads the seed file off the runtime's threads, for its lock may have to be waited for.
pub(crate) async fn take_seed(path: Option<PathBuf>) -> Result<Option<seed::Seed>, SeedError> {
    let Some(path) = path else { return Ok(None) };
    let name = path.clone();
    tokio::task::spawn_blocking(move || seed::take(&path))
        .await
        .unwrap_or_else(|error| Err(SeedError::Io { path: name, source: std::io::Error::other(error) }))
}

impl From<AnewError> for InvokeError {
    fn from(error: AnewError) -> Self {
        match error {
            AnewError::Closed => Self::Closed,
            AnewError::Seed(_) | AnewError::Session(_) => Self::Storage { cause: error.to_string() },
        }
    }
}
