//! Everything the page shows without asking: lines, lamps, calls, bots and problems, as the three programs tell them.
//!
//! A program that goes away takes its lamps with it at once: they turn orange, and back when it is there again. Whoever
//! watches is told that there is something new and takes the newest state; nobody's slowness fills any memory.

mod snapshot;

use std::sync::Arc;
use std::time::Duration;

use tgtrunk_config::control::{Answer, Ask, Event, Levels, LoginInfo};
use tgtrunk_config::{Lines as LineFiles, StateDir};
use tgtrunk_shell::asking::{Follower, Told};
use tokio::sync::{broadcast, mpsc, watch};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until, timeout};

use super::model::Part;
use crate::clock::unix_ms;

pub(crate) use snapshot::Snapshot;

/// Changes within this time are shown together.
const REST: Duration = Duration::from_millis(120);
/// How often settings are read again that somebody may have changed by hand, and problems asked for.
const LOOK: Duration = Duration::from_secs(5);
/// How often the calls that are up are asked how they sound, while a page is open that shows them.
const SOUND: Duration = Duration::from_secs(2);
/// How long a program that does not answer holds up the others' news.
const ANSWER: Duration = Duration::from_millis(500);
/// Levels that a slow watcher may be behind; older ones are of no use to anybody.
const LEVELS: usize = 256;

/// What is known now, and how to be told of changes.
#[derive(Clone, Debug)]
pub(crate) struct Hub {
    shown: watch::Receiver<Arc<Snapshot>>,
    levels: broadcast::Sender<Levels>,
    nudges: mpsc::Sender<Nudge>,
}

/// Something the page itself found out.
#[derive(Debug)]
enum Nudge {
    /// Settings of lines were changed.
    Look,
    /// Something else is known now; whoever watches looks again.
    Again,
    /// A program told how far a login is.
    Login(Part, LoginInfo),
}

impl Hub {
    /// Follows the programs of a state directory from now on.
    pub(crate) fn start(state: StateDir) -> Self {
        let (show, shown) = watch::channel(Arc::new(Snapshot::new(unix_ms())));
        let (levels, _) = broadcast::channel(LEVELS);
        let (nudges, nudged) = mpsc::channel(64);
        let task = Task { snapshot: Snapshot::new(unix_ms()), show, levels: levels.clone(), state };
        tokio::spawn(task.run(nudged));
        Self { shown, levels, nudges }
    }

    /// What is known now.
    pub(crate) fn snapshot(&self) -> Arc<Snapshot> {
        Arc::clone(&self.shown.borrow())
    }

    /// Tells when there is something new.
    pub(crate) fn watch(&self) -> watch::Receiver<Arc<Snapshot>> {
        self.shown.clone()
    }

    /// How loud watched calls are.
    pub(crate) fn levels(&self) -> broadcast::Receiver<Levels> {
        self.levels.subscribe()
    }

    /// Settings of lines were changed.
    pub(crate) fn look(&self) {
        self.nudges.try_send(Nudge::Look).ok();
    }

    /// Something else is known now: whoever watches looks again.
    pub(crate) fn again(&self) {
        self.nudges.try_send(Nudge::Again).ok();
    }

    /// A program told how far a login is.
    pub(crate) fn login(&self, part: Part, info: LoginInfo) {
        self.nudges.try_send(Nudge::Login(part, info)).ok();
    }
}

struct Task {
    snapshot: Snapshot,
    show: watch::Sender<Arc<Snapshot>>,
    levels: broadcast::Sender<Levels>,
    state: StateDir,
}

