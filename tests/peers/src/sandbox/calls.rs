//! Filters of system calls (seccomp(2)), as systemd makes them of a unit. Where systemd refuses with EPERM the process is
//! killed here, so that nothing goes on without what it asked for and nobody sees it; the kernel's log names the call.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Context as _;
use seccompiler::SeccompCmpOp::{MaskedEq, Ne};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
};
use syscalls::Sysno;

use super::unit::{Filtered, Refused, Unit};

/// Sets of calls, as `systemd-analyze syscall-filter` of systemd 252 prints them.
const SETS: &str = include_str!("../../testdata/syscall-filter.txt");
/// What systemd allows without being asked.
const ALWAYS: &str = "@default";
/// What programs then do without (errno(3)): they take an older call, whose arguments a filter can see.
const ENOSYS: u32 = 38;

/// Flags of clone(2), unshare(2): control groups, IPC, network, mounts, processes, users, host name.
const NAMESPACES: [u64; 7] =
    [0x0200_0000, 0x0800_0000, 0x4000_0000, 0x0002_0000, 0x2000_0000, 0x1000_0000, 0x0400_0000];
/// PROT_WRITE and PROT_EXEC of mmap(2), SHM_EXEC of shmat(2).
const WRITE: u64 = 2;
const EXECUTE: u64 = 4;
const SHARED_EXECUTE: u64 = 0o100_000;
/// Mode bits of set-user-id and set-group-id (inode(7)), and the flag with which a mode is looked at (open(2)).
const SET_ID: [u64; 2] = [0o4000, 0o2000];
const CREATE: u64 = 0o100;
/// SCHED_OTHER, SCHED_BATCH, SCHED_IDLE (sched(7)).
const NOT_REALTIME: [u64; 3] = [0, 3, 5];
/// PER_LINUX (personality(2)).
const OWN_PERSONALITY: u64 = 0;

/// Filters in the order in which they are to be applied: the last one allows none of the calls by which that is done.
///
/// # Errors
/// The unit names what is not known.
pub(super) fn filters(unit: &Unit) -> anyhow::Result<Vec<BpfProgram>> {
    let mut filters = Vec::new();
    let unseen = unseen(unit);
    if !unseen.is_empty() {
        filters.push(filter(unseen, SeccompAction::Allow, SeccompAction::Errno(ENOSYS))?);
    }
    let refused = refused(unit)?;
    if !refused.is_empty() {
        filters.push(filter(refused, SeccompAction::Allow, SeccompAction::KillProcess)?);
    }
    if !unit.filter.is_empty() {
        let allowed = allowed(unit)?.into_iter().filter_map(|name| Some((number(&name)?, Vec::new())));
        filters.push(filter(allowed.collect(), SeccompAction::KillProcess, SeccompAction::Allow)?);
    }
    Ok(filters)
}

type Rules = BTreeMap<i64, Vec<SeccompRule>>;

fn filter(rules: Rules, others: SeccompAction, these: SeccompAction) -> anyhow::Result<BpfProgram> {
    let machine = std::env::consts::ARCH.try_into()?;
    Ok(SeccompFilter::new(rules, others, these, machine)?.try_into()?)
}

/// A call's number; none where this kind of machine has no such call.
fn number(name: &str) -> Option<i64> {
    name.parse::<Sysno>().ok().map(|call| i64::from(call.id()))
}

/// Names of all that the filter allows.
fn allowed(unit: &Unit) -> anyhow::Result<BTreeSet<String>> {
    let mut allowed = BTreeSet::new();
    add(ALWAYS, &mut allowed)?;
    for (filtered, names) in &unit.filter {
        let mut these = BTreeSet::new();
        for name in names {
            add(name, &mut these)?;
        }
        match filtered {
            Filtered::Allowed => allowed.extend(these),
            Filtered::TakenBack => allowed.retain(|name| !these.contains(name)),
        }
    }
    Ok(allowed)
}

/// Adds a call, or those of a set and of the sets in it.
fn add(name: &str, into: &mut BTreeSet<String>) -> anyhow::Result<()> {
    if !name.starts_with('@') {
        into.insert(name.to_owned());
        return Ok(());
    }
    let mut lines = SETS.lines().skip_while(|line| *line != name);
    lines.next().with_context(|| format!("there is no set {name}"))?;
    let members = lines.map_while(|line| line.strip_prefix("    ")).filter(|line| !line.starts_with('#'));
    members.map(str::trim).try_for_each(|member| add(member, into))
}

/// Calls whose arguments a filter cannot see.
fn unseen(unit: &Unit) -> Rules {
    let calls = [(Refused::Namespaces, "clone3"), (Refused::SuidAndSgid, "openat2")];
    let calls = calls.into_iter().filter(|(refused, _)| unit.refused.contains(refused));
    calls.filter_map(|(_, name)| Some((number(name)?, Vec::new()))).collect()
}

