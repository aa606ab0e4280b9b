//! A line's status file, kept by a task of its own, so that nothing waits for the disk.

use std::time::Duration;

use tgtrunk_config::{ClientStatus, StateDir};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use crate::clock;

/// Changes within this time share a write.
const REST: Duration = Duration::from_millis(250);
/// How often the file is renewed though nothing changed: a reader believes no old file.
const HEARTBEAT: Duration = Duration::from_secs(5);

/// Writes the status when it changed, and anyway now and then. Ends with the last sender, whose last word it writes.
pub(crate) async fn keep(state: StateDir, mut status: watch::Receiver<ClientStatus>) {
    let (mut well, mut last) = (true, false);
    loop {
        let shown = ClientStatus { written_ms: clock::unix_ms(), ..status.borrow_and_update().clone() };
        well = write(&state, shown, well).await;
        if last {
            return;
        }
        sleep(REST).await;
        last = matches!(timeout(HEARTBEAT, status.changed()).await, Ok(Err(_)));
    }
}

/// Writes a status once. A failure is told unless the write before it failed too.
async fn write(state: &StateDir, status: ClientStatus, was_well: bool) -> bool {
    let state = state.clone();
    let error = match tokio::task::spawn_blocking(move || status.write(&state)).await {
        Ok(Ok(())) => return true,
        Ok(Err(error)) => error.to_string(),
        Err(error) => error.to_string(),
    };
    if was_well {
        tracing::warn!(error, "status not written");
    }
    false
}
