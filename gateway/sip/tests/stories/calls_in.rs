//! The PBX calls: answered, refused, lost on the way (RFC 3261 sections 13.3 and 15).

use tgtrunk_media::codec::{OPUS, PCMA};
use tgtrunk_sip::{Availability, CallId, Direction, Event, Reason, Rejection, TurnedAway};

use crate::world::{
    LINE, PBX, Phone, World, body, header, headers, local_audio, ms, seconds, start, tag, testdata,
};

#[test]
fn sipp_baresip_and_asterisk_each_call_talk_and_hang_up() {
    for (file, dialled, wanted, number, rtp) in [
        ("sipp-invite.sip", "+79060000000", "+79060000000", 98, "127.0.0.1:36000"),
        ("baresip-invite.sip", "tg%23durov", "tg#durov", 96, "192.0.2.2:27414"),
        ("asterisk-invite.sip", "id%235", "id#5", 107, "127.0.0.1:10002"),
    ] {
        let mut world = World::new();
        let mut phone = Phone::dialling("a", dialled);
        world.hears(&phone.invite(file));
        assert_eq!(start(&world.said()), "100 Trying", "{file}");
        let Event::Incoming { call, dialled, remote: Some(remote), .. } = world.event() else {
            panic!("{file}")
        };
        assert_eq!(
            (dialled.as_str(), remote.payload_type, remote.rtp.to_string().as_str()),
            (wanted, number, rtp)
        );

        world.act(|line, now| line.ringing(now, call, vec![("X-Mood".into(), "good".into())]));
        let ringing = world.said();
        assert_eq!((start(&ringing), header(&ringing, "X-Mood")), ("180 Ringing", "good"));
        phone.learn(&ringing);

        world.pass(seconds(5));
        let settled = world.act(|line, now| line.answer(now, call, local_audio(), Vec::new()));
        assert_eq!(settled.unwrap().payload_type, number);
        let ok = world.said();
        assert_eq!((start(&ok), header(&ok, "Contact")), ("200 OK", "<sip:+74950000001@127.0.0.1:30001>"));
        assert_eq!(tag(header(&ok, "To")), phone.to_tag, "one tag for ringing and answer");
        assert!(body(&ok).contains(&format!("m=audio 20000 RTP/AVP {number}\r\n")), "{ok}");
        let phones_cseq = phone.cseq;
        world.hears(&phone.request("ACK", "", ""));
        assert_eq!(phone.cseq, phones_cseq);

        world.pass(seconds(60));
        world.is_silent();
        assert_eq!(world.line.calls(), 1);
        world.hears(&phone.request("BYE", "Reason: Q.850;cause=16\n", ""));
        assert_eq!(start(&world.said()), "200 OK");
        let Event::HungUp { reason: Some(reason), .. } = world.event() else { panic!("{file}") };
        assert_eq!((reason.cause, world.line.calls()), (16, 0));
        world.ends_clean();
    }
}

#[test]
fn what_the_caller_is_called_and_brings_along_is_told() {
    let mut world = World::new();
    world.hears(&Phone::new("a").invite("asterisk-invite.sip"));
    let Event::Incoming { from_user, from_display, remote, sip_call_id, headers, .. } = world.event() else {
        panic!()
    };
    assert_eq!((from_user.as_str(), from_display.as_str()), ("101", "Front \"Desk\""));
    assert_eq!(sip_call_id, "a@127.0.0.1");
    assert_eq!(headers, [("X-GW-Context".to_owned(), "ctx-7".to_owned())]);
    let remote = remote.unwrap();
    assert_eq!(
        (remote.ptime_ms, remote.maxptime_ms, remote.direction),
        (Some(20), Some(60), Direction::SendRecv)
    );
}

