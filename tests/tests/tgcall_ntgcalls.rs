//! The call protocol against ntgcalls, which has nothing of ours: each version, both roles, tones both ways at once,
//! and microphones that go off and on.
//!
//! Signaling goes over a Unix socket instead of Telegram, the key is given to both. ntgcalls wants an interface that
//! is not loopback and gets a network namespace of its own.

#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;
use tgcall::{Call, Certificate, Event, Parameters, Received, Route, SharedKey, Version};
use tgtrunk_tests::netns::Namespace;
use tgtrunk_tests::tone::{Generator, Meter};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{UdpSocket, UnixListener};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::mpsc;
use tokio::time::{Interval, MissedTickBehavior, interval, sleep_until, timeout};

/// What each side plays.
const OURS_HZ: u32 = 880;
const THEIRS_HZ: u32 = 440;
/// How long; with loss, the repetition of an offer may take 10 s.
const TONE_MS: u64 = 5_000;
const LONG_TONE_MS: u64 = 12_000;
const PACKET_MS: u64 = 20;

static CERTIFICATE: LazyLock<Arc<Certificate>> = LazyLock::new(|| Arc::new(Certificate::generate().unwrap()));

#[tokio::test]
async fn calls_from_ntgcalls_in_version_13() {
    assert_sounds_good(run(Version::V13, Role::Callee, 0.0).await);
}

#[tokio::test]
async fn calls_from_ntgcalls_in_version_12() {
    assert_sounds_good(run(Version::V12, Role::Callee, 0.0).await);
}

#[tokio::test]
async fn calls_from_ntgcalls_in_version_9() {
    assert_sounds_good(run(Version::V9, Role::Callee, 0.0).await);
}

#[tokio::test]
async fn calls_from_ntgcalls_in_version_8() {
    assert_sounds_good(run(Version::V8, Role::Callee, 0.0).await);
}

#[tokio::test]
async fn calls_to_ntgcalls_in_version_13() {
    assert_sounds_good(run(Version::V13, Role::Caller, 0.0).await);
}

#[tokio::test]
async fn calls_to_ntgcalls_in_version_12() {
    assert_sounds_good(run(Version::V12, Role::Caller, 0.0).await);
}

#[tokio::test]
async fn calls_to_ntgcalls_in_version_9() {
    assert_sounds_good(run(Version::V9, Role::Caller, 0.0).await);
}

#[tokio::test]
async fn calls_to_ntgcalls_in_version_8() {
    assert_sounds_good(run(Version::V8, Role::Caller, 0.0).await);
}

#[tokio::test]
async fn calls_to_and_from_ntgcalls_in_version_13_survive_the_loss_of_a_fifth_of_the_signaling() {
    assert_comes_about(run(Version::V13, Role::Callee, 0.2).await);
    assert_comes_about(run(Version::V13, Role::Caller, 0.2).await);
}

#[tokio::test]
async fn calls_to_and_from_ntgcalls_in_version_9_survive_the_loss_of_a_fifth_of_the_signaling() {
    assert_comes_about(run(Version::V9, Role::Callee, 0.2).await);
    assert_comes_about(run(Version::V9, Role::Caller, 0.2).await);
}

#[tokio::test]
async fn ntgcalls_as_caller_tells_and_hears_who_is_muted_in_version_13() {
    mute_each_other(Version::V13, Role::Callee).await;
}

#[tokio::test]
async fn ntgcalls_as_caller_tells_and_hears_who_is_muted_in_version_9() {
    mute_each_other(Version::V9, Role::Callee).await;
}

#[tokio::test]
async fn ntgcalls_as_callee_tells_and_hears_who_is_muted_in_version_13() {
    mute_each_other(Version::V13, Role::Caller).await;
}

#[tokio::test]
async fn ntgcalls_as_callee_tells_and_hears_who_is_muted_in_version_9() {
    mute_each_other(Version::V9, Role::Caller).await;
}

#[tokio::test]
async fn ntgcalls_as_caller_reads_our_reports_and_sends_its_own() {
    exchange_reports(Role::Callee).await;
}

#[tokio::test]
async fn ntgcalls_as_callee_reads_our_reports_and_sends_its_own() {
    exchange_reports(Role::Caller).await;
}

