//! Messages that programs have the bot write, each under a key of the program's, so that nobody is written to twice.

use sha2::{Digest as _, Sha256};
use sqlx::sqlite::SqliteRow;
use sqlx::{Row as _, SqliteConnection};
use tgtrunk_config::UserId;
use tgtrunk_config::control::{LetterInfo, LetterState};

use super::letters::owe;
use super::{Letter, Store, StoreError, number};

/// How long it is remembered what became of one.
const MEMORY_MS: i64 = 30 * 24 * 3_600_000;
/// Most that wait, and most of one person: programs keep the others until there is room.
const MOST: i64 = 256;
const MOST_OF_ONE: i64 = 32;

/// What was made of a program's wish.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    /// It is on the disk, and to be sent.
    New(Letter),
    /// It was there already: this became of it.
    Known(LetterInfo),
    /// The key is another message's.
    Other,
    /// The bot knows nobody with this key.
    Stranger,
    /// So many wait already.
    Full,
}

/// What came of trying to send a letter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Telegram has it; its number there, if that was told.
    Sent(Option<i32>),
    /// It is given up.
    Failed {
        /// Why.
        reason: String,
        /// Whether the person has blocked the bot.
        is_blocked: bool,
    },
}

impl Store {
    /// Takes a message that a program wants written.
    pub(crate) async fn take_errand(
        &self,
        person: UserId,
        text: &str,
        key: &str,
        now_ms: u64,
    ) -> Result<Taken, StoreError> {
        let mut transaction = self.pool.begin().await?;
        let known = sqlx::query("SELECT * FROM errand WHERE key = $1").bind(key);
        let text_sha256 = hex::encode(Sha256::digest(text));
        if let Some(row) = known.fetch_optional(&mut *transaction).await? {
            let is_same = row.try_get::<i64, _>("user_id")? == person.number()
                && row.try_get::<String, _>("text_sha256")? == text_sha256;
            return Ok(if is_same { Taken::Known(info(&row)?) } else { Taken::Other });
        }
        let seen = sqlx::query("SELECT 1 FROM person WHERE user_id = $1 AND wrote = 1").bind(person.number());
        if seen.fetch_optional(&mut *transaction).await?.is_none() {
            return Ok(Taken::Stranger);
        }
        let (all, of_one) = waiting(&mut transaction, person).await?;
        if all >= MOST || of_one >= MOST_OF_ONE {
            return Ok(Taken::Full);
        }
        let letter = Letter { is_errand: true, ..self.letter(person, text, None, now_ms) };
        owe(&mut transaction, &letter).await?;
        sqlx::query(
            "INSERT INTO errand (key, user_id, letter_id, state, blocked, made_ms, text_sha256)
             VALUES ($1, $2, $3, 'waiting', 0, $4, $5)",
        )
        .bind(key)
        .bind(person.number())
        .bind(letter.id)
        .bind(number(now_ms))
        .bind(text_sha256)
        .execute(&mut *transaction)
        .await?;
        let old = number(now_ms).saturating_sub(MEMORY_MS);
        let forget = sqlx::query("DELETE FROM errand WHERE made_ms < $1 AND state <> 'waiting'").bind(old);
        forget.execute(&mut *transaction).await?;
        transaction.commit().await?;
        Ok(Taken::New(letter))
    }

