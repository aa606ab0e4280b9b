//! How a call sounds, leg by leg: what `calls` and call events tell of it.

use serde::{Deserialize, Serialize};

/// Both legs of a call. Counters run from its beginning.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quality {
    /// Between the gateway and the person's device.
    pub telegram: LegQuality,
    /// Between the gateway and the PBX.
    pub pbx: LegQuality,
}

/// One leg of a call. What is not known yet is left out.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct LegQuality {
    /// What is spoken on it, as SDP names it: `opus`, `PCMA`.
    pub codec: String,
    /// Sound in each packet that we send there, in milliseconds.
    pub ptime_ms: u32,
    /// Packets from there.
    pub packets_in: u64,
    /// Packets to there.
    pub packets_out: u64,
    /// Packets from there that never came (RFC 3550 appendix A.3).
    pub lost: u64,
    /// Packets from there that came after a later one.
    pub reordered: u64,
    /// Datagrams that were nobody's of this call: from elsewhere, or without its keys. They changed nothing.
    #[serde(default, skip_serializing_if = "is_none")]
    pub refused: u64,
    /// How unevenly packets come from there, in milliseconds (RFC 3550 section 6.4.1).
    pub jitter_ms: u32,
    /// There and back, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub round_trip_ms: Option<u32>,
    /// Of a thousand of our packets, how many did not arrive there lately, as the other end reports.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remote_lost_permille: Option<u32>,
    /// Of a thousand parts of what was played from there, how many had to be made up.
    pub concealed_permille: u32,
    /// Estimated mean opinion score of what comes from there, 100 (bad) to 500 (excellent): hundredths of a point
    /// (ITU-T G.107).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mos_hundredths: Option<u32>,
    /// Which way packets take. Only of Telegram's leg.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<MediaPath>,
    /// In what they travel. Only of Telegram's leg.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transport: Option<MediaTransport>,
}

fn is_none(count: &u64) -> bool {
    *count == 0
}

/// Which way the packets of Telegram's leg take.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MediaPath {
    /// From device to device.
    Direct,
    /// Through a TURN relay (RFC 8656).
    Turn,
    /// Through one of Telegram's own relays.
    Reflector,
}

impl MediaPath {
    /// The word for it in JSON and in logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Turn => "turn",
            Self::Reflector => "reflector",
        }
    }
}

/// In what the packets of Telegram's leg travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MediaTransport {
    /// Datagrams.
    Udp,
    /// A stream.
    Tcp,
}

impl MediaTransport {
    /// The word for it in JSON and in logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
        }
    }
}

/// Who has switched the microphone off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Muted {
    /// The person on Telegram.
    pub telegram: bool,
    /// The PBX, which holds the call.
    pub pbx: bool,
}

impl Muted {
    /// Whether both can be heard.
    pub fn is_nobody(&self) -> bool {
        !self.telegram && !self.pbx
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::to_line;

    #[test]
    fn what_is_known_of_a_leg_is_the_json_that_version_1_promises() {
        let telegram = LegQuality {
            codec: "opus".into(),
            ptime_ms: 20,
            packets_in: 1_000,
            packets_out: 3_000,
            lost: 7,
            reordered: 1,
            refused: 2,
            jitter_ms: 4,
            round_trip_ms: Some(38),
            remote_lost_permille: Some(12),
            concealed_permille: 6,
            mos_hundredths: Some(431),
            path: Some(MediaPath::Reflector),
            transport: Some(MediaTransport::Tcp),
        };
        let pbx = LegQuality { codec: "PCMA".into(), ptime_ms: 20, ..LegQuality::default() };
        let quality = Quality { telegram, pbx };
        assert_eq!(
            serde_json::to_value(&quality).unwrap(),
            serde_json::json!({
                "telegram": {
                    "codec": "opus", "ptime_ms": 20, "packets_in": 1000, "packets_out": 3000, "lost": 7,
                    "reordered": 1, "refused": 2, "jitter_ms": 4, "round_trip_ms": 38, "remote_lost_permille": 12,
                    "concealed_permille": 6, "mos_hundredths": 431, "path": "reflector", "transport": "tcp",
                },
                "pbx": {
                    "codec": "PCMA", "ptime_ms": 20, "packets_in": 0, "packets_out": 0, "lost": 0,
                    "reordered": 0, "jitter_ms": 0, "concealed_permille": 0,
                },
            })
        );
        assert_eq!(serde_json::from_str::<Quality>(&to_line(&quality)).unwrap(), quality);
    }
}
