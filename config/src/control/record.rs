//! What a gateway remembers of calls, and how they are looked for.

use serde::{Deserialize, Serialize};

use super::event::{CallEnd, Direction, Peer, TrunkEnd};
use super::pbx_side::PbxSide;
use super::quality::Quality;
use crate::units::{CallId, Phone};

/// One call as it was. Times are milliseconds since 1970 (UTC).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallRecord {
    /// The call.
    pub call: CallId,
    /// Its line.
    pub line: Phone,
    /// Who called whom.
    pub direction: Direction,
    /// The person at Telegram's end.
    pub peer: Peer,
    /// What the PBX dialled, as it came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dialled: Option<String>,
    /// Who at the PBX was asked to ring first, in a call that `join_call` began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub extension: Option<String>,
    /// Telegram's own id of the call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub telegram_call: Option<i64>,
    /// The four emoji that both ends of the Telegram leg saw.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub emoji: Option<String>,
    /// What the PBX's side of it was.
    #[serde(flatten)]
    pub trunk: TrunkEnd,
    /// Its recording.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recording: Option<Recording>,
    /// When it began.
    pub started_ms: u64,
    /// When the called side rang.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ringing_ms: Option<u64>,
    /// When it was answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answered_ms: Option<u64>,
    /// When it was over. Left out while it goes on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_ms: Option<u64>,
    /// What became of it.
    pub result: CallResult,
    /// How it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<CallEnd>,
    /// How it sounded at its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quality: Option<Box<Quality>>,
    /// The worse leg's estimated mean opinion score over the call, evenly spaced, oldest first, at most 60 values, each 10
    /// (bad) to 50 (excellent): tenths of a point.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mos_tenths: Vec<u8>,
    /// Who was at the PBX's end, where the PBX told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pbx: Option<Box<PbxSide>>,
}

/// The files of a recording, in the folder of their line's recordings: Opus in Ogg (RFC 7845), one side each.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recording {
    /// What the person at Telegram said.
    pub telegram: String,
    /// What the PBX sent.
    pub pbx: String,
}

/// What became of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CallResult {
    /// It goes on.
    Running,
    /// Both sides talked.
    Answered,
    /// The called side did not answer in time, or the calling side gave up before.
    Missed,
    /// Another device of the account, or another phone, took it.
    Elsewhere,
    /// The called side was busy or declined.
    Busy,
    /// It could not be placed, or broke before anybody talked.
    Failed,
    /// The gateway was killed meanwhile; the end is when the call was last known to be up.
    Interrupted,
}

/// Which records are wanted; every condition that is there must hold.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecordFilter {
    /// Of this line alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<Phone>,
    /// Begun at this time or later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from_ms: Option<u64>,
    /// Begun before this time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to_ms: Option<u64>,
    /// Of this direction alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub direction: Option<Direction>,
    /// With this result alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<CallResult>,
    /// Part of the person's name, username, phone number or id, or of what was dialled; upper and lower case are the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// With this cause: a part of its words, or its number of Q.850, or the SIP status.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
    /// So many of the newest are left out.
    #[serde(default)]
    pub skip: u32,
    /// At most so many, 1 to 100; 50 without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
}

/// How loud both sides of a call are now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Levels {
    /// In which call.
    pub call: CallId,
    /// On which line.
    pub line: Phone,
    /// What comes from Telegram's side, in -dBov: 0 (loudest) to 127 (silence), as in RFC 6464.
    pub telegram: u8,
    /// What comes from the PBX, the same.
    pub pbx: u8,
}
