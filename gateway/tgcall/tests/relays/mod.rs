//! Calls through relays, over a network that exists only here: TURN by an independent server, reflectors by a stand-in.

use std::time::Duration;

use crate::network::{Conditions, Servers, World, ms, parameters, start, turn};
use tgcall::{Local, PathKind, PathTransport, Purpose, Server, Version};

const CALLER: usize = 0;
const CALLEE: usize = 1;
const ADDRESSES: [&str; 2] = ["10.0.0.1:4000", "10.0.0.2:5000"];
const TURN: &str = "192.0.2.1:3478";
const REFLECTORS: [&str; 2] = ["192.0.2.11:599", "192.0.2.12:598"];
const S: Duration = Duration::from_secs(1);
/// On each of the two hops: a fifth is lost in all.
const LOSSY: f64 = 0.1056;

#[test]
fn relays_of_every_kind_carry_audio_and_no_address_of_ours() {
    for kind in [PathKind::Turn, PathKind::Reflector] {
        for transport in [PathTransport::Udp, PathTransport::Tcp] {
            let mut world = relay_only(kind, transport == PathTransport::Tcp, Conditions::LAN, 31);
            world.listen_in();
            world.run(5 * S);
            for end in [CALLER, CALLEE] {
                let connected = world.connected_after(end);
                assert!(
                    connected.is_some_and(|after| after < ms(400)),
                    "{kind:?} {transport:?}: {connected:?}"
                );
                let path = world.call(end).path().unwrap();
                assert_eq!((path.kind, path.transport), (kind, transport));
                assert!(path.round_trip.is_some_and(|time| time < ms(20)), "{path:?}");
                assert!(world.sent(end) > 220);
                assert!(world.received(1 - end) + 1 >= world.sent(end), "{kind:?} {transport:?}");
            }
            assert_eq!(world.direct, 0, "nothing went from end to end");
            for seen in &world.seen {
                let text = format!("{seen:?}");
                assert!(seen.len() >= 3, "{text}");
                assert!(!text.contains("10.0."), "{text}");
                assert!(!text.contains("typ host") && !text.contains("typ srflx"), "{text}");
            }
        }
    }
}

#[test]
fn a_socket_that_calls_share_speaks_to_peers_and_one_for_relays_to_servers() {
    for kind in [PathKind::Turn, PathKind::Reflector] {
        let mut servers = Servers::default();
        let server = match kind {
            PathKind::Turn => servers.add_turn(TURN),
            PathKind::Reflector | PathKind::Direct => servers.add_reflector(1, REFLECTORS[0], false),
        };
        let places = [["10.0.0.1:4000", "10.0.0.1:4001"], ["10.0.0.2:5000", "10.0.0.2:5001"]];
        let places = places.map(|both| both.map(|place| place.parse().unwrap()));
        let ends = [CALLER, CALLEE].map(|end| {
            let mut parameters = parameters(Version::V13, end == CALLER, 93, &[ADDRESSES[end]]);
            let [shared, own] = places[end];
            parameters.local_addresses = vec![
                Local { address: shared, purpose: Purpose::Direct },
                Local { address: own, purpose: Purpose::Relays },
            ];
            parameters.servers = vec![server.clone()];
            parameters
        });
        let mut world = World::with_parameters(93, Conditions::LAN, servers, ends);
        world.listen_in();
        world.run(4 * S);
        let path = |world: &World, end: usize| world.call(end).path().unwrap();
        let direct = (PathKind::Direct, Some(places[CALLER][0]));
        assert_eq!((path(&world, CALLER).kind, path(&world, CALLER).local), direct);
        let told = format!("{:?}", world.seen);
        assert!(
            told.contains(" 4000 typ host") && !told.contains(" 4001 ") && !told.contains(" 5001 "),
            "{told}"
        );
        // The peers reach each other no more.
        world.walled = true;
        world.run(8 * S);
        // One end may speak to the other's relay itself.
        let paths = [CALLER, CALLEE].map(|end| path(&world, end));
        assert!(paths.iter().any(|path| path.kind == kind), "{paths:?}");
        for (path, [shared, own]) in paths.iter().zip(&places) {
            assert_eq!(path.local, Some(if path.kind == kind { *own } else { *shared }), "{paths:?}");
        }
        // Where the shared one will not do, the other is for everything.
        world.walled = false;
        world.plug_in(CALLER, "10.0.0.1:4001");
        world.run(4 * S);
        let path = path(&world, CALLER);
        assert_eq!((path.kind, path.local), (PathKind::Direct, Some(places[CALLER][1])), "{kind:?}");
        assert_eq!(world.call(CALLER).peers(places[CALLER][1]).collect::<Vec<_>>()[0], places[CALLEE][0]);
        let before = world.received(CALLEE);
        world.run(S);
        assert!(world.received(CALLEE) - before >= 49);
    }
}

