//! SCTP over Telegram's servers, the carrier of versions 12.0.0 and 13.0.0 ("V3").
//!
//! What `phone.sendSignalingData` gets are plain SCTP packets (RFC 9260), neither encrypted nor
//! wrapped in DTLS; the users' messages inside are sealed. The caller opens the association. The
//! peer may open it too at the same time (RFC 9260 section 5.2.1): the caller keeps to its own
//! attempt, which the peer has to answer with the same tag.
//!
//! The library draws its tags and sequence numbers itself, so two runs differ in their bytes.

use std::collections::VecDeque;
use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use sctp_proto::{
    Association, AssociationHandle, ClientConfig, DatagramEvent, Endpoint, EndpointConfig, Event, Payload,
    PayloadProtocolIdentifier, ServerConfig, StreamEvent, StreamId, TransportConfig,
};

use super::parameters::CustomParameters;

/// Port of both ends, as in WebRTC.
const PORT: u16 = 5000;

/// The one stream, ordered and reliable.
const STREAM: StreamId = 0;

/// Longest user message either way.
const MAX_MESSAGE_BYTES: u32 = 256 * 1024;

/// Where the chunk type of a packet's first chunk stands, and the value of INIT.
const CHUNK_TYPE_AT: usize = 12;
const INIT: u8 = 1;

/// An SCTP association that begins by itself.
pub(crate) struct Carrier {
    endpoint: Endpoint,
    clock: Clock,
    state: State,
    /// Whether the peer's INIT has made us repeat ours at once.
    prompted: bool,
    waiting: VecDeque<Vec<u8>>,
    packets: VecDeque<Vec<u8>>,
    messages: VecDeque<Vec<u8>>,
}

enum State {
    /// The callee, before the caller's INIT.
    Listening,
    /// The caller, from the start.
    Opening(AssociationHandle, Box<Association>),
    /// The callee, once it answered an INIT.
    Answering(AssociationHandle, Box<Association>),
    Open(AssociationHandle, Box<Association>),
    Closed,
}

/// Translates between the caller's clock and the one the association started with.
#[derive(Debug, Clone, Copy)]
struct Clock {
    here: Instant,
    there: Instant,
}

impl Carrier {
    pub(crate) fn new(active: bool, parameters: &CustomParameters, now: Instant) -> Self {
        let ms = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let first = ms(parameters.sctp_t1_init.max(parameters.sctp_t1_cookie));
        let most = ms(parameters.sctp_max_backoff).max(first);
        let transport = || {
            Arc::new(
                TransportConfig::default()
                    .with_max_send_message_size(MAX_MESSAGE_BYTES)
                    .with_max_receive_message_size(MAX_MESSAGE_BYTES)
                    .with_max_init_retransmits(None)
                    .with_max_data_retransmits(None)
                    .with_rto_initial_ms(first)
                    .with_rto_min_ms(first)
                    .with_rto_max_ms(most)
                    .with_local_port(PORT)
                    .with_remote_port(PORT),
            )
        };
        let config = EndpointConfig::new();
        let mut server = ServerConfig::new();
        server.transport = transport();
        let mut endpoint = Endpoint::new(Arc::new(config), Some(Arc::new(server)));
        let mut clock = Clock { here: now, there: now };
        let mut state = State::Listening;
        if active {
            let mut client = ClientConfig::new();
            client.transport = transport();
            state = match endpoint.connect(client, peer()) {
                Ok((handle, association)) => {
                    // The library reads the system's clock here, and here alone.
                    if let Some(first_repetition) = association.poll_timeout() {
                        clock.there = first_repetition - Duration::from_millis(first);
                    }
                    State::Opening(handle, Box::new(association))
                }
                Err(error) => {
                    tracing::error!(%error, "signaling association cannot begin");
                    State::Closed
                }
            };
        }
        let mut carrier = Self {
            endpoint,
            clock,
            state,
            prompted: false,
            waiting: VecDeque::new(),
            packets: VecDeque::new(),
            messages: VecDeque::new(),
        };
        carrier.drain(now);
        carrier
    }

    /// Sends a message, or keeps it until the association is open.
    pub(crate) fn send(&mut self, now: Instant, message: Vec<u8>) {
        self.waiting.push_back(message);
        self.drain(now);
    }

