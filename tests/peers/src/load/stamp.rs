//! What a packet of the generator says about itself, in the place of its sound.

/// An Opus packet of one 20 ms frame (RFC 6716 section 3.1: SILK, wideband, mono), which nobody decodes.
const TABLE_OF_CONTENTS: u8 = 0x48;
/// Bytes of the payload: 32 kbit/s.
pub(super) const PAYLOAD: usize = 80;

/// When a packet was to leave and left, in nanoseconds of the generator's clock, and which one it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    pub(super) scheduled_ns: u64,
    pub(super) sent_ns: u64,
    /// The window of measurement that it belongs to; 0 belongs to none.
    pub(super) window: u32,
    pub(super) stream: u32,
    pub(super) number: u32,
}

impl Stamp {
    pub(super) fn write(&self, packet: &mut Vec<u8>) {
        let start = packet.len();
        packet.push(TABLE_OF_CONTENTS);
        packet.extend_from_slice(&self.scheduled_ns.to_be_bytes());
        packet.extend_from_slice(&self.sent_ns.to_be_bytes());
        for word in [self.window, self.stream, self.number] {
            packet.extend_from_slice(&word.to_be_bytes());
        }
        packet.resize(start + PAYLOAD, 0x5a);
    }

    /// Reads the payload of a packet; `None` for one that is none of ours.
    pub(super) fn read(payload: &[u8]) -> Option<Self> {
        if payload.len() != PAYLOAD || payload[0] != TABLE_OF_CONTENTS {
            return None;
        }
        let long = |at: usize| payload.get(at..at + 8)?.try_into().ok().map(u64::from_be_bytes);
        let word = |at: usize| payload.get(at..at + 4)?.try_into().ok().map(u32::from_be_bytes);
        Some(Self {
            scheduled_ns: long(1)?,
            sent_ns: long(9)?,
            window: word(17)?,
            stream: word(21)?,
            number: word(25)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_is_read_as_it_was_written_and_sounds_for_20_ms() {
        let stamp = Stamp { scheduled_ns: 1 << 40, sent_ns: 7, window: 3, stream: 4, number: 5 };
        let mut packet = Vec::new();
        stamp.write(&mut packet);
        assert_eq!(Stamp::read(&packet), Some(stamp));
        assert_eq!(tgtrunk_media::opus::duration(&packet), Some(std::time::Duration::from_millis(20)));
        assert_eq!(Stamp::read(&packet[1..]), None);
    }
}
