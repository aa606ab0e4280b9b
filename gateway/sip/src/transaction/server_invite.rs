//! INVITE server transaction (RFC 3261 section 17.2.1 with RFC 6026 section 7.1).
//!
//! A refusal is repeated until its ACK; a 2xx is repeated by the call, for it belongs to the dialog.

use std::time::{Duration, Instant};

use super::timer::{PATIENCE, Repeat, T2, T4};
use crate::hop::Transport;

/// Such a transaction, from the INVITE on.
#[derive(Debug)]
pub(crate) struct ServerInvite {
    answer: Vec<u8>,
    state: State,
    transport: Transport,
}

#[derive(Debug)]
enum State {
    /// A provisional answer is out.
    Proceeding,
    /// A 2xx is out; retransmitted INVITEs are swallowed until timer L.
    Accepted { ends_at: Instant },
    /// A refusal is out, repeated by timer G until its ACK or timer H.
    Completed(Repeat),
    /// The ACK came; more of them are swallowed until timer I.
    Confirmed { ends_at: Instant },
}

impl ServerInvite {
    /// Begins with the provisional answer that is sent now.
    pub(crate) fn new(answer: Vec<u8>, transport: Transport) -> Self {
        Self { answer, state: State::Proceeding, transport }
    }

    /// Whether a final answer is still to come.
    pub(crate) fn is_proceeding(&self) -> bool {
        matches!(self.state, State::Proceeding)
    }

    /// Takes the answer that is sent now. False when a final answer was given before: then it is not to be sent.
    pub(crate) fn answer(&mut self, now: Instant, status: u16, answer: Vec<u8>) -> bool {
        if !self.is_proceeding() {
            return false;
        }
        self.state = match status {
            ..200 => State::Proceeding,
            200..300 => State::Accepted { ends_at: now + PATIENCE },
            _ if self.transport.is_reliable() => State::Completed(Repeat::once(now)),
            _ => State::Completed(Repeat::new(now, T2)),
        };
        self.answer = answer;
        true
    }

    /// What a retransmitted INVITE gets.
    pub(crate) fn again(&self) -> Option<&[u8]> {
        match self.state {
            State::Proceeding | State::Completed(_) => Some(&self.answer),
            State::Accepted { .. } | State::Confirmed { .. } => None,
        }
    }

    /// Takes an ACK. False when it is one for the dialog.
    pub(crate) fn acknowledge(&mut self, now: Instant) -> bool {
        match self.state {
            State::Completed(_) => {
                let linger = if self.transport.is_reliable() { Duration::ZERO } else { T4 };
                self.state = State::Confirmed { ends_at: now + linger };
                true
            }
            State::Confirmed { .. } | State::Proceeding => true,
            State::Accepted { .. } => false,
        }
    }

    /// The refusal when it is to be repeated now, and whether the transaction goes on.
    pub(crate) fn handle_timeout(&mut self, now: Instant) -> (Option<&[u8]>, bool) {
        match &mut self.state {
            State::Proceeding => (None, true),
            State::Accepted { ends_at } | State::Confirmed { ends_at } => (None, now < *ends_at),
            State::Completed(repeat) if repeat.is_over(now) => (None, false),
            State::Completed(repeat) => (repeat.is_due(now).then_some(self.answer.as_slice()), true),
        }
    }

    /// When to look again.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        match &self.state {
            State::Proceeding => None,
            State::Accepted { ends_at } | State::Confirmed { ends_at } => Some(*ends_at),
            State::Completed(repeat) => Some(repeat.next()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_repeated_until_its_ack_and_no_longer() {
        let start = Instant::now();
        let mut transaction = ServerInvite::new(b"100".to_vec(), Transport::Udp);
        assert_eq!(transaction.again(), Some(&b"100"[..]));
        assert!(transaction.answer(start, 486, b"486".to_vec()));
        assert_eq!(transaction.handle_timeout(start + Duration::from_millis(500)), (Some(&b"486"[..]), true));
        let acked = start + Duration::from_millis(600);
        assert!(transaction.acknowledge(acked));
        assert_eq!((transaction.again(), transaction.deadline()), (None, Some(acked + T4)));
        assert_eq!(transaction.handle_timeout(acked + T4), (None, false));
    }

    #[test]
    fn without_an_ack_a_refusal_is_given_up_after_32_seconds() {
        let start = Instant::now();
        let mut transaction = ServerInvite::new(Vec::new(), Transport::Udp);
        transaction.answer(start, 486, Vec::new());
        let mut sent = 0;
        while let Some(now) = transaction.deadline() {
            match transaction.handle_timeout(now) {
                (Some(_), true) => sent += 1,
                (None, false) => {
                    assert_eq!(now - start, PATIENCE);
                    break;
                }
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(sent, 10);
    }

    #[test]
    fn after_a_2xx_retransmitted_invites_are_swallowed_and_acks_are_the_dialogs() {
        let start = Instant::now();
        let mut transaction = ServerInvite::new(Vec::new(), Transport::Udp);
        assert!(transaction.answer(start, 200, b"200".to_vec()));
        assert!(!transaction.answer(start, 487, b"487".to_vec()), "one final answer only");
        assert_eq!(transaction.again(), None);
        assert!(!transaction.acknowledge(start), "the ACK is the dialog's");
        assert_eq!(transaction.deadline(), Some(start + PATIENCE));
    }

    #[test]
    fn over_a_connection_a_refusal_is_sent_once_and_ends_with_its_ack() {
        let start = Instant::now();
        let mut transaction = ServerInvite::new(Vec::new(), Transport::Tcp);
        transaction.answer(start, 486, b"486".to_vec());
        assert_eq!(transaction.deadline(), Some(start + PATIENCE), "timer H stays");
        assert!(transaction.acknowledge(start));
        assert_eq!((transaction.deadline(), transaction.handle_timeout(start)), (Some(start), (None, false)));
    }
}
