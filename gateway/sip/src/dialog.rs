//! Dialogs: what both ends remember of each other (RFC 3261 section 12).

use std::net::SocketAddr;

use crate::filter::Filter;
use crate::header::{Identity, NameAddr, is_hidden};
use crate::hop::{Hop, Transport};
use crate::message::{Headers, Method, Request, Response};
use crate::remains::CSEQ_LEAP;
use crate::uri::{Scheme, Uri};

/// A dialog's name: Call-ID, our tag, theirs.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct DialogId {
    call_id: String,
    local_tag: String,
    remote_tag: String,
}

impl DialogId {
    /// The Call-ID in it.
    pub(crate) fn call_id(&self) -> &str {
        &self.call_id
    }

    /// The dialog of a call, by our tag and theirs.
    pub(crate) fn new(call_id: String, local_tag: String, remote_tag: String) -> Self {
        Self { call_id, local_tag, remote_tag }
    }

    /// The dialog that a received request names; `None` without a tag in its To.
    pub(crate) fn of_request(request: &Request) -> Option<Self> {
        Some(Self {
            call_id: request.headers.call_id().to_owned(),
            local_tag: request.headers.to()?.tag()?.to_owned(),
            remote_tag: request.headers.from()?.tag().unwrap_or("").to_owned(),
        })
    }

    /// The dialog that a request of ours names; `None` without a tag in its To.
    pub(crate) fn of_sent(request: &Request) -> Option<Self> {
        Some(Self {
            call_id: request.headers.call_id().to_owned(),
            local_tag: request.headers.from()?.tag().unwrap_or("").to_owned(),
            remote_tag: request.headers.to()?.tag()?.to_owned(),
        })
    }
}

/// One end's memory of a dialog, early or confirmed.
#[derive(Debug, Clone)]
pub(crate) struct Dialog {
    pub(crate) id: DialogId,
    /// Our From, or To when they called, with our tag.
    local: String,
    /// Theirs, as they write it.
    remote: String,
    local_cseq: u32,
    /// Their last number; `None` before their first request.
    pub(crate) remote_cseq: Option<u32>,
    /// Where requests are aimed: their last Contact.
    target: String,
    routes: Vec<String>,
    /// Where requests go when target and routes name no address that may be sent to.
    fallback: Hop,
    /// RSeq of our last reliable provisional answer, and the number of the INVITE that it answers.
    pub(crate) provisional: Option<(u32, u32)>,
    /// Whether they take UPDATE, by their last Allow (RFC 3311 section 4).
    update: bool,
    /// Whether our INVITE began it.
    ours: bool,
    /// Who they say is there.
    party: Option<String>,
    /// They called, and want to stay unknown.
    hidden: bool,
}

impl Dialog {
    /// The caller's dialog, from an answer to our INVITE (RFC 3261 section 12.1.2). A To without a tag counts as an
    /// empty tag, as RFC 2543 peers write it.
    pub(crate) fn from_response(invite: &Request, response: &Response, fallback: Hop) -> Option<Self> {
        let to = response.headers.to()?;
        let mut routes = response.headers.routes("Record-Route");
        routes.reverse();
        Some(Self {
            id: DialogId {
                call_id: invite.headers.call_id().to_owned(),
                local_tag: invite.headers.from()?.tag()?.to_owned(),
                remote_tag: to.tag().unwrap_or("").to_owned(),
            },
            local: invite.headers.first("From")?.to_owned(),
            remote: response.headers.first("To")?.to_owned(),
            local_cseq: invite.headers.cseq()?.number,
            remote_cseq: None,
            target: response.headers.contact_uri().unwrap_or_else(|| invite.uri.clone()),
            routes,
            fallback,
            provisional: None,
            update: allows_update(&response.headers).unwrap_or(false),
            ours: true,
            party: party(&response.headers)
                .or_else(|| contact_party(&response.headers))
                .filter(|_| !is_hidden(&response.headers)),
            hidden: false,
        })
    }

    /// The callee's dialog, from their INVITE (RFC 3261 section 12.1.1).
    pub(crate) fn from_request(invite: &Request, tag: &str, source: Hop) -> Option<Self> {
        let from = invite.headers.from()?;
        let hidden = Identity::of(&invite.headers).private;
        Some(Self {
            id: DialogId {
                call_id: invite.headers.call_id().to_owned(),
                local_tag: tag.to_owned(),
                remote_tag: from.tag().unwrap_or("").to_owned(),
            },
            local: format!("{};tag={tag}", invite.headers.first("To")?),
            remote: invite.headers.first("From")?.to_owned(),
            local_cseq: 0,
            remote_cseq: Some(invite.headers.cseq()?.number),
            target: invite.headers.contact_uri().unwrap_or_else(|| from.uri.clone()),
            routes: invite.headers.routes("Record-Route"),
            fallback: source,
            provisional: None,
            update: allows_update(&invite.headers).unwrap_or(false),
            ours: false,
            party: party(&invite.headers).filter(|_| !hidden),
            hidden,
        })
    }

