//! Messages: sending, the queue, the journal.

use std::sync::Arc;

use serde_json::Value;
use tokio::sync::Notify;
use tracing::Instrument as _;

use super::inner::Inner;
use super::{Accepted, Draft, Instance, QueueLine, Refused, StoredFile};
use crate::chat::{Address, ChatId, ChatKind};
use crate::clock;
use crate::content::Content;
use crate::entity::Entity;
use crate::files::FileWriter;
use crate::id::MessageId;
use crate::job::NewJob;
use crate::messenger::Failure;
use crate::outbox::{self, Letter};
use crate::record::{Direction, Origin, Quoted, Reason, Record, SendStatus};
use crate::store::{Accept, Begun, Fault, Letters, StorageError, Taken, Withdrawn};

impl Instance {
    /// Puts a message into the outgoing queue; it is on the disk when this returns. Instances that are not authorized
    /// take messages too, and send them when they are.
    ///
    /// # Errors
    /// [`Refused::Missing`] (`quoted`, `forward`), [`Refused::Full`], [`Refused::Storage`].
    pub async fn send(&self, draft: Draft) -> Result<Accepted, Refused> {
        let accepted = self.send_all(vec![draft]).await?;
        accepted.into_iter().next().ok_or_else(|| Refused::Bad("there is nothing to send".to_owned()))
    }

    /// Puts messages of one call into the outgoing queue, all or none.
    ///
    /// # Errors
    /// As [`Self::send`].
    pub async fn send_all(&self, drafts: Vec<Draft>) -> Result<Vec<Accepted>, Refused> {
        let Some((method, request)) = drafts.first().map(|draft| (draft.method, draft.request.clone()))
        else {
            return Ok(Vec::new());
        };
        match self.accept(drafts, method, request, None).await? {
            Taken::In(letters) => {
                Ok(letters.into_iter().map(|(record, ..)| Accepted { id: record.id }).collect())
            }
            Taken::Full | Taken::Known(_) => Err(self.full()),
        }
    }

    /// The same for the messages of a job, unless it was begun before.
    pub(crate) async fn post(&self, job: NewJob, drafts: Vec<Draft>) -> Result<Posted, Refused> {
        match self.accept(drafts, job.action, job.request.clone(), Some(job)).await? {
            Taken::In(letters) => Ok(Posted::In(letters.into_iter().map(|(record, ..)| record.id).collect())),
            Taken::Known(begun) => Ok(Posted::Known(begun)),
            Taken::Full => Err(self.full()),
        }
    }

    /// Puts messages of one call into the queue.
    async fn accept(
        &self,
        drafts: Vec<Draft>,
        method: &'static str,
        request: Value,
        job: Option<NewJob>,
    ) -> Result<Taken, Refused> {
        let (now_ms, mut letters) = (clock::unix_ms(), Letters::with_capacity(drafts.len()));
        for draft in drafts {
            let (record, letter) = self.letter(draft, now_ms).await?;
            letters.push((record, letter, clock::random_id()));
        }
        let keys_before_ms = self.keys_before_ms();
        let limit = self.inner.options.queue_limit.into();
        let accept = Accept { method, request, limit, job, keys_before_ms };
        // Whoever hangs up meanwhile leaves what was taken in, and nobody else would wake the queue.
        let _wakes = Wakes(&self.inner.outgoing);
        let taken = self.inner.store.accept(letters, accept, now_ms).await?;
        self.inner.touch();
        Ok(taken)
    }

    fn full(&self) -> Refused {
        let limit = self.inner.options.queue_limit;
        Refused::Full(format!("the outgoing queue is full: {limit} messages may wait"))
    }

    /// Whether the host of a link is there, from which a file is to be fetched.
    ///
    /// # Errors
    /// [`Refused::Bad`]: it is not, or may not be asked.
    pub async fn reaches(&self, url: &str) -> Result<(), Refused> {
        self.inner.files.knock(url).await.map_err(Refused::Bad)
    }

