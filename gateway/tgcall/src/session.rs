//! The media path of one call: ICE (RFC 8445), DTLS 1.2 (RFC 6347) and the SRTP keys that come of it (RFC 5764),
//! all on one five-tuple. The only place that knows the crates `is` and `dimpl`.

mod agent;
mod certificate;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dimpl::certificate::calculate_fingerprint;
use dimpl::{Dtls, Output, SrtpProfile};
use is::stun::{StunMessage, StunPacket};
use is::{Candidate, IceAgent, IceAgentEvent, IceConnectionState, IceCreds, Protocol};

use self::agent::agent;
pub use self::certificate::{Certificate, CertificateError};
use crate::counters::Counters;
use crate::demux::{Kind, Received};
use crate::liveness::{FAIL_AFTER, Liveness};
use crate::negotiation::{DtlsRole, RemoteSetup};
use crate::srtp::{self, OpenError, Profile};

/// DTLS datagrams kept until the peer's description is there and a check to their source has passed.
const MAX_HELD: usize = 16;
/// Application data kept until it is drained, which happens after every datagram.
const MAX_DATA: usize = 64;
/// Remote candidates, and paths known to come from the peer.
const MAX_PATHS: usize = 64;
/// A nominated path that is silent for longer than a check takes gives way to one that is not.
const STALE_AFTER: Duration = Duration::from_secs(4);

/// A datagram to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transmit {
    /// The local address to send it from.
    pub source: SocketAddr,
    pub destination: SocketAddr,
    pub contents: Vec<u8>,
}

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

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Path {
    local: SocketAddr,
    remote: SocketAddr,
}

/// A path that the peer was heard on: it knew our password.
struct Known {
    path: Path,
    /// Our own check came back on it, so nobody has repeated the peer's words from an address of theirs.
    is_valid: bool,
}

struct Handshake {
    dtls: Dtls,
    role: DtlsRole,
    /// A client begins once it has a path, a server is ready from the start.
    is_ready: bool,
    wake: Option<Instant>,
    fingerprint_sha256: [u8; 32],
}

pub(crate) struct Session {
    certificate: Arc<Certificate>,
    agent: IceAgent,
    /// `None` before the peer's description, and after an error of an instance whose keys are in use.
    handshake: Option<Handshake>,
    is_described: bool,
    srtp: Option<(srtp::Sender, srtp::Receiver)>,
    liveness: Liveness,
    nominated: Option<Path>,
    nominated_heard: Instant,
    /// Where DTLS goes before a pair is nominated.
    early: Option<Path>,
    known: Vec<Known>,
    candidates_taken: usize,
    held: VecDeque<(Path, Vec<u8>)>,
    transmits: VecDeque<Transmit>,
    data: VecDeque<Vec<u8>>,
    events: VecDeque<PathEvent>,
    counters: Counters,
}

impl Session {
    /// `secret` must be unpredictable: ICE credentials are made of it.
    pub(crate) fn new(
        now: Instant,
        is_caller: bool,
        certificate: Arc<Certificate>,
        local_addresses: &[SocketAddr],
        secret: [u8; 32],
    ) -> Result<Self, BadAddress> {
        let mut agent = agent(is_caller, secret, local_addresses)?;
        // An agent names no deadline before its first.
        agent.handle_timeout(now);
        let mut session = Session {
            certificate,
            agent,
            handshake: None,
            is_described: false,
            srtp: None,
            liveness: Liveness::new(now),
            nominated: None,
            nominated_heard: now,
            early: None,
            known: Vec::new(),
            candidates_taken: 0,
            held: VecDeque::new(),
            transmits: VecDeque::new(),
            data: VecDeque::new(),
            events: VecDeque::new(),
            counters: Counters::default(),
        };
        session.drive(now);
        Ok(session)
    }

    pub(crate) fn ufrag(&self) -> &str {
        &self.agent.local_credentials().ufrag
    }

    pub(crate) fn pwd(&self) -> &str {
        &self.agent.local_credentials().pass
    }

    /// Our candidates as signaling carries them.
    pub(crate) fn candidates(&self) -> Vec<String> {
        self.agent.local_candidates().map(|candidate| candidate.to_sdp_string()).collect()
    }

