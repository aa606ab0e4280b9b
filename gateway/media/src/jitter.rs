//! The jitter buffer of a direction that is decoded: packets wait until the playout clock needs them (RFC 3550 section 6.4.1).
//!
//! It holds no clock and decodes nothing. The delay is what the stream needs and no more: a buffer that ran dry plays on
//! later, packets that came late or nearly so ask for stretching, seconds in which every packet came early ask for
//! shortening. A drifting clock of the sender is followed by the same means.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::slack::Slack;

/// Packets that may wait.
const MOST_PACKETS: usize = 64;
/// Sound that may wait before the oldest is given up.
const LONGEST: Duration = Duration::from_secs(1);
/// No stretching for a stream that needs a longer delay.
const FILL_LIMIT: Duration = Duration::from_millis(400);
/// How long nothing is hidden any more: then it is silent.
const HIDDEN_LIMIT: Duration = Duration::from_millis(100);
/// A hole beyond this is a pause, not a loss.
const PAUSE: Duration = Duration::from_millis(300);
/// The least slack that is left alone.
const SLACK_LOW: Duration = Duration::from_millis(4);
/// The least slack of many seconds beyond which playout hurries.
const SLACK_HIGH: Duration = Duration::from_millis(25);
/// The same when a few seconds must suffice.
const SLACK_EXCESS: Duration = Duration::from_millis(100);
/// What one very late packet may ask for.
const LATEST: Duration = Duration::from_millis(120);

/// Where playout stands when a packet comes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cue {
    /// When the next frame is due.
    pub(crate) due: Instant,
    /// How long a frame is, in ticks.
    pub(crate) frame: u32,
    /// Sound that is decoded already and waits for its frame, in ticks.
    pub(crate) ahead: u32,
}

/// What playout does next.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step<'a> {
    /// Decode this payload; its first `skip` ticks have been hidden already.
    Sound { payload: &'a [u8], skip: u32 },
    /// Hide `ticks` of sound that did not come. `next` follows directly, if it is there.
    Hide { ticks: u32, next: Option<&'a [u8]> },
    /// There is nothing to hear.
    Silence,
}

/// Whether playout should change its pace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pace {
    Keep,
    Stretch,
    Shorten,
}

/// What happened to the packets, and how long they waited.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    /// Ticks played from packets.
    pub(crate) played: u64,
    /// Ticks that were hidden.
    pub(crate) hidden: u64,
    /// Packets that came after their turn.
    pub(crate) late: u64,
    /// Packets given up because too many waited.
    pub(crate) overflowed: u64,
}

impl Tally {
    pub(crate) fn plus(self, other: Self) -> Self {
        Self {
            played: self.played + other.played,
            hidden: self.hidden + other.hidden,
            late: self.late + other.late,
            overflowed: self.overflowed + other.overflowed,
        }
    }
}

/// Packets of one stream on their way to the decoder.
#[derive(Debug)]
pub(crate) struct Jitter {
    clock_hz: u32,
    waiting: VecDeque<Slot>,
    spare: Vec<Vec<u8>>,
    playing: Vec<u8>,
    state: State,
    /// Of the newest packet: where the next one is measured from.
    newest: Option<(u32, i64)>,
    /// Timestamp of the next tick to play.
    play_at: i64,
    /// Ticks hidden in a row.
    hidden: u32,
    /// Those of them for which time was won, because nothing waited.
    dry: u32,
    /// How long the first packet after a pause waits, and how long at least.
    fill: u32,
    fill_least: u32,
    slack: Slack,
    tally: Tally,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Nothing waits.
    Idle,
    /// The first packets wait for others.
    Filling {
        until: Instant,
    },
    Playing,
}

#[derive(Debug)]
struct Slot {
    timestamp: i64,
    ticks: u32,
    arrived: Instant,
    payload: Vec<u8>,
}

impl Slot {
    fn end(&self) -> i64 {
        self.timestamp + i64::from(self.ticks)
    }
}

