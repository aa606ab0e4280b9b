//! SIPp as one phone in one call, with any one codec: it plays RTP from a file, sends keys by INFO and notes those it
//! gets. What it hears, a [`Capture`](crate::capture::Capture) keeps. The other end hangs up.

use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use tempfile::TempDir;
use tokio::process::{Child, Command};
use tokio::time::{sleep, timeout};

use crate::codec::Codec;
use crate::pcm::{self, Pcm};
use crate::{ffmpeg, pcap, ports};

/// Payload type of events in calls that it places.
pub const EVENT_TYPE: u8 = 101;
/// Bits per second of the Opus that it plays.
const OPUS_BITS: i32 = 32_000;
/// How long it waits before it plays, for media behind the gateway to connect.
const LEAD: Duration = Duration::from_millis(1500);
/// How long all of it may take.
const LIMIT: Duration = Duration::from_secs(120);

/// What the phone is like.
#[derive(Debug, Clone)]
pub struct Options {
    pub codec: Codec,
    /// Whether it takes events of RFC 4733, at the clock of its codec.
    pub events: bool,
    /// Whom it calls: user and address; nobody when it waits to be asked by OPTIONS once, and called then.
    pub calls: Option<(String, SocketAddr)>,
    pub does: Does,
    /// Where it listens for SIP; any free port without it.
    pub sip_port: Option<u16>,
    /// Its own address.
    pub ip: IpAddr,
    /// Whether it speaks over TCP, by one connection.
    pub tcp: bool,
}

impl Options {
    /// A phone on 127.0.0.1 that takes its calls in silence, over UDP.
    pub fn new(codec: Codec) -> Self {
        let ip = Ipv4Addr::LOCALHOST.into();
        Self { codec, events: false, calls: None, does: Does::Nothing, sip_port: None, ip, tcp: false }
    }
}

/// What it does once it is answered or has answered.
#[derive(Debug, Clone)]
pub enum Does {
    Nothing,
    /// Plays these RTP packets, each at its millisecond.
    Plays(Vec<(u32, Vec<u8>)>),
    /// Plays files that hold RTP, one after the other, with so many milliseconds from one beginning to the next.
    PlaysFiles(Vec<String>, u32),
    /// Sends INFO; only a phone that calls does.
    Sends(Vec<Info>),
}

/// A key as SIP INFO.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Info {
    pub content_type: String,
    pub body: String,
    /// What it waits for after the answer.
    pub pause_ms: u32,
}

impl Info {
    /// `application/dtmf-relay`, as gateways of many makers send it.
    pub fn relay(digit: char, duration_ms: u32, pause_ms: u32) -> Self {
        let body = format!("Signal={digit}\nDuration={duration_ms}");
        Self { content_type: "application/dtmf-relay".to_owned(), body, pause_ms }
    }

    /// `application/dtmf`: the key and nothing else.
    pub fn plain(digit: char, pause_ms: u32) -> Self {
        Self { content_type: "application/dtmf".to_owned(), body: digit.to_string(), pause_ms }
    }

    /// The key and its milliseconds, if it tells them.
    pub fn key(&self) -> Option<(char, Option<u32>)> {
        if self.content_type == "application/dtmf" {
            return Some((self.body.trim().chars().next()?, None));
        }
        let field = |name: &str| {
            let lines = self.body.lines().filter_map(|line| line.split_once('='));
            let value = lines.into_iter().find(|(known, _)| known.trim().eq_ignore_ascii_case(name))?.1;
            Some(value.trim().to_owned())
        };
        Some((field("Signal")?.chars().next()?, field("Duration").and_then(|value| value.parse().ok())))
    }
}

/// A phone that calls or is called.
pub struct SippPhone {
    child: Child,
    dir: TempDir,
    /// Where it takes calls.
    pub sip: SocketAddr,
    /// Where its sound comes and goes.
    pub media: SocketAddr,
}

