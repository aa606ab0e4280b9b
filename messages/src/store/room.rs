//! Room that the database does not need any more.

use sqlx::Row as _;

use super::Store;

/// Pages that stay, for what comes next.
const SPARE: i64 = 256;

impl Store {
    /// Gives the disk back what was forgotten, a little at a time; true while there is more. A database from before this was
    /// done keeps its size, and uses it for what comes.
    pub(crate) async fn give_back(&self) -> Result<bool, sqlx::Error> {
        let mut connection = self.pool.acquire().await?;
        let kind = sqlx::query("PRAGMA auto_vacuum").fetch_one(&mut *connection).await?;
        let free = sqlx::query("PRAGMA freelist_count").fetch_one(&mut *connection).await?;
        let free: i64 = free.try_get(0)?;
        // 2 is incremental (sqlite.org/pragma.html#pragma_auto_vacuum).
        if kind.try_get::<i64, _>(0)? != 2 || free <= SPARE {
            return Ok(false);
        }
        sqlx::query("PRAGMA incremental_vacuum(500)").fetch_all(&mut *connection).await?;
        let left = sqlx::query("PRAGMA freelist_count").fetch_one(&mut *connection).await?;
        let left: i64 = left.try_get(0)?;
        Ok(left > SPARE && left < free)
    }
}

#[cfg(test)]
mod tests {
    use crate::store::Told;
    use crate::store::tests::Room;

    #[tokio::test]
    async fn what_was_forgotten_is_given_back_to_the_disk() {
        let room = Room::new();
        let store = room.open().await;
        let size = || std::fs::metadata(room.file()).unwrap().len();
        for number in 0..500 {
            let body = "a long story ".repeat(1_000).into();
            let told = Told { kind: "x", dedupe: format!("new:{number}"), body };
            store.tell(&told, 1_000).await.unwrap();
        }
        let full = size();
        store.clear_notifications().await.unwrap();
        assert!(store.give_back().await.unwrap(), "there is more than is given back at once");
        while store.give_back().await.unwrap() {}
        assert!(size() < full / 3, "{} of {full}", size());
        let told = Told { kind: "x", dedupe: "new:again".to_owned(), body: "again".into() };
        store.tell(&told, 1_000).await.unwrap();
    }
}
