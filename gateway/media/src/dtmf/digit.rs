//! One key: its letter, its event code (RFC 4733 section 3.2) and its two frequencies (ITU-T Q.23).

use std::fmt;
use std::time::Duration;

/// Letters in the order of their event codes.
const LETTERS: [char; 16] = ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', '*', '#', 'A', 'B', 'C', 'D'];
/// The keypad as ITU-T Q.23 lays it out, by event code.
const KEYPAD: [[u8; 4]; 4] = [[1, 2, 3, 12], [4, 5, 6, 13], [7, 8, 9, 14], [10, 0, 11, 15]];

/// Frequencies of the keypad's rows, in Hz (ITU-T Q.23).
pub(super) const ROWS_HZ: [f32; 4] = [697.0, 770.0, 852.0, 941.0];
/// Frequencies of the keypad's columns, in Hz (ITU-T Q.23).
pub(super) const COLUMNS_HZ: [f32; 4] = [1209.0, 1336.0, 1477.0, 1633.0];

/// A key: 0 to 9, `*`, `#`, A to D.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Digit(u8);

impl Digit {
    /// The key that a letter names, in either case.
    pub fn from_char(letter: char) -> Option<Self> {
        let letter = letter.to_ascii_uppercase();
        LETTERS.iter().position(|known| *known == letter).map(|code| Self(code as u8))
    }

    /// Its letter, `A` to `D` as capitals.
    pub fn to_char(self) -> char {
        LETTERS[usize::from(self.0)]
    }

    /// The key of an event code; codes above 15 are no keys.
    pub fn from_event_code(code: u8) -> Option<Self> {
        (usize::from(code) < LETTERS.len()).then_some(Self(code))
    }

    /// 0 to 15.
    pub fn event_code(self) -> u8 {
        self.0
    }

    /// The key in a row and a column of the keypad, each 0 to 3.
    pub(super) fn at(row: usize, column: usize) -> Option<Self> {
        KEYPAD.get(row)?.get(column).copied().map(Self)
    }

    /// The low and the high frequency of its tone, in Hz.
    pub fn frequencies_hz(self) -> (f32, f32) {
        let of = |row: usize| KEYPAD[row].iter().position(|code| *code == self.0).map(|column| (row, column));
        let (row, column) = (0..4).find_map(of).unwrap_or_default();
        (ROWS_HZ[row], COLUMNS_HZ[column])
    }
}

impl fmt::Display for Digit {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}", self.to_char())
    }
}

impl fmt::Debug for Digit {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Digit({})", self.to_char())
    }
}

/// A key that was pressed and is released again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Press {
    /// Which.
    pub digit: Digit,
    /// How long it was held.
    pub duration: Duration,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_is_found_by_its_letter_its_code_and_its_place() {
        for (code, letter) in LETTERS.into_iter().enumerate() {
            let digit = Digit::from_char(letter).unwrap();
            assert_eq!((digit.to_char(), usize::from(digit.event_code())), (letter, code));
            assert_eq!(Digit::from_event_code(code as u8), Some(digit));
            let (low, high) = digit.frequencies_hz();
            let row = ROWS_HZ.iter().position(|hz| *hz == low).unwrap();
            let column = COLUMNS_HZ.iter().position(|hz| *hz == high).unwrap();
            assert_eq!(Digit::at(row, column), Some(digit));
        }
        assert_eq!(Digit::from_char('d'), Digit::from_event_code(15));
        assert_eq!(Digit::from_event_code(16), None, "a hook flash is no key");
        assert!(['E', ' ', '٣', '+'].into_iter().all(|letter| Digit::from_char(letter).is_none()));
    }

    #[test]
    fn tones_are_those_of_q_23() {
        let tones = "1590*#AD".chars().map(|letter| Digit::from_char(letter).unwrap().frequencies_hz());
        let expected = [
            (697.0, 1209.0),
            (770.0, 1336.0),
            (852.0, 1477.0),
            (941.0, 1336.0),
            (941.0, 1209.0),
            (941.0, 1477.0),
            (697.0, 1633.0),
            (941.0, 1633.0),
        ];
        assert!(tones.eq(expected));
    }
}
