//! Calls that programs have placed: an extension of the PBX rings first, then a person at Telegram is called. Under a key
//! of the program's a call is placed once, whatever happens in between.

use std::time::Duration;

use tgtrunk_config::control::{
    Answer, Ask, CallInfo, CallRecord, CallResult, Direction, Peer, RecordFilter, Refusal, RefusalCode,
    StatusReport,
};
use tgtrunk_config::{CallId, Callee, GatewayStatus, Phone};
use tgtrunk_messages::phone_hint;
use tgtrunk_shell::asking::{self, AskError};
use tokio::time::timeout;
use tracing::{debug, info, warn};

use super::event::Known;
use super::{Calls, LineCalls};
use crate::clock;
use crate::store::OrderRow;

/// How long the gateway may take to say that it places a call: it may have to look the person up.
const LIMIT: Duration = Duration::from_secs(30);
/// For so long a key gives the same call, in milliseconds.
const MEMORY_MS: u64 = 24 * 3_600_000;
/// So long the gateway is sure to know an order that it took, in milliseconds. It remembers it for 10 minutes.
const KNOWN_MS: u64 = 9 * 60_000;
/// A call that was ordered began so long before or after that was written down, in milliseconds.
const EARLY_MS: u64 = 2_000;
const LATE_MS: u64 = 60_000;

/// What a program orders.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) to: Callee,
    pub(super) extension: String,
    /// The program's own key.
    pub(super) key: Option<String>,
}

/// Why something is not done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Failed {
    pub(super) code: Code,
    pub(super) message: String,
    /// When it may be tried again, in seconds.
    pub(super) retry_after_s: Option<u64>,
    /// Whether another try may do.
    pub(super) is_retryable: bool,
}

/// Why something is not done, for programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Code {
    BadRequest,
    Unauthorized,
    /// The token is good for other lines.
    Forbidden,
    NotAuthorized,
    CallNotFound,
    DialogNotFound,
    NoTelegramAccount,
    FloodWait,
    /// The line's rules never let this person be called.
    NotAllowed,
    Timeout,
    /// It does not work now.
    Unavailable,
    Internal,
}

impl Failed {
    pub(super) fn new(code: Code, message: impl Into<String>) -> Self {
        let is_retryable = matches!(code, Code::FloodWait | Code::Timeout | Code::Unavailable);
        Self { code, message: message.into(), retry_after_s: None, is_retryable }
    }

    fn disk(error: &sqlx::Error) -> Self {
        warn!(%error, "an order for a call cannot be written down");
        Self::new(Code::Internal, "the order cannot be written down now: the disk does not take it")
    }
}

impl Calls {
    /// Has a call placed; the same key gives the same call.
    pub(super) async fn place(&self, line: &LineCalls, wanted: &Wanted) -> Result<CallId, Failed> {
        let Some(key) = &wanted.key else {
            let gateway = self.gateway_of(&line.line).await?;
            return match self.join(line, wanted, &random_key(), gateway.pid).await {
                Joined::Is(call) => Ok(call),
                Joined::Not(failed) => Err(failed),
                Joined::Unknown => Err(Failed {
                    is_retryable: false,
                    ..Failed::new(
                        Code::Timeout,
                        "the gateway did not answer: nobody knows whether the call is placed; GET /api/v1/calls tells which are up",
                    )
                }),
            };
        };
        let turn = line.turn(key);
        let Ok(_turn) = timeout(LIMIT, turn.lock()).await else {
            let message = "the same order is being placed: ask again with the same idempotency_key, which places no second call";
            return Err(Failed::new(Code::Timeout, message));
        };
        let now_ms = clock::unix_ms();
        let request = format!("{} {}", wanted.to, wanted.extension);
        let disk = |error| Failed::disk(&error);
        let known = line.store.call_order(key).await.map_err(disk)?;
        let known = known.filter(|order| {
            now_ms.saturating_sub(order.asked_ms) < MEMORY_MS
                || placed(order).is_some_and(|call| line.live.has(call))
        });
        if let Some(order) = &known {
            if !order.request.eq_ignore_ascii_case(&request) {
                let message = "idempotency_key was given with another \"to\" or \"extension\" before: want one of its own for each call";
                return Err(Failed::new(Code::BadRequest, message));
            }
            if order.call.is_some() {
                return placed(order).ok_or_else(|| Failed::new(Code::Internal, "the call's number is lost"));
            }
        }
        // Another process than the one that was asked before may run by now.
        let gateway = self.gateway_of(&line.line).await?;
        let is_new = known.is_none();
        let order = match known {
            // The gateway gives the same call, where it took the order before.
            Some(order) if order.gateway_pid == gateway.pid && is_remembered(order.asked_ms, now_ms) => order,
            Some(order) => return self.find_again(line, order, wanted).await,
            None => OrderRow {
                key: key.clone(),
                gateway_key: random_key(),
                request,
                asked_ms: now_ms,
                gateway_pid: gateway.pid,
                call: None,
            },
        };
        line.store.put_call_order(&order).await.map_err(disk)?;
        match self.join(line, wanted, &order.gateway_key, gateway.pid).await {
            Joined::Is(call) => {
                let placed = OrderRow { call: Some(call.to_string()), ..order };
                // A repetition finds it at the gateway, too.
                if let Err(error) = line.store.put_call_order(&placed).await {
                    warn!(%error, "which call was placed for an order cannot be written down");
                }
                Ok(call)
            }
            Joined::Not(failed) if is_new => {
                line.store.drop_call_order(key).await.map_err(disk)?;
                Err(failed)
            }
            // Whether a call was placed when it was ordered first, this does not tell.
            Joined::Not(failed) => Err(Failed { is_retryable: true, ..failed }),
            Joined::Unknown => {
                let message = "the gateway did not answer: ask again with the same idempotency_key, which places no second call";
                Err(Failed::new(Code::Timeout, message))
            }
        }
    }

