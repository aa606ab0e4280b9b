//! `run`: all lines, the control socket, and a clean end.

use std::sync::Arc;

use anyhow::Context as _;
use tgtrunk_config::{Settings, StateDir};
use tgtrunk_shell::asking::Follower;
use tgtrunk_shell::control;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{broadcast, mpsc};
use tracing::{info, warn};

use crate::PROGRAM;
use crate::line::House;
use crate::lines::Lines;

/// Questions that may wait.
const QUESTIONS: usize = 64;
/// Events that a slow subscriber may be behind.
const EVENTS: usize = 1024;

/// Runs the client until it is told to end.
///
/// # Errors
/// When another client holds the state directory, or the control socket cannot be opened.
pub(crate) async fn run(settings: Settings, state: StateDir) -> anyhow::Result<()> {
    tgtrunk_shell::log::start(settings.client.log, settings.client.log_level);
    for open in state.too_open()? {
        warn!("{open}");
    }
    let mut terminate = signal(SignalKind::terminate()).context("SIGTERM cannot be heard")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("SIGINT cannot be heard")?;
    let mut reload = signal(SignalKind::hangup()).context("SIGHUP cannot be heard")?;
    let _lock = state.lock_client()?;
    let socket = state.client_socket();
    let listener = control::listen(&socket)?;
    let (asks, mut questions) = mpsc::channel(QUESTIONS);
    let (events, _) = broadcast::channel(EVENTS);
    let served = tokio::spawn(control::serve(listener, PROGRAM, asks, events.clone()));
    let (gateway, mut told) = Follower::start(state.gateway_socket());
    let mut lines = Lines::open(House { settings: Arc::new(settings), state, gateway }, events);
    info!(lines = lines.len(), "client runs");
    loop {
        tokio::select! {
            Some(question) = questions.recv() => lines.answer(question),
            Some(news) = told.recv() => lines.told(news),
            () = lines.tend() => {}
            _ = reload.recv() => lines.reload(),
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
        }
    }
    info!("client stops: keypads are taken away");
    drop(questions);
    tokio::select! {
        () = lines.stop() => {}
        _ = interrupt.recv() => warn!("stopped without waiting"),
        _ = terminate.recv() => warn!("stopped without waiting"),
    }
    served.abort();
    std::fs::remove_file(socket).ok();
    Ok(())
}
