//! A new key with a data centre (core.telegram.org/mtproto/auth_key), by the library's steps.

use std::time::Duration;

use grammers_mtproto::authentication::{Finished, create_key, step1, step2, step3};
use grammers_tl_types::{Deserializable, Serializable};
use tokio::time::Instant;
use tracing::info;

use super::error::LinkError;
use super::packet;
use super::salts::Salts;
use super::time::{TelegramTime, number_at};
use super::wire::Wire;
use crate::clock;

/// Makes a key; Telegram tells its time and a salt along with it.
pub(super) async fn exchange(wire: &mut Wire, time: &TelegramTime) -> Result<([u8; 256], Salts), LinkError> {
    info!("making a key with a data centre");
    let (request, step) = step1()?;
    let (request, step) = step2(step, ask(wire, time, &request).await?)?;
    let (request, step) = step3(step, ask(wire, time, &request).await?)?;
    let Finished { auth_key, time_offset, first_salt } = create_key(step, ask(wire, time, &request).await?)?;
    let ahead = Duration::from_secs(time_offset.unsigned_abs().into());
    let wall = clock::since_1970();
    let told = if time_offset < 0 { wall.saturating_sub(ahead) } else { wall + ahead };
    time.set(told, Instant::now());
    Ok((auth_key, Salts::first(first_salt)))
}

async fn ask<A: Deserializable>(
    wire: &mut Wire,
    time: &TelegramTime,
    request: &impl Serializable,
) -> Result<A, LinkError> {
    let number = number_at(time.at(Instant::now()));
    wire.send(packet::plain(number, &request.to_bytes()));
    loop {
        if let Some(packet) = wire.next()? {
            // Anybody on the way may have numbered it: its time is nothing to go by.
            let (_, body) = packet::open_plain(packet)?;
            return Ok(A::from_bytes(body)?);
        }
        wire.turn().await?;
    }
}

#[cfg(test)]
mod tests {
    use grammers_mtproto::authentication::Error;
    use grammers_mtproto::transport::{Full, Transport as _};
    use grammers_tl_types as tl;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::{TcpListener, TcpStream};

    use super::*;

    #[tokio::test]
    async fn the_first_step_is_what_telegram_reads_and_its_answer_leads_to_the_second() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let telegram = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            // Length, count, no key, number, length, req_pq_multi, checksum (core.telegram.org/mtproto/auth_key).
            let mut asked = [0; 4 + 4 + 8 + 8 + 4 + 20 + 4];
            stream.read_exact(&mut asked).await.unwrap();
            assert_eq!((asked[0], &asked[4..16], asked[24]), (52, [0; 12].as_slice(), 20));
            assert_eq!(asked[28..32], 0xbe7e_8ef1_u32.to_le_bytes());
            assert_eq!(asked[20..24], 1_700_000_000_u32.to_le_bytes(), "numbered by Telegram's time");
            let told = tl::enums::ResPq::Pq(tl::types::ResPq {
                nonce: asked[32..48].try_into().unwrap(),
                server_nonce: [3; 16],
                pq: 0x17ED_4894_1A08_F981_u64.to_be_bytes().to_vec(),
                server_public_key_fingerprints: vec![5],
            });
            let mut packet = packet::plain(number_at(Duration::from_secs(1)) | 1, &told.to_bytes());
            Full::new().pack(&mut packet);
            stream.write_all(packet.as_ref()).await.unwrap();
        });
        let mut wire = Wire::new(TcpStream::connect(address).await.unwrap());
        let time = TelegramTime::new(Instant::now(), Duration::from_secs(1_700_000_000));
        match exchange(&mut wire, &time).await {
            Err(LinkError::KeyExchange(Error::UnknownFingerprints { fingerprints })) => {
                assert_eq!(fingerprints, [5]);
            }
            other => panic!("{:?}", other.map(|_| ())),
        }
        telegram.await.unwrap();
    }
}
