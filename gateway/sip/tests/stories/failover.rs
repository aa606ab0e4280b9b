//! A PBX with several addresses (RFC 3263 section 4.3).

use tgtrunk_sip::{Event, Transport};

use crate::calls_in::sdp;
use crate::world::{World, body, header, headers, invite, ms, reply, seconds, start};

const FIRST: &str = "127.0.0.1:5060";
const SECOND: &str = "127.0.0.1:5070";
const THIRD: &str = "127.0.0.2:5060";

#[test]
fn each_address_is_asked_and_the_line_is_well_while_one_answers() {
    let mut world = World::silent_pbx(several);
    let mut asked = Vec::new();
    for _ in 0..3 {
        let (to, said) = world.said_to();
        asked.push(to.to_string());
        if to.to_string() == SECOND {
            world.hears_from(SECOND, reply(&said, "200 OK", "t", "", "").as_bytes());
        }
    }
    assert_eq!(asked, [FIRST, SECOND, THIRD]);
    assert_eq!(world.event(), Event::AddressReachable { address: SECOND.parse().unwrap(), reachable: true });
    assert_eq!(world.event(), Event::PeerReachable(true));
    world.pass(seconds(6));
    for dead in [FIRST, THIRD] {
        assert_eq!(
            world.event(),
            Event::AddressReachable { address: dead.parse().unwrap(), reachable: false }
        );
    }
    world.no_event();
    world.skip();
    world.act(|line, now| line.invite(now, invite()));
    assert_eq!(world.said_to().0.to_string(), SECOND, "calls go to the first that answers");
}

#[test]
fn a_call_goes_on_to_the_next_address_where_one_is_silent_and_stays_where_it_is_answered() {
    let mut world = all_awake();
    let call = world.act(|line, now| line.invite(now, invite()));
    let (to, first) = world.said_to();
    assert_eq!((to.to_string().as_str(), start(&first)), (FIRST, "INVITE sip:+74950000001@127.0.0.1:5060"));
    world.pass(ms(3_999));
    world.skip();
    world.pass(ms(1));
    let (to, second) = world.said_to();
    assert_eq!((to.to_string().as_str(), start(&second)), (SECOND, "INVITE sip:+74950000001@127.0.0.1:5070"));
    assert_eq!(header(&first, "Call-ID"), header(&second, "Call-ID"));
    assert_eq!((header(&second, "CSeq"), body(&second)), ("2 INVITE", body(&first)));
    assert_eq!(world.event(), Event::AddressReachable { address: FIRST.parse().unwrap(), reachable: false });
    let (to, asks) = world.said_to();
    assert_eq!((to.to_string().as_str(), start(&asks)), (FIRST, "OPTIONS sip:127.0.0.1:5060"));
    world.hears_from(SECOND, reply(&second, "180 Ringing", "b", "", "").as_bytes());
    assert!(matches!(world.event(), Event::Ringing { .. }));
    world.pass(seconds(5));
    assert!(world.times(world.now - seconds(5), "INVITE").is_empty(), "who rings is waited for");
    let ok =
        reply(&second, "200 OK", "b", "", &sdp()).replace("sip:100@127.0.0.1:5060", "sip:100@127.0.0.1:5070");
    world.hears_from(SECOND, ok.as_bytes());
    assert_eq!(world.said_to().0.to_string(), SECOND);
    assert!(matches!(world.event(), Event::Answered { .. } | Event::AddressReachable { .. }));

    // The first comes to itself: nobody may ring or talk there.
    world.hears(&reply(&first, "180 Ringing", "late", "", ""));
    let cancel = world.said();
    assert_eq!(
        (start(&cancel), header(&cancel, "Via")),
        ("CANCEL sip:+74950000001@127.0.0.1:5060", header(&first, "Via"))
    );
    world.hears(&reply(&first, "180 Ringing", "late", "", ""));
    world.is_silent();
    world.hears(&reply(&first, "200 OK", "late", "", &sdp()));
    assert!(world.said().starts_with("ACK "));
    assert!(world.said().starts_with("BYE "));
    while world.try_event().is_some() {}
    world.act(|line, now| line.hang_up(now, call, None));
    assert_eq!(world.said_to().0.to_string(), SECOND, "the running call stays with its address");
}

