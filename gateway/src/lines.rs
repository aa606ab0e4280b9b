//! All lines of the gateway: opened from their folders, added, removed, read again while running.
//!
//! Nothing here waits for a line. Whatever takes its time is a task, and the asker has the answer when that ends.

mod join;
mod keeper;
mod report;
mod restart;

use std::collections::{BTreeMap, BTreeSet};
use std::future::poll_fn;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use tgtrunk_config::control::{Answer, Ask, CallInfo, Event, Refusal, RefusalCode, StatusReport};
use tgtrunk_config::{CallId, GatewayStatus, LineDraft, LineError, LineProblem, Lines as LineFiles, Phone};
use tgtrunk_config::{Line as LineSettings, Said, StateDir};
use tgtrunk_shell::control::Question;
use tgtrunk_shell::status_file;
use tgtrunk_telegram::LoginWord;
use tokio::sync::{Mutex, mpsc, oneshot, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{timeout, timeout_at};
use tracing::Instrument as _;

use crate::PROGRAM;
use crate::clock;
use crate::line::{House, Keys, Order};
use crate::records;
use keeper::{Condition, Keeper, ORDERS};
use report::Shown;

/// How long a line may think about what it is asked.
const THOUGHT: Duration = Duration::from_secs(1);
/// How long it may take with what it asks Telegram about a login or the account's settings.
const LOGIN: Duration = Duration::from_secs(25);
/// How long a step of the line's own login may take; it is several requests to Telegram, each with its limit.
const STEP: Duration = Duration::from_secs(90);
/// How long an answer waits for lines that are being opened: when somebody looks, and when somebody had them opened.
const LOOK: Duration = Duration::from_secs(1);
const TRY: Duration = Duration::from_secs(5);

type Reply = oneshot::Sender<Result<Answer, Refusal>>;

/// The lines that should be at work, and what is wrong with the files of others.
pub(crate) struct Lines {
    house: House,
    kept: BTreeMap<Phone, Kept>,
    off: BTreeMap<Phone, LineSettings>,
    /// By folder.
    wrong: Vec<(String, Said)>,
    /// One keeper at a time for a number: the next waits until the account and the port are free.
    doors: BTreeMap<Phone, Arc<Mutex<()>>>,
    /// Lines that are being removed, whose files are still there.
    leaving: BTreeSet<Phone>,
    work: JoinSet<Done>,
}

struct Kept {
    shown: Shown,
    orders: mpsc::Sender<Order>,
    condition: watch::Sender<Condition>,
    task: JoinHandle<()>,
}

/// What a task of ours was for.
#[expect(clippy::large_enum_variant, reason = "there are few, and for a moment")]
enum Done {
    Told,
    /// It is known whether a new line opens.
    Tried {
        phone: Phone,
        was_known: bool,
        condition: Condition,
        reply: Reply,
    },
    /// A line is closed for good.
    Closed(Phone),
    /// A line is closed, and its files may go.
    Emptied {
        phone: Phone,
        keep_state: bool,
        answer: Result<Answer, Refusal>,
        reply: Reply,
    },
}

impl Lines {
    /// Opens every line that has a folder. A line that cannot be opened is reported, tried again, and harms nobody.
    pub(crate) fn open(house: House) -> Self {
        let mut lines = Self {
            house,
            kept: BTreeMap::new(),
            off: BTreeMap::new(),
            wrong: Vec::new(),
            doors: BTreeMap::new(),
            leaving: BTreeSet::new(),
            work: JoinSet::new(),
        };
        lines.reload();
        lines
    }

    /// How many lines should work.
    pub(crate) fn len(&self) -> usize {
        self.kept.len()
    }

    /// Waits until no call is up.
    pub(crate) fn quiet(&self) -> impl Future<Output = ()> + use<> {
        let lines: Vec<_> = self.kept.values().map(|kept| kept.shown.status.clone()).collect();
        async move {
            for mut line in lines {
                line.wait_for(|status| status.calls == 0).await.ok();
            }
        }
    }

    /// Answers a question of the control socket, now or later.
    pub(crate) fn answer(&mut self, question: Question) {
        let Question { ask, answer: reply } = question;
        match ask {
            Ask::Status => self.report(LOOK, reply),
            Ask::Calls => {
                let lines = self.ears();
                self.work.spawn(async move {
                    reply.send(Ok(Answer::Calls(calls(lines).await))).ok();
                    Done::Told
                });
            }
            Ask::Subscribe => drop(reply.send(Ok(Answer::Done))),
            Ask::HangUp { call } => {
                let lines = self.ears();
                self.work.spawn(async move {
                    reply.send(of_call(lines, call, Order::HangUp).await).ok();
                    Done::Told
                });
            }
            Ask::Record { call, on } => {
                let lines = self.ears();
                let order: fn(CallId, oneshot::Sender<bool>) -> Order = match on {
                    true => |call, answer| Order::Record(call, true, answer),
                    false => |call, answer| Order::Record(call, false, answer),
                };
                self.work.spawn(async move {
                    reply.send(of_call(lines, call, order).await).ok();
                    Done::Told
                });
            }
            Ask::WatchLevels { call } => {
                let lines = self.ears();
                self.work.spawn(async move {
                    reply.send(of_call(lines, call, Order::Watch).await).ok();
                    Done::Told
                });
            }
            Ask::SendDigits { call, digits, tone_ms, pause_ms, key } => {
                let length = |ms: Option<u32>| ms.map(|ms| Duration::from_millis(ms.into()));
                let keys = Keys { digits, tone: length(tone_ms), pause: length(pause_ms), key };
                let lines = self.ears();
                self.work.spawn(async move {
                    reply.send(dial(lines, call, keys).await).ok();
                    Done::Told
                });
            }
            Ask::Reload => {
                self.reload();
                self.report(TRY, reply);
            }
            Ask::AddLine { line } => self.add(line, reply),
            Ask::RemoveLine { phone, keep_state } => self.remove(phone, keep_state, reply),
            Ask::JoinCall { line, extension, person, key } => self.join(&line, extension, person, key, reply),
            Ask::AcceptLogin { line, token } => {
                let accepted = |password| Answer::Accepted { password };
                self.order(&line, LOGIN, reply, accepted, |answer| Order::AcceptLogin(token, answer));
            }
            Ask::Records { filter } => {
                let state = self.house.state.clone();
                // What somebody heard of is found, though its row is on its way. Further pages are of older calls.
                let of_line = |phone: &Phone| filter.line.as_ref().is_none_or(|line| line == phone);
                let lines = self.kept.iter().filter(|(phone, _)| filter.skip == 0 && of_line(phone));
                let lines = lines.map(|(_, kept)| kept.orders.clone()).collect();
                self.work.spawn(async move {
                    ask_all(lines, Order::Write).await;
                    reply.send(records::answer(&state, filter).await).ok();
                    Done::Told
                });
            }
            Ask::RestartLine { line } => self.restart(&line, reply),
            Ask::Checks { line } => {
                self.order(&line, LOGIN, reply, Answer::Checks, |answer| Order::Check(None, answer));
            }
            Ask::FixCheck { line, check } => {
                self.order(&line, LOGIN, reply, Answer::Checks, |answer| Order::Check(Some(check), answer));
            }
            Ask::Login { .. }
            | Ask::StartLogin { .. }
            | Ask::ResendCode { .. }
            | Ask::EnterCode { .. }
            | Ask::EnterPassword { .. }
            | Ask::CancelLogin { .. }
            | Ask::LogOut { .. }
            | Ask::ResetLine { .. } => {
                let Some((line, word)) = LoginWord::of(&ask) else { return };
                let is_reset = word == LoginWord::Forget;
                let told = move |info| if is_reset { Answer::Done } else { Answer::Login(info) };
                self.order(&line, STEP, reply, told, |answer| Order::Login(word, answer));
            }
            Ask::Log { .. }
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
            | Ask::MakeActionToken { .. }
            | Ask::ActionTokens
            | Ask::RevokeActionToken { .. }
            | Ask::Instances
            | Ask::RenewToken { .. }
            | Ask::ExportLogin { .. } => drop(reply.send(Err(Refusal::not_here(PROGRAM, &ask)))),
        }
    }

    /// Does what is left to do when a task has ended. To be called again and again; may be dropped at any time.
    pub(crate) async fn tend(&mut self) {
        match self.work.join_next().await {
            Some(Ok(done)) => self.finish(done),
            Some(Err(error)) => tracing::error!(%error, "an answer broke"),
            None => std::future::pending().await,
        }
    }

    /// Ends every line; calls may go on for the grace.
    pub(crate) async fn stop(mut self, grace: Duration) {
        for kept in std::mem::take(&mut self.kept).into_values() {
            self.work.spawn(async move {
                kept.close(grace).await;
                Done::Told
            });
        }
        while let Some(done) = self.work.join_next().await {
            if let Ok(done @ Done::Emptied { .. }) = done {
                self.finish(done);
            }
        }
    }

    /// Reads the folders again: new lines open, changed ones are opened anew, missing ones close, those that do not run
    /// are tried at once, others go on. A change that is the client's and the bot's alone is none here, and a line whose
    /// file became wrong goes on as it was.
    pub(crate) fn reload(&mut self) {
        let loaded = match LineFiles::load(&self.house.state) {
            Ok(loaded) => loaded,
            Err(error) => {
                tracing::error!(%error, "the lines cannot be read");
                self.wrong = vec![(String::new(), Said::from(&error))];
                return;
            }
        };
        let told = |problem: &LineProblem| (problem.folder.clone(), Said::from(problem));
        self.wrong = loaded.problems.iter().map(told).collect();
        for (folder, problem) in &self.wrong {
            let runs = self.kept.keys().any(|phone| phone.as_str() == folder);
            let how = if runs { "goes on with its former settings" } else { "does not run" };
            tracing::error!("a line {how}: {problem}");
        }
        let (wanted, off): (Vec<LineSettings>, Vec<LineSettings>) = loaded
            .lines
            .into_iter()
            .filter(|line| !self.leaving.contains(&line.phone))
            .partition(|line| line.enabled);
        let wanted: BTreeMap<Phone, LineSettings> =
            wanted.into_iter().map(|line| (line.phone.clone(), line)).collect();
        let wrong = &self.wrong;
        let must_close = |phone: &Phone, kept: &mut Kept| match wanted.get(phone) {
            Some(settings) => !kept.takes(settings),
            None => wrong.iter().all(|(folder, _)| folder != phone.as_str()),
        };
        for (phone, kept) in self.kept.extract_if(.., must_close) {
            let gone = !wanted.contains_key(&phone);
            self.work.spawn(async move {
                kept.close(Duration::ZERO).await;
                if gone { Done::Closed(phone) } else { Done::Told }
            });
        }
        self.off.clear();
        for line in off {
            self.switch_off(line);
        }
        for (phone, settings) in wanted {
            match self.kept.get(&phone) {
                Some(kept) => kept.try_now(),
                None => drop(self.begin(settings)),
            }
        }
    }

    fn begin(&mut self, settings: LineSettings) -> Shown {
        let phone = settings.phone.clone();
        let (orders, ordered) = mpsc::channel(ORDERS);
        let waiting = GatewayStatus::waiting(phone.clone(), std::process::id(), clock::unix_ms());
        let (status, shown) = watch::channel(waiting);
        let (condition, seen) = watch::channel(Condition::Opening);
        let span = tracing::info_span!("line", sip_port = settings.sip_port);
        let shown = Shown { settings: settings.clone(), status: shown, condition: seen };
        let keeper = Keeper {
            house: self.house.clone(),
            settings,
            door: self.door(&phone),
            orders: ordered,
            status,
            condition: condition.clone(),
        };
        let task = tokio::spawn(keeper.run().instrument(span));
        self.kept.insert(phone, Kept { shown: shown.clone(), orders, condition, task });
        shown
    }

    fn switch_off(&mut self, settings: LineSettings) {
        let (door, state, status) =
            (self.door(&settings.phone), self.house.state.clone(), report::off(&settings));
        self.work.spawn(async move {
            let _door = door.lock().await;
            status_file::write(&state, status, GatewayStatus::write, true).await;
            Done::Told
        });
        self.off.insert(settings.phone.clone(), settings);
    }

    fn door(&mut self, phone: &Phone) -> Arc<Mutex<()>> {
        Arc::clone(self.doors.entry(phone.clone()).or_default())
    }

    fn add(&mut self, draft: LineDraft, reply: Reply) {
        let was_known = draft.phone().is_some_and(|phone| self.house.state.phone_dir(&phone).exists());
        let settings = match LineFiles::add(&self.house.state, draft) {
            Ok(settings) => settings,
            Err(error) => {
                let code = match error {
                    LineError::Exists(_) => RefusalCode::LineExists,
                    _ => RefusalCode::BadLine,
                };
                reply.send(Err(Refusal { code, message: error.to_string() })).ok();
                return;
            }
        };
        let phone = settings.phone.clone();
        self.forgive(&phone);
        if !settings.enabled {
            let info = report::info(&settings, report::off(&settings), self.bind());
            self.switch_off(settings);
            reply.send(Ok(Answer::Line(info))).ok();
            return;
        }
        let mut shown = self.begin(settings);
        self.work.spawn(async move {
            let condition = timeout(TRY, shown.settled()).await.unwrap_or(Condition::Opening);
            Done::Tried { phone, was_known, condition, reply }
        });
    }

    fn remove(&mut self, phone: Phone, keep_state: bool, reply: Reply) {
        let known = self.kept.contains_key(&phone) || self.house.state.line_file(&phone).exists();
        if !known || self.leaving.contains(&phone) {
            reply.send(Err(unknown(&phone))).ok();
            return;
        }
        self.empty(phone, keep_state, Ok(Answer::Done), reply);
    }

    /// Closes a line and takes its files away; then the answer is given.
    fn empty(&mut self, phone: Phone, keep_state: bool, answer: Result<Answer, Refusal>, reply: Reply) {
        self.forgive(&phone);
        self.off.remove(&phone);
        self.leaving.insert(phone.clone());
        let (kept, door) = (self.kept.remove(&phone), self.door(&phone));
        self.work.spawn(async move {
            if let Some(kept) = kept {
                kept.close(Duration::ZERO).await;
            }
            // A keeper from before the last reload may still be at it.
            drop(door.lock().await);
            Done::Emptied { phone, keep_state, answer, reply }
        });
    }

    fn finish(&mut self, done: Done) {
        match done {
            Done::Told => {}
            Done::Closed(phone) => drop(self.house.events.send(Event::LineRemoved { line: phone })),
            Done::Tried { phone, was_known, condition: Condition::Failed(problem), reply }
                if self.kept.contains_key(&phone) =>
            {
                let refusal = Refusal { code: RefusalCode::BadLine, message: problem.en };
                self.empty(phone, was_known, Err(refusal), reply);
            }
            Done::Tried { phone, reply, .. } => {
                let line = self.kept.get(&phone).map(|kept| kept.shown.info(self.bind()));
                reply.send(line.map(Answer::Line).ok_or_else(|| unknown(&phone))).ok();
            }
            Done::Emptied { phone, keep_state, answer, reply } => {
                let removed = take_away(&self.house.state, &phone, keep_state);
                self.leaving.remove(&phone);
                self.house.events.send(Event::LineRemoved { line: phone }).ok();
                reply.send(removed.and(answer)).ok();
            }
        }
    }

    /// What was wrong with a line's file is no longer of interest.
    fn forgive(&mut self, phone: &Phone) {
        self.wrong.retain(|(folder, _)| folder != phone.as_str());
    }

    fn report(&mut self, limit: Duration, reply: Reply) {
        let bind = self.bind();
        let off = self.off.values().map(|line| report::info(line, report::off(line), bind)).collect();
        let wrong = self.wrong.iter().map(|(_, problem)| problem.clone());
        let wrong = self.house.health.problems().into_iter().chain(wrong).collect();
        let lines = self.kept.values().map(|kept| kept.shown.clone()).collect();
        self.work.spawn(async move {
            let known = StatusReport { lines: off, problems: wrong };
            reply.send(Ok(Answer::Status(report::complete(known, lines, bind, limit).await))).ok();
            Done::Told
        });
    }

    /// Has one line do something and answers what comes of it.
    fn order<T: Send + 'static>(
        &mut self,
        line: &Phone,
        limit: Duration,
        reply: Reply,
        answer: impl FnOnce(T) -> Answer + Send + 'static,
        order: impl FnOnce(oneshot::Sender<Result<T, Refusal>>) -> Order,
    ) {
        let Some(kept) = self.kept.get(line) else {
            reply.send(Err(unknown(line))).ok();
            return;
        };
        let (ask, asked) = oneshot::channel();
        kept.orders.try_send(order(ask)).ok();
        self.work.spawn(async move {
            let done = timeout(limit, asked).await.ok().and_then(Result::ok);
            reply.send(done.unwrap_or_else(|| Err(silent())).map(answer)).ok();
            Done::Told
        });
    }

    fn ears(&self) -> Vec<mpsc::Sender<Order>> {
        self.kept.values().map(|kept| kept.orders.clone()).collect()
    }

    fn bind(&self) -> IpAddr {
        self.house.settings.gateway.sip_bind
    }
}

