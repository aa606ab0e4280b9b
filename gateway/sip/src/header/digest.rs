//! Digest: proving to know a password without saying it (RFC 3261 section 22, RFC 8760, RFC 7616).

use std::fmt::Write as _;

use md5::Md5;
use sha2::Sha256;

use crate::text::quoted;

/// A user and password that a challenge is answered with.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// User name, as the PBX knows the line.
    pub user: String,
    /// Password.
    pub password: String,
}

/// Without the password.
impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials").field("user", &self.user).finish_non_exhaustive()
    }
}

/// How passwords and requests are hashed, the weaker first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Algorithm {
    Md5,
    Sha256,
}

impl Algorithm {
    pub(super) fn parse(text: &str) -> Option<Self> {
        let known = [Self::Md5, Self::Sha256];
        known.into_iter().find(|algorithm| algorithm.as_str().eq_ignore_ascii_case(text))
    }

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Md5 => "MD5",
            Self::Sha256 => "SHA-256",
        }
    }

    /// Hexadecimal digits of the hash of the parts with colons between them.
    pub(super) fn hash(self, parts: &[&str]) -> String {
        let text = parts.join(":");
        let hash = match self {
            Self::Md5 => <Md5 as md5::Digest>::digest(text.as_bytes()).to_vec(),
            Self::Sha256 => <Sha256 as sha2::Digest>::digest(text.as_bytes()).to_vec(),
        };
        hash.iter().fold(String::with_capacity(64), |mut hex, byte| {
            let _ = write!(hex, "{byte:02x}");
            hex
        })
    }
}

/// A WWW-Authenticate or Proxy-Authenticate value that can be answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Challenge {
    realm: String,
    nonce: String,
    opaque: Option<String>,
    /// As named; none means MD5.
    named: Option<Algorithm>,
    /// Whether `auth` is among the qualities of protection; a challenge without any is one of RFC 2069.
    qop: bool,
    /// Whether the proof before was right and only its nonce too old.
    stale: bool,
}

impl Challenge {
    /// The strongest that can be answered; of equals the first, as its sender prefers it (RFC 8760 section 2.4 leaves the
    /// choice to the policy of whoever answers).
    pub(crate) fn strongest<'a>(values: impl Iterator<Item = &'a str>) -> Option<Self> {
        let known = values.filter_map(Self::parse);
        known.reduce(|best, other| if other.algorithm() > best.algorithm() { other } else { best })
    }

    fn algorithm(&self) -> Algorithm {
        self.named.unwrap_or(Algorithm::Md5)
    }

    /// Whether the proof before was right and only its nonce too old.
    pub(crate) fn is_stale(&self) -> bool {
        self.stale
    }

    /// What it guards.
    pub(crate) fn realm(&self) -> &str {
        &self.realm
    }

    fn parse(value: &str) -> Option<Self> {
        let parameters = Self::parameters(value)?;
        let named = match parameters.value("algorithm") {
            Some(algorithm) => Some(Algorithm::parse(algorithm)?),
            None => None,
        };
        let qop = match parameters.value("qop") {
            Some(list) => {
                list.split(',').any(|quality| quality.trim().eq_ignore_ascii_case("auth")).then_some(true)?
            }
            None => false,
        };
        Some(Self {
            realm: parameters.value("realm")?.to_owned(),
            nonce: parameters.value("nonce")?.to_owned(),
            opaque: parameters.value("opaque").map(str::to_owned),
            named,
            qop,
            stale: parameters.value("stale").is_some_and(|stale| stale.eq_ignore_ascii_case("true")),
        })
    }

    /// The Authorization or Proxy-Authorization value for a request (RFC 7616 section 3.4). `count` says how often the
    /// nonce has been used by then, `cnonce` is a name that nobody saw before.
    pub(crate) fn answer(
        &self,
        credentials: &Credentials,
        method: &str,
        uri: &str,
        count: u32,
        cnonce: &str,
    ) -> String {
        let count = format!("{count:08x}");
        let quality = self.qop.then_some((count.as_str(), cnonce));
        let response =
            expected(self.algorithm(), credentials, &self.realm, &self.nonce, quality, method, uri);
        let mut value = format!(
            "Digest username={}, realm={}, nonce={}, uri={}, response=\"{response}\"",
            quoted(&credentials.user),
            quoted(&self.realm),
            quoted(&self.nonce),
            quoted(uri)
        );
        if let Some(named) = self.named {
            let _ = write!(value, ", algorithm={}", named.as_str());
        }
        if let Some(opaque) = &self.opaque {
            let _ = write!(value, ", opaque={}", quoted(opaque));
        }
        if self.qop {
            let _ = write!(value, ", qop=auth, nc={count}, cnonce={}", quoted(cnonce));
        }
        value
    }
}

