//! A service of the package, run as its unit says, with this test as the service manager above it.

use std::fs::{self, Permissions};
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::process::Child;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tgtrunk_tests::clock;

use crate::debian::Debian;

/// How long it may take until it says what it should.
const PATIENCE: Duration = Duration::from_secs(20);

/// A service, running.
pub(crate) struct Supervised {
    name: String,
    child: Child,
    ears: UnixDatagram,
    log: PathBuf,
}

impl Supervised {
    /// Starts what the unit's `ExecStart` says, as its `User`. `limit` is how often it must give a sign of life.
    pub(crate) fn start(debian: &Debian, unit: &str, limit: Duration) -> anyhow::Result<Self> {
        let text = fs::read_to_string(debian.path(&format!("/lib/systemd/system/{unit}.service")))?;
        let setting = |key: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
            line.with_context(|| format!("{unit} has no {key}"))
        };
        ensure!(setting("Type")? == "notify" && setting("WatchdogSec").is_ok());
        let words: Vec<&str> = setting("ExecStart")?.split_ascii_whitespace().collect();
        let within = format!("/run/{unit}.notify");
        let place = debian.path(&within);
        fs::remove_file(&place).ok();
        let ears = UnixDatagram::bind(&place)?;
        fs::set_permissions(&place, Permissions::from_mode(0o666))?;
        let log = debian.path(&format!("/run/{unit}.log"));
        let out = fs::File::create(&log)?;
        let mut command = debian.command(setting("User")?, &words);
        command.env("NOTIFY_SOCKET", within).env("WATCHDOG_USEC", limit.as_micros().to_string());
        command.stdout(out.try_clone()?).stderr(out);
        let child = command.spawn().context(unit.to_owned())?;
        Ok(Self { name: unit.to_owned(), child, ears, log })
    }

    /// Waits for a message with this in it; gives the message.
    pub(crate) fn says(&self, wanted: &str) -> anyhow::Result<String> {
        let until = clock::now() + PATIENCE;
        let mut heard = Vec::new();
        while let Some(message) = self.hears(until)? {
            if message.contains(wanted) {
                return Ok(message);
            }
            heard.push(message);
        }
        bail!("{} did not say {wanted:?} but {heard:?}; its log:\n{}", self.name, self.log())
    }

    /// Whether a sign of life comes within this time. What was said before does not count.
    pub(crate) fn lives(&self, within: Duration) -> anyhow::Result<bool> {
        while self.hears(clock::now())?.is_some() {}
        let until = clock::now() + within;
        while let Some(message) = self.hears(until)? {
            if message.lines().any(|word| word == "WATCHDOG=1") {
                return Ok(true);
            }
        }
        Ok(false)
    }

    pub(crate) fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        Ok(kill(Pid::from_raw(self.child.id().try_into()?), signal)?)
    }

    /// Ends it as the service manager does; it must say so and end well.
    pub(crate) fn stop(mut self) -> anyhow::Result<()> {
        self.signal(Signal::SIGTERM)?;
        self.says("STOPPING=1")?;
        let until = clock::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait()? {
                ensure!(status.success(), "{} ended with {status}; its log:\n{}", self.name, self.log());
                return Ok(());
            }
            ensure!(clock::now() < until, "{} does not end; its log:\n{}", self.name, self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// The next message until then.
    fn hears(&self, until: Instant) -> anyhow::Result<Option<String>> {
        let left = until.saturating_duration_since(clock::now()).max(Duration::from_millis(1));
        self.ears.set_read_timeout(Some(left))?;
        let mut buffer = [0; 4096];
        match self.ears.recv(&mut buffer) {
            Ok(length) => Ok(Some(String::from_utf8_lossy(&buffer[..length]).into_owned())),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

impl Drop for Supervised {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
