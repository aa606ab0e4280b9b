//! Requests inside a dialog, early and confirmed, in order and out of it (RFC 3261 section 12.2.2).

use tgtrunk_sip::Event;

use crate::calls_in::{incoming, sdp, talking};
use crate::world::{Phone, World, header, seconds, start};

#[test]
fn update_info_refer_and_options_are_answered_in_an_early_dialog() {
    let mut world = World::new();
    let (mut phone, call) = incoming(&mut world);
    world.act(|line, now| line.ringing(now, call, Vec::new()));
    phone.learn(&world.said());
    for (method, body, wanted) in [
        ("UPDATE", "", "200 OK"),
        ("UPDATE", "sdp", "500 Server Internal Error"),
        ("INFO", "", "200 OK"),
        ("OPTIONS", "", "200 OK"),
        ("REFER", "", "603 Decline"),
        ("INVITE", "sdp", "500 Server Internal Error"),
        ("PRACK", "", "400 RAck Not Readable"),
    ] {
        let body = if body.is_empty() { String::new() } else { sdp() };
        world.hears(&phone.request(method, "", &body));
        let mut said = world.said();
        if start(&said) == "100 Trying" {
            said = world.said();
        }
        assert_eq!(start(&said), wanted, "{method}");
        if wanted.starts_with("500") {
            assert_eq!(header(&said, "Retry-After"), "5");
        }
    }
    world.no_event();
    assert_eq!(world.line.calls(), 1);
}

#[test]
fn update_info_refer_and_options_are_answered_in_a_confirmed_dialog() {
    let mut world = World::new();
    let (mut phone, _) = talking(&mut world);
    for (method, extra, body, wanted) in [
        ("OPTIONS", "", "", "200 OK"),
        ("INFO", "", "", "200 OK"),
        ("INFO", "Content-Type: text/plain\n", "5", "415 Unsupported Media Type"),
        (
            "REFER",
            "Refer-To: <sip:1@pbx?Replaces=a%40b%3Bto-tag%3D1>\n",
            "",
            "403 Transfer Target Not At This PBX",
        ),
        ("UPDATE", "", "", "200 OK"),
    ] {
        let request = phone.request(method, extra, body);
        world.hears(&request);
        let said = world.said();
        assert_eq!(start(&said), wanted, "{method}");
        world.hears(&request);
        assert_eq!(world.said(), said, "a copy gets the same answer");
    }
    world.no_event();
}

#[test]
fn a_number_out_of_order_is_500_and_the_call_goes_on() {
    let mut world = World::new();
    let (mut phone, _) = talking(&mut world);
    phone.cseq = 20;
    world.hears(&phone.request("INFO", "", ""));
    assert_eq!(start(&world.said()), "200 OK");
    phone.cseq = 10;
    world.hears(&phone.request("BYE", "", ""));
    assert_eq!(start(&world.said()), "500 CSeq Out Of Order");
    phone.cseq = 21;
    world.hears(&phone.request("BYE", "", ""));
    assert_eq!(start(&world.said()), "200 OK");
}

#[test]
fn what_names_no_dialog_of_ours_is_481() {
    let mut world = World::new();
    let (mut phone, _) = talking(&mut world);
    phone.to_tag = "never-given".to_owned();
    for method in ["BYE", "INVITE", "UPDATE", "INFO", "OPTIONS", "REFER"] {
        world.hears(&phone.request(method, "", ""));
        assert_eq!(start(&world.said()), "481 Call/Transaction Does Not Exist", "{method}");
    }
    world.hears(&phone.request("ACK", "", ""));
    world.is_silent();
    for method in ["BYE", "UPDATE", "INFO"] {
        world.hears(&Phone::new("b").same_branch(method, "", ""));
        assert_eq!(start(&world.said()), "481 Call/Transaction Does Not Exist", "{method} without a tag");
    }
    assert_eq!(world.line.calls(), 1);
}

#[test]
fn an_update_with_252_vias_and_an_invite_with_251_are_answered_with_all_of_them() {
    let mut world = World::new();
    let (mut phone, _) = talking(&mut world);
    let vias: String = (0..251).map(|n| format!("Via: SIP/2.0/UDP h{n};branch=z9hG4bKv{n}\n")).collect();
    world.hears(&phone.request("UPDATE", &vias, ""));
    let ok = world.said();
    assert_eq!((start(&ok), crate::world::headers(&ok, "Via").len()), ("200 OK", 252));
    let other = Phone::new("b");
    world.hears(&other.same_branch("INVITE", &vias, &sdp()));
    assert_eq!(crate::world::headers(&world.said(), "Via").len(), 252);
}

#[test]
fn a_stray_ack_changes_nothing() {
    let mut world = World::new();
    let (mut phone, _) = talking(&mut world);
    world.hears(&phone.request("ACK", "", ""));
    phone.cseq = 9;
    world.hears(&phone.request("ACK", "", ""));
    world.pass(seconds(60));
    world.is_silent();
    world.no_event();
}

#[test]
fn a_bye_has_its_answer_again_for_its_copy() {
    let mut world = World::new();
    let (mut phone, _) = talking(&mut world);
    let bye = phone.request("BYE", "", "");
    world.hears(&bye);
    let ok = world.said();
    assert!(matches!(world.event(), Event::HungUp { .. }));
    world.pass(seconds(4));
    world.hears(&bye);
    assert_eq!(world.said(), ok);
    world.ends_clean();
}
