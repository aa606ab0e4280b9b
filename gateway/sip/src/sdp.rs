//! Session descriptions, read (RFC 8866): only what an audio call asks of them, and every media line in order.
//!
//! Lines that we do not know are passed over, names instead of addresses and foreign media are no fault.

use std::net::IpAddr;

use crate::text::clean;

/// What a peer says about where it wants its media and in which form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Description {
    connection: Option<Host>,
    direction: Option<Direction>,
    /// Media lines in order.
    pub(crate) media: Vec<Media>,
}

/// One `m=` line and what belongs to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Media {
    /// `audio`, `video`, `image` ...
    pub(crate) kind: String,
    /// 0 means refused or switched off (RFC 3264 section 5.1).
    pub(crate) port: u16,
    /// `RTP/AVP`, `RTP/SAVP`, `udptl` ...
    pub(crate) protocol: String,
    /// Formats as written; payload types for RTP.
    pub(crate) formats: Vec<String>,
    connection: Option<Host>,
    attributes: Vec<(String, String)>,
}

/// Where media goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Host {
    Ip(IpAddr),
    /// A host name, which this room cannot resolve.
    Name,
}

/// Who sends, in the words of the side that states it (RFC 3264 section 5.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Both ways.
    SendRecv,
    /// It sends and does not listen: hold with music.
    SendOnly,
    /// It listens and does not send.
    RecvOnly,
    /// Neither: hold.
    Inactive,
}

/// An encoding from `a=rtpmap`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Encoding<'a> {
    pub(crate) name: &'a str,
    pub(crate) clock_hz: u32,
    pub(crate) channels: u8,
}

/// Why a body is no session description.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SdpError {
    /// It does not begin with `v=0`.
    #[error("a session description begins with v=0, not with {0:?}")]
    Version(String),
    /// A media line without kind, port, protocol or format.
    #[error("media line {0:?}, wanted m=<media> <port> <protocol> <format>...")]
    Media(String),
}

impl Direction {
    /// The attribute's name.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::SendRecv => "sendrecv",
            Self::SendOnly => "sendonly",
            Self::RecvOnly => "recvonly",
            Self::Inactive => "inactive",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        [Self::SendRecv, Self::SendOnly, Self::RecvOnly, Self::Inactive]
            .into_iter()
            .find(|d| d.as_str() == text)
    }

    /// The same, seen from the other side (RFC 3264 section 6.1).
    pub(crate) fn reversed(self) -> Self {
        match self {
            Self::SendOnly => Self::RecvOnly,
            Self::RecvOnly => Self::SendOnly,
            Self::SendRecv | Self::Inactive => self,
        }
    }
}

impl Description {
    /// Reads a body.
    ///
    /// # Errors
    /// [`SdpError`] when it is no description at all or a media line is broken.
    pub(crate) fn parse(body: &[u8]) -> Result<Self, SdpError> {
        let text = String::from_utf8_lossy(body);
        let mut lines = text.lines().map(str::trim_end).filter(|line| !line.is_empty());
        let first = lines.next().unwrap_or("");
        if first != "v=0" {
            return Err(SdpError::Version(clean(first, 64)));
        }
        let mut description = Self { connection: None, direction: None, media: Vec::new() };
        for line in lines {
            let Some((kind, value)) = line.split_once('=') else { continue };
            match (kind, description.media.last_mut()) {
                ("m", _) => description.media.push(Media::parse(value)?),
                ("c", Some(media)) => media.connection = Host::parse(value).or(media.connection.take()),
                ("c", None) => description.connection = Host::parse(value),
                ("a", Some(media)) => {
                    let (name, value) = value.split_once(':').unwrap_or((value, ""));
                    media.attributes.push((name.to_owned(), value.trim().to_owned()));
                }
                ("a", None) => description.direction = Direction::parse(value).or(description.direction),
                _ => {}
            }
        }
        Ok(description)
    }

