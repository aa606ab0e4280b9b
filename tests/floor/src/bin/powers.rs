//! What the two 2048-bit powers of a call's key agreement cost alone, for benchmarks of set-up.
//!
//! Its arguments are the generator, the prime in hexadecimal and how many agreements to measure; it prints the processor time of
//! one, in nanoseconds.

#![expect(clippy::print_stdout, reason = "its parent waits for a number")]

use std::env;
use std::fs;
use std::hint::black_box;

use anyhow::Context as _;
use tgcall::key::{CallerExchange, DhParameters};

fn main() -> anyhow::Result<()> {
    let mut arguments = env::args().skip(1);
    let generator = arguments.next().context("want a generator")?.parse()?;
    let prime = hex::decode(arguments.next().context("want a prime")?)?;
    let count: u64 = arguments.next().context("want a number")?.parse()?;
    let parameters = DhParameters::new(generator, &prime)?;
    // The first of its kind fills caches.
    agree(&parameters)?;
    let before = cpu_ns()?;
    for _ in 0..count {
        agree(&parameters)?;
    }
    println!("{}", (cpu_ns()? - before) / count.max(1));
    Ok(())
}

/// One side's powers: its public value, and the key from the other's.
fn agree(parameters: &DhParameters) -> anyhow::Result<()> {
    let random: [u8; 256] = std::array::from_fn(|at| (at as u8).wrapping_mul(37) ^ 0x6b);
    let exchange = CallerExchange::begin(parameters, random)?;
    let theirs: [u8; 256] = std::array::from_fn(|at| (at as u8).wrapping_mul(91) ^ 0x35);
    black_box(exchange.finish(&theirs)?);
    Ok(())
}

fn cpu_ns() -> anyhow::Result<u64> {
    let schedstat = fs::read_to_string("/proc/thread-self/schedstat")?;
    Ok(schedstat.split(' ').next().context("schedstat")?.parse()?)
}
