//! All lines of the client: those of the gateway that are switched on, each a task of its own.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tgtrunk_config::control::{
    Answer, Ask, CallInfo, CallState, CheckName, ClientReport, Event, LoginInfo, LoginStage, Refusal,
    RefusalCode,
};
use tgtrunk_config::{CallId, ClientStatus, GatewayStatus, Lamp, Lines as LineFiles, Phone, Said, Texts};
use tgtrunk_shell::asking::Told;
use tgtrunk_shell::control::Question;
use tgtrunk_telegram::LoginWord;
use tokio::sync::{broadcast, mpsc, oneshot, watch};
use tokio::task::{JoinHandle, JoinSet};
use tracing::{Instrument as _, error, info, info_span, warn};

use crate::clock;
use crate::desk::Manner;
use crate::line::{House, Line, Order, Reply};

/// Orders that may wait for a line, which never waits for anything itself.
const ORDERS: usize = 1024;

/// The lines that should be at work, and what is wrong with the files of others.
pub(crate) struct Lines {
    house: House,
    /// Where lamps are told as they change.
    events: broadcast::Sender<Event>,
    /// Why the operator's page and the messages' API cannot be opened.
    port_problems: Vec<watch::Receiver<Option<Said>>>,
    kept: BTreeMap<Phone, Kept>,
    problems: Vec<Said>,
    /// The calls that are up at the gateway; none while it is not there or nobody knows.
    calls: Option<BTreeMap<CallId, CallInfo>>,
    is_gone: bool,
    /// Numbers that the gateway tells of and that have no line here; looked for once.
    strange: BTreeSet<Phone>,
    leaving: JoinSet<()>,
    /// Lines that were told to end, by number: each lets go of its receiver when it has.
    ending: BTreeMap<Phone, oneshot::Receiver<()>>,
}

struct Kept {
    manner: Arc<Manner>,
    orders: mpsc::Sender<Order>,
    status: watch::Receiver<ClientStatus>,
    task: JoinHandle<()>,
}

impl Lines {
    pub(crate) fn open(
        house: House,
        events: broadcast::Sender<Event>,
        port_problems: Vec<watch::Receiver<Option<Said>>>,
    ) -> Self {
        let mut lines = Self {
            house,
            events,
            port_problems,
            kept: BTreeMap::new(),
            problems: Vec::new(),
            calls: None,
            is_gone: false,
            strange: BTreeSet::new(),
            leaving: JoinSet::new(),
            ending: BTreeMap::new(),
        };
        lines.reload();
        lines
    }

    /// Whether no call is up, as far as anybody knows.
    pub(crate) fn are_quiet(&self) -> bool {
        self.calls.as_ref().is_none_or(BTreeMap::is_empty)
    }

    pub(crate) fn len(&self) -> usize {
        self.kept.len()
    }

    /// Reads lines and texts again: new lines open, missing ones close, the others go on with what is new.
    pub(crate) fn reload(&mut self) {
        let loaded = match LineFiles::load(&self.house.state) {
            Ok(loaded) => loaded,
            Err(error) => {
                error!(%error, "the lines cannot be read");
                self.problems = vec![Said::from(&error)];
                return;
            }
        };
        self.problems = loaded.problems.iter().map(Said::from).collect();
        let wrong: BTreeSet<&str> = loaded.problems.iter().map(|problem| problem.folder.as_str()).collect();
        // A line whose file became wrong goes on as it was.
        let staying: BTreeSet<Phone> =
            self.kept.keys().filter(|phone| wrong.contains(phone.as_str())).cloned().collect();
        let mut wanted = BTreeMap::new();
        for line in loaded.lines.into_iter().filter(|line| line.enabled) {
            let texts = match Texts::load(&self.house.state, &line.phone) {
                Ok(texts) => texts,
                Err(problems) => {
                    self.problems.extend(problems.iter().map(Said::from));
                    // Whoever mistyped a place keeps what people read until now.
                    let before = self.kept.get(&line.phone);
                    before.map(|kept| kept.manner.texts.clone()).unwrap_or_default()
                }
            };
            wanted.insert(line.phone.clone(), Manner { line, texts });
        }
        for problem in &self.problems {
            warn!("not all is well with the lines: {problem}");
        }
        let gone: Vec<Phone> = self
            .kept
            .keys()
            .filter(|phone| !wanted.contains_key(phone) && !staying.contains(phone))
            .cloned()
            .collect();
        for phone in gone {
            self.close(&phone);
        }
        for (phone, manner) in wanted {
            self.strange.remove(&phone);
            match self.kept.get_mut(&phone) {
                Some(kept) if *kept.manner == manner => {}
                Some(kept) => {
                    kept.manner = Arc::new(manner);
                    order(kept, Order::Change(Arc::clone(&kept.manner)));
                }
                None => self.begin(phone, manner),
            }
        }
    }

