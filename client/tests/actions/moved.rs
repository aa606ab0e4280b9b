//! A basic group that its owner makes a supergroup of: programs go on naming it by the number that they have.

use serde_json::{Value, json};
use tgtrunk_test_telegram::world::{GroupKind, NewGroup};

use crate::stage::{Stage, is_message};

#[tokio::test(flavor = "multi_thread")]
async fn messages_for_a_group_that_became_a_supergroup_arrive_there_and_programs_learn_its_number() {
    let mut stage = Stage::open().await;
    let (own, anna, boris) = (stage.own.id, stage.anna.id, stage.boris.id);
    let title = "Склад".to_owned();
    let new =
        NewGroup { creator: anna, title, members: vec![own, boris], kind: GroupKind::Basic, username: None };
    let old = stage.scene.world().add_group(new).unwrap();
    let before = stage.does("send_message", json!({"dialog": old, "text": "before"})).await;
    assert_eq!(before["chat"]["id"], old);
    stage.anna.message(old, |message| message["text"] == "before").await;
    stage.program.post("setSettings", json!({"incomingWebhook": "yes"})).await;
    let new = stage.anna.can("migrate", json!({"chat": old})).await.as_i64().unwrap();
    assert_eq!(stage.scene.world().group(old).unwrap().migrated_to, Some(new));

    // Whoever listens is told.
    let told = stage.program.get("receiveNotification").await;
    let body = &told["body"];
    assert_eq!(
        (&body["typeWebhook"], &body["senderData"]["chatId"]),
        (&json!("incomingMessageReceived"), &json!(old.to_string())),
        "{told}"
    );
    let text = &body["messageData"]["textMessageData"]["textMessage"];
    assert_eq!(text, &json!(format!("the group is a supergroup now: instead of {old} its number is {new}")));

    // Whoever does not finds it in what is answered.
    let url = stage.web.gives("a.txt", b"1");
    for (text, files) in [("after", json!([])), ("file", json!([{"url": url}]))] {
        let mut said = json!({"dialog": old, "text": text, "reply_to_message_id": before["message_id"]});
        if files != json!([]) {
            said["attachments"] = files;
        }
        let sent = stage.does("send_message", said).await;
        is_message(&sent);
        assert_eq!(
            (&sent["chat"]["id"], &sent["chat"]["type"]),
            (&json!(new), &json!("supergroup")),
            "{sent}"
        );
        let got = stage.boris.message(new, |message| message["text"] == text).await;
        assert_eq!((&got["id"], &got["reply_to"]), (&sent["message_id"], &Value::Null), "{got}");
    }
    let id = stage.program.post("sendMessage", json!({"chatId": old.to_string(), "message": "green"})).await;
    stage.anna.message(new, |message| message["text"] == "green").await;
    let sent = async |id: &Value| {
        let all = stage.program.get("lastOutgoingMessages").await;
        all.as_array().unwrap().iter().find(|one| one["idMessage"] == *id).cloned().unwrap()
    };
    let one = sent(&id["idMessage"]).await;
    assert_eq!((&one["chatId"], &one["chatName"]), (&json!(new.to_string()), &json!("Склад")), "{one}");
    let data = stage.program.post("getGroupData", json!({"chatId": old.to_string()})).await;
    assert_eq!(
        (&data["chatId"], data["participants"].as_array().map(Vec::len)),
        (&json!(new.to_string()), Some(3)),
        "{data}"
    );
    // What was written there can be changed by the old number and its own.
    let edit = json!({"chatId": old.to_string(), "idMessage": id["idMessage"], "message": "changed"});
    stage.program.post("editMessage", edit).await;
    stage.anna.message(new, |message| message["text"] == "changed").await;
    assert!(stage.scene.world().chat(anna, old).iter().all(|message| message.text != "after"));

    // The next process has to find it out.
    stage.kill().await;
    stage.start().await;
    let later = stage.does("send_message", json!({"dialog": old, "text": "later"})).await;
    assert_eq!(later["chat"]["id"], new, "{later}");
    stage.boris.message(new, |message| message["text"] == "later").await;

    // Put out of it, it can only say where it is.
    stage.scene.world().take_out(new, anna, own).unwrap();
    let error =
        stage.refuses("send_message", json!({"dialog": old, "text": "never"}), "dialog_not_found").await;
    let sentence = format!("the group is a supergroup now: its dialog is {new}");
    assert_eq!((&error["message"], stage.queued().await), (&json!(sentence), json!(0)));
}
