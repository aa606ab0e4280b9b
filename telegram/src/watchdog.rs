//! Asks Telegram again and again whether it is there, and gives a dead connection up.
//!
//! The link's own pings, once a minute, keep its connections; a call cannot wait for the second of them to tell that one is
//! half open.

use std::sync::Arc;
use std::time::Duration;

use grammers_tl_types as tl;
use tokio::time::sleep;
use tracing::{debug, info};

use crate::backoff::Backoff;
use crate::core::Core;
use crate::flag::raised;
use crate::invoke::{InvokeError, Policy};
use crate::status::{Orange, Status};
use crate::stream::store_state;

/// How long Telegram is left alone after it asked for fewer connections.
const CROWDED: Duration = Duration::from_secs(5);

/// Runs until the account stops.
pub(crate) async fn run(core: Arc<Core>) {
    let mut stop = core.stop.subscribe();
    tokio::select! {
        () = raised(&mut stop) => {}
        () = watch(&core) => {}
    }
}

async fn watch(core: &Core) {
    let mut status = core.health.watch();
    let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(30));
    let mut silent = 0_u32;
    let mut until_check = Duration::ZERO;
    loop {
        // The sender lives in `core`, so this cannot fail.
        let _ = status.wait_for(|status| !matches!(status, Status::Red { .. })).await;
        // Only an authorized request proves that the session is whole; in between, a ping does.
        let check = !core.health.is_green() || until_check.is_zero();
        let outcome = if check { check_session(core).await } else { ping(core).await };
        let pause = match outcome {
            Ok(()) => {
                if check {
                    until_check = core.settings.check_every;
                }
                silent = 0;
                backoff.reset();
                until_check = until_check.saturating_sub(core.settings.ping_every);
                tokio::select! {
                    () = core.kick.notified() => {}
                    () = sleep(core.settings.ping_every) => {}
                }
                continue;
            }
            Err(InvokeError::Timeout { .. }) => {
                silent += 1;
                core.health.waiting(Orange::NoAnswer);
                give_up(core, silent);
                backoff.pause()
            }
            Err(InvokeError::Crowded { .. }) => backoff.pause().max(CROWDED),
            Err(InvokeError::Flood { seconds }) => {
                // It answers, only not this.
                core.health.proven();
                Duration::from_secs(seconds.into())
            }
            Err(InvokeError::Rpc { code, name, .. }) => {
                core.health.waiting(Orange::Refused { error: format!("{code} {name}") });
                backoff.pause()
            }
            Err(error) => {
                debug!(%error, "Telegram is not reached");
                backoff.pause()
            }
        };
        sleep(pause).await;
    }
}

/// First the connection; if that did not help, the whole link, with whatever hangs in it.
fn give_up(core: &Core, silent: u32) {
    info!(silent, "no answer from Telegram: connecting anew");
    core.disconnect();
    if silent > 1 {
        core.restart();
    }
}

async fn ping(core: &Core) -> Result<(), InvokeError> {
    let request = tl::functions::Ping { ping_id: i64::from(crate::backoff::random_u32()) };
    core.invoke(&request, Policy::call().within(core.settings.ping_limit).for_anyone()).await?;
    core.health.alive();
    Ok(())
}

async fn check_session(core: &Core) -> Result<(), InvokeError> {
    let policy = Policy::call().within(core.settings.ping_limit);
    let state = core.invoke(&tl::functions::updates::GetState {}, policy).await?;
    if !core.session.has_base_state() {
        return store_state(core, state)
            .await
            .map_err(|error| InvokeError::Storage { cause: error.to_string() });
    }
    let tl::enums::updates::State::State(state) = state;
    // Not every loss is told: updates sent meanwhile may be missing.
    if state.pts > core.session.pts() {
        debug!("updates may be missing");
        core.gap.notify_one();
    }
    Ok(())
}
