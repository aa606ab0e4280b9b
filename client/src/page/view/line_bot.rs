//! Which bot a line has, and how a new one is made.

use maud::{Markup, html};
use tgtrunk_config::control::BotCheck;

use crate::page::model::{Frame, LineBotPage, Part, TokenForm, Typed};
use crate::page::view::form::{self, hidden};
use crate::page::view::icons::Icon;
use crate::page::view::line::{Tab, sheet};
use crate::page::view::lines::path;
use crate::page::view::steps::parts;
use crate::page::view::words::sentence;

/// The page.
pub(crate) fn page(frame: &Frame, page: &LineBotPage) -> Markup {
    let card = &page.card;
    let path = path(&card.phone);
    let action = format!("{path}/login/bot");
    let main = html! {
        (parts(frame, card, Part::Bot))
        @if !page.bots.is_empty() {
            section.card {
                h2 { (frame.say("Бот этой линии", "Bot of this line")) }
                form.inline method="post" action=(action) {
                    (hidden(frame))
                    div.field {
                        label for="f-bot" { (frame.say("Бот", "Bot")) }
                        select #f-bot name="bot" {
                            option value="" selected[card.bot_name.is_none()] { (frame.say("Без бота", "No bot")) }
                            @for bot in &page.bots {
                                option value=(bot.bot) selected[card.bot_name.as_ref() == Some(&bot.bot)] {
                                    @if let Some(name) = &bot.name { (name) " " } "@" (bot.bot)
                                }
                            }
                        }
                    }
                    button name="act" value="choose" { (frame.say("Сохранить", "Save")) }
                }
            }
        }
        (token_form(frame, &page.token, &action))
    };
    sheet(frame, card, Tab::Sessions, main)
}

/// A token to check and to keep: `token`.
pub(crate) fn token_form(frame: &Frame, token: &TokenForm, action: &str) -> Markup {
    let mut typed = Typed::default();
    typed.set("token", token.token.clone());
    if let Some(problem) = &token.problem {
        typed.refuse("token", problem.clone());
    }
    let input = form::Input {
        kind: "password",
        placeholder: Some("123456789:AA…"),
        required: true,
        ..form::Input::default()
    };
    html! {
        section #token.card.two {
            div {
                h2 { (frame.say("Новый бот", "New bot")) }
                form.stack method="post" action=(action) {
                    (hidden(frame))
                    (form::text(frame, &typed, "token", frame.say("Токен от @BotFather", "Token from @BotFather"),
                        frame.say("У кого токен, у того и бот: никому его не показывайте.", "Who has the token has the bot: keep it to yourself."), input))
                    @if let Some(found) = &token.found { (found_bot(frame, found)) }
                    div.actions {
                        @if let Some(found) = &token.found {
                            button.primary[found.inline] name="act" value="save" { (frame.say("Сохранить", "Save")) }
                        }
                        @let is_next = token.found.as_ref().is_none_or(|found| !found.inline);
                        button.primary[is_next] name="act" value="check" { (frame.say("Проверить", "Check")) }
                    }
                }
            }
            (father(frame))
        }
    }
}

/// What Telegram says of a bot.
pub(crate) fn found_bot(frame: &Frame, found: &BotCheck) -> Markup {
    html! {
        dl.found {
            dt { (frame.say("Название", "Name")) } dd { (found.name) }
            dt { (frame.say("Имя", "Username")) } dd { "@" (found.bot) }
            dt { "id" } dd { (found.id) }
            @if let Some(description) = &found.description { dt { (frame.say("Описание", "Description")) } dd { (description) } }
            dt { "Inline" }
            dd {
                @if found.inline {
                    span.shape.green { (Icon::Good.draw()) } (frame.say("включён", "on"))
                } @else {
                    span.shape.red { (Icon::Bad.draw()) } (frame.say("выключен: клавиши не отправить", "off: no keypad can be sent"))
                }
            }
        }
        @for trouble in &found.troubles { p.problem { (sentence(frame.said(trouble))) } }
        @if !found.inline {
            ol.how {
                li { (frame.say("Откройте @BotFather и отправьте ", "Open @BotFather and send ")) code { "/setinline" } "." }
                li { (frame.say("Выберите бота ", "Choose the bot ")) "@" (found.bot) "." }
                li { (frame.say("Отправьте любую подсказку, например ", "Send any placeholder, as ")) code { (frame.say("номер", "number")) } "." }
                li { (frame.say("Проверьте токен снова.", "Check the token again.")) }
            }
        }
    }
}

fn father(frame: &Frame) -> Markup {
    html! {
        div {
            h3 { (frame.say("Как сделать бота", "How to make a bot")) }
            ol.how {
                li { (frame.say("Откройте в Telegram ", "Open in Telegram ")) a href="https://t.me/BotFather" rel="noreferrer" { "@BotFather" } (frame.say(" и отправьте ", " and send ")) code { "/newbot" } "." }
                li { (frame.say("Дайте название: его видят звонящие. Затем имя, которое кончается на bot.", "Give it a name, which callers see, and a username that ends in bot.")) }
                li { (frame.say("Включите inline-режим: ", "Switch inline mode on: ")) code { "/setinline" } "." }
                li { (frame.say("Скопируйте токен сюда.", "Copy the token here.")) }
            }
        }
    }
}
