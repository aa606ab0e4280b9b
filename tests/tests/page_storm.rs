//! Calls while everybody falls upon the operator's page: they do not hear of it.

#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use tgtrunk_config::Language;
use tgtrunk_config::control::CallState;
use tgtrunk_test_telegram::NewUser;
use tgtrunk_tests::capture::{Capture, Passed};
use tgtrunk_tests::light_user::{self, Reason};
use tgtrunk_tests::measure::{self, Tones};
use tgtrunk_tests::pbx;
use tgtrunk_tests::player::circle;
use tgtrunk_tests::ports;
use tgtrunk_tests::program::{Kind, Program};
use tgtrunk_tests::stage::Stage;
use tgtrunk_tests::storm::{Counted, Storm};
use tgtrunk_tests::visitor::Visitor;
use tokio::time::{Instant, sleep};

const LIMIT: Duration = Duration::from_secs(10);
const TONES: Tones = Tones::USUAL;
/// Pages that are open and listen.
const LISTENERS: usize = 1_000;
/// How long is talked in peace, and in the storm.
const PEACE: Duration = Duration::from_secs(4);
const TALK: Duration = Duration::from_secs(15);
const PACKET_MS: usize = 20;
/// No packet of the tones is shorter, encrypted or not, and no comfort noise as long.
const LEAST_SOUND_BYTES: usize = 32;
/// How long the gateway may keep a packet of a call, whatever goes on beside it. A jitter buffer of a phone has 60 ms.
const LONGEST_KEPT: Duration = Duration::from_millis(60);

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_listeners_and_every_attack_at_once_cost_a_call_no_packet() {
    let stage = Stage::on_loopback().await.unwrap();
    let page = serve_page(&stage).unwrap();
    let line = stage.line("+79060000000").unwrap();
    let phone = pbx::Options::playing(circle(TONES.pbx_hz, PACKET_MS).unwrap()).muted();
    let mut phone = stage.desk(&line, phone).await.unwrap();
    let app = light_user::Options::playing(circle(TONES.telegram_hz, PACKET_MS).unwrap()).muted();
    let mut anna = stage.person(NewUser::new("+79161111111", "Anna"), app.clone()).unwrap();
    let mut boris = stage.person(NewUser::new("+79162222222", "Boris"), app).unwrap();
    let gateway = stage.run(&[&line]).await.unwrap();
    let mut control = gateway.control().await.unwrap();
    control.subscribe().await.unwrap();
    let client = Kind::Client.start(&stage.installation).await.unwrap();
    let operator = Visitor::let_in(|| client.log()).await.unwrap();
    assert_eq!(operator.page, page);

    let capture = Capture::start(|_, _| true).unwrap();
    let call = anna.call(line.account).await.unwrap();
    let pbx_call = phone.incoming(LIMIT).await.unwrap().call;
    anna.connected(LIMIT).await.unwrap();
    control.call_state(CallState::Answered, LIMIT).await.unwrap();
    let ports = udp_ports(gateway.pid().unwrap()).unwrap();
    measure::talk(&anna, call, &phone, pbx_call, TONES, PEACE).await.unwrap().check(PEACE * 9 / 10).unwrap();
    for way in kept(&capture, &ports).unwrap() {
        println!("in peace: {way:?}");
    }

    let began = Instant::now();
    let storm = Storm::begin(&operator, LISTENERS).await.unwrap();
    println!("{LISTENERS} listeners within {:?}", began.elapsed());
    let held = descriptors(&client).unwrap();
    assert!(held >= LISTENERS, "the client holds {held} descriptors");
    capture.forget();
    let told_before = storm.told();
    let other = async {
        sleep(TALK / 4).await;
        let began = Instant::now();
        let call = boris.call(line.account).await?;
        boris.connected(LIMIT).await?;
        let took = began.elapsed();
        sleep(TALK / 4).await;
        boris.hang_up(call, Reason::Hangup).await;
        anyhow::Ok((took, boris.heard(call)))
    };
    let talk = measure::talk(&anna, call, &phone, pbx_call, TONES, TALK);
    let (ways, other) = tokio::join!(talk, other);
    let (ways, (took, heard)) = (ways.unwrap(), other.unwrap());
    println!("{ways:?}; another call was up within {took:?} and heard {} ms", heard.received_ms);
    ways.check((PEACE + TALK) * 9 / 10).unwrap();
    for way in [ways.to_pbx, ways.to_telegram] {
        assert_eq!(way.received_ms, way.sent_ms, "every packet arrives");
    }
    assert!(heard.received_ms > TALK.as_millis() as u64 / 5, "{heard:?}");
    for way in kept(&capture, &ports).unwrap() {
        println!("in the storm: {way:?}");
        assert!(way.packets >= TALK.as_millis() as usize / PACKET_MS * 9 / 10, "{way:?}");
        assert!(way.longest < LONGEST_KEPT, "{way:?}");
    }

    let held = descriptors(&client).unwrap();
    assert!(held >= LISTENERS, "the client holds {held} descriptors");
    let told = storm.told() - told_before;
    assert!(told > LISTENERS as u64, "only {told} events were told");
    let answers = storm.answers();
    println!("{told} events told; answers: {answers:?}");
    refused_and_borne(&answers).unwrap();
    let page = operator.reads("/", Language::English).await.unwrap();
    assert!(page.contains("+7"), "the page is shown: {page}");
    drop(storm);
    anna.hang_up(call, Reason::Hangup).await;
    client.stop().await.unwrap();
    gateway.stop().await.unwrap();
    stage.done();
}

