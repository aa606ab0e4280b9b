//! Keys in SIP INFO: `application/dtmf-relay` and `application/dtmf`, which no RFC defines and every PBX knows.
//!
//! A relay body has a line `Signal=` with the letter, or with the event code from 10 to 15 for what lies beyond the
//! figures, and a line `Duration=` in milliseconds. A plain body is the letter alone.

use std::time::Duration;

use super::{Digit, LONGEST, Press, TONE};

/// No body of ours or of a known peer comes near it.
const LONGEST_BODY_BYTES: usize = 256;

/// Why a body tells no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InfoError {
    /// So long that it must be something else.
    #[error("{bytes} bytes of DTMF body, want at most {LONGEST_BODY_BYTES}")]
    Long {
        /// What came.
        bytes: usize,
    },
    /// Not text at all.
    #[error("the DTMF body is not UTF-8")]
    NotText,
    /// Nothing that names a signal.
    #[error("the DTMF body has no signal")]
    NoSignal,
    /// A signal that is no key, as a hook flash.
    #[error("the signal is no key")]
    NotAKey,
    /// Not a number of milliseconds.
    #[error("the duration is no number of milliseconds")]
    Duration,
}

/// The two bodies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// `application/dtmf-relay`: signal and duration.
    Relay,
    /// `application/dtmf`: the signal alone.
    Plain,
}

impl Form {
    /// The form that a `Content-Type` names; its parameters do not matter.
    pub fn from_content_type(value: &str) -> Option<Self> {
        let media_type = value.split(';').next().unwrap_or_default().trim();
        [Self::Relay, Self::Plain]
            .into_iter()
            .find(|form| media_type.eq_ignore_ascii_case(form.content_type()))
    }

    /// The value of `Content-Type`.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Relay => "application/dtmf-relay",
            Self::Plain => "application/dtmf",
        }
    }

    /// Reads a body. Peers mix the forms up, so both are read alike; without a duration it is [`TONE`].
    ///
    /// # Errors
    /// [`InfoError`] says what is wrong with it.
    pub fn read(body: &[u8]) -> Result<Press, InfoError> {
        if body.len() > LONGEST_BODY_BYTES {
            return Err(InfoError::Long { bytes: body.len() });
        }
        let text = std::str::from_utf8(body).map_err(|_| InfoError::NotText)?;
        let (mut signal, mut duration) = (None, TONE);
        for line in text.split(['\r', '\n']).map(str::trim).filter(|line| !line.is_empty()) {
            match line.split_once('=').map(|(name, value)| (name.trim(), value.trim())) {
                Some((name, value)) if name.eq_ignore_ascii_case("Signal") => signal = Some(value),
                Some((name, value)) if name.eq_ignore_ascii_case("Duration") => {
                    let held_ms = value.parse::<u32>().map_err(|_| InfoError::Duration)?;
                    duration = Duration::from_millis(held_ms.into()).min(LONGEST);
                }
                Some(_) => {}
                None => signal = signal.or(Some(line)),
            }
        }
        let digit = key(signal.ok_or(InfoError::NoSignal)?).ok_or(InfoError::NotAKey)?;
        Ok(Press { digit, duration })
    }

    /// The body for a key.
    pub fn write(self, press: Press) -> String {
        match self {
            Self::Relay => format!("Signal={}\r\nDuration={}\r\n", press.digit, press.duration.as_millis()),
            Self::Plain => press.digit.to_string(),
        }
    }
}

