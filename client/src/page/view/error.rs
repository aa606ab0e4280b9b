//! What is shown where nothing else can be.

use maud::{Markup, html};

use crate::page::model::{ErrorPage, Frame};
use crate::page::view::frame;
use crate::page::view::words::sentence;

/// The page.
pub(crate) fn page(frame: &Frame, page: &ErrorPage) -> Markup {
    let title = match page.status {
        403 => frame.say("Сюда нельзя", "Not allowed"),
        404 => frame.say("Такой страницы нет", "No such page"),
        413 => frame.say("Слишком много", "Too much"),
        429 => frame.say("Слишком часто", "Too often"),
        500.. => frame.say("Не получилось", "That did not work"),
        _ => frame.say("Так не получится", "That cannot be done"),
    };
    let main = html! {
        h1 { (title) }
        p { (sentence(frame.said(&page.said))) }
        p { a.button href="/" { (frame.say("К линиям", "To the lines")) } }
        p.muted { (page.status) }
    };
    frame::bare(frame, title, main)
}
