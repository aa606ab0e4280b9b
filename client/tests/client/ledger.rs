//! A program's books: what it had accepted, what it was told, and whether both sides agree on it. The client may be killed
//! at any time, and the program goes on with the next one.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use sqlx::Connection as _;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use tokio::time::{Instant, sleep};

use crate::program::{Program, json_of};
use crate::support::{Client, SOON, Scene, line, phone};

/// What the programs of this house want to be told.
const SWITCHES: [&str; 6] = [
    "incomingWebhook",
    "outgoingWebhook",
    "outgoingMessageWebhook",
    "outgoingAPIMessageWebhook",
    "editedMessageWebhook",
    "deletedMessageWebhook",
];

/// Whether the journal of a database takes messages, though a client may be at work on it.
pub(crate) async fn journal_takes(database: &Path, takes: bool) {
    let file = SqliteConnectOptions::new().filename(database).busy_timeout(SOON);
    let mut database = SqliteConnection::connect_with(&file).await.unwrap();
    let change = match takes {
        true => "DROP TRIGGER held",
        false => "CREATE TRIGGER held BEFORE INSERT ON ms_message BEGIN SELECT RAISE(ABORT, 'held'); END",
    };
    sqlx::query(change).execute(&mut database).await.unwrap();
    database.close().await.unwrap();
}

/// A line, a client that is killed now and then, and a program that keeps books.
pub(crate) struct Books {
    pub(crate) scene: Scene,
    pub(crate) program: Program,
    client: Option<Client>,
    /// What was answered 200, in this order: number and text.
    pub(crate) accepted: Vec<(String, String)>,
    /// What was asked for and not answered: it may be there once or not at all.
    pub(crate) unsure: Vec<String>,
    /// What Anna wrote.
    pub(crate) said: Vec<String>,
    /// What was told, by its receipt.
    pub(crate) told: BTreeMap<i64, Value>,
    settings: Value,
}

impl Books {
    /// A line at work. Its client serves always the same port.
    pub(crate) async fn open() -> Self {
        let scene = Scene::new(line()).await;
        let gateway = scene.gateway();
        scene.log_in().await;
        drop(gateway);
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let text = std::fs::read_to_string(scene.settings()).unwrap();
        let text = text
            .replace("[api]\nlisten = \"127.0.0.1:0\"\n", &format!("[api]\nlisten = \"127.0.0.1:{port}\"\n"));
        std::fs::write(scene.settings(), text).unwrap();
        let client = scene.client().await;
        let program = Program::with_token(&scene).await;
        let mut wanted = json!({});
        for switch in SWITCHES {
            wanted[switch] = "yes".into();
        }
        program.post("setSettings", wanted).await;
        let settings = program.get("getSettings").await;
        Self {
            scene,
            program,
            client: Some(client),
            accepted: Vec::new(),
            unsure: Vec::new(),
            said: Vec::new(),
            told: BTreeMap::new(),
            settings,
        }
    }

    /// As the system kills a program; nothing of it goes on.
    pub(crate) async fn kill(&mut self) {
        self.client.take().unwrap().kill().await;
    }

    /// The next process, once it can be called. Instance, token and settings are what they were.
    pub(crate) async fn start(&mut self) {
        self.client = Some(self.scene.run());
        let end = Instant::now() + SOON;
        let address = self.program.address("getSettings");
        let answer = loop {
            match self.program.http.get(&address).send().await {
                Ok(answer) if answer.status() == 200 => break answer,
                Ok(answer) if answer.status() == 401 => panic!("{}", answer.text().await.unwrap()),
                Ok(_) | Err(_) => {}
            }
            assert!(Instant::now() < end, "the client does not answer");
            sleep(Duration::from_millis(20)).await;
        };
        assert_eq!(json_of(answer).await, self.settings, "settings outlive a kill");
    }

    /// Whether the line's journal takes what Telegram tells. Nothing else of its database is held.
    pub(crate) async fn journal_takes(&self, takes: bool) {
        journal_takes(&self.scene.state.client_db(&phone()), takes).await;
    }

    /// Changes settings, which outlive a kill as the others do.
    pub(crate) async fn set(&mut self, changes: Value) {
        self.program.post("setSettings", changes).await;
        self.settings = self.program.get("getSettings").await;
    }

