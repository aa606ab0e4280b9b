//! An instance: an account or a bot as programs know it.

mod attachment;
mod calls;
mod chats;
pub(crate) mod inner;
mod jobs;
mod letters;

use std::io::{self, ErrorKind};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::{Instant, timeout_at};

pub(crate) use self::attachment::{is_link, kept, name_in, with_end_of};
pub use self::calls::CallNews;
use self::inner::Inner;
pub(crate) use self::letters::Posted;
use crate::chat::{Address, ChatId};
use crate::content::Content;
use crate::files::Files;
use crate::id::{InstanceId, MessageId};
use crate::messenger::{Failure, Messenger, News};
use crate::reach::Web;
use crate::settings::{Settings, SettingsError};
use crate::standing::Standing;
use crate::store::{self, InstanceRow, StorageError, Store, StoreError};
use crate::token::{self, Token};
use crate::{clock, job, outbox, push, upkeep};

/// Whose instance it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InstanceKind {
    /// An account's.
    User,
    /// A bot's.
    Bot,
}

/// What the account seems to be doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TypingKind {
    /// Writing.
    Text,
    /// Speaking.
    RecordVoiceNote,
    /// Sending a voice.
    UploadVoiceNote,
    /// Filming a round film.
    RecordVideoNote,
    /// Sending one.
    UploadVideoNote,
    /// Filming.
    RecordVideo,
    /// Sending a film.
    UploadVideo,
    /// Sending a picture.
    UploadPhoto,
    /// Sending a file.
    UploadDocument,
    /// Choosing a sticker.
    ChooseSticker,
    /// Choosing a place.
    ChooseLocation,
    /// Choosing a contact.
    ChooseContact,
}

/// What is shown before a message is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Typing {
    /// What the account seems to be doing.
    pub kind: TypingKind,
    /// For how long: milliseconds, 1,000 to 20,000.
    pub ms: u32,
}

/// A message that a program wants to have sent.
#[derive(Clone, Debug, PartialEq)]
pub struct Draft {
    /// Whom to.
    pub to: Address,
    /// What is in it. A file is in the file store (`stored`), or is to be fetched (`url`).
    pub content: Content,
    /// The message that it answers.
    pub quoted: Option<MessageId>,
    /// A message to be forwarded instead.
    pub forward: Option<(ChatId, MessageId)>,
    /// What is shown before.
    pub typing: Option<Typing>,
    /// How it is sent.
    pub manner: Manner,
    /// What a bot puts under it, or in place of people's letters.
    pub buttons: Option<Value>,
    /// What the program called, as the queue shows it.
    pub method: &'static str,
    /// What it said, as the queue shows it.
    pub request: Value,
}

/// How a message is sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Manner {
    /// Without a sound.
    pub is_silent: bool,
    /// A forwarded one does not say who wrote it.
    pub hides_author: bool,
    /// Not at all if the message that it answers is not there any more.
    pub needs_quoted: bool,
    /// The files that can be had even if others of them cannot.
    pub takes_some: bool,
    /// Not before this time: milliseconds since 1970.
    pub not_before_ms: i64,
}

/// A message that is in the outgoing queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// Its number.
    pub id: MessageId,
}

/// A line of the outgoing queue.
#[derive(Clone, Debug, PartialEq)]
pub struct QueueLine {
    /// The message.
    pub id: MessageId,
    /// What the program called.
    pub method: String,
    /// What it said.
    pub request: Value,
    /// How often it was tried.
    pub attempts: u32,
    /// When it is tried next: milliseconds since 1970.
    pub not_before_ms: i64,
    /// What went wrong last.
    pub last_error: Option<String>,
}

/// Why something is not done for a program.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Something in the request cannot be so; the text names it.
    #[error("{0}")]
    Bad(String),
    /// The instance stands so that it cannot be done.
    #[error("the instance is {}", .0.as_str())]
    Standing(Standing),
    /// There is no such message, or file, or instance.
    #[error("{0}")]
    Missing(String),
    /// The message is being sent just now; it can be done when it is.
    #[error("{0}")]
    UnderWay(String),
    /// Too much at once.
    #[error("{0}")]
    Full(String),
    /// Telegram was asked for as many numbers and names in a day as the settings allow.
    #[error(
        "Telegram was asked for {budget} numbers and names today, which is the most that the settings allow"
    )]
    Spent {
        /// So many.
        budget: u32,
        /// When it may be asked again: seconds.
        seconds: u32,
    },
    /// Telegram did not do it.
    #[error(transparent)]
    Telegram(Failure),
    /// The disk has no room for it: nothing was done.
    #[error("{0}")]
    NoRoom(String),
    /// The disk did not.
    #[error("{0}")]
    Storage(String),
}

