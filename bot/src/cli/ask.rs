//! Commands that ask the running program over its control socket.

use std::process::ExitCode;

use anyhow::{Context as _, bail};
use tgtrunk_config::control::{Answer, Ask, BotReport};
use tgtrunk_config::{Lamp, StateDir};
use tgtrunk_shell::asking;
use tgtrunk_shell::keyboard::say;
use tokio::net::UnixStream;

/// Prints the bots and their lamps. The exit code is 0 when all are green.
///
/// # Errors
/// When no bot program runs.
pub(crate) async fn status(state: &StateDir, json: bool) -> anyhow::Result<ExitCode> {
    let report = report(state, Ask::Status).await?;
    if json {
        say(&serde_json::to_string_pretty(&report)?);
    } else {
        show(&report);
    }
    let well = report.problems.is_empty() && report.bots.iter().all(|bot| bot.lamp() == Lamp::Green);
    Ok(if well { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Has the files read again.
///
/// # Errors
/// When no bot program runs.
pub(crate) async fn reload(state: &StateDir) -> anyhow::Result<()> {
    show(&report(state, Ask::Reload).await?);
    Ok(())
}

/// Whether the program runs; without it, bots are files only.
pub(crate) async fn runs(state: &StateDir) -> bool {
    UnixStream::connect(state.bot_socket()).await.is_ok()
}

async fn report(state: &StateDir, ask: Ask) -> anyhow::Result<BotReport> {
    let answer = asking::ask(&state.bot_socket(), ask).await;
    let answer = answer
        .with_context(|| format!("no bot runs on {} (start it: tgtrunk-bot run)", state.root().display()))?;
    let Answer::Bots(report) = answer else { bail!("the bot answered something else") };
    Ok(report)
}

fn show(report: &BotReport) {
    if report.bots.is_empty() {
        say("no bots: tgtrunk-bot add");
    }
    for bot in &report.bots {
        let lines: Vec<String> = bot.lines.iter().map(ToString::to_string).collect();
        say(&format!(
            "@{} {:?}: Telegram {:?} ({}), gateway {:?} ({}), lines {}",
            bot.bot,
            bot.lamp(),
            bot.telegram.lamp,
            bot.telegram.reason,
            bot.gateway.lamp,
            bot.gateway.reason,
            if lines.is_empty() { "none".to_owned() } else { lines.join(" ") }
        ));
        if let Some(programs) = &bot.programs {
            say(&format!("@{}: updates that wait for other programs: {}", bot.bot, programs.waiting));
        }
    }
    for problem in &report.problems {
        say(problem.in_language(tgtrunk_shell::language()));
    }
}
