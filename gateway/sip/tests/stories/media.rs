//! Sessions that change: hold, resume, moved, refused (RFC 3264 section 8, RFC 3261 section 14).

use tgtrunk_media::codec::{OPUS, PCMA};
use tgtrunk_sip::{Direction, Event, LocalAudio};

use crate::calls_in::{sdp, talking};
use crate::world::{Phone, World, body, header, local_audio, ms, seconds, start};

#[test]
fn hold_and_resume_are_told_and_answered() {
    for hold in ["a=sendonly", "a=inactive", "c=IN IP4 0.0.0.0"] {
        let mut world = World::new();
        let (mut phone, _) = talking(&mut world);
        let held = sdp().replace("a=sendrecv", hold);
        let answered = reinvite(&mut world, &mut phone, &held);
        let wanted = if hold == "a=inactive" { "a=inactive\r\n" } else { "a=recvonly\r\n" };
        assert!(answered.contains(wanted), "{hold}: {answered}");
        let Event::MediaChanged { remote, .. } = world.event() else { panic!("{hold}") };
        assert!(!remote.listens(), "{hold}");
        let answered = reinvite(&mut world, &mut phone, &sdp());
        assert!(answered.contains("a=sendrecv\r\n"));
        let Event::MediaChanged { remote, .. } = world.event() else { panic!("{hold}") };
        assert!(remote.listens() && remote.direction == Direction::SendRecv);
        world.is_silent();
    }
}

#[test]
fn the_same_offer_gets_the_same_answer_and_no_event() {
    let mut world = World::new();
    let (mut phone, _) = talking(&mut world);
    let first = reinvite(&mut world, &mut phone, &sdp());
    world.event();
    let second = reinvite(&mut world, &mut phone, &sdp());
    assert_eq!(first, second);
    world.no_event();
}

#[test]
fn a_session_that_moves_is_followed() {
    let mut world = World::new();
    let (mut phone, call) = talking(&mut world);
    reinvite(
        &mut world,
        &mut phone,
        &sdp().replace("10010", "10500").replace("IN IP4 127.0.0.1", "IN IP4 192.0.2.77"),
    );
    let Event::MediaChanged { remote, .. } = world.event() else { panic!() };
    assert_eq!(remote.rtp.to_string(), "192.0.2.77:10500");
    let moved =
        phone.request("INVITE", "", &sdp()).replace("<sip:100@127.0.0.1:5060>", "<sip:new@127.0.0.1:5099>");
    world.hears(&moved);
    world.said();
    world.said();
    world.hears(&phone.request("ACK", "", ""));
    world.act(|line, now| line.hang_up(now, call, None));
    let (to, bye) = world.said_to();
    assert_eq!((to.port(), start(&bye)), (5099, "BYE sip:new@127.0.0.1:5099"), "the target moves too");
}

#[test]
fn a_reinvite_without_an_offer_gets_ours_and_the_ack_answers_it() {
    let mut world = World::new();
    let (mut phone, _) = talking(&mut world);
    world.hears(&phone.request("INVITE", "", ""));
    assert_eq!(start(&world.said()), "100 Trying");
    let ok = world.said();
    assert!(body(&ok).contains("m=audio 20000 RTP/AVP 107\r\n"), "{ok}");
    world.hears(&phone.request("ACK", "", &sdp().replace("10010", "10600")));
    assert!(matches!(world.event(), Event::MediaChanged { remote, .. } if remote.rtp.port() == 10_600));
    world.pass(seconds(40));
    world.is_silent();
}

#[test]
fn while_our_offer_waits_for_the_ack_another_offer_is_491() {
    let mut world = World::new();
    let (mut phone, _) = talking(&mut world);
    world.hears(&phone.request("INVITE", "", ""));
    world.said();
    world.said();
    world.hears(&phone.request("UPDATE", "", &sdp()));
    assert_eq!(start(&world.said()), "491 Request Pending");
    world.hears(&phone.request("INVITE", "", &sdp()));
    world.said();
    assert_eq!(start(&world.said()), "491 Request Pending");
}

#[test]
fn a_change_that_cannot_be_carried_is_488_and_the_session_stays() {
    let mut world = World::new();
    let (mut phone, _) = talking(&mut world);
    world.hears(&phone.request("INVITE", "", &sdp().replace("opus/48000/2", "G729/8000")));
    assert_eq!(start(&world.said()), "100 Trying");
    let refusal = world.said();
    assert_eq!(start(&refusal), "488 Not Acceptable Here");
    assert!(header(&refusal, "Warning").starts_with("305 tgtrunk \"offered "), "{refusal}");
    world.hears(&phone.same_branch("ACK", "", ""));
    world.hears(&phone.request("UPDATE", "", &sdp().replace("RTP/AVP", "RTP/SAVP")));
    assert_eq!(start(&world.said()), "488 Not Acceptable Here");
    world.pass(seconds(40));
    world.is_silent();
    world.no_event();
    assert_eq!(world.line.calls(), 1);
}

