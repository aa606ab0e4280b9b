//! What an operator can mend, each told by terminal, log and control socket in the same plain sentence, in the language
//! of the environment at the terminal and in the log, and no more once it is mended.

use std::fs;
use std::net::{SocketAddr, UdpSocket};
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use nix::unistd::geteuid;
use tgtrunk_config::control::Answer;
use tgtrunk_config::{LineDraft, Said};
use tgtrunk_tests::gateway::{self, Installation};
use tgtrunk_tests::stage::Stage;
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep};

/// How soon a trouble must be told, and be told no more.
const SOON: Duration = Duration::from_secs(15);

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_key_is_told_while_the_former_settings_go_on() -> anyhow::Result<()> {
    let stage = Stage::on_loopback().await?;
    let gateway = Running::start(&stage.installation, &[], &[]).await?;
    let right = fs::read_to_string(&stage.installation.config)?;
    fs::write(&stage.installation.config, format!("api_hsah = 1\n{right}"))?;
    let wanted = format!("{}:1: unknown key api_hsah = 1: want one of ", stage.installation.config.display());
    gateway.tells(&wanted, "неизвестный ключ api_hsah").await?;
    fs::write(&stage.installation.config, &right)?;
    gateway.is_well().await?;
    stage.done();
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_with_a_wrong_key_waits_and_goes_on_by_itself() -> anyhow::Result<()> {
    let stage = Stage::on_loopback().await?;
    let right = fs::read_to_string(&stage.installation.config)?;
    fs::write(&stage.installation.config, format!("api_hsah = 1\n{right}"))?;
    let gateway = Running::start(&stage.installation, &[], &[]).await?;
    gateway.tells("unknown key api_hsah = 1", "неизвестный ключ api_hsah").await?;
    fs::write(&stage.installation.config, &right)?;
    gateway.is_well().await?;
    stage.done();
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_in_use_is_told_with_what_names_it() -> anyhow::Result<()> {
    let stage = Stage::on_loopback().await?;
    let taken = UdpSocket::bind("127.0.0.1:0")?;
    let port = taken.local_addr()?.port();
    let line = stage.line("+79060000000")?;
    let line = tgtrunk_tests::stage::Line { sip: SocketAddr::from(([127, 0, 0, 1], port)), ..line };
    stage.write_line(&line, "127.0.0.1:5060".parse()?, LineDraft::default())?;
    let gateway = Running::start(&stage.installation, &[], &[]).await?;
    let wanted = format!("port 127.0.0.1:{port} is in use by another program: stop it, or change sip_port");
    gateway.tells(&wanted, &format!("порт 127.0.0.1:{port} занят другой программой")).await?;
    drop(taken);
    gateway.is_well().await?;
    stage.done();
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_told_and_forgotten_when_there_is_room() -> anyhow::Result<()> {
    if !is_root("only root may make a small disk") {
        return Ok(());
    }
    let stage = Stage::on_loopback().await?;
    let state = stage.installation.state.clone();
    let _disk = Disk::mount(&state)?;
    let gateway = Running::start(&stage.installation, &[], &[]).await?;
    gateway.is_well().await?;
    // The file system has 4 MiB.
    fs::write(state.join("much"), vec![0; 3_300_000])?;
    gateway.tells(&format!("{}: the disk is full", state.display()), "диск заполнен").await?;
    fs::remove_file(state.join("much"))?;
    gateway.is_well().await?;
    drop(gateway);
    stage.done();
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_permission_is_told_with_the_command_that_gives_it_back() -> anyhow::Result<()> {
    if !is_root("only root may give files away") {
        return Ok(());
    }
    let stage = Stage::on_loopback().await?;
    let state = stage.installation.state.clone();
    // Root that may not do what permissions forbid.
    let plain = ["setpriv", "--bounding-set=-dac_override,-dac_read_search", "--"];
    let gateway = Running::start(&stage.installation, &plain, &[]).await?;
    gateway.is_well().await?;
    chown(&state, Some(65_534), Some(65_534))?;
    let remedy = format!("chown -R tgtrunk: {}", state.display());
    gateway.tells(&remedy, &remedy).await?;
    chown(&state, Some(0), Some(0))?;
    gateway.is_well().await?;
    stage.done();
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_skewed_clock_is_told_by_how_much() -> anyhow::Result<()> {
    let stage = Stage::on_loopback().await?;
    stage.telegram().write_dc_seed(&stage.installation.state, 1)?;
    let library = faketime()?;
    let skewed =
        [("LD_PRELOAD", library.as_str()), ("FAKETIME", "+120s"), ("FAKETIME_DONT_FAKE_MONOTONIC", "1")];
    let gateway = Running::start(&stage.installation, &[], &skewed).await?;
    gateway.tells("s ahead: have it set from the network", "часы этой машины спешат на 1").await?;
    stage.done();
    Ok(())
}

/// A gateway whose log is Russian.
struct Running {
    child: Child,
    installation: Installation,
}

impl Running {
    async fn start(
        installation: &Installation,
        wrapper: &[&str],
        environment: &[(&str, &str)],
    ) -> anyhow::Result<Self> {
        let program = gateway::program()?;
        let mut words: Vec<PathBuf> = wrapper.iter().map(PathBuf::from).collect();
        words.push(program);
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]);
        command.arg("--config").arg(&installation.config).arg("--state").arg(&installation.state).arg("run");
        command.env("LC_ALL", "ru_RU.UTF-8").env("NO_COLOR", "1").envs(environment.iter().copied());
        let log = fs::File::create(&installation.log)?;
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).kill_on_drop(true);
        let running = Self { child: command.spawn()?, installation: installation.clone() };
        let until = Instant::now() + SOON;
        while running.problems().await.is_err() {
            ensure!(Instant::now() < until, "it cannot be asked; its log:\n{}", installation.log_tail());
            sleep(Duration::from_millis(50)).await;
        }
        Ok(running)
    }

    async fn problems(&self) -> anyhow::Result<Vec<Said>> {
        let socket = self.installation.state.join("gateway.sock");
        match tgtrunk_shell::asking::ask(&socket, tgtrunk_config::control::Ask::Status).await? {
            Answer::Status(report) => Ok(report.problems),
            other => bail!("{other:?} is no status"),
        }
    }

    /// Waits until socket, terminal and log say it.
    async fn tells(&self, english: &str, russian: &str) -> anyhow::Result<()> {
        let until = Instant::now() + SOON;
        let said = loop {
            let problems = self.problems().await.unwrap_or_default();
            if let Some(said) = problems.iter().find(|said| said.en.contains(english)) {
                break said.clone();
            }
            ensure!(Instant::now() < until, "{problems:?}; its log:\n{}", self.installation.log_tail());
            sleep(Duration::from_millis(100)).await;
        };
        ensure!(said.ru.contains(russian), "{said:?} lacks {russian:?}");
        for (locale, sentence) in [("C.UTF-8", &said.en), ("ru_RU.UTF-8", &said.ru)] {
            let mut status = self.installation.command()?;
            let output = status.arg("status").env("LC_ALL", locale).stdin(Stdio::null()).output().await?;
            let shown = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
            ensure!(shown.contains(sentence.as_str()), "the terminal says {shown:?} and not {sentence:?}");
        }
        // A line's number stands before its trouble where several are told.
        let core = said
            .ru
            .split_once(": ")
            .filter(|(line, _)| line.starts_with("линия "))
            .map_or(said.ru.as_str(), |(_, core)| core);
        let log = fs::read_to_string(&self.installation.log)?;
        ensure!(log.contains(core), "the log does not say {core:?}:\n{log}");
        Ok(())
    }

    /// Waits until nothing is wrong.
    async fn is_well(&self) -> anyhow::Result<()> {
        let until = Instant::now() + SOON;
        loop {
            match self.problems().await {
                Ok(problems) if problems.is_empty() => return Ok(()),
                told => {
                    ensure!(Instant::now() < until, "{told:?}; its log:\n{}", self.installation.log_tail())
                }
            }
            sleep(Duration::from_millis(100)).await;
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.child.start_kill().ok();
    }
}

/// A small file system in a folder, gone with this value.
struct Disk {
    at: PathBuf,
}

impl Disk {
    fn mount(at: &Path) -> anyhow::Result<Self> {
        let mount = ["-t", "tmpfs", "-o", "size=4m,mode=0700", "tmpfs"];
        let mounted = std::process::Command::new("mount").args(mount).arg(at).status().context("mount")?;
        ensure!(mounted.success(), "no small disk: mount {mounted}");
        Ok(Self { at: at.to_owned() })
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        std::process::Command::new("umount").arg("--lazy").arg(&self.at).status().ok();
    }
}

#[expect(clippy::print_stderr, reason = "a test that proves nothing says so")]
fn is_root(why: &str) -> bool {
    let is_root = geteuid().is_root();
    if !is_root {
        eprintln!("SKIPPED: {why}");
    }
    is_root
}

/// The library of Debian's package faketime.
fn faketime() -> anyhow::Result<String> {
    let mut folders = fs::read_dir("/usr/lib")?.filter_map(|entry| Some(entry.ok()?.path()));
    let found = folders.find_map(|folder| {
        let library = folder.join("faketime/libfaketime.so.1");
        library.exists().then_some(library)
    });
    Ok(found.context("the package faketime is not installed")?.display().to_string())
}
