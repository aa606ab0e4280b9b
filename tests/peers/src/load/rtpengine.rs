//! rtpengine in userspace with one worker, as a process under measurement, driven over its ng protocol: one datagram per
//! command, a cookie and a bencoded dictionary.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};
use std::ops::Range;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use super::ends::Ends;
use super::master::{Master, Profile, keys};
use crate::codec::Codec;
use crate::ports;

const PROGRAM: &str = "rtpengine";
/// It takes four ports for each call.
const PORTS: (u16, u16) = (40_000, 59_999);
const LIMIT: Duration = Duration::from_secs(2);

/// rtpengine; it ends when this is dropped.
pub struct Rtpengine {
    child: Child,
    control: UdpSocket,
    commands: u32,
    trunk: Range<u16>,
    telegram: Range<u16>,
}

impl Rtpengine {
    /// Whether it is installed.
    pub fn is_there() -> bool {
        let asked =
            Command::new(PROGRAM).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
        asked.is_ok_and(|status| status.success())
    }

    /// Starts one and sets so many calls up in it.
    ///
    /// # Errors
    /// When it refuses.
    pub fn start(ends: &Ends, calls: usize, profile: Profile) -> anyhow::Result<Self> {
        Self::transcoding(ends, calls, profile, Codec::Opus)
    }

    /// The same with this codec on the trunk's side, and Opus on Telegram's.
    ///
    /// # Errors
    /// When it refuses.
    pub fn transcoding(ends: &Ends, calls: usize, profile: Profile, codec: Codec) -> anyhow::Result<Self> {
        let ng = SocketAddrV4::new(Ipv4Addr::LOCALHOST, ports::free()?);
        let child = Command::new(PROGRAM)
            .args(["--config-file=none", "--table=-1", "--interface=127.0.0.1", "--num-threads=1"])
            .args([
                "--foreground",
                "--log-stderr",
                "--log-level=2",
                "--timeout=3600",
                "--silent-timeout=3600",
            ])
            .arg(format!("--listen-ng={ng}"))
            .args([format!("--port-min={}", PORTS.0), format!("--port-max={}", PORTS.1)])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let control = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        control.connect(ng)?;
        control.set_read_timeout(Some(LIMIT))?;
        let first = ends.next();
        let (trunk, telegram) = (first.0..first.0, first.1..first.1);
        let mut engine = Self { child, control, commands: 0, trunk, telegram };
        let is_up = (0..100).any(|_| {
            thread::sleep(Duration::from_millis(50));
            engine.say(&[("command", "ping")], &[]).is_ok()
        });
        ensure!(is_up, "rtpengine does not answer: {:?}", engine.child.try_wait());
        for number in 0..calls {
            engine
                .set_up(ends, number, profile, codec)
                .with_context(|| format!("call {number} of rtpengine"))?;
        }
        Ok(engine)
    }

    fn set_up(&mut self, ends: &Ends, number: usize, profile: Profile, codec: Codec) -> anyhow::Result<()> {
        let ((trunk, trunk_end), (telegram, telegram_end)) = (ends.trunk(), ends.telegram());
        let id = format!("call-{number}");
        let offer = description(trunk_end, "RTP/AVP", codec, None);
        let common = [("call-id", id.as_str()), ("from-tag", "pbx"), ("ICE", "remove"), ("DTLS", "off")];
        let mut words = vec![("command", "offer"), ("transport-protocol", "RTP/SAVP"), ("sdp", &offer)];
        words.extend(common);
        let flags = [format!("codec-mask-{codec}"), "codec-transcode-opus".to_owned()];
        let flags: &[String] = if codec == Codec::Opus { &[] } else { &flags };
        let offered = self.say(&words, flags)?;
        let to_telegram = Answer::read(&offered, profile)?;
        let theirs = to_telegram.key.with_context(|| format!("no {} in {offered}", profile.suite()))?;
        let ours = Master::random(profile)?;
        let (tag, _) = theirs;
        let line =
            format!("a=crypto:{tag} {} inline:{}\r\n", profile.suite(), BASE64_STANDARD.encode(&ours.0));
        let answer = description(telegram_end, "RTP/SAVP", Codec::Opus, Some(&line));
        let mut words = vec![("command", "answer"), ("to-tag", "user"), ("sdp", &answer)];
        words.extend(common);
        let to_trunk = Answer::read(&self.say(&words, &[])?, profile)?;
        ends.connect_trunk(trunk, to_trunk.remote, payload_type(codec));
        ends.connect_telegram(telegram, keys(profile, &ours, &theirs.1, to_telegram.remote)?);
        (self.trunk.end, self.telegram.end) = (trunk + 1, telegram + 1);
        Ok(())
    }

