//! The people who are notified.

use maud::{Markup, html};
use tgtrunk_config::Lamp;

use super::{Tab, escaped, grave, sheet, state};
use crate::api::directory::{Keys, RecipientFace, SeenKey};
use crate::page::model::Frame;
use crate::page::model::access::{PEOPLE, PeoplePage, PersonPage};
use crate::page::view::form::{self, Input, hidden};
use crate::page::view::icons::Icon;
use crate::page::view::words::{count, moment, phone, sentence};

/// The list.
pub(crate) fn page(frame: &Frame, page: &PeoplePage) -> Markup {
    let main = html! {
        section.card {
            div.card-head {
                h2 { (frame.say("Кому пишут", "Who is written to")) }
                a.button.primary href="/access/recipients/new" { (Icon::Plus.draw()) (frame.say("Добавить получателя", "Add a recipient")) }
            }
            @if page.total > 0 { (filter(frame, page)) }
            (list(frame, page))
            (pages(frame, page))
        }
        (seen(frame, page))
    };
    sheet(frame, Tab::People, page.problem.as_ref(), main)
}

fn filter(frame: &Frame, page: &PeoplePage) -> Markup {
    let chosen = page.organisation.map(|id| id.to_string()).unwrap_or_default();
    let ids: Vec<(String, &str)> =
        page.organisations.iter().map(|(id, name)| (id.to_string(), name.as_str())).collect();
    let mut choices = vec![("", frame.say("Все", "All"))];
    choices.extend(ids.iter().map(|(id, name)| (id.as_str(), *name)));
    html! {
        form.inline method="get" action="/access/recipients" role="search" {
            div.field {
                label for="f-text" { (frame.say("Имя, телефон или ключ", "Name, phone or key")) }
                input #f-text type="search" name="text" value=(page.text) autocomplete="off" maxlength="100";
            }
            div.field {
                label for="f-organisation" { (frame.say("Организация", "Organisation")) }
                (form::select("organisation", None, &chosen, &choices))
            }
            button { (Icon::Search.draw()) (frame.say("Найти", "Find")) }
        }
    }
}

fn list(frame: &Frame, page: &PeoplePage) -> Markup {
    html! {
        div #recipients {
            @if page.problem.is_some() {
            } @else if page.total == 0 {
                p.muted { (frame.say(
                    "Получателей пока нет. Добавьте человека по номеру телефона, по @имени или по ключу: ключ он узнаёт, написав боту «мой ключ».",
                    "There are no recipients yet. Add somebody by their phone number, their @name or their key: whoever writes “my key” to the bot is told theirs.",
                )) }
            } @else if page.people.is_empty() {
                p.muted { (frame.say("Никто не найден. ", "Nobody is found. ")) a href="/access/recipients" { (frame.say("Показать всех", "Show all")) } }
            } @else {
                p.muted { (count(frame.language, page.found as u64, ["получатель", "получателя", "получателей"], ["recipient", "recipients"])) }
            }
            ul.rows { @for one in &page.people { (row(frame, page, one)) } }
        }
    }
}

fn row(frame: &Frame, page: &PeoplePage, one: &RecipientFace) -> Markup {
    let path = format!("/access/recipients/{}", one.id);
    let organisation =
        one.organisation.and_then(|id| page.organisations.iter().find(|(known, _)| *known == id));
    let words = if one.is_notified {
        frame.say("Выключить уведомления", "Switch notifications off")
    } else {
        frame.say("Включить уведомления", "Switch notifications on")
    };
    html! {
        li.row data-recipient=(one.id) data-notify=(one.is_notified) {
            div.grow {
                p { a.what href=(path) { (one.title) } @if let Some((_, name)) = organisation { " " span.muted { (name) } } }
                p.muted {
                    (way(frame, one)) ": " (contact(frame, one))
                    @if let Some(ms) = one.last_seen_ms { " · " (frame.say("писал боту ", "wrote to the bot ")) (moment(frame, ms)) }
                }
                @if one.is_key_known == Some(false) {
                    p.warning { (Icon::Waiting.draw()) span { (frame.say(
                        "Этого ключа не выдавал ни один бот: человек ещё не писал боту, или в ключе ошибка.",
                        "No bot has given this key: the person has not written to the bot yet, or the key is mistyped.",
                    )) } }
                }
            }
            (condition(frame, one))
            form method="post" action={ (path) "/switch" } {
                (hidden(frame))
                input type="hidden" name="notify" value=(!one.is_notified);
                button aria-label={ (words) ": " (one.title) } { (words) }
            }
        }
    }
}

/// Who writes to somebody.
fn way(frame: &Frame, one: &RecipientFace) -> &'static str {
    if one.is_by_bot {
        frame.say("пишет бот", "by the bot")
    } else {
        frame.say("пишет аккаунт", "by the account")
    }
}

