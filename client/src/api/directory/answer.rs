//! What programs are answered: what they asked for, or why not, as JSON with a status that says the same.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use tgtrunk_config::Said;
use tgtrunk_messages::{Refused, shown};

use super::store::StoreError;

/// What a program gets.
pub(super) type Answer = Result<Value, Failed>;

/// Why a program does not get what it asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Failed {
    status: StatusCode,
    /// For programs.
    code: &'static str,
    /// For people: what it is about, and what is allowed.
    pub(super) message: String,
    /// The same in Russian; empty where only the English is known.
    pub(super) russian: String,
    /// Which field it is about.
    pub(super) key: Option<&'static str>,
    /// Whether the same may be done later.
    pub(super) is_retryable: bool,
    /// When: seconds.
    pub(super) retry_after_s: Option<u32>,
}

/// When whoever asks for what is starting may ask again: seconds.
const AGAIN_S: u32 = 5;

impl Failed {
    fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        let message = message.into();
        Self {
            status,
            code,
            message,
            russian: String::new(),
            key: None,
            is_retryable: false,
            retry_after_s: None,
        }
    }

    /// Something in the request cannot be so.
    pub(super) fn bad(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad_request", message)
    }

    /// A value that cannot be so: "want …".
    pub(super) fn wrong(key: &'static str, value: &Value, want: &Said) -> Self {
        let value = shown(value);
        let said = want.within(|en| format!("{key} = {value}: {en}"), |ru| format!("{key} = {value}: {ru}"));
        Self::bad(said.en).of(key).in_russian(said.ru)
    }

    /// What is named by it is not there.
    pub(super) fn not_found(self) -> Self {
        Self { status: StatusCode::NOT_FOUND, ..self }
    }

    /// A text has more letters than can be sent.
    pub(super) fn too_long(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "too_long", message)
    }

    /// The body is larger than any that can be meant.
    pub(super) fn too_large(most: usize) -> Self {
        let message = format!("the body is longer than {most} bytes");
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "too_long", message)
    }

    /// It is asked for by another verb.
    pub(super) fn other_verb(message: impl Into<String>) -> Self {
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "bad_request", message)
    }

    /// It is about this field.
    pub(super) fn of(self, key: &'static str) -> Self {
        Self { key: Some(key), ..self }
    }

    /// The same for people who read Russian.
    pub(super) fn in_russian(self, russian: impl Into<String>) -> Self {
        Self { russian: russian.into(), ..self }
    }

    /// For people, in both languages.
    pub(super) fn said(&self) -> Said {
        Said::new(self.message.as_str(), self.russian.as_str())
    }

    /// A value is taken by somebody else, or stands in the way of it.
    pub(super) fn taken(message: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, "bad_request", message)
    }

    /// There is no such thing.
    pub(super) fn missing(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "bad_request", message)
    }

    /// Nobody is meant by that.
    pub(super) fn nobody(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "dialog_not_found", message)
    }

    /// There is no such token.
    pub(super) fn stranger() -> Self {
        let message = "want the header Authorization: Bearer {token}, with a token of tgtrunk-client action-token make \
             that was not revoked";
        Self::new(StatusCode::UNAUTHORIZED, "unauthorized", message)
    }

    /// The token is not good for that.
    pub(super) fn forbidden(message: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "unauthorized", message)
    }

    /// No account writes for it.
    pub(super) fn no_sender(message: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, "not_authorized", message)
    }

    /// The account that writes for it is not open yet.
    pub(super) fn starting(message: impl Into<String>) -> Self {
        Self::soon("not_authorized", message)
    }

    /// So many are on their way that no more is taken.
    pub(super) fn full(message: impl Into<String>) -> Self {
        Self::soon("flood_wait", message)
    }

    /// The database cannot be opened yet.
    pub(super) fn closed(message: impl Into<String>) -> Self {
        Self::soon("internal", message)
    }

    /// The bot program is not there, or says nothing.
    pub(super) fn no_bot_program(message: impl Into<String>) -> Self {
        Self::soon("timeout", message)
    }

    /// Telegram cannot be asked.
    pub(super) fn no_telegram(message: impl Into<String>) -> Self {
        Self { status: StatusCode::BAD_GATEWAY, ..Self::soon("timeout", message) }
    }

    /// The bot program does not do it, and nobody knows how to mend that.
    pub(super) fn bot_program(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_GATEWAY, "internal", message)
    }

    /// What answers has broken off.
    pub(super) fn broke_off() -> Self {
        let message = "the program's log says what broke";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", message)
    }

    /// It can be done soon.
    fn soon(code: &'static str, message: impl Into<String>) -> Self {
        let failed = Self::new(StatusCode::SERVICE_UNAVAILABLE, code, message);
        Self { is_retryable: true, retry_after_s: Some(AGAIN_S), ..failed }
    }

    /// What was asked for could not be written or read.
    fn broken() -> Self {
        let message = "the storage failed; the program's log says how";
        let failed = Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", message)
            .in_russian("хранилище отказало; подробности в журнале программы");
        Self { is_retryable: true, ..failed }
    }

    /// The disk is full.
    fn no_room(sentence: String) -> Self {
        let failed = Self::new(StatusCode::INSUFFICIENT_STORAGE, "internal", sentence)
            .in_russian("диск полон: ничего не сохранено; освободите место и повторите");
        Self { is_retryable: true, ..failed }
    }

    fn body(&self) -> Value {
        json!({"ok": false, "error": {
            "code": self.code, "message": self.message, "retryable": self.is_retryable,
            "retry_after": self.retry_after_s,
        }})
    }
}

