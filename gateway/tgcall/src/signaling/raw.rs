//! The plain envelope of one document per packet: a counter in front, nothing acknowledged.
//!
//! The later versions put gzip inside; SCTP, or nothing at all, carries it.

use super::compression;
use super::crypto::{Envelope, EnvelopeError};
use super::sequence::{self, COUNTER_MASK, Counter, ReplayFilter};

/// Why a packet holds no document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RawError {
    #[error(transparent)]
    Envelope(#[from] EnvelopeError),
    #[error("signaling packet {0} came before")]
    Repeated(u32),
}

/// Both directions of plain packets.
#[derive(Debug)]
pub(crate) struct RawPackets {
    envelope: Envelope,
    counter: Counter,
    replays: ReplayFilter,
}

impl RawPackets {
    pub(crate) fn new(envelope: Envelope) -> Self {
        Self { envelope, counter: Counter::default(), replays: ReplayFilter::default() }
    }

    /// Compresses and seals a document; `None` once the counter is used up.
    pub(crate) fn seal(&mut self, document: &[u8]) -> Option<Vec<u8>> {
        let counter = self.counter.next()?;
        let mut plaintext = counter.to_be_bytes().to_vec();
        plaintext.extend(compression::gzip(document));
        Some(self.envelope.seal(&plaintext))
    }

    /// Opens a packet; the document may still be compressed.
    pub(crate) fn open(&mut self, packet: &[u8]) -> Result<Vec<u8>, RawError> {
        let plaintext = self.envelope.open(packet)?;
        let (word, document) = sequence::split(&plaintext).ok_or(EnvelopeError::Size(packet.len()))?;
        let counter = word & COUNTER_MASK;
        if !self.replays.accept(counter) {
            return Err(RawError::Repeated(counter));
        }
        Ok(document.to_vec())
    }
}
