//! Tokens with which programs call the API.

use maud::{Markup, html};
use tgtrunk_config::Lamp;
use tgtrunk_config::control::ActionTokenInfo;

use super::{Tab, called, grave, made, served, sheet, state};
use crate::page::model::Frame;
use crate::page::model::access::TokensPage;
use crate::page::view::form::{self, Input, hidden};
use crate::page::view::words::{moment, phone};

/// The page.
pub(crate) fn page(frame: &Frame, page: &TokensPage) -> Markup {
    let main = html! {
        (new(frame, page))
        section.card {
            h2 { (frame.say("Выпущенные токены", "Tokens there are")) }
            (served(frame, page.is_served, &page.address))
            (list(frame, page))
        }
        (form(frame, page))
    };
    sheet(frame, Tab::Tokens, page.problem.as_ref(), main)
}

/// The one that was just made: `made`.
pub(crate) fn new(frame: &Frame, page: &TokensPage) -> Markup {
    let sample = page.made.as_ref().map(|made| {
        format!(
            "curl -H 'Authorization: Bearer {}' {}/api/v1/organisations",
            made.token.as_str(),
            made.address
        )
    });
    made(frame, page.made.as_ref(), &sample.unwrap_or_default())
}

/// All of them: `tokens`.
pub(crate) fn list(frame: &Frame, page: &TokensPage) -> Markup {
    html! {
        div #tokens {
            @if page.tokens.is_empty() && page.problem.is_none() {
                p.muted { (frame.say(
                    "Токенов пока нет. Выпустите первый ниже: с ним 1С, CRM или скрипт отправляют сообщения и уведомления.",
                    "There are no tokens yet. Make the first one below: with it 1C, a CRM or a script sends messages and notifications.",
                )) }
            }
            ul.rows { @for token in page.tokens.iter().rev() { (row(frame, page, token)) } }
        }
    }
}

fn row(frame: &Frame, page: &TokensPage, token: &ActionTokenInfo) -> Markup {
    let number = token.number;
    let at = |s: i64| moment(frame, u64::try_from(s).unwrap_or_default().saturating_mul(1_000));
    html! {
        li.row id={ "token-" (number) } data-token=(number) {
            div.grow {
                p { span.what { (token.label) } " " span.muted { "№\u{a0}" (number) } }
                p.muted {
                    (scope(frame, page, token)) " · "
                    (frame.say("выпущен ", "made ")) (at(token.created_s)) " · "
                    @match token.last_used_s {
                        Some(used_s) => { (frame.say("применялся ", "last used ")) (at(used_s)) }
                        None => { (frame.say("ещё не применялся", "never used yet")) }
                    }
                }
            }
            @match token.revoked_s {
                Some(revoked_s) => {
                    div { (state(Lamp::Off, frame.say("отозван", "revoked"))) " " span.muted { (at(revoked_s)) } }
                }
                None => {
                    (state(Lamp::Green, frame.say("действует", "holds")))
                    (rename(frame, token))
                    (grave(
                        frame, &format!("/access/tokens/{number}/revoke"), frame.say("Отозвать", "Revoke"),
                        frame.say(
                            "Токен сразу перестанет действовать: программы с ним получат ответ 401. Вернуть его нельзя.",
                            "The token is dead at once: programs that have it are answered 401. It cannot be brought back.",
                        ),
                    ))
                }
            }
        }
    }
}

fn rename(frame: &Frame, token: &ActionTokenInfo) -> Markup {
    let id = format!("rename-{}", token.number);
    html! {
        details.grave {
            summary { (frame.say("Переименовать…", "Rename…")) }
            form.grave-row method="post" action={ "/access/tokens/" (token.number) "/rename" } {
                (hidden(frame))
                div.field {
                    label for=(id) { (frame.say("Новое название", "New name")) }
                    input id=(id) name="label" value=(token.label) required maxlength="100" autocomplete="off"
                        aria-describedby={ (id) "-problem" };
                    p.problem id={ (id) "-problem" } data-problem="label" hidden {}
                }
                button { (frame.say("Сохранить", "Save")) }
            }
        }
    }
}

fn scope(frame: &Frame, page: &TokensPage, token: &ActionTokenInfo) -> String {
    if let Some(line) = &token.line {
        let name = page.senders.iter().find(|one| one.phone.as_ref() == Some(line) && !one.name.is_empty());
        let name = name.map(|one| format!(" ({})", one.name)).unwrap_or_default();
        return format!("{} {}{name}", frame.say("линия", "line"), phone(line.as_str()));
    }
    match token.instance {
        Some(id) => format!("{} {id}", frame.say("инстанс", "instance")),
        None => frame
            .say("все линии, организации и получатели", "all lines, organisations and recipients")
            .to_owned(),
    }
}

fn form(frame: &Frame, page: &TokensPage) -> Markup {
    let typed = &page.typed;
    let all = frame.say(
        "Всё: все линии, организации и получатели",
        "Everything: all lines, organisations and recipients",
    );
    let names: Vec<(&str, String)> =
        page.senders.iter().map(|choice| (choice.value.as_str(), called(frame, choice))).collect();
    let mut choices = vec![("", frame.say("Выберите…", "Choose…")), ("all", all)];
    choices.extend(names.iter().map(|(value, words)| (*value, words.as_str())));
    let hint = frame.say(
        "Токен одной линии отправляет только от неё и её организаций; управляет всем только токен на всё.",
        "A token of one line sends by it and for its organisations alone; only one for everything manages everything.",
    );
    html! {
        section.card.two {
            form.stack method="post" action="/access/tokens" {
                h2 { (frame.say("Выпустить токен", "Make a token")) }
                (hidden(frame))
                (form::text(frame, typed, "label", frame.say("Название", "Name"),
                    frame.say("Для кого он: 1С, CRM, скрипт.", "Whom it is for: 1C, a CRM, a script."), Input { required: true, ..Input::default() }))
                (form::choice(frame, typed, "scope", frame.say("Что ему можно", "What it may"), hint,
                    typed.value("scope"), &choices))
                div.actions { button.primary { (frame.say("Выпустить", "Make it")) } }
            }
            aside.advice {
                h2 { (frame.say("Как с ним работать", "How it is used")) }
                ul {
                    li { (frame.say("Каждой программе — свой токен: отозвать можно будет один, не трогая остальных.", "A token per program: one can be revoked without the others.")) }
                    li { (frame.say("Он передаётся в заголовке ", "It goes in the header ")) code { "Authorization: Bearer …" } "." }
                    li { (frame.say("Секрет показывается один раз, сразу после выпуска.", "The secret is shown once, right after it is made.")) }
                }
            }
        }
    }
}
