//! What Telegram's words mean for a program: one of its codes, and a sentence for people.

use tgtrunk_messages::{Address, Failure, phone_hint};
use tgtrunk_telegram::{InvokeError, ResolveError};

/// What Telegram says, by its words: for programs, and for people in English and Russian.
const WORDS: &[(&[&str], &str, &str, &str)] = &[
    (
        &["PRIVACY_PREMIUM_REQUIRED"],
        "privacy_restricted",
        "the person takes messages from Premium accounts and contacts only",
        "человек принимает сообщения только от контактов и аккаунтов Premium",
    ),
    (
        &[
            "USER_PRIVACY_RESTRICTED",
            "USER_NOT_MUTUAL_CONTACT",
            "VOICE_MESSAGES_FORBIDDEN",
            "USER_CHANNELS_TOO_MUCH",
            "CHAT_GUEST_SEND_FORBIDDEN",
            "ALLOW_PAYMENT_REQUIRED",
        ],
        "privacy_restricted",
        "the person's privacy settings do not allow it",
        "этого не разрешают настройки приватности человека",
    ),
    (
        &[
            "CHAT_ADMIN_REQUIRED",
            "CHAT_WRITE_FORBIDDEN",
            "USER_BANNED_IN_CHANNEL",
            "RIGHT_FORBIDDEN",
            "CHAT_RESTRICTED",
            "CHAT_ADMIN_INVITE_REQUIRED",
            "USER_ADMIN_INVALID",
            "CHAT_NOT_MODIFIED_FORBIDDEN",
        ],
        "privacy_restricted",
        "the account may not do this in the chat",
        "аккаунту нельзя делать это в чате",
    ),
    (
        &["CHAT_FORWARDS_RESTRICTED"],
        "privacy_restricted",
        "the chat is protected: nothing of it can be forwarded",
        "чат защищён: из него ничего нельзя переслать",
    ),
    (
        &["PREMIUM_ACCOUNT_REQUIRED"],
        "unsupported_for_user",
        "only Premium accounts can do this",
        "это могут только аккаунты Premium",
    ),
    (
        &["BOT_METHOD_INVALID", "USER_BOT_REQUIRED", "USER_BOT_INVALID", "BUTTON_TYPE_INVALID"],
        "unsupported_for_user",
        "only bots can do this",
        "это могут только боты",
    ),
    (
        &["USER_IS_BLOCKED", "USER_BLOCKED"],
        "user_blocked_bot",
        "the person has blocked the account",
        "человек заблокировал аккаунт",
    ),
    (
        &["YOU_BLOCKED_USER"],
        "user_blocked_bot",
        "the account has blocked the person: unblock them in the Telegram app",
        "аккаунт заблокировал человека: разблокируйте его в приложении Telegram",
    ),
    (
        &["USER_IS_BOT"],
        "bad_request",
        "a bot takes no messages of other bots",
        "бот не принимает сообщений от других ботов",
    ),
    (
        &["INPUT_USER_DEACTIVATED", "USER_DELETED"],
        "dialog_not_found",
        "the person's account is deleted",
        "аккаунт человека удалён",
    ),
    (
        &[
            "PEER_ID_INVALID",
            "USER_ID_INVALID",
            "CHAT_ID_INVALID",
            "CHANNEL_INVALID",
            "CHANNEL_PRIVATE",
            "CHAT_FORBIDDEN",
            "USERNAME_NOT_OCCUPIED",
            "USERNAME_INVALID",
            "PARTICIPANT_ID_INVALID",
        ],
        "dialog_not_found",
        "the account does not know this person or chat",
        "аккаунт не знает этого человека или чата",
    ),
    (
        &["PHONE_NOT_OCCUPIED", "PHONE_NUMBER_INVALID", "PHONE_NUMBER_UNOCCUPIED"],
        "no_telegram_account",
        "nobody on Telegram is found by this number",
        "в Telegram никто не найден по этому номеру",
    ),
    (
        &["MESSAGE_ID_INVALID", "MSG_ID_INVALID", "MESSAGE_IDS_EMPTY", "MESSAGE_ID_REQUIRED"],
        "message_not_found",
        "the message is not there",
        "такого сообщения нет",
    ),
    (
        &["REPLY_MESSAGE_ID_INVALID", "REPLY_TO_INVALID", "REPLY_MESSAGES_TOO_MUCH"],
        "message_not_found",
        "the message that is answered is not there",
        "сообщения, на которое это ответ, нет",
    ),
    (
        &[
            "MESSAGE_AUTHOR_REQUIRED",
            "MESSAGE_EDIT_TIME_EXPIRED",
            "MESSAGE_DELETE_FORBIDDEN",
            "INLINE_BOT_REQUIRED",
            "MEDIA_PREV_INVALID",
        ],
        "not_editable",
        "the message is not the account's own, or too old to be changed",
        "сообщение чужое или слишком старое, чтобы его менять",
    ),
    (&["MESSAGE_NOT_MODIFIED", "CHAT_NOT_MODIFIED"], "not_modified", "it is so already", "так уже и есть"),
    (
        &["MESSAGE_TOO_LONG", "MEDIA_CAPTION_TOO_LONG"],
        "too_long",
        "the text is too long",
        "текст слишком длинный",
    ),
    (
        &[
            "ENTITY_BOUNDS_INVALID",
            "ENTITIES_TOO_LONG",
            "ENTITY_MENTION_USER_INVALID",
            "ENTITY_TEXTURL_INVALID",
        ],
        "markup_error",
        "the markup of the text is wrong",
        "в тексте ошибка разметки",
    ),
    (
        &["MEDIA_GROUPED_INVALID", "GROUPED_MEDIA_INVALID", "MULTI_MEDIA_TOO_LONG"],
        "bad_request",
        "these files do not go together in one album",
        "эти файлы нельзя объединить в альбом",
    ),
    (
        &["FILE_PARTS_INVALID", "FILE_PART_TOO_BIG", "FILE_TOO_LARGE"],
        "attachment_too_large",
        "the file is too large for Telegram",
        "файл слишком велик для Telegram",
    ),
    (
        &[
            "IMAGE_PROCESS_FAILED",
            "PHOTO_INVALID_DIMENSIONS",
            "PHOTO_EXT_INVALID",
            "PHOTO_SAVE_FILE_INVALID",
            "PHOTO_CROP_SIZE_SMALL",
            "PHOTO_INVALID",
            "MEDIA_INVALID",
            "MEDIA_EMPTY",
            "FILE_REFERENCE_EXPIRED",
            "FILE_REFERENCE_INVALID",
            "FILE_REFERENCE_EMPTY",
            "FILE_ID_INVALID",
            "LOCATION_INVALID",
            "FILE_PART_MISSING",
            "FILE_PARTS_MISSING",
            "FILE_PART_EMPTY",
            "FILE_PART_INVALID",
            "FILE_PART_LENGTH_INVALID",
            "MD5_CHECKSUM_INVALID",
            "DOCUMENT_INVALID",
            "VIDEO_CONTENT_TYPE_INVALID",
            "WEBPAGE_CURL_FAILED",
            "WEBPAGE_MEDIA_EMPTY",
            "EXTERNAL_URL_INVALID",
        ],
        "attachment_failed",
        "Telegram does not take this file",
        "Telegram не принимает этот файл",
    ),
    (
        &["USER_ALREADY_PARTICIPANT"],
        "bad_request",
        "the person is in the group already",
        "человек уже в группе",
    ),
    (&["USER_NOT_PARTICIPANT"], "bad_request", "the person is not in the group", "человека нет в группе"),
    (
        &["USERS_TOO_MUCH", "USERS_TOO_FEW"],
        "bad_request",
        "the group would have too many members, or too few",
        "в группе было бы слишком много участников или слишком мало",
    ),
    (&["MESSAGE_EMPTY"], "bad_request", "the message is empty", "сообщение пустое"),
    (
        &["POLL_OPTION_INVALID", "POLL_ANSWERS_INVALID", "POLL_QUESTION_INVALID", "POLL_OPTION_DUPLICATE"],
        "bad_request",
        "Telegram does not take this poll",
        "Telegram не принимает этот опрос",
    ),
];

