//! Reliable provisional answers and their PRACKs, both ways (RFC 3262).

use tgtrunk_sip::{CallId, Event, Reason};

use crate::calls_in::sdp;
use crate::world::{
    Phone, World, answer, body, header, headers, invite, local_audio, reply, seconds, start, tag,
};

#[test]
fn a_caller_that_requires_100rel_gets_a_180_that_is_repeated_until_its_prack() {
    let mut world = World::new();
    let (mut phone, call) = requires(&mut world, &sdp());
    let from = world.now;
    world.act(|line, now| line.ringing(now, call, Vec::new()));
    world.pass(seconds(8));
    let ringing = world.said();
    assert_eq!((start(&ringing), header(&ringing, "Require")), ("180 Ringing", "100rel"));
    let rseq: u32 = header(&ringing, "RSeq").parse().unwrap();
    assert!((1..1 << 31).contains(&rseq));
    assert_eq!(world.times(from, "SIP/2.0 180"), [500, 1500, 3500, 7500]);
    phone.learn(&ringing);
    let prack = phone.request("PRACK", &format!("RAck: {rseq} 1 INVITE\n"), "");
    world.hears(&prack);
    let ok = world.said();
    assert_eq!((start(&ok), header(&ok, "CSeq")), ("200 OK", "2 PRACK"));
    world.hears(&prack);
    assert_eq!(world.said(), ok, "a copy gets the same answer");
    world.pass(seconds(60));
    world.is_silent();

    world.act(|line, now| line.ringing(now, call, Vec::new()));
    let again = world.said();
    assert_eq!(header(&again, "RSeq"), (rseq + 1).to_string(), "the next one has the next number");
    world.hears(&phone.request("PRACK", &format!("RAck: {} 1 INVITE\n", rseq + 1), ""));
    assert_eq!(start(&world.said()), "200 OK");
    world.act(|line, now| line.answer(now, call, local_audio(), Vec::new()));
    let ok = world.said();
    assert_eq!((start(&ok), tag(header(&ok, "To"))), ("200 OK", phone.to_tag.as_str()));
    assert!(headers(&ok, "RSeq").is_empty() && body(&ok).contains("m=audio 20000"));
    phone.cseq = 1;
    world.hears(&phone.request("ACK", "", ""));
    world.pass(seconds(40));
    world.is_silent();
    world.no_event();
}

#[test]
fn a_prack_that_means_another_answer_is_481_and_stops_nothing() {
    let mut world = World::new();
    let (mut phone, call) = requires(&mut world, &sdp());
    world.act(|line, now| line.ringing(now, call, Vec::new()));
    let ringing = world.said();
    phone.learn(&ringing);
    let rseq: u32 = header(&ringing, "RSeq").parse().unwrap();
    for (rack, wanted) in [
        (format!("{} 1 INVITE", rseq + 1), "481 Call/Transaction Does Not Exist"),
        (format!("{rseq} 2 INVITE"), "481 Call/Transaction Does Not Exist"),
        (format!("{rseq} 1 UPDATE"), "481 Call/Transaction Does Not Exist"),
        ("x".to_owned(), "400 RAck Not Readable"),
    ] {
        world.hears(&phone.request("PRACK", &format!("RAck: {rack}\n"), ""));
        assert_eq!(start(&world.said()), wanted, "{rack}");
    }
    world.act(|line, now| line.ringing(now, call, Vec::new()));
    world.is_silent();
    world.pass(seconds(1));
    assert_eq!(world.said(), ringing, "it goes on, and no second one is given before its PRACK");
    let rack = format!("RAck: {rseq} 1 INVITE\n");
    world.hears(&phone.request("PRACK", &rack, ""));
    assert_eq!(start(&world.said()), "200 OK");
    world.hears(&phone.request("PRACK", &rack, ""));
    assert_eq!(start(&world.said()), "481 Call/Transaction Does Not Exist", "once is enough");
    world.hears(&Phone::new("b").same_branch("PRACK", &rack, ""));
    assert_eq!(start(&world.said()), "481 Call/Transaction Does Not Exist", "outside a dialog");
}

