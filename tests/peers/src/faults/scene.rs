//! A gateway whose lines have faulty ways to both sides, and one call on it, judged from both ends.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use tgtrunk_config::control::{CallRecord, CallResult};
use tgtrunk_test_telegram::NewUser;
use tgtrunk_test_telegram::world::{CallInfo, Stage as Progress};
use tokio::time::sleep;

use super::cable::Cable;
use super::peer::Sipp;
use super::sip_path::{Dialog, Plan, SipPath};
use super::verdict;
use super::{End, Story};
use crate::clock::now;
use crate::gateway::Gateway;
use crate::light_user::{self, Answering, Event, LightUser, Reason};
use crate::player::circle;
use crate::stage::{self, Line, Stage};
use crate::wire_stage::{USER_HZ, phone_of};
use crate::witness::{self, Witness};

/// How long a person lets it ring: 180 and 200 are two messages.
const RINGS: Duration = Duration::from_millis(150);
/// The PBX sends back what it hears: so much sound of one's own is enough to say that both ways are open.
const HEARD_MS: u64 = 300;
/// How long a call with a fault may take until somebody gives up, and one without.
const JOIN_LIMIT: Duration = Duration::from_secs(8);
pub(super) const CLEAN_LIMIT: Duration = Duration::from_secs(5);
/// How long both ends and what is written of a call may take to be over: a side that Telegram does not tell of the end hears
/// no more sound, which takes `media_timeout_s`.
const END_LIMIT: Duration = Duration::from_secs(15);
const MEDIA_TIMEOUT_S: i64 = 5;
/// When the PBX hangs up where the call did not come about and the person's end of it was not enough.
const PATIENCE: Duration = Duration::from_secs(2);
/// How often one looks.
const LOOK: Duration = Duration::from_millis(20);

/// A line with its faulty ways.
pub(super) struct Post {
    pub(super) line: Line,
    pub(super) path: SipPath,
    pub(super) cable: Cable,
    pbx: Sipp,
}

/// The gateway and all around it.
pub struct Scene {
    pub(super) stage: Stage,
    pub(super) posts: Vec<Post>,
    gateway: Gateway,
    witness: Witness,
    plays: Arc<[Vec<u8>]>,
    people: AtomicUsize,
}

/// Somebody at Telegram.
pub(super) struct Person {
    phone: String,
    user: LightUser,
}

/// What became of a call.
pub(super) struct Told {
    /// When both ways were heard, if they were.
    pub(super) joined: Option<Duration>,
    /// What the gateway wrote of its end.
    pub(super) end: String,
    /// Its SIP, where it came so far.
    pub(super) dialog: Option<Dialog>,
}

impl Scene {
    /// Starts it with so many lines.
    ///
    /// # Errors
    /// When something cannot be had, or a line does not become green.
    pub async fn open(lines: usize) -> anyhow::Result<Self> {
        let mut stage = Stage::on_loopback().await?;
        let mut posts = Vec::new();
        for number in 0..lines {
            let line = stage.line(&format!("+7906000{number:04}"))?;
            let cable = Cable::lay(stage.telegram().addresses()).await?;
            stage.detour(cable.ends.clone());
            let pbx = Sipp::takes_calls()?;
            let path = SipPath::lay(line.sip, pbx.sip).await?;
            let draft = stage::draft(&line)?
                .set("parallel_incoming", "always")
                .set("max_calls", 200)
                .set("media_timeout_s", MEDIA_TIMEOUT_S);
            stage.open(&line, path.seen_by_gateway(), draft).await?;
            posts.push(Post { line, path, cable, pbx });
        }
        let lines: Vec<&Line> = posts.iter().map(|post| &post.line).collect();
        let gateway = stage.run(&lines).await?;
        let witness = Witness::begin(&gateway).await?;
        let plays = circle(USER_HZ, 60)?;
        Ok(Self { stage, posts, gateway, witness, plays, people: AtomicUsize::new(1) })
    }

