//! Requests of other programs, passed on to Telegram as they come: neither a body nor an answer is read or held here.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::Request;
use axum::http::header::{
    ACCEPT, ACCEPT_ENCODING, ACCEPT_RANGES, CONTENT_DISPOSITION, CONTENT_ENCODING, CONTENT_LENGTH,
    CONTENT_RANGE, CONTENT_TYPE, HeaderMap, HeaderName, IF_MODIFIED_SINCE, IF_NONE_MATCH, LAST_MODIFIED,
    RANGE, RETRY_AFTER,
};
use axum::response::Response;
use hyper::body::{Frame, SizeHint};
use reqwest::Url;
use tokio::sync::Notify;
use tokio::time::{Instant, Sleep, sleep};

use super::api::{Api, unreachable};
use super::failure::Failure;

/// How long a body may stand still, and how long Telegram may think.
const PATIENCE: Duration = Duration::from_secs(60);
const THINKING: Duration = Duration::from_secs(120);

const ASKED: [HeaderName; 8] = [
    ACCEPT,
    ACCEPT_ENCODING,
    CONTENT_ENCODING,
    CONTENT_LENGTH,
    CONTENT_TYPE,
    IF_MODIFIED_SINCE,
    IF_NONE_MATCH,
    RANGE,
];
const ANSWERED: [HeaderName; 8] = [
    ACCEPT_RANGES,
    CONTENT_DISPOSITION,
    CONTENT_ENCODING,
    CONTENT_LENGTH,
    CONTENT_RANGE,
    CONTENT_TYPE,
    LAST_MODIFIED,
    RETRY_AFTER,
];

/// Where a request goes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Place<'r> {
    /// A method, by its name.
    Method(&'r str),
    /// A file, by the path that `getFile` gives.
    File(&'r str),
}

impl Api {
    /// Passes a request on to where [`place`](Self::place) says, and the answer back.
    ///
    /// # Errors
    /// When there is no answer. What Telegram refuses is an answer.
    pub(crate) async fn pass(&self, mut url: Url, request: Request) -> Result<Response, Failure> {
        let (parts, body) = request.into_parts();
        url.set_query(parts.uri.query());
        let moved = Arc::new(Notify::new());
        let mut asked = self.http().request(parts.method, url).headers(of(&parts.headers, &ASKED));
        if !body.is_end_stream() {
            asked = asked.body(reqwest::Body::wrap(Steady::new(body, Some(Arc::clone(&moved)))));
        }
        let mut answer = std::pin::pin!(asked.send());
        let answer = loop {
            tokio::select! {
                biased;
                answer = &mut answer => break answer.map_err(unreachable)?,
                () = moved.notified() => {}
                () = sleep(THINKING) => return Err(Failure::Unreachable("it does not answer".to_owned())),
            }
        };
        let (told, body) = axum::http::Response::<reqwest::Body>::from(answer).into_parts();
        let mut response = Response::new(Body::new(Steady::new(body, None)));
        *response.status_mut() = told.status;
        response.headers_mut().extend(of(&told.headers, &ANSWERED));
        Ok(response)
    }

    /// Calls a method with parameters that are JSON already.
    pub(crate) async fn perform(&self, method: &str, params: Vec<u8>) -> Result<(), Failure> {
        let limit = THINKING;
        self.ask_as::<serde_json::Value>(method, params, limit).await.map(drop)
    }

    /// The address of a method or a file. None for what is none of this bot's, however it is written.
    pub(crate) fn place(&self, place: Place<'_>) -> Option<Url> {
        let (root, bot) = self.base().path().rsplit_once('/')?;
        let (under, rest) = match place {
            Place::Method(method) => (format!("{root}/{bot}/"), method),
            Place::File(path) => (format!("{root}/file/{bot}/"), path),
        };
        let url = self.base().join(&format!("{under}{rest}")).ok()?;
        let stays = url.origin() == self.base().origin() && url.path().starts_with(&under);
        stays.then_some(url)
    }
}

fn of(all: &HeaderMap, names: &[HeaderName]) -> HeaderMap {
    names.iter().filter_map(|name| Some((name.clone(), all.get(name)?.clone()))).collect()
}

/// A body that fails when nothing of it comes for [`PATIENCE`].
struct Steady<B> {
    // Nobody else ever has it: the lock makes it one that may be shared, as the HTTP client wants it.
    inner: Mutex<Inner<B>>,
    /// Told of each piece.
    moved: Option<Arc<Notify>>,
}

struct Inner<B> {
    body: B,
    limit: Pin<Box<Sleep>>,
    is_waiting: bool,
}

impl<B> Steady<B> {
    fn new(body: B, moved: Option<Arc<Notify>>) -> Self {
        let limit = Box::pin(sleep(PATIENCE));
        Self { inner: Mutex::new(Inner { body, limit, is_waiting: false }), moved }
    }
}

impl<B> HttpBody for Steady<B>
where
    B: HttpBody<Data = Bytes> + Unpin,
    B::Error: Into<axum::BoxError>,
{
    type Data = Bytes;
    type Error = axum::BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let this = &mut *self;
        let Inner { body, limit, is_waiting } = this.inner.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Poll::Ready(piece) = Pin::new(body).poll_frame(context) {
            *is_waiting = false;
            if let Some(moved) = &this.moved {
                moved.notify_one();
            }
            return Poll::Ready(piece.map(|piece| piece.map_err(Into::into)));
        }
        if !std::mem::replace(is_waiting, true) {
            limit.as_mut().reset(Instant::now() + PATIENCE);
        }
        ready!(limit.as_mut().poll(context));
        Poll::Ready(Some(Err("nothing came for a minute".into())))
    }

    fn is_end_stream(&self) -> bool {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner).body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner).body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_path_leads_out_of_the_bots_own_files() {
        for root in ["http://user:pass@127.0.0.1:8081/proxy", "https://api.telegram.org"] {
            let api = Api::new(root, None, "42:abc").unwrap();
            let file = |path| api.place(Place::File(path)).map(String::from);
            assert_eq!(
                file("documents/a%20b.pdf"),
                Some(format!("{root}/file/bot42:abc/documents/a%20b.pdf"))
            );
            assert_eq!(
                api.place(Place::Method("getMe")).map(String::from),
                Some(format!("{root}/bot42:abc/getMe"))
            );
            for out in [
                "../../x",
                "..\\..\\x",
                "a/..\\..\\..\\..\\bot43:abc/getMe",
                "%2e%2E/x",
                ".%2e/x",
                "%2e%2e\\x",
                "..",
                "a\\..\\..\\x",
            ] {
                assert_eq!(file(out), None, "{out}");
            }
            assert_eq!(api.place(Place::Method("../bot43:abc/getMe")), None);
        }
    }
}
