//! An account's messages for programs: whatever Telegram tells is in the queues and the journal before it is taken as told.

use std::sync::Arc;

use tgtrunk_config::{Phone, Said};
use tgtrunk_messages::{Instance, News, Options, Store, StoreError};
use tgtrunk_shell::caught::{caught, caught_at_once};
use tgtrunk_telegram::{Account, Database, LoginDesk, MessageNotice};
use tracing::error;

use crate::telegram::Correspondent;

/// An account's instance, and who reads for it.
pub(crate) struct Correspondence {
    instance: Instance,
    correspondent: Correspondent,
}

impl Correspondence {
    /// Opens an account's instance. Its number is `phone`, where that is known before it is logged in.
    pub(crate) async fn open(
        database: &Database,
        account: &Account,
        logins: &LoginDesk,
        phone: Option<Phone>,
        options: Options,
    ) -> anyhow::Result<Self> {
        let store = Store::open(database.pool().clone()).await.map_err(unopened)?;
        let correspondent = Correspondent::new(account.clone(), phone, logins.clone());
        let instance = Instance::open(store, Arc::new(correspondent.clone()), options).await?;
        Ok(Self { instance, correspondent })
    }

    pub(crate) fn instance(&self) -> &Instance {
        &self.instance
    }

    /// Learns whom the account knows, once it works.
    pub(crate) fn get_acquainted(&self) -> impl Future<Output = ()> + Send + 'static + use<> {
        self.correspondent.clone().get_acquainted()
    }

    /// What a notice says for programs.
    pub(crate) fn news(&self, notice: &MessageNotice) -> Vec<News> {
        caught_at_once(|| self.correspondent.news(notice)).unwrap_or_else(|broke| {
            error!(%broke, "a message is not told to programs");
            Vec::new()
        })
    }

    /// Puts what Telegram tells into queues and journal; false if the disk does not take it now.
    pub(crate) async fn keep(&self, news: News) -> bool {
        match caught(self.instance.take(news)).await {
            Ok(Ok(())) => true,
            Ok(Err(refused)) => {
                error!("a message cannot be kept for programs yet: {refused}");
                false
            }
            // It would break again, and everything after it would wait.
            Err(broke) => {
                error!(%broke, "a message is not kept for programs");
                true
            }
        }
    }
}

/// People read why a line does not run.
fn unopened(error: StoreError) -> anyhow::Error {
    let StoreError::Newer { found, known } = error else { return error.into() };
    anyhow::Error::msg(Said::new(
        error.to_string(),
        format!(
            "таблицы сообщений имеют версию {found}, их сделал более новый tgtrunk; этот знает их до версии {known}: \
             установите снова более новый или верните папку номера в прежнем виде"
        ),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_read_in_both_languages_that_a_newer_program_was_here() {
        let said = tgtrunk_shell::said::said(&unopened(StoreError::Newer { found: 9, known: 7 }));
        assert!(said.en.contains("of version 9") && said.en.contains("install the newer one"), "{said:?}");
        assert!(said.ru.contains("версию 9") && said.ru.contains("установите снова"), "{said:?}");
    }
}
