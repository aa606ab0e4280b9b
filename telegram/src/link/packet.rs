//! Messages in their envelopes (core.telegram.org/mtproto/description): sealed ones, containers of several, and the plain ones
//! before there is a key.

use grammers_crypto::{AuthKey, DequeBuffer, decrypt_data_v2, encrypt_data_v2};

use super::error::LinkError;
use super::news::constructor;

/// `msg_container` (core.telegram.org/mtproto/service_messages#containers).
pub(super) const CONTAINER: u32 = 0x73f1_f8dc;
/// Number, sequence number and length in front of a body.
pub(super) const MESSAGE_HEAD: usize = 8 + 4 + 4;
/// Salt and session in front of a message.
const INNER_HEAD: usize = 8 + 8;
/// What stands in front of messages: the envelope of a transport (8), key and message key (24), salt and session, a container.
const FRONT: usize = 8 + 24 + INNER_HEAD + MESSAGE_HEAD + 8;
/// Number of the key, number and length in front of a body that is not sealed.
const PLAIN_HEAD: usize = 8 + 8 + 4;
/// So much of a sealed packet may be there for nothing.
const PADDING: std::ops::RangeInclusive<usize> = 12..=1024;

/// One message, to us or from us.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Message {
    pub(super) id: i64,
    pub(super) seqno: i32,
    pub(super) body: Vec<u8>,
}

/// A message of a session of ours.
pub(super) struct Opened {
    pub(super) session_id: i64,
    pub(super) message: Message,
}

impl Message {
    /// Whether whoever gets it has to say so.
    pub(super) fn is_content(&self) -> bool {
        self.seqno & 1 == 1
    }
}

/// Seals messages into one packet; `outer` is number and sequence number of the container that several of them need.
pub(super) fn seal(
    key: &AuthKey,
    salt: i64,
    session_id: i64,
    messages: &[Message],
    outer: Option<(i64, i32)>,
) -> DequeBuffer<u8> {
    let length: usize = messages.iter().map(|message| MESSAGE_HEAD + message.body.len()).sum();
    let mut packet = DequeBuffer::with_capacity(length + 64, FRONT);
    for message in messages {
        packet.extend(head(message.id, message.seqno, message.body.len()));
        packet.extend(&message.body);
    }
    if let Some((id, seqno)) = outer {
        packet.extend_front(&word(messages.len()));
        packet.extend_front(&CONTAINER.to_le_bytes());
        packet.extend_front(&head(id, seqno, length + 8));
    }
    packet.extend_front(&session_id.to_le_bytes());
    packet.extend_front(&salt.to_le_bytes());
    encrypt_data_v2(&mut packet, key);
    packet
}

/// Opens what Telegram sealed.
pub(super) fn open(key: &AuthKey, packet: &mut [u8]) -> Result<Opened, LinkError> {
    let plain: &[u8] = decrypt_data_v2(packet, key).map_err(|error| LinkError::Garbled(error.to_string()))?;
    let session_id = number(plain.get(8..)).ok_or_else(cut)?;
    let (message, rest) = message(plain.get(INNER_HEAD..).ok_or_else(cut)?).ok_or_else(cut)?;
    // core.telegram.org/mtproto/security_guidelines#checking-message-length
    if !PADDING.contains(&rest.len()) {
        return Err(LinkError::Garbled("wrong padding".to_owned()));
    }
    Ok(Opened { session_id, message })
}

/// The messages in a container, whose constructor was seen.
pub(super) fn unpack(container: &[u8]) -> Option<Vec<Message>> {
    let count = constructor(container.get(4..)?)?;
    let mut rest = container.get(8..)?;
    let mut messages = Vec::new();
    for _ in 0..count {
        let (next, after) = message(rest)?;
        messages.push(next);
        rest = after;
    }
    Some(messages)
}

