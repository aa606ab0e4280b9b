//! Call-backs that are under way, or whose outcome is not shown yet.

use sqlx::Row as _;
use tgtrunk_config::{CallId, Language, Phone, UserId};

use super::{Store, StoreError, language, number, user, whole};
use crate::call_back::Outcome;

/// A call-back that is under way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Asked {
    /// Names it for good, to the gateway too.
    pub(crate) key: String,
    pub(crate) person: UserId,
    /// Who wants the call, if that is not the person but an operator.
    pub(crate) operator: Option<UserId>,
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
    /// How it ended; from then on there is only something to show.
    pub(crate) outcome: Option<Outcome>,
}

impl Store {
    /// Writes a call-back as it is now, with the press that asked for it.
    pub(crate) async fn ask(&self, asked: &Asked) -> Result<(), StoreError> {
        sqlx::query(
            "INSERT INTO ordered
             (key, user_id, operator_id, line, name, message, language, asked_ms, tries, call_id, talked, outcome)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
             ON CONFLICT (key) DO UPDATE SET tries = excluded.tries, call_id = excluded.call_id,
                talked = excluded.talked, outcome = excluded.outcome",
        )
        .bind(&asked.key)
        .bind(asked.person.number())
        .bind(asked.operator.map(UserId::number))
        .bind(asked.line.as_str())
        .bind(&asked.name)
        .bind(&asked.message)
        .bind(asked.language.as_str())
        .bind(number(asked.asked_ms))
        .bind(i64::from(asked.tries))
        .bind(asked.call.map(|call| call.to_string()))
        .bind(i64::from(asked.talked))
        .bind(asked.outcome.as_ref().map(Outcome::to_word))
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// A call-back is over and its outcome shown, or it is none.
    pub(crate) async fn answered(&self, key: &str) -> Result<(), StoreError> {
        sqlx::query("DELETE FROM ordered WHERE key = $1").bind(key).execute(&self.pool).await?;
        Ok(())
    }

    /// A message shows another call-back from now on.
    pub(crate) async fn supersede(&self, message: &str) -> Result<(), StoreError> {
        let query = sqlx::query("DELETE FROM ordered WHERE message = $1 AND outcome IS NOT NULL");
        query.bind(message).execute(&self.pool).await?;
        Ok(())
    }

    /// The call-backs that are under way.
    pub(crate) async fn asked(&self) -> Result<Vec<Asked>, StoreError> {
        let rows = sqlx::query("SELECT * FROM ordered ORDER BY asked_ms").fetch_all(&self.pool).await?;
        let mut asked = Vec::new();
        for row in rows {
            let line: String = row.try_get("line")?;
            let call: Option<String> = row.try_get("call_id")?;
            let outcome: Option<String> = row.try_get("outcome")?;
            let operator: Option<i64> = row.try_get("operator_id")?;
            let (Some(person), Ok(line)) = (user(&row, "user_id")?, line.parse()) else { continue };
            asked.push(Asked {
                key: row.try_get("key")?,
                person,
                operator: operator.and_then(|id| UserId::new(id).ok()),
                name: row.try_get("name")?,
                line,
                message: row.try_get("message")?,
                language: language(&row)?.unwrap_or_default(),
                asked_ms: whole(&row, "asked_ms")?,
                tries: u32::try_from(row.try_get::<i64, _>("tries")?).unwrap_or(u32::MAX),
                call: call.and_then(|call| call.parse().ok()),
                talked: row.try_get::<i64, _>("talked")? != 0,
                outcome: outcome.as_deref().map(Outcome::from_word),
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
    async fn a_call_back_is_one_row_until_its_outcome_is_shown_or_its_message_shows_another() {
        let (_room, store) = store().await;
        let mut asked = asked();
        store.ask(&asked).await.unwrap();
        (asked.tries, asked.call, asked.talked) = (1, Some(CallId(0xa1)), true);
        store.ask(&asked).await.unwrap();
        assert_eq!(store.asked().await.unwrap(), [asked.clone()]);
        store.supersede("AgAB").await.unwrap();
        asked.outcome = Some(Outcome::Failed("why not".into()));
        store.ask(&asked).await.unwrap();
        let by_operator = Asked {
            key: "k2".into(),
            operator: UserId::new(6).ok(),
            message: None,
            outcome: None,
            ..asked.clone()
        };
        store.ask(&by_operator).await.unwrap();
        assert_eq!(store.asked().await.unwrap(), [asked.clone(), by_operator.clone()]);
        store.supersede("AgAB").await.unwrap();
        assert_eq!(store.asked().await.unwrap(), [by_operator]);
        store.answered("k2").await.unwrap();
        assert_eq!(store.asked().await.unwrap(), []);
    }

    fn asked() -> Asked {
        Asked {
            key: "k1".into(),
            person: UserId::new(5).unwrap(),
            operator: None,
            name: "Анна".into(),
            line: "+79060000000".parse().unwrap(),
            message: Some("AgAB".into()),
            language: Language::Russian,
            asked_ms: 1,
            tries: 0,
            call: None,
            talked: false,
            outcome: None,
        }
    }
}
