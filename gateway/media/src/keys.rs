//! Digits on their way to one side that are no sound: events in its stream, or words for its SIP INFO.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::dtmf::{Digit, EventPacket, Format, LONGEST, Press, SHORTEST, Sender};

/// How many keys may wait for INFO.
const QUEUE: usize = 256;

/// Digits that wait or sound.
#[derive(Debug)]
pub(crate) enum Keys {
    /// RFC 4733.
    Events(Sender),
    /// SIP INFO: each is said when its turn comes.
    Info(Words),
}

/// Presses that are told one after the other, as far apart as fingers would be.
#[derive(Debug, Default)]
pub(crate) struct Words {
    waiting: VecDeque<(Press, Duration)>,
    free: Option<Instant>,
}

impl Keys {
    pub(crate) fn events(format: Format, ptime: Duration) -> Self {
        Self::Events(Sender::new(format, ptime))
    }

    pub(crate) fn info() -> Self {
        Self::Info(Words::default())
    }

    /// Appends a key; one that finds no room is dropped.
    pub(crate) fn push(&mut self, now: Instant, digit: Digit, tone: Duration, pause: Duration) {
        match self {
            Self::Events(sender) => {
                if sender.push(now, digit, tone, pause).is_err() {
                    tracing::debug!("no room for a digit");
                }
            }
            Self::Info(words) => words.push(now, digit, tone, pause),
        }
    }

    /// How many more digits may wait.
    pub(crate) fn room(&self) -> usize {
        match self {
            Self::Events(sender) => sender.room(),
            Self::Info(words) => QUEUE.saturating_sub(words.waiting.len()),
        }
    }

    pub(crate) fn is_active(&self) -> bool {
        match self {
            Self::Events(sender) => sender.is_active(),
            Self::Info(words) => words.free.is_some(),
        }
    }

    /// Whether events take the place of sound.
    pub(crate) fn is_sounding(&self) -> bool {
        match self {
            Self::Events(sender) => sender.is_sounding(),
            Self::Info(_) => false,
        }
    }

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        match self {
            Self::Events(sender) => sender.poll_timeout(),
            Self::Info(words) => words.free,
        }
    }

    /// Lets time pass; `timestamp` is what sound sent now would carry. A press is to be said by INFO.
    pub(crate) fn handle_timeout(&mut self, now: Instant, timestamp: u32) -> Option<Press> {
        match self {
            Self::Events(sender) => {
                sender.handle_timeout(now, timestamp);
                None
            }
            Self::Info(words) => words.handle_timeout(now),
        }
    }

    pub(crate) fn poll_packet(&mut self) -> Option<EventPacket> {
        match self {
            Self::Events(sender) => sender.poll_packet(),
            Self::Info(_) => None,
        }
    }
}

impl Words {
    fn push(&mut self, now: Instant, digit: Digit, tone: Duration, pause: Duration) {
        if self.waiting.len() >= QUEUE {
            tracing::debug!("no room for a digit");
            return;
        }
        let duration = tone.clamp(SHORTEST, LONGEST);
        self.waiting.push_back((Press { digit, duration }, pause.clamp(SHORTEST, LONGEST)));
        self.free.get_or_insert(now);
    }

    fn handle_timeout(&mut self, now: Instant) -> Option<Press> {
        self.free.filter(|free| *free <= now)?;
        let next = self.waiting.pop_front();
        self.free = next.map(|(press, pause)| now + press.duration + pause);
        next.map(|(press, _)| press)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_said_as_far_apart_as_tone_and_pause_and_end_after_the_last_pause() {
        let start = Instant::now();
        let (tone, pause) = (Duration::from_millis(120), Duration::from_millis(80));
        let mut keys = Keys::info();
        for letter in ['1', '#'] {
            keys.push(start, Digit::from_char(letter).unwrap(), tone, pause);
        }
        let mut said = Vec::new();
        while let Some(due) = keys.poll_timeout() {
            if let Some(press) = keys.handle_timeout(due, 0) {
                said.push((press.digit.to_char(), press.duration, due.duration_since(start)));
            }
            assert!(!keys.is_sounding() && keys.poll_packet().is_none());
        }
        assert_eq!(said, [('1', tone, Duration::ZERO), ('#', tone, tone + pause)]);
        assert!(!keys.is_active());
    }
}
