//! The queues of an instance, and what it may still do.

use maud::{Markup, html};
use tgtrunk_config::Language;
use tgtrunk_messages::{Content, Head, Waiting};

use super::instance::told;
use super::{journal, path, words};
use crate::page::messages::ms;
use crate::page::model::Frame;
use crate::page::model::messages::{InstancePage, QUEUE_LINES};
use crate::page::view::form::hidden;
use crate::page::view::icons::Icon;
use crate::page::view::words::{count, duration, grouped, machine, moment, phone, sentence};

/// Longest beginning of a message that is shown of it in the queue, in characters.
const BEGINNING: usize = 120;
/// Longest beginning of a notification, in characters.
const BODY: usize = 2_000;

/// The outgoing queue: `outgoing`.
pub(crate) fn outgoing(frame: &Frame, page: &InstancePage) -> Markup {
    let path = path(&page.card);
    let first = u64::from(page.page) * u64::from(QUEUE_LINES) + 1;
    let last = first + page.waiting.len() as u64 - u64::from(!page.waiting.is_empty());
    html! {
        section #outgoing.card {
            div.card-head {
                h2 { (frame.say("Очередь отправки", "Outgoing queue")) " " span.badge { (grouped(frame.language, page.card.outgoing)) } }
                @if page.card.outgoing > u64::from(QUEUE_LINES) {
                    p.muted { (first) "–" (last) (frame.say(" из ", " of ")) (page.card.outgoing) }
                }
            }
            @if page.waiting.is_empty() {
                p.muted { (match page.card.last_ms {
                    Some(_) => frame.say("Всё отправлено.", "Everything is sent."),
                    None => frame.say("Ничего не ждёт отправки.", "Nothing waits to be sent."),
                }) }
            } @else {
                ol.queue { @for one in &page.waiting { (line(frame, page, one)) } }
            }
            @if page.page > 0 || page.card.outgoing > last {
                nav.pages aria-label=(frame.say("Страницы очереди", "Pages of the queue")) {
                    @if page.page > 0 { a.button rel="prev" href={ (path) "?page=" (page.page) } { (Icon::Back.draw()) (frame.say("Ближе к голове", "Nearer to the head")) } }
                    @if page.card.outgoing > last { a.button rel="next" href={ (path) "?page=" (page.page + 2) } { (frame.say("Дальше", "Further on")) (Icon::Next.draw()) } }
                }
            }
            @if !page.waiting.is_empty() {
                (clear(frame, &format!("{path}/queue/clear"), [
                    frame.say("Очистить очередь", "Clear the queue"),
                    frame.say("Убрать из очереди все сообщения?", "Take all messages out of the queue?"),
                    frame.say(
                        "Они не будут отправлены, программы узнают об этом. То, что уже передаётся Telegram, уйдёт.",
                        "They are not sent, and programs are told so. What Telegram is being handed just now goes out.",
                    ),
                ]))
            }
        }
    }
}

fn line(frame: &Frame, page: &InstancePage, one: &Waiting) -> Markup {
    let stuck = one.stuck();
    let is_stuck_head = one.position == 1 && stuck.is_some();
    html! {
        li.letter.stuck[is_stuck_head] id={ "queued-" (one.id) } data-position=(one.position) data-stuck=[is_stuck_head.then_some("yes")] {
            div.letter-head {
                span.muted { "№\u{a0}" (one.position) }
                span.peer { (whom(&one.to)) }
                span.muted { (words::kind(frame.language, one.content.kind())) }
                span.grow {}
                form method="post" action={ (path(&page.card)) "/queue/" (one.id) "/cancel" } {
                    (hidden(frame))
                    button.quiet.small aria-label={ (frame.say("Не отправлять: ", "Do not send: ")) (whom(&one.to)) } {
                        (if is_stuck_head { frame.say("Пропустить", "Skip") } else { frame.say("Не отправлять", "Do not send") })
                    }
                }
            }
            p.said { (beginning(&one.content, BEGINNING)) }
            p.muted {
                // What Telegram gave back was tried, and is not counted.
                @if one.attempts > 0 || stuck.is_none() { span.nowrap { (attempts(frame, one.attempts)) } " · " }
                span.nowrap { (frame.say("принято ", "accepted ")) (moment(frame, ms(one.accepted_ms))) } " · "
                @if one.is_under_way {
                    span.state { (frame.say("отправляется", "being sent")) }
                } @else if ms(one.next_ms) > frame.now_ms {
                    span.nowrap { (frame.say("следующая попытка через ", "next try in ")) (left(frame, one.next_ms)) }
                } @else {
                    span.nowrap { (frame.say("ждёт своей очереди", "waits for its turn")) }
                }
            }
            @if let Some(cause) = stuck {
                p.problem { @if is_stuck_head { strong { (frame.say("Голова очереди стоит. ", "The head is stuck. ")) } } (sentence(&told(frame, cause))) }
            }
        }
    }
}

