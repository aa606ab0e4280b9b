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

    /// A file with a word to it.
    #[must_use]
    pub fn file(file: Attachment, caption: impl Into<String>) -> Self {
        Self::File { file, more: Vec::new(), caption: caption.into(), entities: Vec::new() }
    }
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
