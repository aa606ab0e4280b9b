//! An instance as another program of ours looks at it: what a page shows of one that is not in its own program.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::timeout;

use crate::browse::{Bookmark, Browse, Cancelled, Leaf, Rest, Seen, Waiting};
use crate::clock;
use crate::content::Content;
use crate::id::{InstanceId, MessageId};
use crate::instance::{Instance, Refused};
use crate::record::Direction;
use crate::standing::Standing;

/// Most messages in one answer.
const MOST: u32 = 100;
/// Among so many of the queue its head is looked for.
const FIRST: u32 = 50;
/// How long a file is waited for that is fetched from Telegram.
const FETCHED: Duration = Duration::from_secs(10);
/// Longest text of a message of the queue, in characters: nobody shows more of it.
const WORDS: usize = 500;
/// Longest journal in one answer, in bytes of JSON: lines of the control socket are at most twice as long.
const LEAF_BYTES: usize = 256 * 1024;

/// What is asked of an instance.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum Asked {
    /// How it does.
    Glance,
    /// Whether it may do another way than before.
    Revision,
    /// A page of the outgoing queue.
    Queue {
        /// So many are passed over.
        skip: u32,
        /// So many at most.
        count: u32,
    },
    /// A page of the journal.
    Journal {
        /// Which messages.
        browse: Browse,
        /// Before where.
        before: Bookmark,
        /// So many at most.
        count: u32,
        /// What whoever asks has before them of the newest page: [`Instance::leaf_again`].
        #[serde(default)]
        seen: Option<Seen>,
    },
    /// A file of a message, fetched from Telegram where it has to be.
    File {
        /// What the store calls it: [`crate::Attachment::stored`].
        key: String,
    },
    /// Take a message out of the queue.
    Cancel {
        /// Which.
        message: MessageId,
    },
    /// Take all messages out of the queue.
    Clear,
}

/// What is answered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Told {
    /// To [`Asked::Glance`].
    Glance(Glance),
    /// To [`Asked::Revision`]: its number, and [`Instance::revision`].
    Revision {
        /// Its number.
        id: InstanceId,
        /// What changes whenever it may do another way.
        revision: u64,
    },
    /// To [`Asked::File`]: it is there.
    File(FileSeen),
    /// To [`Asked::File`]: it is being fetched, which goes on whoever waits for it.
    Fetching,
    /// To [`Asked::File`]: there is none, or its time is over.
    NoFile,
    /// To [`Asked::Queue`].
    Queue(QueueSeen),
    /// To [`Asked::Journal`]: it may hold less than was asked for.
    Journal(Leaf),
    /// To [`Asked::Cancel`].
    Cancelled(Cancelled),
    /// To [`Asked::Clear`].
    Cleared,
}

/// An instance at a glance.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Glance {
    /// Its number.
    pub id: InstanceId,
    /// How it stands with Telegram.
    pub standing: Standing,
    /// What it is called.
    pub name: String,
    /// Messages in the outgoing queue.
    pub outgoing: u64,
    /// When the newest message was written: seconds since 1970.
    pub last_s: Option<i64>,
    /// Why the head of the outgoing queue does not go out.
    pub stuck: Option<String>,
    /// What rests.
    pub rests: Vec<Rest>,
    /// [`Instance::revision`].
    pub revision: u64,
}

/// A file of a message, on the disk.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FileSeen {
    /// What it is called.
    pub name: String,
    /// Its media type.
    pub mime: String,
    /// Where its body is.
    pub path: PathBuf,
}

/// The outgoing queue.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct QueueSeen {
    /// The instance.
    pub glance: Glance,
    /// A page of it. Long texts are cut.
    pub waiting: Vec<Waiting>,
    /// Longest queue.
    pub limit: u32,
    /// Phone numbers and names that Telegram was asked for today, and most of them in a day.
    pub checks: (u32, u32),
    /// The pause between two messages, in milliseconds.
    pub delay_ms: u32,
}

impl Instance {
    /// Answers another program of ours.
    ///
    /// # Errors
    /// [`Refused::Storage`].
    pub async fn answer(&self, asked: Asked) -> Result<Told, Refused> {
        Ok(match asked {
            Asked::Glance => Told::Glance(self.glance().await?),
            Asked::Revision => Told::Revision { id: self.id(), revision: self.revision() },
            Asked::File { key } => match timeout(FETCHED, self.file_seen(&key)).await {
                Ok(Ok(file)) => Told::File(file),
                Ok(Err(Refused::Missing(_))) => Told::NoFile,
                Ok(Err(refused)) => return Err(refused),
                Err(_) => Told::Fetching,
            },
            Asked::Queue { skip, count } => {
                let mut waiting = self.waiting(skip, count.min(MOST)).await?;
                waiting.iter_mut().for_each(|one| shorten(&mut one.content));
                Told::Queue(QueueSeen {
                    glance: self.glance().await?,
                    waiting,
                    limit: self.queue_limit(),
                    checks: self.checks().await?,
                    delay_ms: self.settings().delay_ms,
                })
            }
            Asked::Journal { browse, before, count, seen } => {
                let count = usize::try_from(count.min(MOST)).unwrap_or(1);
                let leaf = match seen {
                    Some(seen) => self.leaf_again(&browse, &seen, count).await?,
                    None => self.leaf(&browse, before, count).await?,
                };
                Told::Journal(fitting(leaf, LEAF_BYTES))
            }
            Asked::Cancel { message } => Told::Cancelled(self.cancel(message).await?),
            Asked::Clear => {
                self.clear_queue().await?;
                Told::Cleared
            }
        })
    }

