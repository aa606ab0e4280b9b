//! The task behind a [`LoginDesk`](crate::LoginDesk).

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tgtrunk_config::control::{CodeVia, LoginInfo, LoginMethod, LoginStage, Peer};
use tgtrunk_config::{LoginToken, Password, Phone, Said, UserId};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};
use tracing::{info, warn};
use zeroize::Zeroizing;

use crate::account::Account;
use crate::beside::{self, Beside};
use crate::clock::{unix_now_ms, unix_now_s};
use crate::login::{Login, LoginError, Stage, Via};
use crate::login_desk::{Acceptance, LoginHouse, LoginWord, Told};
use crate::person::Resolved;
use crate::qr::{self, TokenError, TokenStage};
use crate::sentence::Sentence;
use crate::status::Red;
use crate::step::Step;

/// How long a password is kept for the account's other session.
const LATE: Duration = Duration::from_secs(60);
/// How long a QR code is shown that nobody scans.
const QR_LIFE: Duration = Duration::from_secs(600);
/// A token is refreshed so long before it is too old; one that Telegram does not refresh, so long after.
const QR_EARLY: Duration = Duration::from_secs(2);
const QR_OVER: Duration = Duration::from_millis(300);
/// What a token lives for where the clocks of Telegram and this machine do not agree, in seconds.
const QR_USUAL_S: i64 = 30;
/// How long Telegram is left alone after it could not be asked how it stands with a token.
const QR_PAUSE: Duration = Duration::from_secs(2);
/// A wait that Telegram asks for, in seconds, which does not end the login.
const QR_WAIT_S: u32 = 60;

/// Who may log in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Owner {
    /// The account of this number.
    Of(Phone),
    /// Whoever does it first.
    Anybody,
}

/// A login and all that it needs.
pub(crate) struct Work<H> {
    account: Account,
    /// What the login is called.
    name: Phone,
    owner: Owner,
    house: H,
    shown: watch::Sender<LoginInfo>,
    /// The session that is being logged in while the account's own one works.
    beside: Option<Beside>,
    qr: Option<Qr>,
    late: Arc<Mutex<Option<Password>>>,
    late_until: Option<Instant>,
}

/// A QR code that is shown.
struct Qr {
    token: Option<qr::LoginToken>,
    expires_ms: u64,
    /// When Telegram is asked again.
    ask_at: Instant,
    /// When it is given up.
    until: Instant,
}

impl<H: LoginHouse> Work<H> {
    pub(crate) async fn open(
        account: Account,
        (name, owner): (Phone, Owner),
        house: H,
        late: Arc<Mutex<Option<Password>>>,
    ) -> Self {
        let start = LoginInfo { line: name.clone(), stage: LoginStage::Start, problem: None };
        let shown = watch::Sender::new(start);
        let beside = Beside::left(&account).await.unwrap_or_else(|error| {
            warn!(%error, "a login that was under way is lost");
            None
        });
        let mut work = Self { account, name, owner, house, shown, beside, qr: None, late, late_until: None };
        work.take_up().await;
        let stage = work.stage().await;
        let problem = work.ended().filter(|_| stage == LoginStage::Start);
        // Nobody has to be told what holds already.
        work.shown.send_modify(|shown| (shown.stage, shown.problem) = (stage, problem));
        work
    }

    pub(crate) fn shown(&self) -> watch::Receiver<LoginInfo> {
        self.shown.subscribe()
    }

    /// Works until it is told to end.
    pub(crate) async fn run(mut self, mut told: mpsc::Receiver<Told>) {
        let mut status = self.account.status();
        status.mark_changed();
        // The program ended between two steps.
        if self.beside.is_some()
            && let Ok(Stage::Done(me)) = self.login().stage().await
        {
            let result = self.check_in(&me).await;
            self.settled(result).await;
        }
        loop {
            let login = self.login();
            let (ask_at, late_until) = (self.qr.as_ref().map(|qr| qr.ask_at), self.late_until);
            tokio::select! {
                word = told.recv() => match word {
                    None | Some(Told::End) => break,
                    Some(Told::Word(word, answer)) => {
                        self.act(word).await;
                        answer.send(self.shown.borrow().clone()).ok();
                    }
                    Some(Told::LetIn(accept, answer)) => {
                        self.let_in(accept).await;
                        answer.send(self.shown.borrow().clone()).ok();
                    }
                },
                changed = status.changed() => {
                    if changed.is_err() {
                        break;
                    }
                    self.look().await;
                }
                () = login.token_accepted(), if ask_at.is_some() => self.ask_about_token().await,
                () = sleep_until(ask_at.unwrap_or_else(Instant::now)), if ask_at.is_some() => {
                    self.ask_about_token().await;
                }
                () = sleep_until(late_until.unwrap_or_else(Instant::now)), if late_until.is_some() => {
                    self.keep_password(None);
                }
            }
        }
        self.keep_password(None);
        if let Some(beside) = self.beside.take() {
            beside.close().await;
        }
    }

