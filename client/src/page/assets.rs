//! What a browser loads beside a page: it all lies in the program, since a PBX often reaches nothing but Telegram.

use std::sync::LazyLock;

/// A file under `/assets/`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asset {
    /// Its name there.
    pub(crate) name: &'static str,
    /// Its `Content-Type`.
    pub(crate) kind: &'static str,
    /// What is in it.
    pub(crate) text: &'static str,
}

/// All of them. An address of a page carries [`version`], so they may be kept for a year.
pub(crate) const ALL: [Asset; 3] = [
    Asset { name: "app.css", kind: "text/css; charset=utf-8", text: include_str!("assets/app.css") },
    Asset { name: "app.js", kind: "text/javascript; charset=utf-8", text: include_str!("assets/app.js") },
    Asset { name: "icon.svg", kind: "image/svg+xml", text: include_str!("assets/icon.svg") },
];

/// What stands after `?v=`: it changes with what is in the files (FNV-1a, 64 bits).
pub(crate) fn version() -> &'static str {
    static VERSION: LazyLock<String> = LazyLock::new(|| {
        let bytes = ALL.iter().flat_map(|asset| asset.text.bytes());
        let hash = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        format!("{hash:016x}")
    });
    &VERSION
}
