//! "Call me back": first an extension of the PBX rings, then the person is called, and the message tells how it went.
//!
//! A row in the store goes along with it, so that a restart knows of every message that still says "we are finding
//! somebody".

use std::time::Duration;

use tgtrunk_config::control::{CallInfo, Ender};
use tgtrunk_config::{CallId, TextKey, Words};
use tokio::time::sleep;

use crate::bot::Desk;
use crate::calls::{Calls, Standing};
use crate::clock;
use crate::data::Pressed;
use crate::face::Face;
use crate::gateway::JoinError;
use crate::languages::in_english;
use crate::roster::Served;
use crate::store::Asked;
use crate::telegram::{Button, Keyboard};

/// How long a call-back waits for the gateway, and how long after a restart it is still wanted.
const GATEWAY: Duration = Duration::from_secs(30);
const WANTED: Duration = Duration::from_secs(120);
/// How often the gateway is asked in all, where nobody knows whether it ever got the first.
const TRIES: u32 = 2;
/// How long the first event of a call may be on its way.
const FIRST_EVENT: Duration = Duration::from_secs(5);
/// After that, a gateway that is gone has taken the call along.
const GONE: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(250);

/// How a call-back ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Both talked.
    Talked,
    /// Nobody at the company answered.
    Nobody,
    /// The person did not answer.
    Missed,
    /// There was no call. Why, for the log and for texts that want it.
    Failed(String),
}

impl Outcome {
    fn of(over: &CallInfo) -> Self {
        if over.answered_ms.is_some() {
            return Self::Talked;
        }
        match over.end.as_ref().map(|end| (end.by, &end.cause)) {
            Some((Ender::Pbx, _)) => Self::Nobody,
            Some((Ender::Telegram, _)) => Self::Missed,
            Some((Ender::Gateway, cause)) => Self::Failed(cause.clone()),
            None => Self::Failed("the call ended".to_owned()),
        }
    }

    /// Its name in the store.
    pub(crate) fn to_word(&self) -> String {
        match self {
            Self::Talked => "talked".to_owned(),
            Self::Nobody => "nobody".to_owned(),
            Self::Missed => "missed".to_owned(),
            Self::Failed(reason) => format!("failed {reason}"),
        }
    }

    /// Reads its name.
    pub(crate) fn from_word(word: &str) -> Self {
        match word {
            "talked" => Self::Talked,
            "nobody" => Self::Nobody,
            "missed" => Self::Missed,
            other => Self::Failed(other.strip_prefix("failed ").unwrap_or_default().to_owned()),
        }
    }

    fn text(&self) -> TextKey {
        match self {
            Self::Talked => TextKey::CallBackTalked,
            Self::Nobody => TextKey::CallBackNobody,
            Self::Missed => TextKey::CallBackMissed,
            Self::Failed(_) => TextKey::CallBackFailed,
        }
    }
}

/// Brings a call-back to its end, which is in the store when this returns, and is to be shown. So is `asked` before.
pub(crate) async fn run(desk: &Desk, mut asked: Asked) -> (Asked, Face) {
    if let Some(message) = &asked.message {
        desk.kept(desk.store.supersede(message).await);
    }
    let face = face(desk, &asked);
    face.show(words(desk, &asked, TextKey::CallBackRunning, ""), Keyboard::default());
    let outcome = match place(desk, &mut asked).await {
        Ok(call) => follow(desk, &mut asked, call).await,
        Err(outcome) => outcome,
    };
    tracing::info!(outcome = outcome.text().word(), "a call-back is over");
    asked.outcome = Some(outcome);
    desk.kept(desk.store.ask(&asked).await);
    (asked, face)
}

/// The message of a call-back.
pub(crate) fn face(desk: &Desk, asked: &Asked) -> Face {
    Face::new(desk.api.clone(), asked.message.clone())
}

/// Shows how a call-back ended, however long Telegram needs to take it, and forgets it.
pub(crate) async fn show(desk: &Desk, asked: &Asked, face: Face) {
    let Some(outcome) = &asked.outcome else { return };
    let reason = if let Outcome::Failed(reason) = outcome { reason.as_str() } else { "" };
    let again = if *outcome == Outcome::Talked { Keyboard::default() } else { button(desk, asked) };
    let text = words(desk, asked, outcome.text(), reason);
    if let (Some(operator), Outcome::Failed(_)) = (asked.operator, outcome)
        && let Err(failure) = desk.api.show(operator, &text, Keyboard::default()).await
    {
        tracing::warn!(%failure, "an operator is not told that a call failed");
    }
    face.show(text, again);
    face.finish().await;
    desk.kept(desk.store.answered(&asked.key).await);
}

