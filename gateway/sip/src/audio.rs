//! The two ends of a call's audio, as descriptions name them: ours before, the PBX's after offer and answer.

use std::net::SocketAddr;

use tgtrunk_media::Codec;
use tgtrunk_media::opus::Parameters;

use crate::sdes::SrtpKeys;
use crate::sdp::Direction;

/// Sound per packet that we agree to, in milliseconds; what is asked for outside of it is not followed.
const PACKET_MS: std::ops::RangeInclusive<u32> = 10..=60;

/// Our end of a call's audio.
#[derive(Debug, Clone, PartialEq)]
pub struct LocalAudio {
    /// Where the PBX sends RTP, as it is to be told: behind a router, the router's address.
    pub rtp: SocketAddr,
    /// The port for RTCP where it is not the one after RTP's (RFC 3605).
    pub rtcp: Option<u16>,
    /// Whether RTCP may come to RTP's port (RFC 5761): offered, and answered where it is offered.
    pub rtcp_mux: bool,
    /// What we carry; in our offers the first is the most wanted.
    pub codecs: Vec<&'static Codec>,
    /// Whether keys may come as RFC 4733 events.
    pub telephone_event: bool,
}

/// The PBX's end of a call's audio, as offer and answer settled it.
#[derive(Debug, Clone, PartialEq)]
pub struct RemoteAudio {
    /// Where it wants RTP. The unspecified address means that it wants none (RFC 3264 section 8.4).
    pub rtp: SocketAddr,
    /// Where it wants RTCP: where it says (RFC 3605), at RTP's port when they share it, else at the next one. `None`
    /// when there is no such port.
    pub rtcp: Option<SocketAddr>,
    /// Whether RTP and RTCP share their port both ways (RFC 5761).
    pub rtcp_mux: bool,
    /// Payload type in packets to it.
    pub payload_type: u8,
    /// Payload type in packets from it.
    pub receive_payload_type: u8,
    /// What both sides speak.
    pub codec: &'static Codec,
    /// What it adds to the codec, as it writes it in `a=fmtp` (RFC 7587 section 7 for Opus).
    pub fmtp: Option<String>,
    /// Milliseconds of audio per packet that it asks for.
    pub ptime_ms: Option<u32>,
    /// Most milliseconds of audio per packet that it takes.
    pub maxptime_ms: Option<u32>,
    /// What it does; anything but [`Direction::SendRecv`] is some form of hold.
    pub direction: Direction,
    /// RFC 4733 events, where both sides take them.
    pub telephone_event: Option<TelephoneEvent>,
    /// What its packets and those to it are encrypted with; in the clear without it.
    pub srtp: Option<SrtpKeys>,
}

/// How keys travel beside the audio (RFC 4733).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TelephoneEvent {
    /// Payload type in packets to the PBX.
    pub payload_type: u8,
    /// Payload type in packets from it.
    pub receive_payload_type: u8,
    /// Ticks per second of the durations: the audio's clock, unless the PBX has it for another one only.
    pub clock_hz: u32,
}

impl RemoteAudio {
    /// Whether it wants to hear us.
    #[must_use]
    pub fn listens(&self) -> bool {
        matches!(self.direction, Direction::SendRecv | Direction::RecvOnly)
    }

    /// Milliseconds of audio in each packet to it, whole tens: what it asks for if that is 10 to 60, else what the codec
    /// is used to, and never more than it takes.
    #[must_use]
    pub fn packet_ms(&self) -> u32 {
        let wanted = self.ptime_ms.filter(|ptime_ms| PACKET_MS.contains(ptime_ms));
        let most = self.maxptime_ms.unwrap_or(*PACKET_MS.end()).max(*PACKET_MS.start());
        wanted.unwrap_or(self.codec.default_ptime_ms).min(most) / 10 * 10
    }

    /// Some peers write what belongs into lines of their own among Opus's parameters.
    pub(crate) fn with_times_of_fmtp(mut self) -> Self {
        if let Some(fmtp) = &self.fmtp {
            let parameters = Parameters::parse(fmtp);
            self.ptime_ms = self.ptime_ms.or(parameters.ptime_ms);
            self.maxptime_ms = self.maxptime_ms.or(parameters.maxptime_ms);
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use tgtrunk_media::codec::{L16, OPUS, PCMA};

    use super::*;

    #[test]
    fn packets_are_as_long_as_the_peer_asks_within_reason() {
        for (codec, ptime_ms, maxptime_ms, packet_ms) in [
            (&PCMA, None, None, 20),
            (&L16, None, None, 10),
            (&PCMA, Some(30), None, 30),
            (&OPUS, Some(60), Some(60), 60),
            (&OPUS, Some(5), None, 20),
            (&PCMA, Some(200), Some(200), 20),
            (&OPUS, Some(40), Some(20), 20),
            (&OPUS, Some(25), None, 20),
            (&OPUS, None, Some(3), 10),
            (&L16, Some(20), None, 20),
        ] {
            let remote = RemoteAudio { ptime_ms, maxptime_ms, ..remote(codec) };
            assert_eq!(remote.packet_ms(), packet_ms, "{codec:?} {ptime_ms:?} {maxptime_ms:?}");
        }
    }

    #[test]
    fn times_among_the_parameters_of_opus_count_where_no_line_of_their_own_says_them() {
        let fmtp = Some("useinbandfec=1; ptime=40;maxptime=60".to_owned());
        let remote = RemoteAudio { fmtp, ptime_ms: Some(20), ..remote(&OPUS) }.with_times_of_fmtp();
        assert_eq!((remote.ptime_ms, remote.maxptime_ms), (Some(20), Some(60)));
    }

    fn remote(codec: &'static Codec) -> RemoteAudio {
        RemoteAudio {
            rtp: "192.0.2.1:4000".parse().unwrap(),
            rtcp: None,
            rtcp_mux: false,
            payload_type: 0,
            receive_payload_type: 0,
            codec,
            fmtp: None,
            ptime_ms: None,
            maxptime_ms: None,
            direction: Direction::SendRecv,
            telephone_event: None,
            srtp: None,
        }
    }
}
