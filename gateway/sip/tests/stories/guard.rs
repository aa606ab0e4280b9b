//! A line that lets nobody call but who knows its password (RFC 3261 section 22.4, RFC 8760).

use std::net::SocketAddr;

use tgtrunk_sip::{Credentials, Demand, DemandedBy, Event, Strangers};

use crate::calls_in::sdp;
use crate::world::{LINE, PBX, Phone, World, header, headers, reply, seconds, start};

#[test]
fn a_call_is_challenged_by_sha_256_and_md5_and_taken_once_it_is_proven_by_either() {
    for algorithm in ["SHA-256", "MD5"] {
        let mut world = guarded(|_| {});
        let mut phone = Phone::new("a");
        let challenge = challenged(&mut world, &mut phone);
        assert!(challenge[0].contains("algorithm=SHA-256") && challenge[1].contains("algorithm=MD5"));
        world.hears(&proven(&mut phone, &challenge, algorithm, "a word of ours", 1));
        assert_eq!(start(&world.said()), "100 Trying");
        assert!(matches!(world.event(), Event::Incoming { .. }), "{algorithm}");
        world.no_event();
    }
}

#[test]
fn a_line_that_asks_by_one_hash_takes_no_other() {
    for (by, asked, other) in [(DemandedBy::Md5, "MD5", "SHA-256"), (DemandedBy::Sha256, "SHA-256", "MD5")] {
        let mut world = guarded(|config| config.guard.as_mut().unwrap().by = by);
        let mut phone = Phone::new("a");
        let challenge = challenged(&mut world, &mut phone);
        assert!(
            challenge.len() == 1 && challenge[0].contains(&format!("algorithm={asked},")),
            "{challenge:?}"
        );
        let pretended = [challenge[0].replace(asked, other)];
        world.hears(&proven(&mut phone, &pretended, other, "a word of ours", 1));
        assert_eq!(start(&world.said()), "401 Unauthorized");
        world.hears(&proven(&mut phone, &challenge, asked, "a word of ours", 1));
        assert_eq!(start(&world.said()), "100 Trying");
    }
}

#[test]
fn requests_inside_a_call_and_options_need_no_proof_and_others_do() {
    let mut world = guarded(|_| {});
    let mut phone = Phone::new("a");
    world.hears(&phone.request("OPTIONS", "", ""));
    assert_eq!(start(&world.said()), "200 OK");
    for method in ["BYE", "INFO", "UPDATE"] {
        world.hears(&phone.request(method, "", ""));
        assert_eq!(start(&world.said()), "401 Unauthorized", "{method}");
    }
    let challenge = challenged(&mut world, &mut phone);
    world.hears(&proven(&mut phone, &challenge, "SHA-256", "a word of ours", 1));
    let Event::Incoming { call, .. } = world.event() else { panic!() };
    world.skip();
    world.act(|line, now| line.answer(now, call, crate::world::local_audio(), Vec::new()));
    let ok = world.said();
    phone.learn(&ok);
    world.hears(&phone.request("ACK", "", ""));
    world.hears(&phone.request("BYE", "", ""));
    assert_eq!(start(&world.said()), "200 OK");
    assert!(matches!(world.event(), Event::HungUp { .. }));
}

#[test]
fn a_proof_is_taken_once_and_an_old_one_is_asked_for_again() {
    let mut world = guarded(|_| {});
    let mut phone = Phone::new("a");
    let challenge = challenged(&mut world, &mut phone);
    let proof = |phone: &mut Phone, count| proven(phone, &challenge, "SHA-256", "a word of ours", count);
    for (count, status) in [(1, "100 Trying"), (1, "401 Unauthorized"), (3, "100 Trying"), (2, "100 Trying")]
    {
        // Another call, proven by the same nonce.
        phone.call_id = format!("{count}-{status}");
        world.hears(&proof(&mut phone, count));
        let said = world.said();
        assert_eq!(start(&said), status, "count {count}");
        if status.starts_with("401") {
            assert!(header(&said, "WWW-Authenticate").ends_with(", stale=true"), "{said}");
        }
    }
    world.pass(seconds(300));
    world.skip();
    world.hears(&proof(&mut phone, 4));
    assert!(header(&world.said(), "WWW-Authenticate").ends_with(", stale=true"));
}