    /// Says something; the description in the answer, if there is one.
    fn say(&mut self, words: &[(&str, &str)], flags: &[String]) -> anyhow::Result<String> {
        self.commands += 1;
        let cookie = format!("{}", self.commands);
        let mut message = format!("{cookie} d");
        let counted = |text: &str| format!("{}:{text}", text.len());
        let mut entries: BTreeMap<&str, String> =
            words.iter().map(|(key, value)| (*key, counted(value))).collect();
        if !flags.is_empty() {
            let listed: String = flags.iter().map(|flag| counted(flag)).collect();
            entries.insert("flags", format!("l{listed}e"));
        }
        // Keys are sorted.
        for (key, value) in entries {
            message += &(counted(key) + &value);
        }
        message += "e";
        self.control.send(message.as_bytes())?;
        let mut buffer = vec![0; 65_535];
        loop {
            let length = self.control.recv(&mut buffer)?;
            let said = String::from_utf8_lossy(&buffer[..length]).into_owned();
            let Some(answer) = said.strip_prefix(&format!("{cookie} ")) else { continue };
            if answer.contains("6:result2:ok") {
                return Ok(text(answer, "sdp").unwrap_or_default());
            } else if answer.contains("6:result4:pong") {
                return Ok(String::new());
            }
            bail!("rtpengine says {answer}");
        }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The ends of its calls: of the trunk, of Telegram.
    pub fn ends(&self) -> (Range<u16>, Range<u16>) {
        (self.trunk.clone(), self.telegram.clone())
    }
}

impl Drop for Rtpengine {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// The text behind a key of a bencoded dictionary.
fn text(bencoded: &str, key: &str) -> Option<String> {
    let found = format!("{}:{key}", key.len());
    let (_, rest) = bencoded.split_once(&found)?;
    let (length, rest) = rest.split_once(':')?;
    Some(rest.get(..length.parse().ok()?)?.to_owned())
}

fn payload_type(codec: Codec) -> u8 {
    if codec == Codec::Opus { 96 } else { codec.payload_type() }
}

fn description(end: SocketAddrV4, protocol: &str, codec: Codec, crypto: Option<&str>) -> String {
    let (number, rtpmap) = (payload_type(codec), codec.rtpmap());
    let (ip, port, crypto) = (end.ip(), end.port(), crypto.unwrap_or_default());
    format!(
        "v=0\r\no=- 1 1 IN IP4 {ip}\r\ns=-\r\nc=IN IP4 {ip}\r\nt=0 0\r\nm=audio {port} {protocol} {number}\r\n\
         a=rtpmap:{number} {rtpmap}\r\n{crypto}a=sendrecv\r\n"
    )
}

/// Where it wants packets, and the key of those that it sends.
struct Answer {
    remote: SocketAddrV4,
    key: Option<(u32, Master)>,
}

impl Answer {
    fn read(description: &str, profile: Profile) -> anyhow::Result<Self> {
        let value = |name: &str| description.lines().find_map(|line| line.strip_prefix(name));
        let ip = value("c=IN IP4 ").context("an address")?.trim().parse()?;
        let media = value("m=audio ").context("a port")?;
        let port = media.split(' ').next().context("a port")?.parse()?;
        let key = description.lines().filter_map(|line| line.strip_prefix("a=crypto:")).find_map(|line| {
            let mut words = line.split_whitespace();
            let (tag, suite, key) = (words.next()?, words.next()?, words.next()?);
            let key = key.strip_prefix("inline:")?.split('|').next()?;
            (suite == profile.suite()).then_some(())?;
            // Some leave the padding out.
            let key =
                base64::engine::general_purpose::STANDARD_NO_PAD.decode(key.trim_end_matches('=')).ok()?;
            Some((tag.parse().ok()?, Master(key)))
        });
        Ok(Self { remote: SocketAddrV4::new(ip, port), key })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_gives_its_port_and_the_key_of_the_suite_that_was_wanted() {
        let key = BASE64_STANDARD.encode([7; 44]);
        let said =
            description(SocketAddrV4::new([127, 0, 0, 1].into(), 40_002), "RTP/SAVP", Codec::Opus, None);
        let said = format!(
            "{said}a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:AAAA\r\na=crypto:3 AEAD_AES_256_GCM inline:{}\r\n",
            key.trim_end_matches('=')
        );
        let bencoded = format!("d6:result2:ok3:sdp{}:{said}e", said.len());
        let answer = Answer::read(&text(&bencoded, "sdp").unwrap(), Profile::Gcm).unwrap();
        assert_eq!(answer.remote, SocketAddrV4::new([127, 0, 0, 1].into(), 40_002));
        let (tag, key) = answer.key.unwrap();
        assert_eq!((tag, key.0), (3, vec![7; 44]));
    }
}