impl Jitter {
    /// A buffer for timestamps of `clock_hz` whose first packet waits for `delay`.
    pub(crate) fn new(clock_hz: u32, delay: Duration) -> Self {
        Self {
            clock_hz,
            waiting: VecDeque::with_capacity(8),
            spare: Vec::new(),
            playing: Vec::new(),
            state: State::Idle,
            newest: None,
            play_at: 0,
            hidden: 0,
            dry: 0,
            fill: ticks(clock_hz, delay),
            fill_least: ticks(clock_hz, delay),
            slack: Slack::new(),
            tally: Tally::default(),
        }
    }

    /// How long packets waited at least in the last seconds.
    pub(crate) fn delay(&self) -> Duration {
        let ticks = self.slack.recent().and_then(|slack| u32::try_from(slack).ok());
        self.time(ticks.unwrap_or(0))
    }

    pub(crate) fn tally(&self) -> Tally {
        self.tally
    }

    /// Whether neither sound nor anything to hide is left.
    pub(crate) fn is_idle(&self) -> bool {
        self.state == State::Idle
    }

    /// A packet came. `ticks` is how long it sounds; its timestamp runs on over breaks of the stream.
    pub(crate) fn put(&mut self, now: Instant, cue: Cue, timestamp: u32, ticks: u32, payload: &[u8]) {
        let timestamp = match self.newest {
            Some((newest, extended)) => extended + i64::from(timestamp.wrapping_sub(newest) as i32),
            None => i64::from(timestamp),
        };
        let begins = self.newest.is_none();
        if self.newest.is_none_or(|(_, extended)| timestamp > extended) {
            self.newest = Some((timestamp as u32, timestamp));
        }
        match self.state {
            State::Idle if begins || timestamp >= self.play_at => {
                self.state = State::Filling { until: now + self.time(self.fill) };
                self.slack = Slack::new();
                self.dry = 0;
            }
            State::Filling { .. } if self.tally.played == 0 => self.play_at = self.play_at.min(timestamp),
            State::Playing if self.dry == 0 => self.note(now, cue, timestamp),
            State::Idle | State::Filling { .. } | State::Playing => {}
        }
        if begins {
            self.play_at = timestamp;
        }
        if timestamp + i64::from(ticks) <= self.play_at {
            self.tally.late += 1;
            return;
        }
        self.insert(now, timestamp, ticks, payload);
        self.limit();
    }

