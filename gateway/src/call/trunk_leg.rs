//! The trunk side of one call as its task sees it: words for the line's SIP endpoint, and an RTP socket.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use tgtrunk_bridge::Cause;
use tgtrunk_media::{Latch, codec};
use tgtrunk_sip::{Invite, LocalAudio, Reason, Rejection, RemoteAudio};
use tokio::net::UdpSocket;

use crate::net::{self, RtpPorts};

/// Packet duration that we ask the PBX for.
const PTIME_MS: u32 = 20;

/// What the call's task wants said to the PBX.
#[derive(Debug)]
pub(crate) enum SipWord {
    Invite(Box<Invite>),
    Ringing,
    Answer(LocalAudio),
    /// Refuse the PBX's call.
    Reject(Cause),
    /// End ours, or one that was answered.
    HangUp(Cause),
}

/// Where a trunk leg's audio goes.
pub(crate) enum TrunkLeg {
    /// A phone behind the PBX.
    Pbx(Box<PbxLeg>),
    /// Whoever calls hears what they say; there is no PBX.
    Echo,
}

/// A leg to the PBX.
pub(crate) struct PbxLeg {
    ports: Arc<RtpPorts>,
    /// Where the PBX signals from.
    pbx: IpAddr,
    socket: Option<UdpSocket>,
    latch: Option<Latch>,
    remote: Option<RemoteAudio>,
    progress: Progress,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Progress {
    /// The PBX called and waits for an answer.
    Offered,
    /// We called, or the call was answered.
    Ours,
    Over,
}

impl TrunkLeg {
    /// A call that the PBX placed; `offer` is its side of the audio.
    pub(crate) fn from_pbx(ports: Arc<RtpPorts>, pbx: IpAddr, offer: Option<RemoteAudio>) -> Self {
        Self::Pbx(Box::new(PbxLeg {
            ports,
            pbx,
            socket: None,
            latch: None,
            remote: offer,
            progress: Progress::Offered,
        }))
    }

    /// A call that the PBX is to get.
    pub(crate) fn to_pbx(ports: Arc<RtpPorts>, pbx: IpAddr) -> Self {
        Self::Pbx(Box::new(PbxLeg {
            ports,
            pbx,
            socket: None,
            latch: None,
            remote: None,
            progress: Progress::Ours,
        }))
    }

    /// Opens the RTP port and describes our side of the audio; `None` where there is no PBX.
    ///
    /// # Errors
    /// When no port is free.
    pub(crate) fn open(&mut self) -> anyhow::Result<Option<LocalAudio>> {
        let Self::Pbx(leg) = self else { return Ok(None) };
        let rtp = match &leg.socket {
            Some(socket) => socket.local_addr()?,
            None => leg.socket.insert(leg.ports.bind()?).local_addr()?,
        };
        Ok(Some(LocalAudio {
            rtp,
            codecs: codec::TABLE.to_vec(),
            ptime_ms: PTIME_MS,
            telephone_event: false,
        }))
    }

    /// Notes that the PBX's call was answered.
    pub(crate) fn answered(&mut self) {
        if let Self::Pbx(leg) = self {
            leg.progress = Progress::Ours;
        }
    }

    /// Notes that the PBX ended the call; nothing more is said to it.
    pub(crate) fn ended(&mut self) {
        if let Self::Pbx(leg) = self {
            leg.progress = Progress::Over;
        }
    }

    /// What has to be said to end the leg.
    pub(crate) fn goodbye(&mut self, cause: Cause) -> Option<SipWord> {
        let Self::Pbx(leg) = self else { return None };
        match std::mem::replace(&mut leg.progress, Progress::Over) {
            Progress::Offered => Some(SipWord::Reject(cause)),
            Progress::Ours => Some(SipWord::HangUp(cause)),
            Progress::Over => None,
        }
    }

    /// Takes the PBX's offer or answer: where audio goes and from where it may come.
    pub(crate) fn set_remote(&mut self, now: Instant, audio: RemoteAudio) {
        let Self::Pbx(leg) = self else { return };
        match &mut leg.latch {
            Some(latch) => latch.expect(now, audio.rtp, audio.receive_payload_type),
            None => leg.latch = Some(Latch::new(now, leg.pbx, audio.rtp, audio.receive_payload_type)),
        }
        leg.remote = Some(audio);
    }

    /// The PBX's side of the audio.
    pub(crate) fn remote(&self) -> Option<&RemoteAudio> {
        match self {
            Self::Pbx(leg) => leg.remote.as_ref(),
            Self::Echo => None,
        }
    }

    /// The RTP socket, if there is one.
    pub(crate) fn socket(&self) -> Option<&UdpSocket> {
        match self {
            Self::Pbx(leg) => leg.socket.as_ref(),
            Self::Echo => None,
        }
    }

    /// Sends one RTP packet to the phone.
    pub(crate) fn send(&self, packet: &[u8]) {
        let Self::Pbx(leg) = self else { return };
        let (Some(socket), Some(latch)) = (&leg.socket, &leg.latch) else { return };
        if let Err(error) = net::send(socket, packet, latch.target()) {
            tracing::trace!(%error, "RTP packet not sent");
        }
    }

    /// Whether a datagram on the RTP port is this call's audio.
    pub(crate) fn accepts(&mut self, now: Instant, source: SocketAddr, datagram: &[u8]) -> bool {
        match self {
            Self::Pbx(leg) => leg.latch.as_mut().is_some_and(|latch| latch.accept(now, source, datagram)),
            Self::Echo => false,
        }
    }
}

/// The cause of an ending in SIP's words (RFC 3326).
pub(crate) fn reason(cause: Cause) -> Reason {
    let row = cause.row();
    Reason::q850(row.q850.into(), row.q850_text)
}

/// The final response that tells the PBX why its call did not come about.
pub(crate) fn rejection(cause: Cause) -> Rejection {
    let row = cause.row();
    Rejection {
        status: row.status,
        phrase: Some(row.phrase.to_owned()),
        reason: Some(reason(cause)),
        retry_after_s: row.retry_after_s,
    }
}
