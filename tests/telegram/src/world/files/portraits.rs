//! Portraits of users: `photos.uploadProfilePhoto`, `photos.getUserPhotos` and their kin.

use grammers_tl_types as tl;

use crate::world::dispatch::Ctx;
use crate::world::error::RpcError;
use crate::world::handle::World;
use crate::world::state::State;

/// Most in one answer.
const PAGE_MAX: usize = 100;

impl State {
    /// Gives a user a new portrait, and tells those who know them.
    pub(crate) fn set_portrait(&mut self, user: i64, photo: i64, by: Option<i64>) {
        if let Some(user) = self.users.user_mut(user) {
            user.photos.retain(|known| *known != photo);
            user.photos.insert(0, photo);
        }
        self.tell_user_changed(user, by);
    }

    /// Tells the user's own devices, but the key `by`, and those who have them as a contact, that they look different.
    pub(crate) fn tell_user_changed(&mut self, user: i64, by: Option<i64>) {
        let knows = |other: &&crate::world::users::User| other.contacts.contains_key(&user);
        let known_to: Vec<i64> = self.users.all().filter(knows).map(|other| other.id).collect();
        for viewer in known_to.into_iter().chain([user]) {
            let update = tl::types::UpdateUser { user_id: user };
            self.push_to_others(viewer, by.unwrap_or(0), update.into(), &[user]);
        }
    }
}

/// `photos.uploadProfilePhoto`.
pub(crate) fn upload_profile_photo(
    ctx: &mut Ctx<'_>,
    request: tl::functions::photos::UploadProfilePhoto,
) -> Result<tl::enums::photos::Photo, RpcError> {
    let file = request.file.ok_or_else(|| RpcError::bad_request("PHOTO_FILE_MISSING"))?;
    let bytes = ctx.state.files.join(ctx.user, &file)?;
    let dc = ctx.state.users.user(ctx.user).map_or(ctx.caller.dc, |user| user.dc);
    let id = ctx.state.files.keep_photo(dc, bytes)?;
    ctx.state.set_portrait(ctx.user, id, Some(ctx.caller.auth_key_id));
    told(ctx, id)
}

/// `photos.updateProfilePhoto`: an older one again, or none.
pub(crate) fn update_profile_photo(
    ctx: &mut Ctx<'_>,
    request: tl::functions::photos::UpdateProfilePhoto,
) -> Result<tl::enums::photos::Photo, RpcError> {
    let (user, key) = (ctx.user, Some(ctx.caller.auth_key_id));
    match request.id {
        tl::enums::InputPhoto::Photo(named) => {
            let (id, hash) = (named.id, named.access_hash);
            ctx.state.files.check(id, hash, &named.file_reference, "PHOTO_ID_INVALID")?;
            ctx.state.set_portrait(user, id, key);
            told(ctx, id)
        }
        tl::enums::InputPhoto::Empty => {
            if let Some(me) = ctx.state.users.user_mut(user)
                && !me.photos.is_empty()
            {
                me.photos.remove(0);
            }
            ctx.state.tell_user_changed(user, key);
            let (photo, users) = (tl::types::PhotoEmpty { id: 0 }.into(), seen(ctx, user));
            Ok(tl::types::photos::Photo { photo, users }.into())
        }
    }
}

/// `photos.deletePhotos`.
pub(crate) fn delete_photos(
    ctx: &mut Ctx<'_>,
    request: tl::functions::photos::DeletePhotos,
) -> Result<Vec<i64>, RpcError> {
    let named = |input: &tl::enums::InputPhoto| match input {
        tl::enums::InputPhoto::Photo(photo) => Some(photo.id),
        tl::enums::InputPhoto::Empty => None,
    };
    let ids: Vec<i64> = request.id.iter().filter_map(named).collect();
    let Some(me) = ctx.state.users.user_mut(ctx.user) else { return Ok(Vec::new()) };
    let gone: Vec<i64> = ids.into_iter().filter(|id| me.photos.contains(id)).collect();
    me.photos.retain(|photo| !gone.contains(photo));
    ctx.state.tell_user_changed(ctx.user, Some(ctx.caller.auth_key_id));
    Ok(gone)
}

/// `photos.getUserPhotos`: the newest first.
pub(crate) fn get_user_photos(
    ctx: &mut Ctx<'_>,
    request: tl::functions::photos::GetUserPhotos,
) -> Result<tl::enums::photos::Photos, RpcError> {
    let id = ctx.state.input_user(ctx.user, &request.user_id)?;
    let all = ctx.state.users.user(id).map(|user| user.photos.clone()).unwrap_or_default();
    let (offset, limit) =
        (usize::try_from(request.offset).unwrap_or(0), usize::try_from(request.limit).unwrap_or(0));
    let older = all.iter().filter(|photo| request.max_id == 0 || **photo < request.max_id);
    let page = older.skip(offset).take(limit.min(PAGE_MAX));
    let photos: Vec<_> = page.filter_map(|photo| ctx.state.files.photo(*photo)).collect();
    let users = seen(ctx, id);
    if photos.len() == all.len() {
        return Ok(tl::types::photos::Photos { photos, users }.into());
    }
    let count = i32::try_from(all.len()).unwrap_or(i32::MAX);
    Ok(tl::types::photos::PhotosSlice { count, photos, users }.into())
}

fn told(ctx: &Ctx<'_>, id: i64) -> Result<tl::enums::photos::Photo, RpcError> {
    let photo = ctx.state.files.photo(id).ok_or_else(|| RpcError::bad_request("PHOTO_ID_INVALID"))?;
    Ok(tl::types::photos::Photo { photo, users: seen(ctx, ctx.user) }.into())
}

fn seen(ctx: &Ctx<'_>, user: i64) -> Vec<tl::enums::User> {
    ctx.state.named(ctx.user, [user]).users
}

impl World {
    /// Gives a user a portrait: a PNG or JPEG.
    ///
    /// # Errors
    /// `USER_ID_INVALID`, `IMAGE_PROCESS_FAILED`, `PHOTO_SAVE_FILE_INVALID`.
    pub fn set_portrait(&self, user: i64, picture: Vec<u8>) -> Result<i64, RpcError> {
        let mut state = self.lock();
        let dc = state.users.user(user).map(|user| user.dc);
        let dc = dc.ok_or_else(|| RpcError::bad_request("USER_ID_INVALID"))?;
        let id = state.files.keep_photo(dc, picture)?;
        state.set_portrait(user, id, None);
        Ok(id)
    }
}
