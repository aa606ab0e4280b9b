//! Who has to prove that they are the PBX: everything outside a dialog but OPTIONS, where the line has a password for it
//! (RFC 3261 section 22.4, RFC 7616, RFC 8760).
//!
//! A nonce carries its time and is sealed for the address that gets it, so that a challenge costs no memory. What is kept
//! is which counts of the nonces that were used are spent, who guessed wrong and who proved right; all are bounded.
//!
//! Who guesses too often gets no answer any more. An address that has something to do with the PBX is never silenced so:
//! somebody beside the PBX, behind the same router, could shut it out.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::time::{Duration, Instant};

use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use crate::edge::Refusal;
use crate::endpoint::Endpoint;
use crate::event::Event;
use crate::header::{Algorithm, Authorization, Credentials, challenge};
use crate::hop::Hop;
use crate::message::{Method, Request};
use crate::uri::Uri;

/// What is guarded, as the PBX is told.
const REALM: &str = "tgtrunk";
/// How long a nonce is good.
const NONCE_LIFE: Duration = Duration::from_secs(300);
/// Most nonces whose counts are kept.
const NONCES_LIMIT: usize = 1024;
/// Wrong guesses of one address before it is not answered any more, or, at the PBX's, not asked again.
const GUESSES_LIMIT: u32 = 10;
/// For so long, from its last guess on; whoever comes back to guess is not answered for twice as long each time.
const SILENCE: Duration = Duration::from_secs(60);
/// How often that doubles, up to 64 minutes.
const DOUBLINGS: u32 = 6;
/// After so long without a guess nothing is held against an address.
const FORGIVEN_AFTER: Duration = Duration::from_secs(86_400);
/// Most addresses whose guesses are counted.
const GUESSERS_LIMIT: usize = 1024;
/// Most addresses of which it is known that they proved right.
const PROVEN_LIMIT: usize = 64;
/// How often wrong guesses are mentioned.
const REPORT_EVERY: Duration = Duration::from_secs(60);

/// What somebody has to prove to know, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Demand {
    /// User and password.
    pub credentials: Credentials,
    /// By which hash.
    pub by: DemandedBy,
}

/// Which hashes a proof is asked for by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DemandedBy {
    /// SHA-256, and MD5 for who does not know it (RFC 8760 section 2.3).
    Either,
    /// SHA-256 and nothing else.
    Sha256,
    /// MD5 and nothing else, for those that stumble over another one before it.
    Md5,
}

/// A line's guard.
#[derive(Debug)]
pub(crate) struct Guard {
    demand: Demand,
    key: [u8; 32],
    start: Instant,
    drawn: u32,
    /// Counts of nonces that were used, by their time and number.
    spent: BTreeMap<(u64, u32), Spent>,
    /// Nonces up to this time are not good any more: their counts were forgotten.
    floor_ms: u64,
    guessers: BTreeMap<IpAddr, Guesser>,
    /// Addresses that proved right, and when they did last.
    proven: BTreeMap<IpAddr, Instant>,
    /// Wrong guesses since the beginning.
    wrong: u64,
    unreported: u32,
    quiet_until: Option<Instant>,
}

/// Which counts of a nonce were used: the highest, and a bit for each of the 64 up to it.
#[derive(Debug, Clone, Copy, Default)]
struct Spent {
    highest: u32,
    bits: u64,
}

#[derive(Debug, Clone, Copy)]
struct Guesser {
    guesses: u32,
    last: Instant,
    /// How often it was not answered any more.
    silenced: u32,
}

/// A nonce that we made for the address that brings it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Nonce {
    at_ms: u64,
    number: u32,
    is_old: bool,
}

/// What becomes of a request.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Judgement {
    /// It goes on. True when the address had guessed wrong before.
    Proven { again: bool },
    /// It gets this.
    Refused(Refusal),
    /// It gets this, and somebody is told of so many wrong guesses since the last time.
    Guessed(Refusal, Option<u32>),
    /// It gets no answer.
    Silence,
}

impl Guard {
    /// `seed` is known to nobody.
    pub(crate) fn new(demand: Demand, seed: [u8; 32], start: Instant) -> Self {
        Self {
            demand,
            key: Sha256::new_with_prefix(seed).chain_update(b"nonce").finalize().into(),
            start,
            drawn: 0,
            spent: BTreeMap::new(),
            floor_ms: 0,
            guessers: BTreeMap::new(),
            proven: BTreeMap::new(),
            wrong: 0,
            unreported: 0,
            quiet_until: None,
        }
    }

