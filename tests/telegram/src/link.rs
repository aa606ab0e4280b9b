//! What the wire and the world say to each other.
//!
//! The wire (`crate::wire`) carries requests in and answers and pushes out; it knows MTProto and no method of the
//! API. The world knows the API and no byte of MTProto. Both sides speak serialized TL of the same layer.

use tokio::sync::oneshot;

/// One MTProto session as the world sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// Low 64 bits of SHA-1 of the authorization key.
    pub auth_key_id: i64,
    /// The session's number, chosen by the client.
    pub session_id: i64,
    /// The data centre whose port the client speaks to.
    pub dc: i32,
    /// The schema's layer from the last `invokeWithLayer`; 0 before one came.
    pub layer: i32,
    /// From `initConnection`; 0 before one came.
    pub api_id: i32,
    /// `device_model` from `initConnection`; empty before one came.
    pub device: String,
    /// The last request came inside `invokeWithoutUpdates`: the session wants no pushes.
    pub no_updates: bool,
}

/// What becomes of a request.
#[derive(Debug)]
pub enum Answer {
    /// The boxed, serialized return value (or Bool, or Vector) that goes into `rpc_result`.
    Result(Vec<u8>),
    /// `rpc_error`: e.g. 420 `FLOOD_WAIT_31`.
    Error {
        /// The number clients switch on, e.g. 420.
        code: i32,
        /// The text, e.g. `FLOOD_WAIT_31`.
        message: String,
    },
    /// Answered later (delays, long operations). A sender dropped without a word means silence.
    Later(oneshot::Receiver<Answer>),
    /// Never answered.
    Silence,
    /// The connection ends with FIN.
    CloseConnection,
    /// The connection ends with RST.
    ResetConnection,
    /// The connection is read on, but nothing more is ever answered on it.
    BlackHole,
    /// A transport error (-404, -429, -444), after which the connection closes.
    TransportError(i32),
    /// `bad_msg_notification` with this code for this message.
    BadMsg(i32),
    /// `bad_server_salt` for this message; the salt named in it is good.
    BadServerSalt,
}

/// A push from the world to every live session of an authorization key, or an order to the wire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Push {
    /// A serialized `Updates`, for every session that did not ask for none.
    Updates {
        /// Whose sessions.
        auth_key_id: i64,
        /// The boxed, serialized `Updates`.
        body: Vec<u8>,
    },
    /// Close the key's connections with FIN.
    CloseConnections {
        /// Whose connections.
        auth_key_id: i64,
    },
    /// Read the key's connections on, but send nothing more on them.
    BlackHole {
        /// Whose connections.
        auth_key_id: i64,
    },
    /// Forget the key: its next message gets transport error -404.
    ForgetKey {
        /// Which key.
        auth_key_id: i64,
    },
    /// Send `new_session_created` in mid-life, as a restarted server does.
    NewSessionCreated {
        /// Whose sessions.
        auth_key_id: i64,
    },
}

/// The world as the wire sees it.
pub trait Rpc: Send + Sync + 'static {
    /// Answers a request: `body` is the function after `invokeWithLayer`, `initConnection`, `invokeWithoutUpdates`
    /// and `invokeAfterMsg(s)` were peeled off. Called in the order of arrival of a session's messages; must not block.
    fn call(&self, caller: &Caller, body: &[u8]) -> Answer;
    /// A session spoke for the first time on a connection.
    fn connected(&self, _caller: &Caller) {}
    /// A session's connection has gone.
    fn disconnected(&self, _caller: &Caller) {}
}
