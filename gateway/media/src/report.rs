//! What passed one call's relay, and what did not and why.

use std::time::{Duration, Instant};

/// Why a packet went no further.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// Not RTP: too short, another version, impossible lengths, RTCP.
    NotRtp,
    /// Another source than the peer announced.
    OtherSource,
    /// Another payload type than the one agreed.
    OtherPayload,
    /// A probe or keep-alive that holds no sound; it leaves no hole in what is sent.
    PaddingOnly,
    /// No Opus packet by its framing; the hole stays, so that the far end conceals it.
    Malformed,
    /// The same number came before.
    Duplicate,
    /// Too far behind to tell whether it came before.
    TooLate,
    /// A number out of all order; taken from the second one on, if that follows the first.
    Astray,
    /// The other side holds the call.
    Held,
    /// What the sides agreed on is not known yet.
    NoStream,
    /// No sound but a digit; it leaves no hole.
    Event,
    /// A digit of ours takes its place.
    Replaced,
}

/// How many packets were dropped for each [`Reason`], duplicates apart.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Dropped {
    /// [`Reason::NotRtp`].
    pub not_rtp: u64,
    /// [`Reason::OtherSource`].
    pub other_source: u64,
    /// [`Reason::OtherPayload`].
    pub other_payload: u64,
    /// [`Reason::PaddingOnly`].
    pub padding_only: u64,
    /// [`Reason::Malformed`].
    pub malformed: u64,
    /// [`Reason::TooLate`].
    pub too_late: u64,
    /// [`Reason::Astray`].
    pub astray: u64,
    /// [`Reason::Held`].
    pub held: u64,
    /// [`Reason::NoStream`].
    pub no_stream: u64,
    /// [`Reason::Replaced`].
    pub replaced: u64,
}

impl Dropped {
    /// All of them together.
    pub fn total(&self) -> u64 {
        self.not_rtp
            + self.other_source
            + self.other_payload
            + self.padding_only
            + self.malformed
            + self.too_late
            + self.astray
            + self.held
            + self.no_stream
            + self.replaced
    }
}

/// What happened in one direction since the call began.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// Packets that passed; one that was split counts in its parts.
    pub packets: u64,
    /// Bytes of sound in them, without headers.
    pub octets: u64,
    /// Packets that we made: of decoded sound, tones, digits, silence.
    pub made: u64,
    /// Bytes in them, without headers.
    pub octets_made: u64,
    /// How long everything sent sounds.
    pub audio: Duration,
    /// Numbers that never came.
    pub lost: u64,
    /// Packets that came after a later one; they were sent on unless dropped as too late.
    pub late: u64,
    /// Packets that came again, and were not sent again.
    pub duplicates: u64,
    /// Packets of digits (RFC 4733), which are read and not sent on.
    pub events: u64,
    /// What a direction that is decoded played; zero in one that passes.
    pub playback: Playback,
    /// Packets not sent on for another reason.
    pub dropped: Dropped,
    /// When the last packet came that found its place in the stream, whatever it held.
    pub last_packet: Option<Instant>,
}

/// What came out of a jitter buffer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Playback {
    /// Sound out of packets.
    pub played: Duration,
    /// Sound made up for packets that did not come in time.
    pub concealed: Duration,
    /// Packets that came when their turn was over.
    pub late: u64,
    /// Packets given up because too many waited.
    pub overflowed: u64,
    /// Packets that could not be decoded.
    pub malformed: u64,
    /// How long packets waited at least in the last seconds.
    pub delay: Duration,
}

impl Playback {
    /// What share of the sound was made up, 0 to 1.
    pub fn concealed_share(&self) -> f32 {
        let all = self.played + self.concealed;
        if all.is_zero() { 0.0 } else { self.concealed.as_secs_f32() / all.as_secs_f32() }
    }
}

impl Counters {
    pub(crate) fn drop_for(&mut self, reason: Reason) {
        let dropped = &mut self.dropped;
        let counter = match reason {
            Reason::NotRtp => &mut dropped.not_rtp,
            Reason::OtherSource => &mut dropped.other_source,
            Reason::OtherPayload => &mut dropped.other_payload,
            Reason::PaddingOnly => &mut dropped.padding_only,
            Reason::Malformed => &mut dropped.malformed,
            Reason::Duplicate => &mut self.duplicates,
            Reason::TooLate => &mut dropped.too_late,
            Reason::Astray => &mut dropped.astray,
            Reason::Held => &mut dropped.held,
            Reason::NoStream => &mut dropped.no_stream,
            Reason::Event => &mut self.events,
            Reason::Replaced => &mut dropped.replaced,
        };
        *counter += 1;
    }
}

/// Both directions of one call.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Report {
    /// From the Telegram side to the trunk.
    pub to_trunk: Counters,
    /// From the trunk to the Telegram side.
    pub to_telegram: Counters,
}
