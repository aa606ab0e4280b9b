//! Calls for programs: every call of a line is told to a webhook, and programs have calls placed.
//!
//! The gateway tells what happens; each line keeps it in a ledger on its disk (`ledger.rs`), from which it is brought to the
//! webhook (`push.rs`). Orders for calls come over HTTP (`door.rs`), are written down, and go to the gateway (`order.rs`).

mod door;
mod event;
mod ledger;
mod order;
mod push;
mod webhook;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tgtrunk_config::control::{CallInfo, CallState};
use tgtrunk_config::{ApiSettings, CallId, Phone, Said};
use tgtrunk_messages::{Instance, Poster};
use tgtrunk_shell::asking::Follower;
use tokio::sync::{Notify, mpsc, watch};
use tokio::time::{Instant, sleep};
use tracing::{error, info};

pub(crate) use self::door::{Admit, Admitted, router};
use self::event::Known;
use self::ledger::{Heard, Ledger};
use self::push::{Pusher, Receiver};
#[cfg(test)]
pub(crate) use self::webhook::Fault;
use self::webhook::Standings;
pub(crate) use self::webhook::{Waits, Webhook};
use crate::store::Store;

/// News of a line that may wait to be written down.
const NEWS: usize = 1_024;
/// How long the first news of a call that was placed may take, and how often they are looked for.
const FIRST_NEWS: Duration = Duration::from_secs(1);
const LOOK: Duration = Duration::from_millis(20);

/// The calls of all lines. Clones are the same.
#[derive(Clone)]
pub(crate) struct Calls {
    gateway: Follower,
    /// Where the gateway is asked for what takes long.
    socket: Arc<PathBuf>,
    receiver: Option<Arc<Receiver>>,
    lines: Arc<Mutex<BTreeMap<Phone, LineCalls>>>,
    standings: Standings,
}

/// The calls of one line. Clones are the same.
#[derive(Clone)]
pub(crate) struct LineCalls {
    line: Phone,
    store: Store,
    live: Live,
    heard: mpsc::Sender<Heard>,
    /// News found no room: the ledger reads the gateway's records instead.
    is_behind: Arc<AtomicBool>,
    /// Orders under the same key, one at a time.
    turns: Arc<Mutex<BTreeMap<String, Turn>>>,
    /// Whoever looks for the call of an order holds it.
    finding: Turn,
    /// The webhook is to be tried now.
    urged: Arc<Notify>,
}

type Turn = Arc<tokio::sync::Mutex<()>>;

/// The calls of a line that are up. Clones are the same.
#[derive(Clone, Default)]
struct Live(Arc<Mutex<Up>>);

#[derive(Default)]
struct Up {
    /// Whether the gateway has told which are up. Nobody knows while it does not run.
    is_told: bool,
    calls: BTreeMap<CallId, CallInfo>,
}

impl Calls {
    /// News are brought as the settings say; `own_ports` are this program's.
    pub(crate) fn new(
        gateway: Follower,
        socket: PathBuf,
        settings: &ApiSettings,
        own_ports: Vec<u16>,
    ) -> Self {
        let receiver = settings.call_webhook.clone().and_then(|webhook| {
            match Poster::new(settings.webhook_timeout, &own_ports) {
                Ok(poster) => Some(Arc::new(Receiver { webhook, poster, life: settings.queue })),
                Err(error) => {
                    error!(%error, "nobody is told of calls");
                    None
                }
            }
        });
        let (lines, standings) = (Arc::default(), Standings::default());
        Self { gateway, socket: Arc::new(socket), receiver, lines, standings }
    }

    /// A line is open; programs of its `instance` hear of its calls too, if they want to. What comes back with it goes on until it is dropped.
    pub(crate) fn enter(
        &self,
        line: &Phone,
        store: Store,
        instance: Instance,
    ) -> (LineCalls, impl Future<Output = ()> + Send + 'static + use<>) {
        let (heard, hears) = mpsc::channel(NEWS);
        let is_behind = Arc::new(AtomicBool::new(false));
        let (live, told, urged) = (Live::default(), Arc::new(Notify::new()), Arc::<Notify>::default());
        let ledger = Ledger {
            line: line.clone(),
            store: store.clone(),
            gateway: self.gateway.clone(),
            instance: Some(instance),
            tells_all: self.receiver.is_some(),
            heard: hears,
            is_behind: Arc::clone(&is_behind),
            live: live.clone(),
            told: Arc::clone(&told),
            is_complete: false,
            again_at: None,
            missing: BTreeMap::new(),
        };
        let pusher = self.receiver.clone().map(|receiver| Pusher {
            line: line.clone(),
            store: store.clone(),
            receiver,
            told,
            urged: Arc::clone(&urged),
            standings: self.standings.clone(),
        });
        let (turns, finding) = (Arc::default(), Turn::default());
        let entered = LineCalls { line: line.clone(), store, live, heard, is_behind, turns, finding, urged };
        self.lines().insert(line.clone(), entered.clone());
        let work = async move {
            let push = async {
                if let Some(pusher) = pusher {
                    pusher.run().await;
                }
            };
            tokio::join!(ledger.run(), push);
        };
        (entered, work)
    }

    /// A line is closed.
    pub(crate) fn leave(&self, line: &Phone) {
        self.lines().remove(line);
        self.standings.leave(line);
    }

