//! The body of a request: a form's fields and its file, a file alone, or JSON. A file goes to the store as it comes.

use std::pin::Pin;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, StatusCode, header};
use hyper::body::Body as _;
use serde_json::{Map, Value};
use tokio::time::{Instant, timeout, timeout_at};

use super::error::Failed;
use super::lenient;
use super::limits;
use super::multipart::{Multipart, MultipartError, Part, Piece, decoded};
use crate::files::FileWriter;
use crate::instance::{Instance, StoredFile};

/// A file that came with a call. It is kept when somebody finishes it, and forgotten otherwise.
pub(super) struct Upload {
    writer: FileWriter,
    size: u64,
}

/// How long a client that calls no instance may be silent in the middle of a request.
pub(super) const SILENCE: Duration = Duration::from_secs(15);
/// How long a request without a file may take to come.
const LIMIT: Duration = Duration::from_secs(60);
/// How long one with a file may: 100 MB at 256 kbit/s.
const FILE_LIMIT: Duration = Duration::from_secs(3600);
/// How long what nobody wants is read, so that whoever is still writing it hears the answer.
const FAREWELL: Duration = Duration::from_secs(1);

/// How long a client is waited for.
#[derive(Clone, Copy)]
struct Patience {
    silence: Duration,
    until: Instant,
}

/// What a client writes where a file's name should be, if it writes nothing.
const UNNAMED: &str = "file";

impl Patience {
    fn of(silence: Duration, limit: Duration) -> Self {
        Self { silence, until: Instant::now() + limit }
    }
}

impl Upload {
    async fn begin(instance: &Instance, name: &str, mime: Option<&str>) -> Result<Self, Failed> {
        let name = if name.trim().is_empty() { UNNAMED } else { name };
        let plain = mime.map(|mime| mime.split(';').next().unwrap_or(mime).trim());
        Ok(Self { writer: instance.new_file(name, plain).await?, size: 0 })
    }

    async fn write(&mut self, bytes: &[u8]) -> Result<(), Failed> {
        self.size += bytes.len() as u64;
        if self.size > limits::FILE_BYTES {
            return Err(Failed::too_large(limits::FILE_BYTES));
        }
        Ok(self.writer.write(bytes).await?)
    }

    /// Keeps the file.
    pub(super) async fn finish(self) -> Result<StoredFile, Failed> {
        if self.size == 0 {
            return Err(Failed::validation("'file' must be a file that is not empty"));
        }
        Ok(self.writer.finish().await?)
    }
}

/// How long a client of an instance may be silent in the middle of a request.
pub(super) fn silence_of(instance: &Instance) -> Duration {
    instance.inner().options.request_silence
}

/// Reads a body that is JSON, or a form without a file.
pub(super) async fn json(headers: &HeaderMap, body: &mut Body, silence: Duration) -> Result<Value, Failed> {
    let bytes = whole(body, Patience::of(silence, LIMIT)).await?;
    if let Some(form) = form(headers) {
        return fields(form?, &bytes);
    }
    lenient::read(&bytes).map_err(|error| Failed::new(StatusCode::BAD_REQUEST, error.to_string()))
}

/// Reads a form with a file.
pub(super) async fn form_with_file(
    instance: &Instance,
    headers: &HeaderMap,
    body: &mut Body,
) -> Result<(Value, Option<Upload>), Failed> {
    let Some(form) = form(headers) else {
        return Ok((json(headers, body, silence_of(instance)).await?, None));
    };
    let mut reader =
        FormReader { form: Some(form?), named: Map::new(), parts: 0, fields: 0, field: None, upload: None };
    let (mut left, patience) = (limits::FORM_BYTES, Patience::of(silence_of(instance), FILE_LIMIT));
    while let Some(bytes) = next(body, patience).await? {
        left = left.checked_sub(bytes.len() as u64).ok_or_else(|| Failed::too_large(limits::FORM_BYTES))?;
        reader.push(instance, &bytes).await?;
    }
    reader.finish(instance).await
}

