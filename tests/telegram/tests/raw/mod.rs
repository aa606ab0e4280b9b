//! A client of the wire that says exactly what it is told to say.

use std::io::Read;
use std::net::SocketAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aes::cipher::{KeyIvInit, StreamCipher};
use grammers_crypto::{AuthKey, DequeBuffer, aes::ige_decrypt, decrypt_data_v2, encrypt_data_v2};
use grammers_tl_types::{Cursor, Deserializable, Serializable};
use sha2::{Digest, Sha256};
use tgtrunk_test_telegram::wire::KeyRing;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::tiny::config;

type Ctr = ctr::Ctr128BE<aes::Aes256>;

const RPC_RESULT: u32 = 0xf35c_6d01;
const RPC_ERROR: u32 = 0x2144_ca19;
const GZIP_PACKED: u32 = 0x3072_cfa1;
const CONTAINER: u32 = 0x73f1_f8dc;

/// How frames are cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Framing {
    Full,
    Abridged,
    Intermediate,
    Padded,
    ObfuscatedAbridged,
    ObfuscatedIntermediate,
    ObfuscatedPadded,
}

/// A message to the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) msg_id: i64,
    pub(crate) seqno: i32,
    pub(crate) body: Vec<u8>,
}

/// A message from the server; `body` begins behind the constructor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Incoming {
    pub(crate) msg_id: i64,
    pub(crate) seqno: i32,
    pub(crate) constructor: u32,
    pub(crate) body: Vec<u8>,
}

/// How the server ended a connection, within the client's patience.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Closed {
    Not,
    Fin,
    Reset,
    /// A transport error, then FIN.
    Error(i32),
}

pub(crate) struct Raw {
    pub(crate) framing: Framing,
    pub(crate) session_id: i64,
    pub(crate) salt: i64,
    pub(crate) first_msg_id: i64,
    pub(crate) last_msg_id: i64,
    /// Messages that came and that nobody asked for yet.
    pub(crate) others: Vec<Incoming>,
    pub(crate) patience: Duration,
    pub(crate) quick_ack: bool,
    pub(crate) last_token: u32,
    key: [u8; 256],
    content: i32,
    stream: Option<TcpStream>,
    buffer: Vec<u8>,
    tokens: Vec<u32>,
    errors: Vec<i32>,
    frames_sent: u32,
    ciphers: Option<(Ctr, Ctr)>,
}

enum Event {
    Bytes,
    Closed(Closed),
}

impl Framing {
    pub(crate) const ALL: [Self; 7] = [
        Self::Full,
        Self::Abridged,
        Self::Intermediate,
        Self::Padded,
        Self::ObfuscatedAbridged,
        Self::ObfuscatedIntermediate,
        Self::ObfuscatedPadded,
    ];

    fn is_abridged(self) -> bool {
        matches!(self, Self::Abridged | Self::ObfuscatedAbridged)
    }

    fn is_padded(self) -> bool {
        matches!(self, Self::Padded | Self::ObfuscatedPadded)
    }

    fn tag(self) -> u8 {
        match self {
            Self::Full => 0,
            Self::Abridged | Self::ObfuscatedAbridged => 0xef,
            Self::Intermediate | Self::ObfuscatedIntermediate => 0xee,
            Self::Padded | Self::ObfuscatedPadded => 0xdd,
        }
    }
}

impl Message {
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let length = self.body.len() as u32;
        [&self.msg_id.to_le_bytes()[..], &self.seqno.to_le_bytes(), &length.to_le_bytes(), &self.body]
            .concat()
    }
}

impl Incoming {
    /// The eight bytes at an offset behind the constructor.
    pub(crate) fn long(&self, at: usize) -> i64 {
        i64::from_le_bytes(self.body[at..at + 8].try_into().unwrap())
    }

    /// The four bytes at an offset behind the constructor.
    pub(crate) fn int(&self, at: usize) -> i32 {
        i32::from_le_bytes(self.body[at..at + 4].try_into().unwrap())
    }
}

impl Raw {
    pub(crate) fn new(key: [u8; 256]) -> Self {
        Self {
            framing: Framing::Full,
            session_id: i64::from_le_bytes(random()),
            salt: 0,
            first_msg_id: 0,
            last_msg_id: 0,
            others: Vec::new(),
            patience: Duration::from_millis(300),
            quick_ack: false,
            last_token: 0,
            key,
            content: 0,
            stream: None,
            buffer: Vec::new(),
            tokens: Vec::new(),
            errors: Vec::new(),
            frames_sent: 0,
            ciphers: None,
        }
    }

    /// A new session of the same key.
    pub(crate) async fn another(&self, address: SocketAddr) -> Self {
        let mut raw = Self::new(self.key);
        raw.reconnect(address).await;
        raw
    }

