//! Replays the corpora of the fuzzer: bytes, each of which taught it something or once did harm.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, unreachable_pub)]

#[path = "../fuzz/entries/mtproto.rs"]
mod mtproto;
#[path = "../../fuzz/replay.rs"]
mod replay;

#[test]
fn streams_of_clients_do_no_harm() {
    replay::replay("mtproto", mtproto::take);
}
