//! Fuzzes datagrams of a trunk where both sides have to prove who they are; what is done with the bytes stands in `entries`.

#![no_main]

#[path = "../entries/config.rs"]
mod config;
#[path = "../entries/endpoint.rs"]
mod entry;
#[path = "../../../../tests/fuzz/limits.rs"]
mod limits;
#[path = "../../../../tests/fuzz/script.rs"]
mod script;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| limits::within(entry::take_proven, bytes));
