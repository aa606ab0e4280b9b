//! A man in the middle of one data centre: lets through, swallows, or says something of its own.

use std::net::SocketAddr;
use std::path::Path;

use sha2::{Digest as _, Sha256};
use tgtrunk_test_telegram::seed::Seed;
use tgtrunk_test_telegram::wire::KeyRing;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// What it does with connections, old and new.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Mode {
    /// Passes everything on.
    Pass,
    /// Reads everything and passes nothing on.
    Swallow,
    /// Instead of the server's next frame, sends one under this key for a session that does not exist.
    WrongSession(Vec<u8>),
    /// Turns the last byte of what the server sends around.
    Garble,
}

pub(crate) struct Proxy {
    pub(crate) address: SocketAddr,
    mode: watch::Sender<Mode>,
}

impl Proxy {
    pub(crate) async fn before(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mode = watch::Sender::new(Mode::Pass);
        let modes = mode.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(pass(client, server, modes.subscribe()));
            }
        });
        Self { address, mode }
    }

    pub(crate) fn set(&self, mode: Mode) {
        self.mode.send_replace(mode);
    }

    /// Sends clients that take the seed to this proxy instead of to `dc`.
    pub(crate) fn stand_in(&self, seed: &Path, dc: i64) {
        let text = std::fs::read_to_string(seed).unwrap();
        let mut seeds: Seed = serde_json::from_str(&text).unwrap();
        for entry in seeds.dcs.iter_mut().filter(|entry| i64::from(entry.id) == dc) {
            entry.address = self.address.to_string();
        }
        std::fs::write(seed, serde_json::to_string(&seeds).unwrap()).unwrap();
    }
}

async fn pass(client: TcpStream, server: SocketAddr, mode: watch::Receiver<Mode>) {
    let server = TcpStream::connect(server).await.unwrap();
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let modes = mode.clone();
    let up = tokio::spawn(async move {
        let mut buffer = vec![0; 64 * 1024];
        while let Ok(read @ 1..) = from_client.read(&mut buffer).await {
            if *modes.borrow() != Mode::Swallow && to_server.write_all(&buffer[..read]).await.is_err() {
                break;
            }
        }
    });
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(read @ 1..) = from_server.read(&mut buffer).await {
        let now = mode.borrow().clone();
        let written = match now {
            Mode::Pass => to_client.write_all(&buffer[..read]).await,
            Mode::Swallow => Ok(()),
            Mode::WrongSession(key) => {
                let frame = u32::from_le_bytes(buffer[4..8].try_into().unwrap());
                to_client.write_all(&stranger(&key, frame)).await
            }
            Mode::Garble => {
                buffer[read - 1] ^= 0xff;
                to_client.write_all(&buffer[..read]).await
            }
        };
        if written.is_err() {
            break;
        }
    }
    drop(to_client);
    up.abort();
}

/// A message of the server for a session nobody has, in the `full` framing, as number `frame` of the connection
/// (core.telegram.org/mtproto/description, core.telegram.org/mtproto/mtproto-transports).
fn stranger(key: &[u8], frame: u32) -> Vec<u8> {
    const FROM_SERVER: usize = 8;
    let body = [0xce, 0x73, 0x9a, 0x34_u8];
    let mut plain = Vec::new();
    plain.extend(0_i64.to_le_bytes()); // salt
    plain.extend(0x5eed_i64.to_le_bytes()); // session
    plain.extend(0x6000_0000_0000_0001_i64.to_le_bytes()); // message
    plain.extend(1_i32.to_le_bytes());
    plain.extend(4_u32.to_le_bytes());
    plain.extend(body);
    plain.resize((plain.len() + 12).next_multiple_of(16), 0x5a);

    let sha = |parts: &[&[u8]]| -> [u8; 32] {
        parts.iter().fold(Sha256::new(), |hash, part| hash.chain_update(part)).finalize().into()
    };
    let msg_key: [u8; 16] = sha(&[&key[88 + FROM_SERVER..][..32], &plain])[8..24].try_into().unwrap();
    let a = sha(&[&msg_key, &key[FROM_SERVER..][..36]]);
    let b = sha(&[&key[40 + FROM_SERVER..][..36], &msg_key]);
    let aes_key: [u8; 32] = [&a[..8], &b[8..24], &a[24..]].concat().try_into().unwrap();
    let aes_iv: [u8; 32] = [&b[..8], &a[8..24], &b[24..]].concat().try_into().unwrap();
    grammers_crypto::aes::ige_encrypt(&mut plain, &aes_key, &aes_iv);

    let key_id = KeyRing::id_of(key.try_into().unwrap());
    let payload = [key_id.to_le_bytes().as_slice(), &msg_key, &plain].concat();
    let mut whole = Vec::new();
    whole.extend(u32::try_from(payload.len() + 12).unwrap().to_le_bytes());
    whole.extend(frame.to_le_bytes());
    whole.extend(payload);
    whole.extend(crc32(&whole).to_le_bytes());
    whole
}

fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0_u32, |crc, byte| {
        (0..8).fold(
            crc ^ u32::from(*byte),
            |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 },
        )
    })
}
