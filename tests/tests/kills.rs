//! What a kill leaves: `kill -9` of the gateway in the middle of many calls, again and again. The next process ends both
//! halves of each, and each call has one record that says how it ended.
//!
//! `TGTRUNK_KILLS` says how often the gateway is killed, each time in the middle of 52 calls: 5 without it.

#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tgtrunk_config::control::{Answer, Ask, CallRecord, CallResult, RecordFilter};
use tgtrunk_test_telegram::world::{Action, CallInfo, Match, Stage as Progress};
use tgtrunk_tests::clock::now;
use tgtrunk_tests::control::Control;
use tgtrunk_tests::figures::show;
use tgtrunk_tests::gateway::Gateway;
use tgtrunk_tests::light_user::{self, Answering, LightUser, Reason};
use tgtrunk_tests::player::circle;
use tgtrunk_tests::stage::{self, GREEN_LIMIT, Line, Stage, green};
use tgtrunk_tests::wire_pbx::{self, WireCall, WirePbx};
use tgtrunk_tests::wire_stage::{PBX_HZ, USER_HZ, phone_of};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

/// How long the ends of calls may take after the start of the next process.
const END_LIMIT: Duration = Duration::from_secs(5);
/// A call that moved on so shortly before the kill may not be written down as it then was.
const JUST: Duration = Duration::from_millis(100);
/// How long a call may take to end by itself.
const LIMIT: Duration = Duration::from_secs(40);
/// Calls of one round in each direction, and how many of those called take calls.
const CALLS: usize = 26;
const TAKE: usize = 21;
/// In this time the calls of a round begin.
const BEGIN_MS: u64 = 2_000;
const COMPANY: &str = "+79060000000";

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_leaves_no_call_up_on_either_side_and_one_record_of_each() {
    let kills: u64 = std::env::var("TGTRUNK_KILLS").map_or(5, |kills| kills.parse().unwrap());
    let stage = Stage::on_loopback().await.unwrap();
    let line = stage.line(COMPANY).unwrap();
    let pbx = WirePbx::switch_on(line.sip, wire_pbx::Options::playing(PBX_HZ).unwrap()).await.unwrap();
    let draft = stage::draft(&line).unwrap().set("parallel_incoming", "always").set("max_calls", 200);
    stage.open(&line, pbx.sip, draft).await.unwrap();
    let scene = Arc::new(Scene { pbx, line, frozen: AtomicBool::new(false), up: Mutex::default() });
    let plays = circle(USER_HZ, 60).unwrap();
    let mut callees = Vec::new();
    let mut callers = Vec::new();
    for number in 0..CALLS {
        let answering = if number < TAKE { Answering::After(Duration::ZERO) } else { Answering::Rings };
        let user = |number: usize| tgtrunk_test_telegram::NewUser::new(phone_of(number), "Anna");
        let app = light_user::Options::playing(Arc::clone(&plays));
        callees.push(Arc::new(stage.person(user(number), app.clone().answering(answering)).unwrap()));
        callers.push(Arc::new(stage.person(user(100 + number), app).unwrap()));
    }
    let mut gateway = stage.run(&[&scene.line]).await.unwrap();
    let mut chance = Chance(7);
    let (mut slowest_pbx, mut slowest_telegram) = (Duration::ZERO, Duration::ZERO);
    let mut cut = 0;
    let mut answering = tokio::spawn(Arc::clone(&scene).take_calls(chance.fork()));
    for kill in 0..kills {
        let mut calls = JoinSet::new();
        for (number, caller) in callers.iter().enumerate() {
            let plan = (chance.below(BEGIN_MS), chance.below(1_200));
            calls.spawn(Arc::clone(&scene).pbx_calls(number, plan));
            let plan = (chance.below(BEGIN_MS), chance.below(1_200));
            calls.spawn(Arc::clone(&scene).user_calls(Arc::clone(caller), plan));
        }
        sleep(Duration::from_millis(500 + chance.below(BEGIN_MS + 500))).await;
        scene.frozen.store(true, Ordering::SeqCst);
        let at_pbx = scene.up_before(Instant::now() - JUST);
        let at_telegram = open_calls(&stage, &scene.line);
        gateway.kill().await.unwrap();
        let began = Instant::now();
        gateway = Gateway::start(&stage.installation).await.unwrap();
        let mut control = gateway.control().await.unwrap();
        let slow = scene.wait_for_pbx(&at_pbx, began).await;
        slowest_pbx = slowest_pbx.max(slow);
        // One whose row was not written is offered again, and is a call like others then.
        let told = records(&mut control).await.into_iter();
        let told = told.filter(|record| record.result == CallResult::Interrupted);
        let known: BTreeSet<i64> = told.filter_map(|record| record.telegram_call).collect();
        let written: Vec<i64> =
            at_telegram.iter().map(|call| call.id).filter(|call| known.contains(call)).collect();
        let slow = ended_at_telegram(&stage, &written, began).await;
        slowest_telegram = slowest_telegram.max(slow);
        cut += at_pbx.len().max(written.len());
        show(&format!(
            "kill {kill}: {} calls at the PBX, {} of {} at Telegram",
            at_pbx.len(),
            written.len(),
            at_telegram.len()
        ));
        green(&gateway, &scene.line, GREEN_LIMIT).await.unwrap();
        scene.frozen.store(false, Ordering::SeqCst);
        timeout(LIMIT, calls.join_all()).await.expect("all calls are over");
    }
    answering.abort();
    drop((&mut answering).await);
    let mut control = gateway.control().await.unwrap();
    let until = now() + LIMIT;
    while !control.calls().await.unwrap().is_empty() {
        assert!(now() < until, "calls are left: {:?}", control.calls().await);
        sleep(Duration::from_millis(100)).await;
    }
    sleep(Duration::from_millis(500)).await;
    let told = records(&mut control).await;
    let at_telegram = stage.world().calls().into_iter().filter(|call| is_of(call, &scene.line)).collect();
    let results = check(&told, at_telegram, &scene.at_pbx());
    show(&format!(
        "{kills} kills cut {cut} of {} calls short; the PBX was told within {} ms of the next start, Telegram within {} ms; \
         records: {results:?}",
        told.len(),
        slowest_pbx.as_millis(),
        slowest_telegram.as_millis()
    ));
    assert!(results.get("interrupted").is_some_and(|interrupted| *interrupted >= kills), "{results:?}");
    assert!(results.get("answered").is_some_and(|answered| *answered >= kills), "{results:?}");
    gateway.stop().await.unwrap();
    stage.done();
}

