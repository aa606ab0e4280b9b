//! One line: its account, its calls as the gateway tells of them, and the tasks that serve both.
//!
//! Nothing here waits for Telegram. A line that cannot be opened is tried again, and harms no other.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tgtrunk_config::control::{
    Answer, CallInfo, CallState, CheckName, Direction, Event, Refusal, RefusalCode,
};
use tgtrunk_config::{CallId, ClientStatus, Password, Said, Settings, StateDir, StateError, UserId};
use tgtrunk_messages::InstanceId;
use tgtrunk_shell::Health;
use tgtrunk_shell::asking::Follower;
use tgtrunk_shell::caught::{Broke, caught};
use tgtrunk_shell::said::said;
use tgtrunk_shell::status_file;
use tgtrunk_telegram::{Account, Database, LoginDesk, LoginWord, Notice, Options, Orange, Status};
use tokio::sync::{broadcast, mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, interval, sleep_until, timeout};
use tracing::{Instrument as _, error, info, warn};

use crate::api::Api;
use crate::calls::{Calls, LineCalls};
use crate::correspondence::Correspondence;
use crate::desk::{Desk, Manner};
use crate::lamps::Lamps;
use crate::second_login::{self, SecondLogin};
use crate::store::{Press, Store};
use crate::{card, checks, clock, dialog, keypad, login, mailbox, refusal, typed};

/// Messages that wait to be read; Telegram keeps the others.
const MESSAGES: usize = 64;
/// How long a line that cannot be opened is left alone.
const PAUSE: Duration = Duration::from_secs(5);
/// How often the lamps look at the clock.
const TICK: Duration = Duration::from_secs(1);
/// For so long the calls of a gateway that does not answer are believed to go on.
const GRACE: Duration = Duration::from_secs(3);
/// How long keypads may take to be taken away when the line stops.
const PARTING: Duration = Duration::from_secs(4);

pub(crate) type Reply = oneshot::Sender<Result<Answer, Refusal>>;

/// What all lines share.
#[derive(Clone)]
pub(crate) struct House {
    pub(crate) settings: Arc<Settings>,
    pub(crate) state: StateDir,
    pub(crate) gateway: Follower,
    /// What an operator can mend.
    pub(crate) health: Health,
    /// The messages of the lines, for programs.
    pub(crate) api: Api,
    /// Their calls, for programs.
    pub(crate) calls: Calls,
}

/// What a line is told.
pub(crate) enum Order {
    /// A call of the line came, moved on or ended.
    Call(Box<CallInfo>),
    /// The gateway is there, and these calls of the line are up.
    Holds(Vec<CallInfo>),
    /// The gateway does not answer. If it is not back soon its calls are over.
    Gone,
    /// Other settings or texts.
    Change(Arc<Manner>),
    /// Begin the login, or go on with the password.
    Export { password: Option<Password>, reply: Reply },
    /// Lead the login a step on.
    Login { word: LoginWord, reply: Reply },
    /// Whether the gateway's session of the account works.
    GatewayAccount(bool),
    /// Somebody logged the gateway's session in.
    GatewayLoggedIn,
    /// Look at what the line needs of its bot, after mending one thing where that is wanted.
    Check { fix: Option<CheckName>, reply: Reply },
    /// End; keypads are taken away.
    Stop,
}

/// The task behind a line.
pub(crate) struct Line {
    pub(crate) house: House,
    pub(crate) manner: Arc<Manner>,
    pub(crate) orders: mpsc::Receiver<Order>,
    pub(crate) status: watch::Sender<ClientStatus>,
    /// The calls that are up; none while nobody knows.
    pub(crate) calls: Option<BTreeMap<CallId, CallInfo>>,
    pub(crate) is_gone: bool,
    /// Where the login tells how far it is.
    pub(crate) events: broadcast::Sender<Event>,
    /// Since when the gateway does not answer, as long as its calls are believed to go on.
    pub(crate) gone_at: Option<Instant>,
}

/// A line at work.
struct Work {
    desk: Arc<Desk>,
    database: Database,
    notices: mpsc::Receiver<Notice>,
    /// Tells each call's keypad when the call is over.
    attended: BTreeMap<CallId, watch::Sender<bool>>,
    /// Calls that are over and whose keypads are being taken away.
    clearing: BTreeSet<CallId>,
    /// Those of them that are up again: each gets another keypad after that.
    again: BTreeMap<CallId, CallInfo>,
    tasks: JoinSet<Option<CallId>>,
    login: Option<login::Step>,
    logins: LoginDesk,
    second: SecondLogin,
    is_green: bool,
    api: Api,
    instance: InstanceId,
    calls: LineCalls,
}

