//! What the two ends of a call agree on before sound flows: an audio-only engine's side of it.
//!
//! Every offer lists what its sender wants to send, so a call takes two: the caller's and the
//! callee's. An answer repeats the offer's identifier and its synchronisation source. A callee
//! must not offer before it has answered the caller, and nothing is ever answered twice: to a
//! naive peer a second answer is a new offer, and two such peers would go on for ever.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::signaling::Message;
use crate::signaling::message::{
    Candidates, Content, Fingerprint, InitialSetup, MediaKind, NegotiateChannels, PayloadType, Setup,
};

/// Payload type under which Opus is offered.
const OPUS_PAYLOAD_TYPE: u8 = 111;

/// Ticks of Opus's RTP clock per second (RFC 7587 section 4.1).
const OPUS_CLOCK_HZ: u32 = 48_000;

/// Most candidates taken from the peer in one call.
const MAX_REMOTE_CANDIDATES: usize = 256;

/// Longest candidate line taken, in bytes.
const MAX_CANDIDATE_BYTES: usize = 512;

/// Most offers taken from the peer in one call.
const MAX_OFFERS: usize = 1024;

/// What this end tells the peer about its transport.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalSetup {
    /// ICE user fragment.
    pub ufrag: String,
    /// ICE password.
    pub pwd: String,
    /// SHA-256 of the certificate, upper-case hex with colons.
    pub fingerprint: String,
}

/// What the peer told about its transport.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteSetup {
    /// ICE user fragment.
    pub ufrag: String,
    /// ICE password.
    pub pwd: String,
    /// SHA-256 of the certificate the peer must present.
    pub fingerprint_sha256: [u8; 32],
    /// The part this end takes in the DTLS handshake.
    pub dtls_role: DtlsRole,
}

/// A part in the DTLS handshake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DtlsRole {
    /// Begins the handshake.
    Client,
    /// Waits for it, and chooses the SRTP profile.
    Server,
}

/// What the session is to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Send this through the signaling.
    Send(Message),
    /// Start ICE and DTLS with these; comes once, and before any remote candidate.
    RemoteSetup(RemoteSetup),
    /// Add a candidate line of the peer (RFC 8839 section 5.1, with its `candidate:`). Its
    /// address may be a relay's name, and it may not parse: then it is skipped alone.
    RemoteCandidate(String),
    /// The peer takes our audio in this form.
    Outgoing(AudioFormat),
    /// The peer's audio will come in this form, and in no other; replaces the one before.
    Incoming(AudioFormat),
    /// The peer's latest offer has no audio for us: what came before ends.
    IncomingClosed,
    /// The peer switched its microphone off (true) or on.
    RemoteMuted(bool),
    /// The call cannot be had.
    Fail(NegotiationError),
}

/// How Opus travels in one direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AudioFormat {
    /// RTP payload type.
    pub payload_type: u8,
    /// Synchronisation source of the sender.
    pub ssrc: u32,
}

/// Why a call cannot be had.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NegotiationError {
    /// Its answer lacks our audio, or Opus in it.
    #[error("the peer refused our audio")]
    PeerRefusedAudio,
    /// The certificate's fingerprint cannot be checked.
    #[error(
        "the peer's certificate fingerprint {hash:?} {fingerprint:?}: want sha-256 and 32 bytes of hex with colons"
    )]
    Fingerprint {
        /// The hash function it names.
        hash: String,
        /// The fingerprint as it came.
        fingerprint: String,
    },
}

/// The negotiation of one call.
#[derive(Debug)]
pub struct Negotiation {
    is_caller: bool,
    ssrc: u32,
    local: LocalSetup,
    ids: ExchangeIds,
    setup_sent: bool,
    remote_setup_known: bool,
    offer: Offer,
    /// Every offer we ever made: late answers to withdrawn ones are no new offers.
    own_offers: BTreeSet<u32>,
    answered_offers: BTreeSet<u32>,
    unsent_candidates: Vec<String>,
    remote_candidates: BTreeSet<String>,
    early_candidates: Vec<String>,
    actions: VecDeque<Action>,
}

/// Our offer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Offer {
    None,
    Pending(u32),
    Confirmed,
}

impl Negotiation {
    /// Prepares the negotiation of a call in which this end sends audio as `ssrc`; `seed` makes
    /// the identifiers of its offers.
    #[must_use]
    pub fn new(is_caller: bool, ssrc: u32, local: LocalSetup, seed: u64) -> Self {
        Self {
            is_caller,
            ssrc,
            local,
            ids: ExchangeIds(seed),
            setup_sent: false,
            remote_setup_known: false,
            offer: Offer::None,
            own_offers: BTreeSet::new(),
            answered_offers: BTreeSet::new(),
            unsent_candidates: Vec::new(),
            remote_candidates: BTreeSet::new(),
            early_candidates: Vec::new(),
            actions: VecDeque::new(),
        }
    }

