//! `@green-api/whatsapp-api-client` under Node: every method.

use serde_json::{Value, json};

use crate::keys;
use crate::room::{ANNA, BORIS, LETTER, Room, jpeg, sha256};
use crate::support::COMPANY;
use crate::vendor::{Vendor, javascript};

/// What the client shows of a journal's line.
const LINE: [&str; 6] = ["chatId", "idMessage", "statusMessage?", "textMessage?", "timestamp", "typeMessage"];

#[tokio::test(flavor = "multi_thread")]
async fn every_method_of_the_client_of_javascript_does_what_it_says() {
    let room = Room::open(false).await;
    let (command, modules) = javascript("green_client.mjs").await;
    let mut options = room.options();
    options["modules"] = modules.to_str().into();
    let mut vendor = Vendor::start(command, &options).await;
    logs_in(&room, &mut vendor).await;
    finds(&room, &mut vendor).await;
    sends(&room, &mut vendor).await;
    sends_files(&room, &mut vendor).await;
    looks_back(&room, &mut vendor).await;
    receives(&room, &mut vendor).await;
    changes(&room, &mut vendor).await;
    leads_a_group(&room, &mut vendor).await;
    empties_its_queue(&room, &mut vendor).await;
    ends(&room, &mut vendor).await;
    assert_eq!(vendor.untried(), [""; 0], "methods that nobody tries");
    assert_eq!(vendor.tried(), 51);
}

async fn until_state(vendor: &mut Vendor, wanted: &str) {
    for _ in 0..100 {
        if vendor.calls("instance.getStateInstance", json!([]), &["stateInstance"]).await["stateInstance"]
            == wanted
        {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    }
    panic!("never {wanted}");
}

async fn logs_in(room: &Room, vendor: &mut Vendor) {
    until_state(vendor, "notAuthorized").await;
    let sent =
        vendor.calls("instance.getAuthorizationCode", json!([Room::own_number()]), &["status", "data"]).await;
    assert_eq!(sent["status"], true, "{sent}");
    assert!(room.code().len() >= 5);
    let shown = vendor.calls("instance.qr", json!([]), &["type", "message"]).await;
    assert_eq!(shown["type"], "qrCode", "{shown}");
    room.own.can("scan", json!({"png": shown["message"]})).await;
    until_state(vendor, "authorized").await;
    assert_eq!(room.own.can("sessions", json!({})).await, 2);
    let settings = vendor.calls("settings.getWaSettings", json!([]), &keys::ACCOUNT).await;
    assert_eq!((&settings["phone"], &settings["chatId"]), (&json!(COMPANY), &json!(room.own.id.to_string())));
    let set = json!([{"incomingWebhook": "yes", "delaySendMessagesMilliseconds": 500}]);
    vendor.calls("settings.setSettings", set, &["saveSettings"]).await;
    let settings = vendor.calls("settings.getSettings", json!([]), &keys::SETTINGS).await;
    let told = (&settings["incomingWebhook"], &settings["delaySendMessagesMilliseconds"]);
    assert_eq!(told, (&json!("yes"), &json!(500)));
    vendor.calls("instance.getDeviceInfo", json!([]), &keys::DEVICE).await;
}

async fn finds(room: &Room, vendor: &mut Vendor) {
    for (phone, id) in [(ANNA, room.anna.id), (BORIS, room.boris.id)] {
        let keys = ["existsWhatsapp", "exist", "chatId", "fromCache"];
        let found =
            vendor.calls("instance.checkWhatsapp", json!([phone.parse::<i64>().unwrap()]), &keys).await;
        assert_eq!((&found["existsWhatsapp"], &found["chatId"]), (&json!(true), &json!(id.to_string())));
    }
    let anna = room.anna.id.to_string();
    let picture = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, jpeg());
    room.anna.can("set_picture", json!({"contents": picture})).await;
    let shown = vendor.calls("instance.getAvatar", json!([anna]), &["urlAvatar"]).await;
    assert_eq!(room.fetch(&shown["urlAvatar"]).await, jpeg());
    room.own.can("note", json!({"chat": room.anna.id, "first_name": "Anna", "last_name": "of Orders"})).await;
    let info = vendor.calls("instance.getContactInfo", json!([anna]), &keys::INFO).await;
    assert_eq!(info["contactName"], "Anna of Orders");
    let contacts = vendor.calls("instance.getContacts", json!([]), &keys::CONTACT).await;
    assert_eq!(
        (&contacts[0]["chatId"], &contacts[0]["contactName"]),
        (&json!(anna), &json!("Anna of Orders"))
    );
}

