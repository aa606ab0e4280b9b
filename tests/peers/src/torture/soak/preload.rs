//! What is loaded into a gateway before itself, and comes between it and the system.

use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, ensure};
use tempfile::TempDir;

/// A library made of C, and a file by which it may be told what to do.
pub(super) struct Preload {
    library: PathBuf,
    pub(super) told: PathBuf,
    file: File,
    _folder: TempDir,
}

impl Preload {
    /// Builds it; it is told zeros at first.
    pub(super) fn build(source: &str) -> anyhow::Result<Self> {
        let folder = TempDir::with_prefix("tgtrunk-preload-")?;
        let [text, library, told] = ["preload.c", "preload.so", "told"].map(|name| folder.path().join(name));
        fs::write(&text, source)?;
        let arguments = ["-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o"];
        let built = Command::new("cc").args(arguments).arg(&library).arg(&text).arg("-ldl").output();
        let built = built.context("cc, of build-essential")?;
        ensure!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
        let file = File::create(&told)?;
        let preload = Self { library, told, file, _folder: folder };
        preload.tell(0)?;
        Ok(preload)
    }

    /// Tells it a number of 64 bits, or of fewer.
    pub(super) fn tell(&self, number: u64) -> anyhow::Result<()> {
        Ok(self.file.write_all_at(&number.to_le_bytes(), 0)?)
    }

    /// The number that was told last, by it or by us.
    pub(super) fn told(&self) -> anyhow::Result<u64> {
        let bytes = fs::read(&self.told)?;
        Ok(u64::from_le_bytes(bytes.get(..8).and_then(|bytes| bytes.try_into().ok()).context("eight bytes")?))
    }

    /// What a gateway needs to be loaded after it. The variable is the library's own: where it is told, or what to do.
    pub(super) fn environment(&self, variable: &str, value: String) -> Vec<(String, String)> {
        vec![("LD_PRELOAD".to_owned(), self.library.display().to_string()), (variable.to_owned(), value)]
    }
}
