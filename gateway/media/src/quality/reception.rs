//! What came of one stream: RFC 3550 appendix A.3 for loss, A.8 for jitter. Whoever hears it says where it begins anew
//! (A.1).

use std::time::Instant;

use crate::rtp::Packet;

/// So far on a packet may be (MAX_DROPOUT).
const DROPOUT: u16 = 3000;
/// And so far back (MAX_MISORDER). What is further off is not counted.
const MISORDER: u16 = 100;

/// What a report says about one stream (RFC 3550 section 6.4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Block {
    /// Whose stream.
    pub ssrc: u32,
    /// Lost since the last report, in 1/256.
    pub fraction_lost: u8,
    /// Lost since the begin, negative with duplicates; 24 bits.
    pub lost: i32,
    /// Highest sequence number, with the count of its wraps in the upper half.
    pub highest: u32,
    /// Interarrival jitter in ticks.
    pub jitter: u32,
    /// Middle 32 bits of the NTP timestamp of the stream's last sender report, 0 for none.
    pub last_report: u32,
    /// Since that came, in 1/65536 s.
    pub since_last_report: u32,
}

/// Counts one incoming stream; a new source begins its numbers anew and adds to the totals.
#[derive(Debug)]
pub struct Reception {
    clock_hz: u32,
    source: Option<Source>,
    /// Totals of sources before.
    past_expected: u64,
    past_unique: u64,
    packets: u64,
    reordered: u64,
    duplicates: u64,
    /// In 1/16 ticks, as in A.8.
    jitter: u32,
}

#[derive(Debug)]
struct Source {
    ssrc: u32,
    base: u32,
    highest: u16,
    cycles: u32,
    received: u64,
    duplicates: u64,
    /// Bit `n` is set if `highest - n` came.
    seen: u128,
    expected_before: u64,
    received_before: u64,
    /// Arrival and timestamp of the packet before.
    last: Option<(Instant, u32)>,
}

impl Reception {
    /// Nothing came yet. `clock_hz` is that of the timestamps.
    pub fn new(clock_hz: u32) -> Self {
        Self {
            clock_hz: clock_hz.max(1),
            source: None,
            past_expected: 0,
            past_unique: 0,
            packets: 0,
            reordered: 0,
            duplicates: 0,
            jitter: 0,
        }
    }

    /// Another codec, another clock; the jitter keeps its meaning.
    pub fn set_clock(&mut self, clock_hz: u32) {
        let clock_hz = clock_hz.max(1);
        if clock_hz != self.clock_hz {
            let jitter = u64::from(self.jitter) * u64::from(clock_hz) / u64::from(self.clock_hz);
            self.jitter = u32::try_from(jitter).unwrap_or(u32::MAX);
            self.clock_hz = clock_hz;
            if let Some(source) = &mut self.source {
                source.last = None;
            }
        }
    }

    /// A packet of the stream. `timed` says whether its timestamp is the time at which it was sent, as it is not for
    /// the events of RFC 4733: these count but do not jitter.
    pub fn handle_packet(&mut self, now: Instant, packet: &Packet<'_>, timed: bool) {
        self.packets += 1;
        if self.source.as_ref().is_none_or(|source| source.ssrc != packet.ssrc) {
            self.begin(packet);
        }
        let Some(source) = &mut self.source else { return };
        let ahead = packet.sequence.wrapping_sub(source.highest);
        let behind = source.highest.wrapping_sub(packet.sequence);
        if ahead == 0 && source.received == 0 {
            source.received = 1;
        } else if (1..=DROPOUT).contains(&ahead) {
            source.go_on(ahead);
            source.received += 1;
        } else if behind <= MISORDER {
            if source.seen >> behind & 1 == 1 {
                source.duplicates += 1;
                self.duplicates += 1;
            } else {
                self.reordered += 1;
            }
            source.seen |= 1 << behind;
            source.received += 1;
        } else {
            return;
        }
        if timed {
            self.jitter(now, packet.timestamp);
        }
    }

    /// The next packet begins a count of its own, whatever its number is.
    pub fn begin_anew(&mut self) {
        if let Some(source) = self.source.take() {
            self.past_expected += source.expected();
            self.past_unique += source.unique();
        }
    }

