//! Messages that are to be sent, and what operators were told by them.

use std::sync::atomic::Ordering;

use sqlx::{Row as _, SqliteConnection};
use tgtrunk_config::UserId;

use super::people::see;
use super::{Store, StoreError, number, user, whole};
use crate::notices::Trouble;
use crate::telegram::Person;

/// A message that is to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Letter {
    pub(crate) id: i64,
    pub(crate) to: UserId,
    pub(crate) text: String,
    pub(crate) button: Option<String>,
    pub(crate) made_ms: u64,
    /// Whether a program had it written, and asks what became of it.
    pub(crate) is_errand: bool,
}

impl Store {
    /// Notes a person who wrote, together with what they will be answered.
    pub(crate) async fn see_and_owe(
        &self,
        person: &Person,
        text: &str,
        button: Option<&str>,
        now_ms: u64,
    ) -> Result<Letter, StoreError> {
        let letter = self.letter(person.id, text, button, now_ms);
        let mut transaction = self.pool.begin().await?;
        see(&mut transaction, person, true, now_ms).await?;
        owe(&mut transaction, &letter).await?;
        transaction.commit().await?;
        Ok(letter)
    }

    /// What is not sent yet, the oldest first.
    pub(crate) async fn owed(&self) -> Result<Vec<Letter>, StoreError> {
        let rows = sqlx::query(
            "SELECT letter.*, EXISTS (SELECT 1 FROM errand WHERE errand.letter_id = letter.letter_id
                AND errand.state = 'waiting') AS is_errand FROM letter ORDER BY letter_id",
        );
        let rows = rows.fetch_all(&self.pool).await?;
        let mut owed = Vec::new();
        for row in rows {
            let Some(to) = user(&row, "user_id")? else { continue };
            owed.push(Letter {
                id: row.try_get("letter_id")?,
                to,
                text: row.try_get("text")?,
                button: row.try_get("button")?,
                made_ms: whole(&row, "made_ms")?,
                is_errand: row.try_get::<i64, _>("is_errand")? != 0,
            });
        }
        Ok(owed)
    }

    /// Notes that operators are told of a trouble or of its end, together with the messages that tell it.
    pub(crate) async fn tell(
        &self,
        trouble: &Trouble,
        over: bool,
        letters: &[(UserId, String)],
        now_ms: u64,
    ) -> Result<Vec<Letter>, StoreError> {
        let letters = letters.iter().map(|(to, text)| self.letter(*to, text, None, now_ms));
        let letters: Vec<Letter> = letters.collect();
        let mut transaction = self.pool.begin().await?;
        let note = if over {
            sqlx::query("DELETE FROM told WHERE trouble = $1").bind(trouble.to_word())
        } else {
            let note = "INSERT INTO told (trouble, at_ms) VALUES ($1, $2) ON CONFLICT (trouble) DO NOTHING";
            sqlx::query(note).bind(trouble.to_word()).bind(number(now_ms))
        };
        note.execute(&mut *transaction).await?;
        for letter in &letters {
            owe(&mut transaction, letter).await?;
        }
        transaction.commit().await?;
        Ok(letters)
    }

    /// The troubles that operators were told of and that are not over.
    pub(crate) async fn told(&self) -> Result<Vec<Trouble>, StoreError> {
        let rows = sqlx::query("SELECT trouble FROM told").fetch_all(&self.pool).await?;
        let words: Result<Vec<String>, _> = rows.iter().map(|row| row.try_get(0)).collect();
        Ok(words?.iter().filter_map(|word| Trouble::from_word(word)).collect())
    }

    pub(super) fn letter(&self, to: UserId, text: &str, button: Option<&str>, made_ms: u64) -> Letter {
        let id = self.last_letter.fetch_add(1, Ordering::Relaxed) + 1;
        let (text, button) = (text.to_owned(), button.map(str::to_owned));
        Letter { id, to, text, button, made_ms, is_errand: false }
    }
}

pub(super) async fn owe(connection: &mut SqliteConnection, letter: &Letter) -> Result<(), sqlx::Error> {
    sqlx::query("INSERT INTO letter (letter_id, user_id, text, button, made_ms) VALUES ($1, $2, $3, $4, $5)")
        .bind(letter.id)
        .bind(letter.to.number())
        .bind(&letter.text)
        .bind(&letter.button)
        .bind(number(letter.made_ms))
        .execute(connection)
        .await
        .map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Outcome;
    use crate::store::people::tests::person;
    use crate::store::tests::store;

    #[tokio::test]
    async fn what_is_owed_outlives_the_program_and_is_sent_in_order() {
        let (room, store) = store().await;
        let first = store.see_and_owe(&person(5, None), "one", Some("b"), 1).await.unwrap();
        let told = store.tell(&Trouble::Gateway, false, &[(first.to, "two".into())], 2).await.unwrap();
        store.close().await;
        let store = Store::open(&room.path().join("bot.db")).await.unwrap();
        assert_eq!(store.owed().await.unwrap(), [first.clone(), told[0].clone()]);
        assert_eq!(store.told().await.unwrap(), [Trouble::Gateway]);
        store.conclude(first.id, &Outcome::Sent(None)).await.unwrap();
        let third = store.tell(&Trouble::Gateway, true, &[(first.to, "three".into())], 3).await.unwrap();
        assert!(third[0].id > told[0].id);
        assert_eq!(store.owed().await.unwrap(), [told[0].clone(), third[0].clone()]);
        assert_eq!(store.told().await.unwrap(), []);
    }
}
