//! What was to be sent to people, and what became of it.

use sqlx::Row as _;
use sqlx::sqlite::SqliteRow;

use tgtrunk_messages::Token;

use super::turns::OPEN;
use super::{Store, StoreError};

/// By which way somebody is notified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::api::directory) enum Channel {
    /// By the organisation's own account.
    User,
    /// By its bot.
    Bot,
}

/// How far a notification is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::api::directory) enum State {
    /// It is to be handed over.
    Waiting,
    /// This process is handing it over.
    Sending,
    /// The account's queue, or the bot, has it.
    Queued,
    /// Telegram has it.
    Sent,
    /// They have read it.
    Read,
    /// It will not be sent.
    Failed,
    /// They do not want it.
    Skipped,
}

/// A notification.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::api::directory) struct Notification {
    pub(in crate::api::directory) id: i64,
    pub(in crate::api::directory) created_s: i64,
    pub(in crate::api::directory) updated_s: i64,
    pub(in crate::api::directory) scope: String,
    /// The hash of whom the request named, and of the text.
    pub(in crate::api::directory) asked: String,
    /// Under which a bot writes it: no other has it, ever.
    pub(in crate::api::directory) word: String,
    pub(in crate::api::directory) recipient: Option<i64>,
    pub(in crate::api::directory) organisation: Option<i64>,
    pub(in crate::api::directory) channel: Channel,
    /// The instance's number, or the bot's name; none while it is not known which bot it will be.
    pub(in crate::api::directory) sender: Option<String>,
    /// The chat as an instance knows it, or the key.
    pub(in crate::api::directory) target: String,
    pub(in crate::api::directory) text: String,
    pub(in crate::api::directory) state: State,
    /// Why it is not sent, or not yet.
    pub(in crate::api::directory) reason: Option<String>,
    /// The same for programs.
    pub(in crate::api::directory) code: Option<String>,
    /// The message's number: the instance's own, or Telegram's in the bot's chat.
    pub(in crate::api::directory) message: Option<i64>,
    /// Whether it may have been handed over by a process that was killed.
    pub(in crate::api::directory) is_doubtful: bool,
    pub(in crate::api::directory) tries: i64,
}

/// One that is to be kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::api::directory) struct NewNotification {
    /// Whose the key is.
    pub(in crate::api::directory) scope: String,
    /// Under which it is asked for again.
    pub(in crate::api::directory) idem_key: Option<String>,
    pub(in crate::api::directory) asked: String,
    pub(in crate::api::directory) recipient: Option<i64>,
    pub(in crate::api::directory) organisation: Option<i64>,
    pub(in crate::api::directory) channel: Channel,
    pub(in crate::api::directory) sender: Option<String>,
    pub(in crate::api::directory) target: String,
    pub(in crate::api::directory) text: String,
    pub(in crate::api::directory) state: State,
    pub(in crate::api::directory) reason: Option<String>,
}

/// Those that a line's programs asked for, or that its account writes.
pub(super) const OF_LINE: &str =
    "SELECT * FROM (SELECT * FROM notification WHERE scope = $3 AND id < $1 ORDER BY id DESC LIMIT $2)
     UNION SELECT * FROM (SELECT * FROM notification WHERE sender = $3 AND channel = 'user' AND id < $1
     ORDER BY id DESC LIMIT $2) ORDER BY id DESC LIMIT $2";

/// How long a key is remembered, in seconds.
const KEYS_S: i64 = 24 * 3600;
/// How many may be open at a time.
pub(in crate::api::directory) const MOST_OPEN: i64 = 10_000;
/// How many are forgotten at a time.
const PORTION: u64 = 500;
/// How far the clock may go back without that a key is forgotten, in seconds.
const SKEW_S: i64 = 60;

