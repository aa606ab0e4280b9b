//! All bots of a state directory: opened, reported, changed while they run, closed.

mod keeper;
mod served;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tgtrunk_config::control::{Answer, Ask, BotCheck, BotReport, Event, Refusal, RefusalCode};
use tgtrunk_config::{
    BotError, BotFile, BotName, BotStatus, BotToken, Bots as BotFiles, Phone, Said, Settings, StateDir, Texts,
};
use tgtrunk_shell::Health;
use tgtrunk_shell::caught::{Broke, PAUSE, caught};
use tgtrunk_shell::control::Question;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{broadcast, mpsc, oneshot, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{sleep, timeout};

use crate::clock;
use crate::errands::{self, Errand};
use crate::gateway::Gateway;
use crate::programs::{Offices, Queue};
use crate::roster::{Roster, Rosters};
use crate::status::Lamps;
use crate::telegram::Doors;
use crate::{PROGRAM, acquaintances, admission, instance, tokens};
use keeper::Keeper;

/// How long all bots together may take to end.
const GRACE: Duration = Duration::from_secs(10);

/// Messages of programs that may wait to be written down.
const ERRANDS: usize = 64;

/// What all bots share.
#[derive(Clone)]
pub(crate) struct House {
    pub(crate) settings: Arc<Settings>,
    pub(crate) state: StateDir,
    pub(crate) gateway: Gateway,
    pub(crate) doors: Arc<Doors>,
    /// Where other programs find the bots.
    pub(crate) offices: Offices,
    /// Why they cannot be served.
    pub(crate) port: watch::Receiver<Option<Said>>,
    pub(crate) events: broadcast::Sender<Event>,
    /// What an operator can mend.
    pub(crate) health: Health,
}

/// The bots that should be at work, and what is wrong with the files of others.
pub(crate) struct Bots {
    house: House,
    kept: BTreeMap<BotName, Kept>,
    /// Bots on their way out, until they are: two must not share a store.
    leaving: BTreeMap<BotName, JoinHandle<()>>,
    problems: Vec<Said>,
    work: JoinSet<Done>,
}

/// What a task of ours was for.
enum Done {
    Told,
    /// A bot's lamps changed.
    Turned(BotName, watch::Receiver<BotStatus>),
    /// A bot broke, and was left alone for a while.
    Broke(BotName, watch::Receiver<BotStatus>),
    /// It is known whose a token is.
    Checked(BotToken, Result<BotCheck, Refusal>, Reply),
}

type Reply = oneshot::Sender<Result<Answer, Refusal>>;

struct Kept {
    file: BotFile,
    roster: watch::Sender<Arc<Roster>>,
    status: watch::Receiver<BotStatus>,
    errands: mpsc::Sender<Errand>,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Bots {
    /// Opens every bot that has a folder. One that cannot be opened is reported and harms nobody.
    pub(crate) fn open(house: House) -> Self {
        let mut bots = Self {
            house,
            kept: BTreeMap::new(),
            leaving: BTreeMap::new(),
            problems: Vec::new(),
            work: JoinSet::new(),
        };
        bots.reload();
        bots
    }

    /// How many bots should work.
    pub(crate) fn len(&self) -> usize {
        self.kept.len()
    }

    /// Answers a question of the control socket, now or later.
    pub(crate) fn answer(&mut self, Question { ask, answer }: Question) {
        let told = match ask {
            Ask::Status => Ok(Answer::Bots(self.report())),
            Ask::Reload => {
                self.reload();
                Ok(Answer::Bots(self.report()))
            }
            Ask::CheckBot { token } => {
                let check = self.check(token);
                return self.later(answer, async move { check.await.1.map(Answer::Bot) });
            }
            Ask::AddBot { token } => {
                let check = self.check(token);
                self.work.spawn(async move {
                    let (token, checked) = check.await;
                    Done::Checked(token, checked, answer)
                });
                return;
            }
            Ask::RemoveBot { bot } => return self.remove(bot, answer),
            Ask::People { bot } => {
                let state = self.house.state.clone();
                return self.later(answer, async move {
                    let seen = acquaintances::seen(&state, &bot).await;
                    seen.map(|seen| Answer::People(acquaintances::told(seen)))
                });
            }
            Ask::ApiTokens { bot } => {
                let state = self.house.state.clone();
                return self
                    .later(answer, async move { tokens::list(&state, &bot).await.map(Answer::ApiTokens) });
            }
            Ask::MakeApiToken { bot, label } => {
                let (state, listen) = (self.house.state.clone(), self.house.settings.bot.api.listen);
                return self.later(answer, async move {
                    tokens::make(&state, &bot, &label, listen).await.map(Answer::NewApiToken)
                });
            }
            Ask::RevokeApiToken { bot, number } => {
                let state = self.house.state.clone();
                return self.later(answer, async move {
                    tokens::revoke(&state, &bot, number).await.map(|()| Answer::Done)
                });
            }
            Ask::WriteTo { bot, person, text, key } => match self.kept.get(&bot) {
                Some(kept) => match kept.errands.try_send(Errand { person, text, key, answer }) {
                    Ok(()) => return,
                    Err(TrySendError::Full(errand) | TrySendError::Closed(errand)) => {
                        errand.answer.send(Err(errands::full())).ok();
                        return;
                    }
                },
                None => Err(admission::unknown(&bot)),
            },
            Ask::BotMessages { bot, asked } => match self.kept.get(&bot) {
                Some(kept) => {
                    let instance = self.house.offices.instance(&kept.file.token);
                    let is_served = self.house.settings.bot.api.listen.is_some();
                    return self.later(answer, instance::answer(instance, is_served, asked));
                }
                None => Err(admission::unknown(&bot)),
            },
            Ask::BringUpdates { bot } => self.queue(&bot).map(|queue| {
                queue.push_now();
                Answer::Done
            }),
            Ask::SkipUpdate { bot, number } => match self.queue(&bot) {
                Ok(queue) => return self.later(answer, skip(queue, number)),
                Err(refusal) => Err(refusal),
            },
            ask => Err(Refusal::not_here(PROGRAM, &ask)),
        };
        answer.send(told).ok();
    }

    /// What waits for the programs that lead a bot.
    fn queue(&self, bot: &BotName) -> Result<Queue, Refusal> {
        let kept = self.kept.get(bot).ok_or_else(|| admission::unknown(bot))?;
        let is_served = self.house.settings.bot.api.listen.is_some();
        self.house.offices.queue(&kept.file.token).ok_or_else(|| instance::absent(None, is_served))
    }

    /// Answers once it is known what.
    fn later(&mut self, answer: Reply, told: impl Future<Output = Result<Answer, Refusal>> + Send + 'static) {
        self.work.spawn(async move {
            answer.send(told.await).ok();
            Done::Told
        });
    }

    /// Does what is left to do when a task has ended. To be called again and again; may be dropped at any time.
    pub(crate) async fn tend(&mut self) {
        match self.work.join_next().await {
            Some(Ok(done)) => self.finish(done),
            Some(Err(error)) => tracing::error!(%error, "an answer broke"),
            None => std::future::pending().await,
        }
    }

    fn finish(&mut self, done: Done) {
        match done {
            Done::Told => {}
            Done::Turned(bot, mut status) => {
                // What a bot on its way out still says would bring it back to whoever was told that it is gone.
                if self.kept.get(&bot).is_some_and(|kept| kept.status.same_channel(&status)) {
                    let shown = status.borrow_and_update().clone();
                    self.house.events.send(Event::Bot(shown)).ok();
                    self.follow(bot, status);
                }
            }
            Done::Broke(bot, status) => {
                if self.kept.get(&bot).is_some_and(|kept| kept.status.same_channel(&status))
                    && let Some(kept) = self.kept.remove(&bot)
                {
                    let (file, roster) = (kept.file.clone(), Arc::clone(&kept.roster.borrow()));
                    self.house.offices.end(&file.token);
                    self.leaving.insert(bot.clone(), kept.close());
                    self.begin(bot, file, roster);
                }
            }
            Done::Checked(token, checked, answer) => {
                answer.send(checked.and_then(|check| self.admit(token, check)).map(Answer::Bot)).ok();
            }
        }
    }

    fn check(
        &self,
        token: BotToken,
    ) -> impl Future<Output = (BotToken, Result<BotCheck, Refusal>)> + Send + 'static + use<> {
        let settings = Arc::clone(&self.house.settings);
        let at_work: Vec<BotName> = self.kept.keys().cloned().collect();
        async move {
            let checked = admission::check(&settings, &token, &at_work).await;
            (token, checked)
        }
    }

    fn admit(&mut self, token: BotToken, check: BotCheck) -> Result<BotCheck, Refusal> {
        let is_removed = !self.house.state.bot_file(&check.bot).exists();
        if is_removed && self.leaving.get(&check.bot).is_some_and(|task| !task.is_finished()) {
            return Err(admission::internal(format!(
                "@{} is being removed: try again in a moment",
                check.bot
            )));
        }
        admission::keep(&self.house.state, token, &check.bot)?;
        self.reload();
        Ok(check)
    }

    /// Takes a bot's token away, ends it, and takes all of it away then.
    fn remove(&mut self, bot: BotName, answer: Reply) {
        let state = self.house.state.clone();
        if !state.bot_dir(&bot).exists() {
            answer.send(Err(admission::unknown(&bot))).ok();
            return;
        }
        if let Err(error) = state.retire_bot(&bot) {
            answer.send(Err(admission::internal(error))).ok();
            return;
        }
        self.reload();
        if self.kept.contains_key(&bot) {
            answer.send(Err(admission::internal(Said::listed(&self.problems, "; ")))).ok();
            return;
        }
        let before = self.leaving.remove(&bot);
        let name = bot.clone();
        let task = tokio::spawn(async move {
            if let Some(before) = before {
                before.await.ok();
            }
            let forgotten = state.forget_bot(&name).map_err(admission::internal);
            answer.send(forgotten.map(|()| Answer::Done)).ok();
        });
        self.leaving.insert(bot, task);
    }

    /// Has whoever listens told of a bot's lamps.
    fn follow(&mut self, bot: BotName, mut status: watch::Receiver<BotStatus>) {
        self.work.spawn(async move {
            match status.changed().await {
                Ok(()) => Done::Turned(bot, status),
                Err(_) => Done::Told,
            }
        });
    }

    /// Reads the files again: new bots open, changed ones are opened anew, missing ones close, all get their lines. One
    /// whose file became wrong goes on as it was.
    pub(crate) fn reload(&mut self) {
        let loaded = BotFiles::load(&self.house.state).and_then(|files| {
            Rosters::load(&self.house.state, |line| self.texts(line)).map(|rosters| (files, rosters))
        });
        let (files, mut rosters) = match loaded {
            Ok(loaded) => loaded,
            Err(error) => {
                tracing::error!(%error, "the bots cannot be read");
                self.problems = vec![Said::from(&error)];
                return;
            }
        };
        self.problems = files.problems.iter().map(Said::from).collect();
        self.problems.append(&mut rosters.problems);
        let mut wanted: BTreeMap<BotName, BotFile> = files.bots.into_iter().collect();
        for file in files.problems.iter().filter_map(wrong_file) {
            let before = self.kept.iter().find(|(bot, _)| self.house.state.bot_file(bot) == file);
            wanted.extend(before.map(|(bot, kept)| (bot.clone(), kept.file.clone())));
        }
        for (bot, roster) in &rosters.of {
            if !wanted.contains_key(bot) {
                let lines: Vec<String> = roster.phones().iter().map(ToString::to_string).collect();
                let lines = lines.join(", ");
                self.problems.push(Said::new(
                    format!("{lines}: there is no bot @{bot}: {PROGRAM} add, or bot = \"\""),
                    format!("{lines}: бота @{bot} нет: {PROGRAM} add или bot = \"\""),
                ));
            }
        }
        for problem in &self.problems {
            tracing::error!("{problem}");
        }
        self.leaving.retain(|_, task| !task.is_finished());
        let leaving = self.kept.extract_if(.., |bot, kept| wanted.get(bot) != Some(&kept.file));
        for (bot, kept) in leaving {
            if !wanted.contains_key(&bot) {
                self.house.events.send(Event::BotRemoved { bot: bot.clone() }).ok();
            }
            // One that leaves has waited for its predecessor, or does so first.
            self.house.offices.end(&kept.file.token);
            self.leaving.insert(bot, kept.close());
        }
        for (bot, file) in wanted {
            let roster = Arc::new(rosters.of.remove(&bot).unwrap_or_default());
            match self.kept.get(&bot) {
                Some(kept) => kept.serve(roster),
                None => self.begin(bot, file, roster),
            }
        }
    }

    /// Ends every bot.
    pub(crate) async fn stop(self) {
        let ends = self.kept.into_values().map(Kept::close);
        let ends: Vec<JoinHandle<()>> = ends.chain(self.leaving.into_values()).collect();
        let all = async {
            for end in ends {
                end.await.ok();
            }
        };
        if timeout(GRACE, all).await.is_err() {
            tracing::warn!("stopped without waiting");
        }
    }

    fn begin(&mut self, bot: BotName, file: BotFile, roster: Arc<Roster>) {
        let before = self.leaving.remove(&bot);
        let waiting = BotStatus::waiting(bot.clone(), std::process::id(), clock::unix_ms());
        self.house.events.send(Event::Bot(waiting.clone())).ok();
        let (shown, status) = watch::channel(waiting);
        self.follow(bot.clone(), status.clone());
        let (roster, lines) = watch::channel(roster);
        let (stop, stopped) = oneshot::channel();
        let (errands, wanted) = mpsc::channel(ERRANDS);
        let keeper = Keeper {
            house: self.house.clone(),
            bot: bot.clone(),
            file: file.clone(),
            roster: lines,
            errands: wanted,
            lamps: Lamps::new(shown),
            standing: self.house.offices.begin(&file.token),
        };
        let task = self.watch_over(bot.clone(), status.clone(), keeper.run(before, stopped));
        self.kept.insert(bot, Kept { file, roster, status, errands, stop, task });
    }

    /// Has a bot at work; it is opened anew, after a pause, where that breaks.
    fn watch_over(
        &mut self,
        bot: BotName,
        status: watch::Receiver<BotStatus>,
        work: impl Future<Output = Result<(), Broke>> + Send + 'static,
    ) -> JoinHandle<()> {
        let span = tracing::info_span!("bot", name = %bot);
        let (ended, ends) = oneshot::channel();
        self.work.spawn(async move {
            let Ok(Err(broke)) = ends.await else { return Done::Told };
            tracing::error!(%bot, %broke, again_s = PAUSE.as_secs(), "a bot does not run");
            sleep(PAUSE).await;
            Done::Broke(bot, status)
        });
        let work = async move {
            ended.send(caught(work).await.flatten()).ok();
        };
        tokio::spawn(tracing::Instrument::instrument(work, span))
    }

    /// The texts that a line has now.
    fn texts(&self, line: &Phone) -> Option<Texts> {
        self.kept.values().find_map(|kept| Some(kept.roster.borrow().line(line)?.texts.clone()))
    }

    fn report(&self) -> BotReport {
        let bots: Vec<BotStatus> = self.kept.values().map(|kept| kept.status.borrow().clone()).collect();
        let mut problems = self.house.health.problems();
        problems.extend(self.problems.clone());
        problems.extend(self.house.port.borrow().clone());
        problems.extend(bots.iter().filter_map(|bot| {
            let trouble = bot.programs.as_ref()?.trouble.as_ref()?;
            Some(trouble.within(|en| format!("@{}: {en}", bot.bot), |ru| format!("@{}: {ru}", bot.bot)))
        }));
        BotReport { bots, problems }
    }
}

/// Has no program told of an update that waits.
async fn skip(queue: Queue, number: i64) -> Result<Answer, Refusal> {
    if queue.skip(number).await.map_err(admission::internal)? {
        return Ok(Answer::Done);
    }
    let message = format!("update {number} waits no more: it was taken or skipped");
    Err(Refusal { code: RefusalCode::UnknownUpdate, message })
}

/// The file of a bot that is wrong.
fn wrong_file(problem: &BotError) -> Option<&Path> {
    match problem {
        BotError::Unreadable { file, .. } => Some(file),
        BotError::Wrong(problems) => problems.first().map(|problem| problem.file.as_path()),
        BotError::Folder(_) => None,
    }
}

impl Kept {
    fn serve(&self, roster: Arc<Roster>) {
        self.roster.send_if_modified(|served| {
            let news = *served != roster;
            if news {
                *served = roster;
            }
            news
        });
    }

    fn close(self) -> JoinHandle<()> {
        self.stop.send(()).ok();
        self.task
    }
}
