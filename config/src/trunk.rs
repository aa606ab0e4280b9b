//! `[trunk]` of `line.toml`: over what a line and its PBX speak, what is encrypted between them, how they prove
//! themselves to each other, and how the line is found.

use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::keys::{self, Section};
use crate::line::is_host_name;
use crate::secret::Password;

/// How a line and its PBX speak.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trunk {
    /// Over what the PBX is called.
    pub transport: Transport,
    /// Whose certificate the PBX may show, with [`Transport::Tls`].
    pub tls_trust: TlsTrust,
    /// Whether audio is encrypted.
    pub srtp: Srtp,
    /// What the line proves to the PBX where that asks.
    pub digest: Option<TrunkLogin>,
    /// What the PBX has to prove before its calls are taken.
    pub auth: Option<TrunkPassword>,
    /// By which hash it proves that.
    pub auth_algorithm: AuthAlgorithm,
    /// Whether the PBX may call from any address; only with [`Trunk::auth`].
    pub any_source: bool,
    /// For how long the line registers at the PBX; not at all without it.
    pub register: Option<Duration>,
    /// What stands for the PBX in addresses of users there, where its own address does not.
    pub domain: Option<String>,
    /// How long one of several addresses of the PBX may leave a call without any answer before the next is tried.
    pub failover: Duration,
}

/// By which hash a PBX proves to know its password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuthAlgorithm {
    /// SHA-256, or MD5 where it does not know that.
    Auto,
    /// SHA-256.
    Sha256,
    /// MD5, for a PBX that knows nothing else and stumbles when it is asked by another one first.
    Md5,
}

/// A user and where their password is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrunkLogin {
    /// User.
    pub user: String,
    /// The password, or where it lies.
    pub secret: TrunkSecret,
}

/// A password, or where it lies.
#[derive(Clone, PartialEq, Eq)]
pub enum TrunkSecret {
    /// Itself.
    Here(Password),
    /// In a file, which is read when the line opens: other programs may not be able to.
    File(PathBuf),
}

/// Without the password.
impl fmt::Debug for TrunkSecret {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Here(_) => out.write_str("Here"),
            Self::File(path) => out.debug_tuple("File").field(path).finish(),
        }
    }
}

/// A user and password between a line and its PBX.
#[derive(Clone, PartialEq, Eq)]
pub struct TrunkPassword {
    /// User.
    pub user: String,
    /// Password.
    pub password: Password,
}

/// Without the password.
impl fmt::Debug for TrunkPassword {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("TrunkPassword").field("user", &self.user).finish_non_exhaustive()
    }
}

/// What carries SIP (RFC 3261 section 18). A line listens to UDP and TCP on its port, or to TLS alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// One message, one datagram.
    Udp,
    /// One connection for many messages.
    Tcp,
    /// The same, encrypted.
    Tls,
}

impl Transport {
    /// The port of an address that names none (RFC 3261 section 19.1.2).
    pub fn default_port(self) -> u16 {
        match self {
            Self::Udp | Self::Tcp => 5060,
            Self::Tls => 5061,
        }
    }
}

/// Whose certificate a PBX may show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TlsTrust {
    /// On this machine anybody's, for nobody can come between; elsewhere as [`TlsTrust::System`].
    Auto,
    /// One for the PBX's name, signed by an authority that this machine trusts.
    System,
    /// One that lies in this file, or is signed by one that does and made for the PBX's name.
    File(PathBuf),
    /// Anybody's: whoever can come between may read and change what is said.
    Any,
}

/// Whether audio is encrypted with keys that SIP carries (SRTP with SDES, RFC 4568).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Srtp {
    /// Never; an offer of nothing else is refused.
    Off,
    /// Where the PBX takes it: our offers name keys beside plain RTP.
    Offer,
    /// Always; an offer of plain RTP is refused.
    Require,
}

/// Linux takes no longer path.
const LONGEST_PATH_BYTES: usize = 4_095;

const WANTED_TRUST: &str =
    r#"one of "auto", "system", "any", or the path of a PEM file, as "/etc/tgtrunk/pbx.pem""#;

