//! Offer and answer for one audio stream (RFC 3264): what we offer, what we answer, what the peer then expects.
//!
//! An answer takes the first codec of the offer that the line carries, under the offer's own number, with keys on that
//! codec's clock (RFC 4733 section 2.1), and refuses every other media line by port 0. Lines once refused keep their
//! places in our own later offers, and the audio its protocol (RFC 3264 section 8). What we add to a codec in
//! `a=fmtp` is the codec table's, the same in offer and answer: for Opus those parameters say what their writer likes to
//! get (RFC 7587 section 7.1), and that does not hang on the other side's.

use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};

use tgtrunk_media::Codec;

use crate::audio::{LocalAudio, RemoteAudio, TelephoneEvent};
use crate::numbers::{Format, Numbers};
use crate::sdes::{Crypto, CryptoSuite, SdesKey, Srtp, SrtpKeys};
use crate::sdp::{Description, Direction, Host, Media, SdpError};

/// Audio in the clear (RFC 3551), and encrypted (RFC 3711).
const AVP: &str = "RTP/AVP";
const SAVP: &str = "RTP/SAVP";
/// Clocks of the keys that a peer may press.
const CLOCKS_HZ: std::ops::RangeInclusive<u32> = 8_000..=48_000;

/// Why an offer or an answer leads to no audio.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum AudioError {
    /// Answered 400.
    #[error(transparent)]
    Sdp(#[from] SdpError),
    /// Answered 488.
    #[error("no audio among the media offered: {offered:?}, wanted {wanted}")]
    NoAudio {
        /// Kind, port and protocol of each media line.
        offered: Vec<String>,
        /// What we take.
        wanted: &'static str,
    },
    /// Answered 488.
    #[error("offered {offered:?}, this line takes {taken:?}")]
    NoCommonCodec {
        /// Encodings and numbers as the peer names them.
        offered: Vec<String>,
        /// Names of our codecs.
        taken: Vec<&'static str>,
    },
}

/// One call's side of the negotiation: our `o=` line and what was settled last.
#[derive(Debug)]
pub(crate) struct Audio {
    id: u64,
    version: u64,
    /// What we last sent, for the version in `o=` grows only with a change (RFC 3264 section 8).
    sent: Option<String>,
    session: Session,
    numbers: Numbers,
    srtp: Srtp,
    /// Our key, the same in all that we say of this call.
    key: SdesKey,
    pub(crate) local: Option<LocalAudio>,
    pub(crate) remote: Option<RemoteAudio>,
}

/// The session's media lines as the last offer of the PBX had them.
#[derive(Debug, Default)]
struct Session {
    /// Lines without audio for us, before the one with it and behind, each as we write it.
    refused: (String, String),
    /// The audio's protocol; none before an offer of the PBX.
    protocol: Option<String>,
}

impl Audio {
    /// `id` is the number in `o=`, unique among our calls; `key` is nobody's yet.
    pub(crate) fn new(id: u64, srtp: Srtp, key: SdesKey) -> Self {
        Self {
            id,
            version: 1,
            sent: None,
            session: Session::default(),
            numbers: Numbers::default(),
            srtp,
            key,
            local: None,
            remote: None,
        }
    }

    /// Our offer, or `None` before [`Audio::local`] is known.
    pub(crate) fn offer(&mut self) -> Option<String> {
        let local = self.local.clone()?;
        let number = |codec| (self.numbers.assign(Format::Codec(codec)), codec);
        let codecs: Vec<_> = local.codecs.iter().copied().map(number).collect();
        let mut events: Vec<(u8, u32)> = Vec::new();
        for &(_, Codec { clock_hz, .. }) in codecs.iter().filter(|_| local.telephone_event) {
            if events.iter().all(|(_, known)| known != clock_hz) {
                events.push((self.numbers.assign(Format::Event { clock_hz: *clock_hz }), *clock_hz));
            }
        }
        let suite = self.offered_suite();
        let crypto = (self.srtp != Srtp::Off).then(|| Crypto { tag: 1, suite, key: self.key.clone() });
        let ours = Ours {
            codecs: &codecs,
            events: &events,
            ptime_ms: local.codecs.first()?.default_ptime_ms,
            rtcp_mux: local.rtcp_mux,
            direction: Direction::SendRecv,
            crypto: crypto.as_ref(),
        };
        let (before, behind) = &self.session.refused;
        let media = format!("{before}{}{behind}", audio_lines(&local, self.offered_protocol(), &ours));
        Some(self.describe(local.rtp.ip(), &media))
    }

    /// What our offers carry the audio over.
    fn offered_protocol(&self) -> &str {
        let usual = if self.srtp == Srtp::Require { SAVP } else { AVP };
        self.session.protocol.as_deref().unwrap_or(usual)
    }

    /// What our offers have it encrypted by: the session's suite, for the PBX may have no other one.
    fn offered_suite(&self) -> CryptoSuite {
        let settled = self.remote.as_ref().and_then(|remote| remote.srtp.as_ref());
        settled.map_or(CryptoSuite::Sha1_80, |keys| keys.suite)
    }

