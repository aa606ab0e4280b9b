//! Offer and answer for one audio stream (RFC 3264): what we offer, what we answer, what the peer then expects.
//!
//! An answer takes the first codec of the offer that the line carries, under the offer's own number, and refuses
//! every other media line by port 0.

use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};

use tgtrunk_media::codec::{self, Codec};

use crate::sdp::{Description, Direction, Host, Media, SdpError};

/// Payload type that our offers give to telephone-event.
const TELEPHONE_EVENT_TYPE: u8 = 101;

/// Our end of a call's audio.
#[derive(Debug, Clone, PartialEq)]
pub struct LocalAudio {
    /// Where the PBX sends RTP.
    pub rtp: SocketAddr,
    /// What we carry; in our offers the first is the most wanted.
    pub codecs: Vec<&'static Codec>,
    /// Milliseconds of audio per packet that we ask for.
    pub ptime_ms: u32,
    /// Whether keys may come as RFC 4733 events.
    pub telephone_event: bool,
}

/// The PBX's end of a call's audio, as offer and answer settled it.
#[derive(Debug, Clone, PartialEq)]
pub struct RemoteAudio {
    /// Where it wants RTP. The unspecified address means that it wants none (RFC 3264 section 8.4).
    pub rtp: SocketAddr,
    /// Payload type in packets to it.
    pub payload_type: u8,
    /// Payload type in packets from it.
    pub receive_payload_type: u8,
    /// What both sides speak.
    pub codec: &'static Codec,
    /// Milliseconds of audio per packet that it asks for.
    pub ptime_ms: Option<u32>,
    /// Most milliseconds of audio per packet that it takes.
    pub maxptime_ms: Option<u32>,
    /// What it does; anything but [`Direction::SendRecv`] is some form of hold.
    pub direction: Direction,
    /// Payload type and clock in Hz of RFC 4733 events, where both sides take them.
    pub telephone_event: Option<(u8, u32)>,
}

impl RemoteAudio {
    /// Whether it wants to hear us.
    #[must_use]
    pub fn listens(&self) -> bool {
        matches!(self.direction, Direction::SendRecv | Direction::RecvOnly)
    }
}

/// Why an offer or an answer leads to no audio.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum AudioError {
    /// Answered 400.
    #[error(transparent)]
    Sdp(#[from] SdpError),
    /// Answered 488.
    #[error("no audio among the media offered: {0:?}, wanted audio over RTP/AVP")]
    NoAudio(Vec<String>),
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
    pub(crate) local: Option<LocalAudio>,
    pub(crate) remote: Option<RemoteAudio>,
}

impl Audio {
    /// `id` is the number in `o=`, unique among our calls.
    pub(crate) fn new(id: u64) -> Self {
        Self { id, version: 1, sent: None, local: None, remote: None }
    }

    /// Our offer, or `None` before [`Audio::local`] is known.
    pub(crate) fn offer(&mut self) -> Option<String> {
        let local = self.local.clone()?;
        let codecs: Vec<_> = local.codecs.iter().map(|&codec| (self.number(codec), codec)).collect();
        let event = match local.codecs.first() {
            Some(first) if local.telephone_event => Some((TELEPHONE_EVENT_TYPE, first.clock_hz)),
            _ => None,
        };
        let media = audio_lines(&local, "RTP/AVP", &codecs, event, Direction::SendRecv);
        Some(self.describe(local.rtp.ip(), &media))
    }

    /// Our answer to an offer; what it settles is kept.
    ///
    /// # Errors
    /// [`AudioError`] when nothing in it can be carried; then nothing changes.
    pub(crate) fn answer(&mut self, offer: &[u8], source: IpAddr) -> Result<Option<String>, AudioError> {
        let Some(local) = self.local.clone() else { return Ok(None) };
        let offer = Description::parse(offer)?;
        let (chosen, remote) = choose(&offer, &local.codecs, local.telephone_event, source)?;
        let mut media = String::new();
        for (at, line) in offer.media.iter().enumerate() {
            if at == chosen {
                let codecs = [(remote.payload_type, remote.codec)];
                let direction = remote.direction.reversed();
                media.push_str(&audio_lines(
                    &local,
                    &line.protocol,
                    &codecs,
                    remote.telephone_event,
                    direction,
                ));
            } else {
                let _ = write!(media, "m={} 0 {} {}\r\n", line.kind, line.protocol, line.formats.join(" "));
            }
        }
        self.remote = Some(remote);
        Ok(Some(self.describe(local.rtp.ip(), &media)))
    }

