//! SIPp that goes through one scenario once, which is written where it is used; it ends well only when everything came as
//! the scenario has it.

use std::net::SocketAddr;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use tempfile::TempDir;
use tokio::process::{Child, Command};

use crate::{pcap, ports};

/// One run of a scenario.
pub struct SippScript {
    child: Child,
    dir: TempDir,
    /// Where it takes SIP.
    pub sip: SocketAddr,
    /// Where its sound comes and goes.
    pub media: SocketAddr,
}

/// What it goes through.
#[derive(Debug, Clone, Default)]
pub struct Scenario {
    /// What stands inside `<scenario>`.
    pub steps: String,
    /// What the steps play.
    pub sounds: Vec<Sound>,
    /// The user in the address that it proves its password for; SIPp names none by itself.
    pub proves_for: Option<String>,
}

/// RTP packets under a file's name, each with its millisecond; `play_pcap_audio` plays them.
pub type Sound = (String, Vec<(u32, Vec<u8>)>);

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
        let scenario = Scenario { steps: steps.to_owned(), ..Scenario::default() };
        Self::start_with(&scenario, sip_port, remote, limit)
    }

    /// The same with more than steps.
    ///
    /// # Errors
    /// As [`SippScript::start`].
    pub fn start_with(
        scenario: &Scenario,
        sip_port: u16,
        remote: Option<SocketAddr>,
        limit: Duration,
    ) -> anyhow::Result<Self> {
        let dir = TempDir::with_prefix("sipp-")?;
        let Scenario { steps, sounds, proves_for } = scenario;
        for (name, packets) in sounds {
            pcap::write(&dir.path().join(name), packets)?;
        }
        let media_port = ports::free_media()?;
        let scenario = dir.path().join("scenario.xml");
        let document = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\" ?>\n<scenario name=\"script\">\n{steps}\n</scenario>\n"
        );
        std::fs::write(&scenario, document)?;
        let mut command = Command::new("sipp");
        command.current_dir(dir.path()).arg("-sf").arg(scenario);
        command.args(remote.map(|remote| remote.to_string()));
        if let (Some(user), Some(remote)) = (proves_for, remote) {
            command.args(["-auth_uri", &format!("{user}@{remote}")]);
        }
        // Of one that waits each OPTIONS is a call, too.
        command.args(remote.into_iter().flat_map(|_| ["-m", "1"]));
        command.args(["-i", "127.0.0.1", "-p", &sip_port.to_string(), "-aa", "-nostdin"]);
        command.args(["-mi", "127.0.0.1", "-mp", &media_port.to_string()]);
        command.args(["-cp", &ports::free()?.to_string(), "-timeout", &limit.as_secs().to_string()]);
        command.args(["-timeout_error", "-trace_err", "-error_file", "errors.log"]);
        command.args(["-trace_msg", "-message_file", "messages.log"]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
        let child = command.spawn().context("sipp, from the Debian package sip-tester")?;
        let address = |port| SocketAddr::from(([127, 0, 0, 1], port));
        Ok(Self { child, dir, sip: address(sip_port), media: address(media_port) })
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
