//! Takes the outgoing queue to Telegram, one message after the other.
//!
//! A message is claimed on the disk before it is handed over, and known to Telegram by a number that is on the disk too:
//! after a crash it is handed over again, and Telegram refuses what it has (`RANDOM_ID_DUPLICATE`).

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep, timeout};
use tracing::{debug, info, warn};

use crate::chat::{Address, ChatId};
use crate::clock;
use crate::content::Content;
use crate::id::MessageId;
use crate::instance::Typing;
use crate::instance::inner::Inner;
use crate::messenger::{Failure, Order, Received, Sent};
use crate::record::Record;
use crate::standing::Standing;
use crate::store::{Outgoing, Told};

/// What one message of Telegram holds, in UTF-16 code units (core.telegram.org/api/config, `message_length_max`).
pub(crate) const TEXT_UNITS: usize = 4096;
/// A message that fails so often lets others pass.
const TRIES: u32 = 3;
/// Pauses after a failure of which nobody knows whether the next try fails too.
const FIRST_PAUSE_MS: i64 = 1_000;
const LONGEST_PAUSE_MS: i64 = 60_000;
/// How long a whole try may take: files are large.
const LIMIT: Duration = Duration::from_secs(900);
/// How long nothing is done at most, whatever is waited for.
const LOOK: Duration = Duration::from_secs(30);
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
}

/// What came of a try.
enum Outcome {
    Sent(Option<Sent>),
    Failed(String),
    /// Again after a pause; whether Telegram may have it.
    Later {
        cause: String,
        is_lost: bool,
    },
    /// The account has to rest so long.
    Rest(Duration, Failure),
    Unauthorized,
}

