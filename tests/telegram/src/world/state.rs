//! All that the world knows, under one lock.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use super::bots::Bots;
use super::calls::Calls;
use super::clock::{Clock, Due, unix_now_ms};
use super::dispatch::{self, Ctx, Reply};
use super::error::RpcError;
use super::faults::{Fate, Faults};
use super::files::Files;
use super::groups::Groups;
use super::journal::{Entry, Journal};
use super::keys::Keys;
use super::login::Logins;
use super::messages::polls::Polls;
use super::messages::scheduled::Scheduled;
use super::messages::send::RandomIds;
use super::messages::webpages::WebPages;
use super::outbox::Outbox;
use super::qr::LoginTokens;
use super::settings::Settings;
use super::users::Users;
use crate::link::{Answer, Caller};

/// The world's contents.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) users: Users,
    pub(crate) keys: Keys,
    pub(crate) logins: Logins,
    pub(crate) login_tokens: LoginTokens,
    pub(crate) calls: Calls,
    pub(crate) random_ids: RandomIds,
    pub(crate) files: Files,
    pub(crate) groups: Groups,
    pub(crate) polls: Polls,
    pub(crate) scheduled: Scheduled,
    pub(crate) web_pages: WebPages,
    pub(crate) bots: Bots,
    pub(crate) faults: Faults,
    pub(crate) journal: Journal,
    pub(crate) settings: Settings,
    pub(crate) clock: Clock,
    pub(crate) outbox: Outbox,
    /// Numbers in users' address books that are nobody's.
    pub(crate) saved_phones: BTreeMap<i64, BTreeSet<String>>,
    /// Where numbers without account belong.
    pub(crate) home_dc: i32,
    /// Where each data centre listens.
    pub(crate) addresses: Vec<(i32, SocketAddr)>,
}

impl State {
    pub(crate) fn new(clock: Clock, outbox: Outbox, home_dc: i32) -> Self {
        Self {
            users: Users::new(),
            keys: Keys::default(),
            logins: Logins::default(),
            login_tokens: LoginTokens::default(),
            calls: Calls::default(),
            random_ids: RandomIds::default(),
            files: Files::default(),
            groups: Groups::default(),
            polls: Polls::default(),
            scheduled: Scheduled::default(),
            web_pages: WebPages::default(),
            bots: Bots::default(),
            faults: Faults::default(),
            journal: Journal::default(),
            settings: Settings::default(),
            clock,
            outbox,
            saved_phones: BTreeMap::new(),
            home_dc,
            addresses: Vec::new(),
        }
    }

    /// Serves a request, or what a fault makes of it, and writes it down.
    pub(crate) fn answer(&mut self, caller: &Caller, body: &[u8]) -> Answer {
        let user = self.keys.touch(caller).user;
        let method = dispatch::name(body);
        let (answer, outcome) = match self.faults.fate(user, caller.auth_key_id, method) {
            Fate::Serve => told(self.serve(caller, body)),
            Fate::Late(by) => {
                let (answer, outcome) = told(self.serve(caller, body));
                (self.clock.late(by, answer), format!("{outcome}, late"))
            }
            Fate::Unanswered => {
                let (_, outcome) = told(self.serve(caller, body));
                (Answer::Silence, format!("{outcome}, unanswered"))
            }
            Fate::Instead(answer, outcome) => (answer, outcome),
        };
        tracing::debug!(method, user, dc = caller.dc, outcome, "request");
        self.journal.note(Entry {
            number: 0,
            at_ms: unix_now_ms(),
            method,
            user: user.or_else(|| self.keys.key(caller.auth_key_id).and_then(|key| key.user)),
            auth_key_id: caller.auth_key_id,
            dc: caller.dc,
            body: body.to_vec(),
            outcome,
        });
        answer
    }

    fn serve(&mut self, caller: &Caller, body: &[u8]) -> Result<Reply, RpcError> {
        let user = self.keys.key(caller.auth_key_id).and_then(|key| key.user);
        dispatch::dispatch(&mut Ctx { state: self, caller, user: user.unwrap_or(0) }, body)
    }

    /// Something has come due.
    pub(crate) fn fire(&mut self, due: Due) {
        match due {
            Due::Unreceived(_) | Due::Unanswered(_) | Due::Unconfirmed(_) | Due::Occupied(_) => {
                self.call_due(&due)
            }
            Due::InlineUnanswered(query) => self.inline_due(query),
            Due::PressUnanswered(query) => self.press_due(query),
            Due::CodeExpires(hash) => self.code_due(&hash),
            Due::TokenExpires(token) => self.token_due(&token),
            Due::Scheduled { user, to, id, date } => self.scheduled_due(user, to, id, date),
            Due::Push(parcel) => self.send(*parcel),
            Due::Release(key) => self.release(key),
        }
    }

    /// Whether a method that wants a login may go on.
    pub(crate) fn admit(&self, key: i64) -> Result<i64, RpcError> {
        let unregistered = || RpcError::unauthorized("AUTH_KEY_UNREGISTERED");
        let key = self.keys.key(key).ok_or_else(unregistered)?;
        if let Some(why) = &key.refused {
            return Err(why.clone());
        }
        let Some(user) = key.user else {
            return Err(match key.awaits_password {
                Some(_) => RpcError::unauthorized("SESSION_PASSWORD_NEEDED"),
                None => unregistered(),
            });
        };
        if self.users.user(user).is_none_or(|user| user.deactivated) {
            return Err(RpcError::unauthorized("USER_DEACTIVATED"));
        }
        Ok(user)
    }
}

fn told(result: Result<Reply, RpcError>) -> (Answer, String) {
    match result {
        Ok(Reply::Now(bytes)) => (Answer::Result(bytes), "ok".to_owned()),
        Ok(Reply::Later(answer)) => (Answer::Later(answer), "ok, a bot is asked".to_owned()),
        Err(error) => {
            let outcome = error.to_string();
            (error.into(), outcome)
        }
    }
}
