//! How messages, people and groups look to GREEN-API's clients.

use serde_json::{Map, Value, json};

use crate::chat::{Chat, ChatId, Person, PersonKind};
use crate::content::{Content, FileKind, Poll, VCard, has_link};
use crate::instance::QueueLine;
use crate::messenger::{Account, Found, Group, GroupRights, RightsChange};
use crate::record::{Direction, Origin, Quoted, Record};

/// Something that members of a group may do.
pub(super) struct Right {
    /// Its key.
    pub(super) key: &'static str,
    /// Where it is kept.
    pub(super) place: fn(&GroupRights) -> bool,
    /// Where it is changed.
    pub(super) change: fn(&mut RightsChange) -> &mut Option<bool>,
}

/// All that members of a group may do.
pub(super) const RIGHTS: [Right; 8] = [
    Right {
        key: "allowParticipantsSendMessages",
        place: |rights| rights.send_messages,
        change: |rights| &mut rights.send_messages,
    },
    Right {
        key: "allowParticipantsSendMedia",
        place: |rights| rights.send_media,
        change: |rights| &mut rights.send_media,
    },
    Right {
        key: "allowParticipantsSendPolls",
        place: |rights| rights.send_polls,
        change: |rights| &mut rights.send_polls,
    },
    Right {
        key: "allowParticipantsSendOtherMessages",
        place: |rights| rights.send_other,
        change: |rights| &mut rights.send_other,
    },
    Right {
        key: "allowParticipantsAddWebPagePreviews",
        place: |rights| rights.add_web_page_previews,
        change: |rights| &mut rights.add_web_page_previews,
    },
    Right {
        key: "allowParticipantsEditGroupSettings",
        place: |rights| rights.edit_settings,
        change: |rights| &mut rights.edit_settings,
    },
    Right {
        key: "allowParticipantsAddMembers",
        place: |rights| rights.add_members,
        change: |rights| &mut rights.add_members,
    },
    Right {
        key: "allowParticipantsPinMessages",
        place: |rights| rights.pin_messages,
        change: |rights| &mut rights.pin_messages,
    },
];

/// A message as journals show it.
pub(super) fn journal(account: &Account, record: &Record, link: Option<String>) -> Value {
    let sender = Sender::of(account, record.sender.as_ref());
    let kind = type_message(&record.content, record.quoted.is_some());
    let mut item = json!({
        "type": record.direction.as_str(),
        "idMessage": record.id.to_string(),
        "timestamp": record.date_s,
        "typeMessage": kind,
        "chatId": chat_id(record),
        "chatType": record.chat_kind.as_str(),
        "chatName": record.chat_title,
        "senderId": sender.id,
        "senderName": sender.name,
        "senderContactName": sender.contact_name,
        "senderType": sender.kind,
        "isForwarded": record.is_forwarded,
        "isEdited": record.edited_s.is_some(),
        "isDeleted": record.deleted_s.is_some(),
    });
    let mut put = |key: &str, value: Value| item[key] = value;
    match &record.content {
        Content::Text { text, .. } => {
            put("textMessage", text.clone().into());
            if kind == "extendedTextMessage" {
                put("extendedTextMessage", json!({"text": text, "description": "", "title": ""}));
            }
        }
        Content::File { file, caption, .. } => {
            put("downloadUrl", link.unwrap_or_default().into());
            put("caption", caption.clone().into());
            put("fileName", file.name.clone().into());
            put("mimeType", file.mime.clone().into());
            put("jpegThumbnail", file.thumbnail.clone().unwrap_or_default().into());
        }
        Content::Location(place) => put(
            "location",
            json!({
                "nameLocation": place.name,
                "address": place.address,
                "latitude": place.latitude,
                "longitude": place.longitude,
                "jpegThumbnail": "",
            }),
        ),
        Content::Contact(card) => {
            put("contact", json!({"displayName": display_name(card), "vcard": vcard(card)}));
        }
        Content::Poll(asked) => put("pollMessageData", poll(asked)),
        Content::Other { what } => put("textMessage", what.clone().into()),
    }
    if let Some(said) = &record.quoted {
        put("quotedMessage", quoted(said));
    }
    let id = || Value::from(record.id.to_string());
    if record.edited_s.is_some() {
        put("editedMessageId", id());
    }
    if record.deleted_s.is_some() {
        put("deletedMessageId", id());
    }
    if record.direction == Direction::Outgoing {
        put("statusMessage", record.status.as_str().into());
        put("sendByApi", (record.origin == Origin::Api).into());
        if let Some(failure) = &record.failure {
            put("description", failure.clone().into());
        }
    }
    item
}

