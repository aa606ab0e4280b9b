//! What of an account's, a bot's or a PBX's own settings a line needs, as a program found it.

use serde::{Deserialize, Serialize};

use crate::said::Said;

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// Which.
    pub check: CheckName,
    /// What was found.
    pub found: Found,
    /// What that means and what to do, as a sentence.
    pub said: Said,
    /// Whether `fix_check` can mend it.
    #[serde(default)]
    pub can_fix: bool,
}

/// What is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CheckName {
    /// Everybody sees the account's phone number, or nobody, as the line's settings want it (gateway).
    PhoneVisible,
    /// Everybody may call the account (gateway).
    CallsFromEverybody,
    /// Everybody may have a direct connection with the account in a call (gateway).
    PeerToPeer,
    /// The PBX takes Opus, as its last call showed (gateway).
    OpusAllowed,
    /// The PBX answers OPTIONS (gateway).
    PbxAnswers,
    /// The bot's inline mode is on (client).
    InlineMode,
    /// The account's dialog with the bot is open (client).
    BotDialog,
}

/// What was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Found {
    /// It is as it should be.
    Good,
    /// It is not.
    Bad,
    /// It cannot be known now.
    Unknown,
}
