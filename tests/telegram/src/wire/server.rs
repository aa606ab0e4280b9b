//! Listeners, one per data centre, and the way of pushes into the hub.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, ensure};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tracing::{info, warn};

use crate::link::{Push, Rpc};
use crate::wire::connection::{self, Terms};
use crate::wire::hub::{Hub, Limits};
use crate::wire::keyring::KeyRing;

/// What a server is started with. `..Config::default()` fills in what a caller does not care for.
#[derive(Debug, Clone)]
pub struct Config {
    /// Address of every listener.
    pub bind: IpAddr,
    /// The data centres, each with its own port.
    pub dcs: Vec<i32>,
    /// One port for each of `dcs`, in their order; `None` lets the system choose.
    pub ports: Option<Vec<u16>>,
    /// Results of at least so many bytes are packed, if that makes them smaller.
    pub gzip_from: usize,
    /// Largest frame a client may send, in bytes.
    pub max_frame: usize,
    /// Sessions remembered under one key; the one silent for longest goes first.
    pub sessions_per_key: usize,
    /// Connections served at once on one port.
    pub connections_per_dc: usize,
    /// How often each key exchange is answered `dh_gen_retry` before it succeeds.
    pub dh_retries: u32,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            bind: IpAddr::V4(Ipv4Addr::LOCALHOST),
            dcs: vec![1, 2, 3],
            ports: None,
            gzip_from: 1024,
            max_frame: 2 << 20,
            sessions_per_key: 64,
            connections_per_dc: 4096,
            dh_retries: 0,
        }
    }
}

/// A running server. Dropping it stops it too, without waiting.
pub struct Server {
    addresses: Vec<(i32, SocketAddr)>,
    stop: watch::Sender<bool>,
    tasks: JoinSet<()>,
}

impl Server {
    /// Binds the listeners and serves until [`shutdown`](Self::shutdown). Needs a tokio runtime around it.
    ///
    /// # Errors
    /// A port in use, or another number of ports than of data centres.
    pub async fn start(
        config: Config,
        keys: Arc<KeyRing>,
        rpc: Arc<dyn Rpc>,
        mut pushes: mpsc::Receiver<Push>,
    ) -> anyhow::Result<Self> {
        let ports = config.ports.unwrap_or_else(|| vec![0; config.dcs.len()]);
        ensure!(
            ports.len() == config.dcs.len(),
            "{} ports for {} data centres",
            ports.len(),
            config.dcs.len()
        );
        let limits = Limits { sessions_per_key: config.sessions_per_key, gzip_from: config.gzip_from };
        let hub = Arc::new(Hub::new(keys, rpc, limits));
        let (stop, stopped) = watch::channel(false);

        let mut tasks = JoinSet::new();
        let mut addresses = Vec::new();
        for (dc, port) in config.dcs.into_iter().zip(ports) {
            let listener = TcpListener::bind((config.bind, port))
                .await
                .with_context(|| format!("data centre {dc} cannot listen on {}:{port}", config.bind))?;
            addresses.push((dc, listener.local_addr()?));
            let terms = Terms { dc, max_frame: config.max_frame, dh_retries: config.dh_retries };
            tasks.spawn(accept(
                listener,
                Arc::clone(&hub),
                terms,
                config.connections_per_dc,
                stopped.clone(),
            ));
        }
        tasks.spawn(async move {
            while let Some(push) = pushes.recv().await {
                hub.push(push);
            }
        });
        Ok(Self { addresses, stop, tasks })
    }

    /// Data centres and where they listen.
    pub fn addresses(&self) -> Vec<(i32, SocketAddr)> {
        self.addresses.clone()
    }

    /// Closes every connection and listener.
    pub async fn shutdown(mut self) {
        self.stop.send_replace(true);
        let all = async { while self.tasks.join_next().await.is_some() {} };
        // The task of pushes ends with its sender, which may outlive the server.
        let _ = tokio::time::timeout(Duration::from_millis(500), all).await;
        self.tasks.shutdown().await;
    }
}

async fn accept(
    listener: TcpListener,
    hub: Arc<Hub>,
    terms: Terms,
    most: usize,
    mut stop: watch::Receiver<bool>,
) {
    let mut connections = JoinSet::new();
    let stopped = stop.clone();
    loop {
        tokio::select! {
            () = connection::stopped(&mut stop) => break,
            Some(_) = connections.join_next() => {}
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) if connections.len() < most => {
                    connections.spawn(connection::serve(stream, Arc::clone(&hub), terms, stopped.clone()));
                }
                Ok((_, peer)) => info!(dc = terms.dc, %peer, most, "too many connections"),
                Err(error) => {
                    warn!(dc = terms.dc, %error, "cannot accept a connection");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            },
        }
    }
    while connections.join_next().await.is_some() {}
}
