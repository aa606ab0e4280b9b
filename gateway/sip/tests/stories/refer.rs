//! The PBX transfers: REFER, the call that it asks for, and the NOTIFYs about it (RFC 3515, RFC 5589, RFC 4488).

use tgtrunk_sip::{CallId, Event, TurnedAway};

use crate::calls_in::{sdp, talking, turned_away};
use crate::world::{
    LINE, PBX, Phone, World, answer, body, header, headers, invite, reply, seconds, start, tag,
};

#[test]
fn a_blind_transfer_is_accepted_placed_told_and_ended_by_the_pbx() {
    let mut world = World::new();
    let (mut phone, call) = talking(&mut world);
    let extra = "Refer-To: <sip:200@127.0.0.1:5060;user=phone>\nReferred-By: \"Anna\" <sip:100@127.0.0.1>\n";
    let refer = phone.request("REFER", extra, "");
    world.hears(&refer);
    let accepted = world.said();
    assert_eq!((start(&accepted), header(&accepted, "Contact")), ("202 Accepted", CONTACT));
    assert!(headers(&accepted, "Refer-Sub").is_empty());
    let trying = notified(&mut world, "100 Trying", "active;expires=");
    assert_eq!((header(&trying, "Event"), tag(header(&trying, "To"))), ("refer", "a-tag"));
    world.hears(&refer);
    assert_eq!(world.said(), accepted, "a copy gets the same answer and asks for nothing more");
    let Event::Refer { call: asked, to_user, attended, referred_by } = world.event() else { panic!() };
    assert_eq!((asked, to_user.as_str(), attended), (call, "200", false));
    assert_eq!(referred_by.as_deref(), Some("\"Anna\" <sip:100@127.0.0.1>"));

    let new = world.act(|line, now| line.transfer(now, call, &invite())).unwrap();
    assert_eq!(world.act(|line, now| line.transfer(now, call, &invite())), None, "once");
    let (to, request) = world.said_to();
    assert_eq!(to.to_string(), PBX);
    assert!(request.starts_with("INVITE sip:200@127.0.0.1:5060;user=phone SIP/2.0\r\n"), "{request}");
    assert_eq!(header(&request, "To"), "<sip:200@127.0.0.1:5060;user=phone>");
    assert_eq!(header(&request, "Referred-By"), "\"Anna\" <sip:100@127.0.0.1>");
    assert!(headers(&request, "Replaces").is_empty());

    world.hears(&reply(&request, "180 Ringing", "b", "", ""));
    assert_eq!(world.event(), Event::Ringing { call: new });
    world.is_silent();
    world.hears(&reply(&trying, "200 OK", "", "", ""));
    let ringing = notified(&mut world, "180 Ringing", "active;expires=");
    world.hears(&reply(&ringing, "200 OK", "", "", ""));
    world.hears(&answer(&request, "asterisk-200.sip", "b"));
    assert!(world.said().starts_with("ACK "));
    let last = notified(&mut world, "200 OK", "terminated;reason=noresource");
    world.hears(&reply(&last, "200 OK", "", "", ""));
    assert!(matches!(world.event(), Event::Answered { call, .. } if call == new));
    world.pass(seconds(2));
    world.hears(&phone.request("BYE", "", ""));
    assert_eq!(start(&world.said()), "200 OK");
    assert!(matches!(world.event(), Event::HungUp { call: ended, .. } if ended == call));
    world.pass(seconds(10));
    world.is_silent();
    assert_eq!(world.line.calls(), 1);
    world.act(|line, now| line.hang_up(now, new, None));
    let bye = world.said();
    assert!(bye.starts_with("BYE "), "{bye}");
    world.hears(&reply(&bye, "200 OK", "", "", ""));
    world.ends_clean();
}

