//! Updates by webhook (core.telegram.org/bots/api#setwebhook): Telegram calls us, by way of somebody's TLS.
//!
//! One address serves all bots, each at a path of its own, and each call shows a secret that only Telegram has. An
//! update is answered for when it was taken in; until then Telegram keeps it, and what follows of the same person.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};

use super::news;
use super::polling::{Batch, Open, Poll};
use crate::programs::Queue;

const SECRET: &str = "x-telegram-bot-api-secret-token";
const LARGEST_BYTES: usize = 1024 * 1024;
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
) -> std::io::Result<impl Future<Output = std::io::Result<()>> + use<>> {
    let router = Router::new()
        .route("/{*place}", post(take))
        .layer(DefaultBodyLimit::max(LARGEST_BYTES))
        .with_state(Arc::new(doors.subscribe()));
    let listener = TcpListener::bind(address).await?;
    Ok(async move { axum::serve(listener, router).await })
}

async fn take(
    State(doors): State<Arc<watch::Receiver<BTreeMap<String, Door>>>>,
    Path(place): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> StatusCode {
    let name = place.rsplit('/').next().unwrap_or_default();
    let door = doors.borrow().get(name).cloned();
    let shown = headers.get(SECRET).map(|value| value.as_bytes()).unwrap_or_default();
    // A stranger learns nothing, not even which bots there are.
    let Some(door) = door.filter(|door| same(door.secret.as_bytes(), shown)) else {
        return StatusCode::NOT_FOUND;
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
    use super::*;

    #[tokio::test]
    async fn only_who_shows_the_secret_is_heard() {
        let doors = Doors::default();
        let (out, mut updates) = mpsc::channel(1);
        doors.send_modify(|doors| {
            drop(doors.insert("bot".into(), Door { secret: "abc".into(), out, queue: None }))
        });
        let spare = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = spare.local_addr().unwrap();
        drop(spare);
        tokio::spawn(listen(address, &doors).await.unwrap());
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let call = async |place: &str, secret: &str, body: &str| {
            let request = http.post(format!("http://{address}/{place}")).header(SECRET, secret);
            request.body(body.to_owned()).send().await.unwrap().status().as_u16()
        };
        let update = r#"{"update_id":7,"inline_query":{"id":"1","from":{"id":5,"is_bot":false,"first_name":"A"},"query":"","offset":""}}"#;
        assert_eq!(call("hook/bot", "abd", update).await, 404);
        assert_eq!(call("hook/other", "abc", update).await, 404);
        assert_eq!(call("hook/bot", "abc", "{").await, 400);
        assert!(updates.try_recv().is_err());
        let served = tokio::spawn(async move {
            let Some(Poll::Batch(batch)) = updates.recv().await else { panic!() };
            batch.news
        });
        assert_eq!(call("hook/bot", "abc", update).await, 200);
        assert_eq!(served.await.unwrap().len(), 1);
    }
}
