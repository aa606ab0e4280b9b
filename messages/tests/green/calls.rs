//! Every method: what it is answered, and what it does.

use serde_json::{Value, json};
use tgtrunk_messages::{
    Address, ChatId, Content, Failure, FileKind, InstanceId, LoginStep, News, Standing, green,
};

use super::stage::{PARTNER, Stage, json as answered, keys};
use super::telegram::{ANNA, GROUP, from_anna, picture, text};

const FORM: &[(&str, &str)] = &[("content-type", "multipart/form-data; boundary=b")];

#[test]
fn every_method_is_called_here() {
    let calls = include_str!("calls.rs");
    let uncalled: Vec<&str> =
        green::methods().filter(|name| !calls.contains(&format!("\"{name}\""))).collect();
    assert_eq!((green::methods().count(), uncalled), (64, vec![]));
}

#[tokio::test]
async fn an_account_is_logged_in_by_code_and_password() {
    let stage = Stage::new().await;
    stage.telegram.stands(Standing::NotAuthorized);
    let qr = stage.done("GET", "qr", Value::Null).await;
    assert_eq!(qr, json!({"type": "qrCode", "message": "iVBORw0KGgo="}));
    let fine = json!({"status": true, "data": {"status": "success", "reason": ""}});
    stage.telegram.steps(LoginStep::Code);
    assert_eq!(
        stage.done("POST", "startAuthorization", json!({"phoneNumber": 79_000_000_000_i64})).await,
        fine
    );
    stage.telegram.steps(LoginStep::Password);
    let step = stage.done("POST", "sendAuthorizationCode", json!({"code": "12345", "password": ""})).await;
    assert_eq!(step["data"]["reason"], "pending_password");
    stage.telegram.stands(Standing::PendingPassword);
    assert_eq!(
        stage.done("GET", "getStateInstance", Value::Null).await,
        json!({"stateInstance": "pendingPassword"})
    );
    let (word, sentence, russian) = ("invalid_password", "no".to_owned(), "нет".to_owned());
    stage.telegram.steps(LoginStep::Failed { word, sentence, russian });
    let wrong = stage.done("POST", "sendAuthorizationCode", json!({"code": "", "password": "p"})).await;
    assert_eq!((&wrong["status"], &wrong["data"]["status"]), (&json!(false), &json!("fail")));
    assert_eq!((&wrong["data"]["reason"], &wrong["data"]["message"]), (&json!(word), &json!("no")));
    stage.telegram.steps(LoginStep::Done);
    assert_eq!(stage.done("POST", "sendAuthorizationPassword", json!({"password": 123})).await, fine);
    assert_eq!(
        stage.telegram.did(),
        ["qr", "phone 79000000000", "code 12345 None", "password p", "password 123"]
    );
    stage.telegram.stands(Standing::Authorized);
    assert_eq!(stage.done("GET", "qr", Value::Null).await["type"], "alreadyLogged");
    let again = stage.done("POST", "getAuthorizationCode", json!({"phoneNumber": "79000000000"})).await;
    assert_eq!(again["data"]["reason"], "already_registered");
    assert_eq!(stage.done("GET", "logout", Value::Null).await, json!({"isLogout": true}));
    assert_eq!(stage.telegram.did(), ["log out"]);
}

