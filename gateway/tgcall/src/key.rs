//! The key of a call: Diffie-Hellman with 2048 bits, where the caller first commits to its public
//! value by a hash (Telegram's "End-to-End Encrypted Voice Calls").
//!
//! ```text
//! caller                       callee
//! requestCall(g_a_hash) -----> acceptCall(g_b)
//! confirmCall(g_a, print) ---> checks hash, range and fingerprint
//! ```
//!
//! A power of a secret exponent takes constant time and a few milliseconds: not work for a media
//! thread.

use std::fmt;
use std::sync::Arc;

use crypto_bigint::modular::{FixedMontyForm, FixedMontyParams};
use crypto_bigint::{Odd, U2048};
use crypto_primes::Flavor;
use sha1::Sha1;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use zeroize::Zeroize;

use crate::comb::Comb;

/// Bytes of every number of the key agreement.
pub const NUMBER_BYTES: usize = 256;

/// SHA-256 of the prime that Telegram has used for years, known to be safe.
const KNOWN_PRIME_SHA256: [u8; 32] = [
    0x02, 0xf8, 0x5e, 0x76, 0x87, 0xfc, 0x6f, 0x33, 0xba, 0x67, 0x82, 0x26, 0xa9, 0x63, 0xb3, 0xc8, 0xa1,
    0x91, 0xb4, 0x7c, 0x89, 0x0c, 0xf3, 0x0d, 0xeb, 0xe1, 0x7c, 0x1d, 0x62, 0x3b, 0x5a, 0xf1,
];

/// Public values keep this many bits away from both ends of the range.
const MARGIN_BITS: u32 = 64;

/// Why a key agreement cannot go on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The modulus does not have exactly 2048 bits.
    #[error("prime of {bytes} bytes with first byte {first:#04x}: want exactly 2048 bits")]
    PrimeSize {
        /// Its length as it came.
        bytes: usize,
        /// Its first byte, 0 for an empty one.
        first: u8,
    },
    /// The modulus, or half of it, is not a prime.
    #[error("the modulus is not a safe prime")]
    NotASafePrime,
    /// The generator does not generate the subgroup of quadratic residues.
    #[error("generator {0} does not fit the prime: want one of 2 to 7 that is a quadratic residue")]
    Generator(i32),
    /// Our own public value fell outside the range: begin again with other randomness.
    #[error("own public value is out of range, other randomness is needed")]
    OwnValueOutOfRange,
    /// The peer's public value is outside 2^1984 to p - 2^1984.
    #[error("the peer's public value is out of range")]
    PeerValueOutOfRange,
    /// The peer's public value is empty or longer than 256 bytes.
    #[error("the peer's public value has {0} bytes: want 1 to 256")]
    PeerValueSize(usize),
    /// The hash the caller committed to does not have 32 bytes.
    #[error("g_a_hash has {0} bytes: want 32")]
    HashSize(usize),
    /// The caller's public value is not the one it committed to.
    #[error("g_a does not match the hash sent before")]
    HashMismatch,
    /// The two sides computed different keys.
    #[error("key fingerprint {theirs:#018x} from the peer, {ours:#018x} here")]
    FingerprintMismatch {
        /// The fingerprint the caller sent.
        theirs: i64,
        /// The fingerprint of the key computed here.
        ours: i64,
    },
}

/// A checked group: the generator and the prime of `messages.getDhConfig`.
///
/// Checking an unknown prime costs as much as ten powers; keep the checked value as long as the server keeps
/// answering `dhConfigNotModified`, and compare with [`DhParameters::prime`] otherwise.
#[derive(Clone)]
pub struct DhParameters(Arc<Group>);

struct Group {
    g: i32,
    prime: [u8; NUMBER_BYTES],
    ring: FixedMontyParams<{ U2048::LIMBS }>,
    of_g: Comb,
}

