//! Logging in by phone code and password, step by step (core.telegram.org/api/auth).
//!
//! Each step is stored, so that a login survives a restart between two of them. A terminal or a page takes the steps.

use std::sync::Arc;
use std::time::Duration;

use grammers_tl_types as tl;
use tgtrunk_config::Said;
use tracing::info;
use zeroize::Zeroizing;

use crate::clock::{unix_now_ms, unix_now_s};
use crate::core::{AnewError, Core};
use crate::invoke::{InvokeError, Policy};
use crate::password::{self, PasswordError};
use crate::person::Resolved;
use crate::session::{SessionError, Standing};
use crate::status::Red;
use crate::step::Step;
use crate::stream::store_state;

/// How long Telegram is waited for when a login is given up.
const PARTING: Duration = Duration::from_secs(5);

/// The steps of a login.
#[derive(Debug, Clone)]
pub struct Login {
    pub(crate) core: Arc<Core>,
}

/// What a login needs next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stage {
    /// A phone number: [`Login::send_code`].
    Phone,
    /// The code that Telegram sent: [`Login::enter_code`].
    Code {
        /// To which number, digits.
        phone: String,
        /// By which way.
        via: Via,
        /// How many characters it has, where told.
        length: Option<u32>,
        /// By which way it would be sent again, if it can be.
        next: Option<Via>,
        /// When it was sent, in milliseconds since 1970.
        sent_ms: u64,
        /// From when on it can be sent again, in milliseconds since 1970.
        resend_ms: Option<u64>,
    },
    /// The account's password: [`Login::enter_password`].
    Password {
        /// The user's own hint.
        hint: Option<String>,
    },
    /// Nothing: this user is logged in.
    Done(Resolved),
}

/// The way a code is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Via {
    /// A message in the Telegram app on another device.
    #[default]
    App,
    /// A text message.
    Sms,
    /// A text message that is a word; the code is that word.
    SmsWord,
    /// A text message of several words; the code is all of them.
    SmsPhrase,
    /// A phone call that speaks it.
    Call,
    /// A phone call whose own number ends with it.
    MissedCall,
    /// The e-mail address of the account.
    Email,
    /// fragment.com, for its anonymous numbers.
    Fragment,
}

/// Why a step failed. Each has a sentence for the user in every language: [`crate::Sentence`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LoginError {
    /// Not a phone number.
    NumberInvalid,
    /// Telegram banned the number.
    NumberBanned,
    /// No account has the number.
    NumberUnregistered,
    /// Too many attempts with this number today.
    NumberFlood,
    /// The code is wrong.
    CodeWrong,
    /// The code is too old.
    CodeExpired,
    /// No code is waited for.
    CodeNotSent,
    /// There is no other way to send the code.
    CodeNotResent,
    /// The password is wrong.
    PasswordWrong,
    /// No password is waited for.
    PasswordNotAsked,
    /// The password is kept in a way this program does not know.
    PasswordUnknownKind,
    /// The api_id or api_hash is wrong.
    ApiInvalid,
    /// The api_id is not accepted any more, because it was published.
    ApiBlocked,
    /// Telegram wants the login done in its own app.
    AppOnly,
    /// Telegram wants an e-mail address set up first.
    EmailNeeded,
    /// Telegram wants to be paid for sending the code.
    PaymentNeeded,
    /// The account was deleted or banned.
    Deactivated,
    /// Telegram wants the login to begin again.
    StartAgain,
    /// Nobody scanned the QR code for a long time.
    QrForgotten,
    /// Another account scanned the QR code.
    OtherAccount {
        /// Its number, digits.
        phone: String,
    },
    /// A code was asked for by another number than the one that logs in here.
    OtherNumber {
        /// The number that does.
        phone: String,
    },
    /// The account's other session does not let this one in.
    NotAccepted {
        /// What it said.
        cause: Said,
    },
    /// The account's other session let this one in, and Telegram does not know of it.
    NotLetIn,
    /// Too many attempts.
    FloodWait {
        /// How long to wait.
        seconds: u32,
    },
    /// Telegram did not answer in time.
    NoAnswer,
    /// Telegram is not reached.
    Offline {
        /// What the system said.
        cause: String,
    },
    /// Something on this side failed: database, seed file.
    Local {
        /// What.
        cause: String,
    },
    /// An error nobody expected.
    Other {
        /// Telegram's words.
        error: String,
    },
}

