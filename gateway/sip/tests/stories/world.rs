//! The stage: a line, its PBX, and a clock that jumps from deadline to deadline.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tgtrunk_media::codec::OPUS;
use tgtrunk_sip::{Availability, Config, Endpoint, Event, Hop, Invite, LocalAudio, Memory, Transport};

pub(crate) const LINE: &str = "127.0.0.1:30001";
pub(crate) const PBX: &str = "127.0.0.1:5060";

pub(crate) struct World {
    pub(crate) line: Endpoint,
    pub(crate) now: Instant,
    start: Instant,
    /// What the line sent and nobody looked at yet: when, where, what.
    wire: VecDeque<(Duration, Hop, String)>,
    events: VecDeque<Event>,
}

impl World {
    /// A line that is up and whose PBX answered its first OPTIONS.
    pub(crate) fn new() -> Self {
        Self::with(|_| {})
    }

    pub(crate) fn with(change: impl FnOnce(&mut Config)) -> Self {
        let mut world = Self::silent_pbx(change);
        let options = world.said();
        assert!(options.starts_with("OPTIONS sip:127.0.0.1:5060 SIP/2.0\r\n"), "{options}");
        world.hears(&reply(&options, "200 OK", "opt", "", ""));
        assert_eq!(world.event(), Event::PeerReachable(true));
        world
    }

    /// The same with the first OPTIONS still on the wire.
    pub(crate) fn silent_pbx(change: impl FnOnce(&mut Config)) -> Self {
        let start = Instant::now();
        let mut config = Config {
            local: LINE.parse().unwrap(),
            announced: LINE.parse().unwrap(),
            peer: PBX.parse().unwrap(),
            transport: Transport::Udp,
            srtp: tgtrunk_sip::Srtp::Off,
            more_peers: Vec::new(),
            domain: None,
            failover: Duration::from_secs(4),
            line_user: "+74950000001".to_owned(),
            user_agent: "tgtrunk".to_owned(),
            allowed: Vec::new(),
            any_source: false,
            guard: None,
            codecs: vec![&OPUS],
            peer_names: Vec::new(),
            refer: true,
            new_calls_per_second: 0,
            max_calls: 10,
            options_interval: Duration::from_secs(100_000),
            ring_limit: Duration::from_secs(60),
            session_interval_s: 1800,
            credentials: None,
            register: None,
            seed: [7; 32],
        };
        change(&mut config);
        let mut line = Endpoint::new(config, start);
        line.set_availability(Availability::Up);
        line.handle_timeout(start);
        let mut world = Self { line, now: start, start, wire: VecDeque::new(), events: VecDeque::new() };
        world.drain();
        world
    }

    pub(crate) fn drain(&mut self) {
        while let Some(transmit) = self.line.poll_transmit() {
            let text = String::from_utf8(transmit.contents).expect("a line writes UTF-8");
            self.wire.push_back((self.now - self.start, transmit.destination, text));
        }
        self.events.extend(std::iter::from_fn(|| self.line.poll_event()));
    }

    /// The PBX says this.
    pub(crate) fn hears(&mut self, text: &str) {
        self.hears_from(PBX, text.as_bytes());
    }

    pub(crate) fn hears_from(&mut self, source: &str, datagram: &[u8]) {
        self.line.handle_datagram(self.now, source.parse().unwrap(), datagram);
        self.drain();
    }

    /// Does something with the line.
    pub(crate) fn act<T>(&mut self, action: impl FnOnce(&mut Endpoint, Instant) -> T) -> T {
        let given = action(&mut self.line, self.now);
        self.drain();
        given
    }

    /// Time passes, with everything that is due in between.
    pub(crate) fn pass(&mut self, time: Duration) {
        let until = self.now + time;
        while let Some(at) = self.line.poll_timeout().filter(|at| *at <= until) {
            assert!(at >= self.now || self.line.poll_timeout().is_some());
            self.now = self.now.max(at);
            self.line.handle_timeout(self.now);
            self.drain();
        }
        self.now = until;
    }

    /// The next thing the line says.
    #[track_caller]
    pub(crate) fn said(&mut self) -> String {
        self.wire.pop_front().expect("the line says something").2
    }

    /// The same with its destination.
    #[track_caller]
    pub(crate) fn said_to(&mut self) -> (SocketAddr, String) {
        let (way, text) = self.said_over();
        (way.address, text)
    }