/// The response to a program.
pub(super) fn response(answer: Answer) -> Response {
    let failed = match answer {
        Ok(result) => return as_json(StatusCode::OK, &json!({"ok": true, "result": result})),
        Err(failed) => failed,
    };
    let mut response = as_json(failed.status, &failed.body());
    if failed.status == StatusCode::UNAUTHORIZED {
        response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    if let Some(after_s) = failed.retry_after_s {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(after_s));
    }
    response
}

/// As actions answer: 1C and others read texts as the header says.
pub(crate) fn as_json(status: StatusCode, told: &Value) -> Response {
    const KIND: HeaderValue = HeaderValue::from_static("application/json; charset=utf-8");
    (status, [(header::CONTENT_TYPE, KIND)], told.to_string()).into_response()
}

impl From<StoreError> for Failed {
    fn from(error: StoreError) -> Self {
        if let StoreError::Sql(error) = error {
            return Refused::from(error).into();
        }
        tracing::error!("a request is not answered: {error}");
        Self::broken()
    }
}

impl From<Refused> for Failed {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Storage(sentence) => {
                tracing::error!("a request is not answered: {sentence}");
                Self::broken()
            }
            // Whoever runs the program is told of the disk once.
            Refused::NoRoom(sentence) => Self::no_room(sentence),
            Refused::Full(sentence) => Self::full(sentence),
            refused => Self::bad(refused.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use tgtrunk_config::control::{Refusal, RefusalCode};

    use super::super::bots::BotTrouble;
    use super::*;

    #[test]
    fn what_is_wrong_is_named_with_what_is_allowed_and_long_values_are_cut() {
        let wrong = Failed::wrong("notify", &json!("maybe"), &"want true or false".into());
        let promised = json!({"ok": false, "error": {
            "code": "bad_request", "message": "notify = \"maybe\": want true or false", "retryable": false,
            "retry_after": null,
        }});
        assert_eq!(wrong.body(), promised);
        let long = Failed::wrong("text", &json!("ж".repeat(9_000)), &"want less".into());
        assert!(long.message.chars().count() < 100, "{}", long.message);
    }

    #[test]
    fn whoever_is_refused_hears_what_to_do_by_headers_too() {
        let stranger = response(Err(Failed::stranger()));
        assert_eq!(stranger.status(), 401);
        assert_eq!(stranger.headers()[header::WWW_AUTHENTICATE], "Bearer");
        let later = response(Err(Failed::no_bot_program("later")));
        for told in [&stranger, &later, &response(Ok(json!({"title": "Анна"})))] {
            assert_eq!(told.headers()[header::CONTENT_TYPE], "application/json; charset=utf-8");
        }
        assert_eq!(
            (later.status().as_u16(), later.headers()[header::RETRY_AFTER].to_str().unwrap()),
            (503, "5")
        );
    }

    /// Rows of the table of codes: the code, and the statuses that it has.
    fn rows(page: &'static str, heading: &str) -> BTreeSet<(&'static str, u16)> {
        let part = page.split(heading).nth(1).unwrap().split("\n## ").next().unwrap();
        let row = |line: &'static str| {
            let mut cells = line.strip_prefix("| `")?.split(" | ");
            let (code, statuses) = (cells.next()?.strip_suffix('`')?, cells.next()?);
            statuses.split(", ").map(|status| Some((code, status.parse().ok()?))).collect::<Option<Vec<_>>>()
        };
        part.lines().filter_map(row).flatten().collect()
    }

    #[test]
    fn the_table_of_codes_has_every_refusal_and_no_other() {
        let bot = |code| BotTrouble::Refused(Refusal { code, message: "no".to_owned() }).failed();
        let all = [
            Failed::bad("no"),
            Failed::wrong("notify", &json!("no"), &"want true or false".into()),
            Failed::wrong("organisation", &json!("no"), &"want a name".into()).not_found(),
            Failed::too_long("no"),
            Failed::too_large(1),
            Failed::other_verb("no"),
            Failed::taken("no"),
            Failed::missing("no"),
            Failed::nobody("no"),
            Failed::stranger(),
            Failed::forbidden("no"),
            Failed::no_sender("no"),
            Failed::starting("no"),
            Failed::full("no"),
            Failed::closed("no"),
            Failed::broke_off(),
            Failed::from(Refused::Storage("no".to_owned())),
            Failed::from(Refused::NoRoom("no".to_owned())),
            Failed::from(Refused::Full("no".to_owned())),
            Failed::from(Refused::Bad("no".to_owned())),
            BotTrouble::Absent.failed(),
            BotTrouble::Silent("no".to_owned()).failed(),
            bot(RefusalCode::BadToken),
            bot(RefusalCode::Unreachable),
            bot(RefusalCode::UnknownBot),
            bot(RefusalCode::UnknownPerson),
            bot(RefusalCode::Limit),
            bot(RefusalCode::Stopping),
            bot(RefusalCode::Internal),
        ];
        let told = all.iter().map(|failed| (failed.code, failed.status.as_u16())).collect();
        let english = include_str!("../../../API.md");
        assert_eq!(rows(english, "\n## Notifications: organisations, recipients, keys\n"), told);
        let russian = include_str!("../../../API.ru.md");
        assert_eq!(rows(russian, "\n## Оповещения: организации, получатели, ключи\n"), told);
        for failed in all {
            assert_eq!(
                failed.retry_after_s.is_some_and(|wait_s| wait_s > 0),
                failed.status == 503 || failed.code == "timeout",
                "{failed:?}"
            );
            assert!(!failed.is_retryable || failed.status.is_server_error(), "{failed:?}");
        }
    }
}
