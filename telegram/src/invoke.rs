//! One request to Telegram: within a time limit, under a flood policy, with an error the caller can match on.

use std::ops::ControlFlow;
use std::time::Duration;

use grammers_mtproto::transport;
use grammers_session::Session as _;
use grammers_tl_types::{Deserializable as _, RemoteCall, name_for_id};
use tracing::{debug, info};

use crate::backoff::Backoff;
use crate::core::Core;
use crate::flag::raised;
use crate::link::{LinkError, RpcError};
use crate::session::SessionError;
use crate::status::{Orange, Red};

/// How long to wait, what to wait out and what to try again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    timeout: Duration,
    flood_limit: Duration,
    retries: u32,
    pub(crate) gate: Gate,
}

/// Which state of the account a request needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Gate {
    Authorized,
    Anyone,
}

/// Why a request failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvokeError {
    /// Telegram answered with an error. The number in its text is taken out of the name: `PHONE_MIGRATE`, 4.
    #[error("Telegram: {code} {name}{}", value.map_or_else(String::new, |value| format!(" ({value})")))]
    Rpc {
        /// Like an HTTP status.
        code: i32,
        /// Telegram's word.
        name: String,
        /// The number in it.
        value: Option<u32>,
    },
    /// Too many requests of this kind (420).
    #[error("Telegram asks to wait {seconds} s")]
    Flood {
        /// How long.
        seconds: u32,
    },
    /// The account is limited by Telegram's spam protection (`PEER_FLOOD`); trying again makes it worse.
    #[error("Telegram limits this account for writing to strangers (PEER_FLOOD)")]
    PeerFlood,
    /// Authorization is needed; the account's status is red.
    #[error("the account is not authorized: {reason:?}")]
    Revoked {
        /// Why.
        reason: Red,
    },
    /// No answer in time. Whether the request was carried out is not known.
    #[error("no answer to {method} within {} ms", after.as_millis())]
    Timeout {
        /// The request.
        method: &'static str,
        /// The limit.
        after: Duration,
    },
    /// The connection was lost or could not be made. Whether the request was carried out is not known.
    #[error("no connection to Telegram: {cause}")]
    Offline {
        /// What the system said, or the link.
        cause: String,
    },
    /// The proxy is not there, or does not connect us to Telegram.
    #[error("the proxy does not let us through: {cause}")]
    Proxy {
        /// What it said, or what the way to it did.
        cause: String,
    },
    /// Too many connections from here (transport errors 429 and 444).
    #[error("Telegram refuses more connections ({status})")]
    Crowded {
        /// Its number.
        status: u32,
    },
    /// The key exchange with a new data centre failed.
    #[error("key exchange: {cause}")]
    KeyExchange {
        /// Which step.
        cause: String,
    },
    /// The answer could not be read.
    #[error("unreadable answer: {cause}")]
    Malformed {
        /// Where.
        cause: String,
    },
    /// Our database failed.
    #[error("{cause}")]
    Storage {
        /// What it said.
        cause: String,
    },
    /// The account was shut down.
    #[error("the account is closed")]
    Closed,
}

impl Policy {
    /// For the signalling of calls: 10 s, no waiting, no repetition.
    #[must_use]
    pub const fn call() -> Self {
        Self {
            timeout: Duration::from_secs(10),
            flood_limit: Duration::ZERO,
            retries: 0,
            gate: Gate::Authorized,
        }
    }

    /// For everything that may take its time: 30 s an attempt, flood waits up to a minute are slept out.
    #[must_use]
    pub const fn patient() -> Self {
        Self { timeout: Duration::from_secs(30), flood_limit: Duration::from_secs(60), ..Self::call() }
    }

    /// The request may be sent again when its fate is unknown: connection lost, or an error inside Telegram.
    #[must_use]
    pub const fn idempotent(self) -> Self {
        Self { retries: 2, ..self }
    }

    /// Another limit for one attempt.
    #[must_use]
    pub const fn within(self, timeout: Duration) -> Self {
        Self { timeout, ..self }
    }

    /// How long one attempt may take.
    pub(crate) const fn limit(self) -> Duration {
        self.timeout
    }

    /// Sent whatever the account's status: login, pings.
    pub(crate) const fn for_anyone(self) -> Self {
        Self { gate: Gate::Anyone, ..self }
    }

