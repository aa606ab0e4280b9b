//! tgcall with sockets of its own as one end of a call, ntgcalls as the other: what the gateway's shell does, without
//! Telegram and without a PBX.

use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use tgcall::{
    Call, Certificate, Event, Parameters, PathInfo, Received, Route, Server, SharedKey, StreamId,
    StreamOrder, Version,
};
use tgtrunk_media::rtp;
use tgtrunk_test_telegram::bad_path::Dice;
use tgtrunk_test_telegram::reflector::Side;
use tgtrunk_test_telegram::world::Connection;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, UdpSocket};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Interval, MissedTickBehavior, interval, sleep_until};

use crate::capture::Passed;
use crate::clock::now;
use crate::ntgcalls::{self, Ntgcalls, tag};
use crate::tone::{Generator, Meter};
use crate::wiretap::Wiretap;

/// What each side plays.
pub const OURS_HZ: u32 = 880;
/// See [`OURS_HZ`].
pub const THEIRS_HZ: u32 = 440;
const PACKET_MS: u64 = 20;
const DATAGRAM_BYTES: usize = 2048;
/// Packets that wait for a stream to take them; more are lost.
const STREAM_QUEUE: usize = 256;

static CERTIFICATE: LazyLock<Arc<Certificate>> =
    LazyLock::new(|| Arc::new(Certificate::generate().expect("a certificate can be made")));

/// What the call is.
#[derive(Debug, Clone)]
pub struct Options {
    pub version: Version,
    /// We are the caller.
    pub is_caller: bool,
    /// Where our sockets are.
    pub addresses: Vec<IpAddr>,
    pub p2p_allowed: bool,
    /// `phoneCall.connections`; peer tags are made those of each side.
    pub connections: Vec<Connection>,
    pub custom_parameters: Option<String>,
    pub only_streams: bool,
    /// How long both play.
    pub tone_ms: u64,
    /// Share of signaling that is lost, each way.
    pub signaling_loss: f64,
    pub seed: u64,
}

impl Options {
    /// A direct call between these, over in a few seconds.
    pub fn direct(version: Version, is_caller: bool, address: IpAddr) -> Self {
        Self {
            version,
            is_caller,
            addresses: vec![address],
            p2p_allowed: true,
            connections: Vec::new(),
            custom_parameters: None,
            only_streams: false,
            tone_ms: 4_000,
            signaling_loss: 0.0,
            seed: 2,
        }
    }

    /// Over these relays alone.
    #[must_use]
    pub fn relayed(self, connections: Vec<Connection>) -> Self {
        Self { p2p_allowed: false, connections, ..self }
    }

    /// The key of both.
    pub fn key(&self) -> [u8; 256] {
        std::array::from_fn(|at| (at * 7 + 3) as u8)
    }

    /// What ntgcalls is told of the same call.
    pub fn peer(&self) -> ntgcalls::Options {
        ntgcalls::Options {
            key: self.key(),
            version: self.version,
            is_caller: !self.is_caller,
            tone_hz: THEIRS_HZ,
            tone_ms: self.tone_ms,
            plays: None,
            wanted_hz: OURS_HZ,
            p2p_allowed: self.p2p_allowed,
            connections: self.connections.clone(),
            custom_parameters: self.custom_parameters.clone(),
        }
    }
}

/// Something from outside.
enum Inbound {
    Datagram { source: SocketAddr, destination: SocketAddr, bytes: Vec<u8> },
    Opened(StreamId, mpsc::Sender<Vec<u8>>),
    Data(StreamId, Vec<u8>),
    Closed(StreamId),
}

/// Our end of a call, with the peer it talks to.
pub struct TgcallEnd {
    pub call: Call,
    pub peer: Ntgcalls,
    /// What each side told the other: ours, theirs.
    pub taps: [Wiretap; 2],
    /// What happened, and when after the start.
    pub events: Vec<(Duration, Event)>,
    /// The packets of sound that came: when, and their sequence numbers.
    pub came: Vec<(Instant, u16)>,
    options: Options,
    began: Instant,
    sockets: BTreeMap<SocketAddr, Arc<UdpSocket>>,
    streams: BTreeMap<StreamId, mpsc::Sender<Vec<u8>>>,
    inbound: mpsc::Receiver<Inbound>,
    outside: mpsc::Sender<Inbound>,
    tasks: JoinSet<()>,
    dice: Dice,
    ticks: Interval,
    generator: Generator,
    meter: Meter,
    sent: u64,
    /// When after the connection, and what.
    repeats: VecDeque<(Duration, Passed)>,
    /// Packets that no socket or stream took.
    pub refused: u64,
    /// Packets of signaling that were lost, of both ways.
    pub signaling_lost: u64,
}