    pub(crate) fn key_id(&self) -> i64 {
        KeyRing::id_of(self.key)
    }

    /// A new connection for the same session.
    pub(crate) async fn reconnect(&mut self, address: SocketAddr) {
        self.stream = Some(TcpStream::connect(address).await.unwrap());
        self.buffer.clear();
        self.frames_sent = 0;
        self.ciphers = None;
    }

    pub(crate) async fn close(&mut self) {
        self.stream.take().unwrap().shutdown().await.unwrap();
    }

    /// The next message, content-related or not.
    pub(crate) fn message(&mut self, content: bool, body: Vec<u8>) -> Message {
        let now = unix_now();
        let clock = (now.as_secs() << 32 | u64::from(now.subsec_nanos()) << 2) as i64 & !3;
        self.last_msg_id = clock.max(self.last_msg_id + 16);
        let seqno = self.content * 2 + i32::from(content);
        self.content += i32::from(content);
        Message { msg_id: self.last_msg_id, seqno, body }
    }

    /// Sends a content-related message and returns its identifier.
    pub(crate) async fn send(&mut self, body: Vec<u8>) -> i64 {
        let message = self.message(true, body);
        self.write(&message).await;
        message.msg_id
    }

    /// Sends a constructor with a vector of identifiers, not content-related.
    pub(crate) async fn send_service(&mut self, mut body: Vec<u8>, msg_ids: &[i64]) {
        msg_ids.to_vec().serialize(&mut body);
        let message = self.message(false, body);
        self.write(&message).await;
    }

    /// Sends messages in one container and returns their identifiers.
    pub(crate) async fn send_all(&mut self, bodies: Vec<(bool, Vec<u8>)>) -> Vec<i64> {
        let messages: Vec<_> =
            bodies.into_iter().map(|(content, body)| self.message(content, body)).collect();
        let mut body = [CONTAINER.to_bytes(), (messages.len() as u32).to_bytes()].concat();
        for message in &messages {
            body.extend(message.to_bytes());
        }
        let container = self.message(false, body);
        self.write(&container).await;
        messages.iter().map(|message| message.msg_id).collect()
    }

    pub(crate) async fn write(&mut self, message: &Message) {
        let frame = self.seal(message);
        self.write_frame(&frame).await;
    }

    /// The envelope of a message.
    pub(crate) fn seal(&mut self, message: &Message) -> Vec<u8> {
        let mut buffer = DequeBuffer::<u8>::with_capacity(1024, 64);
        buffer.extend(self.salt.to_le_bytes());
        buffer.extend(self.session_id.to_le_bytes());
        buffer.extend(message.to_bytes());
        encrypt_data_v2(&mut buffer, &AuthKey::from_bytes(self.key));
        let sealed = buffer[..].to_vec();
        self.last_token = self.token(&sealed);
        sealed
    }

    pub(crate) async fn write_frame(&mut self, payload: &[u8]) {
        let mut out = Vec::new();
        let mark = u32::from(self.quick_ack) << 31;
        match self.framing {
            Framing::Full => {
                out.extend((payload.len() as u32 + 12).to_le_bytes());
                out.extend(self.frames_sent.to_le_bytes());
                out.extend(payload);
                let mut crc = flate2::Crc::new();
                crc.update(&out);
                out.extend(crc.sum().to_le_bytes());
            }
            framing if framing.is_abridged() => {
                let words = payload.len() as u32 / 4;
                let mark = (mark >> 24) as u8;
                match words {
                    ..0x7f => out.push(words as u8 | mark),
                    _ => out.extend((words << 8 | 0x7f | u32::from(mark)).to_le_bytes()),
                }
                out.extend(payload);
            }
            framing => {
                let padding = if framing.is_padded() { 7 } else { 0 };
                out.extend(((payload.len() as u32 + padding) | mark).to_le_bytes());
                out.extend(payload);
                out.extend(&[0xaa; 7][..padding as usize]);
            }
        }
        let mut head = Vec::new();
        if self.frames_sent == 0 {
            head = self.head();
        }
        if let Some((to_server, _)) = &mut self.ciphers {
            to_server.apply_keystream(&mut out);
        }
        self.frames_sent += 1;
        self.write_bytes(&[head, out].concat()).await;
    }

    pub(crate) async fn write_bytes(&mut self, bytes: &[u8]) {
        self.stream.as_mut().unwrap().write_all(bytes).await.unwrap();
    }

    /// The next message with this constructor.
    pub(crate) async fn expect(&mut self, constructor: u32) -> Incoming {
        self.find(&format!("{constructor:08x}"), |message| message.constructor == constructor).await
    }

