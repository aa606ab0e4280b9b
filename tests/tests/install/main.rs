//! How it is installed. The Debian package in a clean Debian 12: it installs, its units hold what they promise, its
//! programs run as their units say and are seen to live, and what is removed and what is kept. The folder that needs no
//! installation: see [`anywhere`].

mod anywhere;
mod debian;
mod folder;
mod supervised;

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use debian::Debian;
use nix::sys::signal::Signal;
use supervised::Supervised;

const UNITS: [&str; 3] = ["tgtrunk-gateway", "tgtrunk-client", "tgtrunk-bot"];
const SETTINGS: &str = "/etc/tgtrunk/tgtrunk.toml";
const STATE: &str = "/var/lib/tgtrunk";
/// What `systemd-analyze security` may say of a unit at most.
const MOST_EXPOSED: f32 = 1.3;
/// How often a program must give a sign of life here.
const WATCHDOG: Duration = Duration::from_millis(1_500);

#[test]
fn the_package_installs_runs_and_goes_as_it_should() -> anyhow::Result<()> {
    let package = match (debian::possible(), package()?) {
        (Ok(()), Some(package)) => package,
        (possible, _) => {
            let why = possible.err().map_or("there is no package".to_owned(), |why| why.to_string());
            ensure!(std::env::var_os("CI").is_none(), "{why}");
            eprintln!("SKIPPED: {why}; `make test-package` makes the package, root installs it");
            return Ok(());
        }
    };
    let debian = Debian::fresh()?;
    fs::copy(package, debian.path("/tmp/tgtrunk.deb"))?;
    debian.run(&["apt-get", "install", "--yes", "/tmp/tgtrunk.deb"])?;
    installed_for_one_user_alone(&debian)?;
    units_hold_what_they_promise(&debian)?;
    programs_wait_for_settings_and_live(&debian)?;
    an_upgrade_keeps_settings_and_state(&debian)?;
    removal_keeps_and_purging_forgets(&debian)
}

fn installed_for_one_user_alone(debian: &Debian) -> anyhow::Result<()> {
    let passwd = fs::read_to_string(debian.path("/etc/passwd"))?;
    let entry = passwd.lines().find(|line| line.starts_with("tgtrunk:")).context("no user tgtrunk")?;
    let user: u32 = entry.split(':').nth(2).context("no uid")?.parse()?;
    for (path, mode) in [("/etc/tgtrunk", 0o750), (SETTINGS, 0o600), (STATE, 0o700)] {
        let metadata = fs::metadata(debian.path(path))?;
        let found = (metadata.uid(), metadata.permissions().mode() & 0o777);
        ensure!(found == (user, mode), "{path} has owner and mode {found:?}, not {:?}", (user, mode));
    }
    let wanted = debian.path("/etc/systemd/system/multi-user.target.wants/tgtrunk.target");
    ensure!(wanted.is_symlink(), "it does not start with the machine");
    for unit in UNITS {
        let wanted = debian.path(&format!("/etc/systemd/system/tgtrunk.target.wants/{unit}.service"));
        ensure!(wanted.is_symlink(), "{unit} does not start with the machine");
        debian.run(&[unit, "--version"])?;
    }
    Ok(())
}

fn units_hold_what_they_promise(debian: &Debian) -> anyhow::Result<()> {
    for unit in UNITS {
        let file = format!("/lib/systemd/system/{unit}.service");
        let (well, told) = debian.attempt("root", &["systemd-analyze", "verify", &file])?;
        ensure!(well && !told.contains("tgtrunk"), "{unit}: {told}");
        let service = format!("{unit}.service");
        let words = ["systemd-analyze", "security", "--offline=yes", "--no-pager", &file];
        let told = debian.run(&words)?;
        let level = told.lines().find_map(|line| {
            line.split_once(&format!("Overall exposure level for {service}: "))?.1.split(' ').next()
        });
        let level: f32 = level.with_context(|| told.clone())?.parse()?;
        println!("{service}: exposure {level}");
        ensure!(level <= MOST_EXPOSED, "{unit}: {told}");
    }
    Ok(())
}

