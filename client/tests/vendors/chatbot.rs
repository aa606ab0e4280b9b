//! `telegram-chatbot-python`: it starts, hears what people write, answers, and leaves nothing in its queue.

use serde_json::{Value, json};

use crate::room::{LETTER, Room, sha256};
use crate::support::eventually;
use crate::vendor::{Vendor, python};

#[tokio::test(flavor = "multi_thread")]
async fn the_vendors_bot_hears_and_answers() {
    let room = Room::open(true).await;
    room.anna.can("send", json!({"chat": room.own.id, "text": "before it is there"})).await;
    let mut options = room.options();
    options["letter"] = room.letter.to_str().into();
    let mut bot = Vendor::start(python("green_bot.py").await, &options).await;
    let settings = room.program.get("getSettings").await;
    for switch in ["incomingWebhook", "outgoingMessageWebhook", "outgoingAPIMessageWebhook"] {
        assert_eq!(settings[switch], "yes", "the bot switches it on");
    }

    for text in ["one", "two https://example.org", "three"] {
        room.anna.can("send", json!({"chat": room.own.id, "text": text})).await;
        let heard = bot.hears(|heard| heard["body"].to_string().contains(text)).await;
        assert_eq!(
            (&heard["code"], &heard["body"]["senderData"]["sender"]),
            (&json!(200), &json!(room.anna.id.to_string()))
        );
        let answer = format!("echo: {text}");
        room.anna_gets(|message| message["text"] == answer.as_str()).await;
    }
    let file = json!({"chat": room.own.id, "contents": "MSwyCg==", "name": "prices.csv", "caption": ""});
    room.anna.can("send_file", file).await;
    let heard = bot.hears(|heard| heard["heard"] == "documentMessage").await;
    assert_eq!(heard["code"], 200, "{heard}");
    let got = room.anna_gets(|message| message["text"] == "for you").await;
    assert_eq!(
        (&got["file"]["name"], &got["file"]["sha256"]),
        (&json!("answer.txt"), &json!(sha256(LETTER.as_bytes())))
    );

    room.boris.can("send", json!({"chat": room.own.id, "text": "four"})).await;
    bot.hears(|heard| heard["body"].to_string().contains("four")).await;
    room.boris.message(room.own.id, |message| message["text"] == "echo: four").await;

    for _ in 0..50 {
        if bot.calls("count", json!([]), &["count"]).await["count"] == 0 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    assert_eq!(bot.calls("count", json!([]), &["count"]).await["count"], 0);
    assert_eq!(room.program.get("getMessagesCount").await["count"], 0);
    // One answer for each, and none for its own.
    let seen = room.anna.can("messages", json!({"chat": room.own.id})).await;
    let mut got: Vec<&Value> = seen.as_array().unwrap().iter().filter(|one| one["out"] == false).collect();
    got.reverse();
    let texts: Vec<&Value> = got.iter().map(|one| &one["text"]).collect();
    assert_eq!(texts, ["echo: one", "echo: two https://example.org", "echo: three", "for you"]);
    eventually("nothing waits", || room.scene.world().chat(room.anna.id, room.own.id).len() == 9).await;
}
