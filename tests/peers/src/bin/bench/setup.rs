//! Calls of SIPp to people who answer at once: how many a second, what each costs beside two 2048-bit powers, and how long it
//! takes, on loopback and with a longer way to Telegram's servers.

use std::env;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use tgtrunk_test_telegram::world::{DH_G, dh_prime};
use tgtrunk_tests::gateway::Gateway;
use tgtrunk_tests::load::{
    self, Bridge, BridgeOptions, Callees, Detour, Mode, Profile, Report, USUAL, machine, report,
};
use tgtrunk_tests::sipp::Outcome;
use tgtrunk_tests::stage::{Options, Stage};
use tgtrunk_tests::tcpdump::{SetUps, Tcpdump};
use tokio::time::sleep;

use crate::telegram_side::{self, Crossings};
use crate::{THEIRS, is_full};

/// So many that nobody is called again before the last call is over: they share a core with the generator.
const PEOPLE: usize = 90;
/// Beside others a set-up takes longer, and nobody is to be called who is still in a call.
const PEOPLE_OF_BUSY: usize = 180;
const TALK: Duration = Duration::from_millis(200);
const ROUND_TRIPS_MS: [u64; 4] = [0, 50, 150, 300];
const POWERS: u32 = 50;
/// Calls that are not to be disturbed.
const TALKING: usize = 300;
/// The share of the calls due in a second that have to be begun, or the row is of fewer.
const BEGUN: f64 = 0.97;

struct Scene {
    stage: Stage,
    gateway: Gateway,
    callees: Callees,
    delays: Vec<Detour>,
}

pub(crate) async fn run(part: &str, report: &mut Report) -> anyhow::Result<()> {
    report.signalling.clear();
    (report.setup, report.busy) = (None, None);
    let two_powers_ms = two_powers_ms()?;
    println!("{part}: two 2048-bit powers {two_powers_ms:.2} ms");
    let scene = Scene::open().await?;
    let pid = scene.gateway.pid()?;
    machine::pin(pid, THEIRS)?;
    // Whom it has called once the gateway knows.
    scene.calls(PEOPLE as u32, 10, 20).await.context("the first calls")?;
    // What a core is to set up: four fifths of what two powers and a millisecond leave room for.
    let due = (0.8 * 1000.0 / (two_powers_ms + 1.0)) as u32;
    let (rates, seconds): (&[u32], u32) = if is_full() { (&[5, 10, 20, 40], 20) } else { (&[20, 40], 4) };
    for &per_second in rates.iter().chain([&due]) {
        let watch = Watch::start(scene.callees.line.sip, part, report).await;
        let before = machine::Threads::of(pid)?;
        let calls = per_second * seconds;
        let outcome = scene.calls(calls, per_second, PEOPLE as u32).await?;
        // The last ones end at Telegram, too.
        sleep(TALK).await;
        let used = machine::Threads::of(pid)?.since(&before);
        let set_ups = watch.finished(&outcome, part, report).await;
        let crossings = Crossings::of(&set_ups.answered, &telegram_side::asked(scene.stage.world()));
        let cpu_ms_per_call = used.cpu_ns as f64 / 1e6 / f64::from(calls);
        let row = report::Signalling {
            per_second,
            begun_per_second: set_ups.per_second(),
            calls: calls.into(),
            failed: outcome.failed,
            cpu_ms_per_call,
            two_powers_ms,
            calls_per_core_second: 1000.0 / cpu_ms_per_call,
            invite_to_100_ms: report::Times::of(set_ups.until_100_us).context("no call was tried")?,
            invite_to_request_ms: report::Times::of(crossings.invite_to_request_us),
            acceptance_to_200_ms: report::Times::of(crossings.acceptance_to_200_us),
            invite_to_200_ms: report::Times::of(set_ups.until_200_us).context("no call was answered")?,
        };
        let shown = |times: Option<report::Times>| {
            times.map_or("?".to_owned(), |times| format!("{:.1}/{:.1}", times.p50, times.p99))
        };
        println!(
            "{part}: {per_second:3} calls/s, {} of {calls} failed, {cpu_ms_per_call:.2} CPU ms/call, 100 after {:.1}/{:.1} ms, Telegram asked after {} ms, \
             200 {} ms after it is accepted, after {:.0}/{:.0} ms in all",
            row.failed,
            row.invite_to_100_ms.p50,
            row.invite_to_100_ms.p99,
            shown(row.invite_to_request_ms),
            shown(row.acceptance_to_200_ms),
            row.invite_to_200_ms.p50,
            row.invite_to_200_ms.p99
        );
        if row.failed > 0 {
            report.notice(part, &format!("{per_second} calls/s: {} failed: {}", row.failed, outcome.errors));
        }
        if let Some(notice) = slow(row.begun_per_second, per_second) {
            report.notice(part, &notice);
        }
        report.signalling.push(row);
    }
    let mut points = Vec::new();
    for ms in ROUND_TRIPS_MS {
        let carried = scene.carried();
        scene.delays.iter().for_each(|delay| delay.set_round_trip(Duration::from_millis(ms)));
        let watch = Watch::start(scene.callees.line.sip, part, report).await;
        let outcome = scene.calls(if is_full() { 20 } else { 5 }, 2, 1).await?;
        ensure!(scene.carried() > carried, "the gateway does not go through the longer way");
        let set_ups = watch.finished(&outcome, part, report).await;
        let setup = report::Times::of(set_ups.until_200_us).context("no call was answered")?;
        println!("{part}: round trip {ms} ms, 200 after {:.0} ms", setup.p50);
        points.push((ms as f64, setup.p50));
    }
    scene.delays.iter().for_each(|delay| delay.set_round_trip(Duration::ZERO));
    report.setup = report::Setup::of(points);
    if let Some(setup) = &report.setup {
        println!(
            "{part}: 200 after {:.1} ms + {:.2} round trips, of which the protocol needs {}",
            setup.a_ms, setup.b, setup.least
        );
    }
    scene.close().await?;
    busy(part, due / 2, report).await
}

