//! The codec table: one row is one codec that the gateway carries, in the terms of SDP (RFC 8866 section 6.6) and RTP.
//!
//! Whoever writes or reads an offer looks here; nobody else spells a codec's name.

/// One codec, as an offer names it.
#[derive(Debug, PartialEq, Eq)]
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
}

/// Opus as RFC 7587 carries it: mono speech in a format that is called stereo.
pub static OPUS: Codec = Codec {
    name: "opus",
    clock_hz: 48_000,
    channels: 2,
    static_payload_type: None,
    offered_payload_type: 107,
    fmtp: "useinbandfec=1;minptime=10",
};

/// Every codec that the gateway carries, the most wanted first.
pub static TABLE: [&Codec; 1] = [&OPUS];

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
