//! How the Bot API shows users, chats and messages (core.telegram.org/bots/api#available-types).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use grammers_tl_types as tl;
use serde_json::{Map, Value, json};
use tl::enums::{MessageEntity, MessageMedia};

use super::keyboard::markup_json;
use crate::world::state::State;

/// `User`.
pub(crate) fn user_json(state: &State, id: i64, with_language: bool) -> Value {
    let mut shown = Map::new();
    shown.insert("id".to_owned(), json!(id));
    let user = state.users.user(id);
    shown.insert("is_bot".to_owned(), json!(user.is_some_and(|user| user.bot.is_some())));
    name(state, id, &mut shown);
    if with_language && let Some(language) = user.and_then(|user| user.language.as_ref()) {
        shown.insert("language_code".to_owned(), json!(language));
    }
    Value::Object(shown)
}

/// `Chat` with a user.
pub(crate) fn chat_json(state: &State, id: i64) -> Value {
    let mut shown = Map::new();
    shown.insert("id".to_owned(), json!(id));
    name(state, id, &mut shown);
    shown.insert("type".to_owned(), json!("private"));
    Value::Object(shown)
}

fn name(state: &State, id: i64, shown: &mut Map<String, Value>) {
    let user = state.users.user(id).filter(|user| !user.deactivated);
    shown.insert("first_name".to_owned(), json!(user.map_or("", |user| &user.first_name)));
    let Some(user) = user else { return };
    if let Some(last_name) = user.last_name.as_ref().filter(|name| !name.is_empty()) {
        shown.insert("last_name".to_owned(), json!(last_name));
    }
    if let Some(username) = &user.username {
        shown.insert("username".to_owned(), json!(username));
    }
}

/// `Message`, as it lies in a bot's box.
pub(crate) fn message_json(state: &State, bot: i64, message: &tl::types::Message) -> Value {
    let mut shown = bare_message(state, bot, message);
    if let Some(tl::enums::MessageReplyHeader::Header(header)) = &message.reply_to
        && let Some(answered) = header.reply_to_msg_id.and_then(|id| state.message(bot, id))
    {
        let answered = bare_message(state, bot, answered);
        shown.insert("reply_to_message".to_owned(), Value::Object(answered));
    }
    Value::Object(shown)
}

fn bare_message(state: &State, bot: i64, message: &tl::types::Message) -> Map<String, Value> {
    let chat = peer_id(&message.peer_id);
    let from = if message.out { bot } else { chat };
    let mut shown = Map::new();
    let mut put = |name: &str, value: Value| shown.insert(name.to_owned(), value);
    put("message_id", json!(message.id));
    put("from", user_json(state, from, !message.out));
    put("chat", chat_json(state, chat));
    put("date", json!(message.date));
    if let Some(date) = message.edit_date {
        put("edit_date", json!(date));
    }
    if let Some(album) = message.grouped_id {
        put("media_group_id", json!(album.to_string()));
    }
    if let Some(via) = message.via_bot_id {
        put("via_bot", user_json(state, via, false));
    }
    if let Some(tl::enums::MessageFwdHeader::Header(from)) = &message.fwd_from {
        let origin = match &from.from_id {
            Some(peer) => {
                json!({ "type": "user", "sender_user": user_json(state, peer_id(peer), false), "date": from.date })
            }
            None => json!({ "type": "hidden_user", "sender_user_name": from.from_name, "date": from.date }),
        };
        put("forward_origin", origin);
    }
    let media = message.media.as_ref().and_then(media_json);
    let (text, entities) =
        if media.is_some() { ("caption", "caption_entities") } else { ("text", "entities") };
    if !message.message.is_empty() || media.is_none() {
        put(text, json!(message.message));
        let all = entities_json(state, &message.message, message.entities.as_deref().unwrap_or_default());
        if !all.is_empty() {
            put(entities, Value::Array(all));
        }
    }
    for (name, value) in media.into_iter().flatten() {
        put(name, value);
    }
    if let Some(markup) = message.reply_markup.as_ref().and_then(markup_json) {
        put("reply_markup", markup);
    }
    shown
}

/// Telegram finds commands in texts by itself.
fn entities_json(state: &State, text: &str, entities: &[MessageEntity]) -> Vec<Value> {
    let mut shown: Vec<Value> = entities.iter().filter_map(|entity| entity_json(state, entity)).collect();
    if !entities.iter().any(|entity| matches!(entity, MessageEntity::BotCommand(_))) {
        let place = |(offset, length)| json!({ "type": "bot_command", "offset": offset, "length": length });
        shown.extend(commands(text).into_iter().map(place));
    }
    shown
}

