//! A control socket, written to by anybody: lines are cut out of it the same however they come, and each is a request or is told
//! what is wrong with it.

use std::borrow::Cow;

use tgtrunk_config::control::{LONGEST_LINE_BYTES, LineReader, Request, WireError, to_line};

/// Reads the bytes as what comes from a socket, whole and in pieces; the longest pieces come behind a line that is too long.
pub fn take(bytes: &[u8]) {
    let (&first, stream) = bytes.split_first().unwrap_or((&0, &[]));
    let stream = match first {
        u8::MAX => Cow::Owned([&b"x".repeat(LONGEST_LINE_BYTES), stream].concat()),
        _ => Cow::Borrowed(stream),
    };
    let cut = lines(stream.chunks(usize::from(first).max(1)));
    assert_eq!(cut, lines(std::iter::once(&stream[..])));
    for line in cut.into_iter().flatten() {
        match Request::from_line(&line) {
            Ok(request) => {
                let again = to_line(&request);
                assert_eq!(Request::from_line(again.trim_end()).as_ref(), Ok(&request), "{again}");
            }
            Err(bad) => assert!(!bad.to_string().is_empty()),
        }
    }
}

fn lines<'a>(readings: impl Iterator<Item = &'a [u8]>) -> Vec<Result<String, WireError>> {
    let mut reader = LineReader::default();
    let mut lines = Vec::new();
    for reading in readings {
        reader.push(reading);
        lines.extend(std::iter::from_fn(|| reader.next_line()));
    }
    lines
}