    /// Our answer to an offer; what it settles is kept.
    ///
    /// # Errors
    /// [`AudioError`] when nothing in it can be carried; then nothing changes.
    pub(crate) fn answer(&mut self, offer: &[u8], source: IpAddr) -> Result<Option<String>, AudioError> {
        let Some(local) = self.local.clone() else { return Ok(None) };
        let offer = Description::parse(offer)?;
        let Choice { at: chosen, mut remote, crypto } = choose(&offer, &local, self.srtp, source)?;
        // The answer repeats the number of the offer's line, with a key of its own (RFC 4568 section 5.1.2).
        let crypto = crypto.map(|theirs| {
            let ours = Crypto { tag: theirs.tag, suite: theirs.suite, key: self.key.clone() };
            remote.srtp = Some(theirs.keys(&self.key));
            ours
        });
        let refused = |lines: &[Media]| -> String { lines.iter().map(refused_line).collect() };
        let (before, behind) = offer.media.split_at(chosen);
        let Some((line, behind)) = behind.split_first() else { return Ok(None) };
        let events: Vec<_> =
            remote.telephone_event.iter().map(|event| (event.payload_type, event.clock_hz)).collect();
        let ours = Ours {
            codecs: &[(remote.payload_type, remote.codec)],
            events: &events,
            ptime_ms: remote.packet_ms(),
            rtcp_mux: remote.rtcp_mux,
            direction: remote.direction.reversed(),
            crypto: crypto.as_ref(),
        };
        let (before, behind) = (refused(before), refused(behind));
        let media = format!("{before}{}{behind}", audio_lines(&local, &line.protocol, &ours));
        self.session = Session { refused: (before, behind), protocol: Some(line.protocol.clone()) };
        self.numbers.agree(remote.receive_payload_type, Format::Codec(remote.codec));
        if let Some(event) = remote.telephone_event {
            self.numbers.agree(event.receive_payload_type, Format::Event { clock_hz: event.clock_hz });
        }
        self.remote = Some(remote);
        Ok(Some(self.describe(local.rtp.ip(), &media)))
    }

    /// Takes the answer to our offer.
    ///
    /// # Errors
    /// [`AudioError`] when the answer leaves no audio; then nothing changes.
    pub(crate) fn accept(&mut self, answer: &[u8], source: IpAddr) -> Result<RemoteAudio, AudioError> {
        let mut remote = read_answer(answer, self.local.as_ref(), &self.numbers, source)?;
        remote.srtp = self.settle_keys(&Description::parse(answer)?)?;
        self.remote = Some(remote.clone());
        Ok(remote)
    }

    /// The keys that an answer to our offer settles.
    fn settle_keys(&self, answer: &Description) -> Result<Option<SrtpKeys>, AudioError> {
        let media = answer.media.iter().find(|media| media.kind == "audio" && media.port != 0);
        let Some(media) = media else { return Ok(None) };
        // We offered one suite.
        let crypto = Crypto::first(media).filter(|crypto| crypto.suite == self.offered_suite());
        let encrypted = [self.offered_protocol(), media.protocol.as_str()].contains(&SAVP);
        match (self.srtp, crypto) {
            (Srtp::Offer | Srtp::Require, Some(theirs)) => Ok(Some(theirs.keys(&self.key))),
            (Srtp::Off | Srtp::Offer, _) if !encrypted => Ok(None),
            (Srtp::Off | Srtp::Offer | Srtp::Require, _) => Err(no_audio(answer, self.srtp)),
        }
    }

    /// Our last description, which a refresh repeats without change (RFC 4028 section 7.4).
    pub(crate) fn last_sent(&self) -> Option<&str> {
        self.sent.as_deref()
    }

    fn describe(&mut self, ip: IpAddr, media: &str) -> String {
        let mut text = render(self.id, self.version, ip, media);
        if self.sent.as_ref().is_some_and(|sent| *sent != text) {
            self.version += 1;
            text = render(self.id, self.version, ip, media);
        }
        self.sent = Some(text.clone());
        text
    }
}

