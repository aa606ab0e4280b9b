//! A tgtrunk.toml of anybody: it is taken, or the mistakes are told.

use std::path::Path;

use tgtrunk_config::{Footing, Language, Said, Settings};

/// Reads the bytes as the programs' common settings.
pub fn take(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let file = Path::new("tgtrunk.toml");
    // What is read of a file with mistakes is what would be read without them.
    let footing = Footing::parse(&text, file);
    match Settings::parse(&text, file) {
        Ok(settings) => {
            assert_eq!((&settings.gateway, &settings.client), (&footing.gateway, &footing.client));
            assert_eq!(settings.page, footing.page);
            assert!(settings.own_ports().len() <= 6);
            let ports = settings.gateway.rtp_ports;
            assert!(ports.contains(ports.first) && ports.contains(ports.last) && ports.count() > 7);
            assert!(format!("{settings:?}").contains("api_id"));
        }
        Err(error) => {
            assert!(error.to_string().contains("tgtrunk.toml"), "{error}");
            let said = Said::from(&error);
            assert!(Language::ALL.iter().all(|language| !said.in_language(*language).is_empty()), "{error}");
        }
    }
}