impl Login {
    pub(crate) fn new(core: Arc<Core>) -> Self {
        Self { core }
    }

    /// What is needed now, also after a restart.
    ///
    /// # Errors
    /// [`LoginError::Local`].
    pub async fn stage(&self) -> Result<Stage, LoginError> {
        if self.core.session.standing() == Standing::Authorized && self.core.health.red().is_none() {
            return Ok(self.core.me().map_or(Stage::Phone, Stage::Done));
        }
        Ok(match self.step().await? {
            Some(step) if step.password => Stage::Password { hint: step.hint },
            Some(step) if !step.code_hash.is_empty() && self.is_fresh() => step.code_stage(),
            Some(_) | None => Stage::Phone,
        })
    }

    /// Has Telegram send a code. A session that is or was somebody's is given up first, and a fresh one begun.
    ///
    /// # Errors
    /// See [`LoginError`].
    pub async fn send_code(&self, phone: &str) -> Result<Stage, LoginError> {
        let digits: String = phone.chars().filter(char::is_ascii_digit).collect();
        if !(5..=15).contains(&digits.len()) {
            return Err(LoginError::NumberInvalid);
        }
        if let Some(step) = self.step().await?
            && step.phone == digits
            && let Ok(seconds) = u32::try_from(step.flood_until_s - unix_now_s())
            && seconds > 0
        {
            return Err(LoginError::FloodWait { seconds });
        }
        if !self.is_fresh() {
            self.leave().await?;
            self.core.begin_anew("login").await?;
        }
        let request = tl::functions::auth::SendCode {
            phone_number: digits.clone(),
            api_id: self.core.settings.api_id,
            api_hash: self.core.settings.api_hash.clone(),
            settings: tl::types::CodeSettings {
                allow_flashcall: false,
                current_number: false,
                allow_app_hash: false,
                allow_missed_call: false,
                allow_firebase: false,
                unknown_number: false,
                logout_tokens: None,
                token: None,
                app_sandbox: None,
            }
            .into(),
        };
        match self.core.invoke(&request, self.policy()).await {
            Ok(sent) => self.code_sent(digits, sent).await,
            Err(error) => Err(self.failed(digits, error).await),
        }
    }

    /// Has the code sent again, by another way if there is one.
    ///
    /// # Errors
    /// See [`LoginError`].
    pub async fn resend_code(&self) -> Result<Stage, LoginError> {
        let step = self.waiting_for_code().await?;
        let request = tl::functions::auth::ResendCode {
            phone_number: step.phone.clone(),
            phone_code_hash: step.code_hash,
            reason: None,
        };
        match self.core.invoke(&request, self.policy()).await {
            Ok(sent) => self.code_sent(step.phone, sent).await,
            Err(error) => Err(self.failed(step.phone, error).await),
        }
    }

    /// Gives Telegram the code.
    ///
    /// # Errors
    /// See [`LoginError`]. After [`LoginError::CodeWrong`] another code may be entered.
    pub async fn enter_code(&self, code: &str) -> Result<Stage, LoginError> {
        let mut step = self.waiting_for_code().await?;
        let code = step.via.clean(code);
        // A code that went by e-mail proves the address, not the phone (core.telegram.org/api/auth#email-verification).
        let (phone_code, email_verification) = match step.via {
            Via::Email => (None, Some(tl::types::EmailVerificationCode { code }.into())),
            Via::App
            | Via::Sms
            | Via::SmsWord
            | Via::SmsPhrase
            | Via::Call
            | Via::MissedCall
            | Via::Fragment => (Some(code), None),
        };
        let request = tl::functions::auth::SignIn {
            phone_number: step.phone.clone(),
            phone_code_hash: step.code_hash.clone(),
            phone_code,
            email_verification,
        };
        match self.core.invoke(&request, self.policy()).await {
            Ok(tl::enums::auth::Authorization::Authorization(authorization)) => {
                self.complete(authorization.user).await
            }
            Ok(tl::enums::auth::Authorization::SignUpRequired(_)) => {
                self.forget().await?;
                Err(LoginError::NumberUnregistered)
            }
            Err(error) if error.is("SESSION_PASSWORD_NEEDED") => {
                step.hint = self.password().await?.hint;
                step.password = true;
                self.save(&step).await?;
                Ok(Stage::Password { hint: step.hint })
            }
            Err(error) => Err(self.failed(step.phone, error).await),
        }
    }