/// The time of our sender report comes back in ntgcalls' receiver report (LSR, RFC 3550 section 6.4.1).
async fn exchange_reports(role: Role) {
    const NTP_TIME: [u8; 8] = [0xe1, 0xd2, 0x56, 0x78, 0x9a, 0xbc, 0, 0];
    let namespace = Namespace::new().unwrap();
    let mut end = End::start(&namespace, Version::V13, role, 0.0, 20_000).await;
    end.go_on(Duration::from_secs(20), |end| end.sent_ms() == 1_000 && end.heard.packets > 10).await;
    let ssrc = end.call.outgoing().unwrap().ssrc.to_be_bytes();
    let mut report = vec![0x80, 200, 0, 6];
    report.extend(
        [&ssrc[..], &NTP_TIME, &(49 * 960_u32).to_be_bytes(), &[0, 0, 0, 50], &[0, 0, 20, 0]].concat(),
    );
    let Some(Route::Datagram { destination, .. }) = end.call.protect_rtcp(Instant::now(), &mut report) else {
        panic!("there is no way for the report");
    };
    end.socket.send_to(&report, destination).await.unwrap();
    let answers = |packets: &Vec<u8>| {
        packets.windows(24).any(|block| block[..4] == ssrc && block[16..20] == NTP_TIME[2..6])
    };
    end.go_on(Duration::from_secs(15), |end| end.control.iter().any(answers)).await;
    assert!(end.control.iter().any(answers), "{:02x?}", end.control);
    assert_eq!(end.call.counters().forged, 0);
}

/// First ntgcalls mutes itself and stops sending, then we say that we are muted, and go on sending.
async fn mute_each_other(version: Version, role: Role) {
    const PATIENCE: Duration = Duration::from_secs(3);
    let namespace = Namespace::new().unwrap();
    let mut end = End::start(&namespace, version, role, 0.0, 20_000).await;
    end.go_on(Duration::from_secs(20), |end| end.sent_ms() == 1_000 && end.heard.packets > 10).await;
    for muted in [true, false, true, false] {
        end.peer.say(if muted { "mute" } else { "unmute" }).await;
        end.go_on(PATIENCE, |end| end.remote_muted.last() == Some(&muted)).await;
        assert_eq!(end.remote_muted.last(), Some(&muted), "{version}");
        end.go_on(Duration::from_millis(300), |_| false).await;
        let before = end.heard.packets;
        end.go_on(Duration::from_millis(900), |_| false).await;
        let packets = end.heard.packets - before;
        assert!(if muted { packets == 0 } else { packets >= 12 }, "{version}: {packets} packets, {muted}");
    }
    assert_eq!(end.remote_muted, [true, false, true, false], "{version}: and nothing else");
    for muted in [true, false, true, false] {
        end.sources.clear();
        end.call.set_muted(Instant::now(), muted);
        let word = if muted { "IDLING" } else { "ACTIVE" };
        end.go_on(PATIENCE, |end| !end.sources.is_empty()).await;
        assert_eq!(end.sources, [("MICROPHONE".to_owned(), word.to_owned())], "{version}");
    }
    end.peer.say("quit").await;
    end.go_on(Duration::from_secs(5), |end| end.is_closed).await;
    end.peer.gone().await;
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    Caller,
    Callee,
}

#[derive(Debug)]
#[expect(dead_code, reason = "printed when an assertion fails")]
struct Outcome {
    version: Version,
    role: Role,
    connected: Duration,
    sent_ms: u64,
    they_heard_ms: u64,
    they_heard_share: f64,
    we_heard_ms: u64,
    we_heard_share: f64,
    heard: Heard,
    overhead_bytes: usize,
    goodbye: Duration,
    counters: tgcall::Counters,
}

fn assert_sounds_good(outcome: Outcome) {
    assert!(outcome.we_heard_share >= 0.98 && outcome.they_heard_share >= 0.98, "{outcome:?}");
    assert!(outcome.they_heard_ms * 100 >= outcome.sent_ms * 99, "{outcome:?}");
    // ntgcalls leaves out the first and the last 60 to 80 ms of a file.
    assert!(outcome.we_heard_ms + 200 >= TONE_MS, "{outcome:?}");
    let Heard { began_with_marker, packets, span } = outcome.heard;
    assert!(began_with_marker && packets * 100 >= span * 99, "{outcome:?}");
    // The DTLS server chooses: ntgcalls takes AES128_CM_SHA1_80, we take AEAD_AES_256_GCM.
    let overhead = if outcome.role == Role::Caller { 10 } else { 16 };
    assert_eq!(outcome.overhead_bytes, overhead, "{outcome:?}");
    assert!(outcome.goodbye < Duration::from_secs(1), "{outcome:?}");
    let counters = outcome.counters;
    assert_eq!((counters.forged, counters.replayed, counters.unprotected), (0, 0, 0), "{outcome:?}");
}