#[test]
fn we_hang_up_with_a_reason_and_the_dialog_goes_with_the_answer() {
    let mut world = World::new();
    let (mut phone, call) = talking(&mut world);
    world.act(|line, now| line.hang_up(now, call, Some(Reason::q850(16, "Normal"))));
    let bye = world.said();
    assert_eq!(start(&bye), "BYE sip:asterisk@127.0.0.1:5060");
    assert_eq!(header(&bye, "CSeq"), "1 BYE");
    assert_eq!(header(&bye, "Reason"), "Q.850;cause=16;text=\"Normal\"");
    assert_eq!(tag(header(&bye, "From")), phone.to_tag);
    assert_eq!(tag(header(&bye, "To")), phone.from_tag);
    assert!(header(&bye, "Via").starts_with(&format!("SIP/2.0/UDP {LINE};rport;branch=z9hG4bK")), "{bye}");
    assert_eq!(world.line.calls(), 0);

    world.hears(&phone.request("BYE", "", ""));
    assert_eq!(start(&world.said()), "200 OK", "both hung up at once");
    world.hears(&phone.request("INFO", "", ""));
    assert_eq!(
        start(&world.said()),
        "481 Call/Transaction Does Not Exist",
        "nothing else comes after our BYE"
    );
    world.hears(&crate::world::reply(&bye, "200 OK", "", "", ""));
    assert_eq!(world.line.memory().dialogs, 0);
    world.ends_clean();
}

#[test]
fn a_bye_that_nobody_answers_is_repeated_and_forgotten() {
    let mut world = World::new();
    let (_, call) = talking(&mut world);
    let from = world.now;
    world.act(|line, now| line.hang_up(now, call, None));
    world.pass(seconds(40));
    assert_eq!(
        world.times(from, "BYE"),
        [0, 500, 1500, 3500, 7500, 11_500, 15_500, 19_500, 23_500, 27_500, 31_500]
    );
    world.ends_clean();
}

#[test]
fn each_refusal_carries_its_status_reason_and_retry_after() {
    for (status, words, cause) in [
        (403, "Forbidden", 21),
        (404, "Not Found", 1),
        (408, "Request Timeout", 102),
        (410, "Gone", 22),
        (480, "Temporarily Unavailable", 19),
        (484, "Address Incomplete", 28),
        (486, "Busy Here", 17),
        (488, "Not Acceptable Here", 88),
        (500, "Server Internal Error", 41),
        (503, "Service Unavailable", 42),
        (504, "Server Time-out", 102),
        (603, "Decline", 21),
    ] {
        let mut world = World::new();
        let (mut phone, call) = incoming(&mut world);
        let reason = Some(Reason::q850(cause, "why"));
        let rejection = Rejection { status, phrase: None, reason, retry_after_s: Some(31) };
        world.act(|line, now| line.reject(now, call, rejection));
        let refusal = world.said();
        assert_eq!(start(&refusal), format!("{status} {words}"));
        assert_eq!(header(&refusal, "Reason"), format!("Q.850;cause={cause};text=\"why\""));
        assert_eq!(header(&refusal, "Retry-After"), "31");
        phone.learn(&refusal);
        world.hears(&phone.same_branch("ACK", "", ""));
        world.ends_clean();
    }
}

#[test]
fn a_refusal_in_words_of_ones_own_cannot_break_the_message() {
    let mut world = World::new();
    let (_, call) = incoming(&mut world);
    let phrase = Some("Busy\r\nX-Evil: 1\0".to_owned());
    world.act(|line, now| {
        line.reject(now, call, Rejection { status: 42, phrase, reason: None, retry_after_s: None })
    });
    assert_eq!(start(&world.said()), "500 Busy  X-Evil: 1", "and 42 is no status");
}

#[test]
fn the_ack_of_a_refusal_matches_its_invite_and_stops_the_repeating() {
    let mut world = World::new();
    let (mut phone, call) = incoming(&mut world);
    let from = world.now;
    world.act(|line, now| line.reject(now, call, busy()));
    world.pass(seconds(2));
    let said = world.said();
    phone.learn(&said);
    assert_eq!(world.times(from, "SIP/2.0 486"), [500, 1500]);
    world.hears(&phone.invite("asterisk-invite.sip"));
    assert_eq!(start(&world.said()), "486 Busy Here", "a copy of the INVITE gets the answer again");
    world.hears(&phone.same_branch("ACK", "", ""));
    world.pass(seconds(60));
    world.is_silent();
    world.ends_clean();
}