impl Kept {
    async fn close(self, grace: Duration) {
        self.orders.send(Order::Stop(grace)).await.ok();
        self.task.await.ok();
    }

    /// Replaces the settings where the line need not be opened anew for them: calls know nothing of a line's chats.
    fn takes(&mut self, settings: &LineSettings) -> bool {
        let LineSettings { chat, .. } = &self.shown.settings;
        let same = LineSettings { chat: chat.clone(), ..settings.clone() } == self.shown.settings;
        if same {
            self.shown.settings.chat.clone_from(&settings.chat);
        }
        same
    }

    fn try_now(&self) {
        self.condition.send_if_modified(|condition| {
            let failed = matches!(condition, Condition::Failed(_));
            if failed {
                *condition = Condition::Opening;
            }
            failed
        });
    }
}

/// Asks all lines at once; those that do not answer have no calls to tell of.
async fn calls(lines: Vec<mpsc::Sender<Order>>) -> Vec<CallInfo> {
    let mut calls: Vec<CallInfo> = ask_all(lines, Order::Calls).await.into_iter().flatten().collect();
    calls.sort_by_key(|call| call.started_ms);
    calls
}

/// Presses keys in the one line that has the call; others have no answer, and nobody waits for theirs.
async fn dial(lines: Vec<mpsc::Sender<Order>>, call: CallId, keys: Keys) -> Result<Answer, Refusal> {
    let asked = ask_each(lines, |answer| Order::Dial(call, keys.clone(), answer));
    match first(asked, |_| true).await {
        Some(answer) => answer.map(|()| Answer::Done),
        None => Err(no_call(call)),
    }
}

