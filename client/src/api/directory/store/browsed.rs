//! Notifications as the operator looks through them: by how far they are, and sent again or given up by hand.

use sqlx::Row as _;
use tgtrunk_messages::Token;

use super::notifications::row;
use super::{MOST_OPEN, Notification, State, Store, StoreError};

const ALL: &str = "SELECT * FROM notification WHERE id < $1 ORDER BY id DESC LIMIT $2";
const COUNT: &str = "SELECT COUNT(*) FROM (SELECT 1 FROM notification WHERE state = $1 LIMIT $2)";

/// Those of each of some states in the order of an index, and the latest of all these.
fn of_states(states: &[State]) -> String {
    let of_one = |state: &State| {
        let word = state.as_str();
        format!(
            "SELECT * FROM (SELECT * FROM notification WHERE state = '{word}' AND id < $1 ORDER BY id DESC LIMIT $2)"
        )
    };
    let each: Vec<String> = states.iter().map(of_one).collect();
    match each.is_empty() {
        true => ALL.to_owned(),
        false => format!("{} ORDER BY id DESC LIMIT $2", each.join(" UNION ALL ")),
    }
}

impl Store {
    /// Those before a number that are this far, or all, the latest first.
    pub(in crate::api::directory) async fn browse_notifications(
        &self,
        before: i64,
        limit: i64,
        states: &[State],
    ) -> Result<Vec<Notification>, StoreError> {
        let rows = sqlx::query(sqlx::AssertSqlSafe(of_states(states))).bind(before).bind(limit);
        let rows = rows.fetch_all(&self.pool).await?;
        Ok(rows.iter().map(row).collect::<Result<_, _>>()?)
    }

    /// How many are how far; of each state no more than `most` are counted.
    pub(in crate::api::directory) async fn count_notifications(
        &self,
        most: i64,
    ) -> Result<Vec<(State, u64)>, StoreError> {
        let mut counts = Vec::with_capacity(State::ALL.len());
        for state in State::ALL {
            let row = sqlx::query(COUNT).bind(state.as_str()).bind(most).fetch_one(&self.pool).await?;
            counts.push((state, u64::try_from(row.try_get::<i64, _>(0)?).unwrap_or_default()));
        }
        Ok(counts)
    }

    /// Has one that was not sent wait anew for a sender, as one that nobody was told of; false where it is not so, or too
    /// many are open.
    pub(in crate::api::directory) async fn repeat_notification(
        &self,
        id: i64,
        sender: Option<&str>,
        now_s: i64,
    ) -> Result<bool, StoreError> {
        // A bot remembers what became of a word, so it hears of another one.
        let query = sqlx::query(
            "UPDATE notification SET state = 'waiting', created_s = $2, updated_s = $2, next_s = $2, word = $3,
                sender = $5, reason = NULL, code = NULL, message = NULL, doubtful = 0, tries = 0
             WHERE id = $1 AND (state = 'failed' OR (state = 'skipped' AND recipient IS NOT NULL))
                AND (SELECT COUNT(*) FROM notification WHERE state IN ('waiting', 'sending', 'queued')) < $4",
        );
        let query =
            query.bind(id).bind(now_s).bind(Token::new().reveal().to_owned()).bind(MOST_OPEN).bind(sender);
        Ok(query.execute(&self.pool).await?.rows_affected() > 0)
    }

