//! Joined calls by the keys that their askers gave them: whoever asks again for want of an answer gets the same call.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tgtrunk_config::{CallId, Phone};

/// How long a key is remembered, whatever became of its call.
const MEMORY: Duration = Duration::from_secs(600);
/// Keys that are remembered at most; the oldest goes first.
const MOST: usize = 4096;

/// What is remembered. It outlives a line that is opened anew.
#[derive(Debug, Clone, Default)]
pub(crate) struct Placed(Arc<Mutex<VecDeque<Entry>>>);

#[derive(Debug)]
struct Entry {
    until: Instant,
    line: Phone,
    key: String,
    call: CallId,
}

impl Placed {
    /// The call that this line began under the key.
    pub(crate) fn find(&self, now: Instant, line: &Phone, key: &str) -> Option<CallId> {
        let placed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_it = |entry: &&Entry| entry.until > now && entry.key == key && entry.line == *line;
        placed.iter().find(is_it).map(|entry| entry.call)
    }

    /// Remembers under which key a call was begun.
    pub(crate) fn note(&self, now: Instant, line: &Phone, key: String, call: CallId) {
        let mut placed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        while placed.pop_front_if(|entry| entry.until <= now).is_some() {}
        if placed.len() >= MOST {
            placed.pop_front();
        }
        placed.push_back(Entry { until: now + MEMORY, line: line.clone(), key, call });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_known_for_ten_minutes_and_on_its_own_line() {
        let (placed, start) = (Placed::default(), crate::clock::now());
        let (line, other) = (phone("+79060000000"), phone("+79060000001"));
        placed.note(start, &line, "k".to_owned(), CallId(7));
        let later = start + MEMORY - Duration::from_secs(1);
        assert_eq!(placed.find(later, &line, "k"), Some(CallId(7)));
        assert_eq!(placed.clone().find(start, &line, "k"), Some(CallId(7)));
        assert_eq!((placed.find(start, &line, "K"), placed.find(start, &other, "k")), (None, None));
        assert_eq!(placed.find(start + MEMORY, &line, "k"), None);
    }

    #[test]
    fn keys_without_end_do_not_fill_the_memory() {
        let (placed, start, line) = (Placed::default(), crate::clock::now(), phone("+79060000000"));
        for number in 0..MOST as u64 + 10 {
            placed.note(start, &line, number.to_string(), CallId(number));
        }
        assert_eq!(placed.0.lock().unwrap().len(), MOST);
        assert_eq!(placed.find(start, &line, "9"), None);
        placed.note(start + MEMORY, &line, "new".to_owned(), CallId(1));
        assert_eq!(placed.0.lock().unwrap().len(), 1);
    }

    fn phone(number: &str) -> Phone {
        number.parse().unwrap()
    }
}
