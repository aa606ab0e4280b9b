//! Messages in a stream: where one ends and the next begins (RFC 3261 sections 7.5 and 18.3, RFC 5626 section 3.5.1).
//!
//! A stream whose place was lost cannot be followed any further: what is left of it is answered, where somebody can be
//! told, and the connection ends.

use std::time::{Duration, Instant};

use crate::edge::{DATAGRAM_LIMIT_BYTES, Refusal, content_length, read_headers, unfold};

/// How long the bytes of one message may take to come.
const MESSAGE_LIMIT: Duration = Duration::from_secs(10);

/// How long nothing may come at all: more than half the longest session's interval, within which somebody refreshes.
const IDLE_LIMIT: Duration = Duration::from_secs(30 * 60);

/// A piece of a stream.
#[derive(Debug, PartialEq, Eq)]
pub enum Frame {
    /// One message, whole.
    Message(Vec<u8>),
    /// A keep-alive, which [`PONG`] answers.
    Ping,
    /// The stream's place is lost: after [`crate::Endpoint::handle_frame`] its connection ends.
    Broken(Broken),
}

/// What answers a keep-alive.
pub const PONG: &[u8] = b"\r\n";

/// The head of a message whose end cannot be told.
#[derive(Debug, PartialEq, Eq)]
pub struct Broken {
    pub(crate) head: Vec<u8>,
    pub(crate) refusal: Refusal,
}

/// Why a connection has no use any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expired {
    /// A message began and did not end within ten seconds.
    Stalled,
    /// Nothing came for half an hour.
    Idle,
}

/// Takes a stream apart. It holds less than one longest message and one reading.
#[derive(Debug)]
pub struct Framer {
    buffer: Vec<u8>,
    /// No head ends before here.
    scanned: usize,
    /// The message that is being read begins as one.
    begun: bool,
    /// Head and whole length of the message that is being read.
    measured: Option<(usize, usize)>,
    heard_at: Instant,
    /// When the message that is being read began.
    began_at: Option<Instant>,
    broken: bool,
}

impl Framer {
    /// A stream that begins.
    #[must_use]
    pub const fn new(now: Instant) -> Self {
        Self {
            buffer: Vec::new(),
            scanned: 0,
            begun: false,
            measured: None,
            heard_at: now,
            began_at: None,
            broken: false,
        }
    }

    /// Takes what came. All frames are to be polled before more is given.
    pub fn handle(&mut self, now: Instant, bytes: &[u8]) {
        if self.broken {
            return;
        }
        self.heard_at = now;
        self.buffer.extend_from_slice(bytes);
        if self.began_at.is_none() {
            self.began_at = Some(now);
        }
    }

    /// The next piece.
    pub fn poll_frame(&mut self) -> Option<Frame> {
        if self.broken {
            return None;
        }
        let frame = if self.measured.is_none() && self.take_ping() { Some(Frame::Ping) } else { self.next() };
        match &frame {
            Some(Frame::Broken(_)) => {
                self.broken = true;
                self.buffer = Vec::new();
            }
            Some(Frame::Message(_) | Frame::Ping) => self.began_at = Some(self.heard_at),
            None => {}
        }
        if self.buffer.iter().all(|byte| matches!(byte, b'\r' | b'\n')) {
            self.began_at = None;
        }
        frame
    }

    /// When [`Framer::expired`] is to be asked.
    #[must_use]
    pub fn poll_timeout(&self) -> Instant {
        let idle = self.heard_at + IDLE_LIMIT;
        self.began_at.map_or(idle, |began| idle.min(began + MESSAGE_LIMIT))
    }

    /// Whether nothing more is to be expected.
    #[must_use]
    pub fn expired(&self, now: Instant) -> Option<Expired> {
        if self.began_at.is_some_and(|began| began + MESSAGE_LIMIT <= now) {
            return Some(Expired::Stalled);
        }
        (self.heard_at + IDLE_LIMIT <= now).then_some(Expired::Idle)
    }

    /// Drops what may stand before a message. True for the two line ends that ask for an answer.
    fn take_ping(&mut self) -> bool {
        if self.buffer.starts_with(b"\r\n\r\n") {
            self.drop_first(4);
            return true;
        }
        let blank = self.buffer.iter().position(|byte| !matches!(byte, b'\r' | b'\n'));
        // One line end alone may be the first half of a ping.
        if let Some(blank @ 1..) = blank {
            self.drop_first(blank);
        } else if blank.is_none() && self.buffer.len() > 4 {
            self.buffer.clear();
        }
        false
    }

