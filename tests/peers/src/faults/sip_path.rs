//! The path between a PBX and a line: either side takes it for the other one, since every address of both that a message names is
//! written over. It knows each call by its Call-ID and does to one message of a call what is ordered.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::ensure;
use tokio::net::UdpSocket;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use super::{DELAY_MS, Fault, Sender};
use crate::clock::now;
use crate::wire_pbx::Message;

const DATAGRAM_BYTES: usize = 65_535;
/// How long a message waits for the next one to overtake it.
const OVERTAKEN_WITHIN: Duration = Duration::from_millis(300);
/// How long SIPp may take to hang up, and how often it is told to.
const HANG_UP_LIMIT: Duration = Duration::from_secs(5);
const TELL: Duration = Duration::from_millis(200);
/// Ports of five digits: what is written over stays as long as it was, and Content-Length right.
const FIVE_DIGITS: u16 = 10_000;

/// The path of one line.
pub struct SipPath {
    shared: Arc<Shared>,
    tasks: [JoinHandle<()>; 2],
}

/// What is to happen to a message.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    pub(super) sender: Sender,
    pub(super) label: String,
    pub(super) fault: Fault,
}

/// A call that passed, as far as its messages arrived.
#[derive(Debug, Clone)]
pub(super) struct Dialog {
    order: u64,
    pbx: SocketAddr,
    is_from_pbx: bool,
    pub(super) call_id: String,
    /// Messages in the order in which each side first sent them: what a repeated one has in common with its first one, and the
    /// name that it goes by.
    seen: [Vec<(String, String)>; 2],
    plan: Option<Plan>,
    /// Whether the message of the plan came.
    pub(super) is_met: bool,
    held: [Option<Vec<u8>>; 2],
    /// The final answer to the first INVITE.
    pub(super) status: Option<u16>,
    pub(super) is_acknowledged: bool,
    has_bye: [bool; 2],
    is_bye_answered: bool,
    /// What From and To say of the PBX and of the line.
    names: Option<[String; 2]>,
}

struct Shared {
    to_gateway: UdpSocket,
    to_pbx: UdpSocket,
    /// As the gateway sees the PBX, and as the PBX sees the gateway.
    seen_by_gateway: SocketAddr,
    seen_by_pbx: SocketAddr,
    line: SocketAddr,
    pbx: SocketAddr,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    last_order: u64,
    /// Calls that are to come.
    orders: Vec<(u64, String, Option<Plan>)>,
    dialogs: BTreeMap<String, Dialog>,
}

/// What becomes of a datagram now.
enum Fate {
    Sent(u8),
    Dropped,
    Late,
    /// It waits for the next one of its way.
    Held(String),
    /// It overtook this one.
    Overtakes(Vec<u8>),
}

impl SipPath {
    /// Lays it between the line at `line` and the PBX that takes calls at `pbx`.
    ///
    /// # Errors
    /// When it gets no ports.
    pub async fn lay(line: SocketAddr, pbx: SocketAddr) -> anyhow::Result<Self> {
        let to_gateway = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let to_pbx = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let (seen_by_gateway, seen_by_pbx) = (to_gateway.local_addr()?, to_pbx.local_addr()?);
        for address in [line, pbx, seen_by_gateway, seen_by_pbx] {
            ensure!(address.port() >= FIVE_DIGITS, "{address}: want a port of five digits");
        }
        let state = Mutex::default();
        let shared = Arc::new(Shared { to_gateway, to_pbx, seen_by_gateway, seen_by_pbx, line, pbx, state });
        let tasks = Sender::BOTH.map(|sender| tokio::spawn(Arc::clone(&shared).carry(sender)));
        Ok(Self { shared, tasks })
    }

    /// The PBX, as the gateway is to know it.
    pub fn seen_by_gateway(&self) -> SocketAddr {
        self.shared.seen_by_gateway
    }

    /// The line, as the PBX is to know it.
    pub fn seen_by_pbx(&self) -> SocketAddr {
        self.shared.seen_by_pbx
    }

