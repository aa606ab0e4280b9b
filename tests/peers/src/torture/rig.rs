//! The gateway on the rig: a world with one or more lines, secrets planted wherever settings take some, somebody at Telegram
//! who takes calls, and what the gateway used before anything was thrown at it.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use serde_json::json;
use tgtrunk_config::LineDraft;
use tgtrunk_test_telegram::NewUser;
use tgtrunk_test_telegram::canary::{TRUNK_OTHER_PASSWORD, TRUNK_PASSWORD};
use tokio::time::sleep;

use super::Tally;
use super::oracle::Footprint;
use crate::clock::now;
use crate::gateway::Gateway;
use crate::light_user::{self, Answering, LightUser, Reason};
use crate::load::Detour;
use crate::player::circle;
use crate::stage::{self, Line, Stage};
use crate::wire_pbx::{self, WireCall, WirePbx};
use crate::wire_stage::{PBX_HZ, Post, USER_HZ};
use crate::witness::Witness;
use crate::{ports, prometheus, sockets};

/// How long a fresh call may take until both sides hear each other.
pub(super) const FRESH_LIMIT: Duration = Duration::from_secs(5);
/// So much sound is enough to say that somebody is heard.
const HEARD_MS: u64 = 300;
/// How long anything may take that should take no time.
pub(super) const LIMIT: Duration = Duration::from_secs(20);
/// How often the rig looks whether something has come about.
const LOOK: Duration = Duration::from_millis(10);

/// What SQLite keeps of a database for each connection at most: the gateway's `cache_size`.
const PAGES_KB: u64 = 256;
/// For so long what calls leave behind may come and go before it is measured.
const SETTLES: Duration = Duration::from_millis(500);
/// Calls of each side after which a process that was started anew uses no more than before them.
const CALLS_ANEW: usize = 30;

/// What a line proves to its PBX, and is proven by whoever calls over one that listens to everybody.
pub(super) const DIGEST_PASSWORD: &str = TRUNK_PASSWORD;
pub(super) const AUTH_USER: &str = "pbx";
pub(super) const AUTH_PASSWORD: &str = TRUNK_OTHER_PASSWORD;

/// Who takes every call.
const ANNA: &str = "+79161000001";
/// Nobody has it.
pub(super) const NOBODY: &str = "+79991234567";

/// The gateway, and all around it.
pub(super) struct Rig {
    pub(super) stage: Stage,
    pub(super) gateway: Gateway,
    pub(super) posts: Vec<Post>,
    pub(super) metrics: SocketAddr,
    pub(super) witness: Witness,
    pub(super) plays: Arc<[Vec<u8>]>,
    pub(super) before: Footprint,
    pub(super) pid: u32,
    pub(super) remembers: bool,
    is_warm: bool,
    pub(super) began: Instant,
    /// Lines whose PBX has placed as many calls as it may.
    pub(super) spent: BTreeSet<usize>,
    /// The ways to Telegram, where they can be cut.
    pub(super) detours: Vec<Detour>,
    anna: LightUser,
}

/// Datagrams at ports of sound that the gateway took for nobody's, of calls that are over.
#[derive(Debug, Clone, Copy)]
pub(super) struct Refused {
    pub(super) pbx: f64,
    /// Those at sockets that calls share, too.
    pub(super) telegram: f64,
}

impl Refused {
    /// How many more than before.
    pub(super) fn since(self, before: Self) -> Self {
        Self { pbx: self.pbx - before.pbx, telegram: self.telegram - before.telegram }
    }
}

/// What a gateway stands on.
pub(super) struct Ground {
    /// Further lines of its settings, among them how many calls it takes.
    pub(super) settings: String,
    pub(super) environment: Vec<(String, String)>,
    /// Where its files are, if not where all temporary ones are.
    pub(super) folder: Option<PathBuf>,
    /// Whether it reaches Telegram by ways that can be cut.
    pub(super) by_detours: bool,
}

impl Default for Ground {
    /// It takes more than anybody throws.
    fn default() -> Self {
        let settings = "max_new_calls_per_s = 1000\nmax_calls = 1000".to_owned();
        Self { settings, environment: Vec::new(), folder: None, by_detours: false }
    }
}

