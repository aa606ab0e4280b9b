//! What a program proves itself with. It is shown once; what is kept is its hash.

use std::fmt;

use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

/// A token, 50 hexadecimal digits, a partner's with `gac.` before them. It has no `Debug` that shows it.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

impl Token {
    /// A new one, which nobody guesses.
    #[must_use]
    pub fn new() -> Self {
        Self(hex::encode(crate::clock::random::<25>()))
    }

    /// A new one for a partner, which begins as GREEN-API's do.
    #[must_use]
    pub fn of_partner() -> Self {
        Self(format!("gac.{}", Self::new().0))
    }

    /// Whether `said` is the token of which `kept` is the hash.
    #[must_use]
    pub fn is_of(said: &str, kept: &str) -> bool {
        is_token(said, kept)
    }

    /// The token, to be shown to whom it is for.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// What is kept of it. The token has 200 bits of chance, so that a plain hash cannot be searched.
    #[must_use]
    pub fn hash(&self) -> String {
        hash(&self.0)
    }
}

impl Default for Token {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

/// Whether `said` is the token of which `kept` is the hash.
pub(crate) fn is_token(said: &str, kept: &str) -> bool {
    hash(said).as_bytes().ct_eq(kept.as_bytes()).into()
}

fn hash(token: &str) -> String {
    hex::encode(Sha256::digest(token))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_known_by_its_hash_alone() {
        let token = Token::new();
        assert_eq!(token.reveal().len(), 50);
        assert!(is_token(token.reveal(), &token.hash()));
        assert!(!is_token(Token::new().reveal(), &token.hash()));
        assert!(!format!("{token:?}").contains(token.reveal()));
    }
}
