//! T6 and T7: sound of strangers at every port that is open for sound, before, while and after the gateway learns who speaks
//! there, and with the very numbers of who does. Nobody hears it, and nothing comes back.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::time::sleep;

use super::chance::Chance;
use super::mouth::stranger;
use super::rig::{LIMIT, Rig, by_address};
use super::talks::{MARK, Talk, end_all};
use super::thrower::Thrower;
use super::{Plan, Tally};
use crate::clock::now;
use crate::prometheus;

/// At each port in a second.
const PER_SECOND: u32 = 50;
/// Calls among which strangers throw, by packets for each port.
const PER_CALL: u64 = 60;
const FEWEST_CALLS: u64 = 4;
const MOST_CALLS: u64 = 50;
/// How often they throw where they know the numbers.
const PER_SECOND_KNOWING: u64 = 1_000;
/// For so long everybody is heard once it is over.
const AFTERWARDS: Duration = Duration::from_secs(1);
const KNOWING: u8 = 6;
/// Of every player of the PBX: its source, and where its numbers begin.
const SSRC: u32 = 7;
const SEQUENCE: u16 = 0x0707;
const TIMESTAMP: u32 = 0x0707_0707;
const SAMPLES: u32 = 960;

/// Throws so many packets at each port.
pub(super) async fn strangers(plan: Plan) -> anyhow::Result<Tally> {
    let mut rig = Rig::open(&[by_address]).await?;
    let calls = (plan.amount / PER_CALL).clamp(FEWEST_CALLS, MOST_CALLS) as usize;
    let mut tally = Tally::default();
    let mut chance = Chance::new(plan.seed);
    let spared = vec![rig.posts[0].line.sip];
    let missile = Box::new(move |_, number| rtp(&mut chance, number));
    let thrower = Thrower::begin(rig.pid, spared, PER_SECOND, missile).await?;
    let mut talks = Vec::new();
    for number in 1..=calls {
        talks.push(Talk::begin(&rig, 0, number).await?);
    }
    talks.iter_mut().for_each(Talk::listen);
    let ports = rig.media_ports()?;
    let until = now() + LIMIT + Duration::from_secs(2 * plan.amount / u64::from(PER_SECOND));
    while thrower.thrown(&ports).2 < plan.amount && now() < until {
        sleep(Duration::from_millis(50)).await;
    }
    let (thrown, at, fewest) = thrower.thrown(&ports);
    tally.amount = fewest;
    talks.iter().for_each(|talk| talk.judge(&mut tally, "while strangers threw"));
    tally.hold(thrower.came() == 0, || format!("{} datagrams came to strangers", thrower.came()));
    drop(thrower);
    talks.iter_mut().for_each(Talk::listen);
    sleep(AFTERWARDS).await;
    talks.iter().for_each(|talk| talk.judge(&mut tally, "afterwards"));
    rig.warmed()?;
    end_all(talks).await?;
    tally.note(&format!("{thrown} packets at {at} ports of {calls} calls: 0 passed on, 0 answered"));
    rig.close(&mut tally).await?;
    Ok(tally)
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
    let mut talk = Talk::begin(&rig, 0, 2).await?;
    let ports: Vec<SocketAddr> = rig.media_ports()?;
    // From elsewhere, and from another port beside the PBX's.
    let throwers = [UdpSocket::bind((stranger(KNOWING), 0)).await?, UdpSocket::bind("127.0.0.1:0").await?];
    talk.listen();
    let began = now();
    while tally.amount < plan.amount {
        let played = (talk.wire.heard().sent_ms / 20) as u32 + chance.below(4) as u32;
        let packet =
            packet(107, SEQUENCE.wrapping_add(played as u16), TIMESTAMP.wrapping_add(played * SAMPLES), SSRC);
        for port in &ports {
            throwers[tally.amount as usize % 2].send_to(&packet, port).await.ok();
            tally.amount += 1;
        }
        let due = Duration::from_micros(tally.amount * 1_000_000 / PER_SECOND_KNOWING);
        sleep(due.saturating_sub(now() - began)).await;
    }
    talk.judge(&mut tally, "while somebody knew the numbers");
    let mut buffer = [0; 2048];
    for thrower in &throwers {
        let came = thrower.try_recv(&mut buffer).is_ok();
        tally.hold(!came, || "something came to who knew the numbers".to_owned());
    }
    talk.listen();
    sleep(AFTERWARDS).await;
    talk.judge(&mut tally, "afterwards");
    rig.warmed()?;
    talk.end().await?;
    sleep(Duration::from_millis(500)).await;
    let page = prometheus::page(rig.metrics).await?;
    // At a port that calls share they are no call's.
    let refused = ["tgtrunk_media_datagrams_refused_total", "tgtrunk_media_strays_total"]
        .map(|name| prometheus::sum(&page, name, &[]))
        .iter()
        .sum::<f64>();
    let thrown = tally.amount;
    tally.hold(refused >= thrown as f64 / 2.0, || format!("{refused} of {thrown} were counted as refused"));
    tally.note(&format!("{thrown} packets: 0 passed on, {refused} counted as refused"));
    rig.close(&mut tally).await?;
    Ok(tally)
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
