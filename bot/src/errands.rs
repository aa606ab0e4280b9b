//! Messages that programs have the bot write to people whom it knows.

use tgtrunk_config::UserId;
use tgtrunk_config::control::{Answer, LetterInfo, LetterState, Refusal, RefusalCode};
use tokio::sync::{mpsc, oneshot};

use crate::admission::internal;
use crate::bot::Desk;
use crate::clock;
use crate::store::{Letter, Taken};

/// A message that a program wants written.
pub(crate) struct Errand {
    pub(crate) person: UserId,
    pub(crate) text: String,
    pub(crate) key: String,
    pub(crate) answer: oneshot::Sender<Result<Answer, Refusal>>,
}

/// Takes errands until the task is dropped. Each is on the disk before it is answered, and goes to `letters` then.
pub(crate) async fn serve(desk: Desk, mut errands: mpsc::Receiver<Errand>, letters: mpsc::Sender<Letter>) {
    while let Some(Errand { person, text, key, answer }) = errands.recv().await {
        let told = match desk.store.take_errand(person, &text, &key, clock::unix_ms()).await {
            Ok(Taken::New(letter)) => {
                letters.send(letter).await.ok();
                Ok(LetterInfo { state: LetterState::Waiting, message: None, reason: None, blocked: false })
            }
            Ok(Taken::Known(info)) => Ok(info),
            Ok(Taken::Other) => Err(Refusal {
                code: RefusalCode::BadRequest,
                message: format!("key = {key:?}: another message was written under it"),
            }),
            Ok(Taken::Stranger) => Err(Refusal {
                code: RefusalCode::UnknownPerson,
                message: format!("nobody with the key {person} ever wrote to the bot"),
            }),
            Ok(Taken::Full) => Err(full()),
            Err(error) => Err(internal(error)),
        };
        answer.send(told.map(Answer::Letter)).ok();
    }
}

/// So many messages wait already.
pub(crate) fn full() -> Refusal {
    Refusal {
        code: RefusalCode::Limit,
        message: "too many messages wait to be sent: ask again in a moment".to_owned(),
    }
}