    /// Where a media line's packets go.
    pub(crate) fn host<'a>(&'a self, media: &'a Media) -> Option<&'a Host> {
        media.connection.as_ref().or(self.connection.as_ref())
    }

    /// What a media line's side wants to do; both ways unless it says otherwise (RFC 8866 section 6.7).
    pub(crate) fn direction(&self, media: &Media) -> Direction {
        let own = media.attributes.iter().rev().find_map(|(name, _)| Direction::parse(name));
        own.or(self.direction).unwrap_or(Direction::SendRecv)
    }
}

impl Media {
    fn parse(value: &str) -> Result<Self, SdpError> {
        let wrong = || SdpError::Media(clean(value, 64));
        let mut words = value.split_ascii_whitespace();
        let (Some(kind), Some(port), Some(protocol)) = (words.next(), words.next(), words.next()) else {
            return Err(wrong());
        };
        let port = port.split('/').next().unwrap_or(port).parse().map_err(|_| wrong())?;
        let formats: Vec<_> = words.map(str::to_owned).collect();
        if formats.is_empty() {
            return Err(wrong());
        }
        Ok(Self {
            kind: kind.to_owned(),
            port,
            protocol: protocol.to_owned(),
            formats,
            connection: None,
            attributes: Vec::new(),
        })
    }

    /// The encoding behind a payload type.
    pub(crate) fn encoding(&self, payload_type: u8) -> Option<Encoding<'_>> {
        self.attributes.iter().filter(|(name, _)| name == "rtpmap").find_map(|(_, value)| {
            let (number, encoding) = value.split_once(|c: char| c.is_ascii_whitespace())?;
            if number.parse() != Ok(payload_type) {
                return None;
            }
            let mut parts = encoding.trim().split('/');
            let name = parts.next()?;
            let clock_hz = parts.next()?.parse().ok()?;
            let channels = parts.next().map_or(Some(1), |channels| channels.parse().ok())?;
            Some(Encoding { name, clock_hz, channels })
        })
    }

    /// A number of milliseconds: `ptime`, `maxptime`. Fractions are cut, nonsense is nothing.
    pub(crate) fn milliseconds(&self, name: &str) -> Option<u32> {
        let value = &self.attributes.iter().find(|(known, _)| known == name)?.1;
        value.split('.').next()?.parse().ok().filter(|&ms| (1..=1000).contains(&ms))
    }

    /// What is added to an encoding in `a=fmtp`.
    pub(crate) fn fmtp(&self, payload_type: u8) -> Option<&str> {
        self.attributes.iter().filter(|(name, _)| name == "fmtp").find_map(|(_, value)| {
            let (number, parameters) = value.split_once(|c: char| c.is_ascii_whitespace())?;
            (number.parse() == Ok(payload_type)).then(|| parameters.trim())
        })
    }

    /// Port and host of `a=rtcp` (RFC 3605).
    pub(crate) fn rtcp(&self) -> Option<(u16, Option<Host>)> {
        let value = &self.attributes.iter().find(|(name, _)| name == "rtcp")?.1;
        let (port, host) = value.split_once(' ').unwrap_or((value, ""));
        let port = port.parse().ok().filter(|&port| port != 0)?;
        Some((port, Host::parse(host)))
    }

    /// The values of every attribute of a name, in order.
    pub(crate) fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.attributes.iter().filter(move |(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Whether an attribute without a value is there.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.attributes.iter().any(|(known, _)| known == name)
    }

    /// The RTP payload types, in order.
    pub(crate) fn payload_types(&self) -> impl Iterator<Item = u8> {
        self.formats.iter().filter_map(|format| format.parse().ok()).filter(|&number| number < 128)
    }
}