#[tokio::test]
async fn an_account_tells_of_itself_and_takes_settings() {
    let stage = Stage::new().await;
    let settings = stage.done("GET", "getSettings", Value::Null).await;
    assert_eq!((keys(&settings).len(), &settings["wid"]), (20, &json!("79000000000@c.us")));
    let set = json!({"delaySendMessagesMilliseconds": 1000, "incomingWebhook": "yes"});
    assert_eq!(stage.done("POST", "setSettings", set).await, json!({"saveSettings": true}));
    let settings = stage.done("GET", "getSettings", Value::Null).await;
    assert_eq!((&settings["incomingWebhook"], &settings["stateWebhook"]), (&json!("yes"), &json!("no")));
    assert_eq!(settings["delaySendMessagesMilliseconds"], 1000);
    assert_eq!(
        stage.done("GET", "getStateInstance", Value::Null).await,
        json!({"stateInstance": "authorized"})
    );
    for method in ["getAccountSettings", "getWaSettings"] {
        let card = stage.done("GET", method, Value::Null).await;
        assert_eq!(keys(&card), ["avatar", "chatId", "phone", "stateInstance"]);
        assert_eq!((&card["phone"], &card["chatId"]), (&json!("79000000000"), &json!("555")));
    }
    assert_eq!(stage.done("GET", "reboot", Value::Null).await, json!({"isReboot": true}));
    assert_eq!(*stage.office.did.lock().unwrap(), [format!("reboot {}", stage.instance.id())]);
    assert_eq!(stage.done("GET", "getDeviceInfo", Value::Null).await["battery"], 100);
    let form =
        "--b\r\ncontent-disposition: form-data; name=\"file\"; filename=\"a.jpg\"\r\n\r\nme\r\n--b--\r\n";
    let done = answered(stage.send("POST", &stage.path("setProfilePicture"), FORM, form).await).await;
    assert_eq!((done.0, &done.1["setProfilePicture"], &done.1["reason"]), (200, &json!(true), &Value::Null));
    assert!(done.1["urlAvatar"].as_str().unwrap().starts_with(&stage.base));
    assert_eq!(stage.telegram.did(), ["avatar me"]);
    let fresh = stage.done("GET", "updateApiToken", Value::Null).await;
    assert_eq!(stage.call("GET", "getSettings", Value::Null).await.0, 401, "the old token is dead");
    let path = format!(
        "/waInstance{}/getSettings/{}",
        stage.instance.id(),
        fresh["apiTokenInstance"].as_str().unwrap()
    );
    assert_eq!(stage.ask("GET", &path, Value::Null).await.0, 200);
}

#[tokio::test]
async fn everything_that_can_be_sent_is_queued_and_sent_in_order() {
    let stage = Stage::new().await;
    let anna = ANNA.to_string();
    let first = stage.done("POST", "sendMessage", json!({"chatId": anna, "message": "first"})).await;
    let id = first["idMessage"].as_str().unwrap().to_owned();
    assert_eq!(id.len(), 13);
    stage.sent(1).await;
    let contact =
        json!({"phoneContact": 79_001_234_567_i64, "firstName": "A", "middleName": "B", "lastName": "C"});
    for (method, body) in [
        ("sendMessage", json!({"chatId": ANNA, "message": "see https://example.org", "quotedMessageId": id})),
        ("sendLink", json!({"chatId": anna, "urlLink": "https://example.org"})),
        (
            "sendLocation",
            json!({"chatId": anna, "latitude": 55.75, "longitude": "37.61", "nameLocation": "K"}),
        ),
        ("sendContact", json!({"chatId": anna, "contact": contact})),
        ("sendContact", json!({"chatId": anna, "contact": {"chatId": "10000000"}})),
        (
            "sendPoll",
            json!({"chatId": anna, "message": "Tea?", "options": [{"optionName": "Yes"}, "No"], "multipleAnswers": true}),
        ),
    ] {
        assert_eq!(keys(&stage.done("POST", method, body).await), ["idMessage"], "{method}");
    }
    let forwarded = json!({"chatId": "-4242", "chatIdFrom": anna, "messages": [id]});
    assert_eq!(
        stage.done("POST", "forwardMessages", forwarded).await["messages"].as_array().unwrap().len(),
        1
    );
    stage.sent(8).await;
    let orders = stage.telegram.orders();
    assert_eq!(orders[0].content, text("first"));
    assert_eq!(orders[1].reply_to, Some(101));
    assert!(matches!(&orders[2].content, Content::Text { has_preview: true, .. }));
    assert!(
        matches!(&orders[3].content, Content::Location(place) if place.latitude == 55.75 && place.longitude == 37.61)
    );
    assert!(
        matches!(&orders[4].content, Content::Contact(card) if card.phone == "79001234567" && card.last_name == "B C")
    );
    assert!(matches!(&orders[5].content, Content::Contact(card) if card.phone == "79000000001"));
    assert!(
        matches!(&orders[6].content, Content::Poll(poll) if poll.options == ["Yes", "No"] && poll.is_multiple)
    );
    assert_eq!(orders[7].forward, Some((ChatId(ANNA), 101)));
    assert_eq!(orders[7].to, Address::Chat(ChatId(-4242)));
}

