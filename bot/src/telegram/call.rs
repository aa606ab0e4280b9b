//! Requests of which it matters whether they were done even where no answer comes, and files both ways.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::{Bytes, HttpBody};
use hyper::body::{Frame, SizeHint};
use reqwest::header::{CONTENT_LENGTH, CONTENT_TYPE};
use serde_json::{Map, Value};
use tokio::fs::File;
use tokio::io::{AsyncRead, AsyncWriteExt as _, ReadBuf};

use super::api::{Api, read, unreachable};
use super::failure::{Failure, Verdict, short};
use super::passage::Place;
use crate::clock;

/// How long Telegram may think, and how long a file may take.
const PATIENCE: Duration = Duration::from_secs(60);
const FILES: Duration = Duration::from_secs(840);
/// Bytes that are read at once.
const CHUNK: usize = 1 << 16;

/// A request that was not done, as far as anybody knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Miss {
    pub(crate) failure: Failure,
    /// Whether Telegram may have done it all the same.
    pub(crate) may_be_done: bool,
    /// The supergroup that a group became.
    pub(crate) moved_to: Option<i64>,
}

/// A file that goes with a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Upload {
    /// The field that it is.
    pub(crate) field: String,
    pub(crate) path: PathBuf,
    pub(crate) name: String,
    pub(crate) mime: String,
}

impl Miss {
    pub(super) fn undone(failure: Failure) -> Self {
        Self { failure, may_be_done: false, moved_to: None }
    }

    pub(super) fn unknown(failure: Failure) -> Self {
        Self { failure, may_be_done: true, moved_to: None }
    }

    /// What an answer tells: whoever is out of order may have done it before.
    pub(super) fn told(failure: Failure) -> Self {
        match failure {
            Failure::Down(_) => Self::unknown(failure),
            _ => Self::undone(failure),
        }
    }

    pub(super) fn of(error: reqwest::Error) -> Self {
        let may_be_done = !error.is_connect() && !error.is_builder();
        Self { failure: unreachable(error), may_be_done, moved_to: None }
    }
}

impl Api {
    /// Calls a method, with files.
    ///
    /// # Errors
    /// [`Miss`].
    pub(crate) async fn call(
        &self,
        method: &str,
        params: &Map<String, Value>,
        files: &[Upload],
    ) -> Result<Value, Miss> {
        let refused = |code, text: &str| Failure::Refused { code, description: text.to_owned() };
        let url = self.place(Place::Method(method));
        let url = url.ok_or_else(|| Miss::undone(refused(404, "there is no such method")))?;
        let request = self.http().post(url);
        let request = if files.is_empty() {
            let body = Value::Object(params.clone()).to_string();
            request.header(CONTENT_TYPE, "application/json").body(body).timeout(PATIENCE)
        } else {
            let form = Form::new(params, files).await;
            let form = form.map_err(|error| Miss::undone(refused(400, &format!("a file: {error}"))))?;
            let kind = format!("multipart/form-data; boundary={}", form.boundary);
            let request = request.header(CONTENT_TYPE, kind).header(CONTENT_LENGTH, form.left);
            request.body(reqwest::Body::wrap(form)).timeout(FILES)
        };
        let response = request.send().await.map_err(Miss::of)?;
        let status = response.status().as_u16();
        match status {
            500.. => return Err(Miss::unknown(Failure::Down(status))),
            // What stands before Telegram may say so in HTML.
            413 => return Err(Miss::undone(refused(413, "Request Entity Too Large"))),
            _ => {}
        }
        let answer = read(response).await.map_err(Miss::unknown)?;
        judge(status, &answer)
    }

    /// Writes a file of Telegram's, by the path that `getFile` gives, to `to`: at most `limit` bytes.
    ///
    /// # Errors
    /// [`Failure`]; [`Failure::Refused`] with 413 for one that is longer.
    pub(crate) async fn fetch(&self, path: &str, to: &Path, limit: u64) -> Result<(), Failure> {
        let refused = |code, text: String| Failure::Refused { code, description: text };
        let url = self.place(Place::File(path));
        let url = url.ok_or_else(|| refused(404, "the file is not at Telegram's server".to_owned()))?;
        let mut response = self.http().get(url).timeout(FILES).send().await.map_err(unreachable)?;
        match response.status().as_u16() {
            200 => {}
            code @ 500.. => return Err(Failure::Down(code)),
            code => return Err(refused(code, "the file is not there".to_owned())),
        }
        let disk = |error: std::io::Error| Failure::Unreadable(error.to_string());
        let mut file = File::create(to).await.map_err(disk)?;
        let mut size = 0;
        while let Some(piece) = response.chunk().await.map_err(unreachable)? {
            size += piece.len() as u64;
            if size > limit {
                return Err(refused(413, format!("the file has more than {limit} bytes")));
            }
            file.write_all(&piece).await.map_err(disk)?;
        }
        file.sync_all().await.map_err(disk)
    }
}

/// What an answer says.
fn judge(status: u16, answer: &[u8]) -> Result<Value, Miss> {
    let unreadable = |error: serde_json::Error| Miss::unknown(Failure::Unreadable(short(&error.to_string())));
    let mut told: Value = serde_json::from_slice(answer).map_err(unreadable)?;
    if told["ok"] == true {
        return Ok(told["result"].take());
    }
    let moved_to = told.pointer("/parameters/migrate_to_chat_id").and_then(Value::as_i64);
    // An unknown token is 401 where a method is called that exists.
    if told["error_code"] == 404 {
        let description = short(told["description"].as_str().unwrap_or_default());
        return Err(Miss::undone(Failure::Refused { code: 404, description }));
    }
    let verdict: Verdict = serde_json::from_slice(answer).map_err(unreadable)?;
    match verdict.judge(status) {
        Ok(()) => Ok(Value::Null),
        Err(failure) => Err(Miss { moved_to, ..Miss::told(failure) }),
    }
}

