//! A bot's username, which names the bot and its folder.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The username of a bot without `@`: 5 to 32 letters, digits and `_`, as Telegram gives them.
///
/// It keeps the case in which it was written; Telegram tells no names apart by it, so comparing does not either.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct BotName(String);

/// Not a bot's username.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("bot name {0:?}: want {WANTED_BOT_NAME}")]
pub struct BotNameError(String);

pub(crate) const WANTED_BOT_NAME: &str =
    r#"the bot's username, 5 to 32 letters, digits and _, as "acme_support_bot""#;

impl BotName {
    /// The name without `@`, as it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name of the bot's folder: in small letters, so that there is one.
    pub fn folder(&self) -> String {
        self.0.to_ascii_lowercase()
    }
}

impl FromStr for BotName {
    type Err = BotNameError;

    fn from_str(text: &str) -> Result<Self, BotNameError> {
        let name = text.strip_prefix('@').unwrap_or(text);
        let fits = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        if fits && (5..=32).contains(&name.len()) {
            Ok(Self(name.to_owned()))
        } else {
            Err(BotNameError(crate::units::shortened(text)))
        }
    }
}

impl PartialEq for BotName {
    fn eq(&self, other: &Self) -> bool {
        self.0.eq_ignore_ascii_case(&other.0)
    }
}

impl Eq for BotName {}

impl PartialOrd for BotName {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for BotName {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.folder().cmp(&other.folder())
    }
}

impl Hash for BotName {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.folder().hash(state);
    }
}

impl fmt::Display for BotName {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(&self.0)
    }
}

impl TryFrom<String> for BotName {
    type Error = BotNameError;

    fn try_from(text: String) -> Result<Self, BotNameError> {
        text.parse()
    }
}

impl From<BotName> for String {
    fn from(name: BotName) -> Self {
        name.0
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_bots_name_keeps_its_case_and_is_the_same_in_another() {
        let name: BotName = "@Acme_Bot".parse().unwrap();
        assert_eq!((name.as_str(), name.folder().as_str()), ("Acme_Bot", "acme_bot"));
        let other: BotName = "ACME_BOT".parse().unwrap();
        assert_eq!(name, other);
        assert_eq!(BTreeSet::from([name.clone(), other.clone()]).len(), 1);
        assert_eq!(std::collections::HashSet::from([name.clone(), other]).len(), 1);
        assert_eq!(serde_json::to_string(&name).unwrap(), r#""Acme_Bot""#);
    }

    #[test]
    fn a_bots_name_is_what_telegram_gives_and_cannot_leave_the_state_directory() {
        for wrong in ["", "@", "abcd", "a-b-c-d", "../../etc", "имя_бота", "@@acme_bot", &"a".repeat(33)]
        {
            let error = wrong.parse::<BotName>().unwrap_err().to_string();
            assert!(error.ends_with(WANTED_BOT_NAME), "{error}");
        }
        assert!(serde_json::from_str::<BotName>(r#""a/b/c""#).is_err());
    }
}
