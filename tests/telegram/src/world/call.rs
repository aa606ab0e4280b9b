//! One call: how far it came, its two sides, and how each of them sees it.

use grammers_tl_types as tl;
use serde::{Deserialize, Serialize};

use super::clock::unix_now;
use super::settings::CallSettings;

/// Why a call ended (`PhoneCallDiscardReason`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// Nobody answered, or the caller gave up.
    Missed,
    /// Something failed.
    Disconnect,
    /// Somebody hung up.
    Hangup,
    /// The callee talks, or declined.
    Busy,
    /// Went on as a conference under this invitation.
    Migrated(String),
}

impl Ending {
    pub(crate) fn from_tl(reason: tl::enums::PhoneCallDiscardReason) -> Self {
        match reason {
            tl::enums::PhoneCallDiscardReason::Missed => Self::Missed,
            tl::enums::PhoneCallDiscardReason::Disconnect => Self::Disconnect,
            tl::enums::PhoneCallDiscardReason::Hangup => Self::Hangup,
            tl::enums::PhoneCallDiscardReason::Busy => Self::Busy,
            tl::enums::PhoneCallDiscardReason::MigrateConferenceCall(reason) => Self::Migrated(reason.slug),
        }
    }

    /// As the schema says it.
    pub fn to_tl(&self) -> tl::enums::PhoneCallDiscardReason {
        match self {
            Self::Missed => tl::enums::PhoneCallDiscardReason::Missed,
            Self::Disconnect => tl::enums::PhoneCallDiscardReason::Disconnect,
            Self::Hangup => tl::enums::PhoneCallDiscardReason::Hangup,
            Self::Busy => tl::enums::PhoneCallDiscardReason::Busy,
            Self::Migrated(slug) => {
                tl::types::PhoneCallDiscardReasonMigrateConferenceCall { slug: slug.clone() }.into()
            }
        }
    }
}

/// How far a call has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Offered to the callee's devices.
    Requested,
    /// A device of the callee said `receivedCall`.
    Ringing,
    /// A device of the callee took it.
    Accepted,
    /// Confirmed by the caller.
    Active,
    /// Discarded.
    Ended,
}

/// A call, told to a test.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CallInfo {
    /// Number of the call.
    pub id: i64,
    /// Who calls.
    pub caller: i64,
    /// Who is called.
    pub callee: i64,
    /// How far it came.
    pub stage: Stage,
    /// Asked for as a video call.
    pub video: bool,
    /// Once it has ended.
    pub ending: Option<Ending>,
    /// Seconds, as told by who hung up.
    pub duration: Option<i32>,
    /// `library_versions` of the merged protocol, once accepted.
    pub versions: Vec<String>,
    /// Pieces of signaling data forwarded.
    pub signaling: u64,
    /// Unix time of the request.
    pub date: i32,
}

/// One side of a call.
#[derive(Debug, Clone)]
pub(crate) struct Side {
    pub(crate) user: i64,
    /// The device that takes part, once known.
    pub(crate) key: Option<i64>,
    pub(crate) access_hash: i64,
}

/// A call.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) id: i64,
    pub(crate) date: i32,
    pub(crate) admin: Side,
    pub(crate) participant: Side,
    pub(crate) video: bool,
    pub(crate) stage: Stage,
    pub(crate) g_a_hash: Vec<u8>,
    pub(crate) g_a: Vec<u8>,
    pub(crate) g_b: Vec<u8>,
    pub(crate) key_fingerprint: i64,
    pub(crate) receive_date: Option<i32>,
    pub(crate) start_date: i32,
    /// The caller's, then what both have in common.
    pub(crate) protocol: tl::types::PhoneCallProtocol,
    pub(crate) callee_protocol: Option<tl::types::PhoneCallProtocol>,
    pub(crate) settings: CallSettings,
    pub(crate) signaling: u64,
    /// The callee's devices were told of it.
    pub(crate) offered: bool,
    pub(super) ended: Option<(Option<Ending>, Option<i32>)>,
}

/// Who of the two a device is to a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    Admin,
    Participant,
}

impl Call {
    /// A call as it is asked for.
    pub(crate) fn new(
        id: i64,
        admin: Side,
        participant: Side,
        video: bool,
        g_a_hash: Vec<u8>,
        protocol: tl::types::PhoneCallProtocol,
        settings: CallSettings,
    ) -> Self {
        Self {
            id,
            date: unix_now(),
            admin,
            participant,
            video,
            stage: Stage::Requested,
            g_a_hash,
            g_a: Vec::new(),
            g_b: Vec::new(),
            key_fingerprint: 0,
            receive_date: None,
            start_date: 0,
            protocol,
            callee_protocol: None,
            settings,
            signaling: 0,
            offered: true,
            ended: None,
        }
    }

    /// Reason and duration, once it has ended.
    pub(crate) fn ending(&self) -> Option<(Option<&Ending>, Option<i32>)> {
        self.ended.as_ref().map(|(reason, duration)| (reason.as_ref(), *duration))
    }

    pub(crate) fn side(&self, role: Role) -> &Side {
        match role {
            Role::Admin => &self.admin,
            Role::Participant => &self.participant,
        }
    }

    pub(crate) fn info(&self) -> CallInfo {
        let (ending, duration) = self.ended.clone().unwrap_or_default();
        CallInfo {
            id: self.id,
            caller: self.admin.user,
            callee: self.participant.user,
            stage: self.stage,
            video: self.video,
            ending,
            duration,
            versions: if self.callee_protocol.is_some() {
                self.protocol.library_versions.clone()
            } else {
                Vec::new()
            },
            signaling: self.signaling,
            date: self.date,
        }
    }

    pub(crate) fn waiting(&self, role: Role) -> tl::enums::PhoneCall {
        tl::types::PhoneCallWaiting {
            video: self.video,
            id: self.id,
            access_hash: self.side(role).access_hash,
            date: self.date,
            admin_id: self.admin.user,
            participant_id: self.participant.user,
            protocol: self.protocol.clone().into(),
            receive_date: self.receive_date,
        }
        .into()
    }

    pub(crate) fn requested(&self) -> tl::enums::PhoneCall {
        tl::types::PhoneCallRequested {
            video: self.video,
            id: self.id,
            access_hash: self.participant.access_hash,
            date: self.date,
            admin_id: self.admin.user,
            participant_id: self.participant.user,
            g_a_hash: self.g_a_hash.clone(),
            protocol: self.protocol.clone().into(),
        }
        .into()
    }

    pub(crate) fn accepted(&self) -> tl::enums::PhoneCall {
        tl::types::PhoneCallAccepted {
            video: self.video,
            id: self.id,
            access_hash: self.admin.access_hash,
            date: self.date,
            admin_id: self.admin.user,
            participant_id: self.participant.user,
            g_b: self.g_b.clone(),
            protocol: self.protocol.clone().into(),
        }
        .into()
    }

    pub(crate) fn discarded(&self) -> tl::enums::PhoneCall {
        let (reason, duration) = self.ended.clone().unwrap_or_default();
        let talked = self.start_date != 0;
        tl::types::PhoneCallDiscarded {
            need_rating: talked && self.settings.need_rating,
            need_debug: talked && self.settings.need_debug,
            video: self.video,
            id: self.id,
            reason: reason.map(|reason| reason.to_tl()),
            duration,
        }
        .into()
    }
}
