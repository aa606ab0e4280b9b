//! A network namespace with one cable to the host, for programs that want an interface which is not loopback, and for
//! addresses that change while they are used.

use std::fs;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::path::Path;
use std::process::{self, Command};
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context as _, bail};

static MADE: AtomicU32 = AtomicU32::new(0);

/// Names of namespaces, followed by the maker's process id and a number.
const PREFIX: &str = "tgtrunk-";
/// Names of our ends of cables.
const HOST_END: &str = "tt";
/// Names of the ends between two pieces of a cable.
const PIECES: [&str; 2] = ["tu", "tv"];

/// The interface inside.
const INSIDE: &str = "eth0";
/// Of the cable's network: six addresses.
const PREFIX_BITS: u32 = 29;

/// The namespace; dropping it removes it, its cable and whoever still runs inside keeps nothing but loopback.
pub struct Namespace {
    name: String,
    /// The interface of the host at our end of the cable.
    host_end: String,
    /// The one at the namespace's piece of a cable in two.
    inside_piece: Option<String>,
    host: Ipv4Addr,
    inside: Ipv4Addr,
}

/// An end of the cable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// Ours.
    Host,
    /// The namespace's.
    Inside,
}

impl Namespace {
    /// Makes a namespace with a pair of interfaces that have addresses and are up. Needs root and iproute2.
    ///
    /// # Errors
    /// With the words of `ip`, which say what it lacks.
    pub fn new() -> anyhow::Result<Self> {
        let namespace = Self::without_cable()?;
        namespace.cable(&namespace.host_end, INSIDE, Some(&namespace.name))?;
        namespace.plug_in()?;
        Ok(namespace)
    }

    /// Makes one whose cable is in two pieces, and tells the interfaces of the host at which these end: the host's
    /// piece and the namespace's. Somebody must carry frames between the two.
    pub(crate) fn in_two_pieces() -> anyhow::Result<(Self, [String; 2])> {
        let mut namespace = Self::without_cable()?;
        let number = namespace.host_end.strip_prefix(HOST_END).unwrap_or_default();
        let pieces = PIECES.map(|kind| format!("{kind}{number}"));
        namespace.inside_piece = Some(pieces[1].clone());
        namespace.cable(&namespace.host_end, &pieces[0], None)?;
        namespace.cable(&pieces[1], INSIDE, Some(&namespace.name))?;
        for piece in &pieces {
            // The host is to say nothing there, neither ARP nor IPv6.
            ip(&["link", "set", piece, "arp", "off", "addrgenmode", "none", "up"])?;
        }
        namespace.plug_in()?;
        // No packet is to be longer than a frame.
        ip(&["link", "set", &namespace.host_end, "gso_max_segs", "1"])?;
        ip(&["-n", &namespace.name, "link", "set", INSIDE, "gso_max_segs", "1"])?;
        Ok((namespace, pieces))
    }

    fn without_cable() -> anyhow::Result<Self> {
        remove_abandoned()?;
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        let name = format!("{PREFIX}{}-{number}", process::id());
        // Interface names have 15 characters at most.
        let host_end = format!("{HOST_END}{}-{number}", process::id());
        let (host, inside) = free_addresses(number)?;
        ip(&["netns", "add", &name]).context("a network namespace needs root and iproute2")?;
        Ok(Namespace { name, host_end, inside_piece: None, host, inside })
    }

    fn cable(&self, one: &str, other: &str, namespace: Option<&str>) -> anyhow::Result<()> {
        let mut add = vec!["link", "add", one, "type", "veth", "peer", "name", other];
        add.extend(namespace.into_iter().flat_map(|name| ["netns", name]));
        ip(&add)
    }

    fn plug_in(&self) -> anyhow::Result<()> {
        ip(&["link", "set", &self.host_end, "up"])?;
        ip(&["-n", &self.name, "link", "set", INSIDE, "up"])?;
        ip(&["-n", &self.name, "link", "set", "lo", "up"])?;
        // An address may go and leave those that came after it.
        let promote = format!("/proc/sys/net/ipv4/conf/{}/promote_secondaries", self.host_end);
        fs::write(&promote, "1").context(promote)?;
        let promote = format!("echo 1 > /proc/sys/net/ipv4/conf/{INSIDE}/promote_secondaries");
        output(self.command("sh").args(["-c", &promote]))?;
        self.add_address(End::Host, self.host)?;
        self.add_address(End::Inside, self.inside)
    }

    /// Gives an end of the cable one more address.
    ///
    /// # Errors
    /// With the words of `ip`.
    pub fn add_address(&self, end: End, address: Ipv4Addr) -> anyhow::Result<()> {
        self.at(end, &["addr", "add", &format!("{address}/{PREFIX_BITS}"), "dev", self.interface(end)])?;
        self.route(end)
    }

    /// Takes an address from an end of the cable; others stay.
    ///
    /// # Errors
    /// With the words of `ip`.
    pub fn remove_address(&self, end: End, address: Ipv4Addr) -> anyhow::Result<()> {
        self.at(end, &["addr", "del", &format!("{address}/{PREFIX_BITS}"), "dev", self.interface(end)])?;
        self.route(end)
    }

