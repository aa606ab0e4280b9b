//! Packets on their way through the gateway, or through the floor, from memory to memory: for `callgrind`, which counts the
//! instructions of [`carry_in_memory`] alone.
//!
//! Its arguments are `path` or `floor` and the number of packets each way. `path` is what the gateway does with a packet between
//! its sockets, in AES-256-GCM: `tgcall` and the relay of `tgtrunk-media`.

#![allow(clippy::disallowed_methods, reason = "a program reads the clock")]

use std::env;
use std::net::{SocketAddr, SocketAddrV4};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use tgcall::{Certificate, Parameters, Route, SharedKey, Version};
use tgtrunk_floor::relay::{Call, Relay};
use tgtrunk_floor::srtp::{Context, Profile};
use tgtrunk_media::codec::OPUS;
use tgtrunk_media::rtp::Packet;
use tgtrunk_media::{Audio, Batch, Side};

const ROOM: usize = 256;
/// 32 kbit/s, as the load generator sends.
const PAYLOAD: usize = 80;
const TOC: u8 = 0x48;
const TICKS: u32 = 960;
const PAYLOAD_TYPE: u8 = 111;
/// Packets of a second.
const SECOND: u32 = 50;
const PACE: Duration = Duration::from_millis(20);

/// A packet in the first bytes of its room.
type Room = ([u8; ROOM], usize);

/// Either of the two that are compared.
trait Carrier {
    /// Carries one packet each way; how many went on.
    fn carry(&mut self, number: u32, from_trunk: &mut Room, from_telegram: &mut Room) -> usize;

    /// Does before a packet what is due between packets.
    fn rest(&mut self, number: u32, peer: &mut Peer);
}

fn main() -> anyhow::Result<()> {
    let mut arguments = env::args().skip(1);
    let name = arguments.next().context("want `path` or `floor`")?;
    let packets: u32 = arguments.next().context("want a number of packets")?.parse()?;
    let passed = match name.as_str() {
        "path" => {
            let (path, peer) = Path::new()?;
            carry(path, peer, packets)?
        }
        "floor" => {
            let (floor, peer) = floor()?;
            carry(floor, peer, packets)?
        }
        _ => bail!("no {name}: want `path` or `floor`"),
    };
    ensure!(passed == 2 * packets as usize, "{passed} packets of {} went on", 2 * packets);
    Ok(())
}

/// Carries packets by the second, and keeps the path alive in between; how many went on.
fn carry(mut carrier: impl Carrier, mut peer: Peer, packets: u32) -> anyhow::Result<usize> {
    // What is made once is made before.
    let (mut trunk, mut telegram) = peer.packets(0, SECOND)?;
    for (number, (from_trunk, from_telegram)) in (0..).zip(trunk.iter_mut().zip(&mut telegram)) {
        carrier.carry(number, from_trunk, from_telegram);
    }
    let (mut passed, mut first) = (0, SECOND);
    while first < SECOND + packets {
        carrier.rest(first, &mut peer);
        let count = SECOND.min(SECOND + packets - first);
        let (mut trunk, mut telegram) = peer.packets(first, count)?;
        passed += carry_in_memory(&mut carrier, first, &mut trunk, &mut telegram);
        first += count;
    }
    Ok(passed)
}

/// What is counted.
#[inline(never)]
fn carry_in_memory(
    carrier: &mut impl Carrier,
    first: u32,
    trunk: &mut [Room],
    telegram: &mut [Room],
) -> usize {
    let mut passed = 0;
    for (number, (from_trunk, from_telegram)) in (first..).zip(trunk.iter_mut().zip(telegram)) {
        passed += carrier.carry(number, from_trunk, from_telegram);
    }
    passed
}

/// The gateway between its sockets.
struct Path {
    relay: tgtrunk_media::Relay,
    call: tgcall::Call,
    batch: Batch,
    began: Instant,
    ours: SocketAddr,
    theirs: SocketAddr,
}

/// Who protects packets from Telegram, and makes those of the trunk.
enum Peer {
    Call(Box<tgcall::Call>),
    Floor(Box<Context>),
}

impl Path {
    fn new() -> anyhow::Result<(Self, Peer)> {
        let began = Instant::now();
        let [ours, theirs] = [4000, 5000].map(|port| SocketAddr::from(([10, 0, 0, 1], port)));
        let mut calls = [call(began, false, ours)?, call(began, true, theirs)?];
        for step in 0..1000 {
            let [one, other] = &mut calls;
            settle(began + Duration::from_millis(5) * step, [one, other], [ours, theirs]);
        }
        ensure!(
            calls.iter().all(|call| call.is_connected() && call.outgoing().is_some()),
            "the ends of a call do not find each other"
        );
        let [call, peer] = calls;
        let format = call.outgoing().context("a format")?;
        let mut relay = tgtrunk_media::Relay::new(1);
        relay.set_audio(Side::Trunk, Audio::new(&OPUS, PAYLOAD_TYPE, 1));
        relay.set_audio(Side::Telegram, Audio::new(&OPUS, format.payload_type, format.ssrc));
        let batch = Batch::with_capacity(8, 2000);
        let began = began + Duration::from_secs(5);
        Ok((Self { relay, call, batch, began, ours, theirs }, Peer::Call(Box::new(peer))))
    }
}

