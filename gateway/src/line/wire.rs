//! A line's bytes on their way: its UDP socket, its listener, and its connections (RFC 3261 section 18).
//!
//! Each connection is a task of its own, which cuts its stream into messages; the line hears of them one by one. A
//! connection that the line needs is opened, kept, and opened again when it was lost.

mod backoff;
mod certificate;
mod connection;
mod guests;
mod probe;
mod tls;
mod trust;

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::time::Instant;

use tgtrunk_config::{Line as LineSettings, Said, Trouble};
use tgtrunk_sip::{Frame, Hop, Transmit, Transport};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::mpsc;

use super::House;
use crate::net::{mark, unreachable, widen};
use backoff::Backoff;
use connection::{Heard, Opening};
use guests::{Admission, Guests};
pub(crate) use probe::{Probe, is_free};
use tls::Tls;

/// Most connections at once that the line opened.
const OURS: usize = 32;
/// Words from connections that may wait for the line.
const WORDS: usize = 256;
/// Messages that may wait for a connection.
const QUEUE: usize = 256;

/// What a line sends and hears by.
pub(super) struct Wire {
    local: SocketAddr,
    socket: UdpSocket,
    listener: TcpListener,
    /// With it the line speaks TLS where others speak TCP.
    tls: Option<Tls>,
    dscp: u8,
    connections: BTreeMap<u64, Connection>,
    /// Of those, the ones that others opened.
    guests: Guests,
    last: u64,
    backoff: Backoff,
    /// Whether an error of an earlier datagram stood in a later one's way.
    refused: bool,
    heard: mpsc::Receiver<(u64, Heard)>,
    hear: mpsc::Sender<(u64, Heard)>,
}

/// One connection, as the line sees it.
struct Connection {
    peer: SocketAddr,
    ours: bool,
    queue: mpsc::Sender<Vec<u8>>,
}

/// What came.
pub(super) enum Received {
    /// A datagram of so many bytes.
    Datagram(usize, SocketAddr),
    /// Somebody connects; [`Wire::admit`] takes them.
    Knock(TcpStream, SocketAddr),
    /// A piece of a stream, from this end.
    Frame(u64, SocketAddr, Frame),
    /// The line's connection to there is no more, or never was; the sentence says why where somebody can help it.
    Lost(SocketAddr, Option<Said>),
    /// Datagrams to there did not arrive.
    Unreachable(Vec<SocketAddr>),
    /// The line's connection to there is open.
    Opened,
    /// Nothing that concerns the line.
    Nothing,
}

/// Why a line's port cannot be opened.
fn unopened(local: SocketAddr, error: &io::Error) -> Said {
    let plain = || {
        Said::new(
            format!("port {local} cannot be opened: {error}"),
            format!("порт {local} не открывается: {error}"),
        )
    };
    Trouble::of_port(error, local, "sip_port in line.toml").map_or_else(plain, Said::from)
}

impl Wire {
    /// Opens the line's port, for datagrams and for connections.
    ///
    /// # Errors
    /// A sentence for an operator: the port is taken, or a certificate cannot be used.
    pub(super) async fn open(
        house: &House,
        settings: &LineSettings,
        local: SocketAddr,
    ) -> anyhow::Result<Self> {
        let told = |error: io::Error| anyhow::Error::msg(unopened(local, &error));
        let dscp = house.settings.gateway.dscp_sip;
        let socket = UdpSocket::bind(local).await.map_err(told)?;
        mark(&socket, local, dscp);
        widen(&socket);
        unreachable::listen(&socket, local);
        let listener = TcpListener::bind(local).await.map_err(told)?;
        let tls = match settings.trunk.transport {
            tgtrunk_config::Transport::Tls => {
                let own =
                    certificate::own(&house.settings.gateway, &house.state).map_err(anyhow::Error::msg)?;
                Some(Tls::open(local.ip(), &own, settings).map_err(anyhow::Error::msg)?)
            }
            tgtrunk_config::Transport::Udp | tgtrunk_config::Transport::Tcp => None,
        };
        let (hear, heard) = mpsc::channel(WORDS);
        Ok(Self {
            local,
            socket,
            listener,
            tls,
            dscp,
            connections: BTreeMap::new(),
            guests: Guests::default(),
            last: 0,
            backoff: Backoff::default(),
            refused: false,
            heard,
            hear,
        })
    }

    /// What the line's streams are.
    pub(super) fn stream(&self) -> Transport {
        if self.tls.is_some() { Transport::Tls } else { Transport::Tcp }
    }

    /// Waits for whatever comes next.
    pub(super) async fn receive(&mut self, buffer: &mut [u8]) -> Received {
        tokio::select! {
            received = self.socket.recv_from(buffer) => match received {
                Ok((length, source)) => Received::Datagram(length, source),
                Err(_) => Received::Unreachable(unreachable::heard(&self.socket)),
            },
            Some((id, heard)) = self.heard.recv() => self.understand(id, heard),
            knock = self.listener.accept() => match knock {
                Ok((stream, source)) => Received::Knock(stream, source),
                Err(error) => {
                    tracing::debug!(%error, "a connection was not taken");
                    // Out of descriptors, say: nobody is helped by asking again at once.
                    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
                    Received::Nothing
                }
            },
        }
    }

