//! Taking messages out of the queue, which are not sent then.

use sqlx::sqlite::SqliteRow;
use sqlx::{Row as _, SqliteConnection};

use super::{Fault, Store, THEIRS, Teller, Withdrawn, fail, is_doubtful};
use crate::id::MessageId;

impl Store {
    /// Takes one message out of the queue, unless Telegram is being handed it just now.
    pub(crate) async fn withdraw(
        &self,
        id: MessageId,
        fault: &Fault,
        teller: &dyn Teller,
        now_ms: i64,
    ) -> Result<Withdrawn, sqlx::Error> {
        let mut transaction = self.pool.begin().await?;
        let one = "DELETE FROM ms_outgoing WHERE claimed < 2 AND id = $1 RETURNING id, claimed, parts_done";
        let gone = sqlx::query(one).bind(id.get()).fetch_optional(&mut *transaction).await?;
        let withdrawn = match gone {
            Some(row) => {
                let may_be_sent = fail_row(&mut transaction, &row, fault, teller, now_ms).await?;
                Withdrawn::Out { may_be_sent }
            }
            None => {
                let row = sqlx::query("SELECT 1 FROM ms_outgoing WHERE id = $1").bind(id.get());
                match row.fetch_optional(&mut *transaction).await? {
                    Some(_) => Withdrawn::UnderWay,
                    None => Withdrawn::Absent,
                }
            }
        };
        transaction.commit().await?;
        Ok(withdrawn)
    }

    /// Whether a message is in the queue.
    pub(crate) async fn is_queued(&self, seq: i64) -> Result<bool, sqlx::Error> {
        let row = sqlx::query("SELECT 1 FROM ms_outgoing WHERE seq = $1").bind(seq);
        Ok(row.fetch_optional(&self.pool).await?.is_some())
    }

    /// The last place in the queue.
    pub(crate) async fn last_seq(&self) -> Result<i64, sqlx::Error> {
        let row = sqlx::query("SELECT COALESCE(MAX(seq), 0) FROM ms_outgoing").fetch_one(&self.pool);
        row.await?.try_get(0)
    }

    /// Takes the first of the queue up to a place out of it, so many that others need not wait for the disk for long; true
    /// while there are more. Where `due_by_ms` is said, of those that GREEN-API's clients mean ([`THEIRS`]).
    pub(crate) async fn withdraw_first(
        &self,
        up_to: i64,
        due_by_ms: Option<i64>,
        fault: &Fault,
        teller: &dyn Teller,
        now_ms: i64,
    ) -> Result<bool, sqlx::Error> {
        let mut transaction = self.pool.begin().await?;
        let some = format!(
            "DELETE FROM ms_outgoing WHERE seq IN (SELECT seq FROM ms_outgoing WHERE claimed < 2 AND seq <= $2 AND {THEIRS}
             ORDER BY seq LIMIT 500) RETURNING id, claimed, parts_done"
        );
        let some = sqlx::query(sqlx::AssertSqlSafe(some)).bind(due_by_ms).bind(up_to);
        let mut gone = some.fetch_all(&mut *transaction).await?;
        gone.sort_by_key(|row| row.get::<i64, _>("id"));
        for row in &gone {
            fail_row(&mut transaction, row, fault, teller, now_ms).await?;
        }
        transaction.commit().await?;
        Ok(!gone.is_empty())
    }
}

/// A row that left the queue was not sent; whether Telegram may have it, or a part of it.
async fn fail_row(
    connection: &mut SqliteConnection,
    row: &SqliteRow,
    fault: &Fault,
    teller: &dyn Teller,
    now_ms: i64,
) -> Result<bool, sqlx::Error> {
    let (claimed, parts_done) = (row.try_get("claimed")?, row.try_get("parts_done")?);
    let id = MessageId::new(row.try_get("id")?);
    fail(connection, id, &fault.with_doubt(claimed, parts_done), teller, now_ms).await?;
    Ok(is_doubtful(claimed, parts_done))
}
