//! What a call's media path has seen, for its end-of-call log line and for tests.

/// Packets of one call since it began.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// Audio packets of the peer that were handed on.
    pub rtp_in: u64,
    /// Audio packets that were protected.
    pub rtp_out: u64,
    /// Datagrams of authentic RTCP that were handed on.
    pub rtcp_in: u64,
    /// Datagrams of RTCP that were protected.
    pub rtcp_out: u64,
    /// Media whose tag did not fit.
    pub forged: u64,
    /// Media that came twice or far too late.
    pub replayed: u64,
    /// Authentic media of a source that was not offered.
    pub other_source: u64,
    /// Media ahead of the keys.
    pub early: u64,
    /// Datagrams of sources that passed no ICE check, and STUN that is not ours.
    pub stray: u64,
    /// Datagrams that are none of STUN, DTLS, RTP and RTCP.
    pub malformed: u64,
    /// Outgoing packets that SRTP refused to protect.
    pub unprotected: u64,
}
