//! A line's messages for programs: whatever Telegram tells is in the queues and the journal before it is taken as told.

use std::sync::Arc;

use tgtrunk_config::Phone;
use tgtrunk_messages::{Instance, InstanceId, News, Refused, Store};
use tgtrunk_telegram::{Account, Database, LoginDesk, MessageNotice};
use tracing::error;

use crate::api::Api;
use crate::telegram::Correspondent;

/// A line's instance, and who reads for it.
pub(crate) struct Correspondence {
    instance: Instance,
    correspondent: Correspondent,
}

impl Correspondence {
    /// Opens a line's instance, which programs can call from now on.
    pub(crate) async fn open(
        database: &Database,
        account: &Account,
        logins: &LoginDesk,
        phone: &Phone,
        api: &Api,
    ) -> Result<Self, Refused> {
        let store = Store::open(database.pool().clone()).await?;
        let correspondent = Correspondent::new(account.clone(), phone.clone(), logins.clone());
        let instance = Instance::open(store, Arc::new(correspondent.clone()), api.options(phone)).await?;
        api.enter(phone, instance.clone());
        Ok(Self { instance, correspondent })
    }

    pub(crate) fn id(&self) -> InstanceId {
        self.instance.id()
    }

    /// Learns whom the account knows, once it works.
    pub(crate) fn get_acquainted(&self) -> impl Future<Output = ()> + Send + 'static + use<> {
        self.correspondent.clone().get_acquainted()
    }

    /// What a notice says for programs.
    pub(crate) fn news(&self, notice: &MessageNotice) -> Vec<News> {
        self.correspondent.news(notice)
    }

    /// Puts what Telegram tells into queues and journal; false if the disk does not take it now.
    pub(crate) async fn keep(&self, news: News) -> bool {
        match self.instance.take(news).await {
            Ok(()) => true,
            Err(refused) => {
                error!("a message cannot be kept for programs yet: {refused}");
                false
            }
        }
    }
}
