//! `whatsapp-api-client-python`, made for another messenger: the names that only it has, its groups, and what cannot be.

use serde_json::{Value, json};

use crate::keys;
use crate::room::{ANNA, BORIS, Room, jpeg, sha256};
use crate::support::COMPANY;
use crate::vendor::{Vendor, python};

async fn client(room: &Room) -> Vendor {
    let mut options = room.options();
    options["package"] = "whatsapp_api_client_python".into();
    Vendor::start(python("green_sdk.py").await, &options).await
}

#[tokio::test(flavor = "multi_thread")]
async fn names_of_the_vendors_other_messenger_do_what_they_mean_here() {
    let room = Room::open(true).await;
    let mut vendor = client(&room).await;
    for is_async in [false, true] {
        vendor.is_async = is_async;
        asks(&room, &mut vendor).await;
        sends(&room, &mut vendor).await;
        keeps_contacts(&room, &mut vendor).await;
        leads_a_group(&room, &mut vendor).await;
    }
    vendor.is_async = false;
    cannot(&room, &mut vendor).await;
    let fresh = vendor.calls("account.updateApiToken", json!([]), &["apiTokenInstance"]).await;
    assert_eq!(vendor.asks("account.getWaSettings", json!([])).await.0, Some(401), "the old one is dead");
    assert_ne!(fresh["apiTokenInstance"], room.program.token.as_str());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_is_sent_by_the_name_of_the_vendors_other_messenger() {
    let room = Room::open(false).await;
    let mut vendor = client(&room).await;
    let sent =
        vendor.calls("account.getAuthorizationCode", json!([Room::own_number()]), &["status", "data"]).await;
    assert_eq!(sent["status"], true, "{sent}");
    room.program.post("sendAuthorizationCode", json!({"code": room.code()})).await;
    room.own.sees("sessions", json!({}), |count| *count == 2).await;
    let again =
        vendor.calls("account.getAuthorizationCode", json!([Room::own_number()]), &["status", "data"]).await;
    assert_eq!((&again["status"], &again["data"]["reason"]), (&json!(false), &json!("already_registered")));
}

/// Who is who.
async fn asks(room: &Room, vendor: &mut Vendor) {
    let settings = vendor.calls("account.getWaSettings", json!([]), &keys::ACCOUNT).await;
    let own = (&settings["phone"], &settings["stateInstance"], &settings["chatId"]);
    assert_eq!(own, (&json!(COMPANY), &json!("authorized"), &json!(room.own.id.to_string())));
    if !vendor.is_async {
        // It has no asynchronous twin.
        let device = vendor.calls("device.getDeviceInfo", json!([]), &keys::DEVICE).await;
        let version = env!("CARGO_PKG_VERSION");
        let wanted = json!({
            "platform": "linux", "deviceManufacturer": "tgtrunk", "deviceModel": "tgtrunk",
            "osVersion": "", "waVersion": version, "battery": 100,
        });
        assert_eq!(device, wanted);
    }
    let keys = ["existsWhatsapp", "exist", "chatId", "fromCache"];
    let boris = json!({"chatId": format!("{BORIS}@c.us")});
    let found = vendor.calls("serviceMethods.checkWhatsapp", boris, &keys).await;
    assert_eq!(found["chatId"], room.boris.id.to_string());
    let phone: i64 = ANNA.parse().unwrap();
    for who in [json!({"phoneNumber": phone}), json!({"chatId": format!("{ANNA}@c.us")})] {
        let found = vendor.calls("serviceMethods.checkWhatsapp", who, &keys).await;
        assert_eq!(
            (&found["existsWhatsapp"], &found["chatId"]),
            (&json!(true), &json!(room.anna.id.to_string()))
        );
    }
    let nobody = json!({"phoneNumber": 79_009_999_999_i64});
    assert_eq!(vendor.calls("serviceMethods.checkWhatsapp", nobody, &keys).await["existsWhatsapp"], false);
}

async fn sends(room: &Room, vendor: &mut Vendor) {
    let anna = room.anna.id.to_string();
    let word = if vendor.is_async { "later" } else { "now" };
    let sent =
        vendor.calls("sending.sendMessage", json!([format!("{ANNA}@c.us"), word]), &["idMessage"]).await;
    let first = room.anna_gets(|message| message["text"] == word).await;
    let answer = format!("and more {word}");
    let with = json!({"chatId": anna, "message": answer, "quotedMessageId": sent["idMessage"]});
    vendor.calls("sending.sendMessage", with, &["idMessage"]).await;
    let got = room.anna_gets(|message| message["text"] == answer.as_str()).await;
    assert_eq!(got["reply_to"], first["id"], "{got}");

    if !vendor.is_async {
        // It has no asynchronous twin.
        let link = format!("https://example.org/{word}");
        vendor.calls("sending.sendLink", json!([anna, link]), &["idMessage"]).await;
        room.anna_gets(|message| message["text"] == link.as_str()).await;
    }
    let place = json!([anna, 55.75, 37.61, format!("Office {word}"), "Arbat 1"]);
    vendor.calls("sending.sendLocation", place, &["idMessage"]).await;
    let title = format!("Office {word}");
    let got = room.anna_gets(|message| message["place"]["title"] == title.as_str()).await;
    assert_eq!((&got["media"], &got["place"]["address"]), (&json!("MessageMediaVenue"), &json!("Arbat 1")));

    let with = json!([room.boris.id.to_string(), anna, [sent["idMessage"]]]);
    let forwarded = vendor.calls("sending.forwardMessages", with, &["messages"]).await;
    assert_eq!(forwarded["messages"].as_array().map(Vec::len), Some(1), "{forwarded}");
    let got = room.boris.message(room.own.id, |message| message["text"] == word).await;
    assert_eq!(got["forwarded"], true, "{got}");

    let said = room.anna.can("send", json!({"chat": room.own.id, "text": format!("from Anna {word}")})).await;
    let chats = vendor.calls("serviceMethods.getChats", json!({"count": 5}), &keys::CHAT).await;
    assert!(chats.as_array().unwrap().iter().any(|chat| chat["chatId"] == anna), "{chats}");
    let text = format!("from Anna {word}");
    let mut known = Value::Null;
    for _ in 0..50 {
        let history = room.program.post("getChatHistory", json!({"chatId": anna, "count": 1})).await;
        if history[0]["textMessage"] == text.as_str() {
            known = history[0]["idMessage"].clone();
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    vendor.calls("marking.readChat", json!([anna, known]), &["setRead"]).await;
    room.anna.told("UpdateReadHistoryOutbox", |update| update["max_id"] == said).await;
}

async fn keeps_contacts(room: &Room, vendor: &mut Vendor) {
    let him = room.boris.id.to_string();
    let who = format!("{BORIS}@c.us");
    let is_called = async |name: Value| {
        room.own.sees("contacts", json!({}), |all| all[&him] == name).await;
    };
    is_called(Value::Null).await;
    let with = json!({"chatId": who, "firstName": "Boris", "lastName": "Orlov"});
    let added = vendor.calls("contacts.addContact", with, &["addContact", "chatId"]).await;
    assert_eq!((&added["addContact"], &added["chatId"]), (&json!(true), &json!(him)));
    is_called("Boris Orlov".into()).await;
    let with = json!({"chatId": who, "firstName": "Boris the second"});
    vendor.calls("contacts.editContact", with, &["editContact", "chatId"]).await;
    is_called("Boris the second".into()).await;
    vendor.calls("contacts.deleteContact", json!({"chatId": who}), &["deleteContact"]).await;
    is_called(Value::Null).await;
}

/// Its groups are called by `groupId`.
async fn leads_a_group(room: &Room, vendor: &mut Vendor) {
    let (anna, boris) = (room.anna.id.to_string(), room.boris.id.to_string());
    let keys = ["created", "chatId", "groupInviteLink"];
    let made = vendor.calls("groups.createGroup", json!(["Orders", [format!("{ANNA}@c.us")]]), &keys).await;
    let (chat, id) = (made["chatId"].clone(), made["chatId"].as_str().unwrap().parse::<i64>().unwrap());
    let group = json!({"chat": id});
    let sees = async |what: &dyn Fn(&Value) -> bool| room.anna.sees("group", group.clone(), what).await;
    sees(&|group| group["title"] == "Orders" && group["members"][&anna] == "ChatParticipant").await;
    let with = json!({"groupId": chat, "allowParticipantsSendMessages": false});
    let set = vendor.calls("groups.updateGroupSettings", with, &["updateGroupSettings", "reason"]).await;
    assert_eq!(set["updateGroupSettings"], true, "{set}");
    sees(&|group| group["banned"]["send_plain"] == true || group["banned"]["send_messages"] == true).await;
    vendor.calls("groups.updateGroupName", json!([chat, "Returns"]), &["updateGroupName"]).await;
    sees(&|group| group["title"] == "Returns").await;
    let data = vendor.calls("groups.getGroupData", json!([chat]), &keys::GROUP).await;
    assert_eq!(
        (&data["subject"], &data["allowParticipantsSendMessages"]),
        (&json!("Returns"), &json!(false))
    );
    let with = json!([chat, boris]);
    vendor.calls("groups.addGroupParticipant", with.clone(), &["addParticipant"]).await;
    sees(&|group| group["members"][&boris] == "ChatParticipant").await;
    vendor.calls("groups.setGroupAdmin", with.clone(), &["setGroupAdmin"]).await;
    sees(&|group| group["members"][&boris] == "ChatParticipantAdmin").await;
    vendor.calls("groups.removeAdmin", with.clone(), &["removeAdmin"]).await;
    sees(&|group| group["members"][&boris] == "ChatParticipant").await;
    vendor.calls("groups.removeGroupParticipant", with, &["removeParticipant"]).await;
    sees(&|group| group["members"][&boris].is_null()).await;
    let keys = ["setGroupPicture", "urlAvatar", "reason"];
    vendor.calls("groups.setGroupPicture", json!([chat, room.picture]), &keys).await;
    let photo = json!(sha256(&jpeg()));
    sees(&|group| group["photo"] == photo).await;
    vendor.calls("groups.leaveGroup", json!([chat]), &["leaveGroup"]).await;
    let me = room.own.id.to_string();
    sees(&|group| group["members"][&me].is_null()).await;
}

/// Buttons, lists, statuses and calls are another messenger's: each is refused, and nothing is queued.
async fn cannot(room: &Room, vendor: &mut Vendor) {
    let anna = room.anna.id.to_string();
    let buttons = json!([{"buttonId": "1", "buttonText": "Yes"}]);
    for (method, with) in [
        ("sending.sendButtons", json!([anna, "Tea?", buttons])),
        ("sending.sendTemplateButtons", json!([anna, "Tea?", []])),
        ("sending.sendListMessage", json!([anna, "Tea?", "Choose", []])),
        ("sending.sendInteractiveButtons", json!([anna, "Tea?", []])),
        ("sending.sendInteractiveButtonsReply", json!([anna, "Tea?", []])),
        ("journals.lastIncomingCalls", json!([])),
        ("journals.lastOutgoingCalls", json!([])),
        ("serviceMethods.setDisappearingChat", json!([anna, 0])),
        ("account.getStatusInstance", json!([])),
        ("account.getStateInstanceHistory", json!([])),
        ("statuses.sendTextStatus", json!(["hello"])),
        ("statuses.getIncomingStatuses", json!([])),
        ("statuses.getOutgoingStatuses", json!([])),
    ] {
        vendor.lacks(method, with).await;
    }
    assert_eq!(room.program.get("getMessagesCount").await["count"], 0);
}