/// ntgcalls plays its file from the connection on, so what it plays before its offer is answered is not to be heard.
fn assert_comes_about(outcome: Outcome) {
    assert!(outcome.connected < Duration::from_secs(10), "{outcome:?}");
    assert!(outcome.we_heard_share >= 0.98 && outcome.they_heard_share >= 0.98, "{outcome:?}");
    assert!(outcome.they_heard_ms * 100 >= outcome.sent_ms * 99, "{outcome:?}");
    assert!(outcome.we_heard_ms >= 1_000 && outcome.heard.packets == outcome.heard.span, "{outcome:?}");
}

/// What of ntgcalls' packets came.
#[derive(Debug, Clone, Copy, Default)]
struct Heard {
    began_with_marker: bool,
    packets: u64,
    /// From the first sequence number to the last.
    span: u64,
}

/// One call to its end: we play our tone once connected, listen a little longer, then ntgcalls hangs up.
async fn run(version: Version, role: Role, signaling_loss: f64) -> Outcome {
    let namespace = Namespace::new().unwrap();
    let tone_ms = if signaling_loss > 0.0 { LONG_TONE_MS } else { TONE_MS };
    let mut end = End::start(&namespace, version, role, signaling_loss, tone_ms).await;
    end.go_on(Duration::from_secs(40), |end| end.sent_ms() == end.tone_ms).await;
    end.go_on(Duration::from_millis(1_500), |_| false).await;
    let they_heard = end.peer.heard().await;
    end.peer.say("quit").await;
    let hung_up = Instant::now();
    end.go_on(Duration::from_secs(5), |end| end.is_closed).await;
    let goodbye = hung_up.elapsed();
    end.peer.gone().await;
    Outcome {
        version,
        role,
        connected: end.connected.expect("connected in time"),
        sent_ms: end.sent_ms(),
        they_heard_ms: they_heard["received_ms"].as_u64().unwrap(),
        they_heard_share: they_heard["tone_share"].as_f64().unwrap(),
        we_heard_ms: end.meter.received_ms(),
        we_heard_share: end.meter.share(),
        heard: end.heard,
        overhead_bytes: end.overhead_bytes,
        goodbye,
        counters: end.call.counters(),
    }
}

/// Our end of a call, with its socket and with the peer it talks to.
struct End {
    call: Call,
    began: Instant,
    socket: UdpSocket,
    local: SocketAddr,
    peer: Peer,
    dice: Dice,
    signaling_loss: f64,
    tone_ms: u64,
    ticks: Interval,
    generator: Generator,
    meter: Meter,
    sent: u64,
    overhead_bytes: usize,
    heard: Heard,
    first_sequence: Option<u16>,
    connected: Option<Duration>,
    remote_muted: Vec<bool>,
    /// RTCP of ntgcalls.
    control: Vec<Vec<u8>>,
    /// Device and state, as ntgcalls reported them of us.
    sources: Vec<(String, String)>,
    is_closed: bool,
}

impl End {
    async fn start(
        namespace: &Namespace,
        version: Version,
        role: Role,
        signaling_loss: f64,
        tone_ms: u64,
    ) -> Self {
        let socket = UdpSocket::bind((namespace.host_address(), 0)).await.unwrap();
        let local = socket.local_addr().unwrap();
        let key: [u8; 256] = std::array::from_fn(|at| (at * 7 + 3) as u8);
        let peer = Peer::start(namespace, version, role, tone_ms, &key).await;
        let mut dice = Dice(2);
        let parameters = Parameters {
            key: SharedKey::from_bytes(key),
            is_caller: role == Role::Caller,
            version,
            p2p_allowed: true,
            servers: Vec::new(),
            only_streams: false,
            custom_parameters: None,
            local_addresses: vec![local.into()],
            certificate: Arc::clone(&CERTIFICATE),
            seed: std::array::from_fn(|_| dice.next() as u8),
        };
        let began = Instant::now();
        let mut ticks = interval(Duration::from_millis(PACKET_MS));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
        End {
            call: Call::new(began, parameters).unwrap(),
            began,
            socket,
            local,
            peer,
            dice,
            signaling_loss,
            tone_ms,
            ticks,
            generator: Generator::new(OURS_HZ).unwrap(),
            meter: Meter::new(THEIRS_HZ).unwrap(),
            sent: 0,
            overhead_bytes: 0,
            heard: Heard::default(),
            first_sequence: None,
            connected: None,
            remote_muted: Vec::new(),
            control: Vec::new(),
            sources: Vec::new(),
            is_closed: false,
        }
    }