    /// A message as the journal keeps it and as it is sent.
    async fn letter(&self, draft: Draft, now_ms: i64) -> Result<(Record, Letter), Refused> {
        let quoted = match draft.quoted {
            Some(id) => Some((id, self.quoted(id).await?)),
            None => None,
        };
        let mut content = draft.content;
        if let Some((chat, id)) = draft.forward {
            match self.inner.store.message(id).await? {
                Some(record) if record.chat == Some(chat) => content = record.content,
                None if i32::try_from(id.get()).is_ok() => {}
                _ => return Err(Refused::Missing(format!("there is no message {id} in the chat {chat}"))),
            }
        }
        // What is known need not wait where nobody may be looked up.
        let chat = self.inner.known(&draft.to).await?.flatten();
        let quoted = match quoted {
            Some((id, (_, Some(elsewhere)))) if chat.is_some_and(|chat| chat != elsewhere) => {
                return Err(Refused::Missing(format!("the message {id} is in another chat, {elsewhere}")));
            }
            quoted => quoted.map(|(_, (quoted, _))| quoted),
        };
        let letter = Letter {
            to: draft.to.text(),
            content: content.clone(),
            quoted: draft.quoted,
            forward: draft.forward,
            typing: draft.typing,
            manner: draft.manner,
            buttons: draft.buttons,
        };
        let record = Record {
            id: MessageId::new(0),
            direction: Direction::Outgoing,
            origin: Origin::Api,
            chat,
            address: draft.to.text(),
            chat_kind: chat.map_or(ChatKind::User, ChatId::guessed_kind),
            chat_title: String::new(),
            tg_id: None,
            date_s: now_ms / 1000,
            sender: None,
            content,
            quoted,
            is_forwarded: draft.forward.is_some(),
            is_silent: draft.manner.is_silent,
            status: SendStatus::Pending,
            failure: None,
            reason: None,
            edited_s: None,
            deleted_s: None,
        };
        Ok((record, letter))
    }

    /// A message that is answered, and its chat where that is known.
    async fn quoted(&self, id: MessageId) -> Result<(Quoted, Option<ChatId>), Refused> {
        let missing = || Refused::Missing(format!("the message that is answered is not there: {id}"));
        Ok(match self.inner.store.message(id).await? {
            Some(known) => {
                let quoted = Quoted {
                    tg_id: known.tg_id.unwrap_or(0),
                    message: Some(known.id),
                    participant: known.sender.map(|sender| sender.id),
                    content: Some(Box::new(known.content)),
                };
                (quoted, known.chat)
            }
            None => {
                let tg_id = i32::try_from(id.get()).map_err(|_| missing())?;
                (Quoted { tg_id, message: None, participant: None, content: None }, None)
            }
        })
    }

    /// The outgoing queue.
    ///
    /// # Errors
    /// [`Refused::Storage`].
    pub async fn queue(&self) -> Result<Vec<QueueLine>, Refused> {
        Ok(self.inner.store.queue(clock::unix_ms()).await?)
    }

    /// The message of the outgoing queue that a request was for: what it called, and what one of its keys said.
    ///
    /// # Errors
    /// [`Refused::Storage`].
    pub async fn queued(&self, method: &str, key: &str, value: i64) -> Result<Option<MessageId>, Refused> {
        Ok(self.inner.store.queued(method, key, value).await?)
    }

    /// How long the outgoing queue is.
    ///
    /// # Errors
    /// [`Refused::Storage`].
    pub async fn queue_len(&self) -> Result<u64, Refused> {
        Ok(self.inner.store.queue_len(None).await?)
    }

    /// The same without what is to be sent at a later time, and without notifications.
    pub(crate) async fn pending_len(&self) -> Result<u64, Refused> {
        Ok(self.inner.store.queue_len(Some(clock::unix_ms())).await?)
    }

    /// Empties the outgoing queue of what it has now, a portion at a time, between which others write; what Telegram is being
    /// handed just now goes out. It is emptied whether this is waited for or not.
    ///
    /// # Errors
    /// [`Refused::Storage`].
    pub async fn clear_queue(&self) -> Result<(), Refused> {
        self.clear(None).await
    }

    /// The same, but what is to be sent at a later time, and notifications, stay.
    pub(crate) async fn clear_pending(&self) -> Result<(), Refused> {
        self.clear(Some(clock::unix_ms())).await
    }

    async fn clear(&self, due_by_ms: Option<i64>) -> Result<(), Refused> {
        let inner = Arc::clone(&self.inner);
        let clear = async move {
            let cleared = empty(&inner, due_by_ms).await;
            inner.settle();
            cleared
        };
        let cleared = tokio::spawn(clear.in_current_span()).await;
        Ok(cleared.map_err(|_| Refused::Storage("the queue was not emptied".to_owned()))??)
    }