/// A file in the file store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredFile {
    /// What the store calls it, for [`crate::Attachment::stored`].
    pub key: String,
    /// What it is called.
    pub name: String,
    /// Its media type.
    pub mime: String,
    /// Its length in bytes.
    pub size: u64,
    /// The link by which it is fetched.
    pub url: String,
}

/// How an instance treats what it keeps.
#[derive(Clone, Debug)]
pub struct Options {
    /// A name for people.
    pub name: String,
    /// Whose it is.
    pub kind: InstanceKind,
    /// Where bodies of files are kept.
    pub files: std::path::PathBuf,
    /// What links to files begin with: `http://127.0.0.1:8091`.
    pub base: String,
    /// How long notifications may wait to be fetched.
    pub queue_life: Duration,
    /// How long a message may wait in the outgoing queue.
    pub outgoing_life: Duration,
    /// How long the journal reaches back.
    pub journal_life: Duration,
    /// How long links to files are good.
    pub file_life: Duration,
    /// How many phone numbers and names Telegram is asked for in a day.
    pub checks_per_day: u32,
    /// How long it is believed whose a number or a name is, a day at most: names are given up and taken by others. An
    /// account that hears of it, or asks, knows it sooner. Who is looked up again sooner than after a day is not counted again.
    pub found_life: Duration,
    /// How long a webhook may think.
    pub webhook_timeout: Duration,
    /// The first pause after which a webhook is brought again what it did not take, and the longest: each is twice the one
    /// before.
    pub webhook_pauses: [Duration; 2],
    /// Longest outgoing queue.
    pub queue_limit: u32,
    /// How many notifications may wait to be fetched. The oldest give way to more, so that whoever writes to an account whose
    /// program is gone fills no disk.
    pub notification_limit: u32,
    /// Whether a text that is longer than one message of Telegram's is refused in the GREEN-API dialect, instead of being sent as
    /// several.
    pub refuses_long_texts: bool,
    /// How long a program may be silent in the middle of a request.
    pub request_silence: Duration,
    /// How long whoever gives a file on the web may be slower than 64 kB/s: its message holds up those behind it meanwhile.
    pub fetch_patience: Duration,
    /// Ports on which the program itself listens: files are not fetched from there, nor notifications brought.
    pub own_ports: Vec<u16>,
    /// How much files may hold together: bytes. The oldest give way.
    pub files_most_bytes: u64,
    /// What is left free on the disk: bytes. Below it no files are kept, and below half of it no texts of the journal.
    pub disk_reserve_bytes: u64,
}

/// An instance at work. Clones are the same one; it ends with the last.
#[derive(Clone)]
pub struct Instance {
    inner: Arc<Inner>,
    tasks: Arc<Mutex<JoinSet<()>>>,
}

impl Options {
    /// The usual ones.
    #[must_use]
    pub fn new(kind: InstanceKind, name: &str, files: std::path::PathBuf, base: &str) -> Self {
        const DAY: Duration = Duration::from_secs(86_400);
        Self {
            name: name.to_owned(),
            kind,
            files,
            base: base.trim_end_matches('/').to_owned(),
            queue_life: DAY,
            outgoing_life: DAY,
            journal_life: DAY * 30,
            file_life: DAY,
            checks_per_day: 100,
            found_life: DAY,
            webhook_timeout: Duration::from_secs(30),
            webhook_pauses: [Duration::from_secs(1), Duration::from_secs(60)],
            queue_limit: 100_000,
            notification_limit: 100_000,
            refuses_long_texts: false,
            request_silence: Duration::from_secs(15),
            fetch_patience: Duration::from_secs(25),
            own_ports: Vec::new(),
            files_most_bytes: 5_000 << 20,
            disk_reserve_bytes: 200 << 20,
        }
    }

    pub(crate) fn queue_ms(&self) -> i64 {
        i64::try_from(self.queue_life.as_millis()).unwrap_or(i64::MAX)
    }

    pub(crate) fn found_s(&self) -> i64 {
        i64::try_from(self.found_life.as_secs()).unwrap_or(i64::MAX)
    }

    pub(crate) fn outgoing_ms(&self) -> i64 {
        i64::try_from(self.outgoing_life.as_millis()).unwrap_or(i64::MAX)
    }
}

