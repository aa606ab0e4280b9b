//! `check`: whether everything is as it should be, and what to do where it is not, without changing anything.

mod files;
mod finding;
mod network;
mod running;

use std::path::Path;
use std::process::ExitCode;

use tgtrunk_config::{Footing, Said, Settings, StateDir, Trouble};
use tgtrunk_shell::keyboard::say;

use finding::{Findings, Verdict};

/// Looks at everything and prints what it found. The exit code is 0 when all is well, 1 with warnings, 2 with faults.
pub(crate) async fn run(config: &Path, state: Option<&Path>, json: bool) -> ExitCode {
    let mut found = Findings::default();
    let settings = match Settings::load(config) {
        Ok(settings) => {
            found.well(Said::new("settings", "настройки"), Said::new(shown(config), shown(config)));
            Some(settings)
        }
        Err(error) => {
            let trouble = Trouble::of_settings(&error);
            found.fault(Said::new("settings", "настройки"), trouble);
            None
        }
    };
    let Footing { gateway, bot, page, .. } = Footing::load(config);
    let state = StateDir::at(state.unwrap_or(&gateway.state));
    let lines = files::look(&mut found, config, &state);
    let report = running::look(&mut found, &state, &lines).await;
    running::look_at_ports(&mut found, &gateway, &state, &lines, report.is_some()).await;
    running::look_at_page(&mut found, page.listen, &state).await;
    let proxy = settings.as_ref().and_then(|settings| settings.telegram.proxy.clone());
    network::look(&mut found, &state, proxy).await;
    network::look_up(&mut found, &lines, &gateway, &bot.api_url).await;
    if json {
        say(&found.json());
    } else {
        found.print(tgtrunk_shell::language());
    }
    match found.worst() {
        Verdict::Ok => ExitCode::SUCCESS,
        Verdict::Warning => ExitCode::from(1),
        Verdict::Fault => ExitCode::from(2),
    }
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}
