//! Why a message was not sent, or a webhook did not take something, in Russian: what the journal and the queues keep of it
//! is English, because programs are told it.

/// What a sentence says in Russian; none where nobody has said it so. What it names stays as it is.
pub(crate) fn in_russian(english: &str) -> Option<String> {
    known(english).or_else(|| {
        // It may name first what it is about, a file of several. Each place is looked at once: a name is somebody else's choice.
        english.match_indices(": ").find_map(|(at, sign)| {
            let (what, rest) = english.split_at(at + sign.len());
            Some(format!("{what}{}", known(rest)?))
        })
    })
}

/// The same of a sentence that names nothing first.
fn known(english: &str) -> Option<String> {
    if let Some(russian) = crate::telegram::in_russian(english) {
        return Some(russian);
    }
    SENTENCES.iter().find_map(|(form, russian)| Some(filled(russian, &named(form, english)?)))
}

/// A form with what it names, which may be a sentence itself.
fn filled(form: &str, named: &[&str]) -> String {
    let mut parts = form.split("{}");
    let mut text = parts.next().unwrap_or_default().to_owned();
    for (part, named) in parts.zip(named) {
        text.push_str(in_russian(named).as_deref().unwrap_or(named));
        text.push_str(part);
    }
    text
}

/// What stands in a sentence where its form has `{}`; none where it is of another form.
fn named<'s>(form: &str, sentence: &'s str) -> Option<Vec<&'s str>> {
    let mut parts = form.split("{}");
    let mut rest = sentence.strip_prefix(parts.next()?)?;
    let mut found = Vec::new();
    let mut parts = parts.peekable();
    if parts.peek().is_none() {
        return rest.is_empty().then_some(found);
    }
    while let Some(part) = parts.next() {
        let at = match parts.peek() {
            Some(_) => rest.find(part)?,
            // The last one stands at the end.
            None => rest.strip_suffix(part)?.len(),
        };
        found.push(&rest[..at]);
        rest = &rest[at + part.len()..];
    }
    Some(found)
}

