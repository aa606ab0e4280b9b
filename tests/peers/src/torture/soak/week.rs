//! T22, the week: a gateway whose clock is ahead of the machine's by more and more. In each of its hours the lines are busy for
//! some seconds; the rest of the hour passes two thousand times as fast, and whatever is due each minute, hour or day comes due:
//! lines register again, records and recordings grow old and are forgotten, names are looked up anew, days' budgets begin again.
//! What it uses is noted after each hour, and drawn in `week.html`.

use std::fs::{self, File};
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime};

use serde_json::json;
use tgtrunk_config::LineDraft;
use tgtrunk_config::control::{Answer, Ask, RecordFilter};
use tgtrunk_test_telegram::ahead;
use tokio::time::sleep;

use super::curves::{self, Curve};
use super::kills::takes_many;
use super::preload::Preload;
use super::week_traffic::Crowd;
use crate::clock::now;
use crate::prometheus;
use crate::stage::{self, GREEN_LIMIT};
use crate::torture::chance::Chance;
use crate::torture::rig::{Ground, Rig};
use crate::torture::{Plan, Tally};
use crate::witness::Witness;

const HOUR: Duration = Duration::from_secs(3_600);
/// Of an hour, lines are busy for so long by the machine's clock, and the rest passes in leaps, each of which takes so long:
/// what waits for a disk meanwhile is to find it before it gives up.
const BUSY: Duration = Duration::from_secs(2);
const LEAP: Duration = Duration::from_secs(5);
const LEAP_TAKES: Duration = Duration::from_millis(2);
/// What is kept, in days; old things are looked for each 6 hours.
const KEPT_DAYS: u32 = 1;
const KEPT_HOURS: usize = 24 + 6 + 1;
const OWN_CALLS: f64 = 8.0;
/// From so many hours on what is forgotten is as much as what comes, and the curves are to be flat.
const WHOLE_HOURS: usize = 72;
/// What may grow: memory as a share of what it was, files too; descriptors, threads and tasks by so many.
const MOST_SHARE: f64 = 0.05;
const MOST_FILES: f64 = 0.1;
const MOST_MORE: f64 = 3.0;
const PAGE: &str = "week.html";
const SOURCE: &str = include_str!("week_clock.c");

/// The clock of the gateway and of its Telegram.
struct Clock {
    preload: Preload,
    ahead: Duration,
}

pub(super) async fn run(plan: Plan) -> anyhow::Result<Tally> {
    let mut tally = Tally::default();
    let (mut clock, environment) = Clock::new()?;
    let settings = format!("max_new_calls_per_s = 1000\nmax_calls = 1000\nrecords_days = {KEPT_DAYS}");
    let ground = Ground { settings, environment, ..Ground::default() };
    let changes: [fn(LineDraft) -> LineDraft; 2] = [recording, registering];
    let mut rig = Rig::open_upon(ground, &changes).await?;
    if (plan.amount as usize) < WHOLE_HOURS {
        rig.remembers();
    }
    let mut chance = Chance::new(plan.seed);
    let mut crowd = Crowd::gather(&rig, &mut chance)?;
    let names = ["memory, kB", "descriptors", "threads", "state, kB", "tasks", "records", "recordings"];
    let mut curves = names.map(Curve::new);
    let (began, mut calls, mut lately) = (now(), 0, Vec::new());
    for hour in 0..plan.amount {
        let end = HOUR * (hour as u32 + 1);
        if let Err(error) = green(&rig).await {
            tally.fail(format!("hour {hour}: {error:#}"));
        }
        let counted = crowd.call(now() + BUSY).await?;
        calls += counted.calls;
        lately.push(counted.calls);
        let failed = counted.failed.into_iter();
        failed.for_each(|error| tally.fail(format!("hour {hour}, a call: {error}")));
        if let Err(error) = rig.calls_end().await {
            tally.fail(format!("hour {hour}: {error:#}"));
        }
        dated(&rig, clock.ahead)?;
        clock.pass(began, end).await?;
        for (curve, value) in curves.iter_mut().zip(sample(&rig).await?) {
            curve.points.push((hour as f64, value));
        }
        if hour >= plan.amount / 2 {
            rig.warmed()?;
        }
        tally.amount += 1;
    }
    let passed = now() - began;
    judge(&mut tally, &curves, &lately);
    tally.note(&format!(
        "{calls} calls in {} hours, which took {} s: {:.0} times as fast",
        plan.amount,
        passed.as_secs(),
        clock.ahead.as_secs_f64() / passed.as_secs_f64()
    ));
    curves::draw(PAGE, &format!("A gateway's {} hours with {calls} calls", plan.amount), &curves)?;
    drop(crowd);
    // Records of most calls are forgotten by now: what the oracle asks for is what comes from here on.
    rig.witness = Witness::begin(&rig.gateway).await?;
    // It asked for all that are left, as nobody did in that week; the oracle does so again.
    rig.warmed()?;
    rig.close(&mut tally).await?;
    Ok(tally)
}

