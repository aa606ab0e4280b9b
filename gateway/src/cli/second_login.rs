//! The client's own session of an account, let in by the one that has just logged in.

use std::time::Duration;

use anyhow::{Context as _, bail};
use tgtrunk_config::control::{Answer, Ask};
use tgtrunk_config::{Lamp, Password, Phone, StateDir};
use tgtrunk_shell::asking;
use tgtrunk_shell::keyboard::say;
use tgtrunk_telegram::{Account, Language};
use tokio::net::UnixStream;
use tokio::time::{sleep, timeout};

/// How long all of it may take.
const LIMIT: Duration = Duration::from_secs(45);
/// How long the client may take to be in after its token was accepted.
const READINESS: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(200);

/// Logs the running client in too, and tells the person at the terminal, or what there is to do.
pub(super) async fn let_in(
    account: &Account,
    state: &StateDir,
    phone: &Phone,
    password: Option<Password>,
    language: Language,
) {
    if UnixStream::connect(state.client_socket()).await.is_err() {
        return say(&match language {
            Language::English => format!("The client has a session of its own: tgtrunk-client login {phone}"),
            Language::Russian => format!("У клиента своя сессия: tgtrunk-client login {phone}"),
        });
    }
    let second = SecondLogin { account, state, phone, password };
    let done = timeout(LIMIT, second.run()).await.context("the client does not answer").and_then(|done| done);
    say(&match (done, language) {
        (Ok(()), Language::English) => "The client is logged in too.".to_owned(),
        (Ok(()), Language::Russian) => "Клиент тоже вошёл.".to_owned(),
        (Err(error), Language::English) => {
            format!("The client is not logged in: {error:#}. What to do: tgtrunk-client login {phone}")
        }
        (Err(error), Language::Russian) => {
            format!("Клиент не вошёл: {error:#}. Что сделать: tgtrunk-client login {phone}")
        }
    });
}

struct SecondLogin<'a> {
    account: &'a Account,
    state: &'a StateDir,
    phone: &'a Phone,
    password: Option<Password>,
}

impl SecondLogin<'_> {
    async fn run(&self) -> anyhow::Result<()> {
        match self.export().await? {
            Answer::Done => return Ok(()),
            Answer::LoginToken { token, .. } => self.account.accept_login_token(&token.bytes()).await?,
            _ => bail!("the client answered something else"),
        }
        if timeout(READINESS, self.is_in()).await.is_ok() {
            return Ok(());
        }
        match self.export().await? {
            Answer::Done => Ok(()),
            _ => bail!("its token was accepted, and Telegram does not let it in"),
        }
    }

    async fn export(&self) -> anyhow::Result<Answer> {
        let (line, password) = (self.phone.clone(), self.password.clone());
        asking::ask(&self.state.client_socket(), Ask::ExportLogin { line, password }).await
    }

    /// Waits until the client's lamp says that somebody is logged in.
    async fn is_in(&self) {
        loop {
            if let Ok(Answer::Clients(report)) = asking::ask(&self.state.client_socket(), Ask::Status).await
                && report.lines.iter().any(|line| line.line == *self.phone && line.telegram.lamp != Lamp::Red)
            {
                return;
            }
            sleep(PAUSE).await;
        }
    }
}
