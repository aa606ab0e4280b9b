//! Everything that strangers may do to the operator's page at once: many listeners, slow clients, long bodies, guesses of
//! the password, requests of other sites. What each was answered is counted.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::visitor::Visitor;

/// How long an answer may take.
const LIMIT: Duration = Duration::from_secs(20);
/// Descriptors that this process needs beside its listeners.
const DESCRIPTORS: u64 = 512;
/// A body that no form is.
const LONG_BYTES: usize = 300 * 1024;
/// Clients that say a letter a second.
const SLOW: usize = 50;
/// Attackers of each kind that go on without a rest, and how long they wait for each other.
const TOGETHER: usize = 4;
const REST: Duration = Duration::from_millis(20);

/// What goes on until it is dropped.
pub struct Storm {
    told: Arc<AtomicU64>,
    answers: Answers,
    _tasks: JoinSet<()>,
}

/// How often what was answered to whom: the kind of attack, and the HTTP status; 0 where the connection was closed.
pub type Counted = BTreeMap<(&'static str, u16), u64>;
type Answers = Arc<Mutex<Counted>>;

impl Storm {
    /// Opens listeners, one after the other, and then begins everything else.
    ///
    /// # Errors
    /// When one listener is not answered as such.
    pub async fn begin(visitor: &Visitor, listeners: usize) -> anyhow::Result<Self> {
        let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
        let wanted = listeners as u64 + DESCRIPTORS;
        ensure!(wanted <= hard, "{wanted} descriptors are wanted, and {hard} allowed");
        setrlimit(Resource::RLIMIT_NOFILE, wanted.max(soft), hard)?;
        let (mut tasks, told) = (JoinSet::new(), Arc::new(AtomicU64::new(0)));
        for number in 0..listeners {
            let stream = listen(visitor).await.with_context(|| format!("listener {number}"))?;
            // One in four takes nothing of what it is told.
            let reads = number % 4 != 0;
            tasks.spawn(hear(stream, reads, Arc::clone(&told)));
        }
        let answers = Answers::default();
        for number in 0..SLOW {
            tasks.spawn(dawdle(visitor.clone(), number, Arc::clone(&answers)));
        }
        for attack in attacks(visitor) {
            for _ in 0..TOGETHER {
                tasks.spawn(attack.clone().go_on(visitor.clone(), Arc::clone(&answers)));
            }
        }
        Ok(Self { told, answers, _tasks: tasks })
    }

    /// Events that the listeners were told so far, all together.
    pub fn told(&self) -> u64 {
        self.told.load(Ordering::Relaxed)
    }

    /// What was answered so far.
    pub fn answers(&self) -> Counted {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// A request that is made again and again.
#[derive(Clone)]
struct Attack {
    kind: &'static str,
    words: Arc<[u8]>,
}

impl Attack {
    async fn go_on(self, visitor: Visitor, answers: Answers) {
        loop {
            let status = timeout(LIMIT, say(&visitor, &self.words)).await.ok().and_then(Result::ok);
            note(&answers, self.kind, status.unwrap_or(0));
            sleep(REST).await;
        }
    }
}

fn attacks(visitor: &Visitor) -> Vec<Attack> {
    let (page, cookie) = (visitor.page, &visitor.cookie);
    let post = |path: &str, host: &str, more: &str, body: &str| {
        let length = body.len();
        format!(
            "POST {path} HTTP/1.1\r\nHost: {host}\r\nCookie: {cookie}\r\nConnection: close\r\n{more}\
             Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {length}\r\n\r\n{body}"
        )
    };
    let own = page.to_string();
    let long = format!("password={}", "x".repeat(LONG_BYTES));
    let path = "/assets/..%2f..%2f..%2f..%2fetc%2fpasswd";
    let get = |path: &str, host: &str| {
        format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nCookie: {cookie}\r\nConnection: close\r\n\r\n")
    };
    let attack = |kind, words: String| Attack { kind, words: Arc::from(words.into_bytes()) };
    vec![
        attack("password", post("/login", &own, "", "password=guess")),
        attack("body", post("/login", &own, "", &long)),
        attack("site", post("/theme", &own, "Origin: http://evil.example\r\n", "theme=dark")),
        attack("host", get("/", "evil.example")),
        attack("path", get(path, &own)),
        attack("page", get("/calls", &own)),
    ]
}

async fn say(visitor: &Visitor, words: &[u8]) -> anyhow::Result<u16> {
    let mut stream = TcpStream::connect(visitor.page).await?;
    // Whoever is refused early is not listened to until the end.
    stream.write_all(words).await.ok();
    let mut told = Vec::new();
    stream.read_to_end(&mut told).await.ok();
    status(&told)
}

fn status(told: &[u8]) -> anyhow::Result<u16> {
    let line = String::from_utf8_lossy(told.get(..12).context("no answer")?).into_owned();
    Ok(line.strip_prefix("HTTP/1.1 ").context("no HTTP")?.parse()?)
}

/// Says what it wants a letter a second, and is let go before it is done.
async fn dawdle(visitor: Visitor, number: usize, answers: Answers) {
    let head = match number % 2 {
        0 => "GET / HTTP/1.1\r\nHost: ".to_owned(),
        _ => format!(
            "POST /login HTTP/1.1\r\nHost: {}\r\nContent-Type: application/x-www-form-urlencoded\r\n\
             Content-Length: 1000\r\n\r\npass",
            visitor.page
        ),
    };
    loop {
        sleep(REST).await;
        let Ok(mut stream) = TcpStream::connect(visitor.page).await else { continue };
        stream.write_all(head.as_bytes()).await.ok();
        let mut told = vec![0; 1024];
        let let_go = async {
            loop {
                match timeout(Duration::from_secs(1), stream.read(&mut told)).await {
                    Ok(Ok(length)) => return status(&told[..length]).unwrap_or(0),
                    Ok(Err(_)) => return 0,
                    Err(_) => drop(stream.write_all(b"x").await),
                }
            }
        };
        if let Ok(status) = timeout(LIMIT, let_go).await {
            note(&answers, "slow", status);
        }
    }
}

/// A page that is open and listens.
async fn listen(visitor: &Visitor) -> anyhow::Result<TcpStream> {
    let mut stream = TcpStream::connect(visitor.page).await?;
    let head = format!(
        "GET /events?page=/ HTTP/1.1\r\nHost: {}\r\nCookie: {}\r\n\r\n",
        visitor.page, visitor.cookie
    );
    stream.write_all(head.as_bytes()).await?;
    let mut told = String::new();
    let mut buffer = [0; 1024];
    let answered = async {
        while !told.contains("\r\n\r\n") {
            let length = stream.read(&mut buffer).await?;
            ensure!(length > 0, "closed after {told:?}");
            told.push_str(&String::from_utf8_lossy(&buffer[..length]));
        }
        Ok(())
    };
    timeout(LIMIT, answered).await.context("no answer")??;
    ensure!(told.starts_with("HTTP/1.1 200 ") && told.contains("text/event-stream"), "{told}");
    Ok(stream)
}

/// Ends when the connection does.
async fn hear(mut stream: TcpStream, reads: bool, told: Arc<AtomicU64>) {
    if !reads {
        std::future::pending::<()>().await;
    }
    let mut buffer = vec![0; 16 * 1024];
    while let Ok(length @ 1..) = stream.read(&mut buffer).await {
        let events = buffer[..length].windows(7).filter(|words| words == b"event: ").count();
        told.fetch_add(events as u64, Ordering::Relaxed);
    }
}

fn note(answers: &Answers, kind: &'static str, status: u16) {
    *answers.lock().unwrap_or_else(PoisonError::into_inner).entry((kind, status)).or_default() += 1;
}
