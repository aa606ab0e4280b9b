//! T12: ten times the new calls that the gateway takes, at first while it has room for some, then while it has none, and all
//! the junk that a core can send to all of its ports. Who talks, whom somebody else than the gateway measures, notices nothing;
//! who comes on top is sent away at once.

use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use tgtrunk_config::LineDraft;
use tgtrunk_config::control::Ask;
use tokio::time::sleep;

use crate::clock::now;
use crate::codec::Codec;
use crate::light_user::{Answering, LightUser, Reason};
use crate::load::statistics::quantile;
use crate::load::{self, Ends, Talkers, Window, machine};
use crate::ports;
use crate::sipp::{self, Sipp};
use crate::stage::{self, GREEN_LIMIT};
use crate::torture::chance::Chance;
use crate::torture::flood::{self, Flood};
use crate::torture::oracle::Footprint;
use crate::torture::rig::{Ground, LIMIT, NOBODY, Rig, by_address, phone_of};
use crate::torture::talks::Talk;
use crate::torture::{Plan, Tally};
use crate::wire_pbx::WireCall;

/// Those who talk, and how many calls more the gateway takes.
const TALKING: usize = 100;
const FEW_TALKING: usize = 20;
const ROOM: usize = 20;
/// From so many seconds on it is a whole run.
const WHOLE_S: u64 = 60;
/// New calls that the gateway takes in a second, and how many times that come.
const PER_SECOND: u32 = 100;
const TIMES: u32 = 10;
/// How long is measured in one go, and what passes before that counts.
const WINDOW: Duration = Duration::from_secs(10);
const WARM_UP: Duration = Duration::from_millis(500);
/// What those who talk may notice.
const MOST_DELAY_MS: f64 = 20.0;
const MOST_LOSS: f64 = 0.001;
/// How soon the others are sent away.
const SENT_AWAY: Duration = Duration::from_millis(100);
/// How soon all is as it was.
const RECOVERED: Duration = Duration::from_secs(10);
/// The processors of everybody else, and of the gateway.
const OURS: usize = 0;
const THEIRS: usize = 1;
/// Whose numbers begin there.
const RINGING: usize = 2_000;
const TALK: usize = 3_000;
const CALLER: usize = 3_001;

/// What came of it.
#[derive(Default)]
struct Seen {
    /// Of all windows: the worst delay in milliseconds, and packets.
    delay_ms: f64,
    sent: u64,
    received: u64,
    /// How long each that was sent away waited for that, in microseconds.
    waits: Vec<u64>,
    /// Those of the crowd, and requests that it had to say again.
    came: u64,
    again: u64,
    /// The slowest answer within a dialog.
    dialog: Duration,
}