    /// `phone.*` never sleeps, whatever was asked for: a call does not outlive it.
    fn sleeps(self, method: &str, slept: Duration, seconds: u32) -> bool {
        !method.starts_with("phone.") && slept + Duration::from_secs(seconds.into()) <= self.flood_limit
    }
}

impl InvokeError {
    /// Whether this is Telegram's error of this name.
    #[must_use]
    pub fn is(&self, error: &str) -> bool {
        matches!(self, Self::Rpc { name, .. } if name == error)
    }

    /// Whether the request may have been lost on the way, so that an idempotent one is worth another try.
    fn is_transient(&self) -> bool {
        match self {
            Self::Offline { .. } | Self::Proxy { .. } => true,
            Self::Rpc { code, .. } => *code == 500 || *code == -503,
            _ => false,
        }
    }

    pub(crate) fn judge(error: LinkError) -> Self {
        match error {
            LinkError::Rpc(error) => Self::judge_rpc(error),
            LinkError::Transport(transport::Error::BadStatus { status: 404 }) => {
                Self::Revoked { reason: Red::KeyUnknown }
            }
            LinkError::Transport(transport::Error::BadStatus { status: status @ (429 | 444) }) => {
                Self::Crowded { status }
            }
            LinkError::KeyExchange(error) => Self::KeyExchange { cause: error.to_string() },
            LinkError::Session(error) => match *error {
                SessionError::KeyReplaced { .. } => Self::Revoked { reason: Red::KeyUnknown },
                _ => Self::Storage { cause: error.to_string() },
            },
            LinkError::Unreadable(cause) => Self::Malformed { cause },
            LinkError::Proxy(cause) => Self::Proxy { cause },
            LinkError::Transport(_)
            | LinkError::Io(_)
            | LinkError::Garbled(_)
            | LinkError::Refused { .. }
            | LinkError::Gone(_) => Self::Offline { cause: error.to_string() },
        }
    }

    fn judge_rpc(RpcError { code, name, value }: RpcError) -> Self {
        match (code, name.as_str()) {
            // One is one chat's (core.telegram.org/api/errors): the account may do everything else. The other is of days, before
            // a password is given up.
            (420, "SLOWMODE_WAIT" | "2FA_CONFIRM_WAIT") => Self::Rpc { code, name, value },
            // The account may read and not write (core.telegram.org/api/auth#frozen-accounts); no wait ends that.
            (420, name) if name.starts_with("FROZEN_") => Self::Rpc { code, name: name.to_owned(), value },
            (420, _) => Self::Flood { seconds: value.unwrap_or(1) },
            (_, "PEER_FLOOD") => Self::PeerFlood,
            (406, "AUTH_KEY_DUPLICATED") => Self::Revoked { reason: Red::KeyDuplicated },
            (
                401,
                "AUTH_KEY_UNREGISTERED"
                | "AUTH_KEY_INVALID"
                | "SESSION_REVOKED"
                | "SESSION_EXPIRED"
                | "USER_DEACTIVATED"
                | "USER_DEACTIVATED_BAN",
            ) => Self::Revoked { reason: Red::Revoked(name) },
            _ => Self::Rpc { code, name, value },
        }
    }
}

impl Core {
    /// Invokes a request at the home data centre.
    pub(crate) async fn invoke<R: RemoteCall>(
        &self,
        request: &R,
        policy: Policy,
    ) -> Result<R::Return, InvokeError> {
        let body = self.call(request.to_bytes(), policy).await?;
        R::Return::from_bytes(&body).map_err(|error| InvokeError::Malformed { cause: error.to_string() })
    }

