//! The folder that needs no installation (packaging/tarball), laid out with stand-ins for the three programs.

use std::fs::{self, OpenOptions, Permissions};
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;
use tgtrunk_tests::clock;

pub(crate) const PROGRAMS: [&str; 3] = ["gateway", "client", "bot"];
/// The shells that it must do with, as far as they are here. Closed appliances have the last one.
const SHELLS: [&str; 3] = ["/bin/dash", "/bin/bash", "/bin/busybox sh"];
/// How long it may take until something has come about.
const PATIENCE: Duration = Duration::from_secs(20);
/// Says which process it is, then everything that it hears, and needs no other process for it.
const STAND_IN: &str = r#"#!/bin/sh
exec 3<>"${0%/lib/*}/ears/${0##*/}"
echo "begun $$"
while read -r word <&3; do echo "$word"; done
"#;
/// In the place of the loader, which is called with two words of its own.
const LOADER: &str = "#!/bin/sh\nshift 2\nexec /bin/sh \"$@\"\n";

/// The folder; what runs in it ends when this value goes.
pub(crate) struct Folder {
    place: TempDir,
}

/// A process of the folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Process {
    pub(crate) pid: i32,
    parent: i32,
    words: Vec<String>,
}

impl Folder {
    /// Has this happen to one for each shell, at the same time, for most of it is waiting.
    pub(crate) fn for_each_shell(story: fn(&Self) -> anyhow::Result<()>) -> anyhow::Result<()> {
        let is_there =
            |shell: &&str| shell.split(' ').next().is_some_and(|program| Path::new(program).exists());
        let told = |shell: &str| {
            let folder = Self::laid_out(shell)?;
            story(&folder).with_context(|| format!("{shell}, of {:#?}", folder.processes()))
        };
        thread::scope(|scope| {
            let stories = SHELLS.into_iter().filter(is_there).map(|shell| scope.spawn(move || told(shell)));
            let begun: Vec<_> = stories.collect();
            ensure!(!begun.is_empty(), "none of {SHELLS:?} is here");
            begun.into_iter().try_for_each(|story| story.join().map_err(|_| anyhow!("a story panicked"))?)
        })
    }

    /// As `packaging/tarball/make` does it, with scripts that this shell runs.
    fn laid_out(shell: &str) -> anyhow::Result<Self> {
        let folder = Self { place: TempDir::with_prefix("tgtrunk of a test ")? };
        let packaging = Path::new(env!("CARGO_MANIFEST_DIR")).join("../packaging/tarball");
        let script = |name: &str| {
            let text = fs::read_to_string(packaging.join(name))?;
            let rest =
                text.strip_prefix("#!/bin/sh\n").with_context(|| format!("{name} is of another shell"))?;
            anyhow::Ok(format!("#!{shell}\n{rest}"))
        };
        for below in ["bin", "lib", "ears", "tools"] {
            fs::create_dir(folder.path(below))?;
        }
        let write = |path: &str, text: &str| {
            fs::write(folder.path(path), text)?;
            fs::set_permissions(folder.path(path), Permissions::from_mode(0o755))
        };
        write("tgtrunk", &script("tgtrunk")?)?;
        write("tgtrunk.example.toml", "state = \"/somewhere\"\n")?;
        write("lib/ld-linux-stand-in.so", LOADER)?;
        for name in PROGRAMS {
            write(&format!("bin/tgtrunk-{name}"), &script("program")?)?;
            write(&format!("lib/tgtrunk-{name}"), STAND_IN)?;
            let ears = folder.path(&format!("ears/tgtrunk-{name}"));
            ensure!(Command::new("mkfifo").arg(ears).status()?.success(), "no mkfifo");
        }
        // A closed appliance has nothing but what its one program can be.
        if let Some(busybox) = shell.strip_suffix(" sh") {
            let all = ["--install", "-s"];
            let made = Command::new(busybox).args(all).arg(folder.tools()).status()?;
            ensure!(made.success(), "{busybox} has no --install");
        }
        Ok(folder)
    }

