//! The messages of a call's negotiation: one JSON object each, told apart by `@type`.
//!
//! Written strictly, because official applications drop a message whole when one key is missing
//! or of another type; read leniently: numbers may be numbers or strings, unknown keys are
//! ignored.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::compression::{self, InflateError};

/// One message between the two ends of a call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "@type")]
pub enum Message {
    /// Credentials of the sender's ICE agent and the fingerprint of its certificate.
    InitialSetup(InitialSetup),
    /// Where the sender can be reached; may come before anything else and at any time.
    Candidates(Candidates),
    /// An offer of what its sender wants to send, or the answer to one.
    NegotiateChannels(NegotiateChannels),
    /// What the sender's microphone and camera do; usually on the data channel.
    MediaState(MediaState),
}

/// Credentials of the sender's ICE agent and the fingerprint of its certificate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InitialSetup {
    /// ICE user fragment.
    pub ufrag: String,
    /// ICE password.
    pub pwd: String,
    /// Whether the sender understands the NOMINATION attribute.
    #[serde(default)]
    pub renomination: bool,
    /// Fingerprints of the sender's certificate; only the first counts.
    pub fingerprints: Vec<Fingerprint>,
}

/// A certificate's fingerprint and the DTLS role its owner wishes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fingerprint {
    /// The hash function, `sha-256`.
    pub hash: String,
    /// The wished role.
    pub setup: Setup,
    /// Upper-case hex with colons.
    pub fingerprint: String,
}

/// The DTLS role an end wishes for itself (RFC 4145 section 4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Setup {
    /// It will be the client.
    Active,
    /// It will be the server.
    Passive,
    /// It leaves the choice to the peer; any unknown word counts as this.
    #[serde(other)]
    ActPass,
}

/// Where the sender can be reached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Candidates {
    /// The candidates, usually one.
    pub candidates: Vec<Candidate>,
}

/// One candidate line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Candidate {
    /// The attribute's value with its `candidate:` (RFC 8839 section 5.1). The address may be a
    /// relay's name, which no resolver knows.
    #[serde(rename = "sdpString")]
    pub sdp: String,
}

/// An offer of what its sender wants to send, or the answer to one, which repeats the offer's
/// identifier.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NegotiateChannels {
    /// Ties an answer to its offer.
    #[serde(with = "number_as_text")]
    pub exchange_id: u32,
    /// The streams; one that an answer leaves out is refused.
    pub contents: Vec<Content>,
}

/// One stream of an offer, or the accepted part of it in an answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Content {
    /// Audio or video.
    #[serde(rename = "type")]
    pub kind: MediaKind,
    /// The offerer's synchronisation source, in the answer too.
    #[serde(with = "number_as_text")]
    pub ssrc: u32,
    /// Groups of sources, of video only.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ssrc_groups: Vec<SsrcGroup>,
    /// The formats, the most wanted first.
    #[serde(default)]
    pub payload_types: Vec<PayloadType>,
    /// Header extensions.
    #[serde(default)]
    pub rtp_extensions: Vec<RtpExtension>,
}

/// What a stream carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MediaKind {
    /// Sound.
    Audio,
    /// Pictures.
    Video,
}

/// Sources that belong together (RFC 5576 section 4.2).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SsrcGroup {
    /// What binds them, such as `FID`.
    pub semantics: String,
    /// The sources.
    #[serde(with = "numbers_as_text")]
    pub ssrcs: Vec<u32>,
}

/// A codec under a payload type number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PayloadType {
    /// The RTP payload type.
    #[serde(deserialize_with = "number")]
    pub id: u8,
    /// The codec's name.
    pub name: String,
    /// Ticks of the RTP clock per second.
    #[serde(deserialize_with = "number")]
    pub clockrate: u32,
    /// Channels; 0 for video.
    #[serde(default, deserialize_with = "number")]
    pub channels: u32,
    /// RTCP feedback the sender understands.
    #[serde(default)]
    pub feedback_types: Vec<FeedbackType>,
    /// Format parameters.
    #[serde(default, deserialize_with = "texts")]
    pub parameters: BTreeMap<String, String>,
}

