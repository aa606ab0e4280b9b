//! A texts.toml of anybody: it is taken, and every text can be said to people with any names, or every mistake is named.

use std::path::Path;

use tgtrunk_config::{Language, TextKey, Texts, Words};

/// Reads the bytes as a line's texts, and says each to somebody whose name is what stands behind the last zero.
pub fn take(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let (text, name) = text.rsplit_once('\0').unwrap_or((&text, "Anna"));
    match Texts::parse(text, Path::new("texts.toml")) {
        Ok(texts) => {
            let words = Words { company: name.to_owned(), name: name.to_owned(), ..Words::default() };
            for language in Language::ALL {
                for key in TextKey::ALL {
                    let said = texts.say(key, language, &words);
                    assert!(said.encode_utf16().count() <= 4096, "{said}");
                }
            }
        }
        Err(problems) => {
            assert!(!problems.is_empty());
            for problem in problems {
                assert!(problem.to_string().starts_with("texts.toml"), "{problem}");
            }
        }
    }
}
