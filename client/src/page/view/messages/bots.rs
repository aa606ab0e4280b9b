//! What is of bots alone among the pages of instances: the tokens of the programs that lead them.

use maud::{Markup, html};
use tgtrunk_config::control::ApiTokenInfo;
use tgtrunk_config::{BotPrograms, BotUpdate, BotWebhook, Lamp, Language};

use super::instance::{Tab, sheet};
use super::{path, queues};
use crate::page::model::Frame;
use crate::page::model::messages::{BotAccessPage, InstanceCard};
use crate::page::view::access::{grave, made, state};
use crate::page::view::form::{self, Input, hidden};
use crate::page::view::words::{count, grouped, machine, moment, sentence};

/// The page of tokens.
pub(crate) fn access(frame: &Frame, page: &BotAccessPage) -> Markup {
    let main = html! {
        @if let Some(problem) = &page.problem { p.problem { (sentence(frame.said(problem))) } }
        (new_token(frame, page))
        section.card {
            h2 { (frame.say("Токены программ", "Tokens of programs")) }
            p.muted { (frame.say(
                "С таким токеном программа (1С, Битрикс, Zabbix, скрипт) ведёт бота через Bot API этой машины вместо настоящего токена и вызывает действия /api/v1/actions. В Telegram он не действует.",
                "With such a token a program (1C, Bitrix, Zabbix, a script) leads the bot by the Bot API of this machine in place of the bot’s own, and calls the actions /api/v1/actions. It is no good at Telegram.",
            )) }
            (tokens(frame, page))
        }
        (form(frame, page))
    };
    sheet(frame, &page.card, Tab::Access, main)
}

/// The updates that wait for the programs that lead a bot, and how their webhook does: `updates`.
pub(crate) fn updates(frame: &Frame, card: &InstanceCard, programs: &BotPrograms) -> Markup {
    html! {
        section #updates.card {
            div.card-head {
                h2 { (frame.say("Обновления для программ", "Updates for programs")) " " span.badge { (grouped(frame.language, programs.waiting)) } }
            }
            @match &programs.webhook {
                None => p.muted { (frame.say(
                    "Вебхук не задан: программа забирает обновления сама (getUpdates).",
                    "No webhook is set: the program fetches updates itself (getUpdates).",
                )) },
                Some(webhook) => (hook(frame, card, programs, webhook)),
            }
        }
    }
}

fn hook(frame: &Frame, card: &InstanceCard, programs: &BotPrograms, webhook: &BotWebhook) -> Markup {
    let way = format!("{}/updates", path(card));
    let update = webhook.fault.as_ref().and_then(|fault| fault.update.as_ref());
    html! {
        p.muted { (frame.say("Вебхук (setWebhook): ", "Webhook (setWebhook): ")) code { (webhook.site) } }
        @if let Some(fault) = &webhook.fault {
            (failing(frame, &Failing {
                cause: &cause(frame.language, &fault.message),
                since_ms: fault.since_ms,
                at_ms: fault.at_ms,
                attempts: fault.attempts,
                next_ms: fault.next_ms,
                waiting: programs.waiting,
                is_over: fault.is_over,
            }))
        }
        @if let Some(taken_ms) = webhook.taken_ms {
            p.muted { (frame.say("Последнее принято ", "Last one taken ")) (moment(frame, taken_ms)) }
        }
        @if let Some(BotUpdate { number, kind }) = update {
            (not_taken(frame, &NotTaken {
                id: &format!("update-{number}"),
                kind,
                told: &format!("update_id {number}"),
                skip: &format!("{way}/{number}/skip"),
                question: frame.say("Пропустить это обновление?", "Skip this update?"),
                more: frame.say("Программы бота его не получат.", "The bot’s programs do not get it."),
            }))
        }
        @if programs.waiting > 0 && webhook.fault.as_ref().is_some_and(|fault| !fault.is_over) {
            (push(frame, &format!("{way}/push")))
        }
    }
}

/// Something that a webhook does not take, which can be skipped. `question` and `more` are asked before.
pub(crate) struct NotTaken<'a> {
    pub(crate) id: &'a str,
    pub(crate) kind: &'a str,
    /// What else is known of it.
    pub(crate) told: &'a str,
    /// Where the form goes.
    pub(crate) skip: &'a str,
    pub(crate) question: &'a str,
    pub(crate) more: &'a str,
}

/// Draws it.
pub(crate) fn not_taken(frame: &Frame, one: &NotTaken) -> Markup {
    html! {
        div.letter.stuck id=(one.id) data-stuck="yes" {
            div.letter-head {
                span.peer { code { (one.kind) } }
                span.muted { (one.told) }
                span.grow {}
                form method="post" action=(one.skip) data-confirm=(one.question) data-more=(one.more)
                    data-yes=(frame.say("Пропустить", "Skip")) {
                    (hidden(frame))
                    button.quiet.small { (frame.say("Пропустить", "Skip")) }
                }
            }
        }
    }
}

/// A form that has a webhook tried now.
pub(crate) fn push(frame: &Frame, action: &str) -> Markup {
    html! {
        div.actions {
            form method="post" action=(action) {
                (hidden(frame))
                button { (frame.say("Повторить сейчас", "Try again now")) }
            }
        }
    }
}

/// What a webhook does not take, and what becomes of that. Times are milliseconds since 1970.
pub(crate) struct Failing<'a> {
    /// In the reader's language.
    pub(crate) cause: &'a str,
    pub(crate) since_ms: u64,
    pub(crate) at_ms: u64,
    pub(crate) attempts: u64,
    pub(crate) next_ms: Option<u64>,
    pub(crate) waiting: u64,
    pub(crate) is_over: bool,
}

