//! Lines out of bytes and back.

use serde::Serialize;

/// Longest line in either direction, in bytes, without its newline.
pub const LONGEST_LINE_BYTES: usize = 512 * 1024;

/// A line that cannot be used. Reading goes on with the next one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// Longer than allowed; it was thrown away up to its end.
    #[error("the line is longer than {LONGEST_LINE_BYTES} bytes")]
    TooLong,
    /// Not text.
    #[error("the line is not UTF-8")]
    NotText,
}

/// Cuts a stream of bytes into lines. It never holds more than one line and what came with its end.
#[derive(Debug, Default)]
pub struct LineReader {
    held: Vec<u8>,
    /// Bytes of `held` that were searched already and hold no newline.
    searched: usize,
    /// The line at the front was too long and is being thrown away.
    skipping: bool,
}

impl LineReader {
    /// Takes bytes as they came. Ask [`LineReader::next_line`] until it has none before the next call.
    pub fn push(&mut self, bytes: &[u8]) {
        self.held.extend_from_slice(bytes);
    }

    /// The next whole line, without its newline. Empty lines are passed over.
    ///
    /// # Errors
    /// [`WireError`] in place of a line that cannot be used.
    pub fn next_line(&mut self) -> Option<Result<String, WireError>> {
        loop {
            let end = self.held[self.searched..].iter().position(|byte| *byte == b'\n');
            let Some(end) = end.map(|end| end + self.searched) else {
                self.searched = self.held.len();
                if self.searched > LONGEST_LINE_BYTES {
                    self.held = Vec::new();
                    self.searched = 0;
                    if !std::mem::replace(&mut self.skipping, true) {
                        return Some(Err(WireError::TooLong));
                    }
                }
                return None;
            };
            let mut line: Vec<u8> = self.held.drain(..=end).collect();
            self.searched = 0;
            line.pop();
            if std::mem::take(&mut self.skipping) {
                continue;
            }
            if line.len() > LONGEST_LINE_BYTES {
                return Some(Err(WireError::TooLong));
            }
            match String::from_utf8(line) {
                Ok(text) if text.trim().is_empty() => {}
                Ok(text) => return Some(Ok(text)),
                Err(_) => return Some(Err(WireError::NotText)),
            }
        }
    }
}

/// A message as its line, newline included.
pub fn to_line(message: &impl Serialize) -> String {
    // Only maps with keys that are no strings can fail, and the contract has none.
    let mut line = serde_json::to_string(message).expect("control messages are plain JSON");
    line.push('\n');
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_come_out_whole_however_the_bytes_were_cut() {
        let bytes = "{\"id\":1}\n\n{\"name\":\"Анна\"}\n".as_bytes();
        for size in 1..bytes.len() {
            let mut reader = LineReader::default();
            let mut lines = Vec::new();
            for part in bytes.chunks(size) {
                reader.push(part);
                lines.extend(std::iter::from_fn(|| reader.next_line()).map(Result::unwrap));
            }
            assert_eq!(lines, ["{\"id\":1}", "{\"name\":\"Анна\"}"], "cut into {size}");
        }
    }

    #[test]
    fn a_line_without_end_is_told_once_and_does_not_fill_the_memory() {
        let mut reader = LineReader::default();
        let mut told = Vec::new();
        for _ in 0..1_000 {
            reader.push(&[b'x'; 4_096]);
            told.extend(std::iter::from_fn(|| reader.next_line()));
            assert!(reader.held.len() <= LONGEST_LINE_BYTES + 4_096);
        }
        reader.push(b"tail\nnext\n");
        told.extend(std::iter::from_fn(|| reader.next_line()));
        assert_eq!(told, [Err(WireError::TooLong), Ok("next".to_owned())]);
    }

    #[test]
    fn a_long_line_that_came_in_one_piece_is_told_too() {
        let mut reader = LineReader::default();
        reader.push(&[&vec![b'x'; LONGEST_LINE_BYTES + 1][..], b"\nnext\n"].concat());
        assert_eq!(reader.next_line(), Some(Err(WireError::TooLong)));
        assert_eq!(reader.next_line(), Some(Ok("next".to_owned())));
    }

    #[test]
    fn bytes_that_are_no_text_are_told_and_passed_over() {
        let mut reader = LineReader::default();
        reader.push(b"\xff\xfe\nnext\n");
        assert_eq!(reader.next_line(), Some(Err(WireError::NotText)));
        assert_eq!(reader.next_line(), Some(Ok("next".to_owned())));
        assert_eq!(WireError::TooLong.to_string(), "the line is longer than 524288 bytes");
        assert_eq!(WireError::NotText.to_string(), "the line is not UTF-8");
    }
}
