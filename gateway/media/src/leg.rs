//! What is known of one side's network: what came of its stream, and by RTCP what came of ours (RFC 3550 section 6).

use std::time::{Duration, Instant};

use crate::audio::Audio;
use crate::quality::{Impairment, LegQuality, Reception, mos};
use crate::report::Counters;
use crate::rtcp::{Reporter, RtcpError};
use crate::rtp::HEADER_BYTES;

/// One side, beside the sound.
#[derive(Debug)]
pub(crate) struct Leg {
    pub(crate) reception: Reception,
    reporter: Option<Reporter>,
    audio: Option<Audio>,
}

impl Leg {
    pub(crate) fn new() -> Self {
        Self { reception: Reception::new(8000), reporter: None, audio: None }
    }

    pub(crate) fn set_audio(&mut self, audio: Audio) {
        self.reception.set_clock(audio.codec.clock_hz);
        if let Some(reporter) = &mut self.reporter {
            reporter.set_stream(audio.ssrc, audio.codec.clock_hz);
        }
        self.audio = Some(audio);
    }

    pub(crate) fn report_to(&mut self, now: Instant, seed: u64, cname: String) {
        let (ssrc, clock_hz) = self.audio.map_or((0, 8000), |audio| (audio.ssrc, audio.codec.clock_hz));
        self.reporter = Some(Reporter::new(now, seed, ssrc, clock_hz, cname));
    }

    /// A packet of ours went out, as it was written.
    pub(crate) fn handle_sent(&mut self, now: Instant, rtp: &[u8]) {
        let Some(reporter) = &mut self.reporter else { return };
        let timestamp = rtp.get(4..).and_then(<[u8]>::first_chunk).map(|bytes| u32::from_be_bytes(*bytes));
        if let Some(timestamp) = timestamp {
            reporter.handle_sent(now, timestamp, rtp.len().saturating_sub(HEADER_BYTES));
        }
    }

    /// What the peer says of our stream; the share that it lost, if it says so.
    pub(crate) fn handle_rtcp(&mut self, now: Instant, datagram: &[u8]) -> Result<Option<f32>, RtcpError> {
        let Some(reporter) = &mut self.reporter else { return Ok(None) };
        let before = reporter.remote().reports;
        reporter.handle_packet(now, datagram)?;
        let remote = reporter.remote();
        Ok(remote.lost_share.filter(|_| remote.reports > before))
    }

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        self.reporter.as_ref().and_then(Reporter::poll_timeout)
    }

    /// Writes the report that is due.
    pub(crate) fn report(&mut self, now: Instant, out: &mut Vec<u8>) -> bool {
        self.reporter.as_mut().is_some_and(|reporter| reporter.handle_timeout(now, &mut self.reception, out))
    }

    /// Writes a last report and the goodbye.
    pub(crate) fn bye(&mut self, now: Instant, out: &mut Vec<u8>) -> bool {
        let Some(mut reporter) = self.reporter.take() else { return false };
        reporter.bye(now, &mut self.reception, out);
        true
    }

    /// What its stream is like, and what it says of ours; `from` and `to` are the two directions' counters.
    pub(crate) fn quality(&self, from: &Counters, to: &Counters) -> LegQuality {
        let remote = self.reporter.as_ref().map(Reporter::remote).unwrap_or_default();
        let decoded = !(from.playback.played + from.playback.concealed).is_zero();
        let concealed_share = from.playback.concealed_share();
        let missing = if decoded { concealed_share } else { self.reception.lost_share() };
        let way = remote.round_trip.map_or(Duration::ZERO, |round_trip| round_trip / 2);
        let packet = self.audio.map_or(0, |audio| audio.ptime_ms);
        let delay = way + from.playback.delay + Duration::from_millis(packet.into());
        let impairment = self.audio.map_or(Impairment::G711, |audio| Impairment::of(audio.codec));
        LegQuality {
            packets_in: self.reception.packets(),
            packets_out: to.packets + to.made,
            lost: self.reception.lost(),
            reordered: self.reception.reordered(),
            jitter_ms: self.reception.jitter_ms(),
            round_trip_ms: remote.round_trip.map(|round_trip| round_trip.as_secs_f32() * 1000.0),
            remote_lost_share: remote.lost_share,
            remote_jitter_ms: remote.jitter_ms,
            concealed_share,
            mos: mos(impairment, missing, delay),
        }
    }
}
