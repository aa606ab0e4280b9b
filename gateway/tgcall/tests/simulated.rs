//! Whole calls between two ends over a network that exists only here: loss, delay, reordering, repetition, forgery,
//! and a clock that jumps from one event to the next.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, unreachable_pub)]

mod doors;
mod moves;
mod network;
mod relays;
mod shared;

use std::time::Duration;

use network::{Conditions, World, ms};
use tgcall::{Call, CallError, Event, FAIL_AFTER, Failure, PathFailure, Version};

const CALLER: usize = 0;
const CALLEE: usize = 1;

#[test]
fn every_version_carries_audio_both_ways() {
    for version in Version::OURS {
        let mut world = World::new(version, 1, Conditions::LAN);
        world.run(Duration::from_secs(5));
        for end in [CALLER, CALLEE] {
            let connected = world.connected_after(end).unwrap();
            assert!(connected < ms(100), "{version}: end {end} connected after {connected:?}");
            assert!(world.sent(end) > 230, "{version}: end {end} sent {}", world.sent(end));
            assert_eq!(
                world.received(1 - end),
                world.sent(end),
                "{version}: all of end {end}'s audio arrived"
            );
            assert_eq!(world.events(end).iter().filter(|event| matches!(event, Event::Connected)).count(), 1);
        }
        world.assert_nothing_refused();
    }
}

#[test]
fn bad_networks_delay_calls_and_cost_no_more_than_they_lose() {
    let mut connected = Vec::new();
    for (version, seed) in Version::OURS.into_iter().cycle().zip(100..116) {
        let mut world = World::new(version, seed, Conditions::BAD);
        world.run(FAIL_AFTER);
        for end in [CALLER, CALLEE] {
            connected.push(world.connected_after(end).unwrap_or_else(|| panic!("{version}, seed {seed}")));
        }
        let before = [CALLER, CALLEE].map(|end| (world.sent(end), world.received(1 - end)));
        world.run(Duration::from_secs(20));
        for end in [CALLER, CALLEE] {
            assert!(world.call(end).is_connected(), "{version}, seed {seed}");
            let (sent, received) = (world.sent(end) - before[end].0, world.received(1 - end) - before[end].1);
            let share = received as f64 / sent as f64;
            // 15 % are lost, some of them not with their second copy.
            assert!(
                (0.80..0.92).contains(&share),
                "{version}, seed {seed}: {received} of {sent} of end {end}"
            );
        }
    }
    connected.sort_unstable();
    assert!(connected[connected.len() / 2] < Duration::from_secs(3), "{connected:?}");
}

#[test]
fn calls_connect_soon_where_a_third_of_all_packets_is_lost() {
    let mut connected = Vec::new();
    for (version, seed) in Version::OURS.into_iter().cycle().zip(200..400) {
        let mut world = World::new(version, seed, Conditions { loss: 0.35, ..Conditions::LAN });
        world.run(FAIL_AFTER);
        for end in [CALLER, CALLEE] {
            connected.push(world.connected_after(end).unwrap_or_else(|| panic!("{version}, seed {seed}")));
        }
    }
    connected.sort_unstable();
    let [middle, late, last] = [50, 95, 100].map(|percent| connected[(connected.len() - 1) * percent / 100]);
    assert!(middle < ms(1_000) && late < ms(5_000) && last < ms(12_000), "{middle:?} {late:?} {last:?}");
}

#[test]
fn slow_signaling_is_the_only_thing_a_call_waits_for() {
    for version in Version::OURS {
        let mut world =
            World::new(version, 3, Conditions { signaling_delay: ms(200)..ms(201), ..Conditions::LAN });
        world.run(Duration::from_secs(3));
        // Setup there, setup and candidates back; SCTP shakes hands first.
        let messages = if version >= Version::V12 { 6 } else { 2 };
        for end in [CALLER, CALLEE] {
            let connected = world.connected_after(end).unwrap();
            assert!(
                connected < ms(200 * messages + 100),
                "{version}: end {end} connected after {connected:?}"
            );
        }
    }
}

