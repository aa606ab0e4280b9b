//! What the tasks of an instance share.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep};
use tracing::{debug, warn};

use super::{CallNews, Options, Refused};
use crate::browse;
use crate::chat::{Address, ChatId, Person};
use crate::clock::{self, Ages};
use crate::content::{Attachment, Content, FileKind};
use crate::fetching::Fetching;
use crate::files::{Coming, Files};
use crate::green::notification::{self, Envelope};
use crate::id::MessageId;
use crate::job::Bells;
use crate::messenger::{Failure, Messenger};
use crate::reach::Web;
use crate::record::{Reason, Record, SendStatus};
use crate::standing::Standing;
use crate::store::{Fault, Hold, InstanceRow, Notification, Outgoing, StorageError, Store, Teller, Told};

/// How often it is looked whether a message whose files are fetched is still wanted.
const LOOK: Duration = Duration::from_secs(1);

/// How long it is believed that somebody has Telegram, and that nobody has, in seconds.
pub(crate) const FOUND_S: i64 = 24 * 3600;
const UNFOUND_S: i64 = 6 * 3600;
/// Seconds of a day.
const DAY_S: i64 = 86_400;
/// How often the queue of notifications may be emptied.
const CLEAR_EVERY: Duration = Duration::from_secs(60);
/// Why what waited is not sent when the number has another account.
const OTHER_ACCOUNT: &str =
    "the number has another Telegram account since: it was not sent in the other one's name";

/// Where a chat is that was named.
pub(crate) enum Located {
    At(ChatId),
    /// Nobody is found; a sentence.
    Nobody(String),
    /// No more may be asked today; so long.
    Spent {
        seconds: u32,
    },
    /// Telegram cannot be asked.
    Unable(Failure),
}

/// What came of asking Telegram who somebody is.
pub(crate) enum LookedUp {
    /// Who it is, or nobody.
    Found(Option<ChatId>),
    /// No more may be asked today; so long.
    Spent { seconds: u32 },
    /// Telegram cannot be asked, or does not answer.
    Unable(Failure),
}

/// Seconds until a new day begins, with a new budget (UTC).
pub(super) fn until_tomorrow_s(now_s: i64) -> u32 {
    u32::try_from(DAY_S - now_s.rem_euclid(DAY_S)).unwrap_or(0)
}

/// What the tasks of an instance share.
pub(crate) struct Inner {
    row: RwLock<Arc<InstanceRow>>,
    pub(crate) store: Store,
    pub(crate) files: Files,
    pub(crate) messenger: Arc<dyn Messenger>,
    pub(crate) options: Options,
    pub(crate) web: Web,
    pub(crate) ages: Ages,
    /// There is something to send.
    pub(crate) outgoing: Notify,
    /// Programs have asked for something to be done.
    pub(crate) jobs: Notify,
    /// Whoever waits for jobs.
    pub(crate) bells: Bells,
    /// The queue rests.
    pub(crate) rests: Notify,
    /// There is something to tell.
    pub(crate) notifications: Notify,
    pub(crate) settings_changed: Notify,
    /// Who changes the row, one after the other.
    pub(crate) changing: tokio::sync::Mutex<()>,
    /// When the webhook last took something: milliseconds since 1970; 0 for not yet.
    pub(crate) pushed_ms: AtomicI64,
    /// When it is brought the head again: milliseconds since 1970; 0 where that is not waited for.
    pub(crate) next_push_ms: AtomicI64,
    /// Until when actions rest: milliseconds since 1970; 0 for not at all.
    pub(crate) jobs_rest_until_ms: AtomicI64,
    /// Grows whenever something may look another way.
    pub(crate) revision: AtomicU64,
    /// It ends; its database may be closed.
    pub(crate) is_closed: AtomicBool,
    /// Nothing more is handed over.
    pub(crate) is_ending: AtomicBool,
    /// Held while a message is handed over.
    pub(crate) handing: tokio::sync::Mutex<()>,
    /// Whose messages these are, once that was looked at.
    whose: tokio::sync::Mutex<Option<ChatId>>,
    cleared: Mutex<Option<Instant>>,
    /// The notification that programs fetched last, how often, and since when: milliseconds since 1970.
    fetched: Mutex<(i64, u32, i64)>,
    pub(crate) fetching: Fetching,
}

