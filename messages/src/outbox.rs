//! Takes the outgoing queue to Telegram, one message after the other.
//!
//! A message is claimed on the disk before it is handed over, and known to Telegram by a number that is on the disk too:
//! after a crash it is handed over again, and Telegram refuses what it has (`RANDOM_ID_DUPLICATE`).

mod parts;

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep, timeout};
use tracing::{debug, info, warn};

use crate::chat::{Address, Chat, ChatId};
use crate::clock;
use crate::content::Content;
use crate::id::MessageId;
use crate::instance::inner::{Inner, Located};
use crate::instance::{Manner, Typing};
use crate::messenger::{Failure, Order, Received, Sent};
use crate::standing::Standing;
use crate::store::{Hold, Outgoing, StorageError};

/// A message that fails so often lets others pass.
const TRIES: u32 = 3;
/// Pauses after a failure of which nobody knows whether the next try fails too.
const FIRST_PAUSE_MS: i64 = 1_000;
const LONGEST_PAUSE_MS: i64 = 60_000;
/// How long a whole try may take: files are large.
const LIMIT: Duration = Duration::from_secs(900);
/// How long nothing is done at most, whatever is waited for.
const LOOK: Duration = Duration::from_secs(30);
/// How often it is looked for messages that are too old.
const EXPIRY: Duration = Duration::from_secs(1);
/// How often one that fails often goes before others.
const RETRY_EVERY: Duration = Duration::from_secs(60);
/// How long the disk is left alone when it refuses.
const REST: Duration = Duration::from_secs(1);

/// A message of the queue, as it is kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Letter {
    /// [`Address::text`].
    pub(crate) to: String,
    pub(crate) content: Content,
    #[serde(default)]
    pub(crate) quoted: Option<MessageId>,
    #[serde(default)]
    pub(crate) forward: Option<(ChatId, MessageId)>,
    #[serde(default)]
    pub(crate) typing: Option<Typing>,
    #[serde(default)]
    pub(crate) manner: Manner,
}

/// What came of a try.
enum Outcome {
    /// Its first part, and the last one of several with its place.
    Sent(Option<Box<Sent>>, Option<(usize, Box<Sent>)>),
    Failed(String),
    /// Again after a pause; whether Telegram may have it.
    Later {
        cause: String,
        is_lost: bool,
    },
    /// So much has to rest so long.
    Rest(Hold, Duration, String),
    Unauthorized,
}

/// What the task remembers.
struct Outbox {
    inner: Arc<Inner>,
    last_sent: Option<Instant>,
    /// Until when everything rests: milliseconds since 1970.
    rest_until_ms: i64,
    /// When it was last looked for messages that are too old.
    looked: Option<Instant>,
    /// When one that fails often was last tried.
    retried: Option<Instant>,
}

/// Works until it is dropped.
pub(crate) async fn run(inner: Arc<Inner>) {
    let mut outbox =
        Outbox { inner: Arc::clone(&inner), last_sent: None, rest_until_ms: 0, looked: None, retried: None };
    let mut is_awake = false;
    loop {
        let step = match is_awake {
            true => outbox.step().await,
            // What Telegram asked for before a restart is kept to.
            false => inner.store.rest_until_ms(clock::unix_ms()).await.map(|until_ms| {
                is_awake = true;
                outbox.rest_until_ms = until_ms.unwrap_or(0);
                None
            }),
        };
        let wait = match step {
            Ok(None) => continue,
            Ok(Some(wait)) => wait,
            Err(error) => {
                warn!(%error, "the outgoing queue cannot be read");
                REST
            }
        };
        tokio::select! {
            () = sleep(wait.min(LOOK)) => {}
            () = inner.outgoing.notified() => {}
            () = inner.messenger.standing_changed() => {}
        }
    }
}

