//! Figures that a test has to show whether it passes or fails: the test runner keeps what is merely printed to itself.

use std::io::Write as _;

/// Shows one line of figures.
pub fn show(line: &str) {
    writeln!(std::io::stderr(), "{line}").ok();
}
