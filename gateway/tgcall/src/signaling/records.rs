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
const MIN_RESEND: Duration = Duration::from_secs(3);

/// How often what is not acknowledged is looked at.
const RESEND: Duration = Duration::from_secs(5);

/// How long an acknowledgement of a mere repetition may wait.
const ACK_DELAY: Duration = Duration::from_secs(5);

/// Longest packet sent, message key included.
const MAX_PACKET_BYTES: usize = 16 * 1024;

/// Longest document taken from the peer.
const MAX_DOCUMENT_BYTES: usize = 1024 * 1024;

/// Most documents waiting for acknowledgement.
const MAX_UNACKED: usize = 65_536;

/// Most acknowledgements waiting to be sent; a peer repeats what is dropped here.
const MAX_ACKS: usize = 4096;

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
            ack_at: None,
            packets: VecDeque::new(),
            documents: VecDeque::new(),
        }
    }

    /// Queues a document and sends it, with all earlier ones that are not acknowledged.
    pub(crate) fn send(&mut self, now: Instant, document: &[u8]) -> Result<(), SignalingError> {
        let bytes = MESSAGE_KEY_BYTES + 2 * HEAD_BYTES + 4 + document.len();
        if bytes > MAX_PACKET_BYTES {
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
        self.resend_at.get_or_insert(now + RESEND);
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
        if due(self.resend_at) {
            self.resend_at = (!self.unacked.is_empty()).then(|| now + RESEND);
            self.send_service(now)?;
        } else if due(self.ack_at) {
            self.send_service(now)?;
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
        let mut plaintext = Vec::new();
        let mut room = MAX_PACKET_BYTES - MESSAGE_KEY_BYTES - HEAD_BYTES;
        let acks = self.acks.len().min(room / HEAD_BYTES);
        room -= acks * HEAD_BYTES;
        let ready = self
            .unacked
            .iter()
            .take_while(|unacked| {
                let rested =
                    unacked.sent_at.is_none_or(|sent| now.saturating_duration_since(sent) >= MIN_RESEND);
                let fits = unacked.record.len() <= room;
                room = room.saturating_sub(unacked.record.len());
                rested && fits
            })
            .count();
        if acks == 0 && ready == 0 {
            return Ok(());
        }
        plaintext.extend_from_slice(&head(self.next_counter()?, EMPTY));
        self.append_acks(&mut plaintext);
        for unacked in self.unacked.iter_mut().take(ready) {
            unacked.sent_at = Some(now);
            plaintext.extend_from_slice(&unacked.record);
        }
        self.packets.push_back(self.envelope.seal(&plaintext));
        Ok(())
    }

    /// Moves as many waiting acknowledgements as fit behind what is there.
    fn append_acks(&mut self, plaintext: &mut Vec<u8>) {
        let room = MAX_PACKET_BYTES - MESSAGE_KEY_BYTES - plaintext.len();
        let fitting = self.acks.len().min(room / HEAD_BYTES);
        for seq in self.acks.drain(..fitting) {
            plaintext.extend_from_slice(&head(seq, ACK));
        }
        if self.acks.is_empty() {
            self.ack_at = None;
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
        if seq & ALONE != 0 && !(at == 0 && after.is_empty()) && !matches!(record, Record::Ack { .. }) {
            return Err(RecordError::NotAlone);
        }
        records.push(record);
        rest = after;
    }
    Ok(records)
}
