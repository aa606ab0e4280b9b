//! The call protocol against ntgcalls when neither may learn the other's address: by TURN (coturn) and by reflectors, over
//! UDP and TCP, each version, both roles; and what the two told each other about themselves.
//!
//! ntgcalls reaches TURN servers by UDP alone, so in calls by TURN over TCP it is our side that does; reflectors it
//! reaches either way.

#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use tgcall::{Event, PathKind, PathTransport, Version};
use tgtrunk_test_telegram::reflector::{Reflector, Side};
use tgtrunk_test_telegram::world::Connection;
use tgtrunk_tests::coturn::Coturn;
use tgtrunk_tests::netns::Namespace;
use tgtrunk_tests::ntgcalls::Ntgcalls;
use tgtrunk_tests::ports;
use tgtrunk_tests::tgcall_end::{Options, TgcallEnd};

/// How long both play.
const TONE_MS: u64 = 3_000;
const PEER_TAG: &str = "000102030405060708090a0b0c0d0e0f";

#[tokio::test(flavor = "multi_thread")]
async fn calls_by_turn_over_udp() {
    each(Relay::Turn, PathTransport::Udp).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_by_turn_over_tcp() {
    each(Relay::Turn, PathTransport::Tcp).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_by_reflector_over_udp() {
    each(Relay::Reflector, PathTransport::Udp).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_by_reflector_over_tcp() {
    each(Relay::Reflector, PathTransport::Tcp).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_over_ipv6_direct_and_by_each_relay() {
    let namespace = Namespace::new().unwrap();
    let [ours, _] = namespace.add_ipv6().unwrap().map(IpAddr::V6);
    let turn = Coturn::start(None, SocketAddr::new(ours, ports::free().unwrap())).await.unwrap();
    let reflector = Reflector::start(SocketAddr::new(ours, 0), 1).await.unwrap();
    let direct = Options { tone_ms: TONE_MS, ..Options::direct(Version::V13, true, ours) };
    for (kind, options) in [
        (PathKind::Direct, direct.clone()),
        (PathKind::Turn, direct.clone().relayed(vec![turn.connection(1)])),
        (PathKind::Reflector, direct.clone().relayed(vec![tagged(reflector.connection(1, false))])),
    ] {
        let peer = Ntgcalls::start(Some(&namespace), &options.peer()).await.unwrap();
        let mut end = TgcallEnd::start(options, peer).await.unwrap();
        end.go_on(Duration::from_secs(15), |end| end.sent_ms() == TONE_MS).await.unwrap();
        end.go_on(Duration::from_secs(1), |_| false).await.unwrap();
        let path = end.path().unwrap_or_else(|| panic!("{kind:?}: {:?}", end.events));
        assert!(path.kind == kind && path.remote.is_ipv6(), "{path:?}");
        let theirs = end.peer.heard().await.unwrap();
        assert!(theirs.tone_share >= 0.98 && end.heard().1 >= 0.98, "{kind:?}: {theirs:?}");
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Relay {
    Turn,
    Reflector,
}

/// A call in each version and each role.
async fn each(relay: Relay, transport: PathTransport) {
    for version in Version::OURS {
        for is_caller in [true, false] {
            let what = format!("{relay:?} over {transport:?}, {version:?}, we call: {is_caller}");
            let call = one(relay, transport, version, is_caller);
            Box::pin(call).await.unwrap_or_else(|error| panic!("{what}: {error:#}"));
        }
    }
}

async fn one(
    relay: Relay,
    transport: PathTransport,
    version: Version,
    is_caller: bool,
) -> anyhow::Result<()> {
    let namespace = Namespace::new()?;
    let ours = IpAddr::V4(namespace.host_address());
    let turn = match relay {
        Relay::Turn => Some(Coturn::start(None, SocketAddr::new(ours, ports::free()?)).await?),
        Relay::Reflector => None,
    };
    let reflector = Reflector::start(SocketAddr::new(ours, 0), 1).await?;
    let connections = vec![match &turn {
        Some(turn) => turn.connection(1),
        None => tagged(reflector.connection(1, transport == PathTransport::Tcp)),
    }];
    let mut options = Options::direct(version, is_caller, ours).relayed(connections);
    options.tone_ms = TONE_MS;
    options.only_streams = turn.is_some() && transport == PathTransport::Tcp;
    let peer = Ntgcalls::start(Some(&namespace), &options.peer()).await?;
    let mut end = TgcallEnd::start(options.clone(), peer).await?;
    end.go_on(Duration::from_secs(20), |end| end.connected().is_some()).await?;
    assert!(end.connected().is_some(), "not connected: {:?} {:?}", end.events, reflector.counters());
    end.go_on(Duration::from_secs(10), |end| end.sent_ms() == options.tone_ms).await?;
    end.go_on(Duration::from_millis(1_000), |_| false).await?;

    let theirs = end.peer.heard().await?;
    let (received_ms, share) = end.heard();
    assert!(share >= 0.98 && theirs.tone_share >= 0.98, "{share} {theirs:?}");
    // What is sent before ntgcalls' own path is up, and the first and last 60 to 80 ms of its file, are not heard.
    assert!(
        theirs.received_ms + 100 >= options.tone_ms && received_ms + 300 >= options.tone_ms,
        "{received_ms} {theirs:?}"
    );
    assert!(!end.saw(|event| matches!(event, Event::Failed(_) | Event::Reconnecting)), "{:?}", end.events);
    let path = end.path().unwrap();
    let kind = if relay == Relay::Turn { PathKind::Turn } else { PathKind::Reflector };
    assert_eq!((path.kind, path.transport), (kind, transport), "{path:?}");

    assert_nothing_given_away(&end, &namespace, turn.as_ref(), &reflector);
    match &turn {
        Some(turn) => {
            let seen = turn.seen();
            assert!(seen.allocations >= 2, "{seen:?}\n{}", turn.log());
            assert_eq!(seen.streams > 0, transport == PathTransport::Tcp, "{seen:?}");
        }
        None => {
            let (counters, tcp) = (reflector.counters(), transport == PathTransport::Tcp);
            assert_eq!((counters.malformed, counters.overrun), (0, 0), "{counters:?}");
            assert_eq!(
                (counters.udp_forwarded == 0, counters.tcp_forwarded == 0),
                (tcp, !tcp),
                "{counters:?}"
            );
            // The sound went through it, and it is most of what did.
            let passed = Side::BOTH.map(|side| reflector.passage(side).passed);
            let (packets, came) = (options.tone_ms / 20, end.came.len() as u64);
            let [ours, theirs] = if options.is_caller { passed } else { [passed[1], passed[0]] };
            assert!((packets..packets + 60).contains(&ours), "{passed:?}, {packets} sent");
            assert!((came..came + 60).contains(&theirs), "{passed:?}, {came} came");
        }
    }

    end.peer.hang_up().await?;
    // Where ntgcalls would crash at the end of a call, it leaves without a word.
    if kind == PathKind::Turn || transport == PathTransport::Udp {
        end.go_on(Duration::from_secs(5), |end| end.saw(|event| *event == Event::Closed)).await?;
        assert!(end.saw(|event| *event == Event::Closed), "{:?}", end.events);
    }
    end.peer.gone().await
}

/// In all that the two told each other there is no address but the relays'.
fn assert_nothing_given_away(
    end: &TgcallEnd,
    namespace: &Namespace,
    turn: Option<&Coturn>,
    reflector: &Reflector,
) {
    for tap in &end.taps {
        let messages = tap.messages().unwrap();
        assert!(messages.iter().any(|message| message["@type"] == "InitialSetup"), "{messages:?}");
        let candidates = tap.candidates().unwrap();
        assert!(!candidates.is_empty(), "{messages:?}");
        for candidate in &candidates {
            let port = candidate.port;
            let is_relays = match (turn, candidate.address.parse::<IpAddr>()) {
                (Some(turn), Ok(address)) => turn.relays_on(SocketAddr::new(address, port)),
                (None, Err(_)) => {
                    let name = candidate.address.strip_prefix("reflector-1-");
                    name.is_some_and(|rest| rest.ends_with(".reflector"))
                        && port == reflector.address().port()
                }
                (Some(_), Err(_)) | (None, Ok(_)) => false,
            };
            assert!(is_relays && candidate.kind == "relay" && candidate.related.is_none(), "{candidate:?}");
        }
        // The relay has our host's address, the peer's host has another.
        let told = messages.iter().map(ToString::to_string).collect::<String>();
        assert!(!told.contains(&namespace.inside_address().to_string()), "{told}");
        assert_eq!(told.contains(&namespace.host_address().to_string()), turn.is_some(), "{told}");
    }
}

fn tagged(connection: Connection) -> Connection {
    match connection {
        Connection::Reflector { id, ip, ipv6, port, tcp, .. } => {
            Connection::Reflector { id, ip, ipv6, port, tcp, peer_tag: PEER_TAG.to_owned() }
        }
        Connection::Webrtc { .. } => connection,
    }
}