    /// The next new call of this person (the number that the PBX dials, or the `X-TG-ID` of who calls the PBX) goes by this plan.
    pub(super) fn order(&self, person: String, plan: Option<Plan>) -> u64 {
        let mut state = self.shared.lock();
        state.last_order += 1;
        let order = state.last_order;
        state.orders.push((order, person, plan));
        order
    }

    /// Nobody waits for that call any more.
    pub(super) fn forget(&self, order: u64) {
        let mut state = self.shared.lock();
        state.orders.retain(|(number, ..)| *number != order);
        state.dialogs.retain(|_, dialog| dialog.order != order);
    }

    /// What passed of a call so far.
    pub(super) fn dialog(&self, order: u64) -> Option<Dialog> {
        self.shared.lock().dialogs.values().find(|dialog| dialog.order == order).cloned()
    }

    /// Has the PBX hang up.
    pub(super) async fn hang_up(&self, order: u64) {
        let until = now() + HANG_UP_LIMIT;
        let mut told = 0;
        while let Some(dialog) = self.dialog(order) {
            if dialog.has_bye[Sender::Other as usize] || dialog.is_over() || now() > until {
                return;
            }
            if let Some([pbx, line]) = &dialog.names {
                told += 1;
                // One that came before its time was passed over, and the same one again would be for a copy of it.
                let text = format!(
                    "MESSAGE sip:hang-up@{} SIP/2.0\r\nVia: SIP/2.0/UDP {};branch=z9hG4bKtold{order}-{told}\r\n\
                     Max-Forwards: 70\r\nFrom: {pbx}\r\nTo: {line}\r\nCall-ID: {}\r\nCSeq: {told} MESSAGE\r\n\
                     Content-Length: 0\r\n\r\n",
                    dialog.pbx, self.shared.seen_by_pbx, dialog.call_id
                );
                self.shared.to_pbx.send_to(text.as_bytes(), dialog.pbx).await.ok();
            }
            sleep(TELL).await;
        }
    }
}

impl Drop for SipPath {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

impl Dialog {
    /// Whether neither side has anything more to say.
    pub(super) fn is_over(&self) -> bool {
        self.is_bye_answered || self.status.is_some_and(|status| status >= 300)
    }

    /// The names of the messages of a side.
    pub(super) fn labels(&self, sender: Sender) -> impl Iterator<Item = &str> {
        self.seen[sender as usize].iter().map(|(_, label)| label.as_str())
    }

    /// The name of a message that is sent for the first time.
    fn see(&mut self, sender: Sender, message: &Message) -> Option<String> {
        let (number, method) = message.cseq();
        let base = match message.status() {
            Some(status) => format!("{status} to {method}"),
            None => message.method().unwrap_or_default().to_owned(),
        };
        let key = format!("{base}, {number}");
        let seen = &mut self.seen[sender as usize];
        if seen.iter().any(|(known, _)| *known == key) {
            return None;
        }
        let others = seen.iter().filter(|(known, _)| known.rsplit_once(", ").is_some_and(|it| it.0 == base));
        let label = match others.count() {
            0 => base,
            before => format!("{base} again, {}", before + 1),
        };
        seen.push((key, label.clone()));
        Some(label)
    }

    /// Notes what arrives.
    fn arrives(&mut self, sender: Sender, message: &Message) {
        let (_, method) = message.cseq();
        match (message.status(), method) {
            (Some(status), "INVITE") if status >= 200 && self.status.is_none() => {
                self.status = Some(status);
                let name = |header| message.header(header).unwrap_or_default().to_owned();
                let (from, to) = (name("From"), name("To"));
                self.names = Some(if self.is_from_pbx { [from, to] } else { [to, from] });
            }
            (Some(status), "BYE") if status >= 200 => self.is_bye_answered = true,
            (None, "ACK") => self.is_acknowledged = true,
            (None, "BYE") => self.has_bye[sender as usize] = true,
            _ => {}
        }
    }
}

impl State {
    /// The dialog of a message, begun with it if it is an INVITE that somebody waits for.
    fn dialog_of(&mut self, message: &Message, sender: Sender, pbx: SocketAddr) -> Option<&mut Dialog> {
        let call_id = message.header("Call-ID")?;
        if message.method() == Some("INVITE") && !self.dialogs.contains_key(call_id) {
            let is_of = |person: &str| {
                message.header("X-TG-ID") == Some(person) || message.start.contains(&format!("sip:{person}@"))
            };
            let at = self.orders.iter().position(|(_, person, _)| is_of(person))?;
            let (order, _, plan) = self.orders.remove(at);
            let dialog = Dialog {
                order,
                pbx,
                is_from_pbx: sender == Sender::Other,
                call_id: call_id.to_owned(),
                seen: Default::default(),
                plan,
                is_met: false,
                held: Default::default(),
                status: None,
                is_acknowledged: false,
                has_bye: [false; 2],
                is_bye_answered: false,
                names: None,
            };
            self.dialogs.insert(call_id.to_owned(), dialog);
        }
        self.dialogs.get_mut(call_id)
    }