    /// What to do for the next ticks; `due` is when they are played, `frame` how many are played at a time.
    pub(crate) fn step(&mut self, due: Instant, frame: u32) -> Step<'_> {
        let hides = self.tally.played > 0 && self.hidden < self.ticks(HIDDEN_LIMIT);
        if let State::Filling { until } = self.state {
            if due < until {
                return if hides { self.hide_dry(frame) } else { Step::Silence };
            }
            self.state = State::Playing;
            self.play_at = self.waiting.front().map_or(self.play_at, |slot| slot.timestamp.max(self.play_at));
        }
        let pause = self.ticks(PAUSE);
        let Some((begins, arrived)) = self.waiting.front().map(|slot| (slot.timestamp, slot.arrived)) else {
            if hides && self.state == State::Playing {
                return self.hide_dry(frame);
            }
            self.state = State::Idle;
            return Step::Silence;
        };
        let hole = u32::try_from(begins - self.play_at).unwrap_or(0);
        if hole == 0 || self.dry >= hole {
            return self.play();
        }
        if hole > pause {
            self.play_at = begins;
            self.state = State::Filling { until: arrived + self.time(self.fill) };
            self.slack = Slack::new();
            self.dry = 0;
            return self.step(due, frame);
        }
        let missing = hole - self.dry;
        self.play_at = begins;
        self.dry = 0;
        self.hidden = self.hidden.saturating_add(missing);
        self.tally.hidden += u64::from(missing);
        Step::Hide { ticks: missing, next: self.waiting.front().map(|slot| &slot.payload[..]) }
    }

    /// Whether the packet that follows is there.
    pub(crate) fn is_ready(&self) -> bool {
        let front = self.waiting.front();
        self.state == State::Playing && front.is_some_and(|slot| slot.timestamp <= self.play_at)
    }

    /// Ticks hidden in a row until now.
    pub(crate) fn hidden(&self) -> u32 {
        self.hidden
    }

    /// Whether the next frames, of so many ticks, should take more or less time than they sound.
    pub(crate) fn pace(&self, frame: u32) -> Pace {
        if self.state != State::Playing || self.hidden > 0 {
            return Pace::Keep;
        }
        let over = |slack: Option<i64>, limit: Duration| {
            slack.is_some_and(|slack| slack > i64::from(self.ticks(limit)))
        };
        // Slack goes by whole frames: one less must still be enough.
        let high = SLACK_HIGH.max(self.time(frame) + SLACK_LOW);
        let recent = self.slack.recent();
        if recent.is_some() && !over(recent, SLACK_LOW) && self.fill < self.ticks(FILL_LIMIT) {
            Pace::Stretch
        } else if over(self.slack.lasting(), high)
            || self.slack.lasting().is_some() && over(recent, SLACK_EXCESS.max(high))
        {
            Pace::Shorten
        } else {
            Pace::Keep
        }
    }

    /// Playout took `ticks` more time than the sound has, or less if they are below zero.
    pub(crate) fn paced(&mut self, ticks: i64) {
        self.slack.shift(ticks);
        self.put_off(ticks);
    }

    fn put_off(&mut self, ticks: i64) {
        let fill = u32::try_from(i64::from(self.fill) + ticks).unwrap_or(0);
        self.fill = fill.clamp(self.fill_least, self.ticks(FILL_LIMIT));
    }

    /// Measures how long before its turn a packet came.
    fn note(&mut self, now: Instant, cue: Cue, timestamp: i64) {
        let wait = i64::from(ticks(self.clock_hz, cue.due.saturating_duration_since(now)));
        let before = timestamp - self.play_at + i64::from(cue.ahead);
        let frames = before.div_euclid(i64::from(cue.frame.max(1)));
        let slack = wait + frames * i64::from(cue.frame);
        self.slack.note(now, slack.max(-i64::from(self.ticks(LATEST))));
    }

    fn insert(&mut self, now: Instant, timestamp: i64, ticks: u32, payload: &[u8]) {
        let after = self.waiting.iter().rposition(|slot| slot.timestamp <= timestamp);
        if after.is_some_and(|at| self.waiting[at].timestamp == timestamp) {
            return;
        }
        let mut bytes = self.spare.pop().unwrap_or_default();
        bytes.clear();
        bytes.extend_from_slice(payload);
        let slot = Slot { timestamp, ticks, arrived: now, payload: bytes };
        self.waiting.insert(after.map_or(0, |at| at + 1), slot);
    }

    /// Gives the oldest up when too much waits.
    fn limit(&mut self) {
        let longest = i64::from(self.ticks(LONGEST));
        while let (Some(first), Some(last)) = (self.waiting.front(), self.waiting.back())
            && (self.waiting.len() > MOST_PACKETS || last.end() - first.timestamp > longest)
            && self.waiting.len() > 1
        {
            if let Some(slot) = self.waiting.pop_front() {
                self.play_at = self.play_at.max(slot.end());
                self.spare.push(slot.payload);
                self.tally.overflowed += 1;
                self.slack = Slack::new();
            }
        }
    }

    fn play(&mut self) -> Step<'_> {
        let Some(slot) = self.waiting.pop_front() else { return Step::Silence };
        let hole = slot.timestamp - self.play_at;
        let skip = u32::try_from(-hole).unwrap_or(0).min(slot.ticks);
        if self.dry > 0 {
            self.put_off(i64::from(self.dry) - hole.max(0));
        }
        self.play_at = slot.end();
        (self.hidden, self.dry) = (0, 0);
        self.tally.played += u64::from(slot.ticks - skip);
        self.spare.push(std::mem::replace(&mut self.playing, slot.payload));
        Step::Sound { payload: &self.playing, skip }
    }

    /// Hides that a packet is late: the sound waits for it.
    fn hide_dry(&mut self, frame: u32) -> Step<'_> {
        self.hidden = self.hidden.saturating_add(frame);
        self.dry = self.dry.saturating_add(frame);
        self.tally.hidden += u64::from(frame);
        Step::Hide { ticks: frame, next: None }
    }

    fn time(&self, ticks: u32) -> Duration {
        duration(self.clock_hz, ticks)
    }

    fn ticks(&self, time: Duration) -> u32 {
        ticks(self.clock_hz, time)
    }
}