impl DhParameters {
    /// Checks a group.
    ///
    /// The prime in production use is recognised by its hash; any other goes through a test for
    /// a safe prime.
    ///
    /// # Errors
    /// [`KeyError::PrimeSize`], [`KeyError::NotASafePrime`], [`KeyError::Generator`].
    pub fn new(g: i32, p: &[u8]) -> Result<Self, KeyError> {
        let size = || KeyError::PrimeSize { bytes: p.len(), first: p.first().copied().unwrap_or(0) };
        let prime: [u8; NUMBER_BYTES] = p.try_into().map_err(|_| size())?;
        if prime[0] & 0x80 == 0 {
            return Err(size());
        }
        let number = U2048::from_be_slice(&prime);
        let modulus = Odd::new(number).into_option().ok_or(KeyError::NotASafePrime)?;
        if !generates_the_subgroup(g, &prime) {
            return Err(KeyError::Generator(g));
        }
        if sha256(&prime) != KNOWN_PRIME_SHA256 && !crypto_primes::is_prime(Flavor::Safe, &number) {
            return Err(KeyError::NotASafePrime);
        }
        let ring = FixedMontyParams::new_vartime(modulus);
        let of_g = Comb::new(&U2048::from_u32(g.unsigned_abs()), &ring);
        Ok(Self(Arc::new(Group { g, prime, ring, of_g })))
    }

    /// The generator.
    #[must_use]
    pub fn generator(&self) -> i32 {
        self.0.g
    }

    /// The prime, big-endian.
    #[must_use]
    pub fn prime(&self) -> &[u8; NUMBER_BYTES] {
        &self.0.prime
    }

    /// `g` to a secret power, checked to be in range.
    fn public_value(&self, exponent: &Exponent) -> Result<[u8; NUMBER_BYTES], KeyError> {
        let value = self.0.of_g.power(&exponent.0, &self.0.ring);
        self.in_range(&value).then(|| bytes_of(&value)).ok_or(KeyError::OwnValueOutOfRange)
    }

    /// The shared key from the peer's public value.
    fn shared_key(&self, value: &[u8], exponent: &Exponent) -> Result<SharedKey, KeyError> {
        let value = U2048::from_be_slice(&padded(value)?);
        if !self.in_range(&value) {
            return Err(KeyError::PeerValueOutOfRange);
        }
        let mut key = FixedMontyForm::new(&value, &self.0.ring).pow(&exponent.0).retrieve();
        let shared = SharedKey::from_bytes(bytes_of(&key));
        key.zeroize();
        Ok(shared)
    }

    fn in_range(&self, value: &U2048) -> bool {
        let low = U2048::ONE.shl_vartime(U2048::BITS - MARGIN_BITS);
        let high = U2048::from_be_slice(&self.0.prime).wrapping_sub(&low);
        *value >= low && *value <= high
    }
}

impl fmt::Debug for DhParameters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DhParameters").field("g", &self.0.g).finish_non_exhaustive()
    }
}

/// Makes the exponent of a key agreement: randomness of the operating system, XORed with the
/// server's, so that neither alone decides.
#[must_use]
pub fn mix(os: [u8; NUMBER_BYTES], server: [u8; NUMBER_BYTES]) -> [u8; NUMBER_BYTES] {
    std::array::from_fn(|index| os[index] ^ server[index])
}

/// An end's own half of an agreement, for either role: a secret and its public value. It may be made before anybody calls,
/// serves one call, and is wiped when dropped.
pub struct KeyPair {
    parameters: DhParameters,
    exponent: Exponent,
    public: [u8; NUMBER_BYTES],
}

impl KeyPair {
    /// Computes the public value of a secret exponent, best made by [`mix`].
    ///
    /// # Errors
    /// [`KeyError::OwnValueOutOfRange`]: begin again with other randomness.
    pub fn new(parameters: &DhParameters, random: [u8; NUMBER_BYTES]) -> Result<Self, KeyError> {
        let exponent = Exponent::new(random);
        Ok(Self { public: parameters.public_value(&exponent)?, parameters: parameters.clone(), exponent })
    }

