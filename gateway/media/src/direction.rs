//! One direction of a call: packets that come from one side leave towards the other under numbers of our own.
//!
//! The outgoing sequence and timestamp begin at random and run on over everything that breaks the incoming ones: a new
//! SSRC, a sender that began anew, a hold, a re-offer. Inside one incoming stream a gap stays the same gap and packets
//! keep the order in which they came; a duplicate is dropped, because under SRTP the same number may not be used twice.

use std::time::{Duration, Instant};

use crate::codec::OPUS;
use crate::opus::Shape;
use crate::report::{Counters, Reason};
use crate::rtp::Packet;
use crate::window::{Place, Window};

/// A timestamp may run ahead of the clock on the wall by this much before it counts as a jump.
const LEAP: Duration = Duration::from_secs(5);
/// How long the stream that was just left may not come back: its last packets are still on their way.
const AFTERGLOW: Duration = Duration::from_millis(500);

/// What packets towards one side carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stream {
    /// The number that side's description gave the codec.
    pub payload_type: u8,
    /// Ours towards that side.
    pub ssrc: u32,
}

/// What packets from one side must carry; anything else is dropped and counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Incoming {
    /// The number that our description gave the codec; `None` takes any.
    pub payload_type: Option<u8>,
    /// The source that the peer announced; `None` follows whoever speaks.
    pub ssrc: Option<u32>,
}

#[derive(Debug)]
pub(crate) struct Direction {
    pub(crate) incoming: Incoming,
    pub(crate) outgoing: Option<Stream>,
    pub(crate) counters: Counters,
    held: bool,
    run: Option<Run>,
    /// A packet out of all order: if its successor follows, the sender began anew (RFC 3550 appendix A.1).
    astray: Option<(u32, u16)>,
    former: Option<(u32, Instant)>,
    next_sequence: u16,
    /// Of the newest packet sent, or where the first one begins.
    timestamp: u32,
    /// When the newest packet was sent, and how many ticks it sounds.
    last_sent: Option<(Instant, u32)>,
}

/// One incoming stream without a break.
#[derive(Debug)]
struct Run {
    ssrc: u32,
    window: Window,
    heard: Instant,
    timestamp: u32,
    /// What is added to get the outgoing numbers; `None` until something of this run is sent.
    anchor: Option<Anchor>,
}

#[derive(Debug, Clone, Copy)]
struct Anchor {
    sequence: u16,
    timestamp: u32,
}

impl Direction {
    pub(crate) fn new(random: u64) -> Self {
        let [a, b, c, d, e, f, ..] = random.to_be_bytes();
        Self {
            incoming: Incoming::default(),
            outgoing: None,
            counters: Counters::default(),
            held: false,
            run: None,
            astray: None,
            former: None,
            next_sequence: u16::from_be_bytes([a, b]),
            timestamp: u32::from_be_bytes([c, d, e, f]),
            last_sent: None,
        }
    }

    pub(crate) fn hold(&mut self, held: bool) {
        self.held = held;
        if held {
            self.break_off();
        }
    }

    /// Makes what comes next follow what was sent last, without a hole.
    pub(crate) fn break_off(&mut self) {
        if let Some(run) = &mut self.run {
            run.anchor = None;
        }
    }

    /// Takes one datagram and appends at most one packet to `out`.
    pub(crate) fn pass(&mut self, now: Instant, datagram: &[u8], out: &mut Vec<u8>) -> Result<(), Reason> {
        let sent = self.try_pass(now, datagram, out);
        if let Err(reason) = sent {
            self.counters.drop_for(reason);
            tracing::trace!(?reason, bytes = datagram.len(), "packet dropped");
        }
        sent
    }

    fn try_pass(&mut self, now: Instant, datagram: &[u8], out: &mut Vec<u8>) -> Result<(), Reason> {
        let packet = Packet::read(datagram).map_err(|_| Reason::NotRtp)?;
        if self.incoming.ssrc.is_some_and(|ssrc| ssrc != packet.ssrc) {
            return Err(Reason::OtherSource);
        }
        self.counters.last_packet = Some(now);

        let shape = self.shape(&packet);
        let known = self.run.as_ref().is_some_and(|run| run.ssrc == packet.ssrc);
        if !known {
            shape?;
        }
        // What is no sound of this call shares its numbers all the same, and they must not be missed.
        self.number(now, &packet, matches!(shape, Err(Reason::PaddingOnly | Reason::OtherPayload)))?;
        let shape = shape?;
        let stream = self.outgoing.ok_or(Reason::NoStream)?;
        if self.held {
            return Err(Reason::Held);
        }
        self.send(now, &packet, shape, stream, out)
    }

    fn shape(&self, packet: &Packet<'_>) -> Result<Shape, Reason> {
        if packet.is_padding_only() {
            return Err(Reason::PaddingOnly);
        }
        if self.incoming.payload_type.is_some_and(|wanted| wanted != packet.payload_type) {
            return Err(Reason::OtherPayload);
        }
        Shape::read(packet.payload).ok_or(Reason::Malformed)
    }

