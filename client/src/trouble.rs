//! What it means that Telegram did not do what it was asked, in words that decide what comes next.

use tgtrunk_config::Said;
use tgtrunk_telegram::{InvokeError, ResolveError};

/// Why something was not done at Telegram. Its text is a sentence for the log and the status.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Trouble {
    /// `FLOOD_WAIT`.
    #[error("Telegram asks to wait {seconds} s")]
    Flood { seconds: u32 },
    /// `PEER_FLOOD`.
    #[error(
        "Telegram limits the account for writing to strangers (PEER_FLOOD); it ends by itself, or ask @SpamBot"
    )]
    PeerFlood,
    /// `FROZEN_*`: the account may read and not write.
    #[error("Telegram has frozen the account ({word}); it must be appealed in the Telegram app")]
    Frozen { word: String },
    /// `PRIVACY_PREMIUM_REQUIRED`.
    #[error("the person takes messages from Premium accounts and contacts only (PRIVACY_PREMIUM_REQUIRED)")]
    Premium,
    /// The person blocked the account, or the account blocked them.
    #[error("the person has blocked the account, or is blocked by it ({word})")]
    Blocked { word: String },
    /// The person's account is gone.
    #[error("the person's account is deleted")]
    Deleted,
    /// The account has not met the person, or not in a way that lets it write to them.
    #[error("the account does not know the person")]
    Stranger,
    /// A message with the same `random_id` is there already.
    #[error("the message was sent before")]
    Repeated,
    /// The message is not there any more.
    #[error("the message is gone")]
    Missing,
    /// What the bot offered is too old.
    #[error("the bot's offer is too old")]
    Stale,
    /// The bot does not answer (`BOT_RESPONSE_TIMEOUT`), or not in time.
    #[error("the bot does not answer")]
    BotSilent,
    /// The bot takes no inline queries.
    #[error("the bot has no inline mode: switch it on in @BotFather with /setinline")]
    BotNotInline,
    /// The session is over; the account's own lamp says more.
    #[error("the client's session is not authorized")]
    Unauthorized,
    /// Nobody knows whether it was done.
    #[error("{cause}")]
    Unknown { cause: String },
    /// Anything else.
    #[error("Telegram refused: {word}")]
    Refused { word: String },
}

impl Trouble {
    /// The same in both languages.
    pub(crate) fn said(&self) -> Said {
        let ru = match self {
            Self::Flood { seconds } => format!("Telegram просит подождать {seconds} с"),
            Self::PeerFlood => "Telegram ограничил аккаунт за сообщения незнакомым людям (PEER_FLOOD); это пройдёт само, или напишите @SpamBot".to_owned(),
            Self::Frozen { word } => format!(
                "Telegram заморозил аккаунт ({word}); обжаловать это можно в приложении Telegram"
            ),
            Self::Premium => "человек принимает сообщения только от Premium-аккаунтов и контактов (PRIVACY_PREMIUM_REQUIRED)".to_owned(),
            Self::Blocked { word } => format!("собеседник заблокировал аккаунт или заблокирован им ({word})"),
            Self::Deleted => "аккаунт собеседника удалён".to_owned(),
            Self::Stranger => "аккаунт не знает этого человека".to_owned(),
            Self::Repeated => "сообщение уже было отправлено".to_owned(),
            Self::Missing => "сообщения больше нет".to_owned(),
            Self::Stale => "предложение бота устарело".to_owned(),
            Self::BotSilent => "бот не отвечает".to_owned(),
            Self::BotNotInline => {
                "у бота выключен встроенный режим: включите его в @BotFather командой /setinline".to_owned()
            }
            Self::Unauthorized => "сеанс клиента не авторизован".to_owned(),
            Self::Unknown { cause } => cause.clone(),
            Self::Refused { word } => format!("Telegram отказал: {word}"),
        };
        Said::new(self.to_string(), ru)
    }

    /// Whether it is about the account as a whole, so that writing to somebody else would fail as well.
    pub(crate) fn is_of_account(&self) -> bool {
        matches!(self, Self::PeerFlood | Self::Frozen { .. } | Self::Unauthorized)
    }

    /// Whether it is about the person, whatever is sent to them.
    pub(crate) fn is_of_person(&self) -> bool {
        matches!(self, Self::Premium | Self::Blocked { .. } | Self::Deleted | Self::Stranger)
    }
}