/// Has the one line that has the call do something with it.
async fn of_call(
    lines: Vec<mpsc::Sender<Order>>,
    call: CallId,
    order: fn(CallId, oneshot::Sender<bool>) -> Order,
) -> Result<Answer, Refusal> {
    let asked = ask_each(lines, |answer| order(call, answer));
    first(asked, |has_it| *has_it).await.map(|_| Answer::Done).ok_or_else(|| no_call(call))
}

fn no_call(call: CallId) -> Refusal {
    Refusal { code: RefusalCode::UnknownCall, message: format!("no call {call} is up") }
}

async fn ask_all<T>(lines: Vec<mpsc::Sender<Order>>, order: impl Fn(oneshot::Sender<T>) -> Order) -> Vec<T> {
    let asked = ask_each(lines, order);
    let limit = (clock::now() + THOUGHT).into();
    let mut answers = Vec::with_capacity(asked.len());
    for answered in asked {
        if let Ok(Ok(answer)) = timeout_at(limit, answered).await {
            answers.push(answer);
        }
    }
    answers
}

fn ask_each<T>(
    lines: Vec<mpsc::Sender<Order>>,
    order: impl Fn(oneshot::Sender<T>) -> Order,
) -> Vec<oneshot::Receiver<T>> {
    let ask = |line: &mpsc::Sender<Order>| {
        let (answer, answered) = oneshot::channel();
        line.try_send(order(answer)).ok();
        answered
    };
    lines.iter().map(ask).collect()
}

