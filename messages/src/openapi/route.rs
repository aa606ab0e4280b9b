//! What there is to be called.

/// One method of one address.
#[derive(Debug)]
pub struct Route {
    /// In small letters.
    pub method: &'static str,
    /// With what stands for a part of it in braces.
    pub path: &'static str,
    /// `operationId`.
    pub name: &'static str,
    /// `actions`, `notifications` or `calls`.
    pub tag: &'static str,
    /// What it does, in English.
    pub en: &'static str,
    /// The same in Russian.
    pub ru: &'static str,
    /// What may stand behind `?`.
    pub query: &'static [Field],
    /// The keys of the JSON body.
    pub body: &'static [Field],
}

/// Something that is said.
#[derive(Debug)]
pub struct Field {
    /// Its key.
    pub name: &'static str,
    /// What it is.
    pub kind: Kind,
    /// Whether it must be said.
    pub is_needed: bool,
    /// What it means, in English.
    pub en: &'static str,
    /// The same in Russian.
    pub ru: &'static str,
}

/// What it is.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// A string.
    Text,
    /// True or false.
    Flag,
    /// A whole number.
    Integer,
    /// Any number.
    Number,
    /// A text or a number.
    Named,
    /// Several of them.
    Names,
    /// Titles and URLs.
    Files,
    /// A JSON object.
    Object,
    /// A text, a number or an object.
    Any,
    /// One of these.
    Word(&'static [&'static str]),
}

/// The key of an action may come beside the body, as other APIs take it.
const HEADERS: &[Field] = &[Field::of(
    "Idempotency-Key",
    Kind::Text,
    "the same as idempotency_key, in its place",
    "то же, что idempotency_key, вместо него",
)];

impl Route {
    /// What may stand among the headers.
    #[must_use]
    pub fn headers(&self) -> &'static [Field] {
        if self.tag == "actions" && self.method == "post" { HEADERS } else { &[] }
    }
}

impl Field {
    /// One that may be left out.
    pub const fn of(name: &'static str, kind: Kind, en: &'static str, ru: &'static str) -> Self {
        Self { name, kind, is_needed: false, en, ru }
    }

    /// One that must be said.
    pub const fn needed(name: &'static str, kind: Kind, en: &'static str, ru: &'static str) -> Self {
        Self { name, kind, is_needed: true, en, ru }
    }
}
