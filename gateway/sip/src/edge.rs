//! The edge: what a datagram must be before anything behind it is asked (RFC 3261 sections 7, 8.2, 16.3, 18.3).
//!
//! One bad header costs neither the message nor its neighbours; a request that cannot be served gets the status
//! that says why; an ACK is never answered; a response that makes no sense is dropped.

use std::net::SocketAddr;

use crate::header::{CSeq, NameAddr, stamped};
use crate::hop::{Hop, Transport};
use crate::message::{Headers, Method, Request, Response};
use crate::text::{clean, is_token};
use crate::uri::{Scheme, Uri, UriError};

/// Longest datagram that is read; a longer request gets 513 (RFC 3261 section 21.5.14).
pub(crate) const DATAGRAM_LIMIT_BYTES: usize = 32 * 1024;

/// Longest name of a transaction or a dialog, as Call-ID and tags are; a request with a longer one gets 400.
const LONGEST_NAME_BYTES: usize = 4 * 1024;

/// What we serve (RFC 3261 section 20.5).
pub(crate) const ALLOW: &str = "INVITE, ACK, CANCEL, BYE, OPTIONS, UPDATE, INFO, PRACK, REFER";

/// What we understand beyond RFC 3261 (section 20.37).
pub(crate) const SUPPORTED: [&str; 4] = ["100rel", "norefersub", "replaces", "timer"];

/// What a datagram turned out to be.
#[derive(Debug)]
pub(crate) enum Inbound {
    /// A request in order, its Via stamped with the source; answers go to `answer_to`.
    Request { request: Request, answer_to: Hop },
    /// A response in order.
    Response(Response),
    /// A request that is answered at once and forgotten.
    Refused { request: Request, answer_to: Hop, refusal: Refusal },
    /// Nothing to answer; the word says why.
    Ignored(&'static str),
}

/// A status, with what has to go with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) status: u16,
    /// Where the status's own phrase says too little.
    pub(crate) phrase: Option<String>,
    pub(crate) headers: Vec<(&'static str, String)>,
}

impl Refusal {
    pub(crate) fn new(status: u16) -> Self {
        Self { status, phrase: None, headers: Vec::new() }
    }

    pub(crate) fn because(status: u16, phrase: &str) -> Self {
        Self { status, phrase: Some(phrase.to_owned()), headers: Vec::new() }
    }

    pub(crate) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}

/// Reads one datagram.
pub(crate) fn read(datagram: &[u8], source: Hop) -> Inbound {
    let start = datagram.iter().position(|b| !matches!(b, b'\r' | b'\n' | 0)).unwrap_or(datagram.len());
    let datagram = &datagram[start..];
    if datagram.is_empty() {
        return Inbound::Ignored("keep-alive");
    }
    let (head, body) = split_head(datagram);
    let mut lines = unfold(head).into_iter();
    let Some(first) = lines.next() else { return Inbound::Ignored("no start line") };
    let headers = read_headers(lines);
    if first.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("SIP/")) {
        return read_response(&first, headers, body, datagram.len());
    }
    let Some((request, mut fault)) = read_request_line(&first, headers) else {
        return Inbound::Ignored("no request line");
    };
    read_request(request, &mut fault, body, source, datagram.len())
}

/// Reads what is left of a message whose end cannot be told: a request gets this refusal, or the one that it has earned
/// by itself.
pub(crate) fn read_broken(head: &[u8], source: Hop, refusal: &Refusal) -> Inbound {
    match read(head, source) {
        Inbound::Request { request, .. } if request.method == Method::Ack => {
            Inbound::Ignored("ACK out of order")
        }
        Inbound::Request { request, answer_to } | Inbound::Refused { request, answer_to, .. } => {
            Inbound::Refused { request, answer_to, refusal: refusal.clone() }
        }
        Inbound::Response(_) => Inbound::Ignored("response whose end cannot be told"),
        ignored @ Inbound::Ignored(_) => ignored,
    }
}