impl Rig {
    /// Starts a world with a line for each of these, and lets a call pass each way before anything is measured.
    pub(super) async fn open<Change: Fn(LineDraft) -> LineDraft>(changes: &[Change]) -> anyhow::Result<Self> {
        Self::open_upon(Ground::default(), changes).await
    }

    /// The same where Telegram is reached by [`Rig::detours`].
    pub(super) async fn open_by_detours<Change: Fn(LineDraft) -> LineDraft>(
        changes: &[Change],
    ) -> anyhow::Result<Self> {
        Self::open_upon(Ground { by_detours: true, ..Ground::default() }, changes).await
    }

    /// The same where the gateway finds these in its environment.
    pub(super) async fn open_in<Change: Fn(LineDraft) -> LineDraft>(
        environment: Vec<(String, String)>,
        changes: &[Change],
    ) -> anyhow::Result<Self> {
        Self::open_upon(Ground { environment, ..Ground::default() }, changes).await
    }

    /// The same upon this.
    pub(super) async fn open_upon<Change: Fn(LineDraft) -> LineDraft>(
        ground: Ground,
        changes: &[Change],
    ) -> anyhow::Result<Self> {
        let metrics = SocketAddr::from(([127, 0, 0, 1], ports::free()?));
        let Ground { settings, environment, folder, by_detours } = ground;
        let settings = format!("metrics = \"{metrics}\"\n{settings}");
        let options = stage::Options { settings, environment, folder, ..Default::default() };
        let mut stage = Stage::set_up(options).await?;
        let mut detours = Vec::new();
        if by_detours {
            for (dc, address) in stage.telegram().addresses() {
                detours.push((dc, Detour::start(address).await?));
            }
            stage.detour(detours.iter().map(|(dc, detour)| (*dc, detour.address)).collect());
        }
        let mut posts = Vec::new();
        for (number, change) in changes.iter().enumerate() {
            posts.push(post(&stage, &format!("+7906000{:04}", number + 1), change).await?);
        }
        let app = light_user::Options::playing(circle(USER_HZ, 60)?);
        let anna = stage.person(NewUser::new(ANNA, "Anna").username("anna"), app.clone())?;
        let lines: Vec<&Line> = posts.iter().map(|post| &post.line).collect();
        let gateway = stage.run(&lines).await?;
        let pid = gateway.pid()?;
        let witness = Witness::begin(&gateway).await?;
        let before = Footprint::of(pid)?;
        let mut rig = Self {
            stage,
            gateway,
            posts,
            metrics,
            witness,
            plays: app.plays,
            before,
            pid,
            remembers: false,
            is_warm: false,
            began: now(),
            spent: BTreeSet::new(),
            detours: detours.into_iter().map(|(_, detour)| detour).collect(),
            anna,
        };
        for number in 0..rig.posts.len() {
            rig.calls_both_ways(number).await.context("before anything was thrown")?;
        }
        sleep(SETTLES).await;
        rig.before = Footprint::of(pid)?;
        Ok(rig)
    }

    /// Some of it was thrown: whatever a gateway needs once for that, it has by now, and what follows is to need no more. The first
    /// time counts, and no other: memory that grows with what is thrown is a leak.
    pub(super) fn warmed(&mut self) -> anyhow::Result<()> {
        if !std::mem::replace(&mut self.is_warm, true) {
            let now = Footprint::of(self.pid)?;
            self.before.resident_kb = self.before.resident_kb.max(now.resident_kb);
        }
        Ok(())
    }

    /// The same once all calls are over, as they were when it was measured first.
    pub(super) async fn warmed_without_calls(&mut self) -> anyhow::Result<()> {
        self.calls_end().await?;
        sleep(SETTLES).await;
        self.warmed()
    }

    /// Judges a process that was started anew by what the first one used, and then by what it uses itself: calls pass both ways
    /// until the end, and take no more.
    pub(super) async fn measure_anew(&mut self, tally: &mut Tally) -> anyhow::Result<()> {
        for post in 0..self.posts.len() {
            self.calls_both_ways(post).await?;
        }
        sleep(SETTLES).await;
        if let Err(error) = self.footprint_is_back(tally, "memory of the last start").await {
            tally.fail(format!("footprint of the last start: {error:#}"));
        }
        // What calls need is had once some were there: threads, pages of tables, pieces of memory of each size.
        self.calls_anew().await?;
        self.before = Footprint::of(self.pid)?;
        self.calls_anew().await
    }