/// The first whose form a sentence has counts.
const SENTENCES: &[(&str, &str)] = &[
    ("{}; Telegram may have it", "{}; в Telegram оно могло попасть"),
    // Of the queue.
    ("Telegram asks to wait {} s", "Telegram просит подождать {}\u{a0}с"),
    (
        "Telegram asks to wait: {} s are left; it was not sent",
        "Telegram просит подождать: осталось {}\u{a0}с; не отправлено",
    ),
    (
        "no more numbers and names may be looked up for now: {} s are left; it was not sent",
        "пока больше нельзя искать номера и имена: осталось {}\u{a0}с; не отправлено",
    ),
    (
        "Telegram limits the account for writing to strangers (PEER_FLOOD): {} s are left; it was not sent",
        "Telegram ограничил аккаунт за сообщения незнакомым (PEER_FLOOD): осталось {}\u{a0}с; не отправлено",
    ),
    (
        "Telegram limits the account for writing to strangers (PEER_FLOOD)",
        "Telegram ограничил аккаунт за сообщения незнакомым (PEER_FLOOD)",
    ),
    (
        "Telegram limits this account for writing to strangers (PEER_FLOOD)",
        "Telegram ограничил аккаунт за сообщения незнакомым (PEER_FLOOD)",
    ),
    (
        "the chat takes another message of the account in {} s (slow mode)",
        "чат примет следующее сообщение аккаунта через {}\u{a0}с (медленный режим)",
    ),
    (
        "Telegram was asked for as many numbers and names today as the settings allow",
        "сегодня Telegram уже спросили о стольких номерах и именах, сколько разрешают настройки",
    ),
    (
        "Telegram was asked for {} numbers and names today, which is the most that the settings allow",
        "сегодня Telegram уже спросили о номерах и именах {} раз: больше не разрешают настройки",
    ),
    ("the instance is not authorized", "аккаунт не вошёл"),
    ("the instance is {}; it was not sent", "аккаунт не готов ({}): не отправлено"),
    ("the instance is {}", "аккаунт не готов ({})"),
    (
        "the number has another Telegram account since: it was not sent in the other one's name",
        "у номера теперь другой аккаунт Telegram: от его имени не отправлено",
    ),
    ("buttons are for bots alone", "кнопки бывают только у ботов"),
    (
        "it is not sent a second time, as nobody can tell whether Telegram has it already ({})",
        "второй раз не отправляется: никто не знает, попало ли оно уже в Telegram ({})",
    ),
    ("the program ended while it was being handed over", "программа завершилась во время передачи"),
    (
        "Telegram says that it has the message, which is not found yet",
        "Telegram говорит, что сообщение у него есть, но оно ещё не найдено",
    ),
    ("the message was sent before", "сообщение уже отправлено"),
    ("taken out of the queue", "убрано из очереди"),
    ("deleted before it was sent", "удалено до отправки"),
    ("expired: it could not be sent in time", "просрочено: не удалось отправить вовремя"),
    ("expired: it could not be sent in time ({})", "просрочено: не удалось отправить вовремя ({})"),
    ("Telegram did not take it in time", "Telegram не принял его вовремя"),
    (
        "the outgoing queue holds something else in its place: send it again",
        "в очереди отправки на его месте что-то другое: отправьте его снова",
    ),
    (
        "the outgoing queue is full: {} messages may wait",
        "очередь отправки полна: в ней может ждать {} сообщений",
    ),
    ("the message that is answered is not there", "сообщения, на которое это ответ, нет"),
    ("the message to be forwarded is not there", "пересылаемого сообщения нет"),
    // Of Telegram's people and chats.
    ("nobody on Telegram is found by {}", "в Telegram никто не найден по {}"),
    (
        "the account has never met {}: name them by phone number or @name once",
        "аккаунт ещё не встречал {}: назовите его один раз по номеру телефона или @имени",
    ),
    (
        "the account has never met {}: name them by phone number or @name once; if it is a phone number, write +{}",
        "аккаунт ещё не встречал {}: назовите его один раз по номеру телефона или @имени; если это номер телефона, пишите +{}",
    ),
    (
        "the account does not know the chat {}: join it or open it in the Telegram app, or name it by its @name",
        "аккаунт не знает чата {}: вступите в него или откройте его в приложении Telegram, либо назовите его по @имени",
    ),
    ("{} is no chat", "{} — не чат"),
    ("{} is no person", "{} — не человек"),
    (
        "Telegram has frozen the account ({}); it must be appealed in the Telegram app",
        "Telegram заморозил аккаунт ({}); обжалуйте это в приложении Telegram",
    ),
    ("Telegram refused: {}", "Telegram отказал: {}"),
    ("Telegram failed inside ({})", "в самом Telegram ошибка ({})"),
    ("Telegram did not say which message it became", "Telegram не сказал, каким сообщением оно стало"),
    ("a message that is {} cannot be sent", "такое сообщение отправить нельзя: {}"),
    ("{} cannot be sent", "это отправить нельзя: {}"),
    // Of the connection.
    ("no answer to {} within {} ms", "Telegram не ответил на {} за {}\u{a0}мс"),
    ("no connection to Telegram: {}", "нет связи с Telegram: {}"),
    ("the proxy does not let us through: {}", "прокси не пропускает: {}"),
    ("Telegram refuses more connections ({})", "Telegram не принимает больше соединений ({})"),
    ("key exchange: {}", "не удалось согласовать ключ: {}"),
    ("unreadable answer: {}", "ответ не удалось прочитать: {}"),
    ("the account is closed", "аккаунт закрывается"),
    // Of files.
    ("the file is not there", "файла нет"),
    ("the file is not kept any more", "файл уже не хранится"),
    ("the file is not at Telegram any more", "файла в Telegram больше нет"),
    ("the file lies with somebody else", "файл лежит не у Telegram"),
    ("the file is larger than {} bytes", "файл больше {} байт"),
    ("a file of the album is not there", "файла из альбома нет"),
    ("an album has 2 to {} files", "в альбоме от 2 до {} файлов"),
    ("an album is of files", "альбом состоит из файлов"),
    ("the file {} is not there", "файла {} нет"),
    ("the file {} is empty", "файл {} пуст"),
    (
        "the file {} has {} bytes: Telegram takes files up to {} bytes",
        "в файле {} {} байт: Telegram принимает файлы до {} байт",
    ),
    ("{} became no file", "{} не стал файлом"),
    ("'file' must be no larger than {} bytes (100 MB)", "файл больше {} байт (100\u{a0}МБ)"),
    ("the file cannot be read: {}", "файл не удалось прочитать: {}"),
    (
        "the file cannot be fetched: it is somewhere else more than {} times",
        "файл не удалось скачать: сервер пересылает к другому адресу больше {} раз",
    ),
    (
        "the file cannot be fetched: it is said to be nowhere",
        "файл не удалось скачать: сервер пересылает в никуда",
    ),
    (
        "the file cannot be fetched: it comes with less than {} kB/s",
        "файл не удалось скачать: он идёт медленнее {}\u{a0}кБ/с",
    ),
    ("the file cannot be fetched: {}", "файл не удалось скачать: {}"),
    ("the file is not fetched: {}", "файл не скачивается: {}"),
    ("the link cannot be read: {}", "ссылку не удалось прочитать: {}"),
    (
        "less than {} MB are free on the disk ([api] disk_reserve_mb): no files are kept until there is room",
        "на диске свободно меньше {}\u{a0}МБ ([api] disk_reserve_mb): файлы не хранятся, пока не будет места",
    ),
    (
        "the disk is full: nothing was kept; make room on it and say it again",
        "диск полон: ничего не сохранено; освободите место и повторите",
    ),
    // Of addresses in the web.
    (
        "it answers {}, which leads to {}: name the address that takes it",
        "отвечает {} и отправляет к {}: укажите адрес, который принимает сам",
    ),
    ("it answers {}", "отвечает {}"),
    ("no answer within {} s", "нет ответа за {}\u{a0}с"),
    (
        "want a link that begins with http:// or https:// and a host",
        "нужна ссылка, которая начинается с http:// или https:// и имени сервера",
    ),
    (
        "{} is not asked for anything: it is an address of this machine's own link",
        "к {} запросов не бывает: это адрес внутри самой этой машины",
    ),
    ("{} is this program itself", "{} — это сама эта программа"),
    ("{} takes no connection: {}", "{} не принимает соединение: {}"),
    ("{} is not found: {}", "{} не найден: {}"),
    // Of bots.
    (
        "Telegram says there are too many requests and asks to wait {} s",
        "Telegram просит подождать {}\u{a0}с: слишком много запросов",
    ),
    (
        "Telegram does not know this token: take it anew from @BotFather (/mybots, API Token)",
        "Telegram не знает этого токена: возьмите его заново у @BotFather (/mybots, API Token)",
    ),
    ("Telegram sees two programs at work for this bot: {}", "с этим ботом работают сразу две программы: {}"),
    ("the person cannot be reached: {}", "Telegram не даёт написать этому человеку: {}"),
    ("Telegram refuses ({}): {}", "Telegram отказал ({}): {}"),
    ("Telegram is out of order ({})", "у Telegram неполадки ({})"),
    ("Telegram cannot be reached: {}", "Telegram недоступен: {}"),
    ("Telegram's answer cannot be read: {}", "ответ Telegram не удалось прочитать: {}"),
    ("Telegram's answer cannot be read", "ответ Telegram не удалось прочитать"),
    ("the group is a supergroup now: its dialog is {}", "группа стала супергруппой: теперь её диалог {}"),
    (
        "a bot reaches nobody by a phone number: name the dialog by its number, or by its @name",
        "бот ни с кем не связывается по номеру телефона: назовите диалог по его номеру или @имени",
    ),
    (
        "no public group or channel is called @{}, and nobody of that name has written to the bot",
        "открытой группы или канала @{} нет, и никто с этим именем боту не писал",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    /// Where the sentences are said.
    const SOURCES: [&str; 21] = [
        include_str!("../../messages/src/outbox.rs"),
        include_str!("../../messages/src/files.rs"),
        include_str!("../../messages/src/instance.rs"),
        include_str!("../../messages/src/instance/inner.rs"),
        include_str!("../../messages/src/instance/letters.rs"),
        include_str!("../../messages/src/messenger.rs"),
        include_str!("../../messages/src/post.rs"),
        include_str!("../../messages/src/reach.rs"),
        include_str!("../../messages/src/actions/waiting.rs"),
        include_str!("../../messages/src/store/outgoing.rs"),
        include_str!("../../telegram/src/invoke.rs"),
        include_str!("telegram/messenger.rs"),
        include_str!("telegram/messenger/album.rs"),
        include_str!("telegram/messenger/download.rs"),
        include_str!("telegram/messenger/failure.rs"),
        include_str!("telegram/messenger/peer.rs"),
        include_str!("telegram/messenger/sending.rs"),
        include_str!("../../bot/src/messenger.rs"),
        include_str!("../../bot/src/messenger/content.rs"),
        include_str!("../../bot/src/messenger/failure.rs"),
        include_str!("../../bot/src/telegram/failure.rs"),
    ];

    #[test]
    fn every_sentence_is_said_somewhere() {
        for (english, _) in SENTENCES {
            let is_said = |part: &str| part.len() > 7 && SOURCES.iter().any(|source| source.contains(part));
            assert!(english.split("{}").any(is_said), "{english}");
        }
    }

    #[test]
    fn every_sentence_is_there_in_russian_with_what_it_names() {
        for (english, russian) in SENTENCES {
            let (holes, russian_holes) = (english.matches("{}").count(), russian.matches("{}").count());
            assert_eq!(holes, russian_holes, "{english}");
            assert!(russian.chars().any(|letter| ('а'..='я').contains(&letter)), "{english}");
            let named = english.replace("{}", "42");
            let said = in_russian(&named).unwrap_or_else(|| panic!("{named}"));
            assert_eq!(said, russian.replace("{}", "42"), "another form takes it");
        }
    }

    #[test]
    fn a_name_full_of_colons_costs_nothing() {
        let name = "1: ".repeat(80);
        let (tell, told) = std::sync::mpsc::channel();
        let sentence = format!("the file {name:?} is empty");
        std::thread::spawn(move || tell.send(in_russian(&sentence)));
        let russian = told.recv_timeout(std::time::Duration::from_secs(5)).expect("it takes for ever");
        assert_eq!(russian, Some(format!("файл {name:?} пуст")));
    }

    #[test]
    fn what_is_named_may_be_a_sentence_or_hold_signs() {
        for (english, russian) in [
            (
                "a: b (c).pdf (2): the file cannot be fetched: example.org is not found: no such host",
                "a: b (c).pdf (2): файл не удалось скачать: example.org не найден: no such host",
            ),
            (
                "it is not sent a second time, as nobody can tell whether Telegram has it already (no answer to messages.sendMessage within 15000 ms)",
                "второй раз не отправляется: никто не знает, попало ли оно уже в Telegram (Telegram не ответил на messages.sendMessage за 15000\u{a0}мс)",
            ),
            (
                "taken out of the queue; Telegram may have it",
                "убрано из очереди; в Telegram оно могло попасть",
            ),
            (
                "\"x.png\": Telegram does not take this file (PHOTO_EXT_INVALID)",
                "\"x.png\": Telegram не принимает этот файл (PHOTO_EXT_INVALID)",
            ),
        ] {
            assert_eq!(in_russian(english).as_deref(), Some(russian));
        }
        assert_eq!(in_russian("something new"), None);
        assert_eq!(in_russian(""), None);
    }
}
