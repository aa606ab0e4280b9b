//! The relay of one call: Opus passes both ways untouched, each way under numbers of our own (RFC 3550 section 7.1).

use std::time::{Duration, Instant};

use crate::batch::Batch;
use crate::direction::{Direction, Incoming, Stream};
use crate::report::{Reason, Report};
use crate::silence::Silence;

/// The two sides of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The PBX.
    Trunk,
    /// The Telegram user.
    Telegram,
}

impl Side {
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
    /// The packet to send stands in the buffer.
    Sent,
    /// Nothing is to be sent.
    Dropped(Reason),
}

/// Re-stamps the packets of one call, both ways, and counts them.
#[derive(Debug)]
pub struct Relay {
    to_trunk: Direction,
    to_telegram: Direction,
    trunk_silence: Option<Silence>,
    telegram_silence: Option<Silence>,
}

impl Relay {
    /// A relay that drops everything until [`set_outgoing`](Self::set_outgoing) says what a side takes.
    ///
    /// `seed` must be fresh for each call: the first sequence numbers and timestamps come from it.
    pub fn new(seed: u64) -> Self {
        Self {
            to_trunk: Direction::new(mix(seed)),
            to_telegram: Direction::new(mix(!seed)),
            trunk_silence: None,
            telegram_silence: None,
        }
    }

    /// What packets towards `side` carry from now on. Sequence and timestamp run on over a change.
    pub fn set_outgoing(&mut self, side: Side, stream: Stream) {
        self.towards(side).outgoing = Some(stream);
    }

    /// What packets from `side` must carry from now on; before, everything is taken.
    pub fn set_incoming(&mut self, side: Side, incoming: Incoming) {
        self.towards(side.other()).incoming = incoming;
    }

    /// While `held`, `side` gets nothing and is excused from sending. What follows joins on without a hole.
    pub fn hold(&mut self, now: Instant, side: Side, held: bool) {
        self.towards(side).hold(held);
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

    /// A packet from Telegram: `out` is cleared and gets the packet for the trunk, if there is one.
    pub fn to_trunk(&mut self, now: Instant, rtp: &[u8], out: &mut Vec<u8>) -> Outcome {
        out.clear();
        self.pass(now, Side::Trunk, rtp, out)
    }

    /// A packet from the trunk: `out` is cleared and gets the packet for Telegram, if there is one.
    pub fn to_telegram(&mut self, now: Instant, rtp: &[u8], out: &mut Vec<u8>) -> Outcome {
        out.clear();
        self.pass(now, Side::Telegram, rtp, out)
    }

    /// Packets from Telegram that were read together; what is to be sent is appended to `out`.
    pub fn all_to_trunk<'a>(
        &mut self,
        now: Instant,
        rtp: impl IntoIterator<Item = &'a [u8]>,
        out: &mut Batch,
    ) {
        self.pass_all(now, Side::Trunk, rtp, out);
    }

    /// Packets from the trunk that were read together; what is to be sent is appended to `out`.
    pub fn all_to_telegram<'a>(
        &mut self,
        now: Instant,
        rtp: impl IntoIterator<Item = &'a [u8]>,
        out: &mut Batch,
    ) {
        self.pass_all(now, Side::Telegram, rtp, out);
    }

    /// What passed so far.
    pub fn report(&self) -> Report {
        Report { to_trunk: self.to_trunk.counters, to_telegram: self.to_telegram.counters }
    }

    /// When [`handle_timeout`](Self::handle_timeout) is due, and why.
    pub fn poll_timeout(&self) -> Option<(Instant, &'static str)> {
        let trunk =
            self.trunk_silence.as_ref().and_then(Silence::poll_timeout).map(|at| (at, "trunk silent"));
        let telegram =
            self.telegram_silence.as_ref().and_then(Silence::poll_timeout).map(|at| (at, "telegram silent"));
        trunk.into_iter().chain(telegram).min()
    }

    /// The side whose media is lost, if its limit has passed. It is named once; then watching it ends.
    pub fn handle_timeout(&mut self, now: Instant) -> Option<Side> {
        [Side::Trunk, Side::Telegram]
            .into_iter()
            .find(|&side| self.silence(side).take_if(|silence| silence.is_over(now)).is_some())
    }

    fn pass_all<'a>(
        &mut self,
        now: Instant,
        towards: Side,
        rtp: impl IntoIterator<Item = &'a [u8]>,
        out: &mut Batch,
    ) {
        for datagram in rtp {
            if self.pass(now, towards, datagram, &mut out.bytes) == Outcome::Sent {
                out.end_packet();
            }
        }
    }

    fn pass(&mut self, now: Instant, towards: Side, rtp: &[u8], out: &mut Vec<u8>) -> Outcome {
        let sent = self.towards(towards).pass(now, rtp, out);
        if !matches!(sent, Err(Reason::NotRtp | Reason::OtherSource))
            && let Some(silence) = self.silence(towards.other())
        {
            silence.heard(now);
        }
        sent.map_or_else(Outcome::Dropped, |()| Outcome::Sent)
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