    /// Answers a question of the control socket.
    pub(crate) fn answer(&mut self, question: Question) {
        let Question { ask, answer } = question;
        let reply = match ask {
            Ask::Status => Ok(Answer::Clients(self.report())),
            Ask::Reload => {
                self.reload();
                Ok(Answer::Clients(self.report()))
            }
            Ask::ExportLogin { line, password } => match self.kept.get(&line) {
                Some(kept) => {
                    order(kept, Order::Export { password, reply: answer });
                    return;
                }
                None => Err(unknown(&line)),
            },
            Ask::Instances => {
                let api = self.house.api.clone();
                tokio::spawn(async move { answer.send(api.instances().await.map(Answer::Instances)).ok() });
                return;
            }
            Ask::RenewToken { line } => {
                let api = self.house.api.clone();
                tokio::spawn(
                    async move { answer.send(api.renew_token(&line).await.map(Answer::NewToken)).ok() },
                );
                return;
            }
            Ask::MakeActionToken { line, label } => {
                let directory = self.house.api.directory();
                tokio::spawn(async move {
                    let made = directory.make_token(line.as_ref(), &label).await;
                    answer.send(made.map(Answer::NewActionToken)).ok()
                });
                return;
            }
            Ask::ActionTokens => {
                let directory = self.house.api.directory();
                tokio::spawn(
                    async move { answer.send(directory.tokens().await.map(Answer::ActionTokens)).ok() },
                );
                return;
            }
            Ask::RevokeActionToken { number } => {
                let directory = self.house.api.directory();
                tokio::spawn(async move {
                    answer.send(directory.revoke_token(number).await.map(|()| Answer::Done)).ok()
                });
                return;
            }
            Ask::Checks { line } => return self.check(&line, None, answer),
            Ask::FixCheck { line, check } => return self.check(&line, Some(check), answer),
            Ask::RestartLine { line } => self.restart(&line),
            Ask::Login { .. }
            | Ask::StartLogin { .. }
            | Ask::ResendCode { .. }
            | Ask::EnterCode { .. }
            | Ask::EnterPassword { .. }
            | Ask::CancelLogin { .. }
            | Ask::LogOut { .. }
            | Ask::ResetLine { .. } => {
                let Some((line, word)) = LoginWord::of(&ask) else { return };
                match self.kept.get(&line) {
                    Some(kept) => return order(kept, Order::Login { word, reply: answer }),
                    None => Err(unknown(&line)),
                }
            }
            Ask::Records { .. }
            | Ask::Record { .. }
            | Ask::WatchLevels { .. }
            | Ask::Log { .. }
            | Ask::CheckBot { .. }
            | Ask::AddBot { .. }
            | Ask::RemoveBot { .. }
            | Ask::People { .. }
            | Ask::WriteTo { .. }
            | Ask::BotMessages { .. }
            | Ask::BringUpdates { .. }
            | Ask::SkipUpdate { .. }
            | Ask::ApiTokens { .. }
            | Ask::MakeApiToken { .. }
            | Ask::RevokeApiToken { .. }
            | Ask::Calls
            | Ask::Subscribe
            | Ask::HangUp { .. }
            | Ask::SendDigits { .. }
            | Ask::AddLine { .. }
            | Ask::RemoveLine { .. }
            | Ask::AcceptLogin { .. }
            | Ask::JoinCall { .. } => Err(Refusal::not_here(crate::PROGRAM, &ask)),
        };
        answer.send(reply).ok();
    }

