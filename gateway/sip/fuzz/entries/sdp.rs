//! Session descriptions: as an offer, as the answer to ours, and in a later offer of the same session (RFC 3264).

use std::time::Instant;

use tgtrunk_sip::{Availability, CallId, Endpoint, Event, Invite};

use super::config::{audio, config};
use super::script::Script;

/// Offers, answers and offers again what the script holds.
pub fn take(bytes: &[u8]) {
    let mut script = Script::new(bytes);
    let (mut first, second) = (script.bytes(), script.bytes());
    if first.is_empty() {
        first = bytes;
    }
    offered(first, second);
    answered(first);
}

const PBX: &str = "127.0.0.1:5060";

fn offered(first: &[u8], second: &[u8]) {
    let (mut line, now) = line();
    hear(&mut line, now, &request("INVITE", 1, "", first));
    let Some(call) = incoming(&mut line) else { return };
    let answered = line.answer(now, call, audio(), Vec::new());
    let tag = last(&mut line).and_then(|said| {
        let to = said.lines().find(|line| line.starts_with("To: "))?;
        Some(to.split(";tag=").nth(1)?.to_owned())
    });
    if let (Some(_), Some(tag)) = (answered, tag) {
        hear(&mut line, now, &request("ACK", 1, &tag, b""));
        hear(&mut line, now, &request("INVITE", 2, &tag, second));
        hear(&mut line, now, &request("UPDATE", 3, &tag, second));
        last(&mut line);
    }
}

fn answered(answer: &[u8]) {
    let (mut line, now) = line();
    last(&mut line);
    line.invite(
        now,
        Invite {
            to_user: "100".to_owned(),
            from_user: "5".to_owned(),
            display_name: String::new(),
            private: false,
            headers: Vec::new(),
            audio: audio(),
        },
    );
    let Some(invite) = last(&mut line) else { return };
    for status in ["183 Session Progress", "200 OK"] {
        let copied: String = invite
            .split("\r\n")
            .filter(|line| {
                ["Via: ", "From: ", "Call-ID: ", "CSeq: "].iter().any(|name| line.starts_with(name))
            })
            .flat_map(|line| [line, "\r\n"])
            .collect();
        let to = invite.split("\r\n").find(|line| line.starts_with("To: ")).unwrap_or_default();
        let length = answer.len();
        let head = format!(
            "SIP/2.0 {status}\r\n{copied}{to};tag=b\r\nContact: <sip:100@{PBX}>\r\n\
             Content-Type: application/sdp\r\nContent-Length: {length}\r\n\r\n"
        );
        hear(&mut line, now, &[head.as_bytes(), answer].concat());
        last(&mut line);
    }
}

fn line() -> (Endpoint, Instant) {
    let now = Instant::now();
    let mut line = Endpoint::new(config("127.0.0.1:30001", PBX), now);
    line.set_availability(Availability::Up);
    (line, now)
}

fn request(method: &str, number: u32, to_tag: &str, body: &[u8]) -> Vec<u8> {
    let tag = if to_tag.is_empty() { String::new() } else { format!(";tag={to_tag}") };
    let (kind, length) = (if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" }, body.len());
    let head = format!(
        "{method} sip:tg%23anna@127.0.0.1:30001 SIP/2.0\r\nVia: SIP/2.0/UDP {PBX};branch=z9hG4bK{method}{number}\r\n\
         Max-Forwards: 70\r\nFrom: <sip:100@{PBX}>;tag=a\r\nTo: <sip:tg%23anna@127.0.0.1:30001>{tag}\r\n\
         Call-ID: c\r\nCSeq: {number} {method}\r\nContact: <sip:100@{PBX}>\r\n{kind}Content-Length: {length}\r\n\r\n"
    );
    [head.as_bytes(), body].concat()
}

fn hear(line: &mut Endpoint, now: Instant, datagram: &[u8]) {
    line.handle_datagram(now, PBX.parse().unwrap(), datagram);
}

fn incoming(line: &mut Endpoint) -> Option<CallId> {
    while let Some(event) = line.poll_event() {
        if let Event::Incoming { call, .. } = event {
            return Some(call);
        }
    }
    None
}

/// The last thing that the line says; what it writes is UTF-8.
fn last(line: &mut Endpoint) -> Option<String> {
    let mut last = None;
    while let Some(transmit) = line.poll_transmit() {
        last = Some(String::from_utf8(transmit.contents).expect("a line writes UTF-8"));
    }
    last
}
