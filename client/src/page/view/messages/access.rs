//! What a program needs to call an instance: its number, its token, the first lines to try.

use maud::{Markup, html};
use tgtrunk_config::Language;

use super::instance::{Tab, sheet};
use super::path;
use crate::page::model::Frame;
use crate::page::model::messages::AccessPage;
use crate::page::view::form::hidden;
use crate::page::view::icons::Icon;
use crate::page::view::lines::copy;

/// What stands for a token that is not known.
const UNKNOWN: &str = "API_TOKEN";

/// What 1C calls a connection, a request and an answer; new; and what is done with them.
const RUSSIAN_1C: [&str; 8] = [
    "Соединение",
    "Запрос",
    "Ответ",
    "Новый",
    "Заголовки.Вставить",
    "УстановитьТелоИзСтроки",
    "ВызватьHTTPМетод",
    ", Новый ЗащищенноеСоединениеOpenSSL",
];
const ENGLISH_1C: [&str; 8] = [
    "Connection",
    "Request",
    "Response",
    "New",
    "Headers.Insert",
    "SetBodyFromString",
    "CallHTTPMethod",
    ", New OpenSSLSecureConnection",
];

/// The page.
pub(crate) fn page(frame: &Frame, page: &AccessPage) -> Markup {
    sheet(frame, &page.card, Tab::Access, access(frame, page))
}

/// All of it: `access`.
pub(crate) fn access(frame: &Frame, page: &AccessPage) -> Markup {
    let id = page.card.id.to_string();
    html! {
        div #access.sheet-list {
            @if !page.is_served {
                p.warning { (Icon::Bad.draw()) span { (frame.say(
                    "API выключен: задайте [api] listen в tgtrunk.toml.",
                    "The API is off: set [api] listen in tgtrunk.toml.",
                )) } }
            }
            section.card {
                h2 { (frame.say("Для программ", "For programs")) }
                dl.facts {
                    (fact(frame, "idInstance", &id, Some(&id)))
                    (fact(frame, "apiUrl, mediaUrl", &page.base, Some(&page.base)))
                    @match &page.token {
                        Some(token) => (fact(frame, "apiTokenInstance", token, Some(token))),
                        None if page.card.has_token => (fact(frame, "apiTokenInstance", "••••••••••••••••", None)),
                        None => (fact(frame, "apiTokenInstance", frame.say("ещё не создан", "not made yet"), None)),
                    }
                }
                @if page.token.is_some() {
                    p.warning { (Icon::Key.draw()) span { (frame.say(
                        "Скопируйте токен сейчас: больше он не показывается, хранится только его хеш.",
                        "Copy the token now: it is not shown again, only its hash is kept.",
                    )) } }
                } @else {
                    p.hint { (frame.say(
                        "Токен показывается один раз, когда создаётся: хранится только его хеш.",
                        "A token is shown once, when it is made: only its hash is kept.",
                    )) }
                }
                (renew(frame, page))
            }
            section.card {
                h2 { (frame.say("Первые строки", "First lines")) }
                p.hint { (frame.say(
                    "Вместо 79990000000 поставьте номер человека, у которого есть Telegram: для начала подойдёт ваш.",
                    "Put the phone number of somebody who has Telegram in the place of 79990000000: your own will do.",
                )) }
                @for (name, text) in samples(frame.language, page) {
                    figure.block {
                        figcaption { (name) (copy(frame, &text, &format!("{} {name}", frame.say("Копировать", "Copy")))) }
                        pre tabindex="0" { (text) }
                    }
                }
            }
        }
    }
}

