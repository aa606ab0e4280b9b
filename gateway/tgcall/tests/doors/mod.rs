//! The short way of sound beside the long one: two worlds with the same luck, and only one of them has both.

use std::time::{Duration, Instant};

use tgcall::{Counters, Event, PathInfo, Version};

use crate::network::{Conditions, Random, Servers, World, ms, parameters};

const CALLER: usize = 0;
const CALLEE: usize = 1;

/// All that shows of a call.
#[derive(Debug, PartialEq)]
struct Shown {
    events: Vec<(Duration, Event)>,
    counters: Counters,
    path: Option<PathInfo>,
    due: Option<Instant>,
    is_connected: bool,
    heard: Vec<u16>,
    control: usize,
    sent: usize,
    wake_ups: usize,
}

#[test]
fn sound_that_goes_the_short_way_changes_nothing_but_the_work() {
    let (mut short, mut all) = ([0, 0], 0);
    let mut moves = 0;
    for seed in 0..60 {
        let mut worlds = [false, true].map(|detours| {
            let mut world = world(seed);
            world.detours = detours;
            // The one thing that the two worlds throw dice for apart is when DTLS repeats a flight.
            world.run(Duration::from_secs(2));
            world
        });
        let mut luck = Random::new(1_000 + seed);
        for step in 0..25 {
            let (what, end, time) = (luck.below(18), luck.below(2) as usize, ms(20 + luck.below(900)));
            for world in &mut worlds {
                befall(world, what, end);
                world.run(time);
            }
            let [with, without] = &mut worlds;
            for end in [CALLER, CALLEE] {
                let (with, without) = (shown(with, end), shown(without, end));
                assert_eq!(with, without, "seed {seed}, step {step}, {what} befell end {end}");
            }
        }
        let [with, without] = &worlds;
        assert_eq!(without.short, [0, 0]);
        for end in [CALLER, CALLEE] {
            let counters = with.call(end).counters();
            all += counters.rtp_in;
            moves += usize::from(counters.forged + counters.replayed + counters.stray > 0);
        }
        short = [short[0] + with.short[0], short[1] + with.short[1]];
    }
    // Calls move through relays too, and are lost and found again; the others take it all the time.
    assert!(short.iter().all(|count| *count as u64 * 2 > all), "{short:?} of {all}");
    assert!(moves > 30, "strangers came by: {moves}");
}

#[test]
fn a_call_that_nothing_disturbs_takes_the_short_way_from_the_first_packet_on() {
    for version in Version::OURS {
        let mut world = World::new(version, 51, Conditions::LAN);
        world.run(Duration::from_secs(5));
        let sent: usize = [CALLER, CALLEE].map(|end| world.sent(end)).iter().sum();
        assert!(sent > 400);
        assert_eq!(world.short[0], sent, "{version}");
        // The caller's first packets may come before the callee has noticed that it is connected.
        assert!(world.short[1] + 4 >= sent, "{version}: {} of {sent}", world.short[1]);
    }
}

/// Something happens, the same in both worlds.
fn befall(world: &mut World, what: u64, end: usize) {
    match what {
        0 => world.conditions.loss = 0.3,
        1 => world.conditions.loss = 1.0,
        2 | 3 => world.conditions = Conditions::LAN,
        4 => world.conditions = Conditions::BAD,
        5 => world.forge = !world.forge,
        6 => world.deaf = if world.deaf.is_some() { None } else { Some(end) },
        7 => world.rebind(end, "10.0.0.99:9999"),
        8 => world.set_muted(end, true),
        9 => world.set_muted(end, false),
        10 => world.walled = !world.walled,
        11 => world.without_dtls = true,
        12 if !world.has(end, "10.0.7.7:7000") => world.plug_in(end, "10.0.7.7:7000"),
        13 if world.has(end, "10.0.7.7:7000") => world.unplug(end, "10.0.7.7:7000"),
        14 => drop(world.send_control(end, hex::decode("80cf000400001111050000020000000000000000").unwrap())),
        15 if world.elapsed() > Duration::from_secs(8) => world.close(end),
        _ => {}
    }
}

/// Every third has relays beside the straight way.
fn world(seed: u64) -> World {
    let version = Version::OURS[seed as usize % Version::OURS.len()];
    if !seed.is_multiple_of(3) {
        return World::new(version, seed, Conditions::LAN);
    }
    let mut servers = Servers::default();
    let list = [servers.add_turn("192.0.2.1:3478"), servers.add_reflector(1, "192.0.2.11:599", false)];
    let both = [("10.0.0.1:4000", true), ("10.0.0.2:5000", false)].map(|(address, is_caller)| {
        let mut parameters = parameters(version, is_caller, seed, &[address]);
        parameters.servers = list.to_vec();
        parameters
    });
    World::with_parameters(seed, Conditions::LAN, servers, both)
}

fn shown(world: &mut World, end: usize) -> Shown {
    let due = world.call_mut(end).poll_timeout();
    let call = world.call(end);
    Shown {
        counters: call.counters(),
        path: call.path(),
        due,
        is_connected: call.is_connected(),
        events: world.timed_events(end).to_vec(),
        heard: world.heard(end).to_vec(),
        control: world.received_control(end).len(),
        sent: world.sent(end),
        wake_ups: world.wake_ups(end),
    }
}
