//! One connection of a line: opened or taken, read message by message, written in order.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use nix::sys::socket::{setsockopt, sockopt};
use tgtrunk_config::Said;
use tgtrunk_sip::{Frame, Framer, PONG};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::mpsc;
use tokio::time::{sleep_until, timeout};
use tokio_rustls::TlsAcceptor;

use super::tls::{Connector, handshake_failed};
use crate::clock;
use crate::net::mark;

/// How long a connection may take to come about, and again for its handshake.
const OPENING_LIMIT: Duration = Duration::from_secs(5);
/// How long a message may wait for the far end to take it.
const WRITE_LIMIT: Duration = Duration::from_secs(10);
/// How much is read at once.
const READING_BYTES: usize = 16 * 1024;

/// How a connection begins.
pub(super) enum Opening {
    /// Somebody opened it; with an acceptor it is TLS.
    Theirs(TcpStream, Option<TlsAcceptor>),
    /// It is opened from this address; with a connector it is TLS.
    Ours { from: IpAddr, connector: Option<Connector> },
}

/// What a connection tells its line.
pub(super) enum Heard {
    /// Messages can be sent.
    Opened,
    /// A piece of the stream.
    Frame(Frame),
    /// It is no more. The last word.
    Closed {
        /// Whether it ever was.
        opened: bool,
        /// What keeps it from being, for an operator.
        why: Option<Said>,
    },
}

type Words = mpsc::Sender<(u64, Heard)>;

/// Lives as long as the connection. It ends when the queue does, after what is in it was sent.
pub(super) async fn run(
    id: u64,
    peer: SocketAddr,
    dscp: u8,
    opening: Opening,
    queue: mpsc::Receiver<Vec<u8>>,
    hear: Words,
) {
    let closed = match open(id, peer, dscp, opening, queue, &hear).await {
        Ok(()) => Heard::Closed { opened: true, why: None },
        Err(why) => Heard::Closed { opened: false, why: Some(why) },
    };
    hear.send((id, closed)).await.ok();
}

async fn open(
    id: u64,
    peer: SocketAddr,
    dscp: u8,
    opening: Opening,
    queue: mpsc::Receiver<Vec<u8>>,
    hear: &Words,
) -> Result<(), Said> {
    match opening {
        Opening::Theirs(stream, None) => {
            prepare(&stream, peer, dscp);
            carry(id, stream, queue, hear).await;
        }
        Opening::Theirs(stream, Some(acceptor)) => {
            prepare(&stream, peer, dscp);
            let shaken =
                timeout(OPENING_LIMIT, acceptor.accept(stream)).await.unwrap_or_else(|_| timed_out());
            let stream = shaken.map_err(|error| handshake_failed(peer, &error))?;
            carry(id, stream, queue, hear).await;
        }
        Opening::Ours { from, connector } => {
            let connected = timeout(OPENING_LIMIT, connect(from, peer)).await.unwrap_or_else(|_| timed_out());
            let stream = connected.map_err(|error| unreachable(peer, &error))?;
            prepare(&stream, peer, dscp);
            match connector {
                None => carry(id, stream, queue, hear).await,
                Some(connector) => {
                    let shaking = timeout(OPENING_LIMIT, connector.connect(stream));
                    let shaken = shaking.await.unwrap_or_else(|_| timed_out());
                    let stream = shaken.map_err(|error| handshake_failed(peer, &error))?;
                    carry(id, stream, queue, hear).await;
                }
            }
        }
    }
    Ok(())
}

pub(super) async fn connect(from: IpAddr, peer: SocketAddr) -> io::Result<TcpStream> {
    let socket = if peer.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    // The PBX knows the line by its address; the port of a connection may be any (RFC 3261 section 18.1.1).
    socket.bind(SocketAddr::new(from, 0))?;
    socket.connect(peer).await
}

fn prepare(stream: &TcpStream, peer: SocketAddr, dscp: u8) {
    mark(stream, peer, dscp);
    let kept = setsockopt(stream, sockopt::KeepAlive, &true).is_ok();
    let quick = stream.set_nodelay(true).is_ok();
    tracing::trace!(%peer, kept, quick, "connected");
}

fn timed_out<T>() -> io::Result<T> {
    Err(io::ErrorKind::TimedOut.into())
}

pub(super) fn unreachable(peer: SocketAddr, error: &io::Error) -> Said {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => Said::new(
            format!("the PBX takes no connection at {peer}: check pbx and transport in line.toml"),
            format!("АТС не принимает соединение на {peer}: проверьте pbx и transport в line.toml"),
        ),
        io::ErrorKind::TimedOut => Said::new(
            format!("the PBX does not answer at {peer}: check pbx in line.toml, and what stands in between"),
            format!("АТС не отвечает на {peer}: проверьте pbx в line.toml и сеть между ними"),
        ),
        _ => Said::new(
            format!("the PBX cannot be connected to at {peer}: {error}"),
            format!("нет соединения с АТС на {peer}: {error}"),
        ),
    }
}

/// Reads and writes until either end has enough.
async fn carry<S>(id: u64, stream: S, mut queue: mpsc::Receiver<Vec<u8>>, hear: &Words)
where
    S: AsyncRead + AsyncWrite + Send,
{
    if hear.send((id, Heard::Opened)).await.is_err() {
        return;
    }
    let (mut reader, mut writer) = tokio::io::split(stream);
    let mut framer = Framer::new(clock::now());
    let mut buffer = vec![0; READING_BYTES];
    loop {
        let due = framer.poll_timeout();
        tokio::select! {
            biased;
            message = queue.recv() => {
                let Some(message) = message else { break };
                if !write(&mut writer, &message).await {
                    return;
                }
            }
            read = reader.read(&mut buffer) => {
                let Ok(length @ 1..) = read else { break };
                framer.handle(clock::now(), &buffer[..length]);
                while let Some(frame) = framer.poll_frame() {
                    if frame == Frame::Ping {
                        if !write(&mut writer, PONG).await {
                            return;
                        }
                    } else if hear.send((id, Heard::Frame(frame))).await.is_err() {
                        return;
                    }
                }
            }
            () = sleep_until(due.into()) => {
                if let Some(why) = framer.expired(clock::now()) {
                    tracing::debug!(?why, "a connection is closed");
                    break;
                }
            }
        }
    }
    timeout(WRITE_LIMIT, writer.shutdown()).await.ok();
}

async fn write(writer: &mut (impl AsyncWrite + Unpin), bytes: &[u8]) -> bool {
    let writing = async {
        writer.write_all(bytes).await?;
        writer.flush().await
    };
    matches!(timeout(WRITE_LIMIT, writing).await, Ok(Ok(())))
}
