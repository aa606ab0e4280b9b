//! The journal of an instance, and what was said in one chat.

use maud::{Markup, html};
use tgtrunk_messages::{Attachment, Bookmark, Content, Direction, Record, SendStatus};

use super::instance::{Tab, sheet};
use super::{path, queues, words};
use crate::page::messages::ms;
use crate::page::model::Frame;
use crate::page::model::messages::{JournalPage, LETTERS};
use crate::page::view::form;
use crate::page::view::icons::Icon;
use crate::page::view::words::{clock, day, machine, sentence};

/// Longest text that is shown of a message in the journal, and in its chat, in characters.
const TEXT: usize = 400;
const TEXT_IN_CHAT: usize = 4_096;

/// The page.
pub(crate) fn page(frame: &Frame, page: &JournalPage) -> Markup {
    let main = html! {
        section.card {
            @match &page.chat_title {
                Some(title) => (chat_head(frame, page, title)),
                None => {
                    h2 { (frame.say("Журнал", "Journal")) }
                    (filters(frame, page))
                },
            }
            (letters(frame, page))
        }
    };
    sheet(frame, &page.card, Tab::Journal, main)
}

/// What is said while a file is fetched that was asked for.
pub(crate) fn fetching(frame: &Frame, journal: &str) -> Markup {
    let title = frame.say("Файл загружается из Telegram", "The file is being fetched from Telegram");
    let main = html! {
        h1 { (title) }
        p { (frame.say(
            "Он большой, или Telegram отвечает медленно. Не закрывайте эту страницу: скачивание начнётся само.",
            "It is large, or Telegram is slow. Leave this page open: the download begins by itself.",
        )) }
        p { a.button href=(journal) { (Icon::Back.draw()) (frame.say("К журналу", "To the journal")) } }
    };
    crate::page::view::frame::bare(frame, title, main)
}

fn chat_head(frame: &Frame, page: &JournalPage, title: &str) -> Markup {
    let chat = page.browse.chat.map(|chat| chat.to_string()).unwrap_or_default();
    html! {
        p.crumb { a href={ (path(&page.card)) "/journal" } { (Icon::Back.draw()) (frame.say("Журнал", "Journal")) } }
        h2 { @if title.is_empty() { (frame.say("Чат", "Chat")) } @else { (title) } " " span.name { (chat) } }
    }
}

/// Messages: `letters`.
pub(crate) fn letters(frame: &Frame, page: &JournalPage) -> Markup {
    let is_chat = page.chat_title.is_some();
    html! {
        div #letters {
            @if !is_chat {
                div.card-head {
                    p.muted.grow { (range(frame, page)) }
                    a.button.quiet href={ (path(&page.card)) "/journal.csv" (query(page, None)) } download { (Icon::Download.draw()) "CSV" }
                }
            }
            @if let Some(problem) = &page.problem { p.problem { (sentence(frame.said(problem))) } }
            @if is_chat { (pages(frame, page)) }
            @if page.letters.is_empty() && page.problem.is_none() {
                p.muted {
                    @if page.older.is_some() {
                        (frame.say("Среди этих сообщений таких нет: ищите дальше.", "None of these messages fits: look further."))
                    } @else {
                        (frame.say("Таких сообщений нет.", "There are no such messages."))
                    }
                }
            }
            @if is_chat {
                ol.letters.in-chat { @for letter in page.letters.iter().rev() { (one(frame, page, letter)) } }
            } @else {
                ol.letters { @for letter in &page.letters { (one(frame, page, letter)) } }
                (pages(frame, page))
            }
        }
    }
}

fn range(frame: &Frame, page: &JournalPage) -> &'static str {
    if page.before.is_none() {
        frame.say("Сначала новые", "The newest first")
    } else {
        frame.say("Более ранние", "Older ones")
    }
}