#[test]
fn a_503_and_an_address_that_takes_no_datagrams_send_a_call_on_at_once_and_the_last_word_counts() {
    let mut world = all_awake();
    let call = world.act(|line, now| line.invite(now, invite()));
    let first = world.said();
    world.hears(&reply(&first, "503 Service Unavailable", "t", "", ""));
    assert!(world.said().starts_with("ACK "));
    let (to, _) = world.said_to();
    assert_eq!(to.to_string(), SECOND);
    world.act(|line, now| line.handle_unreachable(now, SECOND.parse().unwrap()));
    let (to, third) = world.said_to();
    assert_eq!(to.to_string(), THIRD);
    assert_eq!(world.event(), Event::AddressReachable { address: SECOND.parse().unwrap(), reachable: false });
    world.hears_from(THIRD, reply(&third, "503 Service Unavailable", "t", "Retry-After: 7\n", "").as_bytes());
    assert!(matches!(
        world.event(),
        Event::Refused { call: ended, status: 503, retry_after_s: Some(7), .. } if ended == call
    ));
    // Others decide: a busy phone is no reason to ring elsewhere.
    world.skip();
    world.act(|line, now| line.invite(now, invite()));
    let first = world.said();
    world.hears(&reply(&first, "486 Busy Here", "t", "", ""));
    world.said();
    world.is_silent();
    assert!(matches!(world.event(), Event::Refused { status: 486, .. }));
}

#[test]
fn an_only_address_is_asked_on_whatever_icmp_says_and_a_lost_connection_ends_a_call() {
    let mut world = World::new();
    let call = world.act(|line, now| line.invite(now, invite()));
    world.skip();
    world.act(|line, now| line.handle_unreachable(now, FIRST.parse().unwrap()));
    assert_eq!(world.event(), Event::PeerReachable(false));
    world.no_event();
    world.pass(ms(500));
    assert!(world.said().starts_with("INVITE "), "ICMP can be forged");
    world.act(|line, now| line.handle_transport_error(now, Transport::Udp, FIRST.parse().unwrap()));
    assert!(matches!(world.event(), Event::Refused { call: ended, status: 503, .. } if ended == call));
}

#[test]
fn a_call_that_nobody_wants_any_more_goes_nowhere() {
    let mut world = all_awake();
    let call = world.act(|line, now| line.invite(now, invite()));
    world.skip();
    world.act(|line, now| line.hang_up(now, call, None));
    world.pass(seconds(20));
    while let Some(said) = world.try_said() {
        assert_eq!(header(&said, "CSeq"), "1 INVITE", "{said}");
    }
}

#[test]
fn calls_are_taken_from_every_address_and_from_new_ones_once_they_are_known() {
    let mut world = all_awake();
    let mut phone = crate::world::Phone::new("a");
    for (source, answered) in [(FIRST, true), (THIRD, true), ("127.0.0.9:5060", false)] {
        world.hears_from(source, phone.request("OPTIONS", "", "").as_bytes());
        assert_eq!(world.try_said().is_some(), answered, "{source}");
    }
    while world.try_event().is_some() {}
    let now_there = "127.0.0.9:5060".parse().unwrap();
    world.act(|line, now| line.set_peers(now, now_there, &[SECOND.parse().unwrap()]));
    world.hears_from("127.0.0.9:5060", phone.request("OPTIONS", "", "").as_bytes());
    assert_eq!(start(&world.said()), "200 OK");
    world.hears_from(THIRD, phone.request("OPTIONS", "", "").as_bytes());
    assert!(world.try_said().is_none(), "it is not the PBX any more");
    assert_eq!(world.line.peer(), now_there);
    assert!(headers(&phone.request("OPTIONS", "", ""), "Via").len() == 1);
}

fn several(config: &mut tgtrunk_sip::Config) {
    config.more_peers = vec![SECOND.parse().unwrap(), THIRD.parse().unwrap()];
}

fn all_awake() -> World {
    let mut world = World::silent_pbx(several);
    while let Some((to, said)) = world.try_said_to() {
        world.hears_from(&to.to_string(), reply(&said, "200 OK", "t", "", "").as_bytes());
    }
    while world.try_event().is_some() {}
    world
}
