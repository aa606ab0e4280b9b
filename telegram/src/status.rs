//! How the account stands, derived from real checks: red = authorization needed, orange = waiting for Telegram,
//! green = it answered.

use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use tokio::sync::watch;
use tokio::time::Instant;

use crate::clock::wall_now;
use crate::notice::Notice;
use crate::session::Standing;

/// The account's lamp.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Status {
    /// Authorization is needed; nothing else is tried until a login.
    Red {
        /// Why.
        reason: Red,
    },
    /// Waiting for Telegram; the account keeps trying by itself.
    Orange {
        /// What it waits for.
        reason: Orange,
    },
    /// Telegram answers.
    Green {
        /// Since when without interruption.
        since: SystemTime,
        /// The last successful request or pong.
        last: SystemTime,
    },
}

/// Why authorization is needed.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Red {
    /// Nobody has logged in yet.
    NotLoggedIn,
    /// The user logged out here.
    LoggedOut,
    /// Telegram ended the session; its word for that (`AUTH_KEY_UNREGISTERED`, `SESSION_REVOKED` ...).
    Revoked(String),
    /// Telegram does not know our key (transport error 404); it is kept.
    KeyUnknown,
    /// The session was used from two places at once (`AUTH_KEY_DUPLICATED`).
    KeyDuplicated,
}

/// What an account waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Orange {
    /// The first connection.
    Starting,
    /// A login is complete and the connection is being made anew.
    LoggedIn,
    /// Telegram closed the connection, or it could not be made.
    ConnectionLost {
        /// What the system said, if anything.
        cause: String,
    },
    /// The proxy is not there, or does not connect us to Telegram.
    Proxy {
        /// Which, without user and password.
        proxy: String,
        /// What it said.
        cause: String,
    },
    /// No answer within the limit: the connection is given up and made anew.
    NoAnswer,
    /// Telegram answers with errors of its own.
    Refused {
        /// Its word.
        error: String,
    },
    /// Telegram asks for fewer connections (transport errors 429 and 444).
    Crowded,
    /// The link failed and is being started again.
    Restarting,
    /// A part of the account broke by a fault of ours. It does nothing more until it is opened anew.
    Broken,
    /// The account is shut down.
    Stopped,
}

impl Red {
    /// The reason a stored standing gives; `None` if it gives none.
    pub(crate) fn of(standing: &Standing) -> Option<Self> {
        match standing {
            Standing::Authorized => None,
            Standing::Fresh => Some(Self::NotLoggedIn),
            Standing::LoggedOut => Some(Self::LoggedOut),
            Standing::Revoked(error) if error == DUPLICATED => Some(Self::KeyDuplicated),
            Standing::Revoked(error) => Some(Self::Revoked(error.clone())),
        }
    }

    /// What to store so that a restart does not ask Telegram again. An unknown key is tried anew by a restart.
    pub(crate) fn standing(&self) -> Option<Standing> {
        match self {
            Self::KeyUnknown => None,
            Self::NotLoggedIn => Some(Standing::Fresh),
            Self::LoggedOut => Some(Standing::LoggedOut),
            Self::KeyDuplicated => Some(Standing::Revoked(DUPLICATED.to_owned())),
            Self::Revoked(error) => Some(Standing::Revoked(error.clone())),
        }
    }
}

const DUPLICATED: &str = "AUTH_KEY_DUPLICATED";

/// The owner of the lamp.
#[derive(Debug)]
pub(crate) struct Health {
    status: watch::Sender<Status>,
    /// What changes meant, for those who watch too seldom to see each.
    news: Mutex<Vec<Notice>>,
    /// Since when Telegram does not answer that did.
    lost: Mutex<Option<Instant>>,
}

impl Health {
    pub(crate) fn new(standing: &Standing) -> Self {
        let status = match Red::of(standing) {
            Some(reason) => Status::Red { reason },
            None => Status::Orange { reason: Orange::Starting },
        };
        Self { status: watch::Sender::new(status), news: Mutex::default(), lost: Mutex::default() }
    }

    pub(crate) fn watch(&self) -> watch::Receiver<Status> {
        self.status.subscribe()
    }

    pub(crate) fn red(&self) -> Option<Red> {
        match &*self.status.borrow() {
            Status::Red { reason } => Some(reason.clone()),
            Status::Orange { .. } | Status::Green { .. } => None,
        }
    }