/// What an offer would come to with these codecs and our key, before anybody answers.
///
/// # Errors
/// [`AudioError`] when nothing in it can be carried.
pub(crate) fn preview(
    offer: &[u8],
    codecs: &[&'static Codec],
    (srtp, key): (Srtp, &SdesKey),
    source: IpAddr,
) -> Result<RemoteAudio, AudioError> {
    let offer = Description::parse(offer)?;
    let local = LocalAudio {
        rtp: SocketAddr::new(source, 0),
        rtcp: None,
        rtcp_mux: false,
        codecs: codecs.to_vec(),
        telephone_event: true,
    };
    let Choice { mut remote, crypto, .. } = choose(&offer, &local, srtp, source)?;
    remote.srtp = crypto.map(|theirs| theirs.keys(key));
    Ok(remote)
}

/// What we take of an offer.
struct Choice {
    /// Which media line.
    at: usize,
    remote: RemoteAudio,
    /// What it is encrypted with.
    crypto: Option<Crypto>,
}

/// The key that a media line is carried with; `None` when it is not carried at all.
fn carried(media: &Media, srtp: Srtp) -> Option<Option<Crypto>> {
    if media.kind != "audio" || media.port == 0 {
        return None;
    }
    let crypto = Crypto::first(media).filter(|_| srtp != Srtp::Off);
    match media.protocol.as_str() {
        AVP if srtp != Srtp::Require || crypto.is_some() => Some(crypto),
        SAVP => crypto.map(Some),
        _ => None,
    }
}

fn no_audio(description: &Description, srtp: Srtp) -> AudioError {
    let lines = description.media.iter();
    let offered = lines.map(|media| format!("{} {} {}", media.kind, media.port, media.protocol)).collect();
    let wanted = match srtp {
        Srtp::Off => "audio over RTP/AVP",
        Srtp::Offer => "audio over RTP/AVP, or over RTP/SAVP with a key of AES_CM_128",
        Srtp::Require => "audio over RTP/SAVP with a key of AES_CM_128",
    };
    AudioError::NoAudio { offered, wanted }
}

/// The first media line that we can carry, and its first codec that we have.
fn choose(offer: &Description, local: &LocalAudio, srtp: Srtp, source: IpAddr) -> Result<Choice, AudioError> {
    let mut offered = Vec::new();
    let mut any = false;
    for (at, media) in offer.media.iter().enumerate() {
        let Some(crypto) = carried(media, srtp) else { continue };
        any = true;
        for number in media.payload_types() {
            match codec_behind(media, number, &local.codecs) {
                Some(codec) => {
                    let event = event_type(media, codec, |_| None).filter(|_| local.telephone_event);
                    let event = event.map(|(number, clock_hz)| TelephoneEvent {
                        payload_type: number,
                        receive_payload_type: number,
                        clock_hz,
                    });
                    let settled = Settled { numbers: (number, number), codec, event };
                    let remote = remote_end(offer, media, local, settled, source);
                    return Ok(Choice { at, remote, crypto });
                }
                None => offered.push(written(media, number)),
            }
        }
    }
    if any {
        let taken = local.codecs.iter().map(|codec| codec.name).collect();
        return Err(AudioError::NoCommonCodec { offered, taken });
    }
    Err(no_audio(offer, srtp))
}

fn read_answer(
    answer: &[u8],
    local: Option<&LocalAudio>,
    numbers: &Numbers,
    source: IpAddr,
) -> Result<RemoteAudio, AudioError> {
    let answer = Description::parse(answer)?;
    let Some(media) = answer.media.iter().find(|media| media.kind == "audio" && media.port != 0) else {
        return Err(no_audio(&answer, Srtp::Off));
    };
    let codecs = local.map(|local| local.codecs.as_slice()).unwrap_or_default();
    let offered = || media.payload_types().map(|number| written(media, number)).collect();
    let taken = || codecs.iter().map(|codec| codec.name).collect();
    let nothing = || AudioError::NoCommonCodec { offered: offered(), taken: taken() };
    let local = local.ok_or_else(nothing)?;
    for number in media.payload_types() {
        // An answer may leave out the rtpmap of a number that our offer explained.
        let codec = match (media.encoding(number), numbers.meaning(number)) {
            (None, Some(Format::Codec(codec))) => Some(codec).filter(|codec| codecs.contains(codec)),
            (None, Some(Format::Event { .. })) => None,
            (Some(_), _) | (None, None) => codec_behind(media, number, codecs),
        };
        let Some(codec) = codec else { continue };
        let unexplained = |number| match numbers.meaning(number) {
            Some(Format::Event { clock_hz }) => Some(clock_hz),
            Some(Format::Codec(_)) | None => None,
        };
        let event = event_type(media, codec, unexplained).filter(|_| local.telephone_event);
        let event = event.map(|(number, clock_hz)| TelephoneEvent {
            payload_type: number,
            receive_payload_type: numbers.find(Format::Event { clock_hz }).unwrap_or(number),
            clock_hz,
        });
        let ours = numbers.find(Format::Codec(codec)).unwrap_or(number);
        let settled = Settled { numbers: (number, ours), codec, event };
        return Ok(remote_end(&answer, media, local, settled, source));
    }
    Err(nothing())
}

/// A payload type as its description names it.
fn written(media: &Media, number: u8) -> String {
    media.encoding(number).map_or(number.to_string(), |encoding| encoding.name.to_owned())
}

fn codec_behind(media: &Media, number: u8, codecs: &[&'static Codec]) -> Option<&'static Codec> {
    let encoding = media.encoding(number);
    codecs.iter().copied().find(|codec| match &encoding {
        Some(encoding) => {
            let same_name = codec.name.eq_ignore_ascii_case(encoding.name);
            same_name && codec.clock_hz == encoding.clock_hz && codec.channels == encoding.channels
        }
        None => codec.static_payload_type == Some(number),
    })
}

/// The telephone-event on the codec's own clock, else the first one: Asterisk offers several, others one for all.
/// `unexplained` gives the clock of a number without an rtpmap.
fn event_type(media: &Media, codec: &Codec, unexplained: impl Fn(u8) -> Option<u32>) -> Option<(u8, u32)> {
    let events = || {
        media.payload_types().filter_map(|number| match media.encoding(number) {
            Some(encoding) => {
                encoding.name.eq_ignore_ascii_case("telephone-event").then_some((number, encoding.clock_hz))
            }
            None => Some((number, unexplained(number)?)),
        })
    };
    // A digit on another clock would take more segments than there are packets in its time.
    let sane = || events().filter(|(_, clock_hz)| CLOCKS_HZ.contains(clock_hz));
    sane().find(|&(_, clock_hz)| clock_hz == codec.clock_hz).or_else(|| sane().next())
}

/// What a media line comes to.
struct Settled {
    /// Payload types to and from the peer.
    numbers: (u8, u8),
    codec: &'static Codec,
    event: Option<TelephoneEvent>,
}

fn remote_end(
    description: &Description,
    media: &Media,
    local: &LocalAudio,
    settled: Settled,
    source: IpAddr,
) -> RemoteAudio {
    let ip = match description.host(media) {
        Some(Host::Ip(ip)) => *ip,
        Some(Host::Name) | None => source,
    };
    let stated = description.direction(media);
    let direction = match stated {
        // The hold of RFC 2543: an address nobody can send to.
        Direction::SendRecv if ip.is_unspecified() => Direction::SendOnly,
        Direction::RecvOnly if ip.is_unspecified() => Direction::Inactive,
        _ => stated,
    };
    let rtp = SocketAddr::new(ip, media.port);
    let rtcp_mux = local.rtcp_mux && media.has("rtcp-mux");
    let rtcp = match media.rtcp() {
        _ if rtcp_mux => Some(rtp),
        Some((port, Some(Host::Ip(ip)))) => Some(SocketAddr::new(ip, port)),
        Some((port, Some(Host::Name) | None)) => Some(SocketAddr::new(ip, port)),
        None => media.port.checked_add(1).map(|port| SocketAddr::new(ip, port)),
    };
    let (payload_type, receive_payload_type) = settled.numbers;
    RemoteAudio {
        rtp,
        rtcp,
        rtcp_mux,
        payload_type,
        receive_payload_type,
        codec: settled.codec,
        fmtp: media.fmtp(payload_type).map(str::to_owned),
        ptime_ms: media.milliseconds("ptime"),
        maxptime_ms: media.milliseconds("maxptime"),
        direction,
        telephone_event: settled.event,
        srtp: None,
    }
    .with_times_of_fmtp()
}

/// What we write about our end in one media line.
struct Ours<'a> {
    codecs: &'a [(u8, &'static Codec)],
    events: &'a [(u8, u32)],
    ptime_ms: u32,
    rtcp_mux: bool,
    direction: Direction,
    crypto: Option<&'a Crypto>,
}

