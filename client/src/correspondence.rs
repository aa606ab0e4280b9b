//! A line's messages for programs: whatever Telegram tells is in the queues and the journal before it is taken as told.

use std::sync::Arc;
use std::time::Duration;

use tgtrunk_config::Phone;
use tgtrunk_messages::{Instance, InstanceId, News, Refused, Store};
use tgtrunk_telegram::{Account, Database, LoginDesk, MessageNotice};
use tokio::time::sleep;
use tracing::error;

use crate::api::Api;
use crate::telegram::Correspondent;

/// Pauses between attempts to write down what was told.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
/// So many attempts, which take 13 s in all: what keypads do with a message waits for them.
const TRIES: u32 = 7;

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

    /// Puts what Telegram tells into queues and journal; false if the disk does not take it, which was tried for a while.
    pub(crate) async fn keep(&self, notice: &MessageNotice) -> bool {
        for news in self.correspondent.news(notice) {
            if !self.keep_one(news).await {
                return false;
            }
        }
        true
    }

    async fn keep_one(&self, news: News) -> bool {
        let mut pause = FIRST_PAUSE;
        for left in (0..TRIES).rev() {
            let Err(refused) = self.instance.take(news.clone()).await else { return true };
            error!(left, "a message could not be kept for programs: {refused}");
            if left > 0 {
                sleep(pause).await;
                pause *= 2;
            }
        }
        false
    }
}
