//! Messages and chats as the Bot API tells of them (core.telegram.org/bots/api#message), for the journal.

use serde_json::Value;
use tgtrunk_messages::{
    Attachment, Chat, ChatId, ChatKind, Content, Entity, EntityKind, FileKind, News, Person, PersonKind,
    Place, Poll, Quoted, Received, Sent, VCard,
};

use crate::clock;

/// Files by their fields: what they are, and what they are called and made of if Telegram does not say.
const FILES: [(&str, FileKind, &str, &str); 7] = [
    // A film without sound comes as a document, too.
    ("animation", FileKind::Video, "animation.mp4", "video/mp4"),
    ("video", FileKind::Video, "video.mp4", "video/mp4"),
    ("video_note", FileKind::Video, "video.mp4", "video/mp4"),
    ("audio", FileKind::Audio, "audio.mp3", "audio/mpeg"),
    ("voice", FileKind::Audio, "voice.ogg", "audio/ogg"),
    ("sticker", FileKind::Sticker, "sticker.webp", "image/webp"),
    ("document", FileKind::Document, "file", "application/octet-stream"),
];
/// What people send that has no content of its own here. All else is Telegram's own notice.
const OTHERS: [&str; 8] =
    ["dice", "game", "story", "invoice", "paid_media", "checklist", "giveaway", "giveaway_winners"];

/// What the journal is told of an update, if anything.
pub(crate) fn news(update: &Value, bot: i64) -> Option<News> {
    let update = update.as_object()?;
    let (kind, message) = update.iter().find(|(key, _)| *key != "update_id")?;
    match kind.as_str() {
        "message" | "channel_post" => Some(News::New(Box::new(received(message, bot)?))),
        "edited_message" | "edited_channel_post" => Some(News::Edited(Box::new(received(message, bot)?))),
        _ => None,
    }
}

/// A message; none for a notice of Telegram's own.
fn received(message: &Value, bot: i64) -> Option<Received> {
    let sender = match message.get("sender_chat").and_then(chat) {
        Some(chat) => Some(Person {
            id: chat.id,
            kind: PersonKind::Channel,
            name: chat.title,
            contact_name: None,
            username: chat.username,
            phone: None,
        }),
        None => message.get("from").and_then(person),
    };
    let is_ours = message.pointer("/from/id").and_then(Value::as_i64) == Some(bot);
    let replied = message.get("reply_to_message");
    Some(Received {
        chat: chat(message.get("chat")?)?,
        tg_id: id(message)?,
        sender: sender.filter(|_| !is_ours),
        is_ours,
        date_s: date(&message["date"])?,
        edited_s: date(&message["edit_date"]),
        content: content(message)?,
        quoted: replied.and_then(quoted),
        is_forwarded: message.get("forward_origin").is_some() || message.get("forward_date").is_some(),
        is_silent: false,
        album: message["media_group_id"].as_str().and_then(|album| album.parse().ok()),
    })
}

fn id(message: &Value) -> Option<i32> {
    i32::try_from(message["message_id"].as_i64()?).ok()
}

fn quoted(message: &Value) -> Option<Quoted> {
    let participant = message.pointer("/from/id").and_then(Value::as_i64).map(ChatId);
    Some(Quoted { tg_id: id(message)?, message: None, participant, content: content(message).map(Box::new) })
}

/// A message that was sent just now.
pub(super) fn sent(message: &Value) -> Option<Sent> {
    // That it was sent weighs more than when.
    let now_s = || i64::try_from(clock::unix_ms() / 1000).unwrap_or_default();
    let date_s = date(&message["date"]).unwrap_or_else(now_s);
    Some(Sent { chat: chat(message.get("chat")?)?, tg_id: id(message)?, date_s })
}

/// When something was, in seconds since 1970; the years that Telegram tells end where an i32 does.
fn date(told: &Value) -> Option<i64> {
    told.as_i64().filter(|date_s| (0..=i64::from(i32::MAX)).contains(date_s))
}

/// A chat.
pub(super) fn chat(told: &Value) -> Option<Chat> {
    let kind = match told["type"].as_str()? {
        "private" => ChatKind::User,
        "group" => ChatKind::Group,
        "supergroup" => ChatKind::Supergroup,
        _ => ChatKind::Channel,
    };
    Some(Chat {
        id: ChatId(told["id"].as_i64()?),
        kind,
        title: told["title"].as_str().map_or_else(|| name(told), str::to_owned),
        username: word(told, "username"),
        phone: None,
        is_archived: false,
    })
}

