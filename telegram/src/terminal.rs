//! The login at a terminal: shows what is needed and asks for it until somebody is logged in.
//!
//! It leads the login by the words of the control contract, whether a running program answers them over its socket or a
//! [`LoginDesk`](crate::LoginDesk) of this process does.

use std::io::{self, BufRead, Write};
use std::time::Duration;

use qrcode::QrCode;
use qrcode::render::unicode::Dense1x2;
use tgtrunk_config::control::{Ask, LoginInfo, LoginMethod, LoginStage, Peer};
use tgtrunk_config::{Language, LoginCode, Password, Phone, Said};
use tokio::time::sleep;
use zeroize::Zeroizing;

use crate::sentence::{Prompt, Sentence};

/// How often a login that waits for another device is looked at.
const LOOK: Duration = Duration::from_secs(1);

/// Why a login at the terminal ended without a user.
#[derive(Debug, thiserror::Error)]
pub enum TerminalError<E> {
    /// The words reach nobody.
    #[error(transparent)]
    Unanswered(E),
    /// Telegram refuses.
    #[error("{}", .0.en)]
    Refused(Said),
    /// The terminal failed.
    #[error("the terminal: {0}")]
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

/// A keyboard that gives lines by a function, which is told whether they are secret.
#[derive(Debug)]
pub struct Typed<F>(pub F);

impl<F: FnMut(bool) -> io::Result<Option<String>>> Keyboard for Typed<F> {
    fn line(&mut self, secret: bool) -> io::Result<Option<String>> {
        self.0(secret)
    }
}

/// Logs a line's account in, reading answers from `input` and asking on `output`. Whatever `ask` puts the words to
/// answers with what is needed then.
///
/// Reads block the calling thread; use a runtime with several.
///
/// # Errors
/// [`TerminalError`]; mistakes that can be mended are told on `output` and asked again.
pub async fn log_in<E>(
    mut ask: impl AsyncFnMut(Ask) -> Result<LoginInfo, E>,
    phone: &Phone,
    method: LoginMethod,
    language: Language,
    input: &mut impl Keyboard,
    output: &mut impl Write,
) -> Result<Peer, TerminalError<E>> {
    let line = || phone.clone();
    let mut terminal = Terminal { language, input, output, drawn: None };
    let mut info = ask(Ask::Login { line: line() }).await.map_err(TerminalError::Unanswered)?;
    info.problem = None;
    if let LoginStage::Done { account } = &info.stage
        && !terminal.wants(&Prompt::Again { name: name(account) })?
    {
        return Ok(account.clone());
    }
    let is_other_way = matches!(
        (&info.stage, method),
        (LoginStage::Code { .. }, LoginMethod::Qr) | (LoginStage::Qr { .. }, LoginMethod::Code)
    );
    let mut begins = is_other_way || matches!(info.stage, LoginStage::Done { .. } | LoginStage::Start);
    loop {
        let begun = std::mem::take(&mut begins);
        let word = if begun {
            Ask::StartLogin { line: line(), method }
        } else {
            match &info.stage {
                LoginStage::Done { account } => {
                    terminal.tell(&Prompt::stage(&info.stage))?;
                    return Ok(account.clone());
                }
                LoginStage::Start => {
                    terminal.wants(&Prompt::Retry)?.then_some(()).ok_or(TerminalError::Ended)?;
                    Ask::StartLogin { line: line(), method }
                }
                LoginStage::Qr { token, .. } => {
                    terminal.draw(token.as_str())?;
                    sleep(LOOK).await;
                    Ask::Login { line: line() }
                }
                LoginStage::Code { .. } => {
                    let typed = terminal.ask(&Prompt::stage(&info.stage), false)?;
                    match typed.trim() {
                        "" => Ask::ResendCode { line: line() },
                        code => Ask::EnterCode { line: line(), code: LoginCode::new(code) },
                    }
                }
                LoginStage::Password { .. } => {
                    let typed = terminal.ask(&Prompt::stage(&info.stage), true)?;
                    Ask::EnterPassword { line: line(), password: Password::new(typed.as_str()) }
                }
            }
        };
        let before = info.problem.take();
        info = ask(word).await.map_err(TerminalError::Unanswered)?;
        let Some(problem) = &info.problem else { continue };
        if before.as_ref() != Some(problem) || !matches!(info.stage, LoginStage::Qr { .. }) {
            terminal.say(problem.in_language(language))?;
        }
        if begun && matches!(info.stage, LoginStage::Start | LoginStage::Done { .. }) {
            return Err(TerminalError::Refused(problem.clone()));
        }
    }
}

struct Terminal<'a, K, W> {
    language: Language,
    input: &'a mut K,
    output: &'a mut W,
    /// The QR code that is shown.
    drawn: Option<String>,
}

impl<K: Keyboard, W: Write> Terminal<'_, K, W> {
    fn say(&mut self, text: &str) -> io::Result<()> {
        writeln!(self.output, "{text}")
    }

    fn tell(&mut self, prompt: &Prompt) -> io::Result<()> {
        self.say(Sentence::from(prompt).in_language(self.language))
    }

    /// Shows a login token as another device scans it.
    fn draw(&mut self, token: &str) -> io::Result<()> {
        if self.drawn.as_deref() == Some(token) {
            return Ok(());
        }
        self.drawn = Some(token.to_owned());
        let link = format!("tg://login?token={token}");
        if let Ok(code) = QrCode::new(&link) {
            // Light on dark is what terminals are; scanners want the code dark on light.
            let picture =
                code.render::<Dense1x2>().dark_color(Dense1x2::Light).light_color(Dense1x2::Dark).build();
            self.say(&picture)?;
        }
        self.say(&link)?;
        self.tell(&Prompt::Scan)
    }

    fn ask<E>(&mut self, prompt: &Prompt, is_secret: bool) -> Result<Zeroizing<String>, TerminalError<E>> {
        write!(self.output, "{}", Sentence::from(prompt).in_language(self.language))?;
        self.output.flush()?;
        let Some(line) = self.input.line(is_secret)?.map(Zeroizing::new) else {
            self.say("")?;
            self.tell(&Prompt::Ended)?;
            return Err(TerminalError::Ended);
        };
        Ok(Zeroizing::new(line.trim_end_matches(['\r', '\n']).to_owned()))
    }

    /// In either language, whatever was asked in: the keyboard may be switched to the other one.
    fn wants<E>(&mut self, prompt: &Prompt) -> Result<bool, TerminalError<E>> {
        let answer = self.ask(prompt, false)?;
        Ok(["y", "yes", "д", "да"].contains(&answer.trim().to_lowercase().as_str()))
    }
}

pub(crate) fn name(account: &Peer) -> String {
    let id = || account.id.map_or_else(String::new, |id| id.to_string());
    account.name.clone().unwrap_or_else(id)
}