    /// Goes on where the program ended.
    async fn take_up(&mut self) {
        let login = self.login();
        match login.step().await {
            Ok(Some(step)) if step.qr_until_ms > unix_now_ms() => {
                // The clock may have gone on, or been set, meanwhile.
                let left = Duration::from_millis(step.qr_until_ms.saturating_sub(unix_now_ms()));
                let now = Instant::now();
                self.qr =
                    Some(Qr { token: None, expires_ms: 0, ask_at: now, until: now + left.min(QR_LIFE) });
            }
            Ok(Some(_) | None) => {}
            Err(error) => warn!(%error, "a login that was under way cannot be read"),
        }
    }

    /// The login that is under way, or would be.
    fn login(&self) -> Login {
        self.beside.as_ref().map_or_else(|| self.account.login(), Beside::login)
    }

    async fn act(&mut self, word: LoginWord) {
        let result = match word {
            LoginWord::Look => Ok(()),
            LoginWord::Start(LoginMethod::Qr) => self.start_by_token().await,
            LoginWord::Start(LoginMethod::Code) => match self.owner.clone() {
                Owner::Of(phone) => self.start_by_code(&phone).await,
                Owner::Anybody => Err(LoginError::NumberInvalid),
            },
            LoginWord::StartFor(phone) => match &self.owner {
                Owner::Of(own) if *own != phone => {
                    Err(LoginError::OtherNumber { phone: own.as_str().to_owned() })
                }
                Owner::Of(_) | Owner::Anybody => self.start_by_code(&phone).await,
            },
            LoginWord::Resend => self.login().resend_code().await.map(drop),
            LoginWord::Code(code) => {
                self.took(|login| async move { login.enter_code(code.as_str()).await }).await
            }
            LoginWord::Password(password) => self.enter_password(password).await,
            LoginWord::Cancel => self.cancel().await,
            LoginWord::LogOut => self.log_out().await,
            LoginWord::Forget => self.forget().await,
        };
        self.settled(result).await;
    }

    /// Shows what a step came to.
    async fn settled(&mut self, result: Result<(), LoginError>) {
        if self.qr.is_none()
            && let Some(beside) = &self.beside
            && beside.is_idle().await
            && let Some(beside) = self.beside.take()
        {
            beside.close().await;
        }
        let problem = result.err().map(|error| {
            info!("a step of a login did not succeed: {error}");
            Said::from(Sentence::from(&error))
        });
        let stage = self.stage().await;
        self.show(stage, problem);
    }

    async fn start_by_code(&mut self, phone: &Phone) -> Result<(), LoginError> {
        self.start_anew().await?;
        self.took(|login| async move { login.send_code(phone.as_str()).await }).await
    }

    async fn start_by_token(&mut self) -> Result<(), LoginError> {
        self.start_anew().await?;
        let login = self.login();
        if matches!(login.stage().await?, Stage::Code { .. } | Stage::Password { .. }) {
            self.give_up().await?;
        }
        let stage = login.export_token().await?;
        self.token_stage(stage, Instant::now() + QR_LIFE).await
    }

    async fn start_anew(&mut self) -> Result<(), LoginError> {
        self.drop_token().await?;
        if self.beside.is_none() && self.account.is_in() {
            self.beside = Some(Beside::open(&self.account).await?);
        }
        Ok(())
    }

    /// Takes a step whose success may be that somebody is logged in.
    async fn took<F>(&mut self, step: impl FnOnce(Login) -> F) -> Result<(), LoginError>
    where
        F: Future<Output = Result<Stage, LoginError>>,
    {
        match step(self.login()).await? {
            Stage::Done(me) => self.check_in(&me).await,
            Stage::Phone | Stage::Code { .. } | Stage::Password { .. } => Ok(()),
        }
    }

    async fn enter_password(&mut self, password: Password) -> Result<(), LoginError> {
        let login = self.login();
        // The other session may ask for it as soon as this one works, before the step is over.
        self.keep_password(Some(password.clone()));
        let stage = login.enter_password(password.as_str()).await;
        if !matches!(stage, Ok(Stage::Done(_))) {
            self.keep_password(None);
        }
        match stage? {
            Stage::Done(me) => self.check_in(&me).await,
            Stage::Phone | Stage::Code { .. } | Stage::Password { .. } => Ok(()),
        }
    }

