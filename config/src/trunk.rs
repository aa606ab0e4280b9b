//! `[trunk]` of `line.toml`: over what a line and its PBX speak, and what is encrypted between them.

use std::path::{Path, PathBuf};

use crate::keys::{self, Section};

/// How a line and its PBX speak.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trunk {
    /// Over what the PBX is called.
    pub transport: Transport,
    /// Whose certificate the PBX may show, with [`Transport::Tls`].
    pub tls_trust: TlsTrust,
    /// Whether audio is encrypted.
    pub srtp: Srtp,
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
    section.finish();
    Trunk { transport, tls_trust, srtp: srtp.unwrap_or(usual) }
}
