//! The updates of one bot that wait for other programs, and who fetches them: one poll at a time, or a webhook.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use reqwest::Url;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tgtrunk_config::{BotPrograms, BotUpdate, BotWebhook, BotWebhookFault, Said};
use tgtrunk_messages::{Ages, Instance, News};
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep, timeout};

use super::handed::{handed, told};
use crate::clock;
use crate::messenger;
use crate::store::{Incoming, REPEATED_MS, Store, StoreError, number};

/// Whoever asked within this time is one who answers people, too.
const ATTENDED_MS: i64 = 24 * 3_600_000;
/// How exactly it is kept when somebody asked.
const NOTED_MS: u64 = 10 * 60_000;
/// How often what is too old is forgotten, and how often it is counted what waits.
const TIDY: Duration = Duration::from_secs(600);
const COUNT: Duration = Duration::from_secs(5);
/// How often it is told at most how the webhook does.
const TOLD: Duration = Duration::from_millis(500);

/// Updates in memory, while the disk takes none, at most.
const MOST_HELD: usize = 10_000;

const WEBHOOK: &str = "webhook";
const KINDS: &str = "allowed_updates";
const ASKED: &str = "asked_ms";
const FAULT: &str = "webhook_fault";

/// A bot's queue. Clones share it.
#[derive(Clone)]
pub(crate) struct Queue {
    store: Store,
    /// How long updates wait.
    life: Duration,
    shared: Arc<Shared>,
}

struct Shared {
    /// How old updates are, whatever becomes of the machine's clock.
    ages: Ages,
    kinds: Mutex<Option<Vec<String>>>,
    hook: watch::Sender<Option<Hook>>,
    /// Turned at each arrival.
    arrived: watch::Sender<u64>,
    /// The number of the poll that may have updates.
    poll: watch::Sender<u64>,
    asked_ms: AtomicU64,
    fault: Mutex<Option<BotWebhookFault>>,
    /// When the webhook took an update last, in milliseconds since 1970; 0 for never.
    taken_ms: AtomicU64,
    /// Something is to be told of the webhook.
    turned: Notify,
    /// Turned when somebody wants the webhook to be tried now.
    urged: watch::Sender<u64>,
    /// What Telegram was told of before it was on the disk.
    held: Mutex<Arrived>,
    /// The bot's own number, where there is to be a journal.
    bot: OnceLock<i64>,
    /// The bot's messages, once they are open.
    messages: OnceLock<Instance>,
    /// What is for the journal, while they are not.
    unwritten: Mutex<VecDeque<News>>,
    /// Why they are not.
    closed: Mutex<Option<Said>>,
}

/// What of some updates is kept.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Arrived {
    /// For programs.
    programs: Vec<Incoming>,
    /// For the bot's journal.
    journal: Vec<News>,
}

impl Arrived {
    pub(crate) fn is_empty(&self) -> bool {
        self.programs.is_empty() && self.journal.is_empty()
    }

    fn len(&self) -> usize {
        self.programs.len().max(self.journal.len())
    }

    fn extend(&mut self, more: &Self) {
        self.programs.extend_from_slice(&more.programs);
        self.journal.extend_from_slice(&more.journal);
    }
}

/// Where updates are brought to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Hook {
    pub(super) url: String,
    /// What is shown there.
    pub(super) secret: Option<String>,
    pub(super) max_connections: u8,
    /// The hash of the token that set it; none for the bot's own.
    #[serde(default)]
    pub(super) token: Option<String>,
}

/// One poll's right to the updates.
pub(super) struct Turn {
    number: u64,
    now: watch::Receiver<u64>,
}