    /// Nothing is waited for between two messages. Only while no client runs.
    pub(crate) async fn without_pauses(&mut self) {
        let file = SqliteConnectOptions::new().filename(self.scene.state.client_db(&phone()));
        let mut database = SqliteConnection::connect_with(&file).await.unwrap();
        let change = "UPDATE ms_instance SET settings = json_set(settings, '$.delay_ms', 0)";
        sqlx::query(change).execute(&mut database).await.unwrap();
        database.close().await.unwrap();
        self.settings["delaySendMessagesMilliseconds"] = 0.into();
    }

    /// Has a text sent to Anna; false if nobody answers.
    pub(crate) async fn send(&mut self, text: &str) -> bool {
        let message = json!({"chatId": "79001112233@c.us", "message": text});
        let request = self.program.http.post(self.program.address("sendMessage")).body(message.to_string());
        let request = request.header("content-type", "application/json");
        let Ok(answer) = request.send().await else {
            self.unsure.push(text.to_owned());
            return false;
        };
        let code = answer.status();
        let Ok(told) = answer.text().await else {
            self.unsure.push(text.to_owned());
            return false;
        };
        assert_eq!(code, 200, "{told}");
        let told: Value = serde_json::from_str(&told).unwrap();
        self.accepted.push((told["idMessage"].as_str().unwrap().to_owned(), text.to_owned()));
        true
    }

    /// Anna writes.
    pub(crate) fn say(&mut self, text: &str) {
        self.scene.world().say(self.scene.anna, self.scene.company, text).unwrap();
        self.said.push(text.to_owned());
    }

    /// Fetches a notification, which stays; none if there is none within `wait_s`, or nobody answers.
    pub(crate) async fn fetch(&mut self, wait_s: u32) -> Option<i64> {
        let address = format!("{}?receiveTimeout={wait_s}", self.program.address("receiveNotification"));
        let text = self.program.http.get(address).send().await.ok()?.text().await.ok()?;
        let head: Value = serde_json::from_str(&text).ok()?;
        let receipt = head["receiptId"].as_i64()?;
        self.note(receipt, &head["body"]);
        Some(receipt)
    }

    /// Something was told. Told again, it is what it was.
    pub(crate) fn note(&mut self, receipt: i64, body: &Value) {
        let before = self.told.insert(receipt, body.clone());
        assert!(before.as_ref().is_none_or(|before| before == body), "{receipt}: {before:?} and then {body}");
    }

    /// Takes a notification away; false if nobody answers.
    pub(crate) async fn take_away(&self, receipt: i64) -> bool {
        let address = format!("{}/{receipt}", self.program.address("deleteNotification"));
        self.program.http.delete(address).send().await.is_ok_and(|answer| answer.status() == 200)
    }

    /// Fetches and takes away until something is told.
    pub(crate) async fn until_told(&mut self, what: &str, is_it: impl Fn(&Value) -> bool) -> Value {
        if let Some(told) = self.told.values().find(|body| is_it(body)) {
            return told.clone();
        }
        let end = Instant::now() + SOON;
        while Instant::now() < end {
            if let Some(receipt) = self.fetch(5).await {
                assert!(self.take_away(receipt).await);
                if is_it(&self.told[&receipt]) {
                    return self.told[&receipt].clone();
                }
            }
        }
        panic!("never told: {what}");
    }

    pub(crate) async fn until_status(&mut self, id: &str, status: &str) {
        let id = id.to_owned();
        let what = format!("{status} of {id}");
        self.until_told(&what, |body| {
            body["typeWebhook"] == "outgoingMessageStatus"
                && body["idMessage"] == *id
                && body["status"] == status
        })
        .await;
    }

