//! What a far end keeps of a call to write its next message (RFC 3261 section 12).

use std::net::SocketAddr;

use super::message::Message;

/// One call's state on the wire.
#[derive(Debug, Clone)]
pub(super) struct Dialog {
    pub(super) call_id: String,
    /// We called.
    pub(super) outgoing: bool,
    /// Request-URI of the INVITE.
    pub(super) uri: String,
    /// Via branch of the INVITE that we sent.
    pub(super) branch: String,
    /// From and To of our requests, tags included as far as known.
    pub(super) local: String,
    pub(super) remote: String,
    /// Where requests in the dialog go.
    pub(super) target: String,
    pub(super) cseq: u32,
    /// The INVITE that we got.
    pub(super) invite: Option<Message>,
    /// What whoever hangs up has to prove first, as a header.
    pub(super) challenge: Option<String>,
    /// We gave it a final answer.
    pub(super) answered: bool,
    /// The gateway withdrew it, or we took its BYE.
    pub(super) over: bool,
}

impl Dialog {
    /// A request of ours as text.
    pub(super) fn request(
        &self,
        own: SocketAddr,
        method: &str,
        branch: &str,
        cseq: u32,
        more: &[String],
        body: &str,
    ) -> String {
        // CANCEL and the ACK of a refusal go where the INVITE went, with its To (RFC 3261 sections 9.1 and 17.1.1.3).
        let uri = if branch == self.branch { &self.uri } else { &self.target };
        let Self { call_id, local, remote, .. } = self;
        let more: String = more.iter().map(|header| format!("{header}\r\n")).collect();
        let kind = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
        format!(
            "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {own};rport;branch={branch}\r\nMax-Forwards: 70\r\n\
             From: {local}\r\nTo: {remote}\r\nCall-ID: {call_id}\r\nCSeq: {cseq} {method}\r\n\
             Contact: <sip:100@{own}>\r\n{more}{kind}Content-Length: {}\r\n\r\n{body}",
            body.len()
        )
    }

    /// A response of ours to the INVITE that we got, as text.
    pub(super) fn response(
        &self,
        own: SocketAddr,
        status: u16,
        phrase: &str,
        more: &[String],
        body: &str,
    ) -> Option<String> {
        Some(respond(self.invite.as_ref()?, &self.local, own, status, phrase, more, body))
    }
}

/// A response as text; `to` is the To header with our tag.
pub(super) fn respond(
    request: &Message,
    to: &str,
    own: SocketAddr,
    status: u16,
    phrase: &str,
    more: &[String],
    body: &str,
) -> String {
    let vias: String = request.all("Via").map(|via| format!("Via: {via}\r\n")).collect();
    let header = |name: &str| request.header(name).unwrap_or_default().to_owned();
    let (from, call_id, cseq) = (header("From"), header("Call-ID"), header("CSeq"));
    let more: String = more.iter().map(|header| format!("{header}\r\n")).collect();
    let kind = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
    format!(
        "SIP/2.0 {status} {phrase}\r\n{vias}From: {from}\r\nTo: {to}\r\nCall-ID: {call_id}\r\nCSeq: {cseq}\r\n\
         Contact: <sip:100@{own}>\r\n{more}{kind}Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// A session description with Opus at this address.
pub(super) fn sdp(rtp: SocketAddr, payload_type: u8) -> String {
    let (ip, port) = (rtp.ip(), rtp.port());
    format!(
        "v=0\r\no=- 1 1 IN IP4 {ip}\r\ns=-\r\nc=IN IP4 {ip}\r\nt=0 0\r\nm=audio {port} RTP/AVP {payload_type}\r\n\
         a=rtpmap:{payload_type} opus/48000/2\r\na=ptime:20\r\na=sendrecv\r\n"
    )
}

/// The same with RFC 4733 events beside it.
pub(super) fn sdp_with_events(rtp: SocketAddr, payload_type: u8, events: u8) -> String {
    let listed = format!("RTP/AVP {payload_type}");
    let sdp = sdp(rtp, payload_type).replace(&listed, &format!("{listed} {events}"));
    sdp + &format!("a=rtpmap:{events} telephone-event/48000\r\n")
}
