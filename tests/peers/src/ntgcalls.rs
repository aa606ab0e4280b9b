//! ntgcalls alone as the far end of a call: its key is given to it, its signaling goes over a Unix socket.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};
use tempfile::TempDir;
use tgcall::Version;
use tgtrunk_test_telegram::bad_path::Dice;
use tgtrunk_test_telegram::reflector::Side;
use tgtrunk_test_telegram::world::Connection;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::net::UnixListener;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::netns::Namespace;

const START_LIMIT: Duration = Duration::from_secs(30);
const ANSWER_LIMIT: Duration = Duration::from_secs(20);
const END_LIMIT: Duration = Duration::from_secs(5);

/// What the call is.
#[derive(Debug, Clone)]
pub struct Options {
    pub key: [u8; 256],
    pub version: Version,
    /// ntgcalls is the caller.
    pub is_caller: bool,
    /// What it plays, from the connection on.
    pub tone_hz: u32,
    pub tone_ms: u64,
    /// A file of raw 48 kHz mono s16le that it plays instead.
    pub plays: Option<PathBuf>,
    /// What it expects to hear.
    pub wanted_hz: u32,
    pub p2p_allowed: bool,
    /// `phoneCall.connections`; peer tags are made those of its side.
    pub connections: Vec<Connection>,
    /// `phoneCall.custom_parameters`.
    pub custom_parameters: Option<String>,
}

/// The running program.
pub struct Ntgcalls {
    child: Child,
    commands: ChildStdin,
    events: Lines<BufReader<ChildStdout>>,
    /// What it wants to tell the other side.
    pub signaling: mpsc::Receiver<Vec<u8>>,
    writer: OwnedWriteHalf,
    states: Vec<String>,
    _folder: TempDir,
}

/// What it heard.
#[derive(Debug, Clone, Copy)]
pub struct Heard {
    /// Share of the energy within 5 Hz of the tone wanted.
    pub tone_share: f64,
    /// How much sounded.
    pub received_ms: u64,
    /// The longest silence between the first and the last sound.
    pub silence_ms: u64,
}

