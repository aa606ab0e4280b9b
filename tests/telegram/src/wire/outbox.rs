//! The server's messages of one session: numbers, packets, and what the client has not acknowledged yet.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use crate::wire::container::{self, Message};
use crate::wire::envelope::INNER_HEAD;

/// Unacknowledged messages kept for a reconnect.
const MOST_UNACKED: usize = 1024;
const MOST_UNACKED_BYTES: usize = 16 << 20;
/// What one packet takes, unless one message alone is larger.
const MOST_IN_PACKET: usize = 100;
const PACKET_BYTES: usize = 256 << 10;

/// Whether a message of ours answers one of the client's; the low bits of its identifier say so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Reply,
    Notice,
}

/// Messages on their way to the client.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    last_msg_id: i64,
    content_sent: i32,
    queue: VecDeque<Message>,
    unacked: BTreeMap<i64, Message>,
    unacked_bytes: usize,
}

impl Outbox {
    /// Queues a message that needs no acknowledgment.
    pub(crate) fn service(&mut self, now: Duration, kind: Kind, body: Vec<u8>) {
        let message = Message { msg_id: self.next_id(now, kind), seqno: self.content_sent * 2, body };
        self.queue.push_back(message);
    }

    /// Queues a message that is kept until it is acknowledged, and returns its identifier.
    pub(crate) fn content(&mut self, now: Duration, kind: Kind, body: Vec<u8>) -> i64 {
        let message = Message { msg_id: self.next_id(now, kind), seqno: self.content_sent * 2 + 1, body };
        self.content_sent += 1;
        self.queue.push_back(message.clone());
        let msg_id = message.msg_id;
        self.unacked_bytes += message.body.len();
        self.unacked.insert(msg_id, message);
        while (self.unacked.len() > MOST_UNACKED || self.unacked_bytes > MOST_UNACKED_BYTES)
            && self.unacked.len() > 1
            && let Some((oldest, _)) = self.unacked.first_key_value()
        {
            self.remove(*oldest);
        }
        msg_id
    }

    /// The client has a message.
    pub(crate) fn acknowledge(&mut self, msg_id: i64) {
        if let Some(message) = self.unacked.remove(&msg_id) {
            self.unacked_bytes -= message.body.len();
        }
    }

    /// Takes back a message, sent or not, and returns it.
    pub(crate) fn remove(&mut self, msg_id: i64) -> Option<Message> {
        let message = self.unacked.get(&msg_id).cloned();
        self.acknowledge(msg_id);
        self.queue.retain(|queued| queued.msg_id != msg_id);
        message
    }

    /// Sends a message again under its old numbers. Says whether it was still there.
    pub(crate) fn resend(&mut self, msg_id: i64) -> bool {
        let Some(message) = self.unacked.get(&msg_id) else { return false };
        if !self.queue.iter().any(|queued| queued.msg_id == msg_id) {
            self.queue.push_back(message.clone());
        }
        true
    }

    /// Begins again on a new connection: everything unacknowledged, and nothing else.
    pub(crate) fn resend_all(&mut self) {
        self.queue = self.unacked.values().cloned().collect();
    }

    /// The next packet's plain text (salt, session and a message), if anything waits.
    pub(crate) fn poll_packet(&mut self, now: Duration, salt: i64, session_id: i64) -> Option<Vec<u8>> {
        let mut messages = vec![self.queue.pop_front()?];
        let mut size = messages[0].body.len();
        while messages.len() < MOST_IN_PACKET
            && let Some(next) = self.queue.front()
            && size + next.body.len() <= PACKET_BYTES
            && let Some(next) = self.queue.pop_front()
        {
            size += next.body.len() + 16;
            messages.push(next);
        }
        let message = match <[Message; 1]>::try_from(messages) {
            Ok([message]) => message,
            Err(messages) => Message {
                msg_id: self.next_id(now, Kind::Reply),
                seqno: self.content_sent * 2,
                body: container::pack(&messages),
            },
        };
        let mut plain = Vec::with_capacity(INNER_HEAD + message.body.len());
        plain.extend(salt.to_le_bytes());
        plain.extend(session_id.to_le_bytes());
        message.write(&mut plain);
        Some(plain)
    }

