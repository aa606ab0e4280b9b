//! `run`: the operator's page, all lines, the control socket, and a clean end.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use tgtrunk_config::{
    Footing, Lock, PageSettings, Said, Settings, SettingsError, StateDir, StateError, Trouble, written,
};
use tgtrunk_shell::asking::Follower;
use tgtrunk_shell::caught::Broke;
use tgtrunk_shell::{Health, Supervisor, become_owner, control, language};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{broadcast, mpsc, watch};
use tokio::time::{interval, sleep};
use tracing::{error, info, warn};

use crate::PROGRAM;
use crate::api::Api;
use crate::line::House;
use crate::lines::Lines;
use crate::page::{Core, Page, Plan, unwritable};

/// Questions that may wait.
const QUESTIONS: usize = 64;
/// Events that a slow subscriber may be behind.
const EVENTS: usize = 1024;
/// How often it is looked whether settings and state directory can be used now.
const AGAIN: Duration = Duration::from_secs(2);
/// How often it is looked whether the last call has ended, once there are new settings to begin with.
const LOOK_FOR_QUIET: Duration = Duration::from_millis(500);

/// Runs the client until it is told to end. With settings that are wrong, or a state directory that cannot be used, it
/// serves the page alone, which says so, until that is mended.
///
/// # Errors
/// When there are no settings at all, another client holds the state directory, or the control socket cannot be opened.
pub(crate) async fn run(config: &Path, state: Option<&Path>) -> anyhow::Result<()> {
    let footing = Footing::load(config);
    become_owner(state.unwrap_or(&footing.gateway.state))?;
    tgtrunk_shell::log::start(footing.client.log, footing.client.log_level);
    let mut supervisor = Supervisor::of_environment();
    let mut signals = Signals::new()?;
    let (tell, trouble) = watch::channel(Vec::new());
    let (open_core, core) = watch::channel(None);
    let core = Core::new(core);
    let mut page: Option<Served> = None;
    let opened = loop {
        match open(config, state) {
            Ok(opened) => break Some(opened),
            Err(Shut::ForGood(error)) => return Err(error),
            Err(Shut::Until { said, settings, state, is_usable }) => {
                if tell.send_replace(vec![said.clone()]) != [said.clone()] {
                    let sentence = said.in_language(language());
                    error!("{sentence}");
                    // The page is there: the service manager need not start it again.
                    supervisor.ready(sentence);
                }
                keep(&mut page, config, *settings, (state, is_usable), (&trouble, &core));
            }
        }
        tokio::select! {
            () = sleep(AGAIN) => {}
            () = supervisor.sign_of_life() => {}
            _ = signals.reload.recv() => {}
            _ = signals.terminate.recv() => break None,
            _ = signals.interrupt.recv() => break None,
        }
    };
    let Some((settings, state, _lock)) = opened else {
        supervisor.stopping("the settings are still wrong");
        return Ok(());
    };
    tell.send_replace(Vec::new());
    keep(&mut page, config, settings.page.clone(), (state.clone(), true), (&trouble, &core));
    let shown = Shown { problem: page.as_ref().map(|served| served.page.problem()), core: open_core };
    let health = Health::start(config, &state, &settings);
    work(settings, state, &mut signals, shown, supervisor, health).await
}

/// What the page and the client at work know of each other.
struct Shown {
    /// Why the page is not served, while it is not.
    problem: Option<watch::Receiver<Option<Said>>>,
    /// Tells the page when the client works.
    core: watch::Sender<Option<Api>>,
}

/// The client at work.
async fn work(
    settings: Settings,
    state: StateDir,
    signals: &mut Signals,
    page: Shown,
    mut supervisor: Supervisor,
    health: Health,
) -> anyhow::Result<()> {
    for open in state.too_open()? {
        warn!("{open}");
    }
    let socket = state.client_socket();
    let listener = control::listen(&socket)?;
    let (asks, mut questions) = mpsc::channel(QUESTIONS);
    let (events, _) = broadcast::channel(EVENTS);
    let mut served = tokio::spawn(control::serve(listener, PROGRAM, asks.clone(), events.clone()));
    let (gateway, mut told) = Follower::start(state.gateway_socket());
    let settings = Arc::new(settings);
    let (api, mut ports) = Api::start(Arc::clone(&settings), &state, asks, gateway.clone()).await;
    page.core.send_replace(Some(api.clone()));
    let port_problems = page.problem.into_iter().chain(ports.problems()).collect();
    let house = House {
        settings,
        state,
        gateway,
        health: health.clone(),
        api: api.clone(),
        calls: api.calls().clone(),
    };
    let mut lines = Lines::open(house, events, port_problems);
    info!(lines = lines.len(), "client runs");
    supervisor.ready(&running(&lines));
    let mut has_new_settings = false;
    let mut quiet = interval(LOOK_FOR_QUIET);
    // Without a part that broke the program would be deaf: it is better started again.
    let broke: Option<Broke> = loop {
        tokio::select! {
            Some(question) = questions.recv() => lines.answer(question),
            news = told.recv() => match news {
                Some(news) => lines.told(news),
                None => break Some(Broke::of("following the gateway")),
            },
            Err(error) = &mut served => break Some(error.into()),
            broke = ports.broken() => break Some(broke),
            () = lines.tend() => {}
            _ = signals.reload.recv() => {
                supervisor.reloading();
                lines.reload();
                supervisor.ready(&running(&lines));
            }
            () = supervisor.sign_of_life() => {}
            () = health.settings_changed(), if supervisor.starts_us_again() && !has_new_settings => {
                has_new_settings = true;
            }
            // Whoever is in a call keeps the keypad.
            _ = quiet.tick(), if has_new_settings && lines.are_quiet() => break None,
            _ = signals.terminate.recv() => break None,
            _ = signals.interrupt.recv() => break None,
        }
    };
    info!("client stops: keypads are taken away");
    supervisor.stopping("keypads are taken away");
    page.core.send_replace(None);
    drop(questions);
    tokio::select! {
        () = supervisor.during(async { tokio::join!(lines.stop(), api.stop()); }) => {}
        _ = signals.interrupt.recv() => warn!("stopped without waiting"),
        _ = signals.terminate.recv() => warn!("stopped without waiting"),
    }
    served.abort();
    drop(ports);
    std::fs::remove_file(socket).ok();
    broke.map_or(Ok(()), |broke| Err(broke.into()))
}

