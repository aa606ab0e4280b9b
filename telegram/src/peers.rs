//! People the account has met, so that each is resolved once: by what they were looked up, and whatever came along.

use std::collections::{HashMap, HashSet};
use std::pin::pin;
use std::sync::{PoisonError, RwLock};

use grammers_tl_types as tl;
use sqlx::{Row as _, SqlitePool};
use tokio::sync::Notify;

use crate::acquaintances::{self, Acquaintances};
use crate::clock::unix_now_s;
use crate::person::Resolved;
use crate::session::SessionError;

/// The remembered people, in memory and in `tg_person` and `tg_lookup`.
#[derive(Debug)]
pub(crate) struct Peers {
    pool: SqlitePool,
    memory: RwLock<Memory>,
    /// Those of them, and others, who know the account.
    pub(crate) acquaintances: Acquaintances,
    /// Somebody new is in memory.
    met: Notify,
}

#[derive(Debug, Default)]
struct Memory {
    people: HashMap<i64, Resolved>,
    lookups: HashMap<String, Lookup>,
    /// Lookups that lead to somebody else by now, and may still be on the disk.
    outdated: HashSet<String>,
    /// Whom the account has among its contacts, as far as they came along since the start.
    contacts: HashSet<i64>,
}

/// Who was found under a lookup, and when: seconds since 1970.
#[derive(Debug, Clone, Copy)]
struct Lookup {
    id: i64,
    at_s: i64,
}

impl Memory {
    /// A person is called so from now on: what they were called before, and who was called so before, is out of date.
    fn rename(&mut self, user: &tl::types::User) {
        let known = self.people.get(&user.id);
        let names = names(user);
        let former = known.and_then(|known| known.username.as_deref()).map(str::to_ascii_lowercase);
        let former = former.filter(|former| !names.contains(former)).map(|name| format!("username:{name}"));
        let former_phone = known.and_then(|known| known.phone.as_ref());
        let former_phone = former_phone.filter(|phone| user.phone.as_ref().is_some_and(|now| now != *phone));
        let former_phone = former_phone.map(|phone| format!("phone:{phone}"));
        for lookup in former.into_iter().chain(former_phone) {
            if self.lookups.get(&lookup).is_some_and(|found| found.id == user.id) {
                self.lookups.remove(&lookup);
                self.outdated.insert(lookup);
            }
        }
        let now = names.into_iter().map(|name| format!("username:{name}"));
        for lookup in now.chain(user.phone.as_ref().map(|phone| format!("phone:{phone}"))) {
            if self.lookups.get(&lookup).is_some_and(|found| found.id != user.id) {
                self.lookups.remove(&lookup);
                self.outdated.insert(lookup);
            }
        }
    }
}

/// The names that lead to a person, in small letters.
pub(crate) fn names(user: &tl::types::User) -> Vec<String> {
    let further = user.usernames.as_deref().unwrap_or_default().iter();
    let further =
        further.filter_map(|tl::enums::Username::Username(name)| name.active.then_some(&name.username));
    user.username.iter().chain(further).map(|name| name.to_ascii_lowercase()).collect()
}

impl Peers {
    pub(crate) async fn open(pool: SqlitePool) -> Result<Self, SessionError> {
        let mut memory = Memory::default();
        for row in sqlx::query("SELECT * FROM tg_person").fetch_all(&pool).await? {
            let person = Resolved {
                id: row.try_get("user_id")?,
                access_hash: row.try_get("access_hash")?,
                phone: row.try_get("phone")?,
                username: row.try_get("username")?,
                first_name: row.try_get("first_name")?,
                last_name: row.try_get("last_name")?,
            };
            memory.people.insert(person.id, person);
        }
        for row in sqlx::query("SELECT lookup, user_id, looked_up_at FROM tg_lookup").fetch_all(&pool).await?
        {
            memory.lookups.insert(row.try_get(0)?, Lookup { id: row.try_get(1)?, at_s: row.try_get(2)? });
        }
        let acquaintances = Acquaintances::open(pool.clone()).await?;
        Ok(Self { pool, memory: RwLock::new(memory), acquaintances, met: Notify::new() })
    }

    pub(crate) fn by_id(&self, id: i64) -> Option<Resolved> {
        self.memory.read().unwrap_or_else(PoisonError::into_inner).people.get(&id).cloned()
    }

