//! The client and the bot as processes of their own, started, asked, killed and started again.

use std::fs::File;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::io::AsyncWriteExt as _;
use tokio::net::UnixStream;
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep, timeout};

use crate::gateway::{self, Installation};

/// How long a program may take to open its control socket, and to end.
const START_LIMIT: Duration = Duration::from_secs(20);
const END_LIMIT: Duration = Duration::from_secs(20);

/// Which program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Client,
    Bot,
}

/// A program, running.
pub struct Program {
    kind: Kind,
    child: Child,
    installation: Installation,
}

impl Kind {
    /// Its name, as people type it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Client => "tgtrunk-client",
            Self::Bot => "tgtrunk-bot",
        }
    }

    /// Its control socket.
    pub fn socket(self, installation: &Installation) -> PathBuf {
        installation.state.join(match self {
            Self::Client => "client.sock",
            Self::Bot => "bot.sock",
        })
    }

    /// Where its log goes.
    pub fn log(self, installation: &Installation) -> PathBuf {
        installation.log.with_file_name(format!("{}.log", self.name()))
    }

    /// A command of the program; it lies beside the gateway.
    ///
    /// # Errors
    /// When the gateway cannot be had.
    pub fn command(self, installation: &Installation) -> anyhow::Result<Command> {
        let program = gateway::program()?.with_file_name(self.name());
        let mut command = Command::new(program);
        command.arg("--config").arg(&installation.config).arg("--state").arg(&installation.state);
        command.kill_on_drop(true).env("NO_COLOR", "1");
        if std::env::var_os("RUST_LOG").is_none() {
            command.env("RUST_LOG", "info,tgtrunk_client=debug,tgtrunk_bot=debug,tgtrunk_telegram=debug");
        }
        Ok(command)
    }

    /// Runs a command to its end with this typed in; gives what it printed.
    ///
    /// # Errors
    /// When it fails or does not end.
    pub async fn ask(
        self,
        installation: &Installation,
        arguments: &[&str],
        typed: &str,
        limit: Duration,
    ) -> anyhow::Result<String> {
        let mut command = self.command(installation)?;
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().with_context(|| self.name())?;
        let mut keyboard = child.stdin.take().context("its input is a pipe")?;
        keyboard.write_all(typed.as_bytes()).await?;
        drop(keyboard);
        let output = timeout(limit, child.wait_with_output()).await;
        let output = output.with_context(|| format!("{} {arguments:?} does not end", self.name()))??;
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        let (said, complained) = (text(output.stdout), text(output.stderr));
        ensure!(
            output.status.success(),
            "{} {arguments:?} ended with {}:\n{said}\n{complained}",
            self.name(),
            output.status
        );
        Ok(said + &complained)
    }

    /// What it says of itself, well or not.
    ///
    /// # Errors
    /// When it does not run.
    pub async fn status(self, installation: &Installation) -> anyhow::Result<String> {
        let output = self.command(installation)?.arg("status").stdin(Stdio::null()).output();
        let output = timeout(END_LIMIT, output).await.context("status does not end")??;
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Starts it and waits until it can be asked.
    ///
    /// # Errors
    /// When it ends or stays mute; with its log.
    pub async fn start(self, installation: &Installation) -> anyhow::Result<Program> {
        let log = File::options().create(true).append(true).open(self.log(installation))?;
        let mut command = self.command(installation)?;
        command.arg("run").stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        let child = command.spawn().with_context(|| self.name())?;
        let mut program = Program { kind: self, child, installation: installation.clone() };
        let until = Instant::now() + START_LIMIT;
        while UnixStream::connect(self.socket(installation)).await.is_err() {
            let ended = program.child.try_wait()?;
            if ended.is_some() || Instant::now() > until {
                bail!("{} does not run: {ended:?}; its log:\n{}", self.name(), program.log());
            }
            sleep(Duration::from_millis(10)).await;
        }
        Ok(program)
    }
}

impl Program {
    /// Kills it, as a crash would, and waits until it is gone.
    ///
    /// # Errors
    /// When it has ended already.
    pub async fn kill(mut self) -> anyhow::Result<Kind> {
        self.child.kill().await?;
        Ok(self.kind)
    }

    /// Its process.
    ///
    /// # Errors
    /// When it has ended.
    pub fn pid(&self) -> anyhow::Result<u32> {
        self.child.id().context("it has ended")
    }

    /// Asks it to end by SIGTERM and waits.
    ///
    /// # Errors
    /// When it does not end in time, or not well.
    pub async fn stop(mut self) -> anyhow::Result<()> {
        let process = self.child.id().context("it has ended")?;
        kill(Pid::from_raw(process.try_into()?), Signal::SIGTERM)?;
        let ended = timeout(END_LIMIT, self.child.wait()).await;
        let status = ended.with_context(|| format!("{} does not end on SIGTERM", self.kind.name()))??;
        ensure!(status.success(), "{} ended with {status}; its log:\n{}", self.kind.name(), self.log());
        Ok(())
    }

    /// All that it logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.kind.log(&self.installation)).unwrap_or_default()
    }
}
