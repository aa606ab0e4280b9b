//! All lines on one sheet.

use maud::{Markup, html};
use tgtrunk_config::{Lamp, Language, LinePause, PauseReason, Phone};

use crate::page::model::{Frame, LineCard, LinesPage, Part, Today};
use crate::page::view::form;
use crate::page::view::frame::{self, Place};
use crate::page::view::icons::Icon;
use crate::page::view::lamp::About;
use crate::page::view::words::{clock, count, phone, sentence, since, tenths};
use crate::page::view::{calls, lamp};

/// The page.
pub(crate) fn page(frame: &Frame, page: &LinesPage) -> Markup {
    let main = html! {
        (overall(frame, page))
        (list(frame, page))
    };
    frame::page(frame, Place::Lines, overall_label(frame, page), main)
}

/// The label for all lines, with the sums under it and the way to one more; the first steps where there is none: `overall`.
pub(crate) fn overall(frame: &Frame, page: &LinesPage) -> Markup {
    if page.lines.is_empty() {
        return welcome(frame);
    }
    let lamp = overall_lamp(page);
    html! {
        div #overall.head data-lamp=(lamp::class(lamp)) {
            div.overall role="status" aria-live="polite" {
                h1 { span.shape.(lamp::class(lamp)) { (lamp::shape(lamp).draw()) } (overall_label(frame, page)) }
                p.sums { (sums(frame, page)) }
            }
            a.button.primary href="/lines/new" { (Icon::Plus.draw()) (frame.say("Добавить номер", "Add a number")) }
        }
    }
}

/// The cards of all lines: `lines`.
pub(crate) fn list(frame: &Frame, page: &LinesPage) -> Markup {
    html! {
        div #lines.sheet-list { @for line in &page.lines { (card(frame, line)) } }
    }
}

/// One line: `line-{digits}`.
pub(crate) fn card(frame: &Frame, line: &LineCard) -> Markup {
    let path = path(&line.phone);
    html! {
        article.card.line.off[!line.enabled] id={ "line-" (line.phone.digits()) }
            aria-label=(phone(line.phone.as_str())) {
            div.line-head {
                h2 {
                    a href=(path) {
                        span.number { (phone(line.phone.as_str())) }
                        @if !line.name.is_empty() { span.name { (line.name) } }
                    }
                }
                (lamp::row(frame, line))
                (address(frame, line))
                (menu(frame, line))
            }
            (reasons(frame, line))
            @for call in &line.calls { (calls::live_row(frame, call)) }
        }
    }
}

/// The address of a line's page.
pub(crate) fn path(phone: &Phone) -> String {
    format!("/lines/{phone}")
}

/// Where the PBX reaches the line, to copy while it is connected.
pub(crate) fn address(frame: &Frame, line: &LineCard) -> Markup {
    // A PBX is set up with this address, so it need not answer yet.
    let works = line.enabled && line.gateway.telegram.lamp == Lamp::Green;
    html! {
        @if !line.sip.is_empty() {
            div.address.idle[!works] {
                code { (line.sip) }
                @if works { (copy(frame, &line.sip, frame.say("Копировать адрес", "Copy the address"))) }
            }
        } @else {
            div {}
        }
    }
}

/// A button that copies, where there is a script to do it.
pub(crate) fn copy(frame: &Frame, text: &str, what: &str) -> Markup {
    html! {
        button.copy.scripted type="button" data-copy=(text) data-done=(frame.say("Скопировано", "Copied")) aria-label=(what) {
            (Icon::Copy.draw())
            span { (frame.say("копировать", "copy")) }
        }
    }
}

