//! How long a caller waits for the keypad, and how long a press takes to the first packet of its event: with one call at a time,
//! as Telethon and a capture see it. Part of `make bench`; needs root. Programs and test Telegram share this machine.

#![expect(clippy::print_stdout, reason = "figures are for the terminal")]

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use tgtrunk_tests::chat_stage::{Caller, ChatStage, LIMIT, Options};
use tgtrunk_tests::clock::{monotonic_ns, now};
use tgtrunk_tests::stage::Line;

const CALLS: usize = 15;
const CALLS_IN_FULL: usize = 40;
const KEYS: &str = "2049#";
/// The longest a keypad may take, and 99 of 100 presses.
const KEYPAD: Duration = Duration::from_millis(300);
const PRESS: Duration = Duration::from_millis(100);

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("keypad: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> anyhow::Result<()> {
    let (stage, mut callers) = ChatStage::open(Options::default()).await?;
    let (line, caller) =
        (stage.lines.first().context("a line")?.clone(), callers.first_mut().context("a caller")?);
    let (mut keypads, mut presses) = (Vec::new(), Vec::new());
    let is_full = std::env::var("BENCH").is_ok_and(|extent| extent == "full");
    for number in 0..if is_full { CALLS_IN_FULL } else { CALLS } {
        let (keypad, pressed_ns) = call(caller, &line).await.with_context(|| format!("call {number}"))?;
        keypads.push(keypad);
        let offered = stage.exchange.offered();
        let offered = offered.last().context("a call at the PBX")?;
        let capture = stage.capture.as_ref().context("a capture needs root")?;
        let events = stage.exchange.keys(offered, capture)?;
        ensure!(events.len() == KEYS.len(), "call {number}: {events:?}");
        // Both clocks are CLOCK_MONOTONIC; this pairs them.
        let (instant, instant_ns) = (now(), monotonic_ns()?);
        for (event, at_ns) in events.iter().zip(pressed_ns) {
            let began_ns = instant_ns - u64::try_from(instant.duration_since(event.began).as_nanos())?;
            presses.push(Duration::from_nanos(began_ns.saturating_sub(at_ns)));
        }
    }
    stage.close().await?;
    let (keypads, presses) = (Spread::of(keypads)?, Spread::of(presses)?);
    println!("keypad after the call began: {keypads}; want the worst within {KEYPAD:?}");
    println!("first packet of an event after the press: {presses}; want p99 within {PRESS:?}");
    ensure!(keypads.worst <= KEYPAD && presses.p99 <= PRESS, "slower than wanted");
    Ok(())
}

async fn call(caller: &mut Caller, line: &Line) -> anyhow::Result<(Duration, Vec<u64>)> {
    let (call, keypad, took) = caller.call_with_keypad(line).await?;
    let mut pressed_ns = Vec::new();
    for key in KEYS.chars() {
        let pressed = caller.chat.press(&keypad, &key.to_string(), LIMIT).await?;
        pressed.answer.map_err(anyhow::Error::msg)?;
        pressed_ns.push(pressed.at_ns);
        // A person needs longer.
        tokio::time::sleep(Duration::from_millis(400)).await;
    }
    caller.hang_up(call, &keypad).await?;
    Ok((took, pressed_ns))
}

struct Spread {
    p50: Duration,
    p99: Duration,
    worst: Duration,
}

impl Spread {
    fn of(mut times: Vec<Duration>) -> anyhow::Result<Self> {
        times.sort();
        let at = |percent: usize| times.get((times.len() * percent / 100).min(times.len() - 1)).copied();
        let none = "nothing was measured";
        Ok(Self {
            p50: at(50).context(none)?,
            p99: at(99).context(none)?,
            worst: *times.last().context(none)?,
        })
    }
}

impl std::fmt::Display for Spread {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "p50 {:.1?}, p99 {:.1?}, worst {:.1?}", self.p50, self.p99, self.worst)
    }
}
