//! One line: its lamps, its checks, its strangers, its calls.

use maud::{Markup, html};
use tgtrunk_config::control::{Check, CheckName, Found};
use tgtrunk_config::{Lamp, Light};

use crate::page::messages::site;
use crate::page::model::{Frame, LineCard, LinePage, Part};
use crate::page::view::calls;
use crate::page::view::form::hidden;
use crate::page::view::frame::{self, Place};
use crate::page::view::icons::Icon;
use crate::page::view::lamp::{self, About};
use crate::page::view::lines::{self, address, path};
use crate::page::view::messages::bots::{Failing, NotTaken, failing, not_taken, push};
use crate::page::view::messages::words::cause;
use crate::page::view::words::{moment, phone, sentence, since};

/// One of the sheets of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tab {
    State,
    Sessions,
    Texts,
    Pbx,
    Settings,
}

/// The page.
pub(crate) fn page(frame: &Frame, page: &LinePage) -> Markup {
    let card = &page.card;
    let main = html! {
        (lights(frame, card))
        (calls(frame, card))
        (checks(frame, page))
        (budget(frame, card))
        (webhook(frame, page))
        p.links {
            a.roomy href={ "/calls?line=%2B" (card.phone.digits()) } { (frame.say("Звонки этой линии", "Calls of this line")) }
            a.roomy href="/system/log" { (frame.say("Журнал программ", "Logs")) }
        }
    };
    sheet(frame, card, Tab::State, main)
}

/// A page of a line: its number, its lamps, its tabs, and one of the sheets.
pub(crate) fn sheet(frame: &Frame, card: &LineCard, at: Tab, main: Markup) -> Markup {
    let number = phone(card.phone.as_str());
    let path = path(&card.phone);
    let tabs = [
        (Tab::State, "", frame.say("Обзор", "Overview")),
        (Tab::Sessions, "/login", frame.say("Вход", "Logins")),
        (Tab::Texts, "/texts", frame.say("Тексты", "Texts")),
        (Tab::Pbx, "/pbx", frame.say("АТС", "PBX")),
        (Tab::Settings, "/settings", frame.say("Настройки", "Settings")),
    ];
    let name = tabs.iter().find(|(tab, ..)| *tab == at).map_or("", |(.., name)| name);
    let main = html! {
        div.line-title {
            p.crumb { a href="/" { (Icon::Back.draw()) (frame.say("Все линии", "All lines")) } }
            h1 { span.number { (number) } @if !card.name.is_empty() { " " span.name { (card.name) } } }
            (address(frame, card))
            @if !matches!(at, Tab::State | Tab::Sessions) { (lamps(frame, card)) }
        }
        nav.tabs aria-label=(frame.say("Линия", "Line")) {
            @for (tab, word, name) in tabs {
                a href={ (path) (word) } aria-current=[(tab == at).then_some("page")] { (name) }
            }
        }
        @if let Some(problem) = &card.problem {
            div.banner { (Icon::Bad.draw()) p { (sentence(frame.said(problem))) } }
        }
        (main)
    };
    frame::page(frame, Place::Lines, &format!("{name} · {number}"), main)
}

/// The three lamps in a line's title: `lamps`.
pub(crate) fn lamps(frame: &Frame, card: &LineCard) -> Markup {
    html! { div #lamps.line-lamps { (lamp::row(frame, card)) } }
}

/// The calls of the line: `line-calls`.
pub(crate) fn calls(frame: &Frame, card: &LineCard) -> Markup {
    html! {
        section #line-calls.plain[card.calls.is_empty()] {
            @if !card.calls.is_empty() {
                div.card {
                    h2 { (frame.say("Сейчас говорят", "Calls up now")) }
                    @for call in &card.calls { (calls::live_row(frame, call)) }
                }
            }
        }
    }
}

/// Everything that is looked at: `checks`.
pub(crate) fn checks(frame: &Frame, page: &LinePage) -> Markup {
    let path = path(&page.card.phone);
    let bad = page.checks.iter().filter(|check| check.found == Found::Bad).count();
    html! {
        section #checks.card aria-live="polite" {
            div.card-head {
                h2 { (frame.say("Проверки", "Checks")) }
                form method="post" action={ (path) "/checks" } {
                    (hidden(frame))
                    button.quiet { (Icon::Refresh.draw()) (frame.say("Проверить снова", "Look again")) }
                }
            }
            @if let Some(problem) = &page.checks_problem { p.problem { (sentence(frame.said(problem))) } }
            @if page.checks.is_empty() && page.checks_problem.is_none() {
                p.muted { (frame.say("Смотрим…", "Looking…")) }
            }
            @if bad == 0 && !page.checks.is_empty() { p.muted { (frame.say(
                "Всё, что нужно линии от аккаунта, бота и АТС, на месте.",
                "All that the line needs of its account, bot and PBX is in place.",
            )) } }
            ul.checks {
                @for wanted in [Found::Bad, Found::Unknown, Found::Good] {
                    @for check in page.checks.iter().filter(|check| check.found == wanted) { (one_check(frame, &path, check)) }
                }
            }
        }
    }
}

