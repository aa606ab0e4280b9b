//! Call-backs that are under way.

use sqlx::Row as _;
use tgtrunk_config::{CallId, Language, Phone, UserId};

use super::{Store, StoreError, language, number, user, whole};

/// A call-back that is under way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Asked {
    pub(crate) person: UserId,
    pub(crate) name: String,
    pub(crate) line: Phone,
    /// The message with the button, if it can be edited.
    pub(crate) message: Option<String>,
    pub(crate) language: Language,
    pub(crate) asked_ms: u64,
    /// How often the gateway was asked for the call.
    pub(crate) tries: u32,
    /// The call, once the gateway has it.
    pub(crate) call: Option<CallId>,
    /// Whether both talked.
    pub(crate) talked: bool,
}

impl Store {
    /// Writes a call-back as it is now, with the press that asked for it.
    pub(crate) async fn ask(&self, asked: &Asked) -> Result<(), StoreError> {
        sqlx::query(
            "INSERT INTO call_back (user_id, line, name, message, language, asked_ms, tries, call_id, talked)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
             ON CONFLICT (user_id) DO UPDATE SET line = excluded.line, name = excluded.name,
                message = excluded.message, language = excluded.language, asked_ms = excluded.asked_ms,
                tries = excluded.tries, call_id = excluded.call_id, talked = excluded.talked",
        )
        .bind(asked.person.number())
        .bind(asked.line.as_str())
        .bind(&asked.name)
        .bind(&asked.message)
        .bind(asked.language.as_str())
        .bind(number(asked.asked_ms))
        .bind(i64::from(asked.tries))
        .bind(asked.call.map(|call| call.to_string()))
        .bind(i64::from(asked.talked))
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// A call-back is over.
    pub(crate) async fn answered(&self, person: UserId) -> Result<(), StoreError> {
        sqlx::query("DELETE FROM call_back WHERE user_id = $1")
            .bind(person.number())
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    /// The call-backs that are under way.
    pub(crate) async fn asked(&self) -> Result<Vec<Asked>, StoreError> {
        let rows = sqlx::query("SELECT * FROM call_back ORDER BY asked_ms").fetch_all(&self.pool).await?;
        let mut asked = Vec::new();
        for row in rows {
            let line: String = row.try_get("line")?;
            let call: Option<String> = row.try_get("call_id")?;
            let (Some(person), Ok(line)) = (user(&row, "user_id")?, line.parse()) else { continue };
            asked.push(Asked {
                person,
                name: row.try_get("name")?,
                line,
                message: row.try_get("message")?,
                language: language(&row)?.unwrap_or_default(),
                asked_ms: whole(&row, "asked_ms")?,
                tries: u32::try_from(row.try_get::<i64, _>("tries")?).unwrap_or(u32::MAX),
                call: call.and_then(|call| call.parse().ok()),
                talked: row.try_get::<i64, _>("talked")? != 0,
            });
        }
        Ok(asked)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::tests::store;

    #[tokio::test]
    async fn a_call_back_is_one_row_a_person_until_it_is_over() {
        let (_room, store) = store().await;
        let mut asked = asked();
        store.ask(&asked).await.unwrap();
        (asked.tries, asked.call, asked.talked) = (1, Some(CallId(0xa1)), true);
        store.ask(&asked).await.unwrap();
        assert_eq!(store.asked().await.unwrap(), [asked.clone()]);
        store.answered(asked.person).await.unwrap();
        assert_eq!(store.asked().await.unwrap(), []);
    }

    fn asked() -> Asked {
        Asked {
            person: UserId::new(5).unwrap(),
            name: "Анна".into(),
            line: "+79060000000".parse().unwrap(),
            message: Some("AgAB".into()),
            language: Language::Russian,
            asked_ms: 1,
            tries: 0,
            call: None,
            talked: false,
        }
    }
}
