//! The ICE agent of one call (RFC 8445), with credentials from a secret and the pace of its checks.

use std::net::SocketAddr;
use std::time::Duration;

use aws_lc_rs::hmac;
use is::{Candidate, IceAgent, IceCreds, Sha1HmacProvider};

use super::BadAddress;

/// First repetition of a check. Not longer, because the controlled end learns of the nomination by the next one.
const FIRST_CHECK_RTO: Duration = Duration::from_millis(50);
/// Pace of checks on a pair that works, and ceiling of their repetition.
const CHECK_INTERVAL: Duration = Duration::from_millis(2_500);
/// Together with the two above: a pair that never answers is checked for as long as the session may last.
const CHECKS: usize = 14;
/// Pace of checks over all pairs (Ta, RFC 8445 section 14.2, which wants 5 ms at least).
const CHECK_PACE: Duration = Duration::from_millis(20);

/// An agent with a host candidate for each address; `secret` must be unpredictable.
pub(super) fn agent(
    is_caller: bool,
    secret: [u8; 32],
    addresses: &[SocketAddr],
) -> Result<IceAgent, BadAddress> {
    let (tie_breaker, text) = (&secret[..8], ice_text(&secret[8..]));
    let (ufrag, pass) = text.split_at(8);
    let mut agent = IceAgent::with_hmac(IceCreds { ufrag: ufrag.into(), pass: pass.into() }, &AwsHmac);
    agent.set_control_tie_breaker(tie_breaker.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)));
    agent.set_controlling(is_caller);
    agent.set_timing_advance(CHECK_PACE);
    agent.set_initial_stun_rto(FIRST_CHECK_RTO);
    agent.set_max_stun_rto(CHECK_INTERVAL);
    agent.set_max_stun_retransmits(CHECKS);
    for address in addresses {
        let candidate = Candidate::host(*address, "udp").map_err(|_| BadAddress(*address))?;
        agent.add_local_candidate(candidate);
    }
    Ok(agent)
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
