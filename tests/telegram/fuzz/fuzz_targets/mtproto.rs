//! Fuzzes streams of MTProto; what is done with the bytes stands in `entries`.

#![no_main]

#[path = "../entries/mtproto.rs"]
mod entry;
#[path = "../../../fuzz/limits.rs"]
mod limits;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| limits::within(entry::take, bytes));