#[test]
fn a_lossy_way_to_the_relay_costs_no_more_than_it_loses() {
    let mut connected = Vec::new();
    for (kind, seed) in [PathKind::Turn, PathKind::Reflector].into_iter().cycle().zip(40..52) {
        let mut world = relay_only(kind, false, Conditions { loss: LOSSY, ..Conditions::BAD }, seed);
        world.conditions.duplicates = 0.0;
        world.refuse_streams = true;
        world.run(20 * S);
        let before = [CALLER, CALLEE].map(|end| (world.sent(end), world.received(1 - end)));
        world.run(20 * S);
        for end in [CALLER, CALLEE] {
            connected.push(world.connected_after(end).unwrap_or_else(|| panic!("{kind:?}, seed {seed}")));
            let (sent, received) = (world.sent(end) - before[end].0, world.received(1 - end) - before[end].1);
            let share = received as f64 / sent as f64;
            assert!((0.72..0.88).contains(&share), "{kind:?}, seed {seed}: {received} of {sent}");
        }
    }
    connected.sort_unstable();
    assert!(connected[connected.len() / 2] < 3 * S, "{connected:?}");
}

#[test]
fn streams_are_the_last_resort_and_a_proxys_only_way() {
    for kind in [PathKind::Turn, PathKind::Reflector] {
        let mut world = relay_only(kind, false, Conditions::LAN, 60);
        world.run(10 * S);
        assert_eq!(world.stream_orders, 0, "UDP does");
        assert!(world.call(CALLER).is_connected());
    }
    let mut world = relay_only(PathKind::Turn, false, Conditions { loss: 1.0, ..Conditions::LAN }, 61);
    world.run(10 * S);
    for end in [CALLER, CALLEE] {
        let path = world.call(end).path().unwrap();
        assert_eq!((path.kind, path.transport, path.local), (PathKind::Turn, PathTransport::Tcp, None));
        assert!(world.connected_after(end).unwrap() < 4 * S);
    }
}

#[test]
fn a_stream_that_breaks_is_replaced() {
    for kind in [PathKind::Turn, PathKind::Reflector] {
        for end in [CALLER, CALLEE] {
            let mut world = relay_only(kind, true, Conditions::LAN, 62);
            world.run(5 * S);
            world.cut_streams(end);
            world.run(4 * S);
            let before = [world.received(CALLER), world.received(CALLEE)];
            world.run(2 * S);
            for end in [CALLER, CALLEE] {
                assert!(world.call(end).is_connected(), "{kind:?}");
                assert!(world.received(end) - before[end] > 90, "{kind:?}");
            }
        }
    }
}

