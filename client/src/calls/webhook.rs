//! How the webhook of calls does at each line, for people.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tgtrunk_config::{Phone, Said};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::clock;

/// A webhook that takes nothing for so long is told to people wherever they look.
const AMISS: Duration = Duration::from_secs(180);

/// How the webhook does at one line. Times are milliseconds since 1970.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Webhook {
    /// Its address, which may hold a secret.
    pub(crate) url: String,
    /// Events that wait for it.
    pub(crate) waiting: u64,
    /// When it took one last, since the program began.
    pub(crate) taken_ms: Option<u64>,
    /// What went wrong last.
    pub(crate) fault: Option<Fault>,
    /// The event that waits first.
    pub(crate) head: Option<Waits>,
}

/// An event that waits.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Waits {
    /// Its number at its line.
    pub(crate) seq: i64,
    /// `call.start`, `call.answer`, ...
    pub(crate) kind: String,
    /// Of which call.
    pub(crate) call: String,
    /// Since when: milliseconds since 1970.
    pub(crate) since_ms: u64,
}

/// What went wrong last. Times are milliseconds since 1970.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Fault {
    /// A sentence.
    pub(crate) cause: String,
    /// Since when.
    pub(crate) since_ms: u64,
    /// When last.
    pub(crate) at_ms: u64,
    /// How often the event that waits first was brought.
    pub(crate) attempts: u64,
    /// When it is tried again.
    pub(crate) next_ms: u64,
    /// Whether events are taken again since.
    pub(crate) is_over: bool,
}

/// An event that was not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Missed {
    /// Why, as a sentence.
    pub(super) cause: String,
    /// How often it was brought by now.
    pub(super) attempts: u32,
    /// Since when none is taken: milliseconds since 1970.
    pub(super) since_ms: u64,
}

/// How it does at all lines. Clones are the same.
#[derive(Clone, Default)]
pub(super) struct Standings {
    lines: Arc<Mutex<BTreeMap<Phone, Standing>>>,
    turned: watch::Sender<u64>,
}

#[derive(Default)]
struct Standing {
    taken_ms: Option<u64>,
    fault: Option<Fault>,
    since: Option<Instant>,
    waiting: u64,
}

impl Standings {
    /// A line is closed.
    pub(super) fn leave(&self, line: &Phone) {
        self.lock().remove(line);
        self.turn();
    }

    /// The webhook took an event of a line.
    pub(super) fn took(&self, line: &Phone) {
        let mut lines = self.lock();
        let standing = lines.entry(line.clone()).or_default();
        (standing.taken_ms, standing.since) = (Some(clock::unix_ms()), None);
        if let Some(fault) = &mut standing.fault {
            fault.is_over = true;
        }
        drop(lines);
        self.turn();
    }

    /// It did not take an event, of which so many wait; it takes none since then, and is tried again after a pause.
    pub(super) fn failed(&self, line: &Phone, missed: Missed, waiting: u64, pause: Duration) {
        let Missed { cause, attempts, since_ms } = missed;
        let at_ms = clock::unix_ms();
        let next_ms = at_ms + u64::try_from(pause.as_millis()).unwrap_or(0);
        let mut lines = self.lock();
        let standing = lines.entry(line.clone()).or_default();
        let attempts = attempts.into();
        standing.fault = Some(Fault { cause, since_ms, at_ms, attempts, next_ms, is_over: false });
        // It may have failed before this program began.
        let failing = Duration::from_millis(at_ms.saturating_sub(since_ms));
        standing
            .since
            .get_or_insert_with(|| Instant::now().checked_sub(failing).unwrap_or_else(Instant::now));
        standing.waiting = waiting;
        drop(lines);
        self.turn();
    }

    /// What failed is given up or skipped, and so many events wait.
    pub(super) fn gave_up(&self, line: &Phone, waiting: u64) {
        let mut lines = self.lock();
        let Some(standing) = lines.get_mut(line) else { return };
        standing.waiting = waiting;
        // Nothing is left that it does not take.
        if waiting == 0 {
            standing.since = None;
            if let Some(fault) = &mut standing.fault {
                fault.is_over = true;
            }
        }
        drop(lines);
        self.turn();
    }

    /// How it does at a line.
    pub(super) fn of(&self, line: &Phone, url: String, waiting: u64, head: Option<Waits>) -> Webhook {
        let lines = self.lock();
        let standing = lines.get(line);
        let fault = standing.and_then(|standing| standing.fault.clone());
        Webhook { url, waiting, taken_ms: standing.and_then(|standing| standing.taken_ms), fault, head }
    }

