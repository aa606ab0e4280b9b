//! A messenger that the test plays: it notes what it is told to do, and does what the test says.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Value, json};
use sqlx::SqlitePool;
use sqlx::sqlite::{SqliteConnectOptions, SqlitePoolOptions};
use tgtrunk_messages::{
    Account, Address, Chat, ChatId, ChatKind, Content, Door, Draft, Entity, Failure, Found, Group,
    GroupChange, Instance, InstanceKind, LoginStep, Manner, Messenger, NewGroup, NewlyMade, Options, Order,
    Person, PersonKind, Received, Sent, Signin, Standing, Store, TypingKind,
};
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};

/// How long anything may take that happens by itself.
const LIMIT: Duration = Duration::from_secs(10);

/// What the test says to the next message.
#[derive(Clone, Debug)]
pub(crate) enum Say {
    Sent,
    /// Telegram has it, and the program is not told.
    SentUnheard,
    /// Telegram has it, and answers so much later.
    SentLate(Duration),
    /// Telegram has it, and what hands it over breaks.
    SentAndBreak,
    Fail(Failure),
}

/// Telegram as the test plays it.
#[derive(Default)]
pub(crate) struct Played {
    pub(crate) standing: Mutex<Option<Standing>>,
    changed: Notify,
    pub(crate) says: Mutex<VecDeque<Say>>,
    /// What Telegram says before it looks whether it has the message.
    pub(crate) first_says: Mutex<VecDeque<Option<Failure>>>,
    /// What was handed over, whatever came of it.
    pub(crate) orders: Mutex<Vec<Order>>,
    /// What Telegram has: by the number that it is known by.
    pub(crate) has: Mutex<Vec<(i64, Received)>>,
    pub(crate) reads: Mutex<Vec<(ChatId, Option<i32>)>>,
    pub(crate) deleted: Mutex<Vec<i32>>,
    /// Whom the account knows, though they never wrote.
    pub(crate) knows: Mutex<Vec<ChatId>>,
    /// How many accounts the number had before this one.
    pub(crate) accounts_before: AtomicU32,
    /// How often it is not found yet what Telegram has.
    pub(crate) hides: AtomicU32,
    /// Whether it does not know what it is handed twice.
    pub(crate) is_forgetful: AtomicBool,
    /// The chat's messages, the newest first, as it gives them to whoever asks.
    pub(crate) history: Mutex<Vec<Received>>,
    /// What it says when it is asked who somebody is, before it looks.
    pub(crate) finds: Mutex<VecDeque<Failure>>,
    /// How often it was asked that.
    pub(crate) found: AtomicU32,
    /// What is said of whoever was found long ago.
    pub(crate) confirms: Mutex<Option<ChatId>>,
    /// Whether it is known that what was found is out of date.
    pub(crate) is_renamed: AtomicBool,
    /// How long changes take, in the order in which they are asked for.
    pub(crate) edits_take: Mutex<VecDeque<Duration>>,
    /// How many of them break.
    pub(crate) edits_break: AtomicU32,
    /// What messages were changed to, in the order in which that was done.
    pub(crate) edited: Mutex<Vec<String>>,
}

impl Played {
    pub(crate) fn stands(&self, standing: Standing) {
        *self.standing.lock().unwrap() = Some(standing);
        self.changed.notify_waiters();
    }

    pub(crate) fn say(&self, says: impl IntoIterator<Item = Say>) {
        self.says.lock().unwrap().extend(says);
    }

    pub(crate) fn texts(&self) -> Vec<String> {
        self.has.lock().unwrap().iter().map(|(_, message)| text_of(&message.content)).collect()
    }
}

/// A folder for an instance, which may be opened again as after a crash.
pub(crate) struct Room {
    folder: tempfile::TempDir,
    pub(crate) telegram: Arc<Played>,
    pub(crate) options: Options,
    opened: Mutex<Option<SqlitePool>>,
}

impl Room {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let files = folder.path().join("files");
        let options = Options::new(InstanceKind::User, "office", files, "http://127.0.0.1:1");
        Self { folder, telegram: Arc::default(), options, opened: Mutex::default() }
    }

    /// The database of the instance that was opened last.
    pub(crate) fn database(&self) -> SqlitePool {
        self.opened.lock().unwrap().clone().unwrap()
    }

    pub(crate) async fn pool(&self) -> SqlitePool {
        let file = SqliteConnectOptions::new()
            .filename(self.folder.path().join("client.db"))
            .create_if_missing(true);
        SqlitePoolOptions::new().max_connections(1).connect_with(file).await.unwrap()
    }

    pub(crate) async fn open(&self) -> Instance {
        let pool = self.pool().await;
        *self.opened.lock().unwrap() = Some(pool.clone());
        let store = Store::open(pool).await.unwrap();
        Instance::open(store, Arc::clone(&self.telegram) as Arc<dyn Messenger>, self.options.clone())
            .await
            .unwrap()
    }
}

