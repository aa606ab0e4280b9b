//! One SIP message as text (RFC 3261 section 7): nothing in it is understood before somebody asks.

use std::net::SocketAddr;

use anyhow::{Context as _, ensure};

/// A request or a response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Request line or status line.
    pub start: String,
    /// Names and values in their order.
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Message {
    /// Splits a datagram.
    ///
    /// # Errors
    /// When it is no text of lines that end as RFC 3261 wants, or its length is not what it says.
    pub fn read(datagram: &[u8]) -> anyhow::Result<Self> {
        let text = std::str::from_utf8(datagram).context("not UTF-8")?;
        let (head, body) = text.split_once("\r\n\r\n").context("no empty line")?;
        let mut lines = head.split("\r\n");
        let start = lines.next().unwrap_or_default().to_owned();
        let headers = lines
            .map(|line| {
                let (name, value) = line.split_once(':').with_context(|| format!("no header: {line:?}"))?;
                Ok((name.trim().to_owned(), value.trim().to_owned()))
            })
            .collect::<anyhow::Result<Vec<_>>>()?;
        let message = Self { start, headers, body: body.to_owned() };
        let told: usize = message.header("Content-Length").context("no Content-Length")?.parse()?;
        ensure!(told == message.body.len(), "Content-Length is {told}, the body has {}", message.body.len());
        Ok(message)
    }

    /// The status of a response.
    pub fn status(&self) -> Option<u16> {
        self.start.strip_prefix("SIP/2.0 ")?.get(..3)?.parse().ok()
    }

    /// What follows the status.
    pub fn phrase(&self) -> &str {
        self.start.strip_prefix("SIP/2.0 ").and_then(|rest| rest.get(4..)).unwrap_or_default()
    }

    /// The method of a request.
    pub fn method(&self) -> Option<&str> {
        if self.status().is_some() { None } else { self.start.split(' ').next() }
    }

    /// The first header of a name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.all(name).next()
    }

    /// Every header of a name.
    pub fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.headers
            .iter()
            .filter(move |(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    /// Number and method of CSeq.
    pub fn cseq(&self) -> (u32, &str) {
        let (number, method) = self.header("CSeq").and_then(|cseq| cseq.split_once(' ')).unwrap_or_default();
        (number.parse().unwrap_or_default(), method.trim())
    }

    /// The URI of the first Contact.
    pub fn contact(&self) -> Option<&str> {
        let contact = self.header("Contact")?;
        match contact.split_once('<') {
            Some((_, rest)) => rest.split('>').next(),
            None => contact.split(';').next(),
        }
    }

    /// Where the sound of the session description goes, and the payload type of Opus in it.
    pub fn opus(&self) -> Option<(SocketAddr, u8)> {
        let line = |start: &str| self.body.lines().find_map(|line| line.strip_prefix(start));
        let address = line("c=IN IP4 ")?.trim();
        let port = line("m=audio ")?.split(' ').next()?;
        let rtpmap = self.body.lines().find(|line| line.to_ascii_lowercase().contains(" opus/48000/2"))?;
        let payload_type = rtpmap.strip_prefix("a=rtpmap:")?.split(' ').next()?;
        Some((format!("{address}:{port}").parse().ok()?, payload_type.parse().ok()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REFUSAL: &str = "SIP/2.0 486 Busy Here\r\nVia: a\r\nvia: b\r\nCSeq: 7 INVITE\r\n\
         Contact: \"x\" <sip:1@h:5>;q=1\r\nContent-Length: 3\r\n\r\nabc";

    #[test]
    fn a_response_gives_what_it_says() {
        let message = Message::read(REFUSAL.as_bytes()).unwrap();
        assert_eq!((message.status(), message.phrase(), message.method()), (Some(486), "Busy Here", None));
        assert_eq!(message.all("Via").collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!((message.cseq(), message.contact()), ((7, "INVITE"), Some("sip:1@h:5")));
    }

    #[test]
    fn a_request_has_a_method_and_an_offer_its_opus() {
        let sdp = "v=0\r\nc=IN IP4 127.0.0.1\r\nm=audio 4000 RTP/AVP 96\r\na=rtpmap:96 opus/48000/2\r\n";
        let text = format!("INVITE sip:a@b SIP/2.0\r\nContent-Length: {}\r\n\r\n{sdp}", sdp.len());
        let message = Message::read(text.as_bytes()).unwrap();
        assert_eq!((message.method(), message.status()), (Some("INVITE"), None));
        assert_eq!(message.opus(), Some((SocketAddr::from(([127, 0, 0, 1], 4000)), 96)));
    }

    #[test]
    fn lengths_and_line_ends_that_are_wrong_are_seen() {
        assert!(Message::read(REFUSAL.replace("Length: 3", "Length: 4").as_bytes()).is_err());
        assert!(Message::read(REFUSAL.replace("\r\n", "\n").as_bytes()).is_err());
    }
}