/// The queue of notifications: `notifications`.
pub(crate) fn notifications(frame: &Frame, page: &InstancePage) -> Markup {
    let path = path(&page.card);
    let post = |what: &str, class: &str, words: &str| {
        html! {
            form method="post" action={ (path) "/notifications/" (what) } {
                (hidden(frame))
                button class=(class) { (words) }
            }
        }
    };
    html! {
        section #notifications.card {
            div.card-head {
                h2 { (frame.say("Очередь уведомлений", "Queue of notifications")) " " span.badge { (super::notifications(frame, &page.card)) } }
                (post("test", "quiet", frame.say("Послать пробное", "Send a test one")))
            }
            p.muted { (way(frame, page)) }
            (webhook(frame, page))
            (dropped(frame, page))
            @match &page.head {
                None => p.muted { (frame.say("Ничего не ждёт.", "Nothing waits.")) },
                Some(head) => (head_of(frame, page, head)),
            }
            @if page.head.is_some() {
                div.actions {
                    @if page.webhook_state.next_ms.is_some() { (post("push", "", frame.say("Повторить сейчас", "Try again now"))) }
                }
                (clear(frame, &format!("{path}/notifications/clear"), [
                    frame.say("Очистить уведомления", "Clear the notifications"),
                    frame.say("Убрать все уведомления?", "Take all notifications away?"),
                    frame.say(
                        "Программы не узнают о том, что в них; сообщения останутся в журнале.",
                        "Programs do not learn what is in them; the messages stay in the journal.",
                    ),
                ]))
            }
        }
    }
}

/// Where notifications go.
fn way(frame: &Frame, page: &InstancePage) -> Markup {
    html! {
        @if page.webhook.is_empty() {
            (frame.say(
                "Вебхук не задан: программы забирают уведомления сами (receiveNotification).",
                "No webhook is set: programs fetch notifications themselves (receiveNotification).",
            ))
        } @else {
            (frame.say("Вебхук: ", "Webhook: ")) code { (page.webhook) }
        }
        " " a href={ (path(&page.card)) "/settings" } { (frame.say("Изменить", "Change")) }
    }
}

fn webhook(frame: &Frame, page: &InstancePage) -> Markup {
    let state = &page.webhook_state;
    html! {
        @if let Some(fault) = state.fault.as_ref().filter(|_| !page.webhook.is_empty()) {
            @let is_now = page.head.as_ref().is_some_and(|head| head.last_error.is_some());
            p.webhook-fault.problem[is_now].muted[!is_now] data-status=[fault.status] {
                (frame.say("Последняя ошибка ", "Last error ")) time datetime=(machine(ms(fault.at_ms))) { (moment(frame, ms(fault.at_ms))) } ": "
                @if let Some(status) = fault.status { "HTTP\u{a0}" (status) ", " }
                (told(frame, &fault.sentence))
            }
        }
        @if let Some(taken) = state.taken_ms {
            p.muted { (frame.say("Последнее принято ", "Last one taken ")) (moment(frame, ms(taken))) }
        }
        @if let (Some(next), true) = (state.next_ms, page.head.is_some()) {
            p.muted { (frame.say("Повтор через ", "Tried again in ")) (left(frame, next)) }
        }
    }
}