    async fn calls_anew(&mut self) -> anyhow::Result<()> {
        for _ in 0..CALLS_ANEW {
            self.calls_both_ways(0).await?;
        }
        sleep(SETTLES).await;
        Ok(())
    }

    /// What the gateway has counted as refused at ports of sound.
    pub(super) async fn refused(&self) -> anyhow::Result<Refused> {
        let page = prometheus::page(self.metrics).await?;
        let of_calls = |side: &str| prometheus::sum(&page, "tgtrunk_media_datagrams_refused_total", &[side]);
        Ok(Refused {
            pbx: of_calls("side=\"pbx\""),
            telegram: of_calls("side=\"telegram\"")
                + prometheus::sum(&page, "tgtrunk_media_strays_total", &[]),
        })
    }

    /// The process is another one, on a database that has grown: SQLite keeps some of its pages in memory for each connection
    /// (sqlite.org/pragma.html#pragma_cache_size), of which a line has one for its session and one for its records.
    pub(super) fn database_grew(&mut self) -> anyhow::Result<()> {
        let file = self.database();
        let kb = std::fs::metadata(&file).with_context(|| file.display().to_string())?.len() / 1_024;
        self.before.resident_kb += 2 * kb.min(PAGES_KB);
        Ok(())
    }

    /// The first line's.
    pub(super) fn database(&self) -> PathBuf {
        self.stage.installation.state.join(&self.posts[0].line.phone).join("gateway.db")
    }

    /// What is thrown is remembered for a while, and what the memory was for is had for longer: whoever takes less time than that
    /// is not judged by it as strictly.
    pub(super) fn remembers(&mut self) {
        self.remembers = true;
    }

    /// A Telegram user with a device that is on, of this number.
    pub(super) fn person(&self, number: usize, answering: Answering) -> anyhow::Result<LightUser> {
        let options = light_user::Options::playing(Arc::clone(&self.plays)).answering(answering);
        self.stage.person(NewUser::new(phone_of(number), "Somebody"), options)
    }

    /// Ports at which the gateway takes sound, or anything else that is not a line's SIP.
    pub(super) fn media_ports(&self) -> anyhow::Result<Vec<SocketAddr>> {
        let mut found = sockets::datagram_sockets(self.pid)?;
        found.retain(|address| self.posts.iter().all(|post| post.line.sip != *address));
        found.sort();
        Ok(found)
    }

    /// Somebody calls over a line, from either side where that is allowed, and both hear each other: how long the slower one
    /// took.
    pub(super) async fn calls_both_ways(&mut self, post: usize) -> anyhow::Result<Duration> {
        let came = self.call_from_telegram(post).await.context("a call from Telegram")?;
        let answer = self.posts[post].pbx.ask_options(LIMIT).await?;
        ensure!(answer.status() == Some(200), "OPTIONS are answered {}", answer.start);
        if self.spent.contains(&post) {
            return Ok(came);
        }
        // Who has to prove themselves cannot do so with bare text.
        let Some(went) = self.call_from_pbx(post).await.context("a call of the PBX")? else {
            return Ok(came);
        };
        Ok(came.max(went))
    }

    async fn call_from_telegram(&mut self, post: usize) -> anyhow::Result<Duration> {
        let began = now();
        let Post { line, pbx } = self.posts[post].clone();
        let call = self.anna.call(line.account).await?;
        let mut talk = loop {
            let mut talk = pbx.incoming(FRESH_LIMIT).await?;
            if talk.answer()? {
                break talk;
            }
        };
        self.anna.connected(FRESH_LIMIT).await?;
        self.hear_each_other(call, &talk).await?;
        let took = now() - began;
        self.anna.hang_up(call, Reason::Hangup).await;
        talk.request("BYE", LIMIT).await?;
        ensure!(took <= FRESH_LIMIT, "both sides were heard after {took:?}");
        Ok(took)
    }

