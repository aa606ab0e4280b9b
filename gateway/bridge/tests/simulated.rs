//! Whole calls without a network: two far ends with moods of their own, links that delay, and a clock that jumps from
//! one event to the next. And, less polite, calls that hear anything at any time.

#![allow(clippy::disallowed_methods)] // tests begin somewhere in time

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use tgtrunk_bridge::{Action, Call, Cause, EarlyAnswer, Event, Leg, ParallelIncoming, Record, Settings};

const CALLS: u64 = 20_000;

#[test]
fn calls_between_moody_far_ends_always_end_for_both() {
    let mut joined = 0;
    let mut early = 0;
    let mut fetched = 0;
    let mut crossed = 0;
    for seed in 0..CALLS {
        let mut world = World::new(seed);
        world.run();
        let World { caller, callee, record, .. } = &world;
        let Some(record) = record else { panic!("seed {seed}: no end") };
        for far in [caller, callee] {
            assert!(!far.alive, "seed {seed}: {:?} is still in the call", far.leg);
        }
        assert!(world.worst_lag <= Duration::from_millis(50), "seed {seed}: {:?}", world.worst_lag);
        assert!(record.talked <= record.lasted, "seed {seed}: {record:?}");
        joined += u64::from(world.joined);
        early += u64::from(world.joined_early && world.joined);
        fetched += u64::from(world.fetched && world.joined);
        crossed += u64::from(world.hung_up_again);
    }
    // The moods must have led to what they are meant to try.
    assert!(joined > CALLS / 10, "{joined} calls talked");
    assert!(early > CALLS / 100, "{early} calls were answered after they were heard");
    assert!(fetched > CALLS / 100, "{fetched} calls to both talked");
    assert!(crossed > CALLS / 100, "{crossed} answers crossed a hang-up");
}

#[test]
fn whatever_a_call_hears_each_leg_gets_one_final_and_nothing_follows_the_end() {
    for seed in 0..CALLS {
        let mut random = Random(seed);
        let start = Instant::now();
        let mut now = start;
        let (mut call, is_fetched) = random.call(now);
        let mut watch = Watch::new(call.caller(), is_fetched, seed);
        watch.drain(&mut call);
        for _ in 0..random.below(40) {
            now += Duration::from_millis(random.below(8000));
            if random.below(3) == 0 || call.poll_timeout().is_some_and(|(at, _)| at <= now) {
                call.handle_timeout(now);
            } else {
                let event = random.event();
                if watch.may_hear(event) {
                    watch.hears(event);
                    call.handle(now, event);
                }
            }
            watch.drain(&mut call);
        }
        if !call.is_ending() {
            call.handle(now, Event::Stop(Cause::Stopping));
            watch.drain(&mut call);
        }
        for _ in 0..3 {
            let Some((at, _)) = call.poll_timeout() else { break };
            call.handle_timeout(at.max(now));
            watch.drain(&mut call);
        }
        watch.check_over(&call);
    }
}

/// What one call was told and did.
struct Watch {
    caller: Leg,
    /// The caller is called by us first.
    is_fetched: bool,
    seed: u64,
    heard: Vec<Event>,
    done: Vec<Action>,
    /// By leg: whether its far end ended it before we did.
    gone: [bool; 2],
    hung_up: [u32; 2],
    may_repeat: [bool; 2],
}

impl Watch {
    fn new(caller: Leg, is_fetched: bool, seed: u64) -> Self {
        Self {
            caller,
            is_fetched,
            seed,
            heard: vec![],
            done: vec![],
            gone: [false; 2],
            hung_up: [0; 2],
            may_repeat: [false; 2],
        }
    }

    /// A leg that was never called neither answers nor ends.
    fn may_hear(&self, event: Event) -> bool {
        match event {
            Event::Answers(leg) | Event::HangsUp(leg, _) | Event::Released(leg) => self.is_there(leg),
            _ => true,
        }
    }

    fn is_there(&self, leg: Leg) -> bool {
        !self.is_fetched || self.done.contains(&Action::Dial(leg))
    }

    fn awaited(&self, leg: Leg) -> bool {
        leg != self.caller || self.is_fetched
    }

