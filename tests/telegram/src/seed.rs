//! `dc-seed.json`: addresses and unused keys for production code, its only way to a Telegram that is not Telegram's.

use std::io::Write as _;
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

use crate::wire::KeyRing;

/// The file's name in a state directory.
pub const FILE_NAME: &str = "dc-seed.json";

/// The file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seed {
    /// Where a fresh session begins.
    pub home_dc: i32,
    /// All data centres.
    pub dcs: Vec<SeedDc>,
}

/// One data centre.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeedDc {
    /// Number.
    pub id: i32,
    /// `address:port`.
    pub address: String,
    /// Keys that nobody uses, 512 hex digits each. A session takes the first and strikes it out.
    pub keys: Vec<String>,
}

impl Seed {
    /// A seed with `count` fresh keys per data centre.
    pub fn mint(home_dc: i32, addresses: &[(i32, SocketAddr)], ring: &KeyRing, count: usize) -> Self {
        let keys = |dc| (0..count).map(|_| hex::encode(ring.mint(dc))).collect();
        let dc = |(id, address): &(i32, SocketAddr)| SeedDc {
            id: *id,
            address: address.to_string(),
            keys: keys(*id),
        };
        Self { home_dc, dcs: addresses.iter().map(dc).collect() }
    }

    /// Writes the file, or adds this seed's keys to those in the file that `ring` still knows. The file appears in
    /// one step.
    ///
    /// # Errors
    /// When the directory cannot be written, or the file there is not a seed.
    pub fn write(&self, dir: &Path, ring: &KeyRing) -> anyhow::Result<()> {
        let path = dir.join(FILE_NAME);
        let mut seed = self.clone();
        if path.exists() {
            let text = std::fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
            let old: Self =
                serde_json::from_str(&text).with_context(|| format!("parse {}", path.display()))?;
            for dc in &mut seed.dcs {
                let left =
                    old.dcs.iter().filter(|known| known.id == dc.id).flat_map(|known| known.keys.clone());
                let good = left.filter(|key| is_known(ring, key));
                dc.keys = good.chain(std::mem::take(&mut dc.keys)).collect();
            }
        }
        std::fs::create_dir_all(dir).with_context(|| format!("create {}", dir.display()))?;
        let fresh = dir.join(format!(".{FILE_NAME}.{}", std::process::id()));
        let mut options = std::fs::OpenOptions::new();
        let opened = options.write(true).create(true).truncate(true).mode(0o600).open(&fresh);
        let mut file = opened.with_context(|| format!("create {}", fresh.display()))?;
        serde_json::to_writer_pretty(&mut file, &seed)?;
        file.write_all(b"\n")?;
        file.sync_all()?;
        std::fs::rename(&fresh, &path).with_context(|| format!("replace {}", path.display()))
    }
}

fn is_known(ring: &KeyRing, key: &str) -> bool {
    let mut bytes = [0; 256];
    hex::decode_to_slice(key, &mut bytes).is_ok() && ring.known(KeyRing::id_of(bytes))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn more_keys_are_added_and_those_of_another_run_are_dropped() {
        let dir = tempfile::tempdir().unwrap();
        let addresses = [(1, "127.0.0.1:4431".parse().unwrap()), (2, "127.0.0.1:4432".parse().unwrap())];
        Seed::mint(2, &addresses, &KeyRing::default(), 3).write(dir.path(), &KeyRing::default()).unwrap();

        let ring = KeyRing::default();
        let first = Seed::mint(2, &addresses, &ring, 1);
        first.write(dir.path(), &ring).unwrap();
        Seed::mint(2, &addresses, &ring, 2).write(dir.path(), &ring).unwrap();

        let text = std::fs::read_to_string(dir.path().join(FILE_NAME)).unwrap();
        let seed: Seed = serde_json::from_str(&text).unwrap();
        assert_eq!(seed.dcs.iter().map(|dc| dc.keys.len()).collect::<Vec<_>>(), [3, 3]);
        assert_eq!(seed.dcs[1].keys[0], first.dcs[1].keys[0]);
        assert_eq!(seed.dcs[1].keys[0].len(), 512);
        let mode = std::fs::metadata(dir.path().join(FILE_NAME)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!((seed.home_dc, seed.dcs[0].address.as_str()), (2, "127.0.0.1:4431"));
    }
}
