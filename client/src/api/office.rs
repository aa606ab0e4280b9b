//! Where instances are made, deleted and opened anew. One that is a line is added and removed where lines are.

use std::sync::{Arc, PoisonError};

use async_trait::async_trait;
use tgtrunk_config::control::Ask;
use tgtrunk_config::{Phone, StateDir};
use tgtrunk_messages::{Failure, Former, InstanceId, Refused, Settings, Token};
use tgtrunk_shell::control::Question;
use tokio::sync::{mpsc, oneshot};

use super::tenants::Tenants;
use super::{Owners, partner};

/// The office of the client's instances.
pub(super) struct Office {
    /// Questions to the client itself.
    asks: mpsc::Sender<Question>,
    owners: Owners,
    tenants: Arc<Tenants>,
    state: StateDir,
}

impl Office {
    pub(super) fn new(
        asks: mpsc::Sender<Question>,
        owners: Owners,
        tenants: Arc<Tenants>,
        state: StateDir,
    ) -> Self {
        Self { asks, owners, tenants, state }
    }

    fn line(&self, id: InstanceId) -> Option<Phone> {
        self.owners.lock().unwrap_or_else(PoisonError::into_inner).get(&id).cloned()
    }
}

fn stopping() -> Refused {
    Refused::Telegram(Failure::Unknown("the client is stopping".to_owned()))
}

/// Goes on to the end even if nobody waits for it any more.
async fn whole<T: Send + 'static>(
    work: impl Future<Output = Result<T, Refused>> + Send + 'static,
) -> Result<T, Refused> {
    tokio::spawn(work).await.map_err(|_| stopping())?
}

#[async_trait]
impl tgtrunk_messages::Office for Office {
    async fn create(&self, name: &str, settings: Settings) -> Result<(InstanceId, Token), Refused> {
        whole(Arc::clone(&self.tenants).create(name.to_owned(), settings)).await
    }

    async fn delete(&self, id: InstanceId) -> Result<(), Refused> {
        if self.line(id).is_some() {
            return Err(Refused::Bad(
                "this instance is a line: remove the line on the page, or with tgtrunk-gateway lines remove"
                    .to_owned(),
            ));
        }
        whole(Arc::clone(&self.tenants).delete(id)).await
    }

    fn former(&self) -> Vec<Former> {
        self.tenants.former()
    }

    async fn reboot(&self, id: InstanceId) -> Result<(), Refused> {
        if self.tenants.knows(id) {
            return whole(Arc::clone(&self.tenants).reboot(id)).await;
        }
        let line = self.line(id).ok_or_else(|| Refused::Missing("there is no such instance".to_owned()))?;
        let (answer, answered) = oneshot::channel();
        self.asks.send(Question { ask: Ask::RestartLine { line }, answer }).await.map_err(|_| stopping())?;
        match answered.await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(refusal)) => Err(Refused::Missing(refusal.message)),
            Err(_) => Err(stopping()),
        }
    }

    fn is_partner(&self, said: &str) -> bool {
        partner::is_token(&self.state, said)
    }
}
