//! Which transaction a message belongs to (RFC 3261 sections 17.1.3 and 17.2.3).

use std::net::SocketAddr;
use std::sync::Arc;

use crate::message::{Headers, Method, Request};

/// A transaction's name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key(Arc<str>);

impl Key {
    /// Of a request we received: branch, sent-by and method, an ACK counting as its INVITE. Without the cookie of
    /// RFC 3261 the request's own identity takes the branch's place (section 17.2.3).
    pub(crate) fn of_request(request: &Request) -> Option<Self> {
        let method = if request.method == Method::Ack { &Method::Invite } else { &request.method };
        Self::received(request, method)
    }

    /// Of the INVITE that a CANCEL means.
    pub(crate) fn of_cancelled(cancel: &Request) -> Option<Self> {
        Self::received(cancel, &Method::Invite)
    }

    fn received(request: &Request, method: &Method) -> Option<Self> {
        let via = request.headers.via()?;
        let (host, port) = (via.host.to_ascii_lowercase(), via.port.unwrap_or(5060));
        let name = match via.branch() {
            Some(branch) => format!("{branch}|{host}:{port}|{method}"),
            None => {
                let (from, cseq) = (request.headers.from()?, request.headers.cseq()?);
                let (tag, call_id) = (from.tag().unwrap_or(""), request.headers.call_id());
                let branch = via.parameters.value("branch").unwrap_or("");
                format!("{}|{tag}|{call_id}|{}|{branch}|{host}:{port}|{method}", request.uri, cseq.number)
            }
        };
        Some(Self(name.into()))
    }

    /// Of a request that we send.
    pub(crate) fn of_sent(branch: &str, method: &Method) -> Self {
        Self(format!("{branch}|{method}").into())
    }

    /// Of a response, when its Via is one that we sent with one of these addresses.
    pub(crate) fn of_response(headers: &Headers, own: [SocketAddr; 2]) -> Option<Self> {
        let via = headers.via().filter(|via| own.iter().any(|own| via.is_from(*own)))?;
        Some(Self::of_sent(via.branch()?, &headers.cseq()?.method))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn branch_and_sent_by_and_method_make_a_transaction() {
        let key = |method, via: &str| Key::of_request(&request(method, via)).unwrap();
        let invite = key(Method::Invite, "SIP/2.0/UDP PBX:5060;branch=z9hG4bK1");
        assert_eq!(
            invite,
            key(Method::Ack, "SIP/2.0/UDP pbx;branch=z9hG4bK1"),
            "an ACK belongs to its INVITE"
        );
        assert_ne!(invite, key(Method::Invite, "SIP/2.0/UDP pbx:5061;branch=z9hG4bK1"), "another sent-by");
        assert_ne!(invite, key(Method::Invite, "SIP/2.0/UDP pbx;branch=z9hG4bK2"), "another branch");
        let cancel = request(Method::Cancel, "SIP/2.0/UDP pbx;branch=z9hG4bK1");
        assert_ne!(Key::of_request(&cancel).unwrap(), invite);
        assert_eq!(Key::of_cancelled(&cancel).unwrap(), invite);
    }

    #[test]
    fn a_sender_without_the_cookie_is_known_by_the_request_itself() {
        let old = request(Method::Invite, "SIP/2.0/UDP pbx;branch=1");
        let mut other = old.clone();
        other.headers.replace_first("Call-ID", "another".to_owned());
        assert_eq!(Key::of_request(&old), Key::of_request(&old.clone()));
        assert_ne!(Key::of_request(&old), Key::of_request(&other));
    }

    #[test]
    fn a_response_to_another_address_is_not_ours() {
        let own = ["127.0.0.1:30001".parse().unwrap(), "192.0.2.1:30001".parse().unwrap()];
        let of = |via: &str| Key::of_response(&request(Method::Bye, via).headers, own);
        for via in
            ["SIP/2.0/UDP 127.0.0.1:30001;branch=z9hG4bK1", "SIP/2.0/UDP 192.0.2.1:30001;branch=z9hG4bK1"]
        {
            assert_eq!(of(via), Some(Key::of_sent("z9hG4bK1", &Method::Bye)));
        }
        assert_eq!(of("SIP/2.0/UDP 127.0.0.1:30002;branch=z9hG4bK1"), None);
    }

    fn request(method: Method, via: &str) -> Request {
        let mut request = Request::new(method.clone(), "sip:a@b");
        for (name, value) in [("Via", via), ("From", "<sip:a@b>;tag=1"), ("Call-ID", "x")] {
            request.headers.push(name, value);
        }
        request.headers.push("CSeq", format!("1 {method}"));
        request
    }
}