    /// Takes one message out of the outgoing queue; its program is told that it failed.
    pub(crate) async fn take_out(&self, id: MessageId) -> Result<Withdrawn, StorageError> {
        let fault = withdrawn("taken out of the queue");
        self.inner.store.withdraw(id, &fault, self.inner.as_ref(), clock::unix_ms()).await
    }

    /// The journal's messages of the last `minutes`, the newest first.
    ///
    /// # Errors
    /// [`Refused::Storage`].
    pub async fn journal(&self, direction: Direction, minutes: u32) -> Result<Vec<Record>, Refused> {
        let since_s = clock::unix_s() - i64::from(minutes) * 60;
        Ok(self.inner.store.journal(direction, since_s).await?)
    }

    /// The last messages of a chat, the newest first: of Telegram where it can be asked, else of the journal.
    ///
    /// # Errors
    /// [`Refused::Telegram`], [`Refused::Storage`].
    pub async fn history(&self, of: &Address, count: usize) -> Result<Vec<Record>, Refused> {
        let chat = self.chat(of).await?;
        let told = match self.inner.messenger.history(chat, None, count).await {
            Ok(told) => told,
            Err(
                Failure::Unsupported(_) | Failure::Unknown(_) | Failure::Undone(_) | Failure::Unauthorized,
            ) => {
                return Ok(self.inner.store.history(chat, count).await?);
            }
            Err(failure) => return Err(failure.into()),
        };
        self.recalled(told).await
    }

    /// One message.
    ///
    /// # Errors
    /// [`Refused::Missing`], [`Refused::Telegram`], [`Refused::Storage`].
    pub async fn message(&self, of: &Address, id: MessageId) -> Result<Record, Refused> {
        if let Some(known) = self.known(of, id).await? {
            return Ok(known);
        }
        let missing = || Refused::Missing(format!("there is no message {id} in this chat"));
        let tg_id = i32::try_from(id.get()).map_err(|_| missing())?;
        let chat = self.chat(of).await?;
        let told = match self.inner.messenger.message(chat, tg_id).await {
            Err(Failure::Unsupported(_)) => {
                let sentence = format!(
                    "there is no message {id} in the journal of this chat, and a bot cannot ask Telegram for it"
                );
                return Err(Refused::Missing(sentence));
            }
            told => told?,
        };
        let message = told.ok_or_else(missing)?;
        let message = self.inner.record(message).await?;
        self.inner.store.recall(vec![message], clock::unix_ms()).await?.pop().ok_or_else(missing)
    }

    /// A message of the journal, if it is of this chat.
    async fn known(&self, of: &Address, id: MessageId) -> Result<Option<Record>, Refused> {
        let store = &self.inner.store;
        let Some(known) = store.message(id).await? else {
            let Ok(tg_id) = i32::try_from(id.get()) else { return Ok(None) };
            return Ok(store.message_at(Some(self.chat(of).await?), tg_id).await?);
        };
        let is_here = known.address == of.text() || known.chat == Some(self.chat(of).await?);
        Ok(is_here.then_some(known))
    }

    async fn at_telegram(&self, of: &Address, id: MessageId) -> Result<(Record, ChatId, i32), Refused> {
        let record = self.message(of, id).await?;
        match (record.chat, record.tg_id) {
            (Some(chat), Some(tg_id)) => Ok((record, chat, tg_id)),
            _ if record.status == SendStatus::Failed => {
                Err(Refused::Missing(format!("the message {id} was not sent")))
            }
            _ => Err(Refused::Missing(format!("the message {id} is not sent yet"))),
        }
    }

