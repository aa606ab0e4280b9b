//! What surrounds every page: its head, its way around, what is wrong with the installation.

use maud::{DOCTYPE, Markup, html};
use tgtrunk_config::Language;

use crate::page::assets;
use crate::page::model::{Frame, Theme};
use crate::page::view::form::hidden;
use crate::page::view::icons::{self, Icon};
use crate::page::view::words::sentence;

/// A place of the main way around.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Lines,
    Calls,
    Messages,
    Bots,
    Access,
    System,
}

/// A whole page. `live` is false where no events are wanted: nobody is logged in, or nothing changes.
pub(crate) fn page(frame: &Frame, place: Place, title: &str, main: Markup) -> Markup {
    let body = html! {
        (header(frame, place))
        main #main tabindex="-1" {
            (alerts(frame))
            (notice(frame))
            (main)
        }
        (confirm(frame))
    };
    document(frame, title, true, body)
}

/// A page without a way around: the door, and errors.
pub(crate) fn bare(frame: &Frame, title: &str, main: Markup) -> Markup {
    let body = html! {
        main.bare #main tabindex="-1" {
            p.brand { "tgtrunk" }
            (main)
            (preferences(frame))
        }
    };
    document(frame, title, false, body)
}

/// What is wrong with the whole installation.
pub(crate) fn alerts(frame: &Frame) -> Markup {
    html! {
        div #alerts role="status" aria-live="polite" {
            @for alert in &frame.alerts {
                div.banner {
                    (Icon::Bad.draw())
                    p { (sentence(frame.said(&alert.said))) }
                    @if let Some((path, words)) = &alert.fix {
                        a.button href=(path) { (frame.said(words)) }
                    }
                }
            }
        }
    }
}

fn document(frame: &Frame, title: &str, is_live: bool, body: Markup) -> Markup {
    let version = assets::version();
    let asset = |name: &str| format!("/assets/{name}?v={version}");
    html! {
        (DOCTYPE)
        html lang=(frame.language.as_str()) data-theme=(frame.theme.word()) data-now=(frame.now_ms)
            data-csrf=(frame.csrf) data-live=[is_live.then_some("on")]
            data-lost=(frame.say("нет связи", "no connection")) {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content=(color_scheme(frame.theme));
                meta name="referrer" content="same-origin";
                title { (title) " · tgtrunk" }
                link rel="icon" href=(asset("icon.svg")) type="image/svg+xml";
                link rel="stylesheet" href=(asset("app.css"));
                script src=(asset("app.js")) defer {}
            }
            body {
                a.skip href="#main" { (frame.say("К содержанию", "Skip to content")) }
                (icons::sheet())
                (body)
                div #lost.banner role="alert" hidden {
                    (Icon::Waiting.draw())
                    p { (frame.say(
                        "Нет связи с tgtrunk-client: то, что видно здесь, могло устареть. Страница подключается снова сама.",
                        "No connection to tgtrunk-client: what you see may be out of date. The page reconnects by itself.",
                    )) }
                }
                div #toasts role="status" aria-live="polite" {}
            }
        }
    }
}

fn color_scheme(theme: Theme) -> &'static str {
    match theme {
        Theme::Auto => "light dark",
        Theme::Light => "light",
        Theme::Dark => "dark",
    }
}

fn header(frame: &Frame, place: Place) -> Markup {
    let places = [
        (Place::Lines, "/", frame.say("Линии", "Lines")),
        (Place::Calls, "/calls", frame.say("Звонки", "Calls")),
        (Place::Messages, "/messages", frame.say("Сообщения", "Messages")),
        (Place::Bots, "/bots", frame.say("Боты", "Bots")),
        (Place::Access, "/access", frame.say("Доступ", "Access")),
        (Place::System, "/system", frame.say("Система", "System")),
    ];
    html! {
        header.top {
            a.brand href="/" { "tgtrunk" }
            nav aria-label=(frame.say("Разделы", "Sections")) {
                @for (at, path, name) in places {
                    a href=(path) aria-current=[(at == place).then_some("page")] { (name) }
                }
            }
            details.menu {
                summary aria-label=(frame.say("Язык, оформление, выход", "Language, theme, log out")) {
                    (Icon::Adjust.draw())
                }
                div.panel {
                    (preferences(frame))
                    form method="post" action="/logout" data-plain {
                        (hidden(frame))
                        button.item { (frame.say("Выйти со страницы", "Leave the page")) }
                    }
                }
            }
        }
    }
}

/// Language and theme.
pub(crate) fn preferences(frame: &Frame) -> Markup {
    let themes = [
        (Theme::Auto, frame.say("Авто", "Auto")),
        (Theme::Light, frame.say("Светлая", "Light")),
        (Theme::Dark, frame.say("Тёмная", "Dark")),
    ];
    let languages = [(Language::Russian, "Русский"), (Language::English, "English")];
    html! {
        div.preferences {
            form method="post" action="/language" data-plain {
                (hidden(frame))
                div.segments role="group" aria-label=(frame.say("Язык", "Language")) {
                    @for (language, name) in languages {
                        button name="language" value=(language.as_str()) lang=(language.as_str())
                            aria-pressed=(language == frame.language) { (name) }
                    }
                }
            }
            form method="post" action="/theme" data-plain {
                (hidden(frame))
                div.segments role="group" aria-label=(frame.say("Оформление", "Theme")) {
                    @for (theme, name) in themes {
                        button name="theme" value=(theme.word()) aria-pressed=(theme == frame.theme) { (name) }
                    }
                }
            }
        }
    }
}

fn notice(frame: &Frame) -> Markup {
    html! {
        @if let Some(notice) = &frame.notice {
            div.notice.bad[!notice.is_good] role="status" {
                (if notice.is_good { Icon::Good } else { Icon::Bad }.draw())
                p { (sentence(frame.said(&notice.said))) }
            }
        }
    }
}

/// The one dialog that asks before something is done that cannot be undone. A form or a link that wants it carries
/// `data-confirm` (the question), `data-more` (what follows), `data-yes` (the button) and `data-type` (what to type).
fn confirm(frame: &Frame) -> Markup {
    html! {
        dialog #confirm aria-labelledby="confirm-title" {
            form method="post" {
                (hidden(frame))
                h2 #confirm-title {}
                p.more {}
                div.field.typed hidden {
                    label for="confirm-typed" {}
                    input #confirm-typed autocomplete="off" spellcheck="false";
                }
                div.actions {
                    button.quiet type="button" value="no" { (frame.say("Не надо", "Not now")) }
                    button.danger value="yes" {}
                }
            }
        }
    }
}
