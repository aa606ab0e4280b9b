//! Strangers who throw datagrams at every port that the gateway opens for sound, and listen whether anything comes back.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval};

use super::mouth::stranger;
use crate::sockets;

/// How often they look for ports that are new.
const LOOK: Duration = Duration::from_millis(100);
const DATAGRAM_BYTES: usize = 65_535;
/// Who throws from elsewhere; somebody at the PBX's own address throws, too.
const STRANGER: u8 = 5;

/// What to throw next at a port: the how-manieth it is there.
pub(super) type Missile = Box<dyn FnMut(SocketAddr, u64) -> Vec<u8> + Send>;

/// The strangers.
pub(super) struct Thrower {
    shared: Arc<Mutex<Shared>>,
    tasks: Vec<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    /// By port of the gateway.
    thrown: BTreeMap<SocketAddr, u64>,
    /// Datagrams that came back.
    came: u64,
}

impl Thrower {
    /// Begins to throw at every port of the process but these, so many a second at each.
    pub(super) async fn begin(
        pid: u32,
        spared: Vec<SocketAddr>,
        per_second: u32,
        mut missile: Missile,
    ) -> anyhow::Result<Self> {
        let shared: Arc<Mutex<Shared>> = Arc::default();
        let mut sockets = Vec::new();
        let mut tasks = Vec::new();
        for ip in [IpAddr::V4(stranger(STRANGER)), Ipv4Addr::LOCALHOST.into()] {
            let socket = Arc::new(UdpSocket::bind((ip, 0)).await?);
            tasks.push(tokio::spawn(listen(Arc::clone(&socket), Arc::clone(&shared))));
            sockets.push(socket);
        }
        let told = Arc::clone(&shared);
        tasks.push(tokio::spawn(async move {
            let mut beat = interval(Duration::from_secs(1) / per_second.max(1));
            beat.set_missed_tick_behavior(MissedTickBehavior::Burst);
            let mut ports = Vec::new();
            let every = (LOOK.as_micros() * u128::from(per_second) / 1_000_000).max(1) as u64;
            for round in 0_u64.. {
                beat.tick().await;
                if round % every == 0 {
                    ports = sockets::datagram_sockets(pid).unwrap_or_default();
                    ports.retain(|port| !spared.contains(port));
                }
                for port in &ports {
                    let number = lock(&told).thrown.get(port).copied().unwrap_or_default();
                    let packet = missile(*port, number);
                    let socket = &sockets[number as usize % sockets.len()];
                    // A port that has just been closed is refused.
                    socket.send_to(&packet, port).await.ok();
                    *lock(&told).thrown.entry(*port).or_default() += 1;
                }
            }
        }));
        Ok(Self { shared, tasks })
    }

    /// How many were thrown in all, at how many ports, and the fewest at one of these.
    pub(super) fn thrown(&self, ports: &[SocketAddr]) -> (u64, usize, u64) {
        let shared = lock(&self.shared);
        let fewest = ports.iter().map(|port| shared.thrown.get(port).copied().unwrap_or_default()).min();
        (shared.thrown.values().sum(), shared.thrown.len(), fewest.unwrap_or_default())
    }

    /// How many were thrown at these ports.
    pub(super) fn thrown_at(&self, ports: &[SocketAddr]) -> u64 {
        let shared = lock(&self.shared);
        ports.iter().filter_map(|port| shared.thrown.get(port)).sum()
    }

    /// How many datagrams came back.
    pub(super) fn came(&self) -> u64 {
        lock(&self.shared).came
    }
}

impl Drop for Thrower {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

async fn listen(socket: Arc<UdpSocket>, shared: Arc<Mutex<Shared>>) {
    let mut buffer = vec![0; DATAGRAM_BYTES];
    loop {
        // Ports that are closed send errors, which are no answers.
        if socket.recv_from(&mut buffer).await.is_ok() {
            lock(&shared).came += 1;
        }
    }
}

fn lock(shared: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}