#[tokio::test]
async fn files_are_sent_however_they_come() {
    let stage = Stage::new().await;
    let form = "--b\r\nContent-Disposition: form-data; name=\"chatId\"\r\n\r\n10000000\r\n--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"x.bin\"\r\n\r\nabc\r\n--b\r\nContent-Disposition: form-data; name=\"fileName\"\r\n\r\nотчёт.pdf\r\n--b\r\nContent-Disposition: form-data; name=\"caption\"\r\n\r\nword\r\n--b--\r\n";
    let (code, sent) = answered(stage.send("POST", &stage.path("sendFileByUpload"), FORM, form).await).await;
    assert_eq!((code, keys(&sent)), (200, vec!["idMessage", "urlFile"]));
    let headers = [("content-type", "image/jpeg"), ("ga-filename", "%D1%84.jpg")];
    let laid = answered(stage.send("POST", &stage.path("uploadFile"), &headers, "jpeg").await).await;
    let url = laid.1["urlFile"].as_str().unwrap();
    let by_url = json!({"chatId": ANNA, "urlFile": url, "fileName": "new.jpg", "caption": ""});
    stage.done("POST", "sendFileByUrl", by_url).await;
    stage.sent(2).await;
    let orders = stage.telegram.orders();
    for (order, name, kind, caption, bytes) in [
        (&orders[0], "отчёт.pdf", FileKind::Document, "word", "abc"),
        (&orders[1], "new.jpg", FileKind::Image, "", "jpeg"),
    ] {
        let Content::File { file, caption: said, .. } = &order.content else { panic!("{order:?}") };
        assert_eq!((file.name.as_str(), file.kind, said.as_str()), (name, kind, caption));
        assert_eq!(std::fs::read_to_string(&order.paths[0]).unwrap(), bytes);
    }
}

#[tokio::test]
async fn notifications_come_one_by_one_and_stay_until_they_are_deleted() {
    let stage = Stage::new().await;
    stage.done("POST", "setSettings", json!({"incomingWebhook": "yes"})).await;
    for (tg_id, content) in [(1, text("one")), (2, picture())] {
        stage.instance.take(News::New(Box::new(from_anna(tg_id, content)))).await.unwrap();
    }
    assert_eq!(stage.done("GET", "getWebhooksCount", Value::Null).await, json!({"count": 2}));
    let head = stage.done("GET", "receiveNotification", Value::Null).await;
    assert_eq!(stage.done("GET", "receiveNotification", Value::Null).await, head);
    assert_eq!(head["body"]["messageData"]["textMessageData"]["textMessage"], "one");
    let delete = format!("{}/{}", stage.path("deleteNotification"), head["receiptId"]);
    assert_eq!(stage.ask("DELETE", &delete, Value::Null).await, (200, json!({"result": true})));
    assert_eq!(stage.ask("DELETE", &delete, Value::Null).await, (200, json!({"result": false})));
    let second = stage.done("GET", "receiveNotification", Value::Null).await;
    let message = &second["body"];
    let link = message["messageData"]["fileMessageData"]["downloadUrl"].as_str().unwrap();
    let which = json!({"chatId": ANNA, "idMessage": message["idMessage"]});
    assert_eq!(stage.done("POST", "downloadFile", which).await, json!({"downloadUrl": link}));
    let file = stage.send("GET", link.strip_prefix(&stage.base).unwrap(), &[], "").await;
    assert_eq!(file.text().await.unwrap(), "remote-picture");
    let cleared = stage.done("GET", "clearWebhooksQueue", Value::Null).await;
    assert_eq!(cleared, json!({"isCleared": true, "reason": ""}));
    let again = stage.done("DELETE", "clearWebhooksQueue", Value::Null).await;
    assert_eq!((&again["isCleared"], &again["reason"]), (&json!(false), &json!("Too many requests")));
    assert!((1..=60).contains(&again["leftTime"].as_i64().unwrap()));
    assert_eq!(stage.done("GET", "getWebhooksCount", Value::Null).await, json!({"count": 0}));
}