    /// The call of an order that the gateway does not remember, as far as anything shows it.
    async fn find_again(&self, line: &LineCalls, order: OrderRow, wanted: &Wanted) -> Result<CallId, Failed> {
        // Two orders of the same kind do not take one call for theirs.
        let _alone = line.finding.lock().await;
        let Some(call) = self.found(line, &order, wanted).await? else {
            let message = "tgtrunk was stopped while this call was being placed, and it is not among the gateway's calls: it was most likely not placed. Order it with another idempotency_key";
            return Err(Failed::new(Code::Internal, message));
        };
        let placed = OrderRow { call: Some(call.to_string()), ..order };
        line.store.put_call_order(&placed).await.map_err(|error| Failed::disk(&error))?;
        Ok(call)
    }

    /// Ends a call on both sides. False when none is up.
    pub(super) async fn hang_up(&self, call: CallId) -> Result<bool, Failed> {
        match self.gateway.ask(Ask::HangUp { call }).await {
            Ok(_) => Ok(true),
            Err(AskError::Refused(refusal)) if refusal.code == RefusalCode::UnknownCall => Ok(false),
            Err(AskError::Refused(refusal)) => Err(Failed::new(Code::Internal, refusal.message)),
            Err(AskError::Gone) => Err(gateway_gone()),
            Err(AskError::NoAnswer) => Err(Failed::new(Code::Timeout, "the gateway did not answer")),
        }
    }

    /// The gateway's word on a line.
    async fn gateway_of(&self, line: &Phone) -> Result<GatewayStatus, Failed> {
        match self.gateway.ask(Ask::Status).await {
            Ok(Answer::Status(StatusReport { lines, .. })) => {
                let found = lines.into_iter().map(|line| line.status).find(|status| status.line == *line);
                found.ok_or_else(|| Failed::new(Code::Unavailable, format!("the gateway has no line {line}")))
            }
            Ok(_) | Err(AskError::NoAnswer) => Err(Failed::new(Code::Timeout, "the gateway did not answer")),
            Err(AskError::Gone) => Err(gateway_gone()),
            Err(AskError::Refused(refusal)) => Err(Failed::new(Code::Internal, refusal.message)),
        }
    }

