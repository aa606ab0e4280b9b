//! What an instance does by itself: tells how it stands, and forgets what is old.

use std::future::{Future as _, poll_fn};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use tgtrunk_shell::caught::again;
use tokio::task::JoinSet;
use tokio::time::sleep;
use tracing::{Instrument as _, warn};

use crate::clock;
use crate::instance::inner::{FOUND_S, Inner};
use crate::standing::Standing;
use crate::store::{KEPT_MS, StorageError};

/// How often it is looked for what is old.
const EVERY: Duration = Duration::from_secs(600);
/// Pause between two bites.
const BITE: Duration = Duration::from_millis(50);
/// Pause before something is told again that the disk did not take.
const AGAIN: Duration = Duration::from_secs(2);
/// How long nothing is done at most, whatever is waited for.
const LOOK: Duration = Duration::from_secs(30);

/// Has one of the instance's parts at work as long as `tasks`; it begins anew where it breaks.
pub(crate) fn keep<W: Future<Output = ()> + Send + 'static>(
    tasks: &mut JoinSet<()>,
    part: &'static str,
    inner: &Arc<Inner>,
    begin: impl Fn(Arc<Inner>) -> W + Send + 'static,
) {
    let inner = Arc::clone(inner);
    tasks.spawn(again(part, move || begin(Arc::clone(&inner))).in_current_span());
}

/// Tells each change of how the instance stands.
pub(crate) async fn watch(inner: Arc<Inner>) {
    let mut told = inner.standing();
    loop {
        let changes = async {
            let settings = inner.settings_changed.notified();
            tokio::pin!(settings);
            settings.as_mut().enable();
            tokio::select! {
                () = inner.messenger.standing_changed() => {}
                () = settings => {}
                () = sleep(LOOK) => {}
            }
        };
        tokio::pin!(changes);
        // Before it is looked: what changes while it is told is not slept over.
        let is_changed = poll_fn(|context| Poll::Ready(changes.as_mut().poll(context).is_ready())).await;
        let now = inner.standing();
        if now != told {
            if !tell(&inner, now).await {
                sleep(AGAIN).await;
                continue;
            }
            told = now;
        }
        if !is_changed {
            changes.await;
        }
    }
}

/// Tells how the instance stands, if that is wanted; false if it is to be told again.
async fn tell(inner: &Inner, standing: Standing) -> bool {
    if !inner.row().settings.is_on("stateWebhook") {
        return true;
    }
    match inner.store.tell(&inner.told_standing(standing), clock::unix_ms()).await {
        Ok(()) => {
            inner.notifications.notify_waiters();
            true
        }
        Err(error) => {
            warn!(%error, "how the instance stands cannot be told yet");
            false
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

async fn forget_once(inner: &Inner) -> Result<(), StorageError> {
    let before =
        |life: Duration| inner.ages.before_ms(i64::try_from(life.as_millis()).unwrap_or(i64::MAX)) / 1000;
    while inner.store.forget(before(inner.options.journal_life)).await? {
        sleep(BITE).await;
    }
    inner.store.forget_checks(clock::unix_s() - FOUND_S).await?;
    while inner.store.forget_jobs(inner.ages.before_ms(KEPT_MS)).await? {
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
            break;
        }
        remove(inner, gone).await;
    }
    while inner.store.give_back().await? {
        sleep(BITE).await;
    }
    Ok(())
}

async fn remove(inner: &Inner, secrets: Vec<String>) {
    for secret in secrets {
        tokio::fs::remove_file(inner.files.path(&secret)).await.ok();
    }
    sleep(BITE).await;
}
