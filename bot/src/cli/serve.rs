//! `run`: all bots, the control socket, and a clean end.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use tgtrunk_config::control::{Answer, BotReport};
use tgtrunk_config::{StateDir, Trouble};
use tgtrunk_shell::caught::{Broke, broken};
use tgtrunk_shell::{Begun, Health, Role, control};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{broadcast, mpsc, watch};
use tokio::task::JoinSet;

use crate::PROGRAM;
use crate::bots::{Bots, House};
use crate::gateway::Gateway;
use crate::programs::{self, Offices};
use crate::telegram::{Doors, listen};

/// Questions that may wait.
const QUESTIONS: usize = 64;
/// Events that a slow listener may lag behind.
const EVENTS: usize = 256;
/// How long a port that could not be opened is left alone.
const RETRY: Duration = Duration::from_secs(5);

const ROLE: Role = Role {
    program: PROGRAM,
    log: |footing| (footing.bot.log, footing.bot.log_level),
    lock: StateDir::lock_bot,
    socket: StateDir::bot_socket,
    report: |problems| Answer::Bots(BotReport { bots: Vec::new(), problems }),
};

/// Runs the bots until they are told to end. While the settings are wrong it says so and waits.
///
/// # Errors
/// When another one holds the state directory, or a socket cannot be opened.
pub(crate) async fn run(config: &Path, state: Option<&Path>) -> anyhow::Result<()> {
    let begun = tgtrunk_shell::begin(&ROLE, config, state).await?;
    let Some(Begun { settings, state, mut supervisor, health }) = begun else { return Ok(()) };
    let mut terminate = signal(SignalKind::terminate()).context("SIGTERM cannot be heard")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("SIGINT cannot be heard")?;
    let mut reload = signal(SignalKind::hangup()).context("SIGHUP cannot be heard")?;
    let _lock = state.lock_bot()?;
    let doors = Arc::new(Doors::default());
    let mut vital = JoinSet::new();
    if let Some(webhook) = &settings.bot.webhook {
        vital.spawn(open_doors(webhook.listen, Arc::clone(&doors), health.clone()));
    }
    let socket = state.bot_socket();
    let listener = control::listen(&socket)?;
    let (asks, mut questions) = mpsc::channel(QUESTIONS);
    let (events, _) = broadcast::channel(EVENTS);
    vital.spawn(control::serve(listener, PROGRAM, asks, events.clone()));
    let gateway = Gateway::start(state.gateway_socket());
    let followed = gateway.clone();
    let offices =
        Offices::new(&settings.own_ports()).context("nothing can be brought to programs' webhooks")?;
    let (problem, port) = watch::channel(None);
    let listen = settings.bot.api.listen;
    let mut bots = Bots::open(House {
        settings: Arc::new(settings),
        state,
        gateway,
        doors,
        offices: offices.clone(),
        port,
        events,
        health: health.clone(),
    });
    let programs = listen.map(|listen| vital.spawn(programs::open(listen, offices, problem)));
    tracing::info!(bots = bots.len(), "bots run");
    supervisor.ready(&running(&bots));
    // Without a part that broke the program would be deaf: it is better started again.
    let broke: Option<Broke> = loop {
        tokio::select! {
            Some(question) = questions.recv() => bots.answer(question),
            () = bots.tend() => {}
            _ = reload.recv() => {
                supervisor.reloading();
                bots.reload();
                supervisor.ready(&running(&bots));
            }
            () = supervisor.sign_of_life() => {}
            broke = broken(&mut vital) => break Some(broke),
            () = followed.lost() => break Some(Broke::of("following the gateway")),
            () = health.settings_changed(), if supervisor.starts_us_again() => break None,
            _ = terminate.recv() => break None,
            _ = interrupt.recv() => break None,
        }
    };
    tracing::info!("bots stop");
    supervisor.stopping("bots stop");
    if let Some(programs) = programs {
        programs.abort();
    }
    supervisor.during(bots.stop()).await;
    vital.shutdown().await;
    std::fs::remove_file(socket).ok();
    broke.map_or(Ok(()), |broke| Err(broke.into()))
}

/// Lets Telegram's news in; a port that somebody else has is tried again.
async fn open_doors(address: SocketAddr, doors: Arc<Doors>, health: Health) {
    const SETTING: &str = "bot.webhook listen in tgtrunk.toml";
    loop {
        match listen(address, &doors).await {
            Ok(served) => {
                health.note("webhook", None);
                served.await;
            }
            Err(error) => match Trouble::of_port(&error, address, SETTING) {
                Some(trouble) => health.note("webhook", Some(trouble)),
                None => tracing::error!(%error, %address, "cannot listen"),
            },
        }
        tokio::time::sleep(RETRY).await;
    }
}

fn running(bots: &Bots) -> String {
    format!("bots: {}", bots.len())
}