/// Takes the section out of `line.toml`. Relative paths in it start at `place`.
pub(crate) fn read(mut section: Section<'_, '_>, place: &Path) -> Trunk {
    let transport = section
        .word("transport", &[("udp", Transport::Udp), ("tcp", Transport::Tcp), ("tls", Transport::Tls)]);
    let tls_trust = section
        .optional("tls_trust", WANTED_TRUST, |value| match keys::text(value)? {
            "auto" => Some(TlsTrust::Auto),
            "system" => Some(TlsTrust::System),
            "any" => Some(TlsTrust::Any),
            path => path.contains(['/', '.']).then(|| TlsTrust::File(place.join(path))),
        })
        .unwrap_or(TlsTrust::Auto);
    let usual = if transport == Transport::Tls { Srtp::Require } else { Srtp::Off };
    let srtp = section.word(
        "srtp",
        &[
            ("auto", None),
            ("off", Some(Srtp::Off)),
            ("offer", Some(Srtp::Offer)),
            ("require", Some(Srtp::Require)),
        ],
    );
    let digest = read_login(&mut section, place);
    // Strangers may guess at this one.
    let auth = read_password(&mut section, ["auth_user", "auth_password"], 8);
    let auth_algorithm = section.word(
        "auth_algorithm",
        &[("auto", AuthAlgorithm::Auto), ("sha-256", AuthAlgorithm::Sha256), ("md5", AuthAlgorithm::Md5)],
    );
    let any_source = section.switch("any_source", false);
    if any_source && auth.is_none() {
        section.clash("any_source", true, "false, or a user and a password in auth_user and auth_password");
    }
    let register = section.switch("register", false);
    let expires = section.seconds("register_expires_s", 600, 60..=86_400);
    let domain = section
        .optional(
            "domain",
            r#"a host name or an IP address, as "pbx.example.org", or "" for none"#,
            |value| {
                keys::or_none(value, |text| {
                    let is_sound = text.parse::<IpAddr>().is_ok() || is_host_name(text);
                    is_sound.then(|| text.to_owned())
                })
            },
        )
        .flatten();
    let failover = section.seconds("failover_s", 4, 1..=30);
    section.finish();
    Trunk {
        transport,
        tls_trust,
        srtp: srtp.unwrap_or(usual),
        digest,
        auth,
        auth_algorithm,
        any_source,
        register: register.then_some(expires),
        domain,
        failover,
    }
}

/// A user and a password, both or none; the password here or in a file.
fn read_login(section: &mut Section<'_, '_>, place: &Path) -> Option<TrunkLogin> {
    let [user_key, password_key, file_key] = ["digest_user", "digest_password", "digest_password_file"];
    let (user, password) = read_both(section, [user_key, password_key], 1);
    let wanted = r#"the path of a file with the password, as "/etc/tgtrunk/line1.password", or "" for none"#;
    let file = section.optional(file_key, wanted, |value| {
        keys::or_none(value, |text| {
            let fits = !text.contains(char::is_control) && text.len() <= LONGEST_PATH_BYTES;
            fits.then(|| place.join(text))
        })
    });
    match (user, password, file.flatten()) {
        (_, Some(_), Some(_)) => {
            section.clash(password_key, "(not shown)", &format!("\"\", or \"\" in {file_key}"));
            None
        }
        (user, password, None) => {
            let TrunkPassword { user, password } = both(section, [user_key, password_key], user, password)?;
            Some(TrunkLogin { user, secret: TrunkSecret::Here(password) })
        }
        (Some(user), None, Some(file)) => Some(TrunkLogin { user, secret: TrunkSecret::File(file) }),
        (None, None, Some(file)) => {
            let wanted = format!("\"\", or a user in {user_key}");
            section.clash(file_key, format_args!("{file:?}"), &wanted);
            None
        }
    }
}

