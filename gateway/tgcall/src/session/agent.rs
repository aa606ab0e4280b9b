//! The ICE agent of one call (RFC 8445), with credentials from a secret and the pace of its checks.

use std::time::Duration;

use aws_lc_rs::hmac;
use is::{Candidate, CandidateKind, IceAgent, IceCreds, Sha1HmacProvider};

/// First repetition of a check. Not longer, because the controlled end learns of the nomination by the next one.
const FIRST_CHECK_RTO: Duration = Duration::from_millis(50);
/// Pace of checks on a pair that works, and ceiling of their repetition.
const CHECK_INTERVAL: Duration = Duration::from_millis(2_500);
/// Together with the two above: a pair that never answers is checked for as long as the session may last.
const CHECKS: usize = 14;
/// The two above while there is no connection: on a path that loses a third, half of all checks stay without an answer.
const HURRIED_INTERVAL: Duration = Duration::from_millis(400);
const HURRIED_CHECKS: usize = 56;
/// Pace of checks over all pairs (Ta, RFC 8445 section 14.2, which wants 5 ms at least).
const CHECK_PACE: Duration = Duration::from_millis(20);

/// An agent without candidates; `secret` must be unpredictable.
pub(super) fn agent(is_caller: bool, is_hurried: bool, secret: [u8; 32]) -> IceAgent {
    let (tie_breaker, text) = (&secret[..8], ice_text(&secret[8..]));
    let (ufrag, pass) = text.split_at(8);
    let mut agent = IceAgent::with_hmac(IceCreds { ufrag: ufrag.into(), pass: pass.into() }, &AwsHmac);
    agent.set_control_tie_breaker(tie_breaker.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)));
    agent.set_controlling(is_caller);
    agent.set_timing_advance(CHECK_PACE);
    agent.set_initial_stun_rto(FIRST_CHECK_RTO);
    set_hurried(&mut agent, is_hurried);
    agent.set_local_preference(preference);
    agent
}

/// Chooses the pace of its checks: hurried while nothing is connected.
pub(super) fn set_hurried(agent: &mut IceAgent, is_hurried: bool) {
    let (interval, checks) =
        if is_hurried { (HURRIED_INTERVAL, HURRIED_CHECKS) } else { (CHECK_INTERVAL, CHECKS) };
    agent.set_max_stun_rto(interval);
    agent.set_max_stun_retransmits(checks);
}

/// A later candidate is preferred to earlier ones of its kind: a controlling end moves to the way of a new network at
/// once, because its pairs have the higher priority.
fn preference(candidate: &Candidate, same_kind: usize) -> u32 {
    let is_over_stream = candidate.local().port() == 0;
    let least = match candidate.kind() {
        CandidateKind::Host => 0x6000,
        CandidateKind::PeerReflexive => 0x5000,
        CandidateKind::ServerReflexive => 0x4000,
        CandidateKind::Relayed if is_over_stream => 0x1000,
        CandidateKind::Relayed => 0x2000,
    };
    least + 2 * (same_kind as u32).min(0x7ff) + u32::from(candidate.addr().is_ipv6())
}

/// Six bits of `bytes` per character of the ICE alphabet (RFC 8839 section 5.4): 24 bytes give 32 characters.
fn ice_text(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let (triples, _) = bytes.as_chunks::<3>();
    triples
        .iter()
        .map(|[a, b, c]| u32::from_be_bytes([0, *a, *b, *c]))
        .flat_map(|bits| [18, 12, 6, 0].map(|shift| char::from(ALPHABET[(bits >> shift & 63) as usize])))
        .collect()
}

/// HMAC-SHA1 of STUN's message integrity (RFC 8489 section 14.5).
#[derive(Debug)]
struct AwsHmac;

impl Sha1HmacProvider for AwsHmac {
    fn sha1_hmac(&self, key: &[u8], payloads: &[&[u8]]) -> [u8; 20] {
        let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, key));
        payloads.iter().for_each(|payload| context.update(payload));
        let mut tag = [0; 20];
        tag.copy_from_slice(context.sign().as_ref());
        tag
    }
}
