//! Commands that ask the running gateway over its control socket.

use std::process::ExitCode;

use anyhow::bail;
use tgtrunk_config::control::{Answer, Ask, StatusReport};
use tgtrunk_config::{CallId, Callee, Lamp, LineDraft, Lines, Phone, Said, StateDir, Trouble};
use tgtrunk_shell::asking;
use tgtrunk_shell::keyboard::say;
use tokio::net::UnixStream;

/// Prints the lines and their lamps. The exit code is 0 when all are green.
///
/// # Errors
/// When no gateway runs.
pub(crate) async fn status(state: &StateDir, json: bool) -> anyhow::Result<ExitCode> {
    let Answer::Status(report) = ask(state, Ask::Status).await? else {
        bail!("the gateway answered something else")
    };
    if json {
        say(&serde_json::to_string_pretty(&report)?);
    } else {
        show(&report);
    }
    let well = report.problems.is_empty()
        && report.lines.iter().all(|line| matches!(line.status.lamp(), Lamp::Green | Lamp::Off));
    Ok(if well { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Ends a call.
///
/// # Errors
/// When no such call is up.
pub(crate) async fn hang_up(state: &StateDir, call: CallId) -> anyhow::Result<()> {
    ask(state, Ask::HangUp { call }).await.map(drop)
}

/// Has a call recorded, or its recording paused.
///
/// # Errors
/// When no such call is up.
pub(crate) async fn record(state: &StateDir, call: CallId, on: bool) -> anyhow::Result<()> {
    ask(state, Ask::Record { call, on }).await.map(drop)
}

/// Begins a call between an extension and a person, and prints its number.
///
/// # Errors
/// When the call cannot come about now; the sentence says why.
pub(crate) async fn join(
    state: &StateDir,
    line: Phone,
    extension: String,
    person: Callee,
) -> anyhow::Result<()> {
    let Answer::Call { call } = ask(state, Ask::JoinCall { line, extension, person, key: None }).await?
    else {
        bail!("the gateway answered something else")
    };
    say(&call.to_string());
    Ok(())
}

/// Has the lines' files read again.
///
/// # Errors
/// When no gateway runs.
pub(crate) async fn reload(state: &StateDir) -> anyhow::Result<()> {
    let Answer::Status(report) = ask(state, Ask::Reload).await? else {
        bail!("the gateway answered something else")
    };
    show(&report);
    Ok(())
}

/// Adds a line, to the running gateway or to its files.
///
/// # Errors
/// When the line is there already or its settings are wrong.
pub(crate) async fn add(
    state: &StateDir,
    phone: &Phone,
    pbx: &str,
    sip_port: Option<u16>,
) -> anyhow::Result<()> {
    let mut draft = LineDraft::new(phone).set("pbx", pbx);
    if let Some(port) = sip_port {
        draft = draft.set("sip_port", port);
    }
    if !runs(state).await {
        let line = Lines::add(state, draft)?;
        say(&format!("line {phone} is written, on port {}; it opens when the gateway runs", line.sip_port));
        asking::reload_where_it_runs(&state.gateway_socket()).await;
        return Ok(());
    }
    let Answer::Line(line) = ask(state, Ask::AddLine { line: draft }).await? else {
        bail!("the gateway answered something else")
    };
    say(&format!(
        "line {phone} is at {}: add it to the PBX as a provider by IP, without a password",
        line.sip
    ));
    Ok(())
}

/// Removes a line, from the running gateway or from its files.
///
/// # Errors
/// When there is no such line.
pub(crate) async fn remove(state: &StateDir, phone: &Phone, keep_state: bool) -> anyhow::Result<()> {
    if runs(state).await {
        return ask(state, Ask::RemoveLine { phone: phone.clone(), keep_state }).await.map(drop);
    }
    if !state.line_file(phone).exists() {
        bail!("there is no line {phone}");
    }
    let removed = if keep_state { state.retire_line(phone) } else { state.forget(phone) };
    asking::reload_where_it_runs(&state.gateway_socket()).await;
    removed?;
    // What it made there before it heard so goes, too.
    if !keep_state && !state.line_file(phone).exists() {
        state.forget(phone)?;
    }
    Ok(())
}

/// Whether a gateway listens; without one, lines are files only.
pub(super) async fn runs(state: &StateDir) -> bool {
    UnixStream::connect(state.gateway_socket()).await.is_ok()
}

/// Asks the running gateway.
///
/// # Errors
/// The refusal, or that none runs.
pub(super) async fn ask(state: &StateDir, ask: Ask) -> anyhow::Result<Answer> {
    if let Err(error) = UnixStream::connect(state.gateway_socket()).await {
        if let Some(trouble) = Trouble::of_file(&error, state.root()) {
            bail!("{}", Said::from(trouble).in_language(tgtrunk_shell::language()));
        }
        bail!("no gateway runs on {} (start it: tgtrunk-gateway run)", state.root().display());
    }
    asking::ask(&state.gateway_socket(), ask).await
}

fn show(report: &StatusReport) {
    if report.lines.is_empty() {
        say("no lines: tgtrunk-gateway lines add +79060000000 --pbx 127.0.0.1:5060");
    }
    for line in &report.lines {
        let status = &line.status;
        say(&format!(
            "{} {} {:?}: Telegram {:?} ({}), PBX {} {:?} ({}), calls {}",
            status.line,
            line.sip,
            status.lamp(),
            status.telegram.lamp,
            status.telegram.reason,
            line.pbx,
            status.sip.lamp,
            status.sip.reason,
            status.calls
        ));
    }
    for problem in &report.problems {
        say(problem.in_language(tgtrunk_shell::language()));
    }
}
