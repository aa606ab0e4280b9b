//! Notifications as clients get them: the envelope, and in it the message, its status, or how the instance stands.
//!
//! The connector of 1C gives up at a `typeWebhook` that it does not know, and asks for the same notification for ever.
//! Nothing is told that the instance's settings do not name but a message that will not be sent.

use serde_json::{Value, json};

use super::shape::{self, Sender};
use crate::chat::Person;
use crate::content::{Content, FileKind};
use crate::id::{InstanceId, MessageId};
use crate::instance::CallNews;
use crate::messenger::Account;
use crate::record::{Origin, Quoted, Record};
use crate::standing::Standing;

/// What is the same in all notifications of an instance.
pub(crate) struct Envelope<'a> {
    /// Whose.
    pub(crate) instance: InstanceId,
    /// Its account.
    pub(crate) account: &'a Account,
    /// When it is told: seconds since 1970.
    pub(crate) now_s: i64,
}

/// A message came, or went. `link` is where its file is fetched.
pub(crate) fn message(
    envelope: &Envelope<'_>,
    kind: &'static str,
    record: &Record,
    link: Option<&str>,
) -> Value {
    let mut body = opened(envelope, kind, record.date_s, Some(record.id));
    body["senderData"] = sender_of(envelope, record);
    body["messageData"] = message_data(record, link);
    body
}

/// A message is another one now: `record`. `id` is the change's own number, as of a message.
pub(crate) fn edited(
    envelope: &Envelope<'_>,
    kind: &'static str,
    id: MessageId,
    record: &Record,
    link: Option<&str>,
) -> Value {
    let mut data = json!({"textMessage": record.content.words(), "stanzaId": record.id.to_string()});
    if let Content::File { caption, .. } = &record.content {
        data["caption"] = caption.clone().into();
        data["downloadUrl"] = link.unwrap_or_default().into();
    }
    let mut body = opened(envelope, kind, record.edited_s.unwrap_or(envelope.now_s), Some(id));
    body["senderData"] = sender_of(envelope, record);
    body["messageData"] = json!({"typeMessage": "editedMessage", "editedMessageData": data});
    body
}

/// A message is gone. `id` is the change's own number, as of a message.
pub(crate) fn deleted(envelope: &Envelope<'_>, kind: &'static str, id: MessageId, record: &Record) -> Value {
    let gone = json!({"stanzaId": record.id.to_string()});
    let mut body = opened(envelope, kind, record.deleted_s.unwrap_or(envelope.now_s), Some(id));
    body["senderData"] = sender_of(envelope, record);
    body["messageData"] = json!({"typeMessage": "deletedMessage", "deletedMessageData": gone});
    body
}

/// Somebody's reaction to a message. `id` is the reaction's own number, as of a message.
pub(crate) fn reaction(
    envelope: &Envelope<'_>,
    id: MessageId,
    emoji: &str,
    sender: Option<&Person>,
    record: &Record,
) -> Value {
    let quoted = Quoted {
        tg_id: record.tg_id.unwrap_or_default(),
        message: Some(record.id),
        participant: record.sender.as_ref().map(|sender| sender.id).or(envelope.account.id),
        content: Some(Box::new(record.content.clone())),
    };
    let mut body = opened(envelope, "incomingMessageReceived", envelope.now_s, Some(id));
    body["senderData"] = sender_data(record, &Sender::of(envelope.account, sender));
    body["messageData"] = json!({
        "typeMessage": "reactionMessage",
        "extendedTextMessageData": {"text": emoji},
        "quotedMessage": shape::quoted(&quoted),
    });
    body
}

/// How far a message came: `sent`, `delivered`, `read`, `failed`.
pub(crate) fn status(envelope: &Envelope<'_>, record: &Record, status: &str) -> Value {
    let mut body = opened(envelope, "outgoingMessageStatus", envelope.now_s, Some(record.id));
    body["chatId"] = shape::chat_id(record).into();
    body["status"] = status.into();
    body["sendByApi"] = (record.origin == Origin::Api).into();
    if let Some(failure) = &record.failure {
        body["description"] = failure.clone().into();
    }
    body
}

/// How the instance stands now.
pub(crate) fn standing(envelope: &Envelope<'_>, standing: Standing) -> Value {
    let mut body = opened(envelope, "stateInstanceChanged", envelope.now_s, None);
    body["stateInstance"] = standing.as_str().into();
    body
}

/// A call to the line: who calls (a chat's number, or a phone number with `@c.us`), what becomes of it, and whose line it
/// is. Its number stands where a message has its own.
pub(crate) fn call(envelope: &Envelope<'_>, call: &CallNews, status: &str) -> Value {
    let mut body = opened(envelope, "incomingCall", envelope.now_s, None);
    body["idMessage"] = call.id.clone().into();
    body["from"] = call.from.clone().into();
    body["status"] = status.into();
    body["lineId"] = call.line.clone().into();
    body
}

