//! `echo` and `call`: one number without a PBX.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, bail};
use tgtrunk_config::control::{CallInfo, CallState, Event};
use tgtrunk_config::{CallId, GatewayStatus, Line as LineSettings, Lines, Phone};
use tgtrunk_shell::keyboard::say;
use tgtrunk_shell::status_file;
use tgtrunk_telegram::Status;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::broadcast::{self, error::RecvError};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use crate::line::{House, Line, Mode, Order, Start};
use crate::{account, clock, rules};

/// One line, alone in this process.
struct Solo {
    orders: mpsc::Sender<Order>,
    task: JoinHandle<()>,
    status_file: JoinHandle<()>,
}

/// Takes every call of the number and plays back what it hears, until it is told to end.
///
/// # Errors
/// When the account cannot be opened or needs a login.
pub(crate) async fn echo(house: House, phone: &Phone) -> anyhow::Result<()> {
    let mut events = house.events.subscribe();
    let solo = Solo::begin(house, phone, Mode::Echo).await?;
    say(&format!("{phone} answers now: call it in Telegram and listen to yourself. Ctrl-C ends."));
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    loop {
        tokio::select! {
            call = next_call(&mut events) => match call {
                Some(call) => tell(&call),
                None => break,
            },
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
        }
    }
    solo.end().await
}

/// Calls a person, who hears themselves, until one of both hangs up.
///
/// # Errors
/// When the call does not come about; the sentence says why.
pub(crate) async fn call(house: House, phone: &Phone, person: &str) -> anyhow::Result<()> {
    let mut events = house.events.subscribe();
    let line = settings(&house, phone)?;
    let person = rules::dialled(person, &line.dial).map_err(|error| anyhow::anyhow!("{error}"))?;
    let solo = Solo::begin(house, phone, Mode::Nobody).await?;
    solo.orders.send(Order::Call(person)).await.ok().context("the line broke")?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut watched = Watched::default();
    let outcome = loop {
        tokio::select! {
            call = next_call(&mut events) => {
                let Some(call) = call else { break Err(anyhow::anyhow!("the line broke")) };
                if !watched.is_ours(&call) {
                    continue;
                }
                tell(&call);
                if let Some(outcome) = watched.outcome(&call) {
                    break outcome;
                }
            }
            _ = terminate.recv() => break Ok(()),
            _ = interrupt.recv() => break Ok(()),
        }
    };
    solo.end().await?;
    outcome
}

impl Solo {
    async fn begin(house: House, phone: &Phone, mode: Mode) -> anyhow::Result<Self> {
        let settings = settings(&house, phone)?;
        let (account, notices) = account::open(&house.settings, &house.state, phone).await?;
        let mut status = account.status();
        let ready = status
            .wait_for(|status| !matches!(status, Status::Orange { .. }))
            .await
            .map(|status| status.clone());
        if let Ok(Status::Red { reason }) = ready {
            account.shutdown().await;
            bail!("{phone}: {reason}. Log in first: tgtrunk-gateway login {phone}");
        }
        let (orders, ordered) = mpsc::channel(8);
        let waiting = GatewayStatus::waiting(phone.clone(), std::process::id(), clock::unix_ms());
        let (status, shown) = watch::channel(waiting);
        let state = house.state.clone();
        let line =
            Line::open(Start { house, settings, mode, account, notices, orders: ordered, status }).await?;
        Ok(Self {
            orders,
            task: tokio::spawn(line.run()),
            status_file: tokio::spawn(status_file::keep(state, shown, GatewayStatus::write)),
        })
    }

    async fn end(self) -> anyhow::Result<()> {
        self.orders.send(Order::Stop(Duration::ZERO)).await.ok();
        let ended = self.task.await.context("the line broke");
        self.status_file.await.ok();
        ended
    }
}

/// The one call that somebody asked for, among all that the line tells of.
#[derive(Default)]
struct Watched {
    call: Option<CallId>,
    answered: bool,
}

impl Watched {
    /// The first call that is dialled is ours; nobody else can dial here.
    fn is_ours(&mut self, call: &CallInfo) -> bool {
        if self.call.is_none() && call.state == CallState::Dialling {
            self.call = Some(call.call);
        }
        self.call == Some(call.call)
    }