async fn sends(room: &Room, vendor: &mut Vendor) {
    let (anna, id) = (room.anna.id.to_string(), ["idMessage"]);
    // A phone number stands where a chat would.
    let sent =
        vendor.calls("message.sendMessage", json!([null, ANNA.parse::<i64>().unwrap(), "hello"]), &id).await;
    let first = room.anna_gets(|message| message["text"] == "hello").await;
    let with = json!([anna, null, "see https://example.org", sent["idMessage"], false]);
    vendor.calls("message.sendMessage", with, &id).await;
    let got = room.anna_gets(|message| message["text"] == "see https://example.org").await;
    assert_eq!((&got["reply_to"], &got["media"]), (&first["id"], &Value::Null), "{got}");
    let poll = json!([anna, null, "Tea?", [{"optionName": "Yes"}, {"optionName": "No"}], true]);
    vendor.calls("message.sendPoll", poll, &id).await;
    let got = room.anna_gets(|message| !message["poll"].is_null()).await;
    assert_eq!((&got["poll"]["answers"], &got["poll"]["multiple"]), (&json!(["Yes", "No"]), &json!(true)));
    vendor.calls("message.sendLocation", json!([anna, null, "Office", "Arbat 1", 55.75, 37.61]), &id).await;
    let got = room.anna_gets(|message| !message["place"].is_null()).await;
    assert_eq!(got["place"], json!({"lat": 55.75, "long": 37.61, "title": "Office", "address": "Arbat 1"}));
    let card = json!({"phoneContact": 79_001_234_567_i64, "firstName": "Vera", "lastName": "Orlova"});
    vendor.calls("message.sendContact", json!([anna, null, card]), &id).await;
    let got = room.anna_gets(|message| !message["contact"].is_null()).await;
    assert_eq!(
        (&got["contact"]["phone"], &got["contact"]["first_name"]),
        (&json!("79001234567"), &json!("Vera"))
    );
    vendor.calls("message.sendLink", json!([anna, null, "https://example.org/link"]), &id).await;
    room.anna_gets(|message| message["text"] == "https://example.org/link").await;
    let with = json!([room.boris.id.to_string(), anna, [sent["idMessage"]]]);
    vendor.calls("message.forwardMessages", with, &["messages"]).await;
    let got = room.boris.message(room.own.id, |message| message["text"] == "hello").await;
    assert_eq!(got["forwarded"], true, "{got}");
    let buttons = json!([{"buttonId": "1", "buttonText": "Yes"}]);
    vendor.lacks("message.sendButtons", json!([anna, "Tea?", "now", buttons])).await;
    vendor.lacks("message.sendTemplateButtons", json!([anna, "Tea?", "now", []])).await;
    vendor.lacks("message.sendListMessage", json!([anna, "Tea?", "Choose", "Tea", "now", []])).await;
}

async fn sends_files(room: &Room, vendor: &mut Vendor) {
    let anna = room.anna.id.to_string();
    let uploaded = vendor.calls("file.uploadFile", json!([room.picture]), &["urlFile"]).await;
    assert_eq!(room.fetch(&uploaded["urlFile"]).await, jpeg());
    let with = json!([anna, null, uploaded["urlFile"], "picture.jpg", "a picture"]);
    let sent = vendor.calls("file.sendFileByUrl", with, &["idMessage"]).await;
    let got = room.anna_gets(|message| message["text"] == "a picture").await;
    assert_eq!(
        (&got["media"], &got["file"]["sha256"]),
        (&json!("MessageMediaPhoto"), &json!(sha256(&jpeg())))
    );
    let form = json!([{"form": {"chatId": anna, "caption": "a letter", "fileName": "письмо.txt", "file": room.letter}}]);
    vendor.calls("file.sendFileByUpload", form, &["idMessage", "urlFile"]).await;
    let got = room.anna_gets(|message| message["text"] == "a letter").await;
    assert_eq!(
        (&got["file"]["name"], &got["file"]["sha256"]),
        (&json!("письмо.txt"), &json!(sha256(LETTER.as_bytes())))
    );
    let link = vendor.calls("file.downloadFile", json!([anna, sent["idMessage"]]), &["downloadUrl"]).await;
    assert_eq!(room.fetch(&link["downloadUrl"]).await, jpeg());
}

