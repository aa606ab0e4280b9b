//! Chats, cards and messages.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tgtrunk_test_telegram::world::{Audience, GroupKind, NewGroup, PrivacyKind};
use tokio::time::sleep;

use crate::stage::{ANNA, BORIS, Stage, is_message, keys};

/// The keys of a chat of the list.
const DIALOG: [&str; 8] = ["archived", "id", "last_message", "phone", "title", "type", "unread", "username"];

#[tokio::test(flavor = "multi_thread")]
async fn chats_are_listed_the_newest_first_page_by_page() {
    let stage = Stage::open().await;
    let (anna, boris, own) = (stage.anna.id, stage.boris.id, stage.own.id);
    let group = |kind, title: &str, username: Option<&str>| {
        let username = username.map(str::to_owned);
        let new = NewGroup { creator: own, title: title.to_owned(), members: vec![anna], kind, username };
        stage.scene.world().add_group(new).unwrap()
    };
    let chats = [
        (group(GroupKind::Basic, "Склад", None), "group"),
        (group(GroupKind::Supergroup, "Заказы", None), "supergroup"),
        (group(GroupKind::Channel, "Новости", Some("shop_news")), "channel"),
        (boris, "private"),
        (anna, "private"),
    ];
    for (chat, _) in &chats {
        stage.scene.world().say(own, *chat, "to you").unwrap();
        // The date of the last one is the order, in seconds.
        sleep(Duration::from_millis(1_100)).await;
    }
    stage.anna.can("send", json!({"chat": own, "text": "an answer"})).await;
    let listed = stage.does("get_dialogs", json!({})).await;
    let all = of(&listed);
    let ids: Vec<i64> =
        all.iter().map(|one| one["id"].as_i64().unwrap()).filter(|id| *id != 777_000).collect();
    assert_eq!(ids, chats.iter().rev().map(|(id, _)| *id).collect::<Vec<_>>(), "{listed:#}");
    assert_eq!(listed["next"], Value::Null);
    for (id, kind) in &chats {
        let one = all.iter().find(|one| one["id"] == *id).unwrap();
        assert_eq!((keys(one), &one["type"]), (DIALOG.map(str::to_owned).to_vec(), &json!(kind)), "{one}");
        is_message(&one["last_message"]);
    }
    let first = &all[0];
    assert_eq!((&first["title"], &first["unread"]), (&json!("Anna"), &json!(1)), "{first}");
    let last = &first["last_message"];
    assert_eq!(
        (&last["text"], &last["out"], &last["from"]["id"]),
        (&json!("an answer"), &json!(false), &json!(anna))
    );
    let channel = all.iter().find(|one| one["type"] == "channel").unwrap();
    assert_eq!((&channel["title"], &channel["username"]), (&json!("Новости"), &json!("shop_news")));

    for (said, wanted) in [
        (json!({"type": "supergroup"}), vec![chats[1].0]),
        (json!({"query": "нОВости"}), vec![chats[2].0]),
        (json!({"query": "boris_b"}), vec![boris]),
        (json!({"query": "nobody is called so"}), vec![]),
        (json!({"type": "private", "query": "an"}), vec![anna]),
    ] {
        let listed = stage.does("get_dialogs", said.clone()).await;
        let ids: Vec<i64> = of(&listed).iter().map(|one| one["id"].as_i64().unwrap()).collect();
        assert_eq!((ids, &listed["next"]), (wanted, &Value::Null), "{said}");
    }
    let (mut paged, mut offset) = (Vec::new(), json!(0));
    while !offset.is_null() {
        let page = stage.does("get_dialogs", json!({"limit": 2, "offset": offset})).await;
        assert!(of(&page).len() <= 2);
        paged.extend(of(&page).iter().map(|one| one["id"].clone()));
        offset = page["next"].clone();
    }
    assert_eq!(paged, all.iter().map(|one| one["id"].clone()).collect::<Vec<_>>());
}

