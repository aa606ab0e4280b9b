//! Lines that are gone, and how the next one on their address ends their calls.

use tgtrunk_sip::{Invite, Reason, Rejection, Remains};

use crate::calls_in::incoming;
use crate::world::{World, answer, header, invite, local_audio, reply, seconds, start, tag};

#[test]
fn an_answered_call_gets_a_bye_in_its_dialog_with_a_number_far_above_its_last() {
    for came_in in [true, false] {
        let mut gone = World::new();
        let (remains, call_id) = if came_in { answered(&mut gone) } else { placed(&mut gone) };
        let (mut world, kept) = next(&remains);
        assert_eq!(kept.sip_call_id(), call_id);
        assert!(world.act(|line, now| line.bury(now, &kept, &rejection())));
        let bye = world.said();
        assert!(bye.starts_with("BYE "), "{bye}");
        assert_eq!(header(&bye, "Call-ID"), call_id);
        assert!(!tag(header(&bye, "From")).is_empty() && !tag(header(&bye, "To")).is_empty(), "{bye}");
        assert!(number(&bye) > 1_000_000, "{bye}");
        assert_eq!(header(&bye, "Reason"), "Q.850;cause=41;text=\"Temporary failure\"");
        let from = world.now;
        world.pass(seconds(1));
        assert_eq!(world.times(from, "BYE "), [500], "repeated until it is answered");
        world.hears(&reply(&bye, "200 OK", "", "", ""));
        world.no_event();
        world.ends_clean();
    }
}

#[test]
fn a_pbx_that_knows_no_such_dialog_or_does_not_answer_ends_the_matter() {
    let mut gone = World::new();
    let (remains, _) = answered(&mut gone);
    let (mut world, kept) = next(&remains);
    world.act(|line, now| line.bury(now, &kept, &rejection()));
    assert!(!world.act(|line, now| line.bury(now, &kept, &rejection())), "once is enough");
    let bye = world.said();
    world.hears(&reply(&bye, "481 Call/Transaction Does Not Exist", "", "", ""));
    world.ends_clean();
    assert!(world.act(|line, now| line.bury(now, &kept, &rejection())));
    world.pass(seconds(40));
    world.skip();
    world.no_event();
    world.ends_clean();
}

#[test]
fn a_call_that_we_placed_and_nobody_answered_gets_a_cancel_and_its_487_an_ack() {
    let mut gone = World::new();
    let call = gone.act(|line, now| line.invite(now, invite()));
    let request = gone.said();
    gone.hears(&reply(&request, "180 Ringing", "b", "", ""));
    let remains = gone.line.remains(call).unwrap().to_string();
    assert!(!remains.contains("m=audio"), "{remains}");
    let (mut world, kept) = next(&remains);
    assert!(world.act(|line, now| line.bury(now, &kept, &rejection())));
    let cancel = world.said();
    assert_eq!(start(&cancel), start(&request).replace("INVITE", "CANCEL"));
    for name in ["Via", "From", "To", "Call-ID"] {
        assert_eq!(header(&cancel, name), header(&request, name));
    }
    world.hears(&reply(&cancel, "200 OK", "c", "", ""));
    world.hears(&reply(&request, "487 Request Terminated", "b", "", ""));
    assert!(world.said().starts_with("ACK "));
    world.hears(&reply(&request, "487 Request Terminated", "b", "", ""));
    assert!(world.said().starts_with("ACK "), "a copy of it, too");
    world.no_event();
    world.ends_clean();
}

#[test]
fn an_answer_that_crossed_the_end_is_acknowledged_and_hung_up() {
    let mut gone = World::new();
    let call = gone.act(|line, now| line.invite(now, invite()));
    let request = gone.said();
    let remains = gone.line.remains(call).unwrap().to_string();
    // The answer to an INVITE that nothing was kept of, too.
    for is_kept in [true, false] {
        let (mut world, kept) = next(&remains);
        if is_kept {
            world.act(|line, now| line.bury(now, &kept, &rejection()));
            assert!(world.said().starts_with("CANCEL "));
        }
        let ok = answer(&request, "asterisk-200.sip", "b");
        world.hears(&ok);
        let (ack, bye) = (world.said(), world.said());
        assert!(ack.starts_with("ACK ") && bye.starts_with("BYE "), "{ack}{bye}");
        assert_eq!((number(&ack), header(&bye, "Call-ID")), (1, header(&request, "Call-ID")));
        assert!(number(&bye) > 1_000_000);
        world.hears(&ok);
        assert_eq!(world.said(), ack);
        world.is_silent();
        world.hears(&reply(&bye, "200 OK", "", "", ""));
        world.pass(seconds(40));
        world.skip();
        world.no_event();
        world.ends_clean();
    }
}

