//! The codec table: one row is one codec that the gateway carries, in the terms of SDP (RFC 8866 section 6.6) and RTP.
//!
//! Whoever writes or reads an offer looks here; nobody else spells a codec's name. Whoever needs sound instead of packets
//! opens a [`Decoder`] or an [`Encoder`] from the row.
//!
//! Opus works at 8, 16 and 48 kHz by itself, and every other codec has one of these rates. A call between Opus and
//! another codec opens both at the other's rate, so nothing here ever resamples.

use std::fmt;

mod concealment;
mod g711;
mod g722;
mod l16;
mod opus;
mod pcma;
mod pcmu;

pub use g722::G722;
pub use l16::L16;
pub use opus::OPUS;
pub use pcma::PCMA;
pub use pcmu::PCMU;

/// One codec, as an offer names it.
pub struct Codec {
    /// Encoding name of `a=rtpmap`, compared without regard to case (RFC 4855 section 3).
    pub name: &'static str,
    /// Ticks per second of the RTP timestamp.
    pub clock_hz: u32,
    /// Channels as `a=rtpmap` states them; Opus always says 2 (RFC 7587 section 7), whatever is sent.
    pub channels: u8,
    /// The number that RFC 3551 section 6 fixed for this codec; without one the offer assigns it.
    pub static_payload_type: Option<u8>,
    /// The number that our own offers assign where RFC 3551 fixed none, 96 to 127.
    pub offered_payload_type: u8,
    /// Our `a=fmtp` parameters, without the payload type; empty means no such line.
    pub fmtp: &'static str,
    /// Samples per second of its sound, 8000, 16000 or 48000; not always the clock's rate.
    pub sample_hz: u32,
    /// How much sound one of our packets holds unless a description says otherwise, in milliseconds.
    pub default_ptime_ms: u32,
    open_decoder: fn(sample_hz: u32) -> Option<Box<dyn Decoder>>,
    open_encoder: fn(sample_hz: u32, EncoderSettings) -> Option<Box<dyn Encoder>>,
}

/// Turns the payloads of one stream into mono PCM, in the order in which they are to be heard.
pub trait Decoder: fmt::Debug + Send {
    /// Appends the sound of one payload to `pcm`.
    ///
    /// # Errors
    /// [`Malformed`] when the payload is none of this codec's; nothing is appended then.
    fn decode(&mut self, payload: &[u8], pcm: &mut Vec<i16>) -> Result<(), Malformed>;

    /// Appends exactly `samples` of something that hides a lost packet; long losses fade to silence.
    ///
    /// `next` is the payload that follows the last of these samples, if it came: Opus may find a copy of the lost sound in
    /// it. It must be decoded afterwards all the same.
    fn conceal(&mut self, samples: usize, next: Option<&[u8]>, pcm: &mut Vec<i16>);

    /// How many samples a payload sounds, without decoding it; `None` when it is malformed.
    fn samples(&self, payload: &[u8]) -> Option<usize>;
}

/// Turns mono PCM into the payloads of one stream.
pub trait Encoder: fmt::Debug + Send {
    /// Appends the payload of one packet to `out`.
    ///
    /// `pcm` is one packet's sound, of a length the codec knows: for Opus 2.5, 5, 10, 20, 40 or 60 ms, for the others any.
    /// A length it does not know appends nothing.
    fn encode(&mut self, pcm: &[i16], out: &mut Vec<u8>);

    /// What share of the packets was lost of late, 0 to 1, as the peer reports it now and then. Opus puts copies of old sound
    /// into new packets then, and encodes telephone sound in the way that can.
    fn set_loss(&mut self, _share: f32) {}
}

/// How to encode where a codec leaves a choice; only Opus does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EncoderSettings {
    /// How hard to think about each packet, 0 to 10; more is taken as 10.
    pub complexity: u8,
    /// Bits per second; `None` takes what suits speech at the sample rate.
    pub bitrate_bps: Option<u32>,
    /// Whether packets carry a coarse copy of the sound before them (in-band FEC, RFC 6716 section 2.1.7).
    pub fec: bool,
}

impl Default for EncoderSettings {
    fn default() -> Self {
        Self { complexity: 5, bitrate_bps: None, fec: true }
    }
}