#[test]
fn a_200_is_repeated_until_its_ack_and_copies_of_the_invite_are_swallowed() {
    let mut world = World::new();
    let (mut phone, call) = incoming(&mut world);
    let from = world.now;
    world.act(|line, now| line.answer(now, call, local_audio(), Vec::new()));
    let ok = world.said();
    phone.learn(&ok);
    world.hears(&phone.invite("asterisk-invite.sip"));
    world.is_silent();
    world.pass(seconds(10));
    assert_eq!(world.times(from, "SIP/2.0 200"), [500, 1500, 3500, 7500]);
    world.hears(&phone.request("ACK", "", ""));
    world.pass(seconds(60));
    world.is_silent();
    world.no_event();
    assert_eq!(world.line.calls(), 1, "the call goes on");
}

#[test]
fn without_an_ack_the_call_is_hung_up_after_32_seconds() {
    let mut world = World::new();
    let (_, call) = incoming(&mut world);
    let from = world.now;
    world.act(|line, now| line.answer(now, call, local_audio(), Vec::new()));
    world.pass(ms(31_999));
    world.no_event();
    world.pass(ms(1));
    assert!(matches!(world.event(), Event::HungUp { call: ended, .. } if ended == call));
    assert_eq!(world.times(from, "BYE"), [32_000]);
    world.ends_clean();
}

#[test]
fn a_bye_that_overtakes_the_ack_ends_the_call() {
    let mut world = World::new();
    let (mut phone, call) = incoming(&mut world);
    world.act(|line, now| line.answer(now, call, local_audio(), Vec::new()));
    phone.learn(&world.said());
    world.hears(&phone.request("BYE", "", ""));
    assert_eq!(start(&world.said()), "200 OK");
    assert!(matches!(world.event(), Event::HungUp { .. }));
    phone.cseq = 1;
    world.hears(&phone.request("ACK", "", ""));
    world.pass(seconds(40));
    world.is_silent();
    world.ends_clean();
}

#[test]
fn hanging_up_before_the_ack_waits_for_it() {
    let mut world = World::new();
    let (mut phone, call) = incoming(&mut world);
    world.act(|line, now| line.answer(now, call, local_audio(), Vec::new()));
    phone.learn(&world.said());
    world.act(|line, now| line.hang_up(now, call, Some(Reason::q850(16, "Normal"))));
    assert_eq!(world.line.calls(), 0);
    world.is_silent();
    world.hears(&phone.request("ACK", "", ""));
    let bye = world.said();
    assert_eq!(
        (start(&bye), header(&bye, "Reason")),
        ("BYE sip:asterisk@127.0.0.1:5060", "Q.850;cause=16;text=\"Normal\"")
    );
    world.hears(&crate::world::reply(&bye, "200 OK", "", "", ""));
    world.ends_clean();
}

#[test]
fn hanging_up_a_call_that_only_rings_refuses_it() {
    let mut world = World::new();
    let (_, call) = incoming(&mut world);
    world.act(|line, now| line.hang_up(now, call, Some(Reason::q850(41, "Lost"))));
    let refusal = world.said();
    assert_eq!(
        (start(&refusal), header(&refusal, "Reason")),
        ("480 Temporarily Unavailable", "Q.850;cause=41;text=\"Lost\"")
    );
    world.pass(seconds(32));
    world.skip();
    world.ends_clean();
}

#[test]
fn a_copy_of_the_invite_after_everything_is_over_is_no_second_call() {
    let mut world = World::new();
    let (mut phone, call) = incoming(&mut world);
    let first = phone.invite("asterisk-invite.sip");
    world.act(|line, now| line.reject(now, call, busy()));
    phone.learn(&world.said());
    world.hears(&phone.same_branch("ACK", "", ""));
    world.pass(seconds(20));
    assert_eq!(world.line.memory().transactions, 0);
    world.hears(&first);
    world.is_silent();
    world.no_event();
    world.ends_clean();
}

#[test]
fn a_copy_of_the_invite_in_a_running_call_is_no_second_call() {
    let mut world = World::new();
    let (phone, _) = talking(&mut world);
    let first = Phone { cseq: 1, branch: "z9hG4bK-a-0".to_owned(), to_tag: String::new(), ..phone };
    world.pass(seconds(40));
    world.hears(&first.invite("asterisk-invite.sip"));
    world.is_silent();
    world.no_event();
}

