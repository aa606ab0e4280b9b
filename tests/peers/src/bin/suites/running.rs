//! A test program that runs: its output goes to a file, its time is measured.

use std::fmt;
use std::fs::{self, File};
use std::io;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tgtrunk_test_telegram::surroundings;
use tgtrunk_tests::aside;

use crate::plan::Aside;
use crate::program::Program;
use crate::table::Needs;

/// Linux tells times of processes in hundredths of a second, whatever its own beat is.
const TICKS_PER_SECOND: u64 = 100;

#[derive(Debug)]
pub(crate) struct Running {
    name: String,
    child: Child,
    began: Instant,
    cpu: Duration,
    log: PathBuf,
    aside: PathBuf,
}

/// How a program ended.
#[derive(Debug)]
pub(crate) struct Ended {
    name: String,
    /// None when it had to be killed.
    status: Option<ExitStatus>,
    pub(crate) took: Duration,
    /// Of it and of all that it started and waited for.
    pub(crate) cpu: Duration,
    pub(crate) log: PathBuf,
}

impl Running {
    /// Starts it, with its output in a file of `logs`.
    pub(crate) fn start(
        program: &Program,
        needs: Needs,
        logs: &Path,
        inside: Option<&Path>,
        began: Instant,
    ) -> anyhow::Result<Self> {
        let file = program.name.replace('/', "-");
        let (log, aside) = (logs.join(format!("{file}.log")), logs.join(format!("{file}.aside")));
        fs::remove_file(&aside).or_else(|error| match error.kind() {
            io::ErrorKind::NotFound => Ok(()),
            _ => Err(error),
        })?;
        let output = File::create(&log).with_context(|| log.display().to_string())?;
        let mut command = Command::new(&program.file);
        command.current_dir(&program.folder).stdin(Stdio::null());
        command.env_remove(aside::FILE).env_remove(surroundings::FOLDER);
        command.stdout(output.try_clone()?).stderr(output);
        if let Some(links) = inside {
            command.env(surroundings::FOLDER, links);
        }
        if needs.alone {
            command.env(aside::FILE, &aside);
        }
        if let Some(threads) = needs.threads {
            command.args(["--test-threads", &threads.to_string()]);
        }
        let child = command.spawn().with_context(|| program.file.display().to_string())?;
        Ok(Self { name: program.name.clone(), child, began, cpu: Duration::ZERO, log, aside })
    }

    /// Starts a command of the shell in `root` that has the processors when nobody else wants them; it and all that it
    /// starts are a process group.
    pub(crate) fn start_beside(line: &str, root: &Path, logs: &Path, began: Instant) -> anyhow::Result<Self> {
        let (log, aside) = (logs.join("beside.log"), logs.join("beside.aside"));
        let output = File::create(&log).with_context(|| log.display().to_string())?;
        let mut command = Command::new("chrt");
        command.args(["--idle", "0", "nice", "-n", "19", "sh", "-c", line]).current_dir(root);
        command.process_group(0);
        command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
        let child = command.spawn().context("chrt")?;
        Ok(Self { name: line.to_owned(), child, began, cpu: Duration::ZERO, log, aside })
    }

    /// What it says of itself.
    pub(crate) fn aside(&self) -> Aside {
        let said = fs::read_to_string(&self.aside).unwrap_or_default();
        if said == aside::DONE {
            return Aside::Done;
        }
        said.parse().map_or(Aside::No, |seconds| Aside::Waits(Duration::from_secs(seconds)))
    }

    /// Tells it that nobody runs beside it any more.
    pub(crate) fn recall(&self) -> io::Result<()> {
        fs::remove_file(&self.aside)
    }

    /// Stops the process group that it leads, or lets it go on.
    pub(crate) fn hold(&self, is_held: bool) -> anyhow::Result<()> {
        let signal = if is_held { Signal::SIGSTOP } else { Signal::SIGCONT };
        killpg(Pid::from_raw(i32::try_from(self.child.id())?), signal).with_context(|| self.name.clone())
    }

    /// Whether it has ended; it is killed when it takes longer than `limit`.
    pub(crate) fn poll_end(&mut self, now: Instant, limit: Duration) -> anyhow::Result<Option<Ended>> {
        if let Ok(stat) = fs::read_to_string(format!("/proc/{}/stat", self.child.id())) {
            self.cpu = cpu(&stat).unwrap_or(self.cpu);
        }
        let mut status = self.child.try_wait()?;
        let took = now - self.began;
        if status.is_none() {
            if took < limit {
                return Ok(None);
            }
            self.child.kill()?;
            self.child.wait()?;
            status = None;
        }
        let (name, cpu, log) = (self.name.clone(), self.cpu, self.log.clone());
        Ok(Some(Ended { name, status, took, cpu, log }))
    }
}

impl Ended {
    pub(crate) fn passed(&self) -> bool {
        self.status.is_some_and(|status| status.success())
    }
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.status {
            Some(status) if status.success() => "passed".to_owned(),
            Some(status) => format!("failed ({status})"),
            None => "hung and was killed".to_owned(),
        };
        let (took, cpu) = (self.took.as_secs_f64(), self.cpu.as_secs_f64());
        write!(f, "{:34} {what} in {took:.1} s, {:.2} processors", self.name, cpu / took.max(0.1))
    }
}

/// Of a process and of its children that ended: fields 14 to 17 of /proc/pid/stat (proc(5)).
fn cpu(stat: &str) -> Option<Duration> {
    // The program's name, in brackets, may hold anything.
    let (_, fields) = stat.rsplit_once(')')?;
    let ticks =
        fields.split_whitespace().skip(11).take(4).map(str::parse::<u64>).sum::<Result<u64, _>>().ok()?;
    Some(Duration::from_millis(ticks * 1000 / TICKS_PER_SECOND))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processor_time_is_that_of_the_process_and_its_children() {
        let stat = "12 (a ) b) S 1 12 12 0 -1 4194560 100 0 0 0 150 50 20 30 20 0 9 0 1 2 3";
        assert_eq!(cpu(stat), Some(Duration::from_millis(2500)));
        assert_eq!(cpu("12 (a) S 1"), Some(Duration::ZERO));
        assert_eq!(cpu(""), None);
    }
}
