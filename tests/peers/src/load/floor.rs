//! The barest relay, as a process under measurement.

use std::env;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::ops::Range;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, ensure};

use super::ends::Ends;
use super::master::{Master, Profile, keys};
use crate::ports;

/// When packets go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// A millisecond's packets together.
    Tick,
    /// Each as it comes.
    Immediate,
    /// A millisecond's packets together, of two sockets for each call.
    Legs,
    /// The same of a socket for each call towards its trunk, and one for many towards Telegram.
    Mixed,
}

/// The relay; it ends when this is dropped.
pub struct Floor {
    child: Child,
    trunk: Range<u16>,
    telegram: Range<u16>,
}

impl Floor {
    /// Starts one for so many calls.
    ///
    /// # Errors
    /// When the program is not there: `TGTRUNK_FLOOR` names it.
    pub fn start(ends: &Ends, calls: usize, mode: Mode, profile: Profile) -> anyhow::Result<Self> {
        let program =
            env::var_os("TGTRUNK_FLOOR").map(PathBuf::from).context("TGTRUNK_FLOOR names no program")?;
        let mut child = Command::new(&program)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("{} cannot be run", program.display()))?;
        let [at_trunk, at_telegram] =
            [ports::free()?, ports::free()?].map(|port| SocketAddrV4::new(Ipv4Addr::LOCALHOST, port));
        let word = match mode {
            Mode::Tick => "tick",
            Mode::Immediate => "immediate",
            Mode::Legs => "legs",
            Mode::Mixed => "mixed",
        };
        let mut words =
            format!("mode {word}\nprofile {}\ntrunk {at_trunk}\ntelegram {at_telegram}\n", profile.name());
        let first = ends.next();
        for number in (0..).take(calls) {
            let ports = [at_trunk.port(), at_telegram.port()];
            let [at_trunk, at_telegram] = match mode {
                Mode::Legs => addresses(number, ports),
                Mode::Mixed => [addresses(number, ports)[0], group(number, ports[1])],
                Mode::Tick | Mode::Immediate => [at_trunk, at_telegram],
            };
            let ((trunk, trunk_end), (telegram, telegram_end)) = (ends.trunk(), ends.telegram());
            let (to, from) = (Master::random(profile)?, Master::random(profile)?);
            words += &format!("call {trunk_end} {telegram_end}");
            for part in [to.parts(profile), from.parts(profile)].iter().flat_map(|(key, salt)| [key, salt]) {
                words += &format!(" {}", hex::encode(part));
            }
            words += "\n";
            ends.connect_trunk(trunk, at_trunk, 96);
            ends.connect_telegram(telegram, keys(profile, &from, &to, at_telegram)?);
        }
        let input = child.stdin.as_mut().context("its input is a pipe")?;
        input.write_all(words.as_bytes())?;
        input.write_all(b"go\n")?;
        let mut said = String::new();
        BufReader::new(child.stdout.as_mut().context("its output is a pipe")?).read_line(&mut said)?;
        ensure!(said == "ready\n", "the floor says {said:?}");
        let next = ends.next();
        Ok(Self { child, trunk: first.0..next.0, telegram: first.1..next.1 })
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The ends of its calls: of the trunk, of Telegram.
    pub fn ends(&self) -> (Range<u16>, Range<u16>) {
        (self.trunk.clone(), self.telegram.clone())
    }
}

impl Drop for Floor {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// The addresses of a call's sockets, where it has its own: the floor's own rule.
fn addresses(number: u16, ports: [u16; 2]) -> [SocketAddrV4; 2] {
    let [high, low] = number.to_be_bytes();
    ports.map(|port| SocketAddrV4::new([127, 1, high, low].into(), port))
}

/// The address of the group of 128 that a call belongs to: the floor's own rule.
fn group(number: u16, port: u16) -> SocketAddrV4 {
    let [high, low] = (number / 128).to_be_bytes();
    SocketAddrV4::new([127, 2, high, low].into(), port)
}
