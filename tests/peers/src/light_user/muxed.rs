//! One UDP socket with several users' calls behind it, as far ends have that share one: to the other side all of them
//! have one address. Checks go to whom they name, answers to who asked, and all else to whose check or answer was the
//! first from there.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use tgcall::{Addressee, Question, question};
use tokio::net::UdpSocket;
use tokio::sync::mpsc;

const DATAGRAM_BYTES: usize = 2048;
const BACKLOG: usize = 256;

/// The socket; copies are the same one.
#[derive(Clone)]
pub struct Muxed {
    socket: Arc<UdpSocket>,
    local: SocketAddr,
    table: Arc<Mutex<Table>>,
}

/// Where it came from, and what it holds.
type Datagram = (SocketAddr, Vec<u8>);

#[derive(Default)]
struct Table {
    ends: Vec<(String, mpsc::Sender<Datagram>)>,
    questions: HashMap<[u8; 12], usize>,
    sources: HashMap<SocketAddr, usize>,
}

/// What a call's datagrams go by.
pub(super) enum Outlet {
    Own(UdpSocket),
    Shared { muxed: Muxed, number: usize, inbox: mpsc::Receiver<(SocketAddr, Vec<u8>)> },
}

impl Muxed {
    /// Opens the socket. It is read until the runtime ends.
    ///
    /// # Errors
    /// When the address is not this machine's.
    pub async fn open(ip: IpAddr) -> io::Result<Self> {
        let socket = Arc::new(UdpSocket::bind((ip, 0)).await?);
        let local = socket.local_addr()?;
        let muxed = Self { socket, local, table: Arc::default() };
        tokio::spawn(muxed.clone().read());
        Ok(muxed)
    }

    pub(super) fn local(&self) -> SocketAddr {
        self.local
    }

    /// A place for the call whose checks name this.
    pub(super) fn join(&self, ufrag: &str) -> Outlet {
        let (sender, inbox) = mpsc::channel(BACKLOG);
        let number = self.with(|table| {
            table.ends.push((ufrag.to_owned(), sender));
            table.ends.len() - 1
        });
        Outlet::Shared { muxed: self.clone(), number, inbox }
    }

    async fn read(self) {
        let mut buffer = [0; DATAGRAM_BYTES];
        while let Ok((length, source)) = self.socket.recv_from(&mut buffer).await {
            let datagram = &buffer[..length];
            let inbox = self.with(|table| {
                let number = table.find(source, datagram)?;
                Some(table.ends[number].1.clone())
            });
            if let Some(inbox) = inbox {
                inbox.try_send((source, datagram.to_vec())).ok();
            }
        }
    }

    fn with<T>(&self, work: impl FnOnce(&mut Table) -> T) -> T {
        work(&mut self.table.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Table {
    fn find(&mut self, source: SocketAddr, datagram: &[u8]) -> Option<usize> {
        let number = match Addressee::of(datagram)? {
            Addressee::Peer => return self.sources.get(&source).copied(),
            Addressee::Named(name) => self.ends.iter().position(|(ufrag, _)| ufrag.as_bytes() == name)?,
            Addressee::Asker(id) => *self.questions.get(&id)?,
        };
        self.sources.entry(source).or_insert(number);
        Some(number)
    }
}

impl Outlet {
    pub(super) async fn recv_from(&mut self, buffer: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        match self {
            Self::Own(socket) => socket.recv_from(buffer).await,
            Self::Shared { inbox, .. } => {
                let (source, datagram) = inbox.recv().await.ok_or(io::ErrorKind::NotConnected)?;
                buffer[..datagram.len()].copy_from_slice(&datagram);
                Ok((datagram.len(), source))
            }
        }
    }

    pub(super) fn try_send_to(&self, packet: &[u8], destination: SocketAddr) -> io::Result<usize> {
        match self {
            Self::Own(socket) => socket.try_send_to(packet, destination),
            Self::Shared { muxed, number, .. } => {
                if let Some(Question { id, .. }) = question(packet) {
                    muxed.with(|table| table.questions.insert(id, *number));
                }
                muxed.socket.try_send_to(packet, destination)
            }
        }
    }
}
