//! Events of a page that is open (server-sent events, HTML Living Standard section 9.2): the elements that are others now.
//!
//! A listener is never owed old news: when it is ready, it gets what holds then. So a slow one costs no memory, and one that
//! takes nothing at all is dropped.

mod pieces;

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER};
use axum::response::{IntoResponse as _, Response};
use hyper::body::{Body as HttpBody, Bytes, Frame};
use serde_json::json;
use tgtrunk_config::Said;
use tgtrunk_config::control::{Answer, Levels};
use tgtrunk_shell::web::PATIENCE;
use tokio::sync::{OwnedSemaphorePermit, broadcast, mpsc, watch};
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep, sleep_until, timeout};

use super::answer::Stop;
use super::hub::Snapshot;
use super::model::Part;
use super::office::Office;
use super::view;
use super::visit::Visit;
use pieces::{Memory, Piece, Place};

/// How often a listener hears that the page is there.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// The shortest time between two looks of one listener.
const REST: Duration = Duration::from_millis(200);
/// How often instances are looked at, whose messages nobody tells of.
const MESSAGES: Duration = Duration::from_secs(1);
/// Events on their way to one listener.
const WAITING: usize = 16;
/// How long a program is asked to wait for a new line of its log.
const LOG_WAIT: Duration = Duration::from_secs(20);
/// Lines of a log that a page keeps.
const LOG_LINES: u32 = 1_000;

/// Begins to tell one page what changes on it.
///
/// # Errors
/// When as many listen as may, or the address asks for something strange.
pub(crate) fn events(office: Arc<Office>, visit: Visit) -> Result<Response, Stop> {
    let Ok(place) = Arc::clone(&office.listeners).try_acquire_owned() else {
        let said = Said::new(
            "Too many pages are open here. Close some of them.",
            "Открыто слишком много страниц. Закройте часть из них.",
        );
        let mut response = visit.0.stop(&office, 503, said).into_response();
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("10"));
        return Ok(response);
    };
    let asked = visit.0.query().map_err(|said| visit.0.stop(&office, 422, said))?;
    let (send, receive) = mpsc::channel(WAITING);
    let path = super::fields::local(asked.raw("page")).to_owned();
    let listener =
        Listener { office, visit, path, send, place, shown: BTreeMap::new(), memory: Memory::default() };
    tokio::spawn(listener.run());
    let mut response = Response::new(Body::new(Events(receive)));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // A proxy in front must not gather what is told.
    headers.insert(HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
    Ok(response)
}

/// The body of a stream that has no end.
struct Events(mpsc::Receiver<Bytes>);

impl HttpBody for Events {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        self.0.poll_recv(context).map(|told| told.map(|bytes| Ok(Frame::data(bytes))))
    }
}

/// One open page.
struct Listener {
    office: Arc<Office>,
    visit: Visit,
    /// The address of the page.
    path: String,
    send: mpsc::Sender<Bytes>,
    place: OwnedSemaphorePermit,
    /// What was told last, by element.
    shown: BTreeMap<String, u64>,
    memory: Memory,
}

/// The listener is gone, or takes nothing.
struct Deaf;

impl Listener {
    async fn run(mut self) {
        let ended = self.listen().await;
        tracing::trace!(is_deaf = ended.is_err(), "a page was closed");
        drop(self.place);
    }

