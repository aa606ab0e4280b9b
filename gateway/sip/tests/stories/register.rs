//! A line that registers at its PBX (RFC 3261 section 10.2).

use tgtrunk_sip::{Config, Credentials, Event, Register, Registration, Transport};

use crate::calls_in::sdp;
use crate::world::{Phone, World, header, headers, ms, reply, seconds, start};

#[test]
fn a_line_registers_at_once_proves_itself_and_refreshes_at_half_of_what_it_was_granted() {
    let mut world = registering(|_| {});
    let first = world.said();
    assert_eq!(start(&first), "REGISTER sip:127.0.0.1:5060");
    assert!(header(&first, "From").starts_with("<sip:line1@127.0.0.1:5060>;tag="), "{first}");
    assert_eq!(header(&first, "To"), "<sip:line1@127.0.0.1:5060>");
    assert_eq!(header(&first, "Contact"), "<sip:+74950000001@127.0.0.1:30001>;expires=600");
    assert_eq!((header(&first, "Expires"), header(&first, "CSeq")), ("600", "1 REGISTER"));
    world.hears(&reply(&first, "401 Unauthorized", "t", ASKS, ""));
    let proven = world.said();
    assert_eq!(header(&proven, "CSeq"), "2 REGISTER");
    assert!(header(&proven, "Authorization").contains("username=\"line\", realm=\"pbx\""), "{proven}");
    world.hears(&reply(&proven, "200 OK", "t", &ours(120), ""));
    assert_eq!(world.event(), Event::Registration(Registration::Held { expires_s: 120 }));
    assert!(world.line.is_registered());

    world.pass(ms(59_999));
    world.is_silent();
    world.pass(ms(1));
    let again = world.said();
    assert_eq!(
        (header(&again, "CSeq"), header(&again, "Call-ID")),
        ("3 REGISTER", header(&first, "Call-ID"))
    );
    assert!(header(&again, "Authorization").contains("nc=00000002"), "{again}");
    world.hears(&reply(&again, "200 OK", "t", &ours(120), ""));
    world.no_event();
}

#[test]
fn hours_of_registration_pass_without_a_gap() {
    let mut world = registering(|_| {});
    let mut asked = std::collections::BTreeSet::new();
    for _ in 0..24 * 60 * 60 {
        while let Some(said) = world.try_said() {
            assert!(said.starts_with("REGISTER "), "{said}");
            world.hears(&reply(&said, "200 OK", "t", &ours(300), ""));
            asked.insert(header(&said, "CSeq").to_owned());
        }
        world.pass(seconds(1));
    }
    assert_eq!(asked.len(), 24 * 60 * 60 / 150, "every 150 s for a day");
    assert!(matches!(world.event(), Event::Registration(Registration::Held { .. })));
    world.no_event();
}

#[test]
fn an_interval_that_is_too_short_is_raised_once() {
    let mut world = registering(|_| {});
    let first = world.said();
    world.hears(&reply(&first, "423 Interval Too Brief", "t", "Min-Expires: 1800\n", ""));
    world.pass(ms(1));
    let second = world.said();
    assert_eq!((header(&second, "Expires"), header(&second, "CSeq")), ("1800", "2 REGISTER"));
    world.hears(&reply(&second, "423 Interval Too Brief", "t", "Min-Expires: 1800\n", ""));
    world.pass(ms(1));
    world.is_silent();
    assert!(matches!(world.event(), Event::Registration(Registration::Refused { status: 423, .. })));
}

#[test]
fn a_wrong_password_is_told_and_tried_again_ever_more_rarely() {
    let mut world = registering(|_| {});
    let mut at = Vec::new();
    for _ in 0..5 {
        let from = world.now;
        let mut waited = 0;
        let first = loop {
            match world.try_said() {
                Some(said) => break said,
                None => {
                    world.pass(ms(500));
                    waited += 500;
                    assert!(waited <= 300_000);
                }
            }
        };
        at.push((world.now - from).as_secs());
        world.hears(&reply(&first, "401 Unauthorized", "t", ASKS, ""));
        let proven = world.said();
        world.hears(&reply(&proven, "401 Unauthorized", "t", ASKS, ""));
    }
    assert_eq!(world.event(), Event::ProofRefused { realm: "pbx".to_owned(), known: true });
    let refused = Registration::Refused { status: 401, phrase: "Unauthorized".to_owned() };
    assert_eq!(world.event(), Event::Registration(refused));
    world.no_event();
    assert!(at[0] == 0 && at[1..].iter().all(|pause| (30..=60).contains(pause)), "{at:?}");
}