impl Outbox {
    /// Does one thing, if there is one to do; else says how long there is none.
    async fn step(&mut self) -> Result<Option<Duration>, StorageError> {
        let inner = &self.inner;
        let now_ms = clock::unix_ms();
        if self.looked.is_none_or(|at| at.elapsed() >= EXPIRY) {
            let old = inner.store.expired(now_ms - inner.options.queue_ms()).await?;
            if !old.is_empty() {
                info!(messages = old.len(), "messages were not sent in time");
                inner.fail(&old, "expired: it could not be sent in time").await?;
                return Ok(None);
            }
            self.looked = Some(Instant::now());
        }
        if inner.messenger.standing() != Standing::Authorized {
            return Ok(Some(LOOK));
        }
        inner.see_account().await?;
        if self.rest_until_ms > now_ms {
            return Ok(Some(until_ms(self.rest_until_ms, now_ms)));
        }
        // One that fails often takes the others' time once in a while, not at each of its own.
        let is_last = self.retried.get_or_insert_with(Instant::now).elapsed() < RETRY_EVERY;
        let Some(next) = inner.store.next(now_ms, TRIES, is_last).await? else {
            let at_ms = inner.store.next_at_ms(now_ms).await?;
            return Ok(Some(at_ms.map_or(LOOK, |at_ms| until_ms(at_ms, now_ms))));
        };
        if next.not_before_ms > now_ms {
            return Ok(Some(until_ms(next.not_before_ms, now_ms)));
        }
        let pause = Duration::from_millis(inner.row().settings.delay_ms.into());
        let left = self.last_sent.and_then(|last| pause.checked_sub(last.elapsed()));
        if let Some(left) = left.filter(|left| !left.is_zero()) {
            return Ok(Some(left));
        }
        if !inner.store.claim(next.seq).await? {
            return Ok(None);
        }
        let outcome = match timeout(LIMIT, send(inner, &next)).await {
            Ok(outcome) => outcome?,
            Err(_) => Outcome::Later { cause: "Telegram did not take it in time".to_owned(), is_lost: true },
        };
        self.last_sent = Some(Instant::now());
        if next.attempts > TRIES {
            self.retried = self.last_sent;
        }
        self.conclude(&next, outcome).await?;
        Ok(None)
    }

    async fn conclude(&mut self, next: &Outgoing, outcome: Outcome) -> Result<(), StorageError> {
        let (inner, now_ms) = (&self.inner, clock::unix_ms());
        match outcome {
            Outcome::Sent(first, last) => {
                let last = last.as_ref().map(|(number, sent)| (*number, sent.as_ref()));
                inner.store.sent(next.id, first.as_deref(), last, inner.as_ref(), now_ms).await?;
                if let Some(sent) = first {
                    inner.read_on_reply(sent.chat.id);
                }
            }
            Outcome::Failed(cause) => {
                info!(id = %next.id, cause, "a message cannot be sent");
                inner.fail(&[next.id], &cause).await?;
            }
            Outcome::Later { cause, is_lost } => {
                debug!(id = %next.id, cause, "a message is sent later");
                let pause = FIRST_PAUSE_MS.saturating_mul(1 << next.attempts.min(6)).min(LONGEST_PAUSE_MS);
                inner.store.later(next, now_ms + pause, &cause, is_lost, inner.as_ref(), now_ms).await?;
            }
            Outcome::Rest(what, pause, cause) => {
                warn!(seconds = pause.as_secs(), ?what, "the outgoing queue rests: {cause}");
                let until_ms = now_ms + i64::try_from(pause.as_millis()).unwrap_or(i64::MAX / 2);
                inner.store.hold(what, until_ms, &cause).await?;
                match what {
                    Hold::All => self.rest_until_ms = until_ms,
                    Hold::Strangers => inner.suspend(pause).await?,
                    Hold::Lookups | Hold::Chat(_) => {}
                }
                // Whatever rests beside it, this one does.
                inner.store.unclaim(next, until_ms, &cause, inner.as_ref(), now_ms).await?;
            }
            Outcome::Unauthorized => {
                let cause = Failure::Unauthorized.to_string();
                inner.store.unclaim(next, 0, &cause, inner.as_ref(), now_ms).await?;
            }
        }
        inner.notifications.notify_waiters();
        Ok(())
    }
}

