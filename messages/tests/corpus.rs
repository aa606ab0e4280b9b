//! Replays the corpora of the fuzzer: bytes, each of which taught it something or once did harm.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, unreachable_pub, dead_code)]

#[path = "../fuzz/entries/bodies.rs"]
mod bodies;
#[path = "../../tests/fuzz/replay.rs"]
mod replay;
#[path = "../../tests/fuzz/script.rs"]
mod script;
#[path = "green/telegram.rs"]
mod telegram;

#[test]
fn requests_of_programs_do_no_harm() {
    replay::replay("bodies", bodies::take);
}
