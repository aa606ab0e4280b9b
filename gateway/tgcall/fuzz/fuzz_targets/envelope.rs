//! Fuzzes sealed signaling packets and SCTP chunks; what is done with the bytes stands in `entries`.

#![no_main]

#[path = "../entries/envelope.rs"]
mod entry;
#[path = "../../../../tests/fuzz/limits.rs"]
mod limits;
#[path = "../../../../tests/fuzz/script.rs"]
mod script;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| limits::within(entry::take, bytes));
