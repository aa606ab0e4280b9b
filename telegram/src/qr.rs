//! Logging in by a token that another session of the account accepts, without a code
//! (core.telegram.org/api/qr-login).
//!
//! The token is what a QR code would show. Whoever accepts it need not be near: any way to hand bytes over will do.

use std::time::Duration;

use grammers_tl_types as tl;
use tokio::time::{sleep, timeout};
use tracing::info;
use zeroize::Zeroizing;

use crate::clock::unix_now_s;
use crate::login::{Login, LoginError, Stage};
use crate::person::Resolved;
use crate::step::Step;

/// How often a data centre may send us on to another one.
const MOVES: u32 = 3;
/// How long an acceptance may take to show, once the other session says that it accepted.
const SETTLING: Duration = Duration::from_secs(10);
/// A token is asked after once more when it is over; sooner only if Telegram says that it was accepted.
const OVER: Duration = Duration::from_secs(1);

/// What a login by token needs next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TokenStage {
    /// That another session accepts this token; then [`Login::export_token`] again.
    Token(LoginToken),
    /// The account's password: [`Login::enter_password`].
    Password {
        /// The user's own hint.
        hint: Option<String>,
    },
    /// Nothing: this user is logged in.
    Done(Resolved),
}

/// A token that lets this session in once another one accepts it.
#[derive(Clone, PartialEq, Eq)]
pub struct LoginToken {
    /// As `auth.acceptLoginToken` takes it.
    pub bytes: Vec<u8>,
    /// Until when it is good, in seconds since 1970.
    pub expires_s: i64,
}

/// Why a login by token did not come about.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenError<E> {
    /// A step of this session's failed.
    #[error(transparent)]
    Login(LoginError),
    /// The token was not accepted; what the other side said.
    #[error("{0}")]
    NotAccepted(E),
    /// The other side said that it accepted the token, and Telegram does not know of it.
    #[error("the token was accepted, but Telegram does not let this session in")]
    NotLetIn,
}

impl std::fmt::Debug for LoginToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LoginToken").field("expires_s", &self.expires_s).finish_non_exhaustive()
    }
}

impl Login {
    /// Asks for a token, or how it stands with the one that was accepted. A session that is or was somebody's is given
    /// up first, and a fresh one begun.
    ///
    /// # Errors
    /// See [`LoginError`].
    pub async fn export_token(&self) -> Result<TokenStage, LoginError> {
        if !self.is_fresh() {
            self.leave().await?;
            self.core.begin_anew("login").await?;
        }
        let request = tl::functions::auth::ExportLoginToken {
            api_id: self.core.settings.api_id,
            api_hash: self.core.settings.api_hash.clone(),
            except_ids: Vec::new(),
        };
        let mut answer = self.core.invoke(&request, self.policy()).await;
        for _ in 0..MOVES {
            let moved = match answer {
                Ok(tl::enums::auth::LoginToken::MigrateTo(moved)) => moved,
                Ok(tl::enums::auth::LoginToken::Token(token)) => {
                    let token = LoginToken { bytes: token.token, expires_s: token.expires.into() };
                    return Ok(TokenStage::Token(token));
                }
                Ok(tl::enums::auth::LoginToken::Success(success)) => {
                    return self.let_in(success.authorization).await;
                }
                Err(error) if error.is("SESSION_PASSWORD_NEEDED") => return self.password_asked().await,
                Err(error) => return Err(self.failed(String::new(), error).await),
            };
            self.core.move_home(moved.dc_id).await?;
            let request = tl::functions::auth::ImportLoginToken { token: moved.token };
            answer = self.core.invoke(&request, self.policy()).await;
        }
        Err(LoginError::Other { error: "sent on from one data centre to the next".to_owned() })
    }

    /// Returns when Telegram says that the token was accepted (`updateLoginToken`).
    pub async fn token_accepted(&self) {
        self.core.accepted.notified().await;
    }

    /// Waits until `token` is accepted or over, and says what is needed then. A `password` that is given is entered
    /// when it is asked for. `hurry` ends the waiting and nothing else: what comes after it is not to be broken off, for
    /// Telegram lets in once. The token is then as good as before.
    ///
    /// # Errors
    /// See [`LoginError`].
    pub async fn until_accepted(
        &self,
        token: &LoginToken,
        password: Option<&str>,
        hurry: impl Future<Output = ()>,
    ) -> Result<TokenStage, LoginError> {
        let left = u64::try_from(token.expires_s - unix_now_s()).unwrap_or(0);
        tokio::select! {
            biased;
            () = self.token_accepted() => {}
            () = sleep(Duration::from_secs(left) + OVER) => {}
            () = hurry => return Ok(TokenStage::Token(token.clone())),
        }
        self.settle(password).await
    }

    /// The whole way: a token, which `accept` hands to another session of the account and comes back with the account's
    /// password if that session knows it. Ends logged in, or with a password to be asked for.
    ///
    /// # Errors
    /// See [`TokenError`].
    pub async fn by_token<E>(
        &self,
        accept: impl AsyncFnOnce(&LoginToken) -> Result<Option<Zeroizing<String>>, E>,
    ) -> Result<Stage, TokenError<E>> {
        let mut stage = self.export_token().await.map_err(TokenError::Login)?;
        if let TokenStage::Token(token) = &stage {
            let password = accept(token).await.map_err(TokenError::NotAccepted)?;
            stage = self
                .settle(password.as_ref().map(|password| password.as_str()))
                .await
                .map_err(TokenError::Login)?;
            if matches!(stage, TokenStage::Token(_)) {
                drop(timeout(SETTLING, self.token_accepted()).await);
                stage = self
                    .settle(password.as_ref().map(|password| password.as_str()))
                    .await
                    .map_err(TokenError::Login)?;
            }
        }
        match stage {
            TokenStage::Token(_) => Err(TokenError::NotLetIn),
            TokenStage::Password { hint } => Ok(Stage::Password { hint }),
            TokenStage::Done(me) => Ok(Stage::Done(me)),
        }
    }

    /// How it stands with the token. A password that is wrong is one to be asked for.
    pub(crate) async fn settle(&self, password: Option<&str>) -> Result<TokenStage, LoginError> {
        // To ask again would give up a session that somebody logged in meanwhile.
        if let Stage::Done(me) = self.stage().await? {
            return Ok(TokenStage::Done(me));
        }
        let stage = self.export_token().await?;
        let (TokenStage::Password { hint }, Some(password)) = (&stage, password) else { return Ok(stage) };
        match self.enter_password(password).await {
            Ok(Stage::Done(me)) => Ok(TokenStage::Done(me)),
            Ok(_) => Ok(stage),
            Err(LoginError::PasswordWrong) => {
                info!("the password that came with the acceptance is not the account's");
                Ok(TokenStage::Password { hint: hint.clone() })
            }
            Err(error) => Err(error),
        }
    }

    async fn let_in(&self, authorization: tl::enums::auth::Authorization) -> Result<TokenStage, LoginError> {
        let tl::enums::auth::Authorization::Authorization(authorization) = authorization else {
            return Err(LoginError::NumberUnregistered);
        };
        match self.complete(authorization.user).await? {
            Stage::Done(me) => Ok(TokenStage::Done(me)),
            Stage::Phone | Stage::Code { .. } | Stage::Password { .. } => Err(LoginError::StartAgain),
        }
    }

    async fn password_asked(&self) -> Result<TokenStage, LoginError> {
        let hint = self.password().await?.hint;
        self.save(&Step::of_password(hint.clone())).await?;
        Ok(TokenStage::Password { hint })
    }
}