/// Notifications that gave way to newer ones.
fn dropped(frame: &Frame, page: &InstancePage) -> Markup {
    let (count, most) = (page.dropped.count, grouped(frame.language, page.most.into()));
    html! {
        @if let (1.., Some(last)) = (count, page.dropped.last_ms) {
            p.warning data-dropped=(count) {
                (Icon::Bad.draw())
                span {
                    (frame.say("Ждут не больше ", "At most ")) (most)
                    (frame.say(" (notification_limit); отброшено самых старых: ", " wait (notification_limit); dropped of the oldest: "))
                    (grouped(frame.language, count)) (frame.say(", последнее ", ", the last one "))
                    (moment(frame, ms(last)))
                }
            }
        }
    }
}

fn head_of(frame: &Frame, page: &InstancePage, head: &Head) -> Markup {
    let body = serde_json::to_string_pretty(&head.body).unwrap_or_default();
    let is_stuck = head.last_error.is_some() || page.card.left.is_some();
    let question = frame.say("Пропустить это уведомление?", "Skip this notification?");
    let more = frame.say("Программа его не получит.", "Its program does not get it.");
    html! {
        div.letter.stuck[is_stuck] id={ "head-" (head.receipt) } data-stuck=[is_stuck.then_some("yes")] {
            div.letter-head {
                span.peer { code { (head.kind) } }
                span.grow {}
                form method="post" action={ (path(&page.card)) "/notifications/" (head.receipt) "/skip" }
                    data-confirm=(question) data-more=(more) data-yes=(frame.say("Пропустить", "Skip")) {
                    (hidden(frame))
                    button.quiet.small { (frame.say("Пропустить", "Skip")) }
                }
            }
            p.muted {
                (frame.say("Ждёт с ", "Waits since ")) (moment(frame, ms(head.created_ms))) " · "
                (count(frame.language, head.attempts.into(), ["попытка доставки", "попытки доставки", "попыток доставки"], ["delivery tried", "deliveries tried"]))
            }
            @if let Some(error) = &head.last_error {
                p.problem { strong { (frame.say("Голова очереди стоит. ", "The head is stuck. ")) } (sentence(&told(frame, error))) }
            }
            @if let Some(times) = page.card.left {
                p.problem { (left_there(frame, times)) }
            }
            details.hint {
                summary { (frame.say("Что в нём", "What is in it")) }
                pre.body tabindex="0" { (cut(&body, BODY)) }
            }
        }
    }
}

/// A program that sees one notification alone.
pub(super) fn left_there(frame: &Frame, times: u32) -> String {
    let count = count(frame.language, times.into(), ["раз", "раза", "раз"], ["time", "times"]);
    match frame.language {
        Language::Russian => format!(
            "Программа забрала первое уведомление {count} и не удаляет его (deleteNotification), поэтому не видит остальных. Если она не может его прочесть, пропустите его."
        ),
        Language::English => format!(
            "A program fetched the first notification {count} and does not delete it (deleteNotification), so it sees no other. If it cannot read it, skip it."
        ),
    }
}

