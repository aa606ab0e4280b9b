//! Why Telegram did not do what it was asked (core.telegram.org/bots/api#making-requests).

use std::time::Duration;

use serde::Deserialize;
use tgtrunk_config::Said;

/// A request that was not done, or of which nobody knows. No text of it holds the token.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Failure {
    /// 429.
    #[error("Telegram says there are too many requests and asks to wait {} s", wait.as_secs())]
    Flood {
        /// How long.
        wait: Duration,
    },
    /// 401, and 404 for a token that is none.
    #[error("Telegram does not know this token: take it anew from @BotFather (/mybots, API Token)")]
    Token,
    /// 409: another program polls, or a webhook stands in the way of polling.
    #[error("Telegram sees two programs at work for this bot: {0}")]
    Conflict(String),
    /// 403: the person blocked the bot, never began with it, or is gone.
    #[error("the person cannot be reached: {0}")]
    Forbidden(String),
    /// 400 and whatever else is not worth a second try.
    #[error("Telegram refuses ({code}): {description}")]
    Refused {
        /// HTTP's number for it.
        code: u16,
        /// Telegram's words.
        description: String,
    },
    /// 5xx.
    #[error("Telegram is out of order ({0})")]
    Down(u16),
    /// No answer at all.
    #[error("Telegram cannot be reached: {0}")]
    Unreachable(String),
    /// An answer that nobody can read.
    #[error("Telegram's answer cannot be read: {0}")]
    Unreadable(String),
}

/// What stands in every answer beside its result.
#[derive(Deserialize)]
pub(crate) struct Verdict {
    ok: bool,
    error_code: Option<u16>,
    #[serde(default)]
    description: String,
    parameters: Option<Parameters>,
}

#[derive(Deserialize)]
struct Parameters {
    retry_after: Option<u64>,
}

/// Telegram's waits are seconds to hours; a longer one is somebody's mistake.
const LONGEST_WAIT_S: u64 = 24 * 3_600;
/// Of what a stranger may have written into an answer.
const LONGEST_TEXT: usize = 200;

impl Failure {
    /// What is wrong, in both languages. The Russian one leaves Telegram's own words out.
    pub(crate) fn said(&self) -> Said {
        let ru = match self {
            Self::Flood { wait } => {
                format!("Telegram просит подождать {} с: слишком много запросов", wait.as_secs())
            }
            Self::Token => {
                "Telegram не знает этого токена: возьмите его заново у @BotFather (/mybots, API Token)"
                    .to_owned()
            }
            Self::Conflict(_) => "с этим ботом работают сразу две программы".to_owned(),
            Self::Forbidden(_) => "Telegram не даёт написать этому человеку".to_owned(),
            Self::Refused { code, .. } => format!("Telegram отказал (код {code})"),
            Self::Down(code) => format!("у Telegram неполадки (код {code})"),
            Self::Unreachable(_) => "Telegram недоступен: проверьте сеть и прокси".to_owned(),
            Self::Unreadable(_) => "ответ Telegram не удалось прочитать".to_owned(),
        };
        Said::new(self.to_string(), ru)
    }

    /// Whether a press is so old that nobody waits for its answer any more: Telegram keeps presses for a day and does
    /// not tell when they were made.
    pub(crate) fn is_too_late(&self) -> bool {
        let Self::Refused { description, .. } = self else { return false };
        let description = description.to_lowercase();
        description.contains("query is too old") || description.contains("query id is invalid")
    }

    /// Whether the same request may well be done a little later.
    pub(crate) fn passes(&self) -> bool {
        match self {
            Self::Flood { .. } | Self::Down(_) | Self::Unreachable(_) | Self::Unreadable(_) => true,
            Self::Token | Self::Conflict(_) | Self::Forbidden(_) | Self::Refused { .. } => false,
        }
    }
}

impl Verdict {
    /// # Errors
    /// The failure that the answer tells of.
    pub(crate) fn judge(self, status: u16) -> Result<(), Failure> {
        if self.ok {
            return Ok(());
        }
        let description = short(&self.description);
        let wait = self.parameters.and_then(|parameters| parameters.retry_after);
        Err(match (self.error_code.unwrap_or(status), wait) {
            (429, wait) => {
                Failure::Flood { wait: Duration::from_secs(wait.unwrap_or(1).clamp(1, LONGEST_WAIT_S)) }
            }
            (401 | 404, _) => Failure::Token,
            (409, _) => Failure::Conflict(description),
            (403, _) => Failure::Forbidden(description),
            (code @ 500.., _) => Failure::Down(code),
            (code, _) => Failure::Refused { code, description },
        })
    }
}

/// The beginning of a text, in one line.
pub(crate) fn short(text: &str) -> String {
    text.chars().take(LONGEST_TEXT).map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn telegrams_own_words_are_told_apart() {
        let blocked = "Forbidden: bot was blocked by the user".to_owned();
        assert_eq!(
            judged(403, r#""description":"Forbidden: bot was blocked by the user""#),
            Failure::Forbidden(blocked)
        );
        let wait = Duration::from_secs(7);
        let flood = r#""description":"Too Many Requests: retry after 7","parameters":{"retry_after":7}"#;
        assert_eq!(judged(429, flood), Failure::Flood { wait });
        assert_eq!(judged(401, r#""description":"Unauthorized""#), Failure::Token);
        assert_eq!(judged(404, r#""description":"Not Found""#), Failure::Token);
        assert!(matches!(
            judged(409, r#""description":"Conflict: terminated by other getUpdates request""#),
            Failure::Conflict(_)
        ));
        assert_eq!(judged(502, r#""description":"Bad Gateway""#), Failure::Down(502));
        assert!(matches!(
            judged(400, r#""description":"Bad Request: x""#),
            Failure::Refused { code: 400, .. }
        ));
    }

    #[test]
    fn a_press_that_nobody_waits_for_is_told_from_other_refusals() {
        let old = "Bad Request: query is too old and response timeout expired or query ID is invalid";
        let refused = |description: &str| Failure::Refused { code: 400, description: description.to_owned() };
        assert!(refused(old).is_too_late());
        assert!(!refused("Bad Request: MESSAGE_TOO_LONG").is_too_late() && !Failure::Down(502).is_too_late());
    }

    #[test]
    fn a_wait_without_end_is_not_believed() {
        let flood = r#""parameters":{"retry_after":18446744073709551615}"#;
        assert_eq!(judged(429, flood), Failure::Flood { wait: Duration::from_secs(86_400) });
    }

    #[test]
    fn only_what_may_pass_is_tried_again() {
        assert!(Failure::Down(502).passes() && Failure::Unreachable(String::new()).passes());
        assert!(!Failure::Token.passes() && !Failure::Forbidden(String::new()).passes());
    }

    fn judged(code: u16, rest: &str) -> Failure {
        let text = format!(r#"{{"ok":false,"error_code":{code},{rest}}}"#);
        serde_json::from_str::<Verdict>(&text).unwrap().judge(200).unwrap_err()
    }
}