    async fn call(&self, body: Vec<u8>, policy: Policy) -> Result<Vec<u8>, InvokeError> {
        let method = body.first_chunk().map_or("", |id| name_for_id(u32::from_le_bytes(*id)));
        let mut attempts =
            Attempts { slept: Duration::ZERO, retries: policy.retries, moves: 2, backoff: lost_backoff() };
        loop {
            let error = match self.guarded(self.attempt(body.clone(), policy, method), policy).await? {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            match self.after(error, policy, method, &mut attempts).await {
                ControlFlow::Break(error) => return Err(error),
                ControlFlow::Continue(pause) => {
                    self.guarded(tokio::time::sleep(pause), policy).await?;
                }
            }
        }
    }

    /// Gives up at once when the account goes red or closes, whatever the server does.
    pub(crate) async fn guarded<T>(
        &self,
        work: impl Future<Output = T>,
        policy: Policy,
    ) -> Result<T, InvokeError> {
        if policy.gate == Gate::Authorized
            && let Some(reason) = self.health.red()
        {
            return Err(InvokeError::Revoked { reason });
        }
        let mut stop = self.stop.subscribe();
        tokio::select! {
            biased;
            () = raised(&mut stop) => Err(InvokeError::Closed),
            done = work => Ok(done),
            reason = self.health.until_red(), if policy.gate == Gate::Authorized => Err(InvokeError::Revoked { reason }),
        }
    }

    async fn attempt(
        &self,
        body: Vec<u8>,
        policy: Policy,
        method: &'static str,
    ) -> Result<Vec<u8>, InvokeError> {
        let dc = self.session.home_dc();
        let answer = async { self.link().await.ask_raw(dc, body).await };
        match tokio::time::timeout(policy.timeout, answer).await {
            Ok(Ok(answer)) => {
                if policy.gate == Gate::Authorized {
                    self.health.proven();
                }
                Ok(answer)
            }
            // Closing takes the connection away before everybody has heard of it.
            Ok(Err(_)) if *self.stop.borrow() => Err(InvokeError::Closed),
            Ok(Err(error)) => {
                debug!(method, %error, "request failed");
                Err(InvokeError::judge(error))
            }
            Err(_) => Err(InvokeError::Timeout { method, after: policy.timeout }),
        }
    }

    /// What to do about a failure: give it to the caller, or try again after a pause.
    async fn after(
        &self,
        error: InvokeError,
        policy: Policy,
        method: &'static str,
        attempts: &mut Attempts,
    ) -> ControlFlow<InvokeError, Duration> {
        match &error {
            InvokeError::Flood { seconds } if policy.sleeps(method, attempts.slept, *seconds) => {
                let pause = Duration::from_secs((*seconds).into());
                info!(method, seconds, "waiting as told");
                attempts.slept += pause;
                return ControlFlow::Continue(pause);
            }
            InvokeError::Rpc { code: 303, name, value: Some(dc) }
                if attempts.moves > 0 && moves_home(name) =>
            {
                attempts.moves -= 1;
                return match self.move_home(i32::try_from(*dc).unwrap_or_default()).await {
                    Ok(()) => ControlFlow::Continue(Duration::ZERO),
                    Err(error) => ControlFlow::Break(InvokeError::Storage { cause: error.to_string() }),
                };
            }
            InvokeError::Rpc { name, .. } if spoils_connection(name) => self.restart(),
            InvokeError::Revoked { reason } => self.end(reason.clone()).await,
            InvokeError::Offline { cause } => {
                // With a proxy, every connection is one to it.
                self.health.waiting(match &self.settings.proxy {
                    Some(proxy) => Orange::Proxy { proxy: proxy.to_string(), cause: cause.clone() },
                    None => Orange::ConnectionLost { cause: cause.clone() },
                });
                self.kick.notify_one();
            }
            InvokeError::Proxy { cause } => {
                let proxy = self.settings.proxy.as_ref().map(ToString::to_string).unwrap_or_default();
                self.health.waiting(Orange::Proxy { proxy, cause: cause.clone() });
                self.kick.notify_one();
            }
            InvokeError::Crowded { .. } => self.health.waiting(Orange::Crowded),
            InvokeError::Timeout { .. } => self.kick.notify_one(),
            _ => {}
        }
        if error.is_transient() && attempts.retries > 0 {
            attempts.retries -= 1;
            return ControlFlow::Continue(attempts.backoff.pause());
        }
        ControlFlow::Break(error)
    }

    /// Goes on at another data centre.
    pub(crate) async fn move_home(&self, dc: i32) -> Result<(), SessionError> {
        info!(dc, "the account lives at another data centre");
        self.disconnect();
        self.session.set_home_dc_id(dc).await
    }
}

/// What one request has left.
struct Attempts {
    slept: Duration,
    retries: u32,
    moves: u32,
    backoff: Backoff,
}

fn lost_backoff() -> Backoff {
    Backoff::new(Duration::from_millis(200), Duration::from_secs(2))
}

fn moves_home(name: &str) -> bool {
    matches!(name, "PHONE_MIGRATE" | "USER_MIGRATE" | "NETWORK_MIGRATE")
}

/// Errors of a connection whose first message went astray.
pub(crate) fn spoils_connection(name: &str) -> bool {
    matches!(name, "MSG_WAIT_FAILED" | "CONNECTION_NOT_INITED" | "CONNECTION_LAYER_INVALID")
}

#[cfg(test)]
mod tests {
    use grammers_tl_types as tl;