/// What whoever logs a client out has to know of the others that write by its account.
pub(crate) fn writers_warning(frame: &Frame, writers: &[String]) -> String {
    let stops = frame.say(
        "Уведомления людям через этот аккаунт прекратятся: они будут ждать нового входа.",
        "Notifications of people by this account stop: they wait for the next login.",
    );
    let named: Vec<String> = writers.iter().take(WRITERS).map(|name| format!("«{name}»")).collect();
    let others = writers.len().saturating_sub(WRITERS);
    let rest = match (others, frame.language) {
        (0, _) => String::new(),
        (_, Language::Russian) => format!(" и ещё {others}"),
        (_, Language::English) => format!(" and {others} more"),
    };
    match (writers.is_empty(), frame.language) {
        (true, _) => stops.to_owned(),
        (false, Language::Russian) => {
            format!("Через него пишут организации {}{rest}. {stops}", named.join(", "))
        }
        (false, Language::English) => {
            let named = named.join(", ").replace('«', "“").replace('»', "”");
            format!("Organisations that write by it: {named}{rest}. {stops}")
        }
    }
}

/// Organisations that are named before an account is logged out.
const WRITERS: usize = 10;

/// What follows for calls that are up, before something is done to their line.
pub(crate) fn calls_warning(frame: &Frame, calls: u32) -> String {
    if calls == 0 {
        return String::new();
    }
    match frame.language {
        Language::Russian => {
            let told = count(Language::Russian, calls.into(), ["звонок", "звонка", "звонков"], ["", ""]);
            let (go, they) = if calls % 10 == 1 && calls % 100 != 11 {
                ("идёт", "он прервётся")
            } else {
                ("идут", "они прервутся")
            };
            format!("Сейчас {go} {told}: {they}.")
        }
        Language::English if calls == 1 => "1 call is up and will end.".to_owned(),
        Language::English => format!("{calls} calls are up and will end."),
    }
}

fn menu(frame: &Frame, line: &LineCard) -> Markup {
    let path = path(&line.phone);
    let number = phone(line.phone.as_str());
    let warning = calls_warning(frame, line.gateway.calls);
    let parts = [
        (Part::Gateway, frame.say("Авторизовать шлюз", "Log the gateway in")),
        (Part::Client, frame.say("Авторизовать клиент", "Log the client in")),
        (Part::Bot, frame.say("Бот линии", "Bot of the line")),
    ];
    html! {
        details.menu {
            summary aria-label={ (frame.say("Действия с линией ", "Actions for ")) (number) } { (Icon::More.draw()) }
            div.panel {
                a.item href=(path) { (frame.say("Состояние и проверки", "State and checks")) }
                a.item href={ (path) "/pbx" } { (frame.say("Настройка АТС", "Setting up the PBX")) }
                hr;
                @for (part, name) in parts { a.item href={ (path) "/login/" (part.word()) } { (name) } }
                a.item href={ (path) "/login" } { (frame.say("Выйти из аккаунта…", "Log out of the account…")) }
                hr;
                form method="post" action={ (path) "/restart" }
                    data-confirm={ (frame.say("Перезапустить линию ", "Restart ")) (number) "?" }
                    data-more=(warning) data-yes=(frame.say("Перезапустить", "Restart")) {
                    (form::hidden(frame))
                    button.item { (frame.say("Перезапустить", "Restart")) }
                }
                (switch(frame, line, "item"))
                (grave(frame, line, Grave::Reset))
                (grave(frame, line, Grave::Delete))
            }
        }
    }
}

/// Switches a line on or off.
pub(crate) fn switch(frame: &Frame, line: &LineCard, class: &str) -> Markup {
    let path = path(&line.phone);
    let number = phone(line.phone.as_str());
    let words = if line.enabled {
        frame.say("Выключить", "Switch off")
    } else {
        frame.say("Включить", "Switch on")
    };
    let question = line.enabled.then(|| format!("{} {number}?", frame.say("Выключить линию", "Switch off")));
    html! {
        form method="post" action={ (path) "/switch" } data-confirm=[question]
            data-more=(calls_warning(frame, line.gateway.calls)) data-yes=(words) {
            (form::hidden(frame))
            input type="hidden" name="enabled" value=(!line.enabled);
            button class=(class) { (words) }
        }
    }
}

/// What cannot be undone, and is done only when the number is typed again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Grave {
    Reset,
    Delete,
}

