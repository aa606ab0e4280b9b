//! What two 2048-bit powers cost alone, for benchmarks of set-up: constant-time, of any base, without tables made ahead.
//!
//! Its arguments are the generator, the prime in hexadecimal and how many pairs to measure; it prints the processor time of a
//! pair, in nanoseconds.

#![expect(clippy::print_stdout, reason = "its parent waits for a number")]

use std::env;
use std::fs;
use std::hint::black_box;

use anyhow::Context as _;
use crypto_bigint::modular::{FixedMontyForm, FixedMontyParams};
use crypto_bigint::{Odd, U2048};

type Params = FixedMontyParams<{ U2048::LIMBS }>;

fn main() -> anyhow::Result<()> {
    let mut arguments = env::args().skip(1);
    let generator: u32 = arguments.next().context("want a generator")?.parse()?;
    let prime = hex::decode(arguments.next().context("want a prime")?)?;
    let count: u64 = arguments.next().context("want a number")?.parse()?;
    anyhow::ensure!(prime.len() == 256, "a prime of {} bytes: want 256", prime.len());
    let modulus = Odd::new(U2048::from_be_slice(&prime)).into_option().context("the prime is even")?;
    let params = Params::new_vartime(modulus);
    let exponent =
        U2048::from_be_slice(&std::array::from_fn::<u8, 256, _>(|at| (at as u8).wrapping_mul(37) ^ 0x6b));
    let theirs =
        U2048::from_be_slice(&std::array::from_fn::<u8, 256, _>(|at| (at as u8).wrapping_mul(91) ^ 0x35));
    let agree = || {
        black_box(power(U2048::from_u32(generator), &exponent, &params));
        black_box(power(theirs, &exponent, &params));
    };
    // The first of its kind fills caches.
    agree();
    let before = cpu_ns()?;
    for _ in 0..count {
        agree();
    }
    println!("{}", (cpu_ns()? - before) / count.max(1));
    Ok(())
}

fn power(base: U2048, exponent: &U2048, params: &Params) -> U2048 {
    FixedMontyForm::new(&base, params).pow(exponent).retrieve()
}

fn cpu_ns() -> anyhow::Result<u64> {
    let schedstat = fs::read_to_string("/proc/thread-self/schedstat")?;
    Ok(schedstat.split(' ').next().context("schedstat")?.parse()?)
}
