//! Messages changed and deleted.

use serde_json::{Value, json};
use tgtrunk_test_telegram::world::{Action, Match};

use crate::stage::{ANNA, Stage, is_message};

#[tokio::test(flavor = "multi_thread")]
async fn a_message_says_what_it_was_changed_to() {
    let stage = Stage::open().await;
    let (anna, own) = (stage.anna.id, stage.own.id);
    let sent = stage.does("send_message", json!({"dialog": format!("+{ANNA}"), "text": "Order 7"})).await;
    let got = stage.anna_gets(|message| message["text"] == "Order 7").await;
    for (key, dialog, text) in
        [("message_id", json!(anna), "№ 7 ready"), ("id_message", json!(format!("+{ANNA}")), "№ 7 gone")]
    {
        let said = json!({"dialog": dialog, "message_id": sent[key], "text": format!("<i>{text}</i>"), "format": "html"});
        let edited = stage.does("edit_message", said).await;
        is_message(&edited);
        assert_eq!(
            (&edited["text"], &edited["entities"][0]["type"]),
            (&json!(text), &json!("italic")),
            "{edited}"
        );
        assert_eq!(
            (&edited["message_id"], &edited["id_message"]),
            (&sent["message_id"], &sent["id_message"])
        );
        assert!(edited["edited"].is_string(), "{edited}");
        let seen = stage.anna_gets(|message| message["text"] == text).await;
        assert_eq!(
            (&seen["id"], &seen["edited"], &seen["entities"]),
            (&got["id"], &json!(true), &json!([["MessageEntityItalic", text]]))
        );
    }
    // A word to a file.
    let url = stage.web.gives("a.txt", b"1");
    let said = json!({"dialog": anna, "text": "old word", "attachments": [{"url": url}]});
    let file = stage.does("send_message", said).await;
    let said = json!({"dialog": anna, "message_id": file["message_id"], "text": "new word"});
    let edited = stage.does("edit_message", said).await;
    assert_eq!(
        (&edited["text"], &edited["attachments"][0]["file_name"]),
        (&json!("new word"), &json!("a.txt"))
    );
    let seen = stage.anna_gets(|message| message["text"] == "new word").await;
    assert_eq!(seen["file"]["name"], "a.txt");

    let same =
        json!({"dialog": anna, "message_id": sent["message_id"], "text": "_№ 7 gone_", "format": "markdown"});
    stage.refuses("edit_message", same, "not_modified").await;
    let theirs = stage.anna.can("send", json!({"chat": own, "text": "mine"})).await;
    let seen = stage.own.message(anna, |message| message["text"] == "mine").await;
    let other = json!({"dialog": anna, "message_id": seen["id"], "text": "yours"});
    stage.refuses("edit_message", other, "not_editable").await;
    let mine = stage.anna.message(own, |message| message["id"] == theirs).await;
    assert_eq!((&mine["text"], &mine["edited"]), (&json!("mine"), &json!(false)));
    let old = Match::method("messages.editMessage").user(own).once();
    let fault = Action::Error { code: 400, message: "MESSAGE_EDIT_TIME_EXPIRED".into() };
    stage.scene.world().add_fault(old, fault);
    let said = json!({"dialog": anna, "message_id": sent["message_id"], "text": "too late"});
    stage.refuses("edit_message", said, "not_editable").await;
    let nothing = json!({"dialog": anna, "message_id": 99_999, "text": "nothing"});
    stage.refuses("edit_message", nothing, "message_not_found").await;
    // That of another chat is none of this one's.
    let elsewhere = json!({"dialog": "@boris_b", "message_id": sent["message_id"], "text": "nothing"});
    stage.refuses("edit_message", elsewhere, "message_not_found").await;
    assert_eq!(stage.at_anna(), ["№ 7 gone", "new word", "mine"]);
}

