//! Organisations in whose names people are notified.

use maud::{Markup, html};
use tgtrunk_config::Lamp;

use super::{Tab, called, grave, sheet, standing, state, warnings};
use crate::api::directory::OrganisationFace;
use crate::page::model::Frame;
use crate::page::model::access::{OrganisationPage, OrganisationsPage};
use crate::page::view::form::{self, Input, hidden};
use crate::page::view::icons::Icon;
use crate::page::view::words::{count, phone, sentence};

/// The list.
pub(crate) fn page(frame: &Frame, page: &OrganisationsPage) -> Markup {
    let main = html! {
        section.card {
            div.card-head {
                h2 { (frame.say("От чьего имени пишут", "In whose name people are written to")) }
                a.button.primary href="/access/organisations/new" { (Icon::Plus.draw()) (frame.say("Добавить организацию", "Add an organisation")) }
            }
            @if page.organisations.is_empty() && page.problem.is_none() {
                p.muted { (frame.say(
                    "Организаций пока нет. Добавьте первую и выберите отправителя — линию, от которой сотрудники получат уведомления. Одна линия может писать за несколько организаций.",
                    "There are no organisations yet. Add the first one and choose its sender: the line by which people are notified. One line may write for many.",
                )) }
            }
            ul.rows #organisations { @for one in &page.organisations { (row(frame, one)) } }
        }
    };
    sheet(frame, Tab::Organisations, page.problem.as_ref(), main)
}

fn row(frame: &Frame, one: &OrganisationFace) -> Markup {
    let path = format!("/access/organisations/{}", one.id);
    let people = count(
        frame.language,
        one.people as u64,
        ["получатель", "получателя", "получателей"],
        ["recipient", "recipients"],
    );
    html! {
        li.row data-organisation=(one.id) {
            div.grow {
                p { a.what href=(path) { (one.name) } }
                p.muted {
                    (authorisation(frame, one))
                    @if let Some(bot) = &one.bot { " · " (frame.say("бот ", "bot ")) "@" (bot) }
                    " · " a href={ "/access/recipients?organisation=" (one.id) } { (people) }
                }
                // What stands beside the name already is not said twice.
                (warnings(frame, if one.sender.is_none() { one.warnings.get(1..).unwrap_or_default() } else { &one.warnings }))
            }
            (sender_state(frame, one))
            a.button href=(path) aria-label={ (frame.say("Изменить ", "Change ")) (one.name) } { (frame.say("Изменить", "Change")) }
        }
    }
}

/// Whose authorisation an organisation writes by, and who does as well.
fn authorisation(frame: &Frame, one: &OrganisationFace) -> String {
    let Some(sender) = &one.sender else {
        return frame
            .say(
                "отправителя нет: отправка от её имени отклоняется",
                "no sender: sending in its name is refused",
            )
            .to_owned();
    };
    let number = one.phone.as_ref().map_or_else(|| sender.clone(), |number| phone(number.as_str()));
    let uses = format!("{} {number}", frame.say("использует авторизацию", "uses the authorisation of"));
    if one.shared_with.is_empty() {
        return uses;
    }
    format!("{uses}, {} {}", frame.say("как и", "as do"), one.shared_with.join(", "))
}

fn sender_state(frame: &Frame, one: &OrganisationFace) -> Markup {
    match one.standing {
        Some(word) => standing(frame, word),
        None => state(Lamp::Red, frame.say("без отправителя", "without a sender")),
    }
}

