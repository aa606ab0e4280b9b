//! Reads what one end of a call told the other, from the signaling that passed and the call's key: all of it, with code
//! that the gateway does not share, so that it may say what was never sent.

use std::collections::BTreeMap;
use std::io::Read as _;

use aes::Aes256;
use anyhow::{Context as _, ensure};
use ctr::Ctr128BE;
use ctr::cipher::{KeyIvInit as _, StreamCipher as _};
use flate2::read::GzDecoder;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use tgcall::{Framing, Version};

/// Chunk type of SCTP (RFC 9260 section 3.3.1), and its flags.
const DATA: u8 = 0;
const BEGINS: u8 = 2;
const ENDS: u8 = 1;
/// Types of records.
const EMPTY: u8 = 0xfe;
const ACK: u8 = 0xff;
const CUSTOM: u8 = 0x7f;

/// An ear on one direction of one call.
pub struct Wiretap {
    key: [u8; 256],
    /// Where in the key this direction's part begins.
    offset: usize,
    framing: Framing,
    records: Vec<Vec<u8>>,
    /// Of SCTP, by transmission sequence number: flags and user data.
    chunks: BTreeMap<u32, (u8, Vec<u8>)>,
}

impl Wiretap {
    /// An ear on what the caller, or the callee, says.
    pub fn new(key: [u8; 256], version: Version, on_caller: bool) -> Self {
        let offset = if on_caller { 128 } else { 136 };
        Self { key, offset, framing: version.framing(), records: Vec::new(), chunks: BTreeMap::new() }
    }

    /// Takes a packet that passed.
    ///
    /// # Errors
    /// When it is not sealed with the key, or not made as such packets are.
    pub fn take(&mut self, packet: &[u8]) -> anyhow::Result<()> {
        match self.framing {
            Framing::Records => {
                let plain = open(&self.key, self.offset, packet)?;
                self.records.extend(records(&plain)?);
            }
            Framing::Sctp => self.chunks.extend(chunks(packet)?),
        }
        Ok(())
    }

    /// The messages so far, repeated ones too.
    ///
    /// # Errors
    /// When one is no JSON.
    pub fn messages(&self) -> anyhow::Result<Vec<Value>> {
        let mut documents = self.records.clone();
        let mut message = Vec::new();
        for (flags, data) in self.chunks.values() {
            if flags & BEGINS != 0 {
                message.clear();
            }
            message.extend_from_slice(data);
            if flags & ENDS != 0 {
                let plain = open(&self.key, self.offset, &message)?;
                let mut document = Vec::new();
                GzDecoder::new(plain.get(4..).context("no counter")?).read_to_end(&mut document)?;
                documents.push(document);
            }
        }
        documents.iter().map(|document| Ok(serde_json::from_slice(document)?)).collect()
    }

    /// The candidates among them, as SDP has them (RFC 8839 section 5.1).
    ///
    /// # Errors
    /// As [`Wiretap::messages`].
    pub fn candidates(&self) -> anyhow::Result<Vec<Candidate>> {
        let messages = self.messages()?;
        let lists = messages.iter().filter(|message| message["@type"] == "Candidates");
        let all = lists.flat_map(|message| message["candidates"].as_array().into_iter().flatten());
        all.map(|one| Candidate::read(one["sdpString"].as_str().context("a candidate has a text")?)).collect()
    }
}

/// One way to reach somebody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// An IP address, or a reflector's name.
    pub address: String,
    pub port: u16,
    /// `host`, `srflx`, `relay`.
    pub kind: String,
    /// What it is based on, if that is said and says something.
    pub related: Option<String>,
}

impl Candidate {
    fn read(text: &str) -> anyhow::Result<Self> {
        let words: Vec<&str> = text.split_whitespace().collect();
        ensure!(words.len() >= 8 && words[6] == "typ", "{text:?} is no candidate");
        let related = words.windows(2).find(|pair| pair[0] == "raddr").map(|pair| pair[1]);
        Ok(Self {
            address: words[4].to_owned(),
            port: words[5].parse()?,
            kind: words[7].to_owned(),
            related: related.filter(|address| !["0.0.0.0", "::"].contains(address)).map(str::to_owned),
        })
    }
}

fn open(key: &[u8; 256], offset: usize, packet: &[u8]) -> anyhow::Result<Vec<u8>> {
    let (message_key, sealed) = packet.split_first_chunk::<16>().context("too short")?;
    let part = |from: usize, length: usize| &key[from + offset..from + offset + length];
    let a = Sha256::new().chain_update(message_key).chain_update(part(0, 36)).finalize();
    let b = Sha256::new().chain_update(part(40, 36)).chain_update(message_key).finalize();
    let aes_key: [u8; 32] = std::array::from_fn(|at| if (8..24).contains(&at) { b[at] } else { a[at] });
    let iv: [u8; 16] = std::array::from_fn(|at| match at {
        0..4 => b[at],
        4..12 => a[at + 4],
        _ => b[at + 12],
    });
    let mut plain = sealed.to_vec();
    Ctr128BE::<Aes256>::new(&aes_key.into(), &iv.into()).apply_keystream(&mut plain);
    let sum = Sha256::new().chain_update(part(88, 32)).chain_update(&plain).finalize();
    ensure!(sum[8..24] == message_key[..], "not sealed with this key");
    Ok(plain)
}

