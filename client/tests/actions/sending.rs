//! Texts, places, contacts and forwarded messages.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::stage::{ANNA, Stage, a_while, is_message};
use crate::support::{SOON, phone};

const COMPANY_PHONE: &str = "+79060000000";

#[tokio::test(flavor = "multi_thread")]
async fn texts_look_as_they_were_marked() {
    let stage = Stage::open().await;
    let anna = format!("+{ANNA}");
    let html = "😀 Заказ <b>№ 7</b> <i>готов</i>: <a href=\"https://example.org/7\">здесь</a> &lt;3 \
                <tg-spoiler>тайна</tg-spoiler> <code>x = 1</code>";
    let sent = stage.does("send_message", json!({"dialog": anna, "text": html, "format": "html"})).await;
    let looks = [
        ("Bold", "№ 7", "bold"),
        ("Italic", "готов", "italic"),
        ("TextUrl", "здесь", "text_link"),
        ("Spoiler", "тайна", "spoiler"),
        ("Code", "x = 1", "code"),
    ];
    looks_like(&stage, &sent, "😀 Заказ № 7 готов: здесь <3 тайна x = 1", &looks).await;
    assert_eq!(sent["entities"][2]["url"], "https://example.org/7", "{sent}");

    let markdown = "👩‍👩‍👧 *Цена*: ~~100~~ __90__ ₽, `код_1` и [счёт](https://example.org/?a=1)";
    let said = json!({"dialog": stage.anna.id, "text": markdown, "format": "markdown"});
    let sent = stage.does("send_message", said).await;
    let looks = [
        ("Bold", "Цена", "bold"),
        ("Strike", "100", "strikethrough"),
        ("Underline", "90", "underline"),
        ("Code", "код_1", "code"),
        ("TextUrl", "счёт", "text_link"),
    ];
    looks_like(&stage, &sent, "👩‍👩‍👧 Цена: 100 90 ₽, код_1 и счёт", &looks).await;

    let said = json!({"dialog": stage.anna.id.to_string(), "text": "<b>2 * 3</b>", "format": "none"});
    let sent = stage.does("send_message", said).await;
    looks_like(&stage, &sent, "<b>2 * 3</b>", &[]).await;

    let broken = json!({"dialog": anna, "text": "Итого <b>100", "format": "html"});
    let error = stage.refuses("send_message", broken.clone(), "markup_error").await;
    let sentence = error["message"].as_str().unwrap();
    assert!(sentence.contains("'text'") && sentence.contains("<b>"), "{sentence}");
    assert!(sentence.chars().any(|letter| letter.is_ascii_digit()), "it says where: {sentence}");
    let mut plain = broken;
    plain["format_fallback"] = true.into();
    let sent = stage.does("send_message", plain).await;
    looks_like(&stage, &sent, "Итого <b>100", &[]).await;
    assert_eq!(stage.at_anna().len(), 4, "what was refused is nowhere");
}