impl Task {
    /// Ends with the last [`Hub`].
    async fn run(mut self, mut nudges: mpsc::Receiver<Nudge>) {
        let (gateway, mut from_gateway) = Follower::start(self.state.gateway_socket());
        let (client, mut from_client) = Follower::start_at_client(self.state.client_socket());
        let (bot, mut from_bot) = Follower::start_at_bot(self.state.bot_socket());
        self.look().await;
        self.publish();
        let mut looks = interval(LOOK);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut sounds = interval(SOUND);
        sounds.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut due: Option<Instant> = None;
        loop {
            let changed = tokio::select! {
                Some(told) = from_gateway.recv() => self.told(Part::Gateway, told),
                Some(told) = from_client.recv() => self.told(Part::Client, told),
                Some(told) = from_bot.recv() => self.told(Part::Bot, told),
                nudge = nudges.recv() => match nudge {
                    None => return,
                    Some(Nudge::Look) => self.look().await,
                    Some(Nudge::Again) => true,
                    Some(Nudge::Login(part, info)) => self.snapshot.login(part, info),
                },
                _ = looks.tick() => {
                    let ask = |part, follower: &Follower| {
                        let (is_up, follower) = (self.snapshot.side(part).is_up, follower.clone());
                        async move {
                            let asked = timeout(ANSWER, follower.ask(Ask::Status));
                            if is_up { asked.await.ok()?.ok().map(|answer| (part, answer)) } else { None }
                        }
                    };
                    let (one, two, three) =
                        tokio::join!(ask(Part::Gateway, &gateway), ask(Part::Client, &client), ask(Part::Bot, &bot));
                    let mut changed = false;
                    for (part, answer) in [one, two, three].into_iter().flatten() {
                        changed |= self.snapshot.problems(part, &answer);
                    }
                    self.look().await || changed
                }
                // Programs tell how a call sounds only when it moves on.
                _ = sounds.tick(), if self.levels.receiver_count() > 0 && self.snapshot.has_talk() => {
                    match timeout(ANSWER, gateway.ask(Ask::Calls)).await {
                        Ok(Ok(Answer::Calls(calls))) => self.snapshot.sounds(calls),
                        _ => false,
                    }
                }
                () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {
                    due = None;
                    self.publish();
                    false
                }
            };
            if changed && due.is_none() {
                due = Some(Instant::now() + REST);
            }
        }
    }

    /// Takes what a program tells; true if that is worth showing.
    fn told(&mut self, part: Part, told: Told) -> bool {
        let now_ms = unix_ms();
        match told {
            Told::Up { calls, status } => self.snapshot.gateway_up(calls, status, now_ms),
            Told::Clients(report) => self.snapshot.client_up(report, now_ms),
            Told::Bots(report) => self.snapshot.bot_up(report, now_ms),
            Told::Gone => self.snapshot.gone(part, now_ms),
            Told::Event(Event::Levels(levels)) => {
                self.levels.send(levels).ok();
                return false;
            }
            Told::Event(Event::Call(call)) => self.snapshot.call(call),
            Told::Event(Event::Line(status)) => {
                drop(self.snapshot.gateway.insert(status.line.clone(), status))
            }
            Told::Event(Event::Client(status)) => {
                drop(self.snapshot.client.insert(status.line.clone(), status))
            }
            Told::Event(Event::LineRemoved { line }) => match part {
                Part::Gateway => drop(self.snapshot.gateway.remove(&line)),
                Part::Client => drop(self.snapshot.client.remove(&line)),
                Part::Bot => return false,
            },
            Told::Event(Event::Bot(status)) => drop(self.snapshot.bot.insert(status.bot.clone(), status)),
            Told::Event(Event::BotRemoved { bot }) => drop(self.snapshot.bot.remove(&bot)),
            Told::Event(Event::Login(info)) => return self.snapshot.login(part, info),
            Told::Event(Event::Digit(_) | Event::Lagged { .. }) => return false,
        }
        true
    }

    /// Reads the lines' own files.
    async fn look(&mut self) -> bool {
        let state = self.state.clone();
        let read = tokio::task::spawn_blocking(move || LineFiles::load(&state)).await;
        match read {
            Ok(Ok(files)) => self.snapshot.files(files),
            Ok(Err(error)) => {
                tracing::debug!(%error, "the lines cannot be read");
                false
            }
            Err(_) => false,
        }
    }

