//! Names that nobody can guess: tags, branches, Call-IDs (RFC 3261 section 19.3), drawn from the seed we were given.

use sha2::{Digest, Sha256};

use crate::sdes::{SDES_KEY_BYTES, SdesKey};

/// The line's source of names. Equal seeds give equal names in equal order.
#[derive(Debug)]
pub(crate) struct Tokens {
    seed: [u8; 32],
    drawn: u64,
}

impl Tokens {
    pub(crate) fn new(seed: [u8; 32]) -> Self {
        Self { seed, drawn: 0 }
    }

    /// 80 bits nobody saw before, as text.
    pub(crate) fn token(&mut self) -> String {
        let number = self.drawn.to_be_bytes();
        self.drawn += 1;
        self.hash(&[b"drawn", &number])
    }

    /// A key that nobody saw before.
    pub(crate) fn key(&mut self) -> SdesKey {
        let number = self.drawn.to_be_bytes();
        self.drawn += 1;
        let mut key = [0; SDES_KEY_BYTES];
        key.copy_from_slice(&self.digest(&[b"key", &number])[..SDES_KEY_BYTES]);
        SdesKey(key)
    }

    /// A branch for a new transaction, with the cookie of RFC 3261 section 8.1.1.7.
    pub(crate) fn branch(&mut self) -> String {
        format!("z9hG4bK{}", self.token())
    }

    /// A number for `o=`, below 2^53 so that every peer can hold it.
    pub(crate) fn number(&mut self) -> u64 {
        u64::from_str_radix(&self.token()[..13], 16).unwrap_or(self.drawn)
    }

    /// A number in a range that is not empty.
    pub(crate) fn within(&mut self, range: std::ops::Range<u64>) -> u64 {
        range.start + self.number() % (range.end - range.start).max(1)
    }

    /// A number in a range that is not empty: always the same for the same name, and another one on another line.
    pub(crate) fn number_for(&self, name: &str, range: std::ops::Range<u64>) -> u64 {
        let drawn = u64::from(self.digest(&[b"number", name.as_bytes()])[0]);
        range.start + drawn % (range.end - range.start).max(1)
    }

    /// The tag of an answer that is given and forgotten: the same request gets the same (RFC 3261 section 8.2.7).
    pub(crate) fn tag_for(&self, request: &[&str]) -> String {
        let mut parts = vec![&b"tag"[..]];
        parts.extend(request.iter().map(|part| part.as_bytes()));
        self.hash(&parts)
    }

    fn hash(&self, parts: &[&[u8]]) -> String {
        self.digest(parts).iter().take(10).map(|byte| format!("{byte:02x}")).collect()
    }

    fn digest(&self, parts: &[&[u8]]) -> [u8; 32] {
        let mut hasher = Sha256::new_with_prefix(self.seed);
        for part in parts {
            hasher.update((part.len() as u64).to_be_bytes());
            hasher.update(part);
        }
        hasher.finalize().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_differ_and_a_seed_repeats_them() {
        let mut tokens = Tokens::new([1; 32]);
        let drawn: Vec<_> = (0..3).map(|_| tokens.token()).collect();
        assert!(drawn[0] != drawn[1] && drawn[1] != drawn[2] && drawn[0].len() == 20);
        assert_eq!(Tokens::new([1; 32]).token(), drawn[0]);
        assert_ne!(Tokens::new([2; 32]).token(), drawn[0]);
        assert_ne!(tokens.key(), tokens.key());
        assert!(tokens.number() < 1 << 53);
    }

    #[test]
    fn a_forgotten_request_gets_the_same_tag_again() {
        let tokens = Tokens::new([1; 32]);
        assert_eq!(tokens.tag_for(&["a", "b"]), tokens.tag_for(&["a", "b"]));
        assert_ne!(tokens.tag_for(&["a", "b"]), tokens.tag_for(&["ab", ""]));
    }
}
