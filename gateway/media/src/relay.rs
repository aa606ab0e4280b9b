//! The relay of one call: sound both ways, each way under numbers of our own (RFC 3550 section 7.1).
//!
//! Where both sides speak one codec their packets pass as they are; Opus is only split to what the trunk takes. Where they
//! do not, each direction is decoded, kept in time and encoded anew on a clock that the shell serves.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::audio::Audio;
use crate::batch::Batch;
use crate::direction::Direction;
use crate::dtmf::Digit;
use crate::event::Event;
use crate::leg::Leg;
use crate::quality::LegQuality;
use crate::report::{Reason, Report};
use crate::rtcp::RtcpError;
use crate::silence::Silence;
use crate::tone::Tone;

/// The two sides of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The PBX.
    Trunk,
    /// The Telegram user.
    Telegram,
}

impl Side {
    /// Both of them.
    pub const BOTH: [Self; 2] = [Self::Trunk, Self::Telegram];

    /// The one across.
    pub fn other(self) -> Self {
        match self {
            Self::Trunk => Self::Telegram,
            Self::Telegram => Self::Trunk,
        }
    }
}

/// What became of one datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// What is to be sent stands in the batch.
    Sent,
    /// Its sound will be part of a packet that the clock makes.
    Waits,
    /// Nothing is to be sent.
    Dropped(Reason),
}

/// Carries the sound of one call, both ways, and counts it.
///
/// After each word to it the shell drains [`poll_event`](Self::poll_event) and serves
/// [`poll_timeout`](Self::poll_timeout), which may be due at once.
#[derive(Debug)]
pub struct Relay {
    to_trunk: Direction,
    to_telegram: Direction,
    trunk: Leg,
    telegram: Leg,
    trunk_silence: Option<Silence>,
    telegram_silence: Option<Silence>,
    events: VecDeque<Event>,
    /// Until when packets are asked for, and reports.
    packets_due: Option<Instant>,
    reports_due: Option<Instant>,
}

impl Relay {
    /// A relay that drops everything until [`set_audio`](Self::set_audio) says what a side takes.
    ///
    /// `seed` must be fresh for each call: the first sequence numbers and timestamps come from it.
    pub fn new(seed: u64) -> Self {
        Self {
            to_trunk: Direction::new(Side::Trunk, mix(seed)),
            to_telegram: Direction::new(Side::Telegram, mix(!seed)),
            trunk: Leg::new(),
            telegram: Leg::new(),
            trunk_silence: None,
            telegram_silence: None,
            events: VecDeque::new(),
            packets_due: None,
            reports_due: None,
        }
    }

    /// What is encoded starts on a beat of 5 ms, with that of all relays which were given the same `moment`: they are due
    /// together, and whoever serves them wakes up once for all. Before the first [`set_audio`](Self::set_audio).
    pub fn set_beat(&mut self, moment: Instant) {
        self.to_trunk.set_beat(moment);
        self.to_telegram.set_beat(moment);
    }

    /// What was agreed with `side`, at first and whenever it is agreed anew.
    ///
    /// Sequence and timestamp run on over a change, and what is encoded does not click. Nothing passes until both sides
    /// have their audio; tones and digits need only that of the side they go to.
    pub fn set_audio(&mut self, side: Side, audio: Audio) {
        self.leg(side).set_audio(audio);
        self.towards(side).set_outgoing(audio);
        self.towards(side.other()).set_incoming(audio);
    }

    /// Another device is at `side` from now on: what it sends joins on where the former one stopped, whatever its SSRC and
    /// numbers are. [`set_audio`](Self::set_audio) says what was agreed with it.
    pub fn replace(&mut self, side: Side) {
        self.towards(side.other()).replace_source();
    }

    /// While `held`, `side` gets nothing and is excused from sending. What follows joins on without a hole.
    pub fn hold(&mut self, now: Instant, side: Side, held: bool) {
        self.towards(side).hold(now, held);
        self.excuse(now, side, held);
    }

    /// While `excused`, the silence of `side` means nothing: it is muted, or only listens.
    ///
    /// One flag with [`hold`](Self::hold): after a re-offer call that first.
    pub fn excuse(&mut self, now: Instant, side: Side, excused: bool) {
        if let Some(silence) = self.silence(side) {
            silence.excuse(now, excused);
        }
    }

    /// Gives `side` up when nothing came from it for `limit`; `None` is endless patience, which is also the beginning.
    pub fn watch(&mut self, now: Instant, side: Side, limit: Option<Duration>) {
        *self.silence(side) = limit.map(|limit| Silence::new(now, limit));
    }

    /// While `muted`, `from` sends nothing at all, and the other side gets silence at its packet time instead.
    ///
    /// Packets that come all the same are heard.
    pub fn mute(&mut self, now: Instant, from: Side, muted: bool) {
        self.towards(from.other()).mute(now, muted);
    }

    /// Plays a tone to a side until sound comes for it, or until `None`.
    pub fn play(&mut self, now: Instant, to: Side, tone: Option<Tone>) {
        self.towards(to).play(now, tone);
    }

    /// Sounds a tone to a side for so long; sound of the other side is left out meanwhile.
    pub fn beep(&mut self, now: Instant, to: Side, tone: Tone, length: Duration) {
        self.towards(to).beep(now, tone, length);
    }

