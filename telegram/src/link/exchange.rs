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
