//! The way to a data centre: straight, or through a SOCKS5 proxy (RFC 1928, RFC 1929).

use std::io;
use std::net::SocketAddr;

use tgtrunk_config::Proxy;
use tokio::net::{TcpStream, lookup_host};
use tokio_socks::tcp::Socks5Stream;

use super::error::LinkError;

/// Connects.
///
/// # Errors
/// What the system says, or the proxy.
pub(super) async fn dial(address: SocketAddr, proxy: Option<&Proxy>) -> Result<TcpStream, LinkError> {
    let stream = match proxy {
        None => TcpStream::connect(address).await?,
        Some(proxy) => through(proxy, address).await.map_err(|error| LinkError::Proxy(error.to_string()))?,
    };
    // What is packed into one packet is one already.
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// A connection to `remote` through a SOCKS5 proxy, which may be given by its name.
///
/// # Errors
/// What the proxy, or the way there, refuses with.
pub async fn through(proxy: &Proxy, remote: SocketAddr) -> io::Result<TcpStream> {
    // The library would look the name up on this thread.
    let places: Vec<_> = lookup_host((proxy.host.as_str(), proxy.port)).await?.collect();
    let connected = match &proxy.user {
        Some(user) => {
            Socks5Stream::connect_with_password(places.as_slice(), remote, user, proxy.password()).await
        }
        None => Socks5Stream::connect(places.as_slice(), remote).await,
    };
    connected.map(Socks5Stream::into_inner).map_err(io::Error::other)
}
