//! What processes and the machine used, as the kernel counts it; where threads run.

use std::collections::{BTreeMap, HashSet};
use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, ensure};

/// What each thread of a process used so far; nothing of no process.
#[derive(Debug, Clone, Default)]
pub struct Threads(BTreeMap<OsString, Usage>);

/// What a process used meanwhile, all threads together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Time on a processor (`schedstat`): exact, where ticks mislead.
    pub cpu_ns: u64,
    /// Context switches, wanted and forced.
    pub switches: u64,
}

impl Threads {
    /// # Errors
    /// When there is no such process.
    pub fn of(pid: u32) -> anyhow::Result<Self> {
        let mut threads = BTreeMap::new();
        for task in fs::read_dir(format!("/proc/{pid}/task"))? {
            let task = task?;
            // A thread may end meanwhile.
            let Ok(schedstat) = fs::read_to_string(task.path().join("schedstat")) else { continue };
            let cpu_ns = schedstat.split(' ').next().context("schedstat")?.parse()?;
            let switches = switches(&fs::read_to_string(task.path().join("status")).unwrap_or_default());
            threads.insert(task.file_name(), Usage { cpu_ns, switches });
        }
        Ok(Self(threads))
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// What was used since, without what threads used that have ended: their share before would outweigh it.
    pub fn since(&self, before: &Self) -> Usage {
        let mut all = Usage::default();
        for (thread, usage) in &self.0 {
            let before = before.0.get(thread).copied().unwrap_or_default();
            all.cpu_ns += usage.cpu_ns.saturating_sub(before.cpu_ns);
            all.switches += usage.switches.saturating_sub(before.switches);
        }
        all
    }
}

/// Descriptors that a process has open.
///
/// # Errors
/// When there is no such process.
pub fn descriptors(pid: u32) -> anyhow::Result<usize> {
    Ok(fs::read_dir(format!("/proc/{pid}/fd"))?.count())
}

fn switches(status: &str) -> u64 {
    let counts = status.lines().filter(|line| line.contains("ctxt_switches:"));
    counts.filter_map(|line| line.split_whitespace().last()?.parse::<u64>().ok()).sum()
}

/// A process's resident size in kB.
///
/// # Errors
/// When there is no such process.
pub fn resident_kb(pid: u32) -> anyhow::Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("VmRSS")?;
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}

/// Datagrams that found no room in the buffers of these processes' UDP sockets.
///
/// # Errors
/// When there is no such process, or the kernel does not say.
pub fn dropped(processes: &[u32]) -> anyhow::Result<u64> {
    let mut sockets = HashSet::new();
    for process in processes {
        for descriptor in fs::read_dir(format!("/proc/{process}/fd"))? {
            let Ok(link) = fs::read_link(descriptor?.path()) else { continue };
            let inode = link.to_str().and_then(|link| link.strip_prefix("socket:[")?.strip_suffix(']'));
            sockets.extend(inode.map(str::to_owned));
        }
    }
    let table =
        fs::read_to_string("/proc/net/udp")? + &fs::read_to_string("/proc/net/udp6").unwrap_or_default();
    Ok(drops(&table, &sockets))
}

fn drops(table: &str, sockets: &HashSet<String>) -> u64 {
    let rows = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let ours = rows.filter(|row| row.get(9).is_some_and(|inode| sockets.contains(*inode)));
    ours.filter_map(|row| row.get(12)?.parse::<u64>().ok()).sum()
}

/// Time that another machine on the same host took from this one, and all time, in ticks.
///
/// # Errors
/// When the kernel does not say.
pub fn stolen() -> anyhow::Result<(u64, u64)> {
    let stat = fs::read_to_string("/proc/stat")?;
    let line = stat.lines().next().and_then(|line| line.strip_prefix("cpu ")).context("/proc/stat")?;
    let ticks: Vec<u64> = line.split_whitespace().filter_map(|ticks| ticks.parse().ok()).collect();
    // Guests are in user time already.
    Ok((*ticks.get(7).context("steal")?, ticks.iter().take(8).sum()))
}

/// Processors that this process may use.
///
/// # Errors
/// When the system does not say.
pub fn processors() -> anyhow::Result<usize> {
    Ok(std::thread::available_parallelism()?.get())
}

/// Has every thread of a process run on one processor.
///
/// # Errors
/// When that is not allowed.
pub fn pin(pid: u32, processor: usize) -> anyhow::Result<()> {
    run(Command::new("taskset").args(["-a", "-c", "-p"]).arg(processor.to_string()).arg(pid.to_string()))
}

