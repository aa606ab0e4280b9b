//! Hands notifications over, to the account's outgoing queue or to the bot, and follows what becomes of them.
//!
//! A notification is on the disk before it is handed over, and marked as being handed over. Where the program was killed
//! in between, it is first looked for in the account's queue and journal; the bot knows it by its key.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use serde_json::json;
use tgtrunk_config::control::{Answer as Told, Ask, LetterInfo, LetterState, RefusalCode};
use tgtrunk_messages::{
    Address, Content, Direction, Draft, Instance, InstanceId, Manner, MessageId, Record, Refused, SendStatus,
    phone_hint,
};
use tokio::task::JoinSet;

use super::Directory;
use super::answer::Failed;
use super::bots::BotTrouble;
use super::notify::person;
use super::store::{Channel, Notification, State, StoreError};
use crate::clock;

/// What the outgoing queue shows as the method.
const METHOD: &str = "notify";
/// How long the bot may take to write something down.
const SOON: Duration = Duration::from_secs(5);
/// What could not be handed over for so long is of no interest any more, in seconds; nor is what nobody knows of.
const STALE_S: i64 = 24 * 3600;
/// Longest pause between two looks, in seconds.
const LONGEST_PAUSE_S: i64 = 60;
/// When one is tried again whose outcome could not be noted, in seconds.
const AFTER_FAILURE_S: i64 = 5;
/// How many are handed over at once, each to somebody else, and how many to one person before others are looked at.
const AT_ONCE: usize = 16;
const IN_A_ROW: usize = 32;

impl Directory {
    /// Hands one over that was just kept; how far it is then. Whatever hinders it is tried again.
    pub(super) async fn hand_over(self: &Arc<Self>, mut one: Notification) -> Result<Notification, Failed> {
        let Some(_held) = self.hold(one.id) else { return Ok(one) };
        if one.state != State::Waiting {
            return Ok(one);
        }
        let done = match self.store()?.claim_notification(one.id).await {
            Ok(Some(claimed)) => self.deliver(claimed).await,
            Ok(None) => return Ok(self.let_pass(one).await),
            Err(error) => Err(error.into()),
        };
        match done {
            Ok(done) => one = done,
            // It was taken, and stays so: nobody need ask for it again.
            Err(failed) => {
                tracing::error!(notification = one.id, "a notification is tried again: {}", failed.message);
                one.is_doubtful = true;
                one.waits("the storage failed; it is tried again");
                self.give_back(one.id).await;
            }
        }
        if one.state != State::Waiting {
            self.handing.notify_one();
        }
        Ok(one)
    }

    /// Has one wait for those that go before it to the same person, which are tried now: perhaps they can go.
    async fn let_pass(&self, mut one: Notification) -> Notification {
        let passed = async {
            let store = self.store()?;
            let Some(ahead) = store.ahead_of(one.id).await? else { return Ok(()) };
            let hindrance = ahead.reason.filter(|_| ahead.state == State::Waiting);
            let hindrance = hindrance.map_or_else(String::new, |reason| format!(": {reason}"));
            let reason = format!("it follows notification {}, which goes first{hindrance}", ahead.id);
            store.put_behind(one.id, &reason, ahead.id, clock::unix_s()).await?;
            one.reason = Some(reason);
            self.handing.notify_one();
            Ok::<_, Failed>(())
        };
        if let Err(failed) = passed.await {
            tracing::error!(notification = one.id, "a notification waits for its turn: {}", failed.message);
        }
        one
    }

    /// Hands one over, and those behind it to the same person, as long as that goes well.
    async fn hand_on(self: &Arc<Self>, mut one: Notification) -> Result<(), Failed> {
        for _ in 0..IN_A_ROW {
            let done = self.hand_over(one).await?;
            if matches!(done.state, State::Waiting | State::Sending) {
                break;
            }
            let Some(next) = self.store()?.behind(done.id).await? else { break };
            one = next;
        }
        Ok(())
    }

    /// Gives back what nobody hands over any more, as its outcome could not be noted; and what waits for a time that a wrong
    /// clock has said.
    pub(super) async fn lift(&self) -> Result<(), StoreError> {
        let Some(store) = self.store.get() else { return Ok(()) };
        let now_s = clock::unix_s();
        store.hurry_notifications(now_s, now_s + LONGEST_PAUSE_S + 4).await?;
        for id in store.sending_notifications().await? {
            if let Some(_held) = self.hold(id) {
                self.give_back(id).await;
            }
        }
        Ok(())
    }

    async fn give_back(&self, id: i64) {
        let Some(store) = self.store.get() else { return };
        if let Err(error) = store.return_notification(id, clock::unix_s() + AFTER_FAILURE_S).await {
            tracing::error!(notification = id, "a notification is given back later: {error}");
        }
    }

