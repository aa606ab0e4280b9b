//! What a run came to: a table for people, and `report.json` for programs.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

use super::Done;

/// `report.json`: the last run of each row.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Report {
    rows: Vec<Entry>,
    /// Mutated inputs that went over sockets since the file began.
    inputs: u64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Entry {
    test: String,
    /// What was to be done, where it is not what was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    wanted: Option<u64>,
    amount: u64,
    unit: String,
    expected: String,
    /// How much failed; the first ones in words beside it.
    failures: u64,
    told: Vec<String>,
    figure: String,
    seed: u64,
    seconds: f64,
}

/// What commands of the shell came to, one after the other.
#[derive(Debug)]
pub struct Told {
    /// All of them, as whoever repeats them writes them.
    pub commands: String,
    /// The last line that each said.
    pub figure: String,
    /// Those that did not end well, with their last words.
    pub failures: Vec<String>,
    pub took: Duration,
}

/// The file's name.
const FILE: &str = "report.json";

impl Report {
    /// The report in a folder, where there is one.
    ///
    /// # Errors
    /// When it is no report.
    pub fn read(folder: &Path) -> anyhow::Result<Self> {
        let file = folder.join(FILE);
        if !file.exists() {
            return Ok(Self::default());
        }
        let text = fs::read_to_string(&file)?;
        serde_json::from_str(&text).with_context(|| file.display().to_string())
    }

    /// Takes a row that was run, instead of what was there of it.
    pub fn take(&mut self, done: &Done) {
        self.inputs += done.inputs;
        self.put(Entry {
            test: done.row.test.to_owned(),
            wanted: Some(done.plan.amount).filter(|wanted| *wanted != done.amount),
            amount: done.amount,
            unit: done.row.unit.to_owned(),
            expected: done.row.expected.to_owned(),
            failures: done.failed,
            told: done.failures.clone(),
            figure: done.figure.clone(),
            seed: done.plan.seed,
            seconds: done.took.as_secs_f64(),
        });
    }

    /// Takes what programs beside this one came to, whose last words are the figure.
    pub fn take_told(&mut self, test: &str, amount: u64, unit: &str, told: &Told) {
        self.put(Entry {
            test: test.to_owned(),
            wanted: None,
            amount,
            unit: unit.to_owned(),
            expected: format!("`{}` ends well", told.commands),
            failures: told.failures.len() as u64,
            told: told.failures.clone(),
            figure: told.figure.clone(),
            seed: 0,
            seconds: told.took.as_secs_f64(),
        });
    }

    fn put(&mut self, entry: Entry) {
        self.rows.retain(|known| known.test != entry.test);
        self.rows.push(entry);
        let number = |entry: &Entry| {
            entry.test[1..].trim_end_matches(char::is_alphabetic).parse::<u32>().unwrap_or(u32::MAX)
        };
        self.rows.sort_by_key(number);
    }

    /// Writes it into the folder.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&self, folder: &Path) -> anyhow::Result<()> {
        fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
        let file = folder.join(FILE);
        fs::write(&file, serde_json::to_string_pretty(self)? + "\n")
            .with_context(|| file.display().to_string())
    }
}

/// Rows that were run, as a table.
pub fn table(done: &[Done]) -> String {
    let mut table = format!("{:5} {:>9}  {:7} {:>7}  figure\n", "test", "amount", "outcome", "seconds");
    for row in done {
        let outcome = if row.failed == 0 { "holds" } else { "FAILS" };
        let seconds = row.took.as_secs_f64();
        writeln!(table, "{:5} {:>9}  {outcome:7} {seconds:>7.1}  {}", row.row.test, row.amount, row.figure)
            .ok();
        if row.failed > 0 {
            writeln!(
                table,
                "      {} failures; again alone: {}={}={} SEED={}",
                row.failed,
                row.row.command(),
                row.row.test,
                row.plan.amount,
                row.plan.seed
            )
            .ok();
        }
        for failure in &row.failures {
            writeln!(table, "      - {failure}").ok();
        }
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::torture::{Plan, row};

    fn done(failures: &[&str]) -> Done {
        Done {
            row: row("T1").unwrap(),
            plan: Plan { amount: 122, seed: 7 },
            amount: 122,
            inputs: 122,
            figure: "a figure".to_owned(),
            failed: failures.len() as u64,
            failures: failures.iter().map(|word| (*word).to_owned()).collect(),
            took: Duration::from_millis(1500),
        }
    }

    #[test]
    fn a_row_that_is_run_again_takes_its_own_place_and_inputs_add_up() {
        let folder = tempfile::tempdir().unwrap();
        let mut report = Report::read(folder.path()).unwrap();
        report.take(&done(&["one"]));
        report.take(&done(&[]));
        report.write(folder.path()).unwrap();
        let again = Report::read(folder.path()).unwrap();
        assert_eq!((again.rows.len(), again.rows[0].failures, again.inputs), (1, 0, 244));
        assert_eq!(again, report);
    }

    #[test]
    fn what_other_programs_told_has_a_row_beside_those_that_ran_here() {
        let mut report = Report::default();
        report.take(&done(&[]));
        let told = Told {
            commands: "make fuzz".to_owned(),
            figure: "5 inputs so far".to_owned(),
            failures: vec!["make fuzz: exit status: 1".to_owned()],
            took: Duration::from_secs(3),
        };
        report.take_told("T4", 30, "seconds of each target", &told);
        report.take_told("T4", 30, "seconds of each target", &told);
        let rows: Vec<_> = report.rows.iter().map(|row| (row.test.as_str(), row.failures)).collect();
        assert_eq!(rows, [("T1", 0), ("T4", 1)]);
    }

    #[test]
    fn the_table_says_what_failed_and_how_to_run_it_again() {
        let table = table(&[done(&["one", "two"])]);
        for wanted in ["FAILS", "2 failures; again alone: TORTURE=T1=122 SEED=7", "- two"] {
            assert!(table.contains(wanted), "{table}");
        }
    }
}
