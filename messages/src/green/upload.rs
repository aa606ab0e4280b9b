//! The body of a request: a form's fields and its file, a file alone, or JSON. A file goes to the store as it comes.

use std::pin::Pin;

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, StatusCode, header};
use hyper::body::Body as _;
use serde_json::{Map, Value};

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

/// What a client writes where a file's name should be, if it writes nothing.
const UNNAMED: &str = "file";

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

/// Reads a body that is JSON, or a form without a file.
pub(super) async fn json(headers: &HeaderMap, body: &mut Body) -> Result<Value, Failed> {
    let bytes = whole(body).await?;
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
        return Ok((json(headers, body).await?, None));
    };
    let mut reader =
        FormReader { form: Some(form?), named: Map::new(), parts: 0, fields: 0, field: None, upload: None };
    let mut left = limits::FORM_BYTES;
    while let Some(bytes) = next(body).await? {
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
    while let Some(bytes) = next(body).await? {
        upload.write(&bytes).await?;
    }
    Ok(upload)
}

/// Reads what is left of a body that nobody wants, so that a client which is still writing hears the answer.
pub(super) async fn drain(body: &mut Body) {
    let mut left = limits::BODY_BYTES;
    while let Ok(Some(bytes)) = next(body).await {
        left = left.saturating_sub(bytes.len());
        if left == 0 {
            return;
        }
    }
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

async fn whole(body: &mut Body) -> Result<Vec<u8>, Failed> {
    let mut bytes = Vec::new();
    while let Some(next) = next(body).await? {
        if bytes.len() + next.len() > limits::BODY_BYTES {
            return Err(Failed::too_large(limits::BODY_BYTES as u64));
        }
        bytes.extend_from_slice(&next);
    }
    Ok(bytes)
}

/// The next bytes of a body.
async fn next(body: &mut Body) -> Result<Option<Bytes>, Failed> {
    loop {
        let frame = std::future::poll_fn(|context| Pin::new(&mut *body).poll_frame(context)).await;
        match frame {
            None => return Ok(None),
            Some(Ok(frame)) => {
                if let Ok(bytes) = frame.into_data() {
                    return Ok(Some(bytes));
                }
            }
            Some(Err(error)) => {
                tracing::debug!(%error, "a request ended before its end");
                return Err(Failed::new(
                    StatusCode::BAD_REQUEST,
                    "bad request data: the request was cut off",
                ));
            }
        }
    }
}

impl From<MultipartError> for Failed {
    fn from(error: MultipartError) -> Self {
        Self::new(StatusCode::BAD_REQUEST, format!("bad request data: {error}"))
    }
}
