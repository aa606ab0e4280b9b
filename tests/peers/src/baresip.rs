//! baresip as the phone behind the PBX: started with a configuration of its own, driven over its control port.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep, timeout};

use crate::clock::now;
use crate::codec::Codec;
use crate::pcm::Pcm;
use crate::{certificate, ffmpeg, ports};

/// The name that it answers to.
pub const USER: &str = "100";
/// Where its sound comes and goes.
pub const RTP_PORTS: RangeInclusive<u16> = 12_000..=19_998;
/// Its certificate and key.
const CERTIFICATE: &str = "certificate.pem";
/// How much silence follows a sound that is over.
const SILENCE_MS: u32 = 60_000;
/// How long baresip may take to open its control port.
const START_LIMIT: Duration = Duration::from_secs(10);

/// A running baresip with one account that needs no registrar.
pub struct Baresip {
    child: Child,
    reader: OwnedReadHalf,
    writer: OwnedWriteHalf,
    unread: Vec<u8>,
    keys: Keys,
    dir: TempDir,
    /// Where it listens for SIP.
    pub sip: SocketAddr,
    /// Where it listens for SIP over TLS, the next port by its own rule.
    pub tls: SocketAddr,
}

/// What the phone is like.
#[derive(Debug, Clone)]
pub struct Options {
    pub codec: Codec,
    /// What it plays instead of a microphone.
    pub plays: Plays,
    /// Answers by itself; else [`Baresip::accept`] does.
    pub answers: bool,
    /// Packet duration it asks for. L16/48000 it sends in 10 ms all the same.
    pub ptime_ms: u32,
    /// Where it listens for SIP; any free port without it. TLS is taken at the next one.
    pub sip_port: Option<u16>,
    /// Its own address.
    pub ip: IpAddr,
    /// `udp`, `tcp` or `tls`: over what it calls and wants to be called.
    pub transport: &'static str,
    /// Whether it takes and makes encrypted calls alone (SRTP with SDES).
    pub encrypts: bool,
    /// User and password for whoever asks for them.
    pub digest: Option<(&'static str, &'static str)>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            codec: Codec::Opus,
            plays: Plays::Tone(440),
            answers: true,
            ptime_ms: 20,
            sip_port: None,
            ip: Ipv4Addr::LOCALHOST.into(),
            transport: "udp",
            encrypts: false,
            digest: None,
        }
    }
}

/// What a phone plays instead of a microphone.
#[derive(Debug, Clone)]
pub enum Plays {
    /// A tone of so many hertz, from the codec's beginning to its end.
    Tone(u32),
    /// A sound, once. baresip ends the call where the sound ends, so it goes on with silence.
    Sound(Pcm),
}

/// A key that the other end pressed, by baresip's word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Key {
    pub digit: char,
    /// From its first packet to its end as far as baresip saw them: it takes packets of silence and of keys out of one
    /// buffer, so a key may seem half as long as it was.
    pub held: Duration,
}

/// Keys pressed so far, and the one that is down.
#[derive(Default)]
struct Keys {
    pressed: Vec<Key>,
    down: Option<(char, std::time::Instant)>,
}

/// What the phone heard and said, from its own dumps and counters.
#[derive(Debug)]
pub struct Heard {
    /// Decoded audio, mono, in the codec's rate.
    pub samples: Vec<i16>,
    pub rate_hz: u32,
    /// Packets by baresip's own count.
    pub packets_sent: u64,
    pub packets_received: u64,
    pub lost: u64,
}

impl Baresip {
    /// Starts the phone and waits until it can be driven.
    ///
    /// # Errors
    /// When it is not installed or does not start.
    pub async fn start(options: &Options) -> anyhow::Result<Self> {
        let dir = tempfile::tempdir()?;
        let sip_port = options.sip_port.map_or_else(ports::free_pair, Ok)?;
        let control_port = ports::free()?;
        let sip = SocketAddr::new(options.ip, sip_port);
        let tls = SocketAddr::new(options.ip, sip_port + 1);
        certificate::write(&dir.path().join(CERTIFICATE), &["127.0.0.1"])?;
        write_configuration(dir.path(), sip, control_port, options)?;
        let log = std::fs::File::create(dir.path().join("baresip.log"))?;
        let child = Command::new("baresip")
            .arg("-f")
            .arg(dir.path())
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .context("baresip does not start: is the package baresip-core installed?")?;
        let deadline = Instant::now() + START_LIMIT;
        let stream = loop {
            match TcpStream::connect(("127.0.0.1", control_port)).await {
                Ok(stream) => break stream,
                Err(_) if Instant::now() < deadline => sleep(Duration::from_millis(50)).await,
                Err(error) => {
                    let log = std::fs::read_to_string(dir.path().join("baresip.log")).unwrap_or_default();
                    return Err(error)
                        .with_context(|| format!("baresip's control port stays closed; its log:\n{log}"));
                }
            }
        };
        let (reader, writer) = stream.into_split();
        Ok(Self { child, reader, writer, unread: Vec::new(), keys: Keys::default(), dir, sip, tls })
    }

