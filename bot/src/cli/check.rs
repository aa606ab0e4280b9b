//! `check`: whether every bot would work, without running one.

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use tgtrunk_config::control::{Answer, Ask};
use tgtrunk_config::{BotFile, BotName, Bots, Settings, StateDir, too_open};
use tgtrunk_shell::asking;
use tgtrunk_shell::keyboard::say;
use tokio::time::timeout;

use super::ask;
use crate::admission;
use crate::roster::{Roster, Rosters};
use crate::telegram::{Api, Failure};

/// How long the gateway may think.
const PATIENCE: Duration = Duration::from_secs(3);

/// Prints what is wrong. The exit code is 0 when nothing is.
pub(crate) async fn run(config: &Path, settings: &Settings, state: &StateDir) -> ExitCode {
    let mut told = Told { well: true };
    if let Some(open) = too_open(config) {
        told.wrong(&open.to_string());
    }
    match state.too_open() {
        Ok(files) => files.iter().for_each(|open| told.wrong(&open.to_string())),
        Err(error) => told.wrong(&error.to_string()),
    }
    let runs = ask::runs(state).await;
    match (Bots::load(state), Rosters::load(state, |_| None)) {
        (Ok(bots), Ok(rosters)) => {
            bots.problems.iter().for_each(|problem| told.wrong(&problem.to_string()));
            rosters.problems.iter().for_each(|problem| told.wrong(&problem.en));
            for (bot, roster) in &rosters.of {
                if !bots.bots.iter().any(|(known, _)| known == bot) {
                    told.wrong(&format!("{}: there is no bot @{bot}: tgtrunk-bot add", phones(roster)));
                }
            }
            if bots.bots.is_empty() {
                say("no bots: tgtrunk-bot add");
            }
            for (bot, file) in &bots.bots {
                look_at(settings, bot, file, rosters.of.get(bot), runs, &mut told).await;
            }
        }
        (Err(error), _) | (_, Err(error)) => told.wrong(&error.to_string()),
    }
    match timeout(PATIENCE, asking::ask(&state.gateway_socket(), Ask::Status)).await {
        Ok(Ok(Answer::Status(report))) => say(&format!("the gateway answers, lines: {}", report.lines.len())),
        Ok(Ok(_)) | Err(_) => told.wrong("the gateway does not answer"),
        Ok(Err(_)) => told.wrong("the gateway does not run: keys that people press reach no call"),
    }
    say(if told.well { "all is well" } else { "not all is well" });
    if told.well { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

struct Told {
    well: bool,
}

impl Told {
    fn wrong(&mut self, sentence: &str) {
        self.well = false;
        say(sentence);
    }
}

async fn look_at(
    settings: &Settings,
    bot: &BotName,
    file: &BotFile,
    roster: Option<&Roster>,
    runs: bool,
    told: &mut Told,
) {
    match roster {
        Some(roster) => say(&format!("@{bot}: lines {}", phones(roster))),
        None => say(&format!("@{bot}: no line uses it (bot = \"{bot}\" in a line.toml)")),
    }
    let api = match admission::api(settings, &file.token) {
        Ok(api) => api,
        Err(error) => return told.wrong(&format!("@{bot}: {error:#}")),
    };
    match api.profile().await {
        Ok(profile) => {
            if profile.username.parse::<BotName>().ok().as_ref() != Some(bot) {
                told.wrong(&format!("@{bot}: its token is one of @{}", profile.username));
            }
            if !profile.inline {
                told.wrong(&format!("@{bot}: {}", admission::inline_off().en));
            }
        }
        Err(failure) => return told.wrong(&format!("@{bot}: {failure}")),
    }
    look_at_updates(settings, &api, bot, runs, told).await;
}

/// Whether updates reach us, and nobody else.
async fn look_at_updates(settings: &Settings, api: &Api, bot: &BotName, runs: bool, told: &mut Told) {
    let state = match api.webhook_state().await {
        Ok(state) => state,
        Err(failure) => return told.wrong(&format!("@{bot}: {failure}")),
    };
    let ours = settings.bot.webhook.as_ref().map(|webhook| format!("{}/{}", webhook.url, bot.folder()));
    match (&ours, state.url.as_str()) {
        (None, "") => {}
        (Some(ours), url) if url == ours => {}
        (None, url) => {
            told.wrong(&format!("@{bot}: its updates go to {url}; running this program takes them back"))
        }
        (Some(_), "") if runs => told.wrong(&format!("@{bot}: Telegram has no webhook for it")),
        (Some(_), "") => say(&format!("@{bot}: the webhook is set when this program runs")),
        (Some(ours), url) => told.wrong(&format!("@{bot}: its updates go to {url}, not to {ours}")),
    }
    if let Some(error) = state.last_error.filter(|_| ours.is_some()) {
        told.wrong(&format!("@{bot}: Telegram could not deliver an update: {error}"));
    }
    // A running bot polls itself, and would be disturbed.
    if ours.is_none() && state.url.is_empty() && !runs {
        match api.updates(None, 1, Duration::ZERO).await {
            Ok(_) => {}
            Err(Failure::Conflict(why)) => {
                told.wrong(&format!("@{bot}: another program polls with this token, stop it: {why}"));
            }
            Err(failure) => told.wrong(&format!("@{bot}: {failure}")),
        }
    }
    if state.waiting > 100 {
        say(&format!("@{bot}: {} updates wait at Telegram", state.waiting));
    }
}

fn phones(roster: &Roster) -> String {
    roster.phones().iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}
