//! What a service sees of the system's files (systemd.exec(5), "Sandboxing"), in a mount namespace that is its own already.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use nix::mount::{MsFlags, mount};

use super::unit::View;

/// A folder that the program may write.
pub(super) struct Own(pub(super) PathBuf);

/// Devices that everybody has.
const DEVICES: [&str; 6] = ["null", "zero", "full", "random", "urandom", "tty"];
/// Where devices are gathered before they take the place of all.
const GATHERED: &str = "/var/tmp";
const NOTHING: Option<&str> = None;

/// # Errors
/// When something cannot be mounted.
pub(super) fn show(views: &BTreeSet<View>, own: &[Own]) -> anyhow::Result<()> {
    // What is mounted elsewhere later comes along, and nothing of this goes back.
    mount(NOTHING, "/", NOTHING, MsFlags::MS_SLAVE | MsFlags::MS_REC, NOTHING)
        .context("a view of its own")?;
    if views.contains(&View::NoDevices) {
        devices().context("/dev")?;
    }
    if views.contains(&View::OwnTemporaryFiles) {
        mount(Some("tmpfs"), "/var/tmp", Some("tmpfs"), MsFlags::empty(), Some("mode=1777"))?;
    }
    if views.contains(&View::ReadOnly) {
        for Own(folder) in own {
            let flags = MsFlags::MS_BIND | MsFlags::MS_REC;
            mount(Some(folder), folder, NOTHING, flags, NOTHING)
                .with_context(|| folder.display().to_string())?;
        }
        read_only(own)?;
    }
    if views.contains(&View::OwnProcesses) {
        let shown = Some("hidepid=invisible,subset=pid");
        mount(Some("proc"), "/proc", Some("proc"), hardened(), shown).context("/proc")?;
    }
    Ok(())
}

fn hardened() -> MsFlags {
    MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC
}

/// Puts a folder with the harmless devices in the place of the one with all.
fn devices() -> anyhow::Result<()> {
    let gathered = Path::new(GATHERED);
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NOEXEC;
    mount(Some("tmpfs"), gathered, Some("tmpfs"), flags, Some("mode=0755"))?;
    for name in DEVICES {
        let (device, place) = (Path::new("/dev").join(name), gathered.join(name));
        File::create(&place)?;
        mount(Some(&device), &place, NOTHING, MsFlags::MS_BIND, NOTHING).with_context(|| name.to_owned())?;
    }
    fs::create_dir(gathered.join("shm"))?;
    symlink("/proc/self/fd", gathered.join("fd"))?;
    Ok(mount(Some(gathered), "/dev", NOTHING, MsFlags::MS_MOVE, NOTHING)?)
}

/// All that is mounted, but for one's own folders, devices and processes.
fn read_only(own: &[Own]) -> anyhow::Result<()> {
    let mounted = fs::read_to_string("/proc/self/mountinfo")?;
    for line in mounted.lines() {
        let (place, options) = place_and_options(line).with_context(|| line.to_owned())?;
        let is_left = own.iter().any(|Own(folder)| place.starts_with(folder))
            || ["/dev", "/proc", "/var/tmp"].iter().any(|left| place.starts_with(left));
        if is_left {
            continue;
        }
        let flags = MsFlags::MS_REMOUNT | MsFlags::MS_BIND | MsFlags::MS_RDONLY | kept(options);
        // A mount that another one hides cannot be reached, neither here nor by the program.
        mount(NOTHING, &place, NOTHING, flags, NOTHING)
            .or_else(|error| if place.exists() { Err(error) } else { Ok(()) })
            .with_context(|| place.display().to_string())?;
    }
    Ok(())
}

/// Fields 5 and 6 of a line of /proc/pid/mountinfo (proc(5)).
fn place_and_options(line: &str) -> Option<(PathBuf, &str)> {
    let mut fields = line.split(' ').skip(4);
    let place = fields.next()?.replace("\\040", " ");
    Some((place.into(), fields.next()?))
}

/// What a mount has that it may not lose.
fn kept(options: &str) -> MsFlags {
    let known = [
        ("nosuid", MsFlags::MS_NOSUID),
        ("nodev", MsFlags::MS_NODEV),
        ("noexec", MsFlags::MS_NOEXEC),
        ("relatime", MsFlags::MS_RELATIME),
        ("noatime", MsFlags::MS_NOATIME),
    ];
    let has = |word: &str| options.split(',').any(|option| option == word);
    known.into_iter().filter(|(word, _)| has(word)).map(|(_, flag)| flag).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mount_keeps_what_it_may_not_lose() {
        let line = "28 27 0:25 / /mnt/a\\040b rw,nosuid,nodev,relatime shared:1 - tmpfs tmpfs rw,size=4k";
        let (place, options) = place_and_options(line).unwrap();
        assert_eq!(place, Path::new("/mnt/a b"));
        assert_eq!(kept(options), MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_RELATIME);
        assert!(place_and_options("28 27").is_none());
    }
}
