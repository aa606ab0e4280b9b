//! Calls that are up, and calls that were.

use maud::{Markup, html};
use tgtrunk_config::Phone;
use tgtrunk_config::control::{
    CallEnd, CallInfo, CallRecord, CallResult, CallState, Direction, Ender, LegQuality, MediaPath, Quality,
};

use crate::page::model::{CallsPage, Frame};
use crate::page::view::form::{self, hidden};
use crate::page::view::frame::{self, Place};
use crate::page::view::icons::Icon;
use crate::page::view::spark;
use crate::page::view::words::{
    beside, day, duration, machine, milliseconds, percent, person, phone, sentence, tenths,
};

/// How many records a page has.
pub(crate) const PER_PAGE: u32 = 50;

/// The page.
pub(crate) fn page(frame: &Frame, page: &CallsPage) -> Markup {
    let title = frame.say("Звонки", "Calls");
    let main = html! {
        div.head { h1 { (title) } }
        (live(frame, page))
        section.card {
            h2 { (frame.say("Журнал", "Records")) }
            (filters(frame, page))
            (records(frame, page))
        }
    };
    frame::page(frame, Place::Calls, title, main)
}

/// The calls that are up: `live`.
pub(crate) fn live(frame: &Frame, page: &CallsPage) -> Markup {
    html! {
        section #live.card {
            h2 {
                (frame.say("Сейчас", "Now"))
                @if !page.live.is_empty() { " " span.badge { (page.live.len()) } }
            }
            @if page.live.is_empty() { p.muted { (frame.say("Никто не говорит.", "Nobody is talking.")) } }
            @for call in &page.live { (live_row(frame, call)) }
        }
    }
}

/// One call that is up: `call-{call}`. Its line is told where calls of several lines stand together: the style sheet hides
/// it elsewhere.
pub(crate) fn live_row(frame: &Frame, call: &CallInfo) -> Markup {
    let inbound = call.direction == Direction::TelegramToPbx;
    html! {
        div.call id={ "call-" (call.call) } data-call=(call.call) data-state=(state_word(call.state)) {
            span.way title=(way(frame, call.direction)) {
                (if inbound { Icon::Incoming } else { Icon::Outgoing }.draw())
                span.away { (way(frame, call.direction)) }
            }
            div.who {
                p.peer { (person(&call.peer, frame.language)) }
                p.muted { (sub(frame, call)) }
            }
            (time(frame, call))
            (quality(frame, call))
            @if call.state == CallState::Answered {
                canvas.levels.scripted width="160" height="36" role="img"
                    aria-label=(frame.say("Громкость: сверху Telegram, снизу АТС", "Loudness: Telegram above, PBX below")) {}
            } @else {
                span.levels {}
            }
            form method="post" action={ "/calls/" (call.call) "/hangup" } {
                (hidden(frame))
                button.hangup aria-label={ (frame.say("Завершить звонок: ", "Hang up: ")) (person(&call.peer, frame.language)) } {
                    (Icon::HangUp.draw()) span { (frame.say("Завершить", "Hang up")) }
                }
            }
        }
    }
}

/// Calls that were: `records`.
pub(crate) fn records(frame: &Frame, page: &CallsPage) -> Markup {
    let skipped = u64::from(page.filter.skip);
    let last = skipped + page.records.len() as u64;
    let at = page.filter.skip / PER_PAGE;
    html! {
        div #records {
            @if page.total > 0 {
                div.card-head {
                    p.muted.grow { (skipped + 1) "–" (last) (frame.say(" из ", " of ")) (page.total) }
                    a.button.quiet href={ "/calls.csv" (query(page, None)) } download { (Icon::Download.draw()) "CSV" }
                }
            }
            @if let Some(problem) = &page.problem { p.problem { (sentence(frame.said(problem))) } }
            @if page.records.is_empty() && page.problem.is_none() {
                p.muted { (frame.say("Таких звонков нет.", "There are no such calls.")) }
            }
            @if !page.records.is_empty() { (table(frame, page)) }
            @if page.total > u64::from(PER_PAGE) {
                nav.pages aria-label=(frame.say("Страницы журнала", "Pages of the records")) {
                    @if at > 0 { a.button rel="prev" href={ "/calls" (query(page, Some(at))) } { (Icon::Back.draw()) (frame.say("Новее", "Newer")) } }
                    @if last < page.total { a.button rel="next" href={ "/calls" (query(page, Some(at + 2))) } { (frame.say("Раньше", "Older")) (Icon::Next.draw()) } }
                }
            }
        }
    }
}