#[test]
fn a_pbx_that_does_not_end_the_old_call_gets_our_bye_after_five_seconds() {
    let mut world = World::new();
    let (mut phone, call) = talking(&mut world);
    let (new, request) = transferred(&mut world, &mut phone, call, "");
    world.hears(&answer(&request, "asterisk-200.sip", "b"));
    world.skip();
    assert!(matches!(world.event(), Event::Answered { call, .. } if call == new));
    world.pass(seconds(4));
    world.no_event();
    world.pass(seconds(2));
    assert!(matches!(world.event(), Event::HungUp { call: ended, .. } if ended == call));
    let said: Vec<_> = std::iter::from_fn(|| world.try_said()).collect();
    let bye = said.iter().find(|text| text.starts_with("BYE ")).unwrap();
    assert_eq!(tag(header(bye, "To")), "a-tag");
    assert_eq!(world.line.calls(), 1);
}

#[test]
fn a_transfer_that_fails_is_told_and_the_old_call_goes_on_to_be_transferred_again() {
    let mut world = World::new();
    let (mut phone, call) = talking(&mut world);
    let (new, request) = transferred(&mut world, &mut phone, call, "");
    world.hears(&reply(&request, "486 Busy Here", "b", "Reason: Q.850;cause=17\n", ""));
    assert!(world.said().starts_with("ACK "));
    let last = notified(&mut world, "486 Busy Here", "terminated;reason=noresource");
    assert!(matches!(world.event(), Event::Refused { call, status: 486, .. } if call == new));
    world.hears(&reply(&last, "200 OK", "", "", ""));
    world.pass(seconds(60));
    world.is_silent();
    assert_eq!(world.line.calls(), 1);

    world.hears(&phone.request("REFER", "Refer-To: <sip:300@127.0.0.1>\n", ""));
    assert_eq!(start(&world.said()), "202 Accepted");
    let again = notified(&mut world, "100 Trying", "active;expires=");
    assert_eq!(header(&again, "Event"), format!("refer;id={}", phone.cseq), "the second one has its number");
    assert!(matches!(world.event(), Event::Refer { to_user, .. } if to_user == "300"));
    world.act(|line, now| line.refuse_transfer(now, call, 480));
    world.hears(&reply(&again, "200 OK", "", "", ""));
    notified(&mut world, "480 Temporarily Unavailable", "terminated;reason=noresource");
}

#[test]
fn whoever_wants_no_notify_gets_none() {
    let mut world = World::new();
    let (mut phone, call) = talking(&mut world);
    let extra = "Refer-To: <sip:200@127.0.0.1>\nRefer-Sub: false\nSupported: norefersub\n";
    world.hears(&phone.request("REFER", extra, ""));
    let accepted = world.said();
    assert_eq!((start(&accepted), header(&accepted, "Refer-Sub")), ("202 Accepted", "false"));
    world.is_silent();
    world.event();
    let new = world.act(|line, now| line.transfer(now, call, &invite())).unwrap();
    let request = world.said();
    world.hears(&reply(&request, "180 Ringing", "b", "", ""));
    world.is_silent();
    world.hears(&answer(&request, "asterisk-200.sip", "b"));
    assert!(world.said().starts_with("ACK "));
    world.is_silent();
    world.event();
    assert!(matches!(world.event(), Event::Answered { call, .. } if call == new));
    world.pass(seconds(6));
    assert!(world.said().starts_with("BYE "), "the old call is ended all the same");
}