    fn check(&self, line: &Phone, fix: Option<CheckName>, reply: Reply) {
        match self.kept.get(line) {
            Some(kept) => order(kept, Order::Check { fix, reply }),
            None => drop(reply.send(Err(unknown(line)))),
        }
    }

    /// Closes a line and opens it again.
    fn restart(&mut self, line: &Phone) -> Result<Answer, Refusal> {
        let Some(kept) = self.kept.get(line) else { return Err(unknown(line)) };
        let Manner { line: settings, texts } = &*kept.manner;
        let manner = Manner { line: settings.clone(), texts: texts.clone() };
        self.house.api.rest(line);
        self.part(line);
        self.begin(line.clone(), manner);
        Ok(Answer::Done)
    }

    /// Passes on what the gateway tells.
    pub(crate) fn told(&mut self, told: Told) {
        match told {
            Told::Up { calls, status } => {
                info!(calls = calls.len(), "the gateway is there");
                self.calls = Some(calls.into_iter().map(|call| (call.call, call)).collect());
                self.is_gone = false;
                for line in &status.lines {
                    self.look_for(&line.status.line);
                }
                for (phone, kept) in &self.kept {
                    order(kept, Order::Holds(self.calls_of(phone)));
                }
                for line in &status.lines {
                    self.account_of(&line.status);
                }
            }
            Told::Clients(_) | Told::Bots(_) => {}
            Told::Gone => {
                warn!("the gateway is gone: no keypads until it is back");
                (self.calls, self.is_gone) = (None, true);
                for kept in self.kept.values() {
                    order(kept, Order::Gone);
                }
            }
            Told::Event(Event::Call(call)) => {
                let calls = self.calls.get_or_insert_default();
                if call.state == CallState::Ended {
                    calls.remove(&call.call);
                } else {
                    calls.insert(call.call, call.clone());
                }
                if let Some(kept) = self.kept.get(&call.line) {
                    order(kept, Order::Call(Box::new(call)));
                }
            }
            Told::Event(Event::Line(status)) => {
                self.look_for(&status.line);
                self.account_of(&status);
            }
            Told::Event(Event::Login(LoginInfo { line, stage: LoginStage::Done { .. }, .. })) => {
                if let Some(kept) = self.kept.get(&line) {
                    order(kept, Order::GatewayLoggedIn);
                }
            }
            Told::Event(Event::LineRemoved { line }) => {
                if self.kept.contains_key(&line) {
                    self.reload();
                }
                self.strange.remove(&line);
            }
            Told::Event(
                Event::Digit(_)
                | Event::Client(_)
                | Event::Bot(_)
                | Event::BotRemoved { .. }
                | Event::Login(_)
                | Event::Levels(_)
                | Event::Lagged { .. },
            ) => {}
        }
    }

    /// Does what is left to do when a line has ended. May be dropped at any time.
    pub(crate) async fn tend(&mut self) {
        if self.leaving.join_next().await.is_none() {
            std::future::pending().await
        }
    }

    /// Ends every line.
    pub(crate) async fn stop(mut self) {
        let all: Vec<Phone> = self.kept.keys().cloned().collect();
        for phone in &all {
            // Nobody is told that it is gone: it is back with the next start.
            self.house.api.rest(phone);
            if self.part(phone) {
                self.events.send(Event::LineRemoved { line: phone.clone() }).ok();
            }
        }
        while self.leaving.join_next().await.is_some() {}
    }