/// Reads a body that is a file, whose name stands in a header.
pub(super) async fn file(
    instance: &Instance,
    headers: &HeaderMap,
    body: &mut Body,
) -> Result<Upload, Failed> {
    let text = |name: &str| {
        let bytes = headers.get(name)?.as_bytes();
        Some(String::from_utf8_lossy(bytes).into_owned())
    };
    let name = text("ga-filename").map(|name| decoded(&name)).unwrap_or_default();
    let name = name.rsplit(['/', '\\']).next().unwrap_or_default().to_owned();
    let mut upload = Upload::begin(instance, &name, text("content-type").as_deref()).await?;
    let patience = Patience::of(silence_of(instance), FILE_LIMIT);
    while let Some(bytes) = next(body, patience).await? {
        upload.write(&bytes).await?;
    }
    Ok(upload)
}

/// Reads what is left of a body that nobody wants, as far as it comes at once; false if it does not end. Whoever is still
/// writing hears why it is not taken only if it is read, and a file may be as long as files are.
pub(crate) async fn drain(body: &mut Body) -> bool {
    let mut left = limits::FORM_BYTES;
    let read = timeout(FAREWELL, async {
        while let Some(Ok(bytes)) = frame(body).await {
            left = left.saturating_sub(bytes.len() as u64);
            if left == 0 {
                break;
            }
        }
    });
    read.await.is_ok() && body.is_end_stream()
}

struct FormReader {
    form: Option<Multipart>,
    named: Map<String, Value>,
    parts: usize,
    /// Bytes of all fields, which stay in memory.
    fields: usize,
    field: Option<(String, Vec<u8>)>,
    upload: Option<(Upload, bool)>,
}

impl FormReader {
    async fn push(&mut self, instance: &Instance, bytes: &[u8]) -> Result<(), Failed> {
        let pieces = match &mut self.form {
            Some(form) => form.push(bytes)?,
            None => Vec::new(),
        };
        self.take(instance, pieces).await
    }

    async fn finish(mut self, instance: &Instance) -> Result<(Value, Option<Upload>), Failed> {
        if let Some(form) = self.form.take() {
            self.take(instance, form.finish()?).await?;
        }
        Ok((Value::Object(self.named), self.upload.map(|(upload, _)| upload)))
    }

    async fn take(&mut self, instance: &Instance, pieces: Vec<Piece>) -> Result<(), Failed> {
        for piece in pieces {
            match piece {
                Piece::Part(part) => self.part(instance, part).await?,
                Piece::Bytes(bytes) => match (&mut self.field, &mut self.upload) {
                    (Some((name, value)), _) => {
                        self.fields += bytes.len();
                        if self.fields > limits::BODY_BYTES {
                            return Err(Failed::too_large(limits::BODY_BYTES as u64));
                        }
                        append(name, value, &bytes)?;
                    }
                    (None, Some((upload, true))) => upload.write(&bytes).await?,
                    (None, _) => {}
                },
                Piece::End => {
                    if let Some((name, value)) = self.field.take() {
                        self.named.insert(name, text(&value));
                    }
                    if let Some((_, is_open)) = &mut self.upload {
                        *is_open = false;
                    }
                }
            }
        }
        Ok(())
    }

    async fn part(&mut self, instance: &Instance, part: Part) -> Result<(), Failed> {
        count(&mut self.parts)?;
        if part.file_name.is_none() && part.name != "file" {
            self.field = Some((part.name, Vec::new()));
        } else if self.upload.is_none() {
            let name = part.file_name.unwrap_or_default();
            let upload = Upload::begin(instance, &name, part.mime.as_deref()).await?;
            self.upload = Some((upload, true));
        }
        Ok(())
    }
}

/// The fields of a form that brings no file, or whose file nobody wants.
fn fields(mut form: Multipart, bytes: &[u8]) -> Result<Value, Failed> {
    let mut pieces = form.push(bytes)?;
    pieces.extend(form.finish()?);
    let (mut named, mut parts, mut field) = (Map::new(), 0, None);
    for piece in pieces {
        match (piece, &mut field) {
            (Piece::Part(part), _) => {
                count(&mut parts)?;
                field = Some((part.name, Vec::new()));
            }
            (Piece::Bytes(bytes), Some((name, value))) => append(name, value, &bytes)?,
            (Piece::Bytes(_), None) => {}
            (Piece::End, _) => {
                if let Some((name, value)) = field.take() {
                    named.insert(name, text(&value));
                }
            }
        }
    }
    Ok(Value::Object(named))
}

