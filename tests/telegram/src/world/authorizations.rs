//! The list of a user's sessions, and how one ends (`account.getAuthorizations` and its kin).

use grammers_tl_types as tl;
use sha2::{Digest, Sha256};

use super::dispatch::Ctx;
use super::error::RpcError;
use super::state::State;
use crate::link::Push;

impl State {
    /// The number under which a session is listed.
    pub(crate) fn authorization_hash(&self, key: i64) -> i64 {
        let digest = Sha256::new().chain_update(b"authorization").chain_update(key.to_le_bytes()).finalize();
        let (first, _) = digest.split_first_chunk::<8>().expect("a digest has 32 bytes");
        i64::from_le_bytes(*first)
    }

    /// A session as it is listed.
    pub(crate) fn listed(&self, id: i64, current: bool) -> Option<tl::types::Authorization> {
        let key = self.keys.key(id)?;
        Some(tl::types::Authorization {
            current,
            official_app: false,
            password_pending: false,
            encrypted_requests_disabled: false,
            call_requests_disabled: false,
            unconfirmed: false,
            hash: if current { 0 } else { self.authorization_hash(id) },
            device_model: key.device.clone(),
            platform: "test".to_owned(),
            system_version: String::new(),
            api_id: key.api_id,
            app_name: format!("app {}", key.api_id),
            app_version: String::new(),
            date_created: key.created,
            date_active: key.active,
            ip: "127.0.0.1".to_owned(),
            country: "loopback".to_owned(),
            region: String::new(),
        })
    }

    /// Ends a session: its methods are refused with `why`, its connections close.
    pub(crate) fn revoke(&mut self, key: i64, why: RpcError) -> bool {
        let known = self.keys.key(key).is_some();
        self.keys.log_out(key, Some(why));
        self.outbox.unplug(key);
        self.outbox.order(Push::CloseConnections { auth_key_id: key });
        known
    }
}

/// `account.getAuthorizations`.
pub(crate) fn authorizations(
    ctx: &mut Ctx<'_>,
    _: tl::functions::account::GetAuthorizations,
) -> Result<tl::enums::account::Authorizations, RpcError> {
    let this_key = ctx.caller.auth_key_id;
    let keys = ctx.state.keys.main_of(ctx.user).into_iter();
    let listed = keys.filter_map(|key| ctx.state.listed(key, key == this_key));
    let authorizations = listed.map(tl::enums::Authorization::from).collect();
    Ok(tl::types::account::Authorizations { authorization_ttl_days: 180, authorizations }.into())
}

/// `account.resetAuthorization`.
pub(crate) fn reset_authorization(
    ctx: &mut Ctx<'_>,
    request: tl::functions::account::ResetAuthorization,
) -> Result<bool, RpcError> {
    let others = ctx.state.keys.main_of(ctx.user);
    let meant = others.into_iter().find(|key| ctx.state.authorization_hash(*key) == request.hash);
    let meant = meant.filter(|key| *key != ctx.caller.auth_key_id);
    let key = meant.ok_or_else(|| RpcError::bad_request("HASH_INVALID"))?;
    Ok(ctx.state.revoke(key, RpcError::unauthorized("SESSION_REVOKED")))
}

/// `auth.resetAuthorizations`: all but this one.
pub(crate) fn reset_authorizations(
    ctx: &mut Ctx<'_>,
    _: tl::functions::auth::ResetAuthorizations,
) -> Result<bool, RpcError> {
    for key in ctx.state.keys.of_user(ctx.user) {
        if key != ctx.caller.auth_key_id {
            ctx.state.revoke(key, RpcError::unauthorized("SESSION_REVOKED"));
        }
    }
    Ok(true)
}