#[tokio::test]
async fn journals_and_the_queue_show_what_was_said() {
    let stage = Stage::new().await;
    stage.instance.take(News::New(Box::new(from_anna(1, text("hello"))))).await.unwrap();
    stage.done("POST", "sendMessage", json!({"chatId": ANNA, "message": "out"})).await;
    stage.sent(1).await;
    let incoming = stage.done("GET", "lastIncomingMessages", Value::Null).await;
    assert_eq!((&incoming[0]["type"], &incoming[0]["textMessage"]), (&json!("incoming"), &json!("hello")));
    assert_eq!((&incoming[0]["senderId"], &incoming[0]["chatId"]), (&json!("10000000"), &json!("10000000")));
    let outgoing = stage.done("GET", "lastOutgoingMessages", json!({"minutes": "5"})).await;
    assert_eq!((&outgoing[0]["statusMessage"], &outgoing[0]["sendByApi"]), (&json!("sent"), &json!(true)));
    let history = stage.done("POST", "getChatHistory", json!({"chatId": ANNA, "count": "2"})).await;
    assert_eq!(history.as_array().unwrap().len(), 2);
    assert_eq!(history[0]["textMessage"], "last");
    assert_eq!(stage.telegram.did(), ["history 10000000 2"]);
    let which = json!({"chatId": ANNA, "idMessage": incoming[0]["idMessage"]});
    assert_eq!(stage.done("POST", "getMessage", which).await["idMessage"], incoming[0]["idMessage"]);
    let mut early = from_anna(77, text("early"));
    early.date_s -= 600;
    let ours = tgtrunk_messages::Received { tg_id: 78, sender: None, is_ours: true, ..early.clone() };
    for one in [early, ours] {
        stage.instance.take(News::New(Box::new(one))).await.unwrap();
    }
    for (minutes, is_there) in [("5", false), ("20", true)] {
        for method in ["lastIncomingMessages", "lastOutgoingMessages"] {
            let path = format!("{}?minutes={minutes}", stage.path(method));
            let (_, told) = stage.ask("GET", &path, Value::Null).await;
            let has = told.as_array().unwrap().iter().any(|one| one["textMessage"] == "early");
            assert_eq!(has, is_there, "{minutes} minutes: {told}");
        }
    }
    stage.telegram.stands(Standing::NotAuthorized);
    stage.done("POST", "sendMessage", json!({"chatId": ANNA, "message": "waits"})).await;
    assert_eq!(stage.done("GET", "getMessagesCount", Value::Null).await, json!({"count": 1}));
    let line = &stage.done("GET", "showMessagesQueue", Value::Null).await[0];
    for (key, value) in [
        ("type", json!("sendMessage")),
        ("typeMessage", json!("textMessage")),
        ("chatId", json!(ANNA)),
        ("message", json!("waits")),
        ("body", json!({"chatId": ANNA, "message": "waits"})),
    ] {
        assert_eq!(line[key], value, "{line}");
    }
    assert_eq!(line["messageID"].as_str().unwrap().len(), 13);
    assert_eq!(stage.done("GET", "clearMessagesQueue", Value::Null).await, json!({"isCleared": true}));
    assert_eq!(stage.done("GET", "getMessagesCount", Value::Null).await, json!({"count": 0}));
}