/// Has the gateway place the call, once, as far as that can be known.
async fn place(desk: &Desk, asked: &mut Asked) -> Result<CallId, Outcome> {
    let failed = |reason: &str| Err(Outcome::Failed(reason.to_owned()));
    if let Some(call) = asked.call {
        return Ok(call);
    }
    let extension = desk.roster().line(&asked.line).and_then(|served| served.chat.call_back.clone());
    let Some(extension) = extension else { return failed("the line has nobody to ring") };
    let (limit, age) = (clock::now() + GATEWAY, clock::Age::of(asked.asked_ms));
    loop {
        if !desk.gateway.wait_until(limit, |calls| calls.standing() == Standing::Up).await {
            return failed("the gateway does not run");
        }
        let joined =
            |calls: &Calls| calls.joined(&asked.line, &extension, asked.person).map(|call| call.call);
        let found = if asked.tries > 0 { joined(&desk.gateway.calls()) } else { None };
        if let Some(call) = found {
            return Ok(note(desk, asked, call).await);
        }
        if asked.tries >= TRIES || age.now() > WANTED {
            return failed("the gateway did not answer");
        }
        // Written before it is asked: who finds this row knows that the call may exist.
        asked.tries += 1;
        desk.kept(desk.store.ask(asked).await);
        match desk.gateway.join(&asked.line, &extension, asked.person, &asked.key).await {
            Ok(call) => return Ok(note(desk, asked, call).await),
            Err(JoinError::Refused(refusal)) => {
                tracing::warn!(code = ?refusal.code, "a call-back is refused");
                tracing::debug!(line = %asked.line, why = refusal.message, "a call-back is refused");
                return Err(Outcome::Failed(refusal.message));
            }
            Err(JoinError::NotThere) => asked.tries -= 1,
            Err(JoinError::NoAnswer) => {}
        }
        sleep(PAUSE).await;
    }
}

async fn note(desk: &Desk, asked: &mut Asked, call: CallId) -> CallId {
    asked.call = Some(call);
    desk.kept(desk.store.ask(asked).await);
    call
}

/// Waits until the call is over.
async fn follow(desk: &Desk, asked: &mut Asked, call: CallId) -> Outcome {
    desk.gateway.call(call, clock::now() + FIRST_EVENT).await;
    let mut changes = desk.gateway.changes();
    loop {
        let mut talk = false;
        let standing = {
            let calls = changes.borrow_and_update();
            if let Some(over) = calls.over(call) {
                return Outcome::of(over);
            }
            match calls.live(call) {
                Some(live) => talk = live.answered_ms.is_some(),
                None if calls.standing() == Standing::Up => return unseen(asked.talked),
                None => {}
            }
            calls.standing()
        };
        if talk && !asked.talked {
            asked.talked = true;
            desk.kept(desk.store.ask(asked).await);
        }
        let back = |calls: &Calls| calls.standing() == Standing::Up;
        match standing {
            Standing::Up => {
                if changes.changed().await.is_err() {
                    return unseen(asked.talked);
                }
            }
            Standing::Unknown | Standing::Gone => {
                if !desk.gateway.wait_until(clock::now() + GONE, back).await {
                    return unseen(asked.talked);
                }
            }
        }
    }
}

/// The end of a call that nobody saw.
fn unseen(talked: bool) -> Outcome {
    if talked { Outcome::Talked } else { Outcome::Failed("the gateway lost the call".to_owned()) }
}

fn words(desk: &Desk, asked: &Asked, key: TextKey, reason: &str) -> String {
    let words = Words {
        name: asked.name.clone(),
        time: clock::time_of_day(clock::unix_ms()),
        reason: in_english(asked.language, reason),
        ..Words::default()
    };
    served(desk, asked).say(key, asked.language, words)
}

/// The button under the message, for another try.
fn button(desk: &Desk, asked: &Asked) -> Keyboard {
    let words = Words { name: asked.name.clone(), ..Words::default() };
    let text = served(desk, asked).say(TextKey::CardButton, asked.language, words);
    let data = Pressed::CallBack { line: asked.line.clone(), person: asked.person }.to_data();
    Keyboard(vec![vec![Button::new(text, data)]])
}

fn served(desk: &Desk, asked: &Asked) -> Served {
    desk.roster().line(&asked.line).cloned().unwrap_or_else(|| Served::nobody(asked.language))
}

#[cfg(test)]
mod tests {
    use tgtrunk_config::control::{CallEnd, CallState};

    use super::*;
    use crate::calls::tests::call;

    #[test]
    fn who_did_not_answer_is_told_by_which_side_ended_it() {
        let end = |by| Some(CallEnd { by, cause: "why".into(), sip_status: None, q850: None });
        let over = |by, answered_ms| CallInfo { end: end(by), answered_ms, ..call(1, 7, CallState::Ended) };
        assert_eq!(Outcome::of(&over(Ender::Pbx, None)), Outcome::Nobody);
        assert_eq!(Outcome::of(&over(Ender::Telegram, None)), Outcome::Missed);
        assert_eq!(Outcome::of(&over(Ender::Gateway, None)), Outcome::Failed("why".into()));
        for by in [Ender::Pbx, Ender::Telegram, Ender::Gateway] {
            assert_eq!(Outcome::of(&over(by, Some(5))), Outcome::Talked);
        }
        assert_eq!(unseen(true), Outcome::Talked);
        for outcome in [Outcome::Talked, Outcome::Nobody, Outcome::Missed, Outcome::Failed("why not".into())]
        {
            assert_eq!(Outcome::from_word(&outcome.to_word()), outcome);
        }
    }
}
