//! Calls through the gateway on networks that are in the way: relays of each kind, a proxy in front of Telegram, addresses
//! that change in mid-call, no path at all for a while; and what a Telegram caller hears before the PBX answers.
//!
//! Telegram users are ntgcalls with Telethon in a namespace, PBXs read bare SIP. Needs root.

#![allow(clippy::unwrap_used)]

use std::net::SocketAddr;
use std::time::Duration;

use tgtrunk_config::control::{CallState, Direction, LegQuality, MediaPath, MediaTransport};
use tgtrunk_test_telegram::bad_path::Treatment;
use tgtrunk_test_telegram::reflector::{Reflector, Side};
use tgtrunk_test_telegram::world::{CallSettings, Connection};
use tgtrunk_tests::coturn::Coturn;
use tgtrunk_tests::figures::show;
use tgtrunk_tests::netns::End;
use tgtrunk_tests::path_stage::{PathStage, on_cable};
use tgtrunk_tests::sockets::datagram_sockets;
use tgtrunk_tests::socks5::Socks5;
use tgtrunk_tests::{ports, prometheus, stage, tone};
use tokio::time::{Instant, sleep};

const LIMIT: Duration = Duration::from_secs(20);
/// How long both play while it is measured.
const TALK: Duration = Duration::from_secs(3);
/// What engines get to find their rhythm.
const SETTLE: Duration = Duration::from_secs(1);
/// How soon sound is back once there is a way again.
const BACK_WITHIN: Duration = Duration::from_secs(2);
/// What a caller hears while it rings, in most of Europe (ITU-T E.180).
const RINGBACK_HZ: u32 = 425;

