//! A number to add.

use maud::{Markup, html};

use crate::page::model::{Frame, NewLinePage};
use crate::page::view::form::{self, Input, hidden};
use crate::page::view::frame::{self, Place};
use crate::page::view::icons::Icon;
use crate::page::view::words::sentence;

/// The page.
pub(crate) fn page(frame: &Frame, page: &NewLinePage) -> Markup {
    let title = frame.say("Добавить номер", "Add a number");
    let typed = &page.typed;
    let number = Input {
        kind: "tel",
        placeholder: Some("+79060000000"),
        inputmode: Some("tel"),
        required: true,
        ..Input::default()
    };
    let port = Input { inputmode: Some("numeric"), required: true, ..Input::default() };
    let main = html! {
        p.crumb { a href="/" { (Icon::Back.draw()) (frame.say("Все линии", "All lines")) } }
        div.head { h1 { (title) } }
        section.card.two {
            form.stack method="post" action="/lines/new" {
                (hidden(frame))
                @if let Some(problem) = &page.problem { p.problem role="alert" { (sentence(frame.said(problem))) } }
                (form::text(frame, typed, "phone", frame.say("Номер аккаунта Telegram", "Number of the Telegram account"),
                    frame.say("С кодом страны.", "With its country code."), number))
                (form::text(frame, typed, "company", frame.say("Название линии", "Name of the line"),
                    frame.say("Например, «Отдел продаж». Можно оставить пустым.", "As “Sales”. May stay empty."), Input::default()))
                (form::text(frame, typed, "pbx", frame.say("Адрес АТС", "Address of the PBX"),
                    frame.say("Если АТС на этой же машине, менять не нужно.", "With a PBX on this machine, leave it."), Input::default()))
                (form::text(frame, typed, "sip_port", frame.say("SIP-порт линии", "SIP port of the line"),
                    frame.say("У каждой линии свой: по нему АТС узнаёт номер.", "One per line: the PBX tells numbers apart by it."), port))
                div.actions {
                    button.primary { (frame.say("Добавить и войти", "Add and log in")) }
                    a.button.quiet href="/" { (frame.say("Не надо", "Not now")) }
                }
            }
            aside.advice {
                h2 { (frame.say("Какой номер взять", "Which number to take")) }
                ul {
                    li { (frame.say(
                        "Отдельный, не личный: Telegram присылает на него коды и предупреждения, значит, он должен работать.",
                        "One of its own: Telegram sends codes and warnings to it, so it must be alive.",
                    )) }
                    li { (frame.say(
                        "С историей: совсем новый аккаунт, который сразу звонит незнакомым, Telegram скоро заблокирует.",
                        "One with a past: Telegram soon bans a brand-new account that calls strangers.",
                    )) }
                    li { (frame.say(
                        "Уже зарегистрированный в Telegram: здесь новый аккаунт не создаётся.",
                        "One that is in Telegram already: no new account is made here.",
                    )) }
                }
            }
        }
    };
    frame::page(frame, Place::Lines, title, main)
}