#[test]
fn a_place_behind_a_reflector_that_closes_its_streams_is_told_of_once() {
    let mut world = relay_only(PathKind::Reflector, true, Conditions::LAN, 76);
    world.listen_in();
    world.run(5 * S);
    let told = |world: &World| {
        let text = format!("{:?}", world.seen);
        text.matches("candidate:").count()
    };
    let before = told(&world);
    for _ in 0..5 {
        world.cut_streams(CALLER);
        world.run(3 * S);
    }
    let heard = world.received(CALLER);
    world.run(2 * S);
    assert!(world.received(CALLER) - heard > 95);
    assert!(before >= 4 && told(&world) == before, "{before}, then {}", told(&world));
}

#[test]
fn streams_that_die_without_a_word_in_an_outage_are_replaced() {
    for kind in [PathKind::Turn, PathKind::Reflector] {
        for ends in [&[CALLER][..], &[CALLEE], &[CALLER, CALLEE]] {
            let mut world = relay_only(kind, true, Conditions::LAN, 73);
            world.run(5 * S);
            ends.iter().for_each(|end| world.freeze_streams(*end));
            world.stalls_streams = true;
            world.run(15 * S);
            world.stalls_streams = false;
            world.run(2 * S);
            let before = [world.received(CALLER), world.received(CALLEE)];
            world.run(2 * S);
            for end in [CALLER, CALLEE] {
                assert!(world.call(end).is_connected(), "{kind:?} {ends:?}");
                assert!(world.received(end) - before[end] > 95, "{kind:?} {ends:?}, heard by {end}");
                assert!(world.open_streams(end) <= 2, "dead ones are closed");
            }
        }
    }
}

#[test]
fn streams_are_replaced_when_the_machines_addresses_change() {
    for kind in [PathKind::Turn, PathKind::Reflector] {
        for end in [CALLER, CALLEE] {
            let mut world = relay_only(kind, true, Conditions::LAN, 74);
            world.run(5 * S);
            world.change_network(end);
            world.run(S);
            let before = [world.received(CALLER), world.received(CALLEE)];
            world.run(2 * S);
            for at in [CALLER, CALLEE] {
                assert!(world.received(at) - before[at] > 95, "{kind:?}, {end} moved, heard by {at}");
            }
        }
    }
}

#[test]
fn streams_that_are_used_beside_sockets_have_to_prove_themselves_after_a_move() {
    for kind in [PathKind::Turn, PathKind::Reflector] {
        for dies in [true, false] {
            let mut world = relay_only_beside_sockets(kind, 75);
            world.run(10 * S);
            assert_eq!(world.call(CALLER).path().unwrap().transport, PathTransport::Tcp);
            let orders = world.stream_orders;
            if dies {
                world.freeze_streams(CALLER);
            }
            world.plug_in(CALLER, "10.0.7.7:7000");
            world.unplug(CALLER, ADDRESSES[CALLER]);
            world.run(2 * S);
            let before = [world.received(CALLER), world.received(CALLEE)];
            world.run(2 * S);
            for at in [CALLER, CALLEE] {
                assert!(world.received(at) - before[at] > 95, "{kind:?} {dies}, heard by {at}");
            }
            assert_eq!(world.stream_orders > orders, dies, "a stream that works is kept");
        }
    }
}

#[test]
fn a_direct_way_is_preferred_and_a_relay_helps_where_there_is_none() {
    let mut servers = Servers::default();
    let list = vec![servers.add_turn(TURN), servers.add_reflector(7, REFLECTORS[0], false)];
    let mut world = World::with_parameters(63, Conditions::LAN, servers, both(&list, true, false));
    world.run(15 * S);
    for end in [CALLER, CALLEE] {
        assert_eq!(world.call(end).path().unwrap().kind, PathKind::Direct);
    }
    for list in [list[..1].to_vec(), list[1..].to_vec(), list] {
        let mut servers = Servers::default();
        servers.add_turn(TURN);
        servers.add_reflector(7, REFLECTORS[0], false);
        // Each end sits behind a router that lets in nothing but answers of servers.
        let mut world = World::with_parameters(64, Conditions::LAN, servers, both(&list, true, false));
        world.walled = true;
        world.run(5 * S);
        // One end may speak to the other's relay itself.
        let kinds = [CALLER, CALLEE].map(|end| world.call(end).path().unwrap().kind);
        assert_ne!(kinds, [PathKind::Direct; 2]);
        for end in [CALLER, CALLEE] {
            assert!(world.received(end) > 200);
        }
    }
}