#[test]
fn another_codec_may_be_agreed_in_a_running_call_and_back() {
    let mut world = World::with(|config| config.codecs = vec![&OPUS, &PCMA]);
    let mut phone = Phone::new("a");
    world.hears(&phone.same_branch("INVITE", "", &sdp()));
    world.said();
    let Event::Incoming { call, .. } = world.event() else { panic!("no call") };
    let local = LocalAudio { codecs: vec![&OPUS, &PCMA], ..local_audio() };
    world.act(|line, now| line.answer(now, call, local, Vec::new()));
    phone.learn(&world.said());
    world.hears(&phone.request("ACK", "", ""));
    let narrow = sdp().replace("RTP/AVP 107", "RTP/AVP 8");
    for (offer, codec, line) in [(narrow, &PCMA, "RTP/AVP 8\r\n"), (sdp(), &OPUS, "RTP/AVP 107\r\n")] {
        let answered = reinvite(&mut world, &mut phone, &offer);
        assert!(answered.contains(line), "{answered}");
        let Event::MediaChanged { remote, .. } = world.event() else { panic!("{codec:?}") };
        assert_eq!(remote.codec, codec);
    }
    world.hears(&phone.request("INVITE", "", ""));
    world.said();
    let ok = world.said();
    assert!(body(&ok).contains("RTP/AVP 107 8\r\n"), "without an offer ours names all again: {ok}");
    world.hears(&phone.request("ACK", "", &sdp().replace("RTP/AVP 107", "RTP/AVP 8")));
    assert!(matches!(world.event(), Event::MediaChanged { remote, .. } if remote.codec == &PCMA));
}

#[test]
fn a_held_call_that_is_offered_nothing_gets_our_offer_to_speak_again() {
    let mut world = World::new();
    let (mut phone, _) = talking(&mut world);
    reinvite(&mut world, &mut phone, &sdp().replace("a=sendrecv", "a=inactive"));
    assert!(matches!(world.event(), Event::MediaChanged { remote, .. } if !remote.listens()));
    world.hears(&phone.request("INVITE", "", ""));
    world.said();
    let ok = world.said();
    assert!(body(&ok).contains("a=sendrecv\r\n"), "whether they hold on is theirs to answer: {ok}");
    world.hears(&phone.request("ACK", "", &sdp()));
    assert!(matches!(world.event(), Event::MediaChanged { remote, .. } if remote.listens()));
    world.pass(seconds(40));
    world.is_silent();
}

#[test]
fn a_fax_line_in_a_reinvite_is_refused_by_port_0() {
    let mut world = World::new();
    let (mut phone, _) = talking(&mut world);
    let answered = reinvite(&mut world, &mut phone, &format!("{}m=image 4000 udptl t38\n", sdp()));
    assert!(answered.ends_with("m=image 0 udptl t38\r\n"), "{answered}");
}

#[test]
fn our_offer_in_a_running_call_keeps_every_media_line_in_its_place() {
    let mut world = World::new();
    let (mut phone, _) = talking(&mut world);
    reinvite(&mut world, &mut phone, &format!("{}m=image 4000 udptl t38\n", sdp()));
    world.event();
    world.hears(&phone.request("INVITE", "", ""));
    world.said();
    let ok = world.said();
    assert!(body(&ok).contains("m=audio 20000 ") && body(&ok).ends_with("m=image 0 udptl t38\r\n"), "{ok}");
    world.hears(&phone.request("ACK", "", &format!("{}m=image 0 udptl t38\n", sdp())));
    world.no_event();
}

#[test]
fn an_update_changes_the_session_at_once() {
    let mut world = World::new();
    let (mut phone, _) = talking(&mut world);
    world.hears(&phone.request("UPDATE", "", &sdp().replace("a=sendrecv", "a=sendonly")));
    let ok = world.said();
    assert!(body(&ok).contains("a=recvonly\r\n") && header(&ok, "Contact").contains("30001"), "{ok}");
    assert!(matches!(world.event(), Event::MediaChanged { remote, .. } if !remote.listens()));
}

#[test]
fn a_reinvite_whose_200_has_no_ack_ends_the_call_after_32_seconds() {
    let mut world = World::new();
    let (mut phone, _) = talking(&mut world);
    let from = world.now;
    world.hears(&phone.request("INVITE", "", &sdp()));
    assert!(matches!(world.event(), Event::MediaChanged { .. }));
    world.pass(seconds(32));
    assert!(matches!(world.event(), Event::HungUp { .. }));
    assert_eq!(world.times(from, "BYE"), [32_000]);
    world.ends_clean();
}

#[test]
fn a_copy_of_a_reinvite_is_swallowed_and_its_200_repeated() {
    let mut world = World::new();
    let (mut phone, _) = talking(&mut world);
    let from = world.now;
    let request = phone.request("INVITE", "", &sdp());
    world.hears(&request);
    world.hears(&request);
    world.pass(ms(500));
    assert_eq!(world.times(from, "SIP/2.0 200"), [0, 500]);
}

#[test]
fn the_pbx_may_hold_a_call_that_we_placed() {
    let mut world = World::new();
    let (invite, _) = crate::calls_out::talking(&mut world);
    let held = sdp().replace("a=sendrecv", "a=inactive");
    world.hears(&crate::calls_out::from_pbx(&invite, "INVITE", 5, "", &held));
    world.said();
    let ok = world.said();
    assert!(
        body(&ok).contains("a=inactive\r\n") && body(&ok).contains(" 2 IN IP4"),
        "the version grew: {ok}"
    );
    assert!(matches!(world.event(), Event::MediaChanged { .. }));
    world.hears(&crate::calls_out::from_pbx(&invite, "ACK", 5, "", ""));
    world.pass(seconds(40));
    world.is_silent();
}

/// A re-INVITE with its ACK. Gives our answer's body.
fn reinvite(world: &mut World, phone: &mut Phone, sdp: &str) -> String {
    world.hears(&phone.request("INVITE", "", sdp));
    assert_eq!(start(&world.said()), "100 Trying");
    let ok = world.said();
    assert_eq!(start(&ok), "200 OK");
    world.hears(&phone.request("ACK", "", ""));
    body(&ok).to_owned()
}