#[tokio::test]
async fn groups_are_made_shown_and_changed() {
    let stage = Stage::new().await;
    let made =
        json!({"groupName": "Отдел", "chatIds": ["10000000", "79000000001@c.us"], "type": "supergroup"});
    assert_eq!(
        stage.done("POST", "createGroup", made).await,
        json!({"created": true, "chatId": GROUP.to_string(), "groupInviteLink": "https://t.me/+abc"})
    );
    let data = stage.done("POST", "getGroupData", json!({"chatId": GROUP})).await;
    for (key, value) in [
        ("chatId", json!(GROUP.to_string())),
        ("owner", json!("555")),
        ("subject", json!("Отдел")),
        ("description", json!("about")),
        ("creation", json!(1_763_115_112)),
        ("groupInviteLink", json!("https://t.me/+abc")),
        ("isSupergroup", json!(true)),
        ("isChannel", json!(false)),
        ("allowParticipantsSendMessages", json!(true)),
        ("allowParticipantsEditGroupSettings", json!(false)),
        (
            "participants",
            json!([{"id": "10000000", "name": "Анна Б", "isAdmin": true, "isSuperAdmin": false}]),
        ),
    ] {
        assert_eq!(data[key], value, "{key}");
    }
    assert_eq!(keys(&data).iter().filter(|key| key.starts_with("allowParticipants")).count(), 8);
    stage.telegram.did();
    let who = json!({"groupId": GROUP.to_string(), "participantChatId": "10000000"});
    for (method, body, key) in [
        ("updateGroupName", json!({"chatId": GROUP, "groupName": "Новый"}), "updateGroupName"),
        ("addGroupParticipant", who.clone(), "addParticipant"),
        ("removeGroupParticipant", who.clone(), "removeParticipant"),
        ("setGroupAdmin", who.clone(), "setGroupAdmin"),
        ("removeAdmin", who.clone(), "removeAdmin"),
        ("leaveGroup", json!({"chatId": GROUP}), "leaveGroup"),
    ] {
        assert_eq!(stage.done("POST", method, body).await, json!({key: true}), "{method}");
    }
    let anna = format!("(Chat(ChatId({ANNA})))");
    let change = |what: &str| format!("change {GROUP} {what}");
    assert_eq!(
        stage.telegram.did(),
        [
            change("Title(\"Новый\")"),
            change(&format!("Add{anna}")),
            change(&format!("Remove{anna}")),
            change(&format!("Promote{anna}")),
            change(&format!("Demote{anna}")),
            change("Leave"),
        ]
    );
    let rights =
        json!({"chatId": GROUP, "allowParticipantsPinMessages": true, "allowParticipantsSendMedia": "no"});
    assert_eq!(
        stage.done("POST", "updateGroupSettings", rights).await,
        json!({"updateGroupSettings": true, "reason": ""})
    );
    let did = stage.telegram.did();
    let named = ["send_media: Some(false)", "pin_messages: Some(true)", "send_polls: None"];
    assert!(did.len() == 1 && named.iter().all(|named| did[0].contains(named)), "{did:?}");
    let form = format!(
        "--b\r\nContent-Disposition: form-data; name=\"chatId\"\r\n\r\n{GROUP}\r\n--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.jpg\"\r\n\r\nwe\r\n--b--"
    );
    let done = answered(stage.send("POST", &stage.path("setGroupPicture"), FORM, form).await).await;
    assert_eq!(done, (200, json!({"setGroupPicture": true, "urlAvatar": "", "reason": null})));
    assert_eq!(stage.telegram.did(), [change("picture we")]);
    stage.telegram.refuses(Failure::Refused { word: "not_admin", sentence: "no rights".to_owned() });
    let refused = stage.done("POST", "setGroupAdmin", who).await;
    assert_eq!(refused, json!({"setGroupAdmin": false, "reason": "no rights"}));
}

#[tokio::test]
async fn a_group_that_is_there_is_told_of_though_not_everybody_is_in_it() {
    let stage = Stage::new().await;
    let said = json!({"groupName": "Закрытая", "chatIds": ["5"], "type": "supergroup"});
    let made = stage.done("POST", "createGroup", said).await;
    assert_eq!((&made["created"], &made["chatId"]), (&json!(true), &json!(GROUP.to_string())));
    assert_eq!(made["reason"], "5 does not let the account add them");
}