    /// Gives up one that nobody is handing over; false where somebody is. `doubt` is the reason of one that a process which
    /// was killed may have handed over.
    pub(in crate::api::directory) async fn skip_notification(
        &self,
        id: i64,
        reason: &str,
        doubt: &str,
        now_s: i64,
    ) -> Result<bool, StoreError> {
        let query = sqlx::query(
            "UPDATE notification SET state = 'skipped', reason = CASE doubtful WHEN 0 THEN $2 ELSE $4 END, updated_s = $3
             WHERE id = $1 AND state = 'waiting'",
        );
        Ok(query.bind(id).bind(reason).bind(now_s).bind(doubt).execute(&self.pool).await?.rows_affected() > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Channel, NewNotification};
    use super::*;
    use crate::api::directory::store::tests::store;

    async fn add(store: &Store, state: State, recipient: Option<i64>) -> Notification {
        let new = NewNotification {
            scope: "all".to_owned(),
            idem_key: None,
            asked: "hello".to_owned(),
            recipient,
            organisation: Some(1),
            channel: Channel::Bot,
            sender: None,
            target: "5".to_owned(),
            text: "hello".to_owned(),
            state: if state == State::Skipped { state } else { State::Waiting },
            reason: None,
        };
        let (mut one, _) = store.add_notification(&new, 1_000).await.unwrap().unwrap();
        if one.state != state {
            (one.state, one.code) = (state, Some("internal".to_owned()));
            store.note_notification(&one, 9_000).await.unwrap();
        }
        one
    }

    #[tokio::test]
    async fn those_of_a_kind_are_found_the_latest_first_and_counted() {
        let (_room, store) = store().await;
        let waiting = add(&store, State::Waiting, None).await.id;
        let failed = add(&store, State::Failed, None).await.id;
        let sent = add(&store, State::Sent, None).await.id;
        let found = async |before, limit, states: &[State]| {
            let found = store.browse_notifications(before, limit, states).await.unwrap();
            found.iter().map(|one| one.id).collect::<Vec<_>>()
        };
        assert_eq!(found(i64::MAX, 10, &[]).await, [sent, failed, waiting]);
        assert_eq!(found(i64::MAX, 10, &[State::Failed, State::Skipped]).await, [failed]);
        assert_eq!(found(i64::MAX, 2, &[State::Waiting, State::Failed, State::Sent]).await, [sent, failed]);
        assert_eq!(found(failed, 10, &[State::Waiting, State::Failed, State::Sent]).await, [waiting]);
        assert_eq!(found(failed, 10, &[]).await, [waiting]);
        add(&store, State::Failed, None).await;
        let counts = store.count_notifications(10).await.unwrap();
        assert!(counts.contains(&(State::Failed, 2)) && counts.contains(&(State::Waiting, 1)), "{counts:?}");
        assert!(store.count_notifications(1).await.unwrap().contains(&(State::Failed, 1)));
    }

    #[tokio::test]
    async fn no_look_reads_more_of_the_table_than_it_shows() {
        let (_room, store) = store().await;
        let asked = [
            (ALL.to_owned(), 1),
            (of_states(&[State::Waiting, State::Sending, State::Queued]), 3),
            (of_states(&[State::Sent, State::Read]), 2),
            (COUNT.to_owned(), 1),
            (super::super::notifications::OF_LINE.to_owned(), 2),
        ];
        for (query, searches) in asked {
            let text = sqlx::AssertSqlSafe(format!("EXPLAIN QUERY PLAN {query}"));
            let rows = sqlx::query(text).bind(1).bind(1).bind("x").fetch_all(&store.pool).await.unwrap();
            let plan: Vec<String> = rows.iter().map(|row| row.get("detail")).collect();
            let by_index = |step: &&String| {
                let is_keyed = step.contains("(rowid<?)") || step.contains("=? AND id<?)");
                let is_counted = step.contains("COVERING INDEX notification_") && step.contains("(state=?)");
                step.starts_with("SEARCH notification ") && (is_keyed || is_counted)
            };
            assert_eq!(plan.iter().filter(by_index).count(), searches, "{query}: {plan:#?}");
            assert!(plan.iter().all(|step| !step.starts_with("SCAN notification")), "{query}: {plan:#?}");
        }
    }

    #[tokio::test]
    async fn what_was_not_sent_waits_anew_under_another_word_and_what_waits_is_given_up() {
        let (_room, store) = store().await;
        let failed = add(&store, State::Failed, None).await;
        assert!(store.repeat_notification(failed.id, Some("4100000001"), 5_000).await.unwrap());
        let again = store.notification(failed.id).await.unwrap().unwrap();
        assert_eq!(
            (again.state, again.created_s, &again.code, again.tries),
            (State::Waiting, 5_000, &None, 0)
        );
        assert_ne!(again.word, failed.word);
        assert_eq!((failed.sender.as_deref(), again.sender.as_deref()), (None, Some("4100000001")));
        assert!(
            !store.repeat_notification(failed.id, Some("4100000001"), 5_000).await.unwrap(),
            "it waits already"
        );
        assert!(store.skip_notification(failed.id, "why", "perhaps", 6_000).await.unwrap());
        let given_up = store.notification(failed.id).await.unwrap().unwrap();
        assert_eq!((given_up.state, given_up.reason.as_deref()), (State::Skipped, Some("why")));
        // Whoever is switched off and not known by number stays so.
        assert!(!store.repeat_notification(failed.id, None, 7_000).await.unwrap());
        let known = add(&store, State::Skipped, Some(3)).await.id;
        assert!(store.repeat_notification(known, None, 7_000).await.unwrap());
        store.claim_notification(known).await.unwrap();
        assert!(
            !store.skip_notification(known, "why", "perhaps", 8_000).await.unwrap(),
            "it is being handed over"
        );
        // Nobody knows what became of it, and its sender does not come back.
        store.return_notification(known, 9_000).await.unwrap();
        assert!(store.skip_notification(known, "why", "perhaps", 8_000).await.unwrap());
        let given_up = store.notification(known).await.unwrap().unwrap();
        assert_eq!((given_up.state, given_up.reason.as_deref()), (State::Skipped, Some("perhaps")));
    }
}