impl TgcallEnd {
    /// Begins the call with a peer that has been started for it.
    ///
    /// # Errors
    /// When a socket cannot be had, or the call cannot be.
    pub async fn start(options: Options, peer: Ntgcalls) -> anyhow::Result<Self> {
        let (outside, inbound) = mpsc::channel(1024);
        let mut tasks = JoinSet::new();
        let mut sockets = BTreeMap::new();
        for address in &options.addresses {
            let (local, socket) = bind(*address, &outside, &mut tasks).await?;
            sockets.insert(local, socket);
        }
        let side = if options.is_caller { Side::Caller } else { Side::Callee };
        let servers = options.connections.iter().map(|connection| server(connection, side));
        let mut seed = [0; 32];
        getrandom::fill(&mut seed).ok().context("the system has random bytes")?;
        let parameters = Parameters {
            key: SharedKey::from_bytes(options.key()),
            is_caller: options.is_caller,
            version: options.version,
            p2p_allowed: options.p2p_allowed,
            custom_parameters: options.custom_parameters.clone(),
            local_addresses: sockets.keys().map(|local| (*local).into()).collect(),
            certificate: Arc::clone(&CERTIFICATE),
            seed,
            servers: servers.collect::<anyhow::Result<_>>()?,
            only_streams: options.only_streams,
        };
        let began = now();
        let mut ticks = interval(Duration::from_millis(PACKET_MS));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
        let tap = |on_caller| Wiretap::new(options.key(), options.version, on_caller);
        Ok(Self {
            call: Call::new(began, parameters)?,
            peer,
            taps: [tap(options.is_caller), tap(!options.is_caller)],
            events: Vec::new(),
            came: Vec::new(),
            began,
            sockets,
            streams: BTreeMap::new(),
            inbound,
            outside,
            tasks,
            dice: Dice::new(options.seed),
            ticks,
            generator: Generator::new(OURS_HZ)?,
            meter: Meter::new(THEIRS_HZ)?,
            sent: 0,
            repeats: VecDeque::new(),
            refused: 0,
            signaling_lost: 0,
            options,
        })
    }

    /// Sends, beside the tone, what passed elsewhere once more: from the connection on, in the rhythm in which it passed
    /// and with the gaps that its sequence numbers have.
    pub fn repeat(&mut self, passed: &[Passed]) {
        let Some(first) = passed.first() else { return };
        self.repeats.extend(passed.iter().map(|packet| (packet.at - first.at, packet.clone())));
    }

    /// Milliseconds of sound that left.
    pub fn sent_ms(&self) -> u64 {
        self.sent * PACKET_MS
    }

    /// Milliseconds of sound that came, and the tone's share of it.
    pub fn heard(&mut self) -> (u64, f64) {
        (self.meter.received_ms(), self.meter.share())
    }

    /// When the call was first connected, after its start.
    pub fn connected(&self) -> Option<Duration> {
        self.events.iter().find(|(_, event)| *event == Event::Connected).map(|(at, _)| *at)
    }

    /// Whether something happened at all.
    pub fn saw(&self, wanted: impl Fn(&Event) -> bool) -> bool {
        self.events.iter().any(|(_, event)| wanted(event))
    }

    /// How long after a moment sound came again.
    pub fn silence_after(&self, moment: Instant) -> Option<Duration> {
        self.came.iter().find(|(at, _)| *at > moment).map(|(at, _)| *at - moment)
    }

    /// The longest time between two packets of sound from a moment on.
    pub fn longest_gap(&self, from: Instant) -> Duration {
        let later: Vec<Instant> = self.came.iter().map(|(at, _)| *at).filter(|at| *at >= from).collect();
        later.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap_or(Duration::MAX)
    }

    /// The path that is in use.
    pub fn path(&self) -> Option<PathInfo> {
        self.call.path()
    }

    /// Opens a socket on a further address and tells the call.
    ///
    /// # Errors
    /// When the address is not there.
    pub async fn add_address(&mut self, address: IpAddr) -> anyhow::Result<SocketAddr> {
        let (local, socket) = bind(address, &self.outside, &mut self.tasks).await?;
        self.sockets.insert(local, socket);
        self.call.add_local_address(now(), local)?;
        Ok(local)
    }

