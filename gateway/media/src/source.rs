//! What comes from one side, put in its place among what we send: RTP streams that begin, break and begin anew.
//!
//! Inside one incoming stream a gap stays the same gap and packets keep the order in which they came, also where one
//! packet becomes several; a duplicate is dropped, because under SRTP the same number may not be used twice.
//!
//! What is thrown at a call, even with its own SSRC, must not lead its stream away: only sound does, and sound whose numbers
//! go on or, where they jump, are borne out by the next packet (RFC 3550 appendix A.1, with its probation of new sources).

use std::time::{Duration, Instant};

use crate::numbers::Numbers;
use crate::report::{Counters, Reason};
use crate::rtp::Packet;
use crate::window::{Place, SPAN, Window};

/// A timestamp may run ahead of the clock on the wall by this much before it counts as a jump.
const LEAP: Duration = Duration::from_secs(5);
/// How long the stream that was just left may not come back: its last packets are still on their way.
const AFTERGLOW: Duration = Duration::from_millis(500);
/// A stream that sounded less than this ago still goes on: whoever takes its place must show two packets in order.
const ALIVE: Duration = Duration::from_millis(200);
/// What is no sound leads a stream on over so many missing numbers at most.
const NEAR: u16 = 16;
/// No hole is wider: beyond it receivers take a sender to have begun anew (RFC 3550 appendix A.1).
const WIDEST_HOLE: u32 = 2900;

/// What a packet is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Sound of so many ticks, to be sent as so many packets.
    Sound { ticks: u32, parts: u16 },
    /// No sound of this call; it leaves no hole.
    LeftOut,
    /// Nothing that can be played; the hole stays.
    Broken,
}

/// How a packet goes with what came before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Course {
    /// It belongs to the stream that there is.
    GoesOn,
    /// With it a stream begins.
    BeginsAnew,
}

/// The numbers under which a packet is sent on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stamp {
    pub(crate) sequence: u16,
    pub(crate) timestamp: u32,
    /// How many numbers there are for it.
    pub(crate) parts: u16,
    /// Whether something else, or nothing, was sent before it.
    pub(crate) resumed: bool,
}

/// The packets of one side.
#[derive(Debug, Default)]
pub(crate) struct Source {
    run: Option<Run>,
    /// Sound out of all order: if its successor follows, the sender began anew (RFC 3550 appendix A.1).
    astray: Option<Astray>,
    former: Option<(u32, Instant)>,
}

/// The last packet of sound that was not believed.
#[derive(Debug, Clone, Copy)]
struct Astray {
    ssrc: u32,
    sequence: u16,
    timestamp: u32,
    came: Instant,
}

/// One incoming stream without a break.
#[derive(Debug)]
struct Run {
    ssrc: u32,
    window: Window,
    /// When sound of it found its place last, sent on or not.
    sounded: Instant,
    /// When the newest packet came whose sound was sent on, and its timestamp.
    heard: Instant,
    timestamp: u32,
    /// What is added to get the outgoing timestamp; `None` until something of this run is sent.
    anchor: Option<u32>,
    claims: Claims,
}

/// Which outgoing numbers belong to the last [`SPAN`] incoming ones.
#[derive(Debug)]
struct Claims {
    firsts: [u16; SPAN as usize],
    counts: [u16; SPAN as usize],
    /// How many the newest packet took; a lost one would have taken as many.
    usual: u16,
}

impl Source {
    /// Makes what comes next follow what was sent last, without a hole.
    pub(crate) fn break_off(&mut self) {
        if let Some(run) = &mut self.run {
            run.anchor = None;
        }
    }

    /// Forgets what came: who speaks from now on is somebody else, whatever numbers they have. The last packets of the
    /// former one come no more.
    pub(crate) fn replace(&mut self) {
        *self = Self::default();
    }

    /// Whether packets of this source have been taken.
    pub(crate) fn knows(&self, ssrc: u32) -> bool {
        self.run.as_ref().is_some_and(|run| run.ssrc == ssrc)
    }

