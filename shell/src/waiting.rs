//! A program whose settings are wrong: it says so wherever it is asked, and begins as soon as they are right.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use anyhow::Context as _;
use tgtrunk_config::control::{Answer, Ask, Refusal, RefusalCode};
use tgtrunk_config::{
    Footing, Language, Lock, LogFormat, LogLevel, Said, Settings, StateDir, StateError, Trouble,
};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{broadcast, mpsc, oneshot};
use tokio::time::{MissedTickBehavior, interval};

use crate::health::Health;
use crate::place::become_owner;
use crate::supervisor::Supervisor;
use crate::{control, log};

/// How often a wrong file is looked at, whether somebody has changed it.
const LOOK: Duration = Duration::from_secs(1);
/// Questions that may wait.
const QUESTIONS: usize = 64;

/// Which program it is.
pub struct Role {
    /// Its name, as people type it.
    pub program: &'static str,
    /// How it logs.
    pub log: fn(&Footing) -> (LogFormat, LogLevel),
    /// Its lock in the state directory.
    pub lock: fn(&StateDir) -> Result<Lock, StateError>,
    /// Its control socket.
    pub socket: fn(&StateDir) -> PathBuf,
    /// What it answers to `status` when nothing runs and this is wrong.
    pub report: fn(Vec<Said>) -> Answer,
}

/// What a program begins with.
pub struct Begun {
    /// The settings.
    pub settings: Settings,
    /// The state directory, open.
    pub state: StateDir,
    /// Who wants to know when it runs.
    pub supervisor: Supervisor,
    /// What an operator can mend while it runs.
    pub health: Health,
}

/// Starts the log and reads the settings; wrong ones are waited for. `state` is used instead of the settings' own state
/// directory. None when the program is told to end before they are right.
///
/// # Errors
/// When the state directory or the control socket cannot be opened.
pub async fn begin(role: &Role, config: &Path, state: Option<&Path>) -> anyhow::Result<Option<Begun>> {
    let footing = Footing::load(config);
    become_owner(state.unwrap_or(&footing.gateway.state))?;
    let (format, level) = (role.log)(&footing);
    log::start(format, level);
    let mut supervisor = Supervisor::of_environment();
    let settings = match Settings::load(config) {
        Ok(settings) => settings,
        Err(_) => match wait(role, config, state, &mut supervisor).await? {
            Some(settings) => settings,
            None => return Ok(None),
        },
    };
    let mut settings = settings;
    if let Some(state) = state {
        state.clone_into(&mut settings.gateway.state);
    }
    let state = StateDir::open(&settings.gateway.state)?;
    for open in state.too_open()? {
        tracing::warn!("{open}");
    }
    let health = Health::start(config, &state, &settings);
    Ok(Some(Begun { settings, state, supervisor, health }))
}

/// The language of sentences in the log: that of the environment.
pub fn language() -> Language {
    Language::of_terminal(|name| std::env::var(name).ok())
}

async fn wait(
    role: &Role,
    config: &Path,
    state: Option<&Path>,
    supervisor: &mut Supervisor,
) -> anyhow::Result<Option<Settings>> {
    let mut terminate = signal(SignalKind::terminate()).context("SIGTERM cannot be heard")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("SIGINT cannot be heard")?;
    let mut reload = signal(SignalKind::hangup()).context("SIGHUP cannot be heard")?;
    let state = StateDir::open(state.unwrap_or(&Footing::load(config).gateway.state))?;
    let _lock = (role.lock)(&state)?;
    let socket = (role.socket)(&state);
    let (asks, mut questions) = mpsc::channel(QUESTIONS);
    let (events, _) = broadcast::channel(1);
    let served = tokio::spawn(control::serve(control::listen(&socket)?, role.program, asks, events));
    let mut looks = interval(LOOK);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut waiting = Waiting { role, config, told: None, asked: None };
    let settings = 'wait: loop {
        let seen = stamp(config);
        match waiting.look(supervisor) {
            Ok(settings) => break Some(settings),
            Err(said) => loop {
                tokio::select! {
                    Some(question) = questions.recv() => if waiting.answer(question, &said) { break },
                    _ = looks.tick() => if stamp(config) != seen { break },
                    _ = reload.recv() => break,
                    _ = terminate.recv() => break 'wait None,
                    _ = interrupt.recv() => break 'wait None,
                    () = supervisor.sign_of_life() => {}
                }
            },
        }
    };
    if settings.is_none() {
        supervisor.stopping("the settings are still wrong");
    }
    served.abort();
    std::fs::remove_file(socket).ok();
    Ok(settings)
}

/// The wait itself.
struct Waiting<'a> {
    role: &'a Role,
    config: &'a Path,
    /// What was logged last.
    told: Option<Said>,
    /// Somebody who had the file read again.
    asked: Option<oneshot::Sender<Result<Answer, Refusal>>>,
}

impl Waiting<'_> {
    /// Reads the file; what is wrong is told once, and to whoever had it read.
    fn look(&mut self, supervisor: &Supervisor) -> Result<Settings, Said> {
        let outcome = Settings::load(self.config).map_err(|error| Said::from(Trouble::of_settings(&error)));
        let wrong: Vec<Said> = outcome.as_ref().err().cloned().into_iter().collect();
        if let Some(asked) = self.asked.take() {
            asked.send(Ok((self.role.report)(wrong))).ok();
        }
        if let Err(said) = &outcome
            && self.told.as_ref() != Some(said)
        {
            let sentence = said.in_language(language());
            tracing::error!("waiting for settings: {sentence}");
            // It lives and can be asked: the service manager need not start it again.
            supervisor.ready(sentence);
            self.told = Some(said.clone());
        }
        outcome
    }

    /// Answers what can be answered; true when the file is to be read again.
    fn answer(&mut self, question: control::Question, wrong: &Said) -> bool {
        let control::Question { ask, answer } = question;
        match ask {
            Ask::Reload => {
                self.asked = Some(answer);
                return true;
            }
            // So that who follows calls knows that there are none, and hears what is wrong.
            Ask::Calls => drop(answer.send(Ok(Answer::Calls(Vec::new())))),
            Ask::Status => drop(answer.send(Ok((self.role.report)(vec![wrong.clone()])))),
            _ => {
                let message = wrong.in_language(language()).to_owned();
                answer.send(Err(Refusal { code: RefusalCode::BadRequest, message })).ok();
            }
        }
        false
    }
}

/// By what a changed file is known.
fn stamp(file: &Path) -> Option<(SystemTime, u64)> {
    let metadata = std::fs::metadata(file).ok()?;
    Some((metadata.modified().ok()?, metadata.len()))
}
