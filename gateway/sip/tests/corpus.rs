//! Replays the corpora of the fuzzer: bytes, each of which taught it something or once did harm.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, unreachable_pub)]

#[path = "../fuzz/entries/config.rs"]
mod config;
#[path = "../fuzz/entries/endpoint.rs"]
mod endpoint;
#[path = "../../../tests/fuzz/replay.rs"]
mod replay;
#[path = "../../../tests/fuzz/script.rs"]
mod script;
#[path = "../fuzz/entries/sdp.rs"]
mod sdp;
#[path = "../fuzz/entries/stream.rs"]
mod stream;

use replay::replay;

#[test]
fn datagrams_in_the_middle_of_calls_do_no_harm() {
    replay("endpoint", endpoint::take);
}

#[test]
fn session_descriptions_do_no_harm() {
    replay("sdp", sdp::take);
}

#[test]
fn streams_do_no_harm() {
    replay("stream", stream::take);
}

#[test]
fn datagrams_amid_proofs_do_no_harm() {
    replay("proven", endpoint::take_proven);
}
