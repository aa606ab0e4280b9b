//! A line.toml of anybody: it is taken, or every mistake is named by its key.

use std::collections::BTreeMap;
use std::path::Path;

use tgtrunk_config::Line;

/// Reads the bytes as a line's settings.
pub fn take(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    match Line::parse(&text, Path::new("line.toml"), "+79060000000", &BTreeMap::new()) {
        Ok(line) => assert_eq!(line.phone.as_str(), "+79060000000"),
        Err(problems) => {
            assert!(!problems.is_empty());
            for problem in problems {
                assert!(problem.to_string().starts_with("line.toml:"), "{problem}");
            }
        }
    }
}