/// Somebody.
pub(super) fn person(told: &Value) -> Option<Person> {
    let kind = if told["is_bot"] == true { PersonKind::Bot } else { PersonKind::User };
    Some(Person {
        id: ChatId(told["id"].as_i64()?),
        kind,
        name: name(told),
        contact_name: None,
        username: word(told, "username"),
        phone: None,
    })
}

fn name(told: &Value) -> String {
    let parts = ["first_name", "last_name"].map(|key| told[key].as_str().unwrap_or_default());
    parts.join(" ").trim().to_owned()
}

/// A text that is not empty.
pub(super) fn word(told: &Value, key: &str) -> Option<String> {
    told[key].as_str().filter(|text| !text.is_empty()).map(str::to_owned)
}

fn content(message: &Value) -> Option<Content> {
    let text = |value: &Value, key: &str| value[key].as_str().unwrap_or_default().to_owned();
    if let Some(said) = message["text"].as_str() {
        let has_preview = message.get("link_preview_options").is_none_or(|told| told["is_disabled"] != true);
        let entities = entities(&message["entities"]);
        let is_link = |entity: &Entity| matches!(entity.kind, EntityKind::Url | EntityKind::TextLink { .. });
        let has_preview = has_preview && entities.iter().any(is_link);
        return Some(Content::Text { text: said.to_owned(), has_preview, entities });
    }
    if let Some(file) = file(message) {
        return Some(Content::File {
            file,
            more: Vec::new(),
            left_out: Vec::new(),
            caption: text(message, "caption"),
            entities: entities(&message["caption_entities"]),
        });
    }
    if let Some(venue) = message.get("venue") {
        return place(&venue["location"], text(venue, "title"), text(venue, "address"));
    }
    if let Some(told) = message.get("location") {
        return place(told, String::new(), String::new());
    }
    if let Some(card) = message.get("contact") {
        return Some(Content::Contact(VCard {
            phone: text(card, "phone_number"),
            first_name: text(card, "first_name"),
            last_name: text(card, "last_name"),
            company: String::new(),
            vcard: text(card, "vcard"),
        }));
    }
    if let Some(poll) = message.get("poll") {
        let options = poll["options"].as_array().map(Vec::as_slice).unwrap_or_default();
        return Some(Content::Poll(Poll {
            question: text(poll, "question"),
            options: options.iter().map(|option| text(option, "text")).collect(),
            is_multiple: poll["allows_multiple_answers"] == true,
            is_anonymous: poll["is_anonymous"] == true,
        }));
    }
    let other = OTHERS.into_iter().find(|what| message.get(*what).is_some())?;
    Some(Content::Other { what: other.to_owned() })
}

fn place(told: &Value, name: String, address: String) -> Option<Content> {
    let (latitude, longitude) = (told["latitude"].as_f64()?, told["longitude"].as_f64()?);
    Some(Content::Location(Place { latitude, longitude, name, address }))
}

fn file(message: &Value) -> Option<Attachment> {
    let attachment = |told: &Value, kind, name: &str, mime: &str| {
        Some(Attachment {
            kind,
            is_plain: false,
            name: word(told, "file_name").unwrap_or_else(|| name.to_owned()),
            mime: word(told, "mime_type").unwrap_or_else(|| mime.to_owned()),
            size: told["file_size"].as_u64().unwrap_or(0),
            stored: None,
            url: None,
            remote: Some(word(told, "file_id")?),
            thumbnail: None,
        })
    };
    if let Some(sizes) = message["photo"].as_array() {
        // The largest stands last.
        return attachment(sizes.last()?, FileKind::Image, "photo.jpg", "image/jpeg");
    }
    let known = FILES.into_iter().find(|(field, ..)| message.get(*field).is_some());
    let (field, kind, name, mime) = known?;
    attachment(&message[field], kind, name, mime)
}

