//! Whose turn it is: what goes to one person by one way goes in the order in which it was asked for.

use super::notifications::{Notification, row};
use super::{Store, StoreError};

/// That `older` goes to the same person by the same way as `notification`. Which bot it will be depends on the organisation,
/// or on who asks.
macro_rules! alike {
    () => {
        "older.target = notification.target AND older.channel = notification.channel
         AND ((older.channel = 'user' AND older.sender = notification.sender)
             OR (older.channel = 'bot' AND COALESCE(older.organisation, 0) = COALESCE(notification.organisation, 0)
                 AND (older.organisation IS NOT NULL OR older.scope = notification.scope)))"
    };
}

/// That nothing waits that was asked for before and goes the same way: people get theirs in the order of asking.
macro_rules! is_first {
    () => {
        concat!(
            "NOT EXISTS (SELECT 1 FROM notification AS older WHERE older.state IN ('waiting', 'sending')
             AND older.id < notification.id AND ",
            alike!(),
            ")"
        )
    };
}

/// Those that are not done and whose time and turn has come.
pub(super) const OPEN: &str = concat!(
    "SELECT * FROM (SELECT * FROM notification WHERE state = 'waiting' AND next_s <= $1 AND ",
    is_first!(),
    " ORDER BY next_s, id LIMIT 200)
     UNION ALL SELECT * FROM (SELECT * FROM notification WHERE state = 'queued' AND next_s <= $1
     ORDER BY next_s, id LIMIT 200) ORDER BY next_s, id LIMIT 200"
);

/// The first of those that wait and go the way of another.
const AHEAD: &str = concat!(
    "SELECT older.* FROM notification JOIN notification AS older ON ",
    alike!(),
    " AND older.id < notification.id
     WHERE notification.id = $1 AND older.state IN ('waiting', 'sending') ORDER BY older.id LIMIT 1"
);

/// The first of those that wait behind another.
const BEHIND: &str = concat!(
    "SELECT notification.* FROM notification AS older JOIN notification ON ",
    alike!(),
    " AND notification.id > older.id
     WHERE older.id = $1 AND notification.state IN ('waiting', 'sending') ORDER BY notification.id LIMIT 1"
);

impl Store {
    /// Whoever claims one that waits hands it over, as it is now; none if somebody else does, or it was, or an older one of the
    /// same person waits.
    pub(in crate::api::directory) async fn claim_notification(
        &self,
        id: i64,
    ) -> Result<Option<Notification>, StoreError> {
        let claim = sqlx::query(concat!(
            "UPDATE notification SET state = 'sending' WHERE id = $1 AND state = 'waiting' AND ",
            is_first!(),
            " RETURNING *"
        ));
        Ok(claim.bind(id).fetch_optional(&self.pool).await?.as_ref().map(row).transpose()?)
    }

    /// The one that goes first to the person of another one; none where that is first itself.
    pub(in crate::api::directory) async fn ahead_of(
        &self,
        id: i64,
    ) -> Result<Option<Notification>, StoreError> {
        let found = sqlx::query(AHEAD).bind(id).fetch_optional(&self.pool).await?;
        Ok(found.as_ref().map(row).transpose()?)
    }

    /// The one that goes next to the person of another one.
    pub(in crate::api::directory) async fn behind(
        &self,
        id: i64,
    ) -> Result<Option<Notification>, StoreError> {
        let found = sqlx::query(BEHIND).bind(id).fetch_optional(&self.pool).await?;
        Ok(found.as_ref().map(row).transpose()?)
    }

    /// Notes that one waits for another, which is looked at now.
    pub(in crate::api::directory) async fn put_behind(
        &self,
        id: i64,
        reason: &str,
        ahead: i64,
        now_s: i64,
    ) -> Result<(), StoreError> {
        let mut transaction = self.pool.begin().await?;
        let note = sqlx::query("UPDATE notification SET reason = $2 WHERE id = $1 AND state = 'waiting'");
        note.bind(id).bind(reason).execute(&mut *transaction).await?;
        let hurry = "UPDATE notification SET next_s = $2 WHERE id = $1 AND state = 'waiting' AND next_s > $2";
        sqlx::query(hurry).bind(ahead).bind(now_s).execute(&mut *transaction).await?;
        Ok(transaction.commit().await?)
    }
}

#[cfg(test)]
mod tests {
    use crate::api::directory::store::notifications::tests::{add, new};
    use crate::api::directory::store::tests::store;
    use crate::api::directory::store::{Channel, NewNotification, State};

    #[tokio::test]
    async fn people_get_theirs_one_after_another_and_wait_for_nobody_elses() {
        let (_room, store) = store().await;
        let by_bot = |organisation: i64| NewNotification {
            channel: Channel::Bot,
            sender: None,
            target: "500".to_owned(),
            organisation: Some(organisation),
            ..new(None)
        };
        let other = NewNotification { sender: Some("4100000002".to_owned()), ..new(None) };
        let mut added = Vec::new();
        for new in [new(None), new(None), other, by_bot(1), by_bot(1), by_bot(2)] {
            added.push(add(&store, &new, 1_000).await.0);
        }
        let open = async || -> Vec<i64> {
            store.open_notifications(2_000).await.unwrap().iter().map(|one| one.id - added[0].id).collect()
        };
        assert_eq!(open().await, [0, 2, 3, 5]);
        // The first is tried again in a minute: the second does not go meanwhile.
        let mut first = store.claim_notification(added[0].id).await.unwrap().unwrap();
        assert_eq!(store.claim_notification(added[1].id).await.unwrap(), None);
        first.state = State::Waiting;
        store.note_notification(&first, 2_060).await.unwrap();
        assert_eq!(store.claim_notification(added[1].id).await.unwrap(), None);
        assert_eq!(open().await, [2, 3, 5]);
        assert_eq!(store.ahead_of(added[1].id).await.unwrap().unwrap().id, first.id);
        assert_eq!(store.behind(first.id).await.unwrap().unwrap().id, added[1].id);
        store.put_behind(added[1].id, "after another", first.id, 2_000).await.unwrap();
        assert_eq!(open().await, [2, 3, 5, 0]);
        assert_eq!(
            store.notification(added[1].id).await.unwrap().unwrap().reason.as_deref(),
            Some("after another")
        );
        // Whichever bot it was that took the first: the next is the next.
        for (place, sender) in [(0, Some("4100000001")), (3, Some("acme_bot"))] {
            let mut done = store.claim_notification(added[place].id).await.unwrap().unwrap();
            (done.state, done.sender) = (State::Queued, sender.map(str::to_owned));
            store.note_notification(&done, 9_000).await.unwrap();
            assert_eq!(store.ahead_of(added[place + 1].id).await.unwrap(), None);
            assert_eq!(store.behind(done.id).await.unwrap().unwrap().id, added[place + 1].id);
        }
        assert_eq!(open().await, [1, 2, 4, 5]);
    }
}
