//! Reports to one peer and from it (RFC 3550 sections 6.2 to 6.4): SR or RR with SDES every 5 s or so, BYE at the end.

use std::time::{Duration, Instant};

use super::packet::{self, Entry, RtcpError, Sent};
use crate::quality::Reception;

/// Mean time between reports: the least of section 6.2, which two in a call never exceed.
const INTERVAL: Duration = Duration::from_secs(5);
/// The first report comes between one and two of it.
const FIRST: Duration = Duration::from_secs(1);
/// Who sent nothing for so long is no sender (section 6.4: two intervals).
const IDLE: Duration = Duration::from_secs(10);
/// A longer round trip is a peer's arithmetic.
const LONGEST_ROUND_TRIP: Duration = Duration::from_secs(30);

/// What the peer last said about our stream.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Remote {
    /// Share of our packets lost lately, 0 to 1.
    pub lost_share: Option<f32>,
    /// Lost since the begin, as the peer counts.
    pub lost: Option<i32>,
    /// Interarrival jitter of our packets there.
    pub jitter_ms: Option<f32>,
    /// From us to the peer and back.
    pub round_trip: Option<Duration>,
    /// Reports that came about us.
    pub reports: u64,
    /// Datagrams with something malformed.
    pub malformed: u64,
    /// The peer left.
    pub bye: bool,
}

/// Speaks and hears RTCP beside one side's RTP.
#[derive(Debug)]
pub struct Reporter {
    begin: Instant,
    random: u64,
    ssrc: u32,
    clock_hz: u32,
    cname: String,
    due: Option<Instant>,
    packets: u32,
    octets: u32,
    last_sent: Option<(Instant, u32)>,
    /// The peer's last sender report: whose, its time's middle bits, and when it came.
    peer_report: Option<(u32, u32, Instant)>,
    remote: Remote,
}

impl Reporter {
    /// Reports on our stream `ssrc`, whose timestamps count in `clock_hz`. `seed` must be fresh for each call; `cname`
    /// tells peers that streams belong together and nothing else (RFC 7022).
    pub fn new(now: Instant, seed: u64, ssrc: u32, clock_hz: u32, cname: String) -> Self {
        let mut reporter = Self {
            begin: now,
            random: seed,
            ssrc,
            clock_hz: clock_hz.max(1),
            cname,
            due: None,
            packets: 0,
            octets: 0,
            last_sent: None,
            peer_report: None,
            remote: Remote::default(),
        };
        reporter.due = Some(now + FIRST + FIRST.mul_f64(reporter.share()));
        reporter
    }

    /// Another codec, or another source; a source's counts begin with it (section 6.4.1).
    pub fn set_stream(&mut self, ssrc: u32, clock_hz: u32) {
        if ssrc != self.ssrc {
            (self.ssrc, self.packets, self.octets) = (ssrc, 0, 0);
        }
        if clock_hz.max(1) != self.clock_hz {
            self.clock_hz = clock_hz.max(1);
            self.last_sent = None;
        }
    }

    /// A packet of ours went out; `payload_bytes` are those after its header.
    pub fn handle_sent(&mut self, now: Instant, timestamp: u32, payload_bytes: usize) {
        self.packets = self.packets.wrapping_add(1);
        self.octets = self.octets.wrapping_add(payload_bytes as u32);
        self.last_sent = Some((now, timestamp));
    }

    /// RTCP that came.
    ///
    /// # Errors
    /// [`RtcpError`] says what is malformed; what stood before it counts.
    pub fn handle_packet(&mut self, now: Instant, datagram: &[u8]) -> Result<(), RtcpError> {
        for entry in packet::packets(datagram) {
            let blocks = match entry {
                Ok(Entry::SenderReport { ssrc, ntp, blocks, .. }) => {
                    self.peer_report = Some((ssrc, (ntp >> 16) as u32, now));
                    blocks
                }
                Ok(Entry::ReceiverReport { blocks, .. }) => blocks,
                Ok(Entry::Bye { .. }) => {
                    self.remote.bye = true;
                    continue;
                }
                Ok(Entry::Other(_)) => continue,
                Err(error) => {
                    self.remote.malformed += 1;
                    return Err(error);
                }
            };
            let Some(block) = blocks.iter().find(|block| block.ssrc == self.ssrc) else { continue };
            self.remote.reports += 1;
            self.remote.lost_share = Some(f32::from(block.fraction_lost) / 256.0);
            self.remote.lost = Some(block.lost);
            self.remote.jitter_ms =
                Some((f64::from(block.jitter) * 1000.0 / f64::from(self.clock_hz)) as f32);
            if let Some(round_trip) = self.round_trip(now, block.last_report, block.since_last_report) {
                self.remote.round_trip = Some(round_trip);
            }
        }
        Ok(())
    }

