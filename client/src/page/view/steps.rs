//! One login, step by step.

use maud::{Markup, PreEscaped, html};
use qrcode::{Color, EcLevel, QrCode};
use tgtrunk_config::control::{CodeVia, LoginInfo, LoginStage};
use tgtrunk_config::{Lamp, Language};

use crate::page::model::{Frame, LineCard, Part, StepsPage, Typed};
use crate::page::view::form::{self, Input, hidden};
use crate::page::view::icons::Icon;
use crate::page::view::lamp;
use crate::page::view::line::{Tab, sheet};
use crate::page::view::lines::{calls_warning, path, writers_warning};
use crate::page::view::sessions::who;
use crate::page::view::words::{clock, count, duration, sentence};

/// The page.
pub(crate) fn page(frame: &Frame, page: &StepsPage) -> Markup {
    let main = html! {
        (parts(frame, &page.card, page.part))
        (steps(frame, page))
    };
    sheet(frame, &page.card, Tab::Sessions, main)
}

/// The three programs with their lamps, to go from one login to another: `parts`.
pub(crate) fn parts(frame: &Frame, card: &LineCard, at: Part) -> Markup {
    let path = path(&card.phone);
    html! {
        nav #parts.parts aria-label=(frame.say("Чей сеанс", "Whose session")) {
            @for one in lamp::of_line(card) {
                a href={ (path) "/login/" (one.part.word()) } aria-current=[(one.part == at).then_some("page")] {
                    (lamp::one(frame, &one))
                }
            }
        }
    }
}

/// The step that is due: `steps`.
pub(crate) fn steps(frame: &Frame, page: &StepsPage) -> Markup {
    let action = format!("{}/login/{}", path(&page.card.phone), page.part.word());
    let problem = page.info.as_ref().and_then(|info| info.problem.as_ref());
    html! {
        section #steps.card.steps data-part=(page.part.word()) data-stage=(page.info.as_ref().map_or("unknown", stage_word)) {
            (progress(frame, page.info.as_ref()))
            div.step {
                @match page.info.as_ref().map(|info| &info.stage) {
                    None => (unknown(frame, page)),
                    Some(LoginStage::Start) => (start(frame, page, &action)),
                    Some(LoginStage::Code { via, length, next, resend_ms, sent_ms }) => {
                        (code(frame, page, &action, &Sent { via: *via, length: *length, next: *next, resend_ms: *resend_ms, sent_ms: *sent_ms }))
                    },
                    Some(LoginStage::Qr { token, expires_ms }) => (qr(frame, page, &action, token.as_str(), *expires_ms)),
                    Some(LoginStage::Password { hint }) => (password(frame, page, &action, hint.as_deref())),
                    Some(LoginStage::Done { account }) => (done(frame, page, &action, &who(frame, account))),
                }
                @if let Some(problem) = problem.filter(|_| !has_field(page)) {
                    p.problem role="alert" { (sentence(frame.said(problem))) }
                }
            }
        }
    }
}

/// What is known of a code that was sent.
struct Sent {
    via: CodeVia,
    length: Option<u32>,
    next: Option<CodeVia>,
    resend_ms: Option<u64>,
    sent_ms: u64,
}

/// Whether the problem stands under a field of its own.
fn has_field(page: &StepsPage) -> bool {
    page.info
        .as_ref()
        .is_some_and(|info| matches!(info.stage, LoginStage::Code { .. } | LoginStage::Password { .. }))
}

fn stage_word(info: &LoginInfo) -> &'static str {
    match info.stage {
        LoginStage::Start => "start",
        LoginStage::Code { .. } => "code",
        LoginStage::Qr { .. } => "qr",
        LoginStage::Password { .. } => "password",
        LoginStage::Done { .. } => "done",
    }
}

fn progress(frame: &Frame, info: Option<&LoginInfo>) -> Markup {
    let at = match info.map(|info| &info.stage) {
        None | Some(LoginStage::Start) => 0,
        Some(LoginStage::Code { .. } | LoginStage::Qr { .. }) => 1,
        Some(LoginStage::Password { .. }) => 2,
        Some(LoginStage::Done { .. }) => 3,
    };
    let second = match info.map(|info| &info.stage) {
        Some(LoginStage::Qr { .. }) => frame.say("QR-код", "QR code"),
        _ => frame.say("Код", "Code"),
    };
    let names =
        [frame.say("Способ", "Method"), second, frame.say("Пароль", "Password"), frame.say("Готово", "Done")];
    html! {
        ol.progress {
            @for (step, name) in names.into_iter().enumerate() {
                li.past[step < at] aria-current=[(step == at).then_some("step")] { (name) }
            }
        }
    }
}

