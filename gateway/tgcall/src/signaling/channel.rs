//! One call's signaling, whatever its framing.

use std::collections::VecDeque;
use std::time::Instant;

use super::carrier::Carrier;
use super::crypto::Envelope;
use super::message::Message;
use super::parameters::CustomParameters;
use super::raw::RawPackets;
use super::records::{Records, TakeError};
use crate::key::SharedKey;
use crate::version::{Framing, Version};

/// Why signaling cannot go on. Media that already flows need not end with it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignalingError {
    /// A billion packets were sent; the call must end.
    #[error("the counter of signaling packets is used up")]
    CounterExhausted,
    /// The peer ended the SCTP association, or broke it.
    #[error("the peer ended the signaling association")]
    CarrierClosed,
    /// A message does not fit into a packet.
    #[error("signaling message of {0} bytes does not fit into a packet of 16384")]
    TooLong(usize),
    /// The peer has acknowledged nothing for very long.
    #[error("{0} signaling messages wait for acknowledgement")]
    Unanswered(usize),
}

/// Carries messages to the peer and back.
///
/// Bytes from [`Signaling::poll_packet`] are for `phone.sendSignalingData`; those of
/// `updatePhoneCallSignalingData` go to [`Signaling::handle_packet`].
#[derive(Debug)]
pub struct Signaling {
    framing: Inner,
    messages: VecDeque<Message>,
    error: Option<SignalingError>,
}

#[derive(Debug)]
enum Inner {
    Records(Box<Records>),
    Sctp(Box<Carrier>, RawPackets),
    Direct(RawPackets, VecDeque<Vec<u8>>),
}

impl Signaling {
    /// Begins the signaling of a call; a caller with SCTP has its first packet ready at once.
    #[must_use]
    pub fn new(
        version: Version,
        key: &SharedKey,
        is_caller: bool,
        parameters: &CustomParameters,
        now: Instant,
    ) -> Self {
        let envelope = Envelope::new(key, is_caller);
        let framing = match version.framing() {
            Framing::Records => Inner::Records(Box::new(Records::new(envelope))),
            Framing::Sctp if parameters.signaling_without_sctp => {
                Inner::Direct(RawPackets::new(envelope), VecDeque::new())
            }
            Framing::Sctp => {
                let carrier = Carrier::new(is_caller, parameters, now);
                Inner::Sctp(Box::new(carrier), RawPackets::new(envelope))
            }
        };
        Self { framing, messages: VecDeque::new(), error: None }
    }

    /// Sends a message. What goes wrong is in [`Signaling::error`].
    pub fn send(&mut self, now: Instant, message: &Message) {
        let json = message.to_json();
        let sent = match &mut self.framing {
            Inner::Records(records) => records.send(now, &json),
            Inner::Sctp(carrier, packets) => packets
                .seal(&json)
                .map(|packet| carrier.send(now, packet))
                .ok_or(SignalingError::CounterExhausted),
            Inner::Direct(packets, outbox) => packets
                .seal(&json)
                .map(|packet| outbox.push_back(packet))
                .ok_or(SignalingError::CounterExhausted),
        };
        self.note(sent);
        self.settle();
    }

    /// Takes the bytes of one `updatePhoneCallSignalingData`. Bad ones are dropped.
    pub fn handle_packet(&mut self, now: Instant, packet: &[u8]) {
        match &mut self.framing {
            Inner::Records(records) => match records.handle_packet(now, packet) {
                Ok(()) => {}
                Err(TakeError::Packet(error)) => {
                    tracing::debug!(%error, "signaling packet dropped");
                }
                Err(TakeError::Fatal(error)) => self.note(Err(error)),
            },
            Inner::Sctp(carrier, _) => carrier.handle_packet(now, packet),
            Inner::Direct(packets, _) => match packets.open(packet) {
                Ok(document) => accept(&document, &mut self.messages),
                Err(error) => tracing::debug!(%error, "signaling packet dropped"),
            },
        }
        self.settle();
    }

    /// Repeats what is due.
    pub fn handle_timeout(&mut self, now: Instant) {
        let done = match &mut self.framing {
            Inner::Records(records) => records.handle_timeout(now),
            Inner::Sctp(carrier, _) => {
                carrier.handle_timeout(now);
                Ok(())
            }
            Inner::Direct(..) => Ok(()),
        };
        self.note(done);
        self.settle();
    }

    /// When [`Signaling::handle_timeout`] is due.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        match &self.framing {
            Inner::Records(records) => records.poll_timeout(),
            Inner::Sctp(carrier, _) => carrier.poll_timeout(),
            Inner::Direct(..) => None,
        }
    }

    /// The next bytes for `phone.sendSignalingData`.
    #[must_use]
    pub fn poll_packet(&mut self) -> Option<Vec<u8>> {
        match &mut self.framing {
            Inner::Records(records) => records.poll_packet(),
            Inner::Sctp(carrier, _) => carrier.poll_packet(),
            Inner::Direct(_, outbox) => outbox.pop_front(),
        }
    }

    /// The next message of the peer.
    #[must_use]
    pub fn poll_message(&mut self) -> Option<Message> {
        self.messages.pop_front()
    }

    /// What ended the signaling, if anything did.
    #[must_use]
    pub fn error(&self) -> Option<&SignalingError> {
        self.error.as_ref()
    }

    fn note(&mut self, outcome: Result<(), SignalingError>) {
        if let Err(error) = outcome {
            self.error.get_or_insert(error);
        }
    }

    /// Moves what the framing has received into the queue of messages.
    fn settle(&mut self) {
        match &mut self.framing {
            Inner::Records(records) => {
                while let Some(document) = records.poll_document() {
                    accept(&document, &mut self.messages);
                }
            }
            Inner::Sctp(carrier, packets) => {
                while let Some(packet) = carrier.poll_message() {
                    match packets.open(&packet) {
                        Ok(document) => accept(&document, &mut self.messages),
                        Err(error) => tracing::debug!(%error, "signaling packet dropped"),
                    }
                }
                if carrier.is_closed() {
                    self.note(Err(SignalingError::CarrierClosed));
                }
            }
            Inner::Direct(..) => {}
        }
    }
}

fn accept(document: &[u8], messages: &mut VecDeque<Message>) {
    match Message::parse(document) {
        Ok(message) => messages.push_back(message),
        Err(error) => tracing::debug!(%error, "signaling message dropped"),
    }
}
