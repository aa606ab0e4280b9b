//! Session timers over hours, either side refreshing (RFC 4028).

use tgtrunk_sip::{Event, Reason};

use crate::calls_in::sdp;
use crate::calls_out::from_pbx;
use crate::world::{
    Phone, World, body, header, headers, invite, local_audio, ms, reply, seconds, start, tag,
};

#[test]
fn a_caller_that_refreshes_is_told_so_and_lives_for_hours() {
    let mut world = World::new();
    let (mut phone, ok) =
        talking(&mut world, "Supported: timer\nSession-Expires: 90\nAllow: INVITE, UPDATE\n");
    assert_eq!(header(&ok, "Session-Expires"), "90;refresher=uac");
    assert_eq!((header(&ok, "Require"), headers(&ok, "Supported").len()), ("timer", 1));
    for round in 0..160 {
        world.pass(seconds(45));
        world.is_silent();
        let (method, sdp) = if round % 2 == 0 { ("UPDATE", String::new()) } else { ("INVITE", sdp()) };
        let extra = "Supported: timer\nSession-Expires: 90;refresher=uac\n";
        world.hears(&phone.request(method, extra, &sdp));
        let mut ok = world.said();
        if method == "INVITE" {
            ok = world.said();
            world.hears(&phone.request("ACK", "", ""));
        }
        assert_eq!((start(&ok), header(&ok, "Session-Expires")), ("200 OK", "90;refresher=uac"));
        assert_eq!(header(&ok, "Require"), "timer");
    }
    while let Some(event) = world.try_event() {
        assert!(matches!(event, Event::MediaChanged { .. }), "{event:?}");
    }
    assert_eq!(world.line.calls(), 1, "two hours later");
}

#[test]
fn a_caller_that_does_not_refresh_is_hung_up_before_the_session_is_over() {
    for (interval, lasts) in [(90, 60), (96, 64), (120, 88), (1800, 1768)] {
        let mut world = World::new();
        let offer = format!("Supported: timer\nSession-Expires: {interval};refresher=uac\n");
        let (_, _) = talking(&mut world, &offer);
        world.pass(seconds(lasts) - ms(1));
        world.is_silent();
        world.pass(ms(1));
        let bye = world.said();
        assert!(bye.starts_with("BYE "), "{bye}");
        assert_eq!(header(&bye, "Reason"), "Q.850;cause=102;text=\"Session expired\"");
        let Event::HungUp { reason, .. } = world.event() else { panic!("{interval}") };
        assert_eq!(reason, Some(Reason::q850(102, "Session expired")));
        world.hears(&reply(&bye, "200 OK", "", "", ""));
        world.ends_clean();
    }
}

#[test]
fn an_interval_below_90_is_422_and_one_whose_sender_knows_no_timers_is_passed_over() {
    for seconds in [0, 1, 89] {
        let mut world = World::new();
        let extra = format!("Supported: timer\nSession-Expires: {seconds}\n");
        world.hears(&Phone::new("a").same_branch("INVITE", &extra, &sdp()));
        let refusal = world.said();
        assert_eq!(start(&refusal), "422 Session Interval Too Small");
        assert_eq!(header(&refusal, "Min-SE"), "90");
        world.ends_clean();
    }
    let mut world = World::new();
    let (_, ok) = talking(&mut world, "Session-Expires: 30\n");
    assert!(headers(&ok, "Session-Expires").is_empty());
    world.pass(seconds(3600));
    world.is_silent();
}

#[test]
fn a_caller_without_timers_whose_proxy_wants_one_is_refreshed_by_us() {
    let mut world = World::new();
    let (phone, ok) = talking(&mut world, "Session-Expires: 200\nAllow: INVITE, ACK, BYE\n");
    assert_eq!((header(&ok, "Session-Expires"), headers(&ok, "Require").len()), ("200;refresher=uas", 0));
    world.pass(seconds(100) - ms(1));
    world.is_silent();
    world.pass(ms(1));
    let refresh = world.said();
    assert!(refresh.starts_with("INVITE "), "it takes no UPDATE: {refresh}");
    assert_eq!(header(&refresh, "Session-Expires"), "200;refresher=uac");
    assert_eq!(body(&refresh), body(&ok), "the session as it is, under the same version");
    assert_eq!(tag(header(&refresh, "To")), phone.from_tag);
    world.hears(&reply(&refresh, "200 OK", "", "", &sdp().replace("10010", "10002")));
    let ack = world.said();
    assert!(ack.starts_with("ACK ") && header(&ack, "CSeq") == "1 ACK", "{ack}");
    world.pass(seconds(7200));
    world.is_silent();
    assert_eq!(world.line.calls(), 1, "its 2xx names no timer any more, so there is none");
}

