//! The gateway with its calls, as a process under measurement.

use std::net::SocketAddr;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};

use super::callees::Callees;
use super::ends::Ends;
use super::floor::Mode;
use super::master::Profile;
use super::talkers::Talkers;
use crate::codec::Codec;
use crate::gateway::Gateway;
use crate::light_user::Identity;
use crate::sipp::Outcome;
use crate::stage::{Options, Stage};

/// What gateways do as people install them, and those of other tests do not.
pub const USUAL: &str = "max_lag_ms = 10\noptions_interval_s = 30\n";
/// What [`Mode::Tick`] has ports for; [`Mode::Immediate`] has some for two thirds.
pub const MOST_CALLS: usize = 3000;
const MOST_OF_A_LINE: usize = 1000;

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
    /// People on a line of their own, whom [`Bridge::set_up`] calls.
    pub people: usize,
}

impl BridgeOptions {
    /// Calls whose sound passes as it is.
    pub fn of(mode: Mode, profile: Profile) -> Self {
        Self { mode, profile, codec: Codec::Opus, calls: MOST_OF_A_LINE, people: 0 }
    }
}

/// A gateway on a stage, whose calls talk through ends of a generator.
pub struct Bridge {
    stage: Stage,
    gateway: Gateway,
    /// A line each.
    talkers: Vec<Talkers>,
    ends: Ends,
    callees: Option<Callees>,
}

impl Bridge {
    /// Starts it, without calls, and a generator of its own. With [`Mode::Tick`] it ticks where many packets come.
    ///
    /// # Errors
    /// When the stage cannot be set up.
    pub async fn start(options: BridgeOptions) -> anyhow::Result<Self> {
        let BridgeOptions { mode, profile, codec, calls, people } = options;
        let ends = Ends::start()?;
        // Two of them run at a time, and each has audio ports of its own, two for a call.
        let (tick, ports) = match mode {
            Mode::Tick | Mode::Legs | Mode::Mixed => ("auto", "20000-26099"),
            Mode::Immediate => ("never", "26100-30099"),
        };
        let settings =
            format!("media_tick = \"{tick}\"\nrtp_ports = \"{ports}\"\nmax_calls = {MOST_CALLS}\n{USUAL}");
        let stage = Stage::set_up(Options { settings, ..Options::default() }).await?;
        let openssl = match profile {
            Profile::Gcm => None,
            Profile::Cm => Some(Arc::new(Identity::new()?)),
        };
        let mut talkers = Vec::new();
        for number in 1..=calls.div_ceil(MOST_OF_A_LINE).max(1) {
            let phone = format!("+7906000{:04}", 6000 + number);
            let settled = Talkers::settle(&stage, &phone, &ends, codec, MOST_OF_A_LINE).await?;
            talkers.push(settled.by(openssl.clone()));
        }
        let callees = if people > 0 { Some(Callees::settle(&stage, people).await?) } else { None };
        let lines = talkers.iter().map(|talkers| &talkers.line);
        let own = callees.iter().map(|callees| &callees.line);
        let gateway = stage.run(&lines.chain(own).collect::<Vec<_>>()).await?;
        Ok(Self { stage, gateway, talkers, ends, callees })
    }

    /// Where the people's line listens for SIP.
    pub fn callee(&self) -> Option<SocketAddr> {
        self.callees.as_ref().map(|callees| callees.line.sip)
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
        for (number, talkers) in self.talkers.iter_mut().enumerate() {
            let own = calls.saturating_sub(number * MOST_OF_A_LINE).min(MOST_OF_A_LINE);
            talkers.grow(&self.stage, own).await?;
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