/// Offsets and lengths of `/command` and `/command@bot`, in UTF-16 units.
fn commands(text: &str) -> Vec<(usize, usize)> {
    let mut found = Vec::new();
    let mut offset = 0;
    let mut before = ' ';
    for (at, letter) in text.char_indices() {
        if letter == '/' && before.is_whitespace() {
            let named = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '@';
            let length = text[at + 1..].find(|c| !named(c)).unwrap_or(text.len() - at - 1);
            if (1..=65).contains(&length) {
                found.push((offset, length + 1));
            }
        }
        offset += letter.len_utf16();
        before = letter;
    }
    found
}

fn entity_json(state: &State, entity: &MessageEntity) -> Option<Value> {
    let plain =
        |kind: &str, offset: i32, length: i32| json!({ "type": kind, "offset": offset, "length": length });
    Some(match entity {
        MessageEntity::Mention(e) => plain("mention", e.offset, e.length),
        MessageEntity::Hashtag(e) => plain("hashtag", e.offset, e.length),
        MessageEntity::BotCommand(e) => plain("bot_command", e.offset, e.length),
        MessageEntity::Url(e) => plain("url", e.offset, e.length),
        MessageEntity::Email(e) => plain("email", e.offset, e.length),
        MessageEntity::Bold(e) => plain("bold", e.offset, e.length),
        MessageEntity::Italic(e) => plain("italic", e.offset, e.length),
        MessageEntity::Code(e) => plain("code", e.offset, e.length),
        MessageEntity::Pre(e) => plain("pre", e.offset, e.length),
        MessageEntity::Underline(e) => plain("underline", e.offset, e.length),
        MessageEntity::Strike(e) => plain("strikethrough", e.offset, e.length),
        MessageEntity::Spoiler(e) => plain("spoiler", e.offset, e.length),
        MessageEntity::Blockquote(e) => plain("blockquote", e.offset, e.length),
        MessageEntity::Phone(e) => plain("phone_number", e.offset, e.length),
        MessageEntity::TextUrl(e) => {
            json!({ "type": "text_link", "offset": e.offset, "length": e.length, "url": e.url })
        }
        MessageEntity::MentionName(e) => {
            let user = user_json(state, e.user_id, false);
            json!({ "type": "text_mention", "offset": e.offset, "length": e.length, "user": user })
        }
        _ => return None,
    })
}

fn media_json(media: &MessageMedia) -> Option<Vec<(&'static str, Value)>> {
    match media {
        MessageMedia::Contact(card) => {
            let mut shown = json!({ "phone_number": card.phone_number, "first_name": card.first_name });
            for (name, text) in [("last_name", &card.last_name), ("vcard", &card.vcard)] {
                if !text.is_empty() {
                    shown[name] = json!(text);
                }
            }
            if card.user_id != 0 {
                shown["user_id"] = json!(card.user_id);
            }
            Some(vec![("contact", shown)])
        }
        MessageMedia::Photo(media) => {
            let Some(tl::enums::Photo::Photo(photo)) = &media.photo else { return None };
            Some(vec![("photo", photo_json(photo))])
        }
        MessageMedia::Document(media) => {
            let Some(tl::enums::Document::Document(document)) = &media.document else { return None };
            let (kind, shown) = document_json(document);
            Some(vec![(kind, shown)])
        }
        MessageMedia::Geo(media) => Some(vec![("location", location_json(&media.geo)?)]),
        MessageMedia::GeoLive(media) => {
            let mut shown = location_json(&media.geo)?;
            shown["live_period"] = json!(media.period);
            if let Some(heading) = media.heading {
                shown["heading"] = json!(heading);
            }
            if let Some(radius) = media.proximity_notification_radius {
                shown["proximity_alert_radius"] = json!(radius);
            }
            Some(vec![("location", shown)])
        }
        MessageMedia::Venue(venue) => {
            let location = location_json(&venue.geo)?;
            let mut shown = json!({ "location": location, "title": venue.title, "address": venue.address });
            let provider = if venue.provider == "gplaces" { "google_place" } else { "foursquare" };
            for (name, text) in [("id", &venue.venue_id), ("type", &venue.venue_type)] {
                if !text.is_empty() {
                    shown[format!("{provider}_{name}")] = json!(text);
                }
            }
            Some(vec![("venue", shown), ("location", location)])
        }
        _ => None,
    }
}