/// A user and a password, both or none.
fn read_password(
    section: &mut Section<'_, '_>,
    keys: [&'static str; 2],
    least: usize,
) -> Option<TrunkPassword> {
    let (user, password) = read_both(section, keys, least);
    both(section, keys, user, password)
}

/// A user and a password, each if it is there and right.
fn read_both(
    section: &mut Section<'_, '_>,
    [user_key, password_key]: [&'static str; 2],
    least: usize,
) -> (Option<String>, Option<Password>) {
    let wanted = r#"up to 64 letters, digits and + - _ . * @, or "" for none"#;
    let user = section.optional(user_key, wanted, |value| {
        keys::or_none(value, |text| {
            let fits = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-_.*@".contains(&byte));
            (fits && text.len() <= 64).then(|| text.to_owned())
        })
    });
    let wanted = format!(r#"{least} to 128 characters without line breaks, or "" for none"#);
    let password = section.judged(password_key, |value| {
        let text = keys::text(value).unwrap_or("\n");
        let length = text.chars().count();
        let fits = text.is_empty() || fits_password(text, least);
        let given = || (!text.is_empty()).then(|| Password::new(text));
        if fits { Ok(given()) } else { Err((format!("({length} characters, not shown)"), wanted)) }
    });
    (user.flatten(), password.flatten())
}

/// Tells which of a user and a password is missing.
fn both(
    section: &Section<'_, '_>,
    [user_key, password_key]: [&'static str; 2],
    user: Option<String>,
    password: Option<Password>,
) -> Option<TrunkPassword> {
    match (user, password) {
        (Some(user), Some(password)) => Some(TrunkPassword { user, password }),
        (Some(user), None) => {
            let wanted = format!("\"\", or a password in {password_key}");
            section.clash(user_key, format_args!("{user:?}"), &wanted);
            None
        }
        (None, Some(_)) => {
            let wanted = format!("\"\", or a user in {user_key}");
            section.clash(password_key, "(not shown)", &wanted);
            None
        }
        (None, None) => None,
    }
}

/// Whether a text can be a password of so many characters at least.
pub(crate) fn fits_password(text: &str, least: usize) -> bool {
    !text.contains(char::is_control) && (least..=128).contains(&text.chars().count())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::path::Path;

    use super::*;
    use crate::keys::Problem;
    use crate::line::Line;

    #[test]
    fn a_password_may_lie_in_a_file_and_not_in_both_places() {
        let text = "[trunk]\ndigest_user = \"line1\"\ndigest_password_file = ";
        let secret = |file: &str| parse(&format!("{text}{file:?}\n")).unwrap().trunk.digest.unwrap().secret;
        assert_eq!(secret("/run/credentials/x/line1"), TrunkSecret::File("/run/credentials/x/line1".into()));
        assert_eq!(secret("line1.password"), TrunkSecret::File("line1.password".into()), "beside line.toml");
        assert_eq!(
            errors(&format!("{text}\"a\"\ndigest_password = \"hidden\"\n")),
            [r#"l.toml:7: trunk.digest_password = (not shown): want "", or "" in digest_password_file"#]
        );
        assert_eq!(
            errors("[trunk]\ndigest_password_file = \"a\"\n"),
            [r#"l.toml:5: trunk.digest_password_file = "a": want "", or a user in digest_user"#]
        );
        assert_eq!(
            errors("[trunk]\ndigest_password_file = 1\n"),
            [
                r#"l.toml:5: trunk.digest_password_file = 1: want the path of a file with the password, as "/etc/tgtrunk/line1.password", or "" for none"#
            ]
        );
    }

    #[test]
    fn passwords_come_with_their_users_and_are_never_shown() {
        let text = "[trunk]\ndigest_user = \"line1\"\ndigest_password = \"hidden\"\nauth_user = \"pbx\"\nauth_password = \"hidden, too\"\nany_source = true\nregister = true\n";
        let trunk = parse(text).unwrap().trunk;
        assert!(!format!("{trunk:?}").contains("hidden"));
        let digest = trunk.digest.unwrap();
        assert_eq!(digest.user, "line1");
        assert_eq!(digest.secret, TrunkSecret::Here(Password::new("hidden")));
        assert_eq!(trunk.register, Some(Duration::from_secs(600)));
        assert!(trunk.any_source && trunk.auth.is_some());
        assert_eq!(
            errors(
                "[trunk]\ndigest_user = \"a b\"\ndigest_password = \"hid\\nden\"\nauth_user = \"pbx\"\nauth_password = \"hidden\"\nany_source = true\ndomain = \"a b\"\nfailover_s = 0\nauth_pasword = \"hidden\"\n"
            ),
            [
                r#"l.toml:5: trunk.digest_user = "a b": want up to 64 letters, digits and + - _ . * @, or "" for none"#,
                r#"l.toml:6: trunk.digest_password = (7 characters, not shown): want 1 to 128 characters without line breaks, or "" for none"#,
                r#"l.toml:7: trunk.auth_user = "pbx": want "", or a password in auth_password"#,
                r#"l.toml:8: trunk.auth_password = (6 characters, not shown): want 8 to 128 characters without line breaks, or "" for none"#,
                "l.toml:9: trunk.any_source = true: want false, or a user and a password in auth_user and auth_password",
                r#"l.toml:10: trunk.domain = "a b": want a host name or an IP address, as "pbx.example.org", or "" for none"#,
                "l.toml:11: trunk.failover_s = 0: want a whole number from 1 to 30 (seconds)",
                "l.toml:12: unknown key trunk.auth_pasword = (6 characters, not shown: it may hold a password): want one of transport, tls_trust, srtp, digest_user, digest_password, digest_password_file, auth_user, auth_password, auth_algorithm, any_source, register, register_expires_s, domain, failover_s",
            ]
        );
        assert_eq!(
            errors("[trunk]\ndigest_password = \"hidden\"\n"),
            [r#"l.toml:5: trunk.digest_password = (not shown): want "", or a user in digest_user"#]
        );
    }

    fn parse(more: &str) -> Result<Line, Vec<Problem>> {
        let text = format!("phone = \"+79060000000\"\nsip_port = 30001\npbx = \"127.0.0.1\"\n{more}");
        Line::parse(&text, Path::new("l.toml"), "+79060000000", &BTreeMap::new())
    }

    fn errors(more: &str) -> Vec<String> {
        parse(more).unwrap_err().iter().map(Problem::to_string).collect()
    }
}