    /// Takes the peer's description; a later one changes nothing, since credentials last for the whole call.
    pub(crate) fn set_remote(&mut self, now: Instant, remote: RemoteSetup) {
        if self.is_described || self.is_over() {
            return;
        }
        self.is_described = true;
        self.agent.set_remote_credentials(IceCreds { ufrag: remote.ufrag, pass: remote.pwd });
        let Certificate { certificate, config, .. } = &*self.certificate;
        let mut dtls = Dtls::new_12(Arc::clone(config), certificate.clone(), now);
        dtls.set_active(remote.dtls_role == DtlsRole::Client);
        self.handshake = Some(Handshake {
            dtls,
            role: remote.dtls_role,
            is_ready: remote.dtls_role == DtlsRole::Server,
            wake: None,
            fingerprint_sha256: remote.fingerprint_sha256,
        });
        self.agent.handle_timeout(now);
        self.drive(now);
    }

    /// Takes a candidate of the described peer; one that cannot be used is skipped.
    pub(crate) fn add_remote_candidate(&mut self, now: Instant, text: &str) {
        let candidate = match Candidate::from_sdp_string(text) {
            Ok(candidate) => candidate,
            Err(error) => {
                tracing::debug!(text, %error, "remote candidate skipped");
                return;
            }
        };
        if self.candidates_taken == MAX_PATHS || self.is_over() {
            tracing::debug!(text, "remote candidate beyond the limit skipped");
            return;
        }
        self.candidates_taken += 1;
        self.agent.add_remote_candidate(candidate);
        self.agent.handle_timeout(now);
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
        let path = Path { local: destination, remote: source };
        match Kind::of(datagram) {
            Kind::Stun => self.handle_stun(now, path, datagram),
            Kind::Dtls => self.handle_dtls(now, path, datagram),
            Kind::Rtp | Kind::Rtcp if !self.is_valid(path) => self.counters.stray += 1,
            Kind::Rtp => return self.handle_rtp(now, path, datagram).map(Received::Rtp),
            Kind::Rtcp => return self.handle_rtcp(now, path, datagram).map(Received::Rtcp),
            Kind::Other => self.counters.malformed += 1,
        }
        None
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        if self.is_over() {
            return;
        }
        if self.agent.poll_timeout().is_none_or(|due| due <= now) {
            self.agent.handle_timeout(now);
        }
        if self.handshake.as_ref().is_some_and(|end| end.wake.is_some_and(|due| due <= now)) {
            self.with_dtls(now, |_| Ok(()));
        }
        self.drive(now);
    }

    pub(crate) fn poll_timeout(&mut self) -> Option<Instant> {
        let verdict = self.liveness.deadline()?;
        let flight = self.handshake.as_ref().and_then(|end| end.wake);
        [self.agent.poll_timeout(), flight].into_iter().flatten().chain([verdict]).min()
    }

    pub(crate) fn poll_transmit(&mut self) -> Option<Transmit> {
        self.transmits.pop_front()
    }

    pub(crate) fn poll_event(&mut self) -> Option<PathEvent> {
        self.events.pop_front()
    }

    /// Protects an RTP packet in place; the addresses it goes from and to.
    pub(crate) fn protect(&mut self, rtp: &mut Vec<u8>) -> Option<(SocketAddr, SocketAddr)> {
        let path = self.nominated.filter(|_| !self.is_over())?;
        let (sender, _) = self.srtp.as_mut()?;
        match sender.protect_rtp(rtp) {
            Ok(()) => {
                self.counters.rtp_out += 1;
                Some((path.local, path.remote))
            }
            Err(error) => {
                self.counters.unprotected += 1;
                tracing::debug!(%error, "outgoing packet dropped");
                None
            }
        }
    }

