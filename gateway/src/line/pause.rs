//! Whether Telegram takes calls of this line now: FLOOD_WAIT and PEER_FLOOD shut its outgoing side for a while.

use std::time::{Duration, Instant};

use tgtrunk_bridge::Cause;

/// How long nothing is tried after PEER_FLOOD. Each further try makes it worse, and a day is what helps.
const SPAM_PAUSE: Duration = Duration::from_secs(86_400);

/// A pause that Telegram asked for, or none.
#[derive(Debug, Default)]
pub(crate) struct Pause(Option<(Instant, Cause)>);

impl Pause {
    /// Takes note of a call's end; true when the line has to pause now, or longer than before.
    pub(crate) fn learn(&mut self, now: Instant, cause: Cause) -> bool {
        let until = match cause {
            Cause::Flood { wait_s } => now + Duration::from_secs(u64::from(wait_s) + 1),
            Cause::PeerFlood => now + SPAM_PAUSE,
            _ => return false,
        };
        let longer = self.0.is_none_or(|(known, _)| known < until);
        if longer {
            self.0 = Some((until, cause));
        }
        longer
    }

    /// Why a call must not be tried now.
    pub(crate) fn cause(&self, now: Instant) -> Option<Cause> {
        let (until, cause) = self.0?;
        match cause {
            Cause::Flood { .. } => {
                let wait_s = until.saturating_duration_since(now).as_secs();
                Some(Cause::Flood { wait_s: u32::try_from(wait_s).unwrap_or(u32::MAX) })
            }
            cause => Some(cause),
        }
    }

    /// The pause in words for the line's status.
    pub(crate) fn sentence(&self) -> Option<&'static str> {
        match self.0?.1 {
            Cause::PeerFlood => Some("limited: Telegram took calls to strangers for spam"),
            _ => Some("limited: Telegram wants no calls for a while"),
        }
    }

    /// When the pause is over.
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        self.0.map(|(until, _)| until)
    }

    /// True when the pause is over.
    pub(crate) fn handle_timeout(&mut self, now: Instant) -> bool {
        self.0.take_if(|(until, _)| *until <= now).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: Duration = Duration::from_secs(1);

    #[test]
    fn a_flood_wait_shuts_the_line_one_second_longer_than_named_and_counts_down() {
        let (mut pause, start) = (Pause::default(), crate::clock::now());
        assert_eq!(pause.cause(start), None);
        assert!(pause.learn(start, Cause::Flood { wait_s: 31 }));
        assert_eq!(pause.cause(start + S * 2), Some(Cause::Flood { wait_s: 30 }));
        assert_eq!(pause.poll_timeout(), Some(start + S * 32));
        assert!(!pause.handle_timeout(start + S * 31));
        assert!(pause.handle_timeout(start + S * 32));
        assert_eq!((pause.cause(start + S * 32), pause.sentence()), (None, None));
    }

    #[test]
    fn a_spam_verdict_outlasts_a_flood_wait_and_other_ends_shut_nothing() {
        let (mut pause, start) = (Pause::default(), crate::clock::now());
        assert!(!pause.learn(start, Cause::Busy));
        assert!(pause.learn(start, Cause::PeerFlood));
        assert!(!pause.learn(start, Cause::Flood { wait_s: 60 }));
        assert_eq!(pause.cause(start + S * 3600), Some(Cause::PeerFlood));
        assert!(pause.handle_timeout(start + SPAM_PAUSE));
    }
}