/// A media line that is not carried.
fn refused_line(line: &Media) -> String {
    format!("m={} 0 {} {}\r\n", line.kind, line.protocol, line.formats.join(" "))
}

fn audio_lines(local: &LocalAudio, protocol: &str, ours: &Ours<'_>) -> String {
    let mut lines = format!("m=audio {} {protocol}", local.rtp.port());
    let codecs = ours.codecs.iter().map(|&(number, _)| number);
    for number in codecs.chain(ours.events.iter().map(|&(number, _)| number)) {
        let _ = write!(lines, " {number}");
    }
    lines.push_str("\r\n");
    for (number, codec) in ours.codecs {
        let _ = write!(lines, "a=rtpmap:{number} {}/{}", codec.name, codec.clock_hz);
        if codec.channels > 1 {
            let _ = write!(lines, "/{}", codec.channels);
        }
        lines.push_str("\r\n");
        if !codec.fmtp.is_empty() {
            let _ = write!(lines, "a=fmtp:{number} {}\r\n", codec.fmtp);
        }
    }
    for (number, clock_hz) in ours.events {
        let _ = write!(lines, "a=rtpmap:{number} telephone-event/{clock_hz}\r\na=fmtp:{number} 0-15\r\n");
    }
    if let Some(crypto) = ours.crypto {
        let _ = write!(lines, "a=crypto:{crypto}\r\n");
    }
    if let Some(port) = local.rtcp {
        let _ = write!(lines, "a=rtcp:{port}\r\n");
    }
    if ours.rtcp_mux {
        lines.push_str("a=rtcp-mux\r\n");
    }
    let _ = write!(lines, "a=ptime:{}\r\na={}\r\n", ours.ptime_ms, ours.direction.as_str());
    lines
}

fn render(id: u64, version: u64, ip: IpAddr, media: &str) -> String {
    let family = if ip.is_ipv4() { "IP4" } else { "IP6" };
    format!("v=0\r\no=- {id} {version} IN {family} {ip}\r\ns=-\r\nc=IN {family} {ip}\r\nt=0 0\r\n{media}")
}

#[cfg(test)]
mod tests {
    use tgtrunk_media::codec::{G722, L16, OPUS, PCMA, PCMU};

    use super::*;
    use crate::sdes::SDES_KEY_BYTES;

    #[test]
    fn an_answer_takes_the_offers_first_codec_that_we_have_under_its_number() {
        let offer = offer_of(
            "m=audio 10002 RTP/AVP 8 109 96\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:109 OPUS/48000/2\r\na=rtpmap:96 opus/48000/2\r\n",
        );
        let mut audio = ours();
        let answer = audio.answer(&offer, source()).unwrap().unwrap();
        assert_eq!(
            answer,
            "v=0\r\no=- 7 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 20000 RTP/AVP 109\r\n\
             a=rtpmap:109 opus/48000/2\r\na=fmtp:109 useinbandfec=1;minptime=10\r\na=ptime:20\r\na=sendrecv\r\n"
        );
        let remote = audio.remote.unwrap();
        assert_eq!((remote.payload_type, remote.rtp.to_string().as_str()), (109, "192.0.2.1:10002"));
        assert!(remote.listens());
    }

    #[test]
    fn every_other_media_line_is_refused_by_port_0_in_its_place() {
        let offer = offer_of(
            "m=video 5000 RTP/AVP 96 97\r\nm=audio 0 RTP/AVP 96\r\na=rtpmap:96 opus/48000/2\r\nm=audio 6000 RTP/SAVP 96\r\na=rtpmap:96 opus/48000/2\r\n\
             m=audio 7000 RTP/AVP 96\r\na=rtpmap:96 opus/48000/2\r\nm=image 8000 udptl t38\r\n",
        );
        let answer = ours().answer(&offer, source()).unwrap().unwrap();
        let media: Vec<_> = answer.lines().filter(|line| line.starts_with("m=")).collect();
        let wanted = [
            "m=video 0 RTP/AVP 96 97",
            "m=audio 0 RTP/AVP 96",
            "m=audio 0 RTP/SAVP 96",
            "m=audio 20000 RTP/AVP 96",
            "m=image 0 udptl t38",
        ];
        assert_eq!(media, wanted);
    }

