//! A status file, kept by a task of its own, so that neither call nor press waits for the disk.

use std::pin::pin;
use std::time::Duration;

use tgtrunk_config::{StateDir, StateError};
use tokio::sync::watch;
use tokio::time::sleep;

use crate::caught::again;

/// Changes within this time share a write.
const REST: Duration = Duration::from_millis(250);
/// How often the file is renewed though nothing changed: a reader believes no file that is older than 30 seconds. To put
/// a file in another's place is what an idle line costs most.
const HEARTBEAT: Duration = Duration::from_secs(10);

/// Writes the status when it changed, and anyway now and then. Ends with the last sender, whose last word it writes.
pub async fn keep<S: Clone + Send + Sync + 'static>(
    state: StateDir,
    status: watch::Receiver<S>,
    put: fn(&S, &StateDir) -> Result<(), StateError>,
) {
    again("status file", || follow(&state, status.clone(), put)).await;
}

async fn follow<S: Clone + Send + Sync + 'static>(
    state: &StateDir,
    mut status: watch::Receiver<S>,
    put: fn(&S, &StateDir) -> Result<(), StateError>,
) {
    let mut well = true;
    let mut last = false;
    loop {
        let shown = status.borrow_and_update().clone();
        well = write(state, shown, put, well).await;
        if last {
            return;
        }
        last = pause(&mut status).await;
    }
}

/// Writes a status once, by `put`; true if that went well. A failure is told unless the write before it failed too.
pub async fn write<S: Send + 'static>(
    state: &StateDir,
    status: S,
    put: fn(&S, &StateDir) -> Result<(), StateError>,
    was_well: bool,
) -> bool {
    let state = state.clone();
    let error = match tokio::task::spawn_blocking(move || put(&status, &state)).await {
        Ok(Ok(())) => return true,
        Ok(Err(error)) => error.to_string(),
        Err(error) => error.to_string(),
    };
    if was_well {
        tracing::warn!(error, "status not written");
    }
    false
}

/// Waits until a write is due; true when it is the last one.
async fn pause<S>(status: &mut watch::Receiver<S>) -> bool {
    let (mut rest, mut heartbeat) = (pin!(sleep(REST)), pin!(sleep(HEARTBEAT)));
    let (mut rested, mut changed) = (false, false);
    while !(rested && changed) {
        tokio::select! {
            news = status.changed() => match news {
                Ok(()) => changed = true,
                Err(_) => return true,
            },
            () = &mut rest, if !rested => rested = true,
            () = &mut heartbeat => break,
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt as _;

    use tgtrunk_config::{GatewayStatus, Lamp};

    use super::*;

    #[tokio::test]
    async fn many_changes_share_few_writes_and_the_last_word_is_on_the_disk_when_the_line_ends() {
        let room = tempfile::tempdir().unwrap();
        let state = StateDir::open(room.path()).unwrap();
        let phone: tgtrunk_config::Phone = "+79060000000".parse().unwrap();
        state.make_phone_dir(&phone).unwrap();
        let (shown, status) = watch::channel(GatewayStatus::waiting(phone.clone(), std::process::id(), 1));
        let keeper = tokio::spawn(keep(state.clone(), status, GatewayStatus::write));

        // Each write is a new file, so that inodes count the writes that were seen.
        let mut inodes = Vec::new();
        for calls in 1..=60 {
            shown.send_modify(|status| status.calls = calls);
            sleep(Duration::from_millis(10)).await;
            inodes.extend(std::fs::metadata(state.gateway_status(&phone)).map(|file| file.ino()));
        }
        inodes.dedup();
        assert!((2..=4).contains(&inodes.len()), "{} writes in 0.6 s", inodes.len());

        shown.send_modify(|status| assert!(status.telegram.turn(Lamp::Red, "over", 2)));
        drop(shown);
        keeper.await.unwrap();
        let text = std::fs::read_to_string(state.gateway_status(&phone)).unwrap();
        assert!(text.contains("\"calls\": 60") && text.contains("over"), "{text}");
    }
}
