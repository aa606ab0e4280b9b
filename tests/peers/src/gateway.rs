//! The gateway as a process of its own: found or built, started as a user would, its log kept.

use std::env;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tgtrunk_test_telegram::surroundings;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::{Instant, sleep, timeout};

use crate::control::Control;

/// How long the program may take to open its control socket, and to end.
const START_LIMIT: Duration = Duration::from_secs(20);
const END_LIMIT: Duration = Duration::from_secs(20);
/// Lines of the log that are shown when a test fails.
const SHOWN_LINES: usize = 200;

/// The program: `TGTRUNK_GATEWAY` names it, else it is taken from beside this one, built anew if a source has changed.
///
/// # Errors
/// When it cannot be built.
pub fn program() -> anyhow::Result<PathBuf> {
    static PROGRAM: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    PROGRAM
        .get_or_init(|| find().map(surroundings::of).map_err(|error| format!("{error:#}")))
        .clone()
        .map_err(anyhow::Error::msg)
}

fn find() -> anyhow::Result<PathBuf> {
    if let Some(named) = env::var_os("TGTRUNK_GATEWAY") {
        return Ok(named.into());
    }
    let own = env::current_exe()?;
    let profile =
        own.ancestors().skip(1).find(|dir| !dir.ends_with("deps")).context("no target directory")?;
    let lock = File::create(profile.join("tgtrunk-gateway.lock"))?;
    lock.lock()?;
    let program = profile.join("tgtrunk-gateway");
    if is_up_to_date(&program).unwrap_or(false) {
        return Ok(program);
    }
    // The whole workspace, as the Makefile builds it: one package alone has other features, and all would be built anew.
    let mut build = std::process::Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    build.args(["build", "--quiet", "--workspace", "--bins", "--manifest-path"]);
    build.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml"));
    build.arg("--target-dir").arg(profile.parent().context("no target directory")?);
    if profile.ends_with("release") {
        build.arg("--release");
    }
    let status = build.status().context("cargo cannot be run")?;
    ensure!(status.success(), "the gateway does not build");
    Ok(program)
}

/// Whether no source is newer than the program; cargo lists the sources beside it.
fn is_up_to_date(program: &Path) -> anyhow::Result<bool> {
    let built = program.metadata()?.modified()?;
    let listed = std::fs::read_to_string(program.with_extension("d"))?;
    let (_, sources) = listed.trim_end().split_once(": ").context("a list of sources")?;
    // Spaces inside a name are escaped.
    let sources = sources.replace("\\ ", "\0");
    let sources = sources.split(' ').map(|name| PathBuf::from(name.replace('\0', " ")));
    for source in sources {
        if source.metadata()?.modified()? > built {
            return Ok(false);
        }
    }
    Ok(true)
}

/// A folder with `tgtrunk.toml` and the state directory, for the program's commands.
#[derive(Debug, Clone)]
pub struct Installation {
    /// `--config`.
    pub config: PathBuf,
    /// `--state`.
    pub state: PathBuf,
    /// Where the program's log goes.
    pub log: PathBuf,
    /// What the program finds in its environment beside everything else.
    pub environment: Vec<(String, String)>,
}

impl Installation {
    /// A command of the program; the log level is the stage's.
    ///
    /// # Errors
    /// When the program cannot be had.
    pub fn command(&self) -> anyhow::Result<Command> {
        let mut command = Command::new(program()?);
        command
            .arg("--config")
            .arg(&self.config)
            .arg("--state")
            .arg(&self.state)
            .kill_on_drop(true)
            .env("NO_COLOR", "1")
            .envs(self.environment.iter().map(|(name, value)| (name, value)));
        if env::var_os("RUST_LOG").is_none() {
            command.env("RUST_LOG", "info,tgtrunk_gateway=debug,tgtrunk_bridge=debug,tgtrunk_telegram=debug,tgtrunk_sip=debug,tgcall=debug");
        }
        Ok(command)
    }

    /// Runs a command to its end: exit status, standard output, standard error.
    ///
    /// # Errors
    /// When it takes longer than the limit.
    pub async fn ask(
        &self,
        arguments: &[&str],
        limit: Duration,
    ) -> anyhow::Result<(ExitStatus, String, String)> {
        let output = self.command()?.args(arguments).stdin(Stdio::null()).output();
        let output =
            timeout(limit, output).await.with_context(|| format!("{arguments:?} does not end"))??;
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Ok((output.status, text(output.stdout), text(output.stderr)))
    }

    /// The end of the program's log.
    pub fn log_tail(&self) -> String {
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(SHOWN_LINES)..].join("\n")
    }
}

/// `tgtrunk-gateway run`, running.
pub struct Gateway {
    child: Child,
    installation: Installation,
}

impl Gateway {
    /// Starts it and waits until it can be asked.
    ///
    /// # Errors
    /// When it ends or stays mute; with its log.
    pub async fn start(installation: &Installation) -> anyhow::Result<Self> {
        let mut gateway = Self::spawn(installation)?;
        let until = Instant::now() + START_LIMIT;
        loop {
            match gateway.control().await {
                Ok(_) => return Ok(gateway),
                Err(error) => {
                    let ended = gateway.child.try_wait()?;
                    if ended.is_some() || Instant::now() > until {
                        bail!(
                            "the gateway does not run: {error:#}, {ended:?}; its log:\n{}",
                            installation.log_tail()
                        );
                    }
                    sleep(Duration::from_millis(20)).await;
                }
            }
        }
    }

    /// The same without a wait: it may not have come to its settings yet.
    ///
    /// # Errors
    /// When the system does not start it.
    pub fn spawn(installation: &Installation) -> anyhow::Result<Self> {
        let log = File::options().create(true).append(true).open(&installation.log)?;
        let mut command = installation.command()?;
        command.arg("run").stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        Ok(Self { child: command.spawn()?, installation: installation.clone() })
    }