    use super::*;

    #[test]
    fn telegrams_words_become_errors_to_match_on() {
        assert_eq!(judged(420, "FLOOD_WAIT_31"), InvokeError::Flood { seconds: 31 });
        assert_eq!(judged(420, "FLOOD_PREMIUM_WAIT_7"), InvokeError::Flood { seconds: 7 });
        let slow = InvokeError::Rpc { code: 420, name: "SLOWMODE_WAIT".to_owned(), value: Some(9) };
        assert_eq!(judged(420, "SLOWMODE_WAIT_9"), slow);
        assert_eq!(judged(400, "PEER_FLOOD"), InvokeError::PeerFlood);
        assert_eq!(judged(406, "AUTH_KEY_DUPLICATED"), InvokeError::Revoked { reason: Red::KeyDuplicated });
        for word in ["AUTH_KEY_UNREGISTERED", "SESSION_REVOKED", "SESSION_EXPIRED", "USER_DEACTIVATED_BAN"] {
            assert_eq!(judged(401, word), InvokeError::Revoked { reason: Red::Revoked(word.into()) });
        }
        let rpc = |code, name: &str, value| InvokeError::Rpc { code, name: name.into(), value };
        assert_eq!(judged(401, "SESSION_PASSWORD_NEEDED"), rpc(401, "SESSION_PASSWORD_NEEDED", None));
        assert_eq!(judged(303, "PHONE_MIGRATE_4"), rpc(303, "PHONE_MIGRATE", Some(4)));
        assert_eq!(judged(420, "FROZEN_METHOD_INVALID"), rpc(420, "FROZEN_METHOD_INVALID", None));
        assert_eq!(judged(420, "2FA_CONFIRM_WAIT_604800"), rpc(420, "2FA_CONFIRM_WAIT", Some(604_800)));
    }

    #[test]
    fn an_unknown_key_is_told_from_a_failed_exchange_for_a_new_one() {
        let unknown = LinkError::Transport(transport::Error::BadStatus { status: 404 });
        assert_eq!(InvokeError::judge(unknown), InvokeError::Revoked { reason: Red::KeyUnknown });
        let replaced = LinkError::from(SessionError::KeyReplaced { dc: 2 });
        assert_eq!(InvokeError::judge(replaced), InvokeError::Revoked { reason: Red::KeyUnknown });
        let failed = LinkError::KeyExchange(grammers_mtproto::authentication::Error::DhGenFail);
        assert!(matches!(InvokeError::judge(failed), InvokeError::KeyExchange { .. }));
    }

    #[test]
    fn calls_never_sleep_out_a_flood_wait_and_others_only_within_the_limit() {
        let patient = Policy::patient();
        assert!(patient.sleeps("contacts.resolvePhone", Duration::ZERO, 60));
        assert!(!patient.sleeps("contacts.resolvePhone", Duration::from_secs(1), 60));
        assert!(!patient.sleeps("phone.requestCall", Duration::ZERO, 1));
        assert!(!Policy::call().sleeps("contacts.resolvePhone", Duration::ZERO, 1));
    }

    #[test]
    fn every_call_method_is_known_by_its_name() {
        use tl::Identifiable as _;
        for id in [
            tl::functions::phone::RequestCall::CONSTRUCTOR_ID,
            tl::functions::phone::SendSignalingData::CONSTRUCTOR_ID,
        ] {
            assert!(name_for_id(id).starts_with("phone."), "{}", name_for_id(id));
        }
    }

    fn judged(code: i32, text: &str) -> InvokeError {
        let error = tl::types::RpcError { error_code: code, error_message: text.into() };
        InvokeError::judge(LinkError::Rpc(error.into()))
    }
}