#[tokio::test(flavor = "multi_thread")]
async fn relayed_calls_sound_both_ways_and_their_figures_tell_the_relay() {
    let metrics = SocketAddr::from(([127, 0, 0, 1], ports::free().unwrap()));
    let settings = format!("metrics = \"{metrics}\"");
    let options = |network: &_| Ok(stage::Options { settings, ..on_cable(network) });
    let mut scene = PathStage::open(options, |_, draft| draft).await.unwrap();
    let namespace = scene.network.namespace();
    let host = SocketAddr::from((namespace.host_address(), 0));
    let reflector = Reflector::start(host, 1).await.unwrap();
    let inside = SocketAddr::from((namespace.inside_address(), ports::free().unwrap()));
    let turn = Coturn::start(Some(namespace), inside).await.unwrap();

    for (path, transport) in [
        (MediaPath::Reflector, MediaTransport::Udp),
        (MediaPath::Reflector, MediaTransport::Tcp),
        (MediaPath::Turn, MediaTransport::Udp),
        (MediaPath::Turn, MediaTransport::Tcp),
    ] {
        let server = match path {
            MediaPath::Turn => turn.connection(1),
            MediaPath::Reflector | MediaPath::Direct => {
                reflector.connection(1, transport == MediaTransport::Tcp)
            }
        };
        // The TURN server is beyond the cable, and ntgcalls beside it.
        let streams_alone = (path, transport) == (MediaPath::Turn, MediaTransport::Tcp);
        scene.network.treat_both(Treatment { cut: streams_alone, ..Treatment::default() });
        relayed(&scene, vec![server]);
        let calls = scene.connect().await.unwrap();
        sleep(SETTLE).await;
        let hearings = scene.listen(&calls, TALK).await.unwrap();
        for (pair, hearing) in scene.pairs.iter().zip(&hearings) {
            let what = format!("{path:?} {transport:?} {:?}", pair.direction);
            let told = pair.told(&scene.wire).await.unwrap();
            assert_eq!(told.state, CallState::Answered);
            let quality = told.quality.unwrap();
            show(&format!("{what}: {hearing}\n    {:?}\n    {:?}", quality.telegram, quality.pbx));
            hearing.check(TALK).unwrap_or_else(|error| panic!("{what}: {error:#}"));
            assert_eq!((quality.telegram.path, quality.telegram.transport), (Some(path), Some(transport)));
            assert_eq!((quality.pbx.path, quality.pbx.transport), (None, None));
            assert_good(&quality.telegram);
            assert_good(&quality.pbx);
            assert!(quality.telegram.round_trip_ms.is_some_and(|ms| ms < 500), "{quality:?}");
        }
        scene.hang_up(calls).await.unwrap();
    }

    let page = prometheus::page(metrics).await.unwrap();
    for path in ["reflector", "turn"] {
        for way in ["in", "out"] {
            let labels = [r#"side="telegram""#, &format!("path=\"{path}\""), &format!("way=\"{way}\"")];
            let packets = prometheus::sum(&page, "tgtrunk_media_packets_total", &labels);
            assert!(packets >= 4.0 * 50.0, "{path} {way}: {packets}\n{page}");
        }
    }
    for direction in ["pbx-to-telegram", "telegram-to-pbx"] {
        let labels = [r#"answered="yes""#, r#"q850="16""#, &format!("direction=\"{direction}\"")];
        assert_eq!(prometheus::sum(&page, "tgtrunk_calls_ended_total", &labels), 4.0, "{page}");
    }
    for side in [r#"side="telegram""#, r#"side="pbx""#] {
        assert_eq!(prometheus::sum(&page, "tgtrunk_media_mos_count", &[side]), 8.0, "{page}");
        assert_eq!(prometheus::sum(&page, "tgtrunk_media_jitter_seconds_count", &[side]), 8.0, "{page}");
        assert!(prometheus::sum(&page, "tgtrunk_media_mos_sum", &[side]) >= 8.0 * 3.8, "{page}");
    }
    assert_eq!(prometheus::sum(&page, "tgtrunk_calls", &[]), 0.0, "{page}");
    scene.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_proxy_everything_goes_through_it_and_nothing_leaves_as_a_datagram() {
    let proxy = Socks5::start().await.unwrap();
    let telegram = format!("proxy = \"socks5://127.0.0.1:{}\"", proxy.port);
    let options = |network: &_| Ok(stage::Options { telegram, ..on_cable(network) });
    let mut scene = PathStage::open(options, |_, draft| draft).await.unwrap();
    let host = SocketAddr::from((scene.network.namespace().host_address(), 0));
    let by_streams = Reflector::start(host, 1).await.unwrap();
    let by_datagrams = Reflector::start(host, 2).await.unwrap();

    let dc = scene.wire.stage.telegram().address(scene.wire.stage.telegram().home_dc()).unwrap();
    assert!(proxy.tunnels().contains(&dc.to_string()), "{:?}", proxy.tunnels());
    let report = scene.wire.gateway.control().await.unwrap().status().await.unwrap();
    for line in &report.lines {
        let reason = &line.status.telegram.reason;
        assert!(reason.contains("through the proxy") && reason.contains("direct UDP is off"), "{reason}");
    }
    let (status, said, _) = scene.wire.stage.installation.ask(&["check"], LIMIT).await.unwrap();
    let sentence = format!("telegram.proxy = socks5://127.0.0.1:{}: audio goes through it too", proxy.port);
    // Warnings alone: 1.
    assert_eq!(status.code(), Some(1), "{said}");
    assert!(said.contains(&sentence) && said.contains("direct UDP is off"), "{said}");

    // Even a call that may go directly, or by datagrams.
    let connections = vec![by_datagrams.connection(1, false), by_streams.connection(2, true)];
    let settings = CallSettings { p2p_allowed: true, connections, ..CallSettings::default() };
    scene.wire.world().configure(|world| world.calls = settings);
    let calls = scene.connect().await.unwrap();
    sleep(SETTLE).await;
    let hearings = scene.listen(&calls, TALK).await.unwrap();
    for (pair, hearing) in scene.pairs.iter().zip(&hearings) {
        let telegram = pair.told(&scene.wire).await.unwrap().quality.unwrap().telegram;
        show(&format!("behind a proxy, {:?}: {hearing}\n    {telegram:?}", pair.direction));
        hearing.check(TALK).unwrap();
        assert_eq!(telegram.path, Some(MediaPath::Reflector));
        assert_eq!(telegram.transport, Some(MediaTransport::Tcp));
    }
    let tunnels = proxy.tunnels();
    let relay = by_streams.address().to_string();
    assert_eq!(tunnels.iter().filter(|target| **target == relay).count(), 2, "{tunnels:?}");
    // Whoever has sockets on loopback alone sends nothing elsewhere.
    let sockets = datagram_sockets(scene.wire.gateway.pid().unwrap()).unwrap();
    assert!(sockets.len() >= 3 && sockets.iter().all(|socket| socket.ip().is_loopback()), "{sockets:?}");
    assert_eq!(Side::BOTH.map(|side| by_datagrams.passage(side).passed), [0, 0]);
    scene.hang_up(calls).await.unwrap();
    scene.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn sound_is_back_within_two_seconds_when_the_gateways_address_changes() {
    let options = |network: &tgtrunk_tests::bad_network::BadNetwork| {
        let namespace = network.namespace();
        let [telegram, new, ..] = namespace.further_addresses();
        // Telegram stays where it is.
        namespace.add_address(End::Host, telegram)?;
        let media_addresses = Some(vec![namespace.host_address().into(), new.into()]);
        Ok(stage::Options { address: telegram.into(), media_addresses, ..stage::Options::default() })
    };
    let mut scene = PathStage::open(options, |_, draft| draft).await.unwrap();
    let calls = scene.connect().await.unwrap();
    sleep(SETTLE).await;
    for hearing in scene.listen(&calls, TALK).await.unwrap() {
        hearing.check(TALK).unwrap();
    }

    let PathStage { pairs: [one, other], network, .. } = &mut scene;
    let (namespace, length) = (network.namespace(), Duration::from_secs(6));
    let (old, [_, new, ..]) = (namespace.host_address(), namespace.further_addresses());
    let change = async {
        sleep(SETTLE).await;
        namespace.add_address(End::Host, new)?;
        namespace.remove_address(End::Host, old)
    };
    let heard = tokio::try_join!(one.listen(&calls[0], length), other.listen(&calls[1], length), change);
    let (one, other, ()) = heard.unwrap();
    for hearing in [one, other] {
        show(&format!("address changed: {hearing}"));
        assert!(hearing.pbx_gap <= BACK_WITHIN && hearing.user_gap <= BACK_WITHIN, "{hearing}");
        assert!(hearing.pbx_ms >= 4000 && hearing.user_ms >= 4000, "{hearing}");
    }
    for hearing in scene.listen(&calls, TALK).await.unwrap() {
        hearing.check(TALK).unwrap();
    }
    for pair in &scene.pairs {
        assert_eq!(pair.told(&scene.wire).await.unwrap().state, CallState::Answered);
    }
    scene.hang_up(calls).await.unwrap();
    scene.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_outlive_15_seconds_without_a_path_and_after_25_both_sides_are_released() {
    let mut scene = PathStage::usual().await.unwrap();
    let mut calls = scene.connect().await.unwrap();
    sleep(SETTLE).await;
    scene.network.cut();
    sleep(Duration::from_secs(15)).await;
    for (pair, call) in scene.pairs.iter().zip(&calls) {
        assert!(!call.is_over() && pair.told(&scene.wire).await.is_ok(), "{:?} ended", pair.direction);
    }
    scene.network.mend();
    let mended = Instant::now();
    let [one, other] = &scene.pairs;
    let back = tokio::try_join!(one.heard_at_pbx(&calls[0], LIMIT), other.heard_at_pbx(&calls[1], LIMIT));
    let back = back.unwrap();
    show(&format!("15 s without a path: the PBX hears again after {back:?}"));
    assert!(back.0 <= BACK_WITHIN && back.1 <= BACK_WITHIN, "{back:?}");
    sleep(BACK_WITHIN.saturating_sub(mended.elapsed())).await;
    for hearing in scene.listen(&calls, TALK).await.unwrap() {
        show(&format!("after them: {hearing}"));
        hearing.check_after_outage(TALK).unwrap();
    }

    scene.network.cut();
    let cut = Instant::now();
    for (pair, call) in scene.pairs.iter_mut().zip(&mut calls) {
        let bye = call.request("BYE", Duration::from_secs(25)).await.unwrap();
        let reason = bye.header("Reason").unwrap_or_default();
        assert!(reason.starts_with("Q.850;cause=41;"), "{reason}");
        let discarded = pair.user.wait_for("discarded", SETTLE).await.unwrap();
        assert_eq!(discarded["reason"], "PhoneCallDiscardReasonDisconnect");
        let after = cut.elapsed();
        show(&format!("no path any more, {:?}: both know after {after:?}, {reason}", pair.direction));
        assert!((18.0..25.0).contains(&after.as_secs_f64()), "{after:?}");
        scene.wire.no_calls_of(&pair.post.line).await.unwrap();
    }
    scene.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_telegram_caller_hears_what_the_pbx_plays_before_it_answers_or_that_it_rings() {
    let mut scene = PathStage::open(
        |network| Ok(on_cable(network)),
        |number, draft| if number == 1 { draft.set("early_answer", "ringing") } else { draft },
    )
    .await
    .unwrap();
    for pair in &mut scene.pairs {
        let rings = pair.direction == Direction::TelegramToPbx;
        let mut call = pair.call_in().await.unwrap();
        if rings {
            call.respond(180, "Ringing", &[]);
        } else {
            call.play_early().unwrap();
        }
        pair.user.wait_for("connected", LIMIT).await.unwrap();
        sleep(SETTLE).await;
        let length = Duration::from_secs(if rings { 10 } else { 3 });
        let before = pair.listen(&call, length).await.unwrap();
        let ringback = tone::share(&before.user_heard.samples, RINGBACK_HZ);
        show(&format!("before the answer, rings: {rings}: {before}, {:.2} % ringback", ringback * 100.0));
        assert!(!call.has_answer());
        assert_eq!(pair.told(&scene.wire).await.unwrap().state, CallState::Ringing);
        if rings {
            // One second of five.
            assert!(ringback >= 0.98 && (1800..=2300).contains(&before.user_ms), "{ringback} {before}");
        } else {
            assert!(before.user_share >= 0.98 && before.user_ms >= 2850, "{before}");
        }

        call.answer().unwrap();
        call.request("ACK", LIMIT).await.unwrap();
        sleep(SETTLE).await;
        let after = pair.listen(&call, TALK).await.unwrap();
        show(&format!("after it: {after}"));
        after.check(TALK).unwrap();
        assert_eq!(pair.told(&scene.wire).await.unwrap().state, CallState::Answered);
        call.bye(&[]);
        pair.user.wait_for("stopped", LIMIT).await.unwrap();
        scene.wire.no_calls_of(&pair.post.line).await.unwrap();
    }
    scene.close().await.unwrap();
}

/// Calls go by these servers alone from now on.
fn relayed(scene: &PathStage, connections: Vec<Connection>) {
    let settings = CallSettings { p2p_allowed: false, connections, ..CallSettings::default() };
    scene.wire.world().configure(|world| world.calls = settings);
}

/// Figures of a leg that is well, four seconds in; the gateway may have looked at it a few seconds ago.
fn assert_good(leg: &LegQuality) {
    assert_eq!((leg.codec.as_str(), leg.concealed_permille), ("opus", 0), "{leg:?}");
    assert!((20..=60).contains(&leg.ptime_ms), "{leg:?}");
    // Packets of 20 to 60 ms each way.
    assert!((15..1000).contains(&leg.packets_in) && (15..1000).contains(&leg.packets_out), "{leg:?}");
    assert!(leg.lost * 50 <= leg.packets_in && leg.jitter_ms < 60, "{leg:?}");
    assert!(leg.mos_hundredths.is_some_and(|mos| (380..=500).contains(&mos)), "{leg:?}");
}
