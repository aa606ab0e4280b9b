//! Messages to people: kept on the disk until Telegram has them.

use std::time::Duration;

use tokio::time::sleep;

use crate::bot::Desk;
use crate::clock::Age;
use crate::store::{Letter, Outcome};
use crate::telegram::{Failure, Miss};

/// What could not be sent for so long is of no interest any more.
const STALE: Duration = Duration::from_secs(24 * 3_600);
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// Until somebody has mended the token.
const TOKEN_PAUSE: Duration = Duration::from_secs(30);

/// Sends a message, however long Telegram needs to take it, and forgets it. What a program had written is not sent a second
/// time where Telegram may have it: a notification that comes again and again is worse than one of which nobody knows.
pub(crate) async fn deliver(desk: &Desk, letter: Letter) {
    let (mut pause, age) = (FIRST_PAUSE, Age::of(letter.made_ms));
    let outcome = loop {
        if age.now() >= STALE {
            tracing::warn!("a message is given up: Telegram did not take it within a day");
            let reason = "it could not be sent in time".to_owned();
            break Outcome::Failed { reason, is_blocked: false };
        }
        let miss = match desk.api.send(letter.to, &letter.text, letter.button.clone()).await {
            Ok(message) => break Outcome::Sent(message),
            Err(miss) => miss,
        };
        let Miss { failure, may_be_done, .. } = miss;
        if may_be_done && letter.is_errand {
            tracing::warn!(%failure, "a message of a program's is not sent again: Telegram may have it");
            let reason = format!("Telegram may have it, so it is not sent again: {failure}");
            break Outcome::Failed { reason, is_blocked: false };
        }
        let rest = match failure {
            Failure::Flood { wait } => wait,
            Failure::Token | Failure::Conflict(_) => TOKEN_PAUSE,
            Failure::Down(_) | Failure::Unreachable(_) | Failure::Unreadable(_) => pause,
            Failure::Forbidden(ref why) => {
                tracing::info!(why, "a person has blocked the bot, or never began with it");
                desk.kept(desk.store.block(letter.to, true).await);
                break Outcome::Failed { reason: failure.to_string(), is_blocked: true };
            }
            Failure::Refused { .. } => {
                tracing::warn!(%failure, "a message is given up");
                break Outcome::Failed { reason: failure.to_string(), is_blocked: false };
            }
        };
        tracing::info!(%failure, rest_ms = rest.as_millis(), "a message waits");
        desk.kept(desk.store.waits(letter.id, &failure.to_string()).await);
        pause = (pause * 2).min(LONGEST_PAUSE);
        sleep(rest).await;
    };
    desk.kept(desk.store.conclude(letter.id, &outcome).await);
}
