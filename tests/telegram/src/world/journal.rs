//! The journal: every request that arrived, whoever sent it, with what it was answered.

use std::collections::VecDeque;

use grammers_tl_types as tl;
use tl::{Deserializable, Identifiable};

/// Requests kept; the oldest go first.
const KEPT: usize = 20_000;
/// Lists of numbers longer than this are told by their length.
const SHOWN: usize = 12;

/// One request.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Counts from 1.
    pub number: u64,
    /// Unix time in milliseconds.
    pub at_ms: u64,
    /// The method's name in the schema: `phone.requestCall`.
    pub method: &'static str,
    /// Who asked, if logged in.
    pub user: Option<i64>,
    /// With which key.
    pub auth_key_id: i64,
    /// On which data centre.
    pub dc: i32,
    /// The whole request, constructor first.
    pub body: Vec<u8>,
    /// `ok`, an error's code and text, or the fault that took its place.
    pub outcome: String,
}

impl Entry {
    /// The request itself, if it is an `R`.
    pub fn request<R: Deserializable + Identifiable>(&self) -> Option<R> {
        let (id, rest) = self.body.split_first_chunk::<4>()?;
        if u32::from_le_bytes(*id) != R::CONSTRUCTOR_ID {
            return None;
        }
        R::from_bytes(rest).ok()
    }
}

/// The last requests, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Journal {
    entries: VecDeque<Entry>,
    count: u64,
}

impl Journal {
    pub(crate) fn note(&mut self, mut entry: Entry) {
        self.count += 1;
        entry.number = self.count;
        if self.entries.len() == KEPT {
            self.entries.pop_front();
        }
        self.entries.push_back(entry);
    }

    pub(crate) fn since(&self, number: u64) -> impl Iterator<Item = &Entry> {
        self.entries.iter().filter(move |entry| entry.number > number)
    }

    pub(crate) fn clear(&mut self) {
        self.entries.clear();
    }
}

/// The debug form of a request, with long lists of numbers told by their length.
pub fn shorten(debug: &str) -> String {
    let mut short = String::with_capacity(debug.len().min(512));
    let mut rest = debug;
    while let Some(open) = rest.find('[') {
        let (before, list) = rest.split_at(open);
        short.push_str(before);
        let inner = list.find(']').map(|close| &list[1..close]);
        let numbers = inner.filter(|inner| inner.split(", ").all(|item| item.parse::<u8>().is_ok()));
        match numbers {
            Some(inner) if inner.split(", ").count() > SHOWN => {
                short.push_str(&format!("[{} bytes]", inner.split(", ").count()));
                rest = &list[inner.len() + 2..];
            }
            _ => {
                short.push('[');
                rest = &list[1..];
            }
        }
    }
    short.push_str(rest);
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_byte_strings_are_told_by_their_length() {
        let text = format!("Call {{ hash: {:?}, versions: [\"9.0.0\"], tag: [1, 2] }}", vec![7_u8; 32]);
        assert_eq!(shorten(&text), "Call { hash: [32 bytes], versions: [\"9.0.0\"], tag: [1, 2] }");
    }

    #[test]
    fn only_the_last_requests_are_kept() {
        let mut journal = Journal::default();
        for _ in 0..KEPT + 3 {
            journal.note(entry());
        }
        assert_eq!(journal.since(0).count(), KEPT);
        assert_eq!(journal.since(0).next().unwrap().number, 4);
    }

    #[test]
    fn an_entry_gives_its_request_back_as_its_own_type_only() {
        use tl::Serializable;
        let body = tl::functions::contacts::ResolvePhone { phone: "7999".to_owned() }.to_bytes();
        let entry = Entry { body, ..entry() };
        assert_eq!(entry.request::<tl::functions::contacts::ResolvePhone>().unwrap().phone, "7999");
        assert_eq!(entry.request::<tl::functions::contacts::ResolveUsername>(), None);
    }

    fn entry() -> Entry {
        Entry {
            number: 0,
            at_ms: 0,
            method: "help.getConfig",
            user: None,
            auth_key_id: 1,
            dc: 2,
            body: Vec::new(),
            outcome: "ok".to_owned(),
        }
    }
}
