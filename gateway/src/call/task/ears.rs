//! What a call's task waits for, which is looked at only when something of it has stirred. Packets come all the time, and
//! pass without the task as long as they lead to nothing else.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use tokio::time::{Sleep, sleep_until};

use super::{Input, Task};
use crate::call::steps::Step;
use crate::call::streams::StreamNews;
use crate::clock;
use crate::net::Addresses;

/// A task without a deadline looks around this often; nothing depends on it.
const IDLE: Duration = Duration::from_secs(3600);
/// What is read of a relay's connection in one go.
const STREAM_BYTES: usize = 4096;

/// What happened to a call.
pub(super) enum Happened {
    Input(Option<Box<Input>>),
    Step(Box<Step>),
    /// A packet that came had consequences.
    Heard,
    /// What it is stands in [`Ears::from_relay`].
    FromRelay(StreamNews),
    Addresses,
    Timer,
}

/// What wakes a call's task.
pub(super) struct Ears {
    stirred: Arc<Stirred>,
    /// Wakes the task, and says that it was not a packet.
    waker: Waker,
    sleep: Pin<Box<Sleep>>,
    addresses: Pin<Box<dyn Future<Output = ()> + Send>>,
    pub(super) from_relay: Vec<u8>,
}

/// That something is to be looked at.
pub(super) struct Stirred {
    flag: AtomicBool,
    task: Mutex<Waker>,
}

impl Stirred {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self { flag: AtomicBool::new(true), task: Mutex::new(Waker::noop().clone()) })
    }

    /// Something may have come into being that was not waited for until now; the task is awake.
    pub(super) fn stir(&self) {
        self.flag.store(true, Ordering::Release);
    }

    fn lend(&self, waker: &Waker) {
        let mut task = self.task.lock().unwrap_or_else(PoisonError::into_inner);
        if !task.will_wake(waker) {
            task.clone_from(waker);
        }
    }
}

impl Wake for Stirred {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.flag.store(true, Ordering::Release);
        self.task.lock().unwrap_or_else(PoisonError::into_inner).wake_by_ref();
    }
}

impl Ears {
    pub(super) fn new(addresses: &Addresses, stirred: Arc<Stirred>) -> Self {
        Self {
            waker: Waker::from(Arc::clone(&stirred)),
            stirred,
            sleep: Box::pin(sleep_until((clock::now() + IDLE).into())),
            addresses: follow(addresses),
            from_relay: Vec::new(),
        }
    }

    /// The addresses that changed were taken notice of.
    pub(super) fn follow(&mut self, addresses: &Addresses) {
        self.addresses = follow(addresses);
        self.stirred.stir();
    }

    /// Wakes the task at a moment, or before: packets put deadlines off, which is not worth a timer's change each time.
    /// When that is.
    pub(super) fn wake_at(&mut self, deadline: Option<Instant>) -> Instant {
        let deadline = deadline.unwrap_or_else(|| clock::now() + IDLE).into();
        if deadline < self.sleep.deadline() || self.sleep.is_elapsed() {
            self.sleep.as_mut().reset(deadline);
            self.stirred.stir();
        }
        self.sleep.deadline().into()
    }
}

impl Task {
    /// Waits until something happens.
    pub(super) fn poll_happened(&mut self, ears: &mut Ears, context: &mut Context<'_>) -> Poll<Happened> {
        ears.stirred.lend(context.waker());
        if !ears.stirred.flag.swap(false, Ordering::Acquire) {
            return Poll::Pending;
        }
        let happened = if std::mem::take(&mut self.is_unrested) {
            Poll::Ready(Happened::Heard)
        } else {
            self.poll_rest(ears)
        };
        if happened.is_ready() {
            // What was not looked at may have stirred as well.
            ears.stirred.stir();
        }
        happened
    }

    fn poll_rest(&mut self, ears: &mut Ears) -> Poll<Happened> {
        let context = &mut Context::from_waker(&ears.waker);
        if ears.sleep.as_mut().poll(context).is_ready() {
            return Poll::Ready(Happened::Timer);
        }
        if self.has_line
            && let Poll::Ready(input) = self.inputs.poll_recv(context)
        {
            return Poll::Ready(Happened::Input(input));
        }
        if let Poll::Ready(step) = self.telegram.poll_step(context) {
            return Poll::Ready(Happened::Step(Box::new(step)));
        }
        let streams = &mut self.telegram.streams;
        if !streams.is_empty() {
            ears.from_relay.resize(STREAM_BYTES, 0);
            if let Poll::Ready(news) = streams.poll(context, &mut ears.from_relay) {
                return Poll::Ready(Happened::FromRelay(news));
            }
        }
        ears.addresses.as_mut().poll(context).map(|()| Happened::Addresses)
    }
}

/// Waits until addresses change; for ever once nobody tells of them any more.
fn follow(addresses: &Addresses) -> Pin<Box<dyn Future<Output = ()> + Send>> {
    let mut addresses = addresses.clone();
    Box::pin(async move {
        if addresses.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    })
}
