//! What ten lines cost that are connected and have no calls.

use std::time::Duration;

use tgtrunk_tests::load::{Report, USUAL, machine, report};
use tgtrunk_tests::stage::{self, Options, Stage};
use tgtrunk_tests::wire_pbx::{self, WirePbx};
use tokio::time::sleep;

use crate::THEIRS;

const LINES: usize = 10;
/// What follows on a start is not what idleness costs.
const SETTLE: Duration = Duration::from_secs(5);
/// Each line asks its PBX for OPTIONS twice meanwhile, and pings Telegram once.
const LENGTH: Duration = Duration::from_secs(60);

pub(crate) async fn run(part: &str, report: &mut Report) -> anyhow::Result<()> {
    report.idle = None;
    let stage = Stage::set_up(Options { settings: USUAL.to_owned(), ..Options::default() }).await?;
    let (mut lines, mut pbxs) = (Vec::new(), Vec::new());
    for number in 0..LINES {
        let line = stage.line(&format!("+7906000{number:04}"))?;
        let pbx = WirePbx::switch_on(line.sip, wire_pbx::Options::playing(440)?).await?;
        stage.open(&line, pbx.sip, stage::draft(&line)?).await?;
        lines.push(line);
        pbxs.push(pbx);
    }
    let gateway = stage.run(&lines.iter().collect::<Vec<_>>()).await?;
    let pid = gateway.pid()?;
    machine::pin(pid, THEIRS)?;
    sleep(SETTLE).await;
    let before = machine::Threads::of(pid)?;
    sleep(LENGTH).await;
    let used = machine::Threads::of(pid)?.since(&before);
    let seconds = LENGTH.as_secs_f64();
    let idle = report::Idle {
        lines: LINES,
        seconds,
        cpu_share_of_a_core: used.cpu_ns as f64 / 1e9 / seconds,
        switches_per_second: used.switches as f64 / seconds,
        resident_kb: machine::resident_kb(pid)?,
    };
    println!(
        "{part}: {LINES} lines, {:.3} % of a core, {:.1} switches a second, {} kB resident",
        idle.cpu_share_of_a_core * 100.0,
        idle.switches_per_second,
        idle.resident_kb
    );
    report.idle = Some(idle);
    gateway.stop().await?;
    stage.done();
    Ok(())
}
