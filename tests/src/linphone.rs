//! linphonec as the phone behind the PBX, with files for a microphone and a loudspeaker; driven by its own commands.

use std::fs;
use std::net::SocketAddr;
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
    /// Where it listens for SIP; any free port without it.
    pub sip_port: Option<u16>,
    /// What it asks for when it calls; nothing without it.
    pub session_timer: Option<SessionTimer>,
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
        fs::write(&config, configuration(sip_port, media_port, options.session_timer))?;
        let rate_hz = options.codec.audio_rate_hz();
        let sound = ffmpeg::resampled(&options.plays, rate_hz)?;
        sound.then(&Pcm::silence(SILENCE_MS, rate_hz)).write(&plays, 1)?;
        let mut command = Command::new("linphonec");
        command.arg("-c").arg(config).env("HOME", dir.path()).env_remove("XDG_DATA_HOME");
        if options.answers {
            command.arg("-a");
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true);
        let mut child = command.spawn().context("linphonec, from the Debian package linphone-cli")?;
        let commands = child.stdin.take().context("its input is a pipe")?;
        let said = BufReader::new(child.stdout.take().context("its output is a pipe")?).lines();
        let sip = SocketAddr::from(([127, 0, 0, 1], sip_port));
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
        self.says("is contacting you", limit).await.map(drop)
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

/// IPv4 alone, and nothing that goes out to the network.
fn configuration(sip_port: u16, rtp_port: u16, timer: Option<SessionTimer>) -> String {
    let timer = timer.map_or_else(String::new, |timer| {
        format!(
            "session_expires_enabled=1\nsession_expires_value={}\nsession_expires_min_value=90\n\
             session_expires_refresher_value={}\n",
            timer.interval_s,
            if timer.callee_refreshes { 1 } else { 2 }
        )
    });
    format!(
        "[sip]\nsip_port={sip_port}\nsip_tcp_port=0\nsip_tls_port=0\nipv6_migration_done=1\nuse_ipv6=0\n\
         bind_address=127.0.0.1\nguess_hostname=0\ncontact=sip:{user}@127.0.0.1\ndefault_proxy=-1\n\
         {timer}[rtp]\naudio_rtp_port={rtp_port}\n[net]\nmtu=1400\n[sound]\nechocancellation=0\n",
        user = crate::baresip::USER,
    )
}
