//! What a group is called, looks like and lets its members do: `messages.editChatTitle`, `editChatPhoto`,
//! `editChatAbout`, `editChatDefaultBannedRights`.

use grammers_tl_types as tl;

use super::basic::{member_of, title_of};
use crate::world::dispatch::Ctx;
use crate::world::error::RpcError;
use crate::world::messages::send::answered;
use crate::world::peers::peer;
use crate::world::state::State;

/// Longest text about a group, in characters.
const ABOUT_MAX: usize = 255;

impl State {
    /// Gives a group another title; the line about it is returned for the device `by`.
    pub(crate) fn retitle(
        &mut self,
        user: i64,
        id: i64,
        title: String,
        by: Option<i64>,
    ) -> tl::enums::Update {
        if let Some(group) = self.groups.group_mut(id) {
            group.title.clone_from(&title);
            group.version += 1;
        }
        let action = tl::types::MessageActionChatEditTitle { title }.into();
        self.tell_group(user, id, None, &action, by).update
    }

    /// Gives a group another photo, or none; the line about it is returned for the device `by`.
    pub(crate) fn set_chat_photo(
        &mut self,
        user: i64,
        id: i64,
        photo: Option<i64>,
        by: Option<i64>,
    ) -> tl::enums::Update {
        if let Some(group) = self.groups.group_mut(id) {
            group.photo = photo;
            group.version += 1;
        }
        let action = match photo.and_then(|photo| self.files.photo(photo)) {
            Some(photo) => tl::types::MessageActionChatEditPhoto { photo }.into(),
            None => tl::enums::MessageAction::ChatDeletePhoto,
        };
        self.tell_group(user, id, None, &action, by).update
    }
}

/// The caller may change how the group looks.
fn may_change(ctx: &Ctx<'_>, id: i64) -> Result<(), RpcError> {
    let may =
        member_of(ctx, id)?.may_as_member(ctx.user, |rights| rights.change_info, |bans| bans.change_info);
    if may { Ok(()) } else { Err(RpcError::bad_request("CHAT_ADMIN_REQUIRED")) }
}

/// Gives a group another title, if the caller may.
pub(crate) fn edit_title(ctx: &mut Ctx<'_>, id: i64, title: &str) -> Result<tl::enums::Updates, RpcError> {
    may_change(ctx, id)?;
    let title = title_of(title)?;
    if ctx.state.groups.group(id).is_some_and(|group| group.title == title) {
        return Err(RpcError::bad_request("CHAT_NOT_MODIFIED"));
    }
    let update = ctx.state.retitle(ctx.user, id, title, Some(ctx.caller.auth_key_id));
    Ok(answered(ctx, vec![update]))
}

/// Gives a group another photo, if the caller may.
pub(crate) fn edit_photo(
    ctx: &mut Ctx<'_>,
    id: i64,
    photo: tl::enums::InputChatPhoto,
) -> Result<tl::enums::Updates, RpcError> {
    may_change(ctx, id)?;
    let photo = photo_of(ctx, photo)?;
    if photo.is_none() && ctx.state.groups.group(id).is_some_and(|group| group.photo.is_none()) {
        return Err(RpcError::bad_request("CHAT_NOT_MODIFIED"));
    }
    let update = ctx.state.set_chat_photo(ctx.user, id, photo, Some(ctx.caller.auth_key_id));
    Ok(answered(ctx, vec![update]))
}

/// The number of a photo that a client names or has uploaded; none to take the present one away.
pub(crate) fn photo_of(ctx: &mut Ctx<'_>, input: tl::enums::InputChatPhoto) -> Result<Option<i64>, RpcError> {
    match input {
        tl::enums::InputChatPhoto::Empty => Ok(None),
        tl::enums::InputChatPhoto::InputChatUploadedPhoto(uploaded) => {
            let file = uploaded.file.ok_or_else(|| RpcError::bad_request("PHOTO_CROP_FILE_MISSING"))?;
            let bytes = ctx.state.files.join(ctx.user, &file)?;
            let dc = ctx.state.users.user(ctx.user).map_or(ctx.caller.dc, |user| user.dc);
            ctx.state.files.keep_photo(dc, bytes).map(Some)
        }
        tl::enums::InputChatPhoto::Photo(known) => match known.id {
            tl::enums::InputPhoto::Photo(known) => {
                let (id, hash) = (known.id, known.access_hash);
                ctx.state.files.check(id, hash, &known.file_reference, "PHOTO_INVALID").map(|()| Some(id))
            }
            tl::enums::InputPhoto::Empty => Ok(None),
        },
    }
}