    /// Protects RTCP packets in place; the addresses they go from and to.
    pub(crate) fn protect_rtcp(&mut self, rtcp: &mut Vec<u8>) -> Option<(SocketAddr, SocketAddr)> {
        let path = self.nominated.filter(|_| !self.is_over())?;
        let (sender, _) = self.srtp.as_mut()?;
        match sender.protect_rtcp(rtcp) {
            Ok(()) => {
                self.counters.rtcp_out += 1;
                Some((path.local, path.remote))
            }
            Err(error) => {
                self.counters.unprotected += 1;
                tracing::debug!(%error, "outgoing control packet dropped");
                None
            }
        }
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
        match Kind::of(datagram) {
            Kind::Stun => {
                StunMessage::parse(datagram).is_ok_and(|message| self.agent.accepts_message(&message))
            }
            Kind::Dtls | Kind::Rtp | Kind::Rtcp => self.known.iter().any(|known| known.path.remote == source),
            Kind::Other => false,
        }
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
        let Ok(message) = StunMessage::parse(datagram) else {
            self.counters.malformed += 1;
            return;
        };
        let is_answer = message.is_successful_binding_response();
        let packet =
            StunPacket { proto: Protocol::Udp, source: path.remote, destination: path.local, message };
        if !self.agent.handle_packet(now, packet) {
            self.counters.stray += 1;
            return;
        }
        if is_answer {
            self.liveness.consent(now);
        }
        self.learn(path);
        self.hear(now, path);
        if !self.is_connected() {
            // What a check taught is used now, not at the next tick.
            self.agent.handle_timeout(now);
        }
        self.drive(now);
    }

    /// One forged datagram ends a DTLS handshake, so only paths that our own checks passed are heard.
    fn handle_dtls(&mut self, now: Instant, path: Path, datagram: &[u8]) {
        if self.handshake.as_ref().is_some_and(|end| end.is_ready) && self.is_valid(path) {
            self.feed_dtls(now, path, datagram);
            self.drive(now);
        } else if self.held.len() < MAX_HELD && self.known.iter().any(|known| known.path == path) {
            self.held.push_back((path, datagram.to_vec()));
        } else {
            self.counters.stray += 1;
        }
    }