    pub(crate) fn by_lookup(&self, lookup: &str) -> Option<Resolved> {
        let memory = self.memory.read().unwrap_or_else(PoisonError::into_inner);
        memory.people.get(&memory.lookups.get(lookup)?.id).cloned()
    }

    /// Who was found under `lookup` within the last `life_s` seconds.
    pub(crate) fn by_late_lookup(&self, lookup: &str, life_s: i64) -> Option<Resolved> {
        let memory = self.memory.read().unwrap_or_else(PoisonError::into_inner);
        let found = memory.lookups.get(lookup)?;
        // A clock that was set back tells nothing of an age.
        let is_late = (0..life_s).contains(&(unix_now_s() - found.at_s));
        memory.people.get(&found.id).filter(|_| is_late).cloned()
    }

    /// Whether somebody who knows the account is the one that is meant.
    pub(crate) fn is_acquainted(&self, is_meant: impl Fn(&Resolved) -> bool) -> bool {
        let memory = self.memory.read().unwrap_or_else(PoisonError::into_inner);
        memory.people.values().any(|person| is_meant(person) && self.acquaintances.has(person.id))
    }

    /// Whether somebody who is meant is a contact.
    pub(crate) fn is_contact(&self, is_meant: impl Fn(&Resolved) -> bool) -> bool {
        let memory = self.memory.read().unwrap_or_else(PoisonError::into_inner);
        memory.contacts.iter().filter_map(|id| memory.people.get(id)).any(is_meant)
    }

    /// Keeps who was found under `lookup`.
    pub(crate) async fn remember(&self, lookup: &str, person: &Resolved) -> Result<(), SessionError> {
        self.write(std::slice::from_ref(person)).await?;
        let now_s = unix_now_s();
        sqlx::query(
            "INSERT INTO tg_lookup (lookup, user_id, looked_up_at) VALUES ($1, $2, $3)
             ON CONFLICT (lookup) DO UPDATE SET user_id = excluded.user_id, looked_up_at = excluded.looked_up_at",
        )
        .bind(lookup.to_owned())
        .bind(person.id)
        .bind(now_s)
        .execute(&self.pool)
        .await?;
        let mut memory = self.memory.write().unwrap_or_else(PoisonError::into_inner);
        memory.people.insert(person.id, person.clone());
        memory.lookups.insert(lookup.to_owned(), Lookup { id: person.id, at_s: now_s });
        memory.outdated.remove(lookup);
        Ok(())
    }

    /// Takes in people who came along with something else, at once in memory; gives back whom to [`Self::write`].
    pub(crate) fn meet(&self, users: &[tl::enums::User]) -> Vec<Resolved> {
        self.acquaintances.note(acquaintances::contacts(users));
        let mut memory = self.memory.write().unwrap_or_else(PoisonError::into_inner);
        let mut news = Vec::new();
        for user in users {
            if let tl::enums::User::User(user) = user
                && !user.min
            {
                if user.contact || user.mutual_contact {
                    memory.contacts.insert(user.id);
                } else {
                    memory.contacts.remove(&user.id);
                }
                memory.rename(user);
            }
            let Some(mut person) = Resolved::from_user(user) else { continue };
            let known = memory.people.get(&person.id);
            person.phone = person.phone.or_else(|| known.and_then(|known| known.phone.clone()));
            if known != Some(&person) {
                memory.people.insert(person.id, person.clone());
                news.push(person);
            }
        }
        if !news.is_empty() {
            self.met.notify_waiters();
        }
        news
    }

    /// Returns once somebody with this id is known.
    pub(crate) async fn until_met(&self, id: i64) -> Resolved {
        loop {
            let mut told = pin!(self.met.notified());
            // From here on nobody is missed.
            told.as_mut().enable();
            if let Some(person) = self.by_id(id) {
                return person;
            }
            told.await;
        }
    }

