//! How parts of a text look, as the Bot API tells of it (core.telegram.org/bots/api#messageentity).

use serde::{Deserialize, Serialize};

/// How a part of a text looks, or what it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entity {
    /// Where it begins: UTF-16 code units.
    pub offset: u32,
    /// How long it is: UTF-16 code units.
    pub length: u32,
    /// How it looks.
    #[serde(flatten)]
    pub kind: EntityKind,
}

impl EntityKind {
    /// Whether somebody made it so: the others Telegram finds in a text by itself.
    pub(crate) const fn is_look(&self) -> bool {
        !matches!(
            self,
            Self::Mention
                | Self::Hashtag
                | Self::Cashtag
                | Self::BotCommand
                | Self::Url
                | Self::Email
                | Self::PhoneNumber
        )
    }
}

/// How it looks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum EntityKind {
    /// Bold.
    Bold,
    /// Italic.
    Italic,
    /// Underlined.
    Underline,
    /// Struck through.
    Strikethrough,
    /// Hidden until somebody looks.
    Spoiler,
    /// Somebody else's words.
    Blockquote,
    /// The same, of which only the beginning is shown.
    ExpandableBlockquote,
    /// In letters of one width.
    Code,
    /// A block of such letters.
    Pre {
        /// The language of programming it is in; empty if that is not known.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        language: String,
    },
    /// A link behind other words.
    TextLink {
        /// Where it leads.
        url: String,
    },
    /// Somebody by their number.
    TextMention {
        /// Telegram's number of them.
        user: i64,
    },
    /// An emoji of somebody's own.
    CustomEmoji {
        /// Telegram's number of it.
        custom_emoji_id: String,
    },
    /// `@name`.
    Mention,
    /// `#word`.
    Hashtag,
    /// `$USD`.
    Cashtag,
    /// `/command`.
    BotCommand,
    /// A link.
    Url,
    /// An address of electronic mail.
    Email,
    /// A phone number.
    PhoneNumber,
}