    /// Since when Telegram does not answer; none while it does, and while it has not answered yet.
    pub(crate) fn lost_since(&self) -> Option<Instant> {
        *self.lost.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn is_green(&self) -> bool {
        matches!(&*self.status.borrow(), Status::Green { .. })
    }

    /// An authorized request succeeded.
    pub(crate) fn proven(&self) {
        let now = wall_now();
        self.change(|status| match status {
            Status::Red { .. } | Status::Orange { reason: Orange::Broken | Orange::Stopped } => false,
            Status::Orange { .. } => {
                *status = Status::Green { since: now, last: now };
                true
            }
            Status::Green { last, .. } => {
                *last = now;
                false
            }
        });
    }

    /// A pong came: proof of life, not of authorization.
    pub(crate) fn alive(&self) {
        if self.is_green() {
            self.proven();
        }
    }

    /// The connection was closed. If something is amiss already, that says more.
    pub(crate) fn lost(&self, cause: &str) {
        if self.is_green() {
            self.waiting(Orange::ConnectionLost { cause: cause.to_owned() });
        }
    }

    /// Something is amiss. Red stays red.
    pub(crate) fn waiting(&self, waits_for: Orange) {
        self.change(|status| match status {
            Status::Red { .. } | Status::Orange { reason: Orange::Stopped } => false,
            Status::Orange { reason: Orange::Broken } if waits_for != Orange::Stopped => false,
            Status::Orange { reason } if *reason == waits_for => false,
            Status::Orange { .. } | Status::Green { .. } => {
                *status = Status::Orange { reason: waits_for };
                true
            }
        });
    }

    /// Authorization is needed. True if that is news.
    pub(crate) fn ended(&self, why: Red) -> bool {
        self.change(|status| match status {
            Status::Orange { reason: Orange::Broken | Orange::Stopped } => false,
            Status::Red { reason } if *reason == why => false,
            Status::Red { .. } | Status::Orange { .. } | Status::Green { .. } => {
                *status = Status::Red { reason: why };
                true
            }
        })
    }

    /// A part of the account broke; whatever was amiss besides, nothing goes on.
    pub(crate) fn broke(&self) {
        self.change(|status| {
            *status = Status::Orange { reason: Orange::Broken };
            true
        });
    }

    /// A login is complete: red is over.
    pub(crate) fn logged_in(&self) {
        self.change(|status| {
            *status = Status::Orange { reason: Orange::LoggedIn };
            true
        });
    }

    /// What happened since this was last asked, in its order.
    pub(crate) fn take_news(&self) -> Vec<Notice> {
        std::mem::take(&mut *self.news.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Changes the lamp and notes what that means.
    fn change(&self, change: impl FnOnce(&mut Status) -> bool) -> bool {
        self.status.send_if_modified(|status| {
            let before = status.clone();
            let changed = change(status);
            if changed {
                self.news.lock().unwrap_or_else(PoisonError::into_inner).extend(news(&before, status));
                let mut lost = self.lost.lock().unwrap_or_else(PoisonError::into_inner);
                *lost = match (&before, &*status) {
                    (Status::Green { .. }, Status::Orange { .. }) => Some(Instant::now()),
                    (_, Status::Orange { .. }) => *lost,
                    (_, Status::Red { .. } | Status::Green { .. }) => None,
                };
            }
            changed
        })
    }

    /// Returns once the lamp is red.
    pub(crate) async fn until_red(&self) -> Red {
        let mut watch = self.watch();
        loop {
            if let Status::Red { reason } = &*watch.borrow_and_update() {
                return reason.clone();
            }
            if watch.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }
}

/// What a change of the lamp means. That a login is begun on a red account is no news.
fn news(before: &Status, after: &Status) -> Option<Notice> {
    match (before, after) {
        (Status::Red { .. }, Status::Red { .. }) => None,
        (_, Status::Red { reason }) => Some(Notice::Revoked { reason: reason.clone() }),
        (Status::Green { .. }, Status::Orange { .. }) => Some(Notice::Disconnected),
        (Status::Red { .. } | Status::Orange { .. }, Status::Green { .. }) => Some(Notice::Connected),
        (Status::Red { .. } | Status::Orange { .. }, Status::Orange { .. })
        | (Status::Green { .. }, Status::Green { .. }) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_change_is_told_once_however_seldom_somebody_looks() {
        let health = Health::new(&Standing::Fresh);
        health.logged_in();
        health.proven();
        health.proven();
        health.waiting(Orange::NoAnswer);
        health.waiting(Orange::Crowded);
        health.proven();
        health.ended(Red::KeyUnknown);
        health.ended(Red::NotLoggedIn);
        let revoked = Notice::Revoked { reason: Red::KeyUnknown };
        assert_eq!(health.take_news(), [Notice::Connected, Notice::Disconnected, Notice::Connected, revoked]);
        assert_eq!(health.take_news(), []);
    }

    #[test]
    fn a_pong_keeps_green_alive_but_only_an_authorized_answer_makes_it_green() {
        let health = Health::new(&Standing::Authorized);
        health.alive();
        assert!(!health.is_green());
        health.proven();
        assert!(health.is_green());
        health.waiting(Orange::NoAnswer);
        health.alive();
        assert!(!health.is_green());
    }

    #[test]
    fn a_silence_lasts_from_the_last_answer_whatever_it_is_called_meanwhile() {
        let health = Health::new(&Standing::Authorized);
        health.lost("never there");
        assert_eq!(health.lost_since(), None);
        health.proven();
        assert_eq!(health.lost_since(), None);
        let before = Instant::now();
        health.lost("gone");
        let since = health.lost_since().unwrap();
        assert!(since >= before);
        health.waiting(Orange::NoAnswer);
        health.waiting(Orange::Crowded);
        assert_eq!(health.lost_since(), Some(since));
        health.proven();
        assert_eq!(health.lost_since(), None);
        health.waiting(Orange::NoAnswer);
        health.ended(Red::KeyUnknown);
        assert_eq!(health.lost_since(), None);
    }

    #[test]
    fn red_is_left_only_by_a_login() {
        let health = Health::new(&Standing::Fresh);
        health.proven();
        health.waiting(Orange::NoAnswer);
        assert_eq!(health.red(), Some(Red::NotLoggedIn));
        health.logged_in();
        health.proven();
        assert!(health.is_green());
        assert!(health.ended(Red::KeyDuplicated));
        assert!(!health.ended(Red::KeyDuplicated));
        assert_eq!(health.red(), Some(Red::KeyDuplicated));
    }

    #[test]
    fn what_ended_a_session_is_the_same_after_a_restart_and_an_unknown_key_is_tried_again() {
        for reason in
            [Red::NotLoggedIn, Red::LoggedOut, Red::KeyDuplicated, Red::Revoked("SESSION_REVOKED".into())]
        {
            assert_eq!(Red::of(&reason.standing().unwrap()), Some(reason));
        }
        assert_eq!(Red::KeyUnknown.standing(), None);
    }
}
