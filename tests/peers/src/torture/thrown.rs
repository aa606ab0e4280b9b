//! `tests/fuzz/thrown.toml`: how many mutated inputs each row threw at a gateway over its sockets, all runs together.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read as _, Seek as _, Write as _};
use std::path::Path;

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

use super::Done;

/// Its place in the project.
const FILE: &str = "tests/fuzz/thrown.toml";
const HEAD: &str = "# Mutated inputs that rows of the torture program threw over sockets so far, in runs that held. \
                    `make torture` adds to it.\n";

#[derive(Debug, Default, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    inputs: u64,
}

/// Adds what a row threw where all of it held; what is less than the row's short form does not count.
///
/// # Errors
/// When the file is none of these, or cannot be written.
pub fn add(project: &Path, done: &Done) -> anyhow::Result<()> {
    if done.inputs == 0 || done.failed > 0 || done.plan.amount < done.row.short {
        return Ok(());
    }
    let path = project.join(FILE);
    let count = || -> anyhow::Result<()> {
        // Whoever else adds to it waits.
        let mut file = File::options().read(true).write(true).create(true).truncate(false).open(&path)?;
        file.lock()?;
        let mut text = String::new();
        file.read_to_string(&mut text)?;
        let mut rows: BTreeMap<String, Row> = toml::from_str(&text)?;
        rows.entry(done.row.test.to_owned()).or_default().inputs += done.inputs;
        let text = format!("{HEAD}\n{}", toml::to_string(&rows)?);
        // It only grows, and is never empty meanwhile.
        file.rewind()?;
        file.write_all(text.as_bytes())?;
        file.set_len(text.len() as u64)?;
        Ok(())
    };
    count().with_context(|| path.display().to_string())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::torture::{Plan, row};

    fn done(test: &str, inputs: u64) -> Done {
        let row = row(test).unwrap();
        Done {
            row,
            plan: Plan { amount: row.short, seed: 7 },
            amount: row.short,
            inputs,
            figure: String::new(),
            failed: 0,
            failures: Vec::new(),
            took: Duration::ZERO,
        }
    }

    #[test]
    fn runs_that_held_add_up_and_others_do_not() {
        let project = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(project.path().join("tests/fuzz")).unwrap();
        let told = || std::fs::read_to_string(project.path().join(FILE));
        let less = |done: Done| Done { plan: Plan { amount: done.row.short - 1, seed: 7 }, ..done };
        for uncounted in [done("T1", 0), Done { failed: 1, ..done("T3", 5) }, less(done("T3", 5))] {
            add(project.path(), &uncounted).unwrap();
        }
        assert!(told().is_err(), "nothing was to be written");
        for (test, inputs) in [("T3", 10_000), ("T2", 24_000), ("T3", 990_000)] {
            add(project.path(), &done(test, inputs)).unwrap();
        }
        let rows = "[T2]\ninputs = 24000\n\n[T3]\ninputs = 1000000\n";
        assert_eq!(told().unwrap(), format!("{HEAD}\n{rows}"));
        std::fs::write(project.path().join(FILE), "[T3]\nthrown = 1\n").unwrap();
        assert!(add(project.path(), &done("T3", 1)).is_err());
    }
}