impl SippPhone {
    /// Starts it; one that calls does so at once.
    ///
    /// # Errors
    /// When the Debian package `sip-tester` is missing.
    pub fn start(options: &Options) -> anyhow::Result<Self> {
        let dir = TempDir::with_prefix("sipp-")?;
        let sip_port = options.sip_port.map_or_else(ports::free, Ok)?;
        let media_port = ports::free_media()?;
        let scenario = dir.path().join("scenario.xml");
        std::fs::write(&scenario, self::scenario(options, dir.path())?)?;
        let mut command = Command::new("sipp");
        command.current_dir(dir.path()).arg("-sf").arg(scenario);
        if let Some((user, line)) = &options.calls {
            command.arg(line.to_string()).args(["-s", user]);
        }
        let ip = options.ip.to_string();
        // One more for the OPTIONS by which a line asks whether it is there.
        let calls = if options.calls.is_some() { "1" } else { "2" };
        command.args(["-m", calls, "-i", &ip, "-p", &sip_port.to_string()]);
        command.args(["-t", if options.tcp { "t1" } else { "u1" }]);
        command.args(["-mi", &ip, "-mp", &media_port.to_string(), "-aa", "-nostdin"]);
        command.args(["-cp", &ports::free()?.to_string()]);
        command.args(["-timeout", &LIMIT.as_secs().to_string(), "-timeout_error"]);
        command.args([
            "-trace_err",
            "-error_file",
            "errors.log",
            "-trace_msg",
            "-message_file",
            "messages.log",
        ]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
        let child = command.spawn().context("sipp, from the Debian package sip-tester")?;
        let address = |port| SocketAddr::new(options.ip, port);
        Ok(Self { child, dir, sip: address(sip_port), media: address(media_port) })
    }

    /// Waits until a phone that waited was hung up on. It does not end by itself: it takes the OPTIONS by which a line
    /// asks whether it is there for a call that never ends.
    ///
    /// # Errors
    /// When no BYE comes in time; with what came instead.
    pub async fn hung_up(self, limit: Duration) -> anyhow::Result<()> {
        let messages = || std::fs::read_to_string(self.dir.path().join("messages.log")).unwrap_or_default();
        let waiting = async {
            while !messages().contains("\nBYE ") {
                sleep(Duration::from_millis(20)).await;
            }
        };
        timeout(limit, waiting).await.with_context(|| format!("no BYE came:\n{}", messages()))
    }

    /// Waits until the call is over; gives the INFO requests that came.
    ///
    /// # Errors
    /// When the call failed or does not end; with what SIPp says.
    pub async fn finished(mut self) -> anyhow::Result<Vec<Info>> {
        let status = timeout(LIMIT, self.child.wait()).await.context("sipp does not end")??;
        let file = |name| std::fs::read_to_string(self.dir.path().join(name)).unwrap_or_default();
        let messages = file("messages.log");
        ensure!(status.success(), "sipp ended with {status}: {}\n{messages}", file("errors.log"));
        Ok(infos(&messages))
    }
}

/// A sound as RTP packets, for [`Does::Plays`]. SIPp plays no packet of more than 1500 bytes.
///
/// # Errors
/// When ffmpeg or libopus fail.
pub fn spoken(codec: Codec, payload_type: u8, sound: &Pcm) -> anyhow::Result<Vec<(u32, Vec<u8>)>> {
    let packet_ms = codec.packet_ms();
    let payloads = if codec == Codec::Opus {
        ffmpeg::opus_encoded(sound, OPUS_BITS)?
    } else {
        let bytes = ffmpeg::encoded(codec, sound)?;
        let seconds = sound.samples.len() as f64 / f64::from(sound.rate_hz);
        let per_packet = (bytes.len() as f64 / seconds * f64::from(packet_ms) / 1000.0).round() as usize;
        bytes.chunks_exact(per_packet).map(<[u8]>::to_vec).collect()
    };
    let ticks = pcm::samples(packet_ms, codec.clock_hz()) as u32;
    let packet = |(at, payload): (u32, Vec<u8>)| {
        let mut packet = vec![0x80, payload_type | u8::from(at == 0) << 7];
        packet.extend((at as u16).to_be_bytes());
        packet.extend((at * ticks).to_be_bytes());
        packet.extend(0x7467_7432_u32.to_be_bytes());
        packet.extend(payload);
        (at * packet_ms, packet)
    };
    Ok((0..).zip(payloads).map(packet).collect())
}

/// INFO requests in SIPp's trace of messages that it received.
fn infos(messages: &str) -> Vec<Info> {
    let received = messages.split(" message received").skip(1);
    let infos = received.filter_map(|message| {
        let (_, message) = message.split_once("\n\n").or_else(|| message.split_once("\r\n\r\n"))?;
        let message = message.trim_start().replace('\r', "");
        let message = message.split("\n-----------").next()?;
        let (head, body) = message.split_once("\n\n").unwrap_or((message, ""));
        let mut lines = head.lines();
        lines.next().filter(|first| first.starts_with("INFO "))?;
        let content_type = lines.find_map(|line| {
            let (name, value) = line.split_once(':')?;
            let wanted = name.eq_ignore_ascii_case("content-type") || name.eq_ignore_ascii_case("c");
            wanted.then(|| value.trim().to_owned())
        })?;
        Some(Info { content_type, body: body.trim().to_owned(), pause_ms: 0 })
    });
    infos.collect()
}

fn scenario(options: &Options, dir: &Path) -> anyhow::Result<String> {
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\" ?>\n<scenario name=\"phone\">\n");
    if options.calls.is_some() {
        place(&mut out, options)?
    } else {
        answer(&mut out, options)?
    }
    let pause = |out: &mut String, length_ms: u64| writeln!(out, "<pause milliseconds=\"{length_ms}\"/>");
    let play = |out: &mut String, file: &str| {
        writeln!(out, "<nop><action><exec play_pcap_audio=\"{file}\"/></action></nop>")
    };
    match &options.does {
        Does::Nothing => {}
        Does::Plays(packets) => {
            pcap::write(&dir.join("plays.pcap"), packets)?;
            pause(&mut out, LEAD.as_millis() as u64)?;
            play(&mut out, "plays.pcap")?;
        }
        Does::PlaysFiles(files, apart_ms) => {
            pause(&mut out, LEAD.as_millis() as u64)?;
            for file in files {
                play(&mut out, file)?;
                pause(&mut out, u64::from(*apart_ms))?;
            }
        }
        Does::Sends(infos) => {
            pause(&mut out, LEAD.as_millis() as u64)?;
            for (number, info) in infos.iter().enumerate() {
                request(&mut out, "INFO", number + 2, &info.content_type, &info.body)?;
                writeln!(out, "<recv response=\"200\"/>")?;
                pause(&mut out, u64::from(info.pause_ms))?;
            }
        }
    }
    out.push_str("<recv request=\"BYE\" timeout=\"110000\"/>\n");
    respond(&mut out, "200 OK", "[last_To:]", "Content-Length: 0\n")?;
    out.push_str("</scenario>\n");
    Ok(out)
}

