//! A call of Telegram between two people: signaling, negotiation and media path under one roof.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};

use crate::counters::Counters;
use crate::data_channel::DataChannel;
use crate::demux::Received;
use crate::key::SharedKey;
use crate::local::Local;
use crate::negotiation::{Action, AudioFormat, LocalSetup, Negotiation, NegotiationError};
use crate::relay::{Server, has_relay};
use crate::route::{Detour, Route, StreamId, StreamOrder, Transmit};
use crate::session::{BadAddress, Certificate, PathEvent, PathFailure, PathInfo, Session, Ways};
use crate::signaling::{CustomParameters, Signaling, SignalingError};
use crate::version::Version;

/// A peer's microphone is told of 5 times a second at most, however often it is switched.
const MUTE_PACE: Duration = Duration::from_millis(200);

/// What a call is made of once the final `phoneCall` is there.
pub struct Parameters {
    /// The key that both ends agreed on.
    pub key: SharedKey,
    /// This account issued `phone.requestCall`.
    pub is_caller: bool,
    /// What [`Version::choose`] made of `phoneCall.protocol`.
    pub version: Version,
    /// `phoneCall.p2p_allowed`: whether the peer may learn our addresses. If not, media goes through relays alone.
    pub p2p_allowed: bool,
    /// `phoneCall.connections`.
    pub servers: Vec<Server>,
    /// No UDP at all, as behind a proxy: media goes through relays over streams alone.
    pub only_streams: bool,
    /// `phoneCall.custom_parameters`, JSON.
    pub custom_parameters: Option<String>,
    /// Bound sockets, the best first, no unspecified addresses among them; none are needed with `only_streams`.
    pub local_addresses: Vec<Local>,
    /// The process's certificate.
    pub certificate: Arc<Certificate>,
    /// Unpredictable and never used twice; every choice of this end comes from it.
    pub seed: [u8; 32],
}

/// Why a call cannot begin.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// The peer must not learn our addresses, or there is no UDP, and no relay to use was given.
    #[error("the call may only use relays, and none that it can use is known")]
    NoRelay,
    #[error("no local address was given")]
    NoAddress,
    #[error(transparent)]
    Address(#[from] BadAddress),
}

