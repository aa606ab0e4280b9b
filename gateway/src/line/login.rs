//! Letting another session of the line's account in.

use tgtrunk_config::LoginToken;
use tgtrunk_config::control::{Refusal, RefusalCode};
use tgtrunk_telegram::InvokeError;
use tokio::sync::oneshot;

use super::Line;

impl Line {
    /// Accepts a login token that another session exported. The line goes on meanwhile.
    pub(super) fn accept_login(&self, token: LoginToken, answer: oneshot::Sender<Result<(), Refusal>>) {
        if let Some(problem) = self.lamps.account_problem() {
            answer.send(Err(problem)).ok();
            return;
        }
        let account = self.account.clone();
        tokio::spawn(async move {
            let accepted = account.accept_login_token(&token.bytes()).await;
            match &accepted {
                Ok(()) => tracing::info!("another session of the account was let in"),
                Err(error) => tracing::warn!(%error, "another session of the account was not let in"),
            }
            answer.send(accepted.map_err(|error| refusal(&error))).ok();
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
