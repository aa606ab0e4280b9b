//! What a line is told to do, and who waits for it.

use std::time::Duration;

use tgtrunk_config::control::{CallInfo, CheckName, LoginInfo, Refusal};
use tgtrunk_config::{CallId, Digits, LoginToken, Password, UserId};
use tgtrunk_telegram::LoginWord;
use tokio::sync::oneshot;

use super::checks;

/// What a line may be told.
pub(crate) enum Order {
    Calls(oneshot::Sender<Vec<CallInfo>>),
    HangUp(CallId, oneshot::Sender<bool>),
    /// Writes the records of all that was until now.
    Write(oneshot::Sender<()>),
    /// Tells how loud both sides of a call are, for a while.
    Watch(CallId, oneshot::Sender<bool>),
    /// Records a call, or pauses its recording.
    Record(CallId, bool, oneshot::Sender<bool>),
    /// Presses keys for the PBX; the answer is none where the call is not of this line.
    Dial(CallId, Keys, oneshot::Sender<Result<(), Refusal>>),
    /// Calls a person from nowhere: they hear themselves.
    Call(tgtrunk_telegram::Person),
    /// Who has this number or name, as far as the line may look people up now.
    Find(tgtrunk_telegram::Person, oneshot::Sender<Result<UserId, Refusal>>),
    /// Has the PBX ring an extension, and calls a person when somebody answers there.
    Join {
        extension: String,
        person: UserId,
        /// The same key within a while is the same call.
        key: Option<String>,
        answer: oneshot::Sender<Result<CallId, Refusal>>,
    },
    /// Lets another session of the account in; the answer is the account's password if it was told a moment ago.
    AcceptLogin(LoginToken, oneshot::Sender<Result<Option<Password>, Refusal>>),
    /// Leads the login of the line's account a step on.
    Login(LoginWord, oneshot::Sender<Result<LoginInfo, Refusal>>),
    /// Looks at what the line needs, after mending one thing where that is wanted.
    Check(Option<CheckName>, checks::Answer),
    /// Lets running calls go on for the grace, then ends them and the line.
    Stop(Duration),
}

impl Order {
    /// Whether somebody still waits for the answer, where what is done is known to nobody without it.
    pub(super) fn is_wanted(&self) -> bool {
        match self {
            Self::Join { answer, .. } => !answer.is_closed(),
            Self::Find(_, answer) => !answer.is_closed(),
            Self::AcceptLogin(_, answer) => !answer.is_closed(),
            Self::Check(_, answer) => !answer.is_closed(),
            Self::Calls(_)
            | Self::HangUp(..)
            | Self::Write(_)
            | Self::Watch(..)
            | Self::Record(..)
            | Self::Dial(..)
            | Self::Call(_)
            | Self::Login(..)
            | Self::Stop(_) => true,
        }
    }
}

/// Keys to press, and for how long; `None` as the line's settings say.
#[derive(Debug, Clone)]
pub(crate) struct Keys {
    pub(crate) digits: Digits,
    pub(crate) tone: Option<Duration>,
    pub(crate) pause: Option<Duration>,
    /// Whoever asks again has the same one.
    pub(crate) key: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_waits_for_any_more_is_not_done_where_its_answer_matters() {
        let (answer, asked) = oneshot::channel();
        let person = UserId::new(5).unwrap();
        let join = Order::Join { extension: "2001".to_owned(), person, key: None, answer };
        assert!(join.is_wanted());
        drop(asked);
        assert!(!join.is_wanted());
        let (answer, asked) = oneshot::channel();
        let accept = Order::AcceptLogin(LoginToken::new(b"token").unwrap(), answer);
        assert!(accept.is_wanted());
        drop(asked);
        assert!(!accept.is_wanted());
        let (answer, _) = oneshot::channel();
        assert!(Order::HangUp(CallId(1), answer).is_wanted(), "a call ends for whoever wanted that");
    }
}