    /// Wrong guesses since the beginning.
    pub(crate) fn wrong(&self) -> u64 {
        self.wrong
    }

    /// Whether this address ever proved right.
    pub(crate) fn has_proven(&self, source: IpAddr) -> bool {
        self.proven.contains_key(&network_of(source))
    }

    /// Whether a request outside a dialog has to be proven at all.
    pub(crate) fn concerns(method: &Method) -> bool {
        !matches!(method, Method::Ack | Method::Cancel | Method::Options)
    }

    /// Judges a request outside a dialog. `is_known` says that its address is the PBX's without any proof.
    pub(crate) fn judge(
        &mut self,
        now: Instant,
        request: &Request,
        source: IpAddr,
        is_known: bool,
    ) -> Judgement {
        let place = network_of(source);
        let guesser = self.guessers.get(&place).filter(|guesser| now < guesser.counts_until());
        let guesses_on = guesser.is_some_and(|guesser| guesser.guesses >= GUESSES_LIMIT);
        if guesses_on && !is_known && !self.proven.contains_key(&place) {
            return Judgement::Silence;
        }
        let proofs = request.headers.all("Authorization").filter_map(Authorization::parse);
        let mut ours = proofs.filter_map(|proof| Some((self.opened(now, &proof.nonce, source)?, proof)));
        let Some((nonce, proof)) = ours.next() else {
            return Judgement::Refused(self.asks(now, source, false));
        };
        let is_right = self.asked().contains(&proof.algorithm)
            && proof.is_right(&self.demand.credentials, REALM, request.method.as_str())
            && calls(&proof.uri) == calls(&request.uri);
        if !is_right {
            let refusal = if guesses_on { Refusal::new(403) } else { self.asks(now, source, false) };
            return Judgement::Guessed(refusal, self.guessed(now, place));
        }
        if nonce.is_old || !self.spend(nonce, proof.count()) {
            return Judgement::Refused(self.asks(now, source, true));
        }
        make_room(&mut self.proven, PROVEN_LIMIT, place, |at| *at);
        self.proven.insert(place, now);
        Judgement::Proven { again: self.guessers.remove(&place).is_some() }
    }

    /// Notes a wrong guess. Gives how many there were since that was told last, once a minute.
    fn guessed(&mut self, now: Instant, place: IpAddr) -> Option<u32> {
        make_room(&mut self.guessers, GUESSERS_LIMIT, place, |guesser| guesser.last);
        let guesser = self.guessers.entry(place).or_insert(Guesser { guesses: 0, last: now, silenced: 0 });
        if now >= guesser.counts_until() {
            guesser.silenced += u32::from(guesser.guesses >= GUESSES_LIMIT);
            guesser.guesses = 0;
        }
        if now >= guesser.last + FORGIVEN_AFTER {
            guesser.silenced = 0;
        }
        guesser.guesses = guesser.guesses.saturating_add(1);
        guesser.last = now;
        self.wrong += 1;
        self.unreported += 1;
        if self.quiet_until.is_some_and(|until| now < until) {
            return None;
        }
        self.quiet_until = Some(now + REPORT_EVERY);
        Some(std::mem::take(&mut self.unreported))
    }

    /// A 401, the better hash first (RFC 8760 section 2.3).
    fn asks(&mut self, now: Instant, source: IpAddr, stale: bool) -> Refusal {
        self.drawn = self.drawn.wrapping_add(1);
        let nonce = self.sealed(self.since_ms(now), self.drawn, source);
        self.asked().iter().fold(Refusal::new(401), |refusal, algorithm| {
            refusal.with("WWW-Authenticate", challenge(*algorithm, REALM, &nonce, stale))
        })
    }

