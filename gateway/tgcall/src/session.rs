//! The media path of one call: ICE (RFC 8445), DTLS 1.2 (RFC 6347) and the SRTP keys that come of it (RFC 5764), all on
//! one path, which may lead through a relay. The only place that knows the crates `is` and `dimpl`.

mod agent;
mod agents;
mod certificate;
mod direct;
mod handshake;
mod media;
mod network;
mod path;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;

use dimpl::certificate::calculate_fingerprint;
use dimpl::{Dtls, Output};
use is::IceCreds;

pub use self::certificate::{Certificate, CertificateError};
use self::handshake::Handshake;
use self::media::own_profile;
use self::network::{Came, Check, Network};
use self::path::{Heard, Path};
pub use self::path::{PathInfo, PathKind, PathTransport};
use crate::counters::Counters;
use crate::demux::{Kind, Received};
use crate::liveness::{FAIL_AFTER, Liveness};
use crate::local::Local;
use crate::negotiation::{DtlsRole, RemoteSetup};
use crate::relay::Server;
use crate::route::{StreamId, StreamOrder, Transmit};
use crate::srtp;

/// DTLS datagrams kept until the peer's description is there and a check to their source has passed.
const MAX_HELD: usize = 16;
/// Application data kept until it is drained, which happens after every datagram.
const MAX_DATA: usize = 64;

/// Why a call's media path is gone for good.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PathFailure {
    #[error("no connection within {} s", FAIL_AFTER.as_secs())]
    NeverConnected,
    #[error("connection lost for {} s", FAIL_AFTER.as_secs())]
    Lost,
    #[error("the peer's certificate is not the one that signaling named")]
    WrongCertificate,
    #[error("DTLS handshake failed: {0}")]
    Dtls(String),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum PathEvent {
    /// Media can flow, for the first time or again.
    Connected,
    Reconnecting,
    Failed(PathFailure),
    /// The peer closed its end (close_notify).
    Closed,
}

/// An address that is no use as a candidate.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0} cannot be a local candidate")]
pub struct BadAddress(pub SocketAddr);

/// The ways that a call may use.
pub(crate) struct Ways<'a> {
    /// Bound sockets.
    pub(crate) locals: &'a [Local],
    pub(crate) servers: &'a [Server],
    /// The peer may learn our addresses.
    pub(crate) may_be_direct: bool,
    pub(crate) only_streams: bool,
    pub(crate) has_standalone_reflectors: bool,
}

pub(crate) struct Session {
    /// Until the peer's description, which it is used with.
    certificate: Option<Arc<Certificate>>,
    /// Of our audio.
    ssrc: u32,
    network: Network,
    /// `None` before the peer's description, and after an error of an instance whose keys are in use.
    handshake: Option<Handshake>,
    srtp: Option<(srtp::Sender, srtp::Receiver)>,
    liveness: Liveness,
    held: VecDeque<(Path, Vec<u8>)>,
    data: VecDeque<Vec<u8>>,
    events: VecDeque<PathEvent>,
    counters: Counters,
}

impl Session {
    /// `secrets` must be unpredictable: ICE credentials are made of the first, what servers see of the second.
    pub(crate) fn new(
        now: Instant,
        is_caller: bool,
        certificate: Arc<Certificate>,
        ssrc: u32,
        ways: &Ways<'_>,
        secrets: [[u8; 32]; 2],
    ) -> Result<Self, BadAddress> {
        let network = Network::new(now, is_caller, ways, secrets)?;
        let mut session = Session {
            certificate: Some(certificate),
            ssrc,
            network,
            handshake: None,
            srtp: None,
            liveness: Liveness::new(now),
            held: VecDeque::new(),
            data: VecDeque::new(),
            events: VecDeque::new(),
            counters: Counters::default(),
        };
        session.drive(now);
        Ok(session)
    }

    pub(crate) fn ufrag(&self) -> &str {
        &self.network.credentials().ufrag
    }

    pub(crate) fn pwd(&self) -> &str {
        &self.network.credentials().pass
    }

    /// The next of our candidates for signaling.
    pub(crate) fn poll_candidate(&mut self) -> Option<String> {
        self.network.poll_candidate()
    }

    /// Takes another socket into use.
    pub(crate) fn add_local(&mut self, now: Instant, local: Local) -> Result<(), BadAddress> {
        if self.is_over() {
            return Ok(());
        }
        self.network.add_local(now, local)?;
        self.drive(now);
        Ok(())
    }

