//! Networks that come and go during a call.

use std::time::Duration;

use tgcall::{Event, PathKind, Version};

use crate::network::{Conditions, Servers, World, ms, parameters};

const CALLER: usize = 0;
const CALLEE: usize = 1;
const S: Duration = Duration::from_secs(1);
/// How soon audio has to be back.
const BACK_WITHIN: Duration = Duration::from_secs(2);

#[test]
fn audio_moves_to_a_new_network_when_the_old_one_goes() {
    for end in [CALLER, CALLEE] {
        for signaling_delay in [ms(5)..ms(6), ms(150)..ms(200)] {
            let conditions = Conditions { signaling_delay, delay: ms(15)..ms(16), ..Conditions::LAN };
            let mut world = World::new(Version::V13, 31, conditions);
            world.run(5 * S);
            let old = world.address(end).to_string();
            world.plug_in(end, "10.0.7.7:7000");
            world.unplug(end, &old);
            world.run(BACK_WITHIN);
            let before = [CALLER, CALLEE].map(|end| (world.sent(end), world.received(1 - end)));
            world.run(5 * S);
            for from in [CALLER, CALLEE] {
                let (sent, received) =
                    (world.sent(from) - before[from].0, world.received(1 - from) - before[from].1);
                assert!(
                    sent > 240 && received + 2 >= sent,
                    "end {end} moved: {received} of {sent} of end {from}"
                );
            }
            let path = world.call(end).path().unwrap();
            assert_eq!((path.kind, path.local), (PathKind::Direct, Some("10.0.7.7:7000".parse().unwrap())));
        }
    }
}

#[test]
fn a_network_that_is_there_already_takes_over_without_a_gap_to_speak_of() {
    for end in [CALLER, CALLEE] {
        let mut world = World::new(Version::V9, 32, Conditions::LAN);
        world.run(3 * S);
        let old = world.address(end).to_string();
        world.plug_in(end, "10.0.7.7:7000");
        world.run(3 * S);
        let path = world.call(end).path().unwrap();
        assert_eq!(path.local, Some("10.0.7.7:7000".parse().unwrap()), "the new one is preferred");
        let before = [world.received(CALLER), world.received(CALLEE)];
        world.unplug(end, &old);
        world.run(S);
        for end in [CALLER, CALLEE] {
            assert!(world.received(end) - before[end] >= 49);
            assert_eq!(world.events(end), [Event::Connected]);
        }
    }
}

#[test]
fn the_last_network_may_be_gone_for_fifteen_seconds() {
    for end in [CALLER, CALLEE] {
        let mut world = World::new(Version::V13, 33, Conditions::LAN);
        world.run(3 * S);
        let old = world.address(end).to_string();
        world.unplug(end, &old);
        world.run(15 * S);
        world.plug_in(end, "10.0.7.7:7000");
        world.run(BACK_WITHIN);
        let before = [world.received(CALLER), world.received(CALLEE)];
        world.run(2 * S);
        for end in [CALLER, CALLEE] {
            assert!(world.call(end).is_connected());
            assert!(world.received(end) - before[end] > 95);
        }
    }
}

#[test]
fn relays_are_made_again_over_a_new_network() {
    for kind in [PathKind::Turn, PathKind::Reflector] {
        for end in [CALLER, CALLEE] {
            let mut servers = Servers::default();
            let list = match kind {
                PathKind::Turn => [servers.add_turn("192.0.2.1:3478")],
                PathKind::Reflector | PathKind::Direct => [servers.add_reflector(1, "192.0.2.11:599", false)],
            };
            let both = [("10.0.0.1:4000", true), ("10.0.0.2:5000", false)].map(|(address, is_caller)| {
                let mut parameters = parameters(Version::V13, is_caller, 34, &[address]);
                parameters.p2p_allowed = false;
                parameters.servers = list.to_vec();
                parameters
            });
            let mut world = World::with_parameters(34, Conditions::LAN, servers, both);
            world.run(3 * S);
            let old = world.address(end).to_string();
            world.unplug(end, &old);
            world.plug_in(end, "10.0.7.7:7000");
            world.run(BACK_WITHIN);
            let before = [world.received(CALLER), world.received(CALLEE)];
            world.run(3 * S);
            for at in [CALLER, CALLEE] {
                assert!(world.received(at) - before[at] > 140, "{kind:?}, end {end} moved, heard by {at}");
                assert_eq!(world.call(at).path().unwrap().kind, kind);
            }
        }
    }
}
