//! What matters to messages of an instance's settings.

use maud::{Markup, html};

use super::instance::{Tab, sheet};
use super::path;
use crate::page::messages::SWITCHES;
use crate::page::model::Frame;
use crate::page::model::messages::InstanceSettingsPage;
use crate::page::view::form::{self, Input, hidden};
use crate::page::view::words::sentence;

/// The page.
pub(crate) fn page(frame: &Frame, page: &InstanceSettingsPage) -> Markup {
    let typed = &page.typed;
    let has_token = !page.settings.webhook_token.is_empty();
    let token_hint = frame.say(
        "Уходит в заголовке Authorization. Пустое поле ничего не меняет.",
        "Sent in the header Authorization. An empty field changes nothing.",
    );
    let token = html! {
        input id=(form::id("webhookUrlToken")) name="webhookUrlToken" type="password" autocomplete="off" value=""
            placeholder=(if has_token { "••••••••" } else { "" })
            aria-describedby=(form::described("webhookUrlToken", token_hint)) aria-invalid=[typed.problem("webhookUrlToken").map(|_| "true")];
    };
    let switch = |name: &'static str| {
        let (label, hint) = words(frame, name);
        form::switch(frame, typed, name, label, hint, typed.value(name) == "true")
    };
    let main = html! {
        form.settings method="post" action={ (path(&page.card)) "/settings" } {
            (hidden(frame))
            @if let Some(problem) = &page.problem { p.problem role="alert" { (sentence(frame.said(problem))) } }
            section.card {
                h2 { (frame.say("Вебхук", "Webhook")) }
                div.fields {
                    (form::text(frame, typed, "webhookUrl", frame.say("Адрес", "Address"),
                        frame.say("http:// или https://; пусто — программы забирают уведомления сами.", "http:// or https://; empty: programs fetch notifications themselves."),
                        Input { kind: "text", placeholder: Some("https://example.org/hook"), inputmode: Some("url"), ..Input::default() }))
                    (form::field(frame, typed, "webhookUrlToken", frame.say("Токен вебхука", "Token of the webhook"), token_hint, token))
                    @if has_token {
                        (form::switch(frame, typed, "webhookUrlToken.clear", frame.say("Убрать токен вебхука", "Remove the token of the webhook"), "", false))
                    }
                }
                @if page.settings.webhook_is_example() {
                    p.problem { (frame.say(
                        "Это адрес из примера коннектора 1С, чужой сайт: туда ничего не посылается.",
                        "This is the address in the example of 1C’s connector, somebody else’s site: nothing is sent there.",
                    )) }
                }
            }
            section.card {
                h2 { (frame.say("О чём уведомлять", "What to notify of")) }
                div.fields { @for name in &SWITCHES[..8] { (switch(name)) } }
            }
            section.card {
                h2 { (frame.say("Отправка и чтение", "Sending and reading")) }
                div.fields {
                    (form::text(frame, typed, "delaySendMessagesMilliseconds", frame.say("Пауза между сообщениями, мс", "Pause between messages, ms"),
                        frame.say("От 500 до 600000. Чем чаще, тем скорее Telegram ограничит аккаунт.", "500 to 600000. The shorter, the sooner Telegram limits the account."),
                        Input { inputmode: Some("numeric"), ..Input::default() }))
                    @for name in &SWITCHES[8..] { (switch(name)) }
                }
            }
            div.save {
                button.primary { (frame.say("Сохранить", "Save")) }
                p.muted { (frame.say("Это те же настройки, что у метода setSettings.", "These are the settings of the method setSettings.")) }
            }
        }
    };
    sheet(frame, &page.card, Tab::Settings, main)
}

/// A switch in words, with GREEN-API's name of it.
fn words(frame: &Frame, name: &'static str) -> (&'static str, &'static str) {
    let label = match name {
        "incomingWebhook" => frame.say("Входящие сообщения", "Incoming messages"),
        "outgoingMessageWebhook" => frame.say("Отправленные с телефона", "Sent from a phone"),
        "outgoingAPIMessageWebhook" => frame.say("Отправленные через API", "Sent by the API"),
        "outgoingWebhook" => frame.say("Отправлено и прочитано", "Sent and read"),
        "editedMessageWebhook" => frame.say("Изменённые сообщения", "Edited messages"),
        "deletedMessageWebhook" => frame.say("Удалённые сообщения", "Deleted messages"),
        "stateWebhook" => frame.say("Состояние инстанса", "State of the instance"),
        "incomingCallWebhook" => frame.say("Звонки", "Calls"),
        "markIncomingMessagesReaded" => frame.say("Сразу отмечать прочитанными", "Mark as read at once"),
        _ => frame.say("Отмечать прочитанными при ответе", "Mark as read with an answer"),
    };
    (label, name)
}
