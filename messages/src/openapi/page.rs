//! The description as a page.

use std::fmt::Write as _;

use super::{Api, Field, Kind, Route};

const STYLE: &str = "
:root{color-scheme:light dark;font:16px/1.5 system-ui,sans-serif}
body{max-width:60rem;margin:0 auto;padding:1rem}
h1{font-size:1.6rem}h2{margin-top:2.5rem;font-size:1.2rem}h3{margin:1.5rem 0 .25rem;font-size:1rem}
code{font:.9em ui-monospace,monospace}
table{border-collapse:collapse;width:100%}th,td{text-align:left;vertical-align:top;padding:.25rem .5rem .25rem 0;border-bottom:1px solid #8884}
td:first-child{white-space:nowrap}
.needed{font-weight:600}
@media(max-width:40rem){table,tbody,tr,td{display:block}td{border:0}thead{display:none}tr{border-bottom:1px solid #8884;padding:.25rem 0}}
";

/// Text as it stands in HTML.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// The whole page.
pub(super) fn page(api: &Api, is_russian: bool) -> String {
    let say = |en, ru| if is_russian { ru } else { en };
    let mut page = String::new();
    let (lang, other, other_name) =
        if is_russian { ("ru", "en", "English") } else { ("en", "ru", "Русский") };
    let title = say("The HTTP API of tgtrunk", "HTTP API tgtrunk");
    let token = say(
        "Every call bears a token that <code>MAKER</code> makes, in the header <code>Authorization: Bearer …</code>. JSON in and out: <code>{\"ok\": true, \"result\": …}</code> or <code>{\"ok\": false, \"error\": {\"code\", \"message\", \"retryable\", \"retry_after\"}}</code>.",
        "Каждый вызов предъявляет токен, который делает <code>MAKER</code>, в заголовке <code>Authorization: Bearer …</code>. На входе и выходе JSON: <code>{\"ok\": true, \"result\": …}</code> или <code>{\"ok\": false, \"error\": {\"code\", \"message\", \"retryable\", \"retry_after\"}}</code>.",
    )
    .replace("MAKER", api.maker);
    let machine = say("For programs", "Для программ");
    write!(
        page,
        "<!doctype html><html lang=\"{lang}\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
         <title>{title}</title><style>{STYLE}</style></head><body><main><h1>{title}</h1><p>{token}</p>\
         <p>{machine}: <a href=\"openapi.json\">openapi.json</a> · <a href=\"docs?lang={other}\" lang=\"{other}\">{other_name}</a></p>"
    )
    .ok();
    let mut tag = "";
    for route in api.routes() {
        if route.tag != tag {
            tag = route.tag;
            let heading = match tag {
                "actions" => say("Actions", "Действия"),
                "notifications" => say("Notifications", "Оповещения"),
                _ => say("Calls", "Звонки"),
            };
            write!(page, "<h2 id=\"{tag}\">{heading}</h2>").ok();
        }
        section(&mut page, route, is_russian);
    }
    page.push_str("</main></body></html>");
    page
}

fn section(page: &mut String, route: &Route, is_russian: bool) {
    let (name, verb, path) = (route.name, route.method.to_ascii_uppercase(), escaped(route.path));
    let text = escaped(if is_russian { route.ru } else { route.en });
    write!(page, "<h3 id=\"{name}\"><code>{verb} {path}</code></h3><p>{text}</p>").ok();
    let fields: Vec<_> = route.query.iter().chain(route.headers()).chain(route.body).collect();
    if fields.is_empty() {
        return;
    }
    page.push_str("<table><tbody>");
    for field in fields {
        row(page, field, is_russian);
    }
    page.push_str("</tbody></table>");
}

fn row(page: &mut String, field: &Field, is_russian: bool) {
    let say = |en, ru| if is_russian { ru } else { en };
    let text = escaped(if is_russian { field.ru } else { field.en });
    let class = if field.is_needed { " class=\"needed\"" } else { "" };
    let needed = if field.is_needed { say("needed: ", "нужно: ") } else { "" };
    let kind = match field.kind {
        Kind::Text => say("text", "строка").to_owned(),
        Kind::Flag => say("true or false", "true или false").to_owned(),
        Kind::Integer | Kind::Number => say("number", "число").to_owned(),
        Kind::Named => say("text or number", "строка или число").to_owned(),
        Kind::Names => say("list", "список").to_owned(),
        Kind::Files => say("list of {title, url}", "список {title, url}").to_owned(),
        Kind::Object => say("object", "объект").to_owned(),
        Kind::Any => say("text, number or object", "строка, число или объект").to_owned(),
        Kind::Word(words) => words.join(say(" or ", " или ")),
    };
    let name = field.name;
    write!(page, "<tr><td><code{class}>{name}</code></td><td>{needed}{kind}</td><td>{text}</td></tr>").ok();
}