    fn next(&mut self) -> Option<Frame> {
        let (head, whole) = match self.measured {
            Some(measured) => measured,
            None => match self.measure()? {
                Ok(measured) => measured,
                Err(broken) => return Some(Frame::Broken(broken)),
            },
        };
        if whole > DATAGRAM_LIMIT_BYTES {
            return Some(self.broken(head, Refusal::new(513)));
        }
        if self.buffer.len() < whole {
            self.measured = Some((head, whole));
            return None;
        }
        let message = self.buffer[..whole].to_vec();
        self.drop_first(whole);
        Some(Frame::Message(message))
    }

    /// How long the head and the whole message are; `None` while the head goes on.
    fn measure(&mut self) -> Option<Result<(usize, usize), Broken>> {
        let lost = |framer: &Self, head, refusal| {
            Some(Err(Broken { head: framer.buffer[..head].to_vec(), refusal }))
        };
        match self.buffer.first() {
            None | Some(b'\r' | b'\n') => return None,
            Some(first) if first.is_ascii_graphic() => {}
            // Neither a request nor a response begins so; who speaks TLS to a line that does not is told at once.
            Some(_) => return lost(self, 0, Refusal::new(400)),
        }
        let head = self.find_head();
        // Judged as soon as it is there: what is no message may never end as one.
        if !self.begun
            && let Some(end) = self.buffer.iter().position(|&byte| byte == b'\n')
        {
            if !is_start(&String::from_utf8_lossy(&self.buffer[..end])) {
                return lost(self, head.unwrap_or(end), Refusal::because(400, "Bad Request Line"));
            }
            self.begun = true;
        }
        let Some(head) = head else {
            let limit = DATAGRAM_LIMIT_BYTES.min(self.buffer.len());
            return if self.buffer.len() > DATAGRAM_LIMIT_BYTES {
                lost(self, limit, Refusal::new(513))
            } else {
                None
            };
        };
        let headers = read_headers(unfold(&self.buffer[..head]).into_iter().skip(1));
        match content_length(&headers) {
            Err(refusal) => lost(self, head, refusal),
            // Without a word about a body there is none.
            Ok(None) if headers.first("Content-Type").is_none() => Some(Ok((head, head))),
            Ok(None) => lost(self, head, Refusal::because(400, "Content-Length Missing")),
            Ok(Some(body)) => Some(Ok((head, head.saturating_add(body)))),
        }
    }

    /// Where the head ends: behind the first empty line. Bare line feeds are taken for line ends.
    fn find_head(&mut self) -> Option<usize> {
        let mut at = self.scanned;
        while let Some(found) = self.buffer[at..].iter().position(|&byte| byte == b'\n') {
            let after = at + found + 1;
            match self.buffer[after..] {
                [b'\n', ..] => return Some(after + 1),
                [b'\r', b'\n', ..] => return Some(after + 2),
                // Not enough to tell: this line end is looked at again.
                [] | [b'\r'] => {
                    self.scanned = after - 1;
                    return None;
                }
                _ => at = after,
            }
        }
        self.scanned = self.buffer.len();
        None
    }

    fn broken(&self, head: usize, refusal: Refusal) -> Frame {
        Frame::Broken(Broken { head: self.buffer[..head].to_vec(), refusal })
    }

    fn drop_first(&mut self, count: usize) {
        self.buffer.drain(..count);
        self.scanned = 0;
        self.begun = false;
        self.measured = None;
    }
}