    /// The same with the whole way.
    #[track_caller]
    pub(crate) fn said_over(&mut self) -> (Hop, String) {
        let (_, way, text) = self.wire.pop_front().expect("the line says something");
        (way, text)
    }

    /// Nobody looks at what was said so far.
    pub(crate) fn skip(&mut self) {
        self.wire.clear();
    }

    /// Takes out what is told of calls that were refused.
    pub(crate) fn skip_turned_away(&mut self) {
        self.events.retain(|event| !matches!(event, Event::TurnedAway { .. }));
    }

    pub(crate) fn try_said(&mut self) -> Option<String> {
        Some(self.wire.pop_front()?.2)
    }

    pub(crate) fn try_said_to(&mut self) -> Option<(SocketAddr, String)> {
        let (_, way, text) = self.wire.pop_front()?;
        Some((way.address, text))
    }

    /// Somebody looks at this once more, before the rest.
    pub(crate) fn put_back(&mut self, text: String) {
        self.wire.push_front((self.now - self.start, Hop::to(Transport::Udp, PBX.parse().unwrap()), text));
    }

    pub(crate) fn try_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// The milliseconds since `from` at which something that starts so was said; everything said is taken.
    pub(crate) fn times(&mut self, from: Instant, start: &str) -> Vec<u64> {
        let offset = from - self.start;
        let said = self.wire.drain(..).filter(|(_, _, text)| text.starts_with(start));
        said.map(|(at, ..)| u64::try_from((at - offset).as_millis()).unwrap()).collect()
    }

    #[track_caller]
    pub(crate) fn is_silent(&self) {
        assert!(self.wire.is_empty(), "said: {:#?}", self.wire);
    }

    #[track_caller]
    pub(crate) fn event(&mut self) -> Event {
        self.events.pop_front().expect("an event")
    }

    #[track_caller]
    pub(crate) fn no_event(&self) {
        assert!(self.events.is_empty(), "events: {:#?}", self.events);
    }

    /// After two minutes nothing may be left of any call.
    #[track_caller]
    pub(crate) fn ends_clean(&mut self) {
        self.no_event();
        self.pass(Duration::from_secs(130));
        self.line.handle_timeout(self.now);
        self.no_event();
        assert_eq!(self.line.memory(), Memory::default());
    }
}

/// One end at the PBX.
pub(crate) struct Phone {
    pub(crate) call_id: String,
    pub(crate) from_tag: String,
    pub(crate) to_tag: String,
    pub(crate) to: String,
    pub(crate) cseq: u32,
    pub(crate) branch: String,
    pub(crate) branches: u32,
}

impl Phone {
    pub(crate) fn new(name: &str) -> Self {
        Self {
            call_id: format!("{name}@127.0.0.1"),
            from_tag: format!("{name}-tag"),
            to_tag: String::new(),
            to: "+79060000000".to_owned(),
            cseq: 1,
            branch: format!("z9hG4bK-{name}-0"),
            branches: 0,
        }
    }

    pub(crate) fn dialling(name: &str, to: &str) -> Self {
        Self { to: to.to_owned(), ..Self::new(name) }
    }

    /// The INVITE in a file of testdata.
    pub(crate) fn invite(&self, file: &str) -> String {
        let text = testdata(file);
        self.fill(&text)
    }

    /// A request in the dialog, with a new branch and the next number.
    pub(crate) fn request(&mut self, method: &str, extra: &str, body: &str) -> String {
        if method != "ACK" {
            self.cseq += 1;
        }
        self.branches += 1;
        self.branch = format!("z9hG4bK-{}-{}", self.call_id, self.branches);
        self.same_branch(method, extra, body)
    }

    /// A request that belongs to the last one: CANCEL, or the ACK of a refusal.
    pub(crate) fn same_branch(&self, method: &str, extra: &str, body: &str) -> String {
        let tag = if self.to_tag.is_empty() || method == "CANCEL" { "" } else { ";tag=[to_tag]" };
        let kind = if body.is_empty() { "" } else { "Content-Type: application/sdp\n" };
        self.fill(&format!(
            "{method} sip:[to]@[line] SIP/2.0\nVia: SIP/2.0/UDP [pbx];rport;branch=[branch]\nMax-Forwards: 70\n\
             From: <sip:100@127.0.0.1>;tag=[from_tag]\nTo: <sip:[to]@[line]>{tag}\nCall-ID: [call_id]\n\
             CSeq: [cseq] {method}\nContact: <sip:100@[pbx]>\n{extra}{kind}Content-Length: [len]\n\n{body}"
        ))
    }

