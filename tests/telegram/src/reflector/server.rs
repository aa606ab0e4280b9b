//! The sockets of a reflector.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use serde::Serialize;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinSet;
use tokio::time::{sleep_until, timeout};

use super::frame::{Carrier, Frame, LONGEST, ready};
use super::table::{Route, Side, Table, Verdict};
use crate::bad_path::{BadPath, Passage, Treatment};
use crate::world::Connection;

/// What a client says first on a TCP connection.
const TCP_GREETING: [u8; 4] = [0xee; 4];
/// How long it may take for that.
const GREETING_LIMIT: Duration = Duration::from_secs(10);
/// Packets that wait for a slow TCP client; more are lost.
const TCP_QUEUE: usize = 256;
/// TCP connections at once.
const CONNECTIONS: usize = 1024;
/// Ports tried until one is free for UDP and TCP.
const TRIES: usize = 20;

/// What a reflector did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Counters {
    /// Hellos over UDP.
    pub udp_hellos: u64,
    /// Hellos over TCP.
    pub tcp_hellos: u64,
    /// Packets that left over UDP for another client.
    pub udp_forwarded: u64,
    /// Packets that left over TCP for another client.
    pub tcp_forwarded: u64,
    /// Bytes of both, headers and padding included.
    pub forwarded_bytes: u64,
    /// Packets for nobody.
    pub unknown: u64,
    /// What is not as clients send it.
    pub malformed: u64,
    /// Lost because a TCP client did not read.
    pub overrun: u64,
}

struct State {
    table: Table,
    counters: Counters,
    connections: BTreeMap<u64, mpsc::Sender<Vec<u8>>>,
    last_connection: u64,
    /// From the caller, from the callee.
    paths: [BadPath<(Route, Vec<u8>)>; 2],
}

struct Shared {
    state: Mutex<State>,
    socket: UdpSocket,
    /// Something is under way that was not before.
    entered: Notify,
}

/// A running reflector; dropped, it is gone.
pub struct Reflector {
    address: SocketAddr,
    shared: Arc<Shared>,
    _tasks: JoinSet<()>,
}

