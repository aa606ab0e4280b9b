//! Replays the corpora of the fuzzer: bytes of hostile peers, each of which taught it something or once did harm.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, unreachable_pub)]

#[path = "../fuzz/entries/datagram.rs"]
mod datagram;
#[path = "../fuzz/entries/envelope.rs"]
mod envelope;
#[path = "../fuzz/entries/message.rs"]
mod message;
#[path = "../fuzz/entries/relay.rs"]
mod relay;
#[path = "../../../tests/fuzz/replay.rs"]
mod replay;
#[path = "../../../tests/fuzz/script.rs"]
mod script;
#[path = "../fuzz/entries/stun.rs"]
mod stun;

use replay::replay;

#[test]
fn sealed_signaling_does_no_harm() {
    replay("envelope", envelope::take);
}

#[test]
fn signaling_messages_do_no_harm() {
    replay("message", message::take);
}

#[test]
fn datagrams_do_no_harm() {
    replay("datagram", datagram::take);
}

#[test]
fn servers_do_no_harm() {
    replay("relay", relay::take);
}
