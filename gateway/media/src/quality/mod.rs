//! How well a call sounds: what came of a stream (RFC 3550 appendices A.1, A.3, A.8), and an estimate of what its
//! listener says to it (ITU-T G.107).

mod e_model;
mod reception;

pub use e_model::{Impairment, mos};
pub use reception::{Block, Reception};

/// One leg of a call, as it is shown.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct LegQuality {
    /// Packets that came.
    pub packets_in: u64,
    /// Packets that were sent.
    pub packets_out: u64,
    /// Numbers that never came.
    pub lost: u64,
    /// Packets that came after a later one.
    pub reordered: u64,
    /// Interarrival jitter.
    pub jitter_ms: f32,
    /// From us to the peer and back, if it reports.
    pub round_trip_ms: Option<f32>,
    /// Share of our packets that the peer missed lately, 0 to 1, if it reports.
    pub remote_lost_share: Option<f32>,
    /// Jitter of our packets at the peer, if it reports.
    pub remote_jitter_ms: Option<f32>,
    /// Share of the sound played that was made up, 0 to 1.
    pub concealed_share: f32,
    /// 1 (bad) to 4.4 (as good as a telephone gets).
    pub mos: f32,
}
