//! The PBX: one UDP port, its calls by Call-ID, and what it answers by itself.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, bail};
use tokio::net::UdpSocket;
use tokio::sync::{Mutex as AsyncMutex, mpsc};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout, timeout_at};

use super::call::WireCall;
use super::dialog::{Dialog, respond, sdp, sdp_with_events};
use super::message::Message;
use super::sound::Sound;
use crate::player::circle;

const DATAGRAM_BYTES: usize = 65_535;
/// Opus in what we offer.
pub(super) const PAYLOAD_TYPE: u8 = 107;
/// Messages of one call that may wait for whoever reads them; more are dropped.
const QUEUE: usize = 256;

/// What a PBX plays, and where it stands.
#[derive(Clone)]
pub struct Options {
    /// Opus packets, played in a circle.
    pub plays: Arc<[Vec<u8>]>,
    /// Its port; any free one without it.
    pub port: u16,
}

impl Options {
    /// A tone in packets of 20 ms.
    ///
    /// # Errors
    /// When libopus fails.
    pub fn playing(hz: u32) -> anyhow::Result<Self> {
        Ok(Self { plays: circle(hz, 20)?, port: 0 })
    }
}

/// A PBX that is switched on.
pub struct WirePbx {
    /// Where it takes calls.
    pub sip: SocketAddr,
    inner: Arc<Inner>,
    incoming: AsyncMutex<mpsc::Receiver<WireCall>>,
    task: JoinHandle<()>,
}

pub(super) struct Inner {
    pub(super) own: SocketAddr,
    line: SocketAddr,
    plays: Arc<[Vec<u8>]>,
    socket: UdpSocket,
    places: Mutex<HashMap<String, Place>>,
    options: Mutex<HashMap<String, mpsc::Sender<Message>>>,
    silent: AtomicBool,
    /// Payload type of RFC 4733 events in what we offer, 0 for none.
    events: AtomicU8,
    numbers: AtomicU64,
    complaints: Mutex<Vec<String>>,
    unheard: Mutex<Vec<String>>,
    /// When REGISTERs came, those that were lost too.
    registers: Mutex<Vec<Instant>>,
}

struct Place {
    dialog: Dialog,
    messages: mpsc::Sender<Message>,
}

impl WirePbx {
    /// Switches it on; the gateway's line is at `line`.
    ///
    /// # Errors
    /// When it gets no port.
    pub async fn switch_on(line: SocketAddr, options: Options) -> anyhow::Result<Self> {
        let socket = UdpSocket::bind(("127.0.0.1", options.port)).await?;
        let own = socket.local_addr()?;
        let inner = Arc::new(Inner {
            own,
            line,
            plays: options.plays,
            socket,
            places: Mutex::default(),
            options: Mutex::default(),
            silent: AtomicBool::new(false),
            events: AtomicU8::new(0),
            numbers: AtomicU64::new(1),
            complaints: Mutex::default(),
            unheard: Mutex::default(),
            registers: Mutex::default(),
        });
        let (found, incoming) = mpsc::channel(QUEUE);
        let task = tokio::spawn(listen(Arc::clone(&inner), found));
        Ok(Self { sip: own, inner, incoming: AsyncMutex::new(incoming), task })
    }

    /// From now on its calls offer RFC 4733 events under this payload type, too.
    pub fn offer_events(&self, payload_type: u8) {
        self.inner.events.store(payload_type, Ordering::Relaxed);
    }

    /// Calls what may be the user part of a URI.
    ///
    /// # Errors
    /// When it gets no port for the sound.
    pub async fn call(&self, user: &str) -> anyhow::Result<WireCall> {
        self.call_with(user, &[]).await
    }

    /// The same with more headers.
    ///
    /// # Errors
    /// When it gets no port for the sound.
    pub async fn call_with(&self, user: &str, headers: &[String]) -> anyhow::Result<WireCall> {
        let inner = &self.inner;
        let sound = Sound::open(Arc::clone(&inner.plays)).await?;
        let (number, own, line) = (inner.number(), inner.own, inner.line);
        let call_id = format!("wire{number}-{}@127.0.0.1", own.port());
        let uri = format!("sip:{user}@{line}");
        let dialog = Dialog {
            call_id: call_id.clone(),
            outgoing: true,
            branch: inner.branch(),
            local: format!("<sip:100@{own}>;tag=wire{number}"),
            remote: format!("<{uri}>"),
            target: uri.clone(),
            uri,
            cseq: 1,
            invite: None,
            challenge: None,
            answered: false,
            over: false,
        };
        let body = match inner.events.load(Ordering::Relaxed) {
            0 => sdp(sound.address, PAYLOAD_TYPE),
            events => sdp_with_events(sound.address, PAYLOAD_TYPE, events),
        };
        let invite = dialog.request(own, "INVITE", &dialog.branch, 1, headers, &body);
        let (sender, messages) = mpsc::channel(QUEUE);
        inner.places().insert(call_id.clone(), Place { dialog, messages: sender });
        let call = WireCall::new(Arc::clone(inner), call_id, messages, sound);
        inner.send(&invite);
        Ok(call)
    }

