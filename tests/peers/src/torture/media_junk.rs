//! T5: media that is no media, from the very addresses that speak in a call: at the PBX's side RTP and RTCP whose lengths lie,
//! and what looks like the call's own and is not, at Telegram's packets that are sealed wrongly, or twice. All of it is dropped,
//! nobody loses any sound by it, and another call hears nothing of it. No call lasts longer than its ends keep what they hear.

use std::time::Duration;

use tokio::time::sleep;

use super::chance::Chance;
use super::rig::{Rig, by_address};
use super::talks::{Balance, MARK, Talk, end_all};
use super::{Plan, Tally};
use crate::clock::now;
use crate::light_user::Junk;

/// Kinds of junk.
const KINDS: u64 = 17;
/// RFC 4733 events in the call at which it is thrown.
const EVENTS: u8 = 101;
/// The call's own source at the PBX, and another.
const OWN: u32 = 7;
const OTHER: u32 = 0x1234_5678;
/// Of all kinds together in a second.
const PER_SECOND: u64 = 5_000;
/// So many at once.
const VOLLEY: u64 = 25;
/// Lines of the log in a second, at most, and some for what begins and ends.
const LINES_PER_SECOND: u64 = 1;
const LINES: u64 = 10;
/// For so long the same call is thrown at, of which its ends keep 40 s, and for so long at least.
const WATCHED: Duration = Duration::from_secs(30);
const LEAST: Duration = Duration::from_secs(2);
/// At least so much of what bears a wrong seal is counted: what sockets have no room for is not.
const COUNTED: f64 = 0.8;

/// Throws so many of each kind, at one call after the other.
pub(super) async fn run(plan: Plan) -> anyhow::Result<Tally> {
    let mut rig = Rig::open(&[by_address]).await?;
    let mut tally = Tally::default();
    let mut chance = Chance::new(plan.seed);
    rig.posts[0].pbx.offer_events(EVENTS);
    let refused = rig.refused().await?;
    let whole = plan.amount * KINDS;
    let (mut thrown, mut lines, mut lasted, mut calls) = (0, 0, Duration::ZERO, 0);
    while thrown < whole {
        // What a gateway may need once, it needs for the first half.
        let end = if thrown < whole / 2 { whole / 2 } else { whole };
        let mut victim = Talk::begin(&rig, 0, 2 + 2 * calls).await?;
        let mut other = Talk::begin(&rig, 0, 3 + 2 * calls).await?;
        calls += 1;
        sleep(Duration::from_millis(500)).await;
        let told_before = told(&rig)?;
        victim.listen();
        other.listen();
        let balances = [&victim, &other].map(Balance::of);
        let (began, first) = (now(), thrown);
        while thrown < end && now() - began < WATCHED {
            for _ in 0..VOLLEY {
                throw(&victim, thrown % KINDS, &mut chance).await;
                thrown += 1;
            }
            let due = Duration::from_micros((thrown - first) * 1_000_000 / PER_SECOND);
            sleep(due.saturating_sub(now() - began)).await;
        }
        sleep(LEAST.saturating_sub(now() - began)).await;
        let sides = [("the call at which junk is thrown", &victim), ("the call beside it", &other)];
        for ((when, talk), balance) in sides.into_iter().zip(&balances) {
            talk.judge(&mut tally, when);
            balance.judge_excess(talk, &mut tally, when);
            tally.hold(talk.is_kept_whole(), || format!("{when}: it was heard for longer than is kept"));
        }
        lines += told(&rig)? - told_before;
        lasted += now() - began;
        end_all(vec![victim, other]).await?;
        if thrown >= whole / 2 {
            rig.warmed_without_calls().await?;
        }
    }
    tally.amount = thrown / KINDS;
    tally.inputs = thrown;
    let seconds = lasted.as_secs();
    tally
        .hold(lines <= seconds * LINES_PER_SECOND + LINES, || format!("{lines} lines of log in {seconds} s"));
    let refused = rig.refused().await?.since(refused).telegram;
    let sealed_wrongly = thrown / KINDS;
    tally.hold(refused >= sealed_wrongly as f64 * COUNTED, || {
        format!("{refused} of {sealed_wrongly} with wrong seals were counted as refused")
    });
    tally.note(&format!(
        "{KINDS} kinds, {thrown} at {calls} calls in {seconds} s, {lines} lines of log, 0 passed on, {refused} of \
         {sealed_wrongly} with wrong seals counted"
    ));
    rig.close(&mut tally).await?;
    Ok(tally)
}

