//! What the tasks of an instance share.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};
use std::time::Duration;

use reqwest::Client;
use tokio::sync::Notify;
use tokio::time::Instant;
use tracing::debug;

use super::{Options, Refused};
use crate::chat::{ChatId, Person};
use crate::clock;
use crate::content::{Attachment, Content};
use crate::files::Files;
use crate::green::notification::{self, Envelope};
use crate::id::MessageId;
use crate::messenger::{Failure, Messenger};
use crate::record::Record;
use crate::standing::Standing;
use crate::store::{InstanceRow, Notification, Outgoing, Store, Told};

/// How often the queue of notifications may be emptied.
const CLEAR_EVERY: Duration = Duration::from_secs(60);

/// What the tasks of an instance share.
pub(crate) struct Inner {
    row: RwLock<InstanceRow>,
    pub(crate) store: Store,
    pub(crate) files: Files,
    pub(crate) messenger: Arc<dyn Messenger>,
    pub(crate) options: Options,
    pub(crate) client: Client,
    /// There is something to send.
    pub(crate) outgoing: Notify,
    /// There is something to tell.
    pub(crate) notifications: Notify,
    pub(crate) settings_changed: Notify,
    cleared: Mutex<Option<Instant>>,
    sending: Mutex<Option<MessageId>>,
}

impl Inner {
    pub(crate) fn new(
        row: InstanceRow,
        store: Store,
        files: Files,
        messenger: Arc<dyn Messenger>,
        options: Options,
        client: Client,
    ) -> Self {
        Self {
            row: RwLock::new(row),
            store,
            files,
            messenger,
            options,
            client,
            outgoing: Notify::new(),
            notifications: Notify::new(),
            settings_changed: Notify::new(),
            cleared: Mutex::default(),
            sending: Mutex::default(),
        }
    }

    pub(crate) fn row(&self) -> RwLockReadGuard<'_, InstanceRow> {
        self.row.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn change_row(&self, change: impl FnOnce(&mut InstanceRow)) {
        change(&mut self.row.write().unwrap_or_else(PoisonError::into_inner));
    }

    pub(crate) fn standing(&self) -> Standing {
        let standing = self.messenger.standing();
        let until = self.row().suspended_until_s;
        if standing == Standing::Authorized && until.is_some_and(|until| until > clock::unix_s()) {
            return Standing::Suspended;
        }
        standing
    }

    pub(crate) fn wid(&self) -> String {
        let account = self.messenger.account();
        if account.phone.is_empty() { String::new() } else { format!("{}@c.us", account.phone) }
    }

    /// Notifications from before this are too old: milliseconds since 1970.
    pub(crate) fn since_ms(&self) -> i64 {
        clock::unix_ms() - self.options.queue_ms()
    }

    pub(crate) async fn head(&self) -> Result<Option<Notification>, sqlx::Error> {
        self.store.head(self.since_ms()).await
    }

    /// Whether the queue of notifications may be emptied now; else the seconds until then.
    pub(crate) fn may_clear(&self) -> Result<(), u64> {
        let mut cleared = lock(&self.cleared);
        if let Some(left) = cleared.and_then(|at| CLEAR_EVERY.checked_sub(at.elapsed())) {
            return Err(left.as_secs().max(1));
        }
        *cleared = Some(Instant::now());
        Ok(())
    }

    /// A message is being handed to Telegram, or none.
    pub(crate) fn sends(&self, id: Option<MessageId>) {
        *lock(&self.sending) = id;
    }

    pub(crate) fn is_sending(&self, id: MessageId) -> bool {
        *lock(&self.sending) == Some(id)
    }

    /// A message will not be sent; that is told whatever the settings say.
    pub(crate) async fn fail(&self, id: MessageId, cause: &str) -> Result<(), sqlx::Error> {
        let told = |record: &Record| vec![self.told_status(record, "failed")];
        self.store.failed(id, cause, told, clock::unix_ms()).await?;
        self.notifications.notify_waiters();
        Ok(())
    }

    /// The account has to rest.
    pub(crate) async fn rests(&self, pause: Duration, failure: &Failure) -> Result<(), sqlx::Error> {
        if *failure != Failure::PeerFlood {
            return Ok(());
        }
        let until_s = clock::unix_s() + i64::try_from(pause.as_secs()).unwrap_or(0);
        self.store.keep_suspension(Some(until_s)).await?;
        self.change_row(|row| row.suspended_until_s = Some(until_s));
        self.settings_changed.notify_waiters();
        Ok(())
    }

    /// Telegram's number of a message: of the journal, or one that programs know from elsewhere.
    pub(crate) async fn tg_id_of(&self, id: MessageId) -> Result<Option<i32>, sqlx::Error> {
        match self.store.message(id).await? {
            Some(record) => Ok(record.tg_id),
            None => Ok(i32::try_from(id.get()).ok()),
        }
    }