impl Ntgcalls {
    /// Starts it, in a namespace or, without one, on the host; it wants an interface that is not loopback.
    ///
    /// # Errors
    /// When Python or its packages are missing.
    pub async fn start(namespace: Option<&Namespace>, options: &Options) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("signaling");
        let listener = UnixListener::bind(&path)?;
        let side = if options.is_caller { Side::Caller } else { Side::Callee };
        let servers = options.connections.iter().map(|connection| server(connection, side));
        let arguments = json!({
            "socket": path,
            "key": hex::encode(options.key),
            "is_caller": options.is_caller,
            "version": options.version.text(),
            "tone_hz": options.tone_hz,
            "tone_ms": options.tone_ms,
            "plays": options.plays,
            "wanted_hz": options.wanted_hz,
            "p2p_allowed": options.p2p_allowed,
            "servers": servers.collect::<anyhow::Result<Vec<Value>>>()?,
            "custom_parameters": options.custom_parameters,
        });
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../python/ntgcalls_peer.py");
        let python = tgtrunk_test_telegram::venv::python()?;
        let mut command = match namespace {
            Some(namespace) => namespace.command(python),
            None => std::process::Command::new(python),
        };
        command.arg(script).arg(arguments.to_string()).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = Command::from(command).kill_on_drop(true).spawn()?;
        let commands = child.stdin.take().context("its input is a pipe")?;
        let events = BufReader::new(child.stdout.take().context("its output is a pipe")?).lines();
        let (stream, _) =
            timeout(START_LIMIT, listener.accept()).await.context("ntgcalls does not start")??;
        let (reader, writer) = stream.into_split();
        let (packets, signaling) = mpsc::channel(256);
        tokio::spawn(read_packets(reader, packets));
        Ok(Self { child, commands, events, signaling, writer, states: Vec::new(), _folder: folder })
    }

    /// Tells it what the other side said.
    pub async fn tell(&mut self, packet: &[u8]) {
        let framed = [&(packet.len() as u32).to_be_bytes(), packet].concat();
        // It may have hung up before the last acknowledgements.
        self.writer.write_all(&framed).await.ok();
    }

    /// What it heard so far, or since it was told to forget.
    ///
    /// # Errors
    /// When it is gone.
    pub async fn heard(&mut self) -> anyhow::Result<Heard> {
        self.say(json!({ "do": "heard" })).await?;
        let heard = self.wait_for("heard").await?;
        Ok(Heard {
            tone_share: heard["tone_share"].as_f64().context("heard has a share")?,
            received_ms: heard["received_ms"].as_u64().context("heard has a length")?,
            silence_ms: heard["silence_ms"].as_u64().context("heard has a silence")?,
        })
    }

    /// Writes what it heard so far, or since it was told to forget, to a file of raw 48 kHz mono s16le.
    ///
    /// # Errors
    /// When it is gone.
    pub async fn dump(&mut self, path: &Path) -> anyhow::Result<()> {
        self.say(json!({ "do": "dump", "path": path })).await?;
        self.wait_for("dumped").await.map(drop)
    }

    /// Lets it forget what it heard so far.
    ///
    /// # Errors
    /// When it is gone.
    pub async fn forget(&mut self) -> anyhow::Result<()> {
        self.say(json!({ "do": "forget" })).await
    }

    /// The states of its connection, up to its last answer.
    pub fn states(&self) -> &[String] {
        &self.states
    }

    /// Lets it hang up: its media path closes, the program ends.
    ///
    /// # Errors
    /// When it is gone.
    pub async fn hang_up(&mut self) -> anyhow::Result<()> {
        self.say(json!({ "do": "quit" })).await
    }

    /// Waits until the program has ended.
    ///
    /// # Errors
    /// When it does not end, or not well.
    pub async fn gone(&mut self) -> anyhow::Result<()> {
        let status = timeout(END_LIMIT, self.child.wait()).await.context("ntgcalls does not end")??;
        ensure!(status.success(), "ntgcalls ended with {status}");
        Ok(())
    }

    async fn say(&mut self, command: Value) -> anyhow::Result<()> {
        Ok(self.commands.write_all(format!("{command}\n").as_bytes()).await?)
    }

    async fn wait_for(&mut self, name: &str) -> anyhow::Result<Value> {
        loop {
            let line =
                timeout(ANSWER_LIMIT, self.events.next_line()).await.context("ntgcalls does not answer")?;
            let event: Value = serde_json::from_str(&line?.context("ntgcalls is gone")?)?;
            if event["event"] == name {
                return Ok(event);
            }
            self.states.extend(event["name"].as_str().map(str::to_owned));
        }
    }
}

/// Carries signaling between two of them for a while, each packet lost with this probability.
///
/// # Errors
/// When one of them is gone.
pub async fn introduce(
    one: &mut Ntgcalls,
    other: &mut Ntgcalls,
    limit: Duration,
    loss: f64,
    dice: &mut Dice,
) -> anyhow::Result<()> {
    let end = tokio::time::Instant::now() + limit;
    loop {
        tokio::select! {
            packet = one.signaling.recv() => {
                let packet = packet.context("one is gone")?;
                if !dice.falls(loss) {
                    other.tell(&packet).await;
                }
            }
            packet = other.signaling.recv() => {
                let packet = packet.context("the other is gone")?;
                if !dice.falls(loss) {
                    one.tell(&packet).await;
                }
            }
            () = tokio::time::sleep_until(end) => return Ok(()),
        }
    }
}

fn server(connection: &Connection, side: Side) -> anyhow::Result<Value> {
    let mut value = serde_json::to_value(connection)?;
    if let Connection::Reflector { peer_tag, .. } = connection {
        value["peer_tag"] = hex::encode(side.mark(tag(peer_tag)?)).into();
    }
    Ok(value)
}

/// The 16 bytes of a peer tag.
///
/// # Errors
/// When they are not as many hexadecimal ones.
pub fn tag(hex: &str) -> anyhow::Result<[u8; 16]> {
    hex::decode(hex)?.try_into().ok().context("a peer tag has 16 bytes")
}

async fn read_packets(mut reader: OwnedReadHalf, packets: mpsc::Sender<Vec<u8>>) {
    while let Ok(length) = reader.read_u32().await {
        let mut packet = vec![0; length as usize];
        if reader.read_exact(&mut packet).await.is_err() || packets.send(packet).await.is_err() {
            return;
        }
    }
}
