//! Connections that others opened: how many each may have, and how long whoever is not known to be the PBX may have one.
//!
//! Where the PBX may call from anywhere, anybody may connect. What they take up is none of the PBX's, and whoever has not
//! proven in time that they are the PBX is let go.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use tgtrunk_sip::network_of;

/// Most connections at once of the PBX, from one address and from all.
const FROM_ONE: usize = 64;
const FROM_ALL: usize = 128;
/// The same of those who are not known to be the PBX.
const STRANGERS_FROM_ONE: usize = 8;
const STRANGERS_FROM_ALL: usize = 64;
/// How long who is not known may take to prove that they are the PBX.
const PROOF_LIMIT: Duration = Duration::from_secs(10);
/// How often it is told that there are too many.
const TOLD_EVERY: Duration = Duration::from_secs(60);

/// Connections by their numbers.
#[derive(Debug, Default)]
pub(super) struct Guests {
    here: BTreeMap<u64, Guest>,
    quiet_until: Option<Instant>,
}

/// What becomes of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Admission {
    /// It is taken, in the place of another one.
    Taken { closed: Option<u64> },
    /// There is no place.
    Refused,
}

#[derive(Debug)]
struct Guest {
    ip: IpAddr,
    /// When they have to go; never, once they are known to be the PBX.
    until: Option<Instant>,
}

impl Guests {
    /// Takes a connection, unless there are too many of its kind. `is_known` says that its address is the PBX's. A stranger
    /// finds a place while another address has several: whoever has most of them loses the oldest, which is to be closed.
    pub(super) fn admit(&mut self, now: Instant, id: u64, ip: IpAddr, is_known: bool) -> Admission {
        let ip = network_of(ip);
        let same = self.here.values().filter(|guest| guest.until.is_none() == is_known);
        let (all, one) = same.fold((0, 0), |(all, one), guest| (all + 1, one + usize::from(guest.ip == ip)));
        let (most, most_of_one) =
            if is_known { (FROM_ALL, FROM_ONE) } else { (STRANGERS_FROM_ALL, STRANGERS_FROM_ONE) };
        let mut closed = None;
        if all >= most || one >= most_of_one {
            self.tell(now, all, one, is_known);
            closed = self.crowding().filter(|_| !is_known && one < most_of_one);
            let Some(closed) = closed else { return Admission::Refused };
            self.here.remove(&closed);
        }
        self.here.insert(id, Guest { ip, until: (!is_known).then(|| now + PROOF_LIMIT) });
        Admission::Taken { closed }
    }

    /// The oldest connection of the address that has most of the strangers' places, if it has more than one.
    fn crowding(&self) -> Option<u64> {
        let mut counts = BTreeMap::<IpAddr, usize>::new();
        let strangers = || self.here.iter().filter(|(_, guest)| guest.until.is_some());
        strangers().for_each(|(_, guest)| *counts.entry(guest.ip).or_default() += 1);
        let (ip, _) = counts.into_iter().filter(|(_, count)| *count > 1).max_by_key(|(_, count)| *count)?;
        strangers().find(|(_, guest)| guest.ip == ip).map(|(id, _)| *id)
    }

    fn tell(&mut self, now: Instant, all: usize, one: usize, is_known: bool) {
        if self.quiet_until.is_some_and(|until| now < until) {
            return;
        }
        self.quiet_until = Some(now + TOLD_EVERY);
        if is_known {
            tracing::warn!(all, one, "a connection from the PBX was closed: there are too many");
        } else {
            tracing::warn!(all, one, "a stranger's connection was closed: there are too many");
        }
    }

    /// Whether this connection's owner has to prove yet that they are the PBX.
    pub(super) fn has_to_prove(&self, id: u64) -> bool {
        self.here.get(&id).is_some_and(|guest| guest.until.is_some())
    }

    /// Whoever is at this connection's address is the PBX.
    pub(super) fn prove(&mut self, id: u64) {
        let Some(ip) = self.here.get(&id).map(|guest| guest.ip) else { return };
        self.here.values_mut().filter(|guest| guest.ip == ip).for_each(|guest| guest.until = None);
    }