/// What is to be said where fewer calls were begun than are due.
fn slow(begun_per_second: Option<f64>, per_second: u32) -> Option<String> {
    let begun = begun_per_second.filter(|begun| *begun < BEGUN * f64::from(per_second))?;
    Some(format!("of {per_second} calls/s only {begun:.1} were begun"))
}

/// Calls that talk on the core on which others are set up, half as many of them as are due.
async fn busy(part: &str, per_second: u32, report: &mut Report) -> anyhow::Result<()> {
    let options = BridgeOptions {
        calls: TALKING,
        people: PEOPLE_OF_BUSY,
        ..BridgeOptions::of(Mode::Tick, Profile::Gcm)
    };
    let mut bridge = Bridge::start(options).await?;
    let pid = bridge.pid()?;
    machine::pin(pid, THEIRS)?;
    bridge.grow(TALKING).await?;
    bridge.set_up(PEOPLE_OF_BUSY as u32, 15, TALK).await.context("the first calls")?;
    let (trunk, telegram) = bridge.ends();
    // Whoever watches costs something, so both windows have it.
    let watch = Watch::start(bridge.callee().context("a line to call")?, part, report).await;
    let window = || load::Plan {
        warm_up: Duration::from_secs(1),
        length: Duration::from_secs(8),
        pid,
        // SIPp, Telegram and the people have what it leaves of its core, or nobody would be set up before its end.
        sleeps: true,
        ..load::Plan::default()
    };
    let alone = bridge.generator().measure(trunk.clone(), telegram.clone(), window()).await?;
    let set_up = per_second.max(1) * 8;
    let (with, outcome) = tokio::join!(
        bridge.generator().measure(trunk, telegram, window()),
        bridge.set_up(set_up, per_second.max(1), TALK)
    );
    let (with, outcome) = (with?, outcome?);
    let set_ups = watch.finished(&outcome, part, report).await;
    let begun_per_second = set_ups.per_second();
    let busy = report::Busy {
        calls: TALKING,
        per_second: per_second.max(1),
        begun_per_second,
        set_up,
        failed: outcome.failed,
        invite_to_100_ms: report::Times::of(set_ups.until_100_us).context("no call was tried")?,
        invite_to_200_ms: report::Times::of(set_ups.until_200_us).context("no call was answered")?,
        alone_delay_us: alone.delay(),
        delay_us: with.delay(),
        loss: with.loss(),
    };
    println!("{part}: {busy}");
    if busy.failed > 0 {
        report.notice(part, &format!("beside {TALKING} calls {} failed: {}", busy.failed, outcome.errors));
    }
    if let Some(notice) = slow(begun_per_second, per_second.max(1)) {
        report.notice(part, &format!("beside {TALKING} calls {notice}"));
    }
    for (window, when) in [(&alone, "before"), (&with, "while")] {
        if let Some(why) = window.void() {
            let notice = format!(
                "{when} {per_second} calls a second were set up, {why}: SIPp, Telegram and the people share its core"
            );
            report.notice(part, &notice);
        }
    }
    report.busy = Some(busy);
    bridge.stop().await
}

