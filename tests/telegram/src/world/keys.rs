//! Authorization keys as the world sees them: whose they are and what they wait for. A key is a device's session.

use std::collections::BTreeMap;

use serde::Serialize;

use super::clock::unix_now;
use super::error::RpcError;
use super::outbox::Parcel;
use super::password::Exchange;
use crate::link::Caller;

/// One authorization key.
#[derive(Debug)]
pub(crate) struct Key {
    pub(crate) dc: i32,
    pub(crate) user: Option<i64>,
    /// The code was right, the password has not come yet.
    pub(crate) awaits_password: Option<i64>,
    /// The password exchange that `account.getPassword` began.
    pub(crate) exchange: Option<Exchange>,
    /// Gets updates: the key logged in itself, instead of importing an authorization.
    pub(crate) main: bool,
    pub(crate) device: String,
    pub(crate) api_id: i32,
    pub(crate) created: i32,
    pub(crate) active: i32,
    /// `seq` of the last sequenced container.
    pub(crate) seq: i32,
    /// Answer to every method that wants a login, until the next login.
    pub(crate) refused: Option<RpcError>,
    /// Connections now open.
    pub(crate) connections: u32,
    /// Connections that were opened.
    pub(crate) opened: u32,
    /// A push that lets the next one overtake it.
    pub(crate) held: Option<Parcel>,
}

/// One authorization key, told to a test.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KeyInfo {
    /// Low 64 bits of the key's SHA-1.
    pub auth_key_id: i64,
    /// The data centre it speaks to.
    pub dc: i32,
    /// Whose login it holds.
    pub user: Option<i64>,
    /// Gets updates.
    pub main: bool,
    /// `device_model` of `initConnection`.
    pub device: String,
    /// Sessions connected now.
    pub connections: u32,
    /// How often one was.
    pub opened: u32,
}

/// All keys that ever spoke.
#[derive(Debug, Default)]
pub(crate) struct Keys {
    by_id: BTreeMap<i64, Key>,
    by_user: BTreeMap<i64, Vec<i64>>,
}

impl Keys {
    /// The caller's key, made on its first word.
    pub(crate) fn touch(&mut self, caller: &Caller) -> &mut Key {
        let now = unix_now();
        let key = self.by_id.entry(caller.auth_key_id).or_insert_with(|| Key {
            dc: caller.dc,
            user: None,
            awaits_password: None,
            exchange: None,
            main: false,
            device: String::new(),
            api_id: 0,
            created: now,
            active: now,
            seq: 0,
            refused: None,
            connections: 0,
            opened: 0,
            held: None,
        });
        key.active = now;
        if caller.api_id != 0 {
            key.api_id = caller.api_id;
        }
        if !caller.device.is_empty() && key.device != caller.device {
            key.device.clone_from(&caller.device);
        }
        key
    }

    pub(crate) fn key(&self, id: i64) -> Option<&Key> {
        self.by_id.get(&id)
    }

    pub(crate) fn key_mut(&mut self, id: i64) -> Option<&mut Key> {
        self.by_id.get_mut(&id)
    }

    /// The key is the user's from now on; `main` as in [`Key::main`].
    pub(crate) fn log_in(&mut self, id: i64, user: i64, main: bool) {
        self.log_out(id, None);
        if let Some(key) = self.by_id.get_mut(&id) {
            key.user = Some(user);
            key.main = main;
            key.awaits_password = None;
            key.refused = None;
            key.created = unix_now();
            self.by_user.entry(user).or_default().push(id);
        }
    }

    /// The key is nobody's from now on, and refuses with `why` if given.
    pub(crate) fn log_out(&mut self, id: i64, why: Option<RpcError>) {
        let Some(key) = self.by_id.get_mut(&id) else { return };
        key.refused = why;
        key.awaits_password = None;
        if let Some(user) = key.user.take()
            && let Some(ids) = self.by_user.get_mut(&user)
        {
            ids.retain(|other| *other != id);
        }
    }

    /// Forgets a key altogether.
    pub(crate) fn forget(&mut self, id: i64) {
        self.log_out(id, None);
        self.by_id.remove(&id);
    }

    /// All keys that hold the user's login.
    pub(crate) fn of_user(&self, user: i64) -> Vec<i64> {
        self.by_user.get(&user).cloned().unwrap_or_default()
    }

    /// The keys of a user that get updates.
    pub(crate) fn main_of(&self, user: i64) -> Vec<i64> {
        let main = |id: &i64| self.by_id.get(id).is_some_and(|key| key.main);
        self.by_user.get(&user).map(|ids| ids.iter().copied().filter(main).collect()).unwrap_or_default()
    }

    pub(crate) fn list(&self) -> Vec<KeyInfo> {
        let info = |(id, key): (&i64, &Key)| KeyInfo {
            auth_key_id: *id,
            dc: key.dc,
            user: key.user,
            main: key.main,
            device: key.device.clone(),
            connections: key.connections,
            opened: key.opened,
        };
        self.by_id.iter().map(info).collect()
    }
}
