//! What people look at of an instance: its journal and its queues by pages, and what holds them up.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::Ordering;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::chat::ChatId;
use crate::clock;
use crate::content::{Content, FileKind};
use crate::id::MessageId;
use crate::instance::{Instance, Refused};
use crate::record::{Direction, Record, SendStatus};
use crate::store::{Hold, Shelf, StorageError, Store, Withdrawn};

/// Messages of the journal that are looked at for one page: a filter that few fit goes on with the next.
const LOOKED_AT: usize = 20_000;
/// So many are read at a time where not each of them fits.
const BATCH: usize = 500;
/// A message comes into the journal so long after it was written at most, if it is no late one: seconds.
const LATE_S: i64 = 10;

/// What somebody looks for in the journal. Empty fits everything.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Browse {
    /// Which way.
    pub direction: Option<Direction>,
    /// Of which chat.
    pub chat: Option<ChatId>,
    /// Who or where: a part of a chat's name or address, or of the sender's name.
    pub whom: String,
    /// What is in it: a word of [`Content::kind`].
    pub kind: Option<String>,
    /// How far it came.
    pub status: Option<SendStatus>,
    /// What it says, in part.
    pub text: String,
}

/// A place in the journal: everything older comes after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Bookmark {
    /// Seconds since 1970.
    pub date_s: i64,
    /// The message.
    pub id: MessageId,
}

/// A page of the journal.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Leaf {
    /// The newest first.
    pub records: Vec<Record>,
    /// Where the next page begins, if there may be one. It may be given with no records: those that were looked at do not
    /// fit.
    pub older: Option<Bookmark>,
    /// The newest message that was looked at, whether it fits or not.
    #[serde(default)]
    pub newest: Option<Bookmark>,
}

/// What somebody has before them of the journal's newest page.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// [`Leaf::newest`].
    pub newest: Bookmark,
    /// The messages of the page.
    pub messages: Vec<MessageId>,
    /// [`Leaf::older`].
    pub older: Option<Bookmark>,
}

/// A message of the outgoing queue, as people see it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Waiting {
    /// Where it stands in the queue, from 1.
    pub position: u64,
    /// The message.
    pub id: MessageId,
    /// Whom to, as the program said: [`crate::Address::text`].
    pub to: String,
    /// The chat, once that is known.
    pub chat: Option<ChatId>,
    /// What is in it.
    pub content: Content,
    /// What the program called.
    pub method: String,
    /// When it was accepted: milliseconds since 1970.
    pub accepted_ms: i64,
    /// How often it was tried.
    pub attempts: u32,
    /// When it is tried next: milliseconds since 1970, in the past where its turn is all it waits for.
    pub next_ms: i64,
    /// Whether Telegram is being handed it.
    pub is_under_way: bool,
    /// Why it rests, if it does.
    pub rests: Option<String>,
    /// What went wrong last.
    pub last_error: Option<String>,
}

/// What rests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RestKind {
    /// All that is sent.
    All,
    /// Messages whose chat is to be looked up by a phone number or a name.
    Lookups,
    /// Messages to those who have not written to the account.
    Strangers,
    /// Messages to a chat.
    Chat(ChatId),
    /// What programs ask by actions.
    Actions,
}

/// Something that rests, because Telegram said so or the day's budget is spent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rest {
    /// What.
    pub what: RestKind,
    /// Until when: milliseconds since 1970.
    pub until_ms: i64,
    /// Why; empty where nothing more is known.
    pub cause: String,
}

/// The head of the queue of notifications.
#[derive(Clone, Debug, PartialEq)]
pub struct Head {
    /// Its number.
    pub receipt: i64,
    /// GREEN-API's `typeWebhook`.
    pub kind: String,
    /// What is told.
    pub body: Value,
    /// Since when it waits: milliseconds since 1970.
    pub created_ms: i64,
    /// How often the webhook did not take it.
    pub attempts: u32,
    /// What the webhook answered last.
    pub last_error: Option<String>,
    /// How often a program has fetched it since this program runs, and not taken it away.
    pub fetched: u32,
    /// When it was fetched first: milliseconds since 1970.
    pub fetched_ms: Option<i64>,
}

/// How often a program that is well fetches one notification at most.
const FETCHED: u32 = 5;
/// And how long it needs for it.
const FETCHED_MS: i64 = 120_000;

impl Head {
    /// Whether a program fetches it again and again and never takes it away, so that it sees no other.
    #[must_use]
    pub fn is_left(&self, now_ms: i64) -> bool {
        self.fetched_ms.is_some_and(|since_ms| is_left(self.fetched, since_ms, now_ms))
    }
}