/// How parts of a text look, as far as it is known here.
fn entities(told: &Value) -> Vec<Entity> {
    let one = |entity: &Value| -> Option<Entity> {
        let mut entity = entity.clone();
        if let Some(user) = entity.pointer("/user/id").cloned() {
            entity["user"] = user;
        }
        serde_json::from_value(entity).ok()
    };
    told.as_array().map(Vec::as_slice).unwrap_or_default().iter().filter_map(one).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn heard(rest: Value) -> Option<Received> {
        let mut message = json!({
            "message_id": 7,
            "date": 1_700_000_000,
            "chat": {"id": 5, "type": "private", "first_name": "Anna", "username": "anna_a"},
            "from": {"id": 5, "is_bot": false, "first_name": "Anna", "username": "anna_a"},
        });
        message.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
        match news(&json!({"update_id": 1, "message": message}), 42)? {
            News::New(received) => Some(*received),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_time_beyond_those_of_telegram_is_none() {
        for date in [json!(i64::MAX), json!(i64::MIN), json!(-1), json!("1"), Value::Null] {
            assert_eq!(heard(json!({"text": "a", "date": date})), None, "{date}");
            let edited = heard(json!({"text": "a", "edit_date": date})).unwrap();
            assert_eq!((edited.date_s, edited.edited_s), (1_700_000_000, None), "{date}");
            let told = json!({"message_id": 7, "date": date, "chat": {"id": 5, "type": "private"}});
            let sent = sent(&told).expect("it was sent, whenever that was");
            assert!(sent.date_s > 1_700_000_000, "{date}");
        }
    }

    #[test]
    fn a_text_is_told_with_its_looks_its_writer_and_what_it_answers() {
        let received = heard(json!({
            "text": "Привет @anna",
            "entities": [
                {"type": "bold", "offset": 0, "length": 6},
                {"type": "text_mention", "offset": 7, "length": 5, "user": {"id": 9, "first_name": "B"}},
                {"type": "of tomorrow", "offset": 0, "length": 1},
            ],
            "reply_to_message": {"message_id": 3, "from": {"id": 42}, "text": "before"},
        }))
        .unwrap();
        assert_eq!((received.chat.title.as_str(), received.tg_id, received.is_ours), ("Anna", 7, false));
        let Content::Text { text, entities, .. } = &received.content else { panic!() };
        assert_eq!((text.as_str(), entities.len()), ("Привет @anna", 2));
        assert_eq!(entities[1].kind, EntityKind::TextMention { user: 9 });
        let quoted = received.quoted.unwrap();
        assert_eq!((quoted.tg_id, quoted.participant), (3, Some(ChatId(42))));
    }

    #[test]
    fn files_places_and_cards_are_told_and_notices_are_not() {
        let photo = heard(
            json!({"caption": "x", "photo": [{"file_id": "small"}, {"file_id": "large", "file_size": 9}]}),
        );
        let Content::File { file, caption, .. } = photo.unwrap().content else { panic!() };
        assert_eq!((file.remote.as_deref(), file.size, caption.as_str()), (Some("large"), 9, "x"));
        let voice = heard(json!({"voice": {"file_id": "v", "duration": 1}})).unwrap();
        let Content::File { file, .. } = voice.content else { panic!() };
        assert_eq!((file.kind, file.name.as_str()), (FileKind::Audio, "voice.ogg"));
        let place = json!({"venue": {"location": {"latitude": 1.5, "longitude": 2.5}, "title": "Office", "address": "A"}});
        assert!(matches!(heard(place).unwrap().content, Content::Location(place) if place.name == "Office"));
        let card = heard(json!({"contact": {"phone_number": "+7", "first_name": "B"}})).unwrap();
        assert!(matches!(card.content, Content::Contact(card) if card.phone == "+7"));
        assert!(matches!(heard(json!({"dice": {}})).unwrap().content, Content::Other { .. }));
        assert_eq!(heard(json!({"new_chat_title": "x"})), None);
    }

    #[test]
    fn a_channel_writes_in_its_own_name_and_presses_are_no_messages() {
        let chat = json!({"id": -1005, "type": "channel", "title": "News"});
        let post = json!({"message_id": 1, "date": 1, "chat": chat, "sender_chat": chat, "text": "x"});
        let told = news(&json!({"update_id": 1, "edited_channel_post": post}), 42);
        let Some(News::Edited(post)) = told else { panic!("{told:?}") };
        assert_eq!(post.chat.kind, ChatKind::Channel);
        assert_eq!(post.sender.map(|sender| sender.kind), Some(PersonKind::Channel));
        let press = json!({"update_id": 1, "callback_query": {"id": "1", "message": post_of(5)}});
        assert_eq!(news(&press, 42), None);
    }

    fn post_of(chat: i64) -> Value {
        json!({"message_id": 1, "date": 1, "chat": {"id": chat, "type": "private"}, "text": "x"})
    }
}