    /// Somebody new at Telegram.
    pub(super) fn person(&self) -> anyhow::Result<Person> {
        let phone = phone_of(self.people.fetch_add(1, Ordering::Relaxed));
        let options =
            light_user::Options::playing(Arc::clone(&self.plays)).answering(Answering::After(RINGS));
        let user = self.stage.person(NewUser::new(phone.as_str(), "Somebody"), options)?;
        Ok(Person { phone, user })
    }

    /// Waits until a line is connected.
    ///
    /// # Errors
    /// When that takes longer than a clean call may.
    pub(super) async fn connected(&self, post: &Post) -> anyhow::Result<()> {
        stage::green(&self.gateway, &post.line, CLEAN_LIMIT).await.map(drop)
    }

    /// One call from its beginning to its end.
    ///
    /// # Errors
    /// When it does not end on both sides, not once, or without a word of why.
    pub(super) async fn call(
        &self,
        post: &Post,
        person: &mut Person,
        story: Story,
        plan: Option<Plan>,
    ) -> anyhow::Result<Told> {
        let mark = match story.caller {
            End::Pbx => person.phone.clone(),
            End::Person => person.user.id.to_string(),
        };
        let order = post.path.order(mark, plan);
        let told = self.ordered(post, person, story, order).await;
        let dialog = post.path.dialog(order);
        post.path.forget(order);
        told.with_context(|| match dialog {
            None => "no INVITE came".to_owned(),
            Some(dialog) => format!(
                "SIP status {:?}, acknowledged: {}, over: {}; SIPp complains: {:?}",
                dialog.status,
                dialog.is_acknowledged,
                dialog.is_over(),
                post.pbx.errors().lines().rev().take(3).collect::<Vec<_>>()
            ),
        })
    }

    async fn ordered(
        &self,
        post: &Post,
        person: &mut Person,
        story: Story,
        order: u64,
    ) -> anyhow::Result<Told> {
        let earlier: Vec<i64> = self.at_telegram(post, person).iter().map(|call| call.id).collect();
        let began = now();
        let (_phone, mut call) = match story.caller {
            End::Pbx => (Some(Sipp::calls(&person.phone, post.path.seen_by_pbx())?), None),
            End::Person => (None, Some(person.user.call(post.line.account).await?)),
        };
        let mut joined = None;
        while now() - began < JOIN_LIMIT {
            let dialog = post.path.dialog(order);
            if dialog.as_ref().is_some_and(Dialog::is_over) {
                break;
            }
            match call {
                None => call = person.called(LOOK, &earlier).await,
                Some(call) if person.user.heard(call).received_ms >= HEARD_MS => {
                    joined = joined.or_else(|| Some(now() - began));
                }
                Some(_) => {}
            }
            // Who hangs up before its ACK came tries out another thing.
            if joined.is_some() && dialog.is_some_and(|dialog| dialog.is_acknowledged) {
                break;
            }
            sleep(LOOK).await;
        }
        let is_acknowledged = post.path.dialog(order).is_some_and(|dialog| dialog.is_acknowledged);
        ensure!(joined.is_none() || is_acknowledged, "both talk, and no ACK came in {JOIN_LIMIT:?}");
        let hangs_up = if joined.is_some() { story.hangs_up } else { End::Person };
        match (hangs_up, call) {
            (End::Pbx, _) => post.path.hang_up(order).await,
            (End::Person, Some(call)) => person.user.hang_up(call, Reason::Hangup).await,
            (End::Person, None) => {}
        }
        if joined.is_none() {
            sleep(PATIENCE).await;
            post.path.hang_up(order).await;
            // Where the answer with the call's id was lost, nobody but the person can end what rings.
            if call.is_none()
                && let Some(late) = person.called(LOOK, &earlier).await
            {
                person.user.hang_up(late, Reason::Hangup).await;
            }
        }
        let until = now() + END_LIMIT;
        let calls = loop {
            let mut calls = self.at_telegram(post, person);
            calls.retain(|call| !earlier.contains(&call.id));
            let dialog = post.path.dialog(order);
            let is_up_at_pbx = dialog.is_some_and(|dialog| !dialog.is_over());
            let is_up_at_telegram = calls.iter().any(|call| call.stage != Progress::Ended);
            if !is_up_at_pbx && !is_up_at_telegram {
                break calls;
            }
            ensure!(
                now() < until,
                "joined after {joined:?}, and {END_LIMIT:?} after its end up at the PBX: {is_up_at_pbx}, at Telegram: \
                 {is_up_at_telegram}"
            );
            sleep(LOOK).await;
        };
        ensure!(calls.len() <= 1, "want one call at Telegram, got {calls:?}");
        let dialog = post.path.dialog(order);
        let record = self.record(post, calls.first(), dialog.as_ref(), story.caller).await?;
        ensure!(joined.is_none() || record.is_some(), "joined, and not written down");
        let end = match record {
            Some(record) => {
                let end = record.end.as_ref().context("a record without an end")?;
                if joined.is_some() {
                    let result = record.result;
                    ensure!(result == CallResult::Answered, "joined, and its record says {result:?}");
                }
                format!("{} by {:?}: {}", record.result.as_str(), end.by, end.cause)
            }
            None => "unknown to the gateway".to_owned(),
        };
        Ok(Told { joined, end, dialog })
    }

