//! The partner's token, and the instances that were made with it.

use maud::{Markup, html};
use tgtrunk_config::Lamp;

use super::{Tab, grave, made, served, sheet, standing, state};
use crate::page::model::Frame;
use crate::page::model::access::PartnerPage;
use crate::page::view::form::hidden;
use crate::page::view::words::{moment, phone};

/// The page.
pub(crate) fn page(frame: &Frame, page: &PartnerPage) -> Markup {
    let main = html! {
        (new(frame, page))
        (token(frame, page))
        (instances(frame, page))
    };
    sheet(frame, Tab::Partner, page.problem.as_ref(), main)
}

/// The one that was just made: `made`.
pub(crate) fn new(frame: &Frame, page: &PartnerPage) -> Markup {
    let sample = page
        .made
        .as_ref()
        .map(|made| format!("curl {}/partner/getInstances/{}", made.address, made.token.as_str()));
    made(frame, page.made.as_ref(), &sample.unwrap_or_default())
}

/// Whether there is a token, and another one: `partner`.
pub(crate) fn token(frame: &Frame, page: &PartnerPage) -> Markup {
    let is_there = page.since_ms.is_some();
    let make = if is_there {
        frame.say("Заменить токен", "Replace the token")
    } else {
        frame.say("Выпустить токен", "Make a token")
    };
    html! {
        section #partner.card {
            h2 { (frame.say("Токен партнёра", "The partner’s token")) }
            p { (frame.say(
                "С ним программа сама заводит и удаляет инстансы: аккаунты Telegram, которые не линии (createInstance, getInstances, deleteInstanceAccount).",
                "With it a program makes and deletes instances by itself: Telegram accounts that are no lines (createInstance, getInstances, deleteInstanceAccount).",
            )) }
            (served(frame, page.is_served, &page.address))
            div.row {
                div.grow {
                    @match page.since_ms {
                        Some(ms) => {
                            (state(Lamp::Green, frame.say("токен есть", "there is a token"))) " "
                            span.muted { (frame.say("выпущен ", "made ")) (moment(frame, ms)) }
                        }
                        None => { (state(Lamp::Off, frame.say("токена нет: инстансы партнёра заводить некому", "there is no token: nobody can make instances"))) }
                    }
                }
                @if is_there {
                    (grave(frame, "/access/partner", make, frame.say(
                        "Прежний токен сразу перестанет действовать; инстансы и их токены останутся.",
                        "The token there is now is dead at once; instances and their tokens stay.",
                    )))
                    (grave(frame, "/access/partner/revoke", frame.say("Отозвать", "Revoke"), frame.say(
                        "Партнёр больше не сможет заводить и удалять инстансы. Те, что есть, продолжат работать.",
                        "The partner can make and delete no instances any more. Those that are there go on.",
                    )))
                } @else {
                    form method="post" action="/access/partner" { (hidden(frame)) button.primary { (make) } }
                }
            }
        }
    }
}

fn instances(frame: &Frame, page: &PartnerPage) -> Markup {
    html! {
        section.card {
            h2 { (frame.say("Инстансы партнёра", "The partner’s instances")) }
            @if page.instances.is_empty() {
                p.muted { (frame.say(
                    "Их пока нет. Партнёр заводит их запросом createInstance; линии сюда не входят.",
                    "There are none yet. The partner makes them by createInstance; lines are not among them.",
                )) }
            }
            ul.rows {
                @for one in &page.instances {
                    li.row data-instance=(one.instance) {
                        div.grow {
                            p { span.what { (one.instance) } @if !one.name.is_empty() { " " (one.name) } }
                            p.muted {
                                @match &one.phone {
                                    Some(number) => { (phone(number.as_str())) }
                                    None => { (frame.say("номер ещё не известен", "its number is not known yet")) }
                                }
                                " · " (frame.say("к отправке ", "to send ")) (one.outgoing)
                                " · " (frame.say("уведомлений ", "notifications ")) (one.notifications)
                            }
                        }
                        (standing(frame, &one.standing))
                    }
                }
            }
        }
    }
}
