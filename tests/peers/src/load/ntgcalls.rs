//! A bridge made of ntgcalls in Python, as a process under measurement.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::ops::Range;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use serde_json::{Value, json};
use tgcall::{Certificate, Parameters, SharedKey, Version};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, ChildStdin, Command};
use tokio::sync::mpsc::{self, Receiver, Sender};
use tokio::time::{Instant, timeout_at};

use super::ends::{Ends, Taken, Word};
use crate::clock::now;
use crate::codec::Codec;

const LIMIT: Duration = Duration::from_secs(40);
const VERSION: Version = Version::V13;

/// The program; it ends when this is dropped.
pub struct NtgcallsBridge {
    child: Child,
    trunk: Range<u16>,
    telegram: Range<u16>,
    _commands: Sender<Value>,
}

impl NtgcallsBridge {
    /// Starts it with so many calls between PCMA and Telegram. It takes no loopback interface for its own.
    ///
    /// # Errors
    /// When Python or its packages are missing, or a call is not connected in time.
    pub async fn start(ends: &Ends, calls: usize) -> anyhow::Result<Self> {
        let first = ends.next();
        let certificate = Arc::new(Certificate::generate()?);
        let (mut described, mut engines) = (Vec::new(), Vec::new());
        for _ in 0..calls {
            let ((trunk, trunk_end), (telegram, telegram_end)) = (ends.trunk(), ends.telegram());
            let (mut key, mut seed) = ([0; 256], [0; 32]);
            getrandom::fill(&mut key).ok().context("the system has random bytes")?;
            getrandom::fill(&mut seed).ok().context("the system has random bytes")?;
            described.push(json!({
                "key": hex::encode(key),
                "remote": [trunk_end.ip(), trunk_end.port()],
            }));
            let parameters = Parameters {
                key: SharedKey::from_bytes(key),
                is_caller: true,
                version: VERSION,
                p2p_allowed: true,
                servers: Vec::new(),
                only_streams: false,
                custom_parameters: None,
                local_addresses: vec![SocketAddr::from(telegram_end).into()],
                certificate: Arc::clone(&certificate),
                seed,
            };
            engines.push((trunk, telegram, parameters));
        }
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../python/ntgcalls_bridge.py");
        let mut command = Command::new(tgtrunk_test_telegram::venv::python()?);
        command.arg(script).arg(json!({ "version": VERSION.text(), "calls": described }).to_string());
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true).spawn()?;
        let input = child.stdin.take().context("its input is a pipe")?;
        let mut lines = BufReader::new(child.stdout.take().context("its output is a pipe")?).lines();
        let (commands, queue) = mpsc::channel(1024);
        tokio::spawn(tell(input, queue));
        let until = Instant::now() + LIMIT;
        let mut events = Vec::new();
        let ports: Vec<u16> = loop {
            let line = timeout_at(until, lines.next_line()).await.context("ntgcalls does not start")??;
            let event: Value = serde_json::from_str(&line.context("ntgcalls ended")?)?;
            match event["event"].as_str() {
                Some("ports") => break serde_json::from_value(event["ports"].clone())?,
                _ => events.push(event),
            }
        };
        ensure!(ports.len() == calls, "{} ports for {calls} calls", ports.len());
        let (up, mut ups) = mpsc::channel(1024);
        let mut signaling = Vec::new();
        for ((trunk, telegram, parameters), (port, call)) in
            engines.into_iter().zip(ports.into_iter().zip(1..))
        {
            ends.connect_trunk(
                trunk,
                SocketAddrV4::new(Ipv4Addr::LOCALHOST, port),
                Codec::Pcma.payload_type(),
            );
            let (to_engine, from_peer) = mpsc::channel(1024);
            let (say, mut said) = mpsc::unbounded_channel();
            let engine = tgcall::Call::new(now(), parameters)?;
            ends.take(telegram, Taken { engine, signaling: from_peer, say });
            signaling.push(to_engine);
            let (commands, up) = (commands.clone(), up.clone());
            tokio::spawn(async move {
                while let Some(word) = said.recv().await {
                    match word {
                        Word::Signaling(data) => {
                            let command = json!({ "call": call, "signaling": hex::encode(data) });
                            commands.send(command).await.ok();
                        }
                        Word::Up => drop(up.send(Ok(())).await),
                        Word::Failed(error) => drop(up.send(Err(error)).await),
                        Word::Path | Word::Handshake(_) => {}
                    }
                }
            });
        }
        for event in events {
            hear(&event, &signaling).await;
        }
        tokio::spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                if let Ok(event) = serde_json::from_str::<Value>(&line) {
                    hear(&event, &signaling).await;
                }
            }
        });
        for number in 0..calls {
            match timeout_at(until, ups.recv()).await {
                Ok(Some(Ok(()))) => {}
                Ok(Some(Err(error))) => bail!("a call with ntgcalls failed: {error}"),
                Ok(None) | Err(_) => bail!("only {number} of {calls} calls with ntgcalls are connected"),
            }
        }
        let next = ends.next();
        Ok(Self { child, trunk: first.0..next.0, telegram: first.1..next.1, _commands: commands })
    }

    /// # Errors
    /// When it has ended.
    pub fn pid(&self) -> anyhow::Result<u32> {
        self.child.id().context("ntgcalls has ended")
    }

    /// The ends of its calls: of the trunk, of Telegram.
    pub fn ends(&self) -> (Range<u16>, Range<u16>) {
        (self.trunk.clone(), self.telegram.clone())
    }
}

async fn tell(mut input: ChildStdin, mut commands: Receiver<Value>) {
    while let Some(command) = commands.recv().await {
        if input.write_all(format!("{command}\n").as_bytes()).await.is_err() {
            return;
        }
    }
}

async fn hear(event: &Value, signaling: &[Sender<Vec<u8>>]) {
    if event["event"] != "signaling" {
        return;
    }
    let at = event["call"].as_u64().and_then(|call| (call as usize).checked_sub(1));
    let data = event["signaling"].as_str().and_then(|data| hex::decode(data).ok());
    if let (Some(engine), Some(data)) = (at.and_then(|at| signaling.get(at)), data) {
        engine.send(data).await.ok();
    }
}