/// One record for each call that either side saw, and nothing that goes on.
fn check(
    told: &[CallRecord],
    at_telegram: Vec<CallInfo>,
    at_pbx: &BTreeSet<String>,
) -> BTreeMap<&'static str, u64> {
    let mut results: BTreeMap<&'static str, u64> = BTreeMap::new();
    for record in told {
        *results.entry(record.result.as_str()).or_default() += 1;
        assert!(record.result != CallResult::Running && record.ended_ms.is_some(), "{record:?}");
        assert!(record.end.is_some(), "{record:?}");
        let times = [Some(record.started_ms), record.ringing_ms, record.answered_ms, record.ended_ms];
        assert!(times.iter().flatten().is_sorted(), "{record:?}");
    }
    let mut by_sip: BTreeMap<&str, u64> = BTreeMap::new();
    for call in told.iter().filter_map(|record| record.trunk.sip_call_id.as_deref()) {
        *by_sip.entry(call).or_default() += 1;
    }
    let twice: Vec<_> = by_sip.iter().filter(|(_, records)| **records > 1).collect();
    assert!(twice.is_empty(), "records of the same calls of the PBX: {twice:?}");
    let mut by_telegram: BTreeMap<i64, u64> = BTreeMap::new();
    // Requested, and killed before Telegram told the id.
    let mut nameless: BTreeMap<i64, u64> = BTreeMap::new();
    for record in told {
        match (record.telegram_call, record.peer.id) {
            (Some(call), _) => *by_telegram.entry(call).or_default() += 1,
            (None, Some(person)) => *nameless.entry(person.number()).or_default() += 1,
            (None, None) => {}
        }
    }
    assert!(by_telegram.values().all(|records| *records == 1), "{by_telegram:?}");
    for call in at_telegram {
        if by_telegram.contains_key(&call.id) {
            assert_eq!(call.stage, Progress::Ended, "{call:?}");
        } else {
            let left = nameless.get_mut(&call.callee).filter(|left| **left > 0);
            *left.unwrap_or_else(|| panic!("no record of {call:?}")) -= 1;
        }
    }
    let missing: Vec<_> = at_pbx.iter().filter(|call| !by_sip.contains_key(call.as_str())).collect();
    // An INVITE goes out while its row is being written.
    assert!(missing.len() <= told.len() / 100, "calls of the PBX without a record: {missing:?}");
    results
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_whom_a_kill_left_ringing_can_be_called_again_at_once() {
    let stage = Stage::on_loopback().await.unwrap();
    let line = stage.line(COMPANY).unwrap();
    let pbx = WirePbx::switch_on(line.sip, wire_pbx::Options::playing(PBX_HZ).unwrap()).await.unwrap();
    stage.open(&line, pbx.sip, stage::draft(&line).unwrap()).await.unwrap();
    let app = light_user::Options::playing(circle(USER_HZ, 60).unwrap());
    let anna = tgtrunk_test_telegram::NewUser::new(phone_of(0), "Anna");
    let anna = stage.person(anna, app.answering(Answering::After(Duration::ZERO))).unwrap();
    let mut gateway = stage.run(&[&line]).await.unwrap();
    // So the line hears that the call is taken before it hears which one it is.
    stage.world().add_fault(Match::method("phone.requestCall"), Action::Delay { ms: 1_000 });
    let first = pbx.call(&phone_of(0)).await.unwrap();
    let begun = timeout(LIMIT, async {
        loop {
            match stage.world().calls().first() {
                Some(call) => return call.id,
                None => sleep(Duration::from_millis(10)).await,
            }
        }
    });
    let begun = begun.await.unwrap();
    gateway.kill().await.unwrap();
    drop(first);
    anna.hang_up(begun, Reason::Disconnect).await;
    gateway = Gateway::start(&stage.installation).await.unwrap();
    green(&gateway, &line, GREEN_LIMIT).await.unwrap();
    let mut again = pbx.call(&phone_of(0)).await.unwrap();
    let answer = again.final_answer(LIMIT).await.unwrap();
    assert_eq!(answer.status(), Some(200), "{}", answer.start);
    sleep(Duration::from_millis(1_500)).await;
    assert!(!again.is_over(), "the call goes on when the answer to its request came, too");
    again.bye(&[]);
    gateway.stop().await.unwrap();
    stage.done();
}

