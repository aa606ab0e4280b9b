//! tcpdump on loopback: when a message passed, by the kernel's clock, however late whoever sent or got it comes to look.

use std::collections::HashMap;
use std::fs::File;
use std::net::SocketAddr;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::NamedTempFile;
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStderr, Command};
use tokio::time::{sleep, timeout};

use crate::pcap;

const LIMIT: Duration = Duration::from_secs(10);
/// The kernel hands packets over once a second, and what it still holds when tcpdump ends is lost.
const HELD: Duration = Duration::from_millis(1_200);

/// A running one.
pub struct Tcpdump {
    child: Child,
    says: Lines<BufReader<ChildStderr>>,
    file: NamedTempFile,
}

/// How calls were set up, in microseconds.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SetUps {
    /// When each call's first INVITE passed, the earliest first.
    pub invited_us: Vec<u64>,
    /// From a call's first INVITE to its first 100, and to its first 200.
    pub until_100_us: Vec<u64>,
    pub until_200_us: Vec<u64>,
    /// Calls that were answered, in the order in which they were.
    pub answered: Vec<Answered>,
}

/// An answered call, in microseconds since 1970.
#[derive(Debug, Clone, PartialEq)]
pub struct Answered {
    /// The user part of whom its INVITE calls.
    pub callee: String,
    /// When its first INVITE passed, and its first 200.
    pub invited_us: u64,
    pub answered_us: u64,
}

impl Tcpdump {
    /// Notes the UDP datagrams from and to a port.
    ///
    /// # Errors
    /// Where the Debian package `tcpdump` is missing, or the right to listen.
    pub async fn start(port: u16) -> anyhow::Result<Self> {
        let file = NamedTempFile::with_prefix("tcpdump-")?;
        let mut command = Command::new("tcpdump");
        command.args(["-i", "lo", "-n", "-B", "8192", "--time-stamp-precision=nano", "-w", "-"]);
        command.arg(format!("udp port {port}")).kill_on_drop(true);
        command.stdin(Stdio::null()).stdout(File::create(file.path())?).stderr(Stdio::piped());
        let mut child = command.spawn().context("tcpdump, from the Debian package of that name")?;
        let says = BufReader::new(child.stderr.take().context("its complaints are a pipe")?).lines();
        let mut tcpdump = Self { child, says, file };
        tcpdump.says("listening on").await?;
        Ok(tcpdump)
    }

    /// What passed: when, and the datagram's payload.
    ///
    /// # Errors
    /// When it missed some.
    pub async fn finished(mut self) -> anyhow::Result<Vec<(Duration, Vec<u8>)>> {
        sleep(HELD).await;
        let pid = self.child.id().context("tcpdump has ended")?;
        kill(Pid::from_raw(pid.try_into()?), Signal::SIGINT)?;
        let dropped = self.says("dropped by kernel").await?;
        ensure!(dropped.starts_with("0 "), "tcpdump missed some: {dropped}");
        timeout(LIMIT, self.child.wait()).await.context("tcpdump does not end")??;
        pcap::read(self.file.path())
    }

    async fn says(&mut self, what: &str) -> anyhow::Result<String> {
        let mut said = String::new();
        loop {
            let line = timeout(LIMIT, self.says.next_line()).await;
            let line = line.with_context(|| format!("tcpdump says no \"{what}\": {said}"))??;
            let Some(line) = line else { bail!("tcpdump ended: {said}") };
            if line.contains(what) {
                return Ok(line);
            }
            said = said + &line + "; ";
        }
    }
}

