//! Via: the way an answer goes back (RFC 3261 sections 18.2 and 20.42, RFC 3581).

use std::net::SocketAddr;

use super::Parameters;
use crate::hop::Hop;
use crate::text::is_token;
use crate::uri::split_host;

/// One Via value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Via {
    /// Host of sent-by, IPv6 without brackets.
    pub(crate) host: String,
    /// Port of sent-by, where one is written.
    pub(crate) port: Option<u16>,
    pub(crate) parameters: Parameters,
}

impl Via {
    /// `None` when it is not `SIP/<version>/<transport> <host>[:<port>][;...]`. Any version is read, so that another
    /// than ours can be told so.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (head, parameters) = text.split_once(';').unwrap_or((text, ""));
        let mut protocol = head.splitn(3, '/');
        let (name, version) = (protocol.next()?.trim(), protocol.next()?.trim());
        let (transport, sent_by) = protocol.next()?.trim().split_once(|c: char| c.is_ascii_whitespace())?;
        if !name.eq_ignore_ascii_case("SIP")
            || version.is_empty()
            || !version.bytes().all(|b| b.is_ascii_digit() || b == b'.')
            || !is_token(transport)
        {
            return None;
        }
        let sent_by: String = sent_by.chars().filter(|c| !c.is_ascii_whitespace()).collect();
        let (host, port) = split_host(&sent_by).ok()?;
        Some(Self { host, port, parameters: Parameters::parse(parameters) })
    }

    /// The transaction's name, where the sender speaks RFC 3261 (section 8.1.1.7).
    pub(crate) fn branch(&self) -> Option<&str> {
        self.parameters.value("branch").filter(|branch| {
            let cookie = branch.get(..7).is_some_and(|cookie| cookie.eq_ignore_ascii_case("z9hG4bK"));
            cookie && branch.len() > 7
        })
    }

    /// Whether an answer with this Via is for a request that left from `local`.
    pub(crate) fn is_from(&self, local: SocketAddr) -> bool {
        let same_host = self.host.parse() == Ok(local.ip());
        same_host && self.port.unwrap_or(5060) == local.port()
    }

    /// Where an answer goes: the source itself when it asked for that (RFC 3581), else the source's address
    /// at the port it names (RFC 3261 section 18.2.2).
    ///
    /// `maddr` is not followed: nobody may aim our answers elsewhere. What came on a connection is answered on it.
    pub(crate) fn answer_to(&self, source: Hop) -> Hop {
        if source.connection.is_none() && self.parameters.has("rport") {
            return source;
        }
        let port = self.port.filter(|&port| port != 0).unwrap_or(source.transport.default_port());
        Hop { address: SocketAddr::new(source.ip(), port), ..source }
    }
}

/// The top Via as it goes back: `received` and `rport` filled in (RFC 3261 section 18.2.1, RFC 3581 section 4).
pub(crate) fn stamped(text: &str, via: &Via, source: SocketAddr) -> String {
    let ip = source.ip().to_canonical();
    let asked = via.parameters.has("rport");
    if !asked && via.host.parse() == Ok(ip) {
        return text.to_owned();
    }
    let kept = text.split(';').filter(|piece| {
        let name = piece.split('=').next().unwrap_or(piece).trim();
        !name.eq_ignore_ascii_case("rport") && !name.eq_ignore_ascii_case("received")
    });
    let mut stamped = kept.map(str::trim).collect::<Vec<_>>().join(";");
    if asked {
        stamped.push_str(&format!(";rport={}", source.port()));
    }
    stamped.push_str(&format!(";received={ip}"));
    stamped
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hop::Transport;

    #[test]
    fn spaces_ipv6_and_names_are_read() {
        let via = Via::parse("SIP / 2.0 / UDP  [2001:db8::9]:5070 ; branch=z9hG4bK1;RPORT").unwrap();
        assert_eq!(
            (via.host.as_str(), via.port, via.branch()),
            ("2001:db8::9", Some(5070), Some("z9hG4bK1"))
        );
        assert_eq!(Via::parse("SIP/2.0/UDP pbx.example;branch=old").unwrap().branch(), None);
        assert_eq!(Via::parse("SIP/2.0/UDP pbx : 5061").unwrap().port, Some(5061));
        for wrong in
            ["", "SIP/2.0/UDP", "SIP/x/UDP h", "SIP/2.0 h", "SIP/2.0/UDP h:x", "SIP/2.0/UDP ;branch=z9hG4bK1"]
        {
            assert_eq!(Via::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn answers_go_to_the_source_when_it_asked_and_to_its_named_port_otherwise() {
        let source = Hop::from(Transport::Udp, "192.0.2.1:40000".parse().unwrap());
        let to = |text: &str| Via::parse(text).unwrap().answer_to(source).address.to_string();
        assert_eq!(to("SIP/2.0/UDP pbx:5070;rport"), "192.0.2.1:40000");
        assert_eq!(to("SIP/2.0/UDP pbx:5070"), "192.0.2.1:5070");
        assert_eq!(to("SIP/2.0/UDP pbx;maddr=203.0.113.5"), "192.0.2.1:5060");
        assert_eq!(to("SIP/2.0/UDP pbx:0"), "192.0.2.1:5060");
    }

    #[test]
    fn what_came_on_a_connection_is_answered_on_it_and_else_at_the_named_port() {
        let source: SocketAddr = "192.0.2.1:40000".parse().unwrap();
        let via = Via::parse("SIP/2.0/TLS pbx:5071;rport").unwrap();
        let back = via.answer_to(Hop::from(Transport::Tls, source));
        assert_eq!((back.connection, back.address.to_string()), (Some(source), "192.0.2.1:5071".to_owned()));
        let via = Via::parse("SIP/2.0/TLS pbx").unwrap();
        assert_eq!(via.answer_to(Hop::from(Transport::Tls, source)).address.port(), 5061);
    }

    #[test]
    fn the_top_via_goes_back_with_what_was_seen() {
        let source = "192.0.2.1:40000".parse().unwrap();
        let stamp = |text: &str| stamped(text, &Via::parse(text).unwrap(), source);
        assert_eq!(
            stamp("SIP/2.0/UDP pbx:5070;rport;branch=z9hG4bK1"),
            "SIP/2.0/UDP pbx:5070;branch=z9hG4bK1;rport=40000;received=192.0.2.1"
        );
        assert_eq!(
            stamp("SIP/2.0/UDP pbx;branch=z9hG4bK1"),
            "SIP/2.0/UDP pbx;branch=z9hG4bK1;received=192.0.2.1"
        );
        assert_eq!(stamp("SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1"), "SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1");
        let forged = "SIP/2.0/UDP 192.0.2.1;rport;received=203.0.113.1";
        assert_eq!(stamp(forged), "SIP/2.0/UDP 192.0.2.1;rport=40000;received=192.0.2.1");
    }

    #[test]
    fn an_answer_is_ours_only_with_our_own_address() {
        let local = "127.0.0.1:30001".parse().unwrap();
        let ours = |text: &str| Via::parse(text).unwrap().is_from(local);
        assert!(ours("SIP/2.0/UDP 127.0.0.1:30001;branch=z9hG4bK1"));
        assert!(!ours("SIP/2.0/UDP 127.0.0.1:30002;branch=z9hG4bK1"));
        assert!(!ours("SIP/2.0/UDP 127.0.0.2:30001;branch=z9hG4bK1"));
    }
}