#[test]
fn silence_is_noticed_and_ends_the_call_after_twenty_seconds() {
    let mut world = World::new(Version::V13, 4, Conditions::LAN);
    world.run(Duration::from_secs(3));
    let cut = world.elapsed();
    world.conditions.loss = 1.0;
    world.run(FAIL_AFTER + ms(100));
    for end in [CALLER, CALLEE] {
        let noticed = world.when(end, |event| *event == Event::Reconnecting).unwrap() - cut;
        assert!(noticed > Duration::from_secs(7) && noticed < Duration::from_secs(9), "{noticed:?}");
        let lost = |event: &Event| *event == Event::Failed(Failure::Path(PathFailure::Lost));
        let ended = world.when(end, lost).unwrap() - cut;
        assert!(ended > FAIL_AFTER - ms(100) && ended <= FAIL_AFTER, "{ended:?}");
        assert!(world.call_mut(end).poll_timeout().is_none(), "a call that failed wants no more attention");
    }
}

#[test]
fn one_deaf_direction_ends_the_call_too() {
    let mut world = World::new(Version::V9, 5, Conditions::LAN);
    world.run(Duration::from_secs(3));
    world.deaf = Some(CALLEE);
    world.run(Duration::from_secs(40));
    for end in [CALLER, CALLEE] {
        assert!(world.when(end, |event| matches!(event, Event::Failed(_))).is_some(), "end {end}");
    }
}

#[test]
fn a_network_that_comes_back_brings_the_call_back() {
    for outage in [Duration::from_secs(5), Duration::from_secs(10), Duration::from_secs(15)] {
        let mut world = World::new(Version::V13, 6, Conditions::LAN);
        world.run(Duration::from_secs(3));
        world.conditions.loss = 1.0;
        world.run(outage);
        world.conditions.loss = 0.0;
        let back = world.elapsed();
        let before = [world.received(CALLER), world.received(CALLEE)];
        world.run(Duration::from_secs(6));
        for end in [CALLER, CALLEE] {
            assert!(world.call(end).is_connected(), "{outage:?}");
            assert!(world.received(end) - before[end] > 290, "audio goes on at once after {outage:?}");
            if let Some(lost) = world.when(end, |event| *event == Event::Reconnecting) {
                let again = world.last(end, |event| *event == Event::Connected).unwrap();
                assert!(again > lost && again < back + Duration::from_secs(3), "{:?}", again - back);
            }
        }
    }
}

#[test]
fn a_call_that_nobody_answers_fails_after_twenty_seconds() {
    for version in Version::OURS {
        let mut world = World::new(version, 7, Conditions { signaling_loss: 1.0, ..Conditions::LAN });
        world.run(FAIL_AFTER + ms(1));
        for end in [CALLER, CALLEE] {
            assert_eq!(world.events(end), [Event::Failed(Failure::Path(PathFailure::NeverConnected))]);
            assert_eq!(world.when(end, |_| true).unwrap(), FAIL_AFTER);
        }
    }
}

#[test]
fn unreachable_networks_only_fail_after_twenty_seconds() {
    let mut world = World::new(Version::V13, 8, Conditions { loss: 1.0, ..Conditions::LAN });
    world.run(FAIL_AFTER + ms(1));
    for end in [CALLER, CALLEE] {
        assert_eq!(
            world.events(end).last(),
            Some(&Event::Failed(Failure::Path(PathFailure::NeverConnected)))
        );
    }
}

#[test]
fn forged_datagrams_change_nothing() {
    for version in [Version::V13, Version::V9] {
        let mut world = World::new(version, 9, Conditions::LAN);
        world.forge = true;
        world.run(Duration::from_secs(5));
        for end in [CALLER, CALLEE] {
            assert!(world.connected_after(end).unwrap() < ms(150));
            assert_eq!(world.received(1 - end), world.sent(end));
            let counters = world.call(end).counters();
            assert!(counters.forged > 100 && counters.stray > 100, "{counters:?}");
            assert!(counters.replayed > 100, "{counters:?}");
            assert!(world.call(end).is_connected());
        }
    }
}

