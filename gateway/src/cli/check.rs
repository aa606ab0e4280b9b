//! `check`: whether the settings and every line would run, without running them.

use std::path::Path;
use std::process::ExitCode;

use tgtrunk_config::{Lines, Settings, StateDir, too_open};
use tgtrunk_shell::keyboard::say;

/// Prints every mistake of the settings and of the lines. The exit code is 0 when there is none.
pub(crate) fn run(config: &Path, state: Option<&Path>) -> ExitCode {
    let settings = match Settings::load(config) {
        Ok(settings) => settings,
        Err(error) => {
            say(&error.to_string());
            return ExitCode::FAILURE;
        }
    };
    if let Some(proxy) = &settings.telegram.proxy {
        say(&format!(
            "telegram.proxy = {proxy}: audio goes through it too, by Telegram's TCP relays alone; direct UDP is off"
        ));
    }
    let state = StateDir::at(state.unwrap_or(&settings.gateway.state));
    let mut well = true;
    if let Some(open) = too_open(config) {
        well = false;
        say(&open.to_string());
    }
    if state.root().exists() {
        well &= look_over(&state);
    } else {
        say(&format!("{} is not there yet: it is made when it is needed", state.root().display()));
    }
    say(if well { "all is well" } else { "not all is well" });
    if well { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Prints the lines of a state directory, and what is wrong with it; true when nothing is.
fn look_over(state: &StateDir) -> bool {
    let mut well = true;
    match Lines::load(state) {
        Ok(lines) => {
            for line in &lines.lines {
                say(&format!("line {}: port {}, PBX {}", line.phone, line.sip_port, line.pbx));
            }
            for problem in &lines.problems {
                well = false;
                say(&problem.to_string());
            }
        }
        Err(error) => {
            well = false;
            say(&error.to_string());
        }
    }
    match state.too_open() {
        Ok(files) => {
            for open in files {
                well = false;
                say(&open.to_string());
            }
        }
        Err(error) => {
            well = false;
            say(&error.to_string());
        }
    }
    well
}
