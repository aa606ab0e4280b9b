//! A tgtrunk.toml of anybody: it is taken, or the mistakes are told.

use std::path::Path;

use tgtrunk_config::Settings;

/// Reads the bytes as the programs' common settings.
pub fn take(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    if let Err(error) = Settings::parse(&text, Path::new("tgtrunk.toml")) {
        assert!(error.to_string().contains("tgtrunk.toml"), "{error}");
    }
}