    /// The certificate that it shows over TLS, its key behind it.
    pub fn certificate(&self) -> PathBuf {
        self.dir.path().join(CERTIFICATE)
    }

    /// Calls a SIP address.
    ///
    /// # Errors
    /// When the control connection is gone.
    pub async fn dial(&mut self, uri: &str) -> anyhow::Result<()> {
        self.command("dial", uri).await
    }

    /// Answers the ringing call.
    ///
    /// # Errors
    /// When the control connection is gone.
    pub async fn accept(&mut self) -> anyhow::Result<()> {
        self.command("accept", "").await
    }

    /// Transfers the current call to a SIP address.
    ///
    /// # Errors
    /// When the control connection is gone.
    pub async fn transfer(&mut self, uri: &str) -> anyhow::Result<()> {
        self.command("transfer", uri).await
    }

    /// Puts the current call on hold.
    ///
    /// # Errors
    /// When the control connection is gone.
    pub async fn hold(&mut self) -> anyhow::Result<()> {
        self.command("hold", "").await
    }

    /// Takes the current call off hold.
    ///
    /// # Errors
    /// When the control connection is gone.
    pub async fn resume(&mut self) -> anyhow::Result<()> {
        self.command("resume", "").await
    }

    /// Ends or refuses the current call.
    ///
    /// # Errors
    /// When the control connection is gone.
    pub async fn hang_up(&mut self) -> anyhow::Result<()> {
        self.command("hangup", "").await
    }

    /// Presses keys of 180 ms with pauses of 60 ms, as RFC 4733; it queues them.
    ///
    /// # Errors
    /// When the control connection is gone.
    pub async fn press(&mut self, digits: &str) -> anyhow::Result<()> {
        self.command("sndcode", digits).await
    }

    /// Waits until so many keys of the other end were seen since the start, RFC 4733 and INFO alike.
    ///
    /// # Errors
    /// When they do not come in time; names those that came.
    pub async fn keys(&mut self, count: usize, limit: Duration) -> anyhow::Result<Vec<Key>> {
        let waiting = async {
            while self.keys.pressed.len() < count {
                self.message().await?;
            }
            anyhow::Ok(())
        };
        match timeout(limit, waiting).await {
            Ok(result) => result?,
            Err(_) => bail!("baresip saw only {:?} within {limit:?}, want {count}", self.keys.pressed),
        }
        Ok(self.keys.pressed.clone())
    }

    /// Waits for an event such as `CALL_INCOMING`, `CALL_RINGING`, `CALL_ESTABLISHED` or `CALL_CLOSED`.
    ///
    /// # Errors
    /// When it does not come in time; names what came instead.
    pub async fn wait_for(&mut self, kind: &str, limit: Duration) -> anyhow::Result<Value> {
        let mut seen = Vec::new();
        let waiting = async {
            loop {
                let message = self.message().await?;
                if message.get("event") == Some(&Value::Bool(true)) {
                    let name = message["type"].as_str().unwrap_or_default();
                    if name == kind {
                        return anyhow::Ok(message);
                    }
                    seen.push(format!("{name}({})", message["param"].as_str().unwrap_or_default()));
                }
            }
        };
        match timeout(limit, waiting).await {
            Ok(result) => result,
            Err(_) => bail!("baresip did not report {kind} within {limit:?}; it reported {seen:?}"),
        }
    }

    /// Stops the phone and reads what it heard.
    ///
    /// # Errors
    /// When there was no call with audio.
    pub async fn finish(mut self) -> anyhow::Result<Heard> {
        self.command("quit", "").await.ok();
        if timeout(Duration::from_secs(5), self.child.wait()).await.is_err() {
            self.child.kill().await?;
        }
        let log = std::fs::read_to_string(self.dir.path().join("baresip.log"))?;
        let dump = dump_file(self.dir.path(), "-dec.wav")
            .with_context(|| format!("baresip decoded no audio; its log:\n{log}"))?;
        let Pcm { samples, rate_hz } = Pcm::read(&dump)?;
        let (packets_sent, packets_received) = counters(&log, "packets:").unwrap_or_default();
        let (_, lost) = counters(&log, "lost:").unwrap_or_default();
        Ok(Heard { samples, rate_hz, packets_sent, packets_received, lost })
    }

    /// The phone's log so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("baresip.log")).unwrap_or_default()
    }

    /// Makes the phone vanish without a word, as a crash would.
    ///
    /// # Errors
    /// When it is gone already.
    pub async fn kill(mut self) -> anyhow::Result<()> {
        Ok(self.child.kill().await?)
    }

    async fn command(&mut self, command: &str, params: &str) -> anyhow::Result<()> {
        let text = json!({ "command": command, "params": params }).to_string();
        let netstring = format!("{}:{text},", text.len());
        Ok(self.writer.write_all(netstring.as_bytes()).await?)
    }

    async fn message(&mut self) -> anyhow::Result<Value> {
        loop {
            if let Some(colon) = self.unread.iter().position(|byte| *byte == b':') {
                let length: usize = std::str::from_utf8(&self.unread[..colon])?.parse()?;
                if self.unread.len() > colon + 1 + length {
                    let body = self.unread[colon + 1..colon + 1 + length].to_vec();
                    self.unread.drain(..colon + length + 2);
                    let message: Value = serde_json::from_slice(&body)?;
                    self.keys.note(&message);
                    return Ok(message);
                }
            }
            let read = self.reader.read_buf(&mut self.unread).await?;
            ensure!(read > 0, "baresip closed its control connection");
        }
    }
}

