//! One code logs both sessions in: the client's follows the gateway's, which lets it in.
//!
//! A session that nobody logged in yet follows whenever the gateway's works. One that Telegram ended follows only a new
//! login at the gateway, for somebody may have ended it on purpose; one that was logged out here waits for a person.

use std::path::PathBuf;
use std::time::Duration;

use tgtrunk_config::control::{Answer, Ask, LoginStage, Refusal};
use tgtrunk_config::{Phone, Said};
use tgtrunk_shell::asking;
use tgtrunk_telegram::{Acceptance, LoginWord, Red, Status};
use tokio::time::{Instant, timeout};

/// How long the gateway may take to let us in.
const ACCEPTANCE: Duration = Duration::from_secs(30);
/// Between two attempts, at first and at most; each time twice as long.
const FIRST_PAUSE: Duration = Duration::from_secs(15);
const LONGEST_PAUSE: Duration = Duration::from_secs(600);

/// When the client's session is let in.
#[derive(Debug, Default)]
pub(crate) struct SecondLogin {
    /// The gateway's session is known to work.
    gateway_works: bool,
    /// When it is tried next.
    try_at: Option<Instant>,
    /// Somebody logged the gateway's session in, and ours did not follow yet.
    is_fresh: bool,
    /// A person gave the login up or ended the session.
    is_unwanted: bool,
    pause: Option<Duration>,
}

impl SecondLogin {
    /// Whether the gateway's session works.
    pub(crate) fn gateway_works(&mut self, works: bool, now: Instant) {
        if works && !self.gateway_works {
            (self.try_at, self.pause) = (Some(now), None);
        }
        self.gateway_works = works;
    }

    /// Somebody logged the gateway's session in.
    pub(crate) fn gateway_logged_in(&mut self, now: Instant) {
        (self.is_fresh, self.is_unwanted) = (true, false);
        (self.try_at, self.pause) = (Some(now), None);
    }

    /// What a person does about the login comes first.
    pub(crate) fn person_says(&mut self, word: &LoginWord) {
        match word {
            LoginWord::Cancel | LoginWord::LogOut => self.is_unwanted = true,
            LoginWord::Start(_) | LoginWord::StartFor(_) | LoginWord::Forget => self.is_unwanted = false,
            LoginWord::Look | LoginWord::Resend | LoginWord::Code(_) | LoginWord::Password(_) => {}
        }
    }

    /// Whether it is to be tried now; then it counts as tried.
    pub(crate) fn is_due(&mut self, status: &Status, stage: &LoginStage, now: Instant) -> bool {
        if let LoginStage::Done { .. } = stage {
            (self.is_fresh, self.pause) = (false, None);
            return false;
        }
        let is_missing = match status {
            Status::Red { reason: Red::NotLoggedIn } => true,
            Status::Red { reason: Red::LoggedOut } => false,
            Status::Red { reason: Red::Revoked(_) | Red::KeyUnknown | Red::KeyDuplicated } => self.is_fresh,
            Status::Orange { .. } | Status::Green { .. } => false,
        };
        let is_time = self.gateway_works && self.try_at.is_some_and(|try_at| try_at <= now);
        if self.is_unwanted || !is_missing || !is_time || *stage != LoginStage::Start {
            return false;
        }
        let pause = self.pause.unwrap_or(FIRST_PAUSE);
        self.try_at = Some(now + pause);
        self.pause = Some((pause * 2).min(LONGEST_PAUSE));
        true
    }
}

/// Has the running gateway accept a token; it gives the account's password if it was told it a moment ago.
pub(crate) fn acceptance(gateway: PathBuf, phone: &Phone) -> Acceptance {
    let line = phone.clone();
    Box::new(move |token| {
        Box::pin(async move {
            let asked = asking::ask(&gateway, Ask::AcceptLogin { line, token });
            match timeout(ACCEPTANCE, asked).await {
                Ok(Ok(Answer::Accepted { password })) => Ok(password),
                Ok(Ok(_)) => Err(Said::new("the gateway answered something else", "шлюз ответил не то")),
                Ok(Err(error)) => Err(cause(&error)),
                Err(_) => Err(Said::new("the gateway does not answer", "шлюз не отвечает")),
            }
        })
    })
}

/// What the gateway said, as a part of a sentence.
fn cause(error: &anyhow::Error) -> Said {
    let said = match error.downcast_ref::<Refusal>() {
        Some(refusal) => refusal.said(),
        None => Said::from(format!("{error:#}")),
    };
    said.within(|en| en.trim_end_matches('.').to_owned(), |ru| ru.trim_end_matches('.').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_that_nobody_logged_in_follows_the_gateways_and_is_tried_ever_less_often() {
        let (mut second, now) = (SecondLogin::default(), Instant::now());
        let red = Status::Red { reason: Red::NotLoggedIn };
        assert!(!second.is_due(&red, &LoginStage::Start, now), "the gateway's is not there");
        second.gateway_works(true, now);
        assert!(second.is_due(&red, &LoginStage::Start, now));
        second.gateway_works(true, now);
        assert!(!second.is_due(&red, &LoginStage::Start, now));
        assert!(second.is_due(&red, &LoginStage::Start, now + FIRST_PAUSE));
        assert!(!second.is_due(&red, &LoginStage::Start, now + FIRST_PAUSE * 2));
        assert!(!second.is_due(&red, &LoginStage::Password { hint: None }, now + FIRST_PAUSE * 3));
        second.gateway_logged_in(now + FIRST_PAUSE * 2);
        assert!(second.is_due(&red, &LoginStage::Start, now + FIRST_PAUSE * 2));
    }

    #[test]
    fn a_session_that_telegram_ended_follows_a_new_login_only_and_one_that_was_logged_out_none() {
        let (mut second, now) = (SecondLogin::default(), Instant::now());
        let revoked = Status::Red { reason: Red::Revoked("SESSION_REVOKED".into()) };
        let out = Status::Red { reason: Red::LoggedOut };
        second.gateway_works(true, now);
        assert!(!second.is_due(&revoked, &LoginStage::Start, now));
        second.gateway_logged_in(now);
        assert!(!second.is_due(&out, &LoginStage::Start, now));
        assert!(second.is_due(&revoked, &LoginStage::Start, now));
    }

    #[test]
    fn whoever_gives_the_login_up_is_not_logged_in_behind_their_back() {
        let (mut second, now) = (SecondLogin::default(), Instant::now());
        let red = Status::Red { reason: Red::NotLoggedIn };
        second.gateway_works(true, now);
        second.person_says(&LoginWord::Cancel);
        assert!(!second.is_due(&red, &LoginStage::Start, now));
        second.person_says(&LoginWord::Forget);
        assert!(second.is_due(&red, &LoginStage::Start, now));
    }
}
