//! `login`: phone code and password at the terminal.

use std::io::{self, IsTerminal as _, Stdin, stderr, stdin};

use nix::sys::termios::{LocalFlags, SetArg, tcgetattr, tcsetattr};
use tgtrunk_config::{Phone, Settings, StateDir};
use tgtrunk_telegram::{Language, terminal};

use crate::account;

/// Logs a number in. A gateway that runs with it must be stopped first: a session has one holder.
///
/// # Errors
/// When Telegram refuses, or the input ends.
pub(crate) async fn run(settings: &Settings, state: &StateDir, phone: &Phone) -> anyhow::Result<()> {
    let (account, _notices) = account::open(settings, state, phone).await?;
    let result = terminal::log_in(
        &account,
        Some(phone.as_str()),
        Language::English,
        &mut Keyboard(stdin()),
        &mut stderr(),
    )
    .await;
    account.shutdown().await;
    result?;
    Ok(())
}

/// Standard input; at a terminal, passwords are not shown.
struct Keyboard(Stdin);

impl terminal::Keyboard for Keyboard {
    fn line(&mut self, secret: bool) -> io::Result<Option<String>> {
        let shown = if secret && self.0.is_terminal() { Some(tcgetattr(&self.0)?) } else { None };
        if let Some(shown) = &shown {
            let mut hidden = shown.clone();
            hidden.local_flags.remove(LocalFlags::ECHO);
            hidden.local_flags.insert(LocalFlags::ECHONL);
            tcsetattr(&self.0, SetArg::TCSAFLUSH, &hidden)?;
        }
        let mut line = String::new();
        let read = self.0.read_line(&mut line);
        if let Some(shown) = &shown {
            tcsetattr(&self.0, SetArg::TCSAFLUSH, shown)?;
        }
        Ok((read? > 0).then_some(line))
    }
}