    #[test]
    fn an_offer_of_ours_in_a_session_keeps_its_lines_in_their_places() {
        let key = Crypto { tag: 1, suite: CryptoSuite::Sha1_32, key: KEY };
        let offer = offer_of(&format!(
            "m=audio 5000 RTP/AVP 0\r\nm=audio 6000 RTP/SAVP 96\r\na=rtpmap:96 opus/48000/2\r\na=crypto:{key}\r\n\
             m=video 7000 RTP/AVP 97 98\r\n"
        ));
        let mut audio = Audio { srtp: Srtp::Offer, ..ours() };
        audio.answer(&offer, source()).unwrap();
        let ours = audio.offer().unwrap();
        let media: Vec<_> = ours.lines().filter(|line| line.starts_with("m=")).collect();
        let wanted = ["m=audio 0 RTP/AVP 0", "m=audio 20000 RTP/SAVP 96", "m=video 0 RTP/AVP 97 98"];
        assert_eq!(media, wanted, "{ours}");
        assert!(ours.contains(" AES_CM_128_HMAC_SHA1_32 "), "what the PBX was seen to have: {ours}");
        let answer = |protocol: &str, crypto: &str| {
            let audio = format!("m=audio 6000 {protocol} 96\r\n{crypto}");
            offer_of(&format!("m=audio 0 RTP/AVP 0\r\n{audio}m=video 0 RTP/AVP 97 98\r\n"))
        };
        assert!(audio.accept(&answer("RTP/SAVP", ""), source()).is_err());
        assert!(audio.accept(&answer("RTP/AVP", ""), source()).is_err(), "nobody takes the encryption away");
        let settled = audio.accept(&answer("RTP/SAVP", &format!("a=crypto:{key}\r\n")), source()).unwrap();
        assert_eq!((settled.rtp.port(), settled.srtp.is_some()), (6000, true));
    }

    #[test]
    fn hold_in_each_of_its_forms_is_answered_the_other_way_round() {
        for (line, said, answered) in [
            ("a=sendonly\r\n", Direction::SendOnly, "a=recvonly"),
            ("a=inactive\r\n", Direction::Inactive, "a=inactive"),
            ("a=recvonly\r\n", Direction::RecvOnly, "a=sendonly"),
            ("c=IN IP4 0.0.0.0\r\n", Direction::SendOnly, "a=recvonly"),
            ("c=IN IP4 0.0.0.0\r\na=inactive\r\n", Direction::Inactive, "a=inactive"),
        ] {
            let offer = offer_of(&format!("{OPUS_LINES}{line}"));
            let mut audio = ours();
            let answer = audio.answer(&offer, source()).unwrap().unwrap();
            assert!(answer.contains(answered), "{line} {answer}");
            assert_eq!(audio.remote.unwrap().direction, said, "{line}");
        }
    }

    #[test]
    fn the_version_in_our_origin_grows_only_with_a_change() {
        let (plain, held) = (offer_of(OPUS_LINES), offer_of(&format!("{OPUS_LINES}a=sendonly\r\n")));
        let mut audio = ours();
        let first = audio.answer(&plain, source()).unwrap();
        assert_eq!(audio.answer(&plain, source()).unwrap(), first);
        assert!(audio.answer(&held, source()).unwrap().unwrap().contains("o=- 7 2 IN"));
        assert!(audio.answer(&plain, source()).unwrap().unwrap().contains("o=- 7 3 IN"));
    }

    #[test]
    fn nothing_to_carry_says_what_was_offered_and_what_is_taken() {
        let only_g711 = offer_of(
            "m=audio 1 RTP/AVP 8 18 101\r\na=rtpmap:18 G729/8000\r\na=rtpmap:101 telephone-event/8000\r\n",
        );
        let error = preview(&only_g711, &[&OPUS], (Srtp::Off, &KEY), source()).unwrap_err();
        assert_eq!(
            error.to_string(),
            r#"offered ["8", "G729", "telephone-event"], this line takes ["opus"]"#
        );
        let secure = offer_of("m=audio 1 RTP/SAVP 96\r\na=rtpmap:96 opus/48000/2\r\n");
        assert!(matches!(
            preview(&secure, &[&OPUS], (Srtp::Off, &KEY), source()),
            Err(AudioError::NoAudio { .. })
        ));
        assert!(matches!(preview(b"hello", &[&OPUS], (Srtp::Off, &KEY), source()), Err(AudioError::Sdp(_))));
    }

    #[test]
    fn keys_are_answered_on_the_codecs_clock_and_only_when_the_line_takes_them() {
        let offer = offer_of(
            "m=audio 1 RTP/AVP 107 101 102\r\na=rtpmap:107 opus/48000/2\r\na=rtpmap:101 telephone-event/8000\r\na=rtpmap:102 telephone-event/48000\r\n",
        );
        let mut audio = ours();
        assert!(!audio.answer(&offer, source()).unwrap().unwrap().contains("telephone-event"));
        if let Some(local) = audio.local.as_mut() {
            local.telephone_event = true;
        }
        let answer = audio.answer(&offer, source()).unwrap().unwrap();
        assert!(
            answer.contains("m=audio 20000 RTP/AVP 107 102\r\n") && answer.contains("telephone-event/48000")
        );
        let event = TelephoneEvent { payload_type: 102, receive_payload_type: 102, clock_hz: 48_000 };
        assert_eq!(audio.remote.unwrap().telephone_event, Some(event));
    }

    #[test]
    fn keys_on_a_clock_that_no_telephone_has_are_not_pressed() {
        for (clock_hz, taken) in
            [(4_294_967_295_u32, None), (1, None), (8_000, Some(8_000)), (48_000, Some(48_000))]
        {
            let offer = format!(
                "m=audio 1 RTP/AVP 8 101\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:101 telephone-event/{clock_hz}\r\n"
            );
            let mut audio = speaking(&[&PCMA]);
            audio.answer(&offer_of(&offer), source()).unwrap().unwrap();
            let event = audio.remote.unwrap().telephone_event;
            assert_eq!(event.map(|event| event.clock_hz), taken, "{clock_hz}");
        }
    }