#[test]
fn a_caller_that_knows_timers_but_names_none_is_refreshed_by_us() {
    let mut world = World::new();
    let (_, ok) = talking(&mut world, "Supported: timer\nMin-SE: 2000\nAllow: INVITE, UPDATE\n");
    assert_eq!(header(&ok, "Session-Expires"), "2000;refresher=uas");
    for number in 1..8 {
        world.pass(seconds(1000));
        let update = world.said();
        assert!(update.starts_with("UPDATE ") && body(&update).is_empty(), "{update}");
        assert_eq!(header(&update, "CSeq"), format!("{number} UPDATE"));
        assert_eq!(
            (header(&update, "Session-Expires"), header(&update, "Min-SE")),
            ("2000;refresher=uac", "90")
        );
        world.hears(&reply(&update, "200 OK", "", "Session-Expires: 2000;refresher=uac\n", ""));
        world.is_silent();
    }
    world.no_event();
}

#[test]
fn our_call_names_its_interval_and_refreshes_when_the_pbx_wants_that() {
    let mut world = World::with(|config| config.session_interval_s = 90);
    let request = answered(&mut world, "Session-Expires: 90;refresher=uac\nRequire: timer\nAllow: UPDATE\n");
    assert_eq!((header(&request, "Session-Expires"), header(&request, "Min-SE")), ("90", "90"));
    assert!(header(&request, "Supported").contains("timer"));
    let from = world.now;
    for round in 1..=80_u64 {
        world.pass(seconds(45));
        let update = world.said();
        assert!(update.starts_with("UPDATE "), "{update}");
        world.hears(&reply(&update, "200 OK", "", "Session-Expires: 90;refresher=uac\n", ""));
        assert_eq!(world.now - from, seconds(45 * round));
    }
    world.is_silent();
    world.no_event();
}

#[test]
fn our_call_is_hung_up_when_the_pbx_wants_to_refresh_and_does_not() {
    let mut world = World::new();
    let request = answered(&mut world, "Session-Expires: 300;refresher=uas\n");
    world.pass(seconds(200));
    world.hears(&from_pbx(
        &request,
        "UPDATE",
        7,
        "Supported: timer\nSession-Expires: 300;refresher=uac\n",
        "",
    ));
    assert_eq!(header(&world.said(), "Session-Expires"), "300;refresher=uac");
    world.pass(seconds(267));
    world.is_silent();
    world.pass(seconds(1));
    assert!(world.said().starts_with("BYE "));
    assert!(matches!(world.event(), Event::HungUp { .. }));
}

#[test]
fn a_422_to_our_call_makes_it_ask_again_for_longer() {
    let mut world = World::with(|config| config.session_interval_s = 90);
    let call = world.act(|line, now| line.invite(now, invite()));
    let first = world.said();
    world.hears(&reply(&first, "100 Trying", "", "", ""));
    world.hears(&reply(&first, "422 Session Interval Too Small", "t", "Min-SE: 600\n", ""));
    let (ack, second) = (world.said(), world.said());
    assert!(ack.starts_with("ACK ") && header(&ack, "Via") == header(&first, "Via"), "{ack}");
    assert_eq!((header(&second, "Session-Expires"), header(&second, "Min-SE")), ("600", "600"));
    assert_eq!((header(&first, "CSeq"), header(&second, "CSeq")), ("1 INVITE", "2 INVITE"));
    assert_ne!(header(&first, "Via"), header(&second, "Via"));
    for same in ["Call-ID", "From", "To", "Contact"] {
        assert_eq!(header(&first, same), header(&second, same), "{same}");
    }
    assert_eq!(body(&first), body(&second));
    world.hears(&reply(&second, "180 Ringing", "b", "", ""));
    assert_eq!(world.event(), Event::Ringing { call });
    world.hears(&reply(&second, "200 OK", "b", "Session-Expires: 600;refresher=uac\n", &sdp()));
    assert_eq!(header(&world.said(), "CSeq"), "2 ACK");
    assert!(matches!(world.event(), Event::Answered { .. }));
    world.pass(seconds(300));
    let refresh = world.said();
    assert_eq!((header(&refresh, "CSeq"), header(&refresh, "Min-SE")), ("3 INVITE", "600"));
}