fn location_json(place: &tl::enums::GeoPoint) -> Option<Value> {
    let tl::enums::GeoPoint::Point(place) = place else { return None };
    let mut shown = json!({ "latitude": place.lat, "longitude": place.long });
    if let Some(metres) = place.accuracy_radius {
        shown["horizontal_accuracy"] = json!(metres);
    }
    Some(shown)
}

fn photo_json(photo: &tl::types::Photo) -> Value {
    let sizes = photo.sizes.iter().filter_map(|size| match size {
        tl::enums::PhotoSize::Size(size) => Some((size.w, size.h, size.size)),
        tl::enums::PhotoSize::Progressive(size) => {
            Some((size.w, size.h, size.sizes.last().copied().unwrap_or(0)))
        }
        _ => None,
    });
    let shown = |(width, height, bytes): (i32, i32, i32)| {
        json!({
            "file_id": file_id(PHOTO, photo.id, photo.access_hash),
            "file_unique_id": unique_id(photo.id),
            "width": width,
            "height": height,
            "file_size": bytes,
        })
    };
    Value::Array(sizes.map(shown).collect())
}

fn document_json(document: &tl::types::Document) -> (&'static str, Value) {
    let mut shown = json!({
        "file_id": file_id(DOCUMENT, document.id, document.access_hash),
        "file_unique_id": unique_id(document.id),
        "mime_type": document.mime_type,
        "file_size": document.size,
    });
    let mut kind = "document";
    for attribute in &document.attributes {
        match attribute {
            tl::enums::DocumentAttribute::Filename(name) => shown["file_name"] = json!(name.file_name),
            tl::enums::DocumentAttribute::Audio(audio) => {
                kind = if audio.voice { "voice" } else { "audio" };
                shown["duration"] = json!(audio.duration);
            }
            tl::enums::DocumentAttribute::Video(video) => {
                kind = "video";
                shown["duration"] = json!(video.duration);
                shown["width"] = json!(video.w);
                shown["height"] = json!(video.h);
            }
            _ => {}
        }
    }
    (kind, shown)
}

/// First byte of a photo's `file_id`.
pub(crate) const PHOTO: u8 = 1;
/// First byte of a document's `file_id`.
pub(crate) const DOCUMENT: u8 = 2;

/// `file_id`: opaque to bots.
pub(crate) fn file_id(kind: u8, id: i64, access_hash: i64) -> String {
    let mut bytes = vec![kind];
    bytes.extend(id.to_le_bytes());
    bytes.extend(access_hash.to_le_bytes());
    URL_SAFE_NO_PAD.encode(bytes)
}

/// What a `file_id` names: kind, number, access hash.
pub(crate) fn parse_file_id(text: &str) -> Option<(u8, i64, i64)> {
    let bytes: [u8; 17] = URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok()?;
    let (kind, rest) = bytes.split_first()?;
    let (id, rest) = rest.split_first_chunk::<8>()?;
    let hash = rest.first_chunk::<8>()?;
    Some((*kind, i64::from_le_bytes(*id), i64::from_le_bytes(*hash)))
}

pub(crate) fn unique_id(id: i64) -> String {
    URL_SAFE_NO_PAD.encode(id.to_le_bytes())
}

/// Only users exist.
pub(crate) fn peer_id(peer: &tl::enums::Peer) -> i64 {
    match peer {
        tl::enums::Peer::User(user) => user.user_id,
        tl::enums::Peer::Chat(_) | tl::enums::Peer::Channel(_) => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_found_where_telegram_finds_them() {
        assert_eq!(commands("/start"), [(0, 6)]);
        assert_eq!(commands("/start abc /help@my_bot"), [(0, 6), (11, 12)]);
        assert_eq!(commands("\u{1f600} /go!"), [(3, 3)]);
        assert_eq!(commands("1/2 / http://x"), []);
    }

    #[test]
    fn a_file_id_comes_back() {
        let text = file_id(PHOTO, 77, -3);
        assert_eq!(parse_file_id(&text), Some((PHOTO, 77, -3)));
        assert_eq!(parse_file_id("zzz"), None);
    }
}
