//! The small puzzle of the key exchange: a product of two 31-bit primes.

use crate::wire::random;

/// `pq` and its factors, `p < q`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Factors {
    pub(crate) p: u32,
    pub(crate) q: u32,
}

impl Factors {
    /// Two random primes between 2^30 and 2^31, so that their product fills eight bytes.
    pub(crate) fn random() -> Self {
        loop {
            let (a, b) = (random_prime(), random_prime());
            if a != b {
                return Self { p: a.min(b), q: a.max(b) };
            }
        }
    }

    /// The product as eight big-endian bytes.
    pub(crate) fn product(self) -> [u8; 8] {
        (u64::from(self.p) * u64::from(self.q)).to_be_bytes()
    }

    /// Whether the client found the same factors (big-endian, any number of leading zeros).
    pub(crate) fn are(self, p: &[u8], q: &[u8]) -> bool {
        number(p) == Some(u64::from(self.p)) && number(q) == Some(u64::from(self.q))
    }
}

fn number(bytes: &[u8]) -> Option<u64> {
    if bytes.len() > 8 {
        return None;
    }
    Some(bytes.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte)))
}

fn random_prime() -> u32 {
    loop {
        let candidate = u32::from_le_bytes(random::bytes()) & 0x3fff_ffff | 0x4000_0001;
        if is_prime(candidate) {
            return candidate;
        }
    }
}

/// Miller-Rabin with the bases 2, 7 and 61, which decide every 32-bit number.
fn is_prime(n: u32) -> bool {
    if n < 2 || n.is_multiple_of(2) {
        return n == 2;
    }
    let twos = (n - 1).trailing_zeros();
    let odd = (n - 1) >> twos;
    [2, 7, 61].into_iter().filter(|base| base % n != 0).all(|base| {
        let mut x = power(base, odd, n);
        if x == 1 || x == n - 1 {
            return true;
        }
        (1..twos).any(|_| {
            x = power(x, 2, n);
            x == n - 1
        })
    })
}

fn power(base: u32, mut exponent: u32, modulus: u32) -> u32 {
    let modulus = u64::from(modulus);
    let (mut base, mut result) = (u64::from(base) % modulus, 1);
    while exponent > 0 {
        if exponent & 1 == 1 {
            result = result * base % modulus;
        }
        base = base * base % modulus;
        exponent >>= 1;
    }
    result as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn primes_are_told_from_composites() {
        let small: Vec<u32> = (0..60).filter(|n| is_prime(*n)).collect();
        assert_eq!(small, [2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59]);
        assert!(is_prime(2_147_483_647));
        assert!(is_prime(1_229_739_323) && is_prime(1_402_015_859));
        assert!(!is_prime(4_759_123 * 901));
        assert!(!is_prime(3_215_031_751), "the least number that fools 2, 3, 5 and 7");
    }

    #[test]
    fn a_foreign_factorization_finds_the_same_factors() {
        let factors = Factors::random();
        let (p, q) = grammers_crypto::factorize(u64::from_be_bytes(factors.product()));
        assert!(factors.are(&p.to_be_bytes(), &q.to_be_bytes()));
        assert!(!factors.are(&q.to_be_bytes(), &p.to_be_bytes()));
        assert!(!factors.are(&[1; 9], &[]));
    }
}