impl Scene {
    async fn open() -> anyhow::Result<Self> {
        let mut stage = Stage::set_up(Options { settings: USUAL.to_owned(), ..Options::default() }).await?;
        let (mut delays, mut detours) = (Vec::new(), Vec::new());
        for (dc, address) in stage.telegram().addresses() {
            let delay = Detour::start(address).await?;
            detours.push((dc, delay.address));
            delays.push(delay);
        }
        stage.detour(detours);
        let callees = Callees::settle(&stage, PEOPLE).await?;
        let gateway = stage.run(&[&callees.line]).await?;
        Ok(Self { stage, gateway, callees, delays })
    }

    async fn calls(&self, calls: u32, per_second: u32, at_once: u32) -> anyhow::Result<Outcome> {
        self.callees.call(calls, per_second, at_once, TALK).await
    }

    fn carried(&self) -> u64 {
        self.delays.iter().map(Detour::carried).sum()
    }

    async fn close(self) -> anyhow::Result<()> {
        self.gateway.stop().await?;
        self.stage.done();
        Ok(())
    }
}

/// Times set-ups by tcpdump, or else by SIPp's own clock, which steps by 4 ms.
struct Watch {
    tcpdump: Option<Tcpdump>,
    callee: SocketAddr,
}

impl Watch {
    async fn start(callee: SocketAddr, part: &str, report: &mut Report) -> Self {
        let tcpdump = Tcpdump::start(callee.port()).await;
        let tcpdump = tcpdump.map_err(|error| report.notice(part, &coarse(&error))).ok();
        Self { tcpdump, callee }
    }

    async fn finished(self, outcome: &Outcome, part: &str, report: &mut Report) -> SetUps {
        let named =
            |name: &str| outcome.times.iter().filter(|(known, _)| known == name).map(|(_, us)| *us).collect();
        let by_sipp =
            SetUps { until_100_us: named("trying"), until_200_us: named("setup"), ..SetUps::default() };
        let Some(tcpdump) = self.tcpdump else { return by_sipp };
        match tcpdump.finished().await {
            Ok(passed) => SetUps::of(&passed, self.callee),
            Err(error) => {
                report.notice(part, &coarse(&error));
                by_sipp
            }
        }
    }
}

fn coarse(error: &anyhow::Error) -> String {
    format!("set-ups are timed by SIPp, whose clock steps by 4 ms: {error:#}")
}

/// Measured by a program that is built as the gateway is, and stands beside the floor.
fn two_powers_ms() -> anyhow::Result<f64> {
    let floor = env::var_os("TGTRUNK_FLOOR").map(PathBuf::from).context("TGTRUNK_FLOOR names no program")?;
    let program = floor.with_file_name("powers");
    let mut command = Command::new(&program);
    command.args([DH_G.to_string(), hex::encode(dh_prime()), POWERS.to_string()]);
    let output = command.output().with_context(|| format!("{} cannot be run", program.display()))?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let ns: f64 = String::from_utf8(output.stdout)?.trim().parse().context("a number of nanoseconds")?;
    Ok(ns / 1e6)
}
