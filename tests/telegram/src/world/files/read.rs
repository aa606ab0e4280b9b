//! `upload.getFile`: photos, documents and portraits, piece by piece.

use grammers_tl_types as tl;
use sha2::{Digest, Sha256};

use super::picture::storage;
use super::store::Stored;
use crate::world::dispatch::Ctx;
use crate::world::error::RpcError;

/// Largest piece read at once, in bytes; no piece crosses a multiple of it.
const PIECE_MAX: i64 = 1024 * 1024;
/// Bytes under one hash of `upload.getFileHashes`.
const HASHED: usize = 128 * 1024;

/// `upload.getFile`.
pub(crate) fn get_file(
    ctx: &mut Ctx<'_>,
    request: tl::functions::upload::GetFile,
) -> Result<tl::enums::upload::File, RpcError> {
    let file = located(ctx, &request.location)?;
    let (offset, limit) = (request.offset, i64::from(request.limit));
    let unit = if request.precise { 1024 } else { 4096 };
    if offset < 0 || offset % unit != 0 {
        return Err(RpcError::bad_request("OFFSET_INVALID"));
    }
    let divides = request.precise || (limit > 0 && PIECE_MAX % limit == 0);
    let crosses = offset / PIECE_MAX != offset.saturating_add(limit - 1) / PIECE_MAX;
    if !(1..=PIECE_MAX).contains(&limit) || limit % unit != 0 || !divides || crosses {
        return Err(RpcError::bad_request("LIMIT_INVALID"));
    }
    let length = file.bytes.len();
    let begin = usize::try_from(offset).unwrap_or(length).min(length);
    let end = begin.saturating_add(usize::try_from(limit).unwrap_or(0)).min(length);
    let bytes = file.bytes.get(begin..end).unwrap_or_default().to_vec();
    Ok(tl::types::upload::File { r#type: storage(&file.bytes), mtime: file.date, bytes }.into())
}

/// `upload.getFileHashes`.
pub(crate) fn get_file_hashes(
    ctx: &mut Ctx<'_>,
    request: tl::functions::upload::GetFileHashes,
) -> Result<Vec<tl::enums::FileHash>, RpcError> {
    let file = located(ctx, &request.location)?;
    let mut hashes = Vec::new();
    for (at, piece) in file.bytes.chunks(HASHED).enumerate() {
        let offset = i64::try_from(at.saturating_mul(HASHED)).unwrap_or(i64::MAX);
        let (limit, hash) = (i32::try_from(piece.len()).unwrap_or(i32::MAX), Sha256::digest(piece).to_vec());
        if offset >= request.offset {
            hashes.push(tl::types::FileHash { offset, limit, hash }.into());
        }
    }
    Ok(hashes)
}

fn located<'a>(ctx: &'a Ctx<'_>, location: &tl::enums::InputFileLocation) -> Result<&'a Stored, RpcError> {
    let invalid = || RpcError::bad_request("LOCATION_INVALID");
    let id = match location {
        tl::enums::InputFileLocation::InputPhotoFileLocation(at) => {
            ctx.state.files.check(at.id, at.access_hash, &at.file_reference, "LOCATION_INVALID")?;
            at.id
        }
        tl::enums::InputFileLocation::InputDocumentFileLocation(at) => {
            ctx.state.files.check(at.id, at.access_hash, &at.file_reference, "LOCATION_INVALID")?;
            at.id
        }
        tl::enums::InputFileLocation::InputPeerPhotoFileLocation(at) => {
            let peer = ctx.state.input_peer(ctx.user, &at.peer)?;
            let theirs = match ctx.state.users.user(peer) {
                Some(user) => user.photos.contains(&at.photo_id),
                None => ctx.state.groups.group(peer).is_some_and(|group| group.photo == Some(at.photo_id)),
            };
            Some(at.photo_id).filter(|_| theirs).ok_or_else(invalid)?
        }
        _ => return Err(invalid()),
    };
    let file = ctx.state.files.file(id).ok_or_else(invalid)?;
    if file.dc != ctx.caller.dc {
        return Err(RpcError::new(303, format!("FILE_MIGRATE_{}", file.dc)));
    }
    Ok(file)
}
