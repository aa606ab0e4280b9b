//! `phone.*`: the requests of both sides of a call.

use grammers_tl_types as tl;
use sha2::{Digest, Sha256};

use super::call::{Call, Ending, Role, Side, Stage};
use super::calls::{self, CONNECT_TIMEOUT, RECEIVE_TIMEOUT, RING_TIMEOUT};
use super::clock::{Due, unix_now};
use super::dispatch::Ctx;
use super::error::RpcError;
use super::prime;
use super::privacy::PrivacyKind;
use super::protocol;

/// How long after the request's answer a busy callee is told, so that the answer is there first.
const BUSY_AFTER: std::time::Duration = std::time::Duration::from_millis(30);
/// Longest signaling data taken, in bytes; Telegram's own limit is unknown.
const SIGNALING_MAX: usize = 64 * 1024;

type CallAnswer = Result<tl::enums::phone::PhoneCall, RpcError>;

/// `phone.getCallConfig`.
pub(crate) fn get_call_config(
    _: &mut Ctx<'_>,
    _: tl::functions::phone::GetCallConfig,
) -> Result<tl::enums::DataJson, RpcError> {
    let data = r#"{"use_system_ns":true,"use_system_aec":true,"voip_enable_stun_marking":false,"hangup_ui_timeout":5}"#;
    Ok(tl::types::DataJson { data: data.to_owned() }.into())
}

/// `phone.requestCall`.
pub(crate) fn request_call(ctx: &mut Ctx<'_>, request: tl::functions::phone::RequestCall) -> CallAnswer {
    let caller = ctx.user;
    let callee = ctx.state.input_user(caller, &request.user_id)?;
    may_call(ctx, caller, callee)?;
    let tl::enums::PhoneCallProtocol::Protocol(protocol) = request.protocol;
    protocol::check(&protocol)?;
    if request.g_a_hash.len() != 32 {
        return Err(RpcError::bad_request("G_A_HASH_INVALID"));
    }
    if !ctx.state.calls.take_random_id(caller, request.random_id) {
        return Err(RpcError::new(500, "RANDOM_ID_DUPLICATE"));
    }
    let settings = ctx.state.calls.take_next([caller, callee]);
    let settings = settings.unwrap_or_else(|| ctx.state.settings.calls.clone());
    let id = i64::from_le_bytes(prime::random()) & i64::MAX;
    let side = |user, key| Side { user, key, access_hash: i64::from_le_bytes(prime::random()) };
    let (admin, participant) = (side(caller, Some(ctx.caller.auth_key_id)), side(callee, None));
    let mut call = Call::new(id, admin, participant, request.video, request.g_a_hash, protocol, settings);
    let answer = call.waiting(Role::Admin);
    if ctx.state.calls.is_held(callee) {
        call.offered = false;
        ctx.state.calls.insert(call);
        ctx.state.clock.after(BUSY_AFTER, Due::Occupied(id));
    } else {
        for key in ctx.state.keys.main_of(callee) {
            ctx.state.push_call(key, call.requested(), [caller, callee]);
        }
        ctx.state.calls.insert(call);
        ctx.state.clock.after_scaled(RECEIVE_TIMEOUT, Due::Unreceived(id));
    }
    Ok(phone_call(ctx, answer, [caller, callee]))
}

fn may_call(ctx: &Ctx<'_>, caller: i64, callee: i64) -> Result<(), RpcError> {
    if callee == caller {
        return Err(RpcError::bad_request("USER_ID_INVALID"));
    }
    let users = &ctx.state.users;
    let (Some(me), Some(other)) = (users.user(caller), users.user(callee)) else {
        return Err(RpcError::bad_request("USER_ID_INVALID"));
    };
    if other.bot.is_some() {
        return Err(RpcError::bad_request("USER_ID_INVALID"));
    }
    if other.deactivated {
        return Err(RpcError::bad_request("INPUT_USER_DEACTIVATED"));
    }
    if other.blocked.contains_key(&caller) {
        return Err(RpcError::forbidden("USER_IS_BLOCKED"));
    }
    if me.blocked.contains_key(&callee) {
        return Err(RpcError::bad_request("YOU_BLOCKED_USER"));
    }
    if !users.allows(callee, PrivacyKind::PhoneCall, caller) {
        return Err(RpcError::forbidden("USER_PRIVACY_RESTRICTED"));
    }
    if other.outdated {
        return Err(RpcError::bad_request("PARTICIPANT_VERSION_OUTDATED"));
    }
    Ok(())
}