fn programs_wait_for_settings_and_live(debian: &Debian) -> anyhow::Result<()> {
    let running: Vec<Supervised> =
        UNITS.iter().map(|unit| Supervised::start(debian, unit, WATCHDOG)).collect::<Result<_, _>>()?;
    for program in &running {
        let ready = program.says("READY=1")?;
        ensure!(ready.contains("api_id and api_hash are missing"), "{ready}");
        ensure!(program.log().contains("api_id and api_hash are missing"), "{}", program.log());
        ensure!(program.lives(WATCHDOG)? && program.lives(WATCHDOG)?, "no sign of life");
        program.signal(Signal::SIGSTOP)?;
        ensure!(!program.lives(2 * WATCHDOG)?, "a sign of life of one that does nothing");
        program.signal(Signal::SIGCONT)?;
        ensure!(program.lives(WATCHDOG)?, "no sign of life of one that goes on");
    }
    for unit in UNITS {
        let (_, told) = debian.attempt("root", &[unit, "--config", SETTINGS, "--state", STATE, "status"])?;
        ensure!(told.contains("api_id and api_hash are missing"), "{unit} status: {told}");
    }
    let file = debian.path(SETTINGS);
    let text = fs::read_to_string(&file)?;
    fs::write(&file, text.replace("#api_id", "api_id").replace("#api_hash", "api_hash"))?;
    for program in running {
        let ready = program.says("READY=1")?;
        ensure!(ready.contains("lines: 0") || ready.contains("bots: 0"), "{ready}");
        ensure!(program.lives(WATCHDOG)?, "no sign of life");
        program.signal(Signal::SIGHUP)?;
        program.says("RELOADING=1")?;
        program.says("READY=1")?;
        program.stop()?;
    }
    Ok(())
}

fn an_upgrade_keeps_settings_and_state(debian: &Debian) -> anyhow::Result<()> {
    fs::write(debian.path("/var/lib/tgtrunk/kept"), "kept")?;
    let before = fs::read_to_string(debian.path(SETTINGS))?;
    debian.run(&["dpkg", "--install", "/tmp/tgtrunk.deb"])?;
    ensure!(fs::read_to_string(debian.path(SETTINGS))? == before, "the settings are others");
    ensure!(debian.path("/var/lib/tgtrunk/kept").exists(), "the state is gone");
    Ok(())
}

fn removal_keeps_and_purging_forgets(debian: &Debian) -> anyhow::Result<()> {
    debian.run(&["apt-get", "remove", "--yes", "tgtrunk"])?;
    for unit in UNITS {
        ensure!(!debian.path(&format!("/usr/bin/{unit}")).exists(), "{unit} is still there");
    }
    ensure!(debian.path("/var/lib/tgtrunk/kept").exists(), "the state is gone");
    ensure!(debian.path(SETTINGS).exists(), "the settings are gone");
    debian.run(&["apt-get", "purge", "--yes", "tgtrunk"])?;
    for path in [SETTINGS, "/etc/tgtrunk", STATE] {
        ensure!(!debian.path(path).exists(), "{path} is still there");
    }
    for folder in
        ["/etc/systemd/system", "/etc/systemd/system/multi-user.target.wants", "/usr/lib/systemd/system"]
    {
        for entry in fs::read_dir(debian.path(folder))? {
            let name = entry?.file_name().to_string_lossy().into_owned();
            ensure!(!name.starts_with("tgtrunk"), "{folder}/{name} is still there");
        }
    }
    Ok(())
}

/// The package that `TGTRUNK_DEB` names, or the one that `make deb` has made.
fn package() -> anyhow::Result<Option<PathBuf>> {
    if let Some(named) = std::env::var_os("TGTRUNK_DEB") {
        let named = PathBuf::from(named);
        ensure!(named.is_file(), "TGTRUNK_DEB: {} is not there", named.display());
        return Ok(Some(named));
    }
    let Ok(made) = fs::read_dir(debian::target().join("debian")) else { return Ok(None) };
    let made = made.filter_map(|entry| Some(entry.ok()?.path()));
    Ok(made.filter(|path| path.extension().is_some_and(|end| end == "deb")).max())
}
