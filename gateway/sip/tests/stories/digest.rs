//! A PBX that asks for a password before it takes our call (RFC 3261 section 22, RFC 8760).

use tgtrunk_sip::{Credentials, Event};

use crate::calls_in::sdp;
use crate::world::{World, body, header, headers, invite, reply, start};

/// The least that a challenge holds.
const CHALLENGE: &str = "WWW-Authenticate: Digest realm=\"a\", nonce=\"b\"\n";

#[test]
fn a_challenge_is_answered_once_under_the_next_number() {
    for (status, asks, answers) in [
        ("401 Unauthorized", "WWW-Authenticate", "Authorization"),
        ("407 Proxy Authentication Required", "Proxy-Authenticate", "Proxy-Authorization"),
    ] {
        let mut world = knowing();
        world.act(|line, now| line.invite(now, invite()));
        let first = world.said();
        let challenges = format!(
            "{asks}: Digest realm=\"pbx\", nonce=\"n1\", algorithm=SHA-256, qop=\"auth\"\n{asks}: Digest realm=\"pbx\", nonce=\"n2\", algorithm=MD5\n"
        );
        world.hears(&reply(&first, status, "t", &challenges, ""));
        let (ack, second) = (world.said(), world.said());
        assert!(ack.starts_with("ACK ") && header(&ack, "Via") == header(&first, "Via"), "{ack}");
        assert_eq!(header(&second, "CSeq"), "2 INVITE");
        let proof = header(&second, answers);
        assert!(proof.starts_with("Digest username=\"line\", realm=\"pbx\", nonce=\"n1\", uri=\"sip:+74950000001@127.0.0.1:5060\""), "{proof}");
        assert!(proof.contains("algorithm=SHA-256") && !second.contains("secret"), "{second}");
        for same in ["Call-ID", "From", "To"] {
            assert_eq!(header(&first, same), header(&second, same), "{same}");
        }
        assert_eq!(body(&first), body(&second));
        world.no_event();

        world.hears(&reply(&second, status, "t", &challenges, ""));
        assert!(world.said().starts_with("ACK "));
        world.is_silent();
        assert_eq!(world.event(), Event::ProofRefused { realm: "pbx".to_owned(), known: true });
        assert!(
            matches!(world.event(), Event::Refused { .. }),
            "who does not take it once does not take it twice"
        );
        world.ends_clean();
    }
}

#[test]
fn a_call_that_proved_itself_goes_on_as_any_other() {
    let mut world = knowing();
    world.act(|line, now| line.invite(now, invite()));
    let first = world.said();
    world.hears(&reply(&first, "401 Unauthorized", "t", CHALLENGE, ""));
    world.said();
    let second = world.said();
    assert!(!header(&second, "Authorization").contains("algorithm"), "none was named");
    world.hears(&reply(&second, "422 Small", "t", "Min-SE: 2000\n", ""));
    world.said();
    let third = world.said();
    assert_eq!((header(&third, "CSeq"), header(&third, "Min-SE")), ("3 INVITE", "2000"));
    assert_eq!(header(&third, "Authorization"), header(&second, "Authorization"));
    world.hears(&reply(&third, "200 OK", "b", "", &sdp()));
    let ack = world.said();
    assert_eq!((header(&ack, "CSeq"), start(&ack)), ("3 ACK", "ACK sip:100@127.0.0.1:5060"));
    assert!(matches!(world.event(), Event::Answered { .. }));
}

#[test]
fn a_challenge_that_cannot_be_answered_ends_the_call() {
    for challenge in [
        "",
        "WWW-Authenticate: Basic realm=\"x\"\n",
        "WWW-Authenticate: Digest realm=\"x\", nonce=\"y\", algorithm=WHIRLPOOL\n",
    ] {
        let mut world = knowing();
        world.act(|line, now| line.invite(now, invite()));
        let first = world.said();
        world.hears(&reply(&first, "401 Unauthorized", "t", challenge, ""));
        assert!(world.said().starts_with("ACK "));
        world.is_silent();
        assert!(matches!(world.event(), Event::ProofRefused { .. }));
        assert!(matches!(world.event(), Event::Refused { status: 401, .. }));
        world.ends_clean();
    }
}