    /// Programs of the appliance; nothing is there for other shells.
    fn tools(&self) -> PathBuf {
        self.path("tools")
    }

    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.place.path().join(path)
    }

    /// Begins a command of the folder's script, with a small bound of logs.
    pub(crate) fn begin(&self, word: &str, language: &str) -> anyhow::Result<Child> {
        let mut command = Command::new(self.path("tgtrunk"));
        command.arg(word).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.env_remove("TGTRUNK_DATA").env("LC_ALL", language).env("TGTRUNK_LOG_BYTES", "4000");
        if fs::read_dir(self.tools())?.next().is_some() {
            command.env("PATH", self.tools());
        }
        Ok(command.spawn()?)
    }

    /// Runs one to its end: whether it did well, and what it said.
    pub(crate) fn attempt(&self, word: &str, language: &str) -> anyhow::Result<(bool, String)> {
        Ok(told(&self.begin(word, language)?.wait_with_output()?))
    }

    /// Runs one that must do well and say nothing of errors.
    pub(crate) fn run(&self, word: &str) -> anyhow::Result<()> {
        let output = self.begin(word, "C")?.wait_with_output()?;
        ensure!(output.status.success() && output.stderr.is_empty(), "{word}: {:?}", told(&output));
        Ok(())
    }

    /// All that runs of it.
    pub(crate) fn processes(&self) -> Vec<Process> {
        let Ok(numbers) = fs::read_dir("/proc") else { return Vec::new() };
        let numbers = numbers.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
        let all: Vec<Process> = numbers.filter_map(Process::seen).collect();
        let here = self.place.path().to_string_lossy().into_owned();
        let mut ours: Vec<Process> = all.into_iter().filter(|process| process.speaks_of(&here)).collect();
        // A shell that is about to become something else has its parent's words still.
        let copied = |process: &Process| {
            ours.iter().any(|other| other.pid == process.parent && other.words == process.words)
        };
        let copies: Vec<i32> =
            ours.iter().filter(|process| copied(process)).map(|process| process.pid).collect();
        ours.retain(|process| !copies.contains(&process.pid));
        ours
    }

    /// The keepers of a program.
    pub(crate) fn keepers(&self, name: &str) -> Vec<i32> {
        self.ending(&["keeper", name])
    }

    /// The processes of a program, whoever began them.
    pub(crate) fn programs(&self, name: &str) -> Vec<i32> {
        let settings = self.path("data/tgtrunk.toml").to_string_lossy().into_owned();
        let program = self.path(&format!("lib/tgtrunk-{name}")).to_string_lossy().into_owned();
        self.ending(&[&program, "--config", &settings, "run"])
    }

    fn ending(&self, words: &[&str]) -> Vec<i32> {
        let ends =
            |process: &Process| process.words.iter().map(String::as_str).collect::<Vec<_>>().ends_with(words);
        self.processes().into_iter().filter(ends).map(|process| process.pid).collect()
    }

    /// Waits until each program runs once and has one keeper; gives both, in the order of [`PROGRAMS`].
    pub(crate) fn settled(&self) -> anyhow::Result<Vec<(i32, i32)>> {
        let mut found = Vec::new();
        self.comes_about(|| {
            found = PROGRAMS.iter().map(|name| (self.keepers(name), self.programs(name))).collect();
            found.iter().all(|(keepers, programs)| keepers.len() == 1 && programs.len() == 1)
        })?;
        Ok(found
            .iter()
            .filter_map(|(keepers, programs)| Some((*keepers.first()?, *programs.first()?)))
            .collect())
    }

    /// Waits until it is so.
    pub(crate) fn comes_about(&self, mut so: impl FnMut() -> bool) -> anyhow::Result<()> {
        let until = clock::now() + PATIENCE;
        while !so() {
            if clock::now() > until {
                bail!("it does not come about; there are {:#?}", self.processes());
            }
            thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }

    /// Has a program say this, which goes to its log.
    pub(crate) fn say(&self, name: &str, words: &str) -> anyhow::Result<()> {
        let mut ears = OpenOptions::new().write(true).open(self.path(&format!("ears/tgtrunk-{name}")))?;
        Ok(writeln!(ears, "{words}")?)
    }

    pub(crate) fn log(&self, file: &str) -> String {
        fs::read_to_string(self.path("data/log").join(file)).unwrap_or_default()
    }

    /// The newest claim of a program's keeper.
    pub(crate) fn claim(&self, name: &str) -> anyhow::Result<PathBuf> {
        let start = format!("{name}.keeper.");
        let number = |path: &PathBuf| {
            path.file_name().and_then(|file| file.to_str()?.strip_prefix(&start)?.parse::<u32>().ok())
        };
        let claims = fs::read_dir(self.path("data/run"))?.filter_map(|entry| Some(entry.ok()?.path()));
        claims.filter(|path| number(path).is_some()).max_by_key(number).context("no claim")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // Keepers first, for they begin others.
        for name in PROGRAMS {
            for pid in self.keepers(name) {
                end(pid);
            }
        }
        for process in self.processes() {
            end(process.pid);
        }
    }
}

impl Process {
    /// A process by its number, if it lives.
    fn seen(pid: i32) -> Option<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let parent = stat.rsplit_once(") ")?.1.split(' ').nth(1)?.parse().ok()?;
        let words = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
        let words = String::from_utf8_lossy(&words);
        Some(Self { pid, parent, words: words.split_terminator('\0').map(str::to_owned).collect() })
    }

    fn speaks_of(&self, folder: &str) -> bool {
        self.words.iter().any(|word| word.starts_with(folder))
    }
}

/// As a power cut would.
pub(crate) fn end(pid: i32) {
    kill(Pid::from_raw(pid), Signal::SIGKILL).ok();
}

pub(crate) fn told(output: &Output) -> (bool, String) {
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    (output.status.success(), text(&output.stdout) + &text(&output.stderr))
}
