//! SIP over streams (RFC 3261 section 18): the odd messages of all standards again, one behind the other on a
//! connection, and what differs where nothing is lost on the way.

use tgtrunk_media::codec::{OPUS, PCMU};
use tgtrunk_sip::{Availability, Event, Expired, Frame, Framer, Hop, Memory, Rejection, Transport};

use crate::standards::{Verdict, message, verdicts};
use crate::torture::corpus;
use crate::world::{LINE, PBX, Phone, World, header, invite, local_audio, reply, seconds, start, tag};

/// The PBX's own end of a connection that it opened.
const THERE: &str = "127.0.0.1:40001";

/// Where a stream is answered otherwise than a datagram: name, status (`-`: silence), what becomes of the connection.
const OTHERWISE: [(&str, &str, Then, &str); 17] = [
    (
        "dblreq",
        "405",
        Then::Ends,
        "the INVITE behind it is read, too; what follows its stated length begins no message",
    ),
    ("clerr", "-", Then::Waits, "the rest of the body may still come"),
    ("ncl", "400", Then::Ends, "a negative length"),
    ("mcl01", "400", Then::Ends, "two lengths: either may be where the next message begins"),
    ("inv2543", "400", Then::Ends, "a body of unknown length"),
    ("ipv6-in-sdp", "488", Then::Ends, "what follows the stated length begins no message"),
    ("mult-ip-in-sdp", "call", Then::Ends, "what follows the stated length begins no message"),
    ("ipv4-mapped-ipv6", "488", Then::Ends, "what follows the stated length begins no message"),
    ("100-no-content-length", "400", Then::Ends, "a body of unknown length"),
    ("400-content-length-beyond-body", "-", Then::Waits, "the rest of the body may still come"),
    ("400-content-length-near-2-64", "513", Then::Ends, "nobody waits for that much"),
    ("400-content-length-negative", "400", Then::Ends, "a negative length"),
    ("400-content-length-twice-different", "400", Then::Ends, "two lengths"),
    ("400-content-length-word", "400", Then::Ends, "a word for a length"),
    ("400-no-empty-line", "-", Then::Waits, "the head may go on"),
    ("400-no-version", "400", Then::Ends, "whether it was SIP cannot be told"),
    ("ignored-start-line-of-one-word", "-", Then::Ends, "whether it was SIP cannot be told"),
];

/// What becomes of the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Then {
    /// The next message is answered.
    Open,
    /// What comes next is taken for a part of this one, until the time for one message is over.
    Waits,
    /// It ends: nobody can tell where the next message begins.
    Ends,
}

#[test]
fn each_odd_message_gets_its_answer_on_a_stream_too_and_the_next_one_as_well() {
    let torture: Vec<_> = corpus().into_iter().collect();
    let mut all: Vec<(String, Vec<u8>, String)> = Vec::new();
    for Verdict { folder, name, datagram, stream, .. } in verdicts() {
        let otherwise = OTHERWISE.iter().find(|(known, ..)| *known == name);
        assert_eq!(stream, otherwise.map_or(datagram, |(_, wanted, ..)| *wanted), "{name}");
        all.push((name.to_owned(), message(folder, name), datagram.to_owned()));
    }
    for (name, bytes) in torture {
        let wanted = match name.split('-').next().unwrap() {
            "100" => "call",
            "ignored" => "-",
            status => status,
        };
        all.push((name.clone(), bytes, wanted.to_owned()));
    }
    assert!(all.len() >= 161, "{}", all.len());
    for (name, ..) in OTHERWISE {
        assert!(all.iter().any(|(known, ..)| known == name), "{name}");
    }
    for (name, bytes, wanted) in all {
        let otherwise = OTHERWISE.iter().find(|(known, ..)| *known == name);
        let (wanted, then, why) = otherwise
            .map_or((wanted.as_str(), Then::Open, "as a datagram"), |(_, wanted, then, why)| {
                (wanted, *then, why)
            });
        assert_eq!(on_a_stream(&bytes), (wanted.to_owned(), then), "{name}: {why}");
    }
}

