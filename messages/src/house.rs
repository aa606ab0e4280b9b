//! All instances of a program, and whoever may make and delete them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use async_trait::async_trait;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tracing::{debug, warn};

use crate::id::InstanceId;
use crate::instance::{Instance, InstanceKind, Refused, StoredFile};
use crate::settings::Settings;
use crate::standing::Standing;
use crate::store;
use crate::token::{self, Token};

/// All instances of a program. Clones are the same house.
#[derive(Clone)]
pub struct House {
    instances: Arc<RwLock<BTreeMap<InstanceId, Instance>>>,
    /// Those that are being opened anew.
    resting: Arc<watch::Sender<BTreeMap<InstanceId, Starting>>>,
    office: Arc<dyn Office>,
}

/// An instance that is being opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Starting {
    /// Its number.
    pub id: InstanceId,
    /// Its name for people.
    pub name: String,
    /// Whose it is.
    pub kind: InstanceKind,
    /// When it was made: seconds since 1970.
    pub created_s: i64,
    /// What is kept of its token; empty if it has none, and none where nobody could read it.
    pub(crate) token_hash: Option<String>,
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

impl Starting {
    fn again(instance: &Instance) -> Self {
        Self {
            id: instance.id(),
            name: instance.name(),
            kind: instance.kind(),
            created_s: instance.created_s(),
            token_hash: Some(instance.token_hash()),
        }
    }

    /// Whether it has a token, as far as is known.
    #[must_use]
    pub fn has_token(&self) -> bool {
        self.token_hash.as_ref().is_none_or(|hash| !hash.is_empty())
    }

    /// Whether a program's token is its token. Where nobody knows, a program hears no more than that it is starting.
    fn is_token(&self, said: &str) -> bool {
        self.token_hash.as_ref().is_none_or(|hash| token::is_token(said, hash))
    }
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
            self.resting.send_modify(|resting| drop(resting.insert(id, Starting::again(&instance))));
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
        let held = held?;
        let id = held.id;
        self.expect_known(held);
        Some(id)
    }

    /// The same for one of which the caller knows what is known, because nobody can read its database.
    pub fn expect_unread(&self, id: InstanceId, name: &str, created_s: i64) {
        let name = name.to_owned();
        self.expect_known(Starting { id, name, kind: InstanceKind::User, created_s, token_hash: None });
    }

    fn expect_known(&self, starting: Starting) {
        if self.instance(starting.id).is_none() {
            self.resting.send_modify(|resting| drop(resting.insert(starting.id, starting)));
        }
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
        self.resting.borrow().get(&id).map(|starting| starting.is_token(said))
    }

    /// Whether a program's token is an instance's own; none where nobody knows yet, as it is starting.
    #[must_use]
    pub fn is_token(&self, id: InstanceId, said: &str) -> Option<bool> {
        if let Some(instance) = self.instance(id) {
            return Some(instance.is_token(said));
        }
        match self.resting.borrow().get(&id) {
            Some(starting) => starting.token_hash.as_ref().map(|hash| token::is_token(said, hash)),
            None => Some(false),
        }
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

    /// All of them, those that work and those that are being opened: each is among the ones or the others.
    #[must_use]
    pub fn all(&self) -> (Vec<Instance>, Vec<Starting>) {
        // None comes or goes between the two looks.
        let there = self.instances.read().unwrap_or_else(PoisonError::into_inner);
        let resting = self.resting.borrow();
        let starting = resting.values().filter(|starting| !there.contains_key(&starting.id));
        (there.values().cloned().collect(), starting.cloned().collect())
    }

    /// Where they are made and deleted.
    #[must_use]
    pub fn office(&self) -> Arc<dyn Office> {
        Arc::clone(&self.office)
    }

    /// A file by the secret in its link, and where its body is.
    ///
    /// # Errors
    /// [`Refused::Missing`] when there is none or its time is over; [`Refused::Standing`] when it may be that of an instance
    /// which cannot be asked now; [`Refused::Telegram`] when it cannot be fetched.
    pub async fn file(&self, secret: &str) -> Result<(StoredFile, PathBuf), Refused> {
        let missing = || Refused::Missing("there is no such file, or its time is over".to_owned());
        if secret.len() != 32 || !secret.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(missing());
        }
        let (there, starting) = self.all();
        // All at once: one whose disk is busy keeps nobody waiting.
        let mut asked = JoinSet::new();
        for instance in there {
            let secret = secret.to_owned();
            asked.spawn(async move {
                let found = instance.stored(&secret).await;
                (instance, found)
            });
        }
        let mut is_known = starting.is_empty();
        while let Some(answered) = asked.join_next().await {
            match answered {
                Ok((instance, Ok(file))) => return instance.body_of(&file).await.map(|path| (file, path)),
                Ok((_, Err(Refused::Missing(_)))) => {}
                Ok((instance, Err(refused))) => {
                    warn!(instance = %instance.id(), "an instance's files cannot be looked up: {refused}");
                    is_known = false;
                }
                Err(error) => {
                    warn!(%error, "an instance's files cannot be looked up");
                    is_known = false;
                }
            }
        }
        Err(if is_known { missing() } else { Refused::Standing(Standing::Starting) })
    }
}
