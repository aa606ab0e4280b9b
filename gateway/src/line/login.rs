//! The login of the line's account, and letting another session of the account in.

use std::time::Duration;

use tgtrunk_bridge::Cause;
use tgtrunk_config::control::{Event, LoginInfo, Refusal, RefusalCode};
use tgtrunk_config::{LoginToken, Password};
use tgtrunk_telegram::{InvokeError, LoginHouse, LoginWord};
use tokio::sync::{broadcast, mpsc, oneshot};
use tokio::time::timeout;

use super::Line;
use crate::call::Input;

/// How long calls may take to say goodbye before their session ends.
const GOODBYE: Duration = Duration::from_secs(3);

/// The line, as its login sees it.
pub(super) struct House {
    pub(super) events: broadcast::Sender<Event>,
    pub(super) partings: mpsc::Sender<oneshot::Sender<()>>,
}

impl LoginHouse for House {
    fn told(&self, info: &LoginInfo) {
        self.events.send(Event::Login(info.clone())).ok();
    }

    async fn parting(&self) {
        let (done, parted) = oneshot::channel();
        if self.partings.send(done).await.is_ok() {
            timeout(GOODBYE, parted).await.ok();
        }
    }
}

impl Line {
    /// Leads the login a step on. The line goes on meanwhile.
    pub(super) fn lead_login(&self, word: LoginWord, answer: oneshot::Sender<Result<LoginInfo, Refusal>>) {
        let desk = self.desk.clone();
        tokio::spawn(async move {
            let closed = || Refusal { code: RefusalCode::Stopping, message: "the line is closed".to_owned() };
            answer.send(desk.say(word).await.ok_or_else(closed)).ok();
        });
    }

    /// Ends the calls, for their session is about to end. Whoever waits for that is told when they have.
    pub(super) fn part(&mut self, done: oneshot::Sender<()>) {
        self.calls.tell_all(|| Input::Stop(Cause::LineDown));
        self.parted.push(done);
    }

    /// Tells those who wait for the end of all calls, once that has come.
    pub(super) fn tell_parted(&mut self) {
        if !self.parted.is_empty() && self.calls.is_settled() {
            for done in self.parted.drain(..) {
                done.send(()).ok();
            }
        }
    }

    /// Accepts a login token that another session exported. The line goes on meanwhile.
    pub(super) fn accept_login(
        &self,
        token: LoginToken,
        answer: oneshot::Sender<Result<Option<Password>, Refusal>>,
    ) {
        if let Some(problem) = self.lamps.account_problem() {
            answer.send(Err(problem)).ok();
            return;
        }
        let (account, desk) = (self.account.clone(), self.desk.clone());
        tokio::spawn(async move {
            let accepted = account.accept_login_token(&token.bytes()).await;
            match &accepted {
                Ok(()) => tracing::info!("another session of the account was let in"),
                Err(error) => tracing::warn!(%error, "another session of the account was not let in"),
            }
            let password = || desk.late_password();
            answer.send(accepted.map(|()| password()).map_err(|error| refusal(&error))).ok();
        });
    }
}

fn refusal(error: &InvokeError) -> Refusal {
    let code = match error {
        InvokeError::Revoked { .. } => RefusalCode::NotAuthorized,
        InvokeError::Closed => RefusalCode::Stopping,
        _ => RefusalCode::Telegram,
    };
    Refusal { code, message: error.to_string() }
}
