//! A Bot API that keeps updates until they are confirmed, writes down what it is asked, and fails when told to.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::post;
use serde_json::{Value, json};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, timeout};

/// What a bot asked.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) method: String,
    pub(crate) body: Value,
}

/// How a method fails, and how often.
struct Fault {
    method: &'static str,
    status: u16,
    answer: String,
    times: usize,
}

#[derive(Default)]
struct World {
    updates: VecDeque<Value>,
    last_update: u64,
    asked: Vec<Asked>,
    faults: Vec<Fault>,
    slow: Option<(&'static str, Duration)>,
    inline: bool,
}

#[derive(Clone)]
pub(crate) struct Telegram {
    pub(crate) address: SocketAddr,
    world: Arc<Mutex<World>>,
    news: Arc<Notify>,
}

pub(crate) const TOKEN: &str = "42:AAStieg1itzTok-abcdefghijk";

impl Telegram {
    pub(crate) async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let world = World { inline: true, last_update: 1_000, ..World::default() };
        let telegram = Self {
            address: listener.local_addr().unwrap(),
            world: Arc::new(Mutex::new(world)),
            news: Arc::default(),
        };
        let router = Router::new().route("/{bot}/{method}", post(serve)).with_state(telegram.clone());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        telegram
    }

    /// Something happens; gives the update's number.
    pub(crate) fn happens(&self, kind: &str, what: Value) -> u64 {
        let mut world = self.world.lock().unwrap();
        world.last_update += 1;
        let id = world.last_update;
        world.updates.push_back(json!({"update_id": id, kind: what}));
        drop(world);
        self.news.notify_waiters();
        id
    }

    /// A button is pressed under a message sent by way of the bot.
    pub(crate) fn presses(&self, person: i64, data: &str) -> u64 {
        let id = format!("p{person}-{data}-{}", self.world.lock().unwrap().last_update);
        let query = json!({"id": id, "from": user(person), "inline_message_id": format!("m{person}"), "chat_instance": "1", "data": data});
        self.happens("callback_query", query)
    }

    /// A text is written to the bot.
    pub(crate) fn says(&self, person: i64, text: &str) -> u64 {
        let chat = json!({"id": person, "type": "private", "first_name": "P"});
        self.happens(
            "message",
            json!({"message_id": 1, "date": 1, "from": user(person), "chat": chat, "text": text}),
        )
    }

    /// An inline query is made.
    pub(crate) fn queries(&self, person: i64, text: &str) -> u64 {
        self.happens(
            "inline_query",
            json!({"id": format!("q-{text}-{person}"), "from": user(person), "query": text, "offset": ""}),
        )
    }

    /// The next `times` requests of a method fail.
    pub(crate) fn fails(&self, method: &'static str, status: u16, description: &str, times: usize) {
        let retry = description.strip_prefix("Too Many Requests: retry after ");
        let parameters = retry.map(|wait| json!({"retry_after": wait.parse::<u64>().unwrap()}));
        let told =
            json!({"ok": false, "error_code": status, "description": description, "parameters": parameters});
        // A gateway in front of Telegram answers in HTML.
        let answer = if status >= 500 { "<html>bad gateway</html>".to_owned() } else { told.to_string() };
        self.world.lock().unwrap().faults.push(Fault { method, status, answer, times });
    }

    /// No method fails any more.
    pub(crate) fn is_well(&self) {
        self.world.lock().unwrap().faults.clear();
    }

    /// A method takes its time.
    pub(crate) fn is_slow(&self, method: &'static str, delay: Duration) {
        self.world.lock().unwrap().slow = Some((method, delay));
    }

    pub(crate) fn has_no_inline_mode(&self) {
        self.world.lock().unwrap().inline = false;
    }

    /// What was asked of a method so far, failures included.
    pub(crate) fn asked(&self, method: &str) -> Vec<Value> {
        let world = self.world.lock().unwrap();
        let asked = world.asked.iter().filter(|asked| asked.method.eq_ignore_ascii_case(method));
        asked.map(|asked| asked.body.clone()).collect()
    }

    /// Waits until a method was asked for something that `fits`.
    pub(crate) async fn hears(&self, method: &str, fits: impl Fn(&Value) -> bool) -> Value {
        let limit = Instant::now() + Duration::from_secs(15);
        loop {
            if let Some(found) = self.asked(method).into_iter().find(&fits) {
                return found;
            }
            assert!(Instant::now() < limit, "no such {method} among {:#?}", self.asked(method));
            sleep(Duration::from_millis(10)).await;
        }
    }

    /// How many updates are not confirmed.
    pub(crate) fn waiting(&self) -> usize {
        self.world.lock().unwrap().updates.len()
    }

    async fn updates(&self, asked: &Value) -> Value {
        let offset = asked["offset"].as_u64().unwrap_or(0);
        let wait = Duration::from_secs(asked["timeout"].as_u64().unwrap_or(0));
        let limit = Instant::now() + wait;
        loop {
            let news = self.news.notified();
            {
                let mut world = self.world.lock().unwrap();
                world.updates.retain(|update| update["update_id"].as_u64().unwrap() >= offset);
                if !world.updates.is_empty() || Instant::now() >= limit {
                    return Value::Array(world.updates.iter().take(100).cloned().collect());
                }
            }
            timeout(limit - Instant::now(), news).await.ok();
        }
    }
}

async fn serve(
    State(telegram): State<Telegram>,
    Path((bot, method)): Path<(String, String)>,
    body: String,
) -> (StatusCode, String) {
    let asked: Value = if body.is_empty() { json!({}) } else { serde_json::from_str(&body).unwrap() };
    if bot != format!("bot{TOKEN}") {
        let told = json!({"ok": false, "error_code": 401, "description": "Unauthorized"});
        return (StatusCode::UNAUTHORIZED, told.to_string());
    }
    let (fault, slow, inline) = {
        let mut world = telegram.world.lock().unwrap();
        world.asked.push(Asked { method: method.clone(), body: asked.clone() });
        let fits = |fault: &&mut Fault| fault.method.eq_ignore_ascii_case(&method) && fault.times > 0;
        let fault = world.faults.iter_mut().find(fits).map(|fault| {
            fault.times -= 1;
            (fault.status, fault.answer.clone())
        });
        let slow = world.slow.filter(|(slow, _)| slow.eq_ignore_ascii_case(&method));
        (fault, slow, world.inline)
    };
    if let Some((_, delay)) = slow {
        sleep(delay).await;
    }
    if let Some((status, answer)) = fault {
        return (StatusCode::from_u16(status).unwrap(), answer);
    }
    let result = match method.to_ascii_lowercase().as_str() {
        "getupdates" => telegram.updates(&asked).await,
        "getme" => json!({"id": 42, "is_bot": true, "first_name": "Acme", "username": "acme_bot",
            "supports_inline_queries": inline}),
        "getmydescription" => json!({"description": "Answers calls"}),
        "getwebhookinfo" => json!({"url": "", "has_custom_certificate": false, "pending_update_count": 0}),
        _ => json!(true),
    };
    (StatusCode::OK, json!({"ok": true, "result": result}).to_string())
}

/// Persons below 100 read Russian, others English.
fn user(person: i64) -> Value {
    let language = if person < 100 { "ru" } else { "en" };
    json!({"id": person, "is_bot": false, "first_name": format!("P{person}"), "language_code": language})
}