impl Inner {
    pub(crate) fn new(
        row: InstanceRow,
        store: Store,
        files: Files,
        messenger: Arc<dyn Messenger>,
        options: Options,
        web: Web,
    ) -> Self {
        Self {
            row: RwLock::new(Arc::new(row)),
            store,
            files,
            messenger,
            options,
            web,
            ages: Ages::new(),
            outgoing: Notify::new(),
            jobs: Notify::new(),
            bells: Bells::default(),
            rests: Notify::new(),
            notifications: Notify::new(),
            settings_changed: Notify::new(),
            changing: tokio::sync::Mutex::default(),
            pushed_ms: AtomicI64::new(0),
            next_push_ms: AtomicI64::new(0),
            jobs_rest_until_ms: AtomicI64::new(0),
            revision: AtomicU64::new(0),
            is_closed: AtomicBool::new(false),
            is_ending: AtomicBool::new(false),
            handing: tokio::sync::Mutex::default(),
            whose: tokio::sync::Mutex::default(),
            cleared: Mutex::default(),
            fetched: Mutex::default(),
            fetching: Fetching::default(),
        }
    }

    /// Something may look another way now.
    pub(crate) fn touch(&self) {
        self.revision.fetch_add(1, Ordering::Relaxed);
    }

    /// The row as it is now: a copy, so that nobody holds a lock while something is built from it.
    pub(crate) fn row(&self) -> Arc<InstanceRow> {
        Arc::clone(&self.row.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn change_row(&self, change: impl FnOnce(&mut InstanceRow)) {
        change(Arc::make_mut(&mut self.row.write().unwrap_or_else(PoisonError::into_inner)));
        self.touch();
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
        self.ages.before_ms(self.options.queue_ms())
    }

    pub(crate) async fn head(&self) -> Result<Option<Notification>, StorageError> {
        self.store.head(self.since_ms()).await
    }

    /// A program was given a notification.
    pub(crate) fn note_fetched(&self, receipt: i64) {
        let (mut fetched, now_ms) = (lock(&self.fetched), clock::unix_ms());
        if fetched.0 != receipt {
            *fetched = (receipt, 0, now_ms);
        }
        fetched.1 = fetched.1.saturating_add(1);
        // Whoever looks at the queue is told of it then.
        let is_left = browse::is_left(fetched.1, fetched.2, now_ms);
        drop(fetched);
        if is_left {
            self.touch();
        }
    }

    /// How often programs were given a notification, and since when.
    pub(crate) fn fetched(&self, receipt: i64) -> (u32, Option<i64>) {
        let fetched = lock(&self.fetched);
        if fetched.0 == receipt && fetched.1 > 0 { (fetched.1, Some(fetched.2)) } else { (0, None) }
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

    /// Messages will not be sent; that is told whatever the settings say.
    pub(crate) async fn fail(&self, ids: &[MessageId], fault: &Fault) -> Result<(), StorageError> {
        self.store.failed(ids, fault, self, clock::unix_ms()).await?;
        self.settle();
        Ok(())
    }

    /// Something left the outgoing queue.
    pub(crate) fn settle(&self) {
        self.notifications.notify_waiters();
        self.jobs.notify_one();
        self.touch();
    }

    /// The account may not write to strangers for so long, and stands so.
    pub(crate) async fn suspend(&self, pause: Duration) -> Result<(), StorageError> {
        let until_s = clock::unix_s() + i64::try_from(pause.as_secs()).unwrap_or(0);
        self.store.keep_suspension(Some(until_s)).await?;
        self.change_row(|row| row.suspended_until_s = Some(until_s));
        self.settings_changed.notify_waiters();
        Ok(())
    }

    /// The account stands suspended no longer than `longest` from now.
    pub(crate) async fn end_overlong_suspension(
        &self,
        now_ms: i64,
        longest: Duration,
    ) -> Result<(), StorageError> {
        let longest_s = i64::try_from(longest.as_secs()).unwrap_or(i64::MAX);
        if self.row().suspended_until_s.is_some_and(|until_s| until_s - now_ms / 1000 > longest_s) {
            self.store.keep_suspension(None).await?;
            self.change_row(|row| row.suspended_until_s = None);
            self.settings_changed.notify_waiters();
        }
        Ok(())
    }

    /// The chat that an address names, asked of Telegram within the day's budget where it is not known.
    pub(crate) async fn locate(&self, address: &Address) -> Result<Located, StorageError> {
        let nobody = || Located::Nobody(format!("nobody on Telegram is found by {}", address.text()));
        if let Some(known) = self.known(address).await? {
            return Ok(known.map_or_else(nobody, Located::At));
        }
        match self.messenger.confirmed(address).await {
            Ok(Some(chat)) => return Ok(Located::At(chat)),
            Ok(None) => {}
            Err(failure) => return Ok(Located::Unable(failure)),
        }
        Ok(match self.look_up(address).await? {
            LookedUp::Found(found) => found.map_or_else(nobody, Located::At),
            LookedUp::Spent { seconds } => Located::Spent { seconds },
            LookedUp::Unable(failure) => Located::Unable(failure),
        })
    }

    /// Asks Telegram who has a number or a name, within the day's budget, and not while Telegram wants a pause of that.
    pub(crate) async fn look_up(&self, who: &Address) -> Result<LookedUp, StorageError> {
        let (store, now_s, budget) = (&self.store, clock::unix_s(), self.options.checks_per_day);
        let spent = LookedUp::Spent { seconds: until_tomorrow_s(now_s) };
        let key = who.text().to_lowercase();
        // Whether it is still the one of a moment ago is asked beside the budget.
        let is_again = self.options.found_s() < FOUND_S
            && matches!(store.checked(&key).await?, Some((Some(_), at_s)) if now_s - at_s < FOUND_S);
        if !is_again && store.asked_today(now_s).await? >= budget {
            return Ok(spent);
        }
        let now_ms = clock::unix_ms();
        if let Some(until_ms) = store.held_until_ms(Hold::Lookups, now_ms).await? {
            let seconds = u32::try_from((until_ms - now_ms).div_euclid(1000) + 1).unwrap_or(u32::MAX);
            return Ok(LookedUp::Unable(Failure::Flood { seconds }));
        }
        if !is_again && !store.may_ask(budget, now_s).await? {
            return Ok(spent);
        }
        match self.messenger.find(who).await {
            Ok(person) => {
                let found = person.map(|person| person.id);
                store.keep_check(&key, found, now_s).await?;
                Ok(LookedUp::Found(found))
            }
            Err(failure) => {
                if let Failure::Flood { seconds } = failure {
                    let until_ms = now_ms + i64::from(seconds) * 1000;
                    store.hold(Hold::Lookups, now_ms, until_ms, &failure.to_string()).await?;
                    self.rests.notify_waiters();
                    self.touch();
                }
                if !is_again && matches!(failure, Failure::Flood { .. } | Failure::Undone(_)) {
                    store.unask(now_s).await?;
                }
                Ok(LookedUp::Unable(failure))
            }
        }
    }

    /// Whether what was found at a time, in seconds since 1970, still holds.
    pub(super) fn is_believed(&self, who: &Address, found: Option<ChatId>, at_s: i64) -> bool {
        let longest_s = if found.is_some() { FOUND_S } else { UNFOUND_S };
        clock::unix_s() - at_s < self.options.found_s().min(longest_s)
            && found.is_none_or(|chat| self.messenger.is_still(who, chat))
    }

    /// The chat that an address names as far as it is known without asking Telegram: a chat, nobody, or not known.
    pub(crate) async fn known(&self, address: &Address) -> Result<Option<Option<ChatId>>, StorageError> {
        if let Address::Chat(chat) = address {
            return Ok(Some(Some(*chat)));
        }
        // What came along since is newer than what was asked.
        if let Some(chat) = self.messenger.remembered(address) {
            return Ok(Some(Some(chat)));
        }
        if let Some((chat, at_s)) = self.store.checked(&address.text().to_lowercase()).await?
            && self.is_believed(address, chat, at_s)
        {
            return Ok(Some(chat));
        }
        Ok(None)
    }

    /// Looks whether the account is the one of before: a number that was given up may have another one.
    pub(crate) async fn see_account(&self) -> Result<(), StorageError> {
        let Some(account) = self.messenger.account().id else { return Ok(()) };
        let mut whose = self.whose.lock().await;
        if *whose == Some(account) {
            return Ok(());
        }
        let told = |record: &Record| self.of_failed(record);
        let fault = Fault { sentence: OTHER_ACCOUNT.to_owned(), reason: Reason::of("not_authorized") };
        if self.store.begin_account(account, &fault, told, clock::unix_ms()).await? {
            warn!(%account, "the number has another account at Telegram: its messages begin anew");
            self.settle();
        }
        *whose = Some(account);
        Ok(())
    }

    /// Telegram's number of a message: of the journal, or one that programs know from elsewhere.
    pub(crate) async fn tg_id_of(&self, id: MessageId) -> Result<Option<i32>, StorageError> {
        match self.store.message(id).await? {
            Some(record) => Ok(record.tg_id),
            None => Ok(i32::try_from(id.get()).ok()),
        }
    }

    /// Fetches from the web what a message has of it, and gives back which links failed; none where it was taken out of the
    /// queue meanwhile. It is not under way to Telegram yet: what its owner writes meanwhile is not taken for it, and nobody
    /// wonders whether Telegram has it.
    pub(crate) async fn fetch_from_web(
        self: &Arc<Self>,
        outgoing: &mut Outgoing,
    ) -> Result<Option<HashMap<String, Failure>>, StorageError> {
        if outgoing.letter.forward.is_some() {
            return Ok(Some(HashMap::new()));
        }
        let seq = outgoing.seq;
        let until_gone = async {
            loop {
                sleep(LOOK).await;
                if !self.store.is_queued(seq).await? {
                    return Ok(None);
                }
            }
        };
        tokio::select! {
            failures = self.fetch_all(outgoing) => failures.map(Some),
            gone = until_gone => gone,
        }
    }

    /// Fetches one file after the other, up to the first that does not come where nothing goes without it.
    async fn fetch_all(
        self: &Arc<Self>,
        outgoing: &mut Outgoing,
    ) -> Result<HashMap<String, Failure>, StorageError> {
        let (mut failures, mut coming) = (HashMap::new(), Coming::now());
        let files: Vec<_> = outgoing.letter.content.files().cloned().enumerate().collect();
        for (number, mut file) in files {
            let Some(url) = file.url.clone().filter(|_| file.stored.is_none()) else { continue };
            if !failures.is_empty() && !outgoing.letter.manner.takes_some {
                break;
            }
            match self.fetch_for_sending(outgoing, number, &mut file, &mut coming).await? {
                Ok(_) => outgoing
                    .letter
                    .content
                    .files_mut()
                    .skip(number)
                    .take(1)
                    .for_each(|kept| kept.clone_from(&file)),
                Err(failure) => drop(failures.insert(url, failure)),
            }
        }
        Ok(failures)
    }

    /// The body of a file that is to be sent; fetched from the web or from Telegram where it has to be.
    pub(crate) async fn fetch_for_sending(
        self: &Arc<Self>,
        outgoing: &Outgoing,
        number: usize,
        file: &mut Attachment,
        coming: &mut Coming,
    ) -> Result<Result<PathBuf, Failure>, StorageError> {
        let key = match (&file.stored, &file.url) {
            (Some(key), _) => key.clone(),
            (None, Some(url)) => {
                match self.files.fetch(&self.store, &self.web, url, &file.name, coming).await {
                    Ok(stored) => {
                        file.stored = Some(stored.key.clone());
                        file.mime.clone_from(&stored.mime);
                        file.size = stored.size;
                        file.kind = match file.is_plain {
                            true => FileKind::Document,
                            false => crate::files::kind_of(&stored.mime),
                        };
                        // The next try need not fetch it again.
                        self.store.fetched(outgoing, number, file).await?;
                        stored.key
                    }
                    Err(failure) => return Ok(Err(failure)),
                }
            }
            (None, None) => {
                let sentence = "the file is not there".to_owned();
                return Ok(Err(Failure::Refused { word: "attachment_failed", sentence }));
            }
        };
        let path = self.files.path(&key);
        if tokio::fs::try_exists(&path).await.unwrap_or(false) {
            return Ok(Ok(path));
        }
        // One that came may be sent on before anybody has fetched it.
        if let Some(remote) = self.store.file(&key).await?.and_then(|row| row.remote) {
            return Ok(match self.download(&key, &remote).await {
                Ok(()) => Ok(path),
                Err(Refused::Telegram(failure)) => Err(failure),
                Err(refused) => Err(Failure::Unknown(refused.to_string())),
            });
        }
        let sentence = "the file is not kept any more".to_owned();
        Ok(Err(Failure::Refused { word: "attachment_failed", sentence }))
    }

    /// Marks a chat read after an answer, if that is wanted.
    pub(crate) fn read_on_reply(self: &Arc<Self>, chat: ChatId) {
        if self.row().settings.is_on("markIncomingMessagesReadedOnReply") {
            self.mark(chat, None);
        }
    }

    /// Marks a message read that came, if that is wanted.
    pub(crate) fn mark_received(self: &Arc<Self>, chat: ChatId, tg_id: i32) {
        let settings = &self.row().settings;
        if settings.is_on("markIncomingMessagesReaded")
            && !settings.is_on("markIncomingMessagesReadedOnReply")
        {
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

    pub(crate) fn told_call(&self, call: &CallNews, status: &str) -> serde_json::Value {
        self.with_envelope(|envelope| notification::call(envelope, call, status))
    }

    fn with_envelope<T>(&self, build: impl FnOnce(&Envelope<'_>) -> T) -> T {
        let account = self.messenger.account();
        build(&Envelope { instance: self.row().id, account: &account, now_s: clock::unix_s() })
    }
}

impl Teller for Inner {
    fn of_sent(&self, record: &Record) -> Vec<Told> {
        let (row, mut told) = (self.row(), Vec::new());
        if row.settings.is_on("outgoingAPIMessageWebhook") {
            told.push(self.told_message("outgoingAPIMessageReceived", record));
        }
        if row.settings.is_on("outgoingWebhook") {
            // Telegram tells of nothing between its own having a message and its being read.
            told.extend(["sent", "delivered"].map(|status| self.told_status(record, status)));
            if record.status == SendStatus::Read {
                told.push(self.told_status(record, "read"));
            }
        }
        told
    }

    fn of_failed(&self, record: &Record) -> Vec<Told> {
        vec![self.told_status(record, "failed")]
    }

    fn of_device(&self, record: &Record) -> Option<Told> {
        let is_wanted = self.row().settings.is_on("outgoingMessageWebhook");
        is_wanted.then(|| self.told_message("outgoingMessageReceived", record))
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