pub(super) async fn run(plan: Plan) -> anyhow::Result<Tally> {
    let mut tally = Tally::default();
    let talking = if plan.amount >= WHOLE_S { TALKING } else { FEW_TALKING };
    // One is the rig's own, which is held now and then.
    let most = talking + 1 + ROOM;
    let settings = format!("max_calls = {most}\nmax_new_calls_per_s = {PER_SECOND}\nmax_lag_ms = 10");
    let mut rig = Rig::open_upon(Ground { settings, ..Ground::default() }, &[by_address, crowded]).await?;
    let ends = Ends::start()?;
    let mut talkers = Talkers::settle(&rig.stage, "+79060000012", &ends, Codec::Opus, talking).await?;
    rig.gateway.control().await?.ask(Ask::Reload).await?;
    stage::green(&rig.gateway, &talkers.line, GREEN_LIMIT).await?;
    // A line more is open than when the rig was.
    sleep(Duration::from_millis(500)).await;
    rig.before = Footprint::of(rig.pid)?;
    talkers.grow(&rig.stage, talking).await?;
    let mut talk = Talk::begin(&rig, 0, TALK).await?;
    let mut caller = rig.person(CALLER, Answering::Rings)?;
    let people: Vec<_> =
        (0..ROOM).map(|one| rig.person(RINGING + one, Answering::Rings)).collect::<anyhow::Result<_>>()?;
    // What others do on this machine is not what is thrown here.
    machine::favour(rig.pid);
    if machine::processors()? > THEIRS {
        machine::pin(rig.pid, THEIRS)?;
        machine::pin_own("generator", OURS)?;
    }
    let mut chance = Chance::new(plan.seed);
    let (began, mut seen, mut junk) = (now(), Seen::default(), 0);
    let half = Duration::from_secs(plan.amount) / 2;
    for is_full in [false, true] {
        let ringing = if is_full { fill(&rig).await.context("all that it takes")? } else { Vec::new() };
        let sip = [0, 1].map(|post: usize| rig.posts[post].line.sip);
        let mut media = rig.media_ports()?;
        media.retain(|port| *port != talkers.line.sip && port.is_ipv4());
        let sip = [&sip[..], &[talkers.line.sip]].concat();
        let flood = Flood::begin(sip, media, Chance::new(chance.next()))?;
        machine::pin_own(flood::NAME, OURS)?;
        let until = now() + half;
        while now() < until {
            let lasts = WINDOW.min(half);
            let caller = is_full.then_some(&mut caller);
            if let Err(error) = window(&rig, &ends, (&mut talk, caller), &mut seen, lasts).await {
                tally.fail(format!("full {is_full}, {:.0} s: {error:#}", (now() - began).as_secs_f64()));
            }
        }
        junk += flood.sent();
        drop(flood);
        for mut call in ringing {
            call.cancel(&[]);
            call.final_answer(LIMIT).await.context("CANCEL")?;
        }
        rig.warmed()?;
    }
    tally.amount = (now() - began).as_secs();
    drop(people);
    judge(&mut tally, &mut seen, (talking, junk));
    let recovered = recover(&mut rig, now()).await?;
    tally.note(&format!("calls both ways {} ms after the end", recovered.as_millis()));
    talkers.hang_up().await;
    talk.end().await?;
    rig.close(&mut tally).await?;
    Ok(tally)
}

/// The line of the crowd.
fn crowded(draft: LineDraft) -> LineDraft {
    by_address(draft).set("max_new_calls_per_s", PER_SECOND)
}

/// Calls that ring until the gateway has all that it takes.
async fn fill(rig: &Rig) -> anyhow::Result<Vec<WireCall>> {
    let mut ringing = Vec::new();
    for number in 0..ROOM {
        let mut call = rig.posts[0].pbx.call(&phone_of(RINGING + number)).await?;
        call.rings(LIMIT).await.with_context(|| format!("call {number}"))?;
        ringing.push(call);
    }
    let mut call = rig.posts[0].pbx.call(NOBODY).await?;
    let answer = call.final_answer(LIMIT).await?;
    ensure!(answer.status() == Some(503), "there is room for one more: {}", answer.start);
    Ok(ringing)
}