    /// All packets that came, duplicates too.
    pub fn packets(&self) -> u64 {
        self.packets
    }

    /// Numbers from the first to the highest.
    pub fn expected(&self) -> u64 {
        self.past_expected + self.source.as_ref().map_or(0, Source::expected)
    }

    /// Numbers that did not come.
    pub fn lost(&self) -> u64 {
        self.expected().saturating_sub(self.past_unique + self.source.as_ref().map_or(0, Source::unique))
    }

    /// The same as a share of those expected, 0 to 1.
    pub fn lost_share(&self) -> f32 {
        self.lost() as f32 / self.expected().max(1) as f32
    }

    /// Packets that came after a later one.
    pub fn reordered(&self) -> u64 {
        self.reordered
    }

    /// Packets that came again.
    pub fn duplicates(&self) -> u64 {
        self.duplicates
    }

    /// Interarrival jitter.
    pub fn jitter_ms(&self) -> f32 {
        self.jitter as f32 / 16.0 * 1000.0 / self.clock_hz as f32
    }

    /// What is to be reported, for the time since it was called last; nothing if no packet came at all. The times of
    /// the last sender report are left 0.
    pub fn report(&mut self) -> Option<Block> {
        let jitter = self.jitter >> 4;
        let source = self.source.as_mut()?;
        let (expected, received) = (source.expected(), source.received);
        let newly_expected = expected.saturating_sub(source.expected_before);
        let newly_lost = newly_expected.saturating_sub(received - source.received_before);
        (source.expected_before, source.received_before) = (expected, received);
        let lost = (expected as i64 - received as i64).clamp(-0x0080_0000, 0x007f_ffff);
        Some(Block {
            ssrc: source.ssrc,
            fraction_lost: (newly_lost * 256).checked_div(newly_expected).unwrap_or(0).min(255) as u8,
            lost: lost as i32,
            highest: source.extended(),
            jitter,
            last_report: 0,
            since_last_report: 0,
        })
    }

    fn begin(&mut self, packet: &Packet<'_>) {
        self.begin_anew();
        self.source = Some(Source {
            ssrc: packet.ssrc,
            base: packet.sequence.into(),
            highest: packet.sequence,
            cycles: 0,
            received: 0,
            duplicates: 0,
            seen: 1,
            expected_before: 0,
            received_before: 0,
            last: None,
        });
    }

    fn jitter(&mut self, now: Instant, timestamp: u32) {
        let Some(source) = &mut self.source else { return };
        if let Some((heard, before)) = source.last.replace((now, timestamp)) {
            let passed = now.saturating_duration_since(heard);
            let hz = u64::from(self.clock_hz);
            let part = u64::from(passed.subsec_nanos()) * hz / 1_000_000_000;
            let passed = passed.as_secs().wrapping_mul(hz).wrapping_add(part) as u32;
            let off = (passed.wrapping_sub(timestamp.wrapping_sub(before)) as i32).unsigned_abs();
            // A timestamp that jumps by more is another stream's, and says nothing of the way.
            if off < self.clock_hz.saturating_mul(5) {
                self.jitter =
                    self.jitter.saturating_add(off).saturating_sub(self.jitter.saturating_add(8) >> 4);
            }
        }
    }
}

impl Source {
    fn go_on(&mut self, ahead: u16) {
        let highest = self.highest.wrapping_add(ahead);
        if highest < self.highest {
            self.cycles = self.cycles.wrapping_add(1 << 16);
        }
        self.highest = highest;
        self.seen = self.seen.checked_shl(ahead.into()).unwrap_or(0) | 1;
    }

    fn extended(&self) -> u32 {
        self.cycles | u32::from(self.highest)
    }

    fn expected(&self) -> u64 {
        u64::from(self.extended().wrapping_sub(self.base)) + 1
    }