    /// For a call that begins here.
    #[must_use]
    pub fn into_caller(self) -> CallerExchange {
        CallerExchange(self)
    }

    /// For a call that is taken here: keeps the hash the caller committed to in `phoneCallRequested`.
    ///
    /// # Errors
    /// [`KeyError::HashSize`].
    pub fn into_callee(self, g_a_hash: &[u8]) -> Result<CalleeExchange, KeyError> {
        let g_a_hash = g_a_hash.try_into().map_err(|_| KeyError::HashSize(g_a_hash.len()))?;
        Ok(CalleeExchange { pair: self, g_a_hash })
    }
}

impl fmt::Debug for KeyPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyPair").finish_non_exhaustive()
    }
}

/// The caller's half of the agreement.
pub struct CallerExchange(KeyPair);

impl CallerExchange {
    /// A [`KeyPair`] made for the call.
    ///
    /// # Errors
    /// [`KeyError::OwnValueOutOfRange`]: begin again with other randomness.
    pub fn begin(parameters: &DhParameters, random: [u8; NUMBER_BYTES]) -> Result<Self, KeyError> {
        KeyPair::new(parameters, random).map(KeyPair::into_caller)
    }

    /// The commitment for `phone.requestCall`: SHA-256 of `g_a`.
    #[must_use]
    pub fn g_a_hash(&self) -> [u8; 32] {
        sha256(&self.0.public)
    }

    /// Computes the key from the callee's `g_b`, and hands out `g_a` for `phone.confirmCall`.
    ///
    /// # Errors
    /// [`KeyError::PeerValueSize`], [`KeyError::PeerValueOutOfRange`]: the call must end.
    pub fn finish(self, g_b: &[u8]) -> Result<(SharedKey, [u8; NUMBER_BYTES]), KeyError> {
        let key = self.0.parameters.shared_key(g_b, &self.0.exponent)?;
        Ok((key, self.0.public))
    }
}

impl fmt::Debug for CallerExchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallerExchange").finish_non_exhaustive()
    }
}

/// The callee's half of the agreement.
pub struct CalleeExchange {
    pair: KeyPair,
    g_a_hash: [u8; 32],
}

impl CalleeExchange {
    /// A [`KeyPair`] made for the call.
    ///
    /// # Errors
    /// [`KeyError::HashSize`]; [`KeyError::OwnValueOutOfRange`]: begin again with other
    /// randomness.
    pub fn begin(
        parameters: &DhParameters,
        random: [u8; NUMBER_BYTES],
        g_a_hash: &[u8],
    ) -> Result<Self, KeyError> {
        KeyPair::new(parameters, random)?.into_callee(g_a_hash)
    }

    /// The public value for `phone.acceptCall`.
    #[must_use]
    pub fn g_b(&self) -> [u8; NUMBER_BYTES] {
        self.pair.public
    }

    /// Computes the key from the caller's `g_a` and checks it against what the caller sent
    /// before and along. The hash covers `g_a` as it was sent, leading zeros or not.
    ///
    /// # Errors
    /// Any of [`KeyError::PeerValueSize`], [`KeyError::PeerValueOutOfRange`],
    /// [`KeyError::HashMismatch`], [`KeyError::FingerprintMismatch`]: the call must end.
    pub fn finish(self, g_a: &[u8], key_fingerprint: i64) -> Result<SharedKey, KeyError> {
        if !bool::from(sha256(g_a).ct_eq(&self.g_a_hash)) {
            return Err(KeyError::HashMismatch);
        }
        let key = self.pair.parameters.shared_key(g_a, &self.pair.exponent)?;
        let ours = key.fingerprint();
        if ours != key_fingerprint {
            return Err(KeyError::FingerprintMismatch { theirs: key_fingerprint, ours });
        }
        Ok(key)
    }
}

impl fmt::Debug for CalleeExchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CalleeExchange").finish_non_exhaustive()
    }
}