/// Lines of the log that are told to everybody.
fn told(rig: &Rig) -> anyhow::Result<u64> {
    let log = std::fs::read(&rig.stage.installation.log)?;
    let log = String::from_utf8_lossy(&log);
    let is_told = |line: &&str| [" INFO ", " WARN ", "ERROR "].iter().any(|level| line.contains(level));
    Ok(log.lines().filter(is_told).count() as u64)
}

async fn throw(victim: &Talk, kind: u64, chance: &mut Chance) {
    let at_telegram = match kind {
        7 => Junk::Again,
        8 => Junk::Forged(chance.below(80)),
        9 => {
            // Its shape is right and its seal is not, whatever the counter has wrapped to (RFC 3711 section 3.3.1).
            let mut bytes = rtp(chance, 0x80);
            bytes.extend(chance.bytes(16));
            Junk::Bytes(bytes)
        }
        _ => return victim.wire.throw(&at_pbx(kind, chance)),
    };
    victim.user.throw(victim.call, at_telegram).await;
}

/// RTP or RTCP that lies (RFC 3550 sections 5.1 and 6.1).
fn at_pbx(kind: u64, chance: &mut Chance) -> Vec<u8> {
    match kind {
        // Cut off in its head.
        0 => {
            let length = chance.below(12);
            rtp(chance, 0x80)[..length].to_vec()
        }
        // Longer than any sound, and nothing that anybody reads.
        1 => {
            let mut packet = rtp(chance, 0xff);
            packet.resize(8_000 + chance.below(50_000), 0xaa);
            packet
        }
        // Another version.
        2 => {
            let version = *chance.pick(&[0x00, 0x40, 0xc0]);
            rtp(chance, version)
        }
        // Padding that is longer than the packet.
        3 => {
            let mut packet = rtp(chance, 0xa0);
            packet.push(*chance.pick(&[0, 200, 255]));
            packet
        }
        // An extension that is longer than the packet.
        4 => {
            let mut packet = rtp(chance, 0x90);
            packet[12..16].copy_from_slice(&[0xbe, 0xde, 0xff, chance.next() as u8]);
            packet
        }
        // More sources than there is room for.
        5 => {
            let mut packet = rtp(chance, 0x8f);
            packet.truncate(30);
            packet
        }
        // What is no sound of the call, with its source and numbers at random: comfort noise, keys, nothing, padding.
        10 => {
            let mut packet = rtp(chance, 0x80);
            packet[1] = 13;
            from(OWN, packet)
        }
        11 => from(OWN, key(chance)),
        12 => from(OWN, rtp(chance, 0x80)[..12].to_vec()),
        13 => {
            let mut packet = rtp(chance, 0xa0)[..12].to_vec();
            packet.extend([0, 0, 3]);
            from(OWN, packet)
        }
        // What is sound by its looks. The call's own may go on with it by chance: once in 65,536 it bears the next number.
        14 => {
            let mut packet = rtp(chance, 0x80);
            packet.truncate(packet.len() - 1);
            from(OWN, packet)
        }
        // Of another source.
        15 => from(OTHER, rtp(chance, 0x80)),
        16 => from(OTHER, key(chance)),
        // A compound of reports whose lengths lie, and what follows them.
        _ => {
            let mut packet = Vec::new();
            for _ in 0..=chance.below(4) {
                let count = chance.below(32) as u8;
                let kind = 192 + chance.below(20) as u8;
                let length = *chance.pick(&[0_u16, 1, 6, 100, 0xffff]);
                packet.extend([0x80 | count, kind]);
                packet.extend(length.to_be_bytes());
                let more = chance.below(40);
                packet.extend(chance.bytes(more));
            }
            packet
        }
    }
}

/// A packet of sound with a mark, whose first byte is this one.
fn rtp(chance: &mut Chance, first: u8) -> Vec<u8> {
    let mut packet = vec![first, 107];
    packet.extend(chance.bytes(6));
    packet.extend(chance.pick(&[OWN, OTHER]).to_be_bytes());
    packet.push(0xf8);
    packet.extend(MARK);
    packet
}

/// A packet of a key.
fn key(chance: &mut Chance) -> Vec<u8> {
    let mut packet = rtp(chance, 0x80);
    packet.truncate(12);
    packet[1] = EVENTS;
    packet.extend([chance.below(16) as u8, 0x8a, 6, 64]);
    packet
}

fn from(ssrc: u32, mut packet: Vec<u8>) -> Vec<u8> {
    packet[8..12].copy_from_slice(&ssrc.to_be_bytes());
    packet
}