    async fn file_seen(&self, key: &str) -> Result<FileSeen, Refused> {
        let file = self.stored(key).await?;
        let path = self.body_of(&file).await?;
        Ok(FileSeen { name: file.name, mime: file.mime, path })
    }

    /// How it does.
    ///
    /// # Errors
    /// [`Refused::Storage`].
    pub async fn glance(&self) -> Result<Glance, Refused> {
        let mut last_s = None;
        for direction in [Direction::Incoming, Direction::Outgoing] {
            last_s = last_s.max(self.last_message_s(direction).await?);
        }
        let (first, now_ms) = (self.waiting(0, FIRST).await?, clock::unix_ms());
        // What is to be sent at a time of its own keeps nobody waiting.
        let head = first.iter().find(|one| one.stuck().is_some() || one.next_ms <= now_ms);
        Ok(Glance {
            id: self.id(),
            standing: self.standing(),
            name: self.messenger().account().name,
            outgoing: self.queue_len().await?,
            last_s,
            stuck: head.and_then(Waiting::stuck).map(str::to_owned),
            rests: self.resting().await?,
            revision: self.revision(),
        })
    }
}

/// Leaves no more of a message than is shown of it in a queue.
fn shorten(content: &mut Content) {
    match content {
        Content::Text { text, entities, .. } | Content::File { caption: text, entities, .. } => {
            if let Some((end, _)) = text.char_indices().nth(WORDS) {
                text.truncate(end);
                entities.clear();
            }
        }
        _ => {}
    }
}

/// As many of the messages as make no more than so many bytes of JSON, and at least one.
fn fitting(mut leaf: Leaf, most: usize) -> Leaf {
    let mut bytes = 0;
    let fit = leaf.records.iter().take_while(|record| {
        bytes += serde_json::to_vec(record).map_or(0, |json| json.len() + 1);
        bytes <= most
    });
    let fit = fit.count().max(1);
    if fit < leaf.records.len() {
        leaf.records.truncate(fit);
        leaf.older = leaf.records.last().map(Bookmark::of);
    }
    leaf
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::{ChatId, ChatKind};
    use crate::record::{Origin, Record, SendStatus};

    #[test]
    fn a_journal_that_is_too_long_for_one_answer_goes_on_where_it_was_cut() {
        let whole = Leaf { records: (0..50).map(record).collect(), ..Leaf::default() };
        let told = Told::Journal(whole.clone());
        let json = serde_json::to_value(&told).unwrap();
        assert_eq!(serde_json::from_value::<Told>(json).unwrap(), told);
        let one = serde_json::to_vec(&whole.records[0]).unwrap().len() + 1;
        let cut = fitting(whole.clone(), one * 20);
        let last = cut.records.last().unwrap();
        assert!((15..25).contains(&cut.records.len()), "{}", cut.records.len());
        assert_eq!(cut.older, Some(Bookmark { date_s: last.date_s, id: last.id }));
        assert_eq!(fitting(whole.clone(), 1).records.len(), 1);
        assert_eq!(fitting(whole.clone(), LEAF_BYTES), whole);
    }

    #[test]
    fn of_a_message_that_waits_no_more_is_told_than_is_shown() {
        let mut long = Content::plain("ы".repeat(4_096));
        shorten(&mut long);
        assert_eq!(long.words().chars().count(), WORDS);
        let mut short = Content::plain("ы");
        shorten(&mut short);
        assert_eq!(short.words(), "ы");
    }

    #[test]
    fn what_is_asked_is_the_same_after_the_wire() {
        let browse =
            Browse { direction: Some(Direction::Incoming), chat: Some(ChatId(-7)), ..Browse::default() };
        let id = MessageId::new(i64::MAX);
        let seen = Seen { newest: Bookmark::NEWEST, messages: vec![id], older: None };
        for asked in [
            Asked::Glance,
            Asked::Revision,
            Asked::File { key: "0123456789abcdef0123456789abcdef".to_owned() },
            Asked::Queue { skip: 50, count: 50 },
            Asked::Journal { browse, before: Bookmark::NEWEST, count: 50, seen: Some(seen) },
            Asked::Cancel { message: id },
            Asked::Clear,
        ] {
            let json = serde_json::to_string(&asked).unwrap();
            assert_eq!(serde_json::from_str::<Asked>(&json).unwrap(), asked);
        }
    }

    fn record(number: i64) -> Record {
        Record {
            id: MessageId::new(number),
            direction: Direction::Outgoing,
            origin: Origin::Api,
            chat: Some(ChatId(1)),
            address: "1".to_owned(),
            chat_kind: ChatKind::User,
            chat_title: "Anna".to_owned(),
            tg_id: None,
            date_s: 1_000_000 - number,
            sender: None,
            content: Content::plain("Good day"),
            quoted: None,
            is_forwarded: false,
            is_silent: false,
            status: SendStatus::Sent,
            failure: None,
            reason: None,
            edited_s: None,
            deleted_s: None,
        }
    }
}
