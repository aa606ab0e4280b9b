//! Forms with files (RFC 7578), read piece by piece as they come, and as loosely as clients write them: no name of a file,
//! lines that end in LF alone, delimiters without their dashes, nothing after the last one.

/// A form that is being read.
#[derive(Debug)]
pub(super) struct Multipart {
    boundary: Vec<u8>,
    delimiter: Vec<u8>,
    buffer: Vec<u8>,
    /// So many bytes of the buffer are done with. A form may have a part every few bytes, and what is behind it does not
    /// move each time.
    done: usize,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Before the first delimiter.
    Before,
    /// A delimiter was read, and what is behind it on its line was not.
    Line,
    /// In the headers of a part.
    Headers,
    /// In the body of a part, at its very start.
    Start,
    /// In the body of a part.
    Body,
    /// Behind the last delimiter.
    Over,
}

/// What is read of a form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Piece {
    /// A part begins.
    Part(Part),
    /// Bytes of its body.
    Bytes(Vec<u8>),
    /// The part is over.
    End,
}

/// What a part is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Part {
    /// Its field.
    pub(super) name: String,
    /// What its file is called.
    pub(super) file_name: Option<String>,
    /// Its media type.
    pub(super) mime: Option<String>,
}

/// Why a form cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum MultipartError {
    /// The header names no boundary.
    #[error("the form's Content-Type has no boundary")]
    NoBoundary,
    /// The boundary is nowhere in the body.
    #[error("the form's boundary is not in its body")]
    NoParts,
    /// What stands behind a delimiter has no end.
    #[error("a line of the form that has its boundary is longer than 1024 bytes")]
    Line,
    /// The headers of a part have no end.
    #[error("the headers of a part of the form are longer than 16384 bytes")]
    Headers,
    /// The last delimiter is missing.
    #[error("the form ends before its last boundary")]
    Cut,
}

/// Longest boundary; RFC 2046 allows 70 bytes.
const BOUNDARY_BYTES: usize = 200;
/// Longest text before the first delimiter.
const PREAMBLE_BYTES: usize = 8192;
/// Longest rest of a delimiter's line; RFC 2046 has blanks there.
const LINE_BYTES: usize = 1024;
/// Longest headers of a part.
const HEADERS_BYTES: usize = 16_384;

impl Multipart {
    /// A form by its `Content-Type`.
    ///
    /// # Errors
    /// [`MultipartError::NoBoundary`].
    pub(super) fn of(content_type: &str) -> Result<Self, MultipartError> {
        let boundary = parameters(content_type)
            .find(|(key, _)| key.eq_ignore_ascii_case("boundary"))
            .map(|(_, value)| value.into_bytes())
            .filter(|boundary| (1..=BOUNDARY_BYTES).contains(&boundary.len()))
            .ok_or(MultipartError::NoBoundary)?;
        Ok(Self { boundary, delimiter: Vec::new(), buffer: Vec::new(), done: 0, state: State::Before })
    }