#[test]
fn ends_that_share_one_of_their_servers_meet_there() {
    let mut servers = Servers::default();
    let [first, second] =
        [(3, REFLECTORS[0]), (-4, REFLECTORS[1])].map(|(id, at)| servers.add_reflector(id, at, false));
    // The caller's first is dead; numbers are the same on both sides.
    let dead = Server::Reflector {
        id: 3,
        ipv4: Some("192.0.2.99".parse().unwrap()),
        ipv6: None,
        port: 599,
        peer_tag: [1; 16],
        is_tcp: false,
    };
    let mut parameters = both(&[first, second.clone()], false, false);
    parameters[CALLER].servers = vec![dead, second];
    let mut world = World::with_parameters(65, Conditions::LAN, servers, parameters);
    world.run(3 * S);
    for end in [CALLER, CALLEE] {
        assert_eq!(world.call(end).path().unwrap().remote, REFLECTORS[1].parse().unwrap());
    }
}

#[test]
fn wrong_credentials_leave_only_that_relay_out() {
    let mut servers = Servers::default();
    servers.add_turn(TURN);
    let list = [turn(TURN.parse().unwrap(), "wrong"), servers.add_reflector(1, REFLECTORS[0], false)];
    let mut world = World::with_parameters(66, Conditions::LAN, servers, both(&list, false, false));
    world.run(3 * S);
    for end in [CALLER, CALLEE] {
        assert_eq!(world.call(end).path().unwrap().kind, PathKind::Reflector);
    }
}