    /// The next call from the gateway.
    ///
    /// # Errors
    /// When none comes in time.
    pub async fn incoming(&self, limit: Duration) -> anyhow::Result<WireCall> {
        match timeout(limit, async { self.incoming.lock().await.recv().await }).await {
            Ok(call) => call.context("the PBX is off"),
            Err(_) => bail!("the PBX got no call within {limit:?}"),
        }
    }

    /// Asks the line whether it is there; gives its answer.
    ///
    /// # Errors
    /// When none comes in time.
    pub async fn ask_options(&self, limit: Duration) -> anyhow::Result<Message> {
        let (number, own, line) = (self.inner.number(), self.inner.own, self.inner.line);
        let call_id = format!("options{number}-{}@127.0.0.1", own.port());
        let request = format!(
            "OPTIONS sip:{line} SIP/2.0\r\nVia: SIP/2.0/UDP {own};rport;branch={}\r\nMax-Forwards: 70\r\n\
             From: <sip:{own}>;tag=o{number}\r\nTo: <sip:{line}>\r\nCall-ID: {call_id}\r\nCSeq: 1 OPTIONS\r\n\
             Content-Length: 0\r\n\r\n",
            self.inner.branch()
        );
        let (sender, mut answers) = mpsc::channel(1);
        lock(&self.inner.options).insert(call_id, sender);
        self.inner.send(&request);
        timeout(limit, answers.recv()).await.context("OPTIONS are not answered")?.context("the PBX is off")
    }

    /// Loses power, or gets it back: nothing is answered or sent meanwhile, what comes is lost.
    pub fn silence(&self, silent: bool) {
        self.inner.silent.store(silent, Ordering::SeqCst);
    }

    /// First lines of what came while the power was off.
    pub fn unheard(&self) -> Vec<String> {
        lock(&self.inner.unheard).clone()
    }

    /// When the line registered, or tried to; it is taken for as long as it wishes.
    pub fn registers(&self) -> Vec<Instant> {
        lock(&self.inner.registers).clone()
    }

    /// What came that was no proper SIP.
    pub fn complaints(&self) -> Vec<String> {
        lock(&self.inner.complaints).clone()
    }