#[test]
fn a_call_that_came_in_gets_its_final_answer() {
    let mut gone = World::new();
    let (mut phone, call) = incoming(&mut gone);
    gone.act(|line, now| line.ringing(now, call, Vec::new()));
    let ringing = gone.said();
    phone.learn(&ringing);
    let remains = gone.line.remains(call).unwrap().to_string();
    let (mut world, kept) = next(&remains);
    assert!(world.act(|line, now| line.bury(now, &kept, &rejection())));
    let (refused, bye) = (world.said(), world.said());
    assert_eq!((start(&refused), header(&refused, "CSeq")), ("503 Service Unavailable", "1 INVITE"));
    assert_eq!(header(&refused, "Via"), header(&ringing, "Via"));
    assert_eq!(tag(header(&refused, "To")), tag(header(&ringing, "To")));
    // The PBX may have had a 200 in the moment before.
    assert!(bye.starts_with("BYE ") && tag(header(&bye, "From")) == phone.to_tag, "{bye}");
    assert!(number(&bye) > 1_000_000);
    world.hears(&reply(&bye, "481 Call/Transaction Does Not Exist", "", "", ""));
    let from = world.now;
    world.pass(seconds(1));
    assert_eq!(world.times(from, "SIP/2.0 503"), [500], "repeated until its ACK");
    world.hears(&phone.same_branch("ACK", "", ""));
    world.pass(seconds(70));
    world.no_event();
    world.ends_clean();
}

#[test]
fn nothing_is_said_to_an_address_that_is_not_the_pbx_any_more() {
    let mut gone = World::new();
    let (remains, _) = answered(&mut gone);
    let mut world = World::with(|config| config.seed = [8; 32]);
    let kept: Remains = remains.replace("127.0.0.1:5060\r\n", "192.0.2.1:5060\r\n").parse().unwrap();
    assert!(!world.act(|line, now| line.bury(now, &kept, &rejection())));
    world.is_silent();
    world.ends_clean();
}

#[test]
fn of_a_call_that_is_over_nothing_remains() {
    let mut world = World::new();
    let call = world.act(|line, now| line.invite(now, invite()));
    let request = world.said();
    world.hears(&reply(&request, "486 Busy Here", "b", "", ""));
    assert_eq!(world.line.remains(call), None);
    world.skip();
}

#[test]
fn who_took_a_call_at_the_pbx_is_known_by_what_its_answer_says() {
    for (said, party) in [
        ("P-Asserted-Identity: \"Anna\" <sip:204@127.0.0.1>, <tel:+1>\r\n", Some("204")),
        ("Remote-Party-ID: <sip:205@127.0.0.1>;party=called\r\n", Some("205")),
        ("Contact: <sip:206@127.0.0.1:5060>\r\n", Some("206")),
        ("", None),
        ("Privacy: id\r\nP-Asserted-Identity: <sip:204@127.0.0.1>\r\n", None),
        ("Privacy: id\r\nContact: <sip:206@127.0.0.1:5060>\r\n", None),
        ("Remote-Party-ID: <sip:205@127.0.0.1>;party=called;privacy=full\r\n", None),
    ] {
        let mut world = World::new();
        let call = world.act(|line, now| line.invite(now, Invite { private: true, ..invite() }));
        let request = world.said();
        assert_eq!(world.line.party(call), None);
        let ok = answer(&request, "asterisk-200.sip", "b");
        let ok = ok.replacen("\r\nCSeq:", &format!("\r\n{said}CSeq:"), 1);
        world.hears(&ok);
        assert_eq!(world.line.party(call), party, "{ok}");
    }
}

/// A call that came in and was answered.
fn answered(world: &mut World) -> (String, String) {
    let (mut phone, call) = incoming(world);
    world.act(|line, now| line.answer(now, call, local_audio(), Vec::new()));
    let ok = world.said();
    phone.learn(&ok);
    (world.line.remains(call).unwrap().to_string(), header(&ok, "Call-ID").to_owned())
}

/// A call that we placed and that was answered.
fn placed(world: &mut World) -> (String, String) {
    let call = world.act(|line, now| line.invite(now, invite()));
    let request = world.said();
    world.hears(&answer(&request, "asterisk-200.sip", "b"));
    (world.line.remains(call).unwrap().to_string(), header(&request, "Call-ID").to_owned())
}

/// The number in CSeq.
fn number(request: &str) -> u32 {
    header(request, "CSeq").split(' ').next().unwrap().parse().unwrap()
}

/// The line after the one that is gone, and what was kept.
fn next(remains: &str) -> (World, Remains) {
    (World::with(|config| config.seed = [8; 32]), remains.parse().unwrap())
}

fn rejection() -> Rejection {
    let reason = Some(Reason::q850(41, "Temporary failure"));
    Rejection { status: 503, phrase: None, reason, retry_after_s: None }
}
