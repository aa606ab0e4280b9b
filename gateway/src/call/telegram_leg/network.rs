//! The network under a Telegram leg: sockets and streams that media goes by, as the machine's addresses come and go.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use tgcall::key::SharedKey;
use tgcall::{Detour, Route, Server, Version};
use tgtrunk_config::MediaSockets;

use super::ports::{Ports, Terms};
use super::{Established, TelegramLeg};
use crate::call::streams::{StreamNews, Streams};
use crate::clock;
use crate::net::Addresses;

impl TelegramLeg {
    /// This machine's addresses as the leg knows them.
    pub(crate) fn addresses(&self) -> &Addresses {
        &self.shared.addresses
    }

    /// Follows the machine's addresses: media moves to new ones, and away from those that are gone.
    pub(crate) fn handle_addresses(&mut self, now: Instant) {
        let wanted = Arc::clone(&self.shared.addresses.borrow_and_update());
        let Some(media) = &mut self.media else { return };
        if self.shared.proxy.is_some() {
            // Its connections may have gone with the address that they came from.
            media.handle_network_change(now);
            return self.drain_media();
        }
        for ip in wanted.iter() {
            if self.ports.is_at(*ip) {
                continue;
            }
            match self.ports.add(*ip) {
                Ok(new) => {
                    tracing::debug!(%ip, "media may come from a new address");
                    if !self.ports.name(media.ufrag()) {
                        tracing::debug!("another call has the same user fragment");
                    }
                    for local in new {
                        if let Err(error) = media.add_local_address(now, local) {
                            tracing::debug!(%error, "address left out of the call");
                        }
                    }
                }
                Err(error) => tracing::debug!(%ip, %error, "address left out of the call"),
            }
        }
        // New ones first: a path away from the old ones is then known.
        for address in self.ports.keep(&wanted) {
            tracing::debug!(%address, "media's address is gone");
            media.remove_local_address(now, address);
        }
        self.drain_media();
    }

    /// Opens a socket of the call's own beside the shared one of this address, where another call's peer speaks from where
    /// this one's does.
    pub(crate) fn open_beside(&mut self, now: Instant, shared: SocketAddr) {
        let Some(media) = &mut self.media else { return };
        let Some(local) = self.ports.beside(shared) else { return };
        tracing::debug!(%shared, own = %local.address, "two calls' peers have one address: this one gets a port of its own");
        if let Err(error) = media.add_local_address(now, local) {
            tracing::debug!(%error, "address left out of the call");
        }
        self.drain_media();
    }

    /// Has shared sockets know where the peer is.
    pub(super) fn know_peers(&mut self) {
        if let Some(media) = &mut self.media
            && media.take_peers_changed()
            && let Some(shared) = self.ports.know_peers(media)
        {
            self.open_beside(clock::now(), shared);
        }
    }

    /// What happened to a connection to a relay; its sound is to be taken from `media` afterwards.
    pub(crate) fn handle_stream(&mut self, now: Instant, news: &StreamNews, bytes: &[u8]) {
        let Some(media) = &mut self.media else { return };
        match *news {
            StreamNews::Opened(stream) => media.handle_stream_opened(now, stream),
            StreamNews::Data(stream, length) => media.handle_stream_data(now, stream, &bytes[..length]),
            StreamNews::Closed(stream) => media.handle_stream_closed(now, stream),
        }
    }

    pub(super) fn open_media(
        &mut self,
        now: Instant,
        established: &Established,
        key: &SharedKey,
        is_caller: bool,
    ) -> anyhow::Result<tgcall::Call> {
        let version = Version::choose(&established.library_versions).ok_or_else(|| {
            anyhow::anyhow!("none of the versions {:?} is ours", established.library_versions)
        })?;
        self.version = Some(version);
        let only_streams = self.shared.proxy.is_some();
        if !only_streams {
            let addresses = Arc::clone(&self.shared.addresses.borrow_and_update());
            let terms = Terms {
                dscp: self.shared.dscp,
                may_share: self.shared.media_sockets == MediaSockets::Shared && established.p2p_allowed,
                has_relays: established.servers.iter().any(Server::is_of_datagrams),
            };
            self.ports = Ports::open(&addresses, terms)?;
        }
        let parameters = tgcall::Parameters {
            key: key.clone(),
            is_caller,
            version,
            p2p_allowed: established.p2p_allowed,
            servers: established.servers.clone(),
            only_streams,
            custom_parameters: established.custom_parameters.clone(),
            local_addresses: self.ports.locals().collect(),
            certificate: self.shared.certificates.take()?,
            seed: clock::random(),
        };
        let media = tgcall::Call::new(now, parameters)?;
        anyhow::ensure!(self.ports.name(media.ufrag()), "another call has the same user fragment");
        Ok(media)
    }

    /// Protects an RTP packet in place and sends it, where there is a path.
    pub(crate) fn send_rtp(&mut self, now: Instant, packet: &mut Vec<u8>) {
        if let Some(route) = self.media.as_mut().and_then(|media| media.protect(now, packet)) {
            send(&self.ports, &mut self.streams, route, packet);
        }
    }

    /// The same for a packet in the first `length` bytes of `room`, with room behind it; `spare` is for one that is wrapped
    /// for a relay.
    pub(crate) fn send_rtp_in(&mut self, now: Instant, room: &mut [u8], length: usize, spare: &mut Vec<u8>) {
        let Some(media) = &mut self.media else { return };
        match media.seal(room, length) {
            Ok(Some((route, length))) => send(&self.ports, &mut self.streams, route, &room[..length]),
            Ok(None) => {}
            Err(Detour) => {
                spare.clear();
                spare.extend_from_slice(&room[..length]);
                self.send_rtp(now, spare);
            }
        }
    }

    /// The same for RTCP.
    pub(crate) fn send_rtcp(&mut self, now: Instant, packet: &mut Vec<u8>) {
        if let Some(route) = self.media.as_mut().and_then(|media| media.protect_rtcp(now, packet)) {
            send(&self.ports, &mut self.streams, route, packet);
        }
    }
}

pub(super) fn send(ports: &Ports, streams: &mut Streams, route: Route, packet: &[u8]) {
    match route {
        Route::Datagram { source, destination } => ports.send(source, destination, packet),
        Route::Stream(stream) => streams.send(stream, packet),
    }
}
