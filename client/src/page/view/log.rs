//! The end of a program's log.

use maud::{Markup, html};
use tgtrunk_config::control::LogLine;

use crate::page::model::{Frame, LogPage, Part};
use crate::page::view::frame::{self, Place};
use crate::page::view::icons::Icon;
use crate::page::view::lamp::part_name;
use crate::page::view::words::{clock_s, machine, sentence};

/// The page.
pub(crate) fn page(frame: &Frame, page: &LogPage) -> Markup {
    let title = frame.say("Журнал программ", "Logs");
    let main = html! {
        p.crumb { a href="/system" { (Icon::Back.draw()) (frame.say("Система", "System")) } }
        div.head {
            h1 { (title) }
            nav.segments aria-label=(frame.say("Программа", "Program")) {
                @for part in Part::ALL {
                    a href={ "/system/log?part=" (part.word()) } aria-current=[(part == page.part).then_some("page")] { (part_name(frame, part)) }
                }
            }
        }
        section.card {
            @if !page.tail.lines.is_empty() {
                button.copy.scripted type="button" data-copy-from="log" data-done=(frame.say("Скопировано", "Copied")) {
                    (Icon::Copy.draw())
                    span { (frame.say("Копировать то, что видно", "Copy what is shown")) }
                }
            }
            @if let Some(problem) = &page.problem { p.problem { (sentence(frame.said(problem))) } }
            @if page.tail.lines.is_empty() && page.problem.is_none() { p.muted { (frame.say("Пока ничего.", "Nothing yet.")) } }
            ol #log.log data-last=(page.tail.last) tabindex="0" aria-label=(title) { (lines(frame, &page.tail.lines)) }
        }
        p.hint { (frame.say(
            "Пароли, ключи, номера и адреса здесь скрыты так же, как в самом журнале. Весь журнал: ",
            "Passwords, keys, numbers and addresses are masked as in the log itself. All of it: ",
        )) code { "journalctl -u tgtrunk-" (page.part.word()) } }
    };
    frame::page(frame, Place::System, title, main)
}

/// Lines of a log, for the page and for what is added to it later.
pub(crate) fn lines(frame: &Frame, lines: &[LogLine]) -> Markup {
    html! {
        @for line in lines {
            li data-level=(line.level) {
                time datetime=(machine(line.time_ms)) { (clock_s(frame, line.time_ms)) }
                span.level { (line.level) }
                span.words { (line.text) }
            }
        }
    }
}
