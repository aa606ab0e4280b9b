//! What programs may have fetched, and where notifications are brought: anywhere but the addresses of one link alone (RFC 3927,
//! RFC 4291 section 2.5.6), where clouds keep the secrets of their machines, the other addresses where they keep them, and the
//! ports of this program itself. Private addresses are as good as others: PBXs and the programs of offices stand there.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::redirect::Policy;
use reqwest::{Client, ClientBuilder, Method, RequestBuilder, Url};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;

/// How long a host may take to take a connection.
const CONNECT_LIMIT: Duration = Duration::from_secs(10);
/// How long whoever has a file fetched waits to hear that its host is there.
const KNOCK_LIMIT: Duration = Duration::from_secs(5);

/// Where clouds keep the secrets of their machines, besides link-local addresses: Alibaba Cloud and Azure; AWS and Google.
const SECRETS: [Ipv4Addr; 2] = [Ipv4Addr::new(100, 100, 100, 200), Ipv4Addr::new(168, 63, 129, 16)];
const SECRETS_V6: [Ipv6Addr; 2] =
    [Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254), Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254)];

/// Why something is not reached.
#[derive(Debug, thiserror::Error)]
pub enum ReachError {
    /// It is no link to anything on the web.
    #[error("want a link that begins with http:// or https:// and a host")]
    NoLink,
    /// A machine's own link, or where a cloud keeps a machine's secrets.
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

/// A way to what programs name on the web, and to nothing else: no proxy of the environment, and nobody who sends it on is
/// followed. Clones share its connections.
#[derive(Clone, Debug)]
pub struct Web {
    anywhere: Client,
    /// The same to other machines alone.
    elsewhere: Client,
    own_ports: Arc<[u16]>,
}

impl Web {
    /// One that asks this program itself, which has these ports, for nothing but files. Whoever is silent for longer than
    /// `silence` has broken off.
    ///
    /// # Errors
    /// When there is no TLS to be had.
    pub fn new(silence: Option<Duration>, own_ports: &[u16]) -> reqwest::Result<Self> {
        let client = |names: Names| {
            let client = Client::builder().no_proxy().redirect(Policy::none()).dns_resolver(Arc::new(names));
            // 1C looks for the names of headers as they are written.
            let client = client.http1_title_case_headers();
            silence
                .into_iter()
                .fold(client.connect_timeout(CONNECT_LIMIT), ClientBuilder::read_timeout)
                .build()
        };
        Ok(Self {
            anywhere: client(Names { are_elsewhere: false })?,
            elsewhere: client(Names { are_elsewhere: true })?,
            own_ports: own_ports.into(),
        })
    }

    /// A request to where a link leads.
    ///
    /// # Errors
    /// Why it is not asked.
    pub async fn request(&self, method: Method, url: &Url) -> Result<RequestBuilder, ReachError> {
        self.check(url).await?;
        Ok(self.client(url).request(method, url.clone()))
    }

    /// Whether a link may be followed.
    ///
    /// # Errors
    /// Why not.
    pub async fn check(&self, url: &Url) -> Result<(), ReachError> {
        check(url, &self.own_ports).await.map(drop)
    }

