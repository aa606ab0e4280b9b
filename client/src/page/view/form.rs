//! Parts of forms: fields with their labels, hints and problems.

use maud::{Markup, html};

use crate::page::model::{Frame, Typed};
use crate::page::view::words::sentence;

/// What every form posts beside its own fields.
pub(crate) fn hidden(frame: &Frame) -> Markup {
    html! {
        input type="hidden" name="csrf" value=(frame.csrf);
        input type="hidden" name="back" value=(frame.path);
    }
}

/// A form of one button.
pub(crate) fn button(frame: &Frame, action: &str, class: &str, words: &str) -> Markup {
    html! {
        form method="post" action=(action) {
            (hidden(frame))
            button class=(class) { (words) }
        }
    }
}

/// The id of a field's input.
pub(crate) fn id(name: &str) -> String {
    format!("f-{}", name.replace('.', "-"))
}

/// A field: its label, its input, what it does and what is wrong with it. The input carries `id(name)` and
/// `aria-describedby=(described(name))`.
pub(crate) fn field(
    frame: &Frame,
    typed: &Typed,
    name: &str,
    label: &str,
    hint: &str,
    input: Markup,
) -> Markup {
    let problem = typed.problem(name);
    html! {
        div.field.wrong[problem.is_some()] {
            label for=(id(name)) { (label) }
            (input)
            (under(frame, typed, name, hint))
        }
    }
}

/// The hint and the problem under an input.
pub(crate) fn under(frame: &Frame, typed: &Typed, name: &str, hint: &str) -> Markup {
    let problem = typed.problem(name);
    html! {
        @if !hint.is_empty() { p.hint id={ (id(name)) "-hint" } { (hint) } }
        p.problem id={ (id(name)) "-problem" } data-problem=(name) hidden[problem.is_none()] {
            @if let Some(problem) = problem { (sentence(frame.said(problem))) }
        }
    }
}

/// The ids of what stands under an input.
pub(crate) fn described(name: &str, hint: &str) -> String {
    let id = id(name);
    if hint.is_empty() { format!("{id}-problem") } else { format!("{id}-hint {id}-problem") }
}

/// A field of one line of text.
pub(crate) fn text(frame: &Frame, typed: &Typed, name: &str, label: &str, hint: &str, more: Input) -> Markup {
    let input = html! {
        input id=(id(name)) name=(name) type=(more.kind) value=(typed.value(name)) placeholder=[more.placeholder]
            autocomplete=(more.autocomplete) inputmode=[more.inputmode] required[more.required]
            aria-describedby=(described(name, hint)) aria-invalid=[typed.problem(name).map(|_| "true")]
            spellcheck="false";
    };
    field(frame, typed, name, label, hint, input)
}

/// What kind of input a field of one line has.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Input {
    /// HTML's word for it.
    pub(crate) kind: &'static str,
    /// What stands there while it is empty.
    pub(crate) placeholder: Option<&'static str>,
    /// Which of a browser's own values it takes.
    pub(crate) autocomplete: &'static str,
    /// Which keys a phone shows.
    pub(crate) inputmode: Option<&'static str>,
    /// Whether it must be filled in.
    pub(crate) required: bool,
}

impl Default for Input {
    fn default() -> Self {
        Self { kind: "text", placeholder: None, autocomplete: "off", inputmode: None, required: false }
    }
}

/// A box with its words; the hidden field before it tells that it was there.
pub(crate) fn switch(frame: &Frame, typed: &Typed, name: &str, label: &str, hint: &str, on: bool) -> Markup {
    html! {
        div.field.wrong[typed.problem(name).is_some()] {
            label.switch {
                input type="hidden" name=(name) value="false";
                input id=(id(name)) type="checkbox" role="switch" name=(name) value="true" checked[on]
                    aria-describedby=(described(name, hint));
                span { (label) }
            }
            (under(frame, typed, name, hint))
        }
    }
}

/// A field whose value is chosen from a list.
pub(crate) fn choice(
    frame: &Frame,
    typed: &Typed,
    name: &str,
    label: &str,
    hint: &str,
    chosen: &str,
    choices: &[(&str, &str)],
) -> Markup {
    let described = described(name, hint);
    field(frame, typed, name, label, hint, select(name, Some(&described), chosen, choices))
}

/// A list to choose from.
pub(crate) fn select(name: &str, described: Option<&str>, chosen: &str, choices: &[(&str, &str)]) -> Markup {
    html! {
        select id=(id(name)) name=(name) aria-describedby=[described] {
            @for (value, words) in choices {
                option value=(value) selected[*value == chosen] { (words) }
            }
        }
    }
}
