//! The Bot API as it is on the wire: spellings, ways to send parameters, and what faults leave of an answer.

#![allow(clippy::unwrap_used, reason = "a test may fail by panic")]

use std::time::Duration;

use serde_json::{Value, json};
use tgtrunk_test_telegram::world::{BotAction, BotInfo, BotMatch, Button, NewBot, PressAnswer};
use tgtrunk_test_telegram::{NewUser, Options, RpcError, TestTelegram};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

/// What Telegram may take for anything here.
const SOON: Duration = Duration::from_secs(5);

#[tokio::test]
async fn methods_are_known_in_any_case_and_parameters_in_every_form() {
    let stage = Stage::start().await;
    stage.say("hi");
    let user = stage.user;
    assert_eq!(stage.get("GETME", "").await["result"]["username"], "line_bot");
    let boundary = "multipart/form-data; boundary=xx";
    let multipart = format!(
        "--xx\r\nContent-Disposition: form-data; name=\"chat_id\"\r\n\r\n{user}\r\n\
         --xx\r\nContent-Disposition: form-data; name=\"text\"\r\n\r\nfour\r\n--xx--\r\n"
    );
    let form = "application/x-www-form-urlencoded";
    let answers = [
        stage.get("SendMessage", &format!("chat_id={user}&text=o%20ne")).await,
        stage.post("sendmessage", form, &format!("chat_id={user}&text=t+wo")).await,
        stage.json("sendMessage", json!({ "chat_id": user, "text": "three" })).await,
        stage.post("sendMessage", boundary, &multipart).await,
    ];
    let texts = answers.map(|answer| answer["result"]["text"].clone());
    assert_eq!(texts, ["o ne", "t wo", "three", "four"]);
    assert_eq!(stage.telegram.world().chat(user, stage.bot.id).len(), 5);
}

#[tokio::test]
async fn wrong_tokens_and_methods_are_told_as_telegram_tells_them() {
    let stage = Stage::start().await;
    let told = |answer: Value| (answer["error_code"].clone(), answer["description"].clone());
    let unknown = format!("/bot{}:{}/getMe", stage.bot.id, "A".repeat(35));
    assert_eq!(told(stage.ask("GET", &unknown, "", "").await), (json!(401), json!("Unauthorized")));
    assert_eq!(told(stage.ask("GET", "/botx/getMe", "", "").await), (json!(404), json!("Not Found")));
    assert_eq!(told(stage.ask("GET", "/", "", "").await), (json!(404), json!("Not Found")));
    let missing = (json!(404), json!("Not Found: method not found"));
    assert_eq!(told(stage.get("getNothing", "").await), missing);
    let bad = stage.post("sendMessage", "application/json", "{").await;
    assert_eq!(told(bad).0, json!(400));
    assert_eq!(stage.telegram.world().bot_journal(0).len(), 4, "what has no token is nobody's");
}

#[tokio::test]
async fn a_poll_ends_when_an_update_comes_and_repeats_what_is_not_confirmed() {
    let stage = Stage::start().await;
    assert_eq!(stage.get("getUpdates", "").await["result"], json!([]));
    let begin = Instant::now();
    let poll = async {
        let answer = stage.get("getUpdates", "timeout=10").await;
        (answer, begin.elapsed())
    };
    let speak = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        stage.say("one");
    };
    let ((answer, took), ()) = tokio::join!(poll, speak);
    assert!((100..2000).contains(&took.as_millis()), "{took:?}");
    let first = answer["result"][0]["update_id"].as_i64().unwrap();
    assert_eq!(stage.get("getUpdates", "").await, answer);
    stage.say("two");
    assert_eq!(stage.telegram.world().bot(stage.bot.id).unwrap().pending, 2);
    let limited = stage.get("getUpdates", "limit=1").await;
    assert_eq!(limited, answer);
    let rest = stage.get("getUpdates", &format!("offset={}", first + 1)).await;
    assert_eq!(rest["result"][0]["message"]["text"], "two");
    let begin = Instant::now();
    let none = stage.get("getUpdates", &format!("offset={}&timeout=1", first + 2)).await;
    assert_eq!(none, json!({ "ok": true, "result": [] }));
    assert!(begin.elapsed() >= Duration::from_secs(1));
    let info = stage.telegram.world().bot(stage.bot.id).unwrap();
    assert_eq!((info.pending, info.last_poll_ms.is_some()), (0, true));

    stage.get("getUpdates", "allowed_updates=[\"callback_query\"]").await;
    stage.say("three");
    assert_eq!(stage.get("getUpdates", "").await["result"], json!([]));
}