    pub(crate) fn handle_packet(&mut self, now: Instant, packet: &[u8]) {
        if packet.get(CHUNK_TYPE_AT) == Some(&INIT) && !self.takes_init() {
            self.repeat_own_init();
        } else {
            self.feed(now, packet);
        }
        self.drain(now);
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        let there = self.clock.to_there(now);
        if let Some(association) = self.state.association() {
            association.handle_timeout(there);
        }
        self.drain(now);
    }

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        let at = match &self.state {
            State::Listening | State::Closed => None,
            State::Opening(_, association)
            | State::Answering(_, association)
            | State::Open(_, association) => association.poll_timeout(),
        };
        at.map(|there| self.clock.to_here(there))
    }

    pub(crate) fn poll_packet(&mut self) -> Option<Vec<u8>> {
        self.packets.pop_front()
    }

    pub(crate) fn poll_message(&mut self) -> Option<Vec<u8>> {
        self.messages.pop_front()
    }

    /// Whether the association has ended, by the peer's wish or a fault.
    pub(crate) fn is_closed(&self) -> bool {
        matches!(self.state, State::Closed)
    }

    /// An INIT begins an association for a callee that has none yet; repeated ones are answered
    /// until it is open. Later the library would take them for a fault and close.
    fn takes_init(&self) -> bool {
        matches!(self.state, State::Listening | State::Answering(..))
    }

    /// A peer that opens too has only now begun to listen, and may have missed our first INIT.
    fn repeat_own_init(&mut self) {
        if let State::Opening(_, association) = &mut self.state
            && !self.prompted
            && association.is_handshaking()
            && let Some(repetition) = association.poll_timeout()
        {
            self.prompted = true;
            association.handle_timeout(repetition);
        }
    }

    fn feed(&mut self, now: Instant, packet: &[u8]) {
        let there = self.clock.to_there(now);
        let taken = self.endpoint.handle(there, peer(), None, None, packet.to_vec().into());
        match taken {
            Some((handle, DatagramEvent::NewAssociation(association))) => {
                self.state = State::Answering(handle, Box::new(association));
            }
            Some((handle, DatagramEvent::AssociationEvent(event))) => {
                if let Some((ours, association)) = self.state.parts()
                    && *ours == handle
                {
                    association.handle_event(event);
                }
            }
            None => tracing::debug!(bytes = packet.len(), "no packet of the association"),
        }
    }

    /// Moves everything the association has to say into our queues.
    fn drain(&mut self, now: Instant) {
        let there = self.clock.to_there(now);
        let Some((handle, association)) = self.state.parts() else {
            return;
        };
        let mut opened = false;
        let mut lost = None;
        while let Some(event) = association.poll() {
            match event {
                Event::Connected => opened = true,
                Event::Stream(StreamEvent::Readable { id } | StreamEvent::Opened { id }) => {
                    read(association, id, &mut self.messages);
                }
                Event::HandshakeFailed { reason } | Event::AssociationLost { reason } => {
                    lost = Some(reason);
                }
                Event::Stream(_) | Event::DatagramReceived | Event::DataChannelStatsFinal(_) => {}
                _ => {}
            }
        }
        while association.accept_stream().is_some() {}
        if !association.is_handshaking() && lost.is_none() {
            write(association, &mut self.waiting);
        }
        while let Some(transmit) = association.poll_transmit(there) {
            if let Payload::RawEncode(datagrams) = transmit.payload {
                self.packets.extend(datagrams.into_iter().map(|datagram| datagram.to_vec()));
            }
        }
        while let Some(event) = association.poll_endpoint_event() {
            self.endpoint.handle_event(*handle, event);
        }
        if let Some(reason) = lost {
            tracing::debug!(%reason, "signaling association ended");
            self.state = State::Closed;
        } else if opened {
            self.state.open();
        }
    }
}

impl fmt::Debug for Carrier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match &self.state {
            State::Listening => "listening",
            State::Opening(..) => "opening",
            State::Answering(..) => "answering",
            State::Open(..) => "open",
            State::Closed => "closed",
        };
        f.debug_struct("Carrier")
            .field("state", &state)
            .field("waiting", &self.waiting.len())
            .finish_non_exhaustive()
    }
}

impl State {
    fn parts(&mut self) -> Option<(&AssociationHandle, &mut Association)> {
        match self {
            Self::Listening | Self::Closed => None,
            Self::Opening(handle, association)
            | Self::Answering(handle, association)
            | Self::Open(handle, association) => Some((handle, association)),
        }
    }

    fn association(&mut self) -> Option<&mut Association> {
        self.parts().map(|(_, association)| association)
    }

    fn open(&mut self) {
        *self = match std::mem::replace(self, Self::Closed) {
            Self::Opening(handle, association) | Self::Answering(handle, association) => {
                Self::Open(handle, association)
            }
            other @ (Self::Listening | Self::Open(..) | Self::Closed) => other,
        };
    }
}

impl Clock {
    fn to_there(self, now: Instant) -> Instant {
        self.there + now.saturating_duration_since(self.here)
    }

    fn to_here(self, at: Instant) -> Instant {
        self.here + at.saturating_duration_since(self.there)
    }
}

fn read(association: &mut Association, id: StreamId, messages: &mut VecDeque<Vec<u8>>) {
    let Ok(mut stream) = association.stream(id) else {
        return;
    };
    while let Ok(Some(chunks)) = stream.read_sctp() {
        let mut message = vec![0; chunks.len()];
        if chunks.read(&mut message).is_ok() {
            messages.push_back(message);
        }
    }
}

fn write(association: &mut Association, waiting: &mut VecDeque<Vec<u8>>) {
    if waiting.is_empty() {
        return;
    }
    if association.stream(STREAM).is_err()
        && let Err(error) = association.open_stream(STREAM, PayloadProtocolIdentifier::Binary)
    {
        tracing::debug!(%error, "signaling stream cannot be opened yet");
        return;
    }
    let Ok(mut stream) = association.stream(STREAM) else {
        return;
    };
    while let Some(message) = waiting.front() {
        if let Err(error) = stream.write_with_ppi(message, PayloadProtocolIdentifier::Binary) {
            tracing::debug!(%error, "signaling message cannot be written yet");
            return;
        }
        waiting.pop_front();
    }
}

/// SCTP wants an address; there is none.
fn peer() -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, PORT))
}