/// The same of a notification that was fetched so often since then.
pub(crate) fn is_left(fetched: u32, since_ms: i64, now_ms: i64) -> bool {
    fetched >= FETCHED && now_ms - since_ms >= FETCHED_MS
}

/// What a webhook answered that was not well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebhookFault {
    /// When: milliseconds since 1970.
    pub at_ms: i64,
    /// The HTTP status, where it answered.
    pub status: Option<u16>,
    /// What was wrong.
    pub sentence: String,
}

/// How a webhook does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WebhookState {
    /// What it answered last that was not well.
    pub fault: Option<WebhookFault>,
    /// When it last took something since the program was started: milliseconds since 1970.
    pub taken_ms: Option<i64>,
    /// When the head is brought again: milliseconds since 1970. None where it is not waited for that.
    pub next_ms: Option<i64>,
}

/// Notifications that no program fetched and that made room for newer ones, since the instance is there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dropped {
    /// How many.
    pub count: u64,
    /// When the last one was: milliseconds since 1970.
    pub last_ms: Option<i64>,
}

/// What came of taking a message out of the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cancelled {
    /// It is out; whether Telegram may have it, or a part of it.
    Out {
        /// Nobody knows that it has not.
        may_be_sent: bool,
    },
    /// Telegram is being handed it just now.
    UnderWay,
    /// It is not in the queue any more.
    Gone,
}

impl Waiting {
    /// Why it does not go out though it has been tried, or may not be tried.
    #[must_use]
    pub fn stuck(&self) -> Option<&str> {
        if self.is_under_way {
            return None;
        }
        self.rests.as_deref().or(self.last_error.as_deref())
    }
}

impl From<Hold> for RestKind {
    fn from(hold: Hold) -> Self {
        match hold {
            Hold::All => Self::All,
            Hold::Lookups => Self::Lookups,
            Hold::Strangers => Self::Strangers,
            Hold::Chat(chat) => Self::Chat(chat),
        }
    }
}

impl Bookmark {
    /// Before everything: the newest messages come after it.
    pub const NEWEST: Self = Self { date_s: i64::MAX, id: MessageId::new(i64::MAX) };

    pub(crate) fn of(record: &Record) -> Self {
        Self { date_s: record.date_s, id: record.id }
    }
}

impl Content {
    /// What is in it, in a word: `text`, a kind of file, `location`, `contact`, `poll`, `other`.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Text { .. } => "text",
            Self::File { file, .. } => match file.kind {
                FileKind::Image => "image",
                FileKind::Video => "video",
                FileKind::Audio => "audio",
                FileKind::Sticker => "sticker",
                FileKind::Document => "document",
            },
            Self::Location(_) => "location",
            Self::Contact(_) => "contact",
            Self::Poll(_) => "poll",
            Self::Other { .. } => "other",
        }
    }

    /// The words that [`Self::kind`] has.
    pub const KINDS: [&'static str; 10] =
        ["text", "image", "video", "audio", "sticker", "document", "location", "contact", "poll", "other"];
}

impl Leaf {
    /// What whoever is shown this page has before them; none where there was nothing to look at.
    #[must_use]
    pub fn seen(&self) -> Option<Seen> {
        let messages = self.records.iter().map(|record| record.id).collect();
        Some(Seen { newest: self.newest?, messages, older: self.older })
    }
}

impl Browse {
    /// Whether messages are passed over, so that a page may be a long way.
    #[must_use]
    pub fn is_filter(&self) -> bool {
        !self.is_all()
    }

    /// Whether each message of a shelf is wanted.
    fn is_all(&self) -> bool {
        let by_index = self.chat.is_none() || self.direction.is_none();
        by_index
            && self.whom.is_empty()
            && self.kind.is_none()
            && self.status.is_none()
            && self.text.is_empty()
    }

    fn fits(&self, record: &Record) -> bool {
        let has = |text: &str, wanted: &str| text.to_lowercase().contains(wanted);
        let whom = self.whom.to_lowercase();
        let text = self.text.to_lowercase();
        let names = || {
            let chat = record.chat.map(|chat| chat.to_string()).unwrap_or_default();
            let sender = record.sender.as_ref();
            let sender = [
                sender.map(|sender| sender.name.clone()),
                sender.and_then(|sender| sender.contact_name.clone()),
                sender.and_then(|sender| sender.username.clone()),
                sender.and_then(|sender| sender.phone.clone()),
            ];
            let all = [record.chat_title.clone(), record.address.clone(), chat].into_iter();
            all.chain(sender.into_iter().flatten()).any(|name| has(&name, &whom))
        };
        self.direction.is_none_or(|direction| direction == record.direction)
            && self.kind.as_deref().is_none_or(|kind| kind == record.content.kind())
            && self.status.is_none_or(|status| status == record.status)
            && (whom.is_empty() || names())
            && (text.is_empty()
                || has(record.content.words(), &text)
                || record.content.files().any(|file| has(&file.name, &text)))
    }
}