    fn hears(&mut self, event: Event) {
        if let Event::HangsUp(leg, _) | Event::Released(leg) = event {
            self.gone[leg as usize] = true;
        }
        if let Event::Answers(leg) = event
            && self.awaited(leg)
            && !self.heard.contains(&event)
            && self.hung_up[leg as usize] == 1
        {
            self.may_repeat[leg as usize] = true;
        }
        self.heard.push(event);
    }

    fn drain(&mut self, call: &mut Call) {
        while let Some(action) = call.poll_action() {
            let seed = self.seed;
            let ended = self.done.iter().any(|action| matches!(action, Action::End(_)));
            assert!(!ended, "seed {seed}: {action:?} after the end");
            match &action {
                Action::HangUp { leg, .. } => {
                    let at = *leg as usize;
                    self.hung_up[at] += 1;
                    let again = self.hung_up[at] == 2 && self.may_repeat[at];
                    assert!(
                        self.hung_up[at] == 1 || again,
                        "seed {seed}: {leg:?} hung up {} times",
                        self.hung_up[at]
                    );
                    assert!(!self.gone[at], "seed {seed}: {leg:?} was gone already");
                }
                Action::RingBack(leg) => {
                    assert!(self.is_fetched && *leg == self.caller, "seed {seed}");
                    assert!(
                        self.heard.contains(&Event::Answers(*leg)),
                        "seed {seed}: nobody is there to hear it"
                    );
                    self.assert_first(&action);
                }
                Action::Answer(leg) => {
                    assert!(*leg == self.caller && !self.is_fetched, "seed {seed}");
                    let causes: &[Event] = match leg {
                        Leg::Trunk => &[Event::MediaUp(Leg::Telegram)],
                        Leg::Telegram => &[
                            Event::Answers(Leg::Trunk),
                            Event::EarlyMedia(Leg::Trunk),
                            Event::Rings(Leg::Trunk),
                        ],
                    };
                    let known = causes.iter().any(|cause| self.heard.contains(cause));
                    assert!(known, "seed {seed}: answered without any of {causes:?}");
                    self.assert_first(&action);
                }
                Action::TellRinging(leg) => {
                    assert!(*leg == self.caller && !self.is_fetched, "seed {seed}");
                    assert!(
                        *leg == Leg::Telegram || self.heard.contains(&Event::Rings(Leg::Telegram)),
                        "seed {seed}: told of ringing that nobody heard"
                    );
                    self.assert_first(&action);
                }
                Action::Join => {
                    let is_there = if self.is_fetched {
                        self.heard.contains(&Event::Answers(self.caller))
                    } else {
                        self.done.contains(&Action::Answer(self.caller))
                    };
                    assert!(is_there, "seed {seed}: joined unanswered");
                    self.assert_first(&action);
                }
                Action::JoinEarly => {
                    assert!(self.done.contains(&Action::Answer(Leg::Telegram)), "seed {seed}: too early");
                    assert!(!self.done.contains(&Action::Join), "seed {seed}: early after the answer");
                    self.assert_first(&action);
                }
                Action::Dial(leg) if *leg == self.caller => {
                    assert!(self.is_fetched && self.done.is_empty(), "seed {seed}: fetched late");
                }
                Action::Dial(leg) => {
                    let before: &[Action] = if self.is_fetched {
                        assert!(self.heard.contains(&Event::Answers(self.caller)), "seed {seed}: too early");
                        &[Action::Dial(self.caller), Action::RingBack(self.caller)]
                    } else {
                        &[]
                    };
                    assert_eq!(self.done, before, "seed {seed}: {leg:?} dialled late");
                }
                Action::End(_) => {}
            }
            self.done.push(action);
        }
        if call.is_ending() {
            for leg in Leg::BOTH {
                let at = leg as usize;
                assert!(
                    self.gone[at] || self.hung_up[at] > 0 || !self.is_there(leg),
                    "seed {}: {leg:?} outlives its partner",
                    self.seed
                );
            }
        }
    }

    fn assert_first(&self, action: &Action) {
        assert!(!self.done.contains(action), "seed {}: {action:?} twice", self.seed);
        assert_eq!(self.hung_up, [0, 0], "seed {}: {action:?} after a hang-up", self.seed);
    }

