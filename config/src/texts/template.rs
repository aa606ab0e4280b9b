//! A text with places in it: `{name}` is one, `{{` and `}}` are braces.

use crate::texts::{TextKey, Words};

/// A part of a template.
enum Piece<'t> {
    Plain(&'t str),
    Place(&'t str),
    /// A brace that opens and does not close.
    Open,
}

/// Whether a text may be said under `key`.
///
/// # Errors
/// What is wrong with it, and what is wanted instead.
pub(crate) fn check(text: &str, key: TextKey) -> Result<(), (String, String)> {
    let places: Vec<String> = key.places().iter().map(|place| format!("{{{place}}}")).collect();
    let places = || format!("no other places than {} (and {{{{ for a brace)", places.join(", "));
    let mut length = 0;
    for piece in pieces(text) {
        match piece {
            Piece::Plain(plain) => length += units(plain),
            Piece::Place(place) if key.places().contains(&place) => {}
            Piece::Place(place) => {
                let shown: String = place.chars().take(40).collect();
                return Err((format!("…{{{shown}}}…"), places()));
            }
            Piece::Open => return Err(("…{…".to_owned(), places())),
        }
    }
    if length > key.limit() {
        return Err((format!("({length} characters)"), format!("at most {} characters", key.limit())));
    }
    Ok(())
}

/// The text with its places filled.
pub(crate) fn fill(text: &str, words: &Words) -> String {
    let mut filled = String::new();
    for piece in pieces(text) {
        match piece {
            Piece::Plain(plain) => filled.push_str(plain),
            Piece::Place(place) => filled.push_str(word(place, words)),
            Piece::Open => filled.push('{'),
        }
    }
    filled
}

/// As much of a text as Telegram takes, `limit` being in UTF-16 code units.
pub(crate) fn cut(text: &str, limit: usize) -> String {
    if units(text) <= limit {
        return text.to_owned();
    }
    let mut left = limit - 1;
    let fits = |c: &char| {
        let enough = c.len_utf16() <= left;
        left = left.saturating_sub(c.len_utf16());
        enough
    };
    let mut cut: String = text.chars().take_while(fits).collect();
    cut.truncate(cut.trim_end().len());
    cut.push('…');
    cut
}

fn word<'w>(place: &str, words: &'w Words) -> &'w str {
    match place {
        "company" => &words.company,
        "line" => &words.line,
        "name" => &words.name,
        "time" => &words.time,
        "digits" => &words.digits,
        "key" => &words.key,
        "reason" => &words.reason,
        _ => "",
    }
}

fn pieces(text: &str) -> impl Iterator<Item = Piece<'_>> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let first = rest.chars().next()?;
        let (piece, length) = if rest.starts_with("{{") || rest.starts_with("}}") {
            (Piece::Plain(&rest[..1]), 2)
        } else if first == '{' {
            match rest[1..].split_once(['{', '}', '\n']) {
                Some((place, _)) if rest[1 + place.len()..].starts_with('}') => {
                    (Piece::Place(place), place.len() + 2)
                }
                _ => (Piece::Open, 1),
            }
        } else {
            let after = first.len_utf8();
            let length = rest[after..].find(['{', '}']).map_or(rest.len(), |at| at + after);
            (Piece::Plain(&rest[..length]), length)
        };
        rest = &rest[length..];
        Some(piece)
    })
}

fn units(text: &str) -> usize {
    text.chars().map(char::len_utf16).sum()
}
