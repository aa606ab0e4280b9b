//! `login`: phone code and password at the terminal.

use std::env;
use std::io::{self, stderr};

use tgtrunk_config::{Password, Phone, Settings, StateDir};
use tgtrunk_shell::keyboard;
use tgtrunk_telegram::{DatabaseError, Language, terminal};
use zeroize::Zeroizing;

use super::second_login;
use crate::account;

/// Logs a number in. A gateway must not have it meanwhile: a session has one holder.
///
/// # Errors
/// When Telegram refuses, or the input ends.
pub(crate) async fn run(settings: &Settings, state: &StateDir, phone: &Phone) -> anyhow::Result<()> {
    let (account, _notices) =
        account::open(settings, state, phone).await.map_err(|error| way_out(error, phone))?;
    let language = Language::of_terminal(|name| env::var(name).ok());
    let mut typed = Terminal::default();
    let result = terminal::log_in(&account, Some(phone.as_str()), language, &mut typed, &mut stderr()).await;
    if result.is_ok() {
        let password = typed.password.as_ref().map(|password| Password::new(password.as_str()));
        drop(typed);
        second_login::let_in(&account, state, phone, password, language).await;
    }
    account.shutdown().await;
    result?;
    Ok(())
}

/// Tells how to free an account that a running gateway has.
fn way_out(error: anyhow::Error, phone: &Phone) -> anyhow::Error {
    if matches!(error.downcast_ref(), Some(DatabaseError::InUse { .. })) {
        return error.context(format!(
            "{phone} is at work; take it out of the running gateway and put it back afterwards, the other lines go on: \
             tgtrunk-gateway lines remove {phone} --keep-state; tgtrunk-gateway login {phone}; \
             tgtrunk-gateway lines add {phone} --pbx ADDRESS --sip-port PORT"
        ));
    }
    error
}

/// The terminal of this process.
#[derive(Default)]
struct Terminal {
    /// The latest that was typed unseen: the account's password, once somebody is logged in.
    password: Option<Zeroizing<String>>,
}

impl terminal::Keyboard for Terminal {
    fn line(&mut self, secret: bool) -> io::Result<Option<String>> {
        let line = keyboard::line(secret)?;
        if let (true, Some(line)) = (secret, &line) {
            self.password = Some(Zeroizing::new(line.trim_end_matches(['\r', '\n']).to_owned()));
        }
        Ok(line)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[tokio::test]
    async fn a_login_of_a_number_that_runs_tells_how_to_take_it_out_of_the_gateway() {
        let room = tempfile::tempdir().unwrap();
        let text = "[telegram]\napi_id = 1\napi_hash = \"0123456789abcdef0123456789abcdef\"\n";
        let settings = Settings::parse(text, Path::new("t.toml")).unwrap();
        let state = StateDir::open(room.path()).unwrap();
        let phone: Phone = "+79060000000".parse().unwrap();
        let (running, _notices) = account::open(&settings, &state, &phone).await.unwrap();
        let told = format!("{:#}", run(&settings, &state, &phone).await.unwrap_err());
        assert!(told.contains("tgtrunk-gateway lines remove +79060000000 --keep-state; "), "{told}");
        assert!(told.contains(&format!("in use by another process (pid {})", std::process::id())), "{told}");
        running.shutdown().await;
    }
}
