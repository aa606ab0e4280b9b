//! T20: the machine's clock steps by hours and days, leaps and drifts, and the machine sleeps, amid calls. Sound and timers know
//! nothing of it, and Telegram, which believes no message from another time, hears the line again at once.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;
use tokio::time::sleep;

use crate::clock::{self, now};
use crate::load::machine::Threads;
use crate::torture::rig::{Rig, by_address};
use crate::torture::talks::{Balance, Talk, end_all};
use crate::torture::{Plan, Tally};

const CALLS: usize = 10;
/// How soon the line calls again after a step.
const BACK_LIMIT: Duration = Duration::from_secs(5);
/// How long a step stays before it is looked at what it did.
const STAYS: Duration = Duration::from_secs(2);
/// What the gateway may use of a processor so long beside what it uses for its calls anyway: a message that is refused and sent
/// again without a pause takes all there is.
const STORM: Duration = Duration::from_millis(500);
/// How long the machine sleeps.
const SLEEPS: Duration = Duration::from_secs(4);
const HOUR: i64 = 3_600;
const DAY: i64 = 24 * HOUR;

/// What becomes of the clock; the machine's own is 0.
#[derive(Debug, Clone, Copy)]
enum Step {
    /// So many seconds off.
    Off(i64),
    /// So much faster.
    Drifts(f64),
    Sleeps,
}

/// Telegram believes messages that are up to 300 s old or 30 s early. The first two are a clock that is set wrong and mended:
/// what was numbered too high meanwhile must not count afterwards.
const STEPS: [Step; 11] = [
    Step::Off(200),
    Step::Off(0),
    // As a leap second is told by kernels: a second comes twice.
    Step::Off(-1),
    Step::Drifts(1.05),
    Step::Off(20),
    Step::Off(-200),
    Step::Sleeps,
    Step::Off(-HOUR),
    Step::Off(HOUR),
    Step::Off(DAY),
    Step::Off(-DAY),
];

pub(super) async fn run(plan: Plan) -> anyhow::Result<Tally> {
    let mut tally = Tally::default();
    let folder = TempDir::with_prefix("tgtrunk-clock-")?;
    let file = folder.path().join("clock");
    show(&file, "+0")?;
    let mut rig = Rig::open_in(environment(&file)?, &[by_address]).await?;
    let mut talks = Vec::new();
    for number in 0..CALLS {
        talks.push(Talk::begin(&rig, 0, number).await?);
    }
    sleep(Duration::from_millis(500)).await;
    let (mut slowest, mut most) = (Duration::ZERO, Duration::ZERO);
    let calm = used(rig.pid).await?;
    'all: loop {
        for step in STEPS {
            let balances: Vec<_> = talks.iter().map(Balance::of).collect();
            match one(&mut rig, &file, step).await {
                Ok((took, used)) => {
                    (slowest, most) = (slowest.max(took), most.max(used));
                    tally.hold(used <= calm * 2 + STORM, || {
                        format!("{step:?}: {used:?} of a processor in {STAYS:?}, {calm:?} before")
                    });
                }
                Err(error) => tally.fail(format!("{step:?}: {error:#}")),
            }
            for (balance, talk) in balances.iter().zip(&talks) {
                // What sounds while a machine sleeps is heard by nobody.
                if matches!(step, Step::Sleeps) {
                    tally.hold(!talk.wire.is_over(), || format!("{step:?}: a call was torn down"));
                } else {
                    balance.judge(talk, &mut tally, &format!("{step:?}"));
                }
            }
            tally.amount += 1;
            rig.warmed()?;
            if tally.amount >= plan.amount {
                break 'all;
            }
        }
    }
    show(&file, "+0")?;
    sleep(STAYS).await;
    end_all(talks).await?;
    tally.note(&format!(
        "{CALLS} calls go on; a call both ways within {} ms of each step at most, which takes 1 s of listening; at most {} ms of a \
         processor in {} s after it, {} ms before the first",
        slowest.as_millis(),
        most.as_millis(),
        STAYS.as_secs(),
        calm.as_millis()
    ));
    rig.close(&mut tally).await?;
    Ok(tally)
}

/// The gateway believes the clock in a file.
fn environment(file: &Path) -> anyhow::Result<Vec<(String, String)>> {
    let file: PathBuf = file.to_owned();
    let pairs = [
        ("LD_PRELOAD", clock::faketime()?),
        ("FAKETIME_TIMESTAMP_FILE", file.display().to_string()),
        ("FAKETIME_NO_CACHE", "1".to_owned()),
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
    ];
    Ok(pairs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
}

/// Puts the file in the other's place, so that nobody reads half of it.
fn show(file: &Path, text: &str) -> anyhow::Result<()> {
    let fresh = file.with_extension("new");
    fs::write(&fresh, format!("{text}\n"))?;
    fs::rename(&fresh, file).context("the clock's file")
}

/// What the gateway uses of a processor while its calls go on.
async fn used(pid: u32) -> anyhow::Result<Duration> {
    let before = Threads::of(pid)?;
    sleep(STAYS).await;
    Ok(Duration::from_nanos(Threads::of(pid)?.since(&before).cpu_ns))
}

/// Steps, and has somebody call both ways; how long the slower one took, and what the gateway uses afterwards.
async fn one(rig: &mut Rig, file: &Path, step: Step) -> anyhow::Result<(Duration, Duration)> {
    match step {
        Step::Off(seconds) => show(file, &format!("{seconds:+}"))?,
        Step::Drifts(times) => show(file, &format!("+0 x{times}"))?,
        Step::Sleeps => {
            let process = Pid::from_raw(rig.pid.try_into()?);
            kill(process, Signal::SIGSTOP)?;
            sleep(SLEEPS).await;
            kill(process, Signal::SIGCONT)?;
        }
    }
    let began = now();
    let took = rig.calls_both_ways(0).await?;
    ensure!(took <= BACK_LIMIT, "a call took {took:?}");
    ensure!(now() - began <= BACK_LIMIT, "two calls took {:?}", now() - began);
    Ok((took, used(rig.pid).await?))
}