/// A line of the outgoing queue, as clients knew it once and as they know it now.
pub(super) fn queue_line(line: &QueueLine) -> Value {
    let body = &line.request;
    let said = |key: &str| body.get(key).cloned().unwrap_or_default();
    let chat = if body.get("chatId").is_some() { said("chatId") } else { said("groupId") };
    let mut shown = json!({
        "messageID": line.id.to_string(),
        "idMessage": line.id.to_string(),
        "type": line.method,
        "typeMessage": type_of_method(&line.method),
        "chatId": chat,
        "body": body,
        "attempts": line.attempts,
        "notBefore": line.not_before_ms / 1000,
    });
    for key in ["message", "urlFile", "fileName", "caption", "latitude", "longitude", "contact", "options"] {
        if let Some(value) = body.get(key) {
            shown[key] = value.clone();
        }
    }
    if let Some(error) = &line.last_error {
        shown["lastError"] = error.clone().into();
    }
    shown
}

fn type_of_method(method: &str) -> &'static str {
    match method {
        "sendFileByUpload" | "sendFileByUrl" => "documentMessage",
        "sendLocation" => "locationMessage",
        "sendContact" => "contactMessage",
        "sendPoll" => "pollMessage",
        _ => "textMessage",
    }
}

/// A contact of the account's.
pub(super) fn contact(person: &Person) -> Value {
    json!({
        "chatId": person.id.to_string(),
        "name": person.name,
        "contactName": person.contact_name.clone().unwrap_or_default(),
        "type": if person.kind == PersonKind::Bot { "bot" } else { "user" },
        "phoneNumber": phone_number(person.phone.as_deref()),
        "username": username(person.username.as_deref()),
    })
}

/// What is known of somebody.
pub(super) fn contact_info(found: &Found, avatar: &str) -> Value {
    let person = &found.person;
    json!({
        "avatar": avatar,
        "name": person.name,
        "contactName": person.contact_name.clone().unwrap_or_default(),
        "chatId": person.id.to_string(),
        "lastSeen": found.last_seen_s.unwrap_or(0),
        "phoneNumber": phone_number(person.phone.as_deref()),
        "username": username(person.username.as_deref()),
        "description": found.about,
    })
}

/// A chat of the account's.
pub(super) fn chat(chat: &Chat) -> Value {
    json!({
        "chatId": chat.id.to_string(),
        "name": chat.title,
        "type": chat.kind.as_str(),
        "phoneNumber": phone_number(chat.phone.as_deref()),
        "username": username(chat.username.as_deref()),
        "archive": chat.is_archived,
    })
}

/// A group, with its members.
pub(super) fn group(group: &Group) -> Value {
    let members = group.members.iter().map(|member| {
        json!({
            "id": member.person.id.to_string(),
            "name": member.person.name,
            "isAdmin": member.is_admin || member.is_owner,
            "isSuperAdmin": member.is_owner,
        })
    });
    let mut shown = json!({
        "chatId": group.chat.id.to_string(),
        "owner": group.owner.map(|owner| owner.to_string()).unwrap_or_default(),
        "subject": group.chat.title,
        "description": group.about,
        "creation": group.created_s,
        "groupInviteLink": group.invite_link,
        "isSupergroup": group.chat.kind == crate::chat::ChatKind::Supergroup,
        "isChannel": group.chat.kind == crate::chat::ChatKind::Channel,
        "participants": members.collect::<Vec<Value>>(),
    });
    let rights = group.rights;
    for right in RIGHTS {
        shown[right.key] = (right.place)(&rights).into();
    }
    shown
}

/// Somebody who wrote, as fields of a message.
pub(super) struct Sender {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) contact_name: String,
    pub(super) kind: &'static str,
    pub(super) phone: i64,
}

impl Sender {
    /// Somebody, or the account itself.
    pub(super) fn of(account: &Account, person: Option<&Person>) -> Self {
        match person {
            Some(person) => Self {
                id: person.id.to_string(),
                name: person.name.clone(),
                contact_name: person.contact_name.clone().unwrap_or_default(),
                kind: person.kind.as_str(),
                phone: phone_number(person.phone.as_deref()),
            },
            None => Self {
                id: account.id.map(|id| id.to_string()).unwrap_or_default(),
                name: account.name.clone(),
                contact_name: String::new(),
                kind: "user",
                phone: phone_number(Some(&account.phone)),
            },
        }
    }
}