    /// Proves to Telegram that the user knows the password, without sending it (core.telegram.org/api/srp).
    ///
    /// # Errors
    /// See [`LoginError`]. After [`LoginError::PasswordWrong`] another one may be entered.
    pub async fn enter_password(&self, password: &str) -> Result<Stage, LoginError> {
        let step = self.step().await?.filter(|step| step.password).ok_or(LoginError::PasswordNotAsked)?;
        let mut again = true;
        loop {
            let proof = password::prove(self.password().await?, Zeroizing::new(password.to_owned())).await?;
            match self
                .core
                .invoke(&tl::functions::auth::CheckPassword { password: proof }, self.policy())
                .await
            {
                Ok(tl::enums::auth::Authorization::Authorization(authorization)) => {
                    return self.complete(authorization.user).await;
                }
                Ok(tl::enums::auth::Authorization::SignUpRequired(_)) => {
                    return Err(LoginError::NumberUnregistered);
                }
                // The server's half of the proof is good for a short while only.
                Err(error) if again && (error.is("SRP_ID_INVALID") || error.is("SRP_PASSWORD_CHANGED")) => {
                    again = false
                }
                Err(error) => return Err(self.failed(step.phone, error).await),
            }
        }
    }

    /// Gives the login up.
    ///
    /// # Errors
    /// [`LoginError::Local`].
    pub async fn cancel(&self) -> Result<Stage, LoginError> {
        if let Ok(step) = self.waiting_for_code().await {
            let request =
                tl::functions::auth::CancelCode { phone_number: step.phone, phone_code_hash: step.code_hash };
            if let Err(error) = self.core.invoke(&request, self.policy().within(PARTING)).await {
                info!(%error, "Telegram was not told that the login is given up");
            }
        }
        self.forget().await?;
        self.stage().await
    }

    pub(crate) fn policy(&self) -> Policy {
        Policy::call().within(self.core.settings.login_limit).for_anyone()
    }

    /// Whether the session's key is good for a login.
    pub(crate) fn is_fresh(&self) -> bool {
        self.core.session.standing() == Standing::Fresh && self.core.health.red() == Some(Red::NotLoggedIn)
    }

