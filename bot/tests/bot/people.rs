//! People who write to the bot: greeted, given their key, remembered.

use std::process::Stdio;

use serde_json::json;
use tgtrunk_config::Lamp;
use tokio::io::AsyncWriteExt as _;

use crate::room::Room;
use crate::telegram::TOKEN;

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_given_in_the_persons_language_while_everything_else_is_down() {
    let mut room = Room::new("", "").await;
    room.starts().await;
    room.telegram.says(5, "/start x");
    let greeting = room.telegram.hears("SendMessage", |body| body["chat_id"] == 5).await;
    let text = greeting["text"].as_str().unwrap();
    assert!(text.starts_with("Здравствуйте!") && text.contains("«Мой ключ»"), "{greeting}");
    assert_eq!(greeting["reply_markup"]["keyboard"], json!([[{"text": "Мой ключ"}]]));
    room.telegram.says(5, " мой  КЛЮЧ");
    room.telegram.hears("SendMessage", |body| body["text"] == "Ваш ключ: 5").await;
    room.telegram.says(5_123_456_789, "/key");
    room.telegram.hears("SendMessage", |body| body["text"] == "Your key: 5123456789").await;
    room.telegram.says(500, "what is this");
    room.telegram
        .hears("SendMessage", |body| body["text"].as_str().unwrap().starts_with("Sorry, I do not"))
        .await;
    assert!(room.ends().await);
    let (told, _) = room.commands(&["keys", "acme_bot", "--json"]).await;
    let people: serde_json::Value = serde_json::from_str(&told).unwrap();
    let keys: Vec<_> =
        people.as_array().unwrap().iter().map(|person| person["key"].as_i64().unwrap()).collect();
    assert_eq!(keys, [500, 5_123_456_789, 5]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_who_blocks_the_bot_is_marked_until_they_write_again() {
    let room = Room::running("", "").await;
    room.telegram.fails("SendMessage", 403, "Forbidden: bot was blocked by the user", 1);
    room.telegram.says(500, "/key");
    let blocked = async |blocked: bool| loop {
        let (told, _) = room.commands(&["keys", "acme_bot"]).await;
        if told.contains("500 P500 (en)") && told.contains("has blocked the bot") == blocked {
            break;
        }
    };
    blocked(true).await;
    room.telegram.says(500, "/key");
    blocked(false).await;
    let bot = json!({"id": 42, "is_bot": true, "first_name": "Acme"});
    let change = json!({
        "chat": {"id": 500, "type": "private", "first_name": "P500"}, "date": 1,
        "from": {"id": 500, "is_bot": false, "first_name": "P500"},
        "old_chat_member": {"user": bot, "status": "member"},
        "new_chat_member": {"user": bot, "status": "kicked", "until_date": 0},
    });
    room.telegram.happens("my_chat_member", change);
    blocked(true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_given_also_after_answers_that_telegram_has_wait() {
    let room = Room::running("", "").await;
    room.telegram.fails("SendMessage", 429, "Too Many Requests: retry after 2", 1);
    room.telegram.says(500, "hello");
    room.telegram.says(500, "hello?");
    room.telegram.hears("SendMessage", |_| true).await;
    tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    room.telegram.says(500, "/key");
    room.telegram.hears("SendMessage", |body| body["text"] == "Your key: 500").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_without_a_language_is_greeted_in_the_lines_and_without_lines_in_the_bots() {
    for (with_line, told) in [(false, "Здравствуйте!"), (true, "Hello!")] {
        let mut room = Room::new("language = \"ru\"\n", "").await;
        if !with_line {
            std::fs::remove_dir_all(room.state().join(room.line(1).as_str())).unwrap();
        }
        room.gateway.starts();
        room.starts().await;
        let message = json!({
            "message_id": 1, "date": 1, "from": {"id": 500, "is_bot": false, "first_name": "P"},
            "chat": {"id": 500, "type": "private", "first_name": "P"}, "text": "/start"
        });
        room.telegram.happens("message", message);
        room.telegram.hears("SendMessage", |body| body["text"].as_str().unwrap().starts_with(told)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn people_read_the_lines_own_words_where_it_has_some() {
    let mut room = Room::new("", "").await;
    let texts = "[en]\ngreeting = \"Welcome to {company}\"\nkey = \"Number {key}\"\nkey_button = \"Number\"\n\
                 key_hint = \"Ask for it\"\nunknown_command = \"Pardon?\"\n[ru]\ngreeting = \"Добро пожаловать\"\n";
    std::fs::write(room.state().join(room.line(1).as_str()).join("texts.toml"), texts).unwrap();
    room.gateway.starts();
    room.starts().await;
    room.telegram.says(500, "/start");
    let greeting = room.telegram.hears("SendMessage", |body| body["chat_id"] == 500).await;
    assert!(greeting["text"].as_str().unwrap().starts_with("Welcome to Acme"), "{greeting}");
    assert!(greeting["text"].as_str().unwrap().contains("Ask for it"), "{greeting}");
    assert_eq!(greeting["reply_markup"]["keyboard"], json!([[{"text": "Number"}]]));
    room.telegram.says(500, "Number");
    room.telegram.hears("SendMessage", |body| body["text"] == "Number 500").await;
    room.telegram.says(500, "what is this");
    room.telegram.hears("SendMessage", |body| body["text"].as_str().unwrap().starts_with("Pardon?")).await;
    room.telegram.says(5, "/start");
    room.telegram
        .hears("SendMessage", |body| body["text"].as_str().unwrap().starts_with("Добро пожаловать"))
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_person_is_owed_outlives_a_kill_and_is_sent_once() {
    let mut room = Room::running("", "").await;
    room.telegram.fails("SendMessage", 502, "", 1_000);
    room.telegram.says(500, "/key");
    room.telegram.hears("SendMessage", |_| true).await;
    room.kills().await;
    let tried = room.telegram.asked("SendMessage").len();
    room.telegram.is_well();
    room.starts().await;
    room.telegram.hears("SendMessage", |body| body["text"] == "Your key: 500").await;
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    assert_eq!(room.telegram.asked("SendMessage").len(), tried + 1);
    // What was sent is owed no more.
    room.kills().await;
    room.starts().await;
    room.telegram.says(501, "/key");
    room.telegram.hears("SendMessage", |body| body["text"] == "Your key: 501").await;
    assert_eq!(room.telegram.asked("SendMessage").len(), tried + 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bot_is_added_by_its_token_checked_and_removed() {
    let mut room = Room::running("", "").await;
    let folder = room.state().join("bots/acme_bot");
    room.commands(&["remove", "acme_bot"]).await;
    assert!(!folder.exists());
    assert!(room.status().await.is_none());
    let mut add = room.command(&["add"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    add.stdin.take().unwrap().write_all(format!("{TOKEN}\n").as_bytes()).await.unwrap();
    let output = add.wait_with_output().await.unwrap();
    let told = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success() && told.contains("@acme_bot is written: Acme (id 42)"), "{told}");
    assert!(!told.contains(TOKEN), "{told}");
    room.shows(|bot| bot.telegram.lamp == Lamp::Green && bot.lines == [room.line(1)]).await;
    let (told, well) = room.commands(&["check"]).await;
    assert!(
        well && told.contains("@acme_bot: lines +79060000001") && told.contains("the gateway answers"),
        "{told}"
    );
    let (told, well) = room.commands(&["run"]).await;
    assert!(!well && told.contains("bot.lock is held by another running process"), "{told}");
    room.telegram.has_no_inline_mode();
    room.gateway.stops().await;
    let (told, well) = room.commands(&["check"]).await;
    assert!(!well && told.contains("/setinline") && told.contains("the gateway does not run"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_looks_at_calls_presses_keys_hangs_up_and_has_the_person_called_again() {
    let room = Room::running("operators = [600]\n", "").await;
    room.gateway.rings(&room.line(1), 1, 500);
    let telegram = &room.telegram;
    telegram.says(601, "/calls");
    telegram.hears("SendMessage", |body| body["text"].as_str().unwrap().starts_with("Sorry, I do not")).await;
    telegram.says(600, "/calls");
    let card = telegram.hears("SendMessage", |body| body["text"] == "P500\n+79060000001: incoming").await;
    let rows = &card["reply_markup"]["inline_keyboard"];
    let press = |person: i64, data: &serde_json::Value| {
        let chat = json!({"id": person, "type": "private", "first_name": "P"});
        let from = json!({"id": person, "is_bot": false, "first_name": "P", "language_code": "en"});
        let message = json!({"message_id": 7, "date": 1, "chat": chat, "text": "x"});
        let query = json!({"id": format!("{person}{data}"), "from": from, "message": message, "chat_instance": "1", "data": data});
        telegram.happens("callback_query", query);
    };
    press(600, &rows[0][0]["callback_data"]);
    press(600, &rows[1][1]["callback_data"]);
    let pressed = room.gateway.hears(2).await;
    assert_eq!(pressed.iter().map(|press| press.digits.as_str()).collect::<String>(), "15");
    press(500, &rows[0][0]["callback_data"]);
    press(500, &rows[4][0]["callback_data"]);
    for button in [&rows[0][0], &rows[4][0]] {
        let id = format!("500{}", button["callback_data"]);
        let answer =
            telegram.hears("AnswerCallbackQuery", |body| body["callback_query_id"] == id.as_str()).await;
        assert_eq!(answer["text"], "This button is not for you");
    }
    press(600, &rows[4][0]["callback_data"]);
    let over = telegram.hears("EditMessageText", |body| body["message_id"] == 7).await;
    assert_eq!((&over["chat_id"], &over["text"]), (&600.into(), &"P500\n+79060000001: ended".into()));
    press(600, &over["reply_markup"]["inline_keyboard"][0][0]["callback_data"]);
    room.gateway.has_placed(1).await;
    telegram.hears("AnswerCallbackQuery", |body| body["text"] == "Calling").await;
}