    /// Takes the next bytes of the body, and gives what is known by them.
    ///
    /// # Errors
    /// As [`MultipartError`] says.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Result<Vec<Piece>, MultipartError> {
        if self.state == State::Over {
            return Ok(Vec::new());
        }
        self.buffer.extend_from_slice(bytes);
        self.read(false)
    }

    /// The body is over.
    ///
    /// # Errors
    /// As [`MultipartError`] says.
    pub(super) fn finish(mut self) -> Result<Vec<Piece>, MultipartError> {
        let pieces = self.read(true)?;
        match self.state {
            State::Over | State::Line => Ok(pieces),
            State::Before => Err(MultipartError::NoParts),
            State::Headers | State::Start | State::Body => Err(MultipartError::Cut),
        }
    }

    fn read(&mut self, is_all: bool) -> Result<Vec<Piece>, MultipartError> {
        let mut pieces = Vec::new();
        loop {
            let is_step = match self.state {
                State::Before => self.first()?,
                State::Line => self.line()?,
                State::Headers => self.headers(&mut pieces)?,
                State::Start | State::Body => self.body(is_all, &mut pieces),
                State::Over => {
                    self.done = self.buffer.len();
                    false
                }
            };
            if !is_step {
                self.buffer.drain(..self.done);
                self.done = 0;
                return Ok(pieces);
            }
        }
    }

    /// What is not done with.
    fn rest(&self) -> &[u8] {
        &self.buffer[self.done..]
    }

    /// Finds the first delimiter, which tells whether this client writes it with its dashes.
    fn first(&mut self) -> Result<bool, MultipartError> {
        let found = self.rest().windows(self.boundary.len()).position(|window| window == self.boundary);
        let Some(at) = found else {
            let is_too_long = self.rest().len() > PREAMBLE_BYTES + self.boundary.len();
            return if is_too_long { Err(MultipartError::NoParts) } else { Ok(false) };
        };
        if self.rest()[..at].ends_with(b"--") {
            self.delimiter.extend_from_slice(b"--");
        }
        self.delimiter.extend_from_slice(&self.boundary);
        self.done += at + self.boundary.len();
        self.state = State::Line;
        Ok(true)
    }

    /// Reads what stands behind a delimiter.
    fn line(&mut self) -> Result<bool, MultipartError> {
        if self.rest().starts_with(b"--") {
            self.state = State::Over;
            return Ok(true);
        }
        let end = self.rest().iter().take(LINE_BYTES).position(|byte| *byte == b'\n');
        let Some(end) = end else {
            return if self.rest().len() > LINE_BYTES { Err(MultipartError::Line) } else { Ok(false) };
        };
        self.done += end + 1;
        self.state = State::Headers;
        Ok(true)
    }

    fn headers(&mut self, pieces: &mut Vec<Piece>) -> Result<bool, MultipartError> {
        let mut start = 0;
        while let Some(length) = self.rest()[start..].iter().position(|byte| *byte == b'\n') {
            let line = &self.rest()[start..start + length];
            let is_blank = line.strip_suffix(b"\r").unwrap_or(line).is_empty();
            if is_blank {
                let part = Part::read(&String::from_utf8_lossy(&self.rest()[..start]));
                pieces.push(Piece::Part(part));
                self.done += start + length + 1;
                self.state = State::Start;
                return Ok(true);
            }
            start += length + 1;
        }
        if self.rest().len() > HEADERS_BYTES { Err(MultipartError::Headers) } else { Ok(false) }
    }

    fn body(&mut self, is_all: bool, pieces: &mut Vec<Piece>) -> bool {
        // A part may be empty, and have not even a line's end.
        let mut line = if self.state == State::Start { Some(0) } else { self.next_line(0) };
        while let Some(at) = line {
            match self.delimiter_at(at, is_all) {
                Some(true) => {
                    let bytes = &self.rest()[..at];
                    let bytes = bytes.strip_suffix(b"\n").unwrap_or(bytes);
                    let bytes = bytes.strip_suffix(b"\r").unwrap_or(bytes);
                    if !bytes.is_empty() {
                        pieces.push(Piece::Bytes(bytes.to_vec()));
                    }
                    pieces.push(Piece::End);
                    self.done += at + self.delimiter.len();
                    self.state = State::Line;
                    return true;
                }
                Some(false) => line = self.next_line(at),
                None => {
                    self.give(at.saturating_sub(2), pieces);
                    return false;
                }
            }
        }
        // A line's end that is not here yet belongs to the delimiter behind it.
        let kept = if self.rest().ends_with(b"\r") { 1 } else { 0 };
        self.give(self.rest().len() - kept, pieces);
        false
    }

    fn give(&mut self, length: usize, pieces: &mut Vec<Piece>) {
        if length > 0 {
            pieces.push(Piece::Bytes(self.rest()[..length].to_vec()));
            self.done += length;
            self.state = State::Body;
        }
    }

    /// Where the next line begins.
    fn next_line(&self, from: usize) -> Option<usize> {
        self.rest()[from..].iter().position(|byte| *byte == b'\n').map(|length| from + length + 1)
    }

    /// Whether a delimiter stands at `at`; none where the bytes at hand do not tell.
    fn delimiter_at(&self, at: usize, is_all: bool) -> Option<bool> {
        let rest = &self.rest()[at..];
        let (length, wanted) = (rest.len(), self.delimiter.len());
        if length < wanted {
            let may_be = self.delimiter.starts_with(rest) && !is_all;
            return if may_be { None } else { Some(false) };
        }
        if !rest.starts_with(&self.delimiter) {
            return Some(false);
        }
        match &rest[wanted..] {
            [] | [b'-'] if !is_all => None,
            [] | [b'\r' | b'\n' | b' ' | b'\t', ..] | [b'-', b'-', ..] => Some(true),
            _ => Some(false),
        }
    }
}