impl Keys {
    fn note(&mut self, message: &Value) {
        match message["type"].as_str() {
            Some("CALL_DTMF_START") => {
                self.down = message["param"].as_str().and_then(|key| Some((key.chars().next()?, now())));
            }
            Some("CALL_DTMF_END") => {
                let up = self.down.take().map(|(digit, since)| Key { digit, held: now() - since });
                self.pressed.extend(up);
            }
            _ => {}
        }
    }
}

fn write_configuration(
    dir: &Path,
    sip: SocketAddr,
    control_port: u16,
    options: &Options,
) -> anyhow::Result<()> {
    let shown = dir.display();
    let (source, rate_hz, channels) = source(dir, options)?;
    let config = format!(
        "sip_listen {sip}\nsip_certificate {shown}/{CERTIFICATE}\nnet_interface {ip}\nnet_prefer_ipv6 {ipv6}\n\
         rtp_ports {first}-{last}\n\
         audio_source {source}\naudio_player nil\n\
         ausrc_srate {rate_hz}\nauplay_srate 48000\nausrc_channels {channels}\nauplay_channels 2\n\
         ausrc_format s16\nauplay_format s16\nauenc_format s16\naudec_format s16\n\
         audio_txmode poll\naudio_level no\naudio_buffer 20-160\nrtp_stats yes\nrtcp_mux no\n\
         jitter_buffer_delay 5-10\nopus_stereo yes\nopus_sprop_stereo yes\n\
         module_path /usr/lib/baresip/modules\nmodule g711.so\nmodule g722.so\nmodule l16.so\nmodule opus.so\n\
         module srtp.so\nmodule ausine.so\nmodule aufile.so\nmodule sndfile.so\n\
         module_tmp account.so\nmodule_app menu.so\nmodule_app ctrl_tcp.so\n\
         ctrl_tcp_listen 127.0.0.1:{control_port}\nsnd_path {shown}\n",
        ip = sip.ip(),
        ipv6 = if sip.is_ipv6() { "yes" } else { "no" },
        first = RTP_PORTS.start(),
        last = RTP_PORTS.end(),
    );
    std::fs::write(dir.join("config"), config)?;
    let answer = if options.answers { "auto" } else { "manual" };
    let transport = match options.transport {
        "udp" => String::new(),
        other => format!(";transport={other}"),
    };
    let encrypts = if options.encrypts { ";mediaenc=srtp-mand" } else { "" };
    let digest = options
        .digest
        .map_or_else(String::new, |(user, password)| format!(";auth_user={user};auth_pass={password}"));
    let account = format!(
        "<sip:{USER}@{sip}{transport}>;regint=0{encrypts}{digest};audio_codecs={};ptime={};answermode={answer}\n",
        codec_name(options.codec),
        options.ptime_ms
    );
    std::fs::write(dir.join("accounts"), account)?;
    std::fs::write(dir.join("contacts"), "")?;
    Ok(())
}

/// The source that plays, its rate and its channels. A file has those of the codec, for baresip resamples poorly.
fn source(dir: &Path, options: &Options) -> anyhow::Result<(String, u32, u16)> {
    let channels = if options.codec == Codec::Opus { 2 } else { 1 };
    match &options.plays {
        Plays::Tone(hz) => Ok((format!("ausine,{hz}"), 48_000, 2)),
        Plays::Sound(sound) => {
            let rate_hz = options.codec.audio_rate_hz();
            let sound = ffmpeg::resampled(sound, rate_hz)?.then(&Pcm::silence(SILENCE_MS, rate_hz));
            let file = dir.join("plays.wav");
            sound.write(&file, channels)?;
            Ok((format!("aufile,{}", file.display()), rate_hz, channels))
        }
    }
}

/// As baresip lists it: audio rate and channels, not those of the rtpmap.
fn codec_name(codec: Codec) -> &'static str {
    match codec {
        Codec::Pcma => "PCMA/8000/1",
        Codec::Pcmu => "PCMU/8000/1",
        Codec::G722 => "G722/16000/1",
        Codec::L16 => "L16/48000/1",
        Codec::Opus => "opus/48000/2",
    }
}

fn dump_file(dir: &Path, ending: &str) -> anyhow::Result<PathBuf> {
    let mut dumps: Vec<PathBuf> = std::fs::read_dir(dir)?
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .filter(|path| path.to_string_lossy().ends_with(ending))
        .collect();
    dumps.sort();
    dumps.pop().context("there is no dump of decoded audio")
}

/// The two numbers after a label of the statistics that baresip prints at the end of a call.
fn counters(log: &str, label: &str) -> Option<(u64, u64)> {
    let line = log.lines().rev().find(|line| line.trim_start().starts_with(label))?;
    let mut numbers = line.split_whitespace().skip(1).map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}
