//! An account, opened: the handle a program holds.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use grammers_tl_types::{self as tl, RemoteCall};
use tgtrunk_config::{Proxy, Said, Telegram};
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, timeout};
use tracing::{error, warn};

use crate::clock;
use crate::core::{AnewError, Core, Settings, take_seed};
use crate::database::Database;
use crate::invoke::{InvokeError, Policy};
use crate::link::TelegramTime;
use crate::login::Login;
use crate::message::MessageNotice;
use crate::notice::Notice;
use crate::peers::Peers;
use crate::person::{Person, ResolveError, Resolved, Stranger};
use crate::seed::SeedError;
use crate::session::{SessionError, Standing, StoredSession};
use crate::status::{Health, Orange, Red, Status};
use crate::{courier, pool, watchdog};

/// Call news between the tee and the courier, who never makes it wait.
const PARCELS: usize = 1024;
/// How long Telegram may take to answer a log-out.
const LOG_OUT: Duration = Duration::from_secs(5);
/// How long a task may take to end.
const PARTING: Duration = Duration::from_secs(10);

/// What an account is opened with.
#[derive(Clone)]
pub struct Options {
    /// The program's database for this number.
    pub database: Database,
    /// Where `dc-seed.json` may be, for trials away from Telegram's own data centres.
    pub seed: Option<PathBuf>,
    /// From my.telegram.org.
    pub api_id: i32,
    /// From my.telegram.org.
    pub api_hash: String,
    /// Shown to the user among their devices.
    pub device_model: String,
    /// Shown to the user among their devices.
    pub system_version: String,
    /// Shown to the user among their devices.
    pub app_version: String,
    /// ISO 639-1.
    pub lang_code: String,
    /// The SOCKS5 proxy through which alone Telegram is reached, if there is one.
    pub proxy: Option<Proxy>,
    /// How long one step of a login may take.
    pub login_limit: Duration,
    /// How often Telegram is asked whether it is there.
    pub ping_every: Duration,
    /// How long it may take to answer that.
    pub ping_limit: Duration,
    /// How often it is asked whether the session is still authorized.
    pub check_every: Duration,
    /// How long a difference of updates may take before it is asked for again.
    pub difference_limit: Duration,
    /// How often the update state is saved.
    pub sync_every: Duration,
    /// Notices that wait in the channel; more wait in memory.
    pub notices: usize,
    /// Where news of messages goes; a program that wants none costs them nothing.
    pub messages: Option<mpsc::Sender<MessageNotice>>,
}