    /// What a request was answered with, unpacked.
    pub(crate) async fn result(&mut self, msg_id: i64) -> Vec<u8> {
        unpacked(&self.answer(msg_id).await).0
    }

    /// Whether a request's result, a configuration, was packed.
    pub(crate) async fn packed_result(&mut self, msg_id: i64) -> bool {
        let (result, packed) = unpacked(&self.answer(msg_id).await);
        assert_eq!(result, config(2));
        packed
    }

    /// The error a request was answered with.
    pub(crate) async fn error(&mut self, msg_id: i64) -> (i32, String) {
        let answer = self.answer(msg_id).await;
        let mut cursor = Cursor::from_slice(&answer);
        assert_eq!(u32::deserialize(&mut cursor), Ok(RPC_ERROR));
        (i32::deserialize(&mut cursor).unwrap(), String::deserialize(&mut cursor).unwrap())
    }

    /// Whether nothing at all comes for a while.
    pub(crate) async fn is_quiet(&mut self, time: Duration) -> bool {
        timeout(time, self.read()).await.is_err() && self.others.is_empty()
    }

    /// Whether no answer comes for a while.
    pub(crate) async fn is_without_result(&mut self, time: Duration) -> bool {
        let reading = async {
            loop {
                self.read().await;
            }
        };
        let _ = timeout(time, reading).await;
        self.others.iter().all(|message| message.constructor != RPC_RESULT)
    }

    /// Waits for the end of the connection.
    pub(crate) async fn closed(&mut self) -> Closed {
        let patience = self.patience;
        loop {
            match timeout(patience, self.read()).await {
                Err(_) => return Closed::Not,
                Ok(Event::Bytes) => {}
                Ok(Event::Closed(Closed::Fin)) => {
                    return self.errors.pop().map_or(Closed::Fin, Closed::Error);
                }
                Ok(Event::Closed(closed)) => return closed,
            }
        }
    }

    pub(crate) async fn read_quick_ack(&mut self) -> u32 {
        while self.tokens.is_empty() {
            assert!(matches!(self.read().await, Event::Bytes));
        }
        self.tokens.remove(0)
    }

    async fn answer(&mut self, msg_id: i64) -> Vec<u8> {
        let is_answer = |message: &Incoming| message.constructor == RPC_RESULT && message.long(0) == msg_id;
        self.find("the answer", is_answer).await.body[8..].to_vec()
    }

    async fn find(&mut self, what: &str, is_wanted: impl Fn(&Incoming) -> bool) -> Incoming {
        loop {
            if let Some(at) = self.others.iter().position(&is_wanted) {
                return self.others.remove(at);
            }
            match timeout(Duration::from_secs(5), self.read()).await {
                Ok(Event::Bytes) => {}
                Ok(Event::Closed(closed)) => panic!("{closed:?} instead of {what}, {:?}", self.errors),
                Err(_) => panic!("no {what}, only {:x?}", self.others),
            }
        }
    }

    async fn read(&mut self) -> Event {
        let mut bytes = vec![0; 1 << 16];
        match self.stream.as_mut().unwrap().read(&mut bytes).await {
            Ok(0) => return Event::Closed(Closed::Fin),
            Ok(length) => bytes.truncate(length),
            Err(_) => return Event::Closed(Closed::Reset),
        }
        if let Some((_, from_server)) = &mut self.ciphers {
            from_server.apply_keystream(&mut bytes);
        }
        self.buffer.extend(bytes);
        while let Some(frame) = self.frame() {
            if frame.len() < 8 {
                self.errors.push(i32::from_le_bytes(frame[..4].try_into().unwrap()));
            } else {
                self.open(frame);
            }
        }
        Event::Bytes
    }

    fn frame(&mut self) -> Option<Vec<u8>> {
        let word = |buffer: &[u8]| Some(u32::from_le_bytes(*buffer.first_chunk()?));
        let first = *self.buffer.first()?;
        let (head, length, tail) = match self.framing {
            Framing::Full if first as i8 != 0 && word(&self.buffer)? > 1 << 31 => {
                let error: Vec<u8> = self.buffer.drain(..12).collect();
                assert_eq!(error, error[..4].repeat(3));
                return Some(error[..4].to_vec());
            }
            Framing::Full => (8, word(&self.buffer)? as usize - 12, 4),
            framing if framing.is_abridged() && first & 0x80 != 0 => {
                let token: Vec<u8> = self.buffer.drain(..4).collect();
                self.tokens.push(u32::from_be_bytes(token.try_into().unwrap()));
                return self.frame();
            }
            framing if framing.is_abridged() && first != 0x7f => (1, usize::from(first) * 4, 0),
            framing if framing.is_abridged() => (4, word(&self.buffer)? as usize >> 8 << 2, 0),
            _ if word(&self.buffer)? > 1 << 31 => {
                self.tokens.push(word(&self.buffer)?);
                self.buffer.drain(..4);
                return self.frame();
            }
            _ => (4, word(&self.buffer)? as usize, 0),
        };
        if self.buffer.len() < head + length + tail {
            return None;
        }
        let frame: Vec<u8> = self.buffer.drain(..head + length + tail).collect();
        Some(frame[head..head + length].to_vec())
    }

