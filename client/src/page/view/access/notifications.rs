//! What was to be sent to people, and what became of it.

use maud::{Markup, html};
use tgtrunk_config::Lamp;

use super::{Tab, grave, sheet, state};
use crate::api::directory::{COUNTED, Life, NotificationFace};
use crate::page::model::Frame;
use crate::page::model::access::NotificationsPage;
use crate::page::view::form;
use crate::page::view::icons::Icon;
use crate::page::view::words::{grouped, machine, moment, phone, sentence};

/// Letters of a text that are seen before it is unfolded.
const SEEN: usize = 140;

/// The page.
pub(crate) fn page(frame: &Frame, page: &NotificationsPage) -> Markup {
    let main = html! {
        (list(frame, page))
    };
    sheet(frame, Tab::Notifications, page.problem.as_ref(), main)
}

/// All of them, of one kind or of all: `notified`.
pub(crate) fn list(frame: &Frame, page: &NotificationsPage) -> Markup {
    let kinds = [None, Some(Life::Waiting), Some(Life::Sent), Some(Life::Failed), Some(Life::Skipped)];
    html! {
        section #notified.card {
            div.card-head {
                h2 { (frame.say("Уведомления людям", "Notifications of people")) }
                nav.segments aria-label=(frame.say("Какие", "Which")) {
                    @for kind in kinds {
                        @let many = kind.map_or_else(|| page.counts.values().sum(), |kind| page.counts.get(&kind).copied().unwrap_or_default());
                        a href=(address(kind, None)) aria-current=[(kind == page.life).then_some("page")] { (name(frame, kind)) " " (counted(frame, many)) }
                    }
                }
            }
            @if page.rows.is_empty() && page.problem.is_none() { (nothing(frame, page)) }
            ul.rows { @for one in &page.rows { (row(frame, one)) } }
            nav.pages aria-label=(frame.say("Страницы уведомлений", "Pages of notifications")) {
                @if page.is_older { a.button href=(address(page.life, None)) { (Icon::Back.draw()) (frame.say("К новым", "To the latest")) } }
                @if let Some(next) = page.next { a.button rel="next" href=(address(page.life, Some(next))) { (frame.say("Раньше", "Older")) (Icon::Next.draw()) } }
            }
        }
    }
}

/// How many there are, as far as they are counted.
fn counted(frame: &Frame, many: u64) -> String {
    let most = COUNTED.unsigned_abs();
    let plus = if many > most { "+" } else { "" };
    format!("{}{plus}", grouped(frame.language, many.min(most)))
}

fn nothing(frame: &Frame, page: &NotificationsPage) -> Markup {
    html! {
        p.muted {
            @if page.life.is_some() || page.is_older {
                (frame.say("Таких уведомлений нет.", "There are none of this kind."))
            } @else {
                (frame.say(
                    "Уведомлений ещё не было. Их отправляет ваша программа запросом POST /api/v1/notify с токеном; выпустите его на вкладке «Токены API».",
                    "There were no notifications yet. Your program sends them by POST /api/v1/notify with a token; make one under “API tokens”.",
                ))
            }
        }
    }
}

fn row(frame: &Frame, one: &NotificationFace) -> Markup {
    let whom = one.title.clone().unwrap_or_else(|| phone(&one.target));
    let path = format!("/access/notifications/{}", one.id);
    html! {
        li.row id={ "notification-" (one.id) } data-notification=(one.id) data-state=(one.life.word()) {
            div.grow {
                p {
                    @match one.recipient {
                        Some(id) => { a.what href={ "/access/recipients/" (id) } { (whom) } }
                        None => { span.what { (whom) } }
                    }
                    @if let Some(name) = &one.organisation { " " span.muted { (name) } }
                }
                p.muted {
                    "№\u{a0}" (one.id) " · "
                    time datetime=(machine(one.created_ms)) { (moment(frame, one.created_ms)) } " · " (sender(frame, one))
                }
                (text(frame, &one.text))
                @if let Some(reason) = &one.reason { p.reason-text { (sentence(frame.said(reason))) } }
            }
            (condition(frame, one))
            @if one.may_repeat {
                @let words = frame.say("Отправить снова", "Send again");
                @let consequence = frame.say(
                    "Уведомление снова встанет в очередь. Если прежнее всё-таки дошло, человек получит его дважды.",
                    "The notification waits anew. If it did arrive after all, the person gets it twice.",
                );
                (grave(frame, &format!("{path}/repeat"), words, consequence))
            }
            @if one.may_skip {
                (form::button(frame, &format!("{path}/skip"), "", frame.say("Не отправлять", "Do not send")))
            }
        }
    }
}

fn text(frame: &Frame, text: &str) -> Markup {
    let short: String = text.chars().take(SEEN).collect();
    html! {
        @if short.len() == text.len() {
            p.said-text { (text) }
        } @else {
            details.hint { summary { (short) "… " span.away { (frame.say("весь текст", "the whole text")) } } p.said-text { (text) } }
        }
    }
}

fn sender(frame: &Frame, one: &NotificationFace) -> String {
    let who = one.sender.as_deref().unwrap_or_default();
    match (one.is_by_bot, who.is_empty()) {
        (true, true) => frame.say("пишет бот", "by a bot").to_owned(),
        (true, false) => format!("{} @{who}", frame.say("пишет бот", "by the bot")),
        (false, _) => format!("{} {who}", frame.say("пишет аккаунт, инстанс", "by the account of instance")),
    }
}

fn condition(frame: &Frame, one: &NotificationFace) -> Markup {
    match one.life {
        Life::Waiting if one.is_handed_over => {
            state(Lamp::Orange, frame.say("передано на отправку", "handed over"))
        }
        Life::Waiting => state(Lamp::Orange, frame.say("ждёт", "waits")),
        Life::Sent if one.is_read => state(Lamp::Green, frame.say("прочитано", "read")),
        Life::Sent => state(Lamp::Green, frame.say("отправлено", "sent")),
        Life::Failed => state(Lamp::Red, frame.say("не отправлено", "failed")),
        Life::Skipped => state(Lamp::Off, frame.say("пропущено", "skipped")),
    }
}

fn name(frame: &Frame, kind: Option<Life>) -> &'static str {
    match kind {
        None => frame.say("Все", "All"),
        Some(Life::Waiting) => frame.say("Ждут", "Waiting"),
        Some(Life::Sent) => frame.say("Отправлены", "Sent"),
        Some(Life::Failed) => frame.say("Не ушли", "Failed"),
        Some(Life::Skipped) => frame.say("Пропущены", "Skipped"),
    }
}

fn address(kind: Option<Life>, before: Option<i64>) -> String {
    let state = kind.map(|kind| format!("state={}", kind.word()));
    let before = before.map(|before| format!("before={before}"));
    let query: Vec<String> = state.into_iter().chain(before).collect();
    if query.is_empty() {
        "/access/notifications".to_owned()
    } else {
        format!("/access/notifications?{}", query.join("&"))
    }
}