/// `messages.editChatTitle`.
pub(crate) fn edit_chat_title(
    ctx: &mut Ctx<'_>,
    request: tl::functions::messages::EditChatTitle,
) -> Result<tl::enums::Updates, RpcError> {
    let id = ctx.state.basic(request.chat_id)?;
    edit_title(ctx, id, &request.title)
}

/// `messages.editChatPhoto`.
pub(crate) fn edit_chat_photo(
    ctx: &mut Ctx<'_>,
    request: tl::functions::messages::EditChatPhoto,
) -> Result<tl::enums::Updates, RpcError> {
    let id = ctx.state.basic(request.chat_id)?;
    edit_photo(ctx, id, request.photo)
}

fn input_group(ctx: &Ctx<'_>, input: &tl::enums::InputPeer) -> Result<i64, RpcError> {
    let id = ctx.state.input_peer(ctx.user, input)?;
    Some(id).filter(|id| *id < 0).ok_or_else(|| RpcError::bad_request("PEER_ID_INVALID"))
}

/// `messages.editChatAbout`: of groups of any kind.
pub(crate) fn edit_chat_about(
    ctx: &mut Ctx<'_>,
    request: tl::functions::messages::EditChatAbout,
) -> Result<bool, RpcError> {
    let id = input_group(ctx, &request.peer)?;
    may_change(ctx, id)?;
    if request.about.chars().count() > ABOUT_MAX {
        return Err(RpcError::bad_request("CHAT_ABOUT_TOO_LONG"));
    }
    let Some(group) = ctx.state.groups.group_mut(id) else { return Ok(false) };
    if group.about == request.about {
        return Err(RpcError::bad_request("CHAT_ABOUT_NOT_MODIFIED"));
    }
    group.about = request.about;
    let members = ctx.state.groups.members(id);
    ctx.state.tell_chat_changed(id, &members, Some(ctx.caller.auth_key_id));
    Ok(true)
}

/// `messages.editChatDefaultBannedRights`: of groups of any kind.
pub(crate) fn edit_chat_default_banned_rights(
    ctx: &mut Ctx<'_>,
    request: tl::functions::messages::EditChatDefaultBannedRights,
) -> Result<tl::enums::Updates, RpcError> {
    let id = input_group(ctx, &request.peer)?;
    if !member_of(ctx, id)?.may(ctx.user, |rights| rights.ban_users) {
        return Err(RpcError::bad_request("CHAT_ADMIN_REQUIRED"));
    }
    let tl::enums::ChatBannedRights::Rights(bans) = request.banned_rights;
    let bans = tl::types::ChatBannedRights { until_date: i32::MAX, ..bans };
    let Some(group) = ctx.state.groups.group_mut(id) else {
        return Err(RpcError::bad_request("PEER_ID_INVALID"));
    };
    if group.default_bans == bans {
        return Err(RpcError::bad_request("CHAT_NOT_MODIFIED"));
    }
    group.default_bans = bans.clone();
    group.version += 1;
    let version = group.version;
    let update: tl::enums::Update = tl::types::UpdateChatDefaultBannedRights {
        peer: peer(id),
        default_banned_rights: bans.into(),
        version,
    }
    .into();
    for member in ctx.state.groups.members(id) {
        ctx.state.push_to_others(member, ctx.caller.auth_key_id, update.clone(), &[id]);
    }
    Ok(answered(ctx, vec![update]))
}
