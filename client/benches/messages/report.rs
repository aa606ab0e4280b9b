//! The figures, on the terminal and as `messages` in the report of `make bench`.

use std::fs;
use std::path::Path;
use std::time::Duration;

use serde_json::{Map, Value, json};

/// Where all benchmarks leave their figures.
const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../target/bench/report.json");

#[derive(Default)]
pub(crate) struct Report(Map<String, Value>);

impl Report {
    /// How many of something were done in a second, beside what the machine does of it with nothing around.
    pub(crate) fn rate(&mut self, key: &str, what: &str, count: u32, took: Duration, floor: (f64, &str)) {
        let (rate, (floor, of)) = (f64::from(count) / took.as_secs_f64(), floor);
        println!("{what}: {rate:.0} a second, {:.2} of the {of}", rate / floor);
        self.set(key, json!({"per_second": rate, "of": of, "of_per_second": floor, "ratio": rate / floor}));
    }

    pub(crate) fn set(&mut self, key: &str, value: Value) {
        self.0.insert(key.to_owned(), value);
    }

    /// Puts these figures in the place of those that are there; what was not measured this time stays.
    pub(crate) fn write(self) {
        let file = Path::new(FILE);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        let there = fs::read_to_string(file).ok().and_then(|text| serde_json::from_str(&text).ok());
        let mut report: Map<String, Value> = there.unwrap_or_default();
        if let Value::Object(messages) = report.entry("messages").or_insert_with(|| json!({})) {
            messages.extend(self.0);
        }
        fs::write(file, serde_json::to_string_pretty(&report).unwrap() + "\n").unwrap();
        println!("written to {}", file.canonicalize().unwrap().display());
    }
}