    async fn listen(&mut self) -> Result<(), Deaf> {
        let place = Place::of(&self.path);
        self.tell(": here\nretry: 1000\n\n".to_owned()).await?;
        let log = match place {
            Place::Log(part) => Some(part),
            _ => None,
        };
        let mut watch = self.office.hub.watch();
        let mut webhook = match (&place, self.office.core.api()) {
            (Place::Line(_), Ok(api)) => Some(api.calls().webhook_changes()),
            _ => None,
        };
        let mut levels = self.office.hub.levels();
        let mut heartbeat = interval_at(Instant::now() + HEARTBEAT, HEARTBEAT);
        let mut messages = interval_at(Instant::now() + MESSAGES, MESSAGES);
        messages.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (lines, mut logged) = mpsc::channel(4);
        let log = log.map(|part| tokio::spawn(follow_log(Arc::clone(&self.office), part, lines)));
        let ended = loop {
            let snapshot = Arc::clone(&watch.borrow_and_update());
            if let Err(deaf) = self.look(&place, &snapshot).await {
                break Err(deaf);
            }
            let rest = sleep(REST);
            tokio::pin!(rest);
            let mut rested = false;
            let owed = self.memory.owed();
            let woken = loop {
                let told = tokio::select! {
                    () = &mut rest, if !rested => { rested = true; Ok(()) }
                    changed = watch.changed(), if rested => break changed.map_err(|_| Deaf),
                    _ = messages.tick(), if rested && place.has_messages() => break Ok(()),
                    () = turned(&mut webhook), if rested => break Ok(()),
                    () = until(owed), if rested => break Ok(()),
                    () = self.send.closed() => Err(Deaf),
                    _ = heartbeat.tick() => {
                        // Whoever was logged out meanwhile hears no more.
                        if self.is_known().await { self.tell(": here\n\n".to_owned()).await } else { Err(Deaf) }
                    }
                    level = levels.recv(), if place.has_calls() => match level {
                        Ok(level) => self.tell(told_levels(&level)).await,
                        Err(broadcast::error::RecvError::Lagged(_)) => Ok(()),
                        Err(broadcast::error::RecvError::Closed) => Err(Deaf),
                    },
                    Some(tail) = logged.recv() => {
                        let frame = self.visit.frame(&self.office, &snapshot);
                        let html = view::log::lines(&frame, &tail).into_string();
                        let data = json!({"id": "log", "html": html, "most": LOG_LINES});
                        self.tell(format!("event: append\ndata: {data}\n\n")).await
                    }
                };
                if told.is_err() {
                    break told;
                }
            };
            if let Err(deaf) = woken {
                break Err(deaf);
            }
        };
        if let Some(log) = log {
            log.abort();
        }
        ended
    }

    /// Tells what is another than it was told last.
    async fn look(&mut self, place: &Place, snapshot: &Snapshot) -> Result<(), Deaf> {
        let mut frame = self.visit.frame(&self.office, snapshot);
        frame.path.clone_from(&self.path);
        frame.notice = None;
        let Some(pieces) = pieces::of(&self.office, place, snapshot, &frame, &mut self.memory).await else {
            let data = json!({"path": "/"});
            return self.tell(format!("event: gone\ndata: {data}\n\n")).await;
        };
        let is_first = self.shown.is_empty();
        let mut covered: Option<String> = None;
        for Piece { id, key, part_of, html } in pieces {
            let before = self.shown.insert(id.clone(), key);
            let is_other = before != Some(key);
            let is_inside = part_of.is_some() && part_of == covered;
            if is_other && part_of.is_none() {
                covered = Some(id.clone());
            } else if part_of.is_none() {
                covered = None;
            }
            // What an element holds was told with it.
            if is_other && !is_inside && !(is_first && part_of.is_some()) {
                let data = json!({"id": id, "html": html()});
                self.tell(format!("event: fragment\ndata: {data}\n\n")).await?;
            }
        }
        Ok(())
    }

    async fn is_known(&self) -> bool {
        let Some(session) = &self.visit.0.session else { return false };
        !matches!(self.office.entry.session(session.token()).await, Ok(None))
    }

    async fn tell(&self, told: String) -> Result<(), Deaf> {
        match timeout(PATIENCE, self.send.send(Bytes::from(told))).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(Deaf),
        }
    }
}

/// Waits until what is told of has changed.
async fn turned(told: &mut Option<watch::Receiver<u64>>) {
    if let Some(told) = told
        && told.changed().await.is_ok()
    {
        return;
    }
    std::future::pending().await
}

async fn until(at: Option<std::time::Instant>) {
    match at {
        Some(at) => sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}

fn told_levels(levels: &Levels) -> String {
    let Levels { call, telegram, pbx, .. } = levels;
    let data = json!({"call": call, "telegram": telegram, "pbx": pbx});
    format!("event: levels\ndata: {data}\n\n")
}

/// Asks a program for what it logs, as long as somebody watches.
async fn follow_log(
    office: Arc<Office>,
    part: Part,
    lines: mpsc::Sender<Vec<tgtrunk_config::control::LogLine>>,
) {
    // Where as many watch as may, the page shows what it was made with.
    let Ok(_place) = Arc::clone(&office.log_watchers).try_acquire_owned() else { return };
    let mut after = match office.listen(part, 0, Duration::ZERO).await {
        Ok(Answer::Log(tail)) => tail.last,
        _ => 0,
    };
    loop {
        match office.listen(part, after, LOG_WAIT).await {
            Ok(Answer::Log(tail)) => {
                after = tail.last;
                if !tail.lines.is_empty() && lines.send(tail.lines).await.is_err() {
                    return;
                }
            }
            // It begins to count anew when it is back.
            _ => {
                after = 0;
                sleep(Duration::from_secs(2)).await;
            }
        }
    }
}
