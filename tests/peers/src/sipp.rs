//! SIPp as the PBX: it calls or is called hundreds of times by a scenario of `tests/peers/sipp`, and echoes the sound.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;
use tokio::process::{Child, Command};
use tokio::time::timeout;

use crate::ports;

/// Bytes of its socket's buffer.
const BUFFER: usize = 4 << 20;

/// What a SIPp is to do.
#[derive(Debug, Clone)]
pub struct Plan {
    /// File of `tests/peers/sipp`.
    pub scenario: &'static str,
    /// The line that it calls; nobody when it waits to be called.
    pub line: Option<std::net::SocketAddr>,
    /// Its own port.
    pub port: u16,
    /// Calls in all; one that waits to be called goes on until [`Sipp::stop`].
    pub calls: u32,
    /// Calls begun per second.
    pub per_second: u32,
    /// Calls at once, at most.
    pub at_once: u32,
    /// How long a call that it placed lasts once it is answered.
    pub talk: Duration,
    /// Whom to dial, in turn.
    pub people: Vec<String>,
    /// How long all of it may take.
    pub limit: Duration,
}

/// A SIPp at work.
pub struct Sipp {
    child: Child,
    dir: TempDir,
    limit: Duration,
}

/// How its calls went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    pub succeeded: u64,
    pub failed: u64,
    /// Messages sent again.
    pub retransmissions: u64,
    /// What it complained about.
    pub errors: String,
    /// What its scenario timed: names, and microseconds.
    pub times: Vec<(String, u64)>,
}

impl Sipp {
    /// Starts it.
    ///
    /// # Errors
    /// When the Debian package `sip-tester` is missing.
    pub fn start(plan: &Plan) -> anyhow::Result<Self> {
        let dir = TempDir::with_prefix("sipp-")?;
        let own = |name: &str| dir.path().join(name).into_os_string();
        let media = ports::free_media()?;
        let mut command = Command::new("sipp");
        command.arg("-sf").arg(scenarios().join(plan.scenario));
        if let Some(line) = plan.line {
            std::fs::write(dir.path().join("people.csv"), people(&plan.people))?;
            command.arg(line.to_string()).arg("-inf").arg(own("people.csv"));
            command.args(["-r", &plan.per_second.to_string(), "-l", &plan.at_once.to_string()]);
            command.args(["-m", &plan.calls.to_string(), "-d", &plan.talk.as_millis().to_string()]);
        }
        command.args(["-i", "127.0.0.1", "-p", &plan.port.to_string()]);
        // What it usually asks for holds no crowd's answers for as long as others have its processor.
        command.args(["-buff_size", &BUFFER.to_string()]);
        command.args(["-mi", "127.0.0.1", "-mp", &media.to_string(), "-rtp_echo", "-aa", "-nostdin"]);
        command.args(["-timeout", &plan.limit.as_secs().to_string(), "-timeout_error"]);
        command.args(["-trace_stat", "-fd", "1", "-stf"]).arg(own("statistics.csv"));
        command.args(["-trace_err", "-error_file"]).arg(own("errors.log"));
        // It has no choice of a file for these.
        command.args(["-trace_rtt", "-rtt_freq", "1"]).current_dir(dir.path());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
        let child = command.spawn().context("sipp, from the Debian package sip-tester")?;
        Ok(Self { child, dir, limit: plan.limit + Duration::from_secs(10) })
    }

    /// # Errors
    /// When it has ended already.
    pub fn pid(&self) -> anyhow::Result<u32> {
        self.child.id().context("sipp has ended")
    }

    /// Lets it end when the calls that it has are over.
    ///
    /// # Errors
    /// When it has ended already.
    pub fn stop(&self) -> anyhow::Result<()> {
        Ok(kill(Pid::from_raw(self.pid()?.try_into()?), Signal::SIGUSR1)?)
    }

    /// Waits until all its calls are over.
    ///
    /// # Errors
    /// When it does not end in time, or tells nothing.
    pub async fn finished(mut self) -> anyhow::Result<Outcome> {
        let status = timeout(self.limit, self.child.wait()).await.context("sipp does not end")??;
        let errors = std::fs::read_to_string(self.dir.path().join("errors.log")).unwrap_or_default();
        let statistics = std::fs::read_to_string(self.dir.path().join("statistics.csv"))
            .with_context(|| format!("sipp ended with {status} and without statistics: {errors}"))?;
        let mut outcome = Outcome::read(&statistics, errors)?;
        for entry in std::fs::read_dir(self.dir.path())? {
            let path = entry?.path();
            if path.to_string_lossy().ends_with("_rtt.csv") {
                outcome.times.extend(times(&std::fs::read_to_string(path)?));
            }
        }
        ensure!(status.success() || outcome.failed > 0, "sipp ended with {status}: {outcome:?}");
        Ok(outcome)
    }
}

impl Outcome {
    /// The last row of its statistics.
    fn read(statistics: &str, errors: String) -> anyhow::Result<Self> {
        let mut rows = statistics.lines().filter(|row| !row.trim().is_empty());
        let names: Vec<&str> = rows.next().context("no statistics")?.split(';').collect();
        let last: Vec<&str> = rows.next_back().context("no row of statistics")?.split(';').collect();
        let number = |name: &str| -> anyhow::Result<u64> {
            let at = names.iter().position(|known| *known == name).with_context(|| format!("no {name}"))?;
            Ok(last.get(at).with_context(|| format!("no value of {name}"))?.trim().parse()?)
        };
        Ok(Self {
            succeeded: number("SuccessfulCall(C)")?,
            failed: number("FailedCall(C)")?,
            retransmissions: number("Retransmissions(C)")?,
            errors: errors.chars().take(4000).collect(),
            times: Vec::new(),
        })
    }
}

/// Rows of a moment, milliseconds and a name.
fn times(rows: &str) -> Vec<(String, u64)> {
    let row = |row: &str| {
        let mut fields = row.split(';').skip(1);
        let ms: f64 = fields.next()?.trim().parse().ok()?;
        Some((fields.next()?.trim().to_owned(), (ms * 1000.0) as u64))
    };
    rows.lines().filter_map(row).collect()
}

fn scenarios() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("sipp")
}

/// One row each, taken in turn.
fn people(people: &[String]) -> String {
    let rows: String = people.iter().map(|person| format!("{person}\n")).collect();
    format!("SEQUENTIAL\n{rows}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_row_of_the_statistics_counts() {
        let statistics = "StartTime;CurrentCall;SuccessfulCall(P);SuccessfulCall(C);FailedCall(C);Retransmissions(C);\n\
                          now;3;1;1;0;0;\nlater;0;2;3;1;7;\n";
        let outcome = Outcome::read(statistics, String::new()).unwrap();
        assert_eq!((outcome.succeeded, outcome.failed, outcome.retransmissions), (3, 1, 7));
    }

    #[test]
    fn what_was_timed_has_its_name() {
        let rows = "Date_ms;response_time_ms;rtd_no\n336.001;7;setup\n668.001;0.25;trying\n";
        assert_eq!(times(rows), [("setup".to_owned(), 7000), ("trying".to_owned(), 250)]);
    }
}
