//! What an instance does, as its program has set it: the keys of GREEN-API's settings.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::id::ungrouped;

/// The settings of an instance. After creation nothing is told but failures.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Where notifications are sent; nowhere if empty.
    pub webhook_url: String,
    /// What goes into the header `Authorization` there.
    pub webhook_token: String,
    /// How long is waited between two messages: milliseconds.
    pub delay_ms: u32,
    /// Switches by their names, those that are on.
    pub on: std::collections::BTreeSet<String>,
}

/// A setting that cannot be so.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{key}' {want}")]
pub struct SettingsError {
    /// Which.
    pub key: String,
    /// What is allowed.
    pub want: String,
}

/// Longest pause between two messages: milliseconds.
pub(crate) const LONGEST_DELAY_MS: u32 = 600_000;
/// Shortest and longest.
const DELAY_MS: std::ops::RangeInclusive<u32> = 500..=LONGEST_DELAY_MS;
/// Longest address of a webhook, and longest token for it.
const TEXT_BYTES: usize = 2048;
/// Where the connector of 1C has every instance that it makes send its notifications: an example that nobody changed, and
/// somebody else's site.
const EXAMPLE: &str = "https://mysite.com/webhook/green-api";

/// Switches that do something here, and those that older clients set and read back.
const SWITCHES: [&str; 15] = [
    "markIncomingMessagesReaded",
    "markIncomingMessagesReadedOnReply",
    "outgoingWebhook",
    "outgoingMessageWebhook",
    "outgoingAPIMessageWebhook",
    "stateWebhook",
    "incomingWebhook",
    "editedMessageWebhook",
    "deletedMessageWebhook",
    "pollMessageWebhook",
    "incomingCallWebhook",
    "keepOnlineStatus",
    "enableMessagesHistory",
    "deviceWebhook",
    "statusInstanceWebhook",
];

impl Default for Settings {
    fn default() -> Self {
        Self {
            webhook_url: String::new(),
            webhook_token: String::new(),
            delay_ms: *DELAY_MS.start(),
            on: std::collections::BTreeSet::new(),
        }
    }
}

impl Settings {
    /// Whether a switch is on.
    #[must_use]
    pub fn is_on(&self, switch: &str) -> bool {
        self.on.contains(switch)
    }

    /// Where notifications are brought; none where that is nowhere, or an example in the source of a client.
    #[must_use]
    pub fn webhook(&self) -> Option<&str> {
        Some(self.webhook_url.as_str()).filter(|url| !url.is_empty() && !self.webhook_is_example())
    }

    /// Whether the webhook's address is an example that nobody changed.
    #[must_use]
    pub fn webhook_is_example(&self) -> bool {
        self.webhook_url.trim_end_matches('/').eq_ignore_ascii_case(EXAMPLE)
    }

    /// Changes what is named.
    ///
    /// # Errors
    /// The first value that cannot be so, after which nothing is changed.
    pub fn change(&mut self, values: &Map<String, Value>) -> Result<(), SettingsError> {
        let mut changed = self.clone();
        let mut is_known = false;
        for (key, value) in values {
            is_known |= changed.set(key, value)?;
        }
        if !is_known {
            return Err(SettingsError {
                key: "settings".to_owned(),
                want: "must name at least one setting".to_owned(),
            });
        }
        *self = changed;
        Ok(())
    }

