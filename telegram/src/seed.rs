//! The data-centre table and first keys of a fresh session, from `dc-seed.json` in the state directory.
//!
//! The file is written for trials without Telegram's own data centres; without it the library's table holds. Each reader
//! takes one key per data centre and strikes it out, so that no two sessions ever share a key.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::net::{SocketAddr, SocketAddrV4};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// What a fresh session takes from the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Seed {
    pub(crate) home_dc: i32,
    pub(crate) dcs: Vec<SeededDc>,
}

/// One data centre of a [`Seed`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SeededDc {
    pub(crate) id: i32,
    pub(crate) address: SocketAddrV4,
    /// `None` where the file had no more keys; the home data centre always has one.
    pub(crate) key: Option<[u8; 256]>,
}

/// Why the file gave nothing.
#[derive(Debug, thiserror::Error)]
pub enum SeedError {
    /// The file system refused.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It is not the JSON that was agreed on.
    #[error("{path}: {source}")]
    Json {
        /// The file.
        path: PathBuf,
        /// Where it is wrong.
        source: serde_json::Error,
    },
    /// A key is not 256 bytes in hex.
    #[error("{path}: a key of data centre {dc} has {digits} hex digits: want 512")]
    Key {
        /// The file.
        path: PathBuf,
        /// The data centre.
        dc: i32,
        /// How long the text is.
        digits: usize,
    },
    /// All keys of the home data centre are struck out.
    #[error("{path}: no unused key is left for home data centre {dc}")]
    UsedUp {
        /// The file.
        path: PathBuf,
        /// The data centre.
        dc: i32,
    },
}

#[derive(Serialize, Deserialize)]
struct Written {
    home_dc: i32,
    dcs: Vec<WrittenDc>,
    #[serde(flatten)]
    rest: serde_json::Map<String, serde_json::Value>,
}

#[derive(Serialize, Deserialize)]
struct WrittenDc {
    id: i32,
    address: SocketAddrV4,
    #[serde(default)]
    keys: Vec<String>,
}

/// Takes one key per data centre and strikes them out; `None` if there is no such file.
pub(crate) fn take(path: &Path) -> Result<Option<Seed>, SeedError> {
    let io = |source| SeedError::Io { path: path.to_path_buf(), source };
    if !path.exists() {
        return Ok(None);
    }
    let _lock = lock_beside(path).map_err(io)?;
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(io(error)),
    };
    let json = |source| SeedError::Json { path: path.to_path_buf(), source };
    let mut written: Written = serde_json::from_str(&text).map_err(json)?;
    let mut dcs = Vec::with_capacity(written.dcs.len());
    for dc in &mut written.dcs {
        let key = if dc.keys.is_empty() { None } else { Some(dc.keys.remove(0)) };
        let key = key.map(|digits| read_key(path, dc.id, &digits)).transpose()?;
        dcs.push(SeededDc { id: dc.id, address: dc.address, key });
    }
    let seed = Seed { home_dc: written.home_dc, dcs };
    if !seed.dcs.iter().any(|dc| dc.id == seed.home_dc && dc.key.is_some()) {
        return Err(SeedError::UsedUp { path: path.to_path_buf(), dc: seed.home_dc });
    }
    let rest = serde_json::to_string_pretty(&written).map_err(json)?;
    replace(path, &rest).map_err(io)?;
    Ok(Some(seed))
}

/// The data centres of the file, whose keys stay where they are; `None` if there is no such file.
pub(crate) fn peek(path: &Path) -> Result<Option<Vec<(i32, SocketAddr)>>, SeedError> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(SeedError::Io { path: path.to_path_buf(), source }),
    };
    let written: Written =
        serde_json::from_str(&text).map_err(|source| SeedError::Json { path: path.to_path_buf(), source })?;
    Ok(Some(written.dcs.iter().map(|dc| (dc.id, dc.address.into())).collect()))
}