#[tokio::test]
async fn an_answer_that_is_lost_was_served_and_one_that_is_dropped_was_not() {
    let stage = Stage::start().await;
    stage.say("hi");
    let world = stage.telegram.world();
    let told = || world.chat(stage.user, stage.bot.id).last().unwrap().text.clone();
    let send = async |text: &str| {
        let path = stage.path("sendMessage", &format!("chat_id={}&text={text}", stage.user));
        stage.raw("GET", &path, "", "").await
    };
    let fault =
        |action| world.add_bot_fault(BotMatch::method("sendMessage").bot(stage.bot.id).times(1), action);
    fault(BotAction::LoseAnswer);
    assert_eq!((send("lost").await, told()), (String::new(), "lost".to_owned()));
    fault(BotAction::Drop);
    assert_eq!((send("dropped").await, told()), (String::new(), "lost".to_owned()));
    fault(BotAction::Hang);
    let hung = async {
        while world.bot_journal(0).last().is_none_or(|entry| entry.outcome != "fault: hangs") {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    tokio::select! {
        answer = send("hangs") => panic!("{answer}"),
        hung = timeout(SOON, hung) => assert!(hung.is_ok(), "it never came"),
    }
    fault(BotAction::Html { code: 502 });
    let page = send("x").await;
    assert!(page.starts_with("HTTP/1.1 502 Bad Gateway\r\n") && page.contains("<center>nginx</center>"));
    fault(BotAction::RetryAfter { seconds: 4 });
    let page = send("x").await;
    let flood = r#""description":"Too Many Requests: retry after 4","error_code":429,"ok":false"#;
    assert!(page.contains(flood) && page.contains(r#""parameters":{"retry_after":4}"#), "{page}");
    fault(BotAction::Delay { ms: 300 });
    let begin = Instant::now();
    assert!(send("slow").await.contains(r#""ok":true"#));
    assert!(begin.elapsed() >= Duration::from_millis(300));
    let outcomes: Vec<_> = world.bot_journal(0).into_iter().map(|entry| entry.outcome).collect();
    let wanted = [
        "ok, answer lost",
        "fault: dropped",
        "fault: hangs",
        "fault: 502 HTML",
        "fault: 429 Too Many Requests: retry after 4",
        "ok, late",
    ];
    assert_eq!(outcomes, wanted);
}

#[tokio::test]
async fn a_press_is_answered_once_and_by_its_own_bot() {
    let stage = Stage::start().await;
    stage.say("hi");
    let world = stage.telegram.world();
    let other = world.add_bot(NewBot::new("other_bot", "Other")).unwrap();
    let keys = json!({ "inline_keyboard": [[{ "text": "Yes", "callback_data": "y" }]] });
    let asked = json!({ "chat_id": stage.user, "text": "Really?", "reply_markup": keys });
    stage.json("sendMessage", asked).await;
    let message = world.chat(stage.user, stage.bot.id).last().unwrap().id;
    stage.get("getUpdates", "offset=-1").await;

    let label = Button::Label("Yes".to_owned());
    let press = world.press(stage.user, message, &label);
    let answer = async {
        let updates = stage.get("getUpdates", "timeout=5&allowed_updates=[\"callback_query\"]").await;
        let updates = updates["result"].as_array().unwrap().clone();
        let query = &updates.last().unwrap()["callback_query"];
        assert_eq!((&query["data"], &query["message"]["text"]), (&json!("y"), &json!("Really?")));
        let said =
            json!({ "callback_query_id": query["id"], "text": "Done", "show_alert": true, "cache_time": 3 });
        let stranger = format!("/bot{}/answerCallbackQuery", other.token);
        let json_type = "application/json";
        let refused = stage.ask("POST", &stranger, json_type, &said.to_string()).await;
        let first = stage.json("answerCallbackQuery", said.clone()).await;
        (refused, first, stage.json("answerCallbackQuery", said).await)
    };
    let (pressed, (refused, first, second)) = tokio::join!(press, answer);
    let done = PressAnswer { text: Some("Done".to_owned()), alert: true, url: None, cache_time: 3 };
    assert_eq!(pressed, Ok(done));
    assert_eq!(first["ok"], true);
    let too_old = "Bad Request: query is too old and response timeout expired or query ID is invalid";
    assert_eq!((&refused["description"], &second["description"]), (&json!(too_old), &json!(too_old)));
    let no_button = world.press(stage.user, message, &Button::Data("n".to_owned())).await;
    assert_eq!(no_button, Err(RpcError::new(400, "DATA_INVALID")));
}

/// A test Telegram with a bot and a user.
struct Stage {
    telegram: TestTelegram,
    bot: BotInfo,
    user: i64,
    address: String,
}

impl Stage {
    async fn start() -> Self {
        let telegram = TestTelegram::start(Options::default()).await.unwrap();
        let bot = telegram.world().add_bot(NewBot::new("line_bot", "Line")).unwrap();
        let user = telegram.world().add_user(NewUser::new("+79990000001", "User")).unwrap();
        let address = telegram.bot_api_url().strip_prefix("http://").unwrap().to_owned();
        Self { telegram, bot, user, address }
    }

    fn say(&self, text: &str) {
        self.telegram.world().say(self.user, self.bot.id, text).unwrap();
    }

    fn path(&self, method: &str, query: &str) -> String {
        format!("/bot{}/{method}?{}", self.bot.token, query.replace('"', "%22"))
    }

    async fn get(&self, method: &str, query: &str) -> Value {
        self.ask("GET", &self.path(method, query), "", "").await
    }

    async fn json(&self, method: &str, body: Value) -> Value {
        self.post(method, "application/json", &body.to_string()).await
    }

    async fn post(&self, method: &str, content_type: &str, body: &str) -> Value {
        self.ask("POST", &self.path(method, ""), content_type, body).await
    }

    async fn ask(&self, verb: &str, path: &str, content_type: &str, body: &str) -> Value {
        let answer = self.raw(verb, path, content_type, body).await;
        let (_, body) = answer.split_once("\r\n\r\n").unwrap();
        serde_json::from_str(body).unwrap()
    }

    /// One request on a connection of its own; what came back.
    async fn raw(&self, verb: &str, path: &str, content_type: &str, body: &str) -> String {
        let mut stream = TcpStream::connect(&self.address).await.unwrap();
        let request = format!(
            "{verb} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: {content_type}\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        let read = timeout(SOON * 3, stream.read_to_end(&mut answer)).await.unwrap();
        // A connection may be reset before an answer, never in the middle of one.
        assert!(read.is_ok() || answer.is_empty());
        String::from_utf8(answer).unwrap()
    }
}