struct Scene {
    pbx: WirePbx,
    line: Line,
    /// The gateway is dead: nobody ends a call meanwhile.
    frozen: AtomicBool,
    /// Calls at the PBX: since when as they are, and whether they go on.
    up: Mutex<BTreeMap<String, (Instant, bool)>>,
}

impl Scene {
    /// The PBX calls somebody, and hangs up some time after the answer.
    async fn pbx_calls(self: Arc<Self>, person: usize, (begins_ms, talks_ms): (u64, u64)) {
        sleep(Duration::from_millis(begins_ms)).await;
        self.thaw().await;
        let mut call = self.pbx.call(&phone_of(person)).await.unwrap();
        if call.wait_for("180 or 200", LIMIT / 4, |answer| answer.status() > Some(100)).await.is_err() {
            // Nobody there has heard of it.
            return;
        }
        self.note(&call, true);
        let mut until = Instant::now() + Duration::from_secs(3);
        while !call.is_over() {
            if call.has_answer() && until > Instant::now() + Duration::from_secs(2) {
                self.note(&call, true);
                until = Instant::now() + Duration::from_millis(talks_ms);
            }
            if Instant::now() > until && !self.is_frozen() {
                if call.has_answer() {
                    call.bye(&[])
                } else {
                    call.cancel(&[])
                }
                until += Duration::from_secs(2);
            }
            sleep(Duration::from_millis(10)).await;
        }
        self.note(&call, false);
    }

    /// The PBX takes calls, or lets them ring.
    async fn take_calls(self: Arc<Self>, mut chance: Chance) {
        let mut calls = JoinSet::new();
        loop {
            let Ok(call) = self.pbx.incoming(Duration::from_secs(3_600)).await else { return };
            calls.spawn(Arc::clone(&self).take_call(call, chance.below(5), chance.below(1_500)));
        }
    }

