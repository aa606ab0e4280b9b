//! A company whose lines have a bot: the test Telegram, the three programs, SIPp as the PBX, and people who call, each with
//! a device that talks (ours) and an app that chats (Telethon).

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use tgtrunk_config::LineDraft;
use tgtrunk_test_telegram::NewUser;
use tgtrunk_test_telegram::world::{BotInfo, NewBot};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use crate::capture::Capture;
use crate::chat_users::{ChatUser, ChatUsers, Seen};
use crate::gateway::Gateway;
use crate::light_user::{self, Answering, LightUser, Reason};
use crate::pcm::Pcm;
use crate::program::{Kind, Program};
use crate::sipp::{self, Sipp};
use crate::sipp_exchange::Exchange;
use crate::stage::{self, Line, Stage};
use crate::{ffmpeg, ports};

/// The bot's username.
pub const BOT: &str = "acme_bot";
/// How long anything may take that people wait for.
pub const LIMIT: Duration = Duration::from_secs(15);

/// How it is set up.
#[derive(Clone)]
pub struct Options {
    pub lines: usize,
    pub callers: usize,
    /// Whether the lines have a bot.
    pub bot: bool,
    /// Whether people who work with the lines' own accounts chat, too: they come last.
    pub owners: bool,
    /// How long the PBX rings.
    pub rings: Duration,
    /// Whether who talks to the PBX hears himself.
    pub echo: bool,
    /// What callers' devices do when the company calls.
    pub answering: Answering,
    /// Further keys of each line.
    pub line: fn(LineDraft) -> LineDraft,
    /// Further lines of `tgtrunk.toml`.
    pub settings: String,
    /// How long a trouble must last before the bot tells of it, in seconds.
    pub notice_after_s: u32,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            lines: 1,
            callers: 1,
            bot: true,
            owners: false,
            rings: Duration::from_millis(300),
            echo: false,
            answering: Answering::After(Duration::ZERO),
            line: |line| line,
            settings: String::new(),
            notice_after_s: 10,
        }
    }
}

/// The company and its programs. A program that is `None` does not run.
pub struct ChatStage {
    pub stage: Stage,
    pub exchange: Exchange,
    /// What passes, where the test is root.
    pub capture: Option<Capture>,
    pub lines: Vec<Line>,
    pub info: Option<BotInfo>,
    pub gateway: Option<Gateway>,
    pub client: Option<Program>,
    pub bot: Option<Program>,
    pub users: ChatUsers,
}

/// Somebody who calls.
pub struct Caller {
    pub device: LightUser,
    pub chat: ChatUser,
}

impl ChatStage {
    /// Sets everything up as its users would, and starts the three programs.
    ///
    /// # Errors
    /// When a program refuses, with what it said.
    pub async fn open(options: Options) -> anyhow::Result<(Self, Vec<Caller>)> {
        let stage =
            Stage::set_up(stage::Options { settings: options.settings.clone(), ..Default::default() })
                .await?;
        let exchange = Exchange::start(None, options.rings, options.echo)?;
        let info = match options.bot {
            true => Some(stage.world().add_bot(NewBot::new(BOT, "Acme"))?),
            false => None,
        };
        if let Some(info) = &info {
            Kind::Bot.ask(&stage.installation, &["add"], &format!("{}\n", info.token), LIMIT).await?;
            let file = stage.installation.state.join("bots").join(BOT).join("bot.toml");
            let text = std::fs::read_to_string(&file)?;
            let wanted = format!("notice_after_s = {}\n", options.notice_after_s);
            std::fs::write(file, text.replace("notice_after_s = 10\n", &wanted))?;
        }
        let mut lines = Vec::new();
        for number in 0..options.lines {
            let line = stage.line(&format!("+790600000{number:02}"))?;
            let mut draft = (options.line)(stage::draft(&line)?);
            if options.bot {
                draft = draft.set("bot", BOT);
            }
            stage.open(&line, exchange.sip, draft).await?;
            lines.push(line);
        }
        let plays = ffmpeg::opus_encoded(&Pcm::silence(2_000, ffmpeg::RATE_HZ), 32_000)?;
        let plays = light_user::Options::playing(Arc::from(plays)).answering(options.answering);
        let mut devices = Vec::new();
        let mut phones = Vec::new();
        for number in 0..options.callers {
            let phone = format!("+791611111{number:02}");
            let user =
                NewUser::new(phone.as_str(), format!("Anna{number}")).username(format!("anna{number:02}"));
            devices.push(stage.person(user, plays.clone())?);
            phones.push(phone);
        }
        if options.owners {
            phones.extend(lines.iter().map(|line| line.phone.clone()));
        }
        let gateway = stage.run(&lines.iter().collect::<Vec<_>>()).await?;
        stage.telegram().write_dc_seed(&stage.installation.state, lines.len())?;
        for line in &lines {
            Kind::Client.ask(&stage.installation, &["login", &line.phone], "", LIMIT).await?;
        }
        let client = Kind::Client.start(&stage.installation).await?;
        let bot = match options.bot {
            true => Some(Kind::Bot.start(&stage.installation).await?),
            false => None,
        };
        let data_centre = crate::chat_users::Options::at(&stage, phones.clone())?;
        let mut users = ChatUsers::log_in(&data_centre, stage.world()).await?;
        let mut callers = Vec::new();
        for (device, phone) in devices.into_iter().zip(&phones) {
            callers.push(Caller { device, chat: users.take(phone)? });
        }
        let stage = Self {
            stage,
            exchange,
            capture: Capture::start(|_, _| true).ok(),
            lines,
            info,
            gateway: Some(gateway),
            client: Some(client),
            bot,
            users,
        };
        stage.ready(options.bot).await?;
        Ok((stage, callers))
    }

