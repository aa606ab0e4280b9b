//! A pressed key of the keypad on its way into the call. Between the two stands the gateway's answer and nothing else.

use std::time::{Duration, Instant};

use tgtrunk_config::control::RefusalCode;
use tgtrunk_config::{CallId, Digits, TextKey, UserId};
use tgtrunk_shell::asking::AskError;
use tokio::time::sleep;

use crate::calls::{Calls, Standing};
use crate::clock;
use crate::gateway::Gateway;

/// How long a press waits for the gateway's connection while its call may live.
const CONNECTION: Duration = Duration::from_secs(2);
/// How long the event of a call may be on its way.
const EVENT: Duration = Duration::from_millis(500);
/// How long it waits for the PBX to listen. Telegram gives up waiting for an answer a little later.
const AUDIO: Duration = Duration::from_secs(10);
/// Between two attempts.
const PAUSE: Duration = Duration::from_millis(20);

/// What became of a press.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The gateway presses the keys.
    Pressed,
    /// The call is over, or never was.
    NoCall,
    /// The call is somebody else's.
    NotYours,
    /// It did not reach the call. Why, for the log.
    NotSent(String),
}

/// Whether a press may go on, as far as it is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum May {
    Yes,
    NoCall,
    NotYours,
    /// Nobody can tell until the gateway is there.
    Wait,
    /// Nobody has heard of the call yet.
    Unheard,
}

impl Verdict {
    /// What the person reads.
    pub(crate) fn text(&self) -> TextKey {
        match self {
            Self::Pressed => TextKey::Pressed,
            Self::NoCall => TextKey::NoCall,
            Self::NotYours => TextKey::NotYours,
            Self::NotSent(_) => TextKey::NotSent,
        }
    }
}

/// Presses keys in a call, once for one `key`; the press arrived then. It must be the `caller`'s, unless that was looked
/// at already.
pub(crate) async fn press(
    gateway: &Gateway,
    call: CallId,
    caller: Option<UserId>,
    digits: &Digits,
    key: &str,
    arrived: Instant,
) -> Verdict {
    loop {
        let may = may_press(&gateway.calls(), call, caller);
        match may {
            May::NoCall => return Verdict::NoCall,
            May::NotYours => return Verdict::NotYours,
            May::Wait => {
                if !gateway.wait_until(arrived + CONNECTION, |calls| calls.standing() == Standing::Up).await {
                    return Verdict::NotSent("the gateway does not run".to_owned());
                }
            }
            May::Unheard => {
                let heard = |calls: &Calls| calls.live(call).is_some() || calls.over(call).is_some();
                if !gateway.wait_until(arrived + EVENT, heard).await {
                    return Verdict::NoCall;
                }
            }
            May::Yes => {
                let (error, limit) = match gateway.press(call, digits.clone(), key).await {
                    Ok(()) => return Verdict::Pressed,
                    Err(error) => match limit(&error) {
                        Ok(limit) => (error, limit),
                        Err(verdict) => return verdict,
                    },
                };
                if clock::now() >= arrived + limit {
                    return Verdict::NotSent(error.to_string());
                }
                sleep(PAUSE).await;
            }
        }
    }
}

fn may_press(calls: &Calls, call: CallId, caller: Option<UserId>) -> May {
    match (calls.live(call), calls.standing()) {
        (Some(info), _) if caller.is_some() && info.peer.id != caller => May::NotYours,
        (_, Standing::Unknown | Standing::Gone) if calls.over(call).is_none() => May::Wait,
        (Some(_), _) => May::Yes,
        (None, _) if calls.over(call).is_some() => May::NoCall,
        (None, _) => May::Unheard,
    }
}

/// How long a press may be tried again after this.
///
/// # Errors
/// What became of it, when it may not.
fn limit(error: &AskError) -> Result<Duration, Verdict> {
    match error {
        // It may have been done; then it is not done again.
        AskError::Gone => Ok(CONNECTION),
        AskError::NoAnswer => Ok(AUDIO),
        AskError::Refused(refusal) => match refusal.code {
            RefusalCode::NoAudio | RefusalCode::Full => Ok(AUDIO),
            RefusalCode::Stopping => Ok(CONNECTION),
            RefusalCode::UnknownCall => Err(Verdict::NoCall),
            RefusalCode::BadRequest
            | RefusalCode::UnknownBot
            | RefusalCode::UnknownPerson
            | RefusalCode::UnknownLine
            | RefusalCode::LineExists
            | RefusalCode::BadLine
            | RefusalCode::NotAuthorized
            | RefusalCode::Telegram
            | RefusalCode::BadToken
            | RefusalCode::LabelTaken
            | RefusalCode::UnknownToken
            | RefusalCode::UnknownUpdate
            | RefusalCode::Unreachable
            | RefusalCode::Limit
            | RefusalCode::Strangers
            | RefusalCode::Forbidden
            | RefusalCode::Internal => Err(Verdict::NotSent(error.to_string())),
        },
    }
}

#[cfg(test)]
mod tests {
    use tgtrunk_config::control::{CallState, Event, Refusal};
    use tgtrunk_shell::asking::Told;

    use super::*;
    use crate::calls::tests::{call, up};

    #[test]
    fn only_the_caller_may_press_and_only_while_the_call_lives() {
        let mut calls = Calls::default();
        assert_eq!(may(&calls, 1, 7), May::Wait);
        calls.handle(up(vec![call(1, 7, CallState::Incoming)]));
        assert_eq!(may(&calls, 1, 7), May::Yes);
        assert_eq!(may(&calls, 1, 8), May::NotYours);
        assert_eq!(may(&calls, 2, 7), May::Unheard);
        calls.handle(Told::Event(Event::Call(call(1, 7, CallState::Ended))));
        assert_eq!(may(&calls, 1, 7), May::NoCall);
    }

    #[test]
    fn while_the_gateway_is_gone_a_call_that_may_live_is_waited_for() {
        let mut calls = Calls::default();
        calls.handle(up(vec![call(1, 7, CallState::Answered), call(2, 7, CallState::Answered)]));
        calls.handle(Told::Event(Event::Call(call(2, 7, CallState::Ended))));
        calls.handle(Told::Gone);
        assert_eq!(may(&calls, 1, 7), May::Wait);
        assert_eq!(may(&calls, 2, 7), May::NoCall);
        assert_eq!(may(&calls, 3, 7), May::Wait);
        assert_eq!(may(&calls, 1, 8), May::NotYours);
    }

    #[test]
    fn what_may_pass_is_tried_again_for_as_long_as_the_person_waits() {
        let refused = |code| limit(&AskError::Refused(Refusal { code, message: "m".into() }));
        assert_eq!(refused(RefusalCode::NoAudio), Ok(AUDIO));
        assert_eq!(refused(RefusalCode::Stopping), Ok(CONNECTION));
        assert_eq!((limit(&AskError::Gone), limit(&AskError::NoAnswer)), (Ok(CONNECTION), Ok(AUDIO)));
        assert_eq!(refused(RefusalCode::UnknownCall), Err(Verdict::NoCall));
        assert_eq!(refused(RefusalCode::Internal), Err(Verdict::NotSent("m".into())));
    }

    fn may(calls: &Calls, id: u64, person: i64) -> May {
        may_press(calls, CallId(id), UserId::new(person).ok())
    }
}
