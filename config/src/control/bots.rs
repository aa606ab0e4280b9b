//! A bot as Telegram shows it to whoever has its token, the people it knows, and the programs that lead it.

use serde::{Deserialize, Serialize};

use crate::bot_name::BotName;
use crate::said::Said;
use crate::secret::Password;
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

/// A token with which a program leads a bot, as people see it in a list. Times are milliseconds since 1970 (UTC).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiTokenInfo {
    /// Its number, by which it is revoked.
    pub number: i64,
    /// Who has it; empty where nobody said.
    pub label: String,
    /// When it was made.
    pub made_ms: u64,
    /// When it was last used, give or take a minute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub used_ms: Option<u64>,
}

/// A new one. It is shown this once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewApiToken {
    /// Its number, by which it is revoked.
    pub number: i64,
    /// What a program shows in place of the bot's own.
    pub token: Password,
    /// What addresses begin with, as `http://127.0.0.1:8092`; none where no program is served.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_the_json_that_version_1_promises_and_no_log_shows_one() {
        let token = Password::new("hidden");
        let new = NewApiToken { number: 7, token, url: Some("http://127.0.0.1:8092".into()) };
        assert!(!format!("{new:?}").contains("hidden"));
        let promised = serde_json::json!({"number": 7, "token": "hidden", "url": "http://127.0.0.1:8092"});
        assert_eq!(serde_json::to_value(&new).unwrap(), promised);
        let info = ApiTokenInfo { number: 7, label: "1C".into(), made_ms: 5, used_ms: Some(6) };
        let promised = serde_json::json!({"number": 7, "label": "1C", "made_ms": 5, "used_ms": 6});
        assert_eq!(serde_json::to_value(&info).unwrap(), promised);
    }
}
