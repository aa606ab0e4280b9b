//! A data centre asked without an account: whether it answers, and what time it has there.
//!
//! The first step of making a key (core.telegram.org/mtproto/auth_key), which is never gone on with.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;

use grammers_session::SessionData;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use crate::clock;
use crate::seed::{self, SeedError};

/// `req_pq_multi`.
const REQ_PQ_MULTI: u32 = 0xbe7e_8ef1;
/// `resPQ`.
const RES_PQ: u32 = 0x0516_2463;
/// Longer is no answer to this question.
const LONGEST: usize = 1024;

/// The data centres that a fresh session would begin with, and their IPv4 addresses.
///
/// # Errors
/// When there is a `dc-seed.json` that cannot be read.
pub fn data_centres(seed: &Path) -> Result<Vec<(i32, SocketAddr)>, SeedError> {
    if let Some(seeded) = seed::peek(seed)? {
        return Ok(seeded);
    }
    let known = SessionData::default().dc_options;
    let mut centres: Vec<(i32, SocketAddr)> = known
        .into_values()
        .map(|option| (option.id, SocketAddr::new(IpAddr::V4(*option.ipv4.ip()), option.ipv4.port())))
        .collect();
    centres.sort_by_key(|(id, _)| *id);
    Ok(centres)
}

/// Asks a data centre over a fresh connection to it; gives its time in seconds since 1970.
///
/// # Errors
/// When it does not answer as a data centre does.
pub async fn knock<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S) -> io::Result<u32> {
    let mut nonce = [0; 16];
    getrandom::fill(&mut nonce).map_err(io::Error::other)?;
    let mut words = vec![0xee; 4];
    words.extend_from_slice(&40_u32.to_le_bytes());
    words.extend_from_slice(&[0; 8]);
    words.extend_from_slice(&((clock::unix_now_s().cast_unsigned() << 32) | 4).to_le_bytes());
    words.extend_from_slice(&20_u32.to_le_bytes());
    words.extend_from_slice(&REQ_PQ_MULTI.to_le_bytes());
    words.extend_from_slice(&nonce);
    stream.write_all(&words).await?;
    let mut length = [0; 4];
    stream.read_exact(&mut length).await?;
    let length = usize::try_from(u32::from_le_bytes(length)).unwrap_or(usize::MAX);
    if !(40..=LONGEST).contains(&length) {
        return Err(strange());
    }
    let mut answer = vec![0; length];
    stream.read_exact(&mut answer).await?;
    let number = |at: usize| {
        let bytes = answer.get(at..at + 4).and_then(|bytes| bytes.try_into().ok());
        bytes.map_or(0, u32::from_le_bytes)
    };
    // No key, message id, length, constructor, our nonce.
    let ours = answer[..8] == [0; 8] && number(20) == RES_PQ && answer[24..40] == nonce;
    // The upper half of a message id is the sender's time.
    if ours { Ok(number(12)) } else { Err(strange()) }
}

fn strange() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "what answers there is no data centre of Telegram")
}

#[cfg(test)]
mod tests {
    use tgtrunk_test_telegram::TestTelegram;
    use tokio::net::{TcpListener, TcpStream};

    use super::*;

    #[tokio::test]
    async fn a_data_centre_tells_its_time_to_whoever_knocks() {
        let telegram = TestTelegram::start(Default::default()).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("dc-seed.json");
        assert_eq!(data_centres(&file).unwrap().len(), 5);
        telegram.write_dc_seed(folder.path(), 1).unwrap();
        let centres = data_centres(&file).unwrap();
        let (_, address) = centres[0];
        let there_s = i64::from(knock(TcpStream::connect(address).await.unwrap()).await.unwrap());
        assert!((there_s - clock::unix_now_s()).abs() < 60, "{there_s}");
    }

    #[tokio::test]
    async fn what_is_no_data_centre_is_told() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let answering = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
        });
        let told = knock(TcpStream::connect(address).await.unwrap()).await.unwrap_err();
        assert_eq!(told.to_string(), "what answers there is no data centre of Telegram");
        answering.await.unwrap();
    }
}