    /// Turns whenever it may do another way.
    pub(super) fn changes(&self) -> watch::Receiver<u64> {
        self.turned.subscribe()
    }

    /// One sentence for all lines, once one of them is in trouble for long.
    pub(super) fn said(&self, now: Instant) -> Option<Said> {
        let lines = self.lock();
        let troubles =
            || lines.values().filter_map(|one| Some((one.since?, one.fault.as_ref()?, one.waiting)));
        let (since, fault, _) = troubles().min_by_key(|(since, ..)| *since)?;
        let time = now.duration_since(since);
        if time < AMISS {
            return None;
        }
        let (minutes, cause) = (time.as_secs() / 60, &fault.cause);
        let waiting: u64 = troubles().map(|(.., waiting)| waiting).sum();
        Some(Said::new(
            format!(
                "the webhook of calls (api.call_webhook_url in tgtrunk.toml) has taken nothing for {minutes} min: {cause}; events that wait: {waiting}"
            ),
            format!(
                "вебхук звонков (api.call_webhook_url в tgtrunk.toml) ничего не принимает уже {minutes} мин: {cause}; ждут событий: {waiting}"
            ),
        ))
    }

    fn turn(&self) {
        self.turned.send_modify(|turns| *turns += 1);
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Phone, Standing>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAUSE: Duration = Duration::from_secs(2);

    #[test]
    fn people_hear_of_a_webhook_that_takes_nothing_for_minutes_and_no_more_when_it_does() {
        let (standings, start) = (Standings::default(), Instant::now());
        let lines = lines();
        standings.failed(&lines[0], missed("it answers 500", 1), 2, PAUSE);
        standings.failed(&lines[1], missed("it answers 500", 1), 3, PAUSE);
        standings.failed(&lines[0], missed("it answers 502", 2), 4, PAUSE);
        assert_eq!(standings.said(start + AMISS / 2), None);
        let said = standings.said(start + AMISS * 2 + Duration::from_secs(1)).unwrap();
        assert!(said.en.contains("for 6 min: it answers 502; events that wait: 7"), "{}", said.en);
        assert!(said.ru.contains("уже 6 мин: it answers 502; ждут событий: 7"), "{}", said.ru);
        standings.took(&lines[0]);
        standings.leave(&lines[1]);
        assert_eq!(standings.said(start + AMISS * 2), None);
    }

    #[test]
    fn of_each_line_it_is_known_since_when_and_how_often_it_fails_and_when_it_is_tried_again() {
        let standings = Standings::default();
        let [line, other] = lines();
        let mut changes = standings.changes();
        standings.failed(&line, missed("it answers 500", 1), 2, PAUSE);
        assert!(changes.has_changed().unwrap());
        changes.mark_unchanged();
        let first = standings.of(&line, "http://a".into(), 2, None).fault.unwrap();
        assert_eq!(first.next_ms - first.at_ms, 2_000);
        standings.failed(&line, missed("no answer within 5 s", 2), 2, PAUSE * 2);
        let second = standings.of(&line, "http://a".into(), 2, None).fault.unwrap();
        assert_eq!(second.attempts, 2);
        assert_eq!((second.cause.as_str(), second.is_over), ("no answer within 5 s", false));
        assert_eq!(standings.of(&other, "http://a".into(), 0, None).fault, None);
        standings.took(&line);
        let webhook = standings.of(&line, "http://a".into(), 0, None);
        assert!(webhook.taken_ms.is_some() && webhook.fault.unwrap().is_over);
        assert!(changes.has_changed().unwrap());
        standings.failed(&line, missed("it answers 500", 7), 1, PAUSE);
        let again = standings.of(&line, "http://a".into(), 1, None).fault.unwrap();
        assert!(again.attempts == 7 && !again.is_over);
    }

    #[test]
    fn what_fails_since_before_the_program_began_is_told_at_once() {
        let standings = Standings::default();
        let since_ms = clock::unix_ms() - 600_000;
        standings.failed(&lines()[0], Missed { since_ms, ..missed("it answers 500", 9) }, 1, PAUSE);
        let said = standings.said(Instant::now()).unwrap();
        assert!(said.en.contains("for 10 min: it answers 500"), "{}", said.en);
    }

    fn missed(cause: &str, attempts: u32) -> Missed {
        Missed { cause: cause.to_owned(), attempts, since_ms: clock::unix_ms() }
    }

    fn lines() -> [Phone; 2] {
        ["+79060000000", "+79060000001"].map(|line| line.parse().unwrap())
    }
}