impl Store {
    /// Keeps a notification, unless one was kept under its key within a day: then that one. Whether it is new. None where too
    /// many are open.
    pub(in crate::api::directory) async fn add_notification(
        &self,
        new: &NewNotification,
        now_s: i64,
    ) -> Result<Option<(Notification, bool)>, StoreError> {
        let mut transaction = self.pool.begin().await?;
        if let Some(key) = &new.idem_key {
            sqlx::query(
                "UPDATE notification SET idem_key = NULL WHERE scope = $1 AND idem_key = $2
                    AND (created_s <= $3 OR created_s > $4)",
            )
            .bind(&new.scope)
            .bind(key)
            .bind(now_s - KEYS_S)
            .bind(now_s + SKEW_S)
            .execute(&mut *transaction)
            .await?;
            let known = sqlx::query("SELECT * FROM notification WHERE scope = $1 AND idem_key = $2")
                .bind(&new.scope)
                .bind(key)
                .fetch_optional(&mut *transaction)
                .await?;
            if let Some(known) = known {
                transaction.commit().await?;
                return Ok(Some((row(&known)?, false)));
            }
        }
        if new.state == State::Waiting {
            let open = sqlx::query(
                "SELECT COUNT(*) FROM notification WHERE state IN ('waiting', 'sending', 'queued')",
            );
            if open.fetch_one(&mut *transaction).await?.try_get::<i64, _>(0)? >= MOST_OPEN {
                return Ok(None);
            }
        }
        let kept = sqlx::query(
            "INSERT INTO notification (created_s, updated_s, scope, idem_key, recipient, organisation, channel, sender,
                target, text, state, reason, word, asked, doubtful, tries, next_s)
             VALUES ($1, $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, 0, 0, $1) RETURNING *",
        )
        .bind(now_s)
        .bind(&new.scope)
        .bind(&new.idem_key)
        .bind(new.recipient)
        .bind(new.organisation)
        .bind(new.channel.as_str())
        .bind(&new.sender)
        .bind(&new.target)
        .bind(&new.text)
        .bind(new.state.as_str())
        .bind(&new.reason)
        .bind(Token::new().reveal())
        .bind(&new.asked)
        .fetch_one(&mut *transaction)
        .await?;
        let kept = row(&kept)?;
        transaction.commit().await?;
        Ok(Some((kept, true)))
    }

    /// The one that was kept under a key within a day.
    pub(in crate::api::directory) async fn notification_by_key(
        &self,
        scope: &str,
        key: &str,
        now_s: i64,
    ) -> Result<Option<Notification>, StoreError> {
        let found = sqlx::query(
            "SELECT * FROM notification WHERE scope = $1 AND idem_key = $2 AND created_s > $3 AND created_s <= $4",
        );
        let found = found.bind(scope).bind(key).bind(now_s - KEYS_S).bind(now_s + SKEW_S);
        let found = found.fetch_optional(&self.pool).await?;
        Ok(found.as_ref().map(row).transpose()?)
    }

    /// One by its number.
    pub(in crate::api::directory) async fn notification(
        &self,
        id: i64,
    ) -> Result<Option<Notification>, StoreError> {
        let found = sqlx::query("SELECT * FROM notification WHERE id = $1").bind(id);
        Ok(found.fetch_optional(&self.pool).await?.as_ref().map(row).transpose()?)
    }

    /// Those before a number, the latest first; of one instance alone, where it is said.
    pub(in crate::api::directory) async fn notifications(
        &self,
        before: i64,
        limit: i64,
        sender: Option<&str>,
    ) -> Result<Vec<Notification>, StoreError> {
        let Some(sender) = sender else { return self.browse_notifications(before, limit, &[]).await };
        let rows = sqlx::query(OF_LINE).bind(before).bind(limit).bind(sender).fetch_all(&self.pool).await?;
        Ok(rows.iter().map(row).collect::<Result<_, _>>()?)
    }

    /// Those that are not done and whose time and turn has come, those that waited longest first.
    pub(in crate::api::directory) async fn open_notifications(
        &self,
        now_s: i64,
    ) -> Result<Vec<Notification>, StoreError> {
        let rows = sqlx::query(OPEN).bind(now_s).fetch_all(&self.pool).await?;
        Ok(rows.iter().map(row).collect::<Result<_, _>>()?)
    }

    /// Has those looked at whose time is later than `latest_s`, the longest pause from now: the clock was set back.
    pub(in crate::api::directory) async fn hurry_notifications(
        &self,
        now_s: i64,
        latest_s: i64,
    ) -> Result<(), StoreError> {
        sqlx::query(
            "UPDATE notification SET next_s = $1 WHERE state IN ('waiting', 'sending', 'queued') AND next_s > $2",
        )
        .bind(now_s)
        .bind(latest_s)
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// Those that somebody claimed.
    pub(in crate::api::directory) async fn sending_notifications(&self) -> Result<Vec<i64>, StoreError> {
        let rows = sqlx::query("SELECT id FROM notification WHERE state = 'sending'");
        let rows = rows.fetch_all(&self.pool).await?;
        Ok(rows.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>()?)
    }

    /// Nobody hands one over any more, and nobody knows how far that came.
    pub(in crate::api::directory) async fn return_notification(
        &self,
        id: i64,
        next_s: i64,
    ) -> Result<(), StoreError> {
        sqlx::query(
            "UPDATE notification SET state = 'waiting', doubtful = 1, next_s = $2 WHERE id = $1 AND state = 'sending'",
        )
        .bind(id)
        .bind(next_s)
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// Notes how far one is, and when it is looked at next.
    pub(in crate::api::directory) async fn note_notification(
        &self,
        one: &Notification,
        next_s: i64,
    ) -> Result<(), StoreError> {
        sqlx::query(
            "UPDATE notification SET updated_s = $2, sender = $3, state = $4, reason = $5, code = $6, message = $7,
                doubtful = $8, tries = $9, next_s = $10 WHERE id = $1",
        )
        .bind(one.id)
        .bind(one.updated_s)
        .bind(&one.sender)
        .bind(one.state.as_str())
        .bind(&one.reason)
        .bind(&one.code)
        .bind(one.message)
        .bind(i64::from(one.is_doubtful))
        .bind(one.tries)
        .bind(next_s)
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// Whether a message of an instance is another notification already.
    pub(in crate::api::directory) async fn is_notification(
        &self,
        sender: &str,
        message: i64,
    ) -> Result<bool, StoreError> {
        let found = sqlx::query("SELECT 1 FROM notification WHERE sender = $1 AND message = $2");
        Ok(found.bind(sender).bind(message).fetch_optional(&self.pool).await?.is_some())
    }

    /// Forgets those that are done and older than `before_s`.
    pub(in crate::api::directory) async fn forget_notifications(
        &self,
        before_s: i64,
    ) -> Result<(), StoreError> {
        // In portions, so that requests are answered in between.
        loop {
            let portion = sqlx::query(
                "DELETE FROM notification WHERE id IN (SELECT id FROM notification WHERE created_s < $1
                 AND state NOT IN ('waiting', 'sending', 'queued') ORDER BY created_s LIMIT $2)",
            );
            let portion = portion.bind(before_s).bind(i64::try_from(PORTION).unwrap_or(i64::MAX));
            if portion.execute(&self.pool).await?.rows_affected() < PORTION {
                return Ok(());
            }
        }
    }
}

pub(super) fn row(row: &SqliteRow) -> Result<Notification, sqlx::Error> {
    let word = |column: &str| row.try_get::<String, _>(column);
    let strange = |column: &str, word: &str| sqlx::Error::Decode(format!("{column} = {word:?}").into());
    let (channel, state) = (word("channel")?, word("state")?);
    Ok(Notification {
        id: row.try_get("id")?,
        created_s: row.try_get("created_s")?,
        updated_s: row.try_get("updated_s")?,
        scope: row.try_get("scope")?,
        asked: row.try_get("asked")?,
        word: row.try_get("word")?,
        recipient: row.try_get("recipient")?,
        organisation: row.try_get("organisation")?,
        channel: Channel::read(&channel).ok_or_else(|| strange("channel", &channel))?,
        sender: row.try_get("sender")?,
        target: row.try_get("target")?,
        text: row.try_get("text")?,
        state: State::read(&state).ok_or_else(|| strange("state", &state))?,
        reason: row.try_get("reason")?,
        code: row.try_get("code")?,
        message: row.try_get("message")?,
        is_doubtful: row.try_get::<i64, _>("doubtful")? != 0,
        tries: row.try_get("tries")?,
    })
}

impl State {
    pub(in crate::api::directory) const ALL: [Self; 7] =
        [Self::Waiting, Self::Sending, Self::Queued, Self::Sent, Self::Read, Self::Failed, Self::Skipped];
}

macro_rules! words {
    ($kind:ty { $($variant:ident = $word:literal),+ $(,)? }) => {
        impl $kind {
            /// The word.
            pub(in crate::api::directory) const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }

            /// The variant of a word.
            pub(in crate::api::directory) fn read(word: &str) -> Option<Self> {
                match word { $($word => Some(Self::$variant),)+ _ => None }
            }
        }
    };
}

