//! `check`: whether settings, texts, sessions and bots are as callers need them, and what to do where they are not.

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use tgtrunk_config::control::{Answer, Ask};
use tgtrunk_config::{
    BotName, Footing, Lamp, Line, Lines, Said, Settings, StateDir, Texts, Trouble, too_open,
};
use tgtrunk_shell::keyboard::say;
use tgtrunk_shell::{asking, health, language};
use tgtrunk_telegram::{Account, Database, Options, Person, Status};
use tokio::net::UnixStream;
use tokio::time::timeout;

use super::ask;
use crate::line::DEVICE_SUFFIX;
use crate::telegram;

/// How long a session may take to connect, and the bot to answer.
const LIMIT: Duration = Duration::from_secs(10);

/// Prints what is well and what is not. The exit code is 0 when all is.
pub(crate) async fn run(config: &Path, state: Option<&Path>) -> ExitCode {
    let mut well = true;
    let settings = match Settings::load(config) {
        Ok(settings) => Some(settings),
        Err(error) => {
            well = wrong(&Trouble::of_settings(&error).into());
            None
        }
    };
    let state = StateDir::at(state.unwrap_or(&Footing::load(config).gateway.state));
    if let Some(open) = too_open(config) {
        well = amiss(&open.to_string());
    }
    if state.root().exists() {
        if let Some(trouble) = health::of_state(&state) {
            well = wrong(&trouble.into());
        }
        well &= look_over(settings.as_ref(), &state).await;
    } else {
        say(&format!("{} is not there yet: it is made when it is needed", state.root().display()));
    }
    say(if well { "all is well" } else { "not all is well" });
    if well { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

async fn look_over(settings: Option<&Settings>, state: &StateDir) -> bool {
    let mut well = true;
    let lines = match Lines::load(state) {
        Ok(lines) => lines,
        Err(error) => return wrong(&Said::from(&error)),
    };
    for problem in &lines.problems {
        well = wrong(&Said::from(problem));
    }
    match UnixStream::connect(state.gateway_socket()).await {
        Ok(_) => match timeout(LIMIT, asking::ask(&state.gateway_socket(), Ask::Status)).await {
            Ok(Ok(Answer::Status(report))) => {
                say("the gateway runs");
                for problem in &report.problems {
                    well = wrong(problem);
                }
            }
            _ => well = amiss("the gateway does not answer"),
        },
        Err(_) => well = amiss("the gateway does not run: no call is heard of (tgtrunk-gateway run)"),
    }
    let report = if ask::runs(state).await { ask::report(state, Ask::Status).await.ok() } else { None };
    for problem in report.iter().flat_map(|report| &report.problems) {
        well = wrong(problem);
    }
    for line in lines.lines.iter().filter(|line| line.enabled) {
        if let Err(problems) = Texts::load(state, &line.phone) {
            for problem in problems {
                well = wrong(&Said::from(&problem));
            }
        }
        let shown = report.as_ref().map(|report| report.lines.iter().find(|told| told.line == line.phone));
        match shown {
            Some(Some(told)) => {
                for (what, light) in [("session", &told.telegram), ("keypad", &told.keypad)] {
                    say(&format!("line {}: {what} {:?} ({})", line.phone, light.lamp, light.reason));
                    well &= matches!(light.lamp, Lamp::Green | Lamp::Off);
                }
            }
            Some(None) => well = amiss(&format!("line {}: the client does not run it", line.phone)),
            None => match settings {
                Some(settings) => well &= look_at(settings, state, line).await,
                None => say(&format!("line {}: not looked at without settings", line.phone)),
            },
        }
    }
    well
}

/// Looks at a line that no client runs.
async fn look_at(settings: &Settings, state: &StateDir, line: &Line) -> bool {
    let phone = &line.phone;
    if !state.client_db(phone).exists() {
        return amiss(&format!("line {phone}: no session yet (tgtrunk-client login {phone})"));
    }
    let database = match Database::open(state.client_db(phone)).await {
        Ok(database) => database,
        Err(error) => return amiss(&format!("line {phone}: {error}")),
    };
    let options = Options::from_settings(database, &settings.telegram, DEVICE_SUFFIX, state.dc_seed());
    let account = match Account::open(options).await {
        Ok((account, _)) => account,
        Err(error) => return amiss(&format!("line {phone}: {error}")),
    };
    let well = look_into(&account, line).await;
    account.shutdown().await;
    well
}

async fn look_into(account: &Account, line: &Line) -> bool {
    let phone = &line.phone;
    let mut status = account.status();
    let settled = status.wait_for(|status| !matches!(status, Status::Orange { .. }));
    let now = timeout(LIMIT, settled).await.ok().and_then(Result::ok).map(|status| status.clone());
    match now {
        Some(Status::Green { .. }) => say(&format!("line {phone}: session Green (connected)")),
        Some(Status::Red { reason }) => {
            return amiss(&format!("line {phone}: {reason} (tgtrunk-client login {phone})"));
        }
        Some(Status::Orange { .. }) | None => {
            return amiss(&format!("line {phone}: Telegram is not reached"));
        }
    }
    match &line.chat.bot {
        None => {
            say(&format!("line {phone}: no bot is set: callers are asked to type digits"));
            true
        }
        Some(bot) => look_at_bot(account, line, bot).await,
    }
}

async fn look_at_bot(account: &Account, line: &Line, name: &BotName) -> bool {
    let phone = &line.phone;
    let bot = match account.resolve(Person::Username(name.as_str().to_owned())).await {
        Ok(bot) => bot,
        Err(error) => return amiss(&format!("line {phone}: @{name}: {error}")),
    };
    match telegram::traits(account, &bot).await {
        Ok(traits) if !traits.is_bot => return amiss(&format!("line {phone}: @{name} is no bot")),
        Ok(traits) if !traits.is_inline => {
            return amiss(&format!(
                "line {phone}: @{name} has no inline mode: switch it on in @BotFather with /setinline"
            ));
        }
        Ok(_) => {}
        Err(trouble) => return amiss(&format!("line {phone}: @{name}: {trouble}")),
    }
    match telegram::last_messages(account, &bot).await {
        Ok(messages) if messages.is_empty() => {
            say(&format!("line {phone}: the dialog with @{name} is not open yet: the client opens it"));
        }
        Ok(_) => say(&format!("line {phone}: the dialog with @{name} is open")),
        Err(trouble) => return amiss(&format!("line {phone}: @{name}: {trouble}")),
    }
    match telegram::ask_bot(account, &bot, Some(&bot), "ping", LIMIT).await {
        Ok(_) => {
            say(&format!("line {phone}: @{name} answers"));
            true
        }
        Err(trouble) => amiss(&format!("line {phone}: @{name}: {trouble} (is tgtrunk-bot running?)")),
    }
}

/// What all programs say in the reader's language.
fn wrong(said: &Said) -> bool {
    amiss(said.in_language(language()))
}

fn amiss(sentence: &str) -> bool {
    say(sentence);
    false
}