pub(crate) fn text(text: &str) -> Content {
    Content::plain(text)
}

pub(crate) fn text_of(content: &Content) -> String {
    match content {
        Content::Text { text, .. } => text.clone(),
        other => format!("{other:?}"),
    }
}

pub(crate) fn draft(to: i64, said: &str) -> Draft {
    Draft {
        buttons: None,
        to: Address::Chat(ChatId(to)),
        content: text(said),
        quoted: None,
        forward: None,
        typing: None,
        manner: Manner::default(),
        method: "sendMessage",
        request: json!({ "chatId": to.to_string(), "message": said }),
    }
}

/// A message from Anna, whose number is 5.
pub(crate) fn from_anna(tg_id: i32, said: &str) -> Received {
    Received { is_ours: false, sender: Some(anna()), ..ours(tg_id, said) }
}

/// A message of the account's to Anna.
pub(crate) fn ours(tg_id: i32, said: &str) -> Received {
    Received {
        chat: Chat {
            id: ChatId(5),
            kind: ChatKind::User,
            title: "Anna".to_owned(),
            username: None,
            phone: None,
            is_archived: false,
        },
        tg_id,
        sender: None,
        is_ours: true,
        date_s: now_s(),
        edited_s: None,
        content: text(said),
        quoted: None,
        is_forwarded: false,
        is_silent: false,
        album: None,
    }
}

/// Seconds since 1970. Journals forget what is old.
pub(crate) fn now_s() -> i64 {
    i64::try_from(tgtrunk_shell::clock::unix_ms() / 1000).unwrap()
}

fn anna() -> Person {
    Person {
        id: ChatId(5),
        kind: PersonKind::User,
        name: "Anna".to_owned(),
        contact_name: None,
        username: None,
        phone: None,
    }
}

/// Waits until something is so.
pub(crate) async fn until(what: &str, is_so: impl AsyncFn() -> bool) {
    let waited = timeout(LIMIT, async {
        while !is_so().await {
            sleep(Duration::from_millis(10)).await;
        }
    });
    assert!(waited.await.is_ok(), "it is not so: {what}");
}

pub(crate) async fn switch_on(instance: &Instance, switches: &[&str]) {
    let values = switches.iter().map(|switch| ((*switch).to_owned(), Value::from("yes"))).collect();
    instance.change_settings(&values).await.unwrap();
}

#[async_trait]
impl Door for Played {
    async fn sign_in(&self, _: Signin) -> LoginStep {
        LoginStep::Done
    }
}

#[async_trait]
impl Messenger for Played {
    fn standing(&self) -> Standing {
        self.standing.lock().unwrap().unwrap_or(Standing::Authorized)
    }

    fn knows(&self, chat: ChatId) -> bool {
        self.knows.lock().unwrap().contains(&chat)
    }

    async fn standing_changed(&self) {
        self.changed.notified().await;
    }

    fn account(&self) -> Account {
        Account {
            id: Some(ChatId(1 + i64::from(self.accounts_before.load(Ordering::Relaxed)))),
            phone: "79990000001".to_owned(),
            name: "Office".to_owned(),
            username: None,
        }
    }

    fn door(&self) -> &dyn Door {
        self
    }

    fn knows_repeats(&self) -> bool {
        !self.is_forgetful.load(Ordering::Relaxed)
    }

    async fn send(&self, order: &Order) -> Result<Sent, Failure> {
        self.orders.lock().unwrap().push(order.clone());
        if let Some(Some(failure)) = self.first_says.lock().unwrap().pop_front() {
            return Err(failure);
        }
        if self.has.lock().unwrap().iter().any(|(random_id, _)| *random_id == order.random_id) {
            return Err(Failure::Repeated);
        }
        let say = self.says.lock().unwrap().pop_front().unwrap_or(Say::Sent);
        if let Say::Fail(failure) = say {
            return Err(failure);
        }
        let message = {
            let mut has = self.has.lock().unwrap();
            let tg_id = 100 + i32::try_from(has.len()).unwrap();
            let message = Received { content: order.content.clone(), ..ours(tg_id, "") };
            has.push((order.random_id, message.clone()));
            message
        };
        match say {
            Say::SentUnheard => return Err(Failure::Unknown("the connection is lost".to_owned())),
            Say::SentLate(late) => sleep(late).await,
            Say::SentAndBreak => panic!("as a messenger may"),
            Say::Sent | Say::Fail(_) => {}
        }
        Ok(Sent { chat: message.chat, tg_id: message.tg_id, date_s: message.date_s })
    }

