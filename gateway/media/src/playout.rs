//! The listening end of a direction that is decoded: packets in, an unbroken line of PCM out, frame by frame.

use std::time::{Duration, Instant};

use crate::codec::{Codec, Decoder, RateError};
use crate::dtmf::{Detector, Press};
use crate::jitter::{Cue, Jitter, Pace, Step, Tally};
use crate::numbers::Numbers;
use crate::pace::Pacer;
use crate::ramp::Ramp;
use crate::report::Playback;

/// The loudest sample of a pause.
const QUIET: u16 = 500;
/// Sound comes back from silence in this time.
const RISE: Duration = Duration::from_millis(5);
/// What hides a loss is left at full level for this time, and then goes in the next.
const HIDE: Duration = Duration::from_millis(60);
const FALL: Duration = Duration::from_millis(40);
/// The first packet waits so long at least, and at most unless jitter asks for more.
const DELAYS: (Duration, Duration) = (Duration::from_millis(30), Duration::from_millis(60));

/// What a frame holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Heard {
    /// Something was played or hidden in it.
    Sound,
    Silence,
}

/// Decodes one side's stream.
#[derive(Debug)]
pub(crate) struct Playout {
    codec: &'static Codec,
    sample_hz: u32,
    jitter: Option<Jitter>,
    /// Numbers packets so that timestamps run on over breaks of the stream.
    pub(crate) line: Numbers,
    decoder: Box<dyn Decoder>,
    /// Decoded, and not played yet.
    pcm: Vec<i16>,
    pacer: Pacer,
    ramp: Ramp,
    /// Hears digits in the sound, where they come that way.
    detector: Option<Box<Detector>>,
    malformed: u64,
    /// Of jitter buffers that were flushed.
    before: Tally,
}

impl Playout {
    /// # Errors
    /// [`RateError`] where the codec has no such rate.
    pub(crate) fn new(codec: &'static Codec, sample_hz: u32) -> Result<Self, RateError> {
        Ok(Self {
            codec,
            sample_hz,
            jitter: None,
            line: Numbers::new(0, codec.clock_hz),
            decoder: codec.decoder(sample_hz)?,
            pcm: Vec::with_capacity(sample_hz as usize / 5),
            pacer: Pacer::new(sample_hz),
            ramp: Ramp::silent(),
            detector: None,
            malformed: 0,
            before: Tally::default(),
        })
    }

    /// Whether it decodes this codec to this rate.
    pub(crate) fn is(&self, codec: &Codec, sample_hz: u32) -> bool {
        self.codec == codec && self.sample_hz == sample_hz
    }

    /// How long a payload sounds, in ticks; `None` if it is malformed.
    pub(crate) fn ticks(&self, payload: &[u8]) -> Option<u32> {
        let samples = u32::try_from(self.decoder.samples(payload)?).ok()?;
        Some(self.to_ticks(samples)).filter(|ticks| *ticks > 0)
    }

    /// A packet came; `due` is when the next frame of `frame` samples is played, if the clock runs.
    pub(crate) fn put(
        &mut self,
        now: Instant,
        due: Option<Instant>,
        frame: usize,
        timestamp: u32,
        payload: &[u8],
    ) {
        let Some(ticks) = self.ticks(payload) else {
            self.malformed += 1;
            return;
        };
        let cue = Cue {
            due: due.unwrap_or(now),
            frame: self.to_ticks(frame as u32),
            ahead: self.to_ticks(self.pcm.len() as u32),
        };
        let clock_hz = self.codec.clock_hz;
        let jitter = self.jitter.get_or_insert_with(|| {
            let lasts = crate::jitter::duration(clock_hz, ticks);
            Jitter::new(clock_hz, lasts.clamp(DELAYS.0, DELAYS.1))
        });
        jitter.put(now, cue, timestamp, ticks, payload);
    }

    /// Whether there is nothing to play and nothing to hide.
    pub(crate) fn is_idle(&self) -> bool {
        self.jitter.as_ref().is_none_or(Jitter::is_idle)
    }

    /// Writes the frame that is due.
    pub(crate) fn pull(&mut self, due: Instant, frame: &mut [i16]) -> Heard {
        let mut heard = Heard::Silence;
        while self.pcm.len() < frame.len() {
            if self.decode(due, frame.len()) == Heard::Silence {
                break;
            }
        }
        self.keep_pace(due, frame.len());
        let ready = self.pcm.len().min(frame.len());
        if ready > 0 {
            heard = Heard::Sound;
        }
        frame[..ready].copy_from_slice(&self.pcm[..ready]);
        frame[ready..].fill(0);
        self.pcm.drain(..ready);
        if let Some(detector) = &mut self.detector {
            detector.handle_pcm(frame);
        }
        heard
    }

