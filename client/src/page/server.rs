//! The page on its port: opened when that is free, closed to crowds and to those who dawdle.

use std::io::IsTerminal as _;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tgtrunk_config::{PageSettings, Said, StateDir, Trouble};
use tgtrunk_shell::keyboard;
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{sleep, timeout};

use super::entry::Entry;
use super::hub::Hub;
use super::office::{LISTENERS, Office};
use super::patient::Patient;
use super::routes;
use super::visit::Caller;

/// Connections beside those that listen for events.
const OTHERS: usize = 256;
/// How long a browser may take to say what it wants, and to think between two questions.
const HEADER: Duration = Duration::from_secs(10);
/// Longest head of a request, in bytes.
const HEAD_BYTES: usize = 32 * 1024;
/// How often a port is tried that somebody else has.
const AGAIN: Duration = Duration::from_secs(5);
/// How long the listener rests when the system has no connection to give.
const REST: Duration = Duration::from_millis(100);
/// How long whoever is one too many is told so.
const FAREWELL: Duration = Duration::from_secs(1);
/// Descriptors that the rest of the client needs.
const RESERVE: usize = 256;

/// The page while it is served. Dropped, it is served no more.
#[derive(Debug)]
pub(crate) struct Page {
    task: JoinHandle<()>,
    problem: watch::Receiver<Option<Said>>,
}

/// What the page is made of.
pub(crate) struct Plan {
    /// Where `tgtrunk.toml` is.
    pub(crate) settings_file: PathBuf,
    /// How it is served.
    pub(crate) settings: PageSettings,
    pub(crate) state: StateDir,
    /// Why the client itself does not work.
    pub(crate) trouble: watch::Receiver<Vec<Said>>,
}

impl Page {
    /// Serves the page from now on; a port that somebody else has is waited for.
    pub(crate) fn start(plan: Plan) -> Self {
        let (tell, problem) = watch::channel(None);
        let task = tokio::spawn(run(plan, tell));
        Self { task, problem }
    }

    /// Why the page cannot be opened, while it cannot.
    pub(crate) fn problem(&self) -> watch::Receiver<Option<Said>> {
        self.problem.clone()
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn run(plan: Plan, problem: watch::Sender<Option<Said>>) {
    let Some(listen) = plan.settings.listen else { return };
    let listener = bind(listen, &problem).await;
    let listen = listener.local_addr().unwrap_or(listen);
    let (entry, password) = door(&plan.state).await;
    match password {
        Some(password) => keyboard::note(&first_words(listen, &plan.state, &password)),
        None => tracing::info!(page = format!("http://{listen}/"), "the page is served"),
    }
    let hub = Hub::start(plan.state.clone());
    let Plan { settings_file, settings, state, trouble } = plan;
    let office = Office::new(settings_file, settings, listen, state, hub, entry, trouble);
    serve(listener, routes::router(Arc::new(office))).await;
}

/// What is told at the first start. Standard error that is no terminal is kept by somebody, and read by more than may know
/// the password: there the file is named that holds it, if one does.
fn first_words(listen: SocketAddr, state: &StateDir, password: &str) -> String {
    let file = state.page_password();
    if std::io::stderr().is_terminal() || !file.exists() {
        format!("page: http://{listen}/ password: {password}")
    } else {
        format!("page: http://{listen}/ (its first password is in {})", file.display())
    }
}

/// The page's password and sessions; in memory where there is nowhere to keep them.
async fn door(state: &StateDir) -> (Entry, Option<String>) {
    loop {
        let error = match Entry::open(state).await {
            Ok(open) => return open,
            Err(error) => error,
        };
        tracing::error!(
            "the page's password cannot be kept, it has another one until the next start: {error:#}"
        );
        match Entry::in_memory().await {
            Ok(open) => return open,
            Err(error) => tracing::error!("the page cannot be opened: {error:#}"),
        }
        sleep(AGAIN).await;
    }
}

async fn bind(listen: SocketAddr, problem: &watch::Sender<Option<Said>>) -> TcpListener {
    let mut is_told = false;
    loop {
        match TcpListener::bind(listen).await {
            Ok(listener) => {
                problem.send_replace(None);
                return listener;
            }
            Err(error) => {
                let again_s = AGAIN.as_secs();
                let trouble = Trouble::of_port(&error, listen, "page.listen in tgtrunk.toml");
                let cause = trouble.map_or_else(|| Said::from(&error.to_string()), Said::from);
                let told = cause.within(
                    |en| {
                        format!("the page cannot be opened on {listen}: {en} (it is tried again every {again_s} s)")
                    },
                    |ru| {
                        format!("страница на {listen} не открывается: {ru} (попытка повторяется каждые {again_s} с)")
                    },
                );
                if !std::mem::replace(&mut is_told, true) {
                    tracing::error!("{}", told.in_language(tgtrunk_shell::language()));
                }
                problem.send_replace(Some(told));
                sleep(AGAIN).await;
            }
        }
    }
}

/// Serves until the task is dropped.
async fn serve(listener: TcpListener, router: Router) {
    let most = (LISTENERS + OTHERS).min(descriptors().saturating_sub(RESERVE)).max(16);
    let places = Arc::new(Semaphore::new(most));
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, from)) => match Arc::clone(&places).try_acquire_owned() {
                    Ok(place) => {
                        let router = router.clone();
                        connections.spawn(async move {
                            talk(stream, from.ip(), router).await;
                            drop(place);
                        });
                    }
                    Err(_) if connections.len() < most + OTHERS => drop(connections.spawn(decline(stream))),
                    Err(_) => drop(stream),
                },
                Err(error) => {
                    tracing::warn!(%error, "a connection to the page was not accepted");
                    sleep(REST).await;
                }
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn talk(stream: TcpStream, from: IpAddr, router: Router) {
    stream.set_nodelay(true).ok();
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
        .serve_connection(TokioIo::new(Patient::new(stream)), service)
        .await;
    if let Err(error) = served {
        tracing::debug!(%error, "a connection to the page broke");
    }
}

/// Tells whoever is one too many to come back.
async fn decline(mut stream: TcpStream) {
    let said = "Too many browsers are here. Try again in a few seconds.\n";
    let answer = format!(
        "HTTP/1.1 503 Service Unavailable\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: {}\r\nretry-after: 5\r\nconnection: close\r\n\r\n{said}",
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