/// Has the threads of this program that have a name run on one processor.
///
/// # Errors
/// When that is not allowed.
pub fn pin_own(name: &str, processor: usize) -> anyhow::Result<()> {
    for task in fs::read_dir("/proc/self/task")? {
        let task = task?;
        if fs::read_to_string(task.path().join("comm")).is_ok_and(|comm| comm.trim_end() == name) {
            let arguments = ["-c".into(), "-p".into(), processor.to_string().into(), task.file_name()];
            run(Command::new("taskset").args(arguments))?;
        }
    }
    Ok(())
}

/// Has every thread of a process run ahead of all ordinary ones, where that is allowed; whether it is. Threads that it starts
/// later do, too.
pub fn prefer(pid: u32) -> bool {
    run(Command::new("chrt").args(["-a", "-r", "-p", "1"]).arg(pid.to_string())).is_ok()
}

/// Has the calling thread run ahead of all ordinary ones, where that is allowed; whether it is.
pub fn hasten() -> bool {
    let Some(thread) = own_thread() else { return false };
    run(Command::new("chrt").args(["-r", "-p", "1", &thread])).is_ok()
}

/// Has every thread of a process get more of its processor than ordinary ones, where that is allowed; among each other they are
/// as before.
pub fn favour(pid: u32) {
    let Ok(tasks) = fs::read_dir(format!("/proc/{pid}/task")) else { return };
    let threads = tasks.flatten().map(|task| task.file_name());
    run(Command::new("renice").args(["-n", "-10", "-p"]).args(threads)).ok();
}

/// Has the calling thread wait for all others.
pub fn linger() {
    if let Some(thread) = own_thread() {
        run(Command::new("renice").args(["-n", "19", "-p", &thread])).ok();
    }
}

/// Takes [`hasten`] back.
pub fn calm() {
    if let Some(thread) = own_thread() {
        run(Command::new("chrt").args(["-o", "-p", "0", &thread])).ok();
    }
}

fn own_thread() -> Option<String> {
    let link = fs::read_link(Path::new("/proc/thread-self")).ok()?;
    Some(link.file_name()?.to_str()?.to_owned())
}

fn run(command: &mut Command) -> anyhow::Result<()> {
    let output = command.output().with_context(|| format!("{command:?} cannot be run"))?;
    ensure!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

/// Limits how many files a running process may have open.
///
/// # Errors
/// When `prlimit` does not do it.
pub fn limit_descriptors(pid: u32, most: usize) -> anyhow::Result<()> {
    let arguments = [format!("--pid={pid}"), format!("--nofile={most}:")];
    let done = Command::new("prlimit").args(arguments).status().context("prlimit, of util-linux")?;
    ensure!(done.success(), "prlimit ended with {done}");
    Ok(())
}

/// What was used until a moment, by a relay where there is one, and of the machine.
pub(super) struct Machine {
    pub(super) usage: Threads,
    pub(super) stolen: (u64, u64),
}

impl Machine {
    /// Reads it now.
    ///
    /// # Errors
    /// When the process is gone.
    pub(super) fn read(relay: Option<u32>) -> anyhow::Result<Self> {
        let usage = relay.map(Threads::of).transpose()?.unwrap_or_default();
        Ok(Self { usage, stolen: stolen()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_found_by_their_names() {
        let row = |inode, drops| {
            format!("  9: 0100007F:C35A 00000000:0000 07 0:0 00:0 0 0 0 {inode} 2 0000000000000000 {drops}\n")
        };
        let table = [row(71, 5), row(72, 40), row(73, 1)].concat();
        assert_eq!(drops(&table, &["71".to_owned(), "73".to_owned()].into()), 6);
        let status = "VmRSS:\t12 kB\nvoluntary_ctxt_switches:\t30\nnonvoluntary_ctxt_switches:\t4\n";
        assert_eq!(switches(status), 34);
    }

    #[test]
    fn what_a_process_uses_grows_and_a_thread_that_ended_takes_nothing_back() {
        let id = std::process::id();
        let before = Threads::of(id).unwrap();
        let mut sum = 0_u64;
        while Threads::of(id).unwrap().since(&before).cpu_ns == 0 {
            sum = std::hint::black_box(sum + 1);
        }
        let usage = |cpu_ns| Usage { cpu_ns, switches: 1 };
        let threads = |all: &[(&str, u64)]| {
            Threads(all.iter().map(|(name, cpu_ns)| (OsString::from(name), usage(*cpu_ns))).collect())
        };
        let (before, after) = (threads(&[("1", 90), ("2", 5)]), threads(&[("2", 8), ("3", 4)]));
        assert_eq!(after.since(&before), Usage { cpu_ns: 7, switches: 1 });
        assert!(resident_kb(id).unwrap() > 0);
        dropped(&[id]).unwrap();
        let (stolen, all) = stolen().unwrap();
        assert!(stolen < all);
    }
}
