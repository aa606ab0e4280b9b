//! An operator's first day: the three programs freshly installed, with no number yet, the page that the client serves, and
//! browsers to look at it. SIPp is the PBX; people who call have a device that talks and an app that chats.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use tgtrunk_test_telegram::NewUser;
use tokio::time::{Instant, sleep};

use crate::browser::{self, Browser};
use crate::chat_stage::{Caller, LIMIT};
use crate::chat_users::{self, ChatUser, ChatUsers};
use crate::gateway::Gateway;
use crate::light_user;
use crate::program::{Kind, Program};
use crate::sipp_exchange::Exchange;
use crate::stage::{self, Stage};
use crate::{ffmpeg, ports, score};

/// Keys for data centres that the programs find: each session takes some of them.
const KEYS: usize = 24;

/// The installation, running. A program that is `None` does not run.
pub struct PageStage {
    pub stage: Stage,
    /// Where the PBX is, whether it is switched on or not.
    pub pbx: SocketAddr,
    pub exchange: Option<Exchange>,
    pub gateway: Option<Gateway>,
    pub client: Option<Program>,
    pub bot: Option<Program>,
    /// The page's address, as `http://127.0.0.1:8090`.
    pub origin: String,
}

impl PageStage {
    /// Installs everything and starts the three programs; the PBX is off.
    ///
    /// # Errors
    /// When one does not run.
    pub async fn open() -> anyhow::Result<Self> {
        let page = SocketAddr::from(([127, 0, 0, 1], ports::free()?));
        let stage = Stage::set_up(stage::Options { page: Some(page), ..Default::default() }).await?;
        stage.telegram().write_dc_seed(&stage.installation.state, KEYS)?;
        let pbx = SocketAddr::from(([127, 0, 0, 1], ports::free()?));
        let gateway = Some(Gateway::start(&stage.installation).await?);
        let client = Some(Kind::Client.start(&stage.installation).await?);
        let bot = Some(Kind::Bot.start(&stage.installation).await?);
        let origin = format!("http://{page}");
        Ok(Self { stage, pbx, exchange: None, gateway, client, bot, origin })
    }

    /// Switches the PBX on: until now it answered nothing.
    ///
    /// # Errors
    /// When the Debian package `sip-tester` is missing.
    pub fn switch_pbx_on(&mut self) -> anyhow::Result<()> {
        self.exchange = Some(Exchange::start(Some(self.pbx.port()), Duration::from_millis(300), true)?);
        Ok(())
    }

    /// The page's first password, out of the file that the client's log names.
    ///
    /// # Errors
    /// When it names none.
    pub async fn password(&self) -> anyhow::Result<String> {
        let until = Instant::now() + LIMIT;
        loop {
            let log = self.client.as_ref().context("the client runs")?.log();
            let told = log
                .lines()
                .find_map(|line| line.split_once("(its first password is in ")?.1.strip_suffix(')'));
            if let Some(file) = told {
                let kept = std::fs::read_to_string(file)?;
                ensure!(!log.contains(kept.trim()), "the log tells the password:\n{log}");
                return Ok(kept.trim().to_owned());
            }
            ensure!(Instant::now() < until, "no password is told of:\n{log}");
            sleep(Duration::from_millis(50)).await;
        }
    }

    /// A browser that is let in and shows the lines.
    ///
    /// # Errors
    /// When it is not let in.
    pub async fn browser(&self, options: browser::Options, password: &str) -> anyhow::Result<Browser> {
        let browser = Browser::open(&self.origin, options).await?;
        browser.go("/login").await?;
        browser.type_in("input[name=password]", password).await?;
        browser.click("form[action='/login'] button").await?;
        browser.arrives(LIMIT, |path| path == "/").await?;
        Ok(browser)
    }

    /// Somebody who calls: a device that speaks, and a chat.
    ///
    /// # Errors
    /// When one of them cannot be had.
    pub async fn caller(&self, phone: &str) -> anyhow::Result<(Caller, ChatUsers)> {
        let plays = ffmpeg::opus_encoded(&score::speech()?, 32_000)?;
        let user = NewUser::new(phone, "Anna").username(format!("anna{}", phone.trim_start_matches('+')));
        let device = self.stage.person(user, light_user::Options::playing(Arc::from(plays)))?;
        let (chat, users) = self.app(phone).await?;
        Ok((Caller { device, chat }, users))
    }

    /// Telegram on another device of an account, by Telethon. The program is there while the second part is.
    ///
    /// # Errors
    /// When its login fails.
    pub async fn app(&self, phone: &str) -> anyhow::Result<(ChatUser, ChatUsers)> {
        let place = chat_users::Options::at(&self.stage, vec![phone.to_owned()])?;
        let mut users = ChatUsers::log_in(&place, self.stage.world()).await?;
        Ok((users.take(phone)?, users))
    }

    /// Where pictures of pages are kept: under the target directory.
    pub fn pictures() -> PathBuf {
        let target = std::env::current_exe().ok().and_then(|own| {
            let profile = own.ancestors().skip(1).find(|dir| !dir.ends_with("deps"))?;
            Some(profile.parent()?.to_owned())
        });
        target.unwrap_or_else(|| PathBuf::from("target")).join("page")
    }

    /// Ends the programs as an operator would; the logs are of no interest any more.
    ///
    /// # Errors
    /// When one does not end well.
    pub async fn close(self) -> anyhow::Result<()> {
        for program in [self.client, self.bot].into_iter().flatten() {
            program.stop().await?;
        }
        if let Some(gateway) = self.gateway {
            gateway.stop().await?;
        }
        self.stage.done();
        Ok(())
    }
}
