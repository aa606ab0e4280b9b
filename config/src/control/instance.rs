//! An instance: an account's messages as programs know them, by a number and a token.

use serde::{Deserialize, Serialize};

use crate::bot_name::BotName;
use crate::secret::Password;
use crate::units::Phone;

/// An instance at a glance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstanceInfo {
    /// Its number, ten digits: GREEN-API's `idInstance`.
    pub instance: i64,
    /// Whose messages; none for an account that a partner's program made an instance for, which is no line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<Phone>,
    /// The bot whose messages they are, which tgtrunk-bot keeps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bot: Option<BotName>,
    /// The number of such an account, once it was logged in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phone: Option<Phone>,
    /// What the partner calls it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// How it stands with Telegram, in GREEN-API's words: `authorized`, `notAuthorized`, ...
    pub standing: String,
    /// Whether it has a token; nobody can call it without one.
    pub has_token: bool,
    /// Messages that wait to be sent.
    pub outgoing: u64,
    /// Notifications that wait to be fetched.
    pub notifications: u64,
    /// Notifications that nobody fetched and that gave way to newer ones, since the instance is there.
    #[serde(default)]
    pub dropped: u64,
}

/// A new token of an instance. It is shown this once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewToken {
    /// The instance's number.
    pub instance: i64,
    /// GREEN-API's `apiTokenInstance`.
    pub token: Password,
    /// What the addresses of methods begin with, as `http://127.0.0.1:8091`.
    pub url: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instance_is_the_json_that_version_1_promises() {
        let token = NewToken {
            instance: 4_100_000_001,
            token: Password::new("hidden"),
            url: "http://127.0.0.1:8091".into(),
        };
        assert!(!format!("{token:?}").contains("hidden"));
        let promised = serde_json::json!({"instance": 4_100_000_001_i64, "token": "hidden", "url": "http://127.0.0.1:8091"});
        assert_eq!(serde_json::to_value(&token).unwrap(), promised);
        let info = InstanceInfo {
            instance: 4_100_000_001,
            line: Some("+79060000000".parse().unwrap()),
            bot: None,
            phone: None,
            name: String::new(),
            standing: "authorized".into(),
            has_token: true,
            outgoing: 2,
            notifications: 3,
            dropped: 4,
        };
        let promised = serde_json::json!({
            "instance": 4_100_000_001_i64, "line": "+79060000000", "standing": "authorized", "has_token": true,
            "outgoing": 2, "notifications": 3, "dropped": 4,
        });
        assert_eq!(serde_json::to_value(&info).unwrap(), promised);
        let info =
            InstanceInfo { line: None, phone: info.line.clone(), name: "Shop".into(), outgoing: 0, ..info };
        let promised = serde_json::json!({
            "instance": 4_100_000_001_i64, "phone": "+79060000000", "name": "Shop", "standing": "authorized",
            "has_token": true, "outgoing": 0, "notifications": 3, "dropped": 4,
        });
        assert_eq!(serde_json::to_value(&info).unwrap(), promised);
    }
}
