//! A disk of a given size, in memory, for what happens when one is full.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, ensure};
use nix::fcntl::{FallocateFlags, fallocate};
use tempfile::TempDir;

/// A file system of its own; dropped, it is unmounted.
pub struct SmallDisk(TempDir);

impl SmallDisk {
    /// Mounts one of so many MiB, which take memory when they are filled. Needs root.
    ///
    /// # Errors
    /// With the words of `mount`.
    pub fn mount(size_mib: u32) -> anyhow::Result<Self> {
        Self::mount_for(size_mib, 0)
    }

    /// The same for so many files and folders; 0 for any number.
    ///
    /// # Errors
    /// With the words of `mount`.
    pub fn mount_for(size_mib: u32, files: u32) -> anyhow::Result<Self> {
        let folder = TempDir::with_prefix("tgtrunk-disk-")?;
        let size = format!("size={size_mib}m,nr_inodes={files},mode=755");
        let mounted =
            Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(folder.path()).status()?;
        ensure!(mounted.success(), "mounting a file system needs root");
        Ok(Self(folder))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// Takes so many MiB; gives the file that has them.
    ///
    /// # Errors
    /// When there are fewer.
    pub fn fill(&self, size_mib: i64) -> anyhow::Result<PathBuf> {
        let path = self.path().join("filler");
        let file = File::create(&path)?;
        fallocate(&file, FallocateFlags::empty(), 0, size_mib << 20).context("room on the small disk")?;
        Ok(path)
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: a program that has a file open there is about to end.
        Command::new("umount").arg("--lazy").arg(self.path()).status().ok();
    }
}
