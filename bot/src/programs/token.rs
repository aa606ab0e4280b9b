//! Tokens that look like Telegram's: `<bot id>:<secret>`. What is kept of them is a hash: a secret of 210 random bits needs
//! no slow one.

use sha2::{Digest as _, Sha256};

/// Length of the secret, as Telegram's have it.
const LETTERS: usize = 35;
const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

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
}
