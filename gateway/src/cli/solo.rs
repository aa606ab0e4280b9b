//! `echo` and `call`: one number without a PBX.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context as _, bail};
use tgtrunk_config::control::{CallState, Event};
use tgtrunk_config::{GatewayStatus, Line as LineSettings, Lines, Phone};
use tgtrunk_telegram::Status;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use crate::line::{House, Line, Mode, Order, Start};
use crate::{account, clock, rules};

struct Solo {
    orders: mpsc::Sender<Order>,
    task: JoinHandle<()>,
}

/// Takes every call of the number and plays back what it hears, until it is told to end.
///
/// # Errors
/// When the account cannot be opened or needs a login.
pub(crate) async fn echo(house: House, phone: &Phone) -> anyhow::Result<()> {
    let mut events = house.events.subscribe();
    let solo = begin(house, phone).await?;
    say(&format!("{phone} answers now: call it in Telegram and listen to yourself. Ctrl-C ends."));
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    loop {
        tokio::select! {
            event = events.recv() => if let Ok(Event::Call(call)) = event {
                tell(&call);
            },
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
        }
    }
    solo.orders.send(Order::Stop(std::time::Duration::ZERO)).await.ok();
    solo.task.await.context("the line broke")
}

/// Calls a person, who hears themselves, until one of both hangs up.
///
/// # Errors
/// When the call does not come about; the sentence says why.
pub(crate) async fn call(house: House, phone: &Phone, person: &str) -> anyhow::Result<()> {
    let mut events = house.events.subscribe();
    let line = settings(&house, phone)?;
    let person = rules::dialled(person, &line.dial).map_err(|error| anyhow::anyhow!("{error}"))?;
    let solo = begin(house, phone).await?;
    solo.orders.send(Order::Call(person)).await.ok().context("the line broke")?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut answered = false;
    let outcome = loop {
        tokio::select! {
            event = events.recv() => if let Ok(Event::Call(call)) = event {
                tell(&call);
                answered |= call.state == CallState::Answered;
                if let (CallState::Ended, Some(end)) = (call.state, call.end) {
                    break if answered { Ok(()) } else { Err(anyhow::anyhow!("the call did not come about: {}", end.cause)) };
                }
            },
            _ = terminate.recv() => break Ok(()),
            _ = interrupt.recv() => break Ok(()),
        }
    };
    solo.orders.send(Order::Stop(std::time::Duration::ZERO)).await.ok();
    solo.task.await.context("the line broke")?;
    outcome
}

async fn begin(house: House, phone: &Phone) -> anyhow::Result<Solo> {
    let settings = settings(&house, phone)?;
    let (account, notices) = account::open(&house.settings, &house.state, phone).await?;
    let mut status = account.status();
    let ready =
        status.wait_for(|status| !matches!(status, Status::Orange { .. })).await.map(|status| status.clone());
    if let Ok(Status::Red { reason }) = ready {
        account.shutdown().await;
        bail!("{phone}: {reason}. Log in first: tgtrunk-gateway login {phone}");
    }
    let (orders, ordered) = mpsc::channel(8);
    let (shown, _) =
        watch::channel(GatewayStatus::waiting(phone.clone(), std::process::id(), clock::unix_ms()));
    let line = Line::open(Start {
        house,
        settings,
        mode: Mode::Echo,
        account,
        notices,
        orders: ordered,
        status: shown,
    })
    .await?;
    Ok(Solo { orders, task: tokio::spawn(line.run()) })
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

fn tell(call: &tgtrunk_config::control::CallInfo) {
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

#[expect(clippy::print_stdout, reason = "a person tries the first sound at this terminal")]
fn say(sentence: &str) {
    println!("{sentence}");
}
