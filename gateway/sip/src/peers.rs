//! The PBX's addresses, the best first, and which of them answer (RFC 3263 section 4).

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use crate::endpoint::Endpoint;
use crate::event::Event;
use crate::hop::Hop;
use crate::options::Probe;
use crate::uri::sip_uri;

/// Most addresses of one PBX that are used.
const PEERS_LIMIT: usize = 16;

/// Where the PBX is.
#[derive(Debug)]
pub(crate) struct Peers {
    first: Peer,
    others: Vec<Peer>,
    interval: Duration,
    /// Whether any of them answers, as it was told last.
    reachable: Option<bool>,
}

/// One address, and our OPTIONS to it.
#[derive(Debug)]
struct Peer {
    address: SocketAddr,
    probe: Probe,
}

impl Peers {
    pub(crate) fn new(first: SocketAddr, others: &[SocketAddr], interval: Duration, now: Instant) -> Self {
        let peer = |address| Peer { address, probe: Probe::new(interval, now) };
        let mut list: Vec<Peer> = Vec::new();
        for &address in others {
            let known = address == first || list.iter().any(|peer| peer.address == address);
            if !known && list.len() + 1 < PEERS_LIMIT {
                list.push(peer(address));
            }
        }
        Self { first: peer(first), others: list, interval, reachable: None }
    }

    /// Takes other addresses. What is known of those that stay stays known.
    fn replace(&mut self, first: SocketAddr, others: &[SocketAddr], now: Instant) {
        let fresh = Self::new(first, others, self.interval, now);
        let reachable = self.reachable;
        let mut old = std::mem::replace(self, fresh);
        self.reachable = reachable;
        for peer in self.iter_mut() {
            if let Some(known) = old.iter_mut().find(|known| known.address == peer.address) {
                std::mem::swap(&mut peer.probe, &mut known.probe);
            }
        }
    }

    fn iter(&self) -> impl Iterator<Item = &Peer> {
        std::iter::once(&self.first).chain(&self.others)
    }

    fn iter_mut(&mut self) -> impl Iterator<Item = &mut Peer> {
        std::iter::once(&mut self.first).chain(&mut self.others)
    }

    /// Our question to an address.
    pub(crate) fn probe_mut(&mut self, address: SocketAddr) -> Option<&mut Probe> {
        self.iter_mut().find(|peer| peer.address == address).map(|peer| &mut peer.probe)
    }

    /// The addresses whose next step is due.
    pub(crate) fn due(&self, now: Instant) -> Vec<SocketAddr> {
        self.iter().filter(|peer| peer.probe.deadline() <= now).map(|peer| peer.address).collect()
    }

    /// When the next step is due.
    pub(crate) fn deadline(&self) -> Instant {
        self.others.iter().map(|peer| peer.probe.deadline()).fold(self.first.probe.deadline(), Instant::min)
    }

    /// Where calls go first: the best address that is not known to be silent, or the best one.
    pub(crate) fn current(&self) -> SocketAddr {
        let mut awake = self.iter().filter(|peer| peer.probe.reachable() != Some(false));
        awake.next().unwrap_or(&self.first).address
    }

    /// Where a call goes when [`Peers::current`] does not take it.
    pub(crate) fn spare(&self) -> Vec<SocketAddr> {
        let current = self.current();
        let awake = self.iter().filter(|peer| peer.probe.reachable() != Some(false));
        awake.map(|peer| peer.address).filter(|address| *address != current).collect()
    }

    pub(crate) fn ips(&self) -> impl Iterator<Item = IpAddr> {
        self.iter().map(|peer| peer.address.ip())
    }

    fn are_several(&self) -> bool {
        !self.others.is_empty()
    }

    /// Whether any answers: none as long as it may turn out either way.
    fn any_reachable(&self) -> Option<bool> {
        let known = || self.iter().map(|peer| peer.probe.reachable());
        if known().any(|one| one == Some(true)) {
            return Some(true);
        }
        known().all(|one| one == Some(false)).then_some(false)
    }
}

impl Endpoint {
    /// Takes other addresses of the PBX, the best first. Running calls keep theirs.
    pub fn set_peers(&mut self, now: Instant, first: SocketAddr, others: &[SocketAddr]) {
        let before = self.peers.current();
        self.peers.replace(first, others, now);
        self.filter.allow(self.config.allowed.iter().copied().chain(self.peers.ips()));
        self.peers_changed(now, before);
    }

    /// The address whose turn it is.
    #[must_use]
    pub fn peer(&self) -> SocketAddr {
        self.peers.current()
    }

    /// Whether an address is one of the PBX's.
    #[must_use]
    pub fn is_peer(&self, ip: IpAddr) -> bool {
        self.peers.ips().any(|known| known.to_canonical() == ip.to_canonical())
    }

    /// The way to an address of the PBX.
    pub(crate) fn hop(&self, address: SocketAddr) -> Hop {
        Hop::to(self.config.transport, address)
    }

    /// Notes what is known of an address of the PBX, and tells what is new of it.
    pub(crate) fn peer_answered(&mut self, now: Instant, address: SocketAddr, reachable: bool) {
        let before = self.peers.current();
        let several = self.peers.are_several();
        let Some(probe) = self.peers.probe_mut(address) else { return };
        let news = probe.done(now, reachable);
        if news && several {
            self.tell(Event::AddressReachable { address, reachable });
        }
        self.peers_changed(now, before);
    }

    fn peers_changed(&mut self, now: Instant, before: SocketAddr) {
        let any = self.peers.any_reachable();
        if let Some(reachable) = any.filter(|_| any != self.peers.reachable) {
            let returned = reachable && self.peers.reachable == Some(false);
            self.peers.reachable = any;
            self.tell(Event::PeerReachable(reachable));
            if returned {
                self.register_again(now);
            }
        }
        if self.peers.current() != before {
            self.register_elsewhere(now);
        }
    }

    /// A user at the PBX, as a request to one of its addresses names them.
    pub(crate) fn pbx_uri(&self, user: &str, address: SocketAddr) -> String {
        let uri = sip_uri(user, address);
        let Some(domain) = &self.config.domain else { return uri };
        let user = uri.rsplit_once('@').map_or("sip:", |(user, _)| user);
        let at = if user == "sip:" { "" } else { "@" };
        format!("{user}{at}{domain}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_that_is_not_silent_is_taken_and_all_silent_the_first() {
        let now = Instant::now();
        let [a, b, c] = ["10.0.0.1:5060", "10.0.0.2:5060", "10.0.0.3:5060"]
            .map(|address| address.parse::<SocketAddr>().unwrap());
        let mut peers = Peers::new(a, &[b, a, c, b], Duration::from_secs(30), now);
        let answered = |peers: &mut Peers, address, reachable| {
            peers.probe_mut(address).unwrap().done(now, reachable);
        };
        assert_eq!((peers.current(), peers.spare(), peers.any_reachable()), (a, vec![b, c], None));
        answered(&mut peers, a, false);
        assert_eq!((peers.current(), peers.spare(), peers.any_reachable()), (b, vec![c], None));
        answered(&mut peers, b, false);
        answered(&mut peers, c, false);
        assert_eq!((peers.current(), peers.spare(), peers.any_reachable()), (a, vec![], Some(false)));
        answered(&mut peers, c, true);
        assert_eq!((peers.current(), peers.any_reachable()), (c, Some(true)));
        peers.replace(b, &[c], now);
        assert_eq!((peers.current(), peers.ips().count()), (c, 2), "what is known stays known");
    }
}