    /// Holds a notification while it is handed over; nobody else does then.
    fn hold(&self, id: i64) -> Option<Held<'_>> {
        let is_free = self.held.lock().unwrap_or_else(PoisonError::into_inner).insert(id);
        is_free.then_some(Held { directory: self, id })
    }

    /// Hands over what waits, and looks what became of the rest.
    pub(super) async fn tend(self: &Arc<Self>) -> Result<(), StoreError> {
        let Some(store) = self.store.get() else { return Ok(()) };
        let mut work = JoinSet::new();
        for one in store.open_notifications(clock::unix_s()).await? {
            let directory = Arc::clone(self);
            if work.len() >= AT_ONCE {
                work.join_next().await;
            }
            work.spawn(async move {
                let done = match one.state {
                    State::Waiting => directory.hand_on(one).await,
                    _ => directory.follow(one).await.map(drop),
                };
                if let Err(failed) = done {
                    tracing::warn!("a notification is tried again: {}", failed.message);
                }
            });
        }
        while work.join_next().await.is_some() {}
        Ok(())
    }

    /// How far one is now, where that may have changed.
    pub(super) async fn followed(self: &Arc<Self>, one: Notification) -> Result<Notification, Failed> {
        match (one.state, one.channel) {
            (State::Queued, _) | (State::Sent, Channel::User) => self.follow(one).await,
            _ => Ok(one),
        }
    }

    async fn deliver(&self, mut one: Notification) -> Result<Notification, Failed> {
        if clock::unix_s() - one.created_s > STALE_S {
            one.fails("expired: it could not be sent in time", "timeout");
        } else if !one.is_doubtful && self.is_off(&one).await? {
            (one.state, one.reason) = (State::Skipped, Some("switched off while it waited".to_owned()));
        } else {
            match one.channel {
                Channel::User => self.post(&mut one).await?,
                Channel::Bot => self.tell_bot(&mut one).await?,
            }
        }
        self.note(one).await
    }

    /// Whether somebody was switched off meanwhile.
    async fn is_off(&self, one: &Notification) -> Result<bool, Failed> {
        let Some(id) = one.recipient else { return Ok(false) };
        Ok(self.store()?.recipient(id).await?.is_some_and(|row| !row.is_notified))
    }

    /// Puts it into the account's outgoing queue.
    async fn post(&self, one: &mut Notification) -> Result<(), Failed> {
        let id = one.sender.as_deref().and_then(|id| id.parse::<InstanceId>().ok());
        let Some(instance) = id.and_then(|id| self.house.instance(id)) else {
            one.waits("the sender is not open: it goes out when it is");
            return Ok(());
        };
        let Ok(to) = Address::read(&one.target) else {
            one.fails(&format!("{} is no chat", one.target), "dialog_not_found");
            return Ok(());
        };
        if one.is_doubtful {
            if let Some(known) = self.accepted(&instance, one).await? {
                one.is_queued(known);
                return Ok(());
            }
            one.is_doubtful = false;
        }
        let draft = Draft {
            buttons: None,
            to,
            content: Content::plain(one.text.clone()),
            quoted: None,
            forward: None,
            typing: None,
            manner: Manner::default(),
            method: METHOD,
            request: json!({"notification": one.id}),
        };
        match instance.send(draft).await {
            Ok(accepted) => one.is_queued(accepted.id),
            Err(Refused::Storage(cause)) => {
                tracing::error!("a notification is not handed over: {cause}");
                one.is_doubtful = true;
                one.waits("the storage failed; it is tried again");
            }
            Err(refused @ (Refused::Full(_) | Refused::NoRoom(_) | Refused::Standing(_))) => {
                one.waits(&refused.to_string())
            }
            Err(refused) => one.fails(&refused.to_string(), "bad_request"),
        }
        Ok(())
    }

    /// The message of one that may be in the account's queue, or was: there it stands with this one's number, or the
    /// journal has a message that says the same to the same chat, and is no other notification.
    async fn accepted(&self, instance: &Instance, one: &Notification) -> Result<Option<MessageId>, Failed> {
        if let Some(id) = instance.queued(METHOD, "notification", one.id).await? {
            return Ok(Some(id));
        }
        let minutes = (clock::unix_s() - one.created_s) / 60 + 2;
        let minutes = u32::try_from(minutes).unwrap_or(u32::MAX);
        let sender = instance.id().to_string();
        let is_same = |record: &Record| {
            let said = matches!(&record.content, Content::Text { text, .. } if *text == one.text);
            said && record.address == one.target && record.id.get() >= one.created_s * 1000
        };
        // The oldest first, as they were asked for.
        for record in instance.journal(Direction::Outgoing, minutes).await?.iter().rev() {
            if is_same(record) && !self.store()?.is_notification(&sender, record.id.get()).await? {
                return Ok(Some(record.id));
            }
        }
        Ok(None)
    }

    /// Has the bot write it.
    async fn tell_bot(&self, one: &mut Notification) -> Result<(), Failed> {
        let Some(person) = person(&one.target) else {
            one.fails(&format!("{} is no key of a bot", one.target), "dialog_not_found");
            return Ok(());
        };
        let organisation = match one.organisation {
            Some(id) => self.store()?.organisation(id).await?,
            None => None,
        };
        let chosen = one.sender.as_ref().and_then(|bot| bot.parse().ok());
        let bot = match chosen.map_or_else(|| self.bot_of(&one.scope, organisation.as_ref()), Ok) {
            Ok(bot) => bot,
            Err(lacks) => {
                one.waits(&lacks);
                return Ok(());
            }
        };
        let (text, key) = (one.text.clone(), format!("notify-{}", one.word));
        match self.ask_bot(Ask::WriteTo { bot: bot.clone(), person, text, key }, SOON).await {
            Ok(Told::Letter(info)) => {
                one.sender = Some(bot.folder());
                self.learn(one, &info).await?;
            }
            Ok(other) => one.waits(&format!("@{bot} answered something else: {other:?}")),
            Err(BotTrouble::Refused(refusal)) if refusal.code == RefusalCode::UnknownPerson => {
                let hint = phone_hint(&one.target);
                one.fails(&format!("@{bot} has given the key {person} to nobody{hint}"), "dialog_not_found");
            }
            Err(BotTrouble::Refused(refusal)) if refusal.code == RefusalCode::BadRequest => {
                one.fails(&refusal.message, "bad_request");
            }
            Err(trouble) => one.waits(&trouble.text()),
        }
        Ok(())
    }

    /// Notes what the bot says.
    async fn learn(&self, one: &mut Notification, info: &LetterInfo) -> Result<(), Failed> {
        match info.state {
            LetterState::Waiting => {
                one.state = State::Queued;
                one.reason.clone_from(&info.reason);
            }
            LetterState::Sent => {
                (one.state, one.reason) = (State::Sent, None);
                one.message = info.message.map(i64::from);
            }
            LetterState::Failed => {
                let code = if info.blocked { "user_blocked_bot" } else { "internal" };
                one.fails(info.reason.as_deref().unwrap_or("the bot gave it up"), code);
            }
        }
        if let Some(recipient) = one.recipient.filter(|_| info.state == LetterState::Sent || info.blocked) {
            self.store()?.block_recipient(recipient, info.blocked).await?;
        }
        Ok(())
    }

    /// Looks what became of one that was handed over.
    async fn follow(&self, mut one: Notification) -> Result<Notification, Failed> {
        match one.channel {
            Channel::Bot => self.tell_bot(&mut one).await?,
            Channel::User => {
                let id = one.sender.as_deref().and_then(|id| id.parse::<InstanceId>().ok());
                let (to, message) = (Address::read(&one.target), one.message.map(MessageId::new));
                match (id.and_then(|id| self.house.instance(id)), to, message) {
                    (Some(instance), Ok(to), Some(message)) => match instance.message(&to, message).await {
                        Ok(record) => one.becomes(&record),
                        Err(refused) => one.is_lost(&format!("nobody knows what became of it: {refused}")),
                    },
                    (Some(_), ..) => one.fails("its message is not known any more", "internal"),
                    (None, ..) => one.is_lost("its sender is not there any more"),
                }
            }
        }
        // What was handed over stays so, whatever hinders a look.
        if one.state == State::Waiting {
            one.state = State::Queued;
            let hindrance = one.reason.clone().unwrap_or_default();
            one.is_lost(&format!("nobody knows what became of it: {hindrance}"));
        }
        self.note(one).await
    }

    async fn note(&self, mut one: Notification) -> Result<Notification, Failed> {
        let now_s = clock::unix_s();
        let pause_s = (1_i64 << one.tries.clamp(0, 6)).min(LONGEST_PAUSE_S);
        (one.updated_s, one.tries) = (now_s, one.tries + 1);
        self.store()?.note_notification(&one, now_s + pause_s).await?;
        Ok(one)
    }
}