words!(Channel { User = "user", Bot = "bot" });
words!(State {
    Waiting = "waiting",
    Sending = "sending",
    Queued = "queued",
    Sent = "sent",
    Read = "read",
    Failed = "failed",
    Skipped = "skipped",
});

#[cfg(test)]
pub(super) mod tests {
    use tgtrunk_config::StateDir;

    use super::*;
    use crate::api::directory::store::tests::store;

    pub(crate) fn new(key: Option<&str>) -> NewNotification {
        NewNotification {
            scope: "all".to_owned(),
            idem_key: key.map(str::to_owned),
            asked: "hello to Anna".to_owned(),
            recipient: None,
            organisation: None,
            channel: Channel::User,
            sender: Some("4100000001".to_owned()),
            target: "+79001112233".to_owned(),
            text: "hello".to_owned(),
            state: State::Waiting,
            reason: None,
        }
    }

    pub(crate) async fn add(store: &Store, new: &NewNotification, now_s: i64) -> (Notification, bool) {
        store.add_notification(new, now_s).await.unwrap().unwrap()
    }

    #[tokio::test]
    async fn a_key_gives_the_first_one_for_a_day_and_each_scope_has_its_own() {
        let (_room, store) = store().await;
        let (first, is_new) = add(&store, &new(Some("k")), 1_000).await;
        assert!(is_new);
        let again = add(&store, &new(Some("k")), 1_000 + KEYS_S - 1).await;
        assert_eq!(again, (first.clone(), false));
        assert_eq!(store.notification_by_key("all", "k", 2_000).await.unwrap(), Some(first.clone()));
        // The clock was a year ahead: what was asked for then says nothing of now.
        let (ahead, now_s) = (40_000_000, 5_000);
        let early = add(&store, &new(Some("early")), ahead).await.0;
        assert_eq!(store.notification_by_key("all", "early", ahead - SKEW_S).await.unwrap(), Some(early));
        assert_eq!(store.notification_by_key("all", "early", now_s).await.unwrap(), None);
        assert!(add(&store, &new(Some("early")), now_s).await.1);
        let other = NewNotification { scope: "4100000001".to_owned(), ..new(Some("k")) };
        assert!(add(&store, &other, 1_000).await.1);
        let (later, is_new) = add(&store, &new(Some("k")), 1_000 + KEYS_S).await;
        assert!(is_new && later.id != first.id);
        let mut words = std::collections::BTreeSet::from([first.word, later.word]);
        for _ in 0..2 {
            let (one, is_new) = add(&store, &new(None), 1_000).await;
            // A bot takes keys of up to 64 characters.
            assert!(is_new && one.word.len() >= 32 && one.word.len() <= 57);
            words.insert(one.word);
        }
        assert_eq!(words.len(), 4);
    }

