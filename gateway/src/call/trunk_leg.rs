//! The trunk side of one call as its task sees it: words for the line's SIP endpoint, and sockets for RTP and RTCP.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use tgtrunk_bridge::Cause;
use tgtrunk_config::DtmfWay;
use tgtrunk_media::dtmf::Way;
use tgtrunk_media::dtmf::info::Form;
use tgtrunk_media::{Codec, Latch, codec};
use tgtrunk_sip::{Invite, LocalAudio, Protocol, Reason, Rejection, RemoteAudio};

use super::srtp::Srtp;
use crate::clock;
use crate::net::{RtpPair, RtpPorts};

/// What the call's task wants said to the PBX.
#[derive(Debug)]
pub(crate) enum SipWord {
    Invite(Box<Invite>),
    Ringing,
    /// That it rings, with a tone to hear.
    Progress(LocalAudio),
    Answer(LocalAudio),
    /// Refuse the PBX's call.
    Reject(Cause),
    /// End ours, or one that was answered.
    HangUp(Cause),
    /// A key, as the body of an INFO of this form.
    Info(Form, String),
    /// About the call's second leg.
    Transfer(TransferWord),
}

/// What the call's task wants said about its second leg.
#[derive(Debug)]
pub(crate) enum TransferWord {
    /// Call whom the PBX wants called.
    Place(LocalAudio),
    /// Tell the PBX that nobody is called.
    Refuse,
    /// Answer the call that takes the place of the first leg.
    TakeOver(LocalAudio),
    /// End it.
    End(Cause),
}

/// What the line tells a call of its second leg.
#[derive(Debug)]
pub(crate) enum OtherLeg {
    Ringing,
    EarlyMedia(Box<RemoteAudio>),
    /// It is the first leg from now on; its audio may come later.
    Answered(Option<Box<RemoteAudio>>),
    MediaChanged(Box<RemoteAudio>),
    Ended(Cause),
}

