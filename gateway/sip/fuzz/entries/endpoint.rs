//! Datagrams of a PBX that may be anybody: raw ones, and those of an honest one, damaged on their way, while both have
//! calls.

use std::time::{Duration, Instant};

use tgtrunk_sip::{
    Availability, CallId, Config, Credentials, Demand, DemandedBy, Endpoint, Event, Invite, Register,
    Rejection,
};

use super::config::{audio, config};
use super::script::Script;

/// Plays a script against a line and an honest PBX, on a network that is not.
pub fn take(bytes: &[u8]) {
    play(bytes, |_| {});
}

/// The same where each proves to the other who it is, and registers with it.
#[allow(dead_code, reason = "a target of its own")]
pub fn take_proven(bytes: &[u8]) {
    let by = [DemandedBy::Either, DemandedBy::Sha256, DemandedBy::Md5][bytes.len() % 3];
    let credentials = Credentials { user: "line".to_owned(), password: "secret".to_owned() };
    play(bytes, |config| {
        config.guard = Some(Demand { credentials: credentials.clone(), by });
        config.credentials = Some(credentials.clone());
        config.register = Some(Register { user: "line".to_owned(), expires_s: 60 });
    });
}

fn play(bytes: &[u8], change: impl Fn(&mut Config)) {
    let mut script = Script::new(bytes);
    let mut trunk = Trunk::new(change);
    while let Some(step) = script.step() {
        match step % 16 {
            0 => trunk.throw(script.bytes()),
            1 => trunk.end(0, script.byte()).invite(),
            2 => trunk.end(1, script.byte()).invite(),
            3 => trunk.end(0, script.byte()).ring(),
            4 => trunk.end(0, script.byte()).answer(),
            5 => trunk.end(1, script.byte()).ring(),
            6 => trunk.end(1, script.byte()).answer(),
            7 => trunk.end(0, script.byte()).hang_up(),
            8 => trunk.end(1, script.byte()).hang_up(),
            9 => trunk.end(step >> 7, script.byte()).reject(),
            10 => trunk.end(step >> 7, script.byte()).press(),
            11 => trunk.pass(u64::from(script.word())),
            12 => {
                let (at, mask, cut) = (script.word(), script.byte(), script.byte());
                trunk.damage(at.into(), mask, cut.into());
            }
            13 => trunk.insert(script.bytes()),
            14 => trunk.replace_body(script.bytes()),
            _ => trunk.carry(),
        }
        trunk.settle();
    }
    trunk.goes_quiet();
}

const ADDRESSES: [&str; 2] = ["127.0.0.1:30001", "127.0.0.1:5060"];

/// The line, its PBX, and what is on its way to the line.
struct Trunk {
    ends: [End; 2],
    to_line: Vec<Vec<u8>>,
    to_pbx: Vec<Vec<u8>>,
    now: Instant,
}

struct End {
    endpoint: Endpoint,
    calls: Vec<CallId>,
    /// Which call the next word is for.
    which: usize,
    now: Instant,
}

impl Trunk {
    fn new(change: impl Fn(&mut Config)) -> Self {
        let now = Instant::now();
        let end = |which: usize| {
            let mut config = config(ADDRESSES[which], ADDRESSES[1 - which]);
            change(&mut config);
            let mut endpoint = Endpoint::new(config, now);
            endpoint.set_availability(Availability::Up);
            End { endpoint, calls: Vec::new(), which: 0, now }
        };
        let mut trunk = Self { ends: [end(0), end(1)], to_line: Vec::new(), to_pbx: Vec::new(), now };
        trunk.pass(1);
        trunk.carry();
        trunk
    }

    fn end(&mut self, which: u8, call: u8) -> &mut End {
        let end = &mut self.ends[usize::from(which)];
        end.which = call.into();
        end
    }

    /// Takes what both have to say.
    fn settle(&mut self) {
        for (which, end) in self.ends.iter_mut().enumerate() {
            while let Some(transmit) = end.endpoint.poll_transmit() {
                let queue = if which == 0 { &mut self.to_pbx } else { &mut self.to_line };
                if which == 0 {
                    check(&transmit.contents);
                }
                queue.push(transmit.contents);
            }
            while let Some(event) = end.endpoint.poll_event() {
                if let Event::Incoming { call, .. } = event {
                    end.calls.push(call);
                }
            }
        }
        assert!(self.to_pbx.len() < 100_000);
        let memory = self.ends[0].endpoint.memory();
        assert!(memory.calls <= 300 && memory.dialogs <= 300, "{memory:?}");
    }

    /// Everything arrives, answers and answers to these included.
    fn carry(&mut self) {
        let [line, pbx] = ADDRESSES.map(|address| address.parse().unwrap());
        for _ in 0..8 {
            self.settle();
            for datagram in std::mem::take(&mut self.to_pbx) {
                self.ends[1].endpoint.handle_datagram(self.now, line, &datagram);
            }
            for datagram in std::mem::take(&mut self.to_line) {
                self.ends[0].endpoint.handle_datagram(self.now, pbx, &datagram);
            }
        }
        self.settle();
    }

    fn throw(&mut self, datagram: &[u8]) {
        self.ends[0].endpoint.handle_datagram(self.now, ADDRESSES[1].parse().unwrap(), datagram);
    }

