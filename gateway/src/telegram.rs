//! The methods and updates of `phone.*` in plain words: one function per Telegram method, with the
//! file under it the only one of the gateway that names the schema's types.

mod privacy;

use tgtrunk_bridge::Cause;
use tgtrunk_telegram::{Account, InvokeError, Policy, Resolved, tl};

pub(crate) use privacy::{Audience, Privacy, audience, set};

/// Of a reflector whose entry names none.
const REFLECTOR_PORT: u16 = 599;
/// Random bytes that `messages.getDhConfig` is asked for.
const DH_RANDOM_BYTES: i32 = 256;

/// `inputPhoneCall`: how a call is named towards Telegram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct CallRef {
    pub(crate) id: i64,
    pub(crate) access_hash: i64,
}

/// One state of a call as `updatePhoneCall` or an answer tells it.
#[derive(Debug, Clone)]
pub(crate) enum PhoneCall {
    /// `phoneCallWaiting`; `ringing` once the other device confirmed that it rings.
    Waiting { call: CallRef, callee: i64, ringing: bool },
    /// `phoneCallRequested`: somebody calls us.
    Requested { call: CallRef, caller: i64, g_a_hash: Vec<u8>, video: bool },
    /// `phoneCallAccepted`: the one we called took it.
    Accepted { call: CallRef, callee: i64, g_b: Vec<u8> },
    /// `phoneCall`: keys may be finished and media may start.
    Established(Box<Established>),
    /// `phoneCallDiscarded`.
    Discarded { id: i64, reason: Discard },
    /// `phoneCallEmpty`.
    Empty { id: i64 },
}

/// The final `phoneCall`.
#[derive(Debug, Clone)]
pub(crate) struct Established {
    pub(crate) call: CallRef,
    pub(crate) g_a_or_b: Vec<u8>,
    pub(crate) key_fingerprint: i64,
    pub(crate) library_versions: Vec<String>,
    pub(crate) p2p_allowed: bool,
    pub(crate) custom_parameters: Option<String>,
    /// Relays and address tellers that the server lends for this call.
    pub(crate) servers: Vec<tgcall::Server>,
}

/// `PhoneCallDiscardReason`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Discard {
    Missed,
    Disconnect,
    Hangup,
    Busy,
    /// The call went on as a conference, where this gateway cannot follow.
    Migrated,
    /// The server gave no reason.
    Unknown,
}

/// Answer of `messages.getDhConfig`.
#[derive(Debug, Clone)]
pub(crate) struct DhConfig {
    /// `None`: the parameters of the version asked for still hold.
    pub(crate) parameters: Option<(i32, Vec<u8>, i32)>,
    /// Server randomness to be mixed into the secret exponent.
    pub(crate) random: Vec<u8>,
}

impl PhoneCall {
    pub(crate) fn id(&self) -> i64 {
        match self {
            Self::Waiting { call, .. } | Self::Requested { call, .. } | Self::Accepted { call, .. } => {
                call.id
            }
            Self::Established(established) => established.call.id,
            Self::Discarded { id, .. } | Self::Empty { id } => *id,
        }
    }
}

impl From<tl::enums::PhoneCall> for PhoneCall {
    fn from(call: tl::enums::PhoneCall) -> Self {
        use tl::enums::PhoneCall as Tl;
        match call {
            Tl::Empty(empty) => Self::Empty { id: empty.id },
            Tl::Waiting(waiting) => Self::Waiting {
                call: CallRef { id: waiting.id, access_hash: waiting.access_hash },
                callee: waiting.participant_id,
                ringing: waiting.receive_date.is_some(),
            },
            Tl::Requested(requested) => Self::Requested {
                call: CallRef { id: requested.id, access_hash: requested.access_hash },
                caller: requested.admin_id,
                g_a_hash: requested.g_a_hash,
                video: requested.video,
            },
            Tl::Accepted(accepted) => Self::Accepted {
                call: CallRef { id: accepted.id, access_hash: accepted.access_hash },
                callee: accepted.participant_id,
                g_b: accepted.g_b,
            },
            Tl::Call(call) => {
                let tl::enums::PhoneCallProtocol::Protocol(protocol) = call.protocol;
                Self::Established(Box::new(Established {
                    call: CallRef { id: call.id, access_hash: call.access_hash },
                    g_a_or_b: call.g_a_or_b,
                    key_fingerprint: call.key_fingerprint,
                    library_versions: protocol.library_versions,
                    p2p_allowed: call.p2p_allowed,
                    custom_parameters: call
                        .custom_parameters
                        .map(|tl::enums::DataJson::Json(json)| json.data),
                    servers: call.connections.into_iter().filter_map(server).collect(),
                }))
            }
            Tl::Discarded(discarded) => Self::Discarded { id: discarded.id, reason: discarded.reason.into() },
        }
    }
}