fn contact(frame: &Frame, one: &RecipientFace) -> String {
    let key = one.key.as_ref().map(|key| format!("{} {key}", frame.say("ключ", "key")));
    let all = [one.phone.as_deref().map(phone), one.dialog.clone(), key];
    all.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

fn condition(frame: &Frame, one: &RecipientFace) -> Markup {
    if !one.is_notified {
        return state(Lamp::Off, frame.say("уведомления выключены", "notifications off"));
    }
    if one.is_blocked {
        return state(Lamp::Red, frame.say("заблокировал бота", "has blocked the bot"));
    }
    state(Lamp::Green, frame.say("получает уведомления", "is notified"))
}

fn pages(frame: &Frame, page: &PeoplePage) -> Markup {
    let last = page.found.div_ceil(PEOPLE).max(1);
    let organisation = page.organisation.map(|id| id.to_string()).unwrap_or_default();
    let at = |number: usize| {
        format!("/access/recipients?text={}&organisation={organisation}&page={number}", escaped(&page.text))
    };
    html! {
        @if last > 1 {
            nav.pages aria-label=(frame.say("Страницы получателей", "Pages of recipients")) {
                @if page.page > 1 { a.button rel="prev" href=(at(page.page - 1)) { (Icon::Back.draw()) (frame.say("Назад", "Back")) } }
                span.muted { (page.page) (frame.say(" из ", " of ")) (last) }
                @if page.page < last { a.button rel="next" href=(at(page.page + 1)) { (frame.say("Дальше", "Next")) (Icon::Next.draw()) } }
            }
        }
    }
}

/// Keys that bots gave to people who are no recipients yet.
fn seen(frame: &Frame, page: &PeoplePage) -> Markup {
    let free: Vec<&SeenKey> =
        page.keys.iter().flatten().filter(|key| key.recipient.is_none()).take(PEOPLE).collect();
    html! {
        section.card {
            h2 { (frame.say("Узнали свой ключ у бота", "Were told their key by a bot")) }
            @match &page.keys {
                Err(said) => { p.warning { (Icon::Waiting.draw()) span { (sentence(frame.said(said))) } } }
                Ok(_) if free.is_empty() => { p.muted { (frame.say(
                    "Новых ключей нет. Человек пишет боту «мой ключ» и получает число, оно появляется здесь.",
                    "There are no new keys. Somebody writes “my key” to the bot and is told a number; then it stands here.",
                )) } }
                Ok(_) => {
                    ul.rows #keys { @for one in free { li.row {
                        div.grow { p { span.what { (one.name.as_deref().unwrap_or("–")) } " " code { (one.key) } } p.muted { "@" (one.bot) } }
                        @if one.is_blocked { (state(Lamp::Red, frame.say("заблокировал бота", "has blocked the bot"))) }
                        a.button href={ "/access/recipients/new?key=" (escaped(&one.key)) "&title=" (escaped(one.name.as_deref().unwrap_or_default())) }
                            aria-label={ (frame.say("Сделать получателем: ", "Make a recipient: ")) (one.name.as_deref().unwrap_or(&one.key)) } {
                            (frame.say("Сделать получателем", "Make a recipient"))
                        }
                    } } }
                }
            }
        }
    }
}

/// Somebody, or somebody new.
pub(crate) fn card(frame: &Frame, page: &PersonPage) -> Markup {
    let (typed, face) = (&page.typed, page.face.as_ref());
    let action = face
        .map_or_else(|| "/access/recipients/new".to_owned(), |one| format!("/access/recipients/{}", one.id));
    let title =
        face.map_or_else(|| frame.say("Новый получатель", "A new recipient"), |one| one.title.as_str());
    let tel =
        Input { kind: "tel", inputmode: Some("tel"), placeholder: Some("+79001112233"), ..Input::default() };
    let main = html! {
        p.crumb { a href="/access/recipients" { (Icon::Back.draw()) (frame.say("Все получатели", "All recipients")) } }
        section.card.two {
            form.stack #recipient method="post" action=(action) {
                h2 { (title) }
                (hidden(frame))
                (form::text(frame, typed, "title", frame.say("Имя", "Name"),
                    frame.say("Как человека называют здесь.", "What the person is called here."), Input { required: true, ..Input::default() }))
                (form::text(frame, typed, "phone", frame.say("Телефон", "Phone"),
                    frame.say("С кодом страны. По нему пишет аккаунт организации.", "With its country code. The organisation’s account writes to it."), tel))
                (form::text(frame, typed, "dialog", frame.say("Чат в Telegram", "Chat at Telegram"),
                    frame.say("@имя или номер чата.", "A @name, or the number of a chat."), Input { placeholder: Some("@anna"), ..Input::default() }))
                (key(frame, page))
                (organisation(frame, page))
                (form::switch(frame, typed, "notify", frame.say("Получать уведомления в Telegram", "Receive notifications in Telegram"),
                    frame.say("Если выключить, уведомления записываются как пропущенные.", "Switched off, notifications are noted as skipped."), typed.value("notify") != "false"))
                div.actions {
                    button.primary { (frame.say("Сохранить", "Save")) }
                    a.button.quiet href="/access/recipients" { (frame.say("Не надо", "Not now")) }
                }
            }
            aside.advice {
                @if let Some(one) = face { p { (condition(frame, one)) } }
                h2 { (frame.say("Чем доходит уведомление", "How a notification arrives")) }
                ul {
                    li { (frame.say("Телефон или чат: пишет аккаунт — отправитель организации.", "A phone or a chat: the account writes, the organisation’s sender.")) }
                    li { (frame.say("Только ключ: пишет бот. Ключ человек узнаёт, написав боту «мой ключ».", "A key alone: the bot writes. Whoever writes “my key” to the bot is told theirs.")) }
                    li { (frame.say("Известно и то и другое: пишет тот, кого выбрала организация.", "Where both are known, whoever the organisation chose writes.")) }
                    li { (frame.say("У каждого свой ключ, телефон и чат: повтор не принимается.", "Key, phone and chat are one person’s alone: a second one is refused.")) }
                }
            }
        }
        @if let Some(one) = face {
            section.card {
                (grave(frame, &format!("/access/recipients/{}/delete", one.id), frame.say("Удалить получателя", "Delete the recipient"), frame.say(
                    "Человек больше не получит уведомлений. Журнал уведомлений останется.",
                    "The person is notified no more. What was sent stays in the list of notifications.",
                )))
            }
        }
    };
    sheet(frame, Tab::People, page.problem.as_ref(), main)
}

