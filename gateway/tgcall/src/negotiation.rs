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

/// Longest part of a peer's text that an error repeats, in characters.
const MAX_QUOTED_CHARS: usize = 100;

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
        /// The hash function it names, its first 100 characters.
        hash: String,
        /// The fingerprint as it came, its first 100 characters.
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
        hash: given.map(|given| quoted(&given.hash)).unwrap_or_default(),
        fingerprint: given.map(|given| quoted(&given.fingerprint)).unwrap_or_default(),
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

fn quoted(text: &str) -> String {
    text.chars().take(MAX_QUOTED_CHARS).collect()
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

#[cfg(test)]
#[expect(clippy::wildcard_enum_match_arm, reason = "a test looks for one variant and no other")]
mod tests {
    use super::*;
    use crate::signaling::message::{Candidate, FeedbackType, MediaState, RtpExtension};

    #[test]
    fn a_caller_begins_with_its_setup_its_candidates_and_an_offer() {
        let mut caller = Negotiation::new(true, OUR_SSRC, local(), 1);
        caller.add_local_candidate("candidate:early");
        assert_eq!(caller.poll_action(), None);
        caller.start();
        caller.add_local_candidate("candidate:late");
        let sent: Vec<String> = sent(&mut caller).iter().map(written).collect();
        assert_eq!(
            sent[0],
            r#"{"@type":"InitialSetup","ufrag":"uuuu","pwd":"pppp","renomination":false,"fingerprints":[{"hash":"sha-256","setup":"actpass","fingerprint":"AA:BB"}]}"#
        );
        assert_eq!(sent[1], r#"{"@type":"Candidates","candidates":[{"sdpString":"candidate:early"}]}"#);
        let id = caller.own_offers.first().unwrap();
        let offer = format!(
            concat!(
                r#"{{"@type":"NegotiateChannels","exchangeId":"{}","contents":[{{"type":"audio","#,
                r#""ssrc":"1111","payloadTypes":[{{"id":111,"name":"opus","clockrate":48000,"#,
                r#""channels":2,"feedbackTypes":[],"parameters":{{"minptime":"10","#,
                r#""useinbandfec":"1"}}}}],"rtpExtensions":[]}}]}}"#
            ),
            id
        );
        assert_eq!(sent[2], offer);
        assert_eq!(sent[3], r#"{"@type":"Candidates","candidates":[{"sdpString":"candidate:late"}]}"#);
        assert_eq!(sent.len(), 4);
        caller.start();
        assert_eq!(caller.poll_action(), None);
    }

    #[test]
    fn a_callee_says_nothing_before_the_callers_setup() {
        let mut callee = Negotiation::new(false, OUR_SSRC, local(), 1);
        callee.start();
        callee.add_local_candidate("candidate:1");
        callee.handle(candidate("candidate:theirs"));
        assert_eq!(callee.poll_action(), None);
        callee.handle(setup(Setup::ActPass));
        let actions = drain(&mut callee);
        let [Action::Send(Message::InitialSetup(ours)), Action::Send(Message::Candidates(_)), rest @ ..] =
            actions.as_slice()
        else {
            panic!("{actions:?}");
        };
        assert_eq!(ours.fingerprints[0].setup, Setup::Passive);
        assert!(!ours.renomination);
        assert_eq!(rest[0], Action::RemoteSetup(remote(DtlsRole::Server)));
        assert_eq!(rest[1..], [Action::RemoteCandidate("candidate:theirs".to_owned())]);
    }

    #[test]
    fn the_dtls_role_follows_the_peers_setup_and_the_caller_is_client_by_default() {
        let role = |is_caller, word| {
            let mut end = Negotiation::new(is_caller, OUR_SSRC, local(), 1);
            end.start();
            end.handle(setup(word));
            let role = drain(&mut end).into_iter().find_map(|action| match action {
                Action::RemoteSetup(setup) => Some(setup.dtls_role),
                _ => None,
            });
            role.unwrap()
        };
        for is_caller in [true, false] {
            assert_eq!(role(is_caller, Setup::Passive), DtlsRole::Client);
            assert_eq!(role(is_caller, Setup::Active), DtlsRole::Server);
        }
        assert_eq!(role(true, Setup::ActPass), DtlsRole::Client);
        assert_eq!(role(false, Setup::ActPass), DtlsRole::Server);
    }

    #[test]
    fn a_callee_answers_with_the_offerers_numbers_and_then_offers() {
        let mut callee = started(false);
        callee.handle(Message::NegotiateChannels(offer_of(77, &[(63, "red"), (100, "OPUS"), (0, "PCMU")])));
        let actions = drain(&mut callee);
        let [incoming, Action::Send(answer), Action::Send(Message::NegotiateChannels(offer))] =
            actions.as_slice()
        else {
            panic!("{actions:?}");
        };
        let format = AudioFormat { payload_type: 100, ssrc: THEIR_SSRC };
        assert_eq!(*incoming, Action::Incoming(format));
        assert_eq!(
            written(answer),
            concat!(
                r#"{"@type":"NegotiateChannels","exchangeId":"77","contents":[{"type":"audio","#,
                r#""ssrc":"2222","payloadTypes":[{"id":100,"name":"opus","clockrate":48000,"#,
                r#""channels":2,"feedbackTypes":[],"parameters":{"minptime":"10"}}],"#,
                r#""rtpExtensions":[]}]}"#
            )
        );
        assert_ne!(offer.exchange_id, 77);
        assert_eq!(offer.contents[0].ssrc, OUR_SSRC);
    }

    #[test]
    fn an_answer_confirms_our_audio_under_the_answered_number() {
        let mut caller = started(true);
        let id = pending(&caller);
        let mut answer = offer_of(id, &[(100, "opus")]);
        answer.contents[0].ssrc = OUR_SSRC;
        caller.handle(Message::NegotiateChannels(answer.clone()));
        let format = AudioFormat { payload_type: 100, ssrc: OUR_SSRC };
        assert_eq!(drain(&mut caller), [Action::Outgoing(format)]);
        caller.handle(Message::NegotiateChannels(answer));
        assert_eq!(drain(&mut caller), []);
    }

    #[test]
    fn an_answer_without_our_audio_ends_the_call() {
        let id = pending(&started(true));
        let foreign_ssrc = offer_of(id, &[(111, "opus")]);
        let mut no_opus = offer_of(id, &[(0, "PCMU")]);
        no_opus.contents[0].ssrc = OUR_SSRC;
        let mut video = offer_of(id, &[(111, "opus")]);
        video.contents[0].kind = MediaKind::Video;
        video.contents[0].ssrc = OUR_SSRC;
        let nothing = NegotiateChannels { exchange_id: id, contents: Vec::new() };
        for answer in [foreign_ssrc, no_opus, video, nothing] {
            let mut caller = started(true);
            caller.handle(Message::NegotiateChannels(answer));
            let refused = Action::Fail(NegotiationError::PeerRefusedAudio);
            assert_eq!(drain(&mut caller), [refused]);
        }
    }

    #[test]
    fn a_caller_wins_a_collision_of_offers() {
        let mut caller = started(true);
        caller.handle(offer(5));
        assert_eq!(drain(&mut caller), []);
        let id = pending(&caller);
        caller.handle(answer_to(id));
        drain(&mut caller);
        // The callee offers anew once it has answered, even under the same number.
        caller.handle(offer(5));
        assert!(matches!(
            drain(&mut caller).as_slice(),
            [Action::Incoming(_), Action::Send(Message::NegotiateChannels(answer))]
                if answer.exchange_id == 5
        ));
    }

    #[test]
    fn a_callee_withdraws_its_offer_for_the_callers_and_offers_again() {
        let mut callee = started(false);
        callee.handle(offer(1));
        drain(&mut callee);
        let withdrawn = pending(&callee);
        callee.handle(offer(2));
        let actions = drain(&mut callee);
        assert_eq!(actions.len(), 3);
        let again = pending(&callee);
        assert_ne!(again, withdrawn);
        // The answer to the withdrawn offer is late, and no new offer.
        callee.handle(answer_to(withdrawn));
        assert_eq!(drain(&mut callee), []);
        callee.handle(answer_to(again));
        assert!(matches!(drain(&mut callee).as_slice(), [Action::Outgoing(_)]));
    }

    #[test]
    fn a_repeated_offer_is_never_answered_twice() {
        for is_caller in [true, false] {
            let mut end = started(is_caller);
            if is_caller {
                let id = pending(&end);
                end.handle(answer_to(id));
            }
            end.handle(offer(9));
            assert!(!drain(&mut end).is_empty());
            for _ in 0..3 {
                end.handle(offer(9));
                assert_eq!(drain(&mut end), []);
            }
        }
    }

    #[test]
    fn an_offer_after_confirmation_is_answered_without_a_new_offer_of_ours() {
        let mut callee = started(false);
        callee.handle(offer(1));
        let id = pending(&callee);
        callee.handle(answer_to(id));
        drain(&mut callee);
        callee.handle(offer(2));
        assert!(matches!(
            drain(&mut callee).as_slice(),
            [Action::Incoming(_), Action::Send(Message::NegotiateChannels(answer))]
                if answer.exchange_id == 2
        ));
    }

    #[test]
    fn transport_wide_feedback_and_extensions_are_neither_offered_nor_accepted() {
        let mut callee = started(false);
        let mut offer = offer_of(6, &[(111, "opus")]);
        let content = &mut offer.contents[0];
        let feedback = FeedbackType { kind: "transport-cc".to_owned(), subtype: String::new() };
        content.payload_types[0].feedback_types.push(feedback);
        let uri = "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01";
        content.rtp_extensions.push(RtpExtension { id: 3, uri: uri.to_owned() });
        callee.handle(Message::NegotiateChannels(offer));
        let sent = sent(&mut callee);
        assert_eq!(sent.len(), 2, "an answer and an offer");
        for message in sent {
            let text = written(&message);
            assert!(
                text.contains(r#""feedbackTypes":[]"#) && text.contains(r#""rtpExtensions":[]"#),
                "{text}"
            );
        }
    }

    #[test]
    fn video_is_left_out_of_the_answer() {
        let mut callee = started(false);
        let mut with_video = offer_of(3, &[(111, "opus")]);
        let mut video = with_video.contents[0].clone();
        video.kind = MediaKind::Video;
        video.ssrc = 3333;
        with_video.contents.insert(0, video.clone());
        callee.handle(Message::NegotiateChannels(with_video));
        let answer = sent(&mut callee).remove(0);
        let Message::NegotiateChannels(answer) = answer else {
            panic!("{answer:?}");
        };
        assert_eq!(answer.contents.len(), 1);
        assert_eq!(answer.contents[0].ssrc, THEIR_SSRC);
        let only_video = NegotiateChannels { exchange_id: 4, contents: vec![video] };
        callee.handle(Message::NegotiateChannels(only_video));
        let actions = drain(&mut callee);
        assert_eq!(actions[0], Action::IncomingClosed);
        assert!(matches!(
            &actions[1],
            Action::Send(Message::NegotiateChannels(answer))
                if answer.exchange_id == 4 && answer.contents.is_empty()
        ));
    }

    #[test]
    fn only_the_first_setup_counts() {
        let mut caller = started(true);
        caller.handle(setup(Setup::Passive));
        assert_eq!(drain(&mut caller), [Action::RemoteSetup(remote(DtlsRole::Client))]);
        caller.handle(setup(Setup::Active));
        assert_eq!(drain(&mut caller), []);
    }

    #[test]
    fn a_setup_with_an_unusable_fingerprint_ends_the_call() {
        let good = fingerprint().to_ascii_lowercase();
        let longer = format!("{good}:00");
        for (hash, text) in [
            ("sha-1", good.as_str()),
            ("sha-256", ""),
            ("sha-256", &good[3..]),
            ("sha-256", &longer),
            ("sha-256", &good.replace(':', "")),
            ("sha-256", &good.replacen("01", "+1", 1)),
            ("sha-256", &good.replacen("01", "\u{e9}", 1)),
        ] {
            let mut caller = started(true);
            caller.handle(setup_with(hash, text));
            let actions = drain(&mut caller);
            assert!(
                matches!(actions.as_slice(), [Action::Fail(NegotiationError::Fingerprint { .. })]),
                "{hash} {text}: {actions:?}"
            );
        }
        let mut caller = started(true);
        caller.handle(setup_with(&"\u{e9}".repeat(5000), &"x".repeat(5000)));
        let [Action::Fail(error)] = &drain(&mut caller)[..] else { panic!("refused") };
        assert!(error.to_string().chars().count() < 300, "{error}");
        let mut caller = started(true);
        caller.handle(setup_with("SHA-256", &good));
        assert_eq!(drain(&mut caller), [Action::RemoteSetup(remote(DtlsRole::Client))]);
        let mut callee = Negotiation::new(false, OUR_SSRC, local(), 1);
        callee.handle(Message::InitialSetup(InitialSetup {
            ufrag: String::new(),
            pwd: String::new(),
            renomination: true,
            fingerprints: Vec::new(),
        }));
        assert!(matches!(drain(&mut callee).as_slice(), [Action::Fail(_)]));
    }

    #[test]
    fn candidates_wait_for_the_setup_and_come_once_each() {
        let mut caller = started(true);
        let both = Candidates {
            candidates: ["candidate:1", "candidate:2"].map(|sdp| Candidate { sdp: sdp.to_owned() }).into(),
        };
        caller.handle(Message::Candidates(both));
        caller.handle(candidate("candidate:1"));
        assert_eq!(drain(&mut caller), []);
        caller.handle(setup(Setup::Passive));
        caller.handle(candidate("candidate:2"));
        caller.handle(candidate("candidate:3"));
        let lines = drain(&mut caller).into_iter().skip(1);
        let expected = ["candidate:1", "candidate:2", "candidate:3"];
        assert!(lines.eq(expected.map(|sdp| Action::RemoteCandidate(sdp.to_owned()))));
    }

    #[test]
    fn a_flood_of_candidates_and_offers_is_cut_off() {
        let mut caller = started(true);
        caller.handle(candidate(&"x".repeat(MAX_CANDIDATE_BYTES + 1)));
        for index in 0..10_000 {
            caller.handle(candidate(&format!("candidate:{index}")));
        }
        assert_eq!(caller.early_candidates.len(), MAX_REMOTE_CANDIDATES);
        let id = pending(&caller);
        caller.handle(answer_to(id));
        drain(&mut caller);
        for id in 1..10_000 {
            caller.handle(offer(id));
        }
        assert_eq!(drain(&mut caller).len(), 2 * MAX_OFFERS);
    }

    #[test]
    fn a_muted_peer_is_reported() {
        let mut callee = started(false);
        for muted in [true, false] {
            callee.handle(Message::MediaState(MediaState { muted, ..MediaState::default() }));
            assert_eq!(drain(&mut callee), [Action::RemoteMuted(muted)]);
        }
    }

    #[test]
    fn every_recorded_caller_is_understood_and_answered() {
        for (name, capture) in CAPTURES {
            let messages = recorded(capture, "out");
            let (offer, answer) = exchanges(&messages);
            let mut callee = Negotiation::new(false, OUR_SSRC, local(), 5);
            callee.start();
            let mut actions = Vec::new();
            for message in &messages {
                // What the recorded caller said to the recorded callee's offer, it says to ours.
                let message = match message {
                    Message::NegotiateChannels(channels) if *channels == answer => {
                        with_our_numbers(answer.clone(), pending(&callee))
                    }
                    other => other.clone(),
                };
                callee.handle(message);
                actions.extend(drain(&mut callee));
            }
            check_call(name, &messages, &offer, &actions, false);
            let channels: Vec<_> = sent_channels(&actions);
            assert_eq!(channels.len(), 2, "{name}");
            assert_eq!(channels[0].exchange_id, offer.exchange_id, "{name}");
            assert_eq!(channels[0].contents[0].ssrc, offer.contents[0].ssrc, "{name}");
            assert_eq!(channels[1].contents[0].ssrc, OUR_SSRC, "{name}");
        }
    }

    #[test]
    fn every_recorded_callee_is_understood_and_answered() {
        for (name, capture) in CAPTURES {
            let messages = recorded(capture, "in");
            let (answer, offer) = exchanges(&messages);
            let mut caller = started(true);
            let own_id = pending(&caller);
            let mut actions = Vec::new();
            for message in &messages {
                let message = match message {
                    Message::NegotiateChannels(channels) if *channels == answer => {
                        with_our_numbers(answer.clone(), own_id)
                    }
                    other => other.clone(),
                };
                caller.handle(message);
                actions.extend(drain(&mut caller));
            }
            check_call(name, &messages, &offer, &actions, true);
            let channels = sent_channels(&actions);
            assert_eq!(channels.len(), 1, "{name}");
            assert_eq!(channels[0].exchange_id, offer.exchange_id, "{name}");
            assert_eq!(channels[0].contents[0].ssrc, offer.contents[0].ssrc, "{name}");
        }
    }

    #[test]
    fn two_of_us_agree_however_their_messages_cross_and_repeat() {
        for seed in 1..500 {
            let mut random = Random(seed * 0x9e37_79b9);
            let local = LocalSetup { fingerprint: fingerprint(), ..local() };
            let mut ends = [(true, 1), (false, 2)].map(|(is_caller, ssrc)| {
                Negotiation::new(is_caller, ssrc, local.clone(), seed ^ u64::from(ssrc))
            });
            let mut flying = [VecDeque::new(), VecDeque::new()];
            let mut seen = [Vec::new(), Vec::new()];
            for end in &mut ends {
                end.start();
                end.add_local_candidate("candidate:1");
            }
            for steps in 0.. {
                assert!(steps < 100, "seed {seed}: they go on for ever");
                for from in 0..2 {
                    for action in drain(&mut ends[from]) {
                        match action {
                            Action::Send(message) => flying[1 - from].push_back(message),
                            other => seen[from].push(other),
                        }
                    }
                }
                // Signaling keeps the order of one sender, but not between both.
                let to = random.below(2);
                let to = if flying[to].is_empty() { 1 - to } else { to };
                let Some(message) = flying[to].pop_front() else {
                    break;
                };
                if random.below(4) == 0 {
                    let later = random.below(flying[to].len() + 1);
                    flying[to].insert(later, message.clone());
                }
                ends[to].handle(message);
            }
            for (end, seen) in seen.iter().enumerate() {
                let format = |ssrc| AudioFormat { payload_type: 111, ssrc };
                let (ours, theirs) = (end as u32 + 1, 2 - end as u32);
                assert!(seen.contains(&Action::Outgoing(format(ours))), "seed {seed}: {seen:?}");
                assert!(seen.contains(&Action::Incoming(format(theirs))), "seed {seed}: {seen:?}");
                assert!(seen.iter().any(|action| matches!(action, Action::RemoteSetup(_))));
                assert!(seen.iter().any(|action| matches!(action, Action::RemoteCandidate(_))));
                assert_eq!(seen.len(), 4, "seed {seed}: {seen:?}");
            }
        }
    }

    const OUR_SSRC: u32 = 1111;
    const THEIR_SSRC: u32 = 2222;

    const CAPTURES: [(&str, &str); 6] = [
        ("8.0.0", include_str!("../testdata/signaling/ntgcalls-8.0.0.json")),
        ("9.0.0", include_str!("../testdata/signaling/ntgcalls-9.0.0.json")),
        ("12.0.0", include_str!("../testdata/signaling/ntgcalls-12.0.0.json")),
        ("13.0.0", include_str!("../testdata/signaling/ntgcalls-13.0.0.json")),
        ("13.0.0 turn", include_str!("../testdata/signaling/ntgcalls-13.0.0-turn.json")),
        ("13.0.0 reflector", include_str!("../testdata/signaling/ntgcalls-13.0.0-reflector.json")),
    ];

    fn local() -> LocalSetup {
        LocalSetup { ufrag: "uuuu".to_owned(), pwd: "pppp".to_owned(), fingerprint: "AA:BB".to_owned() }
    }

    /// 00:01:02 and so on.
    fn fingerprint() -> String {
        (0..32).map(|byte| format!("{byte:02X}")).collect::<Vec<_>>().join(":")
    }

    fn remote(dtls_role: DtlsRole) -> RemoteSetup {
        RemoteSetup {
            ufrag: "their".to_owned(),
            pwd: "secret".to_owned(),
            fingerprint_sha256: std::array::from_fn(|index| index as u8),
            dtls_role,
        }
    }

    fn started(is_caller: bool) -> Negotiation {
        let mut end = Negotiation::new(is_caller, OUR_SSRC, local(), 1);
        end.start();
        drain(&mut end);
        end
    }

    fn pending(end: &Negotiation) -> u32 {
        match end.offer {
            Offer::Pending(id) => id,
            other => panic!("{other:?}"),
        }
    }

    fn drain(end: &mut Negotiation) -> Vec<Action> {
        std::iter::from_fn(|| end.poll_action()).collect()
    }

    fn sent(end: &mut Negotiation) -> Vec<Message> {
        let send = |action| match action {
            Action::Send(message) => Some(message),
            _ => None,
        };
        drain(end).into_iter().filter_map(send).collect()
    }

    fn sent_channels(actions: &[Action]) -> Vec<&NegotiateChannels> {
        let channels = |action| match action {
            &Action::Send(Message::NegotiateChannels(ref channels)) => Some(channels),
            _ => None,
        };
        actions.iter().filter_map(channels).collect()
    }

    fn written(message: &Message) -> String {
        String::from_utf8(message.to_json()).unwrap()
    }

    fn setup(role: Setup) -> Message {
        match setup_with("sha-256", &fingerprint()) {
            Message::InitialSetup(mut setup) => {
                setup.fingerprints[0].setup = role;
                Message::InitialSetup(setup)
            }
            other => other,
        }
    }

    fn setup_with(hash: &str, fingerprint: &str) -> Message {
        Message::InitialSetup(InitialSetup {
            ufrag: "their".to_owned(),
            pwd: "secret".to_owned(),
            renomination: true,
            fingerprints: vec![Fingerprint {
                hash: hash.to_owned(),
                setup: Setup::Passive,
                fingerprint: fingerprint.to_owned(),
            }],
        })
    }

    fn candidate(sdp: &str) -> Message {
        Message::Candidates(Candidates::one(sdp))
    }

    fn offer(id: u32) -> Message {
        Message::NegotiateChannels(offer_of(id, &[(111, "opus")]))
    }

    fn answer_to(id: u32) -> Message {
        with_our_numbers(offer_of(id, &[(111, "opus")]), id)
    }

    fn offer_of(exchange_id: u32, formats: &[(u8, &str)]) -> NegotiateChannels {
        let parameters = BTreeMap::from([("minptime".to_owned(), "10".to_owned())]);
        let mut content = audio(THEIR_SSRC, 0, parameters);
        let template = content.payload_types.remove(0);
        content.payload_types = formats
            .iter()
            .map(|(id, name)| PayloadType { id: *id, name: (*name).to_owned(), ..template.clone() })
            .collect();
        NegotiateChannels { exchange_id, contents: vec![content] }
    }

    fn with_our_numbers(mut answer: NegotiateChannels, id: u32) -> Message {
        answer.exchange_id = id;
        answer.contents[0].ssrc = OUR_SSRC;
        Message::NegotiateChannels(answer)
    }

    /// The messages one side of a captured call sent, repetitions left out.
    fn recorded(capture: &str, sender: &str) -> Vec<Message> {
        let capture: serde_json::Value = serde_json::from_str(capture).unwrap();
        let mut messages = Vec::new();
        for packet in capture["packets"].as_array().unwrap() {
            let parts = packet.get("messages").or(packet.get("chunks")).unwrap();
            for json in parts.as_array().unwrap().iter().filter_map(|part| part.get("json")) {
                let message = Message::parse(json.to_string().as_bytes()).unwrap();
                if packet["sender"] == sender && !messages.contains(&message) {
                    messages.push(message);
                }
            }
        }
        messages
    }

    /// The two exchanges one side took part in, in the order of its messages.
    fn exchanges(messages: &[Message]) -> (NegotiateChannels, NegotiateChannels) {
        let mut channels = messages.iter().filter_map(|message| match message {
            Message::NegotiateChannels(channels) => Some(channels.clone()),
            _ => None,
        });
        let both = (channels.next().unwrap(), channels.next().unwrap());
        assert_eq!(channels.next(), None);
        both
    }

    /// Both directions agreed, the peer's transport known, every candidate after it, none lost.
    fn check_call(
        name: &str,
        messages: &[Message],
        offer: &NegotiateChannels,
        actions: &[Action],
        is_caller: bool,
    ) {
        let incoming = AudioFormat { payload_type: 111, ssrc: offer.contents[0].ssrc };
        assert!(actions.contains(&Action::Incoming(incoming)), "{name}");
        let outgoing = AudioFormat { payload_type: 111, ssrc: OUR_SSRC };
        assert!(actions.contains(&Action::Outgoing(outgoing)), "{name}");
        assert!(!actions.iter().any(|action| matches!(action, Action::Fail(_))), "{name}");
        let setup = messages.iter().find_map(|message| match message {
            Message::InitialSetup(setup) => Some(setup),
            _ => None,
        });
        let setup = setup.unwrap();
        let known = actions.iter().position(|action| {
            matches!(action, Action::RemoteSetup(remote)
                if remote.ufrag == setup.ufrag && remote.pwd == setup.pwd
                && (remote.dtls_role == DtlsRole::Client) == is_caller)
        });
        let lines = messages.iter().filter_map(|message| match message {
            Message::Candidates(candidates) => Some(candidates.candidates[0].sdp.clone()),
            _ => None,
        });
        let told: Vec<_> = lines.map(Action::RemoteCandidate).collect();
        let after: Vec<_> = actions[known.unwrap()..]
            .iter()
            .filter(|action| matches!(action, Action::RemoteCandidate(_)))
            .cloned()
            .collect();
        assert!(!told.is_empty(), "{name}");
        assert_eq!(after, told, "{name}");
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
