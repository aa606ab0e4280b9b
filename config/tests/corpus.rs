//! Replays the corpora of the fuzzer: bytes, each of which taught it something or once did harm.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, unreachable_pub)]

#[path = "../fuzz/entries/line.rs"]
mod line;
#[path = "../../tests/fuzz/replay.rs"]
mod replay;
#[path = "../fuzz/entries/settings.rs"]
mod settings;

use replay::replay;

#[test]
fn settings_of_a_line_do_no_harm() {
    replay("line", line::take);
}

#[test]
fn settings_do_no_harm() {
    replay("settings", settings::take);
}
