//! What a supergroup or channel is called and looks like.

use grammers_tl_types as tl;

use super::life::member_of;
use crate::world::dispatch::Ctx;
use crate::world::error::RpcError;
use crate::world::groups;
use crate::world::state::State;
use crate::world::users::is_username;

impl State {
    /// Whether nobody has a user name.
    pub(crate) fn username_free(&self, name: &str) -> Result<(), RpcError> {
        if !is_username(name) {
            return Err(RpcError::bad_request("USERNAME_INVALID"));
        }
        if self.users.by_username(name).is_some() || self.groups.by_username(name).is_some() {
            return Err(RpcError::bad_request("USERNAME_OCCUPIED"));
        }
        Ok(())
    }

    /// The same as `checkUsername` of an account and of a channel answers it.
    pub(crate) fn check_username(&self, name: &str) -> Result<bool, RpcError> {
        match self.username_free(name) {
            Ok(()) => Ok(true),
            Err(error) if error.message == "USERNAME_OCCUPIED" => Ok(false),
            Err(error) => Err(error),
        }
    }
}

/// `channels.editTitle`.
pub(crate) fn edit_title(
    ctx: &mut Ctx<'_>,
    request: tl::functions::channels::EditTitle,
) -> Result<tl::enums::Updates, RpcError> {
    let id = member_of(ctx, &request.channel)?.id;
    groups::edit_title(ctx, id, &request.title)
}

/// `channels.editPhoto`.
pub(crate) fn edit_photo(
    ctx: &mut Ctx<'_>,
    request: tl::functions::channels::EditPhoto,
) -> Result<tl::enums::Updates, RpcError> {
    let id = member_of(ctx, &request.channel)?.id;
    groups::edit_photo(ctx, id, request.photo)
}

/// `channels.checkUsername`.
pub(crate) fn check_username(
    ctx: &mut Ctx<'_>,
    request: tl::functions::channels::CheckUsername,
) -> Result<bool, RpcError> {
    ctx.state.check_username(&request.username)
}

/// `channels.updateUsername`: an empty one makes it private again.
pub(crate) fn update_username(
    ctx: &mut Ctx<'_>,
    request: tl::functions::channels::UpdateUsername,
) -> Result<bool, RpcError> {
    let group = member_of(ctx, &request.channel)?;
    let (id, old) = (group.id, group.username.clone().unwrap_or_default());
    if group.creator != ctx.user {
        return Err(RpcError::bad_request("CHAT_ADMIN_REQUIRED"));
    }
    if old == request.username {
        return Err(RpcError::bad_request("USERNAME_NOT_MODIFIED"));
    }
    if !request.username.is_empty() && !old.eq_ignore_ascii_case(&request.username) {
        ctx.state.username_free(&request.username)?;
    }
    ctx.state.groups.set_username(id, Some(request.username).filter(|name| !name.is_empty()));
    let members = ctx.state.groups.members(id);
    ctx.state.tell_chat_changed(id, &members, Some(ctx.caller.auth_key_id));
    Ok(true)
}