    fn sent_ms(&self) -> u64 {
        self.sent * PACKET_MS
    }

    /// Lives on for `limit` or until `is_done`.
    async fn go_on(&mut self, limit: Duration, is_done: impl Fn(&Self) -> bool) {
        let end = Instant::now() + limit;
        let mut datagram = vec![0; 2048];
        loop {
            self.drain().await;
            let now = Instant::now();
            if now >= end || is_done(self) {
                return;
            }
            let due = self.call.poll_timeout().unwrap_or(end).min(end);
            let speaks = self.connected.is_some() && self.sent_ms() < self.tone_ms;
            tokio::select! {
                received = self.socket.recv_from(&mut datagram) => {
                    let (len, source) = received.unwrap();
                    self.take(source, &mut datagram[..len]);
                }
                packet = self.peer.signaling.recv(), if !self.is_closed => match packet {
                    Some(packet) if !self.dice.falls(self.signaling_loss) => {
                        self.call.handle_signaling(Instant::now(), &packet);
                    }
                    Some(_) => {}
                    None => self.peer.signaling = mpsc::channel(1).1,
                },
                Some(event) = self.peer.events.recv() => {
                    if event["event"] == "source" {
                        let word = |key: &str| event[key].as_str().unwrap().to_owned();
                        self.sources.push((word("device"), word("state")));
                    }
                }
                _ = self.ticks.tick(), if speaks => self.speak().await,
                () = sleep_until(due.into()) => self.call.handle_timeout(Instant::now()),
            }
        }
    }

    fn take(&mut self, source: SocketAddr, datagram: &mut [u8]) {
        let received = self.call.handle_datagram(Instant::now(), source, self.local, datagram);
        let rtp = match received {
            Some(Received::Rtp(rtp)) => rtp,
            Some(Received::Rtcp(packets)) => return self.control.push(packets.to_vec()),
            None => return,
        };
        let sequence = u16::from_be_bytes([rtp[2], rtp[3]]);
        let first = *self.first_sequence.get_or_insert(sequence);
        self.heard.began_with_marker |= first == sequence && rtp[1] & 0x80 != 0;
        self.heard.packets += 1;
        self.heard.span = self.heard.span.max(u64::from(sequence.wrapping_sub(first)) + 1);
        if let Some(payload) = payload(rtp).filter(|payload| !payload.is_empty()) {
            self.meter.feed(payload).unwrap();
        }
    }

    async fn speak(&mut self) {
        let Some(format) = self.call.outgoing() else { return };
        let mut packet = rtp(format, self.sent as u16, &self.generator.packet().unwrap());
        let plain_len = packet.len();
        let route = self.call.protect(Instant::now(), &mut packet).expect("connected");
        self.overhead_bytes = packet.len() - plain_len;
        self.send(route, &packet).await;
        self.sent += 1;
    }

    async fn send(&self, route: Route, packet: &[u8]) {
        let Route::Datagram { source, destination } = route else { panic!("no stream was opened") };
        assert_eq!(source, self.local);
        self.socket.send_to(packet, destination).await.unwrap();
    }

    async fn drain(&mut self) {
        while let Some(event) = self.call.poll_event() {
            match event {
                Event::Connected => {
                    self.connected = Some(self.began.elapsed());
                    self.ticks.reset();
                }
                Event::OutgoingFormat(_) => {}
                Event::RemoteMuted(muted) => self.remote_muted.push(muted),
                Event::Closed => self.is_closed = true,
                Event::Failed(_) | Event::Reconnecting => {
                    panic!("{event:?} after {:?}", self.began.elapsed())
                }
            }
        }
        while let Some(transmit) = self.call.poll_transmit() {
            self.send(transmit.route, &transmit.contents).await;
        }
        while let Some(packet) = self.call.poll_signaling() {
            if !self.dice.falls(self.signaling_loss) {
                self.peer.send(&packet).await;
            }
        }
    }
}