fn table(frame: &Frame, page: &CallsPage) -> Markup {
    let heads = [
        frame.say("Когда", "When"),
        frame.say("Кто", "Who"),
        frame.say("Линия", "Line"),
        frame.say("Итог", "Result"),
        frame.say("Длился", "Lasted"),
        frame.say("Связь", "Quality"),
    ];
    html! {
        table.records role="table" {
            caption.away { (frame.say("Журнал звонков", "Call records")) }
            thead role="rowgroup" { tr role="row" { @for head in heads { th role="columnheader" scope="col" { (head) } } } }
            tbody role="rowgroup" { @for record in &page.records { (record_row(frame, page, record)) } }
        }
    }
}

fn record_row(frame: &Frame, page: &CallsPage, record: &CallRecord) -> Markup {
    let inbound = record.direction == Direction::TelegramToPbx;
    let day = day(frame, record.started_ms);
    let lasted = record.answered_ms.zip(record.ended_ms).map(|(from, to)| to.saturating_sub(from));
    let worst = record.quality.as_ref().and_then(|quality| worst_mos(quality));
    html! {
        tr role="row" data-result=(result_word(record.result)) {
            td.when role="cell" {
                time datetime=(machine(record.started_ms)) {
                    @if !day.is_empty() { span.muted { (day) " " } }
                    (super::words::clock(frame, record.started_ms))
                }
            }
            td.who role="cell" { div.person {
                span.way title=(way(frame, record.direction)) {
                    (if inbound { Icon::Incoming } else { Icon::Outgoing }.draw())
                    span.away { (way(frame, record.direction)) }
                }
                span {
                    span.peer { (person(&record.peer, frame.language)) }
                    @if let Some(beside) = beside(&record.peer) { " " span.muted.nowrap { (beside) } }
                    @else if let Some(dialled) = record.dialled.as_ref().filter(|_| !inbound) { " " span.muted.nowrap { (phone(dialled)) } }
                }
            } }
            td.of-line role="cell" { (line_name(page, &record.line)) }
            td.outcome role="cell" {
                span.result.(result_class(record.result)) { (result(frame, record.result)) }
                @if let Some(end) = record.end.as_ref().filter(|end| says_more(record.result, end.q850)) {
                    span.muted { " " (cause(frame, end)) }
                }
                @if record.recording.is_some() { span.muted { " · " (frame.say("записан", "recorded")) } }
            }
            td.lasted role="cell" { @if let Some(lasted) = lasted { (duration(lasted)) } @else { span.muted { "–" } } }
            td.quality role="cell" {
                (spark::line(frame.language, &record.mos_tenths))
                @if record.mos_tenths.is_empty() && let Some(mos) = worst {
                    span.mos { (tenths(frame.language, (mos / 10).into())) }
                }
            }
        }
    }
}

fn filters(frame: &Frame, page: &CallsPage) -> Markup {
    let any = frame.say("Все", "All");
    let filter = &page.filter;
    let line = filter.line.as_ref().map_or("", Phone::as_str);
    let names: Vec<(String, String)> = page
        .lines
        .iter()
        .map(|(number, name)| {
            let words = if name.is_empty() { phone(number.as_str()) } else { name.clone() };
            (number.to_string(), words)
        })
        .collect();
    let mut lines = vec![("", any)];
    lines.extend(names.iter().map(|(number, words)| (number.as_str(), words.as_str())));
    let directions = [
        ("", any),
        ("telegram-to-pbx", frame.say("Из Telegram", "From Telegram")),
        ("pbx-to-telegram", frame.say("В Telegram", "To Telegram")),
    ];
    let direction = filter.direction.map_or("", |direction| match direction {
        Direction::TelegramToPbx => "telegram-to-pbx",
        Direction::PbxToTelegram => "pbx-to-telegram",
    });
    let all = [
        CallResult::Answered,
        CallResult::Missed,
        CallResult::Elsewhere,
        CallResult::Busy,
        CallResult::Failed,
        CallResult::Interrupted,
        CallResult::Running,
    ];
    let mut results = vec![("", any)];
    results.extend(all.map(|one| (result_word(one), result(frame, one))));
    let chosen = filter.result.map_or("", result_word);
    let day = |name: &'static str, label: &str, value: &str| {
        html! {
            div.field {
                label for=(form::id(name)) { (label) }
                input id=(form::id(name)) type="date" name=(name) value=(value);
            }
        }
    };
    html! {
        form.filters method="get" action="/calls" role="search" aria-label=(frame.say("Отбор журнала", "Filter of the records")) {
            div.field.grow {
                label for=(form::id("text")) { (frame.say("Кто", "Who")) }
                input id=(form::id("text")) type="search" name="text" value=(filter.text.as_deref().unwrap_or_default())
                    placeholder=(frame.say("Имя или номер", "Name or number"));
            }
            @if page.lines.len() > 1 {
                div.field { label for=(form::id("line")) { (frame.say("Линия", "Line")) } (form::select("line", None, line, &lines)) }
            }
            div.field { label for=(form::id("direction")) { (frame.say("Направление", "Direction")) } (form::select("direction", None, direction, &directions)) }
            div.field.wide[page.lines.len() > 1] { label for=(form::id("result")) { (frame.say("Итог", "Result")) } (form::select("result", None, chosen, &results)) }
            (day("from", frame.say("С", "From"), &page.days.0))
            (day("to", frame.say("По", "To"), &page.days.1))
            button { (Icon::Search.draw()) (frame.say("Найти", "Find")) }
        }
    }
}