/// PEER_FLOOD does not say how long; Telegram's own advice is days, and a try now and then does no harm.
const SPAM_PAUSE: Duration = Duration::from_secs(3600);

async fn send(inner: &Arc<Inner>, next: &Outgoing) -> Result<Outcome, StorageError> {
    let letter = &next.letter;
    let Ok(to) = Address::read(&letter.to) else {
        return Ok(Outcome::Failed(format!("{} is no chat", letter.to)));
    };
    let chat = match inner.locate(&to).await? {
        Located::At(chat) => chat,
        Located::Nobody(sentence) => return Ok(Outcome::Failed(sentence)),
        Located::Spent { seconds } => {
            let cause = "Telegram was asked for as many numbers and names today as the settings allow";
            return Ok(Outcome::Rest(Hold::Lookups, rest(seconds), cause.to_owned()));
        }
        Located::Unable(Failure::Flood { seconds }) => {
            let cause = Failure::Flood { seconds }.to_string();
            return Ok(Outcome::Rest(Hold::Lookups, rest(seconds), cause));
        }
        Located::Unable(Failure::Unknown(cause)) => return Ok(Outcome::Later { cause, is_lost: false }),
        Located::Unable(failure) => return Ok(judge(failure, None)),
    };
    if next.chat != Some(chat) {
        inner.store.located(next, chat).await?;
    }
    let reply_to = match letter.quoted {
        Some(quoted) => inner.tg_id_of(quoted).await?,
        None => None,
    };
    let forward = match letter.forward {
        Some((chat, message)) => match inner.tg_id_of(message).await? {
            Some(tg_id) => {
                let mut all = vec![(chat, tg_id)];
                all.extend(inner.store.parts(message).await?.into_iter().map(|part| (chat, part)));
                all
            }
            None => return Ok(Outcome::Failed("the message to be forwarded is not there".to_owned())),
        },
        None => Vec::new(),
    };
    let mut content = letter.content.clone();
    let path = match &mut content {
        Content::File { file, .. } if letter.forward.is_none() => {
            match inner.fetch_for_sending(next, file).await? {
                Ok(path) => Some(path),
                Err(Failure::Unknown(cause)) => {
                    return Ok(Outcome::Later { cause, is_lost: false });
                }
                Err(failure) => return Ok(Outcome::Failed(failure.to_string())),
            }
        }
        _ => None,
    };
    if let Some(typing) = letter.typing.filter(|_| next.attempts == 0) {
        let shown = Duration::from_millis(typing.ms.into());
        // It is of no weight whether somebody saw it.
        inner.messenger.typing(&Address::Chat(chat), typing.kind).await.ok();
        sleep(shown).await;
    }
    let parts: Vec<_> = if forward.is_empty() {
        parts::of(content).into_iter().map(|part| (part, None)).collect()
    } else {
        forward.into_iter().map(|part| (content.clone(), Some(part))).collect()
    };
    let last = parts.len() - 1;
    let (mut first, mut latest) = (None, None);
    for (number, (content, forward)) in parts.into_iter().enumerate().skip(next.parts_done as usize) {
        let mut order = Order {
            to: Address::Chat(chat),
            random_id: next.random_id.wrapping_add(i64::try_from(number).unwrap_or(0)),
            content,
            paths: path.clone().into_iter().collect(),
            reply_to: reply_to.filter(|_| number == 0),
            forward,
            hides_author: letter.manner.hides_author,
            is_silent: letter.manner.is_silent,
        };
        let mut told = inner.messenger.send(&order).await;
        if matches!(told, Err(Failure::Refused { word: "dialog_not_found", .. })) && order.to != to {
            // The account has forgotten them: it finds them as it did before.
            order.to = to.clone();
            told = inner.messenger.send(&order).await;
        }
        let sent = match told {
            Ok(sent) => Some(sent),
            Err(Failure::Repeated) => match find_sent(inner, next, &order).await? {
                Ok(found) => found,
                Err(cause) => return Ok(Outcome::Later { cause, is_lost: true }),
            },
            Err(failure) => return Ok(judge(failure, Some(chat))),
        };
        // The last one is done when the message is: killed between the two, nobody would look for its number.
        if number < last {
            inner.store.part_done(next, number, sent.as_ref()).await?;
        }
        if number == 0 {
            first.clone_from(&sent);
        }
        latest = sent;
    }
    if first.is_none()
        && last > 0
        && let (Some((chat, tg_id, date_s)), Some(latest)) = (inner.store.first_part(next.id).await?, &latest)
    {
        // It was sent before the program was started anew.
        let chat = Chat { id: chat, ..latest.chat.clone() };
        first = Some(Sent { chat, tg_id, date_s });
    }
    let latest = latest.filter(|_| last > 0).map(|latest| (last, Box::new(latest)));
    Ok(Outcome::Sent(first.map(Box::new), latest))
}