impl Instance {
    /// Opens the instance of a database, which is made where there is none, and goes on with what it had under way.
    ///
    /// # Errors
    /// [`Refused::Storage`].
    pub async fn open(
        store: Store,
        messenger: Arc<dyn Messenger>,
        options: Options,
    ) -> Result<Self, Refused> {
        let new = InstanceRow {
            id: InstanceId::random(),
            kind: options.kind.as_str().to_owned(),
            name: options.name.clone(),
            token_hash: String::new(),
            settings: Settings::default(),
            created_s: clock::unix_s(),
            suspended_until_s: None,
        };
        let row = store.instance(new).await?;
        let known = store.bodies().await?;
        let opens = options.clone();
        let files = spawn_blocking(move || Files::open(&opens, &known)).await;
        let files = files.map_err(io::Error::other).flatten();
        let files = files
            .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", options.files.display())))?;
        let unable = |error: reqwest::Error| Refused::Storage(error.to_string());
        let web = Web::new(Some(crate::files::SILENCE), &options.own_ports).map_err(unable)?;
        let pusher = Web::new(None, &options.own_ports).map_err(unable)?;
        store.limit_notifications(options.notification_limit).await?;
        store.lose_hold(messenger.knows_repeats()).await?;
        let inner = Arc::new(Inner::new(row, store, files, messenger, options, web));
        let mut tasks = JoinSet::new();
        upkeep::keep(&mut tasks, "outgoing queue", &inner, outbox::run);
        upkeep::keep(&mut tasks, "jobs", &inner, job::run);
        upkeep::keep(&mut tasks, "webhook", &inner, move |inner| push::run(inner, pusher.clone()));
        upkeep::keep(&mut tasks, "upkeep", &inner, upkeep::watch);
        upkeep::keep(&mut tasks, "forgetting", &inner, upkeep::forget);
        Ok(Self { inner, tasks: Arc::new(Mutex::new(tasks)) })
    }

    /// The same one for a task of its own, which does not keep it alive.
    pub(crate) fn of(inner: Arc<Inner>) -> Self {
        Self { inner, tasks: Arc::default() }
    }

    /// What its tasks share.
    pub(crate) fn inner(&self) -> &Arc<Inner> {
        &self.inner
    }

    /// Hands no more messages over, and waits so long at most until the one under way is through: cut off, nobody would
    /// know whether Telegram has it. What waits stays in the queue.
    pub async fn finish(&self, grace: Duration) {
        self.inner.is_ending.store(true, Ordering::Relaxed);
        tokio::time::timeout(grace, self.inner.handing.lock()).await.ok();
    }

