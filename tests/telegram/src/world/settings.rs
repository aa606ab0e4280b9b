//! What a test may turn about the world as a whole, and about calls.

use serde::{Deserialize, Serialize};

/// How an update travels (core.telegram.org/api/updates). Nobody has published which of these production uses for calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Wrap {
    /// `updateShort`: no users, no sequence number.
    Short,
    /// `updates` with the users named in it and `seq = 0`.
    Updates,
    /// `updates` with the users and the session's next `seq`.
    Sequenced,
}

/// Which of the versions that both sides know the server hands out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Versions {
    /// The best common one alone.
    Best,
    /// All common ones, in the caller's order.
    All,
}

/// How long a `receivedCall` keeps further callers out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BusyHold {
    /// Until that call ends.
    WholeCall,
    /// Until that call is answered or ends.
    Ringing,
}

/// What `auth.signIn` says to the right code for a number that has no account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unregistered {
    /// `auth.authorizationSignUpRequired`, as layers after 100 get it.
    SignUpRequired,
    /// 400 `PHONE_NUMBER_UNOCCUPIED`.
    Unoccupied,
}

/// How a login code reaches its phone (`auth.SentCodeType`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CodeWay {
    /// A message from user 777000 on devices that are logged in; passed over where there is none.
    App,
    /// A text message.
    Sms,
    /// A text message of several words, all of which are the code.
    Phrase,
    /// A voice says it.
    Call,
    /// The last digits of the number that calls, and is not to be answered.
    MissedCall,
}

/// One entry of `phoneCall.connections`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Connection {
    /// `phoneConnectionWebrtc`: a TURN or STUN server.
    Webrtc {
        /// Number of the server.
        id: i64,
        /// IPv4 address.
        ip: String,
        /// IPv6 address, or nothing.
        #[serde(default)]
        ipv6: String,
        /// UDP port.
        port: u16,
        /// Relays.
        #[serde(default)]
        turn: bool,
        /// Tells addresses.
        #[serde(default)]
        stun: bool,
        /// For TURN.
        #[serde(default)]
        username: String,
        /// For TURN.
        #[serde(default)]
        password: String,
    },
    /// `phoneConnection`: a reflector.
    Reflector {
        /// Number of the server.
        id: i64,
        /// IPv4 address.
        ip: String,
        /// IPv6 address, or nothing.
        #[serde(default)]
        ipv6: String,
        /// Port.
        port: u16,
        /// Speaks TCP.
        #[serde(default)]
        tcp: bool,
        /// 16 bytes as hex; each call gets its own when it is empty. The two sides get tags that differ in one bit of
        /// the twelfth byte, see [`Side::mark`](crate::reflector::Side::mark).
        #[serde(default)]
        peer_tag: String,
    },
}

/// What `phoneCall` says about a call beyond its parties.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CallSettings {
    /// `p2p_allowed`, if both users' privacy allows it too.
    pub p2p_allowed: bool,
    /// The servers' list.
    pub connections: Vec<Connection>,
    /// A JSON object, or nothing.
    pub custom_parameters: Option<String>,
    /// What becomes of the common versions.
    pub versions: Versions,
    /// `need_rating` in `phoneCallDiscarded` of a call that was active.
    pub need_rating: bool,
    /// `need_debug` in the same.
    pub need_debug: bool,
}

impl Default for CallSettings {
    fn default() -> Self {
        Self {
            p2p_allowed: true,
            connections: Vec::new(),
            custom_parameters: None,
            versions: Versions::Best,
            need_rating: false,
            need_debug: false,
        }
    }
}

/// What a test may turn about the world.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// How `updatePhoneCall` travels.
    pub call_updates: Wrap,
    /// How `updatePhoneCallSignalingData` travels.
    pub signaling_updates: Wrap,
    /// A plain text goes out as `updateShortMessage`, which names no users.
    pub short_messages: bool,
    /// What calls are made with.
    pub calls: CallSettings,
    /// How long a `receivedCall` keeps further callers out.
    pub busy_hold: BusyHold,
    /// A callee's call that still rings is told again in `getDifference`.
    pub calls_in_difference: bool,
    /// Most updates in one `updates.difference`; more make it a slice.
    pub difference_slice: usize,
    /// A session further behind than this gets `updates.differenceTooLong`.
    pub difference_too_long: i32,
    /// A user may change the text of a message sent through a bot. Official applications do not offer it.
    pub edit_via_bot: bool,
    /// Seconds after which a message can no longer be changed.
    pub edit_time_s: i32,
    /// What a number without account gets for the right code.
    pub unregistered: Unregistered,
    /// The only `api_id` and `api_hash` taken; any without it.
    pub app: Option<(i32, String)>,
    /// Digits of a login code.
    pub code_length: usize,
    /// Wrong codes that use a login code up.
    pub code_attempts: u32,
    /// Life of a login code in seconds, before scaling.
    pub code_life_s: u32,
    /// The ways of a login code, one after the other as it is asked for again; after the last it is not sent again.
    pub code_ways: Vec<CodeWay>,
    /// `timeout` of `auth.sentCode`: seconds after which the next way may be asked for. Not enforced.
    pub code_timeout_s: i32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            call_updates: Wrap::Updates,
            signaling_updates: Wrap::Short,
            short_messages: true,
            calls: CallSettings::default(),
            busy_hold: BusyHold::WholeCall,
            calls_in_difference: true,
            difference_slice: 100,
            difference_too_long: 5000,
            edit_via_bot: false,
            edit_time_s: 172_800,
            unregistered: Unregistered::SignUpRequired,
            app: None,
            code_length: 5,
            code_attempts: 5,
            code_life_s: 300,
            code_ways: vec![CodeWay::App, CodeWay::Sms, CodeWay::Call, CodeWay::MissedCall],
            code_timeout_s: 60,
        }
    }
}
