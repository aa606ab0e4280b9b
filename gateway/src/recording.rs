//! Recordings: what both sides of a call say, each in a file of its own, as the Opus packets that Telegram's side has
//! anyway. One thread writes for all calls, and no call waits for it.

mod files;
mod orders;
mod space;
mod tap;
mod writer;

use std::path::PathBuf;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Instant;

use tgtrunk_config::control::Recording;
use tgtrunk_config::{CallId, Line, StateDir};
use tgtrunk_shell::Health;

use crate::clock;
pub(crate) use files::{Place, forget_before, path_of};
pub(crate) use orders::Standing;
use orders::{Order, Orders, Stage};
use tap::Pool;
pub(crate) use tap::Tap;
use writer::Writer;

/// Where all recordings of a gateway go. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct Recorder {
    orders: Orders,
    pool: Pool,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    /// Places on disks that are as good as full: nothing is recorded there.
    full: Mutex<Vec<Place>>,
    /// Pieces of sound that were given up, for the thread was too slow.
    lost: AtomicU64,
}

/// Where a line's recordings go. Several lines may name the same directory: each has a folder of its own there, in which
/// it alone deletes.
pub(crate) fn place(state: &StateDir, line: &Line) -> Place {
    let beside = || state.phone_dir(&line.phone).join("recordings");
    let own = |directory: &PathBuf| directory.join(line.phone.as_str());
    Place(line.recording.directory.as_ref().map_or_else(beside, own))
}

impl Recorder {
    /// Starts the thread, which ends when the last recorder and tap are gone.
    ///
    /// # Errors
    /// When the system has no thread for it.
    pub(crate) fn start(health: Health) -> std::io::Result<Self> {
        let (orders, given) = Orders::channel();
        let (pool, shared) = (Pool::default(), Arc::<Shared>::default());
        let writer = Writer::new(pool.clone(), Arc::clone(&shared), health);
        thread::Builder::new().name("recordings".to_owned()).spawn(move || writer.run(&given))?;
        Ok(Self { orders, pool, shared })
    }

    /// Begins to record a call; none where its disk is full or the thread has too much to do. Whether its files could be
    /// made is known a moment later, from [`Tap::standing`].
    pub(crate) fn begin(&self, place: &Place, call: CallId, now: Instant) -> Option<(Tap, Recording)> {
        if self.shared.full().contains(place) {
            tracing::warn!("the call is not recorded: the disk is full");
            return None;
        }
        let (recording, stage) = (files::name(call, clock::unix_ms()), Stage::default());
        let order = Order::Begin {
            call: call.0,
            place: place.clone(),
            recording: recording.clone(),
            stage: stage.clone(),
        };
        if !self.orders.offer(order) {
            tracing::warn!("the call is not recorded: there is too much to write");
            return None;
        }
        let way = (self.orders.clone(), self.pool.clone(), Arc::clone(&self.shared));
        Some((Tap::new(call.0, now, way, stage), recording))
    }
}

impl Shared {
    fn full(&self) -> MutexGuard<'_, Vec<Place>> {
        self.full.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::path::Path;
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_recording_whose_files_cannot_be_made_is_over_and_another_one_is_open() {
        let room = tempfile::tempdir().unwrap();
        let file = room.path().join("file");
        std::fs::write(&file, b"").unwrap();
        let recorder = Recorder::start(Health::default()).unwrap();
        for (folder, standing) in
            [(file.join("recordings"), Standing::Over), (room.path().join("recordings"), Standing::Open)]
        {
            let (tap, _) = recorder.begin(&Place(folder), CallId(1), clock::now()).unwrap();
            for _ in 0..200 {
                if tap.standing() != Standing::Opening {
                    break;
                }
                thread::sleep(Duration::from_millis(10));
            }
            assert_eq!(tap.standing(), standing);
        }
    }

    #[test]
    fn lines_that_share_a_directory_each_delete_in_a_folder_of_their_own() {
        let room = tempfile::tempdir().unwrap();
        let state = StateDir::open(room.path()).unwrap();
        let text = |phone: &str, more: &str| {
            let text = format!("phone = \"{phone}\"\nsip_port = 30001\npbx = \"127.0.0.1\"\n{more}");
            Line::parse(&text, Path::new("l"), phone, &BTreeMap::new()).unwrap()
        };
        let shared = format!("[recording]\ndirectory = \"{}\"\n", room.path().join("all").display());
        let phones = ["+79060000000", "+79060000001"];
        let [one, other] = phones.map(|phone| place(&state, &text(phone, &shared)));
        assert_eq!(one, Place(room.path().join("all/+79060000000")));
        let names = files::name(CallId(1), 1_800_000_000_000);
        for place in [&one, &other] {
            drop(place.create(&names.telegram).unwrap());
        }
        thread::sleep(Duration::from_millis(20));
        assert_eq!(forget_before(&one, Duration::ZERO).unwrap(), 1);
        assert!(path_of(&other, &names.telegram).unwrap().exists());
        assert_eq!(place(&state, &text(phones[0], "")), Place(room.path().join("+79060000000/recordings")));
    }
}