    /// A name may mean another address by the time it is asked.
    fn client(&self, url: &Url) -> &Client {
        let is_own = url.port_or_known_default().is_some_and(|port| self.own_ports.contains(&port));
        if is_own && !is_file(url) { &self.elsewhere } else { &self.anywhere }
    }
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
async fn check(url: &Url, own_ports: &[u16]) -> Result<Vec<SocketAddr>, ReachError> {
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
    for &at in &found {
        if is_link_local(at.ip()) {
            return Err(ReachError::LinkLocal(at.ip()));
        }
        if own_ports.contains(&port) && !is_file(url) && is_here(at.ip()) {
            return Err(ReachError::Own(at));
        }
    }
    Ok(found)
}

fn is_file(url: &Url) -> bool {
    url.path().starts_with("/files/")
}

/// Finds names as the system does; whoever changes what a name means after it was checked gains nothing.
struct Names {
    /// Those of this machine are not found.
    are_elsewhere: bool,
}

impl Resolve for Names {
    fn resolve(&self, name: Name) -> Resolving {
        let are_elsewhere = self.are_elsewhere;
        Box::pin(async move {
            let found: Vec<SocketAddr> = lookup_host((name.as_str(), 0)).await?.collect();
            for &at in &found {
                if is_link_local(at.ip()) {
                    return Err(ReachError::LinkLocal(at.ip()).into());
                }
                if are_elsewhere && is_here(at.ip()) {
                    return Err(ReachError::Own(at).into());
                }
            }
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

/// Whether secrets of machines may be there.
fn is_link_local(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(ip) => ip.is_link_local() || SECRETS.contains(&ip),
        IpAddr::V6(ip) => {
            let behind = translated(ip).is_some_and(|ip| is_link_local(ip.into()));
            ip.is_unicast_link_local() || SECRETS_V6.contains(&ip) || behind
        }
    }
}

/// The address to which NAT64 translates one (RFC 6052 section 2.1, RFC 8215).
fn translated(ip: Ipv6Addr) -> Option<Ipv4Addr> {
    let is_nat64 = matches!(ip.segments(), [0x64, 0xff9b, 0 | 1, ..]);
    let [.., a, b, c, d] = ip.octets();
    is_nat64.then(|| Ipv4Addr::new(a, b, c, d))
}

/// Whether an address is one of this machine's: only such a one can be bound.
fn is_here(ip: IpAddr) -> bool {
    let ip = ip.to_canonical();
    ip.is_loopback() || ip.is_unspecified() || UdpSocket::bind((ip, 0)).is_ok()
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use tokio::io::AsyncReadExt as _;

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
            "https://[64:ff9b::c000:201]/a.pdf",
        ] {
            assert!(is_good(url).await, "{url}");
        }
        for url in [
            "http://169.254.169.254/latest/meta-data/",
            "http://2852039166/",
            "http://[fe80::1]/",
            "http://[::ffff:169.254.169.254]/",
            "http://100.100.100.200/latest/meta-data/",
            "http://168.63.129.16/machine?comp=goalstate",
            "http://[fd00:ec2::254]/latest/meta-data/",
            "http://[fd20:ce::254]/computeMetadata/v1/",
            "http://[64:ff9b::a9fe:a9fe]/latest/meta-data/",
            "http://[64:ff9b:1::6464:64c8]/latest/meta-data/",
            "http://127.0.0.1:8091/waInstance1/logout/x",
            "http://[::ffff:127.0.0.1]:8091/",
            "http://0.0.0.0:8091/",
            "http://localhost:8091/",
            "http://[::1]:8091/files/../metrics",
            "ftp://192.0.2.1/a.pdf",
            "data:,x",
        ] {
            assert!(!is_good(url).await, "{url}");
        }
    }

    #[tokio::test]
    async fn a_name_that_leads_to_our_own_port_only_once_it_was_checked_is_not_asked() {
        let (port, asked) = listener().await;
        let web = Web::new(None, &[port]).unwrap();
        // As `check` was told another address.
        let ask = async |path: &str, port: u16| {
            let url = Url::parse(&format!("http://localhost:{port}{path}")).unwrap();
            web.client(&url).get(url).timeout(Duration::from_secs(5)).send().await
        };
        let error = crate::post::sources(&ask("/metrics", port).await.unwrap_err());
        assert!(error.contains("is this program itself"), "{error}");
        assert!(!asked.load(Ordering::Relaxed));
        assert!(ask("/files/0123456789abcdef0123456789abcdef/a.pdf", port).await.is_ok());
        let (other, asked) = listener().await;
        assert!(ask("/metrics", other).await.is_ok());
        assert!(asked.load(Ordering::Relaxed));
    }

    /// A proxy asks for whatever it likes: it would pass every check.
    #[tokio::test]
    async fn no_proxy_of_the_environment_is_asked() {
        const AIM: &str = "TGTRUNK_TEST_AIM";
        const NAME: &str = "reach::tests::no_proxy_of_the_environment_is_asked";
        if let Ok(aim) = std::env::var(AIM) {
            let web = Web::new(None, &[]).unwrap();
            let request = web.request(Method::POST, &Url::parse(&aim).unwrap()).await.unwrap();
            assert!(request.send().await.unwrap().status().is_success());
            return;
        }
        let ((aim, asked), (proxy, was_proxy_asked)) = (listener().await, listener().await);
        let mut child = tokio::process::Command::new(std::env::current_exe().unwrap());
        child.args(["--exact", NAME]).env(AIM, format!("http://127.0.0.1:{aim}/hook"));
        for key in ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"] {
            child.env(key, format!("http://127.0.0.1:{proxy}"));
        }
        for key in ["NO_PROXY", "no_proxy", "REQUEST_METHOD"] {
            child.env_remove(key);
        }
        let done = child.output().await.unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stdout));
        assert!(asked.load(Ordering::Relaxed));
        assert!(!was_proxy_asked.load(Ordering::Relaxed));
    }

    #[tokio::test]
    async fn names_of_headers_are_written_as_documents_write_them() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = Url::parse(&format!("http://{}/hook", listener.local_addr().unwrap())).unwrap();
        let heard = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut head = Vec::new();
            while !head.windows(4).any(|end| end == b"\r\n\r\n") {
                assert_ne!(stream.read_buf(&mut head).await.unwrap(), 0);
            }
            String::from_utf8_lossy(&head).into_owned()
        });
        let request = Web::new(None, &[]).unwrap().request(Method::POST, &url).await.unwrap();
        request.header("x-tgtrunk-signature", "t=1,v1=00").send().await.ok();
        let heard = heard.await.unwrap();
        assert!(heard.contains("\r\nX-Tgtrunk-Signature: t=1,v1=00\r\n"), "{heard}");
    }

    /// A port that answers everything, and whether it was asked.
    async fn listener() -> (u16, Arc<AtomicBool>) {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let asked = Arc::new(AtomicBool::new(false));
        let noted = Arc::clone(&asked);
        let answer = move || {
            noted.store(true, Ordering::Relaxed);
            std::future::ready("here")
        };
        let router = axum::Router::new().fallback(answer);
        tokio::spawn(async move { axum::serve(listener, router).await });
        (port, asked)
    }
}