    /// Addresses of the cable's network that no end has at first.
    pub fn further_addresses(&self) -> [Ipv4Addr; 4] {
        [1, 2, 3, 4].map(|more| Ipv4Addr::from(u32::from(self.inside) + more))
    }

    /// Gives both ends an IPv6 address too, and tells them: the host's, the namespace's.
    ///
    /// # Errors
    /// With the words of `ip`.
    pub fn add_ipv6(&self) -> anyhow::Result<[Ipv6Addr; 2]> {
        // A unique local network (RFC 4193), as unique as that of IPv4.
        let [_, b, c, d] = self.host.octets();
        let network = [0xfd74, 0x6774, u16::from(b), u16::from_be_bytes([c, d])];
        let addresses = [1, 2].map(|last| {
            let [one, two, three, four] = network;
            Ipv6Addr::new(one, two, three, four, 0, 0, 0, last)
        });
        for (end, address) in [End::Host, End::Inside].into_iter().zip(addresses) {
            self.at(
                end,
                &["-6", "addr", "add", &format!("{address}/64"), "dev", self.interface(end), "nodad"],
            )?;
        }
        Ok(addresses)
    }

    /// From inside the way to everywhere goes through the cable.
    fn route(&self, end: End) -> anyhow::Result<()> {
        match end {
            End::Host => Ok(()),
            End::Inside => {
                let host = self.host.to_string();
                self.at(end, &["route", "replace", "default", "via", &host, "dev", INSIDE])
            }
        }
    }

    fn interface(&self, end: End) -> &str {
        match end {
            End::Host => &self.host_end,
            End::Inside => INSIDE,
        }
    }

    fn at(&self, end: End, arguments: &[&str]) -> anyhow::Result<()> {
        match end {
            End::Host => ip(arguments),
            End::Inside => ip(&[&["-n", self.name.as_str()], arguments].concat()),
        }
    }

    /// Our address on the cable.
    pub fn host_address(&self) -> Ipv4Addr {
        self.host
    }

    /// Index of the host's interface at its end of the cable.
    ///
    /// # Errors
    /// When it is gone.
    pub fn host_interface(&self) -> anyhow::Result<usize> {
        index(&self.host_end)
    }

    /// Index of the host's interface at the namespace's end, if somebody carries frames there.
    ///
    /// # Errors
    /// When the cable is in one piece, or it is gone.
    pub fn inside_interface(&self) -> anyhow::Result<usize> {
        index(self.inside_piece.as_ref().context("the cable is in one piece")?)
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
        // Whoever still runs inside keeps the namespace alive, not the cable.
        for end in [Some(&self.host_end), self.inside_piece.as_ref()].into_iter().flatten() {
            if let Err(error) = ip(&["link", "delete", end]) {
                tracing::debug!(end, %error, "no cable to unplug");
            }
        }
        if let Err(error) = ip(&["netns", "delete", &self.name]) {
            tracing::warn!(name = self.name, %error, "network namespace left behind");
        }
    }
}

/// Two neighbours of a network of 198.18.0.0/15, which is set aside for tests (RFC 2544), that no interface here has.
fn free_addresses(number: u32) -> anyhow::Result<(Ipv4Addr, Ipv4Addr)> {
    const NETWORKS: u32 = 1 << (PREFIX_BITS - 15);
    let base = u32::from(Ipv4Addr::new(198, 18, 0, 0));
    let taken = output(Command::new("ip").args(["-4", "-o", "addr"]))?;
    (0..NETWORKS)
        .map(|more| base + 8 * ((process::id() * 16 + number + more) % NETWORKS))
        .map(|network| (Ipv4Addr::from(network + 1), Ipv4Addr::from(network + 2)))
        .find(|(host, _)| !taken.contains(&format!("{host}/")))
        .context("no address is free for the namespace")
}

/// Namespaces and cables of processes that were killed before they could clean up.
fn remove_abandoned() -> anyhow::Result<()> {
    for line in output(Command::new("ip").args(["netns", "list"]))?.lines() {
        let name = line.split_whitespace().next().unwrap_or_default();
        let maker = name.strip_prefix(PREFIX).and_then(|rest| rest.split('-').next());
        if maker.is_some_and(|process| !fs::exists(format!("/proc/{process}")).unwrap_or(true)) {
            // Another process may be at it as well.
            ip(&["netns", "delete", name]).ok();
        }
    }
    for line in output(Command::new("ip").args(["-o", "link"]))?.lines() {
        let name = line.split([':', '@']).nth(1).unwrap_or_default().trim();
        let ends = [HOST_END, PIECES[0], PIECES[1]];
        let maker = ends.iter().find_map(|end| name.strip_prefix(end)).and_then(|rest| rest.split_once('-'));
        let process = maker.map(|(process, _)| process).filter(|process| process.parse::<u32>().is_ok());
        if process.is_some_and(|process| !fs::exists(format!("/proc/{process}")).unwrap_or(true)) {
            // Its other end may have been the one before.
            ip(&["link", "delete", name]).ok();
        }
    }
    Ok(())
}

fn index(interface: &str) -> anyhow::Result<usize> {
    let file = format!("/sys/class/net/{interface}/ifindex");
    Ok(fs::read_to_string(&file).context(file)?.trim().parse()?)
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