#[test]
fn without_a_prack_the_call_is_refused_after_32_seconds() {
    let mut world = World::new();
    let (phone, call) = requires(&mut world, &sdp());
    let from = world.now;
    world.act(|line, now| line.ringing(now, call, Vec::new()));
    world.pass(seconds(32));
    let reason = Some(Reason::q850(102, "No PRACK"));
    assert_eq!(world.event(), Event::Cancelled { call, reason });
    assert_eq!(world.times(from, "SIP/2.0 504"), [32_000]);
    world.hears(&phone.same_branch("ACK", "", ""));
    world.ends_clean();
}

#[test]
fn the_200_need_not_wait_for_the_prack_which_is_answered_later() {
    let mut world = World::new();
    let (mut phone, call) = requires(&mut world, &sdp());
    world.act(|line, now| line.ringing(now, call, Vec::new()));
    let ringing = world.said();
    phone.learn(&ringing);
    world.act(|line, now| line.answer(now, call, local_audio(), Vec::new()));
    assert_eq!(start(&world.said()), "200 OK");
    world.hears(&phone.request("ACK", "", ""));
    world.pass(seconds(40));
    world.is_silent();
    let rack = format!("RAck: {} 1 INVITE\n", header(&ringing, "RSeq"));
    for wanted in ["200 OK", "481 Call/Transaction Does Not Exist"] {
        world.hears(&phone.request("PRACK", &rack, ""));
        assert_eq!(start(&world.said()), wanted);
    }
    world.no_event();
}

#[test]
fn a_caller_that_requires_100rel_and_offers_nothing_hears_of_no_ringing() {
    let mut world = World::new();
    let (_, call) = requires(&mut world, "");
    world.act(|line, now| line.ringing(now, call, Vec::new()));
    world.is_silent();
    world.act(|line, now| line.answer(now, call, local_audio(), Vec::new()));
    let ok = world.said();
    assert!(start(&ok) == "200 OK" && body(&ok).contains("m=audio 20000"), "the offer: {ok}");
}

#[test]
fn a_caller_that_only_knows_100rel_gets_plain_ringing() {
    let mut world = World::new();
    world.hears(&Phone::new("a").same_branch("INVITE", "Supported: 100rel\n", &sdp()));
    world.said();
    let Event::Incoming { call, .. } = world.event() else { panic!("no call") };
    world.act(|line, now| line.ringing(now, call, Vec::new()));
    let ringing = world.said();
    assert!(start(&ringing) == "180 Ringing" && headers(&ringing, "RSeq").is_empty(), "{ringing}");
    world.pass(seconds(40));
    world.is_silent();
}

#[test]
fn a_cancel_or_a_refusal_ends_the_repeating() {
    for cancelled in [true, false] {
        let mut world = World::new();
        let (mut phone, call) = requires(&mut world, &sdp());
        world.act(|line, now| line.ringing(now, call, Vec::new()));
        phone.learn(&world.said());
        if cancelled {
            world.hears(&phone.same_branch("CANCEL", "", ""));
            assert_eq!(start(&world.said()), "200 OK");
            assert!(matches!(world.event(), Event::Cancelled { .. }));
        } else {
            world.act(|line, now| line.reject(now, call, crate::calls_in::busy()));
        }
        world.said();
        world.hears(&phone.same_branch("ACK", "", ""));
        world.pass(seconds(40));
        world.is_silent();
        world.ends_clean();
    }
}