/// What a refusal's sentence for people is in Russian.
pub(crate) fn in_russian(english: &str) -> Option<String> {
    let (sentence, name) = english.split_once(" (").unwrap_or((english, ""));
    let (.., russian) = WORDS.iter().find(|(_, _, known, _)| *known == sentence)?;
    Some(if name.is_empty() { (*russian).to_owned() } else { format!("{russian} ({name}") })
}

/// A refusal for good.
pub(super) fn refused(word: &'static str, sentence: String) -> Failure {
    Failure::Refused { word, sentence }
}

/// What it means that a request failed.
pub(super) fn judge(error: InvokeError) -> Failure {
    let (code, name) = match error {
        InvokeError::Rpc { name, value: Some(seconds), .. } if name == "SLOWMODE_WAIT" => {
            return Failure::Slow { seconds };
        }
        InvokeError::Rpc { code, name, .. } => (code, name),
        InvokeError::Flood { seconds } => return Failure::Flood { seconds },
        InvokeError::PeerFlood => return Failure::PeerFlood,
        InvokeError::Revoked { .. } => return Failure::Unauthorized,
        InvokeError::Timeout { .. }
        | InvokeError::Offline { .. }
        | InvokeError::Proxy { .. }
        | InvokeError::Crowded { .. }
        | InvokeError::KeyExchange { .. }
        | InvokeError::Malformed { .. }
        | InvokeError::Storage { .. }
        | InvokeError::Closed => return Failure::Unknown(error.to_string()),
    };
    if name == "RANDOM_ID_DUPLICATE" {
        return Failure::Repeated;
    }
    if name.starts_with("FROZEN_") {
        let sentence =
            format!("Telegram has frozen the account ({name}); it must be appealed in the Telegram app");
        return refused("peer_flood", sentence);
    }
    if let Some((_, word, sentence, _)) = WORDS.iter().find(|(names, ..)| names.contains(&name.as_str())) {
        return refused(word, format!("{sentence} ({name})"));
    }
    // An error inside Telegram: the request may have been carried out (core.telegram.org/api/errors).
    if !(0..500).contains(&code) || name.starts_with("INTERDC_") {
        return Failure::Unknown(format!("Telegram failed inside ({name})"));
    }
    let word = match name.as_str() {
        _ if name.starts_with("CHAT_SEND_") && name.ends_with("_FORBIDDEN") => "privacy_restricted",
        _ if code == 403 => "privacy_restricted",
        _ => "bad_request",
    };
    refused(word, format!("Telegram refused: {name}"))
}

