//! What hangs on a message, in both directions (core.telegram.org/constructor/message).

use tgtrunk_messages::{Attachment, ChatId, Content, FileKind, Place, Poll, VCard};
use tgtrunk_telegram::tl;

use super::remote::{Kind, Remote};
use super::{entities, thumbnail};

/// What a message of a chat holds.
pub(super) fn of(message: &tl::types::Message, chat: ChatId) -> Content {
    let text = || message.message.clone();
    let entities = || entities::of(message.entities.as_deref());
    let plain = |has_preview| Content::Text { text: text(), has_preview, entities: entities() };
    let place = |geo: &tl::enums::GeoPoint, name: &str, address: &str| match geo {
        tl::enums::GeoPoint::Point(point) => Content::Location(Place {
            latitude: point.lat,
            longitude: point.long,
            name: name.to_owned(),
            address: address.to_owned(),
        }),
        tl::enums::GeoPoint::Empty => Content::Other { what: "geoPointEmpty".to_owned() },
    };
    match &message.media {
        None | Some(tl::enums::MessageMedia::Empty) => plain(false),
        Some(tl::enums::MessageMedia::WebPage(_)) => plain(true),
        Some(tl::enums::MessageMedia::Geo(media)) => place(&media.geo, "", ""),
        Some(tl::enums::MessageMedia::GeoLive(media)) => place(&media.geo, "", ""),
        Some(tl::enums::MessageMedia::Venue(media)) => place(&media.geo, &media.title, &media.address),
        Some(tl::enums::MessageMedia::Contact(media)) => Content::Contact(VCard {
            phone: media.phone_number.clone(),
            first_name: media.first_name.clone(),
            last_name: media.last_name.clone(),
            company: company(&media.vcard),
            vcard: media.vcard.clone(),
        }),
        Some(tl::enums::MessageMedia::Poll(media)) => Content::Poll(poll(&media.poll)),
        Some(media) => match file(media, chat, message.id) {
            Some(file) => Content::File {
                file,
                more: Vec::new(),
                left_out: Vec::new(),
                caption: text(),
                entities: entities(),
            },
            None => other(media, message),
        },
    }
}

fn other(media: &tl::enums::MessageMedia, message: &tl::types::Message) -> Content {
    // What has words is told by them.
    if !message.message.is_empty() {
        return Content::Text {
            text: message.message.clone(),
            has_preview: false,
            entities: entities::of(message.entities.as_deref()),
        };
    }
    let what = match media {
        tl::enums::MessageMedia::Photo(_) => "messageMediaPhoto",
        tl::enums::MessageMedia::Document(_) => "messageMediaDocument",
        tl::enums::MessageMedia::Game(_) => "messageMediaGame",
        tl::enums::MessageMedia::Invoice(_) => "messageMediaInvoice",
        tl::enums::MessageMedia::Dice(_) => "messageMediaDice",
        tl::enums::MessageMedia::Story(_) => "messageMediaStory",
        _ => "messageMediaUnsupported",
    };
    Content::Other { what: what.to_owned() }
}

/// The file of a message; none if it has none, or one that vanished.
pub(super) fn file(media: &tl::enums::MessageMedia, chat: ChatId, tg_id: i32) -> Option<Attachment> {
    match media {
        tl::enums::MessageMedia::Photo(media) => match media.photo.as_ref()? {
            tl::enums::Photo::Photo(photo) => photo_file(photo, chat, tg_id),
            tl::enums::Photo::Empty(_) => None,
        },
        tl::enums::MessageMedia::Document(media) => match media.document.as_ref()? {
            tl::enums::Document::Document(document) => Some(document_file(document, chat, tg_id)),
            tl::enums::Document::Empty(_) => None,
        },
        _ => None,
    }
}

fn photo_file(photo: &tl::types::Photo, chat: ChatId, tg_id: i32) -> Option<Attachment> {
    let (size, bytes) = photo.sizes.iter().filter_map(size).max_by_key(|(_, bytes)| *bytes)?;
    let remote = Remote {
        kind: Kind::Photo,
        dc: photo.dc_id,
        id: photo.id,
        access_hash: photo.access_hash,
        reference: photo.file_reference.clone(),
        size,
        chat,
        tg_id,
    };
    Some(Attachment {
        is_plain: false,
        kind: FileKind::Image,
        name: "photo.jpg".to_owned(),
        mime: "image/jpeg".to_owned(),
        size: bytes,
        stored: None,
        url: None,
        remote: Some(remote.text()),
        thumbnail: thumbnail::of(&photo.sizes),
    })
}

