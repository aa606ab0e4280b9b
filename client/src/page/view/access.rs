//! The place "Access": who may call the API, in whose name people are notified, who they are, and what became of it.

pub(crate) mod notifications;
pub(crate) mod organisations;
pub(crate) mod partner;
pub(crate) mod people;
pub(crate) mod tokens;

use maud::{Markup, html};
use tgtrunk_config::{Lamp, Said};

use crate::api::directory::SenderChoice;
use crate::page::model::Frame;
use crate::page::model::access::Secret;
use crate::page::view::frame::{self, Place};
use crate::page::view::icons::Icon;
use crate::page::view::lamp;
use crate::page::view::lines::copy;
use crate::page::view::words::{phone, sentence};

/// One of its sheets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tab {
    Tokens,
    Organisations,
    People,
    Notifications,
    Partner,
}

/// A page of the place: its head, its tabs, and one of the sheets.
fn sheet(frame: &Frame, at: Tab, problem: Option<&Said>, main: Markup) -> Markup {
    let tabs = [
        (Tab::Tokens, "/access", frame.say("Токены API", "API tokens")),
        (Tab::Organisations, "/access/organisations", frame.say("Организации", "Organisations")),
        (Tab::People, "/access/recipients", frame.say("Получатели", "Recipients")),
        (Tab::Notifications, "/access/notifications", frame.say("Уведомления", "Notifications")),
        (Tab::Partner, "/access/partner", frame.say("Партнёр", "Partner")),
    ];
    let name = tabs.iter().find(|(tab, ..)| *tab == at).map_or("", |(.., name)| name);
    let place = frame.say("Доступ", "Access");
    let main = html! {
        div.head { h1 { (place) } }
        nav.tabs.many aria-label=(place) {
            @for (tab, path, name) in tabs {
                a href=(path) aria-current=[(tab == at).then_some("page")] { (name) }
            }
        }
        @if let Some(problem) = problem {
            div.banner role="alert" { (Icon::Bad.draw()) p { (sentence(frame.said(problem))) } }
        }
        (main)
    };
    frame::page(frame, Place::Access, &format!("{name} · {place}"), main)
}

/// A secret that is shown this once: `made`. Whoever reads the page anew does not see it.
pub(crate) fn made(frame: &Frame, made: Option<&Secret>, sample: &str) -> Markup {
    html! {
        div #made.plain role="status" data-once=[made.map(|_| "yes")] {
            @if let Some(made) = made {
                section.card.secret {
                    h2 { (frame.say("Новый токен: ", "The new token: ")) (made.name) }
                    div.command {
                        code { (made.token.as_str()) }
                        (copy(frame, made.token.as_str(), frame.say("Копировать токен", "Copy the token")))
                    }
                    p.warning { (Icon::Waiting.draw()) span { (frame.say(
                        "Скопируйте его сейчас: больше он не будет показан, здесь хранится только его хеш. Потерянный токен отзовите и выпустите новый.",
                        "Copy it now: it will not be shown again, only its hash is kept here. Revoke a lost one and make another.",
                    )) } }
                    @if !sample.is_empty() {
                        p { (frame.say("Проверка:", "To try it:")) }
                        div.command {
                            code { (sample) }
                            (copy(frame, sample, frame.say("Копировать команду", "Copy the command")))
                        }
                    }
                }
            }
        }
    }
}

/// What is said where nobody listens to programs.
fn served(frame: &Frame, is_served: bool, address: &str) -> Markup {
    html! {
        @if is_served {
            p.muted { (frame.say("Программы обращаются по адресу ", "Programs call at ")) code { (address) } "." }
        } @else {
            p.warning { (Icon::Waiting.draw()) span {
                (frame.say(
                    "API выключен: пока в настройках не указан адрес api.listen, токены никто не примет. ",
                    "The API is switched off: as long as the settings have no address in api.listen, nobody takes tokens. ",
                ))
                a href="/system" { (frame.say("Открыть настройки", "Open the settings")) }
            } }
        }
    }
}

/// How an account stands, by colour, shape and word. GREEN-API's word, or `missing`.
fn standing(frame: &Frame, word: &str) -> Markup {
    let (lamp, words) = match word {
        "authorized" => (Lamp::Green, frame.say("подключён", "connected")),
        "starting" => (Lamp::Orange, frame.say("запускается или выключен", "starting, or switched off")),
        "yellowCard" => (Lamp::Orange, frame.say("ограничен Telegram", "limited by Telegram")),
        "notAuthorized" | "pendingPassword" => (Lamp::Red, frame.say("нужна авторизация", "needs a login")),
        "blocked" | "suspended" => (Lamp::Red, frame.say("заблокирован Telegram", "banned by Telegram")),
        "missing" => (Lamp::Red, frame.say("больше нет", "not there any more")),
        other => (Lamp::Orange, other),
    };
    state(lamp, words)
}

/// A word with its shape and colour.
pub(crate) fn state(lamp: Lamp, words: &str) -> Markup {
    html! { span.sign.(lamp::class(lamp)) { span.shape { (lamp::shape(lamp).draw()) } span { (words) } } }
}

/// What is to be minded, each as a line.
fn warnings(frame: &Frame, all: &[Said]) -> Markup {
    html! {
        @for said in all {
            p.warning { (Icon::Waiting.draw()) span { (sentence(frame.said(said))) } }
        }
    }
}

/// An account in a list to choose from.
fn called(frame: &Frame, choice: &SenderChoice) -> String {
    let number = choice.phone.as_ref().map(|number| phone(number.as_str()));
    let what = if choice.is_line {
        number.unwrap_or_default()
    } else {
        let number = number.map(|number| format!(" {number}")).unwrap_or_default();
        format!("{} {}{number}", frame.say("инстанс", "instance"), choice.value)
    };
    if choice.name.is_empty() { what } else { format!("{what}, {}", choice.name) }
}

/// Two steps to what cannot be undone: what follows from it, and the button.
pub(crate) fn grave(frame: &Frame, action: &str, words: &str, consequence: &str) -> Markup {
    html! {
        details.grave {
            summary { (words) "…" }
            form.grave-row method="post" action=(action) {
                (crate::page::view::form::hidden(frame))
                p { (consequence) }
                button.danger { (words) }
            }
        }
    }
}

/// A text in an address (RFC 3986 section 2.3).
fn escaped(value: &str) -> String {
    crate::page::view::calls::escaped(value)
}