#[test]
fn a_422_that_says_nothing_new_ends_our_call() {
    for extra in ["", "Min-SE: 90\n", "Min-SE: soon\n"] {
        let mut world = World::new();
        world.act(|line, now| line.invite(now, invite()));
        let first = world.said();
        world.hears(&reply(&first, "422 Session Interval Too Small", "t", extra, ""));
        assert!(world.said().starts_with("ACK "));
        assert!(matches!(world.event(), Event::Refused { status: 422, .. }), "{extra}");
        world.ends_clean();
    }
    let mut world = World::new();
    world.act(|line, now| line.invite(now, invite()));
    for min in [100, 200, 300, 400] {
        let request = world.said();
        world.hears(&reply(&request, "422 Small", "t", &format!("Min-SE: {min}\n"), ""));
        assert!(world.said().starts_with("ACK "));
    }
    world.is_silent();
    assert!(matches!(world.event(), Event::Refused { status: 422, .. }), "three times are enough");
    world.ends_clean();
}

#[test]
fn a_refresh_of_ours_that_fails_ends_the_call_or_is_tried_again() {
    for (status, again) in [
        ("481 Gone", None),
        ("408 Timeout", None),
        ("500 Busy", Some("UPDATE ")),
        ("405 Method Not Allowed", Some("INVITE ")),
        ("501 Not Implemented", Some("INVITE ")),
        ("422 Small", Some("UPDATE ")),
        ("491 Request Pending", Some("UPDATE ")),
    ] {
        let mut world = World::new();
        answered(&mut world, "Session-Expires: 1800;refresher=uac\nAllow: INVITE, UPDATE\n");
        world.pass(seconds(900));
        let refresh = world.said();
        assert!(refresh.starts_with("UPDATE "), "{refresh}");
        world.hears(&reply(&refresh, status, "", "Min-SE: 2400\n", ""));
        world.pass(seconds(if status.starts_with("500") { 434 } else { 4 }));
        let next = world.said();
        match again {
            None => {
                assert!(next.starts_with("BYE "), "{status}: {next}");
                assert!(matches!(world.event(), Event::HungUp { .. }));
            }
            Some(method) => {
                assert!(next.starts_with(method), "{status}: {next}");
                let longer = status.starts_with("422");
                assert_eq!(header(&next, "Min-SE"), if longer { "2400" } else { "90" });
                world.no_event();
            }
        }
    }
}

#[test]
fn a_refresh_that_nobody_answers_ends_the_call() {
    let mut world = World::new();
    answered(&mut world, "Session-Expires: 1800;refresher=uac\nAllow: UPDATE\n");
    let from = world.now;
    world.pass(seconds(935));
    let updates = world.times(from, "UPDATE");
    assert_eq!((updates.len(), updates.first()), (11, Some(&900_000)));
    let Event::HungUp { reason, .. } = world.event() else { panic!("it goes on") };
    assert_eq!(reason, Some(Reason::q850(102, "Session refresh failed")));
    world.ends_clean();
}

#[test]
fn an_offer_that_meets_our_refresh_is_491_and_ours_comes_again() {
    let mut world = World::new();
    let request = answered(&mut world, "Session-Expires: 1800;refresher=uac\n");
    world.pass(seconds(900));
    let refresh = world.said();
    assert!(refresh.starts_with("INVITE "));
    world.hears(&from_pbx(&request, "INVITE", 5, "", &sdp()));
    assert_eq!(start(&world.said()), "100 Trying");
    assert_eq!(start(&world.said()), "491 Request Pending");
    world.hears(&from_pbx(&request, "UPDATE", 6, "", &sdp()));
    assert_eq!(start(&world.said()), "491 Request Pending");
    world.hears(&reply(&refresh, "491 Request Pending", "", "", ""));
    assert!(world.said().starts_with("ACK "));
    let from = world.now;
    world.skip();
    world.pass(seconds(5));
    let again = world.times(from, "INVITE");
    assert!((2100..=4000).contains(&again[0]), "the Call-ID is ours: {again:?}");
}