/// How long the gateway kept the packets of one way of a call.
#[derive(Debug)]
struct Kept {
    /// Where they came to it.
    _at: u16,
    packets: usize,
    _median: Duration,
    longest: Duration,
    /// The longest pause between two that came, and between two that went.
    _gap_in: Duration,
    _gap_out: Duration,
}

/// Both ways of the call whose ports the gateway has; other calls have others. Comfort noise, which is shorter than any
/// sound, is the gateway's own.
fn kept(capture: &Capture, ports: &BTreeSet<u16>) -> anyhow::Result<Vec<Kept>> {
    let is_sound = |packet: &&Passed| packet.payload.len() >= LEAST_SOUND_BYTES;
    let all = capture
        .stream(|packet| ports.contains(&packet.source.port()) || ports.contains(&packet.destination.port()));
    let mut legs = BTreeMap::<u16, (Vec<&Passed>, Vec<&Passed>)>::new();
    for packet in all.packets().iter().filter(is_sound) {
        if ports.contains(&packet.source.port()) {
            legs.entry(packet.source.port()).or_default().1.push(packet);
        } else {
            legs.entry(packet.destination.port()).or_default().0.push(packet);
        }
    }
    let legs: Vec<_> = legs.into_iter().collect();
    ensure!(legs.len() == 2, "the call has {} ports at the gateway", legs.len());
    let gap = |packets: &[&Passed]| packets.windows(2).map(|pair| pair[1].at - pair[0].at).max();
    let way = |(at, (came, _)): &(u16, (Vec<&Passed>, Vec<&Passed>)), went: &[&Passed]| {
        ensure!(came.len() == went.len(), "{} packets came to {at}, {} went on", came.len(), went.len());
        let mut times: Vec<Duration> =
            came.iter().zip(went).map(|(came, went)| went.at.saturating_duration_since(came.at)).collect();
        times.sort_unstable();
        Ok(Kept {
            _at: *at,
            packets: came.len(),
            _median: *times.get(times.len() / 2).context("no packets")?,
            longest: *times.last().context("no packets")?,
            _gap_in: gap(came).context("no packets")?,
            _gap_out: gap(went).context("no packets")?,
        })
    };
    Ok(vec![way(&legs[0], &legs[1].1.1)?, way(&legs[1], &legs[0].1.1)?])
}

/// Whether each attack met what it should, and often.
fn refused_and_borne(answers: &Counted) -> anyhow::Result<()> {
    let count = |kind, wanted: &[u16]| {
        let of_kind = answers.iter().filter(|((of, _), _)| *of == kind);
        let (met, missed): (Vec<_>, Vec<_>) = of_kind.partition(|((_, status), _)| wanted.contains(status));
        (met.iter().map(|(_, times)| **times).sum::<u64>(), missed)
    };
    for (kind, wanted, least) in [
        ("password", &[401, 429][..], 100),
        ("body", &[413, 0], 50),
        ("site", &[403], 100),
        ("host", &[421], 100),
        ("path", &[404, 400], 100),
        ("slow", &[408, 0], 20),
        ("page", &[200], 20),
    ] {
        let (times, missed) = count(kind, wanted);
        ensure!(times >= least, "{kind}: only {times} times {wanted:?}: {answers:?}");
        ensure!(missed.is_empty(), "{kind} met {missed:?}");
    }
    let slowed = answers.get(&("password", 429)).copied().unwrap_or_default();
    let tried = answers.get(&("password", 401)).copied().unwrap_or_default();
    ensure!(slowed > tried, "{tried} passwords were tried, and only {slowed} slowed down");
    Ok(())
}

/// Has the page served where the stage serves none, or on any port.
fn serve_page(stage: &Stage) -> anyhow::Result<SocketAddr> {
    let config = &stage.installation.config;
    let text = std::fs::read_to_string(config)?;
    let (before, _) = text.split_once("[page]\nlisten = ").context("a page in the settings")?;
    let page = SocketAddr::from(([127, 0, 0, 1], ports::free()?));
    std::fs::write(config, format!("{before}[page]\nlisten = \"{page}\"\n"))?;
    Ok(page)
}

fn descriptors(client: &Program) -> anyhow::Result<usize> {
    Ok(std::fs::read_dir(format!("/proc/{}/fd", client.pid()?))?.count())
}

/// The UDP ports that a process has (proc(5): fd, net/udp).
fn udp_ports(process: u32) -> anyhow::Result<BTreeSet<u16>> {
    let links = std::fs::read_dir(format!("/proc/{process}/fd"))?;
    let sockets: BTreeSet<String> = links
        .filter_map(|link| std::fs::read_link(link.ok()?.path()).ok()?.to_str().map(ToOwned::to_owned))
        .collect();
    let table = std::fs::read_to_string("/proc/net/udp")?;
    let port = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let is_theirs = sockets.contains(&format!("socket:[{}]", words.get(9)?));
        let (_, port) = words.get(1)?.split_once(':')?;
        u16::from_str_radix(port, 16).ok().filter(|_| is_theirs)
    };
    Ok(table.lines().skip(1).filter_map(port).collect())
}
