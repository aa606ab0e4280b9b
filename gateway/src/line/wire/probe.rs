//! What a line would need of this machine and its PBX, tried for a moment without the line.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tgtrunk_config::{Gateway, Line as LineSettings, Said, StateDir, Transport};
use tgtrunk_sip::{Frame, Framer};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, UdpSocket};
use tokio::time::timeout;

use super::super::trunk::proof;
use super::tls::{Connector, Tls, handshake_failed};
use super::{certificate, connection, unopened};
use crate::clock;

/// How long a connection, its handshake and the answer may take, each.
const LIMIT: Duration = Duration::from_secs(3);
const DATAGRAM_BYTES: usize = 65_535;

/// A line's way to its PBX.
pub(crate) struct Probe {
    local: SocketAddr,
    user: String,
    way: Way,
}

enum Way {
    Udp(UdpSocket),
    Tcp,
    Tls(Connector),
}

impl Probe {
    /// Opens the line's port for datagrams and for connections, and reads its certificates and its password. Nothing is
    /// made or changed.
    ///
    /// # Errors
    /// A sentence for an operator: what keeps the line from opening.
    pub(crate) async fn open(gateway: &Gateway, state: &StateDir, line: &LineSettings) -> Result<Self, Said> {
        let local = SocketAddr::new(gateway.sip_bind, line.sip_port);
        proof(line)?;
        let socket = take(local).await.map_err(|error| unopened(local, &error))?;
        let way = match line.trunk.transport {
            Transport::Udp => Way::Udp(socket),
            Transport::Tcp => Way::Tcp,
            Transport::Tls => {
                let own = certificate::on_trial(gateway, state)?;
                Way::Tls(Tls::open(local.ip(), &own, line)?.connector())
            }
        };
        Ok(Self { local, user: line.phone.to_string(), way })
    }

    /// Asks the PBX whether it is there (OPTIONS, RFC 3261 section 11). Any answer will do.
    ///
    /// # Errors
    /// Why there is none.
    pub(crate) async fn ask(&self, pbx: SocketAddr) -> Result<(), Said> {
        let stream = match &self.way {
            Way::Udp(socket) => return within(self.by_datagram(socket, pbx)).await.map_err(told),
            Way::Tcp | Way::Tls(_) => within(connection::connect(self.local.ip(), pbx)).await,
        };
        let stream = stream.map_err(|error| connection::unreachable(pbx, &error))?;
        match &self.way {
            Way::Udp(_) | Way::Tcp => within(self.by_stream("TCP", stream, pbx)).await.map_err(told),
            Way::Tls(connector) => {
                let shaken = within(connector.connect(stream)).await;
                let stream = shaken.map_err(|error| handshake_failed(pbx, &error))?;
                within(self.by_stream("TLS", stream, pbx)).await.map_err(told)
            }
        }
    }

    async fn by_datagram(&self, socket: &UdpSocket, pbx: SocketAddr) -> io::Result<()> {
        socket.connect(pbx).await?;
        socket.send(self.options("UDP", pbx).as_bytes()).await?;
        let mut buffer = vec![0; DATAGRAM_BYTES];
        loop {
            let length = socket.recv(&mut buffer).await?;
            if is_answer(&buffer[..length]) {
                return Ok(());
            }
        }
    }

    async fn by_stream<S>(&self, transport: &str, mut stream: S, pbx: SocketAddr) -> io::Result<()>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        stream.write_all(self.options(transport, pbx).as_bytes()).await?;
        stream.flush().await?;
        let (mut framer, mut buffer) = (Framer::new(clock::now()), vec![0; DATAGRAM_BYTES]);
        loop {
            let length = stream.read(&mut buffer).await?;
            if length == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            framer.handle(clock::now(), &buffer[..length]);
            while let Some(frame) = framer.poll_frame() {
                if matches!(&frame, Frame::Message(message) if is_answer(message)) {
                    return Ok(());
                }
            }
        }
    }

    fn options(&self, transport: &str, pbx: SocketAddr) -> String {
        let Self { local, user, .. } = self;
        let (tag, parameter) = (clock::unix_ms(), transport.to_ascii_lowercase());
        format!(
            "OPTIONS sip:{pbx};transport={parameter} SIP/2.0\r\n\
             Via: SIP/2.0/{transport} {local};rport;branch=z9hG4bK{tag}\r\nMax-Forwards: 70\r\n\
             From: <sip:{user}@{local}>;tag={tag}\r\nTo: <sip:{pbx}>\r\nCall-ID: check-{tag}@{local}\r\n\
             CSeq: 1 OPTIONS\r\nContact: <sip:{user}@{local};transport={parameter}>\r\n\
             Content-Length: 0\r\n\r\n"
        )
    }
}

/// Whether a line's port is free now, for datagrams and for connections.
pub(crate) async fn is_free(local: SocketAddr) -> bool {
    take(local).await.is_ok()
}

async fn take(local: SocketAddr) -> io::Result<UdpSocket> {
    let socket = UdpSocket::bind(local).await?;
    TcpListener::bind(local).await?;
    Ok(socket)
}

fn is_answer(message: &[u8]) -> bool {
    message.starts_with(b"SIP/2.0 ")
}

async fn within<T>(work: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    timeout(LIMIT, work).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

fn told(error: io::Error) -> Said {
    if error.kind() == io::ErrorKind::TimedOut {
        let limit_s = LIMIT.as_secs();
        return Said::new(
            format!("no answer to OPTIONS in {limit_s} s"),
            format!("нет ответа на OPTIONS за {limit_s} с"),
        );
    }
    Said::new(error.to_string(), error.to_string())
}
