//! What a call's sound came to, each way: milliseconds that left and arrived, and how much of it is the tone played.

use std::time::Duration;

use anyhow::ensure;
use serde::Serialize;
use tgtrunk_sip::CallId;
use tokio::time::sleep;

use crate::heard::Heard;
use crate::light_user::LightUser;
use crate::pbx::Phone;
use crate::tone::Meter;

/// Share of the energy that must be the tone's.
pub const LEAST_SHARE: f64 = 0.98;
/// Share of the sound that must arrive, in percent.
const LEAST_PERCENT: u64 = 99;
/// What packets under way get when their sender fell silent.
const TAIL: Duration = Duration::from_millis(300);

/// One way of a call.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Way {
    /// Milliseconds of Opus audio that left one far end, counted there.
    pub sent_ms: u64,
    /// Milliseconds of Opus audio that reached the other, counted there.
    pub received_ms: u64,
    /// The tone that was played.
    pub tone_hz: u32,
    /// Share of the energy heard that lies within 5 Hz of it, 0 to 1.
    pub tone_share: f64,
}

/// Both ways of a call.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Ways {
    pub to_pbx: Way,
    pub to_telegram: Way,
}

/// The tones of the two ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tones {
    /// What the Telegram user plays.
    pub telegram_hz: u32,
    /// What the phone plays.
    pub pbx_hz: u32,
}

impl Tones {
    /// The tones of every stage.
    pub const USUAL: Self = Self { telegram_hz: 880, pbx_hz: 440 };
}

impl Way {
    /// One way as its two ends counted it.
    ///
    /// # Errors
    /// When what arrived is no Opus.
    pub fn between(sender: &Heard, receiver: &Heard, tone_hz: u32) -> anyhow::Result<Self> {
        let mut meter = Meter::new(tone_hz)?;
        for payload in &receiver.payloads {
            meter.feed(payload)?;
        }
        let tone_share = meter.share();
        Ok(Self { sent_ms: sender.sent_ms, received_ms: receiver.received_ms, tone_hz, tone_share })
    }

    /// Whether the sound came over whole and was the tone.
    ///
    /// # Errors
    /// With what is wrong.
    pub fn check(&self, least_sent: Duration) -> anyhow::Result<()> {
        let Self { sent_ms, received_ms, tone_hz, tone_share } = *self;
        ensure!(u128::from(sent_ms) >= least_sent.as_millis(), "only {sent_ms} ms were played");
        ensure!(
            received_ms * 100 >= sent_ms * LEAST_PERCENT,
            "of {sent_ms} ms only {received_ms} ms arrived, want {LEAST_PERCENT} %"
        );
        ensure!(
            received_ms <= sent_ms,
            "{received_ms} ms arrived, more than the {sent_ms} ms that were played"
        );
        ensure!(
            tone_share >= LEAST_SHARE,
            "{:.2} % of the energy heard is the tone of {tone_hz} Hz, want {} %",
            tone_share * 100.0,
            LEAST_SHARE * 100.0
        );
        Ok(())
    }
}

impl Ways {
    /// Whether both ways are well.
    ///
    /// # Errors
    /// With what is wrong.
    pub fn check(&self, least_sent: Duration) -> anyhow::Result<()> {
        self.to_pbx.check(least_sent).map_err(|error| error.context("to the PBX"))?;
        self.to_telegram.check(least_sent).map_err(|error| error.context("to Telegram"))
    }
}

/// Lets both ends of a connected call play at once for a while, and measures. Both must have been muted.
///
/// # Errors
/// When the phone is off or what arrived is no Opus.
pub async fn talk(
    user: &LightUser,
    telegram_call: i64,
    phone: &Phone,
    pbx_call: CallId,
    tones: Tones,
    length: Duration,
) -> anyhow::Result<Ways> {
    user.mute(false).await;
    phone.mute(false).await?;
    sleep(length).await;
    user.mute(true).await;
    phone.mute(true).await?;
    sleep(TAIL).await;
    let (at_telegram, at_pbx) = (user.heard(telegram_call), phone.heard(pbx_call));
    Ok(Ways {
        to_pbx: Way::between(&at_telegram, &at_pbx, tones.telegram_hz)?,
        to_telegram: Way::between(&at_pbx, &at_telegram, tones.pbx_hz)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::player::circle;

    const LEAST: Duration = Duration::from_secs(2);

    #[test]
    fn a_lost_packet_in_fifty_another_tone_and_more_than_was_played_are_found() {
        let packets = circle(880, 20).unwrap();
        let heard = |count: usize| {
            let payloads = packets[..count].to_vec();
            Heard {
                sent_ms: 3000,
                received_ms: count as u64 * 20,
                packets: count as u64,
                payloads,
                ..Heard::default()
            }
        };
        let judged = |count, hz| Way::between(&heard(150), &heard(count), hz).unwrap().check(LEAST);
        judged(150, 880).unwrap();
        judged(149, 880).unwrap();
        assert!(judged(147, 880).unwrap_err().to_string().contains("arrived, want 99 %"));
        assert!(judged(150, 440).unwrap_err().to_string().contains("the tone of 440 Hz, want 98 %"));
        assert!(judged(151, 880).unwrap_err().to_string().contains("more than"));
        let short = Way::between(&heard(150), &heard(150), 880).unwrap().check(LEAST * 2);
        assert!(short.unwrap_err().to_string().contains("only 3000 ms"));
    }
}
