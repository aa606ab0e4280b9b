//! What a datagram on the shared five-tuple is, by its first bytes (RFC 7983 section 7, RFC 5761 section 4).

/// Media of the peer, authentic and decrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Received<'a> {
    /// An RTP packet. It may be one of padding alone, which counts as received and has nothing to play.
    Rtp(&'a [u8]),
    /// One or more RTCP packets behind each other (RFC 3550 section 6.1), of whichever of the peer's sources. Only the
    /// header of the first is known to be whole.
    Rtcp(&'a [u8]),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Stun,
    Dtls,
    Rtp,
    Rtcp,
    Other,
}

impl Kind {
    pub(crate) fn of(datagram: &[u8]) -> Self {
        match datagram {
            [0..=3, ..] => Kind::Stun,
            [20..=63, ..] => Kind::Dtls,
            [128..=191, 192..=223, ..] => Kind::Rtcp,
            [128..=191, _, ..] => Kind::Rtp,
            _ => Kind::Other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_protocol_has_its_range() {
        let of = |bytes: &[u8]| Kind::of(bytes);
        assert_eq!([of(&[0, 1]), of(&[3, 1]), of(&[4, 1])], [Kind::Stun, Kind::Stun, Kind::Other]);
        assert_eq!(
            [of(&[19]), of(&[20]), of(&[63]), of(&[64])],
            [Kind::Other, Kind::Dtls, Kind::Dtls, Kind::Other]
        );
        assert_eq!([of(&[128, 111]), of(&[0x90, 111 | 0x80]), of(&[191, 0])], [Kind::Rtp; 3]);
        assert_eq!([of(&[128, 200]), of(&[0x81, 205]), of(&[0xa0, 223])], [Kind::Rtcp; 3]);
        assert_eq!([of(&[192, 0]), of(&[128]), of(&[])], [Kind::Other; 3]);
    }
}
