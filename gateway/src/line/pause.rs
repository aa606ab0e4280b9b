//! Whether Telegram takes calls of this line now: FLOOD_WAIT and PEER_FLOOD shut its outgoing side for a while.

use std::time::{Duration, Instant};

use tgtrunk_bridge::Cause;
use tgtrunk_config::{LinePause, PauseReason, Said};

/// How long nothing is tried after PEER_FLOOD. Each further try makes it worse, and a day is what helps.
const SPAM_PAUSE: Duration = Duration::from_secs(86_400);

/// A pause that Telegram asked for, or none.
#[derive(Debug, Default)]
pub(crate) struct Pause(Option<Asked>);

#[derive(Debug, Clone, Copy)]
struct Asked {
    until: Instant,
    /// The same for people, in milliseconds since 1970.
    until_ms: u64,
    cause: Cause,
}

impl Pause {
    /// Takes note of a call's end; true when the line has to pause now, or longer than before.
    ///
    /// Calls that the pause itself refused end with its cause, too: they never make it longer.
    pub(crate) fn learn(&mut self, now: Instant, now_ms: u64, cause: Cause) -> bool {
        let (asked, wait) = match cause {
            Cause::Flood { wait_s } => {
                let asked = Duration::from_secs(wait_s.into());
                (asked, asked + Duration::from_secs(1))
            }
            Cause::PeerFlood if self.0.is_some_and(|known| known.cause == cause) => return false,
            Cause::PeerFlood => (SPAM_PAUSE, SPAM_PAUSE),
            _ => return false,
        };
        let longer = self.0.is_none_or(|known| known.until < now + asked);
        if longer {
            let wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
            self.0 = Some(Asked { until: now + wait, until_ms: now_ms.saturating_add(wait_ms), cause });
        }
        longer
    }

    /// Why a call must not be tried now.
    pub(crate) fn cause(&self, now: Instant) -> Option<Cause> {
        let Asked { until, cause, .. } = self.0.filter(|asked| now < asked.until)?;
        match cause {
            Cause::Flood { .. } => {
                let wait_s = until.saturating_duration_since(now).as_secs();
                Some(Cause::Flood { wait_s: u32::try_from(wait_s).unwrap_or(u32::MAX) })
            }
            cause => Some(cause),
        }
    }

    /// The pause in words for the line's status.
    pub(crate) fn sentence(&self) -> Option<Said> {
        Some(match self.0?.cause {
            Cause::PeerFlood => Said::new(
                "limited: Telegram took calls to strangers for spam",
                "ограничена: Telegram принял звонки незнакомым людям за спам",
            ),
            _ => Said::new(
                "limited: Telegram wants no calls for a while",
                "ограничена: Telegram просит пока не звонить",
            ),
        })
    }

    /// The pause as programs are told of it.
    pub(crate) fn told(&self) -> Option<LinePause> {
        let Asked { until_ms, cause, .. } = self.0?;
        let reason = match cause {
            Cause::PeerFlood => PauseReason::PeerFlood,
            _ => PauseReason::Flood,
        };
        Some(LinePause { reason, until_ms })
    }

    /// When the pause is over.
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        self.0.map(|asked| asked.until)
    }

    /// True when the pause is over.
    pub(crate) fn handle_timeout(&mut self, now: Instant) -> bool {
        self.0.take_if(|asked| asked.until <= now).is_some()
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
        assert!(pause.learn(start, 1_000, Cause::Flood { wait_s: 31 }));
        assert_eq!(pause.cause(start + S * 2), Some(Cause::Flood { wait_s: 30 }));
        assert_eq!(pause.poll_timeout(), Some(start + S * 32));
        assert_eq!(pause.told(), Some(LinePause { reason: PauseReason::Flood, until_ms: 33_000 }));
        assert!(!pause.handle_timeout(start + S * 31));
        assert!(pause.handle_timeout(start + S * 32));
        assert_eq!((pause.cause(start + S * 32), pause.told()), (None, None));
    }

    #[test]
    fn calls_that_a_pause_refuses_do_not_make_it_longer() {
        for (cause, wait) in [(Cause::Flood { wait_s: 2 }, S * 3), (Cause::PeerFlood, SPAM_PAUSE)] {
            let (mut pause, start) = (Pause::default(), crate::clock::now());
            assert!(pause.learn(start, 0, cause));
            for at_ms in [5, 1_100, 2_999] {
                let now = start + Duration::from_millis(at_ms);
                let refusal = pause.cause(now).unwrap();
                assert!(!pause.learn(now, 0, refusal), "{refusal:?} at {at_ms} ms");
            }
            assert_eq!(pause.poll_timeout(), Some(start + wait));
            assert_eq!(pause.cause(start + wait), None, "also before the timer has fired");
        }
    }

    #[test]
    fn a_longer_wait_of_telegram_makes_a_pause_longer() {
        let (mut pause, start) = (Pause::default(), crate::clock::now());
        assert!(pause.learn(start, 0, Cause::Flood { wait_s: 2 }));
        assert!(pause.learn(start + S, 1_000, Cause::Flood { wait_s: 30 }));
        assert_eq!(pause.poll_timeout(), Some(start + S * 32));
    }

    #[test]
    fn a_spam_verdict_outlasts_a_flood_wait_and_other_ends_shut_nothing() {
        let (mut pause, start) = (Pause::default(), crate::clock::now());
        assert!(!pause.learn(start, 0, Cause::Busy));
        assert!(pause.learn(start, 0, Cause::PeerFlood));
        assert!(!pause.learn(start, 0, Cause::Flood { wait_s: 60 }));
        assert_eq!(pause.cause(start + S * 3600), Some(Cause::PeerFlood));
        assert_eq!(pause.told(), Some(LinePause { reason: PauseReason::PeerFlood, until_ms: 86_400_000 }));
        assert!(pause.handle_timeout(start + SPAM_PAUSE));
    }
}