/// What a line's calls have in common on the trunk side.
#[derive(Clone)]
pub(crate) struct TrunkAudio {
    pub(crate) ports: Arc<RtpPorts>,
    /// Where the PBX signals from.
    pub(crate) pbx: IpAddr,
    /// The address that the PBX is told to send to.
    pub(crate) announced: IpAddr,
    /// The most wanted first.
    pub(crate) codecs: Arc<[&'static Codec]>,
    pub(crate) dtmf: DtmfWay,
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
    audio: TrunkAudio,
    sockets: Option<RtpPair>,
    latch: Option<Latch>,
    srtp: Option<Srtp>,
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
    pub(crate) fn from_pbx(audio: TrunkAudio, offer: Option<RemoteAudio>) -> Self {
        Self::Pbx(Box::new(PbxLeg {
            audio,
            sockets: None,
            latch: None,
            srtp: None,
            remote: offer,
            progress: Progress::Offered,
        }))
    }

    /// A call that the PBX is to get.
    pub(crate) fn to_pbx(audio: TrunkAudio) -> Self {
        Self::Pbx(Box::new(PbxLeg {
            audio,
            sockets: None,
            latch: None,
            srtp: None,
            remote: None,
            progress: Progress::Ours,
        }))
    }

    /// A further leg to the same PBX; `offer` is its side of the audio where it called.
    pub(crate) fn beside(&self, offer: Option<RemoteAudio>) -> Option<Self> {
        match self {
            Self::Pbx(leg) => Some(Self::Pbx(Box::new(PbxLeg {
                audio: leg.audio.clone(),
                sockets: None,
                latch: None,
                srtp: None,
                remote: offer,
                progress: Progress::Ours,
            }))),
            Self::Echo => None,
        }
    }

    /// Opens the RTP port and describes our side of the audio; `None` where there is no PBX.
    ///
    /// # Errors
    /// When no port is free.
    pub(crate) fn open(&mut self) -> anyhow::Result<Option<LocalAudio>> {
        let Self::Pbx(leg) = self else { return Ok(None) };
        let pair = match &leg.sockets {
            Some(pair) => pair,
            None => leg.sockets.insert(leg.audio.ports.bind()?),
        };
        let port = pair.rtp.local().port();
        Ok(Some(LocalAudio {
            rtp: SocketAddr::new(leg.audio.announced, port),
            codecs: leg.audio.codecs.to_vec(),
            telephone_event: true,
            rtcp: None,
            rtcp_mux: false,
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
        let (pbx, payload_type) = (leg.audio.pbx, audio.receive_payload_type);
        let latch = leg.latch.get_or_insert_with(|| Latch::new(now, pbx, audio.rtp, payload_type));
        latch.expect(now, audio.rtp, payload_type);
        latch.expect_events(audio.telephone_event.map(|event| event.receive_payload_type));
        match (&mut leg.srtp, &audio.srtp) {
            (Some(srtp), Some(keys)) => srtp.change(keys.clone()),
            (srtp, keys) => *srtp = keys.clone().and_then(Srtp::new),
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

    /// How keys go to the PBX, as settings and the PBX's description come to.
    pub(crate) fn dtmf_way(&self) -> Way {
        let Self::Pbx(leg) = self else { return Way::InBand };
        let speaks_events = leg.remote.as_ref().is_some_and(|remote| remote.telephone_event.is_some());
        let is_compressed = leg.remote.as_ref().is_some_and(|remote| remote.codec == &codec::OPUS);
        match leg.audio.dtmf {
            DtmfWay::Info => Way::Info,
            DtmfWay::InBand => Way::InBand,
            DtmfWay::Rfc4733 | DtmfWay::Auto if speaks_events => Way::Rfc4733,
            // No events were agreed: tones survive where sound is not compressed.
            DtmfWay::Rfc4733 | DtmfWay::Auto if is_compressed => Way::Info,
            DtmfWay::Rfc4733 | DtmfWay::Auto => Way::InBand,
        }
    }

    /// The sockets, if there are any.
    pub(crate) fn sockets(&self) -> Option<&RtpPair> {
        match self {
            Self::Pbx(leg) => leg.sockets.as_ref(),
            Self::Echo => None,
        }
    }

    /// The same, to be listened to.
    pub(crate) fn sockets_mut(&mut self) -> Option<&mut RtpPair> {
        match self {
            Self::Pbx(leg) => leg.sockets.as_mut(),
            Self::Echo => None,
        }
    }

    /// Sends one RTP packet to the phone, which is encrypted where it lies: in the first `length` bytes of `room`, with
    /// [`TAIL_BYTES`](tgtrunk_media::TAIL_BYTES) behind it.
    pub(crate) fn send(&mut self, room: &mut [u8], length: usize) {
        let Self::Pbx(leg) = self else { return };
        let (Some(pair), Some(latch)) = (&leg.sockets, &leg.latch) else { return };
        let length = match leg.srtp.as_mut().map(|srtp| srtp.protect_rtp(room, length)) {
            None => length,
            Some(Ok(length)) => length,
            Some(Err(error)) => return tracing::trace!(%error, "RTP packet not sent"),
        };
        if let Err(error) = pair.rtp.send(&room[..length], latch.target()) {
            tracing::trace!(%error, "RTP packet not sent");
        }
    }

    /// Sends one RTCP packet to the phone.
    pub(crate) fn send_rtcp(&mut self, packet: &mut Vec<u8>) {
        let Self::Pbx(leg) = self else { return };
        let Some(target) = leg.rtcp_target() else { return };
        let Some(pair) = &leg.sockets else { return };
        if let Some(Err(error)) = leg.srtp.as_mut().map(|srtp| srtp.protect_rtcp(packet)) {
            return tracing::trace!(%error, "RTCP packet not sent");
        }
        if let Err(error) = pair.rtcp.send(packet, target) {
            tracing::trace!(%error, "RTCP packet not sent");
        }
    }

    /// The report in a datagram on the RTCP port, if it is of the phone whose audio is taken.
    pub(crate) fn open_rtcp<'a>(&mut self, source: SocketAddr, datagram: &'a mut [u8]) -> Option<&'a [u8]> {
        let Self::Pbx(leg) = self else { return None };
        let announced = leg.remote.as_ref().and_then(|remote| remote.rtcp);
        if announced != Some(source) && leg.rtcp_target().is_none_or(|target| target.ip() != source.ip()) {
            return None;
        }
        match &mut leg.srtp {
            None => Some(datagram),
            Some(srtp) => {
                srtp.open_rtcp(datagram).inspect_err(|error| tracing::trace!(%error, "RTCP not opened")).ok()
            }
        }
    }

    /// The packet in a datagram on the RTP port, if it is this call's audio. Where audio is encrypted, what cannot be
    /// decrypted says nothing of where audio comes from.
    pub(crate) fn open_rtp<'a>(
        &mut self,
        now: Instant,
        source: SocketAddr,
        datagram: &'a mut [u8],
    ) -> Option<&'a [u8]> {
        let Self::Pbx(leg) = self else { return None };
        let latch = leg.latch.as_mut()?;
        let packet = match &mut leg.srtp {
            None => datagram,
            Some(srtp) => {
                srtp.open_rtp(datagram).inspect_err(|error| tracing::trace!(%error, "RTP not opened")).ok()?
            }
        };
        latch.accept(now, source, packet).then_some(packet)
    }

    /// Datagrams on the RTP port that came from elsewhere.
    pub(crate) fn refused(&self) -> u64 {
        match self {
            Self::Pbx(leg) => leg.latch.as_ref().map_or(0, Latch::intruders),
            Self::Echo => 0,
        }
    }
}

impl PbxLeg {
    /// Where the phone takes RTCP: as announced, unless its audio comes from elsewhere; then beside that.
    fn rtcp_target(&self) -> Option<SocketAddr> {
        let (remote, latch) = (self.remote.as_ref()?, self.latch.as_ref()?);
        let heard = latch.target();
        // The hold of RFC 2543: an address nobody listens at.
        if heard.ip().is_unspecified() {
            return None;
        }
        if heard == remote.rtp {
            return remote.rtcp;
        }
        Some(SocketAddr::new(heard.ip(), heard.port().checked_add(1)?))
    }
}

/// The cause of an ending in SIP's words (RFC 3326). Phones that stop ringing because a call was completed elsewhere show no
/// missed call (its section 2).
pub(crate) fn reason(cause: Cause) -> Reason {
    if cause == Cause::AnsweredElsewhere {
        let text = Some("Call completed elsewhere".to_owned());
        return Reason { protocol: Protocol::Sip, cause: 200, text };
    }
    let row = cause.row();
    Reason::q850(row.q850.into(), row.q850_text)
}

/// The final response that tells the PBX why its call did not come about.
pub(crate) fn rejection(cause: Cause) -> Rejection {
    let row = cause.row();
    // Those who came together are not to come back together.
    let is_crowd = matches!(cause, Cause::Overloaded | Cause::LineFull);
    let apart = if is_crowd { u32::from(clock::random::<1>()[0] % 4) } else { 0 };
    Rejection {
        status: row.status,
        phrase: Some(row.phrase.to_owned()),
        reason: Some(reason(cause)),
        retry_after_s: row.retry_after_s.map(|seconds| seconds + apart),
    }
}
