//! A line's status file, kept by a task of its own, so that no call waits for the disk.

use std::time::Duration;

use tgtrunk_config::{GatewayStatus, StateDir};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until, timeout_at};

/// Changes within this time share a write.
const REST: Duration = Duration::from_millis(250);
/// How often the file is renewed though nothing changed, so that readers believe it.
const HEARTBEAT: Duration = Duration::from_secs(5);

/// Writes the status whenever it changed, and anyway now and then. Ends with the last sender, whose last word it
/// writes.
pub(crate) async fn keep(state: StateDir, mut status: watch::Receiver<GatewayStatus>) {
    let mut well = true;
    loop {
        let shown = status.borrow_and_update().clone();
        well = write(&state, shown, well).await;
        let rest = deadline(REST);
        let mut changed = false;
        while let Ok(news) = timeout_at(rest, status.changed()).await {
            if news.is_err() {
                let last = status.borrow_and_update().clone();
                write(&state, last, well).await;
                return;
            }
            changed = true;
        }
        if !changed {
            tokio::select! {
                // An end is met again above, after the write.
                _ = status.changed() => {}
                () = sleep(HEARTBEAT - REST) => {}
            }
        }
    }
}
