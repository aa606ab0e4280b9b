//! Another program's webhook, by Python's own HTTP: it refuses what it is told to, and tells what it was brought.

use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, ChildStdin, Command};
use tokio::time::{Instant, sleep};

const PROGRAM: &str = r#"
import json, sys, threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

refused = "*"

class Receiver(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        is_refused = refused == "*" or (refused != "" and refused in body)
        self.send_response(500 if is_refused else 200)
        self.send_header("Content-Length", "0")
        self.end_headers()
        print(json.dumps({"is_refused": is_refused, "body": json.loads(body)}), flush=True)
    def log_message(self, *words):
        pass

server = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
print(server.server_port, flush=True)
threading.Thread(target=server.serve_forever, daemon=True).start()
for line in sys.stdin:
    refused = line.strip()
    print(json.dumps({"refuses": refused}), flush=True)
"#;

/// The webhook. It refuses everything until it is told otherwise.
pub(crate) struct Receiver {
    pub(crate) url: String,
    heard: Arc<Mutex<Vec<Value>>>,
    orders: ChildStdin,
    _child: Child,
}

impl Receiver {
    pub(crate) async fn start() -> anyhow::Result<Self> {
        let mut command = Command::new("/usr/bin/python3");
        command.args(["-c", PROGRAM]).stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn()?;
        let mut lines = BufReader::new(child.stdout.take().context("a pipe")?).lines();
        let orders = child.stdin.take().context("a pipe")?;
        let port = lines.next_line().await?.context("a port")?;
        let heard: Arc<Mutex<Vec<Value>>> = Arc::default();
        let hears = Arc::clone(&heard);
        tokio::spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                let told = serde_json::from_str(&line).unwrap_or(Value::Null);
                hears.lock().unwrap_or_else(PoisonError::into_inner).push(told);
            }
        });
        Ok(Self { url: format!("http://127.0.0.1:{port}/hook"), heard, orders, _child: child })
    }

    /// From now on it refuses what has this in its body, `*` for everything, and takes all else.
    pub(crate) async fn refuses(&mut self, word: &str) -> anyhow::Result<()> {
        self.orders.write_all(format!("{word}\n").as_bytes()).await?;
        let is_it = |told: &Value| told["refuses"] == word;
        self.until("the word", Duration::from_secs(5), |heard| heard.iter().any(is_it)).await
    }

    /// How often it refused something.
    pub(crate) fn refused(&self) -> usize {
        self.told().iter().filter(|told| told["is_refused"] == true).count()
    }

    /// What it took, one after the other.
    pub(crate) fn took(&self) -> Vec<Value> {
        let taken = self.told().into_iter().filter(|told| told["is_refused"] == false);
        taken.map(|told| told["body"].clone()).collect()
    }

    /// Waits until it has refused more than so often.
    pub(crate) async fn refuses_again(&self, before: usize, limit: Duration) -> anyhow::Result<()> {
        let refused = |heard: &[Value]| heard.iter().filter(|told| told["is_refused"] == true).count();
        self.until("another try", limit, |heard| refused(heard) > before).await
    }

    async fn until(
        &self,
        what: &str,
        limit: Duration,
        holds: impl Fn(&[Value]) -> bool,
    ) -> anyhow::Result<()> {
        let end = Instant::now() + limit;
        while !holds(&self.told()) {
            ensure!(Instant::now() < end, "{what} does not come within {limit:?}: {:?}", self.told());
            sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }

    fn told(&self) -> Vec<Value> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
