//! A port on which this program speaks HTTP: opened when that is free, closed to crowds and to those who dawdle.

mod patient;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tgtrunk_config::{Said, Trouble};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;

pub use self::patient::PATIENCE;
use self::patient::Patient;

/// How long a caller may take to say what it wants, and to think between two questions.
const HEADER: Duration = Duration::from_secs(10);
/// How long it may take until both sides speak TLS.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// Longest head of a request, in bytes.
const HEAD_BYTES: usize = 32 * 1024;
/// How often a port is tried that somebody else has.
pub const AGAIN: Duration = Duration::from_secs(5);
/// How long the listener rests when the system has no connection to give.
const REST: Duration = Duration::from_millis(100);
/// How long whoever is one too many is told so.
const FAREWELL: Duration = Duration::from_secs(1);
/// Connections beyond the most that are told so.
const DECLINED: usize = 256;
/// Descriptors that the rest of the program needs.
const RESERVE: usize = 256;

/// Where a connection comes from.
#[derive(Clone, Copy, Debug)]
pub struct Caller(
    /// Its address.
    pub IpAddr,
);

/// What is served on a port.
#[derive(Clone, Copy, Debug)]
pub struct Port {
    /// The address; port 0 is any free one.
    pub listen: SocketAddr,
    /// What says so: `page.listen in tgtrunk.toml`.
    pub key: &'static str,
    /// What people call it, in English and in Russian.
    pub name: [&'static str; 2],
}

/// Opens a port, once it is free; tells meanwhile why it is not open.
pub async fn bind(port: Port, problem: &watch::Sender<Option<Said>>) -> TcpListener {
    let Port { listen, key, name: [english, russian] } = port;
    let mut is_told = false;
    loop {
        match TcpListener::bind(listen).await {
            Ok(listener) => {
                problem.send_replace(None);
                return listener;
            }
            Err(error) => {
                let again_s = AGAIN.as_secs();
                let trouble = Trouble::of_port(&error, listen, key);
                let cause = trouble.map_or_else(|| Said::from(&error.to_string()), Said::from);
                let told = cause.within(
                    |en| {
                        format!("{english} cannot be opened on {listen}: {en} (it is tried again every {again_s} s)")
                    },
                    |ru| {
                        format!("{russian} на {listen} не открывается: {ru} (попытка повторяется каждые {again_s} с)")
                    },
                );
                if !std::mem::replace(&mut is_told, true) {
                    tracing::error!("{}", told.in_language(crate::language()));
                }
                problem.send_replace(Some(told));
                sleep(AGAIN).await;
            }
        }
    }
}

/// Serves until the task is dropped: at most so many connections at once, as far as the system has them.
pub async fn serve(listener: TcpListener, tls: Option<TlsAcceptor>, router: Router, most: usize) {
    let most = most.min(descriptors().saturating_sub(RESERVE)).max(16);
    let places = Arc::new(Semaphore::new(most));
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, from)) => match Arc::clone(&places).try_acquire_owned() {
                    Ok(place) => {
                        let (router, tls) = (router.clone(), tls.clone());
                        connections.spawn(async move {
                            welcome(stream, from.ip(), tls, router).await;
                            drop(place);
                        });
                    }
                    Err(_) if tls.is_none() && connections.len() < most + DECLINED => {
                        drop(connections.spawn(decline(stream)));
                    }
                    Err(_) => drop(stream),
                },
                Err(error) => {
                    tracing::warn!(%error, "a connection was not accepted");
                    sleep(REST).await;
                }
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn welcome(stream: TcpStream, from: IpAddr, tls: Option<TlsAcceptor>, router: Router) {
    stream.set_nodelay(true).ok();
    let stream = Patient::new(stream);
    match tls {
        None => talk(stream, from, router).await,
        Some(tls) => match timeout(HANDSHAKE, tls.accept(stream)).await {
            Ok(Ok(stream)) => talk(stream, from, router).await,
            Ok(Err(error)) => tracing::debug!(%error, "a TLS handshake broke"),
            Err(_) => tracing::debug!("a TLS handshake took too long"),
        },
    }
}

async fn talk<S>(stream: S, from: IpAddr, router: Router)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let caller = Caller(from);
    let service = hyper::service::service_fn(move |mut request: hyper::Request<Incoming>| {
        request.extensions_mut().insert(caller);
        let router = TowerToHyperService::new(router.clone());
        async move { hyper::service::Service::call(&router, request.map(axum::body::Body::new)).await }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER)
        .max_buf_size(HEAD_BYTES)
        // 1C looks for the names of headers as they are written.
        .title_case_headers(true)
        .serve_connection(TokioIo::new(stream), service)
        .await;
    if let Err(error) = served {
        tracing::debug!(%error, "a connection broke");
    }
}

/// Tells whoever is one too many to come back.
async fn decline(mut stream: TcpStream) {
    let said = "Too many callers are here. Try again in a few seconds.\n";
    let answer = format!(
        "HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {}\r\nRetry-After: 5\r\nConnection: close\r\n\r\n{said}",
        said.len()
    );
    timeout(FAREWELL, async {
        stream.write_all(answer.as_bytes()).await.ok();
        stream.shutdown().await.ok();
    })
    .await
    .ok();
}

/// How many descriptors this process may have, after it asked for as many as it needs.
fn descriptors() -> usize {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else { return 1_024 };
    let wanted = hard.min(8_192).max(soft);
    let has = if setrlimit(Resource::RLIMIT_NOFILE, wanted, hard).is_ok() { wanted } else { soft };
    usize::try_from(has).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use axum::http::StatusCode;
    use tokio::io::AsyncReadExt as _;

    use super::*;

    /// 1C compares them letter by letter (`Ответ.Заголовки["Retry-After"]`).
    #[tokio::test]
    async fn names_of_headers_are_written_as_documents_write_them() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = listener.local_addr().unwrap();
        let answer = || async { (StatusCode::TOO_MANY_REQUESTS, [("retry-after", "7")], "later") };
        let serving = tokio::spawn(serve(listener, None, Router::new().fallback(answer), 16));
        let mut stream = TcpStream::connect(at).await.unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await.unwrap();
        let mut told = String::new();
        stream.read_to_string(&mut told).await.unwrap();
        assert!(told.contains("\r\nRetry-After: 7\r\n") && told.contains("\r\nContent-Type: "), "{told}");
        serving.abort();
    }

    #[tokio::test]
    async fn whoever_is_one_too_many_is_told_so_in_the_same_way() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut caller = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (stream, _) = listener.accept().await.unwrap();
        decline(stream).await;
        let mut told = String::new();
        caller.read_to_string(&mut told).await.unwrap();
        assert!(told.starts_with("HTTP/1.1 503 ") && told.contains("\r\nRetry-After: 5\r\n"), "{told}");
    }
}