fn count(parts: &mut usize) -> Result<(), Failed> {
    *parts += 1;
    if *parts > limits::PARTS {
        return Err(Failed::validation(&format!("the form must have at most {} parts", limits::PARTS)));
    }
    Ok(())
}

fn append(name: &str, value: &mut Vec<u8>, bytes: &[u8]) -> Result<(), Failed> {
    if value.len() + bytes.len() > limits::FIELD_BYTES {
        let name: String = name.chars().take(60).collect();
        return Err(Failed::validation(&format!("'{name}' must have at most {} bytes", limits::FIELD_BYTES)));
    }
    value.extend_from_slice(bytes);
    Ok(())
}

fn text(bytes: &[u8]) -> Value {
    Value::String(String::from_utf8_lossy(bytes).into_owned())
}

fn form(headers: &HeaderMap) -> Option<Result<Multipart, Failed>> {
    let content_type = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
    let is_form = content_type.trim_start().get(..10)?.eq_ignore_ascii_case("multipart/");
    is_form.then(|| Multipart::of(content_type).map_err(Failed::from))
}

async fn whole(body: &mut Body, patience: Patience) -> Result<Vec<u8>, Failed> {
    let mut bytes = Vec::new();
    while let Some(next) = next(body, patience).await? {
        if bytes.len() + next.len() > limits::BODY_BYTES {
            return Err(Failed::too_large(limits::BODY_BYTES as u64));
        }
        bytes.extend_from_slice(&next);
    }
    Ok(bytes)
}

/// The next bytes of a body.
async fn next(body: &mut Body, patience: Patience) -> Result<Option<Bytes>, Failed> {
    match timeout_at(patience.until.min(Instant::now() + patience.silence), frame(body)).await {
        Ok(None) => Ok(None),
        Ok(Some(Ok(bytes))) => Ok(Some(bytes)),
        Ok(Some(Err(error))) => {
            tracing::debug!(%error, "a request ended before its end");
            Err(Failed::new(StatusCode::BAD_REQUEST, "bad request data: the request was cut off"))
        }
        Err(_) => Err(Failed::too_slow()),
    }
}

async fn frame(body: &mut Body) -> Option<Result<Bytes, axum::Error>> {
    loop {
        match std::future::poll_fn(|context| Pin::new(&mut *body).poll_frame(context)).await? {
            Ok(frame) => {
                if let Ok(bytes) = frame.into_data() {
                    return Some(Ok(bytes));
                }
            }
            Err(error) => return Some(Err(error)),
        }
    }
}

impl From<MultipartError> for Failed {
    fn from(error: MultipartError) -> Self {
        Self::new(StatusCode::BAD_REQUEST, format!("bad request data: {error}"))
    }
}

#[cfg(test)]
mod tests {
    use std::task::{Context, Poll, ready};

    use hyper::body::Frame;
    use tokio::time::{Sleep, sleep};

    use super::*;

    #[tokio::test]
    async fn whoever_begins_a_request_and_is_silent_is_not_waited_for() {
        let patience = |silence_ms, limit_ms| Patience {
            silence: Duration::from_millis(silence_ms),
            until: Instant::now() + Duration::from_millis(limit_ms),
        };
        let hour = Duration::from_secs(3600);
        let failed = whole(&mut Drip::every(hour), patience(50, 60_000)).await.unwrap_err();
        assert_eq!(failed.status, StatusCode::REQUEST_TIMEOUT);
        // Nor is whoever says a letter now and then.
        let failed = whole(&mut Drip::every(Duration::from_millis(5)), patience(10_000, 100)).await;
        assert_eq!(failed.unwrap_err().status, StatusCode::REQUEST_TIMEOUT);
        assert!(!drain(&mut Drip::every(hour)).await);
        assert!(drain(&mut Body::from("x")).await);
    }

    /// A body that brings a byte after each pause, for ever.
    struct Drip(Duration, Pin<Box<Sleep>>);

    impl Drip {
        fn every(pause: Duration) -> Body {
            Body::new(Self(pause, Box::pin(sleep(pause))))
        }
    }

    impl hyper::body::Body for Drip {
        type Data = Bytes;
        type Error = std::io::Error;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            context: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
            ready!(self.1.as_mut().poll(context));
            let next = Instant::now() + self.0;
            self.1.as_mut().reset(next);
            Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(b"x")))))
        }
    }
}