impl Part {
    fn read(headers: &str) -> Self {
        let mut part = Self::default();
        for line in headers.lines() {
            let Some((name, value)) = line.split_once(':') else { continue };
            let value = value.trim();
            if name.trim().eq_ignore_ascii_case("content-type") && !value.is_empty() {
                part.mime = Some(value.to_owned());
            }
            if !name.trim().eq_ignore_ascii_case("content-disposition") {
                continue;
            }
            let mut is_extended = false;
            for (key, value) in parameters(value) {
                match key.to_ascii_lowercase().as_str() {
                    "name" => part.name = value,
                    "filename" if !is_extended => part.file_name = Some(file_name(&value)),
                    "filename*" => {
                        let encoded = value.splitn(3, '\'').nth(2).unwrap_or(&value);
                        part.file_name = Some(file_name(&decoded(encoded)));
                        is_extended = true;
                    }
                    _ => {}
                }
            }
        }
        part
    }
}

/// The parameters of a header behind its first word, quotes taken off.
fn parameters(header: &str) -> impl Iterator<Item = (String, String)> {
    let mut rest = header.split_once(';').map_or("", |(_, rest)| rest);
    std::iter::from_fn(move || {
        loop {
            rest = rest.trim_start_matches([';', ' ', '\t']);
            let (key, after) = rest.split_once('=')?;
            if let Some((_, next)) = key.split_once(';') {
                rest = &rest[rest.len() - after.len() - 1 - next.len()..];
                continue;
            }
            let after = after.trim_start();
            let (value, next) = match after.strip_prefix('"') {
                Some(quoted) => unquoted(quoted),
                None => {
                    let end = after.find(';').unwrap_or(after.len());
                    (after[..end].trim().to_owned(), &after[end..])
                }
            };
            rest = next;
            return Some((key.trim().to_owned(), value));
        }
    })
}

/// A quoted text up to its end, and what is behind. A backslash escapes a quote or itself; other programs write paths.
fn unquoted(quoted: &str) -> (String, &str) {
    let mut value = String::new();
    let mut rest = quoted;
    while let Some(first) = rest.chars().next() {
        rest = &rest[first.len_utf8()..];
        match first {
            '"' => return (value, rest),
            '\\' if rest.starts_with(['"', '\\']) => {
                value.push_str(&rest[..1]);
                rest = &rest[1..];
            }
            first => value.push(first),
        }
    }
    (value, rest)
}

/// A file's name without the folders before it, with what browsers write for quotes and line ends read.
fn file_name(said: &str) -> String {
    let name = said.rsplit(['/', '\\']).next().unwrap_or_default();
    name.replace("%22", "\"").chars().filter(|character| !character.is_control()).collect()
}