fn key(frame: &Frame, page: &PersonPage) -> Markup {
    let hint = match &page.keys {
        Ok(_) => frame.say(
            "Число, которое выдал бот: введите или выберите из подсказанных.",
            "The number that the bot gave: type it, or choose one that was seen.",
        ),
        Err(_) => frame.say("Число, которое выдал бот.", "The number that the bot gave."),
    };
    let typed = &page.typed;
    let input = html! {
        input #f-key name="key" value=(typed.value("key")) list="seen" inputmode="numeric" autocomplete="off" spellcheck="false"
            aria-describedby=(form::described("key", hint)) aria-invalid=[typed.problem("key").map(|_| "true")];
        datalist #seen { @for one in page.keys.iter().flatten().filter(|key| key.recipient.is_none()) {
            option value=(one.key) { (one.name.as_deref().unwrap_or_default()) " @" (one.bot) }
        } }
    };
    html! {
        (form::field(frame, typed, "key", frame.say("Ключ", "Key"), hint, input))
        @if let Err(said) = &page.keys { p.warning { (Icon::Waiting.draw()) span { (sentence(frame.said(said))) } } }
    }
}

fn organisation(frame: &Frame, page: &PersonPage) -> Markup {
    let hint = frame.say("От чьего имени приходят уведомления.", "In whose name notifications come.");
    let ids: Vec<(String, &str)> =
        page.organisations.iter().map(|(id, name)| (id.to_string(), name.as_str())).collect();
    let mut choices = vec![("", frame.say("Без организации", "None"))];
    choices.extend(ids.iter().map(|(id, name)| (id.as_str(), *name)));
    form::choice(
        frame,
        &page.typed,
        "organisation",
        frame.say("Организация", "Organisation"),
        hint,
        page.typed.value("organisation"),
        &choices,
    )
}

/// Whether somebody is what was looked for.
pub(crate) fn matches(one: &RecipientFace, text: &str) -> bool {
    let text = text.trim().to_lowercase();
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    let has =
        |value: &Option<String>| value.as_ref().is_some_and(|value| value.to_lowercase().contains(&text));
    let is_number = !digits.is_empty() && text.chars().all(|c| c.is_ascii_digit() || " +-()".contains(c));
    one.title.to_lowercase().contains(&text)
        || has(&one.key)
        || has(&one.dialog)
        || has(&one.phone)
        || (is_number && one.phone.as_ref().is_some_and(|phone| phone.contains(&digits)))
}

/// Whether there is anything to choose from.
pub(crate) fn none() -> Keys {
    Ok(Vec::new())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_are_found_by_name_number_and_key_however_they_are_typed() {
        let anna = RecipientFace {
            id: 1,
            title: "Анна Иванова".into(),
            key: Some("5123456789".into()),
            phone: Some("+79001112233".into()),
            dialog: Some("@anna".into()),
            organisation: None,
            is_by_bot: false,
            is_notified: true,
            is_blocked: false,
            is_key_known: None,
            last_seen_ms: None,
        };
        for text in ["", "анна", "ИВАНОВА", "51234", "+7 900 111-22-33", "@Anna"] {
            assert!(matches(&anna, text), "{text}");
        }
        for text in ["Пётр", "+7 901", "anna@"] {
            assert!(!matches(&anna, text), "{text}");
        }
    }
}
