//! T22: calls come and go for as long as one likes, and what the gateway uses is noted all along: memory, descriptors, threads
//! and files. The curves are drawn in `soak.html`.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::sleep;

use super::kills::takes_many;
use super::kills_scene::Traffic;
use crate::clock::now;
use crate::load::machine;
use crate::load::statistics::line;
use crate::torture::chance::Chance;
use crate::torture::oracle::records;
use crate::torture::rig::Rig;
use crate::torture::{Plan, Tally};

/// How many samples a run has, and how long two are apart at least.
const SAMPLES: u32 = 240;
const LEAST: Duration = Duration::from_millis(500);
/// The first part of a run says nothing: whatever is needed once is had then.
const WARM_SHARE: usize = 3;
/// From so many hours on a slope is believed, and what it may be.
const LONG_HOURS: f64 = 4.0;
const MOST_PERCENT_AN_HOUR: f64 = 0.1;
/// What memory may grow by in a shorter run, after its first part.
const MOST_SHARE: f64 = 0.05;
/// Descriptors and threads come and go with calls.
const MOST_MORE: f64 = 3.0;
const PAGE: &str = "soak.html";
const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 160.0;

/// What is read off a sample.
type Figure = fn(&Sample) -> f64;

/// What a gateway used at a time.
struct Sample {
    hours: f64,
    resident_kb: f64,
    descriptors: f64,
    threads: f64,
    files_kb: f64,
}