#[test]
fn a_pbx_may_hear_of_its_transfer_for_a_shorter_time_or_no_more() {
    let mut world = World::new();
    let (mut phone, call) = talking(&mut world);
    let (_, request) = transferred(&mut world, &mut phone, call, "");
    let refer = phone.cseq;
    world.hears(&reply(&request, "100 Trying", "", "", ""));
    world.hears(&phone.request("SUBSCRIBE", "Event: refer\nExpires: 30\n", ""));
    let taken = world.said();
    assert_eq!(
        (start(&taken), header(&taken, "Expires"), header(&taken, "Contact")),
        ("200 OK", "30", CONTACT)
    );
    let now = notified(&mut world, "100 Trying", "active;expires=30");
    world.hears(&reply(&now, "200 OK", "", "", ""));
    // Not longer than it lasts anyway; the number of the REFER may be told.
    world.pass(seconds(10));
    let extra = format!("Event: REFER ; id = {refer}\nExpires: 86400\n");
    world.hears(&phone.request("SUBSCRIBE", &extra, ""));
    assert_eq!(header(&world.said(), "Expires"), "20");
    let now = notified(&mut world, "100 Trying", "active;expires=20");
    world.hears(&reply(&now, "200 OK", "", "", ""));
    for (extra, refusal) in [
        ("Event: presence\n", "489 Bad Event"),
        ("", "489 Bad Event"),
        ("Event: refer;id=7\n", "481 Subscription Does Not Exist"),
        ("Event: refer;id=x\n", "400 Event Or Expires Not Readable"),
        ("Event: refer\nExpires: -1\n", "400 Event Or Expires Not Readable"),
    ] {
        world.hears(&phone.request("SUBSCRIBE", extra, ""));
        let told = world.said();
        assert_eq!(start(&told), refusal, "{extra}");
        let allowed: &[&str] = if refusal.starts_with("489") { &["refer"] } else { &[] };
        assert_eq!(headers(&told, "Allow-Events"), allowed);
        world.is_silent();
    }

    world.hears(&phone.request("SUBSCRIBE", "Event: refer\nExpires: 0\n", ""));
    let taken = world.said();
    assert_eq!((start(&taken), header(&taken, "Expires")), ("200 OK", "0"));
    let last = notified(&mut world, "100 Trying", "terminated;reason=timeout");
    world.hears(&phone.request("SUBSCRIBE", "Event: refer\n", ""));
    assert_eq!(start(&world.said()), "481 Subscription Does Not Exist");
    world.hears(&reply(&last, "200 OK", "", "", ""));
    world.hears(&reply(&request, "180 Ringing", "b", "", ""));
    assert!(matches!(world.event(), Event::Ringing { .. }));
    world.is_silent();
    world.hears(&answer(&request, "asterisk-200.sip", "b"));
    assert!(world.said().starts_with("ACK "));
    world.is_silent();
}

#[test]
fn a_subscription_that_ran_out_is_told_nothing_more() {
    let mut world = World::new();
    let (mut phone, call) = talking(&mut world);
    world.hears(&phone.request("SUBSCRIBE", "Event: refer\n", ""));
    assert_eq!(start(&world.said()), "481 Subscription Does Not Exist");
    let (_, request) = transferred(&mut world, &mut phone, call, "");
    world.hears(&reply(&request, "100 Trying", "", "", ""));
    world.hears(&phone.request("SUBSCRIBE", "Event: refer\nExpires: 5\n", ""));
    assert_eq!(start(&world.said()), "200 OK");
    let now = notified(&mut world, "100 Trying", "active;expires=5");
    world.hears(&reply(&now, "200 OK", "", "", ""));
    world.pass(seconds(6));
    world.hears(&reply(&request, "486 Busy Here", "b", "", ""));
    assert!(world.said().starts_with("ACK "));
    world.is_silent();
    // The call goes on, and can be transferred again.
    world.hears(&phone.request("REFER", "Refer-To: <sip:300@127.0.0.1>\n", ""));
    assert_eq!(start(&world.said()), "202 Accepted");
}

#[test]
fn an_attended_transfer_takes_the_place_of_the_call_that_it_names() {
    let mut world = World::new();
    let (mut phone, call) = talking(&mut world);
    let target = "<sip:200@127.0.0.1:5062?Replaces=98732%40pbx%3Bto-tag%3Dff87%3Bfrom-tag%3Dr33t&Require=replaces&\
                  Route=%3Csip%3Aevil%3E&Subject=x>";
    world.hears(&phone.request("REFER", &format!("Refer-To: {target}\n"), ""));
    assert_eq!(start(&world.said()), "202 Accepted");
    world.said();
    assert!(matches!(world.event(), Event::Refer { attended: true, .. }));
    world.act(|line, now| line.transfer(now, call, &invite()));
    let (to, request) = world.said_to();
    assert_eq!(to.to_string(), "127.0.0.1:5062");
    assert!(request.starts_with("INVITE sip:200@127.0.0.1:5062 SIP/2.0\r\n"), "{request}");
    assert_eq!(header(&request, "Replaces"), "98732@pbx;to-tag=ff87;from-tag=r33t");
    assert_eq!(header(&request, "Require"), "replaces");
    assert!(headers(&request, "Route").is_empty() && headers(&request, "Subject").is_empty(), "{request}");
}

