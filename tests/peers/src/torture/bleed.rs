//! T6 and T7: sound of strangers at every port that is open for sound, before, while and after the gateway learns who speaks
//! there, and with the very numbers of who does. Nobody hears it, and nothing comes back.

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::time::sleep;

use super::chance::Chance;
use super::mouth::stranger;
use super::rig::{LIMIT, Refused, Rig, by_address};
use super::talks::{Balance, MARK, Talk, end_all};
use super::thrower::Thrower;
use super::{Plan, Tally};
use crate::clock::now;

/// At each port in a second.
const PER_SECOND: u32 = 50;
/// Calls among which strangers throw, by packets for each port.
const PER_CALL: u64 = 60;
const FEWEST_CALLS: u64 = 4;
const MOST_CALLS: u64 = 50;
/// How often they throw where they know the numbers.
const PER_SECOND_KNOWING: u64 = 1_000;
/// The first packets, at each port and at all of those who are known, by which a gateway comes to what it needs once.
const FEW: u64 = 250;
const FEW_KNOWING: u64 = 2_000;
/// At least so much of it is counted, at ports that take the PBX's sound and at others: RTCP is not, nor what sockets have no
/// room for.
const COUNTED_AT_PBX: f64 = 0.8;
const COUNTED: f64 = 0.5;
/// After so long the sound of a new call flows evenly.
const FLOWS: Duration = Duration::from_millis(500);
/// After a call's end what it counted is told.
const COUNTED_WITHIN: Duration = Duration::from_millis(500);
/// For so long everybody is heard once it is over.
const AFTERWARDS: Duration = Duration::from_secs(1);
const KNOWING: u8 = 6;
/// Of every player of the PBX: its source, and where its numbers begin.
const SSRC: u32 = 7;
const SEQUENCE: u16 = 0x0707;
const TIMESTAMP: u32 = 0x0707_0707;
const SAMPLES: u32 = 960;

/// What strangers threw at some calls.
struct Thrown {
    packets: u64,
    ports: usize,
    /// At the port that got the fewest.
    fewest: u64,
    /// Of them, what the gateway counted.
    counted: f64,
}

/// Throws so many packets at each port.
pub(super) async fn strangers(plan: Plan) -> anyhow::Result<Tally> {
    let mut rig = Rig::open(&[by_address]).await?;
    let calls = (plan.amount / PER_CALL).clamp(FEWEST_CALLS, MOST_CALLS) as usize;
    let mut tally = Tally::default();
    let mut chance = Chance::new(plan.seed);
    // As many calls as later, and few packets: what the gateway needs once for them, it has then.
    throw_at(&rig, 1..=calls, plan.amount.min(FEW), Chance::new(chance.next()), &mut tally).await?;
    rig.warmed_without_calls().await?;
    let dice = Chance::new(chance.next());
    let thrown = throw_at(&rig, calls + 1..=2 * calls, plan.amount, dice, &mut tally).await?;
    tally.amount = thrown.fewest;
    tally.note(&format!(
        "{} packets at {} ports of {calls} calls: 0 passed on, 0 answered, {} counted as refused",
        thrown.packets, thrown.ports, thrown.counted
    ));
    rig.close(&mut tally).await?;
    Ok(tally)
}

/// Sets up calls of people with these numbers while strangers throw, at least so much at each port.
async fn throw_at(
    rig: &Rig,
    people: RangeInclusive<usize>,
    amount: u64,
    mut chance: Chance,
    tally: &mut Tally,
) -> anyhow::Result<Thrown> {
    let refused = rig.refused().await?;
    let spared = vec![rig.posts[0].line.sip];
    let missile = Box::new(move |_, number| rtp(&mut chance, number));
    let thrower = Thrower::begin(rig.pid, spared, PER_SECOND, missile).await?;
    let mut talks = Vec::new();
    for number in people {
        talks.push(Talk::begin(rig, 0, number).await?);
    }
    sleep(FLOWS).await;
    talks.iter_mut().for_each(Talk::listen);
    let balances: Vec<_> = talks.iter().map(Balance::of).collect();
    let ports = rig.media_ports()?;
    let until = now() + LIMIT + Duration::from_secs(2 * amount / u64::from(PER_SECOND));
    while thrower.thrown(&ports).2 < amount && now() < until {
        sleep(Duration::from_millis(50)).await;
    }
    for (talk, balance) in talks.iter().zip(&balances) {
        talk.judge(tally, "while strangers threw");
        balance.judge_excess(talk, tally, "while strangers threw");
    }
    let (packets, at, fewest) = thrower.thrown(&ports);
    let of_pbx: Vec<SocketAddr> = talks.iter_mut().filter_map(Talk::sound_port).collect();
    tally.hold(of_pbx.len() == talks.len(), || "a call names no port for its sound".to_owned());
    // RTCP has the port after that of its RTP (RFC 3550 section 11), where nothing is counted.
    let is_of_pbx = |port: &SocketAddr| {
        of_pbx
            .iter()
            .any(|rtp| rtp.ip() == port.ip() && [0, 1].contains(&port.port().wrapping_sub(rtp.port())))
    };
    let of_telegram: Vec<SocketAddr> = ports.iter().copied().filter(|port| !is_of_pbx(port)).collect();
    let at_pbx = thrower.thrown_at(&of_pbx);
    let at_telegram = thrower.thrown_at(&of_telegram);
    tally.hold(thrower.came() == 0, || format!("{} datagrams came to strangers", thrower.came()));
    drop(thrower);
    talks.iter_mut().for_each(Talk::listen);
    sleep(AFTERWARDS).await;
    talks.iter().for_each(|talk| talk.judge(tally, "afterwards"));
    end_all(talks).await?;
    rig.calls_end().await?;
    sleep(COUNTED_WITHIN).await;
    let refused = rig.refused().await?.since(refused);
    for (side, counted, thrown, share) in [
        ("the PBX's", refused.pbx, at_pbx, COUNTED_AT_PBX),
        ("Telegram's", refused.telegram, at_telegram, COUNTED),
    ] {
        tally.hold(thrown > 0 && counted >= thrown as f64 * share, || {
            format!("{counted} of {thrown} at ports of {side} side were counted as refused")
        });
    }
    Ok(Thrown { packets, ports: at, fewest, counted: refused.pbx + refused.telegram })
}