    /// Finds the packet's place in its stream, begins a new run where needed, and counts.
    pub(crate) fn place(
        &mut self,
        now: Instant,
        packet: &Packet<'_>,
        kind: Kind,
        numbers: &mut Numbers,
        counters: &mut Counters,
    ) -> Result<Course, Reason> {
        let is_sound = matches!(kind, Kind::Sound { .. });
        let Some(run) = self.run.as_mut().filter(|run| run.ssrc == packet.ssrc) else {
            if !is_sound {
                return Err(Reason::Astray);
            }
            if self.former.is_some_and(|(ssrc, left)| ssrc == packet.ssrc && now < left + AFTERGLOW) {
                return Err(Reason::TooLate);
            }
            // A sender that only stalled is not given up for the first packet of somebody else.
            if self.run.is_some() {
                self.prove(now, packet, numbers)?;
            }
            self.former = self.run.as_ref().map(|run| (run.ssrc, now));
            return Ok(self.begin(now, packet));
        };
        let place = run.window.place(packet.sequence);
        let is_astray = match place {
            Place::Ahead { lost } if !is_sound => lost > NEAR,
            // The clock has to bear out a hole; a jump of the timestamp alone hides nothing.
            Place::Ahead { lost } => lost > 0 && run.leaps(now, packet, numbers),
            // A sender that began anew a little further back would otherwise not be heard for as long.
            Place::TooLate => is_sound && now >= run.sounded + ALIVE,
            Place::Late { .. } | Place::Duplicate => false,
            Place::Astray => true,
        };
        if is_astray {
            if !is_sound {
                return Err(Reason::Astray);
            }
            self.prove(now, packet, numbers)?;
            return Ok(self.begin(now, packet));
        }
        match place {
            Place::Ahead { lost } => {
                run.window.take(packet.sequence);
                counters.lost += u64::from(lost);
                if run.anchor.is_some() {
                    run.claims.leave_hole(packet.sequence, lost, numbers);
                    match kind {
                        Kind::Sound { .. } => {}
                        Kind::LeftOut => run.claims.claim(packet.sequence, 0, numbers),
                        Kind::Broken => run.claims.claim(packet.sequence, run.claims.usual, numbers),
                    }
                }
            }
            Place::Late { filled } => {
                run.window.take(packet.sequence);
                counters.late += 1;
                counters.lost = counters.lost.saturating_sub(filled.into());
            }
            Place::Duplicate => return Err(Reason::Duplicate),
            Place::TooLate => return Err(Reason::TooLate),
            Place::Astray => return Err(Reason::Astray),
        }
        if is_sound {
            run.sounded = now;
            self.astray = None;
        }
        Ok(Course::GoesOn)
    }

    /// Whether what there is sounds still.
    fn is_alive(&self, now: Instant) -> bool {
        self.run.as_ref().is_some_and(|run| now < run.sounded + ALIVE)
    }

    /// Whether the packet follows the last one that was not believed; else it is kept in its place. While the stream that
    /// there is sounds, its timestamp has to follow, too: of numbers at random two are in order now and then.
    fn prove(&mut self, now: Instant, packet: &Packet<'_>, numbers: &Numbers) -> Result<(), Reason> {
        let is_alive = self.is_alive(now);
        let Packet { ssrc, sequence, timestamp, .. } = *packet;
        let before = self.astray.replace(Astray { ssrc, sequence, timestamp, came: now });
        let follows = before.is_some_and(|before| {
            (before.ssrc, before.sequence.wrapping_add(1)) == (ssrc, sequence)
                && !(is_alive && is_leap(timestamp.wrapping_sub(before.timestamp), now, before.came, numbers))
        });
        if follows { Ok(()) } else { Err(Reason::Astray) }
    }

    fn begin(&mut self, now: Instant, packet: &Packet<'_>) -> Course {
        self.astray = None;
        self.run = Some(Run {
            ssrc: packet.ssrc,
            window: Window::new(packet.sequence),
            sounded: now,
            heard: now,
            timestamp: packet.timestamp,
            anchor: None,
            claims: Claims::new(),
        });
        Course::BeginsAnew
    }

