//! What programs have done by actions, and what they ask.

use super::letters::Wakes;
use super::{Instance, Refused};
use crate::browse::Bookmark;
use crate::chat::{Address, Chat, ChatId};
use crate::clock;
use crate::id::MessageId;
use crate::job::{JobId, NewJob};
use crate::messenger::{Dialog, Failure, Received, Search};
use crate::record::Record;
use crate::store::{Begun, Fault, KEPT_MS, Kept, Part, Shelf, StorageError};

/// So many of the journal are read at a time.
const BATCH: usize = 500;

impl Instance {
    /// Begins a job that sends nothing; it is on the disk when this returns.
    pub(crate) async fn begin(&self, job: &NewJob) -> Result<Begun, Refused> {
        // Whoever hangs up meanwhile leaves what was begun, and nobody else would wake who does it.
        let _wakes = Wakes(&self.inner.jobs);
        Ok(self.inner.store.begin(job, clock::unix_ms(), self.keys_before_ms()).await?)
    }

    /// A program is told that a job is done by itself.
    pub(crate) async fn promise(&self, id: &JobId) -> Result<(), Refused> {
        Ok(self.inner.store.promise(id).await?)
    }

    /// What is known of a job's key, if it is not a new one.
    pub(crate) async fn begun(&self, job: &NewJob) -> Result<Option<Begun>, Refused> {
        Ok(self.inner.store.begun(job, self.keys_before_ms()).await?)
    }

    /// The keys of jobs that were done before are free, whatever the clock was set to since: milliseconds since 1970.
    pub(crate) fn keys_before_ms(&self) -> i64 {
        self.inner.ages.before_ms(KEPT_MS)
    }

    /// A job, and its messages.
    pub(crate) async fn job(&self, id: &JobId) -> Result<Option<Kept>, Refused> {
        Ok(self.inner.store.job(id).await?)
    }

    /// Takes a job's messages out of the queue, if Telegram has nothing of them; whether it did.
    pub(crate) async fn withdraw(&self, id: &JobId, fault: &Fault) -> Result<bool, Refused> {
        let (store, now_ms) = (&self.inner.store, clock::unix_ms());
        let is_out = store.withdraw_job(id, fault, self.inner.as_ref(), now_ms).await?;
        if is_out {
            self.inner.settle();
        }
        Ok(is_out)
    }

    /// What a job's messages wait for, if they rest, and until when: milliseconds since 1970.
    pub(crate) async fn rests(&self, id: &JobId, now_ms: i64) -> Result<Option<(String, i64)>, Refused> {
        Ok(self.inner.store.job_rests(id, now_ms).await?)
    }

    /// When a job's messages are to be sent, if that is not at once: milliseconds since 1970.
    pub(crate) async fn due_ms(&self, id: &JobId) -> Result<Option<i64>, Refused> {
        Ok(self.inner.store.due_ms(id).await?)
    }

    /// What each of these messages was sent as, if as several.
    pub(crate) async fn parts_of_all(&self, records: &[Record]) -> Result<Vec<Vec<Part>>, StorageError> {
        let mut all = Vec::with_capacity(records.len());
        for record in records {
            all.push(self.inner.store.parts_of(record.id).await?);
        }
        Ok(all)
    }

    /// Each of these chats with its last message, as the journal has it from now on.
    pub(crate) async fn with_last(
        &self,
        dialogs: Vec<Dialog>,
    ) -> Result<Vec<(Dialog, Option<Record>)>, Refused> {
        let last: Vec<_> = dialogs.iter().filter_map(|dialog| dialog.last.clone()).collect();
        let mut records = self.recalled(last).await?.into_iter();
        let with_last = |dialog: Dialog| {
            let last = dialog.last.as_ref().and_then(|_| records.next());
            (dialog, last)
        };
        Ok(dialogs.into_iter().map(with_last).collect())
    }