#[test]
fn standalone_reflectors_need_no_word_of_candidates() {
    let mut servers = Servers::default();
    let list = [servers.add_reflector(1, REFLECTORS[0], false)];
    let mut parameters = both(&list, false, false);
    for parameters in &mut parameters {
        parameters.custom_parameters = Some(r#"{"network_standalone_reflectors":true}"#.to_owned());
    }
    let mut world = World::with_parameters(67, Conditions::LAN, servers, parameters);
    world.listen_in();
    world.run(3 * S);
    for end in [CALLER, CALLEE] {
        assert_eq!(world.call(end).path().unwrap().kind, PathKind::Reflector);
        assert!(!format!("{:?}", world.seen[end]).contains("candidate:"));
    }
}

#[test]
fn a_relayed_call_outlives_allocations_and_permissions() {
    for kind in [PathKind::Turn, PathKind::Reflector] {
        let mut world = relay_only(kind, false, Conditions::LAN, 68);
        world.run(2 * S);
        world.hush();
        let before = [CALLER, CALLEE].map(|end| world.wake_ups(end));
        world.run(1500 * S);
        for end in [CALLER, CALLEE] {
            let a_minute = (world.wake_ups(end) - before[end]) / 25;
            assert!(a_minute <= 60, "{kind:?}: {a_minute} wake-ups a minute");
            assert!(world.call(end).is_connected(), "{kind:?}");
            assert_eq!(world.events(end), [tgcall::Event::Connected], "{kind:?}");
        }
    }
}

#[test]
fn a_relayed_call_survives_an_outage_of_fifteen_seconds_and_no_more_than_twenty() {
    for kind in [PathKind::Turn, PathKind::Reflector] {
        for (outage, survives) in [(15 * S, true), (25 * S, false)] {
            let mut world = relay_only(kind, false, Conditions::LAN, 69);
            world.refuse_streams = true;
            world.run(3 * S);
            world.conditions.loss = 1.0;
            world.run(outage);
            world.conditions.loss = 0.0;
            let before = [world.received(CALLER), world.received(CALLEE)];
            world.run(6 * S);
            for end in [CALLER, CALLEE] {
                assert_eq!(world.call(end).is_connected(), survives, "{kind:?} {outage:?}");
                assert!(!survives || world.received(end) - before[end] > 150, "{kind:?}");
            }
        }
    }
}

#[test]
fn media_over_a_relay_needs_no_new_memory() {
    for kind in [PathKind::Turn, PathKind::Reflector] {
        let mut world = relay_only(kind, false, Conditions::LAN, 70);
        world.run(3 * S);
        world.hush();
        let format = world.call(CALLER).outgoing().unwrap();
        let now = start() + world.elapsed();
        let mut packet = Vec::with_capacity(1500);
        let before = packet.as_ptr();
        for sequence in 5000..5100_u16 {
            packet.clear();
            packet.extend_from_slice(&[0x80, format.payload_type]);
            packet.extend_from_slice(&sequence.to_be_bytes());
            packet.extend_from_slice(&[0; 4]);
            packet.extend_from_slice(&format.ssrc.to_be_bytes());
            packet.extend_from_slice(&[7; 81]);
            assert!(world.call_mut(CALLER).protect(now, &mut packet).is_some());
            assert!(packet.len() > 12 + 81 + 10 + 3 && packet.as_ptr() == before);
        }
    }
}

#[test]
fn allocations_are_given_back_at_the_end() {
    let mut world = relay_only(PathKind::Turn, false, Conditions::LAN, 71);
    world.run(3 * S);
    assert_eq!(world.servers.lent(), 2);
    world.close(CALLER);
    world.run(S);
    assert_eq!(world.servers.lent(), 0);
}

#[test]
fn no_bytes_of_a_server_make_a_call_panic() {
    for kind in [PathKind::Turn, PathKind::Reflector] {
        for is_stream in [false, true] {
            let mut world = relay_only(kind, is_stream, Conditions::LAN, 72);
            for time in [ms(0), ms(1), ms(30), S] {
                world.run(time);
                world.pour_junk_from(if kind == PathKind::Turn { TURN } else { REFLECTORS[0] }, 2_000);
            }
        }
    }
}

fn relay_only(kind: PathKind, only_streams: bool, conditions: Conditions, seed: u64) -> World {
    let mut servers = Servers::default();
    let list = match kind {
        PathKind::Turn => vec![servers.add_turn(TURN)],
        PathKind::Reflector | PathKind::Direct => {
            let server =
                |(id, address): (usize, &&str)| servers.add_reflector(id as i64 - 1, address, only_streams);
            REFLECTORS.iter().enumerate().map(server).collect()
        }
    };
    World::with_parameters(seed, conditions, servers, both(&list, false, only_streams))
}

/// Where UDP does not pass, so that streams are used after all.
fn relay_only_beside_sockets(kind: PathKind, seed: u64) -> World {
    let mut servers = Servers::default();
    let list = match kind {
        PathKind::Turn => vec![servers.add_turn(TURN)],
        PathKind::Reflector | PathKind::Direct => {
            [false, true].map(|is_tcp| servers.add_reflector(1, REFLECTORS[0], is_tcp)).to_vec()
        }
    };
    World::with_parameters(
        seed,
        Conditions { loss: 1.0, ..Conditions::LAN },
        servers,
        both(&list, false, false),
    )
}

fn both(servers: &[Server], p2p_allowed: bool, only_streams: bool) -> [tgcall::Parameters; 2] {
    [CALLER, CALLEE].map(|end| {
        let mut parameters = parameters(Version::V13, end == CALLER, 80, &ADDRESSES[end..=end]);
        parameters.p2p_allowed = p2p_allowed;
        parameters.only_streams = only_streams;
        parameters.servers = servers.to_vec();
        parameters
    })
}
