//! A fuzzer's corpus, replayed without it.

use std::path::Path;

/// Does with each file of the room's corpus for `target` what the fuzzer does with its bytes.
pub fn replay(target: &str, take: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    let mut files: Vec<_> = folder.read_dir().unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(!files.is_empty(), "no corpus for {target}");
    for file in files {
        eprintln!("{}", file.display());
        take(&std::fs::read(file).unwrap());
    }
}
