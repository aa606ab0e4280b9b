//! Messages, chats and people as programs see them: one shape for whatever asks.

use serde_json::{Map, Value, json};

use super::error::Failed;
use crate::chat::{Chat, ChatId, ChatKind, Person};
use crate::clock;
use crate::content::{Attachment, Content, FileKind};
use crate::instance::Instance;
use crate::messenger::{Dialog, Found, Group};
use crate::outbox;
use crate::record::{Direction, Origin, Record, SendStatus};
use crate::store::Part;

/// All messages at Telegram that a record stands for, as far as they are there.
pub(super) fn messages(instance: &Instance, record: &Record, parts: &[Part]) -> Vec<Value> {
    let contents = outbox::messages(&record.content);
    let is_sent = record.status != SendStatus::Failed;
    let mut shown = Vec::new();
    for (number, content) in contents.iter().enumerate() {
        let part = parts.iter().find(|part| part.number == number);
        let (tg_id, date_s) = match part {
            Some(part) => (Some(part.tg_id), part.date_s),
            None if number == 0 && is_sent => (record.tg_id, record.date_s),
            None => (None, record.date_s),
        };
        if is_sent || tg_id.is_some() {
            let status = if is_sent { record.status } else { SendStatus::Sent };
            let record = Record { tg_id, date_s, status, content: content.clone(), ..record.clone() };
            shown.push(one(instance, &record, number));
        }
    }
    shown
}

/// One message: of one that was sent as several, the first.
pub(super) fn message(instance: &Instance, record: &Record) -> Value {
    let content = match record.origin {
        Origin::Api => outbox::messages(&record.content).swap_remove(0),
        Origin::Device | Origin::Peer => record.content.clone(),
    };
    one(instance, &Record { content, ..record.clone() }, 0)
}

fn one(instance: &Instance, record: &Record, number: usize) -> Value {
    let out = record.direction == Direction::Outgoing;
    let mut shown = json!({
        "message_id": record.tg_id,
        "id_message": record.id.to_string(),
        "chat": {
            "id": record.chat,
            "type": kind(record.chat_kind),
            "title": record.chat_title,
            "username": username(record),
        },
        "date": clock::iso(record.date_s * 1000),
        "date_unix": record.date_s,
        "out": out,
        "from": match &record.sender {
            Some(person) => self::person(person),
            None if out => own(instance),
            None => Value::Null,
        },
        "text": "",
        "entities": [],
        "attachments": [],
        "reply_to_message_id": record
            .quoted
            .as_ref()
            .map(|quoted| quoted.tg_id)
            .filter(|tg_id| number == 0 && *tg_id > 0),
        "forwarded": record.is_forwarded,
        "scheduled": false,
        "silent": record.is_silent,
        "status": record.status.as_str(),
    });
    if let Some(at_s) = record.edited_s {
        shown["edited"] = clock::iso(at_s * 1000).into();
    }
    if let Some(at_s) = record.deleted_s {
        shown["deleted"] = clock::iso(at_s * 1000).into();
    }
    if record.status == SendStatus::Failed {
        shown["error"] = Failed::of_message(record.failure.as_deref(), record.reason.as_ref()).shown();
    }
    match &record.content {
        Content::Text { text, entities, .. } => {
            shown["text"] = text.clone().into();
            shown["entities"] = json!(entities);
        }
        Content::File { file, more, left_out, caption, entities } => {
            if !left_out.is_empty() {
                let left_out = left_out
                    .iter()
                    .map(|file| json!({"item": file.item, "file_name": file.name, "message": file.cause}));
                shown["left_out"] = left_out.collect();
            }
            shown["text"] = caption.clone().into();
            shown["entities"] = json!(entities);
            let files = std::iter::once(file).chain(more);
            shown["attachments"] = files.map(|file| attachment(instance, file)).collect();
        }
        Content::Location(place) => {
            shown["location"] = json!({
                "latitude": place.latitude,
                "longitude": place.longitude,
                "title": place.name,
                "address": place.address,
            });
        }
        Content::Contact(card) => {
            shown["contact"] = json!({
                "phone": card.phone,
                "first_name": card.first_name,
                "last_name": card.last_name,
                "company": card.company,
            });
        }
        Content::Poll(poll) => {
            shown["poll"] = json!({
                "question": poll.question,
                "options": poll.options,
                "multiple": poll.is_multiple,
                "anonymous": poll.is_anonymous,
            });
        }
        Content::Other { what } => shown["other"] = what.clone().into(),
    }
    shown
}

