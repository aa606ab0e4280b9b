//! How a call is recorded: from when both can hear each other, or from when somebody asks, with a tone for both of them.

use std::time::{Duration, Instant};

use tgtrunk_config::control::Recording;
use tgtrunk_config::{CallId, ConsentTone};
use tgtrunk_media::{Side, Tone};

use super::{Said, Task};
use crate::recording::{Place, Recorder, Standing, Tap};

/// How long the tone sounds, and from one to the next.
const TONE: Duration = Duration::from_millis(500);
const EVERY: Duration = Duration::from_secs(15);
/// How often it is looked whether the files of a recording are there.
const LOOK: Duration = Duration::from_millis(20);

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
    /// Its files, until it is known that they are there, and when to look: whoever is told of a recording has one.
    opening: Option<(Instant, Recording)>,
    /// When both hear the tone next.
    beep_at: Option<Instant>,
}

impl Tape {
    pub(super) fn new(recordings: Recordings) -> Self {
        Self { wanted: recordings.always, recordings, tap: None, opening: None, beep_at: None }
    }

    /// Takes a packet of a side, where the call is recorded now.
    pub(super) fn take(&mut self, now: Instant, side: Side, rtp: &[u8]) {
        if !self.wanted {
            return;
        }
        if let Some(tap) = &mut self.tap {
            tap.take(now, side, rtp);
            if tap.is_over() {
                self.drop_tap();
            }
        }
    }

    /// When it is to be looked at, or the tone is due.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        let look_at = self.opening.as_ref().map(|(at, _)| *at);
        look_at.into_iter().chain(self.beep_at).min()
    }

    /// Begins to record; its files are to be opened yet.
    fn begin(&mut self, call: CallId, now: Instant) {
        if let Some((tap, recording)) = self.recordings.recorder.begin(&self.recordings.place, call, now) {
            (self.tap, self.opening) = (Some(tap), Some((now, recording)));
        }
    }

    /// Gives the files once, as soon as they are there; from then on both hear the tone.
    fn poll_opened(&mut self, now: Instant) -> Option<Recording> {
        let (at, recording) = self.opening.take_if(|(at, _)| *at <= now)?;
        match self.tap.as_ref().map_or(Standing::Over, Tap::standing) {
            Standing::Opening => self.opening = Some((at.max(now) + LOOK, recording)),
            Standing::Open => {
                self.sound_tone(now);
                return Some(recording);
            }
            Standing::Over => self.drop_tap(),
        }
        None
    }

    /// The tone is due, where there is one and something is recorded.
    fn sound_tone(&mut self, now: Instant) {
        let is_recorded = self.wanted && self.opening.is_none() && self.tap.is_some();
        if is_recorded && self.recordings.tone != ConsentTone::Off {
            self.beep_at = Some(now);
        }
    }

    fn drop_tap(&mut self) {
        (self.tap, self.opening, self.beep_at) = (None, None, None);
    }

    /// Ends the recording; gives its files where they were not told yet.
    pub(super) fn end(&mut self) -> Option<Recording> {
        let is_over = self.tap.as_ref().is_none_or(Tap::is_over);
        let untold = self.opening.take().map(|(_, recording)| recording).filter(|_| !is_over);
        self.drop_tap();
        self.wanted = false;
        untold
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
        if !self.tape.wanted {
            return;
        }
        if self.tape.tap.is_none() {
            self.tape.begin(CallId(self.key), now);
        } else if self.tape.beep_at.is_none() {
            self.tape.sound_tone(now);
        }
        self.attend_tape(now);
    }

    /// Somebody else hears the call from now on, and is to know that it is recorded.
    pub(super) fn warn_of_recording(&mut self, now: Instant) {
        self.tape.sound_tone(now);
        self.beep(now);
    }

    /// Does what is due of a recording.
    pub(super) fn attend_tape(&mut self, now: Instant) {
        if let Some(recording) = self.tape.poll_opened(now) {
            self.words.push(Said::Recorded(recording));
        }
        self.beep(now);
    }

    /// Lets both hear that they are recorded, when that is due.
    fn beep(&mut self, now: Instant) {
        if self.tape.tap.as_ref().is_some_and(Tap::is_over) {
            self.tape.drop_tap();
        }
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

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::clock;

    #[test]
    fn whoever_is_told_of_a_recording_and_hears_the_tone_has_one() {
        let room = tempfile::tempdir().unwrap();
        let file = room.path().join("file");
        std::fs::write(&file, b"").unwrap();
        let (told, tape) = begun(room.path().join("recordings"));
        assert!(told.is_some() && tape.beep_at.is_some());
        let (told, tape) = begun(file.join("recordings"));
        assert_eq!((told, tape.beep_at, tape.poll_timeout()), (None, None, None));
        assert!(tape.tap.is_none());
    }

    #[test]
    fn a_recording_that_is_paused_or_has_no_tone_sounds_none() {
        let room = tempfile::tempdir().unwrap();
        let (_, mut tape) = begun(room.path().join("recordings"));
        tape.beep_at = None;
        tape.wanted = false;
        tape.sound_tone(clock::now());
        assert_eq!(tape.beep_at, None);
        tape.wanted = true;
        tape.sound_tone(clock::now());
        assert!(tape.beep_at.is_some(), "whoever takes over hears it again");
        (tape.beep_at, tape.recordings.tone) = (None, ConsentTone::Off);
        tape.sound_tone(clock::now());
        assert_eq!(tape.beep_at, None);
    }

    /// A recording that goes there, when it is known whether it does.
    fn begun(folder: PathBuf) -> (Option<Recording>, Tape) {
        let recorder = Recorder::start(tgtrunk_shell::Health::default()).unwrap();
        let (place, tone) = (Place(folder), ConsentTone::Start);
        let mut tape = Tape::new(Recordings { recorder, place, always: true, tone });
        tape.begin(CallId(1), clock::now());
        for _ in 0..500 {
            let told = tape.poll_opened(clock::now());
            if told.is_some() || tape.opening.is_none() {
                return (told, tape);
            }
            std::thread::sleep(LOOK);
        }
        panic!("nobody knows whether it is recorded");
    }
}
