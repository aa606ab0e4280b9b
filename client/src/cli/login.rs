//! `login`: the client's own session of a number's account, in the running client or for the next one. The gateway's
//! session lets it in; where it cannot, a code and the password are asked for at the terminal.

use std::io::stderr;
use std::time::Duration;

use anyhow::{Context as _, bail};
use tgtrunk_config::control::{Answer, Ask, LoginInfo, LoginMethod, LoginStage};
use tgtrunk_config::{LoginToken, Password, Phone, Settings, StateDir};
use tgtrunk_shell::asking;
use tgtrunk_shell::keyboard::{self, say};
use tgtrunk_telegram::terminal::{self, Typed};
use tgtrunk_telegram::{Account, Database, LoginDesk, LoginWord, Options};
use tokio::time::{Instant, sleep, timeout};

use super::ask;
use crate::line::DEVICE_SUFFIX;

/// How long the gateway may take to let us in.
const ACCEPTANCE: Duration = Duration::from_secs(30);
/// How long that may take to show, and how often it is looked at.
const ARRIVAL: Duration = Duration::from_secs(15);
const LOOK: Duration = Duration::from_millis(200);

/// Logs a number's client in.
///
/// # Errors
/// When Telegram refuses, or the input ends.
pub(crate) async fn run(
    settings: &Settings,
    state: &StateDir,
    phone: &Phone,
    method: LoginMethod,
) -> anyhow::Result<()> {
    if ask::runs(state).await && asking::has_line(&state.client_socket(), phone).await {
        at_work(state, phone, method).await
    } else {
        alone(settings, state, phone, method).await
    }
}

/// Leads the login of the running client.
async fn at_work(state: &StateDir, phone: &Phone, method: LoginMethod) -> anyhow::Result<()> {
    let socket = state.client_socket();
    let talk = async |ask| match asking::ask(&socket, ask).await? {
        Answer::Login(info) => Ok(info),
        _ => bail!("the client answered something else"),
    };
    log_in(talk, state, phone, method).await
}

/// Logs in with a session of this process, which the next client takes over.
async fn alone(
    settings: &Settings,
    state: &StateDir,
    phone: &Phone,
    method: LoginMethod,
) -> anyhow::Result<()> {
    state.make_phone_dir(phone)?;
    let database = Database::open(state.client_db(phone)).await?;
    let options = Options::from_settings(database, &settings.telegram, DEVICE_SUFFIX, state.dc_seed());
    let (account, _notices) =
        Account::open(options).await.with_context(|| format!("the account of {phone} cannot be opened"))?;
    let desk = LoginDesk::open(account.clone(), phone.clone(), ()).await;
    let talk = async |ask| {
        let Some((_, word)) = LoginWord::of(&ask) else { bail!("that is no step of a login") };
        desk.say(word).await.context("the account is closed")
    };
    let result = log_in(talk, state, phone, method).await;
    desk.end().await;
    account.shutdown().await;
    result
}

async fn log_in(
    mut talk: impl AsyncFnMut(Ask) -> anyhow::Result<LoginInfo>,
    state: &StateDir,
    phone: &Phone,
    method: LoginMethod,
) -> anyhow::Result<()> {
    let info = talk(Ask::Login { line: phone.clone() }).await?;
    if method == LoginMethod::Code && info.stage == LoginStage::Start {
        match let_in(&mut talk, state, phone).await {
            Ok(LoginStage::Done { account }) => {
                let name = account.name.unwrap_or_else(|| phone.to_string());
                say(&format!("Logged in as {name}: the gateway's session let this one in."));
                return Ok(());
            }
            Ok(_) => say("The gateway's session let this one in; Telegram asks for the password."),
            Err(error) => {
                say(&format!("The gateway's session cannot let this one in: {error:#}."));
                say("Going on with a code, which Telegram sends to the account's other devices.");
                talk(Ask::CancelLogin { line: phone.clone() }).await?;
            }
        }
    }
    let language = tgtrunk_shell::language();
    let done =
        terminal::log_in(talk, phone, method, language, &mut Typed(keyboard::line), &mut stderr()).await;
    match done {
        Ok(_) => Ok(()),
        Err(terminal::TerminalError::Unanswered(error)) => Err(error),
        Err(error) => bail!("{error}"),
    }
}

/// Has the running gateway accept a login token, and enters the account's password where the gateway knows it.
async fn let_in(
    talk: &mut impl AsyncFnMut(Ask) -> anyhow::Result<LoginInfo>,
    state: &StateDir,
    phone: &Phone,
) -> anyhow::Result<LoginStage> {
    let line = || phone.clone();
    let mut info = talk(Ask::StartLogin { line: line(), method: LoginMethod::Qr }).await?;
    let mut password = None;
    if let LoginStage::Qr { token, .. } = &info.stage {
        password = accept(state, phone, token.clone()).await?;
    }
    let until = Instant::now() + ARRIVAL;
    while matches!(info.stage, LoginStage::Qr { .. }) {
        if Instant::now() >= until {
            bail!("it accepted, but Telegram does not let this one in");
        }
        sleep(LOOK).await;
        info = talk(Ask::Login { line: line() }).await?;
    }
    if let (LoginStage::Password { .. }, Some(password)) = (&info.stage, password) {
        info = talk(Ask::EnterPassword { line: line(), password }).await?;
    }
    match (info.stage, info.problem) {
        (LoginStage::Start, Some(problem)) => bail!("{}", problem.en.trim_end_matches('.')),
        (LoginStage::Start | LoginStage::Code { .. }, _) => bail!("the login was given up"),
        (stage, _) => Ok(stage),
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