    /// Waits until all is there and told, and compares: what Anna sees, what was told, what the journals hold.
    pub(crate) async fn balance(&mut self) {
        let mut patience = Patience::new();
        while let Err(lacks) = self.at_anna() {
            patience.is_left(self.scene.anna_sees().len(), || format!("Anna lacks {lacks}"));
            sleep(Duration::from_millis(50)).await;
        }
        let mut patience = Patience::new();
        let unsure = self.unsure.iter().filter(|text| self.has_anna(text)).count();
        while !self.is_told(unsure) || self.program.get("getWebhooksCount").await["count"] != 0 {
            let last = || self.told.values().next_back().map(Value::to_string).unwrap_or_default();
            patience.is_left(self.told.len(), || {
                format!("not all is told: {}, and last {}", self.told.len(), last())
            });
            if let Some(receipt) = self.fetch(5).await {
                assert!(self.take_away(receipt).await);
            }
        }
        assert_eq!(self.program.get("getMessagesCount").await["count"], 0);
        self.check_told();
        self.check_journals().await;
    }

    /// The same with a client that knows less than it did: what it learns again may have other numbers.
    pub(crate) async fn balance_restored(&mut self) {
        let end = Instant::now() + SOON * 3;
        let of = |texts: Vec<(&str, &str)>| {
            let mut texts: Vec<String> = texts.into_iter().map(|(_, text)| text.to_owned()).collect();
            texts.sort();
            texts
        };
        let mut wanted = [self.said.clone(), self.accepted.iter().map(|(_, text)| text.clone()).collect()];
        wanted.iter_mut().for_each(|texts| texts.sort());
        loop {
            let (incoming, outgoing) = (
                self.program.get("lastIncomingMessages").await,
                self.program.get("lastOutgoingMessages").await,
            );
            let queue = self.program.get("getMessagesCount").await;
            let found = [of(numbered(&incoming)), of(numbered(&outgoing))];
            let lacks = self.at_anna();
            if lacks.is_ok() && found == wanted && queue["count"] == 0 {
                return;
            }
            assert!(
                Instant::now() < end,
                "Anna: {lacks:?}, queue: {queue}, journals: {found:?}, want {wanted:?}"
            );
            sleep(Duration::from_secs(1)).await;
        }
    }

    /// Whether Anna has all that was accepted, once and in its order; else what she lacks.
    fn at_anna(&self) -> Result<(), String> {
        let (mut wanted, mut unsure) = (self.accepted.iter(), self.unsure.clone());
        let (mut part, mut next) = (String::new(), wanted.next());
        let seen = self.scene.anna_sees().into_iter().filter(|message| !message.out);
        for text in seen.map(|message| message.text) {
            if let Some(at) = unsure.iter().position(|unsure| *unsure == text) {
                unsure.remove(at);
                continue;
            }
            // A long text comes in parts.
            part = if part.is_empty() { text } else { format!("{part} {text}") };
            let (id, expected) = next.unwrap_or_else(|| panic!("nobody sent this, or not so often: {part}"));
            assert!(
                folded(expected).starts_with(&folded(&part)),
                "{part:?} came instead of {id} {expected:?}"
            );
            if folded(expected) == folded(&part) {
                (part, next) = (String::new(), wanted.next());
            }
        }
        next.map_or(Ok(()), |(id, text)| Err(format!("{id} {}", &text[..text.len().min(40)])))
    }

    /// Whether so much is told, those among it of which the program does not know whether they were accepted.
    fn is_told(&self, unsure: usize) -> bool {
        let statuses = self.bodies("outgoingMessageStatus").filter(|body| body["status"] == "delivered");
        let incoming = self.bodies("incomingMessageReceived").filter(|body| !is_of_change(body));
        statuses.count() >= self.accepted.len() + unsure && incoming.count() >= self.said.len()
    }

    fn bodies(&self, kind: &str) -> impl Iterator<Item = &Value> {
        self.told.values().filter(move |body| body["typeWebhook"] == kind)
    }

    fn has_anna(&self, text: &str) -> bool {
        self.scene.anna_sees().iter().any(|message| message.text == text)
    }

