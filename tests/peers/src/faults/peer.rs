//! SIPp on the PBX's end: it repeats as RFC 3261 wants, sends sound back to where it comes from, and hangs up when a MESSAGE tells
//! it to.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;

use anyhow::Context as _;
use tempfile::TempDir;
use tokio::process::{Child, Command};

use crate::ports;

/// A SIPp at work; it ends with this value.
pub(super) struct Sipp {
    _child: Child,
    dir: TempDir,
    /// Where it takes SIP.
    pub(super) sip: SocketAddr,
}

impl Sipp {
    /// One that takes every call.
    ///
    /// # Errors
    /// When the Debian package `sip-tester` is missing.
    pub(super) fn takes_calls() -> anyhow::Result<Self> {
        Self::start("fault_takes.xml", &[])
    }

    /// One that calls somebody once.
    ///
    /// # Errors
    /// As [`Sipp::takes_calls`].
    pub(super) fn calls(user: &str, path: SocketAddr) -> anyhow::Result<Self> {
        Self::start("fault_calls.xml", &[&path.to_string(), "-s", user, "-m", "1"])
    }

    fn start(scenario: &str, more: &[&str]) -> anyhow::Result<Self> {
        let dir = TempDir::with_prefix("sipp-")?;
        let (sip_port, media_port) = (ports::free()?, ports::free_media()?);
        let mut command = Command::new("sipp");
        command.current_dir(dir.path()).arg("-sf");
        command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("sipp").join(scenario)).args(more);
        command.args(["-i", "127.0.0.1", "-p", &sip_port.to_string(), "-aa", "-nostdin", "-rtp_echo"]);
        command.args(["-mi", "127.0.0.1", "-mp", &media_port.to_string()]);
        command.args(["-cp", &ports::free()?.to_string()]);
        // What comes late or twice is a fault of the path, and ends no call.
        command.args(["-default_behaviors", "all,-abortunexp,-bye"]);
        command.args(["-trace_err", "-error_file", "errors.log"]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
        let child = command.spawn().context("sipp, from the Debian package sip-tester")?;
        Ok(Self { _child: child, dir, sip: SocketAddr::from(([127, 0, 0, 1], sip_port)) })
    }

    /// What it complained about.
    pub(super) fn errors(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("errors.log")).unwrap_or_default()
    }
}