    fn publish(&self) {
        self.show.send_replace(Arc::new(self.snapshot.clone()));
    }
}

#[cfg(test)]
mod tests {
    use tgtrunk_config::control::{BotReport, StatusReport};
    use tgtrunk_config::{GatewayStatus, Lamp, LineDraft, Phone, Said};
    use tgtrunk_shell::control::{self, Question};

    use super::*;

    #[tokio::test]
    async fn a_program_that_goes_away_turns_its_lamps_orange_at_once_and_green_when_it_is_back() {
        let folder = tempfile::tempdir().unwrap();
        let state = StateDir::open(folder.path()).unwrap();
        let phone: Phone = "+79060000000".parse().unwrap();
        LineFiles::add(&state, LineDraft::new(&phone).set("pbx", "127.0.0.1")).unwrap();
        let hub = Hub::start(state.clone());
        let mut watch = hub.watch();
        let lamp = |snapshot: &Snapshot| snapshot.gateway_of(&phone).telegram.lamp;
        for _ in 0..2 {
            let gateway = Gateway::open(&state, &phone);
            watch.wait_for(|snapshot| lamp(snapshot) == Lamp::Green).await.unwrap();
            drop(gateway);
            let gone = watch.wait_for(|snapshot| lamp(snapshot) == Lamp::Orange);
            timeout(Duration::from_secs(3), gone).await.unwrap().unwrap();
        }
    }

    #[tokio::test]
    async fn a_bot_is_heard_too_and_a_line_added_by_hand_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let state = StateDir::open(folder.path()).unwrap();
        let hub = Hub::start(state.clone());
        let mut watch = hub.watch();
        let listener = control::listen(&state.bot_socket()).unwrap();
        let (asks, mut asked) = mpsc::channel::<Question>(8);
        tokio::spawn(control::serve(listener, "tgtrunk-bot", asks, broadcast::channel(8).0));
        tokio::spawn(async move {
            while let Some(question) = asked.recv().await {
                let report = BotReport { bots: Vec::new(), problems: vec!["x".into()] };
                question.answer.send(Ok(Answer::Bots(report))).ok();
            }
        });
        watch.wait_for(|snapshot| snapshot.side(Part::Bot).problems == [Said::from("x")]).await.unwrap();
        let phone: Phone = "+79060000000".parse().unwrap();
        LineFiles::add(&state, LineDraft::new(&phone).set("pbx", "127.0.0.1")).unwrap();
        hub.look();
        watch.wait_for(|snapshot| snapshot.lines.contains_key(&phone)).await.unwrap();
    }

    /// A gateway whose one line is green.
    struct Gateway(tokio::task::JoinHandle<()>, std::path::PathBuf);

    impl Gateway {
        fn open(state: &StateDir, phone: &Phone) -> Self {
            let listener = control::listen(&state.gateway_socket()).unwrap();
            let (asks, mut asked) = mpsc::channel::<Question>(8);
            let mut status = GatewayStatus::waiting(phone.clone(), 1, 1);
            status.telegram.turn(Lamp::Green, "", 2);
            let line = tgtrunk_config::control::LineInfo { sip: "a".into(), pbx: "b".into(), status };
            let report = StatusReport { lines: vec![line], problems: Vec::new() };
            let served = tokio::spawn(async move {
                let served = control::serve(listener, "tgtrunk-gateway", asks, broadcast::channel(8).0);
                let answered = async {
                    while let Some(question) = asked.recv().await {
                        let answer = match question.ask {
                            Ask::Calls => Answer::Calls(Vec::new()),
                            _ => Answer::Status(report.clone()),
                        };
                        question.answer.send(Ok(answer)).ok();
                    }
                };
                tokio::join!(served, answered);
            });
            Self(served, state.gateway_socket())
        }
    }

    impl Drop for Gateway {
        fn drop(&mut self) {
            self.0.abort();
            std::fs::remove_file(&self.1).ok();
        }
    }
}