    /// Whether the gateway's session of a line's account works.
    fn account_of(&self, status: &GatewayStatus) {
        if let Some(kept) = self.kept.get(&status.line) {
            order(kept, Order::GatewayAccount(status.telegram.lamp == Lamp::Green));
        }
    }

    /// A line that the gateway has and we do not was added meanwhile, or is wrong.
    fn look_for(&mut self, phone: &Phone) {
        if !self.kept.contains_key(phone) && self.strange.insert(phone.clone()) {
            self.reload();
        }
    }

    fn begin(&mut self, phone: Phone, manner: Manner) {
        let (orders, ordered) = mpsc::channel(ORDERS);
        let waiting = ClientStatus::waiting(phone.clone(), std::process::id(), clock::unix_ms());
        let (status, shown) = watch::channel(waiting);
        tokio::spawn(tell(status.subscribe(), self.events.clone()));
        let manner = Arc::new(manner);
        let calls = self.calls.is_some().then(|| self.calls_of(&phone));
        let line = Line {
            house: self.house.clone(),
            manner: Arc::clone(&manner),
            orders: ordered,
            status,
            events: self.events.clone(),
            calls: calls.map(|calls| calls.into_iter().map(|call| (call.call, call)).collect()),
            is_gone: self.is_gone,
            gone_at: None,
        };
        let span = info_span!("line", sip_port = manner.line.sip_port);
        let before = self.ending.remove(&phone);
        let work = async move {
            // Its database and its session are let go of first.
            if let Some(before) = before {
                before.await.ok();
            }
            line.run().await;
        };
        let task = tokio::spawn(work.instrument(span));
        self.kept.insert(phone, Kept { manner, orders, status: shown, task });
    }

    fn close(&mut self, phone: &Phone) {
        self.house.api.give_up(phone);
        if self.part(phone) {
            self.events.send(Event::LineRemoved { line: phone.clone() }).ok();
        }
    }

    /// Has a line end, if there is one.
    fn part(&mut self, phone: &Phone) -> bool {
        let Some(kept) = self.kept.remove(phone) else { return false };
        let (end, ended) = oneshot::channel();
        self.ending.insert(phone.clone(), ended);
        self.leaving.spawn(async move {
            kept.orders.send(Order::Stop).await.ok();
            kept.task.await.ok();
            drop::<oneshot::Sender<()>>(end);
        });
        true
    }

    fn calls_of(&self, phone: &Phone) -> Vec<CallInfo> {
        let calls = self.calls.iter().flat_map(BTreeMap::values);
        calls.filter(|call| call.line == *phone).cloned().collect()
    }

    fn report(&self) -> ClientReport {
        let now_ms = clock::unix_ms();
        let lines = self.kept.values().map(|kept| {
            let status = kept.status.borrow().clone();
            ClientStatus { written_ms: now_ms, ..status }
        });
        let of_ports = self.port_problems.iter().filter_map(|problem| problem.borrow().clone());
        let of_calls = self.house.calls.problems();
        let problems = self.house.health.problems().into_iter().chain(self.problems.clone()).chain(of_ports);
        let problems = problems.chain(of_calls).collect();
        ClientReport { lines: lines.collect(), problems }
    }
}

/// Tells a line's lamps as they change, until the line has ended.
async fn tell(mut status: watch::Receiver<ClientStatus>, events: broadcast::Sender<Event>) {
    status.mark_changed();
    while status.changed().await.is_ok() {
        let status = ClientStatus { written_ms: clock::unix_ms(), ..status.borrow_and_update().clone() };
        events.send(Event::Client(status)).ok();
    }
}

fn unknown(line: &Phone) -> Refusal {
    Refusal { code: RefusalCode::UnknownLine, message: format!("the client has no line {line}") }
}

fn order(kept: &Kept, order: Order) {
    if kept.orders.try_send(order).is_err() {
        error!("a line does not listen");
    }
}