    #[test]
    fn our_offer_is_understood_by_our_own_reading_and_its_answer_too() {
        let mut caller = ours();
        let mut callee = Audio {
            local: Some(LocalAudio { rtp: "192.0.2.9:4000".parse().unwrap(), ..local() }),
            ..Audio::new(8, Srtp::Off, KEY)
        };
        let offer = caller.offer().unwrap();
        let answer = callee.answer(offer.as_bytes(), source()).unwrap().unwrap();
        let remote = caller.accept(answer.as_bytes(), source()).unwrap();
        assert_eq!((remote.codec, remote.payload_type, remote.ptime_ms), (&OPUS, 107, Some(20)));
        assert_eq!(remote.rtp.to_string(), "192.0.2.9:4000");
    }

    #[test]
    fn an_answer_may_renumber_or_leave_out_the_map() {
        let mut audio = ours();
        audio.offer();
        let remote = audio
            .accept(&offer_of("m=audio 9 RTP/AVP 96\r\na=rtpmap:96 opus/48000/2\r\n"), source())
            .unwrap();
        assert_eq!((remote.payload_type, remote.receive_payload_type), (96, 107));
        assert_eq!(audio.accept(&offer_of("m=audio 9 RTP/AVP 107\r\n"), source()).unwrap().payload_type, 107);
        assert!(audio.offer().unwrap().contains("RTP/AVP 107"));
    }

    #[test]
    fn an_answer_with_nothing_of_ours_is_an_error() {
        let mut audio = ours();
        assert!(audio.accept(&offer_of("m=audio 0 RTP/AVP 107\r\n"), source()).is_err());
        assert!(audio.accept(&offer_of("m=audio 9 RTP/AVP 8\r\n"), source()).is_err());
        assert!(audio.remote.is_none());
    }

    #[test]
    fn a_host_name_means_the_address_the_message_came_from() {
        let body = b"v=0\r\nc=IN IP4 pbx.example\r\nm=audio 9 RTP/AVP 96\r\na=rtpmap:96 opus/48000/2\r\n";
        assert_eq!(
            preview(body, &[&OPUS], (Srtp::Off, &KEY), source()).unwrap().rtp.to_string(),
            "127.0.0.1:9"
        );
    }

    #[test]
    fn an_answer_follows_the_offers_order_whatever_ours_is() {
        let offer = offer_of("m=audio 1 RTP/AVP 18 0 96 8 9\r\na=rtpmap:96 opus/48000/2\r\n");
        for (codecs, chosen) in [
            (vec![&OPUS, &G722, &PCMA, &PCMU, &L16], 0),
            (vec![&OPUS, &PCMA], 96),
            (vec![&G722, &PCMA], 8),
            (vec![&G722], 9),
        ] {
            let mut audio = speaking(&codecs);
            let answer = audio.answer(&offer, source()).unwrap().unwrap();
            assert!(answer.contains(&format!("m=audio 20000 RTP/AVP {chosen}\r\n")), "{codecs:?}: {answer}");
            assert_eq!(audio.remote.unwrap().payload_type, chosen);
        }
        assert!(speaking(&[&L16]).answer(&offer, source()).is_err());
    }

    #[test]
    fn an_offer_lists_the_lines_codecs_in_its_order_with_keys_on_each_of_their_clocks() {
        let mut audio = speaking(&[&OPUS, &G722, &PCMA, &PCMU, &L16]);
        let offer = audio.offer().unwrap();
        let (_, media) = offer.split_once("t=0 0\r\n").unwrap();
        assert_eq!(
            media,
            "m=audio 20000 RTP/AVP 107 9 8 0 108 102 101\r\na=rtpmap:107 opus/48000/2\r\n\
             a=fmtp:107 useinbandfec=1;minptime=10\r\na=rtpmap:9 G722/8000\r\na=rtpmap:8 PCMA/8000\r\n\
             a=rtpmap:0 PCMU/8000\r\na=rtpmap:108 L16/48000\r\na=rtpmap:102 telephone-event/48000\r\n\
             a=fmtp:102 0-15\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\na=ptime:20\r\na=sendrecv\r\n"
        );
        let narrow = speaking(&[&PCMA, &PCMU]).offer().unwrap();
        assert!(narrow.contains("RTP/AVP 8 0 101\r\n"), "one clock, one kind of keys: {narrow}");
        assert!(speaking(&[&L16, &PCMA]).offer().unwrap().contains("a=ptime:10\r\n"));
    }

    #[test]
    fn the_answer_to_our_offer_settles_codec_and_keys() {
        for (answer, codec, numbers, event) in [
            ("8 101", &PCMA, (8, 8), Some((101, 101, 8_000))),
            ("9 101", &G722, (9, 9), Some((101, 101, 8_000))),
            ("107 102", &OPUS, (107, 107), Some((102, 102, 48_000))),
            ("107 101 102", &OPUS, (107, 107), Some((102, 102, 48_000))),
            ("107 101", &OPUS, (107, 107), Some((101, 101, 8_000))),
            ("0", &PCMU, (0, 0), None),
            ("101 8", &PCMA, (8, 8), Some((101, 101, 8_000))),
            (
                "99 100\r\na=rtpmap:99 L16/48000\r\na=rtpmap:100 telephone-event/48000",
                &L16,
                (99, 108),
                Some((100, 102, 48_000)),
            ),
        ] {
            let mut audio = speaking(&[&OPUS, &G722, &PCMA, &PCMU, &L16]);
            audio.offer();
            let remote =
                audio.accept(&offer_of(&format!("m=audio 9 RTP/AVP {answer}\r\n")), source()).unwrap();
            assert_eq!(remote.codec, codec, "{answer}");
            assert_eq!((remote.payload_type, remote.receive_payload_type), numbers, "{answer}");
            let told = remote.telephone_event.map(|e| (e.payload_type, e.receive_payload_type, e.clock_hz));
            assert_eq!(told, event, "{answer}");
        }
    }

