//! `telegram-api-client-python`, in both its halves: every method, from a login to a logout.

use serde_json::{Value, json};
use tgtrunk_test_telegram::canary::PASSWORD;

use crate::keys;
use crate::room::{ANNA, BORIS, LETTER, Room, jpeg, sha256};
use crate::support::COMPANY;
use crate::vendor::{Vendor, python};
use crate::witness::Person;

#[tokio::test(flavor = "multi_thread")]
async fn every_method_does_what_it_says() {
    let mut story = Story::begin(false).await;
    story.tell().await;
    assert_eq!(story.vendor.untried(), NEVER_CALLED, "methods that nobody tries");
    assert_eq!(story.vendor.tried(), 49);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_asynchronous_method_does_what_it_says() {
    let mut story = Story::begin(true).await;
    story.tell().await;
    assert_eq!(story.vendor.untried(), NEVER_CALLED, "methods that nobody tries");
    assert_eq!(story.vendor.tried(), 49);
}

/// A loop of the client over methods that are called here one by one, which its bot runs.
const NEVER_CALLED: [&str; 2] =
    ["webhooks.startReceivingNotifications", "webhooks.stopReceivingNotifications"];

/// The client at work in a room.
struct Story {
    room: Room,
    vendor: Vendor,
    anna: i64,
    boris: i64,
}

impl Story {
    async fn begin(is_async: bool) -> Self {
        let room = Room::open(false).await;
        room.scene.world().set_password(room.scene.company, Some(PASSWORD));
        let mut options = room.options();
        options["package"] = "telegram_api_client_python".into();
        let mut vendor = Vendor::start(python("green_sdk.py").await, &options).await;
        vendor.is_async = is_async;
        let (anna, boris) = (room.anna.id, room.boris.id);
        Self { room, vendor, anna, boris }
    }

    async fn tell(&mut self) {
        self.is_scanned_in().await;
        self.logs_out().await;
        self.logs_in().await;
        self.sets_and_finds().await;
        self.sends().await;
        self.receives().await;
        self.changes_messages_and_chats().await;
        self.leads_a_group().await;
        self.has_pictures().await;
        self.empties_queues().await;
        self.starts_again().await;
        self.logs_out().await;
    }

    async fn call(&mut self, method: &str, with: Value, keys: &[&str]) -> Value {
        self.vendor.calls(method, with, keys).await
    }

    async fn state(&mut self) -> Value {
        self.call("account.getStateInstance", json!([]), &["stateInstance"]).await["stateInstance"].clone()
    }

    async fn until_state(&mut self, wanted: &str) {
        for _ in 0..100 {
            if self.state().await == wanted {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(300)).await;
        }
        panic!("never {wanted}");
    }

    /// By the code that the client shows and a person scans; the account has a password beside.
    async fn is_scanned_in(&mut self) {
        let own = self.room.own.clone();
        assert_eq!(self.state().await, "notAuthorized");
        assert_eq!(own.can("sessions", json!({})).await, 1);
        let shown = self.call("account.qr", json!([]), &["type", "message"]).await;
        assert_eq!(shown["type"], "qrCode", "{shown}");
        own.can("scan", json!({"png": shown["message"]})).await;
        self.until_state("pendingPassword").await;
        self.gives_the_password().await;
    }

    async fn gives_the_password(&mut self) {
        let keys = ["status", "data"];
        let wrong = self.call("account.sendAuthorizationPassword", json!(["no"]), &keys).await;
        assert_eq!((&wrong["status"], &wrong["data"]["reason"]), (&json!(false), &json!("invalid_password")));
        let done = self.call("account.sendAuthorizationPassword", json!([PASSWORD]), &keys).await;
        assert_eq!(done["status"], true, "{done}");
        self.until_state("authorized").await;
        assert_eq!(self.room.own.can("sessions", json!({})).await, 2);
    }

    async fn logs_out(&mut self) {
        let out = self.call("account.logout", json!([]), &["isLogout"]).await;
        assert_eq!(out["isLogout"], true);
        self.room.own.sees("sessions", json!({}), |count| *count == 1).await;
        self.until_state("notAuthorized").await;
    }

    /// By the code that Telegram sends.
    async fn logs_in(&mut self) {
        let keys = ["status", "data"];
        let started = self.call("account.startAuthorization", json!([Room::own_number()]), &keys).await;
        assert_eq!(started["status"], true, "{started}");
        let wrong = self.call("account.sendAuthorizationCode", json!(["00000"]), &keys).await;
        assert_eq!(wrong["status"], false, "{wrong}");
        let code = self.room.code();
        let asked = self.call("account.sendAuthorizationCode", json!([code]), &keys).await;
        assert_eq!(asked["data"]["reason"], "pending_password", "{asked}");
        assert_eq!(self.state().await, "pendingPassword");
        self.gives_the_password().await;
    }

    async fn sets_and_finds(&mut self) {
        let account = self.call("account.getAccountSettings", json!([]), &keys::ACCOUNT).await;
        assert_eq!(
            (&account["phone"], &account["chatId"]),
            (&json!(COMPANY), &json!(self.room.own.id.to_string()))
        );
        let settings = json!([{"incomingWebhook": "yes", "outgoingWebhook": "yes", "delaySendMessagesMilliseconds": 500}]);
        assert_eq!(self.call("account.setSettings", settings, &["saveSettings"]).await["saveSettings"], true);
        let settings = self.call("account.getSettings", json!([]), &keys::SETTINGS).await;
        assert_eq!(
            (&settings["incomingWebhook"], &settings["delaySendMessagesMilliseconds"]),
            (&json!("yes"), &json!(500))
        );
        for (phone, id) in [(ANNA, self.anna), (BORIS, self.boris)] {
            let phone: i64 = phone.parse().unwrap();
            let found = self
                .call("serviceMethods.checkAccount", json!([phone]), &["exist", "chatId", "fromCache"])
                .await;
            assert_eq!((&found["exist"], &found["chatId"]), (&json!(true), &json!(id.to_string())));
        }
    }

    async fn sends(&mut self) {
        let anna = self.anna.to_string();
        let first = self.call("sending.sendMessage", json!([anna, "hello, Anna"]), &["idMessage"]).await;
        self.room.anna_gets(|message| message["text"] == "hello, Anna").await;
        let slow =
            json!({"chatId": anna, "message": "one more", "typingTime": 1000, "typingType": "record_video"});
        self.call("sending.sendMessage", slow, &["idMessage"]).await;
        let is_filming = |update: &Value| update["action"]["_"] == "SendMessageRecordVideoAction";
        self.room.anna.told("UpdateUserTyping", is_filming).await;
        self.room.anna_gets(|message| message["text"] == "one more").await;

        let letter = self.room.letter.clone();
        let with = json!([anna, letter, "письмо.txt", "a letter"]);
        let sent = self.call("sending.sendFileByUpload", with, &["idMessage", "urlFile"]).await;
        assert_eq!(self.room.fetch(&sent["urlFile"]).await, LETTER.as_bytes());
        let got = self.room.anna_gets(|message| message["text"] == "a letter").await;
        let file = json!({"name": "письмо.txt", "mime": "text/plain", "sha256": sha256(LETTER.as_bytes())});
        assert_eq!((&got["media"], &got["file"]), (&json!("MessageMediaDocument"), &file));

        let link = self.uploads_a_picture(&sent["urlFile"]).await;
        let with = json!([anna, link, "picture.jpg", "a picture"]);
        self.call("sending.sendFileByUrl", with, &["idMessage"]).await;
        let got = self.room.anna_gets(|message| message["text"] == "a picture").await;
        assert_eq!(got["media"], "MessageMediaPhoto", "{got}");
        assert_eq!(got["file"]["sha256"], sha256(&jpeg()));

        let place = json!([anna, 55.75, 37.61]);
        self.call("sending.sendLocation", place, &["idMessage"]).await;
        let got = self.room.anna_gets(|message| !message["place"].is_null()).await;
        assert_eq!(got["place"], json!({"lat": 55.75, "long": 37.61, "title": null, "address": null}));

        let card = json!({"phoneContact": 79_001_234_567_i64, "firstName": "Vera", "lastName": "Orlova"});
        self.call("sending.sendContact", json!([anna, card]), &["idMessage"]).await;
        let got = self.room.anna_gets(|message| !message["contact"].is_null()).await;
        let card = json!({"phone": "79001234567", "first_name": "Vera", "last_name": "Orlova"});
        assert_eq!(got["contact"], card);

        let poll = json!({
            "chatId": anna, "message": "Tea?", "options": [{"optionName": "Yes"}, {"optionName": "No"}],
            "multipleAnswers": true, "isAnonymous": false,
        });
        self.call("sending.sendPoll", poll, &["idMessage"]).await;
        let got = self.room.anna_gets(|message| !message["poll"].is_null()).await;
        let poll = json!({"question": "Tea?", "answers": ["Yes", "No"], "multiple": true, "public": true});
        assert_eq!(got["poll"], poll);

        let texts = |lines: &Value| -> Vec<String> {
            let kinds = lines.as_array().unwrap().iter();
            kinds.map(|line| line["typeMessage"].as_str().unwrap().to_owned()).collect()
        };
        let kinds = [
            "pollMessage",
            "contactMessage",
            "locationMessage",
            "imageMessage",
            "documentMessage",
            "textMessage",
            "textMessage",
        ];
        let lines = self.call("journals.lastOutgoingMessages", json!([60]), &keys::LINE).await;
        assert_eq!(texts(&lines), kinds);
        let history = self.call("journals.getChatHistory", json!([anna, 10]), &keys::LINE).await;
        assert_eq!(texts(&history), kinds);
        let one = self.call("journals.getMessage", json!([anna, first["idMessage"]]), &keys::LINE).await;
        assert_eq!((&one["textMessage"], &one["idMessage"]), (&json!("hello, Anna"), &first["idMessage"]));
    }

    /// Uploads a picture; the asynchronous half fails before it sends anything, so that what was sent stands in for it.
    async fn uploads_a_picture(&mut self, other: &Value) -> Value {
        let picture = json!([self.room.picture]);
        if self.vendor.is_async {
            let (code, why) = self.vendor.asks("sending.uploadFile", picture.clone()).await;
            assert_eq!(code, None, "a newer client sends: {why} {other}");
            self.vendor.is_async = false;
            let uploaded = self.call("sending.uploadFile", picture, &["urlFile"]).await;
            self.vendor.is_async = true;
            return uploaded["urlFile"].clone();
        }
        let uploaded = self.call("sending.uploadFile", picture, &["urlFile"]).await;
        assert_eq!(self.room.fetch(&uploaded["urlFile"]).await, jpeg());
        uploaded["urlFile"].clone()
    }

    /// Fetches the next notification and deletes it.
    async fn next(&mut self) -> Value {
        let told = self.call("receiving.receiveNotification", json!([]), &["receiptId", "body"]).await;
        let again = self.call("receiving.receiveNotification", json!([]), &["receiptId", "body"]).await;
        assert_eq!(told, again, "it stays until it is deleted");
        let gone = self.call("receiving.deleteNotification", json!([told["receiptId"]]), &["result"]).await;
        assert_eq!(gone["result"], true);
        told["body"].clone()
    }

    async fn until_incoming(&mut self) -> Value {
        for _ in 0..50 {
            let body = self.next().await;
            if body["typeWebhook"] == "incomingMessageReceived" {
                return body;
            }
        }
        panic!("no message is told of");
    }

    async fn receives(&mut self) {
        let (own, anna) = (self.room.own.id, self.room.anna.clone());
        let count =
            self.call("queues.getWebhooksCount", json!([]), &["count"]).await["count"].as_i64().unwrap();
        assert!(count >= 7, "the fate of what was sent: {count}");
        anna.can("send", json!({"chat": own, "text": "good morning"})).await;
        let told = self.until_incoming().await;
        assert_eq!(told["messageData"]["textMessageData"]["textMessage"], "good morning");
        assert_eq!(told["senderData"]["chatId"], self.anna.to_string());
        let contents = "MSwyCg==";
        let last = anna
            .can(
                "send_file",
                json!({"chat": own, "contents": contents, "name": "prices.csv", "caption": "prices"}),
            )
            .await;
        let file = self.until_incoming().await;
        let with = json!([self.anna.to_string(), file["idMessage"]]);
        let link = self.call("receiving.downloadFile", with, &["downloadUrl"]).await;
        assert_eq!(self.room.fetch(&link["downloadUrl"]).await, b"1,2\n");
        let lines = self.call("journals.lastIncomingMessages", json!([60]), &keys::LINE).await;
        assert_eq!(
            (&lines[0]["fileName"], &lines[1]["textMessage"]),
            (&json!("prices.csv"), &json!("good morning"))
        );

        let chat = self.anna.to_string();
        let unread = self.room.own.can("dialogs", json!({})).await[&chat]["unread"].clone();
        assert_eq!(unread, 2);
        self.call("marking.readChat", json!([chat]), &["setRead"]).await;
        let is_last = |update: &Value| update["max_id"] == last;
        anna.told("UpdateReadHistoryOutbox", is_last).await;
        self.room.own.sees("dialogs", json!({}), |all| all[&chat]["unread"] == 0).await;
    }

    async fn changes_messages_and_chats(&mut self) {
        let (own, anna) = (self.room.own.clone(), self.room.anna.clone());
        let chat = anna.id.to_string();
        let sent = self.call("sending.sendMessage", json!([chat, "a mistake"]), &["idMessage"]).await;
        let got = self.room.anna_gets(|message| message["text"] == "a mistake").await;
        let edit = json!([chat, sent["idMessage"], "no mistake"]);
        assert_eq!(self.call("serviceMethods.editMessage", edit, &["idMessage"]).await, sent);
        let changed = self.room.anna_gets(|message| message["text"] == "no mistake").await;
        assert_eq!((&changed["id"], &changed["edited"]), (&got["id"], &json!(true)));
        self.call("serviceMethods.deleteMessage", json!([chat, sent["idMessage"]]), &[]).await;
        self.room.anna_loses(&got["id"]).await;

        let is_archived = async |is: bool| {
            own.sees("dialogs", json!({}), |all| all[&chat]["archived"] == is).await;
        };
        is_archived(false).await;
        self.call("serviceMethods.archiveChat", json!([chat]), &[]).await;
        is_archived(true).await;
        self.call("serviceMethods.unarchiveChat", json!([chat]), &[]).await;
        is_archived(false).await;
        self.call("serviceMethods.sendTyping", json!([chat, 2000]), &[]).await;
        anna.told("UpdateUserTyping", |update| update["action"]["_"] == "SendMessageTypingAction").await;
        for (kind, action) in [
            ("record_voice_note", "RecordAudio"),
            ("upload_voice_note", "UploadAudio"),
            ("record_video_note", "RecordRound"),
            ("upload_video_note", "UploadRound"),
            ("record_video", "RecordVideo"),
            ("upload_video", "UploadVideo"),
            ("upload_photo", "UploadPhoto"),
            ("upload_document", "UploadDocument"),
            ("choose_sticker", "ChooseSticker"),
            ("choose_location", "GeoLocation"),
            ("choose_contact", "ChooseContact"),
        ] {
            self.call("serviceMethods.sendTyping", json!([chat, 1000, kind]), &[]).await;
            let action = format!("SendMessage{action}Action");
            anna.told("UpdateUserTyping", |update| update["action"]["_"] == action.as_str()).await;
        }
    }

    async fn leads_a_group(&mut self) {
        let (own, anna, boris) = (self.room.own.clone(), self.room.anna.clone(), self.room.boris.clone());
        let keys = ["created", "chatId", "groupInviteLink"];
        let made = self.call("groups.createGroup", json!(["Orders", [anna.id.to_string()]]), &keys).await;
        let (chat, id) = (made["chatId"].clone(), made["chatId"].as_str().unwrap().parse::<i64>().unwrap());
        let group = json!({"chat": id});
        let sees = async |whom: &Person, is_wanted: &dyn Fn(&Value) -> bool| {
            whom.sees("group", group.clone(), is_wanted).await
        };
        let seen = sees(&anna, &|group| group["title"] == "Orders").await;
        assert_eq!(seen["members"].as_object().unwrap().len(), 2, "{seen}");
        self.call("groups.updateGroupName", json!([chat, "Returns"]), &["updateGroupName"]).await;
        sees(&anna, &|group| group["title"] == "Returns").await;
        let picture = json!([chat, self.room.picture]);
        let keys = ["setGroupPicture", "urlAvatar", "reason"];
        let set = self.call("groups.setGroupPicture", picture, &keys).await;
        assert_eq!((&set["setGroupPicture"], &set["reason"]), (&json!(true), &Value::Null));
        assert_eq!(self.room.fetch(&set["urlAvatar"]).await, jpeg());
        let photo = json!(sha256(&jpeg()));
        sees(&anna, &|group| group["photo"] == photo).await;

        let him = boris.id.to_string();
        let with = json!([chat, him]);
        self.call("groups.addGroupParticipant", with.clone(), &["addParticipant"]).await;
        sees(&boris, &|group| group["members"][&him] == "ChatParticipant").await;
        self.call("groups.setGroupAdmin", with.clone(), &["setGroupAdmin"]).await;
        sees(&anna, &|group| group["members"][&him] == "ChatParticipantAdmin").await;
        let data = self.call("groups.getGroupData", json!([chat]), &keys::GROUP).await;
        assert_eq!((&data["subject"], &data["owner"]), (&json!("Returns"), &json!(own.id.to_string())));
        let admins = data["participants"].as_array().unwrap().iter().filter(|one| one["isAdmin"] == true);
        assert_eq!(admins.count(), 2, "{data}");
        self.call("groups.removeAdmin", with.clone(), &["removeAdmin"]).await;
        sees(&anna, &|group| group["members"][&him] == "ChatParticipant").await;
        self.call("groups.removeGroupParticipant", with, &["removeParticipant"]).await;
        sees(&anna, &|group| group["members"][&him].is_null()).await;
        self.call("groups.leaveGroup", json!([chat]), &["leaveGroup"]).await;
        let me = own.id.to_string();
        sees(&anna, &|group| group["members"][&me].is_null()).await;
    }

    async fn has_pictures(&mut self) {
        let (own, anna) = (self.room.own.clone(), self.room.anna.clone());
        let her = anna.id.to_string();
        let photo = json!(sha256(&jpeg()));
        let keys = ["setProfilePicture", "urlAvatar", "reason"];
        let set = self.call("account.setProfilePicture", json!([self.room.picture]), &keys).await;
        assert_eq!(set["setProfilePicture"], true, "{set}");
        assert_eq!(self.room.fetch(&set["urlAvatar"]).await, jpeg());
        anna.sees("person", json!({"chat": own.id}), |card| card["photo"] == photo).await;
        let none = self.call("serviceMethods.getAvatar", json!([her]), &["urlAvatar"]).await;
        assert_eq!(none["urlAvatar"], "");
        let picture = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, jpeg());
        anna.can("set_picture", json!({"contents": picture})).await;
        let hers = self.call("serviceMethods.getAvatar", json!([her]), &["urlAvatar"]).await;
        assert_eq!(self.room.fetch(&hers["urlAvatar"]).await, jpeg());
        anna.can("note", json!({"chat": own.id, "first_name": "Company", "last_name": ""})).await;
        own.can("note", json!({"chat": anna.id, "first_name": "Anna", "last_name": "of Orders"})).await;
        let contacts = self.call("serviceMethods.getContacts", json!([]), &keys::CONTACT).await;
        let one = contacts.as_array().unwrap().iter().find(|one| one["chatId"] == her).unwrap();
        assert_eq!(
            (&one["contactName"], &one["phoneNumber"]),
            (&json!("Anna of Orders"), &json!(79_001_112_233_i64))
        );
        let info = self.call("serviceMethods.getContactInfo", json!([her]), &keys::INFO).await;
        assert_eq!(info["contactName"], "Anna of Orders");
        assert_eq!(self.room.fetch(&info["avatar"]).await, jpeg());
    }

    async fn empties_queues(&mut self) {
        let anna = self.anna.to_string();
        let slow = json!([{"delaySendMessagesMilliseconds": 60_000}]);
        self.call("account.setSettings", slow, &["saveSettings"]).await;
        for text in ["never 1", "never 2"] {
            self.call("sending.sendMessage", json!([anna, text]), &["idMessage"]).await;
        }
        assert_eq!(self.call("queues.getMessagesCount", json!([]), &["count"]).await["count"], 2);
        let queue = self.call("queues.showMessagesQueue", json!([]), &keys::QUEUED).await;
        let texts: Vec<&Value> =
            queue.as_array().unwrap().iter().map(|line| &line["body"]["message"]).collect();
        assert_eq!(texts, ["never 1", "never 2"]);
        self.call("queues.clearMessagesQueue", json!([]), &["isCleared"]).await;
        assert_eq!(self.call("queues.getMessagesCount", json!([]), &["count"]).await["count"], 0);
        let fast = json!([{"delaySendMessagesMilliseconds": 500}]);
        self.call("account.setSettings", fast, &["saveSettings"]).await;
        self.call("sending.sendMessage", json!([anna, "afterwards"]), &["idMessage"]).await;
        self.room.anna_gets(|message| message["text"] == "afterwards").await;
        let seen = self.room.anna.can("messages", json!({"chat": self.room.own.id})).await;
        assert!(!seen.to_string().contains("never"), "{seen:#}");

        assert!(self.call("queues.getWebhooksCount", json!([]), &["count"]).await["count"] != 0);
        let cleared = self.call("queues.clearWebhooksQueue", json!([]), &["isCleared", "reason"]).await;
        assert_eq!(cleared["isCleared"], true, "{cleared}");
        assert_eq!(self.call("queues.getWebhooksCount", json!([]), &["count"]).await["count"], 0);
        let again =
            self.call("queues.clearWebhooksQueue", json!([]), &["isCleared", "reason", "leftTime"]).await;
        assert_eq!(again["isCleared"], false, "{again}");
    }

    async fn starts_again(&mut self) {
        let (own, anna) = (self.room.own.clone(), self.room.anna.clone());
        let before =
            (self.call("account.getSettings", json!([]), &keys::SETTINGS).await, self.room.connected());
        self.call("account.reboot", json!([]), &["isReboot"]).await;
        let state = self.state().await;
        assert!(["starting", "authorized"].contains(&state.as_str().unwrap()), "{state}");
        anna.can("send", json!({"chat": own.id, "text": "are you there?"})).await;
        let told = self.until_incoming().await;
        assert_eq!(told["messageData"]["textMessageData"]["textMessage"], "are you there?");
        self.until_state("authorized").await;
        assert_eq!(own.can("sessions", json!({})).await, 2);
        assert!(self.room.connected() > before.1, "its connection is opened anew");
        let settings = self.call("account.getSettings", json!([]), &keys::SETTINGS).await;
        assert_eq!(settings, before.0, "it keeps its settings");
    }
}