/// Calls with arguments, or in sets, that are refused whatever the filter says.
fn refused(unit: &Unit) -> anyhow::Result<Rules> {
    let mut rules = Rules::new();
    let mut names = BTreeSet::new();
    for refused in &unit.refused {
        match refused {
            Refused::Clock => add("@clock", &mut names)?,
            Refused::Modules => add("@module", &mut names)?,
            Refused::RawDevices => add("@raw-io", &mut names)?,
            Refused::KernelLog => add("syslog", &mut names)?,
            Refused::HostName => {
                add("sethostname", &mut names)?;
                add("setdomainname", &mut names)?;
            }
            Refused::ForeignPersonality => when(&mut rules, "personality", &[(0, Ne, OWN_PERSONALITY)])?,
            Refused::Realtime => {
                let others = NOT_REALTIME.map(|policy| (1, Ne, policy));
                when(&mut rules, "sched_setscheduler", &others)?;
            }
            Refused::Namespaces => {
                add("setns", &mut names)?;
                for flag in NAMESPACES {
                    when(&mut rules, "clone", &[(0, MaskedEq(flag), flag)])?;
                    when(&mut rules, "unshare", &[(0, MaskedEq(flag), flag)])?;
                }
            }
            Refused::SuidAndSgid => set_id(&mut rules)?,
            Refused::WritableCode => {
                let both = WRITE | EXECUTE;
                when(&mut rules, "mmap", &[(2, MaskedEq(both), both)])?;
                when(&mut rules, "mprotect", &[(2, MaskedEq(EXECUTE), EXECUTE)])?;
                when(&mut rules, "pkey_mprotect", &[(2, MaskedEq(EXECUTE), EXECUTE)])?;
                when(&mut rules, "shmat", &[(2, MaskedEq(SHARED_EXECUTE), SHARED_EXECUTE)])?;
            }
        }
    }
    if let Some(families) = &unit.families {
        let others = families.iter().map(|name| Ok((0, Ne, family(name)?)));
        when(&mut rules, "socket", &others.collect::<anyhow::Result<Vec<_>>>()?)?;
    }
    // Without conditions it is refused always.
    rules.extend(names.iter().filter_map(|name| Some((number(name)?, Vec::new()))));
    Ok(rules)
}

fn set_id(rules: &mut Rules) -> anyhow::Result<()> {
    for bit in SET_ID {
        for (name, mode) in [
            ("chmod", 1),
            ("fchmod", 1),
            ("fchmodat", 2),
            ("fchmodat2", 2),
            ("mkdir", 1),
            ("mkdirat", 2),
            ("mknod", 1),
            ("mknodat", 2),
            ("creat", 1),
        ] {
            when(rules, name, &[(mode, MaskedEq(bit), bit)])?;
        }
        for (name, flags) in [("open", 1), ("openat", 2)] {
            let made = [(flags, MaskedEq(CREATE), CREATE), (flags + 1, MaskedEq(bit), bit)];
            when(rules, name, &made)?;
        }
    }
    Ok(())
}

/// Adds that a call is met when all of these hold of its arguments.
fn when(rules: &mut Rules, name: &str, conditions: &[(u8, SeccompCmpOp, u64)]) -> anyhow::Result<()> {
    let Some(number) = number(name) else { return Ok(()) };
    let conditions = conditions.iter().map(|(argument, operator, value)| {
        SeccompCondition::new(*argument, SeccompCmpArgLen::Dword, operator.clone(), *value)
    });
    let rule = SeccompRule::new(conditions.collect::<Result<_, _>>()?)?;
    rules.entry(number).or_default().push(rule);
    Ok(())
}

/// A family of sockets (address_families(7)).
fn family(name: &str) -> anyhow::Result<u64> {
    let families = [("AF_UNIX", 1), ("AF_INET", 2), ("AF_INET6", 10), ("AF_NETLINK", 16)];
    let found = families.iter().find(|(known, _)| *known == name);
    Ok(found.with_context(|| format!("{name} is not known here"))?.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_are_added_with_those_in_them_and_taken_back() {
        let read = |filter: &str| Unit::read(&format!("[Service]\nExecStart=a run\n{filter}")).unwrap();
        let unit = read("SystemCallFilter=@system-service\nSystemCallFilter=~@privileged @resources\n");
        let names = allowed(&unit).unwrap();
        // execve: of @default; openat: of @file-system within @system-service.
        for name in ["execve", "openat", "sendmmsg", "recvmmsg", "epoll_pwait2", "fsync", "kill"] {
            assert!(names.contains(name), "{name}");
        }
        for name in ["chown", "setpriority", "mount", "ptrace", "reboot", "seccomp", "init_module"] {
            assert!(!names.contains(name), "{name}");
        }
        assert!(allowed(&read("SystemCallFilter=@nonsense\n")).is_err());
        assert_eq!(filters(&unit).unwrap().len(), 1);
        assert_eq!(filters(&read("RestrictNamespaces=yes\n")).unwrap().len(), 2);
        assert!(filters(&read("RestrictAddressFamilies=AF_PACKET\n")).is_err());
    }
}