    async fn last_own(&self, _: &Address) -> Result<Vec<Received>, Failure> {
        let one_less = |left: u32| left.checked_sub(1);
        if self.hides.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_less).is_ok() {
            return Ok(Vec::new());
        }
        Ok(self.has.lock().unwrap().iter().rev().map(|(_, message)| message.clone()).collect())
    }

    async fn typing(&self, _: &Address, _: TypingKind) -> Result<(), Failure> {
        Ok(())
    }

    async fn edit(
        &self,
        _: ChatId,
        _: i32,
        text: &str,
        _: &[Entity],
        _: Option<&Value>,
    ) -> Result<(), Failure> {
        let breaks = |left: u32| left.checked_sub(1);
        if self.edits_break.fetch_update(Ordering::Relaxed, Ordering::Relaxed, breaks).is_ok() {
            panic!("as a messenger may");
        }
        let takes = self.edits_take.lock().unwrap().pop_front();
        sleep(takes.unwrap_or_default()).await;
        self.edited.lock().unwrap().push(text.to_owned());
        Ok(())
    }

    async fn delete(&self, _: ChatId, tg_ids: &[i32], _: bool) -> Result<(), Failure> {
        self.deleted.lock().unwrap().extend(tg_ids);
        Ok(())
    }

    async fn mark_read(&self, chat: ChatId, up_to: Option<i32>) -> Result<(), Failure> {
        self.reads.lock().unwrap().push((chat, up_to));
        Ok(())
    }

    async fn history(&self, _: ChatId, _: Option<i32>, _: usize) -> Result<Vec<Received>, Failure> {
        Ok(self.history.lock().unwrap().clone())
    }

    async fn message(&self, _: ChatId, _: i32) -> Result<Option<Received>, Failure> {
        Ok(None)
    }

    async fn download(&self, remote: &str, path: &Path, _: u64) -> Result<(), Failure> {
        tokio::fs::write(path, remote).await.map_err(|error| Failure::Unknown(error.to_string()))
    }

    async fn confirmed(&self, _: &Address) -> Result<Option<ChatId>, Failure> {
        Ok(*self.confirms.lock().unwrap())
    }

    fn is_still(&self, _: &Address, _: ChatId) -> bool {
        !self.is_renamed.load(Ordering::Relaxed)
    }

    async fn find(&self, who: &Address) -> Result<Option<Person>, Failure> {
        self.found.fetch_add(1, Ordering::Relaxed);
        if let Some(failure) = self.finds.lock().unwrap().pop_front() {
            return Err(failure);
        }
        Ok(matches!(who, Address::Phone(phone) if phone == "79990000005").then(anna))
    }

    async fn info(&self, _: &Address) -> Result<Found, Failure> {
        Ok(Found { person: anna(), last_seen_s: None, about: String::new() })
    }

    async fn avatar_key(&self, _: &Address) -> Result<Option<String>, Failure> {
        Ok(None)
    }

    async fn avatar(&self, _: &Address, _: &Path) -> Result<bool, Failure> {
        Ok(false)
    }

    async fn set_avatar(&self, _: &Path) -> Result<(), Failure> {
        Ok(())
    }

    async fn contacts(&self) -> Result<Vec<Person>, Failure> {
        Ok(vec![anna()])
    }

    async fn add_contact(&self, _: &Address, _: &str, _: &str) -> Result<Person, Failure> {
        Ok(anna())
    }

    async fn delete_contact(&self, _: &Address) -> Result<(), Failure> {
        Ok(())
    }

    async fn chats(&self, _: usize) -> Result<Vec<Chat>, Failure> {
        Ok(vec![ours(1, "").chat])
    }

    async fn archive(&self, _: ChatId, _: bool) -> Result<(), Failure> {
        Ok(())
    }

    async fn create_group(&self, _: &NewGroup) -> Result<NewlyMade, Failure> {
        Err(Failure::Unsupported("no groups"))
    }

    async fn group(&self, _: ChatId) -> Result<Group, Failure> {
        Err(Failure::Unsupported("no groups"))
    }

    async fn change_group(&self, _: ChatId, _: &GroupChange) -> Result<(), Failure> {
        Err(Failure::Unsupported("no groups"))
    }
}