    /// When [`handle_timeout`](Self::handle_timeout) is due; never again after [`bye`](Self::bye).
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.due
    }

    /// Appends the report that is due to `out`, if one is, and says whether. `reception` is of the peer's stream.
    pub fn handle_timeout(&mut self, now: Instant, reception: &mut Reception, out: &mut Vec<u8>) -> bool {
        if self.due.is_none_or(|due| now < due) {
            return false;
        }
        self.due = Some(now + INTERVAL.mul_f64(0.5 + self.share()));
        self.write(now, reception, out);
        true
    }

    /// Appends the last report with a BYE.
    pub fn bye(&mut self, now: Instant, reception: &mut Reception, out: &mut Vec<u8>) {
        self.due = None;
        self.write(now, reception, out);
        packet::write_bye(self.ssrc, out);
    }

    /// What the peer last said about our stream.
    pub fn remote(&self) -> Remote {
        self.remote
    }

    fn write(&self, now: Instant, reception: &mut Reception, out: &mut Vec<u8>) {
        let block = reception.report().map(|mut block| {
            if let Some((_, middle, came)) = self.peer_report.filter(|(ssrc, ..)| *ssrc == block.ssrc) {
                (block.last_report, block.since_last_report) = (middle, middle_bits(now, came));
            }
            block
        });
        let sent = self.last_sent.filter(|(sent, _)| now.saturating_duration_since(*sent) < IDLE);
        let sent = sent.map(|(sent, timestamp)| {
            let quiet =
                now.saturating_duration_since(sent).as_micros() * u128::from(self.clock_hz) / 1_000_000;
            Sent {
                ntp: ntp(now.saturating_duration_since(self.begin)),
                timestamp: timestamp.wrapping_add(quiet as u32),
                packets: self.packets,
                octets: self.octets,
            }
        });
        packet::write_report(self.ssrc, sent, block, out);
        packet::write_cname(self.ssrc, &self.cname, out);
    }

    /// Section 6.4.1: arrival less LSR less DLSR.
    fn round_trip(&self, now: Instant, last_report: u32, since: u32) -> Option<Duration> {
        if last_report == 0 {
            return None;
        }
        let took = middle_bits(now, self.begin).wrapping_sub(last_report).wrapping_sub(since);
        // Clocks of both ends round: a step below zero is none.
        let took = if took > u32::MAX - 64 { 0 } else { took };
        let round_trip = Duration::from_micros((u64::from(took) * 1_000_000) >> 16);
        (round_trip <= LONGEST_ROUND_TRIP).then_some(round_trip)
    }

    /// 0 to 1.
    fn share(&mut self) -> f64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.random ^ self.random >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ mixed >> 31) >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// Time since the call began, which section 6.4.1 allows whoever knows no wall clock.
fn ntp(since_begin: Duration) -> u64 {
    let fraction = (u64::from(since_begin.subsec_nanos()) << 32) / 1_000_000_000;
    since_begin.as_secs() << 32 | fraction
}

