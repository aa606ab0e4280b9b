//! The media of one call of a light user: tgcall over a socket, prepared packets out, a ledger of what came in.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{bail, ensure};
use grammers_tl_types as tl;
use tgtrunk_media::{opus, rtp};
use tgtrunk_test_telegram::bad_path::{BadPath, Treatment};
use tgtrunk_test_telegram::world::DeviceHandle;
use tokio::sync::mpsc;
use tokio::time::sleep_until;

use super::Junk;
use super::actor::Inside;
use super::muxed::Outlet;
use crate::clock::now;
use crate::heard::Ledger;
use crate::player::Player;

const DATAGRAM_BYTES: usize = 2048;

/// What a call's media is told.
pub(super) enum ToMedia {
    Signaling(Vec<u8>),
    Mute(bool),
    Throw(Junk),
    Treat(Treatment),
    Close,
}

/// The media of one call.
pub(super) struct Media {
    pub(super) call: i64,
    pub(super) peer: tl::types::InputPhoneCall,
    pub(super) engine: tgcall::Call,
    pub(super) socket: Outlet,
    pub(super) local: SocketAddr,
    pub(super) handle: DeviceHandle,
    pub(super) heard: Ledger<i64>,
    pub(super) player: Player,
    /// The last packet that left, and where to.
    pub(super) last: Option<(Vec<u8>, SocketAddr)>,
    /// The way of its sound, and that of everything else.
    pub(super) paths: [BadPath<(Vec<u8>, SocketAddr)>; 2],
}

impl Media {
    pub(super) async fn run(mut self, mut words: mpsc::Receiver<ToMedia>, inside: mpsc::Sender<Inside>) {
        let mut buffer = vec![0; DATAGRAM_BYTES];
        let mut said_up = false;
        loop {
            if let Err(error) = self.drain().await {
                tracing::warn!(call = self.call, error = format!("{error:#}"), "a light user's media ended");
                return;
            }
            if !said_up && self.engine.is_connected() && self.engine.outgoing().is_some() {
                said_up = true;
                self.player.start(now());
                inside.send(Inside::MediaUp(self.call)).await.ok();
            }
            let paths = self.paths.each_ref().map(BadPath::poll_timeout);
            let own = [self.engine.poll_timeout(), self.player.poll_timeout()];
            let deadline = own.into_iter().chain(paths).flatten().min();
            let deadline = deadline.unwrap_or_else(|| now() + Duration::from_secs(60));
            tokio::select! {
                biased;
                word = words.recv() => match word {
                    Some(ToMedia::Signaling(data)) => self.engine.handle_signaling(now(), &data),
                    Some(ToMedia::Mute(muted)) => {
                        self.player.mute(muted);
                        self.engine.set_muted(now(), muted);
                    }
                    Some(ToMedia::Throw(junk)) => self.throw(junk),
                    Some(ToMedia::Treat(treatment)) => {
                        self.paths.iter_mut().for_each(|path| path.treat(treatment));
                    }
                    Some(ToMedia::Close) => {
                        self.engine.close(now());
                        self.drain().await.ok();
                        return;
                    }
                    None => return,
                },
                received = self.socket.recv_from(&mut buffer) => {
                    if let Ok((length, source)) = received {
                        self.datagram(source, &mut buffer[..length]);
                    }
                }
                () = sleep_until(deadline.into()) => {
                    self.engine.handle_timeout(now());
                    self.play();
                }
            }
        }
    }

    fn datagram(&mut self, source: SocketAddr, datagram: &mut [u8]) {
        let received = self.engine.handle_datagram(now(), source, self.local, datagram);
        let Some(tgcall::Received::Rtp(packet)) = received else { return };
        let Ok(packet) = rtp::Packet::read(packet) else { return };
        let Some(duration) = opus::duration(packet.payload) else { return };
        self.heard.received(self.call, duration, packet.payload);
        self.heard.numbered(self.call, packet.sequence, packet.timestamp);
    }

    fn play(&mut self) {
        let Some(format) = self.engine.outgoing() else { return };
        let Some((mut packet, duration)) = self.player.packet(now(), format.payload_type, format.ssrc) else {
            return;
        };
        if let Some(tgcall::Route::Datagram { destination, .. }) = self.engine.protect(now(), &mut packet) {
            self.heard.sent(self.call, duration);
            let lost = self.paths[0].passage().lost;
            self.paths[0].handle_packet(now(), (packet.clone(), destination));
            if self.paths[0].passage().lost > lost {
                self.heard.lost(self.call, duration);
            }
            self.pass();
            self.last = Some((packet, destination));
        }
    }

    /// Sends what has come through.
    fn pass(&mut self) {
        for path in &mut self.paths {
            while let Some((packet, destination)) = path.poll_packet(now()) {
                self.socket.try_send_to(&packet, destination).ok();
            }
        }
    }

    fn throw(&self, junk: Junk) {
        let Some((packet, destination)) = &self.last else { return };
        let bytes = match junk {
            Junk::Bytes(bytes) => bytes,
            Junk::Again => packet.clone(),
            Junk::Forged(bit) => {
                let mut forged = packet.clone();
                let at = forged.len() - 1 - bit / 8 % forged.len();
                forged[at] ^= 1 << (bit % 8);
                forged
            }
        };
        self.socket.try_send_to(&bytes, *destination).ok();
    }

    async fn drain(&mut self) -> anyhow::Result<()> {
        while let Some(transmit) = self.engine.poll_transmit() {
            if let tgcall::Route::Datagram { destination, .. } = transmit.route {
                self.paths[1].handle_packet(now(), (transmit.contents, destination));
            }
        }
        self.pass();
        while let Some(data) = self.engine.poll_signaling() {
            let request = tl::functions::phone::SendSignalingData { peer: self.peer.clone().into(), data };
            let sent = self.handle.invoke(&request).await.map_err(|error| anyhow::anyhow!("{error:?}"))?;
            ensure!(sent, "signaling is no longer taken");
        }
        while let Some(event) = self.engine.poll_event() {
            if let tgcall::Event::Failed(failure) = event {
                bail!("media failed: {failure}");
            }
        }
        Ok(())
    }
}
