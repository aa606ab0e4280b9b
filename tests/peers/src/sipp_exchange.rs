//! SIPp as the PBX that many people call at once, and what it received: whose call is which stream of keys.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::Context as _;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;
use tokio::process::{Child, Command};

use crate::capture::Capture;
use crate::ports;
use crate::telephone_event::{self, Event};

/// Opus' clock, at which events are counted beside it.
const CLOCK_HZ: u32 = 48_000;

/// A PBX at work.
pub struct Exchange {
    child: Child,
    dir: TempDir,
    /// Where it takes calls.
    pub sip: SocketAddr,
    /// Where its sound arrives, that of all calls.
    pub media: SocketAddr,
}

/// A call that it was offered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offered {
    /// The caller, from `X-TG-ID`.
    pub telegram_id: i64,
    /// User part of the request URI.
    pub dialled: String,
    /// From where the gateway sends the call's sound.
    pub audio: SocketAddr,
    /// The payload type of events.
    pub event_type: u8,
}

impl Exchange {
    /// Starts it, at this port or any; each call rings for a while, is answered, and hears itself if it is to.
    ///
    /// # Errors
    /// When the Debian package `sip-tester` is missing.
    pub fn start(sip_port: Option<u16>, rings: Duration, echo: bool) -> anyhow::Result<Self> {
        let dir = TempDir::with_prefix("exchange-")?;
        let (sip_port, media_port) = (sip_port.map_or_else(ports::free, Ok)?, ports::free_media()?);
        let scenario = Path::new(env!("CARGO_MANIFEST_DIR")).join("sipp/exchange.xml");
        let mut command = Command::new("sipp");
        command.current_dir(dir.path()).arg("-sf").arg(scenario);
        command.args(["-i", "127.0.0.1", "-p", &sip_port.to_string(), "-aa", "-nostdin"]);
        command.args(["-mi", "127.0.0.1", "-mp", &media_port.to_string()]);
        command.args(["-d", &rings.as_millis().to_string(), "-cp", &ports::free()?.to_string()]);
        if echo {
            command.arg("-rtp_echo");
        }
        command.args(["-trace_err", "-error_file", "errors.log"]);
        command.args(["-trace_msg", "-message_file", "messages.log"]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
        let child = command.spawn().context("sipp, from the Debian package sip-tester")?;
        let address = |port| SocketAddr::from(([127, 0, 0, 1], port));
        Ok(Self { child, dir, sip: address(sip_port), media: address(media_port) })
    }

    /// The calls it was offered so far.
    pub fn offered(&self) -> Vec<Offered> {
        let messages = std::fs::read_to_string(self.dir.path().join("messages.log")).unwrap_or_default();
        invites(&messages).filter_map(|invite| Offered::read(&invite)).collect()
    }

    /// How many requests of a method it received, repeated ones too.
    pub fn received(&self, method: &str) -> usize {
        let messages = std::fs::read_to_string(self.dir.path().join("messages.log")).unwrap_or_default();
        received(&messages).filter(|message| message.starts_with(&format!("{method} "))).count()
    }

    /// The keys that came with a call, in order.
    ///
    /// # Errors
    /// With what is wrong with a packet.
    pub fn keys(&self, call: &Offered, capture: &Capture) -> anyhow::Result<Vec<Event>> {
        let stream = capture.stream(|packet| packet.source == call.audio && packet.destination == self.media);
        telephone_event::read(stream.packets(), call.event_type, CLOCK_HZ)
    }

    /// What it complained about.
    pub fn errors(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("errors.log")).unwrap_or_default()
    }

    /// Ends it at once, as a machine that loses power.
    ///
    /// # Errors
    /// When it has ended already.
    pub fn kill(&self) -> anyhow::Result<()> {
        let process = self.child.id().context("sipp has ended")?;
        Ok(kill(Pid::from_raw(process.try_into()?), Signal::SIGKILL)?)
    }
}

impl Offered {
    fn read(invite: &str) -> Option<Self> {
        let dialled = invite.strip_prefix("INVITE sip:")?.split('@').next()?.to_owned();
        let after = |mark: &str| invite.lines().find_map(|line| line.strip_prefix(mark)).map(str::trim);
        let telegram_id = after("X-TG-ID:")?.parse().ok()?;
        let ip = after("c=IN IP4 ")?.parse().ok()?;
        let port = after("m=audio ")?.split(' ').next()?.parse().ok()?;
        let event_type = invite.lines().find_map(|line| {
            line.strip_prefix("a=rtpmap:")?.strip_suffix(" telephone-event/48000")?.parse().ok()
        })?;
        Some(Self { telegram_id, dialled, audio: SocketAddr::new(ip, port), event_type })
    }
}

fn invites(messages: &str) -> impl Iterator<Item = String> {
    received(messages).filter(|message| message.starts_with("INVITE "))
}

/// Messages in SIPp's trace that it received, with plain line ends.
fn received(messages: &str) -> impl Iterator<Item = String> {
    messages.split("UDP message received").skip(1).filter_map(|message| {
        let message = message.replace('\r', "");
        let (_, message) = message.split_once("\n\n")?;
        Some(message.trim_start().split("\n-----------").next()?.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offered_calls_are_read_from_the_trace() {
        let trace = "----------- 2026-01-01\nUDP message received [900] bytes :\n\n\
                     INVITE sip:79060000000@127.0.0.1:5060 SIP/2.0\r\nX-TG-ID: 5000001\r\n\r\nv=0\r\n\
                     c=IN IP4 127.0.0.1\r\nm=audio 20100 RTP/AVP 111 101\r\na=rtpmap:111 opus/48000/2\r\n\
                     a=rtpmap:101 telephone-event/48000\r\n\n----------- 2026\nUDP message sent (200 bytes):\n\nSIP/2.0 200 OK\r\n\r\n\
                     \n-----------\nUDP message received [9] bytes :\n\nBYE sip:100@127.0.0.1 SIP/2.0\r\n\r\n";
        let offered: Vec<Offered> = invites(trace).filter_map(|invite| Offered::read(&invite)).collect();
        let wanted = Offered {
            telegram_id: 5_000_001,
            dialled: "79060000000".to_owned(),
            audio: SocketAddr::from(([127, 0, 0, 1], 20_100)),
            event_type: 101,
        };
        assert_eq!(offered, [wanted]);
        assert_eq!(received(trace).count(), 2);
    }
}
