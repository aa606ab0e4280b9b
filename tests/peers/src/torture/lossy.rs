//! One end of SIP calls on a path that loses, repeats and reorders: a socket that throws dice over what leaves and what comes, and
//! repeats by itself what was not answered (RFC 3261 section 17.1).

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use tokio::net::UdpSocket;
use tokio::time::timeout;

use super::chance::Chance;
use crate::clock::now;
use crate::wire_pbx::Message;

/// Timers of RFC 3261 section 17.1.1.1.
pub(super) const T1: Duration = Duration::from_millis(500);
const T2: Duration = Duration::from_secs(4);
const DATAGRAM_BYTES: usize = 65_535;
/// What the line repeats by itself leaves it so often in the time that we listen, at least.
const COPIES: usize = 4;

/// The path, in hundredths.
#[derive(Debug, Clone, Copy)]
pub(super) struct Path {
    pub(super) loses: usize,
    pub(super) repeats: usize,
    pub(super) holds_back: usize,
}

/// A call on it.
pub(super) struct LossyCall {
    socket: UdpSocket,
    line: SocketAddr,
    path: Path,
    pub(super) chance: Chance,
    /// What comes out of order.
    late: Option<Vec<u8>>,
    call_id: String,
    uri: String,
    /// The line's side, with its tag once it is known.
    to: String,
    target: String,
    cseq: u32,
    /// Whether finals to our INVITE are acknowledged.
    pub(super) acknowledges: bool,
    /// Final answers by CSeq and method, each kind once.
    finals: Vec<(u32, String, u16)>,
    /// Whether the line hung up.
    pub(super) is_over: bool,
    branches: u32,
    /// How many copies of our requests arrived, and how many of their final answers were lost, by CSeq and method.
    arrived: BTreeMap<(u32, String), usize>,
    unheard: BTreeMap<(u32, String), usize>,
    /// Copies of the line's own BYE that were lost.
    lost_byes: usize,
}

impl LossyCall {
    pub(super) async fn open(
        own: Ipv4Addr,
        line: SocketAddr,
        user: &str,
        path: Path,
        seed: u64,
    ) -> anyhow::Result<Self> {
        let socket = UdpSocket::bind((own, 0)).await?;
        let here = socket.local_addr()?;
        let uri = format!("sip:{user}@{line}");
        Ok(Self {
            call_id: format!("lossy{seed:x}-{}@{own}", here.port()),
            to: format!("<{uri}>"),
            target: uri.clone(),
            uri,
            socket,
            line,
            path,
            chance: Chance::new(seed),
            late: None,
            cseq: 1,
            acknowledges: true,
            finals: Vec::new(),
            is_over: false,
            branches: 0,
            arrived: BTreeMap::new(),
            unheard: BTreeMap::new(),
            lost_byes: 0,
        })
    }

    /// A request in its own transaction, and its CSeq.
    pub(super) fn request(&mut self, method: &str) -> (String, u32) {
        self.branches += 1;
        if method != "ACK" && method != "CANCEL" && self.branches > 1 {
            self.cseq += 1;
        }
        let branch = self.branches;
        (self.written(method, self.cseq, branch, &self.to.clone()), self.cseq)
    }

    /// The CANCEL of the first INVITE, whose transaction it names (RFC 3261 section 9.1).
    pub(super) fn cancel(&self) -> String {
        self.written("CANCEL", 1, 1, &format!("<{}>", self.uri))
    }

    fn written(&self, method: &str, cseq: u32, branch: u32, to: &str) -> String {
        let here = self.socket.local_addr().map_or_else(|_| String::new(), |here| here.to_string());
        let port = here.rsplit(':').next().unwrap_or_default();
        let body = if method == "INVITE" {
            let ip = here.split(':').next().unwrap_or_default();
            format!(
                "v=0\r\no=- 1 {cseq} IN IP4 {ip}\r\ns=-\r\nc=IN IP4 {ip}\r\nt=0 0\r\nm=audio 9 RTP/AVP 107\r\n\
                 a=rtpmap:107 opus/48000/2\r\n"
            )
        } else {
            String::new()
        };
        let kind = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
        let uri = if branch == 1 { &self.uri } else { &self.target };
        format!(
            "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {here};rport;branch=z9hG4bKlossy{port}-{branch}-{id}\r\n\
             Max-Forwards: 70\r\nFrom: <sip:100@{here}>;tag=lossy{port}\r\nTo: {to}\r\nCall-ID: {}\r\n\
             CSeq: {cseq} {method}\r\nContact: <sip:100@{here}>\r\n{kind}Content-Length: {}\r\n\r\n{body}",
            self.call_id,
            body.len(),
            id = &self.call_id[5..self.call_id.find('-').unwrap_or(6)]
        )
    }

    /// Sends something, if the path lets it.
    pub(super) async fn say(&mut self, text: &str) {
        if self.chance.below(100) < self.path.loses {
            return;
        }
        let copies = if self.chance.below(100) < self.path.repeats { 2 } else { 1 };
        for _ in 0..copies {
            self.socket.send_to(text.as_bytes(), self.line).await.ok();
        }
        if let Ok(message) = Message::read(text.as_bytes()) {
            let (cseq, method) = message.cseq();
            *self.arrived.entry((cseq, method.to_owned())).or_default() += copies;
        }
    }

