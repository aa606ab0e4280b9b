//! Acknowledged records, the framing of versions 8.0.0 and 9.0.0 ("V2").
//!
//! A packet is a list of records: an optional empty one at its head, acknowledgements, and
//! documents. A document is repeated until it is acknowledged, always behind every earlier one
//! that is not, so that the peer sees them in order.

use std::collections::{BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use super::SignalingError;
use super::crypto::{Envelope, EnvelopeError, MESSAGE_KEY_BYTES};
use super::sequence::{self, ALONE, COUNTER_MASK, Counter, ReplayFilter, WANTS_ACK};

/// A record is repeated no sooner than this.
const MIN_RESEND: Duration = Duration::from_secs(1);

/// When what is not acknowledged is repeated first; then after twice as long each time. Telegram's applications wait 5 s
/// before each repetition, in which a person takes the call for dead.
const FIRST_RESEND: Duration = Duration::from_secs(1);

/// The longest pause between two repetitions.
const LAST_RESEND: Duration = Duration::from_secs(5);

/// How long an acknowledgement of a mere repetition may wait.
const ACK_DELAY: Duration = Duration::from_secs(1);

/// Longest packet sent, message key included.
const MAX_PACKET_BYTES: usize = 16 * 1024;

/// Longest document taken from the peer.
const MAX_DOCUMENT_BYTES: usize = 1024 * 1024;

/// Most documents waiting for acknowledgement.
const MAX_UNACKED: usize = 65_536;

/// Most acknowledgements waiting to be sent; a peer repeats what is dropped here.
const MAX_ACKS: usize = 512;

/// Longest document sent: one that fits beside all waiting acknowledgements.
const MAX_SENT_BYTES: usize = MAX_PACKET_BYTES - MESSAGE_KEY_BYTES - HEAD_BYTES * (MAX_ACKS + 2) - 4;

/// How far behind the largest delivered counter the others are remembered.
const REMEMBERED: u32 = 65_536;

const EMPTY: u8 = 0xfe;
const ACK: u8 = 0xff;
const CUSTOM: u8 = 0x7f;

/// Bytes of a sequence word and a type.
const HEAD_BYTES: usize = 5;

/// Why a packet is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RecordError {
    #[error(transparent)]
    Envelope(#[from] EnvelopeError),
    #[error("signaling packet {0} came before")]
    Repeated(u32),
    #[error("record at byte {at} is cut off")]
    CutOff { at: usize },
    #[error("record of type {kind:#04x} at byte {at}: want empty first, or acknowledgement later, or custom")]
    Kind { at: usize, kind: u8 },
    #[error("document of {bytes} bytes at byte {at}: want at most 1 MiB")]
    Length { at: usize, bytes: usize },
    #[error("a record that must stand alone has company")]
    NotAlone,
}

/// Both directions of acknowledged records.
#[derive(Debug)]
pub(crate) struct Records {
    envelope: Envelope,
    counter: Counter,
    replays: ReplayFilter,
    unacked: VecDeque<Unacked>,
    acks: Vec<u32>,
    delivered: BTreeSet<u32>,
    resend_at: Option<Instant>,
    /// How long the next repetition waits for the one after it.
    pause: Duration,
    ack_at: Option<Instant>,
    packets: VecDeque<Vec<u8>>,
    documents: VecDeque<Vec<u8>>,
}

/// A document on its way.
#[derive(Debug)]
struct Unacked {
    seq: u32,
    record: Vec<u8>,
    sent_at: Option<Instant>,
}

impl Unacked {
    /// When it may be sent again; `None`: at once.
    fn rested_at(&self) -> Option<Instant> {
        self.sent_at.map(|sent| sent + MIN_RESEND)
    }
}

/// A record as it came.
#[derive(Debug, PartialEq, Eq)]
enum Record<'a> {
    Empty { seq: u32 },
    Ack { seq: u32 },
    Custom { seq: u32, document: &'a [u8] },
}

impl Records {
    pub(crate) fn new(envelope: Envelope) -> Self {
        Self {
            envelope,
            counter: Counter::default(),
            replays: ReplayFilter::default(),
            unacked: VecDeque::new(),
            acks: Vec::new(),
            delivered: BTreeSet::new(),
            resend_at: None,
            pause: FIRST_RESEND,
            ack_at: None,
            packets: VecDeque::new(),
            documents: VecDeque::new(),
        }
    }

    /// Queues a document and sends it, with all earlier ones that are not acknowledged.
    pub(crate) fn send(&mut self, now: Instant, document: &[u8]) -> Result<(), SignalingError> {
        if document.len() > MAX_SENT_BYTES {
            return Err(SignalingError::TooLong(document.len()));
        }
        if self.unacked.len() >= MAX_UNACKED {
            return Err(SignalingError::Unanswered(self.unacked.len()));
        }
        let seq = self.next_counter()? | WANTS_ACK;
        let mut record = head(seq, CUSTOM).to_vec();
        record.extend_from_slice(&(document.len() as u32).to_be_bytes());
        record.extend_from_slice(document);
        let alone = self.unacked.is_empty();
        if alone {
            let mut plaintext = record.clone();
            self.ack_at = None;
            self.append_acks(&mut plaintext);
            self.packets.push_back(self.envelope.seal(&plaintext));
        }
        self.unacked.push_back(Unacked { seq, record, sent_at: alone.then_some(now) });
        if !alone {
            for unacked in &mut self.unacked {
                unacked.sent_at = None;
            }
            self.send_service(now)?;
        }
        if self.resend_at.is_none() {
            self.pause = FIRST_RESEND;
            self.resend_at = Some(now + FIRST_RESEND);
        }
        Ok(())
    }

    /// Takes a packet of the peer.
    pub(crate) fn handle_packet(&mut self, now: Instant, packet: &[u8]) -> Result<(), TakeError> {
        let plaintext = self.envelope.open(packet).map_err(RecordError::from)?;
        let records = parse(&plaintext)?;
        if let Some(first) = records.first() {
            let counter = first.seq() & COUNTER_MASK;
            if !self.replays.accept(counter) {
                return Err(RecordError::Repeated(counter).into());
            }
        }
        let mut new = false;
        let mut repeated = false;
        for (index, record) in records.into_iter().enumerate() {
            match record {
                Record::Empty { .. } => {}
                Record::Ack { seq } => self.unacked.retain(|unacked| unacked.seq != seq),
                Record::Custom { seq, document } if seq & WANTS_ACK != 0 => {
                    self.queue_ack(seq);
                    if self.remember(seq & COUNTER_MASK) {
                        new = true;
                        self.documents.push_back(document.to_vec());
                    } else {
                        repeated = true;
                    }
                }
                Record::Custom { seq, document } => {
                    if index == 0 || self.replays.accept(seq & COUNTER_MASK) {
                        self.documents.push_back(document.to_vec());
                    }
                }
            }
        }
        if self.unacked.is_empty() {
            self.resend_at = None;
        }
        if new {
            self.send_service(now)?;
        } else if repeated {
            self.ack_at.get_or_insert(now + ACK_DELAY);
        }
        Ok(())
    }

    /// Repeats and acknowledges what is due.
    pub(crate) fn handle_timeout(&mut self, now: Instant) -> Result<(), SignalingError> {
        let due = |at: Option<Instant>| at.is_some_and(|at| at <= now);
        let resend = due(self.resend_at);
        if resend || due(self.ack_at) {
            self.send_service(now)?;
        }
        if resend {
            // The oldest may have gone out a moment ago, along with a newer one.
            let rested = self.unacked.front().and_then(Unacked::rested_at);
            let sent_now = self.unacked.front().is_some_and(|u| u.sent_at == Some(now));
            self.resend_at = if sent_now {
                self.pause = (self.pause * 2).min(LAST_RESEND);
                Some(now + self.pause)
            } else {
                rested
            };
        }
        Ok(())
    }

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        self.resend_at.into_iter().chain(self.ack_at).min()
    }

    pub(crate) fn poll_packet(&mut self) -> Option<Vec<u8>> {
        self.packets.pop_front()
    }

    pub(crate) fn poll_document(&mut self) -> Option<Vec<u8>> {
        self.documents.pop_front()
    }

    /// Sends the waiting acknowledgements and those documents whose time has come; nothing if
    /// there is neither.
    fn send_service(&mut self, now: Instant) -> Result<(), SignalingError> {
        self.ack_at = None;
        if self.acks.is_empty() && self.unacked.is_empty() {
            return Ok(());
        }
        let acks = self.acks.len() * HEAD_BYTES;
        let mut room = MAX_PACKET_BYTES - MESSAGE_KEY_BYTES - HEAD_BYTES - acks;
        let ready = self
            .unacked
            .iter()
            .take_while(|unacked| {
                let fits = unacked.record.len() <= room;
                room = room.saturating_sub(unacked.record.len());
                fits && unacked.rested_at().is_none_or(|at| at <= now)
            })
            .count();
        if acks == 0 && ready == 0 {
            return Ok(());
        }
        let mut plaintext = head(self.next_counter()?, EMPTY).to_vec();
        self.append_acks(&mut plaintext);
        for unacked in self.unacked.iter_mut().take(ready) {
            unacked.sent_at = Some(now);
            plaintext.extend_from_slice(&unacked.record);
        }
        self.packets.push_back(self.envelope.seal(&plaintext));
        Ok(())
    }

    fn append_acks(&mut self, plaintext: &mut Vec<u8>) {
        for seq in self.acks.drain(..) {
            plaintext.extend_from_slice(&head(seq, ACK));
        }
    }

    fn queue_ack(&mut self, seq: u32) {
        if self.acks.len() < MAX_ACKS && !self.acks.contains(&seq) {
            self.acks.push(seq);
        }
    }

    /// Whether a document's counter comes for the first time; remembers it.
    fn remember(&mut self, counter: u32) -> bool {
        let largest = self.delivered.last().copied().unwrap_or(0).max(counter);
        let floor = largest.saturating_sub(REMEMBERED);
        if counter < floor {
            return false;
        }
        self.delivered = self.delivered.split_off(&floor);
        self.delivered.insert(counter)
    }

    fn next_counter(&mut self) -> Result<u32, SignalingError> {
        self.counter.next().ok_or(SignalingError::CounterExhausted)
    }
}

