//! T22: calls come and go for as long as one likes, and what the gateway uses is noted all along: memory, descriptors, threads
//! and files. The curves are drawn in `soak.html`.

use std::time::Duration;

use tokio::time::sleep;

use super::curves::{self, Curve};
use super::kills::takes_many;
use super::kills_scene::Traffic;
use crate::clock::now;
use crate::torture::chance::Chance;
use crate::torture::rig::Rig;
use crate::torture::{Plan, Tally};
use crate::witness::records;

/// How many samples a run has, and how long two are apart at least.
const SAMPLES: u32 = 240;
const LEAST: Duration = Duration::from_millis(500);
/// From so many hours on a slope is believed, and what it may be.
const LONG_HOURS: f64 = 4.0;
const MOST_PERCENT_AN_HOUR: f64 = 0.1;
/// What memory may grow by in a shorter run, after its first part.
const MOST_SHARE: f64 = 0.05;
/// Descriptors and threads come and go with calls.
const MOST_MORE: f64 = 3.0;
const PAGE: &str = "soak.html";

pub(super) async fn run(plan: Plan) -> anyhow::Result<Tally> {
    let mut tally = Tally::default();
    let mut rig = Rig::open(&[takes_many]).await?;
    let mut chance = Chance::new(plan.seed);
    let traffic = Traffic::begin(&rig, &mut chance)?;
    let lasts = Duration::from_secs(plan.amount * 60);
    let every = (lasts / SAMPLES).max(LEAST);
    let began = now();
    let mut curves = ["memory, kB", "descriptors", "threads", "files, kB"].map(Curve::new);
    while now() - began < lasts {
        sleep(every).await;
        let hours = (now() - began).as_secs_f64() / 3_600.0;
        let used = curves::used(rig.pid, &rig.stage.installation.state)?;
        for (curve, value) in curves.iter_mut().zip(used) {
            curve.points.push((hours, value));
        }
        if now() - began > lasts / 2 {
            rig.warmed()?;
        }
    }
    traffic.end(&rig).await?;
    let told = records(&mut rig.gateway.control().await?).await?;
    let calls = told.len();
    let failed =
        told.iter().filter(|record| ["failed", "interrupted"].contains(&record.result.as_str())).count();
    tally.hold(failed == 0, || format!("{failed} of {calls} calls failed"));
    judge(&mut tally, &curves);
    tally.amount = plan.amount;
    tally.note(&format!("{calls} calls, {failed} failed"));
    curves::draw(PAGE, &format!("A gateway with {calls} calls"), &curves)?;
    rig.close(&mut tally).await?;
    Ok(tally)
}

/// What grew is told, and what grew too much is a failure.
fn judge(tally: &mut Tally, [memory, descriptors, threads, files]: &[Curve; 4]) {
    if let Some(slope) = memory.slope().filter(|slope| slope.hours >= LONG_HOURS) {
        let percent_an_hour = slope.an_hour / slope.level * 100.0;
        tally.hold(percent_an_hour <= MOST_PERCENT_AN_HOUR, || {
            format!("memory {percent_an_hour:+.2} % an hour")
        });
    }
    memory.is_flat_by_share(tally, MOST_SHARE);
    descriptors.is_flat(tally, MOST_MORE);
    threads.is_flat(tally, MOST_MORE);
    if let Some(slope) = files.slope() {
        tally.note(&format!("files {:+.0} kB", slope.grown()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gateway_that_grows_for_hours_is_held_to_less() {
        let flat = |name| Curve { name, points: (0..100).map(|at| (f64::from(at) / 10.0, 30.0)).collect() };
        for (an_hour, failed) in [(0.0, 0), (80.0, 1), (800.0, 2)] {
            let points = flat("memory, kB").points;
            let points = points.into_iter().map(|(hours, _)| (hours, 40_000.0 + an_hour * hours)).collect();
            let memory = Curve { name: "memory, kB", points };
            let mut tally = Tally::default();
            judge(&mut tally, &[memory, flat("descriptors"), flat("threads"), flat("files, kB")]);
            assert_eq!(tally.failed, failed, "{:?}", tally.failures);
        }
    }
}