/// A form with files (RFC 7578) that are read as they go.
struct Form {
    boundary: String,
    pieces: VecDeque<Piece>,
    left: u64,
    chunk: Vec<u8>,
}

enum Piece {
    Text(Bytes),
    /// With the bytes that are left of it.
    File(File, u64),
}

impl Form {
    async fn new(params: &Map<String, Value>, files: &[Upload]) -> std::io::Result<Self> {
        let boundary = hex::encode(clock::random::<16>());
        let mut form = Self { boundary, pieces: VecDeque::new(), left: 0, chunk: vec![0; CHUNK] };
        for (name, value) in params {
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            form.text(format!("Content-Disposition: form-data; name=\"{name}\"\r\n\r\n{text}\r\n"), true);
        }
        for Upload { field, path, name, mime } in files {
            let file = File::open(path).await?;
            let size = file.metadata().await?.len();
            let name = name.replace('"', "%22").replace(['\r', '\n'], " ");
            let head = format!("Content-Disposition: form-data; name=\"{field}\"; filename=\"{name}\"");
            form.text(format!("{head}\r\nContent-Type: {mime}\r\n\r\n"), true);
            form.left += size;
            form.pieces.push_back(Piece::File(file, size));
            form.text("\r\n".to_owned(), false);
        }
        form.text(format!("--{}--\r\n", form.boundary), false);
        Ok(form)
    }

    fn text(&mut self, text: String, is_part: bool) {
        let text = if is_part { format!("--{}\r\n{text}", self.boundary) } else { text };
        self.left += text.len() as u64;
        self.pieces.push_back(Piece::Text(text.into()));
    }
}

impl HttpBody for Form {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let this = self.get_mut();
        loop {
            let piece = match this.pieces.front_mut() {
                None => return Poll::Ready(None),
                Some(Piece::Text(text)) => std::mem::take(text),
                Some(Piece::File(_, 0)) => Bytes::new(),
                Some(Piece::File(file, left)) => {
                    let most = usize::try_from(*left).unwrap_or(CHUNK).min(CHUNK);
                    let mut chunk = ReadBuf::new(&mut this.chunk[..most]);
                    if let Err(error) = ready!(Pin::new(file).poll_read(context, &mut chunk)) {
                        return Poll::Ready(Some(Err(error)));
                    }
                    let read = Bytes::copy_from_slice(chunk.filled());
                    if read.is_empty() {
                        return Poll::Ready(Some(Err(std::io::ErrorKind::UnexpectedEof.into())));
                    }
                    *left -= read.len() as u64;
                    this.left -= read.len() as u64;
                    return Poll::Ready(Some(Ok(Frame::data(read))));
                }
            };
            this.pieces.pop_front();
            if !piece.is_empty() {
                this.left -= piece.len() as u64;
                return Poll::Ready(Some(Ok(Frame::data(piece))));
            }
        }
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

#[cfg(test)]
mod tests {
    use axum::body::{Body, to_bytes};
    use serde_json::json;

    use super::*;

    #[test]
    fn an_answer_that_is_none_leaves_it_open_whether_it_was_done() {
        let told = |code: u16, description: &str| {
            let told = json!({"ok": false, "error_code": code, "description": description});
            judge(code, told.to_string().as_bytes()).unwrap_err()
        };
        assert!(!told(400, "Bad Request: chat not found").may_be_done);
        assert!(!told(429, "Too Many Requests: retry after 1").may_be_done);
        assert_eq!(told(401, "Unauthorized").failure, Failure::Token);
        assert!(matches!(told(404, "Not Found").failure, Failure::Refused { code: 404, .. }));
        assert!(told(500, "Internal Server Error").may_be_done);
        assert!(judge(200, b"<html>").unwrap_err().may_be_done);
        let moved = json!({"ok": false, "error_code": 400, "description": "x",
            "parameters": {"migrate_to_chat_id": -1001}});
        assert_eq!(judge(400, moved.to_string().as_bytes()).unwrap_err().moved_to, Some(-1001));
        assert_eq!(judge(200, br#"{"ok":true,"result":{"message_id":5}}"#), Ok(json!({"message_id": 5})));
    }

    #[tokio::test]
    async fn a_form_has_the_length_that_it_says_and_every_byte_of_its_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("body");
        let sent = vec![b'x'; CHUNK * 2 + 7];
        std::fs::write(&path, &sent).unwrap();
        let file = Upload {
            field: "document".into(),
            path,
            name: "a \"b\".bin".into(),
            mime: "application/octet-stream".into(),
        };
        let params = json!({"chat_id": 5, "caption": "Отчёт"});
        let form = Form::new(params.as_object().unwrap(), &[file]).await.unwrap();
        let (said, boundary) = (form.left, form.boundary.clone());
        let body = to_bytes(Body::new(form), usize::MAX).await.unwrap();
        assert_eq!(body.len() as u64, said);
        let text = String::from_utf8(body.into()).unwrap();
        assert!(
            text.starts_with(&format!("--{boundary}\r\n")) && text.ends_with(&format!("--{boundary}--\r\n"))
        );
        assert!(text.contains("name=\"chat_id\"\r\n\r\n5\r\n") && text.contains("Отчёт\r\n"), "{boundary}");
        assert!(
            text.contains("filename=\"a %22b%22.bin\"") && text.contains(std::str::from_utf8(&sent).unwrap())
        );
    }
}
