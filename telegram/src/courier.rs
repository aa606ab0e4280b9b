//! Hands notices to the program, in order, however slowly it takes them: what waits, waits here and nowhere else.

use std::collections::VecDeque;
use std::sync::Arc;

use grammers_tl_types as tl;
use tokio::sync::mpsc;
use tracing::warn;

use crate::core::Core;
use crate::flag::raised;
use crate::notice::{CallNews, Notice, Parcel};
use crate::seen::Seen;

/// So many notices waiting mean that the program does not read them.
const SLOW: usize = 10_000;

/// Runs until the account stops.
pub(crate) async fn run(core: Arc<Core>, mut parcels: mpsc::Receiver<Parcel>, notices: mpsc::Sender<Notice>) {
    let mut stop = core.stop.subscribe();
    let mut status = core.health.watch();
    status.mark_changed();
    let mut seen = Seen::default();
    let mut waiting = VecDeque::new();
    loop {
        tokio::select! {
            biased;
            () = raised(&mut stop) => break,
            changed = status.changed() => {
                if changed.is_err() {
                    break;
                }
                waiting.extend(core.health.take_news());
            }
            place = notices.reserve(), if !waiting.is_empty() => match (place, waiting.pop_front()) {
                (Ok(place), Some(notice)) => place.send(notice),
                // Nobody listens; the account goes on for those who ask it.
                (Err(_), _) | (_, None) => waiting.clear(),
            },
            parcel = parcels.recv() => {
                let Some(parcel) = parcel else { break };
                if !seen.is_news(&parcel) {
                    continue;
                }
                let notice = match parcel.news {
                    CallNews::Signaling { call_id, data } => Notice::Signaling { call_id, data },
                    CallNews::Call { call, users } => {
                        core.peers.acquaintances.note(caller(&call));
                        let met = core.peers.meet(&users);
                        if !met.is_empty() || caller(&call).is_some() {
                            // Not the core: it holds the lock of the file, and is to go when the account does.
                            let peers = Arc::clone(&core.peers);
                            tokio::spawn(async move {
                                if let Err(error) = peers.write(&met).await {
                                    warn!(%error, "could not remember people");
                                }
                            });
                        }
                        Notice::PhoneCall { call, users }
                    }
                };
                waiting.push_back(notice);
                if waiting.len() % SLOW == 0 {
                    warn!(waiting = waiting.len(), "the program does not read its notices");
                }
            }
        }
    }
}

/// Who calls the account.
fn caller(call: &tl::enums::PhoneCall) -> Option<i64> {
    match call {
        tl::enums::PhoneCall::Requested(requested) => Some(requested.admin_id),
        _ => None,
    }
}
