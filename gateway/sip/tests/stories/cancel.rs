//! CANCEL, its races, and who wins them (RFC 3261 section 9).

use tgtrunk_sip::{Event, Reason};

use crate::calls_in::incoming;
use crate::world::{Phone, World, answer, header, invite, local_audio, reply, seconds, start, tag};

#[test]
fn a_caller_that_gives_up_gets_200_and_487() {
    let mut world = World::new();
    let (mut phone, call) = incoming(&mut world);
    world.act(|line, now| line.ringing(now, call, Vec::new()));
    phone.learn(&world.said());
    let cancel = phone.same_branch("CANCEL", "Reason: SIP;cause=200;text=\"Call completed elsewhere\"\n", "");
    world.hears(&cancel);
    let (ok, terminated) = (world.said(), world.said());
    assert_eq!((start(&ok), header(&ok, "CSeq")), ("200 OK", "1 CANCEL"));
    assert_eq!((start(&terminated), header(&terminated, "CSeq")), ("487 Request Terminated", "1 INVITE"));
    assert_eq!([tag(header(&ok, "To")), tag(header(&terminated, "To"))], [&phone.to_tag; 2]);
    assert!(matches!(world.event(), Event::Cancelled { reason: Some(reason), .. } if reason.cause == 200));
    world.hears(&cancel);
    assert_eq!(start(&world.said()), "200 OK", "a copy of the CANCEL");
    world.hears(&phone.same_branch("ACK", "", ""));
    world.ends_clean();
}

#[test]
fn a_cancel_that_comes_after_the_200_changes_nothing() {
    let mut world = World::new();
    let (mut phone, call) = incoming(&mut world);
    world.act(|line, now| line.answer(now, call, local_audio(), Vec::new()));
    phone.learn(&world.said());
    world.hears(&phone.same_branch("CANCEL", "", ""));
    assert_eq!(start(&world.said()), "200 OK");
    world.is_silent();
    world.no_event();
    world.hears(&phone.request("ACK", "", ""));
    assert_eq!(world.line.calls(), 1);
    world.hears(&phone.request("BYE", "", ""));
    assert_eq!(start(&world.said()), "200 OK");
    assert!(matches!(world.event(), Event::HungUp { .. }));
    world.ends_clean();
}

#[test]
fn a_cancel_of_nothing_is_481() {
    let mut world = World::new();
    world.hears(&Phone::new("a").same_branch("CANCEL", "", ""));
    assert_eq!(start(&world.said()), "481 Call/Transaction Does Not Exist");
    world.ends_clean();
}

#[test]
fn our_cancel_waits_for_a_provisional_answer() {
    let mut world = World::new();
    let call = world.act(|line, now| line.invite(now, invite()));
    let request = world.said();
    world.act(|line, now| line.hang_up(now, call, Some(Reason::q850(16, "Caller gave up"))));
    world.is_silent();
    world.hears(&reply(&request, "100 Trying", "", "", ""));
    let cancel = world.said();
    assert_eq!(start(&cancel), "CANCEL sip:+74950000001@127.0.0.1:5060");
    assert_eq!(header(&cancel, "Via"), header(&request, "Via"), "the INVITE's own branch");
    assert_eq!((header(&cancel, "CSeq"), header(&cancel, "To")), ("1 CANCEL", header(&request, "To")));
    assert_eq!(header(&cancel, "Reason"), "Q.850;cause=16;text=\"Caller gave up\"");
    world.hears(&reply(&cancel, "200 OK", "c", "", ""));
    world.no_event();
    world.hears(&reply(&request, "487 Request Terminated", "b", "", ""));
    assert!(world.said().starts_with("ACK "));
    assert!(matches!(world.event(), Event::Refused { status: 487, .. }));
    world.ends_clean();
}

#[test]
fn hanging_up_twice_cancels_once() {
    let mut world = World::new();
    let call = world.act(|line, now| line.invite(now, invite()));
    let request = world.said();
    world.hears(&reply(&request, "180 Ringing", "b", "", ""));
    world.event();
    world.act(|line, now| line.hang_up(now, call, None));
    world.act(|line, now| line.hang_up(now, call, None));
    assert!(world.said().starts_with("CANCEL "));
    world.hears(&reply(&request, "180 Ringing", "b", "", ""));
    world.is_silent();
    world.no_event();
}

#[test]
fn a_200_that_crosses_our_cancel_is_acknowledged_and_hung_up() {
    for ringing_first in [true, false] {
        let mut world = World::new();
        let call = world.act(|line, now| line.invite(now, invite()));
        let request = world.said();
        if ringing_first {
            world.hears(&reply(&request, "180 Ringing", "b", "", ""));
            world.event();
        }
        world.act(|line, now| line.hang_up(now, call, None));
        if ringing_first {
            assert!(world.said().starts_with("CANCEL "));
        }
        let ok = answer(&request, "asterisk-200.sip", "b");
        world.hears(&ok);
        let (ack, bye) = (world.said(), world.said());
        assert!(ack.starts_with("ACK ") && bye.starts_with("BYE "), "{ack}{bye}");
        assert!(matches!(world.event(), Event::Refused { status: 487, .. }));
        world.hears(&ok);
        assert_eq!(world.said(), ack);
        world.hears(&reply(&bye, "200 OK", "", "", ""));
        world.pass(seconds(40));
        world.skip();
        world.ends_clean();
    }
}

#[test]
fn a_cancel_that_brings_no_final_answer_ends_the_call_after_32_seconds() {
    let mut world = World::new();
    let call = world.act(|line, now| line.invite(now, invite()));
    let request = world.said();
    world.hears(&reply(&request, "180 Ringing", "b", "", ""));
    world.event();
    world.act(|line, now| line.hang_up(now, call, None));
    world.pass(seconds(31));
    world.no_event();
    world.pass(seconds(1));
    assert!(matches!(world.event(), Event::Refused { status: 487, .. }));
    world.skip();
    world.ends_clean();
}

#[test]
fn another_refusal_that_crosses_our_cancel_is_told_as_it_is() {
    let mut world = World::new();
    let call = world.act(|line, now| line.invite(now, invite()));
    let request = world.said();
    world.hears(&reply(&request, "180 Ringing", "b", "", ""));
    world.event();
    world.act(|line, now| line.hang_up(now, call, None));
    world.said();
    world.hears(&reply(&request, "486 Busy Here", "b", "", ""));
    assert!(matches!(world.event(), Event::Refused { status: 486, .. }));
}