    /// A connection is no more.
    pub(super) fn forget(&mut self, id: u64) {
        self.here.remove(&id);
    }

    /// When somebody has to go.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.here.values().filter_map(|guest| guest.until).min()
    }

    /// The next one that has to go now.
    pub(super) fn poll_expired(&mut self, now: Instant) -> Option<u64> {
        let (id, _) = self.here.iter().find(|(_, guest)| guest.until.is_some_and(|until| until <= now))?;
        let id = *id;
        self.here.remove(&id);
        Some(id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;

    #[test]
    fn strangers_take_none_of_the_pbxs_places_and_nobody_takes_all_of_theirs() {
        let (mut guests, now) = (Guests::default(), clock::now());
        let ip = |last: u8| IpAddr::from([192, 0, 2, last]);
        let mut ids = 0_u64..;
        let mut admit = |guests: &mut Guests, ip, is_known| {
            guests.admit(now, ids.next().unwrap(), ip, is_known) != Admission::Refused
        };
        assert_eq!((0..100).filter(|_| admit(&mut guests, ip(1), false)).count(), STRANGERS_FROM_ONE);
        let others = (2..200).filter(|last| admit(&mut guests, ip(*last), false)).count();
        assert_eq!(others, STRANGERS_FROM_ALL - 1, "one place stays everybody's who came first");
        assert_eq!((0..100).filter(|_| admit(&mut guests, ip(250), true)).count(), FROM_ONE);
        assert_eq!((0..100).filter(|_| admit(&mut guests, ip(251), true)).count(), FROM_ALL - FROM_ONE);
    }

    #[test]
    fn a_few_who_take_all_the_places_make_room_for_one_who_has_none() {
        let (mut guests, now) = (Guests::default(), clock::now());
        let ids: Vec<u64> = (0..64).collect();
        for id in &ids {
            let ip = IpAddr::from([192, 0, 2, u8::try_from(id / 8).unwrap()]);
            assert_eq!(guests.admit(now, *id, ip, false), Admission::Taken { closed: None });
        }
        let pbx = IpAddr::from([198, 51, 100, 1]);
        let Admission::Taken { closed: Some(closed) } = guests.admit(now, 100, pbx, false) else { panic!() };
        assert!(ids.contains(&closed) && closed % 8 == 0, "the oldest of one address: {closed}");
        for id in 101..140 {
            let ip = IpAddr::from([192, 0, 2, 1]);
            guests.admit(now, id, ip, false);
        }
        assert!(guests.has_to_prove(100), "whoever has one connection keeps it");
        let network = |last: u16| IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, last]);
        let mut guests = Guests::default();
        let taken = (0..100).filter(|id| {
            guests.admit(now, *id, network(u16::try_from(*id).unwrap()), false) != Admission::Refused
        });
        assert_eq!(taken.count(), STRANGERS_FROM_ONE, "a network is one address");
    }

    #[test]
    fn whoever_proves_nothing_goes_after_ten_seconds_and_whoever_does_stays() {
        let (mut guests, start) = (Guests::default(), clock::now());
        let (pbx, other) = (IpAddr::from([192, 0, 2, 1]), IpAddr::from([192, 0, 2, 2]));
        for (id, ip, is_known) in [(1, pbx, false), (2, pbx, false), (3, other, false), (4, other, true)] {
            assert_eq!(guests.admit(start, id, ip, is_known), Admission::Taken { closed: None });
        }
        assert!(guests.has_to_prove(1) && !guests.has_to_prove(4));
        guests.prove(1);
        assert!(!guests.has_to_prove(2), "what one connection proves, its address does");
        assert_eq!(guests.poll_expired(start + PROOF_LIMIT / 2), None);
        assert_eq!(guests.poll_timeout(), Some(start + PROOF_LIMIT));
        assert_eq!(guests.poll_expired(start + PROOF_LIMIT), Some(3));
        assert_eq!((guests.poll_expired(start + PROOF_LIMIT), guests.poll_timeout()), (None, None));
        guests.forget(1);
        assert!(!guests.here.contains_key(&1));
    }
}