fn renew(frame: &Frame, page: &AccessPage) -> Markup {
    let action = format!("{}/access", path(&page.card));
    let words = if page.card.has_token {
        frame.say("Сменить токен", "Change the token")
    } else {
        frame.say("Создать токен", "Make a token")
    };
    let question = page.card.has_token.then(|| frame.say("Сменить токен?", "Change the token?"));
    let more = frame.say(
        "Старый перестаёт действовать сразу: программы с ним получат отказ.",
        "The old one is dead at once: programs that have it are refused.",
    );
    html! {
        form method="post" action=(action) data-confirm=[question] data-more=(more) data-yes=(words) {
            (hidden(frame))
            button.primary[!page.card.has_token] { (Icon::Key.draw()) (words) }
        }
    }
}

fn fact(frame: &Frame, name: &str, value: &str, copied: Option<&str>) -> Markup {
    html! {
        div {
            dt { (name) }
            dd {
                code { (value) }
                @if let Some(copied) = copied { (copy(frame, copied, &format!("{}: {name}", frame.say("Копировать", "Copy")))) }
            }
        }
    }
}

/// Whom they write to, until a programmer puts somebody there.
const PERSON: &str = "79990000000@c.us";

/// The first lines in three languages: each sends a message.
fn samples(language: Language, page: &AccessPage) -> [(&'static str, String); 3] {
    let (base, id) = (&page.base, page.card.id);
    let token = page.token.as_deref().unwrap_or(UNKNOWN);
    let (scheme, host) = base.split_once("://").unwrap_or(("http", base));
    let (name, port) = match host.rsplit_once(':') {
        Some((name, port)) if !port.contains(']') => (name, port),
        _ => (host, if scheme == "https" { "443" } else { "80" }),
    };
    // 1C reads both.
    let words = match language {
        Language::Russian => RUSSIAN_1C,
        Language::English => ENGLISH_1C,
    };
    let [connection, request, response, new, header, body, call, tls] = words;
    let secure = if scheme == "https" { tls } else { "" };
    let one_c = format!(
        "{connection} = {new} HTTP{connection}(\"{name}\", {port},,,, 30{secure});\n{request} = {new} HTTP{request}(\"/waInstance{id}/sendMessage/{token}\");\n{request}.{header}(\"Content-Type\", \"application/json\");\n{request}.{body}(\"{{\"\"chatId\"\": \"\"{PERSON}\"\", \"\"message\"\": \"\"Hello\"\"}}\");\n{response} = {connection}.{call}(\"POST\", {request});",
    );
    [
        (
            "curl",
            format!(
                "curl -X POST {base}/waInstance{id}/sendMessage/{token} \\\n  -H 'Content-Type: application/json' \\\n  -d '{{\"chatId\": \"{PERSON}\", \"message\": \"Hello\"}}'"
            ),
        ),
        (
            "Python",
            format!(
                "# pip install telegram-api-client-python\nfrom telegram_api_client_python import API\n\napi = API.GreenAPI(\"{id}\", \"{token}\", host=\"{base}\", media=\"{base}\")\nprint(api.sending.sendMessage(\"{PERSON}\", \"Hello\").data)"
            ),
        ),
        ("1C", one_c),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::page::view::samples;

    #[test]
    fn samples_call_the_instance_where_it_is_served() {
        let mut page = samples::messages::access_page();
        for (base, wanted) in [
            ("http://127.0.0.1:8091", "HTTPСоединение(\"127.0.0.1\", 8091,,,, 30)"),
            (
                "https://pbx.example.org",
                "(\"pbx.example.org\", 443,,,, 30, Новый ЗащищенноеСоединениеOpenSSL)",
            ),
        ] {
            page.base = base.to_owned();
            let [(_, curl), (_, python), (_, one_c)] = samples(Language::Russian, &page);
            assert!(
                curl.starts_with(&format!("curl -X POST {base}/waInstance4100000001/sendMessage/API_TOKEN"))
            );
            assert!(python.contains(&format!("host=\"{base}\"")), "{python}");
            assert!(
                [&curl, &python, &one_c].iter().all(|sample| sample.contains("79990000000@c.us")),
                "by phone"
            );
            assert!(one_c.contains(wanted), "{one_c}");
        }
    }
}