    fn handle_rtp<'a>(&mut self, now: Instant, path: Path, datagram: &'a mut [u8]) -> Option<&'a [u8]> {
        let Some((_, receiver)) = &mut self.srtp else {
            self.counters.early += 1;
            return None;
        };
        match receiver.open_rtp(datagram) {
            Ok(packet) => {
                self.hear(now, path);
                self.settle(now);
                Some(packet)
            }
            Err(error) => {
                self.count_unopened(error);
                None
            }
        }
    }

    fn handle_rtcp<'a>(&mut self, now: Instant, path: Path, datagram: &'a mut [u8]) -> Option<&'a [u8]> {
        let Some((_, receiver)) = &mut self.srtp else {
            self.counters.early += 1;
            return None;
        };
        match receiver.open_rtcp(datagram) {
            Ok(packets) => {
                self.counters.rtcp_in += 1;
                self.hear(now, path);
                self.settle(now);
                Some(packets)
            }
            Err(error) => {
                self.count_unopened(error);
                None
            }
        }
    }

    fn count_unopened(&mut self, error: OpenError) {
        match error {
            OpenError::Packet(_) => self.counters.malformed += 1,
            OpenError::Forged => self.counters.forged += 1,
            OpenError::Replayed => self.counters.replayed += 1,
            OpenError::TooManySources => self.counters.other_source += 1,
        }
    }

    fn is_valid(&self, path: Path) -> bool {
        self.nominated == Some(path) || self.known.iter().any(|known| known.path == path && known.is_valid)
    }

    /// The peer knew our password on this path.
    fn learn(&mut self, path: Path) {
        let is_valid = self.agent.has_viable_remote_candidate(path.remote);
        match self.known.iter_mut().find(|known| known.path == path) {
            Some(known) => known.is_valid |= is_valid,
            None => {
                if self.known.len() == MAX_PATHS {
                    self.known.remove(0);
                }
                self.known.push(Known { path, is_valid });
            }
        }
        if is_valid && self.early.is_none() {
            self.early = Some(path);
        }
    }

    fn hear(&mut self, now: Instant, path: Path) {
        self.liveness.hear(now);
        let is_stale = now >= self.nominated_heard + STALE_AFTER;
        if self.nominated == Some(path) {
            self.nominated_heard = now;
        } else if self.nominated.is_some() && is_stale && self.is_valid(path) {
            // The agent would keep to a pair of better priority until its last check has failed.
            tracing::debug!(remote = %path.remote, "the peer has moved");
            self.nominated = Some(path);
            self.nominated_heard = now;
        }
    }

    /// Carries what the agent and DTLS have to say, until neither says more.
    fn drive(&mut self, now: Instant) {
        while let Some(event) = self.agent.poll_event() {
            match event {
                IceAgentEvent::NominatedSend { source, destination, .. } => {
                    self.nominated = Some(Path { local: source, remote: destination });
                    self.nominated_heard = now;
                    // The controlled end hears of it by the next check.
                    self.agent.handle_timeout(now);
                }
                IceAgentEvent::IceConnectionStateChange(IceConnectionState::Disconnected) => {
                    self.nominated = None
                }
                IceAgentEvent::IceConnectionStateChange(_)
                | IceAgentEvent::IceRestart(_)
                | IceAgentEvent::DiscoveredRecv { .. } => {}
            }
        }
        while let Some(transmit) = self.agent.poll_transmit() {
            let contents = transmit.contents.into();
            self.transmits.push_back(Transmit {
                source: transmit.source,
                destination: transmit.destination,
                contents,
            });
        }
        let has_path = self.nominated.or(self.early).is_some();
        if let Some(end) = self.handshake.as_mut().filter(|end| has_path && !end.is_ready) {
            end.is_ready = true;
            self.with_dtls(now, |_| Ok(()));
        }
        self.release_held(now);
        self.settle(now);
        self.check_invariants();
    }

    fn release_held(&mut self, now: Instant) {
        if self.held.is_empty() || self.handshake.as_ref().is_none_or(|end| !end.is_ready) {
            return;
        }
        for (path, datagram) in std::mem::take(&mut self.held) {
            if self.is_over() {
                return;
            } else if self.is_valid(path) {
                self.feed_dtls(now, path, &datagram);
            } else {
                self.held.push_back((path, datagram));
            }
        }
    }

    fn feed_dtls(&mut self, now: Instant, path: Path, datagram: &[u8]) {
        self.early = Some(path);
        self.with_dtls(now, |dtls| dtls.handle_packet(datagram));
    }

    /// Does one thing with a handshake that is ready and carries out what comes of it.
    fn with_dtls(&mut self, now: Instant, act: impl FnOnce(&mut Dtls) -> Result<(), dimpl::Error>) {
        let Some(end) = self.handshake.as_mut().filter(|end| end.is_ready) else { return };
        let result = end.dtls.handle_timeout(now).and_then(|()| act(&mut end.dtls));
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
                    if let Some(Path { local, remote }) = self.nominated.or(self.early) {
                        let contents = packet.to_vec();
                        self.transmits.push_back(Transmit { source: local, destination: remote, contents });
                    }
                }
                Output::BufferTooSmall { needed } => buffer.resize(needed, 0),
                Output::Timeout(wake) => {
                    // Idle instances name a day years ahead.
                    end.wake = Some(wake).filter(|wake| *wake < now + 4 * FAIL_AFTER);
                    return;
                }
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
                }
                _ => tracing::debug!("output of DTLS that this session does not know"),
            }
        }
    }

    fn settle(&mut self, now: Instant) {
        let event = self.liveness.settle(now, self.srtp.is_some(), self.nominated.is_some());
        if matches!(event, Some(PathEvent::Failed(_))) {
            self.abandon();
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
            !self.is_connected() || self.srtp.is_some() && self.nominated.is_some(),
            "keys and a path"
        );
        debug_assert!(
            self.held.len() <= MAX_HELD && self.known.len() <= MAX_PATHS,
            "what a peer sends is bounded"
        );
        debug_assert!(!self.is_over() || self.held.is_empty(), "a session that is over keeps nothing");
        debug_assert!(self.handshake.is_none() || self.is_described, "the description says who begins");
    }
}

fn own_profile(profile: SrtpProfile) -> Profile {
    match profile {
        SrtpProfile::AES128_CM_SHA1_80 => Profile::Aes128CmSha1_80,
        SrtpProfile::AEAD_AES_128_GCM => Profile::AeadAes128Gcm,
        SrtpProfile::AEAD_AES_256_GCM => Profile::AeadAes256Gcm,
        // One that came with a later release of the library: fails on the length of its keys.
        _ => Profile::AeadAes256Gcm,
    }
}
