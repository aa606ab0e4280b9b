//! The thread that writes recordings.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Write as _};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::RecvTimeoutError;
use std::time::{Duration, Instant};

use tgtrunk_config::control::Recording;
use tgtrunk_config::{CallId, Trouble};
use tgtrunk_media::Side;
use tgtrunk_media::ogg::{Track, Writer as Stream};
use tgtrunk_shell::Health;

use super::Shared;
use super::files::Place;
use super::orders::{Given, Order, Stage};
use super::space::has_room;
use super::tap::{Pool, pieces};
use crate::clock;

/// While anything is recorded, or a disk is full, what is in memory is written at least this often, and room is looked for.
const FLUSH: Duration = Duration::from_secs(1);

/// Writes the recordings of all calls.
pub(super) struct Writer {
    calls: BTreeMap<u64, Files>,
    pool: Pool,
    shared: Arc<Shared>,
    health: Health,
    pages: Vec<u8>,
}

struct Files {
    place: Place,
    stage: Stage,
    began: Instant,
    telegram: OneSide,
    pbx: OneSide,
}

struct OneSide {
    file: File,
    track: Track,
}

impl Writer {
    pub(super) fn new(pool: Pool, shared: Arc<Shared>, health: Health) -> Self {
        Self { calls: BTreeMap::new(), pool, shared, health, pages: Vec::new() }
    }

    /// Works until nobody can give an order any more.
    pub(super) fn run(mut self, orders: &Given) {
        let mut flush = None::<Instant>;
        loop {
            match orders.next(flush.map(|at| at.saturating_duration_since(clock::now()))) {
                Ok(order) => self.obey(order),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            let now = clock::now();
            if flush.take_if(|at| *at <= now).is_some() {
                self.flush();
            }
            if flush.is_none() && !self.is_idle() {
                flush = Some(now + FLUSH);
            }
        }
    }

    fn is_idle(&self) -> bool {
        self.calls.is_empty() && self.shared.full().is_empty()
    }

    fn obey(&mut self, order: Order) {
        match order {
            Order::Begin { call, place, recording, stage } => {
                match Files::begin(call, &place, &recording, &stage) {
                    Ok(files) => drop(self.calls.insert(call, files)),
                    Err(error) => self.failed(call, &place, &stage, &error),
                }
            }
            Order::Sound { call, buffer } => {
                self.write(call, |files, pages| files.put(&buffer, pages));
                self.pool.give_back(buffer);
            }
            Order::End { call, lasted } => {
                self.write(call, |files, pages| files.end(lasted, pages));
                if self.calls.remove(&call).is_some() {
                    tracing::debug!(call = %CallId(call), "recording ended");
                }
            }
        }
    }

    fn flush(&mut self) {
        let lost = self.shared.lost.swap(0, Ordering::Relaxed);
        if lost > 0 {
            tracing::warn!(lost, "sound is missing in recordings: the disk is too slow");
        }
        for call in self.calls.keys().copied().collect::<Vec<_>>() {
            self.write(call, Files::flush);
        }
        self.look_for_room();
    }

    /// Writes one call's sound; a file that cannot be written ends its recording, and nothing else.
    fn write(&mut self, call: u64, work: impl FnOnce(&mut Files, &mut Vec<u8>) -> io::Result<()>) {
        let Some(files) = self.calls.get_mut(&call) else { return };
        if let Err(error) = work(files, &mut self.pages)
            && let Some(Files { place, stage, .. }) = self.calls.remove(&call)
        {
            self.failed(call, &place, &stage, &error);
        }
    }

    fn failed(&mut self, call: u64, place: &Place, stage: &Stage, error: &io::Error) {
        tracing::error!(call = %CallId(call), %error, "the call is not recorded any more: it goes on");
        stage.over();
        if has_room(place.existing()) {
            self.health.note("recordings", Trouble::of_file(error, &place.0));
        } else {
            // Said with the next look, until there is room again.
            self.shared.full().push(place.clone());
        }
    }

    /// Ends the recordings on disks that are nearly full, and says so until they are not.
    fn look_for_room(&mut self) {
        let known = self.shared.full().clone();
        let places = self.calls.values().map(|files| &files.place).chain(&known);
        let places: BTreeSet<Place> = places.cloned().collect();
        let looked_at = !places.is_empty();
        let full: Vec<Place> = places.into_iter().filter(|place| !has_room(place.existing())).collect();
        let on_full = self.calls.iter().filter(|(_, files)| full.contains(&files.place));
        for call in on_full.map(|(call, _)| *call).collect::<Vec<_>>() {
            self.write(call, |files, pages| files.end(Duration::ZERO, pages));
            if let Some(files) = self.calls.remove(&call) {
                tracing::error!(call = %CallId(call), "the call is not recorded any more: it goes on");
                files.stage.over();
            }
        }
        if looked_at {
            let path = full.first().map(|place| place.0.clone());
            self.health.note("recordings", path.map(|path| Trouble::NoRoomToRecord { path }));
        }
        *self.shared.full() = full;
    }
}

impl Files {
    fn begin(call: u64, place: &Place, recording: &Recording, stage: &Stage) -> io::Result<Self> {
        if !has_room(place.existing()) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let title = CallId(call).to_string();
        let side = |name: &str, number: u32, who: &str| {
            let mut file = place.create(name)?;
            let mut pages = Vec::new();
            let serial = (call as u32).wrapping_mul(2).wrapping_add(number);
            let stream = Stream::begin(serial, &[("TITLE", &title), ("ARTIST", who)], &mut pages);
            file.write_all(&pages)?;
            Ok::<_, io::Error>(OneSide { file, track: Track::new(stream) })
        };
        let telegram = side(&recording.telegram, 0, "Telegram")?;
        let pbx = side(&recording.pbx, 1, "PBX")?;
        stage.open();
        Ok(Self { began: clock::now(), telegram, pbx, place: place.clone(), stage: stage.clone() })
    }

    fn put(&mut self, buffer: &[u8], pages: &mut Vec<u8>) -> io::Result<()> {
        for piece in pieces(buffer) {
            let side = match piece.side {
                Side::Telegram => &mut self.telegram,
                Side::Trunk => &mut self.pbx,
            };
            pages.clear();
            side.track.put(piece.came, piece.ssrc, piece.timestamp, piece.payload, pages);
            side.file.write_all(pages)?;
        }
        Ok(())
    }

    fn flush(&mut self, pages: &mut Vec<u8>) -> io::Result<()> {
        let now = clock::now().saturating_duration_since(self.began);
        for side in [&mut self.telegram, &mut self.pbx] {
            pages.clear();
            side.track.flush(now, pages);
            side.file.write_all(pages)?;
        }
        Ok(())
    }

    fn end(&mut self, lasted: Duration, pages: &mut Vec<u8>) -> io::Result<()> {
        for side in [&mut self.telegram, &mut self.pbx] {
            pages.clear();
            side.track.end(lasted, pages);
            side.file.write_all(pages)?;
            side.file.sync_all()?;
        }
        Ok(())
    }
}