/// Sound that nobody asked for.
fn rtp(chance: &mut Chance, number: u64) -> Vec<u8> {
    let payload_type = *chance.pick(&[107, 96, 8, 0, 101]);
    let ssrc = if chance.one_in(2) { SSRC } else { chance.next() as u32 };
    packet(payload_type, number as u16, number as u32 * SAMPLES, ssrc)
}

/// An RTP packet (RFC 3550 section 5.1) with Opus that has a mark.
fn packet(payload_type: u8, sequence: u16, timestamp: u32, ssrc: u32) -> Vec<u8> {
    let head = [0x80, payload_type];
    let numbers = [&sequence.to_be_bytes()[..], &timestamp.to_be_bytes(), &ssrc.to_be_bytes()].concat();
    // One frame of 20 ms (RFC 6716 section 3.1).
    [&head[..], &numbers, &[0xf8], MARK].concat()
}

/// Throws so many with the numbers that the PBX uses.
pub(super) async fn knowing(plan: Plan) -> anyhow::Result<Tally> {
    let mut rig = Rig::open(&[by_address]).await?;
    let mut tally = Tally::default();
    let mut chance = Chance::new(plan.seed);
    throw_knowing(&rig, 2, plan.amount.min(FEW_KNOWING), &mut chance, &mut tally).await?;
    rig.warmed_without_calls().await?;
    let (thrown, refused) = throw_knowing(&rig, 4, plan.amount, &mut chance, &mut tally).await?;
    tally.amount = thrown;
    tally.note(&format!("{thrown} packets: 0 passed on, {refused} counted as refused"));
    rig.close(&mut tally).await?;
    Ok(tally)
}

/// The same at one call of a person with this number: how many there were, and how many the gateway counted.
async fn throw_knowing(
    rig: &Rig,
    person: usize,
    amount: u64,
    chance: &mut Chance,
    tally: &mut Tally,
) -> anyhow::Result<(u64, f64)> {
    let refused = rig.refused().await?;
    let mut talk = Talk::begin(rig, 0, person).await?;
    let ports: Vec<SocketAddr> = rig.media_ports()?;
    // From elsewhere, and from another port beside the PBX's.
    let throwers = [UdpSocket::bind((stranger(KNOWING), 0)).await?, UdpSocket::bind("127.0.0.1:0").await?];
    sleep(FLOWS).await;
    talk.listen();
    let balance = Balance::of(&talk);
    let (began, mut thrown) = (now(), 0);
    while thrown < amount {
        let played = (talk.wire.heard().sent_ms / 20) as u32 + chance.below(4) as u32;
        let packet =
            packet(107, SEQUENCE.wrapping_add(played as u16), TIMESTAMP.wrapping_add(played * SAMPLES), SSRC);
        for port in &ports {
            throwers[thrown as usize % 2].send_to(&packet, port).await.ok();
            thrown += 1;
        }
        let due = Duration::from_micros(thrown * 1_000_000 / PER_SECOND_KNOWING);
        sleep(due.saturating_sub(now() - began)).await;
    }
    talk.judge(tally, "while somebody knew the numbers");
    balance.judge_excess(&talk, tally, "while somebody knew the numbers");
    let mut buffer = [0; 2048];
    for thrower in &throwers {
        let came = thrower.try_recv(&mut buffer).is_ok();
        tally.hold(!came, || "something came to who knew the numbers".to_owned());
    }
    talk.listen();
    sleep(AFTERWARDS).await;
    talk.judge(tally, "afterwards");
    tally.hold(talk.is_kept_whole(), || "the call was heard for longer than is kept".to_owned());
    talk.end().await?;
    rig.calls_end().await?;
    sleep(COUNTED_WITHIN).await;
    // At a port that calls share they are no call's.
    let Refused { pbx, telegram } = rig.refused().await?.since(refused);
    let counted = pbx + telegram;
    tally.hold(counted >= thrown as f64 * COUNTED, || {
        format!("{counted} of {thrown} were counted as refused")
    });
    Ok((thrown, counted))
}

#[cfg(test)]
mod tests {
    use tgtrunk_media::{opus, rtp};

    use super::*;
    use crate::torture::talks::has_mark;

    #[test]
    fn what_strangers_throw_would_be_heard_if_it_were_passed_on() {
        let packet = packet(107, 9, 10, SSRC);
        let read = rtp::Packet::read(&packet).unwrap();
        assert_eq!((read.payload_type, read.sequence, read.timestamp, read.ssrc), (107, 9, 10, SSRC));
        assert_eq!(opus::duration(read.payload), Some(Duration::from_millis(20)));
        assert!(has_mark(read.payload) && !has_mark(&packet[..20]));
    }
}