    #[tokio::test]
    async fn so_many_are_open_at_most_and_all_that_are_old_are_forgotten() {
        let (_room, store) = store().await;
        let fill = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < $1)
            INSERT INTO notification (created_s, updated_s, scope, word, asked, channel, target, text, state, doubtful,
                tries, next_s) SELECT 1, 1, 'all', i, '', 'user', '', '', 'queued', 0, 0, 1 FROM n";
        sqlx::query(fill).bind(MOST_OPEN - 1).execute(&store.pool).await.unwrap();
        let (last, _) = add(&store, &new(Some("last")), 5_000).await;
        assert_eq!(store.add_notification(&new(None), 5_000).await.unwrap(), None);
        assert_eq!(add(&store, &new(Some("last")), 5_000).await, (last.clone(), false));
        let skipped = NewNotification { state: State::Skipped, ..new(None) };
        assert!(add(&store, &skipped, 5_000).await.1);
        sqlx::query("UPDATE notification SET state = 'sent' WHERE id < $1")
            .bind(last.id)
            .execute(&store.pool)
            .await
            .unwrap();
        assert!(add(&store, &new(None), 5_000).await.1);
        store.forget_notifications(5_000).await.unwrap();
        assert_eq!(store.notifications(i64::MAX, i64::MAX, None).await.unwrap().len(), 3);
    }

    #[tokio::test]
    async fn what_is_open_is_found_by_the_index_and_wherever_the_clock_was() {
        let (_room, store) = store().await;
        let plan = sqlx::query(sqlx::AssertSqlSafe(format!("EXPLAIN QUERY PLAN {OPEN}")))
            .bind(1)
            .fetch_all(&store.pool)
            .await;
        let plan: Vec<String> = plan.unwrap().iter().map(|row| row.try_get("detail").unwrap()).collect();
        let found: Vec<&String> = plan.iter().filter(|step| step.contains(" notification ")).collect();
        let by_index = "SEARCH notification USING INDEX notification_open (state=? AND next_s<?)";
        assert_eq!(found, [by_index, by_index], "{plan:?}");
        let ahead = "SEARCH older USING INDEX notification_ahead (target=? AND channel=? AND id<?)";
        assert!(plan.iter().any(|step| step == ahead), "{plan:?}");
        let (ahead, _) = add(&store, &new(None), 40_000_000).await;
        store.hurry_notifications(5_000, 40_000_000).await.unwrap();
        assert_eq!(store.open_notifications(5_000).await.unwrap(), []);
        store.hurry_notifications(5_000, 5_064).await.unwrap();
        assert_eq!(store.open_notifications(5_000).await.unwrap(), [ahead]);
    }

    #[tokio::test]
    async fn one_alone_hands_it_over_and_after_a_kill_it_is_doubtful() {
        let (room, store) = store().await;
        let (one, _) = add(&store, &new(None), 1_000).await;
        assert!(store.claim_notification(one.id).await.unwrap().is_some());
        assert_eq!(store.claim_notification(one.id).await.unwrap(), None);
        assert_eq!(store.open_notifications(5_000).await.unwrap(), []);
        assert_eq!(store.sending_notifications().await.unwrap(), [one.id]);
        store.return_notification(one.id, 5_000).await.unwrap();
        assert!(store.sending_notifications().await.unwrap().is_empty());
        assert_eq!(store.open_notifications(4_999).await.unwrap(), []);
        let given = store.claim_notification(one.id).await.unwrap();
        assert!(given.is_some_and(|given| given.is_doubtful));
        store.return_notification(one.id, 5_000).await.unwrap();
        store.return_notification(one.id, 9_000).await.unwrap();
        assert_eq!(store.open_notifications(5_000).await.unwrap().len(), 1);
        store.claim_notification(one.id).await.unwrap();
        store.close().await;
        let store = Store::open(&StateDir::at(room.path())).await.unwrap();
        let mut found = store.open_notifications(5_000).await.unwrap();
        assert!(found.len() == 1 && found[0].is_doubtful, "{found:?}");
        let mut one = found.remove(0);
        one.state = State::Queued;
        one.message = Some(1_700_000_000_001);
        store.note_notification(&one, 5_010).await.unwrap();
        assert!(store.is_notification("4100000001", 1_700_000_000_001).await.unwrap());
        assert!(!store.is_notification("4100000002", 1_700_000_000_001).await.unwrap());
        assert_eq!(store.open_notifications(5_009).await.unwrap(), []);
        store.forget_notifications(9_000).await.unwrap();
        assert_eq!(store.open_notifications(5_010).await.unwrap(), [one.clone()]);
        one.state = State::Sent;
        store.note_notification(&one, 0).await.unwrap();
        store.forget_notifications(9_000).await.unwrap();
        assert_eq!(store.notification(one.id).await.unwrap(), None);
    }
}
