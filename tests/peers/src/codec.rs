//! The codecs that phones speak on the trunk: names (RFC 3551, RFC 7587), rates and what may be asked of each.

use std::fmt;

/// A codec of the trunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Codec {
    Pcma,
    Pcmu,
    G722,
    /// L16/48000, one channel.
    L16,
    Opus,
}

impl Codec {
    pub const ALL: [Self; 5] = [Self::Pcma, Self::Pcmu, Self::G722, Self::L16, Self::Opus];

    /// Name and clock as in `a=rtpmap`.
    pub fn rtpmap(self) -> &'static str {
        match self {
            Self::Pcma => "PCMA/8000",
            Self::Pcmu => "PCMU/8000",
            Self::G722 => "G722/8000",
            Self::L16 => "L16/48000",
            Self::Opus => "opus/48000/2",
        }
    }

    /// The static payload type, or the dynamic one that our phones take.
    pub fn payload_type(self) -> u8 {
        match self {
            Self::Pcma => 8,
            Self::Pcmu => 0,
            Self::G722 => 9,
            Self::L16 => 97,
            Self::Opus => 98,
        }
    }

    /// Samples of audio per second. G722 has 16000 under an RTP clock of 8000 (RFC 3551 section 4.5.2).
    pub fn audio_rate_hz(self) -> u32 {
        match self {
            Self::Pcma | Self::Pcmu => 8000,
            Self::G722 => 16_000,
            Self::L16 | Self::Opus => 48_000,
        }
    }

    /// Ticks of the RTP clock per second.
    pub fn clock_hz(self) -> u32 {
        match self {
            Self::Pcma | Self::Pcmu | Self::G722 => 8000,
            Self::L16 | Self::Opus => 48_000,
        }
    }

    /// How long our packets of it sound. 20 ms of L16 do not fit into a packet of Ethernet.
    pub fn packet_ms(self) -> u32 {
        match self {
            Self::Pcma | Self::Pcmu | Self::G722 | Self::Opus => 20,
            Self::L16 => 10,
        }
    }

    /// Whether it carries 300 to 3400 Hz and no more.
    pub fn is_narrowband(self) -> bool {
        self.audio_rate_hz() == 8000
    }

    /// Share of the energy heard that must be the tone's.
    pub fn least_tone_share(self) -> f64 {
        if self.is_narrowband() { 0.95 } else { 0.98 }
    }
}

impl fmt::Display for Codec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.rtpmap().split('/').next().unwrap_or_default())
    }
}