fn document_file(document: &tl::types::Document, chat: ChatId, tg_id: i32) -> Attachment {
    use tl::enums::DocumentAttribute as Attribute;
    let has = |is: fn(&Attribute) -> bool| document.attributes.iter().any(is);
    let mime = document.mime_type.as_str();
    let kind = if has(|attribute| matches!(attribute, Attribute::Sticker(_))) {
        FileKind::Sticker
    } else if has(|attribute| matches!(attribute, Attribute::Video(_) | Attribute::Animated)) {
        FileKind::Video
    } else if has(|attribute| matches!(attribute, Attribute::Audio(_))) {
        FileKind::Audio
    } else {
        FileKind::Document
    };
    let named = document.attributes.iter().find_map(|attribute| match attribute {
        Attribute::Filename(named) => Some(named.file_name.clone()),
        _ => None,
    });
    let end = match mime {
        "video/mp4" => "mp4",
        "audio/ogg" => "ogg",
        "audio/mpeg" => "mp3",
        "image/webp" => "webp",
        "application/x-tgsticker" => "tgs",
        "video/webm" => "webm",
        _ => "bin",
    };
    let stem = match kind {
        FileKind::Sticker => "sticker",
        FileKind::Video => "video",
        FileKind::Audio => "audio",
        FileKind::Image | FileKind::Document => "file",
    };
    let remote = Remote {
        kind: Kind::Document,
        dc: document.dc_id,
        id: document.id,
        access_hash: document.access_hash,
        reference: document.file_reference.clone(),
        size: String::new(),
        chat,
        tg_id,
    };
    Attachment {
        is_plain: false,
        kind,
        name: named.filter(|name| !name.is_empty()).unwrap_or_else(|| format!("{stem}.{end}")),
        mime: mime.to_owned(),
        size: u64::try_from(document.size).unwrap_or(0),
        stored: None,
        url: None,
        remote: Some(remote.text()),
        thumbnail: thumbnail::of(document.thumbs.as_deref().unwrap_or_default()),
    }
}