    /// How it went, once it is over.
    fn outcome(&mut self, call: &CallInfo) -> Option<anyhow::Result<()>> {
        self.answered |= call.state == CallState::Answered;
        if call.state != CallState::Ended {
            return None;
        }
        let cause = call.end.as_ref().map_or("no reason was given", |end| end.cause.as_str());
        Some(if self.answered {
            Ok(())
        } else {
            Err(anyhow::anyhow!("the call did not come about: {cause}"))
        })
    }
}

/// The next news of a call; none when the line is gone.
async fn next_call(events: &mut broadcast::Receiver<Event>) -> Option<CallInfo> {
    loop {
        match events.recv().await {
            Ok(Event::Call(call)) => return Some(call),
            Ok(_) | Err(RecvError::Lagged(_)) => {}
            Err(RecvError::Closed) => return None,
        }
    }
}

/// The number's line as its file says, or defaults with a PBX that is never spoken to.
fn settings(house: &House, phone: &Phone) -> anyhow::Result<LineSettings> {
    if let Some(line) = Lines::load(&house.state)?.lines.into_iter().find(|line| line.phone == *phone) {
        return Ok(line);
    }
    let text = format!("phone = {:?}\nsip_port = 30001\npbx = \"127.0.0.1\"\n", phone.as_str());
    let line = LineSettings::parse(&text, Path::new("line.toml"), phone.as_str(), &BTreeMap::new());
    line.map_err(|problems| anyhow::anyhow!("{problems:?}"))
}

fn tell(call: &CallInfo) {
    let who = call.peer.name.as_deref().unwrap_or("somebody");
    match call.state {
        CallState::Incoming => say(&format!("{who} calls")),
        CallState::Dialling => say(&format!("calling {who}")),
        CallState::Ringing => say(&format!("{who}'s Telegram rings")),
        CallState::Answered => {
            say(&format!("{who} hears the echo; both see {}", call.emoji.as_deref().unwrap_or("no emoji")))
        }
        CallState::Ended => {
            let talked_s = call.duration_ms.unwrap_or(0) / 1000;
            say(&format!(
                "over after {talked_s} s: {}",
                call.end.as_ref().map_or("ended", |end| end.cause.as_str())
            ));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_follows_its_own_news_and_ends_on_its_own_end() {
        let mut watched = Watched::default();
        assert!(!watched.is_ours(&news(7, CallState::Incoming)));
        assert!(watched.is_ours(&news(8, CallState::Dialling)));
        assert!(!watched.is_ours(&news(7, CallState::Answered)));
        assert!(!watched.is_ours(&news(7, CallState::Ended)));
        assert!(watched.outcome(&news(8, CallState::Answered)).is_none());
        assert!(watched.is_ours(&news(8, CallState::Ended)));
        assert!(watched.outcome(&news(8, CallState::Ended)).unwrap().is_ok());
    }

    #[test]
    fn a_call_that_nobody_answered_is_an_error() {
        let mut watched = Watched::default();
        assert!(watched.is_ours(&news(8, CallState::Dialling)));
        let outcome = watched.outcome(&news(8, CallState::Ended)).unwrap();
        assert!(outcome.unwrap_err().to_string().starts_with("the call did not come about"));
    }

    #[tokio::test]
    async fn news_end_when_the_line_is_gone() {
        let (line, mut events) = broadcast::channel(1);
        line.send(Event::Lagged { missed: 1 }).unwrap();
        line.send(Event::Call(news(8, CallState::Dialling))).unwrap();
        assert_eq!(next_call(&mut events).await.map(|call| call.call), Some(CallId(8)));
        drop(line);
        assert!(next_call(&mut events).await.is_none());
    }

    fn news(call: u64, state: CallState) -> CallInfo {
        CallInfo {
            call: CallId(call),
            line: "+79060000000".parse().unwrap(),
            direction: tgtrunk_config::control::Direction::PbxToTelegram,
            state,
            peer: tgtrunk_config::control::Peer::default(),
            dialled: None,
            extension: None,
            refused_by: None,
            telegram_call: None,
            emoji: None,
            trunk: Default::default(),
            ringing_ms: None,
            recording: None,
            muted: tgtrunk_config::control::Muted::default(),
            pbx: None,
            quality: None,
            started_ms: 1,
            answered_ms: None,
            duration_ms: None,
            end: None,
        }
    }
}
