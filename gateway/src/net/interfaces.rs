//! Addresses of this machine that Telegram users may send to, as they come and go.

use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::AsRawFd as _;
use std::os::unix::net::UnixDatagram as SystemSocket;
use std::sync::Arc;
use std::time::Duration;

use nix::sys::socket::{AddressFamily, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, socket};
use tokio::net::UnixDatagram;
use tokio::sync::watch;
use webrtc_util::ifaces::{Kind, ifaces};

/// RTMGRP_LINK, RTMGRP_IPV4_IFADDR and RTMGRP_IPV6_IFADDR of rtnetlink(7).
const GROUPS: u32 = 0x1 | 0x10 | 0x100;
/// Changes come in flocks: an address goes, its successor comes.
const SETTLE: Duration = Duration::from_millis(30);
/// Where the kernel does not tell, the addresses are looked at so often.
const LOOK: Duration = Duration::from_secs(1);

/// What calls may bind to now, and a word whenever that changes.
pub(crate) type Addresses = watch::Receiver<Arc<[IpAddr]>>;

/// Follows the machine's addresses until nobody listens any more. `configured` ones, if any, are the only ones wanted.
pub(crate) fn follow(configured: Vec<IpAddr>) -> Addresses {
    let (tell, addresses) = watch::channel(usable(&configured));
    if addresses.borrow().iter().all(IpAddr::is_loopback) && configured.is_empty() {
        tracing::warn!("no network address but loopback: only callers on this machine will be heard");
    }
    tokio::spawn(async move {
        let news = match netlink() {
            Ok(news) => Some(news),
            Err(error) => {
                tracing::debug!(%error, "the kernel does not tell of address changes, they are looked for");
                None
            }
        };
        loop {
            tokio::select! {
                () = change(news.as_ref()) => {}
                () = tell.closed() => return,
            }
            let found = usable(&configured);
            tell.send_if_modified(|known| {
                let is_new = *known != found;
                if is_new {
                    tracing::info!(addresses = found.len(), "this machine's addresses changed");
                    tracing::debug!(?found, "addresses");
                    *known = found;
                }
                is_new
            });
        }
    });
    addresses
}

async fn change(news: Option<&UnixDatagram>) {
    let Some(news) = news else { return tokio::time::sleep(LOOK).await };
    let mut message = [0; 4096];
    // What the messages say is read from the interfaces; an overrun (ENOBUFS) is a change like any other.
    news.recv(&mut message).await.ok();
    tokio::time::sleep(SETTLE).await;
    while news.try_recv(&mut message).is_ok() {}
}

/// To the runtime one datagram socket is like the other.
fn netlink() -> io::Result<UnixDatagram> {
    let fd = socket(
        AddressFamily::Netlink,
        SockType::Raw,
        SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK,
        SockProtocol::NetlinkRoute,
    )?;
    bind(fd.as_raw_fd(), &NetlinkAddr::new(0, GROUPS))?;
    UnixDatagram::from_std(SystemSocket::from(fd))
}

/// The configured ones that this machine has, else every interface's but loopback and link-local ones, else loopback.
fn usable(configured: &[IpAddr]) -> Arc<[IpAddr]> {
    let present = present();
    if !configured.is_empty() {
        let found: Vec<IpAddr> =
            configured.iter().copied().filter(|ip| ip.is_loopback() || present.contains(ip)).collect();
        // None of them: that a port cannot be opened there will be told with the first call.
        return if found.is_empty() { configured.into() } else { found.into() };
    }
    let mut addresses: Vec<IpAddr> = Vec::new();
    for ip in present {
        if is_offerable(ip) && !addresses.contains(&ip) {
            addresses.push(ip);
        }
    }
    if addresses.is_empty() {
        addresses.push(Ipv4Addr::LOCALHOST.into());
    }
    addresses.into()
}

fn present() -> Vec<IpAddr> {
    match ifaces() {
        Ok(found) => found
            .into_iter()
            .filter(|interface| matches!(interface.kind, Kind::Ipv4 | Kind::Ipv6))
            .filter_map(|interface| interface.addr.map(|address| address.ip()))
            .collect(),
        Err(error) => {
            tracing::warn!(%error, "cannot list the network interfaces");
            Vec::new()
        }
    }
}

fn is_offerable(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(v4) => !v4.is_loopback() && !v4.is_link_local() && !v4.is_unspecified(),
        IpAddr::V6(v6) => !v6.is_loopback() && !v6.is_unicast_link_local() && !v6.is_unspecified(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn link_local_and_loopback_addresses_are_not_offered() {
        for (text, wanted) in [
            ("127.0.0.1", false),
            ("169.254.1.1", false),
            ("192.0.2.7", true),
            ("::1", false),
            ("fe80::1", false),
            ("2001:db8::1", true),
        ] {
            assert_eq!(is_offerable(text.parse().unwrap()), wanted, "{text}");
        }
    }

    #[test]
    fn configured_addresses_that_are_not_there_are_left_out_unless_none_is() {
        let [here, gone]: [IpAddr; 2] = ["127.0.0.1".parse().unwrap(), "192.0.2.7".parse().unwrap()];
        assert_eq!(usable(&[here, gone])[..], [here]);
        assert_eq!(usable(&[gone])[..], [gone]);
    }

    #[tokio::test]
    async fn the_kernel_lets_us_listen() {
        netlink().unwrap();
    }
}
