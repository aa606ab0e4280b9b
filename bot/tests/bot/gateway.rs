//! A gateway that has the calls which the test gives it and writes down what is asked of it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tgtrunk_config::control::{
    Answer, Ask, CallEnd, CallInfo, CallState, Direction, Ender, Event, LineInfo, Muted, Peer, Refusal,
    RefusalCode, StatusReport,
};
use tgtrunk_config::{CallId, Callee, GatewayStatus, Lamp, Phone, UserId};
use tgtrunk_shell::control::{self, Question};
use tokio::sync::{broadcast, mpsc};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

/// Keys that a call was asked to press.
#[derive(Clone, Debug)]
pub(crate) struct Pressed {
    pub(crate) call: CallId,
    pub(crate) digits: String,
    pub(crate) at: Instant,
}

#[derive(Default)]
struct World {
    calls: BTreeMap<CallId, CallInfo>,
    lines: BTreeMap<Phone, GatewayStatus>,
    pressed: Vec<Pressed>,
    /// Under which names keys were pressed.
    names: BTreeSet<(CallId, String)>,
    joined: Vec<(Phone, String, UserId)>,
    refusals: Vec<RefusalCode>,
    /// Calls that were placed, by the key of their order.
    keys: BTreeMap<String, CallId>,
    /// Calls are placed and keys pressed, but nobody is told of it.
    silent: bool,
}

pub(crate) struct Gateway {
    socket: PathBuf,
    world: Arc<Mutex<World>>,
    events: broadcast::Sender<Event>,
    tasks: Vec<JoinHandle<()>>,
}

/// The account of every line.
pub(crate) const ACCOUNT: i64 = 7_000_000_042;

impl Gateway {
    pub(crate) fn new(socket: PathBuf) -> Self {
        let (events, _) = broadcast::channel(4_096);
        Self { socket, world: Arc::default(), events, tasks: Vec::new() }
    }

    pub(crate) fn starts(&mut self) {
        let (asks, mut questions) = mpsc::channel(64);
        let listener = control::listen(&self.socket).unwrap();
        self.tasks.push(tokio::spawn(control::serve(listener, "tgtrunk-gateway", asks, self.events.clone())));
        let (world, events) = (Arc::clone(&self.world), self.events.clone());
        self.tasks.push(tokio::spawn(async move {
            while let Some(Question { ask, answer }) = questions.recv().await {
                let told = respond(&mut world.lock().unwrap(), ask, &events);
                match told {
                    Some(told) => drop(answer.send(told)),
                    // Held, so that the connection does not tell that anything is stopping.
                    None => std::mem::forget(answer),
                }
            }
        }));
    }

    pub(crate) async fn stops(&mut self) {
        for task in self.tasks.drain(..) {
            task.abort();
            task.await.ok();
        }
        std::fs::remove_file(&self.socket).ok();
    }

    pub(crate) fn has_line(&self, line: &Phone, change: impl FnOnce(&mut GatewayStatus)) {
        let mut world = self.world.lock().unwrap();
        let status = world.lines.entry(line.clone()).or_insert_with(|| {
            let mut status = GatewayStatus::waiting(line.clone(), 1, 1);
            status.telegram.turn(Lamp::Green, "", 1);
            status.sip.turn(Lamp::Green, "", 1);
            status.account = UserId::new(ACCOUNT).ok();
            status
        });
        change(status);
        self.events.send(Event::Line(status.clone())).ok();
    }

    /// A person calls a line.
    pub(crate) fn rings(&self, line: &Phone, call: u64, person: i64) {
        self.tells(call_info(line, call, person, CallState::Incoming));
    }

    pub(crate) fn tells(&self, call: CallInfo) {
        let mut world = self.world.lock().unwrap();
        match call.state {
            CallState::Ended => drop(world.calls.remove(&call.call)),
            _ => drop(world.calls.insert(call.call, call.clone())),
        }
        self.events.send(Event::Call(call)).ok();
    }

    /// A call moves on.
    pub(crate) fn moves(&self, call: CallId, change: impl FnOnce(&mut CallInfo)) {
        let mut info = self.world.lock().unwrap().calls[&call].clone();
        change(&mut info);
        self.tells(info);
    }

    /// A call ends.
    pub(crate) fn ends(&self, call: CallId, by: Ender) {
        self.moves(call, |info| {
            info.state = CallState::Ended;
            info.end = Some(CallEnd { by, cause: "over".into(), sip_status: None, q850: None });
        });
    }