/// The last fault of a webhook; a problem as long as it is not over.
pub(crate) fn failing(frame: &Frame, fault: &Failing) -> Markup {
    let attempts =
        count(frame.language, fault.attempts, ["попытка", "попытки", "попыток"], ["attempt", "attempts"]);
    let waiting = count(frame.language, fault.waiting, ["ждёт", "ждут", "ждут"], ["waits", "wait"]);
    html! {
        p.webhook-fault.problem[!fault.is_over].muted[fault.is_over] data-fault=(if fault.is_over { "over" } else { "now" }) data-attempts=(fault.attempts) data-failing-since=(fault.since_ms) {
            (frame.say("Последняя ошибка ", "Last error ")) time datetime=(machine(fault.at_ms)) { (moment(frame, fault.at_ms)) } ": "
            (fault.cause)
        }
        @if !fault.is_over {
            p.muted {
                span.nowrap { (frame.say("Не принимает с ", "Takes nothing since ")) (moment(frame, fault.since_ms)) } " · "
                span.nowrap { (attempts) } " · "
                span.nowrap { (waiting) }
                @if let Some(next_ms) = fault.next_ms {
                    " · " span.nowrap { (frame.say("повтор через ", "tried again in ")) (queues::left(frame, i64::try_from(next_ms).unwrap_or(i64::MAX))) }
                }
            }
        }
    }
}

/// What went wrong at a webhook, which Telegram says in English.
pub(super) fn cause(language: Language, english: &str) -> String {
    let russian = match english {
        "Connection timed out" => "нет соединения: истекло время ожидания",
        "Connection refused" => "нет соединения: в нём отказано",
        "Read timeout expired" => "нет ответа: истекло время ожидания",
        "Connection closed" => "соединение оборвалось",
        "Internal error" => "внутренняя ошибка программы",
        _ => "",
    };
    match (language, english.strip_prefix("Wrong response from the webhook: ")) {
        (Language::English, _) => english.to_owned(),
        (Language::Russian, Some(status)) => format!("вебхук ответил {status}"),
        (Language::Russian, None) if russian.is_empty() => english.to_owned(),
        (Language::Russian, None) => russian.to_owned(),
    }
}

/// The one that was just made: `made`.
pub(crate) fn new_token(frame: &Frame, page: &BotAccessPage) -> Markup {
    let served = page.made.as_ref().filter(|made| !made.address.is_empty());
    let sample = served.map(|made| format!("curl {}/bot{}/getMe", made.address, made.token.as_str()));
    html! {
        (made(frame, page.made.as_ref(), &sample.unwrap_or_default()))
    }
}

/// All of them: `tokens`.
pub(crate) fn tokens(frame: &Frame, page: &BotAccessPage) -> Markup {
    html! {
        div #tokens {
            @if page.tokens.is_empty() && page.problem.is_none() {
                p.muted { (frame.say("Токенов пока нет. Выпустите первый ниже.", "There are no tokens yet. Make the first one below.")) }
            }
            ul.rows { @for token in page.tokens.iter().rev() { (row(frame, page, token)) } }
        }
    }
}

fn row(frame: &Frame, page: &BotAccessPage, token: &ApiTokenInfo) -> Markup {
    let number = token.number;
    html! {
        li.row id={ "token-" (number) } data-token=(number) {
            div.grow {
                p { span.what { (called(frame, token)) } " " span.muted { "№\u{a0}" (number) } }
                p.muted {
                    (frame.say("выпущен ", "made ")) (moment(frame, token.made_ms)) " · "
                    @match token.used_ms {
                        Some(used_ms) => { (frame.say("применялся ", "last used ")) (moment(frame, used_ms)) }
                        None => { (frame.say("ещё не применялся", "never used yet")) }
                    }
                }
            }
            (state(Lamp::Green, frame.say("действует", "holds")))
            (grave(
                frame, &format!("{}/access/{number}/revoke", path(&page.card)), frame.say("Отозвать", "Revoke"),
                frame.say(
                    "Токен сразу перестанет действовать: программы с ним получат ответ 401, а вебхук, который она задала, будет снят. Вернуть токен нельзя.",
                    "The token is dead at once: programs that have it are answered 401, and the webhook that one of them has set is deleted. It cannot be brought back.",
                ),
            ))
        }
    }
}

/// Whom a token is for.
fn called<'a>(frame: &Frame, token: &'a ApiTokenInfo) -> &'a str {
    if token.label.is_empty() { frame.say("без названия", "without a name") } else { &token.label }
}

fn form(frame: &Frame, page: &BotAccessPage) -> Markup {
    let hint = frame.say(
        "Для кого он: 1С, Битрикс, Zabbix. Каждой программе — свой: отозвать можно будет один.",
        "Whom it is for: 1C, Bitrix, Zabbix. One per program, so that one can be revoked alone.",
    );
    let more = Input { required: true, ..Input::default() };
    html! {
        section.card {
            form.stack method="post" action={ (path(&page.card)) "/access" } {
                h2 { (frame.say("Выпустить токен", "Make a token")) }
                (hidden(frame))
                (form::text(frame, &page.typed, "label", frame.say("Название", "Name"), hint, more))
                div.actions { button.primary { (frame.say("Выпустить", "Make it")) } }
            }
        }
    }
}
