//! All lines of the gateway: opened from their folders, added, removed, read again while running.

use std::collections::BTreeMap;
use std::time::Duration;

use tgtrunk_config::control::{Answer, Ask, Event, LineInfo, Refusal, RefusalCode, StatusReport};
use tgtrunk_config::{CallId, GatewayStatus, LineDraft, LineError, LineProblem, Lines as LineFiles, Phone};
use tgtrunk_config::{Lamp, Line as LineSettings};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;

use crate::account;
use crate::clock;
use crate::control::Question;
use crate::line::{House, Line, Mode, Order, Start};

/// Orders that may wait for a line.
const ORDERS: usize = 64;
/// A line that is replaced or removed lets its calls say goodbye for this long.
const FAREWELL: Duration = Duration::from_secs(3);

/// The lines at work, and what is wrong with those that are not.
pub(crate) struct Lines {
    house: House,
    running: BTreeMap<Phone, Running>,
    problems: Vec<String>,
}

struct Running {
    settings: LineSettings,
    orders: mpsc::Sender<Order>,
    status: watch::Receiver<GatewayStatus>,
    task: JoinHandle<()>,
}

impl Lines {
    /// Opens every line that has a folder. A line that cannot be opened is reported and harms nobody.
    pub(crate) async fn open(house: House) -> Self {
        let mut lines = Self { house, running: BTreeMap::new(), problems: Vec::new() };
        lines.reload().await;
        lines
    }

    /// How many lines work.
    pub(crate) fn len(&self) -> usize {
        self.running.len()
    }

    /// Answers a question of the control socket.
    pub(crate) async fn answer(&mut self, question: Question) {
        let result = match question.ask {
            Ask::Status => Ok(Answer::Status(self.report())),
            Ask::Calls => Ok(Answer::Calls(self.calls().await)),
            Ask::Subscribe => Ok(Answer::Done),
            Ask::HangUp { call } => self.hang_up(call).await,
            Ask::Reload => {
                self.reload().await;
                Ok(Answer::Status(self.report()))
            }
            Ask::AddLine { line } => self.add(line).await,
            Ask::RemoveLine { phone, keep_state } => self.remove(&phone, keep_state).await,
        };
        question.answer.send(result).ok();
    }

    /// Ends every line; calls may go on for the grace.
    pub(crate) async fn stop(self, grace: Duration) {
        for line in self.running.values() {
            line.orders.send(Order::Stop(grace)).await.ok();
        }
        for (phone, line) in self.running {
            if tokio::time::timeout(grace + FAREWELL, line.task).await.is_err() {
                tracing::warn!(line = phone.as_str(), "the line did not end in time");
            }
        }
    }

    /// Reads the folders again: new lines open, changed ones are opened anew, missing ones close, others go on.
    pub(crate) async fn reload(&mut self) {
        let loaded = match LineFiles::load(&self.house.state) {
            Ok(loaded) => loaded,
            Err(error) => {
                tracing::error!(%error, "the lines cannot be read");
                self.problems = vec![error.to_string()];
                return;
            }
        };
        self.problems = loaded.problems.iter().map(LineProblem::to_string).collect();
        for problem in &self.problems {
            tracing::error!("a line does not run: {problem}");
        }
        let wanted: BTreeMap<Phone, LineSettings> = loaded
            .lines
            .into_iter()
            .filter(|line| line.enabled)
            .map(|line| (line.phone.clone(), line))
            .collect();
        let gone: Vec<Phone> = self
            .running
            .iter()
            .filter(|(phone, line)| wanted.get(*phone) != Some(&line.settings) || line.task.is_finished())
            .map(|(phone, _)| phone.clone())
            .collect();
        for phone in gone {
            self.close(&phone, !wanted.contains_key(&phone)).await;
        }
        for (phone, settings) in wanted {
            if !self.running.contains_key(&phone)
                && let Err(error) = self.begin(settings).await
            {
                let problem = format!("line {phone}: {error:#}");
                tracing::error!("a line does not run: {problem}");
                self.problems.push(problem);
            }
        }
    }

