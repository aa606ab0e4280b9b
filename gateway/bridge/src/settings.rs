//! How patient a line is, and how many callers it lets in.

use std::time::Duration;

/// Whether further Telegram callers get in while one waits for the PBX.
///
/// Once Telegram is told that a call rings here, it answers further callers with busy by itself; until it is told, it
/// gives the caller 20 s.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ParallelIncoming {
    /// Telegram is told only when the PBX has not answered after [`Settings::tell_after`]: a queue or a menu answers
    /// sooner and lets many in, a ringing extension still has the whole ring time.
    #[default]
    Auto,
    /// Telegram is never told; the PBX has [`Settings::untold_limit`] to answer.
    Always,
    /// Telegram is told at once; further callers are busy.
    Off,
}

/// When a Telegram caller is accepted though the PBX has not answered yet.
///
/// A caller hears nothing of us before that; their own device rings by itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum EarlyAnswer {
    /// Never.
    Off,
    /// When the PBX plays something (183 with a description).
    #[default]
    EarlyMedia,
    /// When the PBX rings, too: the caller hears a ringing tone of ours.
    Ringing,
}

/// Limits of one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// Several callers at once, or one after the other.
    pub parallel_incoming: ParallelIncoming,
    /// What a caller hears before the answer.
    pub early_answer: EarlyAnswer,
    /// How long a device may ring before the call counts as not answered.
    pub ring_limit: Duration,
    /// How long Telegram may look for the callee's device before it rings.
    pub receive_limit: Duration,
    /// With [`ParallelIncoming::Auto`]: how long the PBX may take before Telegram is told that it rings.
    pub tell_after: Duration,
    /// With [`ParallelIncoming::Always`]: how long the PBX may take to answer, below Telegram's own 20 s.
    pub untold_limit: Duration,
    /// From the answer until sound can flow.
    pub connect_limit: Duration,
    /// How long lost media may take to come back.
    pub recovery_limit: Duration,
    /// How long a leg may take to confirm its end before it is forgotten; RFC 3261 gives a dead peer 32 s.
    pub release_limit: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            parallel_incoming: ParallelIncoming::Auto,
            early_answer: EarlyAnswer::EarlyMedia,
            ring_limit: Duration::from_secs(90),
            receive_limit: Duration::from_secs(20),
            tell_after: Duration::from_secs(5),
            untold_limit: Duration::from_secs(15),
            connect_limit: Duration::from_secs(20),
            recovery_limit: Duration::from_secs(20),
            release_limit: Duration::from_secs(32),
        }
    }
}
