//! Logging in as programs do it, at the same desk at which people do.

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tgtrunk_config::control::{LoginInfo, LoginMethod, LoginStage};
use tgtrunk_config::{LoginCode, Password, Phone, Said};
use tgtrunk_messages::{Door, LoginStep, LoginTokenPicture, Signin};
use tgtrunk_telegram::{LoginDesk, LoginError, LoginWord, Sentence};
use tokio::sync::watch;

use super::picture;

/// Where programs log an account in.
#[derive(Clone)]
pub(super) struct FrontDoor {
    logins: LoginDesk,
}

impl FrontDoor {
    pub(super) fn new(logins: LoginDesk) -> Self {
        Self { logins }
    }

    pub(super) fn stage(&self) -> LoginStage {
        self.logins.info().stage
    }

    pub(super) fn watch(&self) -> watch::Receiver<LoginInfo> {
        self.logins.watch()
    }

    async fn say(&self, word: LoginWord) -> LoginInfo {
        match self.logins.say(word).await {
            Some(info) => info,
            None => self.logins.info(),
        }
    }

    async fn enter(&self, word: LoginWord) -> LoginStep {
        step(&self.say(word).await)
    }
}

#[async_trait]
impl Door for FrontDoor {
    async fn sign_in(&self, word: Signin) -> LoginStep {
        match word {
            Signin::Qr => match self.stage() {
                LoginStage::Done { .. } | LoginStage::Password { .. } => step(&self.logins.info()),
                LoginStage::Qr { .. } => step(&self.logins.info()),
                LoginStage::Start | LoginStage::Code { .. } => {
                    self.enter(LoginWord::Start(LoginMethod::Qr)).await
                }
            },
            Signin::Phone(digits) => match format!("+{digits}").parse::<Phone>() {
                Ok(phone) => self.enter(LoginWord::StartFor(phone)).await,
                Err(error) => LoginStep::Failed {
                    word: "phone_number_invalid",
                    sentence: error.to_string(),
                    russian: format!(
                        "номер +{digits} не годится: нужен номер с кодом страны, например +79001112233"
                    ),
                },
            },
            Signin::Code { code, password } => match (code.trim(), password, self.stage()) {
                ("", Some(password), _) | (_, Some(password), LoginStage::Password { .. }) => {
                    self.enter(LoginWord::Password(Password::new(password))).await
                }
                (code, password, LoginStage::Code { .. }) => {
                    let info = self.say(LoginWord::Code(LoginCode::new(code))).await;
                    match (&info.stage, password) {
                        (LoginStage::Password { .. }, Some(password)) => {
                            self.enter(LoginWord::Password(Password::new(password))).await
                        }
                        _ => step(&info),
                    }
                }
                _ => not_started("no code is waited for", "кода никто не ждёт: начните вход заново"),
            },
            Signin::Password(password) => match self.stage() {
                LoginStage::Password { .. } => self.enter(LoginWord::Password(Password::new(password))).await,
                _ => not_started("no password is waited for", "пароля никто не ждёт: начните вход заново"),
            },
            Signin::LogOut => match self.say(LoginWord::LogOut).await {
                LoginInfo { problem: Some(problem), stage: LoginStage::Done { .. }, .. } => failed(&problem),
                _ => LoginStep::Done,
            },
        }
    }
}

fn not_started(sentence: &str, russian: &str) -> LoginStep {
    LoginStep::Failed {
        word: "authorization_not_started",
        sentence: sentence.to_owned(),
        russian: russian.to_owned(),
    }
}

fn step(info: &LoginInfo) -> LoginStep {
    if let Some(problem) = &info.problem {
        return failed(problem);
    }
    match &info.stage {
        LoginStage::Start => not_started("the login has not begun", "вход ещё не начат"),
        LoginStage::Code { .. } => LoginStep::Code,
        LoginStage::Qr { token, .. } => {
            let link = format!("tg://login?token={}", token.as_str());
            let png = STANDARD.encode(picture::of(&link));
            LoginStep::Scan(LoginTokenPicture { link, png })
        }
        LoginStage::Password { .. } => LoginStep::Password,
        LoginStage::Done { .. } => LoginStep::Done,
    }
}

/// The desk speaks to people; its sentences are known by what they are made of.
fn failed(problem: &Said) -> LoginStep {
    let is = |error: LoginError| Said::from(Sentence::from(&error)) == *problem;
    let word = match () {
        () if is(LoginError::PasswordWrong) => "invalid_password",
        () if is(LoginError::CodeWrong) => "invalid_code",
        () if is(LoginError::CodeExpired) => "timeout",
        () if is(LoginError::NumberFlood) => "rate_limit_exceeded",
        () if is(LoginError::CodeNotSent) || is(LoginError::PasswordNotAsked) => "authorization_not_started",
        () if is(LoginError::NumberInvalid) || is(LoginError::NumberUnregistered) => "phone_number_invalid",
        () if is(LoginError::NumberBanned) => "phone_number_banned",
        // Sentences with a number in them.
        () if problem.en.contains("logs in here") => "phone_number_invalid",
        () if problem.en.contains("asks to wait") => "rate_limit_exceeded",
        () => "failed",
    };
    LoginStep::Failed { word, sentence: problem.en.clone(), russian: problem.ru.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn why_a_login_failed_is_said_to_programs_in_english_and_to_people_in_their_language() {
        for (error, expected, said) in [
            (LoginError::CodeWrong, "invalid_code", "Код неверный"),
            (LoginError::PasswordWrong, "invalid_password", "Пароль неверный"),
            (LoginError::NumberInvalid, "phone_number_invalid", "Telegram не знает такого номера"),
        ] {
            match failed(&Said::from(Sentence::from(&error))) {
                LoginStep::Failed { word, sentence, russian } => {
                    assert_eq!(word, expected);
                    assert!(sentence.is_ascii() && russian.starts_with(said), "{sentence} {russian}");
                }
                step => panic!("{step:?}"),
            }
        }
    }
}
