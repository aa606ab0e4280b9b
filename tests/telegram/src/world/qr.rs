//! Logging in by a token that another device of the account accepts (core.telegram.org/api/qr-login).

use std::collections::BTreeMap;
use std::time::Duration;

use grammers_tl_types as tl;

use super::clock::{Due, unix_now};
use super::dispatch::Ctx;
use super::error::RpcError;
use super::login;
use super::outbox::Parcel;
use super::prime::random;
use super::settings::Wrap;
use super::state::State;

/// Life of a token, before scaling.
const LIFE: Duration = Duration::from_secs(30);
/// How long a token that has grown old is told from one that never was, before scaling.
const REMEMBERED: Duration = Duration::from_secs(300);

/// A token that a key asked for.
#[derive(Debug, Clone)]
struct Token {
    /// The key that asked.
    key: i64,
    /// Accounts that are not to accept it.
    except: Vec<i64>,
    expired: bool,
    /// Who accepted it.
    accepted: Option<i64>,
    /// A key was logged in with it.
    used: bool,
}

/// Tokens under way.
#[derive(Debug, Default)]
pub(crate) struct LoginTokens(BTreeMap<Vec<u8>, Token>);

impl LoginTokens {
    /// Lets a token grow old; one that is old already is forgotten.
    fn age(&mut self, bytes: &[u8]) -> bool {
        match self.0.get_mut(bytes) {
            Some(token) if !token.expired => {
                token.expired = true;
                true
            }
            _ => {
                self.0.remove(bytes);
                false
            }
        }
    }

    /// The token by which this key may be logged in, or has been as `user` a moment ago.
    fn accepted_for(&self, key: i64, user: Option<i64>) -> Option<(Vec<u8>, i64)> {
        let ready = |(bytes, token): (&Vec<u8>, &Token)| {
            let accepted = token.accepted.filter(|_| token.key == key && !token.expired)?;
            (!token.used || user == Some(accepted)).then(|| (bytes.clone(), accepted))
        };
        self.0.iter().find_map(ready)
    }

    /// The key is logged in: what was accepted for it has served.
    pub(crate) fn served(&mut self, key: i64) {
        for token in self.0.values_mut().filter(|token| token.key == key && token.accepted.is_some()) {
            token.used = true;
        }
    }

    fn usable(&mut self, bytes: &[u8]) -> Result<&mut Token, RpcError> {
        let token = self.0.get_mut(bytes).ok_or_else(|| RpcError::bad_request("AUTH_TOKEN_INVALID"))?;
        if token.used {
            return Err(RpcError::bad_request("AUTH_TOKEN_ALREADY_ACCEPTED"));
        }
        if token.expired {
            return Err(RpcError::bad_request("AUTH_TOKEN_EXPIRED"));
        }
        Ok(token)
    }
}

impl State {
    /// A token's time has come.
    pub(crate) fn token_due(&mut self, bytes: &[u8]) {
        if self.login_tokens.age(bytes) {
            self.clock.after_scaled(REMEMBERED, Due::TokenExpires(bytes.to_vec()));
        }
    }

    /// A user lets the key that asked for the token in; that key is told. Returns the key.
    pub(crate) fn accept_token(&mut self, user: i64, bytes: &[u8]) -> Result<i64, RpcError> {
        let token = self.login_tokens.usable(bytes)?;
        if token.accepted.is_some() {
            return Err(RpcError::bad_request("AUTH_TOKEN_ALREADY_ACCEPTED"));
        }
        if token.except.contains(&user) {
            return Err(RpcError::bad_request("AUTH_TOKEN_EXCEPTION"));
        }
        token.accepted = Some(user);
        let key = token.key;
        let update = tl::enums::Update::LoginToken;
        self.push(Parcel { key, update, users: Vec::new(), wrap: Wrap::Short });
        Ok(key)
    }
}

/// `auth.exportLoginToken`: a token, or what came of the last one.
pub(crate) fn export_login_token(
    ctx: &mut Ctx<'_>,
    request: tl::functions::auth::ExportLoginToken,
) -> Result<tl::enums::auth::LoginToken, RpcError> {
    let key = ctx.caller.auth_key_id;
    login::check_app(ctx, request.api_id, &request.api_hash)?;
    let logged_in = ctx.state.keys.key(key).and_then(|key| key.user);
    if let Some((bytes, user)) = ctx.state.login_tokens.accepted_for(key, logged_in) {
        return log_in(ctx, bytes, user);
    }
    let bytes = random::<32>().to_vec();
    let token = Token { key, except: request.except_ids, expired: false, accepted: None, used: false };
    ctx.state.login_tokens.0.insert(bytes.clone(), token);
    ctx.state.clock.after_scaled(LIFE, Due::TokenExpires(bytes.clone()));
    let life = i32::try_from(ctx.state.clock.scaled(LIFE).as_secs()).unwrap_or(i32::MAX);
    Ok(tl::types::auth::LoginToken { expires: unix_now().saturating_add(life), token: bytes }.into())
}

/// `auth.importLoginToken`, on the data centre that `auth.loginTokenMigrateTo` named.
pub(crate) fn import_login_token(
    ctx: &mut Ctx<'_>,
    request: tl::functions::auth::ImportLoginToken,
) -> Result<tl::enums::auth::LoginToken, RpcError> {
    let token = ctx.state.login_tokens.usable(&request.token)?;
    let user = token.accepted.ok_or_else(|| RpcError::bad_request("AUTH_TOKEN_INVALID"))?;
    log_in(ctx, request.token, user)
}

/// `auth.acceptLoginToken`.
pub(crate) fn accept_login_token(
    ctx: &mut Ctx<'_>,
    request: tl::functions::auth::AcceptLoginToken,
) -> Result<tl::enums::Authorization, RpcError> {
    let key = ctx.state.accept_token(ctx.user, &request.token)?;
    let locked = ctx.state.users.user(ctx.user).is_some_and(|user| user.lock.is_some());
    let listed = ctx.state.listed(key, false);
    let mut session = listed.ok_or_else(|| RpcError::bad_request("AUTH_TOKEN_INVALID"))?;
    session.password_pending = locked;
    Ok(session.into())
}

/// The caller's key is the user's from now on, if this is the right place and no password stands before it.
fn log_in(ctx: &mut Ctx<'_>, bytes: Vec<u8>, id: i64) -> Result<tl::enums::auth::LoginToken, RpcError> {
    let user = ctx.state.users.user(id).filter(|user| !user.deactivated);
    let user = user.ok_or_else(|| RpcError::unauthorized("USER_DEACTIVATED"))?;
    if user.dc != ctx.caller.dc {
        return Ok(tl::types::auth::LoginTokenMigrateTo { dc_id: user.dc, token: bytes }.into());
    }
    let logged_in = ctx.state.keys.key(ctx.caller.auth_key_id).and_then(|key| key.user);
    if logged_in == Some(id) {
        // The answer was lost, and is asked for again.
        let authorization = login::authorization(ctx, id);
        return Ok(tl::types::auth::LoginTokenSuccess { authorization }.into());
    }
    if user.lock.is_some() {
        if let Some(key) = ctx.state.keys.key_mut(ctx.caller.auth_key_id) {
            key.awaits_password = Some(id);
        }
        return Err(RpcError::unauthorized("SESSION_PASSWORD_NEEDED"));
    }
    if let Some(token) = ctx.state.login_tokens.0.get_mut(&bytes) {
        token.used = true;
    }
    let authorization = login::complete(ctx, id);
    Ok(tl::types::auth::LoginTokenSuccess { authorization }.into())
}
