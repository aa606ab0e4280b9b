//! Sound that we encode for one side: what the other side said, tones and digits, on one clock at the side's packet time.
//!
//! It exists only while a direction needs it: Opus that passes carries none of this.

use std::time::{Duration, Instant};

use crate::audio::Audio;
use crate::codec::{Codec, Encoder, OPUS, RateError};
use crate::dtmf::Generator;
use crate::playout::{Heard, Playout};
use crate::ramp::{self, Ramp};
use crate::tone::{self, Tone};

/// Sound makes room for a digit, and comes back, in this time.
const DUCK: Duration = Duration::from_millis(5);
/// A joint between two sources takes this time.
const JOINT: Duration = Duration::from_millis(5);
/// Packet times that Opus has (RFC 6716 section 2.1.4) and that all others can do too.
const PTIMES_MS: [u32; 4] = [60, 40, 20, 10];
/// Linear sound for longer does not fit into an Ethernet frame.
const L16_PTIME_MS: u32 = 10;
/// Tones and digits need no more than telephones have.
const TONE_HZ: u32 = 8000;
/// Clocks that share a beat are due at the same moments, a few of each packet time, so that a thread wakes up for all.
const BEAT: Duration = Duration::from_millis(5);

/// One side's own voice.
#[derive(Debug)]
pub(crate) struct Studio {
    sample_hz: u32,
    ptime: Duration,
    encoder: Box<dyn Encoder>,
    /// What share of our packets the side lost, as it said last.
    loss: f32,
    made_for: Audio,
    pub(crate) playout: Option<Playout>,
    tone: Option<tone::Player>,
    digits: Option<Generator>,
    /// A tone that takes the place of what is said, and how many samples of it are left.
    beep: Option<(tone::Player, usize)>,
    voice: Ramp,
    /// When the next frame is due, while the clock runs.
    clock: Option<Instant>,
    /// A moment of the beat on which clocks start.
    beat: Option<Instant>,
    pcm: Vec<i16>,
    other: Vec<i16>,
    payload: Vec<u8>,
    /// Where the sound stopped that the next frame must join.
    joint: Option<i16>,
    last: i16,
    skipped: bool,
}

/// One frame, encoded.
#[derive(Debug)]
pub(crate) struct Frame<'a> {
    pub(crate) payload: &'a [u8],
    /// RTP ticks.
    pub(crate) ticks: u32,
    /// Whether silence that was not sent lies before it.
    pub(crate) resumed: bool,
}

/// The packet time that suits a codec: the longest that is no longer than agreed.
pub(crate) fn ptime_ms(audio: &Audio) -> u32 {
    let most = audio.ptime_ms.min(audio.maxptime_ms.unwrap_or(u32::MAX));
    let most =
        if audio.codec.sample_hz == 48_000 && *audio.codec != OPUS { most.min(L16_PTIME_MS) } else { most };
    PTIMES_MS.into_iter().find(|ms| *ms <= most).unwrap_or(10)
}

/// The rate at which `from` is decoded and `to` encoded: Opus works at the other's.
pub(crate) fn common_rate(from: &Codec, to: &Codec) -> Option<u32> {
    let rate = if *from == OPUS { to.sample_hz } else { from.sample_hz };
    (*to == OPUS || to.sample_hz == rate).then_some(rate)
}

impl Studio {
    /// A studio for `audio`; `sample_hz` is what the playout will have, if there is to be one. Its clock starts on the `beat`
    /// that this moment belongs to.
    ///
    /// # Errors
    /// [`RateError`] where the codec has no such rate.
    pub(crate) fn new(
        audio: &Audio,
        sample_hz: Option<u32>,
        beat: Option<Instant>,
    ) -> Result<Self, RateError> {
        let own = if *audio.codec == OPUS { TONE_HZ } else { audio.codec.sample_hz };
        let sample_hz = sample_hz.unwrap_or(own);
        Ok(Self {
            sample_hz,
            ptime: Duration::from_millis(ptime_ms(audio).into()),
            encoder: audio.codec.encoder(sample_hz, audio.encoder)?,
            loss: 0.0,
            made_for: *audio,
            playout: None,
            tone: None,
            digits: None,
            beep: None,
            voice: Ramp::full(),
            clock: None,
            beat,
            pcm: Vec::new(),
            other: Vec::new(),
            payload: Vec::new(),
            joint: None,
            last: 0,
            skipped: true,
        })
    }

