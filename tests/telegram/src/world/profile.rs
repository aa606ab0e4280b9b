//! What users say of themselves: `account.updateProfile`, `account.updateUsername`.

use grammers_tl_types as tl;

use super::dispatch::Ctx;
use super::error::RpcError;

/// Longest first name, last name and text about oneself, in characters.
const NAME_MAX: usize = 64;
const ABOUT_MAX: usize = 70;

/// `account.updateProfile`: what is not named stays.
pub(crate) fn update_profile(
    ctx: &mut Ctx<'_>,
    request: tl::functions::account::UpdateProfile,
) -> Result<tl::enums::User, RpcError> {
    let long = |text: &Option<String>, most| text.as_ref().is_some_and(|text| text.chars().count() > most);
    let nameless = request.first_name.as_ref().is_some_and(|name| name.trim().is_empty());
    if nameless || long(&request.first_name, NAME_MAX) {
        return Err(RpcError::bad_request("FIRSTNAME_INVALID"));
    }
    if long(&request.last_name, NAME_MAX) {
        return Err(RpcError::bad_request("LASTNAME_INVALID"));
    }
    if long(&request.about, ABOUT_MAX) {
        return Err(RpcError::bad_request("ABOUT_TOO_LONG"));
    }
    let user = ctx.user;
    if let Some(me) = ctx.state.users.user_mut(user) {
        me.first_name = request.first_name.unwrap_or_else(|| me.first_name.clone());
        me.last_name = request
            .last_name
            .map_or_else(|| me.last_name.clone(), |name| Some(name).filter(|n| !n.is_empty()));
        me.about =
            request.about.map_or_else(|| me.about.clone(), |about| Some(about).filter(|a| !a.is_empty()));
    }
    tell_name(ctx);
    Ok(ctx.state.users.seen_by(user, user))
}

/// `account.checkUsername`.
pub(crate) fn check_username(
    ctx: &mut Ctx<'_>,
    request: tl::functions::account::CheckUsername,
) -> Result<bool, RpcError> {
    ctx.state.check_username(&request.username)
}

/// `account.updateUsername`: an empty one takes it away.
pub(crate) fn update_username(
    ctx: &mut Ctx<'_>,
    request: tl::functions::account::UpdateUsername,
) -> Result<tl::enums::User, RpcError> {
    let old = ctx.state.users.user(ctx.user).and_then(|me| me.username.clone()).unwrap_or_default();
    let name = request.username.trim_start_matches('@').to_owned();
    if name == old {
        return Err(RpcError::bad_request("USERNAME_NOT_MODIFIED"));
    }
    if !name.is_empty() && !name.eq_ignore_ascii_case(&old) {
        ctx.state.username_free(&name)?;
    }
    ctx.state.users.set_username(ctx.user, Some(name).filter(|name| !name.is_empty()));
    tell_name(ctx);
    Ok(ctx.state.users.seen_by(ctx.user, ctx.user))
}

/// Tells the caller's other devices and those who know them.
fn tell_name(ctx: &mut Ctx<'_>) {
    let Some(me) = ctx.state.users.user(ctx.user) else { return };
    let username = |name: &String| {
        let (editable, active, deletable, expired) = (true, true, false, false);
        tl::types::Username { editable, active, deletable, expired, username: name.clone() }.into()
    };
    let update: tl::enums::Update = tl::types::UpdateUserName {
        user_id: me.id,
        first_name: me.first_name.clone(),
        last_name: me.last_name.clone().unwrap_or_default(),
        usernames: me.username.iter().map(username).collect(),
    }
    .into();
    let knows = |other: &&super::users::User| other.contacts.contains_key(&ctx.user);
    let known_to: Vec<i64> = ctx.state.users.all().filter(knows).map(|other| other.id).collect();
    for viewer in known_to.into_iter().chain([ctx.user]) {
        ctx.state.push_to_others(viewer, ctx.caller.auth_key_id, update.clone(), &[ctx.user]);
    }
}
