//! Two hundred calls at twenty a second and fifty at once, each way, between SIPp and Telegram users, two of whom are
//! ntgcalls; none fails, and the gateway keeps nothing of them.

use std::net::IpAddr;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde_json::json;
use tgtrunk_test_telegram::NewUser;
use tgtrunk_test_telegram::world::Stage as Progress;
use tgtrunk_tests::gateway::Gateway;
use tgtrunk_tests::independent_user::{self, IndependentUser};
use tgtrunk_tests::light_user::{self, Answering, Event, LightUser, Reason};
use tgtrunk_tests::netns::Namespace;
use tgtrunk_tests::player::circle;
use tgtrunk_tests::sipp::{Plan, Sipp};
use tgtrunk_tests::stage::{self, Line, Stage};
use tgtrunk_tests::wire_pbx::{self, WirePbx};
use tgtrunk_tests::{aside, ports};
use tokio::sync::mpsc;
use tokio::sync::oneshot::{self, error::TryRecvError};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, interval, sleep};

const LIMIT: Duration = Duration::from_secs(20);
const CALLS: u32 = 200;
const PER_SECOND: u32 = 20;
const AT_ONCE: u32 = 50;
/// How long a call of the two hundred lasts, and one of the fifty.
const BRIEF: Duration = Duration::from_secs(2);
const LONG: Duration = Duration::from_secs(6);
const LIGHT: usize = 80;
const INDEPENDENT: usize = 2;
/// An INVITE is remembered for 64 s, so that a late copy is no second call (timers B and H, RFC 3261 section 17). Until
/// all that is forgotten, nothing is measured.
const FORGET: Duration = Duration::from_secs(66);
/// Resident size after the last batch, in percent of that after the two before.
const MOST_PERCENT: u64 = 102;

#[tokio::test(flavor = "multi_thread")]
async fn hundreds_of_calls_each_way_succeed_and_leave_nothing_behind() {
    let mut scene = Scene::open().await.unwrap();
    let mut after = Vec::new();
    // What the allocator keeps settles with the second batch: of what is in use, a batch leaves 0.3 kB a call in caches.
    scene.batch().await.unwrap();
    scene.batch().await.unwrap();
    aside::wait(FORGET).await.unwrap();
    after.push(scene.remains().unwrap());
    scene.batch().await.unwrap();
    aside::done().unwrap();
    sleep(FORGET).await;
    after.push(scene.remains().unwrap());
    let [first, second] = after[..] else { panic!("two measures") };
    println!("after two batches {first:?}, after the third {second:?}");
    assert!(
        second.resident_kb * 100 <= first.resident_kb * MOST_PERCENT,
        "resident: {} kB after two batches, {} kB after the third, want at most {MOST_PERCENT} %",
        first.resident_kb,
        second.resident_kb
    );
    assert_eq!(second.descriptors, first.descriptors, "file descriptors");
    scene.close().await.unwrap();
}

struct Scene {
    stage: Stage,
    gateway: Gateway,
    /// The line that SIPp calls; its PBX answers OPTIONS.
    out: Line,
    _pbx: WirePbx,
    /// The line that calls SIPp.
    back: Line,
    back_pbx: u16,
    light: Vec<LightUser>,
    independent: Vec<JoinHandle<anyhow::Result<()>>>,
    answered: mpsc::Receiver<Answered>,
    people: Vec<String>,
    _namespace: Namespace,
}

/// A call that ntgcalls took, when it is over.
#[derive(Debug)]
struct Answered {
    user: usize,
    heard: independent_user::Heard,
}

#[derive(Debug, Clone, Copy)]
struct Remains {
    resident_kb: u64,
    descriptors: usize,
}

impl Scene {
    async fn open() -> anyhow::Result<Self> {
        let namespace = Namespace::new()?;
        let address = IpAddr::V4(namespace.host_address());
        let stage = Stage::set_up(stage::Options { address, ..Default::default() }).await?;
        let out = stage.line("+79060006001")?;
        let pbx = WirePbx::switch_on(out.sip, wire_pbx::Options::playing(440)?).await?;
        stage.open(&out, pbx.sip, stage::draft(&out)?).await?;
        let back = stage.line("+79060006002")?;
        let back_pbx = ports::free()?;
        stage.open(&back, ([127, 0, 0, 1], back_pbx).into(), stage::draft(&back)?).await?;

        let (say, answered) = mpsc::channel(1024);
        let (mut people, mut independent) = (Vec::new(), Vec::new());
        for number in 0..INDEPENDENT {
            let phone = format!("+7916400{number:04}");
            stage.user(NewUser::new(&phone, "Independent"))?;
            let user = log_in(&stage, &namespace, &phone).await?;
            people.push(phone);
            independent.push(tokio::spawn(take_calls(user, number, say.clone())));
        }
        let app = light_user::Options::playing(circle(880, 60)?).answering(Answering::After(Duration::ZERO));
        let app = light_user::Options { address, ..app };
        let mut light = Vec::new();
        for number in 0..LIGHT {
            let phone = format!("+7916500{number:04}");
            light.push(stage.person(NewUser::new(&phone, "Light"), app.clone())?);
            people.push(phone);
        }
        let gateway = stage.run(&[&out]).await?;
        Ok(Self {
            stage,
            gateway,
            out,
            _pbx: pbx,
            back,
            back_pbx,
            light,
            independent,
            answered,
            people,
            _namespace: namespace,
        })
    }