    /// Begins: the caller sends its setup and its offer, the callee waits for the caller's setup.
    pub fn start(&mut self) {
        if self.is_caller && !self.setup_sent {
            self.send_setup();
            self.send_offer();
        }
        self.check_invariants();
    }

    /// Tells the peer of a local candidate, as soon as it may know.
    pub fn add_local_candidate(&mut self, sdp: impl Into<String>) {
        let sdp = sdp.into();
        if self.setup_sent {
            self.send(Message::Candidates(Candidates::one(sdp)));
        } else {
            self.unsent_candidates.push(sdp);
        }
    }

    /// Takes a message of the peer, from the signaling or the data channel.
    pub fn handle(&mut self, message: Message) {
        match message {
            Message::InitialSetup(setup) => self.handle_setup(setup),
            Message::Candidates(candidates) => self.handle_candidates(candidates),
            Message::NegotiateChannels(channels) => self.handle_channels(channels),
            Message::MediaState(state) => {
                self.actions.push_back(Action::RemoteMuted(state.muted));
            }
        }
        self.check_invariants();
    }

    /// The next thing to do.
    #[must_use]
    pub fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    fn handle_setup(&mut self, setup: InitialSetup) {
        if self.remote_setup_known {
            tracing::debug!("repeated setup ignored");
            return;
        }
        let remote = match remote_setup(setup, self.is_caller) {
            Ok(remote) => remote,
            Err(error) => {
                self.actions.push_back(Action::Fail(error));
                return;
            }
        };
        self.remote_setup_known = true;
        if !self.setup_sent {
            self.send_setup();
        }
        self.actions.push_back(Action::RemoteSetup(remote));
        let early = self.early_candidates.drain(..);
        self.actions.extend(early.map(Action::RemoteCandidate));
    }

    fn handle_candidates(&mut self, candidates: Candidates) {
        for candidate in candidates.candidates {
            let sdp = candidate.sdp;
            if sdp.len() > MAX_CANDIDATE_BYTES || self.remote_candidates.len() >= MAX_REMOTE_CANDIDATES {
                tracing::debug!(bytes = sdp.len(), "remote candidate beyond the limits dropped");
            } else if self.remote_candidates.insert(sdp.clone()) {
                if self.remote_setup_known {
                    self.actions.push_back(Action::RemoteCandidate(sdp));
                } else {
                    self.early_candidates.push(sdp);
                }
            }
        }
    }

    fn handle_channels(&mut self, channels: NegotiateChannels) {
        let id = channels.exchange_id;
        if self.offer == Offer::Pending(id) {
            self.handle_answer(&channels);
        } else if self.own_offers.contains(&id) || self.answered_offers.contains(&id) {
            tracing::debug!(id, "exchange already handled");
        } else if self.is_caller && matches!(self.offer, Offer::Pending(_)) {
            tracing::debug!(id, "offer lost against ours");
        } else if self.answered_offers.len() >= MAX_OFFERS {
            tracing::debug!(id, "offer beyond the limit dropped");
        } else {
            self.handle_offer(channels);
        }
    }

    fn handle_answer(&mut self, answer: &NegotiateChannels) {
        self.offer = Offer::Confirmed;
        let ours = answer
            .contents
            .iter()
            .find(|content| content.kind == MediaKind::Audio && content.ssrc == self.ssrc)
            .and_then(opus);
        self.actions.push_back(match ours {
            Some(opus) => Action::Outgoing(AudioFormat { payload_type: opus.id, ssrc: self.ssrc }),
            None => Action::Fail(NegotiationError::PeerRefusedAudio),
        });
    }

    fn handle_offer(&mut self, offer: NegotiateChannels) {
        if matches!(self.offer, Offer::Pending(_)) {
            self.offer = Offer::None;
        }
        self.answered_offers.insert(offer.exchange_id);
        let accepted = offer
            .contents
            .iter()
            .filter(|content| content.kind == MediaKind::Audio)
            .find_map(|content| Some((content.ssrc, opus(content)?)));
        let contents = match accepted {
            Some((ssrc, opus)) => {
                self.actions.push_back(Action::Incoming(AudioFormat { payload_type: opus.id, ssrc }));
                vec![audio(ssrc, opus.id, opus.parameters.clone())]
            }
            None => {
                self.actions.push_back(Action::IncomingClosed);
                Vec::new()
            }
        };
        self.send(Message::NegotiateChannels(NegotiateChannels { exchange_id: offer.exchange_id, contents }));
        if self.offer == Offer::None {
            self.send_offer();
        }
    }