/// `phone.receivedCall`: it rings here; from now on further callers find the callee busy.
pub(crate) fn received_call(
    ctx: &mut Ctx<'_>,
    request: tl::functions::phone::ReceivedCall,
) -> Result<bool, RpcError> {
    let (call, role) = ctx.state.input_call(ctx.user, &request.peer)?;
    let (id, stage) = (call.id, call.stage);
    if role != Role::Participant {
        return Err(RpcError::bad_request("CALL_PEER_INVALID"));
    }
    match stage {
        Stage::Ended => Err(RpcError::bad_request("CALL_ALREADY_DECLINED")),
        Stage::Ringing | Stage::Accepted | Stage::Active => Ok(true),
        Stage::Requested => {
            ctx.state.calls.hold(ctx.user, id);
            let Some(call) = ctx.state.calls.call_mut(id) else { return Ok(true) };
            call.stage = Stage::Ringing;
            call.receive_date = Some(unix_now());
            let call = call.clone();
            ctx.state.clock.after_scaled(RING_TIMEOUT, Due::Unanswered(id));
            ctx.state.push_to_admin(&call, call.waiting(Role::Admin));
            Ok(true)
        }
    }
}

/// `phone.acceptCall`: the first device gets the call, the callee's others are told that it is over for them.
pub(crate) fn accept_call(ctx: &mut Ctx<'_>, request: tl::functions::phone::AcceptCall) -> CallAnswer {
    let (call, role) = ctx.state.input_call(ctx.user, &request.peer)?;
    let (id, stage, versions) = (call.id, call.stage, call.settings.versions);
    if role != Role::Participant {
        return Err(RpcError::bad_request("CALL_PEER_INVALID"));
    }
    match stage {
        Stage::Requested | Stage::Ringing => {}
        Stage::Accepted | Stage::Active => return Err(RpcError::bad_request("CALL_ALREADY_ACCEPTED")),
        Stage::Ended => return Err(RpcError::bad_request("CALL_ALREADY_DECLINED")),
    }
    let tl::enums::PhoneCallProtocol::Protocol(callee_protocol) = request.protocol;
    protocol::check(&callee_protocol)?;
    let merged = protocol::merge(&call.protocol, &callee_protocol, versions)?;
    if request.g_b.is_empty() || request.g_b.len() > 256 {
        return Err(RpcError::bad_request("G_B_INVALID"));
    }
    let this_key = ctx.caller.auth_key_id;
    let Some(call) = ctx.state.calls.call_mut(id) else {
        return Err(RpcError::bad_request("CALL_PEER_INVALID"));
    };
    call.stage = Stage::Accepted;
    call.participant.key = Some(this_key);
    call.g_b = request.g_b;
    call.protocol = merged;
    call.callee_protocol = Some(callee_protocol);
    let call = call.clone();
    let users = [call.admin.user, call.participant.user];
    ctx.state.stop_ringing(ctx.user, id);
    ctx.state.clock.after_scaled(CONNECT_TIMEOUT, Due::Unconfirmed(id));
    ctx.state.push_to_admin(&call, call.accepted());
    for key in ctx.state.keys.main_of(ctx.user) {
        if key != this_key {
            ctx.state.push_call(key, call.discarded(), users);
        }
    }
    Ok(phone_call(ctx, call.waiting(Role::Participant), users))
}

/// `phone.confirmCall`: the caller opens its half of the key, which must be the one it promised.
pub(crate) fn confirm_call(ctx: &mut Ctx<'_>, request: tl::functions::phone::ConfirmCall) -> CallAnswer {
    let (call, role) = ctx.state.input_call(ctx.user, &request.peer)?;
    let id = call.id;
    if role != Role::Admin || call.admin.key != Some(ctx.caller.auth_key_id) {
        return Err(RpcError::bad_request("CALL_PEER_INVALID"));
    }
    match call.stage {
        Stage::Accepted => {}
        Stage::Requested | Stage::Ringing => return Err(RpcError::bad_request("CALL_PEER_INVALID")),
        Stage::Active => return Err(RpcError::bad_request("CALL_ALREADY_ACCEPTED")),
        Stage::Ended => return Err(RpcError::bad_request("CALL_ALREADY_DECLINED")),
    }
    if Sha256::digest(&request.g_a)[..] != call.g_a_hash {
        return Err(RpcError::bad_request("G_A_INVALID"));
    }
    let tl::enums::PhoneCallProtocol::Protocol(caller_protocol) = request.protocol;
    protocol::check(&caller_protocol)?;
    let callee_protocol = call.callee_protocol.clone().unwrap_or_else(|| call.protocol.clone());
    let merged = protocol::merge(&caller_protocol, &callee_protocol, call.settings.versions)?;
    let Some(call) = ctx.state.calls.call_mut(id) else {
        return Err(RpcError::bad_request("CALL_PEER_INVALID"));
    };
    call.stage = Stage::Active;
    call.g_a = request.g_a;
    call.key_fingerprint = request.key_fingerprint;
    call.protocol = merged;
    call.start_date = unix_now();
    let call = call.clone();
    let users = [call.admin.user, call.participant.user];
    if let Some(key) = call.participant.key {
        let seen = ctx.state.confirmed(&call, Role::Participant);
        ctx.state.push_call(key, seen, users);
    }
    let seen = ctx.state.confirmed(&call, Role::Admin);
    Ok(phone_call(ctx, seen, users))
}