/// The secret both ends of one call share; wiped when dropped, never printed.
#[derive(Clone)]
pub struct SharedKey(Box<[u8; NUMBER_BYTES]>);

impl SharedKey {
    /// Takes a key that was agreed on elsewhere.
    #[must_use]
    pub fn from_bytes(bytes: [u8; NUMBER_BYTES]) -> Self {
        Self(Box::new(bytes))
    }

    /// The key itself, big-endian, padded with zeros on the left.
    #[must_use]
    pub fn bytes(&self) -> &[u8; NUMBER_BYTES] {
        &self.0
    }

    /// `key_fingerprint` of `phone.confirmCall`: bytes 12 to 20 of SHA-1, little-endian.
    #[must_use]
    pub fn fingerprint(&self) -> i64 {
        let digest = Sha1::digest(self.0.as_slice());
        let mut tail = [0; 8];
        tail.copy_from_slice(&digest[12..20]);
        i64::from_le_bytes(tail)
    }
}

impl Drop for SharedKey {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl fmt::Debug for SharedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SharedKey(..)")
    }
}

/// A secret exponent, wiped when dropped.
struct Exponent(U2048);

impl Exponent {
    fn new(mut random: [u8; NUMBER_BYTES]) -> Self {
        let exponent = Self(U2048::from_be_slice(&random));
        random.zeroize();
        exponent
    }
}