    /// Finds the packet's place in its stream, begins a new run where needed, and counts.
    fn number(&mut self, now: Instant, packet: &Packet<'_>, left_out: bool) -> Result<(), Reason> {
        let Some(run) = self.run.as_mut().filter(|run| run.ssrc == packet.ssrc) else {
            if self.former.is_some_and(|(ssrc, left)| ssrc == packet.ssrc && now < left + AFTERGLOW) {
                return Err(Reason::TooLate);
            }
            self.former = self.run.as_ref().map(|run| (run.ssrc, now));
            self.begin(now, packet);
            return Ok(());
        };
        match run.window.place(packet.sequence) {
            Place::Ahead { lost } => {
                run.window.take(packet.sequence, left_out);
                self.counters.lost += u64::from(lost);
                if let (true, Some(anchor)) = (left_out, &mut run.anchor) {
                    anchor.sequence = anchor.sequence.wrapping_sub(1);
                }
            }
            Place::Late { filled } => {
                run.window.take(packet.sequence, left_out);
                self.counters.late += 1;
                self.counters.lost = self.counters.lost.saturating_sub(filled.into());
            }
            Place::Duplicate => return Err(Reason::Duplicate),
            Place::TooLate => return Err(Reason::TooLate),
            Place::Astray => {
                let follows = Some((packet.ssrc, packet.sequence.wrapping_sub(1)));
                if self.astray != follows {
                    self.astray = Some((packet.ssrc, packet.sequence));
                    return Err(Reason::Astray);
                }
                self.begin(now, packet);
            }
        }
        self.astray = None;
        Ok(())
    }

    fn begin(&mut self, now: Instant, packet: &Packet<'_>) {
        self.astray = None;
        self.run = Some(Run {
            ssrc: packet.ssrc,
            window: Window::new(packet.sequence),
            heard: now,
            timestamp: packet.timestamp,
            anchor: None,
        });
    }

    fn send(
        &mut self,
        now: Instant,
        packet: &Packet<'_>,
        shape: Shape,
        stream: Stream,
        out: &mut Vec<u8>,
    ) -> Result<(), Reason> {
        // `number` has just found or begun it.
        let Some(run) = &mut self.run else { return Err(Reason::NoStream) };
        let step = packet.timestamp.wrapping_sub(run.timestamp) as i32;
        let follows = match self.last_sent {
            Some((sent, sounds)) => {
                let quiet = ticks(now.saturating_duration_since(sent)) as u32;
                self.timestamp.wrapping_add(sounds.max(quiet))
            }
            None => self.timestamp,
        };

        let newest = run.window.is_newest(packet.sequence);
        let resumed = run.anchor.is_none() && self.last_sent.is_some();
        let anchor = match run.anchor {
            None if !newest => return Err(Reason::TooLate),
            None => {
                // Only before anything was sent are the numbers below the first one still free.
                if resumed {
                    run.window.close();
                }
                Anchor {
                    sequence: self.next_sequence.wrapping_sub(packet.sequence),
                    timestamp: follows.wrapping_sub(packet.timestamp),
                }
            }
            Some(anchor) if newest && !(0..=leap(now, run.heard)).contains(&step) => {
                tracing::debug!(step, "the timestamp jumps, its sequence does not");
                Anchor { timestamp: follows.wrapping_sub(packet.timestamp), ..anchor }
            }
            Some(_) if !newest && u64::from(step.unsigned_abs()) > ticks(LEAP) => {
                return Err(Reason::TooLate);
            }
            Some(anchor) => anchor,
        };
        run.anchor = Some(anchor);

        let sequence = packet
            .sequence
            .wrapping_add(anchor.sequence)
            .wrapping_add(run.window.left_out_after(packet.sequence));
        let timestamp = packet.timestamp.wrapping_add(anchor.timestamp);
        if newest {
            (run.heard, run.timestamp) = (now, packet.timestamp);
            (self.next_sequence, self.timestamp) = (sequence.wrapping_add(1), timestamp);
            self.last_sent = Some((now, shape.ticks()));
        }
        let marker = packet.marker || resumed;
        let Stream { payload_type, ssrc } = stream;
        Packet { marker, payload_type, sequence, timestamp, ssrc, payload: packet.payload }.write(out);

        self.counters.packets += 1;
        self.counters.octets += packet.payload.len() as u64;
        self.counters.audio += shape.duration();
        Ok(())
    }
}

/// How far a timestamp may step after `heard` without being a jump.
fn leap(now: Instant, heard: Instant) -> i32 {
    i32::try_from(ticks(now.saturating_duration_since(heard) + LEAP)).unwrap_or(i32::MAX)
}

fn ticks(time: Duration) -> u64 {
    (time.as_micros() * u128::from(OPUS.clock_hz) / 1_000_000) as u64
}