fn read_response(first: &str, headers: Headers, body: Option<&[u8]>, length: usize) -> Inbound {
    let mut words = first.splitn(3, ' ');
    let version = words.next().unwrap_or("");
    let status = words.next().filter(|word| word.len() == 3).and_then(|word| word.parse::<u16>().ok());
    let (Some(status @ 100..=699), true) = (status, version.eq_ignore_ascii_case("SIP/2.0")) else {
        return Inbound::Ignored("no status line");
    };
    if length > DATAGRAM_LIMIT_BYTES {
        return Inbound::Ignored("response too large");
    }
    let whole = headers.cseq().is_some() && headers.from().is_some() && headers.to().is_some();
    if !whole || headers.call_id().is_empty() {
        return Inbound::Ignored("response without its headers");
    }
    if headers.routes("Via").len() != 1 || headers.via().is_none() {
        return Inbound::Ignored("response with another Via than ours");
    }
    let Ok(body) = cut_body(&headers, body.unwrap_or_default()) else {
        return Inbound::Ignored("response with a wrong Content-Length");
    };
    let phrase = clean(words.next().unwrap_or(""), 128);
    Inbound::Response(Response { status, phrase, headers, body: body.to_vec() })
}

/// The request and what is wrong with its first line; `None` when it is none at all.
fn read_request_line(first: &str, headers: Headers) -> Option<(Request, Option<Refusal>)> {
    let (method, rest) = first.split_once(' ')?;
    let (uri, version) = rest.trim_end().rsplit_once(' ').unwrap_or((rest, ""));
    let method = Method::parse(method)?;
    let fault = if version.eq_ignore_ascii_case("SIP/2.0") {
        None
    } else if version.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("SIP/")) {
        Some(Refusal::new(505))
    } else {
        Some(Refusal::because(400, "Bad Request Line"))
    };
    Some((Request { method, uri: uri.trim().to_owned(), headers, body: Vec::new() }, fault))
}

fn read_request(
    mut request: Request,
    fault: &mut Option<Refusal>,
    body: Option<&[u8]>,
    source: Hop,
    length: usize,
) -> Inbound {
    let Some(via) = request.headers.via() else { return Inbound::Ignored("request without a Via") };
    let answer_to = via.answer_to(source);
    stamp(&mut request.headers, &via, source.connection.unwrap_or(source.address));
    let judged = fault.take().map_or_else(|| judge(&request, body, source.transport, length), Err);
    match judged {
        Ok(body) => {
            request.body = body;
            Inbound::Request { request, answer_to }
        }
        Err(_) if request.method == Method::Ack => Inbound::Ignored("ACK out of order"),
        Err(refusal) => Inbound::Refused { request, answer_to, refusal },
    }
}

/// Everything about a request that can be wrong without knowing any call. Gives the body.
fn judge(
    request: &Request,
    body: Option<&[u8]>,
    transport: Transport,
    length: usize,
) -> Result<Vec<u8>, Refusal> {
    let bad = |phrase: &str| Err(Refusal::because(400, phrase));
    let headers = &request.headers;
    if length > DATAGRAM_LIMIT_BYTES {
        return Err(Refusal::new(513));
    }
    let Some(body) = body else { return bad("No Empty Line After Headers") };
    for (name, phrase) in [
        ("From", "From Missing Or Repeated"),
        ("To", "To Missing Or Repeated"),
        ("Call-ID", "Call-ID Missing Or Repeated"),
        ("CSeq", "CSeq Missing Or Repeated"),
    ] {
        if headers.all(name).count() != 1 {
            return bad(phrase);
        }
    }
    if headers.all("Via").flat_map(NameAddr::split_list).any(|via| !via.contains('/')) {
        return bad("Via Not Readable");
    }
    let Some(from) = headers.from() else { return bad("From Not Readable") };
    let Some(to) = headers.to() else { return bad("To Not Readable") };
    if headers.call_id().is_empty() {
        return bad("Call-ID Empty");
    }
    // They are kept for as long as what they name, and longer.
    for (text, phrase) in [
        (headers.call_id(), "Call-ID Too Long"),
        (headers.top_via().unwrap_or_default(), "Via Too Long"),
        (from.tag().unwrap_or_default(), "From Tag Too Long"),
        (to.tag().unwrap_or_default(), "To Tag Too Long"),
    ] {
        if text.len() > LONGEST_NAME_BYTES {
            return bad(phrase);
        }
    }
    match headers.cseq() {
        None => return bad("CSeq Not Readable"),
        Some(CSeq { method, .. }) if method != request.method => return bad("CSeq Method Differs"),
        Some(_) => {}
    }
    let body = cut_body(headers, body)?;
    let hops = headers.first("Max-Forwards").unwrap_or("70");
    let Ok(hops @ 0..=255) = hops.parse::<u32>() else { return bad("Max-Forwards Not Readable") };
    serve(request, transport, to.tag().is_some(), hops)?;
    Ok(body.to_vec())
}