impl From<InvokeError> for Trouble {
    fn from(error: InvokeError) -> Self {
        let (code, name) = match error {
            InvokeError::Rpc { code, name, .. } => (code, name),
            InvokeError::Flood { seconds } => return Self::Flood { seconds },
            InvokeError::PeerFlood => return Self::PeerFlood,
            InvokeError::Revoked { .. } => return Self::Unauthorized,
            InvokeError::Timeout { .. }
            | InvokeError::Offline { .. }
            | InvokeError::Proxy { .. }
            | InvokeError::Crowded { .. }
            | InvokeError::KeyExchange { .. }
            | InvokeError::Malformed { .. }
            | InvokeError::Storage { .. }
            | InvokeError::Closed => return Self::Unknown { cause: error.to_string() },
        };
        match name.as_str() {
            _ if name.starts_with("FROZEN_") => Self::Frozen { word: name },
            "PRIVACY_PREMIUM_REQUIRED" => Self::Premium,
            "USER_IS_BLOCKED" | "YOU_BLOCKED_USER" | "USER_BLOCKED" => Self::Blocked { word: name },
            "INPUT_USER_DEACTIVATED" | "USER_DELETED" => Self::Deleted,
            "PEER_ID_INVALID" | "USER_ID_INVALID" => Self::Stranger,
            "RANDOM_ID_DUPLICATE" => Self::Repeated,
            "MESSAGE_ID_INVALID" | "MESSAGE_EMPTY" => Self::Missing,
            "RESULT_ID_INVALID"
            | "RESULT_ID_EMPTY"
            | "QUERY_ID_INVALID"
            | "QUERY_ID_EMPTY"
            | "INLINE_RESULT_EXPIRED" => Self::Stale,
            "BOT_RESPONSE_TIMEOUT" => Self::BotSilent,
            "BOT_INLINE_DISABLED" => Self::BotNotInline,
            // An error inside Telegram: the request may have been carried out (core.telegram.org/api/errors).
            _ if !(0..500).contains(&code) || name.starts_with("INTERDC_") => Self::Unknown { cause: name },
            _ => Self::Refused { word: name },
        }
    }
}

impl From<ResolveError> for Trouble {
    fn from(error: ResolveError) -> Self {
        match error {
            ResolveError::NotFound(_) | ResolveError::Invalid(_) => Self::Stranger,
            ResolveError::Flood { seconds } => Self::Flood { seconds },
            ResolveError::Invoke(error) => error.into(),
            ResolveError::Storage(cause) => Self::Unknown { cause },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn telegrams_words_become_what_they_mean() {
        let of = |code, name: &str| Trouble::from(InvokeError::Rpc { code, name: name.into(), value: None });
        assert_eq!(
            of(420, "FROZEN_METHOD_INVALID"),
            Trouble::Frozen { word: "FROZEN_METHOD_INVALID".into() }
        );
        assert_eq!(of(406, "PRIVACY_PREMIUM_REQUIRED"), Trouble::Premium);
        assert!(of(403, "USER_IS_BLOCKED").is_of_person());
        assert_eq!(of(500, "RANDOM_ID_DUPLICATE"), Trouble::Repeated);
        assert_eq!(of(400, "BOT_RESPONSE_TIMEOUT"), Trouble::BotSilent);
        assert_eq!(of(400, "MESSAGE_TOO_LONG"), Trouble::Refused { word: "MESSAGE_TOO_LONG".into() });
        assert!(Trouble::from(InvokeError::PeerFlood).is_of_account());
    }

    #[test]
    fn whatever_leaves_the_fate_of_a_message_open_is_unknown() {
        let silent = InvokeError::Timeout { method: "x", after: std::time::Duration::from_secs(1) };
        for error in [silent, InvokeError::Offline { cause: "x".into() }, InvokeError::Closed] {
            assert!(matches!(Trouble::from(error), Trouble::Unknown { .. }));
        }
        for (code, name) in
            [(500, "RPC_CALL_FAIL"), (500, "MSG_WAIT_FAILED"), (-503, "Timeout"), (503, "TIMEOUT")]
        {
            let error = InvokeError::Rpc { code, name: name.into(), value: None };
            assert_eq!(Trouble::from(error), Trouble::Unknown { cause: name.into() });
        }
    }
}