    async fn take_call(self: Arc<Self>, mut call: WireCall, fate: u64, talks_ms: u64) {
        self.note(&call, true);
        call.respond(180, "Ringing", &[]);
        sleep(Duration::from_millis(talks_ms / 5)).await;
        let mut until = Instant::now() + Duration::from_millis(talks_ms);
        // One in five rings until somebody gives up.
        if fate > 0 && call.answer().unwrap() {
            self.note(&call, true);
            while call.request("ACK", Duration::from_millis(500)).await.is_err() && !call.is_over() {
                call.answer_again().unwrap();
            }
        } else {
            until += Duration::from_secs(1);
        }
        while !call.is_over() {
            if Instant::now() > until && !self.is_frozen() {
                if call.has_answer() { call.bye(&[]) } else { call.respond(486, "Busy Here", &[]) }
            }
            sleep(Duration::from_millis(10)).await;
        }
        self.note(&call, false);
    }

    /// Somebody calls the company, and hangs up if nobody there does.
    async fn user_calls(self: Arc<Self>, user: Arc<LightUser>, (begins_ms, talks_ms): (u64, u64)) {
        sleep(Duration::from_millis(begins_ms)).await;
        let Ok(call) = user.call(self.line.account).await else { return };
        sleep(Duration::from_millis(1_000 + talks_ms)).await;
        self.thaw().await;
        user.hang_up(call, Reason::Hangup).await;
    }

    fn is_frozen(&self) -> bool {
        self.frozen.load(Ordering::SeqCst)
    }

    async fn thaw(&self) {
        while self.is_frozen() {
            sleep(Duration::from_millis(20)).await;
        }
    }

    fn note(&self, call: &WireCall, goes_on: bool) {
        self.up.lock().unwrap().insert(call.sip_call_id().to_owned(), (Instant::now(), goes_on));
    }

    fn up_before(&self, moment: Instant) -> Vec<String> {
        let up = self.up.lock().unwrap();
        up.iter().filter(|(_, (since, up))| *up && *since < moment).map(|(call, _)| call.clone()).collect()
    }

    fn at_pbx(&self) -> BTreeSet<String> {
        self.up.lock().unwrap().keys().cloned().collect()
    }

    /// Waits until none of these calls goes on at the PBX.
    async fn wait_for_pbx(&self, calls: &[String], began: Instant) -> Duration {
        loop {
            let left: Vec<String> =
                self.up_before(Instant::now()).into_iter().filter(|call| calls.contains(call)).collect();
            let passed = began.elapsed();
            if left.is_empty() {
                return passed;
            }
            assert!(passed < END_LIMIT, "up at the PBX {passed:?} after the start: {left:?}");
            sleep(Duration::from_millis(10)).await;
        }
    }
}

fn is_of(call: &CallInfo, line: &Line) -> bool {
    [call.caller, call.callee].contains(&line.account)
}

fn open_calls(stage: &Stage, line: &Line) -> Vec<CallInfo> {
    let mut calls = stage.world().calls();
    calls.retain(|call| is_of(call, line) && call.stage != Progress::Ended);
    calls
}

/// Waits until none of these calls goes on at Telegram.
async fn ended_at_telegram(stage: &Stage, calls: &[i64], began: Instant) -> Duration {
    loop {
        let goes_on =
            |call: &&i64| stage.world().call_info(**call).is_some_and(|call| call.stage != Progress::Ended);
        let left: Vec<&i64> = calls.iter().filter(goes_on).collect();
        let passed = began.elapsed();
        if left.is_empty() {
            return passed;
        }
        assert!(passed < END_LIMIT, "up at Telegram {passed:?} after the start: {left:?}");
        sleep(Duration::from_millis(10)).await;
    }
}

/// All records.
async fn records(control: &mut Control) -> Vec<CallRecord> {
    let mut all = Vec::new();
    loop {
        let skip = u32::try_from(all.len()).unwrap();
        let filter = RecordFilter { skip, limit: Some(100), ..RecordFilter::default() };
        match control.ask(Ask::Records { filter }).await.unwrap() {
            Answer::Records { records, .. } if records.is_empty() => return all,
            Answer::Records { records, .. } => all.extend(records),
            other => panic!("{other:?}"),
        }
    }
}

/// Chance that can be repeated (xorshift64*).
struct Chance(u64);

impl Chance {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % limit
    }

    fn fork(&mut self) -> Self {
        Self(self.below(u64::from(u32::MAX)) | 1)
    }
}
