//! `login`: the client's own session of a number's account. The gateway's session lets it in; where it cannot, a code
//! and the password are asked for at the terminal.

use std::io::{self, stderr};
use std::time::Duration;

use anyhow::{Context as _, bail};
use tgtrunk_config::control::{Answer, Ask, Refusal, RefusalCode};
use tgtrunk_config::{LoginToken, Password, Phone, Settings, StateDir};
use tgtrunk_shell::asking;
use tgtrunk_shell::keyboard::{self, say};
use tgtrunk_telegram::{Account, Database, Language, Options, Stage, TokenError, terminal};
use tokio::time::timeout;
use zeroize::Zeroizing;

use super::ask;
use crate::line::DEVICE_SUFFIX;

/// How long the gateway may take to let us in.
const ACCEPTANCE: Duration = Duration::from_secs(30);

/// Logs a number's client in, in the running client or for the next one.
///
/// # Errors
/// When Telegram refuses, or the input ends.
pub(crate) async fn run(settings: &Settings, state: &StateDir, phone: &Phone) -> anyhow::Result<()> {
    if ask::runs(state).await { at_work(state, phone).await } else { alone(settings, state, phone).await }
}

/// Has a session of this process let in, whose files the next client takes over.
async fn alone(settings: &Settings, state: &StateDir, phone: &Phone) -> anyhow::Result<()> {
    state.make_phone_dir(phone)?;
    let database = Database::open(state.client_db(phone)).await?;
    let options = Options::from_settings(database, &settings.telegram, DEVICE_SUFFIX, state.dc_seed());
    let (account, _notices) =
        Account::open(options).await.with_context(|| format!("the account of {phone} cannot be opened"))?;
    let result = log_in(&account, state, phone).await;
    account.shutdown().await;
    result
}

async fn log_in(account: &Account, state: &StateDir, phone: &Phone) -> anyhow::Result<()> {
    let login = account.login();
    if let Stage::Done(me) = login.stage().await? {
        let name = me.first_name.unwrap_or_else(|| me.id.to_string());
        say(&format!("{name} is logged in. Log out and log in again? [y/N]"));
        let answer = keyboard::line(false)?.unwrap_or_default();
        if !answer.trim().eq_ignore_ascii_case("y") {
            return Ok(());
        }
    }
    let accepted = login
        .by_token(async |token| {
            let token = LoginToken::new(&token.bytes).context("Telegram's token is not one")?;
            let password = accept(state, phone, token).await?;
            anyhow::Ok(password.map(|password| Zeroizing::new(password.as_str().to_owned())))
        })
        .await;
    match accepted {
        Ok(Stage::Done(me)) => {
            let name = me.first_name.as_deref().unwrap_or("user");
            say(&format!("Logged in as {name} (id {}): the gateway's session let this one in.", me.id));
            return Ok(());
        }
        Ok(_) => say("The gateway's session let this one in; Telegram asks for the password."),
        Err(TokenError::NotAccepted(error)) => {
            say(&format!("The gateway's session cannot let this one in: {error:#}."));
            say("Going on with a code, which Telegram sends to the account's other devices.");
        }
        Err(TokenError::NotLetIn) => say(
            "The gateway's session accepted, but Telegram does not let this one in. Going on with a code.",
        ),
        Err(TokenError::Login(error)) => {
            say(&format!("Telegram gives no login token: {error}"));
            say("Going on with a code.");
        }
    }
    let language = Language::of_terminal(|name| std::env::var(name).ok());
    terminal::log_in(account, Some(phone.as_str()), language, &mut Terminal, &mut stderr()).await?;
    Ok(())
}

/// Has the running client log in.
async fn at_work(state: &StateDir, phone: &Phone) -> anyhow::Result<()> {
    let export = |password| Ask::ExportLogin { line: phone.clone(), password };
    let mut answer = asking::ask(&state.client_socket(), export(None)).await;
    if let Ok(Answer::LoginToken { token, .. }) = &answer {
        let password = accept(state, phone, token.clone()).await.with_context(|| {
            format!(
                "the gateway's session cannot let the client's in; stop the client, and log in with a code: \
                 tgtrunk-client login {phone}"
            )
        })?;
        answer = asking::ask(&state.client_socket(), export(password)).await;
    }
    loop {
        match answer {
            Ok(Answer::Done) => {
                say("Logged in.");
                return Ok(());
            }
            Ok(_) => bail!("the token was accepted, but Telegram does not let the client in; try again"),
            Err(error) => match error.downcast_ref::<Refusal>() {
                Some(Refusal { code: RefusalCode::NotAuthorized, .. }) => {}
                _ => return Err(error),
            },
        }
        say("Password of the account:");
        let Some(typed) = keyboard::line(true)?.map(Zeroizing::new) else { bail!("the input ended") };
        let password = Password::new(typed.trim_end_matches(['\r', '\n']));
        answer = asking::ask(&state.client_socket(), export(Some(password))).await;
    }
}

/// Has the running gateway accept a token; gives the account's password where the gateway knows it.
async fn accept(state: &StateDir, phone: &Phone, token: LoginToken) -> anyhow::Result<Option<Password>> {
    let ask = Ask::AcceptLogin { line: phone.clone(), token };
    let answer = timeout(ACCEPTANCE, asking::ask(&state.gateway_socket(), ask)).await;
    match answer.context("the gateway does not answer")?? {
        Answer::Accepted { password } => Ok(password),
        _ => bail!("the gateway answered something else"),
    }
}

/// The terminal of this process.
struct Terminal;

impl terminal::Keyboard for Terminal {
    fn line(&mut self, secret: bool) -> io::Result<Option<String>> {
        keyboard::line(secret)
    }
}