fn pages(frame: &Frame, page: &JournalPage) -> Markup {
    let at = match page.browse.chat {
        Some(chat) => format!("{}/chats/{chat}", path(&page.card)),
        None => format!("{}/journal", path(&page.card)),
    };
    html! {
        @if page.before.is_some() || page.older.is_some() {
            nav.pages aria-label=(frame.say("Страницы журнала", "Pages of the journal")) {
                @if page.before.is_some() { a.button href={ (at) (query(page, None)) } { (Icon::Back.draw()) (frame.say("К новым", "To the newest")) } }
                @if let Some(older) = page.older { a.button rel="next" href={ (at) (query(page, Some(older))) } { (frame.say("Раньше", "Older")) (Icon::Next.draw()) } }
            }
        }
    }
}

fn one(frame: &Frame, page: &JournalPage, letter: &Record) -> Markup {
    let is_in = letter.direction == Direction::Incoming;
    let is_chat = page.chat_title.is_some();
    let way = words::direction(frame.language, letter.direction);
    let at = ms(letter.date_s * 1_000);
    let day = day(frame, at);
    html! {
        li.letter id={ "letter-" (letter.id) } data-direction=(letter.direction.as_str()) data-status=(letter.status.as_str()) data-kind=(letter.content.kind()) {
            div.letter-head {
                span.way title=(way) { (if is_in { Icon::Incoming } else { Icon::Outgoing }.draw()) span.away { (way) } }
                @if !is_chat { (chat(page, letter)) }
                @if let Some(sender) = sender(letter, is_chat) { span.muted { (sender) } }
                span.grow {}
                @if !is_in { span.result.(words::status_class(letter.status)) { (words::status(frame.language, letter.status)) } }
                time.muted.nowrap datetime=(machine(at)) { @if !day.is_empty() { (day) " " } (clock(frame, at)) }
            }
            @if letter.content.kind() != "text" { p.muted { (words::kind(frame.language, letter.content.kind())) } }
            (said(&letter.content, if is_chat { TEXT_IN_CHAT } else { TEXT }))
            (files(frame, page, letter))
            (marks(frame, letter))
            @if let (Some(failure), SendStatus::Failed) = (words::failure(frame.language, letter), letter.status) {
                p.problem { (sentence(&failure)) }
            }
        }
    }
}

/// Where a message was: a link to its chat, where that is known.
fn chat(page: &JournalPage, letter: &Record) -> Markup {
    let title =
        if letter.chat_title.is_empty() { queues::whom(&letter.address) } else { letter.chat_title.clone() };
    html! {
        @if let Some(chat) = letter.chat {
            a.peer href={ (path(&page.card)) "/chats/" (chat) } { (title) }
        } @else {
            span.peer { (title) }
        }
    }
}

/// Who wrote it, where the chat does not say so.
fn sender(letter: &Record, is_chat: bool) -> Option<&str> {
    let sender = letter.sender.as_ref().filter(|_| letter.direction == Direction::Incoming)?;
    let is_new = is_chat || sender.name != letter.chat_title;
    (is_new && !sender.name.is_empty()).then_some(sender.name.as_str())
}

fn said(content: &Content, most: usize) -> Markup {
    let text = match content {
        Content::Location(place) => {
            let named = [place.name.as_str(), place.address.as_str()];
            let named: Vec<&str> = named.into_iter().filter(|part| !part.is_empty()).collect();
            format!("{}, {} {}", place.latitude, place.longitude, named.join(", ")).trim_end().to_owned()
        }
        Content::Contact(card) => format!("{} {} {}", card.first_name, card.last_name, card.phone),
        Content::Poll(poll) => format!("{}\n— {}", poll.question, poll.options.join("\n— ")),
        content => content.words().to_owned(),
    };
    html! { @if !text.trim().is_empty() { p.said { (queues::cut(&text, most)) } } }
}

fn files(frame: &Frame, page: &JournalPage, letter: &Record) -> Markup {
    html! {
        @for file in letter.content.files() {
            p.file {
                @if let Some(key) = &file.stored {
                    a href={ (path(&page.card)) "/files/" (key) } { (Icon::Download.draw()) " " (called(file)) }
                } @else {
                    (called(file))
                }
                @if file.size > 0 { " " span.muted.nowrap { (size(frame, file.size)) } }
            }
        }
    }
}

