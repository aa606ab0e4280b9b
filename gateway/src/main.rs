//! `tgtrunk-gateway`: SIP lines on one side, Telegram accounts on the other, calls between them.

mod account;
mod call;
mod cause;
mod certificates;
mod cli;
mod compute;
mod key_agreement;
mod line;
mod lines;
mod metrics;
mod net;
mod plane;
mod recording;
mod records;
mod rules;
mod rush;
mod sealed;
mod strain;
mod telegram;
mod wall;

use std::process::ExitCode;
use std::time::Duration;

use tgtrunk_shell::clock;

use tgtrunk_shell::keyboard;

/// How the program is called by others.
const PROGRAM: &str = "tgtrunk-gateway";
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
