//! How a call runs: its thread has it hear packets where they lie, and its task does what they and everything else lead to.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::panic::resume_unwind;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::Wake as _;
use std::time::Instant;

use tgtrunk_bridge::Record;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;
use tracing::Instrument as _;

use super::ears::{Ears, Happened, Stirred};
use super::{BACKLOG, Said, Task};
use crate::clock;
use crate::plane::{Desk, Hears};
use crate::records::ROW_LIMIT;

/// Runs a call until nothing of it is on its way any more; it says nothing before it is `written` down.
pub(super) async fn run(
    task: Arc<Mutex<Task>>,
    (key, said): (u64, mpsc::Sender<(u64, Said)>),
    written: oneshot::Receiver<()>,
) {
    let mut ears = {
        let task = lock(&task);
        task.span.in_scope(|| tracing::info!("call begins"));
        Ears::new(task.telegram.addresses(), Arc::clone(&task.stirred))
    };
    let mut happened = None;
    let mut written = Some(written);
    loop {
        let (ended, words) = {
            let mut task = lock(&task);
            (task.work(happened, &mut ears), std::mem::take(&mut task.words))
        };
        let say = async |words: Vec<Said>| {
            for word in words {
                said.send((key, word)).await.ok();
            }
        };
        if let Some(record) = ended {
            // Whoever is alone hears nothing any more.
            let task = alone(task);
            if let Some(written) = written {
                timeout(ROW_LIMIT, written).await.ok();
            }
            say(words).await;
            let span = task.span.clone();
            // What waits there is large, and nothing before it needs room for that.
            return Box::pin(task.finish(record).instrument(span)).await;
        }
        if let Some(written) = written.take() {
            timeout(ROW_LIMIT, written).await.ok();
        }
        say(words).await;
        happened = Some(poll_fn(|context| lock(&task).poll_happened(&mut ears, context)).await);
    }
}

/// A call is its thread's alone: nobody waits here.
fn lock(task: &Mutex<Task>) -> MutexGuard<'_, Task> {
    task.lock().unwrap_or_else(|_| broke())
}

/// A call that its thread knows no more. It is large: whoever waits is to have it in a box.
fn alone(task: Arc<Mutex<Task>>) -> Box<Task> {
    match Arc::into_inner(task).map(Mutex::into_inner) {
        Some(Ok(task)) => Box::new(task),
        Some(Err(_)) | None => broke(),
    }
}

/// The call broke while it heard a packet, which was told then.
fn broke() -> ! {
    resume_unwind(Box::new("the call broke while it heard a packet"))
}

impl Hears for Task {
    fn hear(&mut self, socket: usize, came: usize, desk: &mut Desk) {
        self.listen_to(desk, |task, now, desk| task.take_packets(now, socket, came, desk));
    }

    fn hear_shared(&mut self, local: SocketAddr, source: SocketAddr, datagram: &mut [u8], desk: &mut Desk) {
        self.listen_to(desk, |task, now, _| task.take_from_telegram(now, local, source, datagram));
    }

    fn clash(&mut self, local: SocketAddr, desk: &mut Desk) {
        self.listen_to(desk, |task, now, _| {
            let _entered = task.span.clone().entered();
            task.telegram.open_beside(now, local);
            false
        });
        // There may be another socket to be heard.
        self.is_unrested = true;
        Stirred::wake_by_ref(&self.stirred);
    }

    fn broke(&mut self) {
        Stirred::wake_by_ref(&self.stirred);
    }
}

impl Task {
    /// Takes what came at the thread's desk; `take` says whether that was nothing but sound.
    fn listen_to(&mut self, desk: &mut Desk, take: impl FnOnce(&mut Self, Instant, &mut Desk) -> bool) {
        // What it has to tell waits for its line.
        if self.ended.is_some() || self.words.len() > BACKLOG {
            return;
        }
        let now = clock::now();
        self.take_desk(desk);
        // Sound passes without the span, whose entering costs as much as a packet's encryption.
        let is_sound_alone = take(self, now, desk);
        let is_quiet = self.drain(now);
        self.take_desk(desk);
        if !is_sound_alone {
            self.renew_rest();
        }
        // The task sleeps on until it would have woken up, if nothing is due before.
        let is_urgent = self.deadline().is_some_and(|due| due < self.wakes_at);
        if !is_quiet || is_urgent || !self.words.is_empty() {
            self.is_unrested = true;
            Stirred::wake_by_ref(&self.stirred);
        }
    }

    /// Does what is to be done about something that happened, at the thread's desk.
    fn work(&mut self, happened: Option<Happened>, ears: &mut Ears) -> Option<Record> {
        let mut desk = Desk::borrow();
        self.take_desk(&mut desk);
        let now = clock::now();
        // That comes for each packet that is encoded, and concerns nobody else.
        let is_playout_alone =
            matches!(happened, Some(Happened::Timer)) && self.rest_due.is_none_or(|due| due > now);
        if is_playout_alone {
            self.play(now);
        } else if let Some(happened) = happened {
            let _entered = self.span.clone().entered();
            self.handle(now, happened, ears);
        }
        let is_quiet = self.drain(now) && self.words.is_empty();
        let plays_on = self.relay.poll_playout().is_some();
        if !(is_playout_alone && is_quiet && plays_on) {
            self.listen();
            self.renew_rest();
        }
        self.wakes_at = ears.wake_at(self.deadline());
        self.take_desk(&mut desk);
        desk.give_back();
        self.ended.take()
    }

    /// Takes the desk's room for packets, or gives it back.
    fn take_desk(&mut self, desk: &mut Desk) {
        std::mem::swap(&mut self.batch, &mut desk.batch);
        std::mem::swap(&mut self.outgoing, &mut desk.outgoing);
    }

    /// Has the thread tell of what comes to sockets that are new.
    fn listen(&mut self) {
        if let Some(pair) = self.trunk.sockets_mut() {
            pair.rtp.listen(&self.me);
            pair.rtcp.listen(&self.me);
        }
        self.telegram.ports.listen(&self.me);
    }
}