    /// Forgets what waits: the side is held.
    pub(crate) fn flush(&mut self) {
        self.before = self.tally();
        self.pcm.clear();
        self.jitter = None;
        self.ramp = Ramp::silent();
    }

    /// Whether digits are to be heard in the sound.
    pub(crate) fn listen_for_digits(&mut self, listen: bool) {
        if !listen {
            self.detector = None;
        } else if self.detector.is_none() {
            self.detector = Some(Box::new(Detector::new(self.sample_hz)));
        }
    }

    /// The next digit that was heard.
    pub(crate) fn poll_press(&mut self) -> Option<Press> {
        self.detector.as_mut()?.poll_press()
    }

    /// What was played until now.
    pub(crate) fn playback(&self) -> Playback {
        let tally = self.tally();
        let time = |ticks: u64| {
            Duration::from_micros(ticks.saturating_mul(1_000_000) / u64::from(self.codec.clock_hz))
        };
        Playback {
            played: time(tally.played),
            concealed: time(tally.hidden),
            late: tally.late,
            overflowed: tally.overflowed,
            malformed: self.malformed,
            delay: self.jitter.as_ref().map(Jitter::delay).unwrap_or_default(),
        }
    }

    fn tally(&self) -> Tally {
        let now = self.jitter.as_ref().map(Jitter::tally).unwrap_or_default();
        self.before.plus(now)
    }

    /// Decodes or hides the next piece.
    fn decode(&mut self, due: Instant, frame: usize) -> Heard {
        let begin = self.pcm.len();
        let frame_ticks = self.to_ticks(frame as u32);
        let (sample_hz, clock_hz) = (self.sample_hz, self.codec.clock_hz);
        let to_samples =
            |ticks: u32| (u64::from(ticks) * u64::from(sample_hz) / u64::from(clock_hz)) as usize;
        let samples_of = |time: Duration| (time.as_millis() * u128::from(sample_hz) / 1000) as usize;
        let Some(jitter) = &mut self.jitter else { return Heard::Silence };
        let (goal, samples) = match jitter.step(due, frame_ticks) {
            Step::Sound { payload, skip } => {
                if self.decoder.decode(payload, &mut self.pcm).is_err() {
                    self.malformed += 1;
                    self.decoder.conceal(frame, None, &mut self.pcm);
                }
                let skip = to_samples(skip).min(self.pcm.len() - begin);
                self.pcm.drain(begin..begin + skip);
                (1.0, samples_of(RISE))
            }
            Step::Hide { ticks, next } => {
                self.decoder.conceal(to_samples(ticks), next, &mut self.pcm);
                let kept = jitter.hidden() <= crate::jitter::ticks(clock_hz, HIDE);
                if kept && !self.ramp.is_silent() { (1.0, samples_of(RISE)) } else { (0.0, samples_of(FALL)) }
            }
            Step::Silence => return Heard::Silence,
        };
        self.ramp.apply(&mut self.pcm[begin..], goal, samples);
        Heard::Sound
    }

    /// Makes what comes a little longer or shorter, if the packets ask for it.
    fn keep_pace(&mut self, due: Instant, frame: usize) {
        let frame_ticks = self.to_ticks(frame as u32);
        let Some(pace) = self.jitter.as_ref().map(|jitter| jitter.pace(frame_ticks)) else { return };
        if pace == Pace::Keep {
            return;
        }
        while self.pcm.len() < self.pacer.needs().max(frame * 2)
            && self.jitter.as_ref().is_some_and(Jitter::is_ready)
        {
            if self.decode(due, frame) == Heard::Silence {
                break;
            }
        }
        // Where keys may be among the sound, none is made longer or shorter: that is done in a pause.
        let is_loud = || self.pcm.iter().any(|sample| sample.unsigned_abs() > QUIET);
        if self.detector.is_some() && is_loud() {
            return;
        }
        let samples = match pace {
            Pace::Keep => 0,
            Pace::Stretch => self.pacer.stretch(&mut self.pcm) as i64,
            Pace::Shorten if self.pcm.len() < frame + self.pacer.needs() => 0,
            Pace::Shorten => -(self.pacer.shorten(&mut self.pcm) as i64),
        };
        let ticks = samples * i64::from(self.codec.clock_hz) / i64::from(self.sample_hz);
        if let Some(jitter) = &mut self.jitter {
            jitter.paced(ticks);
        }
    }

    fn to_ticks(&self, samples: u32) -> u32 {
        (u64::from(samples) * u64::from(self.codec.clock_hz) / u64::from(self.sample_hz)) as u32
    }
}