fn place(out: &mut String, options: &Options) -> anyhow::Result<()> {
    let codec = options.codec;
    let description = description(codec, &codec.payload_type().to_string(), options.events, "101");
    let invite = "INVITE sip:[service]@[remote_ip]:[remote_port] SIP/2.0";
    let head = "Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]\n\
                From: <sip:100@[local_ip]:[local_port]>;tag=[pid]phone\nCall-ID: [call_id]\n\
                Contact: <sip:100@[local_ip]:[local_port];transport=[transport]>\nMax-Forwards: 70";
    write!(
        out,
        "<send retrans=\"500\"><![CDATA[\n{invite}\n{head}\nTo: <sip:[service]@[remote_ip]:[remote_port]>\n\
         CSeq: 1 INVITE\nAllow: INVITE, ACK, BYE, CANCEL, INFO, OPTIONS\nContent-Type: application/sdp\n\
         Content-Length: [len]\n\n{description}\n]]></send>\n\
         <recv response=\"100\" optional=\"true\"/>\n<recv response=\"180\" optional=\"true\"/>\n\
         <recv response=\"183\" optional=\"true\"/>\n<recv response=\"200\" rrs=\"true\"/>\n\
         <send><![CDATA[\nACK [next_url] SIP/2.0\n{head}\n\
         To: <sip:[service]@[remote_ip]:[remote_port]>[peer_tag_param]\nCSeq: 1 ACK\nContent-Length: 0\n\n]]></send>\n"
    )?;
    Ok(())
}

fn request(
    out: &mut String,
    method: &str,
    number: usize,
    content_type: &str,
    body: &str,
) -> anyhow::Result<()> {
    write!(
        out,
        "<send retrans=\"500\"><![CDATA[\n{method} [next_url] SIP/2.0\n\
         Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]\n\
         From: <sip:100@[local_ip]:[local_port]>;tag=[pid]phone\n\
         To: <sip:[service]@[remote_ip]:[remote_port]>[peer_tag_param]\nCall-ID: [call_id]\n\
         CSeq: {number} {method}\nContact: <sip:100@[local_ip]:[local_port];transport=[transport]>\nMax-Forwards: 70\n\
         Content-Type: {content_type}\nContent-Length: [len]\n\n{body}\n]]></send>\n"
    )?;
    Ok(())
}