    fn asked(&self) -> &'static [Algorithm] {
        match self.demand.by {
            DemandedBy::Either => &[Algorithm::Sha256, Algorithm::Md5],
            DemandedBy::Sha256 => &[Algorithm::Sha256],
            DemandedBy::Md5 => &[Algorithm::Md5],
        }
    }

    /// A nonce: its time, its number, and a seal that only we can make and only for this address. It is no longer than it has
    /// to be, for the sake of what is said to strangers.
    fn sealed(&self, at_ms: u64, number: u32, source: IpAddr) -> String {
        let address = match source.to_canonical() {
            IpAddr::V4(ip) => ip.to_ipv6_mapped(),
            IpAddr::V6(ip) => ip,
        };
        let mut text = format!("{at_ms:012x}{number:08x}");
        let seal = hmac(&self.key, &[&at_ms.to_be_bytes(), &number.to_be_bytes(), &address.octets()]);
        for byte in &seal[..12] {
            let _ = write!(text, "{byte:02x}");
        }
        text
    }

    /// A nonce that we made for this address.
    fn opened(&self, now: Instant, nonce: &str, source: IpAddr) -> Option<Nonce> {
        let at_ms = u64::from_str_radix(nonce.get(..12)?, 16).ok()?;
        let number = u32::from_str_radix(nonce.get(12..20)?, 16).ok()?;
        let is_ours: bool = self.sealed(at_ms, number, source).as_bytes().ct_eq(nonce.as_bytes()).into();
        let age_ms = self.since_ms(now).saturating_sub(at_ms);
        let is_old = age_ms >= since(NONCE_LIFE) || at_ms < self.floor_ms;
        is_ours.then_some(Nonce { at_ms, number, is_old })
    }

    /// Notes that a count of a nonce was used. False when it was before.
    fn spend(&mut self, nonce: Nonce, count: Option<u32>) -> bool {
        let name = (nonce.at_ms, nonce.number);
        if !self.spent.contains_key(&name) && self.spent.len() >= NONCES_LIMIT {
            if let Some(((at_ms, _), _)) = self.spent.pop_first() {
                self.floor_ms = at_ms + 1;
            }
            if nonce.at_ms < self.floor_ms {
                return false;
            }
        }
        self.spent.entry(name).or_default().take(count)
    }

    fn since_ms(&self, now: Instant) -> u64 {
        since(now.saturating_duration_since(self.start))
    }
}

impl Endpoint {
    /// Whether a request outside a dialog may go on; what it gets otherwise is done.
    pub(crate) fn is_let_in(
        &mut self,
        now: Instant,
        request: &Request,
        source: SocketAddr,
        answer_to: Hop,
    ) -> bool {
        let is_known = self.filter.knows(source.ip());
        let Some(guard) = self.guard.as_mut().filter(|_| Guard::concerns(&request.method)) else {
            return true;
        };
        match guard.judge(now, request, source.ip(), is_known) {
            Judgement::Proven { again } => {
                if again {
                    self.tell(Event::Proven { source });
                }
                return true;
            }
            Judgement::Refused(refusal) => self.refuse(request, answer_to, refusal),
            Judgement::Guessed(refusal, told) => {
                self.refuse(request, answer_to, refusal);
                if let Some(guesses) = told {
                    self.tell(Event::Guessed { source, guesses });
                }
            }
            Judgement::Silence => self.drop_stranger(now, source),
        }
        false
    }
}

impl Spent {
    /// Takes a count once; a proof without one uses the nonce up.
    fn take(&mut self, count: Option<u32>) -> bool {
        let Some(count) = count.filter(|count| *count > 0) else {
            let fresh = self.highest == 0;
            *self = Self { highest: u32::MAX, bits: u64::MAX };
            return fresh;
        };
        if count > self.highest {
            let ahead = count - self.highest;
            self.bits = if ahead < 64 { self.bits << ahead } else { 0 } | 1;
            self.highest = count;
            return true;
        }
        let behind = self.highest - count;
        if behind >= 64 || self.bits & (1 << behind) != 0 {
            return false;
        }
        self.bits |= 1 << behind;
        true
    }
}

impl Guesser {
    /// Until when its guesses are held against it.
    fn counts_until(&self) -> Instant {
        self.last + SILENCE * (1 << self.silenced.min(DOUBLINGS))
    }
}

/// Whom an address calls: proxies on the way may change the host, not the user.
fn calls(uri: &str) -> Option<String> {
    Uri::parse(uri).ok()?.user
}

/// Takes the oldest entry out of a full table where another one is to come in.
fn make_room<T>(table: &mut BTreeMap<IpAddr, T>, limit: usize, place: IpAddr, age: impl Fn(&T) -> Instant) {
    if table.len() < limit || table.contains_key(&place) {
        return;
    }
    if let Some(oldest) = table.iter().min_by_key(|(_, entry)| age(entry)).map(|(place, _)| *place) {
        table.remove(&oldest);
    }
}

/// What counts as one address where strangers are counted: with IPv6 the network of 64 bits, for whoever has one address has
/// them all (RFC 6177).
pub fn network_of(source: IpAddr) -> IpAddr {
    match source.to_canonical() {
        IpAddr::V4(ip) => IpAddr::V4(ip),
        IpAddr::V6(ip) => IpAddr::V6(Ipv6Addr::from(u128::from(ip) & !u128::from(u64::MAX))),
    }
}