#[test]
fn a_call_that_was_withdrawn_proves_nothing() {
    let mut world = knowing();
    let call = world.act(|line, now| line.invite(now, invite()));
    let first = world.said();
    assert!(headers(&first, "Authorization").is_empty());
    world.act(|line, now| line.hang_up(now, call, None));
    world.hears(&reply(&first, "401 Unauthorized", "t", CHALLENGE, ""));
    assert!(world.said().starts_with("ACK "));
    world.is_silent();
    assert!(matches!(world.event(), Event::ProofRefused { .. }));
    assert!(matches!(world.event(), Event::Refused { status: 401, .. }));
}

#[test]
fn a_nonce_is_used_again_under_the_next_count_by_everything_that_follows() {
    let mut world = knowing();
    let call = world.act(|line, now| line.invite(now, invite()));
    let first = world.said();
    world.hears(&reply(&first, "401 Unauthorized", "t", ONCE, ""));
    world.said();
    let second = world.said();
    assert!(header(&second, "Authorization").contains("nc=00000001"));
    world.hears(&reply(&second, "200 OK", "b", "", &sdp()));
    let ack = world.said();
    assert_eq!(
        header(&ack, "Authorization"),
        header(&second, "Authorization"),
        "an ACK cannot be challenged"
    );
    assert!(matches!(world.event(), Event::Answered { .. }));
    world.act(|line, now| line.hang_up(now, call, None));
    let bye = world.said();
    assert!(header(&bye, "Authorization").contains("nc=00000002"), "{bye}");
    world.hears(&reply(&bye, "200 OK", "b", "", ""));
    world.act(|line, now| line.invite(now, invite()));
    let next = world.said();
    assert!(header(&next, "Authorization").contains("nc=00000003"), "{next}");
}

#[test]
fn a_nonce_that_became_too_old_is_renewed_and_a_wrong_password_is_told_once_until_it_is_right() {
    let mut world = knowing();
    let refused = |world: &mut World, challenge: &str| {
        let asked = world.said();
        world.hears(&reply(&asked, "401 Unauthorized", "t", challenge, ""));
        world.said();
    };
    world.act(|line, now| line.invite(now, invite()));
    refused(&mut world, ONCE);
    let stale = ONCE.replace("n1", "n2").replace("qop", "stale=TRUE, qop");
    refused(&mut world, &stale);
    let third = world.said();
    assert!(header(&third, "Authorization").contains("nonce=\"n2\""), "{third}");
    world.hears(&reply(&third, "401 Unauthorized", "t", &stale.replace("n2", "n3"), ""));
    world.said();
    world.is_silent();
    assert!(matches!(world.event(), Event::ProofRefused { known: true, .. }));
    assert!(
        matches!(world.event(), Event::Refused { status: 401, .. }),
        "stale without end is no way either"
    );

    world.act(|line, now| line.invite(now, invite()));
    refused(&mut world, ONCE);
    refused(&mut world, ONCE);
    assert!(matches!(world.event(), Event::Refused { status: 401, .. }), "told already");
    world.act(|line, now| line.invite(now, invite()));
    refused(&mut world, ONCE);
    let proven = world.said();
    world.hears(&reply(&proven, "486 Busy Here", "t", "", ""));
    assert_eq!(world.event(), Event::ProofTaken);
}

