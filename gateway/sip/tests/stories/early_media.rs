//! Sound for the PBX before its call is answered: 183 with our answer to its offer (RFC 3261 section 13.3.1.1, RFC 3262).

use tgtrunk_sip::{CallId, Event};

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
fn once_its_answer_has_arrived_a_caller_may_offer_anew_by_prack_and_by_update_before_the_200() {
    for method in ["PRACK", "UPDATE"] {
        let (mut world, mut phone, call, progress) = progressed();
        let rack = format!("RAck: {} 1 INVITE\n", header(&progress, "RSeq"));
        let held = sdp().replace("a=sendrecv", "a=sendonly");
        world.hears(&phone.request("UPDATE", "", &held));
        let early = world.said();
        assert_eq!((start(&early), header(&early, "Retry-After")), ("500 Server Internal Error", "5"));
        if method == "UPDATE" {
            world.hears(&phone.request("PRACK", &rack, ""));
            assert_eq!((start(&world.said()), body(&progress).is_empty()), ("200 OK", false));
            world.hears(&phone.request("UPDATE", "", &held));
        } else {
            world.hears(&phone.request("PRACK", &rack, &held));
        }
        let changed = world.said();
        assert_eq!((start(&changed), header(&changed, "CSeq").split(' ').nth(1)), ("200 OK", Some(method)));
        assert!(body(&changed).contains("a=recvonly\r\n"), "{changed}");
        assert!(
            matches!(world.event(), Event::MediaChanged { call: told, remote } if told == call && !remote.listens())
        );
        let remote = world.act(|line, now| line.answer(now, call, local_audio(), Vec::new())).unwrap();
        assert!(!remote.listens(), "the session is the last one that was agreed");
        let ok = world.said();
        assert_eq!((start(&ok), body(&ok)), ("200 OK", body(&changed)));
        phone.cseq = 1;
        world.hears(&phone.request("ACK", "", ""));
        world.is_silent();
        world.no_event();
    }
}

#[test]
fn an_early_offer_that_cannot_be_carried_is_488_and_the_session_stays() {
    let (mut world, mut phone, call, progress) = progressed();
    let other = sdp().replace("opus/48000/2", "G729/8000");
    world.hears(&phone.request("PRACK", &format!("RAck: {} 1 INVITE\n", header(&progress, "RSeq")), &other));
    assert_eq!(start(&world.said()), "488 Not Acceptable Here");
    world.hears(&phone.request("UPDATE", "", &other));
    assert_eq!(start(&world.said()), "488 Not Acceptable Here");
    world.no_event();
    world.act(|line, now| line.answer(now, call, local_audio(), Vec::new())).unwrap();
    let ok = world.said();
    assert_eq!((start(&ok), body(&ok)), ("200 OK", body(&progress)));
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

/// A call that requires reliable answers and has got its 183.
fn progressed() -> (World, Phone, CallId, String) {
    let mut world = World::new();
    let mut phone = Phone::new("a");
    world.hears(&phone.same_branch("INVITE", "Require: 100rel\n", &sdp()));
    world.said();
    let Event::Incoming { call, .. } = world.event() else { panic!() };
    world.act(|line, now| line.progress(now, call, local_audio(), Vec::new())).unwrap();
    let progress = world.said();
    phone.learn(&progress);
    (world, phone, call, progress)
}