#[test]
fn only_what_is_at_the_pbx_is_called() {
    let mut world = World::with(|config| {
        config.peer_names = vec!["pbx.example".to_owned()];
        config.allowed = vec!["192.0.2.7".parse().unwrap()];
    });
    let (mut phone, call) = talking(&mut world);
    for (refer_to, wanted) in [
        ("<sip:+12025550123@203.0.113.9>", "403 Transfer Target Not At This PBX"),
        ("<sip:200@elsewhere.example>", "403 Transfer Target Not At This PBX"),
        ("<sip:200@pbx.example.evil.example>", "403 Transfer Target Not At This PBX"),
        ("<sip:200@127.0.0.1:0>", "403 Transfer Target Not At This PBX"),
        ("<sip:+79060000000@127.0.0.1:30001>", "403 No Transfer To Telegram"),
        ("<sip:200@127.0.0.1;method=BYE>", "403 Only Calls Are Transferred"),
        ("<sips:200@127.0.0.1>", "416 Unsupported URI Scheme"),
        ("<tel:200>", "416 Unsupported URI Scheme"),
        ("<http://127.0.0.1/>", "416 Unsupported URI Scheme"),
        ("<sip:200@127.0.0.1>, <sip:201@127.0.0.1>", "400 Refer-To Missing Or Repeated"),
        ("\"", "400 Refer-To Not Readable"),
        ("<sip:200@127.0.0.1?Replaces=nonsense>", "400 Refer-To Not Readable"),
        (
            "<sip:200@127.0.0.1?Replaces=a%0d%0aX-Evil%3A1%3Bto-tag%3D1%3Bfrom-tag%3D2>",
            "400 Refer-To Not Readable",
        ),
    ] {
        world.hears(&phone.request("REFER", &format!("Refer-To: {refer_to}\n"), ""));
        assert_eq!(start(&world.said()), wanted, "{refer_to}");
        world.is_silent();
    }
    world.hears(&phone.request("REFER", "", ""));
    assert_eq!(start(&world.said()), "400 Refer-To Missing Or Repeated");
    world.no_event();
    assert_eq!(world.act(|line, now| line.transfer(now, call, &invite())), None);

    for (refer_to, destination) in [
        ("<sip:200@PBX.example>", PBX),
        ("<sip:200@192.0.2.7>", "192.0.2.7:5060"),
        ("sip:200@127.0.0.1", PBX),
    ] {
        world.hears(&phone.request("REFER", &format!("Refer-To: {refer_to}\n"), ""));
        assert_eq!(start(&world.said()), "202 Accepted", "{refer_to}");
        let trying = world.said();
        world.event();
        world.act(|line, now| line.transfer(now, call, &invite()));
        let (to, request) = world.said_to();
        assert_eq!(to.to_string(), destination, "{refer_to}");
        world.hears(&reply(&request, "404 Not Found", "b", "", ""));
        world.event();
        world.said();
        world.hears(&reply(&trying, "200 OK", "", "", ""));
        let last = notified(&mut world, "404 Not Found", "terminated;reason=noresource");
        world.hears(&reply(&last, "200 OK", "", "", ""));
    }
}

#[test]
fn one_transfer_at_a_time_and_none_where_a_setting_forbids_it_or_nobody_answered() {
    let mut world = World::new();
    let (mut phone, _) = talking(&mut world);
    let extra = "Refer-To: <sip:200@127.0.0.1>\n";
    world.hears(&phone.request("REFER", extra, ""));
    world.skip();
    world.event();
    world.hears(&phone.request("REFER", extra, ""));
    assert_eq!(start(&world.said()), "491 Request Pending");

    let mut world = World::with(|config| config.refer = false);
    let (mut phone, _) = talking(&mut world);
    world.hears(&phone.request("REFER", extra, ""));
    assert_eq!(start(&world.said()), "603 Decline");
    world.no_event();
}