impl Reflector {
    /// Listens on an address, UDP and TCP; with port 0 on one that is free for both. `seed` is for bad paths.
    ///
    /// # Errors
    /// When the address cannot be had.
    pub async fn start(address: SocketAddr, seed: u64) -> anyhow::Result<Self> {
        let (socket, listener) = bind(address).await?;
        let address = socket.local_addr()?;
        let state = State {
            table: Table::default(),
            counters: Counters::default(),
            connections: BTreeMap::new(),
            last_connection: 0,
            paths: [BadPath::new(seed), BadPath::new(!seed)],
        };
        let shared = Arc::new(Shared { state: Mutex::new(state), socket, entered: Notify::new() });
        let mut tasks = JoinSet::new();
        tasks.spawn(Arc::clone(&shared).listen());
        tasks.spawn(Arc::clone(&shared).accept(listener));
        tasks.spawn(Arc::clone(&shared).deliver());
        Ok(Self { address, shared, _tasks: tasks })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How a call is told of it, as the server of this number.
    pub fn connection(&self, id: i64, tcp: bool) -> Connection {
        let ip = self.address.ip().to_string();
        let (ip, ipv6) = if self.address.is_ipv4() { (ip, String::new()) } else { (String::new(), ip) };
        Connection::Reflector { id, ip, ipv6, port: self.address.port(), tcp, peer_tag: String::new() }
    }

    /// What it did so far.
    pub fn counters(&self) -> Counters {
        self.shared.lock().counters
    }

    /// What becomes of the packets that one side sends.
    pub fn treat(&self, from: Side, treatment: Treatment) {
        self.shared.lock().paths[from as usize].treat(treatment);
    }

    /// What became of the packets that one side sent.
    pub fn passage(&self, from: Side) -> Passage {
        self.shared.lock().paths[from as usize].passage()
    }
}

async fn bind(address: SocketAddr) -> anyhow::Result<(UdpSocket, TcpListener)> {
    let mut tries = if address.port() == 0 { TRIES } else { 1 };
    loop {
        tries -= 1;
        let socket = UdpSocket::bind(address).await.with_context(|| format!("reflector on {address}"))?;
        match TcpListener::bind(socket.local_addr()?).await {
            Ok(listener) => return Ok((socket, listener)),
            Err(error) if tries == 0 => return Err(error).context(format!("reflector on {address}")),
            Err(_) => {}
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn listen(self: Arc<Self>) {
        let mut buffer = vec![0; LONGEST + 1];
        loop {
            match self.socket.recv_from(&mut buffer).await {
                Ok((length, source)) => self.take(Route::Udp(source), &buffer[..length]),
                // An ICMP error of an earlier packet.
                Err(error) => tracing::debug!(%error, "reflector"),
            }
        }
    }

    fn take(&self, route: Route, bytes: &[u8]) {
        let carrier = match route {
            Route::Udp(_) => Carrier::Udp,
            Route::Tcp(_) => Carrier::Tcp,
        };
        let mut state = self.lock();
        let Some(frame) = Frame::read(carrier, bytes) else {
            state.counters.malformed += 1;
            return;
        };
        match state.table.handle_frame(route, frame, bytes) {
            Verdict::Greeted { prefix, own } => match route {
                Route::Udp(source) => {
                    state.counters.udp_hellos += 1;
                    self.socket.try_send_to(&ready(prefix, own), source).ok();
                }
                Route::Tcp(_) => state.counters.tcp_hellos += 1,
            },
            Verdict::Forward { from, to, packet } => {
                state.paths[from as usize].handle_packet(now(), (to, packet));
                self.entered.notify_one();
            }
            Verdict::Unknown => state.counters.unknown += 1,
        }
    }

    /// Sends what has come through its path.
    async fn deliver(self: Arc<Self>) {
        loop {
            let next = self.send_due();
            let due = async {
                match next {
                    Some(due) => sleep_until(due.into()).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = due => {}
                () = self.entered.notified() => {}
            }
        }
    }

    fn send_due(&self) -> Option<std::time::Instant> {
        let state = &mut *self.lock();
        for path in &mut state.paths {
            while let Some((route, packet)) = path.poll_packet(now()) {
                let sent = match route {
                    Route::Udp(address) => {
                        state.counters.udp_forwarded += 1;
                        self.socket.try_send_to(&packet, address).is_ok()
                    }
                    Route::Tcp(connection) => {
                        state.counters.tcp_forwarded += 1;
                        let connection = state.connections.get(&connection);
                        connection.is_some_and(|queue| queue.try_send(packet.clone()).is_ok())
                    }
                };
                state.counters.forwarded_bytes += packet.len() as u64;
                state.counters.overrun += u64::from(!sent);
            }
        }
        state.paths.iter().filter_map(BadPath::poll_timeout).min()
    }

    async fn accept(self: Arc<Self>, listener: TcpListener) {
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                Some(_) = connections.join_next() => {}
                accepted = listener.accept() => match accepted {
                    Ok((stream, _)) if connections.len() < CONNECTIONS => {
                        connections.spawn(Arc::clone(&self).serve(stream));
                    }
                    Ok(_) => {}
                    Err(error) => {
                        tracing::warn!(%error, "reflector");
                        tokio::time::sleep(Duration::from_millis(50)).await;
                    }
                },
            }
        }
    }

    async fn serve(self: Arc<Self>, stream: TcpStream) {
        stream.set_nodelay(true).ok();
        let (reader, writer) = stream.into_split();
        let (queue, packets) = mpsc::channel(TCP_QUEUE);
        let connection = {
            let mut state = self.lock();
            state.last_connection += 1;
            let number = state.last_connection;
            state.connections.insert(number, queue);
            number
        };
        let _leaving = Leaving { shared: &self, connection };
        tokio::select! {
            read = self.read(connection, reader) => if let Err(error) = read {
                tracing::debug!(%error, connection, "a client of the reflector is gone");
            },
            () = write(packets, writer) => {}
        }
    }

    /// A greeting, then each packet behind its length, little-endian.
    async fn read(&self, connection: u64, mut reader: OwnedReadHalf) -> anyhow::Result<()> {
        let mut greeting = [0; 4];
        timeout(GREETING_LIMIT, reader.read_exact(&mut greeting)).await??;
        if greeting != TCP_GREETING {
            self.lock().counters.malformed += 1;
            return Ok(());
        }
        let mut packet = vec![0; LONGEST];
        loop {
            let length = reader.read_u32_le().await? as usize;
            let Some(packet) = packet.get_mut(..length) else {
                self.lock().counters.malformed += 1;
                return Ok(());
            };
            reader.read_exact(packet).await?;
            self.take(Route::Tcp(connection), packet);
        }
    }
}

async fn write(mut packets: mpsc::Receiver<Vec<u8>>, mut writer: OwnedWriteHalf) {
    while let Some(packet) = packets.recv().await {
        let mut framed = (packet.len() as u32).to_le_bytes().to_vec();
        framed.extend_from_slice(&packet);
        if writer.write_all(&framed).await.is_err() {
            return;
        }
    }
}

/// A connection that is cleared away however it ends.
struct Leaving<'a> {
    shared: &'a Shared,
    connection: u64,
}

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.connections.remove(&self.connection);
        state.table.forget(self.connection);
    }
}