fn key(signal: &str) -> Option<Digit> {
    let mut letters = signal.chars();
    match (letters.next(), letters.next()) {
        (Some(letter), None) => Digit::from_char(letter),
        _ => signal.parse().ok().filter(|code| *code > 9).and_then(Digit::from_event_code),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_of_known_peers_are_read() {
        for (body, letter, held_ms) in [
            ("Signal=5\r\nDuration=160\r\n", '5', 160), // Asterisk
            ("Signal= 1\r\nDuration= 250", '1', 250),   // Cisco
            ("Signal=*\nDuration=100\n", '*', 100),
            ("signal=#\r\nduration=2000\r\n\r\n", '#', 2000),
            ("Signal=10\r\nDuration=100\r\n", '*', 100),
            ("Signal=11\r\n", '#', 100),
            ("Duration=90\r\nSignal=d\r\nVolume=10\r\n", 'D', 90),
            ("7", '7', 100),
            ("#\r\n", '#', 100),
            ("15", 'D', 100),
            ("Signal=0\r\nDuration=4000000000\r\n", '0', 10_000),
        ] {
            let digit = Digit::from_char(letter).unwrap();
            let press = Press { digit, duration: Duration::from_millis(held_ms) };
            assert_eq!(Form::read(body.as_bytes()), Ok(press), "{body:?}");
        }
    }

    #[test]
    fn what_is_no_key_is_refused_by_its_reason() {
        assert_eq!(Form::read(b""), Err(InfoError::NoSignal));
        assert_eq!(Form::read(b"Duration=160\r\n"), Err(InfoError::NoSignal));
        assert_eq!(Form::read(b"Signal=\r\n"), Err(InfoError::NotAKey));
        assert_eq!(Form::read(b"Signal=16\r\n"), Err(InfoError::NotAKey), "a hook flash");
        assert_eq!(Form::read(b"Signal=!\r\n"), Err(InfoError::NotAKey), "a hook flash too");
        assert_eq!(Form::read(b"Signal=05\r\n"), Err(InfoError::NotAKey));
        assert_eq!(Form::read(b"Signal=5\r\nDuration=-1\r\n"), Err(InfoError::Duration));
        assert_eq!(Form::read(b"Signal=5\r\nDuration=4294967296\r\n"), Err(InfoError::Duration));
        assert_eq!(Form::read(b"\xff"), Err(InfoError::NotText));
        assert_eq!(Form::read(&[b'5'; 257]), Err(InfoError::Long { bytes: 257 }));
    }

    #[test]
    fn no_bytes_make_the_reader_panic_or_a_tone_endless() {
        let pieces: [&[u8]; 12] = [
            b"Signal",
            b"Duration",
            b"=",
            b"\r\n",
            b" ",
            b"5",
            b"#",
            b"15",
            b"99999",
            b"\xc3\xa9",
            b"\0",
            b"\xff",
        ];
        let (mut random, mut read) = (11_u64, 0);
        for _ in 0..50_000 {
            let mut body = Vec::new();
            for _ in 0..random >> 61 {
                random =
                    random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                body.extend(pieces[(random >> 33) as usize % pieces.len()]);
            }
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            if let Ok(press) = Form::read(&body) {
                assert!(press.duration <= LONGEST, "{body:?}");
                read += 1;
            }
        }
        assert!(read > 100);
    }

    #[test]
    fn what_is_written_is_read_back() {
        for code in 0..16 {
            let press =
                Press { digit: Digit::from_event_code(code).unwrap(), duration: Duration::from_millis(160) };
            assert_eq!(Form::read(Form::Relay.write(press).as_bytes()), Ok(press));
            let plain = Form::read(Form::Plain.write(press).as_bytes()).unwrap();
            assert_eq!(plain.digit, press.digit);
        }
        let star = Press { digit: Digit::from_char('*').unwrap(), duration: Duration::from_millis(160) };
        assert_eq!(Form::Relay.write(star), "Signal=*\r\nDuration=160\r\n");
    }

    #[test]
    fn a_content_type_names_its_form() {
        assert_eq!(Form::from_content_type("application/dtmf-relay"), Some(Form::Relay));
        assert_eq!(Form::from_content_type(" Application/DTMF ; charset=utf-8"), Some(Form::Plain));
        assert_eq!(Form::from_content_type("application/dtmf-relay2"), None);
        assert_eq!(Form::from_content_type("application/sdp"), None);
    }
}