#[test]
fn who_guesses_is_told_of_and_after_ten_guesses_not_answered_for_a_minute() {
    let mut world = guarded(|config| config.any_source = true);
    let mut phone = Phone::new("a");
    for guess in 0..10 {
        let challenge = challenged_at(&mut world, &mut phone, STRANGER);
        world.hears_from(STRANGER, proven(&mut phone, &challenge, "MD5", "another word", 1).as_bytes());
        let said = world.said();
        assert!(start(&said) == "401 Unauthorized" && !said.contains("stale"), "{said}");
        if guess == 0 {
            assert_eq!(world.event(), Event::Guessed { source: STRANGER.parse().unwrap(), guesses: 1 });
        }
    }
    world.no_event();
    world.hears_from(STRANGER, phone.request("INVITE", "", &sdp()).as_bytes());
    world.is_silent();
    assert!(matches!(world.event(), Event::Stranger { .. }), "counted as a stranger");
    world.hears_from(STRANGER, phone.request("OPTIONS", "", "").as_bytes());
    assert_eq!(start(&world.said()), "200 OK");
    world.pass(seconds(60));
    world.skip();
    let challenge = challenged_at(&mut world, &mut phone, STRANGER);
    world.hears_from(STRANGER, proven(&mut phone, &challenge, "MD5", "a word of ours", 1).as_bytes());
    assert_eq!(start(&world.said()), "100 Trying");
    assert_eq!(world.event(), Event::Proven { source: STRANGER.parse().unwrap() });
}

#[test]
fn whoever_guesses_beside_the_pbx_does_not_silence_it() {
    // By its address, or because it proved right there before.
    for source in [PBX, STRANGER] {
        let mut world = guarded(|config| config.any_source = true);
        let mut phone = Phone::new("a");
        let challenge = challenged_at(&mut world, &mut phone, source);
        world.hears_from(source, proven(&mut phone, &challenge, "MD5", "a word of ours", 1).as_bytes());
        assert_eq!(start(&world.said()), "100 Trying");
        assert!(matches!(world.event(), Event::Incoming { .. }));
        let mut guesser = Phone::new("guesser");
        for guess in 0..30 {
            let challenge = challenged_at(&mut world, &mut guesser, source);
            world.hears_from(source, proven(&mut guesser, &challenge, "MD5", "another word", 1).as_bytes());
            let wanted = if guess < 10 { "401 Unauthorized" } else { "403 Forbidden" };
            assert_eq!(start(&world.said()), wanted, "guess {guess}");
        }
        assert!(matches!(world.event(), Event::Guessed { .. }), "once a minute");
        let mut phone = Phone::new("b");
        let challenge = challenged_at(&mut world, &mut phone, source);
        world.hears_from(source, proven(&mut phone, &challenge, "MD5", "a word of ours", 1).as_bytes());
        assert_eq!(start(&world.said()), "100 Trying");
        assert_eq!(world.event(), Event::Proven { source: source.parse().unwrap() });
        assert!(matches!(world.event(), Event::Incoming { .. }));
        world.no_event();
    }
}

#[test]
fn before_a_proof_nobody_gets_more_than_half_as_much_again_as_they_sent() {
    let long = |phone: &mut Phone| phone.request("INVITE", "", &sdp());
    let short = |phone: &mut Phone| phone.request("INVITE", "", "");
    let told = |source: &str, request: &dyn Fn(&mut Phone) -> String| {
        let mut world = guarded(|config| config.any_source = true);
        let request = request(&mut Phone::new("a"));
        world.hears_from(source, request.as_bytes());
        (request.len(), world.said())
    };
    let (asked, said) = told(STRANGER, &long);
    assert_eq!(headers(&said, "WWW-Authenticate").len(), 2, "{said}");
    assert!(said.len() * 2 <= asked * 3, "{} for {asked}", said.len());
    let (asked, said) = told(STRANGER, &short);
    let challenges = headers(&said, "WWW-Authenticate");
    assert!(challenges.len() == 1 && challenges[0].contains("algorithm=SHA-256"), "{said}");
    assert!(said.len() * 2 <= asked * 3, "{} for {asked}", said.len());
    let (asked, said) = told(PBX, &short);
    assert!(
        headers(&said, "WWW-Authenticate").len() == 2 && said.len() * 2 > asked * 3,
        "the PBX gets both: {said}"
    );

    let mut world = guarded(|config| config.any_source = true);
    let tiny = b"X a SIP/2.0\r\nv:SIP/2.0/UDP a;rport\r\n\r\n";
    world.hears_from(STRANGER, tiny);
    world.is_silent();
    for method in ["OPTIONS", "REGISTER", "BYE", "MESSAGE"] {
        let request = Phone::new("b").request(method, "", "");
        world.hears_from(STRANGER, request.as_bytes());
        let said = world.said();
        assert!(said.len() * 2 <= request.len() * 3, "{} for {}: {said}", said.len(), request.len());
    }
    // Whoever proved right is the PBX, and a burst is read as its datagrams are.
    let mut phone = Phone::new("c");
    let challenge = challenged_at(&mut world, &mut phone, STRANGER);
    world.hears_from(STRANGER, proven(&mut phone, &challenge, "SHA-256", "a word of ours", 1).as_bytes());
    assert_eq!(start(&world.said()), "100 Trying");
    world.hears_from(STRANGER, short(&mut Phone::new("d")).as_bytes());
    assert_eq!(headers(&world.said(), "WWW-Authenticate").len(), 2);
}

