//! What a leg's datagrams come to and leave by: sockets of its own, and places on sockets that calls share.

use std::io;
use std::net::{IpAddr, SocketAddr};

use anyhow::Context as _;
use tgcall::{Local, Purpose};

use crate::net::{self, MediaSocket};
use crate::plane::{Listener, Seat};

/// How a leg's ports are opened.
#[derive(Debug, Clone, Copy)]
pub(super) struct Terms {
    pub(super) dscp: u8,
    /// What goes straight to the peer may go by a socket that other calls use, too.
    pub(super) may_share: bool,
    /// Servers are spoken to over UDP, each call from a socket of its own.
    pub(super) has_relays: bool,
}

/// The ports of one leg.
#[derive(Debug)]
pub(crate) struct Ports {
    terms: Terms,
    own: Vec<(MediaSocket, Purpose)>,
    seats: Vec<Seat>,
}

impl Ports {
    /// None yet.
    pub(super) fn none(dscp: u8) -> Self {
        let terms = Terms { dscp, may_share: false, has_relays: false };
        Self { terms, own: Vec::new(), seats: Vec::new() }
    }

    /// Opens a port at each address.
    ///
    /// # Errors
    /// When none of the addresses can be bound.
    pub(super) fn open(addresses: &[IpAddr], terms: Terms) -> anyhow::Result<Self> {
        let mut ports = Self { terms, ..Self::none(terms.dscp) };
        let mut refusal = None;
        for ip in addresses {
            if let Err(error) = ports.add(*ip) {
                tracing::debug!(%ip, %error, "address left out of the call");
                refusal = Some(error);
            }
        }
        if ports.locals().next().is_none() {
            let shown: Vec<_> = addresses.iter().map(ToString::to_string).collect();
            return Err(refusal.map_or_else(|| anyhow::anyhow!("there is no address"), Into::into))
                .with_context(|| format!("cannot open a media port on any of [{}]", shown.join(", ")));
        }
        Ok(ports)
    }

    /// Opens what a leg needs at an address; what that is.
    ///
    /// # Errors
    /// When the address is not this machine's.
    pub(super) fn add(&mut self, ip: IpAddr) -> io::Result<Vec<Local>> {
        let (seats, own) = (self.seats.len(), self.own.len());
        let Terms { dscp, may_share, has_relays } = self.terms;
        if may_share {
            match Seat::take(ip, dscp) {
                Ok(seat) => self.seats.push(seat),
                Err(error) => tracing::debug!(%ip, %error, "no socket to share"),
            }
        }
        let is_shared = self.seats.len() > seats;
        if !is_shared || has_relays {
            match net::host_socket(ip, dscp) {
                Ok(socket) if is_shared => self.own.push((socket, Purpose::Relays)),
                Ok(socket) => self.own.push((socket, Purpose::Any)),
                Err(error) if is_shared => tracing::debug!(%ip, %error, "no socket for relays"),
                Err(error) => return Err(error),
            }
        }
        Ok(self.seats[seats..].iter().map(of_seat).chain(self.own[own..].iter().map(of_own)).collect())
    }

    /// All of them, those for the peer in the order in which they were opened.
    pub(super) fn locals(&self) -> impl Iterator<Item = Local> {
        self.seats.iter().map(of_seat).chain(self.own.iter().map(of_own))
    }

    pub(super) fn is_at(&self, ip: IpAddr) -> bool {
        self.locals().any(|local| local.address.ip() == ip)
    }

    /// Closes those whose address is not among `wanted`; which those are.
    pub(super) fn keep(&mut self, wanted: &[IpAddr]) -> Vec<SocketAddr> {
        let is_gone = |address: SocketAddr| !wanted.contains(&address.ip());
        let gone = self.locals().map(|local| local.address).filter(|address| is_gone(*address)).collect();
        self.seats.retain(|seat| !is_gone(seat.local()));
        self.own.retain(|(socket, _)| !is_gone(socket.local()));
        gone
    }

    pub(super) fn clear(&mut self) {
        self.seats.clear();
        self.own.clear();
    }

    /// A socket of the call's own for the peer, beside a shared one at the same address; `None` where there is one, or none
    /// can be had.
    pub(super) fn beside(&mut self, shared: SocketAddr) -> Option<Local> {
        let mut here = self.own.iter_mut().filter(|(socket, _)| socket.local().ip() == shared.ip());
        match here.next() {
            Some((_, Purpose::Any | Purpose::Direct)) => return None,
            Some((_, purpose @ Purpose::Relays)) => {
                *purpose = Purpose::Any;
                return self.own.iter().map(of_own).find(|local| local.address.ip() == shared.ip());
            }
            None => {}
        }
        let socket = net::host_socket(shared.ip(), self.terms.dscp)
            .inspect_err(|error| tracing::debug!(%shared, %error, "no socket beside the shared one"))
            .ok()?;
        self.own.push((socket, Purpose::Any));
        self.own.last().map(of_own)
    }

    /// Has checks that name `ufrag` come to this call; not where another call is called so.
    pub(super) fn name(&self, ufrag: &str) -> bool {
        // Each one, also behind one that has it already.
        self.seats.iter().filter(|seat| !seat.name(ufrag)).count() == 0
    }

    /// Has this media thread tell `listener` of what comes.
    pub(crate) fn listen(&mut self, listener: &Listener) {
        self.seats.iter().for_each(|seat| seat.listen(listener));
        self.own.iter_mut().for_each(|(socket, _)| socket.listen(listener));
    }

    /// The address of the own socket that is told of under this number.
    pub(crate) fn local_of(&self, number: usize) -> Option<SocketAddr> {
        self.own.iter().find(|(socket, _)| socket.is(number)).map(|(socket, _)| socket.local())
    }

    /// Has shared sockets know where the peer was heard; the first that another call's peer was heard at, too.
    pub(super) fn know_peers(&self, media: &tgcall::Call) -> Option<SocketAddr> {
        let mut clash = None;
        for seat in &self.seats {
            let sources: Vec<SocketAddr> = media.peers(seat.local()).collect();
            if !seat.own(&sources) {
                clash = Some(seat.local());
            }
        }
        clash
    }

    /// Sends a datagram at once or not at all.
    pub(super) fn send(&self, source: SocketAddr, destination: SocketAddr, packet: &[u8]) {
        let sent = if let Some(seat) = self.seats.iter().find(|seat| seat.local() == source) {
            seat.send(packet, destination)
        } else if let Some((socket, _)) = self.own.iter().find(|(socket, _)| socket.local() == source) {
            socket.send(packet, destination)
        } else {
            return;
        };
        if let Err(error) = sent {
            tracing::trace!(%error, "datagram not sent");
        }
    }
}

fn of_seat(seat: &Seat) -> Local {
    Local { address: seat.local(), purpose: Purpose::Direct }
}

fn of_own((socket, purpose): &(MediaSocket, Purpose)) -> Local {
    Local { address: socket.local(), purpose: *purpose }
}