    /// What share of our packets the side loses.
    pub(crate) fn set_loss(&mut self, share: f32) {
        self.loss = share;
        self.encoder.set_loss(share);
    }

    pub(crate) fn sample_hz(&self) -> u32 {
        self.sample_hz
    }

    /// Makes the same sound for another agreement; at another rate it begins anew, joined without a step.
    ///
    /// # Errors
    /// [`RateError`] where the codec has no such rate.
    pub(crate) fn remake(
        self: Box<Self>,
        audio: &Audio,
        sample_hz: Option<u32>,
    ) -> Result<Box<Self>, RateError> {
        let mut new = Box::new(Self::new(audio, sample_hz, self.beat)?);
        (new.clock, new.skipped, new.joint) = (self.clock, self.skipped, Some(self.last));
        new.set_loss(self.loss);
        if let Some(player) = self.tone {
            new.play(Some(player.tone()));
        }
        if new.sample_hz == self.sample_hz {
            (new.playout, new.digits, new.voice) = (self.playout, self.digits, self.voice);
            new.beep = self.beep;
            new.joint = None;
        }
        Ok(new)
    }

    /// Whether the encoder suits this agreement.
    pub(crate) fn suits(&self, audio: &Audio) -> bool {
        let key = |audio: &Audio| (audio.codec, audio.encoder, ptime_ms(audio));
        key(&self.made_for) == key(audio)
    }

