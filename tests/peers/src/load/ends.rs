//! The generator as its owner sees it: addresses of ends, orders.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::mpsc::{self, Sender};
use std::thread;

use anyhow::Context as _;
use tokio::sync::{mpsc as words, oneshot};

use super::checks::Checked;
use super::generator::Generator;
use super::master::{self, Master, Profile};
use super::window::{Plan, Window};
use super::wire::Wire;
use crate::ports;

/// A generator that runs. Copies are handles of the same one; its thread ends with the last of them.
#[derive(Clone)]
pub struct Ends {
    orders: Sender<Order>,
    ports: [u16; 2],
    next: Arc<[AtomicU16; 2]>,
}

impl std::fmt::Debug for Ends {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "Ends({:?})", self.ports)
    }
}

/// Keys of a Telegram end that were agreed on elsewhere.
pub struct Keys {
    pub sender: tgcall::srtp::Sender,
    pub receiver: tgcall::srtp::Receiver,
    /// Where its packets go.
    pub remote: SocketAddrV4,
    /// How its packets are marked, where that was agreed on.
    pub format: Option<tgcall::AudioFormat>,
}

/// A Telegram end that negotiates by itself.
pub struct Taken {
    pub engine: tgcall::Call,
    /// Signaling that comes.
    pub signaling: words::Receiver<Vec<u8>>,
    /// What it says.
    pub say: words::UnboundedSender<Word>,
}

/// What an end says to the owner of its signaling.
#[derive(Debug)]
pub enum Word {
    Signaling(Vec<u8>),
    /// Media can flow.
    Up,
    /// An end's checks found the other one: its handshake may begin.
    Path,
    /// A datagram of DTLS for whoever agrees on its keys.
    Handshake(Vec<u8>),
    Failed(String),
}

pub(super) enum Order {
    Trunk {
        number: u16,
        remote: SocketAddrV4,
        payload_type: u8,
    },
    Taken {
        number: u16,
        taken: Box<Taken>,
    },
    Keys {
        number: u16,
        keys: Box<Keys>,
    },
    Direct {
        trunk: u16,
        telegram: u16,
        keys: Box<Keys>,
    },
    Checks {
        number: u16,
        checked: Box<Checked>,
    },
    Datagram {
        number: u16,
        bytes: Vec<u8>,
    },
    Measure {
        trunk: Range<u16>,
        telegram: Range<u16>,
        plan: Plan,
        answer: oneshot::Sender<anyhow::Result<Window>>,
    },
}

impl Ends {
    /// Starts a generator.
    ///
    /// # Errors
    /// When it gets no ports.
    pub fn start() -> anyhow::Result<Self> {
        let rtp = ports::free_media()?;
        let (trunk, reports, telegram) =
            (Wire::bind(rtp)?, Wire::bind(rtp + 1)?, Wire::bind(ports::free()?)?);
        let ports = [rtp, telegram.port];
        let (orders, received) = mpsc::channel();
        thread::Builder::new()
            .name("generator".to_owned())
            .spawn(move || Generator::new(trunk, reports, telegram).run(&received))?;
        Ok(Self { orders, ports, next: Arc::default() })
    }

    /// A new end on the trunk's side.
    pub fn trunk(&self) -> (u16, SocketAddrV4) {
        let number = self.next[0].fetch_add(1, Ordering::Relaxed);
        (number, SocketAddrV4::new(trunk_ip(number), self.ports[0]))
    }

    /// A new end on Telegram's side.
    pub fn telegram(&self) -> (u16, SocketAddrV4) {
        let number = self.next[1].fetch_add(1, Ordering::Relaxed);
        (number, SocketAddrV4::new(telegram_ip(number), self.ports[1]))
    }

    /// The numbers that the next ends will get: of the trunk, of Telegram.
    pub fn next(&self) -> (u16, u16) {
        (self.next[0].load(Ordering::Relaxed), self.next[1].load(Ordering::Relaxed))
    }