    /// Gives up a socket whose network is gone.
    pub(crate) fn remove_local(&mut self, now: Instant, address: SocketAddr) {
        if self.is_over() {
            return;
        }
        self.network.remove_local(now, address);
        self.drive(now);
    }

    /// Replaces every stream: our networks have changed, and no socket of ours tells of it.
    pub(crate) fn handle_network_change(&mut self, now: Instant) {
        if !self.is_over() {
            self.network.handle_network_change(now);
            self.drive(now);
        }
    }

    /// Takes the peer's description; a later one changes nothing, since credentials last for the whole call.
    pub(crate) fn set_remote(&mut self, now: Instant, remote: RemoteSetup) {
        if self.is_over() {
            return;
        }
        let Some(own) = self.certificate.take() else { return };
        let Certificate { certificate, config, .. } = &*own;
        let dtls = Dtls::new_12(Arc::clone(config), certificate.clone(), now);
        self.handshake = Some(Handshake::new(dtls, &remote));
        self.network.set_remote(now, IceCreds { ufrag: remote.ufrag, pass: remote.pwd });
        self.drive(now);
    }

    /// Takes a candidate of the described peer; one that cannot be used is skipped.
    pub(crate) fn add_remote_candidate(&mut self, now: Instant, text: &str) {
        if self.is_over() {
            return;
        }
        self.network.add_remote_candidate(now, text);
        self.drive(now);
    }