#[test]
fn where_the_call_id_is_theirs_our_refresh_comes_again_within_two_seconds() {
    let mut world = World::new();
    talking(&mut world, "Supported: timer\nSession-Expires: 1800;refresher=uas\n");
    world.pass(seconds(900));
    let refresh = world.said();
    world.hears(&reply(&refresh, "491 Request Pending", "", "", ""));
    assert!(world.said().starts_with("ACK "));
    let from = world.now;
    world.pass(seconds(3));
    let again = world.times(from, "INVITE");
    assert!(again[0] <= 2000, "{again:?}");
}

#[test]
fn a_refresh_in_the_middle_of_a_hold_keeps_it() {
    let mut world = World::new();
    let (mut phone, _) = talking(&mut world, "Supported: timer\nSession-Expires: 1800;refresher=uas\n");
    let held = sdp().replace("sendrecv", "sendonly");
    world.hears(&phone.request("INVITE", "Supported: timer\n", &held));
    world.said();
    let answered = world.said();
    world.hears(&phone.request("ACK", "", ""));
    assert!(matches!(world.event(), Event::MediaChanged { remote, .. } if !remote.listens()));
    world.pass(seconds(900));
    let refresh = world.said();
    assert!(body(&refresh).contains("a=recvonly\r\n") && body(&refresh) == body(&answered), "{refresh}");
    world.hears(&reply(&refresh, "200 OK", "", "Session-Expires: 1800;refresher=uac\n", &held));
    assert!(world.said().starts_with("ACK "));
    world.no_event();
}

#[test]
fn a_hold_between_two_refreshes_counts_as_one_and_keeps_who_refreshes() {
    let mut world = World::new();
    let (mut phone, _) = talking(&mut world, "Supported: timer\nSession-Expires: 120\n");
    world.pass(seconds(80));
    world.hears(&phone.request("INVITE", "Supported: timer\n", &sdp().replace("sendrecv", "sendonly")));
    world.said();
    assert_eq!(header(&world.said(), "Session-Expires"), "120;refresher=uac");
    world.hears(&phone.request("ACK", "", ""));
    assert!(matches!(world.event(), Event::MediaChanged { .. }));
    world.pass(seconds(87));
    world.is_silent();
    world.pass(seconds(1));
    assert!(world.said().starts_with("BYE "));
}

#[test]
fn hanging_up_while_our_refresh_is_on_its_way_leaves_nothing() {
    let mut world = World::new();
    answered(&mut world, "Session-Expires: 1800;refresher=uac\n");
    world.pass(seconds(900));
    let refresh = world.said();
    let call = tgtrunk_sip::CallId(1);
    world.act(|line, now| line.hang_up(now, call, None));
    assert!(world.said().starts_with("BYE "));
    world.hears(&reply(&refresh, "487 Request Terminated", "", "", ""));
    assert!(world.said().starts_with("ACK "));
    world.pass(seconds(40));
    world.skip();
    world.ends_clean();
}

#[test]
fn session_timers_may_be_required() {
    let mut world = World::new();
    let (_, ok) = talking(&mut world, "Require: timer\nSession-Expires: 90;refresher=uas\nAllow: UPDATE\n");
    assert_eq!(header(&ok, "Session-Expires"), "90;refresher=uas");
    world.pass(seconds(45));
    assert!(world.said().starts_with("UPDATE "));
}

/// A call of a PBX whose INVITE has these headers, answered and acknowledged. Gives our 200 too.
fn talking(world: &mut World, extra: &str) -> (Phone, String) {
    let mut phone = Phone::new("a");
    world.hears(&phone.same_branch("INVITE", extra, &sdp()));
    assert_eq!(start(&world.said()), "100 Trying");
    let Event::Incoming { call, .. } = world.event() else { panic!("no call") };
    world.act(|line, now| line.answer(now, call, local_audio(), Vec::new()));
    let ok = world.said();
    phone.learn(&ok);
    world.hears(&phone.request("ACK", "", ""));
    world.is_silent();
    (phone, ok)
}

/// Our call, answered by branch `b` with these headers. Gives our INVITE.
fn answered(world: &mut World, extra: &str) -> String {
    world.act(|line, now| line.invite(now, invite()));
    let request = world.said();
    world.hears(&reply(&request, "200 OK", "b", extra, &sdp()));
    assert!(world.said().starts_with("ACK "));
    assert!(matches!(world.event(), Event::Answered { .. }));
    request
}