#[tokio::test]
async fn people_chats_and_messages_are_served() {
    let stage = Stage::new().await;
    let found = json!({"exist": true, "chatId": "10000000", "fromCache": false});
    let phone = json!({"phoneNumber": 79_000_000_001_i64});
    assert_eq!(stage.done("POST", "checkAccount", phone).await, found);
    let again = stage.done("POST", "checkWhatsapp", json!({"phoneNumber": "79000000001"})).await;
    assert_eq!((&again["existsWhatsapp"], &again["fromCache"]), (&json!(true), &json!(true)));
    assert_eq!(
        stage.done("POST", "checkAccount", json!({"username": "@anna_b", "force": true})).await,
        found
    );
    let by_chat = stage.done("POST", "checkWhatsapp", json!({"chatId": "79000000001@c.us"})).await;
    assert_eq!(by_chat["existsWhatsapp"], true);
    let nobody = json!({"exist": false, "chatId": "", "fromCache": false});
    assert_eq!(stage.done("POST", "checkAccount", json!({"phoneNumber": "79999999999"})).await, nobody);
    let avatar = stage.done("POST", "getAvatar", json!({"chatId": ANNA})).await;
    assert!(avatar["urlAvatar"].as_str().unwrap().starts_with(&stage.base));
    assert_eq!(stage.done("POST", "getAvatar", json!({"chatId": GROUP})).await, json!({"urlAvatar": ""}));
    let contacts = stage.done("GET", "getContacts", json!({"count": "1"})).await;
    let anna = json!({
        "chatId": "10000000", "name": "Анна Б", "contactName": "Анна, бухгалтерия", "type": "user",
        "phoneNumber": 79_000_000_001_i64, "username": "@anna_b",
    });
    assert_eq!(contacts, json!([anna]));
    let info = stage.done("POST", "getContactInfo", json!({"chatId": ANNA})).await;
    assert_eq!((&info["lastSeen"], &info["phoneNumber"]), (&json!(1_763_115_112), &anna["phoneNumber"]));
    for key in ["avatar", "name", "contactName", "chatId"] {
        assert!(info[key].is_string(), "{key}");
    }
    let path = format!("{}?count=2", stage.path("getChats"));
    let (_, chats) = stage.ask("GET", &path, Value::Null).await;
    assert_eq!((&chats[0]["type"], &chats[1]["type"]), (&json!("user"), &json!("supergroup")));
    stage.telegram.did();
    stage.done("POST", "sendMessage", json!({"chatId": ANNA, "message": "tea"})).await;
    stage.sent(1).await;
    let (_, last) = stage.call("GET", "lastOutgoingMessages", Value::Null).await;
    let id = last[0]["idMessage"].clone();
    let which = json!({"chatId": ANNA, "idMessage": id});
    let edit = json!({"chatId": ANNA, "idMessage": id, "message": "coffee"});
    for (method, body, answer, did) in [
        ("readChat", json!({"chatId": ANNA}), json!({"setRead": true}), "read 10000000 None"),
        ("editMessage", edit, json!({"idMessage": id}), "edit 10000000 101 coffee"),
        ("deleteMessage", which, json!({}), "delete 10000000 [101] true"),
        ("archiveChat", json!({"chatId": ANNA}), json!({}), "archive 10000000 true"),
        ("unarchiveChat", json!({"chatId": ANNA}), json!({}), "archive 10000000 false"),
        (
            "sendTyping",
            json!({"chatId": ANNA, "typingTime": 1000, "typingType": "record_voice_note"}),
            json!({}),
            "typing 10000000 RecordVoiceNote",
        ),
        (
            "addContact",
            json!({"chatId": "79000000001@c.us", "firstName": "A", "lastName": "B"}),
            json!({"addContact": true, "chatId": "10000000"}),
            "contact 10000000 A B",
        ),
        (
            "editContact",
            json!({"chatId": ANNA, "firstName": "A"}),
            json!({"editContact": true, "chatId": "10000000"}),
            "contact 10000000 A ",
        ),
        ("deleteContact", json!({"chatId": ANNA}), json!({"deleteContact": true}), "no contact 10000000"),
    ] {
        assert_eq!(stage.done("POST", method, body).await, answer, "{method}");
        assert_eq!(stage.telegram.did(), [did], "{method}");
    }
}