#[test]
fn the_same_call_that_arrives_by_another_way_is_482() {
    let mut world = World::new();
    let (mut phone, _) = incoming(&mut world);
    phone.branch = "z9hG4bK-another-way".to_owned();
    world.hears(&phone.invite("asterisk-invite.sip"));
    assert_eq!(start(&world.said()), "482 Loop Detected");
    world.no_event();
}

#[test]
fn the_line_takes_as_many_calls_as_it_may_and_refuses_the_rest_with_34() {
    let mut world = World::with(|config| config.max_calls = 2);
    let mut calls = Vec::new();
    for name in ["a", "b", "c"] {
        world.hears(&Phone::new(name).invite("asterisk-invite.sip"));
        let said = world.said();
        if name == "c" {
            assert_eq!(start(&said), "503 Service Unavailable");
            assert!(header(&said, "Reason").starts_with("Q.850;cause=34"));
            assert!((2..6).contains(&header(&said, "Retry-After").parse::<u32>().unwrap()));
            turned_away(&mut world, TurnedAway::Full);
        } else {
            let Event::Incoming { call, .. } = world.event() else { panic!() };
            calls.push(call);
        }
    }
    world.no_event();
    let refused = world.act(|line, now| line.invite(now, crate::world::invite()));
    let Event::Refused { call, status: 503, reason: Some(reason), .. } = world.event() else { panic!() };
    assert_eq!((call, reason.cause), (refused, 34));
    world.act(|line, now| line.reject(now, calls[0], busy()));
    world.said();
    world.hears(&Phone::new("d").invite("asterisk-invite.sip"));
    assert_eq!(start(&world.said()), "100 Trying", "a place is free again");
}

#[test]
fn a_line_that_is_down_refuses_calls_and_says_when_to_come_again() {
    let mut world = World::new();
    let (_, running) = talking(&mut world);
    let reason = Some(Reason::q850(42, "Flood"));
    world.act(|line, _| line.set_availability(Availability::Down { retry_after_s: Some(31), reason }));
    world.hears(&Phone::new("b").invite("asterisk-invite.sip"));
    let refusal = world.said();
    assert_eq!((start(&refusal), header(&refusal, "Retry-After")), ("503 Service Unavailable", "31"));
    assert_eq!(header(&refusal, "Reason"), "Q.850;cause=42;text=\"Flood\"");
    turned_away(&mut world, TurnedAway::Down);
    world.no_event();
    assert_eq!(world.line.calls(), 1, "running calls go on");
    world.act(|line, now| line.hang_up(now, running, None));
    world.act(|line, _| line.set_availability(Availability::Up));
    world.said();
    world.hears(&Phone::new("c").invite("asterisk-invite.sip"));
    assert_eq!(start(&world.said()), "100 Trying");
}

#[test]
fn a_call_without_an_offer_gets_ours_and_the_ack_brings_the_answer() {
    let mut world = World::new();
    let mut phone = Phone::new("a");
    world.hears(&phone.same_branch("INVITE", "", ""));
    world.said();
    let Event::Incoming { call, remote: None, .. } = world.event() else { panic!() };
    assert_eq!(world.act(|line, now| line.answer(now, call, local_audio(), Vec::new())), None);
    let ok = world.said();
    assert!(body(&ok).contains("m=audio 20000 RTP/AVP 107\r\n"));
    phone.learn(&ok);
    let sdp = "v=0\no=- 1 1 IN IP4 127.0.0.1\ns=-\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio 7000 RTP/AVP 107\n";
    world.hears(&phone.request("ACK", "", sdp));
    let Event::MediaChanged { remote, .. } = world.event() else { panic!() };
    assert_eq!((remote.rtp.port(), remote.payload_type), (7000, 107));
    world.is_silent();
}

#[test]
fn an_ack_without_the_answer_it_owes_ends_the_call() {
    let mut world = World::new();
    let mut phone = Phone::new("a");
    world.hears(&phone.same_branch("INVITE", "", ""));
    world.said();
    let Event::Incoming { call, .. } = world.event() else { panic!() };
    world.act(|line, now| line.answer(now, call, local_audio(), Vec::new()));
    phone.learn(&world.said());
    world.hears(&phone.request("ACK", "", ""));
    assert!(world.said().starts_with("BYE "));
    assert!(matches!(world.event(), Event::HungUp { .. }));
}

