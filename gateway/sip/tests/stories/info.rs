//! INFO both ways: keys of phones that press them beside the audio (RFC 6086).

use tgtrunk_sip::{CallId, Event};

use crate::calls_in::{incoming, talking};
use crate::calls_out::{self, from_pbx};
use crate::world::{World, answer, body, header, invite, ms, reply, seconds, start};

const RELAY: &str = "Content-Type: application/dtmf-relay\n";

#[test]
fn keys_of_the_pbx_are_told_once_in_an_early_dialog_and_in_a_confirmed_one() {
    let mut early = World::new();
    let (mut early_phone, early_call) = incoming(&mut early);
    early.act(|line, now| line.ringing(now, early_call, Vec::new()));
    early_phone.learn(&early.said());
    let mut confirmed = World::new();
    let (confirmed_phone, confirmed_call) = talking(&mut confirmed);
    for (mut world, mut phone, call) in
        [(early, early_phone, early_call), (confirmed, confirmed_phone, confirmed_call)]
    {
        for (kind, key) in [
            ("application/dtmf-relay", "Signal=5\r\nDuration=160\r\n"),
            ("Application/DTMF-Relay ; charset=x", "Signal=#\r\n"),
            ("application/dtmf", "11"),
        ] {
            let info = with_body(&phone.request("INFO", "", ""), kind, key);
            world.hears(&info);
            let ok = world.said();
            assert_eq!(start(&ok), "200 OK", "{kind}");
            let Event::Info { call: told, content_type, body } = world.event() else { panic!("{kind}") };
            assert_eq!(
                (told, content_type, body),
                (call, kind.split(' ').next().unwrap().to_lowercase(), key.as_bytes().to_vec())
            );
            world.hears(&info);
            assert_eq!(world.said(), ok, "a copy gets the same answer");
            world.no_event();
        }
    }
}

#[test]
fn an_info_that_carries_something_else_is_refused_with_what_is_taken() {
    let mut world = World::new();
    let (mut phone, _) = talking(&mut world);
    for extra in ["", "Content-Encoding: gzip\n"] {
        let kind = if extra.is_empty() { "text/plain" } else { "application/dtmf" };
        world.hears(&with_body(&phone.request("INFO", extra, ""), kind, "5"));
        let refusal = world.said();
        assert_eq!(start(&refusal), "415 Unsupported Media Type");
        assert_eq!(header(&refusal, "Accept"), "application/dtmf-relay, application/dtmf");
    }
    world.hears(&with_body(&phone.request("INFO", "Info-Package: g.3gpp\n", ""), "application/dtmf", "5"));
    let refusal = world.said();
    assert_eq!((start(&refusal), header(&refusal, "Recv-Info")), ("469 Bad Info Package", ""));
    world.no_event();
}

#[test]
fn our_keys_go_one_at_a_time_with_growing_numbers_and_are_repeated_until_answered() {
    let mut world = World::new();
    let (_, call) = calls_out::talking(&mut world);
    for key in ["1", "2", "3"] {
        assert!(send(&mut world, call, key));
    }
    let first = world.said();
    assert_eq!(start(&first), "INFO sip:127.0.0.1:5060");
    assert_eq!((header(&first, "CSeq"), body(&first)), ("2 INFO", "Signal=1\r\nDuration=100\r\n"));
    assert_eq!(header(&first, "Content-Type"), "application/dtmf-relay");
    world.is_silent();
    world.pass(ms(500));
    assert_eq!(world.said(), first, "it is lost, and comes again");
    world.hears(&reply(&first, "200 OK", "", "", ""));
    let second = world.said();
    assert_eq!((header(&second, "CSeq"), body(&second).lines().next()), ("3 INFO", Some("Signal=2")));
    world.hears(&reply(&first, "200 OK", "", "", ""));
    world.is_silent();
    world.hears(&reply(&second, "415 Unsupported Media Type", "", "", ""));
    assert_eq!(world.event(), Event::InfoRefused { call, status: 415 });
    let third = world.said();
    assert_eq!(header(&third, "CSeq"), "4 INFO");
    world.pass(seconds(40));
    assert_eq!(world.event(), Event::InfoRefused { call, status: 408 });
    world.skip();
    world.act(|line, now| line.hang_up(now, call, None));
    let bye = world.said();
    assert_eq!(header(&bye, "CSeq"), "5 BYE");
    world.hears(&reply(&bye, "200 OK", "", "", ""));
    world.ends_clean();
}

#[test]
fn keys_pressed_into_early_media_go_into_the_early_dialog_and_its_numbers_run_on() {
    let mut world = World::new();
    let call = world.act(|line, now| line.invite(now, invite()));
    let request = world.said();
    assert!(!send(&mut world, call, "1"), "nobody is there yet");
    world.hears(&reply(&request, "180 Ringing", "other", "", ""));
    world.hears(&answer(&request, "asterisk-183.sip", "b"));
    assert!(send(&mut world, call, "1") && send(&mut world, call, "2"));
    let info = world.said();
    assert_eq!((header(&info, "CSeq"), header(&info, "To").ends_with(";tag=b")), ("2 INFO", true));
    world.hears(&from_pbx(&request, "INFO", 7, RELAY, "Signal=9\n"));
    assert_eq!(start(&world.said()), "200 OK");
    world.hears(&answer(&request, "asterisk-200.sip", "b"));
    let ack = world.said();
    assert_eq!((ack.starts_with("ACK "), header(&ack, "CSeq")), (true, "1 ACK"));
    world.is_silent();
    world.hears(&reply(&info, "200 OK", "", "", ""));
    assert_eq!(header(&world.said(), "CSeq"), "3 INFO");
    world.hears(&from_pbx(&request, "INFO", 6, RELAY, "Signal=9\n"));
    assert_eq!(start(&world.said()), "500 CSeq Out Of Order");
}

#[test]
fn a_call_that_is_over_takes_no_keys_and_tells_none() {
    let mut world = World::new();
    let (request, call) = calls_out::talking(&mut world);
    assert!(send(&mut world, call, "1") && send(&mut world, call, "2"));
    let info = world.said();
    world.act(|line, now| line.hang_up(now, call, None));
    let bye = world.said();
    assert!(!send(&mut world, call, "3"));
    world.hears(&from_pbx(&request, "INFO", 8, RELAY, "Signal=9\n"));
    assert_eq!(start(&world.said()), "481 Call/Transaction Does Not Exist");
    world.hears(&reply(&info, "481 Call/Transaction Does Not Exist", "", "", ""));
    world.hears(&reply(&bye, "200 OK", "", "", ""));
    world.is_silent();
    world.ends_clean();
}

#[test]
fn a_call_holds_a_bounded_number_of_waiting_keys() {
    let mut world = World::new();
    let (_, call) = calls_out::talking(&mut world);
    let taken = (0..1_000).filter(|_| send(&mut world, call, "1")).count();
    assert_eq!(taken, 129, "one on its way and the rest waiting");
}

fn send(world: &mut World, call: CallId, key: &str) -> bool {
    let body = format!("Signal={key}\r\nDuration=100\r\n");
    world.act(|line, now| line.send_info(now, call, "application/dtmf-relay", body.as_bytes()))
}

/// A request with a body of some other kind than a session description.
fn with_body(request: &str, kind: &str, body: &str) -> String {
    let length = format!("Content-Type: {kind}\r\nContent-Length: {}", body.len());
    format!("{}{body}", request.replace("Content-Length: 0", &length))
}