/// The middle 32 bits of the NTP time that passed: 1/65536 s.
fn middle_bits(now: Instant, then: Instant) -> u32 {
    (ntp(now.saturating_duration_since(then)) >> 16) as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rtp::Packet;

    #[test]
    fn the_first_report_comes_after_a_second_and_the_others_around_five() {
        let now = Instant::now();
        let mut seen = Vec::new();
        for seed in 0..200 {
            let mut end = End::new(now, seed, 1);
            let first = end.reporter.poll_timeout().unwrap();
            assert!((1.0..2.0).contains(&(first - now).as_secs_f64()));
            assert!(!end.reporter.handle_timeout(now, &mut end.reception, &mut Vec::new()));
            assert!(end.reporter.handle_timeout(first, &mut end.reception, &mut Vec::new()));
            let second = end.reporter.poll_timeout().unwrap();
            assert!((2.5..7.5).contains(&(second - first).as_secs_f64()));
            seen.push(second - first);
        }
        let mean = seen.iter().sum::<Duration>().as_secs_f64() / 200.0;
        assert!((4.6..5.4).contains(&mean), "{mean}");
    }

    #[test]
    fn two_ends_tell_each_other_loss_jitter_and_round_trip() {
        let now = Instant::now();
        let (mut one, mut two) = (End::new(now, 1, 1), End::new(now - Duration::from_secs(9), 2, 2));
        let way = Duration::from_millis(60);
        for number in 0..1000_u16 {
            let at = now + Duration::from_millis(20) * number.into();
            one.send(at, number, &mut two, way, number % 10 == 3);
            two.send(at, number, &mut one, way, false);
            one.report(at, &mut two, way);
            two.report(at, &mut one, way);
        }
        let remote = one.reporter.remote();
        assert!((remote.lost_share.unwrap() - 0.1).abs() < 0.02, "{remote:?}");
        assert!(remote.lost.unwrap() > 70 && remote.reports >= 3);
        assert!(remote.jitter_ms.unwrap() < 0.2);
        let round_trip_ms = remote.round_trip.unwrap().as_secs_f64() * 1000.0;
        assert!((round_trip_ms - 120.0).abs() < 0.1, "{round_trip_ms}");
        assert_eq!((two.reporter.remote().lost_share, two.reporter.remote().bye), (Some(0.0), false));

        let (mut out, end) = (Vec::new(), now + Duration::from_secs(21));
        one.reporter.bye(end, &mut one.reception, &mut out);
        two.reporter.handle_packet(end, &out).unwrap();
        assert!(two.reporter.remote().bye);
        assert_eq!(one.reporter.poll_timeout(), None);
    }

    #[test]
    fn who_sends_nothing_makes_receiver_reports() {
        let now = Instant::now();
        let mut end = End::new(now, 3, 1);
        let mut kind = |at_s: u64| {
            let mut out = Vec::new();
            end.reporter.write(now + Duration::from_secs(at_s), &mut end.reception, &mut out);
            if at_s == 1 {
                end.reporter.handle_sent(now + Duration::from_secs(2), 160, 160);
            }
            out[1]
        };
        assert_eq!([kind(1), kind(3), kind(11), kind(13)], [201, 200, 200, 201]);
    }

    #[test]
    fn a_report_states_the_moment_in_the_streams_own_clock() {
        let now = Instant::now();
        let mut end = End::new(now, 3, 1);
        end.reporter.handle_sent(now + Duration::from_secs(1), u32::MAX, 160);
        let mut out = Vec::new();
        end.reporter.write(now + Duration::from_millis(1500), &mut end.reception, &mut out);
        let Some(Ok(Entry::SenderReport { ntp, timestamp, packets, octets, .. })) =
            packet::packets(&out).next()
        else {
            panic!("{out:?}")
        };
        assert_eq!((ntp, timestamp, packets, octets), (0x1_8000_0000, 3999, 1, 160));
    }

    #[test]
    fn reports_about_others_and_impossible_times_are_not_believed() {
        let now = Instant::now();
        let mut end = End::new(now, 3, 0x0a0b_0c0d);
        let block = crate::quality::Block {
            ssrc: 7,
            fraction_lost: 255,
            lost: 9,
            highest: 1,
            jitter: 8,
            last_report: 0,
            since_last_report: 0,
        };
        let mut out = Vec::new();
        packet::write_report(2, None, Some(block), &mut out);
        end.reporter.handle_packet(now, &out).unwrap();
        assert_eq!(end.reporter.remote(), Remote::default());
        for (last_report, since_last_report) in [(0, 0), (0x7000_0000, 0), (1, 0xffff_0000)] {
            out.clear();
            let block = crate::quality::Block { ssrc: 0x0a0b_0c0d, last_report, since_last_report, ..block };
            packet::write_report(2, None, Some(block), &mut out);
            end.reporter.handle_packet(now + Duration::from_secs(100), &out).unwrap();
            assert_eq!(end.reporter.remote().round_trip, None);
        }
        assert_eq!(end.reporter.handle_packet(now, &out[..20]), Err(RtcpError::Short { bytes: 20 }));
        assert_eq!((end.reporter.remote().malformed, end.reporter.remote().reports), (1, 3));
    }

    /// One end of a call, which sends and hears.
    struct End {
        reporter: Reporter,
        reception: Reception,
        ssrc: u32,
    }

    impl End {
        fn new(begin: Instant, seed: u64, ssrc: u32) -> Self {
            let reporter = Reporter::new(begin, seed, ssrc, 8000, "a@b".to_owned());
            Self { reporter, reception: Reception::new(8000), ssrc }
        }

        fn send(&mut self, at: Instant, number: u16, to: &mut Self, way: Duration, lost: bool) {
            let timestamp = u32::from(number) * 160;
            self.reporter.handle_sent(at, timestamp, 160);
            let (sequence, ssrc) = (number, self.ssrc);
            let packet = Packet { marker: false, payload_type: 8, sequence, timestamp, ssrc, payload: &[0] };
            if !lost {
                to.reception.handle_packet(at + way, &packet, true);
            }
        }

        fn report(&mut self, at: Instant, to: &mut Self, way: Duration) {
            let mut out = Vec::new();
            if self.reporter.handle_timeout(at, &mut self.reception, &mut out) {
                to.reporter.handle_packet(at + way, &out).unwrap();
            }
        }
    }
}