/// What a message gets on a connection, and whether an OPTIONS behind it still gets its answer.
fn on_a_stream(bytes: &[u8]) -> (String, Then) {
    let mut world = World::with(|config| config.codecs = vec![&OPUS, &PCMU]);
    let mut framer = Framer::new(world.now);
    let open = world.hears_on(&mut framer, bytes);
    let said = world.try_said();
    let called = matches!(world.try_event(), Some(Event::Incoming { .. }));
    let got = match said.as_deref().map(start) {
        None => "-",
        Some("100 Trying") if called => "call",
        Some(said) => &said[..3],
    };
    world.skip();
    if !open {
        return (got.to_owned(), Then::Ends);
    }
    if framer.expired(framer.poll_timeout()) == Some(Expired::Stalled) {
        return (got.to_owned(), Then::Waits);
    }
    world.hears_on(&mut framer, Phone::new("next").same_branch("OPTIONS", "", "").as_bytes());
    assert_eq!(start(&world.said()), "200 OK");
    (got.to_owned(), Then::Open)
}

#[test]
fn a_call_over_tcp_says_so_and_repeats_nothing_but_its_2xx() {
    let mut world = over(Transport::Tcp);
    world.act(|line, now| line.invite(now, invite()));
    let (hop, said) = world.said_over();
    assert_eq!(hop, Hop::to(Transport::Tcp, PBX.parse().unwrap()));
    assert!(header(&said, "Via").starts_with(&format!("SIP/2.0/TCP {LINE};rport;branch=z9hG4bK")), "{said}");
    assert_eq!(
        header(&said, "Contact"),
        format!("<sip:%2B74950000001@{LINE};transport=tcp>").replace("%2B", "+")
    );
    world.pass(seconds(31));
    world.is_silent();
    world.pass(seconds(2));
    let Event::Refused { status: 408, .. } = world.event() else { panic!() };
    world.ends_clean();
}

#[test]
fn a_call_that_came_on_a_connection_is_answered_and_ended_on_it_while_it_is_open() {
    let mut world = over(Transport::Udp);
    let mut framer = Framer::new(world.now);
    let mut phone = Phone::new("a");
    let text = phone.invite("sipp-invite.sip").replace("SIP/2.0/UDP", "SIP/2.0/TCP");
    world.hears_on(&mut framer, text.as_bytes());
    let (back, trying) = world.said_over();
    let wanted = Hop {
        transport: Transport::Tcp,
        address: PBX.parse().unwrap(),
        connection: Some(THERE.parse().unwrap()),
    };
    assert_eq!((back, start(&trying)), (wanted, "100 Trying"));
    let Event::Incoming { call, .. } = world.event() else { panic!() };
    world.act(|line, now| line.answer(now, call, local_audio(), Vec::new()));
    let (back, ok) = world.said_over();
    assert_eq!((back, start(&ok)), (wanted, "200 OK"));
    assert!(header(&ok, "Contact").ends_with(";transport=tcp>"), "{ok}");
    phone.to_tag = tag(header(&ok, "To")).to_owned();
    world.hears_on(&mut framer, phone.request("ACK", "", "").replace("/UDP", "/TCP").as_bytes());
    world.act(|line, now| line.hang_up(now, call, None));
    let (back, bye) = world.said_over();
    assert_eq!((back, start(&bye).split(' ').next()), (wanted, Some("BYE")));
    assert!(header(&bye, "Via").starts_with("SIP/2.0/TCP "), "{bye}");
    world.hears_on(&mut framer, reply(&bye, "200 OK", "", "", "").as_bytes());
    world.ends_clean();
}

#[test]
fn a_refusal_over_tcp_is_said_once() {
    let mut world = over(Transport::Udp);
    world.line.set_availability(Availability::Up);
    let mut framer = Framer::new(world.now);
    let phone = Phone::new("a");
    let text = phone.invite("sipp-invite.sip").replace("SIP/2.0/UDP", "SIP/2.0/TCP");
    world.hears_on(&mut framer, text.as_bytes());
    world.skip();
    let Event::Incoming { call, .. } = world.event() else { panic!() };
    world.act(|line, now| {
        line.reject(now, call, Rejection { status: 486, phrase: None, reason: None, retry_after_s: None })
    });
    assert_eq!(start(&world.said()), "486 Busy Here");
    world.pass(seconds(31));
    world.is_silent();
    world.ends_clean();
}

#[test]
fn what_cannot_be_sent_fails_at_once_and_leaves_nothing() {
    let mut world = over(Transport::Tcp);
    world.act(|line, now| line.invite(now, invite()));
    world.act(|line, now| line.handle_transport_error(now, Transport::Udp, PBX.parse().unwrap()));
    world.no_event();
    world.act(|line, now| line.handle_transport_error(now, Transport::Tcp, PBX.parse().unwrap()));
    assert_eq!(world.event(), Event::PeerReachable(false), "until it answers again");
    let Event::Refused { status: 503, phrase, .. } = world.event() else { panic!() };
    assert_eq!(phrase, "Transport Error");
    world.no_event();
    world.pass(seconds(0));
    assert_eq!(world.line.memory(), Memory::default());
}