    fn check_over(&self, call: &Call) {
        let ends = self.done.iter().filter(|action| matches!(action, Action::End(_))).count();
        assert_eq!(
            (ends, call.stage(), call.poll_timeout()),
            (1, "over", None),
            "seed {}: {:?}",
            self.seed,
            self.heard
        );
    }
}

/// A call, its two far ends and what is on the way between them.
struct World {
    seed: u64,
    now: Instant,
    random: Random,
    call: Call,
    caller: Far,
    callee: Far,
    /// By time, then by the order of sending.
    on_the_way: BTreeMap<(Instant, u64), Message>,
    sent: u64,
    first_end: Option<Instant>,
    worst_lag: Duration,
    joined: bool,
    joined_early: bool,
    fetched: bool,
    hung_up_again: bool,
    hung_up: [bool; 2],
    record: Option<Record>,
}

/// The person and the network on one side.
struct Far {
    leg: Leg,
    alive: bool,
}

enum Message {
    ToCall(Event),
    ToFar(Leg, Order),
    /// A far end's own decision.
    Mood(Leg, Mood),
}

enum Order {
    Dial,
    Answer,
    HangUp,
}

enum Mood {
    Rings,
    Plays,
    Answers,
    Sounds,
    Quits,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut random = Random(seed);
        let now = Instant::now();
        let (call, is_fetched) = random.call(now);
        let leg = call.caller();
        let caller = Far { leg, alive: !is_fetched };
        let callee = Far { leg: leg.other(), alive: false };
        let mut world = Self {
            seed,
            now,
            random,
            call,
            caller,
            callee,
            on_the_way: BTreeMap::new(),
            sent: 0,
            first_end: None,
            worst_lag: Duration::ZERO,
            joined: false,
            joined_early: false,
            fetched: false,
            hung_up_again: false,
            hung_up: [false; 2],
            record: None,
        };
        if !is_fetched && world.random.below(2) == 0 {
            let patience = world.random.below(60_000);
            world.send(patience, Message::Mood(leg, Mood::Quits));
        }
        world
    }

    fn run(&mut self) {
        for _ in 0..10_000 {
            self.act();
            let due = self.call.poll_timeout().map(|(at, _)| at);
            let next = self.on_the_way.keys().next().map(|(at, _)| *at);
            match (next, due) {
                (Some(next), due) if due.is_none_or(|due| next <= due) => {
                    self.now = next;
                    if let Some((_, message)) = self.on_the_way.pop_first() {
                        self.deliver(message);
                    }
                }
                (_, Some(due)) => {
                    self.now = due;
                    self.call.handle_timeout(due);
                }
                (_, None) if self.record.is_some() => return,
                // Both are content and talk: an operator ends it.
                (_, None) => self.call.handle(self.now, Event::Stop(Cause::Normal)),
            }
        }
        panic!("seed {}: the call goes on for ever", self.seed);
    }

    fn act(&mut self) {
        while let Some(action) = self.call.poll_action() {
            match action {
                Action::Dial(leg) => self.send_far(leg, Order::Dial),
                Action::Answer(leg) => self.send_far(leg, Order::Answer),
                Action::HangUp { leg, .. } => {
                    let again = std::mem::replace(&mut self.hung_up[leg as usize], true);
                    self.hung_up_again |= again;
                    self.send_far(leg, Order::HangUp);
                }
                Action::Join => self.joined = true,
                Action::JoinEarly => self.joined_early = true,
                Action::RingBack(_) => self.fetched = true,
                Action::TellRinging(_) => {}
                Action::End(record) => self.record = Some(record),
            }
        }
    }

    fn deliver(&mut self, message: Message) {
        match message {
            Message::ToCall(event) => self.call.handle(self.now, event),
            Message::ToFar(leg, order) => self.obey(leg, order),
            Message::Mood(leg, mood) => self.feel(leg, mood),
        }
    }

    fn obey(&mut self, leg: Leg, order: Order) {
        match order {
            Order::Dial => {
                self.far(leg).alive = true;
                self.send_call(Event::Proceeds(leg));
                let (ring, answer, quit) =
                    (self.random.below(6000), self.random.below(30_000), self.random.below(60_000));
                if self.random.below(8) != 0 {
                    self.send(ring, Message::Mood(leg, Mood::Rings));
                }
                if self.random.below(3) == 0 {
                    self.send(ring / 2, Message::Mood(leg, Mood::Plays));
                }
                if self.random.below(4) != 0 {
                    self.send(answer, Message::Mood(leg, Mood::Answers));
                }
                if self.random.below(2) == 0 {
                    self.send(quit, Message::Mood(leg, Mood::Quits));
                }
            }
            Order::Answer if leg == Leg::Telegram && self.far(leg).alive => {
                let handshake = self.random.below(3000);
                self.send(handshake, Message::Mood(leg, Mood::Sounds));
            }
            Order::Answer => {}
            Order::HangUp => {
                if self.far(leg).alive {
                    self.end(leg);
                }
                self.send_call(Event::Released(leg));
            }
        }
    }

    fn feel(&mut self, leg: Leg, mood: Mood) {
        if !self.far(leg).alive {
            return;
        }
        match mood {
            Mood::Rings => self.send_call(Event::Rings(leg)),
            Mood::Plays => self.send_call(Event::EarlyMedia(leg)),
            Mood::Answers => {
                self.send_call(Event::Answers(leg));
                if self.random.below(8) == 0 {
                    self.send(0, Message::Mood(leg.other(), Mood::Quits)); // impatient in the same instant
                }
                if leg == Leg::Telegram && self.random.below(10) != 0 {
                    let handshake = self.random.below(3000);
                    self.send(handshake, Message::Mood(leg, Mood::Sounds));
                }
            }
            Mood::Sounds => self.send_call(Event::MediaUp(leg)),
            Mood::Quits => {
                self.end(leg);
                self.send_call(Event::HangsUp(leg, Cause::Normal));
            }
        }
    }

    fn end(&mut self, leg: Leg) {
        self.far(leg).alive = false;
        let now = self.now;
        match self.first_end {
            None => self.first_end = Some(now),
            Some(first) => self.worst_lag = self.worst_lag.max(now - first),
        }
    }

    fn far(&mut self, leg: Leg) -> &mut Far {
        if self.caller.leg == leg { &mut self.caller } else { &mut self.callee }
    }

    fn send_call(&mut self, event: Event) {
        // A far end's own words may overtake each other, as Telegram's updates do.
        let delay = 20 + self.random.below(5);
        self.send(delay, Message::ToCall(event));
    }

    fn send_far(&mut self, leg: Leg, order: Order) {
        self.send(25, Message::ToFar(leg, order));
    }

    fn send(&mut self, delay_ms: u64, message: Message) {
        self.sent += 1;
        self.on_the_way.insert((self.now + Duration::from_millis(delay_ms), self.sent), message);
    }
}