fn unknown(frame: &Frame, page: &StepsPage) -> Markup {
    let program = format!("tgtrunk-{}", page.part.word());
    html! {
        h2 { (lamp::part_name(frame, page.part)) ": " (frame.say("программа не отвечает", "the program does not answer")) }
        p {
            (frame.say("Запустите её на этой машине: ", "Start it on this machine: "))
            code { "systemctl start " (program) }
            ". " (frame.say("Страница продолжит сама.", "The page goes on by itself."))
        }
    }
}

fn start(frame: &Frame, page: &StepsPage, action: &str) -> Markup {
    html! {
        h2 { (title(frame, page)) }
        (running(frame, page))
        div.choices {
            form.choice method="post" action={ (action) "/start" } {
                (hidden(frame))
                input type="hidden" name="method" value="code";
                (Icon::Key.draw())
                h3 { (frame.say("Код", "Code")) }
                p.muted { (frame.say(
                    "Telegram пришлёт код в приложение или в СМС. Одного кода хватит и шлюзу, и клиенту.",
                    "Telegram sends a code to the app or by SMS. One code serves gateway and client.",
                )) }
                button.primary { (frame.say("Получить код", "Have a code sent")) }
            }
            form.choice method="post" action={ (action) "/start" } {
                (hidden(frame))
                input type="hidden" name="method" value="qr";
                (Icon::Scan.draw())
                h3 { (frame.say("QR-код", "QR code")) }
                p.muted { (frame.say(
                    "Наведите на него камеру телефона, где этот аккаунт уже открыт.",
                    "Scan it with a phone where this account is open already.",
                )) }
                button { (frame.say("Показать QR-код", "Show the QR code")) }
            }
        }
    }
}

fn title(frame: &Frame, page: &StepsPage) -> &'static str {
    match page.part {
        Part::Gateway => frame.say("Как войти в аккаунт", "How to log in"),
        Part::Client | Part::Bot => frame.say("Как войти клиенту", "How to log the client in"),
    }
}

fn running(frame: &Frame, page: &StepsPage) -> Markup {
    let calls = page.card.gateway.calls;
    if calls == 0 || page.part != Part::Gateway {
        return html! {};
    }
    let words = match frame.language {
        Language::Russian => {
            let told = count(Language::Russian, calls.into(), ["звонок", "звонка", "звонков"], ["", ""]);
            let (go, them) = if calls % 10 == 1 && calls % 100 != 11 {
                ("идёт", "его")
            } else {
                ("идут", "их")
            };
            format!("Сейчас {go} {told}. Новый вход {them} завершит, когда вступит в силу.")
        }
        Language::English => {
            let calls = count(Language::English, calls.into(), ["", "", ""], ["call is", "calls are"]);
            format!("{calls} up. A new login ends them when it takes over.")
        }
    };
    html! { p.warning { (Icon::Waiting.draw()) (words) } }
}

fn code(frame: &Frame, page: &StepsPage, action: &str, sent: &Sent) -> Markup {
    let typed = refused(page, "code");
    let length = sent.length.filter(|length| (1..=12).contains(length));
    let is_digits = !sent.via.is_words();
    let length = length.filter(|_| is_digits);
    let hint = length.map(|length| {
        let russian = ["цифра", "цифры", "цифр"];
        count(frame.language, length.into(), russian, ["digit", "digits"])
    });
    let hint = hint.unwrap_or_default();
    let input = html! {
        input.code #f-code name="code" inputmode=[is_digits.then_some("numeric")] autocomplete="one-time-code" required
            maxlength=[length] autofocus aria-describedby=(form::described("code", &hint))
            aria-invalid=[typed.problem("code").map(|_| "true")] spellcheck="false";
    };
    html! {
        h2 { (frame.say("Введите код", "Enter the code")) }
        p { (sent_where(frame, sent.via)) " " span.muted { (frame.say("Отправлен в ", "Sent at ")) (clock(frame, sent.sent_ms)) "." } }
        form.stack method="post" action={ (action) "/code" } {
            (hidden(frame))
            (form::field(frame, &typed, "code", frame.say("Код", "Code"), &hint, input))
            button.primary { (frame.say("Дальше", "Go on")) }
        }
        div.others {
            @if let Some(next) = sent.next { (resend(frame, action, next, sent.resend_ms)) }
            (other_way(frame, action, "qr", frame.say("Войти по QR-коду", "Use a QR code")))
            (cancel(frame, action))
        }
    }
}

