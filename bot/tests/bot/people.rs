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
    assert!(greeting["text"].as_str().unwrap().starts_with("Здравствуйте!"), "{greeting}");
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
