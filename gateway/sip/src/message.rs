//! Requests and responses as they stand on the wire (RFC 3261 section 7).
//!
//! Headers are kept as text, in order; who needs one reads it with its type in [`crate::header`].

use std::fmt;

use crate::header::{CSeq, NameAddr, Via};
use crate::hop::Transport;
use crate::text::is_token;

/// What a request asks for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Method {
    Invite,
    Ack,
    Bye,
    Cancel,
    Options,
    Update,
    Info,
    Refer,
    Prack,
    Register,
    Subscribe,
    Notify,
    Publish,
    Message,
    /// A token that no RFC we know defines.
    Unknown(String),
}

impl Method {
    /// `None` when the text is no token. Methods are case-sensitive (RFC 3261 section 7.1).
    pub(crate) fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "INVITE" => Self::Invite,
            "ACK" => Self::Ack,
            "BYE" => Self::Bye,
            "CANCEL" => Self::Cancel,
            "OPTIONS" => Self::Options,
            "UPDATE" => Self::Update,
            "INFO" => Self::Info,
            "REFER" => Self::Refer,
            "PRACK" => Self::Prack,
            "REGISTER" => Self::Register,
            "SUBSCRIBE" => Self::Subscribe,
            "NOTIFY" => Self::Notify,
            "PUBLISH" => Self::Publish,
            "MESSAGE" => Self::Message,
            other if is_token(other) => Self::Unknown(other.to_owned()),
            _ => return None,
        })
    }

    /// The word on the wire.
    pub(crate) fn as_str(&self) -> &str {
        match self {
            Self::Invite => "INVITE",
            Self::Ack => "ACK",
            Self::Bye => "BYE",
            Self::Cancel => "CANCEL",
            Self::Options => "OPTIONS",
            Self::Update => "UPDATE",
            Self::Info => "INFO",
            Self::Refer => "REFER",
            Self::Prack => "PRACK",
            Self::Register => "REGISTER",
            Self::Subscribe => "SUBSCRIBE",
            Self::Notify => "NOTIFY",
            Self::Publish => "PUBLISH",
            Self::Message => "MESSAGE",
            Self::Unknown(word) => word,
        }
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Headers in order, compact names written out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Headers(Vec<(String, String)>);

impl Headers {
    /// Adds one at the end.
    pub(crate) fn push(&mut self, name: &str, value: impl Into<String>) {
        let long = match name {
            "i" | "I" => "Call-ID",
            "m" | "M" => "Contact",
            "e" | "E" => "Content-Encoding",
            "l" | "L" => "Content-Length",
            "c" | "C" => "Content-Type",
            "f" | "F" => "From",
            "s" | "S" => "Subject",
            "k" | "K" => "Supported",
            "t" | "T" => "To",
            "v" | "V" => "Via",
            "x" | "X" => "Session-Expires",
            "r" | "R" => "Refer-To",
            other => other,
        };
        self.0.push((long.to_owned(), value.into()));
    }

    /// The first value under a name.
    pub(crate) fn first(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// Every header line's value under a name.
    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0
            .iter()
            .filter(move |(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    /// Every header, in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Replaces the first value under a name, where there is one.
    pub(crate) fn replace_first(&mut self, name: &str, value: String) {
        if let Some((_, old)) = self.0.iter_mut().find(|(known, _)| known.eq_ignore_ascii_case(name)) {
            *old = value;
        }
    }

    /// Sets the only value under a name.
    pub(crate) fn set(&mut self, name: &str, value: String) {
        if self.first(name).is_some() {
            self.replace_first(name, value);
        } else {
            self.push(name, value);
        }
    }

    /// Says over what the message travels and its sender is found: in the Via of a request of ours (RFC 3261 section
    /// 18.1.1) and in our Contact (section 19.1.2).
    pub(crate) fn travel(&mut self, transport: Transport) {
        if transport == Transport::Udp {
            return;
        }
        if let Some(rest) = self.first("Via").and_then(|via| via.strip_prefix("SIP/2.0/UDP ")) {
            self.replace_first("Via", format!("SIP/2.0/{} {rest}", transport.as_str()));
        }
        self.found_over(transport);
    }

    fn found_over(&mut self, transport: Transport) {
        let contact = self.first("Contact").and_then(|contact| contact.split_once('>'));
        let says = |address: &str| address.starts_with("<sips:") || address.contains(";transport=");
        let Some((address, rest)) = contact.filter(|(address, _)| !says(address)) else {
            return;
        };
        self.replace_first("Contact", format!("{address}{}>{rest}", transport.parameter()));
    }

    /// Takes out every value under a name.
    pub(crate) fn remove(&mut self, name: &str) {
        self.0.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
    }

    /// The topmost Via's text: the first of a list.
    pub(crate) fn top_via(&self) -> Option<&str> {
        NameAddr::split_list(self.first("Via")?).into_iter().next()
    }

    /// The topmost Via, read.
    pub(crate) fn via(&self) -> Option<Via> {
        Via::parse(self.top_via()?)
    }

    pub(crate) fn cseq(&self) -> Option<CSeq> {
        CSeq::parse(self.first("CSeq")?)
    }

    pub(crate) fn from(&self) -> Option<NameAddr> {
        NameAddr::parse(self.first("From")?)
    }

    pub(crate) fn to(&self) -> Option<NameAddr> {
        NameAddr::parse(self.first("To")?)
    }

    pub(crate) fn call_id(&self) -> &str {
        self.first("Call-ID").unwrap_or("")
    }

    /// The first Contact's address.
    pub(crate) fn contact_uri(&self) -> Option<String> {
        let contact = NameAddr::split_list(self.first("Contact")?).into_iter().next()?;
        Some(NameAddr::parse(contact)?.uri)
    }

    /// Record-Route or Route values, lists taken apart, in order.
    pub(crate) fn routes(&self, name: &str) -> Vec<String> {
        self.all(name).flat_map(NameAddr::split_list).map(str::to_owned).collect()
    }
}

/// A request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) method: Method,
    /// Request-URI as written.
    pub(crate) uri: String,
    pub(crate) headers: Headers,
    pub(crate) body: Vec<u8>,
}

/// A response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Response {
    /// 100 to 699.
    pub(crate) status: u16,
    pub(crate) phrase: String,
    pub(crate) headers: Headers,
    pub(crate) body: Vec<u8>,
}

impl Request {
    /// A request with nothing in it yet.
    pub(crate) fn new(method: Method, uri: impl Into<String>) -> Self {
        Self { method, uri: uri.into(), headers: Headers::default(), body: Vec::new() }
    }

    /// Sets the body and says what it is.
    pub(crate) fn with_sdp(self, sdp: &str) -> Self {
        self.with_body("application/sdp", sdp.as_bytes())
    }

    /// Sets the body and says what it is.
    pub(crate) fn with_body(mut self, content_type: &str, body: &[u8]) -> Self {
        self.headers.push("Content-Type", content_type);
        self.body = body.to_vec();
        self
    }

    /// Whether it wants the way back encrypted on every hop, so that the Contact beside it has to be a `sips:` one
    /// (RFC 3261 sections 8.1.1.8 and 12.1.1).
    pub(crate) fn is_sips(&self) -> bool {
        let route = self.headers.first("Route").or_else(|| self.headers.first("Record-Route"));
        let way = route.or_else(|| self.headers.first("Contact"));
        let way = way.and_then(|way| NameAddr::parse(NameAddr::split_list(way).into_iter().next()?));
        let is_sips = |uri: &str| uri.get(..5).is_some_and(|scheme| scheme.eq_ignore_ascii_case("sips:"));
        is_sips(&self.uri) || way.is_some_and(|way| is_sips(&way.uri))
    }

    /// The bytes of a datagram. Content-Length is written here and nowhere else.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        write(&format!("{} {} SIP/2.0\r\n", self.method, self.uri), &self.headers, &self.body)
    }
}

impl Response {
    /// An answer to a request: its Via, From, To, Call-ID and CSeq (RFC 3261 section 8.2.6.2), and Record-Route
    /// where the answer makes a dialog (section 12.1.1). The tag goes to a To that has none.
    pub(crate) fn to(request: &Request, status: u16, phrase: &str, tag: Option<&str>) -> Self {
        let makes_dialog = request.method == Method::Invite && (101..300).contains(&status);
        let mut headers = Headers::default();
        for (name, value) in request.headers.iter() {
            let copied =
                ["Via", "From", "Call-ID", "CSeq"].iter().any(|kept| name.eq_ignore_ascii_case(kept));
            if copied || (makes_dialog && name.eq_ignore_ascii_case("Record-Route")) {
                headers.push(name, value);
            } else if name.eq_ignore_ascii_case("To") {
                let tagged = NameAddr::parse(value).is_none_or(|to| to.tag().is_some());
                match tag {
                    Some(tag) if !tagged => headers.push(name, format!("{value};tag={tag}")),
                    _ => headers.push(name, value),
                }
            }
        }
        Self { status, phrase: phrase.to_owned(), headers, body: Vec::new() }
    }

    /// Sets the body and says what it is.
    pub(crate) fn with_sdp(mut self, sdp: &str) -> Self {
        self.headers.push("Content-Type", "application/sdp");
        self.body = sdp.as_bytes().to_vec();
        self
    }

    /// The same, for the transport that the request came over.
    pub(crate) fn into_bytes_over(mut self, transport: Transport) -> Vec<u8> {
        self.headers.found_over(transport);
        self.to_bytes()
    }

    /// The bytes of a datagram. Content-Length is written here and nowhere else.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        write(&format!("SIP/2.0 {} {}\r\n", self.status, self.phrase), &self.headers, &self.body)
    }
}

