//! Files by their links: what a message brought, or what a client laid down.

use std::path::Path;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use axum::body::{Body, Bytes};
use axum::http::request::Parts;
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::Response;
use hyper::body::{Frame, SizeHint};
use tokio::fs::File;
use tokio::io::{AsyncRead, ReadBuf};

use super::error::Failed;
use crate::house::House;
use crate::instance::Refused;
use crate::remote::FileSeen;

/// Bytes that are read at once.
const CHUNK: usize = 1 << 16;

/// A file of the store.
pub(super) async fn file(house: &House, parts: &Parts, secret: &str) -> Result<Response, Failed> {
    if parts.method != Method::GET && parts.method != Method::HEAD {
        return Err(Failed::new(StatusCode::NOT_FOUND, "Not Found: files are fetched by GET"));
    }
    match download(house, secret, parts.method == Method::HEAD).await {
        Ok(response) => Ok(response),
        Err(Refused::Missing(_)) => Err(Failed::gone()),
        // Receivers take "gone" for good.
        Err(Refused::Standing(_)) => {
            Err(Failed::unavailable("this may be the file of an instance that is starting"))
        }
        Err(refused) => Err(refused.into()),
    }
}

/// The answer to whoever fetches a file, which is kept and never shown as a page; without the file itself where only its
/// headers are asked for.
///
/// # Errors
/// As [`House::file`].
pub async fn download(house: &House, secret: &str, is_head: bool) -> Result<Response, Refused> {
    let (file, path) = house.file(secret).await?;
    let path = Some(path).filter(|_| !is_head);
    handed_out(&file.name, &file.mime, path.as_deref()).await
}

/// The same of a file that another program of ours keeps.
///
/// # Errors
/// [`Refused::Storage`] when it cannot be read.
pub async fn hand_out(file: &FileSeen) -> Result<Response, Refused> {
    handed_out(&file.name, &file.mime, Some(&file.path)).await
}

async fn handed_out(name: &str, mime: &str, path: Option<&Path>) -> Result<Response, Refused> {
    let body = match path {
        Some(path) => Body::new(open(path).await?),
        None => Body::empty(),
    };
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    let mime = HeaderValue::from_str(mime);
    headers.insert(
        header::CONTENT_TYPE,
        mime.unwrap_or_else(|_| HeaderValue::from_static("application/octet-stream")),
    );
    if let Ok(disposition) = HeaderValue::from_str(&disposition(name)) {
        headers.insert(header::CONTENT_DISPOSITION, disposition);
    }
    // What strangers sent is never a page of ours.
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("sandbox; default-src 'none'"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, max-age=3600"));
    Ok(response)
}

async fn open(path: &Path) -> Result<FileBody, Refused> {
    let opened = async {
        let file = File::open(path).await?;
        let left = file.metadata().await?.len();
        Ok::<_, std::io::Error>(FileBody { file, left, chunk: vec![0; CHUNK] })
    };
    Ok(opened.await?)
}

/// How a file is called where it is kept (RFC 6266), in letters of ASCII and as it is.
fn disposition(name: &str) -> String {
    let plain: String = name
        .chars()
        .map(|letter| match letter {
            '"' | '\\' | '%' => '_',
            letter if letter.is_ascii_graphic() || letter == ' ' => letter,
            _ => '_',
        })
        .collect();
    let mut exact = String::new();
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || b"!#$&+-.^_`|~".contains(&byte) {
            exact.push(char::from(byte));
        } else {
            exact.push_str(&format!("%{byte:02X}"));
        }
    }
    format!("attachment; filename=\"{plain}\"; filename*=UTF-8''{exact}")
}

/// A file, read as fast as it is wanted.
struct FileBody {
    file: File,
    left: u64,
    chunk: Vec<u8>,
}

impl hyper::body::Body for FileBody {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, std::io::Error>>> {
        let this = self.get_mut();
        if this.left == 0 {
            return Poll::Ready(None);
        }
        let most = usize::try_from(this.left).unwrap_or(CHUNK).min(CHUNK);
        let mut buffer = ReadBuf::new(&mut this.chunk[..most]);
        ready!(Pin::new(&mut this.file).poll_read(context, &mut buffer))?;
        let read = Bytes::copy_from_slice(buffer.filled());
        if read.is_empty() {
            return Poll::Ready(Some(Err(std::io::ErrorKind::UnexpectedEof.into())));
        }
        this.left -= read.len() as u64;
        Poll::Ready(Some(Ok(Frame::data(read))))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_keeps_its_name_in_every_alphabet() {
        assert_eq!(disposition("a b.txt"), "attachment; filename=\"a b.txt\"; filename*=UTF-8''a%20b.txt");
        assert_eq!(
            disposition("Я\"\r\n.txt"),
            "attachment; filename=\"____.txt\"; filename*=UTF-8''%D0%AF%22%0D%0A.txt"
        );
    }
}
