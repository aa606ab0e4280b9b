//! One connection of a follower, without its socket: what is asked on it, and what its lines mean.

use std::collections::BTreeMap;

use tgtrunk_config::control::{
    Answer, Ask, CallInfo, Event, Heard, HeardError, LineReader, Outcome, Refusal, Reply, Request,
    StatusReport, WireError, to_line,
};
use tokio::sync::oneshot;

use super::follower::{AskError, Followed, Told};
use super::news::{MOST, News};

/// Bytes that may wait to be sent; a gateway that does not read is not asked more.
const OUTGOING_BYTES: usize = 256 * 1024;
/// Unanswered questions after which those that nobody waits for any more are looked for.
const UNANSWERED: usize = 64;

/// Where an answer goes.
pub(super) type Waiter = oneshot::Sender<Result<Answer, AskError>>;

/// Why a connection is of no use any more.
#[derive(Debug, thiserror::Error)]
pub(super) enum LinkError {
    /// Another contract is spoken there.
    #[error(transparent)]
    Heard(#[from] HeardError),
    /// What came was no line.
    #[error(transparent)]
    Wire(#[from] WireError),
    /// It does not tell what holds.
    #[error("{0} was not answered as the contract says")]
    Answer(&'static str),
    /// It refuses to tell what holds.
    #[error(transparent)]
    Refused(#[from] Refusal),
}

/// A connection from its greeting on.
#[derive(Debug, Default)]
pub(super) struct Link {
    followed: Followed,
    lines: LineReader,
    /// What is to be sent.
    pub(super) outgoing: Vec<u8>,
    last_id: u64,
    asked: BTreeMap<u64, Waiter>,
    subscribe: Option<u64>,
    phase: Phase,
}

#[derive(Debug, Default)]
enum Phase {
    /// Nothing was heard yet.
    #[default]
    Greeting,
    /// It is asked what holds now; events wait until that is told.
    Catching(Catching),
    Following,
}

#[derive(Debug)]
struct Catching {
    /// None where there are no calls.
    calls_id: Option<u64>,
    status_id: u64,
    calls: Option<Vec<CallInfo>>,
    status: Option<StatusReport>,
    held: Vec<Event>,
}

impl Link {
    pub(super) fn new(followed: Followed) -> Self {
        Self { followed, ..Self::default() }
    }

    /// Whether it is known what holds there.
    pub(super) fn is_following(&self) -> bool {
        matches!(self.phase, Phase::Following)
    }

    /// Asks for somebody.
    pub(super) fn ask(&mut self, ask: Ask, waiter: Waiter) {
        if self.outgoing.len() > OUTGOING_BYTES {
            waiter.send(Err(AskError::NoAnswer)).ok();
            return;
        }
        if self.asked.len() >= UNANSWERED {
            self.asked.retain(|_, waiter| !waiter.is_closed());
        }
        let id = self.send(ask);
        self.asked.insert(id, waiter);
    }

    /// Takes bytes as they came.
    ///
    /// # Errors
    /// When the connection is of no use any more.
    pub(super) fn handle_bytes(&mut self, bytes: &[u8], news: &mut News) -> Result<(), LinkError> {
        self.lines.push(bytes);
        while let Some(line) = self.lines.next_line() {
            match Heard::from_line(&line?) {
                Ok(heard) => self.hear(heard, news)?,
                Err(error @ HeardError::Version { .. }) => return Err(error.into()),
                // The contract grows by words that older programs pass over.
                Err(HeardError::Unreadable(error)) => {
                    tracing::debug!(%error, "an unknown word was passed over")
                }
            }
        }
        Ok(())
    }

    fn hear(&mut self, heard: Heard, news: &mut News) -> Result<(), LinkError> {
        match heard {
            Heard::Hello(_) => {
                self.subscribe = Some(self.send(Ask::Subscribe));
                self.catch_up();
            }
            Heard::Event(Event::Lagged { missed }) => {
                tracing::debug!(missed, "events were missed");
                self.catch_up();
            }
            Heard::Event(event) => match &mut self.phase {
                Phase::Greeting => {}
                Phase::Catching(catching) if catching.held.len() < MOST => catching.held.push(event),
                // What holds will be older than what happened since.
                Phase::Catching(_) => self.catch_up(),
                Phase::Following => {
                    if !news.push(Told::Event(event)) {
                        self.catch_up();
                    }
                }
            },
            Heard::Reply(reply) => self.answered(reply, news)?,
        }
        Ok(())
    }

    fn answered(&mut self, reply: Reply, news: &mut News) -> Result<(), LinkError> {
        let Some(id) = reply.id else { return Ok(()) };
        if let Some(waiter) = self.asked.remove(&id) {
            waiter.send(reply.into_result().map_err(AskError::Refused)).ok();
            return Ok(());
        }
        if self.subscribe == Some(id) {
            return match reply.outcome {
                Outcome::Ok(Answer::Done) => Ok(()),
                Outcome::Ok(_) => Err(LinkError::Answer("subscribe")),
                Outcome::Error(refusal) => Err(refusal.into()),
            };
        }
        let Phase::Catching(catching) = &mut self.phase else { return Ok(()) };
        if catching.calls_id == Some(id) {
            let Answer::Calls(calls) = reply.into_result()? else { return Err(LinkError::Answer("calls")) };
            catching.calls = Some(calls);
        } else if id == catching.status_id {
            match (reply.into_result()?, self.followed) {
                (Answer::Status(status), Followed::Gateway) => catching.status = Some(status),
                (Answer::Clients(clients), Followed::Client) => {
                    let held = std::mem::take(&mut catching.held);
                    self.caught_up(Told::Clients(clients), held, news);
                    return Ok(());
                }
                (Answer::Bots(bots), Followed::Bot) => {
                    let held = std::mem::take(&mut catching.held);
                    self.caught_up(Told::Bots(bots), held, news);
                    return Ok(());
                }
                _ => return Err(LinkError::Answer("status")),
            }
        }
        if catching.calls.is_some()
            && let Some(status) = catching.status.take()
            && let Some(calls) = catching.calls.take()
        {
            let held = std::mem::take(&mut catching.held);
            self.caught_up(Told::Up { calls, status }, held, news);
        }
        Ok(())
    }

    /// What holds is known, and what happened since it was asked.
    fn caught_up(&mut self, holds: Told, held: Vec<Event>, news: &mut News) {
        self.phase = Phase::Following;
        let mut told = std::iter::once(holds).chain(held.into_iter().map(Told::Event));
        // Where one finds no room, what comes after it is old, too.
        if !told.all(|told| news.push(told)) {
            self.catch_up();
        }
    }

    /// Asks what holds now.
    fn catch_up(&mut self) {
        let calls_id = match self.followed {
            Followed::Gateway => Some(self.send(Ask::Calls)),
            Followed::Client | Followed::Bot => None,
        };
        let status_id = self.send(Ask::Status);
        self.phase =
            Phase::Catching(Catching { calls_id, status_id, calls: None, status: None, held: Vec::new() });
    }

    fn send(&mut self, ask: Ask) -> u64 {
        self.last_id += 1;
        self.outgoing.extend_from_slice(to_line(&Request { id: self.last_id, ask }).as_bytes());
        self.last_id
    }
}