/// A size that can be fetched, and its bytes.
fn size(size: &tl::enums::PhotoSize) -> Option<(String, u64)> {
    let (word, bytes) = match size {
        tl::enums::PhotoSize::Size(size) => (&size.r#type, size.size),
        tl::enums::PhotoSize::Progressive(size) => {
            (&size.r#type, size.sizes.iter().copied().max().unwrap_or(0))
        }
        tl::enums::PhotoSize::PhotoCachedSize(size) => {
            (&size.r#type, i32::try_from(size.bytes.len()).unwrap_or(0))
        }
        _ => return None,
    };
    Some((word.clone(), u64::try_from(bytes).unwrap_or(0)))
}

/// Where somebody works, by their card (RFC 6350 section 6.6.4).
fn company(vcard: &str) -> String {
    let line = vcard.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        let name = name.split(';').next().unwrap_or_default();
        name.eq_ignore_ascii_case("ORG").then_some(value)
    });
    line.unwrap_or_default().trim().trim_end_matches(';').replace("\\,", ",")
}

fn poll(poll: &tl::enums::Poll) -> Poll {
    let tl::enums::Poll::Poll(poll) = poll;
    let text = |text: &tl::enums::TextWithEntities| {
        let tl::enums::TextWithEntities::Entities(text) = text;
        text.text.clone()
    };
    Poll {
        question: text(&poll.question),
        options: poll.answers.iter().map(|answer| text(&answer.text())).collect(),
        is_multiple: poll.multiple_choice,
        is_anonymous: !poll.public_voters,
    }
}

/// A place as it is sent: with a name where it has one.
pub(super) fn place_to_send(place: &Place) -> tl::enums::InputMedia {
    let geo_point =
        tl::types::InputGeoPoint { lat: place.latitude, long: place.longitude, accuracy_radius: None }.into();
    if place.name.is_empty() && place.address.is_empty() {
        return tl::types::InputMediaGeoPoint { geo_point }.into();
    }
    tl::types::InputMediaVenue {
        geo_point,
        title: place.name.clone(),
        address: place.address.clone(),
        provider: String::new(),
        venue_id: String::new(),
        venue_type: String::new(),
    }
    .into()
}

/// A poll as it is sent.
pub(super) fn poll_to_send(poll: &Poll) -> tl::enums::InputMedia {
    let text = |text: &str| -> tl::enums::TextWithEntities {
        tl::types::TextWithEntities { text: text.to_owned(), entities: Vec::new() }.into()
    };
    let answers = poll.options.iter().zip(0_u8..).map(|(option, number)| {
        tl::types::PollAnswer {
            text: text(option),
            option: vec![number],
            media: None,
            added_by: None,
            date: None,
        }
        .into()
    });
    let poll = tl::types::Poll {
        id: 0,
        closed: false,
        public_voters: !poll.is_anonymous,
        multiple_choice: poll.is_multiple,
        quiz: false,
        open_answers: false,
        revoting_disabled: false,
        shuffle_answers: false,
        hide_results_until_close: false,
        creator: false,
        subscribers_only: false,
        question: text(&poll.question),
        answers: answers.collect(),
        close_period: None,
        close_date: None,
        countries_iso2: None,
        hash: 0,
    };
    tl::types::InputMediaPoll {
        poll: poll.into(),
        correct_answers: None,
        attached_media: None,
        solution: None,
        solution_entities: None,
        solution_media: None,
    }
    .into()
}

/// A file as it is sent, once it is handed over.
pub(super) fn file_to_send(
    file: &Attachment,
    handed: tl::enums::InputFile,
    as_picture: bool,
) -> tl::enums::InputMedia {
    if as_picture {
        return tl::types::InputMediaUploadedPhoto {
            spoiler: false,
            live_photo: false,
            file: handed,
            stickers: None,
            ttl_seconds: None,
            video: None,
        }
        .into();
    }
    let mut attributes: Vec<tl::enums::DocumentAttribute> =
        vec![tl::types::DocumentAttributeFilename { file_name: file.name.clone() }.into()];
    match file.kind {
        // Whoever gets it is to see a file and its name.
        _ if file.is_plain => {}
        FileKind::Video => attributes.push(
            tl::types::DocumentAttributeVideo {
                round_message: false,
                supports_streaming: true,
                nosound: false,
                duration: 0.0,
                w: 0,
                h: 0,
                preload_prefix_size: None,
                video_start_ts: None,
                video_codec: None,
            }
            .into(),
        ),
        FileKind::Audio => attributes.push(
            tl::types::DocumentAttributeAudio {
                voice: false,
                duration: 0,
                title: None,
                performer: None,
                waveform: None,
            }
            .into(),
        ),
        FileKind::Image | FileKind::Sticker | FileKind::Document => {}
    }
    tl::types::InputMediaUploadedDocument {
        nosound_video: false,
        force_file: file.is_plain || matches!(file.kind, FileKind::Document | FileKind::Image),
        spoiler: false,
        file: handed,
        thumb: None,
        mime_type: file.mime.clone(),
        attributes,
        stickers: None,
        video_cover: None,
        video_timestamp: None,
        ttl_seconds: None,
    }
    .into()
}

/// A file that lies at Telegram already, as it is sent; none for what is no file.
pub(super) fn uploaded_to_send(media: tl::enums::MessageMedia) -> Option<tl::enums::InputMedia> {
    match media {
        tl::enums::MessageMedia::Photo(media) => match media.photo? {
            tl::enums::Photo::Photo(photo) => {
                let tl::types::Photo { id, access_hash, file_reference, .. } = photo;
                let id = tl::types::InputPhoto { id, access_hash, file_reference }.into();
                let (spoiler, live_photo) = (false, false);
                Some(
                    tl::types::InputMediaPhoto { spoiler, live_photo, id, ttl_seconds: None, video: None }
                        .into(),
                )
            }
            tl::enums::Photo::Empty(_) => None,
        },
        tl::enums::MessageMedia::Document(media) => match media.document? {
            tl::enums::Document::Document(document) => {
                let tl::types::Document { id, access_hash, file_reference, .. } = document;
                Some(
                    tl::types::InputMediaDocument {
                        spoiler: false,
                        id: tl::types::InputDocument { id, access_hash, file_reference }.into(),
                        video_cover: None,
                        video_timestamp: None,
                        ttl_seconds: None,
                        query: None,
                    }
                    .into(),
                )
            }
            tl::enums::Document::Empty(_) => None,
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_company_is_read_from_a_card() {
        assert_eq!(company("BEGIN:VCARD\r\nORG;CHARSET=UTF-8:Acme\\, Ltd;\r\nEND:VCARD"), "Acme, Ltd");
        assert_eq!(company("BEGIN:VCARD\r\nTEL:+7\r\nEND:VCARD"), "");
    }

    #[test]
    fn of_a_photo_the_largest_size_is_fetched() {
        let word = str::to_owned;
        let stripped = tl::types::PhotoStrippedSize { r#type: word("i"), bytes: vec![1; 900] };
        let small = tl::types::PhotoSize { r#type: word("m"), w: 3, h: 3, size: 40 };
        let large = tl::types::PhotoSizeProgressive { r#type: word("y"), w: 9, h: 9, sizes: vec![7, 500] };
        let photo = tl::types::Photo {
            has_stickers: false,
            id: 1,
            access_hash: 2,
            file_reference: vec![3],
            date: 0,
            sizes: vec![stripped.into(), large.into(), small.into()],
            video_sizes: None,
            dc_id: 2,
        };
        let file = photo_file(&photo, ChatId(7), 4).unwrap();
        let remote = Remote::read(file.remote.as_deref().unwrap()).unwrap();
        assert_eq!((remote.size.as_str(), file.size), ("y", 500));
    }

    #[test]
    fn a_place_has_a_name_or_is_a_point() {
        let place = |name: &str| Place {
            latitude: 55.75,
            longitude: 37.61,
            name: name.to_owned(),
            address: String::new(),
        };
        assert!(matches!(place_to_send(&place("")), tl::enums::InputMedia::GeoPoint(_)));
        assert!(matches!(place_to_send(&place("Office")), tl::enums::InputMedia::Venue(_)));
    }
}