    /// What people are to be told of the webhook.
    pub(crate) fn problems(&self) -> Vec<Said> {
        self.standings.said(Instant::now()).into_iter().collect()
    }

    /// How the webhook does at a line that runs, where there is one.
    pub(crate) async fn webhook(&self, line: &Phone) -> Option<Webhook> {
        let (receiver, store) = (self.receiver.as_ref()?, self.line(line)?.store);
        let waiting = store.waiting_events().await.unwrap_or_default();
        let head = store.next_event().await.unwrap_or_default().map(|event| Waits {
            seq: event.seq,
            kind: event.kind,
            call: event.call,
            since_ms: u64::try_from(event.noted_s).unwrap_or(0) * 1_000,
        });
        Some(self.standings.of(line, receiver.webhook.url.clone(), waiting, head))
    }

    /// Has the webhook of a line tried now, if there is one.
    pub(crate) fn push_now(&self, line: &Phone) {
        if let Some(line) = self.line(line) {
            // Only whoever waits is woken: what is to be brought later is not hurried.
            line.urged.notify_waiters();
        }
    }

    /// Has nobody told of an event that waits. False where it waits no more.
    ///
    /// # Errors
    /// When that cannot be written down.
    pub(crate) async fn skip(&self, line: &Phone, seq: i64) -> Result<bool, sqlx::Error> {
        let Some(entered) = self.line(line) else { return Ok(false) };
        if !entered.store.skip_event(seq).await? {
            return Ok(false);
        }
        info!(%line, seq, "an event of a call is skipped by an operator: nobody is told of it");
        let waiting = entered.store.waiting_events().await.unwrap_or(0);
        self.standings.gave_up(line, waiting);
        push::forget_fault(&entered.store, waiting).await;
        entered.urged.notify_waiters();
        Ok(true)
    }

    /// Turns whenever the webhook may do another way.
    pub(crate) fn webhook_changes(&self) -> watch::Receiver<u64> {
        self.standings.changes()
    }

    fn line(&self, line: &Phone) -> Option<LineCalls> {
        self.lines().get(line).cloned()
    }

    fn lines(&self) -> MutexGuard<'_, BTreeMap<Phone, LineCalls>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl LineCalls {
    /// A call came, moved on or ended.
    pub(crate) fn tell(&self, info: &CallInfo) {
        self.live.note(info);
        self.hear(Heard::Call(Box::new(info.clone())));
    }

    /// What the order under a key waits for, while the same one is being placed.
    fn turn(&self, key: &str) -> Turn {
        let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        turns.retain(|_, turn| Arc::strong_count(turn) > 1);
        Arc::clone(turns.entry(key.to_owned()).or_default())
    }

    /// Returns once the gateway told of a call that it says it placed, so that whoever asks for it next is answered.
    async fn until_heard_of(&self, call: CallId) {
        let limit = Instant::now() + FIRST_NEWS;
        while !self.live.has(call)
            && !matches!(self.store.call(&call.to_string()).await, Ok(Some(_)))
            && Instant::now() < limit
        {
            sleep(LOOK).await;
        }
    }

    /// Returns once a call is over that is being ended, or that takes too long.
    async fn until_over(&self, call: CallId) {
        let limit = Instant::now() + FIRST_NEWS;
        while self.live.has(call) && Instant::now() < limit {
            sleep(LOOK).await;
        }
    }

    /// A call as the gateway told of it last.
    async fn known(&self, call: CallId) -> Result<Option<Known>, sqlx::Error> {
        if let Some(info) = self.live.find(call) {
            return Ok(Some(Known::heard(info, 0)));
        }
        let Some(row) = self.store.call(&call.to_string()).await? else { return Ok(None) };
        let info = serde_json::from_str(&row.info).ok();
        Ok(info.map(|info| Known { info, ended_ms: row.ended_ms }))
    }

    /// These calls are up, and no others; none where nobody knows.
    pub(crate) fn holds(&self, up: Option<&BTreeMap<CallId, CallInfo>>) {
        *self.live.lock() = Up { is_told: up.is_some(), calls: up.cloned().unwrap_or_default() };
        if let Some(up) = up {
            self.hear(Heard::Holds(up.values().cloned().collect()));
        }
    }

    /// Never waits: where the disk is far behind, the gateway's records have what is left out.
    fn hear(&self, heard: Heard) {
        if self.heard.try_send(heard).is_err() {
            self.is_behind.store(true, Ordering::Release);
        }
    }
}

impl Live {
    fn note(&self, info: &CallInfo) {
        let calls = &mut self.lock().calls;
        if info.state == CallState::Ended {
            calls.remove(&info.call);
        } else {
            calls.insert(info.call, info.clone());
        }
    }

    fn all(&self) -> Vec<CallInfo> {
        self.lock().calls.values().cloned().collect()
    }

    /// The same; none where nobody knows.
    fn known(&self) -> Option<Vec<CallInfo>> {
        let up = self.lock();
        up.is_told.then(|| up.calls.values().cloned().collect())
    }

    fn has(&self, call: CallId) -> bool {
        self.lock().calls.contains_key(&call)
    }

    fn find(&self, call: CallId) -> Option<CallInfo> {
        self.lock().calls.get(&call).cloned()
    }

    fn lock(&self) -> MutexGuard<'_, Up> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