/// What was told of a message, and what Anna has, are the same.
async fn looks_like(stage: &Stage, told: &Value, text: &str, looks: &[(&str, &str, &str)]) {
    is_message(told);
    assert_eq!((&told["text"], &told["out"], &told["status"]), (&json!(text), &json!(true), &json!("sent")));
    let got = stage.anna_gets(|message| message["text"] == text).await;
    let wanted: Value =
        looks.iter().map(|(look, words, _)| json!([format!("MessageEntity{look}"), words])).collect();
    assert_eq!(got["entities"], wanted, "{got:#}");
    let spans = told["entities"].as_array().unwrap().iter().map(|one| json!([one["offset"], one["length"]]));
    assert_eq!(spans.collect::<Value>(), got["spans"], "{told:#}");
    let types: Vec<_> = told["entities"].as_array().unwrap().iter().map(|one| one["type"].clone()).collect();
    assert_eq!(types, looks.iter().map(|(.., kind)| json!(kind)).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_says_whose_it_is_and_answers_another_silently() {
    let stage = Stage::open().await;
    let (own, anna) = (stage.own.id, stage.anna.id);
    let stranger = json!({"dialog": anna, "text": "Who are you?"});
    let error = stage.refuses("send_message", stranger, "dialog_not_found").await;
    assert!(error["message"].as_str().unwrap().contains("by phone number or @name once"), "{error}");
    stage.meets_all().await;
    // One URL for all actions, and everything that may be said to every action.
    let said = json!({
        "action": "send_message", "dialog": anna, "text": "Hello", "silent": true, "connection": "user",
        "line": COMPANY_PHONE, "timeout_ms": "20000", "mode": "wait", "format": null,
    });
    let told = stage.caller.asks("", &said).await;
    let sent = told.done("the action in the body");
    is_message(&sent);
    let got = stage.anna_gets(|message| message["text"] == "Hello").await;
    assert_eq!((&got["silent"], &sent["silent"]), (&json!(true), &json!(true)));
    assert_eq!(sent["chat"]["id"], anna, "{sent}");
    assert_eq!((&sent["chat"]["type"], &sent["chat"]["title"]), (&json!("private"), &json!("Anna")));
    let from = json!({"id": own, "name": "Company", "phone": COMPANY_PHONE, "username": null});
    assert_eq!(sent["from"], from);
    assert_eq!(sent["date_unix"], got["date"]);
    assert_eq!((&sent["scheduled"], &sent["forwarded"]), (&json!(false), &json!(false)));
    let job = stage.caller.job(told.job()).await.done("the job");
    assert_eq!((&job["state"], &job["result"]), (&json!("done"), &sent));
    assert_eq!(job["id_message"], sent["id_message"], "{job}");

    // Numbered as in the account's own box, by which it is answered; and by ours.
    for (number, key) in ["message_id", "id_message"].into_iter().enumerate() {
        let text = format!("Answer {number}");
        let said = json!({"dialog": anna, "text": text, "reply_to_message_id": sent[key], "silent": false});
        let answer = stage.does("send_message", said).await;
        assert_eq!(answer["reply_to_message_id"], sent["message_id"], "{answer}");
        let at_anna = stage.anna_gets(|message| message["text"] == text).await;
        assert_eq!((&at_anna["reply_to"], &at_anna["silent"]), (&got["id"], &json!(false)));
    }

    let missing = json!({"dialog": anna, "text": "To nothing", "reply_to_message_id": 99_999});
    stage.refuses("send_message", missing.clone(), "message_not_found").await;
    let mut allowed = missing;
    allowed["allow_without_reply"] = true.into();
    stage.does("send_message", allowed).await;
    let at_anna = stage.anna_gets(|message| message["text"] == "To nothing").await;
    assert_eq!(at_anna["reply_to"], Value::Null);
    assert_eq!(stage.at_anna(), ["Hello", "Answer 0", "Answer 1", "To nothing"]);
    assert_eq!(stage.queued().await, 0);

    // Somebody by name, and a number that programs write as words.
    for (text, dialog) in [("by name", json!("@boris_b")), ("by number", json!(stage.boris.id.to_string()))] {
        let sent = stage.does("send_message", json!({"dialog": dialog, "text": text})).await;
        assert_eq!(sent["chat"]["id"], stage.boris.id, "{sent}");
        if dialog.as_str().is_some_and(|dialog| dialog.starts_with('@')) {
            assert_eq!(sent["chat"]["username"], "boris_b", "{sent}");
        }
        stage.boris.message(own, |message| message["text"] == text).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_somebody_else_has_taken_is_theirs() {
    let mut stage = Stage::open().await;
    let own = stage.own.id;
    let said = |text: &str| json!({"dialog": "@boris_b", "text": text});
    stage.does("send_message", said("to Boris")).await;
    stage.boris.message(own, |message| message["text"] == "to Boris").await;
    stage.boris.can("rename", json!({"username": ""})).await;
    stage.anna.can("rename", json!({"username": "Boris_B"})).await;
    // The account sees it from what she writes.
    stage.anna.can("send", json!({"chat": own, "text": "That is me now"})).await;
    let end = Instant::now() + SOON;
    while !stage.program.get("lastIncomingMessages").await.to_string().contains("That is me now") {
        assert!(Instant::now() < end, "nothing came");
        sleep(Duration::from_millis(50)).await;
    }
    let sent = stage.does("send_message", said("to whoever has it")).await;
    assert_eq!(sent["chat"]["id"], stage.anna.id, "{sent}");
    stage.anna_gets(|message| message["text"] == "to whoever has it").await;
    let asked = json!({"chatId": "@boris_b", "message": "the other door"});
    stage.program.post("sendMessage", asked).await;
    stage.anna_gets(|message| message["text"] == "the other door").await;

    // Back again, of which nobody tells the account, and long after it looked.
    stage.scene.world().set_username(stage.anna.id, None);
    stage.scene.world().set_username(stage.boris.id, Some("boris_b"));
    stage.kill().await;
    let script = "import sqlite3, sys; db = sqlite3.connect(sys.argv[1]); \
                  db.execute('UPDATE tg_lookup SET looked_up_at = looked_up_at - 3601'); db.commit()";
    let mut python = tokio::process::Command::new("python3");
    python.args(["-c", script]).arg(stage.scene.state.client_db(&phone()));
    assert!(python.status().await.unwrap().success());
    stage.start().await;
    stage.does("send_message", said("to Boris again")).await;
    stage.boris.message(own, |message| message["text"] == "to Boris again").await;
    assert!(!stage.at_anna().contains(&"to Boris again".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_text_is_refused_or_cut_where_it_may_be() {
    let stage = Stage::open().await;
    let words = |count: usize| (0..count).map(|n| format!("слово{n} ")).collect::<String>();
    let long = format!("<b>{}</b>", words(900).trim_end());
    let said = json!({"dialog": format!("+{ANNA}"), "text": long, "format": "html"});
    let error = stage.refuses("send_message", said.clone(), "too_long").await;
    let sentence = error["message"].as_str().unwrap();
    assert!(sentence.contains("'text'") && sentence.contains("4096"), "{sentence}");
    let mut cut = said;
    cut["split"] = true.into();
    let sent = stage.does("send_message", cut).await;
    let parts = sent.as_array().unwrap();
    assert_eq!(parts.len(), 2, "{sent}");
    parts.iter().for_each(is_message);
    assert!(parts[0]["message_id"].as_i64() < parts[1]["message_id"].as_i64(), "{sent}");
    let whole: Vec<String> = stage.at_anna();
    assert_eq!(whole.join(" "), words(900).trim_end(), "nothing of it is lost");
    for part in parts {
        let got = stage.anna_gets(|message| message["text"] == part["text"]).await;
        assert_eq!(got["entities"], json!([["MessageEntityBold", part["text"]]]), "all of it is bold");
    }
    // A text that fits exactly is one message.
    let just = "ы".repeat(4096);
    let sent = stage.does("send_message", json!({"dialog": stage.anna.id, "text": just})).await;
    is_message(&sent);
    let over = json!({"dialog": stage.anna.id, "text": format!("{just}ы")});
    stage.refuses("send_message", over, "too_long").await;
    assert_eq!(stage.at_anna().len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn places_and_contacts_are_what_was_said() {
    let stage = Stage::open().await;
    let anna = format!("+{ANNA}");
    let place = json!({"dialog": anna, "latitude": "55,75", "longitude": 37.61, "silent": true});
    let sent = stage.does("send_location", place).await;
    is_message(&sent);
    assert_eq!(sent["location"], json!({"latitude": 55.75, "longitude": 37.61, "title": "", "address": ""}));
    let got = stage.anna_gets(|message| message["media"] == "MessageMediaGeo").await;
    assert_eq!(got["place"], json!({"lat": 55.75, "long": 37.61, "title": null, "address": null}));
    assert_eq!(got["silent"], true);

    let venue = json!({
        "dialog": anna, "latitude": -33.5, "longitude": -70.6, "title": "Склад № 3", "address": "ул. Ленина, 1",
        "reply_to_message_id": sent["message_id"],
    });
    let sent = stage.does("send_location", venue).await;
    assert_eq!(
        (&sent["location"]["title"], &sent["location"]["address"]),
        (&json!("Склад № 3"), &json!("ул. Ленина, 1"))
    );
    let seen = stage.anna_gets(|message| message["media"] == "MessageMediaVenue").await;
    let place = json!({"lat": -33.5, "long": -70.6, "title": "Склад № 3", "address": "ул. Ленина, 1"});
    assert_eq!((&seen["place"], &seen["reply_to"]), (&place, &got["id"]));

    let contact = json!({
        "dialog": anna, "phone": "+7 (999) 123-45-67", "first_name": "Вера", "last_name": "Орлова", "company": "ООО «Ромашка»",
    });
    let sent = stage.does("send_contact", contact).await;
    is_message(&sent);
    assert_eq!(
        (&sent["contact"]["first_name"], &sent["contact"]["last_name"], &sent["contact"]["company"]),
        (&json!("Вера"), &json!("Орлова"), &json!("ООО «Ромашка»"))
    );
    let seen = stage.anna_gets(|message| message["media"] == "MessageMediaContact").await;
    let digits = seen["contact"]["phone"].as_str().unwrap().chars().filter(char::is_ascii_digit);
    assert_eq!(digits.collect::<String>(), "79991234567");
    assert_eq!(
        (&seen["contact"]["first_name"], &seen["contact"]["last_name"]),
        (&json!("Вера"), &json!("Орлова"))
    );
    let card = stage.scene.anna_sees().pop().unwrap().contact.unwrap();
    assert!(card.vcard.contains("Ромашка"), "{card:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_are_forwarded_with_their_author_and_without() {
    let stage = Stage::open().await;
    let (own, anna, boris) = (stage.own.id, stage.anna.id, stage.boris.id);
    stage.meets_all().await;
    for text in ["first", "second"] {
        stage.anna.can("send", json!({"chat": own, "text": text})).await;
    }
    let found = stage.does("get_messages", json!({"dialog": anna})).await;
    let ids: Vec<Value> =
        found["messages"].as_array().unwrap().iter().rev().map(|one| one["message_id"].clone()).collect();
    assert_eq!(ids.len(), 2, "{found}");
    let said = json!({"dialog": "@boris_b", "from_dialog": anna, "message_ids": ids});
    let sent = stage.does("forward_message", said).await;
    let all = sent.as_array().unwrap();
    assert_eq!(all.len(), 2, "{sent}");
    for (one, text) in all.iter().zip(["first", "second"]) {
        is_message(one);
        assert_eq!(
            (&one["text"], &one["forwarded"], &one["chat"]["id"]),
            (&json!(text), &json!(true), &json!(boris))
        );
        let got = stage.boris.message(own, |message| message["text"] == text).await;
        assert_eq!((&got["forwarded"], &got["author"]), (&json!(true), &json!(anna)), "{got:#}");
    }
    // One number as programs write it, without its author and without a sound.
    let said = json!({"dialog": boris, "from_dialog": anna, "message_ids": ids[0], "hide_author": true, "silent": true});
    let sent = stage.does("forward_message", said).await;
    assert_eq!(sent.as_array().unwrap().len(), 1, "{sent}");
    let is_it = |message: &Value| message["text"] == "first" && message["forwarded"] == false;
    let got = stage.boris.message(own, is_it).await;
    assert_eq!((&got["author"], &got["silent"]), (&Value::Null, &json!(true)), "{got:#}");
    // All or none.
    let before = stage.scene.world().chat(boris, own).len();
    let said = json!({"dialog": boris, "from_dialog": anna, "message_ids": [ids[1], 99_999]});
    let error = stage.refuses("forward_message", said, "message_not_found").await;
    assert_eq!(error["item"], 1, "{error}");
    a_while().await;
    assert_eq!(stage.scene.world().chat(boris, own).len(), before);
    assert_eq!(stage.queued().await, 0);
}
