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
    /// Whether everybody is listened to: they have to prove themselves.
    open: bool,
    /// Messages of strangers that were listened to.
    unproven: u64,
    unreported: u64,
    quiet_until: Option<Instant>,
}

impl Filter {
    pub(crate) fn new(allowed: impl IntoIterator<Item = IpAddr>, open: bool) -> Self {
        let mut filter =
            Self { allowed: Vec::new(), open, strangers: 0, unproven: 0, unreported: 0, quiet_until: None };
        filter.allow(allowed);
        filter
    }

    /// Takes other addresses.
    pub(crate) fn allow(&mut self, allowed: impl IntoIterator<Item = IpAddr>) {
        self.allowed = allowed.into_iter().map(|ip| ip.to_canonical()).collect();
    }

    /// Whether this address is listened to.
    pub(crate) fn allows(&self, ip: IpAddr) -> bool {
        self.open || self.knows(ip)
    }

    /// Whether this address is the PBX's, or one beside it.
    pub(crate) fn knows(&self, ip: IpAddr) -> bool {
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

    /// Counts a message of somebody who was listened to and is not known to be the PBX.
    pub(crate) fn count_unproven(&mut self) {
        self.unproven += 1;
    }

    /// Such messages since the beginning.
    pub(crate) fn unproven(&self) -> u64 {
        self.unproven
    }

    /// Datagrams of strangers since the beginning.
    pub(crate) fn strangers(&self) -> u64 {
        self.strangers
    }

    /// The address, when a message may be sent there because it stands in another one. Those whom nobody knows get
    /// theirs where they came from.
    pub(crate) fn reachable(&self, address: SocketAddr) -> Option<SocketAddr> {
        (self.knows(address.ip()) && address.port() != 0).then_some(address)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ipv4_address_is_the_same_inside_ipv6() {
        let filter = Filter::new(["127.0.0.1".parse().unwrap()], false);
        assert!(filter.allows("127.0.0.1".parse().unwrap()));
        assert!(filter.allows("::ffff:127.0.0.1".parse().unwrap()));
        assert!(!filter.allows("127.0.0.2".parse().unwrap()));
        assert_eq!(filter.reachable("127.0.0.1:0".parse().unwrap()), None);
    }

    #[test]
    fn an_open_filter_listens_to_everybody_and_sends_only_to_those_it_knows() {
        let filter = Filter::new(["192.0.2.1".parse().unwrap()], true);
        assert!(filter.allows("192.0.2.9".parse().unwrap()));
        assert_eq!(filter.reachable("192.0.2.9:5060".parse().unwrap()), None);
        assert!(filter.reachable("192.0.2.1:5060".parse().unwrap()).is_some());
    }

    #[test]
    fn strangers_are_counted_and_mentioned_once_a_minute() {
        let start = Instant::now();
        let mut filter = Filter::new([], false);
        assert_eq!(filter.report(start), Some(1));
        assert_eq!(filter.report(start + Duration::from_secs(1)), None);
        assert_eq!(filter.report(start + Duration::from_secs(59)), None);
        assert_eq!(filter.report(start + Duration::from_secs(60)), Some(3));
        assert_eq!(filter.strangers(), 4);
    }
}
