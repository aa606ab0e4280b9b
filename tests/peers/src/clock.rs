//! The one place where far ends read the clock.

use std::time::Instant;

use anyhow::Context as _;

/// Now.
#[expect(clippy::disallowed_methods, reason = "a far end reads its own clock")]
pub fn now() -> Instant {
    Instant::now()
}

/// The library of Debian's package faketime, which shows a program another time.
///
/// # Errors
/// When it is not installed.
pub fn faketime() -> anyhow::Result<String> {
    let mut folders = std::fs::read_dir("/usr/lib")?.filter_map(|entry| Some(entry.ok()?.path()));
    let found = folders.find_map(|folder| {
        let library = folder.join("faketime/libfaketime.so.1");
        library.exists().then_some(library)
    });
    Ok(found.context("the package faketime is not installed")?.display().to_string())
}

/// The machine's monotonic clock, which other programs read too, in nanoseconds.
///
/// # Errors
/// When the system has none.
pub fn monotonic_ns() -> anyhow::Result<u64> {
    let now = nix::time::clock_gettime(nix::time::ClockId::CLOCK_MONOTONIC)?;
    Ok(u64::try_from(now.tv_sec())? * 1_000_000_000 + u64::try_from(now.tv_nsec())?)
}
