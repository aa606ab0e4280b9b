//! Brings a line's events of calls to the webhook, one after the other, each until it is taken or too old.

use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::hmac;
use tgtrunk_config::{CallWebhook, Phone};
use tgtrunk_messages::Poster;
use tokio::sync::Notify;
use tokio::time::sleep;
use tracing::{debug, warn};

use super::Troubles;
use crate::clock;
use crate::store::{EventRow, Fate, Store};

const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// How long nothing is done at most.
const LOOK: Duration = Duration::from_secs(30);

/// The webhook, and how it is called.
pub(super) struct Receiver {
    pub(super) webhook: CallWebhook,
    pub(super) poster: Poster,
    /// Older events are given up.
    pub(super) life: Duration,
}

/// Brings the events of one line.
pub(super) struct Pusher {
    pub(super) line: Phone,
    pub(super) store: Store,
    pub(super) receiver: Arc<Receiver>,
    /// Something is to be told.
    pub(super) told: Arc<Notify>,
    pub(super) troubles: Troubles,
}

impl Pusher {
    /// Works until it is dropped.
    pub(super) async fn run(self) {
        let mut pause = FIRST_PAUSE;
        loop {
            match self.bring_next().await {
                Ok(Brought::Told) => {
                    self.troubles.is_well(&self.line);
                    pause = FIRST_PAUSE;
                }
                Ok(Brought::Nothing) => {
                    self.troubles.is_well(&self.line);
                    pause = FIRST_PAUSE;
                    tokio::select! {
                        () = self.told.notified() => {}
                        () = sleep(LOOK) => {}
                    }
                }
                Ok(Brought::Failed(cause)) => {
                    debug!(cause, "the webhook of calls does not take an event");
                    let waiting = self.store.waiting_events().await.unwrap_or(1);
                    self.troubles.is_amiss(&self.line, cause, waiting);
                    sleep(pause).await;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
                Err(error) => {
                    warn!(%error, "what programs are to be told of calls cannot be read or written");
                    sleep(FIRST_PAUSE).await;
                }
            }
        }
    }

    async fn bring_next(&self) -> Result<Brought, sqlx::Error> {
        let Some(event) = self.store.next_event().await? else { return Ok(Brought::Nothing) };
        let age_s = u64::try_from(clock::unix_s().saturating_sub(event.noted_s)).unwrap_or(0);
        if age_s > self.receiver.life.as_secs() {
            warn!(
                call = event.call,
                kind = event.kind,
                "an event of a call is given up: the webhook does not take it"
            );
            self.store.event_done(&event, Fate::GivenUp).await?;
            return Ok(Brought::Told);
        }
        match self.bring(&event).await {
            Ok(()) => {
                self.store.event_done(&event, Fate::Told).await?;
                Ok(Brought::Told)
            }
            Err(cause) => {
                self.store.event_failed(&event).await?;
                Ok(Brought::Failed(cause))
            }
        }
    }

    async fn bring(&self, event: &EventRow) -> Result<(), String> {
        let Receiver { webhook, poster, .. } = &*self.receiver;
        let id = format!("{}.{}", event.call, event.kind.trim_start_matches("call."));
        let mut headers = vec![
            ("X-Tgtrunk-Event", event.kind.clone()),
            ("X-Tgtrunk-Delivery", id),
            ("X-Tgtrunk-Attempt", (u64::from(event.attempts) + 1).to_string()),
        ];
        if let Some(secret) = &webhook.secret {
            let secret = secret.password("api.call_webhook_secret_file").map_err(|said| said.en)?;
            headers.push(("X-Tgtrunk-Signature", signature(secret.as_str(), clock::unix_s(), &event.body)));
        }
        poster.post(&webhook.url, &headers, event.body.clone()).await
    }
}

enum Brought {
    Told,
    Nothing,
    Failed(String),
}

/// By what a receiver knows that a body is ours and when it was sent: HMAC-SHA256 (RFC 2104) of time, full stop and body.
fn signature(secret: &str, unix_s: i64, body: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    let signed = hmac::sign(&key, format!("{unix_s}.{body}").as_bytes());
    format!("t={unix_s},v1={}", hex::encode(signed))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By Python: `hmac.new(b"0123456789abcdef", b'1800000000.{"event":"call.start"}', "sha256").hexdigest()`.
    #[test]
    fn a_signature_is_the_one_that_another_library_makes() {
        assert_eq!(
            signature("0123456789abcdef", 1_800_000_000, r#"{"event":"call.start"}"#),
            "t=1800000000,v1=a29a832f4f269680454430253928da520ef2daac013f5082723ba289fd002b48"
        );
    }
}