/// How many strangers the line may still call today: `budget`.
pub(crate) fn budget(frame: &Frame, card: &LineCard) -> Markup {
    html! {
        section #budget.plain[card.gateway.strangers.is_none()] {
            @if let Some(budget) = card.gateway.strangers {
                div.card {
                    div.card-head {
                        h2 { (frame.say("Незнакомые сегодня", "Strangers today")) }
                        p.figure { (budget.used) (frame.say(" из ", " of ")) (budget.limit) }
                    }
                    progress max=(budget.limit.max(1)) value=(budget.used.min(budget.limit))
                        aria-label=(frame.say("Незнакомые сегодня", "Strangers today")) {}
                    p.hint { (frame.say(
                        "Telegram блокирует аккаунты, которые звонят многим незнакомым людям. Поэтому линия звонит и ищет не больше стольких за день; знакомых это не касается.",
                        "Telegram bans accounts that approach many people they do not know. So the line calls and looks up no more of them in a day; people it knows do not count.",
                    )) " " (frame.say("Счёт начнётся заново ", "It starts again ")) (renewal(frame, budget.resets_ms)) ". "
                        a href={ (path(&card.phone)) "/settings#f-strangers_per_day" } { (frame.say("Изменить", "Change")) } }
                }
            }
        }
    }
}

/// How the webhook does that is told of the line's calls: `call-webhook`.
pub(crate) fn webhook(frame: &Frame, page: &LinePage) -> Markup {
    let way = format!("{}/webhook", path(&page.card.phone));
    html! {
        section #call-webhook.plain[page.webhook.is_none()] {
            @if let Some(webhook) = &page.webhook {
                div.card {
                    div.card-head {
                        h2 { (frame.say("Вебхук звонков", "Webhook of calls")) }
                        p.figure data-waiting=(webhook.waiting) { (frame.say("ждут событий: ", "events that wait: ")) (webhook.waiting) }
                    }
                    p.muted { code { (site(&webhook.url)) } " "
                        a href="/system" { (frame.say("Изменить", "Change")) } " (api.call_webhook_url)"
                    }
                    @if let Some(fault) = &webhook.fault {
                        (failing(frame, &Failing {
                            cause: &cause(frame.language, &fault.cause),
                            since_ms: fault.since_ms,
                            at_ms: fault.at_ms,
                            attempts: fault.attempts,
                            next_ms: (webhook.waiting > 0).then_some(fault.next_ms),
                            waiting: webhook.waiting,
                            is_over: fault.is_over,
                        }))
                    }
                    @if let Some(taken_ms) = webhook.taken_ms {
                        p.muted { (frame.say("Последнее принято ", "Last one taken ")) (moment(frame, taken_ms)) }
                    }
                    @if let (Some(head), true) = (&webhook.head, webhook.fault.as_ref().is_some_and(|fault| !fault.is_over)) {
                        (not_taken(frame, &NotTaken {
                            id: &format!("event-{}", head.seq),
                            kind: &head.kind,
                            told: &format!("{} · {} {}", head.call, frame.say("ждёт с", "waits since"), moment(frame, head.since_ms)),
                            skip: &format!("{way}/{}/skip", head.seq),
                            question: frame.say("Пропустить это событие?", "Skip this event?"),
                            more: frame.say("О нём не узнает никто.", "Nobody is told of it."),
                        }))
                        (push(frame, &format!("{way}/push")))
                    }
                }
            }
        }
    }
}

/// When the next day begins. It is the coming midnight, so the time says it all.
fn renewal(frame: &Frame, ms: u64) -> String {
    let clock = crate::page::view::words::clock(frame, ms);
    format!("{}\u{a0}{clock}", frame.say("в", "at"))
}

