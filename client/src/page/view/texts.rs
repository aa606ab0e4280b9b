//! What people read in Telegram, to be changed beside a picture of it.

use maud::{Markup, html};
use tgtrunk_config::{Language, TextKey};

use crate::page::model::{Frame, TextEntry, TextsPage, Typed};
use crate::page::view::form::{self, hidden};
use crate::page::view::line::{Tab, sheet};
use crate::page::view::lines::path;
use crate::page::view::preview;

/// Texts that belong together.
struct Group {
    label: [&'static str; 2],
    keys: &'static [TextKey],
}

/// The places that most texts have.
const COMMON: [&str; 4] = ["company", "line", "name", "time"];

const GROUPS: [Group; 5] = [
    Group {
        label: ["Клавиши во время звонка", "Keypad during a call"],
        keys: &[TextKey::Keypad, TextKey::KeypadTitle, TextKey::TypeDigits, TextKey::CallEnded],
    },
    Group {
        label: ["Визитка после пропущенного", "Card after a missed call"],
        keys: &[TextKey::Card, TextKey::CardButton, TextKey::CardPlain, TextKey::CardTitle],
    },
    Group {
        label: ["Обратный звонок", "Calling back"],
        keys: &[
            TextKey::CallBackSoon,
            TextKey::CallBackWait,
            TextKey::CallBackRunning,
            TextKey::CallBackTalked,
            TextKey::CallBackNobody,
            TextKey::CallBackMissed,
            TextKey::CallBackFailed,
        ],
    },
    Group {
        label: ["Ответы", "Answers"],
        keys: &[
            TextKey::AutoAnswer,
            TextKey::Refused,
            TextKey::OutsideHours,
            TextKey::Greeting,
            TextKey::KeyHint,
            TextKey::Key,
            TextKey::KeyButton,
            TextKey::UnknownCommand,
            TextKey::Pressed,
            TextKey::NoCall,
            TextKey::NotYours,
            TextKey::NotSent,
        ],
    },
    Group {
        label: ["Извещения для своих", "Notices to operators"],
        keys: &[
            TextKey::NoticeRed,
            TextKey::NoticePbx,
            TextKey::NoticeFlood,
            TextKey::NoticeGateway,
            TextKey::NoticeOver,
        ],
    },
];

/// The page.
pub(crate) fn page(frame: &Frame, page: &TextsPage) -> Markup {
    let path = format!("{}/texts", path(&page.card.phone));
    let languages = [
        (Language::Russian, frame.say("По-русски", "In Russian")),
        (Language::English, frame.say("По-английски", "In English")),
    ];
    let main = html! {
        div.card-head {
            nav.segments aria-label=(frame.say("Язык текстов", "Language of the texts")) {
                @for (language, name) in languages {
                    a href={ (path) "?language=" (language.as_str()) } aria-current=[(language == page.language).then_some("page")] { (name) }
                }
            }
            p.muted { (frame.say(
                "Каждый видит язык своего Telegram.",
                "Everybody sees the language of their own Telegram.",
            )) }
        }
        p.hint {
            (frame.say("Подставляются: ", "Filled in: "))
            code { "{company}" } (frame.say(" название линии, ", " the line’s name, "))
            code { "{line}" } (frame.say(" её номер, ", " its number, "))
            code { "{name}" } (frame.say(" имя собеседника, ", " the person’s name, "))
            code { "{time}" } (frame.say(" время звонка. Фигурная скобка сама по себе пишется дважды.", " the time of the call. A brace meant as one is written twice."))
        }
        div.editor {
            form.texts method="post" action={ (path) "/" (page.language.as_str()) } data-words=(preview::words_json(&page.words)) {
                (hidden(frame))
                @for (at, group) in GROUPS.iter().enumerate() {
                    details.card.group open[at < 2 || has_problem(page, group)] {
                        summary { h2 { (frame.say(group.label[0], group.label[1])) } }
                        @for key in group.keys {
                            @if let Some(entry) = page.texts.iter().find(|entry| entry.key == *key) { (one(frame, page.language, entry)) }
                        }
                    }
                }
                div.save {
                    button.primary { (frame.say("Сохранить тексты", "Save the texts")) }
                    @if page.texts.iter().any(|entry| !entry.own.is_empty()) {
                        button.quiet name="reset" value="all" data-confirm=(frame.say("Вернуть все тексты?", "Reset all texts?"))
                            data-more=(frame.say("Свои тексты на этом языке будут стёрты.", "Your own texts in this language are erased."))
                            data-yes=(frame.say("Вернуть", "Reset")) formnovalidate { (frame.say("Вернуть все", "Reset all")) }
                    }
                }
            }
            (preview::aside(frame, page))
        }
    };
    sheet(frame, &page.card, Tab::Texts, main)
}

/// What holds now: the line's own text, or the default.
pub(crate) fn effective(entry: &TextEntry, language: Language) -> &str {
    if entry.own.is_empty() { entry.key.default_text(language) } else { &entry.own }
}

fn one(frame: &Frame, language: Language, entry: &TextEntry) -> Markup {
    let name = entry.key.word();
    let [russian, english] = label(entry.key);
    let hint = if entry.key.places() == COMMON {
        String::new()
    } else {
        let places: Vec<String> = entry.key.places().iter().map(|place| format!("{{{place}}}")).collect();
        format!("{} {}", frame.say("Здесь подставляются", "Filled in here:"), places.join(", "))
    };
    let mut typed = Typed::default();
    if let Some(problem) = &entry.problem {
        typed.refuse(name, problem.clone());
    }
    let text = effective(entry, language);
    let lines = text.lines().map(|line| line.chars().count() / 60 + 1).sum::<usize>().clamp(1, 6);
    let input = html! {
        textarea id=(form::id(name)) name=(name) rows=(lines) maxlength=(entry.key.limit()) lang=(language.as_str())
            data-default=(entry.key.default_text(language)) aria-describedby=(form::described(name, &hint))
            aria-invalid=[entry.problem.as_ref().map(|_| "true")] { (text) }
    };
    html! {
        div.text {
            (form::field(frame, &typed, name, frame.say(russian, english), &hint, input))
            @if !entry.own.is_empty() {
                button.quiet.small name="reset" value=(name) formnovalidate { (frame.say("Вернуть исходный", "Back to the default")) }
            }
        }
    }
}

fn has_problem(page: &TextsPage, group: &Group) -> bool {
    page.texts.iter().any(|entry| entry.problem.is_some() && group.keys.contains(&entry.key))
}

fn label(key: TextKey) -> [&'static str; 2] {
    match key {
        TextKey::Keypad => ["Над клавишами", "Above the keypad"],
        TextKey::KeypadTitle => ["Клавиши в списке бота", "The keypad in the bot’s list"],
        TextKey::TypeDigits => ["Когда бота нет", "Where there is no bot"],
        TextKey::CallEnded => ["Когда звонок завершён", "When the call has ended"],
        TextKey::Card => ["Визитка с кнопкой", "Card with its button"],
        TextKey::CardPlain => ["Визитка без кнопки", "Card without a button"],
        TextKey::CardTitle => ["Визитка в списке бота", "The card in the bot’s list"],
        TextKey::CardButton => ["Кнопка", "The button"],
        TextKey::AutoAnswer => ["Тому, кто пишет", "To a person who writes"],
        TextKey::Refused => ["Тому, чьи звонки не принимаются", "To a person whose calls are not taken"],
        TextKey::OutsideHours => {
            ["Тому, кто звонит в нерабочее время", "To a person who calls outside hours"]
        }
        TextKey::Greeting => ["Приветствие бота", "The bot’s greeting"],
        TextKey::KeyHint => ["Как получить ключ", "How to get one’s key"],
        TextKey::Key => ["Ключ", "The key"],
        TextKey::KeyButton => ["Кнопка ключа", "The key’s button"],
        TextKey::UnknownCommand => ["Непонятное", "What is not understood"],
        TextKey::Pressed => ["Клавиша нажата", "A key was pressed"],
        TextKey::NoCall => ["Звонка нет", "No call is up"],
        TextKey::NotYours => ["Чужая кнопка", "Somebody else’s button"],
        TextKey::NotSent => ["Клавиша не дошла", "A key did not get through"],
        TextKey::CallBackSoon => ["Звонок заказан", "The call is ordered"],
        TextKey::CallBackWait => ["Слишком скоро", "Too soon"],
        TextKey::CallBackRunning => ["Ищем сотрудника", "Finding somebody"],
        TextKey::CallBackTalked => ["Поговорили", "Both have talked"],
        TextKey::CallBackNobody => ["Никто не ответил", "Nobody answered"],
        TextKey::CallBackMissed => ["Не дозвонились", "The person did not answer"],
        TextKey::CallBackFailed => ["Не получилось", "It could not be placed"],
        TextKey::NoticeRed => ["Нужна авторизация", "A login is needed"],
        TextKey::NoticePbx => ["АТС не отвечает", "The PBX does not answer"],
        TextKey::NoticeFlood => ["Telegram ограничил", "Telegram limits"],
        TextKey::NoticeGateway => ["Шлюз не работает", "The gateway is gone"],
        TextKey::NoticeOver => ["Снова в порядке", "The trouble is over"],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_text_stands_in_one_group() {
        for key in TextKey::ALL {
            let times = GROUPS.iter().flat_map(|group| group.keys).filter(|one| **one == key).count();
            assert_eq!(times, 1, "{}", key.word());
        }
    }
}
