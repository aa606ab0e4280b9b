//! Brings notifications to the webhook that an instance's program has named.
//!
//! One at a time, in their order; the same again until it is taken, with pauses that grow to a minute.

use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, LOCATION};
use reqwest::{Client, Url};
use tokio::time::sleep;
use tracing::{debug, warn};

use crate::instance::Options;
use crate::instance::inner::Inner;
use crate::reach;
use crate::store::Notification;

const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// How long nothing is done at most, whatever is waited for.
const LOOK: Duration = Duration::from_secs(30);

/// Works until it is dropped. No redirection is followed: clients turn a POST into a GET on the way, and what that gets says
/// nothing of whether the notification was taken (RFC 9110, 15.4).
pub(crate) async fn run(inner: Arc<Inner>, client: Client) {
    let (mut pause, mut held) = (FIRST_PAUSE, false);
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
                sleep(FIRST_PAUSE).await;
                continue;
            }
        };
        let Some((head, url)) = head else {
            pause = FIRST_PAUSE;
            tokio::select! {
                () = told => {}
                () = changed => {}
                () = sleep(LOOK) => {}
            }
            continue;
        };
        let token = inner.row().settings.webhook_token.clone();
        let outcome = match bring(&client, &inner.options, &url, &token, &head).await {
            Ok(()) => {
                pause = FIRST_PAUSE;
                inner.store.confirm(head.receipt).await.map(drop)
            }
            Err(cause) => {
                debug!(receipt = head.receipt, cause, "a webhook does not take a notification");
                let noted = inner.store.push_failed(head.receipt, &cause).await;
                tokio::select! {
                    () = sleep(pause) => {}
                    () = changed => {}
                }
                pause = (pause * 2).min(LONGEST_PAUSE);
                noted
            }
        };
        if let Err(error) = outcome {
            warn!(%error, "what came of a notification cannot be written down");
            sleep(FIRST_PAUSE).await;
        }
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
    client: &Client,
    options: &Options,
    url: &str,
    token: &str,
    head: &Notification,
) -> Result<(), String> {
    let limit = options.webhook_timeout;
    let at = Url::parse(url).map_err(|error| error.to_string())?;
    reach::check(&at, &options.own_ports).await.map_err(|error| error.to_string())?;
    let mut request = client
        .post(at)
        .timeout(limit)
        .header(CONTENT_TYPE, "application/json")
        .header("X-Notification-Id", head.receipt)
        .header("X-Attempt", head.attempts + 1)
        .body(head.body.to_string());
    if !token.is_empty() {
        request = request.header(AUTHORIZATION, authorization(token));
    }
    match request.send().await {
        Ok(answer) if answer.status().is_success() => Ok(()),
        Ok(answer) if answer.status().is_redirection() => {
            let to = answer.headers().get(LOCATION).and_then(|to| to.to_str().ok()).unwrap_or_default();
            let to = answer.url().join(to).ok().and_then(|to| to.host_str().map(str::to_owned));
            let to = to.unwrap_or_else(|| "nowhere".to_owned());
            Err(format!(
                "it answers {}, which leads to {to}: name the address that takes it",
                answer.status()
            ))
        }
        Ok(answer) => Err(format!("it answers {}", answer.status())),
        // The address may hold a secret.
        Err(error) if error.is_timeout() => Err(format!("no answer within {} s", limit.as_secs())),
        Err(error) => Err(sources(&error.without_url())),
    }
}

/// A token is a bearer's (RFC 6750) unless it says itself what it is.
fn authorization(token: &str) -> String {
    let names_scheme =
        ["basic ", "bearer "].iter().any(|scheme| token.to_ascii_lowercase().starts_with(scheme));
    if names_scheme { token.to_owned() } else { format!("Bearer {token}") }
}

/// An error and what is behind it.
pub(crate) fn sources(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
