//! The path of a Telegram end whose keys are agreed on elsewhere: connectivity checks of an end that controls and has one
//! candidate (RFC 8445), in bare STUN (RFC 8489). What comes is not verified; the other end verifies what goes.

use std::net::SocketAddrV4;
use std::time::Duration;

use aws_lc_rs::hmac;
use tokio::sync::mpsc::UnboundedSender;

use super::ends::{Keys, Word};

const COOKIE: [u8; 4] = 0x2112_a442_u32.to_be_bytes();
const REQUEST: u16 = 0x0001;
const ANSWER: u16 = 0x0101;
const USERNAME: u16 = 0x0006;
const MESSAGE_INTEGRITY: u16 = 0x0008;
const XOR_MAPPED_ADDRESS: u16 = 0x0020;
const PRIORITY: u16 = 0x0024;
const USE_CANDIDATE: u16 = 0x0025;
const FINGERPRINT: u16 = 0x8028;
const ICE_CONTROLLING: u16 = 0x802a;
const HEADER: usize = 20;
const ICE_PRIORITY: u32 = 0x6e00_01ff;

/// Between checks until one is answered, and then.
const SOON: Duration = Duration::from_millis(100);
const PACE: Duration = Duration::from_secs(1);

/// ICE credentials.
#[derive(Debug, Clone)]
pub struct Credentials {
    pub ufrag: String,
    pub pwd: String,
}

/// A path that is checked.
pub struct Checked {
    pub(super) remote: SocketAddrV4,
    ours: Credentials,
    theirs: Credentials,
    say: UnboundedSender<Word>,
    sent: u64,
    is_found: bool,
    pub(super) keys: Option<Keys>,
}

impl Checked {
    pub fn new(
        remote: SocketAddrV4,
        ours: Credentials,
        theirs: Credentials,
        say: UnboundedSender<Word>,
    ) -> Self {
        Self { remote, ours, theirs, say, sent: 0, is_found: false, keys: None }
    }

    /// The next check.
    pub(super) fn request(&mut self) -> Vec<u8> {
        self.sent += 1;
        let mut id = [0x5a; 12];
        id[..8].copy_from_slice(&self.sent.to_be_bytes());
        let name = format!("{}:{}", self.theirs.ufrag, self.ours.ufrag);
        let parts: [(u16, &[u8]); 4] = [
            (USERNAME, name.as_bytes()),
            (PRIORITY, &ICE_PRIORITY.to_be_bytes()),
            (ICE_CONTROLLING, &[0xff; 8]),
            (USE_CANDIDATE, &[]),
        ];
        message(REQUEST, &id, &parts, &self.theirs.pwd)
    }

    /// How long until the next.
    pub(super) fn pace(&self) -> Duration {
        if self.is_found { PACE } else { SOON }
    }

    /// Takes what is no sound; what is to be answered to it.
    pub(super) fn take(&mut self, source: SocketAddrV4, datagram: &[u8]) -> Option<Vec<u8>> {
        match (datagram.first()?, datagram.get(..HEADER)) {
            (0..=3, Some(header)) => match u16::from_be_bytes([header[0], header[1]]) {
                REQUEST => Some(self.answer(source, &header[8..])),
                ANSWER => {
                    if !self.is_found {
                        self.is_found = true;
                        self.say.send(Word::Path).ok();
                    }
                    None
                }
                _ => None,
            },
            (20..=63, _) => {
                self.say.send(Word::Handshake(datagram.to_vec())).ok();
                None
            }
            _ => None,
        }
    }

    fn answer(&self, source: SocketAddrV4, id: &[u8]) -> Vec<u8> {
        let mask = u32::from_be_bytes(COOKIE);
        let mut address = vec![0, 1];
        address.extend_from_slice(&(source.port() ^ (mask >> 16) as u16).to_be_bytes());
        address.extend_from_slice(&(u32::from(*source.ip()) ^ mask).to_be_bytes());
        message(ANSWER, id, &[(XOR_MAPPED_ADDRESS, &address)], &self.ours.pwd)
    }
}

fn message(kind: u16, id: &[u8], parts: &[(u16, &[u8])], password: &str) -> Vec<u8> {
    let mut message = Vec::with_capacity(128);
    message.extend_from_slice(&kind.to_be_bytes());
    message.extend_from_slice(&[0, 0]);
    message.extend_from_slice(&COOKIE);
    message.extend_from_slice(id);
    for (name, value) in parts {
        put(&mut message, *name, value);
    }
    // Each of the last two covers a length that has it counted already.
    set_length(&mut message, 24);
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, password.as_bytes());
    let tag = hmac::sign(&key, &message);
    put(&mut message, MESSAGE_INTEGRITY, tag.as_ref());
    set_length(&mut message, 8);
    let mut checksum = flate2::Crc::new();
    checksum.update(&message);
    put(&mut message, FINGERPRINT, &(checksum.sum() ^ 0x5354_554e).to_be_bytes());
    message
}

fn put(message: &mut Vec<u8>, name: u16, value: &[u8]) {
    message.extend_from_slice(&name.to_be_bytes());
    message.extend_from_slice(&(value.len() as u16).to_be_bytes());
    message.extend_from_slice(value);
    message.resize(message.len().next_multiple_of(4), 0);
}

fn set_length(message: &mut [u8], to_come: usize) {
    let length = (message.len() - HEADER + to_come) as u16;
    message[2..4].copy_from_slice(&length.to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_that_of_the_rfc() {
        // RFC 5769 section 2.2, without SOFTWARE, whose bytes were computed by its rules with Python's hmac and zlib.
        let id: [u8; 12] = hex::decode("b7e7a701bc34d686fa87dfae").unwrap().try_into().unwrap();
        let (say, _said) = tokio::sync::mpsc::unbounded_channel();
        let credentials = |pwd: &str| Credentials { ufrag: "evtj".to_owned(), pwd: pwd.to_owned() };
        let source = SocketAddrV4::new([192, 0, 2, 1].into(), 32_853);
        let ours = credentials("VOkJxbRl1RmTxUk/WvJxBt");
        let checked = Checked::new(source, ours, credentials("x"), say);
        let wanted = [
            "0101002c2112a442b7e7a701bc34d686fa87dfae002000080001a147e112a6430008001474c9371ebf3148548518699c",
            "3e3174c20dd9e68a80280004fae4043a",
        ];
        assert_eq!(hex::encode(checked.answer(source, &id)), wanted.concat());
    }
}
