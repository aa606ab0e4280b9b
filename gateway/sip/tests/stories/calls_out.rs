//! We call the PBX: ringing, answered, refused, lost on the way (RFC 3261 section 13.2).

use tgtrunk_media::codec::{OPUS, PCMA};
use tgtrunk_sip::{CallId, Event, Invite};

use crate::calls_in::sdp;
use crate::world::{
    LINE, World, answer, body, header, headers, invite, local_audio, ms, reply, seconds, start, tag,
};

#[test]
fn a_call_rings_is_answered_and_ends_by_either_side() {
    for file in ["asterisk-200.sip", "sipp-200.sip"] {
        let mut world = World::new();
        let call = world.act(|line, now| line.invite(now, invite()));
        let request = world.said();
        assert_eq!(start(&request), "INVITE sip:+74950000001@127.0.0.1:5060");
        let from = header(&request, "From");
        assert!(from.starts_with("\"Ivan\" <sip:+79061112233@127.0.0.1:30001>;tag="), "{from}");
        assert_eq!(header(&request, "P-Asserted-Identity"), "\"Ivan\" <sip:+79061112233@127.0.0.1:30001>");
        assert_eq!(header(&request, "Contact"), "<sip:+74950000001@127.0.0.1:30001>");
        assert_eq!(header(&request, "X-TG-ID"), "5");
        assert!(header(&request, "Via").starts_with(&format!("SIP/2.0/UDP {LINE};rport;branch=z9hG4bK")));
        assert!(body(&request).contains("m=audio 20000 RTP/AVP 107\r\na=rtpmap:107 opus/48000/2\r\n"));

        world.hears(&reply(&request, "100 Trying", "", "", ""));
        world.hears(&reply(&request, "180 Ringing", "b", "", ""));
        world.hears(&reply(&request, "180 Ringing", "b", "", ""));
        assert_eq!(world.event(), Event::Ringing { call });
        world.no_event();
        world.hears(&answer(&request, file, "b"));
        let ack = world.said();
        assert!(start(&ack).starts_with("ACK sip:"), "{ack}");
        assert_eq!((header(&ack, "CSeq"), tag(header(&ack, "To"))), ("1 ACK", "b"));
        assert_ne!(
            header(&ack, "Via"),
            header(&request, "Via"),
            "the ACK of a 2xx is a transaction of its own"
        );
        let Event::Answered { remote, .. } = world.event() else { panic!() };
        assert_eq!(remote.payload_type, 107);

        world.pass(seconds(100));
        world.is_silent();
        if file == "sipp-200.sip" {
            world.hears(&from_pbx(&request, "BYE", 1, "Reason: Q.850;cause=16\n", ""));
            assert_eq!(start(&world.said()), "200 OK");
            assert!(
                matches!(world.event(), Event::HungUp { reason: Some(reason), .. } if reason.cause == 16)
            );
        } else {
            world.act(|line, now| line.hang_up(now, call, None));
            let bye = world.said();
            assert_eq!((start(&bye), header(&bye, "CSeq")), ("BYE sip:127.0.0.1:5060", "2 BYE"));
            world.hears(&reply(&bye, "200 OK", "", "", ""));
        }
        world.ends_clean();
    }
}

