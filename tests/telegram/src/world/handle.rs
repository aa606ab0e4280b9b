//! The handle of the world: what a test says to it, and what the wire asks it.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::runtime::Handle;
use tokio::sync::mpsc;

use super::call::CallInfo;
use super::clock::Clock;
use super::contacts::Contact;
use super::device::{self, Device};
use super::dispatch;
use super::error::RpcError;
use super::faults::{Action, Match, Rule, RuleInfo};
use super::journal::Entry;
use super::keys::KeyInfo;
use super::outbox::Outbox;
use super::password::Lock;
use super::privacy::{Audience, PrivacyInfo, PrivacyKind};
use super::settings::{CallSettings, Settings};
use super::state::State;
use super::users::{NewUser, UserError, UserInfo, digits};
use crate::link::{Answer, Caller, Push, Rpc};

/// Pushes on their way to the wire; a wire that lags further behind loses some.
pub(crate) const PUSH_QUEUE: usize = 65_536;

/// A world. Copies are handles of the same one.
#[derive(Debug, Clone)]
pub struct World(Arc<Inner>);

#[derive(Debug)]
pub(crate) struct Inner {
    state: Mutex<State>,
}

impl Inner {
    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl World {
    /// An empty world whose timers run on `runtime`; what it pushes comes out of the receiver.
    pub fn new(runtime: Handle, home_dc: i32, timers_scale: f64) -> (Self, mpsc::Receiver<Push>) {
        let (pushes, out) = mpsc::channel(PUSH_QUEUE);
        let inner = Arc::new_cyclic(|weak| Inner {
            state: Mutex::new(State::new(
                Clock::new(runtime, weak.clone(), timers_scale),
                Outbox::new(pushes),
                home_dc,
            )),
        });
        (Self(inner), out)
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock()
    }

    /// Where the data centres listen, for `help.getConfig`.
    pub fn set_addresses(&self, addresses: Vec<(i32, SocketAddr)>) {
        self.lock().addresses = addresses;
    }

    /// Adds a user. With a password it takes some ten milliseconds.
    ///
    /// # Errors
    /// What is wrong with the phone, or who has it, the name or the number already.
    pub fn add_user(&self, new: NewUser) -> Result<i64, UserError> {
        let lock = new.password.as_deref().map(Lock::new);
        let mut state = self.lock();
        let home_dc = state.home_dc;
        state.users.add(new, lock, home_dc)
    }

    /// Sets a second factor, or takes it away.
    pub fn set_password(&self, user: i64, password: Option<&str>) {
        let lock = password.map(Lock::new);
        if let Some(user) = self.lock().users.user_mut(user) {
            user.lock = lock;
        }
    }

    /// Sets the hint at a second factor, or takes it away.
    pub fn set_hint(&self, user: i64, hint: Option<&str>) {
        if let Some(user) = self.lock().users.user_mut(user) {
            user.hint = hint.map(str::to_owned);
        }
    }

    /// All users.
    pub fn users(&self) -> Vec<UserInfo> {
        self.lock().users.all().map(|user| user.info()).collect()
    }

    /// The login code that a phone waits for.
    pub fn pending_login_code(&self, phone: &str) -> Option<String> {
        let phone = digits(phone)?;
        self.lock().logins.pending(&phone).map(str::to_owned)
    }

    /// Lets that code grow too old. False if there was none.
    pub fn expire_login_code(&self, phone: &str) -> bool {
        digits(phone).is_some_and(|phone| self.lock().logins.expire(&phone))
    }

    /// Sends to this number are refused with `PHONE_NUMBER_BANNED`.
    pub fn ban_phone(&self, phone: &str) {
        if let Some(phone) = digits(phone) {
            self.lock().users.banned_phones.insert(phone);
        }
    }

    /// Gives a user another name, or none, and tells nobody.
    pub fn set_username(&self, user: i64, username: Option<&str>) {
        self.lock().users.set_username(user, username.map(str::to_owned));
    }

    /// Deletes a user's account, or brings it back.
    pub fn set_deactivated(&self, user: i64, deactivated: bool) {
        if let Some(user) = self.lock().users.user_mut(user) {
            user.deactivated = deactivated;
        }
    }

    /// Calls to this user are refused with `PARTICIPANT_VERSION_OUTDATED`, or no longer.
    pub fn set_outdated(&self, user: i64, outdated: bool) {
        if let Some(user) = self.lock().users.user_mut(user) {
            user.outdated = outdated;
        }
    }

    /// This user takes new chats from subscribers of Premium alone, or from everybody again.
    pub fn set_premium_only(&self, user: i64, premium_only: bool) {
        if let Some(user) = self.lock().users.user_mut(user) {
            user.premium_only = premium_only;
        }
    }

    /// Sets the language of a user's application, which bots are told.
    pub fn set_language(&self, user: i64, language: &str) {
        if let Some(user) = self.lock().users.user_mut(user) {
            user.language = Some(language.to_owned()).filter(|language| !language.is_empty());
        }
    }

    /// `owner` takes `other` into their contacts, under their own name, or out of them.
    pub fn set_contact(&self, owner: i64, other: i64, is_contact: bool) {
        let mut state = self.lock();
        let card = state.users.user(other).map(|user| Contact {
            first_name: user.first_name.clone(),
            last_name: user.last_name.clone(),
            by_phone: true,
        });
        let Some((owner, card)) = state.users.user_mut(owner).zip(card) else { return };
        if is_contact {
            owner.contacts.insert(other, card);
        } else {
            owner.contacts.remove(&other);
        }
    }

    /// `owner` blocks `other`, or no longer; a bot is told.
    pub fn set_blocked(&self, owner: i64, other: i64, blocked: bool) {
        self.lock().set_blocked(owner, other, blocked);
    }

    /// Sets a privacy rule without exceptions, and tells the user's devices.
    pub fn set_privacy(&self, user: i64, kind: PrivacyKind, audience: Audience) {
        self.set_privacy_except(user, &PrivacyInfo::plain(kind, audience));
    }

    /// Sets a privacy rule and its exceptions, and tells the user's devices.
    pub fn set_privacy_except(&self, user: i64, rule: &PrivacyInfo) {
        self.lock().set_privacy(user, rule.kind, rule.rules(), None);
    }

    /// A user's privacy rules.
    pub fn privacy(&self, user: i64) -> Vec<PrivacyInfo> {
        self.lock().users.user(user).map(|user| user.privacy.list()).unwrap_or_default()
    }

    /// What the world is set to.
    pub fn settings(&self) -> Settings {
        self.lock().settings.clone()
    }

    /// Changes what the world is set to.
    pub fn configure(&self, change: impl FnOnce(&mut Settings)) {
        change(&mut self.lock().settings);
    }

    /// What the protocol's timers are multiplied by, from the next timer on.
    pub fn set_timers_scale(&self, scale: f64) {
        self.lock().clock.scale = scale.max(0.0);
    }

    /// The next call to or from this user is made with these.
    pub fn set_next_call(&self, user: i64, settings: CallSettings) {
        self.lock().calls.set_next(user, settings);
    }

    /// A call that is not confirmed yet is confirmed with these. False if there is no such call.
    pub fn set_call(&self, call: i64, settings: CallSettings) -> bool {
        self.lock().calls.call_mut(call).map(|call| call.settings = settings).is_some()
    }

    /// Calls, the ended ones for a while, in the order of their numbers.
    pub fn calls(&self) -> Vec<CallInfo> {
        self.lock().calls.list()
    }

    /// One call.
    pub fn call_info(&self, id: i64) -> Option<CallInfo> {
        self.lock().calls.info(id)
    }

    /// Puts a fault in force and returns its number.
    pub fn add_fault(&self, matches: Match, action: Action) -> u64 {
        self.lock().faults.add(Rule { matches, action })
    }

    /// Takes a fault away. False if there is none of this number.
    pub fn remove_fault(&self, id: u64) -> bool {
        self.lock().faults.remove(id)
    }

    /// Takes all faults away.
    pub fn clear_faults(&self) {
        self.lock().faults.clear();
    }

    /// The faults in force.
    pub fn faults(&self) -> Vec<RuleInfo> {
        self.lock().faults.list()
    }

    /// Requests after the one with this number, oldest first; 0 gives all that are kept.
    pub fn journal(&self, after: u64) -> Vec<Entry> {
        self.lock().journal.since(after).cloned().collect()
    }

    /// How often a user called a method, among the requests kept.
    pub fn count(&self, user: i64, method: &str) -> usize {
        let mine = |entry: &&Entry| entry.user == Some(user) && entry.method == method;
        self.lock().journal.since(0).filter(mine).count()
    }

    /// Forgets the requests so far.
    pub fn clear_journal(&self) {
        self.lock().journal.clear();
    }

    /// All keys that ever spoke.
    pub fn keys(&self) -> Vec<KeyInfo> {
        self.lock().keys.list()
    }

    /// The keys that hold a user's login.
    pub fn keys_of(&self, user: i64) -> Vec<i64> {
        self.lock().keys.of_user(user)
    }

    /// Ends a session: 401 with this text (`SESSION_REVOKED`, `AUTH_KEY_UNREGISTERED`), connections closed.
    pub fn revoke(&self, auth_key_id: i64, text: &str) -> bool {
        self.lock().revoke(auth_key_id, RpcError::unauthorized(text))
    }

    /// Ends all sessions of a user.
    pub fn revoke_user(&self, user: i64, text: &str) {
        let mut state = self.lock();
        for key in state.keys.of_user(user) {
            state.revoke(key, RpcError::unauthorized(text));
        }
    }

    /// Forgets a key: its next message gets transport error -404.
    pub fn forget_key(&self, auth_key_id: i64) {
        let mut state = self.lock();
        state.keys.forget(auth_key_id);
        state.outbox.order(Push::ForgetKey { auth_key_id });
    }

    /// Closes the connections of a user with FIN; the sessions stay logged in.
    pub fn drop_connections(&self, user: i64) {
        self.order(user, |auth_key_id| Push::CloseConnections { auth_key_id });
    }

    /// Answers and pushes nothing more on the user's present connections.
    pub fn black_hole(&self, user: i64) {
        self.order(user, |auth_key_id| Push::BlackHole { auth_key_id });
    }

    /// Sends `new_session_created` in mid-life.
    pub fn new_session_created(&self, user: i64) {
        self.order(user, |auth_key_id| Push::NewSessionCreated { auth_key_id });
    }

    fn order(&self, user: i64, push: impl Fn(i64) -> Push) {
        let state = self.lock();
        for key in state.keys.of_user(user) {
            state.outbox.order(push(key));
        }
    }

    /// Uses up `count` sequence numbers of the user's sessions, as if containers had been lost.
    pub fn skip_seq(&self, user: i64, count: u32) {
        let mut state = self.lock();
        for key in state.keys.main_of(user) {
            for _ in 0..count {
                state.next_seq(key);
            }
        }
    }

    /// Pushes `updatesTooLong` to the user's sessions.
    pub fn push_too_long(&self, user: i64) {
        use grammers_tl_types::Serializable;
        let body = grammers_tl_types::enums::Updates::TooLong.to_bytes();
        self.order(user, |auth_key_id| Push::Updates { auth_key_id, body: body.clone() });
    }

    /// A device of the user without MTProto, logged in at once.
    ///
    /// # Errors
    /// 400 `USER_ID_INVALID` if there is no such user.
    pub fn device(&self, user: i64) -> Result<Device, RpcError> {
        device::log_in(self, user)
    }

    /// A request for a person to read; empty for a method that does not exist here.
    pub fn describe(body: &[u8]) -> String {
        dispatch::describe(body)
    }
}

impl Rpc for World {
    fn call(&self, caller: &Caller, body: &[u8]) -> Answer {
        self.lock().answer(caller, body)
    }

    fn connected(&self, caller: &Caller) {
        let mut state = self.lock();
        let key = state.keys.touch(caller);
        key.connections += 1;
        key.opened += 1;
    }

    fn disconnected(&self, caller: &Caller) {
        if let Some(key) = self.lock().keys.key_mut(caller.auth_key_id) {
            key.connections = key.connections.saturating_sub(1);
        }
    }
}
