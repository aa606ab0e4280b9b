//! A stage whose lines all end at PBXs that read SIP as bare text.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use tgtrunk_config::LineDraft;
use tgtrunk_config::control::Ask;
use tgtrunk_test_telegram::{NewUser, World};
use tokio::time::{Instant, sleep};

use crate::gateway::Gateway;
use crate::light_user::{self, Answering, LightUser};
use crate::player::circle;
use crate::stage::{self, GREEN_LIMIT, Line, Stage};
use crate::wire_pbx::{self, WirePbx};

/// How long a call that is over may stay in the gateway's list.
const FORGET_LIMIT: Duration = Duration::from_secs(20);
/// What the PBXs play.
pub const PBX_HZ: u32 = 440;
/// What Telegram users play.
pub const USER_HZ: u32 = 880;

/// A line with its PBX.
#[derive(Clone)]
pub struct Post {
    pub line: Line,
    pub pbx: Arc<WirePbx>,
}

/// A stage, its gateway, and the line that it began with.
pub struct WireStage {
    pub stage: Stage,
    pub gateway: Gateway,
    pub post: Post,
    plays: Arc<[Vec<u8>]>,
}

impl WireStage {
    /// Starts a world with one line.
    ///
    /// # Errors
    /// When something cannot be had, or the line does not become green.
    pub async fn open(phone: &str, options: stage::Options) -> anyhow::Result<Self> {
        let stage = Stage::set_up(options).await?;
        let post = Post::open(&stage, phone, |draft| draft).await?;
        let gateway = stage.run(&[&post.line]).await?;
        Ok(Self { stage, gateway, post, plays: circle(USER_HZ, 60)? })
    }

    /// One more line with more settings; it runs after the next [`WireStage::reload`].
    ///
    /// # Errors
    /// When the settings are wrong or the login fails.
    pub async fn post(
        &self,
        phone: &str,
        change: impl FnOnce(LineDraft) -> LineDraft,
    ) -> anyhow::Result<Post> {
        Post::open(&self.stage, phone, change).await
    }

    /// Lets the gateway find its new lines and waits until these are green.
    ///
    /// # Errors
    /// When that does not happen in time.
    pub async fn reload(&self, posts: &[&Post]) -> anyhow::Result<()> {
        self.gateway.control().await?.ask(Ask::Reload).await?;
        for post in posts {
            stage::green(&self.gateway, &post.line, GREEN_LIMIT).await?;
        }
        Ok(())
    }

    /// Telegram's world.
    pub fn world(&self) -> &World {
        self.stage.world()
    }

    /// A Telegram user with a device that is on; [`phone_of`] gives the number.
    ///
    /// # Errors
    /// When there is one of this number already.
    pub fn person(&self, number: usize, answering: Answering) -> anyhow::Result<LightUser> {
        let options = light_user::Options::playing(Arc::clone(&self.plays)).answering(answering);
        self.stage.person(NewUser::new(phone_of(number), "Somebody"), options)
    }

    /// Colour and reason of a line's Telegram lamp.
    ///
    /// # Errors
    /// When the gateway does not answer, or has no such line.
    pub async fn telegram_lamp(&self, line: &Line) -> anyhow::Result<String> {
        let report = self.gateway.control().await?.status().await?;
        let status = &report.line(&line.phone.parse()?).context("the line is there")?.status;
        Ok(format!("{:?}: {}", status.telegram.lamp, status.telegram.reason))
    }

    /// Waits until a line's Telegram lamp begins with this colour.
    ///
    /// # Errors
    /// When it does not in time.
    pub async fn wait_for_lamp(&self, line: &Line, colour: &str, limit: Duration) -> anyhow::Result<()> {
        let until = Instant::now() + limit;
        loop {
            let lamp = self.telegram_lamp(line).await?;
            if lamp.starts_with(colour) {
                return Ok(());
            }
            if Instant::now() > until {
                bail!("the lamp of {} is {lamp:?} after {limit:?}, want {colour}", line.phone);
            }
            sleep(Duration::from_millis(10)).await;
        }
    }

    /// Waits until the gateway has forgotten the line's calls; tells how long that took.
    ///
    /// # Errors
    /// When some are left.
    pub async fn no_calls_of(&self, line: &Line) -> anyhow::Result<Duration> {
        let mut control = self.gateway.control().await?;
        let began = Instant::now();
        loop {
            let mut calls = control.calls().await?;
            calls.retain(|call| call.line.as_str() == line.phone);
            if calls.is_empty() {
                return Ok(began.elapsed());
            }
            ensure!(began.elapsed() < FORGET_LIMIT, "calls are left in the gateway: {calls:?}");
            sleep(Duration::from_millis(10)).await;
        }
    }

    /// Ends it: nothing is left of any call, and every word on the first line's wire was SIP.
    ///
    /// # Errors
    /// With what is left.
    pub async fn close(self) -> anyhow::Result<()> {
        let left = self.gateway.control().await?.calls().await?;
        for line in left.iter().map(|call| call.line.clone()) {
            let line = Line { phone: line.as_str().to_owned(), ..self.post.line.clone() };
            self.no_calls_of(&line).await?;
        }
        let complaints = self.post.pbx.complaints();
        ensure!(complaints.is_empty(), "not SIP: {complaints:?}");
        self.gateway.stop().await?;
        self.stage.done();
        Ok(())
    }
}

impl Post {
    async fn open(
        stage: &Stage,
        phone: &str,
        change: impl FnOnce(LineDraft) -> LineDraft,
    ) -> anyhow::Result<Self> {
        let line = stage.line(phone)?;
        let pbx = WirePbx::switch_on(line.sip, wire_pbx::Options::playing(PBX_HZ)?).await?;
        stage.open(&line, pbx.sip, change(stage::draft(&line)?)).await?;
        Ok(Self { line, pbx: Arc::new(pbx) })
    }
}

/// Phone number of a [`WireStage::person`].
pub fn phone_of(number: usize) -> String {
    format!("+791630{number:05}")
}
