//! dnsmasq, a name server that has nothing of ours, with a zone of its own.

use std::net::{Ipv4Addr, SocketAddr};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, bail};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep};

const START_LIMIT: Duration = Duration::from_secs(10);

/// A running server; dropped, it is killed.
pub struct Dnsmasq {
    child: Child,
    /// Where it is asked.
    pub address: SocketAddr,
}

/// A service that it tells of: name, target, port and priority.
#[derive(Debug, Clone)]
pub struct Service {
    pub name: &'static str,
    pub target: &'static str,
    pub port: u16,
    pub priority: u16,
}

impl Dnsmasq {
    /// Starts it on an address; every host of it is 127.0.0.1, and what it tells holds for two seconds.
    ///
    /// # Errors
    /// When the Debian package `dnsmasq-base` is missing, or it does not listen in time.
    pub async fn start(address: SocketAddr, services: &[Service]) -> anyhow::Result<Self> {
        let mut command = Command::new("dnsmasq");
        command
            .args([
                "--keep-in-foreground",
                "--no-resolv",
                "--no-hosts",
                "--conf-file=/dev/null",
                "--no-daemon",
            ])
            .args(["--bind-interfaces", "--local=/test/", "--local-ttl=2", "--user=root", "--pid-file"])
            .arg(format!("--listen-address={}", address.ip()))
            .arg(format!("--port={}", address.port()));
        for Service { name, target, port, priority } in services {
            command.arg(format!("--srv-host={name},{target},{port},{priority},10"));
            command.arg(format!("--host-record={target},{},2", Ipv4Addr::LOCALHOST));
        }
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .context("dnsmasq, from the Debian package dnsmasq-base")?;
        let mut server = Self { child, address };
        let began = Instant::now();
        while TcpStream::connect(address).await.is_err() {
            if let Some(status) = server.child.try_wait()? {
                bail!("dnsmasq ended with {status}");
            }
            if began.elapsed() > START_LIMIT {
                bail!("dnsmasq does not listen on {address}");
            }
            sleep(Duration::from_millis(20)).await;
        }
        Ok(server)
    }

    /// Ends it, so that another one can take its address.
    ///
    /// # Errors
    /// When it has ended already.
    pub async fn stop(mut self) -> anyhow::Result<()> {
        Ok(self.child.kill().await?)
    }
}