    /// Time in the upper half, the kind in the two lowest bits, never the same twice.
    fn next_id(&mut self, now: Duration, kind: Kind) -> i64 {
        let fraction = (u64::from(now.subsec_nanos()) << 32) / 1_000_000_000;
        let clock = (now.as_secs() << 32 | fraction) as i64 & !3;
        let base = clock.max((self.last_msg_id & !3) + 4);
        self.last_msg_id = base | if kind == Kind::Reply { 1 } else { 3 };
        self.last_msg_id
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::new(1_700_000_000, 500_000_000);

    #[test]
    fn identifiers_hold_the_time_rise_and_tell_the_kind() {
        let mut outbox = Outbox::default();
        let first = outbox.content(NOW, Kind::Reply, b"one.".to_vec());
        assert_eq!(first, 1_700_000_000 << 32 | 0x8000_0000 | 1);
        let second = outbox.content(NOW, Kind::Notice, b"two.".to_vec());
        assert_eq!(second, first + 4 + 2);
        let back = outbox.content(NOW - Duration::from_secs(9), Kind::Reply, b"thr.".to_vec());
        assert_eq!(back, first + 8);
    }

    #[test]
    fn sequence_numbers_are_odd_for_content_and_even_otherwise() {
        let mut outbox = Outbox::default();
        outbox.service(NOW, Kind::Reply, b"a...".to_vec());
        outbox.content(NOW, Kind::Reply, b"b...".to_vec());
        outbox.service(NOW, Kind::Reply, b"c...".to_vec());
        outbox.content(NOW, Kind::Reply, b"d...".to_vec());
        let seqnos: Vec<_> = packet(&mut outbox).iter().map(|message| message.seqno).collect();
        assert_eq!(seqnos, [0, 1, 2, 3]);
    }

    #[test]
    fn one_message_travels_alone_and_several_in_a_container() {
        let mut outbox = Outbox::default();
        outbox.content(NOW, Kind::Reply, b"one.".to_vec());
        let plain = outbox.poll_packet(NOW, 5, 6).unwrap();
        assert_eq!(plain[..16], [5i64.to_le_bytes(), 6i64.to_le_bytes()].concat());
        assert_eq!(plain[32..], *b"one.");
        assert_eq!(outbox.poll_packet(NOW, 5, 6), None);

        let inner = [
            outbox.content(NOW, Kind::Reply, b"two.".to_vec()),
            outbox.content(NOW, Kind::Reply, b"thr.".to_vec()),
        ];
        let plain = outbox.poll_packet(NOW, 5, 6).unwrap();
        let outer = i64::from_le_bytes(std::array::from_fn(|at| plain[16 + at]));
        let seqno = i32::from_le_bytes(std::array::from_fn(|at| plain[24 + at]));
        assert!(outer > inner[1] && outer & 3 == 1);
        assert_eq!(seqno, 6);
        assert_eq!(container::open(&plain[32..]).unwrap().len(), 2);
    }

    #[test]
    fn large_messages_are_not_crowded_together() {
        let mut outbox = Outbox::default();
        for _ in 0..3 {
            outbox.content(NOW, Kind::Reply, vec![0; 200 << 10]);
        }
        assert_eq!(
            [packet(&mut outbox).len(), packet(&mut outbox).len(), packet(&mut outbox).len()],
            [1, 1, 1]
        );
    }

    #[test]
    fn what_is_unacknowledged_comes_again_under_its_old_numbers() {
        let mut outbox = Outbox::default();
        let one = outbox.content(NOW, Kind::Reply, b"one.".to_vec());
        let two = outbox.content(NOW, Kind::Notice, b"two.".to_vec());
        outbox.service(NOW, Kind::Reply, b"thr.".to_vec());
        let sent = packet(&mut outbox);
        outbox.acknowledge(one);
        outbox.resend_all();
        assert_eq!(packet(&mut outbox), [sent[1].clone()]);
        assert!(outbox.resend(two) && outbox.resend(two) && !outbox.resend(one));
        assert_eq!(packet(&mut outbox).len(), 1);
        assert_eq!(outbox.remove(two).unwrap().body, b"two.");
        outbox.resend_all();
        assert!(outbox.poll_packet(NOW, 0, 0).is_none());
    }

    #[test]
    fn the_oldest_go_when_a_client_never_acknowledges() {
        let mut outbox = Outbox::default();
        for _ in 0..MOST_UNACKED + 10 {
            outbox.content(NOW, Kind::Notice, vec![0; 4]);
        }
        assert_eq!((outbox.unacked.len(), outbox.queue.len()), (MOST_UNACKED, MOST_UNACKED));
        outbox.content(NOW, Kind::Notice, vec![0; MOST_UNACKED_BYTES + 4]);
        assert_eq!(outbox.unacked.len(), 1);
    }

    fn packet(outbox: &mut Outbox) -> Vec<Message> {
        let plain = outbox.poll_packet(NOW, 0, 0).unwrap();
        if container::constructor(&plain[32..]) == container::CONTAINER {
            return container::open(&plain[32..]).unwrap();
        }
        vec![Message {
            msg_id: i64::from_le_bytes(std::array::from_fn(|at| plain[16 + at])),
            seqno: i32::from_le_bytes(std::array::from_fn(|at| plain[24 + at])),
            body: plain[32..].to_vec(),
        }]
    }
}
