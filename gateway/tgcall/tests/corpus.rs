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
#[path = "../fuzz/entries/script.rs"]
mod script;
#[path = "../fuzz/entries/stun.rs"]
mod stun;

use std::path::Path;

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

fn replay(target: &str, take: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    let mut files: Vec<_> = folder.read_dir().unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(!files.is_empty(), "no corpus for {target}");
    for file in files {
        eprintln!("{}", file.display());
        take(&std::fs::read(file).unwrap());
    }
}
