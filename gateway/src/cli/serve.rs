//! `run`: all lines, the control socket, and a clean end.

use std::path::Path;

use anyhow::Context as _;
use tgtrunk_config::control::{Answer, StatusReport};
use tgtrunk_config::{StateDir, Trouble};
use tgtrunk_shell::{Begun, Health, Role, control};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use super::house;
use crate::PROGRAM;
use crate::lines::Lines;
use crate::{metrics, wall};

/// Questions that may wait.
const QUESTIONS: usize = 64;

const ROLE: Role = Role {
    program: PROGRAM,
    log: |footing| (footing.gateway.log, footing.gateway.log_level),
    lock: StateDir::lock_gateway,
    socket: StateDir::gateway_socket,
    report: |problems| Answer::Status(StatusReport { lines: Vec::new(), problems }),
};

/// Runs the gateway until it is told to end. While the settings are wrong it says so and waits.
///
/// # Errors
/// When another gateway holds the state directory, or the control socket cannot be opened.
pub(crate) async fn run(config: &Path, state: Option<&Path>) -> anyhow::Result<()> {
    let begun = tgtrunk_shell::begin(&ROLE, config, state).await?;
    let Some(Begun { settings, state, mut supervisor, health }) = begun else { return Ok(()) };
    let house = house(settings, state, health.clone())?;
    let mut terminate = signal(SignalKind::terminate()).context("SIGTERM cannot be heard")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("SIGINT cannot be heard")?;
    let mut reload = signal(SignalKind::hangup()).context("SIGHUP cannot be heard")?;
    let _lock = house.state.lock_gateway()?;
    if let Some(address) = house.settings.gateway.metrics {
        // Calls do not wait for a page of figures.
        if let Err(error) = std::net::TcpListener::bind(address) {
            health.note("metrics", Trouble::of_port(&error, address, "gateway.metrics in tgtrunk.toml"));
        } else {
            metrics::serve(address)?;
        }
    }
    let clocks = tokio::spawn(wall::watch(house.state.clone(), house.proxy.clone(), health.clone()));
    let socket = house.state.gateway_socket();
    let listener = control::listen(&socket)?;
    let (asks, mut questions) = mpsc::channel(QUESTIONS);
    let grace = house.settings.gateway.shutdown_grace;
    let served = tokio::spawn(control::serve(listener, PROGRAM, asks, house.events.clone()));
    let mut lines = Lines::open(house);
    tracing::info!(lines = lines.len(), "gateway runs");
    supervisor.ready(&running(&lines));
    loop {
        let quiet = lines.quiet();
        tokio::select! {
            Some(question) = questions.recv() => lines.answer(question),
            () = lines.tend() => {}
            _ = reload.recv() => {
                supervisor.reloading();
                lines.reload();
                supervisor.ready(&running(&lines));
            }
            () = supervisor.sign_of_life() => {}
            () = taken_up(&health, quiet), if supervisor.starts_us_again() => break,
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
        }
    }
    tracing::info!(grace_s = grace.as_secs(), "gateway stops: no new calls, running ones may end");
    supervisor.stopping("no new calls, running ones may end");
    drop(questions);
    tokio::select! {
        () = supervisor.during(lines.stop(grace)) => {}
        _ = interrupt.recv() => tracing::warn!("stopped without waiting"),
        _ = terminate.recv() => tracing::warn!("stopped without waiting"),
    }
    served.abort();
    clocks.abort();
    std::fs::remove_file(socket).ok();
    Ok(())
}

/// Waits until other settings are there to begin anew with, and no call is up.
async fn taken_up(health: &Health, quiet: impl Future<Output = ()>) {
    health.settings_changed().await;
    quiet.await;
}

fn running(lines: &Lines) -> String {
    format!("lines: {}", lines.len())
}
