//! The asking side of a gateway's control socket.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, bail};
use tgtrunk_config::control::{
    Answer, Ask, CallInfo, CallState, Event, Heard, LineInfo, LineReader, Refusal, Reply, Request,
    StatusReport, to_line,
};
use tgtrunk_config::{CallId, LineDraft};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;
use tokio::time::{Instant, timeout, timeout_at};

/// How long an answer may take.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);

/// A connection that has been greeted.
pub struct Control {
    stream: UnixStream,
    lines: LineReader,
    last_id: u64,
    events: Vec<Event>,
}

impl Control {
    /// Connects and reads the greeting.
    ///
    /// # Errors
    /// When nobody listens there, or speaks another contract.
    pub async fn connect(socket: &Path) -> anyhow::Result<Self> {
        let stream = UnixStream::connect(socket).await.with_context(|| socket.display().to_string())?;
        let mut control = Self { stream, lines: LineReader::default(), last_id: 0, events: Vec::new() };
        match timeout(ANSWER_LIMIT, control.heard()).await.context("no greeting")?? {
            Heard::Hello(_) => Ok(control),
            other => bail!("greeted with {other:?}"),
        }
    }

    /// Asks and waits for the answer.
    ///
    /// # Errors
    /// The refusal, or a connection that is gone.
    pub async fn ask(&mut self, ask: Ask) -> anyhow::Result<Answer> {
        Ok(self.reply(ask).await?.into_result()?)
    }

    /// Asks for something that is to be refused.
    ///
    /// # Errors
    /// When it is done instead.
    pub async fn refusal(&mut self, ask: Ask) -> anyhow::Result<Refusal> {
        match self.reply(ask).await?.into_result() {
            Ok(answer) => bail!("want a refusal, got {answer:?}"),
            Err(refusal) => Ok(refusal),
        }
    }

    /// The lines and what is wrong with others.
    ///
    /// # Errors
    /// As [`Control::ask`].
    pub async fn status(&mut self) -> anyhow::Result<StatusReport> {
        match self.ask(Ask::Status).await? {
            Answer::Status(report) => Ok(report),
            other => bail!("status was answered with {other:?}"),
        }
    }

    /// The calls that are up.
    ///
    /// # Errors
    /// As [`Control::ask`].
    pub async fn calls(&mut self) -> anyhow::Result<Vec<CallInfo>> {
        match self.ask(Ask::Calls).await? {
            Answer::Calls(calls) => Ok(calls),
            other => bail!("calls was answered with {other:?}"),
        }
    }

    /// Ends a call.
    ///
    /// # Errors
    /// As [`Control::ask`].
    pub async fn hang_up(&mut self, call: CallId) -> anyhow::Result<()> {
        self.ask(Ask::HangUp { call }).await.map(drop)
    }

    /// Adds a line.
    ///
    /// # Errors
    /// As [`Control::ask`].
    pub async fn add_line(&mut self, line: LineDraft) -> anyhow::Result<LineInfo> {
        match self.ask(Ask::AddLine { line }).await? {
            Answer::Line(line) => Ok(line),
            other => bail!("add_line was answered with {other:?}"),
        }
    }

    /// Wants events from now on.
    ///
    /// # Errors
    /// As [`Control::ask`].
    pub async fn subscribe(&mut self) -> anyhow::Result<()> {
        self.ask(Ask::Subscribe).await.map(drop)
    }

    /// Waits for an event of a kind; others are passed over.
    ///
    /// # Errors
    /// When it does not come in time; names what came instead.
    pub async fn wait_for<T>(
        &mut self,
        what: &str,
        limit: Duration,
        pick: impl Fn(&Event) -> Option<T>,
    ) -> anyhow::Result<T> {
        let until = Instant::now() + limit;
        let mut passed = Vec::new();
        loop {
            let event = if self.events.is_empty() {
                match timeout_at(until, self.heard()).await {
                    Ok(Ok(Heard::Event(event))) => event,
                    Ok(Ok(_)) => continue,
                    Ok(Err(error)) => return Err(error),
                    Err(_) => bail!("the gateway told no {what} within {limit:?}, only {passed:?}"),
                }
            } else {
                self.events.remove(0)
            };
            match pick(&event) {
                Some(found) => return Ok(found),
                None => passed.push(event),
            }
        }
    }

    /// Waits until some call has reached a state.
    ///
    /// # Errors
    /// As [`Control::wait_for`].
    pub async fn call_state(&mut self, state: CallState, limit: Duration) -> anyhow::Result<CallInfo> {
        self.wait_for(&format!("call {state:?}"), limit, |event| match event {
            Event::Call(call) if call.state == state => Some(call.clone()),
            _ => None,
        })
        .await
    }

    async fn reply(&mut self, ask: Ask) -> anyhow::Result<Reply> {
        self.last_id += 1;
        let id = self.last_id;
        self.stream.write_all(to_line(&Request { id, ask }).as_bytes()).await?;
        let answered = async {
            loop {
                match self.heard().await? {
                    Heard::Reply(reply) if reply.id == Some(id) => return Ok(reply),
                    Heard::Event(event) => self.events.push(event),
                    other => bail!("request {id} was answered with {other:?}"),
                }
            }
        };
        timeout(ANSWER_LIMIT, answered).await.context("the gateway does not answer")?
    }

    async fn heard(&mut self) -> anyhow::Result<Heard> {
        let mut buffer = vec![0; 16 * 1024];
        loop {
            if let Some(line) = self.lines.next_line() {
                return Ok(Heard::from_line(&line?)?);
            }
            let read = self.stream.read(&mut buffer).await?;
            if read == 0 {
                bail!("the gateway closed the control connection");
            }
            self.lines.push(&buffer[..read]);
        }
    }
}
