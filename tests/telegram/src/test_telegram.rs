//! The whole of it: the wire over the world, started and stopped together.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

use crate::botapi::BotApi;
use crate::seed::Seed;
use crate::wire::{self, KeyRing};
use crate::world::World;

/// How to start.
#[derive(Debug, Clone, PartialEq)]
pub struct Options {
    /// The address to listen on, and to tell clients.
    pub bind: IpAddr,
    /// The data centres.
    pub dcs: Vec<i32>,
    /// Their ports; any free ones without it.
    pub ports: Option<Vec<u16>>,
    /// Where users and numbers without account are at home.
    pub home_dc: i32,
    /// What the protocol's timers are multiplied by.
    pub timers_scale: f64,
    /// Port of the Bot API; any free one without it.
    pub bot_api_port: Option<u16>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            bind: Ipv4Addr::LOCALHOST.into(),
            dcs: vec![1, 2, 3, 4, 5],
            ports: None,
            home_dc: 2,
            timers_scale: 1.0,
            bot_api_port: None,
        }
    }
}

/// A running test Telegram.
pub struct TestTelegram {
    world: World,
    server: wire::Server,
    bot_api: BotApi,
    keys: Arc<KeyRing>,
    home_dc: i32,
}

impl TestTelegram {
    /// Starts it on the current runtime.
    ///
    /// # Errors
    /// When a port cannot be had, or the home data centre is not among the data centres.
    pub async fn start(options: Options) -> anyhow::Result<Self> {
        let home_dc = options.home_dc;
        anyhow::ensure!(options.dcs.contains(&home_dc), "home_dc = {home_dc}: want one of {:?}", options.dcs);
        let (world, pushes) = World::new(tokio::runtime::Handle::current(), home_dc, options.timers_scale);
        let keys = Arc::new(KeyRing::default());
        let bot_api = SocketAddr::new(options.bind, options.bot_api_port.unwrap_or(0));
        let bot_api = BotApi::start(world.clone(), bot_api).await?;
        let config =
            wire::Config { bind: options.bind, dcs: options.dcs, ports: options.ports, ..Default::default() };
        let server = wire::Server::start(config, keys.clone(), Arc::new(world.clone()), pushes).await?;
        world.set_addresses(server.addresses());
        Ok(Self { world, server, bot_api, keys, home_dc })
    }

    /// The world, for a test to furnish and ask.
    pub fn world(&self) -> &World {
        &self.world
    }

    /// Where the Bot API is served: what programs have in place of `https://api.telegram.org`.
    pub fn bot_api_url(&self) -> String {
        format!("http://{}", self.bot_api.address())
    }

    /// Where each data centre listens.
    pub fn addresses(&self) -> Vec<(i32, SocketAddr)> {
        self.server.addresses()
    }

    /// The address of one data centre.
    pub fn address(&self, dc: i32) -> Option<SocketAddr> {
        self.addresses().into_iter().find(|(id, _)| *id == dc).map(|(_, address)| address)
    }

    /// The keys that the wire knows.
    pub fn keys(&self) -> &Arc<KeyRing> {
        &self.keys
    }

    /// The data centre where users are at home.
    pub fn home_dc(&self) -> i32 {
        self.home_dc
    }

    /// The public key that independent clients must trust, PKCS#1 PEM.
    pub fn public_key_pem(&self) -> String {
        wire::rsa_public_pem()
    }

    /// Writes `dc-seed.json` with `count` fresh keys per data centre, or adds them to the file that is there.
    ///
    /// # Errors
    /// When the directory cannot be written, or the file there is not a seed.
    pub fn write_dc_seed(&self, dir: &Path, count: usize) -> anyhow::Result<()> {
        Seed::mint(self.home_dc, &self.addresses(), &self.keys, count).write(dir, &self.keys)
    }

    /// Stops listening and closes all connections.
    pub async fn shutdown(self) {
        self.bot_api.shutdown().await;
        self.server.shutdown().await;
    }
}