/// A text with its percent-encoded bytes read (RFC 8187).
pub(crate) fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let digits = after.first_chunk::<2>().filter(|_| *first == b'%');
        let byte = digits.and_then(|digits| {
            digits.iter().all(u8::is_ascii_hexdigit).then_some(())?;
            u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
        });
        bytes.push(byte.unwrap_or(*first));
        rest = if byte.is_some() { &after[2..] } else { after };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TYPE: &str = "multipart/form-data; boundary=0123abc";

    /// As the connector of 1C writes it: a boundary without dashes, no field with the file's name.
    const FILE: &[u8] = "--0123abc\r\nContent-Disposition: form-data; name=\"chatId\"\r\n\r\n10000000\r\n\
        --0123abc\r\nContent-Disposition: form-data; name=\"file\"; filename=\"Счёт 1.pdf\"\r\n\
        Content-Type: application/pdf\r\n\r\n%PDF\r\n--0123ab\r\n\r\n\r\n--0123abc--\r\n"
        .as_bytes();

    #[test]
    fn a_form_is_read_however_it_is_cut() {
        let whole = read(TYPE, &[FILE]).unwrap();
        assert_eq!(
            whole,
            [
                (part("chatId", None, None), b"10000000".to_vec()),
                (
                    part("file", Some("Счёт 1.pdf"), Some("application/pdf")),
                    b"%PDF\r\n--0123ab\r\n\r\n".to_vec()
                ),
            ]
        );
        for length in 1..40 {
            let cut: Vec<&[u8]> = FILE.chunks(length).collect();
            assert_eq!(read(TYPE, &cut).unwrap(), whole, "{length}");
        }
    }

    #[test]
    fn a_part_every_few_bytes_costs_no_more_before_many_others() {
        let form = b"x\n\n".repeat(300_000);
        let took = |cut: &[&[u8]]| {
            let begun = tgtrunk_shell::clock::now();
            assert_eq!(
                read("multipart/form-data; boundary=x", &[cut, &[b"x--"]].concat()).unwrap().len(),
                300_000
            );
            begun.elapsed()
        };
        let in_pieces = took(&form.chunks(4096).collect::<Vec<_>>());
        let whole = took(&[&form]);
        // With what is behind a part moved each time it is twenty times as long.
        assert!(whole < 5 * in_pieces, "{whole:?}, in pieces {in_pieces:?}");
    }

    #[test]
    fn a_form_needs_nothing_behind_its_last_delimiter() {
        let picture: &[u8] = b"--0123abc\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.jpg\"\r\nContent-Type: image/jpeg\r\n\r\n\xff\xd8\r\xff\r\n--0123abc--";
        let picture = read(TYPE, &[picture]).unwrap();
        assert_eq!(picture, [(part("file", Some("a.jpg"), Some("image/jpeg")), b"\xff\xd8\r\xff".to_vec())]);
    }

    #[test]
    fn loose_forms_are_read() {
        let bare = b"0123abc\nContent-Disposition: form-data; name=a\n\n1\n0123abc\ncontent-disposition: form-data; name=\"file\"\n\n2\n0123abc--";
        assert_eq!(
            read(TYPE, &[bare]).unwrap(),
            [(part("a", None, None), b"1".to_vec()), (part("file", None, None), b"2".to_vec())]
        );
        let quoted = "multipart/form-data; charset=utf-8; boundary=\"---- x\"";
        let body = b"preamble\r\n------ x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"C:\\dir\\a;\\\"b.txt\"; filename*=utf-8''%D1%8F.txt\r\n\r\n------ x--";
        assert_eq!(read(quoted, &[body]).unwrap(), [(part("file", Some("я.txt"), None), Vec::new())]);
    }

    #[test]
    fn forms_without_an_end_or_a_boundary_are_refused() {
        assert_eq!(Multipart::of("multipart/form-data").unwrap_err(), MultipartError::NoBoundary);
        assert_eq!(read(TYPE, &[b"hello"]), Err(MultipartError::NoParts));
        assert_eq!(read(TYPE, &[&[b'x'; 9000]]), Err(MultipartError::NoParts));
        for end in [60, 100, FILE.len() - 8] {
            assert_eq!(read(TYPE, &[&FILE[..end]]), Err(MultipartError::Cut), "{end}");
        }
        let long = [b"--0123abc\r\n".to_vec(), vec![b'h'; 17_000]].concat();
        assert_eq!(read(TYPE, &[&long]), Err(MultipartError::Headers));
        // One that comes in pieces is refused before it is held.
        let mut form = Multipart::of(TYPE).unwrap();
        form.push(b"--0123abc").unwrap();
        let refused = (0..64).find_map(|_| form.push(&[b' '; 100]).err());
        assert_eq!(refused, Some(MultipartError::Line));
        assert!(form.buffer.len() < 1200, "{}", form.buffer.len());
    }

    #[test]
    fn a_form_that_is_damaged_anywhere_hurts_nobody() {
        for at in 0..FILE.len() {
            for byte in *b"\r\n-\"; \0\xff" {
                let mut damaged = FILE.to_vec();
                damaged[at] = byte;
                let whole = read(TYPE, &[&damaged]);
                let cut: Vec<&[u8]> = damaged.chunks(7).collect();
                assert_eq!(read(TYPE, &cut), whole, "byte {at} is {byte}");
            }
        }
    }

    #[test]
    fn a_large_file_is_never_held() {
        let mut form = Multipart::of(TYPE).unwrap();
        form.push(b"--0123abc\r\nContent-Disposition: form-data; name=\"file\"\r\n\r\n").unwrap();
        let mut length = 0;
        for _ in 0..256 {
            for piece in form.push(&[b'\r'; 4096]).unwrap() {
                let Piece::Bytes(bytes) = piece else { panic!("{piece:?}") };
                length += bytes.len();
            }
            assert!(form.buffer.len() < 16);
        }
        assert_eq!(length, 256 * 4096 - 1);
    }

    fn part(name: &str, file_name: Option<&str>, mime: Option<&str>) -> Part {
        Part { name: name.to_owned(), file_name: file_name.map(str::to_owned), mime: mime.map(str::to_owned) }
    }

    fn read(content_type: &str, cut: &[&[u8]]) -> Result<Vec<(Part, Vec<u8>)>, MultipartError> {
        let mut form = Multipart::of(content_type)?;
        let mut pieces = Vec::new();
        for bytes in cut {
            pieces.extend(form.push(bytes)?);
        }
        pieces.extend(form.finish()?);
        let mut parts: Vec<(Part, Vec<u8>)> = Vec::new();
        for piece in pieces {
            match piece {
                Piece::Part(part) => parts.push((part, Vec::new())),
                Piece::Bytes(bytes) => parts.last_mut().unwrap().1.extend(bytes),
                Piece::End => {}
            }
        }
        Ok(parts)
    }
}
