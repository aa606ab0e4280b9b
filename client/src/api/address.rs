//! By what programs reach the API, where nobody says so.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};

/// An address for documentation (RFC 5737). Nothing is sent there.
const FAR: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), 9);

/// What links begin with: TLS where it is spoken, because some programs take nothing else, and all others take it too.
pub(super) fn base(listen: Option<SocketAddr>, tls_listen: Option<SocketAddr>) -> String {
    let (scheme, at, usual) = match (listen, tls_listen) {
        (_, Some(listen)) => ("https", listen, 443),
        (Some(listen), None) => ("http", listen, 80),
        (None, None) => ("http", SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8091), 80),
    };
    let host = shown(at.ip());
    let host = match host {
        IpAddr::V4(ip) => ip.to_string(),
        IpAddr::V6(ip) => format!("[{ip}]"),
    };
    if at.port() == usual { format!("{scheme}://{host}") } else { format!("{scheme}://{host}:{}", at.port()) }
}

/// The address at which a port is reached that is open at `listen`: one of this machine's where it is open at all of them.
pub(super) fn shown(listen: IpAddr) -> IpAddr {
    if listen.is_unspecified() { own().unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST)) } else { listen }
}

/// The address by which this machine reaches others.
fn own() -> Option<IpAddr> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).ok()?;
    socket.connect(FAR).ok()?;
    Some(socket.local_addr().ok()?.ip()).filter(|ip| !ip.is_unspecified())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_lead_to_where_it_is_served_with_tls_where_that_is_spoken() {
        let at = |text: &str| Some(text.parse().unwrap());
        assert_eq!(base(at("127.0.0.1:8091"), at("10.0.0.5:443")), "https://10.0.0.5");
        assert_eq!(base(at("127.0.0.1:8091"), at("10.0.0.5:8443")), "https://10.0.0.5:8443");
        assert_eq!(base(at("127.0.0.1:8091"), None), "http://127.0.0.1:8091");
        assert_eq!(base(None, at("[2001:db8::1]:443")), "https://[2001:db8::1]");
        let everywhere = base(None, at("0.0.0.0:8443"));
        assert!(!everywhere.contains("0.0.0.0") && everywhere.ends_with(":8443"), "{everywhere}");
        assert_eq!(base(None, None), "http://127.0.0.1:8091");
    }
}