/// The filter as a query, for a page of it or for all.
fn query(page: &CallsPage, number: Option<u32>) -> String {
    let filter = &page.filter;
    let mut parts = Vec::new();
    let mut add = |name: &str, value: &str| {
        if !value.is_empty() {
            parts.push(format!("{name}={}", escaped(value)));
        }
    };
    add("line", filter.line.as_ref().map_or("", Phone::as_str));
    add("from", &page.days.0);
    add("to", &page.days.1);
    add(
        "direction",
        match filter.direction {
            Some(Direction::TelegramToPbx) => "telegram-to-pbx",
            Some(Direction::PbxToTelegram) => "pbx-to-telegram",
            None => "",
        },
    );
    add("result", filter.result.map_or("", result_word));
    add("text", filter.text.as_deref().unwrap_or_default());
    add("page", &number.filter(|number| *number > 1).map(|number| number.to_string()).unwrap_or_default());
    if parts.is_empty() { String::new() } else { format!("?{}", parts.join("&")) }
}

/// A value in a query (RFC 3986 section 2.1): all but unreserved characters as `%XX`.
pub(crate) fn escaped(value: &str) -> String {
    let mut out = String::new();
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

fn sub(frame: &Frame, call: &CallInfo) -> Markup {
    let target = match call.direction {
        Direction::TelegramToPbx => None,
        Direction::PbxToTelegram => call.extension.clone().or_else(|| call.dialled.as_deref().map(phone)),
    };
    let muted = call
        .muted
        .telegram
        .then(|| frame.say("микрофон собеседника выключен", "muted at Telegram").to_owned());
    let held = call.muted.pbx.then(|| frame.say("на удержании", "on hold").to_owned());
    let parts =
        [Some(way(frame, call.direction).to_owned()), target.or_else(|| beside(&call.peer)), muted, held];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    let last = parts.len().saturating_sub(1);
    html! {
        span.its-line { (phone(call.line.as_str())) ", " }
        @for (at, part) in parts.iter().enumerate() { span.nowrap { (part) @if at < last { "," } } " " }
    }
}

fn time(frame: &Frame, call: &CallInfo) -> Markup {
    let state = match call.state {
        CallState::Incoming => frame.say("звонит", "calling"),
        CallState::Dialling => frame.say("набираем", "dialling"),
        CallState::Ringing => frame.say("гудки", "ringing"),
        CallState::Answered => "",
        CallState::Ended => frame.say("завершён", "ended"),
    };
    html! {
        p.time {
            @if call.state == CallState::Answered {
                @let since = call.answered_ms.unwrap_or(call.started_ms);
                span.timer role="timer" aria-live="off" data-since=(since) { (duration(frame.now_ms.saturating_sub(since))) }
                @if let Some(emoji) = &call.emoji { span.emoji aria-label=(frame.say("Знаки звонка", "Emoji of the call")) role="img" { (emoji) } }
            } @else {
                span.state { (state) }
            }
        }
    }
}

fn quality(frame: &Frame, call: &CallInfo) -> Markup {
    let Some(quality) = &call.quality else { return html! { p.sound {} } };
    let telegram = &quality.telegram;
    let path = telegram.path.map(|path| match path {
        MediaPath::Direct => frame.say("напрямую", "direct"),
        MediaPath::Turn => frame.say("через TURN", "by TURN"),
        MediaPath::Reflector => frame.say("через Telegram", "by Telegram"),
    });
    let pbx = codec(&quality.pbx.codec);
    let mos = worst_mos(quality);
    html! {
        p.sound {
            span {
                (codec(&telegram.codec))
                @if pbx != codec(&telegram.codec) { " ⇄ " (pbx) }
                @if let Some(path) = path { ", " (path) }
            }
            " "
            span.muted {
                (frame.say("потери ", "loss ")) (percent(frame.language, loss_permille(quality)))
                @if let Some(ms) = telegram.round_trip_ms { " · " (milliseconds(frame.language, ms)) }
                @if let Some(mos) = mos {
                    " · "
                    span.mos.(spark::grade((mos / 10).into())) title=(frame.say("Оценка связи, от 1 до 5", "Quality, 1 to 5")) { (tenths(frame.language, (mos / 10).into())) }
                }
            }
        }
    }
}

/// The worse leg's share of packets that never came, in a thousand.
fn loss_permille(quality: &Quality) -> u64 {
    let lost = |leg: &LegQuality| leg.lost * 1_000 / (leg.packets_in + leg.lost).max(1);
    let remote = |leg: &LegQuality| u64::from(leg.remote_lost_permille.unwrap_or_default());
    [lost(&quality.telegram), lost(&quality.pbx), remote(&quality.telegram), remote(&quality.pbx)]
        .into_iter()
        .max()
        .unwrap_or_default()
}

fn worst_mos(quality: &Quality) -> Option<u32> {
    [quality.telegram.mos_hundredths, quality.pbx.mos_hundredths].into_iter().flatten().min()
}

/// A codec as people write it.
fn codec(name: &str) -> String {
    if name.eq_ignore_ascii_case("opus") { "Opus".to_owned() } else { name.to_uppercase() }
}

fn way(frame: &Frame, direction: Direction) -> &'static str {
    match direction {
        Direction::TelegramToPbx => frame.say("из Telegram", "from Telegram"),
        Direction::PbxToTelegram => frame.say("в Telegram", "to Telegram"),
    }
}

