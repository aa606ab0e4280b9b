//! Commands that ask the running program over its control socket.

use std::process::ExitCode;

use anyhow::{Context as _, bail};
use tgtrunk_config::control::{Answer, Ask, BotReport};
use tgtrunk_config::{BotStatus, Lamp, Language, Light, Said, StateDir};
use tgtrunk_shell::keyboard::say;
use tgtrunk_shell::{asking, language};
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

/// The bots of the program that runs; none where it does not tell.
pub(super) async fn at_work(state: &StateDir) -> Vec<BotStatus> {
    report(state, Ask::Status).await.map(|report| report.bots).unwrap_or_default()
}

/// What to do where there is no bot.
pub(super) fn no_bots() -> Said {
    Said::new("no bots: tgtrunk-bot add", "ботов нет: tgtrunk-bot add")
}

async fn report(state: &StateDir, ask: Ask) -> anyhow::Result<BotReport> {
    let answer = asking::ask(&state.bot_socket(), ask).await;
    let answer = answer
        .with_context(|| format!("no bot runs on {} (start it: tgtrunk-bot run)", state.root().display()))?;
    let Answer::Bots(report) = answer else { bail!("the bot answered something else") };
    Ok(report)
}

fn show(report: &BotReport) {
    let language = language();
    if report.bots.is_empty() {
        say(no_bots().in_language(language));
    }
    for status in &report.bots {
        say(&line(status, language));
        if let Some(programs) = &status.programs {
            let (bot, waiting) = (&status.bot, programs.waiting);
            say(&match language {
                Language::English => format!("@{bot}: updates that wait for other programs: {waiting}"),
                Language::Russian => {
                    format!("@{bot}: обновлений, которые ещё не забрали другие программы: {waiting}")
                }
            });
        }
    }
    for problem in &report.problems {
        say(problem.in_language(language));
    }
}

/// A bot with its lamps.
fn line(status: &BotStatus, language: Language) -> String {
    let BotStatus { bot, telegram, gateway, .. } = status;
    let reason =
        |light: &Light| Said::new(&*light.reason, &*light.reason_ru).in_language(language).to_owned();
    let (of_telegram, of_gateway) = (reason(telegram), reason(gateway));
    let lines: Vec<String> = status.lines.iter().map(ToString::to_string).collect();
    let lamps = [status.lamp(), telegram.lamp, gateway.lamp].map(|lamp| word(lamp, language));
    let [whole, at_telegram, at_gateway] = lamps;
    match language {
        Language::English => {
            let lines = if lines.is_empty() { "none".to_owned() } else { lines.join(" ") };
            format!(
                "@{bot} {whole}: Telegram {at_telegram} ({of_telegram}), gateway {at_gateway} ({of_gateway}), lines {lines}"
            )
        }
        Language::Russian => {
            let lines = if lines.is_empty() { "нет".to_owned() } else { lines.join(" ") };
            format!(
                "@{bot} {whole}: Telegram {at_telegram} ({of_telegram}), шлюз {at_gateway} ({of_gateway}), линии {lines}"
            )
        }
    }
}

fn word(lamp: Lamp, language: Language) -> &'static str {
    match (lamp, language) {
        (Lamp::Red, Language::English) => "Red",
        (Lamp::Orange, Language::English) => "Orange",
        (Lamp::Green, Language::English) => "Green",
        (Lamp::Off, Language::English) => "Off",
        (Lamp::Off, Language::Russian) => "выключен",
        (Lamp::Red, Language::Russian) => "красный",
        (Lamp::Orange, Language::Russian) => "оранжевый",
        (Lamp::Green, Language::Russian) => "зелёный",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bot_is_a_line_in_the_terminals_language() {
        let mut status = BotStatus::waiting("acme_bot".parse().unwrap(), 1, 1_000);
        status.lines = vec!["+79060000001".parse().unwrap()];
        let told = [Language::English, Language::Russian].map(|language| line(&status, language));
        assert!(
            told[0].starts_with("@acme_bot Orange: Telegram Orange (") && told[0].contains("gateway Orange"),
            "{}",
            told[0]
        );
        assert!(told[1].starts_with("@acme_bot оранжевый: Telegram оранжевый ("), "{}", told[1]);
        assert!(told[1].contains("шлюз оранжевый") && told[1].ends_with("линии +79060000001"), "{}", told[1]);
    }
}
