//! Secrets that tests plant. Each holds a mark and three letters that say what it is, so that it is found wherever it is to be
//! read, in whichever spelling, by somebody who knows none of them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// In no word and no name of the project. Nine bytes, which are twelve characters of base64.
const MARK: &str = "Stieg1itz";
const KIND_BYTES: usize = 3;

/// `api_hash` of every test: the mark, `App` and more in hexadecimal digits, of which Telegram wants 32.
pub const API_HASH: &str = "53746965673169747a41707001234567";
/// A password of an account, with a space as people's have.
pub const PASSWORD: &str = "correct Stieg1itzPwd";
/// What a line and its PBX prove to each other.
pub const TRUNK_PASSWORD: &str = "a long Stieg1itzSip word";
/// The same in the other direction.
pub const TRUNK_OTHER_PASSWORD: &str = "another Stieg1itzSip word";
/// How a bot's token begins, after its number and the colon.
pub const TOKEN: &str = "AAStieg1itzTok";
/// A key has it at its beginning, in its middle and at its end.
pub const KEY: &[u8; 12] = b"Stieg1itzKey";

/// What the letters say.
const KINDS: [(&str, &str); 5] = [
    ("App", "api_hash"),
    ("Pwd", "an account's password"),
    ("Sip", "a trunk's password"),
    ("Tok", "a bot's token"),
    ("Key", "an account's key"),
];

/// A planted secret that is to be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Which line, from 1.
    pub line: usize,
    pub what: &'static str,
    /// How it is spelled there.
    pub spelled: &'static str,
}

/// Marks in all spellings that programs have for bytes.
#[derive(Debug)]
pub struct Search {
    spelled: Vec<(&'static str, String)>,
}

impl Default for Search {
    fn default() -> Self {
        let hexadecimal = hex::encode(MARK);
        let decimal: Vec<String> = MARK.bytes().map(|byte| byte.to_string()).collect();
        let mut spelled = vec![
            ("as it is", MARK.to_owned()),
            ("in upper hexadecimal digits", hexadecimal.to_uppercase()),
            ("in hexadecimal digits", hexadecimal),
            ("in decimal numbers", decimal.join(", ")),
        ];
        spelled.extend((0..3).map(|before| ("in base64", in_base64(before))));
        Self { spelled }
    }
}

impl Search {
    /// All that is to be read in a text, at most one in each line.
    pub fn all(&self, text: &str) -> Vec<Found> {
        if !self.spelled.iter().any(|(_, mark)| text.contains(mark)) {
            return Vec::new();
        }
        let lines = text.lines().enumerate();
        lines.filter_map(|(at, line)| self.in_line(at + 1, line)).collect()
    }

    fn in_line(&self, line: usize, text: &str) -> Option<Found> {
        let (spelled, after) = self
            .spelled
            .iter()
            .find_map(|(spelled, mark)| Some((*spelled, text.split_once(mark.as_str())?.1)))?;
        let is = |letters: &str| {
            let digits = hex::encode(letters);
            let numbers: Vec<String> = letters.bytes().map(|byte| byte.to_string()).collect();
            after.starts_with(letters)
                || after.get(..2 * KIND_BYTES).is_some_and(|start| start.eq_ignore_ascii_case(&digits))
                || after.trim_start_matches(", ").starts_with(&numbers.join(", "))
        };
        let what = KINDS.iter().find(|(letters, _)| is(letters)).map_or("a planted secret", |(_, what)| what);
        Some(Found { line, what, spelled })
    }
}

/// What is the same whatever stands around the mark, behind so many bytes of another group of three.
fn in_base64(before: usize) -> String {
    let text = STANDARD.encode([&vec![0; before], MARK.as_bytes(), &[0; KIND_BYTES]].concat());
    text[(8 * before).div_ceil(6)..8 * (before + MARK.len()) / 6].to_owned()
}

/// A key of random bytes, marked.
pub(crate) fn mark_key(mut key: [u8; 256]) -> [u8; 256] {
    for at in [0, 128, 256 - KEY.len()] {
        key[at..at + KEY.len()].copy_from_slice(KEY);
    }
    key
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Option<(&'static str, &'static str)> {
        let mut all = Search::default().all(text).into_iter();
        let first = all.next().map(|found| (found.what, found.spelled));
        assert_eq!(all.next(), None);
        first
    }

    #[test]
    fn a_planted_secret_is_found_in_every_spelling() {
        let key = mark_key([7; 256]);
        for (text, wanted) in [
            (format!("hash {API_HASH}"), ("api_hash", "in hexadecimal digits")),
            (API_HASH.to_uppercase(), ("api_hash", "in upper hexadecimal digits")),
            (PASSWORD.to_owned(), ("an account's password", "as it is")),
            (format!("a={TRUNK_PASSWORD:?}"), ("a trunk's password", "as it is")),
            (format!("/bot42:{TOKEN}xyz/getMe"), ("a bot's token", "as it is")),
            (hex::encode(&key[100..200]), ("an account's key", "in hexadecimal digits")),
            (format!("{:?}", &key[126..150]), ("an account's key", "in decimal numbers")),
            (STANDARD.encode(key), ("a planted secret", "in base64")),
            (STANDARD.encode(&key[127..]), ("a planted secret", "in base64")),
            (STANDARD.encode(&key[126..]), ("a planted secret", "in base64")),
            (String::from_utf8_lossy(&key).into_owned(), ("an account's key", "as it is")),
        ] {
            assert_eq!(found(&text), Some(wanted), "{text}");
        }
        assert_eq!(found("a goldfinch is a Stieglitz, 53746965673169747"), None);
        let lines = format!("one\n{PASSWORD}\nthree\n{API_HASH}\n");
        let lines: Vec<usize> = Search::default().all(&lines).iter().map(|found| found.line).collect();
        assert_eq!(lines, [2, 4]);
    }

    #[test]
    fn a_hash_has_the_form_that_telegram_gives() {
        assert_eq!(hex::decode(API_HASH).unwrap()[..12], *b"Stieg1itzApp");
    }
}
