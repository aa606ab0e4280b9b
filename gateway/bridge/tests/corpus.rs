//! Replays the corpora of the fuzzer: bytes, each of which taught it something or once did harm.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, unreachable_pub)]

#[path = "../fuzz/entries/caller_id.rs"]
mod caller_id;
#[path = "../fuzz/entries/dial.rs"]
mod dial;
#[path = "../../../tests/fuzz/replay.rs"]
mod replay;
#[path = "../../../tests/fuzz/script.rs"]
mod script;

use replay::replay;

#[test]
fn dialled_strings_do_no_harm() {
    replay("dial", dial::take);
}

#[test]
fn names_of_callers_do_no_harm() {
    replay("caller_id", caller_id::take);
}
