//! One instance: how it stands, its queues, what it may still do today.

use maud::{Markup, html};
use tgtrunk_config::Language;
use tgtrunk_messages::Standing;

use super::{beside, bots, lamp, name, path, queues, warnings, words};
use crate::page::model::Frame;
use crate::page::model::messages::{InstanceCard, InstancePage};
use crate::page::view::form::hidden;
use crate::page::view::frame::{self, Place};
use crate::page::view::icons::Icon;
use crate::page::view::lines;
use crate::page::view::words::moment;

/// One of the sheets of an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tab {
    State,
    Journal,
    Settings,
    Access,
}

/// The page.
pub(crate) fn page(frame: &Frame, page: &InstancePage) -> Markup {
    let main = html! {
        (actions(frame, page))
        @for (_, part) in queue_parts(frame, page) { (part) }
        (delete(frame, &page.card))
    };
    sheet(frame, &page.card, Tab::State, main)
}

/// The parts of the page that change by themselves, each with its id.
pub(crate) fn parts(frame: &Frame, page: &InstancePage) -> Vec<(&'static str, Markup)> {
    let mut parts = vec![("standing", standing(frame, &page.card)), ("actions", actions(frame, page))];
    parts.extend(queue_parts(frame, page));
    parts
}

fn queue_parts(frame: &Frame, page: &InstancePage) -> Vec<(&'static str, Markup)> {
    let mut parts = vec![("outgoing", queues::outgoing(frame, page))];
    match (&page.card.bot, &page.programs) {
        (None, _) => parts.push(("notifications", queues::notifications(frame, page))),
        // Programs that lead a bot have its updates by the Bot API.
        (Some(_), Some(programs)) => parts.push(("updates", bots::updates(frame, &page.card, programs))),
        (Some(_), None) => {}
    }
    parts.push(("budgets", queues::budgets(frame, page)));
    parts
}

/// A page of an instance: whose it is, how it stands, its tabs, and one of the sheets.
pub(crate) fn sheet(frame: &Frame, card: &InstanceCard, at: Tab, main: Markup) -> Markup {
    let path = path(card);
    let tabs = [
        (Tab::State, "", frame.say("Очереди", "Queues")),
        (Tab::Journal, "/journal", frame.say("Журнал", "Journal")),
        (Tab::Settings, "/settings", frame.say("Настройки", "Settings")),
        (Tab::Access, "/access", frame.say("Доступ", "API access")),
    ];
    let tabs = tabs.iter().filter(|(tab, ..)| card.bot.is_none() || *tab != Tab::Settings);
    let tab = tabs.clone().find(|(tab, ..)| *tab == at).map_or("", |(.., name)| name);
    let title = name(card);
    let main = html! {
        div.line-title {
            p.crumb { a href="/messages" { (Icon::Back.draw()) (frame.say("Все инстансы", "All instances")) } }
            h1 { span.number { (title) } @if let Some(beside) = beside(card) { " " span.name { (beside) } } }
            @if let Some(bot) = &card.bot {
                p.muted { a href={ "/bots#bot-" (bot) } { (frame.say("Бот, его люди и ключи", "The bot, its people and keys")) } }
            } @else { p.muted {
                "idInstance " code { (card.id) } (lines::copy(frame, &card.id.to_string(), frame.say("Копировать idInstance", "Copy idInstance")))
            } }
        }
        (standing(frame, card))
        nav.tabs aria-label=(frame.say("Разделы инстанса", "Sheets of the instance")) {
            @for (tab, rest, name) in tabs {
                a href={ (path) (rest) } aria-current=[(*tab == at).then_some("page")] { (name) }
            }
        }
        (main)
    };
    frame::page(frame, Place::Messages, &format!("{tab} · {title}"), main)
}