/// The message that was sent before: what came meanwhile, or one of the account's last in the chat. Else why it cannot be
/// looked for now.
async fn find_sent(
    inner: &Inner,
    next: &Outgoing,
    order: &Order,
) -> Result<Result<Option<Sent>, String>, StorageError> {
    for echo in inner.store.echoes(next.id).await? {
        if let (Some(id), Some(tg_id)) = (echo.chat, echo.tg_id)
            && parts::is_same(&echo.content, &order.content)
        {
            let chat = Chat {
                id,
                kind: echo.chat_kind,
                title: echo.chat_title,
                username: None,
                phone: None,
                is_archived: false,
            };
            return Ok(Ok(Some(Sent { chat, tg_id, date_s: echo.date_s })));
        }
    }
    let last = match inner.messenger.last_own(&order.to).await {
        Ok(last) => last,
        Err(failure @ (Failure::Unknown(_) | Failure::Flood { .. } | Failure::Unauthorized)) => {
            return Ok(Err(failure.to_string()));
        }
        Err(_) => return Ok(Ok(None)),
    };
    for message in last {
        let Received { chat, tg_id, date_s, is_ours, content, .. } = message;
        if !is_ours
            || !parts::is_same(&content, &order.content)
            || inner.store.is_part(chat.id, tg_id).await?
        {
            continue;
        }
        // One that the journal knows already is another message that says the same.
        let known = inner.store.message_at(Some(chat.id), tg_id).await?;
        if known.is_none_or(|known| known.origin != crate::record::Origin::Api) {
            return Ok(Ok(Some(Sent { chat, tg_id, date_s })));
        }
    }
    Ok(Ok(None))
}

/// What it means that a message was not taken, which is for a chat.
fn judge(failure: Failure, chat: Option<ChatId>) -> Outcome {
    let cause = failure.to_string();
    match (failure, chat) {
        (Failure::Slow { seconds }, Some(chat)) => Outcome::Rest(Hold::Chat(chat), rest(seconds), cause),
        (Failure::Flood { seconds } | Failure::Slow { seconds }, _) => {
            Outcome::Rest(Hold::All, rest(seconds), cause)
        }
        (Failure::PeerFlood, _) => Outcome::Rest(Hold::Strangers, SPAM_PAUSE, cause),
        (Failure::Unknown(cause), _) => Outcome::Later { cause, is_lost: true },
        (Failure::Unauthorized, _) => Outcome::Unauthorized,
        (Failure::Repeated | Failure::Refused { .. } | Failure::Unsupported(_), _) => Outcome::Failed(cause),
    }
}

/// Telegram's seconds, and one more: its clock is not ours.
fn rest(seconds: u32) -> Duration {
    Duration::from_secs(u64::from(seconds) + 1)
}

fn until_ms(at_ms: i64, now_ms: i64) -> Duration {
    Duration::from_millis(u64::try_from(at_ms - now_ms).unwrap_or(0).max(1))
}
