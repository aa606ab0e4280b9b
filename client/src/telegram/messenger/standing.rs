//! How the account stands, in the words of the messages' instances.

use std::time::Duration;

use tgtrunk_config::control::LoginStage;
use tgtrunk_messages::Standing;
use tgtrunk_telegram::{Orange, Red, Status};
use tokio::time::{Instant, sleep_until};

use super::Correspondent;

/// A connection that is lost for so long changes nothing: what is to be sent waits. After that the instance is starting,
/// so that programs and people see that nothing goes and nothing comes.
const LOSS: Duration = Duration::from_secs(30);

/// How an account stands whose login is this far, and of which Telegram was heard last so long ago; none if it was not yet.
pub(super) fn of(status: &Status, lost: Option<Duration>, stage: &LoginStage) -> Standing {
    match status {
        Status::Green { .. } => Standing::Authorized,
        Status::Orange { reason: Orange::Starting | Orange::LoggedIn | Orange::Broken | Orange::Stopped } => {
            Standing::Starting
        }
        Status::Orange { .. } if lost.is_some_and(|lost| lost < LOSS) => Standing::Authorized,
        Status::Orange { .. } => Standing::Starting,
        Status::Red { reason: Red::Revoked(word) } if word.starts_with("USER_DEACTIVATED") => {
            Standing::Blocked
        }
        Status::Red { .. } => match stage {
            LoginStage::Password { .. } => Standing::PendingPassword,
            LoginStage::Start | LoginStage::Code { .. } | LoginStage::Qr { .. } | LoginStage::Done { .. } => {
                Standing::NotAuthorized
            }
        },
    }
}

impl Correspondent {
    pub(super) fn stands(&self) -> Standing {
        let lost = self.account.lost_since().map(|since| since.elapsed());
        of(&self.account.status().borrow(), lost, &self.door.stage())
    }

    pub(super) async fn until_standing_changes(&self) {
        let (mut status, mut login) = (self.account.status(), self.door.watch());
        let before = self.stands();
        while self.stands() == before {
            let lost = self.account.lost_since().map(|since| since + LOSS);
            let is_over = lost.is_none_or(|until| until <= Instant::now());
            let is_open = tokio::select! {
                changed = status.changed() => changed.is_ok(),
                changed = login.changed() => changed.is_ok(),
                () = sleep_until(lost.unwrap_or_else(Instant::now)), if !is_over => true,
            };
            if !is_open {
                std::future::pending::<()>().await;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lost_connection_is_no_change_for_half_a_minute_and_a_login_under_way_is_none_yet() {
        let lost = Status::Orange { reason: Orange::ConnectionLost { cause: "x".to_owned() } };
        let after = |s: u64| of(&lost, Some(Duration::from_secs(s)), &LoginStage::Start);
        assert_eq!((after(0), after(29)), (Standing::Authorized, Standing::Authorized));
        assert_eq!((after(30), after(86_400)), (Standing::Starting, Standing::Starting));
        assert_eq!(of(&lost, None, &LoginStage::Start), Standing::Starting, "it was never there");
        let red = |word: &str| Status::Red { reason: Red::Revoked(word.to_owned()) };
        assert_eq!(of(&red("SESSION_REVOKED"), None, &LoginStage::Start), Standing::NotAuthorized);
        assert_eq!(of(&red("USER_DEACTIVATED_BAN"), None, &LoginStage::Start), Standing::Blocked);
        let password = LoginStage::Password { hint: None };
        let red = Status::Red { reason: Red::NotLoggedIn };
        assert_eq!(of(&red, None, &password), Standing::PendingPassword);
    }
}
