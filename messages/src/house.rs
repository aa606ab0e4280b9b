//! All instances of a program, and whoever may make and delete them.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};

use async_trait::async_trait;
use serde_json::{Map, Value};

use crate::id::InstanceId;
use crate::instance::{Instance, Refused, StoredFile};
use crate::token::Token;

/// All instances of a program. Clones are the same house.
#[derive(Clone)]
pub struct House {
    instances: Arc<RwLock<BTreeMap<InstanceId, Instance>>>,
    office: Arc<dyn Office>,
}

/// Where instances are made and deleted.
#[async_trait]
pub trait Office: Send + Sync + 'static {
    /// Makes an instance, whose account somebody will log in.
    async fn create(&self, name: &str, settings: &Map<String, Value>)
    -> Result<(InstanceId, Token), Refused>;
    /// Deletes an instance and all that it holds.
    async fn delete(&self, id: InstanceId) -> Result<(), Refused>;
    /// Opens an instance's connection to Telegram anew.
    async fn reboot(&self, id: InstanceId) -> Result<(), Refused>;
    /// Whether a partner's token is one.
    fn is_partner(&self, said: &str) -> bool;
}

impl House {
    /// A house without instances.
    #[must_use]
    pub fn new(office: Arc<dyn Office>) -> Self {
        Self { instances: Arc::default(), office }
    }

    /// An instance works from now on.
    pub fn enter(&self, instance: Instance) {
        self.instances.write().unwrap_or_else(PoisonError::into_inner).insert(instance.id(), instance);
    }

    /// An instance works no more, nor does anything that it does by itself.
    pub fn leave(&self, id: InstanceId) {
        let gone = self.instances.write().unwrap_or_else(PoisonError::into_inner).remove(&id);
        if let Some(gone) = gone {
            gone.close();
        }
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
