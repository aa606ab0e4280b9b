//! Tokens of the API: made, shown once, looked up without a disk, revoked at once.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError, RwLock};

use sha2::{Digest as _, Sha256};
use tgtrunk_config::Phone;
use tgtrunk_messages::{Grant, InstanceId, Token};

use super::store::{Store, StoreError, TokenRow};

/// What a token begins with, so that whoever finds one knows what it is.
const BEGINS: &str = "tga.";
/// How often it is noted that a token was used, in seconds.
const NOTE_S: i64 = 60;

/// The tokens that hold, by their hashes.
#[derive(Debug, Default)]
pub(super) struct Book {
    /// A token has 200 bits of chance: who looks up a guess learns nothing by how long that takes.
    live: RwLock<BTreeMap<String, (i64, Grant)>>,
    /// When each was used, as far as that is to be noted; and when it was noted.
    used: Mutex<BTreeMap<i64, i64>>,
    noted: Mutex<BTreeMap<i64, i64>>,
}

/// A token that was just made. It has no `Debug` that shows it.
pub(super) struct Made {
    pub(super) number: i64,
    token: Token,
}

impl Made {
    /// What its bearer says.
    pub(super) fn reveal(&self) -> String {
        format!("{BEGINS}{}", self.token.reveal())
    }
}

impl Book {
    /// Reads which there are.
    pub(super) async fn load(&self, store: &Store) -> Result<(), StoreError> {
        let live = store.tokens().await?.into_iter().filter(|row| row.revoked_s.is_none());
        let live = live.map(|row| (row.hash.clone(), (row.id, grant(&row)))).collect();
        *self.live.write().unwrap_or_else(PoisonError::into_inner) = live;
        Ok(())
    }

    /// Makes one. It is on the disk when this returns.
    pub(super) async fn make(
        &self,
        store: &Store,
        whose: Option<(InstanceId, Option<&Phone>)>,
        label: &str,
        now_s: i64,
    ) -> Result<Made, StoreError> {
        let token = Token::new();
        let (instance, line) = (whose.map(|(id, _)| id), whose.and_then(|(_, line)| line));
        let hash = hash(&format!("{BEGINS}{}", token.reveal()));
        let number = store.add_token(instance, line, &hash, label, now_s).await?;
        let grant = instance.map_or(Grant::All, Grant::Instance);
        self.live.write().unwrap_or_else(PoisonError::into_inner).insert(hash, (number, grant));
        Ok(Made { number, token })
    }

    /// Ends one; false if it was, or never was.
    pub(super) async fn revoke(&self, store: &Store, number: i64, now_s: i64) -> Result<bool, StoreError> {
        // It is dead before that is written: a disk that refuses gives nobody more time.
        self.drop_number(number);
        store.revoke_token(number, now_s).await
    }

    /// Forgets one.
    pub(super) async fn forget(&self, store: &Store, number: i64) -> Result<(), StoreError> {
        self.drop_number(number);
        store.forget_token(number).await
    }

    fn drop_number(&self, number: i64) {
        let mut live = self.live.write().unwrap_or_else(PoisonError::into_inner);
        live.retain(|_, (id, _)| *id != number);
    }

    /// For what a token is good.
    pub(super) fn admits(&self, said: &str, now_s: i64) -> Option<Grant> {
        if !said.starts_with(BEGINS) {
            return None;
        }
        let found = self.live.read().unwrap_or_else(PoisonError::into_inner).get(&hash(said)).copied();
        let (number, grant) = found?;
        self.used.lock().unwrap_or_else(PoisonError::into_inner).insert(number, now_s);
        Some(grant)
    }

    /// Notes which were used, as far as that was not noted within a minute.
    pub(super) async fn note(&self, store: &Store) -> Result<(), StoreError> {
        let used = std::mem::take(&mut *self.used.lock().unwrap_or_else(PoisonError::into_inner));
        for (number, at_s) in used {
            let noted_s = self.noted.lock().unwrap_or_else(PoisonError::into_inner).get(&number).copied();
            if noted_s.is_none_or(|noted_s| at_s - noted_s >= NOTE_S) {
                store.use_token(number, at_s).await?;
                self.noted.lock().unwrap_or_else(PoisonError::into_inner).insert(number, at_s);
            }
        }
        Ok(())
    }
}

fn grant(row: &TokenRow) -> Grant {
    row.instance.map_or(Grant::All, Grant::Instance)
}

fn hash(token: &str) -> String {
    hex::encode(Sha256::digest(token))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::directory::store::tests::store;

    #[tokio::test]
    async fn a_token_holds_until_it_is_revoked_and_nobody_reads_it_from_the_disk() {
        let (room, store) = store().await;
        let book = Book::default();
        let (id, line) = (InstanceId::new(4_100_000_001).unwrap(), "+79060000000".parse().unwrap());
        let one = book.make(&store, Some((id, Some(&line))), "1C", 5).await.unwrap();
        let all = book.make(&store, None, "CRM", 6).await.unwrap();
        assert!(one.reveal().starts_with("tga.") && one.reveal().len() == 54);
        // A token that was read again from the disk holds as before.
        let again = Book::default();
        again.load(&store).await.unwrap();
        for book in [&book, &again] {
            assert_eq!(book.admits(&one.reveal(), 100), Some(Grant::Instance(id)));
            assert_eq!(book.admits(&all.reveal(), 100), Some(Grant::All));
            for wrong in ["", "tga.", one.token.reveal(), &one.reveal()[..53]] {
                assert_eq!(book.admits(wrong, 100), None, "{wrong}");
            }
        }
        book.note(&store).await.unwrap();
        book.admits(&one.reveal(), 130);
        book.note(&store).await.unwrap();
        let kept = store.tokens().await.unwrap();
        assert_eq!(
            (kept[0].last_used_s, kept[0].line.clone(), kept[1].instance),
            (Some(100), Some(line), None)
        );
        assert!(book.revoke(&store, one.number, 200).await.unwrap());
        assert!(!book.revoke(&store, one.number, 300).await.unwrap());
        assert_eq!(
            (book.admits(&one.reveal(), 400), store.tokens().await.unwrap()[0].revoked_s),
            (None, Some(200))
        );
        again.load(&store).await.unwrap();
        assert_eq!(again.admits(&one.reveal(), 400), None);
        book.forget(&store, all.number).await.unwrap();
        assert_eq!((book.admits(&all.reveal(), 400), store.tokens().await.unwrap().len()), (None, 1));
        let secret = one.token.reveal().as_bytes();
        for file in std::fs::read_dir(room.path()).unwrap() {
            let kept = std::fs::read(file.unwrap().path()).unwrap();
            assert!(!kept.windows(secret.len()).any(|window| window == secret));
        }
    }

    #[tokio::test]
    async fn tokens_that_are_made_at_once_all_hold() {
        let (_room, store) = store().await;
        let book = std::sync::Arc::new(Book::default());
        let mut made = tokio::task::JoinSet::new();
        for number in 0..20 {
            let (book, store) = (std::sync::Arc::clone(&book), store.clone());
            made.spawn(
                async move { book.make(&store, None, &format!("{number}"), 1).await.unwrap().reveal() },
            );
        }
        let tokens = made.join_all().await;
        let again = Book::default();
        again.load(&store).await.unwrap();
        assert!(
            tokens.iter().all(|token| book.admits(token, 2).is_some() && again.admits(token, 2).is_some())
        );
    }
}