fn marks(frame: &Frame, letter: &Record) -> Markup {
    let marks: Vec<&str> = [
        letter.is_forwarded.then(|| frame.say("переслано", "forwarded")),
        letter.edited_s.map(|_| frame.say("изменено", "edited")),
        letter.deleted_s.map(|_| frame.say("удалено", "deleted")),
    ]
    .into_iter()
    .flatten()
    .collect();
    html! { @if !marks.is_empty() { p.muted { (marks.join(", ")) } } }
}

/// What a file is called, where it is called anything.
pub(super) fn called(file: &Attachment) -> &str {
    if file.name.is_empty() { &file.mime } else { &file.name }
}

fn size(frame: &Frame, bytes: u64) -> String {
    match bytes {
        0..1_024 => format!("{bytes}\u{a0}{}", frame.say("Б", "B")),
        1_024..1_048_576 => format!("{}\u{a0}{}", bytes / 1_024, frame.say("КБ", "KB")),
        _ => format!("{}\u{a0}{}", bytes / 1_048_576, frame.say("МБ", "MB")),
    }
}

fn filters(frame: &Frame, page: &JournalPage) -> Markup {
    let any = frame.say("Все", "All");
    let browse = &page.browse;
    let directions = [
        ("", any),
        ("incoming", frame.say("Входящие", "Incoming")),
        ("outgoing", frame.say("Исходящие", "Outgoing")),
    ];
    let mut kinds = vec![("", any)];
    kinds.extend(Content::KINDS.map(|kind| (kind, words::kind(frame.language, kind))));
    let mut statuses = vec![("", any)];
    let all = [SendStatus::Pending, SendStatus::Sent, SendStatus::Read, SendStatus::Failed];
    statuses.extend(all.map(|status| (status.as_str(), words::status(frame.language, status))));
    let select = |name: &'static str, label: &str, chosen: &str, choices: &[(&str, &str)]| {
        html! { div.field { label for=(form::id(name)) { (label) } (form::select(name, None, chosen, choices)) } }
    };
    let search = |name: &'static str, label: &str, value: &str| {
        html! {
            div.field.grow {
                label for=(form::id(name)) { (label) }
                input id=(form::id(name)) type="search" name=(name) value=(value);
            }
        }
    };
    html! {
        form.filters.of-letters method="get" action={ (path(&page.card)) "/journal" } role="search" aria-label=(frame.say("Отбор журнала", "Filter of the journal")) {
            (search("text", frame.say("Текст", "Text"), &browse.text))
            (search("whom", frame.say("Чат или кто", "Chat or who"), &browse.whom))
            (select("direction", frame.say("Направление", "Direction"), browse.direction.map_or("", Direction::as_str), &directions))
            (select("kind", frame.say("Тип", "Type"), browse.kind.as_deref().unwrap_or_default(), &kinds))
            (select("status", frame.say("Состояние", "Status"), browse.status.map_or("", SendStatus::as_str), &statuses))
            button { (Icon::Search.draw()) (frame.say("Найти", "Find")) }
        }
        p.hint { (hint(frame)) }
    }
}

fn hint(frame: &Frame) -> String {
    match frame.language {
        tgtrunk_config::Language::Russian => {
            format!("По {LETTERS} на странице. Как далеко помнит журнал, решает journal_days в tgtrunk.toml.")
        }
        tgtrunk_config::Language::English => {
            format!("{LETTERS} on a page. How far back the journal reaches is journal_days in tgtrunk.toml.")
        }
    }
}

/// The filter as a query, from a place on.
fn query(page: &JournalPage, before: Option<Bookmark>) -> String {
    let browse = &page.browse;
    let mut parts = Vec::new();
    let mut add = |name: &str, value: &str| {
        if !value.is_empty() {
            parts.push(format!("{name}={}", crate::page::view::calls::escaped(value)));
        }
    };
    add("direction", browse.direction.map_or("", Direction::as_str));
    add("whom", &browse.whom);
    add("kind", browse.kind.as_deref().unwrap_or_default());
    add("status", browse.status.map_or("", SendStatus::as_str));
    add("text", &browse.text);
    let before = before.map(|before| format!("{}-{}", before.date_s, before.id));
    add("before", before.as_deref().unwrap_or_default());
    if parts.is_empty() { String::new() } else { format!("?{}", parts.join("&")) }
}
