//! Packets of `updatePhoneCallSignalingData`: raw ones, and ones sealed with the call's key, as a peer may make them.

use std::time::{Duration, Instant};

use aes::Aes256;
use ctr::Ctr128BE;
use ctr::cipher::{KeyIvInit, StreamCipher};
use sha2::{Digest, Sha256};
use tgcall::signaling::{CustomParameters, Message, Signaling};
use tgcall::{SharedKey, Version};

use super::script::Script;

/// Plays a script against one end of a call's signaling, an honest peer being there too.
pub fn take(bytes: &[u8]) {
    let mut script = Script::new(bytes);
    let how = script.byte();
    let version = Version::OURS[usize::from(how & 3) % Version::OURS.len()];
    let is_caller = how & 4 != 0;
    let parameters = CustomParameters { signaling_without_sctp: how & 8 != 0, ..CustomParameters::default() };
    let key = SharedKey::from_bytes(std::array::from_fn(|at| (at * 7 + 3) as u8));
    let mut now = Instant::now();
    let mut end = Signaling::new(version, &key, is_caller, &parameters, now);
    let mut peer = Signaling::new(version, &key, !is_caller, &parameters, now);
    let mut counter = 0_u32;
    while let Some(step) = script.step() {
        match step % 8 {
            0 => end.handle_packet(now, script.bytes()),
            1 => end.handle_packet(now, &sealed(&key, !is_caller, script.bytes())),
            2 => {
                // The next counter, so that what follows is looked at; the flags above it are the script's.
                counter += 1;
                let word = u32::from(script.byte()) << 24 & 0xc000_0000 | counter;
                let plaintext = [&word.to_be_bytes(), script.bytes()].concat();
                end.handle_packet(now, &sealed(&key, !is_caller, &plaintext));
            }
            3 => end.handle_packet(now, &with_sum(script.bytes())),
            4 => {
                now += Duration::from_millis(u64::from(script.word()));
                end.handle_timeout(now);
                peer.handle_timeout(now);
            }
            5 => {
                if let Ok(message) = Message::parse(script.bytes()) {
                    peer.send(now, &message);
                }
            }
            6 => {
                // One honest packet, damaged where the script says so.
                let (at, mask) = (usize::from(script.word()), script.byte());
                if let Some(mut packet) = peer.poll_packet() {
                    let length = packet.len().max(1);
                    if let Some(byte) = packet.get_mut(at % length) {
                        *byte ^= mask;
                    }
                    let packet = if mask & 1 == 0 { with_sum(&packet) } else { packet };
                    end.handle_packet(now, &packet);
                }
            }
            _ => {
                while let Some(packet) = peer.poll_packet() {
                    end.handle_packet(now, &packet);
                }
                while let Some(packet) = end.poll_packet() {
                    peer.handle_packet(now, &packet);
                }
            }
        }
        let messages = std::iter::from_fn(|| end.poll_message()).count();
        assert!(messages < 10_000, "{messages} messages out of one packet");
        while peer.poll_message().is_some() {}
        if step % 8 != 7 && step & 0x80 != 0 {
            while let Some(packet) = end.poll_packet() {
                peer.handle_packet(now, &packet);
            }
        }
    }
    if how & 16 != 0 {
        assert!(format!("{end:?}").starts_with("Signaling"));
    }
}

/// The envelope written out a second time, after Telegram's page on end-to-end encrypted calls.
fn sealed(key: &SharedKey, by_caller: bool, plaintext: &[u8]) -> Vec<u8> {
    let x = if by_caller { 128 } else { 136 };
    let part = |from: usize, length: usize| &key.bytes()[from + x..][..length];
    let large = Sha256::new().chain_update(part(88, 32)).chain_update(plaintext).finalize();
    let message_key = &large[8..24];
    let a = Sha256::new().chain_update(message_key).chain_update(part(0, 36)).finalize();
    let b = Sha256::new().chain_update(part(40, 36)).chain_update(message_key).finalize();
    let aes_key: [u8; 32] = [&a[..8], &b[8..24], &a[24..]].concat().try_into().unwrap();
    let iv: [u8; 16] = [&b[..4], &a[8..16], &b[24..28]].concat().try_into().unwrap();
    let mut packet = [message_key, plaintext].concat();
    Ctr128BE::<Aes256>::new(&aes_key.into(), &iv.into()).apply_keystream(&mut packet[16..]);
    packet
}

/// The bytes as an SCTP packet with the right checksum, CRC-32C (RFC 9260 appendix A).
fn with_sum(bytes: &[u8]) -> Vec<u8> {
    let mut packet = bytes.to_vec();
    if packet.len() >= 12 {
        packet[8..12].fill(0);
        let sum = !packet.iter().fold(!0_u32, |sum, &byte| {
            (0..8).fold(sum ^ u32::from(byte), |sum, _| sum >> 1 ^ if sum & 1 == 1 { 0x82f6_3b78 } else { 0 })
        });
        packet[8..12].copy_from_slice(&sum.to_le_bytes());
    }
    packet
}
