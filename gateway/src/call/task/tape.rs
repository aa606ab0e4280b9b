//! How a call is recorded: from when both can hear each other, or from when somebody asks, with a tone for both of them.

use std::time::{Duration, Instant};

use tgtrunk_config::{CallId, ConsentTone};
use tgtrunk_media::{Side, Tone};

use super::{Said, Task};
use crate::recording::{Place, Recorder, Tap};

/// How long the tone sounds, and from one to the next.
const TONE: Duration = Duration::from_millis(500);
const EVERY: Duration = Duration::from_secs(15);

/// Where a line's recordings go, and whether every call is recorded.
#[derive(Debug, Clone)]
pub(crate) struct Recordings {
    pub(crate) recorder: Recorder,
    pub(crate) place: Place,
    pub(crate) always: bool,
    pub(crate) tone: ConsentTone,
}

/// The recording of one call.
#[derive(Debug)]
pub(super) struct Tape {
    recordings: Recordings,
    wanted: bool,
    tap: Option<Tap>,
    /// When both hear the tone next.
    beep_at: Option<Instant>,
}

impl Tape {
    pub(super) fn new(recordings: Recordings) -> Self {
        Self { wanted: recordings.always, recordings, tap: None, beep_at: None }
    }

    /// Takes a packet of a side, where the call is recorded now.
    pub(super) fn take(&mut self, now: Instant, side: Side, rtp: &[u8]) {
        if !self.wanted {
            return;
        }
        if let Some(tap) = &mut self.tap {
            tap.take(now, side, rtp);
            if tap.is_over() {
                (self.tap, self.beep_at) = (None, None);
            }
        }
    }

    /// When the tone is due.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.beep_at
    }

    /// Ends the recording.
    pub(super) fn end(&mut self) {
        (self.wanted, self.tap, self.beep_at) = (false, None, None);
    }
}

impl Task {
    /// Somebody wants the call recorded from now on, or not: then there is silence in its recording.
    pub(super) fn record(&mut self, now: Instant, on: bool) {
        self.tape.wanted = on;
        if on && self.joined {
            self.begin_recording(now);
        } else if !on {
            self.tape.beep_at = None;
        }
    }

    /// Both can hear each other: a call that is wanted is recorded.
    pub(super) fn begin_recording(&mut self, now: Instant) {
        let Tape { recordings, wanted, tap, beep_at } = &mut self.tape;
        if !*wanted {
            return;
        }
        if tap.is_none() {
            let begun = recordings.recorder.begin(&recordings.place, CallId(self.key), now);
            let Some((begun, recording)) = begun else { return };
            *tap = Some(begun);
            self.words.push(Said::Recorded(recording));
        }
        if recordings.tone != ConsentTone::Off && beep_at.is_none() {
            *beep_at = Some(now);
            self.beep(now);
        }
    }

    /// Lets both hear that they are recorded, when that is due.
    pub(super) fn beep(&mut self, now: Instant) {
        if self.tape.beep_at.take_if(|at| *at <= now).is_none() {
            return;
        }
        for side in [Side::Trunk, Side::Telegram] {
            self.relay.beep(now, side, Tone::RECORDED, TONE);
        }
        if self.tape.recordings.tone == ConsentTone::Repeat {
            self.tape.beep_at = Some(now + EVERY);
        }
        self.play(now);
    }
}
