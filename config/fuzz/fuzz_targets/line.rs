//! Fuzzes a line's settings, its templates among them; what is done with the bytes stands in `entries`.

#![no_main]

#[path = "../entries/line.rs"]
mod entry;
#[path = "../../../tests/fuzz/limits.rs"]
mod limits;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| limits::within(entry::take, bytes));
