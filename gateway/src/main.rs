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
mod net;
mod rules;
mod telegram;

use std::process::ExitCode;

fn main() -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return cli::complain(&error.into()),
    };
    match runtime.block_on(cli::run()) {
        Ok(code) => code,
        Err(error) => cli::complain(&error),
    }
}