/// Works until it is dropped.
pub(crate) async fn run(inner: Arc<Inner>) {
    let mut last_sent: Option<Instant> = None;
    let mut rest_until: Option<Instant> = None;
    loop {
        let wait = match step(&inner, &mut last_sent, &mut rest_until).await {
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

/// Does one thing, if there is one to do; else says how long there is none.
async fn step(
    inner: &Arc<Inner>,
    last_sent: &mut Option<Instant>,
    rest_until: &mut Option<Instant>,
) -> Result<Option<Duration>, sqlx::Error> {
    let now_ms = clock::unix_ms();
    for id in inner.store.expired(now_ms - inner.options.queue_ms()).await? {
        info!(%id, "a message was not sent in time");
        inner.fail(id, "expired: it could not be sent in time").await?;
    }
    if inner.messenger.standing() != Standing::Authorized {
        return Ok(Some(LOOK));
    }
    if let Some(until) = rest_until.filter(|until| *until > Instant::now()) {
        return Ok(Some(until - Instant::now()));
    }
    let Some(next) = inner.store.next(now_ms, TRIES).await? else {
        let at_ms = inner.store.next_at_ms().await?;
        return Ok(Some(at_ms.map_or(LOOK, |at_ms| until_ms(at_ms, now_ms))));
    };
    if next.not_before_ms > now_ms {
        return Ok(Some(until_ms(next.not_before_ms, now_ms)));
    }
    let pause = Duration::from_millis(inner.row().settings.delay_ms.into());
    if let Some(left) =
        last_sent.and_then(|last| pause.checked_sub(last.elapsed())).filter(|left| !left.is_zero())
    {
        return Ok(Some(left));
    }
    inner.store.claim(next.seq).await?;
    inner.sends(Some(next.id));
    let outcome = match timeout(LIMIT, send(inner, &next)).await {
        Ok(outcome) => outcome,
        Err(_) => Ok(Outcome::Later { cause: "Telegram did not take it in time".to_owned(), is_lost: true }),
    };
    inner.sends(None);
    let outcome = outcome?;
    *last_sent = Some(Instant::now());
    conclude(inner, &next, outcome, rest_until).await?;
    Ok(None)
}

async fn conclude(
    inner: &Arc<Inner>,
    next: &Outgoing,
    outcome: Outcome,
    rest_until: &mut Option<Instant>,
) -> Result<(), sqlx::Error> {
    match outcome {
        Outcome::Sent(sent) => {
            let now_ms = clock::unix_ms();
            inner.store.sent(next.id, sent.as_ref(), |record| told_sent(inner, record), now_ms).await?;
            inner.notifications.notify_waiters();
            if let Some(sent) = sent {
                inner.read_on_reply(sent.chat.id);
            }
        }
        Outcome::Failed(cause) => {
            info!(id = %next.id, cause, "a message cannot be sent");
            inner.fail(next.id, &cause).await?;
        }
        Outcome::Later { cause, is_lost } => {
            debug!(id = %next.id, cause, "a message is sent later");
            let pause = FIRST_PAUSE_MS.saturating_mul(1 << next.attempts.min(6)).min(LONGEST_PAUSE_MS);
            inner.store.later(next.seq, clock::unix_ms() + pause, &cause, is_lost).await?;
        }
        Outcome::Rest(pause, failure) => {
            warn!(seconds = pause.as_secs(), "the outgoing queue rests: {failure}");
            *rest_until = Some(Instant::now() + pause);
            inner.store.unclaim(next.seq, &failure.to_string()).await?;
            inner.rests(pause, &failure).await?;
        }
        Outcome::Unauthorized => inner.store.unclaim(next.seq, &Failure::Unauthorized.to_string()).await?,
    }
    Ok(())
}

/// What is told of a message that Telegram has.
pub(crate) fn told_sent(inner: &Inner, record: &Record) -> Vec<Told> {
    let (row, mut told) = (inner.row(), Vec::new());
    if row.settings.is_on("outgoingAPIMessageWebhook") {
        told.push(inner.told_message("outgoingAPIMessageReceived", record));
    }
    if row.settings.is_on("outgoingWebhook") {
        // Telegram tells of nothing between its own having a message and its being read.
        told.extend(["sent", "delivered"].map(|status| inner.told_status(record, status)));
    }
    told
}

/// PEER_FLOOD does not say how long; Telegram's own advice is days, and a try now and then does no harm.
const SPAM_PAUSE: Duration = Duration::from_secs(3600);

async fn send(inner: &Arc<Inner>, next: &Outgoing) -> Result<Outcome, sqlx::Error> {
    let letter = &next.letter;
    let Ok(to) = Address::read(&letter.to) else {
        return Ok(Outcome::Failed(format!("{} is no chat", letter.to)));
    };
    let reply_to = match letter.quoted {
        Some(quoted) => inner.tg_id_of(quoted).await?,
        None => None,
    };
    let forward = match letter.forward {
        Some((chat, message)) => match inner.tg_id_of(message).await? {
            Some(tg_id) => Some((chat, tg_id)),
            None => return Ok(Outcome::Failed("the message to be forwarded is not there".to_owned())),
        },
        None => None,
    };
    let mut content = letter.content.clone();
    let path = match &mut content {
        Content::File { file, .. } if letter.forward.is_none() => {
            match inner.fetch_for_sending(next, file).await? {
                Ok(path) => Some(path),
                Err(Failure::Unknown(cause)) if next.attempts < TRIES => {
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
        inner.messenger.typing(&to, typing.kind).await.ok();
        sleep(shown).await;
    }
    let parts = parts(content);
    let last = parts.len() - 1;
    let mut first = None;
    for (number, content) in parts.into_iter().enumerate().skip(next.parts_done as usize) {
        let order = Order {
            to: to.clone(),
            random_id: next.random_id.wrapping_add(i64::try_from(number).unwrap_or(0)),
            content,
            path: path.clone(),
            reply_to: reply_to.filter(|_| number == 0),
            forward,
        };
        let sent = match inner.messenger.send(&order).await {
            Ok(sent) => Some(sent),
            Err(Failure::Repeated) => find_sent(inner, &to, &order).await,
            Err(failure) => return Ok(judge(failure)),
        };
        first = first.or(sent);
        // The last one is done when the message is: killed between the two, nobody would look for its number.
        if number < last {
            inner.store.part_done(next.seq).await?;
        }
    }
    Ok(Outcome::Sent(first))
}

/// The message that was sent before, among the account's last ones.
async fn find_sent(inner: &Inner, to: &Address, order: &Order) -> Option<Sent> {
    let last = inner.messenger.last_own(to).await.ok()?;
    let mut found =
        last.into_iter().filter(|message| message.is_ours && is_same(&message.content, &order.content));
    // One that the journal knows already is another message that says the same.
    loop {
        let message = found.next()?;
        let known = inner.store.message_at(Some(message.chat.id), message.tg_id).await.ok()?;
        if known.is_none_or(|known| known.origin != crate::record::Origin::Api) {
            let Received { chat, tg_id, date_s, .. } = message;
            return Some(Sent { chat, tg_id, date_s, remote: None });
        }
    }
}

/// Whether two contents can be those of one message, as far as Telegram gives them back.
pub(crate) fn is_same(one: &Content, other: &Content) -> bool {
    match (one, other) {
        (Content::Text { text: one, .. }, Content::Text { text: other, .. }) => one.trim() == other.trim(),
        (Content::File { caption: one, .. }, Content::File { caption: other, .. }) => {
            one.trim() == other.trim()
        }
        (Content::Location(one), Content::Location(other)) => {
            (one.latitude - other.latitude).abs() < 1e-4 && (one.longitude - other.longitude).abs() < 1e-4
        }
        (Content::Contact(one), Content::Contact(other)) => digits(&one.phone) == digits(&other.phone),
        (Content::Poll(one), Content::Poll(other)) => one.question.trim() == other.question.trim(),
        _ => false,
    }
}

fn digits(phone: &str) -> String {
    phone.chars().filter(char::is_ascii_digit).collect()
}

fn judge(failure: Failure) -> Outcome {
    match failure {
        Failure::Flood { seconds } => {
            Outcome::Rest(Duration::from_secs(u64::from(seconds) + 1), Failure::Flood { seconds })
        }
        Failure::PeerFlood => Outcome::Rest(SPAM_PAUSE, Failure::PeerFlood),
        Failure::Unknown(cause) => Outcome::Later { cause, is_lost: true },
        Failure::Unauthorized => Outcome::Unauthorized,
        failure @ (Failure::Repeated | Failure::Refused { .. } | Failure::Unsupported(_)) => {
            Outcome::Failed(failure.to_string())
        }
    }
}

/// A text that is too long for one message, as several; cut where a line or a word ends.
pub(crate) fn parts(content: Content) -> Vec<Content> {
    let Content::Text { text, has_preview } = content else { return vec![content] };
    cut(&text, TEXT_UNITS).into_iter().map(|text| Content::Text { text, has_preview }).collect()
}

fn cut(text: &str, most_units: usize) -> Vec<String> {
    let mut parts = Vec::new();
    let mut rest = text;
    while rest.encode_utf16().count() > most_units {
        let mut units = 0;
        let end = rest.char_indices().find_map(|(at, character)| {
            units += character.len_utf16();
            (units > most_units).then_some(at)
        });
        let end = end.unwrap_or(rest.len());
        let head = &rest[..end];
        let at =
            head.rfind('\n').or_else(|| head.rfind(' ')).filter(|at| *at > end / 2).map_or(end, |at| at + 1);
        parts.push(rest[..at].trim_end().to_owned());
        rest = &rest[at..];
    }
    parts.push(rest.to_owned());
    parts
}

fn until_ms(at_ms: i64, now_ms: i64) -> Duration {
    Duration::from_millis(u64::try_from(at_ms - now_ms).unwrap_or(0).max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_is_cut_where_a_line_ends_and_nothing_of_it_is_lost() {
        let line = "0123456789 абвгд\n";
        let text = line.repeat(600);
        let parts = cut(&text, 4096);
        assert_eq!(parts.len(), 3);
        assert!(parts.iter().all(|part| part.encode_utf16().count() <= 4096));
        assert_eq!(parts.join("\n").trim_end(), text.trim_end());
        let whole = "😀".repeat(5000);
        assert_eq!(cut(&whole, 4096).concat(), whole);
        assert!(cut(&whole, 4096).iter().all(|part| part.encode_utf16().count() <= 4096));
        assert_eq!(cut("short", 4096), ["short"]);
    }
}
