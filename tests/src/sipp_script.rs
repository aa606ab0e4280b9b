//! SIPp that goes through one scenario once, which is written where it is used; it ends well only when everything came as
//! the scenario has it.

use std::net::SocketAddr;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use tempfile::TempDir;
use tokio::process::{Child, Command};

use crate::ports;

/// One run of a scenario.
pub struct SippScript {
    child: Child,
    dir: TempDir,
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
        // Of one that waits each OPTIONS is a call, too.
        command.args(remote.into_iter().flat_map(|_| ["-m", "1"]));
        command.args(["-i", "127.0.0.1", "-p", &sip_port.to_string(), "-aa", "-nostdin"]);
        command.args(["-mi", "127.0.0.1", "-mp", &ports::free_media()?.to_string()]);
        command.args(["-cp", &ports::free()?.to_string(), "-timeout", &limit.as_secs().to_string()]);
        command.args(["-timeout_error", "-trace_err", "-error_file", "errors.log"]);
        command.args(["-trace_msg", "-message_file", "messages.log"]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
        let child = command.spawn().context("sipp, from the Debian package sip-tester")?;
        Ok(Self { child, dir })
    }

    /// Ends it when its call is over.
    ///
    /// # Errors
    /// When something came otherwise than the scenario has it; with what SIPp says.
    pub async fn end(mut self) -> anyhow::Result<()> {
        self.child.kill().await.ok();
        let errors = std::fs::read_to_string(self.dir.path().join("errors.log")).unwrap_or_default();
        let failed = ["Aborting call", "timed out", "Failed regexp"].iter().any(|word| errors.contains(word));
        ensure!(!failed, "{errors}");
        Ok(())
    }
}
