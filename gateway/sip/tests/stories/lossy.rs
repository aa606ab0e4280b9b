//! Two lines call each other through a network that loses, doubles, delays and reorders.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use tgtrunk_sip::{Availability, CallId, Config, Endpoint, Event, Memory, Rejection};

use crate::world::{Chance, invite, local_audio, seconds};

#[test]
fn every_call_ends_once_on_both_sides_whatever_the_network_does() {
    for seed in 0..90 {
        let loss_percent = [0, 10, 30][usize::try_from(seed % 3).unwrap()];
        let mut network = Network::new(seed, loss_percent);
        for _ in 0..20 {
            let pause = network.chance(1500);
            network.run(Duration::from_millis(pause));
            let (line, now) = (&mut network.lines[0], network.now);
            let call = line.invite(now, invite());
            network.drain(0);
            network.open[0].insert(call);
        }
        network.run(seconds(60));
        network.hang_up_everything();
        network.run(seconds(200));
        assert!(network.open.iter().all(BTreeSet::is_empty), "seed {seed}: {:?} never ended", network.open);
        for line in &mut network.lines {
            line.handle_timeout(network.now);
            assert_eq!(line.memory(), Memory::default(), "seed {seed}");
        }
        let answered = network.answered;
        assert!(answered > 0, "seed {seed}: no call was ever answered");
        if loss_percent == 0 {
            assert_eq!(network.lonely, 0, "seed {seed}: answered on one side only, without loss");
        }
    }
}

struct Network {
    seed: u64,
    random: Chance,
    loss_percent: usize,
    now: Instant,
    lines: [Endpoint; 2],
    /// On the way: arrival, a number against ties, to whom, what.
    air: BTreeMap<(Instant, u64), (usize, Vec<u8>)>,
    sent: u64,
    /// Calls that have not ended yet, per line.
    open: [BTreeSet<CallId>; 2],
    /// What the called side will do, and when.
    plans: Vec<(Instant, CallId, Plan)>,
    answered: usize,
    lonely: usize,
}

#[derive(Clone, Copy)]
enum Plan {
    Ring,
    Answer,
    Refuse,
    HangUp,
}

impl Network {
    fn new(seed: u64, loss_percent: usize) -> Self {
        let now = Instant::now();
        let line = |at: u16, peer: u16| {
            let config = Config {
                local: ([127, 0, 0, 1], at).into(),
                announced: ([127, 0, 0, 1], at).into(),
                peer: ([127, 0, 0, 1], peer).into(),
                transport: tgtrunk_sip::Transport::Udp,
                srtp: tgtrunk_sip::Srtp::Off,
                more_peers: Vec::new(),
                domain: None,
                failover: seconds(4),
                line_user: "1".to_owned(),
                user_agent: String::new(),
                allowed: Vec::new(),
                any_source: false,
                guard: None,
                codecs: vec![&tgtrunk_media::codec::OPUS],
                peer_names: Vec::new(),
                refer: true,
                new_calls_per_second: 0,
                max_calls: 100,
                options_interval: seconds(100_000),
                ring_limit: seconds(20),
                session_interval_s: 1800,
                credentials: None,
                register: None,
                seed: [u8::try_from(at % 100).unwrap(); 32],
            };
            let mut line = Endpoint::new(config, now);
            line.set_availability(Availability::Up);
            line
        };
        Self {
            seed,
            random: Chance::new(seed),
            loss_percent,
            now,
            lines: [line(30_001, 30_002), line(30_002, 30_001)],
            air: BTreeMap::new(),
            sent: 0,
            open: Default::default(),
            plans: Vec::new(),
            answered: 0,
            lonely: 0,
        }
    }

    fn chance(&mut self, below: u64) -> u64 {
        u64::try_from(self.random.below(usize::try_from(below).unwrap())).unwrap()
    }

    fn run(&mut self, time: Duration) {
        let until = self.now + time;
        loop {
            let timers = self.lines.iter_mut().filter_map(Endpoint::poll_timeout);
            let arrivals = self.air.keys().next().map(|(at, _)| *at);
            let plans = self.plans.iter().map(|(at, ..)| *at).min();
            let Some(at) = timers.chain(arrivals).chain(plans).min().filter(|at| *at <= until) else { break };
            self.now = self.now.max(at);
            self.deliver();
            self.follow_plans();
            for side in 0..2 {
                self.lines[side].handle_timeout(self.now);
                self.drain(side);
            }
        }
        self.now = until;
    }

