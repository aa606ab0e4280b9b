//! `tgtrunk-client`: the account's other hand. It sends callers their keypad, those who were not reached a business
//! card, and answers people who write. Calls go on without it.

mod answer;
mod api;
mod backlog;
mod calls;
mod card;
mod causes;
mod checks;
mod cli;
mod clock;
mod correspondence;
mod desk;
mod dialog;
mod keypad;
mod lamps;
mod line;
mod lines;
mod login;
mod mailbox;
mod page;
mod refusal;
mod second_login;
mod store;
mod telegram;
mod trouble;
mod typed;

use std::process::ExitCode;
use std::time::Duration;

use tgtrunk_shell::keyboard;

/// How the program is called by others.
const PROGRAM: &str = "tgtrunk-client";
/// A name server that does not answer holds nobody up longer than this at the end.
const LEFTOVERS: Duration = Duration::from_secs(1);

fn main() -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return keyboard::complain(PROGRAM, &error.into()),
    };
    let code = match runtime.block_on(cli::run()) {
        Ok(code) => code,
        Err(error) => keyboard::complain(PROGRAM, &error),
    };
    runtime.shutdown_timeout(LEFTOVERS);
    code
}
