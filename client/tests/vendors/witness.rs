//! People's accounts on Telethon, which tell what others do to them.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, ChildStdin};
use tokio::sync::{Mutex as Turn, oneshot};
use tokio::time::{Duration, Instant, sleep, timeout};

use crate::support::{SOON, Scene};

/// The program that holds the accounts. It ends when it is dropped.
pub(crate) struct Witness {
    _child: Child,
    shared: Arc<Shared>,
}

/// An account.
#[derive(Clone)]
pub(crate) struct Person {
    pub(crate) id: i64,
    phone: String,
    shared: Arc<Shared>,
}

struct Shared {
    commands: Turn<ChildStdin>,
    heard: Mutex<Heard>,
}

#[derive(Default)]
struct Heard {
    /// Who is logged in, by phone number.
    people: HashMap<String, i64>,
    answers: HashMap<u64, oneshot::Sender<Value>>,
    last: u64,
    updates: Vec<Value>,
}

impl Witness {
    /// Logs people in, by the codes that Telegram sends them.
    pub(crate) async fn log_in(scene: &Scene, phones: &[&str], folder: &Path) -> Self {
        let address = scene.telegram.address(scene.telegram.home_dc()).unwrap();
        let pem = folder.join("telegram.pem");
        std::fs::write(&pem, scene.telegram.public_key_pem()).unwrap();
        let options = json!({
            "host": address.ip(), "port": address.port(), "dc": scene.telegram.home_dc(), "pem": pem, "phones": phones,
        });
        let mut child = crate::vendor::python("witness.py").await;
        let mut child = child.arg(options.to_string()).spawn().unwrap();
        let commands = Turn::new(child.stdin.take().unwrap());
        let shared = Arc::new(Shared { commands, heard: Mutex::default() });
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let (world, hears) = (scene.world().clone(), Arc::clone(&shared));
        tokio::spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                let event: Value =
                    serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
                if let Some(phone) = event["code_wanted"].as_str() {
                    let code = world.pending_login_code(phone);
                    hears.say(&json!({"phone": phone, "code": code})).await;
                } else {
                    hears.heard.lock().unwrap().take(event);
                }
            }
        });
        let witness = Self { _child: child, shared };
        let end = Instant::now() + SOON;
        while witness.shared.heard.lock().unwrap().people.len() < phones.len() {
            assert!(Instant::now() < end, "the witnesses do not get in");
            sleep(Duration::from_millis(20)).await;
        }
        witness
    }

    pub(crate) fn person(&self, phone: &str) -> Person {
        let id = self.shared.heard.lock().unwrap().people[phone];
        Person { id, phone: phone.to_owned(), shared: Arc::clone(&self.shared) }
    }
}

impl Shared {
    async fn say(&self, wish: &Value) {
        self.commands.lock().await.write_all(format!("{wish}\n").as_bytes()).await.unwrap();
    }
}

impl Heard {
    fn take(&mut self, event: Value) {
        if let Some(phone) = event["ready"].as_str() {
            self.people.insert(phone.to_owned(), event["id"].as_i64().unwrap());
        } else if let Some(answer) = event["n"].as_u64().and_then(|n| self.answers.remove(&n)) {
            answer.send(event).ok();
        } else {
            self.updates.push(event);
        }
    }
}

impl Person {
    /// Has the account do or look at something that it can.
    pub(crate) async fn can(&self, what: &str, with: Value) -> Value {
        self.tries(what, with).await.unwrap_or_else(|error| panic!("{what}: {error}"))
    }

    pub(crate) async fn tries(&self, what: &str, with: Value) -> Result<Value, Value> {
        let (answer, answered) = oneshot::channel();
        let mut wish = with;
        {
            let mut heard = self.shared.heard.lock().unwrap();
            heard.last += 1;
            wish["n"] = heard.last.into();
            let n = heard.last;
            heard.answers.insert(n, answer);
        }
        wish["who"] = self.phone.as_str().into();
        wish["do"] = what.into();
        self.shared.say(&wish).await;
        let mut told = timeout(SOON, answered).await.unwrap_or_else(|_| panic!("{what}: no answer")).unwrap();
        if told["error"].is_null() { Ok(told["value"].take()) } else { Err(told["error"].take()) }
    }

    /// Looks until it sees what is wanted, and gives that.
    pub(crate) async fn sees(&self, what: &str, with: Value, is_wanted: impl Fn(&Value) -> bool) -> Value {
        let end = Instant::now() + SOON;
        loop {
            let seen = self.tries(what, with.clone()).await;
            if let Some(seen) = seen.as_ref().ok().filter(|seen| is_wanted(seen)) {
                return seen.clone();
            }
            assert!(Instant::now() < end, "{what} {with}: {seen:?}");
            sleep(Duration::from_millis(50)).await;
        }
    }

    /// Waits for a message in a chat, and gives it.
    pub(crate) async fn message(&self, chat: i64, is_wanted: impl Fn(&Value) -> bool) -> Value {
        let first =
            |seen: &Value| seen.as_array().and_then(|all| all.iter().find(|one| is_wanted(one)).cloned());
        let seen = self.sees("messages", json!({"chat": chat}), |seen| first(seen).is_some()).await;
        first(&seen).unwrap()
    }

    /// Waits for an update of a kind.
    pub(crate) async fn told(&self, kind: &str, is_wanted: impl Fn(&Value) -> bool) -> Value {
        let end = Instant::now() + SOON;
        loop {
            {
                let heard = self.shared.heard.lock().unwrap();
                let own = heard.updates.iter().filter(|event| event["who"] == self.phone.as_str());
                let mut of_kind = own.filter(|event| event["told"] == kind).map(|event| &event["update"]);
                if let Some(update) = of_kind.find(|update| is_wanted(update)) {
                    return update.clone();
                }
                assert!(Instant::now() < end, "no {kind} in {:#?}", heard.updates);
            }
            sleep(Duration::from_millis(20)).await;
        }
    }
}
