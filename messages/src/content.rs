//! What a message holds.

use serde::{Deserialize, Serialize};

use crate::entity::Entity;

/// What is in a message, sent or received.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Content {
    /// Text.
    Text {
        /// As people read it.
        text: String,
        /// Whether a link in it is shown with a picture of where it leads.
        #[serde(default)]
        has_preview: bool,
        /// How parts of it look.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        entities: Vec<Entity>,
    },
    /// A file with perhaps a word to it.
    File {
        /// The file.
        file: Attachment,
        /// Files that were sent with it by one call: albums, as far as they go together.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        more: Vec<Attachment>,
        /// Files that were to be sent with it and could not be had.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        left_out: Vec<LeftOut>,
        /// The word.
        #[serde(default)]
        caption: String,
        /// How parts of the word look.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        entities: Vec<Entity>,
    },
    /// A place.
    Location(Place),
    /// Somebody's number.
    Contact(VCard),
    /// A question to be voted on.
    Poll(Poll),
    /// Something that this program does not know.
    Other {
        /// What Telegram calls it.
        what: String,
    },
}

impl Content {
    /// Text that looks like any other.
    #[must_use]
    pub fn plain(text: impl Into<String>) -> Self {
        Self::Text { text: text.into(), has_preview: false, entities: Vec::new() }
    }

    /// What people read of it.
    #[must_use]
    pub fn words(&self) -> &str {
        match self {
            Self::Text { text, .. } => text,
            Self::File { caption, .. } => caption,
            Self::Location(place) => &place.name,
            Self::Contact(card) => &card.first_name,
            Self::Poll(poll) => &poll.question,
            Self::Other { what } => what,
        }
    }

    /// Its files, one after the other.
    pub fn files(&self) -> impl Iterator<Item = &Attachment> {
        let (first, more) = match self {
            Self::File { file, more, .. } => (Some(file), more.as_slice()),
            _ => (None, &[][..]),
        };
        first.into_iter().chain(more)
    }

    /// The same, to be changed.
    pub fn files_mut(&mut self) -> impl Iterator<Item = &mut Attachment> {
        let (first, more) = match self {
            Self::File { file, more, .. } => (Some(file), more.as_mut_slice()),
            _ => (None, &mut [][..]),
        };
        first.into_iter().chain(more)
    }

    /// Which of the files that were named the file at a place is, counted from 0.
    pub(crate) fn item(&self, place: usize) -> u32 {
        let Self::File { left_out, .. } = self else { return 0 };
        let is_there = |item: &u32| !left_out.iter().any(|left| left.item == *item);
        (0..).filter(is_there).nth(place).unwrap_or(0)
    }

    /// Leaves out the file at a place, unless it is the only one.
    pub(crate) fn leave_out(&mut self, place: usize, cause: String) {
        let item = self.item(place);
        let Self::File { file, more, left_out, .. } = self else { return };
        if more.is_empty() || place > more.len() {
            return;
        }
        let gone = match place {
            0 => std::mem::replace(file, more.remove(0)),
            place => more.remove(place - 1),
        };
        left_out.push(LeftOut { item, name: gone.name, cause });
    }

    /// Whether people read the same in both: of what Telegram finds in a text by itself nothing counts.
    pub(crate) fn reads_as(&self, other: &Self) -> bool {
        let looks = |entities: &[Entity]| -> Vec<Entity> {
            entities.iter().filter(|entity| entity.kind.is_look()).cloned().collect()
        };
        match (self, other) {
            (Self::Text { text, entities, .. }, Self::Text { text: other, entities: others, .. }) => {
                text == other && looks(entities) == looks(others)
            }
            (
                Self::File { file, caption, entities, .. },
                Self::File { file: other, caption: word, entities: others, .. },
            ) => file == other && caption == word && looks(entities) == looks(others),
            (one, other) => one == other,
        }
    }

    /// A file with a word to it.
    #[must_use]
    pub fn file(file: Attachment, caption: impl Into<String>) -> Self {
        Self::File {
            file,
            more: Vec::new(),
            left_out: Vec::new(),
            caption: caption.into(),
            entities: Vec::new(),
        }
    }
}

/// A file that was to be sent and could not be had.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftOut {
    /// Which of those that were named, counted from 0.
    pub item: u32,
    /// What it is called.
    pub name: String,
    /// Why.
    pub cause: String,
}

/// Whether a text has a link.
pub(crate) fn has_link(text: &str) -> bool {
    let is_start = |(at, _): (usize, char)| {
        ["http://", "https://", "www."].iter().any(|start| starts_with(&text[at..], start))
    };
    text.char_indices().any(is_start)
}

/// Whether a text begins so, in capitals or not. `start` is of small letters of ASCII.
pub(crate) fn starts_with(text: &str, start: &str) -> bool {
    text.as_bytes().get(..start.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(start.as_bytes()))
}

/// What a file is to those who look at it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FileKind {
    /// A picture.
    Image,
    /// A film.
    Video,
    /// Sound, or a voice.
    Audio,
    /// A sticker.
    Sticker,
    /// Any other file.
    Document,
}

/// A file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attachment {
    /// What it is.
    pub kind: FileKind,
    /// Whether it is sent as a file, whatever is in it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_plain: bool,
    /// What it is called.
    pub name: String,
    /// Its media type (RFC 6838).
    pub mime: String,
    /// Its length in bytes, where known.
    #[serde(default)]
    pub size: u64,
    /// The name under which the file store keeps it or will.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stored: Option<String>,
    /// Where it is to be fetched from before it is sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// By what the messenger finds it at Telegram.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remote: Option<String>,
    /// A small picture of it: JPEG in Base64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thumbnail: Option<String>,
}

/// A place on Earth.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Place {
    /// Degrees, -90 to 90.
    pub latitude: f64,
    /// Degrees, -180 to 180.
    pub longitude: f64,
    /// What is there.
    #[serde(default)]
    pub name: String,
    /// Where that is, in words.
    #[serde(default)]
    pub address: String,
}

/// Somebody's number and name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VCard {
    /// As it was written.
    pub phone: String,
    /// First name.
    pub first_name: String,
    /// Last name.
    #[serde(default)]
    pub last_name: String,
    /// Where they work.
    #[serde(default)]
    pub company: String,
    /// The card as it came (RFC 6350).
    #[serde(default)]
    pub vcard: String,
}

/// A question to be voted on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Poll {
    /// The question.
    pub question: String,
    /// What may be voted for.
    pub options: Vec<String>,
    /// Whether one may vote for several.
    #[serde(default)]
    pub is_multiple: bool,
    /// Whether nobody sees who voted for what.
    #[serde(default)]
    pub is_anonymous: bool,
}

/// A login token as a picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoginTokenPicture {
    /// The token as a link, which the QR code holds.
    pub link: String,
    /// The QR code: PNG in Base64.
    pub png: String,
}
