//! The surroundings of a service without systemd: a program that is started by [`enter`] has the filter of system calls, the
//! missing capabilities, the limits and the view of files that its unit asks for.
//!
//! A call that the unit refuses kills the program (SIGSYS) and stands in the kernel's log; see `calls` and [`refusals`]. What
//! of a unit cannot be had here is named in `unit`, and a setting that nobody knows is an error.

mod calls;
mod files;
mod kernel_log;
mod unit;

use std::convert::Infallible;
use std::env;
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, ensure};
use nix::sched::{CloneFlags, unshare};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::stat::{Mode, umask};
use nix::unistd::{getegid, geteuid};
use rustix::thread::{
    CapabilitySet, CapabilitySets, clear_ambient_capability_set, remove_capability_from_bounding_set,
    set_capabilities, set_no_new_privs,
};
use tgtrunk_test_telegram::surroundings;

use self::files::Own;
pub use self::kernel_log::{refusals, uptime_s};
use self::unit::{Unit, View};

/// The programs that are services.
pub const PROGRAMS: [&str; 3] = ["tgtrunk-gateway", "tgtrunk-client", "tgtrunk-bot"];
/// The service's user, as it sees itself. To others it is who started it, who owns the files that it makes.
const USER: u32 = 995;

/// Turns this process into the program, as its unit wants the service; with a command that people type, without that. The
/// process must have no other thread.
///
/// # Errors
/// When the surroundings or the program cannot be had.
pub fn enter(unit: &Path, program: &Path, arguments: &[OsString]) -> anyhow::Result<Infallible> {
    let text = fs::read_to_string(unit).with_context(|| unit.display().to_string())?;
    let unit = Unit::read(&text).with_context(|| unit.display().to_string())?;
    if arguments.iter().any(|word| *word == *unit.service) {
        surround(&unit, arguments)?;
    }
    let error = Command::new(program).args(arguments).exec();
    Err(error).with_context(|| program.display().to_string())
}

/// Makes links in a folder, by whose names the launcher knows what it is to become.
///
/// # Errors
/// When they cannot be made.
pub fn make_links(launcher: &Path, folder: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(folder)?;
    for program in PROGRAMS {
        let link = folder.join(program);
        if link.is_symlink() {
            fs::remove_file(&link)?;
        }
        symlink(launcher, &link).with_context(|| link.display().to_string())?;
    }
    Ok(())
}

fn surround(unit: &Unit, arguments: &[OsString]) -> anyhow::Result<()> {
    let filters = calls::filters(unit)?;
    for (resource, most) in
        [(Resource::RLIMIT_NOFILE, unit.descriptors), (Resource::RLIMIT_CORE, unit.core_bytes)]
    {
        if let Some(most) = most {
            // More than this machine gives cannot be had.
            let most = most.min(getrlimit(resource)?.1);
            setrlimit(resource, most, most).with_context(|| format!("{resource:?}"))?;
        }
    }
    if let Some(mask) = unit.umask {
        umask(Mode::from_bits_truncate(mask));
    }
    unshare(CloneFlags::CLONE_NEWNS).context("mounts of its own, which root may have")?;
    files::show(&unit.views, &own(unit, arguments)?)?;
    if unit.views.contains(&View::OwnUser) {
        become_another()?;
    }
    drop_capabilities()?;
    set_no_new_privs(true)?;
    // From here on there is less and less that may be called.
    for filter in &filters {
        seccompiler::apply_filter(filter)?;
    }
    Ok(())
}

/// Where the program may write.
fn own(unit: &Unit, arguments: &[OsString]) -> anyhow::Result<Vec<Own>> {
    let named = |option: &str| {
        let at = arguments.iter().position(|word| word == option)?;
        std::path::absolute(PathBuf::from(arguments.get(at + 1)?)).ok()
    };
    let settings = named("--config").context("--config names the settings")?;
    let state = match named("--state") {
        Some(state) => state,
        None => state_of(&settings)?,
    };
    let mut own = vec![Own(state)];
    // What a drop-in of the unit would name in ReadWritePaths=.
    let more = env::var_os(surroundings::WRITES).unwrap_or_default();
    own.extend(env::split_paths(&more).filter(|path| path.is_absolute()).map(Own));
    if unit.writes_settings {
        own.push(Own(settings.parent().context("settings lie in a folder")?.to_owned()));
    }
    Ok(own)
}

/// The state directory that settings name.
fn state_of(settings: &Path) -> anyhow::Result<PathBuf> {
    let text = fs::read_to_string(settings).with_context(|| settings.display().to_string())?;
    let named: toml::Table = text.parse()?;
    let state = named.get("gateway").and_then(|gateway| gateway.get("state")?.as_str());
    Ok(state.context("neither --state nor settings name a state directory")?.into())
}

/// Who owns what the program makes stays the same; the program does not know, and is somebody without rights.
fn become_another() -> anyhow::Result<()> {
    let (user, group) = (geteuid(), getegid());
    unshare(CloneFlags::CLONE_NEWUSER).context("a user namespace")?;
    fs::write("/proc/self/setgroups", "deny")?;
    fs::write("/proc/self/uid_map", format!("{USER} {user} 1"))?;
    fs::write("/proc/self/gid_map", format!("{USER} {group} 1"))?;
    ensure!(geteuid().as_raw() == USER, "the user is still {}", geteuid());
    Ok(())
}

fn drop_capabilities() -> anyhow::Result<()> {
    let none = CapabilitySet::empty();
    for capability in CapabilitySet::all().iter() {
        // Those that the kernel does not know are none.
        remove_capability_from_bounding_set(capability).ok();
    }
    clear_ambient_capability_set()?;
    Ok(set_capabilities(None, CapabilitySets { effective: none, permitted: none, inheritable: none })?)
}
