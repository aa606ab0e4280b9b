//! Bots, and the people who wrote to them.

use maud::{Markup, html};
use tgtrunk_config::control::BotPerson;

use crate::page::model::{BotCard, BotsPage, Frame};
use crate::page::view::frame::{self, Place};
use crate::page::view::lamp::{self, About};
use crate::page::view::line_bot::token_form;
use crate::page::view::lines::path;
use crate::page::view::words::{count, moment, phone, sentence};

/// The page.
pub(crate) fn page(frame: &Frame, page: &BotsPage) -> Markup {
    let title = frame.say("Боты и ключи", "Bots and keys");
    let main = html! {
        div.head { h1 { (title) } }
        (list(frame, page))
        (token_form(frame, &page.token, "/bots"))
    };
    frame::page(frame, Place::Bots, title, main)
}

/// All bots: `bots`.
pub(crate) fn list(frame: &Frame, page: &BotsPage) -> Markup {
    html! {
        div #bots.sheet-list {
            @for problem in &page.problems { p.problem { (sentence(frame.said(problem))) } }
            @if page.bots.is_empty() && page.problems.is_empty() {
                p.muted { (frame.say(
                    "Ботов пока нет. Без бота звонящие набирают добавочный номер сообщением.",
                    "There are no bots yet. Without one, callers dial an extension by a message.",
                )) }
            }
            @for bot in &page.bots { (card(frame, bot)) }
        }
    }
}

fn card(frame: &Frame, bot: &BotCard) -> Markup {
    let status = &bot.status;
    html! {
        article.card.bot id={ "bot-" (status.bot) } {
            div.card-head {
                h2 {
                    @if let Some(name) = &status.name { (name) " " span.name { "@" (status.bot) } } @else { "@" (status.bot) }
                }
                div.lamps {
                    (lamp::single(frame, frame.say("Telegram", "Telegram"), About::Telegram, status.telegram.lamp))
                    (lamp::single(frame, frame.say("Шлюз", "Gateway"), About::Gateway, status.gateway.lamp))
                }
            }
            @for light in [&status.telegram, &status.gateway] {
                @if !light.reason_in(frame.language).is_empty() { p.muted { (sentence(light.reason_in(frame.language))) } }
            }
            dl.found {
                @if let Some(id) = status.id { dt { "id" } dd { (id) } }
                dt { (frame.say("Линии", "Lines")) }
                dd {
                    @if status.lines.is_empty() { (frame.say("ни одной", "none")) }
                    @for line in &status.lines { a.roomy href=(path(line)) { (phone(line.as_str())) } " " }
                }
            }
            p.links {
                @if status.programs.is_some() {
                    a.roomy href={ "/bots/" (status.bot) "/messages" } { (frame.say("Очередь и журнал", "Queue and journal")) }
                }
                a.roomy href={ "/bots/" (status.bot) "/messages/access" } { (frame.say("Токены программ", "Tokens of programs")) }
            }
            (people(frame, bot))
            (remove(frame, bot))
        }
    }
}

fn people(frame: &Frame, bot: &BotCard) -> Markup {
    let Some(people) = &bot.people else { return html! {} };
    let told =
        count(frame.language, people.len() as u64, ["человек", "человека", "человек"], ["person", "people"]);
    html! {
        details.people {
            summary { (frame.say("Ключи и люди: ", "Keys and people: ")) (told) }
            @if people.is_empty() {
                p.muted { (frame.say("Боту ещё никто не писал.", "Nobody has written to the bot yet.")) }
            } @else {
                table role="table" {
                    caption.away { (frame.say("Люди бота", "People of the bot")) }
                    thead role="rowgroup" { tr role="row" {
                        th role="columnheader" scope="col" { (frame.say("Кто", "Who")) }
                        th role="columnheader" scope="col" { (frame.say("Ключ", "Key")) }
                        th role="columnheader" scope="col" { (frame.say("С нами", "Since")) }
                    } }
                    tbody role="rowgroup" { @for person in people { (one(frame, person)) } }
                }
            }
        }
    }
}

fn one(frame: &Frame, person: &BotPerson) -> Markup {
    html! {
        tr role="row" {
            td role="cell" {
                @if let Some(name) = &person.name { (name) " " }
                span.muted { "id\u{a0}" (person.id) }
                @if person.blocked { " " span.result.red { (frame.say("заблокировал бота", "blocked the bot")) } }
            }
            td role="cell" { @if let Some(key) = &person.key { code { (key) } } @else { span.muted { "–" } } }
            td role="cell" { @if let Some(since) = person.since_ms { (moment(frame, since)) } @else { span.muted { "–" } } }
        }
    }
}

fn remove(frame: &Frame, bot: &BotCard) -> Markup {
    let name = bot.status.bot.to_string();
    let id = format!("remove-{name}");
    html! {
        details.grave {
            summary { (frame.say("Убрать бота", "Remove the bot")) }
            form.grave-row method="post" action={ "/bots/" (name) "/remove" } {
                (crate::page::view::form::hidden(frame))
                div {
                    p { (frame.say(
                        "Токен, люди и их ключи будут забыты; линии останутся без клавиш. Сам бот в Telegram останется.",
                        "Its token, its people and their keys are forgotten; its lines are left without a keypad. At Telegram the bot stays.",
                    )) }
                    label for=(id) { (frame.say("Чтобы подтвердить, введите ", "To confirm, type ")) (name) }
                    input id=(id) name="bot" required autocomplete="off" spellcheck="false";
                }
                button.danger { (frame.say("Убрать", "Remove")) }
            }
        }
    }
}
