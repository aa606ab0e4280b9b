//! Payload types in packets to us: each keeps its meaning for the whole call (RFC 3264 section 8.3.2).

use tgtrunk_media::Codec;

/// What a payload type means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// Sound.
    Codec(&'static Codec),
    /// Keys, on a clock of so many ticks a second (RFC 4733).
    Event { clock_hz: u32 },
}

/// The meanings of one call so far, the latest last.
#[derive(Debug, Default)]
pub(crate) struct Numbers(Vec<(u8, Format)>);

impl Numbers {
    /// Notes that the other side chose a number, whatever it meant before.
    pub(crate) fn agree(&mut self, number: u8, format: Format) {
        self.0.retain(|&(known, _)| known != number);
        self.0.push((number, format));
    }

    /// The number that a format has in this call, if it has one.
    pub(crate) fn find(&self, format: Format) -> Option<u8> {
        self.0.iter().rev().find(|&&(_, known)| known == format).map(|&(number, _)| number)
    }

    /// What a number means.
    pub(crate) fn meaning(&self, number: u8) -> Option<Format> {
        self.0.iter().find(|&&(known, _)| known == number).map(|&(_, format)| format)
    }

    /// The number that a format has, or gets now: its usual one unless that means something else in this call.
    pub(crate) fn assign(&mut self, format: Format) -> u8 {
        if let Some(number) = self.find(format) {
            return number;
        }
        let free = |number: &u8| self.meaning(*number).is_none();
        let usual = usual(format);
        let number = [usual].into_iter().chain(96..=127).find(free).unwrap_or(usual);
        self.agree(number, format);
        number
    }
}

/// Many devices expect 101 for keys beside narrow-band audio.
fn usual(format: Format) -> u8 {
    match format {
        Format::Codec(codec) => codec.static_payload_type.unwrap_or(codec.offered_payload_type),
        Format::Event { clock_hz: 8_000 } => 101,
        Format::Event { .. } => 102,
    }
}

#[cfg(test)]
mod tests {
    use tgtrunk_media::codec::{L16, OPUS, PCMA};

    use super::*;

    #[test]
    fn a_number_that_the_other_side_gave_stays_and_ours_give_way() {
        let mut numbers = Numbers::default();
        numbers.agree(101, Format::Codec(&OPUS));
        assert_eq!(numbers.assign(Format::Codec(&OPUS)), 101);
        assert_eq!(numbers.assign(Format::Event { clock_hz: 8_000 }), 96);
        assert_eq!(numbers.assign(Format::Codec(&PCMA)), 8);
        assert_eq!(numbers.assign(Format::Event { clock_hz: 8_000 }), 96, "and stays there");
        numbers.agree(110, Format::Codec(&OPUS));
        assert_eq!(numbers.assign(Format::Codec(&OPUS)), 110, "the latest word counts");
        assert_eq!(numbers.meaning(101), Some(Format::Codec(&OPUS)));
    }

    #[test]
    fn usual_numbers_collide_with_none() {
        let mut numbers = Numbers::default();
        let formats = [
            Format::Codec(&OPUS),
            Format::Codec(&L16),
            Format::Event { clock_hz: 48_000 },
            Format::Event { clock_hz: 8_000 },
        ];
        for format in formats {
            assert_eq!(numbers.assign(format), usual(format));
        }
    }
}