/// The chat's name, as far as the message tells: its writer's, or the one by which a program meant it.
fn username(record: &Record) -> Option<String> {
    let of_writer = record.sender.as_ref().filter(|who| Some(who.id) == record.chat);
    let meant = || record.address.strip_prefix('@').map(str::to_owned);
    of_writer.and_then(|who| who.username.clone()).or_else(meant)
}

fn attachment(instance: &Instance, file: &Attachment) -> Value {
    let kind = match file.kind {
        FileKind::Image => "photo",
        FileKind::Video => "video",
        FileKind::Audio => "audio",
        FileKind::Sticker => "sticker",
        FileKind::Document => "document",
    };
    json!({
        "kind": kind,
        "file_name": file.name,
        "mime": file.mime,
        "size": file.size,
        "download_url": instance.link_of(&Content::file(file.clone(), "")),
    })
}

/// The account itself.
pub(super) fn own(instance: &Instance) -> Value {
    let account = instance.messenger().account();
    json!({
        "id": account.id,
        "name": account.name,
        "username": account.username,
        "phone": phone(Some(account.phone.as_str()).filter(|phone| !phone.is_empty())),
    })
}

fn person(person: &Person) -> Value {
    json!({
        "id": person.id,
        "name": person.name,
        "username": person.username,
        "phone": phone(person.phone.as_deref()),
    })
}

fn phone(digits: Option<&str>) -> Option<String> {
    digits.map(|digits| format!("+{}", digits.trim_start_matches('+')))
}

fn chat(chat: &Chat) -> Map<String, Value> {
    let mut shown = Map::new();
    for (key, value) in [
        ("id", json!(chat.id)),
        ("type", kind(chat.kind).into()),
        ("title", chat.title.clone().into()),
        ("username", json!(chat.username)),
        ("phone", json!(phone(chat.phone.as_deref()))),
    ] {
        shown.insert(key.to_owned(), value);
    }
    shown
}

/// What a chat is, in a program's words.
pub(super) const fn kind(kind: ChatKind) -> &'static str {
    match kind {
        ChatKind::User => "private",
        kind => kind.as_str(),
    }
}

/// A chat of the list, and the message that is its last.
pub(super) fn dialog(instance: &Instance, dialog: &Dialog, last: Option<&Record>) -> Value {
    let mut shown = chat(&dialog.chat);
    shown.insert("archived".to_owned(), dialog.chat.is_archived.into());
    shown.insert("unread".to_owned(), dialog.unread.into());
    shown.insert("last_message".to_owned(), last.map(|record| message(instance, record)).into());
    Value::Object(shown)
}

/// A chat of the journal. What it holds of other people's reading is nothing.
pub(super) fn known_chat(instance: &Instance, known: &Chat, last: &Record) -> Value {
    let mut shown = chat(known);
    shown.insert("archived".to_owned(), false.into());
    shown.insert("unread".to_owned(), Value::Null);
    shown.insert("last_message".to_owned(), message(instance, last));
    Value::Object(shown)
}

/// A person's card.
pub(super) fn profile(found: &Found) -> Value {
    let person = &found.person;
    json!({
        "id": person.id,
        "type": if person.kind.as_str() == "user" { "private" } else { person.kind.as_str() },
        "title": person.name,
        "contact_name": person.contact_name,
        "username": person.username,
        "phone": phone(person.phone.as_deref()),
        "about": found.about,
        "last_seen": found.last_seen_s.map(|at_s| clock::iso(at_s * 1000)),
    })
}

/// The account's own card.
pub(super) fn own_profile(instance: &Instance) -> Value {
    let mut shown = own(instance);
    shown["type"] = "self".into();
    shown["title"] = shown["name"].take();
    if let Some(shown) = shown.as_object_mut() {
        shown.remove("name");
    }
    shown["state"] = instance.standing().as_str().into();
    shown
}

/// A group's card.
pub(super) fn group(group: &Group) -> Value {
    let mut shown = chat(&group.chat);
    shown.remove("phone");
    let members: Vec<_> = group
        .members
        .iter()
        .map(|member| {
            let mut shown = person(&member.person);
            shown["admin"] = member.is_admin.into();
            shown["owner"] = member.is_owner.into();
            shown
        })
        .collect();
    for (key, value) in [
        ("about", json!(group.about)),
        ("owner_id", json!(group.owner.filter(|id| *id != ChatId(0)))),
        ("created", (group.created_s > 0).then(|| clock::iso(group.created_s * 1000)).into()),
        ("invite_link", Some(&group.invite_link).filter(|link| !link.is_empty()).cloned().into()),
        ("members", members.into()),
    ] {
        shown.insert(key.to_owned(), value);
    }
    Value::Object(shown)
}
