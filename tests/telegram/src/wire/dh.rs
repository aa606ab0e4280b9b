//! The group of the key exchange: Telegram's well-known 2048-bit safe prime with generator 3.

use num_bigint::BigUint;

/// The generator, a quadratic residue of the prime's subgroup as clients check.
pub(crate) const GENERATOR: i32 = 3;

const PRIME: &str = "\
    c71caeb9c6b1c9048e6c522f70f13f73980d40238e3e21c14934d037563d930f\
    48198a0aa7c14058229493d22530f4dbfa336f6e0ac925139543aed44cce7c37\
    20fd51f69458705ac68cd4fe6b6b13abdc9746512969328454f18faf8c595f64\
    2477fe96bb2a941d5bcd1d4ac8cc49880708fa9b378e3c4f3a9060bee67cf9a4\
    a4a695811051907e162753b56b0f6b410dba74d8a84b2a14b3144e0ef1284754\
    fd17ed950d5965b4b9dd46582db1178d169c6bc465b0d6ff9ca3928fef5b9ae4\
    e418fc15e83ebea0f87fa9ff5eed70050ded2849f47bf959d956850ce929851f\
    0d8115f635b105ee2e4e15d04b2454bf6f4fadf034b10403119cd8e3b92fcc5b";

/// The prime.
pub(crate) fn prime() -> BigUint {
    BigUint::parse_bytes(PRIME.as_bytes(), 16).expect("the prime is written in hex")
}

/// Whether a public value leaves both sides a safe secret: 2^1984 from either end of the field.
pub(crate) fn is_safe(value: &BigUint) -> bool {
    let margin = BigUint::from(1u8) << (2048 - 64);
    *value >= margin && *value <= prime() - margin
}

/// A number as 256 bytes, big-endian.
pub(crate) fn padded(number: &BigUint) -> [u8; 256] {
    let bytes = number.to_bytes_be();
    let mut out = [0; 256];
    let start = out.len().saturating_sub(bytes.len());
    out[start..].copy_from_slice(&bytes[bytes.len().saturating_sub(256)..]);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_near_either_end_are_refused() {
        let one = BigUint::from(1u8);
        assert!(!is_safe(&one));
        assert!(!is_safe(&(prime() - &one)));
        assert!(is_safe(&(&one << 1984)));
        assert!(!is_safe(&((&one << 1984) - &one)));
        assert!(is_safe(&(prime() - (&one << 1984))));
    }

    #[test]
    fn the_prime_has_2048_bits_and_suits_the_generator() {
        assert_eq!(prime().bits(), 2048);
        assert_eq!(prime() % BigUint::from(3u8), BigUint::from(2u8), "g = 3 wants p mod 3 = 2");
    }

    #[test]
    fn numbers_are_padded_in_front() {
        let bytes = padded(&BigUint::from(0x0102u32));
        assert_eq!(bytes[254..], [1, 2]);
        assert!(bytes[..254].iter().all(|byte| *byte == 0));
    }
}
