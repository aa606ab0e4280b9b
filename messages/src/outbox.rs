//! Takes the outgoing queue to Telegram, one message after the other.
//!
//! A message is claimed on the disk before it is handed over, and known to Telegram by a number that is on the disk too:
//! after a crash it is handed over again, and Telegram refuses what it has (`RANDOM_ID_DUPLICATE`).

mod collecting;
mod finding;
mod parts;
mod strangers;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::time::{Instant, sleep, timeout};
use tracing::{debug, error, info, warn};

use crate::chat::{Address, Chat, ChatId};
use crate::content::Content;
use crate::id::MessageId;
use crate::instance::inner::{Inner, Located};
use crate::instance::{Manner, Typing};
use crate::messenger::{Failure, Order, Sent};
use crate::record::Reason;
use crate::settings::LONGEST_DELAY_MS;
use crate::standing::Standing;
use crate::store::{Fault, Hold, Next, Outgoing, StorageError};
use crate::{clock, pause};

use self::collecting::collect;
use self::finding::find_sent;
use self::parts::Step;
pub(crate) use self::parts::{TEXT_UNITS, is_text_apart, messages};

/// A message that fails so often lets others pass.
const TRIES: u32 = 3;
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
/// How often a message is looked for of which Telegram says that it has it, before it is taken for sent without a number:
/// Telegram's own word of it may be on its way.
const SEEKS: u32 = 4;

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
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) buttons: Option<Value>,
}

/// How often it is looked whom of the strangers the account knows, while others' messages go out.
const ACQUAINT: Duration = Duration::from_secs(10);

/// What came of a try.
enum Outcome {
    /// Its first part, and those of its last step after the first with their places.
    Sent(Option<Box<Sent>>, Vec<(usize, Sent)>),
    Failed(Fault),
    /// Telegram says that it has it, and it is not found yet.
    Unfound,
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
    /// What the machine's clock said then: milliseconds since 1970.
    looked_ms: i64,
    /// When one that fails often was last tried.
    retried: Option<Instant>,
    /// The message that was not found at Telegram, and how often it was looked for.
    sought: Option<(MessageId, u32)>,
    /// What came of a message, which the disk does not take yet.
    unwritten: Option<(Box<Outgoing>, Outcome)>,
    /// When it was last looked whom of the strangers the account knows by now.
    acquainted: Instant,
    /// Until when Telegram limits writing to those whom the account knows, too, and who have not written: milliseconds since
    /// 1970.
    writers_alone_until_ms: i64,
    /// The disk refused while a message was handed over, and does not know that nobody knows whether Telegram has it.
    is_lost: bool,
}

