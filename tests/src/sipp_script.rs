//! SIPp that goes through one scenario once, which is written where it is used; it ends well only when everything came as
//! the scenario has it.

use std::net::SocketAddr;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use tempfile::TempDir;
use tokio::process::{Child, Command};
use tokio::time::timeout;

use crate::ports;

/// One run of a scenario.
pub struct SippScript {
    child: Child,
    dir: TempDir,
    limit: Duration,
}

impl SippScript {
    /// Starts it at a port. `steps` are what stands inside `<scenario>`; it calls `remote`, or waits to be called.
    ///
    /// # Errors
    /// When the Debian package `sip-tester` is missing.
    pub fn start(
        steps: &str,
        sip_port: u16,
        remote: Option<SocketAddr>,
        limit: Duration,
    ) -> anyhow::Result<Self> {
        let dir = TempDir::with_prefix("sipp-")?;
        let scenario = dir.path().join("scenario.xml");
        let document = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\" ?>\n<scenario name=\"script\">\n{steps}\n</scenario>\n"
        );
        std::fs::write(&scenario, document)?;
        let mut command = Command::new("sipp");
        command.current_dir(dir.path()).arg("-sf").arg(scenario);
        command.args(remote.map(|remote| remote.to_string()));
        command.args(["-m", "1", "-i", "127.0.0.1", "-p", &sip_port.to_string(), "-aa", "-nostdin"]);
        command.args(["-mi", "127.0.0.1", "-mp", &ports::free_media()?.to_string()]);
        command.args(["-cp", &ports::free()?.to_string(), "-timeout", &limit.as_secs().to_string()]);
        command.args(["-timeout_error", "-trace_err", "-error_file", "errors.log"]);
        command.args(["-trace_msg", "-message_file", "messages.log"]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
        let child = command.spawn().context("sipp, from the Debian package sip-tester")?;
        Ok(Self { child, dir, limit: limit + Duration::from_secs(5) })
    }

    /// Waits until it has gone through all of it.
    ///
    /// # Errors
    /// When something came otherwise; with what SIPp says.
    pub async fn finished(mut self) -> anyhow::Result<()> {
        let status = timeout(self.limit, self.child.wait()).await.context("sipp does not end")??;
        let file = |name| std::fs::read_to_string(self.dir.path().join(name)).unwrap_or_default();
        let (errors, messages) = (file("errors.log"), file("messages.log"));
        ensure!(status.success(), "sipp ended with {status}: {errors}\n{messages}");
        Ok(())
    }
}