/// A notification that this process hands over.
struct Held<'d> {
    directory: &'d Directory,
    id: i64,
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.directory.held.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.id);
    }
}

impl Notification {
    fn waits(&mut self, reason: &str) {
        (self.state, self.reason) = (State::Waiting, Some(reason.to_owned()));
    }

    fn fails(&mut self, reason: &str, code: &str) {
        (self.state, self.reason, self.code) =
            (State::Failed, Some(reason.to_owned()), Some(code.to_owned()));
    }

    fn is_queued(&mut self, message: MessageId) {
        (self.state, self.reason, self.message) = (State::Queued, None, Some(message.get()));
        // Looked for anew, from now on.
        self.tries = 0;
    }

    /// Nobody can say, now or ever.
    fn is_lost(&mut self, reason: &str) {
        if self.state != State::Sent && clock::unix_s() - self.created_s > STALE_S {
            self.fails(reason, "internal");
        }
    }

    fn becomes(&mut self, record: &Record) {
        match record.status {
            SendStatus::Pending => {}
            SendStatus::Sent => (self.state, self.reason) = (State::Sent, None),
            SendStatus::Read => (self.state, self.reason) = (State::Read, None),
            SendStatus::Failed => {
                let code = record.reason.as_ref().map_or("internal", |reason| reason.word.as_str());
                self.fails(record.failure.as_deref().unwrap_or("it was not sent"), code);
            }
        }
    }
}