    fn pass(&mut self, ms: u64) {
        self.now += Duration::from_millis(ms);
        for end in &mut self.ends {
            end.now = self.now;
            for _ in 0..100 {
                if end.endpoint.poll_timeout().is_none_or(|due| due > self.now) {
                    break;
                }
                end.endpoint.handle_timeout(self.now);
            }
        }
    }

    fn next(&mut self) -> Option<Vec<u8>> {
        (!self.to_line.is_empty()).then(|| self.to_line.remove(0))
    }

    /// The PBX's next datagram arrives with some bits turned and an end cut off.
    fn damage(&mut self, at: usize, mask: u8, cut: usize) {
        let Some(mut datagram) = self.next() else { return };
        datagram.truncate(datagram.len().saturating_sub(cut % 64));
        let length = datagram.len().max(1);
        if let Some(byte) = datagram.get_mut(at % length) {
            *byte ^= mask;
        }
        self.throw(&datagram);
    }

    /// The PBX's next datagram arrives with something more behind its first line.
    fn insert(&mut self, header: &[u8]) {
        let Some(datagram) = self.next() else { return };
        let at = datagram.windows(2).position(|pair| pair == b"\r\n").map_or(0, |at| at + 2);
        let (start, rest) = datagram.split_at(at);
        self.throw(&[start, header, b"\r\n", rest].concat());
    }

    /// The PBX's next datagram arrives with another body, whose length it tells rightly.
    fn replace_body(&mut self, body: &[u8]) {
        let Some(datagram) = self.next() else { return };
        let text = String::from_utf8_lossy(&datagram);
        let head = text.split("\r\n\r\n").next().unwrap_or_default();
        let head: String = head
            .split("\r\n")
            .filter(|line| !line.starts_with("Content-"))
            .flat_map(|line| [line, "\r\n"])
            .collect();
        let length = body.len();
        let head = format!("{head}Content-Type: application/sdp\r\nContent-Length: {length}\r\n\r\n");
        self.throw(&[head.as_bytes(), body].concat());
    }

    /// Nothing stays of what nobody goes on with.
    fn goes_quiet(&mut self) {
        for end in &mut self.ends {
            for call in std::mem::take(&mut end.calls) {
                end.endpoint.hang_up(self.now, call, None);
            }
        }
        for _ in 0..40 {
            self.pass(10_000);
            self.to_line.clear();
            self.to_pbx.clear();
            self.settle();
            for call in std::mem::take(&mut self.ends[0].calls) {
                self.ends[0].endpoint.hang_up(self.now, call, None);
            }
        }
        let memory = self.ends[0].endpoint.memory();
        assert_eq!((memory.calls, memory.dialogs), (0, 0), "{memory:?}");
    }
}

impl End {
    fn call(&self) -> Option<CallId> {
        self.calls.get(self.which % self.calls.len().max(1)).copied()
    }

    fn invite(&mut self) {
        let invite = Invite {
            to_user: "tg#anna".to_owned(),
            from_user: "100".to_owned(),
            display_name: "Anna \"x\"".to_owned(),
            private: false,
            headers: vec![("X-TG-ID".to_owned(), "5".to_owned())],
            audio: audio(),
        };
        let call = self.endpoint.invite(self.now, invite);
        self.calls.push(call);
    }

    fn ring(&mut self) {
        if let Some(call) = self.call() {
            self.endpoint.ringing(self.now, call, Vec::new());
        }
    }

    fn answer(&mut self) {
        if let Some(call) = self.call() {
            self.endpoint.answer(self.now, call, audio(), Vec::new());
        }
    }

    fn hang_up(&mut self) {
        if let Some(call) = self.call() {
            self.calls.retain(|one| *one != call);
            self.endpoint.hang_up(self.now, call, None);
        }
    }

    fn reject(&mut self) {
        // It does nothing to a call that they placed themselves.
        if let Some(call) = self.call() {
            let rejection = Rejection { status: 486, phrase: None, reason: None, retry_after_s: Some(5) };
            self.endpoint.reject(self.now, call, rejection);
        }
    }

    fn press(&mut self) {
        if let Some(call) = self.call() {
            self.endpoint.send_info(
                self.now,
                call,
                "application/dtmf-relay",
                b"Signal=5\r\nDuration=160\r\n",
            );
        }
    }
}

/// What leaves is a message whose every line is a header, whatever came in.
fn check(datagram: &[u8]) {
    let text = std::str::from_utf8(datagram).expect("a line writes UTF-8");
    let (head, body) = text.split_once("\r\n\r\n").expect("a head ends");
    let mut lines = head.split("\r\n");
    let start = lines.next().unwrap_or_default();
    assert!(start.starts_with("SIP/2.0 ") || start.ends_with(" SIP/2.0"), "{start:?}");
    for line in lines {
        let (name, value) = line.split_once(": ").unwrap_or_else(|| panic!("{line:?} in {text:?}"));
        assert!(
            name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-.!%*_+`'~".contains(&byte)),
            "{line:?}"
        );
        assert!(!value.contains(['\r', '\n', '\0']), "{line:?}");
        if name == "Content-Length" {
            assert_eq!(value.parse(), Ok(body.len()), "{text:?}");
        }
    }
}