    /// Changes a message's text or caption, and a bot's inline buttons under it; of one that waits in the queue before it is sent. False if it says so already.
    ///
    /// # Errors
    /// [`Refused::Bad`], [`Refused::Missing`], [`Refused::Telegram`], [`Refused::Storage`].
    pub async fn edit(
        &self,
        of: &Address,
        id: MessageId,
        text: &str,
        entities: &[Entity],
        buttons: Option<&Value>,
    ) -> Result<bool, Refused> {
        let record = self.message(of, id).await?;
        if record.status == SendStatus::Pending {
            if buttons.is_some() {
                let sentence = format!("the message {id} is not sent yet: change its buttons when it is");
                return Err(Refused::UnderWay(sentence));
            }
            if record.is_forwarded || !matches!(record.content, Content::Text { .. } | Content::File { .. }) {
                return Err(not_editable("it has no text of the account's own"));
            }
            let is_done =
                self.inner.store.rewrite(id, |content| *content = with_text(content, text, entities)).await?;
            if is_done {
                return Ok(true);
            }
            let record = self.message(of, id).await?;
            if record.status == SendStatus::Pending {
                return Err(Refused::UnderWay(format!(
                    "the message {id} is being sent just now: change it when it is"
                )));
            }
        }
        let (record, chat, tg_id) = self.at_telegram(of, id).await?;
        if outbox::is_text_apart(&record.content) && record.origin == Origin::Api {
            return Err(not_editable(
                "its text was too long for its files and was sent before them as messages of their own; delete it and send another",
            ));
        }
        let is_changed = match self.inner.messenger.edit(chat, tg_id, text, entities, buttons).await {
            // It was asked for before, perhaps, and the answer was lost.
            Err(Failure::Refused { word: "not_modified", .. }) => false,
            told => told.map(|()| true)?,
        };
        // What a long text became is one message again.
        let mut is_changed = is_changed;
        if matches!(record.content, Content::Text { .. }) {
            let rest = self.inner.store.parts(record.id).await?;
            if !rest.is_empty() {
                self.inner.messenger.delete(chat, &rest, true).await?;
                is_changed = true;
            }
        }
        let content = with_text(&record.content, text, entities);
        is_changed |= !content.reads_as(&record.content);
        let edited_s = if is_changed { Some(clock::unix_s()) } else { record.edited_s };
        let record = Record { content, edited_s, ..record };
        self.inner.store.change(&record, None, clock::unix_ms()).await?;
        Ok(is_changed)
    }

    /// Deletes a message; one that is still in the queue is not sent.
    ///
    /// # Errors
    /// [`Refused::Missing`], [`Refused::Telegram`], [`Refused::Storage`].
    pub async fn delete(&self, of: &Address, id: MessageId, is_for_everyone: bool) -> Result<(), Refused> {
        let record = self.message(of, id).await?;
        if record.status == SendStatus::Pending {
            let (store, now_ms) = (&self.inner.store, clock::unix_ms());
            let fault = withdrawn("deleted before it was sent");
            match store.withdraw(id, &fault, self.inner.as_ref(), now_ms).await? {
                Withdrawn::Out { may_be_sent } => {
                    self.inner.settle();
                    let sent = self.inner.store.parts_of(id).await?;
                    if let (Some(chat), false) = (record.chat, sent.is_empty()) {
                        let sent: Vec<_> = sent.iter().map(|part| part.tg_id).collect();
                        self.inner.messenger.delete(chat, &sent, is_for_everyone).await?;
                    } else if may_be_sent {
                        let sentence = format!(
                            "the message {id} is not sent again, but Telegram may have it: look in the chat"
                        );
                        return Err(Failure::Refused { word: "internal", sentence }.into());
                    }
                    return Ok(());
                }
                Withdrawn::UnderWay => {
                    let sentence = format!("the message {id} is being sent just now: delete it when it is");
                    return Err(Refused::UnderWay(sentence));
                }
                Withdrawn::Absent => {}
            }
        }
        let (record, chat, tg_id) = self.at_telegram(of, id).await?;
        let mut all = vec![tg_id];
        all.extend(self.inner.store.parts(record.id).await?);
        self.inner.messenger.delete(chat, &all, is_for_everyone).await?;
        let record = Record { deleted_s: Some(clock::unix_s()), ..record };
        Ok(self.inner.store.change(&record, None, clock::unix_ms()).await?)
    }

    /// Marks a chat read, up to a message or whole.
    ///
    /// # Errors
    /// [`Refused::Missing`], [`Refused::Telegram`], [`Refused::Storage`].
    pub async fn mark_read(&self, of: &Address, id: Option<MessageId>) -> Result<(), Refused> {
        let (chat, up_to) = match id {
            Some(id) => {
                let (_, chat, tg_id) = self.at_telegram(of, id).await?;
                (chat, Some(tg_id))
            }
            None => (self.chat(of).await?, None),
        };
        Ok(self.inner.messenger.mark_read(chat, up_to).await?)
    }

    /// Begins to take a file in. A media type that nobody names is told by the name.
    ///
    /// # Errors
    /// [`Refused::Storage`].
    pub async fn new_file(&self, name: &str, mime: Option<&str>) -> Result<FileWriter, Refused> {
        self.inner.files.create(&self.inner.store, name, mime).await
    }

