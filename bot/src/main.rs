//! `tgtrunk-bot`: what people press in Telegram, and what the bot tells them.
//!
//! It draws the keypad that the client sends in its name, turns presses into keys of the live call through the gateway's
//! control socket, calls people back, gives them their keys and tells operators of trouble. It knows no audio and no
//! SIP, and no call ends with it.

mod acquaintances;
mod admission;
mod bot;
mod bots;
mod call_back;
mod calls;
mod cards;
mod cli;
mod clock;
mod data;
mod errands;
mod face;
mod flood;
mod gateway;
mod in_order;
mod instance;
mod keypad;
mod keys;
mod languages;
mod lead;
mod letters;
mod messenger;
mod notes;
mod notices;
mod operators;
mod press;
mod programs;
mod query;
mod recent;
mod roster;
mod status;
mod store;
mod telegram;
mod tokens;

use std::process::ExitCode;
use std::time::Duration;

use tgtrunk_shell::keyboard;

/// How the program is called by others.
const PROGRAM: &str = "tgtrunk-bot";
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
