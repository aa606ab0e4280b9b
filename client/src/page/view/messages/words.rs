//! The words of messages, and what the instances say of themselves in Russian.

use tgtrunk_config::Language;
use tgtrunk_messages::{Direction, Record, RestKind, SendStatus, Standing};

use crate::api::directory::coded;
use crate::causes;
use crate::page::model::Frame;
use crate::page::view::words::say;

/// How an instance stands.
pub(crate) fn standing(language: Language, standing: Standing) -> &'static str {
    match standing {
        Standing::Authorized => say(language, "подключён", "connected"),
        Standing::Starting => say(language, "запускается", "starting"),
        Standing::NotAuthorized => say(language, "нужен вход", "login needed"),
        Standing::PendingPassword => say(language, "ждёт пароль", "password needed"),
        Standing::Suspended => say(language, "ограничен Telegram", "limited by Telegram"),
        Standing::Blocked => say(language, "закрыт Telegram", "closed by Telegram"),
    }
}

/// Which way a message went.
pub(crate) fn direction(language: Language, direction: Direction) -> &'static str {
    match direction {
        Direction::Incoming => say(language, "входящее", "incoming"),
        Direction::Outgoing => say(language, "исходящее", "outgoing"),
    }
}

/// How far a message of ours came.
pub(crate) fn status(language: Language, status: SendStatus) -> &'static str {
    match status {
        SendStatus::Pending => say(language, "в очереди", "in the queue"),
        SendStatus::Sent => say(language, "отправлено", "sent"),
        SendStatus::Read => say(language, "прочитано", "read"),
        SendStatus::Failed => say(language, "не отправлено", "not sent"),
    }
}

/// The class of a colour for it.
pub(crate) fn status_class(status: SendStatus) -> &'static str {
    match status {
        SendStatus::Pending => "orange",
        SendStatus::Sent | SendStatus::Read => "green",
        SendStatus::Failed => "red",
    }
}

/// What is in a message, by [`tgtrunk_messages::Content::kind`].
pub(crate) fn kind(language: Language, kind: &str) -> &'static str {
    match kind {
        "text" => say(language, "текст", "text"),
        "image" => say(language, "картинка", "picture"),
        "video" => say(language, "видео", "video"),
        "audio" => say(language, "звук", "sound"),
        "sticker" => say(language, "стикер", "sticker"),
        "document" => say(language, "файл", "file"),
        "location" => say(language, "место", "place"),
        "contact" => say(language, "контакт", "contact"),
        "poll" => say(language, "опрос", "poll"),
        _ => say(language, "другое", "other"),
    }
}

/// What rests.
pub(crate) fn rest(frame: &Frame, rest: RestKind) -> String {
    let told = match rest {
        RestKind::All => frame.say("Отправка отдыхает", "Sending rests"),
        RestKind::Lookups => {
            frame.say("Поиск по номерам и именам отдыхает", "Looking up numbers and names rests")
        }
        RestKind::Strangers => frame.say("Сообщения незнакомым отдыхают", "Messages to strangers rest"),
        RestKind::Actions => frame.say("Действия программ отдыхают", "Actions of programs rest"),
        RestKind::Chat(chat) => {
            return format!("{} {chat} {}", frame.say("Чат", "Chat"), frame.say("отдыхает", "rests"));
        }
    };
    told.to_owned()
}

/// What an instance says went wrong, in the reader's language as far as that is known.
pub(crate) fn cause(language: Language, english: &str) -> String {
    let russian = if language == Language::Russian { causes::in_russian(english) } else { None };
    russian.unwrap_or_else(|| english.to_owned())
}

/// Why a message was not sent, in the reader's language; where that is known of the program's code alone, the sentence stands
/// beside it.
pub(crate) fn failure(language: Language, record: &Record) -> Option<String> {
    let english = record.failure.as_deref()?;
    let word = record.reason.as_ref().map(|reason| reason.word.as_str());
    Some(coded(english, word).in_language(language).to_owned())
}

#[cfg(test)]
mod tests {
    use tgtrunk_config::Language::{English, Russian};

    use super::*;

    #[test]
    fn what_went_wrong_is_told_in_the_readers_language() {
        for (english, russian) in [
            ("Telegram asks to wait 300 s", "Telegram просит подождать 300\u{a0}с"),
            ("it answers 500 Internal Server Error", "отвечает 500 Internal Server Error"),
            (
                "taken out of the queue; Telegram may have it",
                "убрано из очереди; в Telegram оно могло попасть",
            ),
            ("nobody on Telegram is found by +79990000000", "в Telegram никто не найден по +79990000000"),
            (
                "the person's privacy settings do not allow it (USER_PRIVACY_RESTRICTED)",
                "этого не разрешают настройки приватности человека (USER_PRIVACY_RESTRICTED)",
            ),
            (
                "Telegram has frozen the account (FROZEN_METHOD_INVALID); it must be appealed in the Telegram app",
                "Telegram заморозил аккаунт (FROZEN_METHOD_INVALID); обжалуйте это в приложении Telegram",
            ),
            ("something new", "something new"),
        ] {
            assert_eq!((cause(Russian, english), cause(English, english)), (russian.into(), english.into()));
        }
    }

    #[test]
    fn every_kind_of_content_has_a_word_of_its_own() {
        for language in [Russian, English] {
            let mut words: Vec<&str> =
                tgtrunk_messages::Content::KINDS.iter().map(|word| kind(language, word)).collect();
            words.sort_unstable();
            words.dedup();
            assert_eq!(words.len(), tgtrunk_messages::Content::KINDS.len());
        }
    }
}