#[test]
fn a_pbx_whose_proof_was_forgotten_in_a_crowd_is_answered_whole_in_its_calls() {
    let mut world = guarded(|config| config.any_source = true);
    let prove = |world: &mut World, name: &str, source: &str| {
        let mut phone = Phone::new(name);
        let challenge = challenged_at(world, &mut phone, source);
        world.hears_from(source, proven(&mut phone, &challenge, "SHA-256", "a word of ours", 1).as_bytes());
        let mut events = std::iter::from_fn(|| world.try_event());
        let call =
            events.find_map(|event| if let Event::Incoming { call, .. } = event { Some(call) } else { None });
        while world.try_said().is_some() {}
        (phone, call)
    };
    let (mut phone, call) = prove(&mut world, "a", STRANGER);
    world.act(|line, now| line.answer(now, call.unwrap(), crate::world::local_audio(), Vec::new()));
    phone.learn(&world.said());
    world.hears_from(STRANGER, phone.request("ACK", "", "").as_bytes());
    while world.try_event().is_some() {}
    for number in 0..64 {
        world.pass(seconds(1));
        prove(&mut world, &format!("b{number}"), &format!("203.0.113.{number}:5060"));
    }
    let ip = STRANGER.parse::<SocketAddr>().unwrap().ip();
    assert!(!world.act(|line, _| line.trusts(ip)), "a crowd came since");
    let again = phone.request("INVITE", "", "");
    world.hears_from(STRANGER, again.as_bytes());
    let answers: Vec<_> = std::iter::from_fn(|| world.try_said()).collect();
    let whole = answers.iter().find(|said| start(said) == "200 OK");
    assert!(whole.is_some_and(|said| said.len() * 2 > again.len() * 3), "{answers:?}");
}

#[test]
fn strangers_on_a_line_that_listens_to_everybody_are_counted_until_they_prove_right() {
    let mut world = guarded(|config| config.any_source = true);
    let mut phone = Phone::new("a");
    for method in ["INVITE", "OPTIONS", "REGISTER", "BYE"] {
        world.hears_from(STRANGER, phone.request(method, "", "").as_bytes());
    }
    world.hears_from(STRANGER, b"\0garbage");
    let counted = Strangers { unproven: 5, ..Strangers::default() };
    assert_eq!(world.line.strangers(), counted);
    world.skip();
    let challenge = challenged_at(&mut world, &mut phone, STRANGER);
    for _ in 0..12 {
        world.hears_from(STRANGER, proven(&mut phone, &challenge, "MD5", "another word", 1).as_bytes());
    }
    // The INVITE and its ACK, ten guesses, and two that were not even looked at.
    let counted = Strangers { dropped: 2, unproven: 17, wrong_proofs: 10 };
    assert_eq!(world.line.strangers(), counted);
    world.pass(seconds(60));
    world.skip();
    let challenge = challenged_at(&mut world, &mut phone, STRANGER);
    let counted = Strangers { unproven: 19, ..counted };
    let (pbx, stranger) =
        (PBX.parse::<SocketAddr>().unwrap().ip(), STRANGER.parse::<SocketAddr>().unwrap().ip());
    assert!(world.line.trusts(pbx) && !world.line.trusts(stranger));
    world.hears_from(STRANGER, proven(&mut phone, &challenge, "MD5", "a word of ours", 1).as_bytes());
    world.hears_from(STRANGER, phone.request("OPTIONS", "", "").as_bytes());
    world.hears(&phone.request("INVITE", "", &sdp()));
    assert!(world.line.trusts(stranger), "whoever proved right is the PBX");
    assert_eq!(world.line.strangers(), counted, "neither who proved right nor the PBX's own address");
}

