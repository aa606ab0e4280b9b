//! Sound for the PBX before its call is answered: 183 with our answer to its offer (RFC 3261 section 13.3.1.1, RFC 3262).

use tgtrunk_sip::Event;

use crate::calls_in::{incoming, sdp};
use crate::world::{Phone, World, body, header, local_audio, ms, start, tag};

#[test]
fn a_caller_gets_the_same_description_in_183_and_200() {
    let mut world = World::new();
    let (mut phone, call) = incoming(&mut world);
    let remote = world.act(|line, now| line.progress(now, call, local_audio(), Vec::new())).unwrap();
    assert_eq!(remote.payload_type, 107);
    let progress = world.said();
    assert_eq!(
        (start(&progress), header(&progress, "Content-Type")),
        ("183 Session Progress", "application/sdp")
    );
    phone.learn(&progress);
    let settled = world.act(|line, now| line.answer(now, call, local_audio(), Vec::new())).unwrap();
    assert_eq!(settled, remote);
    let ok = world.said();
    assert_eq!((start(&ok), tag(header(&ok, "To"))), ("200 OK", phone.to_tag.as_str()));
    assert_eq!(body(&ok), body(&progress));
    world.hears(&phone.request("ACK", "", ""));
    world.is_silent();
    world.no_event();
}

#[test]
fn the_answer_to_a_caller_who_requires_reliable_answers_waits_for_the_prack() {
    let mut world = World::new();
    let mut phone = Phone::new("a");
    world.hears(&phone.same_branch("INVITE", "Require: 100rel\n", &sdp()));
    assert_eq!(start(&world.said()), "100 Trying");
    let Event::Incoming { call, .. } = world.event() else { panic!() };
    world.act(|line, now| line.progress(now, call, local_audio(), Vec::new()));
    let progress = world.said();
    assert_eq!((start(&progress), header(&progress, "Require")), ("183 Session Progress", "100rel"));
    phone.learn(&progress);
    assert!(world.act(|line, now| line.answer(now, call, local_audio(), Vec::new())).is_some());
    world.is_silent();
    world.pass(ms(500));
    assert_eq!(world.said(), progress, "repeated until its PRACK");
    let rack = format!("RAck: {} 1 INVITE\n", header(&progress, "RSeq"));
    world.hears(&phone.request("PRACK", &rack, ""));
    let said = [world.said(), world.said()];
    assert_eq!((start(&said[0]), start(&said[1])), ("200 OK", "200 OK"));
    assert_eq!(header(&said[0], "CSeq"), "2 PRACK");
    assert_eq!((header(&said[1], "CSeq"), body(&said[1])), ("1 INVITE", body(&progress)));
    phone.cseq = 1;
    world.hears(&phone.request("ACK", "", ""));
    world.is_silent();
    world.no_event();
}

#[test]
fn without_an_offer_there_is_nothing_to_describe_and_it_rings() {
    let mut world = World::new();
    world.hears(&Phone::new("a").same_branch("INVITE", "", ""));
    world.said();
    let Event::Incoming { call, .. } = world.event() else { panic!() };
    assert_eq!(world.act(|line, now| line.progress(now, call, local_audio(), Vec::new())), None);
    let ringing = world.said();
    assert_eq!((start(&ringing), body(&ringing)), ("180 Ringing", ""));
}
