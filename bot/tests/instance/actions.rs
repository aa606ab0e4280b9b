//! What each action does, and what a bot cannot.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tgtrunk_shell::clock::unix_ms;
use tgtrunk_test_telegram::world::{BotAction, BotMatch};
use tokio::time::{Instant, sleep};

use crate::support::{Stage, WHILE, curl};
use crate::web::{picture, sha256};

#[tokio::test(flavor = "multi_thread")]
async fn each_of_the_nine_actions_does_what_it_says() {
    let stage = Stage::open().await;
    let (anna, bot) = (stage.anna.id, stage.info.id);

    let said = json!({
        "dialog": "@anna_a", "connection": "bot", "text": "Заказ <b>№ 7</b> готов", "format": "html", "silent": true,
    });
    let sent = stage.does("send_message", said).await;
    let seen = stage.anna_gets(|message| message["text"] == "Заказ № 7 готов").await;
    assert_eq!((&seen["entities"], &seen["silent"]), (&json!([["MessageEntityBold", "№ 7"]]), &json!(true)));
    assert_eq!(
        (&sent["chat"]["id"], &sent["out"], &sent["from"]["id"]),
        (&json!(anna), &json!(true), &json!(bot))
    );
    let first = sent["message_id"].clone();

    let said = json!({"dialog": anna, "latitude": 55.75, "longitude": 37.62, "title": "Офис", "address": "Тверская, 1"});
    stage.does("send_location", said).await;
    let seen = stage.anna_gets(|message| message["place"]["title"] == "Офис").await;
    assert_eq!(seen["place"]["address"], "Тверская, 1");
    stage.does("send_location", json!({"dialog": anna, "latitude": -33.9, "longitude": 18.4})).await;
    stage.anna_gets(|message| message["media"] == "MessageMediaGeo").await;

    let said = json!({"dialog": anna, "phone": "+79991234567", "first_name": "Иван", "last_name": "Петров"});
    stage.does("send_contact", said).await;
    let seen = stage.anna_gets(|message| !message["contact"].is_null()).await;
    assert_eq!(seen["contact"]["first_name"], "Иван");

    let answer = json!({"dialog": anna, "text": "да", "reply_to_message_id": first});
    let answer = stage.does("send_message", answer).await;
    let seen = stage.anna_gets(|message| message["text"] == "да").await;
    assert!(!seen["reply_to"].is_null() && answer["reply_to_message_id"] == first, "{seen} {answer}");
    let gone = json!({"dialog": anna, "text": "нет", "reply_to_message_id": 4_242});
    stage.refuses("send_message", gone.clone(), "message_not_found").await;
    let mut gone = gone;
    gone["allow_without_reply"] = true.into();
    stage.does("send_message", gone).await;

    let sent = stage
        .does("forward_message", json!({"dialog": anna, "from_dialog": anna, "message_ids": [first]}))
        .await;
    assert_eq!(sent.as_array().map(Vec::len), Some(1), "{sent}");
    let seen = stage.anna_gets(|message| message["forwarded"] == true).await;
    assert_eq!(seen["text"], "Заказ № 7 готов");

    let edit = json!({"dialog": anna, "message_id": first, "text": "Заказ *выдан*", "format": "markdown"});
    let edited = stage.does("edit_message", edit.clone()).await;
    assert_eq!(edited["text"], "Заказ выдан");
    stage.anna_gets(|message| message["text"] == "Заказ выдан" && message["edited"] == true).await;
    stage.refuses("edit_message", edit, "not_modified").await;

    let gone = json!({"dialog": anna, "message_ids": [first]});
    let alone = json!({"dialog": anna, "message_ids": [first], "for_everyone": false});
    stage.refuses("delete_message", alone, "unsupported_for_bot").await;
    assert_eq!(stage.does("delete_message", gone).await["deleted"], 1);
    let limit = Instant::now() + Duration::from_secs(20);
    while stage.count("Заказ выдан") > 0 {
        assert!(Instant::now() < limit, "it is still there");
        sleep(Duration::from_millis(20)).await;
    }

    stage.anna.can("send", json!({"chat": bot, "text": "где мой заказ?"})).await;
    let messages = shows(&stage, "где мой заказ?").await;
    assert_eq!(messages["source"], "journal");
    let wrote = &messages["messages"][0];
    assert_eq!(
        (&wrote["out"], &wrote["from"]["id"], &wrote["from"]["username"]),
        (&json!(false), &json!(anna), &json!("anna_a"))
    );
    let found = stage.does("get_messages", json!({"dialog": anna, "ids": [wrote["message_id"]]})).await;
    assert_eq!(found["messages"].as_array().map(Vec::len), Some(1));

    let dialogs = stage.does("get_dialogs", json!({})).await;
    assert_eq!(dialogs["source"], "journal");
    let dialog = &dialogs["dialogs"][0];
    assert_eq!(
        (&dialog["id"], &dialog["type"], &dialog["title"]),
        (&json!(anna), &json!("private"), &json!("Anna"))
    );
    assert_eq!(
        (&dialog["last_message"]["text"], &dialog["unread"]),
        (&json!("где мой заказ?"), &Value::Null)
    );
    assert_eq!(stage.does("get_dialogs", json!({"type": "group"})).await["dialogs"], json!([]));

    let own = stage.does("get_profile", json!({})).await;
    assert_eq!(
        (&own["id"], &own["username"], &own["phone"]),
        (&json!(bot), &json!("acme_bot"), &Value::Null)
    );
    let card = stage.does("get_profile", json!({"dialog": anna})).await;
    assert_eq!(
        (&card["title"], &card["username"], &card["phone"]),
        (&json!("Anna"), &json!("anna_a"), &Value::Null)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn files_go_as_media_as_documents_and_as_albums_and_come_back_by_their_links() {
    let stage = Stage::open().await;
    let anna = stage.anna.id;
    let (red, blue) = (picture(1), picture(2));
    let [one, two] = [("red.png", &red), ("blue.png", &blue)].map(|(name, file)| stage.web.gives(name, file));
    let said = json!({"dialog": anna, "text": "фото", "attachments": [{"title": "red.png", "url": one}]});
    let sent = stage.does("send_message", said.clone()).await;
    assert_eq!(sent["attachments"][0]["kind"], "photo");
    let seen = stage.anna_gets(|message| message["text"] == "фото").await;
    assert_eq!(
        (&seen["media"], &seen["file"]["sha256"]),
        (&json!("MessageMediaPhoto"), &json!(sha256(&red)))
    );
    let mut plain = said;
    (plain["text"], plain["attachments_as"]) = ("файл".into(), "documents".into());
    stage.does("send_message", plain).await;
    let seen = stage.anna_gets(|message| message["text"] == "файл").await;
    let file = (&seen["media"], &seen["file"]["name"], &seen["file"]["sha256"]);
    assert_eq!(file, (&json!("MessageMediaDocument"), &json!("red.png"), &json!(sha256(&red))));

    let both = json!([{"title": "red.png", "url": one}, {"title": "blue.png", "url": two}]);
    let album = json!({"dialog": anna, "text": "альбом", "attachments": both});
    let sent = stage.does("send_message", album.clone()).await;
    assert_eq!(sent.as_array().map(Vec::len), Some(2), "{sent}");
    let seen = stage.anna_gets(|message| message["text"] == "альбом").await;
    let of_album = |message: &Value| message["album"] == seen["album"];
    let other = stage.anna_gets(|message| of_album(message) && message["id"] != seen["id"]).await;
    assert!(!seen["album"].is_null() && other["file"]["sha256"] == sha256(&blue), "{other}");
    let mut with_keys = album;
    with_keys["buttons"] = json!({"remove_keyboard": true});
    stage.refuses("send_message", with_keys, "bad_request").await;
    let missing = json!({"dialog": anna, "attachments": [{"url": stage.web.link("none.png")}]});
    stage.refuses("send_message", missing, "attachment_failed").await;

    let letter: Vec<u8> = (0..300_000_u32).flat_map(u32::to_le_bytes).collect();
    let wish = json!({"chat": stage.info.id, "contents": STANDARD.encode(&letter), "name": "письмо.bin", "caption": "вот"});
    stage.anna.can("send_file", wish).await;
    let messages = shows(&stage, "вот").await;
    let file = &messages["messages"][0]["attachments"][0];
    assert_eq!((&file["file_name"], &file["size"]), (&json!("письмо.bin"), &json!(letter.len())));
    let folder = tempfile::tempdir().unwrap();
    let got = folder.path().join("got");
    curl(&["-sSf", "-o", got.to_str().unwrap(), file["download_url"].as_str().unwrap()]).await.unwrap();
    assert!(std::fs::read(&got).unwrap() == letter, "the file came back another");
}

#[tokio::test(flavor = "multi_thread")]
async fn buttons_are_seen_and_pressed_and_presses_are_no_messages() {
    let stage = Stage::open().await;
    let anna = stage.anna.id;
    let keys = json!({"inline_keyboard": [
        [{"text": "Да", "callback_data": "order:7:yes"}, {"text": "Сайт", "url": "https://example.org/7"}],
    ]});
    let sent = stage.does("send_message", json!({"dialog": anna, "text": "Берёте?", "buttons": keys})).await;
    let seen = stage.anna_gets(|message| message["text"] == "Берёте?").await;
    assert_eq!(seen["buttons"], json!([["Да", "Сайт"]]));
    // The program answers the press by the Bot API of this machine, as before.
    let method = |rest: &str| format!("{}/bot{}/{rest}", stage.api(), stage.token);
    // What the bot does not know it leaves to programs that ask.
    curl(&["-sSf", &method("getUpdates?timeout=0")]).await.unwrap();
    let wish = json!({"chat": stage.info.id, "id": seen["id"], "text": "Да"});
    let pressing = tokio::spawn({
        let person = stage.anna.clone();
        async move { person.can("press", wish).await }
    });
    let limit = Instant::now() + Duration::from_secs(20);
    let press = loop {
        let told: Value =
            serde_json::from_str(&curl(&["-sS", &method("getUpdates?timeout=2")]).await.unwrap()).unwrap();
        let updates = told["result"].as_array().unwrap().clone();
        if let Some(press) = updates.iter().find(|update| !update["callback_query"].is_null()) {
            break press["callback_query"].clone();
        }
        assert!(Instant::now() < limit, "no press: {told}");
    };
    assert_eq!(
        (&press["data"], &press["message"]["message_id"]),
        (&json!("order:7:yes"), &sent["message_id"])
    );
    let id = press["id"].as_str().unwrap();
    let answered =
        curl(&["-sS", &method(&format!("answerCallbackQuery?callback_query_id={id}&text=thanks"))])
            .await
            .unwrap();
    assert!(answered.contains("\"ok\":true"), "{answered}");
    assert_eq!(pressing.await.unwrap(), "thanks");

    let other = json!({"inline_keyboard": [[{"text": "Отменить", "callback_data": "order:7:no"}]]});
    let edit =
        json!({"dialog": anna, "message_id": sent["message_id"], "text": "Заказ принят", "buttons": other});
    stage.does("edit_message", edit).await;
    let seen = stage.anna_gets(|message| message["text"] == "Заказ принят").await;
    assert_eq!(seen["buttons"], json!([["Отменить"]]));
    let edit = json!({"dialog": anna, "message_id": sent["message_id"], "text": "Заказ едет"});
    stage.does("edit_message", edit).await;
    let seen = stage.anna_gets(|message| message["text"] == "Заказ едет").await;
    assert_eq!(seen["buttons"], json!([]));

    // Each word of a keyboard, as the person's app is told it.
    for (words, resize, one_time) in
        [(json!({"resize": true}), true, false), (json!({"one_time": true}), false, true)]
    {
        let mut letters = json!({"keyboard": [
            [{"text": "Меню"}, {"text": "Я здесь", "request_location": true}],
            [{"text": "Мой номер", "request_contact": true}],
        ]});
        letters.as_object_mut().unwrap().extend(words.as_object().unwrap().clone());
        let text = format!("Выберите: {words}");
        stage.does("send_message", json!({"dialog": anna, "text": text, "buttons": letters})).await;
        let seen = stage.anna_gets(|message| message["text"] == *text).await;
        assert_eq!(
            (&seen["markup"], &seen["buttons"]),
            (&json!("ReplyKeyboardMarkup"), &json!([["Меню", "Я здесь"], ["Мой номер"]]))
        );
        let asks = json!([["Default", "RequestGeoLocation"], ["RequestPhone"]]);
        assert_eq!(
            seen["keyboard"],
            json!({"resize": resize, "one_time": one_time, "asks": asks}),
            "{words}"
        );
    }
    let gone = json!({"dialog": anna, "text": "Спасибо", "buttons": {"remove_keyboard": true}});
    stage.does("send_message", gone).await;
    let seen = stage.anna_gets(|message| message["text"] == "Спасибо").await;
    assert_eq!(seen["markup"], "ReplyKeyboardHide");

    let wrong = json!({"dialog": anna, "text": "x", "buttons": {"inline_keyboard": [[{"text": "a"}]]}});
    let error = stage.refuses("send_message", wrong, "bad_request").await;
    assert!(error["message"].as_str().unwrap().contains("buttons.inline_keyboard[0][0]"), "{error}");
    let journal = stage.does("get_messages", json!({"dialog": anna, "limit": 100})).await;
    assert!(!journal.to_string().contains("order:7:yes"), "{journal}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_is_refused_with_its_code_and_a_flood_and_a_time_are_waited_for() {
    let stage = Stage::open().await;
    let anna = stage.anna.id;
    let text = |dialog: Value, text: &str| json!({"dialog": dialog, "text": text});
    let error = stage.refuses("send_message", text("+79990000001".into(), "x"), "unsupported_for_bot").await;
    assert!(error["message"].as_str().unwrap().contains("phone number"), "{error}");
    stage.refuses("send_message", text(4_242.into(), "x"), "dialog_not_found").await;
    let error = stage.refuses("send_message", text("@nobody_here".into(), "x"), "dialog_not_found").await;
    assert!(error["message"].as_str().unwrap().contains("@nobody_here"), "{error}");
    let mut user = text(anna.into(), "x");
    user["connection"] = "user".into();
    let error = stage.refuses("send_message", user, "bad_request").await;
    assert!(error["message"].as_str().unwrap().contains("\"bot\""), "{error}");
    let other = format!("{}:{}", stage.info.id, "A".repeat(35));
    for token in ["x", &other] {
        let (status, told) = stage.calls_as(token, "get_profile", &json!({})).await;
        assert_eq!((status, &told["error"]["code"]), (401, &json!("unauthorized")));
    }

    let flood = BotAction::RetryAfter { seconds: 1 };
    stage.scene.world().add_bot_fault(BotMatch::method("sendMessage").times(1), flood);
    stage.does("send_message", text(anna.into(), "после паузы")).await;
    assert_eq!(stage.count("после паузы"), 1);

    let mut later = text(anna.into(), "в срок");
    let at_ms = unix_ms() + 2_500;
    later["schedule_at"] = at_ms.into();
    assert_eq!(stage.does("send_message", later).await["scheduled"], true);
    sleep(WHILE).await;
    assert_eq!(stage.count("в срок"), 0);
    let seen = stage.anna_gets(|message| message["text"] == "в срок").await;
    assert!(seen["date"].as_i64().unwrap() * 1000 + 1_000 >= i64::try_from(at_ms).unwrap(), "{seen}");

    stage.scene.world().set_blocked(anna, stage.info.id, true);
    stage.refuses("send_message", text(anna.into(), "x"), "user_blocked_bot").await;
    stage.scene.world().set_blocked(anna, stage.info.id, false);
    let protected = BotAction::Error {
        code: 400,
        description: "Bad Request: message has protected content and can't be forwarded".to_owned(),
    };
    stage.scene.world().add_bot_fault(BotMatch::method("forwardMessage").times(1), protected);
    let forward = json!({"dialog": anna, "from_dialog": anna, "message_ids": [seen["id"]]});
    stage.refuses("forward_message", forward, "privacy_restricted").await;
    let revoked = stage.command(&["api-token", "revoke", "acme_bot", "1C"]).output().await.unwrap();
    assert!(revoked.status.success());
    let (status, told) = stage.calls("get_profile", &json!({})).await;
    assert_eq!(status, 401, "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn times_are_read_however_they_are_written_and_whoever_waits_no_longer_asks_the_job() {
    let stage = Stage::open().await;
    let anna = stage.anna.id;
    let at_s = i64::try_from(unix_ms() / 1_000).unwrap() + 6;
    let at = chrono::DateTime::from_timestamp(at_s, 0).unwrap();
    let forms = [
        ("в секундах", json!(at_s)),
        ("с поясом", json!(at.to_rfc3339())),
        ("по Гринвичу", json!(at.format("%Y-%m-%dT%H:%M:%SZ").to_string())),
    ];
    for (text, schedule_at) in &forms {
        let said = json!({"dialog": anna, "text": text, "schedule_at": schedule_at, "past": "error"});
        assert_eq!(stage.does("send_message", said).await["scheduled"], true, "{text}");
    }
    let mut late = json!({"dialog": anna, "text": "поздно", "schedule_at": "2020-01-01T10:00:00Z"});
    assert_eq!(stage.does("send_message", late.clone()).await["text"], "поздно");
    (late["text"], late["past"]) = ("никогда".into(), "error".into());
    let error = stage.refuses("send_message", late, "bad_request").await;
    assert!(error["message"].as_str().unwrap().contains("'schedule_at'"), "{error}");
    for (text, _) in &forms {
        let seen = stage.anna_gets(|message| message["text"] == *text).await;
        assert!(seen["date"].as_i64().unwrap() >= at_s - 1, "{text}: {seen}");
    }
    assert_eq!(stage.count("никогда"), 0);

    let slow = BotAction::Delay { ms: 4_000 };
    stage.scene.world().add_bot_fault(BotMatch::method("sendMessage").times(1), slow);
    let said = json!({"dialog": anna, "text": "долго", "timeout_ms": 1_000});
    let (status, told) = stage.calls("send_message", &said).await;
    assert_eq!((status, &told["error"]["code"]), (504, &json!("timeout")), "{told}");
    let job = told["job_id"].as_str().unwrap();
    assert!(told["error"]["message"].as_str().unwrap().contains(job), "{told}");
    let done = stage.job(job).await;
    assert_eq!((&done["state"], &done["result"]["text"]), (&json!("done"), &json!("долго")), "{done}");
    assert_eq!(stage.count("долго"), 1);
}

/// The journal of Anna's chat, once its last message says so.
pub(crate) async fn shows(stage: &Stage, text: &str) -> Value {
    let limit = Instant::now() + Duration::from_secs(20);
    loop {
        let told = stage.does("get_messages", json!({"dialog": stage.anna.id})).await;
        if told["messages"][0]["text"] == text {
            return told;
        }
        assert!(Instant::now() < limit, "{told}");
        sleep(Duration::from_millis(50)).await;
    }
}
