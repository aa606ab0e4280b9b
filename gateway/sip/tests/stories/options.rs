//! OPTIONS both ways: what the PBX learns of the line, and the line of the PBX (RFC 3261 section 11).

use tgtrunk_sip::{Availability, Event};

use crate::world::{LINE, Phone, World, header, ms, reply, seconds, start};

#[test]
fn theirs_is_200_with_what_we_take_and_503_while_the_line_is_down() {
    let mut world = World::new();
    world.pass(seconds(10));
    let phone = Phone::new("a");
    world.hears(&phone.same_branch("OPTIONS", "", ""));
    let ok = world.said();
    assert_eq!((start(&ok), header(&ok, "Accept")), ("200 OK", "application/sdp"));
    assert_eq!(header(&ok, "Allow"), "INVITE, ACK, CANCEL, BYE, OPTIONS, UPDATE, INFO, PRACK, REFER");
    world.act(|line, _| line.set_availability(Availability::Down { retry_after_s: Some(9), reason: None }));
    world.hears(&phone.same_branch("OPTIONS", "", ""));
    let refusal = world.said();
    assert_eq!((start(&refusal), header(&refusal, "Retry-After")), ("503 Service Unavailable", "9"));
    assert_eq!(world.line.memory(), tgtrunk_sip::Memory::default(), "nothing is remembered of it");
}

#[test]
fn a_line_begins_down() {
    let config = tgtrunk_sip::Config {
        local: LINE.parse().unwrap(),
        announced: LINE.parse().unwrap(),
        peer: "127.0.0.1:5060".parse().unwrap(),
        transport: tgtrunk_sip::Transport::Udp,
        srtp: tgtrunk_sip::Srtp::Off,
        more_peers: Vec::new(),
        domain: None,
        failover: seconds(4),
        line_user: String::new(),
        user_agent: String::new(),
        allowed: Vec::new(),
        any_source: false,
        guard: None,
        codecs: vec![&tgtrunk_media::codec::OPUS],
        peer_names: Vec::new(),
        refer: true,
        new_calls_per_second: 0,
        max_calls: 1,
        options_interval: seconds(30),
        ring_limit: seconds(30),
        session_interval_s: 1800,
        credentials: None,
        register: None,
        seed: [0; 32],
    };
    let now = std::time::Instant::now();
    let mut line = tgtrunk_sip::Endpoint::new(config, now);
    line.handle_datagram(
        now,
        "127.0.0.1:5060".parse().unwrap(),
        Phone::new("a").same_branch("OPTIONS", "", "").as_bytes(),
    );
    let said = String::from_utf8(line.poll_transmit().unwrap().contents).unwrap();
    assert_eq!(start(&said), "503 Service Unavailable");
}

#[test]
fn ours_tell_when_the_pbx_goes_and_comes_back() {
    let mut world = World::silent_pbx(|config| config.options_interval = seconds(30));
    let first = world.said();
    assert!(header(&first, "From").starts_with("<sip:+74950000001@127.0.0.1:30001>;tag="));
    world.pass(seconds(6));
    assert_eq!(world.event(), Event::PeerReachable(false));
    let from = world.now;
    assert_eq!(world.times(from - seconds(6), "OPTIONS"), [500, 1500, 3500]);

    world.pass(seconds(1));
    let again = world.said();
    assert_ne!(header(&again, "Call-ID"), header(&first, "Call-ID"));
    world.hears(&reply(&again, "404 Not Found", "x", "", ""));
    assert_eq!(world.event(), Event::PeerReachable(true), "any answer means that it is there");

    world.pass(ms(29_999));
    world.is_silent();
    world.pass(ms(1));
    let third = world.said();
    world.hears(&reply(&third, "200 OK", "x", "", ""));
    world.no_event();

    world.pass(seconds(30));
    let fourth = world.said();
    world.hears(&reply(&fourth, "503 Service Unavailable", "x", "", ""));
    assert_eq!(world.event(), Event::PeerReachable(false), "it is there and takes no calls");
}

#[test]
fn a_late_answer_to_an_old_question_says_nothing() {
    let mut world = World::silent_pbx(|_| {});
    let first = world.said();
    world.pass(seconds(6));
    assert_eq!(world.event(), Event::PeerReachable(false));
    world.hears(&reply(&first, "200 OK", "x", "", ""));
    world.no_event();
}
