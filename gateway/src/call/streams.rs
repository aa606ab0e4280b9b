//! TCP connections of one call to Telegram's relays, directly or through the proxy.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use nix::sys::socket::{setsockopt, sockopt};
use tgcall::{StreamId, StreamOrder};
use tokio::io::{AsyncRead as _, AsyncWrite as _, ReadBuf};
use tokio::net::TcpStream;

use crate::net::{Proxy, mark};

/// How long a connection may take to be made.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);
/// Data that nobody acknowledges for so long ends a connection (RFC 5482).
const DEAD_AFTER_MS: u32 = 5_000;
/// What may wait for a slow connection: half a second of sound. More is dropped whole, for old sound is no use.
const BACKLOG_BYTES: usize = 16 * 1024;

/// The connections of one call.
pub(crate) struct Streams {
    proxy: Option<Proxy>,
    dscp: u8,
    streams: BTreeMap<StreamId, Stream>,
    /// A connection has something to wait for that is not waited for yet.
    is_stirred: bool,
}

enum Stream {
    Connecting(Pin<Box<dyn Future<Output = io::Result<TcpStream>> + Send>>),
    Open { socket: TcpStream, backlog: Vec<u8> },
}

/// What happened to a connection.
#[derive(Debug)]
pub(crate) enum StreamNews {
    Opened(StreamId),
    /// So many bytes stand in the buffer.
    Data(StreamId, usize),
    Closed(StreamId),
}

impl Streams {
    pub(crate) fn new(proxy: Option<Proxy>, dscp: u8) -> Self {
        Self { proxy, dscp, streams: BTreeMap::new(), is_stirred: false }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.streams.is_empty()
    }

    /// Lets go of every connection.
    pub(crate) fn clear(&mut self) {
        self.streams.clear();
    }

    /// Carries out an order.
    pub(crate) fn handle(&mut self, order: StreamOrder) {
        self.is_stirred = true;
        match order {
            StreamOrder::Open { stream, remote } => {
                let proxy = self.proxy.clone();
                let dscp = self.dscp;
                let connecting = Box::pin(async move { connect(proxy, remote, dscp).await });
                self.streams.insert(stream, Stream::Connecting(connecting));
                self.is_stirred = true;
            }
            StreamOrder::Close(stream) => drop(self.streams.remove(&stream)),
        }
    }

    /// Sends a message whole, now or when the connection takes more, or not at all.
    pub(crate) fn send(&mut self, stream: StreamId, message: &[u8]) {
        let Some(Stream::Open { socket, backlog }) = self.streams.get_mut(&stream) else { return };
        if backlog.len() + message.len() > BACKLOG_BYTES {
            tracing::trace!(bytes = message.len(), "a relay's connection is too slow");
            return;
        }
        let written = if backlog.is_empty() { socket.try_write(message).unwrap_or(0) } else { 0 };
        backlog.extend_from_slice(&message[written..]);
        self.is_stirred |= !backlog.is_empty();
    }

    /// Whether [`Streams::poll`] is to be asked though nothing woke it; once.
    pub(crate) fn take_stirred(&mut self) -> bool {
        std::mem::take(&mut self.is_stirred)
    }

    /// The next thing that happens to any connection; how much data there is, it says, stands in `buffer`.
    pub(crate) fn poll(&mut self, context: &mut Context<'_>, buffer: &mut [u8]) -> Poll<StreamNews> {
        for (&id, stream) in &mut self.streams {
            match poll_stream(stream, context, buffer) {
                Poll::Pending => {}
                Poll::Ready(Ok(None)) => return Poll::Ready(StreamNews::Opened(id)),
                Poll::Ready(Ok(Some(length))) if length > 0 => {
                    return Poll::Ready(StreamNews::Data(id, length));
                }
                Poll::Ready(ended) => {
                    tracing::debug!(
                        error = ended.err().map(tracing::field::display),
                        "a relay's connection ended"
                    );
                    self.streams.remove(&id);
                    return Poll::Ready(StreamNews::Closed(id));
                }
            }
        }
        Poll::Pending
    }
}

/// `None`: opened. Otherwise so many bytes were read, and none at the end.
fn poll_stream(
    stream: &mut Stream,
    context: &mut Context<'_>,
    buffer: &mut [u8],
) -> Poll<io::Result<Option<usize>>> {
    match stream {
        Stream::Connecting(connecting) => match connecting.as_mut().poll(context) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Ready(Ok(socket)) => {
                *stream = Stream::Open { socket, backlog: Vec::new() };
                Poll::Ready(Ok(None))
            }
        },
        Stream::Open { socket, backlog } => {
            while !backlog.is_empty() {
                match Pin::new(&mut *socket).poll_write(context, backlog) {
                    Poll::Pending => break,
                    Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                    Poll::Ready(Ok(written)) => drop(backlog.drain(..written)),
                }
            }
            let mut read = ReadBuf::new(buffer);
            match Pin::new(socket).poll_read(context, &mut read) {
                Poll::Pending => Poll::Pending,
                Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
                Poll::Ready(Ok(())) => Poll::Ready(Ok(Some(read.filled().len()))),
            }
        }
    }
}

async fn connect(proxy: Option<Proxy>, remote: SocketAddr, dscp: u8) -> io::Result<TcpStream> {
    let connecting = async {
        match proxy {
            None => TcpStream::connect(remote).await,
            Some(proxy) => proxy.connect(remote).await,
        }
    };
    let stream = tokio::time::timeout(CONNECT_LIMIT, connecting).await??;
    stream.set_nodelay(true)?;
    // A connection whose other end is gone would otherwise be tried for a quarter of an hour.
    setsockopt(&stream, sockopt::TcpUserTimeout, &DEAD_AFTER_MS)?;
    mark(&stream, stream.local_addr()?, dscp);
    Ok(stream)
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;

    // A stream's number is given by the call alone; without one there is nothing to open.
    #[tokio::test]
    async fn nothing_is_awaited_while_there_is_no_connection() {
        let mut streams = Streams::new(None, 0);
        let waiting = poll_fn(|context| streams.poll(context, &mut []));
        assert!(tokio::time::timeout(Duration::from_millis(20), waiting).await.is_err());
    }

    #[tokio::test]
    async fn what_a_connection_does_not_take_at_once_follows_in_order() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let socket = connect(None, listener.local_addr().unwrap(), 46).await.unwrap();
        let (mut far, _) = listener.accept().await.unwrap();
        let mut stream = Stream::Open { socket, backlog: vec![7; 1000] };
        far.write_all(b"hello").await.unwrap();
        let mut buffer = [0; 64];
        let read = poll_fn(|context| poll_stream(&mut stream, context, &mut buffer)).await.unwrap();
        assert_eq!((read, &buffer[..5]), (Some(5), &b"hello"[..]));
        let mut taken = vec![0; 1000];
        far.read_exact(&mut taken).await.unwrap();
        assert_eq!(taken, vec![7; 1000]);
        drop(far);
        let end = poll_fn(|context| poll_stream(&mut stream, context, &mut buffer)).await;
        assert!(matches!(end, Ok(Some(0)) | Err(_)), "{end:?}");
    }
}