/// A message that is not sealed (core.telegram.org/mtproto/description#unencrypted-message).
pub(super) fn plain(id: i64, body: &[u8]) -> DequeBuffer<u8> {
    let mut packet = DequeBuffer::with_capacity(PLAIN_HEAD + body.len() + 8, FRONT);
    packet.extend([0; 8]);
    packet.extend(id.to_le_bytes());
    packet.extend(word(body.len()));
    packet.extend(body);
    packet
}

/// Number and body of a message that is not sealed.
pub(super) fn open_plain(packet: &[u8]) -> Result<(i64, &[u8]), LinkError> {
    if number(Some(packet)) != Some(0) {
        return Err(LinkError::Garbled("not plain".to_owned()));
    }
    let id = number(packet.get(8..)).ok_or_else(cut)?;
    let length = packet.get(16..).and_then(constructor).ok_or_else(cut)?;
    let end = usize::try_from(length).ok().and_then(|length| PLAIN_HEAD.checked_add(length));
    let body = end.and_then(|end| packet.get(PLAIN_HEAD..end)).ok_or_else(cut)?;
    Ok((id, body))
}

/// The first message, and what follows it.
fn message(bytes: &[u8]) -> Option<(Message, &[u8])> {
    let id = number(Some(bytes))?;
    let seqno = constructor(bytes.get(8..)?)?.cast_signed();
    let length = usize::try_from(constructor(bytes.get(12..)?)?).ok()?;
    let (body, rest) = bytes.get(MESSAGE_HEAD..)?.split_at_checked(length)?;
    Some((Message { id, seqno, body: body.to_vec() }, rest))
}

fn head(id: i64, seqno: i32, length: usize) -> [u8; MESSAGE_HEAD] {
    let mut head = [0; MESSAGE_HEAD];
    head[..8].copy_from_slice(&id.to_le_bytes());
    head[8..12].copy_from_slice(&seqno.to_le_bytes());
    head[12..].copy_from_slice(&word(length));
    head
}

fn word(length: usize) -> [u8; 4] {
    u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes()
}

fn number(bytes: Option<&[u8]>) -> Option<i64> {
    bytes?.first_chunk().map(|bytes| i64::from_le_bytes(*bytes))
}

fn cut() -> LinkError {
    LinkError::Garbled("cut off".to_owned())
}

/// What the other side does, for tests of this one.
#[cfg(test)]
pub(super) mod telegram {
    use sha2::{Digest as _, Sha256};

    use super::*;

    /// Opens what we sealed: salt, session and messages.
    pub(in crate::link) fn open(key: &[u8; 256], packet: &[u8]) -> (i64, i64, Vec<Message>, i64) {
        let mut plain = packet[24..].to_vec();
        let (aes_key, iv) = keys(key, packet[8..24].try_into().unwrap(), 0);
        grammers_crypto::aes::ige_decrypt(&mut plain, &aes_key, &iv);
        let salt = number(Some(&plain)).unwrap();
        let session_id = number(plain.get(8..)).unwrap();
        let (message, _) = message(&plain[16..]).unwrap();
        let outer = message.id;
        let messages = match constructor(&message.body) {
            Some(CONTAINER) => unpack(&message.body).unwrap(),
            _ => vec![message],
        };
        (salt, session_id, messages, outer)
    }

    /// Seals a message to us.
    pub(in crate::link) fn seal(key: &[u8; 256], session_id: i64, message: &Message) -> Vec<u8> {
        let mut plain = 0_i64.to_le_bytes().to_vec();
        plain.extend(session_id.to_le_bytes());
        plain.extend(head(message.id, message.seqno, message.body.len()));
        plain.extend(&message.body);
        plain.resize((plain.len() + 12).next_multiple_of(16), 0x5a);
        seal_raw(key, plain)
    }