    /// Asks until there is a final answer, for 64 times T1; the status.
    pub(super) async fn ask(&mut self, text: &str, cseq: u32, method: &str) -> Option<u16> {
        let until = now() + T1 * 64 + T2;
        let mut pause = T1;
        let mut again = now();
        let mut proceeds = false;
        loop {
            if let Some(status) = self.final_of(cseq, method) {
                return Some(status);
            }
            if now() >= until {
                return None;
            }
            if now() >= again && !(proceeds && method == "INVITE") {
                self.say(text).await;
                again = now() + pause;
                pause = (pause * 2).min(if method == "INVITE" { T1 * 64 } else { T2 });
            }
            let next = if proceeds && method == "INVITE" { until } else { again.min(until) };
            proceeds |= self.listen(next).await == Some((cseq, 100));
        }
    }

    /// The final answer of a transaction, if it came.
    pub(super) fn final_of(&self, cseq: u32, method: &str) -> Option<u16> {
        self.finals.iter().find(|(known, of, _)| *known == cseq && of == method).map(|(_, _, status)| *status)
    }

    /// Whether a request without a final answer is the path's doing: no copy of it arrived, or as many answers were lost as the
    /// line owes. It repeats those to an INVITE by itself (RFC 3261 sections 13.3.1.4 and 17.2.1), and gives others once for
    /// each copy (section 17.2.2).
    pub(super) fn is_swallowed(&self, cseq: u32, method: &str) -> bool {
        let it = (cseq, method.to_owned());
        let count = |of: &BTreeMap<_, usize>| of.get(&it).copied().unwrap_or_default();
        let held_back = usize::from(self.late.as_deref().and_then(final_to).as_ref() == Some(&it));
        let (arrived, lost) = (count(&self.arrived), count(&self.unheard) + held_back);
        lost >= if method == "INVITE" && arrived > 0 { COPIES } else { arrived }
    }

    /// Whether the line hung up and the path kept that from us.
    pub(super) fn is_bye_swallowed(&self) -> bool {
        self.lost_byes >= COPIES
    }

    /// Transactions that got more than one kind of final answer.
    pub(super) fn doubled(&self) -> usize {
        let key = |(cseq, method, _): &(u32, String, u16)| (*cseq, method.clone());
        let mut keys: Vec<_> = self.finals.iter().map(key).collect();
        keys.sort();
        let all = keys.len();
        keys.dedup();
        all - keys.len()
    }

    /// Takes what comes until then, politely; at a provisional answer of this number it stops before.
    pub(super) async fn listen(&mut self, until: Instant) -> Option<(u32, u16)> {
        let mut buffer = vec![0; DATAGRAM_BYTES];
        loop {
            let left = until.saturating_duration_since(now());
            let (length, _) = timeout(left, self.socket.recv_from(&mut buffer)).await.ok()?.ok()?;
            if self.chance.below(100) < self.path.loses {
                let lost = &buffer[..length];
                if let Some(answered) = final_to(lost) {
                    *self.unheard.entry(answered).or_default() += 1;
                }
                self.lost_byes += usize::from(lost.starts_with(b"BYE "));
                continue;
            }
            let mut datagram = buffer[..length].to_vec();
            if self.chance.below(100) < self.path.holds_back {
                match self.late.replace(datagram) {
                    Some(before) => datagram = before,
                    None => continue,
                }
            }
            if let Some(heard) = self.take(&datagram).await {
                return Some(heard);
            }
        }
    }

    async fn take(&mut self, datagram: &[u8]) -> Option<(u32, u16)> {
        let message = Message::read(datagram).ok()?;
        if message.header("Call-ID") != Some(self.call_id.as_str()) {
            return None;
        }
        let (cseq, method) = message.cseq();
        let (cseq, method) = (cseq, method.to_owned());
        let Some(status) = message.status() else {
            self.answer(&message).await;
            return None;
        };
        if status < 200 {
            return Some((cseq, 100));
        }
        let known = (cseq, method.clone(), status);
        if !self.finals.contains(&known) {
            self.finals.push(known);
        }
        if method == "INVITE" {
            message.header("To").unwrap_or_default().clone_into(&mut self.to);
            if status < 300 {
                message.contact().unwrap_or(&self.target.clone()).clone_into(&mut self.target);
            }
            if self.acknowledges {
                let via = message.header("Via").unwrap_or_default();
                let branch = via.rsplit_once("branch=").map_or("", |(_, rest)| rest);
                let number = branch.split('-').nth(1).and_then(|number| number.parse().ok()).unwrap_or(1);
                // The ACK of a 2xx is a transaction of its own, which no response may match.
                let number = if status < 300 { number + 1_000 } else { number };
                let ack = self.written("ACK", cseq, number, &self.to.clone());
                self.say(&ack).await;
            }
        }
        Some((cseq, status))
    }

    /// Takes the line's own requests.
    async fn answer(&mut self, request: &Message) {
        let header = |name: &str| request.header(name).unwrap_or_default();
        if request.method() == Some("ACK") {
            return;
        }
        self.is_over |= request.method() == Some("BYE");
        let text = format!(
            "SIP/2.0 200 OK\r\nVia: {}\r\nFrom: {}\r\nTo: {}\r\nCall-ID: {}\r\nCSeq: {}\r\nContent-Length: 0\r\n\r\n",
            header("Via"),
            header("From"),
            header("To"),
            header("Call-ID"),
            header("CSeq")
        );
        self.say(&text).await;
    }
}

/// The transaction that a datagram is the final answer of.
fn final_to(datagram: &[u8]) -> Option<(u32, String)> {
    let message = Message::read(datagram).ok()?;
    message.status().filter(|&status| status >= 200)?;
    let (cseq, method) = message.cseq();
    Some((cseq, method.to_owned()))
}