/// Why an account did not open.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The session could not be read.
    #[error(transparent)]
    Session(#[from] SessionError),
    /// The seed file is wrong or used up.
    #[error(transparent)]
    Seed(#[from] SeedError),
}

/// The same in both languages, where an operator can mend it.
impl From<&OpenError> for Said {
    fn from(error: &OpenError) -> Self {
        match error {
            OpenError::Session(SessionError::Vault(error)) => error.into(),
            _ => error.to_string().into(),
        }
    }
}

/// A Telegram account. Clones are the same account; it closes with [`Account::shutdown`] or with its last clone.
#[derive(Debug, Clone)]
pub struct Account {
    pub(crate) core: Arc<Core>,
    tasks: Arc<Tasks>,
}

#[derive(Debug)]
struct Tasks {
    stop: watch::Sender<bool>,
    running: Mutex<Option<JoinHandle<()>>>,
}

impl Options {
    /// The usual limits.
    #[must_use]
    pub fn new(database: Database, api_id: i32, api_hash: impl Into<String>) -> Self {
        Self {
            database,
            seed: None,
            api_id,
            api_hash: api_hash.into(),
            device_model: "tgtrunk".to_owned(),
            system_version: std::env::consts::OS.to_owned(),
            app_version: env!("CARGO_PKG_VERSION").to_owned(),
            lang_code: "en".to_owned(),
            proxy: None,
            login_limit: Duration::from_secs(20),
            ping_every: Duration::from_secs(15),
            ping_limit: Duration::from_secs(5),
            check_every: Duration::from_secs(60),
            difference_limit: Duration::from_secs(30),
            sync_every: Duration::from_secs(30),
            notices: 256,
            messages: None,
        }
    }

    /// What the settings say, with the usual limits. `device_suffix` tells a program's session from those of the others
    /// in the user's list of devices; `seed` is where `dc-seed.json` may be.
    #[must_use]
    pub fn from_settings(
        database: Database,
        telegram: &Telegram,
        device_suffix: &str,
        seed: PathBuf,
    ) -> Self {
        Self {
            seed: Some(seed),
            device_model: format!("{}{device_suffix}", telegram.device_model),
            system_version: telegram.system_version.clone(),
            app_version: telegram.app_version.clone(),
            lang_code: telegram.lang_code.clone(),
            proxy: telegram.proxy.clone(),
            ..Self::new(database, telegram.api_id, telegram.api_hash.clone())
        }
    }
}

impl Account {
    /// Opens the account and starts its tasks; it connects by itself if somebody is logged in. Never waits for Telegram.
    ///
    /// # Errors
    /// Whatever keeps the session from being read, or a seed file that gives no key to a fresh session.
    pub async fn open(options: Options) -> Result<(Self, mpsc::Receiver<Notice>), OpenError> {
        let pool = options.database.pool().clone();
        let session = StoredSession::open(pool.clone()).await?;
        if session.standing() == Standing::Fresh
            && !session.has_any_key()
            && let Some(seed) = take_seed(options.seed.clone()).await?
        {
            session.begin_anew("fresh", Some(&seed)).await?;
        }
        let peers = Peers::open(pool).await?;
        let (commands, commanded) = mpsc::channel(8);
        let (notice, notices) = mpsc::channel(options.notices.max(1));
        let (send, parcels) = mpsc::channel(PARCELS);
        let stop = watch::Sender::new(false);
        let core = Arc::new(Core {
            health: Health::new(&session.standing()),
            messages: options.messages.clone(),
            settings: Settings::from(options),
            session: Arc::new(session),
            peers: Arc::new(peers),
            turns: tokio::sync::Mutex::default(),
            link: watch::Sender::new(None),
            time: Arc::new(TelegramTime::new(Instant::now(), clock::since_1970())),
            commands,
            kick: Notify::new(),
            gap: Notify::new(),
            accepted: Notify::new(),
            stop: stop.clone(),
        });
        let mut parts = JoinSet::new();
        parts.spawn(courier::run(Arc::clone(&core), parcels, notice));
        parts.spawn(pool::supervise(Arc::clone(&core), commanded, send));
        parts.spawn(watchdog::run(Arc::clone(&core)));
        let running = tokio::spawn(attend(Arc::clone(&core), parts));
        let tasks = Arc::new(Tasks { stop, running: Mutex::new(Some(running)) });
        Ok((Self { core, tasks }, notices))
    }

    /// Invokes any request at the account's home data centre.
    ///
    /// # Errors
    /// See [`InvokeError`]; with the status red, [`InvokeError::Revoked`] at once and nothing is sent.
    pub async fn invoke<R: RemoteCall>(&self, request: &R, policy: Policy) -> Result<R::Return, InvokeError> {
        self.core.invoke(request, policy).await
    }

    /// Invokes a request at another data centre: where a file lies. The request may be sent twice.
    ///
    /// # Errors
    /// See [`InvokeError`]; nothing but the account's own state makes it [`InvokeError::Revoked`].
    pub async fn invoke_at<R: RemoteCall>(
        &self,
        dc: i32,
        request: &R,
        policy: Policy,
    ) -> Result<R::Return, InvokeError> {
        self.core.invoke_at(dc, request, policy).await
    }

    /// Finds a person: remembered ones first, then by Telegram, which is remembered.
    ///
    /// # Errors
    /// See [`ResolveError`].
    pub async fn resolve(&self, person: Person) -> Result<Resolved, ResolveError> {
        self.core.resolve(&person, false).await
    }

    /// The same without trusting what is remembered: once after Telegram refused the access hash
    /// (`PEER_ID_INVALID`, `USER_ID_INVALID`).
    ///
    /// # Errors
    /// See [`ResolveError`].
    pub async fn resolve_anew(&self, person: Person) -> Result<Resolved, ResolveError> {
        self.core.resolve(&person, true).await
    }

    /// A person the account has met, by id, without asking Telegram.
    #[must_use]
    pub fn known(&self, id: i64) -> Option<Resolved> {
        self.core.peers.by_id(id)
    }

    /// Whose a name or a number is as far as that was found out not long ago, without asking Telegram: names and numbers
    /// are given up and taken by others.
    #[must_use]
    pub fn remembered_lately(&self, person: &Person) -> Option<Resolved> {
        self.core.recall_late(person)
    }

    /// The same; where it is longer ago, Telegram is asked whether they still have it. Nobody is looked up by a name or a
    /// number, of which Telegram allows few a day: none may as well mean that somebody else has it now.
    ///
    /// # Errors
    /// See [`ResolveError`].
    pub async fn confirmed(&self, person: &Person) -> Result<Option<Resolved>, ResolveError> {
        self.core.confirm(person).await
    }

    /// The person who is remembered to be meant, without asking Telegram.
    #[must_use]
    pub fn remembered(&self, person: &Person) -> Option<Resolved> {
        self.core.recall(person)
    }

    /// The same as [`Self::known`], for somebody whom the account is about to meet: waits until they come along with something.
    pub async fn met(&self, id: i64, within: Duration) -> Option<Resolved> {
        timeout(within, self.core.peers.until_met(id)).await.ok()
    }

    /// Whether an approach to this person is one to a stranger, without asking Telegram; none where it is not.
    #[must_use]
    pub fn stranger(&self, person: &Person) -> Option<Stranger> {
        self.core.stranger(person)
    }

    /// Whether this person is in the account's list of contacts, without asking Telegram: true of those alone who came
    /// along as contacts since the start, as all do with [`Self::meet_contacts`].
    #[must_use]
    pub fn is_contact(&self, person: &Person) -> bool {
        self.core.is_contact(person)
    }

    /// Takes in the account's contacts, who are no strangers.
    ///
    /// # Errors
    /// See [`ResolveError`].
    pub async fn meet_contacts(&self) -> Result<(), ResolveError> {
        let request = tl::functions::contacts::GetContacts { hash: 0 };
        match self.core.invoke(&request, Policy::call()).await? {
            tl::enums::contacts::Contacts::Contacts(found) => Ok(self.remember(&found.users).await?),
            tl::enums::contacts::Contacts::NotModified => Ok(()),
        }
    }

    /// The person with this id knows the account from now on: they took its call.
    pub async fn acquaint(&self, id: i64) {
        self.core.peers.acquaintances.note([id]);
        if let Err(error) = self.core.peers.acquaintances.write().await {
            warn!(%error, "could not remember an acquaintance");
        }
    }

    /// Whether the person with this id is no stranger: a contact, or somebody who wrote, called or took a call.
    #[must_use]
    pub fn knows(&self, id: i64) -> bool {
        self.core.peers.acquaintances.has(id)
    }

    /// The file that the session lives in, where the program keeps its own tables.
    #[must_use]
    pub fn database(&self) -> &Database {
        &self.core.settings.database
    }

    /// Takes in people from an answer to [`Self::invoke`], so that they need not be looked up.
    ///
    /// # Errors
    /// What the database said.
    pub async fn remember(&self, users: &[tl::enums::User]) -> Result<(), SessionError> {
        let met = self.core.peers.meet(users);
        self.core.peers.write(&met).await
    }

    /// Takes in groups and channels from an answer to [`Self::invoke`].
    ///
    /// # Errors
    /// What the database said.
    pub async fn remember_chats(&self, chats: &[tl::enums::Chat]) -> Result<(), SessionError> {
        self.core.session.remember_chats(chats).await
    }

    /// A channel or supergroup that the account has met, as requests take it.
    #[must_use]
    pub fn channel(&self, id: i64) -> Option<tl::types::InputChannel> {
        self.core.session.channel(id)
    }

    /// Who is logged in.
    #[must_use]
    pub fn me(&self) -> Option<Resolved> {
        self.core.me()
    }

    /// The account's lamp, and its changes.
    #[must_use]
    pub fn status(&self) -> watch::Receiver<Status> {
        self.core.health.watch()
    }

    /// Since when Telegram does not answer that did; none while it answers, and while it has not answered yet.
    #[must_use]
    pub fn lost_since(&self) -> Option<Instant> {
        self.core.health.lost_since()
    }

    /// The steps of a login. They may be taken in any state.
    #[must_use]
    pub fn login(&self) -> Login {
        Login::new(Arc::clone(&self.core))
    }

    /// Lets another session in: accepts the login token that it exported (core.telegram.org/api/qr-login).
    ///
    /// # Errors
    /// See [`InvokeError`]; Telegram's own words are `AUTH_TOKEN_EXPIRED`, `AUTH_TOKEN_INVALID`,
    /// `AUTH_TOKEN_ALREADY_ACCEPTED`.
    pub async fn accept_login_token(&self, token: &[u8]) -> Result<(), InvokeError> {
        let request = tl::functions::auth::AcceptLoginToken { token: token.to_vec() };
        self.core.invoke(&request, Policy::call().within(self.core.settings.login_limit)).await.map(drop)
    }

    /// Whether somebody is logged in, as far as is known.
    pub(crate) fn is_in(&self) -> bool {
        self.core.session.standing() == Standing::Authorized && self.core.health.red().is_none()
    }

    /// Forgets the session and its keys, without asking Telegram, and begins a fresh one. The people it met stay known.
    ///
    /// # Errors
    /// What the database said, or a seed file that gives no key.
    pub(crate) async fn forget_session(&self) -> Result<(), AnewError> {
        self.core.begin_anew("reset").await?;
        Ok(self.core.session.forget_old_keys().await?)
    }

    /// Logs out at Telegram, as far as it can be reached, and here.
    ///
    /// # Errors
    /// What the database said.
    pub async fn log_out(&self) -> Result<(), SessionError> {
        if let Err(error) = self.core.tell_log_out().await {
            warn!(%error, "Telegram was not told of the log-out");
        }
        self.core.session.set_standing(Standing::LoggedOut).await?;
        self.core.health.ended(Red::LoggedOut);
        self.core.restart();
        Ok(())
    }

    /// Ends the tasks and saves the update state. Requests under way fail with [`InvokeError::Closed`].
    pub async fn shutdown(&self) {
        self.tasks.stop.send_replace(true);
        let running = self.tasks.running.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(mut running) = running
            && timeout(PARTING, &mut running).await.is_err()
        {
            warn!("the account's tasks had to be ended by force");
            running.abort();
        }
        self.core.health.waiting(Orange::Stopped);
    }
}

impl Core {
    pub(crate) fn me(&self) -> Option<Resolved> {
        let id = self.session.self_id().filter(|_| self.session.standing() == Standing::Authorized)?;
        self.peers.by_id(id)
    }

    /// Tells Telegram that the session is over.
    pub(crate) async fn tell_log_out(&self) -> Result<(), InvokeError> {
        let policy = Policy::call().within(LOG_OUT);
        self.invoke(&tl::functions::auth::LogOut {}, policy).await.map(drop)
    }
}

/// Waits until the account's parts have ended. With one that breaks all of them end, and the lamp says so: half an account
/// would seem to be well.
async fn attend(core: Arc<Core>, mut parts: JoinSet<()>) {
    while let Some(ended) = parts.join_next().await {
        if let Err(error) = ended
            && error.is_panic()
        {
            error!(%error, "a part of the account broke: it is closed");
            core.health.broke();
            core.stop.send_replace(true);
        }
    }
}

impl Drop for Tasks {
    fn drop(&mut self) {
        self.stop.send_replace(true);
    }
}

impl Settings {
    /// The same for another database. Its session wants no messages: it only logs in.
    pub(crate) fn beside(&self, database: Database) -> Options {
        let settings = self.clone();
        Options {
            database,
            seed: settings.seed,
            api_id: settings.api_id,
            api_hash: settings.api_hash,
            device_model: settings.device_model,
            system_version: settings.system_version,
            app_version: settings.app_version,
            lang_code: settings.lang_code,
            proxy: settings.proxy,
            login_limit: settings.login_limit,
            ping_every: settings.ping_every,
            ping_limit: settings.ping_limit,
            check_every: settings.check_every,
            difference_limit: settings.difference_limit,
            sync_every: settings.sync_every,
            notices: 1,
            messages: None,
        }
    }
}

impl From<Options> for Settings {
    fn from(options: Options) -> Self {
        Self {
            seed: options.seed,
            api_id: options.api_id,
            api_hash: options.api_hash,
            device_model: options.device_model,
            system_version: options.system_version,
            app_version: options.app_version,
            lang_code: options.lang_code,
            proxy: options.proxy,
            login_limit: options.login_limit,
            ping_every: options.ping_every,
            ping_limit: options.ping_limit,
            check_every: options.check_every,
            difference_limit: options.difference_limit,
            sync_every: options.sync_every,
            database: options.database,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_account_one_of_whose_parts_breaks_says_so_and_ends_whole() {
        let folder = tempfile::tempdir().unwrap();
        let database = Database::open(folder.path().join("client.db")).await.unwrap();
        let (account, _notices) = Account::open(Options::new(database, 1, "x")).await.unwrap();
        let status = account.status();
        assert!(matches!(*status.borrow(), Status::Red { .. }), "nobody is logged in");
        let mut parts = JoinSet::new();
        parts.spawn(async { panic!("as the courier may") });
        attend(Arc::clone(&account.core), parts).await;
        let broken = Status::Orange { reason: Orange::Broken };
        assert_eq!(*status.borrow(), broken);
        account.core.health.proven();
        account.core.health.waiting(Orange::NoAnswer);
        assert_eq!(*status.borrow(), broken, "nothing goes on by itself");
        let running = account.tasks.running.lock().unwrap().take().unwrap();
        timeout(Duration::from_secs(5), running).await.expect("the others end").unwrap();
        account.shutdown().await;
        assert_eq!(*status.borrow(), Status::Orange { reason: Orange::Stopped });
    }
}
