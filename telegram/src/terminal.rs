//! The login at a terminal: asks for what is needed until somebody is logged in.

use std::io::{self, BufRead, Write};

use tgtrunk_config::Language;

use crate::account::Account;
use crate::login::{Login, LoginError, Stage};
use crate::person::Resolved;
use crate::sentence::{Prompt, Sentence};

/// Why a login at the terminal ended without a user.
#[derive(Debug, thiserror::Error)]
pub enum TerminalError {
    /// Telegram refuses for good.
    #[error(transparent)]
    Login(#[from] LoginError),
    /// The terminal failed.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The input ended first. The steps taken are kept.
    #[error("the input ended before the login did")]
    Ended,
}

/// Where answers are typed.
pub trait Keyboard {
    /// The next line, `None` at the end. What is `secret` is not to be shown while it is typed.
    ///
    /// # Errors
    /// When the input fails.
    fn line(&mut self, secret: bool) -> io::Result<Option<String>>;
}

/// Files and pipes show nothing anyway.
impl<R: BufRead> Keyboard for R {
    fn line(&mut self, _secret: bool) -> io::Result<Option<String>> {
        let mut line = String::new();
        Ok((self.read_line(&mut line)? > 0).then_some(line))
    }
}

/// Logs in, reading answers from `input` and asking on `output`. A `phone` that is given is not asked for.
///
/// Reads block the calling thread; use a runtime with several.
///
/// # Errors
/// [`TerminalError`]; mistakes that can be mended are told on `output` and asked again.
pub async fn log_in(
    account: &Account,
    phone: Option<&str>,
    language: Language,
    input: &mut (impl Keyboard + Send),
    output: &mut (impl Write + Send),
) -> Result<Resolved, TerminalError> {
    let login = account.login();
    let mut given = phone;
    let mut stage = login.stage().await?;
    if let Stage::Done(me) = &stage {
        let name = me.first_name.clone().unwrap_or_else(|| me.id.to_string());
        let answer = ask(&Prompt::Again { name }, language, input, output)?;
        if !is_yes(&answer) {
            return Ok(me.clone());
        }
        stage = Stage::Phone;
    }
    loop {
        if let Stage::Done(me) = &stage {
            writeln!(output, "{}", said(&Prompt::Next(stage.clone()), language))?;
            return Ok(me.clone());
        }
        let answer = match (&stage, given.take()) {
            (Stage::Phone, Some(phone)) => phone.to_owned(),
            (_, other) => {
                given = other;
                ask(&Prompt::Next(stage.clone()), language, input, output)?
            }
        };
        match take(&login, &stage, &answer).await {
            Ok(next) => stage = next,
            Err(error) => {
                writeln!(output, "{}", Sentence::from(&error).in_language(language))?;
                match error {
                    error if is_final(&error) => return Err(error.into()),
                    // The step may have been forgotten: a code too old is asked for by phone again.
                    _ => stage = login.stage().await?,
                }
            }
        }
    }
}

async fn take(login: &Login, stage: &Stage, answer: &str) -> Result<Stage, LoginError> {
    let answer = answer.trim_end_matches(['\r', '\n']);
    match stage {
        Stage::Phone => login.send_code(answer).await,
        Stage::Code { .. } if answer.trim().is_empty() => login.resend_code().await,
        Stage::Code { .. } => login.enter_code(answer).await,
        Stage::Password { .. } => login.enter_password(answer).await,
        Stage::Done(_) => Ok(stage.clone()),
    }
}

/// In either language, whatever was asked in: the keyboard may be switched to the other one.
fn is_yes(answer: &str) -> bool {
    ["y", "yes", "д", "да"].contains(&answer.trim().to_lowercase().as_str())
}

/// Failures that another answer does not mend.
fn is_final(error: &LoginError) -> bool {
    match error {
        LoginError::NumberInvalid
        | LoginError::NumberUnregistered
        | LoginError::CodeWrong
        | LoginError::CodeExpired
        | LoginError::CodeNotSent
        | LoginError::CodeNotResent
        | LoginError::PasswordWrong
        | LoginError::PasswordNotAsked
        | LoginError::StartAgain => false,
        LoginError::NumberBanned
        | LoginError::NumberFlood
        | LoginError::PasswordUnknownKind
        | LoginError::ApiInvalid
        | LoginError::ApiBlocked
        | LoginError::AppOnly
        | LoginError::EmailNeeded
        | LoginError::PaymentNeeded
        | LoginError::Deactivated
        | LoginError::FloodWait { .. }
        | LoginError::NoAnswer
        | LoginError::Offline { .. }
        | LoginError::Local { .. }
        | LoginError::Other { .. } => true,
    }
}

fn ask(
    prompt: &Prompt,
    language: Language,
    input: &mut impl Keyboard,
    output: &mut impl Write,
) -> Result<String, TerminalError> {
    write!(output, "{}", said(prompt, language))?;
    output.flush()?;
    let is_secret = matches!(prompt, Prompt::Next(Stage::Password { .. }));
    let Some(line) = input.line(is_secret)? else {
        writeln!(output, "\n{}", said(&Prompt::Ended, language))?;
        return Err(TerminalError::Ended);
    };
    Ok(line)
}

fn said(prompt: &Prompt, language: Language) -> String {
    Sentence::from(prompt).in_language(language).to_owned()
}
