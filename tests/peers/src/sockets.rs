//! What a program has open, as the kernel tells it (proc(5)).

use std::collections::BTreeSet;
use std::fs;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use anyhow::Context as _;

/// Addresses of a process's datagram sockets. One of IPv6 is told as the unspecified address with its port.
///
/// # Errors
/// When the process is gone.
pub fn datagram_sockets(pid: u32) -> anyhow::Result<Vec<SocketAddr>> {
    let inodes: BTreeSet<String> = fs::read_dir(format!("/proc/{pid}/fd"))?
        .filter_map(|entry| fs::read_link(entry.ok()?.path()).ok())
        .filter_map(|target| Some(target.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.to_owned()))
        .collect();
    let mut found = Vec::new();
    for table in ["udp", "udp6"] {
        let table = fs::read_to_string(format!("/proc/{pid}/net/{table}"))?;
        for line in table.lines().skip(1) {
            let columns: Vec<&str> = line.split_whitespace().collect();
            if columns.get(9).is_none_or(|inode| !inodes.contains(*inode)) {
                continue;
            }
            let (ip, port) = columns[1].split_once(':').context("an address with a port")?;
            let port = u16::from_str_radix(port, 16)?;
            found.push(match u32::from_str_radix(ip, 16) {
                Ok(bits) => (Ipv4Addr::from(bits.to_le_bytes()), port).into(),
                Err(_) => (Ipv6Addr::UNSPECIFIED, port).into(),
            });
        }
    }
    Ok(found)
}
