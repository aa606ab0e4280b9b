//! Brings a line's events of calls to the webhook, one after the other, each until it is taken or too old.

use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::hmac;
use tgtrunk_config::{CallWebhook, Phone};
use tgtrunk_messages::Poster;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep};
use tracing::{debug, warn};

use super::webhook::{Missed, Standings};
use crate::clock;
use crate::store::{EventRow, Fate, Store};

const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// How long nothing is done at most.
const LOOK: Duration = Duration::from_secs(30);

/// A webhook that has taken nothing for so long takes nothing that is too old, either.
const DEAD: Duration = Duration::from_secs(600);
/// Since when the webhook takes nothing, among the times that are remembered.
const FAILING: &str = "webhook_failing";

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
    /// Somebody wants it to be tried now.
    pub(super) urged: Arc<Notify>,
    pub(super) standings: Standings,
}

/// Forgets since when the webhook takes nothing, once nothing waits that it does not take.
pub(super) async fn forget_fault(store: &Store, waiting: u64) {
    if waiting == 0
        && let Err(error) = store.drop_call_mark(FAILING).await
    {
        warn!(%error, "that the webhook of calls works again cannot be written down");
    }
}

impl Pusher {
    /// Works until it is dropped.
    pub(super) async fn run(self) {
        let (mut pause, mut failing) = (FIRST_PAUSE, None::<Instant>);
        loop {
            match self.bring_next(failing.is_some_and(|since| since.elapsed() >= DEAD)).await {
                Ok(Brought::Told) => {
                    self.standings.took(&self.line);
                    (pause, failing) = (FIRST_PAUSE, None);
                    forget_fault(&self.store, 0).await;
                }
                // That the webhook works again, this does not tell; but nothing is left that it does not take.
                Ok(Brought::GivenUp) => {
                    let waiting = self.store.waiting_events().await.unwrap_or(0);
                    self.standings.gave_up(&self.line, waiting);
                    forget_fault(&self.store, waiting).await;
                }
                Ok(Brought::Nothing) => {
                    tokio::select! {
                        () = self.told.notified() => {}
                        () = sleep(LOOK) => {}
                    }
                }
                Ok(Brought::Failed { cause, attempts }) => {
                    debug!(cause, "the webhook of calls does not take an event");
                    failing.get_or_insert_with(Instant::now);
                    let waiting = self.store.waiting_events().await.unwrap_or(1);
                    let missed = Missed { cause, attempts, since_ms: self.failing_since().await };
                    self.standings.failed(&self.line, missed, waiting, pause);
                    tokio::select! {
                        () = self.urged.notified() => {}
                        () = sleep(pause) => {}
                    }
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
                Err(error) => {
                    warn!(%error, "what programs are to be told of calls cannot be read or written");
                    sleep(FIRST_PAUSE).await;
                }
            }
        }
    }

    /// Since when the webhook takes nothing; from now on where it took the event before. It outlives the program.
    async fn failing_since(&self) -> u64 {
        let now_ms = clock::unix_ms();
        let since_ms = self.store.call_mark(FAILING, now_ms).await;
        since_ms.map_or(now_ms, |since_ms| since_ms.min(now_ms))
    }

    async fn bring_next(&self, is_dead: bool) -> Result<Brought, sqlx::Error> {
        let Some(event) = self.store.next_event().await? else { return Ok(Brought::Nothing) };
        let age_s = u64::try_from(clock::unix_s().saturating_sub(event.noted_s)).unwrap_or(0);
        // A clock that jumped, or a program that did not run, leaves events old that nobody tried to tell.
        if age_s > self.receiver.life.as_secs() && (event.attempts > 0 || is_dead) {
            warn!(
                call = event.call,
                kind = event.kind,
                "an event of a call is given up: the webhook does not take it"
            );
            self.store.event_done(&event, Fate::GivenUp).await?;
            return Ok(Brought::GivenUp);
        }
        match self.bring(&event).await {
            Ok(()) => {
                self.store.event_done(&event, Fate::Told).await?;
                Ok(Brought::Told)
            }
            Err(cause) => {
                self.store.event_failed(&event).await?;
                Ok(Brought::Failed { cause, attempts: event.attempts.saturating_add(1) })
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
    GivenUp,
    Nothing,
    /// Why, and how often it was brought by now.
    Failed {
        cause: String,
        attempts: u32,
    },
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
    use crate::store::CallRow;
    use crate::store::tests::Room;

    #[tokio::test]
    async fn what_is_too_old_is_given_up_once_it_was_tried_or_the_webhook_is_dead() {
        let (store, _database) = Room::new().open().await;
        for call in ["a", "b"] {
            let row = CallRow {
                call: call.to_owned(),
                started_ms: 1,
                ended_ms: None,
                is_over: false,
                info: "{}".to_owned(),
            };
            let due = |_: &[String]| vec![("call.start".to_owned(), "{}".to_owned())];
            store.note_call(&row, 1_000_000, due).await.unwrap();
        }
        let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let webhook = CallWebhook { url: format!("http://{nobody}/"), secret: None };
        let poster = Poster::new(Duration::from_secs(5), &[]).unwrap();
        let pusher = Pusher {
            line: "+79060000000".parse().unwrap(),
            store: store.clone(),
            receiver: Arc::new(Receiver { webhook, poster, life: Duration::from_secs(3600) }),
            told: Arc::default(),
            urged: Arc::default(),
            standings: Standings::default(),
        };
        assert!(
            matches!(pusher.bring_next(false).await, Ok(Brought::Failed { attempts: 1, .. })),
            "it is tried once"
        );
        assert!(matches!(pusher.bring_next(false).await, Ok(Brought::GivenUp)));
        assert_eq!(store.next_event().await.unwrap().unwrap().call, "b");
        assert!(matches!(pusher.bring_next(true).await, Ok(Brought::GivenUp)));
        assert!(matches!(pusher.bring_next(true).await, Ok(Brought::Nothing)));
    }

    /// By Python: `hmac.new(b"0123456789abcdef", b'1800000000.{"event":"call.start"}', "sha256").hexdigest()`.
    #[test]
    fn a_signature_is_the_one_that_another_library_makes() {
        assert_eq!(
            signature("0123456789abcdef", 1_800_000_000, r#"{"event":"call.start"}"#),
            "t=1800000000,v1=a29a832f4f269680454430253928da520ef2daac013f5082723ba289fd002b48"
        );
    }
}
