//! The gateway with its calls, as a process under measurement.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use tgtrunk_test_telegram::NewUser;
use tokio::task::JoinSet;

use super::callees::Callees;
use super::ends::Ends;
use super::floor::Mode;
use super::master::Profile;
use crate::codec::Codec;
use crate::gateway::Gateway;
use crate::light_user::{self, Identity, LightUser};
use crate::pbx;
use crate::player::circle;
use crate::sipp::Outcome;
use crate::stage::{self, Line, Options, Stage};

const LIMIT: Duration = Duration::from_secs(60);
/// What [`Mode::Tick`] has ports for; [`Mode::Immediate`] has some for two thirds.
pub const MOST_CALLS: usize = 3000;
const MOST_OF_A_LINE: usize = 1000;
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
    /// The most that it will be asked for.
    pub calls: usize,
    /// Further lines of `[gateway]` in tgtrunk.toml.
    pub settings: String,
    /// People on a line of their own, whom [`Bridge::set_up`] calls.
    pub people: usize,
}

impl BridgeOptions {
    /// Calls whose sound passes as it is.
    pub fn of(mode: Mode, profile: Profile) -> Self {
        Self { mode, profile, codec: Codec::Opus, calls: MOST_OF_A_LINE, settings: String::new(), people: 0 }
    }
}

/// A gateway on a stage, whose calls talk through ends of a generator.
pub struct Bridge {
    stage: Stage,
    gateway: Gateway,
    lines: Vec<Line>,
    _phones: Vec<pbx::Phone>,
    users: Vec<LightUser>,
    ends: Ends,
    /// Of Telegram's ends, where OpenSSL agrees on their keys.
    openssl: Option<Arc<Identity>>,
    callees: Option<Callees>,
}

impl Bridge {
    /// Starts it, without calls, and a generator of its own. With [`Mode::Tick`] it ticks where many packets come.
    ///
    /// # Errors
    /// When the stage cannot be set up.
    pub async fn start(options: BridgeOptions) -> anyhow::Result<Self> {
        let BridgeOptions { mode, profile, codec, calls, settings, people } = options;
        let ends = Ends::start()?;
        // Two of them run at a time, and each has audio ports of its own, two for a call.
        let (tick, ports) = match mode {
            Mode::Tick | Mode::Legs | Mode::Mixed => ("auto", "20000-26099"),
            Mode::Immediate => ("never", "26100-30099"),
        };
        let settings =
            format!("media_tick = \"{tick}\"\nrtp_ports = \"{ports}\"\nmax_calls = {MOST_CALLS}\n{settings}");
        let stage = Stage::set_up(Options { settings, ..Options::default() }).await?;
        let (mut lines, mut phones) = (Vec::new(), Vec::new());
        for number in 1..=calls.div_ceil(MOST_OF_A_LINE).max(1) {
            let line = stage.line(&format!("+7906000{:04}", 6000 + number))?;
            let phone =
                pbx::Options { ends: Some(ends.clone()), codec, ..pbx::Options::playing(circle(440, 20)?) };
            let phone = pbx::Phone::switch_on(line.sip, phone).await?;
            let draft = stage::draft(&line)?;
            let draft = draft.set("max_calls", MOST_OF_A_LINE as i64).set("media_timeout_s", 3600);
            stage.open(&line, phone.sip, draft).await?;
            lines.push(line);
            phones.push(phone);
        }
        let callees = if people > 0 { Some(Callees::settle(&stage, people).await?) } else { None };
        let own = callees.iter().map(|callees| &callees.line);
        let gateway = stage.run(&lines.iter().chain(own).collect::<Vec<_>>()).await?;
        let openssl = match profile {
            Profile::Gcm => None,
            Profile::Cm => Some(Arc::new(Identity::new()?)),
        };
        Ok(Self { stage, gateway, lines, _phones: phones, users: Vec::new(), ends, openssl, callees })
    }

    /// Has SIPp call the people of the other line, `per_second`, who hang up after `talk`.
    ///
    /// # Errors
    /// When there are none, or SIPp does not end in time.
    pub async fn set_up(&self, calls: u32, per_second: u32, talk: Duration) -> anyhow::Result<Outcome> {
        let callees = self.callees.as_ref().context("nobody is there to be called")?;
        let at_once = u32::try_from(callees.people.len())?;
        callees.call(calls, per_second, at_once, talk).await
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
                let line = self.lines.get(number / MOST_OF_A_LINE).context("a line for so many calls")?;
                let company = line.account;
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
