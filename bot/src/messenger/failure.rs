//! Why Telegram did not do what a bot asked, in the words of programs.

use tgtrunk_messages::Failure;

use crate::telegram::{self, Miss};

/// Telegram's words, in small letters, and ours: the first that is found counts. They are those of the Bot API server and of
/// the library beneath it (tdlib/telegram-bot-api, tdlib/td).
const WORDS: [(&str, &str); 44] = [
    ("message is not modified", "not_modified"),
    ("message to be replied not found", "message_not_found"),
    ("message to forward not found", "message_not_found"),
    ("message to copy not found", "message_not_found"),
    ("message to edit not found", "message_not_found"),
    ("message to delete not found", "message_not_found"),
    ("message not found", "message_not_found"),
    ("message_id_invalid", "message_not_found"),
    ("message identifier is not specified", "message_not_found"),
    ("message can't be edited", "not_editable"),
    ("message can't be deleted", "not_editable"),
    ("there is no text in the message to edit", "not_editable"),
    ("there is no caption in the message to edit", "not_editable"),
    ("message is too long", "too_long"),
    ("caption is too long", "too_long"),
    ("message_too_long", "too_long"),
    ("can't parse entities", "markup_error"),
    ("entity begin", "markup_error"),
    ("entity_", "markup_error"),
    ("bot was blocked by the user", "user_blocked_bot"),
    ("user is deactivated", "dialog_not_found"),
    ("chat not found", "dialog_not_found"),
    ("user not found", "dialog_not_found"),
    ("peer_id_invalid", "dialog_not_found"),
    ("upgraded to a supergroup", "dialog_not_found"),
    ("group chat was deleted", "dialog_not_found"),
    ("file is too big", "attachment_too_large"),
    ("bytes is too big", "attachment_too_large"),
    ("request entity too large", "attachment_too_large"),
    ("wrong file identifier", "attachment_failed"),
    ("wrong remote file identifier", "attachment_failed"),
    ("photo has unsupported extension", "attachment_failed"),
    ("photo_", "attachment_failed"),
    ("image_process_failed", "attachment_failed"),
    ("file must be non-empty", "attachment_failed"),
    ("not enough rights", "privacy_restricted"),
    ("have no write access", "privacy_restricted"),
    ("need administrator rights", "privacy_restricted"),
    ("chat_admin_required", "privacy_restricted"),
    ("chat_restricted", "privacy_restricted"),
    ("_forbidden", "privacy_restricted"),
    ("can't be forwarded", "privacy_restricted"),
    ("can't be copied", "privacy_restricted"),
    ("forwards_restricted", "privacy_restricted"),
];

/// It is refused for good.
pub(super) fn refused(word: &'static str, sentence: impl Into<String>) -> Failure {
    Failure::Refused { word, sentence: sentence.into() }
}

/// No bot can do it.
pub(super) fn unsupported(sentence: &'static str) -> Failure {
    refused("unsupported_for_bot", sentence)
}

/// What a request came to that was not done; `chat` is where it was to be.
pub(super) fn judge(miss: Miss, chat: Option<i64>) -> Failure {
    let Miss { failure, may_be_done, moved_to } = miss;
    let sentence = failure.to_string();
    if let Some(group) = moved_to {
        let sentence = format!("the group is a supergroup now: its dialog is {group}");
        return refused("dialog_not_found", sentence);
    }
    match failure {
        telegram::Failure::Flood { wait } => {
            let seconds = u32::try_from(wait.as_secs()).unwrap_or(u32::MAX);
            // Of a group Telegram takes twenty messages a minute, whatever the others get.
            match chat {
                Some(..0) => Failure::Slow { seconds },
                _ => Failure::Flood { seconds },
            }
        }
        telegram::Failure::Token => Failure::Unauthorized,
        telegram::Failure::Forbidden(said) => refused(word(&said, "privacy_restricted"), sentence),
        telegram::Failure::Refused { code: 413, .. } => {
            refused("attachment_too_large", format!("{sentence}; it takes files of up to 50 MB of a bot"))
        }
        telegram::Failure::Refused { description, .. } => {
            refused(word(&description, "bad_request"), sentence)
        }
        telegram::Failure::Conflict(_)
        | telegram::Failure::Down(_)
        | telegram::Failure::Unreachable(_)
        | telegram::Failure::Unreadable(_) => match may_be_done {
            true => Failure::Unknown(sentence),
            false => Failure::Undone(sentence),
        },
    }
}