/// What every notification begins with.
fn opened(envelope: &Envelope<'_>, kind: &str, at_s: i64, id: Option<MessageId>) -> Value {
    let mut body = json!({
        "typeWebhook": kind,
        "instanceData": {
            "idInstance": envelope.instance.get(),
            "wid": shape::wid(envelope.account),
            "typeInstance": "telegram",
        },
        "timestamp": at_s,
    });
    if let Some(id) = id {
        body["idMessage"] = id.to_string().into();
    }
    body
}

fn sender_of(envelope: &Envelope<'_>, record: &Record) -> Value {
    sender_data(record, &Sender::of(envelope.account, record.sender.as_ref()))
}

fn sender_data(record: &Record, sender: &Sender) -> Value {
    json!({
        "chatId": shape::chat_id(record),
        "chatType": record.chat_kind.as_str(),
        "sender": sender.id,
        "chatName": record.chat_title,
        "senderName": sender.name,
        "senderType": sender.kind,
        "senderContactName": sender.contact_name,
        "senderPhoneNumber": sender.phone,
    })
}

/// A message, by its kind.
fn message_data(record: &Record, link: Option<&str>) -> Value {
    let kind = shape::type_message(&record.content, record.quoted.is_some());
    let (key, mut data) = match &record.content {
        Content::Text { text, .. } if kind == "extendedTextMessage" => {
            ("extendedTextMessageData", extended(text, record.quoted.as_ref()))
        }
        Content::Text { text, .. } => ("textMessageData", json!({"textMessage": text})),
        Content::File { file, caption, .. } => {
            let mut data = json!({
                "downloadUrl": link.unwrap_or_default(),
                "caption": caption,
                "fileName": file.name,
                "jpegThumbnail": file.thumbnail.clone().unwrap_or_default(),
                "mimeType": file.mime,
            });
            if file.kind == FileKind::Sticker {
                data["isAnimated"] = (!file.mime.starts_with("image/")).into();
            }
            ("fileMessageData", data)
        }
        Content::Location(place) => (
            "locationMessageData",
            json!({
                "nameLocation": place.name,
                "address": place.address,
                "latitude": place.latitude,
                "longitude": place.longitude,
                "jpegThumbnail": "",
            }),
        ),
        Content::Contact(card) => (
            "contactMessageData",
            json!({"displayName": shape::display_name(card), "vcard": shape::vcard(card)}),
        ),
        Content::Poll(poll) => {
            let mut data = shape::poll(poll);
            data["stanzaId"] = record.id.to_string().into();
            ("pollMessageData", data)
        }
        Content::Other { what } => ("textMessageData", json!({"textMessage": what})),
    };
    data["isForwarded"] = record.is_forwarded.into();
    data["forwardingScore"] = i32::from(record.is_forwarded).into();
    let mut message = json!({"typeMessage": kind, key: data});
    if let Some(quoted) = &record.quoted {
        message["quotedMessage"] = shape::quoted(quoted);
    }
    message
}

