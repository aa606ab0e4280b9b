//! Tokens that look like Telegram's: `<bot id>:<secret>`. What is kept of them is a hash: a secret of 210 random bits needs
//! no slow one.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use sha2::{Digest as _, Sha256};

/// Length of the secret, as Telegram's have it.
const LETTERS: usize = 35;
const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// How exactly it is kept when a token was used.
const NOTED_MS: u64 = 60_000;

/// When tokens were used, as it was last noted.
#[derive(Default)]
pub(crate) struct Uses(Mutex<BTreeMap<i64, u64>>);

impl Uses {
    /// Whether it is to be noted that a token is used now.
    pub(super) fn is_news(&self, number: i64, now_ms: u64) -> bool {
        let mut noted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_news = noted.get(&number).is_none_or(|at_ms| now_ms.abs_diff(*at_ms) >= NOTED_MS);
        if is_news {
            noted.insert(number, now_ms);
        }
        is_news
    }
}

/// A token out of random bytes.
pub(crate) fn made(bot: &str, random: [u8; LETTERS]) -> String {
    let secret: String = random.iter().map(|byte| char::from(ALPHABET[usize::from(byte & 63)])).collect();
    format!("{bot}:{secret}")
}

/// What is kept of a token.
pub(crate) fn hash(token: &str) -> String {
    hex::encode(Sha256::digest(token.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_one_that_every_library_takes() {
        let token = made("42", std::array::from_fn(|at| u8::try_from(at * 7).unwrap()));
        assert_eq!(token, "42:AHOVcjqx4_GNUbipw3-FMTahov29ELSZgnu");
        assert!(token.parse::<tgtrunk_config::BotToken>().is_ok());
        assert!(hash(&token).len() == 64 && hash(&token) != hash("42:A"));
    }

    #[test]
    fn that_a_token_is_used_is_noted_once_a_minute() {
        let uses = Uses::default();
        let noted = [0, 59_999, 60_000, 60_001, 5].map(|now_ms| uses.is_news(7, 1_000_000 + now_ms));
        assert_eq!(noted, [true, false, true, false, false]);
        assert!(uses.is_news(8, 1_000_001));
    }
}