fn rtp(format: tgcall::AudioFormat, number: u16, payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x80, format.payload_type | if number == 0 { 0x80 } else { 0 }];
    packet.extend_from_slice(&number.to_be_bytes());
    packet.extend_from_slice(&(u32::from(number) * 960).to_be_bytes());
    packet.extend_from_slice(&format.ssrc.to_be_bytes());
    packet.extend_from_slice(payload);
    packet
}

/// The payload without header, extension and padding.
fn payload(packet: &[u8]) -> Option<&[u8]> {
    let header = tgcall::srtp::rtp_header_len(packet).ok()?;
    let padding = if packet[0] & 0x20 != 0 { usize::from(*packet.last()?) } else { 0 };
    packet.get(header..packet.len().checked_sub(padding)?)
}

/// ntgcalls in its namespace.
struct Peer {
    child: Child,
    commands: ChildStdin,
    events: mpsc::Receiver<Value>,
    signaling: mpsc::Receiver<Vec<u8>>,
    writer: OwnedWriteHalf,
    _folder: TempDir,
}

impl Peer {
    async fn start(
        namespace: &Namespace,
        version: Version,
        our_role: Role,
        tone_ms: u64,
        key: &[u8],
    ) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("signaling");
        let listener = UnixListener::bind(&path).unwrap();
        let options = json!({
            "socket": path,
            "key": hex::encode(key),
            "is_caller": our_role == Role::Callee,
            "version": version.text(),
            "tone_hz": THEIRS_HZ,
            "tone_ms": tone_ms,
            "wanted_hz": OURS_HZ,
        });
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("python/ntgcalls_peer.py");
        let mut command = namespace.command(tgtrunk_test_telegram::venv::python().unwrap());
        command.arg(script).arg(options.to_string()).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = Command::from(command).kill_on_drop(true).spawn().unwrap();
        let commands = child.stdin.take().unwrap();
        let (sender, events) = mpsc::channel(64);
        tokio::spawn(read_events(child.stdout.take().unwrap(), sender));
        let (stream, _) =
            timeout(Duration::from_secs(30), listener.accept()).await.expect("ntgcalls starts").unwrap();
        let (reader, writer) = stream.into_split();
        let (packets, signaling) = mpsc::channel(64);
        tokio::spawn(read_packets(reader, packets));
        Peer { child, commands, events, signaling, writer, _folder: folder }
    }

    async fn send(&mut self, packet: &[u8]) {
        let mut framed = u32::try_from(packet.len()).unwrap().to_be_bytes().to_vec();
        framed.extend_from_slice(packet);
        // Acknowledgements may come after the peer has hung up.
        let _ = self.writer.write_all(&framed).await;
    }

    async fn heard(&mut self) -> Value {
        self.say("heard").await;
        loop {
            let event = timeout(Duration::from_secs(20), self.events.recv()).await.expect("an answer");
            let event = event.expect("the peer is there");
            if event["event"] == "heard" {
                return event;
            }
        }
    }

    async fn say(&mut self, command: &str) {
        self.commands.write_all(format!("{}\n", json!({ "do": command })).as_bytes()).await.unwrap();
    }

    async fn gone(&mut self) {
        let status =
            timeout(Duration::from_secs(5), self.child.wait()).await.expect("ntgcalls ends").unwrap();
        assert!(status.success(), "{status}");
    }
}

async fn read_events(output: ChildStdout, events: mpsc::Sender<Value>) {
    let mut lines = BufReader::new(output).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        if events.send(serde_json::from_str(&line).unwrap()).await.is_err() {
            return;
        }
    }
}

async fn read_packets(mut reader: OwnedReadHalf, packets: mpsc::Sender<Vec<u8>>) {
    while let Ok(len) = reader.read_u32().await {
        let mut packet = vec![0; len as usize];
        if reader.read_exact(&mut packet).await.is_err() || packets.send(packet).await.is_err() {
            return;
        }
    }
}

/// Chance that comes again with its seed (SplitMix64).
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u32 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        (mixed >> 31) as u32
    }

    fn falls(&mut self, probability: f64) -> bool {
        f64::from(self.next()) < probability * f64::from(u32::MAX)
    }
}