impl Line {
    /// Works until it is told to stop.
    pub(crate) async fn run(mut self) {
        let keeping = status_file::keep(self.house.state.clone(), self.status.subscribe(), put);
        let file = tokio::spawn(keeping.in_current_span());
        loop {
            let problem = match caught(self.open()).await {
                Ok(Ok(mut work)) => {
                    info!("line opened");
                    let broke = caught(self.serve(&mut work)).await.flatten().err();
                    if broke.is_some() {
                        // Programs that call meanwhile hear that it is starting.
                        self.house.api.rest(&self.manner.line.phone);
                    }
                    self.house.calls.leave(&self.manner.line.phone);
                    whole(work.end()).await;
                    let Some(broke) = broke else { break };
                    Said::from(&broke)
                }
                Ok(Err(problem)) => said(&problem),
                Err(broke) => Said::from(&broke),
            };
            // Paths name the line by its number, which is nobody's business in a log.
            let number = self.manner.line.phone.as_str();
            let problem =
                problem.within(|en| en.replace(number, "(line)"), |ru| ru.replace(number, "(линия)"));
            error!(retry_s = PAUSE.as_secs(), "the line does not run: {problem}");
            let reason = problem
                .within(|en| format!("the line does not run: {en}"), |ru| format!("линия не работает: {ru}"));
            Lamps::broken(&self.status, &reason);
            if self.rest(&problem).await {
                break;
            }
        }
        Lamps::broken(&self.status, &Said::new("the line is closed", "линия закрыта"));
        drop(self);
        file.await.ok();
    }

    async fn open(&self) -> anyhow::Result<Work> {
        let House { settings, state, gateway, api, calls, .. } = &self.house;
        let phone = &self.manner.line.phone;
        state.make_phone_dir(phone)?;
        let database = Database::open(state.client_db(phone)).await;
        let database = database.map_err(|error| anyhow::Error::msg(Said::from(&error)))?;
        let store = Store::open(database.pool().clone(), clock::unix_s()).await?;
        let (send, messages) = mpsc::channel(MESSAGES);
        let mut options =
            Options::from_settings(database.clone(), &settings.telegram, DEVICE_SUFFIX, state.dc_seed());
        options.messages = Some(send);
        let (account, notices) = Account::open(options).await.map_err(|error| {
            anyhow::Error::msg(Said::from(&error).within(
                |en| format!("the account cannot be opened: {en}"),
                |ru| format!("аккаунт не открывается: {ru}"),
            ))
        })?;
        let keeper = login::House { events: self.events.clone() };
        let logins = LoginDesk::open(account.clone(), phone.clone(), keeper).await;
        let (own, options) = (Some(phone.clone()), api.options(phone));
        let kept = Correspondence::open(&database, &account, &logins, own, options).await?;
        api.enter(phone, kept.instance().clone());
        let (calls, telling) = calls.enter(phone, store.clone(), kept.instance().clone());
        let lamps = Lamps::new(self.status.clone());
        lamps.account(&account.status().borrow());
        lamps.keypad(self.manner.line.chat.keypad);
        let desk = Arc::new(Desk::new(account, store, gateway.clone(), lamps, Arc::clone(&self.manner)));
        let mut tasks = JoinSet::new();
        let (reader, keeper) = (Arc::clone(&desk), Arc::clone(&desk));
        let instance = kept.instance().id();
        last(&mut tasks, kept.get_acquainted());
        last(&mut tasks, mailbox::read(reader, kept, messages));
        last(&mut tasks, dialog::keep(keeper));
        last(&mut tasks, telling);
        Ok(Work {
            desk,
            database,
            notices,
            attended: BTreeMap::new(),
            clearing: BTreeSet::new(),
            again: BTreeMap::new(),
            tasks,
            login: None,
            logins,
            second: SecondLogin::default(),
            is_green: false,
            api: api.clone(),
            instance,
            calls,
        })
    }

