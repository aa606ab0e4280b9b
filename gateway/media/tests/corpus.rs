//! Replays the corpora of the fuzzer: bytes of hostile peers, each of which taught it something or once did harm.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, unreachable_pub)]

#[path = "../fuzz/entries/codec.rs"]
mod codec;
#[path = "../fuzz/entries/opus.rs"]
mod opus;
#[path = "../fuzz/entries/packets.rs"]
mod packets;
#[path = "../../../tests/fuzz/replay.rs"]
mod replay;
#[path = "../../../tests/fuzz/script.rs"]
mod script;

use replay::replay;

#[test]
fn payloads_do_no_harm() {
    replay("codec", codec::take);
}

#[test]
fn opus_framing_does_no_harm() {
    replay("opus", opus::take);
}

#[test]
fn rtp_and_rtcp_do_no_harm() {
    replay("packets", packets::take);
}