#[test]
fn a_line_on_tls_hears_no_datagram_and_stays_on_tls() {
    let mut world = over(Transport::Tls);
    world.hears(&Phone::new("a").same_branch("OPTIONS", "", ""));
    world.is_silent();
    world.act(|line, now| line.invite(now, invite()));
    let (hop, said) = world.said_over();
    assert_eq!(hop.transport, Transport::Tls);
    assert!(header(&said, "Contact").ends_with(";transport=tls>"), "{said}");
    let ok = reply(&said, "200 OK", "b", "", BODY);
    let frame = Frame::Message(ok.into_bytes());
    world.act(|line, now| line.handle_frame(now, Transport::Tls, PBX.parse().unwrap(), &frame));
    let (hop, ack) = world.said_over();
    assert_eq!((hop.transport, start(&ack).split(' ').next()), (Transport::Tls, Some("ACK")));
}

#[test]
fn a_line_on_tls_is_called_and_transferred_by_sips_and_found_so() {
    let mut world = over(Transport::Tls);
    let mut phone = Phone::new("a");
    let sips = |text: String| {
        text.replace("/UDP", "/TLS")
            .replace(" sip:", " sips:")
            .replace("<sip:100@127.0.0.1:", "<sips:100@127.0.0.1:")
    };
    world.hears_over_tls(&sips(phone.same_branch("INVITE", "", BODY)));
    assert_eq!(start(&world.said()), "100 Trying");
    let Event::Incoming { call, dialled, .. } = world.event() else { panic!() };
    assert_eq!(dialled, "+79060000000");
    world.act(|line, now| line.answer(now, call, local_audio(), Vec::new()));
    let ok = world.said();
    assert_eq!(header(&ok, "Contact"), format!("<sips:+74950000001@{LINE}>"));
    phone.learn(&ok);
    world.hears_over_tls(&sips(phone.request("ACK", "", "")));
    for (target, wanted) in
        [("tel:200", "416 Unsupported URI Scheme"), ("sips:200@127.0.0.1", "202 Accepted")]
    {
        world.hears_over_tls(&sips(phone.request("REFER", &format!("Refer-To: <{target}>\n"), "")));
        assert_eq!(start(&world.said()), wanted, "{target}");
    }
    world.skip();
    world.event();
    world.act(|line, now| line.transfer(now, call, &invite())).unwrap();
    let (hop, said) = world.said_over();
    assert_eq!((hop.transport, start(&said)), (Transport::Tls, "INVITE sips:200@127.0.0.1"));
    assert_eq!(header(&said, "Contact"), format!("<sips:+74950000001@{LINE}>"));
    assert!(header(&said, "To").starts_with("<sips:200@"), "{said}");
    world.act(|line, now| line.hang_up(now, call, None));
    let (hop, bye) = world.said_over();
    assert_eq!((hop.transport, start(&bye)), (Transport::Tls, "BYE sips:100@127.0.0.1:5060"));
}

const BODY: &str = "v=0\no=- 1 1 IN IP4 127.0.0.1\ns=-\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio 20002 RTP/AVP 96\na=rtpmap:96 opus/48000/2\n";

/// A line that calls its PBX so, its first OPTIONS answered.
fn over(transport: Transport) -> World {
    let mut world = World::silent_pbx(|config| config.transport = transport);
    let options = world.said();
    let frame = Frame::Message(reply(&options, "200 OK", "opt", "", "").into_bytes());
    let there = PBX.parse().unwrap();
    world.act(|line, now| line.handle_frame(now, transport, there, &frame));
    assert_eq!(world.event(), Event::PeerReachable(true));
    world
}

impl World {
    /// The PBX says this, encrypted.
    fn hears_over_tls(&mut self, text: &str) {
        let frame = Frame::Message(text.as_bytes().to_vec());
        self.act(|line, now| line.handle_frame(now, Transport::Tls, THERE.parse().unwrap(), &frame));
    }

    /// The PBX says this on a connection. False when that has to end.
    fn hears_on(&mut self, framer: &mut Framer, bytes: &[u8]) -> bool {
        framer.handle(self.now, bytes);
        let mut open = true;
        while let Some(frame) = framer.poll_frame() {
            open &= !matches!(frame, Frame::Broken(_));
            self.line.handle_frame(self.now, Transport::Tcp, THERE.parse().unwrap(), &frame);
            self.drain();
        }
        open
    }
}