    /// Serves until the line is told to stop, or breaks.
    async fn serve(&mut self, work: &mut Work) -> Result<(), Broke> {
        let mut status = work.desk.account.status();
        status.mark_changed();
        if self.is_gone {
            self.gone_at = Some(Instant::now());
        }
        self.gateway_told(work).await;
        let mut ticks = interval(TICK);
        loop {
            let over_at = self.gone_at.map(|gone_at| gone_at + GRACE);
            tokio::select! {
                () = sleep_until(over_at.unwrap_or_else(Instant::now)), if over_at.is_some() => {
                    (self.calls, self.gone_at) = (None, None);
                    self.gateway_told(work).await;
                }
                order = self.orders.recv() => match order {
                    None | Some(Order::Stop) => return Ok(()),
                    Some(order) => self.obey(order, work).await,
                },
                changed = status.changed() => {
                    if changed.is_err() {
                        return Ok(());
                    }
                    let now = status.borrow_and_update().clone();
                    work.desk.lamps.account(&now);
                    if matches!(now, Status::Orange { reason: Orange::Broken }) {
                        return Err(Broke::of("the account"));
                    }
                    let is_green = matches!(now, Status::Green { .. });
                    if is_green && !std::mem::replace(&mut work.is_green, is_green) {
                        self.take_up(work).await;
                    }
                    // Only a login makes it worth going through everything again.
                    work.is_green &= !matches!(now, Status::Red { .. });
                }
                Some(_) = work.notices.recv() => {}
                _ = ticks.tick() => {
                    work.desk.lamps.tick();
                    self.log_in_too(work);
                }
                Some(done) = work.tasks.join_next() => match done {
                    Ok(Some(call)) => {
                        work.clearing.remove(&call);
                        if let Some(info) = work.again.remove(&call) {
                            work.call(&info, self.manner.line.chat.keypad);
                        }
                    }
                    Ok(None) => {}
                    Err(error) if error.is_cancelled() => {}
                    // Without it the line would be deaf.
                    Err(error) => return Err(error.into()),
                },
            }
        }
    }

    async fn obey(&mut self, order: Order, work: &mut Work) {
        match order {
            Order::Call(call) => {
                self.note(*call.clone());
                work.calls.tell(&call);
                work.refused(&call, &self.manner.line);
                work.call(&call, self.manner.line.chat.keypad);
            }
            Order::Holds(calls) => {
                self.holds(calls);
                self.gateway_told(work).await;
            }
            Order::Gone => {
                (self.is_gone, self.gone_at) = (true, Some(Instant::now()));
                work.second.gateway_works(false, Instant::now());
                work.desk.lamps.gateway(false);
            }
            Order::Change(manner) => {
                work.desk.lamps.keypad(manner.line.chat.keypad);
                work.desk.change_manner(Arc::clone(&manner));
                self.manner = manner;
            }
            Order::Export { password, reply } => work.export(password, reply),
            Order::Login { word, reply } => work.lead_login(word, reply),
            Order::GatewayAccount(works) => {
                work.second.gateway_works(works, Instant::now());
                self.log_in_too(work);
            }
            Order::GatewayLoggedIn => {
                work.second.gateway_logged_in(Instant::now());
                self.log_in_too(work);
            }
            Order::Check { fix, reply } => {
                let desk = Arc::clone(&work.desk);
                spawn(&mut work.tasks, async move {
                    reply.send(checks::look(&desk, fix).await.map(Answer::Checks)).ok();
                });
            }
            // The loop ends with it.
            Order::Stop => {}
        }
    }

    /// Has the gateway's session let the client's in, if that is due.
    fn log_in_too(&self, work: &mut Work) {
        let status = work.desk.account.status();
        let is_due = work.second.is_due(&status.borrow(), &work.logins.info().stage, Instant::now());
        if !is_due {
            return;
        }
        info!("the gateway's session is asked to let the client's in");
        let accept = second_login::acceptance(self.house.state.gateway_socket(), &self.manner.line.phone);
        let logins = work.logins.clone();
        spawn(&mut work.tasks, async move { drop(logins.let_in(accept).await) });
    }

