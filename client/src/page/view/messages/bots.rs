//! What is of bots alone among the pages of instances: the tokens of the programs that lead them.

use maud::{Markup, html};
use tgtrunk_config::Lamp;
use tgtrunk_config::control::ApiTokenInfo;

use super::instance::{Tab, sheet};
use super::path;
use crate::page::model::Frame;
use crate::page::model::messages::BotAccessPage;
use crate::page::view::access::{grave, made, state};
use crate::page::view::form::{self, Input, hidden};
use crate::page::view::words::{moment, sentence};

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