    /// The one record of a call, once it is whole. Of a person's call that never reached the PBX there may be none: Telegram may
    /// not have told the line of it.
    async fn record(
        &self,
        post: &Post,
        call: Option<&CallInfo>,
        dialog: Option<&Dialog>,
        caller: End,
    ) -> anyhow::Result<Option<CallRecord>> {
        let (call, sip) = (call.map(|call| call.id), dialog.map(|dialog| dialog.call_id.as_str()));
        let may_be_unknown = caller == End::Person && dialog.is_none();
        let until = now() + if may_be_unknown { PATIENCE } else { END_LIMIT };
        let (mut control, line) = (self.gateway.control().await?, post.line.phone.parse()?);
        loop {
            let mut records = witness::newest(&mut control, Some(&line), 1).await?;
            records.retain(|record| {
                call.is_some() && record.telegram_call == call
                    || sip.is_some() && record.trunk.sip_call_id.as_deref() == sip
            });
            ensure!(records.len() <= 1, "want one record, got {records:?}");
            let is_unknown = records.is_empty() && may_be_unknown;
            let whole = records.pop().filter(verdict::is_whole);
            let counted =
                whole.map(|record| verdict::ended_once(&self.witness, record.call).map(|()| record));
            match counted {
                Some(Ok(record)) => return Ok(Some(record)),
                Some(Err(error)) if now() > until => return Err(error),
                None if now() > until && is_unknown => return Ok(None),
                None if now() > until => {
                    bail!("no record of Telegram's call {call:?} and SIP's {sip:?} that is whole")
                }
                Some(Err(_)) | None => sleep(LOOK).await,
            }
        }
    }

    /// Calls between the line and somebody.
    fn at_telegram(&self, post: &Post, person: &Person) -> Vec<CallInfo> {
        let both = [post.line.account, person.user.id];
        let mut calls = self.stage.world().calls();
        calls.retain(|call| both.contains(&call.caller) && both.contains(&call.callee));
        calls
    }

    /// Ends it: what holds of all calls together is judged.
    ///
    /// # Errors
    /// With what does not hold.
    pub async fn close(self) -> anyhow::Result<()> {
        let (mut control, until) = (self.gateway.control().await?, now() + END_LIMIT);
        loop {
            let left = control.calls().await?;
            if left.is_empty() {
                break;
            }
            ensure!(now() < until, "calls are left in the gateway: {left:?}");
            sleep(LOOK).await;
        }
        verdict::one_each(&witness::records(&mut control).await?, &self.witness)?;
        let log = std::fs::read(&self.stage.installation.log)?;
        if let Some(line) = String::from_utf8_lossy(&log).lines().find(|line| line.contains("panicked at")) {
            bail!("a panic: {line}");
        }
        self.gateway.stop().await?;
        self.stage.done();
        Ok(())
    }
}

impl Person {
    /// A call that comes to them, unless it is one of before.
    async fn called(&mut self, limit: Duration, earlier: &[i64]) -> Option<i64> {
        let new = |event: &Event| match event {
            Event::Incoming { call, .. } if !earlier.contains(call) => Some(*call),
            _ => None,
        };
        self.user.wait_for("incoming call", limit, new).await.ok()
    }
}