impl Queue {
    /// Goes on with what is in the store.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(crate) async fn open(store: Store, life: Duration) -> Result<Self, StoreError> {
        let read = |text: Option<String>| text.and_then(|text| serde_json::from_str::<Hook>(&text).ok());
        let hook = read(store.settled(WEBHOOK).await?);
        let kinds = store.settled(KINDS).await?.and_then(|text| serde_json::from_str(&text).ok());
        let asked_ms = store.settled(ASKED).await?.and_then(|text| text.parse().ok()).unwrap_or(0);
        let fault = store.settled(FAULT).await?.filter(|_| hook.is_some());
        let fault = fault.and_then(|text| serde_json::from_str::<BotWebhookFault>(&text).ok());
        // When it was to be tried again is over: it is tried now.
        let fault = fault.map(|fault| BotWebhookFault { next_ms: None, ..fault });
        let shared = Shared {
            ages: Ages::new(),
            kinds: Mutex::new(kinds),
            hook: watch::Sender::new(hook),
            arrived: watch::Sender::new(0),
            poll: watch::Sender::new(0),
            asked_ms: AtomicU64::new(asked_ms),
            fault: Mutex::new(fault),
            taken_ms: AtomicU64::new(0),
            turned: Notify::new(),
            urged: watch::Sender::new(0),
            held: Mutex::default(),
            bot: OnceLock::new(),
            messages: OnceLock::new(),
            unwritten: Mutex::default(),
            closed: Mutex::default(),
        };
        Ok(Self { store, life, shared: Arc::new(shared) })
    }

    /// Has what is for the journal of the bot's messages held until they are open; `bot` is its own number.
    pub(crate) fn expect_journal(&self, bot: i64) {
        self.shared.bot.set(bot).ok();
    }

    /// Has the journal of the bot's messages kept, from now on and what came before.
    pub(crate) async fn journal(&self, instance: Instance) {
        self.shared.messages.set(instance).ok();
        self.closed_for(None);
        self.write_down().await;
    }

    /// Why the bot's messages are not open.
    pub(crate) fn closed_for(&self, reason: Option<Said>) {
        *self.shared.closed.lock().unwrap_or_else(PoisonError::into_inner) = reason;
        self.shared.turned.notify_one();
    }

    /// What of some updates is kept.
    pub(crate) fn sort(&self, updates: &[Value]) -> Arrived {
        let kinds = self.shared.kinds.lock().unwrap_or_else(PoisonError::into_inner);
        let programs = updates.iter().filter_map(|update| handed(update, kinds.as_deref())).collect();
        let journal = match self.shared.bot.get() {
            Some(bot) => updates.iter().filter_map(|update| messenger::news(update, *bot)).collect(),
            None => Vec::new(),
        };
        Arrived { programs, journal }
    }

    /// Keeps updates, behind those that are held. What it returned for is on the disk; false when that is not so.
    pub(crate) async fn keep(&self, news: &Arrived) -> bool {
        let held = self.held().clone();
        if held.is_empty() && news.is_empty() {
            return true;
        }
        let mut whole = held.clone();
        whole.extend(news);
        if !self.keep_for_programs(&whole.programs).await || !self.keep_in_journal(whole.journal).await {
            return false;
        }
        let mut all = self.held();
        let written = held.programs.len().min(all.programs.len());
        all.programs.drain(..written);
        let written = held.journal.len().min(all.journal.len());
        all.journal.drain(..written);
        true
    }

    async fn keep_for_programs(&self, news: &[Incoming]) -> bool {
        if news.is_empty() {
            return true;
        }
        match self.store.keep_news(news, clock::unix_ms()).await {
            Ok(0) => {}
            Ok(_) => self.shared.arrived.send_modify(|arrivals| *arrivals += 1),
            Err(error) => {
                tracing::error!(%error, "updates for other programs are not on the disk yet; it is tried again");
                return false;
            }
        }
        true
    }

    /// What is there already is passed over.
    async fn keep_in_journal(&self, journal: Vec<News>) -> bool {
        let Some(instance) = self.shared.messages.get() else {
            self.leave_unwritten(journal);
            return true;
        };
        self.write_down().await;
        for news in journal {
            if let Err(refused) = instance.take(news).await {
                tracing::error!(%refused, "messages are not in the journal yet; it is tried again");
                return false;
            }
        }
        true
    }

    /// Holds what is for a journal that is not open. The oldest gives way where it is too much.
    fn leave_unwritten(&self, journal: Vec<News>) {
        let mut unwritten = self.unwritten();
        unwritten.extend(journal);
        let most = unwritten.len().saturating_sub(MOST_HELD);
        if most > 0 {
            tracing::warn!(most, "messages will not be in the journal: it is closed for too long");
            unwritten.drain(..most);
        }
    }

    /// Writes down what was for the journal before it was open.
    async fn write_down(&self) {
        let Some(instance) = self.shared.messages.get() else { return };
        loop {
            let Some(news) = self.unwritten().pop_front() else { return };
            if let Err(refused) = instance.take(news.clone()).await {
                tracing::error!(%refused, "messages are not in the journal yet; it is tried again");
                return self.unwritten().push_front(news);
            }
        }
    }

    fn unwritten(&self) -> MutexGuard<'_, VecDeque<News>> {
        self.shared.unwritten.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has updates in memory until the next that are kept, as Telegram gives no others before it is told that it need not
    /// have them. False when there are too many.
    pub(crate) fn hold(&self, news: &Arrived) -> bool {
        let mut held = self.held();
        let has_room = held.len() + news.len() <= MOST_HELD;
        if has_room {
            held.extend(news);
        }
        has_room
    }

    /// Whether updates are in memory alone.
    pub(crate) fn is_holding(&self) -> bool {
        !self.held().is_empty()
    }

    fn held(&self) -> MutexGuard<'_, Arrived> {
        self.shared.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether another program answers people: it has a webhook, or asked for updates lately.
    pub(crate) fn is_attended(&self) -> bool {
        let asked_ms = number(self.shared.asked_ms.load(Ordering::Relaxed));
        self.hook().is_some() || asked_ms > self.shared.ages.before_ms(ATTENDED_MS)
    }

    /// Forgets what is too old, and tells `show` now and then how the programs do.
    pub(crate) async fn tend(self, show: impl Fn(BotPrograms)) {
        loop {
            match self.forget_old(clock::now(), clock::unix_ms()).await {
                Ok(0) => {}
                Ok(lost) => tracing::warn!(lost, "updates are forgotten that no program fetched in time"),
                Err(error) => tracing::error!(%error, "old updates are not forgotten"),
            }
            let until = Instant::now() + TIDY;
            while Instant::now() < until {
                if let Ok(waiting) = self.store.count_news().await {
                    // What was cleared or became too old needs nobody to take it.
                    if waiting == 0 {
                        self.end_fault().await;
                    }
                    show(BotPrograms { waiting, trouble: self.trouble(), webhook: self.webhook() });
                }
                sleep(TOLD).await;
                timeout(COUNT, self.shared.turned.notified()).await.ok();
            }
        }
    }

    /// Forgets what is too old by a clock that says `now_ms`, and tells how many updates nobody will have. Nothing is older
    /// because that was set.
    async fn forget_old(&self, now: std::time::Instant, now_ms: u64) -> Result<u64, StoreError> {
        let life_ms = i64::try_from(self.life.as_millis()).unwrap_or(i64::MAX);
        let before_ms = |life_ms| self.shared.ages.at(now, number(now_ms), life_ms);
        self.store.forget_news(before_ms(life_ms), before_ms(REPEATED_MS)).await
    }

    pub(super) fn store(&self) -> &Store {
        &self.store
    }

    pub(super) fn hook(&self) -> Option<Hook> {
        self.shared.hook.borrow().clone()
    }

    /// The webhook, as it changes.
    pub(super) fn hooks(&self) -> watch::Receiver<Option<Hook>> {
        self.shared.hook.subscribe()
    }

    /// Turns when updates arrive.
    pub(super) fn arrivals(&self) -> watch::Receiver<u64> {
        self.shared.arrived.subscribe()
    }

    /// Turns when the webhook is to be tried at once, whatever rests.
    pub(super) fn urges(&self) -> watch::Receiver<u64> {
        self.shared.urged.subscribe()
    }

    /// Has the webhook tried now.
    pub(crate) fn push_now(&self) {
        self.shared.urged.send_modify(|urges| *urges += 1);
    }

    /// Has nobody told of an update. False where it waits no more.
    ///
    /// # Errors
    /// When that cannot be written down.
    pub(crate) async fn skip(&self, number: i64) -> Result<bool, StoreError> {
        if self.store.news(number).await?.is_none() {
            return Ok(false);
        }
        tracing::warn!(number, "an update is skipped by an operator: no program gets it");
        self.store.hand_over(number).await?;
        // What waits behind it need not rest.
        self.push_now();
        if self.store.count_news().await? == 0 {
            self.end_fault().await;
        }
        self.shared.turned.notify_one();
        Ok(true)
    }

    pub(super) fn kinds(&self) -> Option<Vec<String>> {
        self.shared.kinds.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Wants these kinds of updates from now on; the usual ones where there is none.
    pub(super) async fn want(&self, kinds: Vec<String>) -> Result<(), StoreError> {
        let kinds = Some(kinds).filter(|kinds| !kinds.is_empty());
        if self.kinds() == kinds {
            return Ok(());
        }
        let text = kinds.as_ref().map(|kinds| Value::from(kinds.clone()).to_string());
        self.store.settle(KINDS, text.as_deref()).await?;
        *self.shared.kinds.lock().unwrap_or_else(PoisonError::into_inner) = kinds;
        Ok(())
    }

    /// Begins a poll, which ends the one before.
    pub(super) async fn take_turn(&self) -> Result<Turn, StoreError> {
        let now = self.shared.poll.subscribe();
        let mut number = 0;
        self.shared.poll.send_modify(|poll| {
            *poll += 1;
            number = *poll;
        });
        let now_ms = clock::unix_ms();
        // One that is ahead was noted by a clock that was.
        if now_ms.abs_diff(self.shared.asked_ms.load(Ordering::Relaxed)) > NOTED_MS {
            self.store.settle(ASKED, Some(&now_ms.to_string())).await?;
            self.shared.asked_ms.store(now_ms, Ordering::Relaxed);
        }
        Ok(Turn { number, now })
    }

    /// Confirms all updates before the offset; a negative one leaves so many of the last.
    pub(super) async fn confirm(&self, offset: i64) -> Result<(), StoreError> {
        match offset {
            0 => Ok(()),
            ..0 => self.store.hand_over_but(offset.saturating_neg()).await,
            1.. => self.store.hand_over_before(offset).await,
        }
    }

    /// The first updates that wait, as programs get them.
    pub(super) async fn first(&self, most: u8) -> Result<Vec<String>, StoreError> {
        let first = self.store.first_news(most).await?;
        Ok(first.into_iter().map(|(number, rest)| told(number, &rest)).collect())
    }

    /// One update as programs get it, if it still waits.
    pub(super) async fn one(&self, number: i64) -> Result<Option<String>, StoreError> {
        Ok(self.store.news(number).await?.map(|rest| told(number, &rest)))
    }

    /// Forgets all that waits.
    pub(super) async fn clear(&self) -> Result<(), StoreError> {
        self.store.hand_over_before(i64::MAX).await
    }

    /// Brings updates to a webhook from now on, or to none. A poll under way ends. False when nothing changed.
    pub(super) async fn set_hook(&self, hook: Option<Hook>) -> Result<bool, StoreError> {
        if self.hook() == hook {
            return Ok(false);
        }
        let text = hook.as_ref().and_then(|hook| serde_json::to_string(hook).ok());
        self.store.settle(WEBHOOK, text.as_deref()).await?;
        self.store.settle(FAULT, None).await?;
        *self.fault_now() = None;
        self.shared.taken_ms.store(0, Ordering::Relaxed);
        self.shared.turned.notify_one();
        // In this order: a poll that begins meanwhile sees the webhook, or loses its turn.
        self.shared.hook.send_replace(hook);
        self.shared.poll.send_modify(|poll| *poll += 1);
        Ok(true)
    }

    /// Deletes the webhook if the token that set it was revoked. True when it was.
    pub(super) async fn end_hook_of_revoked(&self, hook: &Hook) -> Result<bool, StoreError> {
        let Some(token) = &hook.token else { return Ok(false) };
        if self.store.token_with(token).await?.is_some() {
            return Ok(false);
        }
        if self.hook().as_ref() == Some(hook) {
            tracing::warn!("the webhook is deleted: the token that set it was revoked");
            self.set_hook(None).await?;
        }
        Ok(true)
    }

    pub(super) fn fault(&self) -> Option<BotWebhookFault> {
        self.fault_now().clone()
    }

    /// An update as people know it, if it still waits.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub(super) async fn update(&self, number: i64) -> Result<Option<BotUpdate>, StoreError> {
        let rest = self.store.news(number).await?;
        Ok(rest.map(|rest| BotUpdate { number, kind: kind(&rest) }))
    }

    /// The webhook did not take an update; in `next` it is tried again.
    pub(super) async fn failed(&self, message: String, update: Option<BotUpdate>, next: Option<Duration>) {
        tracing::warn!(message, "a program's webhook does not take an update");
        let now_ms = clock::unix_ms();
        let next_ms = next.map(|next| now_ms + u64::try_from(next.as_millis()).unwrap_or(0));
        let (since_ms, attempts) = match &*self.fault_now() {
            Some(before) if !before.is_over => (before.since_ms, before.attempts),
            Some(_) | None => (now_ms, 0),
        };
        let (at_ms, attempts, is_over) = (now_ms, attempts + 1, false);
        let fault = BotWebhookFault { message, since_ms, at_ms, attempts, next_ms, is_over, update };
        *self.fault_now() = Some(fault.clone());
        self.note_fault(&fault).await;
        self.shared.turned.notify_one();
    }

    /// Since when it fails is known after the program was started anew, too.
    async fn note_fault(&self, fault: &BotWebhookFault) {
        let text = serde_json::to_string(fault).ok();
        if let Err(error) = self.store.settle(FAULT, text.as_deref()).await {
            tracing::warn!(%error, "since when a webhook fails is not on the disk");
        }
    }

    /// The webhook took an update. Others may fail there still.
    pub(super) fn took(&self, number: i64) {
        self.shared.taken_ms.store(clock::unix_ms(), Ordering::Relaxed);
        if let Some(fault) = &mut *self.fault_now() {
            fault.update.take_if(|update| update.number == number);
        }
    }

    /// Nothing fails at the webhook any more.
    pub(super) async fn end_fault(&self) {
        let over = self.fault_now().as_mut().filter(|fault| !fault.is_over).map(|fault| {
            (fault.is_over, fault.next_ms, fault.update) = (true, None, None);
            fault.clone()
        });
        if let Some(fault) = over {
            self.note_fault(&fault).await;
            self.shared.turned.notify_one();
        }
    }

    fn fault_now(&self) -> MutexGuard<'_, Option<BotWebhookFault>> {
        self.shared.fault.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn webhook(&self) -> Option<BotWebhook> {
        let taken_ms = Some(self.shared.taken_ms.load(Ordering::Relaxed)).filter(|ms| *ms > 0);
        Some(BotWebhook { site: site(&self.hook()?.url), taken_ms, fault: self.fault() })
    }

    fn trouble(&self) -> Option<Said> {
        if let Some(closed) = &*self.shared.closed.lock().unwrap_or_else(PoisonError::into_inner) {
            return Some(closed.clone());
        }
        if self.is_holding() {
            return Some(Said::new(
                "updates for other programs cannot be written to bot.db: look at the space on the disk",
                "обновления для других программ не записываются в bot.db: проверьте место на диске",
            ));
        }
        let BotWebhookFault { message, .. } = self.fault().filter(|fault| !fault.is_over)?;
        Some(Said::new(
            format!(
                "the webhook of the program that leads the bot takes no updates: {message}; they wait, and it is tried again"
            ),
            format!(
                "вебхук программы, которая ведёт бота, не принимает обновления: {message}; они ждут, попытки повторяются"
            ),
        ))
    }
}