    /// Where datagrams did not arrive, as sending showed since this was last asked.
    pub(super) fn unreachable(&mut self) -> Vec<SocketAddr> {
        if std::mem::take(&mut self.refused) { unreachable::heard(&self.socket) } else { Vec::new() }
    }

    /// A datagram that is there already.
    pub(super) fn try_datagram(&self, buffer: &mut [u8]) -> Option<(usize, SocketAddr)> {
        self.socket.try_recv_from(buffer).ok()
    }

    /// Takes a connection that somebody welcome opened, unless there are too many. `is_known` says that they are the PBX.
    pub(super) fn admit(&mut self, now: Instant, stream: TcpStream, source: SocketAddr, is_known: bool) {
        match self.guests.admit(now, self.last + 1, source.ip(), is_known) {
            Admission::Refused => return,
            Admission::Taken { closed } => {
                if let Some(closed) = closed {
                    self.connections.remove(&closed);
                }
            }
        }
        let acceptor = self.tls.as_ref().map(Tls::acceptor);
        self.start(source, false, Opening::Theirs(stream, acceptor));
    }

    /// Whether it is not known yet that the PBX is at the other end of this connection.
    pub(super) fn has_to_prove(&self, id: u64) -> bool {
        self.guests.has_to_prove(id)
    }

    /// It is.
    pub(super) fn prove(&mut self, id: u64) {
        self.guests.prove(id);
    }

    /// When a connection is to be closed.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.guests.poll_timeout()
    }

    /// Closes connections of those who have not proven in time that they are the PBX.
    pub(super) fn handle_timeout(&mut self, now: Instant) {
        while let Some(id) = self.guests.poll_expired(now) {
            tracing::debug!("a stranger's connection was closed: they proved nothing");
            self.connections.remove(&id);
        }
    }

    /// Sends a message on the way it is meant to take.
    ///
    /// # Errors
    /// The address that cannot be reached.
    pub(super) fn send(&mut self, now: Instant, transmit: Transmit) -> Result<(), SocketAddr> {
        let Transmit { destination, contents } = transmit;
        if destination.transport == Transport::Udp {
            // An error may be that of an earlier datagram to somewhere else, and is told once.
            let mut sent = self.socket.try_send_to(&contents, destination.address);
            for _ in 0..2 {
                if sent.is_err() {
                    self.refused = true;
                    sent = self.socket.try_send_to(&contents, destination.address);
                }
            }
            if let Err(error) = sent {
                tracing::debug!(%error, "SIP datagram not sent");
            }
            return Ok(());
        }
        let id = match self.open_to(&destination) {
            Some(id) => id,
            None => self.connect(now, destination.address)?,
        };
        let sent = self.connections.get(&id).map(|connection| connection.queue.try_send(contents));
        if let Some(Ok(())) = sent {
            return Ok(());
        }
        // Whoever takes nothing for so long is not there.
        tracing::debug!("a connection takes no more and is closed");
        self.close(id);
        Err(destination.address)
    }

    /// Ends a connection when what is queued has been sent.
    pub(super) fn close(&mut self, id: u64) {
        self.guests.forget(id);
        self.connections.remove(&id);
    }

    fn open_to(&self, hop: &Hop) -> Option<u64> {
        let at = |peer: SocketAddr| {
            self.connections.iter().find(|(_, connection)| connection.peer == peer).map(|(id, _)| *id)
        };
        hop.connection.and_then(at).or_else(|| at(hop.address))
    }

    fn connect(&mut self, now: Instant, address: SocketAddr) -> Result<u64, SocketAddr> {
        let ours = self.connections.values().filter(|connection| connection.ours).count();
        if ours >= OURS || self.backoff.holds(now, address) {
            return Err(address);
        }
        let connector = self.tls.as_ref().map(Tls::connector);
        Ok(self.start(address, true, Opening::Ours { from: self.local.ip(), connector }))
    }

    fn start(&mut self, peer: SocketAddr, ours: bool, opening: Opening) -> u64 {
        self.last += 1;
        let (queue, messages) = mpsc::channel(QUEUE);
        let hear = self.hear.clone();
        tokio::spawn(connection::run(self.last, peer, self.dscp, opening, messages, hear));
        self.connections.insert(self.last, Connection { peer, ours, queue });
        self.last
    }

    fn understand(&mut self, id: u64, heard: Heard) -> Received {
        let Some(Connection { peer, ours, .. }) = self.connections.get(&id) else { return Received::Nothing };
        let (peer, ours) = (*peer, *ours);
        match heard {
            Heard::Frame(frame) => Received::Frame(id, peer, frame),
            Heard::Opened => {
                self.backoff.forget(peer);
                if ours { Received::Opened } else { Received::Nothing }
            }
            Heard::Closed { opened, why } => {
                self.close(id);
                if !opened && ours {
                    self.backoff.failed(crate::clock::now(), peer);
                }
                if let Some(why) = why.as_ref().filter(|_| !ours) {
                    tracing::warn!(%why, "a connection to the line did not come about");
                }
                Received::Lost(peer, why.filter(|_| ours))
            }
        }
    }
}
