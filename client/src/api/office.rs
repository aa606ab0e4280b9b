//! Where instances would be made and deleted: here each is a line, which is added and removed where lines are.

use std::sync::PoisonError;

use async_trait::async_trait;
use serde_json::{Map, Value};
use tgtrunk_config::control::Ask;
use tgtrunk_messages::{Failure, InstanceId, Refused, Token};
use tgtrunk_shell::control::Question;
use tokio::sync::{mpsc, oneshot};

use super::Owners;

/// The office of the client's instances.
pub(super) struct Office {
    /// Questions to the client itself.
    asks: mpsc::Sender<Question>,
    owners: Owners,
}

impl Office {
    pub(super) fn new(asks: mpsc::Sender<Question>, owners: Owners) -> Self {
        Self { asks, owners }
    }
}

#[async_trait]
impl tgtrunk_messages::Office for Office {
    async fn create(&self, _: &str, _: &Map<String, Value>) -> Result<(InstanceId, Token), Refused> {
        Err(Refused::Bad(
            "an instance is a line here: add the line's number on the page, or with tgtrunk-gateway lines add"
                .to_owned(),
        ))
    }

    async fn delete(&self, _: InstanceId) -> Result<(), Refused> {
        Err(Refused::Bad(
            "an instance is a line here: remove the line on the page, or with tgtrunk-gateway lines remove"
                .to_owned(),
        ))
    }

    async fn reboot(&self, id: InstanceId) -> Result<(), Refused> {
        let owner = self.owners.lock().unwrap_or_else(PoisonError::into_inner).get(&id).cloned();
        let line = owner.ok_or_else(|| Refused::Missing("there is no such instance".to_owned()))?;
        let stopping = || Refused::Telegram(Failure::Unknown("the client is stopping".to_owned()));
        let (answer, answered) = oneshot::channel();
        self.asks.send(Question { ask: Ask::RestartLine { line }, answer }).await.map_err(|_| stopping())?;
        match answered.await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(refusal)) => Err(Refused::Missing(refusal.message)),
            Err(_) => Err(stopping()),
        }
    }

    fn is_partner(&self, _: &str) -> bool {
        false
    }
}
