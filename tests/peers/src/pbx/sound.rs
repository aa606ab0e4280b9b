//! The sound of one call of the phone: RTP over a socket of its own.

use std::net::SocketAddr;
use std::time::Duration;

use tgtrunk_media::{opus, rtp};
use tgtrunk_sip::CallId;
use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use tokio::time::sleep_until;

use super::Options;
use crate::clock::now;
use crate::heard::Ledger;
use crate::player::Player;

const DATAGRAM_BYTES: usize = 2048;

/// What a call's sound is told; the end of the channel is the end of the call.
pub(super) enum ToSound {
    Remote { rtp: SocketAddr, payload_type: u8, listens: bool },
    Mute(bool),
}

/// The sound of one call.
pub(super) struct Sound {
    call: CallId,
    socket: UdpSocket,
    remote: Option<(SocketAddr, u8)>,
    ssrc: u32,
    player: Player,
    heard: Ledger<CallId>,
}

impl Sound {
    pub(super) fn new(
        call: CallId,
        socket: UdpSocket,
        options: &Options,
        seed: [u8; 32],
        heard: Ledger<CallId>,
    ) -> Self {
        let ssrc = u32::from_le_bytes([seed[8], seed[9], seed[10], seed[11]]);
        let player = Player::new(options.plays.clone(), options.muted, seed);
        Self { call, socket, remote: None, ssrc, player, heard }
    }

    pub(super) async fn run(mut self, mut orders: mpsc::Receiver<ToSound>) {
        let mut buffer = vec![0; DATAGRAM_BYTES];
        loop {
            let deadline = self.player.poll_timeout().unwrap_or_else(|| now() + Duration::from_secs(60));
            tokio::select! {
                biased;
                order = orders.recv() => match order {
                    Some(ToSound::Remote { rtp, payload_type, listens }) => {
                        self.remote = Some((rtp, payload_type));
                        if listens {
                            self.player.start(now());
                        } else {
                            self.player.stop();
                        }
                    }
                    Some(ToSound::Mute(muted)) => self.player.mute(muted),
                    None => return,
                },
                received = self.socket.recv_from(&mut buffer) => {
                    if let Ok((length, _)) = received {
                        self.datagram(&buffer[..length]);
                    }
                }
                () = sleep_until(deadline.into()) => self.play(),
            }
        }
    }

    fn datagram(&self, datagram: &[u8]) {
        let Ok(packet) = rtp::Packet::read(datagram) else { return };
        let Some(duration) = opus::duration(packet.payload) else { return };
        self.heard.received(self.call, duration, packet.payload);
    }

    fn play(&mut self) {
        let Some((remote, payload_type)) = self.remote else { return };
        let Some((packet, duration)) = self.player.packet(now(), payload_type, self.ssrc) else { return };
        if self.socket.try_send_to(&packet, remote).is_ok() {
            self.heard.sent(self.call, duration);
        }
    }
}