/// What it means that somebody was not found.
pub(super) fn judge_lookup(error: ResolveError, of: &Address) -> Failure {
    match error {
        ResolveError::NotFound(_) | ResolveError::Invalid(_) => match of {
            Address::Phone(phone) => {
                refused("no_telegram_account", format!("nobody on Telegram is found by +{phone}"))
            }
            Address::Chat(chat) => refused(
                "dialog_not_found",
                format!(
                    "the account has never met {chat}: name them by phone number or @name once{}",
                    phone_hint(&chat.to_string())
                ),
            ),
            Address::Username(name) => {
                refused("dialog_not_found", format!("nobody on Telegram is found by @{name}"))
            }
        },
        ResolveError::Flood { seconds } => Failure::Flood { seconds },
        ResolveError::Invoke(error) => judge(error),
        ResolveError::Storage(cause) => Failure::Unknown(cause),
    }
}

#[cfg(test)]
mod tests {
    use tgtrunk_messages::ChatId;

    use super::*;

    #[test]
    fn every_sentence_is_there_in_russian_once() {
        let mut seen = std::collections::BTreeSet::new();
        for (.., english, russian) in WORDS {
            assert!(seen.insert(english), "{english}");
            assert!(russian.chars().any(|letter| ('а'..='я').contains(&letter)), "{english}");
            assert_eq!(in_russian(&format!("{english} (SOME_WORD)")), Some(format!("{russian} (SOME_WORD)")));
        }
        assert_eq!(in_russian("something new"), None);
    }