/// Whether a line may begin a message: it names SIP, in whichever version.
fn is_start(line: &str) -> bool {
    let names_sip = |word: &str| word.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("SIP/"));
    names_sip(line) || line.trim_end().rsplit(' ').next().is_some_and(names_sip)
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPTIONS: &str = "OPTIONS sip:a@b SIP/2.0\r\nVia: SIP/2.0/TCP h;branch=z9hG4bK1\r\n";

    #[test]
    fn messages_come_out_whole_however_they_are_cut() {
        let one = format!("{OPTIONS}Content-Length: 4\r\n\r\nbody");
        let two = format!("{OPTIONS}l: 0\r\n\r\n");
        let three = format!("{OPTIONS}\r\n");
        let stream = format!("\r\n{one}{two}\r\n\r\n{three}{one}");
        let message = |text: &str| Frame::Message(text.as_bytes().to_vec());
        let wanted = [message(&one), message(&two), Frame::Ping, message(&three), message(&one)];
        for step in [1, 2, 3, 7, 64, stream.len()] {
            let now = Instant::now();
            let mut framer = Framer::new(now);
            let mut frames = Vec::new();
            for bytes in stream.as_bytes().chunks(step) {
                framer.handle(now, bytes);
                frames.extend(std::iter::from_fn(|| framer.poll_frame()));
            }
            assert_eq!(frames, wanted, "{step} bytes at a time");
            assert_eq!(framer.poll_timeout(), now + IDLE_LIMIT, "nothing is being read");
        }
    }

    #[test]
    fn odd_content_lengths_end_the_stream_or_are_read_as_they_are_meant() {
        for (length, wanted) in [
            ("Content-Length: 4", None),
            ("Content-Length :4", None),
            ("Content-Length\t: \r\n 4", None),
            ("l:4", None),
            ("Content-Length: 4\r\nContent-Length: 4", None),
            ("Content-Length: 4\r\nl: 5", Some(400)),
            ("Content-Length: -4", Some(400)),
            ("Content-Length: +4", Some(400)),
            ("Content-Length: 4, 4", Some(400)),
            ("Content-Length:", Some(400)),
            ("Content-Length: 18446744073709551615", Some(513)),
            ("Content-Length: 18446744073709551616", Some(400)),
            ("Content-Length: 32768", Some(513)),
            ("Content-Type: text/plain", Some(400)),
        ] {
            let text = format!("{OPTIONS}{length}\r\n\r\nbody");
            match (frames(text.as_bytes()).pop(), wanted) {
                (Some(Frame::Message(message)), None) => assert_eq!(message, text.as_bytes()),
                (Some(Frame::Broken(broken)), Some(status)) => {
                    assert_eq!(broken.refusal.status, status, "{length}");
                }
                (other, _) => panic!("{length}: {other:?}"),
            }
        }
    }

    #[test]
    fn what_is_no_sip_ends_the_stream_at_once() {
        for text in ["GET / HTTP/1.1\r\nHost: h\r\n\r\n", "\u{16}\u{3}\u{1}", "hello\r\n\r\n"] {
            assert!(matches!(frames(text.as_bytes())[..], [Frame::Broken(_)]), "{text:?}");
        }
    }

    #[test]
    fn a_head_without_an_end_is_held_no_longer_than_the_longest_message() {
        let mut text = OPTIONS.to_owned();
        while text.len() <= DATAGRAM_LIMIT_BYTES {
            text.push_str("X-Filler: filler filler filler filler\r\n");
        }
        let frames = frames(text.as_bytes());
        let [Frame::Broken(broken)] = &frames[..] else { panic!("{}", frames.len()) };
        assert_eq!((broken.head.len(), broken.refusal.status), (DATAGRAM_LIMIT_BYTES, 513));
    }

    #[test]
    fn a_message_has_ten_seconds_to_come_and_a_silent_peer_half_an_hour() {
        let start = Instant::now();
        let mut framer = Framer::new(start);
        assert_eq!(framer.poll_timeout(), start + IDLE_LIMIT);
        for second in 0..10 {
            framer.handle(start + Duration::from_secs(second), b"O");
            assert_eq!(framer.poll_frame(), None);
        }
        assert_eq!(framer.poll_timeout(), start + MESSAGE_LIMIT);
        assert_eq!(framer.expired(start + Duration::from_secs(9)), None);
        assert_eq!(framer.expired(start + MESSAGE_LIMIT), Some(Expired::Stalled));
        let mut framer = Framer::new(start);
        framer.handle(start, b"\r\n");
        assert_eq!(framer.poll_frame(), None);
        assert_eq!(framer.expired(start + MESSAGE_LIMIT), None, "a keep-alive is no message");
        assert_eq!(framer.expired(start + IDLE_LIMIT), Some(Expired::Idle));
    }

    fn frames(stream: &[u8]) -> Vec<Frame> {
        let now = Instant::now();
        let mut framer = Framer::new(now);
        framer.handle(now, stream);
        std::iter::from_fn(|| framer.poll_frame()).collect()
    }
}
