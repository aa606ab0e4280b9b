//! A line on a real socket: the smallest shell that an endpoint can have.

use std::net::{SocketAddr, UdpSocket};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tgtrunk_media::codec::OPUS;
use tgtrunk_sip::{
    Availability, CallId, Config, Endpoint, Event, Invite, LocalAudio, Memory, Reason, Rejection,
};

/// A line in a thread of its own. It rings and answers every call, but refuses the one to `busy` and lets the one
/// to `ringing` ring.
pub(crate) struct Line {
    pub(crate) address: SocketAddr,
    /// Where audio of its calls arrives.
    pub(crate) rtp: UdpSocket,
    pub(crate) events: Receiver<Event>,
    orders: Sender<Order>,
    thread: Option<JoinHandle<Memory>>,
}

enum Order {
    Invite,
    HangUp(CallId),
    Stop,
}

impl Line {
    pub(crate) fn start(peer: SocketAddr) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let rtp = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        let audio = LocalAudio {
            rtp: rtp.local_addr().unwrap(),
            codecs: vec![&OPUS],
            rtcp: None,
            rtcp_mux: false,
            telephone_event: false,
        };
        let config = Config {
            local: address,
            announced: address,
            codecs: vec![&OPUS],
            peer,
            transport: tgtrunk_sip::Transport::Udp,
            srtp: tgtrunk_sip::Srtp::Off,
            more_peers: Vec::new(),
            domain: None,
            failover: Duration::from_secs(4),
            line_user: "+74950000001".to_owned(),
            user_agent: "tgtrunk".to_owned(),
            allowed: Vec::new(),
            peer_names: Vec::new(),
            refer: true,
            any_source: false,
            guard: None,
            new_calls_per_second: 0,
            max_calls: 500,
            options_interval: Duration::from_secs(3600),
            ring_limit: Duration::from_secs(60),
            session_interval_s: 1800,
            credentials: None,
            register: None,
            seed: [3; 32],
        };
        let (orders, inbox) = channel();
        let (told, events) = channel();
        let thread = std::thread::spawn(move || run(&socket, config, &audio, &inbox, &told));
        Self { address, rtp, events, orders, thread: Some(thread) }
    }

    pub(crate) fn invite(&self) {
        self.orders.send(Order::Invite).unwrap();
    }

    pub(crate) fn hang_up(&self, call: CallId) {
        self.orders.send(Order::HangUp(call)).unwrap();
    }

    #[track_caller]
    pub(crate) fn event(&self) -> Event {
        loop {
            match self.events.recv_timeout(Duration::from_secs(10)).expect("an event within 10 s") {
                Event::PeerReachable(_) => {}
                event => return event,
            }
        }
    }

    /// Stops the line, some minutes later on its clock. Gives what it then still remembers.
    pub(crate) fn stop(mut self) -> Memory {
        self.orders.send(Order::Stop).unwrap();
        self.thread.take().unwrap().join().unwrap()
    }
}

fn run(
    socket: &UdpSocket,
    config: Config,
    audio: &LocalAudio,
    orders: &Receiver<Order>,
    told: &Sender<Event>,
) -> Memory {
    let mut line = Endpoint::new(config, Instant::now());
    line.set_availability(Availability::Up);
    let mut buffer = [0; 65_536];
    loop {
        for order in orders.try_iter() {
            match order {
                Order::Invite => {
                    line.invite(Instant::now(), invite(audio));
                }
                Order::HangUp(call) => {
                    line.hang_up(Instant::now(), call, Some(Reason::q850(16, "Normal clearing")))
                }
                Order::Stop => {
                    // Minutes later nothing may be left but an OPTIONS that happens to be on its way.
                    let minutes = (1..5).map(|count| Instant::now() + Duration::from_secs(60 * count));
                    let memories = minutes.map(|now| {
                        line.handle_timeout(now);
                        line.memory()
                    });
                    return memories
                        .min_by_key(|memory| (memory.transactions, memory.invites))
                        .unwrap_or_default();
                }
            }
        }
        line.handle_timeout(Instant::now());
        drain(&mut line, socket, audio, told);
        let wait = line
            .poll_timeout()
            .map_or(Duration::from_millis(5), |at| at.saturating_duration_since(Instant::now()));
        let wait = wait.clamp(Duration::from_micros(100), Duration::from_millis(5));
        socket.set_read_timeout(Some(wait)).unwrap();
        if let Ok((length, source)) = socket.recv_from(&mut buffer) {
            line.handle_datagram(Instant::now(), source, &buffer[..length]);
            drain(&mut line, socket, audio, told);
        }
    }
}

fn drain(line: &mut Endpoint, socket: &UdpSocket, audio: &LocalAudio, told: &Sender<Event>) {
    while let Some(event) = line.poll_event() {
        if let Event::Incoming { call, dialled, .. } = &event {
            let now = Instant::now();
            match dialled.as_str() {
                "busy" => line.reject(now, *call, busy()),
                "ringing" => line.ringing(now, *call, Vec::new()),
                _ => {
                    line.ringing(now, *call, Vec::new());
                    line.answer(now, *call, audio.clone(), Vec::new());
                }
            }
        }
        let _ = told.send(event);
    }
    while let Some(transmit) = line.poll_transmit() {
        // SIPp takes an OPTIONS for one of its calls.
        if !transmit.contents.starts_with(b"OPTIONS ") {
            // A peer that is gone already shows as an error of a later call.
            let _ = socket.send_to(&transmit.contents, transmit.destination.address);
        }
    }
}

fn invite(audio: &LocalAudio) -> Invite {
    Invite {
        to_user: "100".to_owned(),
        from_user: "+79061112233".to_owned(),
        display_name: "Иван \"x\"".to_owned(),
        private: false,
        headers: vec![("X-TG-ID".to_owned(), "5".to_owned())],
        audio: audio.clone(),
    }
}

fn busy() -> Rejection {
    Rejection { status: 486, phrase: None, reason: Some(Reason::q850(17, "User busy")), retry_after_s: None }
}
