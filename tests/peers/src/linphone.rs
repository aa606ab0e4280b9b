//! linphonec as the phone behind the PBX, with files for a microphone and a loudspeaker; driven by its own commands.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::{sleep, timeout};

use crate::codec::Codec;
use crate::pcm::Pcm;
use crate::{ffmpeg, ports};

/// Codecs that it has. Its L16 is that of 44100 Hz.
pub const CODECS: [Codec; 4] = [Codec::Pcma, Codec::Pcmu, Codec::G722, Codec::Opus];
/// What its speech scores at least of that of a codec alone: its way from the file to the encoder costs some.
pub const LEAST_SCORE: f64 = 0.93;
/// How long it may take to be ready, and to end.
const LIMIT: Duration = Duration::from_secs(10);
/// From one key to the next.
const KEY: Duration = Duration::from_millis(300);
/// How much silence follows a sound that is over.
const SILENCE_MS: u32 = 60_000;

/// A running linphonec.
pub struct Linphone {
    child: Child,
    commands: ChildStdin,
    said: Lines<BufReader<ChildStdout>>,
    dir: TempDir,
    /// Where it listens for SIP.
    pub sip: SocketAddr,
    /// The port of its sound, on whichever address.
    pub media_port: u16,
}

/// What the phone is like.
#[derive(Debug, Clone)]
pub struct Options {
    pub codec: Codec,
    /// What it plays from the codec's beginning on; silence follows.
    pub plays: Pcm,
    /// Answers by itself; else [`Linphone::accept`] does.
    pub answers: bool,
    /// Plays before it answers.
    pub plays_early: bool,
    /// Whether it says reliably that it rings (RFC 3262).
    pub wants_prack: bool,
    /// Where it listens for SIP; any free port without it.
    pub sip_port: Option<u16>,
    /// Its own address.
    pub ip: IpAddr,
    /// Whether its keys are INFO instead of RFC 4733.
    pub keys_by_info: bool,
    /// What it asks for when it calls; nothing without it.
    pub session_timer: Option<SessionTimer>,
    /// Over what it listens for SIP, and how it calls.
    pub transport: Transport,
    /// Whether it takes and makes encrypted calls alone (SRTP with SDES).
    pub encrypts: bool,
    /// User and password for whoever asks for them.
    pub digest: Option<(&'static str, &'static str)>,
}

/// How the phone speaks SIP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Transport {
    Udp,
    Tcp,
    /// It listens for nobody: its TLS only calls. It trusts the certificates of this file.
    Tls(PathBuf),
}

impl Options {
    /// A phone that answers by itself, over UDP and in the clear.
    pub fn new(codec: Codec, plays: Pcm) -> Self {
        Self {
            codec,
            plays,
            answers: true,
            plays_early: false,
            wants_prack: false,
            sip_port: None,
            ip: Ipv4Addr::LOCALHOST.into(),
            keys_by_info: false,
            session_timer: None,
            transport: Transport::Udp,
            encrypts: false,
            digest: None,
        }
    }
}

/// A session timer (RFC 4028) that the phone wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionTimer {
    pub interval_s: u64,
    /// Whom it wants to refresh: whoever is called, or itself.
    pub callee_refreshes: bool,
}

