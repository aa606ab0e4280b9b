//! Telegram's time, carried on by a clock that nobody sets.
//!
//! Messages are numbered by it (core.telegram.org/mtproto/description#message-identifier-msg-id), and Telegram takes none
//! that is 300 s old or 30 s early. The machine's own clock is believed until Telegram's is heard, and never again: it may
//! step by hours while a call goes on.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

/// An answer that is older than its question by more than this tells that we are ahead.
const SLACK_NS: i64 = 2_000_000_000;

/// What Telegram's clocks show, as far as its messages tell.
#[derive(Debug)]
pub(crate) struct TelegramTime {
    anchor: Instant,
    /// Nanoseconds since 1970 at the anchor.
    at_anchor: AtomicI64,
}

impl TelegramTime {
    /// Believes the machine's clock for now.
    pub(crate) fn new(now: Instant, wall: Duration) -> Self {
        Self { anchor: now, at_anchor: AtomicI64::new(nanoseconds(wall)) }
    }

    /// Since 1970.
    pub(crate) fn at(&self, now: Instant) -> Duration {
        let since = self.at_anchor.load(Ordering::Relaxed).saturating_add(self.since_anchor(now));
        Duration::from_nanos(u64::try_from(since).unwrap_or_default())
    }

    /// Telegram told its time just now.
    pub(crate) fn set(&self, told: Duration, now: Instant) {
        let at_anchor = nanoseconds(told).saturating_sub(self.since_anchor(now));
        self.at_anchor.store(at_anchor, Ordering::Relaxed);
    }

    /// A message of Telegram's came: none comes from the future.
    pub(crate) fn hears(&self, msg_id: i64, now: Instant) {
        let at_anchor = nanoseconds(told_by(msg_id)).saturating_sub(self.since_anchor(now));
        self.at_anchor.fetch_max(at_anchor, Ordering::Relaxed);
    }

    /// A message of Telegram's answers one of ours: no answer is older than its question.
    pub(crate) fn answered(&self, question: i64, answer: i64, now: Instant) {
        let (asked, told) = (told_by(question), told_by(answer));
        if nanoseconds(asked).saturating_sub(nanoseconds(told)) > SLACK_NS {
            self.set(told, now);
        } else {
            self.hears(answer, now);
        }
    }

    fn since_anchor(&self, now: Instant) -> i64 {
        nanoseconds(now.saturating_duration_since(self.anchor))
    }
}

/// The lowest number of a message at a time: seconds in the upper half, their fraction in the lower one.
pub(super) fn number_at(time: Duration) -> i64 {
    let fraction = (u64::from(time.subsec_nanos()) << 32) / 1_000_000_000;
    (time.as_secs().cast_signed() << 32) | (fraction.cast_signed() & !3)
}

/// When a message was numbered.
fn told_by(msg_id: i64) -> Duration {
    let number = msg_id.max(0).cast_unsigned();
    let fraction = ((number & 0xffff_ffff) * 1_000_000_000) >> 32;
    Duration::new(number >> 32, u32::try_from(fraction).unwrap_or_default())
}

fn nanoseconds(time: Duration) -> i64 {
    i64::try_from(time.as_nanos()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: Duration = Duration::from_secs(1_700_000_000);
    const HOUR: Duration = Duration::from_secs(3_600);

    #[test]
    fn it_goes_on_by_itself_and_messages_carry_it() {
        let start = Instant::now();
        let time = TelegramTime::new(start, NOON);
        let later = Duration::from_millis(2_500);
        assert_eq!(time.at(start + later), NOON + later);
        assert_eq!(number_at(NOON + later), ((1_700_000_002 << 32) | 0x8000_0000));
        assert_eq!(told_by(number_at(NOON + later)), NOON + later);
        assert_eq!(told_by(-1), Duration::ZERO);
    }

    #[test]
    fn what_is_heard_puts_it_forward_and_never_back() {
        let start = Instant::now();
        let time = TelegramTime::new(start, NOON);
        time.hears(number_at(NOON - HOUR) | 3, start);
        assert_eq!(time.at(start), NOON);
        time.hears(number_at(NOON + HOUR) | 3, start + HOUR / 2);
        assert_eq!(time.at(start + HOUR), NOON + HOUR + HOUR / 2);
    }

    #[test]
    fn an_answer_that_is_older_than_its_question_puts_it_back() {
        let start = Instant::now();
        let time = TelegramTime::new(start, NOON);
        let question = number_at(time.at(start));
        time.answered(question, number_at(NOON - Duration::from_secs(1)) | 1, start);
        assert_eq!(time.at(start), NOON, "clocks of Telegram's differ");
        time.answered(question, number_at(NOON - HOUR) | 1, start + Duration::from_secs(1));
        assert_eq!(time.at(start + Duration::from_secs(1)), NOON - HOUR);
        time.answered(number_at(NOON - HOUR), number_at(NOON) | 1, start + Duration::from_secs(1));
        assert_eq!(time.at(start + Duration::from_secs(1)), NOON);
    }
}
