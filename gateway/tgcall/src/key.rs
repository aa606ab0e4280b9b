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

use crypto_bigint::modular::{FixedMontyForm, FixedMontyParams};
use crypto_bigint::{Odd, U2048};
use crypto_primes::Flavor;
use sha1::Sha1;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use zeroize::Zeroize;

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
/// Checking an unknown prime takes seconds; keep the checked value as long as the server keeps
/// answering `dhConfigNotModified`, and compare with [`DhParameters::prime`] otherwise.
#[derive(Clone)]
pub struct DhParameters {
    g: i32,
    prime: [u8; NUMBER_BYTES],
    ring: FixedMontyParams<{ U2048::LIMBS }>,
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
        Ok(Self { g, prime, ring: FixedMontyParams::new_vartime(modulus) })
    }

    /// The generator.
    #[must_use]
    pub fn generator(&self) -> i32 {
        self.g
    }

    /// The prime, big-endian.
    #[must_use]
    pub fn prime(&self) -> &[u8; NUMBER_BYTES] {
        &self.prime
    }

    /// `g` to a secret power, checked to be in range.
    fn public_value(&self, exponent: &Exponent) -> Result<[u8; NUMBER_BYTES], KeyError> {
        let g = U2048::from_u32(self.g.unsigned_abs());
        let value = self.power(&g, exponent);
        self.in_range(&value).then(|| bytes_of(&value)).ok_or(KeyError::OwnValueOutOfRange)
    }

    /// The shared key from the peer's public value.
    fn shared_key(&self, value: &[u8], exponent: &Exponent) -> Result<SharedKey, KeyError> {
        let value = U2048::from_be_slice(&padded(value)?);
        if !self.in_range(&value) {
            return Err(KeyError::PeerValueOutOfRange);
        }
        let mut key = self.power(&value, exponent);
        let shared = SharedKey::from_bytes(bytes_of(&key));
        key.zeroize();
        Ok(shared)
    }

    fn power(&self, base: &U2048, exponent: &Exponent) -> U2048 {
        FixedMontyForm::new(base, &self.ring).pow(&exponent.0).retrieve()
    }

    fn in_range(&self, value: &U2048) -> bool {
        let low = U2048::ONE.shl_vartime(U2048::BITS - MARGIN_BITS);
        let high = U2048::from_be_slice(&self.prime).wrapping_sub(&low);
        *value >= low && *value <= high
    }
}

impl fmt::Debug for DhParameters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DhParameters").field("g", &self.g).finish_non_exhaustive()
    }
}

/// Makes the exponent of a key agreement: randomness of the operating system, XORed with the
/// server's, so that neither alone decides.
#[must_use]
pub fn mix(os: &[u8; NUMBER_BYTES], server: &[u8]) -> [u8; NUMBER_BYTES] {
    let mut mixed = *os;
    for (byte, other) in mixed.iter_mut().zip(server) {
        *byte ^= other;
    }
    mixed
}

/// The caller's half of the agreement.
pub struct CallerExchange {
    parameters: DhParameters,
    exponent: Exponent,
    g_a: [u8; NUMBER_BYTES],
}

impl CallerExchange {
    /// Computes `g_a` from a secret exponent, best made by [`mix`].
    ///
    /// # Errors
    /// [`KeyError::OwnValueOutOfRange`]: begin again with other randomness.
    pub fn begin(parameters: &DhParameters, random: [u8; NUMBER_BYTES]) -> Result<Self, KeyError> {
        let exponent = Exponent::new(random);
        Ok(Self { g_a: parameters.public_value(&exponent)?, parameters: parameters.clone(), exponent })
    }

    /// The commitment for `phone.requestCall`: SHA-256 of `g_a`.
    #[must_use]
    pub fn g_a_hash(&self) -> [u8; 32] {
        sha256(&self.g_a)
    }

    /// Computes the key from the callee's `g_b`, and hands out `g_a` for `phone.confirmCall`.
    ///
    /// # Errors
    /// [`KeyError::PeerValueSize`], [`KeyError::PeerValueOutOfRange`]: the call must end.
    pub fn finish(self, g_b: &[u8]) -> Result<(SharedKey, [u8; NUMBER_BYTES]), KeyError> {
        let key = self.parameters.shared_key(g_b, &self.exponent)?;
        Ok((key, self.g_a))
    }
}

impl fmt::Debug for CallerExchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallerExchange").finish_non_exhaustive()
    }
}

/// The callee's half of the agreement.
pub struct CalleeExchange {
    parameters: DhParameters,
    exponent: Exponent,
    g_a_hash: [u8; 32],
    g_b: [u8; NUMBER_BYTES],
}

impl CalleeExchange {
    /// Computes `g_b` from a secret exponent, best made by [`mix`], and keeps the hash the caller
    /// committed to in `phoneCallRequested`.
    ///
    /// # Errors
    /// [`KeyError::HashSize`]; [`KeyError::OwnValueOutOfRange`]: begin again with other
    /// randomness.
    pub fn begin(
        parameters: &DhParameters,
        random: [u8; NUMBER_BYTES],
        g_a_hash: &[u8],
    ) -> Result<Self, KeyError> {
        let exponent = Exponent::new(random);
        Ok(Self {
            g_a_hash: g_a_hash.try_into().map_err(|_| KeyError::HashSize(g_a_hash.len()))?,
            g_b: parameters.public_value(&exponent)?,
            parameters: parameters.clone(),
            exponent,
        })
    }

    /// The public value for `phone.acceptCall`.
    #[must_use]
    pub fn g_b(&self) -> [u8; NUMBER_BYTES] {
        self.g_b
    }

    /// Computes the key from the caller's `g_a` and checks it against what the caller sent
    /// before and along.
    ///
    /// # Errors
    /// Any of [`KeyError::PeerValueSize`], [`KeyError::PeerValueOutOfRange`],
    /// [`KeyError::HashMismatch`], [`KeyError::FingerprintMismatch`]: the call must end.
    pub fn finish(self, g_a: &[u8], key_fingerprint: i64) -> Result<SharedKey, KeyError> {
        if !bool::from(sha256(&padded(g_a)?).ct_eq(&self.g_a_hash)) {
            return Err(KeyError::HashMismatch);
        }
        let key = self.parameters.shared_key(g_a, &self.exponent)?;
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

/// Pads a public value with zeros on the left; servers strip them.
pub(crate) fn padded(value: &[u8]) -> Result<[u8; NUMBER_BYTES], KeyError> {
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