    /// Whether the levels of both sides are measured. A copy of what they say is decoded for it; nothing is done for it
    /// while nobody watches.
    pub fn meter(&mut self, is_watched: bool) {
        self.to_trunk.meter(is_watched);
        self.to_telegram.meter(is_watched);
    }

    /// How loud a side was since this was asked last, in -dBov: 0 (loudest) to 127 (silence), as in RFC 6464 section 3.
    /// `None` while nobody watches.
    pub fn level(&mut self, from: Side) -> Option<u8> {
        self.towards(from.other()).level()
    }

    /// How many digits may be dialled to a side now; `None` before its audio is known.
    pub fn room_for_digits(&mut self, to: Side) -> Option<usize> {
        self.towards(to).room_for_digits()
    }

    /// Dials digits to a side after those that wait already; [`Event::DigitsSent`] tells that all are out.
    ///
    /// `tone` and `pause` are held within [`dtmf::SHORTEST`](crate::dtmf::SHORTEST) and
    /// [`dtmf::LONGEST`](crate::dtmf::LONGEST). Sound of the other side is left out while a digit sounds.
    pub fn send_digits(&mut self, now: Instant, to: Side, digits: &[Digit], tone: Duration, pause: Duration) {
        self.towards(to).send_digits(now, digits, tone, pause);
    }

    /// Speaks RTCP with a side from now on. `seed` spreads the reports; `cname` names us and no person (RFC 7022).
    pub fn report_to(&mut self, now: Instant, side: Side, seed: u64, cname: String) {
        self.leg(side).report_to(now, seed, cname);
    }

    /// RTCP from a side. What is encoded for it grows sturdier with the loss that it states.
    ///
    /// # Errors
    /// [`RtcpError`] says what is wrong with it; what came before that was taken.
    pub fn handle_rtcp(&mut self, now: Instant, from: Side, datagram: &[u8]) -> Result<(), RtcpError> {
        if let Some(share) = self.leg(from).handle_rtcp(now, datagram)? {
            self.towards(from).set_loss(share);
        }
        Ok(())
    }

    /// A packet from a side: what is to be sent to the other one at once is appended to `out`.
    pub fn handle_packet(&mut self, now: Instant, from: Side, rtp: &[u8], out: &mut Batch) -> Outcome {
        let before = out.len();
        let (direction, leg, other_leg) = match from {
            Side::Trunk => (&mut self.to_telegram, &mut self.trunk, &mut self.telegram),
            Side::Telegram => (&mut self.to_trunk, &mut self.telegram, &mut self.trunk),
        };
        let outcome = direction.take(now, rtp, &mut leg.reception, out);
        for packet in out.iter().skip(before) {
            other_leg.handle_sent(now, packet);
        }
        if !matches!(outcome, Outcome::Dropped(Reason::NotRtp | Reason::OtherSource))
            && let Some(silence) = self.silence(from)
        {
            silence.heard(now);
        }
        outcome
    }

    /// When [`handle_timeout`](Self::handle_timeout) is due, and why.
    pub fn poll_timeout(&self) -> Option<(Instant, &'static str)> {
        let playout = self.poll_playout().map(|at| (at, "playout"));
        [self.poll_rest(), playout].into_iter().flatten().min()
    }

    /// When it is due for the next packet of what is decoded and encoded anew, which is 50 times a second.
    pub fn poll_playout(&self) -> Option<Instant> {
        [&self.to_trunk, &self.to_telegram].into_iter().filter_map(Direction::poll_playout).min()
    }

    /// When it is due for anything else. A packet that leads to nothing but sound only puts that off.
    pub fn poll_rest(&self) -> Option<(Instant, &'static str)> {
        let silent = |silence: &Option<Silence>, why| {
            silence.as_ref().and_then(Silence::poll_timeout).map(|at| (at, why))
        };
        let trunk = silent(&self.trunk_silence, "trunk silent");
        let telegram = silent(&self.telegram_silence, "telegram silent");
        let directions = [self.to_trunk.poll_timeout(), self.to_telegram.poll_timeout()];
        let reports = [&self.trunk, &self.telegram].map(|leg| leg.poll_timeout().map(|at| (at, "report")));
        directions.into_iter().chain(reports).chain([trunk, telegram]).flatten().min()
    }

    /// Lets time pass; then [`poll_packet`](Self::poll_packet) and [`poll_rtcp`](Self::poll_rtcp) have what is due.
    pub fn handle_timeout(&mut self, now: Instant) {
        (self.packets_due, self.reports_due) = (Some(now), Some(now));
        for side in Side::BOTH {
            if self.silence(side).take_if(|silence| silence.is_over(now)).is_some() {
                self.events.push_back(Event::Lost(side));
            }
        }
        self.to_trunk.handle_timeout(now, &mut self.events);
        self.to_telegram.handle_timeout(now, &mut self.events);
    }

    /// The next packet that the clock made, and for whom; `out` is cleared first.
    pub fn poll_packet(&mut self, out: &mut Vec<u8>) -> Option<Side> {
        let now = self.packets_due?;
        let side = Side::BOTH.into_iter().find(|&side| self.towards(side).make(now, out));
        match side {
            Some(side) => self.leg(side).handle_sent(now, out),
            None => self.packets_due = None,
        }
        side
    }

