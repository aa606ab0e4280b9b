//! Why Telegram did not do what a bot asked, in the words of programs.

use tgtrunk_messages::Failure;

use crate::telegram::{self, Miss};

/// Telegram's words, in small letters, and ours: the first that is found counts.
const WORDS: [(&str, &str); 37] = [
    ("message is not modified", "not_modified"),
    ("message to be replied not found", "message_not_found"),
    ("replied message not found", "message_not_found"),
    ("message to reply not found", "message_not_found"),
    ("message to forward not found", "message_not_found"),
    ("message to copy not found", "message_not_found"),
    ("message to edit not found", "message_not_found"),
    ("message to delete not found", "message_not_found"),
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
    ("bot was blocked by the user", "user_blocked_bot"),
    ("user is deactivated", "dialog_not_found"),
    ("chat not found", "dialog_not_found"),
    ("user not found", "dialog_not_found"),
    ("peer_id_invalid", "dialog_not_found"),
    ("upgraded to a supergroup", "dialog_not_found"),
    ("file is too big", "attachment_too_large"),
    ("request entity too large", "attachment_too_large"),
    ("wrong file identifier", "attachment_failed"),
    ("photo_", "attachment_failed"),
    ("image_process_failed", "attachment_failed"),
    ("file must be non-empty", "attachment_failed"),
    ("not enough rights", "privacy_restricted"),
    ("have no rights", "privacy_restricted"),
    ("need administrator rights", "privacy_restricted"),
    ("chat_write_forbidden", "privacy_restricted"),
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
        telegram::Failure::Refused { code: 413, .. } => refused("attachment_too_large", sentence),
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

    #[test]
    fn telegrams_words_are_those_of_programs() {
        let refused = |description: &str| {
            let failure = telegram::Failure::Refused { code: 400, description: description.into() };
            let Failure::Refused { word, sentence } = told(failure, false) else { panic!("{description}") };
            assert!(sentence.contains(description), "{sentence}");
            word
        };
        assert_eq!(refused("Bad Request: message to be replied not found"), "message_not_found");
        assert_eq!(refused("Bad Request: MESSAGE_TOO_LONG"), "too_long");
        assert_eq!(refused("Bad Request: PHOTO_INVALID_DIMENSIONS"), "attachment_failed");
        assert_eq!(refused("Bad Request: BUTTON_URL_INVALID"), "bad_request");
        assert_eq!(refused("Bad Request: message can't be edited"), "not_editable");
        assert_eq!(refused("Bad Request: the message can't be forwarded"), "privacy_restricted");
        assert_eq!(refused("Bad Request: CHAT_FORWARDS_RESTRICTED"), "privacy_restricted");
        let forbidden = |said: &str| match told(telegram::Failure::Forbidden(said.into()), false) {
            Failure::Refused { word, .. } => word,
            other => panic!("{other}"),
        };
        assert_eq!(forbidden("Forbidden: bot was blocked by the user"), "user_blocked_bot");
        assert_eq!(forbidden("Forbidden: bot can't initiate conversation with a user"), "privacy_restricted");
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