    fn deliver(&mut self) {
        while let Some(entry) = self.air.first_entry().filter(|entry| entry.key().0 <= self.now) {
            let (side, datagram) = entry.remove();
            let source = ([127, 0, 0, 1], if side == 0 { 30_002 } else { 30_001 }).into();
            self.lines[side].handle_datagram(self.now, source, &datagram);
            self.drain(side);
        }
    }

    fn follow_plans(&mut self) {
        let (due, later): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.plans).into_iter().partition(|(at, ..)| *at <= self.now);
        self.plans = later;
        for (_, call, plan) in due {
            let (line, now) = (&mut self.lines[1], self.now);
            match plan {
                Plan::Ring => line.ringing(now, call, Vec::new()),
                Plan::Answer => {
                    line.answer(now, call, local_audio(), Vec::new());
                }
                Plan::Refuse => {
                    let rejection =
                        Rejection { status: 486, phrase: None, reason: None, retry_after_s: None };
                    line.reject(now, call, rejection);
                    self.open[1].remove(&call);
                }
                Plan::HangUp => {
                    line.hang_up(now, call, None);
                    self.open[1].remove(&call);
                }
            }
            self.drain(1);
        }
    }

    fn drain(&mut self, side: usize) {
        while let Some(transmit) = self.lines[side].poll_transmit() {
            let copies = 1 + usize::from(self.random.below(20) == 0);
            for _ in 0..copies {
                if self.random.below(100) >= self.loss_percent {
                    let delay = Duration::from_millis(self.chance(200));
                    self.sent += 1;
                    self.air.insert((self.now + delay, self.sent), (1 - side, transmit.contents.clone()));
                }
            }
        }
        while let Some(event) = self.lines[side].poll_event() {
            self.note(side, event);
        }
    }

    fn note(&mut self, side: usize, event: Event) {
        match event {
            Event::Incoming { call, .. } => {
                self.open[side].insert(call);
                let at =
                    |network: &mut Self, limit| network.now + Duration::from_millis(network.chance(limit));
                let ring = at(self, 1000);
                self.plans.push((ring, call, Plan::Ring));
                let next = at(self, 8000);
                let plan = if self.chance(4) == 0 { Plan::Refuse } else { Plan::Answer };
                self.plans.push((next, call, plan));
                if self.chance(3) == 0 {
                    let end = at(self, 20_000);
                    self.plans.push((end, call, Plan::HangUp));
                }
            }
            Event::Answered { .. } => self.answered += 1,
            Event::Refused { call, .. } | Event::HungUp { call, .. } | Event::Cancelled { call, .. } => {
                assert!(
                    self.open[side].remove(&call),
                    "seed {}: {call:?} ended twice on side {side}",
                    self.seed
                );
            }
            Event::Ringing { .. }
            | Event::EarlyMedia { .. }
            | Event::MediaChanged { .. }
            | Event::Info { .. }
            | Event::InfoRefused { .. }
            | Event::PeerReachable(_) => {}
            Event::TurnedAway { .. }
            | Event::Replaces { .. }
            | Event::Replaced { .. }
            | Event::Refer { .. } => panic!("{event:?}"),
            Event::Stranger { source, .. } => panic!("{source}"),
            Event::AddressReachable { .. }
            | Event::Registration(_)
            | Event::Guessed { .. }
            | Event::Proven { .. }
            | Event::ProofRefused { .. }
            | Event::ProofTaken => panic!("{event:?}"),
        }
    }

    fn hang_up_everything(&mut self) {
        if self.loss_percent == 0 {
            self.lonely = self.open[1].len().abs_diff(self.open[0].len());
        }
        for side in 0..2 {
            for call in self.open[side].clone() {
                let (line, now) = (&mut self.lines[side], self.now);
                line.hang_up(now, call, None);
                // A call of ours that was not answered is told when its INVITE has ended; all of them have by now.
                self.open[side].remove(&call);
                self.drain(side);
            }
        }
    }
}