/// What kind a message is. A text that has a link, or answers something, is another one than a text.
pub(super) fn type_message(content: &Content, is_quoted: bool) -> &'static str {
    match content {
        Content::Text { text, .. } if is_quoted || has_link(text) => "extendedTextMessage",
        Content::Text { .. } | Content::Other { .. } => "textMessage",
        Content::File { file, .. } => match file.kind {
            FileKind::Image => "imageMessage",
            FileKind::Video => "videoMessage",
            FileKind::Audio => "audioMessage",
            FileKind::Sticker => "stickerMessage",
            FileKind::Document => "documentMessage",
        },
        Content::Location(_) => "locationMessage",
        Content::Contact(_) => "contactMessage",
        Content::Poll(_) => "pollMessage",
    }
}

/// What a message answers.
pub(super) fn quoted(quoted: &Quoted) -> Value {
    let id = quoted.message.map_or_else(|| quoted.tg_id.to_string(), |id| id.to_string());
    let mut shown = Map::new();
    shown.insert("stanzaId".to_owned(), id.into());
    let participant = quoted.participant.map(|id: ChatId| id.to_string()).unwrap_or_default();
    shown.insert("participant".to_owned(), participant.into());
    if let Some(content) = quoted.content.as_deref() {
        shown.insert("typeMessage".to_owned(), type_message(content, false).into());
        match content {
            Content::Text { text, .. } => drop(shown.insert("textMessage".to_owned(), text.clone().into())),
            Content::File { file, caption, .. } => {
                shown.insert("fileName".to_owned(), file.name.clone().into());
                shown.insert("mimeType".to_owned(), file.mime.clone().into());
                shown.insert("caption".to_owned(), caption.clone().into());
            }
            Content::Location(place) => {
                let place = json!({"latitude": place.latitude, "longitude": place.longitude});
                shown.insert("location".to_owned(), place);
            }
            Content::Contact(card) => {
                let card = json!({"displayName": display_name(card), "vcard": vcard(card)});
                shown.insert("contact".to_owned(), card);
            }
            Content::Poll(asked) => drop(shown.insert("pollMessageData".to_owned(), poll(asked))),
            Content::Other { what } => drop(shown.insert("textMessage".to_owned(), what.clone().into())),
        }
    }
    Value::Object(shown)
}

/// A question to be voted on.
pub(super) fn poll(poll: &Poll) -> Value {
    let options: Vec<Value> = poll.options.iter().map(|option| json!({"optionName": option})).collect();
    json!({
        "name": poll.question,
        "options": options,
        "multipleAnswers": poll.is_multiple,
        "isAnonymous": poll.is_anonymous,
    })
}

/// The chat of a message; as the program named it while nobody knows its number.
pub(super) fn chat_id(record: &Record) -> String {
    match (record.chat, record.address.strip_prefix('+')) {
        (Some(chat), _) => chat.to_string(),
        (None, Some(phone)) => format!("{phone}@c.us"),
        (None, None) => record.address.clone(),
    }
}

/// The account's own address.
pub(super) fn wid(account: &Account) -> String {
    if account.phone.is_empty() { String::new() } else { format!("{}@c.us", account.phone) }
}

/// Whose card it is.
pub(super) fn display_name(card: &VCard) -> String {
    let name = format!("{} {}", card.first_name, card.last_name);
    let name = name.trim();
    if name.is_empty() { card.phone.clone() } else { name.to_owned() }
}

/// A card as telephones take it (RFC 2426), where it came without one.
pub(super) fn vcard(card: &VCard) -> String {
    if !card.vcard.is_empty() {
        return card.vcard.clone();
    }
    let plain = |text: &str| {
        let text = text.replace(['\r', '\n'], " ").replace('\\', "\\\\");
        text.replace(',', "\\,").replace(';', "\\;")
    };
    let mut lines = vec![
        "BEGIN:VCARD".to_owned(),
        "VERSION:3.0".to_owned(),
        format!("N:{};{};;;", plain(&card.last_name), plain(&card.first_name)),
        format!("FN:{}", plain(&display_name(card))),
    ];
    if !card.company.is_empty() {
        lines.push(format!("ORG:{}", plain(&card.company)));
    }
    lines.push(format!("TEL;TYPE=CELL:{}", plain(&card.phone)));
    lines.push("END:VCARD".to_owned());
    lines.join("\n")
}

/// A phone number as a number; 0 where nobody shows it.
pub(super) fn phone_number(phone: Option<&str>) -> i64 {
    phone.and_then(|phone| phone.trim_start_matches('+').parse().ok()).unwrap_or(0)
}

fn username(name: Option<&str>) -> String {
    name.map(|name| format!("@{}", name.trim_start_matches('@'))).unwrap_or_default()
}