impl Drop for Exponent {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

/// Pads a public value with zeros on the left: some clients leave them out.
fn padded(value: &[u8]) -> Result<[u8; NUMBER_BYTES], KeyError> {
    let mut bytes = [0; NUMBER_BYTES];
    let start = NUMBER_BYTES
        .checked_sub(value.len())
        .filter(|start| *start < NUMBER_BYTES)
        .ok_or(KeyError::PeerValueSize(value.len()))?;
    bytes[start..].copy_from_slice(value);
    Ok(bytes)
}

fn bytes_of(number: &U2048) -> [u8; NUMBER_BYTES] {
    let mut bytes = [0; NUMBER_BYTES];
    bytes.copy_from_slice(number.to_be_bytes().as_ref());
    bytes
}

fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// Whether `g` is a quadratic residue modulo the safe prime, by the congruences for 2 to 7.
fn generates_the_subgroup(g: i32, prime: &[u8]) -> bool {
    let modulo = |small: u32| prime.iter().fold(0, |rest, byte| (rest * 256 + u32::from(*byte)) % small);
    match g {
        2 => modulo(8) == 7,
        3 => modulo(3) == 2,
        4 => true,
        5 => matches!(modulo(5), 1 | 4),
        6 => matches!(modulo(24), 19 | 23),
        7 => matches!(modulo(7), 3 | 5 | 6),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_sides_compute_the_key_of_the_published_vector() {
        let dh = DhParameters::new(3, &known_prime()).unwrap();
        let caller = CallerExchange::begin(&dh, expand(b"a")).unwrap();
        assert_eq!(
            hex::encode(caller.g_a_hash()),
            "42f12a4fa481f27c25dc1f4c26e67300f89a524c83adff28211cb51d62891411"
        );
        let callee = CalleeExchange::begin(&dh, expand(b"b"), &caller.g_a_hash()).unwrap();
        assert_eq!(
            hex::encode(sha256(&callee.g_b())),
            "cfd67c81a146f071842aae3a287644222ed74a159f01173d49190264bd39f32c"
        );
        let (key, g_a) = caller.finish(&callee.g_b()).unwrap();
        assert_eq!(hex::encode(&g_a[..16]), "8f65ce668474d7b23d0ad7cba30bb109");
        assert_eq!(
            hex::encode(sha256(key.bytes())),
            "6e029a64e5637e2ac80276a0b7e557a46372830881f4237571bfa1ccfc57065e"
        );
        assert_eq!(key.fingerprint(), -8_589_294_635_766_278_584);
        let same = callee.finish(&g_a, -8_589_294_635_766_278_584).unwrap();
        assert_eq!(same.bytes(), key.bytes());
    }

    #[test]
    fn the_exponent_is_the_xor_of_both_sources() {
        let mut os = [0x0f; 256];
        os[255] = 1;
        let mut server = [0xf0; 256];
        server[0] = 0x0f;
        let mixed = mix(os, server);
        assert_eq!((mixed[0], mixed[1], mixed[255]), (0, 0xff, 0xf1));
    }

    #[test]
    fn a_prime_that_is_not_known_is_tested_for_real() {
        let prime = hex::decode(MODP_2048.trim()).unwrap();
        let dh = DhParameters::new(2, &prime).unwrap();
        assert_eq!(dh.prime().as_slice(), prime);
        assert_eq!(dh.generator(), 2);
        let caller = CallerExchange::begin(&dh, expand(b"x")).unwrap();
        let callee = CalleeExchange::begin(&dh, expand(b"y"), &caller.g_a_hash()).unwrap();
        let (key, g_a) = caller.finish(&callee.g_b()).unwrap();
        let same = callee.finish(&g_a, key.fingerprint()).unwrap();
        assert_eq!(same.bytes(), key.bytes());
    }

    #[test]
    fn a_number_that_is_no_safe_prime_is_refused() {
        let composite = |low: u8| {
            let mut number = known_prime();
            number[255] = low;
            number
        };
        for low in [0x5a, 0x5c, 0x5d, 0x61] {
            let refused = DhParameters::new(4, &composite(low)).unwrap_err();
            assert_eq!(refused, KeyError::NotASafePrime, "low byte {low:#x}");
        }
        let prime = hex::decode(PRIME_NOT_SAFE).unwrap();
        assert!(crypto_primes::is_prime(Flavor::Any, &U2048::from_be_slice(&prime)));
        assert_eq!(DhParameters::new(4, &prime).unwrap_err(), KeyError::NotASafePrime);
    }

    #[test]
    fn a_prime_of_another_size_is_refused() {
        let prime = known_prime();
        let mut long = prime.to_vec();
        long.insert(0, 0);
        let mut small = prime;
        small[0] &= 0x7f;
        for bad in [&prime[1..], &long, &small, &[]] {
            assert!(matches!(DhParameters::new(3, bad), Err(KeyError::PrimeSize { .. })));
        }
    }

    #[test]
    fn a_generator_that_does_not_fit_the_prime_is_refused() {
        let fits = |g, prime: &[u8]| match DhParameters::new(g, prime) {
            Ok(_) => true,
            Err(KeyError::Generator(given)) => {
                assert_eq!(given, g);
                false
            }
            Err(other) => panic!("{other}"),
        };
        let ours = known_prime();
        let taken: Vec<i32> = (-3..12).filter(|g| fits(*g, &ours)).collect();
        assert_eq!(taken, residues(&ours));
        assert!(taken.contains(&3) && taken.contains(&4) && !taken.contains(&2));
    }

    #[test]
    fn a_public_value_outside_the_range_is_refused() {
        let dh = DhParameters::new(3, &known_prime()).unwrap();
        let low = U2048::ONE.shl_vartime(1984);
        let p = U2048::from_be_slice(&known_prime());
        let finish = |value: U2048| {
            let caller = CallerExchange::begin(&dh, expand(b"a")).unwrap();
            caller.finish(&bytes_of(&value)).map(|_| ())
        };
        let out = Err(KeyError::PeerValueOutOfRange);
        for bad in [
            U2048::ZERO,
            U2048::ONE,
            low.wrapping_sub(&U2048::ONE),
            p.wrapping_sub(&low).wrapping_add(&U2048::ONE),
            p.wrapping_sub(&U2048::ONE),
            p,
            U2048::MAX,
        ] {
            assert_eq!(finish(bad), out, "{bad:x}");
        }
        assert_eq!(finish(low), Ok(()));
        assert_eq!(finish(p.wrapping_sub(&low)), Ok(()));
        let callee = CalleeExchange::begin(&dh, expand(b"b"), &sha256(&bytes_of(&U2048::ONE)));
        let one = bytes_of(&U2048::ONE);
        assert_eq!(callee.unwrap().finish(&one, 0).unwrap_err(), KeyError::PeerValueOutOfRange);
    }

    #[test]
    fn a_secret_that_leads_out_of_range_is_to_be_drawn_again() {
        let dh = DhParameters::new(3, &known_prime()).unwrap();
        let refused = CallerExchange::begin(&dh, [0; 256]).unwrap_err();
        assert_eq!(refused, KeyError::OwnValueOutOfRange);
    }

    #[test]
    fn a_callee_refuses_a_value_the_caller_did_not_commit_to() {
        let dh = DhParameters::new(3, &known_prime()).unwrap();
        let caller = CallerExchange::begin(&dh, expand(b"a")).unwrap();
        let callee = CalleeExchange::begin(&dh, expand(b"b"), &[7; 32]).unwrap();
        let (key, g_a) = caller.finish(&callee.g_b()).unwrap();
        assert_eq!(callee.finish(&g_a, key.fingerprint()).unwrap_err(), KeyError::HashMismatch);
    }

    #[test]
    fn a_callee_refuses_another_fingerprint() {
        let dh = DhParameters::new(3, &known_prime()).unwrap();
        let caller = CallerExchange::begin(&dh, expand(b"a")).unwrap();
        let callee = CalleeExchange::begin(&dh, expand(b"b"), &caller.g_a_hash()).unwrap();
        let (key, g_a) = caller.finish(&callee.g_b()).unwrap();
        let (ours, theirs) = (key.fingerprint(), key.fingerprint() ^ 1);
        assert_eq!(callee.finish(&g_a, theirs).unwrap_err(), KeyError::FingerprintMismatch { theirs, ours });
    }

    /// As ntgcalls does one time in 256: value and hash without the leading zero.
    #[test]
    fn a_caller_whose_value_lacks_its_leading_zero_is_believed() {
        let bytes = |text: &str| hex::decode(text.trim()).unwrap();
        let dh = DhParameters::new(3, &known_prime()).unwrap();
        let secret = bytes(include_str!("../testdata/key/short-b.hex")).try_into().unwrap();
        let hash = bytes(include_str!("../testdata/key/short-g_a_hash.hex"));
        let g_a = bytes(include_str!("../testdata/key/short-g_a.hex"));
        let callee = CalleeExchange::begin(&dh, secret, &hash).unwrap();
        let key = callee.finish(&g_a, 7_165_617_835_966_557_933).unwrap();
        assert_eq!(key.bytes().as_slice(), bytes(include_str!("../testdata/key/short-key.hex")));
    }

    #[test]
    fn values_and_hashes_of_odd_lengths_are_refused_or_padded() {
        let dh = DhParameters::new(3, &known_prime()).unwrap();
        for bad in [0, 257, 4096] {
            let caller = CallerExchange::begin(&dh, expand(b"a")).unwrap();
            let refused = caller.finish(&vec![1; bad]).unwrap_err();
            assert_eq!(refused, KeyError::PeerValueSize(bad));
        }
        let short = CallerExchange::begin(&dh, expand(b"a")).unwrap();
        let (key, _) = short.finish(&[0x55; 255]).unwrap();
        let padded = CallerExchange::begin(&dh, expand(b"a")).unwrap();
        let mut value = [0x55; 256];
        value[0] = 0;
        let (same, _) = padded.finish(&value).unwrap();
        assert_eq!(key.bytes(), same.bytes());
        let refused = CalleeExchange::begin(&dh, expand(b"b"), &[0; 31]).unwrap_err();
        assert_eq!(refused, KeyError::HashSize(31));
    }

    #[test]
    fn no_secret_is_printed() {
        let key = SharedKey::from_bytes([0xab; 256]);
        let dh = DhParameters::new(3, &known_prime()).unwrap();
        let caller = CallerExchange::begin(&dh, expand(b"a")).unwrap();
        assert_eq!(format!("{key:?}"), "SharedKey(..)");
        assert_eq!(format!("{caller:?}"), "CallerExchange { .. }");
        let pair = KeyPair::new(&dh, expand(b"a")).unwrap();
        assert_eq!(format!("{pair:?}"), "KeyPair { .. }");
    }

    /// The prime in production use.
    const KNOWN_PRIME: &str = "\
        C71CAEB9C6B1C9048E6C522F70F13F73980D40238E3E21C14934D037563D930F\
        48198A0AA7C14058229493D22530F4DBFA336F6E0AC925139543AED44CCE7C37\
        20FD51F69458705AC68CD4FE6B6B13ABDC9746512969328454F18FAF8C595F64\
        2477FE96BB2A941D5BCD1D4AC8CC49880708FA9B378E3C4F3A9060BEE67CF9A4\
        A4A695811051907E162753B56B0F6B410DBA74D8A84B2A14B3144E0EF1284754\
        FD17ED950D5965B4B9DD46582DB1178D169C6BC465B0D6FF9CA3928FEF5B9AE4\
        E418FC15E83EBEA0F87FA9FF5EED70050DED2849F47BF959D956850CE929851F\
        0D8115F635B105EE2E4E15D04B2454BF6F4FADF034B10403119CD8E3B92FCC5B";

    /// The safe prime of RFC 3526 section 3.
    const MODP_2048: &str = include_str!("../testdata/key/modp-2048.hex");

    /// A prime whose half is composite: the one below RFC 3526's.
    const PRIME_NOT_SAFE: &str = "\
        FFFFFFFFFFFFFFFFC90FDAA22168C234C4C6628B80DC1CD129024E088A67CC74\
        020BBEA63B139B22514A08798E3404DDEF9519B3CD3A431B302B0A6DF25F1437\
        4FE1356D6D51C245E485B576625E7EC6F44C42E9A637ED6B0BFF5CB6F406B7ED\
        EE386BFB5A899FA5AE9F24117C4B1FE649286651ECE45B3DC2007CB8A163BF05\
        98DA48361C55D39A69163FA8FD24CF5F83655D23DCA3AD961C62F356208552BB\
        9ED529077096966D670C354E4ABC9804F1746C08CA18217C32905E462E36CE3B\
        E39E772C180E86039B2783A2EC07A28FB5C55DF06F4C52C9DE2BCBF695581718\
        3995497CEA956AE515D2261898FA051015728E5A8AACAA68FFFFFFFFFFFFFD23";

    fn known_prime() -> [u8; 256] {
        hex::decode(KNOWN_PRIME).unwrap().try_into().unwrap()
    }

    /// The exponents of the published vectors: eight hashes of the seed and a counter.
    fn expand(seed: &[u8]) -> [u8; 256] {
        let mut bytes = [0; 256];
        for (index, chunk) in bytes.chunks_exact_mut(32).enumerate() {
            let block = [seed, &[index as u8]].concat();
            chunk.copy_from_slice(&sha256(&block));
        }
        bytes
    }

    /// Which of 2 to 7 are quadratic residues modulo the safe prime, by Euler's criterion.
    fn residues(prime: &[u8; 256]) -> Vec<i32> {
        let p = U2048::from_be_slice(prime);
        let ring = FixedMontyParams::new_vartime(Odd::new(p).unwrap());
        let half = p.wrapping_sub(&U2048::ONE).shr_vartime(1);
        let is_residue = |g: &i32| {
            let base = U2048::from_u32(g.unsigned_abs());
            FixedMontyForm::new(&base, &ring).pow(&half).retrieve() == U2048::ONE
        };
        (2..8).filter(is_residue).collect()
    }
}
