//! Takes in what Telegram tells: first the journal and the queue of notifications, on the disk, then everything else.

use std::sync::Arc;

use sha2::{Digest as _, Sha256};
use tracing::error;

use crate::chat::ChatId;
use crate::clock;
use crate::content::Content;
use crate::id::MessageId;
use crate::instance::inner::Inner;
use crate::messenger::{News, Received};
use crate::record::{Direction, Origin, Quoted, Record, SendStatus};
use crate::space::{self, Space};
use crate::store::{FileRow, StorageError, Told};

/// By what something told of a message is known to be the same.
pub(crate) fn dedupe(what: &str, chat: ChatId, tg_id: i32) -> String {
    format!("{what}:{chat}:{tg_id}")
}

impl Inner {
    /// Takes news in; when this returns they are on the disk. News of which a row says what it cannot say are passed over:
    /// they would be so at every try, and everything that comes after them would wait.
    pub(crate) async fn take(self: &Arc<Self>, news: News) -> Result<(), StorageError> {
        self.see_account().await?;
        match self.take_in(news).await {
            Err(error) if is_of_the_row(&error) => {
                error!(%error, "what Telegram tells of a message is passed over: the journal holds what it cannot hold");
                Ok(())
            }
            taken => taken,
        }
    }

    async fn take_in(self: &Arc<Self>, news: News) -> Result<(), StorageError> {
        match news {
            News::New(message) => self.take_new(*message).await?,
            News::Edited(message) => self.take_edited(*message).await?,
            News::Deleted { chat, tg_ids } => {
                for tg_id in tg_ids {
                    self.take_deleted(chat, tg_id).await?;
                }
            }
            News::Read { chat, up_to } => {
                let is_told = self.row().settings.is_on("outgoingWebhook");
                let told = |record: &Record| is_told.then(|| self.told_status(record, "read"));
                self.store.read(chat, up_to, told, clock::unix_ms()).await?;
            }
            News::Reaction { chat, tg_id, sender, emoji, date_s } => {
                let is_told = self.row().settings.is_on("incomingWebhook");
                if let (Some(emoji), true) = (emoji, is_told)
                    && let Some(record) = self.store.message_at(Some(chat.id), tg_id).await?
                {
                    let id = self.store.next_id(clock::unix_ms()).await?;
                    let who = sender.as_ref().map_or(0, |sender| sender.id.0);
                    let told = self.told_reaction(id, &emoji, sender.as_ref(), &record);
                    let dedupe = format!("reaction:{}:{tg_id}:{who}:{date_s}:{emoji}", chat.id);
                    self.store.tell(&Told { dedupe, ..told }, clock::unix_ms()).await?;
                }
            }
        }
        self.notifications.notify_waiters();
        self.touch();
        Ok(())
    }

    async fn take_new(self: &Arc<Self>, message: Received) -> Result<(), StorageError> {
        if message.is_ours && self.store.is_part(message.chat.id, message.tg_id).await? {
            return Ok(());
        }
        let (is_ours, chat, tg_id) = (message.is_ours, message.chat.id, message.tg_id);
        let (mut record, file) = self.record(message).await?;
        let (kind, switch) = if is_ours {
            ("outgoingMessageReceived", "outgoingMessageWebhook")
        } else {
            ("incomingMessageReceived", "incomingWebhook")
        };
        let is_told = self.row().settings.is_on(switch);
        // The queue tells all of it, whatever the journal has room for.
        let mut whole = record.clone();
        if self.files.space() == Space::Gone {
            // Strangers may send many, and the queues are the last that have room.
            whole.drop_pictures();
            record = space::bare(&record);
        }
        let told = |record: &Record| {
            is_told.then(|| self.told_message(kind, &Record { id: record.id, ..whole.clone() }))
        };
        let is_new = self.store.receive(&mut record, file.as_ref(), told, clock::unix_ms()).await?;
        if is_new && !is_ours {
            self.mark_received(chat, tg_id);
        }
        Ok(())
    }

    async fn take_edited(self: &Arc<Self>, message: Received) -> Result<(), StorageError> {
        let edited_s = message.edited_s.unwrap_or_else(clock::unix_s);
        let Some(known) = self.store.message_at(Some(message.chat.id), message.tg_id).await? else {
            return self.take_edited_before(message, edited_s).await;
        };
        let mut content = message.content;
        let file = match (&mut content, &known.content) {
            (Content::File { file, .. }, Content::File { file: before, .. }) => {
                self.files.renew(file, before)
            }
            (Content::File { file, .. }, _) => Some(self.files.promise(file)),
            _ => None,
        };
        // Reactions and read marks change a message too, and nothing that people read.
        let is_other = !content.reads_as(&known.content);
        if let (Content::File { more, left_out, .. }, Content::File { more: others, left_out: gone, .. }) =
            (&mut content, &known.content)
        {
            more.clone_from(others);
            left_out.clone_from(gone);
        }
        if !is_other && known.edited_s.is_some_and(|before| before >= edited_s) {
            return Ok(());
        }
        if let Some(file) = file {
            self.store.keep_file(&file).await?;
        }
        let record = Record { content, edited_s: Some(edited_s), ..known };
        let told = if is_other && self.row().settings.is_on("editedMessageWebhook") {
            Some(self.told_edited_at(self.store.next_id(clock::unix_ms()).await?, &record))
        } else {
            None
        };
        self.store.change(&record, told.as_ref(), clock::unix_ms()).await
    }