    /// Writes people to the disk, and who knows the account.
    pub(crate) async fn write(&self, people: &[Resolved]) -> Result<(), SessionError> {
        self.acquaintances.write().await?;
        let outdated = self.memory.read().unwrap_or_else(PoisonError::into_inner).outdated.clone();
        if people.is_empty() && outdated.is_empty() {
            return Ok(());
        }
        let mut transaction = self.pool.begin().await?;
        for lookup in &outdated {
            let query = sqlx::query("DELETE FROM tg_lookup WHERE lookup = $1").bind(lookup.clone());
            query.execute(&mut *transaction).await?;
        }
        for person in people {
            sqlx::query(
                "INSERT INTO tg_person (user_id, access_hash, phone, username, first_name, last_name, seen_at)
                 VALUES ($1, $2, $3, $4, $5, $6, $7)
                 ON CONFLICT (user_id) DO UPDATE SET access_hash = excluded.access_hash, phone = excluded.phone,
                    username = excluded.username, first_name = excluded.first_name,
                    last_name = excluded.last_name, seen_at = excluded.seen_at",
            )
            .bind(person.id)
            .bind(person.access_hash)
            .bind(person.phone.clone())
            .bind(person.username.clone())
            .bind(person.first_name.clone())
            .bind(person.last_name.clone())
            .bind(unix_now_s())
            .execute(&mut *transaction)
            .await?;
        }
        transaction.commit().await?;
        let mut memory = self.memory.write().unwrap_or_else(PoisonError::into_inner);
        memory.outdated.retain(|lookup| !outdated.contains(lookup));
        Ok(())
    }