    /// Notes why a letter is not sent yet, where a program asks for it.
    pub(crate) async fn waits(&self, letter: i64, reason: &str) -> Result<(), StoreError> {
        sqlx::query("UPDATE errand SET reason = $2 WHERE letter_id = $1 AND state = 'waiting'")
            .bind(letter)
            .bind(reason)
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    /// A letter is sent, or never will be.
    pub(crate) async fn conclude(&self, letter: i64, outcome: &Outcome) -> Result<(), StoreError> {
        let (state, message, reason, is_blocked) = match outcome {
            Outcome::Sent(message) => ("sent", *message, None, false),
            Outcome::Failed { reason, is_blocked } => ("failed", None, Some(reason.as_str()), *is_blocked),
        };
        let mut transaction = self.pool.begin().await?;
        sqlx::query("DELETE FROM letter WHERE letter_id = $1")
            .bind(letter)
            .execute(&mut *transaction)
            .await?;
        // Numbers of letters come again after a restart; of those that wait each is one letter's.
        sqlx::query(
            "UPDATE errand SET state = $2, message = $3, reason = $4, blocked = $5
             WHERE letter_id = $1 AND state = 'waiting'",
        )
        .bind(letter)
        .bind(state)
        .bind(message)
        .bind(reason)
        .bind(i64::from(is_blocked))
        .execute(&mut *transaction)
        .await?;
        Ok(transaction.commit().await?)
    }
}

/// How many wait in all, and of one person.
async fn waiting(connection: &mut SqliteConnection, person: UserId) -> Result<(i64, i64), sqlx::Error> {
    let row = sqlx::query(
        "SELECT COUNT(*), COALESCE(SUM(CASE WHEN user_id = $1 THEN 1 ELSE 0 END), 0)
         FROM errand WHERE state = 'waiting'",
    );
    let row = row.bind(person.number()).fetch_one(connection).await?;
    Ok((row.try_get(0)?, row.try_get(1)?))
}

fn info(row: &SqliteRow) -> Result<LetterInfo, sqlx::Error> {
    let state = match row.try_get::<String, _>("state")?.as_str() {
        "sent" => LetterState::Sent,
        "failed" => LetterState::Failed,
        _ => LetterState::Waiting,
    };
    Ok(LetterInfo {
        state,
        message: row.try_get("message")?,
        reason: row.try_get("reason")?,
        blocked: row.try_get::<i64, _>("blocked")? != 0,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::people::tests::person;
    use crate::store::tests::store;

    #[tokio::test]
    async fn a_key_is_written_under_once_and_what_became_of_it_is_told_after_a_restart() {
        let (room, store) = store().await;
        let anna = person(5, None);
        assert_eq!(store.take_errand(anna.id, "hello", "k1", 1).await.unwrap(), Taken::Stranger);
        store.see(std::slice::from_ref(&anna), true, 1).await.unwrap();
        let Taken::New(letter) = store.take_errand(anna.id, "hello", "k1", 2).await.unwrap() else {
            panic!()
        };
        assert_eq!(store.owed().await.unwrap(), std::slice::from_ref(&letter));
        store.waits(letter.id, "no network").await.unwrap();
        store.close().await;
        let store = Store::open(&room.path().join("bot.db")).await.unwrap();
        let known = async |key: &str| store.take_errand(anna.id, "hello", key, 3).await.unwrap();
        let waiting = LetterInfo {
            state: LetterState::Waiting,
            message: None,
            reason: Some("no network".into()),
            blocked: false,
        };
        assert_eq!(known("k1").await, Taken::Known(waiting));
        // What became of one message is never told of another.
        assert_eq!(store.take_errand(anna.id, "other", "k1", 3).await.unwrap(), Taken::Other);
        let boris = person(6, None);
        store.see(std::slice::from_ref(&boris), true, 1).await.unwrap();
        assert_eq!(store.take_errand(boris.id, "hello", "k1", 3).await.unwrap(), Taken::Other);
        store.conclude(letter.id, &Outcome::Sent(Some(77))).await.unwrap();
        assert_eq!(store.owed().await.unwrap(), []);
        let sent = LetterInfo { state: LetterState::Sent, message: Some(77), reason: None, blocked: false };
        assert_eq!(known("k1").await, Taken::Known(sent.clone()));
        // Another letter with the same number, as after a restart, changes nothing of the first.
        let Taken::New(second) = known("k2").await else { panic!() };
        let gone = Outcome::Failed { reason: "blocked".into(), is_blocked: true };
        store.conclude(second.id, &gone).await.unwrap();
        assert_eq!(known("k1").await, Taken::Known(sent));
        let Taken::Known(failed) = known("k2").await else { panic!() };
        assert!(failed.blocked && failed.state == LetterState::Failed, "{failed:?}");
    }

    #[tokio::test]
    async fn so_many_wait_at_most_and_the_old_ones_are_forgotten() {
        let (_room, store) = store().await;
        for id in 1..=9 {
            store.see(&[person(id, None)], true, 1).await.unwrap();
        }
        let id = |id| UserId::new(id).unwrap();
        let mut letters = Vec::new();
        for number in 0..MOST_OF_ONE {
            match store.take_errand(id(1), "x", &format!("one {number}"), 1).await.unwrap() {
                Taken::New(letter) => letters.push(letter),
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(store.take_errand(id(1), "x", "one more", 1).await.unwrap(), Taken::Full);
        for number in MOST_OF_ONE..MOST {
            let person = id(2 + number % 8);
            let taken = store.take_errand(person, "x", &format!("all {number}"), 1).await.unwrap();
            assert!(matches!(taken, Taken::New(_)), "{number}: {taken:?}");
        }
        assert_eq!(store.take_errand(id(9), "x", "all more", 1).await.unwrap(), Taken::Full);
        for letter in letters {
            store.conclude(letter.id, &Outcome::Sent(None)).await.unwrap();
        }
        let later = 2 + 30 * 24 * 3_600_000;
        assert!(matches!(store.take_errand(id(1), "x", "new", later).await.unwrap(), Taken::New(_)));
        assert!(matches!(store.take_errand(id(1), "x", "one 0", later).await.unwrap(), Taken::New(_)));
    }
}