    fn send_setup(&mut self) {
        self.setup_sent = true;
        let setup = if self.is_caller { Setup::ActPass } else { Setup::Passive };
        self.send(Message::InitialSetup(InitialSetup {
            ufrag: self.local.ufrag.clone(),
            pwd: self.local.pwd.clone(),
            renomination: false,
            fingerprints: vec![Fingerprint {
                hash: "sha-256".to_owned(),
                setup,
                fingerprint: self.local.fingerprint.clone(),
            }],
        }));
        for sdp in std::mem::take(&mut self.unsent_candidates) {
            self.send(Message::Candidates(Candidates::one(sdp)));
        }
    }

    fn send_offer(&mut self) {
        let exchange_id = self
            .ids
            .by_ref()
            .find(|id| !self.own_offers.contains(id) && !self.answered_offers.contains(id))
            .expect("the identifiers never end");
        self.own_offers.insert(exchange_id);
        self.offer = Offer::Pending(exchange_id);
        let parameters = [("minptime", "10"), ("useinbandfec", "1")]
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .into();
        self.send(Message::NegotiateChannels(NegotiateChannels {
            exchange_id,
            contents: vec![audio(self.ssrc, OPUS_PAYLOAD_TYPE, parameters)],
        }));
    }

    fn send(&mut self, message: Message) {
        self.actions.push_back(Action::Send(message));
    }

    fn check_invariants(&self) {
        debug_assert!(self.early_candidates.is_empty() || !self.remote_setup_known);
        debug_assert!(self.unsent_candidates.is_empty() || !self.setup_sent);
        debug_assert!(self.own_offers.is_disjoint(&self.answered_offers));
        if let Offer::Pending(id) = self.offer {
            debug_assert!(self.own_offers.contains(&id));
        }
        debug_assert!(self.is_caller || self.own_offers.is_empty() || !self.answered_offers.is_empty());
    }
}

/// Makes exchange identifiers from a seed: scattered, never 0.
#[derive(Debug)]
struct ExchangeIds(u64);

impl Iterator for ExchangeIds {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        loop {
            self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            let id = (mixed >> 32) as u32;
            if id != 0 {
                return Some(id);
            }
        }
    }
}

/// An audio content with Opus alone. Without feedback types and extensions the peer sends plain
/// RTP and expects no transport feedback.
fn audio(ssrc: u32, payload_type: u8, parameters: BTreeMap<String, String>) -> Content {
    Content {
        kind: MediaKind::Audio,
        ssrc,
        ssrc_groups: Vec::new(),
        payload_types: vec![PayloadType {
            id: payload_type,
            name: "opus".to_owned(),
            clockrate: OPUS_CLOCK_HZ,
            channels: 2,
            feedback_types: Vec::new(),
            parameters,
        }],
        rtp_extensions: Vec::new(),
    }
}

fn opus(content: &Content) -> Option<&PayloadType> {
    content.payload_types.iter().find(|format| {
        format.name.eq_ignore_ascii_case("opus") && format.clockrate == OPUS_CLOCK_HZ && format.id < 128
    })
}

fn remote_setup(setup: InitialSetup, is_caller: bool) -> Result<RemoteSetup, NegotiationError> {
    let refused = |given: Option<&Fingerprint>| NegotiationError::Fingerprint {
        hash: given.map(|given| given.hash.clone()).unwrap_or_default(),
        fingerprint: given.map(|given| given.fingerprint.clone()).unwrap_or_default(),
    };
    let first = setup.fingerprints.first().ok_or_else(|| refused(None))?;
    let fingerprint_sha256 = Some(&first.fingerprint)
        .filter(|_| first.hash.eq_ignore_ascii_case("sha-256"))
        .and_then(|text| sha256_from_hex(text))
        .ok_or_else(|| refused(Some(first)))?;
    let dtls_role = match (first.setup, is_caller) {
        (Setup::Passive, _) | (Setup::ActPass, true) => DtlsRole::Client,
        (Setup::Active, _) | (Setup::ActPass, false) => DtlsRole::Server,
    };
    Ok(RemoteSetup { ufrag: setup.ufrag, pwd: setup.pwd, fingerprint_sha256, dtls_role })
}

/// Reads `AA:BB:..` of 32 bytes, in either case.
fn sha256_from_hex(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    let mut pairs = text.split(':');
    for byte in &mut bytes {
        let pair = pairs.next().filter(|pair| pair.len() == 2)?;
        if !pair.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return None;
        }
        *byte = u8::from_str_radix(pair, 16).ok()?;
    }
    pairs.next().is_none().then_some(bytes)
}