/// A payload that no encoder of this codec makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a malformed {codec} payload of {bytes} bytes")]
pub struct Malformed {
    /// Whose payload it should have been.
    pub codec: &'static str,
    /// Its length.
    pub bytes: usize,
}

/// A codec was to be opened at a rate that it does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{codec} does not work at {sample_hz} samples a second")]
pub struct RateError {
    /// Which codec.
    pub codec: &'static str,
    /// The rate asked for.
    pub sample_hz: u32,
}

impl Codec {
    /// Opens a decoder to PCM of `sample_hz`: the row's own rate; Opus takes 8000, 16000 and 48000.
    ///
    /// # Errors
    /// [`RateError`] for any other rate.
    pub fn decoder(&self, sample_hz: u32) -> Result<Box<dyn Decoder>, RateError> {
        (self.open_decoder)(sample_hz).ok_or(RateError { codec: self.name, sample_hz })
    }

    /// Opens an encoder for PCM of `sample_hz`: the row's own rate; Opus takes 8000, 16000 and 48000.
    ///
    /// # Errors
    /// [`RateError`] for any other rate.
    pub fn encoder(&self, sample_hz: u32, settings: EncoderSettings) -> Result<Box<dyn Encoder>, RateError> {
        (self.open_encoder)(sample_hz, settings).ok_or(RateError { codec: self.name, sample_hz })
    }
}

impl PartialEq for Codec {
    fn eq(&self, other: &Self) -> bool {
        let key = |codec: &Self| (codec.name, codec.clock_hz, codec.channels);
        key(self) == key(other)
    }
}

impl Eq for Codec {}

impl fmt::Debug for Codec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.name, self.clock_hz, self.channels)
    }
}

/// Every codec there is a row for, the most wanted first.
pub static TABLE: [&Codec; 5] = [&OPUS, &G722, &PCMA, &PCMU, &L16];

/// The row for an `a=rtpmap` value. An `rtpmap` without channels means 1 (RFC 8866 section 6.6).
pub fn find(name: &str, clock_hz: u32, channels: u8) -> Option<&'static Codec> {
    TABLE.into_iter().find(|codec| {
        codec.name.eq_ignore_ascii_case(name) && codec.clock_hz == clock_hz && codec.channels == channels
    })
}

/// The row whose number RFC 3551 fixed, for a format in `m=` that has no `a=rtpmap`.
pub fn find_static(payload_type: u8) -> Option<&'static Codec> {
    TABLE.into_iter().find(|codec| codec.static_payload_type == Some(payload_type))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opus_is_found_in_any_spelling_of_its_name() {
        for name in ["opus", "OPUS", "Opus"] {
            assert_eq!(find(name, 48_000, 2), Some(&OPUS), "{name}");
        }
    }

    #[test]
    fn opus_with_another_clock_or_channel_count_is_not_the_opus_of_rfc_7587() {
        assert_eq!(find("opus", 16_000, 2), None);
        assert_eq!(find("opus", 48_000, 1), None);
        assert_eq!(find("opu", 48_000, 2), None);
        assert_eq!(find("L16", 48_000, 2), None);
        assert_eq!(find("L16", 44_100, 1), None);
    }

    #[test]
    fn no_row_claims_a_number_that_rfc_3551_gave_to_another() {
        for codec in TABLE {
            assert!((96..=127).contains(&codec.offered_payload_type), "{}", codec.name);
            if let Some(number) = codec.static_payload_type {
                assert!(number < 35, "{} has no place among the static types", codec.name);
                assert_eq!(find_static(number), Some(codec));
            }
        }
        assert_eq!(find_static(OPUS.offered_payload_type), None, "a dynamic number says nothing by itself");
    }

    #[test]
    fn every_row_is_found_under_its_own_name_and_no_two_share_one() {
        for (at, codec) in TABLE.into_iter().enumerate() {
            assert_eq!(find(codec.name, codec.clock_hz, codec.channels), Some(codec));
            for other in &TABLE[at + 1..] {
                assert_ne!(codec.offered_payload_type, other.offered_payload_type);
            }
        }
    }
}
