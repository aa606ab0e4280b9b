//! The barest relay as a program.
//!
//! Its standard input holds one word and its values per line: `mode tick|immediate|legs|mixed`, `profile gcm128|gcm256|cm`, `trunk`
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
use tgtrunk_floor::legs::{self, Legs};
use tgtrunk_floor::mixed::{self, Mixed};
use tgtrunk_floor::relay::{Call, Half, Mode, Relay};
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
            ["mode", "legs"] => mode = Mode::Legs,
            ["mode", "mixed"] => mode = Mode::Mixed,
            ["profile", name] => profile = Profile::named(name).context("profile gcm128, gcm256 or cm")?,
            ["trunk", address] => trunk = Some(address.parse()?),
            ["telegram", address] => telegram = Some(address.parse()?),
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
    let trunk: SocketAddrV4 = trunk.context("`trunk` is missing")?;
    let telegram: SocketAddrV4 = telegram.context("`telegram` is missing")?;
    let relay = match mode {
        Mode::Legs => Shape::Legs(legs(calls, [trunk.port(), telegram.port()])?),
        Mode::Mixed => Shape::Mixed(mixed(calls, [trunk.port(), telegram.port()])?),
        Mode::Tick | Mode::Immediate => {
            let Relay { to_telegram, to_trunk } = Relay::new(calls);
            Shape::Shared { to_telegram, to_trunk, trunk: bind(trunk)?, telegram: bind(telegram)? }
        }
    };
    println!("ready");
    thread::spawn(move || {
        // The parent is gone, or done.
        for _ in lines {}
        std::process::exit(0);
    });
    let (mut to_telegram, mut to_trunk, trunk, telegram) = match relay {
        Shape::Legs(legs) => return legs.run(TICK),
        Shape::Mixed(mixed) => return mixed.run(TICK),
        Shape::Shared { to_telegram, to_trunk, trunk, telegram } => (to_telegram, to_trunk, trunk, telegram),
    };
    let mut batch = Batch::new();
    if mode == Mode::Tick {
        loop {
            while to_telegram.carry(&mut batch, &trunk, &telegram, false)? {}
            while to_trunk.carry(&mut batch, &telegram, &trunk, false)? {}
            thread::sleep(TICK);
        }
    }
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

/// Which sockets there are.
enum Shape {
    Shared { to_telegram: Half, to_trunk: Half, trunk: UdpSocket, telegram: UdpSocket },
    Legs(Legs),
    Mixed(Mixed),
}

fn legs(calls: Vec<Call>, ports: [u16; 2]) -> anyhow::Result<Legs> {
    let mut with_sockets = Vec::with_capacity(calls.len());
    for (number, call) in (0..).zip(calls) {
        let [trunk, telegram] = legs::addresses(number, ports);
        let sockets = [bind(trunk)?, bind(telegram)?];
        for socket in &sockets {
            socket.set_nonblocking(true)?;
        }
        with_sockets.push((call, sockets));
    }
    Ok(Legs::new(with_sockets)?)
}

fn mixed(calls: Vec<Call>, [trunk, telegram]: [u16; 2]) -> anyhow::Result<Mixed> {
    let (mut with_sockets, mut groups) = (Vec::with_capacity(calls.len()), Vec::new());
    for (number, call) in (0..).zip(calls) {
        if number % mixed::MEMBERS == 0 {
            groups.push(bind(mixed::group(number, telegram))?);
        }
        let [trunk, _] = legs::addresses(number, [trunk, 0]);
        with_sockets.push((call, bind(trunk)?));
    }
    for socket in with_sockets.iter().map(|(_, socket)| socket).chain(&groups) {
        socket.set_nonblocking(true)?;
    }
    Ok(Mixed::new(with_sockets, groups)?)
}

fn bind(address: SocketAddrV4) -> anyhow::Result<UdpSocket> {
    let socket = UdpSocket::bind(address).with_context(|| format!("{address} is taken"))?;
    // What the generator does to its sockets: a burst is no loss.
    nix::sys::socket::setsockopt(&socket, nix::sys::socket::sockopt::RcvBufForce, &(8 << 20))
        .or_else(|_| nix::sys::socket::setsockopt(&socket, nix::sys::socket::sockopt::RcvBuf, &(8 << 20)))?;
    Ok(socket)
}