    /// Sets one key; false for one that only the server sets, or that nobody knows.
    fn set(&mut self, key: &str, value: &Value) -> Result<bool, SettingsError> {
        let wrong = |want: &str| Err(SettingsError { key: key.to_owned(), want: want.to_owned() });
        match key {
            "webhookUrl" => {
                let url = text(value).unwrap_or_default();
                let is_url = url.starts_with("http://") || url.starts_with("https://");
                if !value.is_null()
                    && !(value.is_string() && (url.is_empty() || is_url) && url.len() <= TEXT_BYTES)
                {
                    return wrong("must be an http:// or https:// address, or \"\"");
                }
                self.webhook_url = url;
            }
            "webhookUrlToken" => {
                let token = text(value).unwrap_or_default();
                if token.len() > TEXT_BYTES || token.chars().any(char::is_control) {
                    return wrong("must be a line of text");
                }
                self.webhook_token = token;
            }
            "delaySendMessagesMilliseconds" => match number(value).filter(|ms| DELAY_MS.contains(ms)) {
                Some(ms) => self.delay_ms = ms,
                None => return wrong("must be a number of milliseconds from 500 to 600000"),
            },
            _ if SWITCHES.contains(&key) => match switch(value) {
                Some(true) => drop(self.on.insert(key.to_owned())),
                Some(false) => drop(self.on.remove(key)),
                None => return wrong("must be \"yes\" or \"no\""),
            },
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Every key, as `getSettings` shows them. `wid` is the account's own address.
    #[must_use]
    pub fn shown(&self, wid: &str) -> Value {
        let mut shown = Map::new();
        shown.insert("wid".to_owned(), wid.into());
        shown.insert("typeInstance".to_owned(), "telegram".into());
        shown.insert("webhookUrl".to_owned(), self.webhook_url.clone().into());
        shown.insert("webhookUrlToken".to_owned(), self.webhook_token.clone().into());
        shown.insert("delaySendMessagesMilliseconds".to_owned(), self.delay_ms.into());
        for key in SWITCHES {
            shown.insert(key.to_owned(), if self.is_on(key) { "yes" } else { "no" }.into());
        }
        Value::Object(shown)
    }
}

fn text(value: &Value) -> Option<String> {
    value.as_str().map(|text| text.trim().to_owned())
}

fn number(value: &Value) -> Option<u32> {
    match value {
        Value::String(text) => ungrouped(text.trim()).parse().ok(),
        value => value.as_u64().and_then(|number| u32::try_from(number).ok()),
    }
}

fn switch(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(is_on) => Some(*is_on),
        Value::String(word) if word.eq_ignore_ascii_case("yes") => Some(true),
        Value::String(word) if word.eq_ignore_ascii_case("no") => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_key_is_shown_and_all_is_off_after_creation() {
        let shown = Settings::default().shown("79000000000@c.us");
        let shown = shown.as_object().unwrap();
        assert_eq!(shown.len(), 20);
        assert_eq!(shown["webhookUrl"], "");
        assert_eq!(shown["delaySendMessagesMilliseconds"], 500);
        assert!(SWITCHES.iter().all(|key| shown[*key] == "no"), "{shown:?}");
    }

    #[test]
    fn what_is_named_is_changed_and_nothing_if_one_value_is_wrong() {
        let mut settings = Settings::default();
        let change = |settings: &mut Settings, values: Value| settings.change(values.as_object().unwrap());
        change(&mut settings, json!({"incomingWebhook": "yes", "delaySendMessagesMilliseconds": "1000"}))
            .unwrap();
        assert!(settings.is_on("incomingWebhook"));
        assert_eq!(settings.delay_ms, 1000);
        let before = settings.clone();
        for (wrong, key) in [
            (
                json!({"incomingWebhook": "no", "delaySendMessagesMilliseconds": 499}),
                "delaySendMessagesMilliseconds",
            ),
            (json!({"stateWebhook": "maybe"}), "stateWebhook"),
            (json!({"webhookUrl": "ftp://x"}), "webhookUrl"),
            (json!({}), "settings"),
            (json!({"nobodyKnows": "yes"}), "settings"),
        ] {
            assert_eq!(change(&mut settings, wrong.clone()).unwrap_err().key, key, "{wrong}");
            assert_eq!(settings, before);
        }
        change(&mut settings, json!({"webhookUrl": "https://x/", "wid": "1", "older": "yes"})).unwrap();
        assert_eq!(settings.webhook_url, "https://x/");
    }

    #[test]
    fn an_example_of_a_webhook_is_kept_and_nothing_is_brought_there() {
        let mut settings = Settings::default();
        assert_eq!(settings.webhook(), None);
        for (url, brought) in [
            ("https://mysite.com/webhook/green-api/", None),
            ("https://mysite.com/webhook/green-api", None),
            ("https://mysite.com/webhook/green-api/2", Some("https://mysite.com/webhook/green-api/2")),
            ("https://example.org/hook", Some("https://example.org/hook")),
        ] {
            settings.change(json!({"webhookUrl": url}).as_object().unwrap()).unwrap();
            assert_eq!((settings.shown("")["webhookUrl"].as_str(), settings.webhook()), (Some(url), brought));
        }
    }
}