#[test]
fn every_request_of_a_call_is_proven_when_it_is_asked_to() {
    let mut world = knowing();
    let call = world.act(|line, now| line.invite(now, invite()));
    let first = world.said();
    world.hears(&reply(&first, "401 Unauthorized", "t", ONCE, ""));
    assert_eq!(start(&world.said()), start(&first.replace("INVITE", "ACK")));
    let first = world.said();
    world.hears(&reply(&first, "200 OK", "b", "", &sdp()));
    world.said();
    assert!(matches!(world.event(), Event::Answered { .. }));
    world.act(|line, now| line.send_info(now, call, "application/dtmf", b"5"));
    let info = world.said();
    world.hears(&reply(&info, "407 Proxy", "b", &ONCE.replace("WWW", "Proxy"), ""));
    let again = world.said();
    assert_eq!((header(&info, "CSeq"), header(&again, "CSeq")), ("3 INFO", "4 INFO"));
    assert_eq!(body(&again), "5");
    assert!(header(&again, "Proxy-Authorization").contains("uri=\"sip:100@127.0.0.1:5060\""), "{again}");
    world.hears(&reply(&again, "200 OK", "b", "", ""));
    world.act(|line, now| line.hang_up(now, call, None));
    let bye = world.said();
    assert_eq!(header(&bye, "CSeq"), "5 BYE");
    world.hears(&reply(&bye, "401 Unauthorized", "b", &ONCE.replace("n1", "n2"), ""));
    let again = world.said();
    assert!(header(&again, "CSeq") == "6 BYE" && header(&again, "Via") != header(&bye, "Via"), "{again}");
    assert!(again.contains("\r\nAuthorization: ") && again.contains("\r\nProxy-Authorization: "), "{again}");
    world.hears(&reply(&again, "200 OK", "b", "", ""));
    world.ends_clean();
}

#[test]
fn inside_a_call_nobody_gets_a_proof_for_a_realm_that_the_pbx_never_asked_for_outside_one() {
    for known in [None, Some("another")] {
        let mut world = knowing();
        let call = world.act(|line, now| line.invite(now, invite()));
        let mut first = world.said();
        if let Some(realm) = known {
            world.hears(&reply(&first, "401 Unauthorized", "t", &ONCE.replace("pbx", realm), ""));
            world.said();
            first = world.said();
        }
        world.hears(&reply(&first, "200 OK", "b", "", &sdp()));
        world.said();
        assert!(matches!(world.event(), Event::Answered { .. }));
        world.act(|line, now| line.send_info(now, call, "application/dtmf", b"5"));
        let info = world.said();
        world.hears(&reply(&info, "407 Proxy", "b", &ONCE.replace("WWW", "Proxy"), ""));
        world.is_silent();
        assert!(matches!(world.event(), Event::InfoRefused { status: 407, .. }));
        world.act(|line, now| line.hang_up(now, call, None));
        let bye = world.said();
        world.hears(&reply(&bye, "401 Unauthorized", "b", ONCE, ""));
        world.is_silent();
        world.ends_clean();
    }
}

#[test]
fn a_question_whether_the_pbx_is_there_is_proven_too_and_without_a_password_no_reason_to_worry() {
    let mut world = World::silent_pbx(|config| config.credentials = Some(credentials()));
    let options = world.said();
    world.hears(&reply(&options, "401 Unauthorized", "t", ONCE, ""));
    let again = world.said();
    assert_eq!(header(&again, "CSeq"), "2 OPTIONS");
    world.hears(&reply(&again, "200 OK", "t", "", ""));
    assert_eq!(world.event(), Event::PeerReachable(true));

    let mut world = World::silent_pbx(|_| {});
    let options = world.said();
    world.hears(&reply(&options, "401 Unauthorized", "t", ONCE, ""));
    world.is_silent();
    assert_eq!(world.event(), Event::PeerReachable(true));
    world.act(|line, now| line.invite(now, invite()));
    let first = world.said();
    world.hears(&reply(&first, "401 Unauthorized", "t", ONCE, ""));
    assert_eq!(world.event(), Event::ProofRefused { realm: "pbx".to_owned(), known: false });
}

const ONCE: &str = "WWW-Authenticate: Digest realm=\"pbx\", nonce=\"n1\", algorithm=SHA-256, qop=\"auth\"\n";

fn credentials() -> Credentials {
    Credentials { user: "line".to_owned(), password: "secret".to_owned() }
}

fn knowing() -> World {
    World::with(|config| config.credentials = Some(credentials()))
}