pub(super) async fn run(plan: Plan) -> anyhow::Result<Tally> {
    let mut tally = Tally::default();
    let mut rig = Rig::open(&[takes_many]).await?;
    let mut chance = Chance::new(plan.seed);
    let traffic = Traffic::begin(&rig, &mut chance)?;
    let lasts = Duration::from_secs(plan.amount * 60);
    let every = (lasts / SAMPLES).max(LEAST);
    let began = now();
    let mut samples = Vec::new();
    while now() - began < lasts {
        sleep(every).await;
        samples.push(sample(&rig, (now() - began).as_secs_f64() / 3_600.0)?);
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
    judge(&mut tally, &samples);
    tally.amount = plan.amount;
    tally.note(&format!("{calls} calls, {failed} failed"));
    let page = page(&samples, calls);
    std::fs::write(folder().join(PAGE), page)?;
    rig.close(&mut tally).await?;
    Ok(tally)
}

/// Where reports lie; the short form leaves its page nowhere else.
fn folder() -> PathBuf {
    std::env::var_os("TGTRUNK_REPORTS").map_or_else(std::env::temp_dir, PathBuf::from)
}

fn sample(rig: &Rig, hours: f64) -> anyhow::Result<Sample> {
    let files = size_of(&rig.stage.installation.state)? as f64 / 1_024.0;
    Ok(Sample {
        hours,
        resident_kb: machine::resident_kb(rig.pid)? as f64,
        descriptors: machine::descriptors(rig.pid)? as f64,
        threads: machine::Threads::of(rig.pid)?.count() as f64,
        files_kb: files,
    })
}

/// Bytes of all files in a folder; those that go meanwhile have none.
fn size_of(folder: &Path) -> anyhow::Result<u64> {
    let mut bytes = 0;
    for entry in std::fs::read_dir(folder)?.flatten() {
        let Ok(of) = entry.metadata() else { continue };
        bytes += if of.is_dir() { size_of(&entry.path())? } else { of.len() };
    }
    Ok(bytes)
}

/// What grew is told, and what grew too much is a failure.
fn judge(tally: &mut Tally, samples: &[Sample]) {
    let settled = &samples[samples.len() / WARM_SHARE..];
    let slope = |what: fn(&Sample) -> f64| {
        let points: Vec<_> = settled.iter().map(|sample| (sample.hours, what(sample))).collect();
        line(&points).unwrap_or_default()
    };
    let Some(hours) = settled.first().zip(settled.last()).map(|(first, last)| last.hours - first.hours)
    else {
        return tally.fail("too short for anything");
    };
    let (level, an_hour) = slope(|sample| sample.resident_kb);
    let percent_an_hour = an_hour / level * 100.0;
    if hours >= LONG_HOURS {
        tally.hold(percent_an_hour <= MOST_PERCENT_AN_HOUR, || {
            format!("memory {percent_an_hour:+.2} % an hour")
        });
    }
    let grown = an_hour * hours / level;
    tally.hold(grown <= MOST_SHARE, || format!("memory grew by {:.1} %", grown * 100.0));
    tally.note(&format!("memory {:+.2} % in the last {:.0} s", grown * 100.0, hours * 3_600.0));
    let counts: [(&str, Figure); 2] =
        [("descriptors", |sample| sample.descriptors), ("threads", |sample| sample.threads)];
    for (name, what) in counts {
        let more = slope(what).1 * hours;
        tally.hold(more <= MOST_MORE, || format!("{name} grew by {more:.1}"));
        tally.note(&format!("{name} {more:+.1}"));
    }
    let (_, files) = slope(|sample| sample.files_kb);
    tally.note(&format!("files {:+.0} kB", files * hours));
}

/// The page with a curve of each.
fn page(samples: &[Sample], calls: usize) -> String {
    let mut page = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>tgtrunk: soak</title><style>\
         body{{font:16px system-ui,sans-serif;max-width:44rem;margin:2rem auto}}svg{{width:100%}}polyline{{fill:none;stroke:#0969da}}\
         text{{font:12px system-ui,sans-serif}}</style><h1>A gateway with {calls} calls</h1>"
    );
    let curves: [(&str, Figure); 4] = [
        ("memory, kB", |sample| sample.resident_kb),
        ("descriptors", |sample| sample.descriptors),
        ("threads", |sample| sample.threads),
        ("files, kB", |sample| sample.files_kb),
    ];
    for (name, what) in curves {
        page += &curve(name, samples, what);
    }
    page + "</html>\n"
}

/// One curve, from nothing up to its highest.
fn curve(name: &str, samples: &[Sample], what: fn(&Sample) -> f64) -> String {
    let high = samples.iter().map(what).fold(1.0, f64::max);
    let end = samples.last().map_or(1.0, |sample| sample.hours.max(f64::MIN_POSITIVE));
    let mut points = String::new();
    for sample in samples {
        let (x, y) = (sample.hours / end * WIDTH, HEIGHT - what(sample) / high * (HEIGHT - 20.0));
        write!(points, "{x:.1},{y:.1} ").ok();
    }
    format!(
        "<figure><svg viewBox=\"0 0 {WIDTH} {}\" role=\"img\" aria-label=\"{name}\"><text x=\"0\" y=\"12\">{name}: up to {high:.0} in \
         {end:.2} hours</text><line x1=\"0\" x2=\"{WIDTH}\" y1=\"{HEIGHT}\" y2=\"{HEIGHT}\" stroke=\"#8888\"/>\
         <polyline points=\"{points}\"/></svg></figure>",
        HEIGHT + 4.0
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(kb: impl Fn(f64) -> f64) -> Vec<Sample> {
        let hours = |number: u32| f64::from(number) / 10.0;
        let sample = |hours| Sample {
            hours,
            resident_kb: kb(hours),
            descriptors: 30.0,
            threads: 9.0,
            files_kb: 100.0,
        };
        (0..100).map(hours).map(sample).collect()
    }

    #[test]
    fn a_gateway_that_grows_is_seen_and_one_that_grew_at_first_is_none() {
        for (kb, failed) in [
            ((|_| 40_000.0) as fn(f64) -> f64, 0),
            (|hours| if hours < 1.0 { 30_000.0 } else { 40_000.0 }, 0),
            (|hours| 40_000.0 + 80.0 * hours, 1),
            (|hours| 40_000.0 + 800.0 * hours, 2),
        ] {
            let mut tally = Tally::default();
            judge(&mut tally, &samples(kb));
            assert_eq!(tally.failed, failed, "{:?}", tally.failures);
        }
    }

    #[test]
    fn the_page_has_a_curve_of_each() {
        let page = page(&samples(|_| 40_000.0), 7);
        assert_eq!(page.matches("<polyline").count(), 4);
        assert!(page.contains("memory, kB: up to 40000 in 9.90 hours"), "{page}");
    }
}