/// Method, scheme and extensions (RFC 3261 sections 8.2.1 and 8.2.2).
fn serve(request: &Request, transport: Transport, in_dialog: bool, hops: u32) -> Result<(), Refusal> {
    match &request.method {
        Method::Unknown(_) => return Err(Refusal::new(501).with("Allow", ALLOW)),
        Method::Refer | Method::Subscribe if in_dialog => {}
        Method::Register
        | Method::Subscribe
        | Method::Notify
        | Method::Publish
        | Method::Message
        | Method::Refer => return Err(Refusal::new(405).with("Allow", ALLOW)),
        Method::Invite if hops == 0 => return Err(Refusal::new(483)),
        Method::Invite
        | Method::Ack
        | Method::Bye
        | Method::Cancel
        | Method::Options
        | Method::Update
        | Method::Prack
        | Method::Info => {}
    }
    match Uri::parse(&request.uri) {
        // What asks for TLS all the way cannot have come without it (RFC 3261 section 26.2.2).
        Ok(uri) if uri.scheme == Scheme::Sips && transport != Transport::Tls => {
            return Err(Refusal::new(416));
        }
        Ok(_) => {}
        Err(UriError::Scheme(_)) => return Err(Refusal::new(416)),
        Err(UriError::Host(_) | UriError::Port(_) | UriError::Empty(_)) => {
            return Err(Refusal::because(400, "Request-URI Not Readable"));
        }
    }
    if !matches!(request.method, Method::Ack | Method::Cancel) {
        let unknown = |option: &&str| !SUPPORTED.iter().any(|known| known.eq_ignore_ascii_case(option));
        let wanted = request.headers.all("Require").flat_map(NameAddr::split_list);
        let wanted: Vec<_> = wanted.filter(unknown).collect();
        if !wanted.is_empty() {
            return Err(Refusal::new(420).with("Unsupported", clean(&wanted.join(", "), 256)));
        }
    }
    Ok(())
}

/// The body that Content-Length names; without one, the rest of the datagram (RFC 3261 section 18.3).
fn cut_body<'a>(headers: &Headers, rest: &'a [u8]) -> Result<&'a [u8], Refusal> {
    let length = content_length(headers)?.unwrap_or(rest.len());
    rest.get(..length).ok_or_else(|| Refusal::because(400, "Body Shorter Than Content-Length"))
}

/// What Content-Length says, where there is one.
pub(crate) fn content_length(headers: &Headers) -> Result<Option<usize>, Refusal> {
    let mut length = None;
    for value in headers.all("Content-Length") {
        let digits = !value.is_empty() && value.bytes().all(|b| b.is_ascii_digit());
        let Some(stated) = value.parse::<usize>().ok().filter(|_| digits) else {
            return Err(Refusal::because(400, "Content-Length Not Readable"));
        };
        if length.is_some_and(|known| known != stated) {
            return Err(Refusal::because(400, "Content-Length Repeated"));
        }
        length = Some(stated);
    }
    Ok(length)
}

fn stamp(headers: &mut Headers, via: &crate::header::Via, source: SocketAddr) {
    let Some(line) = headers.first("Via") else { return };
    let mut values = NameAddr::split_list(line).into_iter();
    let Some(top) = values.next() else { return };
    let mut line = stamped(top, via, source);
    for below in values {
        line.push_str(", ");
        line.push_str(below);
    }
    headers.replace_first("Via", line);
}

/// Head and body; no body when the empty line is missing. Bare line feeds are taken for line ends.
fn split_head(datagram: &[u8]) -> (&[u8], Option<&[u8]>) {
    let mut at = 0;
    while let Some(found) = datagram[at..].iter().position(|&b| b == b'\n') {
        let after = at + found + 1;
        let skip = match datagram[after..] {
            [b'\n', ..] => 1,
            [b'\r', b'\n', ..] => 2,
            _ => {
                at = after;
                continue;
            }
        };
        return (&datagram[..after], Some(&datagram[after + skip..]));
    }
    (datagram, None)
}

