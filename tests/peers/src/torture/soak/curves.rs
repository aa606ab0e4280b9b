//! What a gateway used as time went by: whether it grew, and the curves of it.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use crate::load::machine;
use crate::load::statistics::line;
use crate::torture::Tally;

/// The first part of a run says nothing: whatever is needed once is had then.
const WARM_SHARE: usize = 3;
const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 160.0;

/// One figure over hours.
#[derive(Debug, Clone)]
pub(super) struct Curve {
    pub(super) name: &'static str,
    /// Hours and values.
    pub(super) points: Vec<(f64, f64)>,
}

/// What a figure did after its first part.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Slope {
    /// Where the line through it begins.
    pub(super) level: f64,
    pub(super) an_hour: f64,
    pub(super) hours: f64,
}

impl Slope {
    /// By how much it grew.
    pub(super) fn grown(self) -> f64 {
        self.an_hour * self.hours
    }

    /// The same as a share of what it was.
    pub(super) fn share(self) -> f64 {
        self.grown() / self.level.max(f64::MIN_POSITIVE)
    }
}

impl Curve {
    pub(super) fn new(name: &'static str) -> Self {
        Self { name, points: Vec::new() }
    }

    /// None of a curve that is too short for anything.
    pub(super) fn slope(&self) -> Option<Slope> {
        let settled = &self.points[self.points.len() / WARM_SHARE..];
        let (first, last) = settled.first().zip(settled.last())?;
        let (zero, an_hour) = line(settled)?;
        Some(Slope { level: zero + an_hour * first.0, an_hour, hours: last.0 - first.0 })
    }

    /// Holds it to no more than this share above what it was.
    pub(super) fn is_flat_by_share(&self, tally: &mut Tally, most: f64) {
        let Some(slope) = self.slope() else {
            return tally.fail(format!("{}: too short for anything", self.name));
        };
        let percent = slope.share() * 100.0;
        tally.hold(slope.share() <= most, || format!("{} grew by {percent:.1} %", self.name));
        tally.note(&format!("{} {percent:+.2} %", self.name));
    }

    /// Holds it to no more than so many above what it was.
    pub(super) fn is_flat(&self, tally: &mut Tally, most: f64) {
        let Some(slope) = self.slope() else {
            return tally.fail(format!("{}: too short for anything", self.name));
        };
        let grown = slope.grown();
        tally.hold(grown <= most, || format!("{} grew by {grown:.1}", self.name));
        tally.note(&format!("{} {grown:+.1}", self.name));
    }

    /// Drawn, from nothing up to its highest.
    fn drawn(&self) -> String {
        let Self { name, points } = self;
        let high = points.iter().map(|(_, value)| *value).fold(1.0, f64::max);
        let end = points.last().map_or(1.0, |(hours, _)| hours.max(f64::MIN_POSITIVE));
        let mut way = String::new();
        for (hours, value) in points {
            let (x, y) = (hours / end * WIDTH, HEIGHT - value / high * (HEIGHT - 20.0));
            write!(way, "{x:.1},{y:.1} ").ok();
        }
        format!(
            "<figure><svg viewBox=\"0 0 {WIDTH} {}\" role=\"img\" aria-label=\"{name}\"><text x=\"0\" y=\"12\">{name}: up to {high:.0} in \
             {end:.2} hours</text><line x1=\"0\" x2=\"{WIDTH}\" y1=\"{HEIGHT}\" y2=\"{HEIGHT}\" stroke=\"#8888\"/>\
             <polyline points=\"{way}\"/></svg></figure>",
            HEIGHT + 4.0
        )
    }
}

/// Writes the page with a curve of each.
pub(super) fn draw(file: &str, title: &str, curves: &[Curve]) -> anyhow::Result<()> {
    Ok(std::fs::write(folder().join(file), page(title, curves))?)
}

fn page(title: &str, curves: &[Curve]) -> String {
    let mut page = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>tgtrunk: {title}</title><style>\
         body{{font:16px system-ui,sans-serif;max-width:44rem;margin:2rem auto}}svg{{width:100%}}polyline{{fill:none;stroke:#0969da}}\
         text{{font:12px system-ui,sans-serif}}</style><h1>{title}</h1>"
    );
    for curve in curves {
        page += &curve.drawn();
    }
    page + "</html>\n"
}

/// Where reports lie; the short form leaves its page nowhere else.
fn folder() -> PathBuf {
    std::env::var_os("TGTRUNK_REPORTS").map_or_else(std::env::temp_dir, PathBuf::from)
}

/// What a process and its folder use: memory in kB, descriptors, threads, files in kB.
pub(super) fn used(pid: u32, state: &Path) -> anyhow::Result<[f64; 4]> {
    Ok([
        machine::resident_kb(pid)? as f64,
        machine::descriptors(pid)? as f64,
        machine::Threads::of(pid)?.count() as f64,
        size_of(state)? as f64 / 1_024.0,
    ])
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

#[cfg(test)]
mod tests {
    use super::*;

    fn curve(value: impl Fn(f64) -> f64) -> Curve {
        let hours = (0..100).map(|number| f64::from(number) / 10.0);
        Curve { name: "memory, kB", points: hours.map(|hours| (hours, value(hours))).collect() }
    }

    #[test]
    fn what_grows_is_seen_and_what_grew_at_first_is_not() {
        for (kb, failed) in [
            ((|_| 40_000.0) as fn(f64) -> f64, 0),
            (|hours| if hours < 1.0 { 30_000.0 } else { 40_000.0 }, 0),
            (|hours| 40_000.0 + 80.0 * hours, 0),
            (|hours| 40_000.0 + 800.0 * hours, 1),
        ] {
            let mut tally = Tally::default();
            curve(kb).is_flat_by_share(&mut tally, 0.05);
            assert_eq!(tally.failed, failed, "{:?}", tally.failures);
        }
        let mut tally = Tally::default();
        curve(|hours| 30.0 + hours).is_flat(&mut tally, 3.0);
        assert_eq!(tally.failures, ["memory, kB grew by 6.6"]);
    }

    #[test]
    fn the_page_has_a_curve_of_each() {
        let page = page("a gateway", &[curve(|_| 40_000.0), curve(|_| 1.0)]);
        assert_eq!(page.matches("<polyline").count(), 2);
        assert!(page.contains("memory, kB: up to 40000 in 9.90 hours"), "{page}");
    }
}