impl SetUps {
    /// Those of calls to an address.
    pub fn of(passed: &[(Duration, Vec<u8>)], callee: SocketAddr) -> Self {
        let us = |time: Duration| time.as_micros() as u64;
        let (mut found, callee) = (Self::default(), callee.to_string());
        // When each was invited and who is called, and which answers it has.
        let mut calls = HashMap::<String, (Duration, String, bool, bool)>::new();
        for (at, datagram) in passed {
            let text = String::from_utf8_lossy(datagram);
            let mut lines = text.lines();
            let start = lines.next().unwrap_or_default();
            let header = |name: &str| lines.clone().find_map(|line| line.strip_prefix(name)).map(str::trim);
            let (Some(call), Some(asked)) = (header("Call-ID:"), header("CSeq:")) else { continue };
            if !asked.ends_with("INVITE") {
                continue;
            }
            if start.starts_with("INVITE ") && start.contains(&callee) && !calls.contains_key(call) {
                let user = start.strip_prefix("INVITE sip:").and_then(|uri| uri.split_once('@'));
                let user = user.map_or("", |(user, _)| user).to_owned();
                calls.insert(call.to_owned(), (*at, user, false, false));
                found.invited_us.push(us(*at));
            }
            let Some((since, user, is_tried, is_answered)) = calls.get_mut(call) else { continue };
            let took = us(at.saturating_sub(*since));
            if start.starts_with("SIP/2.0 100") && !std::mem::replace(is_tried, true) {
                found.until_100_us.push(took);
            } else if start.starts_with("SIP/2.0 200") && !std::mem::replace(is_answered, true) {
                found.until_200_us.push(took);
                let (invited_us, answered_us) = (us(*since), us(*at));
                found.answered.push(Answered { callee: std::mem::take(user), invited_us, answered_us });
            }
        }
        found
    }

    /// Calls begun in a second, from the first to the last.
    pub fn per_second(&self) -> Option<f64> {
        let (first, last) = (self.invited_us.first()?, self.invited_us.last()?);
        let seconds = last.saturating_sub(*first) as f64 / 1e6;
        (seconds > 0.0).then(|| (self.invited_us.len() - 1) as f64 / seconds)
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::UdpSocket;

    use super::*;

    #[test]
    fn a_call_is_timed_from_its_first_invite_to_its_first_answers() {
        let callee = "127.0.0.1:5060".parse().unwrap();
        let message = |ms, start: &str, call: &str, method: &str| {
            let text = format!("{start}\r\nCall-ID: {call}\r\nCSeq: 1 {method}\r\n\r\n");
            (Duration::from_millis(ms), text.into_bytes())
        };
        let invite = "INVITE sip:7@127.0.0.1:5060 SIP/2.0";
        let passed = [
            message(10, invite, "a", "INVITE"),
            message(12, "INVITE sip:7@127.0.0.1:30001 SIP/2.0", "of the gateway", "INVITE"),
            message(13, "SIP/2.0 100 Trying", "of the gateway", "INVITE"),
            message(14, "SIP/2.0 100 Trying", "a", "INVITE"),
            message(510, invite, "a", "INVITE"),
            message(511, "SIP/2.0 100 Trying", "a", "INVITE"),
            message(600, "SIP/2.0 200 OK", "a", "INVITE"),
            message(900, "SIP/2.0 200 OK", "a", "BYE"),
            message(1_010, invite, "b", "INVITE"),
            message(2_010, invite, "c", "INVITE"),
        ];
        let found = SetUps::of(&passed, callee);
        assert_eq!(found.invited_us, [10_000, 1_010_000, 2_010_000]);
        assert_eq!((&found.until_100_us[..], &found.until_200_us[..]), (&[4_000][..], &[590_000][..]));
        let answered = Answered { callee: "7".to_owned(), invited_us: 10_000, answered_us: 600_000 };
        assert_eq!(found.answered, [answered]);
        assert_eq!((found.per_second(), SetUps::default().per_second()), (Some(1.0), None));
    }

    #[tokio::test]
    async fn what_passes_is_read_with_its_time() {
        let one = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let other = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let to = other.local_addr().unwrap();
        let tcpdump = Tcpdump::start(to.port()).await.unwrap();
        one.send_to(b"one", to).await.unwrap();
        sleep(Duration::from_millis(300)).await;
        one.send_to(b"other", to).await.unwrap();
        let passed = tcpdump.finished().await.unwrap();
        let payloads: Vec<&[u8]> = passed.iter().map(|(_, payload)| &payload[..]).collect();
        assert_eq!(payloads, [&b"one"[..], b"other"]);
        assert!(passed[1].0 - passed[0].0 >= Duration::from_millis(300));
    }
}
