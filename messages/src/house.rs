//! All instances of a program, and whoever may make and delete them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use async_trait::async_trait;
use tokio::sync::watch;
use tracing::debug;

use crate::id::InstanceId;
use crate::instance::{Instance, Refused, StoredFile};
use crate::settings::Settings;
use crate::store;
use crate::token::{self, Token};

/// All instances of a program. Clones are the same house.
#[derive(Clone)]
pub struct House {
    instances: Arc<RwLock<BTreeMap<InstanceId, Instance>>>,
    /// Those that are being opened anew, with the hashes of their tokens.
    resting: Arc<watch::Sender<BTreeMap<InstanceId, String>>>,
    office: Arc<dyn Office>,
}

/// An instance that was deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Former {
    /// Its number.
    pub id: InstanceId,
    /// Its name for people.
    pub name: String,
    /// When it was made: seconds since 1970.
    pub created_s: i64,
    /// When it was deleted: seconds since 1970.
    pub deleted_s: i64,
}

/// Where instances are made and deleted.
#[async_trait]
pub trait Office: Send + Sync + 'static {
    /// Makes an instance, whose account somebody will log in. It can be called when this returns.
    async fn create(&self, name: &str, settings: Settings) -> Result<(InstanceId, Token), Refused>;
    /// Deletes an instance and all that it holds; one that is deleted already is no error.
    async fn delete(&self, id: InstanceId) -> Result<(), Refused>;
    /// Those that were deleted lately: their clients are told so.
    fn former(&self) -> Vec<Former>;
    /// Opens an instance's connection to Telegram anew.
    async fn reboot(&self, id: InstanceId) -> Result<(), Refused>;
    /// Whether a partner's token is one.
    fn is_partner(&self, said: &str) -> bool;
}

impl House {
    /// A house without instances.
    #[must_use]
    pub fn new(office: Arc<dyn Office>) -> Self {
        Self { instances: Arc::default(), resting: Arc::new(watch::Sender::default()), office }
    }

    /// An instance works from now on.
    pub fn enter(&self, instance: Instance) {
        let id = instance.id();
        self.instances.write().unwrap_or_else(PoisonError::into_inner).insert(id, instance);
        self.resting.send_modify(|resting| drop(resting.remove(&id)));
    }

    /// An instance works no more, nor does anything that it does by itself.
    pub fn leave(&self, id: InstanceId) {
        let gone = self.instances.write().unwrap_or_else(PoisonError::into_inner).remove(&id);
        if let Some(gone) = gone {
            gone.close();
        }
    }

    /// An instance is opened anew: it is starting until it works again, or is given up.
    pub fn rest(&self, id: InstanceId) {
        if let Some(instance) = self.instance(id) {
            // So that at no time there is neither.
            self.resting.send_modify(|resting| drop(resting.insert(id, instance.token_hash())));
            self.leave(id);
        }
    }

    /// The instance that a database holds will be opened: it is starting until it works, or is given up. None where nobody
    /// knows which it is.
    pub async fn expect(&self, database: &Path) -> Option<InstanceId> {
        let held = match store::held(database).await {
            Ok(held) => held,
            Err(error) => {
                debug!(%error, "nobody knows yet which instance a database holds");
                None
            }
        };
        let (id, hash) = held?;
        if self.instance(id).is_none() {
            self.resting.send_modify(|resting| drop(resting.insert(id, hash)));
        }
        Some(id)
    }

    /// An instance that was to be opened anew does not come back.
    pub fn give_up(&self, id: InstanceId) {
        self.resting.send_modify(|resting| drop(resting.remove(&id)));
    }

    /// Whether an instance is being opened anew.
    #[must_use]
    pub fn rests(&self, id: InstanceId) -> bool {
        self.resting.borrow().contains_key(&id)
    }

    /// Whether a program's token is that of an instance which is being opened anew; none if it is not.
    pub(crate) fn is_token_of_resting(&self, id: InstanceId, said: &str) -> Option<bool> {
        self.resting.borrow().get(&id).map(|hash| token::is_token(said, hash))
    }

    /// An instance once it is not being opened anew any more.
    pub(crate) async fn rested(&self, id: InstanceId) -> Option<Instance> {
        let mut resting = self.resting.subscribe();
        resting.wait_for(|resting| !resting.contains_key(&id)).await.ok();
        self.instance(id)
    }

    /// An instance.
    #[must_use]
    pub fn instance(&self, id: InstanceId) -> Option<Instance> {
        self.instances.read().unwrap_or_else(PoisonError::into_inner).get(&id).cloned()
    }

    /// All of them, by their numbers.
    #[must_use]
    pub fn instances(&self) -> Vec<Instance> {
        self.instances.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    /// Where they are made and deleted.
    #[must_use]
    pub fn office(&self) -> Arc<dyn Office> {
        Arc::clone(&self.office)
    }

    /// A file by the secret in its link, and where its body is.
    ///
    /// # Errors
    /// [`Refused::Missing`] when there is none or its time is over; [`Refused::Telegram`] when it cannot be fetched.
    pub async fn file(&self, secret: &str) -> Result<(StoredFile, PathBuf), Refused> {
        if secret.len() == 32 && secret.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            for instance in self.instances() {
                match instance.stored(secret).await {
                    Ok(file) => return instance.body_of(&file).await.map(|path| (file, path)),
                    Err(Refused::Missing(_)) => {}
                    Err(refused) => return Err(refused),
                }
            }
        }
        Err(Refused::Missing("there is no such file, or its time is over".to_owned()))
    }
}