/// What a proof says of a request by those who know the password (RFC 7616 section 3.4.1). `quality` is the count and
/// the cnonce of `qop=auth`; without it the proof is one of RFC 2069.
pub(super) fn expected(
    algorithm: Algorithm,
    credentials: &Credentials,
    realm: &str,
    nonce: &str,
    quality: Option<(&str, &str)>,
    method: &str,
    uri: &str,
) -> String {
    let secret = algorithm.hash(&[&credentials.user, realm, &credentials.password]);
    let request = algorithm.hash(&[method, uri]);
    match quality {
        Some((count, cnonce)) => algorithm.hash(&[&secret, nonce, count, cnonce, "auth", &request]),
        None => algorithm.hash(&[&secret, nonce, &request]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_rfc_7616_section_3_9_1_is_answered_as_there() {
        let credentials = Credentials { user: "Mufasa".to_owned(), password: "Circle of Life".to_owned() };
        let challenge = |algorithm: &str| {
            format!(
                "Digest realm=\"http-auth@example.org\", qop=\"auth, auth-int\", algorithm={algorithm}, \
                 nonce=\"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v\", opaque=\"FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS\""
            )
        };
        let cnonce = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ";
        for (algorithm, response) in [
            ("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
            ("SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
        ] {
            let value = challenge(algorithm);
            let challenge = Challenge::strongest([value.as_str()].into_iter()).unwrap();
            let answer = challenge.answer(&credentials, "GET", "/dir/index.html", 1, cnonce);
            assert!(
                answer.contains(&format!("response=\"{response}\", algorithm={algorithm}, ")),
                "{answer}"
            );
            assert!(answer.ends_with(&format!("qop=auth, nc=00000001, cnonce=\"{cnonce}\"")), "{answer}");
        }
    }

    #[test]
    fn the_strongest_challenge_that_can_be_answered_is_taken_and_of_equals_the_first() {
        let first = |values: &[&str]| Challenge::strongest(values.iter().copied()).map(|found| found.realm);
        let unknown = "Digest realm=\"a\", nonce=\"1\", algorithm=SHA-512-256";
        let sha = "digest realm=\"b\",nonce=\"1\",algorithm=sha-256,qop=auth";
        let md5 = "Digest realm=\"c\", nonce=\"1\"";
        assert_eq!(first(&[unknown, sha, md5]).as_deref(), Some("b"));
        assert_eq!(first(&[md5, sha]).as_deref(), Some("b"));
        assert_eq!(first(&[md5, "Digest realm=\"d\", nonce=\"1\", algorithm=MD5"]).as_deref(), Some("c"));
        for wrong in [
            unknown,
            "Basic realm=\"x\"",
            "Digest",
            "Digest realm=\"x\"",
            "",
            "Digest realm=\"x\", nonce=\"1\", qop=\"auth-int\"",
        ] {
            assert_eq!(first(&[wrong]), None, "{wrong}");
        }
    }

    #[test]
    fn a_password_is_not_told_and_quotes_cannot_leave_their_place() {
        let credentials = Credentials { user: "a\"b".to_owned(), password: "secret".to_owned() };
        assert!(!format!("{credentials:?}").contains("secret"));
        let challenge = Challenge::strongest(["Digest realm=\"x\\\"y\", nonce=\"1\""].into_iter()).unwrap();
        let answer = challenge.answer(&credentials, "INVITE", "sip:a@b", 1, "c");
        assert!(
            answer.starts_with("Digest username=\"a\\\"b\", realm=\"x\\\"y\", nonce=\"1\", uri=\"sip:a@b\"")
        );
        assert!(!answer.contains("qop") && !answer.contains("algorithm"), "{answer}");
    }
}