#[test]
fn any_name_is_made_safe_for_the_pbx() {
    let mut world = World::new();
    let hostile = Invite {
        to_user: "1 2\r\n<sip:x@y>".to_owned(),
        from_user: "a@b>;tag=1\"".to_owned(),
        display_name: "Иван \"x\" \\ \r\nX-Evil: 1\0\u{1}".to_owned(),
        headers: vec![("X-TG-FirstName".to_owned(), "Иван\r\nX-Evil: 2".to_owned())],
        ..invite()
    };
    world.act(|line, now| line.invite(now, hostile));
    let request = world.said();
    assert_eq!(start(&request), "INVITE sip:1%202%20%20%3Csip%3Ax%40y%3E@127.0.0.1:5060");
    let from = header(&request, "From");
    assert!(
        from.starts_with(r#""Иван \"x\" \\   X-Evil: 1" <sip:a%40b%3E%3Btag%3D1%22@127.0.0.1:30001>;tag="#),
        "{from}"
    );
    assert_eq!(header(&request, "X-TG-FirstName"), "Иван  X-Evil: 2");
    assert!(headers(&request, "X-Evil").is_empty());
}

#[test]
fn a_line_behind_a_router_is_known_by_the_routers_address() {
    let mut world = World::with(|config| config.announced = "192.0.2.50:40001".parse().unwrap());
    let call = world.act(|line, now| line.invite(now, invite()));
    let request = world.said();
    assert!(header(&request, "Via").starts_with("SIP/2.0/UDP 192.0.2.50:40001;rport;branch=z9hG4bK"));
    assert_eq!(header(&request, "Contact"), "<sip:+74950000001@192.0.2.50:40001>");
    let from = header(&request, "From").to_owned();
    assert!(from.starts_with("\"Ivan\" <sip:+79061112233@192.0.2.50:40001>;tag="), "{from}");
    assert!(!request.contains(LINE), "the line's own address means nothing out there: {request}");
    world.hears(&reply(&request, "180 Ringing", "b", "", ""));
    assert_eq!(world.event(), Event::Ringing { call });
    let turned_back = answer(&request, "asterisk-200.sip", "b").replace("192.0.2.50:40001", LINE);
    world.hears(&turned_back);
    assert!(world.said().starts_with("ACK "), "a router that rewrites what it carries is no obstacle");
    assert!(matches!(world.event(), Event::Answered { .. }));
}

#[test]
fn without_a_name_there_is_none_and_without_a_number_it_is_the_lines() {
    let mut world = World::new();
    let nameless = Invite { from_user: String::new(), display_name: "\r\n".to_owned(), ..invite() };
    world.act(|line, now| line.invite(now, nameless));
    assert!(header(&world.said(), "From").starts_with("<sip:+74950000001@127.0.0.1:30001>;tag="));
}

#[test]
fn every_refusal_is_told_and_acknowledged() {
    for (status, extra, cause, retry) in [
        ("302 Moved Temporarily", "", None, None),
        ("401 Unauthorized", "WWW-Authenticate: Digest realm=\"x\", nonce=\"y\"\n", None, None),
        ("407 Proxy Authentication Required", "", None, None),
        ("404 Not Found", "Reason: Q.850;cause=1\n", Some(1), None),
        ("486 Busy Here", "Reason: SIP;cause=486, Q.850;cause=17\n", Some(17), None),
        ("503 Service Unavailable", "Retry-After: 120 (maintenance);duration=60\n", None, Some(120)),
        ("603 Decline", "Reason: nonsense\n", None, None),
    ] {
        let mut world = World::new();
        let call = world.act(|line, now| line.invite(now, invite()));
        let request = world.said();
        world.hears(&reply(&request, "100 Trying", "", "", ""));
        let refusal = reply(&request, status, "b", extra, "");
        world.hears(&refusal);
        let ack = world.said();
        assert!(ack.starts_with("ACK sip:+74950000001@127.0.0.1:5060 SIP/2.0\r\n"), "{ack}");
        assert_eq!((header(&ack, "Via"), tag(header(&ack, "To"))), (header(&request, "Via"), "b"));
        if ["401", "407"].iter().any(|asks| status.starts_with(asks)) {
            assert!(matches!(world.event(), Event::ProofRefused { known: false, .. }));
        }
        let Event::Refused { call: ended, status: told, phrase, reason, retry_after_s } = world.event()
        else {
            panic!("{status}")
        };
        assert_eq!((ended, format!("{told} {phrase}").as_str()), (call, status));
        assert_eq!((reason.map(|reason| reason.cause), retry_after_s), (cause, retry), "{status}");
        world.hears(&refusal);
        assert_eq!(world.said(), ack, "a copy of the refusal gets the same ACK");
        assert_eq!(world.line.memory().calls, 0);
        world.ends_clean();
    }
}

#[test]
fn nobody_answers_at_all() {
    let mut world = World::new();
    let from = world.now;
    let call = world.act(|line, now| line.invite(now, invite()));
    world.pass(seconds(33));
    assert_eq!(world.times(from, ""), [0, 500, 1500, 3500, 7500, 15_500, 31_500]);
    assert!(matches!(world.event(), Event::Refused { call: ended, status: 408, .. } if ended == call));
    world.ends_clean();
}

#[test]
fn a_call_that_rings_too_long_is_cancelled_at_the_ring_limit() {
    let mut world = World::new();
    let from = world.now;
    let call = world.act(|line, now| line.invite(now, invite()));
    let request = world.said();
    world.hears(&reply(&request, "180 Ringing", "b", "", ""));
    world.event();
    world.pass(seconds(60));
    let cancel = world.said();
    assert_eq!(start(&cancel), "CANCEL sip:+74950000001@127.0.0.1:5060");
    assert_eq!(header(&cancel, "Reason"), "Q.850;cause=19;text=\"No answer\"");
    assert!(matches!(world.event(), Event::Refused { call: ended, status: 408, .. } if ended == call));
    assert_eq!(world.now - from, seconds(60));
    world.hears(&reply(&cancel, "200 OK", "b", "", ""));
    world.hears(&reply(&request, "487 Request Terminated", "b", "", ""));
    assert!(world.said().starts_with("ACK "));
    world.ends_clean();
}

#[test]
fn early_media_is_told_and_holds_when_the_answer_brings_none() {
    let mut world = World::new();
    let call = world.act(|line, now| line.invite(now, invite()));
    let request = world.said();
    world.hears(&answer(&request, "asterisk-183.sip", "b"));
    world.hears(&answer(&request, "asterisk-183.sip", "b"));
    let Event::EarlyMedia { remote, .. } = world.event() else { panic!() };
    world.no_event();
    world.hears(&reply(&request, "200 OK", "b", "", ""));
    assert_eq!(world.event(), Event::Answered { call, remote });
}

#[test]
fn early_media_and_ringing_are_told_in_whatever_order_they_come() {
    for early_first in [true, false] {
        let mut world = World::new();
        let call = world.act(|line, now| line.invite(now, invite()));
        let request = world.said();
        let (ringing, early) =
            (reply(&request, "180 Ringing", "b", "", ""), answer(&request, "asterisk-183.sip", "b"));
        for said in if early_first { [&early, &ringing] } else { [&ringing, &early] } {
            world.hears(said);
        }
        let told = [world.event(), world.event()];
        let early_at = told.iter().position(|event| matches!(event, Event::EarlyMedia { .. }));
        let ringing_at = told.iter().position(|event| *event == Event::Ringing { call });
        assert_eq!((early_at, ringing_at), (Some(usize::from(!early_first)), Some(usize::from(early_first))));
        world.is_silent();
    }
}

#[test]
fn a_180_that_brings_audio_rings_and_is_heard() {
    let mut world = World::new();
    let call = world.act(|line, now| line.invite(now, invite()));
    let request = world.said();
    world.hears(&answer(&request, "asterisk-183.sip", "b").replace("183 Session Progress", "180 Ringing"));
    assert_eq!(world.event(), Event::Ringing { call });
    assert!(matches!(world.event(), Event::EarlyMedia { .. }));
}

#[test]
fn early_media_that_moves_is_followed_and_the_answers_own_audio_counts_last() {
    let mut world = World::new();
    let call = world.act(|line, now| line.invite(now, invite()));
    let request = world.said();
    let early = answer(&request, "asterisk-183.sip", "b");
    world.hears(&early);
    assert!(matches!(world.event(), Event::EarlyMedia { remote, .. } if remote.rtp.port() == 10_010));
    world.hears(&early.replace("audio 10010", "audio 10020"));
    assert!(matches!(world.event(), Event::EarlyMedia { remote, .. } if remote.rtp.port() == 10_020));
    world.hears(&answer(&request, "asterisk-200.sip", "b").replace("audio 10010", "audio 10030"));
    let Event::Answered { call: answered, remote } = world.event() else { panic!() };
    assert_eq!((answered, remote.rtp.port()), (call, 10_030));
}

#[test]
fn of_two_branches_the_one_that_answers_keeps_its_own_early_media() {
    let mut world = World::new();
    let call = world.act(|line, now| line.invite(now, invite()));
    let request = world.said();
    for (tag, port) in [("a", 10_040), ("b", 10_050)] {
        let early =
            answer(&request, "asterisk-183.sip", tag).replace("audio 10010", &format!("audio {port}"));
        world.hears(&early);
        assert!(matches!(world.event(), Event::EarlyMedia { remote, .. } if remote.rtp.port() == port));
    }
    world.hears(&reply(&request, "200 OK", "a", "", ""));
    let Event::Answered { call: answered, remote } = world.event() else { panic!() };
    assert_eq!((answered, remote.rtp.port()), (call, 10_040));
}

#[test]
fn early_media_of_another_codec_is_told_with_it() {
    let mut world = World::new();
    let mut both = invite();
    both.audio.codecs = vec![&OPUS, &PCMA];
    world.act(|line, now| line.invite(now, both));
    let request = world.said();
    let early = answer(&request, "asterisk-183.sip", "b");
    let narrow = early.replace("RTP/AVP 107", "RTP/AVP 8").replace("Content-Length:   ", "X-Length: ");
    world.hears(&narrow);
    assert!(matches!(world.event(), Event::EarlyMedia { remote, .. } if *remote.codec == PCMA));
    world.hears(&answer(&request, "asterisk-200.sip", "b"));
    assert!(matches!(world.event(), Event::Answered { remote, .. } if *remote.codec == OPUS));
}

#[test]
fn an_answer_without_usable_audio_is_acknowledged_and_hung_up() {
    for wrong in
        ["", "not sdp", &sdp().replace("RTP/AVP 107", "RTP/AVP 8"), &sdp().replace("audio 10010", "audio 0")]
    {
        let mut world = World::new();
        world.act(|line, now| line.invite(now, invite()));
        let request = world.said();
        world.hears(&reply(&request, "200 OK", "b", "", wrong));
        assert!(world.said().starts_with("ACK "));
        let bye = world.said();
        assert!(bye.starts_with("BYE ") && header(&bye, "Reason").starts_with("Q.850;cause=88"), "{bye}");
        assert!(matches!(world.event(), Event::Refused { status: 488, .. }));
        world.hears(&reply(&bye, "200 OK", "", "", ""));
        world.ends_clean();
    }
}

#[test]
fn an_answer_without_a_tag_is_taken_as_an_old_peer_means_it() {
    let mut world = World::new();
    let call = world.act(|line, now| line.invite(now, invite()));
    let request = world.said();
    world.hears(&reply(&request, "180 Ringing", "", "", ""));
    assert_eq!(world.line.memory().dialogs, 0, "without a tag there is no early dialog");
    world.event();
    world.hears(&reply(&request, "200 OK", "", "", &sdp()));
    let ack = world.said();
    assert_eq!((header(&ack, "CSeq"), tag(header(&ack, "To"))), ("1 ACK", ""));
    assert!(matches!(world.event(), Event::Answered { .. }));
    world.act(|line, now| line.hang_up(now, call, None));
    let bye = world.said();
    world.hears(&reply(&bye, "200 OK", "", "", ""));
    world.ends_clean();
}

#[test]
fn copies_of_the_200_get_their_ack_even_after_the_call() {
    let mut world = World::new();
    let (request, call) = talking(&mut world);
    let ok = answer(&request, "asterisk-200.sip", "b");
    world.hears(&ok);
    let ack = world.said();
    assert!(ack.starts_with("ACK "));
    world.act(|line, now| line.hang_up(now, call, None));
    let bye = world.said();
    world.hears(&reply(&bye, "200 OK", "", "", ""));
    world.hears(&ok);
    assert_eq!(world.said(), ack);
    world.ends_clean();
}

#[test]
fn a_second_branch_that_answers_is_acknowledged_and_hung_up() {
    let mut world = World::new();
    let (request, _) = talking(&mut world);
    world.hears(&answer(&request, "asterisk-200.sip", "fork"));
    let (ack, bye) = (world.said(), world.said());
    assert!(ack.starts_with("ACK ") && bye.starts_with("BYE "));
    assert_eq!((tag(header(&ack, "To")), tag(header(&bye, "To"))), ("fork", "fork"));
    world.hears(&answer(&request, "asterisk-200.sip", "fork"));
    assert_eq!(world.said(), ack);
    world.is_silent();
    world.no_event();
    assert_eq!(world.line.calls(), 1, "the first goes on");
}

#[test]
fn an_answer_to_another_address_or_branch_is_not_ours() {
    let mut world = World::new();
    world.act(|line, now| line.invite(now, invite()));
    let request = world.said();
    let ok = answer(&request, "asterisk-200.sip", "b");
    world.hears(&ok.replace("UDP 127.0.0.1:30001", "UDP 127.0.0.1:30002"));
    world.hears(&ok.replace("branch=z9hG4bK", "branch=z9hG4bKx"));
    world.hears(&ok.replace("CSeq: 1 INVITE", "CSeq: 1 BYE"));
    world.hears(&ok.replacen("Via: ", "Via: SIP/2.0/UDP 127.0.0.1:30001;branch=z9hG4bKy\r\nVia: ", 1));
    world.is_silent();
    world.no_event();
    world.hears(&ok);
    assert!(world.said().starts_with("ACK "));
}

#[test]
fn session_expires_0_in_an_answer_makes_no_refresh_loop() {
    let mut world = World::new();
    world.act(|line, now| line.invite(now, invite()));
    let request = world.said();
    world.hears(&reply(&request, "200 OK", "b", "Session-Expires: 0;refresher=uac\n", &sdp()));
    assert!(world.said().starts_with("ACK "));
    world.pass(seconds(3600));
    world.is_silent();
    assert_eq!(world.line.calls(), 1);
}

#[test]
fn early_requests_of_the_called_side_are_answered() {
    let mut world = World::new();
    world.act(|line, now| line.invite(now, invite()));
    let request = world.said();
    world.hears(&reply(&request, "180 Ringing", "b", "", ""));
    world.hears(&from_pbx(&request, "UPDATE", 1, "", ""));
    assert_eq!(start(&world.said()), "200 OK");
    world.hears(&from_pbx(&request, "UPDATE", 2, "", &sdp()));
    assert_eq!(start(&world.said()), "491 Request Pending", "our offer has no answer yet");
    world.hears(&from_pbx(&request, "INFO", 3, "", ""));
    assert_eq!(start(&world.said()), "200 OK");
    world.hears(&from_pbx(&request, "BYE", 4, "", ""));
    assert_eq!(
        start(&world.said()),
        "481 Call/Transaction Does Not Exist",
        "the called side refuses instead"
    );
    world.hears(&answer(&request, "asterisk-183.sip", "b"));
    world.event();
    let Event::EarlyMedia { .. } = world.event() else { panic!() };
    world.hears(&from_pbx(&request, "UPDATE", 5, "", &sdp().replace("10010", "10020")));
    assert!(body(&world.said()).contains("m=audio 20000 RTP/AVP 107"));
    assert!(matches!(world.event(), Event::EarlyMedia { remote, .. } if remote.rtp.port() == 10_020));
}

#[test]
fn early_dialogs_of_a_fork_are_bounded_and_leave_with_the_call() {
    let mut world = World::new();
    world.act(|line, now| line.invite(now, invite()));
    let request = world.said();
    for branch in 0..100 {
        world.hears(&reply(&request, "180 Ringing", &format!("b{branch}"), "", ""));
    }
    assert_eq!(world.line.memory().dialogs, 8);
    world.hears(&reply(&request, "486 Busy Here", "b7", "", ""));
    assert_eq!(world.line.memory().dialogs, 0);
}

#[test]
fn a_target_that_is_no_address_of_the_pbx_is_reached_through_the_pbx() {
    let mut world = World::new();
    let call = world.act(|line, now| line.invite(now, invite()));
    let request = world.said();
    let ok = answer(&request, "asterisk-200.sip", "b")
        .replace("Contact: <sip:127.0.0.1:5060>", "Contact: <sip:x@203.0.113.7>");
    world.hears(&ok);
    world.said();
    world.act(|line, now| line.hang_up(now, call, None));
    let (to, bye) = world.said_to();
    assert_eq!((to.to_string().as_str(), start(&bye)), ("127.0.0.1:5060", "BYE sip:x@203.0.113.7"));
}

#[test]
fn a_lost_ack_of_ours_is_mended_by_the_copy_of_the_200() {
    let mut world = World::new();
    let (request, _) = talking(&mut world);
    for _ in 0..3 {
        world.pass(ms(4000));
        world.hears(&answer(&request, "asterisk-200.sip", "b"));
        assert!(world.said().starts_with("ACK "));
    }
    world.no_event();
}

#[test]
fn two_lines_from_one_seed_would_be_alike_and_from_two_they_are_not() {
    let call_id = |seed| {
        let mut world = World::with(|config| config.seed = [seed; 32]);
        world.act(|line, now| line.invite(now, invite()));
        header(&world.said(), "Call-ID").to_owned()
    };
    assert_eq!(call_id(1), call_id(1));
    assert_ne!(call_id(1), call_id(2));
}

#[test]
fn the_offer_lists_what_it_is_given() {
    let mut world = World::new();
    let mut keys = invite();
    keys.audio = tgtrunk_sip::LocalAudio {
        rtp: "203.0.113.7:24000".parse().unwrap(),
        codecs: vec![&PCMA, &OPUS],
        telephone_event: true,
        ..local_audio()
    };
    world.act(|line, now| line.invite(now, keys));
    let request = world.said();
    let sdp = body(&request);
    assert!(sdp.contains("c=IN IP4 203.0.113.7\r\n"), "the address that it is told: {sdp}");
    assert!(sdp.contains("m=audio 24000 RTP/AVP 8 107 101 102\r\n"), "{sdp}");
}

/// A request of the called side in the dialog of our INVITE.
pub(crate) fn from_pbx(invite: &str, method: &str, cseq: u32, extra: &str, body: &str) -> String {
    let kind = if body.is_empty() { "" } else { "Content-Type: application/sdp\n" };
    let text = format!(
        "{method} sip:+74950000001@127.0.0.1:30001 SIP/2.0\nVia: SIP/2.0/UDP 127.0.0.1:5060;rport;branch=z9hG4bK-{method}-{cseq}\n\
         Max-Forwards: 70\nFrom: {};tag=b\nTo: {}\nCall-ID: {}\nCSeq: {cseq} {method}\nContact: <sip:127.0.0.1:5060>\n{extra}{kind}\n{body}",
        header(invite, "To"),
        header(invite, "From"),
        header(invite, "Call-ID"),
    );
    text.replace('\n', "\r\n")
}

/// A call that is answered by branch `b`, and its INVITE.
pub(crate) fn talking(world: &mut World) -> (String, CallId) {
    let call = world.act(|line, now| line.invite(now, invite()));
    let request = world.said();
    world.hears(&answer(&request, "asterisk-200.sip", "b"));
    assert!(world.said().starts_with("ACK "));
    assert!(matches!(world.event(), Event::Answered { .. }));
    (request, call)
}
