//! What the tasks of one line share: the account, the store, the settings, the bot, and who is on the phone.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use tgtrunk_config::{CallId, Language, Line, TextKey, Texts, Words};
use tgtrunk_shell::asking::Follower;
use tgtrunk_telegram::{Account, Person, Resolved, Status};
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, timeout};

use crate::clock;
use crate::lamps::Lamps;
use crate::store::Store;
use crate::trouble::Trouble;
use crate::typed::Presses;

/// How long a person may take to be known, once a call tells that they are there. Their call comes to this session of
/// the account too, and they with it.
const ACQUAINTANCE: Duration = Duration::from_millis(400);

/// For so long after news of a joined call a missed call of that person may be the same.
const JOINED: Duration = Duration::from_secs(120);

/// The desk of one line.
pub(crate) struct Desk {
    pub(crate) account: Account,
    pub(crate) store: Store,
    pub(crate) gateway: Follower,
    pub(crate) lamps: Lamps,
    /// Something about the bot looks wrong: it is to be visited now.
    pub(crate) visit: Notify,
    pub(crate) presses: Presses,
    /// Whether it is known which calls are up, or that the gateway is not there.
    told: watch::Sender<bool>,
    manner: watch::Sender<Arc<Manner>>,
    bot: watch::Sender<Option<Resolved>>,
    talking: RwLock<BTreeMap<CallId, Talk>>,
    /// When the gateway last told of a call that joins a person to the PBX.
    joined: RwLock<BTreeMap<i64, Instant>>,
}

/// A call that is up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Talk {
    person: i64,
    started_ms: u64,
}

/// How a line treats people: its settings and its texts.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Manner {
    pub(crate) line: Line,
    pub(crate) texts: Texts,
}

impl Manner {
    /// A text, said to a person. Telegram does not tell this session which language a person reads; it is the line's.
    pub(crate) fn say(&self, key: TextKey, name: &str) -> String {
        let time = clock::time_of_day(clock::unix_ms());
        let words = Words { name: name.to_owned(), time, ..Words::of_line(&self.line) };
        self.texts.say(key, self.language(), &words)
    }

    fn language(&self) -> Language {
        self.line.chat.language
    }
}

impl Desk {
    pub(crate) fn new(
        account: Account,
        store: Store,
        gateway: Follower,
        lamps: Lamps,
        manner: Arc<Manner>,
    ) -> Self {
        Self {
            account,
            store,
            gateway,
            lamps,
            visit: Notify::new(),
            presses: Presses::default(),
            told: watch::Sender::new(false),
            manner: watch::Sender::new(manner),
            bot: watch::Sender::new(None),
            talking: RwLock::default(),
            joined: RwLock::default(),
        }
    }

    pub(crate) fn manner(&self) -> Arc<Manner> {
        Arc::clone(&self.manner.borrow())
    }

    pub(crate) fn change_manner(&self, manner: Arc<Manner>) {
        self.manner.send_replace(manner);
    }

    /// Tells of changes of the settings.
    pub(crate) fn manners(&self) -> watch::Receiver<Arc<Manner>> {
        self.manner.subscribe()
    }

    pub(crate) fn set_bot(&self, bot: Option<Resolved>) {
        self.bot.send_replace(bot);
    }

    /// The line's bot, once it is known.
    pub(crate) async fn bot(&self, within: Duration) -> Option<Resolved> {
        let mut bot = self.bot.subscribe();
        let found = timeout(within, bot.wait_for(Option::is_some)).await;
        found.ok()?.ok()?.clone()
    }

    pub(crate) fn is_told(&self) {
        self.told.send_replace(true);
    }

    /// Whether the gateway has said which calls are up, or is known not to be there.
    pub(crate) fn knows_calls(&self) -> bool {
        *self.told.borrow()
    }

    /// Returns once the gateway has said which calls are up, or is known not to be there.
    pub(crate) async fn until_told(&self) {
        let mut told = self.told.subscribe();
        if told.wait_for(|told| *told).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    pub(crate) fn begins(&self, call: CallId, person: i64, started_ms: u64) {
        let talk = Talk { person, started_ms };
        self.talking.write().unwrap_or_else(PoisonError::into_inner).insert(call, talk);
    }

    pub(crate) fn ends(&self, call: CallId) {
        self.talking.write().unwrap_or_else(PoisonError::into_inner).remove(&call);
    }

    /// The person's call, if one is up. Of several the latest, which is the one they look at.
    pub(crate) fn call_of(&self, person: i64) -> Option<CallId> {
        latest(&self.talking.read().unwrap_or_else(PoisonError::into_inner), person)
    }

    /// The gateway tells of a call that joins the person to the PBX.
    pub(crate) fn joins(&self, person: i64) {
        let now = Instant::now();
        let mut joined = self.joined.write().unwrap_or_else(PoisonError::into_inner);
        joined.retain(|_, told| now.duration_since(*told) < JOINED);
        joined.insert(person, now);
    }

    /// Whether a missed call of a person may be one that they asked for, of which the gateway has yet to tell.
    pub(crate) fn may_have_asked(&self, person: i64) -> bool {
        let joined = self.joined.read().unwrap_or_else(PoisonError::into_inner);
        joined.get(&person).is_some_and(|told| told.elapsed() < JOINED)
    }

    /// Whoever the account is on the phone with, as requests need them.
    pub(crate) async fn person(&self, id: i64) -> Result<Resolved, Trouble> {
        if let Some(met) = self.account.met(id, ACQUAINTANCE).await {
            return Ok(met);
        }
        Ok(self.account.resolve(Person::Id(id)).await?)
    }

    /// The same when Telegram did not take what was remembered of them.
    pub(crate) async fn person_anew(&self, id: i64) -> Result<Resolved, Trouble> {
        Ok(self.account.resolve_anew(Person::Id(id)).await?)
    }

    /// Returns once the account, which had a trouble, is well again.
    pub(crate) async fn green_again(&self) {
        let mut status = self.account.status();
        if status.wait_for(|status| !matches!(status, Status::Green { .. })).await.is_err() {
            std::future::pending::<()>().await;
        }
        self.until_green().await;
    }

    /// Returns once Telegram answers the account.
    pub(crate) async fn until_green(&self) {
        let mut status = self.account.status();
        let green = status.wait_for(|status| matches!(status, Status::Green { .. })).await.is_ok();
        if !green {
            std::future::pending::<()>().await;
        }
    }
}

/// The call of a person that began last.
fn latest(talking: &BTreeMap<CallId, Talk>, person: i64) -> Option<CallId> {
    let theirs = talking.iter().filter(|(_, talk)| talk.person == person);
    theirs.max_by_key(|(_, talk)| talk.started_ms).map(|(call, _)| *call)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_persons_call_is_the_one_that_began_last_whatever_its_number() {
        let talk = |call, person, started_ms| (CallId(call), Talk { person, started_ms });
        let talking = BTreeMap::from([talk(9, 5, 1000), talk(3, 5, 2000), talk(12, 6, 3000)]);
        assert_eq!(latest(&talking, 5), Some(CallId(3)));
        assert_eq!(latest(&talking, 6), Some(CallId(12)));
        assert_eq!(latest(&talking, 7), None);
    }
}
