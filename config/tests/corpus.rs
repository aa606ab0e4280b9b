//! Replays the corpora of the fuzzer: bytes, each of which taught it something or once did harm.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, unreachable_pub)]

#[path = "../fuzz/entries/control.rs"]
mod control;
#[path = "../fuzz/entries/line.rs"]
mod line;
#[path = "../../tests/fuzz/replay.rs"]
mod replay;
#[path = "../fuzz/entries/settings.rs"]
mod settings;
#[path = "../fuzz/entries/texts.rs"]
mod texts;

use replay::replay;

#[test]
fn settings_of_a_line_do_no_harm() {
    replay("line", line::take);
}

#[test]
fn settings_do_no_harm() {
    replay("settings", settings::take);
}

#[test]
fn texts_of_a_line_do_no_harm() {
    replay("texts", texts::take);
}

#[test]
fn what_is_said_to_control_sockets_does_no_harm() {
    replay("control", control::take);
}