/// OPTIONS, by which a line asks whether it is there, are answered by SIPp itself.
fn answer(out: &mut String, options: &Options) -> anyhow::Result<()> {
    let (codec, mut known) = (options.codec, "whole".to_owned());
    let mut searches = String::new();
    let mut number = |name: &str, rtpmap: &str| {
        known.push_str(&format!(",{name}"));
        write!(
            searches,
            "<ereg regexp=\"a=rtpmap:([0-9]+) {rtpmap}\" search_in=\"body\" check_it=\"true\" \
             assign_to=\"whole,{name}\"/>"
        )
    };
    let is_static = codec.payload_type() < 96;
    if !is_static {
        number("audio", codec.rtpmap())?;
    }
    if options.events {
        number("event", &format!("telephone-event/{}", codec.clock_hz()))?;
    }
    let actions = if searches.is_empty() { String::new() } else { format!("<action>{searches}</action>") };
    writeln!(out, "<recv request=\"INVITE\" crlf=\"true\">{actions}</recv>")?;
    let to = "[last_To:];tag=[pid]phone";
    respond(out, "180 Ringing", to, "Content-Length: 0\n")?;
    out.push_str("<pause milliseconds=\"100\"/>\n");
    let audio = if is_static { codec.payload_type().to_string() } else { "[$audio]".to_owned() };
    let description = description(codec, &audio, options.events, "[$event]");
    let more = format!("Content-Type: application/sdp\nContent-Length: [len]\n\n{description}");
    respond(out, "200 OK", to, &more)?;
    out.push_str("<recv request=\"ACK\"/>\n");
    if !searches.is_empty() {
        out.push_str("<Reference variables=\"whole\"/>\n");
    }
    Ok(())
}

fn respond(out: &mut String, status: &str, to: &str, more: &str) -> anyhow::Result<()> {
    write!(
        out,
        "<send><![CDATA[\nSIP/2.0 {status}\n[last_Via:]\n[last_From:]\n{to}\n[last_Call-ID:]\n[last_CSeq:]\n\
         Contact: <sip:100@[local_ip]:[local_port];transport=[transport]>\nAllow: INVITE, ACK, BYE, CANCEL, INFO, OPTIONS\n{more}\n]]></send>\n"
    )?;
    Ok(())
}

fn description(codec: Codec, audio: &str, events: bool, event: &str) -> String {
    let mut out = String::from(
        "v=0\no=- 1 1 IN IP[local_ip_type] [local_ip]\ns=-\nc=IN IP[media_ip_type] [media_ip]\nt=0 0\n",
    );
    let numbers = if events { format!("{audio} {event}") } else { audio.to_owned() };
    out.push_str(&format!("m=audio [media_port] RTP/AVP {numbers}\na=rtpmap:{audio} {}\n", codec.rtpmap()));
    if events {
        let clock_hz = codec.clock_hz();
        out.push_str(&format!("a=rtpmap:{event} telephone-event/{clock_hz}\na=fmtp:{event} 0-15\n"));
    }
    out.push_str(&format!("a=ptime:{}\na=sendrecv", codec.packet_ms()));
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn infos_are_read_from_the_trace() {
        let trace = "----- 2026-01-01 00:00:00.0\nUDP message received [300] bytes :\n\nINFO sip:100@127.0.0.1 SIP/2.0\r\n\
                     CSeq: 2 INFO\r\nContent-Type: application/dtmf-relay\r\nContent-Length: 26\r\n\r\n\
                     Signal=5\r\nDuration=160\r\n\n----------- 2026\nUDP message sent (200 bytes):\n\nSIP/2.0 200 OK\r\n\r\n\
                     \n-----------\nUDP message received [9] bytes :\n\nBYE sip:100@127.0.0.1 SIP/2.0\r\n\r\n";
        let infos = infos(trace);
        assert_eq!(infos.len(), 1);
        assert_eq!(infos[0].key(), Some(('5', Some(160))));
        assert_eq!(Info::relay('#', 100, 0).key(), Some(('#', Some(100))));
        assert_eq!(Info::plain('*', 0).key(), Some(('*', None)));
    }
}