    #[test]
    fn keys_without_the_codecs_clock_are_taken_on_the_one_there_is() {
        let offer = offer_of(
            "m=audio 1 RTP/AVP 107 101\r\na=rtpmap:107 opus/48000/2\r\na=rtpmap:101 telephone-event/8000\r\n",
        );
        let mut audio = speaking(&[&OPUS]);
        let answer = audio.answer(&offer, source()).unwrap().unwrap();
        assert!(
            answer.contains("RTP/AVP 107 101\r\n") && answer.contains("telephone-event/8000"),
            "{answer}"
        );
        assert_eq!(audio.remote.unwrap().telephone_event.unwrap().clock_hz, 8_000);
    }

    #[test]
    fn a_number_keeps_its_meaning_through_the_call() {
        let mut audio = speaking(&[&OPUS, &PCMA]);
        let theirs = offer_of(
            "m=audio 1 RTP/AVP 101 102\r\na=rtpmap:101 opus/48000/2\r\na=rtpmap:102 telephone-event/48000\r\n",
        );
        audio.answer(&theirs, source()).unwrap();
        let offer = audio.offer().unwrap();
        assert!(offer.contains("m=audio 20000 RTP/AVP 101 8 102 96\r\n"), "{offer}");
        assert!(offer.contains("a=rtpmap:96 telephone-event/8000\r\n"), "{offer}");
        assert_eq!(audio.offer().unwrap(), offer);
    }

    #[test]
    fn opus_parameters_are_kept_as_written_and_answered_with_what_we_like_to_get() {
        let offer = offer_of(
            "m=audio 1 RTP/AVP 96\r\na=rtpmap:96 opus/48000/2\r\na=fmtp:97 x=1\r\n\
             a=fmtp:96 maxplaybackrate=16000; stereo=1;maxaveragebitrate=20000\r\na=maxptime:40\r\n",
        );
        let mut audio = speaking(&[&OPUS]);
        let answer = audio.answer(&offer, source()).unwrap().unwrap();
        assert!(answer.contains("a=fmtp:96 useinbandfec=1;minptime=10\r\n"), "{answer}");
        let remote = audio.remote.unwrap();
        let fmtp = "maxplaybackrate=16000; stereo=1;maxaveragebitrate=20000";
        assert_eq!((remote.fmtp.as_deref(), remote.maxptime_ms), (Some(fmtp), Some(40)));
        let bare = offer_of("m=audio 1 RTP/AVP 8\r\n");
        assert_eq!(preview(&bare, &[&PCMA], (Srtp::Off, &KEY), source()).unwrap().fmtp, None);
    }

    #[test]
    fn our_packets_are_as_long_as_the_peer_asks() {
        for (ptime, ours) in
            [("", 20), ("a=ptime:40\r\n", 40), ("a=ptime:5\r\n", 20), ("a=ptime:200\r\n", 20)]
        {
            let offer = offer_of(&format!("m=audio 1 RTP/AVP 8\r\n{ptime}"));
            let answer = speaking(&[&PCMA]).answer(&offer, source()).unwrap().unwrap();
            assert!(answer.contains(&format!("a=ptime:{ours}\r\n")), "{ptime} {answer}");
        }
    }

    #[test]
    fn rtcp_goes_where_the_peer_says_or_to_the_next_port() {
        for (port, line, wanted) in [
            (9000, "", Some("192.0.2.1:9001")),
            (9000, "a=rtcp:9100\r\n", Some("192.0.2.1:9100")),
            (9000, "a=rtcp:9100 IN IP4 192.0.2.9\r\n", Some("192.0.2.9:9100")),
            (9000, "a=rtcp:9100 IN IP4 pbx.example\r\n", Some("192.0.2.1:9100")),
            (9000, "a=rtcp:nonsense\r\n", Some("192.0.2.1:9001")),
            (9000, "a=rtcp:0\r\n", Some("192.0.2.1:9001")),
            // What lines answer shares no port.
            (9000, "a=rtcp:9100\r\na=rtcp-mux\r\n", Some("192.0.2.1:9100")),
            (65_535, "", None),
        ] {
            let offer = offer_of(&format!("m=audio {port} RTP/AVP 8\r\n{line}"));
            let remote = preview(&offer, &[&PCMA], (Srtp::Off, &KEY), source()).unwrap();
            let rtcp = remote.rtcp.map(|address| address.to_string());
            assert_eq!(rtcp.as_deref(), wanted, "{line}");
        }
    }

    #[test]
    fn rtp_and_rtcp_share_a_port_when_both_sides_say_so() {
        let muxed = offer_of("m=audio 9 RTP/AVP 8\r\na=rtcp-mux\r\n");
        let plain = offer_of("m=audio 9 RTP/AVP 8\r\n");
        for (can, offer, shared) in [(true, &muxed, true), (true, &plain, false), (false, &muxed, false)] {
            let mut audio = speaking(&[&PCMA]);
            audio.local.as_mut().unwrap().rtcp_mux = can;
            let answer = audio.answer(offer, source()).unwrap().unwrap();
            assert_eq!(answer.contains("a=rtcp-mux\r\n"), shared);
            assert_eq!(audio.remote.unwrap().rtcp_mux, shared);
        }
        let mut audio = speaking(&[&PCMA]);
        let local = audio.local.as_mut().unwrap();
        (local.rtcp_mux, local.rtcp) = (true, Some(20_005));
        let offer = audio.offer().unwrap();
        assert!(offer.contains("a=rtcp:20005\r\na=rtcp-mux\r\n"), "{offer}");
    }

