//! All bots of a state directory: opened, reported, changed while they run, closed.

mod keeper;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tgtrunk_config::control::{Answer, Ask, BotReport, Refusal};
use tgtrunk_config::{
    BotError, BotFile, BotName, BotStatus, Bots as BotFiles, Phone, Said, Settings, StateDir, Texts,
};
use tgtrunk_shell::control::Question;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::PROGRAM;
use crate::clock;
use crate::gateway::Gateway;
use crate::roster::{Roster, Rosters};
use crate::status::Lamps;
use crate::telegram::Doors;
use keeper::Keeper;

/// How long all bots together may take to end.
const GRACE: Duration = Duration::from_secs(5);

/// What all bots share.
#[derive(Clone)]
pub(crate) struct House {
    pub(crate) settings: Arc<Settings>,
    pub(crate) state: StateDir,
    pub(crate) gateway: Gateway,
    pub(crate) doors: Arc<Doors>,
}

/// The bots that should be at work, and what is wrong with the files of others.
pub(crate) struct Bots {
    house: House,
    kept: BTreeMap<BotName, Kept>,
    /// Bots on their way out, until they are: two must not share a store.
    leaving: BTreeMap<BotName, JoinHandle<()>>,
    problems: Vec<Said>,
}

struct Kept {
    file: BotFile,
    roster: watch::Sender<Arc<Roster>>,
    status: watch::Receiver<BotStatus>,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Bots {
    /// Opens every bot that has a folder. One that cannot be opened is reported and harms nobody.
    pub(crate) fn open(house: House) -> Self {
        let mut bots = Self { house, kept: BTreeMap::new(), leaving: BTreeMap::new(), problems: Vec::new() };
        bots.reload();
        bots
    }

    /// How many bots should work.
    pub(crate) fn len(&self) -> usize {
        self.kept.len()
    }

    /// Answers a question of the control socket.
    pub(crate) fn answer(&mut self, Question { ask, answer }: Question) {
        let told = match &ask {
            Ask::Status => Ok(Answer::Bots(self.report())),
            Ask::Reload => {
                self.reload();
                Ok(Answer::Bots(self.report()))
            }
            _ => Err(Refusal::not_here(PROGRAM, &ask)),
        };
        answer.send(told).ok();
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
        // One that leaves has waited for its predecessor, or does so first.
        self.leaving.extend(leaving.map(|(bot, kept)| (bot, kept.close())));
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
        let (shown, status) = watch::channel(waiting);
        let (roster, lines) = watch::channel(roster);
        let (stop, stopped) = oneshot::channel();
        let keeper = Keeper {
            house: self.house.clone(),
            bot: bot.clone(),
            file: file.clone(),
            roster: lines,
            lamps: Lamps::new(shown),
        };
        let span = tracing::info_span!("bot", name = %bot);
        let task = tokio::spawn(tracing::Instrument::instrument(keeper.run(before, stopped), span));
        self.kept.insert(bot, Kept { file, roster, status, stop, task });
    }

    /// The texts that a line has now.
    fn texts(&self, line: &Phone) -> Option<Texts> {
        self.kept.values().find_map(|kept| Some(kept.roster.borrow().line(line)?.texts.clone()))
    }

    fn report(&self) -> BotReport {
        let bots = self.kept.values().map(|kept| kept.status.borrow().clone()).collect();
        BotReport { bots, problems: self.problems.clone() }
    }
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