impl Grave {
    /// The word in its address.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Reset => "reset",
            Self::Delete => "delete",
        }
    }

    /// What stands on its button.
    pub(crate) fn button(self, frame: &Frame) -> &'static str {
        match self {
            Self::Reset => frame.say("Сбросить сеансы", "Reset the sessions"),
            Self::Delete => frame.say("Удалить линию", "Delete the line"),
        }
    }

    /// What follows from it.
    pub(crate) fn consequence(self, frame: &Frame) -> &'static str {
        match self {
            Self::Reset => frame.say(
                "Шлюз и клиент забудут свои сеансы Telegram, и в аккаунт нужно будет войти заново. Журналы и настройки останутся.",
                "Gateway and client forget their Telegram sessions, and the account needs a new login. Journals and settings stay.",
            ),
            Self::Delete => frame.say(
                "Настройки, сеансы и журналы этого номера будут удалены с этой машины.",
                "Settings, sessions and journals of this number are deleted from this machine.",
            ),
        }
    }
}

/// The way to it: a dialog, or without a script the form on the line's settings.
fn grave(frame: &Frame, line: &LineCard, what: Grave) -> Markup {
    let path = path(&line.phone);
    let number = phone(line.phone.as_str());
    let more = format!("{} {}", what.consequence(frame), calls_warning(frame, line.gateway.calls));
    let title = match what {
        Grave::Reset => frame.say("Сбросить сеансы линии ", "Reset the sessions of "),
        Grave::Delete => frame.say("Удалить линию ", "Delete "),
    };
    html! {
        a.item.danger[what == Grave::Delete] href={ (path) "/settings#" (what.word()) }
            data-act={ (path) "/" (what.word()) } data-confirm={ (title) (number) "?" } data-more=(more.trim())
            data-yes=(what.button(frame)) data-type=(line.phone) data-name="phone"
            data-ask={ (frame.say("Чтобы подтвердить, введите ", "To confirm, type ")) (line.phone) } {
            (what.button(frame)) "…"
        }
    }
}

fn reasons(frame: &Frame, line: &LineCard) -> Markup {
    let path = path(&line.phone);
    html! {
        @if let Some(problem) = &line.problem {
            div.reason.red { p { (sentence(frame.said(problem))) } a.button href={ (path) "/settings" } { (frame.say("Исправить", "Mend it")) } }
        } @else if !line.enabled {
            div.reason.off { p { (frame.say("Линия выключена.", "The line is switched off.")) } (switch(frame, line, "button")) }
        } @else {
            @for reason in lamp::reasons(frame, line) {
                div.reason.(lamp::class(reason.light.lamp)) {
                    p { (reason.told(frame)) " " span.since { (since(frame, reason.light.since_ms)) } }
                    @if reason.light.lamp == Lamp::Red {
                        a.button href={ (path) "/login/" (reason.part.word()) } { (frame.say("Авторизовать", "Log in")) }
                    } @else if reason.about == About::Pbx {
                        a.button href={ (path) "/pbx" } { (frame.say("Настроить АТС", "Set up the PBX")) }
                    }
                }
            }
            @if let Some(told) = &line.gateway.pause {
                div.reason.orange {
                    p { (pause(frame, told)) }
                }
            }
        }
    }
}

/// Why a line places no calls for a while.
pub(crate) fn pause(frame: &Frame, pause: &LinePause) -> String {
    let until = clock(frame, pause.until_ms);
    match (pause.reason, frame.language) {
        (PauseReason::Flood, Language::Russian) => {
            format!("Telegram просит подождать: исходящие звонки приостановлены до\u{a0}{until}.")
        }
        (PauseReason::Flood, Language::English) => {
            format!("Telegram asks to wait: outgoing calls pause until\u{a0}{until}.")
        }
        (PauseReason::PeerFlood, Language::Russian) => {
            format!("Telegram не даёт звонить незнакомым: исходящие приостановлены до\u{a0}{until}.")
        }
        (PauseReason::PeerFlood, Language::English) => {
            format!("Telegram lets the account call no strangers: outgoing calls pause until\u{a0}{until}.")
        }
    }
}