/// Why a packet could not be taken: it is bad, or the answer to it could not be sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TakeError {
    #[error(transparent)]
    Packet(#[from] RecordError),
    #[error(transparent)]
    Fatal(#[from] SignalingError),
}

impl Record<'_> {
    fn seq(&self) -> u32 {
        match self {
            Self::Empty { seq } | Self::Ack { seq } | Self::Custom { seq, .. } => *seq,
        }
    }
}

fn head(seq: u32, kind: u8) -> [u8; HEAD_BYTES] {
    let [a, b, c, d] = seq.to_be_bytes();
    [a, b, c, d, kind]
}

/// Reads the records of a packet; one bad record spoils it whole.
fn parse(plaintext: &[u8]) -> Result<Vec<Record<'_>>, RecordError> {
    let mut records = Vec::new();
    let mut rest = plaintext;
    while !rest.is_empty() {
        let at = plaintext.len() - rest.len();
        let cut_off = RecordError::CutOff { at };
        let (seq, after) = sequence::split(rest).ok_or(cut_off)?;
        let (kind, after) = after.split_first().ok_or(cut_off)?;
        let (record, after) = match *kind {
            EMPTY if at == 0 => (Record::Empty { seq }, after),
            ACK if at > 0 => (Record::Ack { seq }, after),
            CUSTOM => {
                let (length, after) = sequence::split(after).ok_or(cut_off)?;
                let bytes = length as usize;
                if bytes > MAX_DOCUMENT_BYTES {
                    return Err(RecordError::Length { at, bytes });
                }
                let (document, after) = after.split_at_checked(bytes).ok_or(cut_off)?;
                (Record::Custom { seq, document }, after)
            }
            kind => return Err(RecordError::Kind { at, kind }),
        };
        let alone = at == 0 && after.is_empty();
        if seq & ALONE != 0 && !alone && *kind != ACK {
            return Err(RecordError::NotAlone);
        }
        records.push(record);
        rest = after;
    }
    Ok(records)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::SharedKey;

    #[test]
    fn a_first_document_goes_out_as_published() {
        let (mut caller, _, now) = pair();
        caller.send(now, DOCUMENT).unwrap();
        assert_eq!(hex::encode(caller.poll_packet().unwrap()), CALLER_PACKET);
        assert!(caller.poll_packet().is_none());
        assert_eq!(caller.poll_timeout(), Some(now + FIRST_RESEND));
    }

    #[test]
    fn a_document_is_acknowledged_as_published() {
        let (mut caller, mut callee, now) = pair();
        // The published acknowledgement is the callee's second packet.
        callee.counter = Counter::starting_after(1);
        let packet = hex::decode(CALLER_PACKET).unwrap();
        callee.handle_packet(now, &packet).unwrap();
        assert_eq!(callee.poll_document().unwrap(), DOCUMENT);
        let ack = callee.poll_packet().unwrap();
        assert_eq!(hex::encode(&ack), CALLEE_ACK_PACKET);
        caller.send(now, DOCUMENT).unwrap();
        caller.handle_packet(now, &ack).unwrap();
        assert_eq!(caller.poll_timeout(), None);
        assert!(caller.unacked.is_empty());
    }

    #[test]
    fn an_acknowledgement_must_repeat_the_full_sequence_word() {
        let (mut caller, callee, now) = pair();
        caller.send(now, DOCUMENT).unwrap();
        let bare = [head(1, EMPTY), head(1, ACK)].concat();
        caller.handle_packet(now, &callee.envelope.seal(&bare)).unwrap();
        assert_eq!(caller.unacked.len(), 1);
        let full = [head(2, EMPTY), head(1 | WANTS_ACK, ACK)].concat();
        caller.handle_packet(now, &callee.envelope.seal(&full)).unwrap();
        assert!(caller.unacked.is_empty());
    }

    #[test]
    fn a_further_document_takes_the_earlier_ones_along_in_order() {
        let (mut caller, mut callee, now) = pair();
        for document in [b"1", b"2", b"3"] {
            caller.send(now, document).unwrap();
        }
        let packets: Vec<_> = std::iter::from_fn(|| caller.poll_packet()).collect();
        assert_eq!(packets.len(), 3);
        callee.handle_packet(now, &packets[2]).unwrap();
        let got: Vec<_> = std::iter::from_fn(|| callee.poll_document()).collect();
        assert_eq!(got, [b"1", b"2", b"3"]);
        for late in &packets[..2] {
            callee.handle_packet(now, late).unwrap();
        }
        assert!(callee.poll_document().is_none());
    }

    #[test]
    fn what_is_not_acknowledged_is_sent_again_after_a_second_and_then_ever_later() {
        let (mut caller, mut callee, begun) = pair();
        caller.send(begun, DOCUMENT).unwrap();
        let lost = caller.poll_packet().unwrap();
        let mut waited_s = Vec::new();
        for _ in 0..5 {
            let due = caller.poll_timeout().unwrap();
            caller.handle_timeout(due - Duration::from_millis(1)).unwrap();
            assert!(caller.poll_packet().is_none());
            caller.handle_timeout(due).unwrap();
            let again = caller.poll_packet().unwrap();
            assert_ne!(again, lost);
            callee.handle_packet(due, &again).unwrap();
            waited_s.push((due - begun).as_secs());
        }
        assert_eq!(waited_s, [1, 3, 7, 12, 17]);
        assert_eq!(callee.poll_document().unwrap(), DOCUMENT);
        assert!(callee.poll_document().is_none());
    }

    #[test]
    fn nothing_is_sent_again_within_a_second() {
        let (mut caller, mut callee, now) = pair();
        caller.send(now, b"1").unwrap();
        let soon = now + Duration::from_millis(900);
        caller.send(soon, b"2").unwrap();
        while caller.poll_packet().is_some() {}
        let due = now + FIRST_RESEND;
        caller.handle_timeout(due).unwrap();
        assert!(caller.poll_packet().is_none());
        let rested = soon + MIN_RESEND;
        assert_eq!(caller.poll_timeout(), Some(rested));
        callee.send(now, b"3").unwrap();
        let packet = callee.poll_packet().unwrap();
        caller.handle_packet(due, &packet).unwrap();
        let ack_alone = caller.poll_packet().unwrap();
        assert_eq!(ack_alone.len(), 26);
        caller.handle_timeout(rested).unwrap();
        callee.handle_packet(rested, &caller.poll_packet().unwrap()).unwrap();
        let got: Vec<_> = std::iter::from_fn(|| callee.poll_document()).collect();
        assert_eq!(got, [b"1", b"2"]);
    }

    #[test]
    fn a_repeated_document_is_acknowledged_again_but_later_and_not_delivered() {
        let (mut caller, mut callee, now) = pair();
        caller.send(now, DOCUMENT).unwrap();
        callee.handle_packet(now, &caller.poll_packet().unwrap()).unwrap();
        while callee.poll_packet().is_some() {}
        let later = now + FIRST_RESEND;
        caller.handle_timeout(later).unwrap();
        callee.handle_packet(later, &caller.poll_packet().unwrap()).unwrap();
        assert_eq!(callee.poll_document().unwrap(), DOCUMENT);
        assert!(callee.poll_document().is_none());
        assert!(callee.poll_packet().is_none());
        assert_eq!(callee.poll_timeout(), Some(later + ACK_DELAY));
        callee.handle_timeout(later + ACK_DELAY).unwrap();
        caller.handle_packet(later, &callee.poll_packet().unwrap()).unwrap();
        assert!(caller.unacked.is_empty());
        assert_eq!(callee.poll_timeout(), None);
    }

    #[test]
    fn the_same_packet_twice_counts_once() {
        let (mut caller, mut callee, now) = pair();
        caller.send(now, DOCUMENT).unwrap();
        let packet = caller.poll_packet().unwrap();
        callee.handle_packet(now, &packet).unwrap();
        assert_eq!(callee.handle_packet(now, &packet), Err(TakeError::Packet(RecordError::Repeated(1))));
    }

    #[test]
    fn a_peer_that_sends_each_document_alone_loses_none_when_they_change_places() {
        let (caller, mut callee, now) = pair();
        let alone =
            |counter: u32, document: &[u8]| caller.envelope.seal(&custom(counter | WANTS_ACK, document));
        callee.handle_packet(now, &alone(2, b"second")).unwrap();
        callee.handle_packet(now, &alone(1, b"first")).unwrap();
        assert_eq!(callee.poll_document().unwrap(), b"second");
        assert_eq!(callee.poll_document().unwrap(), b"first");
    }

    #[test]
    fn an_empty_packet_of_21_bytes_is_accepted_and_not_answered() {
        let (caller, mut callee, now) = pair();
        let packet = caller.envelope.seal(&head(1, EMPTY));
        assert_eq!(packet.len(), 21);
        assert_eq!(callee.handle_packet(now, &packet), Ok(()));
        assert!(callee.poll_packet().is_none());
        assert_eq!(callee.poll_timeout(), None);
    }

    #[test]
    fn a_document_that_wants_no_acknowledgement_is_delivered_once() {
        let (caller, mut callee, now) = pair();
        let single = custom(1 | ALONE, b"single");
        callee.handle_packet(now, &caller.envelope.seal(&single)).unwrap();
        for head_counter in [2, 3] {
            let packet = [head(head_counter, EMPTY).to_vec(), custom(9, b"along")].concat();
            callee.handle_packet(now, &caller.envelope.seal(&packet)).unwrap();
        }
        let got: Vec<_> = std::iter::from_fn(|| callee.poll_document()).collect();
        assert_eq!(got, [b"single".to_vec(), b"along".to_vec()]);
        assert!(callee.poll_packet().is_none());
    }

    #[test]
    fn malformed_records_spoil_their_packet_whole() {
        let good = custom(1 | WANTS_ACK, b"good");
        let with = |tail: &[u8]| [good.as_slice(), tail].concat();
        let long = [&head(1, CUSTOM)[..], &[0, 0x10, 0, 1]].concat();
        let cases = [
            (with(&[0]), RecordError::CutOff { at: 13 }),
            (with(&[0, 0, 0, 1]), RecordError::CutOff { at: 13 }),
            (with(&head(2, CUSTOM)), RecordError::CutOff { at: 13 }),
            (with(&head(2, EMPTY)), RecordError::Kind { at: 13, kind: EMPTY }),
            (with(&head(2, 0x33)), RecordError::Kind { at: 13, kind: 0x33 }),
            (head(2, ACK).to_vec(), RecordError::Kind { at: 0, kind: ACK }),
            (good[..12].to_vec(), RecordError::CutOff { at: 0 }),
            (long, RecordError::Length { at: 0, bytes: 1_048_577 }),
            (with(&custom(2 | ALONE, b"")), RecordError::NotAlone),
        ];
        for (plaintext, expected) in cases {
            let (caller, mut callee, now) = pair();
            let refused = callee.handle_packet(now, &caller.envelope.seal(&plaintext));
            assert_eq!(refused, Err(TakeError::Packet(expected)));
            assert!(callee.poll_document().is_none());
            assert!(callee.poll_packet().is_none());
        }
    }

    #[test]
    fn no_packet_is_longer_than_16384_bytes() {
        let (mut caller, mut callee, now) = pair();
        for index in 0..40 {
            caller.send(now, &[index; 1000]).unwrap();
        }
        let packets: Vec<_> = std::iter::from_fn(|| caller.poll_packet()).collect();
        assert!(packets.iter().all(|packet| packet.len() <= 16_384));
        assert!(packets.iter().any(|packet| packet.len() > 16_000));
        // Nothing is lost: whatever does not fit follows once the first are acknowledged.
        let mut at = now;
        let mut got = 0;
        callee.handle_packet(at, packets.last().unwrap()).unwrap();
        while got < 40 {
            while callee.poll_document().is_some() {
                got += 1;
            }
            while let Some(packet) = callee.poll_packet() {
                caller.handle_packet(at, &packet).unwrap();
            }
            at += LAST_RESEND;
            assert!(at < now + LAST_RESEND * 10, "{got} documents after ten rounds");
            caller.handle_timeout(at).unwrap();
            while let Some(packet) = caller.poll_packet() {
                assert!(packet.len() <= 16_384);
                callee.handle_packet(at, &packet).unwrap();
            }
        }
    }

    #[test]
    fn a_document_that_fits_no_packet_is_an_error() {
        let (mut caller, _, now) = pair();
        let refused = caller.send(now, &[0; 20_000]);
        assert_eq!(refused, Err(SignalingError::TooLong(20_000)));
        assert!(caller.poll_packet().is_none());
        assert_eq!(caller.send(now, &[0; MAX_SENT_BYTES]), Ok(()));
    }

    #[test]
    fn a_used_up_counter_is_an_error_wherever_it_is_needed() {
        let (mut caller, mut callee, now) = pair();
        caller.counter = Counter::starting_after(COUNTER_MASK - 2);
        callee.counter = Counter::starting_after(COUNTER_MASK - 1);
        caller.send(now, b"last").unwrap();
        let packet = caller.poll_packet().unwrap();
        let exhausted = SignalingError::CounterExhausted;
        assert_eq!(callee.handle_packet(now, &packet), Err(TakeError::Fatal(exhausted.clone())));
        assert_eq!(callee.poll_document().unwrap(), b"last");
        assert_eq!(caller.send(now, b"no more"), Err(exhausted.clone()));
        assert_eq!(caller.handle_timeout(now + FIRST_RESEND), Err(exhausted));
    }

    #[test]
    fn recorded_calls_are_read_and_acknowledged_record_by_record() {
        for capture in [
            include_str!("../../testdata/signaling/ntgcalls-8.0.0.json"),
            include_str!("../../testdata/signaling/ntgcalls-9.0.0.json"),
        ] {
            let capture: serde_json::Value = serde_json::from_str(capture).unwrap();
            let packets = capture["packets"].as_array().unwrap();
            for sender in ["out", "in"] {
                let (mut ours, mut theirs, now) = pair();
                if sender == "in" {
                    (ours, theirs) = (theirs, ours);
                }
                let mut expected = Vec::new();
                for packet in packets.iter().filter(|packet| packet["sender"] == sender) {
                    let records = packet["messages"].as_array().unwrap();
                    let plaintext: Vec<u8> = records.iter().flat_map(recorded).collect();
                    for record in records.iter().filter(|record| record["kind"] == "custom") {
                        if !expected.contains(&record["json"]) {
                            expected.push(record["json"].clone());
                        }
                    }
                    theirs.handle_packet(now, &ours.envelope.seal(&plaintext)).unwrap();
                }
                let got: Vec<serde_json::Value> = std::iter::from_fn(|| theirs.poll_document())
                    .map(|document| serde_json::from_slice(&document).unwrap())
                    .collect();
                assert!(got.len() >= 5);
                assert_eq!(got, expected, "{sender}");
                assert!(theirs.poll_packet().is_some());
            }
        }
    }

    const DOCUMENT: &[u8] = br#"{"@type":"Candidates","candidates":[]}"#;

    const CALLER_PACKET: &str = "520b02707125433f643abbf61fe98c75eeac8bc7337674e8508c5fcbebd263cc\
        5e3497c6d97d0236943e101adad7d446b0af4a21ab24d168728f1483e5502f";

    const CALLEE_ACK_PACKET: &str = "8ef08193f045f0faa5bf34dce12cae1039a91f81eff9f12a5ea1";

    fn pair() -> (Records, Records, Instant) {
        let key = SharedKey::from_bytes(std::array::from_fn(|index| (7 * index + 3) as u8));
        let end = |is_caller| Records::new(Envelope::new(&key, is_caller));
        (end(true), end(false), Instant::now())
    }

    fn custom(seq: u32, document: &[u8]) -> Vec<u8> {
        let length = (document.len() as u32).to_be_bytes();
        [&head(seq, CUSTOM)[..], &length, document].concat()
    }

    /// The bytes of a record in a capture.
    fn recorded(record: &serde_json::Value) -> Vec<u8> {
        let seq = u32::from_str_radix(record["seq_hex"].as_str().unwrap(), 16).unwrap();
        match record["kind"].as_str().unwrap() {
            "empty" => head(seq, EMPTY).to_vec(),
            "ack" => head(seq, ACK).to_vec(),
            "custom" => custom(seq, record["json"].to_string().as_bytes()),
            other => panic!("record of kind {other}"),
        }
    }
}