    /// A file of the store, by the secret in its link.
    ///
    /// # Errors
    /// [`Refused::Missing`] when there is none; [`Refused::Telegram`] when it cannot be fetched.
    pub async fn stored(&self, secret: &str) -> Result<StoredFile, Refused> {
        let missing = || Refused::Missing("there is no such file, or its time is over".to_owned());
        let row = self.inner.store.file(secret).await?.ok_or_else(missing)?;
        let oldest_s =
            clock::unix_s() - i64::try_from(self.inner.options.file_life.as_secs()).unwrap_or(i64::MAX);
        if row.created_s < oldest_s {
            return Err(missing());
        }
        Ok(StoredFile {
            url: self.inner.files.link(&row.secret, &row.name),
            key: row.secret,
            name: row.name,
            mime: row.mime,
            size: u64::try_from(row.size).unwrap_or(0),
        })
    }

    /// The body of a stored file, fetched from Telegram where it has to be.
    ///
    /// # Errors
    /// As [`Self::stored`].
    pub async fn body_of(&self, file: &StoredFile) -> Result<std::path::PathBuf, Refused> {
        let missing = || Refused::Missing("there is no such file, or its time is over".to_owned());
        let path = self.inner.files.path(&file.key);
        let row = self.inner.store.file(&file.key).await?.ok_or_else(missing)?;
        // A backup may have passed it over.
        if !row.is_here || !tokio::fs::try_exists(&path).await.unwrap_or(false) {
            let remote = row.remote.ok_or_else(missing)?;
            self.inner.download(&file.key, &remote).await?;
        }
        Ok(path)
    }

    /// The link by which the file of a message is fetched; the file comes from Telegram only when somebody does.
    ///
    /// # Errors
    /// [`Refused::Missing`], [`Refused::Storage`].
    pub async fn file_link(&self, of: &Address, id: MessageId) -> Result<String, Refused> {
        let mut record = self.message(of, id).await?;
        let none = || Refused::Missing(format!("the message {id} has no file"));
        let Content::File { file, .. } = &mut record.content else { return Err(none()) };
        let is_good = match &file.stored {
            Some(secret) => self.stored(secret).await.is_ok(),
            None => false,
        };
        if !is_good {
            // The link's time is over; the message is still there.
            let (Some(chat), Some(tg_id)) = (record.chat, record.tg_id) else { return Err(none()) };
            let fresh = self.inner.messenger.message(chat, tg_id).await?.ok_or_else(none)?;
            let Content::File { file: fresh, .. } = fresh.content else { return Err(none()) };
            *file = fresh;
            let row = self.inner.files.promise(file);
            self.inner.store.keep_file(&row).await?;
            self.inner.store.change(&record, None, clock::unix_ms()).await?;
        }
        self.link_of(&record.content).ok_or_else(none)
    }

    /// The link to the file of a record, where it has one.
    #[must_use]
    pub fn link_of(&self, content: &Content) -> Option<String> {
        self.inner.link_of(content)
    }
}

/// A content with another text or caption.
fn with_text(content: &Content, text: &str, entities: &[Entity]) -> Content {
    let entities = entities.to_vec();
    match content.clone() {
        Content::Text { has_preview, .. } => Content::Text { text: text.to_owned(), has_preview, entities },
        Content::File { file, more, left_out, .. } => {
            Content::File { file, more, left_out, caption: text.to_owned(), entities }
        }
        content => content,
    }
}

fn not_editable(cause: &str) -> Refused {
    Failure::Refused { word: "not_editable", sentence: format!("the message cannot be changed: {cause}") }
        .into()
}

/// Wakes a task when it is dropped.
pub(super) struct Wakes<'a>(pub(super) &'a Notify);

impl Drop for Wakes<'_> {
    fn drop(&mut self) {
        self.0.notify_one();
    }
}

/// What became of the messages of a job.
#[derive(Debug)]
pub(crate) enum Posted {
    /// They are in the queue.
    In(Vec<MessageId>),
    /// The job was begun before, or its key is another's.
    Known(Begun),
}

async fn empty(inner: &Inner, due_by_ms: Option<i64>) -> Result<(), StorageError> {
    let (fault, now_ms) = (withdrawn("taken out of the queue"), clock::unix_ms());
    let last = inner.store.last_seq().await?;
    while inner.store.withdraw_first(last, due_by_ms, &fault, inner, now_ms).await? {}
    Ok(())
}

/// Why a message was taken out of the queue.
fn withdrawn(sentence: &str) -> Fault {
    Fault { sentence: sentence.to_owned(), reason: Reason::of("message_not_found") }
}
