//! The login of an instance without a line: by a QR code, or by a code that Telegram sends.

use maud::{Markup, html};
use tgtrunk_config::Said;
use tgtrunk_messages::{LoginStep, Standing};

use super::instance::{Tab, sheet};
use super::path;
use crate::page::model::messages::{SigninPage, Way};
use crate::page::model::{Frame, Typed};
use crate::page::view::form::{self, Input, hidden};
use crate::page::view::icons::Icon;
use crate::page::view::steps::picture;
use crate::page::view::words::sentence;

/// The page.
pub(crate) fn page(frame: &Frame, page: &SigninPage) -> Markup {
    sheet(frame, &page.card, Tab::State, step(frame, page))
}

/// Where the login is: `signin`.
pub(crate) fn step(frame: &Frame, page: &SigninPage) -> Markup {
    let path = path(&page.card);
    let is_in = matches!(page.card.standing, Standing::Authorized | Standing::Suspended);
    let wants_password = matches!(page.step, Some(LoginStep::Password))
        || (page.card.standing == Standing::PendingPassword && page.step.is_none());
    html! {
        section #signin.card.step data-step=(word(page)) {
            @if is_in || matches!(page.step, Some(LoginStep::Done)) {
                div.done { span.shape.green { (Icon::Good.draw()) } div { h2 { (frame.say("Вход выполнен", "Logged in")) } } }
                p { a.button.primary href=(path) { (frame.say("К очередям", "To the queues")) } }
            } @else if wants_password {
                h2 { (frame.say("Пароль аккаунта", "The account’s password")) }
                (ask(frame, &path, "password", frame.say("Пароль двухэтапной проверки", "Password of two-step verification"), "password", None))
            } @else if let Some(LoginStep::Scan(token)) = &page.step {
                h2 { (frame.say("Отсканируйте QR-код", "Scan the QR code")) }
                div.scan {
                    figure.qr { (picture(frame, &token.link)) figcaption.muted { (frame.say("Обновляется сам", "Renews itself")) } }
                    div {
                        ol.how {
                            li { (frame.say("Откройте Telegram на телефоне с этим аккаунтом.", "Open Telegram on a phone with this account.")) }
                            li { (frame.say("Настройки → Устройства → Подключить устройство.", "Settings → Devices → Link Desktop Device.")) }
                            li { (frame.say("Наведите камеру на код и подтвердите вход.", "Point the camera at the code and confirm.")) }
                        }
                        p { a.button href=(token.link) { (frame.say("Открыть в Telegram на этом устройстве", "Open in Telegram on this device")) } }
                        p { a href={ (path) "/login?way=code" } { (frame.say("Ввести код вместо этого", "Enter a code instead")) } }
                    }
                }
            } @else if matches!(page.step, Some(LoginStep::Code)) {
                h2 { (frame.say("Введите код", "Enter the code")) }
                p.muted { (frame.say("Telegram прислал его в приложение или по SMS.", "Telegram has sent it to the app or by SMS.")) }
                (ask(frame, &path, "code", frame.say("Код", "Code"), "text", Some("numeric")))
            } @else if page.way == Some(Way::Code) {
                h2 { (frame.say("Номер аккаунта", "The account’s number")) }
                (ask(frame, &path, "phone", frame.say("Номер с кодом страны", "Number with the country code"), "tel", Some("tel")))
            } @else {
                h2 { (frame.say("Вход в аккаунт", "Logging in")) }
                @if let Some(LoginStep::Failed { sentence: english, russian, .. }) = &page.step {
                    p.problem { (sentence(frame.said(&Said::new(english, russian)))) }
                }
                div.actions {
                    a.button.primary href={ (path) "/login?way=qr" } { (Icon::Scan.draw()) (frame.say("Показать QR-код", "Show a QR code")) }
                    a.button href={ (path) "/login?way=code" } { (frame.say("Войти по коду", "Use a code")) }
                }
            }
        }
    }
}

fn word(page: &SigninPage) -> &'static str {
    match &page.step {
        Some(LoginStep::Scan(_)) => "qr",
        Some(LoginStep::Code) => "code",
        Some(LoginStep::Password) => "password",
        Some(LoginStep::Done) => "done",
        Some(LoginStep::Failed { .. }) => "failed",
        None => "start",
    }
}

/// A form of one field.
fn ask(
    frame: &Frame,
    path: &str,
    name: &'static str,
    label: &str,
    kind: &'static str,
    inputmode: Option<&'static str>,
) -> Markup {
    let input = Input { kind, inputmode, required: true, ..Input::default() };
    html! {
        form.stack method="post" action={ (path) "/login/" (name) } {
            (hidden(frame))
            (form::text(frame, &Typed::default(), name, label, "", input))
            button.primary { (frame.say("Дальше", "Go on")) }
        }
    }
}
