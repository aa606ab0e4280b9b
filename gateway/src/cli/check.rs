//! `check`: whether the settings and every line would run, without running them.

use std::path::Path;
use std::process::ExitCode;

use tgtrunk_config::{Lines, Settings, StateDir, too_open};

use super::say;

/// Prints every mistake of the settings and of the lines. The exit code is 0 when there is none.
pub(crate) fn run(config: &Path, state: Option<&Path>) -> ExitCode {
    let settings = match Settings::load(config) {
        Ok(settings) => settings,
        Err(error) => {
            say(&error.to_string());
            return ExitCode::FAILURE;
        }
    };
    let state = StateDir::at(state.unwrap_or(&settings.gateway.state));
    let mut well = true;
    if let Some(open) = too_open(config) {
        well = false;
        say(&open.to_string());
    }
    match Lines::load(&state) {
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
    say(if well { "all is well" } else { "not all is well" });
    if well { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
