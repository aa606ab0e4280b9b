//! What is sent, as the methods of the Bot API take it (core.telegram.org/bots/api#available-methods).

use std::path::PathBuf;

use serde_json::{Map, Value, json};
use tgtrunk_messages::{Attachment, Content, Entity, EntityKind, Failure, FileKind, Place, Poll, VCard};

use super::failure::refused;
use crate::telegram::Upload;

/// Longest picture that is sent as one (core.telegram.org/bots/api#sendphoto).
const PHOTO_BYTES: u64 = 10 * 1024 * 1024;

/// A method with what it takes.
pub(super) struct Request {
    pub(super) method: &'static str,
    pub(super) params: Map<String, Value>,
    pub(super) files: Vec<Upload>,
}

/// What a content is sent by.
///
/// # Errors
/// It is none that can be sent.
pub(super) fn request(content: &Content, paths: &[PathBuf]) -> Result<Request, Failure> {
    let plain = |method, params: Value| Request { method, params: fields(params), files: Vec::new() };
    Ok(match content {
        Content::Text { text, has_preview, entities } => plain(
            "sendMessage",
            json!({
                "text": text,
                "entities": shown(entities),
                "link_preview_options": {"is_disabled": !has_preview},
            }),
        ),
        Content::File { file, caption, entities, .. } => {
            let path = paths.first().ok_or_else(|| refused("attachment_failed", "the file is not there"))?;
            let (method, field) = method(file);
            let mut params = fields(json!({"caption": caption, "caption_entities": shown(entities)}));
            if field == "document" {
                params.insert("disable_content_type_detection".to_owned(), file.is_plain.into());
            }
            let file = upload(field.to_owned(), file, path);
            Request { method, params, files: vec![file] }
        }
        Content::Location(Place { latitude, longitude, name, address }) => {
            let place = json!({"latitude": latitude, "longitude": longitude});
            if name.is_empty() && address.is_empty() {
                return Ok(plain("sendLocation", place));
            }
            let (title, address) = match (name.is_empty(), address.is_empty()) {
                (true, _) => (address, address),
                (_, true) => (name, name),
                _ => (name, address),
            };
            let mut request = plain("sendVenue", place);
            request.params.insert("title".to_owned(), title.clone().into());
            request.params.insert("address".to_owned(), address.clone().into());
            request
        }
        Content::Contact(card) => plain(
            "sendContact",
            json!({
                "phone_number": card.phone,
                "first_name": card.first_name,
                "last_name": card.last_name,
                "vcard": vcard(card),
            }),
        ),
        Content::Poll(Poll { question, options, is_multiple, is_anonymous }) => {
            let options: Vec<_> = options.iter().map(|text| json!({"text": text})).collect();
            plain(
                "sendPoll",
                json!({
                    "question": question,
                    "options": options,
                    "allows_multiple_answers": is_multiple,
                    "is_anonymous": is_anonymous,
                }),
            )
        }
        Content::Other { what } => {
            return Err(refused("bad_request", format!("a message that is {what} cannot be sent")));
        }
    })
}

/// Several files as one album, of what each of them is alone; as documents if one of them is, or if they are to be
/// `plain`.
///
/// # Errors
/// It is no file.
pub(super) fn album(content: &Content, paths: &[PathBuf], plain: bool) -> Result<Request, Failure> {
    let Content::File { caption, entities, .. } = content else {
        return Err(refused("bad_request", "an album is of files"));
    };
    let (mut media, mut files) = (Vec::new(), Vec::new());
    let kinds: Vec<_> = content.files().map(|file| method(file).1).collect();
    // Telegram mixes pictures and films alone.
    let is_seen = kinds.iter().all(|kind| ["photo", "video"].contains(kind));
    let is_heard = kinds.iter().all(|kind| *kind == "audio");
    let is_plain = plain || !(is_seen || is_heard);
    for (number, (file, path)) in content.files().zip(paths).enumerate() {
        let field = format!("file{number}");
        let kind = if is_plain { "document" } else { method(file).1 };
        let mut one = json!({"type": kind, "media": format!("attach://{field}")});
        if number == 0 {
            one["caption"] = caption.clone().into();
            one["caption_entities"] = shown(entities);
        }
        media.push(one);
        files.push(upload(field, file, path));
    }
    Ok(Request { method: "sendMediaGroup", params: fields(json!({"media": media})), files })
}

/// By what a file is sent, and the field that it is.
fn method(file: &Attachment) -> (&'static str, &'static str) {
    match file.kind {
        _ if file.is_plain => ("sendDocument", "document"),
        FileKind::Image if file.size <= PHOTO_BYTES => ("sendPhoto", "photo"),
        FileKind::Video if file.mime == "video/mp4" => ("sendVideo", "video"),
        FileKind::Audio if ["audio/mpeg", "audio/mp4"].contains(&file.mime.as_str()) => {
            ("sendAudio", "audio")
        }
        _ => ("sendDocument", "document"),
    }
}

fn upload(field: String, file: &Attachment, path: &std::path::Path) -> Upload {
    Upload { field, path: path.to_owned(), name: file.name.clone(), mime: file.mime.clone() }
}

/// How parts of a text look, in Telegram's shape.
pub(super) fn shown(entities: &[Entity]) -> Value {
    let one = |entity: &Entity| {
        let mut told = serde_json::to_value(entity).unwrap_or_default();
        if let EntityKind::TextMention { user } = entity.kind {
            told["user"] = json!({"id": user, "is_bot": false, "first_name": ""});
        }
        told
    };
    entities.iter().map(one).collect()
}

