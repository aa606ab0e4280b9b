//! The SOCKS5 proxy that a gateway may have to go through (RFC 1928, RFC 1929).

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::TcpStream;

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
        tgtrunk_telegram::through(&self.0, remote).await
    }
}