/// The first answer that is wanted; none when no line gives one in time.
async fn first<T>(mut asked: Vec<oneshot::Receiver<T>>, is_wanted: impl Fn(&T) -> bool) -> Option<T> {
    let answer = poll_fn(|context| {
        let mut at = 0;
        while let Some(answered) = asked.get_mut(at) {
            match pin!(answered).poll(context) {
                Poll::Ready(Ok(answer)) if is_wanted(&answer) => return Poll::Ready(Some(answer)),
                Poll::Ready(_) => drop(asked.swap_remove(at)),
                Poll::Pending => at += 1,
            }
        }
        if asked.is_empty() { Poll::Ready(None) } else { Poll::Pending }
    });
    timeout(THOUGHT, answer).await.ok().flatten()
}

fn take_away(state: &StateDir, phone: &Phone, keep_state: bool) -> Result<(), Refusal> {
    let removed = if keep_state { state.retire_line(phone) } else { state.forget(phone) };
    removed.map_err(|error| Refusal { code: RefusalCode::Internal, message: error.to_string() })
}

fn silent() -> Refusal {
    Refusal { code: RefusalCode::Internal, message: "the line does not run".to_owned() }
}

fn unknown(phone: &Phone) -> Refusal {
    Refusal { code: RefusalCode::UnknownLine, message: format!("there is no line {phone}") }
}

#[cfg(test)]
mod tests;