    pub(in crate::link) fn seal_raw(key: &[u8; 256], mut plain: Vec<u8>) -> Vec<u8> {
        let msg_key: [u8; 16] = sha(&[&key[96..128], &plain])[8..24].try_into().unwrap();
        let (aes_key, iv) = keys(key, msg_key, 8);
        grammers_crypto::aes::ige_encrypt(&mut plain, &aes_key, &iv);
        let key_id = &sha1_tail(key);
        [key_id, msg_key.as_slice(), &plain].concat()
    }

    fn keys(key: &[u8; 256], msg_key: [u8; 16], x: usize) -> ([u8; 32], [u8; 32]) {
        let a = sha(&[&msg_key, &key[x..x + 36]]);
        let b = sha(&[&key[40 + x..76 + x], &msg_key]);
        let aes_key = [&a[..8], &b[8..24], &a[24..]].concat().try_into().unwrap();
        let iv = [&b[..8], &a[8..24], &b[24..]].concat().try_into().unwrap();
        (aes_key, iv)
    }

    fn sha(parts: &[&[u8]]) -> [u8; 32] {
        parts.iter().fold(Sha256::new(), |hash, part| hash.chain_update(part)).finalize().into()
    }

    /// The key's number, as whoever has the key seals with it.
    fn sha1_tail(key: &[u8; 256]) -> [u8; 8] {
        let mut packet = DequeBuffer::with_capacity(64, FRONT);
        encrypt_data_v2(&mut packet, &AuthKey::from_bytes(*key));
        packet.as_ref()[..8].try_into().unwrap()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: [u8; 256] = [7; 256];

    #[test]
    fn one_message_goes_alone_and_several_in_a_container() {
        let key = AuthKey::from_bytes(KEY);
        let one = Message { id: 4, seqno: 1, body: b"one.".to_vec() };
        let two = Message { id: 8, seqno: 3, body: b"two.two.".to_vec() };
        let packet = seal(&key, 5, 6, std::slice::from_ref(&one), None);
        assert_eq!(telegram::open(&KEY, packet.as_ref()), (5, 6, vec![one.clone()], 4));
        let both = [one, two];
        let packet = seal(&key, 5, 6, &both, Some((12, 4)));
        assert_eq!(telegram::open(&KEY, packet.as_ref()), (5, 6, both.to_vec(), 12));
    }

    #[test]
    fn what_telegram_sealed_is_opened_and_nothing_else() {
        let key = AuthKey::from_bytes(KEY);
        let message = Message { id: 5, seqno: 1, body: b"word".to_vec() };
        let mut packet = telegram::seal(&KEY, 6, &message);
        let mut garbled = packet.clone();
        let opened = open(&key, &mut packet).unwrap();
        assert_eq!((opened.session_id, opened.message), (6, message));
        garbled[30] ^= 1;
        assert!(open(&key, &mut garbled).is_err());
        for plain in [vec![0; 16], vec![0xff; 32], vec![0; 48 * 32]] {
            assert!(open(&key, &mut telegram::seal_raw(&KEY, plain)).is_err());
        }
        for length in [0, 8, 24, 40] {
            assert!(open(&key, &mut vec![0; length]).is_err());
        }
    }

    #[test]
    fn a_container_that_lies_about_its_size_is_none() {
        let mut container = CONTAINER.to_le_bytes().to_vec();
        container.extend(2_u32.to_le_bytes());
        container.extend(head(5, 1, 4));
        container.extend(b"one.");
        assert_eq!(unpack(&container), None);
        container[4] = 1;
        assert_eq!(unpack(&container).unwrap()[0].body, b"one.");
        container[20] = 0xff;
        assert_eq!(unpack(&container), None);
    }

    #[test]
    fn plain_messages_keep_their_length() {
        let packet = plain(12, b"body");
        assert_eq!(open_plain(packet.as_ref()).unwrap(), (12, b"body".as_slice()));
        assert!(open_plain(&packet.as_ref()[..22]).is_err());
        assert!(open_plain(&[1; 24]).is_err());
    }
}
