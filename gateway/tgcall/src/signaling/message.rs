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

#[cfg(test)]
#[expect(clippy::wildcard_enum_match_arm, reason = "a test looks for one variant and no other")]
mod tests {
    use super::*;
    use crate::signaling::compression::gzip;

    #[test]
    fn a_setup_is_written_as_official_applications_write_it() {
        let text = r#"{"@type":"InitialSetup","ufrag":"GWzI","pwd":"iBwos7Ln9MHd9/5ufiSVpLgh","renomination":true,"fingerprints":[{"hash":"sha-256","setup":"actpass","fingerprint":"E2:DF:BC"}]}"#;
        let message = Message::InitialSetup(InitialSetup {
            ufrag: "GWzI".to_owned(),
            pwd: "iBwos7Ln9MHd9/5ufiSVpLgh".to_owned(),
            renomination: true,
            fingerprints: vec![Fingerprint {
                hash: "sha-256".to_owned(),
                setup: Setup::ActPass,
                fingerprint: "E2:DF:BC".to_owned(),
            }],
        });
        assert_eq!(written(&message), text);
        assert_eq!(Message::parse(text.as_bytes()).unwrap(), message);
    }

    #[test]
    fn a_candidate_is_written_as_official_applications_write_it() {
        let sdp = "candidate:2188442534 1 udp 2122194688 192.0.2.2 54804 typ host generation 0";
        let message = Message::Candidates(Candidates::one(sdp));
        let text = format!(r#"{{"@type":"Candidates","candidates":[{{"sdpString":"{sdp}"}}]}}"#);
        assert_eq!(written(&message), text);
        assert_eq!(Message::parse(text.as_bytes()).unwrap(), message);
    }

    #[test]
    fn an_offer_keeps_text_numbers_and_every_mandatory_key() {
        let text = concat!(
            r#"{"@type":"NegotiateChannels","exchangeId":"3000473733","contents":["#,
            r#"{"type":"audio","ssrc":"1270217670","#,
            r#""payloadTypes":[{"id":111,"name":"opus","clockrate":48000,"channels":2,"#,
            r#""feedbackTypes":[{"type":"transport-cc","subtype":""}],"#,
            r#""parameters":{"minptime":"10","useinbandfec":"1"}}],"#,
            r#""rtpExtensions":[{"id":2,"uri":"http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time"}]}]}"#
        );
        let message = Message::parse(text.as_bytes()).unwrap();
        assert_eq!(written(&message), text);
        let Message::NegotiateChannels(offer) = message else {
            panic!("another message");
        };
        assert_eq!(offer.exchange_id, 3_000_473_733);
        assert_eq!(offer.contents[0].ssrc, 1_270_217_670);
    }

    #[test]
    fn empty_lists_are_written_too() {
        let content = Content {
            kind: MediaKind::Audio,
            ssrc: 7,
            ssrc_groups: Vec::new(),
            payload_types: vec![PayloadType {
                id: 111,
                name: "opus".to_owned(),
                clockrate: 48_000,
                channels: 2,
                feedback_types: Vec::new(),
                parameters: BTreeMap::new(),
            }],
            rtp_extensions: Vec::new(),
        };
        let message =
            Message::NegotiateChannels(NegotiateChannels { exchange_id: 1, contents: vec![content] });
        let expected = concat!(
            r#"{"@type":"NegotiateChannels","exchangeId":"1","contents":[{"type":"audio","#,
            r#""ssrc":"7","payloadTypes":[{"id":111,"name":"opus","clockrate":48000,"#,
            r#""channels":2,"feedbackTypes":[],"parameters":{}}],"rtpExtensions":[]}]}"#
        );
        assert_eq!(written(&message), expected);
    }

    #[test]
    fn a_media_state_is_written_whole_and_read_in_parts() {
        let text = r#"{"@type":"MediaState","muted":true,"lowBattery":false,"videoState":"inactive","videoRotation":0,"screencastState":"inactive"}"#;
        let muted = Message::MediaState(MediaState { muted: true, ..MediaState::default() });
        assert_eq!(written(&muted), text);
        for part in [r#"{"@type":"MediaState","muted":true}"#, text] {
            assert_eq!(Message::parse(part.as_bytes()).unwrap(), muted);
        }
        let bare = Message::parse(br#"{"@type":"MediaState"}"#).unwrap();
        assert_eq!(bare, Message::MediaState(MediaState::default()));
        let later = br#"{"@type":"MediaState","videoState":"paused"}"#;
        assert_eq!(Message::parse(later).unwrap(), bare);
    }

    #[test]
    fn numbers_may_be_texts_and_texts_numbers() {
        let loose = br#"{"contents":[{"ssrc":5,"type":"audio","ssrcGroups":
            [{"semantics":"FID","ssrcs":[5,"6"]}],"payloadTypes":[{"id":"111","name":"opus",
            "clockrate":"48000","feedbackTypes":[{"type":"nack"}],"parameters":
            {"minptime":10,"useinbandfec":true},"new":[]}]}],"exchangeId":9,
            "@type":"NegotiateChannels","extra":{"deep":[[]]}}"#;
        let Message::NegotiateChannels(offer) = Message::parse(loose).unwrap() else {
            panic!("another message");
        };
        assert_eq!(offer.exchange_id, 9);
        let content = &offer.contents[0];
        assert_eq!(content.ssrc, 5);
        assert_eq!(content.ssrc_groups[0].ssrcs, [5, 6]);
        let format = &content.payload_types[0];
        assert_eq!((format.id, format.clockrate, format.channels), (111, 48_000, 0));
        assert_eq!(format.feedback_types[0].subtype, "");
        assert_eq!(format.parameters["minptime"], "10");
        assert_eq!(format.parameters["useinbandfec"], "1");
    }

    #[test]
    fn an_unknown_role_counts_as_actpass() {
        let setup = |word: &str| {
            let text = format!(
                r#"{{"@type":"InitialSetup","ufrag":"a","pwd":"b","fingerprints":[{{"hash":"sha-256","setup":"{word}","fingerprint":"00"}}]}}"#
            );
            match Message::parse(text.as_bytes()).unwrap() {
                Message::InitialSetup(setup) => (setup.fingerprints[0].setup, setup.renomination),
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(setup("active"), (Setup::Active, false));
        assert_eq!(setup("passive"), (Setup::Passive, false));
        assert_eq!(setup("holdconn"), (Setup::ActPass, false));
    }

    #[test]
    fn compressed_messages_are_read_whatever_the_version() {
        let message = Message::Candidates(Candidates::one("candidate:1"));
        let compressed = gzip(&message.to_json());
        assert_eq!(Message::parse(&compressed).unwrap(), message);
    }

    #[test]
    fn a_message_that_lacks_something_is_refused_whole() {
        for text in [
            "",
            "null",
            "{}",
            "[",
            r#"{"@type":"offer","sdp":"v=0"}"#,
            r#"{"@type":"InitialSetup","ufrag":"a","fingerprints":[]}"#,
            r#"{"@type":"Candidates"}"#,
            r#"{"@type":"Candidates","candidates":[{"sdpMid":""}]}"#,
            r#"{"@type":"NegotiateChannels","contents":[]}"#,
            r#"{"@type":"NegotiateChannels","exchangeId":"x","contents":[]}"#,
            r#"{"@type":"NegotiateChannels","exchangeId":"4294967296","contents":[]}"#,
            r#"{"@type":"NegotiateChannels","exchangeId":-1,"contents":[]}"#,
            r#"{"@type":"NegotiateChannels","exchangeId":1,"contents":[{"type":"text","ssrc":1}]}"#,
            r#"{"@type":"MediaState","muted":"yes"}"#,
        ] {
            assert!(Message::parse(text.as_bytes()).is_err(), "{text}");
        }
    }

    #[test]
    fn every_recorded_message_is_read_and_written_again_without_loss() {
        let mut read = 0;
        for capture in CAPTURES {
            let capture: serde_json::Value = serde_json::from_str(capture).unwrap();
            for mut recorded in messages(&capture) {
                let message = Message::parse(recorded.to_string().as_bytes()).unwrap();
                // Keys that ntgcalls adds and nobody needs.
                if let Some(candidates) = recorded.get_mut("candidates").and_then(|it| it.as_array_mut()) {
                    for candidate in candidates {
                        let candidate = candidate.as_object_mut().unwrap();
                        candidate.retain(|key, _| key == "sdpString");
                    }
                }
                let again: serde_json::Value = serde_json::from_slice(&message.to_json()).unwrap();
                assert_eq!(again, recorded);
                read += 1;
            }
        }
        assert_eq!(read, 84);
    }

    #[test]
    fn no_bytes_make_the_parser_panic() {
        let mut random = 0x2545_f491_4f6c_dd1d_u64;
        let mut next = move || {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            random as usize
        };
        let capture: serde_json::Value = serde_json::from_str(CAPTURES[3]).unwrap();
        let seeds: Vec<Vec<u8>> = messages(&capture)
            .iter()
            .map(|message| message.to_string().into_bytes())
            .flat_map(|json| [gzip(&json), json])
            .collect();
        let mut parsed = 0;
        for _ in 0..20_000 {
            let mut bytes = seeds[next() % seeds.len()].clone();
            for _ in 0..1 + next() % 4 {
                let at = next() % bytes.len();
                match next() % 3 {
                    0 => bytes[at] = next() as u8,
                    1 => bytes.truncate(at.max(1)),
                    _ => drop(bytes.splice(at..at, *b"[9]")),
                }
            }
            parsed += usize::from(Message::parse(&bytes).is_ok());
        }
        assert!(parsed > 100, "{parsed} parsed");
    }

    const CAPTURES: [&str; 6] = [
        include_str!("../../testdata/signaling/ntgcalls-8.0.0.json"),
        include_str!("../../testdata/signaling/ntgcalls-9.0.0.json"),
        include_str!("../../testdata/signaling/ntgcalls-12.0.0.json"),
        include_str!("../../testdata/signaling/ntgcalls-13.0.0.json"),
        include_str!("../../testdata/signaling/ntgcalls-13.0.0-turn.json"),
        include_str!("../../testdata/signaling/ntgcalls-13.0.0-reflector.json"),
    ];

    fn messages(capture: &serde_json::Value) -> Vec<serde_json::Value> {
        let packets = capture["packets"].as_array().unwrap();
        packets
            .iter()
            .flat_map(|packet| [&packet["messages"], &packet["chunks"]])
            .filter_map(|parts| parts.as_array())
            .flatten()
            .filter_map(|part| part.get("json").cloned())
            .collect()
    }

    fn written(message: &Message) -> String {
        String::from_utf8(message.to_json()).unwrap()
    }
}