impl Host {
    fn parse(value: &str) -> Option<Self> {
        let mut words = value.split_ascii_whitespace();
        let (_network, _family, address) = (words.next()?, words.next()?, words.next()?);
        let address = address.split('/').next().unwrap_or(address);
        Some(address.parse().map_or(Self::Name, Self::Ip))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ASTERISK: &str = "v=0\r\no=- 1183 1183 IN IP4 pbx.example\r\ns=Asterisk\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n\
        m=audio 10002 RTP/AVP 107 8 101 102\r\na=rtpmap:107 opus/48000/2\r\na=fmtp:107 useinbandfec=1\r\n\
        a=rtpmap:8 PCMA/8000\r\na=rtpmap:101 telephone-event/48000\r\na=rtpmap:102 telephone-event/8000\r\n\
        a=ptime:20\r\na=maxptime:60\r\na=sendonly\r\nm=image 4000/2 udptl t38\r\nc=IN IP6 2001:db8::1\r\n";

    #[test]
    fn an_offer_from_asterisk_is_read() {
        let offer = Description::parse(ASTERISK.as_bytes()).unwrap();
        let [audio, image] = offer.media.as_slice() else { panic!("{offer:?}") };
        assert_eq!(audio.payload_types().collect::<Vec<_>>(), [107, 8, 101, 102]);
        assert_eq!(audio.encoding(107), Some(Encoding { name: "opus", clock_hz: 48_000, channels: 2 }));
        assert_eq!(audio.encoding(8).unwrap().channels, 1);
        assert_eq!((audio.milliseconds("ptime"), audio.milliseconds("maxptime")), (Some(20), Some(60)));
        assert_eq!(
            (offer.direction(audio), offer.direction(image)),
            (Direction::SendOnly, Direction::SendRecv)
        );
        assert_eq!(offer.host(audio), Some(&Host::Ip("192.0.2.1".parse().unwrap())));
        assert_eq!((image.kind.as_str(), image.port), ("image", 4000));
        assert_eq!(offer.host(image), Some(&Host::Ip("2001:db8::1".parse().unwrap())));
    }

    #[test]
    fn a_direction_of_the_session_holds_where_the_media_states_none() {
        let offer =
            Description::parse(b"v=0\na=inactive\nm=audio 1 RTP/AVP 0\nm=audio 2 RTP/AVP 0\na=recvonly")
                .unwrap();
        assert_eq!(offer.direction(&offer.media[0]), Direction::Inactive);
        assert_eq!(offer.direction(&offer.media[1]), Direction::RecvOnly);
    }

    #[test]
    fn names_instead_of_addresses_are_no_fault() {
        let offer = Description::parse(b"v=0\r\nc=IN IP4 pbx.example\r\nm=audio 1 RTP/AVP 0\r\n").unwrap();
        assert_eq!(offer.host(&offer.media[0]), Some(&Host::Name));
    }

    #[test]
    fn what_is_no_description_says_so() {
        assert!(matches!(Description::parse(b""), Err(SdpError::Version(_))));
        assert!(matches!(Description::parse(b"v=1\r\n"), Err(SdpError::Version(_))));
        for media in ["audio", "audio 1 RTP/AVP", "audio 70000 RTP/AVP 0", "audio x RTP/AVP 0"] {
            let body = format!("v=0\r\nm={media}\r\n");
            assert!(matches!(Description::parse(body.as_bytes()), Err(SdpError::Media(_))), "{media}");
        }
    }

    #[test]
    fn nonsense_in_attributes_is_nothing() {
        let body = b"v=0\r\nm=audio 1 RTP/AVP 300 x 96\r\na=rtpmap:96\r\na=rtpmap:96 opus/many/2\r\na=ptime:0\r\na=maxptime:20.5\r\n";
        let offer = Description::parse(body).unwrap();
        let audio = &offer.media[0];
        assert_eq!(audio.payload_types().collect::<Vec<_>>(), [96]);
        assert_eq!((audio.encoding(96), audio.milliseconds("ptime")), (None, None));
        assert_eq!(audio.milliseconds("maxptime"), Some(20));
    }
}
