//! Authorization: a proof that somebody else gives of knowing our password (RFC 3261 section 20.7, RFC 7616 section 3.4).

use subtle::ConstantTimeEq as _;

use super::digest::{Algorithm, Credentials, expected};
use super::{Challenge, Parameters};

/// Such a value, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Authorization {
    user: String,
    realm: String,
    pub(crate) nonce: String,
    /// The address that it proves to call.
    pub(crate) uri: String,
    response: String,
    pub(crate) algorithm: Algorithm,
    /// Count and cnonce as written; none is a proof as of RFC 2069.
    quality: Option<(String, String)>,
}

impl Authorization {
    /// Reads a value; `None` for another scheme and for what cannot be checked.
    pub(crate) fn parse(value: &str) -> Option<Self> {
        let parameters = Challenge::parameters(value)?;
        let text = |name: &str| Some(parameters.value(name)?.to_owned());
        let algorithm = match parameters.value("algorithm") {
            Some(named) => Algorithm::parse(named)?,
            None => Algorithm::Md5,
        };
        let quality = match parameters.value("qop") {
            Some(quality) if quality.eq_ignore_ascii_case("auth") => Some((text("nc")?, text("cnonce")?)),
            Some(_) => return None,
            None => None,
        };
        Some(Self {
            user: text("username")?,
            realm: text("realm")?,
            nonce: text("nonce")?,
            uri: text("uri")?,
            response: text("response")?.to_ascii_lowercase(),
            algorithm,
            quality,
        })
    }

    /// How often its sender says to have used the nonce; none for a proof as of RFC 2069.
    pub(crate) fn count(&self) -> Option<u32> {
        let (count, _) = self.quality.as_ref()?;
        Some(u32::from_str_radix(count, 16).unwrap_or(0))
    }

    /// Whether it proves that its sender knows the password, whatever its nonce is worth. Takes as long for a wrong one
    /// as for a right one.
    pub(crate) fn is_right(&self, credentials: &Credentials, realm: &str, method: &str) -> bool {
        let quality = self.quality.as_ref().map(|(count, cnonce)| (count.as_str(), cnonce.as_str()));
        let wanted = expected(self.algorithm, credentials, realm, &self.nonce, quality, method, &self.uri);
        let same = |ours: &str, theirs: &str| bool::from(ours.as_bytes().ct_eq(theirs.as_bytes()));
        same(&wanted, &self.response) & same(&credentials.user, &self.user) & (self.realm == realm)
    }
}

/// The WWW-Authenticate value that asks for one.
pub(crate) fn challenge(algorithm: Algorithm, realm: &str, nonce: &str, stale: bool) -> String {
    let stale = if stale { ", stale=true" } else { "" };
    let name = algorithm.as_str();
    format!("Digest realm=\"{realm}\", nonce=\"{nonce}\", algorithm={name}, qop=\"auth\"{stale}")
}

impl Challenge {
    /// What follows the scheme; `None` for another one.
    pub(super) fn parameters(value: &str) -> Option<Parameters> {
        let (scheme, parameters) = value.trim().split_once(|c: char| c.is_ascii_whitespace())?;
        scheme.eq_ignore_ascii_case("Digest").then(|| Parameters::parse_list(parameters))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proof_of_ours_is_right_and_with_anything_changed_it_is_not() {
        let credentials = Credentials { user: "pbx".to_owned(), password: "a word".to_owned() };
        for algorithm in [Algorithm::Sha256, Algorithm::Md5] {
            let asked = challenge(algorithm, "tgtrunk", "n1", false);
            let asked = Challenge::strongest([asked.as_str()].into_iter()).unwrap();
            let answer = asked.answer(&credentials, "INVITE", "sip:a@b", 10, "c");
            let is_right = |answer: &str, method: &str| {
                let proof = Authorization::parse(answer).unwrap();
                proof.is_right(&credentials, "tgtrunk", method)
            };
            assert!(is_right(&answer, "INVITE"));
            assert_eq!(Authorization::parse(&answer).unwrap().count(), Some(10));
            assert!(!is_right(&answer, "BYE"));
            for (part, other) in
                [("pbx", "pbz"), ("n1", "n2"), ("sip:a@b", "sip:x@b"), ("nc=0", "nc=1"), ("\"c\"", "\"d\"")]
            {
                assert!(!is_right(&answer.replace(part, other), "INVITE"), "{part}");
            }
        }
    }

    #[test]
    fn what_cannot_be_checked_is_no_proof() {
        let whole = "Digest username=\"u\", realm=\"r\", nonce=\"n\", uri=\"sip:a@b\", response=\"0\"";
        assert_eq!(Authorization::parse(whole).unwrap().count(), None, "as of RFC 2069");
        for wrong in [
            "",
            "Basic dTpw",
            "Digest",
            "Digest username=\"u\"",
            &format!("{whole}, algorithm=SHA-512-256"),
            &format!("{whole}, qop=auth-int, nc=00000001, cnonce=\"c\""),
            &format!("{whole}, qop=auth"),
        ] {
            assert_eq!(Authorization::parse(wrong), None, "{wrong}");
        }
    }
}
