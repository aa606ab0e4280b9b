//! Why a notification is not sent, or not yet, for people who read Russian: what is kept of it is English.

use tgtrunk_config::Said;

use crate::causes;

/// How sentences of this room begin, and what they say.
const KNOWN: [(&str, &str); 17] = [
    ("switched off while it waited", "получение выключено, пока оно ждало"),
    ("switched off", "получение уведомлений выключено"),
    (SKIPPED_IN_DOUBT, "пропущено оператором; к человеку оно могло уже уйти"),
    (SKIPPED, "пропущено оператором"),
    ("the storage failed", "хранилище отказало; попытка повторится"),
    ("expired", "истекло: не удалось отправить вовремя"),
    ("the sender is not open", "отправитель не подключён: уйдёт, когда подключится"),
    ("its sender is not there any more", "отправителя больше нет"),
    ("its message is not known any more", "о его сообщении больше ничего не известно"),
    ("nobody knows what became of it", "неизвестно, что с ним стало"),
    ("Telegram may have it", "возможно, уже доставлено, поэтому повторно не отправляется"),
    ("it follows notification ", "идёт после более раннего уведомления этому же человеку"),
    ("tgtrunk-bot does not run", "программа tgtrunk-bot не запущена: systemctl start tgtrunk-bot"),
    ("tgtrunk-bot does not answer", "программа tgtrunk-bot не отвечает"),
    ("organisation ", "ни у организации, ни у линии отправителя нет бота: назначьте его"),
    ("line ", "у линии нет бота: назначьте его"),
    ("its sender has no bot", "у отправителя нет бота: назначьте его"),
];
/// What codes say.
const CODES: [(&str, &str); 20] = [
    ("user_blocked_bot", "человек заблокировал бота или аккаунт"),
    ("dialog_not_found", "такого человека или чата нет, или бот не выдавал этого ключа"),
    ("no_telegram_account", "по этому номеру в Telegram никого нет, или номер скрыт"),
    ("privacy_restricted", "настройки приватности не позволяют написать"),
    ("not_authorized", "аккаунт не авторизован"),
    ("flood_wait", "Telegram просит подождать"),
    ("peer_flood", "Telegram ограничил аккаунт"),
    ("too_long", "текст слишком длинный"),
    ("timeout", "не удалось вовремя"),
    ("attachment_failed", "файл не удалось отправить"),
    ("attachment_too_large", "файл слишком большой"),
    ("markup_error", "ошибка в разметке текста"),
    ("message_not_found", "сообщения нет"),
    ("not_editable", "сообщение нельзя изменить"),
    ("not_modified", "менять нечего"),
    ("unsupported_for_user", "аккаунты этого не могут"),
    ("unsupported_for_bot", "боты этого не могут"),
    ("unauthorized", "программа не допущена"),
    ("bad_request", "запрос отклонён"),
    ("internal", "внутренняя ошибка"),
];
/// What stands beside one that the operator does not want sent.
pub(super) const SKIPPED: &str = "skipped by the operator";
/// The same of one that may have been handed over when the program was killed.
pub(super) const SKIPPED_IN_DOUBT: &str =
    "skipped by the operator; it may have been sent to the person already";

/// A reason in both languages. Where the Russian is known of the code alone, the sentence stands beside it.
pub(super) fn told(reason: &str, code: Option<&str>) -> Said {
    let known = KNOWN.iter().find(|(begin, _)| reason.starts_with(begin));
    if let Some((_, russian)) = known.filter(|_| !reason.is_empty()) {
        return Said::new(reason, *russian);
    }
    coded(reason, code)
}

/// The same of why a message was not sent.
pub(crate) fn coded(reason: &str, code: Option<&str>) -> Said {
    let word = CODES.iter().find(|(word, _)| Some(*word) == code).map(|(_, russian)| *russian);
    let russian = match (causes::in_russian(reason), word) {
        (Some(russian), _) => russian,
        (None, Some(russian)) if reason.is_empty() => russian.to_owned(),
        (None, Some(russian)) => format!("{russian} ({reason})"),
        (None, None) => String::new(),
    };
    let english = if reason.is_empty() { code.unwrap_or_default() } else { reason };
    Said::new(english, russian)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_said_in_russian_by_their_beginning_and_else_by_their_code() {
        let russian = |reason, code| told(reason, code).ru;
        let off = "switched off: \"Anna\" (recipient 3) is not to be notified";
        assert_eq!(russian(off, None), "получение уведомлений выключено");
        assert_eq!(russian("switched off while it waited", None), "получение выключено, пока оно ждало");
        assert_eq!(
            russian("she has blocked you", Some("user_blocked_bot")),
            "человек заблокировал бота или аккаунт (she has blocked you)"
        );
        assert_eq!(russian(SKIPPED, None), "пропущено оператором");
        assert!(russian(SKIPPED_IN_DOUBT, None).contains("могло уже уйти"));
        assert_eq!(russian("", Some("peer_flood")), "Telegram ограничил аккаунт");
        assert_eq!(told("odd", None), Said::new("odd", ""));
        assert_eq!(
            russian("the person has blocked the account (USER_IS_BLOCKED)", Some("user_blocked_bot")),
            "человек заблокировал аккаунт (USER_IS_BLOCKED)",
            "what is known exactly is said so"
        );
    }
}
