//! What there is to be called, in the order in which people read it.

mod actions;
mod calls;
mod notifications;

/// What may be called.
pub(super) struct Route {
    /// In small letters.
    pub(super) method: &'static str,
    pub(super) path: &'static str,
    pub(super) name: &'static str,
    pub(super) tag: &'static str,
    pub(super) en: &'static str,
    pub(super) ru: &'static str,
    pub(super) query: &'static [Field],
    pub(super) body: &'static [Field],
}

/// Something that is said.
pub(super) struct Field {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) is_needed: bool,
    pub(super) en: &'static str,
    pub(super) ru: &'static str,
}

/// What it is.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    Text,
    Flag,
    Integer,
    Number,
    /// A text or a number.
    Named,
    /// Several of them.
    Names,
    Files,
    Object,
    Any,
    /// One of these.
    Word(&'static [&'static str]),
}

impl Field {
    const fn of(name: &'static str, kind: Kind, en: &'static str, ru: &'static str) -> Self {
        Self { name, kind, is_needed: false, en, ru }
    }

    const fn needed(name: &'static str, kind: Kind, en: &'static str, ru: &'static str) -> Self {
        Self { name, kind, is_needed: true, en, ru }
    }
}

/// All of them.
pub(super) fn routes() -> impl Iterator<Item = &'static Route> {
    actions::ROUTES.iter().chain(notifications::ROUTES).chain(calls::ROUTES)
}