#[test]
fn later_versions_need_no_sctp_around_their_signaling() {
    for version in [Version::V12, Version::V13] {
        let conditions =
            Conditions { signaling_duplicates: 0.5, signaling_delay: ms(100)..ms(101), ..Conditions::LAN };
        let mut world = World::with_custom(version, 31, conditions, r#"{"network_signaling_nosctp":true}"#);
        world.run(Duration::from_secs(5));
        for end in [CALLER, CALLEE] {
            // Setup there, setup and candidates back; nothing shakes hands first.
            assert!(world.connected_after(end).unwrap() < ms(300), "{version}");
            assert!(world.sent(end) > 200, "{version}: {} of end {end}", world.sent(end));
            assert_eq!(world.received(1 - end), world.sent(end));
        }
        world.assert_nothing_refused();
    }
}

#[test]
fn both_ends_hear_at_once_that_the_other_is_muted() {
    for version in Version::OURS {
        let mut world = World::new(version, 32, Conditions::LAN);
        world.run(Duration::from_secs(2));
        for end in [CALLER, CALLEE] {
            for muted in [true, false, true] {
                let at = world.elapsed();
                world.set_muted(end, muted);
                world.run(ms(500));
                let heard = world.last(1 - end, |event| *event == Event::RemoteMuted(muted)).unwrap();
                assert!(heard >= at && heard - at < ms(5), "{version}: {:?}", heard.checked_sub(at));
            }
        }
        for end in [CALLER, CALLEE] {
            let muted = [true, false, true].map(Event::RemoteMuted);
            assert_eq!(world.events(end), [&[Event::Connected], &muted[..]].concat());
            assert_eq!(world.received(1 - end), world.sent(end));
        }
        world.assert_nothing_refused();
    }
}

#[test]
fn a_peer_that_toggles_its_microphone_all_the_time_is_told_of_five_times_a_second() {
    let mut world = World::new(Version::V13, 36, Conditions::LAN);
    world.run(Duration::from_secs(2));
    for at in 0..2_001 {
        world.set_muted(CALLER, at % 2 == 0);
        world.run(ms(1));
    }
    let words = |world: &World| world.events(CALLEE).len() - 1;
    assert!((5..=11).contains(&words(&world)), "{}", words(&world));
    world.run(ms(500));
    assert_eq!(world.last_muted(CALLEE), Some(true), "the last word counts");
    let before = words(&world);
    for muted in [false, true, false, true] {
        world.set_muted(CALLER, muted);
        world.run(ms(10));
    }
    world.run(ms(500));
    assert!(words(&world) - before <= 2, "what was switched back is not told: {}", words(&world) - before);
    assert_eq!(world.last_muted(CALLEE), Some(true));
}

#[test]
fn who_is_muted_before_the_call_connects_is_known_as_such_once_it_has() {
    for end in [CALLER, CALLEE] {
        let mut world = World::new(Version::V13, 33, Conditions::LAN);
        world.set_muted(end, true);
        world.run(Duration::from_secs(2));
        let connected = world.connected_after(1 - end).unwrap();
        let heard = world.when(1 - end, |event| *event == Event::RemoteMuted(true)).unwrap();
        assert!(heard - connected < ms(10), "{:?}", heard - connected);
        assert_eq!(world.events(end), [Event::Connected]);
    }
}

#[test]
fn bad_networks_delay_the_word_of_a_mute_and_do_not_lose_it() {
    for seed in 40..60 {
        let mut world = World::new(Version::V13, seed, Conditions::BAD);
        world.run(FAIL_AFTER);
        for end in [CALLER, CALLEE] {
            world.set_muted(end, true);
        }
        world.run(Duration::from_secs(15));
        for end in [CALLER, CALLEE] {
            assert_eq!(world.last_muted(end), Some(true), "seed {seed}");
        }
    }
}

#[test]
fn audio_goes_on_where_the_data_channel_never_opens() {
    let mut world = World::new(Version::V13, 34, Conditions::LAN);
    while !(world.call(CALLER).is_connected() && world.call(CALLEE).is_connected()) {
        world.run(Duration::from_micros(100));
    }
    world.without_dtls = true;
    world.set_muted(CALLEE, true);
    world.run(Duration::from_secs(180));
    for end in [CALLER, CALLEE] {
        assert_eq!(world.last_muted(end), None);
        assert!(world.call(end).is_connected());
    }
    world.hush();
    let before = [CALLER, CALLEE].map(|end| world.wake_ups(end));
    world.run(Duration::from_secs(60));
    for end in [CALLER, CALLEE] {
        assert!(world.wake_ups(end) - before[end] <= 60, "the channel is given up");
        assert!(world.sent(end) >= 9_000);
        assert_eq!(world.received(1 - end), world.sent(end));
    }
}

#[test]
fn control_packets_pass_both_ways_with_every_byte() {
    // A receiver report, a description and a goodbye behind each other; then an extended report alone.
    let compound = hex::decode(concat!(
        "81c9000700001111000022220000000000000123000000000000000000000000",
        "81ca00020000111101016100",
        "81cb000100001111"
    ))
    .unwrap();
    let single = hex::decode("80cf000400001111050000020000000000000000").unwrap();
    for version in [Version::V13, Version::V9] {
        let mut world = World::new(version, 35, Conditions::LAN);
        assert!(!world.send_control(CALLER, compound.clone()), "no way and no keys yet");
        world.run(Duration::from_secs(1));
        for end in [CALLER, CALLEE] {
            assert!(world.send_control(end, compound.clone()));
            assert!(world.send_control(end, single.clone()));
            assert!(!world.send_control(end, vec![0x80; 3]), "no control packet");
        }
        world.run(Duration::from_secs(1));
        for end in [CALLER, CALLEE] {
            assert_eq!(world.received_control(end), [compound.clone(), single.clone()]);
            let counters = world.call(end).counters();
            assert_eq!((counters.rtcp_in, counters.rtcp_out, counters.unprotected), (2, 2, 1));
        }
        world.assert_nothing_refused();
    }
}

#[test]
fn closing_is_seen_by_the_other_end_at_once() {
    for closer in [CALLER, CALLEE] {
        let mut world = World::new(Version::V13, 11, Conditions::LAN);
        world.run(Duration::from_secs(2));
        let at = world.elapsed();
        world.close(closer);
        world.run(Duration::from_secs(1));
        let seen = world.when(1 - closer, |event| *event == Event::Closed).unwrap() - at;
        assert!(seen < ms(5), "{seen:?}");
        for end in [CALLER, CALLEE] {
            assert!(!world.call(end).is_connected());
            assert!(world.call_mut(end).poll_timeout().is_none());
        }
    }
}

#[test]
fn a_certificate_that_signaling_did_not_name_ends_the_call() {
    let mut world = World::new(Version::V13, 12, Conditions::LAN);
    world.swap_fingerprints();
    world.run(Duration::from_secs(2));
    let wrong = Event::Failed(Failure::Path(PathFailure::WrongCertificate));
    assert!(
        [CALLER, CALLEE].iter().any(|end| world.events(*end).contains(&wrong)),
        "{:?}",
        [world.events(CALLER), world.events(CALLEE)]
    );
    assert_eq!(world.received(CALLER) + world.received(CALLEE), 0);
}

#[test]
fn the_reachable_address_among_several_is_found() {
    let mut world = World::with_addresses(
        Version::V13,
        13,
        Conditions::LAN,
        [&["198.51.100.1:4000", "10.0.0.1:4000", "[2001:db8::1]:4000"], &["192.0.2.2:5000", "10.0.0.2:5000"]],
    );
    world.unreachable = vec!["198.51.100.1:4000".parse().unwrap(), "192.0.2.2:5000".parse().unwrap()];
    world.run(Duration::from_secs(3));
    for end in [CALLER, CALLEE] {
        assert!(world.connected_after(end).unwrap() < ms(300), "{:?}", world.connected_after(end));
        assert_eq!(world.received(1 - end), world.sent(end));
    }
}

#[test]
fn a_peer_whose_address_changes_is_followed() {
    let mut world = World::new(Version::V9, 14, Conditions::LAN);
    world.run(Duration::from_secs(3));
    world.rebind(CALLER, "10.0.0.99:9999");
    let before = [world.received(CALLER), world.received(CALLEE)];
    world.run(Duration::from_secs(15));
    for end in [CALLER, CALLEE] {
        assert!(world.call(end).is_connected(), "end {end}");
        assert!(world.received(end) > before[end] + 250, "end {end}: {}", world.received(end) - before[end]);
    }
}

#[test]
fn calls_that_share_a_socket_are_told_apart() {
    let mut first = World::new(Version::V13, 15, Conditions::LAN);
    let mut second = World::new(Version::V13, 16, Conditions::LAN);
    first.run(Duration::from_secs(1));
    second.run(Duration::from_secs(1));
    let checks = [first.caught_checks(), second.caught_checks()];
    for (own, other, checks_own, checks_other) in
        [(&first, &second, &checks[0], &checks[1]), (&second, &first, &checks[1], &checks[0])]
    {
        assert!(checks_own.len() > 3 && checks_other.len() > 3);
        let stranger = "203.0.113.9:7".parse().unwrap();
        assert!(checks_own.iter().all(|check| own.call(CALLEE).accepts(stranger, check)));
        assert!(!checks_other.iter().any(|check| own.call(CALLEE).accepts(stranger, check)));
        let media = [0x80, 111, 0, 1];
        assert!(own.call(CALLEE).accepts(own.address(CALLER), &media));
        assert!(!own.call(CALLEE).accepts(stranger, &media));
        assert!(!own.call(CALLEE).accepts(other.address(CALLER), &[0xff; 20]));
    }
}

#[test]
fn sequence_numbers_that_wrap_lose_nothing() {
    let mut world = World::new(Version::V13, 17, Conditions::LAN);
    world.start_sequence(65_500);
    world.run(Duration::from_secs(4));
    for end in [CALLER, CALLEE] {
        assert!(world.sent(end) > 150);
        assert_eq!(world.received(1 - end), world.sent(end));
    }
}

#[test]
fn a_call_in_silence_wakes_up_rarely_and_stays() {
    let mut world = World::new(Version::V13, 19, Conditions::LAN);
    world.run(Duration::from_secs(2));
    world.hush();
    let before = [CALLER, CALLEE].map(|end| world.wake_ups(end));
    world.run(Duration::from_secs(600));
    for end in [CALLER, CALLEE] {
        assert!(world.call(end).is_connected());
        assert_eq!(world.events(end), [Event::Connected]);
        let a_minute = (world.wake_ups(end) - before[end]) / 10;
        assert!(a_minute <= 60, "{a_minute} wake-ups a minute");
    }
}

#[test]
fn no_bytes_make_a_call_panic() {
    for (version, seed) in Version::OURS.into_iter().zip(20..) {
        for time in [ms(0), ms(3), ms(30), Duration::from_secs(1)] {
            let mut world = World::new(version, seed, Conditions::LAN);
            world.run(time);
            world.pour_junk(2_000);
            world.run(Duration::from_secs(1));
        }
    }
}

#[test]
fn a_call_that_may_use_relays_alone_is_refused_without_any() {
    let mut parameters = network::parameters(Version::V13, true, 18, &["10.0.0.1:4000"]);
    parameters.p2p_allowed = false;
    let refused = Call::new(network::start(), parameters).err();
    assert_eq!(refused, Some(CallError::NoRelay));
    let parameters = network::parameters(Version::V13, true, 18, &[]);
    assert_eq!(Call::new(network::start(), parameters).err(), Some(CallError::NoAddress));
    let parameters = network::parameters(Version::V13, true, 18, &["0.0.0.0:4000"]);
    assert!(matches!(Call::new(network::start(), parameters).err(), Some(CallError::Address(_))));
}

#[test]
fn calls_may_move_between_threads() {
    fn assert_send<T: Send>() {}
    assert_send::<Call>();
}
