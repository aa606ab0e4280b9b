//! A PBX that asks for a password before it takes our call (RFC 3261 section 22, RFC 8760).

use tgtrunk_sip::{Credentials, Event};

use crate::calls_in::sdp;
use crate::world::{World, body, header, headers, invite, reply, start};

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
    world.hears(&reply(
        &first,
        "401 Unauthorized",
        "t",
        "WWW-Authenticate: Digest realm=\"a\", nonce=\"b\"\n",
        "",
    ));
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
    world.hears(&reply(
        &first,
        "401 Unauthorized",
        "t",
        "WWW-Authenticate: Digest realm=\"a\", nonce=\"b\"\n",
        "",
    ));
    assert!(world.said().starts_with("ACK "));
    world.is_silent();
    assert!(matches!(world.event(), Event::Refused { status: 401, .. }));
}

fn knowing() -> World {
    let credentials = Credentials { user: "line".to_owned(), password: "secret".to_owned() };
    World::with(|config| config.credentials = Some(credentials))
}
