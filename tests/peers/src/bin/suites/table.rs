//! What test programs need of the machine: `tests/suites.toml`.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde::Deserialize;

/// Needs by the program's name.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
pub(crate) struct Table(BTreeMap<String, Needs>);

/// What one program needs.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Needs {
    /// How long it takes, about: long ones begin first.
    pub(crate) seconds: u32,
    /// How many processors it keeps busy, on average.
    pub(crate) cores: f64,
    /// It measures what others would disturb: nothing runs beside it, but while it says that it is aside.
    #[serde(default)]
    pub(crate) alone: bool,
    /// How many of its tests run at a time; as many as there are processors where it says nothing.
    pub(crate) threads: Option<u32>,
    /// It judges sound and losses in real time: where it fails, a second try counts, when all others have ended.
    #[serde(default)]
    pub(crate) measures: bool,
    /// Its people wait for seconds, which others may take from it: it has a second try like what measures, and nothing is
    /// kept from running beside it.
    #[serde(default)]
    pub(crate) waits: bool,
    /// Whether its services run inside of what their units ask for: always or never. Without it they do when all are to.
    pub(crate) inside: Option<bool>,
}

/// A program that is not in the table computes, and not for long.
const UNKNOWN: Needs = Needs {
    seconds: 5,
    cores: 1.0,
    alone: false,
    threads: None,
    measures: false,
    waits: false,
    inside: None,
};

impl Table {
    pub(crate) fn read(file: &Path) -> anyhow::Result<Self> {
        let text = fs::read_to_string(file).with_context(|| file.display().to_string())?;
        toml::from_str(&text).with_context(|| file.display().to_string())
    }

    /// Refuses rows of programs that are not there.
    pub(crate) fn check<'a>(&self, programs: impl Iterator<Item = &'a str> + Clone) -> anyhow::Result<()> {
        for name in self.0.keys() {
            ensure!(programs.clone().any(|program| program == name), "suites.toml: there is no {name}");
        }
        Ok(())
    }

    pub(crate) fn needs(&self, program: &str) -> Needs {
        self.0.get(program).copied().unwrap_or(UNKNOWN)
    }
}

impl Needs {
    pub(crate) fn length(&self) -> Duration {
        Duration::from_secs(u64::from(self.seconds))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_read_and_those_of_nobody_are_refused() {
        let table: Table =
            toml::from_str("\"tests/chat\" = { seconds = 120, cores = 0.25, threads = 4 }").unwrap();
        assert_eq!(table.needs("tests/chat").threads, Some(4));
        assert_eq!(table.needs("tests/tidy"), UNKNOWN);
        assert!(table.check(["tests/chat", "tests/tidy"].into_iter()).is_ok());
        assert!(table.check(["tests/tidy"].into_iter()).is_err());
        assert!(toml::from_str::<Table>("a = { seconds = 1, cores = 1.0, lonely = true }").is_err());
    }
}
