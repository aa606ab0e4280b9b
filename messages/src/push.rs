//! Brings notifications to the webhook that an instance's program has named.
//!
//! One at a time, in their order; the same again until it is taken, with pauses that grow (a second to a minute).

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use reqwest::header::AUTHORIZATION;
use tokio::time::sleep;
use tracing::{debug, warn};

use crate::browse::WebhookFault;
use crate::clock;
use crate::instance::Options;
use crate::instance::inner::Inner;
use crate::post::{self, Missed};
use crate::reach::Web;
use crate::store::Notification;

/// How long the disk is left alone when it refuses.
const REST: Duration = Duration::from_secs(1);
/// How long nothing is done at most, whatever is waited for.
const LOOK: Duration = Duration::from_secs(30);

/// Works until it is dropped.
pub(crate) async fn run(inner: Arc<Inner>, web: Web) {
    let [first, longest] = inner.options.webhook_pauses;
    let (mut pause, mut held) = (first, false);
    loop {
        // Before anything is read: what comes meanwhile is not slept over.
        let (told, changed) = (inner.notifications.notified(), inner.settings_changed.notified());
        tokio::pin!(told, changed);
        told.as_mut().enable();
        changed.as_mut().enable();
        let url = webhook(&inner, &mut held);
        let head = match inner.head().await {
            Ok(head) => head.zip(url),
            Err(error) => {
                warn!(%error, "the queue of notifications cannot be read");
                sleep(REST).await;
                continue;
            }
        };
        let Some((head, url)) = head else {
            pause = first;
            tokio::select! {
                () = told => {}
                () = changed => {}
                () = sleep(LOOK) => {}
            }
            continue;
        };
        let token = inner.row().settings.webhook_token.clone();
        let outcome = match bring(&web, &inner.options, &url, &token, &head).await {
            Ok(()) => {
                pause = first;
                inner.pushed_ms.store(clock::unix_ms(), Ordering::Relaxed);
                taken(&inner, head.receipt).await;
                Ok(())
            }
            Err(Missed { status, sentence }) => {
                debug!(receipt = head.receipt, cause = sentence, "a webhook does not take a notification");
                let fault = WebhookFault { at_ms: clock::unix_ms(), status, sentence };
                let noted = inner.store.push_failed(head.receipt, &fault).await;
                let pause_ms = i64::try_from(pause.as_millis()).unwrap_or(0);
                inner.next_push_ms.store(clock::unix_ms() + pause_ms, Ordering::Relaxed);
                inner.touch();
                tokio::select! {
                    () = sleep(pause) => {}
                    () = changed => {}
                }
                inner.next_push_ms.store(0, Ordering::Relaxed);
                pause = (pause * 2).min(longest);
                noted
            }
        };
        inner.touch();
        if let Err(error) = outcome {
            warn!(%error, "what came of a notification cannot be written down");
            sleep(REST).await;
        }
    }
}

/// Takes away what a webhook took. Until the disk lets it, it is not brought again.
async fn taken(inner: &Inner, receipt: i64) {
    let mut rest = REST;
    while let Err(error) = inner.store.confirm(receipt).await {
        warn!(%error, "what a webhook took cannot be taken away yet");
        sleep(rest).await;
        rest = (rest * 2).min(LOOK);
    }
}

/// Where notifications are brought. An example in the source of a client is somebody else's site: that nothing is brought
/// there is said once.
fn webhook(inner: &Inner, held: &mut bool) -> Option<String> {
    let row = inner.row();
    let is_example = row.settings.webhook_is_example();
    if is_example && !std::mem::replace(held, is_example) {
        warn!(
            instance = %row.id,
            "the webhook of an instance is the example of 1C's connector: nothing is sent there until setSettings names another webhookUrl"
        );
    }
    *held = is_example;
    row.settings.webhook().map(str::to_owned)
}

async fn bring(
    web: &Web,
    options: &Options,
    url: &str,
    token: &str,
    head: &Notification,
) -> Result<(), Missed> {
    let mut headers =
        vec![("X-Notification-Id", head.receipt.to_string()), ("X-Attempt", (head.attempts + 1).to_string())];
    if !token.is_empty() {
        headers.push((AUTHORIZATION.as_str(), authorization(token)));
    }
    post::post(web, options.webhook_timeout, url, &headers, head.body.to_string()).await
}

/// A token is a bearer's (RFC 6750) unless it says itself what it is.
fn authorization(token: &str) -> String {
    let names_scheme =
        ["basic ", "bearer "].iter().any(|scheme| token.to_ascii_lowercase().starts_with(scheme));
    if names_scheme { token.to_owned() } else { format!("Bearer {token}") }
}
