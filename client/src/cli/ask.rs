//! Commands that ask the running client over its control socket.

use std::process::ExitCode;

use anyhow::bail;
use tgtrunk_config::control::{Answer, Ask, ClientReport};
use tgtrunk_config::{Lamp, Said, StateDir, Trouble};
use tgtrunk_shell::asking;
use tgtrunk_shell::keyboard::say;
use tokio::net::UnixStream;

/// Prints the lines and their lamps. The exit code is 0 when all are green.
///
/// # Errors
/// When no client runs.
pub(crate) async fn status(state: &StateDir, json: bool) -> anyhow::Result<ExitCode> {
    let report = report(state, Ask::Status).await?;
    if json {
        say(&serde_json::to_string_pretty(&report)?);
    } else {
        show(&report);
    }
    let well = report.problems.is_empty()
        && report.lines.iter().all(|line| matches!(line.lamp(), Lamp::Green | Lamp::Off));
    Ok(if well { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Has lines and texts read again.
///
/// # Errors
/// When no client runs.
pub(crate) async fn reload(state: &StateDir) -> anyhow::Result<()> {
    show(&report(state, Ask::Reload).await?);
    Ok(())
}

/// Whether a client listens.
pub(crate) async fn runs(state: &StateDir) -> bool {
    UnixStream::connect(state.client_socket()).await.is_ok()
}

/// What the running client says of its lines.
///
/// # Errors
/// When no client runs.
pub(crate) async fn report(state: &StateDir, ask: Ask) -> anyhow::Result<ClientReport> {
    match answer(state, ask).await? {
        Answer::Clients(report) => Ok(report),
        _ => bail!("the client answered something else"),
    }
}

/// What the running client answers.
///
/// # Errors
/// When no client runs, or it refuses.
pub(crate) async fn answer(state: &StateDir, ask: Ask) -> anyhow::Result<Answer> {
    if let Err(error) = UnixStream::connect(state.client_socket()).await {
        if let Some(trouble) = Trouble::of_file(&error, state.root()) {
            return Err(anyhow::Error::msg(Said::from(trouble)));
        }
        bail!("no client runs on {} (start it: tgtrunk-client run)", state.root().display());
    }
    asking::ask(&state.client_socket(), ask).await
}

fn show(report: &ClientReport) {
    if report.lines.is_empty() {
        say("no lines: tgtrunk-gateway lines add +79060000000 --pbx 127.0.0.1:5060");
    }
    for line in &report.lines {
        say(&format!(
            "{} {:?}: Telegram {:?} ({}), keypad {:?} ({})",
            line.line,
            line.lamp(),
            line.telegram.lamp,
            line.telegram.reason,
            line.keypad.lamp,
            line.keypad.reason
        ));
    }
    for problem in &report.problems {
        say(problem.in_language(tgtrunk_shell::language()));
    }
}