fn line_name(page: &CallsPage, line: &Phone) -> String {
    let name = page.lines.iter().find(|(number, name)| number == line && !name.is_empty());
    name.map_or_else(|| phone(line.as_str()), |(_, name)| name.clone())
}

fn result(frame: &Frame, result: CallResult) -> &'static str {
    match result {
        CallResult::Running => frame.say("идёт", "going on"),
        CallResult::Answered => frame.say("состоялся", "answered"),
        CallResult::Missed => frame.say("без ответа", "unanswered"),
        CallResult::Elsewhere => frame.say("ответили в другом месте", "answered elsewhere"),
        CallResult::Busy => frame.say("занято", "busy"),
        CallResult::Failed => frame.say("не удался", "failed"),
        CallResult::Interrupted => frame.say("прерван", "interrupted"),
    }
}

/// The word of the contract.
pub(crate) fn result_word(result: CallResult) -> &'static str {
    match result {
        CallResult::Running => "running",
        CallResult::Answered => "answered",
        CallResult::Missed => "missed",
        CallResult::Elsewhere => "elsewhere",
        CallResult::Busy => "busy",
        CallResult::Failed => "failed",
        CallResult::Interrupted => "interrupted",
    }
}

fn result_class(result: CallResult) -> &'static str {
    match result {
        CallResult::Running | CallResult::Answered | CallResult::Elsewhere => "green",
        CallResult::Missed | CallResult::Busy => "orange",
        CallResult::Failed | CallResult::Interrupted => "red",
    }
}

fn state_word(state: CallState) -> &'static str {
    match state {
        CallState::Incoming => "incoming",
        CallState::Dialling => "dialling",
        CallState::Ringing => "ringing",
        CallState::Answered => "answered",
        CallState::Ended => "ended",
    }
}

/// Whether the cause tells something beside the result.
fn says_more(result: CallResult, q850: Option<u8>) -> bool {
    match result {
        CallResult::Running | CallResult::Answered | CallResult::Elsewhere => false,
        CallResult::Busy => q850 != Some(17),
        CallResult::Missed => q850 != Some(19),
        CallResult::Failed | CallResult::Interrupted => true,
    }
}

/// Who ended a call and why.
fn cause(frame: &Frame, end: &CallEnd) -> String {
    let by = match end.by {
        Ender::Telegram => "Telegram",
        Ender::Pbx => frame.say("АТС", "PBX"),
        Ender::Gateway => frame.say("шлюз", "gateway"),
    };
    format!("{by}: {}", end.words(frame.language))
}
