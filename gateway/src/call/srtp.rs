//! Encryption of a trunk leg's audio, with the keys that both descriptions of the session named (RFC 3711, RFC 4568).

use tgcall::srtp::{MasterKey, OpenError, Profile, ProtectError, Receiver, Sender};
use tgtrunk_sip::{CryptoSuite, SDES_KEY_BYTES, SdesKey, SrtpKeys};

/// Both directions of one leg.
pub(crate) struct Srtp {
    keys: SrtpKeys,
    sender: Sender,
    receiver: Receiver,
}

impl Srtp {
    /// `None` for keys that are none, which nobody parsed.
    pub(crate) fn new(keys: SrtpKeys) -> Option<Self> {
        let sender = Sender::new(master(keys.suite, &keys.ours)?);
        let receiver = Receiver::new(master(keys.suite, &keys.theirs)?);
        Some(Self { keys, sender, receiver })
    }

    /// Takes the keys of a changed session. A key that stays goes on where it was: packets that begin anew under an old
    /// one would give both away (RFC 3711 section 9.1).
    pub(crate) fn change(&mut self, keys: SrtpKeys) {
        let (old, suite) = (&self.keys, keys.suite);
        if (old.suite, &old.theirs) != (suite, &keys.theirs)
            && let Some(master) = master(suite, &keys.theirs)
        {
            self.receiver = Receiver::new(master);
        }
        if (old.suite, &old.ours) != (suite, &keys.ours)
            && let Some(master) = master(suite, &keys.ours)
        {
            self.sender = Sender::new(master);
        }
        self.keys = keys;
    }

    /// Encrypts an RTP packet in place, the first `length` bytes of `room` with room behind it; its new length.
    pub(crate) fn protect_rtp(&mut self, room: &mut [u8], length: usize) -> Result<usize, ProtectError> {
        self.sender.protect_rtp_in(room, length)
    }

    /// Encrypts an RTCP packet in place.
    pub(crate) fn protect_rtcp(&mut self, packet: &mut Vec<u8>) -> Result<(), ProtectError> {
        self.sender.protect_rtcp(packet)
    }

    /// The RTP packet inside, decrypted in place.
    pub(crate) fn open_rtp<'a>(&mut self, packet: &'a mut [u8]) -> Result<&'a [u8], OpenError> {
        self.receiver.open_rtp(packet)
    }

    /// The RTCP packet inside, decrypted in place.
    pub(crate) fn open_rtcp<'a>(&mut self, packet: &'a mut [u8]) -> Result<&'a [u8], OpenError> {
        self.receiver.open_rtcp(packet)
    }
}

fn master(suite: CryptoSuite, key: &SdesKey) -> Option<MasterKey<'_>> {
    let profile = match suite {
        CryptoSuite::Sha1_80 => Profile::Aes128CmSha1_80,
        CryptoSuite::Sha1_32 => Profile::Aes128CmSha1_32,
    };
    let SdesKey(bytes) = key;
    debug_assert_eq!(SDES_KEY_BYTES, profile.key_len() + profile.salt_len());
    let (key, salt) = bytes.split_at(profile.key_len());
    MasterKey::new(profile, key, salt).ok()
}

#[cfg(test)]
mod tests {
    use tgtrunk_media::TAIL_BYTES;

    use super::*;

    #[test]
    fn both_ends_hear_each_other_through_changes_of_either_key() {
        for suite in [CryptoSuite::Sha1_80, CryptoSuite::Sha1_32] {
            let [mut ours, mut theirs] =
                [keys(suite, 1, 2), keys(suite, 2, 1)].map(|keys| Srtp::new(keys).unwrap());
            for number in 0..10 {
                hears(&mut ours, &mut theirs, number);
                hears(&mut theirs, &mut ours, number);
            }
            // The PBX's key alone changed, as with each of its re-INVITEs.
            ours.change(keys(suite, 1, 3));
            theirs.change(keys(suite, 3, 1));
            hears(&mut theirs, &mut ours, 10);
            hears(&mut ours, &mut theirs, 10);
            assert!(protected(&mut ours, 10).is_err(), "the sender did not begin anew");
        }
    }

    #[test]
    fn what_is_in_the_clear_or_forged_is_not_heard() {
        let mut ours = Srtp::new(keys(CryptoSuite::Sha1_80, 1, 2)).unwrap();
        let mut stranger = Srtp::new(keys(CryptoSuite::Sha1_80, 9, 9)).unwrap();
        assert!(ours.open_rtp(&mut packet(1)).is_err());
        let mut forged = protected(&mut stranger, 1).unwrap();
        assert!(ours.open_rtp(&mut forged).is_err());
    }

    fn hears(from: &mut Srtp, to: &mut Srtp, number: u8) {
        let mut sent = protected(from, number).unwrap();
        assert_ne!(sent[12..20], packet(number)[12..20]);
        assert_eq!(to.open_rtp(&mut sent).unwrap(), packet(number));
        let report = [&[0x80, 201, 0, 1, 0, 0, 0, 7][..], &[number; 4]].concat();
        let mut sent = report.clone();
        from.protect_rtcp(&mut sent).unwrap();
        assert_eq!(to.open_rtcp(&mut sent).unwrap(), report);
    }

    fn protected(by: &mut Srtp, number: u8) -> Result<Vec<u8>, ProtectError> {
        let mut room = packet(number);
        let length = room.len();
        room.resize(length + TAIL_BYTES, 0);
        let length = by.protect_rtp(&mut room, length)?;
        room.truncate(length);
        Ok(room)
    }

    fn packet(number: u8) -> Vec<u8> {
        [&[0x80, 8, 0, number, 0, 0, 0, 0, 0, 0, 0, 7][..], &[number; 160]].concat()
    }

    fn keys(suite: CryptoSuite, ours: u8, theirs: u8) -> SrtpKeys {
        let key = |byte| SdesKey([byte; SDES_KEY_BYTES]);
        SrtpKeys { suite, ours: key(ours), theirs: key(theirs) }
    }
}
