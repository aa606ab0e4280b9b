//! What became of a message that a bot was asked to write.

use serde::{Deserialize, Serialize};

/// How far a bot's message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LetterState {
    /// It is on the disk, and Telegram does not have it yet.
    Waiting,
    /// Telegram has it.
    Sent,
    /// It will not be sent.
    Failed,
}

/// A message that a bot was asked to write.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LetterInfo {
    /// How far it is.
    pub state: LetterState,
    /// Telegram's number of it, once Telegram has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<i32>,
    /// Why it was not sent, or not yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Whether it was not sent because the person has blocked the bot.
    #[serde(default)]
    pub blocked: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_letter_is_the_json_that_version_1_promises() {
        let sent = LetterInfo { state: LetterState::Sent, message: Some(7), reason: None, blocked: false };
        let promised = serde_json::json!({"state": "sent", "message": 7, "blocked": false});
        assert_eq!(serde_json::to_value(&sent).unwrap(), promised);
        let reason = Some("bot was blocked by the user".to_owned());
        let failed = LetterInfo { state: LetterState::Failed, message: None, reason, blocked: true };
        let promised =
            serde_json::json!({"state": "failed", "reason": "bot was blocked by the user", "blocked": true});
        assert_eq!(serde_json::to_value(&failed).unwrap(), promised);
        assert_eq!(serde_json::from_value::<LetterInfo>(promised).unwrap(), failed);
    }
}
