//! What programs may have fetched, and where notifications are brought: anywhere but the addresses of one link alone, where
//! clouds keep the secrets of their machines (RFC 3927, RFC 4291 section 2.5.6), and the ports of this program itself.
//! Private addresses are as good as others: PBXs and the programs of offices stand there.

use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::redirect::Policy;
use reqwest::{Client, ClientBuilder, Url};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;

/// How long a host may take to take a connection.
const CONNECT_LIMIT: Duration = Duration::from_secs(10);
/// How long whoever has a file fetched waits to hear that its host is there.
const KNOCK_LIMIT: Duration = Duration::from_secs(5);

/// Why something is not reached.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReachError {
    /// It is no link to anything on the web.
    #[error("want a link that begins with http:// or https:// and a host")]
    NoLink,
    /// A machine's own link, or this program itself.
    #[error("{0} is not asked for anything: it is an address of this machine's own link")]
    LinkLocal(IpAddr),
    /// This program.
    #[error("{0} is this program itself")]
    Own(SocketAddr),
    /// The name is not found.
    #[error("{host} is not found: {source}")]
    Unknown {
        /// The name.
        host: String,
        /// Why.
        source: io::Error,
    },
    /// Nobody takes a connection there.
    #[error("{host} takes no connection: {cause}")]
    Closed {
        /// The name.
        host: String,
        /// Why.
        cause: String,
    },
}

/// A client of HTTP that goes where a request says and nowhere else: it follows nobody who sends it on. Whoever is silent
/// for longer than `silence` has broken off.
pub(crate) fn client(silence: Option<Duration>) -> reqwest::Result<Client> {
    let client = Client::builder().redirect(Policy::none()).dns_resolver(Arc::new(Names));
    let client = client.connect_timeout(CONNECT_LIMIT);
    silence.into_iter().fold(client, ClientBuilder::read_timeout).build()
}

/// Whether a link may be followed and somebody listens there now.
pub(crate) async fn knock(url: &Url, own_ports: &[u16]) -> Result<(), ReachError> {
    let found = check(url, own_ports).await?;
    let cause = match timeout(KNOCK_LIMIT, TcpStream::connect(&*found)).await {
        Ok(Ok(_)) => return Ok(()),
        Ok(Err(error)) => error.to_string(),
        Err(_) => format!("no answer within {} s", KNOCK_LIMIT.as_secs()),
    };
    Err(ReachError::Closed { host: url.host_str().unwrap_or_default().to_owned(), cause })
}

/// Whether a link may be followed; where it leads. What this program itself gives away are files alone.
pub(crate) async fn check(url: &Url, own_ports: &[u16]) -> Result<Vec<SocketAddr>, ReachError> {
    let host = url.host_str().filter(|_| ["http", "https"].contains(&url.scheme()));
    let (Some(host), Some(port)) = (host, url.port_or_known_default()) else {
        return Err(ReachError::NoLink);
    };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let found: Vec<SocketAddr> = match host.parse::<IpAddr>() {
        Ok(ip) => vec![SocketAddr::new(ip, port)],
        Err(_) => lookup_host((host, port))
            .await
            .map_err(|source| ReachError::Unknown { host: host.to_owned(), source })?
            .collect(),
    };
    let is_file = url.path().starts_with("/files/");
    for &at in &found {
        if is_link_local(at.ip()) {
            return Err(ReachError::LinkLocal(at.ip()));
        }
        if own_ports.contains(&port) && !is_file && is_here(at.ip()) {
            return Err(ReachError::Own(at));
        }
    }
    Ok(found)
}

/// Finds names as the system does; whoever changes what a name means after it was checked gains nothing.
struct Names;

impl Resolve for Names {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found: Vec<SocketAddr> = lookup_host((name.as_str(), 0)).await?.collect();
            match found.iter().find(|at| is_link_local(at.ip())) {
                Some(at) => Err(ReachError::LinkLocal(at.ip()).into()),
                None => Ok(Box::new(found.into_iter()) as Addrs),
            }
        })
    }
}

fn is_link_local(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(ip) => ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_unicast_link_local(),
    }
}

/// Whether an address is one of this machine's: only such a one can be bound.
fn is_here(ip: IpAddr) -> bool {
    ip.is_loopback() || ip.is_unspecified() || UdpSocket::bind((ip, 0)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn offices_are_reached_and_secrets_of_machines_are_not() {
        let is_good = async |url: &str| check(&Url::parse(url).unwrap(), &[8091]).await.is_ok();
        for url in [
            "http://10.0.0.5/a.pdf",
            "http://192.168.1.2:8080/a.pdf",
            "http://127.0.0.1:8080/a.pdf",
            "http://192.0.2.1:8091/a.pdf",
            "http://127.0.0.1:8091/files/0123456789abcdef0123456789abcdef/a.pdf",
            "https://[2001:db8::1]/a.pdf",
        ] {
            assert!(is_good(url).await, "{url}");
        }
        for url in [
            "http://169.254.169.254/latest/meta-data/",
            "http://2852039166/",
            "http://[fe80::1]/",
            "http://[::ffff:169.254.169.254]/",
            "http://127.0.0.1:8091/waInstance1/logout/x",
            "http://0.0.0.0:8091/",
            "http://localhost:8091/",
            "http://[::1]:8091/files/../metrics",
            "ftp://192.0.2.1/a.pdf",
            "data:,x",
        ] {
            assert!(!is_good(url).await, "{url}");
        }
    }
}
