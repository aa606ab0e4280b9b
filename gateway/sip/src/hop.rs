//! The way a message takes: over which transport, and to whom (RFC 3261 section 18).

use std::net::{IpAddr, SocketAddr};

/// What carries messages (RFC 3261 section 18, 26.3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Transport {
    /// One message, one datagram. Long requests stay on it (RFC 3261 section 18.1.1 would have them leave for TCP at 1300
    /// bytes): a PBX that is called by UDP may take nothing else, and between here and it there is mostly no network
    /// that could lose a fragment.
    Udp,
    /// A stream of messages.
    Tcp,
    /// The same, encrypted.
    Tls,
}

impl Transport {
    /// The word in a Via, and in a URI's `transport` in small letters.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Udp => "UDP",
            Self::Tcp => "TCP",
            Self::Tls => "TLS",
        }
    }

    /// Whether what is sent arrives or is known not to: then nothing is sent twice.
    #[must_use]
    pub const fn is_reliable(self) -> bool {
        match self {
            Self::Udp => false,
            Self::Tcp | Self::Tls => true,
        }
    }

    /// The port where none is written (RFC 3261 section 19.1.2).
    #[must_use]
    pub const fn default_port(self) -> u16 {
        match self {
            Self::Udp | Self::Tcp => 5060,
            Self::Tls => 5061,
        }
    }

    /// The `transport` parameter of a URI where this line is found; UDP needs none.
    pub(crate) const fn parameter(self) -> &'static str {
        match self {
            Self::Udp => "",
            Self::Tcp => ";transport=tcp",
            Self::Tls => ";transport=tls",
        }
    }

    /// `None` for what we do not speak.
    pub(crate) fn parse(word: &str) -> Option<Self> {
        [Self::Udp, Self::Tcp, Self::Tls].into_iter().find(|known| known.as_str().eq_ignore_ascii_case(word))
    }
}

/// Where a message goes or came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hop {
    /// Over what.
    pub transport: Transport,
    /// To whom: a connection to there is opened where none is open.
    pub address: SocketAddr,
    /// The far end of the connection that is taken as long as it is open: the one a request came on
    /// (RFC 3261 section 18.2.2).
    pub connection: Option<SocketAddr>,
}

impl Hop {
    /// An address that is sent to.
    #[must_use]
    pub const fn to(transport: Transport, address: SocketAddr) -> Self {
        Self { transport, address, connection: None }
    }

    /// Where a message came from.
    #[must_use]
    pub const fn from(transport: Transport, source: SocketAddr) -> Self {
        match transport {
            Transport::Udp => Self::to(transport, source),
            Transport::Tcp | Transport::Tls => Self { transport, address: source, connection: Some(source) },
        }
    }

    /// Whose address it is.
    #[must_use]
    pub const fn ip(&self) -> IpAddr {
        self.address.ip()
    }
}
