//! A mouth that says SIP by hand, and counts what it is answered: what comes to it is noted and, where that ends an INVITE,
//! acknowledged, as a polite end does (RFC 3261 section 17.1.1.3).

use std::net::{Ipv4Addr, SocketAddr};
use std::process;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use crate::clock::now;
use crate::wire_pbx::Message;

const DATAGRAM_BYTES: usize = 65_535;
/// Answers that wait for whoever looks at them.
const QUEUE: usize = 65_536;

/// An address of this machine that no other process of these tests has: all of 127.0.0.0/8 is loopback.
pub(super) fn stranger(number: u8) -> Ipv4Addr {
    let [high, low] = (process::id() as u16).to_be_bytes();
    Ipv4Addr::new(127, 64 | (high & 0x3f), low, number)
}

/// Something that came.
#[derive(Debug, Clone)]
pub(super) struct Reply {
    pub(super) bytes: Vec<u8>,
}

impl Reply {
    /// The status, if it is an answer.
    pub(super) fn status(&self) -> Option<u16> {
        let line = self.bytes.strip_prefix(b"SIP/2.0 ")?;
        std::str::from_utf8(line.get(..3)?).ok()?.parse().ok()
    }

    /// As text.
    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }

    /// The first header of a name, as it is written out.
    pub(super) fn header(&self, name: &str) -> Option<String> {
        let text = self.text();
        text.split("\r\n").skip(1).take_while(|line| !line.is_empty()).find_map(|line| {
            let (known, value) = line.split_once(':')?;
            known.eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
        })
    }

    /// The branch of the first Via: which request this is an answer to.
    pub(super) fn branch(&self) -> Option<String> {
        let via = self.header("Via")?;
        let branch = via.split(';').find_map(|piece| piece.trim().strip_prefix("branch="))?;
        Some(branch.to_owned())
    }
}

/// The mouth.
pub(super) struct Mouth {
    /// Where it is answered.
    pub(super) address: SocketAddr,
    line: SocketAddr,
    socket: Arc<UdpSocket>,
    replies: mpsc::Receiver<Reply>,
    task: JoinHandle<()>,
    number: u64,
}

impl Mouth {
    /// A mouth at this address that speaks to a line.
    pub(super) async fn open(at: SocketAddr, line: SocketAddr) -> anyhow::Result<Self> {
        let socket = Arc::new(UdpSocket::bind(at).await.with_context(|| format!("{at}/udp"))?);
        let address = socket.local_addr()?;
        let (sender, replies) = mpsc::channel(QUEUE);
        let task = tokio::spawn(listen(Arc::clone(&socket), line, sender));
        Ok(Self { address, line, socket, replies, task, number: 0 })
    }

    /// Says something.
    pub(super) async fn say(&self, message: &[u8]) -> anyhow::Result<()> {
        // What is longer than a datagram can be is nothing to send.
        match self.socket.send_to(message, self.line).await {
            Err(error) if error.raw_os_error() == Some(nix::libc::EMSGSIZE) => Ok(()),
            sent => sent.map(drop).context("a datagram"),
        }
    }

    /// The next that came, or that was there already.
    pub(super) async fn hear(&mut self, limit: Duration) -> Option<Reply> {
        timeout(limit, self.replies.recv()).await.ok().flatten()
    }

    /// What came and was not looked at.
    pub(super) fn heard(&mut self) -> Vec<Reply> {
        std::iter::from_fn(|| self.replies.try_recv().ok()).collect()
    }

    /// Asks whether the line is there, by a request that is right, and takes its answer among all that comes: how long it
    /// took, and what else came meanwhile.
    pub(super) async fn knock(&mut self, limit: Duration) -> anyhow::Result<(Duration, Vec<Reply>)> {
        self.number += 1;
        let (here, there, number) = (self.address, self.line, self.number);
        let call_id = format!("knock{number}-{}@{}", here.port(), here.ip());
        let options = format!(
            "OPTIONS sip:{there} SIP/2.0\r\nVia: SIP/2.0/UDP {here};rport;branch=z9hG4bKknock{number}-{port}\r\n\
             Max-Forwards: 70\r\nFrom: <sip:{here}>;tag=k{number}\r\nTo: <sip:{there}>\r\nCall-ID: {call_id}\r\n\
             CSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n",
            port = here.port()
        );
        let began = now();
        let mut others = Vec::new();
        self.say(options.as_bytes()).await?;
        let until = began + limit;
        while let Some(reply) = self.hear(until.saturating_duration_since(now())).await {
            if reply.header("Call-ID").as_deref() == Some(call_id.as_str()) {
                return Ok((since(began), others));
            }
            others.push(reply);
        }
        anyhow::bail!("OPTIONS got no answer within {limit:?}")
    }

