//! The well-known 2048-bit safe prime that Telegram uses for key exchange, calls and passwords, with g = 3.

use std::sync::LazyLock;

use grammers_tl_types as tl;
use num_bigint::BigUint;

use super::dispatch::Ctx;
use super::error::RpcError;

/// The generator that goes with [`dh_prime`].
pub const DH_G: i32 = 3;

/// Version of the parameters in `messages.getDhConfig`.
const VERSION: i32 = 3;

const PRIME_HEX: &str = concat!(
    "c71caeb9c6b1c9048e6c522f70f13f73980d40238e3e21c14934d037563d930f",
    "48198a0aa7c14058229493d22530f4dbfa336f6e0ac925139543aed44cce7c37",
    "20fd51f69458705ac68cd4fe6b6b13abdc9746512969328454f18faf8c595f64",
    "2477fe96bb2a941d5bcd1d4ac8cc49880708fa9b378e3c4f3a9060bee67cf9a4",
    "a4a695811051907e162753b56b0f6b410dba74d8a84b2a14b3144e0ef1284754",
    "fd17ed950d5965b4b9dd46582db1178d169c6bc465b0d6ff9ca3928fef5b9ae4",
    "e418fc15e83ebea0f87fa9ff5eed70050ded2849f47bf959d956850ce929851f",
    "0d8115f635b105ee2e4e15d04b2454bf6f4fadf034b10403119cd8e3b92fcc5b"
);

static PRIME: LazyLock<(Vec<u8>, BigUint)> = LazyLock::new(|| {
    let bytes = hex::decode(PRIME_HEX).expect("the literal is hex");
    let number = BigUint::from_bytes_be(&bytes);
    (bytes, number)
});

/// The prime as 256 bytes, big-endian.
pub fn dh_prime() -> &'static [u8] {
    &PRIME.0
}

/// The prime as a number.
pub(crate) fn modulus() -> &'static BigUint {
    &PRIME.1
}

/// A number as 256 bytes, big-endian, padded on the left.
pub(crate) fn padded(number: &BigUint) -> [u8; 256] {
    let bytes = number.to_bytes_be();
    let mut out = [0; 256];
    let start = out.len().saturating_sub(bytes.len());
    out[start..].copy_from_slice(&bytes[bytes.len().saturating_sub(256)..]);
    out
}

/// Bytes from the operating system.
pub(crate) fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the operating system has randomness");
    bytes
}

/// `messages.getDhConfig`.
pub(crate) fn get_dh_config(
    _: &mut Ctx<'_>,
    request: tl::functions::messages::GetDhConfig,
) -> Result<tl::enums::messages::DhConfig, RpcError> {
    let length = usize::try_from(request.random_length).ok().filter(|length| *length <= 1024);
    let length = length.ok_or_else(|| RpcError::bad_request("RANDOM_LENGTH_INVALID"))?;
    let mut random = vec![0; length];
    getrandom::fill(&mut random).map_err(|_| RpcError::new(500, "RANDOM_UNAVAILABLE"))?;
    if request.version == VERSION {
        return Ok(tl::types::messages::DhConfigNotModified { random }.into());
    }
    Ok(tl::types::messages::DhConfig { g: DH_G, p: dh_prime().to_vec(), version: VERSION, random }.into())
}

#[cfg(test)]
mod tests {
    use sha2::{Digest, Sha256};

    use super::*;

    #[test]
    fn the_prime_is_the_one_whose_hash_is_published() {
        let digest = hex::encode(Sha256::digest(dh_prime()));
        assert_eq!(digest, "02f85e7687fc6f33ba678226a963b3c8a191b47c890cf30debe17c1d623b5af1");
    }

    #[test]
    fn short_numbers_are_padded_on_the_left() {
        let bytes = padded(&BigUint::from(0x0102_u32));
        assert_eq!(bytes[..254], [0; 254]);
        assert_eq!(bytes[254..], [1, 2]);
    }
}
