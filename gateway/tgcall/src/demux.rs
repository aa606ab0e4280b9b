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

/// Magic of STUN since RFC 5389, behind type and length.
const COOKIE: [u8; 4] = [0x21, 0x12, 0xa4, 0x42];
const USERNAME: u16 = 0x0006;
/// Attributes of a check that are looked at for its name.
const MAX_ATTRIBUTES: usize = 16;

/// What ties an answer of STUN to its question.
pub type TransactionId = [u8; 12];

/// A binding request that goes out, whose answer is ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Question {
    pub id: TransactionId,
    /// It names a peer (RFC 8445 section 7.2.2). One that does not goes to a server, and only from there comes its answer.
    pub is_check: bool,
}

/// Whom a datagram is for on a socket that several calls share, as far as its first bytes say. Nothing of it is proven: the
/// call that it is given to judges it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Addressee<'a> {
    /// A connectivity check, for the call with this [`ufrag`](crate::Call::ufrag).
    Named(&'a [u8]),
    /// An answer of STUN, for the call that asked this [`question`].
    Asker(TransactionId),
    /// For the call whose peer it comes from.
    Peer,
}

impl<'a> Addressee<'a> {
    /// Whom `datagram` is for; `None` for a check that names nobody.
    pub fn of(datagram: &'a [u8]) -> Option<Self> {
        match stun(datagram) {
            None => Some(Addressee::Peer),
            Some(([0x00, 0x01], _, attributes)) => callee(attributes).map(Addressee::Named),
            Some(([0x01, 0x01 | 0x11], id, _)) => Some(Addressee::Asker(id)),
            Some(_) => None,
        }
    }
}

/// The binding request that a datagram which goes out is.
pub fn question(datagram: &[u8]) -> Option<Question> {
    let (kind, id, attributes) = stun(datagram)?;
    (kind == [0x00, 0x01]).then(|| Question { id, is_check: callee(attributes).is_some() })
}

/// Type, transaction id and attributes of a message of STUN.
fn stun(datagram: &[u8]) -> Option<([u8; 2], TransactionId, &[u8])> {
    let (header, attributes) = datagram.split_first_chunk::<20>()?;
    let [high @ 0..=3, low, _, _, c0, c1, c2, c3, id @ ..] = *header else { return None };
    ([c0, c1, c2, c3] == COOKIE).then_some(([high, low], id, attributes))
}

/// What the USERNAME of a check says before its colon (RFC 8445 section 7.2.2).
fn callee(mut attributes: &[u8]) -> Option<&[u8]> {
    for _ in 0..MAX_ATTRIBUTES {
        let ([kind @ .., l0, l1], rest) = attributes.split_first_chunk::<4>()?;
        let length = usize::from(u16::from_be_bytes([*l0, *l1]));
        if u16::from_be_bytes(*kind) == USERNAME {
            let name = rest.get(..length)?;
            return name.split(|byte| *byte == b':').next().filter(|callee| callee.len() < length);
        }
        attributes = rest.get(length.next_multiple_of(4)..)?;
    }
    None
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

    #[test]
    fn a_datagram_says_whom_it_is_for() {
        let id = *b"transaction!";
        let message = |kind: u16, attributes: &[(u16, &[u8])]| {
            let mut bytes = [&kind.to_be_bytes()[..], &[0, 0], &COOKIE, &id].concat();
            for (kind, value) in attributes {
                bytes.extend_from_slice(&kind.to_be_bytes());
                bytes.extend_from_slice(&(value.len() as u16).to_be_bytes());
                bytes.extend_from_slice(value);
                bytes.resize(bytes.len().next_multiple_of(4), 0);
            }
            bytes
        };
        let check = message(1, &[(0x24, b"1234"), (0xc057, b"padded"), (USERNAME, b"ours:theirs")]);
        assert_eq!(Addressee::of(&check), Some(Addressee::Named(b"ours")));
        assert_eq!(question(&check), Some(Question { id, is_check: true }));
        assert_eq!(question(&message(1, &[])), Some(Question { id, is_check: false }));
        for kind in [0x0101, 0x0111] {
            let answer = message(kind, &[]);
            assert_eq!(Addressee::of(&answer), Some(Addressee::Asker(id)));
            assert_eq!(question(&answer), None);
        }
        let many = vec![(0x24, &b""[..]); MAX_ATTRIBUTES];
        for nobody in [
            message(1, &[]),
            message(1, &[(USERNAME, b"ours")]),
            message(1, &[many, vec![(USERNAME, b"ours:theirs")]].concat()),
            message(0x0011, &[(USERNAME, b"ours:theirs")]),
            check[..check.len() - 8].to_vec(),
        ] {
            assert_eq!(Addressee::of(&nobody), None, "{nobody:02x?}");
        }
        let other_cookie = [&check[..4], b"abcd", &check[8..]].concat();
        for peer in [&[][..], &[128, 111, 0], &[22; 60], &check[..19], &other_cookie] {
            assert_eq!((Addressee::of(peer), question(peer)), (Some(Addressee::Peer), None));
        }
    }
}