    /// Takes the tag that the line gave.
    pub(crate) fn learn(&mut self, response: &str) {
        self.to_tag = tag(header(response, "To")).to_owned();
    }

    fn fill(&self, text: &str) -> String {
        let cseq = self.cseq.to_string();
        fill(
            text,
            &[
                ("to", &self.to),
                ("line", LINE),
                ("pbx", PBX),
                ("branch", &self.branch),
                ("from_tag", &self.from_tag),
                ("to_tag", &self.to_tag),
                ("call_id", &self.call_id),
                ("cseq", &cseq),
            ],
        )
    }
}

/// The answer in a file of testdata to a request of the line.
pub(crate) fn answer(request: &str, file: &str, to_tag: &str) -> String {
    let mut text = testdata(file);
    for name in ["Via", "From", "To", "Call-ID", "CSeq"] {
        text = text.replace(&format!("[last_{name}]"), &format!("{name}: {}", header(request, name)));
    }
    fill(&text, &[("to_tag", to_tag), ("pbx", PBX)])
}

/// An answer without anything special. `extra` holds whole header lines that end in `\n`.
pub(crate) fn reply(request: &str, status: &str, to_tag: &str, extra: &str, body: &str) -> String {
    let mut to = header(request, "To").to_owned();
    if !to_tag.is_empty() && !to.contains(";tag=") {
        to = format!("{to};tag={to_tag}");
    }
    let copied: String = ["Via", "From", "Call-ID", "CSeq"]
        .iter()
        .map(|name| format!("{name}: {}\n", header(request, name)))
        .collect();
    let kind = if body.is_empty() { "" } else { "Content-Type: application/sdp\n" };
    let text = format!(
        "SIP/2.0 {status}\n{copied}To: {to}\nContact: <sip:100@{PBX}>\n{extra}{kind}Content-Length: [len]\n\n{body}"
    );
    fill(&text, &[])
}

fn fill(text: &str, words: &[(&str, &str)]) -> String {
    let mut text = text.replace("\r\n", "\n").replace('\n', "\r\n");
    for (name, value) in words {
        text = text.replace(&format!("[{name}]"), value);
    }
    let length = text.split_once("\r\n\r\n").map_or(0, |(_, body)| body.len());
    text.replace("[len]", &length.to_string())
}

pub(crate) fn testdata(file: &str) -> String {
    let path = format!("{}/testdata/{file}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// A header's first value.
#[track_caller]
pub(crate) fn header<'a>(message: &'a str, name: &str) -> &'a str {
    headers(message, name).into_iter().next().unwrap_or_else(|| panic!("no {name} in:\n{message}"))
}

/// A header's values.
pub(crate) fn headers<'a>(message: &'a str, name: &str) -> Vec<&'a str> {
    let head = message.split("\r\n\r\n").next().unwrap_or(message);
    let lines = head.split("\r\n").skip(1).filter_map(|line| line.split_once(": "));
    lines.filter(|(known, _)| *known == name).map(|(_, value)| value).collect()
}

pub(crate) fn tag(value: &str) -> &str {
    value.split(";tag=").nth(1).unwrap_or("").split(';').next().unwrap_or("")
}

pub(crate) fn body(message: &str) -> &str {
    message.split_once("\r\n\r\n").map_or("", |(_, body)| body)
}

/// The first line, without the version.
pub(crate) fn start(message: &str) -> &str {
    let line = message.split("\r\n").next().unwrap_or("");
    line.trim_start_matches("SIP/2.0 ").trim_end_matches(" SIP/2.0")
}

pub(crate) fn local_audio() -> LocalAudio {
    LocalAudio {
        rtp: "127.0.0.1:20000".parse().unwrap(),
        rtcp: None,
        rtcp_mux: false,
        codecs: vec![&OPUS],
        telephone_event: false,
    }
}

pub(crate) fn invite() -> Invite {
    Invite {
        to_user: "+74950000001".to_owned(),
        from_user: "+79061112233".to_owned(),
        display_name: "Ivan".to_owned(),
        private: false,
        headers: vec![("X-TG-ID".to_owned(), "5".to_owned())],
        audio: local_audio(),
    }
}

pub(crate) const fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

pub(crate) const fn ms(count: u64) -> Duration {
    Duration::from_millis(count)
}

/// Chance that can be repeated (xorshift64*).
pub(crate) struct Chance(u64);

impl Chance {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(crate) fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let number = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33;
        usize::try_from(number).unwrap() % limit.max(1)
    }
}