    /// Takes a datagram; the media inside it, of whatever source, if it was authentic.
    pub(crate) fn handle_datagram<'a>(
        &mut self,
        now: Instant,
        source: SocketAddr,
        destination: SocketAddr,
        datagram: &'a mut [u8],
    ) -> Option<Received<'a>> {
        if self.is_over() {
            return None;
        }
        match self.network.handle_datagram(now, source, destination, datagram) {
            Came::Packet(path, range) => self.handle_packet(now, path, &mut datagram[range]),
            Came::Handled => {
                self.drive(now);
                None
            }
        }
    }

    pub(crate) fn handle_stream_opened(&mut self, now: Instant, stream: StreamId) {
        if !self.is_over() {
            self.network.handle_stream_opened(now, stream);
            self.drive(now);
        }
    }

    /// Takes bytes of a stream; [`Session::poll_stream_media`] is to follow.
    pub(crate) fn handle_stream_data(&mut self, now: Instant, stream: StreamId, bytes: &[u8]) {
        if !self.is_over() {
            self.network.handle_stream_data(now, stream, bytes);
        }
    }

    pub(crate) fn handle_stream_closed(&mut self, now: Instant, stream: StreamId) {
        if !self.is_over() {
            self.network.handle_stream_closed(now, stream);
            self.drive(now);
        }
    }

    /// The next packet of media in what streams brought: whose inbox it lies in, and where.
    pub(crate) fn poll_stream_media(&mut self, now: Instant) -> Option<(usize, Range<usize>)> {
        while let Some((at, path, range)) = self.network.next_packet(now) {
            let mut inbox = self.network.take_inbox(at);
            let start = range.start;
            let packet = self.handle_packet(now, path, &mut inbox[range]).map(|received| match received {
                Received::Rtp(packet) | Received::Rtcp(packet) => packet.len(),
            });
            self.network.put_inbox(at, inbox);
            if let Some(length) = packet {
                return Some((at, start..start + length));
            }
        }
        if !self.is_over() {
            self.drive(now);
        }
        None
    }

    /// What [`Session::poll_stream_media`] points into.
    pub(crate) fn stream_media(&self, at: usize, range: Range<usize>) -> Received<'_> {
        let packet = &self.network.inbox(at)[range];
        // What was decrypted in place has kept its first bytes.
        if Kind::of(packet) == Kind::Rtcp { Received::Rtcp(packet) } else { Received::Rtp(packet) }
    }

    pub(crate) fn poll_stream_order(&mut self) -> Option<StreamOrder> {
        self.network.poll_stream_order()
    }

    fn handle_packet<'a>(&mut self, now: Instant, path: Path, packet: &'a mut [u8]) -> Option<Received<'a>> {
        match Kind::of(packet) {
            _ if self.is_over() => {}
            Kind::Stun => self.handle_stun(now, path, packet),
            Kind::Dtls => self.handle_dtls(now, path, packet),
            Kind::Rtp | Kind::Rtcp if !self.network.paths.is_valid(path) => self.counters.stray += 1,
            Kind::Rtp => return self.handle_rtp(now, path, packet).map(Received::Rtp),
            Kind::Rtcp => return self.handle_rtcp(now, path, packet).map(Received::Rtcp),
            Kind::Other => self.counters.malformed += 1,
        }
        None
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        if self.is_over() {
            return;
        }
        self.network.handle_timeout(now);
        if self.handshake.as_mut().is_some_and(|end| end.wakes(now)) {
            self.with_dtls(now, |_| Ok(()));
        }
        self.drive(now);
    }

    pub(crate) fn poll_timeout(&mut self) -> Option<Instant> {
        let verdict = self.liveness.deadline()?;
        let flight = self.handshake.as_ref().and_then(|end| end.poll_timeout());
        [self.network.poll_timeout(), flight].into_iter().flatten().chain([verdict]).min()
    }

    pub(crate) fn poll_transmit(&mut self) -> Option<Transmit> {
        self.network.poll_transmit()
    }

    pub(crate) fn poll_event(&mut self) -> Option<PathEvent> {
        self.events.pop_front()
    }

    /// Sends application data in DTLS; whether there is still a DTLS to send it in.
    pub(crate) fn send_data(&mut self, now: Instant, data: &[u8]) -> bool {
        if self.srtp.is_some() {
            self.with_dtls(now, |dtls| dtls.send_application_data(data).map(drop));
        }
        self.handshake.is_some()
    }

    /// The next application data of the peer.
    pub(crate) fn poll_data(&mut self) -> Option<Vec<u8>> {
        self.data.pop_front()
    }

    pub(crate) fn has_data(&self) -> bool {
        !self.data.is_empty()
    }

    /// Tells whether a datagram on a shared socket belongs to this session.
    pub(crate) fn accepts(&self, source: SocketAddr, datagram: &[u8]) -> bool {
        self.network.accepts(source, datagram)
    }

    pub(crate) fn take_peers_changed(&mut self) -> bool {
        self.network.paths.take_changed()
    }

    /// Where the peer was heard from on a local socket.
    pub(crate) fn peers(&self, local: SocketAddr) -> impl Iterator<Item = SocketAddr> {
        self.network.paths.remotes(local)
    }

    /// What packets take, while there is a way.
    pub(crate) fn path_info(&self) -> Option<PathInfo> {
        self.network.path_info().filter(|_| !self.is_over())
    }

    /// Says goodbye to the peer; nothing comes in afterwards.
    pub(crate) fn close(&mut self, now: Instant) {
        if !self.is_over() && self.srtp.is_some() {
            self.with_dtls(now, Dtls::close);
        }
        self.abandon();
    }

    /// Ends without a goodbye.
    pub(crate) fn abandon(&mut self) {
        self.liveness.end();
        self.handshake = None;
        self.held.clear();
        self.network.close();
    }

    pub(crate) fn is_connected(&self) -> bool {
        self.liveness.is_connected()
    }

    pub(crate) fn is_over(&self) -> bool {
        self.liveness.is_over()
    }

    pub(crate) fn counters(&self) -> &Counters {
        &self.counters
    }

    pub(crate) fn counters_mut(&mut self) -> &mut Counters {
        &mut self.counters
    }

    fn handle_stun(&mut self, now: Instant, path: Path, datagram: &[u8]) {
        match self.network.handle_stun(now, path, datagram) {
            Check::Malformed => return self.counters.malformed += 1,
            Check::Stray => return self.counters.stray += 1,
            Check::Request => {}
            Check::Answer => self.liveness.consent(now),
        }
        self.liveness.hear(now);
        if !self.is_connected() {
            self.network.hasten(now, path);
        }
        self.drive(now);
    }

    /// One forged datagram ends a DTLS handshake, so only paths that our own checks passed are heard.
    fn handle_dtls(&mut self, now: Instant, path: Path, datagram: &[u8]) {
        if self.handshake.as_ref().is_some_and(|end| end.is_ready) && self.network.paths.is_valid(path) {
            self.feed_dtls(now, path, datagram);
            self.drive(now);
        } else if self.held.len() < MAX_HELD && self.network.paths.is_known(path) {
            self.held.push_back((path, datagram.to_vec()));
        } else {
            self.counters.stray += 1;
        }
    }

    fn hear(&mut self, now: Instant, path: Path, what: Heard) {
        self.liveness.hear(now);
        self.network.paths.hear(now, path, what);
    }

    /// Carries what the network and DTLS have to say, until neither says more.
    fn drive(&mut self, now: Instant) {
        if let Some(path) = self.network.take_news(now) {
            self.show(now, path);
        }
        self.network.send_checks(now);
        let has_path = self.network.paths.any().is_some();
        if let Some(end) = self.handshake.as_mut().filter(|end| has_path && !end.is_ready) {
            end.is_ready = true;
            self.with_dtls(now, |_| Ok(()));
        }
        self.release_held(now);
        self.settle(now);
        self.network.note_direct();
        self.check_invariants();
    }

    fn release_held(&mut self, now: Instant) {
        if self.held.is_empty() || self.handshake.as_ref().is_none_or(|end| !end.is_ready) {
            return;
        }
        for (path, datagram) in std::mem::take(&mut self.held) {
            if self.is_over() {
                return;
            } else if self.network.paths.is_valid(path) {
                self.feed_dtls(now, path, &datagram);
            } else {
                self.held.push_back((path, datagram));
            }
        }
    }

    fn feed_dtls(&mut self, now: Instant, path: Path, datagram: &[u8]) {
        self.network.paths.set_early(path);
        self.with_dtls(now, |dtls| dtls.handle_packet(datagram));
    }

    /// Does one thing with a handshake that is ready and carries out what comes of it.
    fn with_dtls(&mut self, now: Instant, act: impl FnOnce(&mut Dtls) -> Result<(), dimpl::Error>) {
        let Some(end) = self.handshake.as_mut().filter(|end| end.is_ready) else { return };
        let result = end.dtls.handle_timeout(end.there(now)).and_then(|()| act(&mut end.dtls));
        self.drain_dtls(now);
        if let Err(error) = result {
            if self.srtp.is_some() {
                tracing::debug!(%error, "DTLS ended; its keys are exchanged and media goes on");
                self.handshake = None;
            } else {
                self.fail(PathFailure::Dtls(error.to_string()));
            }
        }
    }

    fn drain_dtls(&mut self, now: Instant) {
        let mut buffer = vec![0; 2048];
        while let Some(end) = &mut self.handshake {
            match end.dtls.poll_output(&mut buffer) {
                Output::Packet(packet) => {
                    let contents = packet.to_vec();
                    if let Some(path) = self.network.paths.any() {
                        self.network.send(now, path, contents);
                    }
                }
                Output::BufferTooSmall { needed } => buffer.resize(needed, 0),
                Output::Timeout(there) => return end.sleep(now, there),
                Output::PeerCert(der) => {
                    if calculate_fingerprint(der) != end.fingerprint_sha256 {
                        self.fail(PathFailure::WrongCertificate);
                    }
                }
                Output::KeyingMaterial(material, profile) => {
                    let is_client = end.role == DtlsRole::Client;
                    match srtp::key_pair(own_profile(profile), &material, is_client) {
                        Ok(pair) => self.srtp = Some(pair),
                        Err(error) => self.fail(PathFailure::Dtls(error.to_string())),
                    }
                }
                // Connected comes ahead of the keys, which are what counts.
                Output::Connected => {}
                Output::ApplicationData(_) if self.data.len() == MAX_DATA => {}
                Output::ApplicationData(packet) => self.data.push_back(packet.to_vec()),
                Output::CloseNotify => {
                    self.events.push_back(PathEvent::Closed);
                    self.liveness.end();
                    self.held.clear();
                    self.network.close();
                }
                _ => tracing::debug!("output of DTLS that this session does not know"),
            }
        }
    }

    fn settle(&mut self, now: Instant) {
        let event = self.liveness.settle(now, self.srtp.is_some(), self.network.paths.chosen().is_some());
        match &event {
            Some(PathEvent::Failed(_)) => self.abandon(),
            Some(PathEvent::Connected) => self.network.handle_connected(now),
            Some(PathEvent::Reconnecting) => self.network.handle_lost(now),
            Some(PathEvent::Closed) | None => {}
        }
        self.events.extend(event);
    }

    fn fail(&mut self, failure: PathFailure) {
        if !self.is_over() {
            self.abandon();
            self.events.push_back(PathEvent::Failed(failure));
        }
    }

    fn check_invariants(&self) {
        debug_assert!(
            !self.is_connected() || self.srtp.is_some() && self.network.paths.chosen().is_some(),
            "keys and a path"
        );
        self.network.check_direct();
        debug_assert!(self.held.len() <= MAX_HELD, "what a peer sends is bounded");
        debug_assert!(!self.is_over() || self.held.is_empty(), "a session that is over keeps nothing");
        debug_assert!(
            self.handshake.is_none() || self.certificate.is_none(),
            "the description says who begins"
        );
    }
}
