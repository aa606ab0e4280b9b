//! tcpdump on loopback: when a message passed, by the kernel's clock, however late whoever sent or got it comes to look.

use std::collections::HashMap;
use std::fs::File;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, ensure};
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

impl Tcpdump {
    /// Notes the UDP datagrams from and to a port; nobody where the Debian package `tcpdump` is missing.
    ///
    /// # Errors
    /// Without the right to listen.
    pub async fn start(port: u16) -> anyhow::Result<Option<Self>> {
        let file = NamedTempFile::with_prefix("tcpdump-")?;
        let mut command = Command::new("tcpdump");
        command.args(["-i", "lo", "-n", "-B", "8192", "--time-stamp-precision=nano", "-w", "-"]);
        command.arg(format!("udp port {port}")).kill_on_drop(true);
        command.stdin(Stdio::null()).stdout(File::create(file.path())?).stderr(Stdio::piped());
        let mut child = match command.spawn() {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            spawned => spawned.context("tcpdump")?,
        };
        let says = BufReader::new(child.stderr.take().context("its complaints are a pipe")?).lines();
        let mut tcpdump = Self { child, says, file };
        tcpdump.says("listening on").await?;
        Ok(Some(tcpdump))
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
        while let Some(line) = timeout(LIMIT, self.says.next_line())
            .await
            .with_context(|| format!("no \"{what}\": {said}"))??
        {
            if line.contains(what) {
                return Ok(line);
            }
            said = said + &line + "; ";
        }
        anyhow::bail!("tcpdump ended without \"{what}\": {said}")
    }
}

/// From a call's first INVITE until its first answer of either kind, in microseconds: `trying` until 100, `setup` until 200.
pub fn set_up_times(passed: &[(Duration, Vec<u8>)], callee: SocketAddr) -> Vec<(String, u64)> {
    let mut invited = HashMap::<String, Duration>::new();
    let mut times = HashMap::<(String, &str), u64>::new();
    for (at, datagram) in passed {
        let text = String::from_utf8_lossy(datagram);
        let header = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
        let (Some(call), Some(asked)) = (header("Call-ID:"), header("CSeq:")) else { continue };
        if !asked.ends_with("INVITE") {
            continue;
        }
        if text.starts_with("INVITE ")
            && text.lines().next().is_some_and(|line| line.contains(&callee.to_string()))
        {
            invited.entry(call.to_owned()).or_insert(*at);
        }
        let what = match text.get(..11) {
            Some("SIP/2.0 100") => "trying",
            Some("SIP/2.0 200") => "setup",
            _ => continue,
        };
        if let Some(since) = invited.get(call) {
            let took = at.saturating_sub(*since).as_micros() as u64;
            times.entry((call.to_owned(), what)).or_insert(took);
        }
    }
    times.into_iter().map(|((_, what), took)| (what.to_owned(), took)).collect()
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
        ];
        let mut times = set_up_times(&passed, callee);
        times.sort();
        assert_eq!(times, [("setup".to_owned(), 590_000), ("trying".to_owned(), 4000)]);
    }

    #[tokio::test]
    async fn what_passes_is_read_with_its_time() {
        let (one, other) =
            (UdpSocket::bind("127.0.0.1:0").await.unwrap(), UdpSocket::bind("127.0.0.1:0").await.unwrap());
        let to = other.local_addr().unwrap();
        let Some(tcpdump) = Tcpdump::start(to.port()).await.unwrap() else { return };
        one.send_to(b"one", to).await.unwrap();
        sleep(Duration::from_millis(300)).await;
        one.send_to(b"other", to).await.unwrap();
        let passed = tcpdump.finished().await.unwrap();
        let payloads: Vec<&[u8]> = passed.iter().map(|(_, payload)| &payload[..]).collect();
        assert_eq!(payloads, [&b"one"[..], b"other"]);
        assert!(passed[1].0 - passed[0].0 >= Duration::from_millis(300));
    }
}
