//! The sound of one call: Opus packets out on a steady beat, what comes in is counted.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tgtrunk_media::{opus, rtp};
use tokio::net::UdpSocket;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::sleep_until;

use crate::clock::now;
use crate::heard::{Heard, Ledger};
use crate::player::Player;

const DATAGRAM_BYTES: usize = 2048;

/// A call's socket and what passes it.
pub(super) struct Sound {
    pub(super) address: SocketAddr,
    remote: watch::Sender<Option<(SocketAddr, u8)>>,
    muted: Arc<AtomicBool>,
    heard: Ledger<()>,
    task: JoinHandle<()>,
}

impl Sound {
    pub(super) async fn open(plays: Arc<[Vec<u8>]>) -> anyhow::Result<Self> {
        let socket = UdpSocket::bind("127.0.0.1:0").await?;
        let address = socket.local_addr()?;
        let (remote, known) = watch::channel(None);
        let (muted, heard) = (Arc::new(AtomicBool::new(false)), Ledger::default());
        let task = tokio::spawn(run(socket, plays, known, Arc::clone(&muted), heard.clone()));
        Ok(Self { address, remote, muted, heard, task })
    }

    /// Begins to play, or goes on somewhere else.
    pub(super) fn connect(&self, remote: (SocketAddr, u8)) {
        self.remote.send_replace(Some(remote));
    }

    pub(super) fn mute(&self, muted: bool) {
        self.muted.store(muted, Ordering::Relaxed);
    }

    pub(super) fn heard(&self) -> Heard {
        self.heard.of(&())
    }
}

impl Drop for Sound {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn run(
    socket: UdpSocket,
    plays: Arc<[Vec<u8>]>,
    mut remote: watch::Receiver<Option<(SocketAddr, u8)>>,
    muted: Arc<AtomicBool>,
    heard: Ledger<()>,
) {
    let mut buffer = vec![0; DATAGRAM_BYTES];
    let mut player = Player::new(plays, false, [7; 32]);
    let mut to = None;
    loop {
        let deadline = player.poll_timeout().unwrap_or_else(|| now() + Duration::from_secs(60));
        tokio::select! {
            changed = remote.changed() => {
                if changed.is_err() {
                    return;
                }
                to = *remote.borrow_and_update();
                player.start(now());
            }
            received = socket.recv_from(&mut buffer) => {
                let Ok((length, _)) = received else { continue };
                let Ok(packet) = rtp::Packet::read(&buffer[..length]) else { continue };
                let Some(duration) = opus::duration(packet.payload) else { continue };
                heard.received((), duration, packet.payload);
            }
            () = sleep_until(deadline.into()) => {
                player.mute(muted.load(Ordering::Relaxed));
                let Some((address, payload_type)) = to else { continue };
                let Some((packet, duration)) = player.packet(now(), payload_type, 7) else { continue };
                if socket.try_send_to(&packet, address).is_ok() {
                    heard.sent((), duration);
                }
            }
        }
    }
}