#[test]
fn a_silent_registrar_is_tried_again_at_growing_pauses_and_its_wishes_are_heeded() {
    let mut world = registering(|_| {});
    let mut pauses = Vec::new();
    for _ in 0..8 {
        let from = world.now;
        world.skip();
        loop {
            world.pass(seconds(1));
            let news = std::iter::from_fn(|| world.try_said())
                .any(|said| header(&said, "CSeq").starts_with(&format!("{} ", pauses.len() + 2)));
            if news {
                break;
            }
        }
        // 32 s pass before the absence of an answer counts.
        pauses.push((world.now - from).as_secs().saturating_sub(32));
    }
    assert_eq!(world.event(), Event::Registration(Registration::Unanswered));
    world.no_event();
    let limits = [(2, 6), (5, 11), (10, 21), (20, 41), (30, 61), (30, 61), (30, 61), (30, 61)];
    for (pause, (least, most)) in pauses.iter().zip(limits) {
        assert!((least..=most).contains(pause), "{pauses:?}");
    }

    let mut world = registering(|_| {});
    let first = world.said();
    world.hears(&reply(&first, "503 Service Unavailable", "t", "Retry-After: 200\n", ""));
    assert!(matches!(world.event(), Event::Registration(Registration::Refused { status: 503, .. })));
    world.pass(ms(199_999));
    world.is_silent();
    world.pass(ms(1));
    assert_eq!(start(&world.said()), "REGISTER sip:127.0.0.1:5060");
}

#[test]
fn a_registrar_that_returns_is_told_at_once_where_the_line_is_however_long_it_was_gone() {
    for gone_s in [20, 600] {
        let mut world = registering(|config| config.options_interval = seconds(30));
        let first = world.said();
        world.hears(&reply(&first, "200 OK", "t", &ours(3_600), ""));
        assert!(matches!(world.event(), Event::Registration(Registration::Held { .. })));
        // It is switched off, and forgets the line; nothing is answered until its return.
        let back = world.now + seconds(30 + gone_s);
        while world.now < back {
            world.pass(ms(100));
            while world.try_said().is_some() {}
        }
        assert_eq!(world.event(), Event::PeerReachable(false));
        let returned = loop {
            world.pass(ms(100));
            if let Some(said) = world.try_said() {
                assert!(said.starts_with("OPTIONS "), "before it is known to be there: {said}");
                world.hears(&reply(&said, "200 OK", "opt", "", ""));
                break world.now;
            }
        };
        assert!(returned - back <= seconds(11), "{:?}", returned - back);
        assert_eq!(world.event(), Event::PeerReachable(true));
        world.pass(ms(500));
        assert_eq!(start(&world.said()), "REGISTER sip:127.0.0.1:5060");
        world.is_silent();
    }
}

#[test]
fn a_line_that_ends_has_itself_forgotten() {
    let mut world = registering(|_| {});
    let first = world.said();
    world.hears(&reply(&first, "200 OK", "t", &ours(600), ""));
    assert!(matches!(world.event(), Event::Registration(_)));
    world.act(|line, now| line.unregister(now));
    let leave = world.said();
    assert_eq!(header(&leave, "Contact"), "<sip:+74950000001@127.0.0.1:30001>;expires=0");
    assert!(header(&leave, "Expires") == "0" && world.line.is_registered());
    world.hears(&reply(&leave, "401 Unauthorized", "t", ASKS, ""));
    let leave = world.said();
    world.hears(&reply(&leave, "200 OK", "t", "", ""));
    assert!(!world.line.is_registered());
    world.ends_clean();
}

#[test]
fn a_line_that_ends_has_itself_forgotten_wherever_it_may_be_known() {
    // Its first REGISTER is on the wire.
    let mut world = registering(|_| {});
    let first = world.said();
    world.act(|line, now| line.unregister(now));
    world.is_silent();
    assert!(world.line.is_registered());
    world.hears(&reply(&first, "200 OK", "t", &ours(600), ""));
    world.pass(ms(0));
    forgotten(&mut world);

    // A refresh was refused, and what it refreshed is not over.
    let mut world = registering(|_| {});
    let first = world.said();
    world.hears(&reply(&first, "200 OK", "t", &ours(600), ""));
    world.event();
    world.pass(seconds(300));
    let again = world.said();
    world.hears(&reply(&again, "403 Forbidden", "t", "", ""));
    world.event();
    world.act(|line, now| line.unregister(now));
    forgotten(&mut world);

    // Its REGISTER was not answered: the answer may be what was lost.
    let mut world = registering(|_| {});
    world.skip();
    world.pass(seconds(32));
    assert_eq!(world.event(), Event::Registration(Registration::Unanswered));
    world.skip();
    world.act(|line, now| line.unregister(now));
    forgotten(&mut world);
}