#[test]
fn a_bye_of_the_caller_while_it_rings_is_a_cancel() {
    let mut world = World::new();
    let (mut phone, call) = incoming(&mut world);
    world.act(|line, now| line.ringing(now, call, Vec::new()));
    phone.learn(&world.said());
    world.hears(&phone.request("BYE", "", ""));
    assert_eq!(start(&world.said()), "487 Request Terminated");
    assert_eq!(start(&world.said()), "200 OK");
    assert!(matches!(world.event(), Event::Cancelled { .. }));
    world.pass(seconds(40));
    world.skip();
    world.ends_clean();
}

#[test]
fn answers_keep_record_route_and_our_bye_takes_that_way() {
    let mut world = World::new();
    let mut phone = Phone::new("a");
    let routes = "Record-Route: <sip:127.0.0.1:5070;lr>\nRecord-Route: <sip:127.0.0.1:5071;lr>\n";
    world.hears(&phone.same_branch("INVITE", routes, &sdp()));
    world.said();
    let Event::Incoming { call, .. } = world.event() else { panic!() };
    world.act(|line, now| line.ringing(now, call, Vec::new()));
    let ways = ["<sip:127.0.0.1:5070;lr>", "<sip:127.0.0.1:5071;lr>"];
    assert_eq!(headers(&world.said(), "Record-Route"), ways);
    world.act(|line, now| line.answer(now, call, local_audio(), Vec::new()));
    let ok = world.said();
    assert_eq!(headers(&ok, "Record-Route"), ways);
    phone.learn(&ok);
    world.hears(&phone.request("ACK", "", ""));
    world.act(|line, now| line.hang_up(now, call, None));
    let (destination, bye) = world.said_to();
    assert_eq!((destination.to_string().as_str(), headers(&bye, "Route")), ("127.0.0.1:5070", ways.to_vec()));
    assert_eq!(start(&bye), "BYE sip:100@127.0.0.1:5060");
}

#[test]
fn answers_go_where_the_via_says_and_to_no_stranger() {
    let mut world = World::new();
    let rport = Phone::new("a").invite("asterisk-invite.sip");
    world.hears_from("127.0.0.1:40000", rport.as_bytes());
    let (to, trying) = world.said_to();
    assert_eq!(to.to_string(), "127.0.0.1:40000");
    assert!(header(&trying, "Via").contains("rport=40000;received=127.0.0.1"), "{trying}");
    let plain = Phone::new("b").invite("sipp-invite.sip");
    world.hears_from("127.0.0.1:40000", plain.as_bytes());
    assert_eq!(world.said_to().0.to_string(), PBX, "without rport the Via's own port");
    let Event::Incoming { .. } = world.event() else { panic!() };
    let Event::Incoming { call, .. } = world.event() else { panic!() };
    world.act(|line, now| line.answer(now, call, local_audio(), Vec::new()));
    assert_eq!(world.said_to().0.to_string(), PBX);
}

#[test]
fn strangers_get_silence_and_are_mentioned_once_a_minute() {
    let mut world = World::with(|config| config.allowed = vec!["192.0.2.8".parse().unwrap()]);
    let invite = Phone::new("a").invite("sipp-invite.sip");
    for _ in 0..5 {
        world.hears_from("203.0.113.9:5060", invite.as_bytes());
    }
    world.is_silent();
    assert_eq!(world.event(), Event::Stranger { source: "203.0.113.9:5060".parse().unwrap(), datagrams: 1 });
    world.no_event();
    world.pass(seconds(60));
    world.hears_from("203.0.113.9:5060", b"x");
    assert!(matches!(world.event(), Event::Stranger { datagrams: 5, .. }));
    world.hears_from("192.0.2.8:5060", invite.as_bytes());
    assert_eq!(start(&world.said()), "100 Trying", "an address from the list is no stranger");
}

