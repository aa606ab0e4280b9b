//! Authorization keys the server knows, and on which data centres each is good.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use grammers_tl_types::types;

use crate::canary;
use crate::wire::{envelope::AuthKey, exchange::Agreed, random, salts::Salts};

/// Known keys, shared between the wire and whoever seeds clients with keys.
pub struct KeyRing {
    salt_lifetime: Duration,
    entries: Mutex<BTreeMap<i64, Entry>>,
}

struct Entry {
    key: Arc<AuthKey>,
    dcs: BTreeSet<i32>,
    salts: Salts,
}

impl Default for KeyRing {
    fn default() -> Self {
        Self::new()
    }
}

impl KeyRing {
    /// No keys yet; salts change every 30 minutes, as Telegram's do.
    pub fn new() -> Self {
        Self::with_salt_lifetime(Duration::from_secs(30 * 60))
    }

    /// The same with another pace of salts (at least one second).
    pub fn with_salt_lifetime(salt_lifetime: Duration) -> Self {
        Self { salt_lifetime, entries: Mutex::default() }
    }

    /// Makes a key good on a data centre and returns its name. A key may be good on several.
    pub fn add(&self, dc: i32, key: [u8; 256]) -> i64 {
        self.insert(dc, AuthKey::new(key), Salts::new())
    }

    /// A new random key for a data centre.
    pub fn mint(&self, dc: i32) -> [u8; 256] {
        let key = canary::mark_key(random::bytes());
        self.add(dc, key);
        key
    }

    /// The name of a key: the low 64 bits of its SHA-1.
    pub fn id_of(key: [u8; 256]) -> i64 {
        AuthKey::new(key).id()
    }

    /// Whether a key is known on any data centre.
    pub fn known(&self, auth_key_id: i64) -> bool {
        self.entries().contains_key(&auth_key_id)
    }

    /// Forgets a key everywhere: whoever uses it gets transport error -404.
    pub fn forget(&self, auth_key_id: i64) {
        self.entries().remove(&auth_key_id);
    }

    /// Adds a key from the key exchange. Says whether it is new.
    pub(crate) fn agree(&self, dc: i32, agreed: Agreed, now: Duration) -> bool {
        let key = AuthKey::new(agreed.key);
        let fresh = !self.known(key.id());
        self.insert(dc, key, Salts::beginning(agreed.first_salt, now + self.salt_lifetime));
        fresh
    }

    /// The key a client named, if it is good on this data centre.
    pub(crate) fn find(&self, dc: i32, auth_key_id: i64) -> Option<Arc<AuthKey>> {
        self.entries()
            .get(&auth_key_id)
            .filter(|entry| entry.dcs.contains(&dc))
            .map(|entry| Arc::clone(&entry.key))
    }

    /// The salt to name now; 0 for a key just forgotten.
    pub(crate) fn salt(&self, auth_key_id: i64, now: Duration) -> i64 {
        self.entries().get(&auth_key_id).map_or(0, |entry| entry.salts.current(now, self.salt_lifetime))
    }

    pub(crate) fn accepts(&self, auth_key_id: i64, salt: i64, now: Duration) -> bool {
        self.entries()
            .get(&auth_key_id)
            .is_some_and(|entry| entry.salts.accept(salt, now, self.salt_lifetime))
    }

    pub(crate) fn future_salts(&self, auth_key_id: i64, now: Duration, count: i32) -> Vec<types::FutureSalt> {
        let entries = self.entries();
        entries
            .get(&auth_key_id)
            .map(|entry| entry.salts.future(now, self.salt_lifetime, count))
            .unwrap_or_default()
    }

    pub(crate) fn renew_salts(&self, auth_key_id: i64) {
        if let Some(entry) = self.entries().get_mut(&auth_key_id) {
            entry.salts.renew();
        }
    }

    fn insert(&self, dc: i32, key: AuthKey, salts: Salts) -> i64 {
        let id = key.id();
        let mut entries = self.entries();
        let entry =
            entries.entry(id).or_insert_with(|| Entry { key: Arc::new(key), dcs: BTreeSet::new(), salts });
        entry.dcs.insert(dc);
        id
    }

    fn entries(&self) -> MutexGuard<'_, BTreeMap<i64, Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_good_where_it_was_added_and_nowhere_else() {
        let keys = KeyRing::new();
        let key = keys.mint(2);
        let id = KeyRing::id_of(key);
        assert!(keys.find(2, id).is_some() && keys.find(1, id).is_none());
        assert_eq!(keys.add(1, key), id);
        assert!(keys.find(2, id).is_some() && keys.find(1, id).is_some());
        keys.forget(id);
        assert!(!keys.known(id) && keys.find(2, id).is_none());
    }

    #[test]
    fn the_name_of_a_key_is_the_tail_of_its_sha1() {
        // python3: struct.unpack('<q', hashlib.sha1(bytes(range(256))).digest()[-8:])
        assert_eq!(KeyRing::id_of(std::array::from_fn(|at| at as u8)), -3_972_359_982_579_920_590);
    }

    #[test]
    fn a_key_from_the_exchange_begins_with_the_agreed_salt() {
        let keys = KeyRing::new();
        let now = Duration::from_secs(1_700_000_000);
        let agreed = Agreed { key: [5; 256], first_salt: 77 };
        assert!(keys.agree(3, agreed.clone(), now));
        assert!(!keys.agree(3, agreed, now));
        let id = KeyRing::id_of([5; 256]);
        assert!(keys.accepts(id, 77, now) && !keys.accepts(id, 78, now));
        assert!(keys.accepts(id, keys.salt(id, now), now));
        keys.renew_salts(id);
        assert!(!keys.accepts(id, 77, now));
    }
}
