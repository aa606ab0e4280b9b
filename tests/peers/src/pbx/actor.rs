//! The phone at work: the trunk's endpoint, its socket, and one task of sound per call.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context as _;
use tgtrunk_media::codec;
use tgtrunk_sip::{
    Availability, CallId, Config, Endpoint, Event as Told, Invite, LocalAudio, Reason, Rejection, RemoteAudio,
};
use tokio::net::UdpSocket;
use tokio::sync::{mpsc, oneshot};
use tokio::time::sleep_until;

use super::sound::{Sound, ToSound};
use super::{Answering, Event, Incoming, Options};
use crate::clock::now;
use crate::codec::Codec;
use crate::heard::Ledger;
use crate::load::Ends;

const DATAGRAM_BYTES: usize = 65_535;
const OPTIONS_INTERVAL: Duration = Duration::from_secs(5);
const RING_LIMIT: Duration = Duration::from_secs(120);

/// What the phone is told to do.
pub(super) enum Command {
    Call { user: String, id: oneshot::Sender<anyhow::Result<CallId>> },
    Ring { call: CallId },
    Answer { call: CallId },
    Refuse { call: CallId, status: u16, q850: Option<u16> },
    HangUp { call: CallId },
    Mute { muted: bool },
    Answering(Answering),
    Vanish,
}

/// The phone.
pub(super) struct Actor {
    endpoint: Endpoint,
    socket: UdpSocket,
    options: Options,
    say: mpsc::Sender<Event>,
    heard: Ledger<CallId>,
    calls: HashMap<CallId, mpsc::Sender<ToSound>>,
}

impl Actor {
    pub(super) fn new(
        socket: UdpSocket,
        local: SocketAddr,
        line: SocketAddr,
        options: Options,
        say: mpsc::Sender<Event>,
        heard: Ledger<CallId>,
    ) -> anyhow::Result<Self> {
        let config = Config {
            local,
            announced: local,
            codecs: vec![spoken(options.codec)],
            peer: line,
            transport: tgtrunk_sip::Transport::Udp,
            srtp: tgtrunk_sip::Srtp::Off,
            more_peers: Vec::new(),
            domain: None,
            failover: Duration::from_secs(4),
            line_user: options.user.clone(),
            user_agent: "phone of the tests".to_owned(),
            allowed: Vec::new(),
            peer_names: Vec::new(),
            refer: true,
            any_source: false,
            guard: None,
            new_calls_per_second: 0,
            max_calls: 10_000,
            options_interval: OPTIONS_INTERVAL,
            ring_limit: RING_LIMIT,
            session_interval_s: 1800,
            credentials: None,
            register: None,
            seed: random()?,
        };
        let mut endpoint = Endpoint::new(config, now());
        endpoint.set_availability(Availability::Up);
        Ok(Self { endpoint, socket, options, say, heard, calls: HashMap::new() })
    }

    pub(super) async fn run(mut self, mut commands: mpsc::Receiver<Command>) {
        let mut buffer = vec![0; DATAGRAM_BYTES];
        let (delayed, mut due) = mpsc::channel(1024);
        loop {
            self.drain(&delayed).await;
            let deadline = self.endpoint.poll_timeout().unwrap_or_else(|| now() + Duration::from_secs(60));
            tokio::select! {
                received = self.socket.recv_from(&mut buffer) => {
                    if let Ok((length, source)) = received {
                        self.endpoint.handle_datagram(now(), source, &buffer[..length]);
                    }
                }
                command = commands.recv() => match command {
                    Some(Command::Vanish) | None => return,
                    Some(command) => self.obey(command).await,
                },
                Some(call) = due.recv() => self.answer(call),
                () = sleep_until(deadline.into()) => self.endpoint.handle_timeout(now()),
            }
        }
    }

    async fn obey(&mut self, command: Command) {
        match command {
            Command::Call { user, id } => {
                let placed = self.place(user);
                id.send(placed).ok();
            }
            Command::Ring { call } => self.endpoint.ringing(now(), call, Vec::new()),
            Command::Answer { call } => self.answer(call),
            Command::Refuse { call, status, q850 } => self.refuse(call, status, q850),
            Command::HangUp { call } => {
                self.endpoint.hang_up(now(), call, Some(Reason::q850(16, "Normal call clearing")));
                self.calls.remove(&call);
            }
            Command::Mute { muted } => {
                self.options.muted = muted;
                for sound in self.calls.values() {
                    sound.send(ToSound::Mute(muted)).await.ok();
                }
            }
            Command::Answering(answering) => self.options.answering = answering,
            Command::Vanish => {}
        }
    }

    async fn drain(&mut self, delayed: &mpsc::Sender<CallId>) {
        loop {
            while let Some(transmit) = self.endpoint.poll_transmit() {
                self.socket.send_to(&transmit.contents, transmit.destination.address).await.ok();
            }
            let Some(event) = self.endpoint.poll_event() else { return };
            self.happened(event, delayed);
        }
    }

