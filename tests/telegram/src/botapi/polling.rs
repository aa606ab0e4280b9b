//! `getUpdates`: a poll waits until an update comes, its time is up, or another poll begins.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use super::params::Params;
use super::reply::{ApiError, Served};
use crate::world::World;
use crate::world::clock::unix_now_ms;

/// Longest that a poll may wait, in seconds.
const TIMEOUT_MAX_S: i64 = 50;
/// Most updates in one answer.
const LIMIT_MAX: i64 = 100;

const OTHER_POLL: &str =
    "terminated by other getUpdates request; make sure that only one bot instance is running";
const WEBHOOK_ACTIVE: &str =
    "can't use getUpdates method while webhook is active; use deleteWebhook to delete the webhook first";
const WEBHOOK_SET: &str = "terminated by setWebhook request";

/// Serves a poll.
pub(crate) async fn get_updates(world: &World, bot: i64, params: &Params) -> Result<Served, ApiError> {
    let limit = params.number("limit").filter(|limit| (1..=LIMIT_MAX).contains(limit)).unwrap_or(LIMIT_MAX);
    let limit = usize::try_from(limit).unwrap_or(1);
    let seconds = params.number("timeout").unwrap_or(0).clamp(0, TIMEOUT_MAX_S);
    let allowed = allowed_updates(params)?;
    let (bell, ticket) = {
        let mut state = world.lock();
        let queue = &mut state.bots.bot_mut(bot).ok_or_else(ApiError::unauthorized)?.queue;
        if queue.webhook.is_some() {
            return Err(ApiError::conflict(WEBHOOK_ACTIVE));
        }
        queue.last_poll_ms = Some(unix_now_ms());
        if let Some(allowed) = allowed {
            queue.allowed = Some(allowed).filter(|kinds| !kinds.is_empty());
        }
        let ticket = queue.take_ticket();
        if let Some(offset) = params.number("offset") {
            queue.confirm(offset);
        }
        (queue.bell.clone(), ticket)
    };
    let end = tokio::time::sleep(Duration::from_secs(u64::try_from(seconds).unwrap_or(0)));
    tokio::pin!(end);
    loop {
        let rung = bell.notified();
        tokio::pin!(rung);
        rung.as_mut().enable();
        {
            let state = world.lock();
            let queue = &state.bots.bot(bot).ok_or_else(ApiError::unauthorized)?.queue;
            if !queue.holds(ticket) {
                let by_webhook = queue.webhook.is_some();
                return Err(ApiError::conflict(if by_webhook { WEBHOOK_SET } else { OTHER_POLL }));
            }
            let updates = queue.first(limit);
            if !updates.is_empty() || end.deadline() <= Instant::now() {
                return Ok(json!(updates).into());
            }
        }
        tokio::select! {
            () = &mut rung => {}
            () = &mut end => {}
        }
    }
}

/// `allowed_updates`: names, `None` where it was not sent.
pub(crate) fn allowed_updates(params: &Params) -> Result<Option<Vec<String>>, ApiError> {
    let Some(value) = params.json("allowed_updates")? else { return Ok(None) };
    let list = value.as_array().ok_or_else(|| ApiError::bad("can't parse allowed_updates JSON object"))?;
    Ok(Some(list.iter().filter_map(Value::as_str).map(str::to_owned).collect()))
}
