//! Updates by webhook (core.telegram.org/bots/api#setwebhook): Telegram calls us, by way of somebody's TLS.
//!
//! One address serves all bots, each at a path of its own, and each call shows a secret that only Telegram has. An
//! update is answered for when it was taken in; until then Telegram keeps it, and what follows of the same person.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use axum::routing::post;
use tgtrunk_shell::web;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;

use super::news;
use super::polling::{Batch, Open, Poll};
use crate::programs::Queue;

const SECRET: &str = "x-telegram-bot-api-secret-token";
const LARGEST_BYTES: usize = 1024 * 1024;
/// How long it may take until an update is here whole.
const BODY: Duration = Duration::from_secs(30);
/// So many at once: Telegram opens up to 40 for each bot.
const CONNECTIONS: usize = 1_024;
/// How long Telegram waits with what follows of the same person.
const TAKING_IN: Duration = Duration::from_secs(5);

/// Where one bot's updates come in.
#[derive(Clone)]
pub(crate) struct Door {
    /// What Telegram shows.
    pub(crate) secret: String,
    /// Where the updates go.
    pub(crate) out: mpsc::Sender<Poll>,
    /// Where other programs' go.
    pub(crate) queue: Option<Queue>,
}

/// The doors of all bots, by the last part of their address.
pub(crate) type Doors = watch::Sender<BTreeMap<String, Door>>;

/// Listens until dropped.
///
/// # Errors
/// When the address is taken.
pub(crate) async fn listen(
    address: SocketAddr,
    doors: &Doors,
) -> std::io::Result<impl Future<Output = ()> + use<>> {
    let router = Router::new().route("/{*place}", post(take)).with_state(Arc::new(doors.subscribe()));
    let listener = TcpListener::bind(address).await?;
    Ok(web::serve(listener, None, router, CONNECTIONS))
}

async fn take(
    State(doors): State<Arc<watch::Receiver<BTreeMap<String, Door>>>>,
    Path(place): Path<String>,
    request: Request,
) -> StatusCode {
    let name = place.rsplit('/').next().unwrap_or_default();
    let door = doors.borrow().get(name).cloned();
    let shown = request.headers().get(SECRET).map(|value| value.as_bytes()).unwrap_or_default();
    // A stranger learns nothing, not even which bots there are.
    let Some(door) = door.filter(|door| same(door.secret.as_bytes(), shown)) else {
        return StatusCode::NOT_FOUND;
    };
    // Nor is anything read of what a stranger says.
    let body = match timeout(BODY, axum::body::to_bytes(request.into_body(), LARGEST_BYTES)).await {
        Ok(Ok(body)) => body,
        Ok(Err(_)) => return StatusCode::BAD_REQUEST,
        Err(_) => return StatusCode::REQUEST_TIMEOUT,
    };
    let Ok(update) = serde_json::from_slice(&body) else { return StatusCode::BAD_REQUEST };
    let others = door.queue.as_ref().map(|queue| (queue, queue.sort(std::slice::from_ref(&update))));
    let Some((id, news)) = news::read(update) else { return StatusCode::BAD_REQUEST };
    let (open, taken) = Open::new();
    let news = news.map(|news| (id, news)).into_iter().collect();
    if door.out.send(Poll::Batch(Batch { news, open })).await.is_err() {
        return StatusCode::SERVICE_UNAVAILABLE;
    }
    let kept = async {
        match &others {
            Some((queue, news)) => queue.keep(news).await,
            None => true,
        }
    };
    let (_, kept) = tokio::join!(taken.wait(TAKING_IN), kept);
    if kept { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }
}

/// Compares without telling by the time it takes where two secrets differ.
fn same(ours: &[u8], shown: &[u8]) -> bool {
    ours.len() == shown.len() && ours.iter().zip(shown).fold(0, |all, (a, b)| all | (a ^ b)) == 0
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpStream;
    use tokio::time::Instant;

    use super::*;

    const UPDATE: &str = r#"{"update_id":7,"inline_query":{"id":"1","from":{"id":5,"is_bot":false,"first_name":"A"},"query":"","offset":""}}"#;

    /// Listens for one bot, whose secret is `abc`.
    async fn listening() -> (SocketAddr, Doors, mpsc::Receiver<Poll>) {
        let doors = Doors::default();
        let (out, updates) = mpsc::channel(1);
        doors.send_modify(|doors| {
            drop(doors.insert("bot".into(), Door { secret: "abc".into(), out, queue: None }))
        });
        let spare = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = spare.local_addr().unwrap();
        drop(spare);
        tokio::spawn(listen(address, &doors).await.unwrap());
        (address, doors, updates)
    }

    #[tokio::test]
    async fn only_who_shows_the_secret_is_heard() {
        let (address, _doors, mut updates) = listening().await;
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let call = async |place: &str, secret: &str, body: &str| {
            let request = http.post(format!("http://{address}/{place}")).header(SECRET, secret);
            request.body(body.to_owned()).send().await.unwrap().status().as_u16()
        };
        assert_eq!(call("hook/bot", "abd", UPDATE).await, 404);
        assert_eq!(call("hook/other", "abc", UPDATE).await, 404);
        assert_eq!(call("hook/bot", "abc", "{").await, 400);
        assert_eq!(call("hook/bot", "abc", &"[".repeat(LARGEST_BYTES + 1)).await, 400);
        assert!(updates.try_recv().is_err());
        let served = tokio::spawn(async move {
            let Some(Poll::Batch(batch)) = updates.recv().await else { panic!() };
            batch.news
        });
        assert_eq!(call("hook/bot", "abc", UPDATE).await, 200);
        assert_eq!(served.await.unwrap().len(), 1);
    }

    /// What a server says to whoever sends no body.
    async fn told(address: SocketAddr, secret: &str) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let head = format!(
            "POST /hook/bot HTTP/1.1\r\nhost: x\r\n{SECRET}: {secret}\r\ncontent-length: 10\r\nconnection: close\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut told = vec![0; 12];
        stream.read_exact(&mut told).await.unwrap();
        String::from_utf8(told).unwrap()
    }

    #[tokio::test]
    async fn a_stranger_is_not_waited_for() {
        let (address, _doors, _updates) = listening().await;
        let answered = timeout(Duration::from_secs(5), told(address, "abd")).await;
        assert_eq!(answered.expect("it waits for a stranger's body"), "HTTP/1.1 404");
        assert!(timeout(Duration::from_millis(200), told(address, "abc")).await.is_err());
    }

    #[tokio::test]
    async fn strangers_who_say_nothing_more_hold_the_door_for_a_moment_at_most() {
        let (address, _doors, mut updates) = listening().await;
        let mut strangers = Vec::new();
        for _ in 0..CONNECTIONS {
            let mut stranger = TcpStream::connect(address).await.unwrap();
            stranger.write_all(b"POST /hook/bot HTTP/1.1\r\n").await.unwrap();
            strangers.push(stranger);
        }
        tokio::spawn(async move { while updates.recv().await.is_some() {} });
        let (http, begun) = (reqwest::Client::builder().no_proxy().build().unwrap(), Instant::now());
        let mut refused = 0;
        loop {
            let request = http.post(format!("http://{address}/hook/bot")).header(SECRET, "abc").body(UPDATE);
            match request.send().await.map(|answer| answer.status().as_u16()) {
                Ok(200) => break,
                _ => refused += 1,
            }
            assert!(begun.elapsed() < Duration::from_secs(20), "strangers hold the door");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        assert!(refused > 0, "there is room for everybody");
    }
}