    fn open(&mut self, mut frame: Vec<u8>) {
        frame.truncate(24 + (frame.len() - 24) / 16 * 16);
        let plain = decrypt_data_v2(&mut frame, &AuthKey::from_bytes(self.key)).unwrap();
        assert_eq!(plain[8..16], self.session_id.to_le_bytes());
        let messages = split(&plain[16..], 1);
        for (msg_id, seqno, body) in messages {
            if body.starts_with(&CONTAINER.to_le_bytes()) {
                let count = u32::from_le_bytes(body[4..8].try_into().unwrap());
                for (inner, seqno, body) in split(&body[8..], count) {
                    assert!(inner < msg_id);
                    self.others.push(incoming(inner, seqno, body));
                }
            } else {
                self.others.push(incoming(msg_id, seqno, body));
            }
        }
    }

    /// What the connection begins with.
    fn head(&mut self) -> Vec<u8> {
        let tag = self.framing.tag();
        match self.framing {
            Framing::Full => Vec::new(),
            Framing::Abridged => vec![tag],
            Framing::Intermediate | Framing::Padded => vec![tag; 4],
            _ => {
                let mut header: [u8; 64] = random();
                header[0] = 0x55;
                header[4] = 0x55;
                header[56..60].fill(tag);
                header[60..62].copy_from_slice(&2i16.to_le_bytes());
                let mut reversed = header;
                reversed[8..56].reverse();
                let cipher = |header: &[u8; 64]| {
                    let (key, iv): ([u8; 32], [u8; 16]) =
                        (header[8..40].try_into().unwrap(), header[40..56].try_into().unwrap());
                    Ctr::new(&key.into(), &iv.into())
                };
                let mut to_server = cipher(&header);
                let mut sealed = header;
                to_server.apply_keystream(&mut sealed);
                self.ciphers = Some((to_server, cipher(&reversed)));
                [&header[..56], &sealed[56..]].concat()
            }
        }
    }

    /// The quick acknowledgment an envelope deserves.
    fn token(&self, sealed: &[u8]) -> u32 {
        let msg_key = &sealed[8..24];
        let a = Sha256::new().chain_update(msg_key).chain_update(&self.key[..36]).finalize();
        let b = Sha256::new().chain_update(&self.key[40..76]).chain_update(msg_key).finalize();
        let mut plain = sealed[24..].to_vec();
        let key = [&a[..8], &b[8..24], &a[24..]].concat().try_into().unwrap();
        let iv = [&b[..8], &a[8..24], &b[24..]].concat().try_into().unwrap();
        ige_decrypt(&mut plain, &key, &iv);
        let large = Sha256::new().chain_update(&self.key[88..120]).chain_update(&plain).finalize();
        u32::from_le_bytes(large[..4].try_into().unwrap()) | 1 << 31
    }
}

fn split(mut bytes: &[u8], count: u32) -> Vec<(i64, i32, Vec<u8>)> {
    let mut messages = Vec::new();
    for _ in 0..count {
        let msg_id = i64::from_le_bytes(bytes[..8].try_into().unwrap());
        let seqno = i32::from_le_bytes(bytes[8..12].try_into().unwrap());
        let length = u32::from_le_bytes(bytes[12..16].try_into().unwrap()) as usize;
        messages.push((msg_id, seqno, bytes[16..16 + length].to_vec()));
        bytes = &bytes[16 + length..];
    }
    messages
}

fn incoming(msg_id: i64, seqno: i32, body: Vec<u8>) -> Incoming {
    let (constructor, body) = body.split_first_chunk::<4>().unwrap();
    Incoming { msg_id, seqno, constructor: u32::from_le_bytes(*constructor), body: body.to_vec() }
}

fn unpacked(object: &[u8]) -> (Vec<u8>, bool) {
    if !object.starts_with(&GZIP_PACKED.to_le_bytes()) {
        return (object.to_vec(), false);
    }
    let packed = Vec::<u8>::from_bytes(&object[4..]).unwrap();
    let mut out = Vec::new();
    flate2::read::GzDecoder::new(&packed[..]).read_to_end(&mut out).unwrap();
    (out, true)
}

fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).unwrap();
    bytes
}

#[allow(clippy::disallowed_methods)]
fn unix_now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap()
}