impl Drop for Clock {
    fn drop(&mut self) {
        // Whatever runs next in this program has the machine's time.
        ahead::set(Duration::ZERO);
    }
}

/// A line whose calls are recorded, on which a day has minutes.
fn recording(draft: LineDraft) -> LineDraft {
    takes_many(draft)
        .set("recording", json!({ "enabled": true, "keep_days": KEPT_DAYS }))
        .set("to_telegram", json!({ "calls_per_minute": 0, "minutes_per_day": 1_000 }))
}

/// A line that registers at its PBX.
fn registering(draft: LineDraft) -> LineDraft {
    takes_many(draft).set("trunk", json!({ "register": true, "register_expires_s": 600 }))
}

async fn green(rig: &Rig) -> anyhow::Result<()> {
    for post in &rig.posts {
        stage::green(&rig.gateway, &post.line, GREEN_LIMIT).await?;
    }
    Ok(())
}

impl Clock {
    /// The machine's, at first, and what a gateway needs to go by it.
    fn new() -> anyhow::Result<(Self, Vec<(String, String)>)> {
        let preload = Preload::build(SOURCE)?;
        let environment = preload.environment("TGTRUNK_AHEAD", preload.told.display().to_string());
        Ok((Self { preload, ahead: Duration::ZERO }, environment))
    }

    /// Has time pass until this moment of the week.
    async fn pass(&mut self, began: Instant, until: Duration) -> anyhow::Result<()> {
        loop {
            let left = until.saturating_sub(self.ahead + (now() - began));
            if left.is_zero() {
                return Ok(());
            }
            self.ahead += left.min(LEAP);
            // Telegram believes messages that are a little old, and none of the future.
            ahead::set(self.ahead);
            self.preload.tell(u64::try_from(self.ahead.as_nanos())?)?;
            sleep(LEAP_TAKES).await;
        }
    }
}

/// The kernel dates recordings by the machine's clock: the gateway is to find them as old as they are by its own.
fn dated(rig: &Rig, ahead: Duration) -> anyhow::Result<()> {
    let Ok(files) = fs::read_dir(recordings(rig)) else { return Ok(()) };
    #[expect(clippy::disallowed_methods, reason = "as the kernel dates files")]
    let now = SystemTime::now();
    for file in files.flatten() {
        let modified = file.metadata()?.modified()?;
        // What was dated before is of another time than the last minutes of the machine's.
        let is_fresh = now.duration_since(modified).is_ok_and(|age| age < BUSY * 4);
        if is_fresh && !ahead.is_zero() {
            File::options().write(true).open(file.path())?.set_modified(modified + ahead)?;
        }
    }
    Ok(())
}

fn recordings(rig: &Rig) -> PathBuf {
    rig.stage.installation.state.join(&rig.posts[0].line.phone).join("recordings")
}

/// As [`curves::used`], and tasks, records and files of recordings.
async fn sample(rig: &Rig) -> anyhow::Result<[f64; 7]> {
    let [memory, descriptors, threads, files] = curves::used(rig.pid, &rig.stage.installation.state)?;
    let tasks = prometheus::sum(&prometheus::page(rig.metrics).await?, "tgtrunk_tasks", &[]);
    let filter = RecordFilter { limit: Some(1), ..RecordFilter::default() };
    let records = match rig.gateway.control().await?.ask(Ask::Records { filter }).await? {
        Answer::Records { total, .. } => f64::from(u32::try_from(total)?),
        other => anyhow::bail!("records: {other:?}"),
    };
    let recordings = fs::read_dir(recordings(rig)).map_or(0, Iterator::count) as f64;
    Ok([memory, descriptors, threads, files, tasks, records, recordings])
}

fn judge(tally: &mut Tally, curves: &[Curve; 7], calls: &[u64]) {
    let [memory, descriptors, threads, files, tasks, records, recordings] = curves;
    // The rig's own calls come on top.
    let most = calls.iter().rev().take(KEPT_HOURS).sum::<u64>() as f64 + OWN_CALLS;
    for (kept, most) in [(records, most), (recordings, most * 2.0)] {
        let (name, kept) = (kept.name, kept.points.last().map_or(0.0, |(_, kept)| *kept));
        tally.hold(kept > 0.0 && kept <= most, || {
            format!("{kept} {name} are kept of {most} in {KEPT_HOURS} hours")
        });
        tally.note(&format!("{kept} {name} kept"));
    }
    descriptors.is_flat(tally, MOST_MORE);
    threads.is_flat(tally, MOST_MORE);
    tasks.is_flat(tally, MOST_MORE);
    if calls.len() >= WHOLE_HOURS {
        memory.is_flat_by_share(tally, MOST_SHARE);
        files.is_flat_by_share(tally, MOST_FILES);
    }
}
