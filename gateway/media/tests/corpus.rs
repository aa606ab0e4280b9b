//! Replays the corpora of the fuzzer: bytes of hostile peers, each of which taught it something or once did harm.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, unreachable_pub)]

#[path = "../fuzz/entries/codec.rs"]
mod codec;
#[path = "../fuzz/entries/opus.rs"]
mod opus;
#[path = "../fuzz/entries/packets.rs"]
mod packets;
#[path = "../fuzz/entries/script.rs"]
mod script;

use std::path::Path;

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
