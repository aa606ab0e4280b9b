//! A row of packets in one buffer, reused from one wake-up to the next.

/// Bytes free behind each packet: the longest tag of SRTP (RFC 7714 section 13.2), so that it is encrypted where it lies.
pub const TAIL_BYTES: usize = 16;

/// Packets one after the other; after a few rounds it has grown to its work and allocates no more.
#[derive(Debug, Default)]
pub struct Batch {
    pub(crate) bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Batch {
    /// Room for so many packets and bytes before it grows.
    pub fn with_capacity(packets: usize, bytes: usize) -> Self {
        Self { bytes: Vec::with_capacity(bytes + packets * TAIL_BYTES), ends: Vec::with_capacity(packets) }
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
        let begins = std::iter::once(0).chain(self.ends.iter().map(|end| end + TAIL_BYTES));
        begins.zip(&self.ends).map(|(begin, &end)| &self.bytes[begin..end])
    }

    /// One of the packets with [`TAIL_BYTES`] behind it, and its length.
    pub fn room(&mut self, number: usize) -> Option<(&mut [u8], usize)> {
        let begin = match number.checked_sub(1) {
            Some(before) => self.ends.get(before)? + TAIL_BYTES,
            None => 0,
        };
        let end = *self.ends.get(number)?;
        Some((self.bytes.get_mut(begin..end + TAIL_BYTES)?, end - begin))
    }

    /// Ends a packet that was appended to `bytes`.
    pub(crate) fn end_packet(&mut self) {
        self.ends.push(self.bytes.len());
        self.bytes.extend_from_slice(&[0; TAIL_BYTES]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_behind_a_packet_touches_no_other() {
        let mut batch = Batch::with_capacity(3, 12);
        let capacity = batch.bytes.capacity();
        let packets = [&b"one"[..], b"", b"three"];
        for packet in packets {
            batch.bytes.extend_from_slice(packet);
            batch.end_packet();
        }
        for (number, packet) in packets.into_iter().enumerate() {
            let (room, length) = batch.room(number).unwrap();
            assert_eq!((room.len(), &room[..length]), (packet.len() + TAIL_BYTES, packet));
            room[length..].fill(0xff);
        }
        assert!(batch.iter().eq(packets) && batch.room(3).is_none());
        assert_eq!(batch.bytes.capacity(), capacity);
    }
}
