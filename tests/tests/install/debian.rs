//! A clean Debian 12 in a folder: commands in it, as in a machine of its own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use anyhow::{Context as _, bail, ensure};
use tempfile::TempDir;

/// Mounts what programs expect, in a mount namespace that goes with the command, on a network of its own that has only
/// loopback, and becomes what is in the folder.
const ENTER: &str = r#"root=$1; who=$2; shift 2
ip link set lo up && mount -t proc proc "$root/proc" && mount -t tmpfs tmpfs "$root/dev/shm"
exec chroot --userspec="$who" "$root" "$@""#;

/// The folder; it goes when this value does.
pub(crate) struct Debian {
    folder: TempDir,
}

impl Debian {
    /// Lays out a fresh one. The first time it is made by debootstrap, which is kept as an archive under target/.
    pub(crate) fn fresh() -> anyhow::Result<Self> {
        let archive = archive()?;
        let folder = TempDir::with_prefix_in("debian-", target())?;
        run(Command::new("tar").arg("-xf").arg(archive).arg("-C").arg(folder.path()))?;
        Ok(Self { folder })
    }

    /// A path in it, as seen from here.
    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.folder.path().join(path.trim_start_matches('/'))
    }

    /// A command in it, not started, as a user and its group. Its process is the command itself.
    pub(crate) fn command(&self, user: &str, words: &[&str]) -> Command {
        let mut command = Command::new("unshare");
        command.args(["--mount", "--net", "sh", "-c", ENTER, "sh"]).arg(self.folder.path());
        command.arg(format!("{user}:{user}")).args(words).stdin(Stdio::null());
        let path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
        command.env_clear().env("PATH", path).env("LANG", "C.UTF-8");
        command.env("DEBIAN_FRONTEND", "noninteractive");
        command
    }

    /// Runs a command in it as root; gives what it printed.
    pub(crate) fn run(&self, words: &[&str]) -> anyhow::Result<String> {
        run(&mut self.command("root", words))
    }

    /// The same of a command that may fail: whether it did well, and what it printed.
    pub(crate) fn attempt(&self, user: &str, words: &[&str]) -> anyhow::Result<(bool, String)> {
        let output = self.command(user, words).output()?;
        Ok((output.status.success(), printed(&output)))
    }
}

/// The archive of a clean system.
fn archive() -> anyhow::Result<PathBuf> {
    let archive = target().join("debian-12.tar");
    if archive.is_file() {
        return Ok(archive);
    }
    let folder = TempDir::with_prefix_in("debootstrap-", target())?;
    // libopus0 is what the package depends on beside libraries that every system has.
    let packages = "--include=systemd,libopus0";
    let mut debootstrap = Command::new("debootstrap");
    debootstrap.args(["--variant=minbase", packages, "bookworm"]).arg(folder.path()).stdin(Stdio::null());
    run(&mut debootstrap).context("debootstrap makes a Debian 12")?;
    // Packages as they came take half of the room.
    fs::remove_dir_all(folder.path().join("var/cache/apt/archives")).ok();
    let fresh = archive.with_extension(format!("{}.new", std::process::id()));
    run(Command::new("tar").arg("-cf").arg(&fresh).arg("-C").arg(folder.path()).arg("."))?;
    fs::rename(&fresh, &archive)?;
    Ok(archive)
}

/// Where everything goes that is built.
pub(crate) fn target() -> PathBuf {
    let of_this = Path::new(env!("CARGO_TARGET_TMPDIR"));
    of_this.parent().unwrap_or(of_this).to_owned()
}

fn run(command: &mut Command) -> anyhow::Result<String> {
    let output = command.output().with_context(|| format!("{command:?}"))?;
    if !output.status.success() {
        bail!("{command:?} ended with {}:\n{}", output.status, printed(&output));
    }
    Ok(printed(&output))
}

fn printed(output: &Output) -> String {
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    text(&output.stdout) + &text(&output.stderr)
}

/// Whether this machine can make one: why not, if it cannot.
pub(crate) fn possible() -> anyhow::Result<()> {
    ensure!(nix::unistd::geteuid().is_root(), "only root may make a system in a folder");
    let found = Command::new("debootstrap").arg("--version").stdin(Stdio::null()).output();
    ensure!(found.is_ok_and(|found| found.status.success()), "debootstrap is not installed");
    Ok(())
}