    async fn call_from_pbx(&mut self, post: usize) -> anyhow::Result<Option<Duration>> {
        let began = now();
        let mut talk = self.posts[post].pbx.call(ANNA).await?;
        let answer = talk.final_answer(FRESH_LIMIT).await?;
        if answer.status() == Some(401) {
            return Ok(None);
        }
        ensure!(answer.status() == Some(200), "the call was refused: {}", answer.start);
        let call = self.anna.connected(FRESH_LIMIT).await?;
        self.hear_each_other(call, &talk).await?;
        let took = now() - began;
        talk.bye(&[]);
        self.anna.discarded(LIMIT).await?;
        ensure!(took <= FRESH_LIMIT, "both sides were heard after {took:?}");
        Ok(Some(took))
    }

    async fn hear_each_other(&self, call: i64, talk: &WireCall) -> anyhow::Result<()> {
        let until = now() + FRESH_LIMIT;
        loop {
            let heard = [self.anna.heard(call).received_ms, talk.heard().received_ms];
            if heard.iter().all(|heard| *heard >= HEARD_MS) {
                return Ok(());
            }
            ensure!(now() < until, "Anna heard {} ms and the PBX {} ms", heard[0], heard[1]);
            sleep(LOOK).await;
        }
    }

    /// Kills the gateway, as a crash would.
    pub(super) async fn kill(&mut self) -> anyhow::Result<()> {
        self.gateway.strike().await
    }

    /// Starts it anew and kills it after a while, wherever it is by then.
    pub(super) async fn start_in_vain(&mut self, lives: Duration) -> anyhow::Result<()> {
        self.gateway = Gateway::spawn(&self.stage.installation)?;
        sleep(lives).await;
        self.kill().await
    }

    /// Starts it anew; gives how long that took until it could be asked. Nobody watches it yet: [`Rig::watch`].
    pub(super) async fn start(&mut self) -> anyhow::Result<Duration> {
        let began = now();
        self.gateway = Gateway::start(&self.stage.installation).await?;
        self.pid = self.gateway.pid()?;
        Ok(now() - began)
    }

    /// Watches a gateway that was started anew, as the first one was from its start.
    pub(super) async fn watch(&mut self) -> anyhow::Result<()> {
        for post in &self.posts {
            stage::green(&self.gateway, &post.line, stage::GREEN_LIMIT).await?;
        }
        self.witness = Witness::begin(&self.gateway).await?;
        Ok(())
    }

    /// The oracle's judgement, and the end of the gateway.
    pub(super) async fn close(mut self, tally: &mut Tally) -> anyhow::Result<()> {
        self.judge(tally).await;
        self.gateway.stop().await?;
        if tally.failed == 0 {
            self.stage.done();
        }
        Ok(())
    }
}

/// A line with its PBX, opened.
async fn post(stage: &Stage, phone: &str, change: impl Fn(LineDraft) -> LineDraft) -> anyhow::Result<Post> {
    let line = stage.line(phone)?;
    let pbx = WirePbx::switch_on(line.sip, wire_pbx::Options::playing(PBX_HZ)?).await?;
    let draft = stage::draft(&line)?.set("max_new_calls_per_s", 1000).set("max_calls", 1000);
    stage.open(&line, pbx.sip, change(draft)).await?;
    Ok(Post { line, pbx: Arc::new(pbx) })
}

/// A line as most are: its PBX is trusted by its address. It has a password to prove who it is.
pub(super) fn by_address(draft: LineDraft) -> LineDraft {
    draft.set("trunk", json!({ "digest_user": "company", "digest_password": DIGEST_PASSWORD }))
}

/// A line that listens to everybody who proves themselves.
pub(super) fn by_password(draft: LineDraft) -> LineDraft {
    let trunk = json!({
        "digest_user": "company",
        "digest_password": DIGEST_PASSWORD,
        "any_source": true,
        "auth_user": AUTH_USER,
        "auth_password": AUTH_PASSWORD,
    });
    draft.set("trunk", trunk)
}

/// Phone number of a [`Rig::person`].
pub(super) fn phone_of(number: usize) -> String {
    format!("+791630{number:05}")
}