#[test]
fn header_values_and_names_from_outside_cannot_leave_their_place() {
    let mut world = World::new();
    let (_, call) = incoming(&mut world);
    let hostile = vec![
        ("X-Name".to_owned(), "a\r\nX-Evil: 1\r\n\r\nbody\0".to_owned()),
        ("X-Evil\r\nVia".to_owned(), "1".to_owned()),
        ("Via".to_owned(), "SIP/2.0/UDP evil".to_owned()),
        ("v".to_owned(), "SIP/2.0/UDP evil".to_owned()),
        ("content-length".to_owned(), "999".to_owned()),
        ("X-Empty".to_owned(), "\r\n".to_owned()),
        ("X-Long".to_owned(), "я".repeat(5000)),
    ];
    world.act(|line, now| line.ringing(now, call, hostile));
    let ringing = world.said();
    assert_eq!(header(&ringing, "X-Name"), "a  X-Evil: 1    body");
    assert!(headers(&ringing, "X-Evil").is_empty() && headers(&ringing, "X-Empty").is_empty());
    assert_eq!((headers(&ringing, "Via").len(), headers(&ringing, "Content-Length")), (1, vec!["0"]));
    assert_eq!(header(&ringing, "X-Long").len(), 256);
    assert!(!ringing.contains("evil") && ringing.ends_with("\r\n\r\n"));
}

#[test]
fn the_scripted_pbx_writes_what_it_means_to_write() {
    let invite = Phone::new("a").invite("sipp-invite.sip");
    assert!(invite.contains(&format!("Content-Length:   {}\r\n", body(&invite).len())), "{invite}");
    assert!(!invite.contains('[') && testdata("sipp-invite.sip").contains('['));
}

pub(crate) fn sdp() -> String {
    body(&testdata("asterisk-200.sip").replace('\n', "\r\n")).replace("\r\n", "\n")
}

pub(crate) fn busy() -> Rejection {
    Rejection { status: 486, phrase: None, reason: Some(Reason::q850(17, "User busy")), retry_after_s: None }
}

/// A call that has got its 100.
pub(crate) fn incoming(world: &mut World) -> (Phone, CallId) {
    let phone = Phone::new("a");
    world.hears(&phone.invite("asterisk-invite.sip"));
    assert_eq!(start(&world.said()), "100 Trying");
    let Event::Incoming { call, .. } = world.event() else { panic!() };
    (phone, call)
}

/// Whoever holds the line is told of a call that was refused.
#[track_caller]
pub(crate) fn turned_away(world: &mut World, wanted: TurnedAway) {
    let Event::TurnedAway { dialled, identity, sip_call_id, why } = world.event() else {
        panic!("want a call that was refused")
    };
    assert_eq!(why, wanted);
    assert!(!dialled.is_empty() && !identity.caller.user.is_empty() && !sip_call_id.is_empty());
}

/// A call that is answered and acknowledged.
pub(crate) fn talking(world: &mut World) -> (Phone, CallId) {
    let (mut phone, call) = incoming(world);
    world.act(|line, now| line.answer(now, call, local_audio(), Vec::new()));
    phone.learn(&world.said());
    world.hears(&phone.request("ACK", "", ""));
    world.is_silent();
    (phone, call)
}

#[test]
fn a_line_refuses_at_once_what_it_does_not_carry_and_takes_the_rest_in_the_callers_order() {
    let narrow = sdp().replace("RTP/AVP 107", "RTP/AVP 8 107");
    let mut opus_only = World::new();
    opus_only.hears(&Phone::new("a").same_branch("INVITE", "", &sdp().replace("RTP/AVP 107", "RTP/AVP 8")));
    assert_eq!(start(&opus_only.said()), "488 Not Acceptable Here");
    turned_away(&mut opus_only, TurnedAway::Incompatible);
    opus_only.no_event();

    let mut world = World::with(|config| config.codecs = vec![&OPUS, &PCMA]);
    world.hears(&Phone::new("a").same_branch("INVITE", "", &narrow));
    world.said();
    let Event::Incoming { call, remote, .. } = world.event() else { panic!() };
    assert_eq!(remote.unwrap().codec, &PCMA);
    let local = tgtrunk_sip::LocalAudio { codecs: vec![&OPUS, &PCMA], ..local_audio() };
    let settled = world.act(|line, now| line.answer(now, call, local, Vec::new())).unwrap();
    assert_eq!(settled.codec, &PCMA);
    assert!(body(&world.said()).contains("m=audio 20000 RTP/AVP 8\r\n"));
}