fn resend(frame: &Frame, action: &str, next: CodeVia, resend_ms: Option<u64>) -> Markup {
    let way = match next {
        CodeVia::App => frame.say("Прислать код в приложение", "Send it to the app"),
        CodeVia::Sms | CodeVia::SmsWord | CodeVia::SmsPhrase => {
            frame.say("Прислать код в СМС", "Send it by SMS")
        }
        CodeVia::Call => frame.say("Продиктовать код звонком", "Have it spoken in a call"),
        CodeVia::MissedCall => {
            frame.say("Позвонить с кодом в номере", "Call from a number that ends with it")
        }
        CodeVia::Email => frame.say("Прислать код на почту", "Send it by e-mail"),
        CodeVia::Fragment => frame.say("Прислать код на Fragment", "Send it to Fragment"),
    };
    let wait_ms = resend_ms.map(|at| at.saturating_sub(frame.now_ms)).filter(|wait| *wait > 0);
    html! {
        form method="post" action={ (action) "/resend" } {
            (hidden(frame))
            button.quiet data-from=[resend_ms.filter(|_| wait_ms.is_some())] {
                (way)
                @if let (Some(at), Some(wait)) = (resend_ms, wait_ms) {
                    " " span.countdown data-until=(at) { (duration(wait)) }
                }
            }
        }
    }
}

fn sent_where(frame: &Frame, via: CodeVia) -> &'static str {
    match via {
        CodeVia::App => frame.say(
            "Код пришёл сообщением в Telegram на другом устройстве этого аккаунта.",
            "The code came as a message in Telegram on another device of this account.",
        ),
        CodeVia::Sms => {
            frame.say("Код отправлен в СМС на этот номер.", "The code was sent to this number by SMS.")
        }
        CodeVia::SmsWord => frame.say(
            "На этот номер отправлена СМС со словом: это слово и есть код.",
            "A word was sent to this number by SMS: that word is the code.",
        ),
        CodeVia::SmsPhrase => frame.say(
            "На этот номер отправлена СМС с фразой: введите её целиком, с пробелами.",
            "A phrase was sent to this number by SMS: enter all of it, with its spaces.",
        ),
        CodeVia::Call => {
            frame.say("На этот номер позвонят и продиктуют код.", "A call to this number speaks the code.")
        }
        CodeVia::MissedCall => frame.say(
            "На этот номер позвонят. Код — последние цифры звонящего номера; отвечать не нужно.",
            "This number is called. The code is the end of the calling number; do not answer.",
        ),
        CodeVia::Email => frame
            .say("Код отправлен на почту аккаунта.", "The code was sent to the account’s e-mail address."),
        CodeVia::Fragment => frame.say("Код ждёт на fragment.com.", "The code waits at fragment.com."),
    }
}

fn qr(frame: &Frame, page: &StepsPage, action: &str, token: &str, expires_ms: u64) -> Markup {
    let link = format!("tg://login?token={token}");
    let left = expires_ms.saturating_sub(frame.now_ms);
    html! {
        h2 { (frame.say("Отсканируйте QR-код", "Scan the QR code")) }
        (running(frame, page))
        div.scan {
            figure.qr {
                (picture(frame, &link))
                figcaption.muted {
                    (frame.say("Обновится сам через ", "Renews itself in "))
                    span.countdown data-until=(expires_ms) { (duration(left)) }
                }
            }
            div {
                ol.how {
                    li { (frame.say("Откройте Telegram на телефоне с этим аккаунтом.", "Open Telegram on a phone with this account.")) }
                    li { (frame.say("Настройки → Устройства → Подключить устройство.", "Settings → Devices → Link Desktop Device.")) }
                    li { (frame.say("Наведите камеру на код и подтвердите вход.", "Point the camera at the code and confirm.")) }
                }
                p { a.button href=(link) { (frame.say("Открыть в Telegram на этом устройстве", "Open in Telegram on this device")) } }
                div.others {
                    (other_way(frame, action, "code", frame.say("Ввести код вместо этого", "Enter a code instead")))
                    (cancel(frame, action))
                }
            }
        }
    }
}