    /// A request inside the dialog, without its Via (RFC 3261 section 12.2.1.1). An ACK takes the number of the
    /// INVITE, which is the last one used.
    pub(crate) fn request(&mut self, method: Method) -> Request {
        if method != Method::Ack {
            self.local_cseq += 1;
        }
        let strict = self.routes.first().and_then(|route| NameAddr::parse(route)).filter(|first| {
            let lr = Uri::parse(&first.uri).is_ok_and(|uri| uri.parameter("lr").is_some());
            !lr
        });
        let (uri, routes) = match strict {
            // A router of RFC 2543 finds itself in the Request-URI and the target at the end of the routes.
            Some(first) => {
                let mut routes: Vec<_> = self.routes.iter().skip(1).cloned().collect();
                routes.push(format!("<{}>", self.target));
                (first.uri, routes)
            }
            None => (self.target.clone(), self.routes.clone()),
        };
        let mut request = Request::new(method, uri);
        for route in routes {
            request.headers.push("Route", route);
        }
        request.headers.push("From", self.local.clone());
        request.headers.push("To", self.remote.clone());
        request.headers.push("Call-ID", self.id.call_id.clone());
        let cseq = format!("{} {}", self.local_cseq, request.method);
        request.headers.push("CSeq", cseq);
        request
    }

    /// Takes the next number, for a request that is sent again.
    pub(crate) fn next_number(&mut self) -> u32 {
        self.local_cseq += 1;
        self.local_cseq
    }

    /// Where the next request goes: the first route, else the target, where that is an address the line may send to;
    /// else where the dialog began, on the connection that it began on.
    pub(crate) fn next_hop(&self, filter: &Filter) -> Hop {
        let route = self.routes.first().and_then(|route| NameAddr::parse(route)).map(|first| first.uri);
        let uri = Uri::parse(route.as_deref().unwrap_or(&self.target)).ok();
        let named = uri.and_then(|uri| {
            let transport = self.transport(&uri)?;
            let address = SocketAddr::new(uri.ip()?, uri.port.unwrap_or(transport.default_port()));
            Some(Hop::to(transport, filter.reachable(address)?))
        });
        let began =
            |hop: &Hop| (hop.transport, hop.address) == (self.fallback.transport, self.fallback.address);
        named.filter(|hop| !began(hop)).unwrap_or(self.fallback)
    }

    /// Over what a target is reached; where it does not say, as the dialog began. What began encrypted stays so, and
    /// what did not has no certificate to begin with.
    pub(crate) fn transport(&self, uri: &Uri) -> Option<Transport> {
        let began = self.fallback.transport;
        let named = match uri.scheme {
            Scheme::Sips => Some(Transport::Tls),
            Scheme::Sip | Scheme::Tel => uri.parameter("transport").map_or(Some(began), Transport::parse),
        };
        match (began, named?) {
            (Transport::Tls, _) => Some(Transport::Tls),
            (Transport::Udp | Transport::Tcp, Transport::Tls) => None,
            (Transport::Udp | Transport::Tcp, named @ (Transport::Udp | Transport::Tcp)) => Some(named),
        }
    }

    /// Takes the Contact and Allow of a request that changes the session, or of its 2xx (RFC 3261 section 12.2).
    pub(crate) fn refresh_target(&mut self, headers: &Headers) {
        if let Some(contact) = headers.contact_uri() {
            self.target = contact;
        }
        self.update = allows_update(headers).unwrap_or(self.update);
        if self.hidden || is_hidden(headers) {
            self.party = None;
        } else if let Some(party) = party(headers) {
            self.party = Some(party);
        }
    }

    /// Who they say is there: P-Asserted-Identity (RFC 3325) or Remote-Party-ID, else the Contact of an answer to us.
    pub(crate) fn party(&self) -> Option<&str> {
        self.party.as_deref()
    }

    /// Whether they take UPDATE.
    pub(crate) fn takes_update(&self) -> bool {
        self.update
    }

    /// They said that they take UPDATE, and did not.
    pub(crate) fn forget_update(&mut self) {
        self.update = false;
    }

    /// Whether our INVITE began it, so that the Call-ID is ours.
    pub(crate) fn is_ours(&self) -> bool {
        self.ours
    }

    /// Leaves out the numbers that a line before this one may have used.
    pub(crate) fn leap(&mut self) {
        self.local_cseq = self.local_cseq.saturating_add(CSEQ_LEAP).min(i32::MAX.unsigned_abs() - 1);
    }

