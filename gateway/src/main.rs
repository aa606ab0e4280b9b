//! `tgtrunk-gateway`: SIP lines on one side, Telegram accounts on the other, calls between them.

mod account;
mod call;
mod cause;
mod cli;
mod clock;
mod control;
mod key_agreement;
mod line;
mod lines;
mod log;
mod metrics;
mod net;
mod rules;
mod telegram;

use std::process::ExitCode;
use std::time::Duration;

/// A name server that does not answer holds nobody up longer than this at the end.
const LEFTOVERS: Duration = Duration::from_secs(1);

fn main() -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return cli::complain(&error.into()),
    };
    let code = match runtime.block_on(cli::run()) {
        Ok(code) => code,
        Err(error) => cli::complain(&error),
    };
    runtime.shutdown_timeout(LEFTOVERS);
    code
}