    /// Where an end of the trunk sends.
    pub fn connect_trunk(&self, number: u16, remote: SocketAddrV4, payload_type: u8) {
        self.orders.send(Order::Trunk { number, remote, payload_type }).ok();
    }

    /// What an end of Telegram negotiates with.
    pub fn take(&self, number: u16, taken: Taken) {
        self.orders.send(Order::Taken { number, taken: Box::new(taken) }).ok();
    }

    /// What an end of Telegram protects its packets with.
    pub fn connect_telegram(&self, number: u16, keys: Keys) {
        self.orders.send(Order::Keys { number, keys: Box::new(keys) }).ok();
    }

    /// Has an end of Telegram check its path; keys are to follow.
    pub fn check(&self, number: u16, checked: Checked) {
        self.orders.send(Order::Checks { number, checked: Box::new(checked) }).ok();
    }

    /// A datagram for the other end of a path that is checked.
    pub fn pass(&self, number: u16, bytes: Vec<u8>) {
        self.orders.send(Order::Datagram { number, bytes }).ok();
    }

    /// So many calls that nobody relays: their ends of the trunk, and of Telegram. What one end sends comes to the other's socket,
    /// and packets towards the trunk are protected and opened, which is as much as this generator does for calls through a relay.
    ///
    /// # Errors
    /// When the system has no random bytes.
    pub fn without_relay(&self, calls: usize, profile: Profile) -> anyhow::Result<(Range<u16>, Range<u16>)> {
        let first = self.next();
        for _ in 0..calls {
            let ((trunk, trunk_end), (telegram, telegram_end)) = (self.trunk(), self.telegram());
            let key = Master::random(profile)?;
            let keys = Box::new(master::keys(profile, &key, &key, trunk_end)?);
            self.connect_trunk(trunk, telegram_end, 96);
            self.orders.send(Order::Direct { trunk, telegram, keys }).ok();
        }
        let next = self.next();
        Ok((first.0..next.0, first.1..next.1))
    }

    /// Has these ends talk for a while.
    ///
    /// # Errors
    /// When the process under measurement is gone, or an end is not connected.
    pub async fn measure(
        &self,
        trunk: Range<u16>,
        telegram: Range<u16>,
        plan: Plan,
    ) -> anyhow::Result<Window> {
        let (answer, measured) = oneshot::channel();
        self.orders
            .send(Order::Measure { trunk, telegram, plan, answer })
            .ok()
            .context("the generator is gone")?;
        measured.await.context("the generator broke")?
    }
}

pub(super) fn trunk_ip(number: u16) -> Ipv4Addr {
    let [high, low] = number.to_be_bytes();
    Ipv4Addr::new(127, 2, high, low)
}

pub(super) fn telegram_ip(number: u16) -> Ipv4Addr {
    let [high, low] = number.to_be_bytes();
    Ipv4Addr::new(127, 1, high, low)
}

/// The number of the end with this address.
pub(super) fn number(ip: Ipv4Addr) -> usize {
    let [_, _, high, low] = ip.octets();
    usize::from(u16::from_be_bytes([high, low]))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn packets_that_nobody_relays_come_both_ways_and_cost_no_process_anything() {
        let ends = Ends::start().unwrap();
        // A call's ends have different numbers.
        ends.telegram();
        let (trunk, telegram) = ends.without_relay(2, Profile::Gcm).unwrap();
        assert_eq!((trunk.clone(), telegram.clone()), (0..2, 1..3));
        let plan = Plan { length: Duration::from_millis(200), ..Plan::default() };
        let window = ends.measure(trunk, telegram, plan).await.unwrap();
        assert_eq!((window.sent + window.unsent, window.forged), (40, 0));
        assert!(window.received > 0 && window.received <= window.sent, "{window:?}");
        assert!(window.to_telegram.max > 0.0 && window.to_trunk.max > 0.0, "{window:?}");
        assert_eq!((window.cpu_ns, window.cpu_us_per_packet, window.resident_kb), (0, 0.0, 0));
        assert_eq!(window.distribution.last().map(|(share, _)| *share), Some(0.9999));
    }
}