/// One of them, or a new one.
pub(crate) fn card(frame: &Frame, page: &OrganisationPage) -> Markup {
    let (typed, face) = (&page.typed, page.face.as_ref());
    let action = face.map_or_else(
        || "/access/organisations/new".to_owned(),
        |one| format!("/access/organisations/{}", one.id),
    );
    let title =
        face.map_or_else(|| frame.say("Новая организация", "A new organisation"), |one| one.name.as_str());
    let number = Input { inputmode: Some("numeric"), ..Input::default() };
    let main = html! {
        p.crumb { a href="/access/organisations" { (Icon::Back.draw()) (frame.say("Все организации", "All organisations")) } }
        section.card.two {
            form.stack #organisation method="post" action=(action) {
                h2 { (title) }
                (hidden(frame))
                (form::text(frame, typed, "name", frame.say("Название", "Name"), "", Input { required: true, ..Input::default() }))
                (sender(frame, page))
                (bot(frame, page))
                (channel(frame, page))
                (form::text(frame, typed, "api_id", "API_ID",
                    frame.say("Если заполняется для каждой организации. К номеру Telegram привязывает один api_id.", "Where each organisation has its own. Telegram attaches one api_id to a number."), number))
                (api_hash(frame, page))
                div.actions {
                    button.primary { (frame.say("Сохранить", "Save")) }
                    a.button.quiet href="/access/organisations" { (frame.say("Не надо", "Not now")) }
                }
            }
            aside.advice {
                @if let Some(one) = face {
                    h2 { (frame.say("Отправитель сейчас", "The sender now")) }
                    p { (sender_state(frame, one)) }
                    p.muted { (sentence(&authorisation(frame, one))) }
                    (warnings(frame, &one.warnings))
                    @if one.phone.is_some() && one.standing == Some("notAuthorized") {
                        p { a.button href={ "/lines/" (one.phone.as_ref().map(ToString::to_string).unwrap_or_default()) "/login/client" } { (frame.say("Авторизовать", "Log in")) } }
                    }
                } @else {
                    h2 { (frame.say("Отправитель", "The sender")) }
                    ul {
                        li { (frame.say("Отдельный номер, не личный аккаунт: его авторизуют один раз.", "A number of its own, no private account: it is logged in once.")) }
                        li { (frame.say("Филиалы могут использовать авторизацию главной организации: выберите ту же линию.", "Branches may use the main office’s authorisation: choose the same line.")) }
                        li { (frame.say("Без отправителя пишет только бот.", "Without a sender only a bot writes.")) }
                    }
                }
            }
        }
        @if let Some(one) = face {
            section.card {
                (grave(frame, &format!("/access/organisations/{}/delete", one.id), frame.say("Удалить организацию", "Delete the organisation"), frame.say(
                    "От её имени больше никто не напишет. Её получатели останутся без организации, линия и её авторизация не изменятся.",
                    "Nobody is written to in its name any more. Its recipients stay and belong to none; the line and its login stay as they are.",
                )))
            }
        }
    };
    sheet(frame, Tab::Organisations, page.problem.as_ref(), main)
}

fn sender(frame: &Frame, page: &OrganisationPage) -> Markup {
    let chosen = page.typed.value("sender");
    let hint = frame.say(
        "Чей аккаунт пишет людям. Одна линия может писать за несколько организаций.",
        "Whose account writes to people. One line may write for many organisations.",
    );
    let names: Vec<(&str, String)> =
        page.senders.iter().map(|choice| (choice.value.as_str(), called(frame, choice))).collect();
    let mut choices = vec![(
        "",
        frame.say("Нет: отправка аккаунтом отклоняется", "None: sending by an account is refused"),
    )];
    choices.extend(names.iter().map(|(value, words)| (*value, words.as_str())));
    let gone = format!("{chosen} {}", frame.say("(больше нет)", "(not there any more)"));
    if !choices.iter().any(|(value, _)| *value == chosen) {
        choices.push((chosen, &gone));
    }
    form::choice(frame, &page.typed, "sender", frame.say("Отправитель", "Sender"), hint, chosen, &choices)
}

fn bot(frame: &Frame, page: &OrganisationPage) -> Markup {
    let chosen = page.typed.value("bot");
    let hint =
        frame.say("Пишет тем, у кого есть только ключ.", "Writes to those of whom only the key is known.");
    let mut choices = vec![("", frame.say("Бот линии отправителя", "The bot of the sender’s line"))];
    let names: Vec<String> = page.bots.iter().map(|bot| format!("@{bot}")).collect();
    choices.extend(page.bots.iter().map(String::as_str).zip(names.iter().map(String::as_str)));
    let gone = format!("@{chosen} {}", frame.say("(больше нет)", "(not there any more)"));
    if !choices.iter().any(|(value, _)| *value == chosen) {
        choices.push((chosen, &gone));
    }
    form::choice(frame, &page.typed, "bot", frame.say("Бот", "Bot"), hint, chosen, &choices)
}

fn channel(frame: &Frame, page: &OrganisationPage) -> Markup {
    let hint = frame.say(
        "Кто пишет тем, у кого есть и ключ, и телефон или чат.",
        "Who writes to those of whom a key is known, and a phone or a chat.",
    );
    let choices = [("", frame.say("Аккаунт", "The account")), ("bot", frame.say("Бот", "The bot"))];
    let chosen = if page.typed.value("channel") == "bot" { "bot" } else { "" };
    form::choice(frame, &page.typed, "channel", frame.say("Чем писать", "Written by"), hint, chosen, &choices)
}

fn api_hash(frame: &Frame, page: &OrganisationPage) -> Markup {
    let is_set = page.face.as_ref().is_some_and(|one| one.has_api_hash);
    let hint = if is_set {
        frame.say(
            "Задан и не показывается. Пустое поле оставляет его.",
            "It is set and never shown. An empty field leaves it.",
        )
    } else {
        frame.say(
            "32 шестнадцатеричные цифры. Хранится только отпечаток.",
            "32 hexadecimal digits. Only a fingerprint is kept.",
        )
    };
    let typed = &page.typed;
    html! {
        (form::text(frame, typed, "api_hash", "API_HASH", hint,
            Input { kind: "password", placeholder: is_set.then_some("••••••••"), ..Input::default() }))
        @if is_set {
            (form::switch(frame, typed, "forget_hash", frame.say("Забыть API_HASH", "Forget the API_HASH"), "", typed.value("forget_hash") == "true"))
        }
    }
}
