//! Tokens with which programs call the client's own HTTP API, `/api/v1/`.

use serde::{Deserialize, Serialize};

use crate::secret::Password;
use crate::units::Phone;

/// A token as people see it in a list. Times are seconds since 1970 (UTC).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActionTokenInfo {
    /// Its number, by which it is revoked.
    pub number: i64,
    /// The instance that it is for; none if it is for all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<i64>,
    /// The number of that instance.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<Phone>,
    /// Who has it.
    pub label: String,
    /// When it was made.
    pub created_s: i64,
    /// When it was last used, give or take a minute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_used_s: Option<i64>,
    /// When it was revoked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked_s: Option<i64>,
}

/// A new one. It is shown this once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewActionToken {
    /// Its number, by which it is revoked.
    pub number: i64,
    /// What a program says as `Authorization: Bearer …`.
    pub token: Password,
    /// What addresses begin with, as `http://127.0.0.1:8091`.
    pub url: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_the_json_that_version_1_promises_and_no_log_shows_one() {
        let token = Password::new("hidden");
        let new = NewActionToken { number: 7, token, url: "http://127.0.0.1:8091".into() };
        assert!(!format!("{new:?}").contains("hidden"));
        let promised = serde_json::json!({"number": 7, "token": "hidden", "url": "http://127.0.0.1:8091"});
        assert_eq!(serde_json::to_value(&new).unwrap(), promised);
        let info = ActionTokenInfo {
            number: 7,
            instance: None,
            line: None,
            label: "1C".into(),
            created_s: 5,
            last_used_s: None,
            revoked_s: Some(6),
        };
        let promised = serde_json::json!({"number": 7, "label": "1C", "created_s": 5, "revoked_s": 6});
        assert_eq!(serde_json::to_value(&info).unwrap(), promised);
    }
}