    /// Brings the work in line with what the gateway says.
    async fn gateway_told(&mut self, work: &mut Work) {
        work.desk.lamps.gateway(self.calls.is_some() && !self.is_gone);
        if self.is_gone {
            work.desk.is_told();
        }
        if self.gone_at.is_some() || self.calls.is_none() && !self.is_gone {
            return;
        }
        work.calls.holds(self.calls.as_ref());
        let up = self.calls.clone().unwrap_or_default();
        let over: Vec<CallId> = work.attended.keys().filter(|call| !up.contains_key(call)).copied().collect();
        for call in over {
            work.over(call);
        }
        for call in up.values() {
            work.call(call, self.manner.line.chat.keypad);
        }
        work.desk.is_told();
        if self.calls.is_some()
            && let Err(error) = typed::press_due(&work.desk, &up).await
        {
            warn!(%error, "typed digits that are due cannot be looked up");
        }
        work.sweep().await;
    }

    /// Finishes what was begun before: keypads that stand, cards, typed digits.
    async fn take_up(&mut self, work: &mut Work) {
        self.gateway_told(work).await;
        match work.desk.store.open_cards().await {
            Ok(cards) => {
                for row in cards {
                    spawn(&mut work.tasks, card::send(Arc::clone(&work.desk), row));
                }
            }
            Err(error) => warn!(%error, "cards that were begun cannot be looked up"),
        }
        match work.desk.store.presses().await {
            Ok(rows) => {
                for row in rows.into_iter().filter(|row| row.state == Press::Pressed) {
                    spawn(&mut work.tasks, typed::take_away(Arc::clone(&work.desk), row.message_id));
                }
            }
            Err(error) => warn!(%error, "typed digits that stand cannot be looked up"),
        }
    }

    /// Waits before the line is tried again; true when it is told to stop instead.
    async fn rest(&mut self, problem: &Said) -> bool {
        let until = Instant::now() + PAUSE;
        loop {
            tokio::select! {
                () = sleep_until(until) => return false,
                order = self.orders.recv() => match order {
                    None | Some(Order::Stop) => return true,
                    Some(Order::Call(call)) => self.note(*call),
                    Some(Order::Holds(calls)) => self.holds(calls),
                    Some(Order::Gone) => (self.calls, self.is_gone) = (None, true),
                    Some(Order::Change(manner)) => self.manner = manner,
                    Some(Order::GatewayAccount(_) | Order::GatewayLoggedIn) => {}
                    Some(Order::Export { reply, .. } | Order::Login { reply, .. } | Order::Check { reply, .. }) => {
                        let message = format!("the line does not run: {problem}");
                        reply.send(Err(Refusal { code: RefusalCode::Internal, message })).ok();
                    }
                },
            }
        }
    }

    fn note(&mut self, call: CallInfo) {
        let calls = self.calls.get_or_insert_default();
        if call.state == CallState::Ended {
            calls.remove(&call.call);
        } else {
            calls.insert(call.call, call);
        }
    }

    fn holds(&mut self, calls: Vec<CallInfo>) {
        (self.is_gone, self.gone_at) = (false, None);
        self.calls = Some(calls.into_iter().map(|call| (call.call, call)).collect());
    }
}

/// What tells the client's session from the gateway's in the user's list of devices.
pub(crate) const DEVICE_SUFFIX: &str = " client";

/// Puts the status on the disk, as one that is told now.
fn put(status: &ClientStatus, state: &StateDir) -> Result<(), StateError> {
    ClientStatus { written_ms: clock::unix_ms(), ..status.clone() }.write(state)
}

/// Starts a task that is about no call, and without which the line may go on.
fn spawn(tasks: &mut JoinSet<Option<CallId>>, task: impl Future<Output = ()> + Send + 'static) {
    last(tasks, whole(task));
}

/// Starts a task that lasts as long as the line, which is opened anew where it breaks.
fn last(tasks: &mut JoinSet<Option<CallId>>, task: impl Future<Output = ()> + Send + 'static) {
    let task = async move {
        task.await;
        None
    };
    tasks.spawn(task.in_current_span());
}

/// Does something; a fault of ours ends it alone.
async fn whole(task: impl Future<Output = ()>) {
    if let Err(broke) = caught(task).await {
        error!(%broke, "a task of the line");
    }
}