    /// Takes the answer to our offer.
    ///
    /// # Errors
    /// [`AudioError`] when the answer leaves no audio; then nothing changes.
    pub(crate) fn accept(&mut self, answer: &[u8], source: IpAddr) -> Result<RemoteAudio, AudioError> {
        let remote = read_answer(answer, self.local.as_ref(), |codec| self.number(codec), source)?;
        self.remote = Some(remote.clone());
        Ok(remote)
    }

    /// The payload type under which we offer a codec: once settled it stays (RFC 3264 section 8.3.2).
    fn number(&self, codec: &Codec) -> u8 {
        match &self.remote {
            Some(remote) if remote.codec == codec => remote.receive_payload_type,
            _ => codec.static_payload_type.unwrap_or(codec.offered_payload_type),
        }
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

/// What an offer would come to with every codec of the table, before anybody answers.
///
/// # Errors
/// [`AudioError`] when nothing in it can be carried.
pub(crate) fn preview(offer: &[u8], source: IpAddr) -> Result<RemoteAudio, AudioError> {
    let offer = Description::parse(offer)?;
    choose(&offer, &codec::TABLE, false, source).map(|(_, remote)| remote)
}

/// The first media line that we can carry, and its first codec that we have.
fn choose(
    offer: &Description,
    codecs: &[&'static Codec],
    telephone_event: bool,
    source: IpAddr,
) -> Result<(usize, RemoteAudio), AudioError> {
    let carried = |media: &Media| media.kind == "audio" && media.port != 0 && media.protocol == "RTP/AVP";
    let mut offered = Vec::new();
    for (at, media) in offer.media.iter().enumerate().filter(|(_, media)| carried(media)) {
        for number in media.payload_types() {
            match codec_behind(media, number).filter(|codec| codecs.contains(codec)) {
                Some(codec) => {
                    let event = if telephone_event { event_type(media, codec) } else { None };
                    return Ok((at, remote_end(offer, media, (number, number), codec, event, source)));
                }
                None => {
                    offered.push(media.encoding(number).map_or(number.to_string(), |e| e.name.to_owned()))
                }
            }
        }
    }
    if offer.media.iter().any(carried) {
        let taken = codecs.iter().map(|codec| codec.name).collect();
        return Err(AudioError::NoCommonCodec { offered, taken });
    }
    let lines = offer.media.iter().map(|media| format!("{} {} {}", media.kind, media.port, media.protocol));
    Err(AudioError::NoAudio(lines.collect()))
}

fn read_answer(
    answer: &[u8],
    local: Option<&LocalAudio>,
    ours: impl Fn(&Codec) -> u8,
    source: IpAddr,
) -> Result<RemoteAudio, AudioError> {
    let answer = Description::parse(answer)?;
    let codecs = local.map(|local| local.codecs.as_slice()).unwrap_or_default();
    let Some(media) = answer.media.iter().find(|media| media.kind == "audio" && media.port != 0) else {
        return Err(AudioError::NoAudio(
            answer.media.iter().map(|m| format!("{} {}", m.kind, m.port)).collect(),
        ));
    };
    for number in media.payload_types() {
        // An answer may leave out the rtpmap of a number that our offer explained.
        let unexplained = || codecs.iter().copied().find(|codec| ours(codec) == number);
        let codec = match media.encoding(number) {
            Some(_) => codec_behind(media, number),
            None => unexplained(),
        };
        if let Some(codec) = codec.filter(|codec| codecs.contains(codec)) {
            let wanted = local.is_some_and(|local| local.telephone_event);
            let event = if wanted { event_type(media, codec) } else { None };
            return Ok(remote_end(&answer, media, (number, ours(codec)), codec, event, source));
        }
    }
    let offered =
        media.payload_types().map(|n| media.encoding(n).map_or(n.to_string(), |e| e.name.to_owned()));
    Err(AudioError::NoCommonCodec {
        offered: offered.collect(),
        taken: codecs.iter().map(|codec| codec.name).collect(),
    })
}

fn codec_behind(media: &Media, number: u8) -> Option<&'static Codec> {
    match media.encoding(number) {
        Some(encoding) => codec::find(encoding.name, encoding.clock_hz, encoding.channels),
        None => codec::find_static(number),
    }
}

/// The telephone-event on the codec's own clock, else the first one: Asterisk offers several.
fn event_type(media: &Media, codec: &Codec) -> Option<(u8, u32)> {
    let events = || {
        media.payload_types().filter_map(|number| {
            let encoding = media.encoding(number)?;
            encoding.name.eq_ignore_ascii_case("telephone-event").then_some((number, encoding.clock_hz))
        })
    };
    events().find(|&(_, clock_hz)| clock_hz == codec.clock_hz).or_else(|| events().next())
}

fn remote_end(
    description: &Description,
    media: &Media,
    (payload_type, receive_payload_type): (u8, u8),
    codec: &'static Codec,
    telephone_event: Option<(u8, u32)>,
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
    RemoteAudio {
        rtp: SocketAddr::new(ip, media.port),
        payload_type,
        receive_payload_type,
        codec,
        ptime_ms: media.milliseconds("ptime"),
        maxptime_ms: media.milliseconds("maxptime"),
        direction,
        telephone_event,
    }
}

fn audio_lines(
    local: &LocalAudio,
    protocol: &str,
    codecs: &[(u8, &'static Codec)],
    event: Option<(u8, u32)>,
    direction: Direction,
) -> String {
    let mut lines = format!("m=audio {} {protocol}", local.rtp.port());
    for number in codecs.iter().map(|&(number, _)| number).chain(event.map(|(number, _)| number)) {
        let _ = write!(lines, " {number}");
    }
    lines.push_str("\r\n");
    for (number, codec) in codecs {
        let _ = write!(lines, "a=rtpmap:{number} {}/{}", codec.name, codec.clock_hz);
        if codec.channels > 1 {
            let _ = write!(lines, "/{}", codec.channels);
        }
        lines.push_str("\r\n");
        if !codec.fmtp.is_empty() {
            let _ = write!(lines, "a=fmtp:{number} {}\r\n", codec.fmtp);
        }
    }
    if let Some((number, clock_hz)) = event {
        let _ = write!(lines, "a=rtpmap:{number} telephone-event/{clock_hz}\r\na=fmtp:{number} 0-15\r\n");
    }
    let _ = write!(lines, "a=ptime:{}\r\na={}\r\n", local.ptime_ms, direction.as_str());
    lines
}

fn render(id: u64, version: u64, ip: IpAddr, media: &str) -> String {
    let family = if ip.is_ipv4() { "IP4" } else { "IP6" };
    format!("v=0\r\no=- {id} {version} IN {family} {ip}\r\ns=-\r\nc=IN {family} {ip}\r\nt=0 0\r\n{media}")
}

#[cfg(test)]
mod tests {
    use tgtrunk_media::codec::OPUS;

    use super::*;

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
        let error = preview(&only_g711, source()).unwrap_err();
        assert_eq!(
            error.to_string(),
            r#"offered ["8", "G729", "telephone-event"], this line takes ["opus"]"#
        );
        let secure = offer_of("m=audio 1 RTP/SAVP 96\r\na=rtpmap:96 opus/48000/2\r\n");
        assert!(matches!(preview(&secure, source()), Err(AudioError::NoAudio(_))));
        assert!(matches!(preview(b"hello", source()), Err(AudioError::Sdp(_))));
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
        assert_eq!(audio.remote.unwrap().telephone_event, Some((102, 48_000)));
    }

    #[test]
    fn our_offer_is_understood_by_our_own_reading_and_its_answer_too() {
        let mut caller = ours();
        let mut callee = Audio {
            local: Some(LocalAudio { rtp: "192.0.2.9:4000".parse().unwrap(), ..local() }),
            ..Audio::new(8)
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
        assert_eq!(preview(body, source()).unwrap().rtp.to_string(), "127.0.0.1:9");
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
            codecs: vec![&OPUS],
            ptime_ms: 20,
            telephone_event: false,
        }
    }

    fn ours() -> Audio {
        Audio { local: Some(local()), ..Audio::new(7) }
    }
}