    /// A message was changed that the journal has not: it is older than the journal or the instance, or is still to be told
    /// of as new. Told as new here, programs would answer what was said last month.
    async fn take_edited_before(
        self: &Arc<Self>,
        message: Received,
        edited_s: i64,
    ) -> Result<(), StorageError> {
        if message.is_ours && self.store.is_part(message.chat.id, message.tg_id).await? {
            return Ok(());
        }
        let (record, file) = self.record(Received { edited_s: Some(edited_s), ..message }).await?;
        let is_told = edited_s >= self.row().created_s && self.row().settings.is_on("editedMessageWebhook");
        let id = if is_told { Some(self.store.next_id(clock::unix_ms()).await?) } else { None };
        let told = |record: &Record| id.map(|id| self.told_edited_at(id, record));
        self.store.recall_and_tell(record, file.as_ref(), told, clock::unix_ms()).await
    }

    fn told_edited_at(&self, id: MessageId, record: &Record) -> Told {
        let (chat, tg_id) = (record.chat.unwrap_or(ChatId(0)), record.tg_id.unwrap_or(0));
        // Telegram counts seconds, and people may edit twice in one.
        let what = hex::encode(Sha256::digest(format!("{:?}", record.content)));
        let edited_s = record.edited_s.unwrap_or(0);
        Told {
            dedupe: format!("edited:{chat}:{tg_id}:{edited_s}:{}", &what[..16]),
            ..self.told_edited(id, record)
        }
    }

    async fn take_deleted(self: &Arc<Self>, chat: Option<ChatId>, tg_id: i32) -> Result<(), StorageError> {
        let Some(known) = self.store.message_at(chat, tg_id).await? else { return Ok(()) };
        if known.deleted_s.is_some() {
            return Ok(());
        }
        let record = Record { deleted_s: Some(clock::unix_s()), ..known };
        let told = if self.row().settings.is_on("deletedMessageWebhook") {
            let id = self.store.next_id(clock::unix_ms()).await?;
            let chat = record.chat.unwrap_or(ChatId(0));
            Some(Told { dedupe: dedupe("deleted", chat, tg_id), ..self.told_deleted(id, &record) })
        } else {
            None
        };
        self.store.change(&record, told.as_ref(), clock::unix_ms()).await
    }

    /// A message as the journal keeps it, and its file.
    pub(crate) async fn record(&self, message: Received) -> Result<(Record, Option<FileRow>), StorageError> {
        self.see_account().await?;
        let mut content = message.content;
        let file = match &mut content {
            Content::File { file, .. } => Some(self.files.promise(file)),
            _ => None,
        };
        let quoted = match message.quoted {
            Some(quoted) => {
                let known = self.store.message_at(Some(message.chat.id), quoted.tg_id).await?;
                Some(match known {
                    Some(known) => Quoted {
                        message: Some(known.id),
                        participant: known.sender.as_ref().map(|sender| sender.id).or(quoted.participant),
                        content: Some(Box::new(known.content)),
                        ..quoted
                    },
                    None => quoted,
                })
            }
            None => None,
        };
        let record = Record {
            id: MessageId::new(0),
            direction: if message.is_ours { Direction::Outgoing } else { Direction::Incoming },
            origin: if message.is_ours { Origin::Device } else { Origin::Peer },
            chat: Some(message.chat.id),
            address: message.chat.id.to_string(),
            chat_kind: message.chat.kind,
            chat_title: message.chat.title,
            tg_id: Some(message.tg_id),
            date_s: message.date_s,
            sender: message.sender,
            content,
            quoted,
            is_forwarded: message.is_forwarded,
            is_silent: message.is_silent,
            status: if message.is_ours { SendStatus::Sent } else { SendStatus::Read },
            failure: None,
            reason: None,
            edited_s: message.edited_s,
            deleted_s: None,
        };
        Ok((record, file))
    }
}

/// Whether an error is that of a row, and not of the disk.
fn is_of_the_row(error: &StorageError) -> bool {
    match error {
        StorageError::Decode(_) | StorageError::ColumnDecode { .. } => true,
        StorageError::Database(error) => {
            error.is_unique_violation() || error.is_check_violation() || error.is_foreign_key_violation()
        }
        _ => false,
    }
}