#[test]
fn a_proof_for_another_number_or_address_is_none() {
    let mut world = guarded(|config| config.any_source = true);
    let mut phone = Phone::new("a");
    let challenge = challenged(&mut world, &mut phone);
    let call = proven(&mut phone, &challenge, "SHA-256", "a word of ours", 1);
    let elsewhere = call.replace("INVITE sip:+79060000000@", "INVITE sip:+15550000000@");
    assert_ne!(call, elsewhere);
    world.hears(&elsewhere);
    assert_eq!(start(&world.said()), "401 Unauthorized");
    assert!(matches!(world.event(), Event::Guessed { .. }));
    world.hears_from("192.0.2.66:5060", call.as_bytes());
    let said = world.said();
    assert!(
        start(&said) == "401 Unauthorized" && !said.contains("stale"),
        "somebody else overheard it: {said}"
    );
    world.no_event();
    world.hears(&call);
    assert_eq!(start(&world.said()), "100 Trying");
}

#[test]
fn a_pbx_of_any_address_is_answered_where_it_called_from() {
    let source = STRANGER;
    let mut world = guarded(|config| config.any_source = true);
    let mut phone = Phone::new("a");
    let challenge = challenged_at(&mut world, &mut phone, source);
    let call = proven(&mut phone, &challenge, "SHA-256", "a word of ours", 1);
    world.hears_from(source, call.as_bytes());
    world.skip();
    let Event::Incoming { call, .. } = world.event() else { panic!() };
    world.act(|line, now| line.answer(now, call, crate::world::local_audio(), Vec::new()));
    let ok = world.said();
    phone.learn(&ok);
    world.hears_from(source, phone.request("ACK", "", "").as_bytes());
    world.act(|line, now| line.hang_up(now, call, None));
    let (destination, bye) = world.said_to();
    assert!(bye.starts_with("BYE sip:100@127.0.0.1:5060 "), "{bye}");
    assert_eq!(destination, PBX.parse().unwrap(), "its Contact is an address that the line knows");
    world.hears_from(source, reply(&bye, "200 OK", "", "", "").as_bytes());

    let mut shut = World::with(|config| config.any_source = true);
    shut.hears_from(source, phone.request("OPTIONS", "", "").as_bytes());
    shut.is_silent();
}

/// Somebody who may be the PBX at another address.
const STRANGER: &str = "198.51.100.7:6070";

/// The challenges that a first INVITE gets.
fn challenged(world: &mut World, phone: &mut Phone) -> Vec<String> {
    challenged_at(world, phone, PBX)
}

/// The challenges that a first INVITE from this address gets.
#[track_caller]
fn challenged_at(world: &mut World, phone: &mut Phone, source: &str) -> Vec<String> {
    world.hears_from(source, phone.request("INVITE", "", &sdp()).as_bytes());
    let refusal = world.said();
    assert_eq!(start(&refusal), "401 Unauthorized");
    world.hears_from(source, phone.same_branch("ACK", "", "").as_bytes());
    headers(&refusal, "WWW-Authenticate").into_iter().map(str::to_owned).collect()
}

/// The INVITE again, with a proof by RFC 7616 section 3.4.1.
fn proven(phone: &mut Phone, challenge: &[String], algorithm: &str, password: &str, count: u32) -> String {
    let chosen = challenge.iter().find(|challenge| challenge.contains(algorithm)).unwrap();
    let nonce = chosen.split("nonce=\"").nth(1).unwrap().split('"').next().unwrap();
    let uri = format!("sip:{}@{LINE}", phone.to);
    let hash = |text: String| -> String {
        let bytes = match algorithm {
            "MD5" => <md5::Md5 as md5::Digest>::digest(text).to_vec(),
            _ => <sha2::Sha256 as sha2::Digest>::digest(text).to_vec(),
        };
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    };
    let secret = hash(format!("pbx:tgtrunk:{password}"));
    let request = hash(format!("INVITE:{uri}"));
    let response = hash(format!("{secret}:{nonce}:{count:08x}:0a4f113b:auth:{request}"));
    let proof = format!(
        "Authorization: Digest username=\"pbx\", realm=\"tgtrunk\", nonce=\"{nonce}\", uri=\"{uri}\", \
         response=\"{response}\", algorithm={algorithm}, cnonce=\"0a4f113b\", qop=auth, nc={count:08x}\n"
    );
    phone.request("INVITE", &proof, &sdp())
}

fn guarded(change: impl FnOnce(&mut tgtrunk_sip::Config)) -> World {
    World::with(|config| {
        let credentials = Credentials { user: "pbx".to_owned(), password: "a word of ours".to_owned() };
        config.guard = Some(Demand { credentials, by: DemandedBy::Either });
        change(config);
    })
}
