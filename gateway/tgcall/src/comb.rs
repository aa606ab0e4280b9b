//! Secret powers of a number that is known beforehand, in a quarter of the time of others (Lim and Lee, "More flexible
//! exponentiation with precomputation").
//!
//! The exponent's words stand in rows one below the other; a tooth of the comb takes one bit of each row, and the product of
//! the powers that belong to these bits is ready. What it reads and how long it takes say nothing about the exponent.

use crypto_bigint::modular::{FixedMontyForm, FixedMontyParams};
use crypto_bigint::{CtAssign, CtEq, U2048};
use zeroize::Zeroize;

const WORD_BITS: u32 = 64;
const WORDS: usize = 32;
/// Bits that are taken at once, one of each row.
const ROWS: usize = 4;
/// Words of a row, each with a table of its own: squarings are as many as a word has bits.
const COLUMNS: usize = WORDS / ROWS;
const PRODUCTS: usize = 1 << ROWS;

type Number = FixedMontyForm<{ U2048::LIMBS }>;
type Ring = FixedMontyParams<{ U2048::LIMBS }>;

/// What is ready of one base.
pub(crate) struct Comb {
    /// For each column the products of its rows' bases, in Montgomery form.
    tables: Box<[[U2048; PRODUCTS]; COLUMNS]>,
}

impl Comb {
    /// Takes about as long as one power does otherwise.
    pub(crate) fn new(base: &U2048, ring: &Ring) -> Self {
        let mut power = Number::new(base, ring);
        let mut powers = Vec::with_capacity(WORDS);
        for _ in 0..WORDS {
            powers.push(power);
            power = power.square_repeat_vartime(WORD_BITS);
        }
        let mut tables = Box::new([[U2048::ZERO; PRODUCTS]; COLUMNS]);
        for (column, table) in tables.iter_mut().enumerate() {
            for (rows, product) in table.iter_mut().enumerate() {
                let bases = powers.iter().skip(column).step_by(COLUMNS).enumerate();
                let taken = bases.filter(|(row, _)| rows >> row & 1 == 1);
                *product =
                    taken.fold(Number::one(ring), |product, (_, power)| product * power).to_montgomery();
            }
        }
        Self { tables }
    }

    /// The base to this power.
    pub(crate) fn power(&self, exponent: &U2048, ring: &Ring) -> U2048 {
        let mut words = words(exponent);
        let mut power = Number::one(ring);
        let mut factor = power;
        for bit in (0..WORD_BITS).rev() {
            power = power.square();
            for (column, table) in self.tables.iter().enumerate() {
                let bits = words.iter().skip(column).step_by(COLUMNS).map(|word| word >> bit & 1);
                let rows = bits.enumerate().fold(0, |rows, (row, bit)| rows | bit << row);
                factor = FixedMontyForm::from_montgomery(one_of(table, rows), ring);
                power *= &factor;
            }
        }
        words.zeroize();
        let result = power.retrieve();
        power.zeroize();
        factor.zeroize();
        result
    }
}

/// The product for a secret set of rows, for which all are read.
fn one_of(table: &[U2048; PRODUCTS], rows: u64) -> U2048 {
    let mut one = table[0];
    for (number, product) in (0_u64..).zip(table).skip(1) {
        one.ct_assign(product, number.ct_eq(&rows));
    }
    one
}

/// A number's words, the lowest first.
fn words(number: &U2048) -> [u64; WORDS] {
    let mut words = [0; WORDS];
    let bytes = number.to_le_bytes();
    for (word, bytes) in words.iter_mut().zip(bytes.as_ref().chunks_exact(8)) {
        *word = bytes.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte));
    }
    words
}

#[cfg(test)]
mod tests {
    use crypto_bigint::Odd;

    use super::*;

    #[test]
    fn powers_are_those_that_are_computed_without_it() {
        let modulus = Odd::new(U2048::MAX).unwrap();
        let ring = Ring::new_vartime(modulus);
        let mut random = U2048::from_u64(0x9e37_79b9_7f4a_7c15);
        for base in [U2048::from_u64(3), U2048::MAX.shr_vartime(1)] {
            let comb = Comb::new(&base, &ring);
            random = random.wrapping_mul(&random).wrapping_add(&U2048::from_u64(0xdead_beef_1234_5678));
            let one_bit = |bit: u32| U2048::ONE.shl_vartime(bit);
            let exponents = [U2048::ZERO, U2048::ONE, U2048::MAX, random, random.wrapping_mul(&random)];
            for exponent in exponents.into_iter().chain((0..2048).step_by(61).map(one_bit)) {
                let expected = Number::new(&base, &ring).pow(&exponent).retrieve();
                assert_eq!(comb.power(&exponent, &ring), expected, "{base} to {exponent}");
            }
        }
    }
}
