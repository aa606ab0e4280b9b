//! One SCTP association (RFC 9260) over whatever carries its packets: Telegram's servers, or DTLS.
//!
//! The active end opens it. The peer may open it too at the same time (section 5.2.1): the active end keeps to its own
//! attempt, which the peer has to answer with the same tag.
//!
//! What waits to be said rides with the active end's COOKIE ECHO.
//!
//! The library draws its tags and sequence numbers itself, so two runs differ in their bytes. The only place that
//! knows the crate `sctp_proto`.

mod early;

use std::collections::VecDeque;
use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

pub(crate) use sctp_proto::PayloadProtocolIdentifier;
use sctp_proto::{
    AssociationError, AssociationHandle, ClientConfig, DatagramEvent, Endpoint, EndpointConfig,
    EndpointEvent, Event, Payload, ServerConfig, StreamEvent, StreamId, TransportConfig,
};

use early::Early;

/// Port of both ends, as in WebRTC.
const PORT: u16 = 5000;

/// The one stream that is written to, ordered and reliable.
const STREAM: StreamId = 0;

/// Streams a peer may open before it is taken for hostile; it needs one.
const MAX_STREAMS: usize = 32;

/// Where the chunk type of a packet's first chunk stands, and the value of INIT.
const CHUNK_TYPE_AT: usize = 12;
const INIT: u8 = 1;

/// How patient an association is, and how much it takes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// First repetition of anything that is not acknowledged.
    pub(crate) first_rto: Duration,
    /// Longest time between two repetitions.
    pub(crate) max_rto: Duration,
    /// Repetitions of the handshake's packets before it is given up; `None` never gives up.
    pub(crate) max_init_repetitions: Option<usize>,
    /// Longest user message either way.
    pub(crate) max_message_bytes: u32,
    /// What a peer may make this end hold, in all its streams.
    pub(crate) max_held_bytes: u32,
}

/// A user message that came, on whichever stream.
#[derive(Debug)]
pub(crate) struct UserMessage {
    pub(crate) stream: u16,
    pub(crate) protocol: PayloadProtocolIdentifier,
    pub(crate) bytes: Vec<u8>,
}

/// An SCTP association that begins by itself.
pub(crate) struct Association {
    endpoint: Endpoint,
    clock: Clock,
    state: State,
    /// Whether the peer's INIT has made us repeat ours at once.
    prompted: bool,
    early: Early,
    waiting: VecDeque<(PayloadProtocolIdentifier, Vec<u8>)>,
    packets: VecDeque<Vec<u8>>,
    messages: VecDeque<UserMessage>,
}

enum State {
    /// The passive end, before the peer's INIT.
    Listening,
    /// The active end, from the start.
    Opening(AssociationHandle, Box<sctp_proto::Association>),
    /// The passive end, once it answered an INIT.
    Answering(AssociationHandle, Box<sctp_proto::Association>),
    Open(AssociationHandle, Box<sctp_proto::Association>),
    Closed,
}

/// Translates between the caller's clock and the one the association started with.
#[derive(Debug, Clone, Copy)]
struct Clock {
    here: Instant,
    there: Instant,
}