impl Carrier for Path {
    fn carry(&mut self, number: u32, from_trunk: &mut Room, from_telegram: &mut Room) -> usize {
        let now = self.began + PACE * number;
        let mut passed = 0;
        let (room, length) = from_trunk;
        self.batch.clear();
        self.relay.handle_packet(now, Side::Trunk, &room[..*length], &mut self.batch);
        for number in 0..self.batch.len() {
            let Some((room, length)) = self.batch.room(number) else { break };
            passed += usize::from(matches!(self.call.seal(room, length), Ok(Some(_))));
        }
        let (room, length) = from_telegram;
        if let Ok(Some(rtp)) = self.call.open(now, self.theirs, self.ours, &mut room[..*length]) {
            self.batch.clear();
            self.relay.handle_packet(now, Side::Telegram, rtp, &mut self.batch);
            passed += self.batch.len();
        }
        passed
    }

    fn rest(&mut self, number: u32, peer: &mut Peer) {
        if let Peer::Call(peer) = peer {
            settle(self.began + PACE * number, [&mut self.call, peer], [self.ours, self.theirs]);
        }
    }
}

/// The floor, and where its packets come from.
struct Floor {
    relay: Relay,
    trunk: SocketAddrV4,
    telegram: SocketAddrV4,
}

fn floor() -> anyhow::Result<(Floor, Peer)> {
    let [to, from] = [[7; 32], [9; 32]];
    let context = |key: &[u8]| Context::new(Profile::Gcm256, key, &[5; 12]);
    let [trunk, telegram] = [[127, 2, 0, 0], [127, 1, 0, 0]].map(|ip| SocketAddrV4::new(ip.into(), 4000));
    let call = Call { trunk, telegram, to_telegram: context(&to)?, from_telegram: context(&from)? };
    Ok((Floor { relay: Relay::new(vec![call]), trunk, telegram }, Peer::Floor(Box::new(context(&from)?))))
}

impl Carrier for Floor {
    fn carry(&mut self, _: u32, from_trunk: &mut Room, from_telegram: &mut Room) -> usize {
        let (room, length) = from_trunk;
        let there = self.relay.to_telegram.change(room, *length, self.trunk.into());
        let (room, length) = from_telegram;
        let back = self.relay.to_trunk.change(room, *length, self.telegram.into());
        usize::from(there.is_some()) + usize::from(back.is_some())
    }

    fn rest(&mut self, _: u32, _: &mut Peer) {}
}

impl Peer {
    /// Packets of the trunk and of Telegram, from a number on.
    fn packets(&mut self, first: u32, count: u32) -> anyhow::Result<(Vec<Room>, Vec<Room>)> {
        let (mut trunk, mut telegram) = (Vec::new(), Vec::new());
        for number in first..first + count {
            trunk.push(room(&rtp(number, PAYLOAD_TYPE, 0x1000_0000)));
            let (payload_type, ssrc) = match self {
                Self::Call(call) => {
                    call.outgoing().map_or((0, 0), |format| (format.payload_type, format.ssrc))
                }
                Self::Floor(_) => (PAYLOAD_TYPE, 0x2000_0000),
            };
            let (mut bytes, length) = room(&rtp(number, payload_type, ssrc));
            let length = match self {
                Self::Call(call) => call.seal(&mut bytes, length).ok().flatten().map(|(_, length)| length),
                Self::Floor(context) => context.seal(&mut bytes, length),
            };
            telegram.push((bytes, length.context("a packet is protected")?));
        }
        Ok((trunk, telegram))
    }
}

fn rtp(number: u32, payload_type: u8, ssrc: u32) -> Vec<u8> {
    let mut payload = [0x5a; PAYLOAD];
    payload[0] = TOC;
    let (sequence, timestamp) = (number as u16, number.wrapping_mul(TICKS));
    let mut packet = Vec::new();
    Packet { marker: number == 0, payload_type, sequence, timestamp, ssrc, payload: &payload }
        .write(&mut packet);
    packet
}

fn room(packet: &[u8]) -> Room {
    let mut bytes = [0; ROOM];
    bytes[..packet.len()].copy_from_slice(packet);
    (bytes, packet.len())
}

fn call(now: Instant, is_caller: bool, address: SocketAddr) -> anyhow::Result<tgcall::Call> {
    let parameters = Parameters {
        key: SharedKey::from_bytes(std::array::from_fn(|at| (7 * at + 3) as u8)),
        is_caller,
        version: Version::V13,
        p2p_allowed: true,
        servers: Vec::new(),
        only_streams: false,
        custom_parameters: None,
        local_addresses: vec![address.into()],
        certificate: Arc::new(Certificate::generate()?),
        seed: [u8::from(is_caller) + 1; 32],
    };
    Ok(tgcall::Call::new(now, parameters)?)
}

/// Carries all that two calls have to say.
fn settle(now: Instant, mut calls: [&mut tgcall::Call; 2], addresses: [SocketAddr; 2]) {
    for call in &mut calls {
        if call.poll_timeout().is_some_and(|due| due <= now) {
            call.handle_timeout(now);
        }
    }
    let mut is_quiet = false;
    while !is_quiet {
        is_quiet = true;
        for from in [0, 1] {
            let [ours, theirs] = [addresses[from], addresses[1 - from]];
            while let Some(packet) = calls[from].poll_signaling() {
                calls[1 - from].handle_signaling(now, &packet);
                is_quiet = false;
            }
            while let Some(mut transmit) = calls[from].poll_transmit() {
                if matches!(transmit.route, Route::Datagram { destination, .. } if destination == theirs) {
                    calls[1 - from].handle_datagram(now, ours, theirs, &mut transmit.contents);
                    is_quiet = false;
                }
            }
            while calls[from].poll_event().is_some() {}
        }
    }
}