    /// `pid` is the gateway's process: no other one knows what this one was asked.
    async fn join(&self, line: &LineCalls, wanted: &Wanted, key: &str, pid: u32) -> Joined {
        let ask = Ask::JoinCall {
            line: line.line.clone(),
            extension: wanted.extension.clone(),
            person: wanted.to.clone(),
            key: Some(key.to_owned()),
        };
        // The second time for whoever did not hear the first answer.
        for is_first in [true, false] {
            if !is_first && self.gateway_of(&line.line).await.is_ok_and(|gateway| gateway.pid != pid) {
                return Joined::Unknown;
            }
            match timeout(LIMIT, asking::ask(&self.socket, ask.clone())).await {
                Ok(Ok(Answer::Call { call })) => {
                    info!(%call, "a program had a call placed");
                    return Joined::Is(call);
                }
                Ok(Ok(_)) => return Joined::Unknown,
                Ok(Err(error)) => match error.downcast::<Refusal>() {
                    // The first time may have placed it all the same.
                    Ok(_) if !is_first => return Joined::Unknown,
                    Ok(refusal) => {
                        info!(code = ?refusal.code, "a call that a program wants is refused");
                        // Perhaps this order is what Telegram wants a pause after.
                        let gateway = self.gateway_of(&line.line).await.ok();
                        return Joined::Not(refused(&refusal, &wanted.to, gateway.as_ref()));
                    }
                    Err(error) => debug!(%error, "the gateway did not answer to an order"),
                },
                Err(_) => debug!("the gateway did not answer to an order in time"),
            }
        }
        Joined::Unknown
    }

    /// A call that was ordered, by the gateway's records; none where the gateway knows nothing of it.
    pub(super) async fn recorded(
        &self,
        line: &LineCalls,
        call: CallId,
        asked_ms: u64,
    ) -> Result<Option<Known>, Failed> {
        let soon = || Failed::new(Code::Unavailable, "the gateway has not told of this call yet");
        let records = self.records(line, asked_ms).await?;
        match records.into_iter().find(|record| record.call == call) {
            Some(record) if record.result == CallResult::Running => Err(soon()),
            Some(record) => Ok(Some(Known::of_record(record))),
            None if clock::unix_ms().saturating_sub(asked_ms) < LATE_MS => Err(soon()),
            None => Ok(None),
        }
    }

    /// The gateway's records of calls that may be what was ordered then.
    async fn records(&self, line: &LineCalls, asked_ms: u64) -> Result<Vec<CallRecord>, Failed> {
        let filter = RecordFilter {
            line: Some(line.line.clone()),
            from_ms: Some(asked_ms.saturating_sub(EARLY_MS)),
            to_ms: Some(asked_ms.saturating_add(LATE_MS + 1)),
            direction: Some(Direction::PbxToTelegram),
            limit: Some(100),
            ..RecordFilter::default()
        };
        match self.gateway.ask(Ask::Records { filter }).await {
            Ok(Answer::Records { records, .. }) => Ok(records),
            Ok(_) | Err(_) => Err(gateway_gone()),
        }
    }

    /// The call that an order brought about, as far as the gateway's calls and records show it.
    async fn found(
        &self,
        line: &LineCalls,
        order: &OrderRow,
        wanted: &Wanted,
    ) -> Result<Option<CallId>, Failed> {
        let time_ms = order.asked_ms.saturating_sub(EARLY_MS)..=order.asked_ms.saturating_add(LATE_MS);
        let is_it = |info: &CallInfo| {
            info.direction == Direction::PbxToTelegram
                && info.extension.as_ref() == Some(&wanted.extension)
                && may_be(&info.peer, &wanted.to)
                && time_ms.contains(&info.started_ms)
        };
        let records = self.records(line, order.asked_ms).await?;
        let recorded = records.into_iter().map(|record| Known::of_record(record).info);
        for info in line.live.all().into_iter().chain(recorded).filter(is_it) {
            let is_anothers = line.store.is_ordered(&info.call.to_string()).await;
            if !is_anothers.map_err(|error| Failed::disk(&error))? {
                return Ok(Some(info.call));
            }
        }
        Ok(None)
    }
}

/// Whether somebody may be who was ordered, as far as their names are known.
fn may_be(peer: &Peer, to: &Callee) -> bool {
    match to {
        Callee::Id(id) => peer.id.is_none_or(|known| known == *id),
        Callee::Phone(phone) => {
            peer.phone.as_ref().is_none_or(|known| known.trim_start_matches('+') == phone.digits())
        }
        Callee::Username(name) => peer.username.as_ref().is_none_or(|known| known.eq_ignore_ascii_case(name)),
    }
}

/// The call that was placed for an order.
fn placed(order: &OrderRow) -> Option<CallId> {
    order.call.as_ref()?.parse().ok()
}