/// An entry of `phoneCall.connections`; one that makes no sense is left out alone.
fn server(connection: tl::enums::PhoneConnection) -> Option<tgcall::Server> {
    use tl::enums::PhoneConnection as Tl;
    let port = |port: i32| u16::try_from(port).ok().filter(|port| *port != 0);
    match connection {
        Tl::Connection(reflector) => {
            let peer_tag = reflector.peer_tag.try_into().ok();
            if peer_tag.is_none() {
                tracing::debug!(id = reflector.id, "a reflector whose tag has not 16 bytes is left out");
            }
            Some(tgcall::Server::Reflector {
                id: reflector.id,
                ipv4: reflector.ip.parse().ok(),
                ipv6: reflector.ipv6.parse().ok(),
                port: port(reflector.port).unwrap_or(REFLECTOR_PORT),
                peer_tag: peer_tag?,
                is_tcp: reflector.tcp,
            })
        }
        Tl::Webrtc(webrtc) => Some(tgcall::Server::Webrtc {
            ipv4: webrtc.ip.parse().ok(),
            ipv6: webrtc.ipv6.parse().ok(),
            port: port(webrtc.port)?,
            username: webrtc.username,
            password: webrtc.password,
            is_turn: webrtc.turn,
            is_stun: webrtc.stun,
        }),
    }
}

/// A bridge has four of the reasons; no reason, or a conference that we cannot follow, is an ordinary end.
impl From<Discard> for Cause {
    fn from(reason: Discard) -> Self {
        use tgtrunk_bridge::Discard as Bridge;
        Self::of_discard(match reason {
            Discard::Missed => Some(Bridge::Missed),
            Discard::Disconnect => Some(Bridge::Disconnect),
            Discard::Hangup => Some(Bridge::Hangup),
            Discard::Busy => Some(Bridge::Busy),
            Discard::Migrated | Discard::Unknown => None,
        })
    }
}

impl From<tgtrunk_bridge::Discard> for Discard {
    fn from(reason: tgtrunk_bridge::Discard) -> Self {
        use tgtrunk_bridge::Discard as Bridge;
        match reason {
            Bridge::Missed => Self::Missed,
            Bridge::Disconnect => Self::Disconnect,
            Bridge::Hangup => Self::Hangup,
            Bridge::Busy => Self::Busy,
        }
    }
}

impl From<Option<tl::enums::PhoneCallDiscardReason>> for Discard {
    fn from(reason: Option<tl::enums::PhoneCallDiscardReason>) -> Self {
        use tl::enums::PhoneCallDiscardReason as Tl;
        match reason {
            Some(Tl::Missed) => Self::Missed,
            Some(Tl::Disconnect) => Self::Disconnect,
            Some(Tl::Hangup) => Self::Hangup,
            Some(Tl::Busy) => Self::Busy,
            Some(Tl::MigrateConferenceCall(_)) => Self::Migrated,
            None => Self::Unknown,
        }
    }
}

impl From<Discard> for tl::enums::PhoneCallDiscardReason {
    fn from(reason: Discard) -> Self {
        match reason {
            Discard::Missed => Self::Missed,
            Discard::Disconnect => Self::Disconnect,
            Discard::Hangup | Discard::Migrated | Discard::Unknown => Self::Hangup,
            Discard::Busy => Self::Busy,
        }
    }
}

/// `messages.getDhConfig`; `version` is that of the parameters at hand, 0 for none.
pub(crate) async fn dh_config(account: &Account, version: i32) -> Result<DhConfig, InvokeError> {
    let request = tl::functions::messages::GetDhConfig { version, random_length: DH_RANDOM_BYTES };
    Ok(match account.invoke(&request, Policy::call()).await? {
        tl::enums::messages::DhConfig::Config(config) => {
            DhConfig { parameters: Some((config.g, config.p, config.version)), random: config.random }
        }
        tl::enums::messages::DhConfig::NotModified(same) => {
            DhConfig { parameters: None, random: same.random }
        }
    })
}

