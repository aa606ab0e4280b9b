//! A row of packets in one buffer, reused from one wake-up to the next.

/// Packets one after the other; after a few rounds it has grown to its work and allocates no more.
#[derive(Debug, Default)]
pub struct Batch {
    pub(crate) bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Batch {
    /// Room for so many packets and bytes before it grows.
    pub fn with_capacity(packets: usize, bytes: usize) -> Self {
        Self { bytes: Vec::with_capacity(bytes), ends: Vec::with_capacity(packets) }
    }

    /// Forgets the packets and keeps the room.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
    }

    /// How many packets it holds.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The packets in the order in which they were put in.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let begins = std::iter::once(0).chain(self.ends.iter().copied());
        begins.zip(&self.ends).map(|(begin, &end)| &self.bytes[begin..end])
    }

    /// Ends a packet that was appended to `bytes`.
    pub(crate) fn end_packet(&mut self) {
        self.ends.push(self.bytes.len());
    }
}
