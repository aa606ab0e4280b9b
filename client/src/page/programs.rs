//! Questions to the three programs, and what it means for a person when there is no answer.

use std::time::Duration;

use tgtrunk_config::control::{Answer, Ask, LoginInfo, Refusal};
use tgtrunk_config::{Phone, Said};
use tgtrunk_shell::asking;
use tokio::net::UnixStream;
use tokio::time::timeout;

use super::model::Part;
use super::office::{Office, absent, program};

/// How long an answer may take; Telegram may have a word in it.
const PATIENCE: Duration = Duration::from_secs(30);
/// How much longer than it was told to wait a program may take.
const SLACK: Duration = Duration::from_secs(5);

impl Office {
    /// Asks a program.
    ///
    /// # Errors
    /// Why there is no answer, with the remedy.
    pub(crate) async fn ask(&self, part: Part, ask: Ask) -> Result<Answer, Said> {
        let _turn = timeout(PATIENCE, self.questions.acquire()).await.map_err(|_| silent(part))?;
        self.asked(part, ask, PATIENCE).await
    }

    /// Waits for what a program logs. Not counted among the questions, which others wait for.
    ///
    /// # Errors
    /// As [`Office::ask`].
    pub(crate) async fn listen(&self, part: Part, after: u64, wait: Duration) -> Result<Answer, Said> {
        let wait_ms = u32::try_from(wait.as_millis()).unwrap_or(0);
        self.asked(part, Ask::Log { after, wait_ms }, wait + SLACK).await
    }

    async fn asked(&self, part: Part, ask: Ask, patience: Duration) -> Result<Answer, Said> {
        let socket = match part {
            Part::Gateway => self.state.gateway_socket(),
            Part::Client => self.state.client_socket(),
            Part::Bot => self.state.bot_socket(),
        };
        if UnixStream::connect(&socket).await.is_err() {
            return Err(absent(part));
        }
        match timeout(patience, asking::ask(&socket, ask)).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => match error.downcast::<Refusal>() {
                Ok(refusal) => Err(refusal.said()),
                Err(error) => {
                    tracing::debug!(error = format!("{error:#}"), "a program did not answer");
                    Err(absent(part))
                }
            },
            Err(_) => Err(silent(part)),
        }
    }

    /// Asks for a step of a login, and keeps how far it is.
    ///
    /// # Errors
    /// As [`Office::ask`].
    pub(crate) async fn login_step(&self, part: Part, ask: Ask) -> Result<LoginInfo, Said> {
        match self.ask(part, ask).await? {
            Answer::Login(info) => {
                self.hub.login(part, info.clone());
                Ok(info)
            }
            _ => Err(odd(part)),
        }
    }

    /// How far a login is. None where the program does not tell.
    pub(crate) async fn login_of(&self, part: Part, phone: &Phone) -> Option<LoginInfo> {
        self.login_step(part, Ask::Login { line: phone.clone() }).await.ok()
    }

    /// Has all programs read lines and bots again. Those that do not run read them when they start.
    pub(crate) async fn reload(&self) {
        let [one, two, three] = Part::ALL.map(|part| self.ask(part, Ask::Reload));
        let answers = tokio::join!(one, two, three);
        for said in [answers.0.err(), answers.1.err(), answers.2.err()].into_iter().flatten() {
            tracing::debug!(said = said.en, "not everybody has read the settings again");
        }
        self.hub.look();
    }
}

fn silent(part: Part) -> Said {
    let program = program(part);
    Said::new(
        format!("{program} does not answer. Try again, or restart it: systemctl restart {program}"),
        format!(
            "Программа {program} не отвечает. Повторите или перезапустите её: systemctl restart {program}"
        ),
    )
}

/// What is said of an answer that fits no question.
pub(crate) fn odd(part: Part) -> Said {
    let program = program(part);
    Said::new(
        format!("{program} answered something else: install all three programs from one release."),
        format!("Программа {program} ответила не то: установите все три программы из одного выпуска."),
    )
}