fn since(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

/// HMAC (RFC 2104) with SHA-256 and a key of 32 bytes.
fn hmac(key: &[u8; 32], parts: &[&[u8]]) -> [u8; 32] {
    let padded = |pad: u8| {
        let mut block = [pad; 64];
        block.iter_mut().zip(key).for_each(|(byte, key)| *byte ^= key);
        Sha256::new_with_prefix(block)
    };
    let inner = parts.iter().fold(padded(0x36), |hash, part| hash.chain_update(part)).finalize();
    padded(0x5c).chain_update(inner).finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hmac_is_that_of_rfc_4231_where_its_key_has_32_bytes() {
        // Section 4.2 with the key padded by zeros to 32 bytes, which HMAC does itself.
        let mut key = [0; 32];
        key[..20].fill(0x0b);
        let hash = hmac(&key, &[b"Hi ", b"There"]);
        let text: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(text, "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
    }

    #[test]
    fn each_count_of_a_nonce_is_taken_once_in_whatever_order() {
        let mut spent = Spent::default();
        for (count, fresh) in
            [(1, true), (1, false), (3, true), (2, true), (2, false), (100, true), (36, false), (37, true)]
        {
            assert_eq!(spent.take(Some(count)), fresh, "{count}");
        }
        assert!(!spent.take(None) && !spent.take(Some(200)), "a proof without a count uses the nonce up");
        let mut spent = Spent::default();
        assert!(spent.take(None) && !spent.take(Some(1)));
    }

    #[test]
    fn a_nonce_is_good_for_its_address_and_time_and_no_other() {
        let now = Instant::now();
        let mut guard = guard(now);
        let source = "192.0.2.1".parse().unwrap();
        let nonce = guard.sealed(5, 7, source);
        let good = Nonce { at_ms: 5, number: 7, is_old: false };
        let old = Some(Nonce { is_old: true, ..good });
        assert_eq!(guard.opened(now, &nonce, source), Some(good));
        assert_eq!(guard.opened(now, &nonce, "::ffff:192.0.2.1".parse().unwrap()), Some(good));
        assert_eq!(guard.opened(now, &nonce, "192.0.2.2".parse().unwrap()), None);
        assert_eq!(guard.opened(now, &nonce.replacen('5', "6", 1), source), None);
        assert_eq!(guard.opened(now, "", source), None);
        assert_eq!(guard.opened(now + NONCE_LIFE + Duration::from_millis(6), &nonce, source), old);
        guard.floor_ms = 6;
        assert_eq!(guard.opened(now, &nonce, source), old);
    }

    #[test]
    fn memory_is_bounded_and_what_was_forgotten_cannot_be_used_again() {
        let now = Instant::now();
        let mut guard = guard(now);
        for at_ms in 0..3_000 {
            assert!(guard.spend(Nonce { at_ms, number: 1, is_old: false }, Some(1)));
        }
        assert_eq!(guard.spent.len(), NONCES_LIMIT);
        assert_eq!(guard.floor_ms, 3_000 - NONCES_LIMIT as u64);
        for number in 0..3_000_u32 {
            let source = IpAddr::from(number.to_be_bytes());
            guard.guessed(now + Duration::from_millis(number.into()), source);
        }
        assert_eq!(guard.guessers.len(), GUESSERS_LIMIT);
    }

    #[test]
    fn whoever_comes_back_to_guess_is_silenced_for_twice_as_long_and_forgiven_after_a_day() {
        let start = Instant::now();
        let (mut guard, place) = (guard(start), "192.0.2.1".parse().unwrap());
        let mut guess_ten_times = |now: Instant| {
            for _ in 0..GUESSES_LIMIT {
                guard.guessed(now, place);
            }
            let guesser = guard.guessers[&place];
            assert_eq!(guesser.guesses, GUESSES_LIMIT);
            guesser.counts_until() - now
        };
        let mut now = start;
        for minutes in [1, 2, 4, 8, 16, 32, 64, 64] {
            let silence = guess_ten_times(now);
            assert_eq!(silence, Duration::from_secs(60 * minutes));
            now += silence;
        }
        assert_eq!(guess_ten_times(now + FORGIVEN_AFTER), SILENCE);
    }

    fn guard(now: Instant) -> Guard {
        let credentials = Credentials { user: "pbx".to_owned(), password: "a word".to_owned() };
        Guard::new(Demand { credentials, by: DemandedBy::Either }, [3; 32], now)
    }
}
