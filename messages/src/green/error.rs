//! What is answered when something is not done: a code, and a sentence that says why, in the vendor's shape.

use axum::http::StatusCode;
use serde_json::{Value, json};

use crate::doors::{SHOWN, shown};
use crate::instance::Refused;
use crate::messenger::Failure;
use crate::standing::Standing;

/// Why a call is not answered with 200.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Failed {
    /// The code.
    pub(super) status: StatusCode,
    /// The sentence.
    pub(super) message: String,
    /// When it may be tried again: seconds.
    pub(super) retry_after_s: Option<u32>,
}

/// Longest pause that a client is told to wait; the official ones sleep for it.
const RETRY_AFTER_S: u32 = 60;
/// When whoever asks for what is starting may ask again.
const AGAIN_S: u32 = 5;

impl Failed {
    pub(super) fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self { status, message: message.into(), retry_after_s: None }
    }

    /// A value that cannot be so. `want` says what is allowed: "must be ...".
    pub(super) fn wrong(key: &str, want: &str, value: Option<&Value>) -> Self {
        let is = match value {
            Some(value) => format!("it is {}", shown(value)),
            None => "it is missing".to_owned(),
        };
        Self::validation(&format!("'{key}' {want}; {is}"))
    }

    /// The same for a value that nobody shall see.
    pub(super) fn wrong_secret(key: &str, want: &str) -> Self {
        Self::validation(&format!("'{key}' {want}"))
    }

    pub(super) fn validation(details: &str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, format!("Validation failed. Details: {details}"))
    }

    pub(super) fn bad_data(sentence: &str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, format!("bad request data: {sentence}"))
    }

    pub(super) fn unauthorized() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "Unauthorized: the token in the path is not this instance's")
    }

    pub(super) fn unknown_instance() -> Self {
        Self::new(StatusCode::FORBIDDEN, "Forbidden: there is no such idInstance")
    }

    pub(super) fn deleted_instance() -> Self {
        Self::new(StatusCode::BAD_REQUEST, "Instance is deleted")
    }

    pub(super) fn unknown_path() -> Self {
        Self::new(StatusCode::FORBIDDEN, "Forbidden: want /waInstance{idInstance}/{method}/{token}")
    }

    pub(super) fn unknown_method(name: &str) -> Self {
        let name: String = name.chars().filter(|c| c.is_ascii_alphanumeric()).take(SHOWN).collect();
        Self::new(StatusCode::NOT_FOUND, format!("Not Found: there is no method '{name}'"))
    }

    pub(super) fn too_many(wait_s: u32) -> Self {
        Self {
            status: StatusCode::TOO_MANY_REQUESTS,
            message: format!("Too Many Requests: try again in {wait_s} s"),
            retry_after_s: Some(wait_s.clamp(1, RETRY_AFTER_S)),
        }
    }

    pub(super) fn too_large(most: u64) -> Self {
        let message = format!("Payload Too Large: want at most {most} bytes");
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, message)
    }

    pub(super) fn too_slow() -> Self {
        Self::new(StatusCode::REQUEST_TIMEOUT, "Request Timeout: the rest of the request does not come")
    }

    pub(super) fn gone() -> Self {
        Self::new(StatusCode::GONE, "Gone: there is no such file, or its time is over")
    }

    /// The disk has no room for it. The vendor knows the server's errors as 500 and 502 alone; clients treat all of them alike.
    pub(super) fn no_room(sentence: &str) -> Self {
        Self::new(StatusCode::INSUFFICIENT_STORAGE, format!("Insufficient Storage: {sentence}"))
    }

    /// It can be done soon.
    pub(super) fn unavailable(cause: &str) -> Self {
        let message = format!("Service Unavailable: {cause}; try again in {AGAIN_S} s");
        Self { retry_after_s: Some(AGAIN_S), ..Self::new(StatusCode::SERVICE_UNAVAILABLE, message) }
    }

    /// The instance stands so that a method cannot be done.
    pub(super) fn standing(standing: Standing) -> Self {
        let (status, message) = match standing {
            Standing::Starting => (StatusCode::BAD_REQUEST, "instance in starting process try later"),
            Standing::Suspended => (StatusCode::FORBIDDEN, "Your account is suspended"),
            Standing::Blocked => (StatusCode::FORBIDDEN, "Your account is blocked"),
            Standing::NotAuthorized | Standing::PendingPassword | Standing::Authorized => {
                (StatusCode::BAD_REQUEST, "instance is starting or not authorized")
            }
        };
        Self::new(status, message)
    }

    /// The answer's body. `path` is the request's, its token masked.
    pub(super) fn body(&self, path: &str, at: &str) -> Value {
        json!({
            "statusCode": self.status.as_u16(),
            "timestamp": at,
            "path": path,
            "message": self.message,
        })
    }
}