/// How the instance stands, and what needs a person: `standing`.
pub(crate) fn standing(frame: &Frame, card: &InstanceCard) -> Markup {
    html! {
        section #standing.standing aria-live="polite" {
            (lamp(frame, card.standing))
            @if let (Standing::Suspended, Some(until)) = (card.standing, card.suspended_until_ms) {
                p.muted {
                    (frame.say(
                        "Telegram не даёт писать незнакомым и не говорит, до каких пор. Следующая попытка ",
                        "Telegram lets it write to no strangers and does not say for how long. Next try ",
                    ))
                    (moment(frame, until)) "."
                }
            }
            @if card.standing == Standing::Blocked {
                p.muted { (frame.say(
                    "Telegram закрыл аккаунт. Напишите в поддержку Telegram или войдите другим номером.",
                    "Telegram has closed the account. Write to Telegram’s support, or log another number in.",
                )) }
            }
            (warnings(frame, card))
        }
    }
}

/// What can be done with the instance: `actions`.
fn actions(frame: &Frame, page: &InstancePage) -> Markup {
    let card = &page.card;
    if card.bot.is_some() {
        return html! { div #actions hidden {} };
    }
    let path = path(card);
    let is_in = matches!(card.standing, Standing::Authorized | Standing::Suspended);
    let login = match &card.line {
        Some(line) => format!("/lines/{line}/login/client"),
        None => format!("{path}/login"),
    };
    html! {
        div #actions.actions {
            @if !is_in || card.line.is_some() {
                a.button.primary[!is_in] href=(login) {
                    (Icon::Key.draw())
                    (if is_in { frame.say("Войти заново", "Log in again") } else { frame.say("Войти по QR или коду", "Log in by QR or code") })
                }
            }
            form method="post" action={ (path) "/restart" } {
                (hidden(frame))
                button { (Icon::Refresh.draw()) (frame.say("Перезапустить", "Restart")) }
            }
            @if is_in { (log_out(frame, page)) }
            @if let Some(line) = &card.line {
                a.button.quiet href={ "/lines/" (line) } { (frame.say("Линия этого аккаунта", "The line of this account")) }
            }
        }
    }
}

fn log_out(frame: &Frame, page: &InstancePage) -> Markup {
    let card = &page.card;
    let question = match frame.language {
        Language::Russian => format!("Выйти из аккаунта {}?", name(card)),
        Language::English => format!("Log {} out?", name(card)),
    };
    let stops = frame.say(
        "До нового входа ничего не отправляется и не приходит; очереди остаются. У линии прекратятся и клавиши с визитками.",
        "Nothing is sent or received until the next login; the queues stay. A line’s keypads and cards stop, too.",
    );
    let more = format!("{stops} {}", lines::writers_warning(frame, &page.writers));
    html! {
        form method="post" action={ (path(card)) "/logout" } data-confirm=(question) data-more=(more)
            data-yes=(frame.say("Выйти", "Log out")) {
            (hidden(frame))
            button.quiet { (frame.say("Выйти из аккаунта", "Log out")) }
        }
    }
}

/// A form that deletes an instance which a partner's program made, folded so that nobody does it by accident.
fn delete(frame: &Frame, card: &InstanceCard) -> Markup {
    let words = frame.say("Удалить инстанс", "Delete the instance");
    let question = match frame.language {
        Language::Russian => format!("Удалить инстанс {} ({})?", card.id, name(card)),
        Language::English => format!("Delete instance {} ({})?", card.id, name(card)),
    };
    let more = frame.say(
        "Аккаунт будет выведен, а его журнал, очереди, файлы и токен удалены. Вернуть их нельзя.",
        "The account is logged out, and its journal, queues, files and token are removed. They cannot be had back.",
    );
    html! {
        @if card.line.is_none() && card.bot.is_none() {
            section.card {
                details.grave {
                    summary { (words) "…" }
                    form.grave-row method="post" action={ (path(card)) "/delete" } data-confirm=(question) data-more=(more) data-yes=(words) {
                        (hidden(frame))
                        div { p { (more) } }
                        button.danger { (words) }
                    }
                }
            }
        }
    }
}

/// What an instance says of itself, as a sentence of the reader.
pub(crate) fn told(frame: &Frame, english: &str) -> String {
    words::cause(frame.language, english)
}