    /// The next RTCP report that is due, and for whom; `out` is cleared first.
    pub fn poll_rtcp(&mut self, out: &mut Vec<u8>) -> Option<Side> {
        let now = self.reports_due?;
        out.clear();
        let side = Side::BOTH.into_iter().find(|&side| self.leg(side).report(now, out));
        if side.is_none() {
            self.reports_due = None;
        }
        side
    }

    /// A last report to a side with the goodbye, once; `out` is cleared first. `false` where RTCP is not spoken.
    pub fn bye(&mut self, now: Instant, to: Side, out: &mut Vec<u8>) -> bool {
        out.clear();
        self.leg(to).bye(now, out)
    }

    /// What happened.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.to_trunk.tell(&mut self.events);
        self.to_telegram.tell(&mut self.events);
        self.events.pop_front()
    }

    /// What passed so far.
    pub fn report(&self) -> Report {
        Report { to_trunk: self.to_trunk.counters(), to_telegram: self.to_telegram.counters() }
    }

    /// How a side's network is.
    pub fn quality(&self, side: Side) -> LegQuality {
        let Report { to_trunk, to_telegram } = self.report();
        match side {
            Side::Trunk => self.trunk.quality(&to_telegram, &to_trunk),
            Side::Telegram => self.telegram.quality(&to_trunk, &to_telegram),
        }
    }

    fn leg(&mut self, side: Side) -> &mut Leg {
        match side {
            Side::Trunk => &mut self.trunk,
            Side::Telegram => &mut self.telegram,
        }
    }

    fn towards(&mut self, side: Side) -> &mut Direction {
        match side {
            Side::Trunk => &mut self.to_trunk,
            Side::Telegram => &mut self.to_telegram,
        }
    }

    fn silence(&mut self, side: Side) -> &mut Option<Silence> {
        match side {
            Side::Trunk => &mut self.trunk_silence,
            Side::Telegram => &mut self.telegram_silence,
        }
    }
}