/// `phone.discardCall`, at any time by either side. A call that is over already is told again.
pub(crate) fn discard_call(
    ctx: &mut Ctx<'_>,
    request: tl::functions::phone::DiscardCall,
) -> Result<tl::enums::Updates, RpcError> {
    let this_key = ctx.caller.auth_key_id;
    let (call, role) = ctx.state.input_call(ctx.user, &request.peer)?;
    let (id, talked) = (call.id, call.start_date != 0);
    let users = [call.admin.user, call.participant.user];
    let ours = call.side(role).key.is_none_or(|key| key == this_key);
    if !ours && call.stage != Stage::Ended {
        return Err(RpcError::bad_request("CALL_ALREADY_ACCEPTED"));
    }
    let updates = if call.stage == Stage::Ended {
        vec![tl::types::UpdatePhoneCall { phone_call: call.discarded() }.into()]
    } else {
        let duration = talked.then_some(request.duration.max(0));
        ctx.state.end_call(id, Some(Ending::from_tl(request.reason)), duration, Some(this_key))
    };
    Ok(calls::answer(updates, ctx.state.users.many_seen_by(ctx.user, users)))
}

/// `phone.sendSignalingData`: forwarded unread.
pub(crate) fn send_signaling_data(
    ctx: &mut Ctx<'_>,
    request: tl::functions::phone::SendSignalingData,
) -> Result<bool, RpcError> {
    let (call, role) = ctx.state.input_call(ctx.user, &request.peer)?;
    if call.side(role).key != Some(ctx.caller.auth_key_id) {
        return Err(RpcError::bad_request("CALL_PEER_INVALID"));
    }
    if call.stage != Stage::Active {
        return Err(RpcError::bad_request("CALL_NOT_ACTIVE"));
    }
    if request.data.len() > SIGNALING_MAX {
        return Err(RpcError::bad_request("DATA_TOO_LONG"));
    }
    let id = call.id;
    ctx.state.forward_signaling(id, role, request.data);
    Ok(true)
}

/// `phone.setCallRating`.
pub(crate) fn set_call_rating(
    ctx: &mut Ctx<'_>,
    request: tl::functions::phone::SetCallRating,
) -> Result<tl::enums::Updates, RpcError> {
    ctx.state.input_call(ctx.user, &request.peer)?;
    if !(1..=5).contains(&request.rating) {
        return Err(RpcError::bad_request("RATING_INVALID"));
    }
    Ok(calls::answer(Vec::new(), Vec::new()))
}

/// `phone.saveCallDebug`.
pub(crate) fn save_call_debug(
    ctx: &mut Ctx<'_>,
    request: tl::functions::phone::SaveCallDebug,
) -> Result<bool, RpcError> {
    ctx.state.input_call(ctx.user, &request.peer)?;
    let tl::enums::DataJson::Json(debug) = request.debug;
    if serde_json::from_str::<serde_json::Value>(&debug.data).is_err() {
        return Err(RpcError::bad_request("DATA_JSON_INVALID"));
    }
    Ok(true)
}

/// `phone.saveCallLog`.
pub(crate) fn save_call_log(
    ctx: &mut Ctx<'_>,
    request: tl::functions::phone::SaveCallLog,
) -> Result<bool, RpcError> {
    ctx.state.input_call(ctx.user, &request.peer)?;
    Ok(true)
}

fn phone_call(
    ctx: &Ctx<'_>,
    phone_call: tl::enums::PhoneCall,
    users: [i64; 2],
) -> tl::enums::phone::PhoneCall {
    let users = ctx.state.users.many_seen_by(ctx.user, users);
    tl::types::phone::PhoneCall { phone_call, users }.into()
}
