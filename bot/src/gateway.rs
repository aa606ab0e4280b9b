//! The gateway, as every bot of this process shares it: its calls as they are now, and keys and calls asked of it.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tgtrunk_config::control::{Answer, Ask, CallInfo, Refusal};
use tgtrunk_config::{CallId, Digits, Phone, UserId};
use tgtrunk_shell::asking::{self, AskError, Follower};
use tokio::sync::watch;
use tokio::time::{timeout, timeout_at};

use crate::calls::{Calls, Standing};

/// How long the gateway may take to say that it will place a call.
const JOIN_LIMIT: Duration = Duration::from_secs(10);

/// Clones share one connection.
#[derive(Clone)]
pub(crate) struct Gateway {
    follower: Follower,
    calls: watch::Receiver<Calls>,
    socket: Arc<PathBuf>,
}

/// Why no call was placed.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum JoinError {
    /// The gateway was never asked.
    #[error("the gateway does not run")]
    NotThere,
    /// It does not do it.
    #[error("{}", .0.message)]
    Refused(Refusal),
    /// It was asked, and nobody knows what became of that.
    #[error("the gateway did not answer")]
    NoAnswer,
}

impl Gateway {
    /// Follows the gateway at a control socket, through its restarts.
    pub(crate) fn start(socket: PathBuf) -> Self {
        let (follower, mut news) = Follower::start(socket.clone());
        let (changed, calls) = watch::channel(Calls::default());
        tokio::spawn(async move {
            while let Some(told) = news.recv().await {
                changed.send_modify(|calls| calls.handle(told));
            }
        });
        Self { follower, calls, socket: Arc::new(socket) }
    }

    /// Waits until it is not followed any more: that breaks, or never ends.
    pub(crate) async fn lost(&self) {
        self.calls.clone().wait_for(|_| false).await.ok();
    }

    /// What it last told. To be let go at once: its news wait meanwhile.
    pub(crate) fn calls(&self) -> watch::Ref<'_, Calls> {
        self.calls.borrow()
    }

    /// Its news as they come.
    pub(crate) fn changes(&self) -> watch::Receiver<Calls> {
        self.calls.clone()
    }

    /// Waits until something holds. False when it does not until `limit`.
    pub(crate) async fn wait_until(&self, limit: Instant, holds: impl FnMut(&Calls) -> bool) -> bool {
        let mut calls = self.calls.clone();
        matches!(timeout_at(limit.into(), calls.wait_for(holds)).await, Ok(Ok(_)))
    }

    /// A call, once it is heard of; its event may still be on the way when somebody else knows of it already.
    pub(crate) async fn call(&self, call: CallId, limit: Instant) -> Option<CallInfo> {
        self.wait_until(limit, |calls| calls.live(call).is_some() || calls.over(call).is_some()).await;
        self.calls().live(call).cloned()
    }

    /// Presses keys in a call, for the PBX: once, however often it is asked with the same `key`.
    pub(crate) async fn press(&self, call: CallId, digits: Digits, key: &str) -> Result<(), AskError> {
        let key = Some(key.to_owned());
        let ask = Ask::SendDigits { call, digits, tone_ms: None, pause_ms: None, key };
        self.follower.ask(ask).await.map(drop)
    }

    /// Ends a call on both sides.
    pub(crate) async fn hang_up(&self, call: CallId) -> Result<(), AskError> {
        self.follower.ask(Ask::HangUp { call }).await.map(drop)
    }

    /// Has the PBX ring an extension, and then a person called: once, however often it is asked with the same `key`. Over
    /// a connection of its own: nobody's keys wait for it.
    pub(crate) async fn join(
        &self,
        line: &Phone,
        extension: &str,
        person: UserId,
        key: &str,
    ) -> Result<CallId, JoinError> {
        if self.calls().standing() != Standing::Up {
            return Err(JoinError::NotThere);
        }
        let ask = Ask::JoinCall {
            line: line.clone(),
            extension: extension.to_owned(),
            person: person.into(),
            key: Some(key.to_owned()),
        };
        match timeout(JOIN_LIMIT, asking::ask(&self.socket, ask)).await {
            Ok(Ok(Answer::Call { call })) => Ok(call),
            Ok(Ok(_)) | Err(_) => Err(JoinError::NoAnswer),
            Ok(Err(error)) => Err(match error.downcast::<Refusal>() {
                Ok(refusal) => JoinError::Refused(refusal),
                Err(_) => JoinError::NoAnswer,
            }),
        }
    }
}
