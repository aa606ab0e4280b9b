//! What a bot does for other programs: the Bot API from its first moment, the actions of messages as soon as its messages can
//! be opened. Keypad and call-backs wait for neither.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tgtrunk_config::{BotFile, BotName, Said};
use tgtrunk_messages::Instance;
use tokio::time::sleep;

use super::House;
use crate::instance;
use crate::messenger::BotMessenger;
use crate::programs::{Office, Queue, Standing, Uses};
use crate::store::Store;
use crate::telegram::Api;

/// Until messages that cannot be opened are tried again.
const AGAIN: Duration = Duration::from_secs(10);
/// How long a message that is just handed to Telegram is waited for when the bot ends.
const HANDING: Duration = Duration::from_secs(5);

/// One bot, as other programs have it.
pub(super) struct Served {
    pub(super) queue: Queue,
    pub(super) messenger: Arc<BotMessenger>,
    house: House,
    bot: BotName,
    file: BotFile,
    api: Api,
    store: Store,
    standing: Standing,
    uses: Arc<Uses>,
    instance: OnceLock<Instance>,
}

impl Served {
    /// Of a bot whose messages are not open yet.
    pub(super) fn new(
        (bot, file): (BotName, BotFile),
        house: House,
        (api, store): (Api, Store),
        queue: Queue,
        standing: Standing,
    ) -> Self {
        let id = file.token.id().map(|id| id.number());
        queue.expect_journal(id.unwrap_or(0));
        let messenger = BotMessenger::new(api.clone(), store.clone(), &bot, id);
        let (uses, instance) = (Arc::default(), OnceLock::new());
        Self { queue, messenger, house, bot, file, api, store, standing, uses, instance }
    }

    /// Opens the messages. True when they are open.
    pub(super) async fn open(&self) -> bool {
        let (config, state) = (&self.house.settings, &self.house.state);
        let messenger = Arc::clone(&self.messenger);
        match instance::open(messenger, &self.store, config, state, &self.bot).await {
            Ok(instance) => {
                self.house.offices.house.enter(instance.clone());
                let id = instance.id();
                self.instance.set(instance.clone()).ok();
                self.queue.journal(instance).await;
                self.stand(Ok(id));
                true
            }
            Err(reason) => {
                tracing::error!(reason = reason.en, "the bot goes on without its messages");
                self.queue.closed_for(Some(reason.clone()));
                self.stand(Err(reason));
                false
            }
        }
    }

    /// Opens them some time.
    pub(super) async fn keep_opening(self: Arc<Self>) {
        loop {
            sleep(AGAIN).await;
            if self.open().await {
                return tracing::info!("the bot's messages are open");
            }
        }
    }

    /// Serves nobody any more, once what is just handed over is.
    pub(super) async fn end(&self) {
        self.standing.send_replace(None);
        if let Some(instance) = self.instance.get() {
            instance.finish(HANDING).await;
            self.house.offices.house.leave(instance.id());
        }
    }

    fn stand(&self, instance: Result<tgtrunk_messages::InstanceId, Said>) {
        let (token, api, queue) = (self.file.token.clone(), self.api.clone(), self.queue.clone());
        let uses = Arc::clone(&self.uses);
        self.standing.send_replace(Some(Arc::new(Office { token, api, queue, instance, uses })));
    }
}
