//! Who calls whom while the gateway is killed: people and a PBX that begin a call whenever the last one is over, and what is up
//! on either side.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use tgtrunk_test_telegram::world::{CallInfo, Stage as Progress};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{sleep, timeout};

use super::kills::Seen;
use crate::clock::now;
use crate::light_user::{Answering, LightUser, Reason};
use crate::torture::chance::Chance;
use crate::torture::rig::{LIMIT, Rig, phone_of};
use crate::wire_pbx::WireCall;
use crate::wire_stage::Post;

/// A pause between two calls of the same caller, and how long they talk, at most.
const PAUSE_MS: usize = 1_500;
const TALK_MS: usize = 1_200;
/// How long a PBX waits for a word about its INVITE, and how long for an answer.
const WORD: Duration = Duration::from_secs(3);
const RINGS: Duration = Duration::from_secs(3);
const FORGOTTEN: Duration = Duration::from_secs(20);
const LOOK: Duration = Duration::from_millis(10);

/// Callers in each direction, and how many of those called take calls.
const CALLERS: usize = 10;
const TAKE: usize = 8;

/// All who call.
pub(super) struct Traffic {
    pub(super) scene: Arc<Scene>,
    /// Whom the PBX calls.
    called: Vec<LightUser>,
    callers: JoinSet<()>,
    answering: JoinHandle<()>,
}

impl Traffic {
    pub(super) fn begin(rig: &Rig, chance: &mut Chance) -> anyhow::Result<Self> {
        let mut fork = || Chance::new(chance.next());
        let scene = Arc::new(Scene::new(rig.posts[0].clone()));
        let mut callers = JoinSet::new();
        let mut called = Vec::new();
        for number in 0..CALLERS {
            let takes = if number < TAKE { Answering::After(Duration::ZERO) } else { Answering::Rings };
            called.push(rig.person(number, takes)?);
            let user = rig.person(100 + number, Answering::After(Duration::ZERO))?;
            let (pbx, person) = (Arc::clone(&scene).pbx_calls(number, fork()), fork());
            callers.spawn(async move { drop(pbx.await) });
            callers.spawn(Arc::clone(&scene).user_calls(user, person));
        }
        let answering = tokio::spawn(Arc::clone(&scene).take_calls(fork()));
        Ok(Self { scene, called, callers, answering })
    }

    /// People's apps give up calls that nobody will ever confirm.
    pub(super) async fn release(&self, rig: &Rig, seen: &Seen) {
        for call in rig.stage.world().calls() {
            let user = self.called.iter().find(|user| user.id == call.callee);
            if let Some(user) = user
                && call.stage != Progress::Ended
                && seen.nameless.contains(&call.id)
            {
                user.hang_up(call.id, Reason::Disconnect).await;
            }
        }
    }

    /// Nobody calls any more. Waits until the gateway has no calls and has written all down.
    pub(super) async fn end(self, rig: &Rig) -> anyhow::Result<()> {
        self.scene.end();
        timeout(LIMIT * 2, self.callers.join_all()).await.context("calls never end")?;
        self.answering.abort();
        let mut control = rig.gateway.control().await?;
        let until = now() + LIMIT * 2;
        while !control.calls().await?.is_empty() {
            anyhow::ensure!(now() < until, "calls are left: {:?}", control.calls().await);
            sleep(LOOK).await;
        }
        sleep(Duration::from_millis(500)).await;
        Ok(())
    }
}

pub(super) struct Scene {
    post: Post,
    /// The gateway is dead: nobody ends a call meanwhile, and nobody begins one.
    frozen: AtomicBool,
    over: AtomicBool,
    /// Calls at the PBX: since when as they are, and whether they go on.
    up: Mutex<BTreeMap<String, (Instant, bool)>>,
}

impl Scene {
    pub(super) fn new(post: Post) -> Self {
        Self { post, frozen: AtomicBool::new(false), over: AtomicBool::new(false), up: Mutex::default() }
    }

    /// The PBX calls somebody again and again, and hangs up some time after the answer.
    pub(super) async fn pbx_calls(self: Arc<Self>, person: usize, mut chance: Chance) -> anyhow::Result<()> {
        while self.pauses(&mut chance).await {
            self.pbx_calls_once(person, Duration::from_millis(chance.below(TALK_MS) as u64)).await?;
        }
        Ok(())
    }