/// What the instance may still do: `budgets`.
pub(crate) fn budgets(frame: &Frame, page: &InstancePage) -> Markup {
    let (used, limit) = page.checks;
    let (label, hint) = match page.card.bot {
        None => (
            frame.say("Проверки номеров и имён сегодня", "Numbers and names checked today"),
            frame.say(
                "Telegram ограничивает аккаунты, которые много ищут по номерам. Счёт начинается заново в полночь UTC; лимит — phone_checks_per_day в tgtrunk.toml.",
                "Telegram limits accounts that look many numbers up. It starts again at midnight UTC; the limit is phone_checks_per_day in tgtrunk.toml.",
            ),
        ),
        Some(_) => (
            frame.say("Проверки имён сегодня", "Names checked today"),
            frame.say(
                "Бот находит по имени публичные группы и каналы, а по номерам никого. Счёт начинается заново в полночь UTC.",
                "A bot finds public groups and channels by their names, and nobody by a number. It starts again at midnight UTC.",
            ),
        ),
    };
    html! {
        section #budgets.card {
            h2 { (frame.say("Лимиты", "Limits")) }
            div.two {
                div {
                    div.card-head { h3 { (label) } p.figure data-used=(used) { (grouped(frame.language, used.into())) (frame.say(" из ", " of ")) (grouped(frame.language, limit.into())) } }
                    progress max=(limit.max(1)) value=(used.min(limit)) aria-label=(label) {}
                    p.hint { (hint) }
                }
                div {
                    h3 { (frame.say("Паузы Telegram", "Telegram’s waits")) }
                    @if page.card.rests.is_empty() {
                        p.muted { (frame.say("Ничего не отдыхает.", "Nothing rests.")) }
                    } @else {
                        ul.rests {
                            @for rest in &page.card.rests {
                                li {
                                    (Icon::Waiting.draw()) " " (words::rest(frame, rest.what)) " " (rests_for(frame, rest.until_ms))
                                    @if !rest.cause.is_empty() { " " span.muted { (sentence(&told(frame, &rest.cause))) } }
                                }
                            }
                        }
                    }
                    p.hint { (pace(frame, page)) }
                }
            }
        }
    }
}

fn pace(frame: &Frame, page: &InstancePage) -> String {
    let (limit, delay_ms) = (grouped(frame.language, page.queue_limit.into()), page.delay_ms);
    match frame.language {
        Language::Russian => {
            format!("Между двумя сообщениями {delay_ms}\u{a0}мс; в очереди не больше {limit} сообщений.")
        }
        Language::English => {
            format!("{delay_ms}\u{a0}ms between two messages; at most {limit} messages in the queue.")
        }
    }
}

/// For how long something rests: a length, not a time of day.
pub(crate) fn rests_for(frame: &Frame, until_ms: i64) -> Markup {
    html! { (frame.say("ещё ", "for another ")) (left(frame, until_ms)) }
}

/// How long it is until a time, counted by the script.
pub(crate) fn left(frame: &Frame, until_ms: i64) -> Markup {
    let until = ms(until_ms);
    html! { span.countdown data-until=(until) { (duration(until.saturating_sub(frame.now_ms))) } }
}

/// A form that empties a queue, folded so that nobody does it by accident. Its words: the button, the question, what follows.
fn clear(frame: &Frame, action: &str, [button, question, more]: [&str; 3]) -> Markup {
    html! {
        details.grave {
            summary { (button) "…" }
            form.grave-row method="post" action=(action) data-confirm=(question) data-more=(more) data-yes=(button) {
                (hidden(frame))
                div { p { (more) } }
                button.danger { (button) }
            }
        }
    }
}

/// Whom a message goes to, as people write it.
pub(crate) fn whom(to: &str) -> String {
    if to.starts_with('+') { phone(to) } else { to.to_owned() }
}

fn attempts(frame: &Frame, attempts: u32) -> String {
    match attempts {
        0 => frame.say("ещё не пробовали", "not tried yet").to_owned(),
        many => count(frame.language, many.into(), ["попытка", "попытки", "попыток"], ["try", "tries"]),
    }
}

/// The first words of a message.
pub(crate) fn beginning(content: &Content, most: usize) -> String {
    let words = content.words();
    if words.trim().is_empty() {
        let files: Vec<String> = content.files().map(|file| journal::called(file).to_owned()).collect();
        return cut(&files.join(", "), most);
    }
    cut(words, most)
}

/// A text that is not longer than so many characters.
pub(crate) fn cut(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", text[..end].trim_end()),
        None => text.to_owned(),
    }
}