fn extended(text: &str, quoted: Option<&Quoted>) -> Value {
    let mut data =
        json!({"text": text, "description": "", "title": "", "jpegThumbnail": "", "previewType": "None"});
    if let Some(quoted) = quoted {
        let shown = shape::quoted(quoted);
        data["stanzaId"] = shown["stanzaId"].clone();
        data["participant"] = shown["participant"].clone();
    }
    data
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::{ChatId, ChatKind, PersonKind};
    use crate::content::{Attachment, Place, Poll, VCard};
    use crate::record::{Direction, SendStatus};

    #[test]
    fn a_text_comes_in_the_documented_envelope() {
        let record = incoming(text("Привет"));
        assert_eq!(
            told(&record),
            json!({
                "typeWebhook": "incomingMessageReceived",
                "instanceData": {
                    "idInstance": 4_100_000_001_i64, "wid": "79000000000@c.us", "typeInstance": "telegram",
                },
                "timestamp": 1_763_115_112,
                "idMessage": "1763115112345",
                "senderData": {
                    "chatId": "10000000", "chatType": "user", "sender": "10000000", "chatName": "Анна Б",
                    "senderName": "Анна Б", "senderType": "user", "senderContactName": "Анна, бухгалтерия",
                    "senderPhoneNumber": 79_000_000_001_i64,
                },
                "messageData": {
                    "typeMessage": "textMessage",
                    "textMessageData": {"textMessage": "Привет", "isForwarded": false, "forwardingScore": 0},
                },
            })
        );
    }

    #[test]
    fn every_kind_of_message_has_its_data() {
        let file = |kind: FileKind, mime: &str| Content::File {
            file: Attachment {
                is_plain: false,
                kind,
                name: "a.bin".to_owned(),
                mime: mime.to_owned(),
                size: 7,
                stored: Some("key".to_owned()),
                url: None,
                remote: None,
                thumbnail: Some("AAAA".to_owned()),
            },
            more: Vec::new(),
            left_out: Vec::new(),
            caption: "word".to_owned(),
            entities: Vec::new(),
        };
        let place =
            Place {
                latitude: 55.75, longitude: 37.61, name: "Кремль".to_owned(), address: String::new()
            };
        let card = VCard {
            phone: "+79991234567".to_owned(),
            first_name: "Anna".to_owned(),
            last_name: "B; C".to_owned(),
            company: String::new(),
            vcard: String::new(),
        };
        let poll = Poll {
            question: "Tea?".to_owned(),
            options: vec!["Yes".to_owned(), "No".to_owned()],
            is_multiple: true,
            is_anonymous: false,
        };
        for (content, kind, key, field, value) in [
            (text("a"), "textMessage", "textMessageData", "textMessage", json!("a")),
            (
                text("see HTTPS://example.org"),
                "extendedTextMessage",
                "extendedTextMessageData",
                "text",
                json!("see HTTPS://example.org"),
            ),
            (
                file(FileKind::Image, "image/jpeg"),
                "imageMessage",
                "fileMessageData",
                "downloadUrl",
                json!(LINK),
            ),
            (file(FileKind::Video, "video/mp4"), "videoMessage", "fileMessageData", "caption", json!("word")),
            (
                file(FileKind::Document, "text/plain"),
                "documentMessage",
                "fileMessageData",
                "fileName",
                json!("a.bin"),
            ),
            (
                file(FileKind::Audio, "audio/ogg"),
                "audioMessage",
                "fileMessageData",
                "mimeType",
                json!("audio/ogg"),
            ),
            (
                file(FileKind::Sticker, "image/webp"),
                "stickerMessage",
                "fileMessageData",
                "jpegThumbnail",
                json!("AAAA"),
            ),
            (Content::Location(place), "locationMessage", "locationMessageData", "latitude", json!(55.75)),
            (
                Content::Contact(card),
                "contactMessage",
                "contactMessageData",
                "vcard",
                json!(
                    "BEGIN:VCARD\nVERSION:3.0\nN:B\\; C;Anna;;;\nFN:Anna B\\; C\nTEL;TYPE=CELL:+79991234567\nEND:VCARD"
                ),
            ),
            (
                Content::Poll(poll),
                "pollMessage",
                "pollMessageData",
                "options",
                json!([{"optionName": "Yes"}, {"optionName": "No"}]),
            ),
        ] {
            let mut record = incoming(content);
            record.is_forwarded = true;
            let body = told(&record);
            let message = &body["messageData"];
            assert_eq!(message["typeMessage"], kind);
            assert_eq!(message[key][field], value, "{message}");
            assert_eq!(message[key]["isForwarded"], true, "{message}");
            let item = journal(&record);
            assert_eq!((&item["typeMessage"], &item["type"]), (&json!(kind), &json!("incoming")), "{item}");
        }
    }

    #[test]
    fn an_answer_carries_what_it_answers() {
        let mut record = incoming(text("yes"));
        record.quoted = Some(Quoted {
            tg_id: 42,
            message: None,
            participant: Some(ChatId(7)),
            content: Some(Box::new(text("tea?"))),
        });
        let quoted = json!({
            "stanzaId": "42", "participant": "7", "typeMessage": "textMessage", "textMessage": "tea?",
        });
        let body = told(&record);
        assert_eq!(body["messageData"]["typeMessage"], "extendedTextMessage");
        assert_eq!(body["messageData"]["extendedTextMessageData"]["stanzaId"], "42");
        assert_eq!(body["messageData"]["quotedMessage"], quoted);
        assert_eq!(journal(&record)["quotedMessage"], quoted);
    }

    #[test]
    fn changes_of_a_message_name_it() {
        let mut record = incoming(text("now"));
        record.edited_s = Some(1_763_115_200);
        let id = MessageId::new(1_763_115_200_000);
        let incoming = "incomingMessageReceived";
        let edited = with_envelope(|envelope| edited(envelope, incoming, id, &record, None));
        assert_eq!(edited["typeWebhook"], "incomingMessageReceived");
        assert_eq!(
            (&edited["idMessage"], &edited["timestamp"]),
            (&json!("1763115200000"), &json!(1_763_115_200))
        );
        assert_eq!(
            edited["messageData"],
            json!({
                "typeMessage": "editedMessage",
                "editedMessageData": {"textMessage": "now", "stanzaId": "1763115112345"},
            })
        );
        let deleted = with_envelope(|envelope| deleted(envelope, incoming, id, &record));
        assert_eq!(
            deleted["messageData"],
            json!({"typeMessage": "deletedMessage", "deletedMessageData": {"stanzaId": "1763115112345"}})
        );
        let sender = person();
        let reaction = with_envelope(|envelope| reaction(envelope, id, "👍", Some(&sender), &record));
        assert_eq!(reaction["messageData"]["typeMessage"], "reactionMessage");
        assert_eq!(reaction["messageData"]["extendedTextMessageData"]["text"], "👍");
        assert_eq!(reaction["messageData"]["quotedMessage"]["stanzaId"], "1763115112345");
        assert_eq!(reaction["senderData"]["senderPhoneNumber"], 79_000_000_001_i64);
        let item = journal(&record);
        assert_eq!((&item["isEdited"], &item["editedMessageId"]), (&json!(true), &json!("1763115112345")));
    }

    #[test]
    fn what_was_sent_is_told_by_who_sent_it_and_how_far_it_came() {
        let mut record = incoming(text("out"));
        (record.direction, record.sender) = (Direction::Outgoing, None);
        let sent = with_envelope(|envelope| message(envelope, "outgoingMessageReceived", &record, None));
        assert_eq!(sent["typeWebhook"], "outgoingMessageReceived");
        assert_eq!(sent["senderData"]["sender"], "555");
        assert_eq!(sent["senderData"]["senderName"], "Организация");
        record.origin = Origin::Api;
        record.failure = Some("nobody has this number".to_owned());
        (record.chat, record.address) = (None, "+79991234567".to_owned());
        let failed = with_envelope(|envelope| status(envelope, &record, "failed"));
        for (key, value) in [
            ("typeWebhook", json!("outgoingMessageStatus")),
            ("chatId", json!("79991234567@c.us")),
            ("status", json!("failed")),
            ("sendByApi", json!(true)),
            ("description", json!("nobody has this number")),
            ("idMessage", json!("1763115112345")),
            ("timestamp", json!(9)),
        ] {
            assert_eq!(failed[key], value, "{key}");
        }
        let item = journal(&record);
        assert_eq!((&item["statusMessage"], &item["sendByApi"]), (&json!("sent"), &json!(true)));
    }

    #[test]
    fn a_state_is_told_with_its_word() {
        let state = with_envelope(|envelope| standing(envelope, Standing::PendingPassword));
        assert_eq!(state["stateInstance"], "pendingPassword");
        assert_eq!(state["typeWebhook"], "stateInstanceChanged");
        assert_eq!(state.get("idMessage"), None);
    }

    const LINK: &str = "https://example.org/files/5ec/a.bin";

    fn told(record: &Record) -> Value {
        let link = matches!(record.content, Content::File { .. }).then_some(LINK);
        with_envelope(|envelope| message(envelope, "incomingMessageReceived", record, link))
    }

    fn journal(record: &Record) -> Value {
        with_envelope(|envelope| shape::journal(envelope.account, record, None))
    }

    fn with_envelope<T>(show: impl Fn(&Envelope<'_>) -> T) -> T {
        let account = Account {
            id: Some(ChatId(555)),
            phone: "79000000000".to_owned(),
            name: "Организация".to_owned(),
            username: None,
        };
        let instance = InstanceId::new(4_100_000_001).unwrap();
        show(&Envelope { instance, account: &account, now_s: 9 })
    }

    fn incoming(content: Content) -> Record {
        Record {
            id: MessageId::new(1_763_115_112_345),
            direction: Direction::Incoming,
            origin: Origin::Peer,
            chat: Some(ChatId(10_000_000)),
            address: String::new(),
            chat_kind: ChatKind::User,
            chat_title: "Анна Б".to_owned(),
            tg_id: Some(5),
            date_s: 1_763_115_112,
            sender: Some(person()),
            content,
            quoted: None,
            is_forwarded: false,
            is_silent: false,
            status: SendStatus::Sent,
            failure: None,
            reason: None,
            edited_s: None,
            deleted_s: None,
        }
    }

    fn person() -> Person {
        Person {
            id: ChatId(10_000_000),
            kind: PersonKind::User,
            name: "Анна Б".to_owned(),
            contact_name: Some("Анна, бухгалтерия".to_owned()),
            username: None,
            phone: Some("79000000001".to_owned()),
        }
    }

    fn text(text: &str) -> Content {
        Content::plain(text)
    }
}