/// Why a call is gone for good.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    #[error(transparent)]
    Path(#[from] PathFailure),
    #[error(transparent)]
    Negotiation(#[from] NegotiationError),
    /// Only before the call was connected: media outlives its signaling.
    #[error(transparent)]
    Signaling(#[from] SignalingError),
}

/// What happens to a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// Keys and path are there: for the first time, or again after [`Event::Reconnecting`].
    Connected,
    /// The peer is not heard any more; media may come back by itself.
    Reconnecting,
    /// The call is over.
    Failed(Failure),
    /// The peer takes our audio in this form; [`Call::outgoing`] has it from now on.
    OutgoingFormat(AudioFormat),
    /// The peer switched its microphone off (true) or on; on is where a call begins. Comes 5 times a second at most,
    /// and not for what was switched back by then.
    RemoteMuted(bool),
    /// The peer closed its media path. Its `phoneCallDiscarded` is to follow.
    Closed,
}

/// One call, without I/O: bytes, events and the time go in, bytes, events and the next deadline come out.
///
/// After every `handle_*`, after [`Call::new`] and after [`Call::close`], drain every `poll_*`.
pub struct Call {
    signaling: Signaling,
    negotiation: Negotiation,
    session: Session,
    channel: DataChannel,
    outgoing: Option<AudioFormat>,
    incoming: Option<AudioFormat>,
    was_connected: bool,
    remote_muted: bool,
    /// What the shell was told of it, and when.
    told_muted: bool,
    muted_told_at: Option<Instant>,
    events: VecDeque<Event>,
}

impl Call {
    /// Begins a call at `now`; a caller has signaling to send at once.
    ///
    /// # Errors
    /// [`CallError`] if no path to the peer could ever be found.
    pub fn new(now: Instant, parameters: Parameters) -> Result<Self, CallError> {
        let Parameters { key, is_caller, version, certificate, seed, .. } = parameters;
        let only_streams = parameters.only_streams;
        if (!parameters.p2p_allowed || only_streams) && !has_relay(&parameters.servers, only_streams) {
            return Err(CallError::NoRelay);
        }
        if parameters.local_addresses.is_empty() && !only_streams {
            return Err(CallError::NoAddress);
        }
        let custom = parameters.custom_parameters.as_deref().map(CustomParameters::parse).unwrap_or_default();
        if custom.media_over_mtproto {
            tracing::warn!("the server wants media over MTProto, which this end does not speak");
        }
        let ways = Ways {
            locals: &parameters.local_addresses,
            servers: &parameters.servers,
            may_be_direct: parameters.p2p_allowed,
            only_streams,
            has_standalone_reflectors: custom.standalone_reflectors,
        };
        let secrets = [derive(&seed, b"ice"), derive(&seed, b"relays")];
        let [s0, s1, s2, s3, ..] = derive(&seed, b"ssrc");
        let ssrc = u32::from_be_bytes([s0, s1, s2, s3]).max(1);
        let mut session = Session::new(now, is_caller, Arc::clone(&certificate), ssrc, &ways, secrets)?;
        let local = LocalSetup {
            ufrag: session.ufrag().to_owned(),
            pwd: session.pwd().to_owned(),
            fingerprint: certificate.fingerprint().to_owned(),
        };
        let [e0, e1, e2, e3, e4, e5, e6, e7, ..] = derive(&seed, b"exchanges");
        let exchanges = u64::from_be_bytes([e0, e1, e2, e3, e4, e5, e6, e7]);
        let mut negotiation = Negotiation::new(is_caller, ssrc, local, exchanges);
        while let Some(candidate) = session.poll_candidate() {
            negotiation.add_local_candidate(candidate);
        }
        negotiation.start();
        let mut call = Call {
            signaling: Signaling::new(version, &key, is_caller, &custom, now),
            negotiation,
            session,
            channel: DataChannel::new(now, is_caller),
            outgoing: None,
            incoming: None,
            was_connected: false,
            remote_muted: false,
            told_muted: false,
            muted_told_at: None,
            events: VecDeque::new(),
        };
        call.drive(now);
        Ok(call)
    }

    /// Takes the bytes of one `updatePhoneCallSignalingData`.
    pub fn handle_signaling(&mut self, now: Instant, packet: &[u8]) {
        self.signaling.handle_packet(now, packet);
        self.drive(now);
    }

    /// Takes a datagram that came from `source` to our `destination`, one of the local addresses.
    ///
    /// Returns the media inside it, decrypted in place: RTP if it is audio of this call, RTCP of any source.
    pub fn handle_datagram<'a>(
        &mut self,
        now: Instant,
        source: SocketAddr,
        destination: SocketAddr,
        datagram: &'a mut [u8],
    ) -> Option<Received<'a>> {
        let received = self.session.handle_datagram(now, source, destination, datagram);
        self.after_packets(now);
        received.filter(|received| self.take(received))
    }

    /// Takes a datagram as [`Call::handle_datagram`] does, if it is sound on the way that media takes and that way leads
    /// straight to the peer. Nothing else comes of it, so there is nothing to drain afterwards.
    ///
    /// Returns the RTP packet inside, decrypted in place; `None` if that is no audio of this call.
    ///
    /// # Errors
    /// [`Detour`] for everything else, which is to be given to [`Call::handle_datagram`].
    pub fn open<'a>(
        &mut self,
        now: Instant,
        source: SocketAddr,
        destination: SocketAddr,
        datagram: &'a mut [u8],
    ) -> Result<Option<&'a [u8]>, Detour> {
        let opened = self.session.open(now, source, destination, datagram)?;
        Ok(opened.filter(|packet| self.take(&Received::Rtp(packet))))
    }

    /// Takes word that a stream is connected.
    pub fn handle_stream_opened(&mut self, now: Instant, stream: StreamId) {
        self.session.handle_stream_opened(now, stream);
        self.after_packets(now);
    }

    /// Takes bytes of a stream, as they come; [`Call::poll_stream_media`] is to be drained next.
    pub fn handle_stream_data(&mut self, now: Instant, stream: StreamId, bytes: &[u8]) {
        self.session.handle_stream_data(now, stream, bytes);
    }

    /// Takes word that a stream could not be had, or ended. Another one is ordered in time.
    pub fn handle_stream_closed(&mut self, now: Instant, stream: StreamId) {
        self.session.handle_stream_closed(now, stream);
        self.after_packets(now);
    }

    /// The next packet in what streams brought, like those of [`Call::handle_datagram`].
    pub fn poll_stream_media(&mut self, now: Instant) -> Option<Received<'_>> {
        loop {
            let found = self.session.poll_stream_media(now);
            self.after_packets(now);
            let (at, range) = found?;
            // Borrowed twice, since a loan that may end in a return lasts for the whole loop.
            let is_audio = match self.session.stream_media(at, range.clone()) {
                Received::Rtp(packet) => Some(self.incoming.is_some_and(|format| carries(format, packet))),
                Received::Rtcp(_) => None,
            };
            if let Some(is_ours) = is_audio {
                self.count(is_ours);
            }
            if is_audio.unwrap_or(true) {
                return Some(self.session.stream_media(at, range));
            }
        }
    }

    /// Takes another socket into use, bound like those of [`Parameters::local_addresses`]: one of a network that came up,
    /// or one that was for relays alone and is for everything now.
    ///
    /// # Errors
    /// [`BadAddress`] for an address that cannot be a candidate.
    pub fn add_local_address(&mut self, now: Instant, local: impl Into<Local>) -> Result<(), BadAddress> {
        self.session.add_local(now, local.into())?;
        self.drive(now);
        Ok(())
    }

    /// Gives up a socket whose network is gone; media moves to another way at once if there is one.
    pub fn remove_local_address(&mut self, now: Instant, address: SocketAddr) {
        self.session.remove_local(now, address);
        self.drive(now);
    }

    /// Takes word that the machine's addresses have changed where that adds and removes no local address, as with
    /// [`Parameters::only_streams`]: every stream to a relay is replaced at once, since one that went through an
    /// address that is gone would stay silent for ever.
    pub fn handle_network_change(&mut self, now: Instant) {
        self.session.handle_network_change(now);
        self.drive(now);
    }

    /// Does what is due at `now`.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.signaling.poll_timeout().is_some_and(|due| due <= now) {
            self.signaling.handle_timeout(now);
        }
        self.session.handle_timeout(now);
        if self.channel.poll_timeout().is_some_and(|due| due <= now) {
            self.channel.handle_timeout(now);
        }
        self.tell_muted(now);
        self.drive(now);
    }

    /// The next packet to send.
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        self.session.poll_transmit()
    }

    /// The next stream to open or to close.
    pub fn poll_stream_order(&mut self) -> Option<StreamOrder> {
        self.session.poll_stream_order()
    }

    /// The next bytes for `phone.sendSignalingData`.
    pub fn poll_signaling(&mut self) -> Option<Vec<u8>> {
        self.signaling.poll_packet()
    }

    /// The next thing that happened.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// When [`Call::handle_timeout`] is due; never, once the call is over.
    pub fn poll_timeout(&mut self) -> Option<Instant> {
        let session = self.session.poll_timeout()?;
        let others = [self.signaling.poll_timeout(), self.channel.poll_timeout(), self.muted_due()];
        others.into_iter().flatten().chain([session]).min()
    }

    /// How to number and mark our audio, once the peer has answered our offer.
    pub fn outgoing(&self) -> Option<AudioFormat> {
        self.outgoing
    }

    /// Makes of a complete RTP packet what is to be sent, in place: protected, and wrapped if a relay is to forward it.
    /// `None` while there is no path or no key: the packet is dropped.
    pub fn protect(&mut self, now: Instant, rtp: &mut Vec<u8>) -> Option<Route> {
        self.session.protect(now, rtp)
    }

    /// Protects a packet as [`Call::protect`] does, if its way leads straight to the peer. It is the first `length` bytes of
    /// `room`, and [`TAIL_BYTES`](crate::srtp::TAIL_BYTES) are free behind it; its new length is told.
    ///
    /// `None` for what is not to be sent.
    ///
    /// # Errors
    /// [`Detour`] where [`Call::protect`] is to be asked.
    pub fn seal(&mut self, room: &mut [u8], length: usize) -> Result<Option<(Route, usize)>, Detour> {
        self.session.seal(room, length)
    }

    /// The way that media takes, while there is one.
    pub fn path(&self) -> Option<PathInfo> {
        self.session.path_info()
    }

    /// Protects RTCP packets that stand behind each other (RFC 3550 section 6.1), in place, and appends index and tag;
    /// wrapped for a relay like [`Call::protect`]. `None` while there is no path or no key.
    pub fn protect_rtcp(&mut self, now: Instant, rtcp: &mut Vec<u8>) -> Option<Route> {
        self.session.protect_rtcp(now, rtcp)
    }

    /// Has the peer's application show our microphone as off or on, as soon as it can be told; on is where a call
    /// begins. Telegram's applications send no RTP while muted, and audio that comes all the same is played.
    pub fn set_muted(&mut self, now: Instant, is_muted: bool) {
        self.channel.set_muted(now, is_muted);
        self.drive(now);
    }

    /// Whether a datagram that came to a socket of several calls belongs to this one: a check by its credentials,
    /// anything else by an address that passed a check.
    pub fn accepts(&self, source: SocketAddr, datagram: &[u8]) -> bool {
        self.session.accepts(source, datagram)
    }

    /// Ends the call: the peer is told on the media path. Hanging up is still the business of `phone.discardCall`.
    pub fn close(&mut self, now: Instant) {
        self.session.close(now);
    }

    /// Whether audio can flow both ways as far as the path goes.
    pub fn is_connected(&self) -> bool {
        self.session.is_connected()
    }

    /// What the peer's connectivity checks name this end by, on whichever socket.
    pub fn ufrag(&self) -> &str {
        self.session.ufrag()
    }

    /// Whether [`Call::peers`] may have changed since this was asked last.
    pub fn take_peers_changed(&mut self) -> bool {
        self.session.take_peers_changed()
    }

    /// Where the peer was heard from on a local socket: by a check that knew our password, or an answer to one of ours.
    pub fn peers(&self, local: SocketAddr) -> impl Iterator<Item = SocketAddr> {
        self.session.peers(local)
    }

    /// Packets so far.
    pub fn counters(&self) -> Counters {
        *self.session.counters()
    }

    /// Carries messages and actions between the parts until none has more to say.
    fn drive(&mut self, now: Instant) {
        loop {
            self.take_path_events(now);
            if let Some(action) = self.negotiation.poll_action() {
                self.act(now, action);
            } else if let Some(message) = self.signaling.poll_message() {
                self.negotiation.handle(message);
            } else if !self.exchange_data(now) {
                break;
            }
        }
        self.take_candidates(now);
        if !self.was_connected
            && let Some(error) = self.signaling.error()
        {
            let failure = error.clone().into();
            self.fail(failure);
        }
        self.check_invariants();
    }

    /// What a packet may have brought besides itself.
    fn after_packets(&mut self, now: Instant) {
        if self.take_path_events(now) || self.session.has_data() {
            self.drive(now);
        } else {
            self.take_candidates(now);
        }
    }

    /// Tells the peer of our candidates as they become known.
    fn take_candidates(&mut self, now: Instant) {
        while let Some(candidate) = self.session.poll_candidate() {
            self.negotiation.add_local_candidate(candidate);
            while let Some(action) = self.negotiation.poll_action() {
                self.act(now, action);
            }
        }
    }

    /// Whether an authentic packet is for our shell: reports, and audio that was offered to us.
    fn take(&mut self, received: &Received<'_>) -> bool {
        match received {
            Received::Rtp(packet) => {
                let is_ours = self.incoming.is_some_and(|format| carries(format, packet));
                self.count(is_ours);
                is_ours
            }
            Received::Rtcp(_) => true,
        }
    }

    fn count(&mut self, is_ours: bool) {
        let counters = self.session.counters_mut();
        counters.rtp_in += u64::from(is_ours);
        counters.other_source += u64::from(!is_ours);
    }

    fn act(&mut self, now: Instant, action: Action) {
        match action {
            Action::Send(message) => self.signaling.send(now, &message),
            Action::RemoteSetup(remote) => self.session.set_remote(now, remote),
            Action::RemoteCandidate(line) => self.session.add_remote_candidate(now, &line),
            Action::Outgoing(format) => {
                self.outgoing = Some(format);
                self.events.push_back(Event::OutgoingFormat(format));
            }
            Action::Incoming(format) => self.incoming = Some(format),
            Action::IncomingClosed => self.incoming = None,
            Action::RemoteMuted(muted) => {
                self.remote_muted = muted;
                self.tell_muted(now);
            }
            Action::Fail(error) => self.fail(error.into()),
        }
    }

    /// When the shell may be told of the peer's microphone, if there is news of it.
    fn muted_due(&self) -> Option<Instant> {
        self.muted_told_at.filter(|_| self.remote_muted != self.told_muted).map(|at| at + MUTE_PACE)
    }

    fn tell_muted(&mut self, now: Instant) {
        if self.remote_muted != self.told_muted && self.muted_due().is_none_or(|due| due <= now) {
            self.told_muted = self.remote_muted;
            self.muted_told_at = Some(now);
            self.events.push_back(Event::RemoteMuted(self.remote_muted));
        }
    }

    /// Carries SCTP between the data channel and DTLS; whether there was any.
    fn exchange_data(&mut self, now: Instant) -> bool {
        let mut is_news = false;
        while let Some(packet) = self.session.poll_data() {
            self.channel.handle_packet(now, &packet);
            is_news = true;
        }
        while let Some(packet) = self.channel.poll_packet() {
            if !self.session.send_data(now, &packet) {
                self.channel.close();
            }
            is_news = true;
        }
        while let Some(message) = self.channel.poll_message() {
            self.negotiation.handle(message);
        }
        is_news
    }

    /// Takes what happened to the path; whether anything did.
    fn take_path_events(&mut self, now: Instant) -> bool {
        let mut is_news = false;
        while let Some(event) = self.session.poll_event() {
            is_news = true;
            self.events.push_back(match event {
                PathEvent::Connected => {
                    self.was_connected = true;
                    self.channel.open(now);
                    Event::Connected
                }
                PathEvent::Reconnecting => Event::Reconnecting,
                PathEvent::Failed(failure) => Event::Failed(failure.into()),
                PathEvent::Closed => Event::Closed,
            });
        }
        is_news
    }

    fn fail(&mut self, failure: Failure) {
        if !self.session.is_over() {
            self.session.abandon();
            self.events.push_back(Event::Failed(failure));
        }
    }

    fn check_invariants(&self) {
        debug_assert!(!self.is_connected() || self.was_connected, "every connection is told of");
        debug_assert!(self.outgoing.is_none_or(|format| format.ssrc != 0 && format.payload_type < 128));
    }
}

/// The payload type is looked at too: retransmissions and the like may share a source.
fn carries(format: AudioFormat, packet: &[u8]) -> bool {
    packet[1] & 0x7f == format.payload_type && packet[8..12] == format.ssrc.to_be_bytes()
}

/// One secret for one purpose.
fn derive(seed: &[u8; 32], purpose: &[u8]) -> [u8; 32] {
    Sha256::new().chain_update(seed).chain_update(purpose).finalize().into()
}