/// How long ticks of a clock last; in 64 bits, since each packet asks for it.
pub(crate) fn duration(clock_hz: u32, ticks: u32) -> Duration {
    Duration::from_nanos(u64::from(ticks) * 1_000_000_000 / u64::from(clock_hz.max(1)))
}

/// A time in ticks of a clock.
pub(crate) fn ticks(clock_hz: u32, time: Duration) -> u32 {
    u32::try_from(long_ticks(clock_hz, time)).unwrap_or(u32::MAX)
}

/// The same without an end; in 64 bits, since each packet asks for it.
pub(crate) fn long_ticks(clock_hz: u32, time: Duration) -> u64 {
    let hz = u64::from(clock_hz);
    time.as_secs().saturating_mul(hz).saturating_add(u64::from(time.subsec_micros()) * hz / 1_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HZ: u32 = 8000;
    const FRAME: u32 = 160;
    const MS: u32 = 8;

    #[test]
    fn a_steady_stream_is_played_whole_after_the_first_delay() {
        let heard = Line::new(20).run(500, |at| Some(at * 20_000));
        assert_eq!(heard.order, (0..500).collect::<Vec<_>>());
        assert_eq!((heard.tally.hidden, heard.tally.late), (FRAME_LIMIT, 0), "only the end is hidden");
    }

    #[test]
    fn packets_that_overtake_each_other_are_put_in_order() {
        let heard = Line::new(20).run(500, |at| Some(at * 20_000 + if at % 7 == 3 { 25_000 } else { 0 }));
        assert_eq!(heard.order, (0..500).collect::<Vec<_>>());
        assert!(heard.tally.hidden <= FRAME_LIMIT + 2 * u64::from(FRAME), "{:?}", heard.tally);
    }

    #[test]
    fn a_lost_packet_is_hidden_once_with_the_next_at_hand_and_costs_no_delay() {
        let heard = Line::new(20).run(500, |at| (at % 10 != 5).then_some(at * 20_000));
        assert_eq!(heard.order.len(), 450);
        assert_eq!(heard.tally.hidden, FRAME_LIMIT + 50 * u64::from(FRAME));
        assert!(heard.with_next >= 49, "{}", heard.with_next);
        assert!(heard.longest_delay_ms <= 60, "{}", heard.longest_delay_ms);
    }

    #[test]
    fn jitter_is_learnt_and_then_nothing_is_late() {
        for seed in 0..20 {
            let mut random = Random(seed);
            let arrivals: Vec<u64> = (0..3000).map(|at| at * 20_000 + random.below(60_000)).collect();
            let heard = Line::new(20).run(3000, |at| Some(arrivals[at as usize]));
            let missed = 3000 - heard.order.len();
            assert!(missed <= 5, "seed {seed}: {missed} packets missed");
            assert!(heard.tally.hidden < 600 * u64::from(MS), "seed {seed}: {:?}", heard.tally);
            assert!(heard.longest_delay_ms < 130, "seed {seed}: {}", heard.longest_delay_ms);
        }
    }

    #[test]
    fn after_a_burst_the_delay_comes_down_again() {
        // Half a second in which nothing comes, then all at once.
        let heard = Line::new(20)
            .run(2500, |at| Some(if (500..525).contains(&at) { 525 * 20_000 } else { at * 20_000 }));
        assert_eq!(heard.order.len(), 2500, "what came late by the network's fault is still heard");
        assert!(
            heard.longest_delay_ms > 200 && heard.last_delay_ms < 60,
            "{} {}",
            heard.longest_delay_ms,
            heard.last_delay_ms
        );
    }

    #[test]
    fn a_sender_whose_clock_drifts_is_followed_for_ten_minutes() {
        for ppm in [-200_i64, -50, 50, 200] {
            let packets = 30_000;
            let heard = Line::new(20).run(packets, |at| {
                let exact = at as i64 * 20_000;
                Some((exact + exact * ppm / 1_000_000) as u64)
            });
            assert_eq!(heard.order.len() as u64, packets, "{ppm} ppm");
            assert!(heard.tally.hidden <= FRAME_LIMIT + u64::from(FRAME), "{ppm} ppm: {:?}", heard.tally);
            assert!(heard.last_delay_ms < 80, "{ppm} ppm: {}", heard.last_delay_ms);
        }
    }

    #[test]
    fn a_pause_is_silence_and_the_next_words_wait_their_delay() {
        let mut line = Line::new(20);
        let heard = line.run_stamped(100, |at| {
            let pause = if at < 50 { 0 } else { 3_000_000 };
            Some((at * 20_000 + pause, at as u32 * FRAME + (pause * 8 / 1000) as u32))
        });
        assert_eq!(heard.order.len(), 100);
        assert_eq!(heard.tally.hidden, 2 * FRAME_LIMIT, "100 ms are hidden, the rest is silence");
        assert!(heard.silent > 100);
    }

    #[test]
    fn one_payload_of_three_frames_feeds_three_turns() {
        let mut line = Line::new(60);
        let heard = line.run(200, |at| Some(at * 60_000));
        assert_eq!(heard.order.len(), 200);
        assert_eq!(heard.tally.hidden, FRAME_LIMIT);
    }

    #[test]
    fn a_packet_that_comes_while_it_is_being_hidden_plays_what_is_left_of_it() {
        let start = Instant::now();
        let mut jitter = Jitter::new(HZ, Duration::ZERO);
        let cue = Cue { due: start, frame: FRAME, ahead: 0 };
        jitter.put(start, cue, 0, FRAME, &[0]);
        jitter.put(start, cue, 2 * FRAME, FRAME, &[2]);
        assert_eq!(jitter.step(start, FRAME), Step::Sound { payload: &[0], skip: 0 });
        assert_eq!(jitter.step(start, FRAME), Step::Hide { ticks: FRAME, next: Some(&[2]) });
        jitter.put(start, cue, FRAME + 40, 3 * FRAME, &[1]);
        assert_eq!(jitter.step(start, FRAME), Step::Sound { payload: &[1], skip: FRAME - 40 });
    }

    #[test]
    fn nothing_that_comes_makes_it_panic_or_grow() {
        for seed in 0..10 {
            let mut random = Random(seed);
            let start = Instant::now();
            let mut jitter = Jitter::new(HZ, Duration::from_millis(20));
            let mut now = start;
            for _ in 0..50_000 {
                now += Duration::from_millis(random.below(40));
                let cue = Cue {
                    due: now + Duration::from_millis(random.below(30)),
                    frame: FRAME,
                    ahead: random.below(400) as u32,
                };
                let timestamp = random.below(1 << 32) as u32;
                jitter.put(now, cue, timestamp, random.below(960) as u32, &[7; 40]);
                for _ in 0..random.below(3) {
                    jitter.step(now, FRAME);
                    if jitter.pace(FRAME) != Pace::Keep {
                        jitter.paced(random.below(200) as i64 - 100);
                    }
                }
                assert!(jitter.waiting.len() <= MOST_PACKETS && jitter.spare.len() <= MOST_PACKETS + 2);
            }
        }
    }

    #[test]
    fn buffers_of_played_packets_are_used_again() {
        let start = Instant::now();
        let mut jitter = Jitter::new(HZ, Duration::ZERO);
        for at in 0..1000_u32 {
            let now = start + Duration::from_millis(20) * at;
            jitter.put(now, Cue { due: now, frame: FRAME, ahead: 0 }, at * FRAME, FRAME, &[1; 160]);
            assert!(matches!(jitter.step(now, FRAME), Step::Sound { skip: 0, .. }));
        }
        assert!(jitter.spare.len() <= 2, "{}", jitter.spare.len());
    }

    /// What is hidden at the end of a stream, in ticks.
    const FRAME_LIMIT: u64 = 5 * FRAME as u64;

    /// A line whose packets hold `packet_ms` each and whose playout takes 20 ms at a time.
    struct Line {
        packet_ms: u64,
        jitter: Jitter,
    }

    #[derive(Debug, Default)]
    struct Heard {
        order: Vec<u64>,
        with_next: u32,
        silent: u32,
        longest_delay_ms: u128,
        last_delay_ms: u128,
        tally: Tally,
    }

    impl Line {
        fn new(packet_ms: u64) -> Self {
            Self { packet_ms, jitter: Jitter::new(HZ, Duration::from_millis(30.max(packet_ms))) }
        }

        fn run(&mut self, packets: u64, arrival_us: impl Fn(u64) -> Option<u64>) -> Heard {
            let ticks = self.packet_ms as u32 * MS;
            self.run_stamped(packets, |at| Some((arrival_us(at)?, at as u32 * ticks)))
        }

        fn run_stamped(&mut self, packets: u64, packet: impl Fn(u64) -> Option<(u64, u32)>) -> Heard {
            let start = Instant::now();
            let mut wire: Vec<(u64, u32, u64)> = (0..packets)
                .filter_map(|at| packet(at).map(|(arrives, timestamp)| (arrives, timestamp, at)))
                .collect();
            wire.sort_by_key(|(arrives, ..)| *arrives);
            let (mut heard, mut ahead, mut next) = (Heard::default(), 0_u32, 0);
            let ticks = self.packet_ms as u32 * MS;
            for turn in 0.. {
                let due = start + Duration::from_millis(20) * turn + Duration::from_millis(7);
                while let Some(&(arrives, timestamp, at)) = wire.get(next) {
                    let now = start + Duration::from_micros(arrives);
                    if now > due {
                        break;
                    }
                    let cue = Cue { due, frame: FRAME, ahead };
                    self.jitter.put(now, cue, timestamp.wrapping_sub(900), ticks, &at.to_be_bytes());
                    next += 1;
                }
                if next == wire.len() && self.jitter.is_idle() {
                    break;
                }
                while ahead < FRAME {
                    match self.jitter.step(due, FRAME) {
                        Step::Sound { payload, skip } => {
                            ahead += ticks - skip;
                            heard.order.push(u64::from_be_bytes(payload.try_into().unwrap()));
                        }
                        Step::Hide { ticks, next } => {
                            ahead += ticks;
                            heard.with_next += u32::from(next.is_some());
                        }
                        Step::Silence => {
                            ahead += FRAME;
                            heard.silent += 1;
                        }
                    }
                }
                match self.jitter.pace(FRAME) {
                    Pace::Stretch => {
                        ahead += 40;
                        self.jitter.paced(40);
                    }
                    Pace::Shorten => {
                        // The real one decodes ahead for it too.
                        if ahead < FRAME + 40
                            && self.jitter.is_ready()
                            && let Step::Sound { payload, skip } = self.jitter.step(due, FRAME)
                        {
                            ahead += ticks - skip;
                            heard.order.push(u64::from_be_bytes(payload.try_into().unwrap()));
                        }
                        if ahead >= FRAME + 40 {
                            ahead -= 40;
                            self.jitter.paced(-40);
                        }
                    }
                    Pace::Keep => {}
                }
                ahead -= FRAME;
                heard.last_delay_ms = self.jitter.delay().as_millis();
                heard.longest_delay_ms = heard.longest_delay_ms.max(heard.last_delay_ms);
            }
            heard.tally = self.jitter.tally();
            heard
        }
    }

    struct Random(u64);

    impl Random {
        fn below(&mut self, limit: u64) -> u64 {
            self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut mixed = self.0;
            mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
            (mixed ^ mixed >> 31) % limit
        }
    }
}