    async fn batch(&mut self) -> anyhow::Result<()> {
        let began = Instant::now();
        self.pbx_calls(CALLS, PER_SECOND, 200, BRIEF).await.context("200 calls of the PBX")?;
        println!("{:?}: 200 calls of the PBX", began.elapsed());
        self.pbx_calls(AT_ONCE, AT_ONCE / 2, AT_ONCE, LONG).await.context("50 calls of the PBX at once")?;
        println!("{:?}: 50 calls of the PBX at once", began.elapsed());
        self.telegram_calls().await.context("200 calls of Telegram")?;
        println!("{:?}: 200 calls of Telegram", began.elapsed());
        Ok(())
    }

    /// Calls of SIPp, of which each is answered by Telegram and heard on both sides.
    async fn pbx_calls(
        &mut self,
        calls: u32,
        per_second: u32,
        at_once: u32,
        talk: Duration,
    ) -> anyhow::Result<()> {
        // Those that begin while one of them lasts.
        let least_at_once = at_once.min(per_second * talk.as_secs() as u32);
        let plan = Plan {
            scenario: "calls.xml",
            line: Some(self.out.sip),
            port: ports::free()?,
            calls,
            per_second,
            at_once,
            talk,
            people: self.people.clone(),
            limit: Duration::from_secs(60),
        };
        let sipp = Sipp::start(&plan)?;
        let (most, end) = count_calls(&self.gateway).await?;
        let outcome = sipp.finished().await?;
        ensure!(outcome.succeeded == u64::from(calls) && outcome.failed == 0, "{outcome:?}");
        self.no_calls().await?;
        end.send(()).ok();
        let most = most.await??;
        ensure!(most as u32 >= least_at_once, "only {most} calls were up at once, want {least_at_once}");
        let mut heard = Vec::new();
        for user in &mut self.light {
            heard.extend(heard_by(user).await);
        }
        let mut by_independent = 0;
        while let Ok(call) = self.answered.try_recv() {
            let Answered { user, heard } = call;
            let least = talk.as_millis() as u64 * 6 / 10;
            ensure!(heard.received_ms >= least, "ntgcalls user {user} heard {heard:?}");
            by_independent += 1;
        }
        let least = talk.as_millis() as u64 * 9 / 10;
        let deaf = heard.iter().filter(|ms| **ms < least).count();
        ensure!(
            deaf == 0,
            "{deaf} of {} users heard less than {least} ms of their echo: {heard:?}",
            heard.len()
        );
        let connected = heard.len() + by_independent;
        ensure!(connected == calls as usize, "{connected} of {calls} calls were connected at Telegram");
        ensure!(by_independent >= INDEPENDENT, "ntgcalls took {by_independent} calls");
        Ok(())
    }

    /// Calls of light users, taken by SIPp and ended by them.
    async fn telegram_calls(&mut self) -> anyhow::Result<()> {
        let plan = Plan {
            scenario: "answers.xml",
            line: None,
            port: self.back_pbx,
            calls: CALLS,
            per_second: 0,
            at_once: 0,
            talk: BRIEF,
            people: Vec::new(),
            limit: Duration::from_secs(60),
        };
        let sipp = Sipp::start(&plan)?;
        sleep(Duration::from_millis(300)).await;
        let mut beat = interval(Duration::from_secs(1) / PER_SECOND);
        let mut under_way = JoinSet::new();
        let mut idle: std::collections::VecDeque<LightUser> = self.light.drain(..).collect();
        let mut failed = Vec::new();
        for _ in 0..CALLS {
            beat.tick().await;
            while let Some(done) = under_way.try_join_next() {
                keep(done?, &mut idle, &mut failed);
            }
            let user = idle.pop_front().context("no light user is free")?;
            under_way.spawn(call_in(user, self.back.account));
        }
        while let Some(done) = under_way.join_next().await {
            keep(done?, &mut idle, &mut failed);
        }
        self.light.extend(idle);
        self.light.sort_by_key(|user| user.id);
        ensure!(failed.is_empty(), "{} calls failed: {}", failed.len(), failed.join("\n"));
        self.no_calls().await?;
        sipp.stop()?;
        let outcome = sipp.finished().await?;
        // The line's OPTIONS count as well.
        ensure!(outcome.failed == 0 && outcome.succeeded >= u64::from(CALLS), "{outcome:?}");
        Ok(())
    }