    async fn pbx_calls_once(&self, person: usize, talks: Duration) -> anyhow::Result<()> {
        let mut call = self.post.pbx.call(&phone_of(person)).await?;
        if call.wait_for("180 or more", WORD, |answer| answer.status() > Some(100)).await.is_err() {
            // Nobody there has heard of it.
            return Ok(());
        }
        self.note(&call, true);
        let mut until = now() + RINGS;
        let mut answered = false;
        let began = now();
        // Who hears nothing about a CANCEL gives up (RFC 3261 section 9.1).
        while !call.is_over() && now() - began < FORGOTTEN {
            if call.has_answer() && !answered {
                answered = true;
                self.note(&call, true);
                until = now() + talks;
            }
            if now() > until && !self.is_frozen() {
                if call.has_answer() {
                    call.bye(&[]);
                } else {
                    call.cancel(&[]);
                }
                until += RINGS;
            }
            sleep(LOOK).await;
        }
        self.note(&call, false);
        Ok(())
    }

    /// The PBX takes calls, or lets them ring.
    pub(super) async fn take_calls(self: Arc<Self>, mut chance: Chance) {
        while let Ok(call) = self.post.pbx.incoming(Duration::from_secs(86_400)).await {
            let fate = chance.below(5);
            let talks = Duration::from_millis(chance.below(TALK_MS) as u64);
            tokio::spawn(Arc::clone(&self).take_call(call, fate, talks));
        }
    }

    async fn take_call(self: Arc<Self>, mut call: WireCall, fate: usize, talks: Duration) {
        self.note(&call, true);
        call.respond(180, "Ringing", &[]);
        sleep(talks / 5).await;
        let mut until = now() + talks;
        // One in five rings until somebody gives up.
        if fate > 0 && call.answer().unwrap_or(false) {
            self.note(&call, true);
            while call.request("ACK", Duration::from_millis(500)).await.is_err() && !call.is_over() {
                if call.answer_again().is_err() {
                    break;
                }
            }
        } else {
            until += Duration::from_secs(1);
        }
        while !call.is_over() {
            if now() > until && !self.is_frozen() {
                if call.has_answer() { call.bye(&[]) } else { call.respond(486, "Busy Here", &[]) }
            }
            sleep(LOOK).await;
        }
        self.note(&call, false);
    }

    /// Somebody calls the company again and again, and hangs up if nobody there does.
    pub(super) async fn user_calls(self: Arc<Self>, user: LightUser, mut chance: Chance) {
        while self.pauses(&mut chance).await {
            let Ok(call) = user.call(self.post.line.account).await else { continue };
            sleep(Duration::from_millis(1_000 + chance.below(TALK_MS) as u64)).await;
            while self.is_frozen() {
                sleep(LOOK).await;
            }
            user.hang_up(call, Reason::Hangup).await;
        }
    }

    /// Waits for the next call; whether there is to be one.
    async fn pauses(&self, chance: &mut Chance) -> bool {
        sleep(Duration::from_millis(chance.below(PAUSE_MS) as u64)).await;
        while self.is_frozen() {
            sleep(LOOK).await;
        }
        !self.over.load(Ordering::SeqCst)
    }

    pub(super) fn freeze(&self, frozen: bool) {
        self.frozen.store(frozen, Ordering::SeqCst);
    }

    pub(super) fn end(&self) {
        self.over.store(true, Ordering::SeqCst);
    }

    fn is_frozen(&self) -> bool {
        self.frozen.load(Ordering::SeqCst)
    }

    fn note(&self, call: &WireCall, goes_on: bool) {
        self.calls().insert(call.sip_call_id().to_owned(), (now(), goes_on));
    }

    /// Calls at the PBX that have been as they are since then.
    pub(super) fn up_before(&self, moment: Instant) -> Vec<String> {
        let up = self.calls();
        up.iter().filter(|(_, (since, up))| *up && *since < moment).map(|(call, _)| call.clone()).collect()
    }

    /// All calls that the PBX ever had.
    pub(super) fn at_pbx(&self) -> BTreeSet<String> {
        self.calls().keys().cloned().collect()
    }

    fn calls(&self) -> MutexGuard<'_, BTreeMap<String, (Instant, bool)>> {
        self.up.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a call at Telegram is the line's.
    pub(super) fn has(&self, call: &CallInfo) -> bool {
        [call.caller, call.callee].contains(&self.post.line.account)
    }

    /// Whether such a call goes on and is not one that only rings at the line: the next process is offered that again.
    pub(super) fn is_up(&self, call: &CallInfo) -> bool {
        let only_rings = call.callee == self.post.line.account
            && matches!(call.stage, Progress::Requested | Progress::Ringing);
        self.has(call) && call.stage != Progress::Ended && !only_rings
    }
}
