//! `run`: all bots, the control socket, and a clean end.

use std::sync::Arc;

use anyhow::Context as _;
use tgtrunk_config::{Settings, StateDir};
use tgtrunk_shell::{control, log};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{broadcast, mpsc};

use crate::PROGRAM;
use crate::bots::{Bots, House};
use crate::gateway::Gateway;
use crate::telegram::{Doors, listen};

/// Questions that may wait.
const QUESTIONS: usize = 64;
/// Events that a slow listener may lag behind.
const EVENTS: usize = 256;

/// Runs the bots until they are told to end.
///
/// # Errors
/// When another one holds the state directory, or a socket cannot be opened.
pub(crate) async fn run(settings: Settings, state: StateDir) -> anyhow::Result<()> {
    log::start(settings.bot.log, settings.bot.log_level);
    for open in state.too_open()? {
        tracing::warn!("{open}");
    }
    let mut terminate = signal(SignalKind::terminate()).context("SIGTERM cannot be heard")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("SIGINT cannot be heard")?;
    let mut reload = signal(SignalKind::hangup()).context("SIGHUP cannot be heard")?;
    let _lock = state.lock_bot()?;
    let doors = Arc::new(Doors::default());
    if let Some(webhook) = &settings.bot.webhook {
        let address = webhook.listen;
        let served = listen(address, &doors).await.with_context(|| format!("cannot listen at {address}"))?;
        tokio::spawn(served);
    }
    let socket = state.bot_socket();
    let listener = control::listen(&socket)?;
    let (asks, mut questions) = mpsc::channel(QUESTIONS);
    let (events, _) = broadcast::channel(EVENTS);
    let served = tokio::spawn(control::serve(listener, PROGRAM, asks, events.clone()));
    let gateway = Gateway::start(state.gateway_socket());
    let mut bots = Bots::open(House { settings: Arc::new(settings), state, gateway, doors, events });
    tracing::info!(bots = bots.len(), "bots run");
    loop {
        tokio::select! {
            Some(question) = questions.recv() => bots.answer(question),
            () = bots.tend() => {}
            _ = reload.recv() => bots.reload(),
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
        }
    }
    tracing::info!("bots stop");
    bots.stop().await;
    served.abort();
    std::fs::remove_file(socket).ok();
    Ok(())
}