    async fn cancel(&mut self) -> Result<(), LoginError> {
        self.drop_token().await?;
        self.give_up().await
    }

    /// Gives up what is under way; somebody who is logged in stays so.
    async fn give_up(&mut self) -> Result<(), LoginError> {
        let login = self.login();
        match login.stage().await? {
            // Telegram waits for a password with this key, whoever begins next.
            Stage::Password { .. } => {
                login.forget().await?;
                Ok(login.core.begin_anew("cancel").await?)
            }
            Stage::Phone | Stage::Code { .. } => login.cancel().await.map(drop),
            Stage::Done(_) => Ok(()),
        }
    }

    async fn log_out(&mut self) -> Result<(), LoginError> {
        self.cancel().await?;
        self.leave_beside().await;
        if !self.account.is_in() {
            return Ok(());
        }
        self.house.parting().await;
        Ok(self.account.log_out().await?)
    }

    async fn forget(&mut self) -> Result<(), LoginError> {
        self.qr = None;
        self.leave_beside().await;
        beside::forget(&self.account);
        self.house.parting().await;
        self.account.login().forget().await?;
        Ok(self.account.forget_session().await?)
    }

    async fn leave_beside(&mut self) {
        if let Some(beside) = self.beside.take() {
            beside.close().await;
        }
    }

    /// Somebody is logged in. If it is the line's account, the new session takes the place of the old one.
    async fn check_in(&mut self, me: &Resolved) -> Result<(), LoginError> {
        let came = me.phone.as_deref().map(|phone| phone.trim_start_matches('+'));
        if let (Owner::Anybody, Some(Ok(phone))) =
            (&self.owner, came.map(|phone| format!("+{phone}").parse()))
        {
            self.owner = Owner::Of(phone);
        }
        if let (Some(phone), Owner::Of(own)) = (came, &self.owner)
            && phone != own.digits()
        {
            match self.beside.take() {
                Some(beside) => beside.remove().await,
                None => {
                    self.account.log_out().await?;
                    self.account.forget_session().await?;
                }
            }
            return Err(LoginError::OtherAccount { phone: phone.to_owned() });
        }
        let Some(beside) = self.beside.take() else { return Ok(()) };
        self.house.parting().await;
        beside.take_over(&self.account).await
    }

    /// Asks how it stands with the token that is shown, which is accepted, or about to be too old.
    async fn ask_about_token(&mut self) {
        let Some(qr) = &self.qr else { return };
        let until = qr.until;
        if until <= Instant::now() {
            let result = self.cancel().await.and(Err(LoginError::QrForgotten));
            return self.settled(result).await;
        }
        let result = match self.login().settle(None).await {
            Ok(stage) => self.token_stage(stage, until).await,
            Err(error) => Err(error),
        };
        let wait = match &result {
            Err(LoginError::FloodWait { seconds }) if *seconds <= QR_WAIT_S => {
                Some(Duration::from_secs((*seconds).into()))
            }
            Err(LoginError::NoAnswer | LoginError::Offline { .. }) => Some(QR_PAUSE),
            Ok(()) | Err(_) => None,
        };
        match (wait, &mut self.qr) {
            (Some(wait), Some(qr)) => qr.ask_at = Instant::now() + wait,
            (None, Some(_)) if result.is_err() => self.drop_token().await.unwrap_or(()),
            (_, _) => {}
        }
        self.settled(result).await;
    }

    async fn token_stage(&mut self, stage: TokenStage, until: Instant) -> Result<(), LoginError> {
        match stage {
            TokenStage::Token(token) => {
                let shown = self.qr.take();
                let left_s = token.expires_s - unix_now_s();
                let left_s = if (1..=300).contains(&left_s) { left_s } else { QR_USUAL_S };
                let left = Duration::from_secs(u64::try_from(left_s).unwrap_or(0));
                let is_same = shown.is_some_and(|qr| qr.token.as_ref() == Some(&token));
                let ask_in =
                    if is_same { left + QR_OVER } else { left.saturating_sub(QR_EARLY).max(QR_OVER) };
                let expires_ms = unix_now_ms() + u64::try_from(left.as_millis()).unwrap_or(0);
                let ask_at = Instant::now() + ask_in;
                self.qr = Some(Qr { token: Some(token), expires_ms, ask_at, until });
                let life = until.saturating_duration_since(Instant::now());
                let qr_until_ms = unix_now_ms() + u64::try_from(life.as_millis()).unwrap_or(0);
                self.login().save(&Step { qr_until_ms, ..Step::default() }).await
            }
            TokenStage::Password { .. } => {
                self.qr = None;
                Ok(())
            }
            TokenStage::Done(me) => {
                self.qr = None;
                self.check_in(&me).await
            }
        }
    }