/// SplitMix64.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ mixed >> 31) % limit
    }

    fn leg(&mut self) -> Leg {
        Leg::BOTH[self.below(2) as usize]
    }

    /// A call of some kind, and whether its caller is called first.
    fn call(&mut self, now: Instant) -> (Call, bool) {
        let settings = self.settings();
        match self.below(3) {
            0 => (Call::to_both(settings, now), true),
            _ => (Call::new(self.leg(), settings, now), false),
        }
    }

    fn settings(&mut self) -> Settings {
        let rules = [ParallelIncoming::Auto, ParallelIncoming::Always, ParallelIncoming::Off];
        let early = [EarlyAnswer::Off, EarlyAnswer::EarlyMedia, EarlyAnswer::Ringing];
        Settings {
            parallel_incoming: rules[self.below(3) as usize],
            early_answer: early[self.below(3) as usize],
            ..Settings::default()
        }
    }

    fn event(&mut self) -> Event {
        let leg = self.leg();
        match self.below(26) {
            24..26 => Event::EarlyMedia(leg),
            0..4 => Event::Rings(leg),
            4..6 => Event::Proceeds(leg),
            6..11 => Event::Answers(leg),
            11..15 => Event::MediaUp(leg),
            15..17 => Event::MediaDown(leg),
            17..20 => Event::HangsUp(leg, Cause::Normal),
            20 => Event::Fails(leg, Cause::MediaLost),
            21 => Event::Stop(Cause::Stopping),
            _ => Event::Released(leg),
        }
    }
}