    /// What the gateway holds.
    fn remains(&self) -> anyhow::Result<Remains> {
        let process = format!("/proc/{}", self.gateway.pid()?);
        let status = std::fs::read_to_string(format!("{process}/status"))?;
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("VmRSS")?;
        let resident_kb = resident.trim().trim_end_matches(" kB").parse()?;
        let descriptors = std::fs::read_dir(format!("{process}/fd"))?.count();
        Ok(Remains { resident_kb, descriptors })
    }

    async fn no_calls(&self) -> anyhow::Result<()> {
        let mut control = self.gateway.control().await?;
        let until = Instant::now() + LIMIT;
        loop {
            let left = control.calls().await?;
            let open = self.stage.world().calls();
            let open = open.iter().filter(|call| call.stage != Progress::Ended).count();
            if left.is_empty() && open == 0 {
                return Ok(());
            }
            ensure!(Instant::now() < until, "{open} calls are left at Telegram, in the gateway {left:?}");
            sleep(Duration::from_millis(20)).await;
        }
    }

    async fn close(self) -> anyhow::Result<()> {
        for user in &self.independent {
            user.abort();
        }
        self.gateway.stop().await?;
        self.stage.done();
        Ok(())
    }
}

async fn log_in(stage: &Stage, namespace: &Namespace, phone: &str) -> anyhow::Result<IndependentUser> {
    let telegram = stage.telegram();
    let dc = telegram.home_dc();
    let address = telegram.address(dc).context("the home data centre listens")?;
    let pem = stage.installation.state.with_file_name("telegram.pem");
    std::fs::write(&pem, telegram.public_key_pem())?;
    let options = independent_user::Options {
        host: address.ip().to_string(),
        port: address.port(),
        dc,
        pem,
        phone: phone.to_owned(),
        password: None,
        tone_hz: 880,
        wanted_hz: 880,
        plays: None,
    };
    let mut user = IndependentUser::start(namespace, &options).await?;
    let code = stage.world().pending_login_code(phone).context("a login code was sent")?;
    user.log_in(&code).await?;
    Ok(user)
}

/// ntgcalls takes every call; what it hears is its own tone, which SIPp echoes.
async fn take_calls(
    mut user: IndependentUser,
    number: usize,
    say: mpsc::Sender<Answered>,
) -> anyhow::Result<()> {
    loop {
        user.wait_for("incoming", Duration::from_secs(600)).await?;
        user.command(json!({ "do": "answer" })).await?;
        user.wait_for("discarded", LIMIT).await?;
        let heard = user.heard().await?;
        say.send(Answered { user: number, heard }).await?;
        user.forget();
    }
}

/// Counts the gateway's calls until told to end: the most that were up at once.
async fn count_calls(
    gateway: &Gateway,
) -> anyhow::Result<(JoinHandle<anyhow::Result<usize>>, oneshot::Sender<()>)> {
    let mut control = gateway.control().await?;
    let (end, mut ended) = oneshot::channel();
    let counting = tokio::spawn(async move {
        let mut most = 0;
        while ended.try_recv() == Err(TryRecvError::Empty) {
            most = most.max(control.calls().await?.len());
            sleep(Duration::from_millis(100)).await;
        }
        Ok(most)
    });
    Ok((counting, end))
}

/// A light user calls, talks for a while and hangs up; the sound of the call comes back to it.
async fn call_in(mut user: LightUser, company: i64) -> (LightUser, anyhow::Result<()>) {
    let called = async {
        let call = user.call(company).await?;
        user.connected(LIMIT).await?;
        sleep(BRIEF).await;
        user.hang_up(call, Reason::Hangup).await;
        let heard = user.heard(call).received_ms;
        let least = BRIEF.as_millis() as u64 * 9 / 10;
        ensure!(heard >= least, "user {} heard {heard} ms of its echo", user.id);
        Ok(())
    };
    let result = called.await;
    (user, result)
}

fn keep(
    (user, result): (LightUser, anyhow::Result<()>),
    idle: &mut std::collections::VecDeque<LightUser>,
    failed: &mut Vec<String>,
) {
    idle.push_back(user);
    failed.extend(result.err().map(|error| format!("{error:#}")));
}

/// Milliseconds heard in each call that ended since the last look.
async fn heard_by(user: &mut LightUser) -> Vec<u64> {
    let mut calls = Vec::new();
    while let Ok(event) = user.event(Duration::from_millis(1)).await {
        if let Event::Connected { call } = event {
            calls.push(call);
        }
    }
    calls.into_iter().map(|call| user.heard(call).received_ms).collect()
}