    /// Shows no QR code any more.
    async fn drop_token(&mut self) -> Result<(), LoginError> {
        if self.qr.take().is_some() {
            self.login().forget().await?;
        }
        Ok(())
    }

    /// Has another session of the account let this one in.
    async fn let_in(&mut self, accept: Acceptance) {
        if self.shown.borrow().stage != LoginStage::Start || self.qr.is_some() || self.account.is_in() {
            return;
        }
        let login = self.account.login();
        let outcome = login
            .by_token(async |token| {
                let token = LoginToken::new(&token.bytes).map_err(|error| Said::from(error.to_string()))?;
                let password = accept(token).await?;
                Ok(password.map(|password| Zeroizing::new(password.as_str().to_owned())))
            })
            .await;
        let result = match outcome {
            Ok(Stage::Done(me)) => {
                info!("another session of the account let this one in");
                self.check_in(&me).await
            }
            Ok(Stage::Phone | Stage::Code { .. } | Stage::Password { .. }) => Ok(()),
            Err(TokenError::Login(error)) => Err(error),
            Err(TokenError::NotAccepted(cause)) => Err(LoginError::NotAccepted { cause }),
            Err(TokenError::NotLetIn) => Err(LoginError::NotLetIn),
        };
        self.settled(result).await;
    }

    fn keep_password(&mut self, password: Option<Password>) {
        self.late_until = password.is_some().then(|| Instant::now() + LATE);
        *self.late.lock().unwrap_or_else(PoisonError::into_inner) = password;
    }

    /// The account's lamp changed: somebody may be logged in, or not any more.
    async fn look(&mut self) {
        let stage = self.stage().await;
        let before = self.shown.borrow().clone();
        let same = before.stage == stage;
        let problem = before.problem.filter(|_| same);
        self.show(stage, problem);
    }

    async fn stage(&self) -> LoginStage {
        if let Some(Qr { token: Some(token), expires_ms, .. }) = &self.qr
            && let Ok(token) = LoginToken::new(&token.bytes)
        {
            return LoginStage::Qr { token, expires_ms: *expires_ms };
        }
        match self.login().stage().await {
            Ok(stage) => told(stage),
            Err(error) => {
                warn!(%error, "how far a login is cannot be read");
                LoginStage::Start
            }
        }
    }

    fn show(&self, stage: LoginStage, problem: Option<Said>) {
        let problem = problem.or_else(|| self.ended().filter(|_| stage == LoginStage::Start));
        let info = LoginInfo { line: self.name.clone(), stage, problem };
        let changed = self.shown.send_if_modified(|shown| {
            let changed = *shown != info;
            shown.clone_from(&info);
            changed
        });
        if changed {
            self.house.told(&info);
        }
    }

    /// Why there is no session any more, where nobody here wanted that.
    fn ended(&self) -> Option<Said> {
        let reason = self.account.core.health.red()?;
        match reason {
            Red::NotLoggedIn | Red::LoggedOut => None,
            Red::Revoked(_) | Red::KeyUnknown | Red::KeyDuplicated => {
                Some(Said::from(Sentence::from(&reason)))
            }
        }
    }
}

fn told(stage: Stage) -> LoginStage {
    match stage {
        Stage::Phone => LoginStage::Start,
        Stage::Code { via, length, next, sent_ms, resend_ms, .. } => {
            LoginStage::Code { via: via.into(), length, next: next.map(CodeVia::from), resend_ms, sent_ms }
        }
        Stage::Password { hint } => LoginStage::Password { hint },
        Stage::Done(me) => {
            let names: Vec<&str> =
                [&me.first_name, &me.last_name].into_iter().filter_map(Option::as_deref).collect();
            let account = Peer {
                id: UserId::new(me.id).ok(),
                name: Some(names.join(" ")).filter(|name| !name.is_empty()),
                username: me.username,
                phone: me.phone,
            };
            LoginStage::Done { account }
        }
    }
}

impl From<Via> for CodeVia {
    fn from(via: Via) -> Self {
        match via {
            Via::App => Self::App,
            Via::Sms => Self::Sms,
            Via::SmsWord => Self::SmsWord,
            Via::SmsPhrase => Self::SmsPhrase,
            Via::Call => Self::Call,
            Via::MissedCall => Self::MissedCall,
            Via::Email => Self::Email,
            Via::Fragment => Self::Fragment,
        }
    }
}
