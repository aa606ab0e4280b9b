//! A call of the PBX takes the place of one that it has with us (RFC 3891).

use tgtrunk_sip::{Availability, Event};

use crate::calls_in::{sdp, talking};
use crate::calls_out;
use crate::world::{Phone, World, header, headers, invite, local_audio, reply, seconds, start, tag};

#[test]
fn a_new_call_takes_the_place_of_an_answered_one_even_on_a_line_that_is_down_and_full() {
    let mut world = World::with(|config| config.max_calls = 1);
    let (phone, old) = talking(&mut world);
    world.line.set_availability(Availability::Down { retry_after_s: None, reason: None });
    let mut other = Phone::new("b");
    let replaces = format!("Replaces: a@127.0.0.1;to-tag={};from-tag=a-tag\n", phone.to_tag);
    world.hears(&other.same_branch("INVITE", &format!("{replaces}Require: replaces\n"), &sdp()));
    assert_eq!(start(&world.said()), "100 Trying");
    let Event::Replaces { call: new, replaces, remote: Some(_), .. } = world.event() else { panic!() };
    assert_eq!((replaces, world.line.calls()), (old, 1));
    world.act(|line, now| line.answer(now, new, local_audio(), Vec::new())).unwrap();
    let ok = world.said();
    assert_eq!(start(&ok), "200 OK");
    other.learn(&ok);
    let bye = world.said();
    assert!(bye.starts_with("BYE ") && tag(header(&bye, "To")) == "a-tag", "{bye}");
    let Event::Replaced { call, replaced, remote: Some(_) } = world.event() else { panic!() };
    assert_eq!((call, replaced), (new, old));
    world.hears(&reply(&bye, "200 OK", "", "", ""));
    world.hears(&other.request("ACK", "", ""));
    world.pass(seconds(60));
    world.no_event();
    assert_eq!(world.line.calls(), 1);
    world.hears(&other.request("BYE", "", ""));
    assert!(matches!(world.event(), Event::HungUp { call, .. } if call == new));
    world.ends_clean();
}

#[test]
fn a_call_that_rings_is_picked_up_by_another_phone_and_withdrawn_from_the_first() {
    let mut world = World::new();
    let old = world.act(|line, now| line.invite(now, invite()));
    let request = world.said();
    world.hears(&reply(&request, "180 Ringing", "x", "", ""));
    assert_eq!(world.event(), Event::Ringing { call: old });
    let (call_id, our_tag) = (header(&request, "Call-ID"), tag(header(&request, "From")));
    let replaces = format!("Replaces: {call_id};to-tag={our_tag};from-tag=x;early-only\n");
    world.hears(&Phone::new("b").same_branch("INVITE", &replaces, &sdp()));
    world.said();
    let Event::Replaces { call: new, replaces, .. } = world.event() else { panic!() };
    assert_eq!(replaces, old);
    world.act(|line, now| line.answer(now, new, local_audio(), Vec::new()));
    assert_eq!(start(&world.said()), "200 OK");
    let cancel = world.said();
    assert!(cancel.starts_with("CANCEL "), "{cancel}");
    let reasons = headers(&cancel, "Reason");
    assert!(reasons.contains(&"SIP;cause=200;text=\"Call completed elsewhere\""), "{reasons:?}");
    assert!(reasons.iter().any(|reason| reason.starts_with("Q.850;cause=26")), "{reasons:?}");
    assert!(matches!(world.event(), Event::Replaced { .. }));
    world.hears(&reply(&cancel, "200 OK", "x", "", ""));
    world.hears(&reply(&request, "487 Request Terminated", "x", "", ""));
    world.no_event();
}

#[test]
fn what_replaces_nothing_is_refused_and_the_call_goes_on() {
    let mut world = World::new();
    let (request, _) = calls_out::talking(&mut world);
    let (call_id, our_tag) = (header(&request, "Call-ID"), tag(header(&request, "From")));
    for (replaces, wanted) in [
        (format!("{call_id};to-tag={our_tag};from-tag=nobody"), "481 Call/Transaction Does Not Exist"),
        (format!("{call_id};to-tag=b;from-tag={our_tag}"), "481 Call/Transaction Does Not Exist"),
        (format!("{call_id}x;to-tag={our_tag};from-tag=b"), "481 Call/Transaction Does Not Exist"),
        (format!("{call_id};to-tag={our_tag};from-tag=b;early-only"), "486 Busy Here"),
        (format!("{call_id};to-tag={our_tag}"), "400 Replaces Not Readable"),
        (
            format!("{call_id};to-tag={our_tag};from-tag=b\nReplaces: x;to-tag=1;from-tag=2"),
            "400 Replaces Repeated",
        ),
    ] {
        let phone = Phone::new(&format!("b{}", replaces.len()));
        world.hears(&phone.same_branch("INVITE", &format!("Replaces: {replaces}\n"), &sdp()));
        assert_eq!(start(&world.said()), wanted, "{replaces}");
    }
    world.no_event();
    assert_eq!(world.line.calls(), 1);
}

#[test]
fn a_call_that_ended_before_its_place_was_taken_leaves_a_refusal() {
    let mut world = World::new();
    let (mut phone, old) = talking(&mut world);
    let replaces = format!("Replaces: a@127.0.0.1;to-tag={};from-tag=a-tag\n", phone.to_tag);
    world.hears(&Phone::new("b").same_branch("INVITE", &replaces, &sdp()));
    world.said();
    let Event::Replaces { call: new, .. } = world.event() else { panic!() };
    world.hears(&phone.request("BYE", "", ""));
    world.said();
    assert!(matches!(world.event(), Event::HungUp { call, .. } if call == old));
    assert_eq!(world.act(|line, now| line.answer(now, new, local_audio(), Vec::new())), None);
    assert_eq!(start(&world.said()), "481 Call/Transaction Does Not Exist");
    assert!(matches!(world.event(), Event::HungUp { call, .. } if call == new));
}

#[test]
fn without_an_offer_the_new_call_gets_ours_and_its_audio_comes_with_the_ack() {
    let mut world = World::new();
    let (phone, _) = talking(&mut world);
    let mut other = Phone::new("b");
    let replaces = format!("Replaces: a@127.0.0.1;to-tag={};from-tag=a-tag\n", phone.to_tag);
    world.hears(&other.same_branch("INVITE", &replaces, ""));
    world.said();
    let Event::Replaces { call: new, remote: None, .. } = world.event() else { panic!() };
    world.act(|line, now| line.answer(now, new, local_audio(), Vec::new()));
    let ok = world.said();
    other.learn(&ok);
    assert!(matches!(world.event(), Event::Replaced { remote: None, .. }));
    world.hears(&other.request("ACK", "", &sdp()));
    assert!(matches!(world.event(), Event::MediaChanged { call, .. } if call == new));
}