impl Instance {
    /// A page of the journal: `count` messages that fit, before a place.
    ///
    /// # Errors
    /// [`Refused::Storage`].
    pub async fn leaf(&self, of: &Browse, before: Bookmark, count: usize) -> Result<Leaf, Refused> {
        let store = &self.inner().store;
        let mut leaf = Walk::new(store, of, before, i64::MIN, count).leaf(count).await?;
        name_chats(store, &mut leaf.records).await?;
        Ok(leaf)
    }

    /// The newest page for whoever has it before them: what has come since is looked at, and what is shown is read again.
    /// What fits only since it was changed, and what comes late, is not found.
    ///
    /// # Errors
    /// [`Refused::Storage`].
    pub async fn leaf_again(&self, of: &Browse, seen: &Seen, count: usize) -> Result<Leaf, Refused> {
        let store = &self.inner().store;
        let since_s = seen.newest.date_s.saturating_sub(LATE_S);
        let mut leaf = Walk::new(store, of, Bookmark::NEWEST, since_s, count).leaf(count).await?;
        leaf.newest = leaf.newest.max(Some(seen.newest));
        if leaf.older.is_some() {
            name_chats(store, &mut leaf.records).await?;
            return Ok(leaf);
        }
        for record in store.messages(&seen.messages).await? {
            if of.fits(&record) && leaf.records.iter().all(|known| known.id != record.id) {
                leaf.records.push(record);
            }
        }
        leaf.records.sort_by_key(|record| std::cmp::Reverse(Bookmark::of(record)));
        leaf.older = seen.older;
        if leaf.records.len() > count {
            leaf.records.truncate(count);
            leaf.older = leaf.records.last().map(Bookmark::of);
        }
        name_chats(store, &mut leaf.records).await?;
        Ok(leaf)
    }

    /// When the newest message one way was written: seconds since 1970.
    ///
    /// # Errors
    /// [`Refused::Storage`].
    pub async fn last_message_s(&self, direction: Direction) -> Result<Option<i64>, Refused> {
        Ok(self.inner().store.last_message_s(direction).await?)
    }

    /// A page of the outgoing queue, in its order.
    ///
    /// # Errors
    /// [`Refused::Storage`].
    pub async fn waiting(&self, skip: u32, count: u32) -> Result<Vec<Waiting>, Refused> {
        Ok(self.inner().store.waiting(skip, count, clock::unix_ms()).await?)
    }

    /// Longest outgoing queue.
    #[must_use]
    pub fn queue_limit(&self) -> u32 {
        self.inner().options.queue_limit
    }

    /// What rests, the soonest to end first.
    ///
    /// # Errors
    /// [`Refused::Storage`].
    pub async fn resting(&self) -> Result<Vec<Rest>, Refused> {
        let now_ms = clock::unix_ms();
        let mut rests = self.inner().store.rests(now_ms).await?;
        let until_ms = self.inner().jobs_rest_until_ms.load(Ordering::Relaxed);
        if until_ms > now_ms {
            rests.push(Rest { what: RestKind::Actions, until_ms, cause: String::new() });
            rests.sort_by_key(|rest| rest.until_ms);
        }
        Ok(rests)
    }

    /// The head of the queue of notifications.
    ///
    /// # Errors
    /// [`Refused::Storage`].
    pub async fn head(&self) -> Result<Option<Head>, Refused> {
        let mut head = self.inner().store.look_at_head(self.inner().since_ms()).await?;
        if let Some(head) = &mut head {
            (head.fetched, head.fetched_ms) = self.inner().fetched(head.receipt);
        }
        Ok(head)
    }

    /// How many notifications may wait; the oldest give way to more.
    #[must_use]
    pub fn notification_limit(&self) -> u32 {
        self.inner().options.notification_limit
    }

    /// How many of them gave way.
    ///
    /// # Errors
    /// [`Refused::Storage`].
    pub async fn dropped(&self) -> Result<Dropped, Refused> {
        Ok(self.inner().store.dropped().await?)
    }

    /// How the webhook does.
    ///
    /// # Errors
    /// [`Refused::Storage`].
    pub async fn webhook_state(&self) -> Result<WebhookState, Refused> {
        let inner = self.inner();
        let known = |ms: i64| (ms > 0).then_some(ms);
        Ok(WebhookState {
            fault: inner.store.webhook_fault().await?,
            taken_ms: known(inner.pushed_ms.load(Ordering::Relaxed)),
            next_ms: known(inner.next_push_ms.load(Ordering::Relaxed)),
        })
    }