    const KEY: SdesKey = SdesKey([7; SDES_KEY_BYTES]);
    const THEIRS: &str = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEB";
    const OURS: &str = "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcH";

    #[test]
    fn an_encrypted_offer_is_answered_with_its_tag_and_our_key() {
        let lines = format!(
            "m=audio 9 RTP/SAVP 96\r\na=rtpmap:96 opus/48000/2\r\na=crypto:1 AES_256_CM_HMAC_SHA1_80 inline:AAAA\r\n\
             a=crypto:3 AES_CM_128_HMAC_SHA1_32 inline:{THEIRS}|2^31\r\n"
        );
        for srtp in [Srtp::Offer, Srtp::Require] {
            let mut audio = Audio { local: Some(local()), ..Audio::new(7, srtp, KEY) };
            let answer = audio.answer(&offer_of(&lines), source()).unwrap().unwrap();
            assert!(answer.contains("m=audio 20000 RTP/SAVP 96\r\n"), "{answer}");
            assert!(
                answer.contains(&format!("a=crypto:3 AES_CM_128_HMAC_SHA1_32 inline:{OURS}\r\n")),
                "{answer}"
            );
            let keys = audio.remote.unwrap().srtp.unwrap();
            assert_eq!((keys.suite, keys.ours, keys.theirs.0), (CryptoSuite::Sha1_32, KEY, [1; 30]));
        }
        let off = ours().answer(&offer_of(&lines), source());
        assert!(matches!(off, Err(AudioError::NoAudio { .. })), "{off:?}");
        let keyless = offer_of("m=audio 9 RTP/SAVP 96\r\na=rtpmap:96 opus/48000/2\r\n");
        assert!(preview(&keyless, &[&OPUS], (Srtp::Offer, &KEY), source()).is_err());
    }

    #[test]
    fn who_requires_encryption_refuses_what_is_not_and_who_offers_it_takes_both() {
        let plain = offer_of(OPUS_LINES);
        assert!(preview(&plain, &[&OPUS], (Srtp::Require, &KEY), source()).is_err());
        assert!(preview(&plain, &[&OPUS], (Srtp::Offer, &KEY), source()).is_ok());
        // A phone that encrypts where it can writes a key beside plain RTP.
        let both = offer_of(&format!("{OPUS_LINES}a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{THEIRS}\r\n"));
        let mut audio = Audio { local: Some(local()), ..Audio::new(7, Srtp::Require, KEY) };
        let answer = audio.answer(&both, source()).unwrap().unwrap();
        assert!(answer.contains("RTP/AVP 96\r\n") && answer.contains("a=crypto:1 "), "{answer}");
        assert!(!ours().answer(&both, source()).unwrap().unwrap().contains("crypto"));
        let seen = preview(&both, &[&OPUS], (Srtp::Require, &KEY), source()).unwrap();
        assert_eq!(seen.srtp, audio.remote.unwrap().srtp, "the keys are known before the answer");
    }

    #[test]
    fn our_offer_says_what_we_want_and_its_answer_settles_the_keys() {
        let crypto = format!("a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{OURS}\r\n");
        for (srtp, protocol, keyed) in
            [(Srtp::Off, "RTP/AVP", false), (Srtp::Offer, "RTP/AVP", true), (Srtp::Require, "RTP/SAVP", true)]
        {
            let mut audio = Audio { local: Some(local()), ..Audio::new(7, srtp, KEY) };
            let offer = audio.offer().unwrap();
            assert!(offer.contains(&format!("m=audio 20000 {protocol} ")), "{offer}");
            assert_eq!(offer.contains(&crypto), keyed, "{offer}");
            let number = offer.split(protocol).nth(1).unwrap().split_whitespace().next().unwrap();
            let plain = format!("m=audio 9 {protocol} {number}\r\n");
            let encrypted = format!("{plain}a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{THEIRS}\r\n");
            let settled = audio.accept(&offer_of(&plain), source()).map(|remote| remote.srtp.is_some());
            assert_eq!(settled.ok(), (srtp != Srtp::Require).then_some(false), "{srtp:?}");
            let settled = audio.accept(&offer_of(&encrypted), source()).unwrap().srtp;
            assert_eq!(settled.is_some(), keyed, "{srtp:?}");
            let short = encrypted.replace("SHA1_80", "SHA1_32");
            let settled = audio.accept(&offer_of(&short), source()).map(|remote| remote.srtp.is_some());
            assert_eq!(settled.ok(), (srtp != Srtp::Require).then_some(false), "not what we offered");
        }
    }

    const OPUS_LINES: &str = "m=audio 10002 RTP/AVP 96\r\na=rtpmap:96 opus/48000/2\r\n";

    fn offer_of(media: &str) -> Vec<u8> {
        format!("v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n{media}")
            .into_bytes()
    }

    fn source() -> IpAddr {
        "127.0.0.1".parse().unwrap()
    }

    fn local() -> LocalAudio {
        LocalAudio {
            rtp: "127.0.0.1:20000".parse().unwrap(),
            rtcp: None,
            rtcp_mux: false,
            codecs: vec![&OPUS],
            telephone_event: false,
        }
    }

    fn speaking(codecs: &[&'static Codec]) -> Audio {
        let local = LocalAudio { codecs: codecs.to_vec(), telephone_event: true, ..local() };
        Audio { local: Some(local), ..Audio::new(7, Srtp::Off, KEY) }
    }

    fn ours() -> Audio {
        Audio { local: Some(local()), ..Audio::new(7, Srtp::Off, KEY) }
    }
}