impl Association {
    pub(crate) fn new(active: bool, limits: Limits, now: Instant) -> Self {
        let ms = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let first = ms(limits.first_rto);
        let most = ms(limits.max_rto).max(first);
        let transport = || {
            Arc::new(
                TransportConfig::default()
                    .with_max_send_message_size(limits.max_message_bytes)
                    .with_max_receive_message_size(limits.max_message_bytes)
                    .with_max_receive_buffer_size(limits.max_held_bytes)
                    .with_max_init_retransmits(limits.max_init_repetitions)
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
                        let before = Duration::from_millis(first);
                        clock.there = first_repetition.checked_sub(before).unwrap_or(now);
                    }
                    State::Opening(handle, Box::new(association))
                }
                Err(error) => {
                    tracing::error!(%error, "association cannot begin");
                    State::Closed
                }
            };
        }
        let mut association = Self {
            endpoint,
            clock,
            state,
            prompted: false,
            early: Early::default(),
            waiting: VecDeque::new(),
            packets: VecDeque::new(),
            messages: VecDeque::new(),
        };
        association.drain(now);
        association
    }

    /// Sends a message, or keeps it until the association is open.
    pub(crate) fn send(&mut self, now: Instant, protocol: PayloadProtocolIdentifier, message: Vec<u8>) {
        self.waiting.push_back((protocol, message));
        self.drain(now);
    }

    pub(crate) fn handle_packet(&mut self, now: Instant, packet: &[u8]) {
        if packet.get(CHUNK_TYPE_AT) == Some(&INIT) && !self.takes_init() {
            self.repeat_own_init();
        } else if let State::Opening(..) = self.state
            && let Some([ack, rest]) = early::apart(packet)
        {
            self.feed(now, &ack);
            self.drain(now);
            self.feed(now, &rest);
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

    pub(crate) fn poll_message(&mut self) -> Option<UserMessage> {
        self.messages.pop_front()
    }

    /// Whether messages are on their way at once.
    pub(crate) fn is_open(&self) -> bool {
        matches!(self.state, State::Open(..))
    }

    /// Bytes of messages that the peer has not acknowledged.
    pub(crate) fn unacknowledged_bytes(&mut self) -> usize {
        let waiting = self.waiting.iter().map(|(_, message)| message.len()).sum::<usize>();
        let written = self
            .state
            .association()
            .and_then(|association| association.stream(STREAM).ok()?.buffered_amount().ok())
            .unwrap_or(0);
        waiting + written
    }

    /// Ends the association without a word to the peer.
    pub(crate) fn close(&mut self) {
        self.state = State::Closed;
        self.waiting.clear();
        self.packets.clear();
    }

    /// Whether the association has ended, by the peer's wish or a fault.
    pub(crate) fn is_closed(&self) -> bool {
        matches!(self.state, State::Closed)
    }

    /// An INIT begins an association for a passive end that has none yet; repeated ones are answered
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
                let answering = State::Answering(handle, Box::new(association));
                let before = std::mem::replace(&mut self.state, answering);
                if let State::Answering(stale, _) = before {
                    self.endpoint.handle_event(stale, EndpointEvent::drained());
                }
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
        let mut new_streams = 0_usize;
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
        while association.accept_stream().is_some() {
            new_streams += 1;
        }
        if new_streams > 0 && association.stream_ids().len() > MAX_STREAMS {
            tracing::debug!("the peer opens streams without end");
            lost.get_or_insert(AssociationError::AssociationClosed);
        }
        if !association.is_handshaking() && lost.is_none() {
            write(association, &mut self.waiting);
        }
        while let Some(transmit) = association.poll_transmit(there) {
            if let Payload::RawEncode(datagrams) = transmit.payload {
                for datagram in datagrams {
                    self.packets.extend(self.early.leaves(datagram.to_vec(), &self.waiting));
                }
            }
        }
        while let Some(event) = association.poll_endpoint_event() {
            self.endpoint.handle_event(*handle, event);
        }
        if let Some(reason) = lost {
            tracing::debug!(%reason, "association ended");
            self.state = State::Closed;
            self.waiting.clear();
        } else if opened {
            self.state.open();
        }
    }
}

impl fmt::Debug for Association {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match &self.state {
            State::Listening => "listening",
            State::Opening(..) => "opening",
            State::Answering(..) => "answering",
            State::Open(..) => "open",
            State::Closed => "closed",
        };
        f.debug_struct("Association")
            .field("state", &state)
            .field("waiting", &self.waiting.len())
            .finish_non_exhaustive()
    }
}

impl State {
    fn parts(&mut self) -> Option<(&AssociationHandle, &mut sctp_proto::Association)> {
        match self {
            Self::Listening | Self::Closed => None,
            Self::Opening(handle, association)
            | Self::Answering(handle, association)
            | Self::Open(handle, association) => Some((handle, association)),
        }
    }

