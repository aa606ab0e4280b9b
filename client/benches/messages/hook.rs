//! A webhook that takes everything.

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

/// Where it listens, and the receipts of what it took.
pub(crate) async fn listen() -> (String, mpsc::UnboundedReceiver<i64>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let (send, came) = mpsc::unbounded_channel();
    let router = Router::new().fallback(take).with_state(send);
    tokio::spawn(async move { axum::serve(listener, router).await });
    (url, came)
}

async fn take(
    State(send): State<mpsc::UnboundedSender<i64>>,
    headers: HeaderMap,
    _body: String,
) -> StatusCode {
    let receipt = headers["x-notification-id"].to_str().unwrap().parse().unwrap();
    send.send(receipt).ok();
    StatusCode::OK
}
