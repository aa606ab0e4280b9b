//! What an instance does by itself: tells how it stands, and forgets what is old.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;
use tracing::warn;

use crate::clock;
use crate::instance::inner::Inner;

/// How often it is looked for what is old.
const EVERY: Duration = Duration::from_secs(600);
/// Pause between two bites.
const BITE: Duration = Duration::from_millis(50);
/// How long nothing is done at most, whatever is waited for.
const LOOK: Duration = Duration::from_secs(30);

/// Tells each change of how the instance stands.
pub(crate) async fn watch(inner: Arc<Inner>) {
    let mut told = inner.standing();
    loop {
        let changed = inner.settings_changed.notified();
        tokio::pin!(changed);
        changed.as_mut().enable();
        tokio::select! {
            () = inner.messenger.standing_changed() => {}
            () = changed => {}
            () = sleep(LOOK) => {}
        }
        let now = inner.standing();
        if now == told {
            continue;
        }
        told = now;
        if !inner.row().settings.is_on("stateWebhook") {
            continue;
        }
        match inner.store.tell(&inner.told_standing(now), clock::unix_ms()).await {
            Ok(()) => inner.notifications.notify_waiters(),
            Err(error) => warn!(%error, "how the instance stands cannot be told"),
        }
    }
}

/// Forgets what is old, a little at a time.
pub(crate) async fn forget(inner: Arc<Inner>) {
    loop {
        if let Err(error) = forget_once(&inner).await {
            warn!(%error, "what is old cannot be forgotten");
        }
        tokio::select! {
            () = sleep(EVERY) => {}
            () = inner.files.too_much() => {}
        }
    }
}

async fn forget_once(inner: &Inner) -> Result<(), sqlx::Error> {
    let before = |life: Duration| clock::unix_s() - i64::try_from(life.as_secs()).unwrap_or(i64::MAX);
    while inner.store.forget(before(inner.options.journal_life)).await? {
        sleep(BITE).await;
    }
    loop {
        let gone = inner.store.forget_files(before(inner.options.file_life)).await?;
        if gone.is_empty() {
            break;
        }
        remove(inner, gone).await;
    }
    loop {
        let excess = inner.files.excess(inner.store.bodies_bytes().await?);
        let gone = if excess > 0 { inner.store.forget_bodies(excess).await? } else { Vec::new() };
        if gone.is_empty() {
            return Ok(());
        }
        remove(inner, gone).await;
    }
}

async fn remove(inner: &Inner, secrets: Vec<String>) {
    for secret in secrets {
        tokio::fs::remove_file(inner.files.path(&secret)).await.ok();
    }
    sleep(BITE).await;
}