/// Telegram changed it, and its answer was lost: whoever asks again under the key hears that it is done.
#[tokio::test(flavor = "multi_thread")]
async fn a_change_whose_answer_is_lost_is_done_once_for_a_key() {
    let stage = Stage::open().await;
    let sent = stage.does("send_message", json!({"dialog": format!("+{ANNA}"), "text": "before"})).await;
    let lost = Match::method("messages.editMessage").user(stage.own.id).once();
    stage.scene.world().add_fault(lost, Action::LoseAnswer);
    let said = json!({
        "dialog": stage.anna.id, "message_id": sent["message_id"], "text": "after", "timeout_ms": 1000, "idempotency_key": "e-1",
    });
    let told = stage.caller.asks("edit_message", &said).await;
    told.refused("timeout", "a lost answer");
    assert_eq!(told.status, 504);
    let mut again = said;
    again["timeout_ms"] = 60_000.into();
    let mut outcome = stage.caller.asks("edit_message", &again).await;
    if outcome.body["ok"] == false {
        assert_eq!(outcome.body["error"]["retryable"], true, "{outcome:?}");
        outcome = stage.caller.asks("edit_message", &again).await;
    }
    assert_eq!(outcome.done("it is as it was asked")["text"], "after");
    assert_eq!(stage.at_anna(), ["after"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_are_deleted_for_all_or_for_the_account_alone() {
    let stage = Stage::open().await;
    let (anna, own) = (stage.anna.id, stage.own.id);
    let mut sent: Vec<Value> = Vec::new();
    for number in 0..5 {
        let said = json!({"dialog": format!("+{ANNA}"), "text": format!("m{number}")});
        sent.push(stage.does("send_message", said).await);
    }
    let id = |number: usize| sent[number]["message_id"].clone();
    let said = json!({"dialog": anna, "message_ids": [id(0)], "for_everyone": false});
    assert_eq!(stage.does("delete_message", said).await, json!({"deleted": 1, "failed": []}));
    stage.own.sees("messages", json!({"chat": anna}), |seen| seen.as_array().unwrap().len() == 4).await;
    assert_eq!(stage.at_anna(), ["m0", "m1", "m2", "m3", "m4"]);
    // Several, one of which is not there; for everybody unless it is said otherwise.
    let said = json!({"dialog": anna, "message_ids": [id(1), 99_999, sent[2]["id_message"]]});
    let deleted = stage.does("delete_message", said).await;
    assert_eq!(deleted["deleted"], 2, "{deleted}");
    let failed = deleted["failed"].as_array().unwrap();
    assert_eq!(failed.len(), 1, "{deleted}");
    assert_eq!(
        (&failed[0]["message_id"], &failed[0]["item"], &failed[0]["code"]),
        (&json!(99_999), &json!(1), &json!("message_not_found"))
    );
    assert_eq!(stage.at_anna(), ["m0", "m3", "m4"]);
    // One number that is no list, in words.
    let said = json!({"dialog": anna, "message_ids": id(3).to_string(), "for_everyone": "true"});
    assert_eq!(stage.does("delete_message", said).await["deleted"], 1);
    assert_eq!(stage.at_anna(), ["m0", "m4"]);
    let error = stage
        .refuses("delete_message", json!({"dialog": anna, "message_ids": [88_888]}), "message_not_found")
        .await;
    assert_eq!(error["item"], 0, "{error}");
    // In a supergroup nobody can delete for themselves alone.
    let new = json!({"groupName": "Orders", "chatIds": [anna.to_string()], "type": "supergroup"});
    let made = stage.program.post("createGroup", new).await;
    let chat = made["chatId"].clone();
    let sent = stage.does("send_message", json!({"dialog": chat, "text": "to all"})).await;
    assert_eq!((&sent["chat"]["type"], &sent["chat"]["title"]), (&json!("supergroup"), &json!("Orders")));
    let mut said = json!({"dialog": chat, "message_ids": [sent["message_id"]], "for_everyone": false});
    let error = stage.refuses("delete_message", said.clone(), "unsupported_for_user").await;
    let sentence = error["message"].as_str().unwrap();
    assert!(sentence.contains("for_everyone") && !sentence.contains("onlySenderDelete"), "{sentence}");
    said["for_everyone"] = true.into();
    assert_eq!(stage.does("delete_message", said).await["deleted"], 1);
    let id: i64 = chat.as_str().unwrap().parse().unwrap();
    let is_gone = |seen: &Value| seen.as_array().unwrap().iter().all(|one| one["text"] != "to all");
    stage.anna.sees("messages", json!({"chat": id}), is_gone).await;
    stage.own.sees("messages", json!({"chat": id}), is_gone).await;
    assert_eq!(own, stage.own.id);
}