fn running(lines: &Lines) -> String {
    format!("lines: {}", lines.len())
}

/// What the system may tell this process.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    reload: Signal,
}

impl Signals {
    fn new() -> anyhow::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate()).context("SIGTERM cannot be heard")?,
            interrupt: signal(SignalKind::interrupt()).context("SIGINT cannot be heard")?,
            reload: signal(SignalKind::hangup()).context("SIGHUP cannot be heard")?,
        })
    }
}

/// Why the client cannot work.
enum Shut {
    /// Trying again would not help.
    ForGood(anyhow::Error),
    /// Somebody has to mend something; the page says what.
    Until {
        said: Said,
        settings: Box<PageSettings>,
        state: StateDir,
        /// Whether the state directory can be used.
        is_usable: bool,
    },
}

fn open(config: &Path, state: Option<&Path>) -> Result<(Settings, StateDir, Lock), Shut> {
    let mut settings = match Settings::load(config) {
        Ok(settings) => settings,
        Err(SettingsError::Unreadable { source, file }) if source.kind() == ErrorKind::NotFound => {
            return Err(Shut::ForGood(SettingsError::Unreadable { file, source }.into()));
        }
        Err(error) => {
            let said = Trouble::of_settings(&error).into();
            let text = std::fs::read_to_string(config).unwrap_or_default();
            let page = PageSettings::among(&text, config);
            let state = StateDir::at(state.map_or_else(|| state_among(&text, config), Path::to_owned));
            let is_usable = state.root().is_dir();
            return Err(Shut::Until { said, settings: Box::new(page), state, is_usable });
        }
    };
    if let Some(state) = state {
        state.clone_into(&mut settings.gateway.state);
    }
    let opened = StateDir::open(&settings.gateway.state).and_then(|state| {
        let lock = state.lock_client()?;
        Ok((state, lock))
    });
    match opened {
        Ok((state, lock)) => Ok((settings, state, lock)),
        Err(error @ StateError::Io { .. }) => Err(Shut::Until {
            said: unwritable(&StateDir::at(&settings.gateway.state), &error),
            state: StateDir::at(&settings.gateway.state),
            settings: Box::new(settings.page),
            is_usable: false,
        }),
        Err(error @ (StateError::Locked { .. } | StateError::SocketPath { .. })) => {
            Err(Shut::ForGood(error.into()))
        }
    }
}

/// The state directory that settings name in which something else is wrong.
fn state_among(text: &str, config: &Path) -> PathBuf {
    let found = written(text, config).ok();
    let state = found.as_ref().and_then(|found| found.get("gateway.state")?.as_str());
    config.parent().unwrap_or(Path::new("")).join(state.unwrap_or("/var/lib/tgtrunk"))
}

/// The page, and how it is served.
struct Served {
    settings: PageSettings,
    /// Of which state directory, and whether that could be used when it began.
    state: (StateDir, bool),
    page: Page,
}

/// Serves the page, or has it served anew where it should be served otherwise than it is.
fn keep(
    served: &mut Option<Served>,
    config: &Path,
    settings: PageSettings,
    state: (StateDir, bool),
    (trouble, core): (&watch::Receiver<Vec<Said>>, &Core),
) {
    if served.as_ref().is_some_and(|served| served.settings == settings && served.state == state) {
        return;
    }
    *served = None;
    let plan = Plan {
        settings_file: config.to_owned(),
        settings: settings.clone(),
        state: state.0.clone(),
        trouble: trouble.clone(),
        core: core.clone(),
    };
    *served = Some(Served { settings, state, page: Page::start(plan) });
}
