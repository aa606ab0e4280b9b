//! Keys of a telephone, pressed during a call: as RTP events (RFC 4733), in SIP INFO, and as tones (ITU-T Q.23, Q.24).
//!
//! [`Sender`] and [`Receiver`] speak RFC 4733, [`info`] the two bodies of INFO, [`Generator`] and [`Detector`] tones.

pub mod info;

mod detector;
mod digit;
mod generator;
mod receiver;
mod sender;

pub use detector::Detector;
pub use digit::{Digit, Press};
pub use generator::Generator;
pub use receiver::Receiver;
pub use sender::{EventPacket, QueueFull, Sender, Volume};

use std::time::Duration;

/// How `telephone-event` was agreed with one side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Format {
    /// In packets to that side, 0 to 127.
    pub payload_type: u8,
    /// In packets from that side, 0 to 127.
    pub receive_payload_type: u8,
    /// What durations count; the clock of the audio beside it where the peer keeps to RFC 4733 section 2.1.
    pub clock_hz: u32,
}

/// How digits reach a side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// As events in the RTP stream.
    Rfc4733,
    /// In SIP INFO.
    Info,
    /// As tones in the sound.
    InBand,
}

/// A tone that nobody asked to be longer or shorter.
pub const TONE: Duration = Duration::from_millis(100);
/// The silence after it.
pub const PAUSE: Duration = Duration::from_millis(100);
/// Receivers may ignore anything shorter, tone or pause (ITU-T Q.24 annex A).
pub const SHORTEST: Duration = Duration::from_millis(40);
/// No tone that we send or report is longer.
pub const LONGEST: Duration = Duration::from_secs(10);
