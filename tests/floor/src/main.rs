//! The barest relay as a program.
//!
//! Its standard input holds one word and its values per line: `mode tick|immediate`, `profile gcm128|gcm256|cm`, `trunk`
//! and `telegram` with the address of a socket, `call` with the trunk's end, Telegram's end, and key and salt in hexadecimal
//! towards Telegram and from there, in the order of the ends' addresses; `go` begins. It says `ready` and runs until its input ends.

#![expect(clippy::print_stdout, reason = "its parent waits for a word")]

use std::io::{BufRead as _, BufReader};
use std::net::{SocketAddrV4, UdpSocket};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, bail};

use tgtrunk_floor::batch::Batch;
use tgtrunk_floor::relay::{Call, Mode, Relay};
use tgtrunk_floor::srtp::{Context, Profile};

/// How long packets may gather.
const TICK: Duration = Duration::from_millis(1);

fn main() -> anyhow::Result<()> {
    let (mut mode, mut profile) = (Mode::Tick, Profile::Gcm256);
    let (mut trunk, mut telegram) = (None, None);
    let mut calls = Vec::new();
    let mut lines = BufReader::new(std::io::stdin()).lines();
    loop {
        let line = lines.next().context("`go` is missing")??;
        match line.split(' ').collect::<Vec<_>>()[..] {
            ["mode", "tick"] => mode = Mode::Tick,
            ["mode", "immediate"] => mode = Mode::Immediate,
            ["profile", name] => profile = Profile::named(name).context("profile gcm128, gcm256 or cm")?,
            ["trunk", address] => trunk = Some(bind(address)?),
            ["telegram", address] => telegram = Some(bind(address)?),
            ["call", trunk, telegram, key_to, salt_to, key_from, salt_from] => calls.push(Call {
                trunk: trunk.parse()?,
                telegram: telegram.parse()?,
                to_telegram: Context::new(profile, &hex::decode(key_to)?, &hex::decode(salt_to)?)?,
                from_telegram: Context::new(profile, &hex::decode(key_from)?, &hex::decode(salt_from)?)?,
            }),
            ["go"] => break,
            _ => bail!("not understood: {line:?}"),
        }
    }
    let (trunk, telegram) =
        (trunk.context("`trunk` is missing")?, telegram.context("`telegram` is missing")?);
    let Relay { mut to_telegram, mut to_trunk } = Relay::new(calls);
    println!("ready");
    thread::spawn(move || {
        // The parent is gone, or done.
        for _ in lines {}
        std::process::exit(0);
    });
    let mut batch = Batch::new();
    match mode {
        Mode::Tick => loop {
            while to_telegram.carry(&mut batch, &trunk, &telegram, false)? {}
            while to_trunk.carry(&mut batch, &telegram, &trunk, false)? {}
            thread::sleep(TICK);
        },
        Mode::Immediate => {
            let (trunk, telegram) = (Arc::new(trunk), Arc::new(telegram));
            let (from, to) = (Arc::clone(&trunk), Arc::clone(&telegram));
            thread::spawn(move || {
                let mut batch = Batch::new();
                while to_telegram.carry(&mut batch, &from, &to, true).is_ok() {}
            });
            loop {
                to_trunk.carry(&mut batch, &telegram, &trunk, true)?;
            }
        }
    }
}

fn bind(address: &str) -> anyhow::Result<UdpSocket> {
    let address: SocketAddrV4 = address.parse()?;
    let socket = UdpSocket::bind(address).with_context(|| format!("{address} is taken"))?;
    // What the generator does to its sockets: a burst is no loss.
    nix::sys::socket::setsockopt(&socket, nix::sys::socket::sockopt::RcvBufForce, &(8 << 20))
        .or_else(|_| nix::sys::socket::setsockopt(&socket, nix::sys::socket::sockopt::RcvBuf, &(8 << 20)))?;
    Ok(socket)
}
