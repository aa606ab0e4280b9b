//! Settings as a form, whichever file they are of; and those of a line.

use maud::{Markup, html};

use crate::page::model::{Frame, LineSettingsPage, Typed};
use crate::page::setting::{self, Group, Kind, Setting};
use crate::page::view::form::{self, hidden};
use crate::page::view::line::{Tab, sheet};
use crate::page::view::lines::{self, Grave, path};
use crate::page::view::words::sentence;

/// The page of a line's settings.
pub(crate) fn page(frame: &Frame, page: &LineSettingsPage) -> Markup {
    let card = &page.card;
    let path = path(&card.phone);
    let main = html! {
        form.settings method="post" action={ (path) "/settings" } {
            (hidden(frame))
            @if let Some(problem) = &page.problem { p.problem role="alert" { (sentence(frame.said(problem))) } }
            (groups(frame, setting::LINE, &page.typed))
            (save(frame))
        }
        section.card.grave {
            h2 { (frame.say("Осторожно", "With care")) }
            div.grave-row {
                p { (if card.enabled { frame.say("Линия включена.", "The line is switched on.") } else { frame.say("Линия выключена.", "The line is switched off.") }) }
                (lines::switch(frame, card, ""))
            }
            @for what in [Grave::Reset, Grave::Delete] { (grave(frame, page, what)) }
        }
    };
    sheet(frame, card, Tab::Settings, main)
}

/// Groups of settings; rare ones are folded.
pub(crate) fn groups(frame: &Frame, groups: &[Group], typed: &Typed) -> Markup {
    html! {
        @for group in groups {
            @let is_wrong = group.settings.iter().any(|setting| typed.problem(&setting.name()).is_some());
            details.card.group open[!group.is_rare || is_wrong] {
                summary { h2 { (setting::of(frame.language, group.label)) } }
                div.fields { @for setting in group.settings { (one(frame, setting, typed)) } }
            }
        }
    }
}

/// The button of a form that may be long: it stays in sight.
pub(crate) fn save(frame: &Frame) -> Markup {
    html! {
        div.save {
            button.primary { (frame.say("Сохранить", "Save")) }
            p.muted { (frame.say(
                "Проверяется тем же кодом, что читает файл; комментарии в нём остаются.",
                "Checked by the code that reads the file; comments in it stay.",
            )) }
        }
    }
}

fn one(frame: &Frame, setting: &Setting, typed: &Typed) -> Markup {
    let name = setting.name();
    let label = setting::of(frame.language, setting.label);
    let hint = setting::of(frame.language, setting.hint);
    let is_known = typed.0.contains_key(&name);
    // What is not in the file holds by default, and is shown as what holds.
    let value = if is_known { typed.value(&name) } else { setting.default };
    let described = form::described(&name, hint);
    let invalid = typed.problem(&name).map(|_| "true");
    let input = match setting.kind {
        Kind::Switch => {
            return form::switch(frame, typed, &name, label, hint, value == "true");
        }
        Kind::Choice(choices) => {
            let choices: Vec<(&str, &str)> =
                choices.iter().map(|(word, both)| (*word, setting::of(frame.language, *both))).collect();
            form::select(&name, Some(&described), value, &choices)
        }
        Kind::Number(unit) => html! {
            span.with-unit {
                input id=(form::id(&name)) name=(name) inputmode="numeric" value=(value)
                    aria-describedby=(described) aria-invalid=[invalid] autocomplete="off";
                @let unit = setting::of(frame.language, unit);
                @if !unit.is_empty() { span.unit { (unit) } }
            }
        },
        Kind::Secret => html! {
            input id=(form::id(&name)) name=(name) type="password" autocomplete="off" value=""
                placeholder=(if is_known { "••••••••" } else { "" })
                aria-describedby=(described) aria-invalid=[invalid];
        },
        Kind::Menu => html! {
            textarea id=(form::id(&name)) name=(name) rows=(value.lines().count().clamp(2, 8))
                placeholder=(frame.say("Отдел продаж = 101", "Sales = 101")) aria-describedby=(described) aria-invalid=[invalid] { (value) }
        },
        Kind::Lines => html! {
            textarea id=(form::id(&name)) name=(name) rows=(value.lines().count().clamp(1, 8)) spellcheck="false"
                aria-describedby=(described) aria-invalid=[invalid] { (value) }
        },
        Kind::Text | Kind::Proxy | Kind::List => html! {
            input id=(form::id(&name)) name=(name) value=(value) autocomplete="off" spellcheck="false"
                aria-describedby=(described) aria-invalid=[invalid];
        },
    };
    form::field(frame, typed, &name, label, hint, input)
}

/// Something that is done only when the number is typed again.
fn grave(frame: &Frame, page: &LineSettingsPage, what: Grave) -> Markup {
    let phone = &page.card.phone;
    let id = format!("{}-phone", what.word());
    html! {
        form.grave-row id=(what.word()) method="post" action={ (path(phone)) "/" (what.word()) } {
            (hidden(frame))
            div {
                p { (what.consequence(frame)) }
                label for=(id) { (frame.say("Чтобы подтвердить, введите ", "To confirm, type ")) (phone) }
                input id=(id) name="phone" required autocomplete="off" spellcheck="false" inputmode="tel";
            }
            button.danger { (what.button(frame)) }
        }
    }
}

#[cfg(test)]
mod tests {
    use tgtrunk_config::Language;

    use super::*;
    use crate::page::view::samples;

    #[test]
    fn what_is_not_in_the_file_is_shown_as_it_holds() {
        let frame = samples::frame(Language::English);
        let shown = groups(&frame, setting::LINE, &Typed::default()).into_string();
        for wanted in [
            r#"name="ring_limit_s" inputmode="numeric" value="90""#,
            r#"name="codecs" value="opus, g722, pcma, pcmu, l16""#,
            r#"<option value="auto" selected>"#,
        ] {
            assert!(shown.contains(wanted), "no {wanted} in {shown}");
        }
    }
}