    fn fate(&mut self, message: &Message, sender: Sender, pbx: SocketAddr, datagram: &[u8]) -> Fate {
        let Some(dialog) = self.dialog_of(message, sender, pbx) else { return Fate::Sent(1) };
        let label = dialog.see(sender, message);
        let planned = dialog.plan.as_ref().filter(|plan| plan.sender == sender);
        let fault = planned.filter(|plan| Some(&plan.label) == label.as_ref()).map(|plan| plan.fault);
        dialog.is_met |= fault.is_some();
        match fault {
            Some(Fault::Drop | Fault::Cut) => Fate::Dropped,
            Some(Fault::Delay) => Fate::Late,
            Some(Fault::Duplicate) => Fate::Sent(2),
            Some(Fault::Reorder) => {
                dialog.held[sender as usize] = Some(datagram.to_vec());
                Fate::Held(dialog.call_id.clone())
            }
            None => match dialog.held[sender as usize].take() {
                Some(held) => Fate::Overtakes(held),
                None => Fate::Sent(1),
            },
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn carry(self: Arc<Self>, sender: Sender) {
        let socket = match sender {
            Sender::Gateway => &self.to_gateway,
            Sender::Other => &self.to_pbx,
        };
        let mut buffer = vec![0; DATAGRAM_BYTES];
        loop {
            // On loopback the only error is that nobody listened to the last datagram.
            if let Ok((length, from)) = socket.recv_from(&mut buffer).await {
                self.take(sender, from, &buffer[..length]).await;
            }
        }
    }

    async fn take(self: &Arc<Self>, sender: Sender, from: SocketAddr, datagram: &[u8]) {
        let pbx = match sender {
            Sender::Gateway => self.pbx,
            Sender::Other => from,
        };
        let fate = match Message::read(datagram) {
            Ok(message) => self.lock().fate(&message, sender, pbx, datagram),
            Err(error) => {
                tracing::warn!(%error, ?sender, "no SIP on a path of SIP");
                Fate::Sent(1)
            }
        };
        match fate {
            Fate::Sent(copies) => {
                for _ in 0..copies {
                    self.deliver(sender, datagram).await;
                }
            }
            Fate::Dropped => {}
            Fate::Late => {
                let (own, datagram) = (Arc::clone(self), datagram.to_vec());
                tokio::spawn(async move {
                    sleep(Duration::from_millis(DELAY_MS)).await;
                    own.deliver(sender, &datagram).await;
                });
            }
            Fate::Held(call_id) => {
                let own = Arc::clone(self);
                tokio::spawn(async move {
                    sleep(OVERTAKEN_WITHIN).await;
                    let release = |dialog: &mut Dialog| dialog.held[sender as usize].take();
                    let held = own.lock().dialogs.get_mut(&call_id).and_then(release);
                    if let Some(held) = held {
                        own.deliver(sender, &held).await;
                    }
                });
            }
            Fate::Overtakes(held) => {
                self.deliver(sender, datagram).await;
                self.deliver(sender, &held).await;
            }
        }
    }

    async fn deliver(&self, sender: Sender, datagram: &[u8]) {
        let pbx = self.arrives(sender, datagram);
        let text = String::from_utf8_lossy(datagram);
        let over = |text: &str, pairs: [(SocketAddr, SocketAddr); 2]| {
            pairs
                .iter()
                .fold(text.to_owned(), |text, (old, new)| text.replace(&old.to_string(), &new.to_string()))
        };
        let sent = match sender {
            Sender::Gateway => {
                let text = over(&text, [(self.line, self.seen_by_pbx), (self.seen_by_gateway, pbx)]);
                self.to_pbx.send_to(text.as_bytes(), pbx).await
            }
            Sender::Other => {
                let text = over(&text, [(pbx, self.seen_by_gateway), (self.seen_by_pbx, self.line)]);
                self.to_gateway.send_to(text.as_bytes(), self.line).await
            }
        };
        if let Err(error) = sent {
            tracing::debug!(%error, ?sender, "nobody listens at the end of a path");
        }
    }

    /// Notes in its dialog what arrives; where the PBX of that dialog is.
    fn arrives(&self, sender: Sender, datagram: &[u8]) -> SocketAddr {
        let Ok(message) = Message::read(datagram) else { return self.pbx };
        let mut state = self.lock();
        let dialog = message.header("Call-ID").and_then(|call_id| state.dialogs.get_mut(call_id));
        let Some(dialog) = dialog else { return self.pbx };
        dialog.arrives(sender, &message);
        if dialog.is_from_pbx { dialog.pbx } else { self.pbx }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::timeout;

    use super::*;

    const CALLEE: &str = "+79161112233";

    fn request(method: &str, number: u32, names: SocketAddr) -> String {
        format!(
            "{method} sip:{CALLEE}@{names} SIP/2.0\r\nCall-ID: one\r\nCSeq: {number} {method}\r\nContent-Length: 0\r\n\r\n"
        )
    }

    async fn heard(socket: &UdpSocket) -> Option<String> {
        let mut buffer = vec![0; DATAGRAM_BYTES];
        let received = timeout(Duration::from_millis(200), socket.recv_from(&mut buffer)).await;
        let (length, _) = received.ok()?.unwrap();
        Some(String::from_utf8(buffer[..length].to_vec()).unwrap())
    }

    #[tokio::test]
    async fn only_the_first_of_a_message_is_lost_and_addresses_are_written_over() {
        let line = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let pbx = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let (at, from) = (line.local_addr().unwrap(), pbx.local_addr().unwrap());
        let path = SipPath::lay(at, from).await.unwrap();
        let plan = Plan { sender: Sender::Other, label: "INVITE".to_owned(), fault: Fault::Drop };
        let order = path.order(CALLEE.to_owned(), Some(plan));
        let invite = request("INVITE", 1, path.seen_by_pbx());
        pbx.send_to(invite.as_bytes(), path.seen_by_pbx()).await.unwrap();
        assert_eq!(heard(&line).await, None);
        assert!(path.dialog(order).is_some_and(|dialog| dialog.is_met));
        pbx.send_to(invite.as_bytes(), path.seen_by_pbx()).await.unwrap();
        assert_eq!(heard(&line).await, Some(request("INVITE", 1, at)));
        line.send_to(request("BYE", 9, path.seen_by_gateway()).as_bytes(), path.seen_by_gateway())
            .await
            .unwrap();
        assert_eq!(heard(&pbx).await, Some(request("BYE", 9, from)));
    }

    #[tokio::test]
    async fn a_message_is_overtaken_by_the_next_one_of_its_way() {
        let line = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let pbx = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let path = SipPath::lay(line.local_addr().unwrap(), pbx.local_addr().unwrap()).await.unwrap();
        let plan = Plan { sender: Sender::Other, label: "ACK".to_owned(), fault: Fault::Reorder };
        path.order(CALLEE.to_owned(), Some(plan));
        for (method, number) in [("INVITE", 1), ("ACK", 1), ("BYE", 2)] {
            pbx.send_to(request(method, number, path.seen_by_pbx()).as_bytes(), path.seen_by_pbx())
                .await
                .unwrap();
        }
        for method in ["INVITE", "BYE", "ACK"] {
            assert!(heard(&line).await.is_some_and(|text| text.starts_with(method)), "{method}");
        }
    }
}