/// One step of SplitMix64, so that close seeds do not give close numbers.
fn mix(seed: u64) -> u64 {
    let mut mixed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ mixed >> 31
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::codec::OPUS;
    use crate::report::{Counters, Dropped};
    use crate::rtp::Packet;

    /// 20 ms of Opus in one frame (CELT, full band), recognisable by its second byte.
    const MS20: u8 = 31 << 3;
    const STEP: u32 = 960;

    #[test]
    fn a_packet_leaves_with_our_stamp_and_its_own_sound() {
        let mut call = Call::new();
        let first = call.pass(rtp(1000, 5000, 0xaaaa, b"one")).unwrap();
        let second = call.pass(rtp(1001, 5000 + STEP, 0xaaaa, b"two")).unwrap();
        for (sent, sound) in [(&first, b"one"), (&second, b"two")] {
            assert_eq!((sent.payload_type, sent.ssrc), (111, 0x1111));
            assert_eq!(&sent.payload[1..], sound);
            assert!(!sent.marker);
        }
        assert_eq!(second.sequence, first.sequence.wrapping_add(1));
        assert_eq!(second.timestamp, first.timestamp.wrapping_add(STEP));
    }

    #[test]
    fn a_beep_takes_the_place_of_what_is_said_for_its_time_and_then_sound_goes_on() {
        let (mut relay, start) = (ready(1), Instant::now());
        let (mut out, mut packet) = (Batch::default(), Vec::new());
        let (mut replaced, mut made, mut decoded) = (Vec::new(), 0, Vec::new());
        let mut decoder = OPUS.decoder(8_000).unwrap();
        relay.beep(start, Side::Telegram, Tone::RECORDED, Duration::from_millis(500));
        for step in 0..50_u16 {
            let now = start + Duration::from_millis(20 * u64::from(step));
            out.clear();
            let sound = rtp(step, u32::from(step) * STEP, 0xaaaa, b"x");
            let outcome = relay.handle_packet(now, Side::Trunk, &sound, &mut out);
            replaced.push(outcome == Outcome::Dropped(Reason::Replaced));
            relay.handle_timeout(now);
            while let Some(side) = relay.poll_packet(&mut packet) {
                assert_eq!(side, Side::Telegram);
                decoder.decode(Packet::read(&packet).unwrap().payload, &mut decoded).unwrap();
                made += 1;
            }
        }
        let begin = replaced.iter().position(|replaced| *replaced).unwrap();
        assert_eq!(replaced.iter().filter(|replaced| **replaced).count(), 25 - begin);
        assert!(begin <= 1 && (25..=27).contains(&made), "{begin} {made}");
        let loud = decoded.iter().map(|sample| sample.unsigned_abs()).max().unwrap();
        assert!((2_000..4_000).contains(&loud), "{loud}");
        assert!(!replaced[30..].contains(&true));
    }

    #[test]
    fn both_directions_begin_at_random_and_apart() {
        let firsts: Vec<_> = (0..50)
            .flat_map(|seed| {
                let mut relay = ready(seed);
                let (now, mut out) = (Instant::now(), Batch::default());
                [Side::Trunk, Side::Telegram].map(|side| {
                    out.clear();
                    assert_eq!(relay.handle_packet(now, side, &rtp(1, 1, 1, b"x"), &mut out), Outcome::Sent);
                    let sent = Sent::read(out.iter().next().unwrap());
                    (sent.sequence, sent.timestamp)
                })
            })
            .collect();
        for (at, first) in firsts.iter().enumerate() {
            assert!(!firsts[at + 1..].contains(first), "{first:?} twice");
        }
    }

    #[test]
    fn sources_extensions_and_padding_are_stripped_and_the_marker_stays() {
        let mut call = Call::new();
        let mut datagram = vec![0xb1, 0x80 | 111, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 9];
        datagram.extend([0xbe, 0xde, 0, 1, 0x22, 1, 2, 3, MS20, b'x', 0, 2]);
        let sent = call.pass(datagram).unwrap();
        assert!(sent.marker);
        assert_eq!((sent.first_byte, &sent.payload[..]), (0x80, &[MS20, b'x'][..]));
    }

    #[test]
    fn a_gap_stays_the_same_gap_and_is_counted_as_lost() {
        let mut call = Call::new();
        let first = call.sound(10).unwrap();
        let fourth = call.sound(13).unwrap();
        assert_eq!(fourth.sequence.wrapping_sub(first.sequence), 3);
        assert_eq!(fourth.timestamp.wrapping_sub(first.timestamp), 3 * STEP);
        assert_eq!(call.counters().lost, 2);
    }

    #[test]
    fn packets_keep_the_order_in_which_they_came() {
        let mut call = Call::new();
        let sent = [65_534, 0, 65_535, 1].map(|sequence| call.sound(sequence).unwrap());
        let steps: Vec<_> =
            sent.iter().map(|packet| packet.sequence.wrapping_sub(sent[0].sequence)).collect();
        assert_eq!(steps, [0, 2, 1, 3]);
        let Counters { lost, late, packets, .. } = call.counters();
        assert_eq!((lost, late, packets), (0, 1, 4));
    }

    #[test]
    fn the_very_first_packet_may_be_overtaken_too() {
        let mut call = Call::new();
        let second = call.sound(101).unwrap();
        let first = call.sound(100).unwrap();
        assert_eq!(second.sequence.wrapping_sub(first.sequence), 1);
        assert_eq!((call.counters().lost, call.counters().late), (0, 1));
    }

    #[test]
    fn a_duplicate_goes_no_further() {
        let mut call = Call::new();
        for sequence in [1, 2, 4] {
            call.sound(sequence).unwrap();
        }
        for sequence in [4, 2, 1] {
            assert_eq!(call.sound(sequence), Err(Reason::Duplicate));
        }
        call.sound(3).unwrap();
        assert_eq!(call.sound(3), Err(Reason::Duplicate));
        let Counters { duplicates, lost, packets, dropped, .. } = call.counters();
        assert_eq!((duplicates, lost, packets, dropped.total()), (4, 0, 4, 0));
    }

    #[test]
    fn padding_only_packets_leave_no_hole() {
        let mut call = Call::new();
        let first = call.sound(1).unwrap();
        for sequence in [2, 3, 3] {
            assert!(call.pass(padding(sequence, 0xaaaa)).is_err());
        }
        let fourth = call.sound(4).unwrap();
        assert!(call.pass(padding(6, 0xaaaa)).is_err());
        let fifth = call.sound(5).unwrap();
        let seventh = call.sound(7).unwrap();
        let steps = [fourth, fifth, seventh].map(|packet| packet.sequence.wrapping_sub(first.sequence));
        assert_eq!(steps, [1, 2, 3], "the fifth is late and still finds its place");
        let Counters { lost, dropped, duplicates, .. } = call.counters();
        assert_eq!((lost, dropped.padding_only, duplicates), (0, 3, 1));
    }

    #[test]
    fn probes_before_the_first_sound_do_not_matter() {
        let mut call = Call::new();
        assert_eq!(call.pass(padding(7, 0xbbbb)), Err(Reason::PaddingOnly));
        let first = call.sound(20).unwrap();
        assert_eq!(call.pass(padding(8, 0xbbbb)), Err(Reason::PaddingOnly), "and turn no stream over");
        let second = call.sound(21).unwrap();
        assert_eq!(second.sequence.wrapping_sub(first.sequence), 1);
        assert!(!second.marker);
    }

    #[test]
    fn other_payload_types_leave_no_hole_either() {
        let mut call = Call::new();
        call.relay.set_audio(Side::Trunk, Audio { receive_payload_type: Some(111), ..trunk() });
        let first = call.sound(1).unwrap();
        let mut event = rtp(2, STEP, 0xaaaa, b"");
        event[1] = 101;
        assert_eq!(call.pass(event), Err(Reason::OtherPayload));
        let third = call.sound(3).unwrap();
        assert_eq!(third.sequence.wrapping_sub(first.sequence), 1);
        assert_eq!(call.counters().dropped.other_payload, 1);
    }

    #[test]
    fn a_malformed_packet_leaves_a_hole_for_the_far_end_to_conceal() {
        let mut call = Call::new();
        let first = call.sound(1).unwrap();
        let mut bad = rtp(2, STEP, 0xaaaa, b"");
        bad.truncate(12);
        bad.extend([3, 0]); // code 3 with no frame
        assert_eq!(call.pass(bad), Err(Reason::Malformed));
        let third = call.sound(3).unwrap();
        assert_eq!(third.sequence.wrapping_sub(first.sequence), 2);
    }

    #[test]
    fn a_new_source_joins_on_where_the_old_one_stopped() {
        let mut call = Call::new();
        let last = call.pass(rtp(500, 77_000, 1, b"old")).unwrap();
        call.now += Duration::from_millis(20);
        assert_eq!(call.pass(rtp(8999, 3, 2, b"new")), Err(Reason::Astray), "one alone proves nothing");
        call.now += Duration::from_millis(20);
        let first = call.pass(rtp(9000, 3 + STEP, 2, b"new")).unwrap();
        assert_eq!(first.sequence.wrapping_sub(last.sequence), 1);
        assert_eq!(first.timestamp.wrapping_sub(last.timestamp), 2 * STEP, "as much as the clock went on");
        assert!(first.marker, "a new talk spurt");
        let second = call.pass(rtp(9001, 3 + 2 * STEP, 2, b"new")).unwrap();
        assert_eq!(second.timestamp.wrapping_sub(first.timestamp), STEP);
        assert!(!second.marker);
    }

    #[test]
    fn a_new_source_after_a_silence_shows_two_packets_too_whatever_their_times_are() {
        let mut call = Call::new();
        call.pass(rtp(500, 77_000, 1, b"old")).unwrap();
        call.now += Duration::from_millis(200);
        assert_eq!(call.pass(rtp(9000, 3, 2, b"new")), Err(Reason::Astray));
        assert!(call.pass(rtp(9001, 0x9000_0000, 2, b"new")).is_ok());
    }

    #[test]
    fn another_device_joins_on_though_it_has_the_ssrc_and_older_numbers_of_the_former_one() {
        let mut call = Call::new();
        let last = call.pass(rtp(500, 77_000, 1, b"old")).unwrap();
        call.now += Duration::from_millis(20);
        call.relay.replace(Side::Trunk);
        let first = call.pass(rtp(400, 3, 1, b"new")).unwrap();
        assert_eq!(first.sequence.wrapping_sub(last.sequence), 1);
        assert_eq!(first.timestamp.wrapping_sub(last.timestamp), STEP);
        assert!(first.marker, "a new talk spurt");
        assert_eq!(call.counters().lost, 0);
    }

    #[test]
    fn a_new_source_in_the_same_instant_still_waits_for_the_sound_of_the_last_packet() {
        let mut call = Call::new();
        let last = call.pass(rtp(500, 77_000, 1, b"old")).unwrap();
        let _ = call.pass(rtp(8999, 3, 2, b"new"));
        let first = call.pass(rtp(9000, 3 + STEP, 2, b"new")).unwrap();
        assert_eq!(first.timestamp.wrapping_sub(last.timestamp), STEP);
    }

    #[test]
    fn the_old_source_may_not_turn_the_stream_back_with_its_last_packets() {
        let mut call = Call::new();
        call.pass(rtp(500, 0, 1, b"old")).unwrap();
        let _ = call.pass(rtp(8999, 0, 2, b"new"));
        call.pass(rtp(9000, STEP, 2, b"new")).unwrap();
        assert_eq!(call.pass(rtp(501, STEP, 1, b"old")), Err(Reason::TooLate));
        assert_eq!(call.pass(rtp(502, 2 * STEP, 1, b"old")), Err(Reason::TooLate));
        call.now += Duration::from_secs(1);
        let _ = call.pass(rtp(503, STEP, 1, b"old"));
        assert!(call.pass(rtp(504, 2 * STEP, 1, b"old")).is_ok(), "later it may speak again");
    }

    #[test]
    fn only_the_announced_source_is_heard() {
        let mut call = Call::new();
        call.relay.set_audio(Side::Trunk, Audio { remote_ssrc: Some(7), ..trunk() });
        assert_eq!(call.pass(rtp(1, 0, 8, b"x")), Err(Reason::OtherSource));
        assert_eq!(call.counters().last_packet, None);
        assert!(call.pass(rtp(1, 0, 7, b"x")).is_ok());
    }

    #[test]
    fn a_mute_gap_is_the_same_silence_on_the_other_side() {
        let mut call = Call::new();
        let last = call.pass(rtp(1, 0, 1, b"a")).unwrap();
        call.now += Duration::from_secs(60);
        let next = call.pass(rtp(2, 60 * 48_000, 1, b"b")).unwrap();
        assert_eq!(next.sequence.wrapping_sub(last.sequence), 1);
        assert_eq!(next.timestamp.wrapping_sub(last.timestamp), 60 * 48_000);
    }

    #[test]
    fn a_timestamp_that_jumps_alone_does_not_jump_on_the_other_side() {
        for jump in [0x7000_0000_u32, 0x9000_0000, 48_000 * 10, 0_u32.wrapping_sub(48_000)] {
            let mut call = Call::new();
            let last = call.pass(rtp(1, 1000, 1, b"a")).unwrap();
            call.now += Duration::from_millis(20);
            let next = call.pass(rtp(2, jump.wrapping_add(1000), 1, b"b")).unwrap();
            assert_eq!(next.timestamp.wrapping_sub(last.timestamp), STEP, "{jump:#x}");
            let after = call.pass(rtp(3, jump.wrapping_add(1000 + STEP), 1, b"c")).unwrap();
            assert_eq!(after.timestamp.wrapping_sub(last.timestamp), 2 * STEP, "{jump:#x}");
            assert_eq!(after.sequence.wrapping_sub(last.sequence), 2);
        }
    }

    #[test]
    fn a_packet_from_before_such_a_jump_has_no_place_after_it() {
        let mut call = Call::new();
        call.pass(rtp(1, 1000, 1, b"a")).unwrap();
        call.pass(rtp(3, 1000 + 2 * STEP, 1, b"c")).unwrap();
        call.pass(rtp(4, 0x7000_0000, 1, b"d")).unwrap();
        assert_eq!(call.pass(rtp(2, 1000 + STEP, 1, b"b")), Err(Reason::TooLate));
    }

    #[test]
    fn a_sender_that_begins_anew_is_followed_from_its_second_packet() {
        let mut call = Call::new();
        let last = call.sound(100).unwrap();
        call.now += Duration::from_millis(20);
        assert_eq!(call.sound(40_000), Err(Reason::Astray), "one stray packet proves nothing");
        assert_eq!(call.sound(20_000), Err(Reason::Astray));
        let next = call.sound(20_001).unwrap();
        assert_eq!(next.sequence.wrapping_sub(last.sequence), 1);
        assert_eq!(call.counters().lost, 0);
        assert_eq!(call.sound(101), Err(Reason::Astray));
        assert!(call.sound(20_002).is_ok());
    }

    #[test]
    fn a_held_side_gets_nothing_and_afterwards_no_hole() {
        let mut call = Call::new();
        let last = call.sound(1).unwrap();
        call.relay.hold(call.now, Side::Telegram, true);
        for sequence in 2..100 {
            call.now += Duration::from_millis(20);
            assert_eq!(call.sound(sequence), Err(Reason::Held));
        }
        call.relay.hold(call.now, Side::Telegram, false);
        call.now += Duration::from_millis(20);
        let next = call.sound(100).unwrap();
        assert_eq!(next.sequence.wrapping_sub(last.sequence), 1);
        assert_eq!(next.timestamp.wrapping_sub(last.timestamp), 99 * STEP);
        assert!(next.marker);
        assert_eq!(call.sound(50), Err(Reason::Duplicate));
        assert_eq!((call.counters().dropped.held, call.counters().lost), (98, 0));
    }

    #[test]
    fn a_packet_of_before_a_hold_does_not_come_out_after_it() {
        let mut call = Call::new();
        call.sound(1).unwrap();
        call.relay.hold(call.now, Side::Telegram, true);
        assert_eq!(call.sound(4), Err(Reason::Held));
        call.relay.hold(call.now, Side::Telegram, false);
        assert_eq!(call.sound(3), Err(Reason::TooLate), "nothing newer has passed yet");
        call.sound(5).unwrap();
        assert_eq!(call.sound(2), Err(Reason::TooLate));
        assert!(call.sound(7).is_ok() && call.sound(6).is_ok());
    }

    #[test]
    fn holding_one_side_leaves_the_other_direction_alone() {
        let mut call = Call::new();
        call.relay.hold(call.now, Side::Telegram, true);
        let mut out = Batch::default();
        let outcome = call.relay.handle_packet(call.now, Side::Telegram, &rtp(1, 0, 1, b"x"), &mut out);
        assert_eq!(outcome, Outcome::Sent);
        assert_eq!(Sent::read(out.iter().next().unwrap()).payload_type, 107);
    }

    #[test]
    fn a_re_offer_changes_the_stamp_and_not_the_count() {
        let mut call = Call::new();
        let last = call.sound(1).unwrap();
        call.relay.set_audio(Side::Telegram, Audio::new(&OPUS, 98, 0x2222));
        let next = call.sound(2).unwrap();
        assert_eq!((next.payload_type, next.ssrc), (98, 0x2222));
        assert_eq!(next.sequence.wrapping_sub(last.sequence), 1);
        assert_eq!(next.timestamp.wrapping_sub(last.timestamp), STEP);
    }

    #[test]
    fn nothing_is_sent_before_the_other_side_has_a_format() {
        let mut relay = Relay::new(1);
        let mut out = Batch::default();
        let now = Instant::now();
        let outcome = relay.handle_packet(now, Side::Trunk, &rtp(1, 0, 1, b"x"), &mut out);
        assert_eq!(outcome, Outcome::Dropped(Reason::NoStream));
        relay.set_audio(Side::Telegram, Audio::new(&OPUS, 111, 1));
        relay.set_audio(Side::Trunk, trunk());
        let outcome = relay.handle_packet(now, Side::Trunk, &rtp(2, STEP, 1, b"x"), &mut out);
        assert_eq!((outcome, out.len()), (Outcome::Sent, 1));
        assert!(!Sent::read(out.iter().next().unwrap()).marker);
    }

    #[test]
    fn what_passed_is_counted_in_packets_bytes_and_milliseconds() {
        let mut call = Call::new();
        let mut sixty = rtp(1, 0, 1, b"");
        sixty.truncate(12);
        sixty.extend([MS20 | 3, 3]);
        sixty.extend([7; 3 * 50]);
        call.pass(sixty).unwrap();
        call.now += Duration::from_millis(60);
        call.pass(rtp(2, 2880, 1, b"x")).unwrap();
        assert_eq!(call.pass(b"no RTP".to_vec()), Err(Reason::NotRtp));
        let expected = Counters {
            packets: 2,
            octets: 152 + 2,
            audio: Duration::from_millis(80),
            dropped: Dropped { not_rtp: 1, ..Default::default() },
            last_packet: Some(call.now),
            ..Counters::default()
        };
        assert_eq!(call.counters(), expected);
        assert_eq!(call.relay.report().to_trunk, Counters::default(), "the other way had nothing");
    }

    #[test]
    fn steady_work_allocates_nothing() {
        let mut relay = ready(3);
        let now = Instant::now();
        let mut batch = Batch::with_capacity(33, 33 * 300);
        let places = (batch.bytes.as_ptr(), batch.bytes.capacity());
        let mut datagrams: Vec<_> = (0..32).map(|_| rtp(0, 0, 1, &[7; 200])).collect();
        for round in 0..1000_u16 {
            for (at, datagram) in (0_u16..).zip(&mut datagrams) {
                datagram[2..4].copy_from_slice(&(round.wrapping_mul(32) + at).to_be_bytes());
            }
            batch.clear();
            for datagram in &datagrams {
                relay.handle_packet(now, Side::Telegram, datagram, &mut batch);
            }
            assert_eq!(batch.len(), 32, "round {round}");
            assert_eq!(relay.handle_packet(now, Side::Trunk, &datagrams[0], &mut batch), Outcome::Sent);
        }
        assert_eq!(places, (batch.bytes.as_ptr(), batch.bytes.capacity()));
    }

    #[test]
    fn a_pbx_that_says_nothing_for_the_limit_is_named_once() {
        let mut call = Call::new();
        let start = call.now;
        let limit = Duration::from_secs(30);
        call.relay.watch(start, Side::Trunk, Some(limit));
        call.now += Duration::from_secs(10);
        call.sound(1).unwrap();
        assert_eq!(call.relay.poll_timeout(), Some((start + Duration::from_secs(40), "trunk silent")));
        for (after_s, told) in [(39, None), (40, Some(Event::Lost(Side::Trunk))), (99, None)] {
            call.relay.handle_timeout(start + Duration::from_secs(after_s));
            assert_eq!(call.relay.poll_event(), told, "after {after_s} s");
        }
        assert_eq!(call.relay.poll_timeout(), None);
    }

    #[test]
    fn a_held_pbx_and_a_muted_telegram_user_may_be_silent() {
        let mut call = Call::new();
        let limit = Duration::from_secs(30);
        call.relay.watch(call.now, Side::Trunk, Some(limit));
        call.relay.hold(call.now, Side::Trunk, true);
        assert_eq!(call.relay.poll_timeout(), None);
        let later = call.now + Duration::from_secs(3600);
        call.relay.hold(later, Side::Trunk, false);
        assert_eq!(call.relay.poll_timeout(), Some((later + limit, "trunk silent")));
        call.relay.handle_timeout(later + limit * 100);
        assert_eq!(call.relay.poll_event(), Some(Event::Lost(Side::Trunk)));
        assert_eq!(call.relay.poll_event(), None, "and nobody asked about Telegram");
    }

    #[test]
    fn noise_does_not_count_as_a_sign_of_life() {
        let mut call = Call::new();
        let limit = Duration::from_secs(30);
        call.relay.watch(call.now, Side::Trunk, Some(limit));
        let due = call.relay.poll_timeout();
        call.now += Duration::from_secs(10);
        assert_eq!(call.pass(b"noise".to_vec()), Err(Reason::NotRtp));
        assert_eq!(call.relay.poll_timeout(), due);
        assert!(call.pass(padding(1, 1)).is_err());
        assert_ne!(call.relay.poll_timeout(), due, "a keep-alive does");
    }

    #[test]
    fn through_a_bad_network_loss_stays_the_same_loss_and_nothing_is_doubled() {
        for seed in 0..40_u64 {
            let mut call = Call::new();
            let mut random = seed;
            let mut below = |limit: u64| {
                random = mix(random);
                random % limit
            };
            let mut wire = Vec::new();
            let mut arrived = HashSet::new();
            for at in 0..2000_u32 {
                // 10 % lost, 5 % twice, 5 % up to 5 packets late, 2 % probes
                let delay = if below(20) == 0 { below(6) } else { 0 };
                if below(10) != 0 {
                    let probe = below(50) == 0;
                    let copies = if below(20) == 0 { 2 } else { 1 };
                    for copy in 0..copies {
                        wire.push((u64::from(at) * 10 + delay * 10 + copy * below(30), at, probe));
                    }
                    if !probe {
                        arrived.insert(at);
                    }
                }
            }
            wire.sort_by_key(|(when, ..)| *when);
            let mut numbers = HashSet::new();
            let mut offset = None;
            for (when, at, probe) in wire {
                call.now = call.start + Duration::from_millis(when * 2);
                let sequence = (at as u16).wrapping_add(64_000);
                let datagram = if probe {
                    padding(sequence, 0xaaaa)
                } else {
                    rtp(sequence, at * STEP, 0xaaaa, &at.to_be_bytes())
                };
                if let Ok(sent) = call.pass(datagram) {
                    assert!(numbers.insert(sent.sequence), "seed {seed}: {} twice", sent.sequence);
                    assert!(arrived.remove(&at), "seed {seed}: packet {at} sent twice or never sent to us");
                    let distance = sent.timestamp.wrapping_sub(at * STEP);
                    assert_eq!(*offset.get_or_insert(distance), distance, "seed {seed}: time moved at {at}");
                }
            }
            assert!(arrived.is_empty(), "seed {seed}: {} packets got lost in the relay", arrived.len());
        }
    }

    #[test]
    fn noise_on_both_sides_never_panics() {
        let mut relay = ready(5);
        let (mut random, mut sequence) = (1_u64, 0_u16);
        let mut out = Batch::default();
        let mut now = Instant::now();
        for _ in 0..200_000 {
            random = mix(random);
            let mut datagram = random.to_be_bytes().repeat(4);
            datagram.truncate(12 + (random >> 8) as usize % 20);
            datagram[0] = 0x80 | (random >> 16) as u8 & 0x3f;
            datagram[8..12].copy_from_slice(&(random >> 24 & 1).to_be_bytes()[4..]);
            // Noise without any order leads no stream on.
            if random >> 25 & 3 == 0 {
                sequence = sequence.wrapping_add(1);
                datagram[..2].copy_from_slice(&[0x80, [107, 111][random as usize & 1]]);
                datagram[2..4].copy_from_slice(&sequence.to_be_bytes());
            }
            now += Duration::from_millis(random >> 32 & 0xff);
            out.clear();
            relay.handle_packet(now, Side::Telegram, &datagram, &mut out);
            relay.handle_packet(now, Side::Trunk, &datagram, &mut out);
        }
        let Report { to_trunk, to_telegram } = relay.report();
        assert!(to_trunk.packets > 100 && to_telegram.packets > 100, "{to_trunk:?}");
    }

    /// A relay whose way to Telegram is tried.
    struct Call {
        relay: Relay,
        start: Instant,
        now: Instant,
    }

    #[derive(Debug, PartialEq)]
    struct Sent {
        first_byte: u8,
        marker: bool,
        payload_type: u8,
        sequence: u16,
        timestamp: u32,
        ssrc: u32,
        payload: Vec<u8>,
    }

    impl Call {
        fn new() -> Self {
            let start = Instant::now();
            Self { relay: ready(7), start, now: start }
        }

        fn pass(&mut self, datagram: Vec<u8>) -> Result<Sent, Reason> {
            let mut out = Batch::default();
            match self.relay.handle_packet(self.now, Side::Trunk, &datagram, &mut out) {
                Outcome::Sent => Ok(Sent::read(out.iter().next().unwrap())),
                Outcome::Dropped(reason) => {
                    assert!(out.is_empty());
                    Err(reason)
                }
                Outcome::Waits => unreachable!("Opus passes"),
            }
        }

        /// A packet of 20 ms whose timestamp goes with its number.
        fn sound(&mut self, sequence: u16) -> Result<Sent, Reason> {
            let wrapped = sequence.wrapping_add(0x8000);
            self.pass(rtp(sequence, u32::from(wrapped) * STEP, 0xaaaa, b"x"))
        }

        fn counters(&self) -> Counters {
            self.relay.report().to_telegram
        }
    }

    impl Sent {
        fn read(bytes: &[u8]) -> Self {
            let Packet { marker, payload_type, sequence, timestamp, ssrc, payload } =
                Packet::read(bytes).unwrap();
            Self {
                first_byte: bytes[0],
                marker,
                payload_type,
                sequence,
                timestamp,
                ssrc,
                payload: payload.to_vec(),
            }
        }
    }

    fn ready(seed: u64) -> Relay {
        let mut relay = Relay::new(seed);
        relay.set_audio(Side::Telegram, Audio::new(&OPUS, 111, 0x1111));
        relay.set_audio(Side::Trunk, trunk());
        relay
    }

    fn trunk() -> Audio {
        Audio::new(&OPUS, 107, 0x7777)
    }

    fn rtp(sequence: u16, timestamp: u32, ssrc: u32, sound: &[u8]) -> Vec<u8> {
        let mut datagram = vec![0x80, 111];
        datagram.extend(sequence.to_be_bytes());
        datagram.extend(timestamp.to_be_bytes());
        datagram.extend(ssrc.to_be_bytes());
        datagram.push(MS20);
        datagram.extend(sound);
        datagram
    }

    fn padding(sequence: u16, ssrc: u32) -> Vec<u8> {
        let mut datagram = rtp(sequence, 0, ssrc, b"");
        datagram.truncate(12);
        datagram[0] = 0xa0;
        datagram.extend([0, 0, 3]);
        datagram
    }
}
