//! A SOCKS5 proxy that has nothing of ours, as a process of its own.

use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context as _;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../telegram/tests/account/socks5.py");

/// A running proxy; dropped, it is killed.
pub struct Socks5 {
    /// Where it listens on loopback.
    pub port: u16,
    tunnels: Arc<Mutex<Vec<String>>>,
    _process: Child,
}

impl Socks5 {
    /// Starts it for everybody.
    ///
    /// # Errors
    /// When Python is missing.
    pub async fn start() -> anyhow::Result<Self> {
        let mut process = Command::new("python3")
            .args([SCRIPT, "0"])
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context("python3 cannot be started")?;
        let mut lines = BufReader::new(process.stdout.take().context("its output is a pipe")?).lines();
        let port = lines.next_line().await?.context("the proxy says its port")?.parse()?;
        let tunnels = Arc::<Mutex<Vec<String>>>::default();
        let heard = Arc::clone(&tunnels);
        tokio::spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                let target = line.strip_prefix("tunnel ").unwrap_or(&line).to_owned();
                heard.lock().unwrap_or_else(PoisonError::into_inner).push(target);
            }
        });
        Ok(Self { port, tunnels, _process: process })
    }

    /// Addresses and ports that connections were made to, one for each connection.
    pub fn tunnels(&self) -> Vec<String> {
        self.tunnels.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
