//! `run`: all lines, the control socket, and a clean end.

use anyhow::Context as _;
use tgtrunk_shell::control;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use crate::PROGRAM;
use crate::line::House;
use crate::lines::Lines;
use crate::metrics;

/// Questions that may wait.
const QUESTIONS: usize = 64;

/// Runs the gateway until it is told to end.
///
/// # Errors
/// When another gateway holds the state directory, or the control socket cannot be opened.
pub(crate) async fn run(house: House) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate()).context("SIGTERM cannot be heard")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("SIGINT cannot be heard")?;
    let mut reload = signal(SignalKind::hangup()).context("SIGHUP cannot be heard")?;
    let _lock = house.state.lock_gateway()?;
    if let Some(address) = house.settings.gateway.metrics {
        metrics::serve(address)?;
    }
    let socket = house.state.gateway_socket();
    let listener = control::listen(&socket)?;
    let (asks, mut questions) = mpsc::channel(QUESTIONS);
    let grace = house.settings.gateway.shutdown_grace;
    let served = tokio::spawn(control::serve(listener, PROGRAM, asks, house.events.clone()));
    let mut lines = Lines::open(house);
    tracing::info!(lines = lines.len(), "gateway runs");
    loop {
        tokio::select! {
            Some(question) = questions.recv() => lines.answer(question),
            () = lines.tend() => {}
            _ = reload.recv() => lines.reload(),
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
        }
    }
    tracing::info!(grace_s = grace.as_secs(), "gateway stops: no new calls, running ones may end");
    drop(questions);
    tokio::select! {
        () = lines.stop(grace) => {}
        _ = interrupt.recv() => tracing::warn!("stopped without waiting"),
        _ = terminate.recv() => tracing::warn!("stopped without waiting"),
    }
    served.abort();
    std::fs::remove_file(socket).ok();
    Ok(())
}