/// A kind of RTCP feedback (RFC 4585 section 4.2).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FeedbackType {
    /// Such as `transport-cc`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Empty if there is none, but always written.
    #[serde(default)]
    pub subtype: String,
}

/// An RTP header extension (RFC 8285).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RtpExtension {
    /// Its number in the header.
    #[serde(deserialize_with = "number")]
    pub id: u32,
    /// What it means.
    pub uri: String,
}

/// What the sender's microphone and camera do. A key that is absent has its default.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct MediaState {
    /// The microphone is off; no RTP will come.
    pub muted: bool,
    /// The device is about to run out of power.
    pub low_battery: bool,
    /// The camera.
    pub video_state: StreamState,
    /// Degrees: 0, 90, 180 or 270.
    pub video_rotation: i32,
    /// The shared screen.
    pub screencast_state: StreamState,
}

/// Whether a video stream runs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StreamState {
    /// Paused.
    Suspended,
    /// Running.
    Active,
    /// Not there; any unknown word counts as this.
    #[default]
    #[serde(other)]
    Inactive,
}

/// Why a document is no message.
#[derive(Debug, thiserror::Error)]
pub enum MessageError {
    /// It announces compression, but does not inflate.
    #[error(transparent)]
    Inflate(#[from] InflateError),
    /// It is no JSON, its `@type` is unknown, or a key is missing or of another type.
    #[error("signaling message of {bytes} bytes: {source}")]
    Json {
        /// Its length, inflated.
        bytes: usize,
        /// What the parser says.
        source: serde_json::Error,
    },
}

impl Message {
    /// Reads a message; one that begins as gzip or zlib is inflated first, whatever the version.
    ///
    /// # Errors
    /// [`MessageError`]: the message is to be dropped whole.
    pub fn parse(document: &[u8]) -> Result<Self, MessageError> {
        let json = compression::inflate(document)?;
        serde_json::from_slice(&json).map_err(|source| MessageError::Json { bytes: json.len(), source })
    }

    /// The JSON text, not compressed.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("string keys and plain values always serialise")
    }
}

impl Candidates {
    /// The message for a single candidate.
    #[must_use]
    pub fn one(sdp: impl Into<String>) -> Self {
        Self { candidates: vec![Candidate { sdp: sdp.into() }] }
    }
}

/// A number, or a number in a string.
#[derive(Deserialize)]
#[serde(untagged)]
enum Loose<'a> {
    Number(u64),
    #[serde(borrow)]
    Text(std::borrow::Cow<'a, str>),
}

fn number<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: TryFrom<u64>,
{
    loose(Loose::deserialize(deserializer)?)
}

fn loose<T: TryFrom<u64>, E: serde::de::Error>(value: Loose<'_>) -> Result<T, E> {
    let wide = match value {
        Loose::Number(number) => Some(number),
        Loose::Text(ref text) => text.parse().ok(),
    };
    wide.and_then(|wide| T::try_from(wide).ok())
        .ok_or_else(|| E::custom("a number that is negative, too large or none at all"))
}

fn texts<'de, D>(deserializer: D) -> Result<BTreeMap<String, String>, D::Error>
where
    D: Deserializer<'de>,
{
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Value {
        Text(String),
        Integer(i64),
        Flag(bool),
    }
    let loose = BTreeMap::<String, Value>::deserialize(deserializer)?;
    let text = |value| match value {
        Value::Text(text) => text,
        Value::Integer(number) => number.to_string(),
        Value::Flag(flag) => u8::from(flag).to_string(),
    };
    Ok(loose.into_iter().map(|(key, value)| (key, text(value))).collect())
}

mod number_as_text {
    use super::{Deserializer, Serializer, number};

    pub(super) fn serialize<S: Serializer>(value: &u32, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(value)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<u32, D::Error> {
        number(d)
    }
}

mod numbers_as_text {
    use serde::Deserialize;

    use super::{Deserializer, Loose, Serializer, loose};

    pub(super) fn serialize<S: Serializer>(values: &[u32], s: S) -> Result<S::Ok, S::Error> {
        s.collect_seq(values.iter().map(u32::to_string))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Vec<u32>, D::Error> {
        Vec::<Loose<'_>>::deserialize(d)?.into_iter().map(loose).collect()
    }
}