/// Every light of the line with its story: `lights`.
pub(crate) fn lights(frame: &Frame, card: &LineCard) -> Markup {
    html! {
        section #lights.card.lights {
            @if let Some(pause) = &card.gateway.pause { p.warning { (Icon::Waiting.draw()) (lines::pause(frame, pause)) } }
            @for part in lamp::of_line(card) {
                div {
                    @for (about, light) in &part.lights {
                        div.light {
                            (lamp::single(frame, about_name(frame, part.part, *about), *about, light.lamp))
                            p.muted { (story(frame, light)) }
                        }
                    }
                    @if part.part == Part::Bot && card.bot_name.is_none() {
                        p.muted { (frame.say(
                            "У линии нет бота: звонящие набирают добавочный номер сообщением.",
                            "The line has no bot: callers dial an extension by a message.",
                        )) }
                        a.button href={ (path(&card.phone)) "/login/bot" } { (frame.say("Задать бота", "Give it a bot")) }
                    }
                }
            }
        }
    }
}

/// Why a light is as it is, and since when.
fn story(frame: &Frame, light: &Light) -> String {
    let since = since(frame, light.since_ms);
    let reason = if light.lamp == Lamp::Green && light.reason == "connected" {
        ""
    } else {
        light.reason_in(frame.language)
    };
    let told = sentence(reason);
    if told.is_empty() { since } else { format!("{}, {since}", told.trim_end_matches('.')) }
}

fn about_name(frame: &Frame, part: Part, about: About) -> &'static str {
    match (part, about) {
        (Part::Gateway, About::Telegram) => frame.say("Шлюз в Telegram", "Gateway at Telegram"),
        (_, About::Pbx) => frame.say("АТС", "PBX"),
        (Part::Client, About::Telegram) => frame.say("Клиент в Telegram", "Client at Telegram"),
        (_, About::Keypad) => frame.say("Клавиши для звонящих", "Keypad for callers"),
        (Part::Bot, About::Telegram) => frame.say("Бот в Telegram", "Bot at Telegram"),
        (_, About::Gateway) => frame.say("Бот и шлюз", "Bot and gateway"),
    }
}

fn one_check(frame: &Frame, path: &str, check: &Check) -> Markup {
    let (class, icon) = found(check.found);
    let state = match check.found {
        Found::Good => frame.say("в порядке", "good"),
        Found::Bad => frame.say("не так", "not so"),
        Found::Unknown => frame.say("неизвестно", "unknown"),
    };
    html! {
        li.check data-check=(check_word(check.check)) data-found=(class) {
            span.shape.(class) { (icon.draw()) span.away { (state) } }
            div {
                p.what { (check_name(frame, check.check)) }
                p.muted { (sentence(frame.said(&check.said))) }
            }
            @if check.can_fix && check.found != Found::Good {
                form method="post" action={ (path) "/checks/" (check_word(check.check)) "/fix" } {
                    (hidden(frame))
                    button { (frame.say("Исправить", "Mend it")) }
                }
            }
        }
    }
}

/// The class and the shape of what was found.
pub(crate) fn found(found: Found) -> (&'static str, Icon) {
    match found {
        Found::Good => ("green", Icon::Good),
        Found::Bad => ("red", Icon::Bad),
        Found::Unknown => ("off", Icon::Off),
    }
}

fn check_name(frame: &Frame, check: CheckName) -> &'static str {
    match check {
        CheckName::PhoneVisible => frame.say("Кто видит номер телефона", "Who sees the phone number"),
        CheckName::CallsFromEverybody => frame.say("Звонить может каждый", "Everybody may call"),
        CheckName::PeerToPeer => frame.say("Прямое соединение в звонках", "Direct connections in calls"),
        CheckName::OpusAllowed => frame.say("АТС принимает Opus", "The PBX takes Opus"),
        CheckName::PbxAnswers => frame.say("АТС отвечает", "The PBX answers"),
        CheckName::InlineMode => frame.say("Inline-режим бота включён", "The bot’s inline mode is on"),
        CheckName::BotDialog => frame.say("Диалог с ботом открыт", "The dialog with the bot is open"),
    }
}

/// The word of the contract, which stands in addresses.
pub(crate) fn check_word(check: CheckName) -> &'static str {
    match check {
        CheckName::PhoneVisible => "phone_visible",
        CheckName::CallsFromEverybody => "calls_from_everybody",
        CheckName::PeerToPeer => "peer_to_peer",
        CheckName::OpusAllowed => "opus_allowed",
        CheckName::PbxAnswers => "pbx_answers",
        CheckName::InlineMode => "inline_mode",
        CheckName::BotDialog => "bot_dialog",
    }
}