#[test]
fn a_line_that_is_known_nowhere_ends_without_a_word() {
    let mut world = registering(|_| {});
    let first = world.said();
    world.hears(&reply(&first, "403 Forbidden", "t", "", ""));
    world.event();
    world.act(|line, now| line.unregister(now));
    assert!(!world.line.is_registered());
    world.ends_clean();

    let mut world = registering(|_| {});
    let first = world.said();
    world.act(|line, now| line.unregister(now));
    world.hears(&reply(&first, "403 Forbidden", "t", "", ""));
    assert!(!world.line.is_registered());
    world.ends_clean();
}

#[test]
fn a_call_to_the_registered_address_is_for_whom_its_to_names() {
    let mut world = registering(|_| {});
    world.skip();
    let mut phone = Phone::dialling("a", "+74950000001");
    let call = phone.request("INVITE", "", &sdp());
    world.hears(&call.replace("To: <sip:+74950000001@", "To: <sip:+79060000000@"));
    let Event::Incoming { dialled, .. } = world.event() else { panic!() };
    assert_eq!(dialled, "+79060000000");
    world.hears(&Phone::dialling("b", "+79061111111").request("INVITE", "", &sdp()));
    let Event::Incoming { dialled, .. } = world.event() else { panic!() };
    assert_eq!(dialled, "+79061111111", "an address that says whom itself");
}

#[test]
fn a_domain_stands_for_the_address_everywhere_and_another_address_is_told_at_once() {
    let mut world = registering(|config| {
        config.domain = Some("pbx.example.org".to_owned());
        config.more_peers = vec!["127.0.0.1:5080".parse().unwrap()];
    });
    let first = world.said();
    assert_eq!(start(&first), "REGISTER sip:pbx.example.org");
    assert_eq!(header(&first, "To"), "<sip:line1@pbx.example.org>");
    world.hears(&reply(&first, "200 OK", "t", &ours(600), ""));
    world.act(|line, now| line.invite(now, crate::world::invite()));
    world
        .act(|line, now| line.handle_transport_error(now, Transport::Udp, "127.0.0.1:5060".parse().unwrap()));
    let said = std::iter::from_fn(|| world.try_said_to()).last();
    assert!(said.is_some_and(
        |(to, said)| to.port() == 5080 && said.starts_with("INVITE sip:+74950000001@pbx.example.org ")
    ));
    world.pass(ms(1));
    let (destination, again) = world.said_to();
    assert_eq!(destination, "127.0.0.1:5080".parse().unwrap());
    assert_eq!(start(&again), "REGISTER sip:pbx.example.org");
    assert!(headers(&again, "Contact")[0].ends_with(";expires=600"));
}

const ASKS: &str = "WWW-Authenticate: Digest realm=\"pbx\", nonce=\"n1\", algorithm=MD5, qop=\"auth\"\n";

fn ours(expires_s: u32) -> String {
    format!("Contact: <sip:+74950000001@127.0.0.1:30001>;expires={expires_s}\n")
}

/// A line whose OPTIONS were answered and whose first REGISTER is on the wire.
fn registering(change: impl FnOnce(&mut Config)) -> World {
    let mut world = World::silent_pbx(|config| {
        config.register = Some(Register { user: "line1".to_owned(), expires_s: 600 });
        config.credentials = Some(Credentials { user: "line".to_owned(), password: "secret".to_owned() });
        change(config);
    });
    let mut registers = Vec::new();
    while let Some(said) = world.try_said() {
        if said.starts_with("OPTIONS ") {
            world.hears(&reply(&said, "200 OK", "opt", "", ""));
        } else {
            registers.push(said);
        }
    }
    while world.try_event().is_some() {}
    assert_eq!(registers.len(), 1);
    world.put_back(registers.remove(0));
    world
}

/// The line takes its registration back, once, and is gone.
#[track_caller]
fn forgotten(world: &mut World) {
    let leave = world.said();
    assert_eq!(header(&leave, "Contact"), "<sip:+74950000001@127.0.0.1:30001>;expires=0");
    assert!(header(&leave, "Expires") == "0" && world.line.is_registered());
    world.hears(&reply(&leave, "200 OK", "t", "", ""));
    assert!(!world.line.is_registered());
    world.is_silent();
    world.ends_clean();
}