fn write(start: &str, headers: &Headers, body: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(512 + body.len());
    bytes.extend_from_slice(start.as_bytes());
    for (name, value) in headers.iter() {
        for part in [name, ": ", value, "\r\n"] {
            bytes.extend_from_slice(part.as_bytes());
        }
    }
    bytes.extend_from_slice(format!("Content-Length: {}\r\n\r\n", body.len()).as_bytes());
    bytes.extend_from_slice(body);
    bytes
}

/// The phrase that goes with a status (RFC 3261 section 21).
pub(crate) fn phrase(status: u16) -> &'static str {
    match status {
        100 => "Trying",
        180 => "Ringing",
        202 => "Accepted",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        406 => "Not Acceptable",
        408 => "Request Timeout",
        410 => "Gone",
        413 => "Request Entity Too Large",
        415 => "Unsupported Media Type",
        416 => "Unsupported URI Scheme",
        420 => "Bad Extension",
        422 => "Session Interval Too Small",
        469 => "Bad Info Package",
        480 => "Temporarily Unavailable",
        481 => "Call/Transaction Does Not Exist",
        482 => "Loop Detected",
        483 => "Too Many Hops",
        484 => "Address Incomplete",
        486 => "Busy Here",
        487 => "Request Terminated",
        488 => "Not Acceptable Here",
        491 => "Request Pending",
        500 => "Server Internal Error",
        501 => "Not Implemented",
        503 => "Service Unavailable",
        504 => "Server Time-out",
        505 => "Version Not Supported",
        513 => "Message Too Large",
        600 => "Busy Everywhere",
        603 => "Decline",
        604 => "Does Not Exist Anywhere",
        606 => "Not Acceptable",
        other => match other / 100 {
            1 => "Session Progress",
            2 => "OK",
            3 => "Redirection",
            4 => "Request Failure",
            5 => "Server Failure",
            _ => "Global Failure",
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_carries_back_what_the_request_said() {
        let mut request = Request::new(Method::Invite, "sip:a@b");
        for (name, value) in [
            ("v", "SIP/2.0/UDP p1;branch=z9hG4bK1, SIP/2.0/UDP p2"),
            ("Via", "SIP/2.0/UDP p3"),
            ("Record-Route", "<sip:r1;lr>, <sip:r2;lr>"),
            ("f", "<sip:a@b>;tag=1"),
            ("t", "<sip:c@d>"),
            ("i", "x@y"),
            ("CSeq", "1 INVITE"),
            ("Subject", "not copied"),
        ] {
            request.headers.push(name, value);
        }
        let ringing =
            String::from_utf8(Response::to(&request, 180, "Ringing", Some("9")).to_bytes()).unwrap();
        assert_eq!(
            ringing,
            "SIP/2.0 180 Ringing\r\nVia: SIP/2.0/UDP p1;branch=z9hG4bK1, SIP/2.0/UDP p2\r\nVia: SIP/2.0/UDP p3\r\n\
             Record-Route: <sip:r1;lr>, <sip:r2;lr>\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:c@d>;tag=9\r\n\
             Call-ID: x@y\r\nCSeq: 1 INVITE\r\nContent-Length: 0\r\n\r\n"
        );
        let busy = Response::to(&request, 486, "Busy Here", Some("9"));
        assert!(busy.headers.first("Record-Route").is_none(), "a refusal makes no dialog");
        assert_eq!(busy.headers.to().unwrap().tag(), Some("9"));
    }

    #[test]
    fn a_tag_that_is_there_is_not_doubled() {
        let mut request = Request::new(Method::Bye, "sip:a@b");
        request.headers.push("To", "<sip:c@d>;tag=old");
        assert_eq!(
            Response::to(&request, 200, "OK", Some("new")).headers.first("To"),
            Some("<sip:c@d>;tag=old")
        );
    }

    #[test]
    fn lists_are_taken_apart_in_order() {
        let mut headers = Headers::default();
        headers.push("Record-Route", "<sip:a;lr>,<sip:b;lr>");
        headers.push("record-route", "\"x, y\" <sip:c;lr>");
        assert_eq!(headers.routes("Record-Route"), ["<sip:a;lr>", "<sip:b;lr>", "\"x, y\" <sip:c;lr>"]);
    }
}