    /// Tells the call that an address is gone, and closes what was there.
    pub fn remove_address(&mut self, address: IpAddr) {
        let gone: Vec<SocketAddr> =
            self.sockets.keys().filter(|local| local.ip() == address).copied().collect();
        for local in gone {
            self.call.remove_local_address(now(), local);
            self.sockets.remove(&local);
        }
    }

    /// Lives on for `limit` or until `is_done`.
    ///
    /// # Errors
    /// When what passed between the ends is not as it should be.
    pub async fn go_on(&mut self, limit: Duration, is_done: impl Fn(&Self) -> bool) -> anyhow::Result<()> {
        let end = now() + limit;
        loop {
            self.drain().await?;
            if now() >= end || is_done(self) {
                return Ok(());
            }
            let due = self.call.poll_timeout().unwrap_or(end).min(end);
            let speaks = self.connected().is_some() && self.sent_ms() < self.options.tone_ms;
            let repeat = self.connected().zip(self.repeats.front());
            let repeat_due = repeat.map(|(connected, (after, _))| self.began + connected + *after);
            tokio::select! {
                Some(inbound) = self.inbound.recv() => self.take(inbound)?,
                Some(packet) = self.peer.signaling.recv() => {
                    self.taps[1].take(&packet)?;
                    if !self.loses_signaling() {
                        self.call.handle_signaling(now(), &packet);
                    }
                }
                _ = self.ticks.tick(), if speaks => self.speak()?,
                () = sleep_until(repeat_due.unwrap_or(end).into()), if repeat_due.is_some() => {
                    self.speak_again();
                }
                () = sleep_until(due.into()) => self.call.handle_timeout(now()),
            }
        }
    }

    fn take(&mut self, inbound: Inbound) -> anyhow::Result<()> {
        match inbound {
            Inbound::Datagram { source, destination, mut bytes } => {
                // A socket that was closed may have had something left.
                if !self.sockets.contains_key(&destination) {
                    return Ok(());
                }
                if let Some(Received::Rtp(packet)) =
                    self.call.handle_datagram(now(), source, destination, &mut bytes)
                {
                    hear(&mut self.meter, &mut self.came, packet)?;
                }
            }
            Inbound::Opened(stream, queue) => {
                self.streams.insert(stream, queue);
                self.call.handle_stream_opened(now(), stream);
            }
            Inbound::Data(stream, bytes) => {
                if self.streams.contains_key(&stream) {
                    self.call.handle_stream_data(now(), stream, &bytes);
                    while let Some(received) = self.call.poll_stream_media(now()) {
                        if let Received::Rtp(packet) = received {
                            hear(&mut self.meter, &mut self.came, packet)?;
                        }
                    }
                }
            }
            Inbound::Closed(stream) => {
                self.streams.remove(&stream);
                self.call.handle_stream_closed(now(), stream);
            }
        }
        Ok(())
    }

    fn speak(&mut self) -> anyhow::Result<()> {
        let Some(format) = self.call.outgoing() else { return Ok(()) };
        let mut packet = tone_rtp(format, self.sent as u16, &self.generator.packet()?);
        self.sent += 1;
        if let Some(route) = self.call.protect(now(), &mut packet) {
            self.send(route, packet);
        }
        Ok(())
    }

    fn speak_again(&mut self) {
        let Some((_, passed)) = self.repeats.pop_front() else { return };
        let Some(format) = self.call.outgoing() else { return };
        let Passed { marker, sequence, timestamp, payload, .. } = &passed;
        let (payload_type, ssrc) = (format.payload_type, format.ssrc);
        let (marker, sequence, timestamp) = (*marker, *sequence, *timestamp);
        let mut packet = Vec::new();
        rtp::Packet { marker, payload_type, sequence, timestamp, ssrc, payload }.write(&mut packet);
        if let Some(route) = self.call.protect(now(), &mut packet) {
            self.send(route, packet);
        }
    }

    async fn drain(&mut self) -> anyhow::Result<()> {
        while let Some(event) = self.call.poll_event() {
            if event == Event::Connected && self.connected().is_none() {
                self.ticks.reset();
            }
            self.events.push((self.began.elapsed(), event));
        }
        while let Some(order) = self.call.poll_stream_order() {
            match order {
                StreamOrder::Open { stream, remote } => {
                    self.tasks.spawn(run_stream(stream, remote, self.outside.clone()));
                }
                StreamOrder::Close(stream) => {
                    self.streams.remove(&stream);
                }
            }
        }
        while let Some(transmit) = self.call.poll_transmit() {
            self.send(transmit.route, transmit.contents);
        }
        while let Some(packet) = self.call.poll_signaling() {
            self.taps[0].take(&packet)?;
            if !self.loses_signaling() {
                self.peer.tell(&packet).await;
            }
        }
        Ok(())
    }