    /// Waits until the line answers OPTIONS like this.
    ///
    /// # Errors
    /// When it does not in time.
    pub async fn line_answers(&self, status: u16, limit: Duration) -> anyhow::Result<Message> {
        let until = Instant::now() + limit;
        loop {
            let answer =
                timeout_at(until, self.ask_options(limit)).await.context("no answer to OPTIONS")??;
            if answer.status() == Some(status) {
                return Ok(answer);
            }
            if Instant::now() > until {
                bail!("OPTIONS are answered {:?}, want {status}", answer.start);
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

impl Drop for WirePbx {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Inner {
    fn places(&self) -> MutexGuard<'_, HashMap<String, Place>> {
        lock(&self.places)
    }

    fn number(&self) -> u64 {
        self.numbers.fetch_add(1, Ordering::Relaxed)
    }

    pub(super) fn branch(&self) -> String {
        format!("z9hG4bKwire{}-{}", self.number(), self.own.port())
    }

    pub(super) fn is_silent(&self) -> bool {
        self.silent.load(Ordering::SeqCst)
    }

    /// Sends a message to the line, unless the power is off.
    pub(super) fn send(&self, text: &str) {
        if !self.is_silent()
            && let Err(error) = self.socket.try_send_to(text.as_bytes(), self.line)
        {
            tracing::warn!(%error, "datagram not sent");
        }
    }

    /// Looks at a call's dialog, or changes it.
    pub(super) fn with<T>(&self, call: &str, act: impl FnOnce(&mut Dialog) -> T) -> Option<T> {
        self.places().get_mut(call).map(|place| act(&mut place.dialog))
    }

    pub(super) fn forget(&self, call: &str) {
        self.places().remove(call);
    }
}

async fn listen(inner: Arc<Inner>, found: mpsc::Sender<WireCall>) {
    let mut buffer = vec![0; DATAGRAM_BYTES];
    loop {
        let Ok((length, _)) = inner.socket.recv_from(&mut buffer).await else { continue };
        if buffer[..length].starts_with(b"REGISTER ") {
            lock(&inner.registers).push(Instant::now());
        }
        if inner.is_silent() {
            let text = String::from_utf8_lossy(&buffer[..length]);
            lock(&inner.unheard).push(text.lines().next().unwrap_or_default().to_owned());
            continue;
        }
        let message = match Message::read(&buffer[..length]) {
            Ok(message) => message,
            Err(error) => {
                let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
                lock(&inner.complaints).push(format!("{error:#}: {text}"));
                continue;
            }
        };
        let call_id = message.header("Call-ID").unwrap_or_default().to_owned();
        if inner.places().contains_key(&call_id) {
            take(&inner, &call_id, message);
        } else if message.method() == Some("INVITE") {
            if let Ok(call) = begin(&inner, call_id, message).await {
                found.try_send(call).ok();
            }
        } else if message.status().is_some() {
            if let Some(waiting) = lock(&inner.options).remove(&call_id) {
                waiting.try_send(message).ok();
            }
        } else if message.method() != Some("ACK") {
            // OPTIONS and REGISTER of the line, and late copies of requests in calls that are over.
            let is_known = matches!(message.method(), Some("OPTIONS" | "REGISTER"));
            let status = if is_known { (200, "OK") } else { (481, "Gone") };
            let to = format!("{};tag=wire", message.header("To").unwrap_or_default());
            let expires = message.header("Expires").map(|expires| format!("Expires: {expires}"));
            let expires: Vec<String> = expires.into_iter().collect();
            inner.send(&respond(&message, &to, inner.own, status.0, status.1, &expires, ""));
        }
    }
}

async fn begin(inner: &Arc<Inner>, call_id: String, invite: Message) -> anyhow::Result<WireCall> {
    let sound = Sound::open(Arc::clone(&inner.plays)).await?;
    let header = |name: &str| invite.header(name).unwrap_or_default().to_owned();
    let dialog = Dialog {
        call_id: call_id.clone(),
        outgoing: false,
        uri: String::new(),
        branch: String::new(),
        local: format!("{};tag=wire{}", header("To"), inner.number()),
        remote: header("From"),
        target: invite.contact().unwrap_or_default().to_owned(),
        cseq: 0,
        invite: Some(invite.clone()),
        challenge: None,
        answered: false,
        over: false,
    };
    let (sender, messages) = mpsc::channel(QUEUE);
    sender.try_send(invite).ok();
    inner.places().insert(call_id.clone(), Place { dialog, messages: sender });
    Ok(WireCall::new(Arc::clone(inner), call_id, messages, sound))
}

/// A message of a call: answered where an answer needs no thought, then handed on.
fn take(inner: &Inner, call_id: &str, message: Message) {
    let answers: Vec<String> = {
        let mut places = inner.places();
        let Some(place) = places.get_mut(call_id) else { return };
        let answers = polite(inner, &mut place.dialog, &message);
        // Copies of the INVITE are not told again.
        if message.method() != Some("INVITE") {
            place.messages.try_send(message).ok();
        }
        answers
    };
    for answer in answers {
        inner.send(&answer);
    }
}

fn polite(inner: &Inner, dialog: &mut Dialog, message: &Message) -> Vec<String> {
    let own = inner.own;
    let (cseq, method) = message.cseq();
    match (message.status(), message.method()) {
        (Some(status), _) if method == "INVITE" && status >= 200 && dialog.outgoing => {
            dialog.remote = message.header("To").unwrap_or_default().to_owned();
            dialog.answered = true;
            if status >= 300 {
                dialog.over = true;
                return vec![dialog.request(own, "ACK", &dialog.branch.clone(), cseq, &[], "")];
            }
            dialog.target = message.contact().unwrap_or(&dialog.target).to_owned();
            vec![dialog.request(own, "ACK", &inner.branch(), cseq, &[], "")]
        }
        (None, Some("BYE")) => {
            dialog.over = true;
            if let Some(challenge) = &dialog.challenge {
                let (to, challenge) = (message.header("To").unwrap_or_default(), challenge.clone());
                return vec![respond(message, to, own, 401, "Unauthorized", &[challenge], "")];
            }
            vec![respond(message, message.header("To").unwrap_or_default(), own, 200, "OK", &[], "")]
        }
        (None, Some("CANCEL")) => {
            let mut answers = vec![respond(message, &dialog.local, own, 200, "OK", &[], "")];
            if !std::mem::replace(&mut dialog.answered, true) {
                dialog.over = true;
                answers.extend(dialog.response(own, 487, "Request Terminated", &[], ""));
            }
            answers
        }
        _ => Vec::new(),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
