//! A bot as Telegram shows it to whoever has its token, and the people it knows.

use serde::{Deserialize, Serialize};

use crate::bot_name::BotName;
use crate::said::Said;
use crate::units::UserId;

/// What Telegram says about a token's bot (`getMe`, `getMyDescription`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BotCheck {
    /// Its username.
    pub bot: BotName,
    /// Its id.
    pub id: UserId,
    /// Its name, as people see it.
    pub name: String,
    /// What people read before they press Start. Left out when there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Whether inline mode is on, without which no keypad can be sent.
    pub inline: bool,
    /// What stands in its way, each with what to do about it: no inline mode, another program that polls with its token.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub troubles: Vec<Said>,
}

/// Somebody who wrote to a bot. Times are milliseconds since 1970 (UTC).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BotPerson {
    /// Who.
    pub id: UserId,
    /// First and last name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Without `@`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// The key they show to whoever wants to write to them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Whether they blocked the bot.
    #[serde(default)]
    pub blocked: bool,
    /// When the bot first heard of them, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since_ms: Option<u64>,
    /// When the bot last heard of them, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_ms: Option<u64>,
}
