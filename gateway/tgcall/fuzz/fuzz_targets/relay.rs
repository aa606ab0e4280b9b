//! Fuzzes what STUN and TURN servers and reflectors send; what is done with the bytes stands in `entries`.

#![no_main]

#[path = "../entries/relay.rs"]
mod entry;
#[path = "../../../../tests/fuzz/limits.rs"]
mod limits;
#[path = "../../../../tests/fuzz/script.rs"]
mod script;
#[path = "../entries/stun.rs"]
mod stun;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| limits::within(entry::take, bytes));