    fn loses_signaling(&mut self) -> bool {
        let is_lost = self.dice.falls(self.options.signaling_loss);
        self.signaling_lost += u64::from(is_lost);
        is_lost
    }

    fn send(&mut self, route: Route, bytes: Vec<u8>) {
        let sent = match route {
            Route::Datagram { source, destination } => {
                let socket = self.sockets.get(&source);
                socket.is_some_and(|socket| socket.try_send_to(&bytes, destination).is_ok())
            }
            Route::Stream(stream) => {
                self.streams.get(&stream).is_some_and(|queue| queue.try_send(bytes).is_ok())
            }
        };
        self.refused += u64::from(!sent);
    }
}

async fn bind(
    address: IpAddr,
    outside: &mpsc::Sender<Inbound>,
    tasks: &mut JoinSet<()>,
) -> anyhow::Result<(SocketAddr, Arc<UdpSocket>)> {
    let socket =
        Arc::new(UdpSocket::bind((address, 0)).await.with_context(|| format!("a socket on {address}"))?);
    let destination = socket.local_addr()?;
    let (reading, outside) = (Arc::downgrade(&socket), outside.clone());
    tasks.spawn(async move {
        let mut buffer = vec![0; DATAGRAM_BYTES];
        while let Some(socket) = reading.upgrade() {
            // An ICMP error of an earlier packet is no reason to stop.
            let received =
                tokio::time::timeout(Duration::from_millis(200), socket.recv_from(&mut buffer)).await;
            let Ok(Ok((length, source))) = received else { continue };
            let bytes = buffer[..length].to_vec();
            if outside.send(Inbound::Datagram { source, destination, bytes }).await.is_err() {
                return;
            }
        }
    });
    Ok((destination, socket))
}

/// A TCP connection to a relay, until either end has enough of it.
async fn run_stream(stream: StreamId, remote: SocketAddr, outside: mpsc::Sender<Inbound>) {
    if let Ok(connection) = TcpStream::connect(remote).await {
        connection.set_nodelay(true).ok();
        let (queue, mut packets) = mpsc::channel::<Vec<u8>>(STREAM_QUEUE);
        if outside.send(Inbound::Opened(stream, queue)).await.is_err() {
            return;
        }
        let (mut reader, mut writer) = connection.into_split();
        let mut buffer = vec![0; DATAGRAM_BYTES];
        loop {
            tokio::select! {
                packet = packets.recv() => match packet {
                    Some(packet) => if writer.write_all(&packet).await.is_err() { break },
                    None => return,
                },
                read = reader.read(&mut buffer) => match read {
                    Ok(length) if length > 0 => {
                        outside.send(Inbound::Data(stream, buffer[..length].to_vec())).await.ok();
                    }
                    _ => break,
                },
            }
        }
    }
    outside.send(Inbound::Closed(stream)).await.ok();
}

fn server(connection: &Connection, side: Side) -> anyhow::Result<Server> {
    Ok(match connection.clone() {
        Connection::Webrtc { id: _, ip, ipv6, port, turn, stun, username, password } => Server::Webrtc {
            ipv4: ip.parse().ok(),
            ipv6: ipv6.parse().ok(),
            port,
            username,
            password,
            is_turn: turn,
            is_stun: stun,
        },
        Connection::Reflector { id, ip, ipv6, port, tcp, peer_tag } => Server::Reflector {
            id,
            ipv4: ip.parse().ok(),
            ipv6: ipv6.parse().ok(),
            port,
            peer_tag: side.mark(tag(&peer_tag)?),
            is_tcp: tcp,
        },
    })
}

fn hear(meter: &mut Meter, came: &mut Vec<(Instant, u16)>, packet: &[u8]) -> anyhow::Result<()> {
    let Some(payload) = payload(packet).filter(|payload| !payload.is_empty()) else { return Ok(()) };
    came.push((now(), u16::from_be_bytes([packet[2], packet[3]])));
    meter.feed(payload)
}

fn tone_rtp(format: tgcall::AudioFormat, number: u16, payload: &[u8]) -> Vec<u8> {
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