/// A crowd comes while those who talk are measured, somebody holds a call, and somebody calls from Telegram.
async fn window(
    rig: &Rig,
    ends: &Ends,
    (talk, caller): (&mut Talk, Option<&mut LightUser>),
    seen: &mut Seen,
    lasts: Duration,
) -> anyhow::Result<()> {
    let per_second = PER_SECOND * TIMES;
    let calls = (f64::from(per_second) * (WARM_UP + lasts).as_secs_f64()) as u32;
    let crowd = Sipp::start(&sipp::Plan {
        scenario: "crowd.xml",
        line: Some(rig.posts[1].line.sip),
        port: ports::free()?,
        calls,
        per_second,
        at_once: calls,
        talk: Duration::ZERO,
        people: vec![NOBODY.to_owned()],
        limit: lasts + LIMIT * 2,
    })?;
    machine::pin(crowd.pid()?, OURS)?;
    // Answers that it hears late would be the gateway's fault.
    machine::favour(crowd.pid()?);
    let plan = load::Plan { warm_up: WARM_UP, length: lasts, pid: rig.pid, clip: None, sleeps: true };
    let (trunk, telegram) = ends.next();
    let others = async {
        sleep(WARM_UP).await;
        if let Some(caller) = caller {
            caller.call(rig.posts[0].line.account).await?;
            let (reason, _) = caller.discarded(LIMIT).await.context("a call from Telegram")?;
            ensure!(reason == Some(Reason::Busy), "a caller from Telegram saw {reason:?}");
        }
        let until = now() + lasts * 3 / 4;
        let mut slowest = Duration::ZERO;
        while now() < until {
            for held in [true, false] {
                let began = now();
                talk.wire.hold(held, LIMIT).await.context("a call is held")?;
                slowest = slowest.max(now() - began);
            }
            sleep(Duration::from_millis(100)).await;
        }
        anyhow::Ok(slowest)
    };
    let (window, dialog) = tokio::join!(ends.measure(0..trunk, 0..telegram, plan), others);
    let outcome = crowd.finished().await?;
    seen.take(&window?);
    seen.dialog = seen.dialog.max(dialog?);
    seen.came += outcome.succeeded;
    seen.again += outcome.retransmissions;
    seen.waits.extend(outcome.times.iter().map(|(_, wait_us)| *wait_us));
    ensure!(outcome.failed == 0, "{} of {calls} got neither 404 nor 503: {}", outcome.failed, outcome.errors);
    Ok(())
}

impl Seen {
    fn take(&mut self, window: &Window) {
        tracing::debug!(?window, "measured");
        self.delay_ms = self.delay_ms.max(window.delay().p99 / 1_000.0);
        self.sent += window.sent;
        self.received += window.received;
    }
}

fn judge(tally: &mut Tally, seen: &mut Seen, (talking, junk): (usize, u64)) {
    let loss = 1.0 - seen.received as f64 / seen.sent.max(1) as f64;
    tally.hold(seen.sent > 0 && loss <= MOST_LOSS, || format!("{:.3} % of packets were lost", loss * 100.0));
    tally.hold(seen.delay_ms < MOST_DELAY_MS, || format!("99 of 100 packets within {:.1} ms", seen.delay_ms));
    seen.waits.sort_unstable();
    let wait = |share| Duration::from_micros(quantile(&seen.waits, share).unwrap_or_default());
    let (usual, slowest) = (wait(0.99), wait(1.0));
    let away = seen.waits.len() as u64;
    tally.hold(slowest <= SENT_AWAY, || format!("503 took {slowest:?}, 99 of 100 {usual:?}"));
    tally.hold(away * 2 > seen.came, || format!("{away} of {} were sent away", seen.came));
    tally.note(&format!(
        "{talking} calls talk: 99 of 100 packets within {:.1} ms in the worst {} s, {:.3} % of {} lost; {away} of {} new calls sent away, 99 of 100 \
         within {:.1} ms, the slowest within {:.1} ms, {} said again; a call was held within {} ms; {junk} datagrams of junk in {} s",
        seen.delay_ms,
        WINDOW.as_secs(),
        loss * 100.0,
        seen.sent,
        seen.came,
        usual.as_secs_f64() * 1_000.0,
        slowest.as_secs_f64() * 1_000.0,
        seen.again,
        seen.dialog.as_millis(),
        tally.amount
    ));
}

/// Waits until calls come about both ways.
async fn recover(rig: &mut Rig, since: Instant) -> anyhow::Result<Duration> {
    loop {
        match rig.calls_both_ways(0).await {
            Ok(_) => return Ok(now() - since),
            Err(error) if now() - since > RECOVERED => return Err(error.context("afterwards")),
            Err(_) => sleep(Duration::from_millis(100)).await,
        }
    }
}
