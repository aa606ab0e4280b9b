//! The control socket as a program of somebody else sees it: lines of JSON, no types of ours.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, bail};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::time::{Instant, timeout, timeout_at};

/// How long an answer may take.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);

/// How long it is waited for events too many.
const TAIL: Duration = Duration::from_millis(500);

/// A connection that has been greeted and gets events.
pub struct RawControl {
    lines: Lines<BufReader<OwnedReadHalf>>,
    writer: OwnedWriteHalf,
    last_id: u64,
    events: Vec<Value>,
}

impl RawControl {
    /// Connects, reads the greeting and subscribes to events.
    ///
    /// # Errors
    /// When nobody listens there or it is refused.
    pub async fn connect(socket: &Path) -> anyhow::Result<Self> {
        let stream = UnixStream::connect(socket).await.with_context(|| socket.display().to_string())?;
        let (reader, writer) = stream.into_split();
        let mut control =
            Self { lines: BufReader::new(reader).lines(), writer, last_id: 0, events: Vec::new() };
        timeout(ANSWER_LIMIT, control.line()).await.context("no greeting")??;
        control.ask(serde_json::json!({ "do": "subscribe" })).await?;
        Ok(control)
    }

    /// Asks for something, an object without `id`, and gives what comes under `ok`.
    ///
    /// # Errors
    /// The refusal, or a connection that is gone.
    pub async fn ask(&mut self, mut request: Value) -> anyhow::Result<Value> {
        self.last_id += 1;
        request["id"] = self.last_id.into();
        self.writer.write_all(format!("{request}\n").as_bytes()).await?;
        let answered = async {
            loop {
                let mut line = self.line().await?;
                if line["id"] == self.last_id {
                    match line.get_mut("ok") {
                        Some(ok) => return Ok(ok.take()),
                        None => bail!("{request} was refused: {line}"),
                    }
                }
                self.events.push(line);
            }
        };
        timeout(ANSWER_LIMIT, answered).await.context("the gateway does not answer")?
    }

    /// Gathers the events that `pick` picks until there are so many, and what comes in the half second behind them.
    ///
    /// # Errors
    /// When the connection is gone, or they do not come in time; with those that came.
    pub async fn gather(
        &mut self,
        count: usize,
        limit: Duration,
        pick: impl Fn(&Value) -> bool,
    ) -> anyhow::Result<Vec<Value>> {
        let mut until = Instant::now() + limit;
        let mut found: Vec<Value> = self.events.drain(..).filter(&pick).collect();
        let mut complete = false;
        loop {
            if found.len() >= count && !complete {
                (complete, until) = (true, Instant::now() + TAIL);
            }
            match timeout_at(until, self.line()).await {
                Ok(line) => found.extend(Some(line?).filter(&pick)),
                Err(_) if complete => return Ok(found),
                Err(_) => bail!("{} events of {count} within {limit:?}: {found:?}", found.len()),
            }
        }
    }

    async fn line(&mut self) -> anyhow::Result<Value> {
        let line = self.lines.next_line().await?.context("the gateway closed the control connection")?;
        serde_json::from_str(&line).with_context(|| line.clone())
    }
}