    /// Forgets what `lookup` led to.
    pub(crate) async fn forget(&self, lookup: &str) -> Result<(), SessionError> {
        self.memory.write().unwrap_or_else(PoisonError::into_inner).lookups.remove(lookup);
        sqlx::query("DELETE FROM tg_lookup WHERE lookup = $1")
            .bind(lookup.to_owned())
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    /// Forgets everybody: access hashes of one user are of no use to another.
    pub(crate) async fn forget_all(&self) -> Result<(), SessionError> {
        *self.memory.write().unwrap_or_else(PoisonError::into_inner) = Memory::default();
        let mut transaction = self.pool.begin().await?;
        sqlx::query("DELETE FROM tg_lookup").execute(&mut *transaction).await?;
        sqlx::query("DELETE FROM tg_person").execute(&mut *transaction).await?;
        transaction.commit().await?;
        self.acquaintances.forget_all().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::database::Database;
    use crate::tables;

    #[tokio::test]
    async fn a_person_is_found_again_by_lookup_and_id_after_a_restart() {
        let place = tempfile::tempdir().unwrap();
        let peers = open(&place).await;
        peers.remember("phone:79001112233", &anna()).await.unwrap();
        drop(peers);
        let peers = open(&place).await;
        assert_eq!(peers.by_lookup("phone:79001112233"), Some(anna()));
        assert_eq!(peers.by_id(5), Some(anna()));
        assert_eq!(peers.by_lookup("username:anna"), None);
    }

    #[tokio::test]
    async fn a_forgotten_lookup_stays_forgotten_but_the_person_does_not() {
        let place = tempfile::tempdir().unwrap();
        let peers = open(&place).await;
        peers.remember("username:anna", &anna()).await.unwrap();
        peers.forget("username:anna").await.unwrap();
        assert_eq!(peers.by_lookup("username:anna"), None);
        drop(peers);
        let peers = open(&place).await;
        assert_eq!((peers.by_lookup("username:anna"), peers.by_id(5)), (None, Some(anna())));
        peers.forget_all().await.unwrap();
        drop(peers);
        assert_eq!(open(&place).await.by_id(5), None);
    }

    #[tokio::test]
    async fn a_name_or_a_number_that_somebody_has_no_more_leads_nowhere_also_after_a_restart() {
        let place = tempfile::tempdir().unwrap();
        let peers = open(&place).await;
        let lookups = ["username:anna", "username:anna_2", "phone:79001112233"];
        for lookup in lookups {
            peers.remember(lookup, &anna()).await.unwrap();
        }
        let tl::enums::User::User(blank) = user(5) else { panic!() };
        let called = |id, name: &str, phone: Option<&str>| {
            let (username, phone) = (Some(name.to_owned()), phone.map(str::to_owned));
            tl::enums::User::from(tl::types::User { id, username, phone, ..blank.clone() })
        };
        let left = |peers: &Peers| lookups.map(|lookup| peers.by_lookup(lookup).is_some());
        // As before, in other letters; that a number is not shown says nothing of it.
        peers.write(&peers.meet(&[called(5, "Anna", None)])).await.unwrap();
        assert_eq!(left(&peers), [true, true, true]);
        peers.write(&peers.meet(&[called(5, "vera", Some("79001112299"))])).await.unwrap();
        assert_eq!(left(&peers), [false, true, false]);
        peers.write(&peers.meet(&[called(6, "anna_2", None)])).await.unwrap();
        assert_eq!(left(&peers), [false, false, false]);
        drop(peers);
        assert_eq!(left(&open(&place).await), [false, false, false]);
    }

    #[tokio::test]
    async fn what_was_found_long_ago_is_known_and_not_believed() {
        let place = tempfile::tempdir().unwrap();
        let peers = open(&place).await;
        peers.remember("username:anna", &anna()).await.unwrap();
        assert_eq!(peers.by_late_lookup("username:anna", 60), Some(anna()));
        for at_s in ["looked_up_at - 61", "looked_up_at + 3600"] {
            let age = format!("UPDATE tg_lookup SET looked_up_at = {at_s}");
            sqlx::query(sqlx::AssertSqlSafe(age)).execute(&peers.pool).await.unwrap();
            let peers = open(&place).await;
            assert_eq!(peers.by_late_lookup("username:anna", 60), None, "{at_s}");
            assert_eq!(peers.by_lookup("username:anna"), Some(anna()));
        }
    }

    #[tokio::test]
    async fn whoever_waits_for_a_person_has_them_when_they_come() {
        let place = tempfile::tempdir().unwrap();
        let peers = open(&place).await;
        let user = user(5);
        let (met, _) = tokio::join!(peers.until_met(5), async { peers.meet(&[user]) });
        assert_eq!(met.access_hash, -9);
        assert!(!peers.acquaintances.has(5), "whoever came along with something is a stranger");
        assert_eq!(peers.until_met(5).await, met);
    }

    #[tokio::test]
    async fn a_contact_is_one_as_long_as_they_come_along_as_such() {
        let place = tempfile::tempdir().unwrap();
        let peers = open(&place).await;
        let tl::enums::User::User(anna) = user(5) else { panic!() };
        let is_contact = |peers: &Peers| peers.is_contact(|known| known.id == 5);
        peers.meet(&[tl::types::User { contact: true, ..anna.clone() }.into()]);
        assert!(is_contact(&peers));
        peers.meet(&[tl::types::User { min: true, ..anna.clone() }.into()]);
        assert!(is_contact(&peers), "a part of a user says nothing");
        peers.meet(&[anna.into()]);
        assert!(!is_contact(&peers) && peers.acquaintances.has(5));
    }

    #[tokio::test]
    async fn a_contact_is_an_acquaintance_from_the_first_time_they_come_along() {
        let place = tempfile::tempdir().unwrap();
        let peers = open(&place).await;
        let tl::enums::User::User(anna) = user(5) else { panic!() };
        let met = peers.meet(&[tl::types::User { contact: true, ..anna }.into()]);
        assert!(peers.acquaintances.has(5));
        peers.write(&met).await.unwrap();
        drop(peers);
        let peers = open(&place).await;
        assert!(peers.acquaintances.has(5));
        peers.forget_all().await.unwrap();
        assert!(!peers.acquaintances.has(5));
    }

    async fn open(place: &tempfile::TempDir) -> Peers {
        let database = Database::open(place.path().join("gateway.db")).await.unwrap();
        tables::create(database.pool()).await.unwrap();
        Peers::open(database.pool().clone()).await.unwrap()
    }

    /// A user of whom nothing is known but the right to address them.
    fn user(id: i64) -> tl::enums::User {
        use tl::{Deserializable as _, Identifiable as _};
        let mut nobody = vec![0; 256];
        nobody[..4].copy_from_slice(&tl::types::User::CONSTRUCTOR_ID.to_le_bytes());
        let tl::enums::User::User(nobody) = tl::enums::User::from_bytes(&nobody).unwrap() else { panic!() };
        tl::types::User { id, access_hash: Some(-9), ..nobody }.into()
    }

    fn anna() -> Resolved {
        Resolved {
            id: 5,
            access_hash: -9,
            phone: Some("79001112233".into()),
            username: Some("anna".into()),
            first_name: Some("Anna".into()),
            last_name: None,
        }
    }
}
