//! What a line's calls sound like towards its PBX: codecs, keys, and what is heard while nobody speaks.

use std::time::Duration;

use toml::de::DeValue;

use crate::keys::{self, Section};

/// How a line carries sound and keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Audio {
    /// What the PBX may choose from. Our offers list them in this order; our answers follow the PBX's order.
    pub codecs: Vec<CodecName>,
    /// How keys travel to the PBX.
    pub dtmf: DtmfWay,
    /// How long a key sounds that is sent to the PBX.
    pub dtmf_tone: Duration,
    /// How long it is silent after one.
    pub dtmf_pause: Duration,
    /// What a Telegram caller hears while the PBX rings and sends no sound of its own.
    pub ringback: Ringback,
    /// Whether the PBX gets packets of silence while the Telegram side is muted and sends none.
    pub comfort: bool,
}

/// A codec that a line can carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CodecName {
    /// RFC 7587. Passed on as it comes.
    Opus,
    /// ITU-T G.722, 16 kHz.
    G722,
    /// ITU-T G.711 A-law.
    Pcma,
    /// ITU-T G.711 mu-law.
    Pcmu,
    /// Linear PCM, 48 kHz, mono (RFC 3551 section 4.5.11).
    L16,
}

/// How keys travel to the PBX.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DtmfWay {
    /// As events where the PBX agrees to them; else as tones where the codec keeps them, and in INFO beside Opus.
    Auto,
    /// As events in RTP (RFC 4733).
    Rfc4733,
    /// In SIP INFO (`application/dtmf-relay`).
    Info,
    /// As tones among the sound.
    InBand,
}

/// A country's ringing tone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ringback {
    /// 425 Hz, 1 s on, 4 s off, as most of Europe has it.
    Ru,
    /// 440 and 480 Hz, 2 s on, 4 s off.
    Us,
    /// 400 and 450 Hz, two short ones, 2 s off.
    Uk,
    /// Silence.
    Off,
}

impl CodecName {
    /// All of them, in the usual order.
    pub const ALL: [Self; 5] = [Self::Opus, Self::G722, Self::Pcma, Self::Pcmu, Self::L16];

    /// The word for it in settings, and in any case of letters the encoding name of SDP.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Opus => "opus",
            Self::G722 => "g722",
            Self::Pcma => "pcma",
            Self::Pcmu => "pcmu",
            Self::L16 => "l16",
        }
    }
}

/// Takes the keys out of `line.toml`.
pub(crate) fn read(top: &mut Section<'_, '_>) -> Audio {
    let codecs = top
        .optional(
            "codecs",
            r#"a list of different words out of "opus", "g722", "pcma", "pcmu", "l16""#,
            codecs,
        )
        .unwrap_or_else(|| CodecName::ALL.to_vec());
    let dtmf = top.word(
        "dtmf",
        &[
            ("auto", DtmfWay::Auto),
            ("rfc4733", DtmfWay::Rfc4733),
            ("info", DtmfWay::Info),
            ("in_band", DtmfWay::InBand),
        ],
    );
    let mut length =
        |key, default_ms| Duration::from_millis(top.number(key, default_ms, 40..=1_000, " (milliseconds)"));
    let dtmf_tone = length("dtmf_tone_ms", 120);
    let dtmf_pause = length("dtmf_pause_ms", 80);
    let ringback = top.word(
        "ringback",
        &[("ru", Ringback::Ru), ("us", Ringback::Us), ("uk", Ringback::Uk), ("off", Ringback::Off)],
    );
    let comfort = top.switch("comfort", true);
    Audio { codecs, dtmf, dtmf_tone, dtmf_pause, ringback, comfort }
}

fn codecs(value: &DeValue<'_>) -> Option<Vec<CodecName>> {
    let words = CodecName::ALL.map(|codec| (codec.as_str(), codec));
    let order = keys::list(value, |word| keys::choice(word, &words))?;
    let different = order.iter().enumerate().all(|(at, word)| !order[..at].contains(word));
    (different && !order.is_empty()).then_some(order)
}