    /// Logs the present user out. A session that works is not thrown away while no other can be had.
    pub(crate) async fn leave(&self) -> Result<(), LoginError> {
        if self.core.session.standing() != Standing::Authorized || self.core.health.red().is_some() {
            return Ok(());
        }
        match self.core.tell_log_out().await {
            Err(
                error @ (InvokeError::Offline { .. }
                | InvokeError::Proxy { .. }
                | InvokeError::Timeout { .. }
                | InvokeError::Crowded { .. }),
            ) => Err(error.into()),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    async fn code_sent(&self, phone: String, sent: tl::enums::auth::SentCode) -> Result<Stage, LoginError> {
        let code = match sent {
            tl::enums::auth::SentCode::Code(code) => code,
            tl::enums::auth::SentCode::Success(success) => {
                return match success.authorization {
                    tl::enums::auth::Authorization::Authorization(authorization) => {
                        self.complete(authorization.user).await
                    }
                    tl::enums::auth::Authorization::SignUpRequired(_) => Err(LoginError::NumberUnregistered),
                };
            }
            tl::enums::auth::SentCode::PaymentRequired(_) => return Err(LoginError::PaymentNeeded),
        };
        let (via, length) = way(&code.r#type)?;
        let next = code.next_type.as_ref().map(next_way);
        let sent_ms = unix_now_ms();
        let pause_ms = code.timeout.and_then(|seconds| u64::try_from(seconds).ok()).unwrap_or(0) * 1000;
        let step = Step {
            phone,
            code_hash: code.phone_code_hash,
            via,
            length,
            next,
            sent_ms,
            resend_ms: next.map(|_| sent_ms + pause_ms),
            ..Step::default()
        };
        self.save(&step).await?;
        Ok(step.code_stage())
    }

    async fn waiting_for_code(&self) -> Result<Step, LoginError> {
        let waits = |step: &Step| !step.password && !step.code_hash.is_empty() && self.is_fresh();
        self.step().await?.filter(waits).ok_or(LoginError::CodeNotSent)
    }

    pub(crate) async fn password(&self) -> Result<tl::types::account::Password, LoginError> {
        let tl::enums::account::Password::Password(password) = self
            .core
            .invoke(&tl::functions::account::GetPassword {}, self.policy())
            .await
            .map_err(LoginError::from)?;
        Ok(password)
    }

    pub(crate) async fn complete(&self, user: tl::enums::User) -> Result<Stage, LoginError> {
        let bot = matches!(&user, tl::enums::User::User(user) if user.bot);
        let me = Resolved::from_user(&user)
            .ok_or_else(|| LoginError::Other { error: "no user in the answer".to_owned() })?;
        if self.core.session.sign_in(me.id, me.access_hash, bot).await? {
            self.core.peers.forget_all().await?;
        }
        self.core.peers.remember(&format!("id:{}", me.id), &me).await?;
        self.forget().await?;
        // If this is lost, the stream asks again.
        if let Ok(state) = self.core.invoke(&tl::functions::updates::GetState {}, self.policy()).await {
            store_state(&self.core, state).await?;
        }
        self.core.health.logged_in();
        self.core.kick.notify_one();
        info!("logged in");
        Ok(Stage::Done(me))
    }

    /// What the failure of a request means for the stored step.
    pub(crate) async fn failed(&self, phone: String, error: InvokeError) -> LoginError {
        let error = LoginError::from(error);
        if error == LoginError::NoAnswer {
            // Nobody watches the connection before the login; one that hangs would stop the next attempt too.
            self.core.restart();
        }
        let noted = match &error {
            LoginError::FloodWait { seconds } => self.note_flood(phone, *seconds).await,
            LoginError::CodeExpired | LoginError::StartAgain | LoginError::NumberUnregistered => {
                self.forget().await
            }
            _ => Ok(()),
        };
        noted.err().unwrap_or(error)
    }

    /// A wait that Telegram asked for is kept over a restart.
    async fn note_flood(&self, phone: String, seconds: u32) -> Result<(), LoginError> {
        let flood_until_s = unix_now_s() + i64::from(seconds);
        let step = match self.step().await? {
            Some(step) if step.phone == phone => Step { flood_until_s, ..step },
            Some(_) | None => Step { phone, flood_until_s, ..Step::default() },
        };
        self.save(&step).await
    }

    pub(crate) async fn step(&self) -> Result<Option<Step>, LoginError> {
        Ok(Step::load(self.core.settings.database.pool()).await?)
    }

    pub(crate) async fn save(&self, step: &Step) -> Result<(), LoginError> {
        Ok(step.save(self.core.settings.database.pool()).await?)
    }

    pub(crate) async fn forget(&self) -> Result<(), LoginError> {
        Ok(Step::forget(self.core.settings.database.pool()).await?)
    }
}

impl Via {
    /// A code as Telegram wants it, of one that was typed.
    fn clean(self, typed: &str) -> String {
        match self {
            Self::SmsWord | Self::SmsPhrase => typed.split_whitespace().collect::<Vec<_>>().join(" "),
            Self::App | Self::Sms | Self::Call | Self::MissedCall | Self::Email | Self::Fragment => {
                typed.chars().filter(|c| !c.is_whitespace() && *c != '-').collect()
            }
        }
    }
}

fn way(sent: &tl::enums::auth::SentCodeType) -> Result<(Via, Option<u32>), LoginError> {
    use tl::enums::auth::SentCodeType as Type;
    let (via, length) = match sent {
        Type::App(code) => (Via::App, Some(code.length)),
        Type::Sms(code) => (Via::Sms, Some(code.length)),
        Type::FirebaseSms(code) => (Via::Sms, Some(code.length)),
        Type::SmsWord(_) => (Via::SmsWord, None),
        Type::SmsPhrase(_) => (Via::SmsPhrase, None),
        Type::Call(code) => (Via::Call, Some(code.length)),
        Type::FlashCall(_) => (Via::MissedCall, None),
        Type::MissedCall(code) => (Via::MissedCall, Some(code.length)),
        Type::EmailCode(code) => (Via::Email, Some(code.length)),
        Type::FragmentSms(code) => (Via::Fragment, Some(code.length)),
        Type::SetUpEmailRequired(_) => return Err(LoginError::EmailNeeded),
    };
    Ok((via, length.and_then(|length| u32::try_from(length).ok()).filter(|length| *length > 0)))
}

fn next_way(next: &tl::enums::auth::CodeType) -> Via {
    use tl::enums::auth::CodeType as Type;
    match next {
        Type::Sms => Via::Sms,
        Type::Call => Via::Call,
        Type::FlashCall | Type::MissedCall => Via::MissedCall,
        Type::FragmentSms => Via::Fragment,
    }
}

impl From<InvokeError> for LoginError {
    fn from(error: InvokeError) -> Self {
        let InvokeError::Rpc { name, .. } = &error else {
            return match error {
                InvokeError::Flood { seconds } => Self::FloodWait { seconds },
                InvokeError::PeerFlood => Self::NumberFlood,
                InvokeError::Revoked { reason: Red::Revoked(word) }
                    if word.starts_with("USER_DEACTIVATED") =>
                {
                    Self::Deactivated
                }
                InvokeError::Revoked { .. } => Self::StartAgain,
                InvokeError::Timeout { .. } => Self::NoAnswer,
                InvokeError::Storage { cause } => Self::Local { cause },
                InvokeError::Closed => Self::Local { cause: error.to_string() },
                InvokeError::Malformed { cause } => Self::Other { error: cause },
                InvokeError::Rpc { .. }
                | InvokeError::Offline { .. }
                | InvokeError::Proxy { .. }
                | InvokeError::Crowded { .. }
                | InvokeError::KeyExchange { .. } => Self::Offline { cause: error.to_string() },
            };
        };
        match name.as_str() {
            "PHONE_NUMBER_INVALID" | "PHONE_NUMBER_EMPTY" => Self::NumberInvalid,
            "PHONE_NUMBER_BANNED" => Self::NumberBanned,
            "PHONE_NUMBER_UNOCCUPIED" => Self::NumberUnregistered,
            "PHONE_NUMBER_FLOOD" | "PHONE_PASSWORD_FLOOD" => Self::NumberFlood,
            "PHONE_CODE_INVALID" | "PHONE_CODE_EMPTY" | "CODE_INVALID" | "EMAIL_VERIFY_INVALID" => {
                Self::CodeWrong
            }
            "EMAIL_VERIFY_EXPIRED"
            | "PHONE_CODE_EXPIRED"
            | "PHONE_CODE_HASH_EMPTY"
            | "PHONE_CODE_HASH_INVALID" => Self::CodeExpired,
            "SEND_CODE_UNAVAILABLE" => Self::CodeNotResent,
            "PASSWORD_HASH_INVALID" => Self::PasswordWrong,
            "API_ID_INVALID" => Self::ApiInvalid,
            "API_ID_PUBLISHED_FLOOD" => Self::ApiBlocked,
            "UPDATE_APP_TO_LOGIN" | "PHONE_NUMBER_APP_SIGNUP_FORBIDDEN" => Self::AppOnly,
            "AUTH_RESTART" | "AUTH_RESTART_0" => Self::StartAgain,
            "INPUT_USER_DEACTIVATED" => Self::Deactivated,
            _ => Self::Other { error: error.to_string() },
        }
    }
}

impl From<AnewError> for LoginError {
    fn from(error: AnewError) -> Self {
        Self::Local { cause: error.to_string() }
    }
}

impl From<SessionError> for LoginError {
    fn from(error: SessionError) -> Self {
        Self::Local { cause: error.to_string() }
    }
}

impl From<sqlx::Error> for LoginError {
    fn from(error: sqlx::Error) -> Self {
        Self::Local { cause: error.to_string() }
    }
}

impl From<PasswordError> for LoginError {
    fn from(error: PasswordError) -> Self {
        match error {
            PasswordError::UnknownKind => Self::PasswordUnknownKind,
            PasswordError::Parameters(_) | PasswordError::Failed(_) => {
                Self::Other { error: error.to_string() }
            }
        }
    }
}