    fn happened(&mut self, event: Told, delayed: &mpsc::Sender<CallId>) {
        match event {
            Told::Incoming { call, dialled, from_user, from_display, headers, .. } => {
                self.tell(Event::Incoming(Incoming { call, dialled, from_user, from_display, headers }));
                self.called(call, delayed);
            }
            Told::Ringing { call } => self.tell(Event::Ringing { call }),
            Told::Answered { call, remote } => {
                self.connect(call, &remote);
                self.tell(Event::Answered { call });
            }
            Told::MediaChanged { call, remote } => self.connect(call, &remote),
            Told::Refused { call, status, reason, retry_after_s, .. } => {
                self.calls.remove(&call);
                self.tell(Event::Refused { call, status, reason, retry_after_s });
            }
            Told::HungUp { call, reason } => {
                self.calls.remove(&call);
                self.tell(Event::HungUp { call, reason });
            }
            Told::Cancelled { call, reason } => {
                self.calls.remove(&call);
                self.tell(Event::Cancelled { call, reason });
            }
            Told::PeerReachable(up) => self.tell(Event::LineUp(up)),
            Told::EarlyMedia { .. }
            | Told::Replaces { .. }
            | Told::Replaced { .. }
            | Told::Refer { .. }
            | Told::Info { .. }
            | Told::InfoRefused { .. }
            | Told::AddressReachable { .. }
            | Told::Registration(_)
            | Told::Guessed { .. }
            | Told::Proven { .. }
            | Told::ProofRefused { .. }
            | Told::ProofTaken
            | Told::TurnedAway { .. }
            | Told::Stranger { .. } => {}
        }
    }

    fn called(&mut self, call: CallId, delayed: &mpsc::Sender<CallId>) {
        match self.options.answering.clone() {
            Answering::After(Duration::ZERO) => self.answer(call),
            Answering::After(pause) => {
                self.endpoint.ringing(now(), call, Vec::new());
                let delayed = delayed.clone();
                tokio::spawn(async move {
                    tokio::time::sleep(pause).await;
                    delayed.send(call).await.ok();
                });
            }
            Answering::Refuses(status, q850) => self.refuse(call, status, q850),
            Answering::Rings => self.endpoint.ringing(now(), call, Vec::new()),
            Answering::Silent => {}
        }
    }

    fn place(&mut self, user: String) -> anyhow::Result<CallId> {
        let (sound, audio) = self.open_sound()?;
        let invite = Invite {
            to_user: user,
            from_user: self.options.user.clone(),
            display_name: "Desk".to_owned(),
            private: false,
            headers: Vec::new(),
            audio,
        };
        let call = self.endpoint.invite(now(), invite);
        self.begin(call, sound);
        Ok(call)
    }

    fn answer(&mut self, call: CallId) {
        if self.calls.contains_key(&call) {
            return;
        }
        let Ok((sound, audio)) = self.open_sound() else {
            self.refuse(call, 500, None);
            return;
        };
        if let Some(remote) = self.endpoint.answer(now(), call, audio, Vec::new()) {
            self.begin(call, sound);
            self.connect(call, &remote);
            self.tell(Event::Answered { call });
        }
    }

    fn refuse(&mut self, call: CallId, status: u16, q850: Option<u16>) {
        let reason = q850.map(|cause| Reason::q850(cause, ""));
        self.endpoint.reject(now(), call, Rejection { status, phrase: None, reason, retry_after_s: None });
    }

    fn open_sound(&self) -> anyhow::Result<(Mouth, LocalAudio)> {
        let (mouth, rtp) = match &self.options.ends {
            Some(ends) => {
                let (number, rtp) = ends.trunk();
                (Mouth::Elsewhere(ends.clone(), number), rtp.into())
            }
            None => {
                let socket = std::net::UdpSocket::bind((self.options.address, 0))?;
                socket.set_nonblocking(true)?;
                let rtp = socket.local_addr()?;
                (Mouth::Own(UdpSocket::from_std(socket)?), rtp)
            }
        };
        let codecs = vec![spoken(self.options.codec)];
        // What is measured is what PBXs agree on: whoever takes no events has the gateway listen for keys in the sound.
        let telephone_event = self.options.ends.is_some();
        Ok((mouth, LocalAudio { rtp, rtcp: None, rtcp_mux: false, codecs, telephone_event }))
    }

    fn begin(&mut self, call: CallId, mouth: Mouth) {
        let Ok(seed) = random() else { return };
        let (to_sound, orders) = mpsc::channel(64);
        match mouth {
            Mouth::Own(socket) => {
                let sound = Sound::new(call, socket, &self.options, seed, self.heard.clone());
                tokio::spawn(sound.run(orders));
            }
            Mouth::Elsewhere(ends, number) => drop(tokio::spawn(elsewhere(ends, number, orders))),
        }
        self.calls.insert(call, to_sound);
    }

    fn connect(&self, call: CallId, remote: &RemoteAudio) {
        if let Some(sound) = self.calls.get(&call) {
            let payload_type = remote.payload_type;
            sound.try_send(ToSound::Remote { rtp: remote.rtp, payload_type, listens: remote.listens() }).ok();
        }
    }

    fn tell(&self, event: Event) {
        self.say.try_send(event).ok();
    }
}

fn spoken(codec: Codec) -> &'static tgtrunk_media::Codec {
    match codec {
        Codec::Pcma => &codec::PCMA,
        Codec::Pcmu => &codec::PCMU,
        Codec::G722 => &codec::G722,
        Codec::L16 => &codec::L16,
        Codec::Opus => &codec::OPUS,
    }
}

/// Who talks in a call.
enum Mouth {
    Own(UdpSocket),
    Elsewhere(Ends, u16),
}

async fn elsewhere(ends: Ends, number: u16, mut orders: mpsc::Receiver<ToSound>) {
    while let Some(order) = orders.recv().await {
        if let ToSound::Remote { rtp: SocketAddr::V4(rtp), payload_type, .. } = order {
            ends.connect_trunk(number, rtp, payload_type);
        }
    }
}

fn random() -> anyhow::Result<[u8; 32]> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).ok().context("the system has random bytes")?;
    Ok(seed)
}