/// `phone.requestCall`.
pub(crate) async fn request_call(
    account: &Account,
    callee: &Resolved,
    random_id: i32,
    g_a_hash: &[u8],
) -> Result<PhoneCall, InvokeError> {
    let request = tl::functions::phone::RequestCall {
        video: false,
        user_id: tl::enums::InputUser::User(tl::types::InputUser {
            user_id: callee.id,
            access_hash: callee.access_hash,
        }),
        random_id,
        g_a_hash: g_a_hash.to_vec(),
        protocol: protocol(),
    };
    account.invoke(&request, Policy::call()).await.map(phone_call)
}

/// `phone.receivedCall`: the caller hears that it rings, and the server keeps further callers away.
pub(crate) async fn received_call(account: &Account, call: CallRef) -> Result<(), InvokeError> {
    account.invoke(&tl::functions::phone::ReceivedCall { peer: call.into() }, Policy::call()).await.map(drop)
}

/// `phone.acceptCall`.
pub(crate) async fn accept_call(
    account: &Account,
    call: CallRef,
    g_b: &[u8],
) -> Result<PhoneCall, InvokeError> {
    let request =
        tl::functions::phone::AcceptCall { peer: call.into(), g_b: g_b.to_vec(), protocol: protocol() };
    account.invoke(&request, Policy::call()).await.map(phone_call)
}

/// `phone.confirmCall`.
pub(crate) async fn confirm_call(
    account: &Account,
    call: CallRef,
    g_a: &[u8],
    key_fingerprint: i64,
) -> Result<PhoneCall, InvokeError> {
    let request = tl::functions::phone::ConfirmCall {
        peer: call.into(),
        g_a: g_a.to_vec(),
        key_fingerprint,
        protocol: protocol(),
    };
    account.invoke(&request, Policy::call()).await.map(phone_call)
}

/// `phone.discardCall`; `duration_s` counts from connected media.
pub(crate) async fn discard_call(
    account: &Account,
    call: CallRef,
    reason: Discard,
    duration_s: i32,
) -> Result<(), InvokeError> {
    let request = tl::functions::phone::DiscardCall {
        video: false,
        peer: call.into(),
        duration: duration_s,
        reason: reason.into(),
        connection_id: 0,
    };
    account.invoke(&request, Policy::call()).await.map(drop)
}

/// `phone.sendSignalingData`; false when the server no longer wants it.
pub(crate) async fn send_signaling(
    account: &Account,
    call: CallRef,
    data: Vec<u8>,
) -> Result<bool, InvokeError> {
    account.invoke(&tl::functions::phone::SendSignalingData { peer: call.into(), data }, Policy::call()).await
}

/// The person among the users that came with an update.
pub(crate) fn user(users: &[tl::enums::User], id: i64) -> Option<Resolved> {
    users.iter().find_map(|user| match user {
        tl::enums::User::User(user) if user.id == id => Some(Resolved {
            id,
            access_hash: user.access_hash.unwrap_or_default(),
            phone: user.phone.clone(),
            username: user.username.clone().or_else(|| {
                let names = user.usernames.as_deref().unwrap_or_default();
                names
                    .iter()
                    .map(|tl::enums::Username::Username(name)| name)
                    .find(|name| name.active)
                    .map(|name| name.username.clone())
            }),
            first_name: user.first_name.clone(),
            last_name: user.last_name.clone(),
        }),
        _ => None,
    })
}

fn phone_call(answer: tl::enums::phone::PhoneCall) -> PhoneCall {
    let tl::enums::phone::PhoneCall::Call(answer) = answer;
    answer.phone_call.into()
}

fn protocol() -> tl::enums::PhoneCallProtocol {
    tl::enums::PhoneCallProtocol::Protocol(tl::types::PhoneCallProtocol {
        udp_p2p: true,
        udp_reflector: true,
        min_layer: tgcall::MIN_LAYER,
        max_layer: tgcall::MAX_LAYER,
        library_versions: tgcall::Version::OURS.iter().map(|version| version.text().to_owned()).collect(),
    })
}

impl From<CallRef> for tl::enums::InputPhoneCall {
    fn from(call: CallRef) -> Self {
        Self::Call(tl::types::InputPhoneCall { id: call.id, access_hash: call.access_hash })
    }
}
