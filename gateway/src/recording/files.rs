//! Where recordings are, how their files are called, and when they go.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use chrono::{TimeZone as _, Utc};
use tgtrunk_config::CallId;
use tgtrunk_config::control::Recording;

use crate::clock;

/// What ends the names of recordings.
const SUFFIX: &str = ".ogg";

/// The folder of a line's recordings.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place(pub(crate) PathBuf);

impl Place {
    /// Makes a file in it, the folder too where there is none; nobody but the gateway's user may read either.
    pub(super) fn create(&self, name: &str) -> io::Result<File> {
        DirBuilder::new().recursive(true).mode(0o700).create(&self.0)?;
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(self.0.join(name))
    }

    /// The folder, or what there is of the way to it.
    pub(super) fn existing(&self) -> &Path {
        self.0.ancestors().find(|folder| folder.exists()).unwrap_or(&self.0)
    }
}

/// How the files of a call's recording are called.
pub(super) fn name(call: CallId, unix_ms: u64) -> Recording {
    let time = Utc.timestamp_millis_opt(i64::try_from(unix_ms).unwrap_or(0)).single().unwrap_or_default();
    let stem = format!("{}-{call}", time.format("%Y%m%dT%H%M%SZ"));
    Recording { telegram: format!("{stem}-telegram{SUFFIX}"), pbx: format!("{stem}-pbx{SUFFIX}") }
}

/// The file of a name in a record; none for a name that leads elsewhere.
pub(crate) fn path_of(place: &Place, name: &str) -> Option<PathBuf> {
    let is_name = name.ends_with(SUFFIX) && !name.contains('/') && !name.starts_with('.');
    is_name.then(|| place.0.join(name))
}

/// Forgets recordings that were written last before so long. Gives how many.
///
/// # Errors
/// When the folder cannot be read, or a file cannot be deleted; the others are.
pub(crate) fn forget_before(place: &Place, age: Duration) -> io::Result<usize> {
    let now = UNIX_EPOCH + Duration::from_millis(clock::unix_ms());
    let Some(oldest) = now.checked_sub(age) else { return Ok(0) };
    let files = match fs::read_dir(&place.0) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        files => files?,
    };
    let (mut gone, mut failed) = (0, None);
    for file in files {
        let file = file?;
        let is_ours = is_ours(&file.file_name().to_string_lossy());
        let is_old = file.metadata().and_then(|file| file.modified()).is_ok_and(|written| written < oldest);
        if is_ours && is_old {
            match fs::remove_file(file.path()) {
                Ok(()) => gone += 1,
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => failed = Some(error),
            }
        }
    }
    failed.map_or(Ok(gone), Err)
}

/// Whether a file has the name of a recording.
fn is_ours(name: &str) -> bool {
    let stem = name.strip_suffix("-telegram.ogg").or_else(|| name.strip_suffix("-pbx.ogg"));
    let call = stem.and_then(|stem| stem.split_once("Z-"));
    call.is_some_and(|(_, call)| call.parse::<CallId>().is_ok())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn nobody_else_may_read_a_recording_and_old_ones_go_and_nothing_else() {
        let room = tempfile::tempdir().unwrap();
        let place = Place(room.path().join("deep/recordings"));
        let names = name(CallId(0xa1), 1_800_000_000_000);
        assert_eq!(names.telegram, "20270115T080000Z-00000000000000a1-telegram.ogg");
        assert_eq!(forget_before(&place, Duration::ZERO).unwrap(), 0);
        drop(place.create(&names.telegram).unwrap());
        drop(place.create("notes.ogg").unwrap());
        assert!(place.create(&names.telegram).is_err(), "nothing is written over");
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        let file = path_of(&place, &names.telegram).unwrap();
        assert_eq!((mode(&place.0), mode(&file)), (0o700, 0o600));
        for elsewhere in ["../x.ogg", "/etc/x.ogg", ".x.ogg", "passwd"] {
            assert_eq!(path_of(&place, elsewhere), None);
        }
        assert_eq!(forget_before(&place, Duration::from_secs(60)).unwrap(), 0);
        std::thread::sleep(Duration::from_millis(20));
        assert_eq!(forget_before(&place, Duration::ZERO).unwrap(), 1);
        assert!(!file.exists() && place.0.join("notes.ogg").exists());
    }
}