impl Linphone {
    /// Starts the phone and waits until it can be driven.
    ///
    /// # Errors
    /// When it is not installed, does not start or lacks the codec.
    pub async fn start(options: &Options) -> anyhow::Result<Self> {
        let dir = TempDir::with_prefix("linphone-")?;
        // Without this folder it keeps all ports shut.
        fs::create_dir_all(dir.path().join(".local/share/linphone"))?;
        let sip_port = options.sip_port.map_or_else(ports::free, Ok)?;
        let (config, plays) = (dir.path().join("linphonerc"), dir.path().join("plays.wav"));
        let media_port = ports::free_media()?;
        fs::write(&config, configuration(sip_port, media_port, options))?;
        let rate_hz = options.codec.audio_rate_hz();
        let sound = ffmpeg::resampled(&options.plays, rate_hz)?;
        sound.then(&Pcm::silence(SILENCE_MS, rate_hz)).write(&plays, 1)?;
        let mut command = Command::new("linphonec");
        command.arg("-c").arg(config).env("HOME", dir.path()).env_remove("XDG_DATA_HOME");
        if options.answers {
            command.arg("-a");
        }
        if options.plays_early {
            command.arg("--real-early-media");
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true);
        let mut child = command.spawn().context("linphonec, from the Debian package linphone-cli")?;
        let commands = child.stdin.take().context("its input is a pipe")?;
        let said = BufReader::new(child.stdout.take().context("its output is a pipe")?).lines();
        let sip = SocketAddr::new(options.ip, sip_port);
        let mut phone = Self { child, commands, said, dir, sip, media_port };
        phone.choose(options.codec).await?;
        phone.command("soundcard use files").await?;
        phone.says("Using wav files", LIMIT).await?;
        phone.command(&format!("play {}", plays.display())).await?;
        let heard = phone.dir.path().join("heard.wav");
        phone.command(&format!("record {}", heard.display())).await?;
        Ok(phone)
    }

    /// Calls a SIP address.
    ///
    /// # Errors
    /// When the phone is gone.
    pub async fn dial(&mut self, uri: &str) -> anyhow::Result<()> {
        self.command(&format!("call {uri}")).await
    }

    /// Answers the ringing call.
    ///
    /// # Errors
    /// When the phone is gone.
    pub async fn accept(&mut self) -> anyhow::Result<()> {
        self.command("answer").await
    }

    /// Transfers its first call to a SIP address.
    ///
    /// # Errors
    /// When the phone is gone.
    pub async fn transfer(&mut self, uri: &str) -> anyhow::Result<()> {
        self.command(&format!("transfer 1 {uri}")).await
    }

    /// Transfers its first call to whom it talks in its second.
    ///
    /// # Errors
    /// When the phone is gone.
    pub async fn transfer_to_second(&mut self) -> anyhow::Result<()> {
        self.command("transfer 1 --to-call 2").await
    }

    /// Puts the current call on hold.
    ///
    /// # Errors
    /// When the phone is gone.
    pub async fn hold(&mut self) -> anyhow::Result<()> {
        self.command("pause").await
    }

    /// Takes its only call off hold.
    ///
    /// # Errors
    /// When the phone is gone.
    pub async fn resume(&mut self) -> anyhow::Result<()> {
        self.command("resume").await
    }

    /// Presses keys, one after the other.
    ///
    /// # Errors
    /// When the phone is gone.
    pub async fn press(&mut self, digits: &str) -> anyhow::Result<()> {
        for digit in digits.chars() {
            self.command(&digit.to_string()).await?;
            sleep(KEY).await;
        }
        Ok(())
    }

    /// Ends or refuses the current call.
    ///
    /// # Errors
    /// When the phone is gone.
    pub async fn hang_up(&mut self) -> anyhow::Result<()> {
        self.command("terminate").await
    }

    /// Waits until the call has sound.
    ///
    /// # Errors
    /// When that does not happen in time; with what it said instead.
    pub async fn established(&mut self, limit: Duration) -> anyhow::Result<()> {
        self.says("Media streams established", limit).await.map(drop)
    }

    /// Waits until somebody calls.
    ///
    /// # Errors
    /// When that does not happen in time; with what it said instead.
    pub async fn rings(&mut self, limit: Duration) -> anyhow::Result<()> {
        self.says("Receiving new incoming call", limit).await.map(drop)
    }

    /// Stops the phone and reads what it heard.
    ///
    /// # Errors
    /// When there was no call with audio.
    pub async fn finish(mut self) -> anyhow::Result<Pcm> {
        self.command("terminate").await.ok();
        sleep(Duration::from_millis(300)).await;
        self.command("quit").await.ok();
        if timeout(LIMIT, self.child.wait()).await.is_err() {
            self.child.kill().await?;
        }
        let heard = self.dir.path().join("heard.wav");
        ensure!(heard.exists(), "linphonec recorded nothing");
        Pcm::read(&heard)
    }

