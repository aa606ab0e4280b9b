//! What the kernel's log tells of calls that were refused (the records of type 1326 that seccomp(2) speaks of).

use std::fs;
use std::process::Command;

use anyhow::Context as _;
use syscalls::Sysno;

use super::PROGRAMS;

/// A refusal is of this type (linux/audit.h).
const REFUSAL: &str = "type=1326";

/// Seconds since the machine started, by which its log counts.
///
/// # Errors
/// When the system does not tell.
pub fn uptime_s() -> anyhow::Result<f64> {
    let told = fs::read_to_string("/proc/uptime")?;
    told.split(' ').next().context("/proc/uptime")?.parse().context("/proc/uptime")
}

/// Calls of the services that were refused since then; nothing where nobody but root may read the log.
pub fn refusals(since_s: f64) -> Vec<String> {
    let told = Command::new("dmesg").output();
    told.map(|told| in_log(&String::from_utf8_lossy(&told.stdout), since_s)).unwrap_or_default()
}

fn in_log(log: &str, since_s: f64) -> Vec<String> {
    let of_a_service = |line: &&str| {
        let programs = PROGRAMS.into_iter().map(|program| format!("/{program}\""));
        line.contains(REFUSAL) && programs.into_iter().any(|program| line.contains(&program))
    };
    log.lines().filter(of_a_service).filter_map(|line| refusal(line, since_s)).collect()
}

fn refusal(line: &str, since_s: f64) -> Option<String> {
    let (at, rest) = line.strip_prefix('[')?.split_once(']')?;
    let field = |name: &str| rest.split(' ').find_map(|word| word.strip_prefix(name)?.strip_prefix('='));
    let number: usize = field("syscall")?.parse().ok()?;
    let call = Sysno::new(number).map_or_else(|| number.to_string(), |call| call.name().to_owned());
    let program = field("exe")?.trim_matches('"').rsplit('/').next()?;
    let is_since = at.trim().parse::<f64>().is_ok_and(|at| at >= since_s);
    is_since.then(|| format!("{program} was refused {call} in its thread {}", field("comm").unwrap_or("?")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_arch = "x86_64")]
    #[test]
    fn a_refusal_is_told_by_the_name_of_the_call() {
        let log = "[   12.000000] eth0: link is up\n\
                   [   50.905867] audit: type=1326 audit(1795873450.118:2): auid=1 pid=37 comm=\"compute\" exe=\"/x/tgtrunk-gateway\" sig=31 arch=c000003e syscall=141 compat=0 ip=0x7f code=0x80000000\n\
                   [   51.905867] audit: type=1326 audit(1795873450.119:3): pid=38 comm=\"sh\" exe=\"/bin/sh\" sig=31 arch=c000003e syscall=83 compat=0\n";
        assert_eq!(in_log(log, 40.0), ["tgtrunk-gateway was refused setpriority in its thread \"compute\""]);
        assert_eq!(in_log(log, 51.0), [""; 0]);
    }
}