/// The documents of a packet of records.
fn records(mut plain: &[u8]) -> anyhow::Result<Vec<Vec<u8>>> {
    let mut documents = Vec::new();
    while let Some((head, rest)) = plain.split_first_chunk::<5>() {
        plain = rest;
        match head[4] {
            EMPTY | ACK => {}
            CUSTOM => {
                let (length, rest) = plain.split_first_chunk::<4>().context("no length")?;
                let length = u32::from_be_bytes(*length) as usize;
                documents.push(rest.get(..length).context("cut off")?.to_vec());
                plain = &rest[length..];
            }
            other => anyhow::bail!("a record of type {other:#x}"),
        }
    }
    ensure!(plain.is_empty(), "{} bytes too many", plain.len());
    Ok(documents)
}

/// A transmission sequence number, and under it flags and user data.
type Chunk = (u32, (u8, Vec<u8>));

/// The data chunks of an SCTP packet.
fn chunks(packet: &[u8]) -> anyhow::Result<Vec<Chunk>> {
    let mut rest = packet.get(12..).context("no SCTP header")?;
    let mut found = Vec::new();
    while let Some(head) = rest.first_chunk::<4>() {
        let length = usize::from(u16::from_be_bytes([head[2], head[3]]));
        let chunk = rest.get(4..length).context("a chunk is cut off")?;
        if head[0] == DATA {
            let number = u32::from_be_bytes(*chunk.first_chunk().context("no number")?);
            found.push((number, (head[1], chunk.get(12..).context("no data")?.to_vec())));
        }
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use tgcall::SharedKey;
    use tgcall::signaling::message::Candidates;
    use tgcall::signaling::{CustomParameters, Message, Signaling};

    use super::*;
    use crate::clock::now;

    #[test]
    fn a_candidate_is_read_with_what_it_gives_away() {
        let relay = "candidate:1 1 udp 58589952 192.0.2.1 40001 typ relay raddr 0.0.0.0 rport 0 generation 0";
        let read = Candidate::read(relay).unwrap();
        assert_eq!((read.address.as_str(), read.kind.as_str(), read.related), ("192.0.2.1", "relay", None));
        let reflexive = "candidate:1 1 udp 5 192.0.2.1 40001 typ srflx raddr 10.0.0.7 rport 9";
        assert_eq!(Candidate::read(reflexive).unwrap().related.as_deref(), Some("10.0.0.7"));
        assert!(Candidate::read("candidate:1 1 udp 5").is_err());
    }

    const TRUE_KEY: [u8; 256] = {
        let mut key = [7; 256];
        key[130] = 1;
        key
    };

    /// What an ear with a key on one end hears while the caller tells the callee a candidate.
    fn overheard(version: Version, key: [u8; 256], on_caller: bool) -> anyhow::Result<Vec<Candidate>> {
        let (true_key, now) = (SharedKey::from_bytes(TRUE_KEY), now());
        let end =
            |is_caller| Signaling::new(version, &true_key, is_caller, &CustomParameters::default(), now);
        let (mut caller, mut callee) = (end(true), end(false));
        let mut tap = Wiretap::new(key, version, on_caller);
        caller.send(now, &Message::Candidates(Candidates::one("candidate:1 1 udp 5 192.0.2.1 9 typ host")));
        loop {
            let (to_callee, to_caller) = (caller.poll_packet(), callee.poll_packet());
            if let Some(packet) = &to_callee {
                tap.take(packet)?;
                callee.handle_packet(now, packet);
            }
            if let Some(packet) = &to_caller {
                caller.handle_packet(now, packet);
            }
            if to_callee.or(to_caller).is_none() {
                return tap.candidates();
            }
        }
    }

    #[test]
    fn what_the_caller_says_in_any_version_is_heard_with_the_key_on_the_callers_side_alone() {
        for version in Version::OURS {
            let heard = overheard(version, TRUE_KEY, true).unwrap();
            assert_eq!(heard.len(), 1, "{version:?}");
            assert_eq!((heard[0].address.as_str(), heard[0].kind.as_str()), ("192.0.2.1", "host"));
            assert!(overheard(version, [8; 256], true).is_err(), "{version:?}");
        }
        assert!(overheard(Version::V9, TRUE_KEY, false).is_err());
    }
}