    /// The next requests for keys or calls are refused so, one each.
    pub(crate) fn refuses(&self, codes: &[RefusalCode]) {
        self.world.lock().unwrap().refusals = codes.to_vec();
    }

    /// Places calls and presses keys without telling that it did.
    pub(crate) fn is_silent(&self, silent: bool) {
        self.world.lock().unwrap().silent = silent;
    }

    pub(crate) fn pressed(&self) -> Vec<Pressed> {
        self.world.lock().unwrap().pressed.clone()
    }

    /// Waits for so many calls to both sides.
    pub(crate) async fn has_placed(&self, calls: usize) {
        let limit = Instant::now() + Duration::from_secs(15);
        while self.joined().len() < calls {
            assert!(Instant::now() < limit, "{calls} calls wanted: {:#?}", self.joined());
            sleep(Duration::from_millis(5)).await;
        }
    }

    pub(crate) fn joined(&self) -> Vec<(Phone, String, UserId)> {
        self.world.lock().unwrap().joined.clone()
    }

    /// Waits for so many presses.
    pub(crate) async fn hears(&self, presses: usize) -> Vec<Pressed> {
        let limit = Instant::now() + Duration::from_secs(15);
        while self.pressed().len() < presses {
            assert!(Instant::now() < limit, "{presses} presses wanted, {} came", self.pressed().len());
            sleep(Duration::from_millis(5)).await;
        }
        self.pressed()
    }
}

fn respond(
    world: &mut World,
    ask: Ask,
    events: &broadcast::Sender<Event>,
) -> Option<Result<Answer, Refusal>> {
    let asks_much = matches!(ask, Ask::SendDigits { .. } | Ask::JoinCall { .. });
    if asks_much && !world.refusals.is_empty() {
        let code = world.refusals.remove(0);
        return Some(Err(Refusal { code, message: format!("{code:?}") }));
    }
    Some(Ok(match ask {
        Ask::Calls => Answer::Calls(world.calls.values().cloned().collect()),
        Ask::Status => {
            let line = |status: &GatewayStatus| LineInfo {
                sip: "127.0.0.1:30001".into(),
                pbx: "127.0.0.1:5060".into(),
                status: status.clone(),
            };
            let lines = world.lines.values().map(line).collect();
            Answer::Status(StatusReport { lines, problems: Vec::new() })
        }
        Ask::SendDigits { call, digits, key, .. } if world.calls.contains_key(&call) => {
            if key.is_none_or(|key| world.names.insert((call, key))) {
                world.pressed.push(Pressed { call, digits: digits.to_string(), at: Instant::now() });
            }
            if world.silent {
                return None;
            }
            Answer::Done
        }
        Ask::SendDigits { .. } => {
            let message = "no such call".into();
            return Some(Err(Refusal { code: RefusalCode::UnknownCall, message }));
        }
        Ask::JoinCall { key, .. } if world.keys.contains_key(key.as_deref().unwrap_or_default()) => {
            Answer::Call { call: world.keys[&key.unwrap()] }
        }
        Ask::JoinCall { line, extension, person: Callee::Id(person), key } => {
            world.joined.push((line.clone(), extension.clone(), person));
            let id = 0xb0 + world.joined.len() as u64;
            let info = CallInfo {
                extension: Some(extension),
                direction: Direction::PbxToTelegram,
                ..call_info(&line, id, person.number(), CallState::Dialling)
            };
            world.calls.insert(info.call, info.clone());
            world.keys.extend(key.map(|key| (key, info.call)));
            if world.silent {
                return None;
            }
            events.send(Event::Call(info)).ok();
            Answer::Call { call: CallId(id) }
        }
        Ask::HangUp { call } if world.calls.contains_key(&call) => {
            let info = world.calls.remove(&call).unwrap();
            events.send(Event::Call(CallInfo { state: CallState::Ended, ..info })).ok();
            Answer::Done
        }
        other => return Some(Err(Refusal::not_here("tgtrunk-gateway", &other))),
    }))
}

fn call_info(line: &Phone, call: u64, person: i64, state: CallState) -> CallInfo {
    CallInfo {
        call: CallId(call),
        line: line.clone(),
        direction: Direction::TelegramToPbx,
        state,
        peer: Peer { id: UserId::new(person).ok(), name: Some(format!("P{person}")), ..Peer::default() },
        dialled: None,
        extension: None,
        refused_by: None,
        telegram_call: None,
        emoji: None,
        trunk: Default::default(),
        ringing_ms: None,
        recording: None,
        started_ms: 1,
        answered_ms: None,
        duration_ms: None,
        end: None,
        quality: None,
        muted: Muted::default(),
        pbx: None,
    }
}
