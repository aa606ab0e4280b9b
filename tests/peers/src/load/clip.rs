//! Speech that ends play in a circle in the place of stamps, and what one call's ends heard of it.

use std::sync::Arc;

use crate::codec::Codec;
use crate::pcm::Pcm;
use crate::{ffmpeg, score};

/// What Telegram's ends send, in bits per second.
const OPUS_BITS: i32 = 32_000;
const OPUS_TICKS: u32 = 960;

/// The clip as both sides send it, in packets of 20 ms.
#[derive(Debug)]
pub struct Clip {
    trunk: Vec<Vec<u8>>,
    /// Of the trunk's RTP clock, for each packet.
    trunk_ticks: u32,
    telegram: Vec<Vec<u8>>,
    original: Pcm,
    codec: Codec,
}

/// Payloads that one call's ends heard, in their order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Heard {
    at_telegram: Vec<(u16, Vec<u8>)>,
    at_trunk: Vec<(u16, Vec<u8>)>,
}

impl Heard {
    pub(super) fn add(&mut self, sequence: u16, payload: &[u8], is_to_telegram: bool) {
        let packets = if is_to_telegram { &mut self.at_telegram } else { &mut self.at_trunk };
        packets.push((sequence, payload.to_vec()));
    }
}

/// Mean opinion scores by PESQ in narrow band, 1 to 4.55.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Quality {
    pub at_telegram_mos: f64,
    pub at_trunk_mos: f64,
}

impl Clip {
    /// The speech of the tests, for a trunk of this codec.
    ///
    /// # Errors
    /// When ffmpeg is missing.
    pub fn speech(codec: Codec) -> anyhow::Result<Arc<Self>> {
        let original = score::speech()?;
        let bytes = ffmpeg::encoded(codec, &original)?;
        let trunk_ticks = codec.clock_hz() / 50;
        let trunk = bytes.chunks_exact(trunk_ticks as usize).map(<[u8]>::to_vec).collect();
        let telegram = ffmpeg::opus_encoded(&original, OPUS_BITS)?;
        Ok(Arc::new(Self { trunk, trunk_ticks, telegram, original, codec }))
    }

    /// A stream's packet of this number, and how far it moves its clock.
    pub(super) fn packet(&self, is_to_telegram: bool, number: u32) -> Option<(&[u8], u32)> {
        let (packets, ticks) =
            if is_to_telegram { (&self.trunk, self.trunk_ticks) } else { (&self.telegram, OPUS_TICKS) };
        Some((packets.get(number as usize % packets.len().max(1))?, ticks))
    }

    /// How well the ends heard it.
    ///
    /// # Errors
    /// When Python, its packages or ffmpeg are missing, or nothing was heard.
    pub fn quality(&self, heard: &Heard) -> anyhow::Result<Quality> {
        let payloads = |packets: &[(u16, Vec<u8>)]| {
            let first = packets.first().map_or(0, |(sequence, _)| *sequence);
            let mut sorted: Vec<_> = packets.to_vec();
            // Numbers wrap.
            sorted.sort_by_key(|(sequence, _)| sequence.wrapping_sub(first).wrapping_add(1 << 15));
            sorted.into_iter().map(|(_, payload)| payload).collect::<Vec<_>>()
        };
        let at_telegram = ffmpeg::decoded(Codec::Opus, &payloads(&heard.at_telegram))?;
        let at_trunk = ffmpeg::decoded(self.codec, &payloads(&heard.at_trunk))?;
        let pair = |heard| score::Pair { band: score::Band::Narrow, original: &self.original, heard };
        let scores = score::scores(&[pair(&at_telegram), pair(&at_trunk)])?;
        let mos = |at: usize| scores.get(at).map_or(0.0, |score| score.mos);
        Ok(Quality { at_telegram_mos: mos(0), at_trunk_mos: mos(1) })
    }
}
