//! The gateway with its calls, as a process under measurement.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use tgtrunk_test_telegram::NewUser;
use tokio::task::JoinSet;

use super::ends::Ends;
use super::floor::Mode;
use super::master::Profile;
use crate::codec::Codec;
use crate::gateway::Gateway;
use crate::light_user::{self, Identity, LightUser};
use crate::pbx;
use crate::player::circle;
use crate::stage::{self, Line, Options, Stage};

const LIMIT: Duration = Duration::from_secs(60);
/// Calls that are set up at once.
const TOGETHER: usize = 4;

/// What kind of calls it carries.
#[derive(Debug, Clone)]
pub struct BridgeOptions {
    pub mode: Mode,
    /// Far ends of [`Profile::Gcm`] leave the choice to the gateway, those of [`Profile::Cm`] offer nothing else.
    pub profile: Profile,
    /// What the trunk speaks.
    pub codec: Codec,
    /// Further lines of `[gateway]` in tgtrunk.toml.
    pub settings: String,
}

impl BridgeOptions {
    /// Calls whose sound passes as it is.
    pub fn of(mode: Mode, profile: Profile) -> Self {
        Self { mode, profile, codec: Codec::Opus, settings: String::new() }
    }
}

/// A gateway on a stage, whose calls talk through ends of a generator.
pub struct Bridge {
    stage: Stage,
    gateway: Gateway,
    line: Line,
    _phone: pbx::Phone,
    users: Vec<LightUser>,
    ends: Ends,
    /// Of Telegram's ends, where OpenSSL agrees on their keys.
    openssl: Option<Arc<Identity>>,
}

impl Bridge {
    /// Starts it, without calls, and a generator of its own. With [`Mode::Tick`] it ticks where many packets come.
    ///
    /// # Errors
    /// When the stage cannot be set up.
    pub async fn start(options: BridgeOptions) -> anyhow::Result<Self> {
        let BridgeOptions { mode, profile, codec, settings } = options;
        let ends = Ends::start()?;
        // Two of them run at a time, and each has audio ports of its own.
        let (tick, ports) = match mode {
            Mode::Tick => ("auto", "20100-24999"),
            Mode::Immediate => ("never", "25000-29999"),
        };
        let settings = format!("media_tick = \"{tick}\"\nrtp_ports = \"{ports}\"\n{settings}");
        let stage = Stage::set_up(Options { settings, ..Options::default() }).await?;
        let line = stage.line("+79060006001")?;
        let phone =
            pbx::Options { ends: Some(ends.clone()), codec, ..pbx::Options::playing(circle(440, 20)?) };
        let phone = pbx::Phone::switch_on(line.sip, phone).await?;
        let draft = stage::draft(&line)?.set("max_calls", 1000).set("media_timeout_s", 3600);
        stage.open(&line, phone.sip, draft).await?;
        let gateway = stage.run(&[&line]).await?;
        let openssl = match profile {
            Profile::Gcm => None,
            Profile::Cm => Some(Arc::new(Identity::new()?)),
        };
        Ok(Self { stage, gateway, line, _phone: phone, users: Vec::new(), ends, openssl })
    }

    /// Adds calls until there are so many.
    ///
    /// # Errors
    /// When one is not connected in time.
    pub async fn grow(&mut self, calls: usize) -> anyhow::Result<()> {
        let plays = circle(880, 20)?;
        let mut under_way = JoinSet::new();
        while self.users.len() + under_way.len() < calls || !under_way.is_empty() {
            if under_way.len() < TOGETHER && self.users.len() + under_way.len() < calls {
                let number = self.users.len() + under_way.len();
                let options = light_user::Options {
                    ends: Some(self.ends.clone()),
                    openssl: self.openssl.clone(),
                    ..light_user::Options::playing(plays.clone())
                };
                let phone = format!("+79165{number:06}");
                let mut user = self.stage.person(NewUser::new(&phone, "Caller"), options)?;
                let company = self.line.account;
                under_way.spawn(async move {
                    user.call(company).await?;
                    user.connected(LIMIT).await?;
                    anyhow::Ok(user)
                });
            } else {
                self.users.push(under_way.join_next().await.context("a call under way")???);
            }
        }
        let (trunk, telegram) = self.ends();
        ensure!(
            (trunk.len(), telegram.len()) == (calls, calls),
            "ends {trunk:?} and {telegram:?} for {calls} calls"
        );
        Ok(())
    }

    /// # Errors
    /// When it has ended.
    pub fn pid(&self) -> anyhow::Result<u32> {
        self.gateway.pid()
    }

    /// The generator of its calls.
    pub fn generator(&self) -> &Ends {
        &self.ends
    }

    /// The ends of its calls: of the trunk, of Telegram.
    pub fn ends(&self) -> (Range<u16>, Range<u16>) {
        let (trunk, telegram) = self.ends.next();
        (0..trunk, 0..telegram)
    }

    /// Ends all.
    ///
    /// # Errors
    /// When the gateway does not end well.
    pub async fn stop(self) -> anyhow::Result<()> {
        self.gateway.stop().await?;
        self.stage.done();
        Ok(())
    }
}
