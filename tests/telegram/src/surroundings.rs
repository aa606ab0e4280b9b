//! Where programs are started that tests drive: as they are, or inside of what their units ask for.

use std::env;
use std::path::PathBuf;

/// Names the folder with links by which programs start inside.
pub const FOLDER: &str = "TGTRUNK_SANDBOX";

/// Names folders that a program may write there beside its own, with `:` between them, as an administrator lets it.
pub const WRITES: &str = "TGTRUNK_SANDBOX_WRITES";

/// The program, or its link in that folder, if there is one.
pub fn of(program: impl Into<PathBuf>) -> PathBuf {
    let program = program.into();
    let link = env::var_os(FOLDER).and_then(|folder| Some(PathBuf::from(folder).join(program.file_name()?)));
    link.unwrap_or(program)
}