#[test]
fn a_transferor_who_hangs_up_at_once_hears_no_more_and_the_new_call_goes_on() {
    let mut world = World::new();
    let (mut phone, call) = talking(&mut world);
    let (new, request) = transferred(&mut world, &mut phone, call, "");
    world.hears(&phone.request("BYE", "", ""));
    assert_eq!(start(&world.said()), "200 OK");
    assert!(matches!(world.event(), Event::HungUp { call: ended, .. } if ended == call));
    world.hears(&reply(&request, "180 Ringing", "b", "", ""));
    world.is_silent();
    world.hears(&answer(&request, "asterisk-200.sip", "b"));
    assert!(world.said().starts_with("ACK "));
    world.is_silent();
    assert_eq!(world.event(), Event::Ringing { call: new });
    assert!(matches!(world.event(), Event::Answered { call, .. } if call == new));
}

#[test]
fn who_does_not_take_a_notify_gets_no_further_one() {
    let mut world = World::new();
    let (mut phone, call) = talking(&mut world);
    world.hears(&phone.request("REFER", "Refer-To: <sip:200@127.0.0.1>\n", ""));
    world.said();
    let trying = world.said();
    world.event();
    world.hears(&reply(&trying, "481 Subscription Does Not Exist", "", "", ""));
    world.act(|line, now| line.transfer(now, call, &invite()));
    let request = world.said();
    world.hears(&reply(&request, "180 Ringing", "b", "", ""));
    world.hears(&reply(&request, "603 Decline", "b", "", ""));
    assert!(world.said().starts_with("ACK "));
    world.is_silent();
}

#[test]
fn the_second_leg_of_a_transfer_takes_no_place_of_a_line_that_has_few() {
    let mut world = World::with(|config| config.max_calls = 2);
    let (mut phone, call) = talking(&mut world);
    let (new, request) = transferred(&mut world, &mut phone, call, "");
    assert_eq!(world.line.calls(), 1);
    let other = Phone::new("b");
    world.hears(&other.same_branch("INVITE", "", &sdp()));
    assert_eq!(start(&world.said()), "100 Trying");
    assert!(matches!(world.event(), Event::Incoming { .. }));
    world.hears(&Phone::new("c").same_branch("INVITE", "", &sdp()));
    assert_eq!(start(&world.said()), "503 Service Unavailable", "two are two");
    turned_away(&mut world, TurnedAway::Full);
    world.hears(&answer(&request, "asterisk-200.sip", "d"));
    assert!(matches!(world.event(), Event::Answered { call, .. } if call == new));
    world.skip();
    assert_eq!(world.line.calls(), 2, "the old leg, which waits for its end, takes none any more");
    world.hears(&other.same_branch("CANCEL", "", ""));
    world.hears(&phone.request("BYE", "", ""));
    assert_eq!(world.line.calls(), 1);

    let mut world = World::with(|config| config.max_calls = 1);
    let (mut phone, call) = talking(&mut world);
    transferred(&mut world, &mut phone, call, "");
    world.hears(&phone.request("BYE", "", ""));
    assert_eq!(world.line.calls(), 1, "the new leg has the place of the one that is gone");
}

const CONTACT: &str = "<sip:+74950000001@127.0.0.1:30001>";

/// A transfer that is placed; its first NOTIFY is taken.
fn transferred(world: &mut World, phone: &mut Phone, call: CallId, extra: &str) -> (CallId, String) {
    world.hears(&phone.request("REFER", &format!("Refer-To: <sip:200@127.0.0.1>\n{extra}"), ""));
    assert_eq!(start(&world.said()), "202 Accepted");
    let trying = notified(world, "100 Trying", "active;expires=");
    world.hears(&reply(&trying, "200 OK", "", "", ""));
    assert!(matches!(world.event(), Event::Refer { .. }));
    let new = world.act(|line, now| line.transfer(now, call, &invite())).unwrap();
    (new, world.said())
}

/// The NOTIFY that comes next.
#[track_caller]
fn notified(world: &mut World, fragment: &str, state: &str) -> String {
    let notify = world.said();
    assert!(notify.starts_with(&format!("NOTIFY sip:asterisk@{PBX} SIP/2.0\r\n")), "{notify}");
    assert_eq!(body(&notify), format!("SIP/2.0 {fragment}\r\n"));
    assert_eq!(header(&notify, "Content-Type"), "message/sipfrag;version=2.0");
    assert!(header(&notify, "Subscription-State").starts_with(state), "{notify}");
    assert!(header(&notify, "Contact").contains(LINE));
    notify
}