    /// A new connection to its control socket.
    ///
    /// # Errors
    /// When it does not listen.
    pub async fn control(&self) -> anyhow::Result<Control> {
        Control::connect(&self.installation.state.join("gateway.sock")).await
    }

    /// Its process.
    ///
    /// # Errors
    /// When it has ended.
    pub fn pid(&self) -> anyhow::Result<u32> {
        self.child.id().context("the gateway has ended")
    }

    /// Asks it to end by SIGTERM and waits.
    ///
    /// # Errors
    /// When it does not end in time, or not well.
    pub async fn stop(mut self) -> anyhow::Result<()> {
        terminate(&self.child)?;
        let status =
            timeout(END_LIMIT, self.child.wait()).await.context("the gateway does not end on SIGTERM")??;
        ensure!(
            status.success(),
            "the gateway ended with {status}; its log:\n{}",
            self.installation.log_tail()
        );
        Ok(())
    }

    /// Asks it to end, and does not wait.
    ///
    /// # Errors
    /// When it has ended already.
    pub fn ask_to_end(&self) -> anyhow::Result<()> {
        terminate(&self.child)
    }

    /// Waits until it has ended by itself.
    ///
    /// # Errors
    /// When it goes on for longer.
    pub async fn ended(&mut self, limit: Duration) -> anyhow::Result<ExitStatus> {
        Ok(timeout(limit, self.child.wait()).await.context("the gateway does not end")??)
    }

    /// Kills it, as a crash would.
    ///
    /// # Errors
    /// When it has ended already.
    pub async fn kill(mut self) -> anyhow::Result<()> {
        self.strike().await
    }

    /// The same where another one takes its place.
    ///
    /// # Errors
    /// When it has ended already.
    pub async fn strike(&mut self) -> anyhow::Result<()> {
        Ok(self.child.kill().await?)
    }
}

/// `echo` or `call`, running: what it says to its user, line by line.
pub struct Solo {
    child: Child,
    said: Lines<BufReader<ChildStdout>>,
}

impl Solo {
    /// Starts such a command.
    ///
    /// # Errors
    /// When the program cannot be had.
    pub fn start(installation: &Installation, arguments: &[&str]) -> anyhow::Result<Self> {
        let log = File::options().create(true).append(true).open(&installation.log)?;
        let mut command = installation.command()?;
        command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log);
        let mut child = command.spawn()?;
        let said = BufReader::new(child.stdout.take().context("its output is a pipe")?).lines();
        Ok(Self { child, said })
    }

    /// Waits for a line with these words.
    ///
    /// # Errors
    /// When it is not said in time.
    pub async fn says(&mut self, words: &str, limit: Duration) -> anyhow::Result<String> {
        let mut passed = Vec::new();
        let waiting = async {
            loop {
                let line = self.said.next_line().await?.context("it ended")?;
                if line.contains(words) {
                    return anyhow::Ok(line);
                }
                passed.push(line);
            }
        };
        match timeout(limit, waiting).await {
            Ok(said) => said.with_context(|| format!("waiting for {words:?} after {passed:?}")),
            Err(_) => bail!("{words:?} was not said within {limit:?}, only {passed:?}"),
        }
    }

    /// Waits until it ends by itself.
    ///
    /// # Errors
    /// When that takes longer than the limit.
    pub async fn ends(mut self, limit: Duration) -> anyhow::Result<ExitStatus> {
        Ok(timeout(limit, self.child.wait()).await.context("it does not end")??)
    }

    /// Ends it by SIGTERM.
    ///
    /// # Errors
    /// When it does not end in time.
    pub async fn stop(self) -> anyhow::Result<ExitStatus> {
        terminate(&self.child)?;
        self.ends(END_LIMIT).await
    }
}

/// Logs an account in as its owner would: the code is read from another device and typed in, the password too.
///
/// # Errors
/// When the program refuses; with what it said.
pub async fn log_in(
    installation: &Installation,
    phone: &str,
    code: impl Fn() -> Option<String>,
    password: Option<&str>,
    limit: Duration,
) -> anyhow::Result<()> {
    log_in_by(installation.command()?, phone, code, password, limit).await
}

/// The same by another program's command.
///
/// # Errors
/// When the program refuses; with what it said.
pub async fn log_in_by(
    mut command: Command,
    phone: &str,
    code: impl Fn() -> Option<String>,
    password: Option<&str>,
    limit: Duration,
) -> anyhow::Result<()> {
    command.args(["login", phone]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn()?;
    let mut keyboard = child.stdin.take().context("its input is a pipe")?;
    let typing = async {
        let code = loop {
            if let Some(code) = code() {
                break code;
            }
            if child.try_wait()?.is_some() {
                return anyhow::Ok(());
            }
            sleep(Duration::from_millis(10)).await;
        };
        keyboard.write_all(format!("{code}\n").as_bytes()).await?;
        if let Some(password) = password {
            keyboard.write_all(format!("{password}\n").as_bytes()).await?;
        }
        Ok(())
    };
    let typed = timeout(limit, typing).await.context("no login code was sent").and_then(|typed| typed);
    drop(keyboard);
    if typed.is_err() {
        child.start_kill()?;
    }
    let output = timeout(limit, child.wait_with_output()).await.context("login does not end")??;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    typed.with_context(|| format!("login {phone} said:\n{said}"))?;
    ensure!(output.status.success(), "login {phone} failed:\n{said}");
    Ok(())
}

fn terminate(child: &Child) -> anyhow::Result<()> {
    let pid = child.id().context("it has ended")?;
    kill(Pid::from_raw(pid.try_into()?), Signal::SIGTERM)?;
    Ok(())
}
