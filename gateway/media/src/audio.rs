//! What was agreed with one side: the codec and how its packets are stamped, cut and understood.

use crate::codec::{Codec, EncoderSettings};
use crate::dtmf::{self, Way};

/// The audio that a side takes and sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Audio {
    /// Of the sound, both ways.
    pub codec: &'static Codec,
    /// In packets to that side, 0 to 127.
    pub payload_type: u8,
    /// Ours in packets to that side.
    pub ssrc: u32,
    /// How much sound our packets to the trunk hold, and packets that we encode for Telegram, in milliseconds.
    pub ptime_ms: u32,
    /// The most that the trunk takes in one packet; longer ones are decoded if they cannot be split.
    pub maxptime_ms: Option<u32>,
    /// In packets from that side, 0 to 127; `None` takes any.
    pub receive_payload_type: Option<u8>,
    /// The source that the side announced; `None` follows whoever speaks.
    pub remote_ssrc: Option<u32>,
    /// How events were agreed, if they were.
    pub events: Option<dtmf::Format>,
    /// How digits reach the side; events where none were agreed become tones.
    pub digits: Way,
    /// How sound for the side is encoded.
    pub encoder: EncoderSettings,
}

impl Audio {
    /// How digits really reach the side: without agreed events there are none.
    pub(crate) fn way(&self) -> Way {
        match (self.digits, self.events) {
            (Way::Rfc4733, None) => Way::InBand,
            (way, _) => way,
        }
    }

    /// Audio of a codec under its usual numbers: any payload type and source is taken, digits are tones.
    pub fn new(codec: &'static Codec, payload_type: u8, ssrc: u32) -> Self {
        Self {
            codec,
            payload_type,
            ssrc,
            ptime_ms: codec.default_ptime_ms,
            maxptime_ms: None,
            receive_payload_type: None,
            remote_ssrc: None,
            events: None,
            digits: Way::InBand,
            encoder: EncoderSettings::default(),
        }
    }
}