    /// Ends what it does by itself; whoever waits for a notification hears that it is starting. Its database may be closed
    /// then.
    pub fn close(&self) {
        self.inner.is_closed.store(true, Ordering::Relaxed);
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner).abort_all();
        self.inner.notifications.notify_waiters();
        self.inner.bells.ring_all();
    }

    /// Takes news in; when this returns they are on the disk, and Telegram need not tell them again.
    ///
    /// # Errors
    /// [`Refused::Storage`]: nothing was taken in.
    pub async fn take(&self, news: News) -> Result<(), Refused> {
        Ok(self.inner.take(news).await?)
    }

    /// Its number.
    #[must_use]
    pub fn id(&self) -> InstanceId {
        self.inner.row().id
    }

    /// Whose it is.
    #[must_use]
    pub fn kind(&self) -> InstanceKind {
        self.inner.options.kind
    }

    /// Its name for people.
    #[must_use]
    pub fn name(&self) -> String {
        self.inner.row().name.clone()
    }

    /// When it was made: seconds since 1970.
    #[must_use]
    pub fn created_s(&self) -> i64 {
        self.inner.row().created_s
    }

    /// Whether it has a token.
    #[must_use]
    pub fn has_token(&self) -> bool {
        !self.inner.row().token_hash.is_empty()
    }

    /// Whether a program's token is its token.
    #[must_use]
    pub fn is_token(&self, said: &str) -> bool {
        token::is_token(said, &self.inner.row().token_hash)
    }

    /// What is kept of its token.
    pub(crate) fn token_hash(&self) -> String {
        self.inner.row().token_hash.clone()
    }

    /// Gives it another token; the old one is dead.
    ///
    /// # Errors
    /// [`Refused::Storage`].
    pub async fn renew_token(&self) -> Result<Token, Refused> {
        let _one = self.inner.changing.lock().await;
        let token = Token::new();
        self.inner.store.keep_token(&token.hash()).await?;
        self.inner.change_row(|row| row.token_hash = token.hash());
        Ok(token)
    }

    /// Whether a text that is longer than one message is refused in the GREEN-API dialect.
    pub(crate) fn refuses_long_texts(&self) -> bool {
        self.inner.options.refuses_long_texts
    }

    /// Who speaks with Telegram for it.
    #[must_use]
    pub fn messenger(&self) -> Arc<dyn Messenger> {
        Arc::clone(&self.inner.messenger)
    }

    /// How it stands with Telegram.
    #[must_use]
    pub fn standing(&self) -> Standing {
        self.inner.standing()
    }

    /// When it is tried again whether a limited account may write to strangers: seconds since 1970. Telegram tells no end.
    #[must_use]
    pub fn suspended_until_s(&self) -> Option<i64> {
        self.inner.row().suspended_until_s.filter(|until| *until > clock::unix_s())
    }

    /// The account's own address, `<phone>@c.us`; empty while it is not authorized.
    #[must_use]
    pub fn wid(&self) -> String {
        self.inner.wid()
    }

    /// Its settings.
    #[must_use]
    pub fn settings(&self) -> Settings {
        self.inner.row().settings.clone()
    }

    /// Changes what is named.
    ///
    /// # Errors
    /// [`Refused::Bad`], [`Refused::Storage`].
    pub async fn change_settings(&self, values: &Map<String, Value>) -> Result<(), Refused> {
        let _one = self.inner.changing.lock().await;
        let mut settings = self.settings();
        settings.change(values)?;
        self.inner.store.keep_settings(&settings).await?;
        self.inner.change_row(|row| row.settings = settings);
        self.inner.settings_changed.notify_waiters();
        self.inner.outgoing.notify_one();
        Ok(())
    }

    /// The notification at the head of the queue: receipt and body; waits for one, at most `wait`.
    ///
    /// # Errors
    /// [`Refused::Storage`].
    pub async fn receive(&self, wait: Duration) -> Result<Option<(i64, Value)>, Refused> {
        let until = Instant::now() + wait;
        loop {
            let told = self.inner.notifications.notified();
            tokio::pin!(told);
            told.as_mut().enable();
            if self.inner.is_closed.load(Ordering::Relaxed) {
                return Err(Refused::Standing(Standing::Starting));
            }
            if let Some(head) = self.inner.head().await? {
                self.inner.note_fetched(head.receipt);
                return Ok(Some((head.receipt, head.body)));
            }
            if timeout_at(until, told).await.is_err() {
                return Ok(None);
            }
        }
    }

    /// Takes a notification away; false if it is not there.
    ///
    /// # Errors
    /// [`Refused::Storage`].
    pub async fn confirm(&self, receipt: i64) -> Result<bool, Refused> {
        let is_gone = self.inner.store.confirm(receipt).await?;
        if is_gone {
            // The next one is the head now.
            self.inner.notifications.notify_waiters();
            self.inner.touch();
        }
        Ok(is_gone)
    }

    /// How many notifications wait.
    ///
    /// # Errors
    /// [`Refused::Storage`].
    pub async fn notifications_len(&self) -> Result<u64, Refused> {
        self.notifications_up_to(u64::MAX).await
    }

    /// How many notifications wait. No more than `most` are counted, which is quick however many there are.
    ///
    /// # Errors
    /// [`Refused::Storage`].
    pub async fn notifications_up_to(&self, most: u64) -> Result<u64, Refused> {
        Ok(self.inner.store.notifications_len(self.inner.since_ms(), most).await?)
    }

    /// Takes all notifications away; the seconds until it may be done again, sooner than a minute after the last time.
    ///
    /// # Errors
    /// [`Refused::Storage`].
    pub async fn clear_notifications(&self) -> Result<Result<(), u64>, Refused> {
        if let Err(left_s) = self.inner.may_clear() {
            return Ok(Err(left_s));
        }
        self.inner.store.clear_notifications().await?;
        self.inner.touch();
        Ok(Ok(()))
    }
}

impl InstanceKind {
    /// The word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Bot => "bot",
        }
    }
}

impl From<SettingsError> for Refused {
    fn from(error: SettingsError) -> Self {
        Self::Bad(error.to_string())
    }
}

impl From<StorageError> for Refused {
    fn from(error: StorageError) -> Self {
        if store::is_full(&error) { Self::full_disk() } else { Self::Storage(error.to_string()) }
    }
}

impl From<io::Error> for Refused {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => Self::full_disk(),
            _ => Self::Storage(error.to_string()),
        }
    }
}

impl Refused {
    fn full_disk() -> Self {
        Self::NoRoom("the disk is full: nothing was kept; make room on it and say it again".to_owned())
    }
}

impl From<StoreError> for Refused {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Sqlite(error) => error.into(),
            error @ StoreError::Newer { .. } => Self::Storage(error.to_string()),
        }
    }
}

impl From<Failure> for Refused {
    fn from(failure: Failure) -> Self {
        Self::Telegram(failure)
    }
}
