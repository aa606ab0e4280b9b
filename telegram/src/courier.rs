//! Hands notices to the program, in order, however slowly it takes them: what waits, waits here and nowhere else.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::SystemTime;

use tokio::sync::mpsc;
use tracing::warn;

use crate::core::Core;
use crate::flag::raised;
use crate::notice::{CallNews, Notice, Parcel};
use crate::seen::Seen;
use crate::status::{Red, Status};

/// So many notices waiting mean that the program does not read them.
const SLOW: usize = 10_000;

/// Runs until the account stops.
pub(crate) async fn run(core: Arc<Core>, mut parcels: mpsc::Receiver<Parcel>, notices: mpsc::Sender<Notice>) {
    let mut stop = core.stop.subscribe();
    let mut status = core.health.watch();
    let mut lamp = Lamp::of(&status.borrow_and_update());
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
                let now = status.borrow_and_update().clone();
                waiting.extend(lamp.change(&now));
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
                        let met = core.peers.meet(&users);
                        if !met.is_empty() {
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

/// Turns changes of the lamp into notices.
#[derive(Debug, Default)]
struct Lamp {
    green_since: Option<SystemTime>,
    red: Option<Red>,
}

impl Lamp {
    fn of(status: &Status) -> Self {
        match status {
            Status::Green { since, .. } => Self { green_since: Some(*since), red: None },
            Status::Red { reason } => Self { green_since: None, red: Some(reason.clone()) },
            Status::Orange { .. } => Self::default(),
        }
    }

    fn change(&mut self, status: &Status) -> Vec<Notice> {
        let now = Self::of(status);
        let before = std::mem::replace(self, now);
        let mut notices = Vec::new();
        // Another `since` tells of an interruption that was too short to be seen.
        if self.green_since != before.green_since {
            notices.extend(before.green_since.map(|_| Notice::Disconnected));
            notices.extend(self.green_since.map(|_| Notice::Connected));
        }
        // A login that is begun changes the reason, which is no news.
        if before.red.is_none() {
            notices.extend(self.red.clone().map(|reason| Notice::Revoked { reason }));
        }
        notices
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;
    use crate::status::Orange;

    #[test]
    fn each_interruption_is_told_also_one_too_short_to_be_seen() {
        let mut lamp = Lamp::default();
        assert_eq!(lamp.change(&Status::Orange { reason: Orange::Starting }), []);
        assert_eq!(lamp.change(&green(1)), [Notice::Connected]);
        assert_eq!(lamp.change(&green(1)), []);
        assert_eq!(lamp.change(&green(2)), [Notice::Disconnected, Notice::Connected]);
        assert_eq!(lamp.change(&Status::Orange { reason: Orange::NoAnswer }), [Notice::Disconnected]);
        assert_eq!(lamp.change(&Status::Orange { reason: Orange::Crowded }), []);
    }

    #[test]
    fn the_end_of_the_session_is_told_once_after_the_disconnection() {
        let mut lamp = Lamp::default();
        lamp.change(&green(1));
        let red = Status::Red { reason: Red::KeyUnknown };
        assert_eq!(lamp.change(&red), [Notice::Disconnected, Notice::Revoked { reason: Red::KeyUnknown }]);
        assert_eq!(lamp.change(&red), []);
    }

    fn green(since_s: u64) -> Status {
        let since = UNIX_EPOCH + Duration::from_secs(since_s);
        Status::Green { since, last: since }
    }
}