    /// The body of a file that is to be sent; fetched from the web where it has to be.
    pub(crate) async fn fetch_for_sending(
        &self,
        outgoing: &Outgoing,
        file: &mut Attachment,
    ) -> Result<Result<PathBuf, Failure>, sqlx::Error> {
        let key = match (&file.stored, &file.url) {
            (Some(key), _) => key.clone(),
            (None, Some(url)) => match self.files.fetch(&self.store, &self.client, url, &file.name).await {
                Ok(stored) => {
                    file.stored = Some(stored.key.clone());
                    file.mime.clone_from(&stored.mime);
                    file.size = stored.size;
                    file.kind = crate::files::kind_of(&stored.mime);
                    // The next try need not fetch it again.
                    self.store.fetched(outgoing, file).await?;
                    stored.key
                }
                Err(failure) => return Ok(Err(failure)),
            },
            (None, None) => {
                let sentence = "the file is not there".to_owned();
                return Ok(Err(Failure::Refused { word: "attachment_failed", sentence }));
            }
        };
        let path = self.files.path(&key);
        if tokio::fs::try_exists(&path).await.unwrap_or(false) {
            return Ok(Ok(path));
        }
        let sentence = "the file is not kept any more".to_owned();
        Ok(Err(Failure::Refused { word: "attachment_failed", sentence }))
    }

    /// Fetches a stored file's body from Telegram.
    pub(crate) async fn download(&self, secret: &str, remote: &str) -> Result<(), Refused> {
        let path = self.files.path(secret);
        let part = path.with_extension("part");
        let limit = crate::files::MOST_BYTES;
        self.messenger.download(remote, &part, limit).await?;
        let storage = |error: std::io::Error| Refused::Storage(error.to_string());
        let size = tokio::fs::metadata(&part).await.map_err(storage)?.len();
        tokio::fs::rename(&part, &path).await.map_err(storage)?;
        self.store.file_is_here(secret, i64::try_from(size).unwrap_or(i64::MAX)).await?;
        Ok(())
    }

    /// Marks a chat read after an answer, if that is wanted.
    pub(crate) fn read_on_reply(self: &Arc<Self>, chat: ChatId) {
        if self.row().settings.is_on("markIncomingMessagesReadedOnReply") {
            self.mark(chat, None);
        }
    }

    /// Marks a message read that came, if that is wanted.
    pub(crate) fn mark_received(self: &Arc<Self>, chat: ChatId, tg_id: i32) {
        let is_wanted = {
            let row = self.row();
            row.settings.is_on("markIncomingMessagesReaded")
                && !row.settings.is_on("markIncomingMessagesReadedOnReply")
        };
        if is_wanted {
            self.mark(chat, Some(tg_id));
        }
    }

    fn mark(self: &Arc<Self>, chat: ChatId, up_to: Option<i32>) {
        let inner = Arc::clone(self);
        tokio::spawn(async move {
            if let Err(failure) = inner.messenger.mark_read(chat, up_to).await {
                debug!(%failure, "a chat is not marked read");
            }
        });
    }

    /// The link to a record's file, if it has one.
    pub(crate) fn link_of(&self, content: &Content) -> Option<String> {
        let Content::File { file, .. } = content else { return None };
        file.stored.as_deref().map(|key| self.files.link(key, &file.name)).or_else(|| file.url.clone())
    }

    pub(crate) fn told_message(&self, kind: &'static str, record: &Record) -> Told {
        let link = self.link_of(&record.content);
        let body =
            self.with_envelope(|envelope| notification::message(envelope, kind, record, link.as_deref()));
        let dedupe = match (record.chat, record.tg_id) {
            (Some(chat), Some(tg_id)) => crate::inbox::dedupe("new", chat, tg_id),
            _ => format!("api:{}", record.id),
        };
        Told { kind, dedupe, body }
    }

    pub(crate) fn told_status(&self, record: &Record, status: &str) -> Told {
        let body = self.with_envelope(|envelope| notification::status(envelope, record, status));
        Told { kind: "outgoingMessageStatus", dedupe: format!("status:{}:{status}", record.id), body }
    }

    pub(crate) fn told_edited(&self, id: MessageId, record: &Record) -> Told {
        let (kind, link) = (kind_of(record), self.link_of(&record.content));
        let body =
            self.with_envelope(|envelope| notification::edited(envelope, kind, id, record, link.as_deref()));
        Told { kind, dedupe: String::new(), body }
    }

    pub(crate) fn told_deleted(&self, id: MessageId, record: &Record) -> Told {
        let kind = kind_of(record);
        let body = self.with_envelope(|envelope| notification::deleted(envelope, kind, id, record));
        Told { kind, dedupe: String::new(), body }
    }

    pub(crate) fn told_reaction(
        &self,
        id: MessageId,
        emoji: &str,
        sender: Option<&Person>,
        record: &Record,
    ) -> Told {
        let body = self.with_envelope(|envelope| notification::reaction(envelope, id, emoji, sender, record));
        Told { kind: "incomingMessageReceived", dedupe: String::new(), body }
    }

    pub(crate) fn told_standing(&self, standing: Standing) -> Told {
        let body = self.with_envelope(|envelope| notification::standing(envelope, standing));
        let dedupe = format!("standing:{}:{}", standing.as_str(), clock::unix_ms());
        Told { kind: "stateInstanceChanged", dedupe, body }
    }

    fn with_envelope<T>(&self, build: impl FnOnce(&Envelope<'_>) -> T) -> T {
        let account = self.messenger.account();
        build(&Envelope { instance: self.row().id, account: &account, now_s: clock::unix_s() })
    }
}

/// What is told of a message that was changed: whose it is.
fn kind_of(record: &Record) -> &'static str {
    match record.direction {
        crate::record::Direction::Incoming => "incomingMessageReceived",
        crate::record::Direction::Outgoing => "outgoingMessageReceived",
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
