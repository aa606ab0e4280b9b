//! Streams of a hostile client of MTProto, whole and in pieces.

use tgtrunk_test_telegram::wire::take_apart;

/// Reads the bytes as what comes from a socket: the same frames, however they come.
pub fn take(bytes: &[u8]) {
    let (&first, stream) = bytes.split_first().unwrap_or((&0, &[]));
    assert_eq!(take_apart(stream, usize::from(first)), take_apart(stream, usize::MAX));
}
