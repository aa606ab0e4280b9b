//! The SOCKS5 proxy that a gateway may have to go through (RFC 1928, RFC 1929).

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::{TcpStream, lookup_host};
use tokio_socks::tcp::Socks5Stream;

/// Where the proxy is, and who we are to it.
#[derive(Clone)]
pub(crate) struct Proxy(Arc<tgtrunk_config::Proxy>);

impl Proxy {
    pub(crate) fn new(proxy: tgtrunk_config::Proxy) -> Self {
        Self(Arc::new(proxy))
    }

    /// A connection to `remote` through the proxy.
    ///
    /// # Errors
    /// What the proxy, or the way there, refuses with.
    pub(crate) async fn connect(&self, remote: SocketAddr) -> io::Result<TcpStream> {
        // The library would look the name up on this thread.
        let places: Vec<_> = lookup_host((self.0.host.as_str(), self.0.port)).await?.collect();
        let places = places.as_slice();
        let connected = match &self.0.user {
            Some(user) => Socks5Stream::connect_with_password(places, remote, user, self.0.password()).await,
            None => Socks5Stream::connect(places, remote).await,
        };
        connected.map(Socks5Stream::into_inner).map_err(io::Error::other)
    }
}