impl From<Refused> for Failed {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Bad(details) => Self::validation(&details),
            Refused::Standing(standing) => Self::standing(standing),
            Refused::Missing(sentence) | Refused::UnderWay(sentence) => Self::bad_data(&sentence),
            Refused::Full(sentence) => {
                let message = format!("Too Many Requests: {sentence}");
                Self { retry_after_s: Some(1), ..Self::new(StatusCode::TOO_MANY_REQUESTS, message) }
            }
            Refused::Spent { seconds, .. } => {
                let message = format!("Too Many Requests: {refused}; try again in {seconds} s");
                Self { message, ..Self::too_many(seconds) }
            }
            Refused::Telegram(failure) => failure.into(),
            // Not an error each: whoever runs the program is told of the disk once, and has no room for more.
            Refused::NoRoom(sentence) => Self::no_room(&sentence),
            Refused::Storage(sentence) => {
                tracing::error!(%sentence, "a call is not answered for the disk's sake");
                Self::new(
                    StatusCode::INTERNAL_SERVER_ERROR,
                    "Internal Server Error: the storage failed; the program's log says how",
                )
            }
        }
    }
}

impl From<Failure> for Failed {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Flood { seconds } | Failure::Slow { seconds } => Self::too_many(seconds),
            Failure::PeerFlood => Self::standing(Standing::Suspended),
            Failure::Repeated => Self::bad_data("the message was sent before"),
            Failure::Unknown(sentence) | Failure::Undone(sentence) => Self::new(
                StatusCode::BAD_GATEWAY,
                format!("Bad Gateway: Telegram did not answer: {sentence}"),
            ),
            Failure::Unauthorized => Self::standing(Standing::NotAuthorized),
            Failure::Refused { sentence, .. } => Self::bad_data(&sentence),
            Failure::Unsupported(sentence) => Self::bad_data(sentence),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_value_is_named_with_its_key_and_with_what_is_allowed() {
        let wrong = Failed::wrong("typingTime", "must be 1000 to 20000", Some(&json!(5)));
        assert_eq!(
            wrong.body("/waInstance1/sendTyping/***", "2025-08-21T13:02:16.247Z"),
            json!({
                "statusCode": 400,
                "timestamp": "2025-08-21T13:02:16.247Z",
                "path": "/waInstance1/sendTyping/***",
                "message": "Validation failed. Details: 'typingTime' must be 1000 to 20000; it is 5",
            })
        );
        let missing = Failed::wrong("chatId", "must be a chat", None);
        assert_eq!(missing.message, "Validation failed. Details: 'chatId' must be a chat; it is missing");
        let long = Failed::wrong("x", "must be short", Some(&json!("ж".repeat(1000))));
        assert!(long.message.chars().count() < 130, "{}", long.message);
    }