#[test]
fn reliable_answers_to_our_call_get_a_prack_each_in_order_and_copies_get_none() {
    let mut world = World::new();
    let call = world.act(|line, now| line.invite(now, invite()));
    let request = world.said();
    assert!(header(&request, "Supported").contains("100rel"));
    assert!(header(&request, "Allow").contains("PRACK"));
    let with = |rseq: u32| format!("Require: 100rel\nRSeq: {rseq}\nRecord-Route: <sip:127.0.0.1:5070;lr>\n");
    let progress = reply(&request, "183 Session Progress", "b", &with(9021), &sdp());
    world.hears(&progress);
    let (to, prack) = world.said_to();
    assert_eq!((to.port(), start(&prack)), (5070, "PRACK sip:100@127.0.0.1:5060"));
    assert_eq!((header(&prack, "RAck"), header(&prack, "CSeq")), ("9021 1 INVITE", "2 PRACK"));
    assert_eq!((tag(header(&prack, "To")), header(&prack, "Route")), ("b", "<sip:127.0.0.1:5070;lr>"));
    assert!(body(&prack).is_empty(), "the 183 answered our offer");
    assert!(matches!(world.event(), Event::EarlyMedia { .. }));
    world.hears(&progress);
    world.hears(&reply(&request, "180 Ringing", "b", &with(9023), ""));
    world.is_silent();
    world.no_event();
    world.hears(&reply(&request, "180 Ringing", "b", &with(9022), ""));
    let second = world.said();
    assert_eq!((header(&second, "RAck"), header(&second, "CSeq")), ("9022 1 INVITE", "3 PRACK"));
    assert_eq!(world.event(), Event::Ringing { call });
    for said in [&prack, &second] {
        world.hears(&reply(said, "200 OK", "", "", ""));
    }
    world.hears(&reply(&request, "183 Session Progress", "c", &with(1), ""));
    let fork = world.said();
    assert_eq!(
        (header(&fork, "RAck"), tag(header(&fork, "To"))),
        ("1 1 INVITE", "c"),
        "each branch counts alone"
    );
    world.hears(&reply(&fork, "200 OK", "", "", ""));
    world.hears(&answer(&request, "asterisk-200.sip", "b"));
    assert_eq!(header(&world.said(), "CSeq"), "1 ACK", "the ACK has the INVITE's number");
    assert!(matches!(world.event(), Event::Answered { .. }));
    world.act(|line, now| line.hang_up(now, call, None));
    assert_eq!(header(&world.said(), "CSeq"), "4 BYE", "the PRACKs' numbers are used");
}

#[test]
fn a_reliable_answer_that_crosses_our_cancel_gets_its_prack() {
    let mut world = World::new();
    let call = world.act(|line, now| line.invite(now, invite()));
    let request = world.said();
    world.hears(&reply(&request, "100 Trying", "", "", ""));
    world.act(|line, now| line.hang_up(now, call, None));
    assert!(world.said().starts_with("CANCEL "));
    world.hears(&reply(&request, "180 Ringing", "b", "Require: 100rel\nRSeq: 5\n", ""));
    assert_eq!(header(&world.said(), "RAck"), "5 1 INVITE");
    world.no_event();
}

#[test]
fn a_prack_of_ours_is_repeated_until_it_is_answered() {
    let mut world = World::new();
    world.act(|line, now| line.invite(now, invite()));
    let request = world.said();
    let from = world.now;
    world.hears(&reply(&request, "180 Ringing", "b", "Require: 100rel\nRSeq: 5\n", ""));
    world.pass(seconds(4));
    assert_eq!(world.times(from, "PRACK"), [0, 500, 1500, 3500]);
}

/// A call whose INVITE requires 100rel, up to its 100.
fn requires(world: &mut World, sdp: &str) -> (Phone, CallId) {
    let phone = Phone::new("a");
    world.hears(&phone.same_branch("INVITE", "Require: 100rel\n", sdp));
    assert_eq!(start(&world.said()), "100 Trying");
    let Event::Incoming { call, .. } = world.event() else { panic!("no call") };
    (phone, call)
}
