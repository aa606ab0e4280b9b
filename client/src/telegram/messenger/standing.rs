//! How the account stands, in the words of the messages' instances.

use tgtrunk_config::control::LoginStage;
use tgtrunk_messages::{Messenger as _, Standing};
use tgtrunk_telegram::{Orange, Red, Status};

use super::Correspondent;

/// How an account stands whose login is this far. A connection that is lost for a while changes nothing: what is to be
/// sent waits.
pub(super) fn of(status: &Status, stage: &LoginStage) -> Standing {
    match status {
        Status::Green { .. } => Standing::Authorized,
        Status::Orange { reason: Orange::Starting | Orange::LoggedIn | Orange::Stopped } => {
            Standing::Starting
        }
        Status::Orange { .. } => Standing::Authorized,
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
    pub(super) async fn until_standing_changes(&self) {
        let (mut status, mut login) = (self.account.status(), self.door.watch());
        let before = self.standing();
        while self.standing() == before {
            let is_open = tokio::select! {
                changed = status.changed() => changed.is_ok(),
                changed = login.changed() => changed.is_ok(),
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
    fn a_lost_connection_is_no_change_and_a_login_under_way_is_none_yet() {
        let lost = Status::Orange { reason: Orange::ConnectionLost { cause: "x".to_owned() } };
        assert_eq!(of(&lost, &LoginStage::Start), Standing::Authorized);
        let red = |word: &str| Status::Red { reason: Red::Revoked(word.to_owned()) };
        assert_eq!(of(&red("SESSION_REVOKED"), &LoginStage::Start), Standing::NotAuthorized);
        assert_eq!(of(&red("USER_DEACTIVATED_BAN"), &LoginStage::Start), Standing::Blocked);
        let password = LoginStage::Password { hint: None };
        assert_eq!(of(&Status::Red { reason: Red::NotLoggedIn }, &password), Standing::PendingPassword);
    }
}