    #[test]
    fn every_refusal_has_its_code() {
        let refused = |word| Failure::Refused { word, sentence: "no".to_owned() };
        for (failed, code) in [
            (Failed::from(Refused::Bad("x".to_owned())), 400),
            (Failed::from(Refused::Standing(Standing::Starting)), 400),
            (Failed::from(Refused::Standing(Standing::NotAuthorized)), 400),
            (Failed::from(Refused::Standing(Standing::Suspended)), 403),
            (Failed::from(Refused::Missing("x".to_owned())), 400),
            (Failed::from(Refused::Full("x".to_owned())), 429),
            (Failed::from(Refused::Spent { budget: 100, seconds: 40_000 }), 429),
            (Failed::from(Refused::Storage("x".to_owned())), 500),
            (Failed::from(Refused::NoRoom("x".to_owned())), 507),
            (Failed::from(Refused::Telegram(Failure::Flood { seconds: 3 })), 429),
            (Failed::from(Refused::Telegram(Failure::PeerFlood)), 403),
            (Failed::from(Refused::Telegram(Failure::Unknown("x".to_owned()))), 502),
            (Failed::from(Refused::Telegram(Failure::Unauthorized)), 400),
            (Failed::from(Refused::Telegram(refused("privacy_restricted"))), 400),
            (Failed::from(Refused::Telegram(Failure::Unsupported("x"))), 400),
            (Failed::unauthorized(), 401),
            (Failed::unknown_instance(), 403),
            (Failed::unknown_method("x"), 404),
            (Failed::too_large(1), 413),
        ] {
            assert_eq!(failed.status.as_u16(), code, "{failed:?}");
        }
        assert_eq!(Failed::too_many(4000).retry_after_s, Some(60));
    }

    /// Rows of a table of codes: the code, and how its message begins.
    fn rows(page: &'static str, heading: &str) -> Vec<(u16, &'static str)> {
        let table = page.split(heading).nth(1).unwrap().split("\n## ").next().unwrap();
        let row = |line: &'static str| {
            let mut cells = line.strip_prefix("| ")?.split(" | ");
            Some((cells.next()?.parse().ok()?, cells.next()?.trim_matches('`')))
        };
        table.lines().filter_map(row).collect()
    }

    #[test]
    fn the_table_of_codes_has_every_refusal_and_no_other() {
        let english = include_str!("../../../client/API.md");
        let rows_of = rows(english, "\n## The codes of the GREEN-API dialect\n");
        let russian = include_str!("../../../client/API.ru.md");
        assert_eq!(rows(russian, "\n## Коды диалекта GREEN-API\n"), rows_of);
        let unread = crate::green::lenient::read(b"{\"a\": x}").unwrap_err().to_string();
        let no = || "no".to_owned();
        let mut all = vec![
            Failed::new(StatusCode::BAD_REQUEST, unread),
            Failed::validation("no"),
            Failed::bad_data("no"),
            Failed::unauthorized(),
            Failed::unknown_instance(),
            Failed::deleted_instance(),
            Failed::unknown_path(),
            Failed::unknown_method("x"),
            Failed::too_many(1),
            Failed::too_large(1),
            Failed::too_slow(),
            Failed::gone(),
            Failed::unavailable("no"),
            Failed::from(Refused::Full(no())),
            Failed::from(Refused::Spent { budget: 100, seconds: 1 }),
            Failed::from(Refused::Storage(no())),
            Failed::from(Refused::NoRoom(no())),
        ];
        let standings = [Standing::Starting, Standing::NotAuthorized, Standing::Suspended, Standing::Blocked];
        all.extend(standings.map(Failed::standing));
        let failures = [
            Failure::Flood { seconds: 1 },
            Failure::Slow { seconds: 1 },
            Failure::PeerFlood,
            Failure::Repeated,
            Failure::Unknown(no()),
            Failure::Unauthorized,
            Failure::Refused { word: "internal", sentence: no() },
            Failure::Unsupported("no"),
        ];
        all.extend(failures.map(Failed::from));
        let is_of = |failed: &Failed, (code, start): &(u16, &str)| {
            failed.status.as_u16() == *code && failed.message.starts_with(start)
        };
        for failed in &all {
            assert!(rows_of.iter().any(|row| is_of(failed, row)), "it is not in client/API.md: {failed:?}");
        }
        for row in &rows_of {
            assert!(
                all.iter().any(|failed| is_of(failed, row)),
                "client/API.md has what is never said: {row:?}"
            );
        }
    }
}