    async fn begin(&mut self, settings: LineSettings) -> anyhow::Result<()> {
        let phone = settings.phone.clone();
        let (account, notices) = account::open(&self.house.settings, &self.house.state, &phone).await?;
        let (orders, ordered) = mpsc::channel(ORDERS);
        let waiting = GatewayStatus::waiting(phone.clone(), std::process::id(), clock::unix_ms());
        let (shown, status) = watch::channel(waiting);
        let start = Start {
            house: self.house.clone(),
            settings: settings.clone(),
            mode: Mode::Trunk,
            account: account.clone(),
            notices,
            orders: ordered,
            status: shown,
        };
        let line = match Line::open(start).await {
            Ok(line) => line,
            Err(error) => {
                account.shutdown().await;
                return Err(error);
            }
        };
        let span = tracing::info_span!("line", sip_port = settings.sip_port);
        let task = tokio::spawn(tracing::Instrument::instrument(line.run(), span));
        tracing::info!(sip_port = settings.sip_port, "line opened");
        self.running.insert(phone, Running { settings, orders, status, task });
        Ok(())
    }

    async fn close(&mut self, phone: &Phone, for_good: bool) {
        let Some(mut line) = self.running.remove(phone) else { return };
        line.orders.send(Order::Stop(Duration::ZERO)).await.ok();
        if tokio::time::timeout(FAREWELL, &mut line.task).await.is_err() {
            tracing::warn!(line = phone.as_str(), "the line did not end in time and was cut off");
            line.task.abort();
            line.task.await.ok();
        }
        if for_good {
            self.house.events.send(Event::LineRemoved { line: phone.clone() }).ok();
        }
    }

    async fn add(&mut self, draft: LineDraft) -> Result<Answer, Refusal> {
        let settings = LineFiles::add(&self.house.state, draft).map_err(|error| Refusal {
            code: match error {
                LineError::Exists(_) => RefusalCode::LineExists,
                _ => RefusalCode::BadLine,
            },
            message: error.to_string(),
        })?;
        let phone = settings.phone.clone();
        if settings.enabled
            && let Err(error) = self.begin(settings.clone()).await
        {
            self.house.state.retire_line(&phone).ok();
            return Err(Refusal { code: RefusalCode::BadLine, message: format!("{error:#}") });
        }
        Ok(Answer::Line(self.info(&settings)))
    }

    async fn remove(&mut self, phone: &Phone, keep_state: bool) -> Result<Answer, Refusal> {
        if !self.running.contains_key(phone) && !self.house.state.line_file(phone).exists() {
            return Err(Refusal {
                code: RefusalCode::UnknownLine,
                message: format!("there is no line {phone}"),
            });
        }
        self.close(phone, true).await;
        let removed =
            if keep_state { self.house.state.retire_line(phone) } else { self.house.state.forget(phone) };
        removed
            .map(|()| Answer::Done)
            .map_err(|error| Refusal { code: RefusalCode::Internal, message: error.to_string() })
    }

    async fn hang_up(&self, call: CallId) -> Result<Answer, Refusal> {
        for line in self.running.values() {
            let (answer, answered) = oneshot::channel();
            if line.orders.send(Order::HangUp(call, answer)).await.is_ok() && answered.await == Ok(true) {
                return Ok(Answer::Done);
            }
        }
        Err(Refusal { code: RefusalCode::UnknownCall, message: format!("no call {} is up", call.0) })
    }

    async fn calls(&self) -> Vec<tgtrunk_config::control::CallInfo> {
        let mut calls = Vec::new();
        for line in self.running.values() {
            let (answer, answered) = oneshot::channel();
            if line.orders.send(Order::Calls(answer)).await.is_ok() {
                calls.extend(answered.await.unwrap_or_default());
            }
        }
        calls.sort_by_key(|call| call.started_ms);
        calls
    }

    fn report(&self) -> StatusReport {
        StatusReport {
            lines: self.running.values().map(|line| self.info(&line.settings)).collect(),
            problems: self.problems.clone(),
        }
    }

    fn info(&self, settings: &LineSettings) -> LineInfo {
        let status = match self.running.get(&settings.phone) {
            Some(line) => line.status.borrow().clone(),
            None => {
                let now_ms = clock::unix_ms();
                let mut status = GatewayStatus::waiting(settings.phone.clone(), std::process::id(), now_ms);
                status.telegram.turn(Lamp::Off, "switched off", now_ms);
                status.sip.turn(Lamp::Off, "switched off", now_ms);
                status
            }
        };
        LineInfo {
            sip: std::net::SocketAddr::new(self.house.settings.gateway.sip_bind, settings.sip_port)
                .to_string(),
            pbx: settings.pbx.to_string(),
            status,
        }
    }
}
