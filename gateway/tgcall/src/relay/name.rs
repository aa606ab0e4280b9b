//! Names of places behind a reflector, as candidates carry them, and the addresses that stand for them inside.
//!
//! `reflector-<number>-<tag>.reflector` is no name of the DNS. Inside it is an address of the discard-only prefix
//! 100::/64 (RFC 6666), which no network carries, and the two can be told from each other without a table.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

/// A place behind a reflector.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ReflectorName {
    /// Of the reflector, see the numbering of servers.
    pub(crate) number: u8,
    pub(crate) tag: u32,
}

impl ReflectorName {
    /// Reads the host name of a candidate.
    pub(crate) fn parse(host: &str) -> Option<Self> {
        let (number, tag) = host.strip_prefix("reflector-")?.strip_suffix(".reflector")?.split_once('-')?;
        Some(ReflectorName { number: number.parse().ok()?, tag: tag.parse().ok()? })
    }

    pub(crate) fn host(self) -> String {
        format!("reflector-{}-{}.reflector", self.number, self.tag)
    }

    pub(crate) fn address(self, port: u16) -> SocketAddr {
        let [high, low] = [(self.tag >> 16) as u16, self.tag as u16];
        let ip = Ipv6Addr::new(0x100, 0, 0, 0, 0, u16::from(self.number), high, low);
        SocketAddr::new(ip.into(), port)
    }

    /// Whom an address stands for, if it is one of ours.
    pub(crate) fn of(address: SocketAddr) -> Option<Self> {
        let IpAddr::V6(ip) = address.ip() else { return None };
        let [0x100, 0, 0, 0, 0, number, high, low] = ip.segments() else { return None };
        let number = u8::try_from(number).ok()?;
        Some(ReflectorName { number, tag: u32::from(high) << 16 | u32::from(low) })
    }

    /// Whether an address lies where only those that stand for names may.
    pub(crate) fn is_reserved(address: SocketAddr) -> bool {
        matches!(address.ip(), IpAddr::V6(ip) if ip.segments()[..4] == [0x100, 0, 0, 0])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_addresses_stand_for_each_other() {
        // From ntgcalls 3.0.5.
        let name = ReflectorName::parse("reflector-1-3199386816.reflector").unwrap();
        assert_eq!(name, ReflectorName { number: 1, tag: 3_199_386_816 });
        assert_eq!(name.host(), "reflector-1-3199386816.reflector");
        assert_eq!(ReflectorName::of(name.address(599)), Some(name));
        assert!(ReflectorName::is_reserved(name.address(599)));
    }

    #[test]
    fn what_is_no_name_is_none() {
        for text in [
            "reflector-1.reflector",
            "reflector-256-1.reflector",
            "reflector-1-4294967296.reflector",
            "reflector--1-1.reflector",
            "10.0.0.1",
            "x.reflector",
        ] {
            assert_eq!(ReflectorName::parse(text), None, "{text}");
        }
        assert_eq!(ReflectorName::of("[2001:db8::1]:1".parse().unwrap()), None);
        assert_eq!(ReflectorName::of("10.0.0.1:1".parse().unwrap()), None);
    }
}
