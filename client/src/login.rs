//! The login of a running line's session, step by step over the control socket: a token that the gateway's session of
//! the account accepts, and the password if Telegram asks for it.

use std::sync::Arc;

use tgtrunk_config::control::{Answer, Event, LoginInfo, Refusal, RefusalCode};
use tgtrunk_config::{LoginToken, Password};
use tgtrunk_telegram::{Account, LoginDesk, LoginError, LoginHouse, Stage, TokenStage};
use tokio::sync::{Notify, broadcast};
use tokio::task::JoinHandle;
use tracing::{Instrument as _, info, warn};

use crate::line::Reply;

/// The line, as its login sees it. No call goes over the client's session.
pub(crate) struct House {
    pub(crate) events: broadcast::Sender<Event>,
}

impl LoginHouse for House {
    fn told(&self, info: &LoginInfo) {
        self.events.send(Event::Login(info.clone())).ok();
    }

    async fn parting(&self) {}
}

/// A step under way.
pub(crate) struct Step {
    task: JoinHandle<()>,
    hurry: Arc<Notify>,
}

impl Step {
    /// Begins a step, after the one before it.
    pub(crate) fn begin(
        account: Account,
        logins: LoginDesk,
        password: Option<Password>,
        reply: Reply,
        before: Option<Self>,
    ) -> Self {
        let hurry = Arc::new(Notify::new());
        let hurried = Arc::clone(&hurry);
        let task = async move {
            if let Some(before) = before {
                before.end().await;
            }
            step(account, password, reply, &hurried).await;
            logins.look().await;
        };
        Self { task: tokio::spawn(task.in_current_span()), hurry }
    }

    /// Does not wait for a token to be accepted any more, but for all that must not be broken off: what Telegram let in
    /// and nobody kept would be lost.
    pub(crate) async fn end(self) {
        self.hurry.notify_one();
        self.task.await.ok();
    }
}

/// Answers with a token, or that the session is logged in; after a token it waits until that is accepted.
async fn step(account: Account, password: Option<Password>, reply: Reply, hurry: &Notify) {
    let login = account.login();
    let password = password.as_ref().map(Password::as_str);
    let token = match begin(&account, password).await {
        Ok(Begun::In) => return drop(reply.send(Ok(Answer::Done))),
        Ok(Begun::Token(token)) => token,
        Err(refusal) => return drop(reply.send(Err(refusal))),
    };
    let shown = LoginToken::new(&token.bytes).map_err(|error| refusal(error.to_string()));
    let expires_ms = u64::try_from(token.expires_s).unwrap_or(0).saturating_mul(1000);
    let is_shown = shown.is_ok();
    reply.send(shown.map(|token| Answer::LoginToken { token, expires_ms })).ok();
    if !is_shown {
        return;
    }
    match login.until_accepted(&token, password, hurry.notified()).await {
        Ok(TokenStage::Done(_)) => info!("another session of the account let this one in"),
        Ok(TokenStage::Password { .. }) => info!("the login token was accepted; the password is missing"),
        Ok(TokenStage::Token(_)) => info!("nobody accepted the login token"),
        Err(error) => warn!("the login by token failed: {error}"),
    }
}

enum Begun {
    In,
    Token(tgtrunk_telegram::LoginToken),
}

async fn begin(account: &Account, password: Option<&str>) -> Result<Begun, Refusal> {
    let told = |error: LoginError| refusal(error.to_string());
    let login = account.login();
    let mut stage = match login.stage().await.map_err(told)? {
        Stage::Done(_) => return Ok(Begun::In),
        Stage::Password { hint } if password.is_some() => TokenStage::Password { hint },
        Stage::Phone | Stage::Code { .. } | Stage::Password { .. } => {
            login.export_token().await.map_err(told)?
        }
    };
    if let (TokenStage::Password { .. }, Some(password)) = (&stage, password) {
        match login.enter_password(password).await {
            Ok(Stage::Done(_)) => return Ok(Begun::In),
            Ok(_) | Err(LoginError::PasswordNotAsked | LoginError::StartAgain) => {
                stage = login.export_token().await.map_err(told)?;
            }
            Err(error) => return Err(told(error)),
        }
    }
    match stage {
        TokenStage::Done(_) => Ok(Begun::In),
        TokenStage::Token(token) => Ok(Begun::Token(token)),
        TokenStage::Password { .. } => Err(Refusal {
            code: RefusalCode::NotAuthorized,
            message: "Telegram asks for the account's password".to_owned(),
        }),
    }
}

fn refusal(message: String) -> Refusal {
    Refusal { code: RefusalCode::Telegram, message }
}