    /// The numbers of a packet of sound that [`place`](Self::place) has just taken.
    pub(crate) fn stamp(
        &mut self,
        now: Instant,
        packet: &Packet<'_>,
        ticks: u32,
        parts: u16,
        numbers: &mut Numbers,
    ) -> Result<Stamp, Reason> {
        // `place` has just found or begun it.
        let Some(run) = &mut self.run else { return Err(Reason::NoStream) };
        let step = packet.timestamp.wrapping_sub(run.timestamp) as i32;
        let newest = run.window.is_newest(packet.sequence);
        let resumed = run.anchor.is_none() && numbers.has_begun();
        let anchor = match run.anchor {
            None if !newest => return Err(Reason::TooLate),
            None => {
                // Only before anything was sent are the numbers below the first one still free.
                if resumed {
                    run.window.close();
                } else {
                    run.claims.reach_back(packet.sequence, parts, numbers);
                }
                numbers.follows(now).wrapping_sub(packet.timestamp)
            }
            Some(_) if newest && run.leaps(now, packet, numbers) => {
                tracing::debug!(step, "the timestamp jumps, its sequence does not");
                numbers.follows(now).wrapping_sub(packet.timestamp)
            }
            Some(_) if !newest && step.unsigned_abs() > numbers.ticks_at_most(LEAP) => {
                return Err(Reason::TooLate);
            }
            Some(anchor) => anchor,
        };
        run.anchor = Some(anchor);
        let timestamp = packet.timestamp.wrapping_add(anchor);
        if newest {
            run.claims.claim(packet.sequence, parts, numbers);
            run.claims.usual = parts;
            (run.heard, run.timestamp) = (now, packet.timestamp);
            numbers.sent(now, timestamp, ticks);
        }
        let (sequence, claimed) = run.claims.of(packet.sequence);
        if claimed == 0 {
            return Err(Reason::TooLate);
        }
        Ok(Stamp { sequence, timestamp, parts: claimed.min(parts), resumed })
    }
}

impl Run {
    /// Whether the packet's timestamp is not where the clock would have it after the newest one.
    fn leaps(&self, now: Instant, packet: &Packet<'_>, numbers: &Numbers) -> bool {
        is_leap(packet.timestamp.wrapping_sub(self.timestamp), now, self.heard, numbers)
    }
}

/// Whether a timestamp moved back, or further on than the clock since then and [`LEAP`].
fn is_leap(step: u32, now: Instant, since: Instant, numbers: &Numbers) -> bool {
    let most = numbers.ticks_at_most(now.saturating_duration_since(since) + LEAP);
    step > most.min(i32::MAX as u32)
}

impl Claims {
    fn new() -> Self {
        Self { firsts: [0; SPAN as usize], counts: [0; SPAN as usize], usual: 1 }
    }

    fn of(&self, sequence: u16) -> (u16, u16) {
        let at = usize::from(sequence % SPAN);
        (self.firsts[at], self.counts[at])
    }

    fn set(&mut self, sequence: u16, first: u16, count: u16) {
        let at = usize::from(sequence % SPAN);
        (self.firsts[at], self.counts[at]) = (first, count);
    }

    fn claim(&mut self, sequence: u16, count: u16, numbers: &mut Numbers) {
        let first = numbers.take_sequences(count);
        self.set(sequence, first, count);
    }

    /// Keeps numbers free for the `lost` packets before `sequence`.
    fn leave_hole(&mut self, sequence: u16, lost: u16, numbers: &mut Numbers) {
        let hole = (u32::from(lost) * u32::from(self.usual)).min(WIDEST_HOLE) as u16;
        numbers.take_sequences(hole);
        let after = numbers.next_sequence();
        for behind in 1..=lost.min(SPAN - 1) {
            let first = after.wrapping_sub(behind.saturating_mul(self.usual));
            self.set(sequence.wrapping_sub(behind), first, self.usual);
        }
    }

    /// Gives the packets that `sequence` may have overtaken the numbers below the first one.
    fn reach_back(&mut self, sequence: u16, parts: u16, numbers: &Numbers) {
        for behind in 1..SPAN {
            let first = numbers.next_sequence().wrapping_sub(behind * parts);
            self.set(sequence.wrapping_sub(behind), first, parts);
        }
    }
}