    /// Waits until client and bot say that they are ready for every line.
    ///
    /// # Errors
    /// When that does not happen in time; with what they say.
    pub async fn ready(&self, bot: bool) -> anyhow::Result<()> {
        let until = Instant::now() + LIMIT;
        let kinds: &[Kind] = if bot { &[Kind::Client, Kind::Bot] } else { &[Kind::Client] };
        for kind in kinds {
            loop {
                match kind.ask(&self.stage.installation, &["status"], "", LIMIT).await {
                    Ok(_) => break,
                    Err(error) if Instant::now() > until => return Err(error),
                    Err(_) => sleep(Duration::from_millis(50)).await,
                }
            }
        }
        Ok(())
    }

    /// The app of a line's own account, if it was asked for.
    ///
    /// # Errors
    /// When it was not, or was handed out.
    pub fn owner(&mut self, line: usize) -> anyhow::Result<ChatUser> {
        let phone = self.lines.get(line).context("no such line")?.phone.clone();
        self.users.take(&phone)
    }

    /// The keys that the PBX received from a caller, in all their calls.
    ///
    /// # Errors
    /// With what is wrong with a packet, or when the caller never called.
    pub fn keys(&self, caller: &Caller) -> anyhow::Result<String> {
        let capture = self.capture.as_ref().context("a capture needs root")?;
        let calls: Vec<_> =
            self.exchange.offered().into_iter().filter(|call| call.telegram_id == caller.device.id).collect();
        ensure!(
            !calls.is_empty(),
            "user {} is not known to the PBX: {}",
            caller.device.id,
            self.exchange.errors()
        );
        let mut keys = String::new();
        for call in &calls {
            keys.extend(self.exchange.keys(call, capture)?.iter().map(|event| event.digit));
        }
        Ok(keys)
    }

    /// Waits until the PBX received these keys from a caller.
    ///
    /// # Errors
    /// When it received others.
    pub async fn received(&self, caller: &Caller, wanted: &str) -> anyhow::Result<()> {
        let until = Instant::now() + LIMIT;
        loop {
            let keys = self.keys(caller)?;
            if keys == wanted {
                return Ok(());
            }
            ensure!(Instant::now() < until, "the PBX received {keys:?}, want {wanted:?}");
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// Calls somebody from the PBX by a line; the handle is done when that call is over, answered or not.
    ///
    /// # Errors
    /// When SIPp cannot be had.
    pub fn dial(&self, line: usize, whom: &str) -> anyhow::Result<JoinHandle<anyhow::Result<sipp::Outcome>>> {
        let plan = sipp::Plan {
            scenario: "calls.xml",
            line: Some(self.lines.get(line).context("no such line")?.sip),
            port: ports::free()?,
            calls: 1,
            per_second: 1,
            at_once: 1,
            talk: Duration::from_secs(1),
            people: vec![whom.to_owned()],
            limit: Duration::from_secs(60),
        };
        let sipp = Sipp::start(&plan)?;
        Ok(tokio::spawn(sipp.finished()))
    }

    /// Starts a program again that was killed.
    ///
    /// # Errors
    /// When it does not run.
    pub async fn restart(&mut self, kind: Kind) -> anyhow::Result<()> {
        let program = kind.start(&self.stage.installation).await?;
        match kind {
            Kind::Client => self.client = Some(program),
            Kind::Bot => self.bot = Some(program),
        }
        Ok(())
    }

    /// Kills a program as a crash would.
    ///
    /// # Errors
    /// When it does not run.
    pub async fn kill(&mut self, kind: Kind) -> anyhow::Result<()> {
        let program = match kind {
            Kind::Client => self.client.take(),
            Kind::Bot => self.bot.take(),
        };
        program.with_context(|| format!("{} does not run", kind.name()))?.kill().await?;
        Ok(())
    }

    /// Ends the programs as an operator would; the logs are of no interest any more.
    ///
    /// # Errors
    /// When one does not end well.
    pub async fn close(self) -> anyhow::Result<()> {
        self.users.quit().await.ok();
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

impl Caller {
    /// Calls a line and waits for what the chat shows of it: a message with buttons.
    ///
    /// # Errors
    /// When no keypad comes, or the call is not answered.
    pub async fn call_with_keypad(&mut self, line: &Line) -> anyhow::Result<(i64, Seen, Duration)> {
        let began = Instant::now();
        let call = self.device.call(line.account).await?;
        let keypad = self.chat.message("the keypad", LIMIT, |seen| !seen.buttons.is_empty()).await?;
        let took = began.elapsed();
        self.device.connected(LIMIT).await?;
        Ok((call, keypad, took))
    }

    /// Presses keys one after the other, as a person does who waits for the answer to each.
    ///
    /// # Errors
    /// When one is not acknowledged.
    pub async fn press(&mut self, keypad: &Seen, keys: &str) -> anyhow::Result<()> {
        for key in keys.chars() {
            let pressed = self.chat.press(keypad, &key.to_string(), LIMIT).await?;
            let answer = pressed.answer.map_err(anyhow::Error::msg)?;
            ensure!(answer == format!("{key} ✓"), "{key}: {answer:?}");
        }
        Ok(())
    }

    /// Ends a call and waits until its keypad is gone.
    ///
    /// # Errors
    /// When it stays.
    pub async fn hang_up(&mut self, call: i64, keypad: &Seen) -> anyhow::Result<()> {
        self.device.hang_up(call, Reason::Hangup).await;
        self.chat.deleted(keypad.id, LIMIT).await
    }
}
