//! Whether there is room for recordings: they are the first to give way.

use std::path::Path;

use nix::sys::statvfs::statvfs;

/// With less room than this nothing is recorded: sessions and records need the rest.
pub(super) const LEAST_FREE_BYTES: u64 = 256 * 1024 * 1024;

/// Whether a folder's file system has room; one that cannot be asked has.
pub(super) fn has_room(folder: &Path) -> bool {
    let Ok(found) = statvfs(folder) else { return true };
    let free = found.blocks_available().saturating_mul(found.fragment_size());
    free >= LEAST_FREE_BYTES
}
