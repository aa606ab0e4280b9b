//! `login`: the line's account is logged in at this terminal, by the running gateway or for the next one.

use std::io::stderr;

use anyhow::bail;
use tgtrunk_config::control::{Answer, Ask, LoginMethod};
use tgtrunk_config::{Password, Phone, Settings, StateDir};
use tgtrunk_shell::{asking, keyboard, language};
use tgtrunk_telegram::terminal::{self, Typed};
use tgtrunk_telegram::{LoginDesk, LoginWord};

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
    if ask::runs(state).await && asking::has_line(&state.gateway_socket(), phone).await {
        at_work(state, phone, method).await
    } else {
        alone(settings, state, phone, method).await
    }
}

/// Leads the login of the running gateway. The client's follows by itself.
async fn at_work(state: &StateDir, phone: &Phone, method: LoginMethod) -> anyhow::Result<()> {
    let socket = state.gateway_socket();
    let talk = async |ask| match asking::ask(&socket, ask).await? {
        Answer::Login(info) => Ok(info),
        _ => bail!("the gateway answered something else"),
    };
    terminal::log_in(talk, phone, method, language(), &mut Typed(keyboard::line), &mut stderr())
        .await
        .map_err(told)?;
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
    let desk = LoginDesk::open(account.clone(), phone.clone(), ()).await;
    let mut password: Option<Password> = None;
    let talk = async |ask| {
        if let Ask::EnterPassword { password: typed, .. } = &ask {
            password = Some(typed.clone());
        }
        let Some((_, word)) = LoginWord::of(&ask) else { bail!("that is no step of a login") };
        desk.say(word).await.ok_or_else(|| anyhow::anyhow!("the account is closed"))
    };
    let result =
        terminal::log_in(talk, phone, method, language(), &mut Typed(keyboard::line), &mut stderr()).await;
    if result.is_ok() {
        second_login::let_in(&account, state, phone, password, language()).await;
    }
    desk.end().await;
    account.shutdown().await;
    result.map_err(told)?;
    Ok(())
}

fn told(error: terminal::TerminalError<anyhow::Error>) -> anyhow::Error {
    match error {
        terminal::TerminalError::Unanswered(error) => error,
        error => anyhow::anyhow!("{error}"),
    }
}
