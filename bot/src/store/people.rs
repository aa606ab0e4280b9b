//! People who came near the bot: their names, languages and keys, and whether they block it.

use std::collections::BTreeMap;

use sqlx::{Row as _, SqliteConnection};
use tgtrunk_config::{Language, UserId};

use super::{Store, StoreError, language, number, user, whole};
use crate::telegram::Person;

/// A person who came near the bot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) id: UserId,
    pub(crate) name: String,
    pub(crate) username: Option<String>,
    pub(crate) language: Option<Language>,
    pub(crate) first_ms: u64,
    pub(crate) last_ms: u64,
    pub(crate) blocked: bool,
}

impl Store {
    /// Notes people, and that they wrote to the bot if they `wrote`; whoever writes does not block it.
    pub(crate) async fn see(&self, people: &[Person], wrote: bool, now_ms: u64) -> Result<(), StoreError> {
        let mut transaction = self.pool.begin().await?;
        for person in people {
            see(&mut transaction, person, wrote, now_ms).await?;
        }
        Ok(transaction.commit().await?)
    }

    /// Notes whether a person blocks the bot.
    pub(crate) async fn block(&self, person: UserId, blocked: bool) -> Result<(), StoreError> {
        let query = sqlx::query("UPDATE person SET blocked = $1 WHERE user_id = $2");
        query.bind(i64::from(blocked)).bind(person.number()).execute(&self.pool).await?;
        Ok(())
    }

    /// Those who wrote to the bot, the latest first.
    pub(crate) async fn seen(&self) -> Result<Vec<Seen>, StoreError> {
        let rows = sqlx::query("SELECT * FROM person WHERE wrote = 1 ORDER BY last_ms DESC");
        let mut seen = Vec::new();
        for row in rows.fetch_all(&self.pool).await? {
            let Some(id) = user(&row, "user_id")? else { continue };
            seen.push(Seen {
                id,
                name: row.try_get("name")?,
                username: row.try_get("username")?,
                language: language(&row)?,
                first_ms: whole(&row, "first_ms")?,
                last_ms: whole(&row, "last_ms")?,
                blocked: row.try_get::<i64, _>("blocked")? != 0,
            });
        }
        Ok(seen)
    }

    /// The number, the name and the username of the person who came near the bot last under a username.
    pub(crate) async fn person_called(
        &self,
        username: &str,
    ) -> Result<Option<(i64, String, String)>, StoreError> {
        let row = sqlx::query(
            "SELECT user_id, name, username FROM person WHERE LOWER(username) = LOWER($1) ORDER BY last_ms DESC LIMIT 1",
        );
        let row = row.bind(username).fetch_optional(&self.pool).await?;
        Ok(row
            .map(|row| Ok::<_, sqlx::Error>((row.try_get(0)?, row.try_get(1)?, row.try_get(2)?)))
            .transpose()?)
    }

    /// The languages of all people of whom one is known.
    pub(crate) async fn languages(&self) -> Result<BTreeMap<UserId, Language>, StoreError> {
        let rows = sqlx::query("SELECT user_id, language FROM person WHERE language IS NOT NULL");
        let mut languages = BTreeMap::new();
        for row in rows.fetch_all(&self.pool).await? {
            if let (Some(id), Some(language)) = (user(&row, "user_id")?, language(&row)?) {
                languages.insert(id, language);
            }
        }
        Ok(languages)
    }
}

/// Notes one person. Whoever writes does not block the bot.
pub(super) async fn see(
    connection: &mut SqliteConnection,
    person: &Person,
    wrote: bool,
    now_ms: u64,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO person (user_id, name, username, language, first_ms, last_ms, wrote, blocked)
         VALUES ($1, $2, $3, $4, $5, $5, $6, 0)
         ON CONFLICT (user_id) DO UPDATE SET name = excluded.name, username = excluded.username,
            language = COALESCE(excluded.language, person.language), last_ms = excluded.last_ms,
            wrote = CASE WHEN excluded.wrote = 1 THEN 1 ELSE person.wrote END,
            blocked = CASE WHEN excluded.wrote = 1 THEN 0 ELSE person.blocked END",
    )
    .bind(person.id.number())
    .bind(&person.name)
    .bind(&person.username)
    .bind(person.language.map(Language::as_str))
    .bind(number(now_ms))
    .bind(i64::from(wrote))
    .execute(connection)
    .await
    .map(drop)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::store::tests::store;

    #[tokio::test]
    async fn people_keep_what_is_known_of_them_and_unblock_by_writing() {
        let (_room, store) = store().await;
        store.see(&[person(5, None)], false, 100).await.unwrap();
        assert_eq!(store.seen().await.unwrap(), []);
        let anna = person(5, Some(Language::Russian));
        store.see_and_owe(&anna, "hello", Some("My key"), 200).await.unwrap();
        store.see(&[person(5, None)], false, 300).await.unwrap();
        store.block(anna.id, true).await.unwrap();
        let seen = store.seen().await.unwrap();
        assert_eq!((seen[0].first_ms, seen[0].last_ms, seen[0].blocked), (100, 300, true));
        assert_eq!(seen[0].language, Some(Language::Russian));
        assert_eq!(store.languages().await.unwrap()[&anna.id], Language::Russian);
        store.see(&[anna], true, 400).await.unwrap();
        assert!(!store.seen().await.unwrap()[0].blocked);
    }

    pub(crate) fn person(id: i64, language: Option<Language>) -> Person {
        Person {
            id: UserId::new(id).unwrap(), name: "Анна".into(), username: Some("anna".into()), language
        }
    }
}