/// Whether the gateway's process that was asked is sure to remember it: not where the clock was set back since.
fn is_remembered(asked_ms: u64, now_ms: u64) -> bool {
    now_ms.checked_sub(asked_ms).is_some_and(|age_ms| age_ms < KNOWN_MS)
}

/// What became of an order.
enum Joined {
    Is(CallId),
    /// Nobody was called.
    Not(Failed),
    Unknown,
}

fn random_key() -> String {
    hex::encode(tgtrunk_shell::clock::random::<16>())
}

fn gateway_gone() -> Failed {
    Failed::new(Code::Unavailable, "the gateway does not run")
}

/// Why the gateway does not place a call.
fn refused(refusal: &Refusal, to: &Callee, gateway: Option<&GatewayStatus>) -> Failed {
    let wait_s = |until_ms: u64| Some(until_ms.saturating_sub(clock::unix_ms()).div_ceil(1_000).max(1));
    let code = match (refusal.code, to) {
        (RefusalCode::UnknownPerson, Callee::Phone(_)) => Code::NoTelegramAccount,
        (RefusalCode::UnknownPerson | RefusalCode::BadRequest, _) => Code::DialogNotFound,
        (RefusalCode::NotAuthorized, _) => Code::NotAuthorized,
        (RefusalCode::Telegram | RefusalCode::Limit | RefusalCode::Strangers, _) => Code::FloodWait,
        (RefusalCode::Forbidden, _) => Code::NotAllowed,
        (RefusalCode::Stopping | RefusalCode::Unreachable | RefusalCode::UnknownLine, _) => Code::Unavailable,
        _ => Code::Internal,
    };
    let retry_after_s = match refusal.code {
        RefusalCode::Telegram => gateway.and_then(|gateway| wait_s(gateway.pause?.until_ms)),
        RefusalCode::Strangers => gateway.and_then(|gateway| wait_s(gateway.strangers?.resets_ms)),
        _ => None,
    };
    let hint = match to {
        Callee::Id(id) if code == Code::DialogNotFound => phone_hint(&id.to_string()),
        _ => String::new(),
    };
    Failed { retry_after_s, ..Failed::new(code, format!("{}{hint}", refusal.message)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn why_a_call_is_not_placed_is_told_in_the_words_of_programs() {
        let gateway = GatewayStatus::waiting("+79060000000".parse().unwrap(), 1, 0);
        let of = |code, to: &str| {
            let refusal = Refusal { code, message: "why".into() };
            let failed = refused(&refusal, &to.parse().unwrap(), Some(&gateway));
            (failed.code, failed.is_retryable)
        };
        assert_eq!(of(RefusalCode::UnknownPerson, "+79990000000"), (Code::NoTelegramAccount, false));
        assert_eq!(of(RefusalCode::UnknownPerson, "@anna"), (Code::DialogNotFound, false));
        assert_eq!(of(RefusalCode::BadRequest, "5"), (Code::DialogNotFound, false));
        let refusal = Refusal { code: RefusalCode::UnknownPerson, message: "why".into() };
        let told = refused(&refusal, &"79991234567".parse().unwrap(), None).message;
        assert_eq!(told, "why; if it is a phone number, write +79991234567");
        assert_eq!(of(RefusalCode::NotAuthorized, "5"), (Code::NotAuthorized, false));
        assert_eq!(of(RefusalCode::Telegram, "5"), (Code::FloodWait, true));
        assert_eq!(of(RefusalCode::Limit, "5"), (Code::FloodWait, true));
        assert_eq!(of(RefusalCode::Strangers, "5"), (Code::FloodWait, true));
        assert_eq!(of(RefusalCode::Forbidden, "5"), (Code::NotAllowed, false));
        assert_eq!(of(RefusalCode::Stopping, "5"), (Code::Unavailable, true));
        assert_eq!(of(RefusalCode::Internal, "5"), (Code::Internal, false));
    }

    #[test]
    fn the_gateway_is_sure_to_remember_for_minutes_and_not_once_the_clock_was_set_back() {
        assert!(is_remembered(1_000, 1_000) && is_remembered(1_000, KNOWN_MS));
        assert!(!is_remembered(1_000, 1_000 + KNOWN_MS) && !is_remembered(1_000, 999));
    }
}
