//! SIP written by hand, for what no proper phone would say.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, bail};
use tokio::net::UdpSocket;
use tokio::time::{Instant, timeout_at};

/// Calls `user` at the line as it is written here, gives up once it rings, and tells the statuses seen, in order.
///
/// # Errors
/// When there is no final answer in time.
pub async fn invite(line: SocketAddr, user: &str, limit: Duration) -> anyhow::Result<Vec<u16>> {
    invite_from(SocketAddr::from(([127, 0, 0, 1], 0)), line, user, limit).await
}

/// The same from another address.
///
/// # Errors
/// When there is no final answer in time; tells the statuses seen.
pub async fn invite_from(
    from: SocketAddr,
    line: SocketAddr,
    user: &str,
    limit: Duration,
) -> anyhow::Result<Vec<u16>> {
    let socket = UdpSocket::bind(from).await?;
    let local = socket.local_addr()?;
    let port = local.port();
    let sdp = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
               m=audio 9 RTP/AVP 107\r\na=rtpmap:107 opus/48000/2\r\n";
    let request = |method: &str, to: &str, body: &str| {
        let kind = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
        format!(
            "{method} sip:{user}@{line} SIP/2.0\r\nVia: SIP/2.0/UDP {local};rport;branch=z9hG4bKraw{port}\r\n\
             Max-Forwards: 70\r\nFrom: <sip:100@{local}>;tag=raw{port}\r\nTo: {to}\r\n\
             Call-ID: raw{port}@127.0.0.1\r\nCSeq: 1 {method}\r\nContact: <sip:100@{local}>\r\n{kind}\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        )
    };
    let to = format!("<sip:{user}@{line}>");
    socket.send_to(request("INVITE", &to, sdp).as_bytes(), line).await?;
    let until = Instant::now() + limit;
    let (mut seen, mut buffer) = (Vec::new(), vec![0; 65_535]);
    loop {
        let received = timeout_at(until, socket.recv_from(&mut buffer)).await;
        let Ok(received) = received else { bail!("{user}: no final answer within {limit:?}, only {seen:?}") };
        let answer = String::from_utf8_lossy(&buffer[..received?.0]).into_owned();
        let header = |name: &str| answer.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
        if !answer.starts_with("SIP/2.0 ") || !header("CSeq:").contains("INVITE") {
            continue;
        }
        let status: u16 = answer.get(8..11).context("a status")?.parse()?;
        seen.push(status);
        if status == 180 {
            socket.send_to(request("CANCEL", &to, "").as_bytes(), line).await?;
        } else if status >= 200 {
            socket.send_to(request("ACK", header("To:").trim(), "").as_bytes(), line).await?;
            return Ok(seen);
        }
    }
}
