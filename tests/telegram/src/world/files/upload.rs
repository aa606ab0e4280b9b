//! `upload.saveFilePart` and `upload.saveBigFilePart`.

use grammers_tl_types as tl;

use crate::world::dispatch::Ctx;
use crate::world::error::RpcError;

/// `upload.saveFilePart`: of a file of at most 10 MiB.
pub(crate) fn save_file_part(
    ctx: &mut Ctx<'_>,
    request: tl::functions::upload::SaveFilePart,
) -> Result<bool, RpcError> {
    ctx.state.files.save_part(ctx.user, request.file_id, request.file_part, None, request.bytes)
}

/// `upload.saveBigFilePart`.
pub(crate) fn save_big_file_part(
    ctx: &mut Ctx<'_>,
    request: tl::functions::upload::SaveBigFilePart,
) -> Result<bool, RpcError> {
    let total = Some(request.file_total_parts);
    ctx.state.files.save_part(ctx.user, request.file_id, request.file_part, total, request.bytes)
}