    /// When the next frame is due.
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        self.clock
    }

    /// Starts the clock, if it stands still, at the next beat.
    pub(crate) fn start(&mut self, now: Instant) {
        if self.clock.is_none() {
            self.clock = Some(next_beat(self.beat, now));
        }
    }

    /// Plays a tone instead of nothing, or lets the present one fade.
    pub(crate) fn play(&mut self, tone: Option<Tone>) {
        match tone {
            Some(tone) if self.tone.as_ref().is_some_and(|player| player.tone() == tone) => {}
            Some(tone) => self.tone = Some(tone::Player::new(tone, self.sample_hz)),
            None => {
                if let Some(player) = &mut self.tone {
                    player.end();
                }
            }
        }
    }

    /// Sounds a tone for so long instead of what the other side says.
    pub(crate) fn beep(&mut self, tone: Tone, length: Duration) {
        self.beep = Some((tone::Player::new(tone, self.sample_hz), self.samples(length)));
    }

    /// Whether something takes the place of what the other side says.
    pub(crate) fn replaces(&self) -> bool {
        self.beep.is_some() || self.sounds_digits()
    }

    /// Digits to be sounded instead of what the other side says.
    pub(crate) fn digits(&mut self) -> &mut Generator {
        self.digits.get_or_insert_with(|| Generator::new(self.sample_hz))
    }

    /// Whether digits take the place of everything else.
    pub(crate) fn sounds_digits(&self) -> bool {
        self.digits.as_ref().is_some_and(Generator::is_active)
    }

    /// Whether it has a sound that did not come from the other side.
    pub(crate) fn has_own_sound(&self) -> bool {
        self.tone.is_some() || self.replaces()
    }

    /// A packet of the other side for the playout.
    pub(crate) fn put(&mut self, now: Instant, timestamp: u32, payload: &[u8]) {
        let frame = self.frame_samples();
        if let Some(playout) = &mut self.playout {
            playout.put(now, self.clock, frame, timestamp, payload);
            if !playout.is_idle() {
                self.start(now);
            }
        }
    }

    /// Forgets what waits and stops the clock: the side is held.
    pub(crate) fn flush(&mut self) {
        if let Some(playout) = &mut self.playout {
            playout.flush();
        }
        (self.clock, self.skipped, self.last) = (None, true, 0);
    }

    /// A clock that fell far behind goes on from now.
    pub(crate) fn catch_up(&mut self, now: Instant, patience: Duration) {
        if let Some(clock) = &mut self.clock
            && now > *clock + patience
        {
            *clock = next_beat(self.beat, now);
        }
    }

    /// The frame that is due, and when it was due; `None` if there is nothing to send for it.
    ///
    /// Without `goes_on` the clock stops when there is nothing to hear.
    pub(crate) fn frame(&mut self, goes_on: bool) -> Option<(Instant, Frame<'_>)> {
        let due = self.clock?;
        self.clock = Some(due + self.ptime);
        let sounds = self.compose(due);
        if !sounds && !goes_on {
            let waits = self.playout.as_ref().is_some_and(|playout| !playout.is_idle());
            if !waits {
                self.clock = None;
            }
            (self.skipped, self.last) = (true, 0);
            return None;
        }
        Some((due, self.encode()))
    }

    /// A last frame in which everything fades, because packets pass from now on.
    pub(crate) fn farewell(&mut self, now: Instant) -> Frame<'_> {
        self.play(None);
        self.compose(self.clock.unwrap_or(now));
        self.encode()
    }

    fn compose(&mut self, due: Instant) -> bool {
        let samples = self.frame_samples();
        let (duck, joint) = (self.samples(DUCK), self.samples(JOINT));
        self.pcm.resize(samples, 0);
        let heard = match &mut self.playout {
            Some(playout) => playout.pull(due, &mut self.pcm),
            None => {
                self.pcm.fill(0);
                Heard::Silence
            }
        };
        let mut sounds = heard == Heard::Sound;
        if sounds && let Some(player) = &mut self.tone {
            player.end();
        }
        let dials = self.sounds_digits();
        let replaces = self.replaces();
        self.voice.apply(&mut self.pcm, if replaces { 0.0 } else { 1.0 }, duck);
        if dials && let Some(digits) = &mut self.digits {
            self.other.resize(samples, 0);
            digits.fill(&mut self.other);
            ramp::add(&mut self.pcm, &self.other);
            sounds = true;
        } else if let Some((player, left)) = &mut self.beep {
            self.other.resize(samples, 0);
            player.fill(&mut self.other);
            ramp::add(&mut self.pcm, &self.other);
            sounds = true;
            *left = left.saturating_sub(samples);
            self.beep.take_if(|(_, left)| *left == 0);
        } else if let Some(player) = &mut self.tone {
            self.other.resize(samples, 0);
            player.fill(&mut self.other);
            ramp::add(&mut self.pcm, &self.other);
            sounds = true;
            self.tone.take_if(|player| player.is_over());
        }
        if let Some(before) = self.joint.take() {
            ramp::join(before, &mut self.pcm, joint);
        }
        self.last = self.pcm.last().copied().unwrap_or_default();
        sounds
    }

    fn encode(&mut self) -> Frame<'_> {
        self.payload.clear();
        self.encoder.encode(&self.pcm, &mut self.payload);
        let clock_hz = u64::from(self.made_for.codec.clock_hz);
        let ticks = (self.pcm.len() as u64 * clock_hz / u64::from(self.sample_hz)) as u32;
        Frame { payload: &self.payload, ticks, resumed: std::mem::take(&mut self.skipped) }
    }

    fn frame_samples(&self) -> usize {
        self.samples(self.ptime)
    }

    fn samples(&self, time: Duration) -> usize {
        (time.as_millis() * u128::from(self.sample_hz) / 1000) as usize
    }
}

/// The first moment of a beat that is not before `now`.
fn next_beat(beat: Option<Instant>, now: Instant) -> Instant {
    let Some(beat) = beat else { return now };
    let since = now.saturating_duration_since(beat).as_nanos() % BEAT.as_nanos();
    let left = if since == 0 { 0 } else { BEAT.as_nanos() - since };
    now + Duration::from_nanos(left as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_of_one_beat_are_due_at_the_same_moments() {
        let origin = Instant::now();
        let at = |us: u64| origin + Duration::from_micros(us);
        let rows = [(0, 0), (1, 5_000), (4_999, 5_000), (5_000, 5_000), (12_345, 15_000)];
        for (now, due) in rows {
            assert_eq!(next_beat(Some(origin), at(now)), at(due), "{now} us");
        }
        assert_eq!(next_beat(None, at(1)), at(1));
        assert_eq!(next_beat(Some(at(1)), at(0)), at(0), "the beat begins later");
    }
}