fn word(said: &str, otherwise: &'static str) -> &'static str {
    let said = said.to_lowercase();
    WORDS.iter().find(|(words, _)| said.contains(words)).map_or(otherwise, |(_, word)| word)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn told(failure: telegram::Failure, may_be_done: bool) -> Failure {
        judge(Miss { failure, may_be_done, moved_to: None }, Some(5))
    }

    /// What the server says, word for word.
    const SAID: [(u16, &str, &str); 52] = [
        (
            400,
            "Bad Request: message is not modified: specified new message content and reply markup are exactly the same as a \
             current content and reply markup of the message",
            "not_modified",
        ),
        (400, "Bad Request: message to be replied not found", "message_not_found"),
        (400, "Bad Request: message to forward not found", "message_not_found"),
        (400, "Bad Request: message to copy not found", "message_not_found"),
        (400, "Bad Request: message to edit not found", "message_not_found"),
        (400, "Bad Request: message to delete not found", "message_not_found"),
        (400, "Bad Request: message not found", "message_not_found"),
        (400, "Bad Request: MESSAGE_ID_INVALID", "message_not_found"),
        (400, "Bad Request: message identifier is not specified", "message_not_found"),
        (400, "Bad Request: message can't be edited", "not_editable"),
        (400, "Bad Request: message can't be deleted", "not_editable"),
        (400, "Bad Request: message can't be deleted for everyone", "not_editable"),
        (400, "Bad Request: there is no text in the message to edit", "not_editable"),
        (400, "Bad Request: there is no caption in the message to edit", "not_editable"),
        (400, "Bad Request: message is too long", "too_long"),
        (400, "Bad Request: message caption is too long", "too_long"),
        (400, "Bad Request: MESSAGE_TOO_LONG", "too_long"),
        (
            400,
            "Bad Request: can't parse entities: Can't find end of the entity starting at byte offset 1",
            "markup_error",
        ),
        (400, "Bad Request: entity begins in a middle of a UTF-16 symbol at byte offset 3", "markup_error"),
        (400, "Bad Request: ENTITY_BOUNDS_INVALID", "markup_error"),
        (403, "Forbidden: bot was blocked by the user", "user_blocked_bot"),
        (403, "Forbidden: user is deactivated", "dialog_not_found"),
        (400, "Bad Request: chat not found", "dialog_not_found"),
        (400, "Bad Request: private chat not found", "dialog_not_found"),
        (400, "Bad Request: user not found", "dialog_not_found"),
        (400, "Bad Request: PEER_ID_INVALID", "dialog_not_found"),
        (400, "Bad Request: group chat was upgraded to a supergroup chat", "dialog_not_found"),
        (403, "Forbidden: the group chat was deleted", "dialog_not_found"),
        (400, "Bad Request: file is too big", "attachment_too_large"),
        (
            400,
            "Bad Request: file of size 10485761 bytes is too big for a photo; the maximum size is 10485760 bytes",
            "attachment_too_large",
        ),
        (413, "Request Entity Too Large", "attachment_too_large"),
        (400, "Bad Request: wrong file identifier/HTTP URL specified", "attachment_failed"),
        (
            400,
            "Bad Request: wrong remote file identifier specified: can't unserialize it. Wrong last symbol",
            "attachment_failed",
        ),
        (
            400,
            "Bad Request: photo has unsupported extension. Use one of .jpg, .jpeg, .gif, .png, .tif or .bmp",
            "attachment_failed",
        ),
        (400, "Bad Request: PHOTO_INVALID_DIMENSIONS", "attachment_failed"),
        (400, "Bad Request: IMAGE_PROCESS_FAILED", "attachment_failed"),
        (400, "Bad Request: file must be non-empty", "attachment_failed"),
        (400, "Bad Request: not enough rights to send text messages to the chat", "privacy_restricted"),
        (400, "Bad Request: have no write access to the chat", "privacy_restricted"),
        (400, "Bad Request: need administrator rights in the channel chat", "privacy_restricted"),
        (400, "Bad Request: CHAT_ADMIN_REQUIRED", "privacy_restricted"),
        (400, "Bad Request: CHAT_RESTRICTED", "privacy_restricted"),
        (400, "Bad Request: CHAT_SEND_MEDIA_FORBIDDEN", "privacy_restricted"),
        (400, "Bad Request: VOICE_MESSAGES_FORBIDDEN", "privacy_restricted"),
        (400, "Bad Request: the message can't be forwarded", "privacy_restricted"),
        (400, "Bad Request: message has protected content and can't be forwarded", "privacy_restricted"),
        (400, "Bad Request: the message can't be copied", "privacy_restricted"),
        (400, "Bad Request: CHAT_FORWARDS_RESTRICTED", "privacy_restricted"),
        (403, "Forbidden: bot can't initiate conversation with a user", "privacy_restricted"),
        (403, "Forbidden: bot was kicked from the supergroup chat", "privacy_restricted"),
        (403, "Forbidden: the bot can't send messages to the bot", "privacy_restricted"),
        (400, "Bad Request: BUTTON_URL_INVALID", "bad_request"),
    ];

    #[test]
    fn telegrams_words_are_those_of_programs() {
        for (code, description, wanted) in SAID {
            let failure = match code {
                403 => telegram::Failure::Forbidden(description.to_owned()),
                code => telegram::Failure::Refused { code, description: description.to_owned() },
            };
            let Failure::Refused { word, sentence } = told(failure, false) else { panic!("{description}") };
            assert_eq!(word, wanted, "{description}");
            assert!(sentence.contains(description), "{sentence}");
        }
        let said = |words: &str| SAID.iter().any(|(_, said, _)| said.to_lowercase().contains(words));
        let unsaid: Vec<_> = WORDS.iter().filter(|(words, _)| !said(words)).collect();
        assert!(unsaid.is_empty(), "nobody says {unsaid:?}");
    }

    #[test]
    fn what_may_be_done_is_unknown_and_a_flood_rests_the_group_or_all() {
        let lost = || telegram::Failure::Unreachable("x".into());
        assert!(matches!(told(lost(), true), Failure::Unknown(_)));
        assert!(matches!(told(lost(), false), Failure::Undone(_)));
        assert_eq!(told(telegram::Failure::Token, false), Failure::Unauthorized);
        let flood = || Miss {
            failure: telegram::Failure::Flood { wait: Duration::from_secs(7) },
            may_be_done: false,
            moved_to: None,
        };
        assert_eq!(judge(flood(), Some(5)), Failure::Flood { seconds: 7 });
        assert_eq!(judge(flood(), Some(-1005)), Failure::Slow { seconds: 7 });
    }

    #[test]
    fn no_words_are_hidden_behind_others() {
        for (at, (words, _)) in WORDS.iter().enumerate() {
            assert!(WORDS[..at].iter().all(|(before, _)| !words.contains(before)), "{words}");
        }
    }
}