    /// Takes on the numbers of the early dialog that this one was.
    pub(crate) fn carry_on(&mut self, early: &Self) {
        self.local_cseq = self.local_cseq.max(early.local_cseq);
        self.remote_cseq = self.remote_cseq.max(early.remote_cseq);
    }

    /// Where it began.
    pub(crate) fn origin(&self) -> SocketAddr {
        self.fallback.address
    }

    /// Who they say they are.
    pub(crate) fn remote_uri(&self) -> Option<Uri> {
        Uri::parse(&NameAddr::parse(&self.remote)?.uri).ok()
    }

    /// Our tag.
    pub(crate) fn local_tag(&self) -> &str {
        &self.id.local_tag
    }

    /// Their tag.
    pub(crate) fn remote_tag(&self) -> &str {
        &self.id.remote_tag
    }
}

/// The user, or the name without one, of P-Asserted-Identity or Remote-Party-ID; nobody who wants to stay unknown.
fn party(headers: &Headers) -> Option<String> {
    if is_hidden(headers) {
        return None;
    }
    let value = headers.first("P-Asserted-Identity").or_else(|| headers.first("Remote-Party-ID"))?;
    let identity = NameAddr::parse(NameAddr::split_list(value).into_iter().next()?)?;
    let user = Uri::parse(&identity.uri).ok().and_then(|uri| uri.user).filter(|user| !user.is_empty());
    user.or(Some(identity.display)).filter(|party| !party.is_empty())
}

/// The user of the Contact, where the PBX puts an extension there.
fn contact_party(headers: &Headers) -> Option<String> {
    let contact = Uri::parse(&headers.contact_uri()?).ok()?;
    contact.user.filter(|user| !user.is_empty())
}

/// Whether Allow lists UPDATE; `None` without an Allow.
fn allows_update(headers: &Headers) -> Option<bool> {
    headers.first("Allow")?;
    let mut methods = headers.all("Allow").flat_map(NameAddr::split_list);
    Some(methods.any(|method| method == "UPDATE"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loose_routes_stand_in_route_headers_and_the_target_in_the_request_uri() {
        let bye = dialog("<sip:127.0.0.1:5070;lr>, <sip:127.0.0.1:5071;lr>").request(Method::Bye);
        assert_eq!(bye.uri, "sip:100@127.0.0.1:5062");
        assert_eq!(bye.headers.routes("Route"), ["<sip:127.0.0.1:5070;lr>", "<sip:127.0.0.1:5071;lr>"]);
    }

    #[test]
    fn a_strict_router_stands_in_the_request_uri_and_the_target_comes_last() {
        let bye = dialog("<sip:127.0.0.1:5070>, <sip:127.0.0.1:5071;lr>").request(Method::Bye);
        assert_eq!(bye.uri, "sip:127.0.0.1:5070");
        assert_eq!(bye.headers.routes("Route"), ["<sip:127.0.0.1:5071;lr>", "<sip:100@127.0.0.1:5062>"]);
    }

    #[test]
    fn requests_go_to_the_first_route_the_target_or_back_to_the_source_but_never_to_strangers() {
        let filter = Filter::new(["127.0.0.1".parse().unwrap()], false);
        let hop = |dialog: Dialog| dialog.next_hop(&filter).address.to_string();
        assert_eq!(hop(dialog("<sip:127.0.0.1:5070;lr>")), "127.0.0.1:5070");
        assert_eq!(hop(dialog("")), "127.0.0.1:5062");
        assert_eq!(hop(dialog("<sip:203.0.113.1;lr>")), "127.0.0.1:5060");
        assert_eq!(hop(dialog("<sip:proxy.example;lr>")), "127.0.0.1:5060");
    }

    #[test]
    fn numbers_grow_from_request_to_request() {
        let mut dialog = dialog("");
        for number in 1..4 {
            assert_eq!(dialog.request(Method::Bye).headers.cseq().unwrap().number, number);
        }
    }

    fn dialog(record_route: &str) -> Dialog {
        let mut invite = Request::new(Method::Invite, "sip:+7906@127.0.0.1:30001");
        for (name, value) in [
            ("From", "<sip:100@pbx>;tag=a"),
            ("To", "<sip:+7906@line>"),
            ("Call-ID", "x"),
            ("CSeq", "9 INVITE"),
            ("Contact", "\"Phone\" <sip:100@127.0.0.1:5062>;expires=1"),
            ("Record-Route", record_route),
        ] {
            invite.headers.push(name, value);
        }
        let source = Hop::to(Transport::Udp, "127.0.0.1:5060".parse().unwrap());
        Dialog::from_request(&invite, "ours", source).unwrap()
    }
}