async fn looks_back(room: &Room, vendor: &mut Vendor) {
    let anna = room.anna.id.to_string();
    let lines = vendor.calls("message.lastOutgoingMessages", json!([]), &LINE).await;
    let kinds: Vec<&Value> = lines.as_array().unwrap().iter().map(|line| &line["typeMessage"]).collect();
    let wanted = [
        "documentMessage",
        "imageMessage",
        "textMessage",
        "extendedTextMessage",
        "contactMessage",
        "locationMessage",
        "pollMessage",
        "extendedTextMessage",
        "textMessage",
    ];
    assert_eq!(kinds, wanted);
    let history = vendor.calls("message.getChatHistory", json!([anna, 3]), &keys::LINE).await;
    let captions: Vec<&Value> = history.as_array().unwrap().iter().map(|line| &line["caption"]).collect();
    assert_eq!(captions[..2], ["a letter", "a picture"]);
    let one = vendor.calls("message.getMessage", json!([anna, history[0]["idMessage"]]), &keys::LINE).await;
    assert_eq!((&one["fileName"], &one["idMessage"]), (&json!("письмо.txt"), &history[0]["idMessage"]));
}

async fn receives(room: &Room, vendor: &mut Vendor) {
    let (own, anna) = (room.own.id, room.anna.id.to_string());
    let said = room.anna.can("send", json!({"chat": own, "text": "good morning"})).await;
    let told = vendor.calls("webhookService.receiveNotification", json!([]), &["receiptId", "body"]).await;
    assert_eq!(told["body"]["messageData"]["textMessageData"]["textMessage"], "good morning");
    vendor.calls("webhookService.deleteNotification", json!([told["receiptId"]]), &["result"]).await;
    vendor.calls("message.readChat", json!([anna, null, told["body"]["idMessage"]]), &["setRead"]).await;
    room.anna.told("UpdateReadHistoryOutbox", |update| update["max_id"] == said).await;
    let chats = vendor.calls("instance.getChats", json!([]), &keys::CHAT).await;
    assert!(chats.as_array().unwrap().iter().any(|chat| chat["chatId"] == anna), "{chats}");
    let lines = vendor.calls("message.lastIncomingMessages", json!([]), &LINE).await;
    assert_eq!(lines[0]["textMessage"], "good morning");

    assert_eq!(vendor.asks("webhookService.startReceivingNotifications", json!([])).await.0, Some(200));
    room.anna.can("send", json!({"chat": own, "text": "to the loop"})).await;
    room.anna
        .can(
            "send_file",
            json!({"chat": own, "contents": "MSwyCg==", "name": "prices.csv", "caption": "prices"}),
        )
        .await;
    let heard = vendor.hears(|heard| heard["heard"] == "onReceivingMessageText").await;
    assert_eq!(heard["body"]["messageData"]["textMessageData"]["textMessage"], "to the loop");
    let heard = vendor.hears(|heard| heard["heard"] == "onReceivingMessageDocument").await;
    let file = &heard["body"]["messageData"]["fileMessageData"];
    assert_eq!(room.fetch(&file["downloadUrl"]).await, b"1,2\n");
    assert_eq!(vendor.asks("webhookService.stopReceivingNotifications", json!([])).await.0, Some(200));
    let mut count = Value::Null;
    for _ in 0..50 {
        count = room.program.get("getWebhooksCount").await["count"].clone();
        if count == 0 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    assert_eq!(count, 0);
}

async fn changes(room: &Room, vendor: &mut Vendor) {
    let anna = room.anna.id.to_string();
    let sent = vendor.calls("message.sendMessage", json!([anna, null, "a mistake"]), &["idMessage"]).await;
    let got = room.anna_gets(|message| message["text"] == "a mistake").await;
    let edit = json!([anna, sent["idMessage"], "no mistake"]);
    assert_eq!(vendor.calls("instance.editMessage", edit, &["idMessage"]).await, sent);
    let changed = room.anna_gets(|message| message["text"] == "no mistake").await;
    assert_eq!((&changed["id"], &changed["edited"]), (&got["id"], &json!(true)));
    vendor.calls("instance.deleteMessage", json!([anna, sent["idMessage"]]), &[]).await;
    room.anna_loses(&got["id"]).await;
    for (method, is) in [("instance.archiveChat", true), ("instance.unarchiveChat", false)] {
        vendor.calls(method, json!([anna]), &[]).await;
        room.own.sees("dialogs", json!({}), |all| all[&anna]["archived"] == is).await;
    }
}

async fn leads_a_group(room: &Room, vendor: &mut Vendor) {
    let (anna, boris) = (room.anna.id.to_string(), room.boris.id.to_string());
    let keys = ["created", "chatId", "groupInviteLink"];
    let made = vendor.calls("group.createGroup", json!(["Orders", [anna]]), &keys).await;
    let (chat, id) = (made["chatId"].clone(), made["chatId"].as_str().unwrap().parse::<i64>().unwrap());
    let group = json!({"chat": id});
    let sees = async |what: &dyn Fn(&Value) -> bool| room.anna.sees("group", group.clone(), what).await;
    sees(&|group| group["title"] == "Orders" && group["members"][&anna] == "ChatParticipant").await;
    vendor.calls("group.updateGroupName", json!([chat, "Returns"]), &["updateGroupName"]).await;
    sees(&|group| group["title"] == "Returns").await;
    // By the number of a phone.
    let with = json!([chat, null, BORIS.parse::<i64>().unwrap()]);
    vendor.calls("group.addGroupParticipant", with, &["addParticipant"]).await;
    sees(&|group| group["members"][&boris] == "ChatParticipant").await;
    vendor.calls("group.setGroupAdmin", json!([chat, boris]), &["setGroupAdmin"]).await;
    sees(&|group| group["members"][&boris] == "ChatParticipantAdmin").await;
    let data = vendor.calls("group.getGroupData", json!([chat]), &keys::GROUP).await;
    assert_eq!((&data["subject"], &data["owner"]), (&json!("Returns"), &json!(room.own.id.to_string())));
    assert_eq!(data["participants"].as_array().map(Vec::len), Some(3), "{data}");
    vendor.calls("group.removeAdmin", json!([chat, boris]), &["removeAdmin"]).await;
    sees(&|group| group["members"][&boris] == "ChatParticipant").await;
    vendor.calls("group.removeGroupParticipant", json!([chat, boris, null]), &["removeParticipant"]).await;
    sees(&|group| group["members"][&boris].is_null()).await;
    let keys = ["setGroupPicture", "urlAvatar", "reason"];
    vendor.calls("group.setGroupPicture", json!([chat, room.picture]), &keys).await;
    let photo = json!(sha256(&jpeg()));
    sees(&|group| group["photo"] == photo).await;
    vendor.calls("group.leaveGroup", json!([chat]), &["leaveGroup"]).await;
    let me = room.own.id.to_string();
    sees(&|group| group["members"][&me].is_null()).await;
}

async fn empties_its_queue(room: &Room, vendor: &mut Vendor) {
    let anna = room.anna.id.to_string();
    vendor
        .calls("settings.setSettings", json!([{"delaySendMessagesMilliseconds": 60_000}]), &["saveSettings"])
        .await;
    for text in ["never 1", "never 2"] {
        vendor.calls("message.sendMessage", json!([anna, null, text]), &["idMessage"]).await;
    }
    let queue = vendor.calls("message.showMessagesQueue", json!([]), &["messageID", "type", "body"]).await;
    let texts: Vec<&Value> = queue.as_array().unwrap().iter().map(|line| &line["body"]["message"]).collect();
    assert_eq!(texts, ["never 1", "never 2"]);
    vendor.calls("message.clearMessagesQueue", json!([]), &["isCleared"]).await;
    let queue = vendor.asks("message.showMessagesQueue", json!([])).await;
    assert_eq!(queue, (Some(200), json!([])));
    vendor
        .calls("settings.setSettings", json!([{"delaySendMessagesMilliseconds": 500}]), &["saveSettings"])
        .await;
    vendor.calls("message.sendMessage", json!([anna, null, "afterwards"]), &["idMessage"]).await;
    room.anna_gets(|message| message["text"] == "afterwards").await;
    let seen = room.anna.can("messages", json!({"chat": room.own.id})).await;
    assert!(!seen.to_string().contains("never"), "{seen:#}");
}

async fn ends(room: &Room, vendor: &mut Vendor) {
    let before = room.connected();
    vendor.calls("instance.reboot", json!([]), &["isReboot"]).await;
    until_state(vendor, "authorized").await;
    assert!(room.connected() > before, "its connection is opened anew");
    let out = vendor.calls("instance.logout", json!([]), &["isLogout"]).await;
    assert_eq!(out["isLogout"], true);
    room.own.sees("sessions", json!({}), |count| *count == 1).await;
    until_state(vendor, "notAuthorized").await;
}
