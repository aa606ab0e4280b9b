//! A proof of a password by hand (RFC 7616), for guests who know it and for those who guess.

use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};

/// What a line asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Challenge {
    pub(super) realm: String,
    pub(super) nonce: String,
    pub(super) algorithm: String,
}

impl Challenge {
    /// What a WWW-Authenticate header says.
    pub(super) fn read(value: &str) -> Option<Self> {
        let word = |name: &str| {
            let (_, rest) = value.split_once(&format!("{name}="))?;
            let rest = rest.strip_prefix('"').unwrap_or(rest);
            Some(rest.split(['"', ',']).next()?.to_owned())
        };
        Some(Self { realm: word("realm")?, nonce: word("nonce")?, algorithm: word("algorithm")? })
    }

    /// The Authorization that proves to know a password, by SHA-256.
    pub(super) fn proof(&self, user: &str, password: &str, method: &str, uri: &str, count: u32) -> String {
        let Self { realm, nonce, .. } = self;
        let (nc, cnonce) = (format!("{count:08x}"), "c0ffee");
        let secret = hash(&format!("{user}:{realm}:{password}"));
        let asked = hash(&format!("{method}:{uri}"));
        let response = hash(&format!("{secret}:{nonce}:{nc}:{cnonce}:auth:{asked}"));
        format!(
            "Authorization: Digest username=\"{user}\", realm=\"{realm}\", nonce=\"{nonce}\", uri=\"{uri}\", \
             response=\"{response}\", algorithm=SHA-256, qop=auth, nc={nc}, cnonce=\"{cnonce}\"\r\n"
        )
    }
}

fn hash(text: &str) -> String {
    Sha256::digest(text.as_bytes()).iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").ok();
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_proof_is_that_of_rfc_7616_section_3_9_1() {
        // Its nonce, count and method; the nonce of the client is ours, so that only the way there is compared.
        let challenge = Challenge::read(
            "Digest realm=\"http-auth@example.org\", nonce=\"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v\", \
             algorithm=SHA-256, qop=\"auth\"",
        );
        let challenge = challenge.unwrap();
        assert_eq!(challenge.algorithm, "SHA-256");
        let secret = hash("Mufasa:http-auth@example.org:Circle of Life");
        assert_eq!(secret, "7987c64c30e25f1b74be53f966b49b90f2808aa92faf9a00262392d7b4794232");
        let proof = challenge.proof("Mufasa", "Circle of Life", "GET", "/dir/index.html", 1);
        assert!(proof.contains("nc=00000001, cnonce=\"c0ffee\""), "{proof}");
    }
}
