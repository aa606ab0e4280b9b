//! A Telegram user on Telethon and ntgcalls: nothing in it is ours, so it may judge what is.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, bail};
use serde::Serialize;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;

use crate::ffmpeg::RATE_HZ;
use crate::netns::Namespace;
use crate::pcm::Pcm;

/// Who the user is and what they play and expect to hear.
#[derive(Debug, Clone, Serialize)]
pub struct Options {
    /// The test Telegram's data centre.
    pub host: String,
    pub port: u16,
    pub dc: i32,
    /// File with its RSA key.
    pub pem: PathBuf,
    pub phone: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password: Option<String>,
    pub tone_hz: u32,
    pub wanted_hz: u32,
    /// Played instead of the tone: a file of raw samples, see [`Pcm::bytes`], in 48 kHz.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plays: Option<PathBuf>,
}

/// The running user.
pub struct IndependentUser {
    child: Child,
    commands: ChildStdin,
    events: Lines<BufReader<ChildStdout>>,
    /// Events that were read while another was waited for.
    passed: Vec<Value>,
}

/// What the user heard.
#[derive(Debug, Clone, Copy)]
pub struct Heard {
    /// Share of the energy within 5 Hz of the tone wanted.
    pub tone_share: f64,
    /// From the first sound to the last, in milliseconds.
    pub span_ms: u64,
    /// How much of that sounded.
    pub received_ms: u64,
}

impl IndependentUser {
    /// Starts the program in a namespace, for ntgcalls wants an interface that is not loopback; it asks for a login code next, see [`Self::log_in`].
    ///
    /// # Errors
    /// When Python or its packages are missing.
    pub async fn start(namespace: &Namespace, options: &Options) -> anyhow::Result<Self> {
        let python = tgtrunk_test_telegram::venv::python()?;
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../python/telegram_user.py");
        let mut child = Command::from(namespace.command(python))
            .arg(script)
            .arg(serde_json::to_string(options)?)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .kill_on_drop(true)
            .spawn()?;
        let commands = child.stdin.take().context("its input is a pipe")?;
        let events = BufReader::new(child.stdout.take().context("its output is a pipe")?).lines();
        let mut user = Self { child, commands, events, passed: Vec::new() };
        user.wait_for("code_wanted", Duration::from_secs(30)).await?;
        Ok(user)
    }

    /// Completes the login with the code that Telegram sent; returns the user's id.
    ///
    /// # Errors
    /// When the login fails.
    pub async fn log_in(&mut self, code: &str) -> anyhow::Result<i64> {
        self.command(json!({ "do": "code", "code": code })).await?;
        let ready = self.wait_for("ready", Duration::from_secs(20)).await?;
        ready["id"].as_i64().context("ready names an id")
    }

    /// Offers these library versions from the next call on.
    ///
    /// # Errors
    /// When the program is gone.
    pub async fn offer(&mut self, versions: &[&str]) -> anyhow::Result<()> {
        self.command(json!({ "do": "offer", "versions": versions })).await
    }

    /// Says one of the script's commands.
    ///
    /// # Errors
    /// When the program is gone.
    pub async fn command(&mut self, command: Value) -> anyhow::Result<()> {
        Ok(self.commands.write_all(format!("{command}\n").as_bytes()).await?)
    }

    /// Waits for an event; others that come before it are kept for later waits.
    ///
    /// # Errors
    /// When it does not come in time; names what came instead.
    pub async fn wait_for(&mut self, name: &str, limit: Duration) -> anyhow::Result<Value> {
        if let Some(at) = self.passed.iter().position(|event| event["event"] == name) {
            return Ok(self.passed.remove(at));
        }
        let waiting = async {
            loop {
                let line = self.events.next_line().await?.context("the Telegram user ended")?;
                let event: Value = serde_json::from_str(&line).with_context(|| line.clone())?;
                if event["event"] == name {
                    return anyhow::Ok(event);
                }
                self.passed.push(event);
            }
        };
        match timeout(limit, waiting).await {
            Ok(result) => result.with_context(|| format!("waiting for {name}")),
            Err(_) => bail!(
                "the Telegram user did not report {name} within {limit:?}; it reported {:?}",
                self.passed
            ),
        }
    }

    /// Forgets events of an earlier call.
    pub fn forget(&mut self) {
        self.passed.clear();
    }

    /// What was heard in the latest call.
    ///
    /// # Errors
    /// When the program is gone.
    pub async fn heard(&mut self) -> anyhow::Result<Heard> {
        self.command(json!({ "do": "heard" })).await?;
        let heard = self.wait_for("heard", Duration::from_secs(20)).await?;
        Ok(Heard {
            tone_share: heard["tone_share"].as_f64().context("heard has a share")?,
            span_ms: heard["span_ms"].as_u64().context("heard has a span")?,
            received_ms: heard["received_ms"].as_u64().context("heard has a length")?,
        })
    }

    /// All that was heard in the latest call.
    ///
    /// # Errors
    /// When the program is gone.
    pub async fn recording(&mut self) -> anyhow::Result<Pcm> {
        let file = tempfile::NamedTempFile::new()?;
        self.command(json!({ "do": "record", "path": file.path() })).await?;
        self.wait_for("recorded", Duration::from_secs(20)).await?;
        Ok(Pcm::from_bytes(&std::fs::read(file.path())?, RATE_HZ))
    }

    /// Makes the user vanish without a word.
    ///
    /// # Errors
    /// When it is gone already.
    pub async fn kill(mut self) -> anyhow::Result<()> {
        Ok(self.child.kill().await?)
    }
}
