//! `login`: the line's account is logged in at this terminal, by the running gateway or for the next one.

use std::env;
use std::io::{self, stderr};

use anyhow::bail;
use tgtrunk_config::control::{Answer, Ask, LoginInfo, LoginMethod, Refusal, RefusalCode};
use tgtrunk_config::{Password, Phone, Settings, StateDir};
use tgtrunk_shell::{asking, keyboard};
use tgtrunk_telegram::{Language, LoginDesk, LoginHouse, LoginWord, terminal};

use super::{ask, second_login};
use crate::account;

/// Logs a number in.
///
/// # Errors
/// When Telegram refuses, or the input ends.
pub(crate) async fn run(
    settings: &Settings,
    state: &StateDir,
    phone: &Phone,
    method: LoginMethod,
) -> anyhow::Result<()> {
    if ask::runs(state).await && has_line(state, phone).await {
        at_work(state, phone, method).await
    } else {
        alone(settings, state, phone, method).await
    }
}

/// Whether the running gateway has a line for the number; whatever else it says is for the login to tell.
async fn has_line(state: &StateDir, phone: &Phone) -> bool {
    let told = asking::ask(&state.gateway_socket(), Ask::Login { line: phone.clone() }).await;
    let refusal = told.as_ref().err().and_then(|error| error.downcast_ref::<Refusal>());
    refusal.is_none_or(|refusal| refusal.code != RefusalCode::UnknownLine)
}

/// Leads the login of the running gateway. The client's follows by itself.
async fn at_work(state: &StateDir, phone: &Phone, method: LoginMethod) -> anyhow::Result<()> {
    let socket = state.gateway_socket();
    let talk = async |ask| match asking::ask(&socket, ask).await? {
        Answer::Login(info) => Ok(info),
        _ => bail!("the gateway answered something else"),
    };
    terminal::log_in(talk, phone, method, language(), &mut Terminal, &mut stderr()).await.map_err(told)?;
    Ok(())
}

/// Logs in with a session of this process, which the next gateway takes over.
async fn alone(
    settings: &Settings,
    state: &StateDir,
    phone: &Phone,
    method: LoginMethod,
) -> anyhow::Result<()> {
    let (account, _notices) = account::open(settings, state, phone).await?;
    let desk = LoginDesk::open(account.clone(), phone.clone(), Nobody).await;
    let mut password: Option<Password> = None;
    let talk = async |ask| {
        if let Ask::EnterPassword { password: typed, .. } = &ask {
            password = Some(typed.clone());
        }
        let Some((_, word)) = LoginWord::of(&ask) else { bail!("that is no step of a login") };
        desk.say(word).await.ok_or_else(|| anyhow::anyhow!("the account is closed"))
    };
    let result = terminal::log_in(talk, phone, method, language(), &mut Terminal, &mut stderr()).await;
    if result.is_ok() {
        second_login::let_in(&account, state, phone, password, language()).await;
    }
    desk.end().await;
    account.shutdown().await;
    result.map_err(told)?;
    Ok(())
}

fn language() -> Language {
    Language::of_terminal(|name| env::var(name).ok())
}

fn told(error: terminal::TerminalError<anyhow::Error>) -> anyhow::Error {
    match error {
        terminal::TerminalError::Unanswered(error) => error,
        error => anyhow::anyhow!("{error}"),
    }
}

/// No line runs beside this login.
struct Nobody;

impl LoginHouse for Nobody {
    fn told(&self, _: &LoginInfo) {}

    async fn parting(&self) {}
}

/// The terminal of this process.
struct Terminal;

impl terminal::Keyboard for Terminal {
    fn line(&mut self, secret: bool) -> io::Result<Option<String>> {
        keyboard::line(secret)
    }
}