    /// Takes one message out of the queue.
    ///
    /// # Errors
    /// [`Refused::Storage`].
    pub async fn cancel(&self, id: MessageId) -> Result<Cancelled, Refused> {
        let withdrawn = self.take_out(id).await?;
        self.inner().settle();
        Ok(match withdrawn {
            Withdrawn::Out { may_be_sent } => Cancelled::Out { may_be_sent },
            Withdrawn::UnderWay => Cancelled::UnderWay,
            Withdrawn::Absent => Cancelled::Gone,
        })
    }

    /// Tells how the instance stands, whether that is wanted or not, so that somebody sees where notifications go.
    ///
    /// # Errors
    /// [`Refused::Storage`].
    pub async fn tell_standing(&self) -> Result<(), Refused> {
        let inner = self.inner();
        inner.store.tell(&inner.told_standing(inner.standing()), clock::unix_ms()).await?;
        inner.notifications.notify_waiters();
        inner.touch();
        Ok(())
    }

    /// Brings the head to the webhook now, however long it was to wait.
    pub fn push_now(&self) {
        self.inner().settings_changed.notify_waiters();
    }

    /// Grows whenever something of it may look another way: its queues, its journal, its settings.
    #[must_use]
    pub fn revision(&self) -> u64 {
        self.inner().revision.load(Ordering::Relaxed)
    }
}

/// A walk through the journal, from the newest message on.
struct Walk<'w> {
    store: &'w Store,
    of: &'w Browse,
    /// Not older than this: seconds since 1970.
    since_s: i64,
    /// So many are read at a time.
    batch: usize,
    ways: Vec<Way>,
}

/// What was read of one shelf, and is not looked at yet.
struct Way {
    shelf: Shelf,
    read: VecDeque<Record>,
    /// Before where it is read on; none at its end.
    on: Option<Bookmark>,
}

impl<'w> Walk<'w> {
    fn new(store: &'w Store, of: &'w Browse, before: Bookmark, since_s: i64, count: usize) -> Self {
        let shelves = match (of.chat, of.direction) {
            (Some(chat), _) => vec![Shelf::Chat(chat)],
            (None, Some(direction)) => vec![Shelf::Way(direction)],
            (None, None) => vec![Shelf::Way(Direction::Incoming), Shelf::Way(Direction::Outgoing)],
        };
        let way = |shelf| Way { shelf, read: VecDeque::new(), on: Some(before) };
        let batch = if of.is_all() { count + 1 } else { BATCH };
        Self { store, of, since_s, batch, ways: shelves.into_iter().map(way).collect() }
    }

    async fn next(&mut self) -> Result<Option<Record>, StorageError> {
        for way in &mut self.ways {
            let (Some(on), true) = (way.on, way.read.is_empty()) else { continue };
            let read = self.store.browse(way.shelf, on, self.since_s, self.batch).await?;
            way.on = read.last().map(Bookmark::of).filter(|_| read.len() == self.batch);
            way.read = read.into();
        }
        let newest = self.ways.iter_mut().max_by_key(|way| way.read.front().map(Bookmark::of));
        Ok(newest.and_then(|way| way.read.pop_front()))
    }

    /// Those that fit, `count` at most.
    async fn leaf(mut self, count: usize) -> Result<Leaf, StorageError> {
        let (mut leaf, mut looked) = (Leaf::default(), 0);
        while let Some(record) = self.next().await? {
            let at = Bookmark::of(&record);
            leaf.newest.get_or_insert(at);
            looked += 1;
            if self.of.fits(&record) {
                leaf.records.push(record);
            }
            if leaf.records.len() >= count || looked >= LOOKED_AT {
                let is_more = self.ways.iter().any(|way| way.on.is_some() || !way.read.is_empty());
                leaf.older = is_more.then_some(at);
                break;
            }
        }
        Ok(leaf)
    }
}
/// A message that was never sent does not know what its chat is called; others of the chat may.
async fn name_chats(store: &Store, records: &mut [Record]) -> Result<(), StorageError> {
    let mut titles = BTreeMap::new();
    for record in records.iter_mut().filter(|record| record.chat_title.is_empty()) {
        let Some(chat) = record.chat else { continue };
        let title = match titles.entry(chat) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(place) => place.insert(store.chat_title(chat).await?),
        };
        record.chat_title.clone_from(title);
    }
    Ok(())
}
