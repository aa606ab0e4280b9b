//! `multipart/form-data` (RFC 7578), read whole.

/// A file that came with a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Upload {
    pub(crate) name: String,
    pub(crate) mime: String,
    pub(crate) bytes: Vec<u8>,
}

/// One part: a file, or the text of a field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Part {
    pub(crate) name: String,
    pub(crate) text: Vec<u8>,
    pub(crate) upload: Option<Upload>,
}

/// The boundary that a `Content-Type` names.
pub(crate) fn boundary(content_type: &str) -> Option<String> {
    let (_, rest) = content_type.split_once("boundary=")?;
    let mark = match rest.strip_prefix('"') {
        Some(quoted) => quoted.split('"').next()?,
        None => rest.split(';').next()?.trim(),
    };
    (!mark.is_empty()).then(|| mark.to_owned())
}

/// All parts, if the body is well formed.
pub(crate) fn parts(body: &[u8], boundary: &str) -> Option<Vec<Part>> {
    let mark = format!("--{boundary}").into_bytes();
    let mut rest = &body[find(body, &mark)? + mark.len()..];
    let mut parts = Vec::new();
    loop {
        if rest.starts_with(b"--") {
            return Some(parts);
        }
        rest = rest.strip_prefix(b"\r\n")?;
        let end_of_head = find(rest, b"\r\n\r\n").map(|at| at + 4)?;
        let (head, after) = rest.split_at(end_of_head);
        let end = [b"\r\n", &mark[..]].concat();
        let length = find(after, &end)?;
        parts.push(part(&String::from_utf8_lossy(head), &after[..length])?);
        rest = &after[length + end.len()..];
    }
}

fn part(head: &str, content: &[u8]) -> Option<Part> {
    let header = |name: &str| {
        head.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.trim().eq_ignore_ascii_case(name).then(|| value.trim())
        })
    };
    let disposition = header("content-disposition")?;
    let name = quoted(disposition, "name")?;
    let Some(filename) = quoted(disposition, "filename") else {
        return Some(Part { name, text: content.to_vec(), upload: None });
    };
    let mime = header("content-type").unwrap_or("application/octet-stream").to_owned();
    let upload = Upload { name: filename, mime, bytes: content.to_vec() };
    Some(Part { name, text: Vec::new(), upload: Some(upload) })
}

/// A parameter of a header. `name` must not be found inside `filename`.
fn quoted(header: &str, name: &str) -> Option<String> {
    header.split(';').find_map(|item| {
        let (key, value) = item.split_once('=')?;
        (key.trim() == name).then(|| value.trim().trim_matches('"').to_owned())
    })
}

fn find(body: &[u8], what: &[u8]) -> Option<usize> {
    body.windows(what.len()).position(|window| window == what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_and_files_are_read() {
        let body = b"preamble\r\n--AaB\r\nContent-Disposition: form-data; name=\"chat_id\"\r\n\r\n42\r\n--AaB\r\n\
            content-disposition: form-data; name=\"photo\"; filename=\"a.jpg\"\r\nContent-Type: image/jpeg\r\n\r\n\
            \x00\r\n--A\r\n--AaB--\r\n";
        let read = parts(body, "AaB").unwrap();
        assert_eq!((read[0].name.as_str(), &read[0].text[..]), ("chat_id", &b"42"[..]));
        let upload = Upload {
            name: "a.jpg".to_owned(),
            mime: "image/jpeg".to_owned(),
            bytes: b"\x00\r\n--A".to_vec(),
        };
        assert_eq!(read[1].upload, Some(upload));
        assert_eq!(read.len(), 2);
    }

    #[test]
    fn a_body_that_is_cut_off_is_refused() {
        let body = b"--AaB\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n42\r\n--AaB--";
        assert!(parts(body, "AaB").is_some());
        for length in 0..body.len() - 2 {
            assert_eq!(parts(&body[..length], "AaB"), None, "{length}");
        }
    }

    #[test]
    fn a_boundary_is_read_with_and_without_quotes() {
        assert_eq!(boundary("multipart/form-data; boundary=abc").as_deref(), Some("abc"));
        assert_eq!(boundary("multipart/form-data; boundary=\"a b\"; x=y").as_deref(), Some("a b"));
        assert_eq!(boundary("multipart/form-data"), None);
    }
}