    /// Each thing was told under one receipt, and receipts grow in the order in which things happened.
    fn check_told(&self) {
        let incoming: Vec<&str> = self
            .bodies("incomingMessageReceived")
            .filter(|body| !is_of_change(body))
            .map(|body| body["messageData"]["textMessageData"]["textMessage"].as_str().unwrap())
            .collect();
        assert_eq!(incoming, self.said, "what Anna said, told once and in order");
        let known = |body: &&Value| self.accepted.iter().any(|(id, _)| body["idMessage"] == **id);
        let ids: Vec<&String> = self.accepted.iter().map(|(id, _)| id).collect();
        for status in ["sent", "delivered"] {
            let told =
                self.bodies("outgoingMessageStatus").filter(|body| body["status"] == status).filter(known);
            let told: Vec<&str> = told.map(|body| body["idMessage"].as_str().unwrap()).collect();
            assert_eq!(told, ids.iter().map(|id| id.as_str()).collect::<Vec<_>>(), "{status}");
        }
        let told = self.bodies("outgoingAPIMessageReceived").filter(known);
        let told: Vec<&str> = told.map(|body| body["idMessage"].as_str().unwrap()).collect();
        assert_eq!(told, ids.iter().map(|id| id.as_str()).collect::<Vec<_>>());
        let mut statuses: Vec<_> = self
            .bodies("outgoingMessageStatus")
            .map(|body| (&body["idMessage"], &body["status"]))
            .map(|(id, status)| format!("{id} {status}"))
            .collect();
        let count = statuses.len();
        statuses.sort();
        statuses.dedup();
        assert_eq!(statuses.len(), count, "no status is told twice");
        let strange: Vec<&Value> =
            self.bodies("outgoingMessageReceived").filter(|body| !is_of_change(body)).collect();
        assert!(strange.is_empty(), "taken for the owner's: {strange:?}");
    }

    /// Each message stands in the journal once, under the number by which it was told.
    async fn check_journals(&self) {
        let incoming = self.program.get("lastIncomingMessages").await;
        let incoming: Vec<(&str, &str)> = numbered(&incoming);
        let told = self.bodies("incomingMessageReceived").filter(|body| !is_of_change(body)).map(|body| {
            let text = &body["messageData"]["textMessageData"]["textMessage"];
            (body["idMessage"].as_str().unwrap(), text.as_str().unwrap())
        });
        assert_eq!(incoming, told.collect::<Vec<_>>());
        let outgoing = self.program.get("lastOutgoingMessages").await;
        let mut outgoing: Vec<(&str, &str)> = numbered(&outgoing);
        let mut unsure = self.unsure.clone();
        outgoing.retain(|(id, text)| {
            let is_known = self.accepted.iter().any(|(known, _)| known == id);
            if !is_known {
                let at = unsure.iter().position(|unsure| unsure == text);
                unsure.remove(at.unwrap_or_else(|| panic!("nobody sent {id} {text:?}")));
                assert!(self.has_anna(text), "{id} {text:?} is in the journal alone");
            }
            is_known
        });
        let accepted = self.accepted.iter().map(|(id, text)| (id.as_str(), text.as_str()));
        assert_eq!(outgoing, accepted.collect::<Vec<_>>());
    }
}

/// How long nothing may happen.
struct Patience {
    end: Instant,
    count: usize,
}

impl Patience {
    fn new() -> Self {
        Self { end: Instant::now() + SOON, count: 0 }
    }

    /// Goes on while something grows.
    fn is_left(&mut self, count: usize, lacks: impl FnOnce() -> String) {
        if count != self.count {
            *self = Self { end: Instant::now() + SOON, count };
        }
        assert!(Instant::now() < self.end, "{}", lacks());
    }
}

/// Numbers and texts of a journal, the oldest first.
fn numbered(journal: &Value) -> Vec<(&str, &str)> {
    let all = journal.as_array().unwrap().iter().rev();
    all.map(|one| (one["idMessage"].as_str().unwrap(), one["textMessage"].as_str().unwrap())).collect()
}

/// Whether a notification is of a message that was changed or taken back.
fn is_of_change(body: &Value) -> bool {
    ["editedMessage", "deletedMessage"].iter().any(|kind| body["messageData"]["typeMessage"] == *kind)
}

/// A text without its spaces, some of which are lost where it is cut.
fn folded(text: &str) -> String {
    text.split_whitespace().collect()
}

/// Chance that can be repeated (xorshift64*).
pub(crate) struct Chance(pub(crate) u64);

impl Chance {
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % limit
    }

    pub(crate) async fn pause(&mut self, most_ms: u64) {
        sleep(Duration::from_millis(self.below(most_ms))).await;
    }
}