    fn unique(&self) -> u64 {
        self.received - self.duplicates
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn loss_is_counted_over_the_wrap_and_reported_per_interval() {
        let mut ear = Ear::new();
        for sequence in (65_500..65_536).chain(0..64).filter(|sequence| sequence % 4 != 1) {
            ear.hear(sequence as u16, 0);
        }
        let Ear { reception, .. } = &mut ear;
        assert_eq!((reception.expected(), reception.lost(), reception.packets()), (100, 25, 75));
        let block = reception.report().unwrap();
        assert_eq!((block.fraction_lost, block.lost, block.highest), (64, 25, 0x1_0000 + 63));
        for sequence in 64..164 {
            ear.hear(sequence, 0);
        }
        let block = ear.reception.report().unwrap();
        assert_eq!((block.fraction_lost, block.lost), (0, 25));
        assert_eq!(ear.reception.report().unwrap().fraction_lost, 0, "nothing was expected since");
    }

    #[test]
    fn duplicates_and_late_packets_are_told_apart() {
        let mut ear = Ear::new();
        for sequence in [10, 12, 11, 11, 13, 13, 9] {
            ear.hear(sequence, 0);
        }
        let reception = &mut ear.reception;
        assert_eq!((reception.duplicates(), reception.reordered(), reception.lost()), (2, 2, 0));
        assert_eq!(reception.report().unwrap().lost, -3, "what RFC 3550 wants of duplicates");
    }

    /// A.8 worked by hand: each packet 16 ticks later than its timestamp says, then in time.
    #[test]
    fn jitter_follows_the_rfcs_filter() {
        let mut ear = Ear::new();
        let mut by_hand = 0_u32;
        for (sequence, late_ms) in [(1, 0), (2, 2), (3, 0), (4, 2), (5, 2)] {
            ear.hear(sequence, late_ms);
        }
        for off in [16, 16, 16, 0] {
            by_hand = by_hand + off - ((by_hand + 8) >> 4);
        }
        assert_eq!(ear.reception.report().unwrap().jitter, by_hand >> 4);
        assert!((ear.reception.jitter_ms() - by_hand as f32 / 16.0 / 8.0).abs() < 1e-3);
    }

    #[test]
    fn a_steady_swing_becomes_its_size_in_jitter() {
        let mut ear = Ear::new();
        for sequence in 0..500 {
            ear.hear(sequence, u64::from(sequence % 2) * 10);
        }
        assert!((ear.reception.jitter_ms() - 10.0).abs() < 0.5, "{}", ear.reception.jitter_ms());
        let before = ear.reception.jitter_ms();
        ear.reception.set_clock(48_000);
        assert!((ear.reception.jitter_ms() - before).abs() < 0.1);
    }

    #[test]
    fn a_new_source_or_a_sender_that_began_anew_makes_no_loss() {
        let mut ear = Ear::new();
        for first in [0, 1000, 30_000, 29_000] {
            ear.reception.begin_anew();
            for sequence in first..first + 10 {
                ear.hear(sequence, 0);
            }
        }
        ear.hear(50_000, 0);
        assert_eq!((ear.reception.lost(), ear.reception.expected()), (0, 40));
        ear.ssrc = 8;
        for sequence in [50_000, 50_002] {
            ear.hear(sequence, 0);
        }
        assert_eq!(ear.reception.lost(), 1);
        assert_eq!(ear.reception.report().unwrap().ssrc, 8);
    }

    #[test]
    fn no_order_of_numbers_breaks_the_count() {
        for seed in 0..20_u64 {
            let mut ear = Ear::new();
            let mut random = seed;
            for _ in 0..5000 {
                random =
                    random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                ear.ssrc = u32::from(random >> 56 == 0);
                ear.hear((random >> 40) as u16 & if seed % 2 == 0 { 0xff } else { 0xffff }, random >> 60);
                let lost = ear.reception.lost();
                assert!(lost <= ear.reception.expected(), "seed {seed}");
                ear.reception.report();
            }
        }
    }

    struct Ear {
        reception: Reception,
        begin: Instant,
        ssrc: u32,
    }

    impl Ear {
        fn new() -> Self {
            Self { reception: Reception::new(8000), begin: Instant::now(), ssrc: 7 }
        }

        fn hear(&mut self, sequence: u16, late_ms: u64) {
            let at = self.begin + Duration::from_millis(u64::from(sequence) * 20 + late_ms);
            let timestamp = u32::from(sequence) * 160;
            let packet = Packet {
                marker: false,
                payload_type: 0,
                sequence,
                timestamp,
                ssrc: self.ssrc,
                payload: &[0],
            };
            self.reception.handle_packet(at, &packet, true);
        }
    }
}