    fn association(&mut self) -> Option<&mut sctp_proto::Association> {
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

fn read(association: &mut sctp_proto::Association, id: StreamId, messages: &mut VecDeque<UserMessage>) {
    let Ok(mut stream) = association.stream(id) else {
        return;
    };
    while let Ok(Some(chunks)) = stream.read_sctp() {
        let mut bytes = vec![0; chunks.len()];
        if chunks.read(&mut bytes).is_ok() {
            messages.push_back(UserMessage { stream: id, protocol: chunks.ppi, bytes });
        }
    }
}

fn write(
    association: &mut sctp_proto::Association,
    waiting: &mut VecDeque<(PayloadProtocolIdentifier, Vec<u8>)>,
) {
    if waiting.is_empty() {
        return;
    }
    if association.stream(STREAM).is_err()
        && let Err(error) = association.open_stream(STREAM, PayloadProtocolIdentifier::Binary)
    {
        tracing::debug!(%error, "stream cannot be opened yet");
        return;
    }
    let Ok(mut stream) = association.stream(STREAM) else {
        return;
    };
    while let Some((protocol, message)) = waiting.front() {
        if let Err(error) = stream.write_with_ppi(message, *protocol) {
            tracing::debug!(%error, "message cannot be written yet");
            return;
        }
        waiting.pop_front();
    }
}

/// SCTP wants an address; there is none.
fn peer() -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, PORT))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recorded_init_is_answered_and_opens_the_association() {
        let now = Instant::now();
        let mut callee = Association::new(false, LIMITS, now);
        assert!(callee.poll_packet().is_none());
        assert_eq!(callee.poll_timeout(), None);
        callee.send(now, BINARY, b"early".to_vec());
        let mut peer = Peer::recorded();
        callee.handle_packet(now, &peer.init());
        let answer = peer.read(&callee.poll_packet().unwrap());
        assert_eq!(answer.kind, INIT_ACK);
        assert_eq!(answer.tag, peer.tag);
        peer.learn(&answer);
        callee.handle_packet(now, &peer.packet(COOKIE_ECHO, 0, &cookie_in(&answer)));
        assert_eq!(peer.read(&callee.poll_packet().unwrap()).kind, COOKIE_ACK);
        let data = peer.read(&callee.poll_packet().unwrap());
        assert_eq!(peer.user_message(&data), b"early");
        callee.handle_packet(now, &peer.data(b"hello"));
        assert_eq!(callee.poll_message().unwrap().bytes, b"hello");
    }

    #[test]
    fn a_caller_keeps_to_its_own_association_when_both_open_one() {
        let now = Instant::now();
        let mut caller = Association::new(true, LIMITS, now);
        let mut peer = Peer::recorded();
        let first = caller.poll_packet().unwrap();
        let init = peer.read(&first);
        assert_eq!((init.kind, init.tag), (INIT, 0));
        // The peer was not there yet. Its own INIT shows that it is now: ours is repeated at once,
        // and once only, else two such ends would go on for ever.
        caller.handle_packet(now, &peer.init());
        assert_eq!(caller.poll_packet().unwrap(), first);
        caller.handle_packet(now, &peer.init());
        assert!(caller.poll_packet().is_none());
        // RFC 9260 section 5.2.1: it answers with the tag and number of its own INIT.
        peer.learn(&init);
        caller.handle_packet(now, &peer.init_ack(b"a cookie"));
        let echo = peer.read(&caller.poll_packet().unwrap());
        assert_eq!((echo.kind, echo.tag, echo.value.as_slice()), (COOKIE_ECHO, peer.tag, &b"a cookie"[..]));
        caller.send(now, BINARY, b"offer".to_vec());
        assert!(caller.poll_packet().is_none());
        caller.handle_packet(now, &peer.packet(COOKIE_ACK, 0, &[]));
        let data = peer.read(&caller.poll_packet().unwrap());
        assert_eq!(peer.user_message(&data), b"offer");
        caller.handle_packet(now, &peer.data(b"answer"));
        assert_eq!(caller.poll_message().unwrap().bytes, b"answer");
    }

    #[test]
    fn what_waits_rides_with_the_cookie_and_is_not_sent_again() {
        let now = Instant::now();
        let (mut caller, mut peer, init) = cookie_sent(now, &[b"offer", b"and more"]);
        let first = u32::from_be_bytes(init.value[12..16].try_into().unwrap());
        let packet = caller.poll_packet().unwrap();
        let chunks = peer.read_all(&packet);
        assert_eq!(chunks.iter().map(|chunk| chunk.kind).collect::<Vec<_>>(), [COOKIE_ECHO, 0, 0]);
        for (number, (chunk, message)) in chunks[1..].iter().zip([&b"offer"[..], b"and more"]).enumerate() {
            let head =
                [&(first + number as u32).to_be_bytes()[..], &[0, 0, 0, number as u8, 0, 0, 0, 53]].concat();
            assert_eq!((chunk.flags, &chunk.value[..12], &chunk.value[12..]), (3, &head[..], message));
        }
        // Nobody heard: it all goes again.
        let later = caller.poll_timeout().unwrap();
        caller.handle_timeout(later);
        assert_eq!(caller.poll_packet().unwrap(), packet);
        // The acknowledgement of what rode comes with that of the cookie.
        let [ack, sack] = [peer.packet(COOKIE_ACK, 0, &[]), peer.packet(SACK, 0, &sack(first + 1))];
        caller.handle_packet(later, &bundle(&[&ack, &sack]));
        assert!(caller.poll_packet().is_none());
        assert_eq!((caller.is_open(), caller.unacknowledged_bytes()), (true, 0));
        caller.send(later, BINARY, b"next".to_vec());
        let next = peer.read(&caller.poll_packet().unwrap());
        assert_eq!(next.value[..8], [&(first + 2).to_be_bytes()[..], &[0, 0, 0, 2]].concat());
        caller.handle_packet(later, &peer.data(b"answer"));
        assert_eq!(caller.poll_message().unwrap().bytes, b"answer");
    }

    #[test]
    fn what_rode_in_vain_is_repeated() {
        let now = Instant::now();
        let (mut caller, peer, _) = cookie_sent(now, &[b"offer"]);
        assert!(caller.poll_packet().is_some());
        caller.handle_packet(now, &peer.packet(COOKIE_ACK, 0, &[]));
        assert!(caller.poll_packet().is_none());
        let later = caller.poll_timeout().unwrap();
        assert_eq!(later - now, LIMITS.first_rto);
        caller.handle_timeout(later);
        assert_eq!(peer.user_message(&peer.read(&caller.poll_packet().unwrap())), b"offer");
    }

    #[test]
    fn an_acknowledgement_of_its_own_and_an_early_answer_are_taken() {
        let now = Instant::now();
        let (mut caller, mut peer, init) = cookie_sent(now, &[b"offer"]);
        let first = u32::from_be_bytes(init.value[12..16].try_into().unwrap());
        let alone = peer.read_all(&caller.poll_packet().unwrap());
        assert_eq!(alone.len(), 2);
        // The acknowledgement of the cookie is lost; more is to be said meanwhile.
        caller.send(now, BINARY, b"and more".to_vec());
        assert!(caller.poll_packet().is_none());
        caller.handle_packet(now, &peer.packet(SACK, 0, &sack(first)));
        caller.handle_packet(now, &peer.data(b"answer"));
        assert_eq!(caller.poll_message().unwrap().bytes, b"answer");
        while caller.poll_packet().is_some() {}
        let later = caller.poll_timeout().unwrap().max(now + LIMITS.first_rto);
        caller.handle_timeout(later);
        let echo = std::iter::from_fn(|| caller.poll_packet())
            .map(|packet| peer.read_all(&packet))
            .find(|chunks| chunks[0].kind == COOKIE_ECHO);
        assert_eq!(echo.unwrap().len(), 3);
        caller.handle_packet(later, &peer.packet(COOKIE_ACK, 0, &[]));
        while let Some(packet) = caller.poll_packet() {
            assert!(peer.read_all(&packet).iter().all(|chunk| chunk.kind != 0), "both rode");
        }
        caller.handle_packet(later, &peer.packet(SACK, 0, &sack(first + 1)));
        assert_eq!((caller.is_closed(), caller.unacknowledged_bytes()), (false, 0));
    }

    #[test]
    fn nobody_begins_another_association_behind_a_cookie_ack() {
        let now = Instant::now();
        let (mut caller, peer, _) = cookie_sent(now, &[b"offer"]);
        while caller.poll_packet().is_some() {}
        let [ack, init] = [packet(0, COOKIE_ACK, 0, &[]), peer.init()];
        caller.handle_packet(now, &bundle(&[&ack, &init]));
        assert!(caller.poll_packet().is_none(), "no INIT ACK");
        caller.handle_packet(now, &peer.packet(COOKIE_ACK, 0, &[]));
        assert!(caller.is_open());
    }

    #[test]
    fn what_has_no_room_beside_the_cookie_follows_it() {
        let now = Instant::now();
        let long = [7; 1_190];
        let (mut caller, peer, _) = cookie_sent(now, &[b"offer", &long, b"and more"]);
        let packet = caller.poll_packet().unwrap();
        assert_eq!(peer.read_all(&packet).len(), 2);
        caller.handle_packet(now, &peer.packet(COOKIE_ACK, 0, &[]));
        let followed: Vec<Vec<u8>> = std::iter::from_fn(|| caller.poll_packet())
            .flat_map(|packet| peer.read_all(&packet))
            .map(|chunk| chunk.value[12..].to_vec())
            .collect();
        assert!(followed == [long.to_vec(), b"and more".to_vec()]);
    }

    #[test]
    fn late_copies_of_the_handshake_do_not_disturb_an_open_association() {
        let now = Instant::now();
        let (mut callee, mut peer, answer) = opened_callee(now);
        for _ in 0..2 {
            callee.handle_packet(now, &peer.init());
            callee.handle_packet(now, &peer.packet(COOKIE_ECHO, 0, &cookie_in(&answer)));
        }
        while callee.poll_packet().is_some() {}
        callee.handle_packet(now, &peer.data(b"still there"));
        assert_eq!(callee.poll_message().unwrap().bytes, b"still there");
        assert!(!callee.is_closed());
    }

    #[test]
    fn an_init_is_repeated_with_short_timers_and_without_end() {
        let start = Instant::now();
        let mut caller = Association::new(true, LIMITS, start);
        assert!(caller.poll_packet().is_some());
        let mut sent_ms = Vec::new();
        while let Some(at) = caller.poll_timeout() {
            if at > start + Duration::from_secs(60) {
                break;
            }
            caller.handle_timeout(at);
            while caller.poll_packet().is_some() {
                sent_ms.push((at - start).as_millis());
            }
        }
        assert_eq!(sent_ms[..4], [400, 1_150, 1_900, 2_650]);
        assert_eq!(sent_ms.len(), 80);
    }

    #[test]
    fn the_clock_is_the_one_that_is_handed_in() {
        let far = Instant::now() + Duration::from_secs(1_000_000);
        let caller = Association::new(true, LIMITS, far);
        let first = caller.poll_timeout().unwrap();
        assert_eq!(first - far, Duration::from_millis(400));
    }

    #[test]
    fn an_association_the_peer_aborts_is_closed() {
        let now = Instant::now();
        let (mut callee, mut peer, _) = opened_callee(now);
        callee.handle_packet(now, &peer.packet(6, 0, &[]));
        assert!(callee.is_closed());
        assert_eq!(callee.poll_timeout(), None);
        callee.send(now, BINARY, b"too late".to_vec());
        callee.handle_packet(now, &peer.data(b"too late"));
        assert!(callee.poll_message().is_none());
    }

    #[test]
    fn a_message_longer_than_a_packet_arrives_whole() {
        let now = Instant::now();
        let mut caller = Association::new(true, LIMITS, now);
        let mut callee = Association::new(false, LIMITS, now);
        let long: Vec<u8> = (0..50_000_u32).map(|index| index as u8).collect();
        caller.send(now, BINARY, long.clone());
        let mut at = now;
        let got = loop {
            while let Some(packet) = caller.poll_packet() {
                callee.handle_packet(at, &packet);
            }
            while let Some(packet) = callee.poll_packet() {
                caller.handle_packet(at, &packet);
            }
            if let Some(message) = callee.poll_message() {
                break message.bytes;
            }
            at += Duration::from_millis(100);
            assert!(at < now + Duration::from_secs(60));
            caller.handle_timeout(at);
            callee.handle_timeout(at);
        };
        assert!(got == long);
    }

    #[test]
    fn a_peer_cannot_open_streams_without_end() {
        let now = Instant::now();
        let (mut callee, mut peer, _) = opened_callee(now);
        for stream in 0..1000 {
            peer.ssn = 0;
            callee.handle_packet(now, &peer.data_on(stream, b"more"));
            while callee.poll_packet().is_some() {}
            while callee.poll_message().is_some() {}
        }
        assert!(callee.is_closed());
    }

    #[test]
    fn a_handshake_that_nobody_answers_is_given_up_where_it_may_be() {
        let now = Instant::now();
        let mut caller = Association::new(true, Limits { max_init_repetitions: Some(3), ..LIMITS }, now);
        caller.send(now, BINARY, b"never heard".to_vec());
        let mut inits = 0;
        while let Some(at) = caller.poll_timeout() {
            inits += std::iter::from_fn(|| caller.poll_packet()).count();
            caller.handle_timeout(at);
        }
        assert_eq!((inits, caller.is_closed(), caller.unacknowledged_bytes()), (4, true, 0));
    }

    #[test]
    fn no_packet_makes_it_panic() {
        let mut random = Random(0x9e37_79b9_7f4a_7c15);
        let now = Instant::now();
        for round in 0..3_000 {
            let (mut association, peer) = if round % 3 == 0 {
                let mut caller = Association::new(true, LIMITS, now);
                let mut peer = Peer::recorded();
                let init = peer.read(&caller.poll_packet().unwrap());
                peer.learn(&init);
                (caller, peer)
            } else if round % 3 == 1 {
                let (caller, peer, _) = cookie_sent(now, &[b"offer", b"and more"]);
                (caller, peer)
            } else {
                let (callee, peer, _) = opened_callee(now);
                (callee, peer)
            };
            for _ in 0..8 {
                let kinds = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 14, 0x82, 0xc0, 0xc2, 0x40];
                let kind = kinds[random.below(kinds.len())];
                let value: Vec<u8> = (0..random.below(60)).map(|_| random.below(256) as u8).collect();
                let mut packet = peer.packet(kind, random.below(256) as u8, &value);
                for _ in 0..random.below(3) {
                    let at = 12 + random.below(packet.len() - 12);
                    packet[at] = random.below(256) as u8;
                }
                if random.below(8) == 0 {
                    packet.truncate(random.below(packet.len()));
                }
                if packet.len() >= 12 && random.below(4) == 0 {
                    packet = bundle(&[&peer.packet(COOKIE_ACK, 0, &[]), &packet.repeat(2)]);
                }
                if packet.len() >= 12 {
                    seal_checksum(&mut packet);
                }
                association.handle_packet(now, &packet);
                while association.poll_packet().is_some() {}
                while association.poll_message().is_some() {}
            }
            association.handle_timeout(now + Duration::from_secs(10));
        }
    }

    const BINARY: PayloadProtocolIdentifier = PayloadProtocolIdentifier::Binary;
    const LIMITS: Limits = Limits {
        first_rto: Duration::from_millis(400),
        max_rto: Duration::from_millis(750),
        max_init_repetitions: None,
        max_message_bytes: 256 * 1024,
        max_held_bytes: 1024 * 1024,
    };
    const INIT_ACK: u8 = 2;
    const SACK: u8 = 3;
    const COOKIE_ECHO: u8 = 10;
    const COOKIE_ACK: u8 = 11;

    /// An SCTP end written for these tests alone, with the numbers of a recorded ntgcalls call.
    struct Peer {
        tag: u32,
        tsn: u32,
        ssn: u16,
        parameters: Vec<u8>,
        their_tag: u32,
    }

    #[derive(Debug)]
    struct Chunk {
        tag: u32,
        kind: u8,
        flags: u8,
        value: Vec<u8>,
    }

    impl Peer {
        fn recorded() -> Self {
            let capture = include_str!("../testdata/signaling/ntgcalls-13.0.0.json");
            let capture: serde_json::Value = serde_json::from_str(capture).unwrap();
            let packet = &capture["packets"][0];
            let init = &packet["chunks"][0];
            assert_eq!(init["chunk"], "INIT");
            let peer = Self {
                tag: init["init_tag"].as_u64().unwrap() as u32,
                tsn: init["init_tsn"].as_u64().unwrap() as u32,
                ssn: 0,
                parameters: hex::decode(init["params"].as_str().unwrap()).unwrap(),
                their_tag: 0,
            };
            // The capture's own checksum proves that the bytes are those of the wire.
            let bytes = peer.init();
            assert_eq!(bytes.len() as u64, packet["size"]);
            let checksum = u32::from_be_bytes(bytes[8..12].try_into().unwrap());
            assert_eq!(u64::from(checksum), packet["checksum"]);
            peer
        }

        fn init(&self) -> Vec<u8> {
            packet(0, INIT, 0, &[self.greeting(), self.parameters.clone()].concat())
        }

        fn init_ack(&self, cookie: &[u8]) -> Vec<u8> {
            let head = [&[0, 7][..], &(cookie.len() as u16 + 4).to_be_bytes()].concat();
            let value = [self.greeting(), head, cookie.to_vec()].concat();
            packet(self.their_tag, INIT_ACK, 0, &value)
        }

        fn greeting(&self) -> Vec<u8> {
            let (tag, tsn) = (self.tag.to_be_bytes(), self.tsn.to_be_bytes());
            [&tag[..], &0x0050_0000_u32.to_be_bytes(), &[0xff; 4], &tsn].concat()
        }

        fn data(&mut self, message: &[u8]) -> Vec<u8> {
            self.data_on(0, message)
        }

        fn data_on(&mut self, stream: u16, message: &[u8]) -> Vec<u8> {
            let (tsn, ssn) = (self.tsn.to_be_bytes(), self.ssn.to_be_bytes());
            self.tsn = self.tsn.wrapping_add(1);
            self.ssn += 1;
            let value = [&tsn[..], &stream.to_be_bytes(), &ssn, &53_u32.to_be_bytes(), message].concat();
            self.packet(0, 3, &value)
        }

        fn packet(&self, kind: u8, flags: u8, value: &[u8]) -> Vec<u8> {
            packet(self.their_tag, kind, flags, value)
        }

        /// Checks header and checksum, and takes the first chunk.
        fn read(&self, bytes: &[u8]) -> Chunk {
            self.read_all(bytes).remove(0)
        }

        fn read_all(&self, bytes: &[u8]) -> Vec<Chunk> {
            assert_eq!(bytes[..4], [0x13, 0x88, 0x13, 0x88]);
            let mut again = bytes.to_vec();
            seal_checksum(&mut again);
            assert_eq!(again, bytes);
            let (tag, mut rest) = (u32::from_be_bytes(bytes[4..8].try_into().unwrap()), &bytes[12..]);
            let mut chunks = Vec::new();
            while !rest.is_empty() {
                let length = u16::from_be_bytes(rest[2..4].try_into().unwrap()) as usize;
                chunks.push(Chunk { tag, kind: rest[0], flags: rest[1], value: rest[4..length].to_vec() });
                rest = &rest[length.next_multiple_of(4)..];
            }
            chunks
        }

        fn learn(&mut self, greeting: &Chunk) {
            self.their_tag = u32::from_be_bytes(greeting.value[..4].try_into().unwrap());
        }

        fn user_message<'a>(&self, data: &'a Chunk) -> &'a [u8] {
            assert_eq!((data.kind, data.tag), (0, self.tag));
            assert_eq!(data.value[4..12], [0, 0, 0, 0, 0, 0, 0, 53]);
            &data.value[12..]
        }
    }

    fn opened_callee(now: Instant) -> (Association, Peer, Chunk) {
        let mut callee = Association::new(false, LIMITS, now);
        let mut peer = Peer::recorded();
        callee.handle_packet(now, &peer.init());
        let answer = peer.read(&callee.poll_packet().unwrap());
        peer.learn(&answer);
        callee.handle_packet(now, &peer.packet(COOKIE_ECHO, 0, &cookie_in(&answer)));
        assert_eq!(peer.read(&callee.poll_packet().unwrap()).kind, COOKIE_ACK);
        (callee, peer, answer)
    }

    /// A caller with messages to say, up to its COOKIE ECHO, and its INIT.
    fn cookie_sent(now: Instant, messages: &[&[u8]]) -> (Association, Peer, Chunk) {
        let mut caller = Association::new(true, LIMITS, now);
        for message in messages {
            caller.send(now, BINARY, message.to_vec());
        }
        let mut peer = Peer::recorded();
        let init = peer.read(&caller.poll_packet().unwrap());
        assert!(caller.poll_packet().is_none());
        peer.learn(&init);
        caller.handle_packet(now, &peer.init_ack(b"a cookie"));
        (caller, peer, init)
    }

    /// What acknowledges all up to a TSN.
    fn sack(tsn: u32) -> Vec<u8> {
        [&tsn.to_be_bytes()[..], &[0, 1, 0, 0, 0, 0, 0, 0]].concat()
    }

    /// One packet with the chunks of several.
    fn bundle(packets: &[&[u8]]) -> Vec<u8> {
        let mut all = packets[0][..12].to_vec();
        packets.iter().for_each(|packet| all.extend(&packet[12..]));
        seal_checksum(&mut all);
        all
    }

    /// The state cookie among an INIT ACK's parameters (RFC 9260 section 3.3.3.1).
    fn cookie_in(init_ack: &Chunk) -> Vec<u8> {
        let mut rest = &init_ack.value[16..];
        loop {
            let length = u16::from_be_bytes(rest[2..4].try_into().unwrap()) as usize;
            if rest[..2] == [0, 7] {
                return rest[4..length].to_vec();
            }
            rest = &rest[length.next_multiple_of(4)..];
        }
    }

    fn packet(tag: u32, kind: u8, flags: u8, value: &[u8]) -> Vec<u8> {
        let length = (value.len() as u16 + 4).to_be_bytes();
        let mut bytes = vec![0x13, 0x88, 0x13, 0x88];
        bytes.extend(tag.to_be_bytes());
        bytes.extend([0; 4]);
        bytes.extend([kind, flags, length[0], length[1]]);
        bytes.extend(value);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        seal_checksum(&mut bytes);
        bytes
    }

    /// CRC32c, bit by bit (RFC 9260 appendix A).
    fn seal_checksum(bytes: &mut [u8]) {
        bytes[8..12].fill(0);
        let mut crc = u32::MAX;
        for byte in bytes.iter() {
            crc ^= u32::from(*byte);
            for _ in 0..8 {
                crc = (crc >> 1) ^ (0x82f6_3b78 * (crc & 1));
            }
        }
        bytes[8..12].copy_from_slice(&(!crc).to_le_bytes());
    }

    struct Random(u64);

    impl Random {
        fn below(&mut self, bound: usize) -> usize {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            (self.0 >> 11) as usize % bound
        }
    }
}