    /// The same, with patience for a machine that is busy with others: the best of a few. What else came is given back.
    pub(super) async fn knock_patiently(
        &mut self,
        good: Duration,
        limit: Duration,
    ) -> anyhow::Result<(Duration, Vec<Reply>)> {
        let (mut best, mut others) = (limit, Vec::new());
        for _ in 0..4 {
            let (took, more) = self.knock(limit).await?;
            others.extend(more);
            best = best.min(took);
            if best <= good {
                break;
            }
            sleep(Duration::from_millis(100)).await;
        }
        Ok((best, others))
    }
}

impl Drop for Mouth {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn listen(socket: Arc<UdpSocket>, line: SocketAddr, sender: mpsc::Sender<Reply>) {
    let mut buffer = vec![0; DATAGRAM_BYTES];
    loop {
        let Ok((length, _)) = socket.recv_from(&mut buffer).await else { continue };
        let reply = Reply { bytes: buffer[..length].to_vec() };
        if let Some(ack) = acknowledgement(&reply) {
            socket.send_to(ack.as_bytes(), line).await.ok();
        }
        sender.try_send(reply).ok();
    }
}

/// The ACK of a final answer to an INVITE, made of the answer.
fn acknowledgement(reply: &Reply) -> Option<String> {
    let status = reply.status().filter(|status| *status >= 300)?;
    let message = Message::read(&reply.bytes).ok()?;
    let (number, method) = message.cseq();
    if method != "INVITE" || status < 300 {
        return None;
    }
    let header = |name: &str| message.header(name);
    let (via, from, to, call_id) = (header("Via")?, header("From")?, header("To")?, header("Call-ID")?);
    Some(format!(
        "ACK sip:line SIP/2.0\r\nVia: {via}\r\nMax-Forwards: 70\r\nFrom: {from}\r\nTo: {to}\r\nCall-ID: {call_id}\r\n\
         CSeq: {number} ACK\r\nContent-Length: 0\r\n\r\n"
    ))
}

fn since(began: Instant) -> Duration {
    now().saturating_duration_since(began)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_of_an_invite_is_acknowledged_as_it_came_and_nothing_else_is() {
        let reply = |start: &str, method: &str| Reply {
            bytes: format!(
                "SIP/2.0 {start}\r\nVia: SIP/2.0/UDP a;branch=z9hG4bKx;rport=5\r\nFrom: <sip:a>;tag=1\r\n\
                 To: <sip:b>;tag=2\r\nCall-ID: c\r\nCSeq: 7 {method}\r\nContent-Length: 0\r\n\r\n"
            )
            .into_bytes(),
        };
        let busy = reply("486 Busy Here", "INVITE");
        assert_eq!((busy.status(), busy.branch().as_deref()), (Some(486), Some("z9hG4bKx")));
        let ack = acknowledgement(&busy).unwrap();
        assert!(ack.contains("\r\nCSeq: 7 ACK\r\n") && ack.contains("To: <sip:b>;tag=2\r\n"), "{ack}");
        for (start, method) in [("100 Trying", "INVITE"), ("200 OK", "INVITE"), ("481 Gone", "BYE")] {
            assert_eq!(acknowledgement(&reply(start, method)), None, "{start} {method}");
        }
    }

    #[test]
    fn strangers_are_on_loopback_and_not_the_pbx() {
        assert!(stranger(1).is_loopback());
        assert_ne!(stranger(1), Ipv4Addr::LOCALHOST);
        assert_ne!(stranger(1), stranger(2));
    }
}