    /// Messages of a chat by their numbers; those that are not there are left out.
    pub(crate) async fn messages(&self, of: &Address, ids: &[MessageId]) -> Result<Vec<Record>, Refused> {
        let chat = self.chat(of).await?;
        let mut tg_ids = Vec::with_capacity(ids.len());
        for id in ids {
            let known = self.inner.store.message(*id).await?.filter(|known| known.chat == Some(chat));
            let raw = i32::try_from(id.get()).ok();
            tg_ids.extend(known.and_then(|known| known.tg_id).or(raw));
        }
        match self.inner.messenger.messages(chat, &tg_ids).await {
            Err(Failure::Unsupported(_)) => {
                let mut known = Vec::with_capacity(tg_ids.len());
                for tg_id in tg_ids {
                    known.extend(self.inner.store.message_at(Some(chat), tg_id).await?);
                }
                Ok(known)
            }
            found => self.recalled(found?).await,
        }
    }

    /// The chats of the journal, each with its last message, those with the newest first.
    pub(crate) async fn known_chats(&self, count: usize) -> Result<Vec<(Chat, Record)>, Refused> {
        let last = self.inner.store.last_of_chats(count).await?;
        let mut known = Vec::with_capacity(last.len());
        for record in last {
            let Some(id) = record.chat else { continue };
            let of_chat = record.sender.as_ref().filter(|sender| sender.id == id);
            let meant = || record.address.strip_prefix('@').map(str::to_owned);
            let chat = Chat {
                id,
                kind: record.chat_kind,
                title: record.chat_title.clone(),
                username: of_chat.and_then(|sender| sender.username.clone()).or_else(meant),
                phone: None,
                is_archived: false,
            };
            known.push((chat, record));
        }
        Ok(known)
    }

    /// Messages of a chat that are looked for, the newest first: of Telegram where it can be asked, else of the journal if
    /// any will do.
    pub(crate) async fn search(&self, of: &Address, search: &Search) -> Result<Vec<Record>, Refused> {
        let chat = self.chat(of).await?;
        match self.inner.messenger.search(chat, search).await {
            Ok(found) => self.recalled(found).await,
            Err(Failure::Unsupported(_)) => Ok(self.search_journal(chat, search).await?),
            Err(failure) => Err(failure.into()),
        }
    }

    async fn search_journal(&self, chat: ChatId, search: &Search) -> Result<Vec<Record>, StorageError> {
        let store = &self.inner.store;
        let words = search.query.to_lowercase();
        let is_it = |record: &Record| {
            record.tg_id.is_some_and(|id| search.before.is_none_or(|before| id < before))
                && (words.is_empty() || record.content.words().to_lowercase().contains(&words))
        };
        let mut place = Bookmark::NEWEST;
        if let Some(until_s) = search.until_s {
            place = Bookmark { date_s: until_s, id: MessageId::new(0) };
        }
        if let Some(before) = search.before
            && let Some(known) = store.message_at(Some(chat), before).await?
            && known.date_s < place.date_s
        {
            place = Bookmark { date_s: known.date_s, id: known.id };
        }
        let mut found = Vec::new();
        loop {
            let batch =
                store.browse(Shelf::Chat(chat), place, search.since_s.unwrap_or(i64::MIN), BATCH).await?;
            let is_last = batch.len() < BATCH;
            for record in batch {
                place = Bookmark { date_s: record.date_s, id: record.id };
                if is_it(&record) {
                    found.push(record);
                }
                if found.len() >= search.count {
                    return Ok(found);
                }
            }
            if is_last {
                return Ok(found);
            }
        }
    }

    /// Messages as the journal has them from now on.
    pub(super) async fn recalled(&self, messages: Vec<Received>) -> Result<Vec<Record>, Refused> {
        let mut records = Vec::with_capacity(messages.len());
        for message in messages {
            records.push(self.inner.record(message).await?);
        }
        Ok(self.inner.store.recall(records, clock::unix_ms()).await?)
    }
}
