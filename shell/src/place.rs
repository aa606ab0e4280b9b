//! Where an installation is, and as whom its commands work there.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use nix::unistd::{Gid, Uid, User, geteuid, initgroups, setgid, setuid};

/// The settings file where none is named: the one in this folder, or the one that the package has made.
pub fn usual_config() -> PathBuf {
    let (here, installed) = (PathBuf::from("tgtrunk.toml"), PathBuf::from("/etc/tgtrunk/tgtrunk.toml"));
    if !here.exists() && installed.exists() { installed } else { here }
}

/// Called by root, becomes the owner of the state directory for good: what root would write there would be closed to the
/// programs. Nothing happens where there is no such directory, or it is root's.
///
/// # Errors
/// When the system does not let us.
pub fn become_owner(state: &Path) -> anyhow::Result<()> {
    let Ok(metadata) = std::fs::metadata(state) else { return Ok(()) };
    let (user, group) = (Uid::from_raw(metadata.uid()), Gid::from_raw(metadata.gid()));
    if !geteuid().is_root() || user.is_root() {
        return Ok(());
    }
    let become_it = || {
        if let Some(known) = User::from_uid(user)? {
            let name = std::ffi::CString::new(known.name).unwrap_or_default();
            initgroups(&name, group)?;
        }
        setgid(group)?;
        setuid(user)
    };
    become_it().with_context(|| format!("cannot work as the owner of {}", state.display()))
}