#[tokio::test]
async fn a_partner_lists_makes_and_deletes_instances() {
    let stage = Stage::new().await;
    let path = |method: &str| format!("/partner/{method}/{PARTNER}");
    let (code, all) = stage.ask("GET", &path("getInstances"), Value::Null).await;
    assert_eq!((code, &all[0]["idInstance"]), (200, &json!(stage.instance.id().get())));
    for key in [
        "name",
        "typeInstance",
        "typeAccount",
        "messenger",
        "partnerUserUiid",
        "timeCreated",
        "timeDeleted",
        "apiTokenInstance",
        "deleted",
        "tariff",
        "isFree",
        "isPartner",
        "expirationDate",
        "isExpired",
    ] {
        assert!(all[0].get(key).is_some(), "{key}");
    }
    let (_, made) =
        stage.ask("POST", &path("createInstance"), json!({"name": "shop", "stateWebhook": "yes"})).await;
    assert_eq!((&made["idInstance"], &made["typeInstance"]), (&json!(4_100_000_002_i64), &json!("telegram")));
    assert_eq!(made["apiTokenInstance"].as_str().unwrap().len(), 50);
    let gone = stage.ask("POST", &path("deleteInstanceAccount"), json!({"idInstance": "4100000002"})).await;
    assert_eq!(gone, (200, json!({"deleteInstanceAccount": true})));
    let (code, error) = stage.ask("GET", "/waInstance4100000002/getSettings/x", Value::Null).await;
    assert_eq!((code, &error["message"]), (400, &json!("Instance is deleted")));
    let did = stage.office.did.lock().unwrap().clone();
    assert_eq!(did, ["create shop {\"stateWebhook\"}  ", "delete 4100000002"]);
    let (_, all) = stage.ask("GET", &path("getInstances"), Value::Null).await;
    let deleted: Vec<_> =
        all.as_array().unwrap().iter().map(|one| one["deleted"].as_bool().unwrap()).collect();
    assert_eq!(deleted, [false, true]);
    assert_eq!((&all[1]["idInstance"], &all[1]["name"]), (&json!(4_100_000_002_i64), &json!("shop")));
    assert_eq!(all[1]["timeDeleted"], "2025-11-14T10:11:53.000Z");
}

#[tokio::test]
async fn a_partner_sees_instances_that_are_starting_too() {
    let stage = Stage::new().await;
    let listed = async || {
        let (code, all) = stage.ask("GET", &format!("/partner/getInstances/{PARTNER}"), Value::Null).await;
        assert_eq!(code, 200, "{all}");
        all
    };
    let open = listed().await;
    stage.house.rest(stage.instance.id());
    assert_eq!(listed().await, open, "opened anew");
    stage.house.give_up(stage.instance.id());
    assert_eq!(listed().await, json!([]));
    stage.house.expect(&stage.folder.path().join("client.db")).await.unwrap();
    assert_eq!(listed().await, open, "not open yet");
    stage.house.enter(stage.instance.clone());
    stage.house.expect_unread(InstanceId::new(4_100_000_001).unwrap(), "shop", 1_763_115_112);
    let all = listed().await;
    let shop = all.as_array().unwrap().iter().find(|one| one["idInstance"] == 4_100_000_001_i64).unwrap();
    assert_eq!((&shop["name"], &shop["timeCreated"]), (&json!("shop"), &json!("2025-11-14T10:11:52.000Z")));
    let state = stage.ask("GET", "/waInstance4100000001/getStateInstance/x", Value::Null).await;
    assert_eq!(state, (200, json!({"stateInstance": "starting"})));
}
