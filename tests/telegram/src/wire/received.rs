//! What a session remembers of the client's messages: numbers in order, nothing executed twice.
//!
//! core.telegram.org/mtproto/service_messages_about_messages: the error codes and the status bytes.

use std::collections::BTreeMap;

/// So many messages are remembered; older ones are "too old" (code 20).
const MOST: usize = 4096;

/// What became of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// Needs no answer, or got one that is not kept.
    Noted,
    Container,
    /// The world works on it, or it waits for another message's answer.
    Running,
    /// Answered by our message of this identifier; `ok` tells a result from an error.
    Answered {
        answer: i64,
        ok: bool,
    },
    /// The client wants no answer any more.
    Dropped,
}

/// The ledger of one session.
#[derive(Debug, Default)]
pub(crate) struct Received {
    seen: BTreeMap<i64, (i32, State)>,
    forgotten_up_to: i64,
}

impl Received {
    /// The code of `bad_msg_notification` a new message deserves by its numbers alone.
    pub(crate) fn fault(&self, msg_id: i64, seqno: i32) -> Option<i32> {
        if msg_id <= self.forgotten_up_to {
            return Some(20);
        }
        let before = self.seen.range(..msg_id).next_back().map(|(_, (seqno, _))| *seqno);
        let after = self.seen.range(msg_id..).next().map(|(_, (seqno, _))| *seqno);
        let odd = seqno & 1 == 1;
        if before.is_some_and(|before| before > seqno || before == seqno && odd) {
            return Some(32);
        }
        if after.is_some_and(|after| after < seqno || after == seqno && odd) {
            return Some(33);
        }
        None
    }

    pub(crate) fn note(&mut self, msg_id: i64, seqno: i32, state: State) {
        self.seen.insert(msg_id, (seqno, state));
        while self.seen.len() > MOST
            && let Some((oldest, _)) = self.seen.pop_first()
        {
            self.forgotten_up_to = oldest;
        }
    }

    pub(crate) fn state(&self, msg_id: i64) -> Option<State> {
        self.seen.get(&msg_id).map(|(_, state)| *state)
    }

    pub(crate) fn seqno(&self, msg_id: i64) -> i32 {
        self.seen.get(&msg_id).map_or(0, |(seqno, _)| *seqno)
    }

    /// Changes the state of a message that is still remembered.
    pub(crate) fn set(&mut self, msg_id: i64, new: State) {
        if let Some((_, state)) = self.seen.get_mut(&msg_id) {
            *state = new;
        }
    }

    /// As if the message had never come.
    pub(crate) fn forget(&mut self, msg_id: i64) {
        self.seen.remove(&msg_id);
    }

    /// The client's newest message.
    pub(crate) fn newest(&self) -> i64 {
        self.seen.last_key_value().map_or(0, |(msg_id, _)| *msg_id)
    }

    /// The byte of `msgs_state_info`.
    pub(crate) fn status(&self, msg_id: i64) -> u8 {
        match self.seen.get(&msg_id) {
            None if msg_id <= self.forgotten_up_to => 1,
            None if msg_id > self.newest() => 3,
            None => 2,
            Some((_, State::Noted | State::Container)) => 4 + 16,
            Some((_, State::Running | State::Dropped)) => 4 + 8 + 32,
            Some((_, State::Answered { .. })) => 4 + 8 + 32 + 64,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sequence_numbers_must_rise_with_identifiers() {
        let mut received = Received::default();
        for (msg_id, seqno) in [(40, 1), (80, 3), (120, 4)] {
            assert_eq!(received.fault(msg_id, seqno), None);
            received.note(msg_id, seqno, State::Noted);
        }
        assert_eq!(received.fault(160, 3), Some(32), "lower than before");
        assert_eq!(received.fault(100, 3), Some(32), "equal and odd");
        assert_eq!(received.fault(60, 5), Some(33), "higher than after");
        assert_eq!(received.fault(60, 2), None);
        assert_eq!(received.fault(160, 4), None, "equal and even");
        assert_eq!(received.fault(20, 0), None);
    }

    #[test]
    fn what_was_forgotten_is_too_old() {
        let mut received = Received::default();
        for n in 0..=MOST as i64 {
            received.note(400 + 4 * n, 0, State::Noted);
        }
        assert_eq!(received.fault(400, 0), Some(20));
        assert_eq!(received.status(400), 1);
        assert_eq!(received.state(400), None);
        assert_eq!(received.state(404), Some(State::Noted));
        assert_eq!(received.newest(), 400 + 4 * MOST as i64);
    }

    #[test]
    fn status_bytes_say_what_became_of_a_message() {
        let mut received = Received::default();
        received.note(8, 1, State::Running);
        received.note(16, 2, State::Noted);
        assert_eq!([4, 8, 12, 16, 20].map(|msg_id| received.status(msg_id)), [2, 44, 2, 20, 3]);
        received.set(8, State::Answered { answer: 1, ok: true });
        assert_eq!(received.status(8), 108);
        received.forget(8);
        assert_eq!(received.status(8), 2);
    }
}