    #[test]
    fn telegrams_words_become_what_programs_can_match_on() {
        for (code, name, expected) in [
            (400, "PEER_ID_INVALID", "dialog_not_found"),
            (403, "USER_IS_BLOCKED", "user_blocked_bot"),
            (400, "MESSAGE_NOT_MODIFIED", "not_modified"),
            (403, "CHAT_SEND_DOCS_FORBIDDEN", "privacy_restricted"),
            (400, "PHOTO_INVALID_DIMENSIONS", "attachment_failed"),
            (420, "FROZEN_METHOD_INVALID", "peer_flood"),
            (400, "CHAT_FORWARDS_RESTRICTED", "privacy_restricted"),
            (400, "PHONE_NOT_OCCUPIED", "no_telegram_account"),
            (400, "MESSAGE_ID_INVALID", "message_not_found"),
            (400, "REPLY_TO_INVALID", "message_not_found"),
            (403, "MESSAGE_AUTHOR_REQUIRED", "not_editable"),
            (400, "MESSAGE_EDIT_TIME_EXPIRED", "not_editable"),
            (400, "MEDIA_CAPTION_TOO_LONG", "too_long"),
            (400, "ENTITY_BOUNDS_INVALID", "markup_error"),
            (400, "FILE_PARTS_INVALID", "attachment_too_large"),
            (400, "PREMIUM_ACCOUNT_REQUIRED", "unsupported_for_user"),
            (400, "MEDIA_GROUPED_INVALID", "bad_request"),
            (400, "SOMETHING_NEW", "bad_request"),
        ] {
            match judge(rpc(code, name)) {
                Failure::Refused { word, sentence } => {
                    assert_eq!(word, expected, "{name}");
                    assert!(sentence.contains(name), "{sentence}");
                }
                other => panic!("{name}: {other:?}"),
            }
        }
        assert_eq!(judge(rpc(500, "RANDOM_ID_DUPLICATE")), Failure::Repeated);
        assert_eq!(judge(InvokeError::PeerFlood), Failure::PeerFlood);
    }

    #[test]
    fn whatever_leaves_the_fate_of_a_message_open_is_unknown() {
        for (code, name) in [(500, "RPC_CALL_FAIL"), (-503, "Timeout")] {
            let sentence = format!("Telegram failed inside ({name})");
            assert_eq!(judge(rpc(code, name)), Failure::Unknown(sentence));
        }
        assert!(matches!(judge(InvokeError::Closed), Failure::Unknown(_)));
    }

    #[test]
    fn whoever_writes_a_phone_number_as_an_id_is_told() {
        let said = |id| {
            let (of, error) =
                (Address::Chat(ChatId(id)), ResolveError::NotFound(tgtrunk_telegram::Person::Id(id)));
            judge_lookup(error, &of).to_string()
        };
        for phone in [79_991_234_567, 89_991_234_567] {
            assert!(
                said(phone).ends_with("; if it is a phone number, write +79991234567"),
                "{}",
                said(phone)
            );
        }
        for id in [987_654, 7_999_123_456, 39_991_234_567] {
            assert!(said(id).ends_with("by phone number or @name once"), "{}", said(id));
        }
    }

    fn rpc(code: i32, name: &str) -> InvokeError {
        InvokeError::Rpc { code, name: name.to_owned(), value: None }
    }
}