/// The link as a QR code of dark modules on white, whatever the theme: cameras want it so.
pub(crate) fn picture(frame: &Frame, link: &str) -> Markup {
    const QUIET: usize = 4;
    let Ok(code) = QrCode::with_error_correction_level(link.as_bytes(), EcLevel::M) else {
        return html! { p.problem { (frame.say("QR-код не получился: войдите по коду.", "No QR code could be made: use a code.")) } };
    };
    let width = code.width();
    let colors = code.to_colors();
    let mut dark = String::new();
    for (y, row) in colors.chunks(width).enumerate() {
        let mut x = 0;
        while x < width {
            let run = row[x..].iter().take_while(|color| **color == Color::Dark).count();
            if run > 0 {
                dark.push_str(&format!("M{} {}h{run}v1h-{run}z", x + QUIET, y + QUIET));
            }
            x += run.max(1);
        }
    }
    let side = width + 2 * QUIET;
    html! {
        svg role="img" aria-label=(frame.say("QR-код для входа в Telegram", "QR code to log in to Telegram")) viewBox={ "0 0 " (side) " " (side) }
            shape-rendering="crispEdges" {
            rect width=(side) height=(side) fill="#fff" {}
            (PreEscaped(format!(r##"<path fill="#111" d="{dark}"/>"##)))
        }
    }
}

fn password(frame: &Frame, page: &StepsPage, action: &str, hint: Option<&str>) -> Markup {
    let typed = refused(page, "password");
    let hint = hint.map(|hint| format!("{}{hint}", frame.say("Подсказка владельца: ", "The owner’s hint: ")));
    let hint = hint.unwrap_or_default();
    let input =
        Input { kind: "password", autocomplete: "current-password", required: true, ..Input::default() };
    html! {
        h2 { (frame.say("Введите пароль аккаунта", "Enter the account’s password")) }
        p { (frame.say(
            "Это облачный пароль Telegram (двухэтапная проверка). Он не сохраняется.",
            "This is Telegram’s cloud password (two-step verification). It is not kept.",
        )) }
        form.stack method="post" action={ (action) "/password" } {
            (hidden(frame))
            (form::text(frame, &typed, "password", frame.say("Пароль", "Password"), &hint, input))
            button.primary { (frame.say("Войти", "Log in")) }
        }
        div.others { (cancel(frame, action)) }
    }
}

fn done(frame: &Frame, page: &StepsPage, action: &str, who: &Markup) -> Markup {
    let path = path(&page.card.phone);
    let next = match page.part {
        Part::Gateway => (format!("{path}/pbx"), frame.say("Настроить АТС", "Set up the PBX")),
        Part::Client | Part::Bot if page.card.bot_name.is_none() => {
            (format!("{path}/login/bot"), frame.say("Задать бота", "Give the line a bot"))
        }
        Part::Client | Part::Bot => (path.clone(), frame.say("К линии", "To the line")),
    };
    let warning = calls_warning(frame, if page.part == Part::Gateway { page.card.gateway.calls } else { 0 });
    let out = match page.part {
        Part::Client => writers_warning(frame, &page.writers),
        Part::Gateway | Part::Bot => warning.clone(),
    };
    html! {
        div.done {
            span.shape.green { (Icon::Good.draw()) }
            div {
                h2 { (lamp::part_name(frame, page.part)) ": " (frame.say("вход выполнен", "logged in")) }
                (who)
            }
        }
        @if page.part == Part::Gateway && lamp::of_line(&page.card)[1].lamp != Some(Lamp::Green) {
            p.muted { (frame.say(
                "Клиент входит следом сам: второй код не нужен.",
                "The client follows by itself: no second code is needed.",
            )) }
        }
        div.actions {
            a.button.primary href=(next.0) { (next.1) }
            form method="post" action={ (action) "/start" } data-confirm=(frame.say("Войти заново?", "Log in again?"))
                data-more=(warning) data-yes=(frame.say("Войти заново", "Log in again")) {
                (hidden(frame))
                button.quiet name="method" value="code" { (frame.say("Войти заново", "Log in again")) }
            }
            form method="post" action={ (action) "/logout" } data-confirm=(frame.say("Выйти из аккаунта?", "Log out of the account?"))
                data-more=(out) data-yes=(frame.say("Выйти", "Log out")) {
                (hidden(frame))
                button.quiet { (frame.say("Выйти", "Log out")) }
            }
        }
    }
}

fn other_way(frame: &Frame, action: &str, method: &str, words: &str) -> Markup {
    html! {
        form method="post" action={ (action) "/start" } {
            (hidden(frame))
            button.quiet name="method" value=(method) { (words) }
        }
    }
}

fn cancel(frame: &Frame, action: &str) -> Markup {
    form::button(frame, &format!("{action}/cancel"), "quiet", frame.say("Отменить", "Cancel"))
}

/// The problem of the step, under its one field.
fn refused(page: &StepsPage, name: &str) -> Typed {
    let mut typed = Typed::default();
    if let Some(problem) = page.info.as_ref().and_then(|info| info.problem.clone()) {
        typed.refuse(name, problem);
    }
    typed
}
