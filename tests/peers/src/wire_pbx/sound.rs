//! The sound of one call: Opus packets out on a steady beat, what comes in is counted.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tgtrunk_media::{opus, rtp};
use tgtrunk_test_telegram::bad_path::{BadPath, Treatment};
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
    treatment: watch::Sender<Treatment>,
    heard: Ledger<()>,
    socket: Arc<UdpSocket>,
    task: JoinHandle<()>,
}

impl Sound {
    pub(super) async fn open(plays: Arc<[Vec<u8>]>) -> anyhow::Result<Self> {
        let socket = Arc::new(UdpSocket::bind("127.0.0.1:0").await?);
        let address = socket.local_addr()?;
        let (remote, known) = watch::channel(None);
        let (muted, heard) = (Arc::new(AtomicBool::new(false)), Ledger::default());
        let (treatment, treated) = watch::channel(Treatment::default());
        let task =
            tokio::spawn(run(Arc::clone(&socket), plays, known, Arc::clone(&muted), treated, heard.clone()));
        Ok(Self { address, remote, muted, treatment, heard, socket, task })
    }

    /// Begins to play, or goes on somewhere else.
    pub(super) fn connect(&self, remote: (SocketAddr, u8)) {
        self.remote.send_replace(Some(remote));
    }

    /// Sends any bytes where the sound goes.
    pub(super) fn throw(&self, bytes: &[u8]) {
        if let Some((address, _)) = *self.remote.borrow() {
            self.socket.try_send_to(bytes, address).ok();
        }
    }

    pub(super) fn mute(&self, muted: bool) {
        self.muted.store(muted, Ordering::Relaxed);
    }

    /// What becomes of the sound on its way.
    pub(super) fn treat(&self, treatment: Treatment) {
        self.treatment.send_replace(treatment);
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
    socket: Arc<UdpSocket>,
    plays: Arc<[Vec<u8>]>,
    mut remote: watch::Receiver<Option<(SocketAddr, u8)>>,
    muted: Arc<AtomicBool>,
    treated: watch::Receiver<Treatment>,
    heard: Ledger<()>,
) {
    let mut path = BadPath::<Vec<u8>>::new(u64::from(socket.local_addr().map_or(0, |own| own.port())));
    let mut buffer = vec![0; DATAGRAM_BYTES];
    let mut player = Player::new(plays, false, [7; 32]);
    let mut to = None;
    loop {
        while let Some(packet) = path.poll_packet(now()) {
            if let Some((address, _)) = to {
                socket.try_send_to(&packet, address).ok();
            }
        }
        let deadline = [player.poll_timeout(), path.poll_timeout()].into_iter().flatten().min();
        let deadline = deadline.unwrap_or_else(|| now() + Duration::from_secs(60));
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
                heard.numbered((), packet.sequence, packet.timestamp);
            }
            () = sleep_until(deadline.into()) => {
                player.mute(muted.load(Ordering::Relaxed));
                let Some((_, payload_type)) = to else { continue };
                let Some((packet, duration)) = player.packet(now(), payload_type, 7) else { continue };
                heard.sent((), duration);
                let lost = path.passage().lost;
                path.treat(*treated.borrow());
                path.handle_packet(now(), packet);
                if path.passage().lost > lost {
                    heard.lost((), duration);
                }
            }
        }
    }
}