    async fn choose(&mut self, codec: Codec) -> anyhow::Result<()> {
        let name = codec.rtpmap().replace('/', " (").replacen(" (2", "", 1) + ")";
        self.command("codec list").await?;
        let line = self.says(&name, LIMIT).await.with_context(|| format!("linphonec has no {codec}"))?;
        let number = line.rsplit('>').next().unwrap_or_default().split(':').next().unwrap_or_default();
        let number = number.trim().to_owned();
        self.command("codec disable all").await?;
        self.command(&format!("codec enable {number}")).await
    }

    async fn command(&mut self, command: &str) -> anyhow::Result<()> {
        Ok(self.commands.write_all(format!("{command}\n").as_bytes()).await?)
    }

    async fn says(&mut self, words: &str, limit: Duration) -> anyhow::Result<String> {
        let mut passed = Vec::new();
        let waiting = async {
            loop {
                let line = self.said.next_line().await?.context("linphonec ended")?;
                if line.contains(words) {
                    return anyhow::Ok(line);
                }
                passed.push(line);
            }
        };
        match timeout(limit, waiting).await {
            Ok(said) => said.with_context(|| format!("waiting for {words:?} after {passed:?}")),
            Err(_) => bail!("linphonec did not say {words:?} within {limit:?}, only {passed:?}"),
        }
    }
}

/// One family of addresses, and nothing that goes out to the network.
fn configuration(sip_port: u16, rtp_port: u16, options: &Options) -> String {
    let timer = options.session_timer.map_or_else(String::new, |timer| {
        format!(
            "session_expires_enabled=1\nsession_expires_value={}\nsession_expires_min_value=90\n\
             session_expires_refresher_value={}\n",
            timer.interval_s,
            if timer.callee_refreshes { 1 } else { 2 }
        )
    });
    let ip = options.ip;
    let host = if ip.is_ipv6() { format!("[{ip}]") } else { ip.to_string() };
    let [udp, tcp, tls] = match options.transport {
        Transport::Udp => [sip_port, 0, 0],
        Transport::Tcp => [0, sip_port, 0],
        Transport::Tls(_) => [0, 0, sip_port],
    };
    let trusts = match &options.transport {
        Transport::Udp | Transport::Tcp => String::new(),
        // It compares no addresses, and reads no other names than domains.
        Transport::Tls(trusted) => format!("root_ca={}\nverify_server_cn=0\n", trusted.display()),
    };
    let prack = if options.wants_prack { "100rel_support_level=2\n" } else { "" };
    let early = if options.plays_early { "incoming_calls_early_media=1\n" } else { "" };
    let encrypts =
        if options.encrypts { "media_encryption=srtp\nmedia_encryption_mandatory=1\n" } else { "" };
    let digest = options.digest.map_or_else(String::new, |(user, password)| {
        // It looks for who it is, and each algorithm wants a password of its own.
        let known = format!("username={}\nuserid={user}\npasswd={password}\n", crate::baresip::USER);
        format!("[auth_info_0]\n{known}algorithm=SHA-256\n[auth_info_1]\n{known}algorithm=MD5\n")
    });
    format!(
        "[sip]\nsip_port={udp}\nsip_tcp_port={tcp}\nsip_tls_port={tls}\nipv6_migration_done=1\nuse_ipv6={ipv6}\n\
         bind_address={ip}\nguess_hostname=0\ncontact=sip:{user}@{host}\ndefault_proxy=-1\n{keys}\
         {timer}{trusts}{encrypts}{prack}{early}[rtp]\naudio_rtp_port={rtp_port}\n[net]\nmtu=1400\n\
         [sound]\nechocancellation=0\n{digest}",
        user = crate::baresip::USER,
        ipv6 = u8::from(ip.is_ipv6()),
        keys = if options.keys_by_info { "use_info=1\nuse_rfc2833=0\n" } else { "" },
    )
}