/// Lines as text, continuation lines joined (RFC 3261 section 7.3.1). Bytes outside UTF-8 become U+FFFD, control
/// characters spaces.
pub(crate) fn unfold(head: &[u8]) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for line in head.split(|&b| b == b'\n') {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let text: String = String::from_utf8_lossy(line)
            .chars()
            .map(|c| if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') { ' ' } else { c })
            .collect();
        match lines.last_mut() {
            Some(previous) if line.starts_with(b" ") || line.starts_with(b"\t") => {
                previous.push(' ');
                previous.push_str(text.trim());
            }
            _ => lines.push(text),
        }
    }
    lines
}

pub(crate) fn read_headers(lines: impl Iterator<Item = String>) -> Headers {
    let mut headers = Headers::default();
    for line in lines {
        let Some((name, value)) = line.split_once(':') else { continue };
        let name = name.trim_end();
        if is_token(name) {
            headers.push(name, value.trim());
        }
    }
    headers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_request_is_read_whole() {
        let Inbound::Request { request, answer_to } = read(&invite(&[]), source()) else { panic!("refused") };
        assert_eq!((request.method, request.uri.as_str()), (Method::Invite, "sip:+7906@127.0.0.1:30001"));
        assert_eq!(request.body, b"v=0\r\n");
        assert_eq!(answer_to, source());
    }

    #[test]
    fn without_content_length_the_body_runs_to_the_end() {
        assert_eq!(body_of(&invite(&[("Content-Length: 5\r\n", "")])), b"v=0\r\n");
    }

    #[test]
    fn what_follows_the_stated_length_is_no_body() {
        assert_eq!(body_of(&invite(&[("Length: 5", "Length: 3")])), b"v=0");
        assert_eq!(body_of(&invite(&[("Length: 5", "Length: 5\r\nContent-Length: 5")])), b"v=0\r\n");
        assert_eq!(body_of(&invite(&[("Content-Length: 5", "l\t:  5")])), b"v=0\r\n");
        assert_eq!(body_of(&invite(&[("Content-Length: 5", "Content-Length:\r\n 5")])), b"v=0\r\n");
    }

    #[test]
    fn a_content_length_that_cannot_be_true_is_400() {
        for wrong in [
            "-5",
            "five",
            "18446744073709551615",
            "99999999999999999999999",
            "6",
            "+5",
            "5\r\nContent-Length: 4",
            "",
        ] {
            assert_eq!(status(&invite(&[("Length: 5", &format!("Length: {wrong}"))])), 400, "{wrong}");
        }
    }

    #[test]
    fn one_header_outside_utf8_costs_neither_the_message_nor_its_neighbours() {
        let mut datagram = invite(&[("Subject: x", "Subject: @@")]);
        let at = datagram.windows(2).position(|pair| pair == b"@@").unwrap();
        datagram[at..at + 2].copy_from_slice(&[0xc8, 0xe2]); // "Ив" in CP1251
        let Inbound::Request { request, .. } = read(&datagram, source()) else { panic!("refused") };
        assert_eq!(request.headers.first("Subject"), Some("\u{fffd}\u{fffd}"));
        assert_eq!(request.headers.call_id(), "c1@pbx");
        assert_eq!(request.headers.first("User-Agent"), Some("Old PBX"));
    }

    #[test]
    fn a_line_without_a_colon_is_passed_over() {
        assert_eq!(status(&invite(&[("Subject: x", "what is this\r\n@@: y")])), 0);
    }

    #[test]
    fn each_guard_has_its_status() {
        for (old, new, wanted) in [
            ("SIP/2.0\r\nVia", "SIP/7.0\r\nVia", 505),
            ("SIP/2.0\r\nVia", "HTTP/1.1\r\nVia", 400),
            (" SIP/2.0\r\nVia", "\r\nVia", 400),
            ("INVITE sip:+7906@127.0.0.1:30001", "INVITE sip:+7906@127.0.0.1:30001; lr", 400),
            ("INVITE sip:+7906@127.0.0.1:30001", "INVITE sips:+7906@127.0.0.1:30001", 416),
            ("INVITE sip:+7906@127.0.0.1:30001", "INVITE http://127.0.0.1/", 416),
            ("INVITE sip:+7906@127.0.0.1:30001", "INVITE <sip:+7906@127.0.0.1:30001>", 0),
            ("INVITE sip:+7906@127.0.0.1:30001", "INVITE tel:+7906", 0),
            ("INVITE sip:+7906@127.0.0.1:30001", "INVITE sip:+7906@[::1]:30001", 0),
            ("Max-Forwards: 70", "Max-Forwards: 0", 483),
            ("Max-Forwards: 70", "Max-Forwards: -1", 400),
            ("Max-Forwards: 70", "Max-Forwards: 256", 400),
            ("Max-Forwards: 70\r\n", "", 0),
            ("CSeq: 1 INVITE", "CSeq: 1 OPTIONS", 400),
            ("CSeq: 1 INVITE", "CSeq: 2147483648 INVITE", 400),
            ("CSeq: 1 INVITE", "CSeq: 1 INVITE\r\nCSeq: 2 INVITE", 400),
            ("Call-ID: c1@pbx\r\n", "", 400),
            ("From: <sip:100@pbx>;tag=a", "From: \"<sip:100@pbx>;tag=a", 400),
            ("From: <sip:100@pbx>;tag=a", "f: <sip:100@pbx>;tag=a", 0),
            ("To: <sip:+7906@127.0.0.1>", "To: nobody", 400),
            ("Subject: x", "Require: 100rel, timer", 0),
            ("Subject: x", "Require: 100rel, outbound", 420),
            ("\r\n\r\nv=0", "\r\nv=0", 400),
        ] {
            assert_eq!(status(&invite(&[(old, new)])), wanted, "{new}");
        }
    }

    #[test]
    fn names_of_transactions_and_dialogs_are_taken_up_to_their_limit() {
        for (old, start) in [
            ("Call-ID: c1@pbx", "Call-ID: "),
            ("From: <sip:100@pbx>;tag=a", "From: <sip:100@pbx>;tag="),
            ("To: <sip:+7906@127.0.0.1>", "To: <sip:+7906@127.0.0.1>;tag="),
        ] {
            for (length, wanted) in [(LONGEST_NAME_BYTES, 0), (LONGEST_NAME_BYTES + 1, 400)] {
                let new = format!("{start}{}", "c".repeat(length));
                assert_eq!(status(&invite(&[(old, &new)])), wanted, "{start} {length}");
            }
        }
        let branch = format!("branch=z9hG4bK{}", "c".repeat(LONGEST_NAME_BYTES));
        assert_eq!(status(&invite(&[("branch=z9hG4bK1", &branch)])), 400);
    }

    #[test]
    fn sips_is_served_where_it_came_encrypted() {
        let invite = invite(&[("INVITE sip:+7906@127.0.0.1:30001", "INVITE sips:+7906@127.0.0.1:30001")]);
        let over = |transport| read(&invite, Hop::from(transport, source().address));
        assert!(matches!(over(Transport::Tls), Inbound::Request { .. }));
        assert!(matches!(over(Transport::Tcp), Inbound::Refused { refusal, .. } if refusal.status == 416));
    }

    #[test]
    fn methods_nobody_knows_are_501_and_those_we_do_not_serve_405_with_what_we_do() {
        let named = |name: &str| {
            invite(&[("INVITE sip", &format!("{name} sip")), ("1 INVITE", &format!("1 {name}"))])
        };
        assert_eq!(status(&named("NEWMETHOD")), 501);
        for known in ["REGISTER", "SUBSCRIBE", "NOTIFY", "PUBLISH", "MESSAGE", "REFER"] {
            let Inbound::Refused { refusal, .. } = read(&named(known), source()) else { panic!("{known}") };
            assert_eq!((refusal.status, refusal.headers[0].0), (405, "Allow"), "{known}");
        }
        assert_eq!(status(&named("OPTIONS")), 0);
    }

    #[test]
    fn unsupported_names_what_was_required() {
        let Inbound::Refused { refusal, .. } =
            read(&invite(&[("Subject: x", "Require: 100rel, path, outbound")]), source())
        else {
            panic!("served")
        };
        assert_eq!(refusal.headers, [("Unsupported", "path, outbound".to_owned())]);
    }

    #[test]
    fn an_ack_is_never_answered() {
        let ack = invite(&[("INVITE sip", "ACK sip"), ("1 INVITE", "1 BYE")]);
        assert!(matches!(read(&ack, source()), Inbound::Ignored(_)));
    }

    #[test]
    fn keep_alives_and_noise_are_ignored() {
        for noise in [
            &b""[..],
            b"\r\n\r\n",
            b"\0",
            b"\xff\xfe",
            b"GET",
            b"SIP/2.0 42 x\r\n\r\n",
            b"SIP/2.0 999 x\r\n\r\n",
        ] {
            assert!(matches!(read(noise, source()), Inbound::Ignored(_)), "{noise:?}");
        }
    }

    #[test]
    fn a_request_too_large_is_513() {
        let long = format!("Subject: {}", "x".repeat(DATAGRAM_LIMIT_BYTES));
        assert_eq!(status(&invite(&[("Subject: x", &long)])), 513);
    }

    #[test]
    fn the_top_via_alone_is_stamped() {
        let two = "Via: SIP/2.0/UDP pbx:5060;branch=z9hG4bK1;rport, SIP/2.0/UDP phone;rport";
        let datagram = invite(&[("Via: SIP/2.0/UDP 127.0.0.1:5060;branch=z9hG4bK1;rport", two)]);
        let Inbound::Request { request, .. } = read(&datagram, source()) else { panic!("refused") };
        let wanted =
            "SIP/2.0/UDP pbx:5060;branch=z9hG4bK1;rport=5060;received=127.0.0.1, SIP/2.0/UDP phone;rport";
        assert_eq!(request.headers.first("Via"), Some(wanted));
    }

    #[test]
    fn a_response_needs_one_via_and_all_its_headers() {
        let good = "SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 127.0.0.1:30001;branch=z9hG4bK1\r\nFrom: <sip:a@b>;tag=1\r\n\
                    To: <sip:c@d>;tag=2\r\nCall-ID: x\r\nCSeq: 1 INVITE\r\n\r\n";
        assert!(matches!(read(good.as_bytes(), source()), Inbound::Response(r) if r.status == 200));
        let ignored = |text: String| matches!(read(text.as_bytes(), source()), Inbound::Ignored(_));
        assert!(ignored(good.replace("Call-ID", "Via: SIP/2.0/UDP other\r\nCall-ID")));
        assert!(ignored(good.replace("CSeq", "X-CSeq")));
        assert!(ignored(good.replace("SIP/2.0 200", "SIP/3.0 200")));
    }

    fn source() -> Hop {
        Hop::to(Transport::Udp, "127.0.0.1:5060".parse().unwrap())
    }

    fn status(datagram: &[u8]) -> u16 {
        match read(datagram, source()) {
            Inbound::Request { .. } => 0,
            Inbound::Refused { refusal, .. } => refusal.status,
            other => panic!("{other:?}"),
        }
    }

    fn body_of(datagram: &[u8]) -> Vec<u8> {
        match read(datagram, source()) {
            Inbound::Request { request, .. } => request.body,
            other => panic!("{other:?}"),
        }
    }

    fn invite(changes: &[(&str, &str)]) -> Vec<u8> {
        let mut text = "INVITE sip:+7906@127.0.0.1:30001 SIP/2.0\r\n\
            Via: SIP/2.0/UDP 127.0.0.1:5060;branch=z9hG4bK1;rport\r\nMax-Forwards: 70\r\nSubject: x\r\n\
            From: <sip:100@pbx>;tag=a\r\nTo: <sip:+7906@127.0.0.1>\r\nCall-ID: c1@pbx\r\nCSeq: 1 INVITE\r\n\
            User-Agent: Old PBX\r\nContent-Length: 5\r\n\r\nv=0\r\n"
            .to_owned();
        for (old, new) in changes {
            assert!(text.contains(old), "{old}");
            text = text.replacen(old, new, 1);
        }
        text.into_bytes()
    }
}
