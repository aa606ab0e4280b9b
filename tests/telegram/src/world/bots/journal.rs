//! The journal of the Bot API: every request that arrived, with what it was answered.

use std::collections::VecDeque;

use serde::Serialize;
use serde_json::Value;

/// Requests kept; the oldest go first.
const KEPT: usize = 20_000;

/// One request to the Bot API.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BotEntry {
    /// Counts from 1.
    pub number: u64,
    /// When it came, Unix time in milliseconds.
    pub at_ms: u64,
    /// Whose token it had; nobody's if it was wrong.
    pub bot: Option<i64>,
    /// As the caller spelled it.
    pub method: String,
    /// Its parameters; files are told by name and length.
    pub params: Value,
    /// `ok`, an error's code and text, or the fault that took its place. Empty while it waits.
    pub outcome: String,
    /// How long its answer took, in milliseconds.
    pub took_ms: Option<u64>,
}

/// The last requests, oldest first.
#[derive(Debug, Default)]
pub(crate) struct BotJournal {
    entries: VecDeque<BotEntry>,
    count: u64,
}

impl BotJournal {
    /// Writes a request down and returns its number.
    pub(crate) fn begin(&mut self, bot: Option<i64>, method: &str, params: Value, at_ms: u64) -> u64 {
        self.count += 1;
        if self.entries.len() == KEPT {
            self.entries.pop_front();
        }
        let (number, method) = (self.count, method.to_owned());
        let (outcome, took_ms) = (String::new(), None);
        self.entries.push_back(BotEntry { number, at_ms, bot, method, params, outcome, took_ms });
        number
    }

    /// Writes down how it ended.
    pub(crate) fn end(&mut self, number: u64, outcome: String, now_ms: u64) {
        if let Some(entry) = self.entries.iter_mut().rev().find(|entry| entry.number == number) {
            entry.outcome = outcome;
            entry.took_ms = Some(now_ms.saturating_sub(entry.at_ms));
        }
    }

    pub(crate) fn since(&self, number: u64) -> impl Iterator<Item = &BotEntry> {
        self.entries.iter().filter(move |entry| entry.number > number)
    }

    pub(crate) fn clear(&mut self) {
        self.entries.clear();
    }
}