/// What an update is, by what is kept of it.
fn kind(rest: &str) -> String {
    let rest = serde_json::from_str::<serde_json::Map<String, Value>>(rest).unwrap_or_default();
    rest.keys().next().cloned().unwrap_or_default()
}

/// An address without what comes after its host, and before it.
fn site(url: &str) -> String {
    let Ok(url) = Url::parse(url) else { return String::new() };
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    format!("{}://{}{port}", url.scheme(), url.host_str().unwrap_or_default())
}

impl Turn {
    /// Whether no other poll and no webhook has come since.
    pub(super) fn holds(&self) -> bool {
        *self.now.borrow() == self.number
    }

    /// Waits until that is over.
    pub(super) async fn is_over(&mut self) {
        let number = self.number;
        if self.now.wait_for(|now| *now != number).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::store::tests::store;

    const DAY: Duration = Duration::from_secs(86_400);

    #[tokio::test]
    async fn a_clock_that_is_set_ahead_takes_no_young_update_from_anybody() {
        let (_room, store) = store().await;
        let queue = Queue::open(store, DAY).await.unwrap();
        let (began, began_ms) = (clock::now(), clock::unix_ms());
        assert_eq!(queue.forget_old(began, began_ms).await.unwrap(), 0);
        queue.take_turn().await.unwrap();
        assert!(queue.keep(&queue.sort(&[message(1), message(2)])).await);
        queue.confirm(2).await.unwrap();
        // The network tells the time: three days later than the clock said.
        let (minute, set_ms) = (Duration::from_secs(60), began_ms + 3 * 86_400_000);
        assert_eq!(queue.forget_old(began + minute, set_ms + 60_000).await.unwrap(), 0);
        assert_eq!(queue.first(100).await.unwrap().len(), 1, "it is a minute old");
        assert!(queue.keep(&queue.sort(&[message(1)])).await);
        assert_eq!(queue.first(100).await.unwrap().len(), 1, "and what was fetched is not given again");
        // A day later it is old indeed, and that is told.
        let later = began + DAY + minute * 2;
        assert_eq!(queue.forget_old(later, set_ms + 86_400_000 + 120_000).await.unwrap(), 1);
        assert!(queue.first(100).await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn that_somebody_asked_is_noted_anew_where_the_clock_was_ahead() {
        let (_room, store) = store().await;
        let ahead_ms = clock::unix_ms() + 3 * 3_600_000;
        store.settle(ASKED, Some(&ahead_ms.to_string())).await.unwrap();
        let queue = Queue::open(store.clone(), DAY).await.unwrap();
        queue.take_turn().await.unwrap();
        let noted: u64 = store.settled(ASKED).await.unwrap().unwrap().parse().unwrap();
        assert!(noted < ahead_ms, "{noted} of {ahead_ms}");
    }

    #[tokio::test]
    async fn an_offset_confirms_and_a_negative_one_leaves_the_last() {
        let (_room, store) = store().await;
        let queue = Queue::open(store, DAY).await.unwrap();
        assert!(queue.keep(&queue.sort(&(1..=6).map(message).collect::<Vec<_>>())).await);
        for (offset, left) in [(0, 6), (3, 4), (-2, 2), (-9, 2), (7, 0)] {
            queue.confirm(offset).await.unwrap();
            assert_eq!(queue.first(100).await.unwrap().len(), left, "{offset}");
        }
    }

    #[tokio::test]
    async fn a_webhook_and_kinds_outlive_the_program_and_a_program_is_known_to_attend() {
        let (_room, store) = store().await;
        let queue = Queue::open(store.clone(), DAY).await.unwrap();
        assert!(!queue.is_attended());
        let hook = Hook { url: "http://127.0.0.1/x".into(), secret: None, max_connections: 40, token: None };
        assert!(queue.set_hook(Some(hook.clone())).await.unwrap());
        assert!(!queue.set_hook(Some(hook.clone())).await.unwrap());
        queue.want(vec!["poll".into()]).await.unwrap();
        assert!(queue.sort(&[message(1)]).is_empty());
        let again = Queue::open(store.clone(), DAY).await.unwrap();
        assert!(again.is_attended() && again.hook() == Some(hook));
        assert_eq!(again.kinds(), Some(vec!["poll".to_owned()]));
        again.set_hook(None).await.unwrap();
        again.want(Vec::new()).await.unwrap();
        assert!(!again.is_attended() && again.sort(&[message(1)]).len() == 1);
        again.take_turn().await.unwrap();
        assert!(Queue::open(store, DAY).await.unwrap().is_attended());
    }

    #[tokio::test]
    async fn a_webhook_ends_with_the_token_that_set_it() {
        let (_room, store) = store().await;
        let queue = Queue::open(store.clone(), DAY).await.unwrap();
        let hook = |token: Option<&str>| Hook {
            url: "http://127.0.0.1/x".into(),
            secret: None,
            max_connections: 40,
            token: token.map(str::to_owned),
        };
        store.admit_token("aa", "1C", 1).await.unwrap();
        for (token, left) in [(None, true), (Some("aa"), false)] {
            store.admit_token("bb", "Zabbix", 1).await.unwrap();
            queue.set_hook(Some(hook(token))).await.unwrap();
            assert!(!queue.end_hook_of_revoked(&hook(token)).await.unwrap());
            store.revoke_token("Zabbix").await.unwrap();
            assert!(!queue.end_hook_of_revoked(&hook(token)).await.unwrap());
            store.revoke_token("1C").await.unwrap();
            assert_eq!(queue.end_hook_of_revoked(&hook(token)).await.unwrap(), !left);
            assert_eq!((queue.hook().is_some(), queue.is_attended()), (left, left));
            store.admit_token("aa", "1C", 1).await.unwrap();
        }
        assert!(Queue::open(store, DAY).await.unwrap().hook().is_none());
    }

    #[tokio::test]
    async fn a_turn_ends_when_another_begins_or_a_webhook_is_set() {
        let (_room, store) = store().await;
        let queue = Queue::open(store, DAY).await.unwrap();
        let mut first = queue.take_turn().await.unwrap();
        assert!(first.holds());
        let second = queue.take_turn().await.unwrap();
        assert!(!first.holds() && second.holds());
        first.is_over().await;
        let hook = Hook { url: "http://127.0.0.1/x".into(), secret: None, max_connections: 40, token: None };
        queue.set_hook(Some(hook)).await.unwrap();
        assert!(!second.holds());
    }

    #[tokio::test]
    async fn trouble_is_told_in_both_languages_until_it_is_over() {
        let (_room, store) = store().await;
        let queue = Queue::open(store, DAY).await.unwrap();
        queue.failed("Connection refused".into(), None, None).await;
        let told = queue.trouble().unwrap();
        assert!(told.en.contains("Connection refused") && told.ru.contains("не принимает"), "{told:?}");
        queue.end_fault().await;
        assert!(queue.trouble().is_none() && queue.fault().is_some());
    }

    #[tokio::test]
    async fn of_a_webhook_it_is_known_since_when_and_how_often_it_fails_and_when_it_is_tried_again() {
        let (_room, store) = store().await;
        let queue = Queue::open(store, DAY).await.unwrap();
        assert_eq!(queue.webhook(), None);
        let url = "https://user:word@example.org:8443/hook?key=secret".to_owned();
        let hook = Hook { url, secret: None, max_connections: 40, token: None };
        queue.set_hook(Some(hook)).await.unwrap();
        let webhook = queue.webhook().unwrap();
        assert_eq!((webhook.site.as_str(), webhook.taken_ms), ("https://example.org:8443", None));
        queue.failed("Connection refused".into(), None, Some(Duration::from_secs(2))).await;
        let first = queue.fault().unwrap();
        assert!((1_000..=2_000).contains(&(first.next_ms.unwrap() - first.at_ms)));
        queue.failed("Read timeout expired".into(), None, None).await;
        let second = queue.fault().unwrap();
        assert_eq!((second.since_ms, second.attempts), (first.since_ms, 2));
        assert_eq!((second.message.as_str(), second.next_ms), ("Read timeout expired", None));
        queue.took(7);
        assert!(queue.webhook().unwrap().taken_ms.is_some() && !queue.fault().unwrap().is_over);
        queue.end_fault().await;
        assert!(queue.fault().unwrap().is_over);
        queue.failed("Connection refused".into(), None, None).await;
        assert_eq!(queue.fault().unwrap().attempts, 1);
        queue.set_hook(None).await.unwrap();
        assert_eq!((queue.webhook(), queue.fault()), (None, None));
    }

    #[tokio::test]
    async fn since_when_a_webhook_fails_outlives_the_program_and_not_the_webhook() {
        let (_room, store) = store().await;
        let queue = Queue::open(store.clone(), DAY).await.unwrap();
        let hook = |url: &str| Hook { url: url.into(), secret: None, max_connections: 40, token: None };
        queue.set_hook(Some(hook("http://127.0.0.1/x"))).await.unwrap();
        assert!(queue.keep(&queue.sort(&[message(1)])).await);
        let update = queue.update(1).await.unwrap();
        assert_eq!(update, Some(BotUpdate { number: 1, kind: "message".into() }));
        queue.failed("Connection refused".into(), update, Some(Duration::from_secs(2))).await;
        let before = queue.fault().unwrap();
        let again = Queue::open(store.clone(), DAY).await.unwrap();
        assert_eq!(again.fault(), Some(BotWebhookFault { next_ms: None, ..before.clone() }));
        again.failed("Connection refused".into(), None, None).await;
        let fault = again.fault().unwrap();
        assert_eq!((fault.since_ms, fault.attempts), (before.since_ms, 2));
        again.end_fault().await;
        assert!(Queue::open(store.clone(), DAY).await.unwrap().fault().unwrap().is_over);
        again.failed("Connection refused".into(), None, None).await;
        again.set_hook(Some(hook("http://127.0.0.1/y"))).await.unwrap();
        assert_eq!(Queue::open(store, DAY).await.unwrap().fault(), None);
    }

    #[tokio::test]
    async fn what_is_skipped_waits_no_more_and_with_the_last_of_it_the_fault_is_over() {
        let (_room, store) = store().await;
        let queue = Queue::open(store, DAY).await.unwrap();
        assert!(queue.keep(&queue.sort(&[message(1), message(2)])).await);
        queue.failed("Wrong response from the webhook: 500".into(), None, None).await;
        let mut urges = queue.urges();
        assert!(!queue.skip(7).await.unwrap() && !urges.has_changed().unwrap());
        assert!(queue.skip(1).await.unwrap() && urges.has_changed().unwrap());
        urges.mark_unchanged();
        assert!(!queue.fault().unwrap().is_over);
        assert_eq!((queue.first(9).await.unwrap().len(), queue.update(1).await.unwrap()), (1, None));
        assert!(!queue.skip(1).await.unwrap());
        assert!(queue.skip(2).await.unwrap() && queue.fault().unwrap().is_over);
        queue.push_now();
        assert!(urges.has_changed().unwrap());
    }

    #[tokio::test]
    async fn what_nobody_has_to_take_any_more_is_no_fault() {
        let (_room, store) = store().await;
        let queue = Queue::open(store, DAY).await.unwrap();
        queue.failed("Connection refused".into(), None, None).await;
        let (tell, mut told) = tokio::sync::mpsc::channel(1);
        let tending = tokio::spawn(queue.clone().tend(move |programs| drop(tell.try_send(programs))));
        assert!(told.recv().await.unwrap().trouble.is_none());
        tending.abort();
    }

    fn message(update: u32) -> Value {
        json!({"update_id": update, "message": {"message_id": 1, "chat": {"id": 5}, "text": "x"}})
    }
}