/// Works until it is dropped.
pub(crate) async fn run(inner: Arc<Inner>) {
    let mut outbox = Outbox {
        inner: Arc::clone(&inner),
        last_sent: None,
        rest_until_ms: 0,
        looked: None,
        looked_ms: 0,
        retried: None,
        sought: None,
        unwritten: None,
        acquainted: Instant::now(),
        writers_alone_until_ms: 0,
        // It may have broken off in the middle of handing one over.
        is_lost: true,
    };
    let (mut is_awake, mut is_told) = (false, false);
    loop {
        let step = match is_awake {
            true => outbox.step().await,
            // What Telegram and the program asked for before a restart is kept to.
            false => outbox.wake().await.map(|()| {
                is_awake = true;
                None
            }),
        };
        let wait = match step {
            Ok(None) => {
                is_told = false;
                continue;
            }
            Ok(Some(wait)) => {
                is_told = false;
                wait
            }
            Err(error) => {
                // Once, on a disk that has no room for a log of it either.
                if !std::mem::replace(&mut is_told, true) {
                    warn!(%error, "the outgoing queue cannot be read or written: nothing is sent until it can");
                }
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
    /// Learns until when it rests, and when it last sent something.
    async fn wake(&mut self) -> Result<(), StorageError> {
        let now_ms = clock::unix_ms();
        self.keep_to_lengths(now_ms).await?;
        let sent_ms = self.inner.store.last_sent_ms(now_ms - i64::from(LONGEST_DELAY_MS)).await?;
        let ago = sent_ms.map(|sent_ms| u64::try_from(now_ms - sent_ms).unwrap_or(0));
        self.last_sent = ago.and_then(|ago| Instant::now().checked_sub(Duration::from_millis(ago)));
        Ok(())
    }

    /// The clock may have been set back, or run ahead when the program ended: nothing rests for longer than it was to.
    async fn keep_to_lengths(&mut self, now_ms: i64) -> Result<(), StorageError> {
        self.inner.store.end_overlong(now_ms).await?;
        self.rest_until_ms = self.inner.store.rest_until_ms(now_ms).await?.unwrap_or(0);
        self.inner.end_overlong_suspension(now_ms, SPAM_PAUSE).await?;
        self.inner.jobs.notify_one();
        Ok(())
    }

    /// Does one thing, if there is one to do; else says how long there is none.
    async fn step(&mut self) -> Result<Option<Duration>, StorageError> {
        // Sent once more, it might be there twice.
        if let Some((next, outcome)) = self.unwritten.take() {
            return self.note(next, outcome).await;
        }
        let inner = &self.inner;
        if self.is_lost {
            inner.store.lose_hold(inner.messenger.knows_repeats()).await?;
            self.is_lost = false;
        }
        let now_ms = clock::unix_ms();
        if self.looked.is_none_or(|at| at.elapsed() >= EXPIRY) {
            if now_ms < self.looked_ms {
                self.looked_ms = now_ms;
                self.keep_to_lengths(now_ms).await?;
                return Ok(None);
            }
            self.looked_ms = now_ms;
            let old = inner.store.expired(inner.ages.before_ms(inner.options.outgoing_ms())).await?;
            if !old.is_empty() {
                info!(messages = old.len(), "messages were not sent in time");
                for alike in old.chunk_by(|(_, one), (_, other)| one == other) {
                    let ids: Vec<MessageId> = alike.iter().map(|(id, _)| *id).collect();
                    let sentence = match &alike[0].1 {
                        Some(cause) => format!("expired: it could not be sent in time ({cause})"),
                        None => "expired: it could not be sent in time".to_owned(),
                    };
                    inner.fail(&ids, &Fault { sentence, reason: Reason::of("timeout") }).await?;
                }
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
        if self.acquainted.elapsed() >= ACQUAINT {
            self.acquainted = Instant::now();
            self.meet(now_ms).await?;
        }
        // One that fails often takes the others' time once in a while, not at each of its own.
        let is_last = self.retried.get_or_insert_with(Instant::now).elapsed() < RETRY_EVERY;
        let Some(next) = inner.store.next(now_ms, TRIES, is_last).await? else {
            if self.meet(now_ms).await? {
                return Ok(None);
            }
            let at_ms = inner.store.next_at_ms(now_ms).await?;
            return Ok(Some(at_ms.map_or(LOOK, |at_ms| until_ms(at_ms, now_ms))));
        };
        let mut next = match next {
            Next::Message(next) => next,
            Next::Unreadable(id, error) => {
                error!(%id, %error, "a message of the outgoing queue cannot be read, and is not sent");
                let sentence =
                    "the outgoing queue holds something else in its place: send it again".to_owned();
                inner.fail(&[id], &Fault { sentence, reason: Reason::of("internal") }).await?;
                return Ok(None);
            }
        };
        if next.not_before_ms > now_ms {
            return Ok(Some(until_ms(next.not_before_ms, now_ms)));
        }
        let pause = Duration::from_millis(inner.row().settings.delay_ms.into());
        let left = self.last_sent.and_then(|last| pause.checked_sub(last.elapsed()));
        if let Some(left) = left.filter(|left| !left.is_zero()) {
            return Ok(Some(left));
        }
        if next.is_doubtful && !inner.messenger.knows_repeats() {
            self.give_up(&next, "the program ended while it was being handed over").await?;
            return Ok(None);
        }
        // That may take its time, and needs no claim.
        let Some(failures) = inner.fetch_from_web(&mut next).await? else { return Ok(None) };
        let shared = Arc::clone(inner);
        let _handing = shared.handing.lock().await;
        if inner.is_ending.load(Ordering::Relaxed) {
            return Ok(Some(LOOK));
        }
        if !inner.store.claim(next.seq).await? {
            return Ok(None);
        }
        let sought = self.sought.filter(|(id, _)| *id == next.id).map_or(0, |(_, times)| times);
        let handed = AtomicBool::new(false);
        let outcome = match timeout(LIMIT, send(inner, &next, failures, sought < SEEKS, &handed)).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(error)) => {
                self.is_lost = true;
                return Err(error);
            }
            Err(_) => {
                let cause = "Telegram did not take it in time".to_owned();
                Outcome::Later { cause, is_lost: handed.load(Ordering::Relaxed) }
            }
        };
        self.last_sent = Some(Instant::now());
        if next.attempts > TRIES {
            self.retried = self.last_sent;
        }
        self.note(next, outcome).await
    }

    /// Writes down what came of a message, and remembers it until it is written down.
    async fn note(
        &mut self,
        next: Box<Outgoing>,
        outcome: Outcome,
    ) -> Result<Option<Duration>, StorageError> {
        match self.conclude(&next, &outcome).await {
            Ok(()) => Ok(None),
            Err(error) => {
                self.unwritten = Some((next, outcome));
                Err(error)
            }
        }
    }

    async fn conclude(&mut self, next: &Outgoing, outcome: &Outcome) -> Result<(), StorageError> {
        let (inner, now_ms) = (&self.inner, clock::unix_ms());
        match outcome {
            Outcome::Sent(first, rest) => {
                inner.store.sent(next.id, first.as_deref(), rest, inner.as_ref(), now_ms).await?;
                inner.jobs.notify_one();
                if let Some(sent) = first {
                    inner.read_on_reply(sent.chat.id);
                }
            }
            Outcome::Failed(fault) => {
                info!(id = %next.id, word = fault.reason.word, "a message cannot be sent");
                debug!(id = %next.id, cause = fault.sentence, "why it cannot be sent");
                inner.fail(&[next.id], fault).await?;
            }
            Outcome::Unfound => {
                let before = self.sought.filter(|(id, _)| *id == next.id).map_or(0, |(_, times)| times);
                self.sought = Some((next.id, before + 1));
                let cause = "Telegram says that it has the message, which is not found yet";
                debug!(id = %next.id, "a message is looked for again");
                let at_ms = now_ms + pause::after_ms(before);
                inner.store.later(next, at_ms, cause, true, inner.as_ref(), now_ms).await?;
            }
            Outcome::Later { cause, is_lost } => {
                debug!(id = %next.id, cause, "a message is sent later");
                let pause = pause::after_ms(next.attempts);
                inner.store.later(next, now_ms + pause, cause, *is_lost, inner.as_ref(), now_ms).await?;
                if *is_lost && !inner.messenger.knows_repeats() {
                    self.give_up(next, cause).await?;
                }
            }
            Outcome::Rest(what, pause, cause) => {
                warn!(seconds = pause.as_secs(), ?what, "the outgoing queue rests: {cause}");
                let until_ms = now_ms + i64::try_from(pause.as_millis()).unwrap_or(i64::MAX / 2);
                inner.store.hold(*what, now_ms, until_ms, cause).await?;
                match what {
                    Hold::All => self.rest_until_ms = until_ms,
                    Hold::Strangers => {
                        inner.suspend(*pause).await?;
                        // Also where it is none, or becomes none: what follows it in the chat does not go before it.
                        if let Some(chat) = inner.store.place_of(next.id).await? {
                            inner.store.hold(Hold::Chat(chat), now_ms, until_ms, cause).await?;
                            if inner.store.estrange(chat).await? {
                                self.writers_alone_until_ms = until_ms;
                            }
                        }
                    }
                    Hold::Lookups | Hold::Chat(_) => {}
                }
                // Whatever rests beside it, this one does.
                inner.store.unclaim(next, until_ms, cause, inner.as_ref(), now_ms).await?;
                inner.rests.notify_waiters();
            }
            Outcome::Unauthorized => {
                let cause = Failure::Unauthorized.to_string();
                inner.store.unclaim(next, 0, &cause, inner.as_ref(), now_ms).await?;
            }
        }
        inner.notifications.notify_waiters();
        inner.touch();
        Ok(())
    }
}

impl Outbox {
    /// Telegram may have it, and would take it for another one if it were handed over again.
    async fn give_up(&self, next: &Outgoing, cause: &str) -> Result<(), StorageError> {
        let sentence = format!(
            "it is not sent a second time, as nobody can tell whether Telegram has it already ({cause})"
        );
        info!(id = %next.id, cause, "a message may have been sent");
        self.inner.fail(&[next.id], &Fault { sentence, reason: Reason::of("internal") }).await
    }
}

/// PEER_FLOOD does not say how long; Telegram's own advice is days, and a try now and then does no harm.
const SPAM_PAUSE: Duration = Duration::from_secs(3600);

/// Hands a message over, whose links failed as `failures` say. `seeks`: one that Telegram has, and that is not found, is
/// looked for again. From `handed` on Telegram may have it.
async fn send(
    inner: &Arc<Inner>,
    next: &Outgoing,
    failures: HashMap<String, Failure>,
    seeks: bool,
    handed: &AtomicBool,
) -> Result<Outcome, StorageError> {
    let letter = &next.letter;
    let Ok(to) = Address::read(&letter.to) else {
        return Ok(failed("bad_request", format!("{} is no chat", letter.to)));
    };
    let chat = match inner.locate(&to).await? {
        Located::At(chat) => chat,
        Located::Nobody(sentence) => {
            let word =
                if matches!(to, Address::Phone(_)) { "no_telegram_account" } else { "dialog_not_found" };
            return Ok(failed(word, sentence));
        }
        Located::Spent { seconds } => {
            let cause = "Telegram was asked for as many numbers and names today as the settings allow";
            return Ok(Outcome::Rest(Hold::Lookups, rest(seconds), cause.to_owned()));
        }
        Located::Unable(Failure::Flood { seconds }) => {
            let cause = Failure::Flood { seconds }.to_string();
            return Ok(Outcome::Rest(Hold::Lookups, rest(seconds), cause));
        }
        Located::Unable(Failure::Unknown(cause) | Failure::Undone(cause)) => {
            return Ok(Outcome::Later { cause, is_lost: false });
        }
        Located::Unable(failure) => return Ok(judge(failure, None)),
    };
    if next.chat != Some(chat) {
        inner.store.located(next, chat).await?;
    }
    let reply_to = match letter.quoted {
        Some(quoted) => inner.tg_id_of(quoted).await?,
        None => None,
    };
    if letter.quoted.is_some() && reply_to.is_none() && letter.manner.needs_quoted {
        return Ok(failed("message_not_found", "the message that is answered is not there".to_owned()));
    }
    if let Some(tg_id) = reply_to.filter(|_| letter.manner.needs_quoted && next.parts_done == 0) {
        // Telegram passes over in silence that it is gone.
        match inner.messenger.message(chat, tg_id).await {
            Ok(Some(_)) | Err(Failure::Unsupported(_)) => {}
            Ok(None) => {
                return Ok(failed(
                    "message_not_found",
                    "the message that is answered is not there".to_owned(),
                ));
            }
            Err(Failure::Unknown(cause) | Failure::Undone(cause)) => {
                return Ok(Outcome::Later { cause, is_lost: false });
            }
            Err(failure) => return Ok(judge(failure, Some(chat))),
        }
    }
    let forward = match letter.forward {
        Some((chat, message)) => match inner.tg_id_of(message).await? {
            Some(tg_id) => {
                let mut all = vec![(chat, tg_id)];
                all.extend(inner.store.parts(message).await?.into_iter().map(|part| (chat, part)));
                all
            }
            None => {
                return Ok(failed(
                    "message_not_found",
                    "the message to be forwarded is not there".to_owned(),
                ));
            }
        },
        None => Vec::new(),
    };
    let (content, paths) = match letter.forward {
        Some(_) => (letter.content.clone(), Vec::new()),
        None => match collect(inner, next, failures).await? {
            Ok(collected) => collected,
            Err(outcome) => return Ok(outcome),
        },
    };
    if let Some(typing) = letter.typing.filter(|_| next.attempts == 0) {
        let shown = Duration::from_millis(typing.ms.into());
        // It is of no weight whether somebody saw it.
        inner.messenger.typing(&Address::Chat(chat), typing.kind).await.ok();
        sleep(shown).await;
    }
    let steps: Vec<_> = if forward.is_empty() {
        parts::of(content, paths)
    } else {
        let step = |from| Step { content: content.clone(), paths: Vec::new(), forward: Some(from) };
        forward.into_iter().map(step).collect()
    };
    let (mut first, mut latest, mut done) = (None, Vec::new(), 0);
    let last = steps.len() - 1;
    for (index, step) in steps.into_iter().enumerate() {
        let (begin, count) = (done, step.paths.len().max(1));
        done += count;
        if done <= next.parts_done as usize {
            continue;
        }
        let mut order = Order {
            to: Address::Chat(chat),
            random_id: next.random_id.wrapping_add(i64::try_from(begin).unwrap_or(0)),
            content: step.content,
            paths: step.paths,
            reply_to: reply_to.filter(|_| begin == 0),
            forward: step.forward,
            hides_author: letter.manner.hides_author,
            is_silent: letter.manner.is_silent,
            buttons: letter.buttons.clone().filter(|_| index == last),
        };
        handed.store(true, Ordering::Relaxed);
        if !inner.messenger.knows_repeats() {
            inner.store.hand_over(next.seq).await?;
        }
        let mut told = hand_over(inner, &order).await;
        if matches!(told, Err(Failure::Refused { word: "dialog_not_found", .. })) && order.to != to {
            // The account has forgotten them: it finds them as it did before.
            order.to = to.clone();
            told = hand_over(inner, &order).await;
        }
        if matches!(told, Err(Failure::Refused { word: "message_not_found", .. }))
            && order.reply_to.is_some()
            && !letter.manner.needs_quoted
        {
            order.reply_to = None;
            told = hand_over(inner, &order).await;
        }
        let sent = match told {
            Ok(sent) => sent,
            Err(Failure::Repeated) => match find_sent(inner, next, &order).await? {
                Ok(found) if found.is_empty() && seeks => return Ok(Outcome::Unfound),
                Ok(found) => found,
                Err(cause) => return Ok(Outcome::Later { cause, is_lost: true }),
            },
            Err(failure) => {
                return Ok(judge(failure, Some(chat)));
            }
        };
        let mut sent: Vec<_> = sent.into_iter().enumerate().map(|(at, sent)| (begin + at, sent)).collect();
        if begin == 0 {
            first = sent.first().map(|(_, sent)| sent.clone());
        }
        // The last one is done when the message is: killed between the two, nobody would look for its number.
        if index < last {
            inner.store.parts_done(next, done, &sent).await?;
        } else if last == 0 {
            sent.retain(|(number, _)| *number > 0);
        }
        latest = sent;
    }
    if first.is_none()
        && last > 0
        && let Some((chat, tg_id, date_s)) = inner.store.first_part(next.id).await?
    {
        // It was sent before the program was started anew.
        let card = latest.first().map(|(_, latest)| latest.chat.clone());
        let chat = card.unwrap_or_else(|| Chat::unknown(chat));
        first = Some(Sent { chat, tg_id, date_s });
    }
    Ok(Outcome::Sent(first.map(Box::new), latest))
}

/// Hands one message over, or an album.
async fn hand_over(inner: &Inner, order: &Order) -> Result<Vec<Sent>, Failure> {
    if order.paths.len() > 1 {
        return inner.messenger.send_album(order).await;
    }
    Ok(vec![inner.messenger.send(order).await?])
}

fn failed(word: &str, sentence: String) -> Outcome {
    Outcome::Failed(Fault { sentence, reason: Reason::of(word) })
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
        (Failure::Undone(cause), _) => Outcome::Later { cause, is_lost: false },
        (Failure::Unauthorized, _) => Outcome::Unauthorized,
        (Failure::Refused { word, sentence }, _) => failed(word, sentence),
        (Failure::Repeated | Failure::Unsupported(_), _) => failed("unsupported_for_user", cause),
    }
}

/// Telegram's seconds, and one more: its clock is not ours.
fn rest(seconds: u32) -> Duration {
    Duration::from_secs(u64::from(seconds) + 1)
}

fn until_ms(at_ms: i64, now_ms: i64) -> Duration {
    Duration::from_millis(u64::try_from(at_ms - now_ms).unwrap_or(0).max(1))
}
