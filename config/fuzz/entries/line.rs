//! A line.toml of anybody: it is taken, or every mistake is named by its key.

use std::collections::BTreeMap;
use std::path::Path;

use tgtrunk_config::{Language, Line, Said};

/// Reads the bytes as a line's settings, of which another line has a port.
pub fn take(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let taken = BTreeMap::from([(30_002, "+79060000001".parse().unwrap())]);
    match Line::parse(&text, Path::new("line.toml"), "+79060000000", &taken) {
        Ok(line) => {
            assert_eq!(line.phone.as_str(), "+79060000000");
            assert_ne!(line.sip_port, 30_002);
            for address in line.pbx.addresses() {
                assert_eq!(address.to_string().parse().as_ref(), Ok(address), "what is shown can be typed");
            }
            assert!(format!("{line:?} {}", line.pbx).contains("+79060000000"));
        }
        Err(problems) => {
            assert!(!problems.is_empty());
            for problem in problems {
                assert!(problem.to_string().starts_with("line.toml:"), "{problem}");
                let said = [Some(Said::from(&problem)), problem.wanted()];
                for language in Language::ALL {
                    assert!(said.iter().flatten().all(|said| !said.in_language(language).is_empty()));
                }
            }
        }
    }
}