fn read_key(path: &Path, dc: i32, digits: &str) -> Result<[u8; 256], SeedError> {
    let mut key = [0; 256];
    hex::decode_to_slice(digits, &mut key).map_err(|_| SeedError::Key {
        path: path.to_path_buf(),
        dc,
        digits: digits.len(),
    })?;
    Ok(key)
}

/// The file itself is replaced, so the lock lies beside it.
fn lock_beside(path: &Path) -> io::Result<File> {
    let lock = owner_only().open(with_suffix(path, ".lock"))?;
    lock.lock()?;
    Ok(lock)
}

fn replace(path: &Path, text: &str) -> io::Result<()> {
    let draft = with_suffix(path, ".new");
    let mut file = owner_only().truncate(true).open(&draft)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    std::fs::rename(draft, path)
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

fn owner_only() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false).mode(0o600);
    options
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn without_the_file_there_is_no_seed() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(take(&folder.path().join("dc-seed.json")).unwrap(), None);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn each_reader_gets_the_next_key_and_the_last_one_an_error() {
        let place = Place::with(&[(1, 1), (2, 2)]);
        let first = take(&place.path()).unwrap().unwrap();
        assert_eq!(first.home_dc, 2);
        assert_eq!(first.dcs[1].address, "127.0.0.1:4002".parse().unwrap());
        assert_eq!(first.dcs.iter().map(|dc| dc.key).collect::<Vec<_>>(), [Some([10; 256]), Some([20; 256])]);
        let second = take(&place.path()).unwrap().unwrap();
        assert_eq!(second.dcs.iter().map(|dc| dc.key).collect::<Vec<_>>(), [None, Some([21; 256])]);
        let error = take(&place.path()).unwrap_err();
        assert!(error.to_string().ends_with("no unused key is left for home data centre 2"), "{error}");
    }

    #[test]
    fn readers_at_the_same_time_never_share_a_key() {
        let place = Place::with(&[(2, 40)]);
        let taken: Vec<[u8; 256]> = std::thread::scope(|scope| {
            let readers: Vec<_> = (0..8)
                .map(|_| {
                    scope.spawn(|| {
                        (0..5)
                            .map(|_| take(&place.path()).unwrap().unwrap().dcs[0].key.unwrap())
                            .collect::<Vec<_>>()
                    })
                })
                .collect();
            readers.into_iter().flat_map(|reader| reader.join().unwrap()).collect()
        });
        assert_eq!(taken.iter().collect::<BTreeSet<_>>().len(), 40);
    }

    #[test]
    fn a_wrong_file_is_refused_with_its_name_and_left_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("dc-seed.json");
        for (text, complaint) in [
            ("{", "EOF"),
            (r#"{"home_dc": 2, "dcs": [{"id": 2, "address": "localhost", "keys": []}]}"#, "address"),
            (r#"{"home_dc": 2, "dcs": [{"id": 2, "address": "127.0.0.1:1", "keys": ["ab"]}]}"#, "want 512"),
            (r#"{"home_dc": 2, "dcs": []}"#, "home data centre 2"),
        ] {
            std::fs::write(&path, text).unwrap();
            let error = take(&path).unwrap_err().to_string();
            assert!(error.contains("dc-seed.json") && error.contains(complaint), "{error}");
            assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
        }
    }

    struct Place(tempfile::TempDir);

    impl Place {
        /// Data centres with so many keys each: of data centre 2 the first key is 20 20 20 ..., the second 21 21 21 ...
        fn with(dcs: &[(u8, u8)]) -> Self {
            let place = Self(tempfile::tempdir().unwrap());
            let dcs: Vec<_> = dcs
                .iter()
                .map(|&(id, count)| {
                    let keys: Vec<_> = (0..count).map(|nth| hex::encode([id * 10 + nth; 256])).collect();
                    serde_json::json!({"id": id, "address": format!("127.0.0.1:{}", 4000 + u16::from(id)), "keys": keys})
                })
                .collect();
            std::fs::write(place.path(), serde_json::json!({"home_dc": 2, "dcs": dcs}).to_string()).unwrap();
            place
        }

        fn path(&self) -> PathBuf {
            self.0.path().join("dc-seed.json")
        }
    }
}
