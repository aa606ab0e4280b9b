//! The last lines of the log, in memory.

use std::collections::VecDeque;
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tgtrunk_config::control::{LONGEST_LINE_BYTES, LogLine, LogTail, to_line};
use tokio::sync::Notify;
use tokio::time::timeout;
use tracing::Metadata;
use tracing_subscriber::fmt::MakeWriter;

use crate::clock;

/// Lines that are kept.
const LINES: usize = 1_000;
/// What is kept of a line.
const LONGEST_TEXT_BYTES: usize = 4_096;
/// What one answer may hold, its frame left out.
const ANSWER_BYTES: usize = LONGEST_LINE_BYTES - 1_024;

/// The last lines, and who waits for the next one.
#[derive(Debug, Default)]
pub(super) struct Ring {
    kept: Mutex<Kept>,
    news: Notify,
}

#[derive(Debug, Default)]
struct Kept {
    lines: VecDeque<LogLine>,
    last: u64,
}

/// Gives a pen for every line that is logged.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pens(pub(super) &'static Ring);

/// Writes one line.
#[derive(Debug)]
pub(super) struct Pen {
    ring: &'static Ring,
    level: tracing::Level,
}

impl Ring {
    fn push(&self, level: &str, text: &str) {
        let mut end = text.len().min(LONGEST_TEXT_BYTES);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        let mut text = text[..end].to_owned();
        if end == LONGEST_TEXT_BYTES {
            text.push('…');
        }
        let mut kept = self.kept();
        kept.last += 1;
        if kept.lines.len() >= LINES {
            kept.lines.pop_front();
        }
        let line = LogLine { number: kept.last, time_ms: clock::unix_ms(), level: level.to_owned(), text };
        kept.lines.push_back(line);
        drop(kept);
        self.news.notify_waiters();
    }

    /// The lines after the one with this number; see [`super::tail`].
    pub(super) async fn tail(&self, after: u64, wait: Duration) -> LogTail {
        let waited = async {
            loop {
                // Whoever looks first and waits then misses what comes in between.
                let mut news = std::pin::pin!(self.news.notified());
                news.as_mut().enable();
                let tail = self.kept().tail(after);
                if !tail.lines.is_empty() {
                    return tail;
                }
                news.await;
            }
        };
        match timeout(wait, waited).await {
            Ok(tail) => tail,
            Err(_) => self.kept().tail(after),
        }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn tail(&self, after: u64) -> LogTail {
        // A number of a process before this one says nothing here.
        let after = if after > self.last { 0 } else { after };
        let first = self.lines.partition_point(|line| line.number <= after);
        let mut room = ANSWER_BYTES;
        let mut fits = |line: &&LogLine| {
            let left = room.checked_sub(to_line(*line).len());
            room = left.unwrap_or(0);
            left.is_some()
        };
        let mut lines: Vec<LogLine>;
        if after == 0 {
            lines = self.lines.iter().rev().take_while(|line| fits(line)).cloned().collect();
            lines.reverse();
        } else {
            lines = self.lines.range(first..).take_while(|line| fits(line)).cloned().collect();
        }
        let last = lines.last().map_or(after, |line| line.number);
        LogTail { lines, last }
    }
}

impl<'a> MakeWriter<'a> for Pens {
    type Writer = Pen;

    fn make_writer(&'a self) -> Pen {
        Pen { ring: self.0, level: tracing::Level::INFO }
    }

    fn make_writer_for(&'a self, meta: &Metadata<'_>) -> Pen {
        Pen { ring: self.0, level: *meta.level() }
    }
}

impl io::Write for Pen {
    /// Takes a whole line: that is how lines come.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(line);
        self.ring.push(self.level.as_str(), text.trim());
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use tracing::info_span;
    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;

    const NOW: Duration = Duration::ZERO;

    #[tokio::test]
    async fn what_was_logged_is_told_with_its_level_its_fields_and_where_to_go_on() {
        let ring: &'static Ring = Box::leak(Box::default());
        let layer = tracing_subscriber::fmt::layer()
            .with_ansi(false)
            .without_time()
            .with_level(false)
            .with_target(false)
            .with_writer(Pens(ring));
        tracing::subscriber::with_default(tracing_subscriber::Registry::default().with(layer), || {
            info_span!("line", sip_port = 30001).in_scope(|| tracing::info!(calls = 2, "line opened"));
            tracing::error!("a second\nline");
        });
        let tail = ring.tail(0, NOW).await;
        let told: Vec<_> = tail.lines.iter().map(|line| (line.level.as_str(), line.text.as_str())).collect();
        assert_eq!(
            told,
            [("INFO", "line{sip_port=30001}: line opened calls=2"), ("ERROR", "a second\nline")]
        );
        assert_eq!((tail.lines[0].number, tail.last), (1, 2));
        assert!(tail.lines[0].time_ms > 0);
        assert_eq!(ring.tail(1, NOW).await.lines.len(), 1);
        assert_eq!(ring.tail(2, NOW).await, LogTail { lines: vec![], last: 2 });
        assert_eq!(ring.tail(9, NOW).await.last, 2, "a number of a process before");
    }

    #[tokio::test]
    async fn who_waits_has_the_next_line_at_once_and_nothing_when_none_comes() {
        let ring: &'static Ring = Box::leak(Box::default());
        let waiting = tokio::spawn(ring.tail(0, Duration::from_secs(30)));
        tokio::task::yield_now().await;
        ring.push("INFO", "news");
        assert_eq!(waiting.await.unwrap().last, 1);
        let soon = Duration::from_millis(20);
        assert_eq!(ring.tail(1, soon).await, LogTail { lines: vec![], last: 1 });
    }

    #[tokio::test]
    async fn the_memory_and_every_answer_are_bounded() {
        let ring = Ring::default();
        for _ in 0..2 * LINES {
            ring.push("INFO", &"ы\u{1}".repeat(10_000));
        }
        assert_eq!(ring.kept().lines.len(), LINES);
        assert!(ring.kept().lines.iter().all(|line| line.text.len() <= LONGEST_TEXT_BYTES + 3));
        let newest = ring.tail(0, NOW).await;
        assert_eq!(newest.last, 2 * LINES as u64);
        assert!(newest.lines.len() > 5 && to_line(&newest).len() < LONGEST_LINE_BYTES);
        let mut after = LINES as u64;
        let mut seen = 0;
        while after < 2 * LINES as u64 {
            let next = ring.tail(after, NOW).await;
            assert!(to_line(&next).len() < LONGEST_LINE_BYTES);
            assert_eq!(next.lines[0].number, after + 1);
            seen += next.lines.len();
            after = next.last;
        }
        assert_eq!(seen, LINES);
    }
}
