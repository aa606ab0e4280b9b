//! The thread behind all ends.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::net::{SocketAddr, SocketAddrV4};
use std::ops::Range;
use std::sync::mpsc::{Receiver, TryRecvError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use tgcall::srtp::rtp_header_len;
use tgcall::{Event, Received, Route};
use tgtrunk_media::rtp;

use super::checks::Checked;
use super::clip::{Clip, Heard};
use super::ends::{Keys, Order, Taken, Word, number, telegram_ip, trunk_ip};
use super::machine::{self, Machine};
use super::stamp::{PAYLOAD, Stamp};
use super::window::{Delay, LATE_NS, Plan, Window};
use super::wire::{Burst, Wire};
use crate::clock::now;

/// Packets of a stream follow each other so fast.
const PACE_NS: u64 = 20_000_000;
const PACE_TICKS: u32 = 960;
/// Whoever spins without a rest is stopped by the kernel for 50 ms of each second.
const REST: Duration = Duration::from_micros(80);
const REST_EVERY_NS: u64 = 1_000_000;
/// A look around while nobody talks.
const IDLE: Duration = Duration::from_micros(300);
/// How long packets may take that were sent at the end.
const TAIL_NS: u64 = 300_000_000;
/// Packets sent in a row before the sockets are read.
const IN_A_ROW: usize = 4;
/// Engines woken in a row before sound has its turn again.
const WOKEN_IN_A_ROW: usize = 8;

pub(super) struct Generator {
    epoch: Instant,
    trunk: Wire,
    reports: Wire,
    telegram: Wire,
    trunks: Vec<Trunk>,
    telegrams: Vec<Telegram>,
    timers: BinaryHeap<Reverse<(Instant, usize)>>,
    burst: Option<Burst>,
    packet: Vec<u8>,
    windows: u32,
    tally: Tally,
}

#[derive(Default, Clone)]
struct Stream {
    sequence: u16,
    timestamp: u32,
    number: u32,
}

/// What one packet carries: a payload and how far it moves its clock, or else a stamp.
struct Sound<'a> {
    stamp: Stamp,
    clip: Option<(&'a [u8], u32)>,
}

#[derive(Clone, Default)]
struct Trunk {
    remote: Option<(SocketAddrV4, u8)>,
    stream: Stream,
    /// The end of Telegram whose packets come here as they left.
    direct: Option<u16>,
}

#[derive(Default)]
struct Telegram {
    end: Option<End>,
    stream: Stream,
    /// When it is woken up; what else the timers hold of it is out of date.
    wakes: Option<Instant>,
}

enum End {
    Engine {
        taken: Box<Taken>,
        is_up: bool,
    },
    Keys(Box<Keys>),
    /// Its path is checked here, its keys are agreed on elsewhere.
    Checked(Box<Checked>),
    /// Nobody is between it and an end of the trunk: what it sends is opened there, and what comes is open.
    Direct(Box<Keys>),
}

impl End {
    fn keys(&mut self) -> Option<&mut Keys> {
        match self {
            Self::Keys(keys) | Self::Direct(keys) => Some(keys),
            Self::Checked(checked) => checked.keys.as_mut(),
            Self::Engine { .. } => None,
        }
    }
}

/// What came in the window that is open.
#[derive(Default)]
struct Tally {
    window: u32,
    received: u64,
    reordered: u64,
    forged: u64,
    /// Of each stream: the number of its last packet, and when it came.
    last: Vec<(u32, u64)>,
    to_telegram: Vec<u32>,
    to_trunk: Vec<u32>,
    from_sending: Vec<u32>,
    jitter: Vec<u32>,
    /// What is listened to instead, where a clip is played.
    listened: Option<Listened>,
}

/// Sound without stamps: all of it counts that comes meanwhile, and that of one call is kept.
struct Listened {
    during: Range<u64>,
    trunk: usize,
    telegram: usize,
    heard: Heard,
}

impl Generator {
    pub(super) fn new(trunk: Wire, reports: Wire, telegram: Wire) -> Self {
        Self {
            epoch: now(),
            trunk,
            reports,
            telegram,
            trunks: Vec::new(),
            telegrams: Vec::new(),
            timers: BinaryHeap::new(),
            burst: Some(Burst::new()),
            packet: Vec::with_capacity(512),
            windows: 0,
            tally: Tally::default(),
        }
    }

    pub(super) fn run(mut self, orders: &Receiver<Order>) {
        loop {
            let order = match orders.try_recv() {
                Ok(order) => Some(order),
                Err(TryRecvError::Empty) => None,
                Err(TryRecvError::Disconnected) => return,
            };
            let had_order = order.is_some();
            match order {
                Some(Order::Measure { trunk, telegram, plan, answer }) => {
                    let is_fast = machine::hasten();
                    let measured = self.measure(trunk, telegram, plan);
                    if is_fast {
                        machine::calm();
                    }
                    answer.send(measured).ok();
                }
                Some(order) => self.obey(order),
                None => {}
            }
            let did = self.receive();
            self.look_after_engines(0..self.telegrams.len());
            if !did && !had_order {
                thread::sleep(IDLE);
            }
        }
    }

    fn ns(&self) -> u64 {
        now().duration_since(self.epoch).as_nanos() as u64
    }

    fn obey(&mut self, order: Order) {
        match order {
            Order::Trunk { number, remote, payload_type } => {
                self.trunk(number).remote = Some((remote, payload_type));
            }
            Order::Taken { number, taken } => {
                *self.telegram(number) = Some(End::Engine { taken, is_up: false });
                self.drain(number.into());
            }
            Order::Keys { number, keys } => match self.telegram(number) {
                Some(End::Checked(checked)) => checked.keys = Some(*keys),
                end => *end = Some(End::Keys(keys)),
            },
            Order::Direct { trunk, telegram, keys } => {
                self.trunk(trunk).direct = Some(telegram);
                *self.telegram(telegram) = Some(End::Direct(keys));
            }
            Order::Checks { number, checked } => {
                *self.telegram(number) = Some(End::Checked(checked));
                self.wake(number.into(), now());
            }
            Order::Datagram { number, bytes } => {
                if let Some(End::Checked(checked)) = self.telegram(number) {
                    let to = checked.remote;
                    self.telegram.send(telegram_ip(number), to, &bytes);
                }
            }
            Order::Measure { .. } => {}
        }
    }

    fn trunk(&mut self, number: u16) -> &mut Trunk {
        let number = usize::from(number);
        self.trunks.resize(self.trunks.len().max(number + 1), Trunk::default());
        &mut self.trunks[number]
    }

    fn telegram(&mut self, number: u16) -> &mut Option<End> {
        let number = usize::from(number);
        if self.telegrams.len() <= number {
            self.telegrams.resize_with(number + 1, Telegram::default);
        }
        &mut self.telegrams[number].end
    }

    /// Has an end woken up, no later than it would be.
    fn wake(&mut self, number: usize, due: Instant) {
        let wakes = &mut self.telegrams[number].wakes;
        if wakes.is_none_or(|known| due < known) {
            *wakes = Some(due);
            self.timers.push(Reverse((due, number)));
        }
    }

    /// Carries signaling to engines, and wakes some of those up whose time has come.
    fn look_after_engines(&mut self, listened: Range<usize>) {
        for number in listened {
            let Some(End::Engine { taken, .. }) = &mut self.telegrams[number].end else { continue };
            let mut is_news = false;
            while let Ok(data) = taken.signaling.try_recv() {
                taken.engine.handle_signaling(now(), &data);
                is_news = true;
            }
            if is_news {
                self.drain(number);
            }
        }
        for _ in 0..WOKEN_IN_A_ROW {
            let Some(Reverse((due, number))) = self.timers.peek().copied().filter(|next| next.0.0 <= now())
            else {
                return;
            };
            self.timers.pop();
            let telegram = &mut self.telegrams[number];
            if telegram.wakes != Some(due) {
                continue;
            }
            telegram.wakes = None;
            match &mut telegram.end {
                Some(End::Checked(checked)) => {
                    self.telegram.send(telegram_ip(number as u16), checked.remote, &checked.request());
                    let next = now() + checked.pace();
                    self.wake(number, next);
                }
                Some(End::Engine { taken, .. }) => {
                    if taken.engine.poll_timeout().is_some_and(|due| due <= now()) {
                        taken.engine.handle_timeout(now());
                    }
                    self.drain(number);
                }
                Some(End::Keys(_) | End::Direct(_)) | None => {}
            }
        }
    }

    /// Does what an engine wants, and notes when it is to be woken up.
    fn drain(&mut self, number: usize) {
        let Some(End::Engine { taken, is_up }) = &mut self.telegrams[number].end else { return };
        while let Some(transmit) = taken.engine.poll_transmit() {
            if let Route::Datagram { destination: SocketAddr::V4(to), .. } = transmit.route {
                self.telegram.send(telegram_ip(number as u16), to, &transmit.contents);
            }
        }
        while let Some(data) = taken.engine.poll_signaling() {
            taken.say.send(Word::Signaling(data)).ok();
        }
        while let Some(event) = taken.engine.poll_event() {
            if let Event::Failed(failure) = event {
                taken.say.send(Word::Failed(failure.to_string())).ok();
            }
        }
        if !*is_up && taken.engine.is_connected() && taken.engine.outgoing().is_some() {
            *is_up = true;
            taken.say.send(Word::Up).ok();
        }
        if let Some(due) = taken.engine.poll_timeout() {
            self.wake(number, due);
        }
    }

    /// Reads each socket once; whether anything came. What came together came when it was read.
    fn receive(&mut self) -> bool {
        let Some(mut burst) = self.burst.take() else { return false };
        let mut did = false;
        self.telegram.receive(&mut burst).ok();
        let at_ns = self.ns();
        for (came, buffer) in burst.came.iter().zip(&mut burst.buffers) {
            did = true;
            self.at_telegram(number(came.destination), came.source, &mut buffer[..came.length], at_ns);
        }
        self.trunk.receive(&mut burst).ok();
        let at_ns = self.ns();
        for (came, buffer) in burst.came.iter().zip(&mut burst.buffers) {
            did = true;
            // Reports are not sound.
            if !(200..=207).contains(&buffer[1]) {
                self.at_trunk(number(came.destination), &mut buffer[..came.length], at_ns);
            }
        }
        self.burst = Some(burst);
        did
    }

    fn at_trunk(&mut self, number: usize, datagram: &mut [u8], at_ns: u64) {
        let Some(telegram) = self.trunks.get(number).and_then(|trunk| trunk.direct) else {
            self.tally.take(datagram, number, at_ns, false);
            return;
        };
        let end = self.telegrams.get_mut(usize::from(telegram)).and_then(|telegram| telegram.end.as_mut());
        match end.and_then(End::keys).map(|keys| keys.receiver.open_rtp(datagram)) {
            Some(Ok(packet)) => self.tally.take(packet, number, at_ns, false),
            Some(Err(_)) => self.tally.forged += 1,
            None => {}
        }
    }

    fn at_telegram(&mut self, number: usize, source: SocketAddrV4, datagram: &mut [u8], at_ns: u64) {
        match self.telegrams.get_mut(number).and_then(|telegram| telegram.end.as_mut()) {
            Some(End::Engine { taken, .. }) => {
                let local = SocketAddr::from((telegram_ip(number as u16), self.telegram.port));
                match taken.engine.handle_datagram(now(), source.into(), local, datagram) {
                    Some(Received::Rtp(packet)) => self.tally.take(packet, number, at_ns, true),
                    Some(Received::Rtcp(_)) => {}
                    None => self.drain(number),
                }
            }
            Some(End::Checked(checked)) if datagram.first().is_some_and(|byte| *byte < 128) => {
                if let Some(answer) = checked.take(source, datagram) {
                    self.telegram.send(telegram_ip(number as u16), source, &answer);
                }
            }
            Some(End::Direct(_)) => self.tally.take(datagram, number, at_ns, true),
            Some(end) if !(200..=207).contains(&datagram[1]) => {
                match end.keys().map(|keys| keys.receiver.open_rtp(datagram)) {
                    Some(Ok(packet)) => self.tally.take(packet, number, at_ns, true),
                    Some(Err(_)) => self.tally.forged += 1,
                    None => {}
                }
            }
            Some(_) | None => {}
        }
    }

    /// Sends the next packet of a stream: those of the trunk come first; whether that was possible.
    fn send(
        &mut self,
        trunk: u16,
        telegram: u16,
        is_to_telegram: bool,
        stamp: Stamp,
        clip: Option<&Clip>,
    ) -> bool {
        let packet = &mut self.packet;
        packet.clear();
        let sound = Sound { stamp, clip: clip.and_then(|clip| clip.packet(is_to_telegram, stamp.number)) };
        if is_to_telegram {
            let end = &mut self.trunks[usize::from(trunk)];
            let Some((remote, payload_type)) = end.remote else { return false };
            end.stream.write(packet, payload_type, 0x1000_0000 + u32::from(trunk), &sound);
            return self.trunk.send(trunk_ip(trunk), remote, packet);
        }
        let end = &mut self.telegrams[usize::from(telegram)];
        let ip = telegram_ip(telegram);
        match &mut end.end {
            Some(End::Engine { taken, .. }) => {
                let Some(format) = taken.engine.outgoing() else { return false };
                end.stream.write(packet, format.payload_type, format.ssrc, &sound);
                match taken.engine.protect(now(), packet) {
                    Some(Route::Datagram { destination: SocketAddr::V4(to), .. }) => {
                        self.telegram.send(ip, to, packet)
                    }
                    _ => false,
                }
            }
            Some(other) => {
                let Some(keys) = other.keys() else { return false };
                let (payload_type, ssrc) =
                    keys.format.map_or((96, 0x2000_0000 + u32::from(telegram)), |format| {
                        (format.payload_type, format.ssrc)
                    });
                end.stream.write(packet, payload_type, ssrc, &sound);
                keys.sender.protect_rtp(packet).is_ok() && self.telegram.send(ip, keys.remote, packet)
            }
            None => false,
        }
    }

    fn forged(&self, telegram: &Range<u16>) -> u64 {
        let ends = &self.telegrams[usize::from(telegram.start)..usize::from(telegram.end)];
        let counted = ends.iter().map(|telegram| match &telegram.end {
            Some(End::Engine { taken, .. }) => taken.engine.counters().forged,
            Some(End::Keys(_) | End::Checked(_) | End::Direct(_)) | None => 0,
        });
        counted.sum()
    }

    fn measure(&mut self, trunk: Range<u16>, telegram: Range<u16>, plan: Plan) -> anyhow::Result<Window> {
        ensure!(
            trunk.len() == telegram.len() && !trunk.is_empty(),
            "ends {trunk:?} and {telegram:?} are no calls"
        );
        let connected =
            self.trunks.get(usize::from(trunk.start)..usize::from(trunk.end)).context("trunks connected")?;
        ensure!(connected.iter().all(|end| end.remote.is_some()), "every end of the trunk is connected");
        ensure!(usize::from(telegram.end) <= self.telegrams.len(), "every end of Telegram is there");
        let streams = 2 * trunk.len() as u64;
        let warm_up = plan.warm_up.as_nanos() as u64;
        let length = plan.length.as_nanos() as u64;
        let expected = (streams * length / PACE_NS) as usize;
        self.windows += 1;
        self.tally = Tally::expecting(self.windows, streams as usize, expected);
        let forged = self.forged(&telegram);
        let relay = plan.process();
        let processes: Vec<u32> = relay.into_iter().chain([std::process::id()]).collect();
        let dropped = machine::dropped(&processes)?;
        let start = self.ns() + REST_EVERY_NS;
        let (from, until) = (start + warm_up, start + warm_up + length);
        let clip = plan.clip.as_deref();
        self.tally.listened = clip.map(|_| Listened {
            during: from..until,
            trunk: trunk.start.into(),
            telegram: telegram.start.into(),
            heard: Heard::default(),
        });
        let mut window =
            Window { calls: trunk.len(), seconds: plan.length.as_secs_f64(), ..Window::default() };
        let (mut before, mut after) = (None, None);
        let (mut slot, mut busy_ns) = (0_u64, 0_u64);
        let (mut rest_at, mut listened) = (start, 0_usize);
        loop {
            let at = self.ns();
            if before.is_none() && at >= from {
                before = Some(Machine::read(relay)?);
            }
            if after.is_none() && at >= until {
                after = Some(Machine::read(relay)?);
            }
            if at >= until + TAIL_NS {
                break;
            }
            let mut did = false;
            for _ in 0..IN_A_ROW {
                let scheduled_ns = start + slot * PACE_NS / streams;
                let sent_ns = self.ns();
                if scheduled_ns > sent_ns || scheduled_ns >= until {
                    break;
                }
                did = true;
                let stream = slot % streams;
                let call = (stream / 2) as u16;
                let counts = scheduled_ns >= from;
                let number = if counts { self.windows } else { 0 };
                // A stream's packets are numbered by the stream, those of a clip from its beginning.
                let place = (slot / streams) as u32;
                let stamp =
                    Stamp { scheduled_ns, sent_ns, window: number, stream: stream as u32, number: place };
                let is_sent = self.send(
                    trunk.start + call,
                    telegram.start + call,
                    stream.is_multiple_of(2),
                    stamp,
                    clip,
                );
                if counts {
                    window.sent += 1;
                    window.unsent += u64::from(!is_sent);
                    window.late += u64::from(sent_ns - scheduled_ns > LATE_NS);
                }
                slot += 1;
            }
            did |= self.receive();
            let done = self.ns();
            if did && (from..until).contains(&at) {
                busy_ns += done - at;
            }
            if done >= rest_at {
                rest_at = done + REST_EVERY_NS;
                let all = self.telegrams.len();
                let next = (listened + 16).min(all);
                self.look_after_engines(listened..next);
                listened = if next == all { 0 } else { next };
                if let Some(burst) = &mut self.burst {
                    self.reports.receive(burst).ok();
                }
                thread::sleep(REST);
            } else if plan.sleeps && !did {
                thread::sleep(REST);
            }
        }
        let (before, after) = before.zip(after).context("a window of no length")?;
        let tally = std::mem::take(&mut self.tally);
        window.heard = tally.listened.map(|listened| listened.heard);
        window.received = tally.received;
        window.reordered = tally.reordered;
        window.forged = tally.forged + self.forged(&telegram) - forged;
        window.generator_busy = busy_ns as f64 / length as f64;
        window.receive_buffer_errors = machine::dropped(&processes)?.saturating_sub(dropped);
        window.stolen =
            (after.stolen.0 - before.stolen.0) as f64 / (after.stolen.1 - before.stolen.1).max(1) as f64;
        window.count_usage(after.usage.since(&before.usage));
        window.count_delays(tally.to_telegram, tally.to_trunk);
        window.from_sending = Delay::of(tally.from_sending);
        window.jitter_p99_us = Delay::of(tally.jitter).p99;
        window.resident_kb = relay.map_or(Ok(0), machine::resident_kb)?;
        Ok(window)
    }
}

impl Stream {
    fn write(&mut self, packet: &mut Vec<u8>, payload_type: u8, ssrc: u32, sound: &Sound<'_>) {
        let mut stamped = Vec::with_capacity(PAYLOAD);
        let (payload, ticks) = sound.clip.unwrap_or_else(|| {
            Stamp { number: self.number, ..sound.stamp }.write(&mut stamped);
            (&stamped, PACE_TICKS)
        });
        let Self { sequence, timestamp, .. } = *self;
        let marker = self.number == 0;
        rtp::Packet { marker, payload_type, sequence, timestamp, ssrc, payload }.write(packet);
        self.number += 1;
        self.sequence = sequence.wrapping_add(1);
        self.timestamp = timestamp.wrapping_add(ticks);
    }
}

impl Tally {
    fn expecting(window: u32, streams: usize, packets: usize) -> Self {
        Self {
            window,
            last: vec![(0, 0); streams],
            to_telegram: Vec::with_capacity(packets / 2 + streams),
            to_trunk: Vec::with_capacity(packets / 2 + streams),
            from_sending: Vec::with_capacity(packets + streams),
            jitter: Vec::with_capacity(packets + streams),
            ..Self::default()
        }
    }

    /// Takes a packet that came to the end of a call.
    fn take(&mut self, packet: &[u8], end: usize, at_ns: u64, is_to_telegram: bool) {
        let Some(listened) = &mut self.listened else {
            if let Some(stamp) = stamp_of(packet) {
                self.count(stamp, at_ns, is_to_telegram);
            }
            return;
        };
        self.received += u64::from(listened.during.contains(&at_ns));
        if end == if is_to_telegram { listened.telegram } else { listened.trunk }
            && let Ok(packet) = rtp::Packet::read(packet)
        {
            listened.heard.add(packet.sequence, packet.payload, is_to_telegram);
        }
    }

    fn count(&mut self, stamp: Stamp, at_ns: u64, is_to_telegram: bool) {
        if stamp.window != self.window || self.window == 0 {
            return;
        }
        self.received += 1;
        let short = |ns: u64| u32::try_from(ns).unwrap_or(u32::MAX);
        let way = if is_to_telegram { &mut self.to_telegram } else { &mut self.to_trunk };
        way.push(short(at_ns.saturating_sub(stamp.scheduled_ns)));
        self.from_sending.push(short(at_ns.saturating_sub(stamp.sent_ns)));
        let Some((number, came_ns)) = self.last.get_mut(stamp.stream as usize) else { return };
        if *came_ns > 0 {
            if stamp.number < *number {
                self.reordered += 1;
            } else {
                self.jitter.push(short((at_ns - *came_ns).abs_diff(PACE_NS)));
            }
        }
        (*number, *came_ns) = (stamp.number, at_ns);
    }
}

fn stamp_of(packet: &[u8]) -> Option<Stamp> {
    Stamp::read(packet.get(rtp_header_len(packet).ok()?..)?)
}