impl Work {
    /// A call is up, or over.
    fn call(&mut self, call: &CallInfo, wants_keypad: bool) {
        self.joined(call);
        if call.state == CallState::Ended {
            return self.over(call.call);
        }
        let Some(person) = call.peer.id.map(UserId::number) else { return };
        self.desk.begins(call.call, person, call.started_ms);
        let is_wanted = wants_keypad && call.direction == Direction::TelegramToPbx;
        if !is_wanted || self.attended.contains_key(&call.call) {
            return;
        }
        if self.clearing.contains(&call.call) {
            self.again.insert(call.call, call.clone());
            return;
        }
        let (over, is_over) = watch::channel(false);
        self.attended.insert(call.call, over);
        let span = tracing::info_span!("call", call = %call.call);
        let (desk, call) = (Arc::clone(&self.desk), call.call);
        let task = async move {
            whole(keypad::attend(desk, call, person, is_over)).await;
            Some(call)
        };
        self.tasks.spawn(task.instrument(span));
    }

    /// Notes a call that a person asked for, whatever its state: it may be told of only once.
    fn joined(&mut self, call: &CallInfo) {
        if call.extension.is_none() {
            return;
        }
        if let Some(person) = call.peer.id {
            self.desk.joins(person.number());
        }
        if let Some(telegram_call) = call.telegram_call {
            let desk = Arc::clone(&self.desk);
            spawn(&mut self.tasks, async move {
                if let Err(error) = desk.store.note_call_back(telegram_call, clock::unix_s()).await {
                    warn!(%error, "a call-back could not be noted");
                }
            });
        }
    }

    /// Tells a caller whom the line's rules kept from the PBX, where that is wanted.
    fn refused(&mut self, call: &CallInfo, line: &tgtrunk_config::Line) {
        if let (Some(person), Some(key)) = (call.peer.id, refusal::text(call, line)) {
            let desk = Arc::clone(&self.desk);
            spawn(&mut self.tasks, refusal::send(desk, person.number(), key));
        }
    }

    fn over(&mut self, call: CallId) {
        self.desk.ends(call);
        self.again.remove(&call);
        if let Some(over) = self.attended.remove(&call)
            && over.receiver_count() > 0
        {
            self.clearing.insert(call);
            over.send_replace(true);
        }
    }

    /// Takes away keypads whose calls are over and whom nobody attends: those of a process that is no more.
    async fn sweep(&mut self) {
        if !self.is_green {
            return;
        }
        let rows = match self.desk.store.keypads().await {
            Ok(rows) => rows,
            Err(error) => return warn!(%error, "keypads that stand cannot be looked up"),
        };
        for row in rows {
            let call = row.call;
            if self.attended.contains_key(&call) || !self.clearing.insert(call) {
                continue;
            }
            info!(%call, "a keypad of a call that is over is taken away");
            let desk = Arc::clone(&self.desk);
            let task = async move {
                whole(keypad::clear(&desk, row, true)).await;
                Some(call)
            };
            self.tasks.spawn(task.in_current_span());
        }
    }

    fn export(&mut self, password: Option<Password>, reply: Reply) {
        let account = self.desk.account.clone();
        let logins = self.logins.clone();
        self.login = Some(login::Step::begin(account, logins, password, reply, self.login.take()));
    }

    /// Leads the login a step on. What a person wants goes before what the line does by itself.
    fn lead_login(&mut self, word: LoginWord, reply: Reply) {
        self.second.person_says(&word);
        let logins = self.logins.clone();
        tokio::spawn(async move {
            let is_reset = word == LoginWord::Forget;
            let told = logins.say(word).await;
            let answer = told.map(|info| if is_reset { Answer::Done } else { Answer::Login(info) });
            let closed = || Refusal { code: RefusalCode::Stopping, message: "the line is closed".to_owned() };
            reply.send(answer.ok_or_else(closed)).ok();
        });
    }

    async fn end(mut self) {
        self.api.leave(self.instance);
        let attended: Vec<CallId> = self.attended.keys().copied().collect();
        for call in attended {
            self.over(call);
        }
        if let Some(login) = self.login.take() {
            timeout(PARTING, login.end()).await.ok();
        }
        timeout(PARTING, self.logins.end()).await.ok();
        let parting = async {
            while !self.clearing.is_empty()
                && let Some(done) = self.tasks.join_next().await
            {
                if let Ok(Some(call)) = done {
                    self.clearing.remove(&call);
                }
            }
        };
        if timeout(PARTING, parting).await.is_err() {
            warn!("some keypads are left for the next start");
        }
        self.tasks.shutdown().await;
        self.desk.presses.end();
        self.desk.account.shutdown().await;
        self.database.close().await;
    }
}