/// A card with what the other fields do not say (RFC 6350).
fn vcard(card: &VCard) -> String {
    if !card.vcard.is_empty() || card.company.is_empty() {
        return card.vcard.clone();
    }
    let clean =
        |text: &str| text.replace('\\', "\\\\").replace(';', "\\;").replace(',', "\\,").replace('\n', " ");
    let [first, last, company] = [&card.first_name, &card.last_name, &card.company].map(|text| clean(text));
    format!(
        "BEGIN:VCARD\nVERSION:3.0\nN:{last};{first};;;\nFN:{}\nTEL:{}\nORG:{company}\nEND:VCARD",
        format!("{first} {last}").trim(),
        card.phone
    )
}

/// The fields of an object.
pub(super) fn fields(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(fields) => fields,
        _ => Map::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(kind: FileKind, mime: &str, size: u64, is_plain: bool) -> Attachment {
        Attachment {
            kind,
            is_plain,
            name: "x".into(),
            mime: mime.into(),
            size,
            stored: None,
            url: None,
            remote: None,
            thumbnail: None,
        }
    }

    #[test]
    fn media_goes_as_what_it_is_and_documents_as_they_are() {
        for (kind, mime, size, is_plain, wanted) in [
            (FileKind::Image, "image/png", 5, false, "sendPhoto"),
            (FileKind::Image, "image/png", PHOTO_BYTES + 1, false, "sendDocument"),
            (FileKind::Image, "image/png", 5, true, "sendDocument"),
            (FileKind::Video, "video/mp4", 5, false, "sendVideo"),
            (FileKind::Video, "video/quicktime", 5, false, "sendDocument"),
            (FileKind::Audio, "audio/mpeg", 5, false, "sendAudio"),
            (FileKind::Audio, "audio/ogg", 5, false, "sendDocument"),
            (FileKind::Document, "application/pdf", 5, false, "sendDocument"),
        ] {
            assert_eq!(method(&file(kind, mime, size, is_plain)).0, wanted, "{mime} {size} {is_plain}");
        }
    }

    #[test]
    fn an_album_names_its_files_and_has_its_word_at_the_first() {
        let content = Content::File {
            file: file(FileKind::Image, "image/png", 5, false),
            more: vec![file(FileKind::Video, "video/mp4", 5, false)],
            left_out: Vec::new(),
            caption: "Два".into(),
            entities: Vec::new(),
        };
        let told = album(&content, &["a".into(), "b".into()], false).unwrap();
        let media = &told.params["media"];
        assert_eq!((&media[0]["type"], &media[0]["caption"]), (&json!("photo"), &json!("Два")));
        assert_eq!((&media[1]["type"], &media[1]["media"]), (&json!("video"), &json!("attach://file1")));
        assert_eq!(told.files.iter().map(|file| file.field.as_str()).collect::<Vec<_>>(), ["file0", "file1"]);
    }

    #[test]
    fn an_album_with_a_file_that_is_a_document_alone_is_of_documents() {
        let kinds = |files: &[Attachment], plain| {
            let content = Content::File {
                file: files[0].clone(),
                more: files[1..].to_vec(),
                left_out: Vec::new(),
                caption: String::new(),
                entities: Vec::new(),
            };
            let paths = vec![PathBuf::from("x"); files.len()];
            let told = album(&content, &paths, plain).unwrap();
            let media = told.params["media"].as_array().unwrap().clone();
            media.iter().map(|one| one["type"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
        };
        let picture = |size| file(FileKind::Image, "image/png", size, false);
        let song = |mime| file(FileKind::Audio, mime, 5, false);
        let film = |mime| file(FileKind::Video, mime, 5, false);
        assert_eq!(kinds(&[picture(5), film("video/mp4")], false), ["photo", "video"]);
        assert_eq!(kinds(&[picture(5), film("video/mp4")], true), ["document", "document"]);
        assert_eq!(kinds(&[picture(5), picture(PHOTO_BYTES + 1)], false), ["document", "document"]);
        assert_eq!(kinds(&[picture(5), film("video/quicktime")], false), ["document", "document"]);
        assert_eq!(kinds(&[song("audio/mpeg"), song("audio/mpeg")], false), ["audio", "audio"]);
        assert_eq!(kinds(&[song("audio/mpeg"), song("audio/ogg")], false), ["document", "document"]);
        assert_eq!(kinds(&[song("audio/mpeg"), picture(5)], false), ["document", "document"]);
    }

    #[test]
    fn a_place_with_a_name_is_a_venue_and_a_mention_names_a_person() {
        let place = |name: &str| {
            Content::Location(Place {
                latitude: 1.0,
                longitude: 2.0,
                name: name.into(),
                address: String::new(),
            })
        };
        assert_eq!(request(&place(""), &[]).unwrap().method, "sendLocation");
        let venue = request(&place("Office"), &[]).unwrap();
        assert_eq!((venue.method, &venue.params["address"]), ("sendVenue", &json!("Office")));
        let mention = Entity { offset: 0, length: 4, kind: EntityKind::TextMention { user: 7 } };
        assert_eq!(shown(&[mention])[0]["user"]["id"], 7);
    }
}
