//! The page's own icons: strokes on a grid of 24, as wide and as coloured as the text around them.

use maud::{Markup, PreEscaped, html};

/// A drawing of the set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Icon {
    Good,
    Waiting,
    Bad,
    Off,
    Incoming,
    Outgoing,
    Copy,
    More,
    Plus,
    Adjust,
    Key,
    Scan,
    Back,
    Next,
    HangUp,
    Refresh,
    Download,
    Search,
}

const ALL: [Icon; 18] = [
    Icon::Good,
    Icon::Waiting,
    Icon::Bad,
    Icon::Off,
    Icon::Incoming,
    Icon::Outgoing,
    Icon::Copy,
    Icon::More,
    Icon::Plus,
    Icon::Adjust,
    Icon::Key,
    Icon::Scan,
    Icon::Back,
    Icon::Next,
    Icon::HangUp,
    Icon::Refresh,
    Icon::Download,
    Icon::Search,
];

impl Icon {
    fn word(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Waiting => "waiting",
            Self::Bad => "bad",
            Self::Off => "off",
            Self::Incoming => "in",
            Self::Outgoing => "out",
            Self::Copy => "copy",
            Self::More => "more",
            Self::Plus => "plus",
            Self::Adjust => "adjust",
            Self::Key => "key",
            Self::Scan => "scan",
            Self::Back => "back",
            Self::Next => "next",
            Self::HangUp => "hangup",
            Self::Refresh => "refresh",
            Self::Download => "download",
            Self::Search => "search",
        }
    }

    fn strokes(self) -> &'static str {
        match self {
            Self::Good => r#"<circle cx="12" cy="12" r="9.25"/><path d="m7.9 12.3 2.8 2.8 5.4-5.7"/>"#,
            Self::Waiting => {
                r#"<circle cx="12" cy="12" r="9.25" stroke-dasharray="3.9 2.56"/><path d="M12 7.4V12l3.1 2"/>"#
            }
            Self::Bad => {
                r#"<path d="M8.2 2.9h7.6l5.3 5.3v7.6l-5.3 5.3H8.2l-5.3-5.3V8.2z"/><path d="M12 7.6v5.3m0 3.3v.1"/>"#
            }
            Self::Off => r#"<rect x="3.4" y="3.4" width="17.2" height="17.2" rx="3"/><path d="M8.5 12h7"/>"#,
            Self::Incoming => r#"<path d="M18.5 5.5 6 18m0-9v9h9"/>"#,
            Self::Outgoing => r#"<path d="M5.5 18.5 18 6m0 9V6H9"/>"#,
            Self::Copy => {
                r#"<rect x="8.5" y="8.5" width="12" height="12" rx="2.5"/><path d="M15.5 8.5V6A2.5 2.5 0 0 0 13 3.5H6A2.5 2.5 0 0 0 3.5 6v7A2.5 2.5 0 0 0 6 15.5h2.5"/>"#
            }
            Self::More => r#"<path d="M5 12h.01M12 12h.01M19 12h.01" stroke-width="2.6"/>"#,
            Self::Plus => r#"<path d="M12 5v14M5 12h14"/>"#,
            Self::Adjust => {
                r#"<path d="M4 8h9m5 0h2M4 16h2m5 0h9"/><circle cx="15.5" cy="8" r="2.5"/><circle cx="8.5" cy="16" r="2.5"/>"#
            }
            Self::Key => {
                r#"<circle cx="8" cy="15.5" r="4.2"/><path d="m11.2 12.5 8.3-8.3m-3.2 3.2 2.6 2.6"/>"#
            }
            Self::Scan => {
                r#"<path d="M4 9V6a2 2 0 0 1 2-2h3m6 0h3a2 2 0 0 1 2 2v3m0 6v3a2 2 0 0 1-2 2h-3m-6 0H6a2 2 0 0 1-2-2v-3"/><path d="M8.5 8.5h2v2h-2zm5 0h2v2h-2zm-5 5h2v2h-2zm5 0h.01m2 2h.01"/>"#
            }
            Self::Back => r#"<path d="m14.5 5.5-6.5 6.5 6.5 6.5"/>"#,
            Self::Next => r#"<path d="m9.5 5.5 6.5 6.5-6.5 6.5"/>"#,
            Self::HangUp => {
                r#"<path d="M3.2 13.6c-.5-1 .1-2.3 1.2-2.9a16 16 0 0 1 15.2 0c1.1.6 1.7 1.9 1.2 2.9l-.7 1.5c-.4.8-1.3 1.1-2.1.8l-2-.8a1.7 1.7 0 0 1-1.1-1.4l-.1-1a9.7 9.7 0 0 0-5.6 0l-.1 1a1.7 1.7 0 0 1-1.1 1.4l-2 .8c-.8.3-1.7 0-2.1-.8z"/>"#
            }
            Self::Refresh => r#"<path d="M19.5 12a7.5 7.5 0 1 1-2.3-5.4L19.5 9m0-4.5V9H15"/>"#,
            Self::Download => r#"<path d="M12 4v11m-4.5-4.3L12 15.2l4.5-4.5M5 20h14"/>"#,
            Self::Search => r#"<circle cx="10.5" cy="10.5" r="6"/><path d="m15 15 5 5"/>"#,
        }
    }

    /// The icon as a picture beside words that say the same.
    pub(crate) fn draw(self) -> Markup {
        html! { svg.icon aria-hidden="true" { use href={ "#i-" (self.word()) } {} } }
    }
}

/// What all icons of a page refer to.
pub(crate) fn sheet() -> Markup {
    html! {
        svg.sheet aria-hidden="true" width="0" height="0" {
            @for icon in ALL {
                symbol id={ "i-" (icon.word()) } viewBox="0 0 24 24" { (PreEscaped(icon.strokes())) }
            }
        }
    }
}
