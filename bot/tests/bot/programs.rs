//! Other programs that lead the bot by the Bot API of this machine, request by request.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use reqwest::Client;
use serde_json::{Value, json};
use tgtrunk_config::{BotStatus, Lamp};
use tokio::time::{Instant, sleep};

use crate::room::Room;
use crate::telegram::TOKEN;

const API: &str = "[bot.api]\nlisten = \"127.0.0.1:0\"\n";
/// Until what should not happen would have happened.
const WHILE: Duration = Duration::from_millis(400);

#[tokio::test(flavor = "multi_thread")]
async fn updates_outlive_a_kill_until_they_are_confirmed_and_come_no_more_then() {
    let mut room = Room::running("", API).await;
    let id = room.telegram.says(500, "order 12");
    room.telegram.says(501, "order 13");
    confirmed(&room).await;
    room.kills().await;
    room.starts().await;
    let api = Api::of(&room);
    for _ in 0..2 {
        let updates = api.updates("").await;
        assert_eq!(texts(&updates), ["order 12", "order 13"]);
        assert_eq!(updates[0]["update_id"], id);
        assert_eq!(updates[0]["message"]["from"]["first_name"], "P500");
    }
    assert_eq!(texts(&api.updates("limit=1").await), ["order 12"]);
    assert_eq!(texts(&api.updates(&format!("offset={}", id + 1)).await), ["order 13"]);
    room.kills().await;
    room.starts().await;
    let api = Api::of(&room);
    assert_eq!(texts(&api.updates("").await), ["order 13"]);
    assert_eq!(texts(&api.updates("offset=-1").await), ["order 13"]);
    assert!(api.updates(&format!("offset={}", id + 2)).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_program_confirmed_and_telegram_repeats_after_a_kill_is_not_given_again() {
    let mut room = Room::running("", API).await;
    // Telegram hears a second late what was taken.
    room.telegram.is_slow("GetUpdates", Duration::from_secs(1));
    let id = room.telegram.says(500, "once");
    let api = Api::of(&room);
    assert_eq!(texts(&api.updates("timeout=10").await), ["once"]);
    assert!(api.updates(&format!("offset={}", id + 1)).await.is_empty());
    assert_eq!(room.telegram.waiting(), 1, "it is too late for this test: Telegram knows already");
    room.kills().await;
    room.telegram.is_slow("none", Duration::ZERO);
    room.starts().await;
    confirmed(&room).await;
    let api = Api::of(&room);
    assert!(api.updates("").await.is_empty());
    room.telegram.says(500, "twice");
    assert_eq!(texts(&api.updates("timeout=10").await), ["twice"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_channel_posts_is_told_to_programs_and_is_in_the_journal() {
    let room = Room::running("", API).await;
    let channel =
        json!({"id": -1_001_234_567_890_i64, "type": "channel", "title": "Prices", "username": "prices"});
    let post = json!({"message_id": 7, "date": 1_700_000_000, "chat": channel, "sender_chat": channel, "text": "Oak is cheaper"});
    let file = json!({"file_id": "f", "file_unique_id": "u", "file_name": "prices.csv", "mime_type": "text/csv", "file_size": 5});
    let list = json!({"message_id": 8, "date": 1_700_000_001, "chat": channel, "sender_chat": channel, "document": file});
    room.telegram.happens("channel_post", post);
    room.telegram.happens("channel_post", list);
    confirmed(&room).await;
    let api = Api::of(&room);
    let updates = api.updates("").await;
    let posts: Vec<&Value> = updates.iter().map(|update| &update["channel_post"]).collect();
    assert_eq!((posts.len(), &posts[0]["text"]), (2, &json!("Oak is cheaper")), "{updates:?}");
    assert_eq!(posts[1]["document"]["file_name"], "prices.csv", "{updates:?}");
    let url = format!("{}/api/v1/actions/get_messages", api.root);
    let asked = api.http.post(url).bearer_auth(TOKEN).body(json!({"dialog": channel["id"]}).to_string());
    let told: Value = serde_json::from_slice(&asked.send().await.unwrap().bytes().await.unwrap()).unwrap();
    let messages = &told["result"]["messages"];
    assert_eq!(
        (&messages[1]["text"], &messages[1]["out"]),
        (&json!("Oak is cheaper"), &json!(false)),
        "{told}"
    );
    assert_eq!(
        (&messages[1]["from"]["name"], &messages[1]["chat"]["type"]),
        (&json!("Prices"), &json!("channel"))
    );
    assert_eq!(messages[0]["attachments"][0]["file_name"], "prices.csv", "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_keypad_works_beside_a_program_which_has_all_other_presses() {
    let room = Room::running("", API).await;
    room.gateway.rings(&room.line(1), 1, 500);
    let api = Api::of(&room);
    api.updates("").await;
    room.telegram.presses(500, "d:0000000000000001:5");
    room.telegram.queries(crate::gateway::ACCOUNT, "keypad:0000000000000001");
    room.telegram.presses(500, "order:12:yes");
    room.telegram.queries(500, "price of tea");
    room.telegram.hears("AnswerInlineQuery", |_| true).await;
    assert_eq!(room.gateway.hears(1).await[0].digits.as_str(), "5");
    let limit = Instant::now() + Duration::from_secs(10);
    let mut updates = Vec::new();
    while updates.len() < 2 && Instant::now() < limit {
        updates = api.updates("timeout=1").await;
        sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(updates[0]["callback_query"]["data"], "order:12:yes");
    assert_eq!(updates[1]["inline_query"]["query"], "price of tea");
    sleep(WHILE).await;
    assert_eq!(api.updates("").await.len(), 2);
    let answered = room.telegram.asked("AnswerCallbackQuery");
    assert!(answered.iter().all(|body| !body["callback_query_id"].as_str().unwrap().contains("order")));
    assert_eq!(room.telegram.asked("AnswerInlineQuery").len(), 1);
    let kinds = &room.telegram.asked("GetUpdates")[0]["allowed_updates"];
    assert!(kinds.as_array().unwrap().contains(&json!("poll_answer")), "{kinds}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_bot_greets_and_gives_keys_itself_and_leaves_the_rest_to_a_program_that_is_there() {
    let room = Room::running("", API).await;
    room.telegram.says(500, "hello");
    room.telegram.hears("SendMessage", |body| body["text"].as_str().unwrap().starts_with("Sorry")).await;
    let api = Api::of(&room);
    api.updates("").await;
    room.telegram.says(501, "order 12");
    room.telegram.says(502, "/start");
    room.telegram.says(503, "my key");
    room.telegram.hears("SendMessage", |body| body["text"] == "Your key: 503").await;
    room.telegram.hears("SendMessage", |body| body["chat_id"] == 502).await;
    let limit = Instant::now() + Duration::from_secs(10);
    while api.updates("").await.len() < 4 && Instant::now() < limit {
        sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(texts(&api.updates("").await), ["hello", "order 12", "/start", "my key"]);
    assert!(room.telegram.asked("SendMessage").iter().all(|body| body["chat_id"] != 501));
    let (told, _) = room.commands(&["keys", "acme_bot"]).await;
    assert!(told.contains("501 P501"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_polls_the_older_is_told_and_none_is_served_beside_a_webhook() {
    let room = Room::running("", API).await;
    let api = Api::of(&room);
    let older = api.clone();
    let older = tokio::spawn(async move { older.get("getUpdates?timeout=30").await });
    sleep(WHILE).await;
    let newer = api.clone();
    let newer = tokio::spawn(async move { newer.get("GETUPDATES?timeout=30").await });
    let told = older.await.unwrap();
    assert_eq!(told["error_code"], 409);
    assert_eq!(
        told["description"],
        "Conflict: terminated by other getUpdates request; make sure that only one bot instance is running"
    );
    sleep(WHILE).await;
    let set = api.get("setWebhook?url=http://127.0.0.1:9/x").await;
    assert_eq!((&set["ok"], &set["description"]), (&json!(true), &json!("Webhook was set")));
    assert_eq!(newer.await.unwrap()["description"], "Conflict: terminated by setWebhook request");
    let told = api.get("getUpdates").await;
    assert_eq!(
        told["description"],
        "Conflict: can't use getUpdates method while webhook is active; use deleteWebhook to delete the webhook first"
    );
    assert_eq!(api.get("deleteWebhook").await["description"], "Webhook was deleted");
    assert_eq!(api.get("getUpdates").await["result"], json!([]));
    assert_eq!(api.get("getWebhookInfo").await["result"]["url"], "");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_of_our_own_opens_until_it_is_revoked_and_a_wrong_one_never() {
    let mut room = Room::running("", API).await;
    let api = Api::of(&room);
    let wrong = api.with("42:ABCDEFGHIJKLMNOPQRSTUVWXYZ");
    for (api, code) in
        [(&wrong, 401), (&api.with("43:ABCDEFGHIJKLMNOPQRSTUVWXYZ"), 401), (&api.with("x"), 404)]
    {
        assert_eq!(api.get("getMe").await["error_code"], code);
        assert_eq!(api.get("getUpdates").await["error_code"], code);
    }
    assert_eq!(wrong.get("getMe").await["description"], "Unauthorized");
    let (told, well) = room.commands(&["api-token", "make", "@acme_bot", "--label", "1C"]).await;
    assert!(well, "{told}");
    let token = told.split_whitespace().nth(2).unwrap().to_owned();
    assert!(token.starts_with("42:") && token.len() == 38 && token != TOKEN, "{told}");
    let (told, well) = room.commands(&["api-token", "make", "@acme_bot", "--label", "1C"]).await;
    assert!(!well && told.contains("there is a token with this label"), "{told}");
    let own = api.with(&token);
    // Telegram is asked with the bot's own token, and no other would do.
    let sent = own.post("sendMessage", json!({"chat_id": 7, "text": "from 1C"})).await;
    assert_eq!(sent["ok"], true);
    room.telegram.hears("sendMessage", |body| body["text"] == "from 1C").await;
    for method in ["logOut", "close", "LOGOUT"] {
        let told = own.get(method).await;
        assert!(
            told["error_code"] == 400 && told["description"].as_str().unwrap().contains("tgtrunk"),
            "{told}"
        );
    }
    let (told, _) = room.commands(&["api-token", "list", "acme_bot"]).await;
    assert!(told.contains("1 \"1C\"") && !told.contains(&token), "{told}");
    let waits = own.clone();
    let waits = tokio::spawn(async move { waits.get("getUpdates?timeout=30").await });
    sleep(WHILE).await;
    let (told, well) = room.commands(&["api-token", "revoke", "acme_bot", "1C"]).await;
    assert!(well, "{told}");
    assert_eq!(own.get("getMe").await["error_code"], 401);
    room.telegram.says(500, "hello");
    assert_eq!(waits.await.unwrap()["error_code"], 401);
    assert_eq!(texts(&api.updates("timeout=10").await), ["hello"]);
    let secret = token.split_once(':').unwrap().1;
    assert!(!room.log().contains(secret));
    let files = std::fs::read(room.state().join("bots/acme_bot/bot.db")).unwrap();
    assert!(!String::from_utf8_lossy(&files).contains(secret));
    assert!(room.ends().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn telegrams_own_refusals_are_passed_on_and_its_silence_is_told() {
    let room = Room::running("", API).await;
    let api = Api::of(&room);
    room.telegram.fails("sendMessage", 429, "Too Many Requests: retry after 7", 1);
    let told = api.post("sendMessage", json!({"chat_id": 7, "text": "x"})).await;
    assert_eq!((&told["error_code"], &told["parameters"]["retry_after"]), (&json!(429), &json!(7)));
    room.telegram.fails("sendMessage", 403, "Forbidden: bot was blocked by the user", 1);
    let told = api.post("sendMessage", json!({"chat_id": 7, "text": "x"})).await;
    assert_eq!(told["description"], "Forbidden: bot was blocked by the user");
    assert_eq!(api.get("get/Me").await["error_code"], 404);
    let file = |path: &str| format!("{}/file/bot{TOKEN}/{path}", api.root);
    for climbing in ["%2e%2e/x", "a/%2E%2e/b"] {
        assert_eq!(api.http.get(file(climbing)).send().await.unwrap().status(), 404, "{climbing}");
    }
}

/// Every way of sending, changing and looking that programs of bots know, with the keyboards that only bots have.
#[tokio::test(flavor = "multi_thread")]
async fn what_programs_have_a_bot_do_reaches_telegram_as_they_say_it() {
    let room = Room::running("", API).await;
    let api = Api::of(&room);
    let inline = json!({"inline_keyboard": [[{"text": "Site", "url": "https://example.org"}, {"text": "Yes", "callback_data": "y"}]]});
    let keys = json!({
        "keyboard": [[{"text": "Price"}, {"text": "Where I am", "request_location": true}, {"text": "My number", "request_contact": true}]],
        "resize_keyboard": true, "one_time_keyboard": true,
    });
    for (method, body) in [
        (
            "sendMessage",
            json!({"chat_id": 500, "text": "<b>Готов</b>", "parse_mode": "HTML", "disable_notification": true, "reply_markup": inline}),
        ),
        (
            "sendMessage",
            json!({"chat_id": "@acme_news", "text": "*x*", "parse_mode": "MarkdownV2", "reply_markup": keys}),
        ),
        (
            "sendMessage",
            json!({"chat_id": -100_123_456_789_i64, "text": "x", "reply_parameters": {"message_id": 7, "allow_sending_without_reply": true}, "reply_markup": {"remove_keyboard": true}}),
        ),
        ("sendMessage", json!({"chat_id": -42, "text": "я".repeat(4_096)})),
        ("sendLocation", json!({"chat_id": 500, "latitude": 55.75, "longitude": 37.61})),
        ("sendContact", json!({"chat_id": 500, "phone_number": "+79990000000", "first_name": "Anna"})),
        ("forwardMessages", json!({"chat_id": 500, "from_chat_id": -42, "message_ids": [1, 2]})),
        ("editMessageText", json!({"chat_id": 500, "message_id": 7, "text": "new", "reply_markup": inline})),
        ("deleteMessages", json!({"chat_id": 500, "message_ids": [1, 2]})),
        ("getChat", json!({"chat_id": "@anna"})),
    ] {
        assert_eq!(api.post(method, body.clone()).await, json!({"ok": true, "result": true}), "{method}");
        assert_eq!(room.telegram.asked(method).pop().unwrap(), body, "{method}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_gets_each_chats_updates_in_order_until_it_takes_them_also_over_a_kill() {
    let mut room = Room::running("", API).await;
    let receiver = Receiver::start().await;
    let api = Api::of(&room);
    let set = api
        .post(
            "setWebhook",
            json!({"url": receiver.url, "secret_token": "s3cret", "allowed_updates": ["message"], "max_connections": 5}),
        )
        .await;
    assert_eq!(set["ok"], true, "{set}");
    receiver.refuses(500);
    room.telegram.says(500, "bad 1");
    room.telegram.says(500, "bad 2");
    room.telegram.says(501, "good");
    receiver.took("good").await;
    room.telegram.presses(501, "order:1");
    let limit = Instant::now() + Duration::from_secs(10);
    // What it took is noted when it has answered.
    while api.get("getWebhookInfo").await["result"]["pending_update_count"] != 2 && Instant::now() < limit {
        sleep(Duration::from_millis(20)).await;
    }
    let info = api.get("getWebhookInfo").await["result"].clone();
    assert_eq!((&info["url"], &info["pending_update_count"]), (&json!(receiver.url), &json!(2)));
    assert_eq!(info["last_error_message"], "Wrong response from the webhook: 500 Internal Server Error");
    assert_eq!((&info["max_connections"], &info["allowed_updates"]), (&json!(5), &json!(["message"])));
    let shown = |bot: &BotStatus| {
        bot.programs.as_ref().is_some_and(|programs| programs.waiting == 2 && programs.trouble.is_some())
    };
    room.shows(shown).await;
    let (told, well) = room.commands(&["status"]).await;
    assert!(
        !well && told.contains("@acme_bot: the webhook of the program that leads the bot takes no"),
        "{told}"
    );
    assert!(told.contains("@acme_bot: updates that wait for other programs: 2"), "{told}");
    room.kills().await;
    receiver.refuses(0);
    room.starts().await;
    receiver.took("bad 2").await;
    assert_eq!(receiver.all(), ["good", "bad 1", "bad 2"]);
    room.shows(|bot| bot.programs.as_ref().is_some_and(|programs| programs.trouble.is_none())).await;
    // The receiver answers each with a method.
    room.telegram.hears("sendMessage", |body| body["text"] == "heard: bad 2").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_where_nobody_is_gets_everything_when_somebody_comes() {
    let room = Room::running("", API).await;
    let receiver = Receiver::start().await;
    let api = Api::of(&room);
    let url = receiver.url.clone();
    receiver.goes_away();
    api.post("setWebhook", json!({"url": url})).await;
    for person in 500..520 {
        room.telegram.says(person, &format!("from {person}"));
    }
    let limit = Instant::now() + Duration::from_secs(10);
    while api.get("getWebhookInfo").await["result"]["last_error_message"].is_null() {
        assert!(Instant::now() < limit);
        sleep(Duration::from_millis(50)).await;
    }
    let info = api.get("getWebhookInfo").await["result"].clone();
    assert_eq!(
        (&info["last_error_message"], &info["pending_update_count"]),
        (&json!("Connection refused"), &json!(20))
    );
    let receiver = Receiver::at(receiver.url.clone()).await;
    receiver.took("from 519").await;
    let limit = Instant::now() + Duration::from_secs(10);
    while receiver.all().len() < 20 && Instant::now() < limit {
        sleep(Duration::from_millis(20)).await;
    }
    let mut all = receiver.all();
    all.sort();
    assert_eq!(all, (500..520).map(|person| format!("from {person}")).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_setting_nothing_is_kept_and_only_what_is_needed_is_asked_for() {
    let room = Room::running("", "").await;
    room.telegram.says(500, "hello");
    room.telegram.hears("SendMessage", |_| true).await;
    assert!(!room.log().contains("the Bot API for programs"));
    assert!(room.status().await.unwrap().programs.is_none());
    assert_eq!(room.telegram.asked("GetUpdates")[0]["allowed_updates"].as_array().unwrap().len(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bot_whose_messages_cannot_be_opened_does_all_else_and_opens_them_later() {
    let mut room = Room::new("", API).await;
    // It is where a folder is to be.
    let files = room.state().join("bots/acme_bot/files");
    std::fs::write(&files, "no folder").unwrap();
    room.gateway.starts();
    room.starts().await;
    room.gateway.rings(&room.line(1), 1, 500);
    room.telegram.presses(500, "d:0000000000000001:5");
    assert_eq!(room.gateway.hears(1).await[0].digits.as_str(), "5");
    room.telegram.says(500, "for the journal");
    let api = Api::of(&room);
    assert_eq!(texts(&api.updates("timeout=10").await), ["for the journal"]);
    let dialogs = async || {
        let url = format!("{}/api/v1/actions/get_dialogs", api.root);
        let request = api.http.post(url).bearer_auth(TOKEN).header("content-type", "application/json");
        let answer = request.body("{}").send().await.unwrap();
        (answer.status().as_u16(), String::from_utf8(answer.bytes().await.unwrap().to_vec()).unwrap())
    };
    let (status, told) = dialogs().await;
    assert_eq!(status, 503, "{told}");
    let trouble = |bot: &BotStatus| bot.programs.as_ref().and_then(|programs| programs.trouble.clone());
    let status = room.shows(|bot| trouble(bot).is_some()).await;
    let said = trouble(&status).unwrap();
    assert!(
        said.en.contains("cannot be opened: ") && said.en.contains("keypad and call-backs work"),
        "{said}"
    );
    assert!(said.ru.contains("сообщения бота не открываются"), "{said:?}");
    assert_eq!(status.telegram.lamp, Lamp::Green, "{status:?}");
    std::fs::remove_file(&files).unwrap();
    room.shows(|bot| bot.programs.is_some() && trouble(bot).is_none()).await;
    // An instance that was just opened has yet to hear that its bot is there.
    let mut asked = dialogs().await;
    for _ in 0..50 {
        if asked.0 != 503 {
            break;
        }
        sleep(Duration::from_millis(200)).await;
        asked = dialogs().await;
    }
    let (status, told) = asked;
    assert!(status == 200 && told.contains("for the journal"), "what came meanwhile: {status} {told}");
    assert!(room.ends().await);
}

/// A program, without a library.
#[derive(Clone)]
struct Api {
    http: Client,
    root: String,
    token: String,
}

impl Api {
    /// Finds the port in the log.
    fn of(room: &Room) -> Self {
        let log = room.log();
        let root =
            log.rsplit("for programs: ").next().and_then(|rest| rest.split("/bot<token>").next()).unwrap();
        assert!(root.starts_with("http://127.0.0.1:"), "{log}");
        let http = Client::builder().no_proxy().build().unwrap();
        Self { http, root: root.to_owned(), token: TOKEN.to_owned() }
    }

    fn with(&self, token: &str) -> Self {
        Self { token: token.to_owned(), ..self.clone() }
    }

    async fn get(&self, method: &str) -> Value {
        let url = format!("{}/bot{}/{method}", self.root, self.token);
        told(self.http.get(url).send().await.unwrap()).await
    }

    async fn post(&self, method: &str, body: Value) -> Value {
        let url = format!("{}/bot{}/{method}", self.root, self.token);
        let request = self.http.post(url).header("content-type", "application/json").body(body.to_string());
        told(request.send().await.unwrap()).await
    }

    async fn updates(&self, query: &str) -> Vec<Value> {
        let told = self.get(&format!("getUpdates?{query}")).await;
        told["result"].as_array().unwrap_or_else(|| panic!("{told}")).clone()
    }
}

async fn told(answer: reqwest::Response) -> Value {
    let status = answer.status().as_u16();
    let told: Value = serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap();
    assert_eq!(told["error_code"].as_u64().unwrap_or(200), u64::from(status), "{told}");
    told
}

fn texts(updates: &[Value]) -> Vec<&str> {
    updates.iter().map(|update| update["message"]["text"].as_str().unwrap()).collect()
}

/// Waits until Telegram knows that everything was taken.
async fn confirmed(room: &Room) {
    let limit = Instant::now() + Duration::from_secs(10);
    while room.telegram.waiting() > 0 {
        assert!(Instant::now() < limit, "Telegram still has updates");
        sleep(Duration::from_millis(10)).await;
    }
}

/// Where a program has its webhook. It refuses what begins with "bad", if it is told to.
struct Receiver {
    url: String,
    heard: Arc<Mutex<Heard>>,
    task: tokio::task::JoinHandle<()>,
}

#[derive(Default)]
struct Heard {
    refuses: u16,
    took: Vec<String>,
}

impl Receiver {
    async fn start() -> Self {
        // An address of its own: a port that is free for a moment may be another's in the next.
        static RECEIVERS: AtomicU32 = AtomicU32::new(1);
        let (receiver, process) = (RECEIVERS.fetch_add(1, Ordering::Relaxed), std::process::id());
        let (high, low) = (128 + (process >> 8) % 64, process % 256);
        Self::at(format!("http://127.{high}.{low}.{receiver}:8093/1c/hs/bot")).await
    }

    async fn at(url: String) -> Self {
        let address = url.trim_start_matches("http://").split('/').next().unwrap().to_owned();
        let listener = tokio::net::TcpListener::bind(address).await.unwrap();
        let heard = Arc::new(Mutex::new(Heard::default()));
        let router = Router::new().route("/1c/hs/bot", post(hear)).with_state(Arc::clone(&heard));
        let task = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url, heard, task }
    }

    fn refuses(&self, status: u16) {
        self.heard.lock().unwrap().refuses = status;
    }

    fn goes_away(&self) {
        self.task.abort();
    }

    fn all(&self) -> Vec<String> {
        self.heard.lock().unwrap().took.clone()
    }

    async fn took(&self, text: &str) {
        let limit = Instant::now() + Duration::from_secs(15);
        while !self.all().iter().any(|took| took == text) {
            assert!(Instant::now() < limit, "no {text} among {:?}", self.all());
            sleep(Duration::from_millis(10)).await;
        }
    }
}

async fn hear(
    State(heard): State<Arc<Mutex<Heard>>>,
    headers: HeaderMap,
    body: String,
) -> (StatusCode, String) {
    let update: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(headers["content-type"], "application/json");
    let text = update["message"]["text"].as_str().unwrap().to_owned();
    let mut heard = heard.lock().unwrap();
    if heard.refuses > 0 && text.starts_with("bad") {
        return (StatusCode::from_u16(heard.refuses).unwrap(), String::new());
    }
    if text.starts_with("bad") {
        assert_eq!(headers["x-telegram-bot-api-secret-token"], "s3cret");
    }
    let answer = json!({"method": "sendMessage", "chat_id": 7, "text": format!("heard: {text}")});
    heard.took.push(text);
    (StatusCode::OK, answer.to_string())
}
