//! Who may speak to a line: the configured PBX and no one else. Strangers get silence.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

/// How often strangers are mentioned.
const REPORT_EVERY: Duration = Duration::from_secs(60);

/// The addresses that are listened to.
#[derive(Debug)]
pub(crate) struct Filter {
    allowed: Vec<IpAddr>,
    strangers: u64,
    unreported: u64,
    quiet_until: Option<Instant>,
}

impl Filter {
    pub(crate) fn new(allowed: impl IntoIterator<Item = IpAddr>) -> Self {
        let allowed = allowed.into_iter().map(|ip| ip.to_canonical()).collect();
        Self { allowed, strangers: 0, unreported: 0, quiet_until: None }
    }

    /// Whether this address is listened to, and may be sent to.
    pub(crate) fn allows(&self, ip: IpAddr) -> bool {
        self.allowed.contains(&ip.to_canonical())
    }

    /// Counts a stranger's datagram; once a minute it gives the count since the last report.
    pub(crate) fn report(&mut self, now: Instant) -> Option<u64> {
        self.strangers += 1;
        self.unreported += 1;
        if self.quiet_until.is_some_and(|until| now < until) {
            return None;
        }
        self.quiet_until = Some(now + REPORT_EVERY);
        Some(std::mem::take(&mut self.unreported))
    }

    /// Datagrams of strangers since the beginning.
    pub(crate) fn strangers(&self) -> u64 {
        self.strangers
    }

    /// The address, when a message may be sent there.
    pub(crate) fn reachable(&self, address: SocketAddr) -> Option<SocketAddr> {
        (self.allows(address.ip()) && address.port() != 0).then_some(address)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ipv4_address_is_the_same_inside_ipv6() {
        let filter = Filter::new(["127.0.0.1".parse().unwrap()]);
        assert!(filter.allows("127.0.0.1".parse().unwrap()));
        assert!(filter.allows("::ffff:127.0.0.1".parse().unwrap()));
        assert!(!filter.allows("127.0.0.2".parse().unwrap()));
        assert_eq!(filter.reachable("127.0.0.1:0".parse().unwrap()), None);
    }

    #[test]
    fn strangers_are_counted_and_mentioned_once_a_minute() {
        let start = Instant::now();
        let mut filter = Filter::new([]);
        assert_eq!(filter.report(start), Some(1));
        assert_eq!(filter.report(start + Duration::from_secs(1)), None);
        assert_eq!(filter.report(start + Duration::from_secs(59)), None);
        assert_eq!(filter.report(start + Duration::from_secs(60)), Some(3));
        assert_eq!(filter.strangers(), 4);
    }
}
