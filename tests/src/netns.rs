//! A network namespace with one cable to the host, for programs that want an interface which is not loopback.

use std::fs;
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::{self, Command};
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context as _, bail};

static MADE: AtomicU32 = AtomicU32::new(0);

/// Names of namespaces, followed by the maker's process id and a number.
const PREFIX: &str = "tgtrunk-";

/// The namespace; dropping it removes it, its cable and whoever still runs inside keeps nothing but loopback.
pub struct Namespace {
    name: String,
    host: Ipv4Addr,
    inside: Ipv4Addr,
}

impl Namespace {
    /// Makes a namespace with a pair of interfaces that have addresses and are up. Needs root and iproute2.
    ///
    /// # Errors
    /// With the words of `ip`, which say what it lacks.
    pub fn new() -> anyhow::Result<Self> {
        remove_abandoned()?;
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        let name = format!("{PREFIX}{}-{number}", process::id());
        let (host, inside) = free_addresses(number)?;
        ip(&["netns", "add", &name]).context("a network namespace needs root and iproute2")?;
        let namespace = Namespace { name, host, inside };
        namespace.plug_in(number)?;
        Ok(namespace)
    }

    fn plug_in(&self, number: u32) -> anyhow::Result<()> {
        // Interface names have 15 characters at most.
        let (host_end, inside_end) = (format!("tt{}-{number}", process::id()), "eth0");
        let add = ["link", "add", &host_end, "type", "veth", "peer", "name", inside_end, "netns", &self.name];
        ip(&add)?;
        ip(&["addr", "add", &format!("{}/30", self.host), "dev", &host_end])?;
        ip(&["link", "set", &host_end, "up"])?;
        ip(&["-n", &self.name, "addr", "add", &format!("{}/30", self.inside), "dev", inside_end])?;
        ip(&["-n", &self.name, "link", "set", inside_end, "up"])?;
        ip(&["-n", &self.name, "link", "set", "lo", "up"])?;
        ip(&["-n", &self.name, "route", "add", "default", "via", &self.host.to_string()])
    }

    /// Our address on the cable.
    pub fn host_address(&self) -> Ipv4Addr {
        self.host
    }

    /// The address at the other end of the cable.
    pub fn inside_address(&self) -> Ipv4Addr {
        self.inside
    }

    /// A command that will run inside; it shares the files and Unix sockets of the host.
    pub fn command(&self, program: impl AsRef<Path>) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name]).arg(program.as_ref());
        command
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        if let Err(error) = ip(&["netns", "delete", &self.name]) {
            tracing::warn!(name = self.name, %error, "network namespace left behind");
        }
    }
}

/// Two neighbours of 198.18.0.0/15, which is set aside for tests (RFC 2544), that no interface here has.
fn free_addresses(number: u32) -> anyhow::Result<(Ipv4Addr, Ipv4Addr)> {
    const NETWORKS: u32 = 1 << 15;
    let base = u32::from(Ipv4Addr::new(198, 18, 0, 0));
    let taken = output(Command::new("ip").args(["-4", "-o", "addr"]))?;
    (0..NETWORKS)
        .map(|more| base + 4 * ((process::id() * 16 + number + more) % NETWORKS))
        .map(|network| (Ipv4Addr::from(network + 1), Ipv4Addr::from(network + 2)))
        .find(|(host, _)| !taken.contains(&format!("{host}/")))
        .context("no address is free for the namespace")
}

/// Namespaces of processes that were killed before they could clean up.
fn remove_abandoned() -> anyhow::Result<()> {
    for line in output(Command::new("ip").args(["netns", "list"]))?.lines() {
        let name = line.split_whitespace().next().unwrap_or_default();
        let maker = name.strip_prefix(PREFIX).and_then(|rest| rest.split('-').next());
        if maker.is_some_and(|process| !fs::exists(format!("/proc/{process}")).unwrap_or(true)) {
            ip(&["netns", "delete", name])?;
        }
    }
    Ok(())
}

fn ip(arguments: &[&str]) -> anyhow::Result<()> {
    output(Command::new("ip").args(arguments)).map(|_| ())
}

fn output(command: &mut Command) -> anyhow::Result<String> {
    let output = command.output().with_context(|| format!("cannot run {command:?}"))?;
    if !output.status.success() {
        bail!("{command:?}: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
