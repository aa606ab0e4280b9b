//! Whom the account is no stranger to: its contacts, whoever called it or wrote to it, and whoever took its call.
//!
//! Telegram takes approaches to anybody else for spam sooner or later (`PEER_FLOOD`).

use std::collections::HashSet;
use std::sync::{PoisonError, RwLock};

use grammers_tl_types as tl;
use sqlx::{Row as _, SqlitePool};

use crate::clock::unix_now_s;
use crate::session::SessionError;

/// Their ids, in memory and in `tg_acquaintance`.
#[derive(Debug)]
pub(crate) struct Acquaintances {
    pool: SqlitePool,
    memory: RwLock<Memory>,
}

#[derive(Debug, Default)]
struct Memory {
    ids: HashSet<i64>,
    /// Those of them that are not on the disk yet.
    unwritten: Vec<i64>,
}

impl Acquaintances {
    pub(crate) async fn open(pool: SqlitePool) -> Result<Self, SessionError> {
        let mut memory = Memory::default();
        for row in sqlx::query("SELECT user_id FROM tg_acquaintance").fetch_all(&pool).await? {
            memory.ids.insert(row.try_get(0)?);
        }
        Ok(Self { pool, memory: RwLock::new(memory) })
    }

    pub(crate) fn has(&self, id: i64) -> bool {
        self.memory.read().unwrap_or_else(PoisonError::into_inner).ids.contains(&id)
    }

    /// Takes people in, at once in memory; [`Self::write`] puts them on the disk.
    pub(crate) fn note(&self, ids: impl IntoIterator<Item = i64>) {
        let mut memory = self.memory.write().unwrap_or_else(PoisonError::into_inner);
        for id in ids {
            if memory.ids.insert(id) {
                memory.unwritten.push(id);
            }
        }
    }

    /// Writes those who were noted to the disk.
    pub(crate) async fn write(&self) -> Result<(), SessionError> {
        if self.memory.read().unwrap_or_else(PoisonError::into_inner).unwritten.is_empty() {
            return Ok(());
        }
        let news = std::mem::take(&mut self.memory.write().unwrap_or_else(PoisonError::into_inner).unwritten);
        let mut transaction = self.pool.begin().await?;
        for id in news {
            sqlx::query(
                "INSERT INTO tg_acquaintance (user_id, since) VALUES ($1, $2) ON CONFLICT (user_id) DO NOTHING",
            )
            .bind(id)
            .bind(unix_now_s())
            .execute(&mut *transaction)
            .await?;
        }
        transaction.commit().await?;
        Ok(())
    }

    /// Forgets everybody: another user has other ones.
    pub(crate) async fn forget_all(&self) -> Result<(), SessionError> {
        *self.memory.write().unwrap_or_else(PoisonError::into_inner) = Memory::default();
        sqlx::query("DELETE FROM tg_acquaintance").execute(&self.pool).await?;
        Ok(())
    }
}

/// The contacts among users that came along with something.
pub(crate) fn contacts(users: &[tl::enums::User]) -> impl Iterator<Item = i64> {
    users.iter().filter_map(|user| match user {
        tl::enums::User::User(user) if user.contact || user.mutual_contact => Some(user.id),
        tl::enums::User::User(_) | tl::enums::User::Empty(_) => None,
    })
}

/// Who wrote to the account in a private chat.
pub(crate) fn writer(update: &tl::enums::Update) -> Option<i64> {
    let tl::enums::Update::NewMessage(update) = update else { return None };
    let (peer, is_ours) = match &update.message {
        tl::enums::Message::Message(message) => (&message.peer_id, message.out),
        tl::enums::Message::Service(message) => (&message.peer_id, message.out),
        tl::enums::Message::Empty(_) => return None,
    };
    match peer {
        tl::enums::Peer::User(user) if !is_ours => Some(user.user_id),
        tl::enums::Peer::User(_) | tl::enums::Peer::Chat(_) | tl::enums::Peer::Channel(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::database::Database;
    use crate::tables;

    #[tokio::test]
    async fn an_acquaintance_outlives_a_restart_but_not_another_user() {
        let place = tempfile::tempdir().unwrap();
        let known = open(&place).await;
        known.note([5, 6, 5]);
        known.write().await.unwrap();
        known.note([5]);
        known.write().await.unwrap();
        drop(known);
        let known = open(&place).await;
        assert_eq!([5, 6, 7].map(|id| known.has(id)), [true, true, false]);
        known.forget_all().await.unwrap();
        assert!(!known.has(5));
        drop(known);
        assert!(!open(&place).await.has(5));
    }

    async fn open(place: &tempfile::TempDir) -> Acquaintances {
        let database = Database::open(place.path().join("gateway.db")).await.unwrap();
        tables::create(database.pool()).await.unwrap();
        Acquaintances::open(database.pool().clone()).await.unwrap()
    }
}