fn overall_lamp(page: &LinesPage) -> Lamp {
    let mut on = page.lines.iter().filter(|line| line.enabled).peekable();
    if on.peek().is_none() {
        Lamp::Off
    } else if on.all(lamp::is_connected) {
        Lamp::Green
    } else {
        let lamps = page.lines.iter().filter(|line| line.enabled);
        let red = lamps.into_iter().any(|line| {
            line.problem.is_some() || lamp::of_line(line).iter().any(|part| part.lamp == Some(Lamp::Red))
        });
        if red { Lamp::Red } else { Lamp::Orange }
    }
}

fn overall_label(frame: &Frame, page: &LinesPage) -> &'static str {
    match overall_lamp(page) {
        Lamp::Green => frame.say("Линии подключены", "Lines connected"),
        Lamp::Off if page.lines.is_empty() => frame.say("Линий пока нет", "No lines yet"),
        Lamp::Off => frame.say("Модуль отключён", "Module switched off"),
        Lamp::Orange | Lamp::Red => frame.say("Не все линии подключены", "Not all lines connected"),
    }
}

fn sums(frame: &Frame, page: &LinesPage) -> Markup {
    let on = page.lines.iter().filter(|line| line.enabled).count();
    let connected = page.lines.iter().filter(|line| line.enabled && lamp::is_connected(line)).count();
    html! {
        span { (connected) (frame.say(" из ", " of ")) (on) }
        @if let Some(today) = page.today { (of_today(frame, today)) }
    }
}

fn of_today(frame: &Frame, today: Today) -> Markup {
    let calls = count(frame.language, today.calls.into(), ["звонок", "звонка", "звонков"], ["call", "calls"]);
    html! {
        " " span { (frame.say("сегодня ", "today ")) (calls) }
        @if today.unanswered > 0 {
            " " span { (frame.say(&format!("{}\u{a0}без ответа", today.unanswered), &format!("{}\u{a0}unanswered", today.unanswered))) }
        }
        @if let Some(mos) = today.mos_hundredths {
            " " span title=(frame.say("Средняя оценка связи, от 1 до 5", "Mean quality, 1 to 5")) {
                (frame.say("связь ", "quality ")) (tenths(frame.language, (mos.saturating_add(5) / 10).into()))
            }
        }
    }
}

/// There is nothing yet: three steps to the first line.
fn welcome(frame: &Frame) -> Markup {
    let steps = [
        (
            frame.say("Добавьте номер", "Add a number"),
            frame.say(
                "Номер аккаунта Telegram, который будет отвечать за компанию. Лучше отдельный, не личный.",
                "The number of the Telegram account that speaks for the company. Better one of its own than a private one.",
            ),
        ),
        (
            frame.say("Введите код", "Enter the code"),
            frame.say(
                "Telegram пришлёт его в приложение на телефоне; можно и навести камеру на QR-код.",
                "Telegram sends it to the app on the phone; scanning a QR code works, too.",
            ),
        ),
        (
            frame.say("Подключите АТС", "Connect the PBX"),
            frame.say(
                "Скопируйте адрес линии, например 127.0.0.1:30001, в провайдера АТС. Пароль не нужен.",
                "Copy the line’s address, as 127.0.0.1:30001, into a trunk of the PBX. No password is needed.",
            ),
        ),
    ];
    html! {
        div #overall.welcome {
            h1 { (frame.say("Три шага до первого звонка", "Three steps to the first call")) }
            ol.three {
                @for (title, text) in steps { li { h2 { (title) } p { (text) } } }
            }
            a.button.primary href="/lines/new" { (Icon::Plus.draw()) (frame.say("Добавить номер", "Add a number")) }
            p.muted { (frame.say(
                "Все ключи и сообщения остаются на этой машине. Наружу она говорит только с Telegram.",
                "All keys and messages stay on this machine. It speaks to nobody but Telegram.",
            )) }
        }
    }
}