#[expect(clippy::disallowed_methods, reason = "the reflector's one reading of the clock")]
fn now() -> std::time::Instant {
    std::time::Instant::now()
}

#[cfg(test)]
mod tests {
    use super::*;

    const CALLER: [u8; 16] = [4; 16];
    const LIMIT: Duration = Duration::from_secs(5);

    fn hello(prefix: &[u8], own: u8) -> Vec<u8> {
        let mut bytes = [&prefix[..12], &[own; 4], &[0xff; 12], &[0xfe, 0xff, 0xff, 0xff]].concat();
        bytes.extend_from_slice(&123_u64.to_be_bytes());
        bytes
    }

    fn data(prefix: &[u8], to: u8, from: u8, payload: [u8; 4]) -> Vec<u8> {
        [&prefix[..12], &[to; 4], &[from; 4], &[0, 0, 0, 4], &payload].concat()
    }

    async fn udp(reflector: &Reflector) -> UdpSocket {
        let socket = UdpSocket::bind(("127.0.0.1", 0)).await.unwrap();
        socket.connect(reflector.address()).await.unwrap();
        socket
    }

    async fn received(socket: &UdpSocket) -> Option<Vec<u8>> {
        let mut buffer = [0; 100];
        let length = timeout(Duration::from_millis(300), socket.recv(&mut buffer)).await.ok()?.unwrap();
        Some(buffer[..length].to_vec())
    }

    #[tokio::test]
    async fn a_side_over_udp_and_one_over_tcp_reach_each_other() {
        let reflector = Reflector::start(SocketAddr::from(([127, 0, 0, 1], 0)), 1).await.unwrap();
        let callee = Side::Callee.mark(CALLER);
        let a = udp(&reflector).await;
        a.send(&hello(&CALLER, 1)).await.unwrap();
        let ready = received(&a).await.unwrap();
        assert_eq!(
            (&ready[..12], &ready[12..16], &ready[16..28]),
            (&[4; 12][..], &[1; 4][..], &[0xff; 12][..])
        );

        let mut b = TcpStream::connect(reflector.address()).await.unwrap();
        let greeting = [&[0xee; 4][..], &20_u32.to_le_bytes(), &callee[..12], &[2; 4], &[0; 4]].concat();
        b.write_all(&greeting).await.unwrap();
        while reflector.counters().tcp_hellos == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }

        a.send(&data(&CALLER, 2, 1, *b"ping")).await.unwrap();
        let mut framed = [0; 32];
        timeout(LIMIT, b.read_exact(&mut framed)).await.unwrap().unwrap();
        assert_eq!(framed[..4], 28_u32.to_le_bytes());
        assert_eq!(framed[4..], data(&callee, 2, 1, *b"ping"));

        let answer = data(&callee, 1, 2, *b"pong");
        b.write_all(&[&28_u32.to_le_bytes()[..], &answer].concat()).await.unwrap();
        assert_eq!(received(&a).await.unwrap(), data(&CALLER, 1, 2, *b"pong"));

        a.send(b"garbage").await.unwrap();
        drop(b);
        while reflector.counters().unknown == 0 {
            a.send(&data(&CALLER, 2, 1, *b"lost")).await.unwrap();
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let counters = reflector.counters();
        assert_eq!((counters.udp_forwarded, counters.malformed), (1, 1), "{counters:?}");
    }

    #[tokio::test]
    async fn a_cut_concerns_one_side_alone_and_can_be_mended() {
        let reflector = Reflector::start(SocketAddr::from(([127, 0, 0, 1], 0)), 1).await.unwrap();
        let callee = Side::Callee.mark(CALLER);
        let (a, b) = (udp(&reflector).await, udp(&reflector).await);
        a.send(&hello(&CALLER, 1)).await.unwrap();
        b.send(&hello(&callee, 2)).await.unwrap();
        assert!(received(&a).await.is_some() && received(&b).await.is_some());
        reflector.treat(Side::Caller, Treatment { cut: true, ..Treatment::default() });
        a.send(&data(&CALLER, 2, 1, *b"ping")).await.unwrap();
        b.send(&data(&callee, 1, 2, *b"pong")).await.unwrap();
        assert_eq!(
            (received(&a).await.map(|packet| packet[24..].to_vec()), received(&b).await),
            (Some(b"pong".to_vec()), None)
        );
        reflector.treat(Side::Caller, Treatment::default());
        a.send(&data(&CALLER, 2, 1, *b"ping")).await.unwrap();
        assert!(received(&b).await.is_some());
        assert_eq!(reflector.passage(Side::Caller).cut, 1);
    }
}