fn of(listed: &Value) -> &Vec<Value> {
    assert_eq!(keys(listed), ["dialogs", "next"]);
    listed["dialogs"].as_array().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn cards_tell_who_is_who() {
    let stage = Stage::open().await;
    let (anna, boris, own) = (stage.anna.id, stage.boris.id, stage.own.id);
    let self_keys = ["id", "phone", "state", "title", "type", "username"];
    for said in [json!({}), json!({"dialog": "self"}), json!({"dialog": "me"}), json!({"dialog": null})] {
        let card = stage.does("get_profile", said).await;
        assert_eq!(keys(&card), self_keys);
        let wanted = json!({
            "id": own, "phone": "+79060000000", "state": "authorized", "title": "Company", "type": "self", "username": null,
        });
        assert_eq!(card, wanted);
    }
    let person_keys = ["about", "contact_name", "id", "last_seen", "phone", "title", "type", "username"];
    for (dialog, id, name) in [
        (json!(format!("+{ANNA}")), anna, "Anna"),
        (json!("+7 (900) 111-22-33"), anna, "Anna"),
        (json!(anna), anna, "Anna"),
        (json!("@boris_b"), boris, "Boris"),
    ] {
        let card = stage.does("get_profile", json!({"dialog": dialog})).await;
        assert_eq!(keys(&card), person_keys);
        assert_eq!(
            (&card["id"], &card["title"], &card["type"]),
            (&json!(id), &json!(name), &json!("private")),
            "{card}"
        );
    }
    let card = stage.does("get_profile", json!({"dialog": boris})).await;
    assert_eq!(card["username"], "boris_b", "{card}");
    // What somebody hides is null, and no error. A number that was seen once is kept.
    for (audience, phone) in
        [(Audience::Nobody, Value::Null), (Audience::Everybody, json!(format!("+{BORIS}")))]
    {
        stage.scene.world().set_privacy(boris, PrivacyKind::PhoneNumber, audience);
        let card = stage.does("get_profile", json!({"dialog": "@boris_b"})).await;
        assert_eq!(card["phone"], phone, "{card}");
    }

    let new = NewGroup {
        creator: own,
        title: "Склад".to_owned(),
        members: vec![anna],
        kind: GroupKind::Supergroup,
        username: None,
    };
    let group = stage.scene.world().add_group(new).unwrap();
    stage.scene.world().say(own, group, "hello").unwrap();
    stage.does("get_dialogs", json!({})).await;
    let card = stage.does("get_profile", json!({"dialog": group})).await;
    let wanted = [
        "about",
        "archived",
        "created",
        "id",
        "invite_link",
        "members",
        "owner_id",
        "title",
        "type",
        "username",
    ];
    let shown: Vec<String> = keys(&card).into_iter().filter(|key| key != "archived").collect();
    assert_eq!(shown, wanted.into_iter().filter(|key| *key != "archived").collect::<Vec<_>>());
    assert_eq!(
        (&card["title"], &card["type"], &card["owner_id"]),
        (&json!("Склад"), &json!("supergroup"), &json!(own))
    );
    let members = card["members"].as_array().unwrap();
    let who: Vec<(&Value, &Value)> = members.iter().map(|one| (&one["id"], &one["owner"])).collect();
    assert!(
        who.contains(&(&json!(own), &json!(true))) && who.contains(&(&json!(anna), &json!(false))),
        "{card}"
    );

    let nobody = stage.refuses("get_profile", json!({"dialog": "+79009999999"}), "no_telegram_account").await;
    assert!(nobody["message"].as_str().unwrap().contains("+79009999999"), "{nobody}");
    let nobody = stage.refuses("get_profile", json!({"dialog": "@nobody_here"}), "dialog_not_found").await;
    assert!(nobody["message"].as_str().unwrap().contains("@nobody_here"), "{nobody}");
    let stranger = stage.refuses("get_profile", json!({"dialog": 123_456_789}), "dialog_not_found").await;
    assert!(stranger["message"].as_str().unwrap().contains("123456789"), "{stranger}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_channel_is_written_to_and_read() {
    let stage = Stage::open().await;
    let new = NewGroup {
        creator: stage.own.id,
        title: "News".to_owned(),
        members: vec![stage.anna.id],
        kind: GroupKind::Channel,
        username: Some("shop_news".to_owned()),
    };
    let channel = stage.scene.world().add_group(new).unwrap();
    stage.scene.world().say(stage.own.id, channel, "from the telephone").unwrap();
    stage.does("send_message", json!({"dialog": "@shop_news", "text": "from a program"})).await;
    let told = stage.does("get_messages", json!({"dialog": channel})).await;
    let messages = told["messages"].as_array().unwrap();
    let texts: Vec<&Value> = messages.iter().map(|one| &one["text"]).collect();
    assert!(texts.contains(&&json!("from the telephone")), "{told:#}");
    assert!(texts.contains(&&json!("from a program")), "{told:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_are_found_by_page_number_date_and_words() {
    let stage = Stage::open().await;
    let (anna, own) = (stage.anna.id, stage.own.id);
    stage.scene.world().set_privacy(anna, PrivacyKind::PhoneNumber, Audience::Everybody);
    let texts = ["один", "два яблока", "три", "четыре яблока", "пять"];
    for text in texts {
        stage.anna.can("send", json!({"chat": own, "text": text})).await;
        sleep(Duration::from_millis(1_100)).await;
    }
    let read = async |said: Value| {
        let mut said = said;
        said["dialog"] = json!(format!("+{ANNA}"));
        let found = stage.does("get_messages", said).await;
        assert_eq!(keys(&found), ["messages", "next"]);
        found["messages"].as_array().unwrap().iter().for_each(is_message);
        found
    };
    let words = |found: &Value| -> Vec<String> {
        let all = found["messages"].as_array().unwrap().iter();
        all.map(|one| one["text"].as_str().unwrap().to_owned()).collect()
    };
    let whole = read(json!({})).await;
    assert_eq!(words(&whole), ["пять", "четыре яблока", "три", "два яблока", "один"]);
    let all = whole["messages"].as_array().unwrap();
    let from = json!({"id": anna, "name": "Anna", "phone": format!("+{ANNA}"), "username": null});
    assert_eq!(
        (&all[0]["from"], &all[0]["out"], &all[0]["chat"]["id"]),
        (&from, &json!(false), &json!(anna))
    );

    let (mut paged, mut from_id) = (Vec::new(), Value::Null);
    loop {
        let page = read(json!({"limit": 2, "from_id": from_id})).await;
        assert!(words(&page).len() <= 2);
        paged.extend(words(&page));
        from_id = page["next"].clone();
        if from_id.is_null() {
            break;
        }
    }
    assert_eq!(paged, words(&whole));
    for key in ["message_id", "id_message"] {
        let older = read(json!({"from_id": all[2][key]})).await;
        assert_eq!(words(&older), ["два яблока", "один"], "older than {key}");
    }
    let at = |number: usize| all[number]["date_unix"].clone();
    let some = read(json!({"since": at(3), "until": at(0)})).await;
    assert_eq!(
        words(&some),
        ["четыре яблока", "три", "два яблока"],
        "the first second is in, the last is not"
    );
    let some = read(json!({"since": all[1]["date"]})).await;
    assert_eq!(words(&some), ["пять", "четыре яблока"]);
    assert_eq!(words(&read(json!({"query": "ЯБЛОКА"})).await), ["четыре яблока", "два яблока"]);
    let first = read(json!({"query": "яблока", "limit": 1})).await;
    assert_eq!(words(&first), ["четыре яблока"]);
    let rest = read(json!({"query": "яблока", "limit": 1, "from_id": first["next"]})).await;
    assert_eq!(words(&rest), ["два яблока"]);
    assert_eq!(words(&read(json!({"query": "яблока", "until": at(1)})).await), ["два яблока"]);
    assert_eq!(words(&read(json!({"query": "груши"})).await), Vec::<String>::new());
    let some = read(json!({"ids": [all[4]["message_id"], all[0]["id_message"], 99_999]})).await;
    let mut found = words(&some);
    found.sort();
    assert_eq!(found, ["один", "пять"]);
    let none = json!({"dialog": anna, "ids": [99_999]});
    stage.refuses("get_messages", none, "message_not_found").await;

    let contents = STANDARD.encode("1;2;3");
    stage
        .anna
        .can("send_file", json!({"chat": own, "contents": contents, "name": "отчёт.csv", "caption": "Отчёт"}))
        .await;
    let found = read(json!({"limit": 1})).await;
    let file = &found["messages"][0]["attachments"][0];
    assert_eq!(
        (&file["kind"], &file["file_name"], &file["size"]),
        (&json!("document"), &json!("отчёт.csv"), &json!(5))
    );
    let answer = stage.caller.http.get(file["download_url"].as_str().unwrap()).send().await.unwrap();
    assert_eq!(answer.text().await.unwrap(), "1;2;3");
}
