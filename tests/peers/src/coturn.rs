//! coturn, a TURN server (RFC 8656) that has nothing of ours: UDP and TCP on one port, long-term credentials.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, bail};
use tempfile::TempDir;
use tgtrunk_test_telegram::world::Connection;
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep};

use crate::netns::Namespace;

const PROGRAM: &str = "turnserver";
const REALM: &str = "tgtrunk.test";
const USER: &str = "anna";
const PASSWORD: &str = "correct horse";
const START_LIMIT: Duration = Duration::from_secs(20);
/// Allocations at once.
const QUOTA: &str = "100";
/// Its relayed addresses have these ports.
const RELAYED_PORTS: (u16, u16) = (40_000, 42_000);

/// A running server; dropped, it is killed.
pub struct Coturn {
    child: Child,
    address: SocketAddr,
    dir: TempDir,
}

/// What clients did there, by its log.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Seen {
    /// Connections over TCP.
    pub streams: usize,
    /// Allocations made.
    pub allocations: usize,
    /// Peers' addresses that were let in.
    pub permissions: usize,
    /// Channels bound to peers.
    pub channels: usize,
    /// Requests refused, the unauthenticated first ones (401) among them.
    pub refused: usize,
}

impl Coturn {
    /// Starts it on an address, in a namespace or without one on the host, and waits until it listens. Peers may have
    /// any address, loopback too.
    ///
    /// # Errors
    /// When the program is missing or does not listen in time; with its log.
    pub async fn start(namespace: Option<&Namespace>, address: SocketAddr) -> anyhow::Result<Self> {
        let dir = TempDir::with_prefix("tgtrunk-coturn-")?;
        let mut command = match namespace {
            Some(namespace) => namespace.command(PROGRAM),
            None => std::process::Command::new(PROGRAM),
        };
        let (ip, port) = (address.ip().to_string(), address.port().to_string());
        let (first, last) = (RELAYED_PORTS.0.to_string(), RELAYED_PORTS.1.to_string());
        let account = format!("{USER}:{PASSWORD}");
        command
            .args(["-n", "--verbose", "--simple-log", "--log-file", "stdout"])
            .args(["--no-cli", "--no-tls", "--no-dtls", "--no-multicast-peers", "--allow-loopback-peers"])
            // Clients that name no family get that over which they came.
            .arg("--keep-address-family")
            .args(["--lt-cred-mech", "--realm", REALM, "--user", &account])
            .args(["--listening-ip", &ip, "--relay-ip", &ip, "--listening-port", &port])
            .args(["--min-port", &first, "--max-port", &last, "--total-quota", QUOTA, "--relay-threads", "1"])
            .arg("--userdb")
            .arg(dir.path().join("users"))
            .arg("--pidfile")
            .arg(dir.path().join("pid"))
            .current_dir(dir.path())
            .stdin(Stdio::null())
            .stdout(File::create(dir.path().join("log"))?)
            .stderr(File::create(dir.path().join("errors"))?);
        let child = Command::from(command)
            .kill_on_drop(true)
            .spawn()
            .context("turnserver cannot be started: is coturn installed?")?;
        let mut server = Self { child, address, dir };
        server.listens().await?;
        Ok(server)
    }

    async fn listens(&mut self) -> anyhow::Result<()> {
        let began = Instant::now();
        let of_both = ["UDP listener opened", "TCP listener opened"];
        while !of_both.iter().all(|words| self.log().contains(words)) {
            if let Some(status) = self.child.try_wait()? {
                bail!("coturn ended with {status}:\n{}", self.log());
            }
            if began.elapsed() > START_LIMIT {
                bail!("coturn does not listen on {} after {START_LIMIT:?}:\n{}", self.address, self.log());
            }
            sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// User and password.
    pub fn credentials(&self) -> (&'static str, &'static str) {
        (USER, PASSWORD)
    }

    /// How a call is told of it: a TURN server that clients try over UDP.
    pub fn connection(&self, id: i64) -> Connection {
        let ip = self.address.ip();
        Connection::Webrtc {
            id,
            ip: if ip.is_ipv4() { ip.to_string() } else { String::new() },
            ipv6: if ip.is_ipv6() { ip.to_string() } else { String::new() },
            port: self.address.port(),
            turn: true,
            stun: false,
            username: USER.to_owned(),
            password: PASSWORD.to_owned(),
        }
    }

    /// Whether an address is one that it gives to clients.
    pub fn relays_on(&self, address: SocketAddr) -> bool {
        let (first, last) = RELAYED_PORTS;
        address.ip() == self.address.ip() && (first..=last).contains(&address.port())
    }

    /// What clients did so far.
    pub fn seen(&self) -> Seen {
        let log = self.log();
        let count = |words: &str| log.matches(words).count();
        Seen {
            streams: count("tcp or tls connected to"),
            allocations: count("packet ALLOCATE processed, success"),
            permissions: count("packet CREATE_PERMISSION processed, success"),
            channels: count("packet CHANNEL_BIND processed, success"),
            refused: count("processed, error"),
        }
    }

    /// Its log so far.
    pub fn log(&self) -> String {
        ["log", "errors"]
            .map(|name| fs::read(self.dir.path().join(name)).unwrap_or_default())
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .concat()
    }
}
