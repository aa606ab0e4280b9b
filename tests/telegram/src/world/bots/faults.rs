//! Faults of the Bot API that a test asks for: rules that match requests and say what becomes of them.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Which requests a rule is about; what is left out matches all.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BotMatch {
    /// The bot whose token it has.
    pub bot: Option<i64>,
    /// The method, in any case: `getUpdates`.
    pub method: Option<String>,
    /// From the n-th match on, counted from 1.
    pub nth: Option<u32>,
    /// For so many matches; for ever without it.
    pub times: Option<u32>,
}

impl BotMatch {
    /// Any bot's use of one method.
    pub fn method(name: impl Into<String>) -> Self {
        Self { method: Some(name.into()), ..Self::default() }
    }

    /// Of this bot alone.
    #[must_use]
    pub fn bot(mut self, bot: i64) -> Self {
        self.bot = Some(bot);
        self
    }

    /// The next so many alone.
    #[must_use]
    pub fn times(mut self, times: u32) -> Self {
        self.times = Some(times);
        self
    }
}

/// What becomes of a match.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
pub enum BotAction {
    /// Refused so, unseen.
    Error {
        /// 400, 403, 409, ...
        code: u16,
        /// `Bad Request: chat not found`.
        description: String,
    },
    /// 429 `Too Many Requests: retry after N`, unseen.
    RetryAfter {
        /// Seconds.
        seconds: u32,
    },
    /// A proxy's page of HTML instead of JSON, unseen: 502, 504.
    Html {
        /// Of HTTP.
        code: u16,
    },
    /// Served at once and answered late.
    Delay {
        /// Milliseconds.
        ms: u64,
    },
    /// Neither served nor answered, the connection open.
    Hang,
    /// The connection closes, the request unseen.
    Drop,
    /// The request is served, and the connection closes instead of an answer.
    LoseAnswer,
}

/// A rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BotRule {
    /// What it is about.
    #[serde(default, rename = "match")]
    pub matches: BotMatch,
    /// What it does.
    pub action: BotAction,
}

/// A rule in force, told to a test.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BotRuleInfo {
    /// Number, to take it away by.
    pub id: u64,
    /// What it says.
    pub rule: BotRule,
    /// How often it matched.
    pub matched: u32,
    /// How often it acted.
    pub acted: u32,
}

/// What becomes of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum BotFate {
    Serve,
    Late(Duration),
    Lose,
    Refuse { code: u16, description: String, retry_after: Option<u32> },
    Html(u16),
    Hang,
    Drop,
}

impl BotFate {
    /// For the journal.
    pub(crate) fn told(&self) -> String {
        match self {
            Self::Serve => "ok".to_owned(),
            Self::Late(_) => "late".to_owned(),
            Self::Lose => "fault: answer lost".to_owned(),
            Self::Refuse { code, description, .. } => format!("fault: {code} {description}"),
            Self::Html(code) => format!("fault: {code} HTML"),
            Self::Hang => "fault: hangs".to_owned(),
            Self::Drop => "fault: dropped".to_owned(),
        }
    }
}

/// The rules in force; the first that matches acts.
#[derive(Debug, Default)]
pub(crate) struct BotFaults {
    rules: Vec<BotRuleInfo>,
    last_id: u64,
}

impl BotFaults {
    pub(crate) fn add(&mut self, rule: BotRule) -> u64 {
        self.last_id += 1;
        self.rules.push(BotRuleInfo { id: self.last_id, rule, matched: 0, acted: 0 });
        self.last_id
    }

    pub(crate) fn remove(&mut self, id: u64) -> bool {
        let before = self.rules.len();
        self.rules.retain(|rule| rule.id != id);
        before != self.rules.len()
    }

    pub(crate) fn clear(&mut self) {
        self.rules.clear();
    }

    pub(crate) fn list(&self) -> Vec<BotRuleInfo> {
        self.rules.clone()
    }

    /// What becomes of a request.
    pub(crate) fn fate(&mut self, bot: i64, method: &str) -> BotFate {
        for info in &mut self.rules {
            let matches = &info.rule.matches;
            let fits = matches.bot.is_none_or(|wanted| wanted == bot)
                && matches.method.as_deref().is_none_or(|wanted| wanted.eq_ignore_ascii_case(method))
                && matches.times.is_none_or(|times| info.acted < times);
            if fits {
                info.matched += 1;
                if info.matched >= matches.nth.unwrap_or(1) {
                    info.acted += 1;
                    return fate(&info.rule.action);
                }
            }
        }
        BotFate::Serve
    }
}

fn fate(action: &BotAction) -> BotFate {
    match action {
        BotAction::Error { code, description } => {
            BotFate::Refuse { code: *code, description: description.clone(), retry_after: None }
        }
        BotAction::RetryAfter { seconds } => BotFate::Refuse {
            code: 429,
            description: format!("Too Many Requests: retry after {seconds}"),
            retry_after: Some(*seconds),
        },
        BotAction::Html { code } => BotFate::Html(*code),
        BotAction::Delay { ms } => BotFate::Late(Duration::from_millis(*ms)),
        BotAction::Hang => BotFate::Hang,
        BotAction::Drop => BotFate::Drop,
        BotAction::LoseAnswer => BotFate::Lose,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_for_a_bot_and_a_method_acts_so_many_times() {
        let mut faults = BotFaults::default();
        let matches = BotMatch::method("getUpdates").bot(7).times(1);
        faults.add(BotRule { matches, action: BotAction::RetryAfter { seconds: 3 } });
        assert_eq!(faults.fate(8, "GetUpdates"), BotFate::Serve);
        assert_eq!(faults.fate(7, "getMe"), BotFate::Serve);
        let description = "Too Many Requests: retry after 3".to_owned();
        let refused = BotFate::Refuse { code: 429, description, retry_after: Some(3) };
        assert_eq!(faults.fate(7, "GetUpdates"), refused);
        assert_eq!(faults.fate(7, "GetUpdates"), BotFate::Serve);
    }

    #[test]
    fn a_rule_reads_as_json() {
        let text = r#"{"match": {"method": "sendMessage", "nth": 2}, "action": {"do": "html", "code": 502}}"#;
        let rule: BotRule = serde_json::from_str(text).unwrap();
        let matches = BotMatch { nth: Some(2), ..BotMatch::method("sendMessage") };
        assert_eq!(rule, BotRule { matches, action: BotAction::Html { code: 502 } });
    }
}
